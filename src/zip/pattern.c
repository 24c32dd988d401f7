/* Whether a text is a regular expression of ECMAScript: its syntax, without running it.
 * Layer: zip. specs/zeal-zip.md §4.5, T108. */
#include "zip/template.h"

#include "base/ban.h"

struct scan {
	zk_str s;
	size_t i;
	unsigned open; /* groups */
	bool atom;     /* something stands before that can be repeated */
	const char *why;
};

static bool fail(struct scan *p, const char *why)
{
	p->why = why;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char peek(const struct scan *p, size_t ahead)
{
	return p->i + ahead < p->s.n ? p->s.p[p->i + ahead] : '\0';
}

/* A class from behind its '['. */
static bool scan_class(struct scan *p)
{
	int from = -1; /* what a range begins with */

	if (peek(p, 0) == '^')
		p->i++;
	while (p->i < p->s.n) {
		char c = p->s.p[p->i++];
		int value = (unsigned char)c;

		if (c == ']')
			return true;
		if (c == '\\') {
			if (p->i >= p->s.n)
				break;
			p->i++;
			value = -1; /* a class or a code: not compared */
		}
		if (from >= 0 && value >= 0 && value < 0x80 && from > value)
			return fail(p, "the range in the class is out of order");
		from = -1;
		if (peek(p, 0) == '-' && peek(p, 1) && peek(p, 1) != ']') {
			p->i++;
			from = value < 0x80 ? value : -1;
		}
	}
	return fail(p, "the class [ is not closed");
}

/* A group from behind its '('. */
static bool scan_group(struct scan *p)
{
	p->open++;
	p->atom = false;
	if (peek(p, 0) != '?')
		return true;
	p->i++;
	char c = peek(p, 0);

	p->i++;
	if (c == ':' || c == '=' || c == '!')
		return true;
	if (c != '<')
		return fail(p, "the group (? is of no known kind");
	if (peek(p, 0) == '=' || peek(p, 0) == '!') {
		p->i++;
		return true;
	}
	ptrdiff_t end = zk_str_find_char(zk_str_from(p->s, p->i), '>');

	if (end < 1)
		return fail(p, "the name of the group is not closed");
	p->i += (size_t)end + 1;
	return true;
}

/* Digits at *i; false when there are none. */
static bool take_number(zk_str s, size_t *i, uint64_t *ret)
{
	size_t start = *i;

	*ret = 0;
	while (*i < s.n && is_digit(s.p[*i]) && *ret < 1000000000)
		*ret = *ret * 10 + (uint64_t)(s.p[(*i)++] - '0');
	return *i > start;
}

/* {n}, {n,}, {n,m} from behind the '{'; other text is taken as it stands. */
static bool scan_count(struct scan *p)
{
	size_t i = p->i;
	uint64_t low, high = UINT64_MAX;

	if (!take_number(p->s, &i, &low))
		return true;
	if (i < p->s.n && p->s.p[i] == ',') {
		i++;
		if (!take_number(p->s, &i, &high))
			high = UINT64_MAX;
	}
	if (i >= p->s.n || p->s.p[i] != '}')
		return true;
	p->i = i + 1;
	if (!p->atom)
		return fail(p, "there is nothing to repeat");
	if (low > high)
		return fail(p, "the numbers in {} are out of order");
	if (peek(p, 0) == '?')
		p->i++;
	p->atom = false;
	return true;
}

static bool scan_one(struct scan *p)
{
	char c = p->s.p[p->i++];

	switch (c) {
	case '\\':
		if (p->i >= p->s.n)
			return fail(p, "it ends in a backslash");
		p->i++;
		p->atom = true;
		return true;
	case '[':
		p->atom = true;
		return scan_class(p);
	case '(':
		return scan_group(p);
	case ')':
		if (!p->open)
			return fail(p, "a group is closed that was not opened");
		p->open--;
		p->atom = true;
		return true;
	case '*':
	case '+':
	case '?':
		if (!p->atom)
			return fail(p, "there is nothing to repeat");
		if (peek(p, 0) == '?')
			p->i++;
		p->atom = false;
		return true;
	case '{':
		return scan_count(p);
	case '|':
	case '^':
	case '$':
		p->atom = false;
		return true;
	}
	p->atom = true;
	return true;
}

bool zk_zip_pattern_ok(zk_str pattern, const char **why)
{
	struct scan p = { .s = pattern };

	*why = NULL;
	while (p.i < p.s.n)
		if (!scan_one(&p)) {
			*why = p.why;
			return false;
		}
	if (!p.open)
		return true;
	*why = "a group is not closed";
	return false;
}
