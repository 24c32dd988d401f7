/* `zk procwire call`: one call of a worker's method from a shell.
 * Layer: cmd. specs/procwire.md §21. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/procwire_cmd.h"
#include "codec/jwrite.h"
#include "codec/msgpack.h"
#include "procwire/parent.h"
#include "procwire/wire.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/stop.h"

#include "base/ban.h"

#define INPUT_MAX ((size_t)1 << 30)

struct call_opts {
	bool stream, raw, raw_request, raw_response, events, auth;
	int64_t init_timeout_ms;
	uint64_t max_payload;
};

#define OFF(member) offsetof(struct call_opts, member)
#define FLAG(n, m, h)                                                         \
	{                                                                     \
		.type = ZK_OPT_BOOL, .name = (n), .off = OFF(m), .help = (h), \
		.flags = ZK_OPT_NO_CONF                                       \
	}

static const struct zk_opt call_rows[] = {
	FLAG("stream", stream, "the method must be a stream"),
	FLAG("raw", raw, "request and response are raw bytes, not JSON"),
	FLAG("raw-request", raw_request, "only the request is raw"),
	FLAG("raw-response", raw_response, "only the response is raw"),
	FLAG("events", events, "print events too, as {\"event\":…,\"data\":…}"),
	FLAG("auth", auth, "give the worker a token and authenticate"),
	{ .type = ZK_OPT_DURATION,
	  .name = "init-timeout",
	  .meta = "D",
	  .def = "30s",
	  .min = 1,
	  .max = 3600000,
	  .off = OFF(init_timeout_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how long the worker may take to start" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-payload",
	  .meta = "SIZE",
	  .def = "1GiB",
	  .min = 1024,
	  .max = ZK_PW_PAYLOAD_MAX,
	  .off = OFF(max_payload),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "largest answer" },
	ZK_OPT_END,
};

struct calling {
	struct zk_app *app;
	const struct call_opts *o;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_out *out;
	struct zk_pw_parent *parent;
	const char *method;
	struct zk_buf payload;
	struct zk_pw_call *call;
	struct zk_error error;
	bool done; /* the outcome is known */
};

/* ---- input ---- */

static int read_fd(int fd, struct zk_buf *b, struct zk_error *err)
{
	for (;;) {
		char *to = zk_buf_reserve(b, 65536);
		ssize_t n = to ? read(fd, to, 65536) : 0;

		if (!to)
			return zk_buf_check(b, err);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read the payload");
		if (n == 0)
			return 0;
		b->n += (size_t)n;
	}
}

static int read_file(const char *path, struct zk_buf *b, struct zk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot open '%s'", path);
	r = read_fd(fd, b, err);
	(void)close(fd);
	return r;
}

/* JSON, @FILE, "-" for stdin, or nothing. */
static int read_payload(struct calling *c, const char *arg, struct zk_error *err)
{
	bool raw = c->o->raw || c->o->raw_request;
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	int r = 0;

	zk_buf_init(&text, INPUT_MAX);
	if (arg && strcmp(arg, "-") == 0)
		r = read_fd(STDIN_FILENO, &text, err);
	else if (arg && arg[0] == '@')
		r = read_file(arg + 1, &text, err);
	else if (arg)
		zk_buf_cstr(&text, arg);
	else if (!raw)
		zk_buf_lit(&text, "null");
	if (r < 0)
		return r;
	if (!raw)
		return zk_mp_from_json(zk_buf_str(&text), &c->payload, err) < 0
		               ? zk_wrap(err, "the payload")
		               : 0;
	zk_buf_add(&c->payload, zk_buf_str(&text));
	return 0;
}

/* ---- output ---- */

static void keep_error(struct calling *c, const struct zk_error *err)
{
	if (!c->error.code)
		c->error = *err;
}

static void print(struct calling *c, zk_str text)
{
	struct zk_error err = { 0 };

	if (zk_out_text(c->out, text, &err) < 0 || zk_out_flush(c->out, &err) < 0)
		keep_error(c, &err);
}

/* One value as a line of JSON. */
static void print_value(struct calling *c, const char *event, zk_str payload)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, INPUT_MAX);
	if (event) {
		zk_buf_lit(&b, "{\"event\":");
		zk_buf_json_str(&b, zk_str_of(event));
		zk_buf_lit(&b, ",\"data\":");
	}
	if (zk_mp_check(payload, &err) < 0 || zk_mp_to_json(payload, &b, &err) < 0) {
		(void)zk_err_hint(&err, "for raw bytes: --raw or --raw-response");
		(void)zk_wrap(&err, "the answer");
		err.code = ZK_E_PROTOCOL;
		keep_error(c, &err);
	} else {
		zk_buf_cstr(&b, event ? "}\n" : "\n");
		print(c, zk_buf_str(&b));
	}
	zk_buf_done(&b);
}

static void on_data(void *ctx, zk_str payload)
{
	struct calling *c = ctx;

	if (c->o->raw || c->o->raw_response)
		print(c, payload);
	else
		print_value(c, NULL, payload);
}

static void on_piece(void *ctx, zk_str piece, bool last)
{
	(void)last;
	print(ctx, piece);
}

static void on_event(void *ctx, const struct zk_pw_event *e, zk_str payload)
{
	struct calling *c = ctx;

	if (c->o->events)
		print_value(c, e->name, payload);
}

/* ---- the call ---- */

static void finish(struct calling *c)
{
	c->done = true;
	zk_pw_parent_stop(c->parent);
}

/* What the worker says: a text, or a map with `message` and `code`. */
static void remote_error(struct calling *c, zk_str payload)
{
	struct zk_error err = { 0 };
	zk_str text = ZK_STR("no reason given"), code;

	if (!zk_mp_bytes(payload, &text))
		(void)zk_mp_get_str(payload, ZK_STR("message"), &text);
	(void)zk_fail(&err, ZK_E_PW_REMOTE, "'%s': %.*s", c->method,
	              (int)ZK_MIN(text.n, (size_t)300), text.n ? text.p : "");
	if (zk_mp_get_str(payload, ZK_STR("code"), &code))
		(void)zk_err_why(&err, "code %.*s", (int)ZK_MIN(code.n, (size_t)60),
		                 code.p);
	keep_error(c, &err);
}

static void on_done(void *ctx, zk_str error, const struct zk_error *err)
{
	struct calling *c = ctx;

	c->call = NULL;
	if (err)
		keep_error(c, err);
	if (error.n)
		remote_error(c, error);
	finish(c);
}

static const struct zk_pw_method *find_method(struct calling *c, struct zk_error *err)
{
	const struct zk_pw_table *t = zk_pw_parent_table(c->parent);
	const struct zk_pw_method *m = zk_pw_table_find(t, zk_str_of(c->method));
	struct zk_buf names;

	if (!m) {
		zk_buf_init(&names, 200);
		for (size_t i = 0; i < t->n_methods && !names.failed; i++)
			zk_buf_printf(&names, "%s%s", i ? ", " : "", t->methods[i].name);
		(void)zk_fail(err, ZK_E_PW_METHOD, "the worker has no method '%s'",
		              c->method);
		(void)zk_err_hint(err, "it has: %s", zk_buf_cstring(&names));
		zk_buf_done(&names);
	} else if (c->o->stream && m->kind != ZK_PW_STREAMED) {
		(void)zk_fail(err, ZK_E_PW_METHOD, "'%s' is no stream but of kind '%s'",
		              c->method, zk_pw_kinds[m->kind]);
		m = NULL;
	}
	return m;
}

static void on_ready(void *ctx)
{
	struct calling *c = ctx;
	struct zk_pw_call_conf conf = {
		.ctx = c, .on_data = on_data, .on_done = on_done, .borrowed = true
	};
	struct zk_error err = { 0 };
	const struct zk_pw_method *m = find_method(c, &err);

	if (c->o->raw || c->o->raw_response)
		conf.on_piece = on_piece;
	if (m)
		c->call = zk_pw_parent_call(c->parent, m, zk_buf_str(&c->payload), &conf,
		                            &err);
	if (err.code)
		keep_error(c, &err);
	if (!m || err.code || m->kind == ZK_PW_NONE) {
		/* What is written before the end of the turn arrives before the end. */
		c->done = true;
		if (c->call)
			zk_pw_call_abort(ZK_TAKE(c->call));
		zk_pw_parent_ping(c->parent);
	}
}

/* Of a method of kind `none`: the worker read on, so it has the call. */
static void on_pong(void *ctx)
{
	struct calling *c = ctx;

	if (c->done)
		zk_pw_parent_stop(c->parent);
}

static void on_end(void *ctx, int status, const struct zk_error *err)
{
	struct calling *c = ctx;

	(void)status;
	if (err && !c->done)
		keep_error(c, err);
	c->done = true;
	zk_loop_quit(c->loop);
}

static void on_drain(void *ctx)
{
	struct calling *c = ctx;

	if (c->call)
		zk_pw_call_abort(ZK_TAKE(c->call));
	c->done = true;
	zk_pw_parent_stop(c->parent);
}

static void on_flush(void *ctx, bool expired)
{
	(void)ctx;
	(void)expired;
}

static int call(struct calling *c, char **argv, struct zk_error *err)
{
	struct zk_pw_parent_conf conf = {
		.loop = c->loop,
		.argv = argv,
		.name = "zk-call",
		.auth = c->o->auth,
		.max_payload = (uint32_t)c->o->max_payload,
		.init_ms = c->o->init_timeout_ms,
		.ctx = c,
		.on_ready = on_ready,
		.on_event = on_event,
		.on_pong = on_pong,
		.on_end = on_end,
	};
	struct zk_stop_conf stop = { .ctx = c, .drain = on_drain, .flush = on_flush };

	c->stop = zk_app_stop(c->app, &stop, err);
	if (!c->stop || zk_pw_parent_start(&conf, &c->parent, err) < 0)
		return -(int)err->code;
	zk_loop_run(c->loop);
	if (!c->error.code)
		return 0;
	*err = c->error;
	return -(int)err->code;
}

int zk_procwire_split(struct zk_app *app, int argc, int *n_before, struct zk_error *err)
{
	*n_before = app->args_before_dashes;
	if (*n_before < 0 || *n_before == argc) {
		(void)zk_fail(err, ZK_E_USAGE, "the command of the worker is missing");
		return zk_err_hint(err,
		                   "it stands behind --, as in: zk %s … -- zk procwire "
		                   "worker --expose echo",
		                   app->cmd->path);
	}
	return 0;
}

static int call_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct calling c = { .app = app, .o = opts };
	int n, r;

	if (zk_procwire_split(app, argc, &n, err) < 0)
		return -(int)err->code;
	if (n < 1 || n > 2)
		return zk_fail(err, ZK_E_USAGE,
		               "one METHOD and at most one payload stand before --");
	c.method = argv[0];
	c.loop = zk_app_loop(app, err);
	c.out = c.loop ? zk_app_out(app, err) : NULL;
	if (!c.out)
		return -(int)err->code;
	zk_buf_init(&c.payload, INPUT_MAX);
	r = read_payload(&c, n > 1 ? argv[1] : NULL, err);
	if (r == 0)
		r = call(&c, argv + n, err);
	zk_pw_parent_free(c.parent);
	zk_buf_done(&c.payload);
	return r;
}

const struct zk_cmd zk_cmd_procwire_call = {
	.path = "procwire call",
	.args = "METHOD [JSON|@FILE|-] -- COMMAND [ARG...]",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "call one method of a worker",
	.about = "Starts COMMAND as a procwire parent would, calls the method, prints "
	         "what "
	         "comes as "
	         "one line of JSON per value (with --raw: the bytes), and ends the "
	         "worker.",
	.examples =
	        "zk procwire call echo '{\"a\":1}' -- zk procwire worker --expose echo\n"
	        "zk procwire call --raw thumb @photo.jpg -- ./worker > small.png\n"
	        "zk procwire call zk.describe -- zk procwire worker --config w.yaml",
	.args_help = "METHOD   name of the method\n"
	             "JSON     the request; @FILE and - read it\n"
	             "COMMAND  the worker",
	.output = "the answer; of a stream each chunk",
	.exits = "0 answered · 69 error of the worker, no such method · 76 connection "
	         "lost",
	.see = "man zk-procwire",
	.opts = call_rows,
	.opts_size = sizeof(struct call_opts),
	.conf = "procwire.call",
	.run = call_run,
};
