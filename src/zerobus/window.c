/* The window of a stream.
 * Layer: zerobus. specs/zerobus.md §8.1, §8.2. */
#include "zerobus/window.h"

#include <string.h>

#include "base/clock.h"
#include "zerobus/request.h"

#include "base/ban.h"

static struct zk_zb_request *entry(const struct zk_list *e)
{
	return ZK_LIST_ENTRY(e, struct zk_zb_request, link);
}

void zk_zb_window_init(struct zk_zb_window *w)
{
	memset(w, 0, sizeof(*w));
	zk_list_init(&w->requests);
	w->next = &w->requests;
	w->acked = w->sent = -1;
}

static void count(struct zk_zb_window *w, const struct zk_zb_request *r)
{
	w->n++;
	w->bytes += r->n;
	w->rows += r->rows;
}

void zk_zb_window_push(struct zk_zb_window *w, struct zk_zb_request *r)
{
	r->offset = w->next_offset++;
	r->started = false;
	zk_list_push(&w->requests, &r->link);
	if (w->next == &w->requests)
		w->next = &r->link;
	count(w, r);
}

void zk_zb_window_push_front(struct zk_zb_window *w, struct zk_zb_request *r)
{
	zk_list_push_front(&w->requests, &r->link);
	r->started = false;
	w->next = &r->link;
	w->at = w->n_head = 0;
	count(w, r);
}

struct zk_zb_request *zk_zb_window_first(const struct zk_zb_window *w)
{
	return zk_list_is_empty(&w->requests) ? NULL : entry(w->requests.next);
}

struct zk_zb_request *zk_zb_window_take_first(struct zk_zb_window *w)
{
	struct zk_zb_request *r = zk_zb_window_first(w);

	if (!r)
		return NULL;
	if (w->next == &r->link) {
		w->next = r->link.next;
		w->at = w->n_head = 0;
	}
	zk_list_remove(&r->link);
	w->n--;
	w->bytes -= r->n;
	w->rows -= r->rows;
	return r;
}

/* ---- sending ---- */

static bool may_begin(const struct zk_zb_window *w)
{
	return !w->hold && (!w->solo || w->sent == w->acked);
}

bool zk_zb_window_is_quiet(const struct zk_zb_window *w)
{
	return !w->at && w->sent == w->acked;
}

static size_t message_bytes(const struct zk_zb_window *w)
{
	const struct zk_zb_request *r = entry(w->next);
	char head[ZK_ZB_HEAD_MAX];
	size_t n = w->n_head ? w->n_head : zk_zb_request_head(r, r->offset, head);

	return n + zk_zb_request_body(r).n;
}

size_t zk_zb_window_ready(const struct zk_zb_window *w, size_t room)
{
	size_t n;

	if (w->next == &w->requests || (!w->at && !may_begin(w)))
		return 0;
	n = message_bytes(w) - w->at;
	/* Small messages share a frame: the size of the window's rows is a lower bound of what
	 * its messages take, and take() fetches across their borders. */
	if (n < room && !w->hold && !w->solo) {
		const struct zk_list *e = w->next->next;

		while (n < room && e != &w->requests) {
			const struct zk_zb_request *r = entry(e);
			char head[ZK_ZB_HEAD_MAX];

			n += zk_zb_request_head(r, r->offset, head) +
			     zk_zb_request_body(r).n;
			e = e->next;
		}
	}
	return ZK_MIN(n, room);
}

static void begin(struct zk_zb_window *w, struct zk_zb_request *r)
{
	w->n_head = zk_zb_request_head(r, r->offset, w->head);
	if (!r->started) {
		r->started = true;
		r->attempts++;
		r->start_us = zk_mono_us();
	}
}

/* Copies some of the message at hand; how much. */
static size_t take_some(struct zk_zb_window *w, char *to, size_t n)
{
	struct zk_zb_request *r = entry(w->next);
	zk_str body = zk_zb_request_body(r);
	size_t done = 0;

	if (!w->at)
		begin(w, r);
	if (w->at < w->n_head) {
		done = ZK_MIN(n, w->n_head - w->at);
		memcpy(to, w->head + w->at, done);
		w->at += done;
	}
	if (done < n) {
		size_t m = ZK_MIN(n - done, w->n_head + body.n - w->at);

		if (m)
			memcpy(to + done, body.p + (w->at - w->n_head), m);
		w->at += m;
		done += m;
	}
	if (w->at == w->n_head + body.n) {
		w->sent = r->offset;
		w->next = w->next->next;
		w->at = w->n_head = 0;
	}
	return done;
}

void zk_zb_window_take(struct zk_zb_window *w, char *to, size_t n)
{
	while (n && w->next != &w->requests) {
		size_t done = take_some(w, to, n);

		to += done;
		n -= done;
	}
}

/* ---- acknowledgements ---- */

enum zk_zb_acked zk_zb_window_ack(struct zk_zb_window *w, int64_t value)
{
	if (value < -1 || value > w->sent)
		return ZK_ZB_ACK_BAD;
	if (value <= w->acked)
		return ZK_ZB_ACK_OLD;
	w->acked = value;
	return ZK_ZB_ACK_NEW;
}

struct zk_zb_request *zk_zb_window_take_acked(struct zk_zb_window *w)
{
	struct zk_zb_request *r = zk_zb_window_first(w);

	return r && r->offset <= w->acked ? zk_zb_window_take_first(w) : NULL;
}

uint64_t zk_zb_window_rewind(struct zk_zb_window *w)
{
	uint64_t again = 0;

	w->next_offset = 0;
	w->acked = w->sent = -1;
	w->at = w->n_head = 0;
	w->hold = false;
	w->next = w->requests.next;
	ZK_LIST_EACH (it, &w->requests) {
		struct zk_zb_request *r = entry(it);

		if (r->started)
			again += r->rows;
		r->started = false;
		r->offset = w->next_offset++;
	}
	return again;
}
