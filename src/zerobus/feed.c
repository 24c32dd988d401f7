/* The reader lane.
 * Layer: zerobus. specs/zerobus.md §12, §13. */
#include "zerobus/feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/mailbox.h"
#include "zerobus/builder.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define MAX_SPARE 256 /* requests kept for their memory, which is part of max_bytes */

/* The hooks of the debug files. scripts/bench builds this file once without them: goal 3 of §20. */
#ifndef ZK_ZB_HOOKS
#define ZK_ZB_HOOKS 1
#endif

enum what { REQUEST, BAD, SKIPPED, KIND, NOTE, END };

/* What travels to the loop. */
struct note {
	struct zk_item item;
	enum what what;
	struct zk_zb_request *request;
	struct zk_zb_kind *kind;
	struct zk_zb_bad bad;
	struct zk_buf text; /* what the slices of `bad` point into; a note */
	uint64_t rows;
	struct zk_error err;
};

struct zk_zb_feed {
	struct zk_zb_feed_conf conf;
	struct zk_mailbox *mail;
	pthread_t thread;
	bool started, freed;
	char **names; /* of the sources */

	pthread_mutex_t lock; /* of the following */
	pthread_cond_t room;
	size_t used; /* bytes of requests that were not released */
	bool stopped, going;
	struct zk_zb_request *spare[MAX_SPARE];
	size_t n_spare, spare_bytes;
	struct zk_zb_source *source; /* that is being read */

	/* lane thread */
	struct zk_zb_builder b;
	size_t hint; /* what a request takes, going by the latest */
	size_t at;   /* index of the input */
	bool cut;    /* a stop came before the end */
	_Atomic uint64_t read_rows, done_bytes, now_bytes;
	uint64_t size;
};

/* ---- lane thread: handing over ---- */

static void hand_over(struct zk_zb_feed *f, struct zk_item *item)
{
	/* There is no bound: the gate is what limits. */
	ZK_IGNORE(zk_mailbox_push(f->mail, item) != ZK_MAIL_TAKEN);
}

static struct note *note_new(enum what what)
{
	struct note *n = zk_new0(struct note);

	n->what = what;
	zk_buf_init(&n->text, (size_t)64 << 20);
	return n;
}

/* Waits until `bytes` more may be under way; rows that can be sent wait for the start, too. */
static void wait_for_room(struct zk_zb_feed *f, size_t bytes, bool to_send)
{
	(void)pthread_mutex_lock(&f->lock);
	while ((to_send && !f->going) || (f->used && f->used + bytes > f->conf.max_bytes))
		(void)pthread_cond_wait(&f->room, &f->lock);
	f->used += bytes;
	(void)pthread_mutex_unlock(&f->lock);
}

static struct zk_zb_request *take_spare(struct zk_zb_feed *f)
{
	struct zk_zb_request *r = NULL;

	(void)pthread_mutex_lock(&f->lock);
	if (f->n_spare)
		r = f->spare[--f->n_spare];
	if (r)
		f->spare_bytes -= r->room;
	(void)pthread_mutex_unlock(&f->lock);
	return r;
}

static void built_request(void *ctx, struct zk_zb_request *r)
{
	struct zk_zb_feed *f = ctx;
	struct note *n = note_new(REQUEST);

	n->request = r;
	n->item.bytes = r->n;
	f->hint = r->n + r->n / 64;
	wait_for_room(f, r->n, true);
	if (ZK_ZB_HOOKS && f->conf.on_built)
		f->conf.on_built(f->conf.ctx, r);
	hand_over(f, &n->item);
}

static struct zk_zb_request *want_request(void *ctx, struct zk_zb_kind *kind,
                                          const char *source)
{
	struct zk_zb_feed *f = ctx;
	struct zk_zb_request *r = take_spare(f);

	if (r)
		zk_zb_request_reuse(r, kind, source);
	else
		r = zk_zb_request_new(kind, source);
	/* At once: a buffer that grows leaves holes of all sizes behind. */
	zk_zb_request_reserve(r, f->hint);
	return r;
}

static zk_str keep(struct zk_buf *b, zk_str s)
{
	size_t at = b->n;

	zk_buf_add(b, s);
	return zk_str_n((const char *)at,
	                s.n); /* made a pointer when the text stands still */
}

static void place(const struct zk_buf *b, zk_str *s)
{
	s->p = s->n ? b->p + (size_t)s->p : NULL;
}

static void built_bad(void *ctx, const struct zk_zb_bad *bad)
{
	struct zk_zb_feed *f = ctx;
	struct note *n = note_new(BAD);

	n->bad = *bad;
	n->kind = zk_zb_kind_ref(bad->kind);
	n->bad.kind = n->kind;
	n->bad.values = keep(&n->text, bad->values);
	n->bad.column = keep(&n->text, bad->column);
	n->bad.base64 = keep(&n->text, bad->base64);
	place(&n->text, &n->bad.values);
	place(&n->text, &n->bad.column);
	place(&n->text, &n->bad.base64);
	n->item.bytes = n->text.n;
	/* Bad rows count as well: a file of nothing else must not fill the memory. */
	wait_for_room(f, n->item.bytes, false);
	hand_over(f, &n->item);
}

static void built_skipped(void *ctx, uint64_t rows)
{
	struct note *n = note_new(SKIPPED);

	n->rows = rows;
	hand_over(ctx, &n->item);
}

static void built_kind(void *ctx, struct zk_zb_kind *kind)
{
	struct note *n = note_new(KIND);

	n->kind = zk_zb_kind_ref(kind);
	hand_over(ctx, &n->item);
}

static void on_note(void *ctx, const char *text)
{
	struct note *n = note_new(NOTE);

	zk_buf_cstr(&n->text, text);
	hand_over(ctx, &n->item);
}

static void on_raw(void *ctx, const struct zk_zb_part *part)
{
	struct zk_zb_feed *f = ctx;

	f->conf.on_part(f->conf.ctx, part);
}

static int64_t on_wait(void *ctx)
{
	struct zk_zb_feed *f = ctx;

	return zk_zb_builder_linger(&f->b);
}

/* ---- lane thread: reading ---- */

static int open_source(struct zk_zb_feed *f, size_t i, struct zk_zb_source **ret,
                       struct zk_error *err)
{
	struct zk_zb_fd_source_conf conf = { .path = f->conf.paths[i],
		                             .ctx = f,
		                             .on_wait = on_wait };

	return zk_zb_fd_source_open(&conf, ret, err);
}

/* Makes the source the one that zk_zb_feed_stop reaches. */
static void use_source(struct zk_zb_feed *f, struct zk_zb_source *src)
{
	bool stopped;

	(void)pthread_mutex_lock(&f->lock);
	f->source = src;
	stopped = f->stopped;
	(void)pthread_mutex_unlock(&f->lock);
	if (src && stopped)
		zk_zb_fd_source_stop(src, /* drain */ true);
}

static bool is_stopped(struct zk_zb_feed *f)
{
	bool stopped;

	(void)pthread_mutex_lock(&f->lock);
	stopped = f->stopped;
	(void)pthread_mutex_unlock(&f->lock);
	return stopped;
}

static int read_rows(struct zk_zb_feed *f, struct zk_zb_rows *rows, const char *name,
                     struct zk_error *err)
{
	struct zk_zb_row row = { 0 };
	int got;

	zk_zb_builder_source(&f->b, name);
	while ((got = zk_zb_rows_next(rows, &row, err)) > ZK_ZB_END) {
		zk_zb_builder_row(&f->b, (enum zk_zb_got)got, &row, err);
		atomic_store_explicit(&f->read_rows, f->b.next_row, memory_order_relaxed);
		atomic_store_explicit(&f->now_bytes, f->source->taken,
		                      memory_order_relaxed);
		/* A file has no end that a stop could wait for. */
		if (f->source->seekable && (f->b.next_row & 255) == 0 && is_stopped(f)) {
			f->cut = true;
			break;
		}
	}
	zk_zb_builder_flush(&f->b);
	return got < 0 ? got : 0;
}

static int read_input(struct zk_zb_feed *f, struct zk_zb_source *src, size_t i,
                      struct zk_error *err)
{
	struct zk_zb_rows_conf conf = f->conf.rows;
	struct zk_zb_rows *rows = NULL;
	int r;

	conf.source = src;
	conf.checked = f->conf.stamps && src->stamp && f->conf.stamps[i] == src->stamp;
	conf.ctx = f;
	conf.on_raw = ZK_ZB_HOOKS && f->conf.on_part ? on_raw : NULL;
	conf.on_note = on_note;
	use_source(f, src);
	r = zk_zb_rows_open(&conf, &rows, err);
	if (r == 0)
		r = read_rows(f, rows, f->names[i], err);
	zk_zb_rows_close(rows);
	use_source(f, NULL);
	atomic_fetch_add(&f->done_bytes, src->size);
	atomic_store(&f->now_bytes, 0);
	zk_zb_fd_source_close(src);
	return r;
}

/* A stop came: the rest is not sent; the first row of it is what people are told. */
static void drop_held(struct zk_zb_feed *f, const struct zk_zb_request *first)
{
	f->cut = true;
	for (size_t i = 0; i < f->conf.n_paths; i++)
		if (first->source == f->conf.paths[i])
			f->at = i;
	atomic_store(&f->read_rows, first->runs[0].row);
}

/* Requests that were made when the files were checked. */
static void give_held(struct zk_zb_feed *f)
{
	struct zk_zb_source *unused = f->source;
	struct zk_zb_kind *told = NULL;
	struct zk_list *e;

	use_source(f, NULL);
	zk_zb_fd_source_close(unused);
	while (!f->cut && (e = zk_list_pop(f->conf.held)) != NULL) {
		struct zk_zb_request *r = ZK_LIST_ENTRY(e, struct zk_zb_request, link);

		if (is_stopped(f)) {
			drop_held(f, r);
			zk_zb_request_free(r);
			break;
		}
		if (!told || !zk_zb_kind_same(told, r->kind)) {
			zk_zb_kind_unref(told);
			told = zk_zb_kind_ref(r->kind);
			built_kind(f, told);
		}
		built_request(f, r);
	}
	zk_zb_kind_unref(told);
	zk_zb_requests_free(f->conf.held);
	atomic_store(&f->done_bytes, f->size);
}

/* All inputs, one after the other; 0, or a negative code. */
static int read_all(struct zk_zb_feed *f, struct zk_error *err)
{
	struct zk_zb_source *first = f->source, *src;
	int r = 0;

	for (f->at = 0; f->at < f->conf.n_paths && r == 0; f->at++) {
		if (f->at > 0 && is_stopped(f)) {
			f->cut = true;
			atomic_store(&f->read_rows, 0);
		}
		if (f->cut)
			break;
		src = first;
		if (f->at > 0)
			r = open_source(f, f->at, &src, err);
		if (r == 0)
			r = read_input(f, src, f->at, err);
		if (r < 0 || f->cut)
			break;
	}
	return r;
}

static void *lane(void *ctx)
{
	struct zk_zb_feed *f = ctx;
	struct note *end = note_new(END);
	struct zk_error err = { 0 };
	int r = 0;

	if (f->conf.held && !zk_list_is_empty(f->conf.held))
		give_held(f);
	else
		r = read_all(f, &err);
	/* A bad row fills it too. */
	if (r < 0)
		end->err = err;
	hand_over(f, &end->item);
	return NULL;
}

/* ---- loop thread ---- */

static void note_free(struct note *n)
{
	zk_zb_request_free(n->request);
	zk_zb_kind_unref(n->kind);
	zk_buf_done(&n->text);
	free(n);
}

static void give_back(struct zk_zb_feed *f, size_t bytes)
{
	(void)pthread_mutex_lock(&f->lock);
	f->used -= bytes;
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
}

static void tell(struct zk_zb_feed *f, struct note *n)
{
	switch (n->what) {
	case BAD:
		f->conf.on_bad(f->conf.ctx, &n->bad);
		give_back(f, n->item.bytes);
		break;
	case SKIPPED:
		f->conf.on_skipped(f->conf.ctx, n->rows);
		break;
	case KIND:
		if (f->conf.on_kind)
			f->conf.on_kind(f->conf.ctx, n->kind);
		break;
	case NOTE:
		f->conf.on_note(f->conf.ctx, zk_buf_cstring(&n->text));
		break;
	case END:
		zk_mailbox_close(f->mail); /* lets the loop end */
		f->conf.on_end(f->conf.ctx, n->err.code ? &n->err : NULL);
		break;
	case REQUEST:
		f->conf.on_request(f->conf.ctx, ZK_TAKE(n->request));
		break;
	}
}

static void on_items(void *ctx, struct zk_item *list, size_t n)
{
	struct zk_zb_feed *f = ctx;

	(void)n;
	while (list) {
		struct note *note = ZK_CONTAINER_OF(list, struct note, item);

		list = list->next;
		if (!f->freed)
			tell(f, note);
		note_free(note);
	}
}

void zk_zb_feed_release(struct zk_zb_feed *f, struct zk_zb_request *r)
{
	bool kept = false;

	(void)pthread_mutex_lock(&f->lock);
	f->used -= ZK_MIN(f->used, r->n);
	(void)pthread_cond_signal(&f->room);
	if (f->n_spare < MAX_SPARE &&
	    f->used + f->spare_bytes + r->room <= f->conf.max_bytes) {
		f->spare[f->n_spare++] = r;
		f->spare_bytes += r->room;
		kept = true;
	}
	(void)pthread_mutex_unlock(&f->lock);
	if (!kept)
		zk_zb_request_free(r);
}

void zk_zb_feed_go(struct zk_zb_feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->going = true;
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
}

void zk_zb_feed_stop(struct zk_zb_feed *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->stopped = true;
	if (f->source)
		zk_zb_fd_source_stop(f->source, /* drain */ true);
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
}

void zk_zb_feed_progress(const struct zk_zb_feed *f, uint64_t *ret_read,
                         uint64_t *ret_size)
{
	*ret_read = atomic_load(&f->done_bytes) + atomic_load(&f->now_bytes);
	*ret_size = f->size;
}

bool zk_zb_feed_first_unread(const struct zk_zb_feed *f, const char **ret_source,
                             uint64_t *ret_row)
{
	if (!f->cut || f->at >= f->conf.n_paths)
		return false;
	*ret_source = f->conf.paths[f->at];
	*ret_row = atomic_load(&f->read_rows);
	return true;
}

/* ---- life ---- */

/* The size of all inputs, or 0 when one of them is no file. */
static uint64_t total_size(const struct zk_zb_feed_conf *conf)
{
	struct stat st;
	uint64_t sum = 0;

	for (size_t i = 0; i < conf->n_paths; i++) {
		if (strcmp(conf->paths[i], "-") == 0 || stat(conf->paths[i], &st) < 0 ||
		    !S_ISREG(st.st_mode))
			return 0;
		sum += (uint64_t)st.st_size;
	}
	return sum;
}

static struct zk_zb_builder_conf builder_conf(const struct zk_zb_feed_conf *conf)
{
	return (struct zk_zb_builder_conf){
		.batch_rows = conf->batch_rows,
		.batch_bytes = conf->batch_bytes,
		.max_message = conf->max_message,
		.linger_ms = conf->linger_ms,
		.skip = conf->skip,
		.skip_ctx = conf->skip_ctx,
	};
}

static void name_sources(struct zk_zb_feed *f)
{
	f->names = zk_alloc_array(f->conf.n_paths, sizeof(*f->names));
	for (size_t i = 0; i < f->conf.n_paths; i++)
		f->names[i] = zk_strdup(
		        strcmp(f->conf.paths[i], "-") == 0 ? "stdin" : f->conf.paths[i]);
}

static void free_now(struct zk_zb_feed *f)
{
	zk_mailbox_free(f->mail);
	zk_zb_builder_done(&f->b);
	for (size_t i = 0; f->names && i < f->conf.n_paths; i++)
		free(f->names[i]);
	free(f->names);
	while (f->n_spare)
		zk_zb_request_free(f->spare[--f->n_spare]);
	(void)pthread_cond_destroy(&f->room);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

int zk_zb_feed_start(const struct zk_zb_feed_conf *conf, struct zk_zb_feed **ret,
                     struct zk_error *err)
{
	struct zk_zb_feed *f = zk_new0(struct zk_zb_feed);
	struct zk_zb_builder_conf b = builder_conf(conf);
	struct zk_mailbox_conf mail = { .ctx = f, .on_items = on_items };
	int r;

	f->conf = *conf;
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->room, NULL);
	b.ctx = f;
	b.want = want_request;
	b.on_request = built_request;
	b.on_bad = built_bad;
	b.on_skipped = built_skipped;
	b.on_kind = built_kind;
	zk_zb_builder_init(&f->b, &b);
	name_sources(f);
	f->size = total_size(conf);
	r = open_source(f, 0, &f->source, err);
	if (r == 0) {
		f->mail = zk_mailbox_new(conf->loop, &mail);
		r = -pthread_create(&f->thread, NULL, lane, f);
		if (r < 0)
			r = zk_fail_errno(err, ZK_E_SYSTEM, -r, "cannot start a thread");
		f->started = r == 0;
	}
	if (r < 0) {
		zk_zb_fd_source_close(f->source);
		free_now(f);
		return r;
	}
	*ret = f;
	return 0;
}

void zk_zb_feed_free(struct zk_zb_feed *f)
{
	if (!f)
		return;
	(void)pthread_mutex_lock(&f->lock);
	f->stopped = f->going = true;
	f->conf.max_bytes = SIZE_MAX / 2;
	if (f->source)
		zk_zb_fd_source_stop(f->source, /* drain */ false);
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
	(void)pthread_join(f->thread, NULL);
	f->freed = true;
	free_now(f);
}

/* ---- reading without sending ---- */

struct check {
	const struct zk_zb_feed_conf *conf;
	bool (*on_bad)(void *ctx, const struct zk_zb_bad *bad);
	struct zk_zb_check *ret;
	struct zk_zb_request *spare;
	bool enough;
	bool too_much;     /* to be held */
	size_t held, hint; /* bytes held; of the latest request */
};

static struct zk_zb_request *check_want(void *ctx, struct zk_zb_kind *kind,
                                        const char *source)
{
	struct check *c = ctx;

	if (!c->spare) {
		struct zk_zb_request *r = zk_zb_request_new(kind, source);

		zk_zb_request_reserve(r, c->hint);
		return r;
	}
	zk_zb_request_reuse(c->spare, kind, source);
	return ZK_TAKE(c->spare);
}

/* Lines that go as they stand are cheaper to read again than to keep: the stamp says that they
 * need not be looked at twice. */
static bool may_hold(const struct check *c, const struct zk_zb_kind *kind)
{
	return c->conf->held && !c->too_much &&
	       (kind->type != ZK_ZB_JSON || c->conf->rows.schema);
}

/* Kept for the feed, unless it is more than may be in memory; then nothing is. */
static bool hold(struct check *c, struct zk_zb_request *r)
{
	c->hint = r->n + r->n / 64;
	c->held += r->n;
	if (!may_hold(c, r->kind))
		return false;
	if (c->held <= c->conf->max_bytes) {
		zk_list_push(c->conf->held, &r->link);
		return true;
	}
	c->too_much = true;
	zk_zb_requests_free(c->conf->held);
	return false;
}

/* Before sending nobody asks for the requests that are not held: only bad rows are looked for. */
static bool is_in_vain(const struct check *c, const struct zk_zb_kind *kind)
{
	return c->conf->stamps && !c->conf->on_request &&
	       !(ZK_ZB_HOOKS && c->conf->on_built) && !may_hold(c, kind);
}

static void check_request(void *ctx, struct zk_zb_request *r)
{
	struct check *c = ctx;
	char head[ZK_ZB_HEAD_MAX];
	size_t n = zk_zb_request_head(r, (int64_t)c->ret->requests, head) +
	           zk_zb_request_body(r).n;

	c->ret->rows += r->rows;
	c->ret->requests++;
	c->ret->bytes += n;
	c->ret->largest = ZK_MAX(c->ret->largest, n);
	if (ZK_ZB_HOOKS && c->conf->on_built)
		c->conf->on_built(c->conf->ctx, r);
	if (c->conf->on_request) {
		c->conf->on_request(c->conf->ctx, r);
		return;
	}
	if (hold(c, r))
		return;
	zk_zb_request_free(c->spare);
	c->spare = r;
}

static void check_bad(void *ctx, const struct zk_zb_bad *bad)
{
	struct check *c = ctx;

	c->ret->bad++;
	if (!c->on_bad(c->conf->ctx, bad))
		c->enough = true;
}

static void check_skipped(void *ctx, uint64_t rows)
{
	struct check *c = ctx;

	c->ret->skipped += rows;
}

static void check_kind(void *ctx, struct zk_zb_kind *kind)
{
	struct check *c = ctx;

	if (c->conf->on_kind)
		c->conf->on_kind(c->conf->ctx, kind);
}

static void check_part(void *ctx, const struct zk_zb_part *part)
{
	const struct zk_zb_feed_conf *conf = ctx;

	conf->on_part(conf->ctx, part);
}

static int check_rows(struct check *c, struct zk_zb_builder *b, struct zk_zb_source *src,
                      const char *path, struct zk_error *err)
{
	struct zk_zb_rows_conf conf = c->conf->rows;
	struct zk_zb_rows *rows = NULL;
	struct zk_zb_row row = { 0 };
	int got;

	conf.source = src;
	conf.ctx = (void *)c->conf;
	conf.on_raw = ZK_ZB_HOOKS && c->conf->on_part ? check_part : NULL;
	conf.on_note = NULL;
	got = zk_zb_rows_open(&conf, &rows, err);
	if (got < 0)
		return got;
	/* Not the source's own name: held requests outlive it. */
	zk_zb_builder_source(b, path);
	while (!c->enough && (got = zk_zb_rows_next(rows, &row, err)) > ZK_ZB_END) {
		if (got == ZK_ZB_SCHEMA || c->too_much)
			b->discard = is_in_vain(c, row.kind);
		zk_zb_builder_row(b, (enum zk_zb_got)got, &row, err);
	}
	zk_zb_builder_flush(b);
	zk_zb_rows_close(rows);
	return got < 0 ? got : 0;
}

int zk_zb_feed_check(const struct zk_zb_feed_conf *conf,
                     bool (*on_bad)(void *ctx, const struct zk_zb_bad *bad),
                     struct zk_zb_check *ret, struct zk_error *err)
{
	struct zk_zb_builder_conf bc = builder_conf(conf);
	struct check c = { .conf = conf, .on_bad = on_bad, .ret = ret };
	struct zk_zb_builder b;
	int r = 0;

	*ret = (struct zk_zb_check){ 0 };
	bc.ctx = &c;
	bc.linger_ms = INT32_MAX;
	bc.want = check_want;
	bc.on_request = check_request;
	bc.on_bad = check_bad;
	bc.on_skipped = check_skipped;
	bc.on_kind = check_kind;
	zk_zb_builder_init(&b, &bc);
	for (size_t i = 0; i < conf->n_paths && r == 0 && !c.enough; i++) {
		struct zk_zb_fd_source_conf sc = { .path = conf->paths[i] };
		struct zk_zb_source *src;

		r = zk_zb_fd_source_open(&sc, &src, err);
		if (r < 0)
			break;
		if (conf->stamps)
			conf->stamps[i] = src->stamp;
		r = check_rows(
		        &c, &b, src,
		        strcmp(conf->paths[i], "-") == 0 ? "stdin" : conf->paths[i], err);
		zk_zb_fd_source_close(src);
	}
	zk_zb_builder_done(&b);
	zk_zb_request_free(c.spare);
	return r;
}
