/* The worker: start, events, the end.
 * Layer: procwire. specs/procwire.md §2, §4, §14. */
#include "procwire/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "procwire/worker_int.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

/* ---- the end ---- */

static void report_stopped(void *ctx)
{
	struct zk_pw_worker *w = ctx;

	w->conf.on_stopped(w->conf.ctx, w->reason, w->error.code ? &w->error : NULL);
}

void zk_pw_dispatch_done(struct zk_pw_worker *w)
{
	if (w->stopped)
		return;
	w->stopped = true;
	zk_timer_stop(w->stop_timer);
	zk_loop_defer(w->loop, report_stopped, w);
}

static void on_stop_time(void *ctx)
{
	struct zk_pw_worker *w = ctx;

	zk_warn("requests that do not end are cut off", "running=%zu", w->n_running);
	zk_pw_dispatch_done(w);
}

static const char *const reasons[] = {
	[ZK_PW_BY_SHUTDOWN] = "shutdown",     [ZK_PW_BY_STDIN] = "end of stdin",
	[ZK_PW_BY_CONNECTION] = "connection", [ZK_PW_BY_SIGNAL] = "signal",
	[ZK_PW_BY_VIOLATION] = "violation",
};

void zk_pw_worker_stop(struct zk_pw_worker *w, enum zk_pw_reason why)
{
	if (w->state == ZK_PW_CLOSING)
		return;
	w->state = ZK_PW_CLOSING;
	w->reason = why;
	zk_debug("the worker stops", "reason=%s running=%zu waiting=%zu", reasons[why],
	         w->n_running, w->n_queued);
	zk_pw_unlisten(w);
	zk_pw_conn_free(ZK_TAKE(w->conn));
	zk_timer_start(w->stop_timer, w->conf.stop_ms, 0);
	zk_pw_abort_all(w);
	if (w->n_running == 0)
		zk_pw_dispatch_done(w);
}

/* ---- events ---- */

int zk_pw_emit(struct zk_pw_worker *w, zk_str event, zk_str payload, struct zk_error *err)
{
	const struct zk_pw_event *e = zk_pw_table_find_event(&w->table, event);

	if (!e)
		return zk_fail(err, ZK_E_PW_EVENT, "there is no event '%.*s'",
		               ZK_STR_ARG(event));
	if (!w->conn)
		return zk_fail(err, ZK_E_PW_GONE, "no parent is connected");
	if (zk_pw_conn_is_full(w->conn))
		return zk_fail(err, ZK_E_PW_PRESSURE, "the parent does not read");
	if (!payload.n && e->codec == ZK_PW_MSGPACK)
		payload = ZK_STR("\xc0");
	w->stats.events++;
	zk_pw_conn_send(w->conn, e->id, ZK_PW_F_EVENT, 0, payload);
	return 0;
}

/* ---- start ---- */

struct zk_pw_worker *zk_pw_worker_new(const struct zk_pw_worker_conf *conf)
{
	struct zk_pw_worker *w = zk_new0(struct zk_pw_worker);

	w->conf = *conf;
	w->loop = conf->loop;
	w->uds.fd = -1;
	if (conf->token) {
		w->token_n = ZK_MIN(strlen(conf->token), sizeof(w->token));
		memcpy(w->token, conf->token, w->token_n);
	}
	w->conf.token = NULL;
	zk_list_init(&w->running);
	zk_list_init(&w->queue);
	zk_pw_table_init(&w->table);
	w->stop_timer = zk_timer_new(w->loop, on_stop_time, w);
	for (size_t i = 0; i < ZK_PW_PENDING_MAX; i++)
		w->pending[i].fd = -1;
	w->stats.start_ms = zk_loop_now_ms(w->loop);
	return w;
}

struct zk_pw_table *zk_pw_worker_table(struct zk_pw_worker *w)
{
	return &w->table;
}

static int announce(struct zk_pw_worker *w, struct zk_error *err)
{
	struct zk_buf b;
	int r;

	zk_buf_init(&b, ZK_PW_INIT_MAX);
	zk_pw_control_init(&b, w->uds.path, &w->table);
	r = zk_buf_check(&b, err);
	if (r == 0)
		(void)zk_pw_control_send(w, zk_buf_str(&b));
	zk_buf_done(&b);
	return r;
}

int zk_pw_worker_start(struct zk_pw_worker *w, struct zk_error *err)
{
	if (w->table.frozen)
		return zk_fail(err, ZK_E_PW_STARTED, "the worker is started already");
	w->table.frozen = true;
	for (size_t i = 0; i < w->table.n_methods; i++)
		if (w->table.methods[i].timeout_ms < 0 && w->conf.timeout_ms)
			w->table.methods[i].timeout_ms = w->conf.timeout_ms;
	if (zk_pw_listen(w, err) < 0)
		return -(int)err->code;
	w->state = ZK_PW_LISTENING;
	if (zk_pw_control_start(w, err) < 0 || announce(w, err) < 0) {
		zk_pw_unlisten(w);
		return -(int)err->code;
	}
	return 0;
}

void zk_pw_worker_free(struct zk_pw_worker *w)
{
	if (!w)
		return;
	if (w->state != ZK_PW_CLOSING)
		zk_pw_worker_stop(w, ZK_PW_BY_SIGNAL);
	w->stopped = true;
	zk_loop_forget(w->loop, report_stopped, w);
	while (!zk_list_is_empty(&w->running)) {
		struct zk_pw_req *req =
		        ZK_LIST_ENTRY(w->running.next, struct zk_pw_req, link);

		if (req->m->handler->drop)
			req->m->handler->drop(req);
		zk_pw_req_over(req);
	}
	zk_pw_control_stop(w);
	zk_timer_free(w->stop_timer);
	zk_pw_table_done(&w->table);
	free(w->ids);
	free(w->spare);
	zk_wipe(w->token, sizeof(w->token));
	free(w);
}

struct zk_loop *zk_pw_worker_loop(const struct zk_pw_worker *w)
{
	return w->loop;
}

uint32_t zk_pw_worker_max_payload(const struct zk_pw_worker *w)
{
	return w->conf.max_payload;
}

void zk_pw_worker_stats(const struct zk_pw_worker *w, struct zk_pw_worker_stats *ret)
{
	*ret = w->stats;
	ret->running = w->n_running;
	ret->waiting = w->n_queued;
	if (w->conn) {
		ret->bytes_in = zk_pw_conn_stats(w->conn)->bytes_in;
		ret->bytes_out = zk_pw_conn_stats(w->conn)->bytes_out;
	}
}
