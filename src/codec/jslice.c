/* Slices of JSON text that was checked: iteration, paths, strings, numbers, compaction.
 * Nothing here reads outside its slice, whatever the text is. Layer: codec. */
#include <string.h>

#include "base/buf.h"

#include "codec/jbytes.h"
#include "codec/jscan.h"

#include "base/ban.h"

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && zk_jb_is_space(*p))
		p++;
	return p;
}

/* Behind the closing quote of the string that begins at `p`, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		p = zk_jb_skip_plain(p, end);
		if (p == end)
			break;
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
	}
	return NULL;
}

/* Behind the bracket that closes the one at `p`, or NULL. */
static const char *skip_container(const char *p, const char *end)
{
	size_t depth = 0;

	while (p && p < end) {
		char c = *p;

		if (c == '"') {
			p = skip_string(p, end);
			continue;
		}
		p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return p;
	}
	return NULL;
}

static const char *skip_scalar(const char *p, const char *end)
{
	while (p < end && !zk_jb_is_space(*p) && *p != ',' && *p != ']' && *p != '}')
		p++;
	return p;
}

static const char *take_value(const char *p, const char *end, struct zk_jval *ret)
{
	enum zk_jtype type = p < end ? zk_jb_type(*p) : ZK_J_NONE;
	const char *after = NULL;

	if (type == ZK_J_STRING)
		after = skip_string(p, end);
	else if (type == ZK_J_ARRAY || type == ZK_J_OBJECT)
		after = skip_container(p, end);
	else if (type != ZK_J_NONE)
		after = skip_scalar(p, end);
	if (after)
		*ret = (struct zk_jval){ .raw = zk_str_n(p, (size_t)(after - p)),
			                 .type = type };
	return after;
}

bool zk_jscan_value(zk_str text, struct zk_jval *ret)
{
	if (!text.n)
		return false;
	return take_value(skip_space(text.p, text.p + text.n), text.p + text.n, ret) !=
	       NULL;
}

void zk_jiter_init(struct zk_jiter *it, zk_str container)
{
	it->p = container.n ? container.p + 1 : ""; /* behind the bracket */
	it->end = container.n ? container.p + container.n : it->p;
}

/* The value at it->p and the comma behind it. */
static bool take_item(struct zk_jiter *it, struct zk_jval *val)
{
	const char *p = take_value(skip_space(it->p, it->end), it->end, val);

	if (!p)
		return false;
	p = skip_space(p, it->end);
	if (p < it->end && *p == ',')
		p++;
	it->p = p;
	return true;
}

bool zk_jiter_member(struct zk_jiter *it, zk_str *key, struct zk_jval *val)
{
	const char *p = skip_space(it->p, it->end), *after;

	if (p == it->end || *p != '"')
		return false;
	after = skip_string(p, it->end);
	if (!after)
		return false;
	it->p = skip_space(after, it->end);
	if (it->p == it->end || *it->p != ':')
		return false;
	it->p++;
	if (!take_item(it, val))
		return false;
	*key = zk_str_n(p, (size_t)(after - p));
	return true;
}

bool zk_jiter_element(struct zk_jiter *it, struct zk_jval *val)
{
	return take_item(it, val);
}

static bool find_member(zk_str object, zk_str name, struct zk_jval *ret)
{
	struct zk_jiter it;
	struct zk_jval val;
	bool found = false;
	zk_str key;

	zk_jiter_init(&it, object);
	while (zk_jiter_member(&it, &key, &val)) {
		if (!zk_jstr_eq(key, name))
			continue;
		*ret = val;
		found = true;
	}
	return found;
}

static bool find_element(zk_str array, zk_str index, struct zk_jval *ret)
{
	struct zk_jiter it;
	struct zk_jval val;
	uint64_t i;

	if (!zk_jnum_u64(index, &i))
		return false;
	zk_jiter_init(&it, array);
	while (zk_jiter_element(&it, &val)) {
		if (i-- == 0) {
			*ret = val;
			return true;
		}
	}
	return false;
}

bool zk_jscan_get(zk_str text, zk_str path, struct zk_jval *ret)
{
	struct zk_jval at;

	if (!zk_jscan_value(text, &at))
		return false;
	if (!path.n)
		path = ZK_STR_NULL;
	while (path.p) {
		bool found = false;
		zk_str name;

		path = zk_str_cut(path, '.', &name);
		if (at.type == ZK_J_OBJECT)
			found = find_member(at.raw, name, &at);
		else if (at.type == ZK_J_ARRAY)
			found = find_element(at.raw, name, &at);
		if (!found)
			return false;
	}
	*ret = at;
	return true;
}

void zk_jscan_compact(zk_str text, struct zk_buf *b)
{
	const char *p = text.p, *end = text.n ? text.p + text.n : text.p, *from = p;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
			p = p ? p : end;
		} else if (zk_jb_is_space(*p)) {
			zk_buf_put(b, from, (size_t)(p - from));
			from = p = skip_space(p, end);
		} else {
			p++;
		}
	}
	if (text.n)
		zk_buf_put(b, from, (size_t)(p - from));
}

/* ---- strings ---- */

/* The inside of a raw string; false when the slice is none. */
static bool inside(zk_str raw, zk_str *ret)
{
	if (raw.n < 2 || raw.p[0] != '"' || raw.p[raw.n - 1] != '"')
		return false;
	*ret = zk_str_n(raw.p + 1, raw.n - 2);
	return true;
}

bool zk_jstr_plain(zk_str raw, zk_str *ret)
{
	zk_str in;

	if (!inside(raw, &in) || zk_str_find_char(in, '\\') >= 0)
		return false;
	*ret = in;
	return true;
}

static size_t utf8_put(unsigned cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 63));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 63));
		out[2] = (char)(0x80 | (cp & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 63));
	out[2] = (char)(0x80 | (cp >> 6 & 63));
	out[3] = (char)(0x80 | (cp & 63));
	return 4;
}

enum escape { ESC_OK, ESC_LONE, ESC_BAD };

/* Decodes the escape at the start of `*s` and takes it off. */
static enum escape take_escape(zk_str *s, char out[4], size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int unit = zk_jb_unit(s->p, s->p + s->n), low;
	const char *at;

	if (s->n < 2)
		return ESC_BAD;
	if (s->p[1] != 'u') {
		at = memchr(from, s->p[1], sizeof(from) - 1);
		if (!at)
			return ESC_BAD;
		out[0] = to[at - from];
		*n = 1;
		*s = zk_str_from(*s, 2);
		return ESC_OK;
	}
	if (unit < 0)
		return ESC_BAD;
	*s = zk_str_from(*s, 6);
	low = zk_jb_is_high(unit) ? zk_jb_unit(s->p, s->p + s->n) : -1;
	if (zk_jb_is_low(low)) {
		*s = zk_str_from(*s, 6);
		*n = utf8_put(0x10000u + ((unsigned)(unit - 0xd800) << 10) +
		                      (unsigned)(low - 0xdc00),
		              out);
		return ESC_OK;
	}
	if (zk_jb_is_high(unit) || zk_jb_is_low(unit))
		return ESC_LONE;
	*n = utf8_put((unsigned)unit, out);
	return ESC_OK;
}

bool zk_jstr_eq(zk_str raw, zk_str name)
{
	zk_str in;

	if (!inside(raw, &in))
		return false;
	if (zk_str_find_char(in, '\\') < 0)
		return zk_str_eq(in, name);
	while (in.n) {
		char out[4] = { in.p[0] };
		size_t n = 1;

		if (in.p[0] == '\\') {
			if (take_escape(&in, out, &n) != ESC_OK)
				return false;
		} else {
			in = zk_str_from(in, 1);
		}
		if (!zk_str_starts(name, zk_str_n(out, n)))
			return false;
		name = zk_str_from(name, n);
	}
	return name.n == 0;
}

int zk_jstr_decode(zk_str raw, enum zk_jlone lone, struct zk_buf *b, struct zk_error *err)
{
	zk_str in;

	if (!inside(raw, &in))
		return zk_fail(err, ZK_E_DATA, "not a JSON string");
	while (in.n) {
		ptrdiff_t at = zk_str_find_char(in, '\\');
		char out[4];
		size_t n = 0;

		if (at != 0) {
			n = at < 0 ? in.n : (size_t)at;
			zk_buf_put(b, in.p, n);
			in = zk_str_from(in, n);
			continue;
		}
		switch (take_escape(&in, out, &n)) {
		case ESC_OK:
			zk_buf_put(b, out, n);
			break;
		case ESC_LONE:
			if (lone == ZK_JLONE_ERROR)
				return zk_fail(
				        err, ZK_E_DATA,
				        "the string holds half of a surrogate pair");
			zk_buf_lit(b, "\xEF\xBF\xBD");
			break;
		case ESC_BAD:
			return zk_fail(err, ZK_E_DATA, "not a JSON string");
		}
	}
	return 0;
}

/* ---- numbers ---- */

bool zk_jnum_u64(zk_str raw, uint64_t *ret)
{
	return zk_str_u64(raw, ret);
}

bool zk_jnum_i64(zk_str raw, int64_t *ret)
{
	return zk_str_i64(raw, ret);
}

bool zk_jnum_double(zk_str raw, double *ret)
{
	struct zk_error err;

	return zk_parse_double(raw, ret, &err) == 0;
}
