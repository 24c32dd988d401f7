/* `zk trace push`: what the spool keeps.
 * Layer: cmd. ux.md §8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/trace_push.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "zip/trace_run.h"

#include "base/ban.h"

#define MAX_PUT  1000 /* records in one transaction */
#define AGAIN_MS 1000

int push_spool_open(struct push *s, struct zk_error *err)
{
	if (s->spool)
		return 0;
	if (!s->dest.n)
		trace_dest(zk_zip_base(s->z.zip), s->session, &s->dest);
	return trace_spool_open(s->app, s->app->spool.durable, &s->spool, err);
}

static void settle_now(void *ctx)
{
	push_settle(ctx, /* final */ false);
}

static void on_again(void *ctx)
{
	push_settle(ctx, /* final */ false);
}

void push_settle_soon(struct push *s)
{
	if (s->settling)
		return;
	s->settling = true;
	zk_loop_defer(s->loop, settle_now, s);
}

void push_spool_close(struct push *s)
{
	struct zk_list *e;

	if (s->loop)
		zk_loop_forget(s->loop, settle_now, s);
	while ((e = zk_list_pop(&s->unsent)) != NULL)
		free(ZK_LIST_ENTRY(e, struct push_rec, entry));
	zk_timer_free(s->again);
	zk_spool_close(ZK_TAKE(s->spool));
	free(s->done_ids);
}

void push_spool_done_id(struct push *s, int64_t id)
{
	if (!id)
		return;
	if (s->n_done == s->room_done) {
		s->room_done = s->room_done ? 2 * s->room_done : 1024;
		s->done_ids =
		        zk_realloc(s->done_ids, s->room_done * sizeof(*s->done_ids));
	}
	s->done_ids[s->n_done++] = id;
	push_settle_soon(s);
}

/* ---- appending -------------------------------------------------------------------------------- */

/* Meta and key of up to MAX_PUT events. */
struct puts {
	struct zk_spool_put v[MAX_PUT];
	struct zk_buf meta[MAX_PUT], key[MAX_PUT];
	size_t n;
};

static struct puts *puts_new(void)
{
	struct puts *p = zk_alloc0(sizeof(*p));

	for (size_t i = 0; i < MAX_PUT; i++) {
		zk_buf_init(&p->meta[i], 1024);
		zk_buf_init(&p->key[i], 1024);
	}
	return p;
}

static void puts_free(struct puts *p)
{
	for (size_t i = 0; i < MAX_PUT; i++) {
		zk_buf_done(&p->meta[i]);
		zk_buf_done(&p->key[i]);
	}
	free(p);
}

static void puts_add(struct puts *p, const struct push *s, zk_str body, uint64_t seq,
                     uint64_t line)
{
	trace_event_meta(zk_str_of(s->mark), seq, line, &p->meta[p->n], &p->key[p->n]);
	p->v[p->n] = (struct zk_spool_put){ .key = zk_buf_str(&p->key[p->n]),
		                            .meta = zk_buf_str(&p->meta[p->n]),
		                            .body = body };
	p->n++;
}

static int append(struct push *s, struct puts *p, struct zk_error *err)
{
	struct zk_spool_target target = { .kind = ZK_STR("trace") };

	if (push_spool_open(s, err) < 0)
		return -(int)err->code;
	target.dest = zk_buf_str(&s->dest);
	return zk_spool_append(s->spool, &target, p->v, p->n, err);
}

/* ---- events that could not be sent ------------------------------------------------------------ */

static void reject_rec(struct push *s, struct push_rec *rec, const struct zk_error *err)
{
	struct zk_recline line = { .file = rec->file,
		                   .number = rec->line,
		                   .offset = rec->offset,
		                   .text = zk_str_n(rec->text, rec->n) };
	char code[16];

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	push_reject(s, &line, code, zk_str_of(err->msg));
	free(rec);
}

void push_keep(struct push *s, zk_str text, const struct zk_zip_batch_event *e,
               bool in_doubt)
{
	struct push_rec *rec = zk_alloc(sizeof(*rec) + text.n);

	*rec = (struct push_rec){ .seq = e->seq,
		                  .line = e->line,
		                  .offset = e->offset,
		                  .file = s->file ? s->file : "-",
		                  .n = text.n,
		                  .in_doubt = in_doubt };
	memcpy(rec->text, text.p, text.n);
	if (e->spool_id) {
		/* It is there already (--durable). */
		s->spooled++;
		push_receipt(s, e->line, e->offset, e->seq, "spooled");
		free(rec);
		return;
	}
	if (!s->app->spool.enabled) {
		push_fail(s, &s->lost);
		reject_rec(s, rec, &s->lost);
		return;
	}
	zk_list_push(&s->unsent, &rec->entry);
	push_settle_soon(s);
}

static void stored(struct push *s, struct push_rec *rec, const struct zk_spool_put *put)
{
	struct zk_error err = { 0 };

	if (put->result == ZK_SPOOL_DROPPED) {
		(void)zk_fail(&err, ZK_E_SPOOL_FULL, "the spool is full");
		reject_rec(s, rec, &err);
		return;
	}
	/* What may be there already is not to be sent by itself. */
	if (rec->in_doubt && zk_spool_fail(s->spool, &put->id, 1,
	                                   "it cannot be known whether it was stored",
	                                   /* final */ true, &err) < 0)
		push_fail(s, &err);
	s->spooled++;
	push_receipt(s, rec->line, rec->offset, rec->seq, "spooled");
	free(rec);
}

/* Stores up to MAX_PUT of them. 0, or the spool's error: they stay in the list. */
static int store_some(struct push *s, struct zk_error *err)
{
	struct puts *p = puts_new();

	ZK_LIST_EACH (it, &s->unsent) {
		struct push_rec *rec = ZK_LIST_ENTRY(it, struct push_rec, entry);

		if (p->n == MAX_PUT)
			break;
		puts_add(p, s, zk_str_n(rec->text, rec->n), rec->seq, rec->line);
	}
	int r = append(s, p, err);

	for (size_t i = 0; r == 0 && i < p->n; i++)
		stored(s, ZK_LIST_ENTRY(zk_list_pop(&s->unsent), struct push_rec, entry),
		       &p->v[i]);
	puts_free(p);
	return r;
}

static void no_room(struct push *s, const struct zk_error *err)
{
	if (!s->spool_full)
		zk_say("%s; no more input is read until there is room", err->msg);
	s->spool_full = true;
	if (!s->again)
		s->again = zk_timer_new(s->loop, on_again, s);
	zk_timer_start(s->again, AGAIN_MS, 0);
}

static void store_unsent(struct push *s, bool final)
{
	struct zk_error err = { 0 };

	while (!zk_list_is_empty(&s->unsent)) {
		if (store_some(s, &err) == 0)
			continue;
		if (err.code == ZK_E_SPOOL_FULL && err.retryable && !final) {
			no_room(s, &err);
			return;
		}
		push_fail(s, &err);
		for (struct zk_list *e; (e = zk_list_pop(&s->unsent)) != NULL;)
			reject_rec(s, ZK_LIST_ENTRY(e, struct push_rec, entry), &err);
	}
}

/* ---- --durable -------------------------------------------------------------------------------- */

/* Events of the filling batch that are not in the spool yet, up to MAX_PUT. */
static int store_filling_some(struct push *s, struct zk_zip_batch *b, size_t *at,
                              struct zk_error *err)
{
	struct puts *p = puts_new();
	size_t first = *at;

	for (; *at < b->n && p->n < MAX_PUT; ++*at)
		puts_add(p, s, zk_zip_batch_text(b, *at), b->v[*at].seq, b->v[*at].line);
	int r = append(s, p, err);

	for (size_t i = 0; r == 0 && i < p->n; i++)
		b->v[first + i].spool_id = p->v[i].id;
	puts_free(p);
	return r;
}

static void store_filling(struct push *s)
{
	struct zk_zip_batch *b;
	struct zk_error err = { 0 };
	size_t at = 0;

	if (!s->app->spool.durable || !s->sender)
		return;
	b = zk_zip_push_filling(s->sender);
	while (at < b->n && b->v[at].spool_id)
		at++;
	while (at < b->n) {
		if (store_filling_some(s, b, &at, &err) == 0)
			continue;
		if (err.code == ZK_E_SPOOL_FULL && err.retryable && !s->stopping) {
			no_room(s, &err);
			return;
		}
		push_fail(s, &err);
		break;
	}
	zk_zip_push_hold(s->sender, false);
}

/* ---- once per turn ---------------------------------------------------------------------------- */

static void delete_done(struct push *s)
{
	struct zk_error err = { 0 };

	if (!s->n_done)
		return;
	if (zk_spool_ack(s->spool, s->done_ids, s->n_done, NULL, &err) < 0)
		push_fail(s, &err);
	s->n_done = 0;
}

static void save_run(struct push *s)
{
	struct zk_error err = { 0 };

	if (!s->run || !zk_list_is_empty(&s->unsent) ||
	    (s->lost.code && !s->app->spool.enabled))
		return;
	if (zk_zip_run_save(s->run, s->safe_below, &err) < 0)
		push_fail(s, &err);
}

void push_settle(struct push *s, bool final)
{
	struct zk_error err = { 0 };

	s->settling = true;
	s->spool_full = false;
	store_unsent(s, final);
	store_filling(s);
	/* Receipts first: an event that neither has is looked for on the server. */
	if (zk_recfile_write(&s->receipts, &err) < 0 ||
	    zk_recfile_write(&s->rejects, &err) < 0)
		push_fail(s, &err);
	save_run(s);
	delete_done(s);
	s->settling = false;
	push_pause(s);
	push_check_over(s);
}
