/* procwire/txq: whole frames in order whatever the socket takes; what is dropped leaves no trace.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "procwire/txq.h"

#include "base/ban.h"

struct rig {
	struct zk_pw_txq q;
	int ours, theirs;
	struct zk_buf got;
	uint64_t writes, bytes;
};

static void rig_init(struct rig *g)
{
	int fd[2], size = 4096;

	cr_assert_eq(
	        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd),
	        0);
	(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*g = (struct rig){ .ours = fd[0], .theirs = fd[1] };
	zk_pw_txq_init(&g->q);
	zk_buf_init(&g->got, 64u << 20);
}

static void rig_done(struct rig *g)
{
	zk_pw_txq_done(&g->q);
	zk_buf_done(&g->got);
	(void)close(g->ours);
	(void)close(g->theirs);
}

/* At most `n` bytes to the other side. */
static void receive(struct rig *g, size_t n)
{
	char part[65536];

	while (n) {
		ssize_t r = recv(g->theirs, part, ZK_MIN(n, sizeof(part)), 0);

		if (r <= 0)
			return;
		zk_buf_put(&g->got, part, (size_t)r);
		n -= (size_t)r;
	}
}

static void write_some(struct rig *g)
{
	cr_assert_eq(zk_pw_txq_write(&g->q, g->ours, &g->writes, &g->bytes), 0);
}

static void write_all(struct rig *g)
{
	while (g->q.bytes) {
		write_some(g);
		receive(g, SIZE_MAX);
	}
	receive(g, SIZE_MAX);
}

/* A payload that says which request it is for and how long it is. */
static char *payload_of(uint32_t request, size_t n)
{
	char *p = zk_alloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(request * 31 + i);
	return p;
}

static void put(struct rig *g, uint32_t request, uint8_t flags, size_t n)
{
	struct zk_pw_header h = {
		.method = 7, .flags = flags, .request = request, .length = (uint32_t)n
	};
	char *p = payload_of(request, n);

	zk_pw_txq_put(&g->q, &h, zk_str_n(p, n));
	free(p);
}

/* Checks that whole frames came; counts those of each request below 8. */
static void check_frames(const struct rig *g, unsigned counts[8])
{
	const char *p = g->got.p;
	size_t left = g->got.n;

	memset(counts, 0, 8 * sizeof(counts[0]));
	while (left) {
		struct zk_pw_header h;
		char *want;

		cr_assert_geq(left, (size_t)ZK_PW_HEADER);
		h = zk_pw_header_get(p);
		cr_assert_eq(h.method, 7);
		cr_assert_lt(h.request, 8u);
		cr_assert_geq(left - ZK_PW_HEADER, h.length);
		want = payload_of(h.request, h.length);
		cr_assert_eq(memcmp(want, p + ZK_PW_HEADER, h.length), 0);
		free(want);
		counts[h.request]++;
		p += ZK_PW_HEADER + h.length;
		left -= ZK_PW_HEADER + h.length;
	}
}

Test(pw_txq, frames_of_all_sizes_in_order)
{
	static const size_t sizes[] = {
		0, 1, 100, 16384, 16385, 65525, 65536, 300000, 3
	};
	unsigned counts[8];
	struct rig g;

	rig_init(&g);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < ZK_ARRAY_LEN(sizes); i++)
			put(&g, 1 + round, ZK_PW_F_RESULT, sizes[i]);
		write_some(&g);
		receive(&g, 1000);
	}
	write_all(&g);
	check_frames(&g, counts);
	for (unsigned round = 0; round < 3; round++)
		cr_expect_eq(counts[1 + round], ZK_ARRAY_LEN(sizes));
	cr_expect_eq(g.bytes, g.got.n);
	rig_done(&g);
}

Test(pw_txq, dropping_leaves_whole_frames)
{
	struct zk_rand r;

	zk_rand_seed(&r, 1);
	for (unsigned round = 0; round < 300; round++) {
		unsigned counts[8], first, sent = 0;
		struct rig g;

		rig_init(&g);
		for (unsigned i = 0; i < 60; i++) {
			size_t n = (size_t)zk_rand_below(&r, i % 7 == 0 ? 40000 : 3000);

			put(&g, 1 + (uint32_t)zk_rand_below(&r, 3), ZK_PW_F_CHUNK, n);
		}
		write_some(&g);
		receive(&g, (size_t)zk_rand_below(&r, 30000));
		write_some(&g);
		first = (unsigned)g.writes;
		cr_assert_gt(first, 0u);
		zk_pw_txq_drop(&g.q, 2);
		put(&g, 2, ZK_PW_F_RESULT, 5);
		zk_pw_txq_drop(&g.q, 3);
		zk_pw_txq_drop(&g.q, 3);
		write_all(&g);
		check_frames(&g, counts);
		sent = counts[1] + counts[2] + counts[3];
		cr_assert_gt(counts[2], 0u, "the frame queued after the drop");
		cr_assert_lt(sent, 61u);
		cr_assert_eq(g.q.bytes, 0u);
		rig_done(&g);
	}
}

Test(pw_txq, requests_are_never_dropped)
{
	unsigned counts[8];
	struct rig g;

	rig_init(&g);
	put(&g, 4, ZK_PW_F_EVENT, 10);
	put(&g, 4, ZK_PW_F_REQUEST, 10);
	put(&g, 4, ZK_PW_F_RESULT, 10);
	zk_pw_txq_drop(&g.q, 4);
	write_all(&g);
	check_frames(&g, counts);
	cr_expect_eq(counts[4], 2);
	rig_done(&g);
}

Test(pw_txq, pieces_and_what_waits_behind_them)
{
	struct zk_pw_txq behind;
	unsigned counts[8];
	struct zk_buf b;
	struct rig g;
	char head[ZK_PW_HEADER], *p = payload_of(5, 200000);

	rig_init(&g);
	zk_pw_txq_init(&behind);
	zk_pw_header_put(head, (struct zk_pw_header){ .method = 7,
	                                              .flags = ZK_PW_F_RESULT,
	                                              .request = 5,
	                                              .length = 200000 });
	zk_pw_txq_put_bytes(&g.q, zk_str_n(head, sizeof(head)));
	zk_pw_txq_put_bytes(&g.q, zk_str_n(p, 150000));
	zk_buf_init(&b, 100000);
	zk_buf_put(&b, p, 0);
	zk_pw_txq_put_buf(&behind,
	                  &(struct zk_pw_header){ .method = 7, .flags = 3, .request = 6 },
	                  &b);
	zk_pw_txq_drop(&g.q, 5);
	write_some(&g);
	zk_pw_txq_put_bytes(&g.q, zk_str_n(p + 150000, 50000));
	zk_pw_txq_splice(&g.q, &behind);
	write_all(&g);
	check_frames(&g, counts);
	cr_expect_eq(counts[5], 1);
	cr_expect_eq(counts[6], 1);
	free(p);
	rig_done(&g);
}

Test(pw_txq, a_peer_that_is_gone)
{
	struct rig g;

	rig_init(&g);
	put(&g, 1, ZK_PW_F_RESULT, 100);
	(void)close(g.theirs);
	cr_expect_eq(zk_pw_txq_write(&g.q, g.ours, &g.writes, &g.bytes), -1);
	rig_done(&g);
}
