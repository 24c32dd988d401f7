/* What `zk triggers top` shows: the metrics text of a server read into figures.
 * Layer: triggers. Pure functions. specs/triggers.md §12.4, §14.1. */
#ifndef ZK_TRIGGERS_FIGURES_H
#define ZK_TRIGGERS_FIGURES_H

#include <stdint.h>

#include "base/str.h"

#define ZK_TRIG_BUCKETS 32

/* One reading. Counters and gauges that are not there are 0. */
struct zk_trig_figures {
	double requests, server_errors; /* answered requests; of them 5xx */
	double accepted, duplicates;    /* events */
	double delivered, attempts;     /* webhooks: 2xx; all attempts */
	double dead_letters;
	double queue, due, oldest_due_s, in_flight, circuits_open;
	double connections, wal_bytes, db_bytes;
	/* Time of requests over all routes but those that watch the server: cumulative counts
	 * by upper bound in seconds, ascending; the last one is infinite. */
	double bound[ZK_TRIG_BUCKETS], count[ZK_TRIG_BUCKETS];
	unsigned n_buckets;
};

/* Reads the text format 0.0.4; lines that are not understood are skipped. */
void zk_trig_figures_read(zk_str text, struct zk_trig_figures *ret);
/* The quantile `q` of what came between two readings (`old` NULL: since the start), linear within
 * the bucket, in seconds; below 0 when nothing came. */
double zk_trig_figures_quantile(const struct zk_trig_figures *now,
                                const struct zk_trig_figures *old, double q);

#endif
