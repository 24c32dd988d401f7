/* The client of the triggers API: one call, and its errors in people's words.
 * Layer: triggers. specs/triggers.md §4, §14. */
#include "triggers/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/json.h"
#include "net/url.h"

#include "base/ban.h"

#define MAX_ANSWER  (64 * 1024 * 1024)
#define MAX_PROBLEM 65536

int zk_trig_client_init(struct zk_trig_client *c, struct zk_net *net, zk_str url,
                        zk_str key, struct zk_error *err)
{
	struct zk_url parsed = { 0 };

	if (zk_url_parse(url, &parsed, err) < 0)
		return zk_wrap(err, "--url");
	zk_url_done(&parsed);
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	c->net = net;
	c->url = url;
	c->key = key;
	return 0;
}

void zk_trig_explain(const struct zk_trig_client *c, zk_str body, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	struct zk_error ignored = { 0 };
	zk_str message = ZK_STR_NULL, code = ZK_STR_NULL, id = ZK_STR_NULL;

	if (err->code == ZK_E_AUTH) {
		if (!c->key.n)
			(void)zk_err_hint(
			        err, "give a key: ZK_TRIGGERS_KEY, --key-file or the "
			             "profile; make one: zk triggers keys generate");
		else
			(void)zk_err_hint(
			        err,
			        "see which key this is: zk triggers keys show; it may "
			        "have been rotated");
	} else if (err->code == ZK_E_CONNECT) {
		(void)zk_err_hint(err, "is the server up? start one: zk triggers serve");
	}
	if (!body.n || zk_json_parse(body, MAX_PROBLEM, &j, &ignored) < 0)
		return;
	if (zk_json_opt_str(j, "message", &message, &ignored) < 0 ||
	    zk_json_opt_str(j, "code", &code, &ignored) < 0 ||
	    zk_json_opt_str(j, "request_id", &id, &ignored) < 0)
		return;
	if (message.n)
		(void)zk_err_why(err, "%.*s%s%.*s%s", ZK_STR_ARG(message),
		                 code.n ? " (" : "", ZK_STR_ARG(code), code.n ? ")" : "");
	if (id.n)
		(void)snprintf(err->remote_id, sizeof(err->remote_id), "%.*s",
		               ZK_STR_ARG(id));
}

struct call_text {
	char *url;
	struct zk_buf key;
	const char *headers[3];
};

static void text_done(struct call_text *t)
{
	free(t->url);
	zk_buf_done(&t->key);
}

static void make(const struct zk_trig_client *c, const struct zk_trig_request *r,
                 struct call_text *t, struct zk_send_conf *conf)
{
	size_t n = 0;

	memset(t, 0, sizeof(*t));
	zk_buf_init_secret(&t->key, 1024);
	t->url = zk_asprintf("%.*s%s", ZK_STR_ARG(c->url), r->path);
	if (c->key.n && !r->no_key) {
		zk_buf_printf(&t->key, "X-API-Key: %.*s", ZK_STR_ARG(c->key));
		t->headers[n++] = zk_buf_cstring(&t->key);
	}
	*conf = (struct zk_send_conf){
		.http = {
			.method = r->method,
			.url = t->url,
			.headers = t->headers,
			.bearer = r->bearer,
			.body = r->body,
			.content_type = r->body.p ? (r->content_type ? r->content_type
								     : "application/json")
						  : NULL,
			.ctx = c->ctx,
			.max_body = MAX_ANSWER,
			.target = "triggers",
			.flags = ZK_HTTP_TRUST_BUSY | (r->repeatable ? ZK_HTTP_IDEMPOTENT : 0),
		},
		.retry = c->retry,
		.on_retry = c->on_retry,
	};
	if (r->once)
		conf->retry.max_retries = 0;
}

int zk_trig_call(struct zk_trig_client *c, const struct zk_trig_request *r,
                 struct zk_buf *body, struct zk_error *err)
{
	struct zk_send_conf conf;
	struct call_text text;

	make(c, r, &text, &conf);
	int rc = zk_send_wait(c->net, &conf, NULL, body, err);

	text_done(&text);
	if (rc < 0)
		zk_trig_explain(c, zk_buf_str(body), err);
	return rc;
}

int zk_trig_start(struct zk_trig_client *c, const struct zk_trig_request *r,
                  zk_http_done_fn done, void *ctx, struct zk_send **ret,
                  struct zk_error *err)
{
	struct zk_send_conf conf;
	struct call_text text;

	make(c, r, &text, &conf);
	conf.http.ctx = ctx;
	conf.on_retry = r->on_retry;
	int rc = zk_send_start(c->net, &conf, done, ret, err);

	text_done(&text);
	return rc;
}
