/* Which events are kept: collections, accounts, kinds, operations, an expression, a shard.
 * Layer: jetstream. specs/jetstream.md §2, §10. Loop thread only. */
#ifndef ZK_JETSTREAM_FILTER_H
#define ZK_JETSTREAM_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "jetstream/event.h"

struct zk_expr;
struct zk_buf;

#define ZK_JET_DIDS_MAX        10000
#define ZK_JET_COLLECTIONS_MAX 100

struct zk_jet_filter_conf {
	/* Lists of options: values, or @FILE with one per line for accounts. */
	char *const *collections;
	size_t n_collections;
	char *const *dids, *const *exclude;
	size_t n_dids, n_exclude;
	char *const *kinds, *const *ops;
	size_t n_kinds, n_ops;
	const char *match; /* NULL = none */
	const char *shard; /* "I/N", NULL = all */
};

/* Accounts. Most of those that are not among them are told by a mark of their last bytes. */
struct zk_jet_dids {
	struct zk_map set;
	uint64_t marks[16];
};

struct zk_jet_filter {
	char **collections; /* exact or "prefix.*"; none = all */
	size_t n_collections;
	char **dids; /* in order; none = all */
	size_t n_dids;
	struct zk_jet_dids wanted, exclude;
	unsigned kinds, ops; /* bits 1 << enum; 0 = all */
	struct zk_expr *match;
	unsigned shard, shards;
};

/* 0, or -ZK_E_USAGE naming the option and the value, -ZK_E_NO_INPUT for a file. */
int zk_jet_filter_init(struct zk_jet_filter *f, const struct zk_jet_filter_conf *conf,
                       struct zk_error *err) ZK_MUST_USE;
void zk_jet_filter_done(struct zk_jet_filter *f);
bool zk_jet_filter_passes(const struct zk_jet_filter *f, const struct zk_jet_event *e);
bool zk_jet_filter_excludes(const struct zk_jet_filter *f, zk_str did);
/* Whether a commit of this collection passes (an empty one passes any filter). */
bool zk_jet_filter_collection(const struct zk_jet_filter *f, zk_str collection);
/* The NSID or pattern is one the servers accept. */
bool zk_jet_nsid_ok(zk_str s);
bool zk_jet_did_ok(zk_str s);

/* The names of the paths of --match (§10.2), for `query` too. */
struct zk_expr_conf;
extern const struct zk_expr_conf zk_jet_match_conf;

#endif
