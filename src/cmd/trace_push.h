/* `zk trace push`: what its parts share.
 * Layer: cmd, private to trace_push*.c. */
#ifndef ZK_CMD_TRACE_PUSH_H
#define ZK_CMD_TRACE_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "cmd/records.h"
#include "cmd/trace.h"
#include "zip/trace_event.h"
#include "zip/trace_push.h"

struct zk_lines;
struct zk_loop;
struct zk_progress;
struct zk_stop;
struct zk_timer;
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

/* An event that the spool is to keep. */
struct push_rec {
	struct zk_list entry;
	uint64_t seq, line, offset;
	int64_t start_ms;
	const char *file;
	size_t n;
	bool in_doubt;
	char text[];
};

struct push {
	struct zk_app *app;
	const struct push_opts *o;
	struct zeal z;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_progress *progress;
	char *const *paths; /* never empty: "-" alone is stdin */
	size_t n_paths;
	bool has_paths, resumed;
	char **run_paths; /* those of the run */

	/* the session */
	char *session, *execution;
	bool completes; /* it is closed at the end */
	char mark[TRACE_MARK_TEXT + 1];
	struct zk_zip_run *run; /* NULL = the input is no file that can be read again */
	uint64_t skip_below;    /* events of the input that an earlier run dealt with */

	/* input */
	struct zk_lines *lines;
	struct zk_zip_map *map;
	struct zk_zip_event_conf conf;
	struct zk_buf mapped, scratch;
	const char *file; /* that is being read */
	uint64_t seq;     /* of the next event */
	bool checking;    /* this pass only checks */
	bool input_over, stopping, over, big_told;

	/* sending */
	struct zk_zip_push *sender; /* NULL with --spool-only */
	bool sender_full, spool_full, down;

	/* spool */
	struct zk_spool *spool;
	struct zk_buf dest;
	struct zk_list unsent;
	int64_t *done_ids;
	size_t n_done, room_done;
	size_t stored_upto; /* events of the filling batch that are in the spool (--durable) */
	struct zk_timer *again;
	bool settling;

	/* progress of the run: events below are safe once the spool has what it is to keep */
	uint64_t batch_first, batch_settled, safe_below;

	struct zk_recfile receipts, rejects;
	struct zk_zip_sum sum;
	uint64_t read, sent, known, rejected, spooled, skipped, doubtful, mends;
	int64_t start_ms, wall_ms; /* begin; what makes wall time of the loop's */
	char first_reject[256];
	struct zk_error err;  /* what ends it; code 0 = nothing */
	struct zk_error lost; /* the gravest reason why something was not sent */
};

/* ---- trace_push.c ---- */

void push_fail(struct push *s, const struct zk_error *err);
void push_check_over(struct push *s);
void push_pause(struct push *s);
/* The event will not be stored: counts it, writes it to --rejects. */
void push_reject(struct push *s, const struct zk_recline *line, const char *code,
                 zk_str reason);
void push_receipt(struct push *s, uint64_t line, uint64_t offset, uint64_t seq,
                  const char *result);

/* ---- trace_push_spool.c ---- */

int push_spool_open(struct push *s, struct zk_error *err) ZK_MUST_USE;
/* At the end of this turn: stores what is to be stored, deletes what was delivered, writes the
 * files and how far the run is. */
void push_settle_soon(struct push *s);
void push_settle(struct push *s, bool final);
void push_spool_done_id(struct push *s, int64_t id);
void push_keep(struct push *s, zk_str text, const struct zk_zip_batch_event *e,
               bool in_doubt);
void push_spool_close(struct push *s);

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
