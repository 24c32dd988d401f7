/* Debug files: what was read and what is sent, for other tools to look at (specs/zerobus.md §16).
 * Layer: zerobus. Any thread but the loop's, for calls lock and block on the disk (zerobus/feed.h has
 * one for it); _end, _failed and _free are the owner's. Never fails a delivery: a writer that cannot go on warns
 * once and is off from then on. */
#ifndef ZK_ZEROBUS_DEBUG_H
#define ZK_ZEROBUS_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "zerobus/rows.h"

struct zk_zb_debug;
struct zk_zb_request;

struct zk_zb_debug_conf {
	const char *dir;     /* files stand in DIR/zerobus/{arrow,proto,json} */
	const char *table;   /* "catalog.schema.table", checked */
	const char *message; /* name of the rows' message */
	bool arrow, proto;
	uint64_t max_file, keep; /* as in struct zk_zb_dfile_conf */
};

/* Makes no file. Texts are copied. */
struct zk_zb_debug *zk_zb_debug_new(const struct zk_zb_debug_conf *conf);
/* Ends the files (Arrow: with its end marker) and frees. NULL is fine. */
void zk_zb_debug_free(struct zk_zb_debug *d);

/* A message of an Arrow input, in the order of the input. */
void zk_zb_debug_part(struct zk_zb_debug *d, const struct zk_zb_part *part);
/* The payloads of a request that is handed over to be sent. Once for each request. */
void zk_zb_debug_request(struct zk_zb_debug *d, const struct zk_zb_request *r);
/* Everything goes to the kernel. */
void zk_zb_debug_flush(struct zk_zb_debug *d);
/* Ends the files now, for the summary to know; nothing may be written afterwards. */
void zk_zb_debug_end(struct zk_zb_debug *d);
/* Whether a writer turned itself off, and the first reason. */
bool zk_zb_debug_failed(struct zk_zb_debug *d, struct zk_error *ret);

#endif
