/* Selection: --fields, --format, the columns of the rows.
 * Layer: rt. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jwrite.h"
#include "conf/near.h"
#include "rt/out_impl.h"

#include "base/ban.h"

#define KEY_MAX (64u << 10)

/* ---- parsing ---- */

static bool has_field(const struct zk_outselect *s, zk_str name)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (zk_str_eq(zk_str_of(s->fields[i]), name))
			return true;
	return false;
}

static int parse_fields(struct zk_outselect *s, const char *text, struct zk_error *err)
{
	zk_str rest = zk_str_of(text);

	do {
		zk_str name;

		rest = zk_str_cut(rest, ',', &name);
		name = zk_str_trim(name);
		if (!name.n)
			return zk_fail(err, ZK_E_USAGE, "--fields '%s' has an empty name",
			               text);
		if (has_field(s, name))
			continue;
		s->fields = zk_realloc(s->fields, (s->n_fields + 1) * sizeof(char *));
		s->fields[s->n_fields++] = zk_strndup(name.p, name.n);
	} while (rest.p);
	return 0;
}

/* Ends the text that is being gathered, or adds a path. */
static void add_piece(struct zk_outselect *s, struct zk_buf *text, bool is_path)
{
	if (!text->n)
		return;
	s->pieces = zk_realloc(s->pieces, (s->n_pieces + 1) * sizeof(*s->pieces));
	s->pieces[s->n_pieces++] =
	        (struct zk_outpiece){ .text = zk_buf_take(text), .is_path = is_path };
}

/* What stands behind a backslash; 0 for what means nothing. */
static char escape_of(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case '\\':
	case '{':
	case '}':
		return c;
	default:
		return '\0';
	}
}

/* The path behind the '{' at `p`; returns what follows the '}'. */
static int parse_path(struct zk_outselect *s, const char *text, const char **p,
                      struct zk_error *err)
{
	const char *end = strchr(*p, '}');
	struct zk_buf path;
	zk_str name;

	if (!end)
		return zk_fail(err, ZK_E_USAGE, "--format '%s': a '{' is not closed",
		               text);
	name = zk_str_trim(zk_str_n(*p + 1, (size_t)(end - *p) - 1));
	if (!name.n || zk_str_find_char(name, '{') >= 0)
		return zk_fail(err, ZK_E_USAGE, "--format '%s': '{%.*s}' names no field",
		               text, ZK_STR_ARG(name));
	zk_buf_init(&path, KEY_MAX);
	zk_buf_add(&path, name);
	add_piece(s, &path, true);
	*p = end + 1;
	return 0;
}

static int parse_format(struct zk_outselect *s, const char *text, struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf lit = { .cap = KEY_MAX };

	for (const char *p = text; *p;) {
		if (*p == '{') {
			add_piece(s, &lit, false);
			if (parse_path(s, text, &p, err) < 0)
				return -(int)err->code;
			continue;
		}
		if (*p == '}')
			return zk_fail(err, ZK_E_USAGE,
			               "--format '%s': a '}' without '{'; write '\\}'",
			               text);
		if (*p == '\\' && !escape_of(p[1]))
			return zk_fail(err, ZK_E_USAGE,
			               "--format '%s': '\\%.1s' means nothing; known are "
			               "\\n \\t \\r \\\\ \\{ \\}",
			               text, p + 1);
		zk_buf_char(&lit, *p == '\\' ? escape_of(p[1]) : *p);
		p += *p == '\\' ? 2 : 1;
	}
	add_piece(s, &lit, false);
	if (!s->n_pieces)
		return zk_fail(err, ZK_E_USAGE, "--format is empty");
	return 0;
}

int zk_outselect_init(struct zk_outselect *s, const struct zk_out_conf *conf,
                      struct zk_error *err)
{
	if (conf->fields && parse_fields(s, conf->fields, err) < 0)
		return -(int)err->code;
	if (conf->format_text && parse_format(s, conf->format_text, err) < 0)
		return -(int)err->code;
	return 0;
}

void zk_outselect_done(struct zk_outselect *s)
{
	for (size_t i = 0; i < s->n_fields; i++)
		free(s->fields[i]);
	for (size_t i = 0; i < s->n_pieces; i++)
		free(s->pieces[i].text);
	free(s->fields);
	free(s->pieces);
	*s = (struct zk_outselect){ 0 };
}

/* ---- checking against the shape ---- */

/* "webhook" has something of the column "webhook.url", and "payload.user.id" of
 * "payload". */
static bool touches(zk_str a, zk_str b)
{
	zk_str rest;

	if (!zk_str_starts(a, b))
		return false;
	rest = zk_str_from(a, b.n);
	return !rest.n || rest.p[0] == '.';
}

static int check_name(const char *name, const char *option,
                      const struct zk_out_shape *shape, struct zk_error *err)
{
	struct zk_near near = { .want = zk_str_of(name) };

	for (size_t i = 0; i < shape->n_cols; i++) {
		zk_str col = zk_str_of(shape->cols[i].name);

		if (touches(near.want, col) || touches(col, near.want))
			return 0;
		zk_near_add(&near, shape->cols[i].name);
	}
	(void)zk_fail(err, ZK_E_USAGE, "%s: there is no field '%s'", option, name);
	if (near.best)
		return zk_err_hint(err, "did you mean '%s'?", near.best);
	return zk_err_hint(err, "--list-fields names them");
}

int zk_outselect_check(const struct zk_outselect *s, const struct zk_out_shape *shape,
                       struct zk_error *err)
{
	if (shape->open || !shape->n_cols)
		return 0;
	for (size_t i = 0; i < s->n_fields; i++)
		if (check_name(s->fields[i], "--fields", shape, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < s->n_pieces; i++)
		if (s->pieces[i].is_path &&
		    check_name(s->pieces[i].text, "--format", shape, err) < 0)
			return -(int)err->code;
	return 0;
}

/* ---- values ---- */

static struct zk_jval member_of(zk_str row, zk_str name)
{
	struct zk_jval val, found = { .type = ZK_J_NONE };
	struct zk_jiter it;
	zk_str key;

	zk_jiter_init(&it, row);
	while (zk_jiter_member(&it, &key, &val))
		if (zk_jstr_eq(key, name))
			found = val;
	return found;
}

struct zk_jval zk_outselect_get(zk_str row, const char *name, bool is_key)
{
	struct zk_jval val = { .type = ZK_J_NONE };
	zk_str path = zk_str_of(name);

	if (!is_key && zk_jscan_get(row, path, &val))
		return val;
	if (row.n && row.p[0] == '{' && (is_key || zk_str_find_char(path, '.') >= 0))
		return member_of(row, path);
	val.type = ZK_J_NONE;
	return val;
}

void zk_outselect_project(const struct zk_outselect *s, zk_str row, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	for (size_t i = 0; i < s->n_fields; i++) {
		struct zk_jval val = zk_outselect_get(row, s->fields[i], false);

		zk_jw_key(&w, s->fields[i]);
		if (val.type == ZK_J_NONE)
			zk_jw_null(&w);
		else
			zk_jw_raw(&w, val.raw);
	}
	zk_jw_obj_end(&w);
}

void zk_out_value_text(struct zk_jval val, struct zk_buf *b)
{
	struct zk_error err;

	switch (val.type) {
	case ZK_J_NONE:
	case ZK_J_NULL:
		break;
	case ZK_J_STRING:
		if (zk_jstr_decode(val.raw, ZK_JLONE_REPLACE, b, &err) < 0)
			zk_buf_add(b, val.raw);
		break;
	case ZK_J_BOOL:
	case ZK_J_NUMBER:
		zk_buf_add(b, val.raw);
		break;
	case ZK_J_ARRAY:
	case ZK_J_OBJECT:
		zk_jscan_compact(val.raw, b);
		break;
	}
}

void zk_outselect_text(const struct zk_outselect *s, zk_str row, struct zk_buf *b)
{
	for (size_t i = 0; i < s->n_pieces; i++) {
		const struct zk_outpiece *p = &s->pieces[i];

		if (p->is_path)
			zk_out_value_text(zk_outselect_get(row, p->text, false), b);
		else
			zk_buf_cstr(b, p->text);
	}
}

/* ---- columns ---- */

static void add_col(struct zk_out *o, char *name, const char *title, unsigned flags,
                    bool is_key)
{
	o->cols = zk_realloc(o->cols, (o->n_cols + 1) * sizeof(*o->cols));
	o->cols[o->n_cols++] = (struct zk_outcol){
		.name = name,
		.title = zk_strdup(title ? title : name),
		.is_key = is_key,
		.flags = flags,
	};
}

static const struct zk_out_col *shape_col(const struct zk_out_shape *shape,
                                          const char *name)
{
	for (size_t i = 0; i < shape->n_cols; i++)
		if (strcmp(shape->cols[i].name, name) == 0)
			return &shape->cols[i];
	return NULL;
}

/* A row of several values that is an array has columns "0", "1", … */
static void cols_of_array(struct zk_out *o, zk_str row)
{
	struct zk_jiter it;
	struct zk_jval val;
	size_t n = 0;

	zk_jiter_init(&it, row);
	while (zk_jiter_element(&it, &val)) {
		char *name = zk_asprintf("%zu", n++);

		add_col(o, name, NULL, 0, false);
	}
}

static bool is_shown(const struct zk_out *o, zk_str name)
{
	for (size_t i = 0; i < o->n_cols; i++) {
		zk_str col = zk_str_of(o->cols[i].name);

		if (o->cols[i].is_key ? zk_str_eq(col, name) : touches(col, name))
			return true;
	}
	return false;
}

/* The members of `row` that no column of the shape is made of. */
static void cols_of_object(struct zk_out *o, zk_str row)
{
	struct zk_jval val;
	struct zk_jiter it;
	zk_str key;

	zk_jiter_init(&it, row);
	while (zk_jiter_member(&it, &key, &val)) {
		struct zk_buf name;

		zk_buf_init(&name, KEY_MAX);
		zk_out_value_text((struct zk_jval){ .raw = key, .type = ZK_J_STRING },
		                  &name);
		if (is_shown(o, zk_buf_str(&name))) {
			zk_buf_done(&name);
			continue;
		}
		add_col(o, zk_buf_take(&name), NULL,
		        val.type == ZK_J_NUMBER ? ZK_COL_RIGHT : 0, true);
	}
}

static void cols_of_fields(struct zk_out *o)
{
	const struct zk_outselect *s = &o->select;

	for (size_t i = 0; i < s->n_fields; i++) {
		const struct zk_out_col *c = shape_col(o->shape, s->fields[i]);

		add_col(o, zk_strdup(s->fields[i]), c ? c->title : NULL, c ? c->flags : 0,
		        false);
	}
}

static void cols_of_shape(struct zk_out *o)
{
	for (size_t i = 0; i < o->shape->n_cols; i++) {
		const struct zk_out_col *c = &o->shape->cols[i];

		if (!(c->flags & ZK_COL_EXTRA) || o->format != ZK_OUT_TABLE)
			add_col(o, zk_strdup(c->name), c->title, c->flags, false);
	}
}

/* An object of another service is shown whole. */
static bool is_whole(const struct zk_out *o)
{
	return o->shape->open && o->shape->kind == ZK_OUT_ONE &&
	       o->format == ZK_OUT_TABLE;
}

void zk_out_make_cols(struct zk_out *o, zk_str row)
{
	if (o->cols_known)
		return;
	o->cols_known = true;
	cols_of_fields(o);
	if (o->n_cols)
		return;
	if (!o->jq)
		cols_of_shape(o);
	if (!row.n || (o->n_cols && !is_whole(o)))
		return;
	if (row.p[0] == '[')
		cols_of_array(o, row);
	else
		cols_of_object(o, row);
}

void zk_out_free_cols(struct zk_out *o)
{
	for (size_t i = 0; i < o->n_cols; i++) {
		free(o->cols[i].name);
		free(o->cols[i].title);
	}
	free(o->cols);
	o->cols = NULL;
	o->n_cols = 0;
	o->cols_known = false;
}
