/* Enriched records in the envelope of zk.
 * Layer: jetstream. */
#include "jetstream/record.h"

#include "base/buf.h"
#include "codec/jwrite.h"
#include "jetstream/cache.h"
#include "jetstream/item.h"
#include "jetstream/record_rust.h"

#include "base/ban.h"

const char *const zk_jet_envelope_names[] = { "zk", "rust", "raw", NULL };

static const char *const hydration_names[] = { [ZK_JET_HYDRATION_NONE] = "none",
	                                       [ZK_JET_PARTIAL] = "partial",
	                                       [ZK_JET_FULL] = "full" };

bool zk_jet_hit_rate(int64_t hits, int64_t misses, double *ret)
{
	int64_t thousandths;

	if (hits + misses <= 0)
		return false;
	thousandths = (hits * 2000 + hits + misses) / (2 * (hits + misses));
	*ret = (double)thousandths / 1000.0;
	return true;
}

static void put_obj(struct zk_buf *b, const struct zk_jet_lookup *l)
{
	if (l && l->obj)
		zk_buf_add(b, zk_jet_obj_str(l->obj));
	else
		zk_buf_lit(b, "null");
}

static const struct zk_jet_lookup *find(const struct zk_jet_item *i,
                                        enum zk_jet_role role)
{
	for (unsigned k = 0; k < i->n_lookups; k++)
		if (i->lookups[k].role == role)
			return &i->lookups[k];
	return NULL;
}

static void put_mentions(const struct zk_jet_item *i, struct zk_buf *b)
{
	bool comma = false;

	zk_buf_char(b, '{');
	for (unsigned k = 0; k < i->n_lookups; k++) {
		const struct zk_jet_lookup *l = &i->lookups[k];

		if (l->role != ZK_JET_MENTION)
			continue;
		if (comma)
			zk_buf_char(b, ',');
		comma = true;
		zk_buf_json_str(b, l->id);
		zk_buf_char(b, ':');
		put_obj(b, l);
	}
	zk_buf_char(b, '}');
}

static void put_zk(const struct zk_jet_item *i, struct zk_buf *b)
{
	static const struct {
		const char *key;
		enum zk_jet_role role;
		bool always;
	} rows[] = {
		{ ",\"parent_post\":", ZK_JET_PARENT, true },
		{ ",\"reply_post\":", ZK_JET_ROOT, true },
		{ ",\"quote_post\":", ZK_JET_QUOTE, true },
		{ ",\"subject_post\":", ZK_JET_SUBJECT_POST, false },
		{ ",\"subject_user\":", ZK_JET_SUBJECT_USER, false },
	};

	zk_buf_lit(b, "{\"user\":");
	put_obj(b, find(i, ZK_JET_USER));
	zk_buf_lit(b, ",\"mentions\":");
	put_mentions(i, b);
	for (size_t k = 0; k < ZK_ARRAY_LEN(rows); k++) {
		const struct zk_jet_lookup *l = find(i, rows[k].role);

		if (!l && !rows[k].always)
			continue;
		zk_buf_cstr(b, rows[k].key);
		put_obj(b, l);
	}
	zk_buf_char(b, '}');
}

void zk_jet_put_metadata(const struct zk_jet_item *i, enum zk_jet_envelope env,
                         struct zk_buf *b)
{
	if (env == ZK_JET_ENV_ZK)
		put_zk(i, b);
	else if (env == ZK_JET_ENV_RUST)
		zk_jet_rust_metadata(i, b);
}

/* An id that stands in an earlier lookup already. */
static bool is_repeated(const struct zk_jet_item *i, unsigned k)
{
	for (unsigned j = 0; j < k; j++)
		if (i->lookups[j].reason != ZK_JET_RESOLVED && !i->lookups[j].peek &&
		    zk_str_eq(i->lookups[j].id, i->lookups[k].id))
			return true;
	return false;
}

void zk_jet_put_unresolved(const struct zk_jet_item *i, struct zk_buf *b)
{
	bool any = false;

	for (unsigned k = 0; k < i->n_lookups; k++) {
		const struct zk_jet_lookup *l = &i->lookups[k];

		if (l->reason == ZK_JET_RESOLVED || l->peek || is_repeated(i, k))
			continue;
		zk_buf_cstr(b, any ? ",{\"id\":" : "[{\"id\":");
		any = true;
		zk_buf_json_str(b, l->id);
		zk_buf_printf(b, ",\"reason\":\"%s\"}", zk_jet_reason_name(l->reason));
	}
	if (any)
		zk_buf_char(b, ']');
}

/* ---- envelopes ---- */

static void put_or_null(struct zk_buf *b, zk_str s)
{
	if (s.p)
		zk_buf_json_str(b, s);
	else
		zk_buf_lit(b, "null");
}

static void put_metrics(const struct zk_jet_row *r, struct zk_buf *b)
{
	double rate;

	zk_buf_lit(b, "{\"hydration_time_ms\":");
	zk_buf_i64(b, r->hydration_ms);
	zk_buf_lit(b, ",\"api_calls_count\":");
	zk_buf_i64(b, r->calls);
	zk_buf_lit(b, ",\"cache_hits\":");
	zk_buf_i64(b, r->hits);
	zk_buf_lit(b, ",\"cache_misses\":");
	zk_buf_i64(b, r->misses);
	zk_buf_lit(b, ",\"cache_hit_rate\":");
	if (!zk_jet_hit_rate(r->hits, r->misses, &rate))
		zk_buf_lit(b, "null}");
	else if (rate == 1.0)
		zk_buf_lit(b, "1.000}"); /* by far the most frequent */
	else
		zk_buf_printf(b, "%.3f}", rate);
}

static void put_zk_record(const struct zk_jet_row *r, struct zk_buf *b)
{
	zk_buf_lit(b, "{\"at_uri\":");
	put_or_null(b, r->at_uri);
	zk_buf_lit(b, ",\"did\":");
	put_or_null(b, r->did);
	zk_buf_lit(b, ",\"time_us\":");
	if (r->has_time)
		zk_buf_i64(b, r->time_us);
	else
		zk_buf_lit(b, "null");
	if (r->has_cursor) {
		zk_buf_lit(b, ",\"cursor\":");
		zk_buf_u64(b, r->cursor);
	}
	zk_buf_lit(b, ",\"message\":");
	zk_buf_add(b, r->message);
	zk_buf_lit(b, ",\"hydrated_metadata\":");
	zk_buf_add(b, r->metadata.n ? r->metadata : ZK_STR("null"));
	zk_buf_lit(b, ",\"hydration\":\"");
	zk_buf_cstr(b, hydration_names[r->hydration >= 0 && r->hydration <= ZK_JET_FULL
	                                       ? r->hydration
	                                       : 0]);
	zk_buf_char(b, '"');
	if (r->unresolved.n) {
		zk_buf_lit(b, ",\"unresolved\":");
		zk_buf_add(b, r->unresolved);
	}
	zk_buf_lit(b, ",\"processed_at\":");
	put_or_null(b, r->processed_at);
	zk_buf_lit(b, ",\"source\":");
	put_or_null(b, r->source.n ? r->source : ZK_STR_NULL);
	zk_buf_lit(b, ",\"metrics\":");
	put_metrics(r, b);
	zk_buf_char(b, '}');
}

void zk_jet_put_record(const struct zk_jet_row *r, enum zk_jet_envelope env,
                       struct zk_buf *b)
{
	switch (env) {
	case ZK_JET_ENV_RAW:
		zk_buf_add(b, r->message);
		return;
	case ZK_JET_ENV_ZK:
		put_zk_record(r, b);
		return;
	case ZK_JET_ENV_RUST:
		zk_buf_lit(b, "{\"message\":");
		zk_buf_add(b, r->message);
		zk_buf_lit(b, ",\"hydrated_metadata\":");
		zk_buf_add(b, r->metadata.n ? r->metadata : ZK_STR("{}"));
		zk_buf_lit(b, ",\"processed_at\":");
		put_or_null(b, r->processed_at);
		zk_buf_lit(b, ",\"metrics\":");
		put_metrics(r, b);
		zk_buf_char(b, '}');
	}
}

/* A place in the buffer, as long as that may still move. */
struct span {
	size_t at, n;
};

static struct span since(const struct zk_buf *b, size_t at)
{
	return (struct span){ at, b->n - at };
}

static zk_str text(const struct zk_buf *b, struct span s)
{
	return s.n ? zk_str_n(b->p + s.at, s.n) : ZK_STR_NULL;
}

void zk_jet_row_of(const struct zk_jet_item *i, enum zk_jet_envelope env, zk_str source,
                   struct zk_buf *b, struct zk_jet_row *r)
{
	char time[ZK_RFC3339_MAX];
	struct span uri, metadata, unresolved, at;
	size_t n = b->n;

	(void)zk_jet_at_uri(&i->e, b);
	uri = since(b, n);
	n = b->n;
	zk_jet_put_metadata(i, env, b);
	metadata = since(b, n);
	n = b->n;
	zk_jet_put_unresolved(i, b);
	unresolved = since(b, n);
	n = b->n;
	zk_buf_put(b, time, zk_format_rfc3339(i->processed_us, time));
	at = since(b, n);
	*r = (struct zk_jet_row){
		.at_uri = text(b, uri),
		.did = i->e.did,
		.message = i->message,
		.kind = i->e.kind_text,
		.operation = i->e.op_text,
		.collection = i->e.collection,
		.metadata = text(b, metadata),
		.unresolved = text(b, unresolved),
		.processed_at = text(b, at),
		.source = source,
		.has_time = i->e.has_time,
		.has_cursor = i->e.has_cursor,
		.time_us = i->e.time_us,
		.cursor = i->e.cursor,
		.hydration = i->hydration,
		.hydration_ms = (i->ready_us - i->begun_us) / 1000,
		.calls = i->calls,
		.hits = i->hits,
		.misses = i->misses,
	};
}
