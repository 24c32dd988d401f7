/* What waits to be written on a connection.
 * Layer: procwire. */
#include "procwire/txq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"

#include "base/ban.h"

#define BLOCK_BYTES 65536u
/* Payloads up to this size are copied: cheaper than a segment of their own. */
#define COPY_MAX    16384u
#define IOV_BATCH   128
#define BATCH_BYTES (1u << 20)

enum seg_kind {
	SEG_BLOCK, /* whole frames, one behind the other */
	SEG_LARGE, /* one frame: its header, then a payload of its own */
	SEG_BYTES, /* part of a frame that is given in pieces */
};

struct zk_pw_seg {
	struct zk_pw_seg *next;
	enum seg_kind kind;
	size_t n, at; /* bytes in all, bytes written */
	size_t mark;  /* BLOCK: a frame begins here; those before it are begun */
	char head[ZK_PW_HEADER]; /* LARGE */
	char *data;              /* LARGE: the payload; else block[] */
	bool owned;
	char block[];
};

void zk_pw_txq_init(struct zk_pw_txq *q)
{
	*q = (struct zk_pw_txq){ 0 };
}

static void seg_free(struct zk_pw_seg *s)
{
	if (s->owned)
		free(s->data);
	free(s);
}

void zk_pw_txq_done(struct zk_pw_txq *q)
{
	while (q->head) {
		struct zk_pw_seg *s = q->head;

		q->head = s->next;
		seg_free(s);
	}
	free(q->spare);
	zk_pw_txq_init(q);
}

static void append(struct zk_pw_txq *q, struct zk_pw_seg *s)
{
	s->next = NULL;
	if (q->tail)
		q->tail->next = s;
	else
		q->head = s;
	q->tail = s;
}

/* A block of the kind at the end of the queue with `n` bytes of room. */
static struct zk_pw_seg *block_for(struct zk_pw_txq *q, enum seg_kind kind, size_t n)
{
	struct zk_pw_seg *s = q->tail;

	if (ZK_LIKELY(s && s->kind == kind && BLOCK_BYTES - s->n >= n))
		return s;
	s = q->spare ? ZK_TAKE(q->spare) : zk_alloc(sizeof(*s) + BLOCK_BYTES);
	*s = (struct zk_pw_seg){ .kind = kind };
	s->data = s->block;
	append(q, s);
	return s;
}

static void put_large(struct zk_pw_txq *q, const struct zk_pw_header *h, char *data,
                      bool owned)
{
	struct zk_pw_seg *s = zk_new0(struct zk_pw_seg);

	s->kind = SEG_LARGE;
	s->n = ZK_PW_HEADER + h->length;
	s->data = data;
	s->owned = owned;
	zk_pw_header_put(s->head, *h);
	append(q, s);
	q->bytes += s->n;
}

static void put_small(struct zk_pw_txq *q, const struct zk_pw_header *h, const char *p)
{
	size_t n = ZK_PW_HEADER + h->length;
	struct zk_pw_seg *s = block_for(q, SEG_BLOCK, n);

	zk_pw_header_put(s->block + s->n, *h);
	if (h->length)
		memcpy(s->block + s->n + ZK_PW_HEADER, p, h->length);
	s->n += n;
	q->bytes += n;
}

void zk_pw_txq_put(struct zk_pw_txq *q, const struct zk_pw_header *h, zk_str payload)
{
	char *copy;

	if (ZK_LIKELY(payload.n <= COPY_MAX)) {
		put_small(q, h, payload.p);
		return;
	}
	copy = zk_alloc(payload.n);
	memcpy(copy, payload.p, payload.n);
	put_large(q, h, copy, true);
}

void zk_pw_txq_put_borrowed(struct zk_pw_txq *q, const struct zk_pw_header *h,
                            zk_str payload)
{
	if (payload.n <= COPY_MAX)
		put_small(q, h, payload.p);
	else
		put_large(q, h, (char *)payload.p, false);
}

void zk_pw_txq_put_buf(struct zk_pw_txq *q, const struct zk_pw_header *h,
                       struct zk_buf *payload)
{
	if (payload->n <= COPY_MAX) {
		put_small(q, h, payload->p);
		zk_buf_done(payload);
	} else {
		put_large(q, h, zk_buf_take(payload), true);
	}
}

void zk_pw_txq_put_bytes(struct zk_pw_txq *q, zk_str bytes)
{
	while (bytes.n) {
		struct zk_pw_seg *s = block_for(q, SEG_BYTES, 1);
		size_t n = ZK_MIN(bytes.n, BLOCK_BYTES - s->n);

		memcpy(s->block + s->n, bytes.p, n);
		s->n += n;
		q->bytes += n;
		bytes = zk_str_from(bytes, n);
	}
}

void zk_pw_txq_splice(struct zk_pw_txq *q, struct zk_pw_txq *from)
{
	if (!from->head)
		return;
	if (q->tail)
		q->tail->next = from->head;
	else
		q->head = from->head;
	q->tail = from->tail;
	q->bytes += from->bytes;
	from->head = from->tail = NULL;
	from->bytes = 0;
}

/* ---- writing ---- */

static int add_iov(const struct zk_pw_seg *s, struct iovec *iov)
{
	size_t at = s->at;
	int n = 0;

	if (s->kind == SEG_LARGE) {
		if (at < ZK_PW_HEADER) {
			iov[n].iov_base = (char *)s->head + at;
			iov[n++].iov_len = ZK_PW_HEADER - at;
			at = ZK_PW_HEADER;
		}
		iov[n].iov_base = s->data + (at - ZK_PW_HEADER);
	} else {
		iov[n].iov_base = s->data + at;
	}
	iov[n++].iov_len = s->n - at;
	return n;
}

static void pop(struct zk_pw_txq *q)
{
	struct zk_pw_seg *s = q->head;

	q->head = s->next;
	if (!q->head)
		q->tail = NULL;
	if (s->kind != SEG_LARGE && !q->spare)
		q->spare = s;
	else
		seg_free(s);
}

static void written(struct zk_pw_txq *q, size_t n)
{
	q->bytes -= n;
	while (n) {
		struct zk_pw_seg *s = q->head;

		ZK_ASSERT(s);
		size_t part = ZK_MIN(n, s->n - s->at);

		s->at += part;
		n -= part;
		if (s->at == s->n)
			pop(q);
	}
}

int zk_pw_txq_write(struct zk_pw_txq *q, int fd, uint64_t *writes, uint64_t *bytes)
{
	while (q->head) {
		struct iovec iov[IOV_BATCH];
		struct msghdr m = { .msg_iov = iov };
		size_t want = 0;
		ssize_t r;

		for (const struct zk_pw_seg *s = q->head;
		     s && m.msg_iovlen + 2 <= IOV_BATCH && want < BATCH_BYTES;
		     s = s->next) {
			m.msg_iovlen += (size_t)add_iov(s, &iov[m.msg_iovlen]);
			want += s->n - s->at;
		}
		r = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
		++*writes;
		*bytes += (uint64_t)r;
		written(q, (size_t)r);
		if ((size_t)r < want)
			return 0;
	}
	return 0;
}

/* ---- dropping ---- */

static bool answers(const char *head, uint32_t request)
{
	struct zk_pw_header h = zk_pw_header_get(head);

	return (h.flags & ZK_PW_RESPONSE) && h.request == request;
}

/* Closes the gaps of the frames that go; returns how many bytes went. */
static size_t drop_in_block(struct zk_pw_seg *s, uint32_t request)
{
	size_t from = s->mark, to, n = s->n;

	while (from < s->at) /* the frame that is begun stays */
		from += ZK_PW_HEADER + zk_pw_be32(s->block + from + 7);
	to = s->mark = from;
	while (from < n) {
		size_t len = ZK_PW_HEADER + zk_pw_be32(s->block + from + 7);

		if (!answers(s->block + from, request)) {
			if (to != from)
				memmove(s->block + to, s->block + from, len);
			to += len;
		}
		from += len;
	}
	s->n = to;
	return n - to;
}

void zk_pw_txq_drop(struct zk_pw_txq *q, uint32_t request)
{
	struct zk_pw_seg **link = &q->head, *last = NULL;

	while (*link) {
		struct zk_pw_seg *s = *link;
		bool gone = false;

		if (s->kind == SEG_BLOCK) {
			q->bytes -= drop_in_block(s, request);
			gone = s->at == s->n;
		} else if (s->kind == SEG_LARGE && s->at == 0 &&
		           answers(s->head, request)) {
			q->bytes -= s->n;
			gone = true;
		}
		if (gone) {
			*link = s->next;
			seg_free(s);
		} else {
			last = s;
			link = &s->next;
		}
	}
	q->tail = last;
}
