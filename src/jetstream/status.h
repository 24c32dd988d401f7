/* What /status and the page's table without scripts say beside /health and /stats: since when it runs,
 * the rates of an hour, the last exchanges and errors, certificates, the configuration.
 * Layer: jetstream. Loop thread only. ux.md §10. */
#ifndef ZK_JETSTREAM_STATUS_H
#define ZK_JETSTREAM_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct zk_buf;
struct zk_jet_view;
struct zk_jwrite;
struct zk_net;

#define ZK_JET_HOUR_STEPS 360
#define ZK_JET_STEP_MS    10000

struct zk_jet_history {
	int64_t started_us;              /* wall */
	int64_t began_ms;                /* monotonic */
	double rates[ZK_JET_HOUR_STEPS]; /* stored per second, a ring */
	unsigned n, next;
	uint64_t stored; /* at the last step */
};

void zk_jet_history_init(struct zk_jet_history *h);
/* Every ZK_JET_STEP_MS. */
void zk_jet_history_step(struct zk_jet_history *h, uint64_t stored);

/* The members of /status behind "status". `config` is a JSON array of rows, empty = none. */
void zk_jet_status_put(const struct zk_jet_history *h, const struct zk_jet_view *v,
                       const struct zk_net *net, zk_str config, struct zk_jwrite *j);
/* Rows of an HTML table: the figures that matter most. */
void zk_jet_status_rows(const struct zk_jet_history *h, const struct zk_jet_view *v,
                        struct zk_buf *b);

#endif
