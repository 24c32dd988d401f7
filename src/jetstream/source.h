/* Where events come from: a host's WebSocket, a file or stdin, a store file.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §3 to §8. */
#ifndef ZK_JETSTREAM_SOURCE_H
#define ZK_JETSTREAM_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/event.h"
#include "jetstream/item.h"
#include "jetstream/position.h"
#include "jetstream/sieve.h"
#include "jetstream/store.h"

struct zk_jet_source;
struct zk_loop;
struct zk_metrics;
struct zk_net;

enum zk_jet_taken {
	ZK_JET_TAKEN,
	ZK_JET_ENOUGH,  /* pause: no event after this one until zk_jet_source_resume */
	ZK_JET_REFUSED, /* the end was reached: this one is not taken, nor any after it */
	ZK_JET_SERVER_ERROR /* the event was an error of the server: the connection is lost */
};

enum zk_jet_state {
	ZK_JET_CONNECTING,
	ZK_JET_CATCHING_UP,
	ZK_JET_LIVE,
	ZK_JET_QUIET,
	ZK_JET_STALLED,
	ZK_JET_BACKOFF,
	ZK_JET_READING, /* a file */
	ZK_JET_ENDED,
};
/* "connecting", "catching_up", … */
const char *zk_jet_state_name(enum zk_jet_state state);

struct zk_jet_source_hooks {
	void *ctx;
	/* One event in the shape of the first wire; `message` is what is to be stored (the
	 * event itself, or the upstream payload). Sets *mark to the event's own position; its
	 * `order` is the source's, rising. */
	enum zk_jet_taken (*on_event)(void *ctx, zk_str json, zk_str message,
	                              struct zk_jet_mark *mark);
	/* NULL, or how events may be looked at ahead of that, on other threads; then these two
	 * take its place where they can. */
	const struct zk_jet_sieve_conf *sieve;
	/* Sound ones that the filter turns away; `order` is that of the last. */
	enum zk_jet_taken (*on_passed)(void *ctx, const struct zk_jet_passed *p,
	                               uint64_t order);
	/* A sound one that the filter lets pass. */
	enum zk_jet_taken (*on_grain)(void *ctx, const struct zk_jet_grain *g,
	                              struct zk_jet_mark *mark);
	/* A frame that is no event. */
	void (*on_dead)(void *ctx, enum zk_jet_dead why, zk_str bytes);
	/* Events may come again until this is called with false (§8.4). */
	void (*on_overlap)(void *ctx, bool overlap);
	void (*on_gap)(void *ctx, const struct zk_jet_gap *gap);
	void (*on_state)(void *ctx, enum zk_jet_state state, const char *host);
	/* When the certificate of the host ends, seconds since 1970; 0 = it has none. May be NULL. */
	void (*on_certificate)(void *ctx, int64_t until_s);
	/* Bytes as they came over the wire, for the figures. */
	void (*on_wire)(void *ctx, size_t bytes);
	void (*on_settled)(void *ctx);
	/* Once: everything was read (NULL), or it cannot go on. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

struct zk_jet_source_ops {
	void (*pause)(struct zk_jet_source *s);
	void (*resume)(struct zk_jet_source *s);
	/* Reads nothing more; what was read already is still handed over, then on_end. */
	void (*finish)(struct zk_jet_source *s);
	void (*free)(struct zk_jet_source *s);
	/* Where it stands after the event of this mark; NULL = after all that were handed over
	 * so far. */
	void (*place)(const struct zk_jet_source *s, const struct zk_jet_mark *at,
	              struct zk_jet_stored_place *ret);
	/* Everything up to the `order` of a place is stored (or needs not be). NULL = it does not
	 * want to know. */
	void (*committed)(struct zk_jet_source *s, uint64_t order);
	/* It has not passed on yet what was committed: on_settled follows. NULL = never. */
	bool (*is_settling)(const struct zk_jet_source *s);
	/* New filters (HUP); NULL = it has none upstream. */
	void (*refilter)(struct zk_jet_source *s);
};

/* Head of every source. */
struct zk_jet_source {
	const struct zk_jet_source_ops *ops;
	struct zk_jet_source_hooks hooks;
};

static inline void zk_jet_source_free(struct zk_jet_source *s)
{
	if (s)
		s->ops->free(s);
}

/* ---- a file, stdin, or a store file ---- */

struct zk_jet_file_source_conf {
	const char *path; /* "-" = stdin; .zst, .gz and .db by their content */
	double pace;      /* by time_us; 0 = full speed, 1 = as it was */
	uint64_t skip;    /* events to pass over: they are stored already */
	/* Of a plain file that is looked at ahead; 0 = the usual. */
	unsigned lanes;
	size_t piece_bytes;
};

/* "file:/absolute/path": the name of its position; the caller frees. */
char *zk_jet_file_label(const char *path);
int zk_jet_file_source_new(struct zk_loop *loop,
                           const struct zk_jet_file_source_conf *conf,
                           const struct zk_jet_source_hooks *hooks,
                           struct zk_jet_source **ret, struct zk_error *err) ZK_MUST_USE;

/* ---- a stream of Redis ---- */

struct zk_jet_redis_source_conf {
	const char *url, *stream;
	const char *group, *consumer; /* made when missing */
};

/* Entries hold an event in their field `data` or `message`. They are acknowledged when they are
 * committed; the same one may come again at any time. Ends with an error when the
 * server refuses for good; waits for it otherwise. */
int zk_jet_redis_source_new(struct zk_loop *loop,
                            const struct zk_jet_redis_source_conf *conf,
                            const struct zk_jet_source_hooks *hooks,
                            struct zk_jet_source **ret, struct zk_error *err) ZK_MUST_USE;

/* ---- a host ---- */

enum zk_jet_wire { ZK_JET_WIRE_AUTO, ZK_JET_WIRE_1, ZK_JET_WIRE_2 };
enum zk_jet_zstd { ZK_JET_ZSTD_AUTO, ZK_JET_ZSTD_ON, ZK_JET_ZSTD_OFF };

struct zk_jet_ws_source_conf {
	char *const *hosts; /* as --host has them; copied */
	size_t n_hosts;
	enum zk_jet_wire wire;
	enum zk_jet_zstd zstd;
	const char *dictionary;    /* file of the first wire's, NULL = none */
	const char *cache_dir;     /* for fetched dictionaries, NULL = none */
	uint64_t max_message_size; /* sent upstream, 0 = no cap */
	bool upstream_shape;       /* `message` is the payload as it came */
	const struct zk_jet_filter *filter;
	struct zk_jet_place start; /* stored position; host "" = none */
	struct zk_jet_pos since;   /* what the user wants; NONE = the stored position */
	int64_t stale_after_ms;
	uint64_t max_rounds; /* 0 = without end */
	int64_t base_ms, cap_ms;
	bool stop_on_gap;
};

int zk_jet_ws_source_new(struct zk_net *net, const struct zk_jet_ws_source_conf *conf,
                         const struct zk_jet_source_hooks *hooks, struct zk_metrics *m,
                         struct zk_jet_source **ret, struct zk_error *err) ZK_MUST_USE;

/* The URL of a subscription, appended; pure (for tests). */
struct zk_jet_subscription {
	const char *base; /* "wss://host" */
	bool v2;
	const struct zk_jet_filter *filter;
	bool has_cursor;
	uint64_t cursor;
	unsigned dictionary; /* of the second wire; 0 = uncompressed */
	bool compress;       /* the first wire's */
	uint64_t max_message_size;
};
void zk_jet_subscription_url(const struct zk_jet_subscription *s, struct zk_buf *b);
/* Whether its filters go by an update after the connection stands (§3.1). */
bool zk_jet_subscription_hello(const struct zk_jet_subscription *s);
/* The update itself (§3.2), appended. */
void zk_jet_options_update(const struct zk_jet_filter *f, uint64_t max_message_size,
                           struct zk_buf *b);

#endif
