/* Methods as the user declares them.
 * Layer: procwire. */
#include "procwire/spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

static const char *const outs[] = { "auto",  "raw",    "text", "json",
	                            "lines", "ndjson", "full", NULL };
static const char *const codecs[] = { "auto", "msgpack", "raw", NULL };
/* In the order of enum zk_pw_kind, after "not given". */
static const char *const kinds[] = { "auto", "result", "stream", "ack", "none", NULL };

#define OFF(member) offsetof(struct zk_pw_spec, member)

const struct zk_opt zk_pw_spec_rows[] = {
	{ .type = ZK_OPT_ENUM,
	  .name = "kind",
	  .values = kinds,
	  .off = OFF(kind),
	  .help = "what the parent gets: one result, a stream, an acknowledgement, "
	          "nothing" },
	{ .type = ZK_OPT_ENUM,
	  .name = "codec",
	  .values = codecs,
	  .off = OFF(codec),
	  .help = "of request and response: msgpack or raw bytes" },
	{ .type = ZK_OPT_ENUM,
	  .name = "request-codec",
	  .values = codecs,
	  .off = OFF(request_codec),
	  .help = "of the request alone" },
	{ .type = ZK_OPT_ENUM,
	  .name = "response-codec",
	  .values = codecs,
	  .off = OFF(response_codec),
	  .help = "of the response alone" },
	{ .type = ZK_OPT_STR,
	  .name = "handler",
	  .meta = "HANDLER",
	  .off = OFF(handler),
	  .help = "exec:ARGV, sh:SCRIPT, co:ARGV, http:METHOD URL, sql:FILE, zk:VERB, or "
	          "a "
	          "built-in one" },
	{ .type = ZK_OPT_LIST,
	  .name = "argv",
	  .meta = "WORD",
	  .off = OFF(argv),
	  .help = "the words of exec and co, each exactly as it is" },
	{ .type = ZK_OPT_ENUM,
	  .name = "out",
	  .values = outs,
	  .off = OFF(out),
	  .help = "what the output of a command is: raw, text, json, lines, ndjson, "
	          "full" },
	{ .type = ZK_OPT_STR,
	  .name = "timeout",
	  .meta = "D|none",
	  .off = OFF(timeout),
	  .help = "limit of a call; announced to the parent" },
	{ .type = ZK_OPT_LIST,
	  .name = "ok",
	  .meta = "N",
	  .off = OFF(ok),
	  .help = "exit statuses that are no failure" },
	{ .type = ZK_OPT_LIST,
	  .name = "env",
	  .meta = "NAME=VALUE",
	  .off = OFF(env),
	  .help = "variables of the command" },
	{ .type = ZK_OPT_PATH,
	  .name = "cwd",
	  .meta = "DIR",
	  .off = OFF(cwd),
	  .help = "folder of the command" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-output",
	  .meta = "SIZE",
	  .off = OFF(max_output),
	  .help = "most that is collected of a command" },
	{ .type = ZK_OPT_UINT,
	  .name = "copies",
	  .meta = "N",
	  .min = 1,
	  .max = 256,
	  .off = OFF(copies),
	  .help = "processes of a co handler" },
	{ .type = ZK_OPT_STR,
	  .name = "query",
	  .meta = "SQL",
	  .off = OFF(query),
	  .help = "statement of a sql handler; :name is a member of the request" },
	{ .type = ZK_OPT_BOOL,
	  .name = "write",
	  .off = OFF(write),
	  .help = "let a sql handler change the file" },
	{ .type = ZK_OPT_LIST,
	  .name = "allow",
	  .meta = "HOST|DIR",
	  .off = OFF(allow),
	  .help = "hosts of an http handler, folders of a file handler" },
	{ .type = ZK_OPT_LIST,
	  .name = "headers",
	  .meta = "NAME:VALUE",
	  .off = OFF(headers),
	  .help = "of an http handler" },
	{ .type = ZK_OPT_STR,
	  .name = "value",
	  .meta = "TEXT",
	  .off = OFF(value),
	  .help = "text of a built-in handler: what fail says, what sleep answers" },
	ZK_OPT_END,
};

/* ---- the command line ---- */

static int bad_handle(struct zk_error *err, zk_str text)
{
	(void)zk_fail(err, ZK_E_USAGE,
	              "'%.*s' is not of the form NAME[,KEY=VALUE...]=HANDLER",
	              (int)ZK_MIN(text.n, (size_t)80), text.p);
	return zk_err_hint(err, "such as 'upper,codec=raw=exec:tr a-z A-Z'");
}

/* One KEY=VALUE of the list; false when it is none. */
static int set_key(zk_str one, struct zk_optpool *pool, struct zk_pw_spec *spec,
                   struct zk_error *err)
{
	const struct zk_opt *row;
	zk_str key, value = zk_str_cut(one, '=', &key);

	row = zk_opt_find(zk_pw_spec_rows, key);
	if (!row || !value.p)
		return zk_fail(err, ZK_E_USAGE, "there is no key '%.*s' of a method",
		               ZK_STR_ARG(key));
	if (zk_opt_set(pool, row, spec, value, err) == 0)
		return 0;
	err->code = ZK_E_USAGE;
	return zk_wrap(err, "%s", row->name);
}

/* The first ',' or '=' from `at` on. */
static size_t stop_at(zk_str text, size_t at)
{
	while (at < text.n && text.p[at] != ',' && text.p[at] != '=')
		at++;
	return at;
}

/* Where the '=' before the handler is: a KEY=VALUE ends at ',' or '='. `at` stands on the ','
 * before the first of them. */
static size_t end_of_keys(zk_str text, size_t at)
{
	while (at < text.n && text.p[at] == ',') {
		at = stop_at(text, at + 1);
		if (at == text.n || text.p[at] == ',')
			return text.n; /* a key without a value */
		at = stop_at(text, at + 1);
	}
	return at;
}

/* "NAME,KEY=VALUE,…=HANDLER" in three. */
static int split_keys(zk_str text, zk_str *name, zk_str *keys, zk_str *handler)
{
	size_t at = stop_at(text, 0), end = end_of_keys(text, at);

	*name = zk_str_n(text.p, at);
	*keys = end > at ? zk_str_n(text.p + at + 1, end - at - 1) : ZK_STR_NULL;
	*handler = zk_str_from(text, end + 1);
	return at && end < text.n && handler->n ? 0 : -1;
}

int zk_pw_spec_parse(zk_str text, struct zk_optpool *pool, const char **name,
                     struct zk_pw_spec *spec, struct zk_error *err)
{
	zk_str n, keys, handler, one;

	*spec = (struct zk_pw_spec){ 0 };
	if (split_keys(text, &n, &keys, &handler) < 0)
		return bad_handle(err, text);
	while (keys.n) {
		keys = zk_str_cut(keys, ',', &one);
		if (set_key(one, pool, spec, err) < 0)
			return zk_wrap(err, "--handle %.*s", ZK_STR_ARG(n));
	}
	*name = zk_optpool_str(pool, n);
	spec->handler = zk_optpool_str(pool, handler);
	return 0;
}

/* ---- to the table ---- */

static const struct zk_pw_maker *const groups[] = {
	zk_pw_basic, zk_pw_bytes, zk_pw_command, zk_pw_co,
	zk_pw_files, zk_pw_http,  zk_pw_sql,
};

static const struct zk_pw_maker *find_maker(zk_str word)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(groups); i++)
		for (const struct zk_pw_maker *m = groups[i]; m->name; m++)
			if (zk_str_eq(word, zk_str_of(m->name)))
				return m;
	return NULL;
}

static const struct zk_pw_verb *find_verb(const struct zk_pw_env *env, const char *name)
{
	for (const struct zk_pw_verb *v = env->verbs; v && v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static enum zk_pw_codec codec_of(int own, int both, enum zk_pw_codec natural)
{
	int given = own ? own : both;

	return given ? (enum zk_pw_codec)(given - 1) : natural;
}

static int timeout_of(const char *text, int64_t *ret, struct zk_error *err)
{
	*ret = -1;
	if (!text)
		return 0;
	if (strcmp(text, "none") == 0) {
		*ret = 0;
		return 0;
	}
	return zk_parse_duration(zk_str_of(text), ret, err) < 0 ? zk_wrap(err, "timeout")
	                                                        : 0;
}

static int unknown_handler(const char *name, struct zk_error *err)
{
	struct zk_buf all;

	(void)zk_fail(err, ZK_E_PW_TABLE, "there is no handler '%s'", name);
	zk_buf_init(&all, 400);
	for (size_t i = 0; i < ZK_ARRAY_LEN(groups); i++)
		for (const struct zk_pw_maker *m = groups[i]; m->name; m++)
			zk_buf_printf(&all, "%s%s%s", all.n ? " " : "", m->name,
			              m->takes_rest ? ":" : "");
	(void)zk_err_hint(err, "one of: %s", zk_buf_cstring(&all));
	zk_buf_done(&all);
	return -(int)err->code;
}

static void take_kind(struct zk_pw_method *m, const struct zk_pw_spec *spec,
                      const struct zk_pw_maker *maker)
{
	m->kind = spec->kind ? (enum zk_pw_kind)(spec->kind - 1) : maker->kind;
	m->request = codec_of(spec->request_codec, spec->codec, maker->request);
	m->response = codec_of(spec->response_codec, spec->codec, maker->response);
}

static int unknown_verb(const struct zk_pw_env *env, const char *name,
                        struct zk_error *err)
{
	struct zk_buf all;

	(void)zk_fail(err, ZK_E_PW_TABLE, "there is no verb '%s'", name);
	zk_buf_init(&all, 400);
	for (const struct zk_pw_verb *v = env->verbs; v && v->name; v++)
		zk_buf_printf(&all, " zk:%s", v->name);
	(void)zk_err_hint(err, "one of:%s", zk_buf_cstring(&all));
	zk_buf_done(&all);
	return -(int)err->code;
}

static int add_verb(const struct zk_pw_env *env, struct zk_pw_method *m,
                    const struct zk_pw_spec *spec, const char *rest, struct zk_error *err)
{
	const struct zk_pw_verb *v = find_verb(env, rest);
	struct zk_pw_maker maker = { .kind = v ? v->kind : ZK_PW_RESULT };

	if (!v)
		return unknown_verb(env, rest, err);
	m->handler = v->handler;
	take_kind(m, spec, &maker);
	m->request = ZK_PW_MSGPACK;
	if (!v->raw)
		m->response = ZK_PW_MSGPACK;
	return v->make(env, m, spec, err);
}

static int make(const struct zk_pw_env *env, struct zk_pw_method *m,
                const struct zk_pw_spec *spec, struct zk_error *err)
{
	zk_str word, rest = zk_str_cut(zk_str_of(spec->handler), ':', &word);
	const struct zk_pw_maker *maker = find_maker(word);

	if (zk_str_eq(word, ZK_STR("zk")) && rest.p)
		return add_verb(env, m, spec, rest.p, err);
	if (!maker || (rest.p && !maker->takes_rest))
		return unknown_handler(spec->handler, err);
	m->handler = maker->handler;
	take_kind(m, spec, maker);
	if (!maker->make)
		return 0;
	return maker->make(env, m, spec, rest.p ? rest.p : "", err);
}

int zk_pw_spec_add(const struct zk_pw_env *env, const char *name,
                   const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct zk_pw_method m = { .name = (char *)name };

	if (!spec->handler || !spec->handler[0])
		return zk_fail(err, ZK_E_PW_TABLE, "the method '%s' has no handler",
		               name);
	if (timeout_of(spec->timeout, &m.timeout_ms, err) < 0 ||
	    make(env, &m, spec, err) < 0 ||
	    zk_pw_table_method(zk_pw_worker_table(env->worker), &m, err) < 0) {
		if (m.conf && m.free_conf)
			m.free_conf(m.conf);
		err->code = ZK_E_PW_TABLE;
		return zk_wrap(err, "method '%s'", name);
	}
	return 0;
}

/* "NAME" or "NAME:SPEC"; the method has the name. */
static int add_builtin(const struct zk_pw_env *env, const char *handler,
                       struct zk_error *err)
{
	struct zk_pw_spec spec = { .handler = handler };
	const struct zk_pw_maker *m;
	zk_str name;
	int r = 0;

	(void)zk_str_cut(zk_str_of(handler), ':', &name);
	m = find_maker(name);
	if (!m)
		return unknown_handler(handler, err);
	spec.kind = (int)m->kind + 1;
	/* The user's own method of that name comes first. */
	if (!zk_pw_table_find(zk_pw_worker_table(env->worker), name))
		r = zk_pw_spec_add(env, m->name, &spec, err);
	return r;
}

int zk_pw_spec_builtins(const struct zk_pw_env *env, const struct zk_strlist *names,
                        struct zk_error *err)
{
	static const char *const always[] = { "zk.describe", "zk.stats", "zk.ping" };

	for (size_t i = 0; i < names->n; i++) {
		const struct zk_pw_maker *m;
		zk_str name;

		(void)zk_str_cut(zk_str_of(names->v[i]), ':', &name);
		m = find_maker(name);
		if (!m || !m->exposed)
			return unknown_handler(names->v[i], err);
		if (add_builtin(env, names->v[i], err) < 0)
			return -(int)err->code;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(always); i++)
		if (add_builtin(env, always[i], err) < 0)
			return -(int)err->code;
	return 0;
}
