/* Inside of zip/live: the life of a socket (live.c) and what is said on it (live_talk.c for
 * Socket.IO, live_raw.c for plain JSON).
 * Layer: zip, private to src/zip/live*.c. */
#ifndef ZK_ZIP_LIVE_INT_H
#define ZK_ZIP_LIVE_INT_H

#include "base/rand.h"
#include "rt/loop.h"
#include "zip/link.h"
#include "zip/live.h"
#include "zip/socket.h"

struct zk_zip_live {
	struct zk_zip_live_conf conf;
	struct zk_loop *loop;
	char *url;     /* of the endpoint */
	char *connect; /* JSON of the connect packet, NULL = none; a secret */
	char *headers[3];
	struct zk_jwant want[ZK_ZIP_LIVE_MEMBERS];

	enum zk_zip_live_state state;
	enum zk_zip_transport transport; /* what is tried now, never AUTO */
	bool upgraded, paused, opened;
	struct zk_zip_link *link;
	struct zk_zip_socket socket;
	bool has_socket;
	struct zk_timer *timer; /* the next thing to be done in this state */
	struct zk_error *why;   /* of the drop or the end that is due; NULL = none */
	bool drop_due;
	bool deaf; /* the drop that is due is for that */

	size_t unanswered; /* auths */
	struct zk_retry retry;
	struct zk_rand rnd;
	int64_t live_ms;   /* since when it is live, monotonic */
	int64_t lost_us;   /* when it was dropped, wall; 0 = was never live */
	unsigned attempts; /* since then */
	int64_t ping_ms;   /* raw: a ping is on its way since then */
	int64_t pinged_ms; /* raw: when the last one went out */
};

/* ---- live.c ---- */

/* It is to be dropped, or given up when `err` is not retryable, at the end of this turn. */
void zk_zip_live_drop(struct zk_zip_live *l, const struct zk_error *err);
void zk_zip_live_drop_with(struct zk_zip_live *l, enum zk_code code, bool retryable,
                           const char *text);
void zk_zip_live_set_live(struct zk_zip_live *l);
void zk_zip_live_set_state(struct zk_zip_live *l, enum zk_zip_live_state state,
                           int64_t within_ms);
/* Sends one message; drops the connection when that cannot be. */
void zk_zip_live_send(struct zk_zip_live *l, zk_str message, bool binary);

/* ---- live_talk.c ---- */

void zk_zip_live_talk_start(struct zk_zip_live *l);
/* Asks to join the rooms of all workflows. */
void zk_zip_live_auth(struct zk_zip_live *l);

/* ---- live_raw.c ---- */

void zk_zip_live_raw_start(struct zk_zip_live *l);
void zk_zip_live_raw_text(struct zk_zip_live *l, zk_str text);
void zk_zip_live_raw_binary(struct zk_zip_live *l, zk_str bytes);
void zk_zip_live_raw_tick(struct zk_zip_live *l);

#endif
