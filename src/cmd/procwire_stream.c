/* A call that is answered with chunks until it is over or aborted.
 * Layer: cmd. */
#include "cmd/procwire_stream.h"

#include "base/mem.h"
#include "codec/msgpack.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define CHUNK_MAX ((size_t)128 << 20)

/* Frees the call, not from inside a callback of what feeds it. */
static struct zk_pw_req *let_go(struct procwire_stream *s)
{
	struct zk_pw_req *req = ZK_TAKE(s->req);

	if (req)
		zk_loop_defer(s->loop, s->free, s);
	return req;
}

void procwire_stream_end(struct procwire_stream *s, const struct zk_error *err)
{
	struct zk_pw_req *req = let_go(s);
	struct zk_error ignored;

	if (!req)
		return;
	if (err && err->code)
		(void)zk_pw_fail(req, err);
	else
		ZK_IGNORE(zk_pw_end(req, &ignored) < 0); /* nobody listens any more */
	zk_pw_done(req);
}

static void on_cancel(void *ctx)
{
	struct zk_pw_req *req = let_go(ctx);

	if (req)
		zk_pw_done(req);
}

static void on_room(void *ctx)
{
	struct procwire_stream *s = ctx;

	if (s->req)
		s->room(s);
}

void procwire_stream_drop(struct zk_pw_req *req)
{
	struct procwire_stream *s = zk_pw_data(req);

	s->free(s);
}

bool procwire_stream_is_raw(const struct procwire_stream *s)
{
	return zk_pw_method_of(s->req)->response == ZK_PW_RAW;
}

/* After a chunk. */
static bool go_on(struct procwire_stream *s, int r, const struct zk_error *err)
{
	if (r < 0)
		procwire_stream_end(s, err);
	if (!s->req || !zk_pw_is_full(s->req))
		return true;
	zk_pw_when_room(s->req, on_room, s);
	return false;
}

bool procwire_stream_send(struct procwire_stream *s, struct zk_buf *chunk)
{
	struct zk_error err = { 0 };

	return !s->req || go_on(s, zk_pw_chunk_buf(s->req, chunk, &err), &err);
}

bool procwire_stream_json(struct procwire_stream *s, zk_str json)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };

	zk_buf_init(&b, CHUNK_MAX);
	if (!s->req)
		return true;
	if (procwire_stream_is_raw(s))
		return go_on(s, zk_pw_chunk(s->req, json, &err), &err);
	if (zk_mp_from_json(json, &b, &err) == 0)
		return procwire_stream_send(s, &b);
	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a value has no form in msgpack, left out",
	             &err);
	return true;
}

enum zk_pw_then procwire_stream_keep(struct procwire_stream *s, struct zk_pw_req *req)
{
	s->req = req;
	zk_pw_set_data(req, s);
	zk_pw_on_cancel(req, on_cancel, s);
	return ZK_PW_THEN_KEEP;
}
