/* Which route a path belongs to (specs/triggers.md §2): segments compare byte for byte after
 * percent-decoding each once.
 * Layer: net. */
#include <stdlib.h>

#include "codec/uri.h"
#include "net/httpd_int.h"

#include "base/ban.h"

#define MAX_SEGMENTS 8
#define MAX_METHODS  8

struct pattern {
	zk_str segments[MAX_SEGMENTS]; /* p == NULL: a parameter */
	unsigned n;
	unsigned n_methods;
	struct {
		zk_str name;
		const struct zk_route *route;
	} methods[MAX_METHODS];
	struct zk_buf allow;
};

struct zk_httpd_router {
	/* By number of segments; within one number literals stand before parameters. */
	struct pattern *patterns;
	size_t n;
	size_t first[MAX_SEGMENTS +
	             2]; /* patterns of n segments: [first[n], first[n + 1]) */
	struct zk_buf methods;
};

/* Cuts "/a/b/" into "a", "b": one trailing slash is ignored. Returns how many there are, or
 * MAX_SEGMENTS + 1 when it is no path or has too many. */
static unsigned cut_path(zk_str path, zk_str segments[MAX_SEGMENTS])
{
	unsigned n = 0;
	zk_str segment;

	if (path.n == 0 || path.p[0] != '/')
		return MAX_SEGMENTS + 1;
	if (path.p[path.n - 1] == '/')
		path.n--;
	while (zk_uri_path_next(&path, &segment)) {
		if (n == MAX_SEGMENTS)
			return MAX_SEGMENTS + 1;
		segments[n++] = segment;
	}
	return n;
}

/* ------------------------------------------------------------------ table */

static struct pattern parse_pattern(const char *text)
{
	struct pattern p = { .n_methods = 0 };
	unsigned params = 0;

	p.n = cut_path(zk_str_of(text), p.segments);
	ZK_ASSERT(p.n <= MAX_SEGMENTS);
	for (unsigned i = 0; i < p.n; i++) {
		ZK_ASSERT(p.segments[i].n > 0);
		if (p.segments[i].p[0] != ':')
			continue;
		p.segments[i] = ZK_STR_NULL;
		params++;
	}
	ZK_ASSERT(params <= ZK_HTTPD_MAX_PARAMS);
	return p;
}

static bool same_segment(zk_str a, zk_str b)
{
	return !a.p == !b.p && zk_str_eq(a, b);
}

static struct pattern *find_pattern(struct zk_httpd_router *r, const struct pattern *like)
{
	for (size_t i = 0; i < r->n; i++) {
		struct pattern *p = &r->patterns[i];
		unsigned k = 0;

		while (p->n == like->n && k < p->n &&
		       same_segment(p->segments[k], like->segments[k]))
			k++;
		if (p->n == like->n && k == p->n)
			return p;
	}
	return NULL;
}

static bool listed(const struct zk_buf *list, zk_str method)
{
	zk_str rest = zk_buf_str(list), item;

	while (rest.n) {
		rest = zk_str_cut(rest, ',', &item);
		if (zk_str_eq(zk_str_trim(item), method))
			return true;
	}
	return false;
}

static void add_to_list(struct zk_buf *list, zk_str method)
{
	if (listed(list, method))
		return;
	if (list->n)
		zk_buf_lit(list, ", ");
	zk_buf_add(list, method);
}

static void add_route(struct zk_httpd_router *r, const struct zk_route *route)
{
	struct pattern fresh = parse_pattern(route->pattern);
	struct pattern *p = find_pattern(r, &fresh);
	zk_str method = zk_str_of(route->method);

	ZK_ASSERT(route->on_head || route->on_body);
	if (!p) {
		p = &r->patterns[r->n++];
		*p = fresh;
		zk_buf_init(&p->allow, 1024);
	}
	ZK_ASSERT(p->n_methods < MAX_METHODS);
	p->methods[p->n_methods].name = method;
	p->methods[p->n_methods++].route = route;
	add_to_list(&p->allow, method);
	add_to_list(&r->methods, method);
}

static int by_specificity(const void *a, const void *b)
{
	const struct pattern *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	for (unsigned i = 0; i < x->n; i++) {
		if (!x->segments[i].p != !y->segments[i].p)
			return x->segments[i].p ? -1 : 1;
	}
	return 0;
}

struct zk_httpd_router *zk_httpd_router_new(const struct zk_route *routes, size_t n)
{
	struct zk_httpd_router *r = zk_new0(struct zk_httpd_router);

	r->patterns = zk_alloc_array(n + 1, sizeof(*r->patterns));
	zk_buf_init(&r->methods, 1024);
	for (size_t i = 0; i < n; i++)
		add_route(r, &routes[i]);
	qsort(r->patterns, r->n, sizeof(*r->patterns), by_specificity);
	for (size_t k = 0, i = 0; k < ZK_ARRAY_LEN(r->first); k++) {
		while (i < r->n && r->patterns[i].n < k)
			i++;
		r->first[k] = i;
	}
	for (size_t i = 0; i < r->n; i++)
		(void)zk_buf_cstring(&r->patterns[i].allow);
	(void)zk_buf_cstring(&r->methods);
	return r;
}

void zk_httpd_router_free(struct zk_httpd_router *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		zk_buf_done(&r->patterns[i].allow);
	zk_buf_done(&r->methods);
	free(r->patterns);
	free(r);
}

const char *zk_httpd_router_methods(const struct zk_httpd_router *r)
{
	return r->n ? r->methods.p : "";
}

/* ------------------------------------------------------------------ matching */

/* Decodes the segments that need it; false for those that nothing may match: a bad escape, text
 * that is not UTF-8, NUL, an encoded slash, "..". */
static bool decode_segments(zk_str path, zk_str *segments, unsigned n,
                            struct zk_buf *decoded)
{
	static const zk_str dots = ZK_STR_INIT("..");
	bool escaped = path.n && memchr(path.p, '%', path.n);

	/* All of it fits, so that the slices stay where they are. */
	if (escaped && !zk_buf_reserve(decoded, path.n))
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (escaped && zk_str_find_char(segments[i], '%') >= 0) {
			size_t at = decoded->n;

			if (!zk_uri_decode(segments[i], ZK_URI_PATH, decoded))
				return false;
			segments[i] = zk_str_n(decoded->p + at, decoded->n - at);
			if (zk_str_find_char(segments[i], '/') >= 0)
				return false;
		}
		if (zk_str_eq(segments[i], dots))
			return false;
	}
	return true;
}

/* True when the segments fit; then `params` holds the values. */
static bool fits(const struct pattern *p, const zk_str *segments,
                 zk_str params[ZK_HTTPD_MAX_PARAMS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->segments[i].p) {
			if (!zk_str_eq(p->segments[i], segments[i]))
				return false;
			continue;
		}
		if (segments[i].n == 0)
			return false;
		params[n++] = segments[i];
	}
	return true;
}

static const struct zk_route *find_method(const struct pattern *p, zk_str method)
{
	for (unsigned i = 0; i < p->n_methods; i++) {
		if (zk_str_eq(p->methods[i].name, method))
			return p->methods[i].route;
	}
	return NULL;
}

enum zk_httpd_match zk_httpd_router_match(const struct zk_httpd_router *r, zk_str path,
                                          zk_str method, struct zk_buf *decoded,
                                          struct zk_httpd_found *ret)
{
	zk_str segments[MAX_SEGMENTS] = { { 0 } };
	unsigned n = cut_path(path, segments);

	if (n > MAX_SEGMENTS || !decode_segments(path, segments, n, decoded))
		return ZK_HTTPD_NO_PATH;
	for (size_t i = r->first[n]; i < r->first[n + 1]; i++) {
		const struct pattern *p = &r->patterns[i];

		if (!fits(p, segments, ret->params))
			continue;
		/* The most specific pattern decides: GET of "/x/y" is not GET of "/x/:id". */
		ret->route = find_method(p, method);
		ret->allow = p->allow.p;
		return ret->route ? ZK_HTTPD_FOUND : ZK_HTTPD_NO_METHOD;
	}
	return ZK_HTTPD_NO_PATH;
}
