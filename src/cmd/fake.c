/* `zk fake zerobus`: a stand-in of the service, for CI, the demo and trying things out.
 * Layer: cmd. specs/zerobus.md §19. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/cmds.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "rt/stop.h"
#include "zerobus/fake.h"

#include "base/ban.h"

struct fake_opts {
	const char *listen, *out, *plan, *tls_cert, *tls_key, *document;
	uint64_t grpc_port, http_port, chaos, window;
	int64_t token_ms;
	bool fast, auth;
};

struct fake_run {
	struct zk_stop *stop;
};

static void on_drain(void *ctx)
{
	struct fake_run *r = ctx;

	zk_stop_drained(r->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct fake_run *r = ctx;

	(void)expired;
	zk_stop_done(r->stop);
}

static void tell(struct zk_app *app, struct zk_loop *loop, const struct fake_opts *o,
                 const struct zk_zb_fake *f)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	const char *scheme = o->tls_cert ? "https" : "http";

	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "\"grpc\":\"%s://%s:%d\",\"http\":\"http://%s:%d\"", scheme,
	              o->listen, zk_zb_fake_grpc_port(f), o->listen,
	              zk_zb_fake_http_port(f));
	zk_status_ready(zk_app_status(app), loop, zk_buf_str(&b));
	zk_say("stand-in of Zerobus; it keeps what you send in %s",
	       o->out ? o->out : "no file (--out DIR)");
	zk_say("  zk zerobus send -t main.default.t --endpoint %s://%s:%d%s%s%s FILE",
	       scheme, o->listen, zk_zb_fake_grpc_port(f), o->auth ? "" : " --auth none",
	       o->tls_cert ? " --ca-file " : "", o->tls_cert ? o->tls_cert : "");
	zk_say("  counts: http://%s:%d/stats", o->listen, zk_zb_fake_http_port(f));
}

static int serve(struct zk_app *app, struct zk_loop *loop, const struct fake_opts *o,
                 struct zk_zb_fake *f, struct zk_error *err)
{
	struct fake_run r = { 0 };
	struct zk_stop_conf stop = { .ctx = &r, .drain = on_drain, .flush = on_flush };
	struct zk_zb_fake_stats st;
	char rows[32], twice[32];

	r.stop = zk_app_stop(app, &stop, err);
	if (!r.stop)
		return -(int)err->code;
	tell(app, loop, o, f);
	zk_loop_run(loop);
	zk_zb_fake_stats(f, &st);
	zk_say("%s rows stored, %s of them twice, %llu rules broken",
	       zk_group_digits(st.stored, rows), zk_group_digits(st.doubled, twice),
	       (unsigned long long)st.violations);
	return 0;
}

static int fake_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct fake_opts *o = opts;
	struct zk_zb_fake_conf conf = { .addr = o->listen,
		                        .grpc_port = (int)o->grpc_port,
		                        .http_port = (int)o->http_port,
		                        .out = o->out,
		                        .plan = o->plan,
		                        .chaos = o->chaos,
		                        .fast = o->fast,
		                        .auth = o->auth,
		                        .token_ms = o->token_ms,
		                        .window = (uint32_t)o->window,
		                        .tls_cert = o->tls_cert,
		                        .tls_key = o->tls_key,
		                        .document = o->document };
	struct zk_loop *loop = zk_app_loop(app, err);
	struct zk_zb_fake *f;
	int r;

	(void)argc;
	(void)argv;
	if (!loop || zk_zb_fake_start(loop, &conf, &f, err) < 0)
		return -(int)err->code;
	r = serve(app, loop, o, f, err);
	zk_zb_fake_free(f);
	return r;
}

static const struct zk_opt fake_rows[] = {
	{ .type = ZK_OPT_STR,
	  .name = "listen",
	  .meta = "ADDR",
	  .def = "127.0.0.1",
	  .off = offsetof(struct fake_opts, listen),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "address without port" },
	{ .type = ZK_OPT_UINT,
	  .name = "grpc-port",
	  .meta = "N",
	  .def = "0",
	  .max = 65535,
	  .off = offsetof(struct fake_opts, grpc_port),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "port of the streams; 0: any" },
	{ .type = ZK_OPT_UINT,
	  .name = "http-port",
	  .meta = "N",
	  .def = "0",
	  .max = 65535,
	  .off = offsetof(struct fake_opts, http_port),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "port of tokens, columns and /stats; 0: any" },
	{ .type = ZK_OPT_PATH,
	  .name = "out",
	  .meta = "DIR",
	  .off = offsetof(struct fake_opts, out),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "dir",
	  .help = "write rows there, one NDJSON file per table" },
	{ .type = ZK_OPT_PATH,
	  .name = "plan",
	  .meta = "FILE",
	  .off = offsetof(struct fake_opts, plan),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "faults of each stream, as a JSON array",
	  .text = "Members: refuse, silent, empty, garbage, code, text, http_status, "
	          "head_ms, stall_ms, bytewise, ack_every, ack_delay_ms, ack_limit, "
	          "bad_ack, blank_ack, end_after, cut (status, reset, goaway, tcp, fin, "
	          "silence), h2_code, close_after, close_ms, breaks_word, drops_unacked, "
	          "poison. An object with two arrays, streams and tokens, also has "
	          "faults of the token endpoint: status, body, delay_ms, life_ms, "
	          "quoted, expiry. What comes after the last element of an array has "
	          "no faults." },
	{ .type = ZK_OPT_UINT,
	  .name = "chaos",
	  .meta = "SEED",
	  .def = "0",
	  .max = INT64_MAX,
	  .off = offsetof(struct fake_opts, chaos),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "random faults, the same ones for the same seed" },
	{ .type = ZK_OPT_BOOL,
	  .name = "fast",
	  .off = offsetof(struct fake_opts, fast),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "count rows, look at nothing (benchmarks)" },
	{ .type = ZK_OPT_BOOL,
	  .name = "auth",
	  .off = offsetof(struct fake_opts, auth),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "demand a token from the token endpoint" },
	{ .type = ZK_OPT_DURATION,
	  .name = "token-life",
	  .meta = "D",
	  .def = "1h",
	  .min = 1,
	  .max = 86400000,
	  .off = offsetof(struct fake_opts, token_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how long a token lives" },
	{ .type = ZK_OPT_SIZE,
	  .name = "window",
	  .meta = "SIZE",
	  .def = "1MiB",
	  .min = 65535,
	  .max = 1 << 30,
	  .off = offsetof(struct fake_opts, window),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "flow-control window of HTTP/2" },
	{ .type = ZK_OPT_PATH,
	  .name = "tls-cert",
	  .meta = "FILE",
	  .off = offsetof(struct fake_opts, tls_cert),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "certificate of the streams' port; made when missing" },
	{ .type = ZK_OPT_PATH,
	  .name = "tls-key",
	  .meta = "FILE",
	  .off = offsetof(struct fake_opts, tls_key),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "its key; made with it" },
	{ .type = ZK_OPT_PATH,
	  .name = "document",
	  .meta = "FILE",
	  .off = offsetof(struct fake_opts, document),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "columns of every table, as the Unity Catalog has them" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_fake = {
	.path = "fake",
	.section = "Operate",
	.help = "stand-ins of services, for tests and trying things out",
};

const struct zk_cmd zk_cmd_fake_zerobus = {
	.path = "fake zerobus",
	.help = "stand-in of the Zerobus service",
	.about = "Speaks the protocol of Zerobus on one port and serves tokens, columns "
	         "and counts "
	         "on another. It checks the client strictly, keeps the rows, and fails "
	         "as --plan "
	         "or --chaos say. For a CI of yours, and to see zk zerobus send at work "
	         "without "
	         "an account.",
	.examples = "zk fake zerobus --out rows/\n"
	            "zk fake zerobus --chaos 7 --ready-file ready.json",
	.output = "nothing on stdout; addresses on stderr and in the ready contract",
	.exits = "0 clean stop",
	.see = "man zk-zerobus",
	.opts = fake_rows,
	.opts_size = sizeof(struct fake_opts),
	.flags = ZK_CMD_SERVER,
	.run = fake_run,
};
