/* Follows an inbox: the event stream with reconnection, or polling where a server has none
 * (specs/triggers.md §5.8, §14.1).
 * Layer: triggers. Loop thread only. */
#ifndef ZK_TRIGGERS_FOLLOW_H
#define ZK_TRIGGERS_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "triggers/client.h"

struct zk_loop;
struct zk_trig_follow;

struct zk_trig_follow_conf {
	struct zk_trig_client *client;
	const char *query; /* "status=pending&type=x", may be ""; copied */
	const char
	        *after; /* event id to start behind; NULL = only what comes from now on */
	void *ctx;
	/* One event: its inbox object. The same event never comes twice. */
	void (*on_event)(void *ctx, zk_str id, zk_str type, zk_str json);
	/* The connection changed: "live", or why it waits and for how long. May be NULL. */
	void (*on_state)(void *ctx, const char *state, int64_t wait_ms,
	                 const struct zk_error *err);
	/* Once: it cannot go on (key refused, bad request). */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* Starts in the next turn. */
struct zk_trig_follow *zk_trig_follow_new(struct zk_loop *l,
                                          const struct zk_trig_follow_conf *conf);
/* While paused at most one chunk of events still comes. */
void zk_trig_follow_pause(struct zk_trig_follow *f, bool pause);
void zk_trig_follow_free(struct zk_trig_follow *f);

#endif
