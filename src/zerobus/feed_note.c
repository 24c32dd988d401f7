/* What travels from the reader's thread to the loop.
 * Layer: zerobus. */
#include "zerobus/feed_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "zerobus/request.h"

#include "base/ban.h"

struct zk_zb_note *zk_zb_note_new(enum zk_zb_what what)
{
	struct zk_zb_note *n = zk_new0(struct zk_zb_note);

	n->what = what;
	zk_buf_init(&n->text, SIZE_MAX / 2); /* each source has bounds of its own */
	return n;
}

void zk_zb_note_free(struct zk_zb_note *n)
{
	if (!n)
		return;
	zk_zb_request_free(n->request);
	zk_zb_kind_unref(n->kind);
	zk_buf_done(&n->text);
	free(n);
}

struct zk_zb_note *zk_zb_note_request(struct zk_zb_request *r)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_REQUEST);

	n->request = r;
	n->item.bytes = r->n;
	return n;
}

/* Copies the slices behind each other and makes them point to the copies. */
static void keep(struct zk_zb_note *n, zk_str *const *slices, size_t n_slices)
{
	size_t sum = 0;

	for (size_t i = 0; i < n_slices; i++)
		sum += slices[i]->n;
	(void)zk_buf_reserve(&n->text, sum + 1); /* it stands still from now on */
	for (size_t i = 0; i < n_slices; i++) {
		const char *at = n->text.p + n->text.n;

		zk_buf_add(&n->text, *slices[i]);
		slices[i]->p = slices[i]->n ? at : NULL;
	}
	n->item.bytes = sum;
}

struct zk_zb_note *zk_zb_note_bad(const struct zk_zb_bad *bad)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_BAD);
	zk_str *const slices[] = { &n->bad.values, &n->bad.column, &n->bad.base64 };

	n->bad = *bad;
	n->kind = zk_zb_kind_ref(bad->kind);
	keep(n, slices, ZK_ARRAY_LEN(slices));
	return n;
}

struct zk_zb_note *zk_zb_note_part(const struct zk_zb_part *part)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_PART);
	zk_str *const slices[] = { &n->part.head, &n->part.body };

	n->part = *part;
	keep(n, slices, ZK_ARRAY_LEN(slices));
	return n;
}

struct zk_zb_note *zk_zb_note_kind(struct zk_zb_kind *kind)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_KIND);

	n->kind = zk_zb_kind_ref(kind);
	return n;
}

struct zk_zb_note *zk_zb_note_skipped(uint64_t rows)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_SKIPPED);

	n->rows = rows;
	return n;
}

struct zk_zb_note *zk_zb_note_text(const char *text)
{
	struct zk_zb_note *n = zk_zb_note_new(ZK_ZB_NOTE_TEXT);

	zk_buf_cstr(&n->text, text);
	return n;
}

void zk_zb_held_push(struct zk_zb_held *h, struct zk_zb_note *n)
{
	n->item.next = NULL;
	*(h->first ? h->tail : &h->first) = &n->item;
	h->tail = &n->item.next;
}

struct zk_zb_note *zk_zb_held_pop(struct zk_zb_held *h)
{
	struct zk_item *item = h->first;

	if (!item)
		return NULL;
	h->first = item->next;
	return zk_zb_note_of(item);
}

void zk_zb_held_drop(struct zk_zb_held *h)
{
	while (h->first)
		zk_zb_note_free(zk_zb_held_pop(h));
}
