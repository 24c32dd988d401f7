/* The metrics registry and its text form.
 * Layer: tests. */
#include "rt/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "base/ban.h"

#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char *text_of(struct zk_metrics *m)
{
	struct zk_buf b;

	zk_buf_init(&b, 1 << 20);
	zk_metrics_format(m, &b);
	cr_assert_not(b.failed);
	return zk_buf_take(&b);
}

static void expect_text(struct zk_metrics *m, const char *want)
{
	char *text = text_of(m);

	cr_expect(strstr(text, want) != NULL, "no\n%s\nwithin\n%s", want, text);
	free(text);
}

Test(metrics, counters_and_gauges)
{
	struct zk_metrics *m = zk_metrics_new();
	struct zk_counter *c = zk_metrics_counter(m, "a_total", "Line\nwith \\ in it.",
	                                          LABELS("route", "/x"));
	struct zk_gauge *g = zk_metrics_gauge(m, "b", "B.", NULL);

	zk_counter_add(c, 2);
	zk_counter_add(c, UINT64_C(9007199254740993));
	zk_gauge_set(g, 1.5);
	zk_gauge_add(g, -2.25);
	cr_expect_eq(zk_counter_get(c), UINT64_C(9007199254740995));
	cr_expect_eq(zk_gauge_get(g), -0.75);
	expect_text(m, "# HELP a_total Line\\nwith \\\\ in it.\n# TYPE a_total counter\n"
	               "a_total{route=\"/x\"} 9007199254740995\n"
	               "# HELP b B.\n# TYPE b gauge\nb -0.75\n");
	zk_metrics_free(m);
}

Test(metrics, same_name_and_labels_are_one_series)
{
	struct zk_metrics *m = zk_metrics_new();
	struct zk_counter *a = zk_metrics_counter(m, "a_total", "A.", LABELS("x", "1"));

	cr_expect_eq(a, zk_metrics_counter(m, "a_total", "A.", LABELS("x", "1")));
	cr_expect_neq(a, zk_metrics_counter(m, "a_total", "A.", LABELS("x", "2")));
	cr_expect_neq(a, zk_metrics_counter(m, "a_total", "A.", NULL));
	zk_metrics_free(m);
}

Test(metrics, label_values_are_escaped)
{
	struct zk_metrics *m = zk_metrics_new();

	zk_counter_add(
	        zk_metrics_counter(m, "a_total", "A.",
	                           LABELS("x", "q\"b\\n\nu\xC3\xA9i\xFF", "y", "")),
	        1);
	expect_text(m, "a_total{x=\"q\\\"b\\\\n\\nu\xC3\xA9i\xEF\xBF\xBD\",y=\"\"} 1\n");
	zk_metrics_free(m);
}

Test(metrics, families_are_bounded)
{
	struct zk_metrics *m = zk_metrics_new();
	struct zk_counter *other;
	char value[16];

	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(value, sizeof(value), "%u", i);
		zk_counter_add(zk_metrics_counter(m, "a_total", "A.", LABELS("x", value)),
		               1);
	}
	other = zk_metrics_counter(m, "a_total", "A.", LABELS("x", "1000"));
	cr_expect_eq(other, zk_metrics_counter(m, "a_total", "A.", LABELS("x", "1001")));
	cr_expect_neq(other, zk_metrics_counter(m, "a_total", "A.", LABELS("x", "999")));
	zk_counter_add(other, 7);
	expect_text(m, "a_total{x=\"other\"} 7\n");
	zk_metrics_free(m);
}

Test(metrics, histograms)
{
	static const double bounds[] = { 0.1, 1, 2.5 };
	struct zk_metrics *m = zk_metrics_new();
	struct zk_histogram *h =
	        zk_metrics_histogram(m, "t_seconds", "T.", bounds, 3, LABELS("r", "x"));

	cr_expect_eq(zk_histogram_quantile(h, 0.5), 0);
	zk_histogram_observe(h, 0.1); /* on the bound is inside */
	zk_histogram_observe(h, 0.5);
	zk_histogram_observe(h, 0.75);
	zk_histogram_observe(h, 100);
	cr_expect_eq(zk_histogram_count(h), 4);
	expect_text(m, "# TYPE t_seconds histogram\n"
	               "t_seconds_bucket{r=\"x\",le=\"0.1\"} 1\n"
	               "t_seconds_bucket{r=\"x\",le=\"1\"} 3\n"
	               "t_seconds_bucket{r=\"x\",le=\"2.5\"} 3\n"
	               "t_seconds_bucket{r=\"x\",le=\"+Inf\"} 4\n"
	               "t_seconds_sum{r=\"x\"} 101.35\n"
	               "t_seconds_count{r=\"x\"} 4\n");
	cr_expect_float_eq(zk_histogram_quantile(h, 0.25), 0.1, 1e-9);
	cr_expect_float_eq(zk_histogram_quantile(h, 0.5), 0.55, 1e-9);
	cr_expect_float_eq(zk_histogram_quantile(h, 0.75), 1, 1e-9);
	cr_expect_float_eq(zk_histogram_quantile(h, 1), 2.5, 1e-9);
	zk_metrics_free(m);
}

Test(metrics, seconds_buckets_are_written_short)
{
	struct zk_metrics *m = zk_metrics_new();

	(void)zk_metrics_histogram(m, "t_seconds", "T.", zk_buckets_seconds,
	                           ZK_ARRAY_LEN(zk_buckets_seconds), NULL);
	expect_text(
	        m,
	        "t_seconds_bucket{le=\"0.0005\"} 0\nt_seconds_bucket{le=\"0.001\"} 0\n"
	        "t_seconds_bucket{le=\"0.0025\"} 0\nt_seconds_bucket{le=\"0.005\"} 0\n"
	        "t_seconds_bucket{le=\"0.01\"} 0\nt_seconds_bucket{le=\"0.025\"} 0\n"
	        "t_seconds_bucket{le=\"0.05\"} 0\nt_seconds_bucket{le=\"0.1\"} 0\n"
	        "t_seconds_bucket{le=\"0.25\"} 0\nt_seconds_bucket{le=\"0.5\"} 0\n"
	        "t_seconds_bucket{le=\"1\"} 0\nt_seconds_bucket{le=\"2.5\"} 0\n"
	        "t_seconds_bucket{le=\"5\"} 0\nt_seconds_bucket{le=\"10\"} 0\n"
	        "t_seconds_bucket{le=\"+Inf\"} 0\nt_seconds_sum 0\nt_seconds_count 0\n");
	zk_metrics_free(m);
}

Test(metrics, numbers_that_are_none)
{
	struct zk_metrics *m = zk_metrics_new();
	struct zk_gauge *g = zk_metrics_gauge(m, "g", "G.", NULL);

	zk_gauge_set(g, NAN);
	expect_text(m, "\ng NaN\n");
	zk_gauge_set(g, -INFINITY);
	expect_text(m, "\ng -Inf\n");
	zk_gauge_set(g, 1e300);
	expect_text(m, "\ng 1e+300\n");
	zk_gauge_set(g, 0.1 + 0.2);
	expect_text(m, "\ng 0.30000000000000004\n");
	zk_metrics_free(m);
}

static void refresh(void *ctx)
{
	zk_gauge_add(ctx, 1);
}

Test(metrics, collectors_run_before_each_formatting)
{
	struct zk_metrics *m = zk_metrics_new();

	zk_metrics_on_collect(m, refresh, zk_metrics_gauge(m, "g", "G.", NULL));
	expect_text(m, "\ng 1\n");
	expect_text(m, "\ng 2\n");
	zk_metrics_free(m);
}

static double value_of(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	cr_assert(p != NULL, "%s", name);
	return strtod(p + strlen(name), NULL);
}

Test(metrics, the_process_and_its_build)
{
	struct zk_metrics *m = zk_metrics_new();
	char *text = text_of(m);
	double now = (double)time(NULL);

	cr_expect(strstr(text, "\nzk_build_info{version=\"" ZK_VERSION "\",commit=\"") !=
	          NULL);
	cr_expect_gt(value_of(text, "\nprocess_resident_memory_bytes "), 1e6);
	cr_expect_geq(value_of(text, "\nprocess_virtual_memory_bytes "),
	              value_of(text, "\nprocess_resident_memory_bytes "));
	cr_expect_geq(value_of(text, "\nprocess_open_fds "), 2);
	cr_expect_gt(value_of(text, "\nprocess_max_fds "), 2);
	cr_expect_geq(value_of(text, "\nprocess_cpu_seconds_total "), 0);
	cr_expect_leq(value_of(text, "\nprocess_start_time_seconds "), now + 2);
	cr_expect_gt(value_of(text, "\nprocess_start_time_seconds "), now - 3600);
	free(text);
	zk_metrics_free(m);
}
