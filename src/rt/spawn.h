/* Starts one process: fork, descriptors, group, environment, exec.
 * Layer: rt, private to child.c. */
#ifndef ZK_RT_SPAWN_H
#define ZK_RT_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

/* Our descriptor `fd` becomes the child's `as`. */
struct zk_spawn_fd {
	int fd, as;
};

struct zk_spawn {
	char *const *argv;
	const char *cwd;        /* NULL = ours */
	const char *const *env; /* see zk_child_conf */
	const struct zk_spawn_fd *fds;
	size_t n_fds;
	bool foreground; /* see zk_child_conf */
};

/* The child runs in a group of its own and is killed when this thread's process dies,
 * unless it is one in the foreground. 0 and its pid once the exec succeeded, or -ZK_E_SYSTEM. */
int zk_spawn(const struct zk_spawn *s, pid_t *ret, struct zk_error *err) ZK_MUST_USE;

#endif
