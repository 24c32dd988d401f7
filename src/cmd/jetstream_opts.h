/* Options that the commands of `zk jetstream` share, and what they become.
 * Layer: cmd. specs/jetstream.md §2, §18. */
#ifndef ZK_CMD_JETSTREAM_OPTS_H
#define ZK_CMD_JETSTREAM_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "jetstream/filter.h"
#include "jetstream/hydrate.h"
#include "jetstream/pipe.h"
#include "jetstream/source.h"
#include "jetstream/store.h"

/* First member of the struct of `run` and `tail`. */
struct jet_opts {
	/* where events come from */
	struct zk_strlist hosts;
	int wire, zstd, message_shape, on_gap;
	const char *dictionary, *from, *since, *until, *pace;
	uint64_t max_message_size;
	int64_t stale_after_ms;
	/* which ones */
	struct zk_strlist collections, dids, exclude, kinds, ops;
	const char *match, *shard;
	/* lookups */
	struct zk_strlist hydrate;
	const char *deadline, *api_url;
	double api_rps;
	uint64_t api_requests, users_cache, posts_cache;
	uint64_t users_cache_bytes, posts_cache_bytes;
	int64_t linger_ms, user_ttl_ms, post_ttl_ms, negative_ttl_ms, api_timeout_ms;
	const char *identifier, *pds, *graze_url;
	struct zk_secret password, graze_secret;
	int envelope;
};

#define JET_OFF(m) .off = offsetof(struct jet_opts, m)

/* The rows that fill it: defined once in jetstream_opts.c, copied into both tables by
 * JET_SOURCE_ROWS and JET_HYDRATE_ROWS. */
#define JET_G_SOURCE "Source"
#define JET_G_FILTER "Filters"
#define JET_G_HYDR   "Hydration"

extern const char *const jet_wires[], *const jet_zstds[], *const jet_shapes[],
                                                                  *const jet_gaps[];

#define JET_SOURCE_ROWS                                                                  \
	{ .type = ZK_OPT_LIST,                                                           \
	  .name = "host",                                                                \
	  .meta = "URL",                                                                 \
	  JET_OFF(hosts),                                                                \
	  .conf = "jetstream.hosts",                                                     \
	  .def = "jetstream1.us-east.bsky.network,jetstream2.us-east.bsky.network,"      \
		 "jetstream1.us-west.bsky.network,jetstream2.us-west.bsky.network",      \
	  .flags = ZK_OPT_F_COMMA,                                                       \
	  .group = JET_G_SOURCE,                                                         \
	  .help = "host, ws://HOST or wss://HOST; several take turns" },                 \
	        { .type = ZK_OPT_ENUM,                                                   \
		  .name = "wire",                                                        \
		  .meta = "WIRE",                                                        \
		  .def = "auto",                                                         \
		  .values = jet_wires,                                                   \
		  JET_OFF(wire),                                                         \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "v1 is /subscribe, v2 is subscribeEvents" },                   \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "from",                                                        \
		  .meta = "FILE",                                                        \
		  .flags = ZK_OPT_NO_CONF,                                               \
		  JET_OFF(from),                                                         \
		  .group = JET_G_SOURCE,                                                 \
		  .complete = "file",                                                    \
		  .help = "read NDJSON (also .zst, .gz), a store file, - or (run) "      \
		          "redis:STREAM" },                                              \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "pace",                                                        \
		  .meta = "Nx",                                                          \
		  .flags = ZK_OPT_NO_CONF,                                               \
		  JET_OFF(pace),                                                         \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "with --from: N times as fast as it was; without, full "       \
		          "speed" },                                                     \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "since",                                                       \
		  .meta = "POS",                                                         \
		  .flags = ZK_OPT_NO_CONF,                                               \
		  JET_OFF(since),                                                        \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "begin at live, -15m, a time, time_us or seq:N" },             \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "until",                                                       \
		  .meta = "POS",                                                         \
		  .flags = ZK_OPT_NO_CONF,                                               \
		  JET_OFF(until),                                                        \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "stop there" },                                                \
	        { .type = ZK_OPT_ENUM,                                                   \
		  .name = "zstd",                                                        \
		  .meta = "WHEN",                                                        \
		  .def = "auto",                                                         \
		  .values = jet_zstds,                                                   \
		  JET_OFF(zstd),                                                         \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "compressed stream; auto: where a dictionary is at hand" },    \
	        { .type = ZK_OPT_PATH,                                                   \
		  .name = "zstd-dictionary",                                             \
		  .meta = "FILE",                                                        \
		  JET_OFF(dictionary),                                                   \
		  .group = JET_G_SOURCE,                                                 \
		  .complete = "file",                                                    \
		  .help = "dictionary of the first wire" },                              \
	        { .type = ZK_OPT_SIZE,                                                   \
		  .name = "max-message-size",                                            \
		  .meta = "SIZE",                                                        \
		  .def = "0",                                                            \
		  .max = UINT32_MAX,                                                     \
		  JET_OFF(max_message_size),                                             \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "hosts leave out larger events; 0 is no limit" },              \
	        { .type = ZK_OPT_ENUM,                                                   \
		  .name = "message-shape",                                               \
		  .meta = "SHAPE",                                                       \
		  .def = "v1",                                                           \
		  .values = jet_shapes,                                                  \
		  JET_OFF(message_shape),                                                \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "keep events of the second wire as they came, or like the "    \
		          "first" },                                                     \
	        { .type = ZK_OPT_DURATION,                                               \
		  .name = "stale-after",                                                 \
		  .meta = "D",                                                           \
		  .def = "60s",                                                          \
		  JET_OFF(stale_after_ms),                                               \
		  .group = JET_G_SOURCE,                                                 \
		  .help = "another host when one that was busy sends nothing for so "    \
		          "long" },                                                      \
	        { .type = ZK_OPT_LIST,                                                   \
		  .name = "collection",                                                  \
		  .meta = "NSID",                                                        \
		  .def = "app.bsky.feed.post",                                           \
		  JET_OFF(collections),                                                  \
		  .conf = "jetstream.collections",                                       \
		  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,                               \
		  .group = JET_G_FILTER,                                                 \
		  .help = "commits of this collection, or 'prefix.*'; '*' for all" },    \
	        { .type = ZK_OPT_LIST,                                                   \
		  .name = "did",                                                         \
		  .meta = "DID|@FILE",                                                   \
		  JET_OFF(dids),                                                         \
		  .conf = "jetstream.dids",                                              \
		  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,                               \
		  .group = JET_G_FILTER,                                                 \
		  .help = "events of this account; a file holds one per line" },         \
	        { .type = ZK_OPT_LIST,                                                   \
		  .name = "exclude-did",                                                 \
		  .meta = "DID|@FILE",                                                   \
		  JET_OFF(exclude),                                                      \
		  .conf = "jetstream.exclude_dids",                                      \
		  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,                               \
		  .group = JET_G_FILTER,                                                 \
		  .help = "nothing of or about this account" },                          \
	        { .type = ZK_OPT_LIST,                                                   \
		  .name = "kind",                                                        \
		  .meta = "KIND",                                                        \
		  JET_OFF(kinds),                                                        \
		  .conf = "jetstream.kinds",                                             \
		  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,                               \
		  .group = JET_G_FILTER,                                                 \
		  .help = "commit, identity, account, sync; all without it" },           \
	        { .type = ZK_OPT_LIST,                                                   \
		  .name = "op",                                                          \
		  .meta = "OP",                                                          \
		  JET_OFF(ops),                                                          \
		  .conf = "jetstream.ops",                                               \
		  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,                               \
		  .group = JET_G_FILTER,                                                 \
		  .help = "commits that create, update, delete" },                       \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "match",                                                       \
		  .meta = "EXPR",                                                        \
		  JET_OFF(match),                                                        \
		  .group = JET_G_FILTER,                                                 \
		  .help = "events that satisfy it: 'text ~ \"owl\" && langs == \"en\"'", \
		  .text = "Paths: text langs did kind op collection rkey reply quote "   \
		          "embed "                                                       \
		          "record.a.b. Operators: == != < <= > >= ~ (contains) =~ "      \
		          "(regular "                                                    \
		          "expression) in (…) has PATH ! && || ( )." },                  \
	{                                                                                \
		.type = ZK_OPT_STR, .name = "shard", .meta = "I/N", JET_OFF(shard),      \
		.group = JET_G_FILTER, .help = "accounts whose hash modulo N is I"       \
	}

/* Where profiles and posts are looked up. */
#define JET_API_ROWS                                                                   \
	{ .type = ZK_OPT_URL,                                                          \
	  .name = "api-url",                                                           \
	  .meta = "URL",                                                               \
	  .def = "https://public.api.bsky.app",                                        \
	  JET_OFF(api_url),                                                            \
	  .conf = "jetstream.api.url",                                                 \
	  .flags = ZK_OPT_ENDPOINT,                                                    \
	  .group = JET_G_HYDR,                                                         \
	  .help = "where profiles and posts are looked up" },                          \
	        { .type = ZK_OPT_FLOAT,                                                \
		  .name = "api-rps",                                                   \
		  .meta = "N",                                                         \
		  .def = "10",                                                         \
		  JET_OFF(api_rps),                                                    \
		  .conf = "jetstream.api.rps",                                         \
		  .group = JET_G_HYDR,                                                 \
		  .help = "requests a second" },                                       \
	        { .type = ZK_OPT_UINT,                                                 \
		  .name = "api-requests",                                              \
		  .meta = "N",                                                         \
		  .def = "6",                                                          \
		  .min = 1,                                                            \
		  .max = 100,                                                          \
		  JET_OFF(api_requests),                                               \
		  .conf = "jetstream.hydrate.max_requests",                            \
		  .group = JET_G_HYDR,                                                 \
		  .help = "requests at a time" },                                      \
	        { .type = ZK_OPT_DURATION,                                             \
		  .name = "api-linger",                                                \
		  .meta = "D",                                                         \
		  .def = "20ms",                                                       \
		  JET_OFF(linger_ms),                                                  \
		  .conf = "jetstream.hydrate.linger",                                  \
		  .group = JET_G_HYDR,                                                 \
		  .help = "how long a request waits for more ids" },                   \
	        { .type = ZK_OPT_DURATION,                                             \
		  .name = "api-timeout",                                               \
		  .meta = "D",                                                         \
		  .def = "10s",                                                        \
		  JET_OFF(api_timeout_ms),                                             \
		  .conf = "jetstream.api.timeout",                                     \
		  .group = JET_G_HYDR,                                                 \
		  .help = "time of one request" },                                     \
	        { .type = ZK_OPT_UINT,                                                 \
		  .name = "users-cache",                                               \
		  .meta = "N",                                                         \
		  .def = "50000",                                                      \
		  .min = 1,                                                            \
		  .max = 100000000,                                                    \
		  JET_OFF(users_cache),                                                \
		  .conf = "jetstream.hydrate.users_cache",                             \
		  .group = JET_G_HYDR,                                                 \
		  .help = "profiles that are remembered" },                            \
	        { .type = ZK_OPT_UINT,                                                 \
		  .name = "posts-cache",                                               \
		  .meta = "N",                                                         \
		  .def = "40000",                                                      \
		  .min = 1,                                                            \
		  .max = 100000000,                                                    \
		  JET_OFF(posts_cache),                                                \
		  .conf = "jetstream.hydrate.posts_cache",                             \
		  .group = JET_G_HYDR,                                                 \
		  .help = "posts that are remembered" },                               \
	        { .type = ZK_OPT_SIZE,                                                 \
		  .name = "users-cache-bytes",                                         \
		  .meta = "SIZE",                                                      \
		  .def = "64MiB",                                                      \
		  JET_OFF(users_cache_bytes),                                          \
		  .conf = "jetstream.hydrate.users_cache_bytes",                       \
		  .group = JET_G_HYDR,                                                 \
		  .help = "memory of them" },                                          \
	        { .type = ZK_OPT_SIZE,                                                 \
		  .name = "posts-cache-bytes",                                         \
		  .meta = "SIZE",                                                      \
		  .def = "64MiB",                                                      \
		  JET_OFF(posts_cache_bytes),                                          \
		  .conf = "jetstream.hydrate.posts_cache_bytes",                       \
		  .group = JET_G_HYDR,                                                 \
		  .help = "memory of them" },                                          \
	        { .type = ZK_OPT_DURATION,                                             \
		  .name = "user-ttl",                                                  \
		  .meta = "D",                                                         \
		  .def = "1h",                                                         \
		  JET_OFF(user_ttl_ms),                                                \
		  .conf = "jetstream.hydrate.user_ttl",                                \
		  .group = JET_G_HYDR,                                                 \
		  .help = "how long a profile is good" },                              \
	        { .type = ZK_OPT_DURATION,                                             \
		  .name = "post-ttl",                                                  \
		  .meta = "D",                                                         \
		  .def = "5m",                                                         \
		  JET_OFF(post_ttl_ms),                                                \
		  .conf = "jetstream.hydrate.post_ttl",                                \
		  .group = JET_G_HYDR,                                                 \
		  .help = "how long a post is good" },                                 \
	        { .type = ZK_OPT_DURATION,                                             \
		  .name = "negative-ttl",                                              \
		  .meta = "D",                                                         \
		  .def = "10m",                                                        \
		  JET_OFF(negative_ttl_ms),                                            \
		  .conf = "jetstream.hydrate.negative_ttl",                            \
		  .group = JET_G_HYDR,                                                 \
		  .help = "how long an absent one is remembered" },                    \
	        { .type = ZK_OPT_STR,                                                  \
		  .name = "login-identifier",                                          \
		  .meta = "HANDLE",                                                    \
		  JET_OFF(identifier),                                                 \
		  .conf = "jetstream.api.login.identifier",                            \
		  .group = JET_G_HYDR,                                                 \
		  .help = "account whose app password asks the API" },                 \
	        { .type = ZK_OPT_SECRET_REF,                                           \
		  .name = "login-password",                                            \
		  JET_OFF(password),                                                   \
		  .conf = "jetstream.api.login.password",                              \
		  .group = JET_G_HYDR,                                                 \
		  .help = "its app password" },                                        \
	        { .type = ZK_OPT_URL,                                                  \
		  .name = "login-pds",                                                 \
		  .meta = "URL",                                                       \
		  .def = "https://bsky.social",                                        \
		  JET_OFF(pds),                                                        \
		  .conf = "jetstream.api.login.pds",                                   \
		  .group = JET_G_HYDR,                                                 \
		  .help = "server of the account" },                                   \
	        { .type = ZK_OPT_URL,                                                  \
		  .name = "graze-url",                                                 \
		  .meta = "URL",                                                       \
		  .def = "https://api.graze.social",                                   \
		  JET_OFF(graze_url),                                                  \
		  .conf = "jetstream.api.graze.url",                                   \
		  .group = JET_G_HYDR,                                                 \
		  .help = "credential service that gives sessions" },                  \
	{                                                                              \
		.type = ZK_OPT_SECRET_REF, .name = "graze-secret",                     \
		JET_OFF(graze_secret), .conf = "jetstream.api.graze.secret",           \
		.group = JET_G_HYDR, .help = "its secret; without one it is not asked" \
	}

#define JET_HYDRATE_ROWS(default_what)                                                   \
	{ .type = ZK_OPT_LIST,                                                           \
	  .name = "hydrate",                                                             \
	  .meta = "WHAT",                                                                \
	  .def = default_what,                                                           \
	  JET_OFF(hydrate),                                                              \
	  .conf = "jetstream.hydrate.what",                                              \
	  .flags = ZK_OPT_F_COMMA,                                                       \
	  .group = JET_G_HYDR,                                                           \
	  .help = "user, mentions, parent, root, quote, subject; none; cached" },        \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "hydrate-deadline",                                            \
		  .meta = "D",                                                           \
		  .def = "2s",                                                           \
		  JET_OFF(deadline),                                                     \
		  .conf = "jetstream.hydrate.deadline",                                  \
		  .group = JET_G_HYDR,                                                   \
		  .help = "longest time one event waits; none: as long as it takes" },   \
	        JET_API_ROWS,                                                            \
	{                                                                                \
		.type = ZK_OPT_ENUM, .name = "envelope", .meta = "FORM", .def = "zk",    \
		.values = zk_jet_envelope_names, JET_OFF(envelope), .group = JET_G_HYDR, \
		.help = "of enriched records: zk's, the Rust version's, or the event "   \
		        "alone"                                                          \
	}

/* What they become. */
struct jet_input {
	struct zk_jet_filter filter;
	struct zk_jet_pos since, until;
	double pace;
	unsigned wanted;
	bool hydrates, cached_only;
	int64_t deadline_ms; /* below 0 = none */
	char *cache_dir;
};

/* 0, or an error naming the option; jet_input_done in any case. */
int jet_input_make(struct zk_app *app, const struct jet_opts *o, struct jet_input *ret,
                   struct zk_error *err) ZK_MUST_USE;
void jet_input_done(struct jet_input *i);
/* The hydrator that the options ask for (NULL without lookups); `on_ready` and `ctx` as in its
 * configuration. */
int jet_hydrator(struct zk_app *app, const struct jet_opts *o, const struct jet_input *in,
                 const struct zk_jet_hydrator_conf *hooks, struct zk_jet_hydrator **ret,
                 struct zk_error *err) ZK_MUST_USE;
/* The sessions of a login or of the credential service; NULL without either. What fails at the start
 * is logged, and the public API asked instead. */
int jet_sessions(struct zk_app *app, const struct jet_opts *o,
                 struct zk_jet_sessions **ret, struct zk_error *err) ZK_MUST_USE;
/* The source: a file, or the hosts. `place` is the stored position (may be empty), `skip` of a
 * file the events that are stored already. NULL with `err`. */
struct zk_jet_source *jet_source(struct zk_app *app, const struct jet_opts *o,
                                 const struct jet_input *in,
                                 const struct zk_jet_place *place,
                                 const struct zk_jet_source_hooks *hooks,
                                 struct zk_error *err) ZK_MUST_USE;

#endif
