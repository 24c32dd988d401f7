/* Events, filters, positions, subscriptions (specs/jetstream.md §3, §8, §9, §10).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "jetstream/event.h"
#include "jetstream/filter.h"
#include "jetstream/item.h"
#include "jetstream/position.h"
#include "jetstream/source.h"

#include "base/ban.h"

static const struct {
	const char *did;
	uint64_t hash;
	unsigned of4, of7;
} vectors[] = {
	{ "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", UINT64_C(0xcc33eed24755e009), 1, 4 },
	{ "did:plc:tc4na5ad267o3td2rjb4jdgm", UINT64_C(0x0c4c4572603bf4a6), 2, 2 },
	{ "did:web:mira-x.fixture.test", UINT64_C(0x1f83feabfcffec6d), 1, 0 },
	{ "did:plc:psmsa7aph3qsmhpwadrkvayb", UINT64_C(0x77c9fb841c13ebd0), 0, 2 },
};

Test(jet_event, shard_vectors)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(vectors); i++) {
		uint64_t h = zk_jet_did_hash(zk_str_of(vectors[i].did));

		cr_expect_eq(h, vectors[i].hash, "%s", vectors[i].did);
		cr_expect_eq(h % 4, vectors[i].of4);
		cr_expect_eq(h % 7, vectors[i].of7);
	}
}

static const struct {
	const char *text;
	enum zk_jet_dead dead;
} frames[] = {
	{ "{\"did\":\"did:x:y\",\"kind\":\"identity\"}", ZK_JET_ALIVE },
	{ "{\"did\":\"did:x:y\",\"time_us\":null}", ZK_JET_ALIVE },
	{ "{\"did\":\"did:x:y\",\"commit\":null,\"kind\":\"commit\"}", ZK_JET_ALIVE },
	{ "{\"did\":\"did:x:y\",\"kind\":5}", ZK_JET_DEAD_BAD_MEMBER },
	{ "{\"did\":\"did:x:y\",\"time_us\":1.5}", ZK_JET_DEAD_BAD_MEMBER },
	{ "{\"did\":\"did:x:y\",\"time_us\":-1}", ZK_JET_DEAD_BAD_MEMBER },
	{ "{\"did\":\"did:x:y\",\"commit\":[]}", ZK_JET_DEAD_BAD_MEMBER },
	{ "{\"did\":\"x\"}", ZK_JET_DEAD_NO_DID },
	{ "{\"did\":7}", ZK_JET_DEAD_NO_DID },
	{ "[]", ZK_JET_DEAD_JSON },
	{ "", ZK_JET_DEAD_JSON },
	{ "{\"error\":\"x\"}", ZK_JET_CONTROL },
	{ "{\"error\":\"x\",\"kind\":\"k\",\"did\":\"did:x:y\"}", ZK_JET_ALIVE },
};

Test(jet_event, verdicts)
{
	struct zk_jet_decoder d;

	zk_jet_decoder_init(&d, true);
	for (size_t i = 0; i < ZK_ARRAY_LEN(frames); i++) {
		struct zk_jet_event e;

		cr_expect_eq(zk_jet_decode(&d, zk_str_of(frames[i].text), &e),
		             frames[i].dead, "%s", frames[i].text);
	}
	zk_jet_decoder_done(&d);
}

/* The children of the last `commit` count, not those of an earlier one. */
Test(jet_event, last_duplicate_wins)
{
	static const char text[] =
	        "{\"did\":\"did:x:y\",\"kind\":\"commit\",\"commit\":{\"rkey\":\"a\","
	        "\"record\":"
	        "{\"text\":\"t\",\"langs\":[\"en\"]}},\"commit\":{\"operation\":"
	        "\"create\","
	        "\"collection\":\"c\",\"rkey\":\"\\u0062\",\"record\":{\"text\":\"u\"}},"
	        "\"x\":{\"commit\":{\"rkey\":\"no\"}}}";
	struct zk_jet_decoder d;
	struct zk_jet_event e;
	struct zk_buf b;

	zk_jet_decoder_init(&d, true);
	zk_buf_init(&b, 1000);
	cr_assert_eq(zk_jet_decode(&d, ZK_STR(text), &e), ZK_JET_ALIVE);
	cr_expect(zk_str_eq(e.rkey, ZK_STR("b")));
	cr_expect(zk_str_eq(e.text.raw, ZK_STR("\"u\"")));
	cr_expect_eq(e.langs.raw.n, 0);
	cr_expect(zk_jet_at_uri(&e, &b));
	cr_expect(zk_str_eq(zk_buf_str(&b), ZK_STR("at://did:x:y/c/b")));
	zk_buf_done(&b);
	zk_jet_decoder_done(&d);
}

/* ---- the short way for commits as the servers write them ---- */

static void expect_same(zk_str a, zk_str b, zk_str text)
{
	cr_assert(a.n == b.n && (a.p == b.p || !a.n), "%.*s", ZK_STR_ARG(text));
}

/* Read on both ways, whatever it is: there is no difference. True when the short one was taken. */
static bool read_twice(struct zk_jet_decoder *d, zk_str text)
{
	struct zk_jet_event a, b, ignored;

	d->thorough = false;
	enum zk_jet_dead x = zk_jet_decode(d, text, &a);

	d->thorough = true;
	cr_assert_eq(x, zk_jet_decode(d, text, &b), "%.*s", ZK_STR_ARG(text));
	if (d->text.n) /* texts that were decoded lie elsewhere now */
		return false;
	expect_same(a.raw, b.raw, text);
	expect_same(a.did, b.did, text);
	expect_same(a.kind_text, b.kind_text, text);
	expect_same(a.op_text, b.op_text, text);
	expect_same(a.collection, b.collection, text);
	expect_same(a.rkey, b.rkey, text);
	expect_same(a.rev, b.rev, text);
	expect_same(a.record.raw, b.record.raw, text);
	expect_same(a.error, b.error, text);
	cr_assert(a.kind == b.kind && a.op == b.op && a.active == b.active &&
	                  a.has_time == b.has_time && a.time_us == b.time_us &&
	                  a.has_cursor == b.has_cursor && a.cursor == b.cursor &&
	                  a.record.type == b.record.type &&
	                  a.record.has_space == b.record.has_space,
	          "%.*s", ZK_STR_ARG(text));
	return zk_jet_decode_usual(text, &ignored);
}

static const char *const usual[] = {
	"{\"did\":\"did:x:y\",\"time_us\":1767225600001617,\"cursor\":5,\"kind\":"
	"\"commit\","
	"\"commit\":{\"rev\":\"r\",\"operation\":\"delete\",\"collection\":\"a.b.c\","
	"\"rkey\":\"k\"}}",
	"{\"did\":\"did:x:y\",\"time_us\":0,\"kind\":\"commit\",\"commit\":{\"rev\":\"\","
	"\"operation\":\"create\",\"collection\":\"a.b.c\",\"rkey\":\"k\",\"record\":"
	"{\"text\":\"\\u00e4\",\"langs\":[ \"en\",{}]},\"cid\":\"bafy\"}}",
};

/* Every byte of them replaced, left out or doubled, and every beginning. */
Test(jet_event, usual_commits)
{
	static const char others[] = " \"\\{}[]:,0x\n\x80\0";
	struct zk_jet_decoder d;

	zk_jet_decoder_init(&d, /* records */ false);
	for (size_t i = 0; i < ZK_ARRAY_LEN(usual); i++) {
		size_t n = strlen(usual[i]);
		char text[512];

		cr_expect(read_twice(&d, zk_str_of(usual[i])), "%s", usual[i]);
		for (size_t at = 0; at < n; at++) {
			memcpy(text, usual[i], n);
			for (size_t k = 0; k < sizeof(others) - 1; k++) {
				text[at] = others[k];
				(void)read_twice(&d, zk_str_n(text, n));
			}
			memcpy(text + at, usual[i] + at + 1, n - at - 1);
			(void)read_twice(&d, zk_str_n(text, n - 1));
			memcpy(text + at + 1, usual[i] + at, n - at);
			text[at] = usual[i][at];
			(void)read_twice(&d, zk_str_n(text, n + 1));
			(void)read_twice(&d, zk_str_n(usual[i], at));
		}
	}
	zk_jet_decoder_done(&d);
}

static const struct {
	const char *text;
	enum zk_jet_pos_kind kind; /* NONE = an error */
	int64_t time_us;
	uint64_t seq;
} positions[] = {
	{ "live", ZK_JET_POS_LIVE, 0, 0 },
	{ "-15m", ZK_JET_POS_TIME, 1767225600000000 - INT64_C(900000000), 0 },
	{ "2026-01-01T00:00:00Z", ZK_JET_POS_TIME, 1767225600000000, 0 },
	{ "2026-01-01T00:00Z", ZK_JET_POS_TIME, 1767225600000000, 0 },
	{ "2026-01-01", ZK_JET_POS_TIME, 1767225600000000, 0 },
	{ "1767225600000001", ZK_JET_POS_TIME, 1767225600000001, 0 },
	{ "5000001", ZK_JET_POS_SEQ, 0, 5000001 },
	{ "seq:1767225600", ZK_JET_POS_SEQ, 0, 1767225600 },
	{ "1767225600", ZK_JET_POS_NONE, 0, 0 },    /* seconds? */
	{ "1767225600000", ZK_JET_POS_NONE, 0, 0 }, /* milliseconds? */
	{ "yesterday", ZK_JET_POS_NONE, 0, 0 },
	{ "seq:x", ZK_JET_POS_NONE, 0, 0 },
};

Test(jet_event, positions)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(positions); i++) {
		struct zk_jet_pos p = { 0 };
		struct zk_error err = { 0 };
		int r = zk_jet_pos_parse(zk_str_of(positions[i].text), 1767225600000000,
		                         &p, &err);

		cr_expect_eq(r < 0, positions[i].kind == ZK_JET_POS_NONE, "%s",
		             positions[i].text);
		cr_expect_eq(p.kind, positions[i].kind, "%s", positions[i].text);
		cr_expect_eq(p.time_us, positions[i].time_us, "%s", positions[i].text);
		cr_expect_eq(p.seq, positions[i].seq, "%s", positions[i].text);
	}
}

Test(jet_event, cursor_on_reconnect)
{
	struct zk_jet_place p = { .host = "a", .seq = 7, .time_us = 1767225600000000 };
	uint64_t c = 0;

	cr_expect(zk_jet_cursor_for(&p, "a", &c) && c == 7);
	cr_expect(zk_jet_cursor_for(&p, "b", &c) && c == 1767225600000000 - 15000000);
	p.seq = 0;
	cr_expect(zk_jet_cursor_for(&p, "a", &c) && c == 1767225600000000 - 2000000);
	p.time_us = 0;
	cr_expect_not(zk_jet_cursor_for(&p, "a", &c));
}

static const struct {
	const char *text;
	bool nsid, did;
} forms[] = {
	{ "app.bsky.feed.post", true, false }, { "app.bsky.graph.*", true, false },
	{ "app.bsky.fo*", false, false },      { "post", false, false },
	{ "did:plc:abc", false, true },        { "did:web:x.test%3A80", false, true },
	{ "did:plc:", false, false },          { "did:PLC:a", false, false },
	{ "did:plc:a b", false, false },       { "did:plc:a:", false, false },
};

Test(jet_event, forms)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(forms); i++) {
		cr_expect_eq(zk_jet_nsid_ok(zk_str_of(forms[i].text)), forms[i].nsid,
		             "%s", forms[i].text);
		cr_expect_eq(zk_jet_did_ok(zk_str_of(forms[i].text)), forms[i].did, "%s",
		             forms[i].text);
	}
	cr_expect_eq(zk_jet_uri_kind(ZK_STR("at://did:plc:a/app.bsky.feed.post/k")),
	             ZK_JET_URI_POST);
	cr_expect_eq(zk_jet_uri_kind(ZK_STR("at://h.test/app.bsky.feed.like/k")),
	             ZK_JET_URI_OTHER);
	cr_expect_eq(zk_jet_uri_kind(ZK_STR("at://nohandle/app.bsky.feed.post/k")),
	             ZK_JET_URI_BAD);
	cr_expect_eq(zk_jet_uri_kind(ZK_STR("https://x")), ZK_JET_URI_BAD);
}

Test(jet_event, subscriptions)
{
	char *collections[] = { (char *)"app.bsky.feed.post",
		                (char *)"app.bsky.graph.*" };
	char *dids[] = { (char *)"did:plc:abc" };
	char *kinds[] = { (char *)"identity" };
	struct zk_jet_filter_conf conf = {
		.collections = collections, .n_collections = 2, .dids = dids, .n_dids = 1
	};
	struct zk_jet_filter f;
	struct zk_error err = { 0 };
	struct zk_jet_subscription s = { .base = "wss://h",
		                         .filter = &f,
		                         .has_cursor = true,
		                         .cursor = 9,
		                         .compress = true };
	struct zk_buf b;

	zk_buf_init(&b, 100000);
	cr_assert_eq(zk_jet_filter_init(&f, &conf, &err), 0, "%s", err.msg);
	zk_jet_subscription_url(&s, &b);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "wss://h/subscribe?wantedCollections=app.bsky.feed.post"
	        "&wantedCollections=app.bsky.graph.%2A&wantedDids=did%3Aplc%3Aabc"
	        "&cursor=9&compress=true");
	zk_buf_clear(&b);
	zk_jet_options_update(&f, 5, &b);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"type\":\"options_update\",\"payload\":{\"wantedCollections\":["
	        "\"app.bsky.feed.post\",\"app.bsky.graph.*\"],\"wantedDids\":["
	        "\"did:plc:abc\"],\"maxMessageSizeBytes\":5}}");
	zk_jet_filter_done(&f);
	/* The second wire refuses collections when no commit is wanted. */
	conf.kinds = kinds;
	conf.n_kinds = 1;
	cr_assert_eq(zk_jet_filter_init(&f, &conf, &err), 0, "%s", err.msg);
	zk_buf_clear(&b);
	s.v2 = true;
	s.dictionary = 20260811;
	zk_jet_subscription_url(&s, &b);
	cr_expect_str_eq(zk_buf_cstring(&b),
	                 "wss://h/xrpc/network.bsky.jetstream.subscribeEvents?cursor=9"
	                 "&kinds=identity&dids=did%3Aplc%3Aabc&zstdDictionary=20260811");
	zk_jet_filter_done(&f);
	zk_buf_done(&b);
}
