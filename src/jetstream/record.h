/* The enriched record: what was found for an event, and the envelopes around it.
 * Layer: jetstream. Pure; any thread. specs/jetstream.md §13. */
#ifndef ZK_JETSTREAM_RECORD_H
#define ZK_JETSTREAM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct zk_buf;
struct zk_jet_item;

enum zk_jet_envelope { ZK_JET_ENV_ZK, ZK_JET_ENV_RUST, ZK_JET_ENV_RAW };

/* "zk", "rust", "raw"; the values of --envelope, ended by NULL. */
extern const char *const zk_jet_envelope_names[];

/* What a row of the store holds, borrowed from an item or from a statement. */
struct zk_jet_row {
	zk_str at_uri; /* p == NULL: none */
	zk_str did, message, kind, operation, collection;
	zk_str metadata;     /* the object hydrated_metadata; p == NULL with ENV_RAW */
	zk_str unresolved;   /* a JSON array of {id, reason}, or empty */
	zk_str processed_at; /* RFC 3339 */
	zk_str source;       /* host or file; empty = null */
	bool has_time, has_cursor;
	int64_t time_us;
	uint64_t cursor;
	int hydration; /* enum zk_jet_hydration */
	int64_t hydration_ms, calls, hits, misses;
};

/* The object `hydrated_metadata` in the form of the envelope, appended. */
void zk_jet_put_metadata(const struct zk_jet_item *i, enum zk_jet_envelope env,
                         struct zk_buf *b);
/* The array `unresolved`, appended; nothing when there is none. */
void zk_jet_put_unresolved(const struct zk_jet_item *i, struct zk_buf *b);
/* The whole record, appended. */
void zk_jet_put_record(const struct zk_jet_row *row, enum zk_jet_envelope env,
                       struct zk_buf *b);
/* hits / (hits + misses) as the record and the store have it; false without lookups. */
bool zk_jet_hit_rate(int64_t hits, int64_t misses, double *ret);

/* A row for an item: the texts that are made go to `b`, which must not be touched while the row
 * is used. */
void zk_jet_row_of(const struct zk_jet_item *i, enum zk_jet_envelope env, zk_str source,
                   struct zk_buf *b, struct zk_jet_row *ret);

#endif
