/* The WebSocket client of src/net, steered by lines: ws_client.mjs makes connections with it to
 * `ws` from npm and to servers that misbehave on purpose. Not a test by itself.
 *
 *	ws_client '{"url":…, "headers":[…], "protocol":…, "max_message":N, "connect_ms":N,
 *	            "ping_after_ms":N, "pong_within_ms":N, "ca_file":…, "tls_verify":bool, "proxy":…}'
 * stdin, one command per line: send TEXT | bytes N | pause | resume | close CODE | abort |
 *	silence | quit
 * stdout, one event per line: {"ev":"open"|"message"|"too_big"|"end"|"silence"|"error"|…, …}
 * Layer: tests. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "net/net.h"
#include "net/ws.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

static struct zk_loop *loop;
static struct zk_ws *ws;
static bool abort_on_message;

static void emit(cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	printf("%s\n", text);
	(void)fflush(stdout);
	free(text);
	cJSON_Delete(o);
}

static cJSON *event(const char *name)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "ev", name);
	return o;
}

static void add_text(cJSON *o, const char *key, zk_str s)
{
	bool shown = s.n && zk_utf8_valid(s);
	char *text = zk_strndup(shown ? s.p : "", shown ? ZK_MIN(s.n, (size_t)200) : 0);

	cJSON_AddStringToObject(o, key, text);
	free(text);
}

static void add_error(cJSON *o, const struct zk_error *err)
{
	cJSON_AddNumberToObject(o, "code", err->code);
	cJSON_AddBoolToObject(o, "retryable", err->retryable);
	cJSON_AddNumberToObject(o, "retry_after_ms", (double)err->retry_after_ms);
	cJSON_AddStringToObject(o, "msg", err->msg);
	cJSON_AddStringToObject(o, "why", err->why);
	cJSON_AddStringToObject(o, "where", err->where);
}

static void on_open(void *ctx, const struct zk_ws_hello *h)
{
	cJSON *o = event("open");

	(void)ctx;
	add_text(o, "protocol", h->protocol);
	cJSON_AddNumberToObject(o, "date", (double)h->date_s);
	emit(o);
}

static void on_message(void *ctx, zk_str m, bool binary)
{
	cJSON *o = event("message");

	(void)ctx;
	cJSON_AddBoolToObject(o, "binary", binary);
	cJSON_AddNumberToObject(o, "n", (double)m.n);
	cJSON_AddNumberToObject(o, "crc", zk_crc32(0, m));
	cJSON_AddBoolToObject(o, "utf8", zk_utf8_valid(m));
	add_text(o, "text", m);
	emit(o);
	if (abort_on_message) {
		zk_ws_abort(ws);
		ws = NULL;
		emit(event("aborted"));
	}
}

static void on_too_big(void *ctx, zk_str head)
{
	cJSON *o = event("too_big");

	(void)ctx;
	cJSON_AddNumberToObject(o, "n", (double)head.n);
	emit(o);
}

static void on_end(void *ctx, const struct zk_ws_end *end)
{
	cJSON *o = event("end"), *e = cJSON_AddObjectToObject(o, "err");

	(void)ctx;
	cJSON_AddBoolToObject(o, "opened", end->opened);
	cJSON_AddBoolToObject(o, "by_peer", end->by_peer);
	cJSON_AddNumberToObject(o, "close", end->code);
	add_text(o, "reason", end->reason);
	cJSON_AddNumberToObject(o, "status", end->http_status);
	add_text(o, "body", end->body);
	add_error(e, end->err);
	emit(o);
	ws = NULL;
}

static void say(const struct zk_error *err)
{
	cJSON *o = event("error");

	add_error(o, err);
	emit(o);
}

static uint64_t number(zk_str s)
{
	struct zk_error err;
	uint64_t n = 0;

	ZK_IGNORE(zk_parse_u64(s, &n, &err) < 0); /* 0 then */
	return n;
}

static void send_bytes(size_t n)
{
	struct zk_error err;
	char *p = zk_alloc(n + 1);

	memset(p, 'x', n);
	if (zk_ws_send(ws, zk_str_n(p, n), true, &err) < 0)
		say(&err);
	free(p);
}

static void obey(zk_str cmd, zk_str arg)
{
	struct zk_error err;
	cJSON *o;

	if (zk_str_eq(cmd, ZK_STR("send"))) {
		if (zk_ws_send(ws, arg, false, &err) < 0)
			say(&err);
	} else if (zk_str_eq(cmd, ZK_STR("bytes"))) {
		send_bytes(number(arg));
	} else if (zk_str_eq(cmd, ZK_STR("pause"))) {
		zk_ws_pause(ws);
	} else if (zk_str_eq(cmd, ZK_STR("resume"))) {
		zk_ws_resume(ws);
	} else if (zk_str_eq(cmd, ZK_STR("close"))) {
		zk_ws_close(ws, (unsigned)number(arg), ZK_STR("bye"));
	} else if (zk_str_eq(cmd, ZK_STR("abort"))) {
		zk_ws_abort(ZK_TAKE(ws));
		emit(event("aborted"));
	} else if (zk_str_eq(cmd, ZK_STR("abort_on_message"))) {
		abort_on_message = true;
	} else if (zk_str_eq(cmd, ZK_STR("silence"))) {
		o = event("silence");
		cJSON_AddNumberToObject(o, "ms", (double)zk_ws_silence_ms(ws));
		emit(o);
	}
}

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	zk_str cmd, arg = zk_str_cut(line->text, ' ', &cmd);

	(void)ctx;
	(void)file;
	if (zk_str_eq(cmd, ZK_STR("quit")))
		zk_loop_quit(loop);
	else if (ws)
		obey(cmd, arg);
}

static void on_eof(void *ctx, const struct zk_error *err)
{
	(void)ctx;
	(void)err;
	zk_loop_quit(loop);
}

static const char *text(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
}

static int64_t num(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItem(o, key);

	return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : 0;
}

static void open_it(const cJSON *o, struct zk_net *net)
{
	const char *headers[16] = { NULL };
	const cJSON *list = cJSON_GetObjectItem(o, "headers");
	struct zk_error err = { 0 };
	struct zk_ws_conf conf = {
		.url = text(o, "url"),
		.headers = headers,
		.protocol = text(o, "protocol"),
		.max_message = (size_t)num(o, "max_message"),
		.connect_timeout_ms = num(o, "connect_ms"),
		.ping_after_ms = num(o, "ping_after_ms"),
		.pong_within_ms = num(o, "pong_within_ms"),
		.on_open = on_open,
		.on_message = on_message,
		.on_too_big = on_too_big,
		.on_end = on_end,
	};

	for (int i = 0; i < cJSON_GetArraySize(list) && i < 15; i++)
		headers[i] = cJSON_GetStringValue(cJSON_GetArrayItem(list, i));
	if (zk_ws_open(net, &conf, &ws, &err) < 0)
		say(&err);
}

int main(int argc, char **argv)
{
	cJSON *o = cJSON_Parse(argc > 1 ? argv[1] : "{}");
	struct zk_error err = { 0 };
	struct zk_metrics *metrics = zk_metrics_new();
	struct zk_net_conf conf = {
		.ca_file = text(o, "ca_file"),
		.proxy = text(o, "proxy"),
		.tls_verify = !cJSON_IsFalse(cJSON_GetObjectItem(o, "tls_verify")),
	};
	struct zk_lines_conf lines = { .on_line = on_line, .on_end = on_eof };
	struct zk_lines *in = NULL;
	struct zk_net *net;

	loop = zk_loop_new(&err);
	net = zk_net_new(loop, &conf, metrics);
	open_it(o, net);
	if (zk_lines_open(loop, &lines, &in, &err) < 0)
		return 1;
	zk_loop_run(loop);
	zk_lines_close(in);
	zk_net_free(net);
	zk_loop_free(loop);
	zk_metrics_free(metrics);
	cJSON_Delete(o);
	return 0;
}
