/* How much memory the process takes, now and at most within a day.
 * Layer: jetstream. One owner. specs/jetstream.md §17. */
#ifndef ZK_JETSTREAM_MEMORY_H
#define ZK_JETSTREAM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZK_JET_MEMORY_SAMPLES 1440 /* one a minute, for a day */
#define ZK_JET_MEMORY_STEP_MS 60000

struct zk_jet_sample {
	int64_t at_s; /* wall */
	uint64_t rss, virt;
};

struct zk_jet_memory {
	struct zk_jet_sample v[ZK_JET_MEMORY_SAMPLES]; /* a ring */
	size_t n, at;
};

/* False, and all 0, when the system does not say. */
bool zk_jet_memory_read(struct zk_jet_sample *ret);
/* Every ZK_JET_MEMORY_STEP_MS. */
void zk_jet_memory_step(struct zk_jet_memory *m);
const struct zk_jet_sample *zk_jet_memory_latest(const struct zk_jet_memory *m);
/* The largest of the samples and of `now`. */
void zk_jet_memory_peaks(const struct zk_jet_memory *m, const struct zk_jet_sample *now,
                         struct zk_jet_sample *rss, struct zk_jet_sample *virt);

#endif
