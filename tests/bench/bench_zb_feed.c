/* What the hook of the debug files costs: the rows of a file become requests, with the hook off
 * (NULL) and with one that does nothing, taking turns (specs/zerobus.md §20, goal 3). Off is what a
 * build without the feature would be, but for one predictable branch per request; a hook that is
 * called costs more than that, so its ratio is an upper bound.
 *	bench_zb_feed FILE.ndjson [ROUNDS]
 * Layer: tests. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/attr.h"
#include "zerobus/feed.h"

#include "base/ban.h"

enum { MAX_ROUNDS = 64 };

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_built(void *ctx, const struct zk_zb_request *r)
{
	uint64_t *n = ctx;

	(void)r;
	++*n;
}

static bool on_bad(void *ctx, const struct zk_zb_bad *bad)
{
	(void)ctx;
	(void)bad;
	return false;
}

/* CPU seconds of one pass; exits when the file cannot be read. */
static double pass(char *path, bool hook, uint64_t *n)
{
	struct zk_zb_feed_conf conf = { .paths = &path,
		                        .n_paths = 1,
		                        .rows = { .message = "t" },
		                        .batch_rows = 1000,
		                        .batch_bytes = (size_t)1 << 20,
		                        .max_message = (size_t)10 << 20,
		                        .ctx = n,
		                        .on_built = hook ? on_built : NULL };
	struct zk_zb_check sums;
	struct zk_error err = { 0 };
	double from = cpu_s();

	if (zk_zb_feed_check(&conf, on_bad, &sums, &err) < 0 || !sums.rows) {
		(void)fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	return cpu_s() - from;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double ratio[MAX_ROUNDS];
	unsigned rounds = 15;
	uint64_t n = 0;

	if (argc < 2 || (argc > 2 && sscanf(argv[2], "%u", &rounds) != 1) || rounds < 1 ||
	    rounds > MAX_ROUNDS)
		return 64;
	(void)pass(argv[1], false, &n);
	for (unsigned i = 0; i < rounds; i++) {
		double off = pass(argv[1], false, &n), on = pass(argv[1], true, &n);

		ratio[i] = on / off;
	}
	qsort(ratio, rounds, sizeof(*ratio), by_value);
	printf("debug hook called for each request, against off: CPU ratio %.3f "
	       "(%.3f to %.3f in %u rounds)\n",
	       ratio[rounds / 2], ratio[0], ratio[rounds - 1], rounds);
	return 0;
}
