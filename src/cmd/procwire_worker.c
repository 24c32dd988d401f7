/* `zk procwire worker`.
 * Layer: cmd. specs/procwire.md; specs/cli.md §Procwire. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/procwire_verbs.h"
#include "procwire/control.h"
#include "procwire/spec.h"
#include "procwire/wire.h"
#include "procwire/worker.h"
#include "rt/loop.h"
#include "rt/stop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

/* How long a parent that was told of a failure gets to read it. */
#define FAILED_MS 2000
/* Running requests get so long at the stop; the parent kills after 5 s. */
#define STOP_MS 2000

struct worker_opts {
	struct procwire_remotes remotes;
	struct zk_strlist handle, events, expose;
	struct zk_opttable methods;
	uint64_t max_concurrency, max_queue, max_payload, max_output;
	int64_t kill_grace_ms;
	uint64_t allow_uid;
	bool print_init, check;
	int print_types;
};

enum { TYPES_NONE, TYPES_TS, TYPES_MJS };
static const char *const types_values[] = { "none", "ts", "mjs", NULL };

#define OFF(member) offsetof(struct worker_opts, member)

static const struct zk_opt worker_rows[] = {
	{ .type = ZK_OPT_LIST,
	  .name = "handle",
	  .meta = "METHOD",
	  .off = OFF(handle),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "NAME[,KEY=VALUE...]=HANDLER: a method; repeatable" },
	{ .type = ZK_OPT_LIST,
	  .name = "event",
	  .meta = "NAME",
	  .off = OFF(events),
	  .conf = "procwire.events",
	  .help = "an event that handlers may emit; repeatable" },
	{ .type = ZK_OPT_LIST,
	  .name = "expose",
	  .meta = "NAME,...",
	  .off = OFF(expose),
	  .flags = ZK_OPT_F_COMMA,
	  .help = "built-in methods to offer; file.read:DIR names what may be read" },
	{ .type = ZK_OPT_TABLE,
	  .name = "methods",
	  .off = OFF(methods),
	  .sub = zk_pw_spec_rows,
	  .sub_size = sizeof(struct zk_pw_spec),
	  .flags = ZK_OPT_HIDDEN | ZK_OPT_TRUST,
	  .help = "methods by name, as in --handle" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-concurrency",
	  .meta = "N",
	  .def = "256",
	  .min = 1,
	  .max = 65536,
	  .off = OFF(max_concurrency),
	  .help = "requests that run at a time; more wait" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-queue",
	  .meta = "N",
	  .def = "10000",
	  .min = 1,
	  .max = 1000000,
	  .off = OFF(max_queue),
	  .help = "waiting requests before reading pauses" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-payload",
	  .meta = "SIZE",
	  .def = "1GiB",
	  .min = 1024,
	  .max = ZK_PW_PAYLOAD_MAX,
	  .off = OFF(max_payload),
	  .help = "largest request and answer" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-output",
	  .meta = "SIZE",
	  .def = "16MiB",
	  .min = 1024,
	  .max = ZK_PW_PAYLOAD_MAX,
	  .off = OFF(max_output),
	  .help = "most that is collected of a command's output" },
	{ .type = ZK_OPT_DURATION,
	  .name = "kill-grace",
	  .meta = "D",
	  .def = "500ms",
	  .min = 1,
	  .max = 60000,
	  .off = OFF(kill_grace_ms),
	  .help = "between TERM and KILL for a command that has to end" },
	{ .type = ZK_OPT_UINT,
	  .name = "allow-uid",
	  .meta = "UID",
	  .max = 4294967294,
	  .off = OFF(allow_uid),
	  .help = "let this user connect too, besides ours and root" },
	{ .type = ZK_OPT_URL,
	  .name = "triggers-url",
	  .meta = "URL",
	  .def = "http://localhost:8080",
	  .off = OFF(remotes.triggers.url),
	  .flags = ZK_OPT_ENDPOINT,
	  .conf = "triggers.url",
	  .help = "server of zk:triggers.send" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "triggers-key",
	  .off = OFF(remotes.triggers.key),
	  .flags = ZK_OPT_ENDPOINT,
	  .conf = "triggers.key",
	  .help = "API key of zk:triggers.send" },
	{ .type = ZK_OPT_URL,
	  .name = "zeal-url",
	  .meta = "URL",
	  .def = "http://localhost:3000",
	  .off = OFF(remotes.zeal_url),
	  .flags = ZK_OPT_ENDPOINT,
	  .conf = "zeal.base_url",
	  .help = "Zeal server of zk:trace.push, template.* and events.tail" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "webhook-secret",
	  .off = OFF(remotes.webhook_secret),
	  .conf = "webhook.secret",
	  .help = "secret of zk:webhook.verify" },
	{ .type = ZK_OPT_BOOL,
	  .name = "print-init",
	  .off = OFF(print_init),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "print the $init line and end" },
	{ .type = ZK_OPT_ENUM,
	  .name = "print-types",
	  .values = types_values,
	  .def = "none",
	  .off = OFF(print_types),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "print typed bindings of the methods and end" },
	{ .type = ZK_OPT_BOOL,
	  .name = "check",
	  .off = OFF(check),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "check methods and events and end" },
	ZK_OPT_END,
};

struct serving {
	struct zk_app *app;
	const struct worker_opts *o;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_pw_env env;
	struct zk_pw_worker *worker;
	struct zk_optpool pool;
	struct zk_error error;
	int out_fd;
	bool stopped;
};

/* ---- failures that a parent must see ---- */

static void wait_for_parent(void)
{
	int64_t end = zk_mono_ms() + FAILED_MS, left;
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char junk[4096];

	while ((left = end - zk_mono_ms()) > 0) {
		if (poll(&p, 1, (int)left) > 0 &&
		    read(STDIN_FILENO, junk, sizeof(junk)) <= 0)
			return;
	}
}

void zk_procwire_failed(const struct zk_app *app, const struct zk_error *err)
{
	struct zk_buf b;

	(void)app;
	/* A violation comes after $init, when nobody listens to it any more. */
	if (!getenv("PROCWIRE_MODULE_NAME") || err->code == ZK_E_PW_PROTOCOL)
		return;
	zk_buf_init(&b, 8192);
	zk_pw_control_error(&b, err->msg);
	if (write(STDOUT_FILENO, b.p, b.n) == (ssize_t)b.n)
		wait_for_parent();
	zk_buf_done(&b);
}

/* ---- set-up ---- */

static struct zk_net *get_net(void *ctx, struct zk_error *err)
{
	struct serving *s = ctx;

	return zk_app_net(s->app, err);
}

struct zk_app *procwire_app(const struct zk_pw_env *env,
                            const struct procwire_remotes **remotes)
{
	struct serving *s = env->ctx;

	*remotes = &s->o->remotes;
	return s->app;
}

/* The token is ours alone: out of the environment before anything is started, never in a core. */
static char *take_token(void)
{
	const char *text = getenv("PROCWIRE_TOKEN");
	char *token = text && text[0] ? zk_strdup(text) : NULL;

	if (token) {
		zk_redact_add(zk_str_of(token));
		zk_wipe((char *)text, strlen(text));
		(void)prctl(PR_SET_DUMPABLE, 0);
	}
	(void)unsetenv("PROCWIRE_TOKEN");
	return token;
}

/* stdout is the protocol's: nothing else may find it under its number. */
static int take_stdout(struct zk_error *err)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot take over stdout");
	return fd;
}

static int add_events(struct serving *s, struct zk_error *err)
{
	for (size_t i = 0; i < s->o->events.n; i++) {
		struct zk_pw_event e = { .name = s->o->events.v[i] };

		if (zk_pw_table_event(zk_pw_worker_table(s->worker), &e, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int add_methods(struct serving *s, struct zk_error *err)
{
	for (size_t i = 0; i < s->o->methods.n; i++)
		if (zk_pw_spec_add(&s->env, s->o->methods.v[i].name,
		                   s->o->methods.v[i].value, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < s->o->handle.n; i++) {
		struct zk_pw_spec spec;
		const char *name;

		if (zk_pw_spec_parse(zk_str_of(s->o->handle.v[i]), &s->pool, &name, &spec,
		                     err) < 0 ||
		    zk_pw_spec_add(&s->env, name, &spec, err) < 0)
			return -(int)err->code;
	}
	return zk_pw_spec_builtins(&s->env, &s->o->expose, err);
}

static void on_stopped(void *ctx, enum zk_pw_reason why, const struct zk_error *err)
{
	struct serving *s = ctx;

	(void)why;
	if (err)
		s->error = *err;
	s->stopped = true;
	zk_loop_quit(s->loop);
}

static int make_worker(struct serving *s, int64_t timeout_ms, const char *token,
                       struct zk_error *err)
{
	struct zk_pw_worker_conf conf = {
		.loop = s->loop,
		.in_fd = STDIN_FILENO,
		.out_fd = s->out_fd,
		.token = token,
		.allow_uid = s->o->allow_uid ? (uid_t)s->o->allow_uid : (uid_t)-1,
		.max_payload = (uint32_t)s->o->max_payload,
		.max_running = s->o->max_concurrency,
		.max_queue = s->o->max_queue,
		.max_queue_bytes = 64u << 20,
		.timeout_ms = timeout_ms,
		.stop_ms = STOP_MS,
		.ctx = s,
		.on_stopped = on_stopped,
	};

	s->worker = zk_pw_worker_new(&conf);
	s->env = (struct zk_pw_env){ .loop = s->loop,
		                     .worker = s->worker,
		                     .ctx = s,
		                     .net = get_net,
		                     .verbs = zk_procwire_verbs,
		                     .max_output = s->o->max_output,
		                     .kill_grace_ms = s->o->kill_grace_ms };
	return add_events(s, err) < 0 || add_methods(s, err) < 0 ? -(int)err->code : 0;
}

/* ---- serving ---- */

static void on_drain(void *ctx)
{
	struct serving *s = ctx;

	zk_pw_worker_stop(s->worker, ZK_PW_BY_SIGNAL);
}

static void on_flush(void *ctx, bool expired)
{
	(void)ctx;
	(void)expired;
}

static int serve(struct serving *s, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = s,
		                     .drain = on_drain,
		                     .flush = on_flush,
		                     .reload = on_drain, /* HUP stops, as TERM does */
		                     .ignore_int = true };

	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop || zk_pw_worker_start(s->worker, err) < 0)
		return -(int)err->code;
	zk_loop_run(s->loop);
	if (s->error.code) {
		*err = s->error;
		return -(int)err->code;
	}
	return ZK_EXIT_OK;
}

/* --print-init, --print-types */
static int print(struct serving *s, struct zk_error *err)
{
	const struct zk_pw_table *t = zk_pw_worker_table(s->worker);
	struct zk_buf b;
	ssize_t n;

	zk_buf_init(&b, ZK_PW_INIT_MAX);
	if (s->o->print_init)
		zk_pw_control_init(&b, "", t);
	else
		zk_procwire_types(t, s->o->print_types == TYPES_TS, &b);
	n = write(s->out_fd, b.p, b.n);
	zk_buf_done(&b);
	return n < 0 ? zk_fail_errno(err, ZK_E_OUTPUT, errno, "stdout") : 0;
}

static int run(struct serving *s, struct zk_error *err)
{
	int64_t timeout_ms = s->app->common.timeout_ms;
	char *token = take_token();
	int r;

	s->app->common.timeout_ms = 0; /* it is that of each call */
	s->loop = zk_app_loop(s->app, err);
	r = s->loop ? make_worker(s, timeout_ms, token, err) : -(int)err->code;
	zk_secret_free(token);
	if (r < 0 || s->o->check)
		return r;
	if (s->o->print_init || s->o->print_types != TYPES_NONE)
		return print(s, err);
	return serve(s, err);
}

static int worker_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct serving s = { .app = app, .o = opts };
	int r;

	(void)argc;
	(void)argv;
	s.out_fd = take_stdout(err);
	if (s.out_fd < 0)
		return -(int)err->code;
	r = run(&s, err);
	zk_pw_worker_free(s.worker);
	zk_optpool_done(&s.pool);
	/* A failure is still to be told to the parent. */
	(void)dup2(s.out_fd, STDOUT_FILENO);
	(void)close(s.out_fd);
	return r;
}

const struct zk_cmd zk_cmd_procwire_worker = {
	.path = "procwire worker",
	.help = "serve methods to a Node.js parent that started us",
	.about = "Speaks the protocol of @procwire/core on stdin, stdout and a private "
	         "socket. Methods are declared with --handle, or below procwire.methods "
	         "in "
	         "the configuration.",
	.examples = "zk procwire worker --expose echo,uuid\n"
	            "zk procwire worker --handle 'thumb,codec=raw=exec:convert - -resize "
	            "64 png:-'\n"
	            "zk procwire worker --config worker.yaml --check",
	.output = "control lines for the parent; the log goes to stderr",
	.exits = "0 stopped · 64 · 71 no place for the socket · 76 framing · 78 methods",
	.see = "man zk-procwire",
	.groups = TRIG_GROUPS | ZK_OPTS_SPOOL,
	.opts = worker_rows,
	.opts_size = sizeof(struct worker_opts),
	.conf = "procwire",
	.flags = ZK_CMD_SERVER | ZK_CMD_OWN_STDOUT,
	.failed = zk_procwire_failed,
	.run = worker_run,
};
