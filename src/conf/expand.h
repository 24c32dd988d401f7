/* ${NAME}, ${NAME:-default} and ${NAME:?why} in values of configuration files (ux.md §5).
 * Layer: conf. */
#ifndef ZK_CONF_EXPAND_H
#define ZK_CONF_EXPAND_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* True when `text` holds something to expand. */
bool zk_expand_is_needed(zk_str text);
/* Appends `text` expanded once (what a variable holds is not expanded again). "$${" is a plain
 * "${". An empty variable counts as unset. 0, or -ZK_E_CONFIG_ENV naming the variable that is
 * not set, or -ZK_E_CONFIG_VALUE for a broken reference. */
int zk_expand(zk_str text, struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;

#endif
