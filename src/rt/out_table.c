/* Tables for people: no borders, columns as wide as they need to be, cut only on a
 * terminal.
 * Layer: rt. */
#include <stdlib.h>

#include "base/mem.h"
#include "rt/out_impl.h"
#include "rt/text.h"

#include "base/ban.h"

/* Rows that are looked at before the widths are fixed. */
#define LAYOUT_ROWS  1000
#define LAYOUT_BYTES (1u << 20)
#define CELL_MAX     (64u << 10)
#define GAP          2
#define NARROWEST    8

/* ---- cells ---- */

static void add_cell(struct zk_out *o, struct zk_outtable *t, struct zk_jval val)
{
	struct zk_outcell c = { .at = t->text.n };
	zk_str shown;

	zk_buf_clear(&o->scratch);
	if (val.type == ZK_J_NONE || val.type == ZK_J_NULL)
		zk_buf_char(&o->scratch, '-');
	else
		zk_out_value_text(val, &o->scratch);
	shown = zk_buf_str(&o->scratch);
	shown.n = ZK_MIN(shown.n, (size_t)CELL_MAX);
	zk_text_scrub(&t->text, shown, /* lines */ false);
	c.n = t->text.n - c.at;
	c.width = zk_text_width(zk_str_n(t->text.p + c.at, c.n));
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->cells = zk_realloc(t->cells, t->room * sizeof(*t->cells));
	}
	t->cells[t->n++] = c;
}

static zk_str cell_text(const struct zk_outtable *t, const struct zk_outcell *c)
{
	return zk_str_n(t->text.p + c->at, c->n);
}

static void forget_cells(struct zk_outtable *t)
{
	t->n = 0;
	zk_buf_clear(&t->text);
}

/* ---- layout ---- */

static void natural_widths(struct zk_out *o)
{
	struct zk_outtable *t = &o->table;

	for (size_t i = 0; i < o->n_cols; i++)
		o->cols[i].width = zk_text_width(zk_str_of(o->cols[i].title));
	for (size_t i = 0; i < t->n; i++) {
		struct zk_outcol *c = &o->cols[i % o->n_cols];

		c->width = ZK_MAX(c->width, t->cells[i].width);
	}
}

static struct zk_outcol *widest(struct zk_out *o)
{
	struct zk_outcol *w = NULL;

	for (size_t i = 0; i < o->n_cols; i++) {
		struct zk_outcol *c = &o->cols[i];

		if (!(c->flags & ZK_COL_WHOLE) && c->width > NARROWEST &&
		    (!w || c->width > w->width))
			w = c;
	}
	return w;
}

/* Takes columns from the widest ones until a row fits into the terminal. */
static void shrink(struct zk_out *o, size_t columns)
{
	size_t sum = (o->n_cols - 1) * GAP;

	for (size_t i = 0; i < o->n_cols; i++)
		sum += o->cols[i].width;
	while (sum > columns) {
		struct zk_outcol *w = widest(o);

		if (!w)
			return; /* it wraps */
		/* A very wide one in one step. */
		size_t by = ZK_MIN(sum - columns,
		                   ZK_MAX((w->width - NARROWEST) / 2, (size_t)1));

		w->width -= by;
		sum -= by;
	}
}

/* ---- writing ---- */

static void put_cell(struct zk_out *o, size_t i, zk_str text, size_t width)
{
	const struct zk_outcol *c = &o->cols[i];
	size_t pad = c->width > width ? c->width - width : 0;
	bool last = i + 1 == o->n_cols;

	if (c->flags & ZK_COL_RIGHT)
		zk_text_blanks(&o->buf, pad);
	if (o->tty && width > c->width && !(c->flags & ZK_COL_WHOLE))
		(void)zk_text_put_cut(&o->buf, text, c->width, o->utf8);
	else
		zk_buf_add(&o->buf, text);
	if (last)
		return;
	if (!(c->flags & ZK_COL_RIGHT))
		zk_text_blanks(&o->buf, pad);
	zk_text_blanks(&o->buf, GAP);
}

static void put_head(struct zk_out *o)
{
	if (o->conf.color)
		zk_buf_lit(&o->buf, "\033[2m");
	for (size_t i = 0; i < o->n_cols; i++) {
		zk_str title = zk_str_of(o->cols[i].title);

		put_cell(o, i, title, zk_text_width(title));
	}
	if (o->conf.color)
		zk_buf_lit(&o->buf, "\033[0m");
	zk_buf_char(&o->buf, '\n');
}

void zk_out_table_flush(struct zk_out *o)
{
	struct zk_outtable *t = &o->table;

	if (!t->n || !o->n_cols)
		return;
	if (!t->laid_out) {
		t->laid_out = true;
		natural_widths(o);
		if (o->tty)
			shrink(o, zk_term_columns(o->conf.fd));
		put_head(o);
	}
	for (size_t i = 0; i < t->n; i++) {
		put_cell(o, i % o->n_cols, cell_text(t, &t->cells[i]), t->cells[i].width);
		if (i % o->n_cols + 1 == o->n_cols)
			zk_buf_char(&o->buf, '\n');
	}
	forget_cells(t);
}

void zk_out_table_row(struct zk_out *o, zk_str row)
{
	struct zk_outtable *t = &o->table;

	zk_out_make_cols(o, row);
	for (size_t i = 0; i < o->n_cols; i++)
		add_cell(o, t, zk_outselect_get(row, o->cols[i].name, o->cols[i].is_key));
	if (t->laid_out || t->text.n > LAYOUT_BYTES || t->n > LAYOUT_ROWS * o->n_cols)
		zk_out_table_flush(o);
}

/* ---- one object: a line per member ---- */

void zk_out_table_one(struct zk_out *o, zk_str row)
{
	struct zk_outtable *t = &o->table;
	size_t width = 0;

	zk_out_make_cols(o, row);
	for (size_t i = 0; i < o->n_cols; i++) {
		add_cell(o, t, zk_outselect_get(row, o->cols[i].name, o->cols[i].is_key));
		width = ZK_MAX(width, zk_text_width(zk_str_of(o->cols[i].title)));
	}
	for (size_t i = 0; i < o->n_cols; i++) {
		zk_str title = zk_str_of(o->cols[i].title);

		if (o->conf.color)
			zk_buf_lit(&o->buf, "\033[2m");
		zk_buf_add(&o->buf, title);
		if (o->conf.color)
			zk_buf_lit(&o->buf, "\033[0m");
		zk_text_blanks(&o->buf, width - zk_text_width(title) + GAP);
		zk_buf_add(&o->buf, cell_text(t, &t->cells[i]));
		zk_buf_char(&o->buf, '\n');
	}
	forget_cells(t);
}

void zk_out_table_done(struct zk_out *o)
{
	free(o->table.cells);
	zk_buf_done(&o->table.text);
	o->table = (struct zk_outtable){ 0 };
}
