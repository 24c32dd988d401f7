/* API keys: format, making, checking, the caches (specs/triggers.md §3).
 * Layer: triggers. Loop thread only; Argon2id runs in the hashing lane. */
#ifndef ZK_TRIGGERS_KEYS_H
#define ZK_TRIGGERS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "triggers/model.h"

struct zk_loop;
struct zk_metrics;
struct zk_trig_keys;
struct zk_trig_repo;

struct zk_trig_keys_conf {
	bool test_prefix; /* zap_test_ */
	bool key_mac;
	unsigned hash_lanes;
	uint8_t mac_key[32]; /* derived from the server secret, "zk-key-mac-v1" */
};

/* What a valid key stands for; refcounted by the cache. Valid until the current turn of the loop
 * ends, or longer with zk_trig_caller_ref. */
struct zk_trig_caller {
	struct zk_trig_org org;
	char key_id[ZK_TRIG_KEY_ID + 1];
	int64_t key_expires_us; /* 0 = never; checked on every use */
	unsigned refs;
};
void zk_trig_caller_ref(struct zk_trig_caller *c);
void zk_trig_caller_unref(struct zk_trig_caller *c);

int zk_trig_keys_new(struct zk_loop *l, struct zk_metrics *m, struct zk_trig_repo *repo,
                     const struct zk_trig_keys_conf *conf, struct zk_trig_keys **ret,
                     struct zk_error *err) ZK_MUST_USE;
void zk_trig_keys_free(struct zk_trig_keys *k);

enum zk_trig_auth {
	ZK_TRIG_AUTH_OK,
	ZK_TRIG_AUTH_BAD,     /* 401 Invalid API key */
	ZK_TRIG_AUTH_BUSY,    /* 503, Retry-After 1: hashing lane full */
	ZK_TRIG_AUTH_FLOOD,   /* 429: too many failed verifications of this key id */
	ZK_TRIG_AUTH_STORE,   /* 503 storage_unavailable */
	ZK_TRIG_AUTH_PENDING, /* `done` will be called */
};

typedef void (*zk_trig_auth_fn)(void *ctx, enum zk_trig_auth result,
                                struct zk_trig_caller *caller);

/* Checks a presented key. Answers at once (caller set on OK) or PENDING; then `done` comes once,
 * unless zk_trig_keys_cancel(ctx) came first. */
enum zk_trig_auth zk_trig_keys_check(struct zk_trig_keys *k, zk_str key,
                                     struct zk_trig_caller **caller, zk_trig_auth_fn done,
                                     void *ctx);
void zk_trig_keys_cancel(struct zk_trig_keys *k, void *ctx);
/* Drops every cached entry of the organization (all = NULL). */
void zk_trig_keys_forget(struct zk_trig_keys *k, const zk_uuid *org);
/* Nobody tells of changes by other servers: the cache is emptied and what comes in lives for 5 s,
 * until this is called with false. */
void zk_trig_keys_set_deaf(struct zk_trig_keys *k, bool deaf);

/* Makes a key: text into `text` (73 bytes and NUL; the caller wipes it), row into `row` with hash
 * and mac; asynchronous because of Argon2id. False when the hashing lane is full. */
#define ZK_TRIG_KEY_TEXT 74
struct zk_trig_key_made {
	struct zk_trig_key row;
	char text[ZK_TRIG_KEY_TEXT];
	int code; /* 0 or negative */
};
bool zk_trig_keys_make(struct zk_trig_keys *k, const zk_uuid *org,
                       void (*done)(void *ctx, struct zk_trig_key_made *made),
                       void *ctx) ZK_MUST_USE;

/* Pure: is this an ordinary key by its looks (zap_…, 20–128 of [A-Za-z0-9_-])? */
bool zk_trig_key_plausible(zk_str key);

#endif
