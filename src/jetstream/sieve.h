/* What can be said of events by themselves, on any thread: most of those that a filter turns away
 * never reach the loop.
 * Layer: jetstream. A sieve has one owner, one thread at a time. */
#ifndef ZK_JETSTREAM_SIEVE_H
#define ZK_JETSTREAM_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "jetstream/event.h"
#include "jetstream/filter.h"
#include "jetstream/position.h"

/* Constant while it is used. */
struct zk_jet_sieve_conf {
	const struct zk_jet_filter *filter;
	bool records; /* also members of the record are wanted */
	struct zk_jet_pos
	        until; /* events that are beyond it need a look; NONE = none are */
};

/* A row of events that are sound and that the filter turned away. */
struct zk_jet_passed {
	uint64_t n, bytes;
	int64_t time_us; /* the largest that moves a position; 0 = none */
	uint64_t cursor; /* the largest; 0 = none */
};

/* An event that needs a look, behind a row of those that need none. */
struct zk_jet_grain {
	struct zk_jet_passed before;
	zk_str line;
	/* It is sound and the filter lets it pass: `e` is what zk_jet_decode() says of it.
	 * Otherwise nothing is said. */
	bool passes;
	struct zk_jet_event e;
};

struct zk_jet_sieve {
	struct zk_jet_sieve_conf conf;
	struct zk_jet_decoder decoder;
	struct zk_jet_grain *v; /* of the last run */
	size_t n, room;
	struct zk_jet_passed rest; /* behind the last of them */
	uint64_t events;           /* all of them */
};

void zk_jet_sieve_init(struct zk_jet_sieve *s, const struct zk_jet_sieve_conf *conf);
void zk_jet_sieve_done(struct zk_jet_sieve *s);
/* Looks at whole lines; what it finds lies in them and lasts as long as they do, at most until the
 * next run. */
void zk_jet_sieve_run(struct zk_jet_sieve *s, zk_str lines);

/* A time that is 0 or lies an hour ahead does not move a position (§8.3). */
#define ZK_JET_FUTURE_US INT64_C(3600000000)
static inline bool zk_jet_moves(const struct zk_jet_event *e, int64_t wall_us)
{
	return e->has_time && e->time_us > 0 && e->time_us < wall_us + ZK_JET_FUTURE_US;
}
/* Whether the event lies beyond the end of what is wanted. */
bool zk_jet_is_past(const struct zk_jet_pos *until, const struct zk_jet_event *e);

#endif
