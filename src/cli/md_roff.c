/* The small Markdown as man(7) macros.
 * Layer: cli. */
#include <string.h>

#include "cli/md.h"

#include "base/ban.h"

/* One character of running text. A hyphen that is part of a command must stay one. */
static void roff_char(struct zk_buf *b, char c)
{
	switch (c) {
	case '\\':
		zk_buf_lit(b, "\\e");
		break;
	case '-':
		zk_buf_lit(b, "\\-");
		break;
	case '\'':
		zk_buf_lit(b, "\\(aq");
		break;
	case '`':
		zk_buf_lit(b, "\\(ga");
		break;
	case '^':
		zk_buf_lit(b, "\\(ha");
		break;
	case '~':
		zk_buf_lit(b, "\\(ti");
		break;
	default:
		zk_buf_char(b, c);
		break;
	}
}

static void roff_str(struct zk_buf *b, zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		size_t seq = zk_utf8_seq(s.p + i, s.n - i);

		if (c < 0x80) {
			roff_char(b, s.p[i]);
			continue;
		}
		/* \[uXXXX] is understood whatever the locale of the reader. */
		unsigned v = seq == 2 ? c & 0x1fu : seq == 3 ? c & 0x0fu : c & 0x07u;

		for (size_t k = 1; k < seq; k++)
			v = v << 6 | ((unsigned char)s.p[i + k] & 0x3fu);
		zk_buf_printf(b, "\\[u%04X]", v);
		i += seq ? seq - 1 : 0;
	}
}

static void put(void *ctx, zk_str text, char style)
{
	struct zk_buf *b = ctx;

	if (style != ' ')
		zk_buf_cstr(b, style == '*' ? "\\fI" : "\\fB");
	roff_str(b, text);
	if (style != ' ')
		zk_buf_lit(b, "\\fR");
}

/* Longer input lines are broken: roff fills lines anyway, and people read the source. */
#define LINE 76u

/* One line of input. It must not begin with what roff takes for a request. */
static void source_line(struct zk_buf *b, zk_str line)
{
	if (line.n && (line.p[0] == '.' || line.p[0] == '\''))
		zk_buf_lit(b, "\\&");
	zk_buf_add(b, line);
	zk_buf_char(b, '\n');
}

/* On one line, as the tag of a list needs it. */
static void text_line(struct zk_buf *b, zk_str text)
{
	struct zk_buf line;

	zk_buf_init(&line, 65536);
	zk_md_inline(text, put, &line);
	source_line(b, zk_buf_str(&line));
	zk_buf_done(&line);
}

/* True when a sentence ends between the two words. */
static bool is_end(zk_str word, zk_str rest)
{
	return zk_str_ends(word, ZK_STR(".")) && rest.n && rest.p[0] >= 'A' &&
	       rest.p[0] <= 'Z';
}

/* A new input line after each sentence, as manuals are written. */
static void fill(struct zk_buf *b, const char *text)
{
	struct zk_buf all, line;
	zk_str rest;

	zk_buf_init(&all, 1u << 20);
	zk_buf_init(&line, 65536);
	zk_md_inline(zk_str_of(text), put, &all);
	rest = zk_buf_str(&all);
	while (rest.n) {
		zk_str word;

		rest = zk_str_cut(rest, ' ', &word);
		if (line.n && line.n + 1 + word.n > LINE) {
			source_line(b, zk_buf_str(&line));
			zk_buf_clear(&line);
		}
		if (line.n)
			zk_buf_char(&line, ' ');
		zk_buf_add(&line, word);
		if (is_end(word, rest)) {
			source_line(b, zk_buf_str(&line));
			zk_buf_clear(&line);
		}
	}
	if (line.n)
		source_line(b, zk_buf_str(&line));
	zk_buf_done(&line);
	zk_buf_done(&all);
}

static void upper(struct zk_buf *b, const char *text)
{
	for (; *text; text++)
		zk_buf_char(b, *text >= 'a' && *text <= 'z' ? (char)(*text - 32) : *text);
}

static void head(const struct zk_md_block *m, struct zk_buf *b)
{
	struct zk_buf text;

	if (m->level == 1)
		return;
	zk_buf_init(&text, 1000);
	if (m->level == 2)
		upper(&text, m->text);
	else
		zk_buf_cstr(&text, m->text);
	zk_buf_cstr(b, m->level == 2 ? ".SH " : ".SS ");
	roff_str(b, zk_buf_str(&text));
	zk_buf_char(b, '\n');
	zk_buf_done(&text);
}

static void code(const char *text, bool first, struct zk_buf *b)
{
	zk_str rest = zk_str_of(text);

	if (!first)
		zk_buf_lit(b, ".PP\n");
	zk_buf_lit(b, ".RS 4\n.EX\n");
	while (rest.n) {
		zk_str line;

		rest = zk_str_cut(rest, '\n', &line);
		if (line.n && (line.p[0] == '.' || line.p[0] == '\''))
			zk_buf_lit(b, "\\&");
		roff_str(b, line);
		/* An empty line is for roff what a blank line is for people. */
		zk_buf_cstr(b, line.n ? "\n" : "\\&\n");
	}
	zk_buf_lit(b, ".EE\n.RE\n");
}

#define CELLS ZK_MD_CELLS

/* A table of two columns is a list; larger ones are tbl(1)'s. */
static void list_row(const struct zk_md_block *m, struct zk_buf *b)
{
	zk_str cells[CELLS];
	size_t n = zk_md_cells(m->text, cells, CELLS);
	struct zk_buf text;

	if (m->level == 1 || n < 2)
		return;
	zk_buf_lit(b, ".TP\n");
	text_line(b, cells[0]);
	zk_buf_init(&text, 65536);
	zk_buf_add(&text, cells[1]);
	fill(b, zk_buf_cstring(&text));
	zk_buf_done(&text);
}

static void tbl_row(const struct zk_md_block *m, const unsigned *widths, struct zk_buf *b)
{
	zk_str cells[CELLS];
	size_t n = zk_md_cells(m->text, cells, CELLS);

	for (size_t k = 0; k < n; k++) {
		if (cells[k].n <= widths[k]) {
			zk_md_inline(cells[k], put, b);
		} else {
			zk_buf_lit(b, "T{\n");
			text_line(b, cells[k]);
			zk_buf_lit(b, "T}");
		}
		zk_buf_char(b, k + 1 < n ? '\t' : '\n');
	}
}

/* Columns of a manual page that is shown in a terminal of 80. */
#define PAGE_WIDTH 66u

static void tbl(const struct zk_md_block *rows, bool first, struct zk_buf *b)
{
	unsigned widths[CELLS];
	size_t n = zk_md_measure(rows, PAGE_WIDTH, widths);

	if (!first)
		zk_buf_lit(b, ".PP\n");
	zk_buf_lit(b, ".TS\n");
	for (size_t k = 0; rows->level == 1 && k < n; k++)
		zk_buf_cstr(b, k + 1 == n ? "lb\n" : "lb ");
	for (size_t k = 0; k < n; k++)
		zk_buf_printf(b, "lw(%u)%s", widths[k], k + 1 == n ? ".\n" : " ");
	for (;; rows++) {
		tbl_row(rows, widths, b);
		if (rows->last)
			break;
	}
	zk_buf_lit(b, ".TE\n");
}

/* True when a paragraph macro directly before would be of no use. */
static bool after_head(const struct zk_md *md, size_t i)
{
	return i == 0 || md->v[i - 1].kind == ZK_MD_HEAD;
}

/* The first row of a table: all of it. Returns how many blocks that were. */
static size_t table(const struct zk_md_block *rows, bool first, struct zk_buf *b)
{
	zk_str cells[CELLS];
	bool list = zk_md_cells(rows->text, cells, CELLS) == 2;
	size_t n = 0;

	if (!list)
		tbl(rows, first, b);
	do {
		if (list)
			list_row(&rows[n], b);
	} while (!rows[n++].last);
	return n;
}

static void block(const struct zk_md_block *m, bool first, struct zk_buf *b)
{
	switch (m->kind) {
	case ZK_MD_HEAD:
		head(m, b);
		break;
	case ZK_MD_PARA:
		if (!first)
			zk_buf_lit(b, ".PP\n");
		fill(b, m->text);
		break;
	case ZK_MD_ITEM:
		zk_buf_lit(b, ".IP \\(bu 2\n");
		fill(b, m->text);
		break;
	case ZK_MD_DEF:
		zk_buf_lit(b, ".TP\n");
		text_line(b, zk_str_of(m->term));
		fill(b, m->text);
		break;
	case ZK_MD_CODE:
		code(m->text, first, b);
		break;
	case ZK_MD_ROW:
		break;
	}
}

void zk_md_roff(const struct zk_md *md, struct zk_buf *b)
{
	size_t i = 0;

	while (i < md->n) {
		if (md->v[i].kind == ZK_MD_ROW) {
			i += table(&md->v[i], after_head(md, i), b);
			continue;
		}
		block(&md->v[i], after_head(md, i), b);
		i++;
	}
}
