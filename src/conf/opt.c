/* Option rows: setting, checking and showing values.
 * Layer: conf. */
#include "conf/opt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/near.h"
#include "conf/origin.h"
#include "conf/secret.h"

#include "base/ban.h"

struct zk_optblock {
	struct zk_optblock *next;
	size_t n;
	max_align_t data[];
};

void *zk_optpool_alloc(struct zk_optpool *pool, size_t n)
{
	struct zk_optblock *b = zk_alloc0(sizeof(*b) + n);

	b->n = n;
	b->next = pool->blocks;
	pool->blocks = b;
	return b->data;
}

char *zk_optpool_str(struct zk_optpool *pool, zk_str s)
{
	char *p = zk_optpool_alloc(pool, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

void zk_optpool_done(struct zk_optpool *pool)
{
	while (pool->blocks) {
		struct zk_optblock *b = pool->blocks;

		pool->blocks = b->next;
		zk_wipe(b->data, b->n);
		free(b);
	}
}

static void *at(const struct zk_opt *row, void *base)
{
	return (char *)base + row->off;
}

static const void *at_const(const struct zk_opt *row, const void *base)
{
	return (const char *)base + row->off;
}

/* A message about a secret must not quote it. */
static int hide(const struct zk_opt *row, struct zk_error *err)
{
	if (row->flags & ZK_OPT_SECRET)
		return zk_fail(err, err->code, "the value is not what '%s' takes",
		               row->name);
	return -(int)err->code;
}

static int out_of_range(const struct zk_opt *row, zk_str text, struct zk_error *err)
{
	struct zk_buf b;
	struct zk_opt edge = { .type = row->type, .off = 0 };
	char low[64], high[64];
	int64_t v = row->min;

	/* Both ends in the spelling of the type ("5s", "64KiB"). */
	zk_buf_init(&b, sizeof(low) - 1);
	zk_opt_format(&edge, &v, &b);
	memcpy(low, zk_buf_cstring(&b), b.n + 1);
	zk_buf_clear(&b);
	v = row->max;
	zk_opt_format(&edge, &v, &b);
	memcpy(high, zk_buf_cstring(&b), b.n + 1);
	zk_buf_done(&b);
	return zk_fail(err, ZK_E_DATA, "'%.*s' is out of range: %s to %s",
	               ZK_STR_ARG(text), low, high);
}

static bool is_bounded(const struct zk_opt *row)
{
	return row->min || row->max;
}

static int set_signed(const struct zk_opt *row, int64_t *to, int64_t v, zk_str text,
                      struct zk_error *err)
{
	if (is_bounded(row) && (v < row->min || v > row->max))
		return out_of_range(row, text, err);
	*to = v;
	return 0;
}

static int set_unsigned(const struct zk_opt *row, uint64_t *to, uint64_t v, zk_str text,
                        struct zk_error *err)
{
	if (is_bounded(row) && (v < (uint64_t)row->min || v > (uint64_t)row->max))
		return out_of_range(row, text, err);
	*to = v;
	return 0;
}

static int set_number(const struct zk_opt *row, void *to, zk_str text,
                      struct zk_error *err)
{
	uint64_t u = 0;
	int64_t i = 0;
	int r;

	switch (row->type) {
	case ZK_OPT_UINT:
		r = zk_parse_u64(text, &u, err);
		return r < 0 ? r : set_unsigned(row, to, u, text, err);
	case ZK_OPT_SIZE:
		r = zk_parse_size(text, &u, err);
		return r < 0 ? r : set_unsigned(row, to, u, text, err);
	case ZK_OPT_INT:
		r = zk_parse_i64(text, &i, err);
		return r < 0 ? r : set_signed(row, to, i, text, err);
	default:
		r = zk_parse_duration(text, &i, err);
		return r < 0 ? r : set_signed(row, to, i, text, err);
	}
}

static int set_bool(const struct zk_opt *row, bool *to, zk_str text, struct zk_error *err)
{
	bool v;
	int r = zk_parse_bool(text, &v, err);

	if (r == 0)
		*to = (row->flags & ZK_OPT_F_INVERT) ? !v : v;
	return r;
}

static int set_count(int *to, zk_str text, struct zk_error *err)
{
	uint64_t v;
	int r = zk_parse_u64(text, &v, err);

	if (r == 0 && v > 9)
		r = zk_fail(err, ZK_E_DATA, "'%.*s' is out of range: 0 to 9",
		            ZK_STR_ARG(text));
	if (r == 0)
		*to = (int)v;
	return r;
}

static int set_enum(const struct zk_opt *row, int *to, zk_str text, struct zk_error *err)
{
	struct zk_buf all;
	struct zk_near near = { .want = text };

	for (int i = 0; row->values[i]; i++) {
		if (zk_str_eq(text, zk_str_of(row->values[i]))) {
			*to = i;
			return 0;
		}
		zk_near_add(&near, row->values[i]);
	}
	zk_buf_init(&all, 400);
	for (int i = 0; row->values[i]; i++)
		zk_buf_printf(&all, "%s%s", i ? ", " : "", row->values[i]);
	(void)zk_fail(err, ZK_E_DATA, "'%.*s' is not one of %s", ZK_STR_ARG(text),
	              zk_buf_cstring(&all));
	zk_buf_done(&all);
	if (near.best)
		(void)zk_err_hint(err, "did you mean '%s'?", near.best);
	return -ZK_E_DATA;
}

static int check_text(zk_str text, struct zk_error *err)
{
	if (!zk_utf8_valid(text))
		return zk_fail(err, ZK_E_DATA, "the text is not valid UTF-8");
	if (text.n && memchr(text.p, '\0', text.n))
		return zk_fail(err, ZK_E_DATA, "the text holds a NUL byte");
	return 0;
}

static int set_path(struct zk_optpool *pool, const char **to, zk_str text,
                    struct zk_error *err)
{
	const char *home;
	char *p;

	if (text.n == 0)
		return zk_fail(err, ZK_E_DATA, "the path is empty");
	if (!zk_str_starts(text, ZK_STR("~/"))) {
		*to = zk_optpool_str(pool, text);
		return 0;
	}
	home = getenv("HOME");
	if (!home || home[0] != '/')
		return zk_fail(err, ZK_E_DATA, "'%.*s' needs HOME to be set",
		               ZK_STR_ARG(text));
	p = zk_optpool_alloc(pool, strlen(home) + text.n);
	memcpy(p, home, strlen(home));
	memcpy(p + strlen(home), text.p + 1, text.n - 1);
	*to = p;
	return 0;
}

/* Old arrays stay in the pool, so a list that somebody holds stays readable. */
static void list_add(struct zk_optpool *pool, struct zk_strlist *l, zk_str text)
{
	if ((l->n & (l->n + 1)) == 0) {
		char **v = zk_optpool_alloc(pool, (l->n * 2 + 2) * sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
	}
	l->v[l->n++] = zk_optpool_str(pool, text);
	l->v[l->n] = NULL;
}

static int set_list(struct zk_optpool *pool, const struct zk_opt *row,
                    struct zk_strlist *to, zk_str text, struct zk_error *err)
{
	bool comma = row->flags & ZK_OPT_F_COMMA;
	struct zk_strlist copy = *to;

	do {
		zk_str rest = ZK_STR_NULL, one = text;

		if (comma)
			rest = zk_str_cut(text, ',', &one);
		if (comma)
			one = zk_str_trim(one);
		if (one.n == 0)
			return zk_fail(err, ZK_E_DATA, "an element of the list is empty");
		if (row->type == ZK_OPT_MAP && zk_str_find_char(one, '=') < 1)
			return zk_fail(err, ZK_E_DATA, "'%.*s' is not of the form %s",
			               ZK_STR_ARG(one),
			               row->meta ? row->meta : "KEY=VALUE");
		list_add(pool, &copy, one);
		text = rest;
	} while (text.p);
	*to = copy;
	return 0;
}

static int set_secret(struct zk_optpool *pool, const struct zk_opt *row,
                      struct zk_secret *to, zk_str text, struct zk_error *err)
{
	static const char *const schemes[] = {
		[ZK_SECRET_FILE] = "file",
		[ZK_SECRET_FD] = "fd",
		[ZK_SECRET_ENV] = "env",
		[ZK_SECRET_COMMAND] = "command",
		[ZK_SECRET_CREDENTIAL] = "credential",
		[ZK_SECRET_INLINE] = "inline",
	};
	struct zk_secret s = { .name = row->name };
	struct zk_strlist args = { .v = to->argv, .n = to->argc };
	zk_str scheme, rest = zk_str_cut(text, ':', &scheme);

	if (rest.n == 0)
		return zk_fail(err, ZK_E_DATA, "the source of the secret is empty");
	if (zk_str_eq(scheme, ZK_STR("arg")) && to->kind == ZK_SECRET_COMMAND) {
		list_add(pool, &args, rest);
		to->argv = args.v;
		to->argc = args.n;
		return 0;
	}
	for (size_t i = 1; i < ZK_ARRAY_LEN(schemes); i++)
		if (zk_str_eq(scheme, zk_str_of(schemes[i])))
			s.kind = (enum zk_secret_kind)i;
	ZK_ASSERT(s.kind != ZK_SECRET_NONE);
	if (s.kind == ZK_SECRET_FILE && !zk_str_eq(rest, ZK_STR("-"))) {
		if (set_path(pool, &s.text, rest, err) < 0)
			return -(int)err->code;
	} else {
		s.text = zk_optpool_str(pool, rest);
	}
	if (s.kind == ZK_SECRET_COMMAND) {
		args = (struct zk_strlist){ 0 };
		list_add(pool, &args, rest);
		s.argv = args.v;
		s.argc = args.n;
	}
	*to = s;
	return 0;
}

const struct zk_opt *zk_opt_find(const struct zk_opt *rows, zk_str key)
{
	for (; rows->type != ZK_OPT_NONE; rows++) {
		size_t i = 0;

		while (rows->name[i] && i < key.n &&
		       (key.p[i] == rows->name[i] ||
		        (key.p[i] == '_' && rows->name[i] == '-')))
			i++;
		if (!rows->name[i] && i == key.n)
			return rows;
	}
	return NULL;
}

/* The record `name`, made when it is new. Old arrays stay in the pool. */
static void *record_of(struct zk_optpool *pool, const struct zk_opt *row,
                       struct zk_opttable *t, zk_str name)
{
	struct zk_optrec *v;

	for (size_t i = 0; i < t->n; i++)
		if (zk_str_eq(zk_str_of(t->v[i].name), name))
			return t->v[i].value;
	v = zk_optpool_alloc(pool, (t->n + 1) * sizeof(*v));
	if (t->n)
		memcpy(v, t->v, t->n * sizeof(*v));
	t->v = v;
	v[t->n].name = zk_optpool_str(pool, name);
	v[t->n].value = zk_optpool_alloc(pool, row->sub_size);
	return v[t->n++].value;
}

static int set_table(struct zk_optpool *pool, const struct zk_opt *row,
                     struct zk_opttable *to, zk_str text, struct zk_error *err)
{
	zk_str name, key, value;
	const struct zk_opt *sub;

	text = zk_str_cut(text, '\n', &name);
	value = zk_str_cut(text, '=', &key);
	sub = zk_opt_find(row->sub, key);
	if (!name.n || !sub || !value.p)
		return zk_fail(err, ZK_E_DATA, "there is no key '%.*s'", ZK_STR_ARG(key));
	return zk_opt_set(pool, sub, record_of(pool, row, to, name), value, err);
}

static int set_text(struct zk_optpool *pool, const struct zk_opt *row, void *base,
                    zk_str text, struct zk_error *err)
{
	if (check_text(text, err) < 0)
		return -(int)err->code;
	switch (row->type) {
	case ZK_OPT_ENUM:
		return set_enum(row, at(row, base), text, err);
	case ZK_OPT_PATH:
		return set_path(pool, at(row, base), text, err);
	case ZK_OPT_LIST:
	case ZK_OPT_MAP:
		return set_list(pool, row, at(row, base), text, err);
	case ZK_OPT_TABLE:
		return set_table(pool, row, at(row, base), text, err);
	case ZK_OPT_SECRET_REF:
		return set_secret(pool, row, at(row, base), text, err);
	case ZK_OPT_URL:
		if (zk_origin_parse(text, NULL, err) < 0)
			return -(int)err->code;
		break;
	default:
		break;
	}
	const char **to = at(row, base);

	*to = zk_optpool_str(pool, text);
	return 0;
}

int zk_opt_set(struct zk_optpool *pool, const struct zk_opt *row, void *base, zk_str text,
               struct zk_error *err)
{
	int r;

	switch (row->type) {
	case ZK_OPT_BOOL:
		r = set_bool(row, at(row, base), text, err);
		break;
	case ZK_OPT_COUNT:
		r = set_count(at(row, base), text, err);
		break;
	case ZK_OPT_UINT:
	case ZK_OPT_INT:
	case ZK_OPT_DURATION:
	case ZK_OPT_SIZE:
		r = set_number(row, at(row, base), text, err);
		break;
	case ZK_OPT_FLOAT:
		r = zk_parse_double(text, at(row, base), err);
		break;
	case ZK_OPT_NONE:
	case ZK_OPT_STR:
	case ZK_OPT_PATH:
	case ZK_OPT_URL:
	case ZK_OPT_ENUM:
	case ZK_OPT_LIST:
	case ZK_OPT_MAP:
	case ZK_OPT_TABLE:
	case ZK_OPT_OPTARG:
	case ZK_OPT_SECRET_REF:
	default:
		r = set_text(pool, row, base, text, err);
		break;
	}
	if (r < 0) {
		err->code = ZK_E_DATA;
		return hide(row, err);
	}
	return 0;
}

int zk_opt_check(const struct zk_opt *row, zk_str text, struct zk_error *err)
{
	struct zk_optpool pool = { 0 };
	struct zk_opt here = *row;
	union {
		uint64_t u;
		double d;
		const char *s;
		struct zk_strlist list;
		struct zk_opttable table;
		struct zk_secret secret;
	} value = { 0 };
	int r;

	here.off = 0;
	if (row->type == ZK_OPT_SECRET_REF && zk_str_starts(text, ZK_STR("arg:")))
		value.secret.kind = ZK_SECRET_COMMAND;
	r = zk_opt_set(&pool, &here, &value, text, err);
	zk_optpool_done(&pool);
	return r;
}

void zk_opt_reset(const struct zk_opt *row, void *base)
{
	if (row->type == ZK_OPT_LIST || row->type == ZK_OPT_MAP)
		*(struct zk_strlist *)at(row, base) = (struct zk_strlist){ 0 };
	if (row->type == ZK_OPT_TABLE)
		*(struct zk_opttable *)at(row, base) = (struct zk_opttable){ 0 };
	if (row->type == ZK_OPT_SECRET_REF)
		*(struct zk_secret *)at(row, base) = (struct zk_secret){ 0 };
}

static size_t size_of(const struct zk_opt *row)
{
	switch (row->type) {
	case ZK_OPT_NONE:
		return 0;
	case ZK_OPT_BOOL:
		return sizeof(bool);
	case ZK_OPT_COUNT:
	case ZK_OPT_ENUM:
		return sizeof(int);
	case ZK_OPT_UINT:
	case ZK_OPT_SIZE:
		return sizeof(uint64_t);
	case ZK_OPT_INT:
	case ZK_OPT_DURATION:
		return sizeof(int64_t);
	case ZK_OPT_FLOAT:
		return sizeof(double);
	case ZK_OPT_LIST:
	case ZK_OPT_MAP:
		return sizeof(struct zk_strlist);
	case ZK_OPT_TABLE:
		return sizeof(struct zk_opttable);
	case ZK_OPT_SECRET_REF:
		return sizeof(struct zk_secret);
	case ZK_OPT_STR:
	case ZK_OPT_PATH:
	case ZK_OPT_URL:
	case ZK_OPT_OPTARG:
		break;
	}
	return sizeof(const char *);
}

void zk_opt_clear(const struct zk_opt *row, void *base)
{
	memset(at(row, base), 0, size_of(row));
}

void zk_opt_copy(const struct zk_opt *row, void *to, const void *from)
{
	memcpy(at(row, to), at_const(row, from), size_of(row));
}

static void format_duration(int64_t ms, struct zk_buf *b)
{
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = { { 86400000, "d" },
		      { 3600000, "h" },
		      { 60000, "m" },
		      { 1000, "s" },
		      { 1, "ms" } };

	if (ms == 0) {
		zk_buf_char(b, '0');
		return;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(units); i++) {
		if (ms % units[i].ms)
			continue;
		zk_buf_printf(b, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
		return;
	}
}

static void format_size(uint64_t n, struct zk_buf *b)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;

	if (n == 0) {
		zk_buf_char(b, '0');
		return;
	}
	while (n % 1024 == 0 && i + 1 < ZK_ARRAY_LEN(units)) {
		n /= 1024;
		i++;
	}
	zk_buf_printf(b, "%llu%s", (unsigned long long)n, units[i]);
}

static void format_list(const struct zk_strlist *l, struct zk_buf *b)
{
	for (size_t i = 0; i < l->n; i++)
		zk_buf_printf(b, "%s%s", i ? "," : "", l->v[i]);
}

static void format_names(const struct zk_opttable *t, struct zk_buf *b)
{
	for (size_t i = 0; i < t->n; i++)
		zk_buf_printf(b, "%s%s", i ? "," : "", t->v[i].name);
}

static void format_text(const struct zk_opt *row, const char *s, struct zk_buf *b)
{
	if (s && (row->flags & ZK_OPT_SECRET))
		zk_buf_cstr(b, "(set)");
	else if (s)
		zk_buf_cstr(b, s);
}

void zk_opt_format(const struct zk_opt *row, const void *base, struct zk_buf *b)
{
	const void *p = at_const(row, base);

	switch (row->type) {
	case ZK_OPT_BOOL: {
		bool v = *(const bool *)p;

		zk_buf_cstr(b, v != !!(row->flags & ZK_OPT_F_INVERT) ? "true" : "false");
		break;
	}
	case ZK_OPT_COUNT:
		zk_buf_i64(b, *(const int *)p);
		break;
	case ZK_OPT_UINT:
		zk_buf_u64(b, *(const uint64_t *)p);
		break;
	case ZK_OPT_INT:
		zk_buf_i64(b, *(const int64_t *)p);
		break;
	case ZK_OPT_FLOAT:
		zk_buf_printf(b, "%.15g", *(const double *)p);
		break;
	case ZK_OPT_DURATION:
		format_duration(*(const int64_t *)p, b);
		break;
	case ZK_OPT_SIZE:
		format_size(*(const uint64_t *)p, b);
		break;
	case ZK_OPT_ENUM:
		zk_buf_cstr(b, row->values[*(const int *)p]);
		break;
	case ZK_OPT_LIST:
	case ZK_OPT_MAP:
		format_list(p, b);
		break;
	case ZK_OPT_TABLE:
		format_names(p, b);
		break;
	case ZK_OPT_SECRET_REF:
		zk_secret_describe(p, b);
		break;
	case ZK_OPT_STR:
	case ZK_OPT_PATH:
	case ZK_OPT_URL:
	case ZK_OPT_OPTARG:
		format_text(row, *(const char *const *)p, b);
		break;
	case ZK_OPT_NONE:
		break;
	}
}
