/* Events per second into the SQLite store, without HTTP: closed loop of so many operations in
 * flight, each with a dedup_id of its own and 200 bytes of payload. Beside the rate it prints what
 * the writer thread and the loop thread cost per event, the mean batch, and the bytes of database
 * and WAL. Layer: tests.
 *
 *	bench_repo [-n EVENTS] [-o ORGS] [-d seq|random|none] [-w] [-p] [IN_FLIGHT...]
 *
 * -w: with a webhook (rows are due); -p: durability `process` instead of `full`. */
#include <dirent.h>
#include <sys/stat.h>

#include "rt/metrics.h"
#include "trigrepo.h"

#include "base/ban.h"

#define MAX_ORGS 64
#define PAYLOAD  200

struct conf {
	uint64_t events;
	unsigned orgs;
	const char *dedup;
	bool due, process;
};

struct run {
	const struct conf *conf;
	struct rig g;
	struct zk_metrics *metrics;
	zk_uuid orgs[MAX_ORGS];
	char payload[PAYLOAD + 1];
	uint64_t started, finished, failed;
	uint64_t wal_peak;
	struct zk_rand rnd;
	bool over;
};

struct slot {
	struct zk_trig_ingest in;
	struct run *run;
	char dedup[40];
};

static void submit(struct slot *s)
{
	static const char *const types[] = { "user.created", "user.deleted", "order.paid",
		                             "order.shipped" };
	struct run *r = s->run;
	uint64_t n = r->started++;
	struct rig_event e = { .type = types[n % ZK_ARRAY_LEN(types)],
		               .payload = r->payload,
		               .due = r->conf->due };
	struct zk_trig_op op = s->in.op;

	if (strcmp(r->conf->dedup, "none") != 0) {
		uint64_t x = r->conf->dedup[0] == 's' ? n : zk_rand_u64(&r->rnd);

		(void)snprintf(s->dedup, sizeof(s->dedup),
		               r->conf->dedup[0] == 's' ? "bench-%llu" : "%016llx",
		               (unsigned long long)x);
		e.dedup = s->dedup;
	}
	rig_fill(&s->in, &r->orgs[n % r->conf->orgs], &e);
	s->in.op = op;
	if (!r->g.repo->ops->ingest(r->g.repo, &s->in))
		abort();
}

static void on_done(struct zk_trig_op *op)
{
	struct slot *s = op->ctx;
	struct run *r = s->run;
	uint64_t wal = r->g.repo->ops->health(r->g.repo)->wal_bytes;

	r->finished++;
	r->failed += op->code < 0 || s->in.duplicate;
	r->wal_peak = ZK_MAX(r->wal_peak, wal);
	if (r->started < r->conf->events)
		submit(s);
	else if (r->finished == r->conf->events)
		r->over = true;
}

/* Nanoseconds of CPU that the thread of this name has used. */
static uint64_t thread_ns(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	uint64_t ns = 0;

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		char path[300], comm[32] = { 0 };
		unsigned long long v = 0;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (!fgets(comm, sizeof(comm), f))
			comm[0] = 0;
		(void)fclose(f);
		comm[strcspn(comm, "\n")] = 0;
		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat",
		               e->d_name);
		f = strcmp(comm, name) == 0 ? fopen(path, "re") : NULL;
		if (f && fscanf(f, "%llu", &v) == 1)
			ns = v;
		if (f)
			(void)fclose(f);
	}
	if (d)
		(void)closedir(d);
	return ns;
}

/* Transactions so far, as the metrics tell. */
static uint64_t commits(struct zk_metrics *m)
{
	static const char name[] = "\nzk_triggers_commit_batch_events_count ";
	struct zk_error ignored;
	uint64_t n = 1;
	struct zk_buf b;
	ptrdiff_t at;
	zk_str line;

	zk_buf_init(&b, (size_t)1 << 20);
	zk_metrics_format(m, &b);
	at = zk_str_find(zk_buf_str(&b), zk_str_of(name));
	if (at >= 0) {
		(void)zk_str_cut(
		        zk_str_from(zk_buf_str(&b), (size_t)at + sizeof(name) - 1), '\n',
		        &line);
		ZK_IGNORE(zk_parse_u64(line, &n, &ignored));
	}
	zk_buf_done(&b);
	return n;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void open_run(struct run *r)
{
	r->metrics = zk_metrics_new();
	rig_init(&r->g);
	r->g.conf.full = !r->conf->process;
	r->g.loop = zk_loop_new(&r->g.err);
	if (zk_trig_repo_open(r->g.loop, r->metrics, &r->g.conf, &r->g.repo, &r->g.err) <
	    0) {
		fprintf(stderr, "%s\n", r->g.err.msg);
		exit(1);
	}
	for (unsigned i = 0; i < r->conf->orgs; i++)
		r->orgs[i] = rig_org(&r->g, r->conf->due ? "http://localhost/" : NULL);
}

static void measure(const struct conf *conf, unsigned in_flight)
{
	struct run r = { .conf = conf };
	struct slot *slots = zk_alloc_array(in_flight, sizeof(*slots));

	zk_rand_seed(&r.rnd, 1);
	memset(r.payload, 'x', PAYLOAD);
	r.payload[0] = r.payload[PAYLOAD - 1] = '"';
	open_run(&r);
	int64_t start = zk_mono_us();
	uint64_t writer = thread_ns("zk-writer"), loop = thread_ns("bench_repo");
	uint64_t copier = thread_ns("zk-checkpoint");

	for (unsigned i = 0; i < in_flight; i++) {
		slots[i].run = &r;
		slots[i].in.op.done = on_done;
		slots[i].in.op.ctx = &slots[i];
		submit(&slots[i]);
	}
	zk_loop_until(r.g.loop, &r.over);
	double s = (double)(zk_mono_us() - start) / 1e6, n = (double)conf->events;

	writer = thread_ns("zk-writer") - writer;
	loop = thread_ns("bench_repo") - loop;
	copier = thread_ns("zk-checkpoint") - copier;
	printf("in_flight=%u orgs=%u dedup=%s due=%d durability=%s: %.0f events/s, "
	       "writer %.2f "
	       "us/event, loop %.2f, checkpoints %.2f, batch %.1f, wal peak %.1f MiB, db "
	       "%.0f "
	       "bytes/event%s\n",
	       in_flight, conf->orgs, conf->dedup, conf->due,
	       conf->process ? "process" : "full", n / s, (double)writer / n / 1e3,
	       (double)loop / n / 1e3, (double)copier / n / 1e3,
	       n / (double)commits(r.metrics), (double)r.wal_peak / 1048576,
	       (double)size_of(r.g.db) / n, r.failed ? ", SOME FAILED" : "");
	(void)fflush(stdout);
	free(slots);
	rig_done(&r.g);
	zk_metrics_free(r.metrics);
}

static uint64_t number(const char *s)
{
	struct zk_error err;
	uint64_t v;

	if (zk_parse_u64(zk_str_of(s), &v, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(64);
	}
	return v;
}

int main(int argc, char **argv)
{
	struct conf conf = { .events = 200000, .orgs = 1, .dedup = "seq" };
	int c;

	while ((c = getopt(argc, argv, "n:o:d:wp")) >= 0) {
		if (c == 'n')
			conf.events = number(optarg);
		else if (c == 'o')
			conf.orgs =
			        (unsigned)ZK_MIN(ZK_MAX(number(optarg), 1u), MAX_ORGS);
		else if (c == 'd')
			conf.dedup = optarg;
		else if (c == 'w')
			conf.due = true;
		else if (c == 'p')
			conf.process = true;
		else
			return 64;
	}
	if (optind == argc) {
		measure(&conf, 1);
		measure(&conf, 50);
		measure(&conf, 200);
	}
	for (int i = optind; i < argc; i++)
		measure(&conf, (unsigned)ZK_MIN(ZK_MAX(number(argv[i]), 1u), 5000u));
	return 0;
}
