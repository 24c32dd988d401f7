/* --map: events made of lines that are none.
 * Layer: zip. */
#include "zip/trace_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jscan.h"

#include "base/ban.h"

#define MAX_DEPTH 256

/* Targets, those of one object in a row. What they hold decides about numbers: a text is made of
 * them where the server wants one. */
static const struct target {
	const char *name;
	bool is_text;
} targets[] = {
	{ "timestamp", false },
	{ "nodeId", true },
	{ "portId", true },
	{ "eventType", true },
	{ "duration", false },
	{ "data", false },
	{ "data.size", false },
	{ "data.type", true },
	{ "data.preview", false },
	{ "data.fullData", false },
	{ "metadata", false },
	{ "metadata.cpuUsage", false },
	{ "metadata.memoryUsage", false },
	{ "metadata.custom", false },
	{ "error", false },
	{ "error.message", true },
	{ "error.stack", true },
	{ "error.code", true },
};

#define N_TARGETS ZK_ARRAY_LEN(targets)

struct rule {
	bool given;
	char *path; /* NULL = `text` */
	char *text; /* JSON */
};

struct zk_zip_map {
	struct rule rules[N_TARGETS];
	/* metadata.custom.NAME: alternating names and rules. */
	struct {
		char *name;
		struct rule rule;
	} * custom;
	size_t n_custom;
};

static void set_rule(struct rule *r, zk_str value)
{
	struct zk_buf b;

	r->given = true;
	if (zk_str_starts(value, ZK_STR("."))) {
		r->path = zk_strndup(value.p + 1, value.n - 1);
		return;
	}
	zk_buf_init(&b, 6 * value.n + 2);
	zk_buf_json_str(&b, value);
	r->text = zk_buf_take(&b);
}

static struct rule *add_custom(struct zk_zip_map *m, zk_str name)
{
	for (size_t i = 0; i < m->n_custom; i++)
		if (zk_str_eq(zk_str_of(m->custom[i].name), name))
			return &m->custom[i].rule;
	m->custom = zk_realloc(m->custom, (m->n_custom + 1) * sizeof(*m->custom));
	memset(&m->custom[m->n_custom], 0, sizeof(*m->custom));
	m->custom[m->n_custom].name = zk_strndup(name.p, name.n);
	return &m->custom[m->n_custom++].rule;
}

static struct rule *find_target(struct zk_zip_map *m, zk_str target)
{
	zk_str custom = ZK_STR("metadata.custom.");

	for (size_t i = 0; i < N_TARGETS; i++)
		if (zk_str_eq(zk_str_of(targets[i].name), target))
			return &m->rules[i];
	if (zk_str_starts(target, custom) && target.n > custom.n)
		return add_custom(m, zk_str_from(target, custom.n));
	return NULL;
}

static int add_rule(struct zk_zip_map *m, const char *text, struct zk_error *err)
{
	zk_str target, value = zk_str_cut(zk_str_of(text), '=', &target);

	if (!value.p || !target.n)
		return zk_fail(err, ZK_E_USAGE, "--map takes MEMBER=.PATH, not '%s'",
		               text);
	struct rule *r = find_target(m, target);

	if (!r) {
		(void)zk_fail(err, ZK_E_USAGE,
		              "--map: '%.*s' is no member of a trace event",
		              ZK_STR_ARG(target));
		return zk_err_hint(err,
		                   "members are timestamp, nodeId, portId, eventType, "
		                   "duration, data.size|type|preview|fullData, "
		                   "metadata.cpuUsage|memoryUsage|custom.NAME, "
		                   "error.message|stack|code");
	}
	if (r->given)
		return zk_fail(err, ZK_E_USAGE, "--map: '%.*s' is named twice",
		               ZK_STR_ARG(target));
	if (value.n > 1024)
		return zk_fail(err, ZK_E_USAGE, "--map: the path or text is too long");
	set_rule(r, value);
	return 0;
}

int zk_zip_map_new(const char *const *rules, size_t n, struct zk_zip_map **ret,
                   struct zk_error *err)
{
	struct zk_zip_map *m = zk_new0(struct zk_zip_map);

	for (size_t i = 0; i < n; i++)
		if (add_rule(m, rules[i], err) < 0) {
			zk_zip_map_free(m);
			return -(int)err->code;
		}
	*ret = m;
	return 0;
}

static void rule_done(struct rule *r)
{
	free(r->path);
	free(r->text);
}

void zk_zip_map_free(struct zk_zip_map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < N_TARGETS; i++)
		rule_done(&m->rules[i]);
	for (size_t i = 0; i < m->n_custom; i++) {
		free(m->custom[i].name);
		rule_done(&m->custom[i].rule);
	}
	free(m->custom);
	free(m);
}

/* ---- applying --------------------------------------------------------------------------------- */

struct making {
	const struct zk_zip_map *m;
	zk_str line;
	struct zk_buf *b;
};

/* The value of a rule; false when the line has none, or null. */
static bool value_of(const struct rule *r, zk_str line, struct zk_jval *ret)
{
	if (!r->given)
		return false;
	if (!r->path) {
		*ret = (struct zk_jval){ .raw = zk_str_of(r->text), .type = ZK_J_STRING };
		return true;
	}
	return zk_jscan_get(line, zk_str_of(r->path), ret) && ret->type != ZK_J_NULL;
}

static void put_member(struct zk_buf *b, zk_str name, const struct zk_jval *v,
                       bool as_text)
{
	char last = b->n ? b->p[b->n - 1] : '{';

	zk_buf_cstr(b, last == '{' ? "" : ",");
	zk_buf_json_str(b, name);
	zk_buf_char(b, ':');
	if (as_text && v->type != ZK_J_STRING)
		zk_buf_json_str(b, v->raw);
	else
		zk_buf_add(b, v->raw);
}

/* Whether a rule for a part of `object` ("data.", …) is given. */
static bool has_parts(const struct zk_zip_map *m, zk_str prefix)
{
	for (size_t i = 0; i < N_TARGETS; i++)
		if (m->rules[i].given &&
		    zk_str_starts(zk_str_of(targets[i].name), prefix))
			return true;
	return zk_str_eq(prefix, ZK_STR("metadata.")) && m->n_custom > 0;
}

static bool has_rule(const struct zk_zip_map *m, zk_str prefix, zk_str name)
{
	for (size_t i = 0; i < N_TARGETS; i++) {
		zk_str t = zk_str_of(targets[i].name);

		if (m->rules[i].given && t.n == prefix.n + name.n &&
		    zk_str_starts(t, prefix) && zk_str_ends(t, name))
			return true;
	}
	return false;
}

static void put_custom(struct making *k, const struct zk_jval *own)
{
	const struct zk_zip_map *m = k->m;
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key, name;

	zk_buf_cstr(k->b, k->b->p[k->b->n - 1] == '{' ? "" : ",");
	zk_buf_lit(k->b, "\"custom\":{");
	zk_jiter_init(&it, own && own->type == ZK_J_OBJECT ? own->raw : ZK_STR("{}"));
	while (zk_jiter_member(&it, &key, &v))
		if (zk_jstr_plain(key, &name) && v.type != ZK_J_NULL)
			put_member(k->b, name, &v, false);
	for (size_t i = 0; i < m->n_custom; i++)
		if (value_of(&m->custom[i].rule, k->line, &v))
			put_member(k->b, zk_str_of(m->custom[i].name), &v, false);
	zk_buf_char(k->b, '}');
}

/* An object of which parts have rules: the line's own one, with the parts on top. */
static void put_object(struct making *k, const char *name, zk_str prefix)
{
	struct zk_jval own = { 0 }, v, custom = { 0 };
	bool is_meta = zk_str_eq(prefix, ZK_STR("metadata.")) && k->m->n_custom;
	struct zk_jiter it;
	zk_str key, plain;

	zk_buf_cstr(k->b, k->b->p[k->b->n - 1] == '{' ? "" : ",");
	zk_buf_printf(k->b, "\"%s\":{", name);
	if (!zk_jscan_get(k->line, zk_str_of(name), &own) || own.type != ZK_J_OBJECT)
		own.raw = ZK_STR("{}");
	zk_jiter_init(&it, own.raw);
	while (zk_jiter_member(&it, &key, &v)) {
		if (!zk_jstr_plain(key, &plain) || has_rule(k->m, prefix, plain))
			continue;
		if (is_meta && zk_str_eq(plain, ZK_STR("custom")))
			custom = v;
		else
			put_member(k->b, plain, &v, false);
	}
	for (size_t i = 0; i < N_TARGETS; i++) {
		zk_str t = zk_str_of(targets[i].name);

		if (zk_str_starts(t, prefix) && value_of(&k->m->rules[i], k->line, &v))
			put_member(k->b, zk_str_from(t, prefix.n), &v,
			           targets[i].is_text);
	}
	if (is_meta)
		put_custom(k, &custom);
	zk_buf_char(k->b, '}');
}

static void put_preview(struct making *k)
{
	struct zk_jval v = { .raw = k->line, .type = ZK_J_OBJECT };

	zk_buf_printf(k->b, ",\"data\":{\"size\":%zu,\"type\":\"application/json\"",
	              v.raw.n);
	put_member(k->b, ZK_STR("preview"), &v, false);
	zk_buf_char(k->b, '}');
}

static void put_target(struct making *k, size_t i)
{
	const char *name = targets[i].name;
	char prefix[16];
	size_t n = strlen(name);
	struct zk_jval v;

	memcpy(prefix, name, n);
	prefix[n] = '.';
	if (value_of(&k->m->rules[i], k->line, &v))
		put_member(k->b, zk_str_of(name), &v, targets[i].is_text);
	else if (has_parts(k->m, zk_str_n(prefix, n + 1)))
		put_object(k, name, zk_str_n(prefix, n + 1));
	else if (!k->m->rules[i].given && zk_jscan_get(k->line, zk_str_of(name), &v) &&
	         v.type != ZK_J_NULL)
		put_member(k->b, zk_str_of(name), &v, false);
	else if (strcmp(name, "eventType") == 0)
		put_member(k->b, ZK_STR("eventType"),
		           &(struct zk_jval){ ZK_STR("\"log\""), ZK_J_STRING, false },
		           false);
	else if (strcmp(name, "data") == 0)
		put_preview(k);
}

int zk_zip_map_apply(const struct zk_zip_map *m, zk_str line, struct zk_buf *out,
                     struct zk_error *err)
{
	struct zk_jscan js;

	if (zk_jscan(line, MAX_DEPTH, NULL, 0, &js) < 0)
		return zk_jscan_fail(&js, err);
	if (js.top.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_DATA, "--map needs an object, this is a %s",
		               zk_jtype_name(js.top.type));
	struct making k = { .m = m, .line = js.top.raw, .b = out };

	zk_buf_char(out, '{');
	for (size_t i = 0; i < N_TARGETS; i++)
		if (!strchr(targets[i].name, '.'))
			put_target(&k, i);
	zk_buf_char(out, '}');
	return zk_buf_check(out, err);
}
