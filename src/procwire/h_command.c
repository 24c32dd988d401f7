/* Handlers that run a command: exec (no shell) and sh.
 * Layer: procwire. specs/cli.md §Procwire, specs/procwire.md §19. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/msgpack.h"
#include "codec/ndjson.h"
#include "procwire/answer.h"
#include "procwire/command.h"
#include "procwire/template.h"
#include "rt/child.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define TAIL_BYTES  8192u
#define LINE_BYTES  (16u << 20)
#define EVENT_LINE  (1u << 20)
#define STDIN_CAP   (1u << 30)
#define CHUNK_BYTES 65536u
/* How long a command that reads nothing of its stdin may keep us from reading. */
#define PATIENCE_MS 1000
#define EVENT_FD    3

struct run {
	struct zk_pw_req *req;
	const struct zk_pw_command *c;
	struct zk_loop *loop;
	struct zk_child *child;
	struct zk_buf tail; /* the end of stderr */
	struct zk_ndjson lines;
	struct zk_error error; /* the stream broke: why */
	bool acked, ended;
	int event_fd; /* -1 = none */
	struct zk_poll *event_poll;
	struct zk_ndjson event_lines;
};

/* ---- life ---- */

static void close_events(struct run *r)
{
	zk_poll_free(ZK_TAKE(r->event_poll));
	if (r->event_fd >= 0)
		(void)close(r->event_fd);
	r->event_fd = -1;
}

static void run_free(struct run *r)
{
	close_events(r);
	zk_buf_done(&r->tail);
	zk_ndjson_done(&r->lines);
	zk_ndjson_done(&r->event_lines);
	free(r);
}

static void run_drop(struct zk_pw_req *req)
{
	struct run *r = zk_pw_data(req);

	zk_child_free(r->child);
	run_free(r);
}

static void on_cancel(void *ctx)
{
	struct run *r = ctx;

	zk_child_kill(r->child);
}

/* ---- events: lines on ZK_EVENT_FD ---- */

static void take_event(struct run *r, zk_str line)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("event") },
		                   { .name = ZK_STR_INIT("data") } };
	struct zk_error err = { 0 };
	struct zk_jscan js;
	struct zk_buf b;
	zk_str name;

	zk_buf_init(&b, EVENT_LINE * 2);
	if (zk_jscan(line, ZK_MP_DEPTH, want, 2, &js) < 0 ||
	    want[0].val.type != ZK_J_STRING || !zk_jstr_plain(want[0].val.raw, &name))
		(void)zk_fail(&err, ZK_E_DATA, "no {\"event\":…,\"data\":…}");
	else if (want[1].val.type == ZK_J_NONE)
		zk_mp_nil(&b);
	else if (zk_mp_from_json(want[1].val.raw, &b, &err) < 0)
		(void)zk_wrap(&err, "data");
	if (err.code ||
	    zk_pw_emit(zk_pw_worker_of(r->req), name, zk_buf_str(&b), &err) < 0)
		zk_warn("an event of a command was not sent", "method=%s why=%s",
		        zk_pw_method_of(r->req)->name, err.msg);
	zk_buf_done(&b);
}

/* False at the end, or when there is nothing more now. */
static bool read_events(struct run *r)
{
	struct zk_ndjson_line line;
	char chunk[16384];
	ssize_t n = read(r->event_fd, chunk, sizeof(chunk));
	zk_str in;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close_events(r);
		return false;
	}
	in = zk_str_n(chunk, (size_t)n);
	while (zk_ndjson_next(&r->event_lines, &in, &line)) {
		if (!line.too_long)
			take_event(r, line.text);
		else
			zk_warn("an event of a command was not sent",
			        "method=%s why=longer than %u bytes",
			        zk_pw_method_of(r->req)->name, EVENT_LINE);
	}
	return true;
}

static void pause_all(struct run *r);

static void on_events(void *ctx, int events, int status)
{
	struct run *r = ctx;

	(void)events;
	if (status < 0)
		close_events(r);
	else if (read_events(r) && zk_pw_is_full(r->req))
		pause_all(r);
}

/* ---- flow ---- */

static void on_room(void *ctx)
{
	struct run *r = ctx;

	if (r->ended)
		return;
	zk_child_pause(r->child, STDOUT_FILENO, false);
	if (r->event_poll)
		zk_poll_set(r->event_poll, ZK_POLL_IN);
}

/* The command feels it through its pipes. */
static void pause_all(struct run *r)
{
	if (zk_pw_is_aborted(r->req) || r->ended)
		return;
	zk_child_pause(r->child, STDOUT_FILENO, true);
	if (r->event_poll)
		zk_poll_set(r->event_poll, 0);
	zk_pw_when_room(r->req, on_room, r);
}

static void on_stdin_room(void *ctx)
{
	struct run *r = ctx;

	zk_pw_hold_pieces(r->req, false, 0);
}

/* ---- output ---- */

static void send_record(struct run *r, zk_str text)
{
	struct zk_buf b;

	zk_buf_init(&b, (size_t)zk_pw_worker_max_payload(zk_pw_worker_of(r->req)) + 64);
	if (r->error.code || zk_pw_is_aborted(r->req)) {
		zk_buf_done(&b);
		return;
	}
	if (zk_pw_out_record(r->c->out, zk_pw_method_of(r->req), text, &b, &r->error) <
	            0 ||
	    zk_pw_chunk_buf(r->req, &b, &r->error) < 0)
		zk_child_kill(r->child);
	zk_buf_done(&b);
}

static void send_line(struct run *r, const struct zk_ndjson_line *line)
{
	if (r->error.code)
		return;
	if (zk_pw_out_line(line, &r->error) == 0)
		send_record(r, line->text);
	else if (!r->ended)
		zk_child_kill(r->child);
}

static void on_out(void *ctx, zk_str chunk)
{
	struct run *r = ctx;
	struct zk_ndjson_line line;

	if (r->c->out == ZK_PW_OUT_RAW) {
		send_record(r, chunk);
	} else {
		while (zk_ndjson_next(&r->lines, &chunk, &line))
			send_line(r, &line);
	}
	if (zk_pw_is_full(r->req))
		pause_all(r);
}

static void on_err(void *ctx, zk_str chunk)
{
	struct run *r = ctx;

	if (chunk.n > TAIL_BYTES)
		chunk = zk_str_from(chunk, chunk.n - TAIL_BYTES);
	zk_buf_add(&r->tail, chunk);
	if (r->tail.n > TAIL_BYTES)
		zk_buf_consume(&r->tail, r->tail.n - TAIL_BYTES);
}

/* ---- the end ---- */

static bool is_ok(const struct run *r, const struct zk_child_result *res)
{
	if (res->signal || res->timed_out || res->killed || r->error.code)
		return false;
	if (r->c->out == ZK_PW_OUT_FULL)
		return true;
	if (!r->c->n_ok)
		return res->status == 0;
	for (size_t i = 0; i < r->c->n_ok; i++)
		if (r->c->ok[i] == res->status)
			return true;
	return false;
}

static void send_failure(struct run *r, const struct zk_child_result *res)
{
	struct zk_pw_exit how = { .status = res->status,
		                  .signal = res->signal,
		                  .err = zk_buf_str(&r->tail) };
	struct zk_buf b;

	zk_buf_init(&b, 1 << 18);
	if (r->error.code)
		zk_pw_out_failure(&how, "OUTPUT", r->error.msg, &b);
	else if (res->out_cut)
		zk_pw_out_failure(&how, "LIMIT", "the output is larger than max_output",
		                  &b);
	else
		zk_pw_out_failure(&how, "EXIT", NULL, &b);
	if (!zk_pw_request_id(r->req))
		zk_warn("a command that nobody waits for failed",
		        "method=%s status=%d stderr=%s", zk_pw_method_of(r->req)->name,
		        res->status, zk_buf_cstring(&r->tail));
	(void)zk_pw_fail_raw(r->req, zk_buf_str(&b));
	zk_buf_done(&b);
}

static int send_result(struct run *r, const struct zk_child_result *res)
{
	const struct zk_pw_method *m = zk_pw_method_of(r->req);
	struct zk_pw_exit how = { .status = res->status,
		                  .signal = res->signal,
		                  .err = zk_buf_str(&r->tail) };
	struct zk_buf b;
	int rc;

	zk_buf_init(&b, (size_t)zk_pw_worker_max_payload(zk_pw_worker_of(r->req)) + 64);
	rc = zk_pw_out_whole(r->c->out, m, res->out, &how, &b, &r->error);
	if (rc == 0)
		rc = zk_buf_check(&b, &r->error);
	if (rc == 0)
		rc = zk_pw_respond_buf(r->req, &b, &r->error);
	zk_buf_done(&b);
	return rc;
}

/* Acknowledged at the start: the outcome is an event. */
static void emit_done(struct run *r, const struct zk_child_result *res)
{
	struct zk_pw_method full = *zk_pw_method_of(r->req);
	struct zk_pw_exit how = { .status = res->status,
		                  .signal = res->signal,
		                  .err = zk_buf_str(&r->tail) };
	struct zk_error err = { 0 };
	struct zk_buf b;

	full.response = ZK_PW_MSGPACK;
	zk_buf_init(&b, r->c->max_output + (1 << 18));
	if (zk_pw_out_whole(ZK_PW_OUT_FULL, &full, res->out, &how, &b, &err) < 0 ||
	    zk_pw_emit(zk_pw_worker_of(r->req), zk_str_of(r->c->done_event),
	               zk_buf_str(&b), &err) < 0)
		zk_warn("the outcome of a command was not sent", "method=%s why=%s",
		        full.name, err.msg);
	zk_buf_done(&b);
}

static void finish(struct run *r, const struct zk_child_result *res)
{
	struct zk_ndjson_line line;

	switch (zk_pw_method_of(r->req)->kind) {
	case ZK_PW_ACKED:
		emit_done(r, res);
		return;
	case ZK_PW_STREAMED:
		if (r->c->out != ZK_PW_OUT_RAW && zk_ndjson_last(&r->lines, &line))
			send_line(r, &line);
		if (is_ok(r, res) && zk_pw_end(r->req, &r->error) == 0)
			return;
		break;
	case ZK_PW_RESULT:
	case ZK_PW_NONE:
		if (is_ok(r, res) && send_result(r, res) == 0)
			return;
		break;
	}
	send_failure(r, res);
}

static void on_ended(void *ctx, const struct zk_child_result *res)
{
	struct run *r = ctx;
	struct zk_pw_req *req = r->req;

	r->ended = true;
	while (r->event_fd >= 0 && read_events(r))
		;
	if (!zk_pw_is_aborted(req))
		finish(r, res);
	run_free(r);
	zk_pw_done(req);
}

/* ---- start ---- */

/* Words and variables of one call. */
struct call {
	struct zk_pw_words words;
	struct zk_pw_words env; /* changes */
	struct zk_buf script;
};

static void call_done(struct call *call)
{
	zk_pw_words_done(&call->words);
	zk_pw_words_done(&call->env);
	zk_buf_done(&call->script);
}

static bool is_name(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (i && c >= '0' && c <= '9')))
			return false;
	}
	return s.n > 0 && s.n < 200;
}

/* Our own variables and secrets are not the command's. */
void zk_pw_command_env(const struct zk_pw_command *c, struct zk_pw_words *env)
{
	zk_pw_words_add(env, "PROCWIRE_TOKEN");
	for (char **e = environ; e && *e; e++) {
		zk_str name;

		if (strncmp(*e, "ZK_", 3) != 0)
			continue;
		(void)zk_str_cut(zk_str_of(*e), '=', &name);
		char *copy = zk_strndup(name.p, name.n);

		zk_pw_words_add(env, copy);
		free(copy);
	}
	for (size_t i = 0; i < c->env.n; i++)
		zk_pw_words_add(env, c->env.v[i]);
}

/* sh: each member of the request is a variable. */
static int put_arguments(struct call *call, zk_str request, struct zk_error *err)
{
	struct zk_mpval v;
	zk_str in = request;

	if (!zk_mp_next(&in, &v) || v.type != ZK_MP_MAP)
		return 0;
	for (uint32_t i = 0; i < v.n; i++) {
		zk_str key = zk_mp_take(&in), value = zk_mp_take(&in);
		struct zk_mpval name;
		struct zk_buf b;
		int r;

		if (!zk_mp_next(&key, &name) || name.type != ZK_MP_STR ||
		    !is_name(name.s))
			continue;
		zk_buf_init(&b, 1 << 20);
		zk_buf_printf(&b, "ZK_ARG_%.*s=", ZK_STR_ARG(name.s));
		r = zk_pw_template_text(value, &b, err);
		if (r == 0)
			zk_pw_words_add(&call->env, zk_buf_cstring(&b));
		zk_buf_done(&b);
		if (r < 0)
			return zk_wrap(err, "'%.*s'", ZK_STR_ARG(name.s));
	}
	return 0;
}

static int fill_call(const struct zk_pw_command *c, zk_str request, bool is_map,
                     struct call *call, struct zk_error *err)
{
	zk_pw_command_env(c, &call->env);
	if (c->script)
		return is_map ? put_arguments(call, request, err) : 0;
	for (size_t i = 0; i < c->words.n; i++) {
		struct zk_buf b;
		int r;

		zk_buf_init(&b, 1 << 20);
		r = zk_pw_template_fill(c->words.v[i], request, ZK_PW_QUOTE_NONE, &b,
		                        err);
		if (r == 0)
			zk_pw_words_add(&call->words, zk_buf_cstring(&b));
		zk_buf_done(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What the command reads: the raw request, its `stdin` member, or its JSON. */
static int make_input(const struct zk_pw_method *m, zk_str payload, struct zk_buf *b,
                      struct zk_error *err)
{
	zk_str value, bytes;

	if (m->request == ZK_PW_RAW) {
		zk_buf_add(b, payload);
	} else if (zk_mp_get(payload, ZK_STR("stdin"), &value)) {
		if (zk_mp_bytes(value, &bytes))
			zk_buf_add(b, bytes);
		else
			return zk_mp_to_json(value, b, err);
	} else {
		return zk_mp_to_json(payload, b, err);
	}
	return zk_buf_check(b, err);
}

static int open_events(struct run *r, int *theirs, struct zk_error *err)
{
	int fd[2];

	*theirs = -1;
	if (!zk_pw_worker_table(zk_pw_worker_of(r->req))->n_events)
		return 0;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot make a pipe");
	r->event_fd = fd[0];
	*theirs = fd[1];
	r->event_poll = zk_poll_new(r->loop, fd[0], on_events, r, err);
	if (!r->event_poll)
		return -(int)err->code;
	zk_poll_set(r->event_poll, ZK_POLL_IN);
	return 0;
}

static int start_child(struct run *r, struct call *call, zk_str input, bool stream_input,
                       struct zk_error *err)
{
	const struct zk_pw_command *c = r->c;
	bool streamed = zk_pw_method_of(r->req)->kind == ZK_PW_STREAMED;
	struct zk_child_fd fds[1] = { { .as = EVENT_FD } };
	struct zk_child_conf conf = {
		.ctx = r,
		.argv = call->words.v,
		.shell = c->script,
		.cwd = c->cwd,
		.input = input,
		.stream_input = stream_input,
		.out = streamed ? ZK_CHILD_STREAM : ZK_CHILD_COLLECT,
		.err = ZK_CHILD_STREAM,
		.out_cap = c->max_output,
		.limit_kills = true,
		.grace_ms = c->kill_grace_ms,
		.on_out = on_out,
		.on_err = on_err,
		.on_room = on_stdin_room,
		.on_exit = on_ended,
		.fds = fds,
	};
	int rc = open_events(r, &fds[0].fd, err);

	if (fds[0].fd >= 0) {
		zk_pw_words_add(&call->env, "ZK_EVENT_FD=3");
		conf.n_fds = 1;
	}
	conf.env = (const char *const *)call->env.v;
	if (rc == 0)
		rc = zk_child_start(r->loop, &conf, &r->child, err);
	if (fds[0].fd >= 0)
		(void)close(fds[0].fd);
	return rc;
}

static struct run *run_new(struct zk_pw_req *req)
{
	struct run *r = zk_new0(struct run);

	r->req = req;
	r->c = zk_pw_method_of(req)->conf;
	r->loop = zk_pw_worker_loop(zk_pw_worker_of(req));
	r->event_fd = -1;
	zk_buf_init(&r->tail, 2 * TAIL_BYTES);
	zk_ndjson_init(&r->lines, LINE_BYTES);
	zk_ndjson_init(&r->event_lines, EVENT_LINE);
	return r;
}

/* Runs the command; on failure the error is sent and the request is over. */
static enum zk_pw_then start(struct zk_pw_req *req, zk_str payload, bool pieces)
{
	const struct zk_pw_method *m = zk_pw_method_of(req);
	struct run *r = run_new(req);
	struct call call = { 0 };
	struct zk_error err = { 0 };
	struct zk_buf input;
	int rc;

	zk_buf_init(&input, STDIN_CAP);
	rc = fill_call(r->c, payload, m->request == ZK_PW_MSGPACK, &call, &err);
	if (rc == 0 && !pieces)
		rc = make_input(m, payload, &input, &err);
	if (rc == 0)
		rc = start_child(r, &call, zk_buf_str(&input), pieces, &err);
	zk_buf_done(&input);
	call_done(&call);
	if (rc < 0) {
		run_free(r);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, r);
	zk_pw_on_cancel(req, on_cancel, r);
	if (m->kind == ZK_PW_ACKED)
		(void)zk_pw_ack_empty(req, &err); /* refused only when nobody waits */
	return ZK_PW_THEN_KEEP;
}

static enum zk_pw_then command_request(struct zk_pw_req *req, zk_str payload)
{
	return start(req, payload, /* pieces */ false);
}

static enum zk_pw_then command_begin(struct zk_pw_req *req, uint32_t length)
{
	(void)length;
	return start(req, ZK_STR_NULL, /* pieces */ true);
}

static void command_piece(struct zk_pw_req *req, zk_str bytes, bool last)
{
	struct run *r = zk_pw_data(req);
	bool room = zk_child_write(r->child, bytes);

	if (last)
		zk_child_write_end(r->child);
	else if (!room)
		zk_pw_hold_pieces(req, true, PATIENCE_MS);
}

static const struct zk_pw_handler command = { .name = "command",
	                                      .request = command_request,
	                                      .begin = command_begin,
	                                      .piece = command_piece,
	                                      .drop = run_drop };

/* ---- what is known before the start ---- */

void zk_pw_command_free(void *conf)
{
	struct zk_pw_command *c = conf;

	zk_pw_words_done(&c->words);
	zk_pw_words_done(&c->env);
	free(c->script);
	free(c->cwd);
	free(c->done_event);
	free(c->ok);
	free(c);
}

static int take_ok(struct zk_pw_command *c, const struct zk_strlist *ok,
                   struct zk_error *err)
{
	c->ok = zk_alloc_array(ok->n + 1, sizeof(*c->ok));
	for (size_t i = 0; i < ok->n; i++) {
		uint64_t v;

		if (zk_parse_u64(zk_str_of(ok->v[i]), &v, err) < 0 || v > 255)
			return zk_fail(err, ZK_E_PW_TABLE, "ok: '%s' is no exit status",
			               ok->v[i]);
		c->ok[c->n_ok++] = (int)v;
	}
	return 0;
}

static int take_env(struct zk_pw_command *c, const struct zk_strlist *env,
                    struct zk_error *err)
{
	for (size_t i = 0; i < env->n; i++) {
		if (!strchr(env->v[i], '='))
			return zk_fail(err, ZK_E_PW_TABLE, "env: '%s' is no NAME=VALUE",
			               env->v[i]);
		zk_pw_words_add(&c->env, env->v[i]);
	}
	return 0;
}

/* `ack`: the outcome goes out as the event NAME.done. */
static int declare_done(const struct zk_pw_env *env, struct zk_pw_command *c,
                        const struct zk_pw_method *m, struct zk_error *err)
{
	struct zk_pw_table *t = zk_pw_worker_table(env->worker);
	struct zk_pw_event e = { .codec = ZK_PW_MSGPACK };

	c->done_event = zk_asprintf("%s.done", m->name);
	e.name = c->done_event;
	return zk_pw_table_find_event(t, zk_str_of(e.name))
	               ? 0
	               : zk_pw_table_event(t, &e, err);
}

struct zk_pw_command *zk_pw_command_new(const struct zk_pw_env *env,
                                        struct zk_pw_method *m,
                                        const struct zk_pw_spec *spec)
{
	struct zk_pw_command *c = zk_new0(struct zk_pw_command);

	c->env_of = env;
	c->cwd = spec->cwd ? zk_strdup(spec->cwd) : NULL;
	c->max_output = spec->max_output ? spec->max_output : env->max_output;
	c->kill_grace_ms = env->kill_grace_ms;
	m->conf = c;
	m->free_conf = zk_pw_command_free;
	return c;
}

int zk_pw_command_common(struct zk_pw_command *c, const struct zk_pw_method *m,
                         const struct zk_pw_spec *spec, struct zk_error *err)
{
	if (take_ok(c, &spec->ok, err) < 0 || take_env(c, &spec->env, err) < 0)
		return -(int)err->code;
	c->out = zk_pw_out_of(spec->out, m);
	return zk_pw_out_check(c->out, m, err);
}

static int make_common(const struct zk_pw_env *env, struct zk_pw_method *m,
                       const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct zk_pw_command *c = m->conf;

	if (zk_pw_command_common(c, m, spec, err) < 0)
		return -(int)err->code;
	return m->kind == ZK_PW_ACKED ? declare_done(env, c, m, err) : 0;
}

int zk_pw_command_words(struct zk_pw_command *c, const struct zk_pw_spec *spec,
                        const char *rest, struct zk_error *err)
{
	for (size_t i = 0; i < spec->argv.n; i++)
		zk_pw_words_add(&c->words, spec->argv.v[i]);
	if (!spec->argv.n && zk_pw_words_split(zk_str_of(rest), &c->words, err) < 0)
		return -(int)err->code;
	if (!c->words.n)
		return zk_fail(err, ZK_E_PW_TABLE, "there is no command");
	return 0;
}

static int exec_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                     const struct zk_pw_spec *spec, const char *rest,
                     struct zk_error *err)
{
	struct zk_pw_command *c = zk_pw_command_new(env, m, spec);

	if (zk_pw_command_words(c, spec, rest, err) < 0)
		return -(int)err->code;
	if (c->words.has_fields && m->request == ZK_PW_RAW)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "{field} needs the request codec msgpack");
	if (zk_pw_template_has_field(c->words.v[0]))
		return zk_fail(err, ZK_E_PW_TABLE, "a request may not name the program");
	return make_common(env, m, spec, err);
}

static int sh_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                   const struct zk_pw_spec *spec, const char *rest, struct zk_error *err)
{
	struct zk_pw_command *c = zk_pw_command_new(env, m, spec);

	if (!rest[0])
		return zk_fail(err, ZK_E_PW_TABLE, "there is no script");
	c->script = zk_strdup(rest);
	return make_common(env, m, spec, err);
}

const struct zk_pw_maker zk_pw_command[] = {
	{ .name = "exec", .handler = &command, .takes_rest = true, .make = exec_make },
	{ .name = "sh", .handler = &command, .takes_rest = true, .make = sh_make },
	{ .name = NULL },
};
