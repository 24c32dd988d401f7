/* Positions.
 * Layer: jetstream. */
#include "jetstream/position.h"

#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

#define TIME_FROM     INT64_C(1000000000000000) /* 10^15: from here on a time */
#define OVERLAP_SAME  INT64_C(2000000)
#define OVERLAP_OTHER INT64_C(15000000)
#define MS_FROM       UINT64_C(1500000000000)
#define MS_TO         UINT64_C(2100000000000)
#define S_FROM        UINT64_C(1500000000)
#define S_TO          UINT64_C(2100000000)

static int parse_number(uint64_t n, zk_str text, struct zk_jet_pos *ret,
                        struct zk_error *err)
{
	if (n >= MS_FROM && n <= MS_TO)
		return zk_fail(err, ZK_E_USAGE,
		               "%.*s looks like milliseconds; positions are microseconds",
		               ZK_STR_ARG(text));
	if (n >= S_FROM && n <= S_TO) {
		(void)zk_fail(err, ZK_E_USAGE, "%.*s looks like seconds",
		              ZK_STR_ARG(text));
		return zk_err_hint(err, "a sequence number is written seq:%.*s",
		                   ZK_STR_ARG(text));
	}
	if (n >= (uint64_t)TIME_FROM && n <= INT64_MAX) {
		ret->kind = ZK_JET_POS_TIME;
		ret->time_us = (int64_t)n;
	} else {
		ret->kind = ZK_JET_POS_SEQ;
		ret->seq = n;
	}
	return 0;
}

/* Forms of RFC 3339 with parts left out. */
static bool parse_time(zk_str text, int64_t *ret)
{
	struct zk_error ignored;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 128);
	if (zk_parse_rfc3339(text, ret, &ignored) == 0)
		return true;
	if (text.n == 10) {
		zk_buf_add(&b, text);
		zk_buf_lit(&b, "T00:00:00Z");
	} else if (text.n >= 17) {
		zk_buf_put(&b, text.p, 16);
		zk_buf_lit(&b, ":00");
		zk_buf_add(&b, zk_str_from(text, 16));
	}
	return zk_parse_rfc3339(zk_buf_str(&b), ret, &ignored) == 0;
}

/* "-15m", or a form of RFC 3339; nothing before 1970 is so long ago. */
static bool parse_any_time(zk_str text, int64_t now_us, int64_t *ret)
{
	struct zk_error ignored;
	int64_t ms, us;

	if (!text.n || text.p[0] != '-' ||
	    zk_parse_duration(zk_str_from(text, 1), &ms, &ignored) < 0)
		return parse_time(text, ret);
	if (__builtin_mul_overflow(ms, 1000, &us) || us > now_us)
		return false;
	*ret = now_us - us;
	return true;
}

int zk_jet_pos_parse(zk_str text, int64_t now_us, struct zk_jet_pos *ret,
                     struct zk_error *err)
{
	struct zk_jet_pos p = { 0 };
	struct zk_error ignored;
	uint64_t n;

	if (zk_str_eq(text, ZK_STR("live"))) {
		p.kind = ZK_JET_POS_LIVE;
	} else if (zk_str_starts(text, ZK_STR("seq:"))) {
		if (zk_parse_u64(zk_str_from(text, 4), &p.seq, &ignored) < 0)
			return zk_fail(err, ZK_E_USAGE, "'%.*s' is not seq:N",
			               ZK_STR_ARG(text));
		p.kind = ZK_JET_POS_SEQ;
	} else if (zk_parse_u64(text, &n, &ignored) == 0) {
		if (parse_number(n, text, &p, err) < 0)
			return -(int)err->code;
	} else if (parse_any_time(text, now_us, &p.time_us)) {
		p.kind = ZK_JET_POS_TIME;
	} else {
		(void)zk_fail(err, ZK_E_USAGE, "'%.*s' is no position",
		              (int)ZK_MIN(text.n, (size_t)64), text.p);
		return zk_err_hint(err,
		                   "live, -15m, 2026-01-01T00:00:00Z, time_us, or seq:N");
	}
	*ret = p;
	return 0;
}

void zk_jet_pos_format(const struct zk_jet_pos *p, struct zk_buf *b)
{
	char time[ZK_RFC3339_MAX];

	switch (p->kind) {
	case ZK_JET_POS_NONE:
		return;
	case ZK_JET_POS_LIVE:
		zk_buf_lit(b, "live");
		return;
	case ZK_JET_POS_SEQ:
		zk_buf_lit(b, "seq:");
		zk_buf_u64(b, p->seq);
		return;
	case ZK_JET_POS_TIME:
		zk_buf_put(b, time, zk_format_rfc3339(p->time_us, time));
	}
}

bool zk_jet_cursor_for(const struct zk_jet_place *stored, const char *host, uint64_t *ret)
{
	bool same = strcmp(stored->host, host) == 0;

	if (same && stored->seq) {
		*ret = stored->seq;
		return true;
	}
	if (stored->time_us <= OVERLAP_OTHER)
		return false;
	*ret = (uint64_t)(stored->time_us - (same ? OVERLAP_SAME : OVERLAP_OTHER));
	return true;
}
