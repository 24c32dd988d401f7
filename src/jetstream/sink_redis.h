/* The follower that writes a Redis stream (§15.1).
 * Layer: jetstream. Loop thread only. */
#ifndef ZK_JETSTREAM_SINK_REDIS_H
#define ZK_JETSTREAM_SINK_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/follow.h"

struct zk_jet_redis;

enum zk_jet_redis_fields { ZK_JET_REDIS_DATA, ZK_JET_REDIS_PYTHON, ZK_JET_REDIS_RUST };

struct zk_jet_redis_conf {
	const char *url, *stream;
	/* 0 = no trimming. A stream that has consumer groups is never cut by its length, but
	 * where all of them have read and acknowledged (§19). */
	uint64_t maxlen;
	unsigned partitions; /* above 1: STREAM.0, STREAM.1 … by the account */
	enum zk_jet_redis_fields fields;
	bool position_ids; /* ids from time_us; one there already is no error */
	const char *dir;
	enum zk_jet_envelope envelope;
};

int zk_jet_redis_new(struct zk_loop *loop, const struct zk_jet_redis_conf *conf,
                     struct zk_metrics *m, struct zk_jet_redis **ret,
                     struct zk_error *err) ZK_MUST_USE;
void zk_jet_redis_free(struct zk_jet_redis *r); /* NULL is fine */
struct zk_jet_follower *zk_jet_redis_follower(struct zk_jet_redis *r);
bool zk_jet_redis_is_up(const struct zk_jet_redis *r);

#endif
