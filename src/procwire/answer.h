/* From the output of a command to the payload of an answer.
 * Layer: procwire. Pure. */
#ifndef ZK_PROCWIRE_ANSWER_H
#define ZK_PROCWIRE_ANSWER_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "procwire/spec.h"

struct zk_buf;
struct zk_ndjson_line;

/* How a command ended. */
struct zk_pw_exit {
	int status, signal;
	zk_str err; /* the end of its stderr */
};

/* What OUT_AUTO stands for. */
enum zk_pw_out zk_pw_out_of(int out, const struct zk_pw_method *m);
/* Whether the combination makes sense: 0, or -ZK_E_PW_TABLE. */
int zk_pw_out_check(enum zk_pw_out out, const struct zk_pw_method *m,
                    struct zk_error *err) ZK_MUST_USE;
/* Appends the payload of a whole output. 0, or -ZK_E_DATA (no JSON). */
int zk_pw_out_whole(enum zk_pw_out out, const struct zk_pw_method *m, zk_str text,
                    const struct zk_pw_exit *how, struct zk_buf *b,
                    struct zk_error *err) ZK_MUST_USE;
/* The same for one record of a stream: a line without its end, or what one read gave. */
int zk_pw_out_record(enum zk_pw_out out, const struct zk_pw_method *m, zk_str text,
                     struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;
/* Whether a line of output is whole: 0, or -ZK_E_LIMIT. */
int zk_pw_out_line(const struct zk_ndjson_line *line, struct zk_error *err) ZK_MUST_USE;
/* The error map of a command that failed: {message, code, exit, signal, stderr}. */
void zk_pw_out_failure(const struct zk_pw_exit *how, const char *code,
                       const char *message, struct zk_buf *b);

#endif
