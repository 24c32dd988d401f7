/* An event on its way through the pipeline: its bytes, its lookups, what came of them.
 * Layer: jetstream. Made and freed on the loop thread; between the hand-over to the store and
 * its return only the store's thread looks at it. */
#ifndef ZK_JETSTREAM_ITEM_H
#define ZK_JETSTREAM_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "jetstream/event.h"

struct zk_jet_filter;
struct zk_jet_obj;

enum zk_jet_role {
	ZK_JET_USER,
	ZK_JET_MENTION,
	ZK_JET_PARENT,
	ZK_JET_ROOT,
	ZK_JET_QUOTE,
	ZK_JET_SUBJECT_POST,
	ZK_JET_SUBJECT_USER,
	ZK_JET_ROLES,
};

/* What lookups are wanted: bits 1 << role; MENTION and so on as --hydrate says. */
#define ZK_JET_WANT(role) (1u << (role))

enum zk_jet_reason {
	ZK_JET_RESOLVED,
	ZK_JET_NOT_FOUND,
	ZK_JET_INVALID,
	ZK_JET_POISONED,
	ZK_JET_API_ERROR,
	ZK_JET_API_AWAY,
	ZK_JET_DEADLINE,
	ZK_JET_BUDGET,
	ZK_JET_EXCLUDED,
	ZK_JET_CACHED_ONLY,
	ZK_JET_REASONS,
};

/* "not_found", … as the record has it. */
const char *zk_jet_reason_name(enum zk_jet_reason reason);
/* ZK_JET_REASONS when there is none of this name. */
enum zk_jet_reason zk_jet_reason_parse(zk_str name);
/* It may be there later: what `repair` looks up again (§11.5). */
bool zk_jet_reason_passes(enum zk_jet_reason reason);

enum zk_jet_hydration { ZK_JET_HYDRATION_NONE, ZK_JET_PARTIAL, ZK_JET_FULL };

/* One lookup of an item. */
struct zk_jet_lookup {
	struct zk_list link; /* in its flight */
	struct zk_jet_item *item;
	zk_str id;              /* in the item */
	struct zk_jet_obj *obj; /* a reference, or NULL */
	uint64_t request;       /* number of the request it waited for; 0 = none */
	enum zk_jet_role role;
	enum zk_jet_reason reason;
	bool post;    /* else a profile */
	bool waiting; /* is in a flight */
	bool peek;    /* from the cache only, and no harm when it is not there */
};

/* Where to go on after this event. */
struct zk_jet_mark {
	int64_t time_us; /* 0 = unchanged */
	uint64_t cursor; /* 0 = unchanged */
	unsigned epoch;  /* changes with the host */
	uint64_t order;  /* the source's own number of the event */
};

struct zk_jet_item {
	struct zk_jet_item *next;
	struct zk_jet_event e; /* its texts lie in `bytes` */
	zk_str message;        /* what is stored: the event, or the upstream payload */
	struct zk_jet_mark mark;
	int64_t received_us;  /* monotonic: when the frame was read */
	int64_t begun_us;     /* monotonic: when the lookups began */
	int64_t ready_us;     /* monotonic: when they were complete */
	int64_t processed_us; /* wall: the moment it left the window */
	int64_t deadline_ms;  /* monotonic */
	unsigned n_lookups, waiting;
	unsigned hits, misses, calls;
	enum zk_jet_hydration hydration;
	bool in_overlap; /* it may be there already (§8.4) */
	size_t size;     /* of the allocation */
	struct zk_jet_lookup lookups[];
};

struct zk_jet_item_conf {
	unsigned wanted;                    /* ZK_JET_WANT bits; 0 = none */
	const struct zk_jet_filter *filter; /* accounts that are never looked up */
};

/* Copies the event, and `message` (may be the event's own text) with it, and finds its lookups. */
struct zk_jet_item *zk_jet_item_new(const struct zk_jet_event *e, zk_str message,
                                    const struct zk_jet_item_conf *conf);
/* Gives up its references. Its lookups wait for nothing any more. NULL is fine. */
void zk_jet_item_free(struct zk_jet_item *i);

/* The account of an AT-URI ("did:…" or a handle), empty when it has none. */
zk_str zk_jet_uri_authority(zk_str uri);

enum zk_jet_uri { ZK_JET_URI_BAD, ZK_JET_URI_POST, ZK_JET_URI_OTHER };
/* Whether getPosts may be asked for it: a post; something else; or no AT-URI at all. */
enum zk_jet_uri zk_jet_uri_kind(zk_str uri);

#endif
