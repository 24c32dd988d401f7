/* The reader lane.
 * Layer: zerobus. specs/zerobus.md §12, §13. */
#include "zerobus/feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "rt/mailbox.h"
#include "zerobus/builder.h"
#include "zerobus/feed_int.h"
#include "zerobus/request.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define MAX_SPARE 256 /* requests kept for their memory, which is part of max_bytes */

struct zk_zb_feed {
	struct zk_zb_feed_conf conf;
	struct zk_mailbox *mail;
	struct zk_zb_writer *writer; /* NULL = no debug files */
	pthread_t thread;
	bool joined, freed;
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

/* The lane's thread, or the writer's. */
static void post(void *ctx, struct zk_zb_note *n)
{
	struct zk_zb_feed *f = ctx;

	/* There is no bound: the gate is what limits. */
	ZK_IGNORE(zk_mailbox_push(f->mail, &n->item) != ZK_MAIL_TAKEN);
}

/* When there is room for it. Bad rows count as well: a file of nothing else must not fill the
 * memory. */
static void hand_over(struct zk_zb_feed *f, struct zk_zb_note *n)
{
	if (n->what == ZK_ZB_NOTE_REQUEST || n->what == ZK_ZB_NOTE_BAD)
		wait_for_room(f, n->item.bytes, n->what == ZK_ZB_NOTE_REQUEST);
	if (ZK_ZB_HOOKS && f->writer)
		zk_zb_writer_put(f->writer, n);
	else
		post(f, n);
}

static void built_request(void *ctx, struct zk_zb_request *r)
{
	struct zk_zb_feed *f = ctx;

	f->hint = r->n + r->n / 64;
	hand_over(f, zk_zb_note_request(r));
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

static void built_bad(void *ctx, const struct zk_zb_bad *bad)
{
	hand_over(ctx, zk_zb_note_bad(bad));
}

static void built_skipped(void *ctx, uint64_t rows)
{
	hand_over(ctx, zk_zb_note_skipped(rows));
}

static void built_kind(void *ctx, struct zk_zb_kind *kind)
{
	hand_over(ctx, zk_zb_note_kind(kind));
}

static void on_note(void *ctx, const char *text)
{
	hand_over(ctx, zk_zb_note_text(text));
}

static void on_raw(void *ctx, const struct zk_zb_part *part)
{
	hand_over(ctx, zk_zb_note_part(part));
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
	conf.on_raw = f->writer && f->conf.on_part ? on_raw : NULL;
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

/* What was made when the files were checked. */
static void give_held(struct zk_zb_feed *f)
{
	struct zk_zb_source *unused = f->source;
	struct zk_zb_note *n;

	use_source(f, NULL);
	zk_zb_fd_source_close(unused);
	while (!f->cut && (n = zk_zb_held_pop(f->conf.held)) != NULL) {
		if (n->what != ZK_ZB_NOTE_REQUEST || !is_stopped(f)) {
			hand_over(f, n);
			continue;
		}
		drop_held(f, n->request);
		zk_zb_note_free(n);
	}
	zk_zb_held_drop(f->conf.held);
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
	struct zk_zb_note *end = zk_zb_note_new(ZK_ZB_NOTE_END);
	struct zk_error err = { 0 };
	int r = 0;

	if (f->conf.held && f->conf.held->first)
		give_held(f);
	else
		r = read_all(f, &err);
	/* A bad row fills it too. */
	if (r < 0)
		end->err = err;
	hand_over(f, end);
	return NULL;
}

/* ---- loop thread ---- */

static void give_back(struct zk_zb_feed *f, size_t bytes)
{
	(void)pthread_mutex_lock(&f->lock);
	f->used -= bytes;
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
}

static void tell(struct zk_zb_feed *f, struct zk_zb_note *n)
{
	switch (n->what) {
	case ZK_ZB_NOTE_BAD:
		f->conf.on_bad(f->conf.ctx, &n->bad);
		give_back(f, n->item.bytes);
		break;
	case ZK_ZB_NOTE_SKIPPED:
		f->conf.on_skipped(f->conf.ctx, n->rows);
		break;
	case ZK_ZB_NOTE_KIND:
		if (f->conf.on_kind)
			f->conf.on_kind(f->conf.ctx, n->kind);
		break;
	case ZK_ZB_NOTE_TEXT:
		f->conf.on_note(f->conf.ctx, zk_buf_cstring(&n->text));
		break;
	case ZK_ZB_NOTE_END:
		zk_mailbox_close(f->mail); /* lets the loop end */
		f->conf.on_end(f->conf.ctx, n->err.code ? &n->err : NULL);
		break;
	case ZK_ZB_NOTE_REQUEST:
		f->conf.on_request(f->conf.ctx, ZK_TAKE(n->request));
		break;
	case ZK_ZB_NOTE_PART: /* ended at the writer */
		break;
	}
}

static void on_items(void *ctx, struct zk_item *list, size_t n)
{
	struct zk_zb_feed *f = ctx;

	(void)n;
	while (list) {
		struct zk_zb_note *note = zk_zb_note_of(list);

		list = list->next;
		if (!f->freed)
			tell(f, note);
		zk_zb_note_free(note);
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

static void name_sources(struct zk_zb_feed *f)
{
	f->names = zk_alloc_array(f->conf.n_paths, sizeof(*f->names));
	for (size_t i = 0; i < f->conf.n_paths; i++)
		f->names[i] = zk_strdup(
		        strcmp(f->conf.paths[i], "-") == 0 ? "stdin" : f->conf.paths[i]);
}

static void free_now(struct zk_zb_feed *f)
{
	zk_zb_writer_free(f->writer);
	f->freed = true;
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

static int start_writer(struct zk_zb_feed *f, struct zk_error *err)
{
	struct zk_zb_writer_conf conf = { .feed = &f->conf, .ctx = f, .pass = post };

	if (!ZK_ZB_HOOKS || (!f->conf.on_part && !f->conf.on_built))
		return 0;
	return zk_zb_writer_start(&conf, &f->writer, err);
}

int zk_zb_feed_start(const struct zk_zb_feed_conf *conf, struct zk_zb_feed **ret,
                     struct zk_error *err)
{
	struct zk_zb_feed *f = zk_new0(struct zk_zb_feed);
	struct zk_zb_builder_conf b = zk_zb_builder_conf_of(conf);
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
		r = start_writer(f, err);
	}
	if (r == 0) {
		r = -pthread_create(&f->thread, NULL, lane, f);
		if (r < 0)
			r = zk_fail_errno(err, ZK_E_SYSTEM, -r, "cannot start a thread");
	}
	if (r < 0) {
		zk_zb_fd_source_close(f->source);
		free_now(f);
		return r;
	}
	*ret = f;
	return 0;
}

/* Joins the threads: whatever they wait for, they do no longer. */
static void end_threads(struct zk_zb_feed *f)
{
	if (f->joined)
		return;
	f->joined = true;
	(void)pthread_mutex_lock(&f->lock);
	f->stopped = f->going = true;
	f->conf.max_bytes = SIZE_MAX / 2;
	if (f->source)
		zk_zb_fd_source_stop(f->source, /* drain */ false);
	(void)pthread_cond_signal(&f->room);
	(void)pthread_mutex_unlock(&f->lock);
	(void)pthread_join(f->thread, NULL);
	zk_zb_writer_free(ZK_TAKE(f->writer));
}

void zk_zb_feed_finish(struct zk_zb_feed *f)
{
	end_threads(f);
	zk_mailbox_close(f->mail); /* hands over what is in it */
}

void zk_zb_feed_free(struct zk_zb_feed *f)
{
	if (!f)
		return;
	end_threads(f);
	free_now(f);
}
