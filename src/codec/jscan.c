/* The scanner: checks JSON text and finds members in one pass, without
 * recursion. Layer: codec. */
#include "codec/jscan.h"

#include <string.h>

#include "codec/jbytes.h"
#include "codec/jplan.h"

#include "base/ban.h"

/* A container whose members are looked at: which want or row of the plan it is (plus one, 0 = the top
 * value), and where it begins. */
struct level {
	unsigned row;
	const char *from;
	size_t spaces;
};

struct scan {
	const char *start, *end;
	struct zk_jscan *res;
	/* What is looked for: members of the top object, or the rows of a plan. */
	struct zk_jwant *want;
	size_t n_want;
	bool nested; /* some wants lie in others */
	const struct zk_jplan *plan;
	struct zk_jval *vals;
	unsigned depth, max_depth;
	unsigned escapes;                         /* in strings so far */
	size_t spaces;                            /* bytes of white space so far */
	struct level levels[ZK_JSCAN_LEVELS + 1]; /* of the open ones, by depth */
	bool is_object[ZK_JSCAN_DEPTH_MAX + 1];   /* of the open containers, by depth */
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

	s->escapes++;
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
		size_t n = zk_jb_utf8(p, s->end);

		if (!n)
			return fail(s, p, ZK_E_UTF8, "not UTF-8");
		p += n;
	}
	return p;
}

/* The rest of a string that is long or not plain. */
static __attribute__((noinline)) const char *scan_text(struct scan *s, const char *p)
{
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

/* From the opening quote to behind the closing one. */
static inline __attribute__((always_inline)) const char *scan_string(struct scan *s,
                                                                     const char *p)
{
	p++;
#if defined(__SSE2__)
	if (ZK_LIKELY(s->end - p >= 16)) {
		unsigned mask = zk_jb_unplain16(p);

		if (!mask)
			return scan_text(s, p + 16);
		p += __builtin_ctz(mask);
		if (ZK_LIKELY(*p == '"'))
			return p + 1;
	}
#endif
	return scan_text(s, p);
}

/* At least one digit. */
static inline const char *scan_digits(struct scan *s, const char *p)
{
	const char *from = p;

	while (s->end - p >= 8 && zk_jb_are_digits(p))
		p += 8;
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

/* A string, a number, true, false or null. */
static inline const char *scan_scalar(struct scan *s, const char *p)
{
	enum zk_jtype type = p < s->end ? zk_jb_type(*p) : ZK_J_NONE;

	if (ZK_LIKELY(type == ZK_J_STRING))
		return scan_string(s, p);
	if (type == ZK_J_NUMBER)
		return scan_number(s, p);
	if (type == ZK_J_NONE)
		return fail(s, p, ZK_E_JSON, "expected a value");
	return scan_literal(s, p);
}

/* The name of a member, the ':' behind it and the space behind that; *end is the end of the
 * name. */
static inline const char *scan_name(struct scan *s, const char *p, const char **end)
{
	if (ZK_UNLIKELY(p == s->end || *p != '"'))
		return fail(s, p, ZK_E_JSON, "expected a name in double quotes");
	p = scan_string(s, p);
	if (ZK_UNLIKELY(!p))
		return NULL;
	*end = p;
	p = skip_space(s, p);
	if (ZK_UNLIKELY(p == s->end || *p != ':'))
		return fail(s, p, ZK_E_JSON, "expected ':' after a name");
	return skip_space(s, p + 1);
}

/* Behind the bracket at `p`, and the space that follows. */
static inline const char *open_container(struct scan *s, const char *p)
{
	if (ZK_UNLIKELY(s->depth == s->max_depth))
		return fail(s, p, ZK_E_LIMIT, "nested too deep");
	s->is_object[++s->depth] = *p == '{';
	s->res->depth = ZK_MAX(s->res->depth, s->depth);
	return skip_space(s, p + 1);
}

static const char *fail_after(struct scan *s, const char *p)
{
	return fail(s, p, ZK_E_JSON,
	            s->is_object[s->depth] ? "expected ',' or '}' after a member"
	                                   : "expected ',' or ']' after an element");
}

static inline bool closes(const struct scan *s, const char *p)
{
	return p < s->end && *p == (s->is_object[s->depth] ? '}' : ']');
}

/* Behind a value: at the next one, or behind the containers that end here. */
static inline const char *after_value(struct scan *s, const char *p, unsigned base)
{
	const char *end;

	while (p && s->depth > base) {
		p = skip_space(s, p);
		if (p < s->end && *p == ',') {
			s->res->members += s->depth == 1;
			p = skip_space(s, p + 1);
			return s->is_object[s->depth] ? scan_name(s, p, &end) : p;
		}
		if (ZK_UNLIKELY(!closes(s, p)))
			return fail_after(s, p);
		s->depth--;
		p++;
	}
	return p;
}

/* Behind the value that begins at `p`, with everything in it. */
static ZK_HOT const char *skip_value(struct scan *s, const char *p)
{
	const unsigned base = s->depth;
	const char *end;

	while (p) {
		if (p == s->end || (*p != '{' && *p != '[')) {
			p = scan_scalar(s, p);
		} else {
			p = open_container(s, p);
			if (!p)
				break;
			if (!closes(s, p)) {
				s->res->members += s->depth == 1;
				if (s->is_object[s->depth])
					p = scan_name(s, p, &end);
				continue;
			}
		}
		p = after_value(s, p, base);
		if (s->depth == base)
			return p;
	}
	return NULL;
}

/* ---- members that are looked for ---- */

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

static unsigned find_want(const struct scan *s, unsigned in, zk_str key, bool escaped)
{
	zk_str inside = zk_str_n(key.p + 1, key.n - 2);

	for (unsigned i = in; i < s->n_want; i++)
		if (s->want[i].in == in && (escaped ? zk_jstr_eq(key, s->want[i].name)
		                                    : is_name(inside, s->want[i].name)))
			return i + 1;
	return 0;
}

static bool want_is_parent(const struct scan *s, unsigned row)
{
	for (unsigned i = row; i < s->n_want; i++)
		if (s->want[i].in == row)
			return true;
	return false;
}

/* Whether members of the object that this is are looked for too. */
static inline bool is_parent(const struct scan *s, unsigned row)
{
	return s->plan ? s->plan->rows[row - 1].parent
	               : s->nested && want_is_parent(s, row);
}

/* The row of the plan that a member is, plus one; 0 = none. */
static inline unsigned find_row(const struct scan *s, zk_str key, bool escaped)
{
	unsigned in = s->levels[s->depth].row, row;
	zk_str inside = zk_str_n(key.p + 1, key.n - 2);

	if (!s->plan)
		return find_want(s, in, key, escaped);
	if (ZK_UNLIKELY(escaped))
		return zk_jplan_find_escaped(s->plan, in, key);
	row = zk_jplan_slot(s->plan, in, inside);
	return row && zk_jplan_is(s->plan, row - 1, inside, s->end) ? row : 0;
}

static inline void keep(struct scan *s, unsigned row, const struct level *l,
                        const char *end)
{
	struct zk_jval *val = s->plan ? &s->vals[row - 1] : &s->want[row - 1].val;

	val->raw = zk_str_n(l->from, (size_t)(end - l->from));
	val->type = zk_jb_type(*l->from);
	val->has_space = s->spaces != l->spaces;
	if (!s->plan)
		s->want[row - 1].count++;
}

static bool want_lies_in(const struct scan *s, unsigned i, unsigned row)
{
	unsigned in = s->want[i].in;

	while (in > row)
		in = s->want[in - 1].in;
	return in == row;
}

/* The members of an earlier object of the same name are not those of this. */
static void forget_below(struct scan *s, unsigned row)
{
	for (unsigned i = row; s->plan && i < s->plan->n; i++)
		if (s->plan->rows[i].below >> (row - 1) & 1)
			s->vals[i] = (struct zk_jval){ 0 };
	for (unsigned i = row; !s->plan && i < s->n_want; i++) {
		if (!want_lies_in(s, i, row))
			continue;
		s->want[i].val = (struct zk_jval){ 0 };
		s->want[i].count = 0;
	}
}

/* Behind a value, or, `first`, behind a '{': at the next name of an object that is looked at, or
 * behind all of them. */
static inline const char *next_name(struct scan *s, const char *p, bool first)
{
	while (p) {
		p = skip_space(s, p);
		if (p < s->end && *p == ',' && !first)
			return skip_space(s, p + 1);
		if (!closes(s, p))
			return first ? p : fail_after(s, p);
		p++;
		if (--s->depth == 0)
			return p;
		first = false;
		/* The object was the value of a row. */
		keep(s, s->levels[s->depth + 1].row, &s->levels[s->depth + 1], p);
	}
	return NULL;
}

static inline const char *scan_member(struct scan *s, const char *p)
{
	const char *name = p, *end;
	unsigned escapes = s->escapes, row;
	struct level l;

	p = scan_name(s, p, &end);
	if (!p)
		return NULL;
	row = find_row(s, zk_str_n(name, (size_t)(end - name)), s->escapes != escapes);
	s->res->members += s->depth == 1;
	l = (struct level){ .row = row, .from = p, .spaces = s->spaces };
	if (row && is_parent(s, row)) {
		forget_below(s, row);
		if (p < s->end && *p == '{') {
			p = open_container(s, p);
			ZK_ASSERT(s->depth <= ZK_JSCAN_LEVELS);
			s->levels[s->depth] = l;
			return p ? next_name(s, p, /* first */ true) : NULL;
		}
	}
	p = skip_value(s, p);
	if (p && row)
		keep(s, row, &l, p);
	return next_name(s, p, /* first */ false);
}

static ZK_HOT const char *scan_members(struct scan *s, const char *p)
{
	p = open_container(s, p);
	if (p)
		p = next_name(s, p, /* first */ true);
	while (p && s->depth)
		p = scan_member(s, p);
	return p;
}

static const char *scan_top(struct scan *s, const char *p)
{
	if (p < s->end && *p == '{' && (s->n_want || s->plan))
		return scan_members(s, p);
	return skip_value(s, p);
}

static int scan(struct scan *s, zk_str text, unsigned max_depth, struct zk_jscan *res)
{
	const char *p, *top, *end;
	size_t spaces;

	ZK_ASSERT(max_depth <= ZK_JSCAN_DEPTH_MAX);
	*res = (struct zk_jscan){ 0 };
	s->start = text.p ? text.p : "";
	s->end = s->start + text.n;
	s->res = res;
	s->levels[1].row = 0;
	s->depth = 0;
	s->max_depth = max_depth;
	s->escapes = 0;
	s->spaces = 0;

	top = skip_space(s, s->start);
	spaces = s->spaces;
	end = scan_top(s, top);
	if (!end)
		return -(int)res->code;
	res->top = (struct zk_jval){ .raw = zk_str_n(top, (size_t)(end - top)),
		                     .type = zk_jb_type(*top),
		                     .has_space = s->spaces != spaces };
	res->has_escape = s->escapes != 0;
	p = skip_space(s, end);
	if (p != s->end) {
		(void)fail(s, p, ZK_E_JSON, "unexpected text after the value");
		return -(int)res->code;
	}
	return 0;
}

int zk_jscan(zk_str text, unsigned max_depth, struct zk_jwant *want, size_t n_want,
             struct zk_jscan *res)
{
	struct scan s; /* most of it is set before it is read */

	s.nested = false;
	for (size_t i = 0; i < n_want; i++) {
		ZK_ASSERT(want[i].in <= i);
		s.nested |= want[i].in != 0;
		want[i].val = (struct zk_jval){ 0 };
		want[i].count = 0;
	}
	s.want = want;
	s.n_want = n_want;
	s.plan = NULL;
	s.vals = NULL;
	return scan(&s, text, max_depth, res);
}

int zk_jscan_plan(zk_str text, unsigned max_depth, const struct zk_jplan *plan,
                  struct zk_jval *vals, struct zk_jscan *res)
{
	struct scan s; /* as above */

	memset(vals, 0, plan->n * sizeof(*vals));
	s.want = NULL;
	s.n_want = 0;
	s.nested = false;
	s.plan = plan;
	s.vals = vals;
	return scan(&s, text, max_depth, res);
}

bool zk_jscan_one(zk_str text, unsigned depth, unsigned max_depth, struct zk_jval *ret)
{
	struct zk_jscan res;
	struct scan s; /* as above */
	const char *end;

	ZK_ASSERT(depth <= max_depth && max_depth <= ZK_JSCAN_DEPTH_MAX);
	if (!text.n)
		return false;
	s.start = text.p;
	s.end = text.p + text.n;
	s.res = &res;
	res.depth = 0;
	res.members = 0;
	s.depth = depth;
	s.max_depth = max_depth;
	s.escapes = 0;
	s.spaces = 0;
	end = skip_value(&s, text.p);
	if (!end)
		return false;
	*ret = (struct zk_jval){ .raw = zk_str_n(text.p, (size_t)(end - text.p)),
		                 .type = zk_jb_type(*text.p),
		                 .has_space = s.spaces != 0 };
	return true;
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
