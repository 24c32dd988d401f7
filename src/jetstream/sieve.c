/* Events filtered ahead of the loop.
 * Layer: jetstream. */
#include "jetstream/sieve.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/ndjson.h"

#include "base/ban.h"

#define GRAINS 64

void zk_jet_sieve_init(struct zk_jet_sieve *s, const struct zk_jet_sieve_conf *conf)
{
	*s = (struct zk_jet_sieve){ .conf = *conf };
	zk_jet_decoder_init(&s->decoder, conf->records);
}

void zk_jet_sieve_done(struct zk_jet_sieve *s)
{
	zk_jet_decoder_done(&s->decoder);
	free(s->v);
}

bool zk_jet_is_past(const struct zk_jet_pos *until, const struct zk_jet_event *e)
{
	if (until->kind == ZK_JET_POS_TIME)
		return e->has_time && e->time_us >= until->time_us;
	return until->kind == ZK_JET_POS_SEQ && e->has_cursor && e->cursor >= until->seq;
}

/* Where the next event is read into; it becomes a grain or is overwritten. */
static struct zk_jet_grain *slot(struct zk_jet_sieve *s)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : GRAINS;
		s->v = zk_realloc(s->v, s->room * sizeof(*s->v));
	}
	return &s->v[s->n];
}

static void pass(struct zk_jet_passed *p, const struct zk_jet_event *e, size_t bytes,
                 int64_t wall_us)
{
	p->n++;
	p->bytes += bytes;
	if (zk_jet_moves(e, wall_us))
		p->time_us = ZK_MAX(p->time_us, e->time_us);
	if (e->has_cursor)
		p->cursor = ZK_MAX(p->cursor, e->cursor);
}

static void look(struct zk_jet_sieve *s, zk_str line, int64_t wall_us)
{
	struct zk_jet_grain *g = slot(s);
	bool sound = zk_jet_decode(&s->decoder, line, &g->e) == ZK_JET_ALIVE &&
	             !zk_jet_is_past(&s->conf.until, &g->e);

	if (sound && !zk_jet_filter_passes(s->conf.filter, &g->e)) {
		pass(&s->rest, &g->e, line.n, wall_us);
		return;
	}
	/* Decoded texts do not outlive the next event. */
	g->passes = sound && !s->decoder.text.n;
	g->line = line;
	g->before = s->rest;
	s->rest = (struct zk_jet_passed){ 0 };
	s->n++;
}

void zk_jet_sieve_run(struct zk_jet_sieve *s, zk_str lines)
{
	int64_t wall_us = zk_wall_us();
	struct zk_ndjson split;
	struct zk_ndjson_line line;

	s->n = 0;
	s->rest = (struct zk_jet_passed){ 0 };
	s->events = 0;
	zk_ndjson_init(&split, ZK_JET_EVENT_MAX);
	split.start = split.offset = 1; /* not the beginning of a file: no mark there */
	while (zk_ndjson_next(&split, &lines, &line)) {
		look(s, line.text, wall_us);
		s->events++;
	}
	zk_ndjson_done(&split);
}
