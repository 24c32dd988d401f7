/* Events of the first wire: one pass, slices, no tree.
 * Layer: jetstream. */
#include "jetstream/event.h"

#include <string.h>

#include "base/err.h"

#include "base/ban.h"

/* Places in the array of wants; a child names its parent by `in` (its place plus one). */
enum want {
	W_DID,
	W_TIME,
	W_CURSOR,
	W_KIND,
	W_COMMIT,
	W_IDENTITY,
	W_ACCOUNT,
	W_SYNC,
	W_ERROR,
	W_MESSAGE,
	W_REV,
	W_OPERATION,
	W_COLLECTION,
	W_RKEY,
	W_RECORD,
	W_IDENTITY_SEQ,
	W_ACCOUNT_SEQ,
	W_ACCOUNT_ACTIVE,
	W_SYNC_SEQ,
	W_TEXT,
	W_LANGS,
	W_FACETS,
	W_REPLY,
	W_EMBED,
	W_SUBJECT,
	N_WANTS,
};

#define HEADS W_TEXT /* so many without those of the record */

#define TOP(n)                         \
	{                              \
		.name = ZK_STR_INIT(n) \
	}
#define IN(parent, n)                                      \
	{                                                  \
		.name = ZK_STR_INIT(n), .in = (parent) + 1 \
	}

static const struct zk_jplan_want wants[N_WANTS] = {
	[W_DID] = TOP("did"),
	[W_TIME] = TOP("time_us"),
	[W_CURSOR] = TOP("cursor"),
	[W_KIND] = TOP("kind"),
	[W_COMMIT] = TOP("commit"),
	[W_IDENTITY] = TOP("identity"),
	[W_ACCOUNT] = TOP("account"),
	[W_SYNC] = TOP("sync"),
	[W_ERROR] = TOP("error"),
	[W_MESSAGE] = TOP("message"),
	[W_REV] = IN(W_COMMIT, "rev"),
	[W_OPERATION] = IN(W_COMMIT, "operation"),
	[W_COLLECTION] = IN(W_COMMIT, "collection"),
	[W_RKEY] = IN(W_COMMIT, "rkey"),
	[W_RECORD] = IN(W_COMMIT, "record"),
	[W_IDENTITY_SEQ] = IN(W_IDENTITY, "seq"),
	[W_ACCOUNT_SEQ] = IN(W_ACCOUNT, "seq"),
	[W_ACCOUNT_ACTIVE] = IN(W_ACCOUNT, "active"),
	[W_SYNC_SEQ] = IN(W_SYNC, "seq"),
	[W_TEXT] = IN(W_RECORD, "text"),
	[W_LANGS] = IN(W_RECORD, "langs"),
	[W_FACETS] = IN(W_RECORD, "facets"),
	[W_REPLY] = IN(W_RECORD, "reply"),
	[W_EMBED] = IN(W_RECORD, "embed"),
	[W_SUBJECT] = IN(W_RECORD, "subject"),
};

const char *zk_jet_dead_name(enum zk_jet_dead dead)
{
	static const char *const names[] = {
		[ZK_JET_ALIVE] = "alive",
		[ZK_JET_DEAD_JSON] = "json",
		[ZK_JET_DEAD_UTF8] = "utf8",
		[ZK_JET_DEAD_TOO_DEEP] = "too_deep",
		[ZK_JET_DEAD_TOO_BIG] = "too_big",
		[ZK_JET_DEAD_NO_DID] = "no_did",
		[ZK_JET_DEAD_BAD_MEMBER] = "bad_member",
		[ZK_JET_DEAD_ZSTD] = "zstd",
		[ZK_JET_DEAD_ENVELOPE] = "envelope",
		[ZK_JET_DEAD_STORE] = "store",
		[ZK_JET_DEAD_SINK] = "sink",
		[ZK_JET_CONTROL] = "control",
	};

	return names[dead];
}

void zk_jet_decoder_init(struct zk_jet_decoder *d, bool records)
{
	zk_buf_init(&d->text, ZK_JET_EVENT_MAX);
	d->escapes = d->thorough = false;
	d->records = records;
	zk_jplan_init(&d->plan, wants, records ? N_WANTS : HEADS);
}

void zk_jet_decoder_done(struct zk_jet_decoder *d)
{
	zk_buf_done(&d->text);
}

/* The decoded text of a string value; empty for everything else. Texts with escapes go to one
 * buffer, which must not move: room for all of them was made before the first. */
static zk_str text_of(struct zk_jet_decoder *d, const struct zk_jval *v)
{
	struct zk_error ignored;
	zk_str s;
	size_t at;

	if (v->type != ZK_J_STRING)
		return ZK_STR_NULL;
	if (!d->escapes)
		return zk_str_n(v->raw.p + 1, v->raw.n - 2);
	if (zk_jstr_plain(v->raw, &s))
		return s;
	at = d->text.n;
	if (zk_jstr_decode(v->raw, ZK_JLONE_REPLACE, &d->text, &ignored) < 0)
		return ZK_STR_NULL;
	return zk_str_n(d->text.p + at, d->text.n - at);
}

static enum zk_jet_kind kind_of(zk_str s)
{
	if (zk_str_eq(s, ZK_STR("commit")))
		return ZK_JET_COMMIT;
	if (zk_str_eq(s, ZK_STR("identity")))
		return ZK_JET_IDENTITY;
	if (zk_str_eq(s, ZK_STR("account")))
		return ZK_JET_ACCOUNT;
	if (zk_str_eq(s, ZK_STR("sync")))
		return ZK_JET_SYNC;
	return ZK_JET_OTHER;
}

enum zk_jet_op zk_jet_op_of(zk_str s)
{
	if (zk_str_eq(s, ZK_STR("create")))
		return ZK_JET_CREATE;
	if (zk_str_eq(s, ZK_STR("update")))
		return ZK_JET_UPDATE;
	if (zk_str_eq(s, ZK_STR("delete")))
		return ZK_JET_DELETE;
	return ZK_JET_OTHER_OP;
}

static bool is_there(const struct zk_jval *v)
{
	return v->type != ZK_J_NONE && v->type != ZK_J_NULL;
}

static struct zk_jval only(const struct zk_jval *v, enum zk_jtype type)
{
	return v->type == type ? *v : (struct zk_jval){ 0 };
}

/* The commit's own members, and those of its record. */
static void read_commit(struct zk_jet_decoder *d, const struct zk_jval *w,
                        struct zk_jet_event *e)
{
	e->rev = text_of(d, &w[W_REV]);
	e->op_text = text_of(d, &w[W_OPERATION]);
	e->collection = text_of(d, &w[W_COLLECTION]);
	e->rkey = text_of(d, &w[W_RKEY]);
	e->op = zk_jet_op_of(e->op_text);
	e->record = only(&w[W_RECORD], ZK_J_OBJECT);
	if (!e->record.raw.n)
		return;
	e->text = only(&w[W_TEXT], ZK_J_STRING);
	e->langs = only(&w[W_LANGS], ZK_J_ARRAY);
	e->facets = only(&w[W_FACETS], ZK_J_ARRAY);
	e->reply = only(&w[W_REPLY], ZK_J_OBJECT);
	e->embed = only(&w[W_EMBED], ZK_J_OBJECT);
	e->subject = w[W_SUBJECT];
}

static void read_relay(const struct zk_jval *w, struct zk_jet_event *e)
{
	static const enum want seqs[ZK_JET_KINDS] = { [ZK_JET_IDENTITY] = W_IDENTITY_SEQ,
		                                      [ZK_JET_ACCOUNT] = W_ACCOUNT_SEQ,
		                                      [ZK_JET_SYNC] = W_SYNC_SEQ };
	const struct zk_jval *seq = &w[seqs[e->kind]];

	if (e->kind != ZK_JET_OTHER && seq->type == ZK_J_NUMBER)
		e->relay_seq = seq->raw;
	e->active = e->kind != ZK_JET_ACCOUNT ||
	            !zk_str_eq(w[W_ACCOUNT_ACTIVE].raw, ZK_STR("false"));
}

static bool read_numbers(const struct zk_jval *w, struct zk_jet_event *e)
{
	uint64_t v;

	if (is_there(&w[W_TIME])) {
		if (!zk_jnum_u64(w[W_TIME].raw, &v) || v > INT64_MAX)
			return false;
		e->has_time = true;
		e->time_us = (int64_t)v;
	}
	e->has_cursor = w[W_CURSOR].type == ZK_J_NUMBER &&
	                zk_jnum_u64(w[W_CURSOR].raw, &e->cursor);
	return true;
}

static enum zk_jet_dead dead_of(enum zk_code code)
{
	if (code == ZK_E_UTF8)
		return ZK_JET_DEAD_UTF8;
	return code == ZK_E_LIMIT ? ZK_JET_DEAD_TOO_DEEP : ZK_JET_DEAD_JSON;
}

/* Whatever it is, by the names of its members. */
static enum zk_jet_dead read_frame(struct zk_jet_decoder *d, zk_str frame,
                                   struct zk_jet_event *e)
{
	struct zk_jval w[N_WANTS];
	struct zk_jscan js;

	memset(w + HEADS, 0,
	       sizeof(w) - HEADS * sizeof(w[0])); /* perhaps not in the plan */
	if (zk_jscan_plan(frame, ZK_JET_DEPTH_MAX, &d->plan, w, &js) < 0)
		return dead_of(js.code);
	e->raw = js.top.raw;
	if (js.top.type != ZK_J_OBJECT)
		return ZK_JET_DEAD_JSON;
	/* Decoded texts are never longer than they were. */
	d->escapes = js.has_escape;
	if (js.has_escape)
		(void)zk_buf_reserve(&d->text, frame.n);
	if (is_there(&w[W_ERROR]) && !is_there(&w[W_KIND])) {
		e->error = text_of(d, &w[W_ERROR]);
		e->error_message = text_of(d, &w[W_MESSAGE]);
		return ZK_JET_CONTROL;
	}
	e->did = text_of(d, &w[W_DID]);
	if (!zk_str_starts(e->did, ZK_STR("did:")) || e->did.n > ZK_JET_DID_MAX)
		return ZK_JET_DEAD_NO_DID;
	if ((is_there(&w[W_KIND]) && w[W_KIND].type != ZK_J_STRING) ||
	    !read_numbers(w, e))
		return ZK_JET_DEAD_BAD_MEMBER;
	e->kind_text = text_of(d, &w[W_KIND]);
	e->kind = kind_of(e->kind_text);
	if (is_there(&w[W_COMMIT]) && w[W_COMMIT].type != ZK_J_OBJECT)
		return ZK_JET_DEAD_BAD_MEMBER;
	e->active = true;
	if (e->kind == ZK_JET_COMMIT)
		read_commit(d, w, e);
	else
		read_relay(w, e);
	return ZK_JET_ALIVE;
}

enum zk_jet_dead zk_jet_decode(struct zk_jet_decoder *d, zk_str frame,
                               struct zk_jet_event *e)
{
	memset(e, 0, sizeof(*e));
	if (frame.n > ZK_JET_EVENT_MAX)
		return ZK_JET_DEAD_TOO_BIG;
	d->text.n = 0;
	if (!d->records && !d->thorough && zk_jet_decode_usual(frame, e))
		return ZK_JET_ALIVE;
	return read_frame(d, frame, e);
}

bool zk_jet_at_uri(const struct zk_jet_event *e, struct zk_buf *b)
{
	if (e->kind != ZK_JET_COMMIT || !e->collection.n || !e->rkey.n)
		return false;
	zk_buf_lit(b, "at://");
	zk_buf_add(b, e->did);
	zk_buf_char(b, '/');
	zk_buf_add(b, e->collection);
	zk_buf_char(b, '/');
	zk_buf_add(b, e->rkey);
	return true;
}

void zk_jet_key(const struct zk_jet_event *e, struct zk_buf *b)
{
	zk_buf_add(b, e->did);
	zk_buf_char(b, '\n');
	zk_buf_add(b, e->kind_text);
	if (e->kind == ZK_JET_COMMIT) {
		const zk_str parts[] = { e->rev, e->op_text, e->collection, e->rkey };

		for (size_t i = 0; i < ZK_ARRAY_LEN(parts); i++) {
			zk_buf_char(b, '\n');
			zk_buf_add(b, parts[i]);
		}
		return;
	}
	zk_buf_char(b, '\n');
	zk_buf_add(b, e->relay_seq.n ? e->relay_seq : e->raw);
}

uint64_t zk_jet_did_hash(zk_str did)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < did.n; i++) {
		h ^= (unsigned char)did.p[i];
		h *= UINT64_C(0x100000001b3);
	}
	return h;
}
