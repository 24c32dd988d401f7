/* ini: sections with KEY = VALUE lines, as ~/.databrickscfg has them.
 * Layer: codec. Pure; slices borrow the text. (Debian's libinih silently cuts lines at 200 bytes,
 * which a token may well exceed.)
 *
 * A comment is a line that begins with ; or #. Values stand as they are but for white space around
 * them: no quotes, no escapes, no continuation lines. */
#ifndef ZK_CODEC_INI_H
#define ZK_CODEC_INI_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Start with { .rest = text }. */
struct zk_ini {
	zk_str rest;
	zk_str section; /* of the last pair; empty before the first */
	unsigned line;  /* of it, 1-based */
};

/* The next pair: 1, 0 at the end, or -ZK_E_DATA naming the line that is none. */
int zk_ini_next(struct zk_ini *i, zk_str *key, zk_str *value,
                struct zk_error *err) ZK_MUST_USE;

#endif
