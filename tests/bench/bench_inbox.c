/* Inbox pages of 100 and the start of the store with a million stored events: p95 per kind of
 * filter, in milliseconds, over the pages of one organization whose newest million are delivered
 * and acknowledged in turns, with some pending, retrying and failed ones far below. Layer: tests.
 *
 *	bench_inbox [-n EVENTS] [-r PAGES per kind] [-k DATABASE] */
#include "rt/metrics.h"
#include "trigrepo.h"

#include "base/ban.h"

#define OLD 20000 /* events below the delivered ones */

static size_t events = 1000000, rounds = 200;

static struct rig g;
static zk_uuid org;
static struct zk_rand rnd;
static zk_uuid first_id, last_id;
static int64_t base_us;

/* Common types, two rare ones, and (in a range of its own) five hundred with one prefix. */
static const char *type_of(size_t i)
{
	static char text[32];

	if (i % 100000 == 77)
		return "rare.one";
	if (i < OLD && i % 40 == 0) {
		(void)snprintf(text, sizeof(text), "many.%03zu", i / 40 % 500);
		return text;
	}
	static const char *const types[] = { "user.created", "user.deleted",
		                             "user.updated", "order.paid",
		                             "order.shipped" };

	return types[i % ZK_ARRAY_LEN(types)];
}

static struct rig_event make(void *ctx, size_t i)
{
	static char payload[201];

	(void)ctx;
	memset(payload, 'x', 200);
	payload[0] = payload[199] = '"';
	return (struct rig_event){ .type = type_of(i),
		                   .payload = payload,
		                   .delivered = i >= OLD && i % 2,
		                   .due = i < OLD && i % 2,
		                   .at_us = base_us + (int64_t)i * 50 };
}

/* The undelivered ones of the newest million are acknowledged, type by type. */
static void ack_some(zk_uuid *ids, size_t n)
{
	static struct zk_trig_ack_one one[1000];

	for (size_t at = OLD; at < n;) {
		struct zk_trig_ack op = { .org = org,
			                  .ids = one,
			                  .now_us = zk_wall_us() };

		for (; at < n && op.n < 1000; at++) {
			if (at % 2 == 0)
				one[op.n++].id = ids[at];
		}
		RIG_RUN(&g, &op, ack);
	}
	for (size_t i = 0; i < OLD; i += 7)
		(void)rig_outcome(&g, &org, &ids[i], 1,
		                  i % 2 ? ZK_TRIG_FAILED : ZK_TRIG_RETRYING,
		                  i % 2 ? 0 : 1);
}

static void build(void)
{
	zk_uuid *ids = zk_alloc_array(events, sizeof(*ids));

	base_us = zk_wall_us() - (int64_t)events * 50 - 1000000;
	org = rig_org(&g, NULL);
	rig_add_many(&g, &org, events, make, NULL, ids);
	ack_some(ids, events);
	first_id = ids[0];
	last_id = ids[events - 1];
	free(ids);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Nanoseconds of CPU of the whole process: nothing else runs in it meanwhile. */
static double cpu_ms(void)
{
	return (double)zk_cpu_ns() / 1e6;
}

/* Pages one after the other from the first on, or from random places. */
static void measure(const char *name, struct zk_trig_page q, bool anywhere)
{
	struct rig_page *p = zk_new0(struct rig_page);
	double *ms = zk_alloc_array(rounds, sizeof(*ms));
	double cpu = cpu_ms();
	size_t rows = 0;

	for (size_t i = 0; i < rounds; i++) {
		uint64_t offset = p->op.has_more ? p->op.offset + 100 : 0;
		bool more = p->op.has_more;
		zk_uuid last = p->op.last_id;

		p->op = q;
		p->op.org = org;
		p->op.limit = 100;
		if (q.has_offset) {
			p->op.offset = anywhere ? zk_rand_below(&rnd, events) : offset;
		} else if (anywhere) {
			p->op.has_cursor = true;
			p->op.cursor = rig_id_at(
			        base_us + (int64_t)zk_rand_below(&rnd, events) * 50);
		} else if (more) {
			p->op.has_cursor = true;
			p->op.cursor = last;
		}
		int64_t start = zk_mono_us();

		rig_read(&g, p);
		ms[i] = (double)(zk_mono_us() - start) / 1e3;
		rows += p->n;
		if (p->op.op.code < 0)
			printf("failed: %s\n", p->op.op.reason);
	}
	qsort(ms, rounds, sizeof(*ms), by_value);
	printf("%-36s p50 %7.2f  p95 %7.2f  max %7.2f ms  cpu %6.2f  (%.1f rows)%s\n",
	       name, ms[rounds / 2], ms[rounds * 95 / 100], ms[rounds - 1],
	       (cpu_ms() - cpu) / (double)rounds, (double)rows / (double)rounds,
	       ms[rounds * 95 / 100] > 10 ? "  > 10" : "");
	(void)fflush(stdout);
	free(ms);
	free(p);
}

static void measure_all(void)
{
	static const struct {
		const char *name;
		enum zk_trig_filter f;
	} filters[] = {
		{ "any", ZK_TRIG_ANY },
		{ "pending", ZK_TRIG_ONLY_PENDING },
		{ "retrying", ZK_TRIG_ONLY_RETRYING },
		{ "delivered", ZK_TRIG_ONLY_DELIVERED },
		{ "acknowledged", ZK_TRIG_ONLY_ACKNOWLEDGED },
		{ "failed", ZK_TRIG_ONLY_FAILED },
	};
	static const char *const types[] = { "",       "order.paid", "rare.one", "nope",
		                             "user.*", "many.*",     "nope*" };
	char name[80];

	for (size_t f = 0; f < ZK_ARRAY_LEN(filters); f++) {
		for (size_t t = 0; t < ZK_ARRAY_LEN(types); t++) {
			struct zk_trig_page q = { .filter = filters[f].f,
				                  .type = zk_str_of(types[t]) };

			(void)snprintf(name, sizeof(name), "%s type=%s", filters[f].name,
			               types[t]);
			measure(name, q, false);
			(void)snprintf(name, sizeof(name), "%s type=%s, anywhere",
			               filters[f].name, types[t]);
			measure(name, q, true);
			q.ascending = true;
			(void)snprintf(name, sizeof(name), "%s type=%s asc, since",
			               filters[f].name, types[t]);
			q.since_us = base_us + (int64_t)events * 25;
			measure(name, q, false);
		}
	}
	measure("offset, from the top", (struct zk_trig_page){ .has_offset = true },
	        false);
	measure("offset, anywhere", (struct zk_trig_page){ .has_offset = true }, true);
}

static void measure_start(void)
{
	double best = 1e9, worst = 0;

	for (int i = 0; i < 10; i++) {
		g.repo->ops->close(g.repo);
		zk_loop_free(g.loop);
		g.loop = zk_loop_new(&g.err);
		int64_t start = zk_mono_us();

		if (rig_open(&g) < 0)
			exit(1);
		double ms = (double)(zk_mono_us() - start) / 1e3;

		best = ZK_MIN(best, ms);
		worst = ZK_MAX(worst, ms);
	}
	printf("start with %zu events: %.1f to %.1f ms\n", events, best, worst);
}

int main(int argc, char **argv)
{
	struct zk_error err;
	uint64_t v;
	int c;

	while ((c = getopt(argc, argv, "n:r:")) >= 0) {
		if ((c != 'n' && c != 'r') ||
		    zk_parse_u64(zk_str_of(optarg), &v, &err) < 0)
			return 64;
		*(c == 'n' ? &events : &rounds) = (size_t)v;
	}
	if (events < 2 * OLD || !rounds)
		return 64;
	zk_rand_seed(&rnd, 1);
	rig_start(&g);
	build();
	measure_start();
	measure_all();
	rig_done(&g);
	return 0;
}
