/* Looking up again what was not there for a passing reason: rows of one store file become items,
 * and, after their lookups, rows again.
 * Layer: jetstream. Blocks; any thread, but items are made and freed where the hydrator lives.
 * specs/jetstream.md §11.5. */
#ifndef ZK_JETSTREAM_REPAIR_H
#define ZK_JETSTREAM_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/hydrate.h"
#include "jetstream/record.h"
#include "store/sqlite.h"

/* One row that is being repaired. */
struct zk_jet_mend {
	struct zk_jet_mend *next;
	int64_t id;
	enum zk_jet_envelope envelope;
	struct zk_jet_item *item;
};

/* How many rows of the file lack something for a passing reason (deadline, api_error, api_down,
 * budget). */
int zk_jet_repair_count(struct zk_db *db, uint64_t *ret,
                        struct zk_error *err) ZK_MUST_USE;
/* The next rows behind `after`, at most `max`; `*last` is the last one looked at, 0 at the end.
 * Their lookups are begun: what they have is given to them, what they lack for another reason
 * keeps it; they are complete when the item of each waits for nothing any more.
 * Rows whose envelope has no place for objects, and those of the second wire's own shape, are
 * passed over. */
struct zk_jet_mends {
	struct zk_jet_mend *list;
	size_t n;
	int64_t last;
	uint64_t passed_over;
};
int zk_jet_repair_load(struct zk_db *db, struct zk_jet_hydrator *h, int64_t after,
                       size_t max, struct zk_jet_mends *ret,
                       struct zk_error *err) ZK_MUST_USE;
void zk_jet_mends_free(struct zk_jet_mends *m);
/* Writes them back, in one transaction. */
struct zk_jet_repaired {
	uint64_t full, partial; /* rows */
	uint64_t passing;       /* of the partial ones: still for a passing reason */
};
int zk_jet_repair_store(struct zk_db *db, const struct zk_jet_mends *m,
                        struct zk_jet_repaired *sum, struct zk_error *err) ZK_MUST_USE;

#endif
