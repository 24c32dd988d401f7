/* Calls of the Zeal client on one connection, one after the other: `bench_zeal URL N` prints the
 * rate, the CPU that a call costs, and the 99th percentile of a whole call.
 * Layer: tests. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/api.h"

#include "base/ban.h"

struct run {
	struct zk_zip *zip;
	size_t left, n;
	int64_t *us, at;
	bool over;
};

static void next(struct run *r);

static void on_done(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct run *r = ctx;

	(void)end;
	if (err) {
		(void)fprintf(stderr, "%s\n", err->msg);
		exit(1);
	}
	r->us[r->n++] = zk_mono_us() - r->at;
	if (--r->left)
		next(r);
	else
		r->over = true;
}

static void next(struct run *r)
{
	struct zk_zip_req rq = { .route = "/health" };
	struct zk_zip_call *c;
	struct zk_error err;

	r->at = zk_mono_us();
	if (zk_zip_start(r->zip, &rq, on_done, r, &c, &err) < 0)
		exit(1);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct zk_zip_conf conf = { .base_url = argc > 1 ? argv[1] : "" };
	struct zk_net_conf net_conf = { .tls_verify = true };
	struct zk_error err;
	struct zk_loop *loop = zk_loop_new(&err);
	struct zk_net *net = loop ? zk_net_new(loop, &net_conf, NULL) : NULL;
	struct run r = { .left = 1000 };
	uint64_t n = 20000;

	if (argc != 3 || !net || zk_parse_u64(zk_str_of(argv[2]), &n, &err) < 0 ||
	    zk_zip_new(net, &conf, &r.zip, &err) < 0)
		return 1;
	r.us = zk_alloc_array(n + 1000, sizeof(*r.us));
	next(&r); /* warm-up */
	zk_loop_until(loop, &r.over);
	r = (struct run){ .zip = r.zip, .us = r.us, .left = n };
	int64_t wall = zk_mono_us(), cpu = zk_cpu_ns();

	next(&r);
	zk_loop_until(loop, &r.over);
	wall = zk_mono_us() - wall;
	cpu = zk_cpu_ns() - cpu;
	qsort(r.us, r.n, sizeof(*r.us), by_size);
	(void)printf("{\"rate\":%.0f,\"per_cpu_s\":%.0f,\"p99_us\":%lld}\n",
	             (double)n * 1e6 / (double)wall, (double)n * 1e9 / (double)cpu,
	             (long long)r.us[r.n * 99 / 100]);
	zk_zip_free(r.zip);
	free(r.us);
	zk_net_free(net);
	zk_loop_free(loop);
	return 0;
}
