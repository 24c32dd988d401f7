/* One event as a client sends it, checked and ready for the store (specs/triggers.md §5.5).
 * Layer: triggers, private to the API. Loop thread only. */
#ifndef ZK_TRIGGERS_API_INPUT_H
#define ZK_TRIGGERS_API_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "triggers/api.h"
#include "triggers/repo.h"

enum zk_trig_input_result {
	ZK_TRIG_INPUT_OK,
	ZK_TRIG_INPUT_JSON,    /* 400: offset and what are set */
	ZK_TRIG_INPUT_INVALID, /* 422: the list holds why */
	ZK_TRIG_INPUT_LARGE,   /* 413: size is set */
};

/* An event on its way to the store. Freed by zk_trig_input_free. */
struct zk_trig_input {
	struct zk_trig_ingest in;           /* first: the op is the input */
	struct zk_buf type, dedup, payload; /* texts that had to be rewritten */
	size_t offset;
	const char *what;
	size_t size;
	size_t index; /* in its batch */
};

struct zk_trig_input *zk_trig_input_new(void);
void zk_trig_input_free(struct zk_trig_input *i);

/* Reads the event object `text` (which must outlive the input). `fallback_dedup` is the
 * Idempotency-Key header, or p == NULL. Entries of `bad` are added for INVALID. */
enum zk_trig_input_result zk_trig_input_read(struct zk_trig_input *i,
                                             const struct zk_trig_call *c, zk_str text,
                                             zk_str fallback_dedup,
                                             struct zk_trig_invalid *bad);
/* Fills id, organization, time and delivery state for the caller's organization. */
void zk_trig_input_prepare(struct zk_trig_input *i, const struct zk_trig_call *c);

/* Text of 1–255 characters without control characters? Used for names too. */
bool zk_trig_text_ok(zk_str s, size_t max_chars);

/* Scans the body as an object and finds `want`; answers 400 or 422 and returns false when it is
 * none. An empty body is an empty object when `optional`. */
struct zk_jwant;
bool zk_trig_body_object(struct zk_trig_call *c, bool optional, struct zk_jwant *want,
                         size_t n);
/* The optional member `grace_seconds` (0–86,400) of the body, in microseconds; false when it has
 * answered. */
bool zk_trig_read_grace(struct zk_trig_call *c, uint64_t default_s, int64_t *ret_us);
/* The text of a JSON string, decoded into `b` (initialised here) only when it has escapes. */
bool zk_trig_text_of(zk_str raw, struct zk_buf *b, zk_str *ret);

#endif
