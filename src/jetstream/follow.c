/* Followers.
 * Layer: jetstream. */
#include "jetstream/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "jetstream/ledger.h"
#include "jetstream/store.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "store/sqlite.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define ROWS_MAX  1000
#define BYTES_MAX (4u << 20)
#define BUF_MAX   (96u << 20)
#define BACK_MS   250
#define BACK_CAP  30000
#define BEHIND    10000
#define IDLE_MS   1000

struct place {
	char file[ZK_JET_NAME_MAX];
	int64_t row;
};

/* Records and the place behind them. */
struct fetched {
	struct zk_jet_batch batch;
	struct place next;
};

struct zk_jet_follower {
	struct zk_loop *loop;
	struct zk_jet_follower_conf conf;
	char *name, *dir;
	struct zk_lane *lane;
	struct zk_job job;
	/* The lane's while `busy`. */
	struct zk_db *positions, *db;
	struct zk_stmt *save, *select, *unresolved;
	char open[ZK_JET_NAME_MAX]; /* which file `db` is */
	struct fetched *got;        /* one of `two` */
	struct place from; /* where it begins; file "" = with the first there is */
	struct place keep; /* to be saved first */
	bool keeps, found; /* found: `from` is news for the loop */
	bool begun, missed;
	struct zk_error err;
	/* The loop's: while the peer has one batch the lane reads the next. */
	struct fetched two[2];
	struct fetched *out;  /* with the peer, NULL = none */
	struct fetched *next; /* read already, NULL = none */
	struct place at;      /* behind what the peer has confirmed */
	struct place read;    /* behind what was read */
	bool saved, busy, stale, closing, kicked, failed;
	int64_t back_ms;
	uint64_t delivered, known;
	struct zk_timer *timer;
	void (*idle)(void *ctx);
	void *idle_ctx;
	char why[520];
	struct zk_gauge *lag, *states[3];
};

static void go(struct zk_jet_follower *f);

/* ---- the lane ---- */

static int open_positions(struct zk_jet_follower *f)
{
	struct zk_stmt *st = NULL;
	int r = zk_jet_ledger_open(f->dir, &f->positions, &f->err);

	if (r == 0)
		r = zk_db_prepare(f->positions,
		                  "INSERT OR REPLACE INTO followers VALUES(?,?,?)",
		                  &f->save, &f->err);
	if (r == 0)
		r = zk_db_prepare(f->positions,
		                  "SELECT file, row FROM followers WHERE name=?", &st,
		                  &f->err);
	if (r < 0)
		return r;
	zk_bind_text(st, 1, zk_str_of(f->name));
	if (zk_stmt_step(st, &f->err) == 1) {
		(void)snprintf(f->from.file, sizeof(f->from.file), "%.*s",
		               ZK_STR_ARG(zk_col_text(st, 0)));
		f->from.row = zk_col_i64(st, 1);
	}
	zk_stmt_free(st);
	f->found = true;
	return 0;
}

static int save_position(struct zk_jet_follower *f, const struct place *at)
{
	zk_bind_text(f->save, 1, zk_str_of(f->name));
	zk_bind_text(f->save, 2, zk_str_of(at->file));
	zk_bind_i64(f->save, 3, at->row);
	return zk_stmt_run(f->save, &f->err);
}

static void close_file(struct zk_jet_follower *f)
{
	zk_db_close(ZK_TAKE(f->db));
	f->open[0] = '\0';
}

static int open_file(struct zk_jet_follower *f, const char *name)
{
	int r;

	close_file(f);
	r = zk_jet_form_open(f->dir, name, /* tmp */ f->dir, &f->db, &f->err);
	if (r == 0)
		r = zk_db_prepare(f->db,
		                  "SELECT " ZK_JET_ROW_COLUMNS
		                  " FROM records WHERE id > ? ORDER BY id LIMIT 1000",
		                  &f->select, &f->err);
	if (r == 0)
		r = zk_db_prepare(
		        f->db, "SELECT id, reason FROM zk_unresolved WHERE record_id=?",
		        &f->unresolved, &f->err);
	if (r == 0)
		(void)snprintf(f->open, sizeof(f->open), "%s", name);
	return r;
}

/* A number of the open file; 0 = none. */
static int ask(struct zk_jet_follower *f, const char *sql, int64_t arg, int64_t *ret)
{
	struct zk_stmt *st;
	int r = zk_db_prepare(f->db, sql, &st, &f->err);

	if (r < 0)
		return r;
	if (arg)
		zk_bind_i64(st, 1, arg);
	r = zk_stmt_step(st, &f->err);
	*ret = r == 1 ? zk_col_i64(st, 0) : 0;
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static void begin_at(struct zk_jet_follower *f, const char *file, int64_t row)
{
	(void)snprintf(f->from.file, sizeof(f->from.file), "%s", file);
	f->from.row = row;
	f->begun = f->found = true;
}

/* What the ledger knows of sealed files. */
struct sealed {
	struct zk_jet_follower *f;
	const struct zk_jet_files *files;
	struct zk_db *db; /* NULL = there is none */
};

/* Whether nothing in it is as late as a visitor wants; false when that is not known. */
static bool is_before(const struct sealed *s, const char *name)
{
	struct zk_jet_sealed known;
	struct zk_error ignored;

	return s->db && zk_jet_ledger_get(s->db, name, &known, &ignored) == 1 &&
	       known.has_times && known.last_us < s->f->conf.since_us;
}

/* Rows that a visitor wants have left with their file. */
static int look_for_gone(void *ctx, const struct zk_jet_sealed *known)
{
	const struct sealed *s = ctx;

	if (known->has_times && known->last_us >= s->f->conf.since_us &&
	    !zk_jet_files_find(s->files, known->name))
		s->f->missed = true;
	return 0;
}

static int find_in(struct zk_jet_follower *f, const char *name)
{
	int64_t id;

	if (open_file(f, name) < 0 ||
	    ask(f, "SELECT min(id) FROM records WHERE time_us >= ?", f->conf.since_us,
	        &id) < 0)
		return -(int)f->err.code;
	if (id)
		begin_at(f, name, id - 1);
	return 0;
}

/* A visitor's first row. */
static int find_since(struct zk_jet_follower *f, const struct zk_jet_files *files)
{
	struct sealed s = { .f = f, .files = files };
	struct zk_error ignored;
	int r = 0;

	ZK_IGNORE(zk_jet_ledger_open(f->dir, &s.db, &ignored) < 0); /* without, then */
	if (s.db)
		ZK_IGNORE(zk_jet_ledger_each(s.db, look_for_gone, &s, &ignored) < 0);
	for (size_t i = 0; i < files->n && !f->begun && r == 0; i++)
		if (!is_before(&s, files->v[i].name))
			r = find_in(f, files->v[i].name);
	zk_db_close(s.db);
	return r;
}

/* Behind the last row that is stored now. */
static int find_end(struct zk_jet_follower *f, const struct zk_jet_files *files)
{
	const char *last;
	int64_t id;

	if (!files->n) {
		f->begun = true; /* nothing is stored yet: all that comes */
		return 0;
	}
	last = files->v[files->n - 1].name;
	if (open_file(f, last) < 0 || ask(f, "SELECT max(id) FROM records", 0, &id) < 0)
		return -(int)f->err.code;
	begin_at(f, last, id);
	return 0;
}

static int find_start(struct zk_jet_follower *f)
{
	struct zk_jet_files files;
	int r = 0;

	if (zk_jet_files_list(f->dir, &files, &f->err) < 0)
		return -(int)f->err.code;
	if (f->conf.since_us)
		r = find_since(f, &files);
	if (r == 0 && !f->begun)
		r = find_end(f, &files);
	zk_jet_files_done(&files);
	return r;
}

static void put_unresolved(struct zk_jet_follower *f, int64_t id, struct zk_buf *b)
{
	struct zk_jwrite w;
	struct zk_error ignored;
	bool any = false;

	zk_jwrite_init(&w, b);
	zk_bind_i64(f->unresolved, 1, id);
	while (zk_stmt_step(f->unresolved, &ignored) == 1) {
		if (!any)
			zk_jw_arr(&w);
		any = true;
		zk_jw_obj(&w);
		zk_jw_key(&w, "id");
		zk_jw_str(&w, zk_col_text(f->unresolved, 0));
		zk_jw_key(&w, "reason");
		zk_jw_str(&w, zk_col_text(f->unresolved, 1));
		zk_jw_obj_end(&w);
	}
	if (any)
		zk_jw_arr_end(&w);
}

static struct zk_jet_rec *add_rec(struct zk_jet_batch *b)
{
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 256;
		b->v = zk_realloc(b->v, b->room * sizeof(*b->v));
	}
	b->v[b->n] = (struct zk_jet_rec){ 0 };
	return &b->v[b->n++];
}

static void put_text(struct zk_buf *b, zk_str s, size_t *at, size_t *n)
{
	*at = b->n;
	*n = s.n;
	zk_buf_add(b, s);
}

static void put_row(struct zk_jet_follower *f, struct zk_buf *text)
{
	struct zk_jet_rec *rec = add_rec(&f->got->batch);
	struct zk_buf *b = &f->got->batch.bytes;
	struct zk_jet_row row;

	zk_jet_row_read(f->select, &row);
	zk_buf_clear(text);
	if (row.hydration == 1)
		put_unresolved(f, zk_col_i64(f->select, 0), text);
	row.unresolved = zk_buf_str(text);
	rec->at = b->n;
	if (f->conf.put)
		f->conf.put(f->conf.ctx, &row, b);
	else
		zk_jet_put_record(&row, f->conf.envelope, b);
	rec->n = b->n - rec->at;
	if (f->conf.fd >= 0) {
		zk_buf_char(b, '\n');
		return;
	}
	put_text(b, row.at_uri, &rec->uri_at, &rec->uri_n);
	put_text(b, row.did, &rec->did_at, &rec->did_n);
	put_text(b, row.kind, &rec->kind_at, &rec->kind_n);
	put_text(b, row.message, &rec->message_at, &rec->message_n);
	rec->time_us = row.time_us;
	rec->has_time = row.has_time;
}

/* Rows behind the position; at the end of a file that is not the live one any more, those of the
 * next. */
static int read_rows(struct zk_jet_follower *f)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	struct zk_jet_batch *b = &f->got->batch;

	zk_buf_init(&text, 1u << 20);
	zk_buf_clear(&b->bytes);
	b->n = 0;
	zk_bind_i64(f->select, 1, f->got->next.row);
	while (b->n < ROWS_MAX && b->bytes.n < BYTES_MAX &&
	       zk_stmt_step(f->select, &f->err) == 1) {
		f->got->next.row = zk_col_i64(f->select, 0);
		put_row(f, &text);
	}
	zk_stmt_reset(f->select);
	return f->err.code ? -(int)f->err.code : 0;
}

static int next_file(struct zk_jet_follower *f, bool *moved)
{
	struct zk_jet_files files;
	const struct zk_jet_file *n;
	struct place *at = &f->got->next;
	char live[ZK_JET_NAME_MAX] = "";

	*moved = false;
	if (zk_jet_files_list(f->dir, &files, &f->err) < 0)
		return -(int)f->err.code;
	/* While it is live, rows may still come. */
	if (zk_jet_live_read(f->dir, live) == 0 && strcmp(live, at->file) != 0) {
		/* When this one was taken away, others behind it were, perhaps. */
		f->missed = f->missed ||
		            (at->file[0] && !zk_jet_files_find(&files, at->file));
		n = zk_jet_files_after(&files, at->file);
		if (n) {
			(void)snprintf(at->file, sizeof(at->file), "%s", n->name);
			at->row = 0;
			*moved = true;
		}
	}
	zk_jet_files_done(&files);
	return 0;
}

static int write_lines(struct zk_jet_follower *f)
{
	int e = zk_write_all(f->conf.fd, zk_buf_str(&f->got->batch.bytes));

	if (e)
		return zk_fail_errno(&f->err, ZK_E_OUTPUT, e, "cannot write to '%s'",
		                     f->name);
	if (f->conf.sync && fdatasync(f->conf.fd) < 0)
		return zk_fail_errno(&f->err, ZK_E_OUTPUT, errno, "cannot sync '%s'",
		                     f->name);
	return 0;
}

static int fetch(struct zk_jet_follower *f)
{
	struct place *at = &f->got->next;
	bool moved = true;
	int r = 0;

	*at = f->from;
	if (!at->file[0])
		r = next_file(f, &moved);
	while (r == 0 && moved && at->file[0]) {
		if (strcmp(f->open, at->file) != 0)
			r = open_file(f, at->file);
		if (r == 0)
			r = read_rows(f);
		if (r < 0 || f->got->batch.n)
			break;
		r = next_file(f, &moved);
		/* Rows that came between the look and the switch are not passed over. */
		if (r == 0 && moved)
			close_file(f);
	}
	return r;
}

static void run(void *ctx, struct zk_job *job, size_t n)
{
	struct zk_jet_follower *f = ctx;
	int r = 0;

	(void)job;
	(void)n;
	f->err = (struct zk_error){ 0 };
	f->got->batch.n = 0;
	f->got->next = f->from;
	if (f->conf.visitor)
		r = f->begun ? 0 : find_start(f);
	else if (!f->positions)
		r = open_positions(f);
	if (r == 0 && f->keeps)
		r = save_position(f, &f->keep);
	if (r == 0 && (f->begun || !f->conf.visitor))
		r = fetch(f);
	if (r == 0 && f->got->batch.n && f->conf.fd >= 0)
		ZK_IGNORE(write_lines(f) < 0); /* in f->err */
	if (!f->got->batch.n)
		close_file(f); /* nobody waits for a reader that sleeps */
}

static void lane_end(void *ctx)
{
	struct zk_jet_follower *f = ctx;

	f->err = (struct zk_error){ 0 };
	if (f->positions && !f->saved)
		ZK_IGNORE(save_position(f, &f->at) < 0); /* it comes again */
	close_file(f);
	zk_db_close(ZK_TAKE(f->positions));
}

/* ---- the loop ---- */

static void set_gauges(struct zk_jet_follower *f)
{
	struct zk_jet_follower_view v;
	static const char *const names[] = { "up", "behind", "down" };

	if (!f->lag)
		return;
	zk_jet_follower_view(f, &v);
	zk_gauge_set(f->lag, (double)v.lag);
	for (unsigned i = 0; i < 3; i++)
		zk_gauge_set(f->states[i], strcmp(names[i], v.state) == 0);
}

static void tell_idle(struct zk_jet_follower *f)
{
	void (*fn)(void *ctx) = f->idle;

	f->idle = NULL;
	if (fn)
		fn(f->idle_ctx);
}

/* What was read beyond the last confirmation is read again after a while. */
static void fail(struct zk_jet_follower *f, const struct zk_error *err)
{
	if (f->conf.failed) {
		f->failed = true;
		f->conf.failed(f->conf.ctx, err);
		return;
	}
	if (!f->failed)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a sink is down, trying again", err);
	f->failed = true;
	f->out = f->next = NULL;
	f->read = f->at;
	f->stale = f->busy;
	(void)snprintf(f->why, sizeof(f->why), "%s", err->msg);
	f->back_ms = f->back_ms ? ZK_MIN(f->back_ms * 2, (int64_t)BACK_CAP) : BACK_MS;
	zk_timer_start(f->timer, f->back_ms, 0);
	set_gauges(f);
}

/* Hands over what was read, when the peer has nothing; the next is read meanwhile. */
static void deliver(struct zk_jet_follower *f)
{
	if (f->out || !f->next)
		return;
	f->out = ZK_TAKE(f->next);
	go(f);
	f->conf.deliver(f->conf.ctx, &f->out->batch);
}

static void pass(struct zk_jet_follower *f)
{
	if (f->failed)
		zk_notice("a sink works again", "name=%s", f->name);
	f->failed = false;
	f->why[0] = '\0';
	f->back_ms = 0;
	f->delivered += f->out->batch.n;
	f->at = f->out->next;
	f->out = NULL;
	f->saved = false;
	set_gauges(f);
	deliver(f);
	go(f);
}

void zk_jet_follower_done(struct zk_jet_follower *f, const struct zk_error *err)
{
	if (err)
		fail(f, err);
	else
		pass(f);
}

/* Nothing is left to be read. */
static void rest(struct zk_jet_follower *f)
{
	/* An empty file was passed over, perhaps. */
	if (strcmp(f->at.file, f->got->next.file) != 0) {
		f->at = f->read = f->got->next;
		f->saved = false;
	}
	f->known = f->delivered;
	set_gauges(f);
	zk_timer_start(f->timer, IDLE_MS, 0); /* a switch of files tells nobody */
	tell_idle(f);
}

static void take(struct zk_jet_follower *f)
{
	if (f->err.code) {
		fail(f, &f->err);
	} else if (f->got->batch.n) {
		f->got->batch.missed = f->missed;
		f->missed = false;
		f->read = f->got->next;
		f->next = f->got;
		if (f->conf.fd < 0) {
			deliver(f);
			return;
		}
		f->out = ZK_TAKE(f->next); /* it is written */
		pass(f);
	} else if (f->kicked) {
		go(f);
	} else if (!f->out) {
		rest(f);
	}
}

static void on_run(struct zk_job *job)
{
	struct zk_jet_follower *f = ZK_CONTAINER_OF(job, struct zk_jet_follower, job);
	bool stale = f->stale;

	f->busy = f->stale = false;
	if (f->closing)
		return;
	if (f->found) {
		f->at = f->read = f->from;
		f->found = false;
	}
	f->saved = f->saved && !(f->err.code && f->keeps);
	if (!stale)
		take(f);
	else if (!zk_timer_is_active(f->timer))
		go(f); /* the retry came meanwhile */
}

static void go(struct zk_jet_follower *f)
{
	if (f->busy || f->next || f->closing || !f->lane)
		return;
	f->kicked = false;
	f->busy = true;
	f->got = f->out == &f->two[0] ? &f->two[1] : &f->two[0];
	f->from = f->read;
	f->keep = f->at;
	f->keeps = !f->saved && !f->conf.visitor;
	f->saved = true;
	f->job = (struct zk_job){ .done = on_run };
	zk_lane_push_always(f->lane, &f->job);
}

static void on_timer(void *ctx)
{
	struct zk_jet_follower *f = ctx;

	go(f);
}

void zk_jet_follower_retry(struct zk_jet_follower *f)
{
	if (f->failed)
		go(f);
}

void zk_jet_follower_kick(struct zk_jet_follower *f, size_t n)
{
	f->known += n;
	f->kicked = true;
	if (!f->failed)
		go(f);
}

void zk_jet_follower_when_idle(struct zk_jet_follower *f, void (*fn)(void *ctx),
                               void *ctx)
{
	f->idle = fn;
	f->idle_ctx = ctx;
	f->kicked = true;
	go(f);
}

static void add_gauges(struct zk_jet_follower *f, struct zk_metrics *m)
{
	static const char *const states[] = { "up", "behind", "down" };

	f->lag = zk_metrics_gauge(m, "zk_jetstream_follower_lag_records",
	                          "records that a sink has not got yet",
	                          (const char *[]){ "follower", f->name, NULL });
	for (unsigned i = 0; i < 3; i++)
		f->states[i] = zk_metrics_gauge(
		        m, "zk_jetstream_follower_state", "1 for the state a sink is in",
		        (const char *[]){ "follower", f->name, "state", states[i],
		                          NULL });
}

int zk_jet_follower_new(struct zk_loop *loop, const struct zk_jet_follower_conf *conf,
                        struct zk_metrics *m, struct zk_jet_follower **ret,
                        struct zk_error *err)
{
	struct zk_jet_follower *f = zk_new0(struct zk_jet_follower);
	struct zk_lane_conf lane = {
		.name = "jet-follow", .ctx = f, .run = run, .end = lane_end
	};

	f->loop = loop;
	f->conf = *conf;
	f->name = zk_strdup(conf->name);
	f->dir = zk_strdup(conf->dir);
	f->saved = true;
	for (size_t i = 0; i < ZK_ARRAY_LEN(f->two); i++)
		zk_buf_init(&f->two[i].batch.bytes, BUF_MAX);
	f->timer = zk_timer_new(loop, on_timer, f);
	zk_timer_weak(f->timer, true);
	if (m)
		add_gauges(f, m);
	if (zk_lane_start(loop, &lane, &f->lane, err) < 0) {
		zk_jet_follower_free(f);
		return -(int)err->code;
	}
	*ret = f;
	go(f);
	return 0;
}

void zk_jet_follower_free(struct zk_jet_follower *f)
{
	if (!f)
		return;
	f->closing = true;
	f->idle = NULL;
	zk_lane_stop(ZK_TAKE(f->lane));
	zk_timer_free(f->timer);
	for (size_t i = 0; i < ZK_ARRAY_LEN(f->two); i++) {
		zk_buf_done(&f->two[i].batch.bytes);
		free(f->two[i].batch.v);
	}
	free(f->name);
	free(f->dir);
	free(f);
}

void zk_jet_follower_view(const struct zk_jet_follower *f,
                          struct zk_jet_follower_view *ret)
{
	ret->name = f->name;
	ret->lag = f->known > f->delivered ? f->known - f->delivered : 0;
	ret->state = f->failed ? "down" : ret->lag > BEHIND ? "behind" : "up";
	memcpy(ret->file, f->at.file, sizeof(ret->file));
	ret->row = f->at.row;
	ret->delivered = f->delivered;
	ret->error = f->why;
}

bool zk_jet_follower_passed(const struct zk_jet_follower *f, const char *file)
{
	return f->at.file[0] && zk_jet_name_cmp(f->at.file, file) > 0;
}
