/* Makes requests of rows: by count, bytes and time (specs/zerobus.md §13).
 * Layer: zerobus. Pure but for the clock; the reader lane's. */
#ifndef ZK_ZEROBUS_BUILDER_H
#define ZK_ZEROBUS_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "zerobus/feed.h"

struct zk_zb_request;

struct zk_zb_builder_conf {
	size_t batch_rows, batch_bytes, max_message;
	int64_t linger_ms;
	bool (*skip)(const void *skip_ctx, const char *source, uint64_t row);
	const void *skip_ctx;
	void *ctx;
	/* An empty request to fill. */
	struct zk_zb_request *(*want)(void *ctx, struct zk_zb_kind *kind,
	                              const char *source);
	void (*on_request)(void *ctx, struct zk_zb_request *r); /* the callee's */
	void (*on_bad)(void *ctx, const struct zk_zb_bad *bad);
	void (*on_skipped)(void *ctx, uint64_t rows);
	void (*on_kind)(void *ctx, struct zk_zb_kind *kind);
};

struct zk_zb_builder {
	struct zk_zb_builder_conf conf;
	struct zk_zb_request *open; /* NULL = none */
	int64_t open_us;
	struct zk_zb_kind *kind;
	bool untold; /* the kind */
	const char *source;
	uint64_t next_row; /* of the source: one behind the last that was seen */
	uint64_t skipped;
	bool discard; /* the owner's: rows are looked at, and no request is made of them */
};

/* Sizes and rows to skip as the feed has them; the rest is the caller's. */
struct zk_zb_builder_conf zk_zb_builder_conf_of(const struct zk_zb_feed_conf *feed);
void zk_zb_builder_init(struct zk_zb_builder *b, const struct zk_zb_builder_conf *conf);
void zk_zb_builder_done(struct zk_zb_builder *b);
/* Rows of this input follow. */
void zk_zb_builder_source(struct zk_zb_builder *b, const char *name);
/* What zk_zb_rows_next gave. */
void zk_zb_builder_row(struct zk_zb_builder *b, enum zk_zb_got got,
                       const struct zk_zb_row *row, const struct zk_error *err);
/* Hands over what is open. */
void zk_zb_builder_flush(struct zk_zb_builder *b);
/* The same when it has waited for the linger time; milliseconds until then, -1 = nothing is open. */
int64_t zk_zb_builder_linger(struct zk_zb_builder *b);

#endif
