/* `zk triggers inbox` and `zk triggers listen`.
 * Layer: cmd. specs/triggers.md §14.1, §5.7, §5.8. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/triggers_client.h"
#include "cmd/triggers_work.h"
#include "codec/jscan.h"
#include "rt/progress.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define PAGE       100
#define MAX_PAGE   1000
#define MAX_ANSWER (64 * 1024 * 1024)
/* Every event id is greater. */
#define BEFORE_ALL "00000000-0000-0000-0000-000000000000"

struct inbox_opts {
	struct trig_opts trig;
	const char *status, *type, *since, *exec;
	bool follow, ack;
	int64_t exec_timeout_ms;
};

static const struct zk_opt inbox_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "status",
	  .meta = "STATUS",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, status),
	  .help = "pending, retrying, delivered, acknowledged, failed" },
	{ .type = ZK_OPT_STR,
	  .name = "type",
	  .meta = "TYPE",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, type),
	  .help = "of this type, or 'prefix*'" },
	{ .type = ZK_OPT_STR,
	  .name = "since",
	  .meta = "D|TIME",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, since),
	  .help = "not older than this" },
	{ .type = ZK_OPT_BOOL,
	  .name = "follow",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, follow),
	  .help = "go on with events as they come" },
	{ .type = ZK_OPT_BOOL,
	  .name = "ack",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, ack),
	  .help = "acknowledge each one that was printed, or that CMD took" },
	{ .type = ZK_OPT_STR,
	  .name = "exec",
	  .meta = "CMD",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, exec),
	  .help = "run CMD for each event, with the event on its stdin",
	  .text = "CMD gets ZK_EVENT_ID and ZK_EVENT_TYPE. With --ack, exit 0 "
	          "acknowledges the event "
	          "and everything else leaves it pending." },
	{ .type = ZK_OPT_DURATION,
	  .name = "exec-timeout",
	  .meta = "D",
	  .def = "0",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct inbox_opts, exec_timeout_ms),
	  .help = "end CMD after this" },
	ZK_OPT_END,
};

static int make_query(const struct inbox_opts *o, struct zk_buf *b, struct zk_error *err)
{
	struct zk_buf since ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&since, 256);
	trig_query(b, "status", o->status);
	trig_query(b, "type", o->type);
	if (o->since) {
		if (trig_since(o->since, &since, err) < 0)
			return -(int)err->code;
		trig_query(b, "since", zk_buf_cstring(&since));
	}
	return 0;
}

/* ---- pages -------------------------------------------------------------------------------- */

struct listing {
	struct trig_session *s;
	struct zk_out *out;
	const char *query;
	uint64_t left;
	char cursor[ZK_UUID_TEXT + 1];
	bool more;
};

static int put_events(struct listing *l, zk_str body, struct zk_error *err)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("events") },
		                   { .name = ZK_STR_INIT("next_cursor") } };
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v;
	zk_str cursor = ZK_STR_NULL;

	if (zk_jscan(body, 512, want, ZK_ARRAY_LEN(want), &js) < 0 ||
	    want[0].val.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the server's inbox cannot be read");
	zk_jiter_init(&it, want[0].val.raw);
	while (l->left && zk_jiter_element(&it, &v)) {
		l->left--;
		if (zk_out_row(l->out, v.raw, err) < 0)
			return -(int)err->code;
	}
	l->more = want[1].val.type == ZK_J_STRING &&
	          zk_jstr_plain(want[1].val.raw, &cursor) && cursor.n == ZK_UUID_TEXT;
	if (l->more)
		memcpy(l->cursor, cursor.p, cursor.n);
	return 0;
}

static int one_page(struct listing *l, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);
	struct zk_buf body ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&path, 16384);
	zk_buf_init(&body, MAX_ANSWER);
	zk_buf_printf(&path, "/api/inbox?limit=%llu",
	              (unsigned long long)ZK_MIN(l->left, (uint64_t)MAX_PAGE));
	if (l->query[0])
		zk_buf_printf(&path, "&%s", l->query);
	if (l->cursor[0])
		zk_buf_printf(&path, "&cursor=%s", l->cursor);
	struct zk_trig_request rq = { .method = "GET", .path = zk_buf_cstring(&path) };

	if (zk_trig_call(&l->s->client, &rq, &body, err) < 0)
		return -(int)err->code;
	return put_events(l, zk_buf_str(&body), err);
}

/* Where to begin and how far to go. */
static int set_range(struct listing *l, const struct zk_output_opts *o,
                     struct zk_error *err)
{
	zk_uuid id;

	l->left = o->limit ? o->limit : o->all ? UINT64_MAX : PAGE;
	if (!o->cursor)
		return 0;
	if (!zk_uuid_parse(zk_str_of(o->cursor), &id))
		return zk_fail(err, ZK_E_USAGE, "--cursor '%s' is no event id",
		               o->cursor);
	memcpy(l->cursor, o->cursor, ZK_UUID_TEXT);
	return 0;
}

static int list(struct trig_session *s, const char *query, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "events",
		                                   .cols = trig_event_cols,
		                                   .n_cols = TRIG_EVENT_COLS,
		                                   .open = true };
	struct listing l = { .s = s, .query = query, .out = zk_app_out(s->app, err) };

	if (!l.out || zk_out_begin(l.out, &shape, err) < 0 ||
	    set_range(&l, &s->app->output, err) < 0)
		return -(int)err->code;
	do {
		if (one_page(&l, err) < 0)
			return -(int)err->code;
	} while (l.more && l.left && !zk_out_closed(l.out));
	uint64_t shown = zk_out_rows(l.out);

	if (l.more && !zk_out_closed(l.out))
		zk_out_cut(l.out, shown, -1);
	if (zk_out_end(l.out, err) < 0)
		return -(int)err->code;
	return s->app->output.exit_status && !shown ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int inbox_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	struct inbox_opts *o = opts;
	struct trig_session s;
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	bool queue = o->ack || o->exec;

	(void)argc;
	(void)argv;
	zk_buf_init(&query, 16384);
	if (queue && !o->follow)
		return zk_fail(err, ZK_E_USAGE, "--ack and --exec work with --follow");
	/* A work queue begins with what waits already. */
	if (queue && !o->status)
		o->status = "pending";
	int r = make_query(o, &query, err);

	if (r < 0)
		return r;
	r = trig_open(app, &o->trig, /* need_key */ true, &s, err);
	if (r == 0 && o->follow)
		r = trig_work(&s,
		              &(struct trig_work_conf){
		                      .query = zk_buf_cstring(&query),
		                      .after = queue || o->since ? BEFORE_ALL : NULL,
		                      .print = !o->exec,
		                      .exec = o->exec,
		                      .exec_timeout_ms = o->exec_timeout_ms,
		                      .ack = o->ack,
		                      .report = o->exec && app->common.verbose,
		              },
		              err);
	else if (r == 0)
		r = list(&s, zk_buf_cstring(&query), err);
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_inbox = {
	.path = "triggers inbox",
	.help = "list or follow the events of the organization",
	.about = "Newest first; with --follow in the order they came, from now on, or "
	         "with --ack or --exec "
	         "from the oldest that is pending: a durable work queue.",
	.examples = "zk triggers inbox --status failed --since 1d\n"
	            "zk triggers inbox --follow\n"
	            "zk triggers inbox --follow --ack --exec ./work.sh",
	.output = "one event per row",
	.exits = "0 · 1 nothing with --exit-status · 75 no answer · 77 key",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = inbox_rows,
	.opts_size = sizeof(struct inbox_opts),
	.conf = "triggers",
	.flags = ZK_CMD_READER,
	.run = inbox_run,
};

/* ---- listen ------------------------------------------------------------------------------- */

struct listen_opts {
	struct trig_opts trig;
	const char *forward, *exec, *type;
	struct zk_secret secret;
	bool backlog;
};

static const struct zk_opt listen_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_URL,
	  .name = "forward",
	  .meta = "URL",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct listen_opts, forward),
	  .help = "POST each event there, signed like a real delivery" },
	{ .type = ZK_OPT_STR,
	  .name = "exec",
	  .meta = "CMD",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct listen_opts, exec),
	  .help = "run CMD for each event, with the event on its stdin" },
	{ .type = ZK_OPT_STR,
	  .name = "type",
	  .meta = "TYPE",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct listen_opts, type),
	  .help = "of this type, or 'prefix*'" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "secret",
	  .conf = "-",
	  .off = offsetof(struct listen_opts, secret),
	  .help = "signing secret (whsec_…); without one a fresh one is made and shown" },
	{ .type = ZK_OPT_BOOL,
	  .name = "backlog",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct listen_opts, backlog),
	  .help = "begin with the oldest event that is pending" },
	ZK_OPT_END,
};

static int listen_secret(const struct listen_opts *o, struct zk_buf *key,
                         struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	uint8_t fresh[ZK_TRIG_SECRET];

	zk_buf_init_secret(&text, ZK_SECRET_MAX);
	if (o->secret.kind != ZK_SECRET_NONE) {
		if (zk_secret_load(&o->secret, &text, err) < 0)
			return -(int)err->code;
		return zk_trig_secret_parse(zk_buf_str(&text), key, err);
	}
	zk_rand_secret(fresh, sizeof(fresh));
	zk_trig_secret_text(fresh, &text);
	zk_buf_put(key, (char *)fresh, sizeof(fresh));
	zk_wipe(fresh, sizeof(fresh));
	zk_say("signing secret of this run: %s", zk_buf_cstring(&text));
	return 0;
}

static int listen_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct listen_opts *o = opts;
	struct trig_session s;
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	struct zk_buf key ZK_CLEANUP(zk_buf_done);

	(void)argc;
	(void)argv;
	zk_buf_init(&query, 16384);
	zk_buf_init_secret(&key, 256);
	if (!o->forward == !o->exec)
		return zk_fail(err, ZK_E_USAGE,
		               "give either --forward URL or --exec CMD");
	trig_query(&query, "status", "pending");
	trig_query(&query, "type", o->type);
	int r = trig_open(app, &o->trig, /* need_key */ true, &s, err);

	if (r == 0 && o->forward)
		r = listen_secret(o, &key, err);
	if (r == 0) {
		zk_say("listening for events of %s", o->trig.url);
		r = trig_work(
		        &s,
		        &(struct trig_work_conf){ .query = zk_buf_cstring(&query),
		                                  .after = o->backlog ? BEFORE_ALL : NULL,
		                                  .exec = o->exec,
		                                  .forward = o->forward,
		                                  .secret = zk_buf_str(&key),
		                                  .ack = true,
		                                  .report = true },
		        err);
	}
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_listen = {
	.path = "triggers listen",
	.help = "receive events here without a public address",
	.about = "Follows the organization's events and hands each to a local URL or a "
	         "command; what was "
	         "taken (2xx, exit 0) is acknowledged.",
	.examples = "zk triggers listen --forward http://localhost:4000/hook\n"
	            "zk triggers listen --exec 'jq .'",
	.output = "what CMD prints; one line per event on stderr",
	.exits = "0 stopped · 75 no answer · 77 key refused",
	.see = "man zk-triggers",
	.groups = TRIG_GROUPS,
	.opts = listen_rows,
	.opts_size = sizeof(struct listen_opts),
	.conf = "triggers",
	.run = listen_run,
};
