/* The values of a configuration as rows.
 * Layer: cmd. */
#include "cmd/config_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "conf/origin.h"
#include "conf/secret.h"
#include "rt/out.h"

#include "base/ban.h"

#define TEXT_MAX 65536u
/* Larger than any value that a row writes. */
#define VALUE_ROOM 128

struct view {
	const struct config_view *in;
	struct zk_map seen; /* keys that have been written */
	struct zk_row row;
	zk_str key; /* of the row that is being written */
	size_t n;
};

static bool wanted(const struct config_view *v, zk_str key)
{
	for (size_t i = 0; i < v->n_keys; i++) {
		zk_str want = zk_str_of(v->keys[i]);

		if (zk_str_starts(key, want) && (key.n == want.n || key.p[want.n] == '.'))
			return true;
	}
	return v->n_keys == 0;
}

static bool is_secret(const struct zk_opt *row)
{
	return row->type == ZK_OPT_SECRET_REF || (row->flags & ZK_OPT_SECRET);
}

/* "(set, 20+ chars)": a class, so that nobody can count. */
static void secret_class(struct zk_buf *b, zk_str text)
{
	static const unsigned steps[] = { 40, 20, 10 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++)
		if (text.n >= steps[i]) {
			zk_buf_printf(b, "(set, %u+ chars)", steps[i]);
			return;
		}
	zk_buf_lit(b, "(set, under 10 chars)");
}

static int add_text(void *ctx, const struct zk_node *at, zk_str text,
                    struct zk_error *err)
{
	struct zk_buf *b = ctx;

	(void)at;
	(void)err;
	if (b->n)
		zk_buf_char(b, ',');
	zk_buf_add(b, text);
	return 0;
}

/* What a place says, without looking at whether it is right. */
static int raw_text(const struct zk_conf_table *t, const struct zk_opt *row,
                    const struct zk_value *val, struct zk_buf *b, struct zk_error *err)
{
	struct zk_hit hit = { .row = row, .prefix = t->prefix, .member = val->member };

	if (val->from == ZK_FROM_FILE)
		return zk_schema_texts(&hit, val->file, val->node, add_text, b, err);
	zk_buf_cstr(b, val->text ? val->text : "");
	return 0;
}

/* The value in the form the command will see it. */
static int set_text(const struct config_view *v, const struct zk_conf_table *t,
                    const struct zk_opt *row, struct zk_buf *b, struct zk_error *err)
{
	struct zk_optpool pool = { 0 };
	char *base = zk_alloc0(row->off + VALUE_ROOM);
	int r = zk_conf_set(v->conf, row, t->prefix, base, &pool, err);

	if (r == -ZK_E_USAGE) /* required, and nothing sets it */
		r = 0;
	else if (r == 0)
		zk_opt_format(row, base, b);
	free(base);
	zk_optpool_done(&pool);
	return r;
}

static int secret_text(const struct zk_conf_table *t, const struct zk_opt *row,
                       const struct zk_value *val, struct zk_buf *b, struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { 0 };
	struct zk_hit hit = { .row = row, .prefix = t->prefix, .member = val->member };
	bool itself =
	        !val->is_twin && (val->from != ZK_FROM_FILE || zk_hit_is_secret(&hit));

	/* Of a reference the text is a path or a name; what it leads to is not looked at. */
	if (row->type == ZK_OPT_SECRET_REF &&
	    (!itself || val->from == ZK_FROM_OPTION || val->from == ZK_FROM_DEFAULT)) {
		zk_buf_lit(b, "(set)");
		return 0;
	}
	zk_buf_init_secret(&text, TEXT_MAX);
	if (raw_text(t, row, val, &text, err) < 0)
		return -(int)err->code;
	secret_class(b, zk_buf_str(&text));
	return 0;
}

/* The endpoint that stands beside a secret decides where it may go. */
static void bound_to(const struct config_view *v, const struct zk_conf_table *t,
                     struct zk_buf *b)
{
	for (const struct zk_opt *row = t->rows; row->type != ZK_OPT_NONE; row++) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf url = { .cap = TEXT_MAX };
		struct zk_origin origin;
		struct zk_error ignored;

		if (!(row->flags & ZK_OPT_ENDPOINT) || row->type == ZK_OPT_SECRET_REF ||
		    set_text(v, t, row, &url, &ignored) < 0 || !url.n ||
		    zk_origin_parse(zk_buf_str(&url), &origin, &ignored) < 0)
			continue;
		zk_buf_lit(b, "bound to ");
		zk_origin_format(&origin, b);
		return;
	}
}

static int put_value(struct view *w, const struct zk_conf_table *t,
                     const struct zk_opt *row, const struct zk_value *val, bool counts,
                     struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { .cap = TEXT_MAX };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf origin = { .cap = TEXT_MAX };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf note = { .cap = TEXT_MAX };
	int r;

	if (is_secret(row))
		r = secret_text(t, row, val, &text, err);
	else if (counts)
		r = set_text(w->in, t, row, &text, err);
	else
		r = raw_text(t, row, val, &text, err);
	if (r < 0)
		return r;
	zk_value_origin(val, row, &origin);
	if (val->lost)
		zk_buf_cstr(&note, val->lost);
	else if (!counts)
		zk_buf_lit(&note, "overridden");
	else if (row->type == ZK_OPT_SECRET_REF)
		bound_to(w->in, t, &note);
	zk_row_str(&w->row, "key", w->key);
	zk_row_str(&w->row, "value", zk_buf_str(&text));
	zk_row_str(&w->row, "origin", zk_buf_str(&origin));
	zk_row_cstr(&w->row, "profile", val->profile);
	zk_row_bool(&w->row, "counts", counts);
	if (note.n)
		zk_row_str(&w->row, "note", zk_buf_str(&note));
	else
		zk_row_null(&w->row, "note");
	w->n++;
	if (w->in->row) {
		w->in->row(w->in->ctx, zk_row_end(&w->row));
		return 0;
	}
	return zk_out_row(w->in->out, zk_row_end(&w->row), err);
}

/* Options are those of the very command that asks. `win` may be NULL. */
static bool is_shown(const struct config_view *v, const struct zk_value *win)
{
	if (!win)
		return v->losers;
	if (v->profiles)
		return win->from == ZK_FROM_FILE && win->profile;
	if (win->from == ZK_FROM_DEFAULT)
		return v->defaults;
	return win->from != ZK_FROM_OPTION || v->options;
}

static int put_row(struct view *w, const struct zk_conf_table *t,
                   const struct zk_opt *row, struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf key = { .cap = TEXT_MAX };
	struct zk_value vals[ZK_VALUES_MAX];
	const struct zk_value *win;
	size_t n;
	int r = 0;

	zk_opt_conf_key(row, t->prefix, &key);
	if (!key.n || !wanted(w->in, zk_buf_str(&key)) ||
	    zk_map_get(&w->seen, zk_buf_str(&key)))
		return 0;
	zk_map_set(&w->seen, zk_buf_str(&key), w);
	w->key = zk_buf_str(&key);
	n = zk_conf_values(w->in->conf, row, t->prefix, vals);
	win = zk_conf_winner(vals, n);
	if (!is_shown(w->in, win))
		return 0;
	if (win)
		r = put_value(w, t, row, win, true, err);
	for (size_t i = n; r == 0 && w->in->losers && i-- > 0;)
		if (&vals[i] != win && vals[i].from != ZK_FROM_DEFAULT)
			r = put_value(w, t, row, &vals[i], false, err);
	return r;
}

int config_view_rows(const struct config_view *v, size_t *ret_n, struct zk_error *err)
{
	struct view w = { .in = v };
	int r = 0;

	zk_map_init(&w.seen);
	zk_row_init(&w.row);
	for (size_t i = 0; r == 0 && i < v->rows->n; i++) {
		const struct zk_conf_table *t = &v->rows->tables[i];

		for (const struct zk_opt *row = t->rows;
		     r == 0 && row->type != ZK_OPT_NONE; row++)
			if (!(row->flags & ZK_OPT_HIDDEN))
				r = put_row(&w, t, row, err);
	}
	zk_row_done(&w.row);
	zk_map_done(&w.seen);
	*ret_n = w.n;
	return r;
}
