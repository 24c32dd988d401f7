/* Printing the error a command ended with (ux.md §7).
 * Layer: cli. */
#ifndef ZK_CLI_REPORT_H
#define ZK_CLI_REPORT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct zk_app;

/* The text form (several lines, each ended), with known secrets masked; appended. */
void zk_report_text(const struct zk_error *err, bool color, struct zk_buf *b);
/* The JSON form, one line without line end: type code exit retryable message where why fix
 * http_status retry_after_ms remote_id; absent parts are left out. Appended. */
void zk_report_json(const struct zk_error *err, int exit_status, struct zk_buf *b);
/* Writes it to stderr in the form of the log. `color_opt` is enum zk_color_opt. */
void zk_report(const struct zk_error *err, int exit_status, int color_opt);
/* If the command ends with an error, this is its exit status: for errors whose code has another one
 * where they come from the configuration. */
void zk_app_exit_as(struct zk_app *app, int exit_status);

#endif
