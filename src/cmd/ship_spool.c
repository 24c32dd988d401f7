/* Records from inputs to a server: what the spool keeps.
 * Layer: cmd. ux.md §8. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/ship.h"
#include "cmd/spool_cmd.h"
#include "rt/loop.h"
#include "rt/progress.h"

#include "base/ban.h"

#define MAX_PUT  1000 /* records in one transaction */
#define AGAIN_MS 1000

static void settle_now(void *ctx)
{
	ship_settle(ctx, /* final */ false);
}

void ship_settle_soon(struct ship *s)
{
	if (s->settling)
		return;
	s->settling = true;
	zk_loop_defer(s->loop, settle_now, s);
}

int ship_spool_open(struct ship *s, struct zk_error *err)
{
	return s->spool ? 0 : spool_make(s->app, s->app->spool.durable, &s->spool, err);
}

void ship_forget(struct ship *s, int64_t spool_id)
{
	if (!spool_id)
		return;
	if (s->n_done == s->room_done) {
		s->room_done = s->room_done ? 2 * s->room_done : 1024;
		s->done_ids =
		        zk_realloc(s->done_ids, s->room_done * sizeof(*s->done_ids));
	}
	s->done_ids[s->n_done++] = spool_id;
	ship_settle_soon(s);
}

/* ---- storing ------------------------------------------------------------------------------ */

/* The spool has looked at a record of `list`. */
static void stored(struct ship *s, const struct zk_list *list, struct zk_list *rec,
                   const struct zk_spool_put *put)
{
	/* Of what is somebody's already, that one keeps the record. */
	bool ours = put->result == ZK_SPOOL_NEW || put->result == ZK_SPOOL_KNOWN;

	if (put->result == ZK_SPOOL_DROPPED) {
		s->ops->reject(s->ctx, rec, "ZK8010", ZK_STR("the spool is full"));
	} else if (list == &s->fresh && !s->final) {
		s->ops->send(s->ctx, rec, ours ? put->id : 0);
	} else {
		s->spooled++;
		s->ops->kept(s->ctx, rec, put->id);
	}
}

/* Stores up to MAX_PUT records of `list`. 0, or the spool's error: they stay in the list. */
static int store_some(struct ship *s, struct zk_list *list, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	struct zk_spool_put *v = NULL;
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	size_t n = 0, i = 0;

	ZK_LIST_EACH (it, list)
		if (++n == MAX_PUT)
			break;
	v = zk_alloc_array(n, sizeof(*v));
	zk_buf_init(&text, n * SHIP_PUT_TEXT);
	(void)zk_buf_reserve(&text, n * SHIP_PUT_TEXT); /* within the cap */
	ZK_LIST_EACH (it, list) {
		if (i == n)
			break;
		v[i] = (struct zk_spool_put){ .key = ZK_STR_NULL };
		s->ops->put(s->ctx, it, &text, &v[i++]);
	}
	int r = zk_spool_append(s->spool, &s->target, v, n, err);

	for (i = 0; r == 0 && i < n; i++)
		stored(s, list, zk_list_pop(list), &v[i]);
	return r;
}

static void reject_all(struct ship *s, struct zk_list *list, const struct zk_error *err)
{
	struct zk_list *e;
	char code[16];

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	while ((e = zk_list_pop(list)) != NULL)
		s->ops->reject(s->ctx, e, code, zk_str_of(err->msg));
}

/* There is no room for the records of `list`. */
static void no_room(struct ship *s, struct zk_list *list, const struct zk_error *err)
{
	struct zk_list *last = list->prev, *e = NULL;

	if (!s->spool_full)
		zk_say("%s; no more input is read until there is room", err->msg);
	s->spool_full = true;
	if (!s->again)
		s->again = zk_timer_new(s->loop, settle_now, s);
	zk_timer_start(s->again, AGAIN_MS, 0);
	if (list != &s->unsent)
		return;
	/* What could not be sent is tried again meanwhile; some may come back at once. */
	while (e != last) {
		e = zk_list_pop(list);
		s->ops->send(s->ctx, e, 0);
	}
}

static void store_list(struct ship *s, struct zk_list *list)
{
	struct zk_error err = { 0 };

	if (!zk_list_is_empty(list) && ship_spool_open(s, &err) < 0) {
		ship_fail(s, &err);
		reject_all(s, list, &err);
	}
	while (!zk_list_is_empty(list)) {
		if (store_some(s, list, &err) == 0)
			continue;
		if (err.code == ZK_E_SPOOL_FULL && err.retryable && !s->final) {
			no_room(s, list, &err);
			return;
		}
		ship_fail(s, &err);
		reject_all(s, list, &err);
	}
}

/* ---- once per turn ------------------------------------------------------------------------ */

static void delete_done(struct ship *s)
{
	struct zk_error err = { 0 };

	if (s->n_done && zk_spool_ack(s->spool, s->done_ids, s->n_done, NULL, &err) < 0)
		ship_fail(s, &err);
	s->n_done = 0;
}

void ship_settle(struct ship *s, bool final)
{
	struct zk_error err = { 0 };

	s->settling = true;
	s->final |= final;
	s->spool_full = false;
	store_list(s, &s->unsent);
	store_list(s, &s->fresh);
	/* Receipts first: what neither has is sent again, or looked for at the server. */
	if (zk_recfile_write(&s->receipts, &err) < 0 ||
	    zk_recfile_write(&s->rejects, &err) < 0)
		ship_fail(s, &err);
	if (s->ops->settled)
		s->ops->settled(s->ctx);
	delete_done(s);
	s->settling = false;
	ship_read_on(s);
	ship_check_over(s);
}

void ship_spool_done(struct ship *s)
{
	struct zk_error err = { 0 };

	/* None is left but after a failure that was reported. */
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	reject_all(s, &s->unsent, &err);
	reject_all(s, &s->fresh, &err);
	if (s->loop)
		zk_loop_forget(s->loop, settle_now, s);
	zk_timer_free(s->again);
	zk_spool_close(ZK_TAKE(s->spool));
	free(s->done_ids);
}
