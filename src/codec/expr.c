/* The compiler of small predicates: one pass over the text, a program with jumps.
 * Layer: codec. */
#include "codec/expr.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/ere.h"
#include "codec/expr_int.h"

#include "base/ban.h"

#define DEPTH_MAX 64
#define CODE_MAX  4096
#define RES_MAX   64
#define REGEX_MAX 1024
#define IN_MAX    1000
#define PATHS_MAX 4

struct parser {
	const struct zk_expr_conf *conf;
	struct zk_expr *e;
	struct zk_error *err;
	zk_str text;
	size_t at;
	unsigned depth;
};

static bool parse_or(struct parser *p);

/* ---- errors: they point at the column ---- */

static bool fail(struct parser *p, size_t at, const char *what)
{
	struct zk_err_spot spot = {
		.file = p->conf->what ? p->conf->what : "expression",
		.line = 1,
		.col = (unsigned)zk_utf8_len(zk_str_n(p->text.p, at)) + 1,
		.span = 1,
	};

	(void)zk_fail(p->err, ZK_E_USAGE, "%s: %s at column %u", spot.file, what,
	              spot.col);
	ZK_IGNORE(zk_err_at(p->err, &spot, p->text, NULL) < 0); /* its code */
	return false;
}

/* ---- memory: one arena per expression ---- */

static void *take(struct parser *p, size_t n)
{
	void *m = zk_arena_alloc(&p->e->arena, n);

	if (!m)
		fail(p, p->at, "the expression is too large");
	return m;
}

static zk_str keep(struct parser *p, zk_str s)
{
	char *m = zk_arena_strndup(&p->e->arena, s.p ? s.p : "", s.n);

	if (!m)
		fail(p, p->at, "the expression is too large");
	return zk_str_n(m, m ? s.n : 0);
}

static bool emit(struct parser *p, struct zk_expr_ins ins)
{
	struct zk_expr *e = p->e;

	if (e->n == CODE_MAX)
		return fail(p, p->at, "the expression is too large");
	if (e->n == e->room) {
		e->room = e->room ? e->room * 2 : 16;
		e->code = zk_realloc(e->code, e->room * sizeof(*e->code));
	}
	e->code[e->n++] = ins;
	return true;
}

/* ---- characters ---- */

static bool is_event(const struct parser *p)
{
	return p->conf->grammar == ZK_EXPR_EVENT;
}

static void skip_space(struct parser *p)
{
	while (p->at < p->text.n &&
	       (p->text.p[p->at] == ' ' || p->text.p[p->at] == '\t' ||
	        p->text.p[p->at] == '\n'))
		p->at++;
}

static bool accept(struct parser *p, const char *lit)
{
	zk_str s = zk_str_of(lit);

	skip_space(p);
	if (!zk_str_starts(zk_str_from(p->text, p->at), s))
		return false;
	p->at += s.n;
	return true;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '-' ||
	       (unsigned char)c >= 0x80;
}

static bool is_word_end(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == ')' || c == '(' || c == '&' ||
	       c == '|' || c == ',';
}

/* A word of letters that stands alone, such as `has`. */
static bool accept_word(struct parser *p, zk_str word)
{
	zk_str rest;

	skip_space(p);
	rest = zk_str_from(p->text, p->at);
	if (!zk_str_starts(rest, word) ||
	    (rest.n > word.n && (is_name(rest.p[word.n]) || rest.p[word.n] == '.')))
		return false;
	p->at += word.n;
	return true;
}

/* ---- paths ---- */

static bool put_index(struct parser *p, struct zk_buf *b)
{
	size_t start = ++p->at;

	while (p->at < p->text.n && isdigit((unsigned char)p->text.p[p->at]))
		p->at++;
	if (p->at == start || p->at == p->text.n || p->text.p[p->at] != ']')
		return fail(p, p->at, "expected a number and ']'");
	zk_buf_char(b, '.');
	zk_buf_put(b, p->text.p + start, p->at - start);
	p->at++;
	return true;
}

/* "a.b[0]" into "a.b.0". */
static bool read_path(struct parser *p, struct zk_buf *b)
{
	for (;;) {
		size_t start = p->at;

		while (p->at < p->text.n && is_name(p->text.p[p->at]))
			p->at++;
		if (p->at == start)
			return fail(p, p->at, "expected a path");
		zk_buf_put(b, p->text.p + start, p->at - start);
		while (p->at < p->text.n && p->text.p[p->at] == '[')
			if (!put_index(p, b))
				return false;
		if (p->at == p->text.n || p->text.p[p->at] != '.')
			return true;
		zk_buf_char(b, '.');
		p->at++;
	}
}

static bool add_alias(struct parser *p, struct zk_expr_test *t, const char *head,
                      zk_str rest)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	zk_str *paths = (zk_str *)t->paths;

	zk_buf_init(&b, ZK_EXPR_TEXT_MAX + 256);
	if (t->n_paths == PATHS_MAX)
		return true;
	zk_buf_cstr(&b, head);
	zk_buf_add(&b, rest);
	paths[t->n_paths++] = keep(p, zk_buf_str(&b));
	return p->err->code == 0;
}

static bool parse_path(struct parser *p, struct zk_expr_test *t)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	size_t start;
	zk_str head, rest;

	skip_space(p);
	start = p->at;
	zk_buf_init(&b, ZK_EXPR_TEXT_MAX);
	t->paths = take(p, PATHS_MAX * sizeof(zk_str));
	if (!t->paths || !read_path(p, &b))
		return false;
	(void)zk_str_cut(zk_buf_str(&b), '.', &head);
	rest = zk_str_from(zk_buf_str(&b), head.n);
	for (const struct zk_expr_alias *a = p->conf->aliases; a && a->name; a++)
		if (zk_str_eq(head, zk_str_of(a->name)) &&
		    !add_alias(p, t, a->path, rest))
			return false;
	if (t->n_paths)
		return true;
	if (p->conf->only_aliases)
		return fail(p, start, "there is no such name");
	return add_alias(p, t, "", zk_buf_str(&b));
}

/* ---- what stands on the right ---- */

static void classify(struct zk_expr_lit *l)
{
	struct zk_error ignored;

	l->is_int = zk_parse_i64(l->text, &l->i, &ignored) == 0;
	l->is_number = zk_parse_double(l->text, &l->d, &ignored) == 0;
	if (zk_str_eq(l->text, ZK_STR("true")) || zk_str_eq(l->text, ZK_STR("false")))
		l->constant = ZK_J_BOOL;
	else if (zk_str_eq(l->text, ZK_STR("null")))
		l->constant = ZK_J_NULL;
}

static bool parse_quoted(struct parser *p, struct zk_expr_lit *l)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	size_t start = p->at;
	char quote = p->text.p[p->at++];
	struct zk_error err;
	zk_str raw;

	zk_buf_init(&b, ZK_EXPR_TEXT_MAX);
	while (p->at < p->text.n && p->text.p[p->at] != quote)
		p->at += quote == '"' && p->text.p[p->at] == '\\' && p->at + 1 < p->text.n
		                 ? 2
		                 : 1;
	if (p->at >= p->text.n)
		return fail(p, start, "the text has no closing quote");
	p->at++;
	raw = zk_str_n(p->text.p + start, p->at - start);
	l->may_be_text = true;
	if (quote == '\'') {
		zk_buf_put(&b, raw.p + 1, raw.n - 2);
	} else {
		struct zk_jscan js;

		/* In double quotes it is a JSON text. */
		if (zk_jscan(raw, 1, NULL, 0, &js) < 0 ||
		    zk_jstr_decode(raw, ZK_JLONE_REPLACE, &b, &err) < 0)
			return fail(p, start,
			            "the text has an escape that JSON does not know");
	}
	l->text = keep(p, zk_buf_str(&b));
	return p->err->code == 0;
}

static bool parse_bare(struct parser *p, struct zk_expr_lit *l)
{
	size_t start = p->at;

	while (p->at < p->text.n && !is_word_end(p->text.p[p->at]))
		p->at++;
	if (p->at == start)
		return fail(p, p->at, "expected a value");
	l->text = keep(p, zk_str_n(p->text.p + start, p->at - start));
	classify(l);
	l->may_be_text = is_event(p);
	if (!l->may_be_text && !l->is_number && !l->constant)
		return fail(p, start, "expected a number or a text in quotes");
	return p->err->code == 0;
}

static bool parse_lit(struct parser *p, struct zk_expr_lit *l, bool *quoted)
{
	skip_space(p);
	*quoted = p->at < p->text.n &&
	          (p->text.p[p->at] == '"' || p->text.p[p->at] == '\'');
	return *quoted ? parse_quoted(p, l) : parse_bare(p, l);
}

static bool parse_in(struct parser *p, struct zk_expr_test *t)
{
	struct zk_expr_lit *right = take(p, IN_MAX * sizeof(*right));
	bool quoted;

	if (!right)
		return false;
	if (!accept(p, "("))
		return fail(p, p->at, "expected '(' after 'in'");
	do {
		if (t->n_right == IN_MAX)
			return fail(p, p->at, "the list is too long");
		if (!parse_lit(p, &right[t->n_right], &quoted))
			return false;
		t->n_right++;
	} while (accept(p, ","));
	if (!accept(p, ")"))
		return fail(p, p->at, "expected ',' or ')'");
	t->right = right;
	return true;
}

static bool compile_regex(struct parser *p, struct zk_expr_test *t, size_t at)
{
	zk_str s = t->right[0].text;
	regex_t *re = zk_new0(regex_t);
	char why[128];
	int r = s.n > REGEX_MAX || memchr(s.p, '\0', s.n) || !zk_ere_fits(s)
	                ? REG_ESPACE
	                : regcomp(re, s.p, REG_EXTENDED | REG_NOSUB);

	if (r != 0 || p->e->n_res == RES_MAX) {
		(void)regerror(r ? r : REG_ESPACE, re, why, sizeof(why));
		if (r == 0)
			regfree(re);
		free(re);
		return fail(p, at, why);
	}
	if (!p->e->res)
		p->e->res = zk_alloc_array(RES_MAX, sizeof(regex_t *));
	p->e->res[p->e->n_res++] = re;
	t->re = re;
	return true;
}

/* ---- tests ---- */

struct symbol {
	const char *text;
	enum zk_expr_cmp cmp;
};

static const struct symbol stream_symbols[] = {
	{ "==", ZK_EXPR_EQ }, { "!=", ZK_EXPR_NE },      { "<=", ZK_EXPR_LE },
	{ ">=", ZK_EXPR_GE }, { "=~", ZK_EXPR_REGEX },   { "<", ZK_EXPR_LT },
	{ ">", ZK_EXPR_GT },  { "~", ZK_EXPR_CONTAINS },
};
static const struct symbol event_symbols[] = {
	{ "==", ZK_EXPR_EQ }, { "!=", ZK_EXPR_NE },   { "<=", ZK_EXPR_LE },
	{ ">=", ZK_EXPR_GE }, { "=", ZK_EXPR_EQ },    { "<", ZK_EXPR_LT },
	{ ">", ZK_EXPR_GT },  { "~", ZK_EXPR_REGEX },
};

static bool accept_symbol(struct parser *p, enum zk_expr_cmp *ret)
{
	const struct symbol *s = is_event(p) ? event_symbols : stream_symbols;

	_Static_assert(ZK_ARRAY_LEN(event_symbols) == ZK_ARRAY_LEN(stream_symbols),
	               "one loop for both");
	for (size_t i = 0; i < ZK_ARRAY_LEN(event_symbols); i++) {
		if (!accept(p, s[i].text))
			continue;
		*ret = s[i].cmp;
		return true;
	}
	return false;
}

static bool parse_right(struct parser *p, struct zk_expr_test *t)
{
	struct zk_expr_lit *lit = take(p, sizeof(*lit));
	bool quoted;
	size_t at;

	skip_space(p);
	at = p->at;
	if (!lit || !parse_lit(p, lit, &quoted))
		return false;
	t->right = lit;
	t->n_right = 1;
	if (t->cmp == ZK_EXPR_REGEX)
		return compile_regex(p, t, at);
	if (!quoted && is_event(p) && lit->text.n &&
	    (memchr(lit->text.p, '*', lit->text.n) ||
	     memchr(lit->text.p, '?', lit->text.n))) {
		if (t->cmp == ZK_EXPR_EQ)
			t->cmp = ZK_EXPR_GLOB;
		else if (t->cmp == ZK_EXPR_NE)
			t->cmp = ZK_EXPR_NOT_GLOB;
	}
	return true;
}

static bool parse_test(struct parser *p)
{
	struct zk_expr_test *t = take(p, sizeof(*t));
	bool has;

	if (!t)
		return false;
	has = !is_event(p) && accept_word(p, ZK_STR("has"));
	if (!parse_path(p, t))
		return false;
	t->cmp = ZK_EXPR_HAS;
	if (!has && !is_event(p) && accept_word(p, ZK_STR("in"))) {
		t->cmp = ZK_EXPR_IN;
		if (!parse_in(p, t))
			return false;
	} else if (!has && accept_symbol(p, &t->cmp)) {
		if (!parse_right(p, t))
			return false;
	} else if (!has && !is_event(p)) {
		return fail(p, p->at, "expected a comparison");
	}
	return emit(p, (struct zk_expr_ins){ .op = ZK_EXPR_TEST, .test = t });
}

static bool parse_not(struct parser *p)
{
	bool turned = false, ok;

	for (;;) {
		skip_space(p);
		if (p->at >= p->text.n || p->text.p[p->at] != '!')
			break;
		p->at++;
		turned = !turned;
	}
	if (!accept(p, "(")) {
		ok = parse_test(p);
	} else {
		if (++p->depth > DEPTH_MAX)
			return fail(p, p->at, "too many parentheses");
		ok = parse_or(p);
		p->depth--;
		if (ok && !accept(p, ")"))
			return fail(p, p->at, "expected ')'");
	}
	return ok && (!turned || emit(p, (struct zk_expr_ins){ .op = ZK_EXPR_NOT }));
}

/* operand { sep operand }: after each operand but the last a jump to the end. */
static bool parse_chain(struct parser *p, const char *sep, enum zk_expr_op jump,
                        bool (*operand)(struct parser *p))
{
	size_t first = 0, n = 0;

	if (!operand(p))
		return false;
	while (accept(p, sep)) {
		size_t at = p->e->n;

		if (!emit(p, (struct zk_expr_ins){ .op = jump, .to = (uint32_t)first }))
			return false;
		first = at; /* a chain of jumps, linked through `to` until the end is known */
		n++;
		if (!operand(p))
			return false;
	}
	for (; n; n--) {
		size_t next = p->e->code[first].to;

		p->e->code[first].to = (uint32_t)p->e->n;
		first = next;
	}
	return true;
}

static bool parse_and(struct parser *p)
{
	return parse_chain(p, "&&", ZK_EXPR_IF_FALSE, parse_not);
}

static bool parse_or(struct parser *p)
{
	return parse_chain(p, "||", ZK_EXPR_IF_TRUE, parse_and);
}

int zk_expr_compile(zk_str text, const struct zk_expr_conf *conf, struct zk_expr **ret,
                    struct zk_error *err)
{
	struct zk_expr *e = zk_new0(struct zk_expr);
	struct parser p = { .conf = conf, .e = e, .err = err, .text = text };
	bool ok;

	err->code = ZK_E_NONE;
	zk_arena_init(&e->arena, 4u << 20);
	if (text.n > ZK_EXPR_TEXT_MAX)
		ok = fail(&p, 0, "the expression is too long");
	else if (!zk_utf8_valid(text))
		ok = fail(&p, 0, "the expression is not UTF-8");
	else
		ok = parse_or(&p);
	skip_space(&p);
	if (ok && p.at < text.n)
		ok = fail(&p, p.at, "expected '&&', '||' or the end");
	if (!ok) {
		zk_expr_free(e);
		return -(int)err->code;
	}
	*ret = e;
	return 0;
}

void zk_expr_free(struct zk_expr *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_res; i++) {
		regfree(e->res[i]);
		free(e->res[i]);
	}
	free(e->res);
	free(e->code);
	zk_arena_done(&e->arena);
	free(e);
}
