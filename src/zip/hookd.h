/* The receiver of webhooks: authenticate, read, keep, answer, hand on.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §8.4.
 *
 * An event is handed on after the answer that it was accepted is certain: with a store it is on
 * disk then. Ids met before are acknowledged and dropped. At most `queue` events are open at once;
 * beyond that deliveries are answered 503, and the server sends them again. */
#ifndef ZK_ZIP_HOOKD_H
#define ZK_ZIP_HOOKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_loop;
struct zk_zip_hook_store;
struct zk_zip_hookd;

/* An event that was accepted; the owner's until zk_zip_hookd_finish. */
struct zk_zip_hook_event {
	zk_str json, id, type, workflow, node, session; /* decoded; may be empty */
	int64_t seq; /* of its row in the store, 0 = no store */
	char user[]; /* zk_zip_hookd_conf.user_bytes, zeroed, aligned for anything */
};

struct zk_zip_hookd_conf {
	const char *path; /* "/webhooks" */
	/* Both may be set; each that is set must hold. */
	zk_str secret;                        /* HMAC; n == 0: no signature wanted */
	const char *check_name, *check_value; /* a header; NULL = none */
	size_t queue;                         /* events; 0 = 1,000 */
	struct zk_zip_hook_store *store;      /* NULL = none */
	size_t user_bytes;
	void *ctx;
	/* Whether anybody wants it; the others are acknowledged and dropped. May be NULL. The
	 * slices are those of the delivery. */
	bool (*wanted)(void *ctx, zk_str type, zk_str json);
	/* A delivery with at least one new event; before its events. May be NULL. */
	void (*on_delivery)(void *ctx, zk_str body);
	void (*on_event)(void *ctx, struct zk_zip_hook_event *ev);
};

struct zk_zip_hookd_stats {
	uint64_t deliveries, refused, events, duplicates, unwanted, busy;
};

/* Everything is copied. */
int zk_zip_hookd_new(struct zk_loop *loop, const struct zk_zip_hookd_conf *conf,
                     struct zk_zip_hookd **ret, struct zk_error *err) ZK_MUST_USE;
/* HOST:PORT and so on, or what the service manager gives, as zk_httpd_listen_at. */
int zk_zip_hookd_listen(struct zk_zip_hookd *h, const char *addr,
                        struct zk_error *err) ZK_MUST_USE;
/* "127.0.0.1:3999", NULL past the end. */
const char *zk_zip_hookd_address(const struct zk_zip_hookd *h, size_t i);
/* An event of an earlier run, from the store: handed on as a new one. */
void zk_zip_hookd_again(struct zk_zip_hookd *h, int64_t seq, zk_str json);
/* The owner is through with it; frees it. */
void zk_zip_hookd_finish(struct zk_zip_hookd *h, struct zk_zip_hook_event *ev);
void zk_zip_hookd_get_stats(const struct zk_zip_hookd *h, struct zk_zip_hookd_stats *ret);
/* Accepts nothing more; fn(ctx) when the last answer is out. */
void zk_zip_hookd_drain(struct zk_zip_hookd *h, void (*fn)(void *ctx), void *ctx);
/* NULL is fine. Events that are open stay the owner's and must be finished first; the store is
 * closed by the owner, before this, so that no write is under way. */
void zk_zip_hookd_free(struct zk_zip_hookd *h);

#endif
