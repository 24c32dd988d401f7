/* Built-in handlers over files: file.read, file.tail, dir.watch; only below folders that the
 * declaration names.
 * Layer: procwire. specs/cli.md §Procwire. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "codec/ndjson.h"
#include "procwire/answer.h"
#include "procwire/spec.h"
#include "procwire/template.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

#define LINE_BYTES  (16u << 20)
#define CHUNK_BYTES (256u * 1024)
/* How often a followed file is looked at. */
#define FOLLOW_MS 100

/* ---- which files ---- */

struct files {
	struct zk_pw_words roots; /* real paths */
	size_t max_output;
	enum zk_pw_out out;
};

static void files_free(void *conf)
{
	struct files *f = conf;

	zk_pw_words_done(&f->roots);
	free(f);
}

static int files_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                      const struct zk_pw_spec *spec, const char *rest,
                      struct zk_error *err)
{
	struct files *f = zk_new0(struct files);
	char real[PATH_MAX];

	m->conf = f;
	m->free_conf = files_free;
	f->max_output = spec->max_output ? spec->max_output : env->max_output;
	f->out = zk_pw_out_of(spec->out, m);
	for (size_t i = 0; i < spec->allow.n + (rest[0] ? 1 : 0); i++) {
		const char *dir = i < spec->allow.n ? spec->allow.v[i] : rest;

		if (!realpath(dir, real))
			return zk_fail_errno(err, ZK_E_PW_TABLE, errno, "'%s'", dir);
		zk_pw_words_add(&f->roots, real);
	}
	if (!f->roots.n)
		return zk_fail(
		        err, ZK_E_PW_TABLE,
		        "name the folder that may be read, as in file.read:/var/log");
	return zk_pw_out_check(f->out, m, err);
}

static bool is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/' || (n == 1 && root[0] == '/'));
}

/* Opens the `path` of a request, a string or {path}: what the opened file really is decides, so
 * that no link and no race leads out of the folders. */
static int open_allowed(struct zk_pw_req *req, zk_str payload, int flags,
                        struct zk_error *err)
{
	const struct files *f = zk_pw_method_of(req)->conf;
	char name[64], real[PATH_MAX], *path;
	zk_str text;
	ssize_t n;
	int fd;

	if (!zk_mp_get_str(payload, ZK_STR("path"), &text) &&
	    !zk_mp_bytes(payload, &text))
		return zk_fail(err, ZK_E_DATA, "the request is a path, or {path}");
	if (memchr(text.p, '\0', text.n) || text.n >= PATH_MAX || !text.n)
		return zk_fail(err, ZK_E_DATA,
		               "the path is empty, too long or holds a NUL");
	path = text.p[0] == '/' ? zk_strndup(text.p, text.n)
	                        : zk_asprintf("%s/%.*s", f->roots.v[0], ZK_STR_ARG(text));
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		(void)zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot open '%.*s'",
		                    ZK_STR_ARG(text));
	free(path);
	if (fd < 0)
		return -(int)err->code;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, real, sizeof(real) - 1);
	real[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < f->roots.n; i++)
		if (is_below(real, f->roots.v[i]))
			return fd;
	(void)close(fd);
	return zk_fail(err, ZK_E_BLOCKED, "'%.*s' is not below a folder that may be read",
	               ZK_STR_ARG(text));
}

/* ---- file.read, file.tail ---- */

struct reading {
	struct zk_pw_req *req;
	const struct files *f;
	struct zk_loop *loop;
	struct zk_input *in;   /* NULL between two looks at a followed file */
	struct zk_timer *look; /* of a followed file */
	struct zk_ndjson lines;
	struct zk_buf all; /* of a result */
	struct zk_error error;
	int fd;
};

static void reading_free(struct reading *r)
{
	zk_input_close(r->in);
	zk_timer_free(r->look);
	zk_ndjson_done(&r->lines);
	zk_buf_done(&r->all);
	(void)close(r->fd);
	free(r);
}

static void reading_drop(struct zk_pw_req *req)
{
	reading_free(zk_pw_data(req));
}

static void over(void *ctx)
{
	struct reading *r = ctx;
	struct zk_pw_req *req = r->req;

	reading_free(r);
	zk_pw_done(req);
}

static void send_record(struct reading *r, zk_str text)
{
	struct zk_buf b;

	zk_buf_init(&b, text.n * 9 + 64);
	if (!r->error.code && zk_pw_out_record(r->f->out, zk_pw_method_of(r->req), text,
	                                       &b, &r->error) == 0)
		(void)zk_pw_chunk_buf(r->req, &b, &r->error);
	zk_buf_done(&b);
}

static void send_line(struct reading *r, const struct zk_ndjson_line *line)
{
	if (!r->error.code && zk_pw_out_line(line, &r->error) == 0)
		send_record(r, line->text);
}

static void on_room(void *ctx)
{
	struct reading *r = ctx;

	if (r->in)
		zk_input_resume(r->in);
}

static void finish(struct reading *r)
{
	struct zk_pw_exit how = { 0 };
	struct zk_buf b;

	if (zk_pw_method_of(r->req)->kind == ZK_PW_STREAMED) {
		if (!r->error.code)
			ZK_IGNORE(zk_pw_end(r->req, &r->error)); /* sent below */
	} else if (zk_buf_check(&r->all, &r->error) == 0) {
		zk_buf_init(&b, r->all.n * 9 + 64);
		if (zk_pw_out_whole(r->f->out, zk_pw_method_of(r->req),
		                    zk_buf_str(&r->all), &how, &b, &r->error) == 0)
			ZK_IGNORE(zk_pw_respond_buf(r->req, &b, &r->error));
		zk_buf_done(&b);
	}
	if (r->error.code)
		(void)zk_pw_fail(r->req, &r->error);
	over(r);
}

static void on_data(void *ctx, zk_str chunk)
{
	struct reading *r = ctx;
	struct zk_ndjson_line line;

	if (zk_pw_method_of(r->req)->kind != ZK_PW_STREAMED) {
		zk_buf_add(&r->all, chunk);
		if (r->all.failed)
			finish(r);
		return;
	}
	if (r->f->out == ZK_PW_OUT_RAW)
		send_record(r, chunk);
	while (r->f->out != ZK_PW_OUT_RAW && zk_ndjson_next(&r->lines, &chunk, &line))
		send_line(r, &line);
	if (r->error.code) {
		finish(r);
	} else if (zk_pw_is_full(r->req)) {
		zk_input_pause(r->in);
		zk_pw_when_room(r->req, on_room, r);
	}
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct reading *r = ctx;
	struct zk_ndjson_line line;

	if (err)
		r->error = *err;
	if (r->look && !err) {
		zk_input_close(ZK_TAKE(r->in));
		zk_timer_start(r->look, FOLLOW_MS, 0);
		return;
	}
	if (r->f->out != ZK_PW_OUT_RAW && zk_ndjson_last(&r->lines, &line))
		send_line(r, &line);
	finish(r);
}

static int open_input(struct reading *r, struct zk_error *err)
{
	struct zk_input_conf conf = { .fd = r->fd,
		                      .chunk_bytes = CHUNK_BYTES,
		                      .ctx = r,
		                      .on_data = on_data,
		                      .on_end = on_end };

	return zk_input_open(r->loop, &conf, &r->in, err);
}

/* A followed file that was truncated begins again. */
static void on_look(void *ctx)
{
	struct reading *r = ctx;
	struct stat st;
	off_t at = lseek(r->fd, 0, SEEK_CUR);

	if (fstat(r->fd, &st) == 0 && st.st_size < at)
		(void)lseek(r->fd, 0, SEEK_SET);
	if (open_input(r, &r->error) < 0)
		finish(r);
}

static enum zk_pw_then start(struct zk_pw_req *req, zk_str payload, bool follow)
{
	struct zk_error err = { 0 };
	int fd = open_allowed(req, payload, O_RDONLY, &err);
	struct reading *r;
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		(void)close(fd);
		fd = zk_fail(&err, ZK_E_NO_INPUT, "it is no regular file");
	}
	if (fd < 0)
		return zk_pw_fail(req, &err);
	r = zk_new0(struct reading);
	r->req = req;
	r->f = zk_pw_method_of(req)->conf;
	r->loop = zk_pw_worker_loop(zk_pw_worker_of(req));
	r->fd = fd;
	zk_ndjson_init(&r->lines, LINE_BYTES);
	zk_buf_init(&r->all, r->f->max_output);
	if (follow) {
		r->look = zk_timer_new(r->loop, on_look, r);
		(void)lseek(fd, 0, SEEK_END);
	}
	if (open_input(r, &err) < 0) {
		reading_free(r);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, r);
	zk_pw_on_cancel(req, over, r);
	return ZK_PW_THEN_KEEP;
}

static enum zk_pw_then read_request(struct zk_pw_req *req, zk_str payload)
{
	return start(req, payload, /* follow */ false);
}

static enum zk_pw_then tail_request(struct zk_pw_req *req, zk_str payload)
{
	return start(req, payload, /* follow */ true);
}

static const struct zk_pw_handler reader = { .name = "file.read",
	                                     .request = read_request,
	                                     .drop = reading_drop };
static const struct zk_pw_handler tail = { .name = "file.tail",
	                                   .request = tail_request,
	                                   .drop = reading_drop };

/* ---- dir.watch ---- */

struct watch {
	struct zk_pw_req *req;
	int fd;
	struct zk_poll *poll;
};

static void watch_free(struct watch *w)
{
	zk_poll_free(w->poll);
	(void)close(w->fd);
	free(w);
}

static void watch_drop(struct zk_pw_req *req)
{
	watch_free(zk_pw_data(req));
}

static void watch_cancel(void *ctx)
{
	struct watch *w = ctx;
	struct zk_pw_req *req = w->req;

	watch_free(w);
	zk_pw_done(req);
}

static const char *what_of(uint32_t mask)
{
	if (mask & IN_Q_OVERFLOW)
		return "overflow"; /* events were lost: look yourself */
	if (mask & (IN_CREATE | IN_MOVED_TO))
		return "created";
	if (mask & (IN_DELETE | IN_MOVED_FROM))
		return "deleted";
	return "changed";
}

static void send_change(struct watch *w, const struct inotify_event *e)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_mp_map(&b, 2);
	zk_mp_cstr(&b, "event");
	zk_mp_cstr(&b, what_of(e->mask));
	zk_mp_cstr(&b, "name");
	zk_mp_text(&b, zk_str_of(e->len ? e->name : ""));
	ZK_IGNORE(zk_pw_chunk_buf(w->req, &b, &err)); /* refused after a cancel */
}

static void watch_room(void *ctx)
{
	struct watch *w = ctx;

	zk_poll_set(w->poll, ZK_POLL_IN);
}

static void on_change(void *ctx, int events, int status)
{
	struct watch *w = ctx;
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = status < 0 ? 0 : read(w->fd, buf, sizeof(buf));

	(void)events;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(buf + at);

		send_change(w, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	if (zk_pw_is_full(w->req)) {
		zk_poll_set(w->poll, 0);
		zk_pw_when_room(w->req, watch_room, w);
	}
}

static int watch_open(struct watch *w, int dir, struct zk_error *err)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", dir);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0 ||
	    inotify_add_watch(w->fd, name,
	                      IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
	                              IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot watch the folder");
	w->poll = zk_poll_new(zk_pw_worker_loop(zk_pw_worker_of(w->req)), w->fd,
	                      on_change, w, err);
	if (!w->poll)
		return -(int)err->code;
	zk_poll_set(w->poll, ZK_POLL_IN);
	return 0;
}

static enum zk_pw_then watch_request(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };
	int dir = open_allowed(req, payload, O_RDONLY | O_DIRECTORY, &err), r;
	struct watch *w;

	if (dir < 0)
		return zk_pw_fail(req, &err);
	w = zk_new0(struct watch);
	w->req = req;
	w->fd = -1;
	r = watch_open(w, dir, &err);
	(void)close(dir);
	if (r < 0) {
		watch_free(w);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, w);
	zk_pw_on_cancel(req, watch_cancel, w);
	return ZK_PW_THEN_KEEP;
}

static const struct zk_pw_handler watcher = { .name = "dir.watch",
	                                      .request = watch_request,
	                                      .drop = watch_drop };

/* What follows is a stream; a file that is read may be a result too. */
static int stream_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                       const struct zk_pw_spec *spec, const char *rest,
                       struct zk_error *err)
{
	if (m->kind != ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE, "it is a stream");
	return files_make(env, m, spec, rest, err);
}

const struct zk_pw_maker zk_pw_files[] = {
	{ .name = "file.read",
	  .handler = &reader,
	  .takes_rest = true,
	  .exposed = true,
	  .response = ZK_PW_RAW,
	  .make = files_make },
	{ .name = "file.tail",
	  .handler = &tail,
	  .takes_rest = true,
	  .exposed = true,
	  .kind = ZK_PW_STREAMED,
	  .make = stream_make },
	{ .name = "dir.watch",
	  .handler = &watcher,
	  .takes_rest = true,
	  .exposed = true,
	  .kind = ZK_PW_STREAMED,
	  .make = stream_make },
	{ .name = NULL },
};
