/* Counters, gauges, histograms: the registry and the values. The text form is in
 * metrics_text.c.
 * Layer: rt. */
#include "rt/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/mem.h"
#include "rt/metrics_impl.h"

#include "base/ban.h"

#define SERIES_MAX 1000
#define LABELS_MAX (16u << 10)

const double zk_buckets_seconds[14] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	                                0.1,    0.25,  0.5,    1,     2.5,  5,     10 };

/* ---- registry ---- */

static bool is_name(const char *s, bool colon)
{
	static const char first[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	size_t n =
	        strspn(s, colon ? "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	                          "0123456789:"
	                        : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	                          "0123456789");

	return s[0] && strchr(first, s[0]) && s[n] == '\0';
}

static void add_escaped(struct zk_buf *b, zk_str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = zk_utf8_seq(s.p + i, s.n - i);

		if (s.p[i] == '\\' || s.p[i] == '"')
			zk_buf_char(b, '\\');
		if (s.p[i] == '\n')
			zk_buf_lit(b, "\\n");
		else if (n)
			zk_buf_put(b, s.p + i, n);
		else
			zk_buf_lit(b, "\xEF\xBF\xBD");
		i += ZK_MAX(n, (size_t)1);
	}
}

/* `a="x",b="y"`; with `other` every value is "other". */
static char *labels_text(const char *const *labels, bool other)
{
	struct zk_buf b;

	zk_buf_init(&b, LABELS_MAX);
	for (size_t i = 0; labels && labels[i]; i += 2) {
		ZK_ASSERT(is_name(labels[i], false) && labels[i + 1]);
		if (i)
			zk_buf_char(&b, ',');
		zk_buf_cstr(&b, labels[i]);
		zk_buf_lit(&b, "=\"");
		add_escaped(&b, other ? ZK_STR("other") : zk_str_of(labels[i + 1]));
		zk_buf_char(&b, '"');
	}
	ZK_ASSERT(!b.failed);
	return zk_buf_take(&b);
}

static struct zk_family *get_family(struct zk_metrics *m, const char *name,
                                    const char *help, enum zk_metric_type type)
{
	struct zk_family *f = zk_map_get(&m->by_name, zk_str_of(name));

	if (f) {
		ZK_ASSERT(f->type == type);
		return f;
	}
	ZK_ASSERT(is_name(name, true));
	f = zk_new0(struct zk_family);
	f->name = zk_strdup(name);
	f->help = zk_strdup(help);
	f->type = type;
	zk_map_init(&f->by_labels);
	(void)zk_map_set(&m->by_name, zk_str_of(name), f);
	m->families = zk_realloc(m->families, (m->n + 1) * sizeof(struct zk_family *));
	m->families[m->n++] = f;
	return f;
}

static void *new_value(const struct zk_family *f)
{
	size_t size = sizeof(struct zk_counter);
	void *p = NULL;

	if (f->type == ZK_METRIC_HISTOGRAM)
		size = sizeof(struct zk_histogram) + (f->n_bounds + 1) * sizeof(uint64_t);
	size = (size + ZK_METRIC_ALIGN - 1) / ZK_METRIC_ALIGN * ZK_METRIC_ALIGN;
	ZK_ASSERT(posix_memalign(&p, ZK_METRIC_ALIGN, size) == 0);
	memset(p, 0, size);
	if (f->type == ZK_METRIC_HISTOGRAM) {
		struct zk_histogram *h = p;

		h->bounds = f->bounds;
		h->n = f->n_bounds;
	}
	return p;
}

static void *get_series(struct zk_family *f, const char *const *labels)
{
	ZK_CLEANUP(zk_freep)
	char *text = labels_text(labels, false);
	void *p = zk_map_get(&f->by_labels, zk_str_of(text));

	if (!p && f->n >= SERIES_MAX) {
		free(text);
		text = labels_text(labels, true);
		p = zk_map_get(&f->by_labels, zk_str_of(text));
	}
	if (p)
		return p;
	p = new_value(f);
	(void)zk_map_set(&f->by_labels, zk_str_of(text), p);
	if (f->n == f->room) {
		f->room = f->room ? f->room * 2 : 4;
		f->series = zk_realloc(f->series, f->room * sizeof(*f->series));
	}
	f->series[f->n++] = (struct zk_series){ .labels = ZK_TAKE(text), .value.p = p };
	return p;
}

struct zk_counter *zk_metrics_counter(struct zk_metrics *m, const char *name,
                                      const char *help, const char *const *labels)
{
	return get_series(get_family(m, name, help, ZK_METRIC_COUNTER), labels);
}

struct zk_gauge *zk_metrics_gauge(struct zk_metrics *m, const char *name,
                                  const char *help, const char *const *labels)
{
	return get_series(get_family(m, name, help, ZK_METRIC_GAUGE), labels);
}

struct zk_histogram *zk_metrics_histogram(struct zk_metrics *m, const char *name,
                                          const char *help, const double *bounds,
                                          size_t n, const char *const *labels)
{
	struct zk_family *f = get_family(m, name, help, ZK_METRIC_HISTOGRAM);

	if (!f->bounds) {
		for (size_t i = 1; i < n; i++)
			ZK_ASSERT(bounds[i - 1] < bounds[i]);
		f->bounds = bounds;
		f->n_bounds = n;
	}
	ZK_ASSERT(f->n_bounds == n);
	return get_series(f, labels);
}

void zk_metrics_on_collect(struct zk_metrics *m, void (*fn)(void *ctx), void *ctx)
{
	m->collect = zk_realloc(m->collect, (m->n_collect + 1) * sizeof(*m->collect));
	m->collect[m->n_collect++] = (struct zk_collect){ fn, ctx };
}

struct zk_metrics *zk_metrics_new(void)
{
	struct zk_metrics *m = zk_new0(struct zk_metrics);

	zk_map_init(&m->by_name);
	m->start_s = zk_metric_process_start();
	return m;
}

static void family_free(struct zk_family *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->series[i].labels);
		free(f->series[i].value.p);
	}
	free(f->series);
	free(f->name);
	free(f->help);
	zk_map_done(&f->by_labels);
	free(f);
}

void zk_metrics_free(struct zk_metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		family_free(m->families[i]);
	free(m->families);
	free(m->collect);
	zk_map_done(&m->by_name);
	free(m);
}

/* ---- values ---- */

void zk_counter_add(struct zk_counter *c, uint64_t n)
{
	(void)atomic_fetch_add_explicit(&c->v, n, memory_order_relaxed);
}

uint64_t zk_counter_get(const struct zk_counter *c)
{
	return atomic_load_explicit(&c->v, memory_order_relaxed);
}

static double to_double(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static uint64_t to_bits(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

double zk_metric_double(const _Atomic uint64_t *bits)
{
	return to_double(atomic_load_explicit(bits, memory_order_relaxed));
}

static void add_double(_Atomic uint64_t *bits, double v)
{
	uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
	        bits, &old, to_bits(to_double(old) + v), memory_order_relaxed,
	        memory_order_relaxed))
		;
}

void zk_gauge_set(struct zk_gauge *g, double v)
{
	atomic_store_explicit(&g->bits, to_bits(v), memory_order_relaxed);
}

void zk_gauge_add(struct zk_gauge *g, double v)
{
	add_double(&g->bits, v);
}

double zk_gauge_get(const struct zk_gauge *g)
{
	return zk_metric_double(&g->bits);
}

void zk_histogram_observe(struct zk_histogram *h, double v)
{
	size_t i = 0;

	while (i < h->n && !(v <= h->bounds[i]))
		i++;
	(void)atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
	add_double(&h->sum_bits, v);
}

size_t zk_histogram_read(const struct zk_histogram *h, double bounds[ZK_HISTOGRAM_MAX],
                         uint64_t counts[ZK_HISTOGRAM_MAX + 1], double *sum)
{
	size_t n = ZK_MIN(h->n, (size_t)ZK_HISTOGRAM_MAX);

	for (size_t i = 0; i < n; i++)
		bounds[i] = h->bounds[i];
	for (size_t i = 0; i <= n; i++)
		counts[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
	*sum = zk_metric_double(&h->sum_bits);
	return n;
}

uint64_t zk_histogram_count(const struct zk_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= h->n; i++)
		n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
	return n;
}

double zk_histogram_quantile(const struct zk_histogram *h, double q)
{
	double rank = q * (double)zk_histogram_count(h), below = 0;

	if (rank <= 0 || h->n == 0)
		return 0;
	for (size_t i = 0; i < h->n; i++) {
		double from = i ? h->bounds[i - 1] : ZK_MIN(h->bounds[0], 0.0);
		double in = (double)atomic_load_explicit(&h->buckets[i],
		                                         memory_order_relaxed);

		if (in > 0 && below + in >= rank)
			return from + (h->bounds[i] - from) * (rank - below) / in;
		below += in;
	}
	return h->bounds[h->n - 1];
}
