/* The grammar of type_text, as tables describe their columns.
 * Layer: zerobus. specs/zerobus.md §10.4. Text of a peer: bounded, no recursion. */
#include <string.h>

#include "zerobus/schema_int.h"

#include "base/ban.h"

#define TEXT_MAX ((size_t)1 << 20)

/* What is open: the element of an array, the key or value of a map, a member of a struct. */
enum inside { IN_TOP, IN_ARRAY, IN_KEY, IN_VALUE, IN_STRUCT };

struct level {
	enum inside what;
	uint32_t node; /* that the types inside belong to */
};

struct parser {
	struct zk_zb_tree *t;
	zk_str s;
	struct level stack[ZK_ZB_DEPTH_MAX + 1];
	size_t depth;
	struct zk_zb_field field; /* the one whose type comes next */
	uint32_t parent;
	const char *why;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct parser *p)
{
	while (p->s.n && is_space(p->s.p[0]))
		p->s = zk_str_from(p->s, 1);
}

static bool eat(struct parser *p, char c)
{
	skip_space(p);
	if (!p->s.n || p->s.p[0] != c)
		return false;
	p->s = zk_str_from(p->s, 1);
	return true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static zk_str word(struct parser *p)
{
	size_t n = 0;
	zk_str w;

	skip_space(p);
	while (n < p->s.n && is_word(p->s.p[n]))
		n++;
	w = zk_str_n(p->s.p, n);
	p->s = zk_str_from(p->s, n);
	return w;
}

static bool eat_word(struct parser *p, zk_str want)
{
	struct parser back = *p;

	if (zk_str_eq_nocase(word(p), want))
		return true;
	p->s = back.s;
	return false;
}

static int refuse(struct parser *p, const char *why)
{
	p->why = why;
	return -1;
}

static int number(struct parser *p, int64_t min, int64_t max, int64_t *ret)
{
	struct zk_error err;
	bool minus = eat(p, '-');
	zk_str w = word(p);
	uint64_t v;

	if (!w.n || zk_parse_u64(w, &v, &err) < 0 || v > INT32_MAX)
		return refuse(p, "");
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return *ret < min || *ret > max ? refuse(p, "a size is out of range") : 0;
}

/* DECIMAL, DECIMAL(p), DECIMAL(p,s). */
static int decimal(struct parser *p)
{
	int64_t precision = 10, scale = 0;

	if (eat(p, '(')) {
		if (number(p, 1, 38, &precision) < 0)
			return -1;
		if (eat(p, ',') && number(p, 0, precision, &scale) < 0)
			return -1;
		if (!eat(p, ')'))
			return refuse(p, "");
	}
	p->field.type = ZK_ZBT_DECIMAL;
	p->field.precision = (int16_t)precision;
	p->field.scale = (int16_t)scale;
	return 0;
}

static int text_type(struct parser *p, enum zk_zb_type type)
{
	int64_t n;

	if (!eat(p, '(') || number(p, 1, INT32_MAX, &n) < 0 || !eat(p, ')'))
		return p->why ? -1 : refuse(p, "");
	p->field.type = type;
	p->field.length = (uint32_t)n;
	return 0;
}

static int scalar(struct parser *p, zk_str name)
{
	static const struct {
		zk_str name;
		enum zk_zb_type type;
	} types[] = {
		{ ZK_STR_INIT("BOOLEAN"), ZK_ZBT_BOOLEAN },
		{ ZK_STR_INIT("TINYINT"), ZK_ZBT_TINYINT },
		{ ZK_STR_INIT("BYTE"), ZK_ZBT_TINYINT },
		{ ZK_STR_INIT("SMALLINT"), ZK_ZBT_SMALLINT },
		{ ZK_STR_INIT("SHORT"), ZK_ZBT_SMALLINT },
		{ ZK_STR_INIT("INT"), ZK_ZBT_INT },
		{ ZK_STR_INIT("INTEGER"), ZK_ZBT_INT },
		{ ZK_STR_INIT("BIGINT"), ZK_ZBT_BIGINT },
		{ ZK_STR_INIT("LONG"), ZK_ZBT_BIGINT },
		{ ZK_STR_INIT("FLOAT"), ZK_ZBT_FLOAT },
		{ ZK_STR_INIT("REAL"), ZK_ZBT_FLOAT },
		{ ZK_STR_INIT("DOUBLE"), ZK_ZBT_DOUBLE },
		{ ZK_STR_INIT("STRING"), ZK_ZBT_STRING },
		{ ZK_STR_INIT("BINARY"), ZK_ZBT_BINARY },
		{ ZK_STR_INIT("DATE"), ZK_ZBT_DATE },
		{ ZK_STR_INIT("TIMESTAMP"), ZK_ZBT_TIMESTAMP },
		{ ZK_STR_INIT("TIMESTAMP_NTZ"), ZK_ZBT_TIMESTAMP_NTZ },
		{ ZK_STR_INIT("VARIANT"), ZK_ZBT_VARIANT },
	};

	if (zk_str_eq_nocase(name, ZK_STR("DECIMAL")) ||
	    zk_str_eq_nocase(name, ZK_STR("DEC")) ||
	    zk_str_eq_nocase(name, ZK_STR("NUMERIC")))
		return decimal(p);
	if (zk_str_eq_nocase(name, ZK_STR("VARCHAR")))
		return text_type(p, ZK_ZBT_VARCHAR);
	if (zk_str_eq_nocase(name, ZK_STR("CHAR")))
		return text_type(p, ZK_ZBT_CHAR);
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++) {
		if (!zk_str_eq_nocase(name, types[i].name))
			continue;
		p->field.type = types[i].type;
		return 0;
	}
	return refuse(p, "no counterpart: store it as STRING or VARIANT");
}

static int push(struct parser *p, enum inside what, uint32_t node)
{
	if (p->depth == ZK_ARRAY_LEN(p->stack))
		return refuse(p, "nested more than 100 deep");
	p->stack[p->depth++] = (struct level){ what, node };
	return 0;
}

static uint32_t add(struct parser *p)
{
	uint32_t node = zk_zb_tree_add(p->t, p->parent, &p->field);

	if (node == ZK_ZB_NONE)
		(void)refuse(p, "too many members");
	return node;
}

static void begin_field(struct parser *p, zk_str name, uint32_t parent)
{
	p->field = (struct zk_zb_field){ .name = name,
		                         .nullable = true,
		                         .message = ZK_ZB_NONE };
	p->parent = parent;
}

/* The text between two `q`, a doubled one being one of it (and with `escapes` a backslash too). */
static int quoted(struct parser *p, char q, bool escapes, zk_str *ret)
{
	char *out = zk_arena_alloc(&p->t->arena, p->s.n + 1);
	size_t n = 0, i = 0;

	if (!out)
		return refuse(p, "too long");
	for (;; i++) {
		if (i == p->s.n)
			return refuse(p, "");
		bool more = i + 1 < p->s.n;

		if (more && ((escapes && p->s.p[i] == '\\') ||
		             (p->s.p[i] == q && p->s.p[i + 1] == q)))
			i++;
		else if (p->s.p[i] == q)
			break;
		out[n++] = p->s.p[i];
	}
	p->s = zk_str_from(p->s, i + 1);
	*ret = zk_str_n(out, n);
	return 0;
}

/* NAME: of a member of a struct. */
static int member(struct parser *p, uint32_t parent)
{
	zk_str name;

	if (eat(p, '`')) {
		if (quoted(p, '`', false, &name) < 0)
			return -1;
	} else {
		name = word(p);
	}
	if (!name.n)
		return refuse(p, "");
	(void)eat(p, ':'); /* STRUCT<a INT> is written too */
	begin_field(p, name, parent);
	return 0;
}

static int key_or_value(struct parser *p, zk_str name)
{
	if (scalar(p, name) < 0)
		return -1;
	if (p->stack[p->depth - 1].what == IN_KEY &&
	    (p->field.type == ZK_ZBT_FLOAT || p->field.type == ZK_ZBT_DOUBLE ||
	     p->field.type == ZK_ZBT_BINARY || p->field.type == ZK_ZBT_DECIMAL ||
	     p->field.type == ZK_ZBT_VARIANT))
		return refuse(p, "map keys are integers, bools or text");
	return add(p) == ZK_ZB_NONE ? -1 : 0;
}

/* MAP< or STRUCT<. */
static int open_members(struct parser *p, bool map)
{
	uint32_t node;

	p->field.type = ZK_ZBT_STRUCT;
	p->field.map = map;
	node = add(p);
	if (node == ZK_ZB_NONE || push(p, map ? IN_KEY : IN_STRUCT, node) < 0)
		return -1;
	if (!map)
		return member(p, node) < 0 ? -1 : 1;
	begin_field(p, ZK_STR("key"), node);
	return 1;
}

/* Opens ARRAY<, MAP<, STRUCT<; 1 when the type goes on inside, 0 when it was a scalar. */
static int type(struct parser *p)
{
	zk_str name = word(p);
	bool array = zk_str_eq_nocase(name, ZK_STR("ARRAY"));
	bool map = zk_str_eq_nocase(name, ZK_STR("MAP"));
	enum inside in = p->stack[p->depth - 1].what;

	if (!name.n)
		return refuse(p, "");
	if (!array && !map && !zk_str_eq_nocase(name, ZK_STR("STRUCT")))
		return key_or_value(p, name);
	if (!eat(p, '<'))
		return refuse(p, "");
	if (in == IN_KEY)
		return refuse(p, "map keys are integers, bools or text");
	if ((array || map) && (p->field.list || in == IN_VALUE))
		return refuse(p, "lists and maps inside lists or maps");
	if (!array)
		return open_members(p, map);
	p->field.list = true;
	return push(p, IN_ARRAY, ZK_ZB_NONE) < 0 ? -1 : 1;
}

/* NOT NULL and COMMENT '…' behind a member. */
static int member_tail(struct parser *p, uint32_t parent)
{
	struct zk_zb_node *n = &p->t->nodes[p->t->nodes[parent].last_child];

	if (eat_word(p, ZK_STR("NOT"))) {
		if (!eat_word(p, ZK_STR("NULL")))
			return refuse(p, "");
		n->field.nullable = false;
	}
	if (!eat_word(p, ZK_STR("COMMENT")))
		return 0;
	return eat(p, '\'') ? quoted(p, '\'', true, &n->field.comment) : refuse(p, "");
}

/* A type ended: what comes next. 1 = another type follows, 0 = go on closing, -1. */
static int closed(struct parser *p)
{
	struct level *l = &p->stack[p->depth - 1];

	switch (l->what) {
	case IN_ARRAY:
	case IN_VALUE:
		break;
	case IN_KEY:
		if (!eat(p, ','))
			return refuse(p, "");
		l->what = IN_VALUE;
		begin_field(p, ZK_STR("value"), l->node);
		return 1;
	case IN_STRUCT:
		if (member_tail(p, l->node) < 0)
			return -1;
		if (eat(p, ','))
			return member(p, l->node) < 0 ? -1 : 1;
		break;
	case IN_TOP:
		return 0;
	}
	if (!eat(p, '>'))
		return refuse(p, "");
	p->depth--;
	return 0;
}

int zk_zb_type_parse(struct zk_zb_tree *t, zk_str text, const struct zk_zb_field *column,
                     const char **why)
{
	struct parser p = { .t = t, .s = text, .field = *column, .parent = ZK_ZB_NONE };
	int r = 1;

	*why = "";
	if (text.n > TEXT_MAX)
		return -1;
	(void)push(&p, IN_TOP, ZK_ZB_NONE);
	while (r >= 0) {
		if (r == 1) {
			r = type(&p);
			continue;
		}
		if (p.stack[p.depth - 1].what == IN_TOP)
			break;
		r = closed(&p);
	}
	skip_space(&p);
	if (r == 0 && p.s.n == 0)
		return 0;
	*why = p.why ? p.why : "";
	return -1;
}
