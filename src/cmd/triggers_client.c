/* What the client commands of `zk triggers` share.
 * Layer: cmd. */
#include "cmd/triggers_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/spool_senders.h"
#include "codec/jscan.h"
#include "net/url.h"
#include "rt/progress.h"

#include "base/ban.h"

#define MAX_ANSWER (64 * 1024 * 1024)

/* A saved key goes to the server that it came from and to no other (ux.md §5): the name of its
 * file holds the origin. */
char *trig_key_path(struct zk_app *app, const char *url, bool make_dir,
                    struct zk_error *err)
{
	struct zk_url parsed = { 0 };
	struct zk_buf origin ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf name ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&origin, 4096);
	zk_buf_init(&name, 3 * 4096);
	if (zk_url_parse(zk_str_of(url), &parsed, err) < 0)
		return NULL;
	zk_url_origin(&parsed, &origin);
	zk_url_done(&parsed);
	zk_buf_percent(&name, zk_buf_str(&origin));
	ZK_CLEANUP(zk_freep)
	char *dir = zk_app_config_dir(app, make_dir, err);

	if (!dir)
		return NULL;
	ZK_CLEANUP(zk_freep)
	char *secrets = zk_asprintf("%s/secrets", dir);

	if (make_dir && mkdir(secrets, 0700) < 0 && errno != EEXIST) {
		(void)zk_fail_errno(err, ZK_E_CREATE, errno,
		                    "cannot make the folder '%s'", secrets);
		return NULL;
	}
	return zk_asprintf("%s/triggers-%s@%s.key", secrets, zk_app_profile(app),
	                   zk_buf_cstring(&name));
}

int trig_key_save(struct zk_app *app, const char *url, zk_str key, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *path = trig_key_path(app, url, /* make_dir */ true, err);

	if (!path)
		return -(int)err->code;
	struct zk_buf line ZK_CLEANUP(zk_buf_done) = { 0 };
	int e;

	zk_buf_init_secret(&line, key.n + 1);
	zk_buf_add(&line, key);
	zk_buf_char(&line, '\n');
	e = zk_file_replace(path, 0600, zk_buf_str(&line));
	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot save the key in '%s'", path)
	         : 0;
}

/* The key of the options, or the one that --save stored. */
static int load_key(struct zk_app *app, const struct trig_opts *o, struct zk_buf *key,
                    struct zk_error *err)
{
	if (o->key.kind != ZK_SECRET_NONE)
		return zk_secret_load(&o->key, key, err);
	struct zk_error ignored = { 0 };
	ZK_CLEANUP(zk_freep)
	char *path = trig_key_path(app, o->url, false, &ignored);

	if (!path || access(path, R_OK) < 0)
		return 0;
	struct zk_secret saved = { .kind = ZK_SECRET_FILE, .text = path, .name = "key" };

	return zk_secret_load(&saved, key, err);
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	(void)ctx;
	zk_say("%s; attempt %u of %u in %.1f s", err->msg, retry + 1, max + 1,
	       (double)wait_ms / 1000);
}

int trig_options_for(struct zk_app *app, const char *url, struct zk_optpool *pool,
                     struct trig_opts *o, struct zk_error *err)
{
	static const struct zk_opt rows[] = { TRIG_CLIENT_ROWS, ZK_OPT_END };

	if (zk_spool_options(app, rows, "triggers", pool, o, err) < 0)
		return -(int)err->code;
	if (!url)
		return 0;
	if (!zk_spool_same_origin(o->url, url))
		o->key = (struct zk_secret){ 0 };
	o->url = url;
	return 0;
}

int trig_open(struct zk_app *app, const struct trig_opts *o, bool need_key,
              struct trig_session *s, struct zk_error *err)
{
	struct zk_net *net;

	memset(s, 0, sizeof(*s));
	s->app = app;
	zk_buf_init_secret(&s->key, ZK_SECRET_MAX);
	if (load_key(app, o, &s->key, err) < 0)
		return -(int)err->code;
	if (need_key && !s->key.n) {
		(void)zk_fail(err, ZK_E_NO_KEY, "no API key is configured for %s",
		              o->url);
		return zk_err_hint(
		        err,
		        "set ZK_TRIGGERS_KEY or use --key-file; make a key: zk triggers "
		        "keys generate --name NAME --save");
	}
	net = zk_app_net(app, err);
	if (!net || zk_trig_client_init(&s->client, net, zk_str_of(o->url),
	                                zk_buf_str(&s->key), err) < 0)
		return -(int)err->code;
	s->client.retry = (struct zk_retry_conf){ .max_retries = app->retry.retries,
		                                  .base_ms = app->retry.base_ms,
		                                  .cap_ms = app->retry.cap_ms,
		                                  .max_time_ms = app->retry.max_time_ms };
	s->client.on_retry = on_retry;
	return 0;
}

void trig_close(struct trig_session *s)
{
	zk_buf_done(&s->key);
}

int trig_batch_limit(struct trig_session *s, bool once, size_t *ret, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_trig_request rq = { .method = "GET",
		                      .path = "/api/keys",
		                      .once = once };
	struct zk_jval v;
	uint64_t limit = 0;

	zk_buf_init(&body, 65536);
	*ret = TRIG_BATCH_EVENTS;
	if (zk_trig_call(&s->client, &rq, &body, err) < 0) {
		/* A server of another kind may lack this endpoint. */
		if (err->http_status != 404 && err->http_status != 405)
			return -(int)err->code;
		*err = (struct zk_error){ 0 };
		return 0;
	}
	if (zk_jscan_get(zk_buf_str(&body), ZK_STR("rate_limit_per_minute"), &v) &&
	    zk_jnum_u64(v.raw, &limit) && limit > 0)
		*ret = (size_t)ZK_MIN(limit, (uint64_t)TRIG_BATCH_EVENTS);
	return 0;
}

int trig_print(struct zk_app *app, zk_str object, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct zk_out *out = zk_app_out(app, err);

	if (!out || zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, object, err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return ZK_EXIT_OK;
}

int trig_show(struct trig_session *s, const struct zk_trig_request *r,
              struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init_secret(&body, MAX_ANSWER);
	if (zk_trig_call(&s->client, r, &body, err) < 0)
		return -(int)err->code;
	return trig_print(s->app, zk_buf_str(&body), err);
}

int trig_since(const char *text, struct zk_buf *b, struct zk_error *err)
{
	char at[ZK_RFC3339_MAX];
	int64_t us;

	if (zk_parse_since(zk_str_of(text), zk_wall_us(), &us, err) < 0) {
		err->code = ZK_E_USAGE;
		return -(int)err->code;
	}
	zk_buf_put(b, at, zk_format_rfc3339(us, at));
	return 0;
}

void trig_query(struct zk_buf *b, const char *name, const char *value)
{
	if (!value || !value[0])
		return;
	zk_buf_cstr(b, b->n ? "&" : "");
	zk_buf_cstr(b, name);
	zk_buf_char(b, '=');
	zk_buf_percent(b, zk_str_of(value));
}
