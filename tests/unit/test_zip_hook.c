/* Webhooks of Zeal: patterns, deliveries, signatures, ids met lately, over
 * tests/data/zeal/{events,webhooks} (specs/zeal-zip.md §8). Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "zip/delivery.h"
#include "zip/event_type.h"
#include "zip/recent.h"
#include "zeal_data.h"

#include "base/ban.h"

static zk_str text_at(const struct zk_json *j, const char *path)
{
	struct zk_error err;
	zk_str s = ZK_STR_NULL;

	cr_assert_eq(zk_json_get_str(j, path, &s, &err), 0, "%s", path);
	return s;
}

static bool in_list(const struct zk_json *list, zk_str want)
{
	ZK_JSON_EACH(e, list)
	{
		if (zk_str_eq(text_at(e, ""), want))
			return true;
	}
	return false;
}

Test(zip_pattern, sources)
{
	struct zk_json *all = zeal_table("events/patterns.json");

	ZK_JSON_EACH(e, zk_json_at(all, "event_sources"))
	{
		const char *got = zk_zip_event_source(zk_json_key(e));

		cr_expect(got && zk_str_eq(zk_str_of(got), text_at(e, "")), "%.*s",
		          ZK_STR_ARG(zk_json_key(e)));
	}
	cr_expect_null(zk_zip_event_source(ZK_STR("node.executing")));
	zk_json_free(all);
}

Test(zip_pattern, local_match)
{
	struct zk_json *all = zeal_table("events/patterns.json");
	size_t rows = 0;

	ZK_JSON_EACH(row, zk_json_at(all, "local_match"))
	{
		zk_str pattern = text_at(row, "pattern");

		rows++;
		ZK_JSON_EACH(e, zk_json_at(all, "event_sources"))
		{
			zk_str type = zk_json_key(e);

			cr_expect_eq(zk_zip_pattern_match(pattern, type),
			             in_list(zk_json_at(row, "matches"), type),
			             "%.*s on %.*s", ZK_STR_ARG(pattern),
			             ZK_STR_ARG(type));
		}
	}
	cr_expect_gt(rows, 5);
	zk_json_free(all);
}

Test(zip_pattern, translation)
{
	struct zk_json *all = zeal_table("events/patterns.json");
	size_t rows = 0;

	ZK_JSON_EACH(row, zk_json_at(all, "translation"))
	{
		zk_str user = text_at(row, "user");
		char *pattern = zk_strndup(user.p, user.n);
		const char *list[] = { pattern };
		struct zk_buf got, want;

		rows++;
		zk_buf_init(&got, 65536);
		zk_buf_init(&want, 65536);
		zk_zip_pattern_send(list, 1, &got);
		zk_json_print(zk_json_at(row, "send"), false, &want);
		cr_expect_str_eq(zk_buf_cstring(&got), zk_buf_cstring(&want), "%s",
		                 pattern);
		free(pattern);
		zk_buf_done(&got);
		zk_buf_done(&want);
	}
	cr_expect_gt(rows, 5);
	zk_json_free(all);
}

Test(zip_pattern, several_and_unknown)
{
	const char *two[] = { "node.added", "node.*", "my.own" };
	const char *all[] = { "node.*", "*" };
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	zk_zip_pattern_send(two, 3, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "[\"crdt.node.added\",\"crdt.node.deleted\","
	                                     "\"crdt.node.updated\",\"my.own\"]");
	zk_buf_clear(&b);
	zk_zip_pattern_send(all, 2, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "[\"*\"]");
	zk_buf_clear(&b);
	zk_zip_pattern_send(NULL, 0, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "[\"*\"]");
	zk_buf_done(&b);
}

static const struct {
	zk_str body;
	int n; /* events, -1 = no delivery */
	size_t skipped;
} bodies[] = {
	{ ZK_STR_INIT("{\"events\":[{\"id\":\"1\",\"type\":\"a\"},{\"type\":\"b\"}]}"), 2,
	  0 },
	{ ZK_STR_INIT("{\"events\":[]}"), 0, 0 },
	{ ZK_STR_INIT(
	          "{\"events\":[1,{\"type\":\"b\"},null,{\"type\":1},{\"type\":\"\"}]}"),
	  1, 4 },
	{ ZK_STR_INIT(" {\"type\":\"x\"} "), 1, 0 },
	{ ZK_STR_INIT("{\"type\":\"\"}"), -1, 0 },
	{ ZK_STR_INIT("{\"type\":7}"), -1, 0 },
	{ ZK_STR_INIT("{\"events\":{}}"), -1, 0 },
	{ ZK_STR_INIT("[]"), -1, 0 },
	{ ZK_STR_INIT("\"type\""), -1, 0 },
	{ ZK_STR_INIT("{"), -1, 0 },
	{ ZK_STR_INIT(""), -1, 0 },
	{ ZK_STR_INIT("{\"type\":\"\xff\"}"), -1, 0 },
};

Test(zip_delivery, every_form)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(bodies); i++) {
		struct zk_zip_delivery d;
		struct zk_zip_event ev;
		struct zk_error err = { 0 };
		int n = zk_zip_delivery_open(bodies[i].body, &d, &err) < 0 ? -1 : 0;

		while (n >= 0 && zk_zip_delivery_next(&d, &ev))
			n++;
		cr_expect_eq(n, bodies[i].n, "case %zu: %d", i, n);
		cr_expect_eq(d.skipped, bodies[i].skipped, "case %zu", i);
		if (n < 0)
			cr_expect_eq(err.code, ZK_E_DATA, "case %zu", i);
	}
}

Test(zip_delivery, fields_are_decoded)
{
	zk_str body = ZK_STR("{\"id\":\"a\\u0062\",\"type\":\"t\",\"workflowId\":\"w\","
	                     "\"nodeId\":5,\"sessionId\":\"s\"}");
	struct zk_zip_delivery d;
	struct zk_zip_event ev;
	struct zk_error err;
	struct zk_buf room;

	zk_buf_init(&room, 64);
	cr_assert_eq(zk_zip_delivery_open(body, &d, &err), 0);
	cr_assert(zk_zip_delivery_next(&d, &ev));
	cr_expect(zk_str_eq(zk_zip_event_text(&ev.id, &room), ZK_STR("ab")));
	cr_expect(zk_str_eq(zk_zip_event_text(&ev.workflow, &room), ZK_STR("w")));
	cr_expect_eq(zk_zip_event_text(&ev.node, &room).n, 0, "not a string");
	cr_expect(zk_str_eq(zk_zip_event_text(&ev.session, &room), ZK_STR("s")));
	cr_expect_not(zk_zip_delivery_next(&d, &ev));
	zk_buf_done(&room);
}

Test(zip_delivery, signature)
{
	struct zk_hmac_key key;
	zk_str body = ZK_STR("{\"type\":\"x\"}");
	struct zk_buf sig;

	zk_hmac_key_init(&key, ZK_STR("correct horse battery staple"));
	zk_buf_init(&sig, 256);
	zk_zip_signature(&key, body, &sig);
	cr_expect(zk_zip_signature_ok(&key, zk_buf_str(&sig), body));
	cr_expect_not(zk_zip_signature_ok(&key, zk_buf_str(&sig), ZK_STR("{}")));
	for (size_t i = 0; i < sig.n; i++) {
		sig.p[i] ^= 1;
		cr_expect_not(zk_zip_signature_ok(&key, zk_buf_str(&sig), body),
		              "byte %zu", i);
		sig.p[i] ^= 1;
		cr_expect_not(zk_zip_signature_ok(&key, zk_str_n(sig.p, i), body));
	}
	cr_expect_not(zk_zip_signature_ok(&key, ZK_STR_NULL, body));
	zk_buf_done(&sig);
	zk_hmac_key_done(&key);
}

Test(zip_recent, remembers_so_many_for_so_long)
{
	struct zk_zip_recent *s = zk_zip_recent_new(3, 100);

	cr_expect(zk_zip_recent_add(s, ZK_STR("a"), 0));
	cr_expect_not(zk_zip_recent_add(s, ZK_STR("a"), 99));
	cr_expect(zk_zip_recent_add(s, ZK_STR("a"), 100), "its time is over");
	cr_expect(zk_zip_recent_add(s, ZK_STR("b"), 101));
	cr_expect(zk_zip_recent_add(s, ZK_STR("c"), 102));
	cr_expect_not(zk_zip_recent_add(s, ZK_STR("a"), 103));
	cr_expect(zk_zip_recent_add(s, ZK_STR("d"), 104), "pushes the oldest out");
	cr_expect(zk_zip_recent_add(s, ZK_STR("a"), 105));
	cr_expect_not(zk_zip_recent_add(s, ZK_STR("d"), 106));
	zk_zip_recent_free(s);
}
