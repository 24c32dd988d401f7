/* Small XML documents.
 * Layer: codec. XML 1.0 without document types. */
#include "codec/xml.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

static enum zk_xml_event bad(struct zk_xml *x)
{
	x->bad = true;
	x->name = x->text = ZK_STR_NULL;
	return ZK_XML_BAD;
}

void zk_xml_init(struct zk_xml *x, zk_str doc)
{
	*x = (struct zk_xml){ .rest = doc };
	if (zk_str_starts(doc, ZK_STR("\xef\xbb\xbf")))
		x->rest = zk_str_from(doc, 3);
	if (!zk_utf8_valid(doc) || zk_str_find_char(doc, '\0') >= 0)
		x->bad = true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c, bool first)
{
	bool start = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	             c == ':' || (unsigned char)c >= 0x80;

	return start || (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
}

static void skip_space(zk_str *s)
{
	while (s->n && is_space(s->p[0]))
		*s = zk_str_from(*s, 1);
}

static zk_str take_name(zk_str *s)
{
	size_t n = 0;
	zk_str name;

	while (n < s->n && is_name(s->p[n], n == 0))
		n++;
	name = zk_str_n(s->p, n);
	*s = zk_str_from(*s, n);
	return name;
}

static zk_str local_name(zk_str name)
{
	ptrdiff_t colon = zk_str_find_char(name, ':');

	return colon < 0 ? name : zk_str_from(name, (size_t)colon + 1);
}

/* Takes what stands before `end` and the end itself. */
static bool take_until(zk_str *s, zk_str end, zk_str *ret)
{
	ptrdiff_t at = zk_str_find(*s, end);

	if (at < 0)
		return false;
	*ret = zk_str_n(s->p, (size_t)at);
	*s = zk_str_from(*s, (size_t)at + end.n);
	return true;
}

/* NAME="VALUE", after white space. */
static bool skip_attribute(zk_str *s)
{
	char quote;
	zk_str value;

	if (!take_name(s).n)
		return false;
	skip_space(s);
	if (!s->n || s->p[0] != '=')
		return false;
	*s = zk_str_from(*s, 1);
	skip_space(s);
	if (!s->n || (s->p[0] != '"' && s->p[0] != '\''))
		return false;
	quote = s->p[0];
	*s = zk_str_from(*s, 1);
	return take_until(s, zk_str_n(&quote, 1), &value) &&
	       zk_str_find_char(value, '<') < 0;
}

static enum zk_xml_event open_tag(struct zk_xml *x)
{
	zk_str full = take_name(&x->rest);

	if (!full.n || x->depth == ZK_XML_DEPTH || (!x->depth && x->root))
		return bad(x);
	for (;;) {
		bool space = x->rest.n && is_space(x->rest.p[0]);

		skip_space(&x->rest);
		if (zk_str_starts(x->rest, ZK_STR("/>"))) {
			x->empty = true;
			x->rest = zk_str_from(x->rest, 2);
			break;
		}
		if (zk_str_starts(x->rest, ZK_STR(">"))) {
			x->rest = zk_str_from(x->rest, 1);
			break;
		}
		if (!space || !skip_attribute(&x->rest))
			return bad(x);
	}
	x->open[x->depth++] = full;
	x->root = true;
	x->name = local_name(full);
	return ZK_XML_OPEN;
}

static enum zk_xml_event close_tag(struct zk_xml *x)
{
	zk_str full = take_name(&x->rest);

	skip_space(&x->rest);
	if (!x->depth || !zk_str_eq(full, x->open[x->depth - 1]) ||
	    !zk_str_starts(x->rest, ZK_STR(">")))
		return bad(x);
	x->rest = zk_str_from(x->rest, 1);
	x->depth--;
	x->name = local_name(full);
	return ZK_XML_CLOSE;
}

/* Behind "<": what is passed over. 1 = done, 0 = it is something else, -1 = bad. */
static int skip_other(struct zk_xml *x)
{
	zk_str s = x->rest, inside;

	if (zk_str_starts(s, ZK_STR("?"))) {
		if (!take_until(&s, ZK_STR("?>"), &inside))
			return -1;
	} else if (zk_str_starts(s, ZK_STR("!--"))) {
		s = zk_str_from(s, 3);
		if (!take_until(&s, ZK_STR("-->"), &inside))
			return -1;
	} else {
		return 0;
	}
	x->rest = s;
	return 1;
}

static enum zk_xml_event take_cdata(struct zk_xml *x)
{
	x->rest = zk_str_from(x->rest, sizeof("![CDATA[") - 1);
	if (!x->depth || !take_until(&x->rest, ZK_STR("]]>"), &x->text))
		return bad(x);
	x->cdata = true;
	return ZK_XML_TEXT;
}

static enum zk_xml_event take_text(struct zk_xml *x)
{
	ptrdiff_t at = zk_str_find_char(x->rest, '<');
	zk_str text = zk_str_n(x->rest.p, at < 0 ? x->rest.n : (size_t)at);

	x->rest = zk_str_from(x->rest, text.n);
	x->text = text;
	/* Beside the root there is white space only. */
	if (!x->depth && zk_str_trim(text).n)
		return bad(x);
	return ZK_XML_TEXT;
}

static enum zk_xml_event take_markup(struct zk_xml *x)
{
	if (zk_str_starts(x->rest, ZK_STR("![CDATA[")))
		return take_cdata(x);
	if (zk_str_starts(x->rest, ZK_STR("/"))) {
		x->rest = zk_str_from(x->rest, 1);
		return close_tag(x);
	}
	return open_tag(x);
}

enum zk_xml_event zk_xml_next(struct zk_xml *x)
{
	if (x->bad)
		return bad(x);
	x->cdata = false;
	if (x->empty) {
		x->empty = false;
		x->name = local_name(x->open[--x->depth]);
		return ZK_XML_CLOSE;
	}
	while (x->rest.n) {
		int skipped;

		if (x->rest.p[0] != '<') {
			enum zk_xml_event e = take_text(x);

			if (e == ZK_XML_BAD || x->depth)
				return e;
			continue;
		}
		x->rest = zk_str_from(x->rest, 1);
		skipped = skip_other(x);
		if (skipped < 0)
			return bad(x);
		if (!skipped)
			return take_markup(x);
	}
	return x->depth || !x->root ? bad(x) : ZK_XML_END;
}

/* ---- texts ---- */

static void put_utf8(struct zk_buf *b, uint32_t c)
{
	if (c < 0x80) {
		zk_buf_char(b, (char)c);
	} else if (c < 0x800) {
		zk_buf_char(b, (char)(0xc0 | c >> 6));
		zk_buf_char(b, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		zk_buf_char(b, (char)(0xe0 | c >> 12));
		zk_buf_char(b, (char)(0x80 | (c >> 6 & 63)));
		zk_buf_char(b, (char)(0x80 | (c & 63)));
	} else {
		zk_buf_char(b, (char)(0xf0 | c >> 18));
		zk_buf_char(b, (char)(0x80 | (c >> 12 & 63)));
		zk_buf_char(b, (char)(0x80 | (c >> 6 & 63)));
		zk_buf_char(b, (char)(0x80 | (c & 63)));
	}
}

/* The value of a digit; 16 for what is none. */
static uint32_t digit(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 16;
}

static bool is_char(uint32_t c)
{
	return c && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* "#38" or "#x26". */
static bool put_number(struct zk_buf *b, zk_str s)
{
	uint32_t c = 0, base = 10;

	s = zk_str_from(s, 1);
	if (s.n && s.p[0] == 'x') {
		base = 16;
		s = zk_str_from(s, 1);
	}
	if (s.n > 7)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (digit(s.p[i]) >= base)
			return false;
		c = c * base + digit(s.p[i]);
	}
	if (!is_char(c))
		return false;
	put_utf8(b, c);
	return true;
}

static bool put_entity(struct zk_buf *b, zk_str name)
{
	static const struct {
		zk_str name;
		char c;
	} rows[] = {
		{ ZK_STR_INIT("amp"), '&' },   { ZK_STR_INIT("lt"), '<' },
		{ ZK_STR_INIT("gt"), '>' },    { ZK_STR_INIT("quot"), '"' },
		{ ZK_STR_INIT("apos"), '\'' },
	};

	if (zk_str_starts(name, ZK_STR("#")))
		return put_number(b, name);
	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		if (zk_str_eq(name, rows[i].name)) {
			zk_buf_char(b, rows[i].c);
			return true;
		}
	}
	return false;
}

bool zk_xml_text(const struct zk_xml *x, struct zk_buf *b)
{
	size_t before = b->n;
	zk_str s = x->text, piece, name;

	if (x->cdata) {
		zk_buf_add(b, s);
		return !b->failed;
	}
	while (s.n) {
		ptrdiff_t amp = zk_str_find_char(s, '&');

		piece = zk_str_n(s.p, amp < 0 ? s.n : (size_t)amp);
		zk_buf_add(b, piece);
		s = zk_str_from(s, piece.n);
		if (!s.n)
			break;
		s = zk_str_from(s, 1);
		if (!take_until(&s, ZK_STR(";"), &name) || !put_entity(b, name) ||
		    b->failed) {
			b->n = before;
			return false;
		}
	}
	return !b->failed;
}

bool zk_xml_inner(struct zk_xml *x, struct zk_buf *b)
{
	size_t depth = x->depth;

	for (;;) {
		switch (zk_xml_next(x)) {
		case ZK_XML_TEXT:
			if (x->depth == depth && !zk_xml_text(x, b))
				return false;
			break;
		case ZK_XML_CLOSE:
			if (x->depth < depth)
				return true;
			break;
		case ZK_XML_OPEN:
			break;
		case ZK_XML_END:
		case ZK_XML_BAD:
			return false;
		}
	}
}

/* The element at this depth of `path` (1 is the root). */
static zk_str part_of(zk_str path, size_t depth)
{
	zk_str part = ZK_STR_NULL;

	while (depth--)
		path = zk_str_cut(path, '/', &part);
	return part;
}

bool zk_xml_get(zk_str doc, zk_str path, struct zk_buf *b)
{
	struct zk_xml x;
	size_t parts = 1, right = 0;

	for (size_t i = 0; i < path.n; i++)
		parts += path.p[i] == '/';
	zk_xml_init(&x, doc);
	for (;;) {
		switch (zk_xml_next(&x)) {
		case ZK_XML_OPEN:
			if (right + 1 == x.depth &&
			    zk_str_eq(x.name, part_of(path, x.depth)))
				right++;
			if (right == parts && x.depth == parts)
				return zk_xml_inner(&x, b);
			break;
		case ZK_XML_CLOSE:
			right = ZK_MIN(right, x.depth);
			break;
		case ZK_XML_TEXT:
			break;
		case ZK_XML_END:
		case ZK_XML_BAD:
			return false;
		}
	}
}
