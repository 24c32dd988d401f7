/* The detail of an execution (GET /executions/{session}), taken apart as it comes: the server does
 * not page it, so it may be of any length (specs/zeal-zip.md §6.7).
 * Layer: zip. Pure; one owner. */
#ifndef ZK_ZIP_TRACE_DETAIL_H
#define ZK_ZIP_TRACE_DETAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct zk_zip_detail {
	void *ctx;
	/* Each element of the member "events", one JSON object; borrowed. A negative result ends
	 * it and is returned. May be NULL. */
	int (*on_event)(void *ctx, zk_str event, struct zk_error *err);
	/* Everything else: the object with an empty list of events. Valid JSON after
	 * zk_zip_detail_end. */
	struct zk_buf head;
	size_t events;

	/* inside */
	struct zk_buf
	        part; /* an event that goes on in the next chunk; the name of a member */
	unsigned depth;
	bool in_string, escaped, in_events, name_is_events, in_event, is_name;
};

void zk_zip_detail_init(struct zk_zip_detail *d);
void zk_zip_detail_done(struct zk_zip_detail *d);
/* Any chunking. 0, or -ZK_E_PROTOCOL, -ZK_E_LIMIT, or what on_event returned. */
int zk_zip_detail_put(struct zk_zip_detail *d, zk_str chunk,
                      struct zk_error *err) ZK_MUST_USE;
/* The whole answer was given: 0, or -ZK_E_PROTOCOL when it was cut off or is no JSON. */
int zk_zip_detail_end(struct zk_zip_detail *d, struct zk_error *err) ZK_MUST_USE;

#endif
