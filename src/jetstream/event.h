/* One event of the stream, read in a single pass over its bytes.
 * Layer: jetstream. Pure; a decoder has one owner. specs/jetstream.md §3.3, §4, §9. */
#ifndef ZK_JETSTREAM_EVENT_H
#define ZK_JETSTREAM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"
#include "codec/jplan.h"
#include "codec/jscan.h"

enum zk_jet_kind {
	ZK_JET_COMMIT,
	ZK_JET_IDENTITY,
	ZK_JET_ACCOUNT,
	ZK_JET_SYNC,
	ZK_JET_OTHER, /* a kind of the future, or none */
	ZK_JET_KINDS,
};

enum zk_jet_op {
	ZK_JET_NO_OP, /* not a commit */
	ZK_JET_CREATE,
	ZK_JET_UPDATE,
	ZK_JET_DELETE,
	ZK_JET_OTHER_OP,
};

/* Why an event cannot be kept (§9). */
enum zk_jet_dead {
	ZK_JET_ALIVE,
	ZK_JET_DEAD_JSON,
	ZK_JET_DEAD_UTF8,
	ZK_JET_DEAD_TOO_DEEP,
	ZK_JET_DEAD_TOO_BIG,
	ZK_JET_DEAD_NO_DID,
	ZK_JET_DEAD_BAD_MEMBER,
	ZK_JET_DEAD_ZSTD,
	ZK_JET_DEAD_ENVELOPE,
	ZK_JET_DEAD_STORE,
	ZK_JET_DEAD_SINK, /* a sink refuses it for good; it is stored */
	ZK_JET_CONTROL,   /* an error of the server, not an event */
};

/* "json", "utf8", … as dead.ndjson has it. */
const char *zk_jet_dead_name(enum zk_jet_dead dead);

/* Texts are decoded and lie in the event or in the decoder's memory, until the next event. A
 * member that is not there, null, or of another type is empty. */
struct zk_jet_event {
	zk_str raw; /* the JSON object without white space around it */
	zk_str did, kind_text, op_text, collection, rkey, rev;
	enum zk_jet_kind kind;
	enum zk_jet_op op;
	bool has_time, has_cursor;
	int64_t time_us;
	uint64_t cursor;
	zk_str relay_seq; /* of identity, account, sync: the number as it stands */
	bool active;      /* account.active, true when it does not say so */
	/* Of commits: the record and what lookups and filters want of it. */
	struct zk_jval record, text, langs, facets, reply, embed, subject;
	/* Of an error of the server (ZK_JET_CONTROL). */
	zk_str error, error_message;
};

struct zk_jet_decoder {
	struct zk_buf text;   /* texts that had escapes */
	bool escapes;         /* the last event has some */
	bool records;         /* members of the record are wanted */
	bool thorough;        /* no short way is taken; for tests */
	struct zk_jplan plan; /* what is looked for */
};

/* `records`: also members of the record are found (`text` to `subject`). */
void zk_jet_decoder_init(struct zk_jet_decoder *d, bool records);
void zk_jet_decoder_done(struct zk_jet_decoder *d);

#define ZK_JET_DEPTH_MAX 256
#define ZK_JET_EVENT_MAX (32u << 20)

/* ZK_JET_ALIVE, ZK_JET_CONTROL, or why it is dead. */
enum zk_jet_dead zk_jet_decode(struct zk_jet_decoder *d, zk_str frame,
                               struct zk_jet_event *ret);

/* A commit exactly as the servers write it, read without looking members up: what zk_jet_decode() says
 * of it, without the members of the record. False for everything else, which says nothing. */
bool zk_jet_decode_usual(zk_str frame, struct zk_jet_event *ret);
enum zk_jet_op zk_jet_op_of(zk_str s);

#define ZK_JET_DID_MAX 2048

/* ---- the second wire (§4) ---- */

enum zk_jet_frame {
	ZK_JET_FRAME_EVENT,
	ZK_JET_FRAME_INFO,    /* name and message */
	ZK_JET_FRAME_ERROR,   /* name and message; the connection ends */
	ZK_JET_FRAME_UNKNOWN, /* to be skipped and counted */
	ZK_JET_FRAME_DEAD,
};

struct zk_jet_v2 {
	struct zk_jplan plan;
	enum zk_jet_dead dead;
	zk_str payload;      /* as it came */
	struct zk_buf event; /* the payload in the shape of the first wire */
	struct zk_buf name, message;
};

void zk_jet_v2_init(struct zk_jet_v2 *v);
void zk_jet_v2_done(struct zk_jet_v2 *v);
enum zk_jet_frame zk_jet_v2_read(struct zk_jet_v2 *v, zk_str frame);

/* ---- what is derived from an event ---- */

/* at://DID/COLLECTION/RKEY, appended; nothing for what has none. False then. */
bool zk_jet_at_uri(const struct zk_jet_event *e, struct zk_buf *b);
/* What makes it the same event again (§8.4), appended: did, kind, then rev, operation, collection
 * and rkey of a commit, else the relay's number, else the bytes. */
void zk_jet_key(const struct zk_jet_event *e, struct zk_buf *b);
/* FNV-1a-64 of the DID, for shards (§10.3). */
uint64_t zk_jet_did_hash(zk_str did);

#endif
