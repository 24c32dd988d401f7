/* Frames of the second wire, turned into the shape of the first.
 * Layer: jetstream. specs/jetstream.md §4. */
#include <string.h>

#include "base/err.h"
#include "jetstream/event.h"

#include "base/ban.h"

#define PREFIX "network.bsky.jetstream.subscribeEvents#"

enum want {
	W_TYPE,
	W_PAYLOAD,
	W_ERROR,
	W_MESSAGE,
	W_KIND,
	W_SEQ,
	W_DID,
	W_TIME,
	W_REV,
	W_OPERATION,
	W_COLLECTION,
	W_RKEY,
	W_RECORD,
	W_CID,
	W_IDENTITY,
	W_ACCOUNT,
	W_SYNC,
	W_INFO_NAME,
	W_INFO_MESSAGE,
	N_WANTS,
};

#define TOP(n)                         \
	{                              \
		.name = ZK_STR_INIT(n) \
	}
#define IN(n)                                               \
	{                                                   \
		.name = ZK_STR_INIT(n), .in = W_PAYLOAD + 1 \
	}

static const struct zk_jplan_want wants[N_WANTS] = {
	[W_TYPE] = TOP("$type"),
	[W_PAYLOAD] = TOP("payload"),
	[W_ERROR] = TOP("error"),
	[W_MESSAGE] = TOP("message"),
	[W_KIND] = IN("$type"),
	[W_SEQ] = IN("seq"),
	[W_DID] = IN("did"),
	[W_TIME] = IN("time"),
	[W_REV] = IN("rev"),
	[W_OPERATION] = IN("operation"),
	[W_COLLECTION] = IN("collection"),
	[W_RKEY] = IN("rkey"),
	[W_RECORD] = IN("record"),
	[W_CID] = IN("cid"),
	[W_IDENTITY] = IN("identity"),
	[W_ACCOUNT] = IN("account"),
	[W_SYNC] = IN("sync"),
	[W_INFO_NAME] = IN("name"),
	[W_INFO_MESSAGE] = IN("message"),
};

void zk_jet_v2_init(struct zk_jet_v2 *v)
{
	memset(v, 0, sizeof(*v));
	zk_jplan_init(&v->plan, wants, N_WANTS);
	zk_buf_init(&v->event, ZK_JET_EVENT_MAX + 4096);
	zk_buf_init(&v->name, 1024);
	zk_buf_init(&v->message, 65536);
}

void zk_jet_v2_done(struct zk_jet_v2 *v)
{
	zk_buf_done(&v->event);
	zk_buf_done(&v->name);
	zk_buf_done(&v->message);
}

static void put_text(struct zk_buf *b, const struct zk_jval *v)
{
	struct zk_error ignored;

	zk_buf_clear(b);
	if (v->type == ZK_J_STRING)
		ZK_IGNORE(zk_jstr_decode(v->raw, ZK_JLONE_REPLACE, b, &ignored) <
		          0); /* empty then */
}

/* `,"name":value` when the value is there. */
static void put_member(struct zk_buf *b, bool *comma, const char *name,
                       const struct zk_jval *v)
{
	if (v->type == ZK_J_NONE)
		return;
	if (*comma)
		zk_buf_char(b, ',');
	*comma = true;
	zk_buf_char(b, '"');
	zk_buf_cstr(b, name);
	zk_buf_lit(b, "\":");
	zk_buf_add(b, v->raw);
}

static void put_commit(struct zk_buf *b, const struct zk_jval *w)
{
	static const struct {
		const char *name;
		enum want want;
	} rows[] = {
		{ "rev", W_REV },
		{ "operation", W_OPERATION },
		{ "collection", W_COLLECTION },
		{ "rkey", W_RKEY },
		{ "record", W_RECORD },
		{ "cid", W_CID },
	};
	bool comma = false;

	zk_buf_lit(b, ",\"commit\":{");
	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		put_member(b, &comma, rows[i].name, &w[rows[i].want]);
	zk_buf_char(b, '}');
}

static enum zk_jet_frame dead(struct zk_jet_v2 *v, enum zk_jet_dead why)
{
	v->dead = why;
	return ZK_JET_FRAME_DEAD;
}

/* The payload of an event: exact numbers, everything else as bytes. */
static enum zk_jet_frame put_event(struct zk_jet_v2 *v, const struct zk_jval *w,
                                   const char *kind)
{
	static const struct {
		const char *kind;
		enum want want;
	} objects[] = { { "identity", W_IDENTITY },
		        { "account", W_ACCOUNT },
		        { "sync", W_SYNC } };
	struct zk_buf *b = &v->event;
	struct zk_error ignored;
	bool comma = true;
	int64_t time_us = 0;
	uint64_t seq = 0;
	zk_str time;

	if (w[W_SEQ].type != ZK_J_NUMBER || !zk_jnum_u64(w[W_SEQ].raw, &seq) || !seq)
		return dead(v, ZK_JET_DEAD_ENVELOPE);
	zk_buf_clear(b);
	zk_buf_lit(b, "{\"did\":");
	zk_buf_add(b, w[W_DID].type == ZK_J_NONE ? ZK_STR("null") : w[W_DID].raw);
	if (w[W_TIME].type == ZK_J_STRING && zk_jstr_plain(w[W_TIME].raw, &time) &&
	    zk_parse_rfc3339(time, &time_us, &ignored) == 0) {
		zk_buf_lit(b, ",\"time_us\":");
		zk_buf_i64(b, time_us);
	}
	zk_buf_lit(b, ",\"cursor\":");
	zk_buf_u64(b, seq);
	zk_buf_lit(b, ",\"kind\":\"");
	zk_buf_cstr(b, kind);
	zk_buf_char(b, '"');
	if (strcmp(kind, "commit") == 0)
		put_commit(b, w);
	for (size_t i = 0; i < ZK_ARRAY_LEN(objects); i++)
		if (strcmp(kind, objects[i].kind) == 0)
			put_member(b, &comma, kind, &w[objects[i].want]);
	zk_buf_char(b, '}');
	return b->failed ? dead(v, ZK_JET_DEAD_TOO_BIG) : ZK_JET_FRAME_EVENT;
}

static enum zk_jet_frame read_payload(struct zk_jet_v2 *v, const struct zk_jval *w)
{
	static const char *const kinds[] = { "commit", "identity", "account", "sync" };
	zk_str type;

	if (w[W_PAYLOAD].type != ZK_J_OBJECT || w[W_KIND].type != ZK_J_STRING)
		return dead(v, ZK_JET_DEAD_ENVELOPE);
	v->payload = w[W_PAYLOAD].raw;
	if (!zk_jstr_plain(w[W_KIND].raw, &type) || !zk_str_starts(type, ZK_STR(PREFIX)))
		return ZK_JET_FRAME_UNKNOWN;
	type = zk_str_from(type, sizeof(PREFIX) - 1);
	if (zk_str_eq(type, ZK_STR("info"))) {
		put_text(&v->name, &w[W_INFO_NAME]);
		put_text(&v->message, &w[W_INFO_MESSAGE]);
		return ZK_JET_FRAME_INFO;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(kinds); i++)
		if (zk_str_eq(type, zk_str_of(kinds[i])))
			return put_event(v, w, kinds[i]);
	return ZK_JET_FRAME_UNKNOWN;
}

enum zk_jet_frame zk_jet_v2_read(struct zk_jet_v2 *v, zk_str frame)
{
	struct zk_jval w[N_WANTS];
	struct zk_jscan js;
	zk_str type;

	v->dead = ZK_JET_ALIVE;
	v->payload = ZK_STR_NULL;
	if (frame.n > ZK_JET_EVENT_MAX)
		return dead(v, ZK_JET_DEAD_TOO_BIG);
	/* One level more than the event has. */
	if (zk_jscan_plan(frame, ZK_JET_DEPTH_MAX + 1, &v->plan, w, &js) < 0)
		return dead(v, js.code == ZK_E_UTF8    ? ZK_JET_DEAD_UTF8
		               : js.code == ZK_E_LIMIT ? ZK_JET_DEAD_TOO_DEEP
		                                       : ZK_JET_DEAD_JSON);
	if (js.top.type != ZK_J_OBJECT || w[W_TYPE].type != ZK_J_STRING ||
	    !zk_jstr_plain(w[W_TYPE].raw, &type))
		return dead(v, ZK_JET_DEAD_ENVELOPE);
	if (zk_str_eq(type, ZK_STR("error"))) {
		put_text(&v->name, &w[W_ERROR]);
		put_text(&v->message, &w[W_MESSAGE]);
		return ZK_JET_FRAME_ERROR;
	}
	return zk_str_eq(type, ZK_STR("message")) ? read_payload(v, w)
	                                          : ZK_JET_FRAME_UNKNOWN;
}
