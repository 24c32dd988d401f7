/* A Zeal server that does nothing: the other side of `scripts/bench zeal`. It reads requests of
 * HTTP/1.1, counts the events of a body, answers 200. Prints its port; ends with its stdin, and
 * prints then the 99th percentile, in microseconds, of how long an answer had to wait for the next
 * request on its connection: what the client itself took for one, and the way there and back.
 * With the argument "awake" it does not sleep while requests come: nobody has to wake it.
 * Layer: tests. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/ban.h"

#define MAX_PEERS 64
#define ROOM      ((size_t)16 << 20)
#define MAX_GAPS  ((size_t)1 << 20)
#define AWAKE_US  20000 /* after the last request */

struct peer {
	int fd;
	char *buf;
	size_t n;
	int64_t answered_us; /* 0 = never */
};

static struct peer peers[MAX_PEERS];
static size_t n_peers;
static int64_t gaps[MAX_GAPS];
static size_t n_gaps;

static void note_gap(const struct peer *p)
{
	if (p->answered_us && n_gaps < MAX_GAPS)
		gaps[n_gaps++] = zk_mono_us() - p->answered_us;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_gaps(void)
{
	qsort(gaps, n_gaps, sizeof(*gaps), by_size);
	(void)printf("%lld\n", n_gaps ? (long long)gaps[n_gaps * 99 / 100] : 0);
}

/* Events as zk and the baseline write them. */
static size_t count_events(const char *p, size_t n)
{
	static const char mark[] = "{\"timestamp\":";
	const char *end = p + n;
	size_t events = 0;

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1)) != NULL) {
		events++;
		p += sizeof(mark) - 1;
	}
	return events;
}

static size_t content_length(const char *head, const char *end)
{
	size_t n = 0;

	for (const char *p = head; p + 16 < end; p++) {
		if (p[0] != '\n' || strncasecmp(p + 1, "content-length:", 15) != 0)
			continue;
		for (p += 16; *p == ' '; p++)
			;
		while (*p >= '0' && *p <= '9')
			n = n * 10 + (size_t)(*p++ - '0');
		return n;
	}
	return 0;
}

static void answer(int fd, const char *head, const char *body, size_t n)
{
	char text[256], out[512];
	int len;

	if (strncmp(head, "POST", 4) != 0)
		len = snprintf(
		        text, sizeof(text),
		        "{\"status\":\"healthy\",\"version\":\"1.0.0\",\"services\":{}}");
	else if (memmem(head, 200, "/sessions ", 10))
		len = snprintf(text, sizeof(text), "{\"sessionId\":\"fts_bench\"}");
	else
		len = snprintf(text, sizeof(text),
		               "{\"success\":true,\"eventsProcessed\":%zu}",
		               count_events(body, n));
	len = snprintf(out, sizeof(out),
	               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	               "Content-Length: %d\r\n\r\n%s",
	               len, text);
	if (write(fd, out, (size_t)len) != len)
		(void)fprintf(stderr, "null_zeal: a short write\n");
}

/* Answers the whole requests that are there; false when the peer is gone. */
static bool serve(struct peer *p)
{
	ssize_t got = read(p->fd, p->buf + p->n, ROOM - p->n - 1);

	if (got <= 0)
		return false;
	p->n += (size_t)got;
	p->buf[p->n] = '\0';
	for (;;) {
		char *end = memmem(p->buf, p->n, "\r\n\r\n", 4);
		size_t head, body;

		if (!end)
			return true;
		head = (size_t)(end - p->buf) + 4;
		body = content_length(p->buf, end + 2);
		if (p->n < head + body)
			return true;
		note_gap(p);
		answer(p->fd, p->buf, p->buf + head, body);
		p->answered_us = zk_mono_us();
		memmove(p->buf, p->buf + head + body, p->n - head - body);
		p->n -= head + body;
	}
}

static int listen_somewhere(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		exit(1);
	(void)printf("%d\n", ntohs(a.sin_port));
	(void)fflush(stdout);
	return fd;
}

static void take_peer(int fd)
{
	int one = 1, peer = accept(fd, NULL, NULL);

	if (peer < 0 || n_peers == MAX_PEERS)
		return;
	(void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	peers[n_peers].fd = peer;
	peers[n_peers].n = 0;
	peers[n_peers].answered_us = 0;
	peers[n_peers].buf = malloc(ROOM);
	if (!peers[n_peers++].buf)
		exit(1);
}

int main(int argc, char **argv)
{
	bool awake = argc > 1 && strcmp(argv[1], "awake") == 0;
	int fd = listen_somewhere();
	int64_t last_us = 0;

	for (;;) {
		struct pollfd v[MAX_PEERS + 2] = { { .fd = fd, .events = POLLIN },
			                           { .fd = 0, .events = POLLIN } };
		size_t n = n_peers;

		for (size_t i = 0; i < n; i++)
			v[i + 2] = (struct pollfd){ .fd = peers[i].fd, .events = POLLIN };
		bool sleeps = !awake || zk_mono_us() - last_us > AWAKE_US;
		int ready = poll(v, n + 2, sleeps ? -1 : 0);

		if (ready < 0 || v[1].revents) {
			print_gaps();
			return 0;
		}
		if (ready)
			last_us = zk_mono_us();
		for (size_t i = n; i-- > 0;) {
			if (!v[i + 2].revents || serve(&peers[i]))
				continue;
			(void)close(peers[i].fd);
			free(peers[i].buf);
			peers[i] = peers[--n_peers];
		}
		if (v[0].revents)
			take_peer(fd);
	}
}
