/* Ingest requests.
 * Layer: zerobus. */
#include "zerobus/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/pb.h"

#include "base/ban.h"

#define ROW_TAG ((char)0x0a)

struct zk_zb_request *zk_zb_request_new(struct zk_zb_kind *kind, const char *source)
{
	struct zk_zb_request *r = zk_new0(struct zk_zb_request);

	zk_list_init(&r->link);
	r->kind = zk_zb_kind_ref(kind);
	r->source = source;
	return r;
}

void zk_zb_request_free(struct zk_zb_request *r)
{
	if (!r)
		return;
	zk_zb_kind_unref(r->kind);
	free(r->bytes);
	free(r->runs);
	free(r->spool_ids);
	free(r);
}

void zk_zb_request_reuse(struct zk_zb_request *r, struct zk_zb_kind *kind,
                         const char *source)
{
	struct zk_zb_request old = *r;

	*r = (struct zk_zb_request){ .kind = zk_zb_kind_ref(kind),
		                     .source = source,
		                     .bytes = old.bytes,
		                     .room = old.room,
		                     .runs = old.runs,
		                     .room_runs = old.room_runs };
	zk_list_init(&r->link);
	zk_zb_kind_unref(old.kind);
	free(old.spool_ids);
}

static void make_room(struct zk_zb_request *r, size_t n)
{
	if (n <= r->room - r->n)
		return;
	r->room = ZK_MAX(r->room + r->room / 2, r->n + n);
	r->bytes = zk_realloc(r->bytes, r->room);
}

void zk_zb_request_reserve(struct zk_zb_request *r, size_t bytes)
{
	if (bytes > r->room) {
		r->room = bytes;
		r->bytes = zk_realloc(r->bytes, bytes);
	}
}

static void note_place(struct zk_zb_request *r, uint64_t row, uint64_t line)
{
	struct zk_zb_run *last = r->n_runs ? &r->runs[r->n_runs - 1] : NULL;

	if (last && row == last->row + last->n &&
	    line == (last->line ? last->line + last->n : 0)) {
		last->n++;
		return;
	}
	if (!r->runs || r->n_runs == r->room_runs) {
		r->room_runs = r->room_runs ? 2 * r->room_runs : 4;
		r->runs = zk_realloc(r->runs, r->room_runs * sizeof(*r->runs));
	}
	r->runs[r->n_runs++] = (struct zk_zb_run){ row, line, 1 };
}

void zk_zb_request_add(struct zk_zb_request *r, zk_str payload, uint64_t row,
                       uint64_t line)
{
	char *p;

	make_room(r, 1 + ZK_PB_VARINT_MAX + payload.n);
	p = r->bytes + r->n;
	*p++ = ROW_TAG;
	p = zk_pb_write_varint(p, payload.n);
	if (payload.n)
		memcpy(p, payload.p, payload.n);
	r->n = (size_t)(p - r->bytes) + payload.n;
	note_place(r, row, line);
	r->rows++;
}

bool zk_zb_request_next(const struct zk_zb_request *r, struct zk_zb_cursor *c)
{
	zk_str rest;
	uint64_t n = 0;
	const struct zk_zb_run *run;

	if (c->i == r->rows)
		return false;
	rest = zk_str_n(r->bytes + c->at + 1, r->n - c->at - 1);
	ZK_IGNORE(zk_pb_take_varint(&rest, &n) < 0); /* we wrote it */
	c->payload = zk_str_n(rest.p, (size_t)n);
	c->at = (size_t)(rest.p - r->bytes) + (size_t)n;
	run = &r->runs[c->run];
	c->place.row = run->row + c->in_run;
	c->place.line = run->line ? run->line + c->in_run : 0;
	c->place.spool_id = r->spool_ids ? r->spool_ids[c->i] : 0;
	c->i++;
	if (++c->in_run == run->n) {
		c->run++;
		c->in_run = 0;
	}
	return true;
}

void zk_zb_request_split(struct zk_zb_request *r, struct zk_zb_request **ret_a,
                         struct zk_zb_request **ret_b)
{
	struct zk_zb_request *half[2];
	struct zk_zb_cursor c = { 0 };
	uint32_t first = r->rows / 2;

	for (int i = 0; i < 2; i++) {
		half[i] = zk_zb_request_new(r->kind, r->source);
		half[i]->single = r->single;
		half[i]->attempts = r->attempts;
		half[i]->queued_us = r->queued_us;
	}
	while (zk_zb_request_next(r, &c))
		zk_zb_request_add(half[c.i > first], c.payload, c.place.row,
		                  c.place.line);
	if (r->spool_ids) {
		size_t a = first * sizeof(*r->spool_ids);
		size_t b = (r->rows - first) * sizeof(*r->spool_ids);

		half[0]->spool_ids = zk_alloc(a);
		half[1]->spool_ids = zk_alloc(b);
		memcpy(half[0]->spool_ids, r->spool_ids, a);
		memcpy(half[1]->spool_ids, r->spool_ids + first, b);
	}
	zk_zb_request_free(r);
	*ret_a = half[0];
	*ret_b = half[1];
}
