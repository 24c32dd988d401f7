/* Telemetry of our own calls: trace context, spans, their delivery.
 * Layer: net. */
#include "net/otel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "codec/press.h"
#include "net/net.h"
#include "net/otel_env.h"
#include "net/send.h"
#include "rt/loop.h"

#define ZK_LOGGER "otel"
#include "base/log.h"

#include "base/ban.h"

#define MAX_SPANS   2048 /* that wait; what OpenTelemetry's queue holds too */
#define BATCH_SPANS 512
#define MAX_BYTES   ((size_t)8 << 20)
#define DELAY_MS    5000
#define METRICS_MS  10000
#define MAX_STATE   512 /* W3C Trace Context §3.3.1.1 */
#define MAX_ANSWER  65536

struct zk_otel {
	struct zk_otel_env env;
	char *command, *trace_state;
	int fd; /* of the file, -1 = none */
	bool exports, sampled;
	uint8_t flags; /* of the parent */
	bool has_parent;
	struct zk_otel_ctx root; /* the command; its parent is that of the environment */

	struct zk_net *net;
	struct zk_rand rnd;
	struct zk_timer *timer;
	int64_t end_ms;
	struct zk_buf spans; /* each with a comma behind it */
	size_t n_spans;
	uint64_t dropped;
	struct zk_send *send;
	struct zk_buf metrics; /* that wait */
	struct zk_send *metrics_send;
	struct zk_timer *metrics_timer;
	bool gave_up; /* the collector does not take spans: no further tries at the end */
	bool over;
	bool warned;
};

/* ---- the trace context ------------------------------------------------------------------------ */

static void random_id(struct zk_otel *o, uint8_t *id, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		/* All zero is no id. */
		uint64_t v = zk_rand_u64(&o->rnd) | 1;

		memcpy(id + i, &v, 8);
	}
}

static void read_parent(struct zk_otel *o)
{
	const char *parent = getenv("TRACEPARENT"), *state = getenv("TRACESTATE");

	if (!parent || !zk_net_traceparent_ok(parent))
		return;
	zk_str s = zk_str_of(parent);

	o->has_parent = zk_hex_decode(zk_str_n(s.p + 3, 32), o->root.trace_id,
	                              ZK_OTLP_TRACE_ID) &&
	                zk_hex_decode(zk_str_n(s.p + 36, 16), o->root.parent_id,
	                              ZK_OTLP_SPAN_ID) &&
	                zk_hex_decode(zk_str_n(s.p + 53, 2), &o->flags, 1);
	if (state && state[0] && strlen(state) <= MAX_STATE &&
	    zk_utf8_valid(zk_str_of(state)))
		o->trace_state = zk_strdup(state);
}

static bool decide(const struct zk_otel *o, const uint8_t *trace_id)
{
	uint64_t v;

	if (o->env.parent_based && o->has_parent)
		return o->flags & 1;
	switch (o->env.sampler) {
	case ZK_OTEL_ALWAYS_ON:
		return true;
	case ZK_OTEL_ALWAYS_OFF:
		return false;
	case ZK_OTEL_RATIO:
		memcpy(&v, trace_id + 8, sizeof(v));
		return (double)(__builtin_bswap64(v) >> 11) < o->env.ratio * 0x1p53;
	}
	return false;
}

static void format(const struct zk_otel_ctx *c, unsigned flags,
                   char out[ZK_TRACEPARENT_TEXT + 1])
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 64);
	zk_buf_lit(&b, "00-");
	zk_hex_encode(zk_str_n((const char *)c->trace_id, ZK_OTLP_TRACE_ID), &b);
	zk_buf_char(&b, '-');
	zk_hex_encode(zk_str_n((const char *)c->span_id, ZK_OTLP_SPAN_ID), &b);
	(void)snprintf(out, ZK_TRACEPARENT_TEXT + 1, "%.*s-%02x",
	               ZK_STR_ARG(zk_buf_str(&b)), flags);
}

void zk_otel_begin(struct zk_otel *o, struct zk_otel_ctx *ret,
                   char traceparent[ZK_TRACEPARENT_TEXT + 1])
{
	struct zk_otel_ctx c = o->root;

	c.start_us = zk_wall_us();
	if (!o->exports) {
		/* Somebody else's trace is passed on as it is. */
		memcpy(c.span_id, c.parent_id, sizeof(c.span_id));
		c.recording = false;
		format(&c, o->flags, traceparent);
		*ret = c;
		return;
	}
	if (o->command)
		memcpy(c.parent_id, o->root.span_id, sizeof(c.parent_id));
	else if (!o->has_parent)
		random_id(o, c.trace_id, sizeof(c.trace_id));
	random_id(o, c.span_id, sizeof(c.span_id));
	c.recording = o->command ? o->sampled : decide(o, c.trace_id);
	format(&c, c.recording, traceparent);
	*ret = c;
}

const char *zk_otel_tracestate(const struct zk_otel *o)
{
	return o->trace_state;
}

/* ---- delivery --------------------------------------------------------------------------------- */

static void complain(struct zk_otel *o, const char *why)
{
	if (!o->warned)
		zk_warn("telemetry: spans cannot be delivered", "cause=%s", why);
	else
		zk_debug("telemetry: spans cannot be delivered", "cause=%s", why);
	o->warned = true;
}

/* Whose telemetry it is; the caller frees the pairs. */
static struct zk_otlp_resource resource(const struct zk_otel *o, zk_str **pairs)
{
	*pairs = zk_alloc_array(2 * o->env.n_pairs + 1, sizeof(**pairs));
	for (size_t i = 0; i < 2 * o->env.n_pairs; i++)
		(*pairs)[i] = zk_str_of(o->env.pairs[i]);
	return (struct zk_otlp_resource){ .pairs = *pairs, .n = o->env.n_pairs };
}

/* Moves what waits into `body` as one request. */
static void take(struct zk_otel *o, struct zk_buf *body)
{
	zk_str *pairs;
	struct zk_otlp_resource r = resource(o, &pairs);

	zk_otlp_open(body, &r);
	zk_buf_add(body, zk_buf_str(&o->spans));
	zk_otlp_close(body);
	free(pairs);
	zk_buf_clear(&o->spans);
	o->n_spans = 0;
	if (o->dropped)
		zk_debug("telemetry: spans were dropped", "spans=%llu",
		         (unsigned long long)o->dropped);
	o->dropped = 0;
}

static void append_to_file(struct zk_otel *o, zk_str body)
{
	struct zk_buf line ZK_CLEANUP(zk_buf_done) = { 0 };
	ssize_t n;

	zk_buf_init(&line, body.n + 1);
	zk_buf_add(&line, body);
	zk_buf_char(&line, '\n');
	/* One write, so that lines of several processes do not mix. */
	do
		n = write(o->fd, line.p, line.n);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)line.n)
		complain(o, n < 0 ? strerror(errno) : "the disk is full");
}

static void check_partial(struct zk_otel *o, zk_str body)
{
	struct zk_jscan js;
	struct zk_jval v;

	if (!body.n || zk_jscan(body, 16, NULL, 0, &js) < 0 ||
	    !zk_jscan_get(body, ZK_STR("partialSuccess.rejectedSpans"), &v) ||
	    zk_str_eq(v.raw, ZK_STR("0")) || zk_str_eq(v.raw, ZK_STR("\"0\"")))
		return;
	complain(o, "the collector rejected some");
}

static void flush(struct zk_otel *o);

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_otel *o = ctx;

	o->send = NULL;
	o->gave_up = err != NULL;
	if (err)
		complain(o, err->msg);
	else
		check_partial(o, res->body);
	if (o->n_spans && !o->gave_up)
		flush(o);
	o->over = !o->send && !o->metrics_send;
}

static int post(struct zk_otel *o, const char *url, zk_str body, zk_http_done_fn done,
                struct zk_send **ret)
{
	struct zk_buf packed ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error err = { 0 };
	const char **headers = zk_alloc_array(o->env.n_headers + 2, sizeof(*headers));
	struct zk_send_conf conf = {
		.http = { .method = "POST",
		          .url = url,
		          .headers = headers,
		          .content_type = "application/json",
		          .ctx = o,
		          .max_body = MAX_ANSWER,
		          .timeout_ms = o->env.timeout_ms,
		          .flags = ZK_HTTP_IDEMPOTENT | ZK_HTTP_INTERNAL },
		.retry = { .max_retries = 3,
		           .base_ms = 250,
		           .cap_ms = 5000,
		           .max_time_ms = o->env.timeout_ms },
	};

	for (size_t i = 0; i < o->env.n_headers; i++)
		headers[i] = o->env.headers[i];
	zk_buf_init(&packed, MAX_BYTES);
	conf.http.body = body;
	if (o->env.gzip && zk_press_gzip(body, 6, &packed, &err) == 0) {
		headers[o->env.n_headers] = "Content-Encoding: gzip";
		conf.http.body = zk_buf_str(&packed);
	}
	int r = zk_send_start(o->net, &conf, done, ret, &err);

	if (r < 0)
		complain(o, err.msg);
	free(headers);
	return r;
}

static void flush(struct zk_otel *o)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!o->n_spans || o->send)
		return;
	zk_timer_stop(o->timer);
	zk_buf_init(&body, 2 * MAX_BYTES);
	take(o, &body);
	if (o->fd >= 0)
		append_to_file(o, zk_buf_str(&body));
	if (o->env.url && post(o, o->env.url, zk_buf_str(&body), on_done, &o->send) < 0)
		o->gave_up = true;
}

static void on_timer(void *ctx)
{
	flush(ctx);
}

/* A span was written, or did not fit. */
static void written(struct zk_otel *o, size_t before)
{
	if (o->spans.failed) {
		o->spans.failed = false;
		o->spans.n = before;
		o->dropped++;
		return;
	}
	o->n_spans++;
	if (!o->net)
		return;
	if (o->n_spans >= BATCH_SPANS)
		flush(o);
	else if (!zk_timer_is_active(o->timer))
		zk_timer_start(o->timer, DELAY_MS, 0);
}

/* ---- metrics ----------------------------------------------------------------------------------- */

static void on_metrics_done(void *ctx, const struct zk_http_res *res,
                            struct zk_error *err)
{
	struct zk_otel *o = ctx;

	(void)res;
	o->metrics_send = NULL;
	if (err)
		complain(o, err->msg);
	o->over = !o->send;
}

static void flush_metrics(struct zk_otel *o)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str *pairs;
	struct zk_otlp_resource r;

	if (!o->metrics.n || o->metrics_send)
		return;
	r = resource(o, &pairs);
	zk_buf_init(&body, 2 * MAX_BYTES);
	zk_otlp_metrics_open(&body, &r);
	zk_buf_add(&body, zk_buf_str(&o->metrics));
	zk_otlp_close(&body);
	free(pairs);
	zk_buf_clear(&o->metrics);
	ZK_IGNORE(post(o, o->env.metrics_url, zk_buf_str(&body), on_metrics_done,
	               &o->metrics_send) < 0); /* said already */
}

static void on_metrics_timer(void *ctx)
{
	flush_metrics(ctx);
}

bool zk_otel_wants_metrics(const struct zk_otel *o)
{
	return o && o->net && o->env.metrics_url;
}

void zk_otel_metrics(struct zk_otel *o, zk_str metrics)
{
	if (!zk_otel_wants_metrics(o))
		return;
	zk_buf_clear(&o->metrics);
	zk_buf_add(&o->metrics, metrics);
	if (!zk_timer_is_active(o->metrics_timer))
		zk_timer_start(o->metrics_timer, METRICS_MS, 0);
}

/* ---- spans ------------------------------------------------------------------------------------ */

static void fill(const struct zk_otel *o, const struct zk_otel_ctx *c,
                 struct zk_otlp_span *s)
{
	memcpy(s->trace_id, c->trace_id, sizeof(s->trace_id));
	memcpy(s->span_id, c->span_id, sizeof(s->span_id));
	memcpy(s->parent_id, c->parent_id, sizeof(s->parent_id));
	s->trace_state = zk_str_of(o->trace_state);
	s->start_ns = (uint64_t)c->start_us * 1000;
}

/* "https://host:port/path" in its parts. */
static void put_address(struct zk_buf *b, const char *url, const char *route)
{
	zk_str scheme, host, port, rest = zk_str_of(url);
	int64_t n = 0;
	struct zk_error ignored;

	rest = zk_str_cut(rest, ':', &scheme);
	rest = zk_str_from(rest, 2);
	zk_str path = zk_str_cut(rest, '/', &host);

	if (zk_str_starts(host, ZK_STR("["))) {
		port = zk_str_cut(host, ']', &host);
		host = zk_str_from(host, 1);
		port = zk_str_from(port, 1);
	} else {
		port = zk_str_cut(host, ':', &host);
	}
	if (zk_parse_i64(port, &n, &ignored) < 0)
		n = zk_str_eq(scheme, ZK_STR("https")) ? 443 : 80;
	zk_otlp_str(b, "url.scheme", scheme);
	if (route)
		zk_otlp_str(b, "url.template", zk_str_of(route));
	/* A path may hold ids; where the route is known it says as much. */
	zk_otlp_str(b, "url.path",
	            route    ? zk_str_of(route)
	            : path.p ? zk_str_n(path.p - 1, path.n + 1)
	                     : ZK_STR("/"));
	zk_otlp_str(b, "server.address", host);
	zk_otlp_i64(b, "server.port", n);
}

static void put_outcome(struct zk_buf *b, const struct zk_otel_request *r)
{
	const struct zk_code_info *info = r->err ? zk_code_find((int)r->err->code) : NULL;
	char text[16];

	if (r->status)
		zk_otlp_i64(b, "http.response.status_code", r->status);
	if (r->http_version)
		zk_otlp_str(b, "network.protocol.version",
		            r->http_version == 20   ? ZK_STR("2")
		            : r->http_version == 11 ? ZK_STR("1.1")
		                                    : ZK_STR("1.0"));
	if (r->resend)
		zk_otlp_i64(b, "http.request.resend_count", r->resend);
	if (r->status >= 400)
		(void)snprintf(text, sizeof(text), "%d", r->status);
	else
		(void)snprintf(text, sizeof(text), "ZK%04d", info ? (int)info->code : 0);
	if (r->err || r->status >= 400)
		zk_otlp_str(b, "error.type", zk_str_of(text));
}

void zk_otel_request(struct zk_otel *o, const struct zk_otel_ctx *ctx,
                     const struct zk_otel_request *r)
{
	struct zk_otlp_span s = { .kind = ZK_OTLP_CLIENT };
	size_t before = o->spans.n;
	char *name;

	if (!ctx->recording)
		return;
	if (o->n_spans >= MAX_SPANS) {
		o->dropped++;
		return;
	}
	name = r->route ? zk_asprintf("%s %s", r->method, r->route)
	                : zk_strdup(r->method);
	fill(o, ctx, &s);
	s.end_ns = s.start_ns + (uint64_t)ZK_MAX(r->total_us, (int64_t)0) * 1000;
	s.name = zk_str_of(name);
	s.failed = r->err || r->status >= 400;
	s.message = zk_str_of(r->err ? r->err->msg : NULL);
	zk_otlp_span(&o->spans, &s);
	zk_otlp_str(&o->spans, "http.request.method", zk_str_of(r->method));
	put_address(&o->spans, r->url, r->route);
	put_outcome(&o->spans, r);
	for (const char *const *a = r->attrs; a && a[0]; a += 2)
		zk_otlp_str(&o->spans, a[0], zk_str_of(a[1]));
	zk_otlp_span_end(&o->spans, &s);
	free(name);
	written(o, before);
}

void zk_otel_child(struct zk_otel *o, const struct zk_otel_ctx *parent,
                   struct zk_otel_ctx *ret)
{
	*ret = *parent;
	memcpy(ret->parent_id, parent->span_id, sizeof(ret->parent_id));
	random_id(o, ret->span_id, sizeof(ret->span_id));
	ret->start_us = zk_wall_us();
}

void zk_otel_span(struct zk_otel *o, const struct zk_otel_ctx *ctx,
                  const struct zk_otel_span *s)
{
	struct zk_otlp_span span = { .kind = ZK_OTLP_CLIENT };
	size_t before = o->spans.n;
	char code[16];

	if (!ctx->recording)
		return;
	if (o->n_spans >= MAX_SPANS) {
		o->dropped++;
		return;
	}
	fill(o, ctx, &span);
	span.end_ns = span.start_ns + (uint64_t)ZK_MAX(s->total_us, (int64_t)0) * 1000;
	span.name = zk_str_of(s->name);
	span.failed = s->err != NULL;
	span.message = zk_str_of(s->err ? s->err->msg : NULL);
	zk_otlp_span(&o->spans, &span);
	for (size_t i = 0; i < s->n_attrs; i++) {
		if (s->attrs[i].text)
			zk_otlp_str(&o->spans, s->attrs[i].name,
			            zk_str_of(s->attrs[i].text));
		else
			zk_otlp_i64(&o->spans, s->attrs[i].name, s->attrs[i].n);
	}
	if (s->err) {
		(void)snprintf(code, sizeof(code), "ZK%04d", (int)s->err->code);
		zk_otlp_str(&o->spans, "error.type", zk_str_of(code));
	}
	zk_otlp_span_end(&o->spans, &span);
	written(o, before);
}

static void put_command(struct zk_otel *o, int status)
{
	struct zk_otlp_span s = { .kind = ZK_OTLP_INTERNAL };
	size_t before = o->spans.n;
	char *name = zk_asprintf("zk %s", o->command);

	fill(o, &o->root, &s);
	s.end_ns = ZK_MAX((uint64_t)zk_wall_us() * 1000, s.start_ns);
	s.name = zk_str_of(name);
	s.failed = status != 0;
	zk_otlp_span(&o->spans, &s);
	zk_otlp_i64(&o->spans, "process.exit.code", status);
	zk_otlp_i64(&o->spans, "process.pid", getpid());
	zk_otlp_span_end(&o->spans, &s);
	free(name);
	written(o, before);
}

/* ---- life ------------------------------------------------------------------------------------- */

static void open_file(struct zk_otel *o, const char *path)
{
	o->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (o->fd < 0)
		complain(o, strerror(errno));
}

struct zk_otel *zk_otel_new(const struct zk_otel_conf *conf)
{
	struct zk_otel *o = zk_new0(struct zk_otel);
	uint64_t seed;

	o->fd = -1;
	o->end_ms = ZK_OTEL_END_MS;
	zk_otel_env_read(conf->endpoint, &o->env);
	if (!o->env.off && conf->file)
		open_file(o, conf->file);
	o->exports = o->env.url || o->env.metrics_url || o->fd >= 0;
	read_parent(o);
	if (!o->exports && !o->has_parent) {
		zk_otel_free(o);
		return NULL;
	}
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&o->rnd, seed);
	if (!o->has_parent)
		random_id(o, o->root.trace_id, sizeof(o->root.trace_id));
	random_id(o, o->root.span_id, sizeof(o->root.span_id));
	o->root.start_us = zk_wall_us();
	o->command = conf->command && o->exports ? zk_strdup(conf->command) : NULL;
	o->sampled = o->exports && decide(o, o->root.trace_id);
	zk_buf_init(&o->spans, MAX_BYTES);
	zk_buf_init(&o->metrics, MAX_BYTES);
	return o;
}

void zk_otel_attach(struct zk_otel *o, struct zk_net *net)
{
	o->net = net;
	o->timer = zk_timer_new(zk_net_loop(net), on_timer, o);
	zk_timer_weak(o->timer, true);
	o->metrics_timer = zk_timer_new(zk_net_loop(net), on_metrics_timer, o);
	zk_timer_weak(o->metrics_timer, true);
}

void zk_otel_free(struct zk_otel *o)
{
	if (!o)
		return;
	if (o->send)
		zk_send_cancel(o->send);
	if (o->metrics_send)
		zk_send_cancel(o->metrics_send);
	zk_timer_free(o->timer);
	zk_timer_free(o->metrics_timer);
	zk_buf_done(&o->metrics);
	if (o->fd >= 0)
		(void)close(o->fd); /* each line was written and checked */
	zk_buf_done(&o->spans);
	zk_otel_env_done(&o->env);
	free(o->command);
	free(o->trace_state);
	free(o);
}

static void on_end(void *ctx)
{
	struct zk_otel *o = ctx;

	complain(o, "the collector takes too long");
	o->over = true;
}

void zk_otel_wait(struct zk_otel *o, int64_t end_ms)
{
	if (o)
		o->end_ms = end_ms;
}

void zk_otel_end(struct zk_otel *o, int status)
{
	/* Without a request there is no story to tell. */
	if (!o || !o->net || !o->exports)
		return;
	if (o->command && o->sampled)
		put_command(o, status);
	o->over = false;
	if (!o->gave_up || o->fd >= 0)
		flush(o);
	if (!o->gave_up)
		flush_metrics(o);
	if (!o->send && !o->metrics_send)
		return;
	struct zk_timer *end = zk_timer_new(zk_net_loop(o->net), on_end, o);

	zk_timer_start(end, o->end_ms, 0);
	if (o->send)
		zk_send_hurry(o->send);
	if (o->metrics_send)
		zk_send_hurry(o->metrics_send);
	zk_loop_until(zk_net_loop(o->net), &o->over);
	zk_timer_free(end);
}
