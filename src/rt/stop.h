/* Shutdown phases RUN → DRAIN → FLUSH → CLOSED and the signals that drive them
 * (style.md §1.7).
 * Layer: rt. Loop thread only. */
#ifndef ZK_RT_STOP_H
#define ZK_RT_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_loop;
struct zk_stop;

enum zk_stop_phase { ZK_RUN, ZK_DRAIN, ZK_FLUSH, ZK_CLOSED };

struct zk_stop_conf {
	void *ctx;
	int64_t grace_ms;
	/* First INT or TERM, or zk_stop_begin: stop the intake and drain. Call
	 * zk_stop_drained when nothing is left, which may be at once. */
	void (*drain)(void *ctx);
	/* Drained, or the grace time is over (`expired`): persist, spool, close; then
	 * call zk_stop_done, which makes zk_loop_run return. Called at the end of a
	 * turn. */
	void (*flush)(void *ctx, bool expired);
	void (*reload)(void *ctx);   /* HUP; NULL = the signal keeps its action */
	void (*snapshot)(void *ctx); /* USR1; NULL = ignored */
	void (*rotate)(void *ctx);   /* USR2; NULL = the signal keeps its action */
	bool ignore_int;             /* procwire worker */
};

/* Installs the handlers; PIPE is ignored from now on. A second INT or TERM ends the
 * process at once with 128+n after zk_log_flush, even when the loop thread hangs. One
 * per process. */
int zk_stop_new(struct zk_loop *l, const struct zk_stop_conf *conf, struct zk_stop **ret,
                struct zk_error *err) ZK_MUST_USE;
void zk_stop_free(struct zk_stop *s);
enum zk_stop_phase zk_stop_phase(const struct zk_stop *s);
/* Milliseconds of the grace time that are left, and not less than what a reader that reads needs to
 * get its last lines. Only after the stop began. */
int64_t zk_stop_left_ms(const struct zk_stop *s);
/* Nothing turns the loop any more while something is waited for: the next INT or TERM ends the
 * process at once, as a second one does. Any number of times. */
void zk_stop_arm(struct zk_stop *s);
/* The signal that started the stop, 0 = none. A one-shot re-raises it at the very end. */
int zk_stop_signal(const struct zk_stop *s);
void zk_stop_begin(struct zk_stop *s);
void zk_stop_drained(struct zk_stop *s);
void zk_stop_done(struct zk_stop *s);

#endif
