/* Packets of Engine.IO and Socket.IO over tests/data/zeal/ws/packets.json, and the splitting of
 * bodies at every place (specs/zeal-zip.md §7.1). Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/eio.h"
#include "codec/sio.h"
#include "zeal_data.h"

#include "base/ban.h"

static zk_str text_at(const struct zk_json *j, const char *path)
{
	struct zk_error err;
	zk_str s = ZK_STR_NULL;

	ZK_IGNORE(zk_json_get_str(j, path, &s, &err) < 0); /* not there: empty */
	return s;
}

static int64_t number_at(const struct zk_json *j, const char *path, int64_t missing)
{
	struct zk_error err;
	int64_t v;

	return zk_json_get_i64(j, path, &v, &err) < 0 ? missing : v;
}

/* Decodes both layers. */
static int decode(zk_str raw, struct zk_eio_packet *e, struct zk_sio_packet *s,
                  struct zk_error *err)
{
	if (zk_eio_decode(raw, e, err) < 0)
		return -1;
	if (e->type != ZK_EIO_MESSAGE)
		return 0;
	return zk_sio_decode(e->data, NULL, 0, s, err);
}

static const char *const engines[] = { "open",    "close",   "ping", "pong",
	                               "message", "upgrade", "noop", "binary" };
static const char *const packets[] = { "connect",   "disconnect",    "event",
	                               "ack",       "connect_error", "binary_event",
	                               "binary_ack" };

static void check_good(const struct zk_json *e, zk_str raw)
{
	struct zk_eio_packet eio = { 0 };
	struct zk_sio_packet sio = { .nsp = ZK_STR("/") };
	struct zk_error err = { 0 };
	zk_str want;

	cr_expect_eq(decode(raw, &eio, &sio, &err), 0, "%.*s: %s", ZK_STR_ARG(raw),
	             err.msg);
	cr_expect(zk_str_eq(text_at(e, "engine"), zk_str_of(engines[eio.type])), "%.*s",
	          ZK_STR_ARG(raw));
	want = text_at(e, "packet");
	if (!want.n) {
		cr_expect(zk_str_eq(eio.data, text_at(e, "data")), "%.*s",
		          ZK_STR_ARG(raw));
		return;
	}
	cr_expect(zk_str_eq(want, zk_str_of(packets[sio.type])), "%.*s", ZK_STR_ARG(raw));
	want = text_at(e, "nsp");
	cr_expect(zk_str_eq(sio.nsp, want.n ? want : ZK_STR("/")), "%.*s",
	          ZK_STR_ARG(raw));
	want = text_at(e, "event");
	cr_expect(want.n ? zk_sio_is(&sio, want) : !sio.name.n, "%.*s", ZK_STR_ARG(raw));
	cr_expect_eq(sio.has_id ? (int64_t)sio.id : -1, number_at(e, "id", -1), "%.*s",
	             ZK_STR_ARG(raw));
	cr_expect_eq((int64_t)sio.attachments, number_at(e, "attachments", 0), "%.*s",
	             ZK_STR_ARG(raw));
}

static void check_bad(zk_str raw, zk_str why)
{
	struct zk_eio_packet eio;
	struct zk_sio_packet sio;
	struct zk_error err = { 0 };

	cr_expect_lt(decode(raw, &eio, &sio, &err), 0, "'%.*s' was taken",
	             ZK_STR_ARG(raw));
	cr_expect_eq(err.code, ZK_E_PROTOCOL);
	/* Each word of the fixture's reason. */
	while (why.n) {
		zk_str word;

		why = zk_str_cut(why, ' ', &word);
		cr_expect(zk_str_find(zk_str_of(err.msg), word) >= 0 ||
		                  zk_str_eq(word, ZK_STR("event")),
		          "'%.*s': '%s' lacks '%.*s'", ZK_STR_ARG(raw), err.msg,
		          ZK_STR_ARG(word));
	}
}

Test(sio, vectors)
{
	struct zk_json *all = zeal_table("ws/packets.json");
	size_t n = 0;

	ZK_JSON_EACH(e, zk_json_at(all, "decode"))
	{
		zk_str raw = text_at(e, "raw"), why = text_at(e, "error");

		n++;
		if (why.n)
			check_bad(raw, why);
		else
			check_good(e, raw);
	}
	cr_expect_eq(n, 20);
	zk_json_free(all);
}

Test(sio, open_packet)
{
	struct zk_json *all = zeal_table("ws/packets.json");
	zk_str raw = text_at(all, "engine_open.raw");
	struct zk_eio_open o;
	struct zk_error err;

	cr_assert_eq(zk_eio_open_parse(zk_str_from(raw, 1), &o, &err), 0, "%s", err.msg);
	cr_expect_str_eq(o.sid, "lv_VI97HAXpY6yYWAAAC");
	cr_expect(o.websocket);
	cr_expect_eq(o.ping_interval_ms, 25000);
	cr_expect_eq(o.ping_timeout_ms, 20000);
	cr_expect_eq(o.max_payload, 1000000);
	zk_json_free(all);
}

Test(sio, open_packets_that_are_none)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{}",
		"{\"sid\":1}",
		"{\"sid\":\"a b\"}",
		"{\"sid\":\"a&x=1\"}",
		"{\"sid\":\"a\",\"pingInterval\":0}",
		"{\"sid\":\"a\",\"pingTimeout\":-1}",
		"{\"sid\":\"a\",\"pingTimeout\":1e99}",
		"{\"sid\":\"a\"",
	};
	struct zk_eio_open o;
	struct zk_error err;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_lt(zk_eio_open_parse(zk_str_of(cases[i]), &o, &err), 0, "%s",
		             cases[i]);
}

Test(sio, arguments)
{
	static const struct {
		const char *in;
		const char *name, *arg;
		size_t n;
	} cases[] = {
		{ "2[\"x\",{\"a\":[1,2]}]", "x", "{\"a\":[1,2]}", 1 },
		{ "2[\"x\",1,2,3]", "x", "1", 3 },
		{ "2[\"x\"]", "x", "", 0 },
		{ "2[\"x\\u0079\",null]", "xy", "null", 1 },
		{ "2 [ \"x\" , \"]\" ] ", "x", "\"]\"", 1 },
		{ "2[\"\xc3\xa9\",[]]", "\xc3\xa9", "[]", 1 },
		{ "2[7,true]", "7", "true", 1 },
		{ "3012[1]", "", "1", 1 },
	};
	struct zk_jwant want = { .name = ZK_STR_INIT("a") };
	struct zk_buf room;
	struct zk_error err;

	zk_buf_init(&room, 100);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_sio_packet p;

		cr_assert_eq(zk_sio_decode(zk_str_of(cases[i].in), &want, 1, &p, &err), 0,
		             "%s: %s", cases[i].in, err.msg);
		cr_expect(zk_str_eq(zk_sio_name(&p, &room), zk_str_of(cases[i].name)),
		          "%s", cases[i].in);
		cr_expect(zk_str_eq(p.arg.raw, zk_str_of(cases[i].arg)), "%s",
		          cases[i].in);
		cr_expect_eq(p.n_args, cases[i].n, "%s", cases[i].in);
		cr_expect_eq(want.val.type, i == 0 ? ZK_J_ARRAY : ZK_J_NONE, "%s",
		             cases[i].in);
	}
	zk_buf_done(&room);
}

Test(sio, malformed)
{
	static const char *const cases[] = {
		"2[\"x\",]",
		"2[\"x\",1],[2]",
		"2[\"x\" 1]",
		"2[{}]",
		"2[\"x\",\"\xff\"]",
		"5[\"x\"]",
		"5-[\"x\"]",
		"565-[\"x\"]",
		"51[\"x\"]",
		"7[]",
		"2",
		"3{}",
		"0{",
		"2[\"x\",1]]",
		"41234567890123456[1]",
		"31234567890123456[1]",
	};
	struct zk_sio_packet p;
	struct zk_error err;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_lt(zk_sio_decode(zk_str_of(cases[i]), NULL, 0, &p, &err), 0,
		             "%s", cases[i]);
}

Test(sio, encoded_and_decoded)
{
	static const struct zk_sio_out cases[] = {
		{ .type = ZK_SIO_EVENT,
		  .name = ZK_STR_INIT("a\"b"),
		  .json = ZK_STR_INIT("{}") },
		{ .type = ZK_SIO_EVENT, .name = ZK_STR_INIT("x") },
		{ .type = ZK_SIO_BINARY_EVENT,
		  .attachments = 2,
		  .name = ZK_STR_INIT("x"),
		  .json = ZK_STR_INIT("1,2") },
		{ .type = ZK_SIO_EVENT,
		  .nsp = ZK_STR_INIT("/admin"),
		  .has_id = true,
		  .id = 12,
		  .name = ZK_STR_INIT("x") },
		{ .type = ZK_SIO_CONNECT, .json = ZK_STR_INIT("{\"token\":\"t\"}") },
		{ .type = ZK_SIO_DISCONNECT },
		{ .type = ZK_SIO_ACK,
		  .has_id = true,
		  .id = 0,
		  .json = ZK_STR_INIT("[]") },
	};
	struct zk_buf b, room;
	struct zk_error err;

	zk_buf_init(&b, 1000);
	zk_buf_init(&room, 100);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		const struct zk_sio_out *o = &cases[i];
		struct zk_sio_packet p;

		zk_buf_clear(&b);
		zk_sio_encode(o, &b);
		cr_assert_eq(b.p[0], '4');
		cr_assert_eq(
		        zk_sio_decode(zk_str_from(zk_buf_str(&b), 1), NULL, 0, &p, &err),
		        0, "case %zu: %s", i, err.msg);
		cr_expect_eq(p.type, o->type);
		cr_expect_eq(p.attachments, o->attachments);
		cr_expect(zk_str_eq(p.nsp, o->nsp.n ? o->nsp : ZK_STR("/")));
		cr_expect_eq(p.has_id, o->has_id);
		cr_expect_eq(p.id, o->id);
		cr_expect(zk_str_eq(zk_sio_name(&p, &room), o->name), "case %zu", i);
	}
	zk_buf_done(&b);
	zk_buf_done(&room);
}

Test(sio, attachments_in_their_places)
{
	static const zk_str att[] = { ZK_STR_INIT("hello"), ZK_STR_INIT("") };
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_sio_fill(
	        ZK_STR("{\"a\":{\"_placeholder\":true,\"num\":0},\"b\":[{\"num\":1,"
	               "\"_placeholder\":true}],\"c\":{\"_placeholder\":true,\"num\":2},"
	               "\"d\":\"{\\\"_placeholder\\\":true,\\\"num\\\":0}\"}"),
	        att, 2, &b);
	cr_expect_str_eq(zk_buf_cstring(&b),
	                 "{\"a\":{\"base64\":\"aGVsbG8=\"},\"b\":[{\"base64\":\"\"}],"
	                 "\"c\":{\"_placeholder\":true,\"num\":2},"
	                 "\"d\":\"{\\\"_placeholder\\\":true,\\\"num\\\":0}\"}");
	zk_buf_done(&b);
}

/* Feeds a body in pieces of `step` bytes; the packets joined by '|'. */
static void split(zk_str body, size_t step, struct zk_buf *out)
{
	struct zk_eio_split s;
	zk_str packet;

	zk_eio_split_init(&s, 1000);
	for (size_t at = 0; at < body.n; at += step) {
		size_t n = ZK_MIN(step, body.n - at);
		char *piece = zk_strndup(body.p + at, n);
		zk_str chunk = zk_str_n(piece, n);

		while (zk_eio_split_next(&s, &chunk, &packet)) {
			zk_buf_add(out, packet);
			zk_buf_char(out, '|');
		}
		cr_expect_eq(chunk.n, 0);
		free(piece);
	}
	if (zk_eio_split_last(&s, &packet))
		zk_buf_add(out, packet);
	cr_expect(!zk_eio_split_failed(&s));
	zk_eio_split_done(&s);
}

Test(sio, bodies_in_every_chunking)
{
	struct zk_json *all = zeal_table("ws/packets.json");

	ZK_JSON_EACH(e, zk_json_at(all, "polling"))
	{
		zk_str body = text_at(e, "payload");
		struct zk_buf whole, part;
		int64_t n = 1;

		zk_buf_init(&whole, 1000);
		zk_buf_init(&part, 1000);
		split(body, body.n, &whole);
		for (size_t i = 0; i < whole.n; i++)
			n += whole.p[i] == '|';
		cr_expect_eq(n, number_at(e, "packets", -1));
		for (size_t step = 1; step < body.n; step++) {
			zk_buf_clear(&part);
			split(body, step, &part);
			cr_expect(zk_str_eq(zk_buf_str(&part), zk_buf_str(&whole)),
			          "step %zu", step);
		}
		zk_buf_done(&whole);
		zk_buf_done(&part);
	}
	zk_json_free(all);
}

Test(sio, packets_that_are_too_large)
{
	struct zk_eio_split s;
	zk_str chunk = ZK_STR("42[\"x\"]"), packet;

	zk_eio_split_init(&s, 4);
	cr_expect(!zk_eio_split_next(&s, &chunk, &packet));
	cr_expect(zk_eio_split_failed(&s));
	zk_eio_split_done(&s);
}

Test(sio, joined_bodies)
{
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_eio_join(&b, ZK_STR("42[\"a\"]"), false);
	zk_eio_join(&b, ZK_STR("\x02*"), true);
	cr_expect_str_eq(zk_buf_cstring(&b), "42[\"a\"]\x1e"
	                                     "bAio=");
	zk_buf_done(&b);
}

Test(sio, refusals)
{
	cr_expect_eq(zk_eio_refusal(ZK_STR("{\"code\":1,\"message\":\"x\"}")), 1);
	cr_expect_eq(zk_eio_refusal(ZK_STR("<html>")), -1);
	cr_expect_eq(zk_eio_refusal(ZK_STR("{\"code\":100}")), -1);
	cr_expect_str_eq(zk_eio_refusal_text(1), "unknown session");
	cr_expect_null(zk_eio_refusal_text(77));
	cr_expect_null(zk_eio_refusal_text(-1));
}
