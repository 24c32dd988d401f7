/* The scanner: checks JSON text and finds top-level members in one pass, without
 * recursion. Layer: codec. */
#include "codec/jscan.h"

#include <string.h>

#include "codec/jbytes.h"

#include "base/ban.h"

enum next { NEXT_VALUE, NEXT_AFTER, NEXT_END };

struct scan {
	const char *start, *end;
	struct zk_jscan *res;
	struct zk_jwant *want;
	size_t n_want;
	unsigned depth, max_depth;
	bool escaped;  /* the last string held an escape */
	size_t spaces; /* bytes of white space so far */
	/* Of the open containers that wants may lie in, by depth: which want the current
	 * member is (its place plus one, 0 = none), and where its value begins. */
	unsigned levels; /* the deepest of interest */
	bool sorted;     /* wants of one parent stand together, in order of the parents */
	unsigned at[ZK_JSCAN_LEVELS + 1];
	const char *val[ZK_JSCAN_LEVELS + 1];
	size_t val_spaces[ZK_JSCAN_LEVELS + 1];
	uint64_t is_object[ZK_JSCAN_DEPTH_MAX / 64]; /* one bit per open container */
};

/* Functions below take the position and return the next one, or NULL after fail(). */
static __attribute__((cold, noinline)) const char *fail(struct scan *s, const char *p,
                                                        enum zk_code code,
                                                        const char *what)
{
	s->res->code = code;
	s->res->offset = (size_t)(p - s->start);
	s->res->what = what;
	return NULL;
}

static inline const char *skip_space(struct scan *s, const char *p)
{
	const char *from = p;

	if (ZK_LIKELY(p < s->end && (unsigned char)*p > ' '))
		return p;
	while (p < s->end && zk_jb_is_space(*p))
		p++;
	s->spaces += (size_t)(p - from);
	return p;
}

static const char *scan_unicode_escape(struct scan *s, const char *p)
{
	int unit = zk_jb_unit(p, s->end);

	if (unit < 0)
		return fail(s, p, ZK_E_JSON, "\\u needs four hexadecimal digits");
	if (unit == 0)
		s->res->has_nul = true;
	if (zk_jb_is_high(unit) && zk_jb_is_low(zk_jb_unit(p + 6, s->end)))
		return p + 12;
	if (zk_jb_is_high(unit) || zk_jb_is_low(unit))
		s->res->has_lone = true;
	return p + 6;
}

static const char *scan_escape(struct scan *s, const char *p)
{
	static const bool known[256] = {
		['"'] = true, ['\\'] = true, ['/'] = true, ['b'] = true,
		['f'] = true, ['n'] = true,  ['r'] = true, ['t'] = true,
	};

	s->escaped = true;
	if (s->end - p < 2)
		return fail(s, s->end, ZK_E_JSON, "the string does not end");
	if (known[(unsigned char)p[1]])
		return p + 2;
	if (p[1] != 'u')
		return fail(s, p, ZK_E_JSON, "unknown escape in a string");
	return scan_unicode_escape(s, p);
}

/* A run of bytes above 0x7f, or a control character. */
static const char *scan_unplain(struct scan *s, const char *p)
{
	if ((unsigned char)*p < 0x20)
		return fail(s, p, ZK_E_JSON, "control character in a string");
	while (p < s->end && (signed char)*p < 0) {
		size_t n = zk_utf8_seq(p, (size_t)(s->end - p));

		if (!n)
			return fail(s, p, ZK_E_UTF8, "not UTF-8");
		p += n;
	}
	return p;
}

/* From the opening quote to behind the closing one. */
static inline const char *scan_string(struct scan *s, const char *p)
{
	s->escaped = false;
	p++;
	while (p) {
		p = zk_jb_skip_plain(p, s->end);
		if (ZK_UNLIKELY(p == s->end))
			return fail(s, p, ZK_E_JSON, "the string does not end");
		if (*p == '"')
			return p + 1;
		p = *p == '\\' ? scan_escape(s, p) : scan_unplain(s, p);
	}
	return NULL;
}

/* At least one digit. */
static inline const char *scan_digits(struct scan *s, const char *p)
{
	const char *from = p;

	while (p < s->end && zk_jb_is_digit(*p))
		p++;
	if (p == from)
		return fail(s, p, ZK_E_JSON, "expected a digit");
	return p;
}

static const char *scan_number(struct scan *s, const char *p)
{
	if (*p == '-')
		p++;
	if (p < s->end && *p == '0')
		p++;
	else
		p = scan_digits(s, p);
	if (p && p < s->end && *p == '.')
		p = scan_digits(s, p + 1);
	if (p && p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		p = scan_digits(s, p);
	}
	return p;
}

static const char *scan_literal(struct scan *s, const char *p)
{
	zk_str rest = zk_str_n(p, (size_t)(s->end - p));
	zk_str want = *p == 'n'   ? ZK_STR("null")
	              : *p == 't' ? ZK_STR("true")
	                          : ZK_STR("false");

	if (!zk_str_starts(rest, want))
		return fail(s, p, ZK_E_JSON, "expected a value");
	return p + want.n;
}

static void forget(struct zk_jwant *w)
{
	w->val = (struct zk_jval){ 0 };
	w->count = 0;
}

/* Names are short: two loads of each, which overlap, rather than a call. */
static inline bool is_name(zk_str a, zk_str b)
{
	uint64_t a0, a1, b0, b1;

	if (a.n != b.n)
		return false;
	if (a.n < 8 || a.n > 16)
		return !a.n || (a.p[0] == b.p[0] && memcmp(a.p, b.p, a.n) == 0);
	memcpy(&a0, a.p, 8);
	memcpy(&b0, b.p, 8);
	memcpy(&a1, a.p + a.n - 8, 8);
	memcpy(&b1, b.p + a.n - 8, 8);
	return a0 == b0 && a1 == b1;
}

/* A member begins: finds the want it is. The children of an earlier one of the same name are
 * not those of this. */
static void match_key(struct scan *s, zk_str key, bool escaped)
{
	unsigned parent = s->at[s->depth - 1];
	zk_str inside = zk_str_n(key.p + 1, key.n - 2);

	s->at[s->depth] = 0;
	for (unsigned i = parent; i < s->n_want; i++) {
		const struct zk_jwant *w = &s->want[i];

		if (w->in != parent) {
			if (s->sorted && w->in > parent)
				break;
			continue;
		}
		if (escaped ? !zk_jstr_eq(key, w->name) : !is_name(inside, w->name))
			continue;
		s->at[s->depth] = i + 1;
		break;
	}
	if (!s->at[s->depth] || !s->want[s->at[s->depth] - 1].count)
		return;
	for (unsigned i = s->at[s->depth]; i < s->n_want; i++) {
		unsigned up = s->want[i].in;

		while (up > s->at[s->depth])
			up = s->want[up - 1].in;
		if (up == s->at[s->depth])
			forget(&s->want[i]);
	}
}

static void match_value(struct scan *s, const char *end)
{
	struct zk_jwant *w = &s->want[s->at[s->depth] - 1];
	const char *val = s->val[s->depth];

	w->val.raw = zk_str_n(val, (size_t)(end - val));
	w->val.type = zk_jb_type(*val);
	w->val.has_space = s->spaces != s->val_spaces[s->depth];
	w->count++;
}

static inline bool in_object(const struct scan *s)
{
	unsigned i = s->depth - 1;

	return s->is_object[i / 64] >> (i % 64) & 1;
}

/* A value ends before `p`; its container is open again. */
static inline const char *value_ends(struct scan *s, const char *p, enum next *next)
{
	*next = NEXT_AFTER;
	if (s->depth == 0)
		*next = NEXT_END;
	if (s->depth == 1)
		s->res->members++;
	if (s->depth <= s->levels && s->at[s->depth])
		match_value(s, p);
	return p;
}

/* The name of a member up to the ':' behind it. */
static inline const char *scan_key(struct scan *s, const char *p)
{
	const char *from = p;

	if (ZK_UNLIKELY(p == s->end || *p != '"'))
		return fail(s, p, ZK_E_JSON, "expected a name in double quotes");
	p = scan_string(s, p);
	if (!p)
		return NULL;
	if (s->depth <= s->levels && (s->depth == 1 || s->at[s->depth - 1]))
		match_key(s, zk_str_n(from, (size_t)(p - from)), s->escaped);
	p = skip_space(s, p);
	if (ZK_UNLIKELY(p == s->end || *p != ':'))
		return fail(s, p, ZK_E_JSON, "expected ':' after a name");
	return p + 1;
}

static inline const char *open_container(struct scan *s, const char *p, bool object,
                                         enum next *next)
{
	uint64_t bit = UINT64_C(1) << (s->depth % 64);

	if (s->depth == s->max_depth)
		return fail(s, p, ZK_E_LIMIT, "nested too deep");
	if (object)
		s->is_object[s->depth / 64] |= bit;
	else
		s->is_object[s->depth / 64] &= ~bit;
	s->depth++;
	if (s->depth <= s->levels)
		s->at[s->depth] = 0;
	s->res->depth = ZK_MAX(s->res->depth, s->depth);
	*next = NEXT_VALUE;
	p = skip_space(s, p + 1);
	if (p < s->end && *p == (object ? '}' : ']')) {
		s->depth--;
		return value_ends(s, p + 1, next);
	}
	return object ? scan_key(s, p) : p;
}

static inline const char *scan_scalar(struct scan *s, const char *p, enum zk_jtype type)
{
	if (type == ZK_J_STRING)
		return scan_string(s, p);
	if (type == ZK_J_NUMBER)
		return scan_number(s, p);
	return scan_literal(s, p);
}

static inline const char *scan_value(struct scan *s, const char *p, enum next *next)
{
	enum zk_jtype type = p < s->end ? zk_jb_type(*p) : ZK_J_NONE;

	if (ZK_UNLIKELY(type == ZK_J_NONE))
		return fail(s, p, ZK_E_JSON, "expected a value");
	if (s->depth <= s->levels && s->at[s->depth]) {
		s->val[s->depth] = p;
		s->val_spaces[s->depth] = s->spaces;
	}
	if (type == ZK_J_OBJECT || type == ZK_J_ARRAY)
		return open_container(s, p, type == ZK_J_OBJECT, next);
	p = scan_scalar(s, p, type);
	return p ? value_ends(s, p, next) : NULL;
}

/* Behind a value inside a container: ',' or its end. */
static inline const char *scan_after(struct scan *s, const char *p, enum next *next)
{
	bool object = in_object(s);

	if (p < s->end && *p == ',') {
		*next = NEXT_VALUE;
		p = skip_space(s, p + 1);
		return object ? scan_key(s, p) : p;
	}
	if (p < s->end && *p == (object ? '}' : ']')) {
		s->depth--;
		return value_ends(s, p + 1, next);
	}
	return fail(s, p, ZK_E_JSON,
	            object ? "expected ',' or '}' after a member"
	                   : "expected ',' or ']' after an element");
}

static ZK_HOT const char *scan_all(struct scan *s, const char *p)
{
	enum next next = NEXT_VALUE;

	while (p && next != NEXT_END) {
		p = skip_space(s, p);
		p = next == NEXT_VALUE ? scan_value(s, p, &next)
		                       : scan_after(s, p, &next);
	}
	return p;
}

/* How deep the wants lie, and whether they are sorted; what an earlier scan found goes. */
static void look_at_wants(struct scan *s, struct zk_jwant *want, size_t n)
{
	unsigned before = 0;

	s->levels = 0;
	s->sorted = true;
	for (size_t i = 0; i < n; i++) {
		struct zk_jwant *w = &want[i];

		ZK_ASSERT(w->in <= i);
		forget(w);
		w->level = w->in ? want[w->in - 1].level + 1 : 1;
		s->levels = ZK_MAX(s->levels, w->level);
		s->sorted &= w->in >= before;
		before = w->in;
	}
	ZK_ASSERT(s->levels <= ZK_JSCAN_LEVELS);
}

int zk_jscan(zk_str text, unsigned max_depth, struct zk_jwant *want, size_t n_want,
             struct zk_jscan *res)
{
	struct scan s; /* `val` is set before it is read */
	const char *p, *top, *end;
	size_t spaces;

	ZK_ASSERT(max_depth <= ZK_JSCAN_DEPTH_MAX);
	*res = (struct zk_jscan){ 0 };
	s.start = text.p ? text.p : "";
	s.end = s.start + text.n;
	s.res = res;
	s.want = want;
	s.n_want = n_want;
	look_at_wants(&s, want, n_want);
	s.at[0] = 0;
	s.depth = 0;
	s.max_depth = max_depth;
	s.spaces = 0;
	memset(s.is_object, 0, (max_depth + 63) / 64 * sizeof(s.is_object[0]));

	top = skip_space(&s, s.start);
	spaces = s.spaces;
	end = scan_all(&s, top);
	if (!end)
		return -(int)res->code;
	res->top = (struct zk_jval){ .raw = zk_str_n(top, (size_t)(end - top)),
		                     .type = zk_jb_type(*top),
		                     .has_space = s.spaces != spaces };
	p = skip_space(&s, end);
	if (p != s.end) {
		(void)fail(&s, p, ZK_E_JSON, "unexpected text after the value");
		return -(int)res->code;
	}
	return 0;
}

int zk_jscan_fail(const struct zk_jscan *res, struct zk_error *err)
{
	switch ((int)res->code) {
	case ZK_E_UTF8:
		return zk_fail(err, res->code, "the text is not UTF-8 at byte %zu",
		               res->offset);
	case ZK_E_LIMIT:
		return zk_fail(err, res->code, "the JSON is nested too deep at byte %zu",
		               res->offset);
	default:
		return zk_fail(err, ZK_E_JSON, "invalid JSON at byte %zu: %s",
		               res->offset, res->what);
	}
}

zk_str zk_jscan_skip_bom(zk_str text)
{
	return zk_str_starts(text, ZK_STR("\xEF\xBB\xBF")) ? zk_str_from(text, 3) : text;
}

const char *zk_jtype_name(enum zk_jtype type)
{
	static const char *const names[] = {
		[ZK_J_NONE] = "nothing",  [ZK_J_NULL] = "null",
		[ZK_J_BOOL] = "boolean",  [ZK_J_NUMBER] = "number",
		[ZK_J_STRING] = "string", [ZK_J_ARRAY] = "array",
		[ZK_J_OBJECT] = "object",
	};

	return names[type];
}
