/* The sink triggers: of `zk jetstream run`: each record is an event of zk's own trigger server,
 * sent by the client of `zk triggers send`.
 * Layer: cmd. specs/jetstream.md §15.3. */
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/jetstream_run.h"
#include "cmd/triggers_client.h"
#include "codec/digest.h"
#include "triggers/sender.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

struct trig_sink {
	struct run *r;
	struct zk_optpool pool;
	struct trig_opts o;
	struct trig_session s;
	struct zk_trig_sender *sender;
	struct zk_jet_follower *follower;
	struct zk_jet_decoder decoder; /* the lane's */
	struct zk_buf key;             /* the lane's */
	size_t owed;                   /* answers of the running batch */
	struct zk_error err;           /* why it is not delivered; code 0 = it is */
};

/* SHA-256 of what makes it the same event again (§8.4), in hexadecimal. */
static void put_key(struct trig_sink *t, const struct zk_jet_event *e, zk_str message,
                    struct zk_buf *b)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[ZK_SHA256_SIZE];

	zk_buf_clear(&t->key);
	if (e)
		zk_jet_key(e, &t->key);
	else
		zk_buf_add(&t->key, message);
	zk_sha256(zk_buf_str(&t->key), sum);
	for (size_t i = 0; i < sizeof(sum); i++) {
		zk_buf_char(b, hex[sum[i] >> 4]);
		zk_buf_char(b, hex[sum[i] & 15]);
	}
}

/* {"type":…,"dedup_id":…,"payload":…}; the lane. */
static void put(void *ctx, const struct zk_jet_row *row, struct zk_buf *b)
{
	struct trig_sink *t = ctx;
	struct zk_jet_event e;
	bool known = zk_jet_decode(&t->decoder, row->message, &e) == ZK_JET_ALIVE;

	zk_buf_lit(b, "{\"type\":");
	zk_buf_json_str(b, row->collection.n ? row->collection
	                   : row->kind.n     ? row->kind
	                                     : ZK_STR("event"));
	zk_buf_lit(b, ",\"dedup_id\":\"");
	put_key(t, known ? &e : NULL, row->message, b);
	zk_buf_lit(b, "\",\"payload\":");
	zk_jet_put_record(row, (enum zk_jet_envelope)t->r->o->jet.envelope, b);
	zk_buf_char(b, '}');
}

static void check_over(struct trig_sink *t)
{
	struct zk_error err;

	if (t->owed)
		return;
	/* What was refused is on disk before the position passes it. */
	if (!t->err.code && t->r->dead && zk_jet_dead_sync(t->r->dead, &err) < 0)
		t->err = err;
	zk_jet_follower_done(t->follower, t->err.code ? &t->err : NULL);
}

static void bury(struct trig_sink *t, const struct zk_trig_record *rec,
                 const struct zk_trig_answer *a)
{
	struct zk_jet_dead_letter l = { .why = ZK_JET_DEAD_SINK,
		                        .source = "triggers",
		                        .bytes = zk_str_n(rec->text, rec->n) };
	struct zk_error err;

	zk_warn("the trigger server refuses a record", "status=%d answer=%.*s", a->status,
	        (int)ZK_MIN(a->reason.n, (size_t)200), a->reason.p ? a->reason.p : "");
	if (t->r->dead && zk_jet_dead_put(t->r->dead, &l, &err) < 0 && !t->err.code)
		t->err = err;
}

static void on_answer(void *ctx, struct zk_trig_record *rec,
                      const struct zk_trig_answer *a)
{
	struct trig_sink *t = ctx;

	switch (a->what) {
	case ZK_TRIG_SENT:
	case ZK_TRIG_DUPLICATE:
		break;
	case ZK_TRIG_REJECTED:
		bury(t, rec, a);
		break;
	case ZK_TRIG_UNSENT:
		if (!t->err.code)
			t->err = *a->err;
		break;
	}
	free(rec);
	t->owed--;
	check_over(t);
}

static void on_pause(void *ctx, bool pause)
{
	/* One batch at a time is given. */
	(void)ctx;
	(void)pause;
}

static void on_idle(void *ctx)
{
	(void)ctx;
}

static void deliver(void *ctx, const struct zk_jet_batch *batch)
{
	struct trig_sink *t = ctx;

	t->err = (struct zk_error){ 0 };
	t->owed = batch->n;
	for (size_t i = 0; i < batch->n; i++) {
		const struct zk_jet_rec *rec = &batch->v[i];

		zk_trig_sender_push(
		        t->sender,
		        zk_trig_record_new(zk_str_n(batch->bytes.p + rec->at, rec->n)));
	}
	zk_trig_sender_flush(t->sender);
}

static void sink_free(void *ctx)
{
	struct trig_sink *t = ctx;

	/* The follower first: answers that come now must not reach it. */
	t->owed = SIZE_MAX;
	zk_jet_follower_free(t->follower);
	zk_trig_sender_free(t->sender);
	trig_close(&t->s);
	zk_optpool_done(&t->pool);
	zk_jet_decoder_done(&t->decoder);
	zk_buf_done(&t->key);
	free(t);
}

int jet_run_triggers(struct run *r, const char *name, const char *where,
                     struct jet_sink *ret, struct zk_error *err)
{
	struct trig_sink *t = zk_new0(struct trig_sink);
	struct zk_trig_sender_conf sender = { .client = &t->s.client,
		                              .batch_events = TRIG_BATCH_EVENTS,
		                              .batch_bytes = TRIG_BATCH_BYTES,
		                              .ctx = t,
		                              .on_answer = on_answer,
		                              .on_pause = on_pause,
		                              .on_idle = on_idle };
	struct zk_jet_follower_conf follow = { .name = name,
		                               .dir = r->dir,
		                               .put = put,
		                               .fd = -1,
		                               .deliver = deliver,
		                               .ctx = t };

	t->r = r;
	zk_jet_decoder_init(&t->decoder, /* records */ false);
	zk_buf_init(&t->key, ZK_JET_EVENT_MAX);
	if (trig_options_for(r->app, where, &t->pool, &t->o, err) < 0 ||
	    trig_open(r->app, &t->o, /* need_key */ true, &t->s, err) < 0) {
		sink_free(t);
		return zk_wrap(err, "--sink %s", name);
	}
	t->sender = zk_trig_sender_new(r->loop, &sender);
	if (zk_jet_follower_new(r->loop, &follow, zk_app_metrics(r->app), &t->follower,
	                        err) < 0) {
		sink_free(t);
		return -(int)err->code;
	}
	*ret = (struct jet_sink){ .follower = t->follower, .free = sink_free, .ctx = t };
	return 0;
}
