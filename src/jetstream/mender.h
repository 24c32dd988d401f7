/* Repairs files that are about to be sealed with the lookups of the run itself (--repair auto), one
 * after the other.
 * Layer: jetstream. Loop thread; what is written is written in a lane. specs/jetstream.md §11.5. */
#ifndef ZK_JETSTREAM_MENDER_H
#define ZK_JETSTREAM_MENDER_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/hydrate.h"

struct zk_jet_mender;
struct zk_loop;

struct zk_jet_mender_conf {
	const char *dir;                  /* of the store; copied */
	struct zk_jet_hydrator *hydrator; /* borrowed */
	int64_t within_ms;                /* for one file; then it is sealed as it is */
	void *ctx;
	/* The file can be sealed: always, also when it could not be repaired (that is logged). Never
	 * from inside zk_jet_mender_add. */
	void (*done)(void *ctx, const char *name);
};

int zk_jet_mender_new(struct zk_loop *loop, const struct zk_jet_mender_conf *conf,
                      struct zk_jet_mender **ret, struct zk_error *err) ZK_MUST_USE;
void zk_jet_mender_add(struct zk_jet_mender *m, const char *name);
/* Leaves what is not done as it is: `done` does not come any more. NULL is fine. */
void zk_jet_mender_free(struct zk_jet_mender *m);

#endif
