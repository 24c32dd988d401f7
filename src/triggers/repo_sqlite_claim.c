/* The SQLite store: rows that are due, organization by organization (specs/triggers.md §8.4).
 * Layer: triggers. Reader lane.
 *
 * Two ranges hold what is due: first attempts (status DUE, in event order) and planned retries
 * (index deliveries_retry). Both are sorted by organization, so stepping from one organization to
 * the next is one seek, whatever lies in between: a dead endpoint with a million rows costs the
 * others nothing. A claim begins behind the organization that the last one ended with. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum {
	DUE_ORG,
	RETRY_ORG,
	RETRY_FIRST,
	RETRY_NEXT,
	PUSHES,
	DUE_ROWS,
	RETRY_ROWS,
	HEAD,
	EVENT,
	DUE_COUNT,
	RETRY_COUNT,
	N_SQL,
};

#define PLANNED     " status=2 AND next_attempt_at IS NOT NULL"
#define MAX_VISITS  1000 /* organizations looked at in one claim */
#define MAX_PER_ORG 64
#define COUNT_US    1000000

static const char *const sql[N_SQL] = {
	[DUE_ORG] = "SELECT organization_id,event_id,updated_at FROM event_deliveries"
	            " WHERE status=1 AND organization_id>?1"
	            " ORDER BY organization_id,event_id LIMIT 1",
	[RETRY_ORG] =
	        "SELECT organization_id,next_attempt_at FROM event_deliveries"
	        " INDEXED BY deliveries_retry WHERE" PLANNED " AND organization_id>?1"
	        " ORDER BY organization_id,next_attempt_at LIMIT 1",
	[RETRY_FIRST] = "SELECT next_attempt_at FROM event_deliveries"
	                " INDEXED BY deliveries_retry_time WHERE" PLANNED
	                " ORDER BY next_attempt_at LIMIT 1",
	[RETRY_NEXT] = "SELECT next_attempt_at FROM event_deliveries"
	               " INDEXED BY deliveries_retry_time WHERE" PLANNED
	               " AND next_attempt_at>?1 ORDER BY next_attempt_at LIMIT 1",
	[PUSHES] = "SELECT webhook_ordered FROM organizations WHERE id=?1 AND "
	           "webhook_url IS NOT"
	           " NULL AND webhook_enabled AND webhook_disabled_reason IS NULL",
	[DUE_ROWS] = "SELECT event_id,attempts,updated_at FROM event_deliveries"
	             " WHERE status=1 AND organization_id=?1 ORDER BY event_id LIMIT ?2",
	[RETRY_ROWS] =
	        "SELECT event_id,attempts,next_attempt_at FROM event_deliveries"
	        " INDEXED BY deliveries_retry WHERE" PLANNED " AND organization_id=?1"
	        " AND next_attempt_at<=?3 ORDER BY next_attempt_at LIMIT ?2",
	[HEAD] = "SELECT event_id,attempts,"
	         "CASE status WHEN 1 THEN updated_at ELSE next_attempt_at END"
	         " FROM event_deliveries"
	         " WHERE status=?2 AND organization_id=?1 ORDER BY event_id LIMIT 1",
	[EVENT] = "SELECT e.event_type,e.payload,e.created_at FROM event_deliveries d"
	          " CROSS JOIN events e ON e.seq=d.seq"
	          " WHERE d.status=?1 AND d.organization_id=?2 AND d.event_id=?3",
	[DUE_COUNT] = "SELECT count(*) FROM"
	              " (SELECT 1 FROM event_deliveries WHERE status=1 LIMIT 100000)",
	[RETRY_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM event_deliveries"
	                " INDEXED BY deliveries_retry_time WHERE" PLANNED
	                " AND next_attempt_at<=?1 LIMIT 100000)",
};
_Static_assert(ZK_LITE_DUE == 1 && ZK_LITE_RETRYING == 2,
               "the statements name the states");

int zk_lite_claim_init(struct zk_lite_reader *r, struct zk_error *err)
{
	return zk_lite_prepare(r->db, sql, N_SQL, r->due_st, err);
}

/* ---- from organization to organization ---------------------------------------------------- */

/* One of the two sorted ranges. */
struct cursor {
	int st;
	bool end, has;
	zk_uuid at, org; /* seek behind `at`; `org` is what was found */
};

struct scan {
	struct zk_lite_reader *r;
	struct zk_trig_claim *c;
	zk_uuid *skip; /* sorted */
	unsigned visits;
	bool retries_due;
	struct cursor due, retry;
	int64_t oldest_us;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(zk_uuid));
}

static void note_oldest(struct scan *s, int64_t us)
{
	if (us && (!s->oldest_us || us < s->oldest_us))
		s->oldest_us = us;
}

/* Finds the cursor's next organization that has something due. */
static int seek(struct scan *s, struct cursor *k, struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[k->st];

	while (!k->has && !k->end) {
		int r;

		if (s->visits++ >= MAX_VISITS) {
			s->c->more = true;
			k->end = true;
			return 0;
		}
		zk_lite_bind_id(st, 1, &k->at);
		r = zk_stmt_step(st, err);
		if (r <= 0) {
			k->end = true;
			return r;
		}
		k->at = k->org = zk_lite_col_id(st, 0);
		if (k->st == DUE_ORG) {
			zk_uuid id = zk_lite_col_id(st, 1);
			int64_t planned = zk_col_i64(st, 2);

			note_oldest(s, planned ? planned : zk_trig_id_ms(&id) * 1000);
			k->has = true;
		} else {
			int64_t planned = zk_col_i64(st, 1);

			k->has = planned <= s->c->now_us;
			if (k->has)
				note_oldest(s, planned);
		}
		zk_stmt_reset(st);
	}
	return 0;
}

/* 1 = *org is the next organization with something due. */
static int next_org(struct scan *s, zk_uuid *org, struct zk_error *err)
{
	int c;

	if (seek(s, &s->due, err) < 0 || seek(s, &s->retry, err) < 0)
		return zk_lite_code(err);
	if (!s->due.has && !s->retry.has)
		return 0;
	c = !s->due.has ? 1 : !s->retry.has ? -1 : compare(&s->due.org, &s->retry.org);
	*org = c <= 0 ? s->due.org : s->retry.org;
	if (c <= 0)
		s->due.has = false;
	if (c >= 0)
		s->retry.has = false;
	return 1;
}

static void start_at(struct scan *s, const zk_uuid *at)
{
	s->due = (struct cursor){ .st = DUE_ORG, .at = *at };
	s->retry = (struct cursor){ .st = RETRY_ORG, .at = *at, .end = !s->retries_due };
}

/* ---- the rows of one organization --------------------------------------------------------- */

struct candidate {
	enum zk_lite_state state;
	zk_uuid id;
	int64_t attempts, next_us;
};

static struct candidate candidate_of(struct zk_stmt *st, enum zk_lite_state state)
{
	return (struct candidate){
		.state = state,
		.id = zk_lite_col_id(st, 0),
		.attempts = zk_col_i64(st, 1),
		.next_us = zk_col_i64(st, 2),
	};
}

/* Up to `max` rows of one kind; returns how many, or negative. */
static int read_candidates(struct scan *s, int which, const zk_uuid *org, int max,
                           struct candidate *out, struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[which];
	int n = 0, r = 1;

	zk_lite_bind_id(st, 1, org);
	zk_bind_i64(st, 2, max);
	if (which == RETRY_ROWS)
		zk_bind_i64(st, 3, s->c->now_us);
	while (n < max && (r = zk_stmt_step(st, err)) > 0)
		out[n++] = candidate_of(st, which == RETRY_ROWS ? ZK_LITE_RETRYING
		                                                : ZK_LITE_DUE);
	zk_stmt_reset(st);
	return r < 0 ? r : n;
}

/* The oldest row of a state. 1 = `out` is set. */
static int read_head(struct scan *s, enum zk_lite_state state, const zk_uuid *org,
                     struct candidate *out, struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[HEAD];
	int r;

	zk_lite_bind_id(st, 1, org);
	zk_bind_i64(st, 2, state);
	r = zk_stmt_step(st, err);
	if (r > 0)
		*out = candidate_of(st, state);
	zk_stmt_reset(st);
	return r;
}

/* Strict order: only the oldest row that is not final counts, and only when it is due. */
static int head_of_line(struct scan *s, const zk_uuid *org, struct candidate *out,
                        struct zk_error *err)
{
	struct candidate due, retry;
	int d = read_head(s, ZK_LITE_DUE, org, &due, err);
	int r = d < 0 ? d : read_head(s, ZK_LITE_RETRYING, org, &retry, err);

	if (r < 0)
		return r;
	if (r > 0 && retry.next_us && (d == 0 || compare(&retry.id, &due.id) < 0)) {
		*out = retry;
		return retry.next_us <= s->c->now_us;
	}
	if (d > 0)
		*out = due;
	return d;
}

static int by_id(const void *a, const void *b)
{
	return compare(&((const struct candidate *)a)->id,
	               &((const struct candidate *)b)->id);
}

static char *copy(zk_str s)
{
	return zk_strndup(s.n ? s.p : "", s.n);
}

/* Reads the event of a candidate and adds it to the claim. */
static int add_row(struct scan *s, const zk_uuid *org, const struct candidate *k,
                   struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[EVENT];
	int r;

	zk_bind_i64(st, 1, k->state);
	zk_lite_bind_id(st, 2, org);
	zk_lite_bind_id(st, 3, &k->id);
	r = zk_stmt_step(st, err);
	if (r < 0)
		return r;
	if (r == 0)
		return zk_fail(err, ZK_E_STORE_CORRUPT, "a delivery has no event");
	zk_str type = zk_col_text(st, 0), payload = zk_col_text(st, 1);
	struct zk_trig_due *row = &s->c->rows[s->c->n++];

	*row = (struct zk_trig_due){
		.id = k->id,
		.org = *org,
		.type = copy(type),
		.type_n = type.n,
		.payload = copy(payload),
		.payload_n = payload.n,
		.created_us = zk_col_i64(st, 2),
		.attempts = k->attempts,
	};
	row->next_attempt_us = k->next_us ? k->next_us : row->created_us;
	zk_stmt_reset(st);
	return 0;
}

/* Does the organization push, and in strict order? 1, 0 or negative. */
static int pushes(struct scan *s, const zk_uuid *org, bool *ordered, struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[PUSHES];
	int r;

	zk_lite_bind_id(st, 1, org);
	r = zk_stmt_step(st, err);
	if (r > 0)
		*ordered = zk_col_i64(st, 0) != 0;
	zk_stmt_reset(st);
	return r;
}

/* The organization's rows in event order, one more than may be taken when there are more. */
static int candidates(struct scan *s, const zk_uuid *org, int max, struct candidate *out,
                      struct zk_error *err)
{
	int due = read_candidates(s, DUE_ROWS, org, max + 1, out, err);
	int retry = 0;

	if (due < 0)
		return due;
	if (s->retries_due)
		retry = read_candidates(s, RETRY_ROWS, org, max + 1, out + due, err);
	if (retry < 0)
		return retry;
	qsort(out, (size_t)due + (size_t)retry, sizeof(*out), by_id);
	return due + retry;
}

static int take_org(struct scan *s, const zk_uuid *org, struct zk_error *err)
{
	struct candidate found[2 * (MAX_PER_ORG + 1)];
	size_t room = s->c->max_rows - s->c->n;
	int max = (int)ZK_MIN(ZK_MIN(s->c->per_org, room), (size_t)MAX_PER_ORG);
	bool ordered;
	int n;

	if (s->c->n_skip &&
	    bsearch(org, s->skip, s->c->n_skip, sizeof(*s->skip), compare))
		return 0;
	n = pushes(s, org, &ordered, err);
	if (n < 0)
		return n;
	if (n == 0) {
		s->c->has_stray = true;
		s->c->stray = *org;
		return 0;
	}
	n = ordered ? head_of_line(s, org, found, err)
	            : candidates(s, org, max, found, err);
	if (n < 0)
		return n;
	if (n > max)
		s->c->more = true;
	for (int i = 0; i < ZK_MIN(n, max); i++) {
		if (add_row(s, org, &found[i], err) < 0)
			return zk_lite_code(err);
	}
	return 0;
}

/* ---- the claim ---------------------------------------------------------------------------- */

/* One column of one row; 0 when there is none. */
static int read_number(struct scan *s, int which, int64_t bound, int64_t *ret,
                       struct zk_error *err)
{
	struct zk_stmt *st = s->r->due_st[which];
	int r;

	if (which == RETRY_NEXT || which == RETRY_COUNT)
		zk_bind_i64(st, 1, bound);
	r = zk_stmt_step(st, err);
	*ret = r > 0 ? zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return r < 0 ? r : 0;
}

static int count_due(struct scan *s, struct zk_error *err)
{
	struct zk_lite_reader *r = s->r;
	int64_t now = zk_mono_us(), due, retry = 0;

	if (r->counted_us && now - r->counted_us < COUNT_US)
		return 0;
	if (read_number(s, DUE_COUNT, 0, &due, err) < 0 ||
	    (s->retries_due &&
	     read_number(s, RETRY_COUNT, s->c->now_us, &retry, err) < 0))
		return zk_lite_code(err);
	r->counted_us = now;
	r->due = (uint64_t)ZK_MIN(due + retry, (int64_t)100000);
	return 0;
}

/* Organizations behind the rotor, then those up to it. */
static int visit_all(struct scan *s, struct zk_error *err)
{
	const zk_uuid start = s->r->rotor, none = { { 0 } };
	zk_uuid org;

	for (int pass = 0; pass < 2; pass++) {
		int r;

		start_at(s, pass == 0 ? &start : &none);
		while ((r = next_org(s, &org, err)) > 0) {
			if (pass == 1 && compare(&org, &start) > 0)
				return 0;
			if (s->c->n >= s->c->max_rows) {
				s->c->more = true;
				return 0;
			}
			if (take_org(s, &org, err) < 0)
				return zk_lite_code(err);
			s->r->rotor = org;
		}
		if (r < 0)
			return r;
		if (s->visits >= MAX_VISITS) {
			/* The next claim begins where this one gave up. */
			const struct cursor *k = compare(&s->due.at, &s->retry.at) > 0
			                                 ? &s->due
			                                 : &s->retry;
			s->r->rotor = k->at;
			return 0;
		}
	}
	return 0;
}

int zk_lite_claim(struct zk_lite_reader *r, struct zk_trig_claim *c, struct zk_error *err)
{
	struct scan s = { .r = r, .c = c };
	int64_t first;
	int got;

	c->rows = zk_alloc_array(c->max_rows ? c->max_rows : 1, sizeof(*c->rows));
	c->n = 0;
	c->more = c->has_stray = false;
	if (c->n_skip) {
		s.skip = zk_alloc_array(c->n_skip, sizeof(*s.skip));
		memcpy(s.skip, c->skip, c->n_skip * sizeof(*s.skip));
		qsort(s.skip, c->n_skip, sizeof(*s.skip), compare);
	}
	got = read_number(&s, RETRY_FIRST, 0, &first, err);
	s.retries_due = got == 0 && first && first <= c->now_us;
	if (got == 0)
		got = read_number(&s, RETRY_NEXT, c->now_us, &c->next_due_us, err);
	if (got == 0)
		got = visit_all(&s, err);
	if (got == 0)
		got = count_due(&s, err);
	free(s.skip);
	c->due = r->due;
	c->oldest_due_us = s.oldest_us;
	if (got < 0)
		zk_trig_claim_done(c);
	return got;
}
