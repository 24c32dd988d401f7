/* Values of documents: types, numbers, JSON.
 * Layer: zip. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "zip/doc.h"

#include "base/ban.h"

static bool is_one_of(zk_str s, const char *const *words)
{
	for (; *words; words++)
		if (zk_str_eq(s, zk_str_of(*words)))
			return true;
	return false;
}

static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const trues[] = { "true", "True", "TRUE", NULL };
static const char *const falses[] = { "false", "False", "FALSE", NULL };
static const char *const infinite[] = { ".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
	                                "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
	                                ".NaN",  ".NAN",  NULL };

static size_t digits(zk_str s, size_t i)
{
	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
		i++;
	return i;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_decimal(zk_str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), from = i, end;

	i = digits(s, i);
	bool whole = i > from;

	if (i < s.n && s.p[i] == '.') {
		end = digits(s, i + 1);
		if (!whole && end == i + 1)
			return false;
		whole = true;
		i = end;
	}
	if (!whole)
		return false;
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		end = digits(s, i);
		if (end == i)
			return false;
		i = end;
	}
	return i == s.n;
}

/* 0x1f and 0o17 of YAML; the value, or -1. */
static int64_t other_base(zk_str s)
{
	int base = zk_str_starts(s, ZK_STR("0x"))   ? 16
	           : zk_str_starts(s, ZK_STR("0o")) ? 8
	                                            : 0;
	int64_t v = 0;

	if (!base || s.n < 3 || s.n > 15)
		return -1;
	for (size_t i = 2; i < s.n; i++) {
		char c = s.p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
		        : c >= 'a' && c <= 'f' ? c - 'a' + 10
		        : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                               : 99;

		if (d >= base)
			return -1;
		v = v * base + d;
	}
	return v;
}

enum zk_jtype zk_zip_type(const struct zk_node *n)
{
	if (!n)
		return ZK_J_NONE;
	if (n->kind == ZK_NODE_MAP)
		return ZK_J_OBJECT;
	if (n->kind == ZK_NODE_LIST)
		return ZK_J_ARRAY;
	if (!n->plain)
		return ZK_J_STRING;
	if (is_one_of(n->text, nulls))
		return ZK_J_NULL;
	if (is_one_of(n->text, trues) || is_one_of(n->text, falses))
		return ZK_J_BOOL;
	if (is_decimal(n->text) || is_one_of(n->text, infinite) ||
	    other_base(n->text) >= 0)
		return ZK_J_NUMBER;
	return ZK_J_STRING;
}

const struct zk_node *zk_zip_get(const struct zk_node *map, const char *name)
{
	const struct zk_node *found = NULL;
	zk_str key = zk_str_of(name);

	if (!map || map->kind != ZK_NODE_MAP)
		return NULL;
	ZK_NODE_EACH(m, map)
	{
		if (zk_str_eq(m->key, key))
			found = m;
	}
	return found;
}

const struct zk_node *zk_zip_get_as(const struct zk_node *map, const char *name,
                                    enum zk_jtype type)
{
	const struct zk_node *n = zk_zip_get(map, name);

	return zk_zip_type(n) == type ? n : NULL;
}

/* A number as JSON has it: no plus sign, no zeros in front, digits on both sides of the point. */
static void put_number(zk_str s, struct zk_buf *b)
{
	int64_t v = other_base(s);

	if (v >= 0) {
		zk_buf_i64(b, v);
		return;
	}
	if (s.p[0] == '+' || s.p[0] == '-') {
		if (s.p[0] == '-')
			zk_buf_char(b, '-');
		s = zk_str_from(s, 1);
	}
	while (s.n > 1 && s.p[0] == '0' && s.p[1] >= '0' && s.p[1] <= '9')
		s = zk_str_from(s, 1);
	if (s.p[0] == '.')
		zk_buf_char(b, '0');
	size_t whole = digits(s, 0);

	zk_buf_put(b, s.p, whole);
	if (whole < s.n && s.p[whole] == '.') {
		size_t end = digits(s, whole + 1);

		if (end > whole + 1)
			zk_buf_put(b, s.p + whole, end - whole);
		whole = end;
	}
	zk_buf_add(b, zk_str_from(s, whole));
}

bool zk_zip_number(const struct zk_node *n, double *ret)
{
	struct zk_buf b;
	bool ok;

	if (zk_zip_type(n) != ZK_J_NUMBER)
		return false;
	if (is_one_of(n->text, infinite)) {
		*ret = HUGE_VAL;
		return true;
	}
	zk_buf_init(&b, n->text.n + 32);
	put_number(n->text, &b);
	ok = zk_jnum_double(zk_buf_str(&b), ret);
	zk_buf_done(&b);
	if (!ok)
		*ret = HUGE_VAL;
	return true;
}

bool zk_zip_is_inexact(const struct zk_node *n)
{
	double v;

	/* With a fraction or an exponent it is a double by intent. */
	if (zk_zip_type(n) != ZK_J_NUMBER || zk_str_find_char(n->text, '.') >= 0 ||
	    (other_base(n->text) < 0 && (zk_str_find_char(n->text, 'e') >= 0 ||
	                                 zk_str_find_char(n->text, 'E') >= 0)))
		return false;
	return zk_zip_number(n, &v) && fabs(v) > 9007199254740991.0;
}

static void put_scalar(const struct zk_node *n, struct zk_buf *b)
{
	switch (zk_zip_type(n)) {
	case ZK_J_NULL:
		zk_buf_lit(b, "null");
		return;
	case ZK_J_BOOL:
		zk_buf_cstr(b, is_one_of(n->text, trues) ? "true" : "false");
		return;
	case ZK_J_NUMBER:
		if (is_one_of(n->text, infinite))
			zk_buf_lit(b, "null");
		else
			put_number(n->text, b);
		return;
	case ZK_J_NONE:
	case ZK_J_STRING:
	case ZK_J_ARRAY:
	case ZK_J_OBJECT:
		break;
	}
	zk_buf_json_str(b, n->text);
}

/* An open container: what comes next in it. */
struct open {
	const struct zk_node *node, *next;
};

static void put_value(const struct zk_node *n, struct open *stack, unsigned *depth,
                      struct zk_buf *b)
{
	if (n->kind == ZK_NODE_SCALAR) {
		put_scalar(n, b);
		return;
	}
	zk_buf_char(b, n->kind == ZK_NODE_MAP ? '{' : '[');
	stack[(*depth)++] = (struct open){ .node = n, .next = n->first };
}

void zk_zip_json(const struct zk_node *n, struct zk_buf *b)
{
	struct open stack[ZK_DOC_DEPTH_MAX];
	unsigned depth = 0;

	put_value(n, stack, &depth, b);
	while (depth) {
		struct open *top = &stack[depth - 1];
		const struct zk_node *child = top->next;

		if (!child) {
			zk_buf_char(b, top->node->kind == ZK_NODE_MAP ? '}' : ']');
			depth--;
			continue;
		}
		top->next = child->next;
		if (child != top->node->first)
			zk_buf_char(b, ',');
		if (top->node->kind == ZK_NODE_MAP) {
			zk_buf_json_str(b, child->key);
			zk_buf_char(b, ':');
		}
		put_value(child, stack, &depth, b);
	}
}

static bool same_scalar(const struct zk_node *a, const struct zk_node *b)
{
	enum zk_jtype type = zk_zip_type(a);
	double x, y;

	if (type == ZK_J_NULL)
		return true;
	if (type == ZK_J_NUMBER)
		return zk_zip_number(a, &x) && zk_zip_number(b, &y) && x == y;
	if (type == ZK_J_BOOL)
		return is_one_of(a->text, trues) == is_one_of(b->text, trues);
	return zk_str_eq(a->text, b->text);
}

/* The partner of a child: of the same name, or at the same place. */
static const struct zk_node *partner(const struct zk_node *map, zk_str key)
{
	ZK_NODE_EACH(m, map)
	{
		if (zk_str_eq(m->key, key))
			return m;
	}
	return NULL;
}

/* Depth is at most ZK_DOC_DEPTH_MAX: the readers see to that. */
bool zk_zip_same(const struct zk_node *a, const struct zk_node *b)
{
	if (zk_zip_type(a) != zk_zip_type(b))
		return false;
	if (!a || a->kind == ZK_NODE_SCALAR)
		return !a || same_scalar(a, b);
	if (a->n != b->n)
		return false;
	const struct zk_node *y = b->first;

	ZK_NODE_EACH(x, a)
	{
		const struct zk_node *other =
		        a->kind == ZK_NODE_MAP ? partner(b, x->key) : y;

		if (!other || !zk_zip_same(x, other))
			return false;
		y = y ? y->next : NULL;
	}
	return true;
}
