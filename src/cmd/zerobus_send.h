/* `zk zerobus send`: what its parts share.
 * Layer: cmd, private to zerobus_send*.c. */
#ifndef ZK_CMD_ZEROBUS_SEND_H
#define ZK_CMD_ZEROBUS_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "cmd/zerobus_conf.h"
#include "cmd/zerobus_send_metrics.h"
#include "store/spool.h"
#include "zerobus/feed.h"
#include "zerobus/rejects.h"
#include "zerobus/sender.h"

struct zk_zb_debug;
struct zk_loop;
struct zk_progress;
struct zk_stop;
struct zk_timer;

struct zb_send_opts {
	struct zb_opts zb;
	int from, record_type, unknown_fields, null_elements, time_as;
	const char *schema, *message;
	bool all_optional, coerce;
	uint64_t batch_rows, batch_bytes, max_message, max_inflight, max_inflight_bytes;
	uint64_t streams, max_errors, trace_sample;
	int64_t linger_ms, create_ms, ack_ms, flush_ms;
	const char *rate, *resume, *csv_delimiter, *csv_null;
	bool isolate;
	uint64_t arrow_max_body;
	const char *debug_dir;
	bool debug_arrow, debug_proto;
	int64_t debug_flush_ms;
	uint64_t debug_max_file, debug_keep;
	const char *only_code, *only_table; /* of replay */
};

/* What became of the rows. */
struct zb_counts {
	uint64_t read, acked, rejected, spooled, skipped;
	uint64_t reconnects, retries, bytes;
};

struct zb_send {
	struct zk_app *app;
	const struct zb_send_opts *o;
	struct zb_session s;
	struct zk_loop *loop;
	struct zk_auth *auth;
	struct zk_stop *stop;
	struct zk_progress *progress;
	struct zk_timer *tick; /* of the figures that people see */
	char *const *paths;
	size_t n_paths;
	bool replay;               /* the paths hold rows that were kept */
	struct zk_zb_debug *debug; /* NULL = off */

	struct zk_zb_feed *feed;
	uint64_t *stamps;       /* of the files that were checked before sending */
	struct zk_zb_held held; /* what was read then */
	struct zk_zb_sender *sender;
	bool fed, sent; /* the feed has ended; the sender is over */
	bool stopping, over;
	const char *message;         /* name of the rows' message */
	struct zk_zb_schema *schema; /* NULL = the input's own */

	struct zk_spool *spool;
	struct zk_spool_target target;
	char *dest;
	struct zk_list unsent; /* requests to be spooled */
	int64_t *done_ids;     /* of the spool, to be deleted */
	size_t n_done, room_done;
	bool settling;

	struct zk_zb_rejects *rejects;
	int receipts; /* descriptor, -1 = none */
	struct zk_buf receipt_lines;
	struct zk_map proven; /* --resume: source → struct zb_ranges */

	struct zb_counts n;
	uint64_t shown, folded; /* rejected rows that were said, and that were not */
	char last_reason[200];
	unsigned refreshes;
	struct zb_metrics metrics;
	double ack_ms[4096]; /* the latest latencies, for the summary */
	size_t n_ack_ms;
	int64_t start_ms;
	struct zk_error err;  /* what ends it; code 0 = nothing */
	struct zk_error lost; /* why rows were not delivered; code 0 = all were */
};

/* ---- zerobus_send.c ---- */

/* The commands: everything from the options to the summary. An exit status, or -code. */
int zb_send(struct zk_app *app, const struct zb_send_opts *o, char *const *paths,
            size_t n_paths, struct zk_error *err) ZK_MUST_USE;
int zb_replay(struct zk_app *app, struct zb_send_opts *o, char *const *paths,
              size_t n_paths, struct zk_error *err) ZK_MUST_USE;

/* It cannot go on: nothing more is read, what is under way is finished. */
void zb_fail(struct zb_send *s, const struct zk_error *err);
void zb_check_over(struct zb_send *s);

/* ---- zerobus_send_out.c: outcomes ---- */

void zb_acked(struct zb_send *s, struct zk_zb_request *r, size_t stream);
void zb_refused(struct zb_send *s, struct zk_zb_request *r, const struct zk_error *err,
                bool suspect);
void zb_unsent(struct zb_send *s, struct zk_zb_request *r, const struct zk_error *err);
void zb_bad(struct zb_send *s, const struct zk_zb_bad *bad);
/* A request of the feed: to the spool first with --durable, then to the sender. */
void zb_take(struct zb_send *s, struct zk_zb_request *r);
/* Now: spools what is unsent, deletes what is acknowledged, writes receipts. */
void zb_settle(struct zb_send *s);
int zb_out_open(struct zb_send *s, struct zk_error *err) ZK_MUST_USE;
void zb_out_close(struct zb_send *s, struct zk_error *err);

/* ---- zerobus_send_resume.c ---- */

/* Reads the receipts of --resume. */
int zb_resume_load(struct zb_send *s, struct zk_error *err) ZK_MUST_USE;
bool zb_is_proven(const void *s, const char *source, uint64_t row);
void zb_resume_done(struct zb_send *s);

/* ---- zerobus_send_show.c: what people see ---- */

void zb_show_start(struct zb_send *s);
void zb_show_stop(struct zb_send *s);
void zb_show_retry(struct zb_send *s, const struct zk_zb_retrying *r);
void zb_show_recovered(struct zb_send *s, const struct zk_zb_recovered *r);
void zb_show_reject(struct zb_send *s, const char *source, uint64_t row, uint64_t line,
                    const struct zk_error *err);
/* The summary; returns the exit status. */
int zb_show_end(struct zb_send *s, struct zk_error *err);

#endif
