/* Records into a Redis stream: one pipeline per batch, confirmed by all of its answers.
 * Layer: jetstream. */
#include "jetstream/sink_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jetstream/event.h"
#include "rt/loop.h"
#include "store/redis.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define OUT_MAX (128u << 20)
#define LOOK_MS 1000
#define PORTION \
	128 /* records between two sends: Redis works while the next are written */

/* A stream that is written. */
struct part {
	struct zk_jet_redis *r;
	char *name;
	size_t last; /* its last record of the batch plus one; 0 = none */
	enum { UNKNOWN, NO_GROUPS, GROUPS } groups;
	int64_t looked_ms;
	size_t asked;             /* groups whose pending entries are asked for */
	uint64_t safe_ms, safe_n; /* the smallest id that a group has not done with */
};

struct zk_jet_redis {
	struct zk_jet_redis_conf conf;
	struct part *parts;
	size_t n_parts;
	struct zk_redis *client;
	struct zk_jet_follower *follower;
	struct zk_loop *loop;
	const struct zk_jet_batch *batch; /* that is delivered; NULL = none */
	size_t at;                        /* its next record */
	size_t owed;                      /* answers to those before it */
	bool broken;                      /* one of them was no confirmation */
	struct zk_error err;              /* the first */
	int64_t last_ms, last_n;          /* of ids made from positions */
};

static void check_over(struct zk_jet_redis *r)
{
	if (r->owed || !r->batch || (r->at < r->batch->n && !r->broken))
		return;
	r->batch = NULL;
	zk_jet_follower_done(r->follower, r->broken ? &r->err : NULL);
}

static bool is_there_already(const struct zk_jet_redis *r,
                             const struct zk_redis_reply *reply)
{
	return r->conf.position_ids &&
	       zk_str_find(reply->str, ZK_STR("equal or smaller")) >= 0;
}

static void on_reply(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	struct zk_jet_redis *r = ctx;
	bool refused =
	        reply && reply->type == ZK_REDIS_ERROR && !is_there_already(r, reply);

	r->owed--;
	if ((err || refused) && !r->broken) {
		r->broken = true;
		if (err)
			r->err = *err;
		else
			(void)zk_fail(&r->err, ZK_E_HTTP_BUSY, "redis answers: %.*s",
			              (int)ZK_MIN(reply->str.n, (size_t)200),
			              reply->str.p);
	}
	check_over(r);
}

/* ---- consumer groups ---- */

/* The smaller of the safe id so far and `id`, which is "MS-N". */
static void lower(struct part *p, zk_str id)
{
	struct zk_error ignored;
	uint64_t ms = 0, n = 0;
	zk_str head, tail = zk_str_cut(id, '-', &head);

	ZK_IGNORE(zk_parse_u64(head, &ms, &ignored) < 0); /* 0: nothing is cut */
	ZK_IGNORE(zk_parse_u64(tail, &n, &ignored) < 0);
	if (ms > p->safe_ms || (ms == p->safe_ms && n >= p->safe_n))
		return;
	p->safe_ms = ms;
	p->safe_n = n;
}

static void trim(struct part *p)
{
	char id[48];
	int n = snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)p->safe_ms,
	                 (unsigned long long)p->safe_n);
	const zk_str args[] = { ZK_STR("XTRIM"), zk_str_of(p->name), ZK_STR("MINID"),
		                ZK_STR("~"), zk_str_n(id, (size_t)n) };
	struct zk_error ignored;

	/* Another look comes. */
	ZK_IGNORE(zk_redis_send(p->r->client, args, ZK_ARRAY_LEN(args), 0, NULL, NULL,
	                        &ignored) < 0);
}

/* What was added while it was not known whether there are groups; part of the batch that runs. */
static void trim_first(struct part *p)
{
	char max[20];
	const zk_str args[] = { ZK_STR("XTRIM"), zk_str_of(p->name), ZK_STR("MAXLEN"),
		                ZK_STR("~"),
		                zk_str_n(max, zk_format_u64(p->r->conf.maxlen, max)) };
	struct zk_error ignored;

	if (zk_redis_send(p->r->client, args, ZK_ARRAY_LEN(args), 0, on_reply, p->r,
	                  &ignored) == 0)
		p->r->owed++;
}

/* [how many, smallest id, largest id, consumers] */
static void on_pending(void *ctx, const struct zk_redis_reply *reply,
                       const struct zk_error *err)
{
	struct part *p = ctx;
	bool known = reply && reply->type == ZK_REDIS_ARRAY && reply->n > 1;

	(void)err;
	if (!known)
		p->safe_ms = p->safe_n = 0;
	else if (reply->items[1]->type == ZK_REDIS_STRING)
		lower(p, reply->items[1]->str);
	if (--p->asked == 0 && p->safe_ms)
		trim(p);
}

static zk_str member(const struct zk_redis_reply *group, zk_str name)
{
	for (size_t i = 0; i + 1 < group->n; i += 2)
		if (zk_str_eq(zk_redis_item_str(group, i), name))
			return zk_redis_item_str(group, i + 1);
	return ZK_STR_NULL;
}

static void look_at_group(struct part *p, const struct zk_redis_reply *group)
{
	const zk_str args[] = { ZK_STR("XPENDING"), zk_str_of(p->name),
		                member(group, ZK_STR("name")) };
	struct zk_error ignored;

	if (group->type != ZK_REDIS_ARRAY)
		return;
	lower(p, member(group, ZK_STR("last-delivered-id")));
	if (zk_redis_send(p->r->client, args, ZK_ARRAY_LEN(args), 0, on_pending, p,
	                  &ignored) == 0)
		p->asked++;
	else
		p->safe_ms = p->safe_n = 0;
}

static void on_groups(void *ctx, const struct zk_redis_reply *reply,
                      const struct zk_error *err)
{
	struct part *p = ctx;
	bool first = p->groups == UNKNOWN;

	(void)err;
	if (!reply)
		p->looked_ms = 0; /* the next batch looks again */
	if (!reply || p->asked)
		return;
	/* An error: there is no such stream yet. */
	p->groups = reply->type == ZK_REDIS_ARRAY && reply->n ? GROUPS : NO_GROUPS;
	p->safe_ms = p->safe_n = UINT64_MAX;
	if (first && p->groups == NO_GROUPS && p->r->owed)
		trim_first(p);
	for (size_t i = 0; p->groups == GROUPS && i < reply->n; i++)
		look_at_group(p, reply->items[i]);
}

static void look(struct part *p, int64_t now)
{
	const zk_str args[] = { ZK_STR("XINFO"), ZK_STR("GROUPS"), zk_str_of(p->name) };
	struct zk_error ignored;

	if (!p->r->conf.maxlen || (p->looked_ms && now - p->looked_ms < LOOK_MS))
		return;
	/* When it cannot be asked now, the next batch looks again: until it is known, nothing is
	 * trimmed. */
	if (zk_redis_send(p->r->client, args, ZK_ARRAY_LEN(args), 0, on_groups, p,
	                  &ignored) == 0)
		p->looked_ms = now;
}

/* ---- entries ---- */

static struct part *part_of(const struct zk_jet_redis *r, const struct zk_jet_batch *b,
                            size_t i)
{
	zk_str did = zk_str_n(b->bytes.p + b->v[i].did_at, b->v[i].did_n);

	return &r->parts[r->n_parts > 1 ? zk_jet_did_hash(did) % r->n_parts : 0];
}

/* {time_us/1000}-{(time_us%1000)*1000+n} */
static zk_str make_id(struct zk_jet_redis *r, const struct zk_jet_rec *rec, char *text,
                      size_t room)
{
	int64_t ms = rec->time_us / 1000, n = rec->time_us % 1000 * 1000;

	if (!r->conf.position_ids || !rec->has_time)
		return ZK_STR("*");
	if (ms == r->last_ms && n <= r->last_n)
		n = r->last_n + 1;
	r->last_ms = ms;
	r->last_n = n;
	(void)snprintf(text, room, "%lld-%lld", (long long)ms, (long long)n);
	return zk_str_of(text);
}

static size_t put_fields(const struct zk_jet_redis *r, const struct zk_buf *b,
                         const struct zk_jet_rec *rec, char time[ZK_RFC3339_MAX],
                         zk_str *args)
{
	zk_str record = zk_str_n(b->p + rec->at, rec->n);
	zk_str uri = zk_str_n(b->p + rec->uri_at, rec->uri_n);
	zk_str did = zk_str_n(b->p + rec->did_at, rec->did_n);
	size_t n = 0;

	if (r->conf.fields == ZK_JET_REDIS_RUST) {
		args[n++] = ZK_STR("at_uri");
		args[n++] = uri;
		args[n++] = ZK_STR("did");
		args[n++] = did;
		args[n++] = ZK_STR("message");
		args[n++] = record;
		args[n++] = ZK_STR("hydrated_at");
		args[n++] = zk_str_n(time, zk_format_rfc3339(zk_wall_us(), time));
		return n;
	}
	if (r->conf.fields == ZK_JET_REDIS_DATA) {
		args[n++] = ZK_STR("did");
		args[n++] = did;
		args[n++] = ZK_STR("at_uri");
		args[n++] = uri;
		args[n++] = ZK_STR("time_us");
		args[n++] = zk_str_n(
		        time,
		        rec->has_time ? zk_format_u64((uint64_t)rec->time_us, time) : 0);
		args[n++] = ZK_STR("kind");
		args[n++] = zk_str_n(b->p + rec->kind_at, rec->kind_n);
	}
	args[n++] = ZK_STR("data");
	args[n++] = record;
	return n;
}

static int add(struct zk_jet_redis *r, const struct zk_jet_batch *batch, size_t i,
               struct zk_error *err)
{
	const struct zk_jet_rec *rec = &batch->v[i];
	const struct part *p = part_of(r, batch, i);
	char id[48], time[ZK_RFC3339_MAX], max[20];
	zk_str args[24];
	size_t n = 0;

	args[n++] = ZK_STR("XADD");
	args[n++] = zk_str_of(p->name);
	/* Trimming costs; the last one of a batch does it for all. */
	if (p->groups == NO_GROUPS && i + 1 == p->last) {
		args[n++] = ZK_STR("MAXLEN");
		args[n++] = ZK_STR("~");
		args[n++] = zk_str_n(max, zk_format_u64(r->conf.maxlen, max));
	}
	args[n++] = make_id(r, rec, id, sizeof(id));
	n += put_fields(r, &batch->bytes, rec, time, args + n);
	return zk_redis_send(r->client, args, n, 0, on_reply, r, err);
}

static void add_some(void *ctx)
{
	struct zk_jet_redis *r = ctx;
	struct zk_error err = { 0 };

	if (!r->batch)
		return;
	for (size_t i = 0; i < PORTION && r->at < r->batch->n && !r->broken; i++) {
		if (add(r, r->batch, r->at, &err) < 0) {
			r->broken = true;
			r->err = err;
			break;
		}
		r->owed++;
		r->at++;
	}
	if (r->at < r->batch->n && !r->broken)
		zk_loop_defer(r->loop, add_some, r); /* behind the sending */
	check_over(r);
}

static void deliver(void *ctx, const struct zk_jet_batch *batch)
{
	struct zk_jet_redis *r = ctx;
	int64_t now = zk_mono_ms();

	r->batch = batch;
	r->at = 0;
	r->broken = false;
	r->last_ms = r->last_n = 0;
	for (size_t i = 0; i < r->n_parts; i++)
		look(&r->parts[i], now);
	for (size_t i = 0; i < batch->n; i++)
		part_of(r, batch, i)->last = i + 1;
	add_some(r);
}

static void on_state(void *ctx, bool up, const struct zk_error *err)
{
	struct zk_jet_redis *r = ctx;

	if (up && r->follower)
		zk_jet_follower_retry(r->follower);
	if (err && zk_log_enabled(ZK_LOG_DEBUG))
		zk_log_error(ZK_LOG_DEBUG, ZK_LOGGER, "redis is not reachable", err);
}

static void make_parts(struct zk_jet_redis *r)
{
	unsigned n = ZK_MAX(r->conf.partitions, 1);

	r->parts = zk_alloc_array(n, sizeof(*r->parts));
	r->n_parts = n;
	for (unsigned i = 0; i < n; i++) {
		r->parts[i].r = r;
		r->parts[i].name = n > 1 ? zk_asprintf("%s.%u", r->conf.stream, i)
		                         : zk_strdup(r->conf.stream);
		r->parts[i].groups = r->conf.maxlen ? UNKNOWN : GROUPS;
	}
}

int zk_jet_redis_new(struct zk_loop *loop, const struct zk_jet_redis_conf *conf,
                     struct zk_metrics *m, struct zk_jet_redis **ret,
                     struct zk_error *err)
{
	struct zk_jet_redis *r = zk_new0(struct zk_jet_redis);
	struct zk_redis_url url = { 0 };
	struct zk_redis_conf redis = { .url = &url,
		                       .name = "zk-jetstream",
		                       .timeout_ms = 30000,
		                       .max_out_bytes = OUT_MAX,
		                       .on_state = on_state,
		                       .ctx = r };
	struct zk_jet_follower_conf follow = { .name = "redis",
		                               .dir = conf->dir,
		                               .envelope = conf->envelope,
		                               .fd = -1,
		                               .deliver = deliver,
		                               .ctx = r };
	int x = zk_redis_url_parse(zk_str_of(conf->url), &url, err);

	r->conf = *conf;
	r->loop = loop;
	make_parts(r);
	if (x == 0)
		x = zk_redis_new(loop, &redis, &r->client, err);
	zk_redis_url_done(&url);
	if (x == 0)
		x = zk_jet_follower_new(loop, &follow, m, &r->follower, err);
	if (x < 0) {
		zk_jet_redis_free(r);
		return x;
	}
	*ret = r;
	return 0;
}

void zk_jet_redis_free(struct zk_jet_redis *r)
{
	if (!r)
		return;
	/* The follower first: answers that never come must not reach it. */
	zk_jet_follower_free(ZK_TAKE(r->follower));
	zk_loop_forget(r->loop, add_some, r);
	r->batch = NULL;
	zk_redis_free(r->client);
	for (size_t i = 0; i < r->n_parts; i++)
		free(r->parts[i].name);
	free(r->parts);
	free(r);
}

struct zk_jet_follower *zk_jet_redis_follower(struct zk_jet_redis *r)
{
	return r->follower;
}

bool zk_jet_redis_is_up(const struct zk_jet_redis *r)
{
	return zk_redis_is_up(r->client);
}
