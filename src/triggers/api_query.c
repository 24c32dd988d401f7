/* Parameters of the inbox, the stream and replay.
 * Layer: triggers. specs/triggers.md §5.7. */
#include "triggers/api_query.h"

#include "base/err.h"
#include "codec/uri.h"

#include "base/ban.h"

#define DEFAULT_LIMIT 100
#define MAX_LIMIT     1000
#define MAX_TEXT      8192

static bool fail(struct zk_trig_query *q, const char *error, const char *message)
{
	q->error = error;
	q->message = message;
	return false;
}

static bool set_limit(struct zk_trig_query *q, zk_str v)
{
	struct zk_error err = { 0 };
	int64_t n;

	if (zk_parse_i64(v, &n, &err) < 0) {
		/* A whole number that is too long is outside the bounds, not malformed. */
		size_t digits = 0, from = v.n && (v.p[0] == '-' || v.p[0] == '+');

		while (from + digits < v.n && v.p[from + digits] >= '0' &&
		       v.p[from + digits] <= '9')
			digits++;
		if (!digits || from + digits != v.n)
			return fail(q, "Invalid limit", "limit must be a whole number");
		n = v.p[0] == '-' ? 0 : MAX_LIMIT;
	}
	q->limit = n < 1 ? 1 : n > MAX_LIMIT ? MAX_LIMIT : (uint64_t)n;
	return true;
}

static bool set_cursor(struct zk_trig_query *q, zk_str v, const char *error)
{
	if (!zk_uuid_parse(v, &q->cursor))
		return fail(q, error, "it must be an event id");
	q->has_cursor = true;
	return true;
}

static bool set_time(struct zk_trig_query *q, zk_str v, int64_t *ret, const char *error)
{
	struct zk_error err = { 0 };

	if (zk_parse_rfc3339(v, ret, &err) < 0)
		return fail(q, error, "times are RFC 3339, such as 2025-11-10T12:00:00Z");
	if (*ret == 0)
		*ret = 1;
	return true;
}

static bool set_order(struct zk_trig_query *q, zk_str v)
{
	if (zk_str_eq(v, ZK_STR("asc")))
		q->ascending = true;
	else if (zk_str_eq(v, ZK_STR("desc")))
		q->ascending = false;
	else
		return fail(q, "Invalid order", "order is asc or desc");
	return true;
}

static bool set_offset(struct zk_trig_query *q, zk_str v)
{
	struct zk_error err = { 0 };

	if (zk_parse_u64(v, &q->offset, &err) < 0 || q->offset > INT64_MAX)
		return fail(q, "Invalid offset",
		            "offset must be a whole number of 0 or more");
	q->has_offset = true;
	return true;
}

static bool set_status(struct zk_trig_query *q, zk_str v)
{
	if (zk_trig_filter_parse(v, &q->filter))
		return true;
	return fail(
	        q, "Invalid status",
	        "status is one of pending, retrying, delivered, acknowledged, failed, "
	        "dead_letter");
}

bool zk_trig_query_set(struct zk_trig_query *q, zk_str name, zk_str value)
{
	if (zk_str_eq(name, ZK_STR("limit")))
		return set_limit(q, value);
	if (zk_str_eq(name, ZK_STR("status")))
		return value.n == 0 || set_status(q, value);
	if (zk_str_eq(name, ZK_STR("cursor")))
		return value.n == 0 || set_cursor(q, value, "Invalid cursor");
	if (zk_str_eq(name, ZK_STR("after"))) {
		q->ascending = true;
		return set_cursor(q, value, "Invalid after");
	}
	if (zk_str_eq(name, ZK_STR("offset")))
		return set_offset(q, value);
	if (zk_str_eq(name, ZK_STR("order")))
		return set_order(q, value);
	if (zk_str_eq(name, ZK_STR("since")))
		return set_time(q, value, &q->since_us, "Invalid since");
	if (zk_str_eq(name, ZK_STR("until")))
		return set_time(q, value, &q->until_us, "Invalid until");
	if (zk_str_eq(name, ZK_STR("type")) && value.n)
		q->type = value;
	return true;
}

void zk_trig_query_init(struct zk_trig_query *q)
{
	*q = (struct zk_trig_query){ .limit = DEFAULT_LIMIT };
	zk_buf_init(&q->text, MAX_TEXT);
}

void zk_trig_query_done(struct zk_trig_query *q)
{
	zk_buf_done(&q->text);
}

bool zk_trig_query_read(struct zk_trig_query *q, zk_str raw)
{
	zk_str name, value;
	bool after = false;

	zk_trig_query_init(q);
	/* One block for all decoded values, so that slices into it stay where they are. */
	if (!zk_buf_reserve(&q->text, ZK_MIN(raw.n + 1, (size_t)MAX_TEXT)))
		return fail(q, "Invalid query", "the query is too long");
	while (zk_uri_query_next(&raw, &name, &value, NULL)) {
		size_t at = q->text.n;

		if (!zk_uri_decode(value, ZK_URI_QUERY, &q->text))
			return fail(q, "Invalid query",
			            "a value is not properly percent-encoded");
		after = after || zk_str_eq(name, ZK_STR("after"));
		if (!zk_trig_query_set(q, name, zk_str_n(q->text.p + at, q->text.n - at)))
			return false;
	}
	if (after)
		q->ascending = true;
	if (q->has_cursor)
		q->has_offset = false;
	return true;
}
