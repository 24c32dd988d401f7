/* Trace sessions: opening, closing, listing, reading (specs/zeal-zip.md §6.1, §6.5, §6.7).
 * Layer: zip. Loop thread, not from callbacks: the calls turn the loop. */
#ifndef ZK_ZIP_TRACE_SESSION_H
#define ZK_ZIP_TRACE_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zip/api.h"

struct zk_buf;

struct zk_zip_start {
	const char *workflow, *version, *execution; /* version may be NULL */
	const char *trigger, *environment;          /* NULL = none */
	char *const *tags;
	size_t n_tags;
};

/* The body of the request. */
void zk_zip_start_body(const struct zk_zip_start *s, struct zk_buf *b);
/* Opens a session with such a body; its id is appended to `session`. When the answer is lost, the
 * session is looked for: one of this workflow that began just now is it. -ZK_E_UNKNOWN_OUTCOME
 * when that cannot be told. */
int zk_zip_session_open(struct zk_zip *z, zk_str body, struct zk_buf *session,
                        struct zk_error *err) ZK_MUST_USE;

/* The body that closes a session: `summary` is a raw object or empty, `message` and `node` of an
 * error may be NULL. */
void zk_zip_complete_body(const char *status, zk_str summary, const char *message,
                          const char *node, struct zk_buf *b);
int zk_zip_session_complete(struct zk_zip *z, const char *session, zk_str body,
                            struct zk_error *err) ZK_MUST_USE;

/* One page of GET /executions, by any of these; the answer to `body`. */
struct zk_zip_sessions {
	const char *status; /* NULL = all */
	const char *since;  /* ISO time, NULL = all */
	uint64_t limit, offset;
};
int zk_zip_sessions_page(struct zk_zip *z, const struct zk_zip_sessions *q,
                         struct zk_buf *body, struct zk_error *err) ZK_MUST_USE;

/* GET /executions/{session} or its replay, given to `d` as it comes, and ended. 0, the failure of
 * the call, or what `d` or its callback returned. */
struct zk_zip_detail;
int zk_zip_session_read(struct zk_zip *z, const char *session, bool replay,
                        struct zk_zip_detail *d, struct zk_error *err) ZK_MUST_USE;

#endif
