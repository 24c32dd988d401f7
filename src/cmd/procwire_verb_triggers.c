/* zk:triggers.send: an event for a triggers server.
 * Layer: cmd. specs/cli.md §Procwire. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/procwire_verbs.h"
#include "codec/msgpack.h"
#include "net/send.h"
#include "procwire/spec.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)16 << 20)

struct verb {
	struct trig_session session;
};

/* One event on its way to the server. */
struct event {
	struct zk_pw_req *req;
	struct verb *v;
	struct zk_send *send;
};

static int answer(struct event *e, zk_str body, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, BODY_MAX * 2);
	if (zk_mp_from_json(body, &b, err) < 0)
		return zk_wrap(err, "the answer of the server");
	return procwire_answer(e->req, zk_buf_str(&b), err);
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct event *e = ctx;
	struct zk_pw_req *req = e->req;
	struct zk_error own = { 0 };

	if (err) {
		zk_trig_explain(&e->v->session.client, res->body, err);
		(void)zk_pw_fail(req, err);
	} else if (answer(e, res->body, &own) < 0) {
		(void)zk_pw_fail(req, &own);
	}
	free(e);
	zk_pw_done(req);
}

static void on_cancel(void *ctx)
{
	struct event *e = ctx;
	struct zk_pw_req *req = e->req;

	zk_send_cancel(e->send);
	free(e);
	zk_pw_done(req);
}

static void send_drop(struct zk_pw_req *req)
{
	struct event *e = zk_pw_data(req);

	zk_send_cancel(e->send);
	free(e);
}

static enum zk_pw_then send_request(struct zk_pw_req *req, zk_str payload)
{
	struct zk_trig_request r = { .method = "POST", .path = "/api/events" };
	struct event *e = zk_new0(struct event);
	struct zk_error err = { 0 };
	struct zk_buf body;
	zk_str unused;
	int rc;

	e->req = req;
	e->v = zk_pw_method_of(req)->conf;
	zk_buf_init(&body, BODY_MAX);
	rc = zk_mp_to_json(payload, &body, &err);
	r.body = zk_buf_str(&body);
	/* With a dedup_id the server knows a repetition. */
	r.repeatable = zk_mp_get(payload, ZK_STR("dedup_id"), &unused);
	if (rc == 0)
		rc = zk_trig_start(&e->v->session.client, &r, on_done, e, &e->send, &err);
	zk_buf_done(&body);
	if (rc < 0) {
		free(e);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, e);
	zk_pw_on_cancel(req, on_cancel, e);
	return ZK_PW_THEN_KEEP;
}

const struct zk_pw_handler procwire_triggers_send = { .name = "zk:triggers.send",
	                                              .request = send_request,
	                                              .drop = send_drop };

static void verb_free(void *conf)
{
	struct verb *v = conf;

	trig_close(&v->session);
	free(v);
}

int procwire_triggers_send_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	const struct procwire_remotes *remotes;
	struct zk_app *app = procwire_app(env, &remotes);

	(void)spec;
	m->conf = v;
	m->free_conf = verb_free;
	if (m->kind == ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE, "triggers.send is no stream");
	return trig_open(app, &remotes->triggers, /* need_key */ true, &v->session, err);
}
