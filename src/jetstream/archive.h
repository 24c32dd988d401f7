/* The archive: sealed files of the store go to an S3 bucket, the oldest first, each once; its
 * position and what it knows of each file stand in followers.db.
 * Layer: jetstream. Loop thread; files are read in lanes. specs/jetstream.md §15.2. */
#ifndef ZK_JETSTREAM_ARCHIVE_H
#define ZK_JETSTREAM_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/follow.h"
#include "jetstream/ledger.h"
#include "jetstream/store.h"
#include "store/s3.h"

struct zk_jet_archive;
struct zk_metrics;
struct zk_net;

/* ---- keys (pure) ---- */

/* The key of a file: the prefix with its strftime letters replaced by the time of the first event
 * and {shard} by `shard` ("I/N", NULL = "0/1"), then the name with its suffix. -ZK_E_CONFIG for a
 * letter that is not one of Y m d H M S j F G V, or a key that cannot be one. Appended. */
int zk_jet_archive_key(const char *prefix, const char *shard, int64_t first_us,
                       const char *file, struct zk_buf *b,
                       struct zk_error *err) ZK_MUST_USE;
/* "application/zstd" and so on, by the suffix. */
const char *zk_jet_archive_type(const char *file);
/* The literal beginning of all keys. */
zk_str zk_jet_archive_stem(const char *prefix);

/* ---- what is to be done (blocks; any thread) ---- */

struct zk_jet_due {
	struct zk_jet_sealed file;
	char form[ZK_JET_NAME_MAX + 8]; /* name with suffix; "" = nothing is due */
};

struct zk_jet_due_conf {
	const char *dir, *prefix, *shard;
	enum zk_jet_compress compress;
	/* Names to pass over, of ZK_JET_NAME_MAX bytes each; may be NULL. */
	const char (*aside)[ZK_JET_NAME_MAX];
	size_t n_aside;
};

struct zk_jet_due_sums {
	unsigned files;             /* that wait */
	int64_t rows;               /* of them */
	unsigned archived;          /* files that the archive has */
	char last[ZK_JET_NAME_MAX]; /* the newest of them before the first that waits */
	int64_t last_rows;
	/* Archived ones that are still here, the oldest first. */
	char here[16][ZK_JET_NAME_MAX];
	unsigned n_here;
};

/* The oldest sealed file that the archive lacks, with its key. */
int zk_jet_archive_due(struct zk_db *ledger, const struct zk_jet_due_conf *conf,
                       struct zk_jet_due *ret, struct zk_jet_due_sums *sums,
                       struct zk_error *err) ZK_MUST_USE;
/* The pairs of x-amz-meta-zk-NAME for zk_s3_put: `texts` holds them. */
struct zk_jet_archive_meta {
	char texts[3][24];
	const char *v[7];
};
void zk_jet_archive_meta(const struct zk_jet_sealed *f, struct zk_jet_archive_meta *ret);

/* One at a time archives a store: an advisory lock, see zk_lock_file. */
int zk_jet_archive_lock(const char *dir, int *ret_fd, struct zk_error *err) ZK_MUST_USE;

/* ---- the sink ---- */

struct zk_jet_archive_conf {
	struct zk_s3_conf s3; /* its ctx and on_retry are ours */
	const char *dir, *prefix, *shard;
	enum zk_jet_compress compress;
	bool keep_local;
	void *ctx;
	/* Whether nobody else needs the local file any more. */
	bool (*may_go)(void *ctx, const char *name);
	/* The bucket cannot be used, for a lasting reason: once, right after the start. */
	void (*refused)(void *ctx, const struct zk_error *err);
};

int zk_jet_archive_new(struct zk_net *net, const struct zk_jet_archive_conf *conf,
                       struct zk_metrics *m, struct zk_jet_archive **ret,
                       struct zk_error *err) ZK_MUST_USE;
void zk_jet_archive_free(struct zk_jet_archive *a); /* NULL is fine */
/* A file was sealed. */
void zk_jet_archive_kick(struct zk_jet_archive *a);
/* Whether the bucket has the file: it was uploaded and checked. */
bool zk_jet_archive_has(const struct zk_jet_archive *a, const char *name);
/* fn once, when nothing is due; for draining. */
void zk_jet_archive_when_idle(struct zk_jet_archive *a, void (*fn)(void *ctx), void *ctx);
void zk_jet_archive_view(const struct zk_jet_archive *a,
                         struct zk_jet_follower_view *ret);

#endif
