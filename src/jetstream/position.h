/* Positions: what users write, what is stored, what is sent on a connection (§2, §8).
 * Layer: jetstream. Pure. */
#ifndef ZK_JETSTREAM_POSITION_H
#define ZK_JETSTREAM_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

enum zk_jet_pos_kind {
	ZK_JET_POS_NONE,
	ZK_JET_POS_LIVE,
	ZK_JET_POS_TIME,
	ZK_JET_POS_SEQ
};

struct zk_jet_pos {
	enum zk_jet_pos_kind kind;
	int64_t time_us;
	uint64_t seq;
};

/* "live", "-15m", RFC 3339 (also "2026-01-01", "2026-01-01T00:00Z"), a number (time_us from 10^15
 * on), "seq:N". -ZK_E_USAGE for others, and for numbers that look like seconds or
 * milliseconds (§8.2). */
int zk_jet_pos_parse(zk_str text, int64_t now_us, struct zk_jet_pos *ret,
                     struct zk_error *err) ZK_MUST_USE;
/* "live", "seq:5", or the time as RFC 3339; appended. */
void zk_jet_pos_format(const struct zk_jet_pos *p, struct zk_buf *b);

/* The stored position of a source. */
struct zk_jet_place {
	char host[256];
	char wire[4]; /* "v1", "v2", "" */
	uint64_t seq; /* 0 = the host gave none */
	int64_t time_us;
	int64_t updated_us;
};

/* The cursor to send to `host`: false when none is to be sent. */
bool zk_jet_cursor_for(const struct zk_jet_place *stored, const char *host,
                       uint64_t *ret);

#endif
