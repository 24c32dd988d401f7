/* A sender without the hooks that nobody has to set, and one that takes a dead one's place, against
 * the stand-in (specs/zerobus.md §7, §8.3).
 * Layer: tests. */
#include "zerobus/sender.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "zerobus/fake.h"
#include "zerobus/request.h"

#include "base/ban.h"

#define ROWS 10

static struct world {
	struct zk_metrics *metrics;
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_zb_kind *kind;
	struct zk_rand rnd;
	char endpoint[64];
	uint64_t acked, rejected, unsent;
	bool settled; /* a request has an outcome */
} w;

static void settle(uint64_t *count, struct zk_zb_request *r)
{
	*count += r->rows;
	w.settled = true;
	zk_zb_request_free(r);
}

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	(void)ctx;
	(void)stream;
	settle(&w.acked, r);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *err,
                        bool suspect)
{
	(void)ctx;
	(void)err;
	(void)suspect;
	settle(&w.rejected, r);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *err)
{
	(void)ctx;
	(void)err;
	settle(&w.unsent, r);
}

static void setup(void)
{
	struct zk_net_conf nc = { .connect_timeout_ms = 30000, .tls_verify = true };
	struct zk_error err = { 0 };

	w.metrics = zk_metrics_new();
	w.loop = zk_loop_new(&err);
	w.net = zk_net_new(w.loop, &nc, w.metrics);
	w.kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	zk_rand_seed(&w.rnd, 1);
}

static void teardown(void)
{
	zk_zb_kind_unref(w.kind);
	zk_net_free(w.net);
	zk_loop_free(w.loop);
	zk_metrics_free(w.metrics);
}

TestSuite(zb_sender, .init = setup, .fini = teardown);

/* Only what must be set. */
static struct zk_zb_sender_conf conf(int port, int retries)
{
	(void)snprintf(w.endpoint, sizeof(w.endpoint), "http://127.0.0.1:%d", port);
	return (struct zk_zb_sender_conf){
		.net = w.net,
		.endpoint = w.endpoint,
		.table = ZK_STR("main.default.t"),
		.streams = 1,
		.max_inflight = 100,
		.retry = { .max_retries = retries, .base_ms = 1, .cap_ms = 1 },
		.connect_ms = 30000,
		.create_ms = 30000,
		.ack_ms = 30000,
		.flush_ms = 30000,
		.rnd = &w.rnd,
		.on_acked = on_acked,
		.on_rejected = on_rejected,
		.on_unsent = on_unsent,
	};
}

/* Pushes a request and waits for its outcome. */
static void send_rows(struct zk_zb_sender *s)
{
	struct zk_zb_request *r = zk_zb_request_new(w.kind, "test");

	for (uint64_t i = 0; i < ROWS; i++)
		zk_zb_request_add(r, ZK_STR("{\"n\":1}"), i, i + 1);
	w.settled = false;
	zk_zb_sender_push(s, r);
	zk_loop_until(w.loop, &w.settled);
}

static struct zk_zb_fake *fake(const char *plan)
{
	struct zk_zb_fake_conf fc = { .addr = "127.0.0.1", .plan = plan };
	struct zk_zb_fake *f = NULL;
	struct zk_error err = { 0 };

	cr_assert_eq(zk_zb_fake_start(w.loop, &fc, &f, &err), 0, "%s", err.msg);
	return f;
}

/* The stream breaks under the first request and recovers: nobody asked to hear of it. */
Test(zb_sender, hooks_may_be_null)
{
	const char *tmp = getenv("TMPDIR");
	struct zk_zb_sender_conf c;
	struct zk_zb_sender_stat st;
	struct zk_zb_fake_stats seen;
	struct zk_zb_sender *s;
	struct zk_zb_fake *f;
	char plan[256];

	(void)snprintf(plan, sizeof(plan), "%s/plan.json", tmp ? tmp : "/tmp");
	cr_assert_eq(zk_file_put(plan, O_TRUNC, 0600,
	                         ZK_STR("[{\"end_after\":1,\"cut\":\"tcp\"},{}]")),
	             0);
	f = fake(plan);
	c = conf(zk_zb_fake_grpc_port(f), 5);
	s = zk_zb_sender_new(&c);
	send_rows(s);
	zk_zb_fake_stats(f, &seen);
	cr_expect_eq(seen.cuts, 1);
	cr_expect_eq(w.acked, ROWS);
	zk_zb_sender_stat(s, &st);
	cr_expect_geq(st.resent, ROWS);
	zk_zb_sender_free(s);
	zk_zb_fake_free(f);
	(void)unlink(plan);
}

Test(zb_sender, a_dead_one_is_replaced)
{
	struct zk_zb_sender_conf c = conf(/* nobody listens */ 1, 0);
	struct zk_zb_sender *s = NULL, *dead;
	struct zk_zb_fake *f;

	zk_zb_sender_renew(&s, &c);
	dead = s;
	zk_zb_sender_renew(&s, &c);
	cr_expect_eq(s, dead, "one that lives stays");
	send_rows(s);
	cr_expect_eq(w.unsent, ROWS);
	send_rows(s);
	cr_expect_eq(w.unsent, 2 * ROWS, "a dead one gives everything back");
	f = fake(NULL);
	c = conf(zk_zb_fake_grpc_port(f), 5);
	zk_zb_sender_renew(&s, &c);
	send_rows(s);
	cr_expect_eq(w.acked, ROWS);
	zk_zb_sender_free(s);
	zk_zb_fake_free(f);
}
