/* Counters, gauges, histograms and their Prometheus text form (0.0.4).
 * Layer: rt. Registration on the loop thread; zk_counter_add, zk_gauge_set and
 * zk_histogram_observe from any thread (atomics, no lock). */
#ifndef ZK_RT_METRICS_H
#define ZK_RT_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct zk_buf;
struct zk_counter;
struct zk_gauge;
struct zk_histogram;
struct zk_metrics;

struct zk_metrics *zk_metrics_new(void);
void zk_metrics_free(struct zk_metrics *m);

/* One series of the family `name`; the same name and labels give the same series.
 * `labels` is NULL or alternating names and values ended by NULL: (const char
 * *[]){"route", "/x", NULL}. The registry owns the result. Families hold at most 1,000
 * series; beyond that the series with every label value "other" is returned. */
struct zk_counter *zk_metrics_counter(struct zk_metrics *m, const char *name,
                                      const char *help, const char *const *labels);
struct zk_gauge *zk_metrics_gauge(struct zk_metrics *m, const char *name,
                                  const char *help, const char *const *labels);
/* `bounds` are n ascending upper bounds in the base unit; static or living as long as
 * `m`. */
struct zk_histogram *zk_metrics_histogram(struct zk_metrics *m, const char *name,
                                          const char *help, const double *bounds,
                                          size_t n, const char *const *labels);
/* The buckets of specs/triggers.md §12.4, in seconds. */
extern const double zk_buckets_seconds[14];

void zk_counter_add(struct zk_counter *c, uint64_t n);
uint64_t zk_counter_get(const struct zk_counter *c);
void zk_gauge_set(struct zk_gauge *g, double v);
void zk_gauge_add(struct zk_gauge *g, double v);
double zk_gauge_get(const struct zk_gauge *g);
void zk_histogram_observe(struct zk_histogram *h, double v);
/* Estimated quantile (linear within the bucket), 0 without observations. */
double zk_histogram_quantile(const struct zk_histogram *h, double q);
uint64_t zk_histogram_count(const struct zk_histogram *h);
/* Bounds (at most ZK_HISTOGRAM_MAX, the return value is their number), the observations of each
 * bucket, one more than bounds and not cumulative, and their sum. */
#define ZK_HISTOGRAM_MAX 32
size_t zk_histogram_read(const struct zk_histogram *h, double bounds[ZK_HISTOGRAM_MAX],
                         uint64_t counts[ZK_HISTOGRAM_MAX + 1], double *sum);

/* Called before every formatting, to refresh gauges that are read rather than kept. */
void zk_metrics_on_collect(struct zk_metrics *m, void (*fn)(void *ctx), void *ctx);
/* Everything registered plus zk_build_info and process_*, appended to `b`. */
void zk_metrics_format(struct zk_metrics *m, struct zk_buf *b);

#endif
