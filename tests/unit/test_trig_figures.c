/* Unit tests of triggers/figures: metrics text into figures. */
#include "triggers/figures.h"

#include <criterion/criterion.h>
#include <math.h>

#include "base/ban.h"

static const char text[] =
        "# HELP events_ingested_total Accepted events\n"
        "# TYPE events_ingested_total counter\n"
        "events_ingested_total 12\n"
        "zk_triggers_http_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 7\n"
        "zk_triggers_http_requests_total{route=\"/a\",method=\"GET\",status=\"503\"} 2\n"
        "webhook_deliveries_total{status=\"delivered\"} 5\n"
        "webhook_deliveries_total{status=\"failed\"} 1\n"
        "zk_triggers_http_request_seconds_bucket{route=\"/a\",le=\"0.1\"} 90\n"
        "zk_triggers_http_request_seconds_bucket{route=\"/a\",le=\"0.2\"} 100\n"
        "zk_triggers_http_request_seconds_bucket{route=\"/a\",le=\"+Inf\"} 100\n"
        "zk_triggers_http_request_seconds_bucket{route=\"/metrics\",le=\"0.1\"} 0\n"
        "zk_triggers_http_request_seconds_bucket{route=\"/metrics\",le=\"+Inf\"} 900\n"
        "event_queue_size NaN\n"
        "zk_triggers_deliveries_due 3 1700000000000\n"
        "{\n}\n{} \nname{ 4\nx{le=\"\n";

Test(figures, are_sums_over_the_labels)
{
	struct zk_trig_figures f;

	zk_trig_figures_read(ZK_STR(text), &f);
	cr_expect_eq(f.accepted, 12);
	cr_expect_eq(f.requests, 9);
	cr_expect_eq(f.server_errors, 2);
	cr_expect_eq(f.delivered, 5);
	cr_expect_eq(f.attempts, 6);
	cr_expect_eq(f.queue, 0, "what is no number is left out");
	cr_expect_eq(f.due, 3, "a time stamp is no part of the value");
	cr_expect_eq(f.n_buckets, 3);
}

Test(figures, quantiles_of_all_and_of_an_interval)
{
	struct zk_trig_figures old, now;

	zk_trig_figures_read(ZK_STR(text), &old);
	cr_expect_float_eq(zk_trig_figures_quantile(&old, NULL, 0.45), 0.05, 1e-9);
	cr_expect_float_eq(zk_trig_figures_quantile(&old, NULL, 0.95), 0.15, 1e-9);
	now = old;
	cr_expect_lt(zk_trig_figures_quantile(&now, &old, 0.5), 0, "nothing came");
	now.count[1] += 10;
	now.count[2] += 20;
	cr_expect_float_eq(zk_trig_figures_quantile(&now, &old, 0.25), 0.15, 1e-9);
	cr_expect_float_eq(zk_trig_figures_quantile(&now, &old, 0.99), 0.2, 1e-9,
	                   "above the last bound that is finite: that bound");
	cr_expect_gt(zk_trig_figures_quantile(&old, &now, 0.5), 0,
	             "a server that was restarted counts from 0");
	zk_trig_figures_read(ZK_STR(""), &now);
	cr_expect_lt(zk_trig_figures_quantile(&now, NULL, 0.5), 0);
}
