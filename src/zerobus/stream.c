/* The state machine of a stream.
 * Layer: zerobus. specs/zerobus.md §7 to §9, §14.2. */
#include "zerobus/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "zerobus/request.h"
#include "zerobus/stream_int.h"

#include "base/ban.h"

#define DRAIN_MS 30000
#define HALF_MS  5000
#define CALM_MS  60000 /* OPEN for so long without failure is progress */

static const char *const names[] = {
	[ZK_ZB_IDLE] = "IDLE",       [ZK_ZB_TOKEN] = "TOKEN",
	[ZK_ZB_CONNECT] = "CONNECT", [ZK_ZB_CREATE] = "CREATE",
	[ZK_ZB_OPEN] = "OPEN",       [ZK_ZB_DRAINING] = "DRAINING",
	[ZK_ZB_FINISH] = "FINISH",   [ZK_ZB_HALF] = "HALF",
	[ZK_ZB_BACKOFF] = "BACKOFF", [ZK_ZB_ISOLATE] = "ISOLATE",
	[ZK_ZB_DEAD] = "DEAD",       [ZK_ZB_DONE] = "DONE",
};

const char *zk_zb_state_name(enum zk_zb_state state)
{
	return names[state];
}

/* ---- time ---- */

static void arm(struct zk_zb_stream *s)
{
	int64_t at = ZK_MIN(ZK_MIN(s->state_at, s->ack_at), s->flush_at);

	if (at == s->armed_at)
		return;
	s->armed_at = at;
	s->conf.ops->set_timer(s->conf.ctx,
	                       at == INT64_MAX ? -1
	                                       : ZK_MAX(at - zk_mono_ms(), (int64_t)0));
}

void zk_zb_go(struct zk_zb_stream *s, enum zk_zb_state state, int64_t limit_ms)
{
	s->state = state;
	s->state_at = limit_ms < 0 ? INT64_MAX : zk_mono_ms() + limit_ms;
	if (state != ZK_ZB_OPEN && state != ZK_ZB_ISOLATE && state != ZK_ZB_FINISH &&
	    state != ZK_ZB_DRAINING)
		s->ack_at = INT64_MAX;
	arm(s);
	s->conf.ops->on_change(s->conf.ctx);
}

/* Starts the ack timer when something waits, stops it otherwise. */
static void watch_acks(struct zk_zb_stream *s, bool again)
{
	if (!s->w.n)
		s->ack_at = INT64_MAX;
	else if (again || s->ack_at == INT64_MAX)
		s->ack_at = zk_mono_ms() + s->conf.ack_ms;
	arm(s);
}

/* ---- small steps ---- */

static bool is_live(const struct zk_zb_stream *s)
{
	return s->state == ZK_ZB_OPEN || s->state == ZK_ZB_ISOLATE ||
	       s->state == ZK_ZB_FINISH || s->state == ZK_ZB_DRAINING;
}

void zk_zb_begin(struct zk_zb_stream *s, bool fresh_token)
{
	s->created = false;
	zk_zb_go(s, ZK_ZB_TOKEN, -1);
	s->conf.ops->get_token(s->conf.ctx, fresh_token);
}

static void be_done(struct zk_zb_stream *s)
{
	zk_zb_go(s, ZK_ZB_DONE, -1);
	s->conf.ops->on_done(s->conf.ctx);
}

/* Nothing is to be sent at present and no call is open. */
void zk_zb_rest(struct zk_zb_stream *s)
{
	if (s->w.n)
		zk_zb_begin(s, false);
	else if (s->finishing)
		be_done(s);
	else
		zk_zb_go(s, ZK_ZB_IDLE, -1);
}

/* Everything is acknowledged and nothing follows. */
static void half_close(struct zk_zb_stream *s)
{
	s->half = true;
	s->flush_at = INT64_MAX;
	zk_zb_go(s, ZK_ZB_HALF, HALF_MS);
	s->conf.ops->wake(s->conf.ctx);
}

static void be_open(struct zk_zb_stream *s)
{
	s->w.solo = s->isolate_left > 0;
	zk_zb_go(s,
	         s->w.solo      ? ZK_ZB_ISOLATE
	         : s->finishing ? ZK_ZB_FINISH
	                        : ZK_ZB_OPEN,
	         CALM_MS);
	watch_acks(s, true);
	if (s->finishing && !s->w.n) {
		half_close(s);
		return;
	}
	s->conf.ops->wake(s->conf.ctx);
}

/* ---- the owner's side ---- */

struct zk_zb_stream *zk_zb_stream_new(const struct zk_zb_stream_conf *conf)
{
	struct zk_zb_stream *s = zk_new0(struct zk_zb_stream);

	s->conf = *conf;
	s->conf.kind = zk_zb_kind_ref(conf->kind);
	zk_zb_window_init(&s->w);
	zk_buf_init(&s->create, ((size_t)8 << 20) + 4096);
	s->state_at = s->ack_at = s->flush_at = s->armed_at = INT64_MAX;
	s->retry_conf = conf->retry;
	return s;
}

void zk_zb_stream_free(struct zk_zb_stream *s)
{
	struct zk_zb_request *r;

	if (!s)
		return;
	while ((r = zk_zb_window_take_first(&s->w)) != NULL)
		zk_zb_request_free(r);
	zk_buf_done(&s->create);
	zk_zb_kind_unref(s->conf.kind);
	free(s);
}

void zk_zb_stream_push(struct zk_zb_stream *s, struct zk_zb_request *r)
{
	ZK_ASSERT(s->state != ZK_ZB_DEAD && s->state != ZK_ZB_DONE);
	zk_zb_window_push(&s->w, r);
	if (s->state == ZK_ZB_IDLE) {
		zk_zb_begin(s, false);
	} else if (is_live(s)) {
		watch_acks(s, false);
		s->conf.ops->wake(s->conf.ctx);
	}
}

void zk_zb_stream_warm(struct zk_zb_stream *s)
{
	if (s->state == ZK_ZB_IDLE && !s->finishing)
		zk_zb_begin(s, false);
}

bool zk_zb_stream_has_room(const struct zk_zb_stream *s)
{
	return s->state != ZK_ZB_DEAD && s->state != ZK_ZB_DONE &&
	       s->state != ZK_ZB_HALF && s->w.n < s->conf.max_inflight;
}

void zk_zb_stream_finish(struct zk_zb_stream *s)
{
	if (s->finishing || s->state == ZK_ZB_DEAD || s->state == ZK_ZB_DONE)
		return;
	s->finishing = true;
	s->flush_at = zk_mono_ms() + s->conf.flush_ms;
	arm(s);
	if (s->state == ZK_ZB_IDLE) {
		be_done(s);
	} else if (!s->w.n && !is_live(s)) {
		s->conf.ops->drop(s->conf.ctx, ZK_H2_CANCEL);
		be_done(s);
	} else if (s->state == ZK_ZB_OPEN) {
		zk_zb_go(s, ZK_ZB_FINISH, -1);
		watch_acks(s, false);
		if (!s->w.n)
			half_close(s);
	}
}

void zk_zb_stream_hurry(struct zk_zb_stream *s)
{
	zk_zb_stream_finish(s);
	if (s->state == ZK_ZB_BACKOFF)
		zk_zb_begin(s, s->fresh_next);
}

void zk_zb_die(struct zk_zb_stream *s, const struct zk_error *err, uint32_t h2_code)
{
	struct zk_error why = *err;

	s->flush_at = INT64_MAX;
	zk_zb_go(s, ZK_ZB_DEAD, -1);
	s->conf.ops->drop(s->conf.ctx, h2_code);
	s->conf.ops->on_dead(s->conf.ctx, &why);
}

void zk_zb_stream_kill(struct zk_zb_stream *s, const struct zk_error *err)
{
	if (s->state != ZK_ZB_DEAD && s->state != ZK_ZB_DONE)
		zk_zb_die(s, err, ZK_H2_CANCEL);
}

struct zk_zb_request *zk_zb_stream_take_unsent(struct zk_zb_stream *s)
{
	return zk_zb_window_take_first(&s->w);
}

enum zk_zb_state zk_zb_stream_state(const struct zk_zb_stream *s)
{
	return s->state;
}

const struct zk_zb_window *zk_zb_stream_window(const struct zk_zb_stream *s)
{
	return &s->w;
}

const char *zk_zb_stream_id(const struct zk_zb_stream *s)
{
	return s->id;
}

uint64_t zk_zb_stream_resent(const struct zk_zb_stream *s)
{
	return s->resent;
}

unsigned zk_zb_stream_attempt(const struct zk_zb_stream *s)
{
	return s->failures + 1;
}

int zk_zb_stream_last_status(const struct zk_zb_stream *s)
{
	return s->last_status;
}

/* ---- opening ---- */

void zk_zb_stream_token(struct zk_zb_stream *s, const struct zk_error *err)
{
	if (s->state != ZK_ZB_TOKEN)
		return;
	if (!err) {
		zk_zb_go(s, ZK_ZB_CONNECT, -1);
		s->conf.ops->connect(s->conf.ctx);
	} else if (err->retryable) {
		zk_zb_again(s, &(struct zk_zb_failure){ .err = *err,
		                                        .why = ZK_ZB_WHY_CONNECT,
		                                        .pushback_ms = -1 });
	} else {
		zk_zb_die(s, err, ZK_H2_CANCEL);
	}
}

void zk_zb_stream_opened(struct zk_zb_stream *s)
{
	if (s->state != ZK_ZB_CONNECT)
		return;
	zk_buf_clear(&s->create);
	zk_zb_put_create(&s->create, s->conf.table, s->conf.kind);
	s->create_at = 0;
	s->half = false;
	zk_zb_go(s, ZK_ZB_CREATE, s->conf.create_ms);
}

size_t zk_zb_stream_ready(struct zk_zb_stream *s, size_t room, bool *end)
{
	if (s->state == ZK_ZB_HALF) {
		*end = true;
		return 0;
	}
	if (s->state == ZK_ZB_CREATE)
		return ZK_MIN(room, s->create.n - s->create_at);
	return is_live(s) ? zk_zb_window_ready(&s->w, room) : 0;
}

void zk_zb_stream_take(struct zk_zb_stream *s, char *to, size_t n)
{
	if (s->state == ZK_ZB_CREATE) {
		memcpy(to, s->create.p + s->create_at, n);
		s->create_at += n;
		return;
	}
	zk_zb_window_take(&s->w, to, n);
}

/* ---- what the service says ---- */

static void violation(struct zk_zb_stream *s, const char *what)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_ZB_PROTOCOL, "the service broke the protocol: %s", what);
	zk_zb_die(s, &err, ZK_H2_CANCEL);
}

static void on_created(struct zk_zb_stream *s, const struct zk_zb_answer *a)
{
	if (s->state != ZK_ZB_CREATE || s->create_at < s->create.n) {
		violation(s, "an answer to create_stream that was not due");
		return;
	}
	(void)snprintf(s->id, sizeof(s->id), "%.*s",
	               (int)ZK_MIN(a->stream_id.n, sizeof(s->id) - 1),
	               a->stream_id.n ? a->stream_id.p : "");
	s->created = true;
	s->acked_here = false;
	s->again = zk_zb_window_rewind(&s->w);
	s->resent += s->again;
	s->again_sum += s->again;
	be_open(s);
}

/* Durable progress: the series of failures is over. */
static void progress(struct zk_zb_stream *s)
{
	struct zk_zb_recovered r = { .attempts = s->failures,
		                     .after_ms = zk_mono_ms() - s->retry.start_ms,
		                     .rows_again = s->again_sum };

	s->acked_here = true;
	s->drained_in_vain = 0;
	s->fresh_tried = false;
	s->h2_faults = 0;
	s->full_in_a_row = 0;
	s->again_sum = 0;
	if (!s->failures)
		return;
	s->failures = 0;
	s->conf.ops->on_recovered(s->conf.ctx, &r);
}

/* A drained stream goes when everything that was sent is acknowledged. */
static bool drained(struct zk_zb_stream *s)
{
	if (s->state != ZK_ZB_DRAINING || !zk_zb_window_is_quiet(&s->w))
		return false;
	s->conf.ops->retire(s->conf.ctx);
	zk_zb_rest(s);
	return true;
}

static void after_ack(struct zk_zb_stream *s)
{
	watch_acks(s, true);
	if (s->state == ZK_ZB_ISOLATE && s->isolate_left == 0) {
		be_open(s);
		return;
	}
	if (drained(s))
		return;
	if (s->state == ZK_ZB_FINISH && !s->w.n)
		half_close(s);
	else if (s->w.solo)
		s->conf.ops->wake(s->conf.ctx);
	s->conf.ops->on_change(s->conf.ctx);
}

static void on_ack(struct zk_zb_stream *s, const struct zk_zb_answer *a)
{
	struct zk_zb_request *r;
	char what[80];

	if (s->state == ZK_ZB_HALF)
		return; /* a repetition: everything was acknowledged */
	if (!is_live(s)) {
		violation(s, "an acknowledgement before the stream was created");
		return;
	}
	if (!a->has_acked) {
		violation(s, "an acknowledgement without a number");
		return;
	}
	switch (zk_zb_window_ack(&s->w, a->acked)) {
	case ZK_ZB_ACK_BAD:
		(void)snprintf(what, sizeof(what),
		               "an acknowledgement of %lld when %lld was the last sent",
		               (long long)a->acked, (long long)s->w.sent);
		violation(s, what);
		return;
	case ZK_ZB_ACK_OLD:
		return;
	case ZK_ZB_ACK_NEW:
		break;
	}
	progress(s);
	while ((r = zk_zb_window_take_acked(&s->w)) != NULL) {
		s->isolate_acked += s->isolate_left ? r->rows : 0;
		s->isolate_left -= s->isolate_left > 0;
		s->conf.ops->on_acked(s->conf.ctx, r);
		if (s->state == ZK_ZB_DEAD)
			return; /* the owner had enough */
	}
	after_ack(s);
}

static void drain(struct zk_zb_stream *s, int64_t ms, enum zk_zb_why why)
{
	s->w.hold = true;
	s->rotation = why;
	zk_zb_go(s, ZK_ZB_DRAINING,
	         ms >= 0 ? ZK_MIN(ms, (int64_t)DRAIN_MS) : (int64_t)DRAIN_MS);
	(void)drained(s);
}

static void on_close(struct zk_zb_stream *s, const struct zk_zb_answer *a)
{
	struct zk_zb_failure f = { .why = ZK_ZB_WHY_CLOSE_SIGNAL, .pushback_ms = -1 };

	if (s->state == ZK_ZB_CREATE) {
		(void)zk_fail(&f.err, ZK_E_ZB_STREAM,
		              "the service closed the stream before it was created");
		s->conf.ops->drop(s->conf.ctx, ZK_H2_CANCEL);
		zk_zb_again(s, &f);
		return;
	}
	if (is_live(s) && s->state != ZK_ZB_DRAINING)
		drain(s, a->duration_ms, ZK_ZB_WHY_CLOSE_SIGNAL);
}

void zk_zb_stream_message(struct zk_zb_stream *s, zk_str message)
{
	struct zk_zb_answer a;
	struct zk_error err = { 0 };

	if (s->state != ZK_ZB_CREATE && s->state != ZK_ZB_HALF && !is_live(s))
		return;
	if (zk_zb_answer_parse(message, &a, &err) < 0) {
		zk_zb_die(s, &err, ZK_H2_CANCEL);
		return;
	}
	switch (a.what) {
	case ZK_ZB_SAYS_NOTHING:
		break;
	case ZK_ZB_SAYS_CREATED:
		on_created(s, &a);
		break;
	case ZK_ZB_SAYS_ACK:
		on_ack(s, &a);
		break;
	case ZK_ZB_SAYS_CLOSE:
		on_close(s, &a);
		break;
	}
}

void zk_zb_stream_goaway(struct zk_zb_stream *s)
{
	if (is_live(s) && s->state != ZK_ZB_DRAINING)
		drain(s, -1, ZK_ZB_WHY_GOAWAY);
}

/* ---- limits of time ---- */

static void fail_time(struct zk_zb_stream *s, enum zk_code code, const char *text,
                      int64_t ms, enum zk_zb_why why)
{
	struct zk_zb_failure f = { .why = why, .pushback_ms = -1 };

	(void)zk_fail(&f.err, code, "%s for %.1f s", text, (double)ms / 1000);
	s->conf.ops->drop(s->conf.ctx, ZK_H2_CANCEL);
	zk_zb_again(s, &f);
}

/* The time of the state is over. */
static void state_over(struct zk_zb_stream *s)
{
	switch (s->state) {
	case ZK_ZB_CREATE:
		fail_time(s, ZK_E_ZB_CREATE_TIME,
		          "the service did not answer create_stream", s->conf.create_ms,
		          ZK_ZB_WHY_CONNECT);
		break;
	case ZK_ZB_BACKOFF:
		zk_zb_begin(s, s->fresh_next);
		break;
	case ZK_ZB_HALF:
		s->conf.ops->drop(s->conf.ctx, ZK_H2_NO_ERROR);
		be_done(s);
		break;
	case ZK_ZB_DRAINING:
		if (drained(s))
			break;
		s->conf.ops->drop(s->conf.ctx, ZK_H2_CANCEL);
		zk_zb_rotate(s);
		break;
	case ZK_ZB_OPEN:
	case ZK_ZB_FINISH:
	case ZK_ZB_ISOLATE:
		s->state_at = INT64_MAX;
		s->failures = 0; /* a minute without failure */
		arm(s);
		break;
	case ZK_ZB_IDLE:
	case ZK_ZB_TOKEN:
	case ZK_ZB_CONNECT:
	case ZK_ZB_DEAD:
	case ZK_ZB_DONE:
		break;
	}
}

void zk_zb_stream_tick(struct zk_zb_stream *s)
{
	struct zk_error err = { 0 };
	int64_t now = zk_mono_ms();

	s->armed_at = INT64_MAX;
	if (now >= s->flush_at) {
		(void)zk_fail(&err, ZK_E_ZB_FLUSH_TIME,
		              "the last acknowledgements did not come within %.1f s",
		              (double)s->conf.flush_ms / 1000);
		zk_zb_die(s, &err, ZK_H2_CANCEL);
	} else if (now >= s->ack_at) {
		fail_time(s, ZK_E_ZB_ACK_TIME, "nothing was acknowledged", s->conf.ack_ms,
		          ZK_ZB_WHY_ACK_TIMEOUT);
	} else if (now >= s->state_at) {
		state_over(s);
	} else {
		arm(s);
	}
}

/* ---- the end of a call ---- */

void zk_zb_stream_ended(struct zk_zb_stream *s, const struct zk_grpc_end *end)
{
	s->last_status = end->code;
	switch (s->state) {
	case ZK_ZB_HALF:
		s->conf.ops->drop(s->conf.ctx, ZK_H2_NO_ERROR);
		be_done(s);
		return;
	case ZK_ZB_CONNECT:
	case ZK_ZB_CREATE:
	case ZK_ZB_OPEN:
	case ZK_ZB_FINISH:
	case ZK_ZB_ISOLATE:
	case ZK_ZB_DRAINING:
		break;
	case ZK_ZB_IDLE:
	case ZK_ZB_TOKEN:
	case ZK_ZB_BACKOFF:
	case ZK_ZB_DEAD:
	case ZK_ZB_DONE:
		return;
	}
	s->conf.ops->drop(s->conf.ctx, ZK_H2_NO_ERROR);
	/* A quiet stream that ends is no failure. */
	if (s->created && !s->w.n) {
		zk_zb_rest(s);
		return;
	}
	zk_zb_classify(s, end);
}
