/* API keys: the check of a presented key, from the cache, from its MAC, or by Argon2id.
 * Layer: triggers. Loop thread. specs/triggers.md §3.
 *
 *   presented -> digest -> verified cache -> OK
 *                       -> failed cache   -> BAD
 *                       -> flight (one per digest): row by key id -> mac decides, or Argon2id does
 *
 * A flight that was reading while its organization changed reads again: what it saw may be the
 * row as it was before a rotation was answered. */
#include "triggers/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "triggers/key_cache.h"
#include "triggers/key_hash.h"
#include "triggers/limit.h"
#include "triggers/repo.h"

#include "base/ban.h"

#define GOOD_ENTRIES  100000
#define GOOD_MS       300000
#define DEAF_MS       5000
#define BAD_ENTRIES   10000
#define BAD_MS        60000
#define MAX_FLIGHTS   1024
#define MAX_FAILURES  20 /* Argon2id verifications of one key id per minute */
#define USED_EVERY_US ((int64_t)3600 * 1000000)
#define PREFIX_N      9 /* "zap_live_" */
#define KEY_N         73

/* What the verified cache holds; the caller is its first member. */
struct verified {
	struct zk_trig_caller caller;
	int64_t used_us; /* last_used_at as far as we know */
	struct verified *next_dead;
};

struct waiter {
	struct waiter *next;
	zk_trig_auth_fn done;
	void *ctx;
};

enum stage { READING, HASHING };

struct flight {
	struct zk_list entry;
	struct zk_trig_keys *k; /* NULL once they are freed */
	enum stage stage;
	bool stale; /* the organization may have changed since the row was read */
	uint8_t digest[ZK_TRIG_DIGEST];
	struct zk_trig_find_key find;
	bool has_org;                   /* find.org is to be released */
	struct zk_trig_hash_job hash;   /* holds the presented key, wiped at the end */
	struct waiter *waiters, **tail; /* in order of arrival */
};

struct making {
	struct zk_list entry;
	struct zk_trig_keys *k;
	struct zk_trig_hash_job hash;
	struct zk_trig_key_made made;
	void (*done)(void *ctx, struct zk_trig_key_made *made);
	void *ctx;
};

struct zk_trig_keys {
	struct zk_loop *loop;
	struct zk_trig_repo *repo;
	struct zk_trig_keys_conf conf;
	struct zk_hmac_key digest_key, mac_key;
	struct zk_trig_kcache *good, *bad;
	struct zk_trig_hasher *hasher;
	struct zk_trig_limit *failures; /* by key id */
	struct zk_map by_digest;        /* flights */
	struct zk_list flights, makings;
	size_t n_flights;
	/* Callers that left the cache; freed at the end of the turn. */
	struct verified *dead;
	bool burying;
	struct zk_counter *hits, *misses, *negative;
};

/* ---- callers ------------------------------------------------------------------------------ */

void zk_trig_caller_ref(struct zk_trig_caller *c)
{
	c->refs++;
}

void zk_trig_caller_unref(struct zk_trig_caller *c)
{
	if (!c || --c->refs)
		return;
	zk_trig_org_done(&c->org);
	free(ZK_CONTAINER_OF(c, struct verified, caller));
}

static void bury(void *ctx)
{
	struct zk_trig_keys *k = ctx;
	struct verified *v = ZK_TAKE(k->dead);

	k->burying = false;
	while (v) {
		struct verified *next = v->next_dead;

		zk_trig_caller_unref(&v->caller);
		v = next;
	}
}

/* A caller stays valid until the turn ends, also when its entry goes before that. */
static void on_drop(void *ctx, void *value)
{
	struct zk_trig_keys *k = ctx;
	struct verified *v = value;

	v->next_dead = k->dead;
	k->dead = v;
	if (!k->burying) {
		k->burying = true;
		zk_loop_defer(k->loop, bury, k);
	}
}

static void count(struct zk_counter *c)
{
	if (c)
		zk_counter_add(c, 1);
}

/* ---- pure --------------------------------------------------------------------------------- */

bool zk_trig_key_plausible(zk_str key)
{
	if (key.n < 20 || key.n > ZK_TRIG_MAX_KEY || !zk_str_starts(key, ZK_STR("zap_")))
		return false;
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* A key as we make them; others are in no table of ours. */
static bool is_ours(zk_str key)
{
	if (key.n != KEY_N || (!zk_str_starts(key, ZK_STR("zap_live_")) &&
	                       !zk_str_starts(key, ZK_STR("zap_test_"))))
		return false;
	for (size_t i = PREFIX_N; i < key.n; i++) {
		char c = key.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

/* ---- updates of the row ------------------------------------------------------------------- */

static void on_updated(struct zk_trig_op *op)
{
	struct zk_trig_key_update *u = ZK_CONTAINER_OF(op, struct zk_trig_key_update, op);

	if (op->code < 0 && op->code != -ZK_E_NOT_FOUND)
		zk_warn("key not updated", "key_id=%s error=%s", u->key_id, op->reason);
	zk_wipe(u->mac, sizeof(u->mac));
	free(u);
}

static struct zk_trig_key_update *update_new(const char *key_id)
{
	struct zk_trig_key_update *u = zk_new0(struct zk_trig_key_update);

	memcpy(u->key_id, key_id, sizeof(u->key_id));
	u->op.done = on_updated;
	return u;
}

/* last_used_at is written at most once an hour. */
static void note_use(struct zk_trig_keys *k, struct verified *v, int64_t now_us)
{
	struct zk_trig_key_update *u;

	if (now_us - v->used_us < USED_EVERY_US)
		return;
	v->used_us = now_us;
	u = update_new(v->caller.key_id);
	u->set_used = true;
	u->used_us = now_us;
	k->repo->ops->key_update(k->repo, u);
}

/* ---- flights ------------------------------------------------------------------------------ */

static void flight_free(struct flight *f)
{
	if (f->has_org)
		zk_trig_org_done(&f->find.org);
	zk_wipe(&f->hash, sizeof(f->hash));
	free(f);
}

/* Answers everybody who waits. A waiter may cancel others meanwhile. */
static void answer(struct flight *f, enum zk_trig_auth result,
                   struct zk_trig_caller *caller)
{
	while (f->waiters) {
		struct waiter *w = f->waiters;
		struct waiter copy = *w;

		f->waiters = w->next;
		if (!f->waiters)
			f->tail = &f->waiters;
		free(w);
		copy.done(copy.ctx, result, caller);
	}
}

static void land(struct flight *f, enum zk_trig_auth result,
                 struct zk_trig_caller *caller)
{
	struct zk_trig_keys *k = f->k;

	zk_map_del(&k->by_digest, zk_str_n((const char *)f->digest, sizeof(f->digest)));
	answer(f, result, caller);
	zk_list_remove(&f->entry);
	k->n_flights--;
	flight_free(f);
}

static void reject(struct flight *f)
{
	struct zk_trig_keys *k = f->k;

	/* Any value but NULL: the entry itself is the answer. */
	zk_trig_kcache_put(k->bad, f->digest, NULL, k, zk_mono_ms());
	land(f, ZK_TRIG_AUTH_BAD, NULL);
}

static bool is_expired(int64_t expires_us)
{
	return expires_us && zk_wall_us() >= expires_us;
}

/* The key is right. */
static void accept_key(struct flight *f)
{
	struct zk_trig_keys *k = f->k;
	struct verified *v = zk_new0(struct verified);

	v->caller.org = f->find.org; /* moved */
	f->has_org = false;
	memcpy(v->caller.key_id, f->find.key_id, sizeof(v->caller.key_id));
	v->caller.key_expires_us = f->find.key.expires_us;
	v->caller.refs = 1;
	v->used_us = f->find.key.last_used_us;
	zk_trig_kcache_put(k->good, f->digest, &v->caller.org.id, v, zk_mono_ms());
	note_use(k, v, zk_wall_us());
	land(f, ZK_TRIG_AUTH_OK, &v->caller);
}

static void read_row(struct flight *f)
{
	f->stage = READING;
	f->stale = false;
	if (f->has_org)
		zk_trig_org_done(&f->find.org);
	f->has_org = false;
	f->k->repo->ops->find_key(f->k->repo, &f->find);
}

static void mac_of(const struct zk_trig_keys *k, zk_str key, uint8_t mac[ZK_SHA256_SIZE])
{
	zk_hmac_sha256(&k->mac_key, key, mac);
}

static zk_uuid failures_key(const char *key_id)
{
	zk_uuid id;

	_Static_assert(sizeof(id.b) == ZK_TRIG_KEY_ID,
	               "a key id fills the key of a limit");
	memcpy(id.b, key_id, sizeof(id.b));
	return id;
}

/* What a successful Argon2id verification writes: the mac, and a hash that is not weak. */
static void store_verified(struct flight *f)
{
	struct zk_trig_keys *k = f->k;
	struct zk_trig_key_update *u;

	if (!k->conf.key_mac && !f->hash.rehashed)
		return;
	u = update_new(f->find.key_id);
	u->set_mac = k->conf.key_mac;
	if (u->set_mac)
		mac_of(k, zk_str_n(f->hash.key, f->hash.key_n), u->mac);
	u->set_hash = f->hash.rehashed;
	if (u->set_hash)
		memcpy(u->hash, f->hash.hash, sizeof(u->hash));
	k->repo->ops->key_update(k->repo, u);
}

static void on_hashed(struct zk_trig_hash_job *j)
{
	struct flight *f = ZK_CONTAINER_OF(j, struct flight, hash);
	struct zk_trig_keys *k = f->k;
	zk_uuid id = failures_key(f->find.key_id);

	if (!k) {
		flight_free(f);
		return;
	}
	if (j->code == -ZK_E_BUSY) {
		land(f, ZK_TRIG_AUTH_BUSY, NULL);
	} else if (j->code < 0 && j->code != -ZK_E_DATA) {
		zk_logerr("key hashing failed", "key_id=%s code=%d", f->find.key_id,
		          -j->code);
		land(f, ZK_TRIG_AUTH_BUSY, NULL);
	} else if (!j->match) {
		(void)zk_trig_limit_take(k->failures, id.b, MAX_FAILURES, 1,
		                         zk_mono_ms());
		reject(f);
	} else if (f->stale) {
		read_row(f); /* with the mac or the verification once more */
	} else {
		store_verified(f);
		accept_key(f);
	}
}

/* No mac decides: Argon2id has to. */
static void verify(struct flight *f)
{
	struct zk_trig_keys *k = f->k;
	zk_uuid id = failures_key(f->find.key_id);
	struct zk_trig_verdict v =
	        zk_trig_limit_take(k->failures, id.b, MAX_FAILURES, 0, zk_mono_ms());

	if (!v.remaining) {
		zk_warn("auth.flood", "key_id=%s", f->find.key_id);
		land(f, ZK_TRIG_AUTH_FLOOD, NULL);
		return;
	}
	f->stage = HASHING;
	f->hash.verify = true;
	f->hash.done = on_hashed;
	memcpy(f->hash.hash, f->find.key.hash, sizeof(f->hash.hash));
	if (!zk_trig_hasher_push(k->hasher, &f->hash))
		land(f, ZK_TRIG_AUTH_BUSY, NULL);
}

static void decide(struct flight *f)
{
	struct zk_trig_keys *k = f->k;
	uint8_t mac[ZK_SHA256_SIZE];
	bool same;

	if (is_expired(f->find.key.expires_us)) {
		reject(f);
		return;
	}
	if (!k->conf.key_mac || !f->find.key.has_mac) {
		verify(f);
		return;
	}
	mac_of(k, zk_str_n(f->hash.key, f->hash.key_n), mac);
	same = zk_equal_ct(mac, f->find.key.mac, sizeof(mac));
	zk_wipe(mac, sizeof(mac));
	if (same)
		accept_key(f);
	else
		reject(f);
}

static void on_found(struct zk_trig_op *op)
{
	struct flight *f = ZK_CONTAINER_OF(op, struct flight, find.op);

	f->has_org = op->code == 0;
	if (!f->k)
		flight_free(f);
	else if (f->stale)
		read_row(f);
	else if (op->code == 0)
		decide(f);
	else if (op->code == -ZK_E_NOT_FOUND)
		reject(f);
	else
		land(f, op->code == -ZK_E_BUSY ? ZK_TRIG_AUTH_BUSY : ZK_TRIG_AUTH_STORE,
		     NULL);
}

static void add_waiter(struct flight *f, zk_trig_auth_fn done, void *ctx)
{
	struct waiter *w = zk_new0(struct waiter);

	w->done = done;
	w->ctx = ctx;
	*f->tail = w;
	f->tail = &w->next;
}

static struct flight *take_off(struct zk_trig_keys *k, zk_str key,
                               const uint8_t digest[ZK_TRIG_DIGEST])
{
	struct flight *f = zk_new0(struct flight);

	f->k = k;
	memcpy(f->digest, digest, sizeof(f->digest));
	memcpy(f->hash.key, key.p, key.n);
	f->hash.key_n = key.n;
	memcpy(f->find.key_id, key.p + PREFIX_N, ZK_TRIG_KEY_ID);
	f->find.op.done = on_found;
	f->tail = &f->waiters;
	zk_list_push(&k->flights, &f->entry);
	zk_map_set(&k->by_digest, zk_str_n((const char *)digest, ZK_TRIG_DIGEST), f);
	k->n_flights++;
	return f;
}

/* ---- checking ----------------------------------------------------------------------------- */

static enum zk_trig_auth check_slowly(struct zk_trig_keys *k, zk_str key,
                                      const uint8_t digest[ZK_TRIG_DIGEST],
                                      zk_trig_auth_fn done, void *ctx)
{
	struct flight *f;

	if (zk_trig_kcache_get(k->bad, digest, zk_mono_ms())) {
		count(k->negative);
		return ZK_TRIG_AUTH_BAD;
	}
	count(k->misses);
	if (!is_ours(key))
		return ZK_TRIG_AUTH_BAD;
	f = zk_map_get(&k->by_digest, zk_str_n((const char *)digest, ZK_TRIG_DIGEST));
	if (!f && k->n_flights >= MAX_FLIGHTS)
		return ZK_TRIG_AUTH_BUSY;
	if (f) {
		add_waiter(f, done, ctx);
	} else {
		f = take_off(k, key, digest);
		add_waiter(f, done, ctx);
		read_row(f);
	}
	return ZK_TRIG_AUTH_PENDING;
}

enum zk_trig_auth zk_trig_keys_check(struct zk_trig_keys *k, zk_str key,
                                     struct zk_trig_caller **caller, zk_trig_auth_fn done,
                                     void *ctx)
{
	uint8_t digest[ZK_TRIG_DIGEST];
	struct verified *v;
	int64_t now_us;

	if (!zk_trig_key_plausible(key))
		return ZK_TRIG_AUTH_BAD;
	zk_hmac_sha256(&k->digest_key, key, digest);
	v = zk_trig_kcache_get(k->good, digest, zk_mono_ms());
	if (!v)
		return check_slowly(k, key, digest, done, ctx);
	now_us = zk_wall_us();
	if (v->caller.key_expires_us && now_us >= v->caller.key_expires_us) {
		zk_trig_kcache_del(k->good, digest);
		return ZK_TRIG_AUTH_BAD;
	}
	count(k->hits);
	note_use(k, v, now_us);
	*caller = &v->caller;
	return ZK_TRIG_AUTH_OK;
}

static void cancel_waiters(struct flight *f, const void *ctx)
{
	struct waiter **at = &f->waiters;

	while (*at) {
		struct waiter *w = *at;

		if (w->ctx == ctx) {
			*at = w->next;
			free(w);
		} else {
			at = &w->next;
		}
	}
	f->tail = at;
}

void zk_trig_keys_cancel(struct zk_trig_keys *k, void *ctx)
{
	ZK_LIST_EACH (fe, &k->flights)
		cancel_waiters(ZK_LIST_ENTRY(fe, struct flight, entry), ctx);
	ZK_LIST_EACH (me, &k->makings) {
		struct making *m = ZK_LIST_ENTRY(me, struct making, entry);

		if (m->ctx == ctx)
			m->done = NULL;
	}
}

void zk_trig_keys_forget(struct zk_trig_keys *k, const zk_uuid *org)
{
	zk_trig_kcache_forget(k->good, org);
	ZK_LIST_EACH (e, &k->flights) {
		struct flight *f = ZK_LIST_ENTRY(e, struct flight, entry);

		/* Whose key is being read is not known yet. */
		if (!org || f->stage == READING ||
		    memcmp(&f->find.org.id, org, sizeof(*org)) == 0)
			f->stale = true;
	}
}

void zk_trig_keys_set_deaf(struct zk_trig_keys *k, bool deaf)
{
	zk_trig_kcache_set_lifetime(k->good, deaf ? DEAF_MS : GOOD_MS);
	/* Both ways: what changed while nobody listened was told to nobody. */
	zk_trig_keys_forget(k, NULL);
}

/* ---- making ------------------------------------------------------------------------------- */

static void on_made(struct zk_trig_hash_job *j)
{
	struct making *m = ZK_CONTAINER_OF(j, struct making, hash);

	zk_list_remove(&m->entry);
	m->made.code = j->code;
	memcpy(m->made.row.hash, j->hash, sizeof(m->made.row.hash));
	if (m->done)
		m->done(m->ctx, &m->made);
	zk_wipe(m, sizeof(*m));
	free(m);
}

/* Prefix, and 64 digits of the kernel's generator. */
static void make_text(const struct zk_trig_keys *k, char text[ZK_TRIG_KEY_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[32];

	memcpy(text, k->conf.test_prefix ? "zap_test_" : "zap_live_", PREFIX_N);
	zk_rand_secret(raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++) {
		text[PREFIX_N + 2 * i] = digits[raw[i] >> 4];
		text[PREFIX_N + 2 * i + 1] = digits[raw[i] & 15];
	}
	text[KEY_N] = 0;
	zk_wipe(raw, sizeof(raw));
}

bool zk_trig_keys_make(struct zk_trig_keys *k, const zk_uuid *org,
                       void (*done)(void *ctx, struct zk_trig_key_made *made), void *ctx)
{
	struct making *m = zk_new0(struct making);
	struct zk_trig_key *row = &m->made.row;

	m->k = k;
	m->done = done;
	m->ctx = ctx;
	make_text(k, m->made.text);
	memcpy(row->key_id, m->made.text + PREFIX_N, ZK_TRIG_KEY_ID);
	row->org = *org;
	row->created_us = zk_wall_us();
	row->has_mac = k->conf.key_mac;
	if (row->has_mac)
		mac_of(k, zk_str_n(m->made.text, KEY_N), row->mac);
	memcpy(m->hash.key, m->made.text, KEY_N);
	m->hash.key_n = KEY_N;
	m->hash.done = on_made;
	if (!zk_trig_hasher_push(k->hasher, &m->hash)) {
		zk_wipe(m, sizeof(*m));
		free(m);
		return false;
	}
	zk_list_push(&k->makings, &m->entry);
	return true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static struct zk_counter *counter(struct zk_metrics *m, const char *result)
{
	const char *labels[] = { "result", result, NULL };

	return m ? zk_metrics_counter(m, "cache_lookups_total",
	                              "Look-ups of presented keys", labels)
	         : NULL;
}

int zk_trig_keys_new(struct zk_loop *l, struct zk_metrics *m, struct zk_trig_repo *repo,
                     const struct zk_trig_keys_conf *conf, struct zk_trig_keys **ret,
                     struct zk_error *err)
{
	struct zk_trig_kcache_conf good = { .max_entries = GOOD_ENTRIES,
		                            .lifetime_ms = GOOD_MS,
		                            .drop = on_drop };
	struct zk_trig_kcache_conf bad = { .max_entries = BAD_ENTRIES,
		                           .lifetime_ms = BAD_MS };
	struct zk_trig_hasher *hasher;
	struct zk_trig_keys *k;
	uint8_t secret[32];

	if (zk_trig_hasher_new(l, conf->hash_lanes, &hasher, err) < 0)
		return -(int)err->code;
	k = zk_new0(struct zk_trig_keys);
	k->loop = l;
	k->repo = repo;
	k->conf = *conf;
	k->hasher = hasher;
	zk_rand_secret(secret, sizeof(secret));
	zk_hmac_key_init(&k->digest_key, zk_str_n((const char *)secret, sizeof(secret)));
	zk_wipe(secret, sizeof(secret));
	zk_hmac_key_init(&k->mac_key,
	                 zk_str_n((const char *)conf->mac_key, sizeof(conf->mac_key)));
	zk_wipe(k->conf.mac_key, sizeof(k->conf.mac_key));
	good.ctx = k;
	k->good = zk_trig_kcache_new(&good);
	k->bad = zk_trig_kcache_new(&bad);
	k->failures = zk_trig_limit_new(/* sliding */ false);
	zk_map_init(&k->by_digest);
	zk_list_init(&k->flights);
	zk_list_init(&k->makings);
	k->hits = counter(m, "hit");
	k->misses = counter(m, "miss");
	k->negative = counter(m, "negative");
	*ret = k;
	return 0;
}

static void keys_free(void *ctx)
{
	struct zk_trig_keys *k = ctx;

	bury(k);
	zk_hmac_key_done(&k->digest_key);
	zk_hmac_key_done(&k->mac_key);
	free(k);
}

void zk_trig_keys_free(struct zk_trig_keys *k)
{
	struct zk_list *e;

	if (!k)
		return;
	/* Hashes that were not begun end here, their waiters are answered. */
	zk_trig_hasher_free(k->hasher);
	while ((e = zk_list_pop(&k->flights)) != NULL) {
		struct flight *f = ZK_LIST_ENTRY(e, struct flight, entry);

		/* The store still has the operation; it frees the flight. */
		f->k = NULL;
		answer(f, ZK_TRIG_AUTH_STORE, NULL);
	}
	zk_map_done(&k->by_digest);
	zk_trig_kcache_free(k->good);
	zk_trig_kcache_free(k->bad);
	zk_trig_limit_free(k->failures);
	/* Behind the callers that are buried at the end of this turn. */
	zk_loop_defer(k->loop, keys_free, k);
}
