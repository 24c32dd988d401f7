/* kill -9 of a process that stores events, at random moments: whatever it reported as committed is
 * there afterwards, exactly once, and the tables agree (specs/triggers.md §11.1, §18.3). The same
 * file goes through all rounds. Layer: tests. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tap.h"
#include "trigrepo.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum { ROUNDS = 20, SLOTS = 30, MAX_IDS = 400000 };

static struct rig g;
static zk_uuid org;
static struct zk_rand rnd;

/* Every id that was reported, of all rounds. */
static zk_uuid *ids;
static size_t n_ids;

/* ---- the child ---- */

struct slot {
	struct zk_trig_ingest in;
	struct zk_trig_outcome out;
	char dedup[32], payload[600];
	unsigned n;
};

static int report_fd;
static unsigned round_no, serial;

static void submit(struct slot *s);

/* Some rows move on, so that every tree is written. */
static void on_outcome(struct zk_trig_op *op)
{
	submit(ZK_CONTAINER_OF(op, struct slot, out.op));
}

static void on_stored(struct zk_trig_op *op)
{
	struct slot *s = ZK_CONTAINER_OF(op, struct slot, in.op);

	if (op->code == 0 && !s->in.duplicate &&
	    write(report_fd, s->in.id.b, sizeof(s->in.id.b)) !=
	            (ssize_t)sizeof(s->in.id.b))
		_exit(1);
	if (s->n % 3) {
		submit(s);
		return;
	}
	s->out = (struct zk_trig_outcome){
		.op = { .done = on_outcome },
		.id = s->in.id,
		.org = org,
		.attempt = 1,
		.started_us = 1,
		.now_us = 2,
		.response_status = 500,
		.error = ZK_STR("HTTP 500"),
		.status = s->n % 2 ? ZK_TRIG_DELIVERED : ZK_TRIG_RETRYING,
		.next_attempt_us = 77,
	};
	g.repo->ops->outcome(g.repo, &s->out);
}

static void submit(struct slot *s)
{
	size_t n = 10 + zk_rand_below(&rnd, sizeof(s->payload) - 20);
	struct rig_event e = { .type = "a.b", .dedup = s->dedup, .due = true };

	s->n = serial++;
	(void)snprintf(s->dedup, sizeof(s->dedup), "%u-%u", round_no, s->n);
	memset(s->payload, '7', n);
	rig_fill(&s->in, &org, &e);
	s->in.payload = zk_str_n(s->payload, n);
	s->in.op.done = on_stored;
	if (!g.repo->ops->ingest(g.repo, &s->in))
		_exit(1);
}

static void child(int fd)
{
	static struct slot slots[SLOTS];
	bool never = false;

	report_fd = fd;
	if (rig_open(&g) < 0)
		_exit(2);
	for (size_t i = 0; i < SLOTS; i++)
		submit(&slots[i]);
	zk_loop_until(g.loop, &never);
}

/* ---- the parent ---- */

/* Reads reported ids until `deadline_ms` or the end of the pipe; 0 = for ever. */
static void collect(int fd, int64_t deadline_ms)
{
	static char part[16];
	static size_t have;

	while (n_ids < MAX_IDS) {
		int64_t wait = deadline_ms ? deadline_ms - tap_now_ms() : -1;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		if (deadline_ms && (wait <= 0 || poll(&p, 1, (int)wait) == 0))
			return;
		r = read(fd, part + have, sizeof(part) - have);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return;
		have += (size_t)r;
		if (have == sizeof(part)) {
			memcpy(ids[n_ids++].b, part, sizeof(part));
			have = 0;
		}
	}
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(zk_uuid));
}

static bool run_and_kill(void)
{
	int fds[2], status = 0;
	size_t before = n_ids;
	pid_t pid;

	if (pipe(fds) < 0)
		return false;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		child(fds[1]);
		_exit(3);
	}
	(void)close(fds[1]);
	/* The first id says that it runs; then a random while. */
	while (pid > 0 && n_ids == before && waitpid(pid, &status, WNOHANG) == 0)
		collect(fds[0], tap_now_ms() + 1);
	collect(fds[0], tap_now_ms() + 2 + (int64_t)zk_rand_below(&rnd, 80));
	if (pid < 0 || kill(pid, SIGKILL) < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	collect(fds[0], 0);
	(void)close(fds[0]);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && n_ids > before;
}

/* All ids in the inbox, sorted; *n of them. */
static zk_uuid *list_all(size_t *n)
{
	struct rig_page *p = zk_new0(struct rig_page);
	zk_uuid *all = zk_alloc_array(MAX_IDS, sizeof(*all));

	*n = 0;
	p->op = (struct zk_trig_page){ .org = org, .limit = 1000 };
	do {
		rig_read(&g, p);
		for (size_t i = 0; i < p->n && *n < MAX_IDS; i++)
			all[(*n)++] = p->rows[i].row.id;
		p->op.has_cursor = true;
		p->op.cursor = p->op.last_id;
	} while (p->op.op.code == 0 && p->op.has_more);
	free(p);
	qsort(all, *n, sizeof(*all), by_id);
	return all;
}

static size_t count_missing(const zk_uuid *all, size_t n)
{
	size_t missing = 0;

	for (size_t i = 0; i < n_ids; i++)
		missing += !bsearch(&ids[i], all, n, sizeof(*all), by_id);
	return missing;
}

static size_t count_twice(const zk_uuid *all, size_t n)
{
	size_t twice = 0;

	for (size_t i = 1; i < n; i++)
		twice += by_id(&all[i - 1], &all[i]) == 0;
	return twice;
}

static bool tables_agree(void)
{
	static const char sql[] =
	        "SELECT (SELECT count(*) FROM pragma_integrity_check"
	        " WHERE integrity_check='ok')=1"
	        " AND NOT EXISTS(SELECT 1 FROM events e LEFT JOIN event_deliveries d"
	        " ON d.seq=e.seq AND d.organization_id=e.organization_id AND "
	        "d.event_id=e.id"
	        " AND d.status IN (0,1,2,3,4,5) WHERE d.seq IS NULL)"
	        " AND (SELECT count(*) FROM events)=(SELECT count(*) FROM "
	        "event_deliveries)"
	        " AND (SELECT count(*) FROM events)=(SELECT count(*) FROM "
	        "deduplication_cache)"
	        " AND NOT EXISTS(SELECT 1 FROM events e LEFT JOIN deduplication_cache c"
	        " ON c.organization_id=e.organization_id AND c.dedup_id=e.dedup_id"
	        " WHERE c.event_id IS NOT e.id)";
	struct zk_db *db;
	struct zk_stmt *st;
	bool ok;

	if (zk_lite_open(g.db, ZK_DB_QUERY_ONLY, 0, &db, &g.err) < 0)
		return false;
	ok = zk_db_prepare(db, sql, &st, &g.err) == 0 && zk_stmt_step(st, &g.err) == 1 &&
	     zk_col_i64(st, 0) == 1;
	zk_db_close(db);
	return ok;
}

int main(void)
{
	zk_rand_seed(&rnd, tap_seed());
	ids = zk_alloc_array(MAX_IDS, sizeof(*ids));
	rig_start(&g);
	rig_close(&g);
	g.conf.full = true;
	if (rig_open(&g) < 0)
		return 1;
	org = rig_org(&g, "http://h/");
	rig_close(&g);
	for (round_no = 0; round_no < ROUNDS; round_no++) {
		size_t before = n_ids, n;
		zk_uuid *all;
		bool ran = run_and_kill();

		if (rig_open(&g) < 0) {
			tap_ok(false, "round %u: opens again: %s", round_no, g.err.msg);
			break;
		}
		all = list_all(&n);
		size_t missing = count_missing(all, n), twice = count_twice(all, n);

		rig_close(&g);
		bool agree = tables_agree();

		tap_ok(ran && !missing && !twice && agree,
		       "round %u: %zu reported, %zu stored, %zu missing, %zu twice, "
		       "tables %s",
		       round_no, n_ids - before, n, missing, twice,
		       agree ? "agree" : "differ");
		free(all);
	}
	rig_done(&g);
	free(ids);
	return tap_done();
}
