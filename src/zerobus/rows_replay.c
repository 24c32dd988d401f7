/* Rows that were kept: the lines of rejects files and of exported spools.
 * Layer: zerobus. specs/zerobus.md §14.3, §14.5.
 *
 * Payloads go again as they are, on a stream with the descriptor that stands in the file; `values`,
 * which people may have edited, are converted anew. */
#include "zerobus/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "codec/b64.h"
#include "zerobus/convert.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

/* A payload of the largest size in base64, and what stands around it. */
#define LINE_BYTES    ((size_t)96 << 20)
#define PAYLOAD_BYTES ((size_t)64 << 20)

enum {
	W_TYPE,
	W_TABLE,
	W_RECORD_TYPE,
	W_DESCRIPTOR,
	W_CODE,
	W_PROTO,
	W_JSON,
	W_VALUES,
	W_TEXT,
	W_TEXT_BASE64,
	W_BASE64,
	W_TARGET,
	W_NAME,
	W_BODY,
	W_BODY_BASE64,
	W_META,
	W_META_TYPE,
	W_META_FINGERPRINT,
	N_WANTS
};

static const struct zk_jwant wants[N_WANTS] = {
	[W_TYPE] = { .name = ZK_STR_INIT("type") },
	[W_TABLE] = { .name = ZK_STR_INIT("table") },
	[W_RECORD_TYPE] = { .name = ZK_STR_INIT("record_type") },
	[W_DESCRIPTOR] = { .name = ZK_STR_INIT("descriptor") },
	[W_CODE] = { .name = ZK_STR_INIT("code") },
	[W_PROTO] = { .name = ZK_STR_INIT("proto") },
	[W_JSON] = { .name = ZK_STR_INIT("json") },
	[W_VALUES] = { .name = ZK_STR_INIT("values") },
	[W_TEXT] = { .name = ZK_STR_INIT("text") },
	[W_TEXT_BASE64] = { .name = ZK_STR_INIT("text_base64") },
	[W_BASE64] = { .name = ZK_STR_INIT("base64") },
	[W_TARGET] = { .name = ZK_STR_INIT("target") },
	[W_NAME] = { .name = ZK_STR_INIT("name") },
	[W_BODY] = { .name = ZK_STR_INIT("body") },
	[W_BODY_BASE64] = { .name = ZK_STR_INIT("body_base64") },
	[W_META] = { .name = ZK_STR_INIT("meta") },
	[W_META_TYPE] = { .name = ZK_STR_INIT("record_type"), .in = W_META + 1 },
	[W_META_FINGERPRINT] = { .name = ZK_STR_INIT("fingerprint"), .in = W_META + 1 },
};

struct replay_rows {
	struct zk_zb_rows r;
	struct zk_zb_rows_conf conf;
	struct zk_zb_lines lines;
	struct zk_zb_kind *kind;      /* of the payloads that follow */
	struct zk_zb_kind *converted; /* of values, NULL = as the header says */
	struct zk_zb_schema *own;     /* of the header's descriptor */
	struct zk_zb_plan *plan;      /* for values; NULL = JSON as it stands */
	bool planned;
	struct zk_map attachments; /* "TARGET NAME" → struct zk_zb_kind */
	struct zk_buf bytes, text;
	uint64_t row;
	struct zk_jwant want[N_WANTS];
};

/* ---- members ---- */

/* A short text; empty when it is missing or no plain string. */
static zk_str text_of(const struct replay_rows *r, int member)
{
	zk_str s;

	return r->want[member].val.type == ZK_J_STRING &&
	                       zk_jstr_plain(r->want[member].val.raw, &s)
	               ? s
	               : ZK_STR_NULL;
}

static bool has(const struct replay_rows *r, int member)
{
	return r->want[member].val.type != ZK_J_NONE &&
	       r->want[member].val.type != ZK_J_NULL;
}

static int malformed(const char *what, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_ZB_ROW_JSON, "%s", what);
	return zk_err_hint(err, "a rejects file, or the output of zk spool export, is "
	                        "wanted");
}

/* The bytes of a member in base64, into r->bytes. */
static int bytes_of(struct replay_rows *r, int member, zk_str *ret, struct zk_error *err)
{
	zk_str s = text_of(r, member);

	zk_buf_clear(&r->bytes);
	if (r->want[member].val.type != ZK_J_STRING ||
	    !zk_b64_decode(s, ZK_B64_STD, &r->bytes))
		return malformed("a member is not base64", err);
	*ret = zk_str_n(r->bytes.n ? r->bytes.p : "", r->bytes.n);
	return 0;
}

/* ---- kinds ---- */

static void forget_plan(struct replay_rows *r)
{
	zk_zb_plan_free(ZK_TAKE(r->plan));
	zk_zb_schema_free(ZK_TAKE(r->own));
	zk_zb_kind_unref(ZK_TAKE(r->converted));
	r->planned = false;
}

static int set_kind(struct replay_rows *r, bool is_proto, zk_str descriptor,
                    struct zk_error *err)
{
	if (is_proto && !descriptor.n)
		return malformed("rows of protobuf without their descriptor", err);
	zk_zb_kind_unref(r->kind);
	r->kind = zk_zb_kind_new(is_proto ? ZK_ZB_PROTO : ZK_ZB_JSON,
	                         is_proto ? descriptor : ZK_STR_NULL);
	forget_plan(r);
	return 0;
}

static int other_table(const struct replay_rows *r, zk_str table, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_DATA, "the file holds rows of '%.*s', and of '%s'",
	              ZK_STR_ARG(table), r->conf.only_table);
	return zk_err_hint(err, "replay one table at a time, or send all to one with -t");
}

static int check_table(const struct replay_rows *r, zk_str table, struct zk_error *err)
{
	if (!r->conf.only_table || zk_str_eq(table, zk_str_of(r->conf.only_table)))
		return 0;
	return other_table(r, table, err);
}

static int take_header(struct replay_rows *r, struct zk_error *err)
{
	bool is_proto = zk_str_eq(text_of(r, W_RECORD_TYPE), ZK_STR("PROTO"));
	zk_str descriptor = ZK_STR_NULL;

	if (check_table(r, text_of(r, W_TABLE), err) < 0 ||
	    (is_proto && bytes_of(r, W_DESCRIPTOR, &descriptor, err) < 0))
		return -(int)err->code;
	return set_kind(r, is_proto, descriptor, err);
}

/* ---- rows that never became a payload ---- */

/* How values become rows: by the schema that is given, else by that of the file. */
static int make_plan(struct replay_rows *r, struct zk_error *err)
{
	struct zk_zb_schema_conf sc = { .message = r->conf.message,
		                        .all_optional = r->conf.all_optional };
	struct zk_zb_plan_conf pc = {
		.schema = r->conf.schema,
		.json = r->conf.record_type == ZK_ZB_JSON ||
		        (r->conf.record_type == ZK_ZB_RECORD_AUTO &&
		         r->kind->type == ZK_ZB_JSON),
		.coerce = r->conf.coerce,
		.drop_unknown = r->conf.drop_unknown,
		.drop_nulls = r->conf.null_elements == ZK_ZB_NULL_DROP,
		.ctx = r->conf.ctx,
		.on_note = r->conf.on_note,
	};

	r->planned = true;
	if (!pc.schema && r->kind->type == ZK_ZB_PROTO) {
		if (zk_zb_schema_of_descriptor(r->kind->descriptor, &sc, &r->own, err) <
		    0)
			return -(int)err->code;
		pc.schema = r->own;
	}
	if (!pc.schema) {
		r->converted = zk_zb_kind_ref(r->kind);
		return 0;
	}
	if (zk_zb_plan_new(&pc, &r->plan, err) < 0)
		return -(int)err->code;
	r->converted = zk_zb_kind_new(pc.json ? ZK_ZB_JSON : ZK_ZB_PROTO,
	                              pc.json ? ZK_STR_NULL : pc.schema->descriptor);
	return 0;
}

static int convert(struct replay_rows *r, zk_str object, struct zk_zb_row *ret,
                   struct zk_error *err)
{
	if (!r->planned && make_plan(r, err) < 0)
		return -(int)err->code;
	ret->kind = r->converted;
	ret->payload = object;
	if (!r->plan || zk_zb_plan_line(r->plan, object, &ret->payload))
		return ZK_ZB_ROW;
	(void)zk_zb_plan_fail(r->plan, err);
	ret->column = zk_zb_plan_column(r->plan);
	ret->values = object;
	return ZK_ZB_BAD_ROW;
}

/* Text of a column that was no UTF-8 stands there in base64 until somebody mends it. */
static int still_base64(struct replay_rows *r, struct zk_zb_row *ret,
                        struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_ZB_ROW_UTF8,
	              "the columns %.*s hold text in base64 that is not UTF-8",
	              ZK_STR_ARG(r->want[W_BASE64].val.raw));
	(void)zk_err_hint(err, "mend the values, then remove the member \"base64\"");
	ret->values = r->want[W_VALUES].val.raw;
	ret->base64 = r->want[W_BASE64].val.raw;
	return ZK_ZB_BAD_ROW;
}

/* The row as it stood in its input: text that was no JSON object. */
static int convert_text(struct replay_rows *r, const struct zk_ndjson_line *line,
                        struct zk_zb_row *ret, struct zk_error *err)
{
	struct zk_ndjson_line inner = { .number = line->number };
	struct zk_jscan js;

	zk_buf_clear(&r->text);
	if (has(r, W_TEXT_BASE64)) {
		if (bytes_of(r, W_TEXT_BASE64, &inner.text, err) < 0)
			return -(int)err->code;
	} else if (zk_jstr_decode(r->want[W_TEXT].val.raw, ZK_JLONE_ERROR, &r->text,
	                          err) == 0) {
		inner.text = zk_buf_str(&r->text);
	}
	if (zk_zb_lines_object(&r->lines, &inner, &js, err))
		return convert(r, js.top.raw, ret, err);
	ret->values = inner.text;
	ret->is_text = true;
	return ZK_ZB_BAD_ROW;
}

/* ---- lines ---- */

static int take_row(struct replay_rows *r, const struct zk_ndjson_line *line,
                    struct zk_zb_row *ret, struct zk_error *err)
{
	if (!r->kind)
		return malformed("a row comes before any header", err);
	ret->kind = r->kind;
	if (has(r, W_PROTO))
		return bytes_of(r, W_PROTO, &ret->payload, err) < 0 ? -(int)err->code
		                                                    : ZK_ZB_ROW;
	if (r->want[W_JSON].val.type == ZK_J_STRING) {
		zk_buf_clear(&r->text);
		if (zk_jstr_decode(r->want[W_JSON].val.raw, ZK_JLONE_ERROR, &r->text,
		                   err) < 0)
			return -(int)err->code;
		ret->payload = zk_buf_str(&r->text);
		return ZK_ZB_ROW;
	}
	if (r->want[W_BASE64].val.type == ZK_J_ARRAY)
		return still_base64(r, ret, err);
	if (r->want[W_VALUES].val.type == ZK_J_OBJECT)
		return convert(r, r->want[W_VALUES].val.raw, ret, err);
	if (r->want[W_TEXT].val.type == ZK_J_STRING || has(r, W_TEXT_BASE64))
		return convert_text(r, line, ret, err);
	return malformed("a row without proto, json, values or text", err);
}

/* "zerobus:HOST/TABLE"; false for targets of other families. */
static bool table_of_target(zk_str target, zk_str *ret)
{
	zk_str host;

	if (!zk_str_starts(target, ZK_STR("zerobus:")))
		return false;
	*ret = zk_str_cut(target, '/', &host);
	return ret->n > 0;
}

static void attachment_key(struct replay_rows *r, zk_str name)
{
	zk_buf_clear(&r->text);
	zk_buf_add(&r->text, text_of(r, W_TARGET));
	zk_buf_char(&r->text, ' ');
	zk_buf_add(&r->text, name);
}

static int take_attachment(struct replay_rows *r, struct zk_error *err)
{
	struct zk_zb_kind *old;
	zk_str bytes = ZK_STR_NULL, table;

	if (!table_of_target(text_of(r, W_TARGET), &table))
		return 0;
	if (bytes_of(r, W_BODY_BASE64, &bytes, err) < 0)
		return -(int)err->code;
	attachment_key(r, text_of(r, W_NAME));
	old = zk_map_get(&r->attachments, zk_buf_str(&r->text));
	zk_zb_kind_unref(old);
	(void)zk_map_set(&r->attachments, zk_buf_str(&r->text),
	                 zk_zb_kind_new(ZK_ZB_PROTO, bytes));
	return 0;
}

/* A record of the spool: ROW, END for one of another family, or a negative code. */
static int take_record(struct replay_rows *r, struct zk_zb_row *ret, struct zk_error *err)
{
	struct zk_zb_kind *kind;
	zk_str table;

	if (!table_of_target(text_of(r, W_TARGET), &table))
		return ZK_ZB_END;
	if (check_table(r, table, err) < 0)
		return -(int)err->code;
	if (zk_str_eq(text_of(r, W_META_TYPE), ZK_STR("PROTO"))) {
		attachment_key(r, text_of(r, W_META_FINGERPRINT));
		kind = zk_map_get(&r->attachments, zk_buf_str(&r->text));
		if (!kind)
			return malformed("a record comes before its descriptor", err);
		if (!r->kind || !zk_zb_kind_same(r->kind, kind)) {
			zk_zb_kind_unref(r->kind);
			r->kind = zk_zb_kind_ref(kind);
		}
	} else if ((!r->kind || r->kind->type != ZK_ZB_JSON) &&
	           set_kind(r, false, ZK_STR_NULL, err) < 0) {
		return -(int)err->code;
	}
	ret->kind = r->kind;
	ret->payload = r->want[W_BODY].val.raw;
	if (has(r, W_BODY_BASE64))
		return bytes_of(r, W_BODY_BASE64, &ret->payload, err) < 0
		               ? -(int)err->code
		               : ZK_ZB_ROW;
	return has(r, W_BODY) ? ZK_ZB_ROW : malformed("a record without a body", err);
}

/* ROW, BAD_ROW, SCHEMA or END for a line that is no row (or not wanted), or a negative code. */
static int take_line(struct replay_rows *r, const struct zk_ndjson_line *line,
                     struct zk_zb_row *ret, struct zk_error *err)
{
	zk_str type = text_of(r, W_TYPE);
	const char *code = r->conf.only_code;
	bool is_row = zk_str_eq(type, ZK_STR("row"));

	if (zk_str_eq(type, ZK_STR("header")))
		return take_header(r, err) < 0 ? -(int)err->code : ZK_ZB_END;
	if (zk_str_eq(type, ZK_STR("attachment")))
		return take_attachment(r, err) < 0 ? -(int)err->code : ZK_ZB_END;
	if (!is_row && !zk_str_eq(type, ZK_STR("record")))
		return malformed("a line of no known type", err);
	if (code && !zk_str_eq(text_of(r, W_CODE), zk_str_of(code)))
		return ZK_ZB_END;
	ret->row = r->row++;
	ret->line = line->number;
	return is_row ? take_row(r, line, ret, err) : take_record(r, ret, err);
}

/* Somebody's editor did it: a bad row, when there is a header that says of what. */
static int broken_line(struct replay_rows *r, const struct zk_ndjson_line *line,
                       struct zk_zb_row *ret, struct zk_error *err)
{
	if (!r->kind)
		return -(int)err->code;
	ret->row = r->row++;
	ret->line = line->number;
	ret->values = line->text;
	ret->is_text = true;
	return ZK_ZB_BAD_ROW;
}

static int replay_next(struct zk_zb_rows *rows, struct zk_zb_row *ret,
                       struct zk_error *err)
{
	struct replay_rows *r = ZK_CONTAINER_OF(rows, struct replay_rows, r);
	int got = ZK_ZB_END;

	while (got == ZK_ZB_END) {
		struct zk_ndjson_line line;
		struct zk_jscan js;
		int n = zk_zb_lines_next(&r->lines, &line, err);

		if (n <= 0)
			return n;
		*ret = (struct zk_zb_row){ .kind = r->kind };
		memcpy(r->want, wants, sizeof(wants));
		if (zk_zb_lines_find(&r->lines, &line, r->want, N_WANTS, &js, err))
			got = take_line(r, &line, ret, err);
		else
			got = broken_line(r, &line, ret, err);
		if (got < 0 || got == ZK_ZB_BAD_ROW)
			(void)zk_err_where(err, "%s:%" PRIu64, r->conf.source->name,
			                   line.number);
	}
	return got;
}

static void replay_close(struct zk_zb_rows *rows)
{
	struct replay_rows *r = ZK_CONTAINER_OF(rows, struct replay_rows, r);
	size_t pos = 0;
	void *value;
	zk_str key;

	forget_plan(r);
	zk_zb_kind_unref(r->kind);
	while (zk_map_next(&r->attachments, &pos, &key, &value))
		zk_zb_kind_unref(value);
	zk_map_done(&r->attachments);
	zk_zb_lines_done(&r->lines);
	zk_buf_done(&r->bytes);
	zk_buf_done(&r->text);
	free(r);
}

int zk_zb_rows_replay(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                      struct zk_error *err)
{
	static const struct zk_zb_rows_ops ops = { .next = replay_next,
		                                   .close = replay_close };
	struct replay_rows *r = zk_new0(struct replay_rows);

	(void)err;
	r->r.ops = &ops;
	r->conf = *conf;
	zk_map_init(&r->attachments);
	zk_buf_init(&r->bytes, PAYLOAD_BYTES);
	zk_buf_init(&r->text, PAYLOAD_BYTES);
	zk_zb_lines_init(&r->lines, conf->source, LINE_BYTES);
	*ret = &r->r;
	return 0;
}

/* ---- the table ---- */

/* Of the first line that names one: 1, 0 = this line does not, or a negative code. */
static int table_of_line(const struct zk_zb_lines *l, const struct zk_ndjson_line *line,
                         struct zk_buf *ret, struct zk_error *err)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("table") },
		                   { .name = ZK_STR_INIT("target") } };
	struct zk_jscan js;
	zk_str s;

	if (!zk_zb_lines_find(l, line, want, ZK_ARRAY_LEN(want), &js, err))
		return -(int)err->code;
	if (want[0].val.type == ZK_J_STRING && zk_jstr_plain(want[0].val.raw, &s)) {
		zk_buf_add(ret, s);
		return 1;
	}
	if (want[1].val.type == ZK_J_STRING && zk_jstr_plain(want[1].val.raw, &s) &&
	    table_of_target(s, &s)) {
		zk_buf_add(ret, s);
		return 1;
	}
	return 0;
}

int zk_zb_replay_table(const char *path, struct zk_buf *ret, struct zk_error *err)
{
	struct zk_zb_fd_source_conf conf = { .path = path };
	struct zk_zb_source *source;
	struct zk_ndjson_line line;
	struct zk_zb_lines lines;
	int r = 0;

	if (zk_zb_fd_source_open(&conf, &source, err) < 0)
		return -(int)err->code;
	zk_zb_lines_init(&lines, source, LINE_BYTES);
	while (r == 0 && (r = zk_zb_lines_next(&lines, &line, err)) > 0)
		r = table_of_line(&lines, &line, ret, err);
	if (r == 0)
		(void)malformed("no line names a table", err);
	if (r <= 0)
		r = zk_wrap(err, "%s", path);
	zk_zb_lines_done(&lines);
	zk_zb_fd_source_close(source);
	return r < 0 ? r : 0;
}
