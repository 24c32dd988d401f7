/* `zk zerobus table`.
 * Layer: cmd. specs/zerobus.md §10.4, §15. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/zerobus_conf.h"
#include "codec/json.h"
#include "codec/pb.h"
#include "rt/out.h"
#include "zerobus/schema.h"

#include "base/ban.h"

struct table_opts {
	struct zb_opts zb;
};

static const struct zk_opt table_rows[] = {
	ZB_ROWS,
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "column", .flags = ZK_COL_WHOLE },
	{ .name = "table_type" },
	{ .name = "number", .flags = ZK_COL_RIGHT },
	{ .name = "field_type" },
	{ .name = "label" },
	{ .name = "remark" },
};
static const struct zk_out_shape shape = {
	.kind = ZK_OUT_LIST, .noun = "columns", .cols = cols, .n_cols = ZK_ARRAY_LEN(cols)
};

/* One column as the document has it, judged alone: what it becomes, or why it cannot. */
static int print_column(struct zk_out *out, struct zk_row *row,
                        const struct zk_json *column, uint64_t number, bool *bad,
                        struct zk_error *err)
{
	struct zk_zb_schema_conf conf = { .message = "t" };
	ZK_CLEANUP(zk_zb_schema_freep)
	struct zk_zb_schema *s = NULL;
	struct zk_buf doc ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str name = ZK_STR_NULL, type = ZK_STR_NULL;
	struct zk_error why = { 0 };

	zk_buf_init(&doc, (size_t)4 << 20);
	if (zk_json_opt_str(column, "name", &name, err) < 0 ||
	    zk_json_opt_str(column, "type_text", &type, err) < 0)
		return zk_wrap(err, "the table's document");
	zk_buf_lit(&doc, "{\"columns\":[");
	zk_json_print(column, /* pretty */ false, &doc);
	zk_buf_lit(&doc, "]}");
	zk_row_str(row, "column", name);
	zk_row_str(row, "table_type", type);
	if (zk_zb_schema_of_table(zk_buf_str(&doc), &conf, &s, &why) < 0) {
		*bad = true;
		zk_row_null(row, "number");
		zk_row_null(row, "field_type");
		zk_row_null(row, "label");
		zk_row_cstr(row, "remark", why.msg);
		return zk_out_row(out, zk_row_end(row), err);
	}
	const struct zk_zb_field *f = &s->fields[0];

	zk_row_u64(row, "number", number);
	zk_row_cstr(row, "field_type", f->map ? "map" : zk_pb_type_name(f->pb_type));
	zk_row_cstr(row, "label",
	            f->list || f->map ? "repeated"
	            : f->required     ? "required"
	                              : "optional");
	zk_row_str(row, "remark", f->comment);
	return zk_out_row(out, zk_row_end(row), err);
}

static int print_columns(struct zk_app *app, const struct zk_json *list, bool *bad,
                         struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);
	struct zk_row row ZK_CLEANUP(zk_row_done);
	uint64_t number = 0;
	int r = 0;

	zk_row_init(&row);
	if (!out || zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	ZK_JSON_EACH(it, list)
	if (r == 0)
		r = print_column(out, &row, it, ++number, bad, err);
	return r < 0 ? r : zk_out_end(out, err);
}

static int table_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct table_opts *o = opts;
	struct zk_buf doc ZK_CLEANUP(zk_buf_done) = { 0 };
	const struct zk_json *list;
	struct zk_json *json = NULL;
	struct zb_session s;
	bool bad = false;
	int r;

	(void)argc;
	(void)argv;
	zk_buf_init(&doc, (size_t)16 << 20);
	r = zb_session_read(app, &o->zb, &s, err);
	if (r == 0)
		r = zb_table_document(&s, &doc, err);
	zb_session_done(&s);
	if (r == 0)
		r = zk_json_parse(zk_buf_str(&doc), (size_t)16 << 20, &json, err);
	if (r == 0)
		r = zk_json_get_node(json, "columns", ZK_J_ARRAY, &list, err);
	if (r == 0)
		r = print_columns(app, list, &bad, err);
	zk_json_free(json);
	if (r < 0)
		return r;
	return bad && app->output.exit_status ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_zerobus_table = {
	.path = "zerobus table",
	.help = "show the columns of a table and what becomes of each",
	.about = "Asks the workspace for the table and says for each column which field "
	         "carries it, "
	         "or why the service would refuse it.",
	.examples = "zk zerobus table -t main.default.air_quality\n"
	            "zk zerobus table -t main.default.air_quality --exit-status -o json",
	.output = "one row per column: column, table_type, number, field_type, label, "
	          "remark",
	.exits = "0 · 1 a column cannot be written, with --exit-status · 69 no such "
	         "table · 77 · 78",
	.see = "zk zerobus schema · man zk-zerobus",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = table_rows,
	.opts_size = sizeof(struct table_opts),
	.conf = "zerobus",
	.flags = ZK_CMD_READER,
	.run = table_run,
};
