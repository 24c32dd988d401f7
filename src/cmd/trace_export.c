/* `zk trace export`: a session as NDJSON that push reads, as CSV, as OTLP.
 * Layer: cmd. specs/zeal-zip.md §6.7. */
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cmds.h"
#include "cmd/events_ops.h"
#include "cmd/trace.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "codec/otlp.h"
#include "rt/out.h"
#include "zip/trace_detail.h"
#include "zip/trace_event.h"
#include "zip/trace_session.h"

#include "base/ban.h"

#define MAX_EVENT ((size_t)256 << 20) /* one event, or the head */
#define MAX_TEXT  4096                /* of an attribute */
#define BLOCK     65536

enum format { FORMAT_NDJSON, FORMAT_CSV, FORMAT_OTLP };

struct export_opts {
	struct zeal_opts zeal;
	struct events_ops_opts ops;
	int format;
};

struct export
{
	const char *session;
	int format;
	bool begun; /* an answer came: what comes before the events is written */
	struct zk_out *out;
	struct zk_row row;
	struct zk_buf b; /* of lines and spans */
	struct events_ops *ops;
	struct zk_error err; /* while events came out of them */
	uint64_t n;
	int64_t first_ms, last_ms;
};

/* ---- NDJSON ----------------------------------------------------------------------------------- */

static bool get(zk_str event, const char *name, struct zk_jval *ret)
{
	return zk_jscan_get(event, zk_str_of(name), ret) && ret->type != ZK_J_NULL;
}

/* The event as it could be pushed: milliseconds, no nulls, no id of the server. */
static void put_line(zk_str event, struct zk_buf *b)
{
	static const char *const names[] = { "nodeId", "portId",   "eventType",
		                             "data",   "duration", "metadata" };
	struct zk_jval v;
	int64_t ms;

	zk_buf_lit(b, "{\"timestamp\":");
	if (get(event, "timestamp", &v) && zk_zip_time_ms(v.raw, &ms))
		zk_buf_i64(b, ms);
	else
		zk_buf_add(b, v.type == ZK_J_NUMBER ? v.raw : ZK_STR("0"));
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		if (!get(event, names[i], &v) || zk_str_eq(v.raw, ZK_STR("{}")))
			continue;
		zk_buf_printf(b, ",\"%s\":", names[i]);
		zk_buf_add(b, v.raw);
	}
	if (get(event, "metadata.custom.error", &v) && v.type == ZK_J_OBJECT) {
		zk_buf_lit(b, ",\"error\":");
		zk_buf_add(b, v.raw);
	}
	zk_buf_char(b, '}');
}

static int on_line(void *ctx, zk_str line, struct zk_error *err)
{
	struct export *x = ctx;

	return zk_out_text(x->out, line, err) < 0
	               ? -(int)err->code
	               : zk_out_text(x->out, ZK_STR("\n"), err);
}

/* ---- CSV -------------------------------------------------------------------------------------- */

static const struct zk_out_col csv_cols[] = {
	{ .name = "timestamp" }, { .name = "nodeId" },  { .name = "portId" },
	{ .name = "eventType" }, { .name = "size" },    { .name = "type" },
	{ .name = "duration" },  { .name = "preview" }, { .name = "error" },
};

static const struct zk_out_shape csv_shape = { .kind = ZK_OUT_LIST,
	                                       .cols = csv_cols,
	                                       .n_cols = ZK_ARRAY_LEN(csv_cols) };

static int on_csv(void *ctx, zk_str event, struct zk_error *err)
{
	static const struct {
		const char *name, *path;
	} fields[] = {
		{ "timestamp", "timestamp" },
		{ "nodeId", "nodeId" },
		{ "portId", "portId" },
		{ "eventType", "eventType" },
		{ "size", "data.size" },
		{ "type", "data.type" },
		{ "duration", "duration" },
		{ "preview", "data.preview" },
		{ "error", "metadata.custom.error.message" },
	};
	struct export *x = ctx;

	for (size_t i = 0; i < ZK_ARRAY_LEN(fields); i++) {
		struct zk_jval v;

		if (get(event, fields[i].path, &v))
			zk_row_raw(&x->row, fields[i].name, v.raw);
		else
			zk_row_null(&x->row, fields[i].name);
	}
	return zk_out_row(x->out, zk_row_end(&x->row), err);
}

/* ---- OTLP ------------------------------------------------------------------------------------- */

/* Ids that are the same whenever the session is exported. */
static void make_id(const char *session, uint64_t n, uint8_t *id, size_t bytes)
{
	struct zk_sha256 sha;
	uint8_t out[ZK_SHA256_SIZE];
	char digits[20];

	zk_sha256_init(&sha);
	zk_sha256_put(&sha, session, strlen(session) + 1);
	zk_sha256_put(&sha, digits, zk_format_u64(n, digits));
	zk_sha256_end(&sha, out);
	memcpy(id, out, bytes);
}

static void put_text(struct zk_buf *b, const char *key, zk_str event, const char *path)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored;
	struct zk_jval v;

	if (!get(event, path, &v))
		return;
	zk_buf_init(&text, v.raw.n + 4);
	if (v.type != ZK_J_STRING ||
	    zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &text, &ignored) < 0) {
		zk_buf_clear(&text);
		zk_buf_add(&text, v.raw);
	}
	zk_otlp_str(b, key, zk_str_n(text.p, ZK_MIN(text.n, (size_t)MAX_TEXT)));
}

static int64_t number(zk_str event, const char *path)
{
	struct zk_jval v;
	double d;

	return get(event, path, &v) && v.type == ZK_J_NUMBER &&
	                       zk_jnum_double(v.raw, &d) && d >= 0 && d < 0x1p53
	               ? (int64_t)d
	               : 0;
}

/* Hands over what is written but the last byte, which may be a comma too many. */
static int flush(struct export *x, bool all, struct zk_error *err)
{
	size_t n = all ? x->b.n : x->b.n > BLOCK ? x->b.n - 1 : 0;

	if (n && zk_out_text(x->out, zk_str_n(x->b.p, n), err) < 0)
		return -(int)err->code;
	zk_buf_consume(&x->b, n);
	return zk_buf_check(&x->b, err);
}

static int on_span(void *ctx, zk_str event, struct zk_error *err)
{
	struct export *x = ctx;
	struct zk_otlp_span s = { .kind = ZK_OTLP_INTERNAL };
	struct zk_buf name ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored;
	struct zk_jval v, type = { 0 };
	int64_t ms = 0, took = number(event, "duration");

	zk_buf_init(&name, 2 * MAX_TEXT);
	if (get(event, "timestamp", &v))
		(void)zk_zip_time_ms(v.raw, &ms);
	ms = ZK_MAX(ms, (int64_t)0);
	x->first_ms = x->n && x->first_ms < ms - took ? x->first_ms : ms - took;
	x->last_ms = ZK_MAX(x->last_ms, ms);
	if (!get(event, "nodeId", &v) ||
	    zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &name, &ignored) < 0 || !name.n)
		zk_buf_lit(&name, "event");
	make_id(x->session, 0, s.trace_id, sizeof(s.trace_id));
	make_id(x->session, 1, s.parent_id, sizeof(s.parent_id));
	make_id(x->session, 2 + x->n++, s.span_id, sizeof(s.span_id));
	s.name = zk_buf_str(&name);
	s.start_ns = (uint64_t)ZK_MAX(ms - took, (int64_t)0) * 1000000;
	s.end_ns = (uint64_t)ms * 1000000;
	s.failed =
	        get(event, "eventType", &type) && zk_jstr_eq(type.raw, ZK_STR("error"));
	zk_otlp_span(&x->b, &s);
	put_text(&x->b, "zeal.node_id", event, "nodeId");
	put_text(&x->b, "zeal.port_id", event, "portId");
	put_text(&x->b, "zeal.event_type", event, "eventType");
	put_text(&x->b, "zeal.data.type", event, "data.type");
	put_text(&x->b, "zeal.data.preview", event, "data.preview");
	put_text(&x->b, "error.message", event, "metadata.custom.error.message");
	zk_otlp_i64(&x->b, "zeal.data.size", number(event, "data.size"));
	zk_otlp_span_end(&x->b, &s);
	return flush(x, false, err);
}

/* The session around all events. */
static void put_session(struct export *x, zk_str head)
{
	struct zk_otlp_span s = { .kind = ZK_OTLP_INTERNAL, .name = ZK_STR("execution") };
	int64_t start = x->first_ms, end = x->last_ms;
	struct zk_jval v;

	if (get(head, "startTime", &v))
		(void)zk_zip_time_ms(v.raw, &start);
	if (get(head, "endTime", &v))
		(void)zk_zip_time_ms(v.raw, &end);
	start = ZK_MAX(start, (int64_t)0);
	make_id(x->session, 0, s.trace_id, sizeof(s.trace_id));
	make_id(x->session, 1, s.span_id, sizeof(s.span_id));
	s.start_ns = (uint64_t)start * 1000000;
	s.end_ns = (uint64_t)ZK_MAX(end, start) * 1000000;
	s.failed = get(head, "status", &v) && zk_jstr_eq(v.raw, ZK_STR("failed"));
	zk_otlp_span(&x->b, &s);
	put_text(&x->b, "zeal.session_id", head, "sessionId");
	put_text(&x->b, "zeal.workflow_id", head, "workflowId");
	put_text(&x->b, "zeal.workflow_name", head, "workflowName");
	put_text(&x->b, "zeal.status", head, "status");
	zk_otlp_span_end(&x->b, &s);
}

/* ---- all of it -------------------------------------------------------------------------------- */

static int begin(struct export *x, struct zk_error *err)
{
	const zk_str pairs[] = { ZK_STR_INIT("service.name"), ZK_STR_INIT("zeal") };
	struct zk_otlp_resource res = { .pairs = pairs, .n = 1 };
	bool first = !x->begun;

	x->begun = true;
	if (first && x->format == FORMAT_OTLP)
		zk_otlp_open(&x->b, &res);
	return first && x->format == FORMAT_CSV ? zk_out_begin(x->out, &csv_shape, err)
	                                        : 0;
}

/* What came out of the operators. */
static void on_emit(void *ctx, zk_str json, void *const *tags, size_t n)
{
	static int (*const each[])(void *, zk_str, struct zk_error *) = { on_line, on_csv,
		                                                          on_span };
	struct export *x = ctx;

	(void)tags;
	(void)n;
	if (!x->err.code)
		ZK_IGNORE(each[x->format](x, json, &x->err) < 0); /* its code */
}

static void on_enough(void *ctx)
{
	(void)ctx; /* what follows is passed over */
}

static int emitted(const struct export *x, struct zk_error *err)
{
	if (!x->err.code)
		return 0;
	*err = x->err;
	return -(int)err->code;
}

static int on_event(void *ctx, zk_str event, struct zk_error *err)
{
	struct export *x = ctx;
	zk_str shown = event;

	if (begin(x, err) < 0)
		return -(int)err->code;
	if (x->format == FORMAT_NDJSON) {
		zk_buf_clear(&x->b);
		put_line(event, &x->b);
		shown = zk_buf_str(&x->b);
	}
	events_ops_push(x->ops, event, shown, /* tag */ NULL);
	return emitted(x, err);
}

static int end(struct export *x, zk_str head, struct zk_error *err)
{
	if (begin(x, err) < 0)
		return -(int)err->code;
	events_ops_flush(x->ops);
	if (emitted(x, err) < 0)
		return -(int)err->code;
	if (x->format == FORMAT_CSV)
		return zk_out_end(x->out, err);
	if (x->format == FORMAT_OTLP) {
		put_session(x, head);
		zk_otlp_close(&x->b);
		zk_buf_char(&x->b, '\n');
		if (flush(x, true, err) < 0)
			return -(int)err->code;
	}
	return zk_out_flush(x->out, err);
}

static int open_ops(struct zk_app *app, struct export *x, const struct export_opts *o,
                    struct zk_error *err)
{
	struct events_ops_conf conf = { .opts = &o->ops,
		                        .loop = zk_app_loop(app, err),
		                        .ctx = x,
		                        .emit = on_emit,
		                        .enough = on_enough };

	if (!conf.loop)
		return -(int)err->code;
	if (o->ops.buffer && o->format != FORMAT_NDJSON)
		return zk_fail(err, ZK_E_USAGE, "--buffer makes arrays of NDJSON only");
	return events_ops_new(&conf, &x->ops, err);
}

static int export_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct export_opts *o = opts;
	struct zk_out_conf conf = { .fd = STDOUT_FILENO,
		                    .format = o->format == FORMAT_CSV ? ZK_OUT_CSV
		                                                      : ZK_OUT_NDJSON };
	struct export x = { .session = argv[0], .format = o->format };
	struct zk_zip_detail d;
	struct zeal z = { 0 };

	(void)argc;
	zk_zip_detail_init(&d);
	d.ctx = &x;
	d.on_event = on_event;
	zk_buf_init(&x.b, MAX_EVENT);
	zk_row_init(&x.row);
	int r = zk_out_new(&conf, &x.out, err);

	if (r == 0)
		r = open_ops(app, &x, o, err);
	if (r == 0)
		r = zeal_open(app, &o->zeal, /* patient */ false, &z, err);
	if (r == 0)
		r = zk_zip_session_read(z.zip, argv[0], /* replay */ false, &d, err);
	if (r == 0)
		r = end(&x, zk_buf_str(&d.head), err);
	zk_zip_detail_done(&d);
	zeal_close(&z);
	zk_out_free(x.out);
	events_ops_free(x.ops);
	zk_row_done(&x.row);
	zk_buf_done(&x.b);
	return r;
}

static const char *const formats[] = { "ndjson", "csv", "otlp", NULL };

static const struct zk_opt export_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_ENUM,
	  .key = 'o',
	  .name = "output",
	  .meta = "FORMAT",
	  .def = "ndjson",
	  .values = formats,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct export_opts, format),
	  .help = "form of the result on stdout",
	  .text = "ndjson can be pushed again; otlp is one request of OTLP/HTTP in "
	          "JSON." },
	EVENTS_PICK_ROWS(struct export_opts, "trace"),
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_export = {
	.path = "trace export",
	.args = "SESSION",
	.min_args = 1,
	.max_args = 1,
	.help = "write the events of a session as NDJSON, CSV or OTLP",
	.examples = "zk trace export fts_9f3c8e | zk trace push -w wf_42\n"
	            "zk trace export fts_9f3c8e -o csv > run.csv\n"
	            "zk trace export fts_9f3c8e --filter 'eventType=error' --buffer 100\n"
	            "zk trace export fts_9f3c8e -o otlp > run.json",
	.output = "the events",
	.exits = "0 · 69 not there, or no longer readable · 75 · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS,
	.opts = export_rows,
	.opts_size = sizeof(struct export_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = export_run,
};
