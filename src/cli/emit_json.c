/* The command table as JSON, and the JSON Schema of configuration files.
 * Layer: cli. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/emit.h"
#include "cli/groups.h"
#include "cli/state.h"
#include "codec/jwrite.h"

#include "base/ban.h"

static const char *type_name(enum zk_opt_type type)
{
	static const char *const names[] = {
		[ZK_OPT_NONE] = "none",
		[ZK_OPT_BOOL] = "bool",
		[ZK_OPT_UINT] = "uint",
		[ZK_OPT_INT] = "int",
		[ZK_OPT_FLOAT] = "float",
		[ZK_OPT_STR] = "string",
		[ZK_OPT_PATH] = "path",
		[ZK_OPT_URL] = "url",
		[ZK_OPT_DURATION] = "duration",
		[ZK_OPT_SIZE] = "size",
		[ZK_OPT_ENUM] = "enum",
		[ZK_OPT_LIST] = "list",
		[ZK_OPT_MAP] = "map",
		[ZK_OPT_OPTARG] = "optional-string",
		[ZK_OPT_TABLE] = "table",
		[ZK_OPT_COUNT] = "count",
		[ZK_OPT_SECRET_REF] = "secret-ref",
	};

	return names[type];
}

static void member(struct zk_jwrite *w, const char *name, const char *value)
{
	if (!value)
		return;
	zk_jw_key(w, name);
	zk_jw_cstr(w, value);
}

static void derived(struct zk_jwrite *w, const char *name, const struct zk_opt *row,
                    const char *prefix,
                    void (*make)(const struct zk_opt *, const char *, struct zk_buf *))
{
	struct zk_buf b;

	zk_buf_init(&b, 300);
	make(row, prefix, &b);
	if (b.n)
		member(w, name, zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static void values(struct zk_jwrite *w, const char *const *v)
{
	zk_jw_arr(w);
	for (; *v; v++)
		zk_jw_cstr(w, *v);
	zk_jw_arr_end(w);
}

static void option(struct zk_jwrite *w, const struct zk_opt *row, const char *prefix,
                   const char *group)
{
	char inverse[64], key[2] = { row->key, '\0' };

	zk_jw_obj(w);
	member(w, "name", row->name);
	member(w, "key", row->key ? key : NULL);
	member(w, "type", type_name(row->type));
	member(w, "meta", zk_opt_meta(row));
	if (zk_opt_inverse(row, inverse, sizeof(inverse)) && row->key != 'h' &&
	    row->key != 'V')
		member(w, "inverse", inverse);
	if (row->type == ZK_OPT_ENUM) {
		zk_jw_key(w, "values");
		values(w, row->values);
	}
	member(w, "default", row->def);
	derived(w, "config", row, prefix, zk_opt_conf_key);
	derived(w, "variable", row, prefix, zk_opt_env_name);
	member(w, "group", group ? group : row->group);
	member(w, "help", row->help);
	member(w, "since", row->since ? row->since : "0.1.0");
	zk_jw_key(w, "hidden");
	zk_jw_bool(w, row->flags & ZK_OPT_HIDDEN);
	zk_jw_obj_end(w);
}

static void command(struct zk_jwrite *w, const struct zk_cmd *c)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(c, t);

	zk_jw_obj(w);
	member(w, "path", c->path);
	member(w, "args", c->args);
	member(w, "help", c->help);
	member(w, "section", c->section);
	zk_jw_key(w, "runs");
	zk_jw_bool(w, c->run != NULL);
	zk_jw_key(w, "hidden");
	zk_jw_bool(w, c->flags & ZK_CMD_HIDDEN);
	zk_jw_key(w, "options");
	zk_jw_arr(w);
	for (size_t i = 0; i < n && c->run; i++)
		for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
			if (!zk_rows_hidden(t, i, r))
				option(w, r, t[i].prefix,
				       t[i].group ? t[i].group->title : NULL);
	zk_jw_arr_end(w);
	zk_jw_obj_end(w);
}

void zk_emit_json(const struct zk_cmd *const *cmds, const struct zk_cmd *only,
                  struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	member(&w, "name", "zk");
	member(&w, "version", ZK_VERSION);
	zk_jw_key(&w, "commands");
	zk_jw_arr(&w);
	for (; *cmds; cmds++)
		if (!only || *cmds == only)
			command(&w, *cmds);
	zk_jw_arr_end(&w);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}

/* ---- JSON Schema ---- */

struct key {
	char *name;
	const struct zk_opt *row;
	const char *suffix; /* of a secret's form */
};

struct keys {
	struct key *v;
	size_t n, room;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct key *)a)->name, ((const struct key *)b)->name);
}

static void add_key(struct keys *k, const struct zk_opt *row, const char *prefix,
                    const char *suffix)
{
	struct zk_buf b;

	zk_buf_init(&b, 300);
	zk_opt_conf_key(row, prefix, &b);
	if (b.n) {
		zk_buf_cstr(&b, suffix);
		if (k->n == k->room) {
			k->room = k->room ? k->room * 2 : 256;
			k->v = zk_realloc(k->v, k->room * sizeof(*k->v));
		}
		k->v[k->n++] = (struct key){ zk_buf_take(&b), row, suffix };
	}
	zk_buf_done(&b);
}

static void collect(const struct zk_cmd *const *cmds, struct keys *k)
{
	struct zk_all_rows all;

	zk_all_rows_make(cmds, &all);
	for (size_t i = 0; i < all.n; i++) {
		for (const struct zk_opt *r = all.tables[i].rows; r->type != ZK_OPT_NONE;
		     r++) {
			int last =
			        r->type == ZK_OPT_SECRET_REF ? ZK_MEMBER_CREDENTIAL : 0;
			size_t pos = 0;
			char part[64];

			while (zk_schema_next_prefix(r, all.tables[i].prefix, &pos, part))
				for (int m = 0; m <= last; m++)
					add_key(k, r, part,
					        zk_schema_suffix(
					                (enum zk_secret_member)m));
		}
	}
	zk_all_rows_done(&all);
	if (k->n)
		qsort(k->v, k->n, sizeof(*k->v), by_name);
}

static void plain(struct zk_jwrite *w, const char *type)
{
	zk_jw_key(w, "type");
	zk_jw_arr(w);
	zk_jw_cstr(w, type);
	/* Any value may be a text with ${NAME} in it. */
	if (strcmp(type, "string") != 0)
		zk_jw_cstr(w, "string");
	zk_jw_arr_end(w);
}

static void strings(struct zk_jwrite *w, const char *container)
{
	zk_jw_key(w, "type");
	zk_jw_cstr(w, container);
	zk_jw_key(w, strcmp(container, "array") == 0 ? "items" : "additionalProperties");
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_arr(w);
	zk_jw_cstr(w, "string");
	zk_jw_cstr(w, "number");
	zk_jw_cstr(w, "boolean");
	zk_jw_arr_end(w);
	zk_jw_obj_end(w);
}

static void list_or_text(struct zk_jwrite *w)
{
	zk_jw_key(w, "anyOf");
	zk_jw_arr(w);
	zk_jw_obj(w);
	strings(w, "array");
	zk_jw_obj_end(w);
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "string");
	zk_jw_obj_end(w);
	zk_jw_arr_end(w);
}

static void enumeration(struct zk_jwrite *w, const struct zk_opt *row)
{
	zk_jw_key(w, "anyOf");
	zk_jw_arr(w);
	zk_jw_obj(w);
	zk_jw_key(w, "enum");
	values(w, row->values);
	zk_jw_obj_end(w);
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "string");
	zk_jw_key(w, "pattern");
	zk_jw_cstr(w, "\\$\\{");
	zk_jw_obj_end(w);
	zk_jw_arr_end(w);
}

static void bounds(struct zk_jwrite *w, const struct zk_opt *row)
{
	plain(w, "integer");
	if (!row->min && !row->max)
		return;
	zk_jw_key(w, "minimum");
	zk_jw_i64(w, row->min);
	zk_jw_key(w, "maximum");
	zk_jw_i64(w, row->max);
}

static void quantity(struct zk_jwrite *w, const char *units)
{
	struct zk_buf b;

	zk_buf_init(&b, 200);
	zk_buf_printf(&b, "^0$|^[0-9]+(\\.[0-9]+)?(%s)$|\\$\\{", units);
	zk_jw_key(w, "type");
	zk_jw_arr(w);
	zk_jw_cstr(w, "string");
	zk_jw_cstr(w, "integer");
	zk_jw_arr_end(w);
	member(w, "pattern", zk_buf_cstring(&b));
	/* The only number that needs no unit. */
	zk_jw_key(w, "minimum");
	zk_jw_i64(w, 0);
	zk_jw_key(w, "maximum");
	zk_jw_i64(w, 0);
	zk_buf_done(&b);
}

static void leaf(struct zk_jwrite *w, const struct key *k);

/* Names of the user's, each with the keys of a record. */
static void records(struct zk_jwrite *w, const struct zk_opt *row)
{
	member(w, "type", "object");
	zk_jw_key(w, "additionalProperties");
	zk_jw_obj(w);
	member(w, "type", "object");
	zk_jw_key(w, "additionalProperties");
	zk_jw_bool(w, false);
	zk_jw_key(w, "properties");
	zk_jw_obj(w);
	for (const struct zk_opt *r = row->sub; r->type != ZK_OPT_NONE; r++) {
		struct key k = { .row = r, .suffix = "" };
		struct zk_buf name;

		zk_buf_init(&name, 200);
		zk_opt_conf_key(r, "", &name);
		zk_jw_key_str(w, zk_buf_str(&name));
		leaf(w, &k); /* a record holds no table */
		zk_buf_done(&name);
	}
	zk_jw_obj_end(w);
	zk_jw_obj_end(w);
}

static void type_of(struct zk_jwrite *w, const struct key *k)
{
	switch (k->row->type) {
	case ZK_OPT_BOOL:
		plain(w, "boolean");
		break;
	case ZK_OPT_UINT:
	case ZK_OPT_INT:
	case ZK_OPT_COUNT:
		bounds(w, k->row);
		break;
	case ZK_OPT_FLOAT:
		plain(w, "number");
		break;
	case ZK_OPT_DURATION:
		quantity(w, "ms|s|m|h|d");
		break;
	case ZK_OPT_SIZE:
		quantity(w, "B|[KMGT]i?B|kB");
		break;
	case ZK_OPT_ENUM:
		enumeration(w, k->row);
		break;
	case ZK_OPT_LIST:
		list_or_text(w);
		break;
	case ZK_OPT_MAP:
		strings(w, "object");
		break;
	case ZK_OPT_TABLE:
		records(w, k->row);
		break;
	case ZK_OPT_SECRET_REF:
		if (strcmp(k->suffix, "_command") == 0)
			strings(w, "array");
		else
			plain(w, "string");
		break;
	case ZK_OPT_NONE:
	case ZK_OPT_STR:
	case ZK_OPT_PATH:
	case ZK_OPT_URL:
	case ZK_OPT_OPTARG:
		/* A bare number or word in YAML is a text for zk. */
		zk_jw_key(w, "type");
		zk_jw_arr(w);
		zk_jw_cstr(w, "string");
		zk_jw_cstr(w, "number");
		zk_jw_cstr(w, "boolean");
		zk_jw_arr_end(w);
		break;
	}
}

static void leaf(struct zk_jwrite *w, const struct key *k)
{
	zk_jw_obj(w);
	member(w, "description", k->row->help);
	type_of(w, k);
	member(w, "default", k->row->type == ZK_OPT_SECRET_REF ? NULL : k->row->def);
	zk_jw_obj_end(w);
}

/* The members of all keys from i on that begin with the first `depth` bytes of key i. Returns the
 * first one that does not. As deep as keys have dots. */
static size_t object(struct zk_jwrite *w, const struct keys *k, size_t i, size_t depth)
{
	const char *path = k->v[i].name;
	size_t begin = i;

	while (i < k->n && strncmp(k->v[i].name, path, depth) == 0) {
		const char *rest = k->v[i].name + depth;
		size_t len = strcspn(rest, ".");

		if (i > begin && strcmp(k->v[i].name, k->v[i - 1].name) == 0) {
			i++;
			continue;
		}
		zk_jw_key_str(w, zk_str_n(rest, len));
		if (!rest[len]) {
			leaf(w, &k->v[i++]);
			continue;
		}
		zk_jw_obj(w);
		member(w, "type", "object");
		zk_jw_key(w, "additionalProperties");
		zk_jw_bool(w, false);
		zk_jw_key(w, "properties");
		zk_jw_obj(w);
		i = object(w, k, i, depth + len + 1);
		zk_jw_obj_end(w);
		zk_jw_obj_end(w);
	}
	return i;
}

static void section(struct zk_jwrite *w, const struct keys *k, bool profile)
{
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_arr(w);
	zk_jw_cstr(w, "object");
	zk_jw_cstr(w, "null");
	zk_jw_arr_end(w);
	zk_jw_key(w, "additionalProperties");
	zk_jw_bool(w, false);
	zk_jw_key(w, "properties");
	zk_jw_obj(w);
	if (profile) {
		zk_jw_key(w, "extends");
		zk_jw_raw(w, ZK_STR("{\"type\":\"string\",\"description\":\"profile "
		                    "whose values "
		                    "this one takes over\"}"));
		zk_jw_key(w, "protected");
		zk_jw_raw(w, ZK_STR("{\"type\":[\"boolean\",\"string\"],\"description\":"
		                    "\"destructive commands ask\"}"));
	}
	if (k->n)
		(void)object(w, k, 0, 0);
	zk_jw_obj_end(w);
	zk_jw_obj_end(w);
}

void zk_emit_config_schema(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	struct keys k = { 0 };
	struct zk_jwrite w;

	collect(cmds, &k);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	member(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
	member(&w, "title", "configuration of zk");
	member(&w, "type", "object");
	zk_jw_key(&w, "required");
	zk_jw_raw(&w, ZK_STR("[\"version\"]"));
	zk_jw_key(&w, "additionalProperties");
	zk_jw_bool(&w, false);
	zk_jw_key(&w, "properties");
	zk_jw_obj(&w);
	zk_jw_key(&w, "version");
	zk_jw_raw(&w, ZK_STR("{\"const\":1}"));
	zk_jw_key(&w, "default_profile");
	zk_jw_raw(&w, ZK_STR("{\"type\":\"string\"}"));
	zk_jw_key(&w, "defaults");
	section(&w, &k, false);
	zk_jw_key(&w, "profiles");
	zk_jw_obj(&w);
	member(&w, "type", "object");
	zk_jw_key(&w, "propertyNames");
	zk_jw_raw(&w, ZK_STR("{\"pattern\":\"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$\"}"));
	zk_jw_key(&w, "additionalProperties");
	section(&w, &k, true);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
	for (size_t i = 0; i < k.n; i++)
		free(k.v[i].name);
	free(k.v);
}
