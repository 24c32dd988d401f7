/* `zk trace exec`: runs a command as if zk were not there, and tells a trace session of it.
 * Layer: cmd. specs/zeal-zip.md §6.8. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/trace_emit.h"
#include "codec/jwrite.h"
#include "rt/child.h"
#include "rt/loop.h"
#include "rt/progress.h"

#include "base/ban.h"

#define MAX_EVENT ((size_t)8 << 20)
/* How long the end of the command may be held up by a server that is slow. */
#define WAIT_MS 1000

struct exec_opts {
	struct trace_opts t;
	const char *node;
	uint64_t capture;
	bool fail;
};

struct exec {
	struct zk_app *app;
	const struct exec_opts *o;
	char **argv;
	struct zeal z;
	struct zk_loop *loop;
	struct trace_emit *emit; /* NULL = nobody is told */
	const char *node, *parent;
	struct zk_child *child;
	int sigfd;
	struct zk_poll *sigpoll;
	struct zk_buf tail; /* of the command's stderr */
	uint64_t err_bytes;
	bool over;
	int status, signal;
	int64_t ms;
	struct rusage before;
	struct zk_error trouble; /* of tracing; code 0 = none */
};

/* ---- events ----------------------------------------------------------------------------------- */

static void begin_event(struct exec *x, struct zk_jwrite *w, struct zk_buf *b,
                        const char *type)
{
	zk_buf_init(b, MAX_EVENT);
	trace_event_begin(w, b, x->node, NULL, type);
}

static void put_parent(struct exec *x, struct zk_jwrite *w)
{
	if (!x->parent)
		return;
	zk_jw_key(w, "parent");
	zk_jw_cstr(w, x->parent);
}

static void give(struct exec *x, struct zk_buf *b)
{
	struct zk_error err = { 0 };

	if (trace_emit_event(x->emit, zk_buf_str(b), &err) < 0 && !x->trouble.code)
		x->trouble = err;
}

static void tell_begin(struct exec *x)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;
	ZK_CLEANUP(zk_freep)
	char *cwd = getcwd(NULL, 0);

	begin_event(x, &w, &b, "input");
	zk_jw_key(&w, "data");
	zk_jw_obj(&w);
	zk_jw_key(&w, "size");
	zk_jw_i64(&w, 0);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "application/json");
	zk_jw_key(&w, "preview");
	zk_jw_obj(&w);
	zk_jw_key(&w, "argv");
	zk_jw_arr(&w);
	for (char **a = x->argv; *a; a++)
		zk_jw_cstr(&w, *a);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "cwd");
	zk_jw_cstr(&w, cwd);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	if (x->parent) {
		zk_jw_key(&w, "metadata");
		zk_jw_obj(&w);
		zk_jw_key(&w, "custom");
		zk_jw_obj(&w);
		put_parent(x, &w);
		zk_jw_obj_end(&w);
		zk_jw_obj_end(&w);
	}
	zk_jw_obj_end(&w);
	give(x, &b);
}

static int64_t ms_of(struct timeval a, struct timeval b)
{
	return (int64_t)(a.tv_sec - b.tv_sec) * 1000 + (a.tv_usec - b.tv_usec) / 1000;
}

static void put_usage(struct exec *x, struct zk_jwrite *w)
{
	struct rusage now;

	(void)getrusage(RUSAGE_CHILDREN, &now); /* it cannot fail */
	zk_jw_key(w, "exit_status");
	zk_jw_i64(w, x->status);
	if (x->signal) {
		zk_jw_key(w, "signal");
		zk_jw_i64(w, x->signal);
	}
	zk_jw_key(w, "user_ms");
	zk_jw_i64(w, ms_of(now.ru_utime, x->before.ru_utime));
	zk_jw_key(w, "system_ms");
	zk_jw_i64(w, ms_of(now.ru_stime, x->before.ru_stime));
	zk_jw_key(w, "max_rss_bytes");
	zk_jw_i64(w, (int64_t)now.ru_maxrss * 1024);
	put_parent(x, w);
}

/* What stderr ended with; from a whole character on. */
static zk_str tail_text(const struct exec *x)
{
	zk_str t = zk_buf_str(&x->tail);
	size_t most = (size_t)x->o->capture;

	if (t.n > most)
		t = zk_str_from(t, t.n - most);
	while (t.n && ((unsigned char)t.p[0] & 0xc0) == 0x80)
		t = zk_str_from(t, 1);
	return t;
}

static void tell_end(struct exec *x)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_buf clean ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;

	zk_buf_init(&clean, MAX_EVENT);
	/* The server cannot store U+0000. */
	zk_str tail = tail_text(x);

	for (size_t i = 0; i < tail.n; i++)
		zk_buf_char(&clean, tail.p[i] ? tail.p[i] : ' ');
	begin_event(x, &w, &b, x->status ? "error" : "output");
	zk_jw_key(&w, "data");
	zk_jw_obj(&w);
	zk_jw_key(&w, "size");
	zk_jw_u64(&w, x->err_bytes);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "text/plain");
	if (clean.n) {
		zk_jw_key(&w, "preview");
		zk_jw_str(&w, zk_buf_str(&clean));
	}
	zk_jw_obj_end(&w);
	zk_jw_key(&w, "duration");
	zk_jw_i64(&w, x->ms);
	zk_jw_key(&w, "metadata");
	zk_jw_obj(&w);
	zk_jw_key(&w, "custom");
	zk_jw_obj(&w);
	put_usage(x, &w);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	if (x->status) {
		char text[40];

		(void)snprintf(text, sizeof(text),
		               x->signal ? "killed by signal %d" : "exit status %d",
		               x->signal ? x->signal : x->status);
		trace_event_error(&w, text);
	}
	zk_jw_obj_end(&w);
	give(x, &b);
}

/* ---- the command ------------------------------------------------------------------------------ */

static void on_err(void *ctx, zk_str chunk)
{
	struct exec *x = ctx;
	zk_str rest = chunk;
	size_t most = 2 * (size_t)x->o->capture;

	while (rest.n) {
		ssize_t n = write(STDERR_FILENO, rest.p, rest.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* nobody reads it: so would the command have found */
		rest = zk_str_from(rest, (size_t)n);
	}
	x->err_bytes += chunk.n;
	zk_buf_add(&x->tail, chunk);
	if (x->tail.n > most)
		zk_buf_consume(&x->tail, x->tail.n - (size_t)x->o->capture);
}

static void on_exit_(void *ctx, const struct zk_child_result *res)
{
	struct exec *x = ctx;

	x->status = res->status;
	x->signal = res->signal;
	x->ms = res->ms;
	x->child = NULL;
	x->over = true;
}

/* What is sent to zk alone is passed on; what a terminal sends has reached the command as well. */
static void on_signal(void *ctx, int events, int status)
{
	struct exec *x = ctx;
	struct signalfd_siginfo si;

	(void)events;
	(void)status;
	while (read(x->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (x->child && si.ssi_code != SI_KERNEL)
			zk_child_signal(x->child, (int)si.ssi_signo);
}

static int watch_signals(struct exec *x, struct zk_error *err)
{
	static const int passed[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
		                      SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ZK_ARRAY_LEN(passed); i++)
		(void)sigaddset(&set, passed[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	x->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (x->sigfd < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot watch signals");
	x->sigpoll = zk_poll_new(x->loop, x->sigfd, on_signal, x, err);
	if (!x->sigpoll)
		return -(int)err->code;
	zk_poll_set(x->sigpoll, ZK_POLL_IN);
	return 0;
}

/* 0, or -1 when the command could not be run; then x->status says so as a shell would. */
static int run_command(struct exec *x)
{
	ZK_CLEANUP(zk_freep)
	char *session =
	        zk_asprintf("ZK_TRACE_SESSION=%s", x->o->t.session ? x->o->t.session
	                                           : getenv("ZK_TRACE_SESSION")
	                                                   ? getenv("ZK_TRACE_SESSION")
	                                                   : "");
	ZK_CLEANUP(zk_freep)
	char *node = zk_asprintf("ZK_TRACE_NODE=%s", x->node);
	ZK_CLEANUP(zk_freep)
	char *parent = zk_asprintf("ZK_TRACE_PARENT=%s", x->node);
	const char *const env[] = { session, node, parent, NULL };
	struct zk_child_conf conf = { .ctx = x,
		                      .argv = x->argv,
		                      .env = x->emit ? env : NULL,
		                      .foreground = true,
		                      .out = ZK_CHILD_INHERIT,
		                      .err = x->emit && x->o->capture ? ZK_CHILD_STREAM
		                                                      : ZK_CHILD_INHERIT,
		                      .on_err = on_err,
		                      .on_exit = on_exit_ };
	struct zk_error err = { 0 };

	if (watch_signals(x, &err) == 0 &&
	    zk_child_start(x->loop, &conf, &x->child, &err) == 0)
		return 0;
	zk_say("%s", err.msg);
	x->status = err.sys_errno == ENOENT ? 127 : 126;
	return -1;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void trace_trouble(struct exec *x, const struct zk_error *err)
{
	if (!x->trouble.code)
		x->trouble = *err;
}

/* A failure of tracing is no failure of the job. */
static void begin_tracing(struct exec *x)
{
	struct zk_error err = { 0 };
	const char *session;
	int r = trace_session(&x->o->t, &session, &err);

	if (r == 0)
		return;
	if (r > 0)
		r = zeal_open(x->app, &x->o->t.zeal, /* patient */ false, &x->z, &err);
	if (r < 0) {
		trace_trouble(x, &err);
		return;
	}
	x->emit = trace_emit_new(&x->z, session);
	tell_begin(x);
}

static void end_tracing(struct exec *x)
{
	struct trace_emit_result res;
	struct zk_error err = { 0 };

	if (!x->emit)
		return;
	tell_end(x);
	if (trace_emit_end(x->emit, WAIT_MS, &res, &err) < 0)
		trace_trouble(x, &err);
	else if (res.spooled && res.err.code)
		trace_trouble(x, &res.err);
}

static void done(struct exec *x)
{
	trace_emit_free(x->emit);
	zeal_close(&x->z);
	zk_poll_free(x->sigpoll);
	if (x->sigfd >= 0)
		(void)close(x->sigfd);
	zk_buf_done(&x->tail);
}

static int conclude(struct exec *x, struct zk_error *err)
{
	struct rlimit none = { 0, 0 };

	if (x->trouble.code && (!x->o->fail || x->status))
		zk_say("tracing: %s%s", x->trouble.msg,
		       x->emit ? "; what was not sent is in the spool" : "");
	if (x->signal) {
		/* The caller sees what it would have seen without zk, but for a second core. */
		(void)setrlimit(RLIMIT_CORE, &none);
		x->app->end_signal = x->signal;
		return 128 + x->signal;
	}
	if (!x->status && x->trouble.code && x->o->fail) {
		*err = x->trouble;
		(void)zk_wrap(err, "the command succeeded, tracing it did not");
		err->code = ZK_E_HTTP_BUSY;
		return -(int)err->code;
	}
	return x->status;
}

static int exec_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct exec_opts *o = opts;
	struct exec x = { .app = app, .o = o, .sigfd = -1 };
	const char *slash = strrchr(argv[0], '/');

	(void)argc;
	x.argv = argv;
	x.node = o->node && o->node[0] ? o->node : slash ? slash + 1 : argv[0];
	x.parent = getenv("ZK_TRACE_PARENT");
	zk_buf_init(&x.tail, 4 * (size_t)o->capture + (1 << 20));
	(void)getrusage(RUSAGE_CHILDREN, &x.before);
	x.loop = zk_app_loop(app, err);
	if (!x.loop)
		return -(int)err->code;
	if (app->common.dry_run) {
		zk_say("dry run: the command is not run");
		done(&x);
		return 0;
	}
	begin_tracing(&x);
	if (run_command(&x) == 0)
		zk_loop_until(x.loop, &x.over);
	end_tracing(&x);
	int r = conclude(&x, err);

	done(&x);
	return r;
}

static const struct zk_opt exec_rows[] = {
	ZEAL_ROWS,
	TRACE_SESSION_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct exec_opts, node),
	  .help = "node that the command is; its name without it" },
	{ .type = ZK_OPT_SIZE,
	  .name = "capture",
	  .meta = "SIZE",
	  .def = "8KiB",
	  .max = 1 << 20,
	  .conf = "trace.exec.capture",
	  .off = offsetof(struct exec_opts, capture),
	  .help = "keep so much of the end of its stderr; 0 = none" },
	{ .type = ZK_OPT_BOOL,
	  .name = "fail",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct exec_opts, fail),
	  .help = "exit 75 when tracing failed and the command did not" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_exec = {
	.path = "trace exec",
	.args = "[--] COMMAND [ARG...]",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "run a command and trace it",
	.about = "Pushes an input event with its arguments, and an output or error event "
	         "with "
	         "exit status, duration, CPU time, memory and the end of stderr. The "
	         "command "
	         "keeps stdin, stdout, terminal and signals; zk ends as the command "
	         "ended, "
	         "whatever becomes of tracing: what cannot be sent within a second goes "
	         "to "
	         "the spool.",
	.examples = "zk trace exec --node fetch -- ./fetch.sh\n"
	            "zk trace exec --optional -- make deploy",
	.args_help = "COMMAND    looked up in PATH; no shell",
	.output = "what the command prints",
	.exits = "that of the command · 126 127 as a shell · 64 · 75 with --fail",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_SPOOL,
	.opts = exec_rows,
	.opts_size = sizeof(struct exec_opts),
	.conf = "zeal",
	.flags = ZK_CMD_STOP_AT_ARG,
	.run = exec_run,
};
