/* Credentials of a section of ~/.databrickscfg.
 * Layer: cmd. specs/zerobus.md §18. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cmd/zerobus_conf.h"
#include "codec/ini.h"

#include "base/ban.h"

#define FILE_MAX 65536

/* A name for which $DATABRICKS_CONFIG_PROFILE serves as well, when nothing else is configured. */
static const char *wanted(const struct zb_opts *o)
{
	const char *name = getenv("DATABRICKS_CONFIG_PROFILE");

	if (o->databricks_profile)
		return o->databricks_profile;
	return name && name[0] && !o->client_id && o->token.kind == ZK_SECRET_NONE &&
	                       o->client_secret.kind == ZK_SECRET_NONE
	               ? name
	               : NULL;
}

static char *file_path(void)
{
	const char *path = getenv("DATABRICKS_CONFIG_FILE"), *home = getenv("HOME");

	if (path && path[0])
		return zk_strdup(path);
	return zk_asprintf("%s/.databrickscfg", home ? home : "");
}

static int read_file(const char *path, struct zk_buf *b, struct zk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = -1;
	int e;

	if (fd >= 0) {
		char *to = zk_buf_reserve(b, FILE_MAX);

		do
			n = read(fd, to, FILE_MAX);
		while (n < 0 && errno == EINTR);
	}
	e = errno;
	if (fd >= 0)
		(void)close(fd);
	if (n < 0)
		return zk_fail_errno(err, ZK_E_CONFIG, e, "cannot read '%s'", path);
	if (n == FILE_MAX)
		return zk_fail(err, ZK_E_CONFIG, "'%s' is larger than %d bytes", path,
		               FILE_MAX);
	b->n = (size_t)n;
	return 0;
}

/* A secret of the session: its text is wiped with it. */
static void set_secret(struct zb_session *s, struct zk_secret *to, const char *name,
                       zk_str value)
{
	char *text = zk_strndup(value.p, value.n);

	zk_redact_add(value);
	s->secrets[s->n_secrets++] = text;
	*to = (struct zk_secret){ .kind = ZK_SECRET_INLINE, .text = text, .name = name };
}

static void take(struct zb_session *s, zk_str key, zk_str value)
{
	struct zb_opts *o = &s->mine;

	if (zk_str_eq(key, ZK_STR("host"))) {
		free(s->profile_host);
		s->profile_host = zk_strndup(value.p, value.n);
	} else if (zk_str_eq(key, ZK_STR("client_id")) && !s->profile_client) {
		o->client_id = s->profile_client = zk_strndup(value.p, value.n);
	} else if (zk_str_eq(key, ZK_STR("client_secret")) &&
	           o->client_secret.kind == ZK_SECRET_NONE) {
		set_secret(s, &o->client_secret, "client_secret", value);
	} else if (zk_str_eq(key, ZK_STR("token")) && o->token.kind == ZK_SECRET_NONE) {
		set_secret(s, &o->token, "token", value);
	}
}

static int read_section(struct zb_session *s, const char *path, const char *name,
                        zk_str text, struct zk_error *err)
{
	struct zk_ini ini = { .rest = text };
	zk_str key, value;
	bool found = false;
	int r;

	while ((r = zk_ini_next(&ini, &key, &value, err)) > 0) {
		if (!zk_str_eq(ini.section, zk_str_of(name)))
			continue;
		found = true;
		take(s, key, value);
	}
	if (r < 0) {
		err->code = ZK_E_CONFIG;
		return zk_wrap(err, "%s", path);
	}
	return found ? 0
	             : zk_fail(err, ZK_E_CONFIG, "'%s' has no section [%s]", path, name);
}

static bool is_same(const char *a, const char *b)
{
	struct zk_zb_endpoint x = { 0 }, y = { 0 };
	struct zk_error ignored;
	bool same = zk_zb_endpoint_parse(a, true, &x, &ignored) == 0 &&
	            zk_zb_endpoint_parse(b, true, &y, &ignored) == 0 &&
	            strcmp(x.url, y.url) == 0;

	zk_zb_endpoint_done(&x);
	zk_zb_endpoint_done(&y);
	return same;
}

/* The pair is sent to the host of its section, and nowhere else. */
static int bind(struct zb_session *s, const char *path, const char *name,
                struct zk_error *err)
{
	struct zb_opts *o = &s->mine;

	if (!s->profile_host)
		return zk_fail(err, ZK_E_CONFIG, "[%s] of '%s' has no host", name, path);
	if (o->workspace_url && !is_same(o->workspace_url, s->profile_host)) {
		(void)zk_fail(err, ZK_E_ORIGIN,
		              "the credentials of [%s] are for another host than '%s'",
		              name, o->workspace_url);
		return zk_err_hint(err, "leave --workspace-url out, or use the section "
		                        "of that workspace");
	}
	o->workspace_url = s->profile_host;
	if (o->client_id && o->client_secret.kind != ZK_SECRET_NONE)
		o->token = (struct zk_secret){ 0 }; /* the better one */
	else if (o->token.kind != ZK_SECRET_NONE)
		zk_warn("the service may refuse personal access tokens", "profile=%s",
		        name);
	return 0;
}

int zb_profile_load(struct zb_session *s, struct zk_error *err)
{
	const char *name = wanted(&s->mine);
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	ZK_CLEANUP(zk_freep)
	char *path = NULL;

	if (!name)
		return 0;
	if (s->mine.client_id || s->mine.client_secret.kind != ZK_SECRET_NONE ||
	    s->mine.token.kind != ZK_SECRET_NONE)
		return zk_fail(err, ZK_E_CONFIG,
		               "both --databricks-profile and other credentials are "
		               "configured");
	path = file_path();
	zk_buf_init_secret(&b, FILE_MAX + 1);
	if (read_file(path, &b, err) < 0 ||
	    read_section(s, path, name, zk_buf_str(&b), err) < 0)
		return -(int)err->code;
	return bind(s, path, name, err);
}

void zb_profile_done(struct zb_session *s)
{
	while (s->n_secrets)
		zk_secret_free(s->secrets[--s->n_secrets]);
	free(s->profile_client);
	free(s->profile_host);
}
