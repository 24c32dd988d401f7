/* One coarse timer for the deadlines of all connections of a server.
 * Layer: net. */
#include "net/httpd_int.h"
#include "rt/loop.h"

#include "base/ban.h"

#define TICK_MS 25

/* An entry stands in the slot of a tick that is not later than its deadline (nor further away
 * than the wheel is long). A deadline that moves away is only noted: the slot comes round, finds
 * that it is not due and puts it further. So a busy keep-alive connection, whose deadline moves
 * with each request, is touched once per turn of the wheel. */

static int64_t tick_of(int64_t ms)
{
	return ms / TICK_MS + 1;
}

/* The earlier deadline, 0 = none. */
static int64_t due_ms(const struct zk_httpd_conn *c)
{
	if (!c->phase_end_ms || !c->write_end_ms)
		return c->phase_end_ms | c->write_end_ms;
	return ZK_MIN(c->phase_end_ms, c->write_end_ms);
}

static void on_tick(void *ctx);

static void arm(struct zk_httpd *s, int64_t tick)
{
	int64_t in_ms = tick * TICK_MS - zk_loop_now_ms(s->loop);

	s->wheel.armed_tick = tick;
	zk_timer_start(s->wheel.timer, ZK_MAX(in_ms, 1), 0);
}

static void place(struct zk_httpd_conn *c, int64_t now_tick)
{
	struct zk_httpd_wheel *w = &c->s->wheel;
	int64_t tick = tick_of(due_ms(c));

	if (w->n == 0)
		w->tick = now_tick;
	tick = ZK_MIN(ZK_MAX(tick, w->tick + 1), w->tick + ZK_HTTPD_SLOTS - 1);
	c->wheel_tick = tick;
	zk_list_push(&w->slots[tick % ZK_HTTPD_SLOTS], &c->wheel);
	w->n++;
	if (!w->armed_tick || tick < w->armed_tick)
		arm(c->s, tick);
}

void zk_httpd_wheel_init(struct zk_httpd *s)
{
	for (size_t i = 0; i < ZK_HTTPD_SLOTS; i++)
		zk_list_init(&s->wheel.slots[i]);
	s->wheel.timer = zk_timer_new(s->loop, on_tick, s);
	zk_timer_weak(s->wheel.timer, true);
}

void zk_httpd_wheel_done(struct zk_httpd *s)
{
	zk_timer_free(s->wheel.timer);
	s->wheel.timer = NULL;
}

static void take_out(struct zk_httpd_conn *c)
{
	if (!c->wheel_tick)
		return;
	zk_list_remove(&c->wheel);
	c->wheel_tick = 0;
	c->s->wheel.n--;
}

void zk_httpd_wheel_remove(struct zk_httpd_conn *c)
{
	c->phase_end_ms = c->write_end_ms = 0;
	take_out(c);
}

static inline void moved(struct zk_httpd_conn *c)
{
	int64_t due = due_ms(c);

	if (!due || (c->wheel_tick && c->wheel_tick <= tick_of(due)))
		return;
	take_out(c);
	place(c, zk_loop_now_ms(c->s->loop) / TICK_MS);
}

void zk_httpd_wheel_set(struct zk_httpd_conn *c, int64_t at_ms)
{
	c->phase_end_ms = at_ms;
	moved(c);
}

void zk_httpd_wheel_set_write(struct zk_httpd_conn *c, int64_t at_ms)
{
	c->write_end_ms = at_ms;
	moved(c);
}

static void arm_next(struct zk_httpd *s)
{
	struct zk_httpd_wheel *w = &s->wheel;

	for (int64_t t = w->tick + 1; w->n && t < w->tick + ZK_HTTPD_SLOTS; t++) {
		if (zk_list_is_empty(&w->slots[t % ZK_HTTPD_SLOTS]))
			continue;
		if (!w->armed_tick || t < w->armed_tick)
			arm(s, t);
		return;
	}
}

/* Everything in the slots up to `now_tick` goes to `due`. */
static void collect(struct zk_httpd_wheel *w, int64_t now_tick, struct zk_list *due)
{
	int64_t to = ZK_MIN(now_tick, w->tick + ZK_HTTPD_SLOTS - 1);

	for (int64_t t = w->tick + 1; t <= to; t++) {
		struct zk_list *e;

		for (;;) {
			e = zk_list_pop(&w->slots[t % ZK_HTTPD_SLOTS]);
			if (!e)
				break;
			zk_list_push(due, e);
		}
	}
	w->tick = ZK_MAX(w->tick, now_tick);
}

static void on_tick(void *ctx)
{
	struct zk_httpd *s = ctx;
	struct zk_httpd_wheel *w = &s->wheel;
	int64_t now = zk_loop_now_ms(s->loop);
	struct zk_list due, *e;

	w->armed_tick = 0;
	zk_list_init(&due);
	collect(w, now / TICK_MS, &due);
	for (;;) {
		e = zk_list_pop(&due);
		if (!e)
			break;

		struct zk_httpd_conn *c = ZK_LIST_ENTRY(e, struct zk_httpd_conn, wheel);
		c->wheel_tick = 0;
		w->n--;
		if (due_ms(c) && due_ms(c) <= now)
			zk_httpd_conn_expired(c, now); /* may take others out of `due` */
		if (due_ms(c) && !c->wheel_tick)
			place(c, now / TICK_MS);
	}
	if (w->timer)
		arm_next(s);
}
