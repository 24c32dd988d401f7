/* Metrics written by several threads while they are formatted: no update is lost, a
 * histogram always agrees with itself.
 * Layer: tests. */
#include "rt/metrics.h"

#include <stdatomic.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "tap.h"

#include "base/ban.h"

enum { THREADS = 3, UPDATES = 100000 };

static struct zk_counter *counter;
static struct zk_gauge *gauge;
static struct zk_histogram *histogram;
static atomic_uint running;

static void *update_main(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < UPDATES; i++) {
		zk_counter_add(counter, 3);
		zk_gauge_add(gauge, i % 2 ? -1 : 2);
		zk_histogram_observe(histogram, (double)(i % 5));
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static uint64_t number_after(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	unsigned long long v = 0;

	return p && sscanf(p + strlen(name), "%llu", &v) == 1 ? v : UINT64_MAX;
}

int main(void)
{
	static const double bounds[] = { 0, 1, 2 };
	struct zk_metrics *m = zk_metrics_new();
	pthread_t t[THREADS];
	unsigned formats = 0, wrong = 0;
	struct zk_buf b;

	counter = zk_metrics_counter(m, "c_total", "C.", NULL);
	gauge = zk_metrics_gauge(m, "g", "G.", NULL);
	histogram =
	        zk_metrics_histogram(m, "h", "H.", bounds, ZK_ARRAY_LEN(bounds), NULL);
	atomic_store(&running, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, update_main, NULL) != 0)
			exit(1);
	zk_buf_init(&b, 1 << 20);
	do {
		const char *text;

		zk_buf_clear(&b);
		zk_metrics_format(m, &b);
		text = zk_buf_cstring(&b);
		wrong += number_after(text, "h_bucket{le=\"+Inf\"} ") !=
		         number_after(text, "h_count ");
		wrong += number_after(text, "h_bucket{le=\"2\"} ") >
		         number_after(text, "h_bucket{le=\"+Inf\"} ");
		formats++;
	} while (atomic_load(&running));
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	(void)tap_ok(wrong == 0, "the histogram agrees with itself, %u times", formats);
	(void)tap_ok(zk_counter_get(counter) == UINT64_C(3) * THREADS * UPDATES,
	             "no addition to the counter is lost");
	(void)tap_ok(zk_gauge_get(gauge) == THREADS * UPDATES / 2.0, "nor to the gauge");
	(void)tap_ok(zk_histogram_count(histogram) == (uint64_t)THREADS * UPDATES,
	             "nor to the histogram");
	zk_buf_clear(&b);
	zk_metrics_format(m, &b);
	(void)tap_ok(number_after(zk_buf_cstring(&b), "h_sum ") ==
	                     (uint64_t)THREADS * UPDATES * 2,
	             "its sum is exact");
	zk_buf_done(&b);
	zk_metrics_free(m);
	return tap_done();
}
