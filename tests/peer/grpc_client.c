/* A gRPC call of src/net that sends messages of known bytes: zb_transport.mjs lets it talk to
 * HTTP/2 servers of all kinds. Not a test by itself.
 *
 *	grpc_client URL PATH MESSAGES BYTES AHEAD [CALLS]
 *
 * Sends MESSAGES messages of BYTES bytes, at most AHEAD of which have no answer, then ends its
 * half. Every answer stands for one message. Prints one line of JSON: what was sent (SHA-256 of
 * all bytes that were handed to HTTP/2), what ended it, and what it cost. With CALLS, so many one
 * after the other; the line is that of the last.
 * SNDBUF=BYTES in the environment limits the socket's buffer; QUIET_MS and PING_MS are members of
 * zk_grpc_conf.
 * Layer: tests. */
#include <arpa/inet.h>
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/jwrite.h"
#include "net/grpc.h"
#include "net/net.h"
#include "rt/loop.h"

#include "base/ban.h"

static struct call {
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_grpc *grpc;
	uint64_t messages, bytes, ahead;
	uint64_t sent, acked; /* messages */
	size_t at;            /* in the message that is being sent, with its head */
	char *message;
	struct zk_sha256 sha;
	uint64_t total;
	int64_t sent_us, worst_us, sum_us; /* of a message's last byte to its answer */
	bool ended;
	uint64_t goaways;
	struct zk_grpc_end end;
} call;

static bool may_send(const struct call *c)
{
	return c->at || (c->sent < c->messages && c->sent - c->acked < c->ahead);
}

static size_t on_ready(void *ctx, size_t room, bool *end)
{
	struct call *c = ctx;

	if (!may_send(c)) {
		*end = c->acked == c->messages;
		return 0;
	}
	return ZK_MIN(room, ZK_GRPC_HEAD + c->bytes - c->at);
}

/* Each message has other bytes than the one before. */
static void next_message(struct call *c)
{
	zk_grpc_put_head(c->message, (uint32_t)c->bytes);
	for (size_t i = 0; i + 8 <= c->bytes; i += 4096)
		memcpy(c->message + ZK_GRPC_HEAD + i, &c->sent, 8);
}

static void on_take(void *ctx, char *to, size_t n)
{
	struct call *c = ctx;

	if (!c->at)
		next_message(c);
	memcpy(to, c->message + c->at, n);
	zk_sha256_put(&c->sha, to, n);
	c->total += n;
	c->at += n;
	if (c->at == ZK_GRPC_HEAD + c->bytes) {
		c->at = 0;
		c->sent++;
		c->sent_us = zk_mono_us();
	}
}

static void on_message(void *ctx, zk_str message)
{
	struct call *c = ctx;
	int64_t us = zk_mono_us() - c->sent_us;

	(void)message;
	c->acked++;
	c->sum_us += us;
	c->worst_us = ZK_MAX(c->worst_us, us);
	zk_grpc_wake(c->grpc);
}

static bool number(const char *text, uint64_t *ret)
{
	struct zk_error err;

	return text && zk_parse_u64(zk_str_of(text), ret, &err) == 0;
}

/* What is connected is the call's only socket with an address. */
static void on_open(void *ctx)
{
	uint64_t want;

	(void)ctx;
	if (!number(getenv("SNDBUF"), &want))
		return;
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in a = { 0 };
		socklen_t n = sizeof(a);
		int bytes = (int)want;

		if (getpeername(fd, (struct sockaddr *)&a, &n) == 0 &&
		    a.sin_family == AF_INET &&
		    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0)
			perror("SO_SNDBUF");
	}
}

static void on_goaway(void *ctx)
{
	struct call *c = ctx;

	c->goaways++;
}

static bool is_waiting(void *ctx)
{
	const struct call *c = ctx;

	return c->sent > c->acked;
}

static void on_end(void *ctx, const struct zk_grpc_end *end)
{
	struct call *c = ctx;

	c->end = *end;
	c->ended = true;
	zk_grpc_free(ZK_TAKE(c->grpc), ZK_H2_CANCEL);
}

/* Bytes of the heap in use. The sanitizer has an allocator of its own. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes
	               ? __sanitizer_get_current_allocated_bytes()
	               : mallinfo2().uordblks;
}

static size_t open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

static void report(const struct call *c, size_t fds, int64_t heap)
{
	struct zk_buf b;
	struct zk_jwrite w;
	struct zk_sha256 sha = c->sha;
	uint8_t sum[ZK_SHA256_SIZE];

	zk_buf_init(&b, 65536);
	zk_jwrite_init(&w, &b);
	zk_sha256_end(&sha, sum);
	zk_jw_obj(&w);
	zk_jw_key(&w, "sha256");
	zk_buf_char(&b, '"');
	zk_hex_encode(zk_str_n((const char *)sum, sizeof(sum)), &b);
	zk_buf_lit(&b, "\"");
	w.comma = true;
	zk_jw_key(&w, "bytes");
	zk_jw_u64(&w, c->total);
	zk_jw_key(&w, "sent");
	zk_jw_u64(&w, c->sent);
	zk_jw_key(&w, "acked");
	zk_jw_u64(&w, c->acked);
	zk_jw_key(&w, "code");
	zk_jw_i64(&w, c->end.code);
	zk_jw_key(&w, "from");
	zk_jw_i64(&w, (int)c->end.from);
	zk_jw_key(&w, "http");
	zk_jw_i64(&w, c->end.http_status);
	zk_jw_key(&w, "reset");
	zk_jw_i64(&w, c->end.reset_code);
	zk_jw_key(&w, "retryable");
	zk_jw_bool(&w, c->end.retryable);
	zk_jw_key(&w, "unprocessed");
	zk_jw_bool(&w, c->end.unprocessed);
	zk_jw_key(&w, "proxy_auth");
	zk_jw_bool(&w, c->end.is_proxy_auth);
	zk_jw_key(&w, "pushback");
	zk_jw_i64(&w, c->end.pushback_ms);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, c->end.message);
	zk_jw_key(&w, "error");
	zk_jw_i64(&w, (int)c->end.err.code);
	zk_jw_key(&w, "fds");
	zk_jw_u64(&w, fds);
	zk_jw_key(&w, "heap");
	zk_jw_i64(&w, heap);
	zk_jw_key(&w, "goaways");
	zk_jw_u64(&w, c->goaways);
	zk_jw_key(&w, "cpu_ms");
	zk_jw_i64(&w, zk_cpu_ns() / 1000000);
	zk_jw_key(&w, "mean_ms");
	zk_jw_double(&w, c->acked ? (double)c->sum_us / 1000 / (double)c->acked : 0);
	zk_jw_key(&w, "worst_ms");
	zk_jw_double(&w, (double)c->worst_us / 1000);
	zk_jw_obj_end(&w);
	zk_buf_char(&b, '\n');
	(void)fwrite(b.p, 1, b.n, stdout);
	zk_buf_done(&b);
}

static int run(struct call *c, const char *url, const char *path, struct zk_error *err)
{
	struct zk_h2_header more[] = { { ZK_STR("x-test"), ZK_STR("1"), false } };
	struct zk_grpc_conf conf = {
		.endpoint = url,
		.path = path,
		.bearer = "secret-token",
		.user_agent = "zk/test",
		.headers = more,
		.n_headers = 1,
		.ctx = c,
		.on_open = on_open,
		.ready = on_ready,
		.take = on_take,
		.on_message = on_message,
		.on_goaway = on_goaway,
		.is_waiting = is_waiting,
		.on_end = on_end,
	};
	uint64_t ms;

	if (number(getenv("QUIET_MS"), &ms))
		conf.quiet_ms = (int64_t)ms;
	if (number(getenv("PING_MS"), &ms))
		conf.ping_ms = (int64_t)ms;

	c->sent = c->acked = c->total = 0;
	c->at = 0;
	c->ended = false;
	zk_sha256_init(&c->sha);
	if (zk_grpc_start(c->net, &conf, &c->grpc, err) < 0)
		return -(int)err->code;
	zk_loop_until(c->loop, &c->ended);
	return 0;
}

static void on_settled(void *ctx)
{
	*(bool *)ctx = true;
}

/* What goes at the end of a turn, or of the next ones, is gone afterwards. */
static void settle(struct zk_loop *loop)
{
	bool done = false;
	struct zk_timer *t = zk_timer_new(loop, on_settled, &done);

	zk_timer_start(t, 100, 0);
	zk_loop_until(loop, &done);
	zk_timer_free(t);
}

/* All calls, one after the other; what they left behind since the tenth. */
static int run_all(uint64_t calls, char **argv, size_t *fds, int64_t *heap,
                   struct zk_error *err)
{
	size_t fds0 = 0, heap0 = 0;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < calls; i++) {
		r = run(&call, argv[1], argv[2], err);
		/* The first calls open libraries. */
		if (i == 9) {
			settle(call.loop);
			fds0 = open_fds();
			heap0 = heap_bytes();
		}
	}
	settle(call.loop);
	*fds = fds0 ? open_fds() - fds0 : 0;
	*heap = heap0 ? (int64_t)heap_bytes() - (int64_t)heap0 : 0;
	return r;
}

int main(int argc, char **argv)
{
	struct zk_net_conf conf = { .tls_verify = true, .ca_file = getenv("CA_FILE") };
	struct zk_error err = { 0 };
	uint64_t calls = 1;
	size_t fds;
	int64_t heap;
	int r;

	if (argc < 6 || !number(argv[3], &call.messages) ||
	    !number(argv[4], &call.bytes) || !number(argv[5], &call.ahead) ||
	    (argc > 6 && !number(argv[6], &calls)))
		return 64;
	call.loop = zk_loop_new(&err);
	if (!call.loop)
		return 71;
	call.net = zk_net_new(call.loop, &conf, NULL);
	call.message = zk_alloc0(ZK_GRPC_HEAD + call.bytes);
	for (size_t i = 0; i < call.bytes; i++)
		call.message[ZK_GRPC_HEAD + i] = (char)(i * 2654435761u >> 13);
	r = run_all(calls, argv, &fds, &heap, &err);
	if (r == 0)
		report(&call, fds, heap);
	else
		(void)fprintf(stderr, "ZK%04d %s\n", (int)err.code, err.msg);
	zk_net_free(call.net);
	zk_loop_free(call.loop);
	free(call.message);
	zk_log_stop();
	return r == 0 ? 0 : 1;
}
