/* The sink zerobus:TABLE of `zk jetstream run`: each record is a row of a Delta table, sent by the
 * client of `zk zerobus send`.
 * Layer: cmd. specs/jetstream.md §15.3. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/jetstream_run.h"
#include "cmd/zerobus_client.h"
#include "codec/jkv.h"
#include "zerobus/request.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define REQUEST_BYTES ((size_t)1 << 20)

struct zb_sink {
	struct run *r;
	struct zb_client c; /* the plan is the lane's */
	struct zk_jet_follower *follower;
	struct zk_buf line;  /* the lane's */
	size_t owed;         /* rows of the running batch without an outcome */
	struct zk_error err; /* why it is not delivered; code 0 = it is */
};

/* ---- the lane: a record becomes an encoded row ---- */

/* Empty is null. */
static void kv_text(struct zk_jwrite *w, const char *key, zk_str v)
{
	if (v.n)
		zk_jw_kv_str(w, key, v);
	else
		zk_jw_kv_null(w, key);
}

/* The columns of §15.3 by name; those that the table does not have are left out by the plan. */
static void put_columns(const struct zk_jet_row *row, struct zk_buf *b)
{
	static const char *const hydrations[] = { "none", "partial", "full" };
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	kv_text(&w, "at_uri", row->at_uri);
	kv_text(&w, "did", row->did);
	zk_jw_key(&w, "time_us");
	if (row->has_time)
		zk_jw_i64(&w, row->time_us);
	else
		zk_jw_null(&w);
	kv_text(&w, "kind", row->kind);
	kv_text(&w, "operation", row->operation);
	kv_text(&w, "collection", row->collection);
	kv_text(&w, "message", row->message);
	kv_text(&w, "message_metadata", row->metadata);
	kv_text(&w, "hydration", zk_str_of(hydrations[row->hydration % 3]));
	kv_text(&w, "processed_at", row->processed_at);
	zk_jw_obj_end(&w);
}

/* Nothing when the row does not fit the table: deliver() buries it. */
static void put(void *ctx, const struct zk_jet_row *row, struct zk_buf *b)
{
	struct zb_sink *z = ctx;
	struct zk_error err;
	zk_str payload;

	zk_buf_clear(&z->line);
	put_columns(row, &z->line);
	if (!z->line.failed &&
	    zk_zb_plan_line(z->c.plan, zk_buf_str(&z->line), &payload)) {
		zk_buf_add(b, payload);
		return;
	}
	(void)zk_zb_plan_fail(z->c.plan, &err);
	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a record does not fit the table", &err);
}

/* ---- outcomes ---- */

static void check_over(struct zb_sink *z)
{
	struct zk_error err;

	if (z->owed)
		return;
	/* What was refused is on disk before the position passes it. */
	if (!z->err.code && z->r->dead && zk_jet_dead_sync(z->r->dead, &err) < 0)
		z->err = err;
	zk_jet_follower_done(z->follower, z->err.code ? &z->err : NULL);
}

static void bury(struct zb_sink *z, zk_str bytes)
{
	struct zk_jet_dead_letter l = { .why = ZK_JET_DEAD_SINK,
		                        .source = "zerobus",
		                        .bytes = bytes };
	struct zk_error err;

	if (z->r->dead && zk_jet_dead_put(z->r->dead, &l, &err) < 0 && !z->err.code)
		z->err = err;
}

static void settled(struct zb_sink *z, struct zk_zb_request *r)
{
	z->owed -= r->rows;
	zk_zb_request_free(r);
	check_over(z);
}

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	(void)stream;
	settled(ctx, r);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *why,
                        bool suspect)
{
	struct zb_sink *z = ctx;
	struct zk_zb_cursor c = { 0 };

	zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
	             suspect ? "the table refuses one of these records"
	                     : "the table refuses a record",
	             why);
	while (zk_zb_request_next(r, &c))
		bury(z, c.payload);
	settled(z, r);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *why)
{
	struct zb_sink *z = ctx;

	if (!z->err.code)
		z->err = *why;
	settled(z, r);
}

static void on_retry(void *ctx, size_t stream, const struct zk_zb_retrying *r)
{
	(void)ctx;
	(void)stream;
	if (zk_log_enabled(ZK_LOG_DEBUG))
		zk_log_error(ZK_LOG_DEBUG, ZK_LOGGER, "the stream broke, trying again",
		             r->err);
}

/* ---- a batch ---- */

static void deliver(void *ctx, const struct zk_jet_batch *batch)
{
	struct zb_sink *z = ctx;
	struct zk_zb_request *open = NULL;
	const char *bytes = batch->bytes.p;

	z->err = (struct zk_error){ 0 };
	z->owed = 1; /* until everything is pushed */
	zk_zb_sender_renew(&z->c.sender, &z->c.conf);
	for (size_t i = 0; i < batch->n; i++) {
		const struct zk_jet_rec *rec = &batch->v[i];

		if (!rec->n) {
			bury(z, zk_str_n(bytes + rec->message_at, rec->message_n));
			continue;
		}
		if (open && open->n + rec->n > REQUEST_BYTES)
			zk_zb_sender_push(z->c.sender, ZK_TAKE(open));
		if (!open)
			open = zk_zb_request_new(z->c.kind, "jetstream");
		zk_zb_request_add(open, zk_str_n(bytes + rec->at, rec->n), i, 0);
		z->owed++;
	}
	if (open)
		zk_zb_sender_push(z->c.sender, open);
	z->owed--;
	check_over(z);
}

/* ---- making it ---- */

static void sink_free(void *ctx)
{
	struct zb_sink *z = ctx;

	/* The follower first: outcomes that come now must not reach it. */
	z->owed = SIZE_MAX;
	zk_jet_follower_free(z->follower);
	zb_client_close(&z->c, "stopped");
	zk_buf_done(&z->line);
	free(z);
}

static int open_table(struct zb_sink *z, const char *table, struct zk_error *err)
{
	if (zb_client_load(&z->c, z->r->app, err) < 0)
		return -(int)err->code;
	z->c.o.table = table;
	if (zb_client_open(&z->c, z->r->app, err) < 0)
		return -(int)err->code;
	z->c.conf.ctx = z;
	z->c.conf.on_acked = on_acked;
	z->c.conf.on_rejected = on_rejected;
	z->c.conf.on_unsent = on_unsent;
	z->c.conf.on_retry = on_retry;
	return zb_client_learn(&z->c, "jetstream", /* drop_unknown */ true, err);
}

int jet_run_zerobus(struct run *r, const char *name, const char *where,
                    struct jet_sink *ret, struct zk_error *err)
{
	struct zb_sink *z = zk_new0(struct zb_sink);
	struct zk_jet_follower_conf follow = { .name = name,
		                               .dir = r->dir,
		                               .put = put,
		                               .fd = -1,
		                               .deliver = deliver,
		                               .ctx = z };

	z->r = r;
	zk_buf_init(&z->line, ZK_ZB_ROW_MAX);
	if (open_table(z, where, err) < 0) {
		sink_free(z);
		return zk_wrap(err, "--sink %s", name);
	}
	if (zk_jet_follower_new(r->loop, &follow, zk_app_metrics(r->app), &z->follower,
	                        err) < 0) {
		sink_free(z);
		return -(int)err->code;
	}
	*ret = (struct jet_sink){ .follower = z->follower, .free = sink_free, .ctx = z };
	return 0;
}
