/* From the options of `zk jetstream` to filters, lookups and sources.
 * Layer: cmd. */
#include "cmd/jetstream_opts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jetstream/session.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

const char *const jet_wires[] = { "auto", "v1", "v2", NULL };
const char *const jet_zstds[] = { "auto", "on", "off", NULL };
const char *const jet_shapes[] = { "v1", "upstream", NULL };
const char *const jet_gaps[] = { "continue", "stop", NULL };

#define POISON_MS 3600000

static int parse_what(const struct jet_opts *o, struct jet_input *in,
                      struct zk_error *err)
{
	static const struct {
		const char *name;
		unsigned bits;
	} rows[] = {
		{ "user", ZK_JET_WANT(ZK_JET_USER) },
		{ "mentions", ZK_JET_WANT(ZK_JET_MENTION) },
		{ "parent", ZK_JET_WANT(ZK_JET_PARENT) },
		{ "root", ZK_JET_WANT(ZK_JET_ROOT) },
		{ "quote", ZK_JET_WANT(ZK_JET_QUOTE) },
		{ "subject",
		  ZK_JET_WANT(ZK_JET_SUBJECT_POST) | ZK_JET_WANT(ZK_JET_SUBJECT_USER) },
	};

	for (size_t i = 0; i < o->hydrate.n; i++) {
		const char *v = o->hydrate.v[i];
		size_t k = 0;

		if (strcmp(v, "none") == 0) {
			in->wanted = 0;
			return 0;
		}
		if (strcmp(v, "cached") == 0) {
			in->cached_only = true;
			continue;
		}
		while (k < ZK_ARRAY_LEN(rows) && strcmp(rows[k].name, v) != 0)
			k++;
		if (k == ZK_ARRAY_LEN(rows))
			return zk_fail(err, ZK_E_USAGE, "--hydrate: there is no '%s'", v);
		in->wanted |= rows[k].bits;
	}
	/* "cached" alone means all the usual ones. */
	for (size_t k = 0; in->cached_only && !in->wanted && k < 5; k++)
		in->wanted |= rows[k].bits;
	in->wanted |= in->cached_only && o->hydrate.n == 1 ? 0x1f : 0;
	in->hydrates = in->wanted != 0;
	return 0;
}

static int parse_pace(const char *text, double *ret, struct zk_error *err)
{
	zk_str s = zk_str_of(text);
	struct zk_error ignored;

	if (!text)
		return 0;
	if (zk_str_ends(s, ZK_STR("x")))
		s.n--;
	if (zk_parse_double(s, ret, &ignored) < 0 || *ret <= 0)
		return zk_fail(err, ZK_E_USAGE, "--pace: '%s' is not like 1x", text);
	return 0;
}

static int parse_places(const struct jet_opts *o, struct jet_input *in,
                        struct zk_error *err)
{
	int64_t now = zk_wall_us(), ms;
	struct zk_error ignored;

	if (o->since && zk_jet_pos_parse(zk_str_of(o->since), now, &in->since, err) < 0)
		return zk_wrap(err, "--since");
	if (o->until && zk_jet_pos_parse(zk_str_of(o->until), now, &in->until, err) < 0)
		return zk_wrap(err, "--until");
	if (strcmp(o->deadline, "none") == 0) {
		in->deadline_ms = -1;
	} else if (zk_parse_duration(zk_str_of(o->deadline), &ms, &ignored) == 0) {
		in->deadline_ms = ms;
	} else {
		return zk_fail(err, ZK_E_USAGE, "--hydrate-deadline: '%s' is no duration",
		               o->deadline);
	}
	return parse_pace(o->pace, &in->pace, err);
}

static char *cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return zk_asprintf("%s/zk", xdg);
	return home && home[0] == '/' ? zk_asprintf("%s/.cache/zk", home) : NULL;
}

int jet_input_make(struct zk_app *app, const struct jet_opts *o, struct jet_input *in,
                   struct zk_error *err)
{
	struct zk_jet_filter_conf conf = {
		.collections = o->collections.v,
		.n_collections = o->collections.n,
		.dids = o->dids.v,
		.n_dids = o->dids.n,
		.exclude = o->exclude.v,
		.n_exclude = o->exclude.n,
		.kinds = o->kinds.v,
		.n_kinds = o->kinds.n,
		.ops = o->ops.v,
		.n_ops = o->ops.n,
		.match = o->match,
		.shard = o->shard,
	};

	(void)app;
	memset(in, 0, sizeof(*in));
	if (zk_jet_filter_init(&in->filter, &conf, err) < 0)
		return -(int)err->code;
	in->cache_dir = cache_dir();
	if (parse_what(o, in, err) < 0)
		return -(int)err->code;
	return parse_places(o, in, err);
}

void jet_input_done(struct jet_input *in)
{
	zk_jet_filter_done(&in->filter);
	free(in->cache_dir);
	in->cache_dir = NULL;
}

int jet_hydrator(struct zk_app *app, const struct jet_opts *o, const struct jet_input *in,
                 const struct zk_jet_hydrator_conf *hooks, struct zk_jet_hydrator **ret,
                 struct zk_error *err)
{
	struct zk_jet_hydrator_conf conf = *hooks;
	struct zk_net *net = zk_app_net(app, err);

	*ret = NULL;
	if (!net)
		return -(int)err->code;
	if (!in->hydrates)
		return 0;
	conf.api.url = o->api_url;
	conf.api.max_requests = (unsigned)o->api_requests;
	conf.api.rps = o->api_rps > 0.01 ? o->api_rps : 0.01;
	conf.api.timeout_ms = o->api_timeout_ms;
	conf.cached_only = in->cached_only;
	conf.linger_ms = o->linger_ms;
	conf.deadline_ms = in->deadline_ms;
	conf.users = (struct zk_jet_cache_conf){ .max_entries = o->users_cache,
		                                 .max_bytes = o->users_cache_bytes,
		                                 .ttl_ms = o->user_ttl_ms,
		                                 .negative_ttl_ms = o->negative_ttl_ms,
		                                 .poison_ttl_ms = POISON_MS };
	conf.posts = (struct zk_jet_cache_conf){ .max_entries = o->posts_cache,
		                                 .max_bytes = o->posts_cache_bytes,
		                                 .ttl_ms = o->post_ttl_ms,
		                                 .negative_ttl_ms = o->negative_ttl_ms,
		                                 .poison_ttl_ms = POISON_MS };
	conf.filter = &in->filter;
	*ret = zk_jet_hydrator_new(net, &conf, zk_app_metrics(app));
	return 0;
}

static void on_sessions(void *ctx, const struct zk_error *err)
{
	(void)ctx;
	if (err)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "no session; the public API is asked instead", err);
}

int jet_sessions(struct zk_app *app, const struct jet_opts *o,
                 struct zk_jet_sessions **ret, struct zk_error *err)
{
	struct zk_net *net = zk_app_net(app, err);
	struct zk_buf password ZK_CLEANUP(zk_buf_done);
	struct zk_buf secret ZK_CLEANUP(zk_buf_done);
	struct zk_jet_sessions_conf conf = { .pds = o->pds, .graze_url = o->graze_url };

	*ret = NULL;
	zk_buf_init_secret(&password, ZK_SECRET_MAX);
	zk_buf_init_secret(&secret, ZK_SECRET_MAX);
	if (!net)
		return -(int)err->code;
	if (o->graze_secret.kind != ZK_SECRET_NONE) {
		if (zk_secret_load(&o->graze_secret, &secret, err) < 0)
			return -(int)err->code;
		conf.graze_secret = zk_buf_cstring(&secret);
	} else if (o->identifier) {
		if (zk_secret_load(&o->password, &password, err) < 0)
			return -(int)err->code;
		conf.identifier = o->identifier;
		conf.password = zk_buf_cstring(&password);
	} else {
		return 0;
	}
	*ret = zk_jet_sessions_new(net, &conf);
	zk_jet_sessions_start(*ret, on_sessions, NULL);
	return 0;
}

struct zk_jet_source *jet_source(struct zk_app *app, const struct jet_opts *o,
                                 const struct jet_input *in,
                                 const struct zk_jet_place *place,
                                 const struct zk_jet_source_hooks *hooks,
                                 struct zk_error *err)
{
	struct zk_jet_source *source = NULL;
	int r;
	struct zk_jet_file_source_conf file = { .path = o->from,
		                                .pace = in->pace,
		                                .skip = place->seq };
	struct zk_jet_ws_source_conf ws = {
		.hosts = o->hosts.v,
		.n_hosts = o->hosts.n,
		.wire = (enum zk_jet_wire)o->wire,
		.zstd = (enum zk_jet_zstd)o->zstd,
		.dictionary = o->dictionary,
		.cache_dir = in->cache_dir,
		.max_message_size = o->max_message_size,
		.upstream_shape = o->message_shape == 1,
		.filter = &in->filter,
		.start = *place,
		.since = in->since,
		.stale_after_ms = o->stale_after_ms,
		.base_ms = app->retry.base_ms,
		.cap_ms = app->retry.cap_ms,
	};
	struct zk_net *net = zk_app_net(app, err);
	struct zk_loop *loop = zk_app_loop(app, err);

	if (!net || !loop)
		return NULL;
	if (in->since.kind != ZK_JET_POS_NONE)
		file.skip = 0;
	if (o->from && zk_str_starts(zk_str_of(o->from), ZK_STR("redis:")))
		r = zk_fail(err, ZK_E_USAGE, "only `zk jetstream run` reads redis:");
	else if (o->from)
		r = zk_jet_file_source_new(loop, &file, hooks, &source, err);
	else if (o->zstd == ZK_JET_ZSTD_ON && o->wire == ZK_JET_WIRE_1 && !o->dictionary)
		r = zk_fail(err, ZK_E_CONFIG,
		            "--zstd on with the first wire needs --zstd-dictionary FILE");
	else
		r = zk_jet_ws_source_new(net, &ws, hooks, zk_app_metrics(app), &source,
		                         err);
	return r < 0 ? NULL : source;
}
