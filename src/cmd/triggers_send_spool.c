/* `zk triggers send`: what the spool keeps.
 * Layer: cmd. ux.md §8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/spool_cmd.h"
#include "cmd/triggers_send.h"
#include "rt/loop.h"
#include "rt/progress.h"

#include "base/ban.h"

#define MAX_PUT  1000 /* records in one transaction */
#define AGAIN_MS 1000

static void on_again(void *ctx)
{
	send_settle(ctx, /* final */ false);
}

int send_spool_open(struct send *s, struct zk_error *err)
{
	const struct zk_spool_opts *o = &s->app->spool;
	struct zk_spool_conf conf = { .max_bytes = o->max_bytes,
		                      .when_full = (enum zk_spool_full)o->when_full };
	ZK_CLEANUP(zk_freep)
	char *dir = NULL;

	if (s->spool)
		return 0;
	s->target = (struct zk_spool_target){ .kind = ZK_STR("triggers"),
		                              .dest = s->s.client.url };
	if (zk_spool_place(s->app, o->spool, /* create */ true, &conf, &dir, err) < 0 ||
	    zk_spool_open(&conf, &s->spool, err) < 0 ||
	    (o->durable && zk_spool_own(s->spool, err) < 0))
		return zk_wrap(err, "cannot use the spool");
	return 0;
}

static void settle_now(void *ctx);

void send_spool_close(struct send *s)
{
	struct zk_list *e;

	if (s->loop)
		zk_loop_forget(s->loop, settle_now, s);
	while ((e = zk_list_pop(&s->fresh)) != NULL ||
	       (e = zk_list_pop(&s->unsent)) != NULL)
		free(ZK_LIST_ENTRY(e, struct zk_trig_record, entry));
	zk_timer_free(s->again);
	zk_spool_close(ZK_TAKE(s->spool));
	free(s->done_ids);
}

void send_spool_done_id(struct send *s, int64_t id)
{
	if (!id)
		return;
	if (s->n_done == s->room_done) {
		s->room_done = s->room_done ? 2 * s->room_done : 1024;
		s->done_ids =
		        zk_realloc(s->done_ids, s->room_done * sizeof(*s->done_ids));
	}
	s->done_ids[s->n_done++] = id;
	send_settle_soon(s);
}

/* ---- appending ---------------------------------------------------------------------------- */

/* The key within the target: the dedup_id without its quotes. */
static struct zk_spool_put put_of(const struct zk_trig_record *rec)
{
	struct zk_spool_put p = { .body = zk_str_n(rec->text, rec->n) };

	if (rec->dedup.n > 2)
		p.key = zk_str_n(rec->dedup.p + 1, rec->dedup.n - 2);
	return p;
}

/* What is done with a record that was given to the spool. */
typedef void (*stored_fn)(struct send *s, struct zk_trig_record *rec,
                          const struct zk_spool_put *put);

/* Stores up to MAX_PUT records of `list`. 0, or the spool's error: they stay in the list. */
static int store_some(struct send *s, struct zk_list *list, stored_fn stored,
                      struct zk_error *err)
{
	struct zk_spool_put *v = zk_alloc_array(MAX_PUT, sizeof(*v));
	size_t n = 0;

	ZK_LIST_EACH (it, list) {
		if (n == MAX_PUT)
			break;
		v[n++] = put_of(ZK_LIST_ENTRY(it, struct zk_trig_record, entry));
	}
	int r = zk_spool_append(s->spool, &s->target, v, n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		stored(s, ZK_LIST_ENTRY(zk_list_pop(list), struct zk_trig_record, entry),
		       &v[i]);
	free(v);
	return r;
}

static void fresh_stored(struct send *s, struct zk_trig_record *rec,
                         const struct zk_spool_put *put)
{
	if (put->result == ZK_SPOOL_DROPPED) {
		send_reject(s, rec, "ZK8010", ZK_STR("the spool is full"));
		return;
	}
	/* Of what is somebody's already, that one keeps the record. */
	if (put->result == ZK_SPOOL_NEW || put->result == ZK_SPOOL_KNOWN)
		rec->spool_id = put->id;
	zk_trig_sender_push(s->sender, rec);
}

static void unsent_stored(struct send *s, struct zk_trig_record *rec,
                          const struct zk_spool_put *put)
{
	if (put->result == ZK_SPOOL_DROPPED) {
		send_reject(s, rec, "ZK8010", ZK_STR("the spool is full"));
		return;
	}
	s->spooled++;
	send_receipt(s, rec, "spooled", NULL);
	free(rec);
}

static void reject_all(struct send *s, struct zk_list *list, const struct zk_error *err)
{
	struct zk_list *e;
	char code[16];

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	while ((e = zk_list_pop(list)) != NULL)
		send_reject(s, ZK_LIST_ENTRY(e, struct zk_trig_record, entry), code,
		            zk_str_of(err->msg));
}

/* There is no room for the records of `list`. */
static void no_room(struct send *s, struct zk_list *list, const struct zk_error *err)
{
	if (!s->spool_full)
		zk_say("%s; no more input is read until there is room", err->msg);
	s->spool_full = true;
	if (!s->again)
		s->again = zk_timer_new(s->loop, on_again, s);
	zk_timer_start(s->again, AGAIN_MS, 0);
	/* What could not be sent is tried again meanwhile. */
	if (list == &s->unsent)
		for (struct zk_list *e; (e = zk_list_pop(list)) != NULL;)
			zk_trig_sender_push(
			        s->sender,
			        ZK_LIST_ENTRY(e, struct zk_trig_record, entry));
}

static void store_list(struct send *s, struct zk_list *list, stored_fn stored, bool final)
{
	struct zk_error err = { 0 };

	if (zk_list_is_empty(list))
		return;
	if (send_spool_open(s, &err) < 0) {
		send_fail(s, &err);
		reject_all(s, list, &err);
		return;
	}
	while (!zk_list_is_empty(list)) {
		if (store_some(s, list, stored, &err) == 0)
			continue;
		if (err.code == ZK_E_SPOOL_FULL && err.retryable && !final) {
			no_room(s, list, &err);
			return;
		}
		send_fail(s, &err);
		reject_all(s, list, &err);
	}
}

/* ---- once per turn ------------------------------------------------------------------------ */

static void settle_now(void *ctx)
{
	send_settle(ctx, /* final */ false);
}

void send_settle_soon(struct send *s)
{
	if (s->settling)
		return;
	s->settling = true;
	zk_loop_defer(s->loop, settle_now, s);
}

static void delete_done(struct send *s)
{
	struct zk_error err = { 0 };

	if (!s->n_done)
		return;
	if (zk_spool_ack(s->spool, s->done_ids, s->n_done, NULL, &err) < 0)
		send_fail(s, &err);
	s->n_done = 0;
}

void send_settle(struct send *s, bool final)
{
	struct zk_error err = { 0 };

	s->settling = true;
	s->spool_full = false;
	store_list(s, &s->unsent, unsent_stored, final);
	store_list(s, &s->fresh, fresh_stored, final);
	/* Receipts first: a record that neither has is sent again, and is a duplicate then. */
	if (send_files_write(s, &err) < 0)
		send_fail(s, &err);
	delete_done(s);
	s->settling = false;
	send_pause(s);
	send_check_over(s);
}
