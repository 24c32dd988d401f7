/* Filters: local ones are applied always, a server may send more than it was asked for.
 * Layer: jetstream. */
#include "jetstream/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/expr.h"

#include "base/ban.h"

#define FILE_MAX   (4u << 20)
#define SHARDS_MAX 1024

static const struct zk_expr_alias names[] = {
	{ "text", "commit.record.text" },
	{ "langs", "commit.record.langs" },
	{ "did", "did" },
	{ "kind", "kind" },
	{ "op", "commit.operation" },
	{ "collection", "commit.collection" },
	{ "rkey", "commit.rkey" },
	{ "reply", "commit.record.reply" },
	{ "quote", "commit.record.embed.record.uri" },
	{ "quote", "commit.record.embed.record.record.uri" },
	{ "embed", "commit.record.embed" },
	{ "record", "commit.record" },
	{ NULL, NULL },
};

const struct zk_expr_conf zk_jet_match_conf = { .grammar = ZK_EXPR_STREAM,
	                                        .aliases = names,
	                                        .only_aliases = true,
	                                        .what = "--match" };

/* ---- forms ---- */

static bool is_label(zk_str s, bool name)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = c >= '0' && c <= '9';

		if (!letter && !(digit && (i || !name)) && (c != '-' || name))
			return false;
	}
	return s.n > 0 && s.n <= 63 && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

bool zk_jet_nsid_ok(zk_str s)
{
	bool prefix = zk_str_ends(s, ZK_STR(".*"));
	unsigned labels = 0;
	zk_str rest = prefix ? zk_str_n(s.p, s.n - 2) : s;

	if (s.n > 317)
		return false;
	while (rest.p) {
		zk_str label;

		rest = zk_str_cut(rest, '.', &label);
		if (!is_label(label, !rest.p && !prefix))
			return false;
		labels++;
	}
	return labels >= (prefix ? 1 : 3);
}

static bool is_id_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("._:%-", c));
}

bool zk_jet_did_ok(zk_str s)
{
	zk_str method, id, rest = zk_str_from(s, 4);

	if (!zk_str_starts(s, ZK_STR("did:")) || s.n > 2048)
		return false;
	id = zk_str_cut(rest, ':', &method);
	for (size_t i = 0; i < method.n; i++)
		if (method.p[i] < 'a' || method.p[i] > 'z')
			return false;
	for (size_t i = 0; i < id.n; i++)
		if (!is_id_char(id.p[i]))
			return false;
	return method.n && id.n && id.p[id.n - 1] != ':' && id.p[id.n - 1] != '%';
}

/* ---- making it ---- */

static unsigned mark_of(zk_str did)
{
	uint64_t tail = 0;

	if (did.n >= sizeof(tail))
		memcpy(&tail, did.p + did.n - sizeof(tail), sizeof(tail));
	return (unsigned)(tail * UINT64_C(0x9e3779b97f4a7c15) >> 54);
}

static bool has_did(const struct zk_jet_dids *d, zk_str did)
{
	unsigned mark = mark_of(did);

	return d->marks[mark / 64] >> mark % 64 & 1 && zk_map_get(&d->set, did);
}

/* Where the accounts of an option go: a set, and a list when the upstream is told. */
struct dids {
	const char *option;
	struct zk_jet_dids *to;
	char ***list;
	size_t *n;
};

static int add_did(const struct dids *d, zk_str did, struct zk_error *err)
{
	char *text;

	if (!zk_jet_did_ok(did))
		return zk_fail(err, ZK_E_USAGE, "%s: '%.*s' is not a DID", d->option,
		               (int)ZK_MIN(did.n, (size_t)80), did.p);
	if (has_did(d->to, did))
		return 0;
	if (d->list && *d->n == ZK_JET_DIDS_MAX)
		return zk_fail(err, ZK_E_USAGE, "%s: more than %d accounts", d->option,
		               ZK_JET_DIDS_MAX);
	(void)zk_map_set(&d->to->set, did, d->to);
	d->to->marks[mark_of(did) / 64] |= UINT64_C(1) << mark_of(did) % 64;
	if (!d->list)
		return 0;
	text = zk_strndup(did.p, did.n);
	*d->list = zk_realloc(*d->list, (*d->n + 1) * sizeof(char *));
	(*d->list)[(*d->n)++] = text;
	return 0;
}

static int add_file(const struct dids *d, const char *path, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	FILE *f = fopen(path, "re");
	zk_str rest;
	size_t got;
	int r = 0;

	zk_buf_init(&b, FILE_MAX);
	if (!f)
		return zk_fail(err, ZK_E_NO_INPUT, "%s: cannot read '%s'", d->option,
		               path);
	while (!b.failed && zk_buf_reserve(&b, 65536) &&
	       (got = fread(b.p + b.n, 1, 65536, f)) > 0)
		b.n += got;
	(void)fclose(f); /* only read */
	rest = zk_buf_str(&b);
	if (b.failed)
		return zk_fail(err, ZK_E_USAGE, "%s: '%s' is larger than 4 MiB",
		               d->option, path);
	while (r == 0 && rest.n) {
		zk_str line;

		rest = zk_str_cut(rest, '\n', &line);
		line = zk_str_trim(line);
		if (line.n && line.p[0] != '#')
			r = add_did(d, line, err);
	}
	return r;
}

static int add_dids(const struct dids *d, char *const *v, size_t n, struct zk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = v[i][0] == '@' ? add_file(d, v[i] + 1, err)
		                   : add_did(d, zk_str_of(v[i]), err);
	return r;
}

static int add_collections(struct zk_jet_filter *f, const struct zk_jet_filter_conf *c,
                           struct zk_error *err)
{
	f->collections = zk_alloc_array(c->n_collections + 1, sizeof(*f->collections));
	for (size_t i = 0; i < c->n_collections; i++) {
		zk_str s = zk_str_of(c->collections[i]);

		if (zk_str_eq(s, ZK_STR("*"))) {
			while (f->n_collections)
				free(f->collections[--f->n_collections]);
			return 0;
		}
		if (!zk_jet_nsid_ok(s))
			return zk_fail(
			        err, ZK_E_USAGE,
			        "--collection: '%s' is neither an NSID nor 'prefix.*'",
			        c->collections[i]);
		if (f->n_collections == ZK_JET_COLLECTIONS_MAX)
			return zk_fail(err, ZK_E_USAGE, "more than %d collections",
			               ZK_JET_COLLECTIONS_MAX);
		f->collections[f->n_collections++] = zk_strdup(c->collections[i]);
	}
	return 0;
}

static int add_bits(unsigned *bits, char *const *v, size_t n, const char *const *known,
                    const char *option, struct zk_error *err)
{
	for (size_t i = 0; i < n; i++) {
		unsigned k = 0;

		while (known[k] && strcmp(known[k], v[i]) != 0)
			k++;
		if (!known[k])
			return zk_fail(err, ZK_E_USAGE, "%s: there is no '%s'", option,
			               v[i]);
		*bits |= 1u << k;
	}
	return 0;
}

static int set_shard(struct zk_jet_filter *f, const char *text, struct zk_error *err)
{
	zk_str of, n = zk_str_cut(zk_str_of(text), '/', &of);
	uint64_t i = 0, all = 0;
	struct zk_error ignored;

	if (zk_parse_u64(of, &i, &ignored) < 0 || zk_parse_u64(n, &all, &ignored) < 0 ||
	    !all || all > SHARDS_MAX || i >= all)
		return zk_fail(err, ZK_E_USAGE,
		               "--shard: '%s' is not I/N with 0 <= I < N <= 1024", text);
	f->shard = (unsigned)i;
	f->shards = (unsigned)all;
	return 0;
}

int zk_jet_filter_init(struct zk_jet_filter *f, const struct zk_jet_filter_conf *c,
                       struct zk_error *err)
{
	const struct dids wanted = {
		.option = "--did", .to = &f->wanted, .list = &f->dids, .n = &f->n_dids
	};
	const struct dids unwanted = { .option = "--exclude-did", .to = &f->exclude };
	static const char *const kinds[] = { "commit", "identity", "account",
		                             "sync",   "other",    NULL };
	static const char *const ops[] = {
		"", "create", "update", "delete", "other", NULL
	};
	int r;

	memset(f, 0, sizeof(*f));
	zk_map_init(&f->wanted.set);
	zk_map_init(&f->exclude.set);
	f->shards = 1;
	r = add_collections(f, c, err);
	if (r == 0)
		r = add_dids(&wanted, c->dids, c->n_dids, err);
	if (r == 0)
		r = add_dids(&unwanted, c->exclude, c->n_exclude, err);
	if (r == 0)
		r = add_bits(&f->kinds, c->kinds, c->n_kinds, kinds, "--kind", err);
	if (r == 0)
		r = add_bits(&f->ops, c->ops, c->n_ops, ops, "--op", err);
	if (r == 0 && c->match)
		r = zk_expr_compile(zk_str_of(c->match), &zk_jet_match_conf, &f->match,
		                    err);
	if (r == 0 && c->shard)
		r = set_shard(f, c->shard, err);
	if (r < 0)
		zk_jet_filter_done(f);
	return r;
}

void zk_jet_filter_done(struct zk_jet_filter *f)
{
	for (size_t i = 0; i < f->n_collections; i++)
		free(f->collections[i]);
	free(f->collections);
	for (size_t i = 0; i < f->n_dids; i++)
		free(f->dids[i]);
	free(f->dids);
	zk_map_done(&f->wanted.set);
	zk_map_done(&f->exclude.set);
	zk_expr_free(f->match);
	memset(f, 0, sizeof(*f));
}

/* ---- using it ---- */

bool zk_jet_filter_collection(const struct zk_jet_filter *f, zk_str c)
{
	if (!f->n_collections || !c.n)
		return true;
	for (size_t i = 0; i < f->n_collections; i++) {
		zk_str want = zk_str_of(f->collections[i]);

		if (zk_str_eq(c, want))
			return true;
		if (want.p[want.n - 1] == '*' &&
		    zk_str_starts(c, zk_str_n(want.p, want.n - 1)))
			return true;
	}
	return false;
}

bool zk_jet_filter_excludes(const struct zk_jet_filter *f, zk_str did)
{
	return f->exclude.set.n && has_did(&f->exclude, did);
}

/* What the decoder has found already, by the full path. */
static enum zk_expr_found find(const void *ctx, zk_str path, struct zk_jval *ret)
{
	const struct zk_jet_event *e = ctx;
	const struct {
		zk_str path;
		const struct zk_jval *val;
	} rows[] = {
		{ ZK_STR_INIT("commit.record.text"), &e->text },
		{ ZK_STR_INIT("commit.record.langs"), &e->langs },
		{ ZK_STR_INIT("commit.record.reply"), &e->reply },
		{ ZK_STR_INIT("commit.record.embed"), &e->embed },
		{ ZK_STR_INIT("commit.record"), &e->record },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		if (!zk_str_eq(path, rows[i].path))
			continue;
		if (!rows[i].val->raw.n) /* or of another type: look again */
			return ZK_EXPR_UNKNOWN;
		*ret = *rows[i].val;
		return ZK_EXPR_THERE;
	}
	return ZK_EXPR_UNKNOWN;
}

bool zk_jet_filter_passes(const struct zk_jet_filter *f, const struct zk_jet_event *e)
{
	if (f->kinds && !(f->kinds & 1u << e->kind))
		return false;
	if (e->kind == ZK_JET_COMMIT) {
		if (f->ops && !(f->ops & 1u << e->op))
			return false;
		if (!zk_jet_filter_collection(f, e->collection))
			return false;
	}
	if (f->n_dids && !has_did(&f->wanted, e->did))
		return false;
	if (zk_jet_filter_excludes(f, e->did))
		return false;
	if (f->shards > 1 && zk_jet_did_hash(e->did) % f->shards != f->shard)
		return false;
	return !f->match || zk_expr_match_with(f->match, e->raw, find, e);
}
