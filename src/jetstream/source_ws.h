/* Inside of the source that reads a host (§6 to §8).
 * Layer: jetstream, private to source_ws*.c. */
#ifndef ZK_JETSTREAM_SOURCE_WS_H
#define ZK_JETSTREAM_SOURCE_WS_H

#include "base/buf.h"
#include "base/rand.h"
#include "jetstream/filter.h"
#include "jetstream/source.h"
#include "rt/retry.h"

struct zk_counter;
struct zk_http;
struct zk_loop;
struct zk_metrics;
struct zk_timer;
struct zk_unpress;
struct zk_ws;
struct zk_zdict;

struct zk_jet_host {
	char *name;            /* "jetstream1.us-east.bsky.network", without the scheme */
	char *ws, *http;       /* "wss://…", "https://…" */
	enum zk_jet_wire wire; /* AUTO = not known yet */
	bool tried;            /* in this round */
	int64_t stalled_ms[2]; /* the last two times; used last after two in 10 min */
	struct zk_zdict *dict; /* of the second wire */
	unsigned dict_id;
	bool no_dict; /* could not be fetched */
};

struct zk_jet_ws_source {
	struct zk_jet_source base;
	struct zk_net *net;
	struct zk_loop *loop;
	struct zk_jet_ws_source_conf conf;
	struct zk_jet_host *hosts;
	size_t n_hosts, host;   /* the present one */
	struct zk_zdict *dict1; /* of the first wire */
	struct zk_ws *ws;
	struct zk_http *probe; /* asks for the wire, or for a dictionary */
	struct zk_unpress *unpress;
	struct zk_buf plain; /* a decompressed frame */
	struct zk_jet_v2 v2;
	unsigned bad_frames;    /* undecodable ones in a row */
	struct zk_timer *timer; /* until the next try */
	struct zk_timer *watch; /* states, silence */
	struct zk_retry retry;
	struct zk_rand jitter;
	uint64_t rounds;
	int64_t retry_after_ms;
	enum zk_jet_state state;
	bool paused, finishing, ended, binary_warned;
	/* Where it stands: events handed over so far. */
	struct zk_jet_place place;
	bool has_place, overlap;
	int64_t overlap_until_us;
	struct zk_jet_pos since; /* of the first connection */
	/* The present connection. */
	int64_t connected_ms, last_event_ms, live_ms, behind_ms;
	uint64_t sent_cursor; /* 0 = none */
	int64_t resumed_us;   /* time that the cursor stands for; 0 = unknown */
	uint64_t events;      /* of this connection */
	uint64_t rate_events; /* in the running minute */
	int64_t rate_ms;
	double rate; /* usual events a second */
	uint64_t last_seq;
	bool server_error;
	struct zk_metrics *metrics;
	struct zk_counter *skipped;
};

/* source_ws.c: begins the next try, at once or later. */
void zk_jet_ws_next(struct zk_jet_ws_source *s, const char *why, bool stalled);
void zk_jet_ws_fail(struct zk_jet_ws_source *s, const struct zk_error *err);
void zk_jet_ws_set_state(struct zk_jet_ws_source *s, enum zk_jet_state state);
/* source_ws_open.c: connects to the present host, finding out its wire and dictionary first. */
void zk_jet_ws_connect(struct zk_jet_ws_source *s);
/* source_ws_read.c: one message. */
void zk_jet_ws_message(struct zk_jet_ws_source *s, zk_str message, bool binary);

#endif
