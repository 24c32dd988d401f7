/* How large a POSIX extended regular expression becomes.
 * Layer: codec. */
#include "codec/ere.h"

#include <stdint.h>
#include <string.h>

#include "base/attr.h"

#include "base/ban.h"

struct group {
	uint64_t sum;  /* what stands in it so far */
	uint64_t last; /* of that the last atom, which a repetition repeats */
	unsigned most; /* repetitions of repetitions: at most, and of the last atom */
	unsigned last_most;
};

struct scan {
	const char *p, *end;
	struct group v[ZK_ERE_DEPTH_MAX + 1];
	size_t depth;
	bool fits;
};

static void atom(struct scan *s, uint64_t size, unsigned most)
{
	struct group *g = &s->v[s->depth];

	g->sum += size;
	g->last = size;
	g->last_most = most;
	g->most = ZK_MAX(g->most, most);
	s->fits = s->fits && g->sum <= ZK_ERE_SIZE_MAX;
}

static void repeat(struct scan *s, uint64_t times)
{
	struct group *g = &s->v[s->depth];
	uint64_t last = g->last ? g->last : 1;

	g->sum += last * (times - 1);
	g->last = last * times;
	g->last_most++;
	g->most = ZK_MAX(g->most, g->last_most);
	s->fits = s->fits && g->sum <= ZK_ERE_SIZE_MAX && g->most <= ZK_ERE_REPEAT_MAX;
}

static void open_group(struct scan *s)
{
	if (s->depth == ZK_ERE_DEPTH_MAX) {
		s->fits = false;
		return;
	}
	s->v[++s->depth] = (struct group){ 0 };
}

static void close_group(struct scan *s)
{
	struct group g;

	if (!s->depth) {
		atom(s, 1, 0);
		return;
	}
	g = s->v[s->depth--];
	atom(s, g.sum + 1, g.most);
}

/* Behind "[:", "[." or "[=" in a class: to the end of that. */
static void skip_named(struct scan *s, char kind)
{
	while (s->p + 1 < s->end && !(s->p[0] == kind && s->p[1] == ']'))
		s->p++;
	s->p += ZK_MIN((ptrdiff_t)2, s->end - s->p);
}

static bool at(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == c;
}

/* Behind '[': to the end of the class. */
static void skip_class(struct scan *s)
{
	s->p += at(s, '^');
	s->p += at(s, ']');
	while (s->p < s->end && !at(s, ']')) {
		bool open = *s->p++ == '[';

		if (open && (at(s, ':') || at(s, '.') || at(s, '=')))
			skip_named(s, *s->p++);
	}
	s->p += at(s, ']');
	atom(s, 1, 0);
}

static uint64_t number(struct scan *s)
{
	uint64_t n = 0;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
		n = ZK_MIN(n * 10 + (uint64_t)(*s->p - '0'), (uint64_t)ZK_ERE_SIZE_MAX);
		s->p++;
	}
	return n;
}

/* Behind '{': n, or n,m, or n, without an end. */
static void interval(struct scan *s)
{
	uint64_t from = number(s), to = from;

	if (s->p < s->end && *s->p == ',') {
		s->p++;
		to = number(s);
	}
	repeat(s, ZK_MAX(from, to) + 1);
}

bool zk_ere_fits(zk_str text)
{
	struct scan s = { .p = text.p, .end = text.p + text.n, .fits = true };

	while (s.fits && s.p < s.end) {
		switch (*s.p++) {
		case '\\':
			s.p += s.p < s.end;
			atom(&s, 1, 0);
			break;
		case '[':
			skip_class(&s);
			break;
		case '(':
			open_group(&s);
			break;
		case ')':
			close_group(&s);
			break;
		case '+':
			repeat(&s, 2);
			break;
		case '{':
			interval(&s);
			break;
		case '*':
		case '?':
			repeat(&s, 1);
			break;
		default:
			atom(&s, 1, 0);
		}
	}
	return s.fits;
}
