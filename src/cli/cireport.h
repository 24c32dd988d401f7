/* --report github|junit=FILE: what a check found, for CI systems (ux.md §6).
 * Layer: cli. */
#ifndef ZK_CLI_CIREPORT_H
#define ZK_CLI_CIREPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_cireport;

/* `kind` is "github" or "junit=FILE"; `suite` names the whole ("zk config validate"). 0 or
 * -ZK_E_USAGE. */
int zk_cireport_new(const char *kind, const char *suite, struct zk_cireport **ret,
                    struct zk_error *err) ZK_MUST_USE;
/* One thing that was checked; err NULL = it is fine. `file` (may be NULL) is where, as it is
 * opened; line and column come from err->where. */
void zk_cireport_add(struct zk_cireport *r, const char *name, const char *file,
                     const struct zk_error *err);
/* github: annotations on stdout and, with GITHUB_STEP_SUMMARY set, a table behind that file.
 * junit: writes FILE. 0, -ZK_E_OUTPUT or -ZK_E_CREATE. */
int zk_cireport_end(struct zk_cireport *r, struct zk_error *err) ZK_MUST_USE;
void zk_cireport_free(struct zk_cireport *r); /* NULL is fine */

#endif
