/* The bucket of a Jetstream store.
 * Layer: cmd. */
#include "cmd/jetstream_s3.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/net.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

static int load(const struct jet_s3_opts *o, struct zk_s3_cred *cred,
                struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);

	zk_buf_init_secret(&text, ZK_SECRET_MAX);
	if (o->credentials.kind == ZK_SECRET_NONE) {
		(void)zk_fail(err, ZK_E_SECRET, "the archive has no S3 credentials");
		return zk_err_hint(err, "--s3-credentials-file FILE, or "
		                        "jetstream.s3.credentials_file");
	}
	if (zk_secret_load_all(&o->credentials, &text, err) < 0 ||
	    zk_s3_cred_parse(zk_buf_str(&text), o->profile, cred, err) < 0)
		return -(int)err->code;
	zk_redact_add(zk_str_of(cred->secret));
	if (cred->token)
		zk_redact_add(zk_str_of(cred->token));
	return 0;
}

int jet_s3_conf(const struct jet_s3_opts *o, struct zk_s3_conf *ret,
                struct zk_s3_cred *cred, struct zk_error *err)
{
	*ret = (struct zk_s3_conf){
		.endpoint = o->endpoint,
		.bucket = o->bucket,
		.region = o->region,
		.virtual_host = o->virtual_host,
		.single_max = o->single_max,
		.part_bytes = o->part_bytes,
		.cred = cred,
	};
	if (!o->bucket || !o->bucket[0])
		return zk_fail(err, ZK_E_USAGE, "the archive needs --s3-bucket");
	return load(o, cred, err);
}

int jet_s3_open(struct zk_app *app, const struct jet_s3_opts *o, struct zk_s3 **ret,
                struct zk_error *err)
{
	struct zk_net *net = zk_app_net(app, err);
	struct zk_s3_cred cred = { 0 };
	struct zk_s3_conf conf;
	int r;

	if (!net)
		return -(int)err->code;
	r = jet_s3_conf(o, &conf, &cred, err);
	conf.retry = (struct zk_retry_conf){ .max_retries = app->retry.retries,
		                             .base_ms = app->retry.base_ms,
		                             .cap_ms = app->retry.cap_ms,
		                             .max_time_ms = app->retry.max_time_ms };
	if (r == 0)
		r = zk_s3_new(net, &conf, ret, err);
	zk_s3_cred_done(&cred);
	return r;
}

void jet_s3_on_done(void *wait, const struct zk_s3_object *o, const struct zk_error *err)
{
	struct jet_s3_wait *w = wait;

	w->over = true;
	if (err) {
		w->err = *err;
		return;
	}
	if (!o)
		return;
	w->exists = o->exists;
	w->was_there = o->was_there;
	w->bytes = o->bytes;
	(void)snprintf(w->etag, sizeof(w->etag), "%.*s", ZK_STR_ARG(o->etag));
	(void)snprintf(w->sha256, sizeof(w->sha256), "%.*s", ZK_STR_ARG(o->sha256));
}
