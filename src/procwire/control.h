/* Control lines of procwire: JSON-RPC messages on stdin and stdout (specs/procwire.md §3, §4).
 * Layer: procwire. Pure; one owner per splitter. */
#ifndef ZK_PROCWIRE_CONTROL_H
#define ZK_PROCWIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct zk_pw_table;

/* A longer line is passed over up to its end. */
#define ZK_PW_LINE_MAX 65536u
/* The same for what a parent reads: a table of many methods is long. */
#define ZK_PW_INIT_MAX (4u << 20)

enum zk_pw_control {
	ZK_PW_C_OTHER, /* no message, or one we do not know: ignored */
	ZK_PW_C_INIT,
	ZK_PW_C_ERROR,
	ZK_PW_C_PING,
	ZK_PW_C_PONG,
	ZK_PW_C_SHUTDOWN,
};

/* The kind of one line without its LF; what is no message is OTHER. `*params` is the raw JSON of
 * the member, or empty. */
enum zk_pw_control zk_pw_control_parse(zk_str line, zk_str *params);

/* Splits a stream into lines for every chunking. */
struct zk_pw_lines {
	struct zk_buf part;
	size_t max_line;
	bool skip; /* the rest of the line is passed over */
	bool handed;
};

void zk_pw_lines_init(struct zk_pw_lines *l, size_t max_line);
void zk_pw_lines_done(struct zk_pw_lines *l);
/* Takes the next complete line, without LF or CRLF, off `in`; borrowed until the next call. False
 * when `in` is used up. Lines that are too long do not appear. */
bool zk_pw_lines_next(struct zk_pw_lines *l, zk_str *in, zk_str *ret);

/* Each appends one line with its LF. */
void zk_pw_control_simple(struct zk_buf *b, const char *method); /* without params */
void zk_pw_control_shutdown(struct zk_buf *b);
void zk_pw_control_error(struct zk_buf *b, const char *message);
/* $init with the path of the socket and the table. */
void zk_pw_control_init(struct zk_buf *b, const char *pipe,
                        const struct zk_pw_table *table);
/* The parent's side: fills `table` (empty before) from the params of $init, and `pipe` with the
 * path. 0, or -ZK_E_PW_INIT saying what is wrong. */
int zk_pw_control_read_init(zk_str params, struct zk_buf *pipe, struct zk_pw_table *table,
                            struct zk_error *err) ZK_MUST_USE;

#endif
