/* usage: http_client [SECONDS]
 *
 * Requests per second and CPU per request of the HTTP client (src/net) against a null server in
 * a thread of this process: GET with an empty answer, and POST of 1 KiB, over one connection in
 * turn and over 50 at a time. The baseline is a blocking write() and read() of the same bytes.
 * CPU is that of the client's thread alone.
 * Layer: tests. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/loop.h"

#include "base/ban.h"

#define BODY     1024
#define MAX_OPEN 64

static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";

/* The length of a request, 0 when it is not complete. */
static size_t request_length(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end - p) + 4;
	if (p[0] == 'P')
		head += BODY;
	return n >= head ? head : 0;
}

struct peer {
	char in[8192];
	size_t n;
};

/* False when the connection is over. */
static bool serve(int fd, struct peer *p)
{
	ssize_t got = read(fd, p->in + p->n, sizeof(p->in) - p->n);
	size_t len;

	if (got <= 0)
		return false;
	p->n += (size_t)got;
	while ((len = request_length(p->in, p->n)) > 0) {
		memmove(p->in, p->in + len, p->n - len);
		p->n -= len;
		if (write(fd, answer, sizeof(answer) - 1) < 0)
			return false;
	}
	return true;
}

/* Connection i is fds[i]; fds[0] is the listener. */
static void *server(void *arg)
{
	static struct peer peers[MAX_OPEN];
	struct pollfd fds[MAX_OPEN];
	int one = 1;

	for (int i = 0; i < MAX_OPEN; i++)
		fds[i] = (struct pollfd){ .fd = i ? -1 : *(int *)arg, .events = POLLIN };
	for (;;) {
		(void)poll(fds, MAX_OPEN, -1);
		for (int i = 1; i < MAX_OPEN; i++)
			if (fds[i].fd >= 0 && fds[i].revents &&
			    !serve(fds[i].fd, &peers[i])) {
				(void)close(fds[i].fd);
				fds[i].fd = -1;
			}
		for (int i = 1; i < MAX_OPEN && fds[0].revents; i++)
			if (fds[i].fd < 0) {
				fds[i].fd = accept(fds[0].fd, NULL, NULL);
				(void)setsockopt(fds[i].fd, IPPROTO_TCP, TCP_NODELAY,
				                 &one, sizeof(one));
				peers[i].n = 0;
				break;
			}
	}
	return NULL;
}

static int64_t thread_cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct run {
	struct zk_net *net;
	struct zk_http_conf conf;
	int64_t end_us;
	uint64_t done, failed;
	unsigned open;
	bool over;
};

static void next(struct run *r);

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct run *r = ctx;

	(void)res;
	r->done++;
	r->failed += err != NULL;
	r->open--;
	next(r);
}

static void next(struct run *r)
{
	struct zk_http *req;
	struct zk_error err;

	if (zk_mono_us() < r->end_us &&
	    zk_http_start(r->net, &r->conf, on_done, &req, &err) == 0)
		r->open++;
	r->over = r->open == 0;
}

struct figure {
	double per_s, cpu_us;
	uint64_t failed;
};

static struct figure client(struct zk_loop *loop, struct run *r, double seconds,
                            unsigned at_once)
{
	int64_t cpu = thread_cpu_us(), start = zk_mono_us();

	r->conf.ctx = r;
	r->end_us = start + (int64_t)(seconds * 1e6);
	for (unsigned i = 0; i < at_once; i++)
		next(r);
	zk_loop_until(loop, &r->over);
	return (struct figure){ (double)r->done * 1e6 / (double)(zk_mono_us() - start),
		                (double)(thread_cpu_us() - cpu) / (double)r->done,
		                r->failed };
}

/* The same bytes without a client. */
static struct figure bare(int port, double seconds, bool post)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_port = htons((uint16_t)port),
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	char out[2048], in[256];
	int n = snprintf(out, sizeof(out),
	                 "%s / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: "
	                 "bare\r\nAccept: */*\r\n%s\r\n",
	                 post ? "POST" : "GET", port,
	                 post ? "Content-Length: 1024\r\n" : "");
	size_t len = (size_t)n + (post ? BODY : 0);
	int64_t cpu = thread_cpu_us(), start = zk_mono_us(),
	        end = start + (int64_t)(seconds * 1e6);
	uint64_t done = 0;

	if (post)
		memset(out + n, 'x', BODY);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	for (; zk_mono_us() < end; done++)
		if (write(fd, out, len) != (ssize_t)len || read(fd, in, sizeof(in)) <= 0)
			exit(1);
	(void)close(fd);
	return (struct figure){ (double)done * 1e6 / (double)(zk_mono_us() - start),
		                (double)(thread_cpu_us() - cpu) / (double)done, 0 };
}

static int listen_any(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		exit(1);
	*port = ntohs(a.sin_port);
	return fd;
}

static void show(const char *name, struct figure f, struct figure base)
{
	printf("%-28s %8.0f requests/s  %6.1f us CPU per request  ratio %.2f, %.1f  "
	       "failed %llu\n",
	       name, f.per_s, f.cpu_us, f.per_s / base.per_s, f.cpu_us / base.cpu_us,
	       (unsigned long long)f.failed);
}

int main(int argc, char **argv)
{
	static char body[BODY];
	struct zk_net_conf nc = { .tls_verify = true };
	double seconds = 3;
	struct zk_error err;
	pthread_t thread;
	char url[64];
	int port, fd = listen_any(&port);
	struct zk_loop *loop = zk_loop_new(&err);

	if (argc > 1 && zk_parse_double(zk_str_of(argv[1]), &seconds, &err) < 0)
		return 64;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	if (!loop || pthread_create(&thread, NULL, server, &fd) != 0)
		return 1;
	memset(body, 'x', sizeof(body));
	for (int post = 0; post < 2; post++) {
		struct figure base = bare(port, seconds, post);

		printf("%s\n", post ? "POST of 1 KiB" : "GET");
		show("  write() and read()", base, base);
		for (unsigned at_once = 1; at_once <= 50; at_once += 49) {
			struct run r = { .conf = { .url = url,
				                   .flags = ZK_HTTP_NO_PROXY } };
			char name[32];

			if (post) {
				r.conf.method = "POST";
				r.conf.body = zk_str_n(body, BODY);
				r.conf.body_borrowed = true;
			}
			nc.max_per_host = 50;
			r.net = zk_net_new(loop, &nc, NULL);
			(void)snprintf(name, sizeof(name), "  zk_http, %u at a time",
			               at_once);
			show(name, client(loop, &r, seconds, at_once), base);
			zk_net_free(r.net);
		}
	}
	zk_loop_free(loop);
	return 0;
}
