/* Clients of /ws: each record that is stored, as one text frame; and, when they ask for a moment of
 * the past, those since then.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §15.4, §17.
 *
 * The query of a request names what is wanted, in the words of the options, of the first wire or of
 * the second: collection, wantedCollections, collections; did, wantedDids, dids; kind, kinds; op;
 * match; cursor (time_us). A text {"type":"options_update","payload":{…}} replaces collections and
 * accounts, as the servers of the first wire have it (§3.2).
 *
 * A client that is more than 1,000 records behind loses the oldest and gets
 * {"type":"lagged","dropped":N}. One with a cursor reads the store at its own pace, packed files
 * too, and loses nothing, but gets {"type":"lagged","dropped":null} where files are gone already. */
#ifndef ZK_JETSTREAM_FAN_H
#define ZK_JETSTREAM_FAN_H

#include <stdbool.h>
#include <stdint.h>

#include "jetstream/record.h"
#include "net/httpd.h"

struct zk_jet_fan;
struct zk_loop;
struct zk_metrics;

#define ZK_JET_CLIENTS_MAX 64
#define ZK_JET_READERS_MAX 8 /* of them, with a cursor */

/* `dir` (of the store) is copied. */
struct zk_jet_fan *zk_jet_fan_new(struct zk_loop *loop, const char *dir,
                                  enum zk_jet_envelope envelope, struct zk_metrics *m);
/* Answers a request for /ws. */
void zk_jet_fan_join(struct zk_jet_fan *l, struct zk_httpd_req *r);
/* `n` rows more are in the store. */
void zk_jet_fan_kick(struct zk_jet_fan *l, size_t n);
/* Whether no client needs the plain form of this file any more. */
bool zk_jet_fan_passed(const struct zk_jet_fan *l, const char *file);
/* Nobody joins any more; what is stored is handed to all, then they get 1001. fn when the last one is
 * gone. */
void zk_jet_fan_drain(struct zk_jet_fan *l, void (*fn)(void *ctx), void *ctx);
void zk_jet_fan_free(struct zk_jet_fan *l); /* NULL is fine */

struct zk_jet_fan_figures {
	unsigned clients;
	uint64_t sent, dropped;
};
void zk_jet_fan_figures(const struct zk_jet_fan *l, struct zk_jet_fan_figures *ret);

#endif
