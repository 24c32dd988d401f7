/* The results of a command on stdout: what happens to a row.
 * Layer: rt. */
#include "rt/out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "rt/out_impl.h"
#include "rt/progress.h"
#include "rt/text.h"

#include "base/ban.h"

#define BLOCK_BYTES 65536
#define DOC_BYTES   (256u << 20)
#define ROW_BYTES   ((size_t)1 << 30)

/* ---- making ---- */

int zk_out_new(const struct zk_out_conf *conf, struct zk_out **ret, struct zk_error *err)
{
	struct zk_out *o = zk_new0(struct zk_out);

	o->conf = *conf;
	o->tty = isatty(conf->fd) == 1;
	o->utf8 = o->tty && zk_term_is_utf8();
	o->format = conf->format;
	if (o->format == ZK_OUT_AUTO)
		o->format = o->tty ? ZK_OUT_TABLE : ZK_OUT_NDJSON;
	zk_buf_init(&o->buf, ROW_BYTES);
	zk_buf_init(&o->doc, DOC_BYTES);
	zk_buf_init(&o->members, ROW_BYTES);
	zk_buf_init(&o->scratch, ROW_BYTES);
	zk_buf_init(&o->scratch2, ROW_BYTES);
	zk_buf_init(&o->table.text, ROW_BYTES);
	if (zk_outselect_init(&o->select, conf, err) < 0 ||
	    (conf->jq && zk_out_jq_new(conf->jq, &o->jq, err) < 0) ||
	    zk_out_write_init(o, err) < 0) {
		zk_out_free(o);
		return -(int)err->code;
	}
	*ret = o;
	return 0;
}

static void on_turn_end(void *ctx);

void zk_out_free(struct zk_out *o)
{
	if (!o)
		return;
	zk_out_write_wait(o);
	if (o->conf.loop)
		zk_loop_forget(o->conf.loop, on_turn_end, o);
	zk_out_jq_free(o->jq);
	zk_outselect_done(&o->select);
	zk_out_free_cols(o);
	zk_out_table_done(o);
	zk_buf_done(&o->buf);
	zk_buf_done(&o->doc);
	zk_buf_done(&o->members);
	zk_buf_done(&o->scratch);
	zk_buf_done(&o->scratch2);
	free(o);
}

int zk_out_format(const struct zk_out *o)
{
	return o->format;
}

bool zk_out_closed(const struct zk_out *o)
{
	return o->closed || o->halted;
}

bool zk_out_is_full(const struct zk_out *o)
{
	return o->full;
}

uint64_t zk_out_rows(const struct zk_out *o)
{
	return o->rows;
}

/* ---- flushing ---- */

static int result(const struct zk_out *o, struct zk_error *err)
{
	if (!o->failed)
		return 0;
	*err = o->error;
	return -(int)err->code;
}

static int flush(struct zk_out *o, struct zk_error *err)
{
	/* A table that is not at its end may still learn how wide it has to be. */
	if (o->shape && o->shape->kind == ZK_OUT_STREAM)
		zk_out_table_flush(o);
	if (o->buf.failed && !o->failed) {
		o->failed = true;
		(void)zk_fail(&o->error, ZK_E_LIMIT, "a row is larger than %zu bytes",
		              (size_t)ROW_BYTES);
	}
	zk_out_write(o);
	return result(o, err);
}

int zk_out_flush(struct zk_out *o, struct zk_error *err)
{
	return flush(o, err);
}

static void on_turn_end(void *ctx)
{
	struct zk_out *o = ctx;
	struct zk_error ignored; /* it is kept for the next call */

	o->flush_waits = false;
	(void)flush(o, &ignored);
}

/* After something was formatted. */
static int written(struct zk_out *o, struct zk_error *err)
{
	bool at_once = o->tty || (o->shape && o->shape->kind == ZK_OUT_STREAM);

	if (o->buf.n >= BLOCK_BYTES || o->buf.failed || (at_once && !o->conf.loop))
		return zk_out_flush(o, err);
	if (o->conf.loop && !o->flush_waits) {
		o->flush_waits = true;
		zk_loop_defer(o->conf.loop, on_turn_end, o);
	}
	return result(o, err);
}

int zk_out_text(struct zk_out *o, zk_str text, struct zk_error *err)
{
	zk_buf_add(&o->buf, text);
	return written(o, err);
}

/* ---- items: rows, or what jq made of them ---- */

/* JSON whose items are lines: a document only when nothing turned it into something
 * else. */
static bool is_document(const struct zk_out *o)
{
	return o->format == ZK_OUT_JSON && !o->jq && !o->select.n_pieces &&
	       o->shape->kind == ZK_OUT_LIST;
}

/* Text that is no JSON: of --format, or a string that jq made. */
static void put_text(struct zk_out *o, zk_str text)
{
	o->items++;
	zk_out_table_flush(o); /* its rows come first */
	if (o->format == ZK_OUT_YAML) {
		zk_buf_lit(&o->buf, "- ");
		zk_out_yaml_text(&o->buf, text);
		zk_buf_char(&o->buf, '\n');
	} else if (o->format == ZK_OUT_CSV || o->format == ZK_OUT_TSV) {
		zk_out_separated_text(o, text);
	} else {
		/* As it is, but a terminal is not to be controlled by it. */
		if (o->tty)
			zk_text_scrub(&o->buf, text, /* lines */ true);
		else
			zk_buf_add(&o->buf, text);
		zk_buf_char(&o->buf, '\n');
	}
}

/* In one line, whatever white space it came with. */
static void put_line(struct zk_out *o, zk_str json)
{
	if (memchr(json.p, '\n', json.n) || memchr(json.p, '\r', json.n))
		zk_jscan_compact(json, &o->buf);
	else
		zk_buf_add(&o->buf, json);
	zk_buf_char(&o->buf, '\n');
}

/* The beginning of a document with a list, before its first row. */
static void open_list(struct zk_out *o)
{
	const char *name = o->shape->list;

	if (o->format == ZK_OUT_YAML) {
		if (name)
			zk_buf_printf(&o->buf, "%s:%s\n", name, o->items ? "" : " []");
		else if (!o->items)
			zk_buf_lit(&o->buf, "[]\n");
		return;
	}
	if (name && o->tty)
		zk_buf_printf(&o->buf, "{\n  \"%s\": ", name);
	else if (name)
		zk_buf_printf(&o->buf, "{\"%s\":", name);
	zk_buf_char(&o->buf, '[');
}

static unsigned list_depth(const struct zk_out *o)
{
	return o->shape->list ? 1 : 0;
}

static void put_json(struct zk_out *o, zk_str json)
{
	if (is_document(o)) {
		if (o->items == 1)
			open_list(o);
		else
			zk_buf_char(&o->buf, ',');
		if (o->tty) {
			zk_buf_char(&o->buf, '\n');
			zk_text_blanks(&o->buf, (list_depth(o) + 1) * 2);
			zk_out_pretty(&o->buf, json, list_depth(o) + 1);
		} else {
			zk_buf_add(&o->buf, json);
		}
		return;
	}
	if (o->tty && o->shape->kind != ZK_OUT_STREAM) {
		zk_out_pretty(&o->buf, json, 0);
		zk_buf_char(&o->buf, '\n');
		return;
	}
	put_line(o, json);
}

static void put_yaml(struct zk_out *o, zk_str json)
{
	if (o->shape->kind == ZK_OUT_ONE && !o->jq) {
		zk_out_yaml_object(&o->buf, json);
		return;
	}
	if (o->items == 1 && o->shape->kind == ZK_OUT_LIST && !o->jq)
		open_list(o);
	zk_out_yaml_item(&o->buf, json);
}

static bool is_container(zk_str json)
{
	return json.n && (json.p[0] == '{' || json.p[0] == '[');
}

static void put_item(struct zk_out *o, zk_str json)
{
	o->items++;
	switch (o->format) {
	case ZK_OUT_JSON:
		put_json(o, json);
		break;
	case ZK_OUT_NDJSON:
		put_line(o, json);
		break;
	case ZK_OUT_YAML:
		put_yaml(o, json);
		break;
	case ZK_OUT_TABLE:
		if (!is_container(json)) {
			zk_out_table_flush(o); /* its rows come first */
			put_line(o, json);
		} else if (o->shape->kind == ZK_OUT_ONE && json.p[0] == '{') {
			zk_out_table_one(o, json);
		} else {
			zk_out_table_row(o, json);
		}
		break;
	default:
		if (is_container(json))
			zk_out_separated_row(o, json);
		else
			zk_out_separated_text(o, json);
		break;
	}
}

/* An object after jq or as it was given: through --fields and --format. */
static void select_item(struct zk_out *o, zk_str json)
{
	bool whole = o->format == ZK_OUT_JSON || o->format == ZK_OUT_NDJSON ||
	             o->format == ZK_OUT_YAML;

	if (o->select.n_pieces) {
		zk_buf_clear(&o->scratch2);
		zk_outselect_text(&o->select, json, &o->scratch2);
		put_text(o, zk_buf_str(&o->scratch2));
	} else if (o->select.n_fields && whole && json.n && json.p[0] == '{') {
		zk_buf_clear(&o->scratch2);
		zk_outselect_project(&o->select, json, &o->scratch2);
		put_item(o, zk_buf_str(&o->scratch2));
	} else {
		put_item(o, json);
	}
}

static int on_jq_result(struct zk_out *o, zk_str text, bool is_string,
                        struct zk_error *err)
{
	if (is_string)
		put_text(o, text);
	else
		select_item(o, text);
	return written(o, err);
}

/* ---- rows ---- */

/* jq sees the whole document where the format is one. */
static bool gathers_document(const struct zk_out *o)
{
	return o->jq && o->format == ZK_OUT_JSON && o->shape->kind == ZK_OUT_LIST;
}

int zk_out_begin(struct zk_out *o, const struct zk_out_shape *shape, struct zk_error *err)
{
	ZK_ASSERT(!o->shape && o->format < ZK_OUT_OWN);
	if (!o->jq && zk_outselect_check(&o->select, shape, err) < 0)
		return -(int)err->code;
	o->shape = shape;
	o->rows = o->items = 0;
	o->halted = false;
	zk_buf_clear(&o->doc);
	zk_buf_clear(&o->members);
	if (gathers_document(o) && shape->list)
		zk_buf_printf(&o->doc, "{\"%s\":[", shape->list);
	else if (gathers_document(o))
		zk_buf_char(&o->doc, '[');
	return 0;
}

int zk_out_row(struct zk_out *o, zk_str json, struct zk_error *err)
{
	struct zk_jval val;

	ZK_ASSERT(o->shape && zk_jscan_value(json, &val));
	o->rows++;
	if (zk_out_closed(o) || o->failed)
		return result(o, err);
	if (gathers_document(o)) {
		if (o->rows > 1)
			zk_buf_char(&o->doc, ',');
		zk_buf_add(&o->doc, val.raw);
		return zk_buf_check(&o->doc, err);
	}
	if (o->jq)
		return zk_out_jq_run(o, val.raw, on_jq_result, err);
	select_item(o, val.raw);
	return written(o, err);
}

void zk_out_members(struct zk_out *o, zk_str members)
{
	if (o->members.n && members.n)
		zk_buf_char(&o->members, ',');
	zk_buf_add(&o->members, members);
}

void zk_out_cut(struct zk_out *o, uint64_t shown, int64_t total)
{
	char a[32], b[32];

	if (o->conf.quiet || o->closed)
		return;
	if (total >= 0)
		zk_say("%s of %s; --all for the rest", zk_group_digits(shown, a),
		       zk_group_digits((uint64_t)total, b));
	else
		zk_say("%s shown, there are more; --all for the rest",
		       zk_group_digits(shown, a));
}

/* ---- the end ---- */

static void close_json(struct zk_out *o)
{
	if (!o->items)
		open_list(o);
	else if (o->tty)
		zk_buf_lit(&o->buf, "\n");
	if (o->items && o->tty)
		zk_text_blanks(&o->buf, (size_t)list_depth(o) * 2);
	zk_buf_char(&o->buf, ']');
	if (o->shape->list && o->members.n) {
		zk_buf_cstr(&o->buf, o->tty ? ",\n  " : ",");
		if (o->tty)
			zk_out_pretty(&o->buf, zk_buf_str(&o->members), 1);
		else
			zk_buf_add(&o->buf, zk_buf_str(&o->members));
	}
	if (o->shape->list)
		zk_buf_cstr(&o->buf, o->tty ? "\n}" : "}");
	zk_buf_char(&o->buf, '\n');
}

static void close_yaml(struct zk_out *o)
{
	if (o->shape->kind != ZK_OUT_LIST || o->jq || o->select.n_pieces)
		return;
	if (!o->items)
		open_list(o);
	if (!o->shape->list || !o->members.n)
		return;
	zk_buf_clear(&o->scratch2);
	zk_buf_char(&o->scratch2, '{');
	zk_buf_add(&o->scratch2, zk_buf_str(&o->members));
	zk_buf_char(&o->scratch2, '}');
	zk_out_yaml_object(&o->buf, zk_buf_str(&o->scratch2));
}

static int close_document(struct zk_out *o, struct zk_error *err)
{
	zk_buf_char(&o->doc, ']');
	if (o->shape->list && o->members.n) {
		zk_buf_char(&o->doc, ',');
		zk_buf_add(&o->doc, zk_buf_str(&o->members));
	}
	if (o->shape->list)
		zk_buf_char(&o->doc, '}');
	if (zk_buf_check(&o->doc, err) < 0) {
		(void)zk_wrap(err, "--jq");
		return zk_err_hint(err, "-o ndjson gives it one row after the other");
	}
	return zk_out_jq_run(o, zk_buf_str(&o->doc), on_jq_result, err);
}

static int close_shape(struct zk_out *o, struct zk_error *err)
{
	if (zk_out_closed(o) || o->failed)
		return 0;
	if (gathers_document(o))
		return close_document(o, err);
	if (is_document(o)) {
		close_json(o);
	} else if (o->format == ZK_OUT_YAML) {
		close_yaml(o);
	} else if (o->format == ZK_OUT_TABLE) {
		zk_out_table_flush(o);
	} else if (!o->items && !o->select.n_pieces &&
	           (o->format == ZK_OUT_CSV || o->format == ZK_OUT_TSV)) {
		zk_out_make_cols(o, ZK_STR_NULL);
		zk_out_separated_head(o);
	}
	return 0;
}

int zk_out_end(struct zk_out *o, struct zk_error *err)
{
	int r;

	ZK_ASSERT(o->shape);
	r = close_shape(o, err);
	if (!o->rows && o->shape->noun && !o->conf.quiet && !o->closed)
		zk_say("no %s", o->shape->noun);
	zk_out_free_cols(o);
	o->table.laid_out = false;
	o->told_extra = false;
	o->shape = NULL;
	if (r < 0) {
		struct zk_error ignored; /* the first failure is the one that is told */

		(void)flush(o, &ignored);
		zk_out_write_wait(o);
		return r;
	}
	(void)flush(o, err);
	zk_out_write_wait(o);
	return result(o, err);
}

int zk_out_list_fields(struct zk_out *o, const struct zk_out_shape *shape,
                       struct zk_error *err)
{
	for (size_t i = 0; i < shape->n_cols; i++)
		zk_buf_printf(&o->buf, "%s\n", shape->cols[i].name);
	return zk_out_flush(o, err);
}
