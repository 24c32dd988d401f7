/* One trace event: checked on its raw bytes, mended where the server would choke, marked so that
 * it is recognised again (specs/zeal-zip.md §6.2, §6.6). Nothing is re-serialised: what is right
 * is copied as it came.
 * Layer: zip. Pure; one owner. */
#ifndef ZK_ZIP_TRACE_EVENT_H
#define ZK_ZIP_TRACE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define ZK_ZIP_EVENT_MAX     ((size_t)16 << 20)
#define ZK_ZIP_EVENT_BIG     ((size_t)1 << 20) /* worth a warning */
#define ZK_ZIP_EVENT_FIELD   64
#define ZK_ZIP_TIMESTAMP_MAX INT64_C(8640000000000000)

/* What was mended. */
enum zk_zip_event_mend {
	ZK_ZIP_COERCED = 1 << 0,      /* a value became one that the server takes */
	ZK_ZIP_NULL_DROPPED = 1 << 1, /* a member that was null is left out */
};

struct zk_zip_event_conf {
	bool strict; /* what would be mended is an error */
	/* metadata.custom.zk = {"s":mark,"n":seq}; empty = no mark. JSON-safe text. */
	zk_str mark;
	int64_t now_ms; /* for events without a time */
};

struct zk_zip_event {
	unsigned mends; /* of enum zk_zip_event_mend */
	/* What is wrong, or was mended: "invalid_type" "invalid_enum_value" "json_syntax" "range"
	 * "nul" "limit" "coerce" "drop-null"; NULL = it was fine. */
	const char *kind;
	char field[ZK_ZIP_EVENT_FIELD]; /* "data.preview", "portId,metadata"; may be "" */
	/* Of an event that was taken; slices borrow the line given. */
	int64_t timestamp_ms;
	zk_str node;   /* raw, with its quotes */
	bool is_error; /* eventType is "error", or it has an error member */
	double size;   /* data.size */
};

/* Appends the event of `line` (one JSON object) to `out`. 0, or -ZK_E_DATA, -ZK_E_JSON,
 * -ZK_E_UTF8, -ZK_E_LIMIT with ret->kind and ret->field set; then `out` is as before. The cap of
 * `out` leaves room for the line and 4 KiB. */
int zk_zip_event_take(const struct zk_zip_event_conf *conf, zk_str line, uint64_t seq,
                      struct zk_buf *out, struct zk_zip_event *ret,
                      struct zk_error *err) ZK_MUST_USE;

/* The mark of an event as the server gives it back (a member metadata.custom.zk): false when it
 * has none or that of somebody else. */
bool zk_zip_event_mark(zk_str event, zk_str mark, uint64_t *ret_seq);

/* RFC 3339 text, raw with quotes, to milliseconds. */
bool zk_zip_time_ms(zk_str raw, int64_t *ret);

#endif
