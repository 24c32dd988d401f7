/* Fuzz target: lines that are looked at ahead. What the sieve says of them is what decoding and
 * filtering them one by one says, each read completely.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/ndjson.h"
#include "jetstream/sieve.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same_text(zk_str a, zk_str b)
{
	ZK_ASSERT(a.n == b.n && (a.p == b.p || !a.n));
}

/* The sieve's event against one that was decoded just now, from the same bytes. */
static void same_event(const struct zk_jet_event *a, const struct zk_jet_event *b)
{
	const struct zk_jval *const x[] = { &a->record, &a->text,  &a->langs,  &a->facets,
		                            &a->reply,  &a->embed, &a->subject };
	const struct zk_jval *const y[] = { &b->record, &b->text,  &b->langs,  &b->facets,
		                            &b->reply,  &b->embed, &b->subject };

	same_text(a->raw, b->raw);
	same_text(a->did, b->did);
	same_text(a->kind_text, b->kind_text);
	same_text(a->op_text, b->op_text);
	same_text(a->collection, b->collection);
	same_text(a->rkey, b->rkey);
	same_text(a->rev, b->rev);
	same_text(a->relay_seq, b->relay_seq);
	ZK_ASSERT(a->kind == b->kind && a->op == b->op && a->active == b->active);
	ZK_ASSERT(a->has_time == b->has_time && a->time_us == b->time_us);
	ZK_ASSERT(a->has_cursor == b->has_cursor && a->cursor == b->cursor);
	for (size_t i = 0; i < ZK_ARRAY_LEN(x); i++) {
		ZK_ASSERT(x[i]->type == y[i]->type);
		same_text(x[i]->raw, y[i]->raw);
	}
}

struct plain {
	struct zk_jet_decoder d;
	struct zk_jet_passed row;
	size_t grains;
};

static void one(struct plain *p, const struct zk_jet_sieve *s, zk_str line)
{
	struct zk_jet_event e;
	bool sound = zk_jet_decode(&p->d, line, &e) == ZK_JET_ALIVE;
	const struct zk_jet_grain *g;

	if (sound && !zk_jet_filter_passes(s->conf.filter, &e)) {
		p->row.n++;
		p->row.bytes += line.n;
		if (zk_jet_moves(&e, zk_wall_us()))
			p->row.time_us = ZK_MAX(p->row.time_us, e.time_us);
		if (e.has_cursor)
			p->row.cursor = ZK_MAX(p->row.cursor, e.cursor);
		return;
	}
	ZK_ASSERT(p->grains < s->n);
	g = &s->v[p->grains++];
	same_text(g->line, line);
	ZK_ASSERT(g->before.n == p->row.n && g->before.bytes == p->row.bytes);
	ZK_ASSERT(g->before.time_us == p->row.time_us &&
	          g->before.cursor == p->row.cursor);
	p->row = (struct zk_jet_passed){ 0 };
	ZK_ASSERT(!g->passes || sound);
	if (g->passes)
		same_event(&g->e, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char *ops[] = { (char *)"create", (char *)"other" };
	static char *collections[] = { (char *)"app.bsky.feed.post", (char *)"a.b.*" };
	struct zk_jet_filter_conf conf = {
		.ops = ops, .n_ops = 2, .collections = collections, .n_collections = 2
	};
	zk_str text = zk_str_n((const char *)data, n);
	struct zk_jet_filter filter;
	struct zk_jet_sieve sieve;
	struct zk_jet_sieve_conf sc = { .filter = &filter, .records = n % 2 };
	struct plain p = { 0 };
	struct zk_ndjson split;
	struct zk_ndjson_line line;
	struct zk_error err;
	uint64_t events = 0;

	zk_clock_fake(1000000, INT64_C(1767225600000000));
	ZK_ASSERT(zk_jet_filter_init(&filter, &conf, &err) == 0);
	zk_jet_sieve_init(&sieve, &sc);
	zk_jet_decoder_init(&p.d, sc.records);
	p.d.thorough = true;
	/* Lines are whole, and not the first of a file. */
	while (text.n && text.p[text.n - 1] != '\n')
		text.n--;
	zk_jet_sieve_run(&sieve, text);
	zk_ndjson_init(&split, ZK_JET_EVENT_MAX);
	split.start = split.offset = 1;
	for (; zk_ndjson_next(&split, &text, &line); events++)
		one(&p, &sieve, line.text);
	ZK_ASSERT(events == sieve.events && p.grains == sieve.n);
	ZK_ASSERT(p.row.n == sieve.rest.n && p.row.bytes == sieve.rest.bytes);
	zk_ndjson_done(&split);
	zk_jet_decoder_done(&p.d);
	zk_jet_sieve_done(&sieve);
	zk_jet_filter_done(&filter);
	return 0;
}
