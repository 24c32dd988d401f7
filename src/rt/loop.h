/* The event loop (libuv): timers, descriptors, work posted from other threads.
 * Layer: rt. One loop per process; everything is loop-thread-only except zk_loop_post. */
#ifndef ZK_RT_LOOP_H
#define ZK_RT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_loop;
struct zk_timer;
struct zk_poll;
struct uv_loop_s;

struct zk_loop *zk_loop_new(struct zk_error *err) ZK_MUST_USE;
/* Runs until every handle is closed, then frees. Owners have stopped their things
 * before; a handle that stays open for 5 s is a bug (9xxx in debug builds). */
void zk_loop_free(struct zk_loop *l);
/* Turns the loop until zk_loop_quit() or until nothing is left to wait for. Never from a
 * callback (libuv is not reentrant). */
void zk_loop_run(struct zk_loop *l);
/* Makes zk_loop_run return after the current turn; when it is not running, the next one
 * returns at once. */
void zk_loop_quit(struct zk_loop *l);
/* Turns the loop until `*flag` is set (used by one-shot commands: start something whose
 * callback sets the flag). Returns at once when it is set already; zk_loop_quit does
 * not end it. Never from a callback. */
void zk_loop_until(struct zk_loop *l, const bool *flag);
/* While held, zk_loop_run does not return for want of something to wait for: for work
 * that goes on in another thread and ends in a zk_loop_post. Holds are counted. */
void zk_loop_hold(struct zk_loop *l);
void zk_loop_release(struct zk_loop *l);
/* Milliseconds of the monotonic clock as of the start of this turn; cheap. */
int64_t zk_loop_now_ms(const struct zk_loop *l);
/* For rt and net only. */
struct uv_loop_s *zk_loop_uv(struct zk_loop *l);

typedef void (*zk_loop_fn)(void *ctx);

/* Runs fn(ctx) on the loop thread, in the order of the posts. Any thread. Wakes the
 * loop once per idle period. */
void zk_loop_post(struct zk_loop *l, zk_loop_fn fn, void *ctx);
/* Runs fn(ctx) at the end of this turn, after all I/O callbacks (for freeing an object
 * whose callback is running, or for batching writes). */
void zk_loop_defer(struct zk_loop *l, zk_loop_fn fn, void *ctx);
/* Forgets every zk_loop_defer and zk_loop_post of this fn and ctx that has not run yet.
 * Loop thread; other threads no longer post them. */
void zk_loop_forget(struct zk_loop *l, zk_loop_fn fn, void *ctx);

/* A timer belongs to its owner, who frees it; freeing stops it, also from its own
 * callback. A timer does not keep zk_loop_run alive when `weak`. */
struct zk_timer *zk_timer_new(struct zk_loop *l, zk_loop_fn fn, void *ctx);
void zk_timer_start(struct zk_timer *t, int64_t after_ms, int64_t repeat_ms);
void zk_timer_stop(struct zk_timer *t);
bool zk_timer_is_active(const struct zk_timer *t);
void zk_timer_weak(struct zk_timer *t, bool weak);
void zk_timer_free(struct zk_timer *t);

enum { ZK_POLL_IN = 1, ZK_POLL_OUT = 2 };
typedef void (*zk_poll_fn)(void *ctx, int events, int status);

/* Watches a descriptor that the caller owns; nothing until zk_poll_set gives it events,
 * a mask of ZK_POLL_* (0 = none). The descriptor becomes non-blocking and has one
 * watcher at a time. Stop and free it before the descriptor is closed. A negative
 * `status` is a libuv error. */
struct zk_poll *zk_poll_new(struct zk_loop *l, int fd, zk_poll_fn fn, void *ctx,
                            struct zk_error *err) ZK_MUST_USE;
void zk_poll_set(struct zk_poll *p, int events);
/* Does not keep zk_loop_run alive when `weak`. */
void zk_poll_weak(struct zk_poll *p, bool weak);
void zk_poll_free(struct zk_poll *p);

#endif
