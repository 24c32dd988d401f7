/* `zk trace event`.
 * Layer: cmd. specs/zeal-zip.md §6.2, §6.8. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cmds.h"
#include "cmd/trace_emit.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/progress.h"
#include "zip/trace_event.h"

#include "base/ban.h"

struct event_opts {
	struct trace_opts t;
	const char *node, *port, *data, *content_type, *error;
	int type;
	uint64_t size;
	int64_t duration_ms;
};

static const char *const types[] = { "log", "input", "output", "error", NULL };

/* Reads stdin or a file whole. */
static int read_all(const char *path, struct zk_buf *b, struct zk_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'", path);
	while (n != 0) {
		char *p = zk_buf_reserve(b, 65536);

		n = p ? read(fd, p, 65536) : 0;
		if (n < 0 && errno != EINTR)
			break;
		b->n += n > 0 ? (size_t)n : 0;
	}
	int e = errno;

	if (!is_stdin)
		(void)close(fd);
	if (n < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, e, "cannot read '%s'", path);
	return zk_buf_check(b, err);
}

/* --data: JSON, or what is none as a text. */
static int load_data(const char *data, struct zk_buf *b, struct zk_error *err)
{
	if (strcmp(data, "-") == 0)
		return read_all("-", b, err);
	if (data[0] == '@')
		return read_all(data + 1, b, err);
	zk_buf_cstr(b, data);
	return zk_buf_check(b, err);
}

static void put_data(struct zk_jwrite *w, const struct event_opts *o, zk_str data)
{
	struct zk_jscan js;
	bool is_json = zk_jscan(data, 200, NULL, 0, &js) == 0;

	zk_jw_key(w, "data");
	zk_jw_obj(w);
	zk_jw_key(w, "size");
	zk_jw_u64(w, o->size ? o->size : data.n);
	zk_jw_key(w, "type");
	zk_jw_cstr(w, o->content_type ? o->content_type
	              : is_json       ? "application/json"
	                              : "text/plain");
	if (data.n) {
		zk_jw_key(w, "preview");
		if (is_json)
			zk_jw_raw(w, js.top.raw);
		else
			zk_jw_str(w, data);
	}
	zk_jw_obj_end(w);
}

static void build(const struct event_opts *o, zk_str data, struct zk_buf *b)
{
	struct zk_jwrite w;

	trace_event_begin(&w, b, trace_node(o->node, "shell"), o->port,
	                  o->error ? "error" : types[o->type]);
	put_data(&w, o, data);
	if (o->duration_ms) {
		zk_jw_key(&w, "duration");
		zk_jw_i64(&w, o->duration_ms);
	}
	if (o->error)
		trace_event_error(&w, o->error);
	zk_jw_obj_end(&w);
}

static int send(struct zeal *z, const char *session, zk_str event, struct zk_error *err)
{
	struct trace_emit *e = trace_emit_new(z, session);
	struct trace_emit_result res;
	int r = trace_emit_event(e, event, err);

	if (r == 0)
		r = trace_emit_end(e, /* most_ms */ -1, &res, err);
	if (r == 0 && res.spooled && res.err.code) {
		*err = res.err;
		r = zk_wrap(err, "the event is in the spool");
		(void)zk_err_hint(err, "send it later: zk spool flush");
	}
	trace_emit_free(e);
	return r;
}

static int event_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct event_opts *o = opts;
	struct zk_buf data ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf event ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zeal z = { 0 };
	const char *session;
	int r = trace_session(&o->t, &session, err);

	(void)argc;
	(void)argv;
	if (r <= 0)
		return r;
	zk_buf_init(&data, ZK_ZIP_EVENT_MAX);
	zk_buf_init(&event, 7 * ZK_ZIP_EVENT_MAX);
	r = o->data ? load_data(o->data, &data, err) : 0;
	if (r < 0)
		return r;
	build(o, zk_buf_str(&data), &event);
	if (app->common.dry_run) {
		zk_say("dry run: %.*s", ZK_STR_ARG(zk_buf_str(&event)));
		return 0;
	}
	r = zeal_open(app, &o->t.zeal, /* patient */ false, &z, err);
	if (r == 0)
		r = send(&z, session, zk_buf_str(&event), err);
	zeal_close(&z);
	return r;
}

static const struct zk_opt event_rows[] = {
	ZEAL_ROWS,
	TRACE_SESSION_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, node),
	  .help = "node that it happened in; $ZK_TRACE_NODE without it" },
	{ .type = ZK_OPT_STR,
	  .name = "port",
	  .meta = "P",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, port),
	  .help = "port of the node" },
	{ .type = ZK_OPT_ENUM,
	  .name = "type",
	  .def = "log",
	  .values = types,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, type),
	  .help = "what kind of event it is" },
	{ .type = ZK_OPT_STR,
	  .name = "data",
	  .meta = "JSON|@FILE|-",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, data),
	  .help = "what is shown of it; text that is no JSON is a string" },
	{ .type = ZK_OPT_STR,
	  .name = "content-type",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, content_type),
	  .help = "type of the data" },
	{ .type = ZK_OPT_UINT,
	  .name = "size",
	  .meta = "N",
	  .max = INT64_C(9007199254740991),
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, size),
	  .help = "bytes that were processed; those of --data without it" },
	{ .type = ZK_OPT_DURATION,
	  .name = "duration",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, duration_ms),
	  .help = "how long it took" },
	{ .type = ZK_OPT_STR,
	  .name = "error",
	  .meta = "MSG",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct event_opts, error),
	  .help = "an error event with this message" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_event = {
	.path = "trace event",
	.help = "push one event",
	.examples =
	        "zk trace event --node load --type output --size 4096 --duration 1.5s\n"
	        "zk trace event --node load --error 'no space left'\n"
	        "jq -c .stats out.json | zk trace event --node load --data -",
	.output = "nothing",
	.exits = "0 · 64 no session · 65 · 75 the event is in the spool · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_SPOOL,
	.opts = event_rows,
	.opts_size = sizeof(struct event_opts),
	.conf = "zeal",
	.run = event_run,
};
