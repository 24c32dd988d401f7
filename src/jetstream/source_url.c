/* What is asked of a host: the URL of a subscription, the update of its options.
 * Layer: jetstream. specs/jetstream.md §3.1, §3.2, §4. */
#include "base/buf.h"
#include "codec/jwrite.h"
#include "jetstream/filter.h"
#include "jetstream/source.h"

#include "base/ban.h"

#define HELLO_FROM  100 /* accounts: more go by an update */
#define V2_DIDS_MAX 400 /* accounts in a URL of the second wire; more are filtered here */

static void put(struct zk_buf *b, bool *first, const char *name, zk_str value)
{
	zk_buf_char(b, *first ? '?' : '&');
	*first = false;
	zk_buf_cstr(b, name);
	zk_buf_char(b, '=');
	zk_buf_percent(b, value);
}

static void put_number(struct zk_buf *b, bool *first, const char *name, uint64_t v)
{
	char text[20];

	put(b, first, name, zk_str_n(text, zk_format_u64(v, text)));
}

bool zk_jet_subscription_hello(const struct zk_jet_subscription *s)
{
	return !s->v2 && s->filter->n_dids > HELLO_FROM;
}

static void put_v1(const struct zk_jet_subscription *s, struct zk_buf *b, bool *first)
{
	const struct zk_jet_filter *f = s->filter;
	bool hello = zk_jet_subscription_hello(s);

	for (size_t i = 0; i < f->n_collections && !hello; i++)
		put(b, first, "wantedCollections", zk_str_of(f->collections[i]));
	for (size_t i = 0; i < f->n_dids && !hello; i++)
		put(b, first, "wantedDids", zk_str_of(f->dids[i]));
	if (s->has_cursor)
		put_number(b, first, "cursor", s->cursor);
	if (s->compress)
		put(b, first, "compress", ZK_STR("true"));
	if (s->max_message_size)
		put_number(b, first, "maxMessageSizeBytes", s->max_message_size);
	if (hello)
		put(b, first, "requireHello", ZK_STR("true"));
}

static void put_v2(const struct zk_jet_subscription *s, struct zk_buf *b, bool *first)
{
	static const char *const kinds[] = { "commit", "identity", "account", "sync" };
	const struct zk_jet_filter *f = s->filter;
	bool commits = !f->kinds || f->kinds & 1u << ZK_JET_COMMIT;

	if (s->has_cursor)
		put_number(b, first, "cursor", s->cursor);
	for (unsigned i = 0; i < ZK_ARRAY_LEN(kinds); i++)
		if (f->kinds & 1u << i)
			put(b, first, "kinds", zk_str_of(kinds[i]));
	for (size_t i = 0; i < f->n_collections && commits; i++)
		put(b, first, "collections", zk_str_of(f->collections[i]));
	for (size_t i = 0; i < f->n_dids && f->n_dids <= V2_DIDS_MAX; i++)
		put(b, first, "dids", zk_str_of(f->dids[i]));
	if (s->max_message_size)
		put_number(b, first, "maxMessageSizeBytes", s->max_message_size);
	if (s->dictionary)
		put_number(b, first, "zstdDictionary", s->dictionary);
}

void zk_jet_subscription_url(const struct zk_jet_subscription *s, struct zk_buf *b)
{
	bool first = true;

	zk_buf_cstr(b, s->base);
	zk_buf_cstr(b, s->v2 ? "/xrpc/network.bsky.jetstream.subscribeEvents"
	                     : "/subscribe");
	if (s->v2)
		put_v2(s, b, &first);
	else
		put_v1(s, b, &first);
}

void zk_jet_options_update(const struct zk_jet_filter *f, uint64_t max_message_size,
                           struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "options_update");
	zk_jw_key(&w, "payload");
	zk_jw_obj(&w);
	zk_jw_key(&w, "wantedCollections");
	zk_jw_arr(&w);
	for (size_t i = 0; i < f->n_collections; i++)
		zk_jw_cstr(&w, f->collections[i]);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "wantedDids");
	zk_jw_arr(&w);
	for (size_t i = 0; i < f->n_dids; i++)
		zk_jw_cstr(&w, f->dids[i]);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "maxMessageSizeBytes");
	zk_jw_u64(&w, max_message_size);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
}
