/* `zk trace push`: sessions, and runs that go on after a crash.
 * Layer: cmd. specs/zeal-zip.md §6.6. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/spool_cmd.h"
#include "cmd/spool_senders.h"
#include "cmd/trace_push.h"
#include "rt/progress.h"
#include "zip/trace_map.h"
#include "zip/trace_run.h"
#include "zip/trace_session.h"

#define ZK_LOGGER "trace"
#include "base/log.h"

#include "base/ban.h"

#define MAX_TEXT 65536

/* ---- options ---------------------------------------------------------------------------------- */

int push_use_options(struct push *s, const char *const *rules, size_t n, bool strict,
                     struct zk_error *err)
{
	struct zk_zip_map *map = NULL;

	if (n && zk_zip_map_new(rules, n, &map, err) < 0)
		return -(int)err->code;
	zk_zip_map_free(s->map);
	s->map = map;
	s->conf.strict = strict;
	s->conf.mark = zk_str_of(s->mark);
	return 0;
}

/* "strict" or "", then the rules of --map, a line each. */
static char *options_text(const struct push *s)
{
	struct zk_buf b;

	zk_buf_init(&b, MAX_TEXT);
	zk_buf_cstr(&b, s->o->strict ? "strict" : "");
	for (size_t i = 0; i < s->o->map.n; i++) {
		zk_buf_char(&b, '\n');
		zk_buf_cstr(&b, s->o->map.v[i]);
	}
	return b.n ? zk_buf_take(&b) : zk_strdup("");
}

/* Lines of `text` as an array that ends with NULL; both are the caller's. */
static char **split(const char *text, size_t *ret_n)
{
	zk_str rest = zk_str_of(text), line;
	char **v = zk_alloc0(sizeof(*v));
	size_t n = 0;

	while (rest.n) {
		rest = zk_str_cut(rest, '\n', &line);
		v = zk_realloc(v, (n + 2) * sizeof(*v));
		v[n++] = zk_strndup(line.n ? line.p : "", line.n);
		v[n] = NULL;
	}
	*ret_n = n;
	return v;
}

static void free_lines(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

static int options_of(struct push *s, const char *text, struct zk_error *err)
{
	bool strict = strncmp(text, "strict", 6) == 0;
	const char *rules = strchr(text, '\n');
	size_t n = 0;
	char **v = split(rules ? rules + 1 : "", &n);
	int r = push_use_options(s, (const char *const *)v, n, strict, err);

	free_lines(v);
	return r;
}

/* The files of the input, absolute, a line each; NULL when one of them is none that could be read
 * again. */
static char *source_text(const struct push *s)
{
	struct zk_buf b;

	zk_buf_init(&b, MAX_TEXT);
	for (size_t i = 0; i < s->ship.n_paths; i++) {
		struct stat st;
		ZK_CLEANUP(zk_freep)
		char *real = strcmp(s->ship.paths[i], "-")
		                     ? realpath(s->ship.paths[i], NULL)
		                     : NULL;

		if (!real || stat(real, &st) < 0 || !S_ISREG(st.st_mode) ||
		    strchr(real, '\n')) {
			zk_buf_done(&b);
			return NULL;
		}
		zk_buf_cstr(&b, i ? "\n" : "");
		zk_buf_cstr(&b, real);
	}
	return b.failed || !b.n ? (zk_buf_done(&b), NULL) : zk_buf_take(&b);
}

/* ---- --resume --------------------------------------------------------------------------------- */

static int flush_spool(struct push *s, struct zk_error *err)
{
	struct zk_spool *sp ZK_CLEANUP(zk_spool_closep)
	= NULL;
	ZK_CLEANUP(zk_freep)
	char *glob = zk_asprintf("trace:%s/*", zk_zip_base(s->z.zip));
	const char *const targets[] = { glob };
	struct zk_spool_flush f = { .app = s->app,
		                    .senders = zk_spool_senders,
		                    .filter = { .targets = targets, .n_targets = 1 } };
	int r = spool_open(s->app, s->app->spool.spool, &sp, err);

	if (r <= 0)
		return r;
	f.spool = sp;
	if (zk_spool_flush_run(&f, err) < 0)
		return -(int)err->code;
	if (f.acked)
		zk_say("%llu records of the spool were sent",
		       (unsigned long long)f.acked);
	if (!f.worst.code)
		return 0;
	*err = f.worst;
	return -(int)err->code;
}

static int take_up(struct push *s, struct zk_error *err)
{
	const struct zk_zip_run_head *h = zk_zip_run_head(s->run);

	s->resumed = true;
	s->session = zk_strdup(h->session);
	s->completes = h->completes;
	s->skip_below = s->safe_below = zk_zip_run_seq(s->run);
	(void)snprintf(s->mark, sizeof(s->mark), "%s", h->mark);
	s->run_paths = split(h->source, &s->ship.n_paths);
	s->ship.paths = s->run_paths;
	zk_say("going on with session %s after %llu events", s->session,
	       (unsigned long long)s->skip_below);
	return options_of(s, h->options, err) < 0 ? -(int)err->code : 1;
}

int push_resume(struct push *s, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *dir = trace_spool_dir(s->app, err);
	ZK_CLEANUP(zk_freep)
	char *source = s->has_paths ? source_text(s) : NULL;

	if (!dir || flush_spool(s, err) < 0)
		return -(int)err->code;
	if ((s->has_paths && !source) ||
	    !zk_zip_run_find(dir, zk_zip_base(s->z.zip), source, &s->run))
		return 0;
	return take_up(s, err);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static int open_local(struct push *s, zk_str body, struct zk_error *err)
{
	s->session = trace_make_id(TRACE_LOCAL);
	return trace_spool_op(&s->z, s->ship.spool, s->session, TRACE_OP_START, body,
	                      err);
}

static int open_session(struct push *s, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };

	s->execution =
	        s->o->execution ? zk_strdup(s->o->execution) : trace_make_id("ex_");
	struct zk_zip_start st = { .workflow = s->o->workflow,
		                   .execution = s->execution };

	zk_buf_init(&body, 1 << 20);
	zk_buf_init(&id, 4096);
	zk_zip_start_body(&st, &body);
	s->completes = true;
	zk_zip_about(s->z.zip, s->o->workflow);
	if (s->o->spool_only)
		return open_local(s, zk_buf_str(&body), err);
	if (zk_zip_session_open(s->z.zip, zk_buf_str(&body), &id, err) == 0) {
		s->session = zk_strdup(zk_buf_cstring(&id));
		return 0;
	}
	if (!s->app->spool.enabled || zk_code_exit((int)err->code) != ZK_EXIT_TEMPFAIL)
		return -(int)err->code;
	zk_say("%s; the session goes to the spool", err->msg);
	s->ship.lost = *err;
	*err = (struct zk_error){ 0 };
	return open_local(s, zk_buf_str(&body), err);
}

/* A run from files can be taken up again. That this cannot be kept is no reason not to push. */
static void begin_run(struct push *s)
{
	struct zk_error err = { 0 };
	ZK_CLEANUP(zk_freep)
	char *source = source_text(s);

	if (!source || s->o->spool_only || trace_is_local(s->session))
		return;
	ZK_CLEANUP(zk_freep)
	char *dir = trace_spool_dir(s->app, &err);
	ZK_CLEANUP(zk_freep)
	char *options = options_text(s);
	struct zk_zip_run_head head = { .base = zk_zip_base(s->z.zip),
		                        .session = s->session,
		                        .workflow = s->o->workflow ? s->o->workflow : "",
		                        .mark = s->mark,
		                        .source = source,
		                        .options = options,
		                        .completes = s->completes };

	if (!dir || zk_zip_run_new(dir, &head, &s->run, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "--resume will not know of this run",
		             &err);
}

int push_open(struct push *s, struct zk_error *err)
{
	const char *session = NULL;

	if (s->o->workflow) {
		if (open_session(s, err) < 0)
			return -(int)err->code;
	} else if (trace_session(&s->o->t, &session, err) < 0) {
		return -(int)err->code;
	} else {
		s->session = zk_strdup(session ? session : "");
	}
	s->sum.start_ms = s->completes ? zk_wall_us() / 1000 : 0;
	begin_run(s);
	return 0;
}

/* ---- the end ---------------------------------------------------------------------------------- */

static int complete(struct push *s, struct zk_error *err)
{
	struct zk_buf sum ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	const char *status = zk_zip_sum_failed(&s->sum) ? "error" : "success";

	zk_buf_init(&sum, 4096);
	zk_buf_init(&body, 8192);
	zk_zip_sum_format(&s->sum, zk_wall_us() / 1000, &sum);
	zk_zip_complete_body(status, zk_buf_str(&sum), NULL, NULL, &body);
	if (!s->ship.spooled && s->sender &&
	    zk_zip_session_complete(s->z.zip, s->session, zk_buf_str(&body), err) == 0)
		return 0;
	if (err->code &&
	    (!s->app->spool.enabled || zk_code_exit((int)err->code) != ZK_EXIT_TEMPFAIL))
		return -(int)err->code;
	if (err->code && !s->ship.lost.code)
		s->ship.lost = *err;
	*err = (struct zk_error){ 0 };
	return trace_spool_op(&s->z, s->ship.spool, s->session, TRACE_OP_COMPLETE,
	                      zk_buf_str(&body), err);
}

int push_finish(struct push *s, struct zk_error *err)
{
	/* Without a spool, what was not sent is still in the file. */
	if (s->ship.lost.code && !s->app->spool.enabled)
		return 0;
	if (s->completes) {
		if (complete(s, err) < 0)
			return -(int)err->code;
	} else {
		trace_sum_save(s->app, s->session, &s->sum);
	}
	if (s->run)
		zk_zip_run_drop(ZK_TAKE(s->run));
	return 0;
}

void push_run_close(struct push *s)
{
	zk_zip_run_close(ZK_TAKE(s->run));
	free_lines(s->run_paths);
}
