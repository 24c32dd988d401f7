/* Endpoints and their credentials: the profile exception and origin binding (ux.md §5).
 * Layer: conf, private. */
#ifndef ZK_CONF_RULES_H
#define ZK_CONF_RULES_H

#include "conf/conf.h"

/* Sets `lost` of the candidates of an ENDPOINT row that do not count:
 *  - variables, when the profile was named with -p and sets an endpoint or credential of the
 *    same section;
 *  - credentials of layers below one that gives the section another origin. */
void zk_conf_endpoint_rules(const struct zk_conf *c, const struct zk_opt *row,
                            const char *prefix, struct zk_value *v, size_t n);

#endif
