/* Events from a file, stdin, or a store file.
 * Layer: jetstream. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/ndjson.h"
#include "codec/press.h"
#include "jetstream/pieces.h"
#include "jetstream/source.h"
#include "rt/input.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "store/sqlite.h"

#include "base/ban.h"

#define CHUNK      (1u << 20)
#define OUT_MAX    (256u << 20)
#define PACKED_MAX (SIZE_MAX / 2)
#define DB_ROWS    2000
#define DB_BYTES   (4u << 20)

enum { PIECE_HEAD, PIECE_BODY, PIECE_TAIL };

struct file_source {
	struct zk_jet_source base;
	struct zk_loop *loop;
	char *label; /* "file:/path" */
	struct zk_input *in;
	struct zk_ndjson split;
	struct zk_unpress *unpress;
	struct zk_buf out;                          /* what a chunk expanded to */
	zk_str rest;                                /* of the chunk, not yet split */
	bool begun, paused, ended, finishing, held; /* held: `in` waits for a resume */
	bool all_read;
	uint64_t skip, seen;
	uint64_t handed; /* number of the last event that was handed over */
	int64_t time_us; /* the largest of them */
	/* --pace */
	double pace;
	struct zk_timer *timer;
	int64_t first_us, start_us;
	struct zk_buf late; /* the event that is not due yet */
	/* A store file is read in a lane. */
	struct zk_db *db;
	struct zk_stmt *st;
	struct zk_lane *lane;
	struct db_job *job;
	int64_t last_id;
	/* A plain file whose events may be looked at ahead is read in pieces. */
	struct zk_jet_pieces *pieces;
	const struct zk_jet_piece *piece; /* that is taken apart */
	int part;                         /* of it: PIECE_HEAD, … */
	size_t grain;
	bool passed; /* the row before that grain is done with */
};

struct db_job {
	struct zk_job job;
	struct file_source *s;
	struct zk_buf lines;
	size_t n;
	bool end;
	int64_t after;
	struct zk_error err;
};

static void go_on(struct file_source *s);

static void end(struct file_source *s, const struct zk_error *err)
{
	if (s->ended)
		return;
	s->ended = true;
	s->base.hooks.on_end(s->base.hooks.ctx, err);
}

/* ---- one line ---- */

/* Whether the event has to wait; starts the timer then. */
static bool is_early(struct file_source *s, zk_str line)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("time_us") } };
	struct zk_jscan js;
	int64_t t, due, now = zk_mono_us();

	if (s->pace <= 0 || zk_jscan(line, ZK_JET_DEPTH_MAX, want, 1, &js) < 0 ||
	    !zk_jnum_i64(want[0].val.raw, &t) || t <= 0)
		return false;
	if (!s->first_us) {
		s->first_us = t;
		s->start_us = now;
	}
	due = s->start_us + (int64_t)((double)(t - s->first_us) / s->pace);
	if (due <= now)
		return false;
	zk_timer_start(s->timer, (due - now) / 1000 + 1, 0);
	return true;
}

/* What became of the events up to number `seen`. */
static void handed(struct file_source *s, enum zk_jet_taken taken, int64_t time_us)
{
	if (taken == ZK_JET_ENOUGH || taken == ZK_JET_REFUSED)
		s->paused = true;
	if (taken == ZK_JET_REFUSED)
		return;
	s->handed = s->seen;
	s->time_us = ZK_MAX(s->time_us, time_us);
}

static void hand_over(struct file_source *s, zk_str line)
{
	struct zk_jet_mark mark = { .order = s->seen };
	enum zk_jet_taken taken =
	        s->base.hooks.on_event(s->base.hooks.ctx, line, line, &mark);

	handed(s, taken, mark.time_us);
}

static void take(struct file_source *s, const struct zk_ndjson_line *line)
{
	s->seen++;
	if (s->seen <= s->skip)
		return;
	if (line->too_long) {
		s->handed = s->seen;
		s->base.hooks.on_dead(s->base.hooks.ctx, ZK_JET_DEAD_TOO_BIG, line->text);
		return;
	}
	if (s->pace > 0 && is_early(s, line->text)) {
		zk_buf_clear(&s->late);
		zk_buf_add(&s->late, line->text);
		return;
	}
	hand_over(s, line->text);
}

static void on_due(void *ctx)
{
	struct file_source *s = ctx;
	struct zk_buf late = s->late;

	zk_buf_init(&s->late, ZK_JET_EVENT_MAX);
	hand_over(s, zk_buf_str(&late));
	zk_buf_done(&late);
	go_on(s);
}

static bool must_wait(const struct file_source *s)
{
	return s->paused || s->late.n;
}

/* Splits what was read until it is used up or has to wait: true when it is used up. */
static bool drain(struct file_source *s)
{
	struct zk_ndjson_line line;

	while (!must_wait(s) && zk_ndjson_next(&s->split, &s->rest, &line))
		take(s, &line);
	return !must_wait(s) || !s->rest.n;
}

/* ---- files ---- */

/* gzip and zstd are known by their first bytes. */
static bool is_packed(zk_str head, enum zk_press *ret)
{
	bool gzip = zk_str_starts(head, ZK_STR("\x1f\x8b"));

	*ret = gzip ? ZK_PRESS_GZIP : ZK_PRESS_ZSTD;
	return gzip || zk_str_starts(head, ZK_STR("\x28\xb5\x2f\xfd"));
}

static int detect(struct file_source *s, zk_str chunk, struct zk_error *err)
{
	enum zk_press kind;

	s->begun = true;
	return is_packed(chunk, &kind)
	               ? zk_unpress_new(kind, NULL, PACKED_MAX, &s->unpress, err)
	               : 0;
}

static void hold(struct file_source *s)
{
	if (s->in && !s->held)
		zk_input_pause(s->in);
	s->held = true;
}

static void on_data(void *ctx, zk_str chunk)
{
	struct file_source *s = ctx;
	struct zk_error err = { 0 };

	if (!s->begun && detect(s, chunk, &err) < 0) {
		end(s, &err);
		return;
	}
	s->rest = chunk;
	if (s->unpress) {
		zk_buf_clear(&s->out);
		if (zk_unpress_put(s->unpress, chunk, &s->out, &err) < 0) {
			end(s, &err);
			return;
		}
		s->rest = zk_buf_str(&s->out);
	}
	if (!drain(s) || must_wait(s))
		hold(s);
}

/* Everything was read: what is left is handed over, then it ends. */
static void wind_up(struct file_source *s)
{
	struct zk_ndjson_line line;

	if (!must_wait(s) && zk_ndjson_last(&s->split, &line))
		take(s, &line);
	if (!must_wait(s))
		end(s, NULL);
}

static void on_input_end(void *ctx, const struct zk_error *err)
{
	struct file_source *s = ctx;
	struct zk_error broken = { 0 };

	if (!err && s->unpress && zk_unpress_end(s->unpress, &broken) < 0)
		err = &broken;
	s->all_read = true;
	if (err)
		end(s, err);
	else
		wind_up(s);
}

static bool take_piece(struct file_source *s);

static void go_on(struct file_source *s)
{
	if (s->pieces && s->piece && !s->ended && take_piece(s))
		zk_jet_pieces_next(s->pieces);
	if (s->pieces && !s->all_read)
		return;
	if (s->ended || must_wait(s) || !drain(s) || must_wait(s))
		return;
	if (s->all_read) {
		wind_up(s);
	} else if (s->held && s->in) {
		s->held = false;
		zk_input_resume(s->in);
	}
}

/* ---- plain files, looked at ahead ---- */

static void take_row(struct file_source *s, const struct zk_jet_passed *row)
{
	enum zk_jet_taken taken;

	if (!row->n)
		return;
	s->seen += row->n;
	taken = s->base.hooks.on_passed(s->base.hooks.ctx, row, s->seen);
	handed(s, taken, row->time_us);
}

static void take_grain(struct file_source *s, const struct zk_jet_grain *g)
{
	struct zk_jet_mark mark = { .order = ++s->seen };
	enum zk_jet_taken taken;

	if (!g->passes) {
		hand_over(s, g->line);
		return;
	}
	taken = s->base.hooks.on_grain(s->base.hooks.ctx, g, &mark);
	handed(s, taken, mark.time_us);
}

/* False when it has to wait before the end. */
static bool take_grains(struct file_source *s)
{
	const struct zk_jet_sieve *found = s->piece->found;

	while (!must_wait(s) && s->grain <= found->n) {
		bool last = s->grain == found->n;

		if (!s->passed) {
			take_row(s, last ? &found->rest : &found->v[s->grain].before);
			s->passed = true;
			continue;
		}
		if (!last)
			take_grain(s, &found->v[s->grain]);
		s->passed = false;
		s->grain++;
	}
	return s->grain > found->n;
}

/* Its lines wait in `rest`, or its grains are there. */
static void begin_part(struct file_source *s, int part)
{
	const struct zk_jet_piece *p = s->piece;

	s->part = part;
	s->passed = false;
	s->grain = part == PIECE_BODY ? 0 : p->found->n + 1;
	s->rest = part == PIECE_HEAD   ? p->head
	          : part == PIECE_TAIL ? p->tail
	                               : ZK_STR_NULL;
	if (part != PIECE_BODY || s->seen >= s->skip)
		return;
	/* An earlier run has stored all of these, or some. */
	s->grain = p->found->n + 1;
	if (s->seen + p->found->events <= s->skip)
		s->seen += p->found->events;
	else
		s->rest = p->body;
}

/* True when it is used up, false when it has to wait. */
static bool take_piece(struct file_source *s)
{
	while (s->part <= PIECE_TAIL) {
		if (!drain(s) || !take_grains(s) || must_wait(s))
			return false;
		if (s->part == PIECE_TAIL)
			break;
		begin_part(s, s->part + 1);
	}
	s->piece = NULL;
	return true;
}

static bool on_piece(void *ctx, const struct zk_jet_piece *piece)
{
	struct file_source *s = ctx;

	if (s->ended)
		return false;
	s->piece = piece;
	begin_part(s, PIECE_HEAD);
	return take_piece(s);
}

/* A descriptor when it is a regular file of bare lines, else -1. */
static int open_plain(const char *path)
{
	char head[4] = "";
	enum zk_press kind;
	struct stat st;
	int fd = strcmp(path, "-") == 0
	                 ? -1
	                 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    pread(fd, head, sizeof(head), 0) >= 0 &&
	    !is_packed(zk_str_n(head, sizeof(head)), &kind))
		return fd;
	(void)close(fd); /* only read */
	return -1;
}

static int open_pieces(struct file_source *s, const struct zk_jet_file_source_conf *from,
                       int fd, struct zk_error *err)
{
	struct zk_jet_pieces_conf conf = { .path = from->path,
		                           .fd = fd,
		                           .sieve = s->base.hooks.sieve,
		                           .lanes = from->lanes,
		                           .piece_bytes = from->piece_bytes,
		                           .ctx = s,
		                           .on_piece = on_piece,
		                           .on_end = on_input_end };

	return zk_jet_pieces_new(s->loop, &conf, &s->pieces, err);
}

/* ---- store files ---- */

static void run_db(void *ctx, struct zk_job *batch, size_t n)
{
	struct file_source *s = ctx;
	struct db_job *j = ZK_CONTAINER_OF(batch, struct db_job, job);
	int r = 0;

	(void)n;
	zk_bind_i64(s->st, 1, j->after);
	while (j->n < DB_ROWS && j->lines.n < DB_BYTES &&
	       (r = zk_stmt_step(s->st, &j->err)) == 1) {
		j->after = zk_col_i64(s->st, 0);
		zk_buf_add(&j->lines, zk_col_text(s->st, 1));
		zk_buf_char(&j->lines, '\0');
		j->n++;
	}
	zk_stmt_reset(s->st);
	j->end = j->n == 0 || r < 0;
}

static void read_more(struct file_source *s);

/* Hands over what the job read; rows that must wait stay in it. */
static void drain_rows(struct file_source *s)
{
	struct db_job *j = s->job;

	while (!must_wait(s) && s->rest.n) {
		struct zk_ndjson_line line = { 0 };

		s->rest = zk_str_cut(s->rest, '\0', &line.text);
		take(s, &line);
	}
	if (must_wait(s))
		return;
	if (j->end || s->finishing)
		end(s, j->err.code ? &j->err : NULL);
	else
		read_more(s);
}

static void on_rows(struct zk_job *job)
{
	struct db_job *j = ZK_CONTAINER_OF(job, struct db_job, job);
	struct file_source *s = j->s;

	s->rest = zk_buf_str(&j->lines);
	drain_rows(s);
}

static void read_more(struct file_source *s)
{
	struct db_job *j = s->job;

	zk_buf_clear(&j->lines);
	j->n = 0;
	j->job = (struct zk_job){ .done = on_rows };
	zk_lane_push_always(s->lane, &j->job);
}

static int open_db(struct file_source *s, const char *path, struct zk_error *err)
{
	struct zk_lane_conf lane = { .name = "jet-read", .ctx = s, .run = run_db };

	if (zk_jet_file_open(path, &s->db, err) < 0 ||
	    zk_db_prepare(s->db,
	                  "SELECT id, message FROM records WHERE id > ? ORDER BY id",
	                  &s->st, err) < 0 ||
	    zk_lane_start(s->loop, &lane, &s->lane, err) < 0)
		return -(int)err->code;
	s->job = zk_new0(struct db_job);
	s->job->s = s;
	zk_buf_init(&s->job->lines, OUT_MAX);
	read_more(s);
	return 0;
}

static bool is_db(const char *path)
{
	char head[16] = "";
	int fd = strcmp(path, "-") == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	bool yes = fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
	           memcmp(head, "SQLite format 3", 16) == 0;

	if (fd >= 0)
		(void)close(fd); /* only read */
	return yes;
}

/* ---- as a source ---- */

static void op_pause(struct zk_jet_source *b)
{
	((struct file_source *)b)->paused = true;
}

static void op_resume(struct zk_jet_source *b)
{
	struct file_source *s = (struct file_source *)b;

	if (!s->paused)
		return;
	s->paused = false;
	if (!s->db)
		go_on(s);
	else if (s->rest.n || (!s->ended && !zk_lane_jobs(s->lane)))
		drain_rows(s);
}

static void op_finish(struct zk_jet_source *b)
{
	struct file_source *s = (struct file_source *)b;

	s->finishing = true;
	if (s->in)
		zk_input_close(ZK_TAKE(s->in));
	if (!s->db || !zk_lane_jobs(s->lane))
		end(s, NULL);
}

static void op_free(struct zk_jet_source *b)
{
	struct file_source *s = (struct file_source *)b;

	s->ended = true;
	s->paused = true;
	zk_input_close(s->in);
	zk_jet_pieces_free(s->pieces);
	zk_lane_stop(s->lane);
	if (s->job) {
		zk_buf_done(&s->job->lines);
		free(s->job);
	}
	zk_db_close(s->db);
	zk_ndjson_done(&s->split);
	zk_unpress_free(s->unpress);
	zk_buf_done(&s->out);
	zk_buf_done(&s->late);
	zk_timer_free(s->timer);
	free(s->label);
	free(s);
}

static void op_place(const struct zk_jet_source *b, const struct zk_jet_mark *at,
                     struct zk_jet_stored_place *ret)
{
	const struct file_source *s = (const struct file_source *)b;

	memset(ret, 0, sizeof(*ret));
	(void)snprintf(ret->source, sizeof(ret->source), "%s", s->label);
	/* A file's position is the number of events. */
	ret->place.seq = at ? at->order : ZK_MAX(s->handed, s->skip);
	ret->place.time_us = at ? at->time_us : s->time_us;
}

static const struct zk_jet_source_ops ops = {
	.pause = op_pause,
	.resume = op_resume,
	.finish = op_finish,
	.free = op_free,
	.place = op_place,
};

char *zk_jet_file_label(const char *path)
{
	char *full = strcmp(path, "-") == 0 ? NULL : realpath(path, NULL);
	char *label = zk_asprintf("file:%s", full ? full : path);

	free(full);
	return label;
}

int zk_jet_file_source_new(struct zk_loop *loop,
                           const struct zk_jet_file_source_conf *conf,
                           const struct zk_jet_source_hooks *hooks,
                           struct zk_jet_source **ret, struct zk_error *err)
{
	struct file_source *s = zk_new0(struct file_source);
	struct zk_input_conf in = { .path = conf->path,
		                    .fd = -1,
		                    .chunk_bytes = CHUNK,
		                    .ctx = s,
		                    .on_data = on_data,
		                    .on_end = on_input_end };
	int r, fd;

	s->base.ops = &ops;
	s->base.hooks = *hooks;
	s->loop = loop;
	s->label = zk_jet_file_label(conf->path);
	s->pace = conf->pace;
	s->skip = conf->skip;
	zk_ndjson_init(&s->split, ZK_JET_EVENT_MAX);
	zk_buf_init(&s->out, OUT_MAX);
	zk_buf_init(&s->late, ZK_JET_EVENT_MAX);
	s->timer = zk_timer_new(loop, on_due, s);
	fd = hooks->sieve && s->pace <= 0 && !is_db(conf->path) ? open_plain(conf->path)
	                                                        : -1;
	if (fd >= 0)
		r = open_pieces(s, conf, fd, err);
	else
		r = is_db(conf->path) ? open_db(s, conf->path, err)
		                      : zk_input_open(loop, &in, &s->in, err);
	if (r < 0) {
		op_free(&s->base);
		return r;
	}
	hooks->on_state(hooks->ctx, ZK_JET_READING, s->label);
	*ret = &s->base;
	return 0;
}
