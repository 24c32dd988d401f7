/* What a client of /ws asks for.
 * Layer: jetstream. */
#include "jetstream/fan_ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/uri.h"

#include "base/ban.h"

#define MESSAGE_MAX (1u << 20)
#define VALUE_MAX   16384
#define OLDEST_US   INT64_C(1000000000000000) /* §4: below it lie sequence numbers */
#define VALUES_MAX  (ZK_JET_DIDS_MAX + ZK_JET_COLLECTIONS_MAX)

enum list { COLLECTIONS, DIDS, KINDS, OPS, LISTS };

/* The texts of one request. */
struct texts {
	char **v[LISTS];
	size_t n[LISTS];
	char *match;
};

static void texts_done(struct texts *t)
{
	for (unsigned k = 0; k < LISTS; k++) {
		for (size_t i = 0; i < t->n[k]; i++)
			free(t->v[k][i]);
		free(t->v[k]);
	}
	free(t->match);
}

static int add(struct texts *t, enum list k, zk_str value, struct zk_error *err)
{
	/* A file of ours is nobody's to name. */
	if (zk_str_starts(value, ZK_STR("@")))
		return zk_fail(err, ZK_E_USAGE, "'%.*s' is not a DID",
		               (int)ZK_MIN(value.n, (size_t)80), value.p);
	if (t->n[k] == VALUES_MAX)
		return zk_fail(err, ZK_E_USAGE, "too many values");
	if (!(t->n[k] & (t->n[k] + 1)))
		t->v[k] = zk_realloc(t->v[k], (t->n[k] * 2 + 2) * sizeof(char *));
	t->v[k][t->n[k]++] = zk_strndup(value.n ? value.p : "", value.n);
	return 0;
}

static int make_filter(const struct texts *t, struct zk_jet_filter *f,
                       struct zk_error *err)
{
	struct zk_jet_filter_conf conf = { .collections = t->v[COLLECTIONS],
		                           .n_collections = t->n[COLLECTIONS],
		                           .dids = t->v[DIDS],
		                           .n_dids = t->n[DIDS],
		                           .kinds = t->v[KINDS],
		                           .n_kinds = t->n[KINDS],
		                           .ops = t->v[OPS],
		                           .n_ops = t->n[OPS],
		                           .match = t->match };

	if (zk_jet_filter_init(f, &conf, err) == 0)
		return 0;
	err->code = ZK_E_USAGE; /* whatever it would be of an option */
	return -(int)ZK_E_USAGE;
}

static void judge(struct zk_jet_ask *a)
{
	const struct zk_jet_filter *f = &a->filter;

	a->filtered =
	        f->n_collections || f->n_dids || f->kinds || f->ops || f->match != NULL;
}

/* ---- the query ---- */

static const struct {
	zk_str name;
	enum list list;
} names[] = {
	{ ZK_STR_INIT("collection"), COLLECTIONS },
	{ ZK_STR_INIT("wantedCollections"), COLLECTIONS },
	{ ZK_STR_INIT("collections"), COLLECTIONS },
	{ ZK_STR_INIT("did"), DIDS },
	{ ZK_STR_INIT("wantedDids"), DIDS },
	{ ZK_STR_INIT("dids"), DIDS },
	{ ZK_STR_INIT("kind"), KINDS },
	{ ZK_STR_INIT("kinds"), KINDS },
	{ ZK_STR_INIT("op"), OPS },
};

static int set_cursor(struct zk_jet_ask *a, zk_str value, struct zk_error *err)
{
	if (!zk_str_i64(value, &a->since_us) || a->since_us < OLDEST_US)
		return zk_fail(err, ZK_E_USAGE,
		               "cursor: '%.*s' is not a time in microseconds",
		               (int)ZK_MIN(value.n, (size_t)40), value.p);
	return 0;
}

static int take(struct zk_jet_ask *a, struct texts *t, zk_str name, zk_str value,
                struct zk_error *err)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		if (zk_str_eq(name, names[i].name))
			return add(t, names[i].list, value, err);
	if (zk_str_eq(name, ZK_STR("cursor")))
		return set_cursor(a, value, err);
	if (zk_str_eq(name, ZK_STR("match")) && !t->match) {
		t->match = zk_strndup(value.n ? value.p : "", value.n);
		return 0;
	}
	return zk_fail(err, ZK_E_USAGE, "there is no parameter '%.*s'",
	               (int)ZK_MIN(name.n, (size_t)40), name.p);
}

static int read_query(struct zk_jet_ask *a, struct texts *t, zk_str query,
                      struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	zk_str raw_name, raw_value;

	zk_buf_init(&text, VALUE_MAX);
	while (zk_uri_query_next(&query, &raw_name, &raw_value, NULL)) {
		size_t n;

		zk_buf_clear(&text);
		if (!zk_uri_decode(raw_name, ZK_URI_QUERY, &text))
			return zk_fail(err, ZK_E_USAGE, "a parameter cannot be read");
		n = text.n;
		if (!zk_uri_decode(raw_value, ZK_URI_QUERY, &text))
			return zk_fail(err, ZK_E_USAGE, "a parameter cannot be read");
		if (take(a, t, zk_str_n(text.p, n), zk_str_n(text.p + n, text.n - n),
		         err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int zk_jet_ask_read(struct zk_jet_ask *a, zk_str query, struct zk_error *err)
{
	struct texts t = { 0 };
	int r;

	memset(a, 0, sizeof(*a));
	r = read_query(a, &t, query, err);
	if (r == 0)
		r = make_filter(&t, &a->filter, err);
	texts_done(&t);
	judge(a);
	return r;
}

/* ---- messages ---- */

static int add_all(struct texts *t, enum list k, const struct zk_json *payload,
                   const char *name, struct zk_error *err)
{
	const struct zk_json *list = zk_json_at(payload, name);
	int r = 0;

	if (!list || zk_json_type(list) == ZK_J_NULL)
		return 0;
	if (zk_json_type(list) != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_USAGE, "%s is not a list", name);
	ZK_JSON_EACH(it, list)
	{
		zk_str value;

		if (zk_json_get_str(it, "", &value, err) < 0)
			return zk_fail(err, ZK_E_USAGE,
			               "%s has something that is no text", name);
		r = add(t, k, value, err);
		if (r < 0)
			break;
	}
	return r;
}

/* Collections and accounts are replaced, the rest stays as the query had it. */
static void replace(struct zk_jet_ask *a, struct zk_jet_filter *fresh)
{
	struct zk_jet_filter old = a->filter;

	a->filter.collections = fresh->collections;
	a->filter.n_collections = fresh->n_collections;
	a->filter.dids = fresh->dids;
	a->filter.n_dids = fresh->n_dids;
	a->filter.wanted = fresh->wanted;
	fresh->collections = old.collections;
	fresh->n_collections = old.n_collections;
	fresh->dids = old.dids;
	fresh->n_dids = old.n_dids;
	fresh->wanted = old.wanted;
	judge(a);
}

int zk_jet_ask_update(struct zk_jet_ask *a, zk_str message, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *root = NULL;
	struct texts t = { 0 };
	struct zk_jet_filter fresh;
	const struct zk_json *payload;
	zk_str type;
	int r;

	if (zk_json_parse(message, MESSAGE_MAX, &root, err) < 0 ||
	    zk_json_get_str(root, "type", &type, err) < 0)
		return -(int)err->code;
	if (!zk_str_eq(type, ZK_STR("options_update")))
		return 0; /* as the servers of the first wire do */
	payload = zk_json_at(root, "payload");
	r = add_all(&t, COLLECTIONS, payload, "wantedCollections", err);
	if (r == 0)
		r = add_all(&t, DIDS, payload, "wantedDids", err);
	if (r == 0)
		r = make_filter(&t, &fresh, err);
	if (r == 0) {
		replace(a, &fresh);
		zk_jet_filter_done(&fresh);
	}
	texts_done(&t);
	return r;
}

void zk_jet_ask_done(struct zk_jet_ask *a)
{
	zk_jet_filter_done(&a->filter);
}
