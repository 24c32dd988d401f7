/* The lines of `zk spool export`: one JSON object per record or attachment.
 * Layer: store. Pure functions; any thread.
 *
 *	{"type":"attachment","target":"zerobus:host/a.b.c","name":"9f…","body_base64":"CgR…"}
 *	{"type":"record","id":7,"target":"triggers:http://…","key":"…","created":"2025-…Z",
 *	 "attempts":2,"state":"waiting","last_error":"…","meta":{…},"body":{…}}
 *
 * A body stands as it is, in "body", when it is JSON of one line; otherwise as "body_base64". So
 * the bytes always come back. Members without a value are left out. Attachments of a target come
 * before its first record. */
#ifndef ZK_STORE_SPOOL_LINE_H
#define ZK_STORE_SPOOL_LINE_H

#include "base/buf.h"
#include "store/spool.h"

struct zk_jwrite;
/* Members "body" or "body_base64" of an object that is being written. */
void zk_spool_put_body(struct zk_jwrite *w, zk_str body);
/* The members of a record, from "id" on. */
void zk_spool_put_members(struct zk_jwrite *w, const struct zk_spool_rec *rec);
/* Appends the line of a record, with its line end. */
void zk_spool_put_record(struct zk_buf *b, const struct zk_spool_rec *rec);
void zk_spool_put_attachment(struct zk_buf *b, const struct zk_spool_target *target,
                             zk_str name, zk_str bytes);

#endif
