/* What a runtime tells the server.
 * Layer: zip. */
#include "zip/runtime_event.h"

#include <string.h>

#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define DEPTH_MAX 128

/* Members of the root, in the order in which they are written. */
enum member {
	TYPE,
	WORKFLOW,
	TIMESTAMP,
	NODE,
	GRAPH,
	DATA,
	METADATA,
	STREAM,
	PORT,
	CONTENT_TYPE,
	SIZE_HINT,
	TOTAL_BYTES,
	ERROR,
	INPUTS,
	OUTPUTS,
	DURATION,
	OUTPUT_SIZE,
	SESSION,
	WORKFLOW_NAME,
	NODES_EXECUTED,
	SUMMARY,
	MEMBERS,
};

static const char *const names[MEMBERS] = {
	[TYPE] = "type",
	[WORKFLOW] = "workflowId",
	[TIMESTAMP] = "timestamp",
	[NODE] = "nodeId",
	[GRAPH] = "graphId",
	[DATA] = "data",
	[METADATA] = "metadata",
	[STREAM] = "streamId",
	[PORT] = "port",
	[CONTENT_TYPE] = "contentType",
	[SIZE_HINT] = "sizeHint",
	[TOTAL_BYTES] = "totalBytes",
	[ERROR] = "error",
	[INPUTS] = "inputConnections",
	[OUTPUTS] = "outputConnections",
	[DURATION] = "duration",
	[OUTPUT_SIZE] = "outputSize",
	[SESSION] = "sessionId",
	[WORKFLOW_NAME] = "workflowName",
	[NODES_EXECUTED] = "nodesExecuted",
	[SUMMARY] = "summary",
};

#define BIT(m) (1u << (m))

/* What the server takes from `data`. */
static const struct {
	const char *type;
	unsigned taken;
} types[] = {
	{ "node.executing", BIT(INPUTS) },
	{ "node.completed", BIT(OUTPUTS) | BIT(DURATION) | BIT(OUTPUT_SIZE) },
	{ "node.failed", BIT(OUTPUTS) | BIT(ERROR) },
	{ "node.warning", 0 },
	{ "execution.started", BIT(SESSION) | BIT(WORKFLOW_NAME) },
	{ "execution.completed",
	  BIT(SESSION) | BIT(DURATION) | BIT(NODES_EXECUTED) | BIT(SUMMARY) },
	{ "execution.failed", BIT(SESSION) | BIT(DURATION) | BIT(ERROR) },
	{ "connection.state", 0 },
	{ "workflow.published", 0 },
	{ "workflow.unpublished", 0 },
	{ "stream.opened", 0 },
	{ "stream.closed", 0 },
	{ "stream.error", 0 },
};

/* Names that other clients have for them. */
static const struct {
	const char *old, *type;
} aliases[] = {
	{ "node.execution.start", "node.executing" },
	{ "node.execution.success", "node.completed" },
	{ "node.execution.complete", "node.completed" },
	{ "node.execution.error", "node.failed" },
	{ "workflow.execution.start", "execution.started" },
	{ "workflow.execution.success", "execution.completed" },
	{ "workflow.execution.complete", "execution.completed" },
	{ "workflow.execution.error", "execution.failed" },
};

struct event {
	struct zk_jwant want[MEMBERS];
	const char *type;
	unsigned taken;
	struct zk_jval data[MEMBERS]; /* the same members of `data` */
};

static int find_type(struct event *e, struct zk_error *err)
{
	const struct zk_jval *v = &e->want[TYPE].val;
	zk_str type;

	if (v->type != ZK_J_STRING || !zk_jstr_plain(v->raw, &type))
		return zk_fail(err, ZK_E_DATA, "an event needs a type");
	for (size_t i = 0; i < ZK_ARRAY_LEN(aliases); i++)
		if (zk_str_eq(type, zk_str_of(aliases[i].old)))
			type = zk_str_of(aliases[i].type);
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++) {
		if (!zk_str_eq(type, zk_str_of(types[i].type)))
			continue;
		e->type = types[i].type;
		e->taken = types[i].taken;
		return 0;
	}
	(void)zk_fail(err, ZK_E_DATA, "'%.*s' is no type of a runtime event",
	              (int)ZK_MIN(type.n, (size_t)100), type.p);
	return zk_err_hint(err, "such as node.executing, node.completed, node.failed, "
	                        "execution.started, execution.completed");
}

/* The members of `data` that are to be found at the root too. */
static void look_into_data(struct event *e)
{
	zk_str data = e->want[DATA].val.raw;

	if (e->want[DATA].val.type != ZK_J_OBJECT)
		return;
	for (int m = 0; m < MEMBERS; m++)
		if (e->taken & BIT(m))
			(void)!zk_jscan_get(data, zk_str_of(names[m]), &e->data[m]);
}

static struct zk_jval taken(const struct event *e, int m)
{
	return e->data[m].type != ZK_J_NONE ? e->data[m] : e->want[m].val;
}

static bool is_there(const struct zk_jval *v)
{
	return v->type != ZK_J_NONE && v->type != ZK_J_NULL;
}

/* ---- writing ---- */

static int put_time(struct zk_jwrite *w, const struct zk_jval *v, int64_t now_us,
                    struct zk_error *err)
{
	int64_t us = now_us;
	zk_str text;

	if (v->type == ZK_J_NUMBER) {
		/* Milliseconds, as other clients have them; up to the year 9999. */
		if (!zk_jnum_i64(v->raw, &us) || us < 0 || us > INT64_C(253402300799999))
			return zk_fail(err, ZK_E_DATA,
			               "the timestamp %.*s is no time in milliseconds",
			               (int)ZK_MIN(v->raw.n, (size_t)40), v->raw.p);
		us *= 1000;
	} else if (v->type == ZK_J_STRING) {
		if (!zk_jstr_plain(v->raw, &text) || zk_parse_rfc3339(text, &us, err) < 0)
			return zk_fail(err, ZK_E_DATA,
			               "the timestamp %.*s is no ISO date and time",
			               (int)ZK_MIN(v->raw.n, (size_t)40), v->raw.p);
		zk_jw_raw(w, v->raw);
		return 0;
	} else if (is_there(v)) {
		return zk_fail(err, ZK_E_DATA, "the timestamp is no text");
	}
	zk_jw_time(w, us);
	return 0;
}

/* At the root an error is a text, in `data` an object with a message. */
static void put_root_error(struct zk_jwrite *w, struct zk_jval v)
{
	struct zk_jval message;

	if (v.type == ZK_J_OBJECT && zk_jscan_get(v.raw, ZK_STR("message"), &message))
		v = message;
	if (v.type != ZK_J_STRING)
		return;
	zk_jw_key(w, names[ERROR]);
	zk_jw_raw(w, v.raw);
}

static void put_data_error(struct zk_jwrite *w, struct zk_jval v)
{
	zk_jw_key(w, names[ERROR]);
	if (v.type != ZK_J_STRING) {
		zk_jw_raw(w, v.raw);
		return;
	}
	zk_jw_obj(w);
	zk_jw_key(w, "message");
	zk_jw_raw(w, v.raw);
	zk_jw_obj_end(w);
}

static void put_root(struct zk_jwrite *w, const struct event *e)
{
	for (int m = NODE; m < MEMBERS; m++) {
		struct zk_jval v = taken(e, m);

		if (m == DATA || !is_there(&v) || (m >= INPUTS && !(e->taken & BIT(m))))
			continue;
		if (m == ERROR) {
			put_root_error(w, v);
			continue;
		}
		zk_jw_key(w, names[m]);
		zk_jw_raw(w, v.raw);
	}
}

static bool is_taken(const struct event *e, zk_str key)
{
	for (int m = 0; m < MEMBERS; m++)
		if ((e->taken & BIT(m)) && zk_jstr_eq(key, zk_str_of(names[m])))
			return true;
	return false;
}

static void put_data(struct zk_jwrite *w, const struct event *e)
{
	const struct zk_jval *data = &e->want[DATA].val;
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;
	bool any = is_there(data);

	for (int m = 0; m < MEMBERS; m++) {
		v = taken(e, m);
		any = any || ((e->taken & BIT(m)) && is_there(&v));
	}
	if (!any)
		return;
	zk_jw_key(w, names[DATA]);
	if (is_there(data) && data->type != ZK_J_OBJECT) {
		zk_jw_raw(w, data->raw);
		return;
	}
	zk_jw_obj(w);
	for (int m = 0; m < MEMBERS; m++) {
		v = taken(e, m);
		if (!(e->taken & BIT(m)) || !is_there(&v))
			continue;
		if (m == ERROR) {
			put_data_error(w, v);
			continue;
		}
		zk_jw_key(w, names[m]);
		zk_jw_raw(w, v.raw);
	}
	if (data->type == ZK_J_OBJECT) {
		zk_jiter_init(&it, data->raw);
		while (zk_jiter_member(&it, &key, &v)) {
			if (is_taken(e, key))
				continue;
			if (w->comma)
				zk_buf_char(w->b, ',');
			zk_buf_add(w->b, key);
			zk_buf_char(w->b, ':');
			zk_buf_add(w->b, v.raw);
			w->comma = true;
		}
	}
	zk_jw_obj_end(w);
}

static int scan(struct event *e, zk_str json, struct zk_error *err)
{
	struct zk_jscan js;

	for (int m = 0; m < MEMBERS; m++)
		e->want[m].name = zk_str_of(names[m]);
	if (zk_jscan(json, DEPTH_MAX, e->want, MEMBERS, &js) < 0)
		return zk_jscan_fail(&js, err);
	if (js.top.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_DATA, "an event is a JSON object, not %s",
		               zk_jtype_name(js.top.type));
	if (js.has_nul)
		return zk_fail(err, ZK_E_DATA,
		               "the server cannot store texts with U+0000");
	return 0;
}

int zk_zip_runtime_event(zk_str json, zk_str workflow, int64_t now_us, struct zk_buf *b,
                         struct zk_error *err)
{
	struct event e = { 0 };
	struct zk_jwrite w;
	const struct zk_jval *wf = &e.want[WORKFLOW].val;

	if (scan(&e, json, err) < 0 || find_type(&e, err) < 0)
		return -(int)err->code;
	if (!workflow.n && wf->type != ZK_J_STRING)
		return zk_fail(err, ZK_E_DATA, "an event needs a workflowId");
	look_into_data(&e);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, names[TYPE]);
	zk_jw_cstr(&w, e.type);
	zk_jw_key(&w, names[WORKFLOW]);
	if (wf->type == ZK_J_STRING)
		zk_jw_raw(&w, wf->raw);
	else
		zk_jw_str(&w, workflow);
	zk_jw_key(&w, names[TIMESTAMP]);
	if (put_time(&w, &e.want[TIMESTAMP].val, now_us, err) < 0)
		return -(int)err->code;
	put_root(&w, &e);
	put_data(&w, &e);
	zk_jw_obj_end(&w);
	return zk_buf_check(b, err);
}
