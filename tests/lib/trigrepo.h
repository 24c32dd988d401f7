/* A store of the triggers server in a temporary folder, and its operations as calls that wait.
 * With DATABASE_URL in the environment (scripts/dev-services run) the store is a schema of its own
 * in that PostgreSQL instead. For tests, stress programs and benchmarks. Layer: tests. */
#ifndef ZK_TESTS_TRIGREPO_H
#define ZK_TESTS_TRIGREPO_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rt/loop.h"
#include "store/pg.h"
#include "triggers/repo.h"

#define RIG_FN __attribute__((unused)) static

#define DAY_US ((int64_t)86400 * 1000000)

struct rig {
	char dir[200], db[240];
	char schema[40]; /* "" = SQLite */
	struct zk_trig_repo_conf conf;
	struct zk_loop *loop;
	struct zk_trig_repo *repo;
	struct zk_error err;
};

RIG_FN bool rig_is_pg(const struct rig *g)
{
	return g->schema[0] != 0;
}

/* Runs BEFORE, the schema's name and AFTER as SQL in the PostgreSQL of DATABASE_URL. */
RIG_FN void rig_sql(const struct rig *g, const char *before, const char *after)
{
	struct zk_pg_conf conf = { .url = getenv("DATABASE_URL") };
	struct zk_error err = { 0 };
	struct zk_pg_conn *c = NULL;
	char sql[200];

	(void)snprintf(sql, sizeof(sql), "%s %s %s", before, g->schema, after);
	if (zk_pg_open(&conf, &c, &err) < 0 || zk_pg_exec(c, sql, &err) < 0) {
		fprintf(stderr, "%s: %s\n", sql, err.msg);
		abort();
	}
	zk_pg_close(c);
}

RIG_FN void rig_init_pg(struct rig *g)
{
	const char *url = getenv("DATABASE_URL");
	zk_uuid id = zk_uuid_v4();

	if (!url)
		return;
	(void)snprintf(g->schema, sizeof(g->schema), "t%02x%02x%02x%02x%02x%02x", id.b[0],
	               id.b[1], id.b[2], id.b[3], id.b[4], id.b[5]);
	(void)snprintf(g->db, sizeof(g->db), "%s?options=-csearch_path%%3D%s", url,
	               g->schema);
	rig_sql(g, "CREATE SCHEMA", "");
}

/* A folder and the configuration of a server started without options. */
RIG_FN void rig_init(struct rig *g)
{
	const char *tmp = getenv("TMPDIR");

	memset(g, 0, sizeof(*g));
	(void)snprintf(g->dir, sizeof(g->dir), "%s/zk-repo-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(g->dir))
		abort();
	(void)snprintf(g->db, sizeof(g->db), "%s/triggers.db", g->dir);
	g->conf.db = g->db;
	g->conf.connections = 1;
	rig_init_pg(g);
	g->conf.full = false; /* most tests need no flushes */
	g->conf.dedup_window_us = DAY_US;
}

/* Opens the store; 0 or the negative code. */
RIG_FN int rig_open(struct rig *g)
{
	int r;

	if (!g->loop)
		g->loop = zk_loop_new(&g->err);
	if (!g->loop)
		abort();
	r = zk_trig_repo_open(g->loop, NULL, &g->conf, &g->repo, &g->err);
	return r;
}

RIG_FN void rig_start(struct rig *g)
{
	rig_init(g);
	if (rig_open(g) < 0) {
		fprintf(stderr, "cannot open the store: %s\n", g->err.msg);
		abort();
	}
}

RIG_FN void rig_close(struct rig *g)
{
	if (g->repo)
		g->repo->ops->close(g->repo);
	g->repo = NULL;
	zk_loop_free(g->loop);
	g->loop = NULL;
}

RIG_FN int rig_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

RIG_FN void rig_done(struct rig *g)
{
	rig_close(g);
	if (rig_is_pg(g))
		rig_sql(g, "SET client_min_messages=error;DROP SCHEMA", "CASCADE");
	(void)nftw(g->dir, rig_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- waiting ---- */

RIG_FN void rig_set_flag(struct zk_trig_op *op)
{
	*(bool *)op->ctx = true;
}

/* Submits with CALL and turns the loop until the operation is done. */
#define RIG_RUN(g, o, CALL)                           \
	do {                                          \
		bool rig_flag = false;                \
		(o)->op.done = rig_set_flag;          \
		(o)->op.ctx = &rig_flag;              \
		(g)->repo->ops->CALL((g)->repo, (o)); \
		zk_loop_until((g)->loop, &rig_flag);  \
	} while (0)

/* ---- organizations ---- */

RIG_FN zk_uuid rig_org_tier(struct rig *g, const char *webhook, enum zk_trig_tier tier,
                            char key_id[ZK_TRIG_KEY_ID + 1])
{
	struct zk_trig_create c = { .org = { .id = zk_uuid_v7(),
		                             .name = (char[]){ "Org" },
		                             .tier = tier,
		                             .rate_limit = -1,
		                             .webhook_url = (char *)(uintptr_t)webhook,
		                             .webhook_enabled = true,
		                             .created_us = zk_wall_us(),
		                             .updated_us = zk_wall_us() } };
	uint64_t id;

	zk_rand_secret(&id, sizeof(id));
	(void)snprintf(c.key.key_id, sizeof(c.key.key_id), "%016llx",
	               (unsigned long long)id);
	(void)snprintf(c.key.hash, sizeof(c.key.hash), "$argon2id$test");
	c.key.created_us = zk_wall_us();
	RIG_RUN(g, &c, create);
	if (c.op.code < 0) {
		fprintf(stderr, "cannot create: %s\n", c.op.reason);
		abort();
	}
	if (key_id)
		memcpy(key_id, c.key.key_id, sizeof(c.key.key_id));
	return c.org.id;
}

/* One organization, with a webhook when `webhook` is not NULL. */
RIG_FN zk_uuid rig_org(struct rig *g, const char *webhook)
{
	return rig_org_tier(g, webhook, ZK_TRIG_FREE, NULL);
}

/* ---- events ---- */

/* What most tests vary; the rest of an event is made up. */
struct rig_event {
	const char *type, *dedup, *payload;
	bool due, delivered;
	int64_t at_us; /* 0 = now */
};

RIG_FN zk_uuid rig_id_at(int64_t us)
{
	zk_uuid id = zk_uuid_v4();
	static uint32_t count;
	uint64_t ms = (uint64_t)(us / 1000);

	count++;
	for (unsigned i = 0; i < 6; i++)
		id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	id.b[6] = (uint8_t)(0x70 | (count >> 28 & 15));
	id.b[7] = (uint8_t)(count >> 20);
	id.b[8] = (uint8_t)(0x80 | (count >> 14 & 0x3f));
	id.b[9] = (uint8_t)(count >> 6);
	id.b[10] = (uint8_t)(count << 2);
	return id;
}

RIG_FN void rig_fill(struct zk_trig_ingest *in, const zk_uuid *org,
                     const struct rig_event *e)
{
	memset(in, 0, sizeof(*in));
	in->org = *org;
	in->id = e->at_us ? rig_id_at(e->at_us) : zk_uuid_v7();
	in->created_us = e->at_us ? e->at_us : zk_wall_us();
	in->type = zk_str_of(e->type ? e->type : "user.created");
	in->dedup_id = zk_str_of(e->dedup);
	in->payload = zk_str_of(e->payload ? e->payload : "{}");
	in->due = e->due;
	in->delivered = e->delivered;
}

/* Stores one event; `in` tells how it went. False when the queue was full. */
RIG_FN bool rig_ingest(struct rig *g, struct zk_trig_ingest *in)
{
	bool flag = false;

	in->op.done = rig_set_flag;
	in->op.ctx = &flag;
	if (!g->repo->ops->ingest(g->repo, in))
		return false;
	zk_loop_until(g->loop, &flag);
	return true;
}

/* Stores one event and returns its id. */
RIG_FN zk_uuid rig_add(struct rig *g, const zk_uuid *org, const struct rig_event *e)
{
	struct zk_trig_ingest in;

	rig_fill(&in, org, e);
	if (!rig_ingest(g, &in) || in.op.code < 0 || in.duplicate) {
		fprintf(stderr, "cannot ingest: %s\n", in.op.reason);
		abort();
	}
	return in.id;
}

/* Stores n events in batches; `make` fills number i. Aborts when one is refused. */
RIG_FN void rig_add_many(struct rig *g, const zk_uuid *org, size_t n,
                         struct rig_event (*make)(void *ctx, size_t i), void *ctx,
                         zk_uuid *ids)
{
	enum { BATCH = 500 };
	struct zk_trig_ingest *in = zk_alloc_array(BATCH, sizeof(*in));

	for (size_t at = 0; at < n; at += BATCH) {
		size_t m = ZK_MIN(n - at, (size_t)BATCH);

		for (size_t i = 0; i < m; i++) {
			struct rig_event e = make(ctx, at + i);

			rig_fill(&in[i], org, &e);
			in[i].next = i + 1 < m ? &in[i + 1] : NULL;
		}
		if (!rig_ingest(g, in) || in->op.code < 0)
			abort();
		for (size_t i = 0; i < m && ids; i++)
			ids[at + i] = in[i].id;
	}
	free(in);
}

/* ---- reading ---- */

/* A row that outlives the callback. */
struct rig_row {
	struct zk_trig_row row;
	char type[64], dedup[64], payload[256], error[64];
};

struct rig_page {
	struct zk_trig_page op;
	struct rig_row rows[1001];
	size_t n;
};

RIG_FN void rig_keep_text(zk_str from, char *to, size_t room)
{
	size_t n = from.n < room ? from.n : room - 1;

	if (n)
		memcpy(to, from.p, n);
	to[n] = 0;
}

RIG_FN void rig_keep_row(struct rig_row *to, const struct zk_trig_row *row)
{
	to->row = *row;
	rig_keep_text(row->type, to->type, sizeof(to->type));
	rig_keep_text(row->dedup_id, to->dedup, sizeof(to->dedup));
	rig_keep_text(row->payload, to->payload, sizeof(to->payload));
	rig_keep_text(row->last_error, to->error, sizeof(to->error));
}

RIG_FN void rig_on_row(struct zk_trig_page *op, const struct zk_trig_row *row)
{
	struct rig_page *p = ZK_CONTAINER_OF(op, struct rig_page, op);

	if (p->n < ZK_ARRAY_LEN(p->rows))
		rig_keep_row(&p->rows[p->n++], row);
}

/* Reads the page that p->op describes (org, filter, …; limit 0 = 100). */
RIG_FN void rig_read(struct rig *g, struct rig_page *p)
{
	p->n = 0;
	p->op.row = rig_on_row;
	if (!p->op.limit)
		p->op.limit = 100;
	RIG_RUN(g, &p->op, page);
}

/* How many events the organization has with this filter, by walking all pages. */
RIG_FN size_t rig_count(struct rig *g, const zk_uuid *org, enum zk_trig_filter filter)
{
	struct rig_page *p = zk_new0(struct rig_page);
	size_t n = 0;

	p->op = (struct zk_trig_page){ .org = *org, .filter = filter, .limit = 1000 };
	do {
		rig_read(g, p);
		n += p->n;
		p->op.has_cursor = true;
		p->op.cursor = p->op.last_id;
	} while (p->op.op.code == 0 && p->op.has_more);
	free(p);
	return n;
}

struct rig_one {
	struct zk_trig_event op;
	struct rig_row row;
	struct zk_trig_attempt attempts[20];
	char errors[20][32], bodies[20][32];
	size_t n_attempts;
};

RIG_FN void rig_on_event(struct zk_trig_event *op, const struct zk_trig_row *row,
                         const struct zk_trig_attempt *attempts, size_t n)
{
	struct rig_one *one = ZK_CONTAINER_OF(op, struct rig_one, op);

	rig_keep_row(&one->row, row);
	one->n_attempts = n;
	for (size_t i = 0; i < n; i++) {
		one->attempts[i] = attempts[i];
		rig_keep_text(attempts[i].error, one->errors[i], sizeof(one->errors[i]));
		rig_keep_text(attempts[i].response_body, one->bodies[i],
		              sizeof(one->bodies[i]));
	}
}

/* Reads one event; false when it is not there. */
RIG_FN bool rig_get(struct rig *g, const zk_uuid *org, const zk_uuid *id,
                    struct rig_one *one)
{
	memset(one, 0, sizeof(*one));
	one->op.org = *org;
	one->op.id = *id;
	one->op.row = rig_on_event;
	RIG_RUN(g, &one->op, event);
	return one->op.op.code == 0 && one->op.found;
}

/* ---- changing ---- */

RIG_FN struct zk_trig_ack_one rig_ack(struct rig *g, const zk_uuid *org,
                                      const zk_uuid *id, int64_t now_us)
{
	struct zk_trig_ack_one one = { .id = *id };
	struct zk_trig_ack op = { .org = *org, .now_us = now_us, .ids = &one, .n = 1 };

	RIG_RUN(g, &op, ack);
	if (op.op.code < 0)
		abort();
	return one;
}

/* Writes the outcome of an attempt; true when it was applied. */
RIG_FN bool rig_outcome(struct rig *g, const zk_uuid *org, const zk_uuid *id,
                        int64_t attempt, enum zk_trig_status status, int64_t next_us)
{
	struct zk_trig_outcome op = {
		.id = *id,
		.org = *org,
		.attempt = attempt,
		.started_us = zk_wall_us(),
		.now_us = zk_wall_us(),
		.duration_ms = 1.5,
		.response_status = status == ZK_TRIG_DELIVERED ? 200 : 500,
		.error = status == ZK_TRIG_DELIVERED ? ZK_STR_NULL : ZK_STR("HTTP 500"),
		.response_body = ZK_STR("body"),
		.status = status,
		.next_attempt_us = next_us,
	};

	RIG_RUN(g, &op, outcome);
	if (op.op.code < 0)
		abort();
	return op.applied;
}

#endif
