/* Items and their lookups (§11.1).
 * Layer: jetstream. */
#include "jetstream/item.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "jetstream/cache.h"
#include "jetstream/filter.h"

#include "base/ban.h"

#define MENTIONS_MAX 1000
#define RKEY_MAX     512

static const char *const reasons[ZK_JET_REASONS] = {
	[ZK_JET_RESOLVED] = "",           [ZK_JET_NOT_FOUND] = "not_found",
	[ZK_JET_INVALID] = "invalid",     [ZK_JET_POISONED] = "poisoned",
	[ZK_JET_API_ERROR] = "api_error", [ZK_JET_API_AWAY] = "api_down",
	[ZK_JET_DEADLINE] = "deadline",   [ZK_JET_BUDGET] = "budget",
	[ZK_JET_EXCLUDED] = "excluded",   [ZK_JET_CACHED_ONLY] = "cached_only",
};

const char *zk_jet_reason_name(enum zk_jet_reason reason)
{
	return reasons[reason];
}

enum zk_jet_reason zk_jet_reason_parse(zk_str name)
{
	for (unsigned i = 1; i < ZK_JET_REASONS; i++)
		if (zk_str_eq(name, zk_str_of(reasons[i])))
			return (enum zk_jet_reason)i;
	return ZK_JET_REASONS;
}

bool zk_jet_reason_passes(enum zk_jet_reason r)
{
	return r == ZK_JET_DEADLINE || r == ZK_JET_API_ERROR || r == ZK_JET_API_AWAY ||
	       r == ZK_JET_BUDGET;
}

/* ---- ids ---- */

zk_str zk_jet_uri_authority(zk_str uri)
{
	zk_str authority = ZK_STR_NULL;

	if (zk_str_starts(uri, ZK_STR("at://")))
		(void)zk_str_cut(zk_str_from(uri, 5), '/', &authority);
	return authority;
}

static bool is_handle(zk_str s)
{
	unsigned dots = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '.')
			dots++;
		else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		           (c >= '0' && c <= '9') || c == '-'))
			return false;
		if (c == '.' && (!i || i + 1 == s.n || s.p[i - 1] == '.'))
			return false;
	}
	return dots && s.n <= 253;
}

static bool is_rkey(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || (c && strchr("._:~-", c))))
			return false;
	}
	return s.n && s.n <= RKEY_MAX && !zk_str_eq(s, ZK_STR(".")) &&
	       !zk_str_eq(s, ZK_STR(".."));
}

enum zk_jet_uri zk_jet_uri_kind(zk_str uri)
{
	zk_str authority = zk_jet_uri_authority(uri), rest, collection, rkey;

	if (!zk_jet_did_ok(authority) && !is_handle(authority))
		return ZK_JET_URI_BAD;
	rest = zk_str_from(uri, 5 + authority.n + 1);
	rkey = zk_str_cut(rest, '/', &collection);
	if (!zk_jet_nsid_ok(collection) || !is_rkey(rkey))
		return ZK_JET_URI_BAD;
	return zk_str_eq(collection, ZK_STR("app.bsky.feed.post")) ? ZK_JET_URI_POST
	                                                           : ZK_JET_URI_OTHER;
}

/* ---- finding them ---- */

/* A lookup that was found; `id` lies in the event or in `text`. */
struct found {
	enum zk_jet_role role;
	bool post, peek;
	enum zk_jet_reason reason;
	zk_str id;
};

struct finder {
	const struct zk_jet_event *e;
	const struct zk_jet_item_conf *conf;
	struct found *v; /* `few` until they are more */
	size_t n, room;
	struct found few[8];
	struct zk_buf *text; /* ids that had escapes; does not move */
};

static void add(struct finder *f, struct found found)
{
	if (f->n == f->room) {
		bool first = f->v == f->few;

		f->room *= 2;
		f->v = zk_realloc(first ? NULL : f->v, f->room * sizeof(*f->v));
		if (first)
			memcpy(f->v, f->few, sizeof(f->few));
	}
	f->v[f->n++] = found;
}

static bool wants(const struct finder *f, enum zk_jet_role role)
{
	return f->conf->wanted & ZK_JET_WANT(role);
}

/* The decoded text of a string value; empty for anything else. */
static zk_str text_of(struct finder *f, const struct zk_jval *v)
{
	struct zk_error ignored;
	size_t at = f->text->n;
	zk_str s;

	if (v->type != ZK_J_STRING)
		return ZK_STR_NULL;
	if (zk_jstr_plain(v->raw, &s))
		return s;
	if (!zk_buf_reserve(f->text, v->raw.n) ||
	    zk_jstr_decode(v->raw, ZK_JLONE_REPLACE, f->text, &ignored) < 0)
		return ZK_STR_NULL;
	return zk_str_n(f->text->p + at, f->text->n - at);
}

static zk_str text_at(struct finder *f, const struct zk_jval *in, const char *path)
{
	struct zk_jval v;

	if (!in->raw.n || !zk_jscan_get(in->raw, zk_str_of(path), &v))
		return ZK_STR_NULL;
	return text_of(f, &v);
}

static void add_post(struct finder *f, enum zk_jet_role role, zk_str uri)
{
	struct found found = { .role = role, .post = true, .id = uri };

	if (!uri.n)
		return;
	switch (zk_jet_uri_kind(uri)) {
	case ZK_JET_URI_OTHER:
		return; /* a feed, a list, a like: no post, nothing is wanted */
	case ZK_JET_URI_BAD:
		found.reason = ZK_JET_INVALID;
		break;
	case ZK_JET_URI_POST:
		if (zk_jet_filter_excludes(f->conf->filter, zk_jet_uri_authority(uri)))
			found.reason = ZK_JET_EXCLUDED;
		break;
	}
	add(f, found);
}

static void add_mention(struct finder *f, zk_str did)
{
	struct found found = { .role = ZK_JET_MENTION, .id = did };
	size_t n = 0;

	if (!did.n || zk_jet_filter_excludes(f->conf->filter, did))
		return;
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].role != ZK_JET_MENTION)
			continue;
		if (zk_str_eq(f->v[i].id, did))
			return;
		n++;
	}
	if (n == MENTIONS_MAX)
		return;
	if (!zk_jet_did_ok(did))
		found.reason = ZK_JET_INVALID;
	add(f, found);
}

static void find_mentions(struct finder *f)
{
	struct zk_jiter facets, features;
	struct zk_jval facet, list, feature;

	if (!f->e->facets.raw.n)
		return;
	zk_jiter_init(&facets, f->e->facets.raw);
	while (zk_jiter_element(&facets, &facet)) {
		if (facet.type != ZK_J_OBJECT ||
		    !zk_jscan_get(facet.raw, ZK_STR("features"), &list) ||
		    list.type != ZK_J_ARRAY)
			continue;
		zk_jiter_init(&features, list.raw);
		while (zk_jiter_element(&features, &feature))
			if (feature.type == ZK_J_OBJECT &&
			    zk_str_eq(text_at(f, &feature, "$type"),
			              ZK_STR("app.bsky.richtext.facet#mention")))
				add_mention(f, text_at(f, &feature, "did"));
	}
}

static void find_quote(struct finder *f)
{
	zk_str type = text_at(f, &f->e->embed, "$type");

	if (zk_str_eq(type, ZK_STR("app.bsky.embed.record")))
		add_post(f, ZK_JET_QUOTE, text_at(f, &f->e->embed, "record.uri"));
	else if (zk_str_eq(type, ZK_STR("app.bsky.embed.recordWithMedia")))
		add_post(f, ZK_JET_QUOTE, text_at(f, &f->e->embed, "record.record.uri"));
}

static void find_in_post(struct finder *f)
{
	if (wants(f, ZK_JET_MENTION))
		find_mentions(f);
	if (wants(f, ZK_JET_PARENT))
		add_post(f, ZK_JET_PARENT, text_at(f, &f->e->reply, "parent.uri"));
	if (wants(f, ZK_JET_ROOT))
		add_post(f, ZK_JET_ROOT, text_at(f, &f->e->reply, "root.uri"));
	if (wants(f, ZK_JET_QUOTE) && f->e->embed.raw.n)
		find_quote(f);
}

static void find_subject(struct finder *f)
{
	zk_str c = f->e->collection;

	if (zk_str_eq(c, ZK_STR("app.bsky.feed.like")) ||
	    zk_str_eq(c, ZK_STR("app.bsky.feed.repost"))) {
		add_post(f, ZK_JET_SUBJECT_POST, text_at(f, &f->e->subject, "uri"));
	} else if (zk_str_eq(c, ZK_STR("app.bsky.graph.follow")) ||
	           zk_str_eq(c, ZK_STR("app.bsky.graph.block"))) {
		struct found found = { .role = ZK_JET_SUBJECT_USER,
			               .id = text_of(f, &f->e->subject) };

		if (!found.id.n)
			return;
		if (!zk_jet_did_ok(found.id))
			found.reason = ZK_JET_INVALID;
		else if (zk_jet_filter_excludes(f->conf->filter, found.id))
			found.reason = ZK_JET_EXCLUDED;
		add(f, found);
	}
}

static void find_all(struct finder *f)
{
	const struct zk_jet_event *e = f->e;
	bool asks = e->kind == ZK_JET_COMMIT &&
	            (e->op == ZK_JET_CREATE || e->op == ZK_JET_UPDATE);

	if (wants(f, ZK_JET_USER)) {
		struct found user = { .role = ZK_JET_USER, .id = e->did, .peek = !asks };

		if (!zk_jet_did_ok(e->did))
			user.reason = asks ? ZK_JET_INVALID : ZK_JET_RESOLVED;
		add(f, user);
	}
	if (!asks)
		return;
	if (zk_str_eq(e->collection, ZK_STR("app.bsky.feed.post")))
		find_in_post(f);
	if (wants(f, ZK_JET_SUBJECT_POST))
		find_subject(f);
}

/* ---- making it ---- */

/* Copies of the texts; those inside the message are moved by the same distance. */
struct mover {
	const char *from, *end;
	char *to;  /* where the message went */
	char *put; /* where the next other text goes */
};

static void move(struct mover *m, zk_str *s)
{
	if (!s->n)
		return;
	if (s->p >= m->from && s->p < m->end) {
		s->p = m->to + (s->p - m->from);
		return;
	}
	memcpy(m->put, s->p, s->n);
	s->p = m->put;
	m->put += s->n;
}

#define EVENT_TEXTS(e)                                                                  \
	{                                                                               \
		&(e)->raw, &(e)->did, &(e)->kind_text, &(e)->op_text, &(e)->collection, \
		        &(e)->rkey, &(e)->rev, &(e)->relay_seq, &(e)->record.raw,       \
		        &(e)->text.raw, &(e)->langs.raw, &(e)->facets.raw,              \
		        &(e)->reply.raw, &(e)->embed.raw, &(e)->subject.raw             \
	}

/* Bytes beside the message that hold the texts; `raw` first, the others mostly lie in it. */
static size_t room_for(const struct zk_jet_event *e, zk_str message,
                       const struct finder *f)
{
	const zk_str *texts[] = EVENT_TEXTS(e);
	size_t n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++)
		if (texts[i]->p < message.p || texts[i]->p >= message.p + message.n)
			n += texts[i]->n;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].id.p < message.p || f->v[i].id.p >= message.p + message.n)
			n += f->v[i].id.n;
	return n;
}

static struct zk_jet_item *make(const struct zk_jet_event *e, zk_str message,
                                const struct finder *f)
{
	size_t head = sizeof(struct zk_jet_item) + f->n * sizeof(struct zk_jet_lookup);
	size_t size = head + message.n + room_for(e, message, f);
	struct zk_jet_item *i = zk_alloc(size);
	zk_str *texts[] = EVENT_TEXTS(&i->e);
	struct mover m = { .from = message.p,
		           .end = message.p + message.n,
		           .to = (char *)i + head,
		           .put = (char *)i + head + message.n };

	memset(i, 0, head);
	i->e = *e;
	i->size = size;
	memcpy(m.to, message.p, message.n);
	i->message = zk_str_n(m.to, message.n);
	for (size_t k = 0; k < ZK_ARRAY_LEN(texts); k++)
		move(&m, texts[k]);
	i->n_lookups = (unsigned)f->n;
	for (size_t k = 0; k < f->n; k++) {
		struct zk_jet_lookup *l = &i->lookups[k];

		zk_list_init(&l->link);
		l->item = i;
		l->role = f->v[k].role;
		l->post = f->v[k].post;
		l->peek = f->v[k].peek;
		l->reason = f->v[k].reason;
		l->id = f->v[k].id;
		move(&m, &l->id);
	}
	return i;
}

struct zk_jet_item *zk_jet_item_new(const struct zk_jet_event *e, zk_str message,
                                    const struct zk_jet_item_conf *conf)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	struct finder f;
	struct zk_jet_item *i;

	f.e = e;
	f.conf = conf;
	f.v = f.few;
	f.n = 0;
	f.room = ZK_ARRAY_LEN(f.few);
	f.text = &text;
	zk_buf_init(&text, ZK_JET_EVENT_MAX);
	if (conf->wanted) {
		/* Texts with escapes are collected in one block that must not move. */
		if (e->record.raw.n && memchr(e->record.raw.p, '\\', e->record.raw.n))
			(void)zk_buf_reserve(&text, e->record.raw.n);
		find_all(&f);
	}
	i = make(e, message, &f);
	if (f.v != f.few)
		free(f.v);
	return i;
}

void zk_jet_item_free(struct zk_jet_item *i)
{
	if (!i)
		return;
	for (unsigned k = 0; k < i->n_lookups; k++) {
		zk_list_remove(&i->lookups[k].link);
		zk_jet_obj_unref(i->lookups[k].obj);
	}
	free(i);
}
