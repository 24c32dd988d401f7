/* Values separated by something: CSV (RFC 4180 with LF), TSV, plain.
 * Layer: rt. */
#include <string.h>

#include "rt/out_impl.h"
#include "rt/progress.h"
#include "rt/text.h"

#include "base/ban.h"

static void put_csv(struct zk_buf *b, zk_str s)
{
	bool quote = s.n && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');

	for (size_t i = 0; i < s.n && !quote; i++)
		quote = memchr(",\"\r\n", s.p[i], 4) != NULL;
	if (!quote) {
		zk_buf_add(b, s);
		return;
	}
	zk_buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			zk_buf_char(b, '"');
		zk_buf_char(b, s.p[i]);
	}
	zk_buf_char(b, '"');
}

/* What would end the field or the line becomes an escape, which makes the backslash one
 * too. */
static void put_tsv(struct zk_buf *b, zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\')
			zk_buf_lit(b, "\\\\");
		else if (c == '\t')
			zk_buf_lit(b, "\\t");
		else if (c == '\n')
			zk_buf_lit(b, "\\n");
		else if (c == '\r')
			zk_buf_lit(b, "\\r");
		else
			zk_buf_char(b, c);
	}
}

static void put_field(struct zk_out *o, zk_str s)
{
	if (o->format == ZK_OUT_CSV)
		put_csv(&o->buf, s);
	else if (o->format == ZK_OUT_TSV)
		put_tsv(&o->buf, s);
	else
		zk_text_scrub(&o->buf, s, /* lines */ false);
}

static void separate(struct zk_out *o, size_t i)
{
	if (i)
		zk_buf_char(&o->buf, o->format == ZK_OUT_CSV ? ',' : '\t');
}

void zk_out_separated_head(struct zk_out *o)
{
	if (o->format == ZK_OUT_PLAIN || !o->n_cols)
		return;
	for (size_t i = 0; i < o->n_cols; i++) {
		separate(o, i);
		put_field(o, zk_str_of(o->cols[i].name));
	}
	zk_buf_char(&o->buf, '\n');
}

/* Says once that a later row has members that the head, made from the first one, has
 * not. */
static void note_extra(struct zk_out *o, zk_str row)
{
	struct zk_jval val;
	struct zk_jiter it;
	zk_str key;
	size_t n = 0;

	if (o->told_extra || !o->cols[0].is_key || o->conf.quiet)
		return;
	zk_jiter_init(&it, row);
	while (zk_jiter_member(&it, &key, &val)) {
		bool known = false;

		for (size_t i = 0; i < o->n_cols && !known; i++)
			known = zk_jstr_eq(key, zk_str_of(o->cols[i].name));
		n += !known;
	}
	if (!n)
		return;
	o->told_extra = true;
	zk_say("some rows have more fields than the first one; name those you want with "
	       "--fields");
}

void zk_out_separated_row(struct zk_out *o, zk_str row)
{
	if (!o->cols_known) {
		zk_out_make_cols(o, row);
		zk_out_separated_head(o);
	} else if (o->n_cols) {
		note_extra(o, row);
	}
	for (size_t i = 0; i < o->n_cols; i++) {
		struct zk_jval val =
		        zk_outselect_get(row, o->cols[i].name, o->cols[i].is_key);

		zk_buf_clear(&o->scratch);
		zk_out_value_text(val, &o->scratch);
		separate(o, i);
		put_field(o, zk_buf_str(&o->scratch));
	}
	zk_buf_char(&o->buf, '\n');
}

void zk_out_separated_text(struct zk_out *o, zk_str text)
{
	put_field(o, text);
	zk_buf_char(&o->buf, '\n');
}
