/* Argon2id in lanes of their own: a few hashes at a time, a few waiting (specs/triggers.md §3.3).
 * Layer: triggers. Loop thread only. */
#ifndef ZK_TRIGGERS_KEY_HASH_H
#define ZK_TRIGGERS_KEY_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/lane.h"

struct zk_loop;
struct zk_trig_hasher;

#define ZK_TRIG_MAX_KEY  128 /* bytes of a key, as the parser accepts them */
#define ZK_TRIG_MAX_HASH 160 /* bytes of a PHC text with its NUL */

/* Embedded in the caller's struct, zeroed; stays in place until `done`. */
struct zk_trig_hash_job {
	struct zk_job job; /* the hasher's */
	struct zk_trig_hasher *hasher;
	size_t lane;
	/* In. */
	char key[ZK_TRIG_MAX_KEY]; /* wiped by the caller */
	size_t key_n;
	bool verify;                 /* against `hash`; else make one */
	char hash[ZK_TRIG_MAX_HASH]; /* in or out */
	void (*done)(struct zk_trig_hash_job *j);
	/* Out. */
	int code; /* 0 or negative */
	bool match;
	bool rehashed; /* verified, but with weaker parameters than ours: `hash` is a new one */
};

int zk_trig_hasher_new(struct zk_loop *l, unsigned lanes, struct zk_trig_hasher **ret,
                       struct zk_error *err) ZK_MUST_USE;
/* Jobs that were not begun end with -ZK_E_BUSY; waits for those that were. */
void zk_trig_hasher_free(struct zk_trig_hasher *h);
/* False when 64 are waiting. */
bool zk_trig_hasher_push(struct zk_trig_hasher *h,
                         struct zk_trig_hash_job *j) ZK_MUST_USE;
/* Pure: does the PHC text ask for less than what we use for new keys? */
bool zk_trig_hash_is_weak(zk_str phc);

#endif
