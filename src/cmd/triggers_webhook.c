/* `zk triggers webhook set|show|test|disable|rotate-secret` and `zk triggers replay`.
 * Layer: cmd. specs/triggers.md §14.1, §5.4, §5.10. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/triggers_client.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

static const struct zk_opt plain_rows[] = { TRIG_CLIENT_ROWS, ZK_OPT_END };

/* One request that needs the key, its answer printed. */
static int simple(struct zk_app *app, const struct trig_opts *o,
                  const struct zk_trig_request *r, struct zk_error *err)
{
	struct trig_session s;
	int rc = trig_open(app, o, /* need_key */ true, &s, err);

	if (rc == 0)
		rc = trig_show(&s, r, err);
	trig_close(&s);
	return rc;
}

/* ---- set ---------------------------------------------------------------------------------- */

struct set_opts {
	struct trig_opts trig;
	bool deliver_backlog, ordered;
};

static const struct zk_opt set_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_BOOL,
	  .name = "deliver-backlog",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct set_opts, deliver_backlog),
	  .help = "also push what waits in the inbox already" },
	{ .type = ZK_OPT_BOOL,
	  .name = "ordered",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct set_opts, ordered),
	  .help = "one after the other, in strict order" },
	ZK_OPT_END,
};

static int set_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	struct set_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	(void)argc;
	zk_buf_init(&body, 65536);
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "webhook_url");
	zk_jw_cstr(&w, argv[0]);
	zk_jw_key(&w, "deliver_backlog");
	zk_jw_bool(&w, o->deliver_backlog);
	zk_jw_key(&w, "ordered");
	zk_jw_bool(&w, o->ordered);
	zk_jw_key(&w, "enabled");
	zk_jw_bool(&w, true);
	zk_jw_obj_end(&w);
	return simple(app, &o->trig,
	              &(struct zk_trig_request){ .method = "POST",
	                                         .path = "/api/webhook/config",
	                                         .body = zk_buf_str(&body),
	                                         .repeatable = true },
	              err);
}

const struct zk_cmd zk_cmd_triggers_webhook_set = {
	.path = "triggers webhook set",
	.args = "URL",
	.min_args = 1,
	.max_args = 1,
	.help = "push events to this URL",
	.about = "The answer to the first call holds the signing secret; it is shown "
	         "once.",
	.examples = "zk triggers webhook set https://example.com/hook\n"
	            "zk triggers webhook set https://example.com/hook --deliver-backlog",
	.output = "the configuration",
	.exits = "0 set · 69 refused · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = set_rows,
	.opts_size = sizeof(struct set_opts),
	.conf = "triggers",
	.run = set_run,
};

/* ---- show, test, disable ------------------------------------------------------------------ */

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return simple(app, opts,
	              &(struct zk_trig_request){ .method = "GET",
	                                         .path = "/api/webhook/config" },
	              err);
}

const struct zk_cmd zk_cmd_triggers_webhook_show = {
	.path = "triggers webhook show",
	.help = "show the webhook, its circuit and what waits",
	.examples = "zk triggers webhook show -o json --jq .circuit",
	.output = "the webhook and its state",
	.exits = "0 · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = plain_rows,
	.opts_size = sizeof(struct trig_opts),
	.conf = "triggers",
	.flags = ZK_CMD_READER,
	.run = show_run,
};

static int test_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct trig_session s;
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_jval v;
	struct zk_trig_request rq = { .method = "POST", .path = "/api/webhook/test" };

	(void)argc;
	(void)argv;
	zk_buf_init(&body, 65536);
	int r = trig_open(app, opts, /* need_key */ true, &s, err);

	if (r == 0)
		r = zk_trig_call(&s.client, &rq, &body, err);
	if (r == 0)
		r = trig_print(app, zk_buf_str(&body), err);
	trig_close(&s);
	if (r != 0)
		return r;
	bool ok = zk_jscan_get(zk_buf_str(&body), ZK_STR("delivered"), &v) && v.raw.n &&
	          v.raw.p[0] == 't';

	return ok ? ZK_EXIT_OK : ZK_EXIT_NO;
}

const struct zk_cmd zk_cmd_triggers_webhook_test = {
	.path = "triggers webhook test",
	.help = "send a test event to the webhook now",
	.about = "The same path as real deliveries: signature, address guard, time "
	         "limit. Nothing is "
	         "stored.",
	.examples = "zk triggers webhook test",
	.output = "whether it was delivered, the status, the address",
	.exits = "0 delivered · 1 not delivered · 69 no webhook · 77",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = plain_rows,
	.opts_size = sizeof(struct trig_opts),
	.conf = "triggers",
	.run = test_run,
};

static int disable_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return simple(app, opts,
	              &(struct zk_trig_request){ .method = "POST",
	                                         .path = "/api/webhook/config",
	                                         .body = ZK_STR("{\"enabled\":false}"),
	                                         .repeatable = true },
	              err);
}

const struct zk_cmd zk_cmd_triggers_webhook_disable = {
	.path = "triggers webhook disable",
	.help = "stop pushing; events wait in the inbox",
	.examples = "zk triggers webhook disable",
	.output = "the configuration",
	.exits = "0 · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = plain_rows,
	.opts_size = sizeof(struct trig_opts),
	.conf = "triggers",
	.run = disable_run,
};

/* ---- rotate-secret ------------------------------------------------------------------------ */

struct secret_opts {
	struct trig_opts trig;
	int64_t secret_grace_ms;
};

static const struct zk_opt secret_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_DURATION,
	  .name = "secret-grace",
	  .meta = "D",
	  .def = "1d",
	  .max = 86400000,
	  .off = offsetof(struct secret_opts, secret_grace_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how long both signatures are sent" },
	ZK_OPT_END,
};

static int secret_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct secret_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done);

	(void)argc;
	(void)argv;
	zk_buf_init(&body, 256);
	zk_buf_printf(&body, "{\"grace_seconds\":%lld}",
	              (long long)(o->secret_grace_ms / 1000));
	return simple(app, &o->trig,
	              &(struct zk_trig_request){ .method = "POST",
	                                         .path = "/api/webhook/secret/rotate",
	                                         .body = zk_buf_str(&body) },
	              err);
}

const struct zk_cmd zk_cmd_triggers_webhook_rotate_secret = {
	.path = "triggers webhook rotate-secret",
	.help = "make a new signing secret",
	.examples = "zk triggers webhook rotate-secret -o json --jq .signing_secret",
	.output = "the new secret, shown once",
	.exits = "0 · 76 outcome unknown · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = secret_rows,
	.opts_size = sizeof(struct secret_opts),
	.conf = "triggers",
	.run = secret_run,
};

/* ---- replay ------------------------------------------------------------------------------- */

struct replay_opts {
	struct trig_opts trig;
	const char *status, *type, *since;
	uint64_t max;
};

static const struct zk_opt replay_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "status",
	  .meta = "STATUS",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, status),
	  .help = "all with this status (failed)" },
	{ .type = ZK_OPT_STR,
	  .name = "type",
	  .meta = "TYPE",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, type),
	  .help = "of this type, or 'prefix*'" },
	{ .type = ZK_OPT_STR,
	  .name = "since",
	  .meta = "D|TIME",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, since),
	  .help = "not older than this" },
	{ .type = ZK_OPT_UINT,
	  .name = "max",
	  .meta = "N",
	  .def = "1000",
	  .min = 1,
	  .max = 100000,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, max),
	  .help = "at most so many" },
	ZK_OPT_END,
};

static int replay_filter(struct trig_session *s, const struct replay_opts *o,
                         struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_buf since ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init(&body, 8192);
	zk_buf_init(&since, 256);
	if (o->since && trig_since(o->since, &since, err) < 0)
		return -(int)err->code;
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "status");
	zk_jw_cstr(&w, o->status ? o->status : "failed");
	if (o->type) {
		zk_jw_key(&w, "type");
		zk_jw_cstr(&w, o->type);
	}
	if (o->since) {
		zk_jw_key(&w, "since");
		zk_jw_str(&w, zk_buf_str(&since));
	}
	zk_jw_key(&w, "limit");
	zk_jw_u64(&w, o->max);
	zk_jw_obj_end(&w);
	return trig_show(s,
	                 &(struct zk_trig_request){ .method = "POST",
	                                            .path = "/api/replay",
	                                            .body = zk_buf_str(&body) },
	                 err);
}

static int replay_ids(struct trig_session *s, int argc, char **argv, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "events",
		                                   .open = true };
	struct zk_out *out = zk_app_out(s->app, err);
	char path[128];
	zk_uuid id;

	if (!out || zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	for (int i = 0; i < argc; i++) {
		struct zk_buf body ZK_CLEANUP(zk_buf_done);

		zk_buf_init(&body, 65536);
		if (!zk_uuid_parse(zk_str_of(argv[i]), &id))
			return zk_fail(err, ZK_E_USAGE, "'%s' is no event id", argv[i]);
		(void)snprintf(path, sizeof(path), "/api/events/%s/replay", argv[i]);
		struct zk_trig_request rq = { .method = "POST", .path = path };

		if (zk_trig_call(&s->client, &rq, &body, err) < 0)
			return zk_wrap(err, "event %s", argv[i]);
		if (zk_out_row(out, zk_buf_str(&body), err) < 0)
			return -(int)err->code;
	}
	return zk_out_end(out, err);
}

static int replay_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct replay_opts *o = opts;
	struct trig_session s;

	if (argc == 0 && !o->status && !o->type && !o->since)
		return zk_fail(
		        err, ZK_E_USAGE,
		        "name event ids, or choose with --status, --type, --since");
	if (argc && (o->status || o->type || o->since))
		return zk_fail(err, ZK_E_USAGE,
		               "event ids and a filter exclude each other");
	int r = trig_open(app, &o->trig, /* need_key */ true, &s, err);

	if (r == 0)
		r = argc ? replay_ids(&s, argc, argv, err) : replay_filter(&s, o, err);
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_replay = {
	.path = "triggers replay",
	.args = "[ID...]",
	.max_args = ZK_ANY,
	.help = "deliver events again",
	.examples = "zk triggers replay 0199f3c1-5a7e-7a10-8f3e-0f8d8f1f2a3b\n"
	            "zk triggers replay --status failed --type 'user.*' --since 1d",
	.output = "what was planned",
	.exits = "0 planned · 69 unknown event or no webhook · 77",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = replay_rows,
	.opts_size = sizeof(struct replay_opts),
	.conf = "triggers",
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = replay_run,
};
