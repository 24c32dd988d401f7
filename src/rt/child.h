/* Child processes: each in a group of its own, with pipes that never block the loop.
 * Layer: rt. Loop thread only.
 *
 * A child inherits nothing but what is given: signals are reset, every other descriptor
 * is closed, and it gets a signal when this process dies. Otherwise one in the
 * foreground, for which this process is to be as good as not there. */
#ifndef ZK_RT_CHILD_H
#define ZK_RT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_child;
struct zk_loop;

enum zk_child_to {
	ZK_CHILD_NULL,    /* /dev/null */
	ZK_CHILD_INHERIT, /* ours; not for stdin */
	ZK_CHILD_COLLECT, /* into the result, up to the cap */
	ZK_CHILD_STREAM,  /* to the callback; stdin: through zk_child_write */
};

/* A descriptor of ours that the child gets under the number `as` (3 or more). */
struct zk_child_fd {
	int fd, as;
};

struct zk_child_result {
	int status;     /* exit status, 128+n after a signal: as a shell would say */
	int signal;     /* that ended it, 0 = none */
	bool timed_out; /* killed for timeout_ms */
	bool killed;    /* killed by us for any reason */
	bool out_cut;   /* more than out_cap bytes came */
	bool err_cut;
	zk_str out, err; /* what was collected, borrowed until on_exit returns */
	int64_t ms;      /* from start to end */
};

struct zk_child_conf {
	void *ctx;
	char *const *argv;      /* ends with NULL; argv[0] is looked up in PATH */
	const char *shell;      /* instead of argv: run by /bin/sh -c */
	const char *cwd;        /* NULL = ours */
	const char *const *env; /* "NAME=VALUE" sets, "NAME" removes; ends with NULL */
	const struct zk_child_fd *fds;
	size_t n_fds;
	/* It stays in our group, so that it may use the terminal; it keeps our stdin, the
	 * descriptors that our parent gave us, and signals that were ignored; it outlives
	 * us. Signals go to it alone. No input then. */
	bool foreground;

	zk_str input; /* given to stdin, copied; then stdin is closed unless it is a stream */
	bool stream_input; /* stdin stays open for zk_child_write */
	size_t input_high; /* zk_child_write says when this many bytes wait; 0 = 1 MiB */
	enum zk_child_to out, err;
	size_t out_cap, err_cap; /* bytes of COLLECT; 0 = 1 MiB */
	bool limit_kills;   /* more than out_cap kills the child instead of being cut */
	int64_t timeout_ms; /* 0 = none */
	int64_t grace_ms;   /* between TERM and KILL; 0 = 2 s */

	void (*on_out)(void *ctx, zk_str chunk);
	void (*on_err)(void *ctx, zk_str chunk);
	/* What waits for stdin fell to half of input_high. */
	void (*on_room)(void *ctx);
	/* Once, last: it ended and its output is read to the end (at most 2 s longer,
	 * when a process it left behind keeps the pipes). The child is freed after the
	 * callback. */
	void (*on_exit)(void *ctx, const struct zk_child_result *res);
};

/* 0, or -ZK_E_SYSTEM (sys_errno says why: ENOENT = no such command); then no callback
 * comes. */
int zk_child_start(struct zk_loop *loop, const struct zk_child_conf *conf,
                   struct zk_child **ret, struct zk_error *err) ZK_MUST_USE;
int zk_child_pid(const struct zk_child *c);
/* Data for stdin, copied. False when input_high is reached: go on after on_room. What
 * comes after the child closed its stdin is dropped. */
bool zk_child_write(struct zk_child *c, zk_str data);
/* No more data: stdin is closed when all is written. */
void zk_child_write_end(struct zk_child *c);
/* Stops and resumes reading a stream: 1 or 2. */
void zk_child_pause(struct zk_child *c, int fd, bool pause);
/* A signal to the whole group. */
void zk_child_signal(struct zk_child *c, int sig);
/* TERM to the group, KILL after grace_ms; on_exit comes all the same. */
void zk_child_kill(struct zk_child *c);
/* KILL at once and no callback any more; it is reaped and freed. NULL is fine. */
void zk_child_free(struct zk_child *c);

#endif
