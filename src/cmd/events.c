/* What the commands on live events share.
 * Layer: cmd. */
#include "cmd/events.h"

#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "codec/jwrite.h"
#include "net/net.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "zip/memory.h"
#include "zip/probe.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define DEAF_FOR_MS (60 * 60 * 1000)
#define DEAF        "deaf"

const char *const events_transports[] = { "auto",    "websocket", "polling",
	                                  "upgrade", "raw",       NULL };

/* Whether WebSockets of this server were deaf within the last hour. */
static bool recall_deaf(struct events *e)
{
	struct zk_zip_memory *m = zeal_memory(&e->zeal);
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored = { 0 };
	bool found = false;

	zk_buf_init(&b, 64);
	if (!m || zk_zip_memory_get(m,
	                            &(struct zk_zip_memory_key){
	                                    e->conf.url, ZK_ZIP_MEM_SOCKET, ZK_STR_NULL },
	                            DEAF_FOR_MS, &b, &found, &ignored) < 0)
		return false;
	return found && zk_str_eq(zk_buf_str(&b), ZK_STR(DEAF));
}

void events_remember_deaf(struct events *e)
{
	struct zk_zip_memory *m = zeal_memory(&e->zeal);
	struct zk_error err = { 0 };

	if (m && zk_zip_memory_put(m, e->conf.url, ZK_ZIP_MEM_SOCKET, ZK_STR_NULL,
	                           ZK_STR(DEAF), &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "cannot remember the deaf server",
		             &err);
}

void events_say_drop(struct events *e, const struct zk_error *err, int64_t wait_ms)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 4096);
	zk_buf_lit(&b, "\"reason\":");
	zk_buf_json_str(&b, zk_str_of(err->msg));
	zk_buf_printf(&b, ",\"wait_ms\":%lld", (long long)wait_ms);
	zk_status_event(zk_app_status(e->app), "retry", zk_buf_str(&b));
	zk_warn("the socket was dropped, connecting again", "reason=%s wait_ms=%lld",
	        err->msg, (long long)wait_ms);
}

void events_put_gap(const struct zk_zip_live_gap *gap, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "zk.gap");
	zk_jw_key(&w, "from");
	zk_jw_time(&w, gap->from_us);
	zk_jw_key(&w, "to");
	zk_jw_time(&w, gap->to_us);
	zk_jw_key(&w, "reconnects");
	zk_jw_u64(&w, gap->reconnects);
	zk_jw_obj_end(&w);
}

int events_one_workflow(const struct events_opts *o, struct zk_error *err)
{
	if (o->workflows.n == 1)
		return 0;
	return zk_fail(err, ZK_E_USAGE, "this needs one workflow: -w WF");
}

static int load_secrets(struct events *e, struct zk_error *err)
{
	const struct zeal_opts *o = &e->opts->zeal;

	if ((o->token.kind != ZK_SECRET_NONE &&
	     zk_secret_load(&o->token, &e->token, err) < 0) ||
	    (o->api_key.kind != ZK_SECRET_NONE &&
	     zk_secret_load(&o->api_key, &e->api_key, err) < 0))
		return -(int)err->code;
	e->conf.token = zk_buf_cstring(&e->token);
	e->conf.api_key = zk_buf_cstring(&e->api_key);
	return 0;
}

/* The server is asked only when nobody said where its socket is. */
static int find_socket(struct events *e, bool client, struct zk_error *err)
{
	const char *set = e->opts->ws_url;

	if ((!set || !set[0] || client) &&
	    zeal_open(e->app, &e->opts->zeal, /* patient */ false, &e->zeal, err) < 0)
		return -(int)err->code;
	if (zk_zip_socket_base(e->zeal.zip, set, &e->url, err) < 0)
		return -(int)err->code;
	e->conf.url = zk_buf_cstring(&e->url);
	return 0;
}

int events_open(struct zk_app *app, const struct events_opts *o, uint64_t tries,
                bool client, struct events *e, struct zk_error *err)
{
	*e = (struct events){ .app = app, .opts = o };
	e->zeal = (struct zeal){ .app = app, .opts = &o->zeal };
	zk_buf_init(&e->url, 8192);
	zk_buf_init_secret(&e->token, ZK_SECRET_MAX + 1);
	zk_buf_init_secret(&e->api_key, ZK_SECRET_MAX + 1);
	for (size_t i = 0; i < o->workflows.n; i++)
		if (!o->workflows.v[i][0])
			return zk_fail(err, ZK_E_USAGE, "an id of a workflow is empty");
	if (load_secrets(e, err) < 0 || find_socket(e, client, err) < 0)
		return -(int)err->code;
	e->conf.net = zk_app_net(app, err);
	if (!e->conf.net)
		return -(int)err->code;
	e->conf.path = o->ws_path;
	e->conf.transport = (enum zk_zip_transport)o->transport;
	e->conf.deaf = o->transport == ZK_ZIP_TRANSPORT_AUTO && recall_deaf(e);
	e->conf.connect_timeout_ms = app->http.connect_timeout_ms;
	e->conf.workflows = (const char *const *)o->workflows.v;
	e->conf.n_workflows = o->workflows.n;
	e->conf.retry =
	        (struct zk_retry_conf){ .max_retries = tries ? tries - 1 : UINT64_MAX,
		                        .base_ms = o->base_ms,
		                        .cap_ms = o->cap_ms };
	return 0;
}

void events_close(struct events *e)
{
	zeal_close(&e->zeal);
	zk_buf_done(&e->url);
	zk_buf_done(&e->token);
	zk_buf_done(&e->api_key);
}

const struct zk_cmd zk_cmd_events = {
	.path = "events",
	.help = "follow live workflow events, and feed them",
	.about = "A socket to a Zeal server: tail prints what happens in workflows as it "
	         "happens, emit and visual tell what a runtime does, stream carries "
	         "binary data. The socket comes back by itself when it was dropped, and "
	         "another way is found where WebSockets do not work.",
	.section = "Workflows",
};
