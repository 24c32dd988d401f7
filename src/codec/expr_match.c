/* The machine that runs compiled predicates over the bytes of a record.
 * Layer: codec. */
#include <string.h>

#include "base/buf.h"
#include "codec/expr_int.h"

#include "base/ban.h"

#define TEXT_MAX (64u << 20) /* of a decoded string; the record bounds it */

struct machine {
	zk_str json;
	zk_expr_find_fn find;
	const void *ctx;
	struct zk_buf *text; /* for strings with escapes */
};

/* ---- one value against one literal ---- */

static bool sign_fits(enum zk_expr_cmp cmp, int sign)
{
	switch (cmp) {
	case ZK_EXPR_EQ:
	case ZK_EXPR_IN:
		return sign == 0;
	case ZK_EXPR_NE:
		return sign != 0;
	case ZK_EXPR_LT:
		return sign < 0;
	case ZK_EXPR_LE:
		return sign <= 0;
	case ZK_EXPR_GT:
		return sign > 0;
	case ZK_EXPR_GE:
		return sign >= 0;
	case ZK_EXPR_HAS:
	case ZK_EXPR_CONTAINS:
	case ZK_EXPR_REGEX:
	case ZK_EXPR_GLOB:
	case ZK_EXPR_NOT_GLOB:
		break;
	}
	return false;
}

static bool compare_number(const struct zk_expr_test *t, const struct zk_expr_lit *l,
                           zk_str raw)
{
	int64_t i;
	double d;

	if (!l->is_number)
		return false;
	if (l->is_int && zk_jnum_i64(raw, &i))
		return sign_fits(t->cmp, (i > l->i) - (i < l->i));
	if (!zk_jnum_double(raw, &d))
		return false;
	return sign_fits(t->cmp, (d > l->d) - (d < l->d));
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool contains(zk_str s, zk_str part)
{
	char first[3];

	if (!part.n)
		return true;
	first[0] = fold(part.p[0]);
	first[1] = first[0] >= 'a' && first[0] <= 'z' ? (char)(first[0] - 32) : first[0];
	for (size_t i = 0; i + part.n <= s.n; i++) {
		size_t k = 1;

		if (s.p[i] != first[0] && s.p[i] != first[1])
			continue;
		while (k < part.n && fold(s.p[i + k]) == fold(part.p[k]))
			k++;
		if (k == part.n)
			return true;
	}
	return false;
}

/* regexec() wants a NUL behind the text; one inside is no end. */
static bool regex_fits(struct machine *m, const regex_t *re, zk_str s)
{
	regmatch_t at = { .rm_so = 0 };

	if (s.p != m->text->p) {
		zk_buf_clear(m->text);
		zk_buf_add(m->text, s);
	}
	if (m->text->failed)
		return false;
	at.rm_eo = (regoff_t)m->text->n;
	return regexec(re, zk_buf_cstring(m->text), 1, &at, REG_STARTEND) == 0;
}

static bool compare_text(struct machine *m, const struct zk_expr_test *t,
                         const struct zk_expr_lit *l, zk_str s)
{
	switch (t->cmp) {
	case ZK_EXPR_CONTAINS:
		return contains(s, l->text);
	case ZK_EXPR_REGEX:
		return regex_fits(m, t->re, s);
	case ZK_EXPR_GLOB:
		return zk_str_glob(l->text, s);
	case ZK_EXPR_NOT_GLOB:
		return !zk_str_glob(l->text, s);
	case ZK_EXPR_EQ:
	case ZK_EXPR_NE:
	case ZK_EXPR_IN:
		if (!l->may_be_text)
			return false;
		return zk_str_eq(s, l->text) == (t->cmp != ZK_EXPR_NE);
	case ZK_EXPR_LT:
	case ZK_EXPR_LE:
	case ZK_EXPR_GT:
	case ZK_EXPR_GE:
		return l->may_be_text && sign_fits(t->cmp, zk_str_cmp(s, l->text));
	case ZK_EXPR_HAS:
		break;
	}
	return false;
}

/* The decoded text of a string value. */
static bool text_of(struct machine *m, zk_str raw, zk_str *ret)
{
	struct zk_error ignored;

	if (zk_jstr_plain(raw, ret))
		return true;
	zk_buf_clear(m->text);
	if (zk_jstr_decode(raw, ZK_JLONE_REPLACE, m->text, &ignored) < 0 ||
	    m->text->failed)
		return false;
	*ret = zk_buf_str(m->text);
	return true;
}

static bool compare_one(struct machine *m, const struct zk_expr_test *t,
                        const struct zk_expr_lit *l, const struct zk_jval *v)
{
	bool equal;
	zk_str s;

	switch (v->type) {
	case ZK_J_NUMBER:
		return compare_number(t, l, v->raw);
	case ZK_J_STRING:
		return text_of(m, v->raw, &s) && compare_text(m, t, l, s);
	case ZK_J_BOOL:
	case ZK_J_NULL:
		if (l->constant == ZK_J_NONE)
			return false;
		equal = zk_str_eq(v->raw, l->text);
		return t->cmp == ZK_EXPR_NE
		               ? !equal
		               : (t->cmp == ZK_EXPR_EQ || t->cmp == ZK_EXPR_IN) && equal;
	case ZK_J_NONE:
	case ZK_J_ARRAY:
	case ZK_J_OBJECT:
		break;
	}
	return false;
}

static bool compare_any(struct machine *m, const struct zk_expr_test *t,
                        const struct zk_jval *v)
{
	for (size_t i = 0; i < t->n_right; i++)
		if (compare_one(m, t, &t->right[i], v))
			return true;
	return false;
}

/* An array satisfies it when an element does; `!=` when no element is equal. */
static bool compare_array(struct machine *m, const struct zk_expr_test *t, zk_str array)
{
	struct zk_expr_test turned = *t;
	bool all = t->cmp == ZK_EXPR_NE || t->cmp == ZK_EXPR_NOT_GLOB;
	struct zk_jiter it;
	struct zk_jval v;

	if (all)
		turned.cmp = t->cmp == ZK_EXPR_NE ? ZK_EXPR_EQ : ZK_EXPR_GLOB;
	zk_jiter_init(&it, array);
	while (zk_jiter_element(&it, &v))
		if (compare_any(m, &turned, &v))
			return !all;
	return all;
}

/* ---- the machine ---- */

static bool find(const struct machine *m, const struct zk_expr_test *t,
                 struct zk_jval *ret)
{
	for (size_t i = 0; i < t->n_paths; i++) {
		enum zk_expr_found f =
		        m->find ? m->find(m->ctx, t->paths[i], ret) : ZK_EXPR_UNKNOWN;

		if (f == ZK_EXPR_UNKNOWN)
			f = zk_jscan_get(m->json, t->paths[i], ret) ? ZK_EXPR_THERE
			                                            : ZK_EXPR_NOT_THERE;
		if (f == ZK_EXPR_THERE && ret->type != ZK_J_NONE)
			return true;
	}
	return false;
}

static bool run_test(struct machine *m, const struct zk_expr_test *t)
{
	struct zk_jval v = { 0 };

	if (!find(m, t, &v))
		return false;
	if (t->cmp == ZK_EXPR_HAS)
		return v.type != ZK_J_NULL;
	return v.type == ZK_J_ARRAY ? compare_array(m, t, v.raw) : compare_any(m, t, &v);
}

bool zk_expr_match_with(const struct zk_expr *e, zk_str json, zk_expr_find_fn fn,
                        const void *ctx)
{
	struct zk_buf text;
	struct machine m = { .json = json, .find = fn, .ctx = ctx, .text = &text };
	bool flag = false;

	zk_buf_init(&text, TEXT_MAX);
	for (size_t pc = 0; pc < e->n; pc++) {
		const struct zk_expr_ins *ins = &e->code[pc];

		switch (ins->op) {
		case ZK_EXPR_TEST:
			flag = run_test(&m, ins->test);
			break;
		case ZK_EXPR_NOT:
			flag = !flag;
			break;
		case ZK_EXPR_IF_FALSE:
			pc = flag ? pc : ins->to - 1;
			break;
		case ZK_EXPR_IF_TRUE:
			pc = flag ? ins->to - 1 : pc;
			break;
		}
	}
	zk_buf_done(&text);
	return flag;
}

bool zk_expr_match(const struct zk_expr *e, zk_str json)
{
	return zk_expr_match_with(e, json, NULL, NULL);
}
