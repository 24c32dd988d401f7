/* Parameters of the inbox, the stream and replay (specs/triggers.md §5.7, §5.8, §5.10).
 * Layer: triggers, private to the API. Pure; any thread. */
#ifndef ZK_TRIGGERS_API_QUERY_H
#define ZK_TRIGGERS_API_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rand.h"
#include "base/str.h"
#include "triggers/model.h"

struct zk_trig_query {
	uint64_t limit;
	enum zk_trig_filter filter;
	bool has_cursor, ascending, has_offset;
	zk_uuid cursor;
	uint64_t offset;
	zk_str type; /* inside `text`; p NULL = any */
	int64_t since_us, until_us;
	struct zk_buf text;
	/* After a failure: what `error` of the answer says, and why. */
	const char *error, *message;
};

/* Reads the raw query string (without '?'); unknown parameters are ignored. False on the first
 * wrong one. zk_trig_query_done in any case. */
bool zk_trig_query_read(struct zk_trig_query *q, zk_str raw);
void zk_trig_query_done(struct zk_trig_query *q);
/* One parameter, decoded; used for JSON bodies too. */
bool zk_trig_query_set(struct zk_trig_query *q, zk_str name, zk_str value);
void zk_trig_query_init(struct zk_trig_query *q);

#endif
