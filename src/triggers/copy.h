/* From a database file to a PostgreSQL server, while a server goes on with the file.
 * Layer: triggers. Blocking; any thread. specs/triggers.md §11.2. */
#ifndef ZK_TRIGGERS_COPY_H
#define ZK_TRIGGERS_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum zk_trig_copy_phase {
	ZK_TRIG_COPY_EVENTS, /* what is there */
	ZK_TRIG_COPY_FOLLOW, /* caught up: waits for the old server to stop */
	ZK_TRIG_COPY_FINISH, /* it has stopped: what changed since the start */
};

struct zk_trig_copy {
	const char *from; /* path of the file */
	const char *to;   /* postgresql URL */
	/* Called at least once a second; may be NULL. */
	void (*progress)(void *ctx, enum zk_trig_copy_phase phase, uint64_t events);
	void *ctx;
	/* out */
	uint64_t events, payload_bytes; /* as counted in the target */
	uint64_t organizations, api_keys, attempts, dedup_ids, changed;
};

/* Copies everything, follows what the server on the file adds until that server stops, then copies
 * what changed meanwhile and compares counts and bytes. Events are never copied twice, so a run
 * that was interrupted is simply begun again; until one has ended well, no server starts on the
 * target. Errors: of both stores; -ZK_E_STORE_SECRET when the target belongs to another server
 * secret, -ZK_E_CONFLICT when it is in use already; -ZK_E_SUMS when the target has less than the file. */
int zk_trig_copy_run(struct zk_trig_copy *c, struct zk_error *err) ZK_MUST_USE;

#endif
