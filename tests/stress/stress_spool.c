/* The spool under kill -9: processes that append, own, send and acknowledge are killed at random
 * points, round after round; whatever was appended is delivered in the end, and twice only what was
 * on its way when its sender died.
 * Layer: tests. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "store/spool.h"
#include "store/sqlite.h"
#include "tap.h"

#include "base/ban.h"

#define ROUNDS  60
#define WORKERS 5
#define ITEMS   400000
#define BATCH   20
#define TARGETS 3

/* In memory that outlives the processes. Item i has the body "i". */
static struct shared {
	atomic_uint next;               /* the first item that nobody has taken */
	atomic_uchar begun[ITEMS];      /* its append was called */
	atomic_uchar appended[ITEMS];   /* … and has returned */
	atomic_ushort delivered[ITEMS]; /* how often */
	atomic_uint errors;
} * sh;

static char dir[256];
static struct zk_rand rng;

static const struct zk_spool_target targets[TARGETS] = {
	{ ZK_STR_INIT("stress"), ZK_STR_INIT("a") },
	{ ZK_STR_INIT("stress"), ZK_STR_INIT("b") },
	{ ZK_STR_INIT("other"), ZK_STR_INIT("a") },
};

static void die(const char *what, const struct zk_error *err)
{
	(void)fprintf(stderr, "# %s: %s\n", what, err->msg);
	atomic_fetch_add(&sh->errors, 1);
	_exit(1);
}

static struct zk_spool *open_spool(void)
{
	struct zk_spool_conf conf = { .dir = dir, .profile = "p", .create = true };
	struct zk_error err = { 0 };
	struct zk_spool *sp = NULL;

	if (zk_spool_open(&conf, &sp, &err) < 0)
		die("open", &err);
	return sp;
}

static const struct zk_spool_target *some_target(void)
{
	return &targets[zk_rand_below(&rng, TARGETS)];
}

/* ---- what the processes do ------------------------------------------------------------- */

struct items {
	unsigned first;
	size_t n;
	int64_t ids[BATCH];
};

/* Appends a batch of fresh items; false when there are none left. */
static bool append(struct zk_spool *sp, const struct zk_spool_target *t, struct items *it)
{
	struct zk_spool_put v[BATCH];
	struct zk_error err = { 0 };
	char text[BATCH][16];

	it->n = 1 + zk_rand_below(&rng, BATCH);
	it->first = atomic_fetch_add(&sh->next, (unsigned)it->n);
	if (it->first + it->n > ITEMS)
		return false;
	for (size_t i = 0; i < it->n; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "%u", it->first + (unsigned)i);
		v[i] = (struct zk_spool_put){ .body = zk_str_of(text[i]) };
		if (i % 2)
			v[i].key = v[i].body;
		atomic_store(&sh->begun[it->first + i], 1);
	}
	if (zk_spool_append(sp, t, v, it->n, &err) < 0)
		die("append", &err);
	for (size_t i = 0; i < it->n; i++) {
		atomic_store(&sh->appended[it->first + i], 1);
		it->ids[i] = v[i].id;
		if (v[i].result != ZK_SPOOL_NEW)
			atomic_fetch_add(&sh->errors, 1);
	}
	return true;
}

/* Appends only: somebody else sends. */
static void appender(void)
{
	struct zk_spool *sp = open_spool();
	struct items it;

	while (append(sp, some_target(), &it))
		;
	zk_spool_close(sp);
}

/* Sends what it appends, as a command with --durable does; now and then it leaves a batch. */
static void owner(void)
{
	struct zk_spool *sp = open_spool();
	struct zk_error err = { 0 };
	struct items it;

	if (zk_spool_own(sp, &err) < 0)
		die("own", &err);
	while (append(sp, some_target(), &it)) {
		size_t n = 0;

		if (zk_spool_fail(sp, it.ids, it.n, "once more", false, &err) < 0)
			die("fail", &err);
		if (zk_rand_below(&rng, 4) == 0)
			continue;
		for (size_t i = 0; i < it.n; i++)
			atomic_fetch_add(&sh->delivered[it.first + i], 1);
		if (zk_spool_ack(sp, it.ids, it.n, &n, &err) < 0)
			die("ack", &err);
		if (n != it.n)
			atomic_fetch_add(&sh->errors, 1);
	}
	zk_spool_close(sp);
}

static void deliver(zk_str body)
{
	struct zk_error err;
	uint64_t i = ITEMS;

	if (zk_parse_u64(body, &i, &err) < 0 || i >= ITEMS || !atomic_load(&sh->begun[i]))
		atomic_fetch_add(&sh->errors, 1);
	else
		atomic_fetch_add(&sh->delivered[i], 1);
}

/* Sends what waits for one target; false when somebody else is at it. */
static bool flush(struct zk_spool *sp, const struct zk_spool_target *t)
{
	struct zk_spool_want want = { .max = BATCH, .max_bytes = 100 };
	struct zk_spool_lock *lock = NULL;
	struct zk_error err = { 0 };
	size_t n;
	int r = zk_spool_lock(sp, t, &lock, &err);

	if (r == -ZK_E_STORE_LOCKED)
		return false;
	if (r < 0)
		die("lock", &err);
	do {
		struct zk_spool_batch b;
		int64_t ids[BATCH];

		if (zk_spool_next(sp, t, &want, &b, &err) < 0)
			die("next", &err);
		for (size_t i = 0; i < b.n; i++) {
			deliver(b.v[i].body);
			ids[i] = b.v[i].id;
			if (b.v[i].id <= want.after)
				atomic_fetch_add(&sh->errors, 1);
			want.after = b.v[i].id;
		}
		n = b.n;
		zk_spool_batch_done(&b);
		if (n && zk_spool_ack(sp, ids, n, NULL, &err) < 0)
			die("ack", &err);
	} while (n);
	zk_spool_unlock(lock);
	return true;
}

static void flusher(void)
{
	struct zk_spool *sp = open_spool();

	while (atomic_load(&sh->next) < ITEMS)
		(void)flush(sp, some_target());
	zk_spool_close(sp);
}

/* ---- rounds ---------------------------------------------------------------------------- */

static pid_t start(void (*fn)(void), uint64_t seed)
{
	pid_t pid = fork();

	if (pid == 0) {
		zk_rand_seed(&rng, seed);
		fn();
		_exit(0);
	}
	return pid;
}

/* Starts all, kills them one by one at random moments; returns how many died by the signal. */
static unsigned play_round(void)
{
	static void (*const roles[WORKERS])(void) = { appender, owner, flusher, owner,
		                                      flusher };
	pid_t pids[WORKERS];
	unsigned killed = 0,
	         goal = atomic_load(&sh->next) + 1 + (unsigned)zk_rand_below(&rng, 80);

	for (size_t i = 0; i < WORKERS; i++)
		pids[i] = start(roles[i], zk_rand_u64(&rng));
	(void)TAP_WAIT(5000, atomic_load(&sh->next) >= goal);
	for (size_t i = 0; i < WORKERS; i++) {
		int status = 0;
		long us = (long)zk_rand_below(&rng, 10000);

		nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], &status, 0);
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	return killed;
}

static bool is_sound(void)
{
	char path[300];
	struct zk_db_conf conf = { .path = path, .busy_ms = 1000 };
	struct zk_error err = { 0 };
	struct zk_stmt *st = NULL;
	struct zk_db *db = NULL;
	bool ok = false;

	(void)snprintf(path, sizeof(path), "%s/p.db", dir);
	if (zk_db_open(&conf, &db, &err) == 0 &&
	    zk_db_prepare(
	            db,
	            "SELECT (SELECT * FROM pragma_integrity_check) = 'ok' AND"
	            " NOT EXISTS (SELECT 1 FROM pragma_foreign_key_check) AND"
	            " (SELECT coalesce(sum(records), 0) FROM targets) ="
	            " (SELECT count(*) FROM records) AND"
	            " (SELECT count(*) FROM bodies) = (SELECT count(*) FROM records) AND"
	            " (SELECT coalesce(sum(bytes), 0) FROM targets) ="
	            " (SELECT coalesce(sum(cost), 0) FROM records)",
	            &st, &err) == 0)
		ok = zk_stmt_step(st, &err) == 1 && zk_col_i64(st, 0) == 1;
	zk_db_close(db);
	return ok;
}

static void check_rounds(void)
{
	unsigned killed = 0;

	for (int i = 0; i < ROUNDS; i++) {
		killed += play_round();
		if (atomic_load(&sh->errors) || (i % 10 == 9 && !is_sound())) {
			tap_ok(false, "the file is sound after round %d", i);
			return;
		}
	}
	tap_ok(killed == ROUNDS * WORKERS, "%u processes killed at random points",
	       killed);
}

static void drain(void)
{
	struct zk_spool *sp = open_spool();
	struct zk_spool_total total = { .records = 1 };
	struct zk_error err = { 0 };

	for (size_t i = 0; i < TARGETS; i++)
		if (!flush(sp, &targets[i]))
			tap_ok(false, "the lock of a dead process is free");
	tap_ok(zk_spool_total(sp, &total, &err) == 0 && total.records == 0 &&
	               total.bytes == 0,
	       "everything can be sent in the end");
	zk_spool_close(sp);
	tap_ok(is_sound(), "the file is sound");
}

static void check_items(void)
{
	unsigned n = ZK_MIN(atomic_load(&sh->next), ITEMS), appended = 0, lost = 0,
	         again = 0;

	for (unsigned i = 0; i < n; i++) {
		appended += atomic_load(&sh->appended[i]);
		lost += atomic_load(&sh->appended[i]) && !atomic_load(&sh->delivered[i]);
		if (atomic_load(&sh->delivered[i]) > 1)
			again += atomic_load(&sh->delivered[i]) - 1u;
	}
	tap_ok(appended > 1000, "%u items appended", appended);
	tap_ok(lost == 0, "%u of them lost", lost);
	/* A killed sender has at most one batch that is delivered and not acknowledged. */
	tap_ok(again <= ROUNDS * (WORKERS - 1) * BATCH, "%u delivered again", again);
	tap_ok(atomic_load(&sh->errors) == 0, "%u errors", atomic_load(&sh->errors));
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/spool.XXXXXX", tmp ? tmp : "/tmp");
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	          -1, 0);
	if (sh == MAP_FAILED || !mkdtemp(dir))
		return tap_ok(false, "set-up"), 1;
	zk_rand_seed(&rng, tap_seed());
	check_rounds();
	drain();
	check_items();
	return tap_done();
}
