/* `zk health`: is the Zeal server there, and does all of it work?
 * Layer: cmd. specs/zeal-zip.md §10. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/pause.h"
#include "cmd/zeal.h"
#include "codec/jscan.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/probe.h"

#include "base/ban.h"

struct health_opts {
	struct zeal_opts zeal;
	const char *ws_url;
	bool deep, nagios, detect;
	int64_t watch_ms, wait_ms;
};

static const struct zk_opt rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "ws-url",
	  .meta = "URL",
	  .off = offsetof(struct health_opts, ws_url),
	  .group = "Server",
	  .help = "address of the socket server; the server is asked for it" },
	{ .type = ZK_OPT_BOOL,
	  .name = "deep",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct health_opts, deep),
	  .help = "probe database, traces, paths and sockets with real requests" },
	{ .type = ZK_OPT_DURATION,
	  .name = "watch",
	  .meta = "D",
	  .min = 10,
	  .max = 86400000,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct health_opts, watch_ms),
	  .help = "look again and again, a row each time" },
	{ .type = ZK_OPT_DURATION,
	  .name = "wait",
	  .meta = "D",
	  .min = 1,
	  .max = 86400000,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct health_opts, wait_ms),
	  .help = "wait up to D until it is healthy" },
	{ .type = ZK_OPT_BOOL,
	  .name = "nagios",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct health_opts, nagios),
	  .help = "one line for a monitoring system; exit 0, 1 or 2 as it wants them" },
	{ .type = ZK_OPT_BOOL,
	  .name = "server-kind-detect",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct health_opts, detect),
	  .help = "find out which kind of server it is, and remember it" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "check" },
	{ .name = "status" },
	{ .name = "ms", .flags = ZK_COL_RIGHT },
	{ .name = "cached" },
	{ .name = "version" },
	{ .name = "services" },
	{ .name = "message" },
	{ .name = "code", .flags = ZK_COL_EXTRA },
	{ .name = "at", .flags = ZK_COL_EXTRA },
};

/* One look at the server. */
struct look {
	struct zeal *z;
	const struct health_opts *o;
	struct zk_out *out; /* NULL = no rows */
	struct zk_row row;
	bool bad, cached;
	struct zk_error first; /* what is wrong first */
	int64_t us;            /* of the health request */
	struct zk_error err;   /* the latest failure that nobody could help */
};

static double ms_of(int64_t us)
{
	return (double)(us - us % 10) / 1000;
}

static int put(struct look *l, const char *check, int64_t us, const struct zk_error *why,
               struct zk_error *err)
{
	struct zk_row *r = &l->row;

	if (why && !l->bad)
		(void)zk_fail(&l->first, why->code, "%s: %s", check, why->msg);
	l->bad |= why != NULL;
	if (!l->out)
		return 0;
	zk_row_cstr(r, "check", check);
	zk_row_cstr(r, "status", why ? "failed" : "ok");
	zk_row_double(r, "ms", ms_of(us));
	if (why) {
		zk_row_cstr(r, "message", why->msg);
		zk_buf_printf(&r->buf, ",\"code\":\"ZK%04d\"", (int)why->code);
	}
	zk_row_time(r, "at", zk_wall_us());
	return zk_out_row(l->out, zk_row_end(r), err);
}

/* What of the answer is shown as it is. */
static void put_parts(struct zk_row *r, zk_str body)
{
	struct zk_jval v;

	if (zk_jscan_get(body, ZK_STR("version"), &v))
		zk_row_raw(r, "version", v.raw);
	if (zk_jscan_get(body, ZK_STR("services"), &v))
		zk_row_raw(r, "services", v.raw);
}

/* The answer of the health endpoint, which may be 503 with a body of the same form. `why` is what
 * kept it from being one, or NULL. */
static int put_health(struct look *l, const struct zk_zip_end *end, zk_str body,
                      const struct zk_error *why, struct zk_error *err)
{
	struct zk_row *r = &l->row;
	struct zk_jval status;
	bool said = zk_jscan_get(body, ZK_STR("status"), &status) &&
	            status.type == ZK_J_STRING;

	l->us = end->total_us;
	l->cached = end->cached;
	if (why) {
		(void)zk_fail(&l->first, why->code, "%s",
		              said ? "the server says it is unhealthy" : why->msg);
		l->bad = true;
	}
	if (!l->out)
		return 0;
	zk_row_cstr(r, "check", "health");
	zk_row_raw(r, "status", said ? status.raw : ZK_STR("\"failed\""));
	zk_row_double(r, "ms", ms_of(end->total_us));
	zk_row_bool(r, "cached", end->cached);
	put_parts(r, body);
	if (why && !said) {
		zk_row_cstr(r, "message", why->msg);
		zk_buf_printf(&r->buf, ",\"code\":\"ZK%04d\"", (int)why->code);
	} else if (end->cached) {
		zk_row_cstr(r, "message", "a copy frozen when the server was built");
	}
	zk_row_time(r, "at", zk_wall_us());
	return zk_out_row(l->out, zk_row_end(r), err);
}

/* Healthy is what says so; 200 with another word is a failure too. */
static bool says_healthy(zk_str body)
{
	struct zk_jval v;

	return zk_jscan_get(body, ZK_STR("status"), &v) && v.type == ZK_J_STRING &&
	       zk_jstr_eq(v.raw, ZK_STR("healthy"));
}

static int look_shallow(struct look *l, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_zip_end end = { 0 };
	struct zk_error why = { 0 };
	struct zk_zip_req rq = { .route = "/health",
		                 .once = l->o->wait_ms || l->o->watch_ms };
	int r;

	zk_buf_init(&body, 1u << 20);
	r = zk_zip_call(l->z->zip, &rq, &body, &end, &why);
	if (r == 0 && !says_healthy(zk_buf_str(&body)))
		r = zk_fail(&why, ZK_E_PROTOCOL,
		            "the answer does not say that it is healthy");
	else if (r < 0)
		l->err = why;
	return put_health(l, &end, zk_buf_str(&body), r < 0 ? &why : NULL, err);
}

static int look_deep(struct look *l, struct zk_error *err)
{
	for (int i = 0; i < ZK_ZIP_CHECKS; i++) {
		enum zk_zip_check check = (enum zk_zip_check)i;
		struct zk_error why = { 0 };
		int64_t us;
		int r = zk_zip_check(l->z->zip, check, l->o->ws_url, &us, &why);

		if (put(l, zk_zip_check_name(check), us, r < 0 ? &why : NULL, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int look(struct look *l, struct zk_error *err)
{
	l->bad = false;
	l->err = (struct zk_error){ 0 };
	if (look_shallow(l, err) < 0)
		return -(int)err->code;
	return l->o->deep ? look_deep(l, err) : 0;
}

/* ---- again and again ---- */

static int watch(struct look *l, struct zk_error *err)
{
	struct zk_app *app = l->z->app;
	struct pause p = { 0 };
	int r = pause_open(app, &p, err);

	while (r == 0 && !p.stop) {
		r = look(l, err);
		if (r == 0)
			r = zk_out_flush(l->out, err);
		if (zk_out_closed(l->out))
			break;
		pause_for(&p, l->o->watch_ms);
	}
	pause_close(&p);
	return r;
}

static int wait_healthy(struct look *l, struct zk_error *err)
{
	struct zk_app *app = l->z->app;
	struct zk_out *out = ZK_TAKE(l->out);
	int64_t end = zk_mono_ms() + l->o->wait_ms, step = 100;
	struct pause p = { 0 };
	bool said = false;
	int r = pause_open(app, &p, err);

	while (r == 0 && !p.stop) {
		r = look(l, err);
		int64_t left = end - zk_mono_ms();

		if (r < 0 || !l->bad || left <= 0)
			break;
		if (!said && step > 400) {
			zk_say("%s; waiting", l->first.msg);
			said = true;
		}
		pause_for(&p, ZK_MIN(step, left));
		step = ZK_MIN(step * 2, 2000);
	}
	pause_close(&p);
	l->out = out;
	/* The last look, for the rows. */
	return r == 0 ? look(l, err) : r;
}

/* ---- ends ---- */

static int nagios(struct look *l, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_out *out = zk_app_out(l->z->app, err);
	bool critical = l->bad;

	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "ZEAL %s - %s | time=%.3fs\n",
	              critical    ? "CRITICAL"
	              : l->cached ? "WARNING"
	                          : "OK",
	              critical    ? l->first.msg
	              : l->cached ? "healthy, but a frozen copy; use --deep"
	                          : "healthy",
	              (double)l->us / 1e6);
	if (!out || zk_out_text(out, zk_buf_str(&b), err) < 0 ||
	    zk_out_flush(out, err) < 0)
		return -(int)err->code;
	return critical ? 2 : l->cached && !l->o->deep ? 1 : ZK_EXIT_OK;
}

static int detect(struct zeal *z, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };
	enum zk_zip_server kind;

	if (zk_zip_detect(z->zip, &kind, err) < 0)
		return -(int)err->code;
	zeal_remember_server(z);
	zk_row_init(&row);
	zk_row_cstr(&row, "base_url", zk_zip_base(z->zip));
	zk_row_cstr(&row, "server_kind", zk_zip_server_name(kind));
	if (zeal_print(z->app, zk_row_end(&row), err) < 0)
		return -(int)err->code;
	return kind == ZK_ZIP_PATH_BLIND ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int look_as_asked(struct look *l, struct zk_error *err)
{
	if (l->o->watch_ms)
		return watch(l, err);
	return l->o->wait_ms ? wait_healthy(l, err) : look(l, err);
}

static int run_looks(struct look *l, struct zk_error *err)
{
	static const struct zk_out_shape list = { .kind = ZK_OUT_LIST,
		                                  .list = "checks",
		                                  .cols = cols,
		                                  .n_cols = ZK_ARRAY_LEN(cols) };
	static const struct zk_out_shape stream = { .kind = ZK_OUT_STREAM,
		                                    .cols = cols,
		                                    .n_cols = ZK_ARRAY_LEN(cols) };
	struct zk_out *out = zk_app_out(l->z->app, err);
	int r = 0;

	if (!out)
		return -(int)err->code;
	if (!l->o->nagios) {
		l->out = out;
		r = zk_out_begin(out, l->o->watch_ms ? &stream : &list, err);
	}
	if (r == 0)
		r = look_as_asked(l, err);
	if (r < 0)
		return r;
	if (l->o->nagios)
		return nagios(l, err);
	if (zk_out_end(out, err) < 0)
		return -(int)err->code;
	/* Not even reached: that is no negative answer, but a failure to get one. */
	if (!l->bad || l->o->watch_ms)
		return ZK_EXIT_OK;
	if (!l->err.code || l->err.http_status)
		return ZK_EXIT_NO;
	*err = l->err;
	return -(int)err->code;
}

static int health_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct health_opts *o = opts;
	struct zeal z;
	int r;

	(void)argc;
	(void)argv;
	if (o->watch_ms && (o->wait_ms || o->nagios || o->detect))
		return zk_fail(err, ZK_E_USAGE,
		               "--watch goes with neither --wait nor --nagios nor "
		               "--server-kind-detect");
	r = zeal_open(app, &o->zeal, /* patient */ o->watch_ms || o->wait_ms, &z, err);
	if (r == 0 && o->detect) {
		r = detect(&z, err);
	} else if (r == 0) {
		struct look l = { .z = &z, .o = o };

		zk_row_init(&l.row);
		r = run_looks(&l, err);
		zk_row_done(&l.row);
	}
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_health = {
	.path = "health",
	.section = "Operate",
	.help = "ask a Zeal server whether it is well",
	.about =
	        "Prints what the server says about itself. Production builds may answer "
	        "with a copy that was frozen when they were built (cached): --deep makes "
	        "real requests instead.",
	.examples = "zk health --deep\n"
	            "zk health --wait 60s && zk workflow apply -f flow.yaml\n"
	            "zk health --nagios --deep",
	.output = "one row per check: check, status, ms, cached, message",
	.exits = "0 healthy · 1 not (--nagios: 1 warning, 2 critical) · 75 not reached",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct health_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = health_run,
};
