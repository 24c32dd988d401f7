/* The small Markdown: blocks, inline marks, text.
 * Layer: cli. */
#include "cli/md.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/term.h"

#include "base/ban.h"

static struct zk_md_block *add(struct zk_md *md, enum zk_md_kind kind, unsigned level)
{
	struct zk_md_block *b;

	if (!md->v || md->n == md->room) {
		md->room = md->room ? md->room * 2 : 64;
		md->v = zk_realloc(md->v, md->room * sizeof(*md->v));
	}
	b = &md->v[md->n++];
	*b = (struct zk_md_block){ .kind = kind, .level = level };
	return b;
}

static char *copy(zk_str s)
{
	return zk_strndup(s.n ? s.p : "", s.n);
}

static void join(char **text, zk_str more)
{
	char *old = *text;

	*text = zk_asprintf("%s%s%.*s", old ? old : "", old && old[0] ? " " : "",
	                    ZK_STR_ARG(more));
	free(old);
}

static zk_str next_line(zk_str *rest)
{
	zk_str line;

	*rest = zk_str_cut(*rest, '\n', &line);
	return line;
}

static bool is_blank(zk_str line)
{
	return zk_str_trim(line).n == 0;
}

/* "|---|:--|" below the head of a table. */
static bool is_rule(zk_str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (!strchr("|-: ", line.p[i]))
			return false;
	return line.n > 1 && line.p[0] == '|';
}

static void code_block(struct zk_md *md, zk_str *rest)
{
	struct zk_buf b;

	zk_buf_init(&b, 1u << 20);
	while (rest->n) {
		zk_str line = next_line(rest);

		if (zk_str_starts(line, ZK_STR("```")))
			break;
		zk_buf_add(&b, line);
		zk_buf_char(&b, '\n');
	}
	add(md, ZK_MD_CODE, 0)->text = zk_buf_take(&b);
	zk_buf_done(&b);
}

static bool head(struct zk_md *md, zk_str line)
{
	unsigned level = 0;

	while (level < line.n && line.p[level] == '#')
		level++;
	if (level == 0 || level > 3 || level >= line.n || line.p[level] != ' ')
		return false;
	add(md, ZK_MD_HEAD, level)->text = copy(zk_str_trim(zk_str_from(line, level)));
	return true;
}

static struct zk_md_block *last_of(struct zk_md *md)
{
	return md->n ? &md->v[md->n - 1] : NULL;
}

static void row(struct zk_md *md, zk_str line)
{
	struct zk_md_block *last = last_of(md);

	if (is_rule(line)) {
		if (last && last->kind == ZK_MD_ROW)
			last->level = 1;
		return;
	}
	add(md, ZK_MD_ROW, 0)->text = copy(line);
}

/* A line of running text: begins or continues a block. `open` = the block it may continue. */
static void text_line(struct zk_md *md, zk_str line, bool *open)
{
	struct zk_md_block *last = last_of(md);
	bool goes_on = *open && last;

	if (zk_str_starts(line, ZK_STR("- "))) {
		add(md, ZK_MD_ITEM, 0)->text = copy(zk_str_from(line, 2));
	} else if (zk_str_starts(line, ZK_STR(": ")) && goes_on &&
	           last->kind == ZK_MD_PARA) {
		last->kind = ZK_MD_DEF;
		last->term = last->text;
		last->text = copy(zk_str_trim(zk_str_from(line, 2)));
	} else if (goes_on && (last->kind == ZK_MD_PARA || line.p[0] == ' ')) {
		join(&last->text, zk_str_trim(line));
	} else {
		add(md, ZK_MD_PARA, 0)->text = copy(zk_str_trim(line));
	}
	*open = true;
}

void zk_md_parse(struct zk_md *md, zk_str text)
{
	bool open = false;

	*md = (struct zk_md){ 0 };
	while (text.n) {
		zk_str line = next_line(&text);
		struct zk_md_block *last = last_of(md);

		if (last && last->kind == ZK_MD_ROW && !zk_str_starts(line, ZK_STR("|")))
			last->last = true;
		if (is_blank(line) || head(md, line)) {
			open = false;
		} else if (zk_str_starts(line, ZK_STR("```"))) {
			code_block(md, &text);
			open = false;
		} else if (zk_str_starts(line, ZK_STR("|"))) {
			row(md, line);
			open = false;
		} else {
			text_line(md, line, &open);
		}
	}
	if (last_of(md))
		last_of(md)->last = true;
}

void zk_md_done(struct zk_md *md)
{
	for (size_t i = 0; i < md->n; i++) {
		free(md->v[i].term);
		free(md->v[i].text);
	}
	free(md->v);
	*md = (struct zk_md){ 0 };
}

/* ---- inline ---- */

/* The end of a run that `mark` of `n` characters opens at the start of s, or 0. */
static size_t run_end(zk_str s, const char *mark, size_t n)
{
	for (size_t i = n; i + n <= s.n; i++) {
		if (s.p[i] == '\\' && mark[0] != '`')
			i++;
		else if (memcmp(s.p + i, mark, n) == 0 && i > n)
			return i;
	}
	return 0;
}

/* How many characters of a mark stand at s; its style. */
static size_t mark_at(zk_str s, const char **mark, char *style)
{
	static const struct {
		const char *mark;
		char style;
	} marks[] = { { "`", '`' }, { "**", 'b' }, { "*", '*' } };

	for (size_t i = 0; i < ZK_ARRAY_LEN(marks); i++) {
		if (!zk_str_starts(s, zk_str_of(marks[i].mark)))
			continue;
		*mark = marks[i].mark;
		*style = marks[i].style;
		return strlen(marks[i].mark);
	}
	return 0;
}

typedef void put_fn(void *ctx, zk_str text, char style);

static void put_plain(zk_str s, char style, put_fn *put, void *ctx)
{
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\\' || i + 1 >= s.n)
			continue;
		if (i > from)
			put(ctx, zk_str_n(s.p + from, i - from), style);
		from = ++i;
	}
	if (from < s.n)
		put(ctx, zk_str_from(s, from), style);
}

void zk_md_inline(zk_str text, void (*put)(void *ctx, zk_str text, char style), void *ctx)
{
	size_t plain = 0, i = 0;

	while (i < text.n) {
		zk_str rest = zk_str_from(text, i);
		const char *mark = "";
		char style = ' ';
		size_t n = mark_at(rest, &mark, &style),
		       end = n ? run_end(rest, mark, n) : 0;

		if (text.p[i] == '\\')
			i++;
		if (!end) {
			i++;
			continue;
		}
		put_plain(zk_str_n(text.p + plain, i - plain), ' ', put, ctx);
		if (style == '`')
			put(ctx, zk_str_n(rest.p + n, end - n), style);
		else
			put_plain(zk_str_n(rest.p + n, end - n), style, put, ctx);
		i += end + n;
		plain = i;
	}
	if (plain < text.n)
		put_plain(zk_str_from(text, plain), ' ', put, ctx);
}

void zk_md_escape(zk_str text, struct zk_buf *b)
{
	for (size_t i = 0; i < text.n; i++) {
		if (strchr("\\*`|", text.p[i]) && text.p[i])
			zk_buf_char(b, '\\');
		zk_buf_char(b, text.p[i]);
	}
}

size_t zk_md_cells(const char *line, zk_str *cells, size_t room)
{
	size_t n = 0, from = 1, len = strlen(line);

	for (size_t i = 1; i < len && n < room; i++) {
		if (line[i] == '\\') {
			i++;
		} else if (line[i] == '|') {
			cells[n++] = zk_str_trim(zk_str_n(line + from, i - from));
			from = i + 1;
		}
	}
	return n;
}

/* ---- text ---- */

static void put_text(void *ctx, zk_str text, char style)
{
	struct zk_buf *b = ctx;

	/* Code is not broken at its blanks. */
	for (size_t i = 0; i < text.n; i++)
		zk_buf_char(b,
		            style == '`' && text.p[i] == ' ' ? ZK_FILL_TIE : text.p[i]);
}

static void plain_of(zk_str text, struct zk_buf *b)
{
	zk_buf_clear(b);
	zk_md_inline(text, put_text, b);
}

#define GAP   2u
#define LEAST 12u /* columns that a cell keeps when a table is too wide */

struct table {
	unsigned widths[ZK_MD_CELLS];
	size_t n;
};

/* Takes from the widest column until the table fits. */
static void narrow(struct table *t, unsigned width)
{
	for (;;) {
		unsigned sum = GAP;
		size_t widest = 0;

		for (size_t k = 0; k < t->n; k++) {
			sum += t->widths[k] + (k ? GAP : 0);
			if (t->widths[k] > t->widths[widest])
				widest = k;
		}
		if (sum <= width || t->widths[widest] <= LEAST)
			return;
		t->widths[widest]--;
	}
}

size_t zk_md_measure(const struct zk_md_block *rows, unsigned width,
                     unsigned widths[ZK_MD_CELLS])
{
	struct table t = { 0 };
	struct zk_buf tmp;

	zk_buf_init(&tmp, 65536);
	for (;; rows++) {
		zk_str cells[ZK_MD_CELLS];
		size_t n = zk_md_cells(rows->text, cells, ZK_MD_CELLS);

		for (size_t k = 0; k < n; k++) {
			plain_of(cells[k], &tmp);
			t.widths[k] = ZK_MAX(t.widths[k],
			                     (unsigned)zk_utf8_len(zk_buf_str(&tmp)));
		}
		t.n = ZK_MAX(t.n, n);
		if (rows->last)
			break;
	}
	zk_buf_done(&tmp);
	narrow(&t, width);
	memcpy(widths, t.widths, sizeof(t.widths));
	return t.n;
}

/* One line of a row: the next line of each cell. False when nothing was left. */
static bool row_line(zk_str *rest, const struct table *t, size_t n, struct zk_buf *b)
{
	size_t begin = b->n;
	bool any = false;

	for (size_t k = 0; k < n; k++) {
		unsigned at = 0;
		zk_str line;

		rest[k] = zk_str_cut(rest[k], '\n', &line);
		any |= line.n > 0;
		zk_buf_lit(b, "  ");
		zk_buf_add(b, line);
		for (at = (unsigned)zk_utf8_len(line); at < t->widths[k]; at++)
			zk_buf_char(b, ' ');
	}
	while (b->n > begin && b->p[b->n - 1] == ' ')
		b->n--;
	if (any)
		zk_buf_char(b, '\n');
	return any;
}

static void row_text(const struct zk_md_block *r, const struct table *t, struct zk_buf *b)
{
	struct zk_buf filled[ZK_MD_CELLS], tmp;
	zk_str cells[ZK_MD_CELLS], rest[ZK_MD_CELLS];
	size_t n = zk_md_cells(r->text, cells, ZK_MD_CELLS);

	zk_buf_init(&tmp, 65536);
	for (size_t k = 0; k < n; k++) {
		zk_buf_init(&filled[k], 65536);
		plain_of(cells[k], &tmp);
		zk_fill(&filled[k], zk_buf_str(&tmp), 0, 0, t->widths[k]);
		rest[k] = zk_buf_str(&filled[k]);
	}
	while (row_line(rest, t, n, b))
		continue;
	for (size_t k = 0; k < n; k++)
		zk_buf_done(&filled[k]);
	zk_buf_done(&tmp);
}

static void code_text(const char *text, struct zk_buf *b)
{
	zk_str rest = zk_str_of(text);

	while (rest.n) {
		zk_str line = next_line(&rest);

		if (line.n)
			zk_buf_printf(b, "  %.*s", ZK_STR_ARG(line));
		zk_buf_char(b, '\n');
	}
}

static void bold(const char *text, bool color, struct zk_buf *b)
{
	zk_buf_printf(b, "%s%s%s\n", color ? "\033[1m" : "", text,
	              color ? "\033[0m" : "");
}

static void def_text(const struct zk_md_block *d, unsigned width, struct zk_buf *tmp,
                     struct zk_buf *b)
{
	plain_of(zk_str_of(d->term), tmp);
	zk_fill(b, zk_buf_str(tmp), 0, 2, width);
	plain_of(zk_str_of(d->text), tmp);
	zk_fill(b, zk_buf_str(tmp), 0, 6, width);
}

static void block_text(const struct zk_md_block *m, unsigned width, bool color,
                       struct zk_buf *tmp, struct zk_buf *b)
{
	switch (m->kind) {
	case ZK_MD_HEAD:
		bold(m->text, color, b);
		break;
	case ZK_MD_PARA:
		plain_of(zk_str_of(m->text), tmp);
		zk_fill(b, zk_buf_str(tmp), 0, 0, width);
		break;
	case ZK_MD_ITEM:
		plain_of(zk_str_of(m->text), tmp);
		zk_buf_lit(b, "- ");
		zk_fill(b, zk_buf_str(tmp), 2, 2, width);
		break;
	case ZK_MD_DEF:
		def_text(m, width, tmp, b);
		break;
	case ZK_MD_CODE:
		code_text(m->text, b);
		break;
	case ZK_MD_ROW:
		break;
	}
}

/* Lines of one list stand close together. */
static bool is_close(const struct zk_md_block *a, const struct zk_md_block *b)
{
	return a->kind == b->kind && (a->kind == ZK_MD_ITEM || a->kind == ZK_MD_DEF);
}

void zk_md_text(const struct zk_md *md, unsigned width, bool color, struct zk_buf *b)
{
	struct table t = { 0 };
	struct zk_buf tmp;

	zk_buf_init(&tmp, 1u << 20);
	for (size_t i = 0; i < md->n; i++) {
		const struct zk_md_block *m = &md->v[i];
		bool in_table = m->kind == ZK_MD_ROW && i > 0 &&
		                m[-1].kind == ZK_MD_ROW && !m[-1].last;

		if (i > 0 && !in_table && !is_close(&m[-1], m))
			zk_buf_char(b, '\n');
		if (m->kind == ZK_MD_ROW && !in_table)
			t.n = zk_md_measure(m, width, t.widths);
		if (m->kind == ZK_MD_ROW)
			row_text(m, &t, b);
		else
			block_text(m, width, color, &tmp, b);
	}
	zk_buf_done(&tmp);
}
