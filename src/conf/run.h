/* Running a small program for its output: secret commands and credential helpers.
 * Layer: conf. Blocks; never used while a loop must turn. */
#ifndef ZK_CONF_RUN_H
#define ZK_CONF_RUN_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Starts argv (searched in PATH, no shell) with `input` on stdin and collects its stdout into
 * `out`, whose cap is the limit; stderr is ours. After `timeout_ms` the program and what it
 * started are killed. 0; -ZK_E_SECRET when it cannot be started, fails, is too slow or writes
 * more than fits. The message names argv[0] only. */
int zk_run(char *const *argv, zk_str input, int64_t timeout_ms, struct zk_buf *out,
           struct zk_error *err) ZK_MUST_USE;

#endif
