/* Keeps the streams of a workflow in files: ID.part while it comes, ID.bin when it is complete.
 * Layer: cmd. */
#include "cmd/events_save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/file.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/status.h"
#include "rt/stop.h"
#include "zip/frame.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define OPEN_MAX_STREAMS 256 /* at once; more are refused */
#define META_MAX         65536

/* A stream that is being received. */
struct saved {
	struct zk_list entry;
	uint64_t id, bytes;
	int fd;
	struct zk_buf meta;
};

struct save {
	struct zk_app *app;
	const struct events_save_opts *o;
	struct events events;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_out *out;
	struct zk_zip_live *live;
	struct zk_list streams;
	size_t n_streams;
	int dir;
	struct zk_error err;
	uint64_t done, failed, ended;
	bool stopping, gone, ready;
};

static void finish(struct save *s, const struct zk_error *err)
{
	if (err && !s->err.code)
		s->err = *err;
	if (!s->stopping)
		zk_stop_begin(s->stop);
}

/* ---- files ---------------------------------------------------------------------------------- */

static char *name_of(uint64_t id, const char *end)
{
	return zk_asprintf("%llu.%s", (unsigned long long)id, end);
}

static void fail_file(struct save *s, const char *name, int e)
{
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail_errno(&err, ZK_E_OUTPUT, e, "cannot write '%s/%s'", s->o->dir,
	                        name) < 0); /* its code */
	finish(s, &err);
}

static void write_meta(struct save *s, const struct saved *v)
{
	ZK_CLEANUP(zk_freep)
	char *name = name_of(v->id, "json");
	int fd, e;

	if (!v->meta.n)
		return;
	fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	            0600);
	e = fd < 0 ? errno : zk_write_all(fd, zk_buf_str(&v->meta));
	if (e)
		fail_file(s, name, e);
	if (fd >= 0)
		close(fd);
}

static void print(struct save *s, const struct saved *v, const char *file,
                  const char *status, zk_str error)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_error err = { 0 };
	ZK_CLEANUP(zk_freep)
	char *path = zk_asprintf("%s/%s", s->o->dir, file);

	zk_row_init(&row);
	zk_row_u64(&row, "streamId", v->id);
	zk_row_cstr(&row, "file", path);
	zk_row_u64(&row, "bytes", v->bytes);
	zk_row_cstr(&row, "status", status);
	if (v->meta.n)
		zk_row_raw(&row, "metadata", zk_buf_str(&v->meta));
	if (error.n)
		zk_row_str(&row, "error", error);
	if (zk_out_row(s->out, zk_row_end(&row), &err) < 0)
		finish(s, &err);
	else if (zk_out_closed(s->out))
		finish(s, NULL);
	else if (zk_out_is_full(s->out) && s->live)
		zk_zip_live_pause(s->live, true);
}

static void on_room(void *ctx)
{
	struct save *s = ctx;

	if (s->live && !s->stopping)
		zk_zip_live_pause(s->live, false);
}

static void free_saved(struct save *s, struct saved *v)
{
	zk_list_remove(&v->entry);
	s->n_streams--;
	if (v->fd >= 0)
		close(v->fd);
	zk_buf_done(&v->meta);
	free(v);
}

/* Complete: it gets its name. Not complete: it keeps the other one, for whoever wants it. */
static void end_stream(struct save *s, struct saved *v, zk_str error)
{
	ZK_CLEANUP(zk_freep)
	char *part = name_of(v->id, "part");
	ZK_CLEANUP(zk_freep)
	char *whole = name_of(v->id, "bin");

	if (error.n) {
		s->failed++;
		print(s, v, part, "failed", error);
	} else if (fsync(v->fd) < 0 || renameat(s->dir, part, s->dir, whole) < 0) {
		fail_file(s, whole, errno);
	} else {
		s->done++;
		write_meta(s, v);
		print(s, v, whole, "complete", ZK_STR_NULL);
	}
	free_saved(s, v);
	if (++s->ended == s->o->count && s->o->count)
		finish(s, NULL);
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct saved *find(struct save *s, uint64_t id)
{
	ZK_LIST_EACH (it, &s->streams) {
		struct saved *v = ZK_LIST_ENTRY(it, struct saved, entry);

		if (v->id == id)
			return v;
	}
	return NULL;
}

/* Streams that were under way when zk joined have no beginning here: they are passed over. */
static void begin_stream(struct save *s, const struct zk_zip_frame *f)
{
	ZK_CLEANUP(zk_freep)
	char *part = name_of(f->stream, "part");
	struct saved *v = find(s, f->stream);

	if (v)
		end_stream(s, v, ZK_STR("the stream began anew"));
	if (s->n_streams == OPEN_MAX_STREAMS || f->payload.n > META_MAX) {
		zk_warn("a stream is passed over, there are too many", "stream=%llu",
		        (unsigned long long)f->stream);
		return;
	}
	v = zk_new0(struct saved);
	v->id = f->stream;
	zk_buf_init(&v->meta, META_MAX);
	zk_buf_add(&v->meta, f->payload);
	zk_list_push(&s->streams, &v->entry);
	s->n_streams++;
	v->fd = openat(s->dir, part,
	               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (v->fd < 0)
		fail_file(s, part, errno);
}

static void on_frame(struct save *s, zk_str bytes)
{
	struct zk_error err = { 0 };
	struct zk_zip_frame f;
	struct saved *v;

	if (zk_zip_frame_decode(bytes, &f, &err) < 0) {
		zk_warn("a malformed frame, skipped", "reason=%s", err.msg);
		return;
	}
	if (f.type == ZK_ZIP_FRAME_BEGIN) {
		begin_stream(s, &f);
		return;
	}
	v = find(s, f.stream);
	if (!v || v->fd < 0)
		return;
	if (f.type == ZK_ZIP_FRAME_END) {
		end_stream(s, v, ZK_STR_NULL);
	} else if (f.type == ZK_ZIP_FRAME_ERROR) {
		end_stream(s, v, f.payload.n ? f.payload : ZK_STR("no reason given"));
	} else {
		int e = zk_write_all(v->fd, f.payload);

		v->bytes += f.payload.n;
		if (e)
			fail_file(s, "a stream", e);
	}
}

/* ---- the socket ----------------------------------------------------------------------------- */

static void on_event(void *ctx, struct zk_zip_live *live,
                     const struct zk_zip_live_event *ev)
{
	struct save *s = ctx;

	(void)live;
	if (zk_str_eq(ev->name, ZK_STR("stream.frame")) && ev->n_attachments &&
	    !s->stopping)
		on_frame(s, ev->attachments[0]);
}

static void on_live(void *ctx, struct zk_zip_live *live,
                    const struct zk_zip_live_gap *gap)
{
	struct save *s = ctx;
	struct zk_list *e;

	(void)live;
	/* What was under way has a hole now. */
	while (gap && (e = zk_list_pop(&s->streams)) != NULL)
		end_stream(s, ZK_LIST_ENTRY(e, struct saved, entry),
		           ZK_STR("the connection was lost meanwhile"));
	if (s->ready)
		return;
	s->ready = true;
	zk_status_ready(zk_app_status(s->app), s->loop, ZK_STR_NULL);
}

static void on_drop(void *ctx, struct zk_zip_live *live, const struct zk_error *err,
                    int64_t wait_ms)
{
	(void)live;
	events_say_drop(&((struct save *)ctx)->events, err, wait_ms);
}

static void on_deaf(void *ctx, struct zk_zip_live *live)
{
	(void)live;
	events_remember_deaf(&((struct save *)ctx)->events);
}

static void on_end(void *ctx, struct zk_zip_live *live, const struct zk_error *err)
{
	struct save *s = ctx;

	(void)live;
	s->gone = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		finish(s, err);
}

static void on_drain(void *ctx)
{
	struct save *s = ctx;

	s->stopping = true;
	if (s->gone)
		zk_stop_drained(s->stop);
	else
		zk_zip_live_close(s->live);
}

static void on_flush(void *ctx, bool expired)
{
	(void)expired;
	zk_stop_done(((struct save *)ctx)->stop);
}

static int start(struct save *s, struct zk_error *err)
{
	static const struct zk_out_col cols[] = { { .name = "streamId" },
		                                  { .name = "file" },
		                                  { .name = "bytes" },
		                                  { .name = "status" } };
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols),
		                                   .open = true };
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };

	if (!s->o->events->workflows.n)
		return zk_fail(err, ZK_E_USAGE, "which workflow? -w WF");
	s->loop = zk_app_loop(s->app, err);
	if (!s->loop)
		return -(int)err->code;
	if (mkdir(s->o->dir, 0700) < 0 && errno != EEXIST)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make '%s'",
		                     s->o->dir);
	s->dir = open(s->o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot open '%s'",
		                     s->o->dir);
	s->out = zk_app_out_on_loop(s->app, on_room, s, err);
	if (!s->out || zk_out_begin(s->out, &shape, err) < 0 ||
	    events_open(s->app, s->o->events, /* tries */ 0, /* client */ false,
	                &s->events, err) < 0)
		return -(int)err->code;
	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	s->events.conf.ctx = s;
	s->events.conf.wait = s->o->wait;
	s->events.conf.on_event = on_event;
	s->events.conf.on_live = on_live;
	s->events.conf.on_drop = on_drop;
	s->events.conf.on_deaf = on_deaf;
	s->events.conf.on_end = on_end;
	s->live = zk_zip_live_new(&s->events.conf);
	return 0;
}

static int outcome(struct save *s, struct zk_error *err)
{
	struct zk_list *e;

	/* What did not end is not complete. */
	while ((e = zk_list_pop(&s->streams)) != NULL) {
		struct saved *v = ZK_LIST_ENTRY(e, struct saved, entry);
		ZK_CLEANUP(zk_freep)
		char *part = name_of(v->id, "part");

		s->failed++;
		print(s, v, part, "failed", ZK_STR("stopped before its end"));
		free_saved(s, v);
	}
	if (zk_out_end(s->out, err) < 0 && !s->err.code)
		return -(int)err->code;
	if (s->err.code) {
		*err = s->err;
		return -(int)err->code;
	}
	return s->failed ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

int events_save_run(struct zk_app *app, const struct events_save_opts *o,
                    struct zk_error *err)
{
	struct save s = { .app = app, .o = o, .dir = -1 };
	int r;

	zk_list_init(&s.streams);
	r = start(&s, err);
	if (r == 0) {
		zk_loop_run(s.loop);
		r = outcome(&s, err);
	}
	zk_zip_live_free(s.live);
	if (s.dir >= 0)
		close(s.dir);
	events_close(&s.events);
	return r;
}
