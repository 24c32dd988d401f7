/* The state machine of a stream, every row of specs/zerobus.md §7, with a clock that stands and no
 * network.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"
#include "zerobus/stream.h"

#include "base/ban.h"

static struct world {
	struct zk_zb_stream *s;
	struct zk_zb_kind *kind;
	struct zk_rand rnd;
	int64_t timer_at; /* -1 = none */
	unsigned tokens, fresh, connects, drops, retires, retries, recovered;
	uint64_t acked, rejected, suspects;
	int64_t wait_ms;
	uint64_t again;
	struct zk_error dead;
	bool is_dead, is_done;
	int64_t age_ms;
} w;

static void get_token(void *ctx, bool fresh)
{
	(void)ctx;
	w.tokens++;
	w.fresh += fresh;
}

static int64_t token_age(void *ctx)
{
	(void)ctx;
	return w.age_ms;
}

static void connect_(void *ctx)
{
	(void)ctx;
	w.connects++;
}

static void wake(void *ctx)
{
	(void)ctx;
}

static void drop(void *ctx, uint32_t code)
{
	(void)ctx;
	(void)code;
	w.drops++;
}

static void retire(void *ctx)
{
	(void)ctx;
	w.retires++;
}

static void set_timer(void *ctx, int64_t ms)
{
	(void)ctx;
	w.timer_at = ms < 0 ? -1 : zk_mono_ms() + ms;
}

static void on_acked(void *ctx, struct zk_zb_request *r)
{
	(void)ctx;
	w.acked += r->rows;
	zk_zb_request_free(r);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *err,
                        bool suspect)
{
	(void)ctx;
	cr_expect_eq(err->code, ZK_E_ZB_ROW_REFUSED);
	*(suspect ? &w.suspects : &w.rejected) += r->rows;
	zk_zb_request_free(r);
}

static void on_change(void *ctx)
{
	(void)ctx;
}

static void on_retry(void *ctx, const struct zk_zb_retrying *r)
{
	(void)ctx;
	w.retries++;
	w.wait_ms = r->wait_ms;
}

static void on_recovered(void *ctx, const struct zk_zb_recovered *r)
{
	(void)ctx;
	w.recovered++;
	w.again = r->rows_again;
}

static void on_dead(void *ctx, const struct zk_error *err)
{
	(void)ctx;
	w.is_dead = true;
	w.dead = *err;
}

static void on_done(void *ctx)
{
	(void)ctx;
	w.is_done = true;
}

static const struct zk_zb_stream_ops ops = {
	.get_token = get_token,
	.token_age_ms = token_age,
	.connect = connect_,
	.wake = wake,
	.drop = drop,
	.retire = retire,
	.set_timer = set_timer,
	.on_acked = on_acked,
	.on_rejected = on_rejected,
	.on_change = on_change,
	.on_retry = on_retry,
	.on_recovered = on_recovered,
	.on_dead = on_dead,
	.on_done = on_done,
};

static void begin(void)
{
	struct zk_zb_stream_conf conf = {
		.retry = { .max_retries = 5,
		           .base_ms = 250,
		           .cap_ms = 30000,
		           .max_time_ms = 300000 },
		.create_ms = 15000,
		.ack_ms = 60000,
		.flush_ms = 300000,
		.max_inflight = 4,
		.isolate = true,
		.table = ZK_STR("a.b.c"),
		.rnd = &w.rnd,
		.ops = &ops,
	};

	w = (struct world){ .timer_at = -1 };
	zk_clock_fake(1000000000, 0);
	zk_rand_seed(&w.rnd, 1);
	w.kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	conf.kind = w.kind;
	w.s = zk_zb_stream_new(&conf);
}

static void end(void)
{
	zk_zb_stream_free(w.s);
	zk_zb_kind_unref(w.kind);
	zk_clock_real();
}

static void expect_state(enum zk_zb_state state)
{
	cr_expect_eq(zk_zb_stream_state(w.s), state, "%s instead of %s",
	             zk_zb_state_name(zk_zb_stream_state(w.s)), zk_zb_state_name(state));
}

static void push(unsigned rows)
{
	struct zk_zb_request *r = zk_zb_request_new(w.kind, "in");

	for (unsigned i = 0; i < rows; i++)
		zk_zb_request_add(r, ZK_STR("{\"n\":1}"), i, i + 1);
	zk_zb_stream_push(w.s, r);
}

/* Fetches everything that can be sent; how many bytes. */
static size_t send_all(void)
{
	char to[4096];
	size_t total = 0;
	bool half = false;

	for (;;) {
		size_t n = zk_zb_stream_ready(w.s, sizeof(to), &half);

		if (!n)
			return total;
		zk_zb_stream_take(w.s, to, n);
		total += n;
	}
}

static void say(void (*put)(struct zk_buf *b, int64_t v), int64_t v)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 4096);
	put(&b, v);
	zk_zb_stream_message(w.s, zk_str_from(zk_buf_str(&b), ZK_GRPC_HEAD));
}

static void put_created(struct zk_buf *b, int64_t v)
{
	(void)v;
	zk_zb_put_created(b, ZK_STR("id-1"));
}

/* From TOKEN to OPEN. */
static void open_stream(void)
{
	zk_zb_stream_token(w.s, NULL);
	expect_state(ZK_ZB_CONNECT);
	zk_zb_stream_opened(w.s);
	expect_state(ZK_ZB_CREATE);
	cr_expect_gt(send_all(), 0u);
	say(put_created, 0);
}

static void end_with(int code)
{
	struct zk_grpc_end e = { .code = code,
		                 .from = ZK_GRPC_FROM_STATUS,
		                 .http_status = 200,
		                 .retryable = zk_grpc_code_is_retryable(code),
		                 .pushback_ms = -1 };

	zk_zb_stream_ended(w.s, &e);
}

/* The time until the timer passes, and it fires. */
static void tick(void)
{
	cr_assert_geq(w.timer_at, 0);
	zk_clock_advance((w.timer_at - zk_mono_ms()) * 1000);
	zk_zb_stream_tick(w.s);
}

Test(zb_stream, from_idle_to_done)
{
	begin();
	expect_state(ZK_ZB_IDLE);
	push(3);
	expect_state(ZK_ZB_TOKEN);
	open_stream();
	expect_state(ZK_ZB_OPEN);
	cr_expect_str_eq(zk_zb_stream_id(w.s), "id-1");
	send_all();
	say(zk_zb_put_ack, 0);
	cr_expect_eq(w.acked, 3u);
	zk_zb_stream_finish(w.s);
	expect_state(ZK_ZB_HALF);
	end_with(13); /* everything was acknowledged: no status makes this a failure */
	cr_expect(w.is_done && !w.is_dead);
	end();
}

Test(zb_stream, nothing_to_send_needs_no_connection)
{
	begin();
	zk_zb_stream_finish(w.s);
	cr_expect(w.is_done);
	cr_expect_eq(w.tokens, 0u);
	end();
}

Test(zb_stream, half_closed_streams_end_after_5_s)
{
	begin();
	push(1);
	open_stream();
	zk_zb_stream_finish(w.s);
	expect_state(ZK_ZB_FINISH);
	send_all();
	say(zk_zb_put_ack, 0);
	expect_state(ZK_ZB_HALF);
	tick();
	cr_expect(w.is_done);
	end();
}

Test(zb_stream, the_budget_is_5_retries_and_connecting_is_no_progress)
{
	begin();
	push(1);
	for (unsigned i = 0; i < 6; i++) {
		expect_state(ZK_ZB_TOKEN);
		open_stream();
		expect_state(ZK_ZB_OPEN);
		send_all();
		end_with(13);
		if (i == 5)
			break;
		expect_state(ZK_ZB_BACKOFF);
		cr_expect_leq(w.wait_ms, 250 << i);
		tick();
	}
	cr_expect(w.is_dead);
	cr_expect_eq(w.dead.code, ZK_E_ZB_RETRIES);
	cr_expect_eq(w.connects, 6u);
	struct zk_zb_request *r = zk_zb_stream_take_unsent(w.s);

	cr_assert_not_null(r);
	zk_zb_request_free(r);
	end();
}

Test(zb_stream, an_acknowledgement_ends_the_series)
{
	begin();
	push(1);
	push(2);
	open_stream();
	send_all();
	end_with(14);
	tick();
	open_stream();
	cr_expect_eq(zk_zb_stream_resent(w.s), 3u);
	send_all();
	say(zk_zb_put_ack, 0);
	cr_expect_eq(w.recovered, 1u);
	cr_expect_eq(w.again, 3u);
	cr_expect_eq(w.acked, 1u);
	end_with(14);
	tick();
	open_stream();
	cr_expect_eq(zk_zb_stream_resent(w.s), 5u, "only what was not acknowledged");
	end();
}

Test(zb_stream, limits_of_time)
{
	begin();
	push(1);
	zk_zb_stream_token(w.s, NULL);
	zk_zb_stream_opened(w.s);
	tick(); /* create */
	expect_state(ZK_ZB_BACKOFF);
	tick();
	open_stream();
	send_all();
	tick(); /* acknowledgement */
	expect_state(ZK_ZB_BACKOFF);
	zk_zb_stream_finish(w.s);
	tick();
	open_stream();
	expect_state(ZK_ZB_FINISH);
	zk_clock_advance((int64_t)300000 * 1000);
	zk_zb_stream_tick(w.s);
	cr_expect(w.is_dead);
	cr_expect_eq(w.dead.code, ZK_E_ZB_FLUSH_TIME);
	end();
}

Test(zb_stream, bad_acknowledgements_are_violations)
{
	static const int64_t bad[] = { 1, INT64_MAX, -2 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		begin();
		push(1);
		open_stream();
		send_all();
		say(zk_zb_put_ack, -1);
		say(zk_zb_put_ack, bad[i]);
		cr_expect(w.is_dead, "case %zu", i);
		cr_expect_eq(w.dead.code, ZK_E_ZB_PROTOCOL);
		cr_expect_eq(w.acked, 0u);
		end();
	}
	begin();
	push(1);
	zk_zb_stream_token(w.s, NULL);
	zk_zb_stream_opened(w.s);
	say(zk_zb_put_ack, 0);
	cr_expect_eq(w.dead.code, ZK_E_ZB_PROTOCOL, "before it is created");
	end();
}

Test(zb_stream, an_acknowledgement_of_what_is_half_sent_is_a_violation)
{
	char to[8];
	bool half;

	begin();
	push(1);
	open_stream();
	cr_assert_eq(zk_zb_stream_ready(w.s, sizeof(to), &half), sizeof(to));
	zk_zb_stream_take(w.s, to, sizeof(to));
	say(zk_zb_put_ack, 0);
	cr_expect(w.is_dead);
	end();
}

Test(zb_stream, a_close_signal_drains_and_a_quiet_stream_rests)
{
	begin();
	push(1);
	open_stream();
	send_all();
	say(zk_zb_put_close, 5000);
	expect_state(ZK_ZB_DRAINING);
	push(1); /* nothing new is sent */
	cr_expect_eq(send_all(), 0u);
	say(zk_zb_put_ack, 0);
	cr_expect_eq(w.retires, 1u);
	expect_state(ZK_ZB_TOKEN);
	open_stream();
	send_all();
	say(zk_zb_put_ack, 0);
	say(zk_zb_put_close, 5000);
	expect_state(ZK_ZB_IDLE); /* nothing waits */
	cr_expect_eq(w.retries, 0u);
	end();
}

/* End to end of §23: stdin says nothing for twenty minutes, the service rotates three times. */
Test(zb_stream, twenty_quiet_minutes_make_no_reconnect_storm)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		push(1);
		open_stream();
		send_all();
		say(zk_zb_put_ack, 0);
		cr_expect_eq(w.connects, i + 1);
		zk_clock_advance(INT64_C(400000000));
		zk_zb_stream_tick(w.s); /* whatever timer there was */
		say(zk_zb_put_close, 5000);
		expect_state(ZK_ZB_IDLE);
		zk_clock_advance(INT64_C(400000000));
		zk_zb_stream_tick(w.s);
		expect_state(ZK_ZB_IDLE);
		cr_expect_eq(w.connects, i + 1, "nobody asked for a stream");
	}
	push(1);
	open_stream();
	send_all();
	say(zk_zb_put_ack, 0);
	cr_expect_eq(w.acked, 4u);
	cr_expect_eq(w.retries, 0u);
	end();
}

Test(zb_stream, two_rotations_without_an_acknowledgement_are_counted)
{
	begin();
	push(1);
	for (int i = 0; i < 2; i++) {
		open_stream();
		send_all();
		say(zk_zb_put_close, 100);
		expect_state(ZK_ZB_DRAINING);
		tick();
		expect_state(i == 0 ? ZK_ZB_TOKEN : ZK_ZB_BACKOFF);
	}
	end();
}

Test(zb_stream, goaway_is_a_close_signal_of_unknown_length)
{
	begin();
	push(1);
	open_stream();
	send_all();
	zk_zb_stream_goaway(w.s);
	expect_state(ZK_ZB_DRAINING);
	cr_expect_eq(w.timer_at - zk_mono_ms(), 30000);
	say(zk_zb_put_ack, 0);
	expect_state(ZK_ZB_IDLE);
	end();
}

Test(zb_stream, a_quiet_stream_that_ends_is_no_failure)
{
	begin();
	push(1);
	open_stream();
	send_all();
	say(zk_zb_put_ack, 0);
	end_with(14);
	expect_state(ZK_ZB_IDLE);
	cr_expect_eq(w.retries, 0u);
	end();
}

Test(zb_stream, a_refused_token_is_replaced_once)
{
	static const int codes[] = { 16, 7 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(codes); i++) {
		begin();
		push(1);
		zk_zb_stream_token(w.s, NULL);
		zk_zb_stream_opened(w.s);
		end_with(codes[i]);
		expect_state(ZK_ZB_TOKEN);
		cr_expect_eq(w.fresh, 1u);
		zk_zb_stream_token(w.s, NULL);
		zk_zb_stream_opened(w.s);
		end_with(codes[i]);
		cr_expect(w.is_dead);
		cr_expect_eq(w.dead.code, codes[i] == 16 ? ZK_E_ZB_TOKEN : ZK_E_ZB_GRANT);
		end();
	}
}

Test(zb_stream, classes_of_status_while_it_is_created)
{
	static const struct {
		int code;
		enum zk_code zk; /* 0 = tried again */
	} cases[] = { { 0, 0 },
		      { 1, 0 },
		      { 2, 0 },
		      { 3, ZK_E_ZB_CREATE },
		      { 4, 0 },
		      { 5, ZK_E_ZB_NO_TABLE },
		      { 6, 0 },
		      { 8, 0 },
		      { 9, 0 },
		      { 10, 0 },
		      { 11, ZK_E_ZB_CREATE },
		      { 12, ZK_E_ZB_METHOD },
		      { 13, 0 },
		      { 14, 0 },
		      { 15, 0 },
		      { 99, 0 } };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		begin();
		push(1);
		zk_zb_stream_token(w.s, NULL);
		zk_zb_stream_opened(w.s);
		end_with(cases[i].code);
		if (cases[i].zk)
			cr_expect_eq(w.dead.code, cases[i].zk, "status %d",
			             cases[i].code);
		else
			expect_state(ZK_ZB_BACKOFF);
		end();
	}
}

Test(zb_stream, the_search_finds_the_row)
{
	begin();
	push(1);
	push(4);
	open_stream();
	send_all();
	end_with(3);
	/* Alone: the first passes, the second is refused until one row of it is left. */
	for (int round = 0; round < 20 && w.rejected == 0; round++) {
		if (zk_zb_stream_state(w.s) == ZK_ZB_BACKOFF)
			tick();
		open_stream();
		expect_state(ZK_ZB_ISOLATE);
		cr_assert_gt(send_all(), 0u);
		if (w.acked == 0) {
			say(zk_zb_put_ack, 0);
			send_all();
		}
		end_with(3);
	}
	cr_expect_eq(w.acked, 1u);
	cr_expect_eq(w.rejected, 1u);
	cr_expect_not(w.is_dead);
	end();
}

Test(zb_stream, eight_refused_rows_and_no_other_are_systematic)
{
	begin();
	push(10);
	open_stream();
	send_all();
	end_with(3);
	for (int round = 0; round < 60 && !w.is_dead; round++) {
		if (zk_zb_stream_state(w.s) == ZK_ZB_BACKOFF)
			tick();
		open_stream();
		send_all();
		end_with(3);
	}
	cr_expect_eq(w.rejected, 8u);
	cr_expect_eq(w.dead.code, ZK_E_ZB_ERRORS);
	end();
}

Test(zb_stream, a_stop_ends_a_pause)
{
	begin();
	push(1);
	open_stream();
	send_all();
	end_with(14);
	expect_state(ZK_ZB_BACKOFF);
	zk_zb_stream_hurry(w.s);
	expect_state(ZK_ZB_TOKEN);
	open_stream();
	expect_state(ZK_ZB_FINISH);
	end();
}

Test(zb_stream, the_window_has_a_limit)
{
	begin();
	for (int i = 0; i < 4; i++) {
		cr_expect(zk_zb_stream_has_room(w.s));
		push(1);
	}
	cr_expect_not(zk_zb_stream_has_room(w.s));
	end();
}

Test(zb_stream, code_6006_waits_a_minute_at_least)
{
	struct zk_grpc_end e = { .code = 14,
		                 .from = ZK_GRPC_FROM_STATUS,
		                 .http_status = 200,
		                 .retryable = true,
		                 .pushback_ms = -1,
		                 .message = "no new pipelines (6006)" };

	begin();
	push(1);
	zk_zb_stream_token(w.s, NULL);
	zk_zb_stream_opened(w.s);
	zk_zb_stream_ended(w.s, &e);
	expect_state(ZK_ZB_BACKOFF);
	cr_expect(w.wait_ms >= 60000 && w.wait_ms <= 90000);
	end();
}

/* Every state that §7 names, from a fresh world. */
static void go_to(enum zk_zb_state state)
{
	begin();
	if (state == ZK_ZB_IDLE)
		return;
	push(2);
	if (state == ZK_ZB_TOKEN)
		return;
	if (state == ZK_ZB_CONNECT || state == ZK_ZB_CREATE) {
		zk_zb_stream_token(w.s, NULL);
		if (state == ZK_ZB_CREATE)
			zk_zb_stream_opened(w.s);
		return;
	}
	open_stream();
	send_all();
	if (state == ZK_ZB_DRAINING)
		say(zk_zb_put_close, 5000);
	else if (state == ZK_ZB_BACKOFF)
		end_with(14);
	else if (state == ZK_ZB_FINISH || state == ZK_ZB_HALF)
		zk_zb_stream_finish(w.s);
	if (state == ZK_ZB_HALF)
		say(zk_zb_put_ack, 0);
	if (state != ZK_ZB_ISOLATE)
		return;
	end_with(3);
	if (zk_zb_stream_state(w.s) == ZK_ZB_BACKOFF)
		tick();
	open_stream();
}

static const enum zk_zb_state all_states[] = {
	ZK_ZB_IDLE,     ZK_ZB_TOKEN,  ZK_ZB_CONNECT, ZK_ZB_CREATE,  ZK_ZB_OPEN,
	ZK_ZB_DRAINING, ZK_ZB_FINISH, ZK_ZB_HALF,    ZK_ZB_BACKOFF, ZK_ZB_ISOLATE,
};

/* The rest of the way to the end, whatever the state is: everything is acknowledged. */
static void run_to_the_end(void)
{
	for (int i = 0; i < 10 && !w.is_done && !w.is_dead; i++) {
		switch (zk_zb_stream_state(w.s)) {
		case ZK_ZB_TOKEN:
			zk_zb_stream_token(w.s, NULL);
			break;
		case ZK_ZB_CONNECT:
			zk_zb_stream_opened(w.s);
			break;
		case ZK_ZB_CREATE:
			send_all();
			say(put_created, 0);
			break;
		case ZK_ZB_HALF:
			end_with(0);
			break;
		case ZK_ZB_BACKOFF:
			tick();
			break;
		default:
			send_all();
			say(zk_zb_put_ack, zk_zb_stream_window(w.s)->sent);
		}
	}
}

Test(zb_stream, the_first_signal_in_every_state)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(all_states); i++) {
		uint64_t rows = all_states[i] == ZK_ZB_IDLE ? 0 : 2;

		go_to(all_states[i]);
		expect_state(all_states[i]);
		zk_zb_stream_hurry(w.s);
		cr_expect_neq(zk_zb_stream_state(w.s), ZK_ZB_BACKOFF, "a pause ends");
		run_to_the_end();
		cr_expect(w.is_done && !w.is_dead, "from %s",
		          zk_zb_state_name(all_states[i]));
		cr_expect_eq(w.acked, rows, "from %s", zk_zb_state_name(all_states[i]));
		end();
	}
}

Test(zb_stream, the_second_signal_in_every_state)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped");
	for (size_t i = 0; i < ZK_ARRAY_LEN(all_states); i++) {
		struct zk_zb_request *r;
		uint64_t left = 0;

		go_to(all_states[i]);
		zk_zb_stream_kill(w.s, &err);
		expect_state(ZK_ZB_DEAD);
		cr_expect(w.is_dead && w.dead.code == ZK_E_INTERRUPTED);
		cr_expect_geq(w.drops, 1u);
		while ((r = zk_zb_stream_take_unsent(w.s)) != NULL) {
			left += r->rows;
			zk_zb_request_free(r);
		}
		cr_expect_eq(left + w.acked, all_states[i] == ZK_ZB_IDLE ? 0u : 2u,
		             "the window is what goes to the spool, from %s",
		             zk_zb_state_name(all_states[i]));
		cr_expect_eq(w.timer_at, -1, "no timer is left");
		end();
	}
}

Test(zb_stream, failures_before_there_is_a_stream)
{
	struct zk_error later = { .code = ZK_E_CONNECT, .retryable = true };
	struct zk_error never = { .code = ZK_E_ZB_TOKEN };
	struct zk_grpc_end lost = { .code = ZK_GRPC_UNAVAILABLE,
		                    .from = ZK_GRPC_FROM_CONN,
		                    .pushback_ms = -1,
		                    .err = later,
		                    .retryable = true };

	go_to(ZK_ZB_TOKEN);
	zk_zb_stream_token(w.s, &later);
	expect_state(ZK_ZB_BACKOFF);
	tick();
	zk_zb_stream_token(w.s, NULL);
	zk_zb_stream_ended(w.s, &lost); /* CONNECT */
	expect_state(ZK_ZB_BACKOFF);
	cr_expect_eq(w.retries, 2u, "both are counted");
	tick();
	zk_zb_stream_token(w.s, &never);
	expect_state(ZK_ZB_DEAD);
	cr_expect_eq(w.dead.code, ZK_E_ZB_TOKEN);
	end();
	go_to(ZK_ZB_CREATE);
	say(zk_zb_put_close, 5000);
	expect_state(ZK_ZB_BACKOFF);
	cr_expect_eq(w.drops, 1u, "a close signal first: reset");
	end();
}

Test(zb_stream, other_statuses_while_it_drains_are_as_in_open)
{
	go_to(ZK_ZB_DRAINING);
	end_with(5);
	cr_expect(w.is_dead && w.dead.code == ZK_E_ZB_NO_TABLE);
	end();
	go_to(ZK_ZB_DRAINING);
	end_with(3);
	if (zk_zb_stream_state(w.s) == ZK_ZB_BACKOFF)
		tick();
	open_stream();
	expect_state(ZK_ZB_ISOLATE);
	end();
	go_to(ZK_ZB_DRAINING);
	end_with(14);
	expect_state(ZK_ZB_TOKEN); /* no delay, not counted */
	end();
}

Test(zb_stream, the_search_ends_where_the_window_ended)
{
	go_to(ZK_ZB_ISOLATE);
	push(1); /* came after the search began */
	for (int half = 0; half < 2; half++) {
		expect_state(ZK_ZB_ISOLATE);
		send_all();
		say(zk_zb_put_ack, half);
	}
	expect_state(ZK_ZB_OPEN);
	send_all();
	say(zk_zb_put_ack, 2);
	cr_expect_eq(w.acked, 3u);
	cr_expect_eq(w.rejected, 0u);
	end();
}

/* §8.3 3. */
Test(zb_stream, a_full_service_is_given_time)
{
	struct zk_grpc_end e = { .code = ZK_GRPC_RESOURCE_EXHAUSTED,
		                 .from = ZK_GRPC_FROM_STATUS,
		                 .http_status = 200,
		                 .retryable = true,
		                 .pushback_ms = 7000 };
	int64_t worst = 0;

	for (unsigned seed = 1; seed < 50; seed++) {
		go_to(ZK_ZB_OPEN);
		zk_rand_seed(&w.rnd, seed);
		end_with(ZK_GRPC_RESOURCE_EXHAUSTED);
		worst = ZK_MAX(worst, w.wait_ms);
		end();
	}
	cr_expect(worst > 1000 && worst <= 2000, "the base is 2 s: %lld",
	          (long long)worst);
	go_to(ZK_ZB_OPEN);
	zk_zb_stream_ended(w.s, &e);
	cr_expect_geq(w.wait_ms, 7000, "a pushback is a floor");
	end();
	e.pushback_ms = -2;
	go_to(ZK_ZB_OPEN);
	zk_zb_stream_ended(w.s, &e);
	cr_expect(w.is_dead, "a negative one: no more attempts");
	end();
}

/* §9.2. */
Test(zb_stream, a_message_that_is_refused_by_size_is_searched)
{
	static char row[4200000];
	struct zk_zb_request *r;

	memset(row, 'x', sizeof(row));
	begin();
	r = zk_zb_request_new(w.kind, "in");
	zk_zb_request_add(r, zk_str_n(row, sizeof(row)), 0, 1);
	zk_zb_stream_push(w.s, r);
	push(1);
	for (int i = 0; i < 3; i++) {
		if (i)
			tick();
		open_stream();
		send_all();
		end_with(ZK_GRPC_RESOURCE_EXHAUSTED);
	}
	cr_expect_not(w.is_dead);
	if (zk_zb_stream_state(w.s) == ZK_ZB_BACKOFF)
		tick();
	open_stream();
	expect_state(ZK_ZB_ISOLATE);
	end();
}
