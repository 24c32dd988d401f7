/* What metrics.c and metrics_text.c share.
 * Layer: rt, private. */
#ifndef ZK_RT_METRICS_IMPL_H
#define ZK_RT_METRICS_IMPL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "rt/metrics.h"

enum zk_metric_type { ZK_METRIC_COUNTER, ZK_METRIC_GAUGE, ZK_METRIC_HISTOGRAM };

/* Each value begins a cache line of its own, so that two threads do not slow each
 * other. */
#define ZK_METRIC_ALIGN 64

struct zk_counter {
	_Atomic uint64_t v;
};

struct zk_gauge {
	_Atomic uint64_t bits; /* of a double */
};

struct zk_histogram {
	const double *bounds;
	size_t n;
	_Atomic uint64_t sum_bits;  /* of a double */
	_Atomic uint64_t buckets[]; /* n + 1, not cumulative; the last one is +Inf */
};

struct zk_series {
	char *labels; /* `a="x",b="y"` or "" */
	union {
		void *p;
		struct zk_counter *counter;
		struct zk_gauge *gauge;
		struct zk_histogram *histogram;
	} value;
};

struct zk_family {
	char *name, *help;
	enum zk_metric_type type;
	const double *bounds;
	size_t n_bounds;
	struct zk_series *series;
	size_t n, room;
	struct zk_map by_labels; /* labels → value.p */
};

struct zk_collect {
	void (*fn)(void *ctx);
	void *ctx;
};

struct zk_metrics {
	struct zk_family **families; /* in the order of registration */
	size_t n;
	struct zk_map by_name;
	struct zk_collect *collect;
	size_t n_collect;
	double start_s; /* of the process, seconds since 1970 */
};

/* The double whose bits are there. */
double zk_metric_double(const _Atomic uint64_t *bits);
/* When this process started, in seconds since 1970; 0 when /proc does not say. */
double zk_metric_process_start(void);

#endif
