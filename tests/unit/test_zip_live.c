/* The session on a socket over tests/data/zeal/ws/session.ndjson, the frames of streams, graph
 * events out of snapshots (specs/zeal-zip.md §7). Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "zeal_data.h"
#include "zip/frame.h"
#include "zip/socket.h"
#include "zip/watch.h"

#include "base/ban.h"

/* ---- the session ---- */

struct peer {
	struct zk_zip_socket s;
	struct zk_buf sent, events; /* joined by '|' */
	unsigned opened, joined, bad, ended;
	enum zk_code code;
	char why[200];
};

static void put(struct zk_buf *b, zk_str s)
{
	if (b->n)
		zk_buf_char(b, '|');
	zk_buf_add(b, s);
}

static void on_send(void *ctx, zk_str m, bool binary)
{
	struct peer *p = ctx;

	put(&p->sent, binary ? ZK_STR("<binary>") : m);
}

static void on_open(void *ctx, const struct zk_eio_open *open)
{
	struct peer *p = ctx;

	cr_expect(open->sid[0]);
	p->opened++;
}

static void on_joined(void *ctx)
{
	((struct peer *)ctx)->joined++;
}

static void on_event(void *ctx, const struct zk_zip_socket_event *ev)
{
	struct peer *p = ctx;

	put(&p->events, ev->packet->name);
	for (unsigned i = 0; i < ev->packet->attachments; i++)
		put(&p->events, ev->attachments[i]);
}

static void on_bad(void *ctx, const struct zk_error *err)
{
	struct peer *p = ctx;

	cr_expect(err->msg[0]);
	p->bad++;
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct peer *p = ctx;

	p->ended++;
	p->code = err->code;
	memcpy(p->why, err->msg, sizeof(p->why) - 1);
}

static void start(struct peer *p, const char *connect)
{
	struct zk_zip_socket_conf conf = { .ctx = p,
		                           .connect = zk_str_of(connect),
		                           .max_bytes = 1000,
		                           .send = on_send,
		                           .on_open = on_open,
		                           .on_joined = on_joined,
		                           .on_event = on_event,
		                           .on_ack = on_event,
		                           .on_bad = on_bad,
		                           .on_end = on_end };

	memset(p, 0, sizeof(*p));
	zk_buf_init(&p->sent, 100000);
	zk_buf_init(&p->events, 100000);
	zk_zip_socket_init(&p->s, &conf, 0);
}

static void done(struct peer *p)
{
	zk_zip_socket_done(&p->s);
	zk_buf_done(&p->sent);
	zk_buf_done(&p->events);
}

static void text(struct peer *p, const char *message)
{
	zk_zip_socket_text(&p->s, zk_str_of(message), 0);
}

static void join(struct peer *p)
{
	text(p, "0{\"sid\":\"e\",\"pingInterval\":25000,\"pingTimeout\":20000}");
	text(p, "40{\"sid\":\"s\"}");
	cr_assert_eq(p->s.state, ZK_ZIP_SOCKET_JOINED);
	zk_buf_clear(&p->sent);
}

Test(zip_socket, whole_session)
{
	struct peer p;
	struct zk_jval dir, frame;
	struct zk_buf room, expected;
	struct zk_error err;
	size_t n;
	char *all = zeal_text("ws/session.ndjson", &n);
	zk_str rest = zk_str_n(all, n);

	start(&p, NULL);
	zk_buf_init(&room, 10000);
	zk_buf_init(&expected, 10000);
	while (rest.n) {
		zk_str line, f;

		rest = zk_str_cut(rest, '\n', &line);
		cr_assert(zk_jscan_get(line, ZK_STR("dir"), &dir));
		cr_assert(zk_jscan_get(line, ZK_STR("frame"), &frame));
		zk_buf_clear(&room);
		cr_assert_eq(zk_jstr_decode(frame.raw, ZK_JLONE_ERROR, &room, &err), 0);
		f = zk_buf_str(&room);
		if (zk_str_eq(dir.raw, ZK_STR("\"<\""))) {
			zk_zip_socket_text(&p.s, f, 0);
			continue;
		}
		/* What the owner says; the rest the session says by itself. */
		put(&expected, f);
		if (zk_str_starts(f, ZK_STR("42[\"auth\"")))
			zk_zip_socket_emit(&p.s, ZK_STR("auth"),
			                   zk_str_n(f.p + 10, f.n - 11), NULL, 0, false);
		else if (zk_str_starts(f, ZK_STR("42[\"runtime.event\"")))
			zk_zip_socket_emit(&p.s, ZK_STR("runtime.event"),
			                   zk_str_n(f.p + 19, f.n - 20), NULL, 0, false);
		else if (zk_str_eq(f, ZK_STR("41")))
			zk_zip_socket_leave(&p.s);
	}
	cr_expect_str_eq(zk_buf_cstring(&p.sent), zk_buf_cstring(&expected));
	cr_expect_str_eq(zk_buf_cstring(&p.events),
	                 "\"workflow.state\"|\"auth.success\"|\"zip.event\"|"
	                 "\"event.acknowledged\"");
	cr_expect_eq(p.opened, 1);
	cr_expect_eq(p.joined, 1);
	cr_expect_eq(p.bad, 0);
	cr_expect_eq(p.ended, 0);
	zk_buf_done(&room);
	zk_buf_done(&expected);
	free(all);
	done(&p);
}

Test(zip_socket, credentials_go_with_the_connect_packet)
{
	struct peer p;

	start(&p, "{\"token\":\"t\"}");
	text(&p, "0{\"sid\":\"e\"}");
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "40{\"token\":\"t\"}");
	done(&p);
}

Test(zip_socket, attachments)
{
	struct peer p;
	static const zk_str att[] = { ZK_STR_INIT("abc"), ZK_STR_INIT("") };

	start(&p, NULL);
	join(&p);
	text(&p, "452-[\"x\",{\"_placeholder\":true,\"num\":0}]");
	zk_zip_socket_binary(&p.s, att[0], 0);
	cr_expect_eq(p.events.n, 0, "it waits for the second one");
	zk_zip_socket_binary(&p.s, att[1], 0);
	cr_expect_str_eq(zk_buf_cstring(&p.events), "\"x\"|abc|");
	cr_expect_eq(p.bad, 0);
	zk_buf_clear(&p.events);
	zk_zip_socket_binary(&p.s, att[0], 0);
	cr_expect_eq(p.bad, 1, "one that nobody announced");
	text(&p, "451-[\"x\",1]");
	text(&p, "42[\"y\"]");
	cr_expect_eq(p.bad, 2, "one that did not come");
	cr_expect_str_eq(zk_buf_cstring(&p.events), "\"y\"");
	zk_zip_socket_emit(&p.s, ZK_STR("f"), ZK_STR("1"), att, 2, true);
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "452-0[\"f\",1]|<binary>|<binary>");
	text(&p, "430[\"ok\"]");
	cr_expect_str_eq(zk_buf_cstring(&p.events), "\"y\"|");
	done(&p);
}

Test(zip_socket, attachments_are_bounded)
{
	struct peer p;
	char big[1001] = { 0 };

	start(&p, NULL);
	join(&p);
	text(&p, "451-[\"x\"]");
	zk_zip_socket_binary(&p.s, zk_str_n(big, sizeof(big)), 0);
	cr_expect_eq(p.bad, 1);
	text(&p, "42[\"y\"]");
	cr_expect_str_eq(zk_buf_cstring(&p.events), "\"y\"");
	done(&p);
}

Test(zip_socket, malformed_packets_are_passed_over)
{
	static const char *const cases[] = {
		"", "9", "4", "42[]", "42[\"x\"", "4{}", "b", "0{\"sid\":\"again\"}"
	};
	struct peer p;

	start(&p, NULL);
	join(&p);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		text(&p, cases[i]);
		cr_expect_eq(p.bad, i + 1, "'%s'", cases[i]);
	}
	text(&p, "42[\"y\"]");
	cr_expect_str_eq(zk_buf_cstring(&p.events), "\"y\"");
	for (size_t i = 0; i < 100; i++)
		text(&p, "9");
	cr_expect_eq(p.ended, 1, "a peer that says nothing else is given up, once");
	cr_expect_eq(p.code, ZK_E_PROTOCOL);
	done(&p);
}

Test(zip_socket, other_namespaces_are_not_ours)
{
	struct peer p;

	start(&p, NULL);
	join(&p);
	text(&p, "42/admin,[\"x\"]");
	cr_expect_eq(p.events.n, 0);
	done(&p);
}

static const struct {
	const char *in;
	enum zk_code code;
} ends[] = {
	{ "41", ZK_E_TRANSFER },
	{ "1", ZK_E_TRANSFER },
	{ "44{\"message\":\"nope\"}", ZK_E_FORBIDDEN },
};

Test(zip_socket, ends)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(ends); i++) {
		struct peer p;

		start(&p, NULL);
		join(&p);
		text(&p, ends[i].in);
		cr_expect_eq(p.ended, 1, "%s", ends[i].in);
		cr_expect_eq(p.code, ends[i].code, "%s", ends[i].in);
		text(&p, "42[\"x\"]");
		cr_expect_eq(p.events.n, 0, "nothing comes after the end");
		done(&p);
	}
}

Test(zip_socket, heartbeat)
{
	struct peer p;

	start(&p, NULL);
	join(&p);
	text(&p, "2");
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "3");
	zk_zip_socket_tick(&p.s, false, 34999);
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "3");
	zk_zip_socket_tick(&p.s, false, 35000);
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "3|3", "the ping may wait behind much");
	zk_zip_socket_tick(&p.s, false, 44999);
	cr_expect_eq(p.ended, 0);
	zk_zip_socket_text(&p.s, ZK_STR("2"), 44999);
	zk_zip_socket_tick(&p.s, false, 89998);
	cr_expect_eq(p.ended, 0, "it was heard meanwhile");
	zk_zip_socket_tick(&p.s, false, 89999);
	cr_expect_eq(p.ended, 1, "45 s of silence are the end");
	done(&p);
}

Test(zip_socket, a_reader_that_pauses_is_alive)
{
	struct peer p;

	start(&p, NULL);
	join(&p);
	for (int64_t now = 1000; now <= 100000; now += 1000)
		zk_zip_socket_tick(&p.s, /* paused */ true, now);
	cr_expect_str_eq(zk_buf_cstring(&p.sent), "3|3|3|3",
	                 "a pong every 25 s, unasked");
	zk_zip_socket_tick(&p.s, false, 101000);
	cr_expect_eq(p.ended, 0, "its silence was ours");
	done(&p);
}

/* ---- frames ---- */

static size_t unhex(zk_str hex, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < hex.n; i += 2) {
		unsigned v = 0;

		for (size_t k = 0; k < 2; k++) {
			char c = hex.p[i + k];

			v = v * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
		}
		to[n++] = (char)v;
	}
	return n;
}

static zk_str member(const struct zk_json *j, const char *path)
{
	struct zk_error err;
	zk_str s = ZK_STR_NULL;

	ZK_IGNORE(zk_json_opt_str(j, path, &s, &err) < 0); /* empty then */
	return s;
}

Test(zip_frame, vectors)
{
	static const char *const types[] = { "", "begin", "data", "end", "error" };
	struct zk_json *all = zeal_table("ws/stream-frames.json");
	size_t rows = 0;

	ZK_JSON_EACH(e, all)
	{
		char bytes[256], payload[256];
		zk_str raw = zk_str_n(bytes, unhex(member(e, "hex"), bytes));
		zk_str want = zk_str_n(payload, unhex(member(e, "payload_hex"), payload));
		struct zk_zip_frame f;
		struct zk_error err = { 0 };
		struct zk_buf again;
		int r = zk_zip_frame_decode(raw, &f, &err);
		uint64_t id = 0;

		rows++;
		if (member(e, "error").n) {
			cr_expect_lt(r, 0);
			cr_expect(zk_str_find(zk_str_of(err.msg), member(e, "error")) >=
			                  0,
			          "'%s'", err.msg);
			continue;
		}
		cr_assert_eq(r, 0, "%s", err.msg);
		cr_expect(zk_str_eq(member(e, "type"), zk_str_of(types[f.type])));
		if (zk_json_get_u64(e, "streamId", &id, &err) == 0)
			cr_expect_eq(f.stream, id);
		if (want.n)
			cr_expect(zk_str_eq(f.payload, want));
		if (member(e, "message").n)
			cr_expect(zk_str_eq(f.payload, member(e, "message")));
		zk_buf_init(&again, 1000);
		zk_zip_frame_encode(&f, &again);
		cr_expect(zk_str_eq(zk_buf_str(&again), raw), "it is written as it was");
		zk_buf_done(&again);
	}
	cr_expect_eq(rows, 8);
	zk_json_free(all);
}

/* ---- graph events ---- */

static void on_change(void *ctx, zk_str event)
{
	struct zk_buf *b = ctx;
	static const char *const ids[] = { "nodeId", "connectionId", "groupId" };
	struct zk_jval v;
	struct zk_jscan js;

	cr_assert_eq(zk_jscan(event, 64, NULL, 0, &js), 0);
	cr_assert(zk_jscan_get(event, ZK_STR("source"), &v));
	cr_expect(zk_jstr_eq(v.raw, ZK_STR("zk-diff")));
	cr_assert(zk_jscan_get(event, ZK_STR("type"), &v));
	put(b, zk_str_n(v.raw.p + 1, v.raw.n - 2));
	for (size_t i = 0; i < ZK_ARRAY_LEN(ids); i++) {
		if (!zk_jscan_get(event, zk_str_of(ids[i]), &v))
			continue;
		zk_buf_char(b, ':');
		zk_buf_put(b, v.raw.p + 1, v.raw.n - 2);
	}
}

#define STATE(nodes, conns, groups)                                                     \
	"{\"workflowId\":\"w\",\"data\":{\"graphs\":[{\"id\":\"main\",\"nodes\":" nodes \
	",\"connections\":" conns ",\"groups\":" groups "}]}}"

Test(zip_watch, changes)
{
	static const struct {
		const char *state;
		enum zk_zip_seen seen;
		const char *events;
	} cases[] = {
		{ "{}", ZK_ZIP_SEEN_NOT, "" },
		{ STATE("[{\"id\":\"a\"}]", "[]", "[]"), ZK_ZIP_SEEN_FIRST, "" },
		{ STATE("[{\"id\":\"a\"}]", "[]", "[]"), ZK_ZIP_SEEN_SAME, "" },
		{ STATE("[{\"id\":\"a\"},{\"id\":\"b\"}]", "[{\"id\":\"c\"}]", "[]"),
		  ZK_ZIP_SEEN_CHANGED, "node.added:b|connection.added:c" },
		{ STATE("[{\"id\":\"a\",\"x\":1},{\"id\":\"b\"}]", "[{\"id\":\"c\"}]",
		        "[{\"id\":\"g\"}]"),
		  ZK_ZIP_SEEN_CHANGED, "node.updated:a|group.created:g" },
		/* A node that goes takes its connection with it, which is told first. */
		{ STATE("[{\"id\":\"a\",\"x\":1}]", "[]", "[{\"id\":\"g\",\"t\":1}]"),
		  ZK_ZIP_SEEN_CHANGED,
		  "connection.deleted:c|node.deleted:b|group.updated:g" },
		/* Objects by id, as some builds have them. */
		{ STATE("{\"k\":{\"id\":\"a\",\"x\":1}}", "{}", "[]"),
		  ZK_ZIP_SEEN_CHANGED, "group.deleted:g" },
		{ "{\"workflowId\":\"w\",\"data\":{\"graphs\":[]}}", ZK_ZIP_SEEN_CHANGED,
		  "node.deleted:a" },
		{ "{\"workflowId\":\"other\",\"data\":{\"graphs\":[]}}",
		  ZK_ZIP_SEEN_FIRST, "" },
	};
	struct zk_zip_watch *w = zk_zip_watch_new();
	struct zk_buf b;

	zk_buf_init(&b, 10000);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_buf_clear(&b);
		cr_expect_eq(
		        zk_zip_watch_state(w, zk_str_of(cases[i].state), on_change, &b),
		        cases[i].seen, "case %zu", i);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].events, "case %zu", i);
	}
	zk_buf_done(&b);
	zk_zip_watch_free(w);
}

#define UPDATE(type, data, ms)                                        \
	"{\"type\":\"" type                                           \
	"\",\"workflowId\":\"w\",\"graphId\":\"main\",\"data\":" data \
	",\"timestamp\":" #ms "}"

/* Snapshots and single changes tell each change once between them. */
Test(zip_watch, updates)
{
	static const struct {
		bool update;
		const char *json;
		const char *events;
		int64_t seen_ms;
	} cases[] = {
		/* Before the first snapshot everything is news, but a repeat. */
		{ true, UPDATE("node-added", "{\"id\":\"a\"}", 10), "node.added:a", 10 },
		{ true, UPDATE("node-added", "{\"id\":\"a\"}", 10), "", 10 },
		{ true, UPDATE("node-removed", "{\"nodeId\":\"old\"}", 11),
		  "node.deleted:old", 11 },
		{ false, STATE("[{\"id\":\"a\"},{\"id\":\"b\"}]", "[]", "[]"), "", 11 },
		{ true, UPDATE("node-updated", "{\"id\":\"b\",\"x\":1}", 12),
		  "node.updated:b", 12 },
		{ true, UPDATE("connection-added", "{\"id\":\"c\"}", 13),
		  "connection.added:c", 13 },
		{ true, UPDATE("group-created", "{\"id\":\"g\"}", 13), "group.created:g",
		  13 },
		{ true, UPDATE("node-removed", "{\"nodeId\":\"a\"}", 14),
		  "node.deleted:a", 14 },
		{ true, UPDATE("node-removed", "{\"nodeId\":\"a\"}", 14), "", 14 },
		/* The snapshot knows what was told, and more. */
		{ false,
		  STATE("[{\"id\":\"b\",\"x\":1},{\"id\":\"d\"}]", "[{\"id\":\"c\"}]",
		        "[{\"id\":\"g\"}]"),
		  "node.added:d", 14 },
		/* One that comes late is known. */
		{ true, UPDATE("node-added", "{\"id\":\"d\"}", 14), "", 14 },
		/* Back to what an earlier snapshot was: a change all the same. */
		{ true, UPDATE("node-removed", "{\"id\":\"d\"}", 15), "node.deleted:d",
		  15 },
		{ false,
		  STATE("[{\"id\":\"b\",\"x\":1},{\"id\":\"d\"}]", "[{\"id\":\"c\"}]",
		        "[{\"id\":\"g\"}]"),
		  "node.added:d", 15 },
		{ true, UPDATE("node-added", "{}", 99), "", 15 },
		{ true, UPDATE("edge-added", "{\"id\":\"e\"}", 99), "", 15 },
		{ true, "{\"type\":\"node-added\",\"data\":{\"id\":\"a\"}}", "", 15 },
	};
	struct zk_zip_watch *w = zk_zip_watch_new();
	struct zk_buf b;

	zk_buf_init(&b, 10000);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_str json = zk_str_of(cases[i].json);

		zk_buf_clear(&b);
		if (cases[i].update)
			(void)zk_zip_watch_update(w, json, on_change, &b);
		else
			ZK_IGNORE(zk_zip_watch_state(w, json, on_change, &b));
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].events, "case %zu", i);
		cr_expect_eq(zk_zip_watch_seen_ms(w, ZK_STR("w")), cases[i].seen_ms,
		             "case %zu", i);
	}
	cr_expect_eq(zk_zip_watch_seen_ms(w, ZK_STR("other")), 0);
	zk_buf_done(&b);
	zk_zip_watch_free(w);
}
