/* Messages of a host: zstd, the second wire, gaps, the position of what was handed over.
 * Layer: jetstream. specs/jetstream.md §4, §5, §8. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec/press.h"
#include "jetstream/source_ws.h"
#include "net/ws.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define BAD_FRAMES_MAX 100
#define CLAMP_US       INT64_C(2000000)
#define MISSING_MIN    20.0
#define FUTURE_US      INT64_C(3600000000)

static void report_gap(struct zk_jet_ws_source *s, int64_t from, int64_t to,
                       const char *reason)
{
	struct zk_jet_gap gap = { .from_us = from, .to_us = to };

	(void)snprintf(gap.host, sizeof(gap.host), "%s", s->hosts[s->host].name);
	(void)snprintf(gap.reason, sizeof(gap.reason), "%s", reason);
	s->base.hooks.on_gap(s->base.hooks.ctx, &gap);
}

/* The first event after a resume lies too late: the host began at its oldest. */
static void check_first(struct zk_jet_ws_source *s, const struct zk_jet_mark *m)
{
	double missing;

	if (!s->resumed_us || !m->time_us || !s->sent_cursor)
		return;
	missing = (double)(m->time_us - s->resumed_us) / 1e6 * ZK_MAX(s->rate, 1.0);
	if (m->time_us > s->resumed_us + CLAMP_US && missing >= MISSING_MIN)
		report_gap(s, s->resumed_us, m->time_us, "clamped");
}

static bool is_unfiltered(const struct zk_jet_filter *f)
{
	return !f->n_collections && !f->n_dids && !f->kinds;
}

/* Moves the position past an event that was handed over. */
static void book(struct zk_jet_ws_source *s, const struct zk_jet_mark *m)
{
	struct zk_jet_host *h = &s->hosts[s->host];

	s->last_event_ms = zk_loop_now_ms(s->loop);
	s->rate_events++;
	if (!s->events++) {
		check_first(s, m);
		s->since.kind = ZK_JET_POS_NONE; /* from here on the position counts */
		(void)snprintf(s->place.host, sizeof(s->place.host), "%s", h->name);
		(void)snprintf(s->place.wire, sizeof(s->place.wire), "%s",
		               h->wire == ZK_JET_WIRE_2 ? "v2" : "v1");
		s->place.seq = 0;
	}
	if (m->cursor) {
		if (s->last_seq && m->cursor > s->last_seq + 1 &&
		    is_unfiltered(s->conf.filter))
			report_gap(s, s->place.time_us, m->time_us, "jump");
		s->last_seq = m->cursor;
		s->place.seq = ZK_MAX(s->place.seq, m->cursor);
	}
	if (m->time_us > 0 && m->time_us < zk_wall_us() + FUTURE_US)
		s->place.time_us = ZK_MAX(s->place.time_us, m->time_us);
	s->has_place = true;
	if (s->overlap && m->time_us > s->overlap_until_us) {
		s->overlap = false;
		s->base.hooks.on_overlap(s->base.hooks.ctx, false);
	}
}

static void hand_over(struct zk_jet_ws_source *s, zk_str json, zk_str message)
{
	struct zk_jet_mark mark = { 0 };
	enum zk_jet_taken taken =
	        s->base.hooks.on_event(s->base.hooks.ctx, json, message, &mark);

	if (taken == ZK_JET_SERVER_ERROR) {
		s->server_error = true;
		return;
	}
	book(s, &mark);
	if (taken == ZK_JET_ENOUGH && !s->paused)
		s->base.ops->pause(&s->base);
}

static void on_info(struct zk_jet_ws_source *s)
{
	zk_notice("the host says", "name=%s message=%s", zk_buf_cstring(&s->v2.name),
	          zk_buf_cstring(&s->v2.message));
	if (zk_str_eq(zk_buf_str(&s->v2.name), ZK_STR("OutdatedCursor")) &&
	    s->sent_cursor)
		report_gap(s, s->resumed_us, zk_wall_us(), "too_old");
}

static void read_v2(struct zk_jet_ws_source *s, zk_str frame)
{
	zk_str json;

	switch (zk_jet_v2_read(&s->v2, frame)) {
	case ZK_JET_FRAME_EVENT:
		json = zk_buf_str(&s->v2.event);
		hand_over(s, json, s->conf.upstream_shape ? s->v2.payload : json);
		return;
	case ZK_JET_FRAME_INFO:
		on_info(s);
		return;
	case ZK_JET_FRAME_ERROR:
		zk_warn("the host ends the stream", "error=%s message=%s",
		        zk_buf_cstring(&s->v2.name), zk_buf_cstring(&s->v2.message));
		s->server_error = true;
		return;
	case ZK_JET_FRAME_UNKNOWN:
		zk_counter_add(s->skipped, 1);
		return;
	case ZK_JET_FRAME_DEAD:
		s->base.hooks.on_dead(s->base.hooks.ctx, s->v2.dead, frame);
		return;
	}
}

/* False when the frame is of no use. */
static bool expand(struct zk_jet_ws_source *s, zk_str *frame)
{
	struct zk_error err;

	if (!s->unpress) {
		if (!s->binary_warned)
			zk_warn("binary frames on an uncompressed connection, skipped");
		s->binary_warned = true;
		zk_counter_add(s->skipped, 1);
		return false;
	}
	zk_buf_clear(&s->plain);
	if (zk_unpress_all(s->unpress, *frame, &s->plain, &err) == 0) {
		s->bad_frames = 0;
		*frame = zk_buf_str(&s->plain);
		return true;
	}
	s->base.hooks.on_dead(s->base.hooks.ctx, ZK_JET_DEAD_ZSTD, *frame);
	if (++s->bad_frames == BAD_FRAMES_MAX) {
		zk_warn("100 frames in a row cannot be decompressed: the wrong "
		        "dictionary?",
		        "host=%s", s->hosts[s->host].name);
		s->server_error = true;
	}
	return false;
}

void zk_jet_ws_message(struct zk_jet_ws_source *s, zk_str message, bool binary)
{
	zk_str frame = message;

	if (s->server_error)
		return;
	s->base.hooks.on_wire(s->base.hooks.ctx, message.n);
	if (!binary || expand(s, &frame)) {
		if (s->hosts[s->host].wire == ZK_JET_WIRE_2)
			read_v2(s, frame);
		else
			hand_over(s, frame, frame);
	}
	if (s->server_error)
		zk_jet_ws_next(s, "error", false);
}
