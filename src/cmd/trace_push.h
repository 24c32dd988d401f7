/* `zk trace push`: what its parts share.
 * Layer: cmd, private to trace_push*.c. */
#ifndef ZK_CMD_TRACE_PUSH_H
#define ZK_CMD_TRACE_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cmd/ship.h"
#include "cmd/trace.h"
#include "zip/trace_event.h"
#include "zip/trace_push.h"

struct zk_zip_map;
struct zk_zip_run;

struct push_opts {
	struct trace_opts t;
	const char *workflow, *execution;
	struct zk_strlist map;
	uint64_t batch;
	int64_t every_ms;
	int on_ambiguous; /* enum zk_zip_ambiguous */
	bool resume, spool_only, strict;
};

struct push {
	struct ship ship;
	struct zk_app *app;
	const struct push_opts *o;
	struct zeal z;
	bool has_paths, resumed;
	char **run_paths; /* those of the run */

	/* the session */
	char *session, *execution;
	bool completes; /* it is closed at the end */
	char mark[TRACE_MARK_TEXT + 1];
	struct zk_buf dest;     /* in the spool */
	struct zk_zip_run *run; /* NULL = the input is no file that can be read again */
	uint64_t skip_below;    /* events of the input that an earlier run dealt with */

	/* input */
	struct zk_zip_map *map;
	struct zk_zip_event_conf conf;
	struct zk_buf mapped, scratch;
	const char *file; /* that is being read */
	uint64_t seq;     /* of the next event */
	int64_t wall_ms;  /* what makes wall time of the loop's */
	bool big_told;

	struct zk_zip_push *sender; /* NULL with --spool-only */
	struct zk_zip_sum sum;
	/* Progress of the run: events below are safe once the spool has what it is to keep. */
	uint64_t batch_first, batch_settled, safe_below;
};

/* ---- trace_push_run.c ---- */

/* What --map and --strict make of a line. */
int push_use_options(struct push *s, const char *const *rules, size_t n, bool strict,
                     struct zk_error *err) ZK_MUST_USE;
/* --resume: sends what the spool holds for the server, and takes up a run from files that has not
 * ended. 1; 0 = there is none. */
int push_resume(struct push *s, struct zk_error *err) ZK_MUST_USE;
/* Takes the session of --session, or opens one. */
int push_open(struct push *s, struct zk_error *err) ZK_MUST_USE;
/* All is settled: closes the session where that is ours to do; forgets the run. */
int push_finish(struct push *s, struct zk_error *err) ZK_MUST_USE;
void push_run_close(struct push *s);

#endif
