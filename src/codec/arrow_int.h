/* What the files of the Arrow reader share.
 * Layer: codec, private. */
#ifndef ZK_CODEC_ARROW_INT_H
#define ZK_CODEC_ARROW_INT_H

#include "base/buf.h"
#include "base/mem.h"
#include "codec/arrow.h"
#include "codec/flatbuf.h"

#define ZK_ARROW_FIELDS_MAX 65536u
#define ZK_ARROW_WIDTH_MAX  ((int32_t)1 << 20)
#define ZK_ARROW_META_MAX   ((size_t)64 << 20)
#define ZK_ARROW_BODY_MAX   ((uint64_t)2 << 30)
#define ZK_ARROW_ROWS_MAX   ((int64_t)INT32_MAX)

/* ---- arrow_schema.c ---- */

struct zk_arrow_owned_schema {
	struct zk_arrow_schema s;
	struct zk_arrow_field *fields;
	uint32_t room;
	struct zk_arena arena; /* names, time zones, type ids */
};

/* Reads the Schema table `t`. */
int zk_arrow_schema_read(const struct zk_fb_table *t, struct zk_arrow_owned_schema **ret,
                         struct zk_error *err) ZK_MUST_USE;
void zk_arrow_schema_free(struct zk_arrow_owned_schema *s);
/* Whether the subtrees of two fields hold the same values, names aside. */
bool zk_arrow_same_type(const struct zk_arrow_schema *a, uint32_t i,
                        const struct zk_arrow_schema *b, uint32_t j);

/* ---- arrow_batch.c ---- */

/* The memory of one record batch: arrays, views, decompressed buffers; used again. */
struct zk_arrow_store {
	struct zk_arrow_col *cols;
	uint32_t room;
	zk_str *views;
	size_t n_views, views_room;
	struct zk_buf plain; /* decompressed buffers */
};

void zk_arrow_store_done(struct zk_arrow_store *s);

struct zk_arrow_read {
	const struct zk_arrow_schema *schema;
	uint32_t first,
	        n_fields; /* what the batch holds: all, or a dictionary's values */
	bool is_dict;
	int version; /* of the metadata */
	uint64_t max_body;
	zk_str body; /* must outlive the arrays */
	struct zk_arrow_store *store;
	/* The dictionary of a field, NULL when it has not come. */
	const struct zk_arrow_dict *(*dict)(void *ctx, int64_t id);
	void *ctx;
};

/* Reads the RecordBatch table `t` into the store; *rows is its length. */
int zk_arrow_batch_read(const struct zk_arrow_read *rd, const struct zk_fb_table *t,
                        int64_t *rows, struct zk_error *err) ZK_MUST_USE;

/* ---- arrow_check.c ---- */

/* Checks the arrays against each other: offsets, children, views. */
int zk_arrow_check(const struct zk_arrow_read *rd, struct zk_error *err) ZK_MUST_USE;
/* "column 'a.b': " in front of the message. */
int zk_arrow_wrap_field(const struct zk_arrow_schema *s, uint32_t field,
                        struct zk_error *err);

/* ---- arrow_dict.c ---- */

struct zk_arrow_chunk {
	struct zk_arrow_store store;
	char *body;
	int64_t start, n; /* the indexes it serves */
};

struct zk_arrow_dict {
	int64_t id;
	uint32_t field;
	bool present;
	struct zk_arrow_chunk *chunks;
	size_t n_chunks, room;
	int64_t n;
	uint64_t bytes;
};

struct zk_arrow_dicts {
	struct zk_arrow_dict *d;
	size_t n;
	uint64_t bytes;
	int64_t last_id; /* that was read */
	bool last_delta;
};

/* One dictionary per id of the schema. */
int zk_arrow_dicts_init(struct zk_arrow_dicts *ds, const struct zk_arrow_schema *s,
                        struct zk_error *err) ZK_MUST_USE;
void zk_arrow_dicts_done(struct zk_arrow_dicts *ds);
struct zk_arrow_dict *zk_arrow_dict_find(const struct zk_arrow_dicts *ds, int64_t id);
/* Reads the DictionaryBatch table `t`; copies the body. */
int zk_arrow_dict_read(struct zk_arrow_dicts *ds, const struct zk_arrow_read *rd,
                       const struct zk_fb_table *t, struct zk_error *err) ZK_MUST_USE;

#endif
