/* From a line of input to an event that can be sent: checked, with a dedup_id.
 * Layer: triggers. Pure functions. specs/triggers.md §5.5, §14.1. */
#ifndef ZK_TRIGGERS_DRAFT_H
#define ZK_TRIGGERS_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "triggers/sender.h"

struct zk_trig_draft_conf {
	const char *type; /* the lines are payloads of this type; NULL = whole events */
	/* Events without a dedup_id get one: SHA-256 over `salt` (profile and source), the
	 * offset and the text. */
	bool make_key;
	zk_str salt;
	const char
	        *source; /* file name for people; borrowed as long as the record lives */
};

/* True for what the server takes as `type`: 1 to 255 characters, no control characters. */
bool zk_trig_type_ok(zk_str type);

/* The text is only spliced, never written anew: numbers and escapes stay as they are. NULL with
 * `err` filled (ZK_E_DATA, ZK_E_JSON, ZK_E_UTF8, ZK_E_LIMIT; `where` names source, line and
 * offset) for a line that no server would take. The caller frees the record with free(). */
struct zk_trig_record *zk_trig_draft(const struct zk_trig_draft_conf *conf, zk_str line,
                                     uint64_t number, uint64_t offset,
                                     struct zk_error *err) ZK_MUST_USE;
/* The line a record was made from, without white space around it; appended. */
void zk_trig_draft_line(const struct zk_trig_record *rec, struct zk_buf *b);

#endif
