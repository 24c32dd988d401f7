/* A source of bytes for a row reader: a file, a pipe, memory.
 * Layer: zerobus. Used by the one thread that reads it; zk_zb_source_stop from any thread. */
#ifndef ZK_ZEROBUS_SOURCE_H
#define ZK_ZEROBUS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* What readers see. `read` waits for at least one byte and gives what there is: the number of
 * bytes, 0 at the end of the input or after a stop, or a negative code. */
struct zk_zb_source {
	const char *name; /* as given by the user; "stdin" for "-" */
	bool seekable;  /* a regular file: zk_zb_source_pread works, `size` is its size */
	uint64_t size;  /* when it was opened */
	uint64_t taken; /* bytes that were read of it */
	/* Of a regular file: another one when it is another file or was written to; 0 = of none. */
	uint64_t stamp;
	ptrdiff_t (*read)(struct zk_zb_source *s, void *p, size_t n,
	                  struct zk_error *err);
	/* Exactly `n` bytes from `at`; a short file is -ZK_E_NO_INPUT. NULL when not seekable. */
	int (*pread)(struct zk_zb_source *s, uint64_t at, void *p, size_t n,
	             struct zk_error *err);
};

/* ---- descriptors ---- */

struct zk_zb_fd_source_conf {
	const char *path; /* "-" is stdin */
	void *ctx;
	/* Before `read` has to wait, and again whenever `wait_ms` of its last answer has passed:
	 * gives the time after which to be called again, -1 for never. For the linger of a
	 * request that is being filled. May be NULL. */
	int64_t (*on_wait)(void *ctx);
};

/* Opens it for reading. -ZK_E_NO_INPUT for what is missing, unreadable or a folder. */
int zk_zb_fd_source_open(const struct zk_zb_fd_source_conf *conf,
                         struct zk_zb_source **ret, struct zk_error *err) ZK_MUST_USE;
/* `read` returns 0 from now on, also one that waits; what a pipe holds already is still given
 * when `drain`. Any thread. */
void zk_zb_fd_source_stop(struct zk_zb_source *s, bool drain);
void zk_zb_fd_source_close(struct zk_zb_source *s); /* NULL is fine */

/* ---- memory ---- */

/* Borrows `bytes`; for tests, fuzzing, and inputs that are held already. `chunk` is the most
 * that one read gives, 0 = no limit. */
struct zk_zb_source *zk_zb_memory_source(const char *name, zk_str bytes, size_t chunk);
void zk_zb_memory_source_free(struct zk_zb_source *s);

#endif
