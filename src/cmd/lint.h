/* Showing what a lint found: for people, as rows, for CI systems.
 * Layer: cmd. */
#ifndef ZK_CMD_LINT_H
#define ZK_CMD_LINT_H

#include <stddef.h>

#include "base/err.h"
#include "cli/cmd.h"
#include "zip/finding.h"

/* Prints all of them on stdout (a table shows places with excerpts), writes the report of
 * `report` ("github", "junit=FILE"; NULL = none), and says the sum on stderr. `noun` and `checked`
 * name what was looked at. Returns 0, 65 when there were errors, or a negative code. */
int lint_show(struct zk_app *app, const struct zk_zip_findings *f, const char *noun,
              size_t checked, const char *report, struct zk_error *err);
/* Before something is sent: the errors on stderr. 0, or -ZK_E_FORM when there are some. */
int lint_refuse(const struct zk_zip_findings *f, const char *noun, struct zk_error *err);

#endif
