/* zk:jetstream.stream: the Bluesky stream as chunks; abort ends it.
 * Layer: cmd. specs/cli.md §Procwire, specs/jetstream.md §2.
 *
 * A call is {collections, dids, kinds, ops, match, since, limit, hydrate}, all of them optional:
 * what it leaves out is that of the configuration, as for `zk jetstream tail`. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/jetstream_opts.h"
#include "cmd/procwire_stream.h"
#include "cmd/procwire_verbs.h"
#include "cmd/spool_senders.h"
#include "codec/msgpack.h"
#include "rt/loop.h"

#include "base/ban.h"

#define LIST_MAX_ 10000

static const struct zk_opt rows[] = { JET_SOURCE_ROWS, JET_HYDRATE_ROWS("none"),
	                              ZK_OPT_END };

struct verb {
	struct zk_app *app;
	struct zk_loop *loop;
};

struct call {
	struct procwire_stream stream;
	struct zk_optpool pool;
	struct jet_opts o;
	struct jet_input in;
	uint64_t limit;
	bool has_in;
	struct zk_jet_hydrator *hydrator;
	struct zk_jet_pipe *pipe;
	struct zk_jet_source *source;
};

static void call_free(void *ctx)
{
	struct call *c = ctx;

	zk_jet_source_free(c->source);
	zk_jet_pipe_free(c->pipe);
	zk_jet_hydrator_free(c->hydrator);
	if (c->has_in)
		jet_input_done(&c->in);
	zk_optpool_done(&c->pool);
	free(c);
}

/* ---- the stream ---- */

static void on_room(void *ctx)
{
	struct call *c = ctx;

	zk_jet_pipe_room(c->pipe);
}

static bool on_record(void *ctx, zk_str record)
{
	struct call *c = ctx;

	return procwire_stream_json(&c->stream, record);
}

static void on_enough(void *ctx)
{
	struct call *c = ctx;

	procwire_stream_end(&c->stream, NULL);
}

static void on_ended(void *ctx, const struct zk_error *err)
{
	struct call *c = ctx;

	procwire_stream_end(&c->stream, err);
}

static void on_gap(void *ctx, const struct zk_jet_gap *gap)
{
	(void)ctx;
	(void)gap; /* it is logged */
}

/* ---- the call ---- */

/* A text, or a list of texts; what is not there leaves `ret` alone. */
static int read_list(struct call *c, zk_str payload, const char *name,
                     struct zk_strlist *ret, struct zk_error *err)
{
	struct zk_mpval head;
	zk_str at, text;
	char **v;

	if (!zk_mp_get(payload, zk_str_of(name), &at))
		return 0;
	text = at;
	if (!zk_mp_next(&text, &head))
		return zk_fail(err, ZK_E_DATA, "%s is broken", name);
	if (head.type == ZK_MP_NIL)
		return 0;
	if (head.type == ZK_MP_ARRAY)
		at = text;
	else
		head.n = 1;
	if (head.n > LIST_MAX_)
		return zk_fail(err, ZK_E_LIMIT, "%s has more than %d entries", name,
		               LIST_MAX_);
	v = zk_optpool_alloc(&c->pool, (head.n + 1) * sizeof(*v));
	for (uint32_t i = 0; i < head.n; i++) {
		zk_str one = zk_mp_take(&at);
		struct zk_mpval val;

		if (!zk_mp_next(&one, &val) || val.type != ZK_MP_STR)
			return zk_fail(err, ZK_E_DATA, "%s is a list of texts", name);
		/* A file of this machine is not the caller's to read. */
		if (val.s.n && val.s.p[0] == '@')
			return zk_fail(err, ZK_E_DATA, "%s names no files here", name);
		v[i] = zk_optpool_str(&c->pool, val.s);
	}
	*ret = (struct zk_strlist){ .v = v, .n = head.n };
	return 0;
}

static int read_call(struct call *c, zk_str payload, struct zk_error *err)
{
	zk_str text;

	if (read_list(c, payload, "collections", &c->o.collections, err) < 0 ||
	    read_list(c, payload, "dids", &c->o.dids, err) < 0 ||
	    read_list(c, payload, "kinds", &c->o.kinds, err) < 0 ||
	    read_list(c, payload, "ops", &c->o.ops, err) < 0 ||
	    read_list(c, payload, "hydrate", &c->o.hydrate, err) < 0)
		return -(int)err->code;
	if (zk_mp_get_str(payload, ZK_STR("match"), &text))
		c->o.match = zk_optpool_str(&c->pool, text);
	if (zk_mp_get_str(payload, ZK_STR("since"), &text))
		c->o.since = zk_optpool_str(&c->pool, text);
	(void)zk_mp_get_u64(payload, ZK_STR("limit"), &c->limit); /* 0 = without end */
	return 0;
}

static int begin(struct call *c, const struct verb *v, struct zk_error *err)
{
	struct zk_jet_hydrator_conf hydr = { .on_ready = zk_jet_pipe_ready };
	struct zk_jet_pipe_conf pipe = { .loop = v->loop,
		                         .metrics = zk_app_metrics(v->app),
		                         .filter = &c->in.filter,
		                         .limit = c->limit,
		                         .ctx = c,
		                         .emit = on_record,
		                         .enough = on_enough,
		                         .ended = on_ended,
		                         .gap = on_gap };
	struct zk_jet_place nowhere = { 0 };
	struct zk_jet_source_hooks hooks;

	c->has_in = true;
	if (jet_input_make(v->app, &c->o, &c->in, err) < 0)
		return -(int)err->code;
	pipe.wanted = c->in.wanted;
	pipe.envelope =
	        c->in.hydrates ? (enum zk_jet_envelope)c->o.envelope : ZK_JET_ENV_RAW;
	c->pipe = zk_jet_pipe_new(&pipe);
	hydr.ctx = c->pipe;
	if (jet_hydrator(v->app, &c->o, &c->in, &hydr, &c->hydrator, err) < 0)
		return -(int)err->code;
	zk_jet_pipe_use(c->pipe, c->hydrator, NULL, NULL);
	hooks = zk_jet_pipe_hooks(c->pipe);
	c->source = jet_source(v->app, &c->o, &c->in, &nowhere, &hooks, err);
	if (!c->source)
		return -(int)err->code;
	zk_jet_pipe_attach(c->pipe, c->source);
	return 0;
}

static enum zk_pw_then request(struct zk_pw_req *req, zk_str payload)
{
	const struct verb *v = zk_pw_method_of(req)->conf;
	struct call *c = zk_new0(struct call);
	struct zk_error err = { 0 };

	c->stream = (struct procwire_stream){ .loop = v->loop,
		                              .free = call_free,
		                              .room = on_room };
	if (zk_spool_options(v->app, rows, "jetstream", &c->pool, &c->o, &err) < 0 ||
	    read_call(c, payload, &err) < 0 || begin(c, v, &err) < 0) {
		call_free(c);
		return zk_pw_fail(req, &err);
	}
	return procwire_stream_keep(&c->stream, req);
}

const struct zk_pw_handler procwire_jetstream_stream = { .name = "zk:jetstream.stream",
	                                                 .request = request,
	                                                 .drop = procwire_stream_drop };

int procwire_jetstream_stream_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                   const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	struct zk_optpool pool = { 0 };
	const struct procwire_remotes *remotes;
	struct jet_opts o = { 0 };
	int r;

	(void)spec;
	v->app = procwire_app(env, &remotes);
	v->loop = env->loop;
	m->conf = v;
	m->free_conf = free;
	if (m->kind != ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "jetstream.stream is a stream: kind=stream");
	/* What the configuration says wrong shows at the start. */
	r = zk_spool_options(v->app, rows, "jetstream", &pool, &o, err);
	zk_optpool_done(&pool);
	return r;
}
