/* Records of comma-separated values.
 * Layer: codec. */
#include "codec/csv.h"

#include <stdlib.h>

#include "base/mem.h"

#include "base/ban.h"

enum { AT_CELL, IN_PLAIN, IN_QUOTES, BEHIND_QUOTE, SKIP };

void zk_csv_init(struct zk_csv *c, char delimiter, size_t max_record, size_t max_cells)
{
	*c = (struct zk_csv){ .delimiter = delimiter,
		              .max_record = max_record,
		              .max_cells = max_cells,
		              .line = 1,
		              .start = 1 };
	zk_buf_init(&c->text, max_record + 1);
}

void zk_csv_done(struct zk_csv *c)
{
	zk_buf_done(&c->text);
	free(c->cells);
	c->cells = NULL;
}

static void fail(struct zk_csv *c, const char *why)
{
	if (!c->bad)
		c->bad = why;
	c->state = SKIP;
}

static void put(struct zk_csv *c, const char *p, size_t n)
{
	if (c->text.n + n > c->max_record) {
		fail(c, "the record is too long");
		return;
	}
	zk_buf_put(&c->text, p, n);
}

static void end_cell(struct zk_csv *c, bool quoted)
{
	if (c->n == c->max_cells) {
		fail(c, "the record has too many cells");
		return;
	}
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 32;
		c->cells = zk_realloc(c->cells, c->room * sizeof(*c->cells));
	}
	/* The text may still move: only its place is kept until the record is whole. */
	c->cells[c->n++] = (struct zk_csv_cell){
		.text = { NULL, c->text.n - c->cell_from },
		.quoted = quoted,
	};
	c->cell_from = c->text.n;
	c->state = AT_CELL;
}

static void begin_record(struct zk_csv *c)
{
	zk_buf_clear(&c->text);
	c->n = c->cell_from = 0;
	c->bad = NULL;
	c->state = AT_CELL;
	c->any = c->handed = false;
	c->start = c->line;
}

static void hand_out(struct zk_csv *c, struct zk_csv_record *ret)
{
	size_t at = 0;

	for (size_t i = 0; i < c->n; i++) {
		c->cells[i].text.p = c->text.p ? c->text.p + at : "";
		at += c->cells[i].text.n;
	}
	*ret = (struct zk_csv_record){
		.cells = c->cells, .n = c->n, .line = c->start, .bad = c->bad
	};
	c->handed = true;
}

/* A line ends outside quotes; true when a record does. */
static bool end_line(struct zk_csv *c, struct zk_csv_record *ret)
{
	c->line++;
	if (!c->any) {
		begin_record(c);
		return false;
	}
	if (c->state != SKIP)
		end_cell(c, c->state == BEHIND_QUOTE);
	hand_out(c, ret);
	return true;
}

/* Bytes of a cell that need no look. */
static size_t plain_run(const struct zk_csv *c, zk_str s)
{
	size_t i = 0;

	if (c->state == IN_QUOTES) {
		while (i < s.n && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r')
			i++;
	} else {
		while (i < s.n && s.p[i] != c->delimiter && s.p[i] != '"' &&
		       s.p[i] != '\n' && s.p[i] != '\r')
			i++;
	}
	return i;
}

static void on_quote(struct zk_csv *c)
{
	c->any = true;
	switch (c->state) {
	case AT_CELL:
		c->state = IN_QUOTES;
		break;
	case IN_QUOTES:
		c->state = BEHIND_QUOTE;
		break;
	case BEHIND_QUOTE:
		put(c, "\"", 1);
		if (c->state != SKIP)
			c->state = IN_QUOTES;
		break;
	case IN_PLAIN:
		fail(c, "a quote inside a cell that does not begin with one");
		break;
	}
}

static void on_text(struct zk_csv *c, const char *p, size_t n)
{
	c->any = true;
	if (c->state == BEHIND_QUOTE) {
		fail(c, "text behind a closing quote");
	} else if (c->state != SKIP) {
		if (c->state == AT_CELL)
			c->state = IN_PLAIN;
		put(c, p, n);
	}
}

static void on_delimiter(struct zk_csv *c)
{
	c->any = true;
	if (c->state == IN_QUOTES)
		put(c, &c->delimiter, 1);
	else if (c->state != SKIP)
		end_cell(c, c->state == BEHIND_QUOTE);
}

/* A CR or LF; true when a record ended. */
static bool on_line_end(struct zk_csv *c, char ch, struct zk_csv_record *ret)
{
	bool second = ch == '\n' && c->after_cr;

	c->after_cr = ch == '\r';
	if (c->state == IN_QUOTES) {
		put(c, &ch, 1);
		c->line += ch == '\n' || ch == '\r';
		c->line -= second;
		return false;
	}
	if (second) {
		c->start = c->any ? c->start : c->line;
		return false; /* the line ended at the CR */
	}
	return end_line(c, ret);
}

/* Drops a BOM; false while it is not sure whether there is one. */
static bool skip_bom(struct zk_csv *c, zk_str *chunk)
{
	static const char bom[] = "\xef\xbb\xbf";

	while (c->bom < 3 && chunk->n) {
		if (chunk->p[0] != bom[c->bom]) {
			/* What looked like one was text. */
			if (c->bom)
				on_text(c, bom, c->bom);
			c->bom = 3;
			break;
		}
		*chunk = zk_str_from(*chunk, 1);
		c->bom++;
	}
	return c->bom == 3;
}

bool zk_csv_next(struct zk_csv *c, zk_str *chunk, struct zk_csv_record *ret)
{
	if (c->handed)
		begin_record(c);
	if (!skip_bom(c, chunk))
		return false;
	while (chunk->n) {
		size_t run = plain_run(c, *chunk);
		char ch;

		if (run) {
			on_text(c, chunk->p, run);
			c->after_cr = false;
			*chunk = zk_str_from(*chunk, run);
			continue;
		}
		ch = chunk->p[0];
		*chunk = zk_str_from(*chunk, 1);
		if (ch == '\n' || ch == '\r') {
			if (on_line_end(c, ch, ret))
				return true;
			continue;
		}
		c->after_cr = false;
		if (ch == '"')
			on_quote(c);
		else
			on_delimiter(c);
	}
	return false;
}

bool zk_csv_last(struct zk_csv *c, struct zk_csv_record *ret)
{
	if (c->handed)
		begin_record(c);
	if (c->bom && c->bom < 3) {
		on_text(c, "\xef\xbb\xbf", c->bom);
		c->bom = 3;
	}
	if (!c->any)
		return false;
	if (c->state == IN_QUOTES)
		fail(c, "a quoted cell is not closed");
	if (c->state != SKIP)
		end_cell(c, c->state == BEHIND_QUOTE);
	hand_out(c, ret);
	return true;
}
