/* What other programs are told about this one: the status channel, the ready file, the
 * service manager, inherited sockets (ux.md §7, §10).
 * Layer: rt. Loop thread only. */
#ifndef ZK_RT_STATUS_H
#define ZK_RT_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_loop;
struct zk_status;

struct zk_status_conf {
	const char *
	        channel; /* --status-fd: a number or a file that is appended; NULL = none */
	const char *ready_file; /* NULL = none */
};

/* Opens the channel. 0, or -ZK_E_CREATE. Nothing is written and nobody notified yet. */
int zk_status_new(const struct zk_status_conf *conf, struct zk_status **ret,
                  struct zk_error *err) ZK_MUST_USE;
/* Removes the ready file, tells the service manager STOPPING=1 when READY=1 was told;
 * frees. NULL is fine. */
void zk_status_free(struct zk_status *s);

/* One line {"type":TYPE,"ts":…,MEMBERS} on the channel; `members` is raw JSON without
 * braces and may be empty. Types: start ready progress retry reconnected reject spooled
 * summary error exit. A channel that fails is given up with one warning. */
void zk_status_event(struct zk_status *s, const char *type, zk_str members);
/* The command can serve: the line "ready" and the ready file with `members` (bound
 * addresses; the object also holds pid and version), READY=1, and the watchdog's pings
 * on `loop` (NULL = none) when WATCHDOG_USEC asks for them. After a reload with empty
 * members: READY=1 only. */
void zk_status_ready(struct zk_status *s, struct zk_loop *loop, zk_str members);
/* RELOADING=1 with MONOTONIC_USEC; zk_status_ready ends it. */
void zk_status_reloading(struct zk_status *s);
/* STOPPING=1; the ready file goes. */
void zk_status_stopping(struct zk_status *s);
/* STATUS=text for `systemctl status`. */
void zk_status_text(struct zk_status *s, const char *text);

/* Sockets given by the service manager (LISTEN_FDS for this process): the descriptors
 * whose name is `name` (all when NULL) into `fds`, at most `room`; returns their
 * number. Each is close-on-exec from then on. The variables stay for other names;
 * children do not inherit them. */
size_t zk_listen_fds(const char *name, int *fds, size_t room);

#endif
