/* Where the schema of rows comes from: files, and the table's document.
 * Layer: cmd. specs/zerobus.md §10.1, §10.4. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/zerobus_conf.h"
#include "net/auth.h"
#include "net/send.h"
#include "rt/loop.h"
#include "zerobus/schema.h"

#include "base/ban.h"

#define FILE_MAX ((size_t)64 << 20)
#define DOC_MAX  ((size_t)16 << 20)
#define CHUNK    ((size_t)65536)

static int read_all(const char *path, int fd, struct zk_buf *b, struct zk_error *err)
{
	for (;;) {
		char *to = zk_buf_reserve(b, CHUNK);
		ssize_t n;

		if (!to)
			return zk_buf_check(b, err);
		n = read(fd, to, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read '%s'", path);
		if (n == 0)
			return 0;
		b->n += (size_t)n;
	}
}

int zb_file_schema(const char *path, const struct zk_zb_schema_conf *conf,
                   struct zk_zb_schema **ret, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
		                     "cannot read the schema '%s'", path);
	zk_buf_init(&b, FILE_MAX);
	r = read_all(path, fd, &b, err);
	(void)close(fd);
	if (r == 0)
		r = zk_zb_schema_of_file(zk_buf_str(&b), conf, ret, err);
	return r == 0 ? 0 : zk_wrap(err, "schema '%s'", path);
}

/* ---- the table ---- */

struct wanted {
	char *token;
	struct zk_error err;
	bool done;
};

static void on_token(void *ctx, const char *token, const struct zk_error *err)
{
	struct wanted *w = ctx;

	if (err)
		w->err = *err;
	else
		w->token = zk_strdup(token);
	w->done = true;
}

static int get_token(struct zb_session *s, char **ret, struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(s->app, err);
	struct wanted w = { 0 };
	struct zk_auth *auth;

	*ret = NULL;
	if (!loop || zb_auth_new(s, ZK_ZB_TO_READ, NULL, NULL, &auth, err) < 0)
		return -(int)err->code;
	if (!auth)
		return 0;
	zk_auth_get(auth, on_token, &w);
	zk_loop_until(loop, &w.done);
	zk_auth_free(auth);
	*ret = w.token;
	if (!w.err.code)
		return 0;
	*err = w.err;
	return -(int)err->code;
}

static int judge(const struct zb_session *s, int status, struct zk_error *err)
{
	if (status == 200)
		return 0;
	if (status == 404)
		return zk_fail(err, ZK_E_ZB_NO_TABLE,
		               "there is no table '%.*s' (HTTP 404)",
		               ZK_STR_ARG(zk_buf_str(&s->table)));
	if (status == 401 || status == 403)
		return zk_fail(err, ZK_E_ZB_GRANT,
		               "the table '%.*s' may not be read (HTTP %d)",
		               ZK_STR_ARG(zk_buf_str(&s->table)), status);
	return zk_fail(err, ZK_E_HTTP,
	               "the columns of '%.*s' could not be read (HTTP %d)",
	               ZK_STR_ARG(zk_buf_str(&s->table)), status);
}

int zb_table_document(struct zb_session *s, struct zk_buf *ret, struct zk_error *err)
{
	struct zk_net *net = zk_app_net(s->app, err);
	struct zk_buf url ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_send_conf conf = {
		.http = { .max_body = DOC_MAX, .flags = ZK_HTTP_ANY_STATUS },
		.retry = { .max_retries = s->app->retry.retries,
		           .base_ms = s->app->retry.base_ms,
		           .cap_ms = s->app->retry.cap_ms,
		           .max_time_ms = s->app->retry.max_time_ms },
	};
	char *token = NULL;
	int status = 0, r;

	if (!net)
		return -(int)err->code;
	if (!s->workspace.url)
		return zk_fail(err, ZK_E_ZB_ENDPOINT,
		               "no --workspace-url is given, which knows the columns");
	r = get_token(s, &token, err);
	if (r < 0)
		return r;
	zk_buf_init(&url, 8192);
	zk_buf_printf(&url, "%s/api/2.1/unity-catalog/tables/", s->workspace.url);
	zk_buf_percent(&url, zk_buf_str(&s->table));
	conf.http.url = zk_buf_cstring(&url);
	conf.http.bearer = token;
	r = zk_send_wait(net, &conf, &status, ret, err);
	zk_secret_free(token);
	return r < 0 ? r : judge(s, status, err);
}

int zb_table_schema(struct zb_session *s, const struct zk_zb_schema_conf *conf,
                    struct zk_zb_schema **ret, struct zk_error *err)
{
	struct zk_buf doc ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&doc, DOC_MAX);
	if (zb_table_document(s, &doc, err) < 0)
		return -(int)err->code;
	return zk_zb_schema_of_table(zk_buf_str(&doc), conf, ret, err);
}
