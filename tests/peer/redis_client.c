/* The Redis client of src/store, steered by lines: redis_client.py meets a real server with it.
 * Not a test by itself. Words are separated by spaces.
 *	open URL MAX_OUT_BYTES STALL_MS
 *	send ID TIMEOUT_MS WORD...      a command
 *	burst ID N BYTES                N times XADD s * f <BYTES bytes>; waits for room when busy
 *	out                             bytes that wait to be sent
 *	free, quit
 * Events: up | down CODE TEXT | reply ID TEXT | error ID CODE | refused ID CODE |
 * burst ID ok N errors N | out BYTES
 * Layer: tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "store/redis.h"

#include "base/ban.h"

static struct zk_loop *loop;
static struct zk_redis *redis;
static struct zk_poll *in_poll;
static struct zk_buf in;
static char *payload;
static struct {
	unsigned id;
	uint64_t to_send, left, ok, errors, busy;
	size_t bytes;
} burst;

static void say(const char *fmt, ...) ZK_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)fflush(stdout);
}

static void print(struct zk_buf *b, const struct zk_redis_reply *r)
{
	if (r->type == ZK_REDIS_INTEGER)
		zk_buf_i64(b, r->integer);
	else if (r->type == ZK_REDIS_NIL)
		zk_buf_lit(b, "(nil)");
	else
		zk_buf_add(b, r->str);
	for (size_t i = 0; i < r->n; i++) {
		zk_buf_char(b, ' ');
		print(b, r->items[i]);
	}
}

static void on_state(void *ctx, bool up, const struct zk_error *err)
{
	(void)ctx;
	if (up)
		say("up\n");
	else
		say("down %d %s\n", (int)err->code, err->msg);
}

static void on_reply(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	unsigned id = (unsigned)(uintptr_t)ctx;
	struct zk_buf b;

	if (err) {
		say("error %u %d\n", id, (int)err->code);
		return;
	}
	zk_buf_init(&b, 1 << 20);
	print(&b, reply);
	say("reply %u %.*s\n", id, (int)b.n, b.p);
	zk_buf_done(&b);
}

static void on_burst(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	(void)ctx;
	if (err || reply->type != ZK_REDIS_STRING)
		burst.errors++;
	else
		burst.ok++;
	if (--burst.left == 0)
		say("burst %u ok %llu errors %llu busy %llu\n", burst.id,
		    (unsigned long long)burst.ok, (unsigned long long)burst.errors,
		    (unsigned long long)burst.busy);
}

static void pump(void *ctx)
{
	zk_str args[] = { ZK_STR("XADD"),   ZK_STR("s"),
		          ZK_STR("MAXLEN"), ZK_STR("~"),
		          ZK_STR("10"),     ZK_STR("*"),
		          ZK_STR("f"),      zk_str_n(payload, burst.bytes) };
	struct zk_error err = { 0 };

	(void)ctx;
	while (burst.to_send) {
		int r = zk_redis_send(redis, args, ZK_ARRAY_LEN(args), -1, on_burst, NULL,
		                      &err);

		if (r == -ZK_E_BUSY) {
			burst.busy++;
			return; /* on_room comes back */
		}
		burst.to_send--;
		if (r < 0)
			on_burst(NULL, NULL, &err);
	}
}

static void do_open(zk_str rest)
{
	static struct zk_redis_url url;
	zk_str text, out;
	struct zk_error err = { 0 };
	uint64_t max_out = 0, stall = 0;

	rest = zk_str_cut(rest, ' ', &text);
	rest = zk_str_cut(rest, ' ', &out);
	if (zk_redis_url_parse(text, &url, &err) < 0 ||
	    zk_parse_u64(out, &max_out, &err) < 0 || zk_parse_u64(rest, &stall, &err) < 0)
		abort();
	struct zk_redis_conf conf = {
		.url = &url,
		.name = "zk-test",
		.max_out_bytes = max_out,
		.stall_ms = (int64_t)stall,
		.retry_cap_ms = 200,
		.on_state = on_state,
		.on_room = pump,
	};
	if (zk_redis_new(loop, &conf, &redis, &err) < 0)
		say("failed %d %s\n", (int)err.code, err.msg);
	zk_redis_url_done(&url);
}

static void do_send(zk_str rest)
{
	zk_str id_text, timeout_text, args[16];
	struct zk_error err = { 0 };
	int64_t timeout;
	uint64_t id;
	size_t n = 0;
	int r;

	rest = zk_str_cut(rest, ' ', &id_text);
	rest = zk_str_cut(rest, ' ', &timeout_text);
	if (zk_parse_u64(id_text, &id, &err) < 0 ||
	    zk_parse_i64(timeout_text, &timeout, &err) < 0)
		abort();
	while (rest.n && n < ZK_ARRAY_LEN(args))
		rest = zk_str_cut(rest, ' ', &args[n++]);
	r = zk_redis_send(redis, args, n, timeout, on_reply, (void *)(uintptr_t)id, &err);
	if (r < 0)
		say("refused %u %d\n", (unsigned)id, -r);
}

static void do_burst(zk_str rest)
{
	zk_str id, n, bytes;
	struct zk_error err = { 0 };
	uint64_t v[3] = { 0 };

	rest = zk_str_cut(rest, ' ', &id);
	bytes = zk_str_cut(rest, ' ', &n);
	if (zk_parse_u64(id, &v[0], &err) < 0 || zk_parse_u64(n, &v[1], &err) < 0 ||
	    zk_parse_u64(bytes, &v[2], &err) < 0)
		abort();
	memset(&burst, 0, sizeof(burst));
	burst.id = (unsigned)v[0];
	burst.to_send = burst.left = v[1];
	burst.bytes = v[2];
	free(payload);
	payload = zk_alloc0(burst.bytes + 1);
	memset(payload, 'x', burst.bytes);
	pump(NULL);
}

static void do_line(zk_str line)
{
	zk_str verb, rest = zk_str_cut(line, ' ', &verb);

	if (zk_str_eq(verb, ZK_STR("open")))
		do_open(rest);
	else if (zk_str_eq(verb, ZK_STR("send")))
		do_send(rest);
	else if (zk_str_eq(verb, ZK_STR("burst")))
		do_burst(rest);
	else if (zk_str_eq(verb, ZK_STR("out")))
		say("out %zu\n", zk_redis_out_bytes(redis));
	else if (zk_str_eq(verb, ZK_STR("free")))
		zk_redis_free(ZK_TAKE(redis));
	else if (zk_str_eq(verb, ZK_STR("quit")))
		zk_loop_quit(loop);
}

static void on_stdin(void *ctx, int events, int status)
{
	char *to = zk_buf_reserve(&in, 4096);
	ssize_t n = read(STDIN_FILENO, to, 4096);

	(void)ctx;
	(void)events;
	(void)status;
	if (n <= 0) {
		zk_loop_quit(loop);
		return;
	}
	in.n += (size_t)n;
	for (;;) {
		ptrdiff_t at = zk_str_find_char(zk_buf_str(&in), '\n');

		if (at < 0)
			return;
		do_line(zk_str_n(in.p, (size_t)at));
		zk_buf_consume(&in, (size_t)at + 1);
	}
}

int main(void)
{
	struct zk_error err = { 0 };

	loop = zk_loop_new(&err);
	zk_buf_init(&in, 1 << 20);
	in_poll = loop ? zk_poll_new(loop, STDIN_FILENO, on_stdin, NULL, &err) : NULL;
	if (!in_poll)
		return 1;
	zk_poll_set(in_poll, ZK_POLL_IN);
	zk_loop_run(loop);
	zk_redis_free(redis);
	zk_poll_free(in_poll);
	zk_loop_free(loop);
	zk_buf_done(&in);
	free(payload);
	return 0;
}
