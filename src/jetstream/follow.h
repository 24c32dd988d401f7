/* Followers: sinks that read the store behind its writer, each with a durable position of its own;
 * and visitors, which have none.
 * Layer: jetstream. Loop thread; files are read in a lane per follower.
 * specs/jetstream.md §15. */
#ifndef ZK_JETSTREAM_FOLLOW_H
#define ZK_JETSTREAM_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "jetstream/files.h"
#include "jetstream/record.h"

struct zk_jet_follower;
struct zk_loop;
struct zk_metrics;

/* A record of a batch; the texts lie in the batch. */
struct zk_jet_rec {
	size_t at, n;         /* the whole record in the envelope */
	size_t uri_at, uri_n; /* at_uri */
	size_t did_at, did_n;
	size_t kind_at, kind_n;
	size_t message_at, message_n;
	int64_t time_us;
	bool has_time;
};

struct zk_jet_batch {
	struct zk_buf bytes;
	struct zk_jet_rec *v;
	size_t n, room;
	/* Rows before these are not to be had: their file is gone. */
	bool missed;
};

struct zk_jet_follower_conf {
	const char *name; /* "redis"; copied */
	const char *dir;  /* of the store */
	enum zk_jet_envelope envelope;
	/* What a record is, instead of the envelope: appended. Lane thread. NULL = the envelope. */
	void (*put)(void *ctx, const struct zk_jet_row *row, struct zk_buf *b);
	/* Either: lines are written here, in the lane; the position moves when the system took
	 * them. `sync`: when they are on disk. */
	int fd; /* -1 = none */
	bool sync;
	/* Or: a batch is handed over; zk_jet_follower_done says what became of it. */
	void (*deliver)(void *ctx, const struct zk_jet_batch *batch);
	void *ctx;
	/* A visitor begins behind what is stored now, or with the first row of `since_us` (0 = not);
	 * nothing of it is kept. */
	bool visitor;
	int64_t since_us;
	/* Of a visitor: it cannot go on. */
	void (*failed)(void *ctx, const struct zk_error *err);
};

/* `m` NULL = without figures. */
int zk_jet_follower_new(struct zk_loop *loop, const struct zk_jet_follower_conf *conf,
                        struct zk_metrics *m, struct zk_jet_follower **ret,
                        struct zk_error *err) ZK_MUST_USE;
void zk_jet_follower_free(struct zk_jet_follower *f); /* NULL is fine */
/* `n` rows more are in the store. */
void zk_jet_follower_kick(struct zk_jet_follower *f, size_t n);
/* The batch is with the peer; or it is not: it is handed over again after a while. */
void zk_jet_follower_done(struct zk_jet_follower *f, const struct zk_error *err);
/* Tries a batch that failed again, now. */
void zk_jet_follower_retry(struct zk_jet_follower *f);
/* fn once, when it has caught up (or cannot); for draining. */
void zk_jet_follower_when_idle(struct zk_jet_follower *f, void (*fn)(void *ctx),
                               void *ctx);

struct zk_jet_follower_view {
	const char *name, *state; /* "up" "behind" "down" */
	char file[ZK_JET_NAME_MAX];
	int64_t row;
	uint64_t delivered, lag;
	const char *error; /* "" = none */
};
void zk_jet_follower_view(const struct zk_jet_follower *f,
                          struct zk_jet_follower_view *ret);
/* Whether it needs nothing of this file any more; a visitor that has not begun needs all. */
bool zk_jet_follower_passed(const struct zk_jet_follower *f, const char *file);

#endif
