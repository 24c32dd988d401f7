/* Draws the progress bar as text.
 * Layer: rt. */
#include "rt/bar.h"

#include "base/attr.h"
#include "base/buf.h"
#include "rt/progress.h"
#include "rt/text.h"

#include "base/ban.h"

#define BAR_MAX 40
#define BAR_MIN 10
#define GAP     2

const char *zk_group_digits(uint64_t v, char out[32])
{
	char digits[20];
	size_t n = zk_format_u64(v, digits), at = 0;

	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

static unsigned percent(const struct zk_bar *bar)
{
	if (!bar->total || bar->done >= bar->total)
		return 100;
	return (unsigned)((double)bar->done / (double)bar->total * 100);
}

/* ---- lines that parts are added to as long as they fit ---- */

struct line {
	struct zk_buf *b;
	size_t used, columns;
	bool full; /* a part did not fit: nothing follows, so that no part seems to be missing */
};

static void add_part(struct line *l, zk_str part)
{
	size_t gap = l->used ? GAP : 0, width = zk_text_width(part);

	if (!part.n || l->full)
		return;
	if (l->used + gap + width > l->columns) {
		l->full = true;
		return;
	}
	zk_text_blanks(l->b, gap);
	zk_buf_add(l->b, part);
	l->used += gap + width;
}

/* A part that is cut rather than left out. */
static void add_cut(struct line *l, const char *text, bool utf8)
{
	size_t gap = l->used ? GAP : 0;

	if (!text || l->full || l->used + gap >= l->columns)
		return;
	zk_text_blanks(l->b, gap);
	l->used += gap + zk_text_put_cut(l->b, zk_str_of(text),
	                                 l->columns - l->used - gap, utf8);
}

/* ---- parts ---- */

static void put_meter(struct zk_buf *b, const struct zk_bar *bar, size_t width, bool utf8)
{
	double filled = (double)width * percent(bar) / 100;
	size_t full = (size_t)filled;

	for (size_t i = 0; i < width; i++) {
		if (i < full)
			zk_buf_cstr(b, utf8 ? "\xE2\x94\x81" : "#"); /* heavy */
		else if (i == full && filled - (double)full >= 0.5)
			zk_buf_cstr(b, utf8 ? "\xE2\x95\xB8" : "-"); /* heavy left half */
		else
			zk_buf_cstr(b, utf8 ? "\xE2\x94\x80" : "-"); /* light */
	}
}

static void put_sparks(struct zk_buf *b, const struct zk_bar *bar, bool utf8)
{
	static const char ascii[] = ".:-=+*#%@";
	double top = 0;

	for (size_t i = 0; i < bar->n_sparks; i++)
		top = ZK_MAX(top, bar->sparks[i]);
	for (size_t i = 0; i < bar->n_sparks && top > 0; i++) {
		double part = bar->sparks[i] / top;

		/* U+2581 to U+2588: an eighth to a full block. */
		if (utf8)
			zk_buf_printf(b, "\xE2\x96%c", (char)(0x81 + (int)(part * 7)));
		else
			zk_buf_char(b, ascii[(size_t)(part * 8)]);
	}
}

static void put_rate(struct zk_buf *b, const struct zk_bar *bar)
{
	char n[32];

	if (bar->rate >= 10)
		zk_buf_cstr(b, zk_group_digits((uint64_t)bar->rate, n));
	else
		zk_buf_printf(b, "%.1f", bar->rate);
	zk_buf_printf(b, " %s/s", bar->unit ? bar->unit : "records");
}

static void put_eta(struct zk_buf *b, int64_t s)
{
	if (s < 60)
		zk_buf_printf(b, "eta %llds", (long long)s);
	else if (s < 3600)
		zk_buf_printf(b, "eta %lldm %llds", (long long)(s / 60),
		              (long long)(s % 60));
	else
		zk_buf_printf(b, "eta %lldh %lldm", (long long)(s / 3600),
		              (long long)(s / 60 % 60));
}

static void put_counts(struct zk_buf *b, const struct zk_bar *bar)
{
	char done[32], total[32];

	zk_buf_printf(b, "%3u%%   %s / %s", percent(bar),
	              zk_group_digits(bar->done, done),
	              zk_group_digits(bar->total, total));
}

/* ---- the lines ---- */

/* title, meter, per cent, counts */
static void first_line(struct zk_buf *b, const struct zk_bar *bar, size_t columns,
                       bool utf8)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf counts = { .cap = 256 };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf meter = { .cap = 256 };
	size_t title = bar->title ? zk_text_width(zk_str_of(bar->title)) + GAP : 0, rest;
	struct line l = { .b = b, .columns = columns };

	put_counts(&counts, bar);
	rest = title + GAP + counts.n;
	if (columns >= rest + BAR_MIN)
		put_meter(&meter, bar, ZK_MIN(columns - rest, (size_t)BAR_MAX), utf8);
	/* The counts matter more than the end of a long title. */
	if (columns > counts.n + GAP)
		l.columns = columns - counts.n - GAP;
	add_cut(&l, bar->title, utf8);
	l.columns = columns;
	add_part(&l, zk_buf_str(&meter));
	add_part(&l, zk_buf_str(&counts));
}

static void add_rate(struct line *l, const struct zk_bar *bar, bool utf8)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf part = { .cap = 512 };

	if (!bar->n_sparks)
		return;
	put_rate(&part, bar);
	zk_buf_char(&part, ' ');
	put_sparks(&part, bar, utf8);
	add_part(l, zk_str_trim(zk_buf_str(&part)));
}

static void put_note(struct zk_buf *b, const struct zk_bar_note *n)
{
	if (!n->bare)
		zk_buf_printf(b, "%s ", n->name);
	zk_buf_cstr(b, n->value);
}

static void add_notes(struct line *l, const struct zk_bar *bar)
{
	for (size_t i = 0; i < bar->n_notes; i++) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf part = { .cap = 512 };

		put_note(&part, &bar->notes[i]);
		add_part(l, zk_buf_str(&part));
	}
}

/* state and what stands beside it, rate, notes, the time that is left */
static void second_line(struct line *l, const struct zk_bar *bar, bool utf8)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf eta = { .cap = 64 };

	add_cut(l, bar->state, utf8);
	add_part(l, zk_str_of(bar->aside));
	add_rate(l, bar, utf8);
	add_notes(l, bar);
	if (bar->total && bar->eta_s >= 0)
		put_eta(&eta, bar->eta_s);
	add_part(l, zk_buf_str(&eta));
}

void zk_bar_draw(struct zk_buf *b, const struct zk_bar *bar, size_t columns, bool utf8)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf second = { .cap = 8192 };
	struct line l = { .b = &second, .columns = columns };

	if (bar->total)
		first_line(b, bar, columns, utf8);
	else
		add_cut(&l, bar->title, utf8);
	second_line(&l, bar, utf8);
	if (bar->total && second.n)
		zk_buf_char(b, '\n');
	zk_buf_add(b, zk_buf_str(&second));
	if (!bar->wait)
		return;
	zk_buf_cstr(b, b->n ? "\n! " : "! ");
	(void)zk_text_put_cut(b, zk_str_of(bar->wait), columns > 2 ? columns - 2 : 0,
	                      utf8);
}

void zk_bar_plain(struct zk_buf *b, const struct zk_bar *bar)
{
	char n[32];

	if (bar->title)
		zk_buf_printf(b, "%s: ", bar->title);
	if (bar->state)
		zk_buf_printf(b, "%s, ", bar->state);
	if (bar->aside)
		zk_buf_printf(b, "%s, ", bar->aside);
	zk_buf_cstr(b, zk_group_digits(bar->done, n));
	if (bar->total)
		zk_buf_printf(b, " of %s", zk_group_digits(bar->total, n));
	zk_buf_printf(b, " %s", bar->unit ? bar->unit : "records");
	if (bar->total)
		zk_buf_printf(b, " (%u%%)", percent(bar));
	if (bar->n_sparks) {
		zk_buf_lit(b, ", ");
		put_rate(b, bar);
	}
	for (size_t i = 0; i < bar->n_notes; i++) {
		zk_buf_lit(b, ", ");
		put_note(b, &bar->notes[i]);
	}
	if (bar->total && bar->eta_s >= 0) {
		zk_buf_lit(b, ", ");
		put_eta(b, bar->eta_s);
	}
}
