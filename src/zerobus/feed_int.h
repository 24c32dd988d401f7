/* The feed's inside: what travels from the reader's thread to the loop, and the thread between the
 * two that writes debug files.
 * Layer: zerobus, private to feed*.c. */
#ifndef ZK_ZEROBUS_FEED_INT_H
#define ZK_ZEROBUS_FEED_INT_H

#include "base/buf.h"
#include "rt/queue.h"
#include "zerobus/feed.h"

/* The hooks of the debug files. scripts/bench builds the feed once without them: goal 3 of §20. */
#ifndef ZK_ZB_HOOKS
#define ZK_ZB_HOOKS 1
#endif

enum zk_zb_what {
	ZK_ZB_NOTE_REQUEST,
	ZK_ZB_NOTE_BAD,
	ZK_ZB_NOTE_SKIPPED,
	ZK_ZB_NOTE_KIND,
	ZK_ZB_NOTE_PART,
	ZK_ZB_NOTE_TEXT,
	ZK_ZB_NOTE_END
};

/* One thing that was read. Everything in it is its own. */
struct zk_zb_note {
	struct zk_item item; /* bytes: the room that it takes */
	enum zk_zb_what what;
	struct zk_zb_request *request;
	struct zk_zb_kind *kind;
	struct zk_zb_bad bad;
	struct zk_zb_part part;
	struct zk_buf
	        text;  /* what the slices of `bad` and `part` point into; or a remark */
	uint64_t rows; /* that were skipped */
	struct zk_error err; /* of the end; code 0 = all was read */
};

static inline struct zk_zb_note *zk_zb_note_of(struct zk_item *item)
{
	return ZK_CONTAINER_OF(item, struct zk_zb_note, item);
}

struct zk_zb_note *zk_zb_note_new(enum zk_zb_what what);
void zk_zb_note_free(struct zk_zb_note *n); /* NULL is fine */
/* Takes the request over. */
struct zk_zb_note *zk_zb_note_request(struct zk_zb_request *r);
/* These copy, or take a reference. */
struct zk_zb_note *zk_zb_note_bad(const struct zk_zb_bad *bad);
struct zk_zb_note *zk_zb_note_part(const struct zk_zb_part *part);
struct zk_zb_note *zk_zb_note_kind(struct zk_zb_kind *kind);
struct zk_zb_note *zk_zb_note_skipped(uint64_t rows);
struct zk_zb_note *zk_zb_note_text(const char *text);

/* Takes it over. */
void zk_zb_held_push(struct zk_zb_held *h, struct zk_zb_note *n);
/* The oldest, which is the caller's then, or NULL. */
struct zk_zb_note *zk_zb_held_pop(struct zk_zb_held *h);

/* ---- the writer: calls the hooks of the debug files, then passes things on, in order ---- */

struct zk_zb_writer;

struct zk_zb_writer_conf {
	/* Whose on_part, on_built and on_flush are called; outlives it. */
	const struct zk_zb_feed_conf *feed;
	void *ctx;
	/* The writer's thread; the note is the callee's. Parts end here. */
	void (*pass)(void *ctx, struct zk_zb_note *n);
};

/* Starts the thread. 0, or -ZK_E_SYSTEM. */
int zk_zb_writer_start(const struct zk_zb_writer_conf *conf, struct zk_zb_writer **ret,
                       struct zk_error *err) ZK_MUST_USE;
/* Takes the note over. Parts wait until there is room for them; the owner bounds what else waits.
 * One thread at a time. */
void zk_zb_writer_put(struct zk_zb_writer *w, struct zk_zb_note *n);
/* When nothing is put any more: waits until everything was written and passed on. NULL is fine. */
void zk_zb_writer_free(struct zk_zb_writer *w);

#endif
