/* `zk procwire check`: a conformance run against any worker.
 * Layer: cmd. specs/procwire.md §3 to §9, §14, §16.
 *
 * Each check starts a fresh worker and speaks raw frames: the socket is read with deadlines, the
 * control channel through the loop. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/procwire_cmd.h"
#include "net/uds.h"
#include "procwire/control.h"
#include "procwire/table.h"
#include "procwire/wire.h"
#include "rt/child.h"
#include "rt/loop.h"
#include "rt/out.h"

#include "base/ban.h"

#define WAIT_MS  10000
#define END_MS   5000
#define QUIET_MS 150
#define TOKEN    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FREE_ID  0xfff0 /* a method id that no table of ordinary size has */

/* One worker under test. */
struct probe {
	struct zk_loop *loop;
	char *const *argv;
	struct zk_child *child;
	struct zk_pw_lines lines;
	struct zk_pw_table table;
	struct zk_buf path;
	struct zk_timer *timer;
	int fd; /* -1 = not connected */
	int status;
	unsigned pongs, junk;
	bool introduced, failed, ended, late;
	bool wake;
	char why[300]; /* of a check that failed */
};

/* ---- the control channel ---- */

static void on_line(struct probe *p, zk_str line)
{
	struct zk_error err = { 0 };
	zk_str params;

	switch (zk_pw_control_parse(line, &params)) {
	case ZK_PW_C_INIT:
		if (zk_pw_control_read_init(params, &p->path, &p->table, &err) < 0) {
			(void)snprintf(p->why, sizeof(p->why), "%.200s", err.msg);
			p->failed = true;
		}
		p->introduced = true;
		break;
	case ZK_PW_C_ERROR:
		(void)snprintf(p->why, sizeof(p->why), "$error: %.*s",
		               (int)ZK_MIN(params.n, (size_t)200), params.p);
		p->failed = true;
		break;
	case ZK_PW_C_PONG:
		p->pongs++;
		break;
	case ZK_PW_C_PING:
	case ZK_PW_C_SHUTDOWN:
	case ZK_PW_C_OTHER:
		p->junk++;
		break;
	}
}

static void on_out(void *ctx, zk_str chunk)
{
	struct probe *p = ctx;
	zk_str line;

	while (zk_pw_lines_next(&p->lines, &chunk, &line))
		on_line(p, line);
	p->wake = true;
}

static void on_ended(void *ctx, const struct zk_child_result *res)
{
	struct probe *p = ctx;

	p->child = NULL;
	p->ended = true;
	p->status = res->status;
	p->wake = true;
}

static void on_late(void *ctx)
{
	struct probe *p = ctx;

	p->late = true;
	p->wake = true;
}

/* Turns the loop until the condition holds or the time is over. */
static bool turn_until(struct probe *p, bool (*cond)(const struct probe *p), int64_t ms)
{
	p->late = false;
	zk_timer_start(p->timer, ms, 0);
	while (!cond(p) && !p->late) {
		p->wake = false;
		zk_loop_until(p->loop, &p->wake);
	}
	zk_timer_stop(p->timer);
	return cond(p);
}

static bool is_started(const struct probe *p)
{
	return p->introduced || p->failed || p->ended;
}

static bool is_ended(const struct probe *p)
{
	return p->ended;
}

static bool has_pong(const struct probe *p)
{
	return p->pongs > 0 || p->ended;
}

static bool never(const struct probe *p)
{
	(void)p;
	return false;
}

/* ---- life ---- */

static bool fail(struct probe *p, const char *what)
{
	if (!p->why[0])
		(void)snprintf(p->why, sizeof(p->why), "%s", what);
	return false;
}

static void probe_init(struct probe *p, struct zk_loop *loop, char *const *argv)
{
	*p = (struct probe){ .loop = loop, .argv = argv, .fd = -1 };
	zk_pw_lines_init(&p->lines, ZK_PW_INIT_MAX);
	zk_pw_table_init(&p->table);
	zk_buf_init(&p->path, 4096);
	p->timer = zk_timer_new(loop, on_late, p);
}

static void probe_done(struct probe *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	zk_child_free(p->child);
	zk_timer_free(p->timer);
	zk_pw_lines_done(&p->lines);
	zk_pw_table_done(&p->table);
	zk_buf_done(&p->path);
}

static bool start(struct probe *p, bool token)
{
	const char *env[] = { "PROCWIRE_MODULE_NAME=zk-check",
		              token ? "PROCWIRE_TOKEN=" TOKEN : "PROCWIRE_TOKEN", NULL };
	struct zk_child_conf conf = {
		.ctx = p,
		.argv = p->argv,
		.env = env,
		.stream_input = true,
		.out = ZK_CHILD_STREAM,
		.err = ZK_CHILD_INHERIT,
		.on_out = on_out,
		.on_exit = on_ended,
	};
	struct zk_error err = { 0 };

	if (zk_child_start(p->loop, &conf, &p->child, &err) < 0)
		return fail(p, err.msg);
	if (!turn_until(p, is_started, WAIT_MS))
		return fail(p, "no $init came in time");
	if (!p->introduced || p->failed)
		return fail(p, "it ended before $init");
	return true;
}

static void control(struct probe *p, const char *line)
{
	if (p->child)
		(void)zk_child_write(p->child, zk_str_of(line));
}

static bool dial(struct probe *p)
{
	struct zk_error err = { 0 };

	p->fd = zk_uds_connect(zk_buf_cstring(&p->path), &err);
	return p->fd >= 0 || fail(p, err.msg);
}

static bool connected(struct probe *p)
{
	return start(p, false) && dial(p);
}

/* ---- frames ---- */

static bool wait_fd(int fd, short events, int64_t ms)
{
	struct pollfd pf = { .fd = fd, .events = events };

	return poll(&pf, 1, (int)ms) > 0;
}

static bool put_bytes(struct probe *p, const char *data, size_t n, size_t step)
{
	for (size_t at = 0; at < n;) {
		size_t part = ZK_MIN(step, n - at);
		ssize_t r = send(p->fd, data + at, part, MSG_NOSIGNAL);

		if (r < 0 && errno == EAGAIN && wait_fd(p->fd, POLLOUT, WAIT_MS))
			continue;
		if (r < 0)
			return fail(p, "the worker does not read, or closed");
		at += (size_t)r;
	}
	return true;
}

static bool put_frame(struct probe *p, struct zk_pw_header h, const char *payload,
                      size_t step)
{
	struct zk_buf b;
	char head[ZK_PW_HEADER];
	bool ok;

	zk_pw_header_put(head, h);
	zk_buf_init(&b, 1 << 20);
	zk_buf_put(&b, head, sizeof(head));
	zk_buf_put(&b, payload, h.length);
	ok = put_bytes(p, b.p, b.n, step);
	zk_buf_done(&b);
	return ok;
}

static bool get_exactly(struct probe *p, char *to, size_t n)
{
	int64_t end = zk_mono_ms() + WAIT_MS;

	for (size_t at = 0; at < n;) {
		ssize_t r = recv(p->fd, to + at, n - at, MSG_DONTWAIT);

		if (r == 0)
			return fail(p, "the worker closed the connection");
		if (r < 0 && errno != EAGAIN)
			return fail(p, strerror(errno));
		if (r < 0 && (zk_mono_ms() > end || !wait_fd(p->fd, POLLIN, WAIT_MS)))
			return fail(p, "no answer came");
		at += r > 0 ? (size_t)r : 0;
	}
	return true;
}

/* The next frame; its payload is passed over. */
static bool get_frame(struct probe *p, struct zk_pw_header *h)
{
	char head[ZK_PW_HEADER], junk[4096];
	uint32_t left;

	if (!get_exactly(p, head, sizeof(head)))
		return false;
	*h = zk_pw_header_get(head);
	for (left = h->length; left;) {
		uint32_t n = ZK_MIN(left, (uint32_t)sizeof(junk));

		if (!get_exactly(p, junk, n))
			return false;
		left -= n;
	}
	return true;
}

/* A call of a method that is not there, and its error: works with every worker. */
static bool ask(struct probe *p, uint32_t request, size_t step)
{
	struct zk_pw_header h = { .method = FREE_ID, .request = request, .length = 1 };

	return put_frame(p, h, "\xc0", step);
}

static bool answered(struct probe *p, uint32_t request)
{
	struct zk_pw_header h;

	if (!get_frame(p, &h))
		return false;
	if (h.request != request)
		return fail(p, "the answer has another request id");
	if (h.flags != ZK_PW_F_FAIL || h.method != FREE_ID)
		return fail(p, "the answer is no error of that method");
	return true;
}

static bool works(struct probe *p)
{
	return ask(p, 77, SIZE_MAX) && answered(p, 77);
}

static bool closes(struct probe *p)
{
	char c;

	if (!wait_fd(p->fd, POLLIN | POLLHUP, WAIT_MS))
		return fail(p, "the connection stays open");
	ssize_t n = recv(p->fd, &c, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET) || fail(p, "it answered");
}

static bool ends(struct probe *p, int64_t ms)
{
	struct stat st;

	if (!turn_until(p, is_ended, ms))
		return fail(p, "the process does not end in time");
	if (stat(zk_buf_cstring(&p->path), &st) == 0)
		return fail(p, "its socket file is left behind");
	return true;
}

/* ---- the checks ---- */

static bool c_init(struct probe *p)
{
	if (!start(p, false))
		return false;
	if (p->path.n > ZK_UDS_PATH_MAX)
		return fail(p, "the path of the socket is too long");
	return p->junk == 0 || fail(p, "something else than messages is on stdout");
}

static bool c_private(struct probe *p)
{
	struct stat st, dir;
	char *copy, *slash;

	if (!start(p, false))
		return false;
	if (stat(zk_buf_cstring(&p->path), &st) < 0)
		return fail(p, "the socket is not there when $init comes");
	copy = zk_strdup(zk_buf_cstring(&p->path));
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (stat(copy, &dir) < 0)
		dir.st_mode = 0777;
	free(copy);
	return !(st.st_mode & 077) || !(dir.st_mode & 077) ||
	       fail(p, "others may connect: neither socket nor folder is private");
}

static bool c_adopts_one(struct probe *p)
{
	struct zk_error err = { 0 };
	struct stat st;
	int other;

	if (!connected(p) || !works(p))
		return false;
	if (stat(zk_buf_cstring(&p->path), &st) == 0)
		return fail(p, "the socket file stays after the adoption");
	other = zk_uds_connect(zk_buf_cstring(&p->path), &err);
	if (other >= 0)
		(void)close(other);
	return other < 0 || fail(p, "a second connection is accepted");
}

static bool c_unknown_method(struct probe *p)
{
	return connected(p) && works(p) && works(p);
}

static bool c_ids(struct probe *p)
{
	static const uint32_t ids[] = { 1, 0x80000000, 0xffffffff };

	if (!connected(p))
		return false;
	for (size_t i = 0; i < ZK_ARRAY_LEN(ids); i++)
		if (!ask(p, ids[i], SIZE_MAX) || !answered(p, ids[i]))
			return false;
	return true;
}

static bool c_id_0(struct probe *p)
{
	return connected(p) && ask(p, 0, SIZE_MAX) && works(p);
}

static bool c_bytes(struct probe *p)
{
	return connected(p) && ask(p, 5, 1) && answered(p, 5);
}

static bool c_many(struct probe *p)
{
	struct zk_pw_header h;

	if (!connected(p))
		return false;
	for (uint32_t i = 1; i <= 1000; i++)
		if (!ask(p, i, SIZE_MAX))
			return false;
	for (uint32_t i = 1; i <= 1000; i++)
		if (!get_frame(p, &h))
			return false;
	return true;
}

static bool c_ignored(struct probe *p)
{
	return connected(p) &&
	       put_frame(p,
	                 (struct zk_pw_header){ .method = ZK_PW_ID_ABORT, .request = 9 },
	                 "", SIZE_MAX) &&
	       put_frame(p, (struct zk_pw_header){ .method = ZK_PW_ID_ABORT }, "",
	                 SIZE_MAX) &&
	       put_frame(p, (struct zk_pw_header){ .method = ZK_PW_ID_AUTH, .length = 4 },
	                 "abcd", SIZE_MAX) &&
	       put_frame(p,
	                 (struct zk_pw_header){ .method = FREE_ID,
	                                        .flags = ZK_PW_F_RESULT,
	                                        .request = 8 },
	                 "", SIZE_MAX) &&
	       works(p);
}

static bool violation(struct probe *p, struct zk_pw_header h)
{
	char head[ZK_PW_HEADER];

	zk_pw_header_put(head, h);
	return connected(p) && put_bytes(p, head, sizeof(head), SIZE_MAX) && closes(p) &&
	       ends(p, END_MS);
}

static bool c_reserved(struct probe *p)
{
	return violation(
	        p, (struct zk_pw_header){ .method = 1, .flags = 0x40, .request = 3 });
}

static bool c_method_0(struct probe *p)
{
	return violation(p, (struct zk_pw_header){ .request = 3 });
}

static bool c_length(struct probe *p)
{
	return violation(p, (struct zk_pw_header){
	                            .method = 1, .request = 3, .length = UINT32_MAX });
}

static bool c_ping(struct probe *p)
{
	if (!start(p, false))
		return false;
	control(p, "{\"jsonrpc\":\"2.0\",\"method\":\"$ping\"}\r\n");
	return (turn_until(p, has_pong, WAIT_MS) && p->pongs) || fail(p, "no $pong came");
}

static bool c_junk_lines(struct probe *p)
{
	if (!start(p, false))
		return false;
	control(p, "hello\n[1]\n{\"method\":5}\n{}\n\n {\"method\":\"$shutdown\"}\n");
	control(p, "{\"id\":1,\"method\":\"$ping\",\"params\":{}}\n");
	return (turn_until(p, has_pong, WAIT_MS) && !p->ended) ||
	       fail(p, "lines that are no messages disturb it");
}

static bool c_shutdown(struct probe *p)
{
	if (!connected(p) || !works(p))
		return false;
	control(p, "{\"jsonrpc\":\"2.0\",\"method\":\"$shutdown\",\"params\":{}}\n");
	return ends(p, END_MS) && (p->status == 0 || fail(p, "its status is not 0"));
}

static bool c_stdin_end(struct probe *p)
{
	if (!start(p, false))
		return false;
	zk_child_write_end(p->child);
	return ends(p, END_MS) && (p->status == 0 || fail(p, "its status is not 0"));
}

static bool c_connection_end(struct probe *p)
{
	if (!connected(p) || !works(p))
		return false;
	(void)close(p->fd);
	p->fd = -1;
	return ends(p, END_MS);
}

static bool c_term(struct probe *p)
{
	if (!start(p, false))
		return false;
	zk_child_signal(p->child, SIGTERM);
	return ends(p, END_MS);
}

static bool c_int(struct probe *p)
{
	if (!connected(p))
		return false;
	zk_child_signal(p->child, SIGINT);
	(void)turn_until(p, never, QUIET_MS);
	return works(p) || fail(p, "SIGINT ends it");
}

static bool authenticate(struct probe *p, const char *token)
{
	return put_frame(p,
	                 (struct zk_pw_header){ .method = ZK_PW_ID_AUTH,
	                                        .length = (uint32_t)strlen(token) },
	                 token, SIZE_MAX);
}

static bool c_token(struct probe *p)
{
	return start(p, true) && dial(p) && authenticate(p, TOKEN) && works(p);
}

static bool c_wrong_token(struct probe *p)
{
	char wrong[] = TOKEN;

	wrong[0] = 'f';
	if (!start(p, true) || !dial(p) || !authenticate(p, wrong) || !closes(p))
		return false;
	(void)close(p->fd);
	return dial(p) && authenticate(p, TOKEN) && works(p);
}

static bool c_silent_stranger(struct probe *p)
{
	int stranger;
	bool ok;

	if (!start(p, true) || !dial(p))
		return false;
	stranger = p->fd;
	ok = dial(p) && authenticate(p, TOKEN) && works(p);
	(void)close(stranger);
	return ok;
}

static const struct check {
	const char *name;
	bool (*run)(struct probe *p);
} checks[] = {
	{ "prints a sound $init and nothing else", c_init },
	{ "keeps its socket private", c_private },
	{ "adopts one connection and removes the socket file", c_adopts_one },
	{ "answers a call of an unknown method with an error", c_unknown_method },
	{ "echoes every request id", c_ids },
	{ "never answers request id 0", c_id_0 },
	{ "takes a frame in single bytes", c_bytes },
	{ "answers 1,000 frames in flight", c_many },
	{ "ignores aborts and frames that mean nothing", c_ignored },
	{ "ends on reserved flags", c_reserved },
	{ "ends on method id 0", c_method_0 },
	{ "ends on a length over the limit", c_length },
	{ "answers $ping", c_ping },
	{ "ignores lines that are no messages", c_junk_lines },
	{ "ends on $shutdown with status 0", c_shutdown },
	{ "ends at the end of stdin with status 0", c_stdin_end },
	{ "ends when the connection is closed", c_connection_end },
	{ "ends on SIGTERM and cleans up", c_term },
	{ "ignores SIGINT", c_int },
	{ "accepts the token", c_token },
	{ "refuses a wrong token and keeps listening", c_wrong_token },
	{ "serves the parent while a stranger is silent", c_silent_stranger },
};

static const struct zk_out_col cols[] = {
	{ .name = "ok" },
	{ .name = "check", .flags = ZK_COL_WHOLE },
	{ .name = "why" },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
	                                   .noun = "checks",
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

static int report(struct zk_out *out, const struct check *c, const struct probe *p,
                  bool ok, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	zk_row_bool(&row, "ok", ok);
	zk_row_cstr(&row, "check", c->name);
	zk_row_cstr(&row, "why", ok ? NULL : p->why);
	return zk_out_row(out, zk_row_end(&row), err);
}

static int check_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);
	struct zk_out *out = loop ? zk_app_out(app, err) : NULL;
	unsigned failed = 0;
	int n;

	(void)opts;
	if (!out || zk_procwire_split(app, argc, &n, err) < 0 ||
	    zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < ZK_ARRAY_LEN(checks); i++) {
		struct probe p;
		bool ok;

		probe_init(&p, loop, argv + n);
		ok = checks[i].run(&p);
		failed += !ok;
		n = report(out, &checks[i], &p, ok, err) < 0 ? -1 : n;
		probe_done(&p);
		if (n < 0)
			return -(int)err->code;
	}
	if (zk_out_end(out, err) < 0)
		return -(int)err->code;
	if (failed)
		return zk_fail(err, ZK_E_PW_CHECK, "%u of %zu checks failed", failed,
		               ZK_ARRAY_LEN(checks));
	return 0;
}

const struct zk_cmd zk_cmd_procwire_check = {
	.path = "procwire check",
	.args = "-- COMMAND [ARG...]",
	.max_args = ZK_ANY,
	.help = "run a conformance test against a worker",
	.about = "Starts COMMAND again and again, as a procwire parent would, and checks "
	         "what "
	         "every "
	         "worker has to do: start, framing, control, authentication, the end.",
	.examples = "zk procwire check -- node worker.mjs\n"
	            "zk procwire check -o json -- ./my-worker",
	.output = "one row per check",
	.exits = "0 it conforms · 1 a check failed",
	.see = "man zk-procwire",
	.groups = ZK_OPTS_OUTPUT,
	.conf = "procwire.check",
	.run = check_run,
};
