/* Events as the servers write them: the same members in the same order, without white space.
 * Layer: jetstream. */
#include <string.h>

#include "codec/jbytes.h"
#include "jetstream/event.h"

#include "base/ban.h"

#define DIGITS_MAX 18

struct usual {
	const char *p, *end;
};

static inline __attribute__((always_inline)) bool take_bytes(struct usual *u,
                                                             const char *text, size_t n)
{
	if ((size_t)(u->end - u->p) < n || memcmp(u->p, text, n) != 0)
		return false;
	u->p += n;
	return true;
}

#define TAKE(u, text) take_bytes(u, text, sizeof(text) - 1)

/* Up to the closing quote, and behind it: ASCII without escapes. */
static inline bool take_text(struct usual *u, zk_str *ret)
{
	const char *from = u->p, *end = zk_jb_skip_plain(from, u->end);

	if (end == u->end || *end != '"')
		return false;
	*ret = zk_str_n(from, (size_t)(end - from));
	u->p = end + 1;
	return true;
}

/* Few enough digits to fit. */
static inline bool take_number(struct usual *u, uint64_t *ret)
{
	const char *from = u->p, *p = from;
	const char *most = u->end - p > DIGITS_MAX ? p + DIGITS_MAX : u->end;
	uint64_t v = 0;

	for (; p < most && zk_jb_is_digit(*p); p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == from || (*from == '0' && p - from > 1))
		return false;
	*ret = v;
	u->p = p;
	return true;
}

/* The end of a commit that has no record, or the record, and the end behind it. */
static bool take_rest(struct usual *u, struct zk_jet_event *e)
{
	zk_str ignored;

	if (TAKE(u, "}}"))
		return u->p == u->end;
	if (!TAKE(u, ",\"record\":") || u->p == u->end || *u->p != '{' ||
	    !zk_jscan_one(zk_str_n(u->p, (size_t)(u->end - u->p)), /* depth */ 2,
	                  ZK_JET_DEPTH_MAX, &e->record))
		return false;
	u->p += e->record.raw.n;
	if (TAKE(u, ",\"cid\":\"") && !take_text(u, &ignored))
		return false;
	return TAKE(u, "}}") && u->p == u->end;
}

static bool take_commit(struct usual *u, struct zk_jet_event *e)
{
	return TAKE(u, "\"commit\":{\"rev\":\"") && take_text(u, &e->rev) &&
	       TAKE(u, ",\"operation\":\"") && take_text(u, &e->op_text) &&
	       TAKE(u, ",\"collection\":\"") && take_text(u, &e->collection) &&
	       TAKE(u, ",\"rkey\":\"") && take_text(u, &e->rkey) && take_rest(u, e);
}

static bool take_head(struct usual *u, struct zk_jet_event *e)
{
	uint64_t time_us;

	if (!TAKE(u, "{\"did\":\"") || !take_text(u, &e->did) ||
	    !TAKE(u, ",\"time_us\":") || !take_number(u, &time_us))
		return false;
	e->has_time = true;
	e->time_us = (int64_t)time_us;
	e->has_cursor = TAKE(u, ",\"cursor\":");
	if (e->has_cursor && !take_number(u, &e->cursor))
		return false;
	if (!TAKE(u, ",\"kind\":\"commit\","))
		return false;
	e->kind_text = zk_str_n(u->p - sizeof("commit\",") + 1, sizeof("commit") - 1);
	return true;
}

static bool take_event(struct usual *u, struct zk_jet_event *e)
{
	if (!take_head(u, e) || !take_commit(u, e) || e->did.n > ZK_JET_DID_MAX ||
	    e->did.n < 4 || memcmp(e->did.p, "did:", 4) != 0)
		return false;
	e->kind = ZK_JET_COMMIT;
	e->op = zk_jet_op_of(e->op_text);
	e->active = true;
	return true;
}

bool zk_jet_decode_usual(zk_str frame, struct zk_jet_event *ret)
{
	struct usual u = { .p = frame.p, .end = frame.p + frame.n };

	if (!frame.n)
		return false;
	if (take_event(&u, ret)) {
		ret->raw = frame;
		return true;
	}
	memset(ret, 0, sizeof(*ret));
	return false;
}
