/* Schemas of tables: the Unity Catalog's document; and files of any kind as a schema.
 * Layer: zerobus. specs/zerobus.md §10.1, §10.4. */
#include <stdlib.h>
#include <string.h>

#include "codec/arrow.h"
#include "codec/json.h"
#include "zerobus/descriptor.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

#define DOCUMENT_BYTES ((size_t)16 << 20)

struct column {
	const struct zk_json *j;
	int64_t position;
	size_t order;
};

static int by_position(const void *a, const void *b)
{
	const struct column *x = a, *y = b;

	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int read_column(struct zk_zb_tree *t, const struct zk_json *j,
                       struct zk_zb_blame *blame, struct zk_error *err)
{
	struct zk_zb_field f = { .nullable = true, .message = ZK_ZB_NONE };
	const char *why;
	zk_str text;

	if (zk_json_get_str(j, "name", &f.name, err) < 0 ||
	    zk_json_get_str(j, "type_text", &text, err) < 0 ||
	    zk_json_opt_bool(j, "nullable", &f.nullable, err) < 0 ||
	    zk_json_opt_str(j, "comment", &f.comment, err) < 0)
		return zk_wrap(err, "the table's document");
	if (zk_zb_type_parse(t, text, &f, &why) < 0)
		zk_zb_blame_add(blame, "'%.*s' %.*s (%s)",
		                (int)ZK_MIN(f.name.n, (size_t)60), f.name.p,
		                (int)ZK_MIN(text.n, (size_t)60), text.p,
		                why[0] ? why : "not a type that zk knows");
	return 0;
}

static int read_columns(struct zk_zb_tree *t, const struct zk_json *list,
                        struct zk_error *err)
{
	size_t n = zk_json_count(list), i = 0;
	struct column *cols = zk_alloc_array(n + 1, sizeof(*cols));
	struct zk_zb_blame blame;
	int r = 0;

	ZK_JSON_EACH(it, list)
	{
		cols[i] = (struct column){ .j = it, .position = (int64_t)i, .order = i };
		if (r == 0)
			r = zk_json_opt_i64(it, "position", &cols[i].position, err);
		i++;
	}
	if (n)
		qsort(cols, n, sizeof(*cols), by_position);
	zk_zb_blame_init(&blame);
	for (i = 0; r == 0 && i < n; i++)
		r = read_column(t, cols[i].j, &blame, err);
	free(cols);
	int b = zk_zb_blame_end(&blame, ZK_E_ZB_TYPE, "columns that cannot be written",
	                        "the table cannot be fed through Zerobus as it is",
	                        r < 0 ? &(struct zk_error){ 0 } : err);

	return r < 0 ? r : b;
}

int zk_zb_schema_of_table(zk_str json, const struct zk_zb_schema_conf *conf,
                          struct zk_zb_schema **ret, struct zk_error *err)
{
	const struct zk_json *list;
	struct zk_json *doc = NULL;
	struct zk_zb_tree t;
	int r;

	if (zk_json_parse(json, DOCUMENT_BYTES, &doc, err) < 0)
		return zk_wrap(err, "the table's document");
	zk_zb_tree_init(&t);
	r = zk_json_get_node(doc, "columns", ZK_J_ARRAY, &list, err);
	if (r < 0)
		(void)zk_wrap(err, "the table's document");
	else
		r = read_columns(&t, list, err);
	if (r == 0)
		r = zk_zb_schema_build(&t, ZK_ZB_OF_TABLE, conf, ret, err);
	zk_zb_tree_done(&t);
	zk_json_free(doc);
	return r;
}

/* ---- files ---- */

struct memory {
	zk_str bytes;
};

static int pread_memory(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err)
{
	const struct memory *m = ctx;

	if (at > m->bytes.n || n > m->bytes.n - at)
		return zk_fail(err, ZK_E_ZB_CUT, "the Arrow file is cut short");
	if (n)
		memcpy(p, m->bytes.p + at, n);
	return 0;
}

static int of_arrow_bytes(zk_str bytes, const struct zk_zb_schema_conf *conf,
                          struct zk_zb_schema **ret, struct zk_error *err)
{
	bool is_file = zk_str_starts(bytes, ZK_STR("ARROW1"));
	struct memory m = { bytes };
	struct zk_arrow_conf ac = { .size = bytes.n,
		                    .pread = is_file ? pread_memory : NULL,
		                    .ctx = &m };
	struct zk_arrow *a = zk_arrow_new(&ac);
	enum zk_arrow_ev ev = ZK_ARROW_MORE;
	int r = zk_arrow_next(a, &bytes, &ev, err);

	if (r == 0 && ev != ZK_ARROW_SCHEMA)
		r = zk_fail(err, ZK_E_ZB_CUT, "the Arrow input ends before its schema");
	if (r == 0)
		r = zk_zb_schema_of_arrow(zk_arrow_schema(a), conf, ret, err);
	zk_arrow_free(a);
	return r;
}

int zk_zb_schema_of_file(zk_str bytes, const struct zk_zb_schema_conf *conf,
                         struct zk_zb_schema **ret, struct zk_error *err)
{
	zk_str text = zk_str_trim(zk_jscan_skip_bom(bytes));

	if (!bytes.n)
		return zk_fail(err, ZK_E_DATA, "the schema is empty");
	if (zk_str_starts(bytes, ZK_STR("ARROW1")) ||
	    zk_str_starts(bytes, ZK_STR("\xff\xff\xff\xff")))
		return of_arrow_bytes(bytes, conf, ret, err);
	if (text.n && text.p[0] == '{')
		return zk_zb_schema_of_table(bytes, conf, ret, err);
	if (zk_zb_is_descriptor(bytes))
		return zk_zb_schema_of_descriptor(bytes, conf, ret, err);
	if (bytes.n >= 8 && bytes.p[3] == 0)
		return of_arrow_bytes(bytes, conf, ret, err);
	(void)zk_fail(err, ZK_E_DATA, "this is no schema that zk knows");
	return zk_err_hint(
	        err, "a schema is an Arrow file, a serialized descriptor (protoc -o), or "
	             "a table's document in JSON");
}
