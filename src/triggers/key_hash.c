/* The hashing lanes.
 * Layer: triggers. */
#include "triggers/key_hash.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/argon2.h"

#include "base/ban.h"

#define MAX_WAITING 64
#define MAX_LANES   16
#define IDLE_MS     5000 /* then a lane gives its 19 MiB back */

struct lane {
	struct zk_trig_hasher *h;
	struct zk_lane *lane;
	struct zk_argon2 *argon2; /* lane thread */
	size_t jobs;
};

struct zk_trig_hasher {
	struct lane lanes[MAX_LANES];
	size_t n;
	size_t jobs;
	atomic_bool closing;
};

/* The number behind ",KEY=" or "$KEY=" of a PHC text; 0 when there is none. */
static uint64_t param(zk_str phc, const char *key)
{
	ptrdiff_t at = zk_str_find(phc, zk_str_of(key));
	struct zk_error ignored = { 0 };
	uint64_t v = 0;
	zk_str rest;
	size_t n = 0;

	if (at < 0)
		return 0;
	rest = zk_str_from(phc, (size_t)at + strlen(key));
	while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
		n++;
	return zk_parse_u64(zk_str_n(rest.p, n), &v, &ignored) < 0 ? 0 : v;
}

bool zk_trig_hash_is_weak(zk_str phc)
{
	struct zk_argon2_params ours = ZK_ARGON2_PARAMS;

	return param(phc, "$m=") < ours.m_kib || param(phc, ",t=") < ours.t;
}

/* ---- lane thread -------------------------------------------------------------------------- */

static int make_hash(struct zk_argon2 *a, struct zk_trig_hash_job *j,
                     struct zk_error *err)
{
	struct zk_buf phc;
	int r;

	zk_buf_init(&phc, ZK_TRIG_MAX_HASH - 1);
	r = zk_argon2_hash(a, ZK_ARGON2_PARAMS, zk_str_n(j->key, j->key_n), &phc, err);
	if (r == 0) {
		memcpy(j->hash, phc.p, phc.n);
		j->hash[phc.n] = 0;
	}
	zk_buf_done(&phc);
	return r;
}

static int run_one(struct zk_argon2 *a, struct zk_trig_hash_job *j, struct zk_error *err)
{
	zk_str phc = zk_str_n(j->hash, strnlen(j->hash, sizeof(j->hash)));
	int r;

	if (!j->verify)
		return make_hash(a, j, err);
	r = zk_argon2_verify(a, phc, zk_str_n(j->key, j->key_n), &j->match, err);
	if (r < 0 || !j->match || !zk_trig_hash_is_weak(phc))
		return r;
	j->rehashed = make_hash(a, j, err) == 0;
	return 0;
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct lane *l = ctx;

	(void)n;
	for (struct zk_job *job = batch; job; job = job->next) {
		struct zk_trig_hash_job *j =
		        ZK_CONTAINER_OF(job, struct zk_trig_hash_job, job);
		struct zk_error err = { 0 };

		if (atomic_load(&l->h->closing))
			j->code = -ZK_E_BUSY;
		else
			j->code = run_one(l->argon2, j, &err);
	}
}

static void idle(void *ctx)
{
	struct lane *l = ctx;

	zk_argon2_idle(l->argon2);
}

/* ---- loop thread -------------------------------------------------------------------------- */

static void on_done(struct zk_job *job)
{
	struct zk_trig_hash_job *j = ZK_CONTAINER_OF(job, struct zk_trig_hash_job, job);
	struct zk_trig_hasher *h = j->hasher;

	h->jobs--;
	h->lanes[j->lane].jobs--;
	j->done(j);
}

int zk_trig_hasher_new(struct zk_loop *loop, unsigned lanes, struct zk_trig_hasher **ret,
                       struct zk_error *err)
{
	struct zk_trig_hasher *h = zk_new0(struct zk_trig_hasher);
	size_t n = ZK_MIN(ZK_MAX(lanes, 1u), MAX_LANES);

	for (; h->n < n; h->n++) {
		struct lane *l = &h->lanes[h->n];
		struct zk_lane_conf conf = {
			.name = "zk-hash",
			.ctx = l,
			.run = run,
			.idle = idle,
			.idle_ms = IDLE_MS,
			.batch_jobs = 1,
		};

		l->h = h;
		l->argon2 = zk_argon2_new();
		if (zk_lane_start(loop, &conf, &l->lane, err) < 0) {
			zk_argon2_free(l->argon2);
			zk_trig_hasher_free(h);
			return -(int)err->code;
		}
	}
	*ret = h;
	return 0;
}

void zk_trig_hasher_free(struct zk_trig_hasher *h)
{
	if (!h)
		return;
	atomic_store(&h->closing, true);
	for (size_t i = 0; i < h->n; i++) {
		zk_lane_stop(h->lanes[i].lane);
		zk_argon2_free(h->lanes[i].argon2);
	}
	free(h);
}

bool zk_trig_hasher_push(struct zk_trig_hasher *h, struct zk_trig_hash_job *j)
{
	size_t best = 0;

	if (h->jobs >= MAX_WAITING + h->n || atomic_load(&h->closing))
		return false;
	for (size_t i = 1; i < h->n; i++) {
		if (h->lanes[i].jobs < h->lanes[best].jobs)
			best = i;
	}
	j->hasher = h;
	j->lane = best;
	j->job.done = on_done;
	j->code = 0;
	j->match = j->rehashed = false;
	h->jobs++;
	h->lanes[best].jobs++;
	zk_lane_push_always(h->lanes[best].lane, &j->job);
	return true;
}
