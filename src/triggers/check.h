/* A database file of the triggers server looked at, or brought up to date, without a server.
 * Layer: triggers. Blocking; any thread. specs/triggers.md §11.2, §14.1. */
#ifndef ZK_TRIGGERS_CHECK_H
#define ZK_TRIGGERS_CHECK_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

/* Counts of rows; -1 = the table cannot be read. */
struct zk_trig_counts {
	int64_t organizations, api_keys, events;
	int64_t pending, retrying, delivered, acknowledged, failed; /* deliveries */
	int64_t attempts, deduplication;
};

struct zk_trig_check {
	const char *path;
	/* Called for each fault found, at most 100 times. */
	void (*fault)(void *ctx, const char *text);
	void *ctx;
	/* out */
	int version; /* of the schema */
	struct zk_trig_counts counts;
	int64_t oldest_us,
	        newest_us; /* creation of the first and the last event, 0 = none */
	uint64_t bytes, wal_bytes;
	uint64_t faults;
};

/* Reads every page and compares the tables, in one snapshot, without changing the file; a server
 * may be running on it. 0 also when faults were found; negative when the file cannot be looked at:
 * -ZK_E_NO_INPUT (missing), -ZK_E_STORE_CORRUPT (no database at all), -ZK_E_STORE_VERSION,
 * -ZK_E_DATA (a database of something else). */
int zk_trig_check_file(struct zk_trig_check *c, struct zk_error *err) ZK_MUST_USE;

/* Runs the migrations alone, making the file when it is missing; *from and *to are versions.
 * -ZK_E_STORE_LOCKED while a server holds it, -ZK_E_STORE_VERSION for a newer one. */
int zk_trig_migrate_file(const char *path, int *from, int *to,
                         struct zk_error *err) ZK_MUST_USE;
/* The same for a PostgreSQL server; servers may be running on it. */
int zk_trig_migrate_server(const char *url, int *from, int *to,
                           struct zk_error *err) ZK_MUST_USE;

#endif
