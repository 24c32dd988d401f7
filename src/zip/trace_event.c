/* One trace event: checked, mended, marked.
 * Layer: zip. specs/zeal-zip.md §6.2. */
#include "zip/trace_event.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/jscan.h"

#include "base/ban.h"

#define MAX_DEPTH 256
#define SCRATCH   4096 /* what mending can add */

enum member {
	M_TIMESTAMP,
	M_NODE,
	M_PORT,
	M_TYPE,
	M_DATA,
	M_DURATION,
	M_METADATA,
	M_ERROR,
	M_PREVIEW, /* stands for data when there is none */
	M_COUNT,
	/* Inside of those. */
	N_SIZE = M_COUNT,
	N_DATA_TYPE,
	N_CPU,
	N_MEMORY,
	N_CUSTOM,
	N_CUSTOM_ZK,
	N_CUSTOM_ERROR,
	N_COUNT
};

/* Looked for in the one pass that checks the text; parents by place + 1. */
#define WANT(text, in_)                                \
	{                                              \
		.name = ZK_STR_INIT(text), .in = (in_) \
	}
static const struct zk_jwant wanted[N_COUNT] = {
	[M_TIMESTAMP] = WANT("timestamp", 0),
	[M_NODE] = WANT("nodeId", 0),
	[M_PORT] = WANT("portId", 0),
	[M_TYPE] = WANT("eventType", 0),
	[M_DATA] = WANT("data", 0),
	[M_DURATION] = WANT("duration", 0),
	[M_METADATA] = WANT("metadata", 0),
	[M_ERROR] = WANT("error", 0),
	[M_PREVIEW] = WANT("preview", 0),
	[N_SIZE] = WANT("size", M_DATA + 1),
	[N_DATA_TYPE] = WANT("type", M_DATA + 1),
	[N_CPU] = WANT("cpuUsage", M_METADATA + 1),
	[N_MEMORY] = WANT("memoryUsage", M_METADATA + 1),
	[N_CUSTOM] = WANT("custom", M_METADATA + 1),
	[N_CUSTOM_ZK] = WANT("zk", N_CUSTOM + 1),
	[N_CUSTOM_ERROR] = WANT("error", N_CUSTOM + 1),
};

struct work {
	const struct zk_zip_event_conf *conf;
	struct zk_zip_event *ret;
	struct zk_error *err;
	struct zk_jwant want[N_COUNT];
	struct zk_jscan js;
	bool rebuild; /* members change, so the object is put together anew */
	bool mending; /* what follows is set */
	/* What a member becomes instead; p NULL = it stays. */
	zk_str instead[M_COUNT];
	bool drop[M_COUNT];
	struct zk_buf texts[M_COUNT]; /* what `instead` points into */
	zk_str custom;                /* metadata.custom, raw; empty = none */
	bool custom_has_zk, custom_has_error;
};

/* ---- verdicts --------------------------------------------------------------------------------- */

static int reject(struct work *w, const char *kind, const char *field, const char *why)
{
	w->ret->kind = kind;
	(void)snprintf(w->ret->field, sizeof(w->ret->field), "%s", field);
	return zk_fail(w->err, ZK_E_DATA, "%s%s%s", field, field[0] ? ": " : "", why);
}

static int mended(struct work *w, unsigned what, const char *field, const char *why)
{
	struct zk_zip_event *e = w->ret;
	const char *kind = what == ZK_ZIP_COERCED ? "coerce" : "drop-null";
	size_t n = strlen(e->field);

	if (w->conf->strict)
		return reject(w, kind, field, why);
	e->mends |= what;
	/* The first kind stays, its fields are listed. */
	if (!e->kind || e->kind == kind)
		(void)snprintf(e->field + n, sizeof(e->field) - n, "%s%s", n ? "," : "",
		               field);
	if (!e->kind)
		e->kind = kind;
	return 0;
}

/* Most events are right: only others pay for this. */
static void mend(struct work *w)
{
	if (w->mending)
		return;
	memset(w->instead, 0, sizeof(w->instead));
	memset(w->drop, 0, sizeof(w->drop));
	memset(w->texts, 0, sizeof(w->texts));
	w->mending = true;
}

static void replace(struct work *w, enum member m)
{
	w->instead[m] = zk_buf_str(&w->texts[m]);
	w->rebuild = true;
}

static struct zk_buf *scratch(struct work *w, enum member m, size_t n)
{
	mend(w);
	zk_buf_done(&w->texts[m]);
	zk_buf_init(&w->texts[m], n + SCRATCH);
	return &w->texts[m];
}

/* A number that no double needs to be made of to see that it is finite. */
static bool is_plainly_finite(const struct zk_jval *v)
{
	if (v->type != ZK_J_NUMBER || v->raw.n > 300)
		return false;
	for (size_t i = 0; i < v->raw.n; i++)
		if ((v->raw.p[i] | 0x20) == 'e')
			return false;
	return true;
}

static bool finite_number(const struct zk_jval *v, double *ret)
{
	int64_t whole;

	if (v->type == ZK_J_NUMBER && zk_jnum_i64(v->raw, &whole)) {
		*ret = (double)whole;
		return true;
	}
	return v->type == ZK_J_NUMBER && zk_jnum_double(v->raw, ret) && isfinite(*ret);
}

/* A member of the event that is null is left out (§1.2 [T 2]). */
static int drop_null(struct work *w, enum member m, const char *name)
{
	if (w->want[m].val.type != ZK_J_NULL)
		return 0;
	mend(w);
	w->want[m].val = (struct zk_jval){ 0 };
	w->drop[m] = w->rebuild = true;
	return mended(w, ZK_ZIP_NULL_DROPPED, name, "null");
}

/* ---- simple members --------------------------------------------------------------------------- */

bool zk_zip_time_ms(zk_str raw, int64_t *ret)
{
	struct zk_error ignored;
	zk_str text;
	int64_t us;

	if (!zk_jstr_plain(raw, &text) || zk_parse_rfc3339(text, &us, &ignored) < 0)
		return false;
	*ret = us / 1000 - (us % 1000 < 0);
	return true;
}

/* Seconds with a fraction, or milliseconds with one. */
static double to_ms(double v)
{
	return round(fabs(v) < 1e11 ? v * 1000 : v);
}

static int put_timestamp(struct work *w, int64_t ms, const char *why)
{
	struct zk_buf *b = scratch(w, M_TIMESTAMP, 32);

	w->ret->timestamp_ms = ms;
	zk_buf_i64(b, ms);
	replace(w, M_TIMESTAMP);
	return mended(w, ZK_ZIP_COERCED, "timestamp", why);
}

static int check_timestamp(struct work *w)
{
	const struct zk_jval *v = &w->want[M_TIMESTAMP].val;
	int64_t ms = w->conf->now_ms;
	double d;

	if (v->type == ZK_J_NONE || v->type == ZK_J_NULL)
		return put_timestamp(w, ms, "the event has none");
	if (v->type == ZK_J_STRING)
		return zk_zip_time_ms(v->raw, &ms)
		               ? put_timestamp(w, ms, "a text, not milliseconds")
		               : reject(w, "invalid_type", "timestamp",
		                        "neither milliseconds nor an RFC 3339 time");
	if (v->type != ZK_J_NUMBER)
		return reject(w, "invalid_type", "timestamp", "not a number");
	if (zk_jnum_i64(v->raw, &ms)) {
		w->ret->timestamp_ms = ms;
		return ms > ZK_ZIP_TIMESTAMP_MAX || ms < -ZK_ZIP_TIMESTAMP_MAX
		               ? reject(w, "range", "timestamp", "out of range")
		               : 0;
	}
	/* A whole number that is written with an exponent is no time in seconds. */
	if (!finite_number(v, &d))
		return reject(w, "range", "timestamp", "out of range");
	d = d == round(d) ? d : to_ms(d);
	if (fabs(d) > (double)ZK_ZIP_TIMESTAMP_MAX)
		return reject(w, "range", "timestamp", "out of range");
	return put_timestamp(w, (int64_t)d, "a fraction");
}

static int check_node(struct work *w)
{
	const struct zk_jval *v = &w->want[M_NODE].val;

	if (v->type != ZK_J_STRING)
		return reject(w, "invalid_type", "nodeId",
		              v->type == ZK_J_NONE ? "is missing" : "not a string");
	w->ret->node = v->raw;
	return 0;
}

static int check_port(struct work *w)
{
	if (drop_null(w, M_PORT, "portId") < 0)
		return -(int)w->err->code;
	enum zk_jtype type = w->want[M_PORT].val.type;

	return type == ZK_J_NONE || type == ZK_J_STRING
	               ? 0
	               : reject(w, "invalid_type", "portId", "not a string");
}

static int check_type(struct work *w)
{
	static const zk_str types[] = { ZK_STR_INIT("input"), ZK_STR_INIT("output"),
		                        ZK_STR_INIT("error"), ZK_STR_INIT("log") };
	const struct zk_jval *v = &w->want[M_TYPE].val;

	if (v->type != ZK_J_STRING)
		return reject(w, "invalid_type", "eventType",
		              v->type == ZK_J_NONE ? "is missing" : "not a string");
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++)
		if (zk_jstr_eq(v->raw, types[i])) {
			w->ret->is_error |= i == 2;
			return 0;
		}
	return reject(w, "invalid_enum_value", "eventType",
	              "not one of input, output, error, log");
}

static int check_duration(struct work *w)
{
	const struct zk_jval *v = &w->want[M_DURATION].val;
	int64_t whole;
	double d;

	if (drop_null(w, M_DURATION, "duration") < 0)
		return -(int)w->err->code;
	if (v->type == ZK_J_NONE)
		return 0;
	if (v->type != ZK_J_NUMBER)
		return reject(w, "invalid_type", "duration", "not a number");
	if (zk_jnum_i64(v->raw, &whole))
		return 0;
	if (!finite_number(v, &d) || fabs(d) > 0x1p53)
		return reject(w, "range", "duration", "out of range");
	zk_buf_i64(scratch(w, M_DURATION, 32), (int64_t)round(d));
	replace(w, M_DURATION);
	return mended(w, ZK_ZIP_COERCED, "duration", "a fraction of a millisecond");
}

/* ---- objects ---------------------------------------------------------------------------------- */

/* Copies an object without its members that are null and without `also` (may be empty); then
 * appends `more`, raw members. */
static void copy_members(zk_str object, zk_str also, zk_str more, struct zk_buf *b)
{
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;
	bool some = false;

	zk_buf_char(b, '{');
	zk_jiter_init(&it, object);
	while (zk_jiter_member(&it, &key, &v)) {
		if (v.type == ZK_J_NULL || (also.n && zk_jstr_eq(key, also)))
			continue;
		zk_buf_cstr(b, some ? "," : "");
		zk_buf_add(b, key);
		zk_buf_char(b, ':');
		zk_buf_add(b, v.raw);
		some = true;
	}
	zk_buf_cstr(b, some && more.n ? "," : "");
	zk_buf_add(b, more);
	zk_buf_char(b, '}');
}

/* What a nested member must be. */
struct rule {
	zk_str name;
	enum zk_jtype type; /* NONE = anything, null too */
	const char *field;
};

/* Checks a member against the rules; *null = it is to be left out. */
static int check_member(struct work *w, const struct rule *rules, size_t n, zk_str key,
                        const struct zk_jval *v, bool *null)
{
	for (size_t i = 0; i < n; i++) {
		double d;

		if (!zk_jstr_eq(key, rules[i].name))
			continue;
		if (rules[i].type == ZK_J_NONE)
			return 0;
		if (v->type == ZK_J_NULL) {
			*null = true;
			return mended(w, ZK_ZIP_NULL_DROPPED, rules[i].field, "null");
		}
		if (v->type != rules[i].type ||
		    (v->type == ZK_J_NUMBER && !finite_number(v, &d)))
			return reject(w, "invalid_type", rules[i].field,
			              "has the wrong type");
		return 0;
	}
	return 0;
}

static int data_from_preview(struct work *w)
{
	zk_str preview = w->want[M_PREVIEW].val.raw;
	struct zk_buf *b = scratch(w, M_DATA, preview.n);

	zk_buf_printf(
	        b, "{\"size\":%zu,\"type\":\"application/json\",\"preview\":", preview.n);
	zk_buf_add(b, preview);
	zk_buf_char(b, '}');
	w->ret->size = (double)preview.n;
	replace(w, M_DATA);
	w->drop[M_PREVIEW] = true;
	return mended(w, ZK_ZIP_COERCED, "data", "made from preview");
}

static int complete_data(struct work *w, zk_str raw, bool has_size, bool has_type)
{
	struct zk_buf *b = scratch(w, M_DATA, raw.n);
	struct zk_buf more ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&more, 128);
	if (!has_size)
		zk_buf_lit(&more, "\"size\":0");
	if (!has_type) {
		zk_buf_cstr(&more, more.n ? "," : "");
		zk_buf_lit(&more, "\"type\":\"application/json\"");
	}
	copy_members(raw, ZK_STR_NULL, zk_buf_str(&more), b);
	replace(w, M_DATA);
	if (!has_size && mended(w, ZK_ZIP_COERCED, "data.size", "is missing") < 0)
		return -(int)w->err->code;
	return has_type ? 0 : mended(w, ZK_ZIP_COERCED, "data.type", "is missing");
}

/* Checks the members of data; *null = some are to be left out. */
static int check_data_members(struct work *w, zk_str data, bool *null, bool *has_size,
                              bool *has_type)
{
	static const struct rule rules[] = {
		{ ZK_STR_INIT("size"), ZK_J_NUMBER, "data.size" },
		{ ZK_STR_INIT("type"), ZK_J_STRING, "data.type" },
	};
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;

	zk_jiter_init(&it, data);
	while (zk_jiter_member(&it, &key, &v)) {
		if (check_member(w, rules, ZK_ARRAY_LEN(rules), key, &v, null) < 0)
			return -(int)w->err->code;
		if (v.type == ZK_J_NUMBER && zk_jstr_eq(key, rules[0].name))
			*has_size = finite_number(&v, &w->ret->size);
		if (v.type == ZK_J_STRING && zk_jstr_eq(key, rules[1].name))
			*has_type = true;
	}
	return 0;
}

/* Both members once and of their types, as nearly always. */
static bool data_is_right(struct work *w)
{
	const struct zk_jwant *size = &w->want[N_SIZE], *type = &w->want[N_DATA_TYPE];

	return size->count == 1 && type->count == 1 && type->val.type == ZK_J_STRING &&
	       finite_number(&size->val, &w->ret->size);
}

static int check_data(struct work *w)
{
	const struct zk_jval *data = &w->want[M_DATA].val;
	bool null = false, has_size = false, has_type = false;

	if (data->type == ZK_J_NONE && w->want[M_PREVIEW].val.type != ZK_J_NONE)
		return data_from_preview(w);
	if (data->type != ZK_J_OBJECT)
		return reject(w, "invalid_type", "data",
		              data->type == ZK_J_NONE ? "is missing" : "not an object");
	if (data_is_right(w))
		return 0;
	if (check_data_members(w, data->raw, &null, &has_size, &has_type) < 0)
		return -(int)w->err->code;
	return null || !has_size || !has_type
	               ? complete_data(w, data->raw, has_size, has_type)
	               : 0;
}

/* An object with `rules`; members that are null go. */
static int check_object(struct work *w, enum member m, const struct rule *rules, size_t n)
{
	zk_str raw = w->want[m].val.raw;
	struct zk_jiter it;
	struct zk_jval v;
	bool null = false;
	zk_str key;

	zk_jiter_init(&it, raw);
	while (zk_jiter_member(&it, &key, &v))
		if (check_member(w, rules, n, key, &v, &null) < 0)
			return -(int)w->err->code;
	if (null) {
		copy_members(raw, ZK_STR_NULL, ZK_STR_NULL, scratch(w, m, raw.n));
		replace(w, m);
	}
	return 0;
}

static int check_error(struct work *w)
{
	static const struct rule rules[] = {
		{ ZK_STR_INIT("message"), ZK_J_STRING, "error.message" },
		{ ZK_STR_INIT("stack"), ZK_J_STRING, "error.stack" },
		{ ZK_STR_INIT("code"), ZK_J_STRING, "error.code" },
	};
	const struct zk_jval *v = &w->want[M_ERROR].val;
	struct zk_jval message;

	if (drop_null(w, M_ERROR, "error") < 0)
		return -(int)w->err->code;
	if (v->type == ZK_J_NONE)
		return 0;
	w->ret->is_error = true;
	if (v->type == ZK_J_STRING) {
		struct zk_buf *b = scratch(w, M_ERROR, v->raw.n);

		zk_buf_lit(b, "{\"message\":");
		zk_buf_add(b, v->raw);
		zk_buf_char(b, '}');
		replace(w, M_ERROR);
		return mended(w, ZK_ZIP_COERCED, "error", "a text, not an object");
	}
	if (v->type != ZK_J_OBJECT)
		return reject(w, "invalid_type", "error", "not an object");
	if (!zk_jscan_get(v->raw, ZK_STR("message"), &message))
		return reject(w, "invalid_type", "error.message", "is missing");
	return check_object(w, M_ERROR, rules, ZK_ARRAY_LEN(rules));
}

/* Looks for what the mark would meet in metadata.custom. */
static void look_at_custom(struct work *w, zk_str metadata)
{
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;

	w->custom = ZK_STR_NULL;
	zk_jiter_init(&it, metadata);
	while (zk_jiter_member(&it, &key, &v))
		if (v.type == ZK_J_OBJECT && zk_jstr_eq(key, ZK_STR("custom")))
			w->custom = v.raw;
	zk_jiter_init(&it, w->custom);
	while (w->custom.n && zk_jiter_member(&it, &key, &v)) {
		w->custom_has_zk |= zk_jstr_eq(key, ZK_STR("zk"));
		w->custom_has_error |= zk_jstr_eq(key, ZK_STR("error"));
	}
}

static bool is_none_or(const struct zk_jwant *want, enum zk_jtype type)
{
	return want->count == 0 || (want->count == 1 && want->val.type == type);
}

/* Every member at most once and of its type, as nearly always. */
static bool metadata_is_right(struct work *w)
{
	const struct zk_jwant *cpu = &w->want[N_CPU], *memory = &w->want[N_MEMORY],
	                      *custom = &w->want[N_CUSTOM];

	if ((cpu->count && !(cpu->count == 1 && is_plainly_finite(&cpu->val))) ||
	    (memory->count && !(memory->count == 1 && is_plainly_finite(&memory->val))) ||
	    !is_none_or(custom, ZK_J_OBJECT))
		return false;
	w->custom = custom->count ? custom->val.raw : ZK_STR_NULL;
	w->custom_has_zk = w->want[N_CUSTOM_ZK].count > 0;
	w->custom_has_error = w->want[N_CUSTOM_ERROR].count > 0;
	return true;
}

static int check_metadata(struct work *w)
{
	static const struct rule rules[] = {
		{ ZK_STR_INIT("cpuUsage"), ZK_J_NUMBER, "metadata.cpuUsage" },
		{ ZK_STR_INIT("memoryUsage"), ZK_J_NUMBER, "metadata.memoryUsage" },
		{ ZK_STR_INIT("custom"), ZK_J_OBJECT, "metadata.custom" },
	};
	const struct zk_jval *v = &w->want[M_METADATA].val;

	if (drop_null(w, M_METADATA, "metadata") < 0)
		return -(int)w->err->code;
	if (v->type == ZK_J_NONE)
		return 0;
	if (v->type != ZK_J_OBJECT)
		return reject(w, "invalid_type", "metadata", "not an object");
	if (metadata_is_right(w))
		return 0;
	if (check_object(w, M_METADATA, rules, ZK_ARRAY_LEN(rules)) < 0)
		return -(int)w->err->code;
	look_at_custom(w, w->mending && w->instead[M_METADATA].p ? w->instead[M_METADATA]
	                                                         : v->raw);
	return 0;
}

/* ---- U+0000 ----------------------------------------------------------------------------------- */

static bool has_nul(zk_str raw)
{
	struct zk_jscan js;

	return zk_jscan(raw, MAX_DEPTH, NULL, 0, &js) == 0 && js.has_nul;
}

/* The server fails in the middle of a batch on U+0000 [T 14]: which member is it? */
static int reject_nul(struct work *w)
{
	zk_str at = w->js.top.raw;
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	bool deeper = true;

	zk_buf_init(&path, ZK_ZIP_EVENT_FIELD - 1);
	for (int depth = 0; deeper && depth < 2; depth++) {
		struct zk_jiter it;
		struct zk_jval v;
		zk_str key, name;

		deeper = false;
		zk_jiter_init(&it, at);
		while (!deeper && zk_jiter_member(&it, &key, &v)) {
			if (!has_nul(v.raw) || !zk_jstr_plain(key, &name))
				continue;
			zk_buf_cstr(&path, path.n ? "." : "");
			zk_buf_add(&path, name);
			at = v.raw;
			deeper = true;
		}
	}
	return reject(w, "nul", zk_buf_cstring(&path), "holds the character U+0000");
}

/* ---- output ----------------------------------------------------------------------------------- */

static void put_mark(struct work *w, uint64_t seq, zk_str error, struct zk_buf *b)
{
	if (w->conf->mark.n) {
		zk_buf_lit(b, "\"zk\":{\"s\":\"");
		zk_buf_add(b, w->conf->mark);
		zk_buf_lit(b, "\",\"n\":");
		zk_buf_u64(b, seq);
		zk_buf_char(b, '}');
	}
	/* The server throws `error` away [T 15]. */
	if (error.n && !w->custom_has_error) {
		if (w->conf->mark.n)
			zk_buf_char(b, ',');
		zk_buf_lit(b, "\"error\":");
		zk_buf_add(b, error);
	}
}

/* Something that ends with '}' up to there, and a comma unless it is empty. */
static void put_open(zk_str object, struct zk_buf *b)
{
	zk_str in = zk_str_trim(zk_str_n(object.p + 1, object.n - 2));

	zk_buf_put(b, object.p, object.n - 1);
	if (in.n)
		zk_buf_char(b, ',');
}

/* The value of metadata, with mark and error. */
static void put_metadata(struct work *w, uint64_t seq, zk_str metadata, zk_str error,
                         struct zk_buf *b)
{
	if (!metadata.n) {
		zk_buf_lit(b, "{\"custom\":{");
		put_mark(w, seq, error, b);
		zk_buf_lit(b, "}}");
	} else if (!w->custom.n) {
		put_open(metadata, b);
		zk_buf_lit(b, "\"custom\":{");
		put_mark(w, seq, error, b);
		zk_buf_lit(b, "}}");
	} else {
		size_t before = (size_t)(w->custom.p - metadata.p);

		zk_buf_put(b, metadata.p, before);
		if (w->custom_has_zk && w->conf->mark.n) {
			struct zk_buf more ZK_CLEANUP(zk_buf_done) = { 0 };

			/* An event that was exported: another mark is not ours. */
			zk_buf_init(&more, error.n + 256);
			put_mark(w, seq, error, &more);
			copy_members(w->custom, ZK_STR("zk"), zk_buf_str(&more), b);
		} else {
			put_open(w->custom, b);
			put_mark(w, seq, error, b);
			zk_buf_char(b, '}');
		}
		zk_buf_add(b, zk_str_from(metadata, before + w->custom.n));
	}
}

static zk_str value_of(const struct work *w, enum member m)
{
	if (w->mending && w->instead[m].p)
		return w->instead[m];
	return w->mending && w->drop[m] ? ZK_STR_NULL : w->want[m].val.raw;
}

static bool is_known(zk_str key)
{
	for (size_t i = 0; i < M_COUNT; i++)
		if (zk_jstr_eq(key, wanted[i].name))
			return true;
	return false;
}

static bool adds_metadata(const struct work *w, zk_str error)
{
	return w->conf->mark.n || (error.n && !w->custom_has_error);
}

/* Puts the members together: those we know, then the others as they are. */
static void put_rebuilt(struct work *w, uint64_t seq, struct zk_buf *out)
{
	zk_str error = value_of(w, M_ERROR), key;
	struct zk_jiter it;
	struct zk_jval v;
	bool some = false;

	zk_buf_char(out, '{');
	for (size_t i = 0; i < M_COUNT; i++) {
		zk_str value = value_of(w, (enum member)i);
		bool meta = i == M_METADATA && adds_metadata(w, error);

		if (!value.n && !meta)
			continue;
		zk_buf_printf(out, "%s\"%.*s\":", some ? "," : "",
		              ZK_STR_ARG(wanted[i].name));
		if (meta)
			put_metadata(w, seq, value, error, out);
		else
			zk_buf_add(out, value);
		some = true;
	}
	zk_jiter_init(&it, w->js.top.raw);
	while (zk_jiter_member(&it, &key, &v)) {
		if (is_known(key))
			continue;
		zk_buf_char(out, ',');
		zk_buf_add(out, key);
		zk_buf_char(out, ':');
		zk_buf_add(out, v.raw);
	}
	zk_buf_char(out, '}');
}

/* The bytes as they came, with the mark put in. */
static void put_spliced(struct work *w, uint64_t seq, struct zk_buf *out)
{
	zk_str top = w->js.top.raw, meta = w->want[M_METADATA].val.raw,
	       error = w->want[M_ERROR].val.raw;

	if (!adds_metadata(w, error)) {
		zk_buf_add(out, top);
	} else if (!meta.n) {
		put_open(top, out);
		zk_buf_lit(out, "\"metadata\":");
		put_metadata(w, seq, meta, error, out);
		zk_buf_char(out, '}');
	} else {
		size_t before = (size_t)(meta.p - top.p);

		zk_buf_put(out, top.p, before);
		put_metadata(w, seq, meta, error, out);
		zk_buf_add(out, zk_str_from(top, before + meta.n));
	}
}

/* ---- all of it -------------------------------------------------------------------------------- */

static int scan(struct work *w, zk_str line)
{
	memcpy(w->want, wanted, sizeof(wanted));
	if (line.n > ZK_ZIP_EVENT_MAX) {
		w->ret->kind = "limit";
		return zk_fail(w->err, ZK_E_LIMIT, "the event is larger than 16 MiB");
	}
	if (zk_jscan(line, MAX_DEPTH, w->want, N_COUNT, &w->js) < 0) {
		w->ret->kind = w->js.code == ZK_E_LIMIT ? "limit" : "json_syntax";
		return zk_jscan_fail(&w->js, w->err);
	}
	if (w->js.top.type != ZK_J_OBJECT)
		return reject(w, "invalid_type", "",
		              "an event must be an object, this is something else");
	for (size_t i = 0; i < M_COUNT; i++)
		w->rebuild |= w->want[i].count > 1;
	return w->js.has_nul ? reject_nul(w) : 0;
}

static int check(struct work *w)
{
	/* In the order of the server's schema: the first finding is the one it would name. */
	if (check_timestamp(w) < 0 || check_node(w) < 0 || check_port(w) < 0 ||
	    check_type(w) < 0 || check_data(w) < 0 || check_duration(w) < 0 ||
	    check_metadata(w) < 0 || check_error(w) < 0)
		return -(int)w->err->code;
	return 0;
}

int zk_zip_event_take(const struct zk_zip_event_conf *conf, zk_str line, uint64_t seq,
                      struct zk_buf *out, struct zk_zip_event *ret, struct zk_error *err)
{
	struct work w; /* scan() and mend() set the rest */
	size_t before = out->n;

	w.conf = conf;
	w.ret = ret;
	w.err = err;
	w.rebuild = w.mending = w.custom_has_zk = w.custom_has_error = false;
	w.custom = ZK_STR_NULL;
	*ret = (struct zk_zip_event){ 0 };
	int r = scan(&w, line);

	if (r == 0)
		r = check(&w);
	if (r == 0) {
		if (w.rebuild)
			put_rebuilt(&w, seq, out);
		else
			put_spliced(&w, seq, out);
		r = zk_buf_check(out, err);
	}
	if (w.mending)
		for (size_t i = 0; i < M_COUNT; i++)
			zk_buf_done(&w.texts[i]);
	if (r < 0) {
		out->n = before;
		out->failed = false;
		if (!ret->kind)
			ret->kind = "limit";
	}
	return r;
}

bool zk_zip_event_mark(zk_str event, zk_str mark, uint64_t *ret_seq)
{
	struct zk_jval zk, v;

	return zk_jscan_get(event, ZK_STR("metadata.custom.zk"), &zk) &&
	       zk.type == ZK_J_OBJECT && zk_jscan_get(zk.raw, ZK_STR("s"), &v) &&
	       v.type == ZK_J_STRING && zk_jstr_eq(v.raw, mark) &&
	       zk_jscan_get(zk.raw, ZK_STR("n"), &v) && v.type == ZK_J_NUMBER &&
	       zk_jnum_u64(v.raw, ret_seq);
}
