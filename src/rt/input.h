/* Inputs that can be paused: stdin, files, pipes, terminals, sockets; as chunks or as
 * lines.
 * Layer: rt. Loop thread only. Nothing blocks the loop: files are read in a thread. */
#ifndef ZK_RT_INPUT_H
#define ZK_RT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/ndjson.h"

struct zk_loop;
struct zk_input;
struct zk_lines;

struct zk_input_conf {
	const char *path;   /* NULL = use `fd`; "-" = stdin */
	int fd;             /* borrowed; its flags are restored at the end */
	size_t chunk_bytes; /* 0 = 64 KiB */
	void *ctx;
	/* A chunk, borrowed until the callback returns, or until the resume when it
	 * pauses. It may close. */
	void (*on_data)(void *ctx, zk_str chunk);
	/* Once: the end (`err` NULL), or a failed read (-ZK_E_NO_INPUT). Nothing
	 * follows. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* Opens, and begins to read in the next turn. 0, or -ZK_E_NO_INPUT for what does not
 * exist, is not readable or is a folder. */
int zk_input_open(struct zk_loop *loop, const struct zk_input_conf *conf,
                  struct zk_input **ret, struct zk_error *err) ZK_MUST_USE;
/* No callback comes while paused. */
void zk_input_pause(struct zk_input *in);
void zk_input_resume(struct zk_input *in);
/* Ends it, also from its callbacks; no callback comes any more. NULL is fine. */
void zk_input_close(struct zk_input *in);

/* A whole input, for a one-shot: turns the loop until it is read; never from a callback. Appended
 * to `b`, whose cap is the limit. 0, -ZK_E_NO_INPUT, or -ZK_E_LIMIT. */
struct zk_buf;
int zk_input_all(struct zk_loop *loop, const char *path, struct zk_buf *b,
                 struct zk_error *err) ZK_MUST_USE;

/* ---- lines of several inputs, one after the other ---- */

struct zk_lines_conf {
	/* `n` paths, "-" is stdin; none = stdin. Borrowed until the end. */
	char *const *paths;
	size_t n;
	size_t max_line_bytes; /* 0 = 16 MiB (ux.md §6) */
	void *ctx;
	/* One line that is not blank; `file` is as given, "-" for stdin. Borrowed until
	 * the callback returns. It may pause and close. */
	void (*on_line)(void *ctx, const char *file, const struct zk_ndjson_line *line);
	/* Once: all inputs are read (`err` NULL), or one failed. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* Opens the first input; the others when their turn comes. 0, or the error of the
 * first. */
int zk_lines_open(struct zk_loop *loop, const struct zk_lines_conf *conf,
                  struct zk_lines **ret, struct zk_error *err) ZK_MUST_USE;
/* Takes effect at once: also lines that were read already come after the resume only. */
void zk_lines_pause(struct zk_lines *l);
void zk_lines_resume(struct zk_lines *l);
/* Reads nothing more: the lines that were read already come before this returns, also while
 * paused, then the end. A last line that is not complete yet is not one of them. For a stop:
 * what was taken out of a pipe would be lost otherwise. Not from a callback. */
void zk_lines_finish(struct zk_lines *l);
void zk_lines_close(struct zk_lines *l);

#endif
