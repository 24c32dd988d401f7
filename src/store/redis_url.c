/* Redis URLs.
 * Layer: store. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/uri.h"
#include "store/redis.h"

#include "base/ban.h"

#define DEFAULT_PORT 6379
#define MAX_DB       65535u

void zk_redis_url_done(struct zk_redis_url *u)
{
	free(u->host);
	free(u->path);
	free(u->user);
	zk_secret_free(u->password);
	memset(u, 0, sizeof(*u));
}

static int bad(struct zk_error *err, const char *what)
{
	(void)zk_fail(err, ZK_E_CONFIG_VALUE, "the Redis URL %s", what);
	return zk_err_hint(err, "redis://HOST:PORT/DB, rediss://HOST, or unix:PATH");
}

/* A percent-decoded copy, NULL when it is none. */
static char *decode(zk_str s)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b;

	zk_buf_init_secret(&b, ZK_REDIS_URL_MAX + 1);
	if (!zk_uri_decode(s, ZK_URI_PATH, &b))
		return NULL;
	return zk_strdup(zk_buf_cstring(&b));
}

static int read_db(zk_str s, struct zk_redis_url *u, struct zk_error *err)
{
	uint64_t db;

	if (zk_parse_u64(s, &db, err) < 0 || db > MAX_DB)
		return bad(err, "names a database that is no number");
	u->db = (unsigned)db;
	return 0;
}

static int read_query(zk_str query, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str name, value;

	while (zk_uri_query_next(&query, &name, &value, NULL)) {
		if (!zk_str_eq(name, ZK_STR("db")))
			return bad(err, "has a parameter other than 'db'");
		if (read_db(value, u, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

/* USER:PASSWORD, :PASSWORD or USER. */
static int read_login(zk_str login, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str user, password = zk_str_cut(login, ':', &user);

	if (user.n)
		u->user = decode(user);
	if (password.p)
		u->password = decode(password);
	if ((user.n && !u->user) || (password.p && !u->password))
		return bad(err, "has a user name or password that is not "
		                "percent-encoded text");
	if (u->user && !u->password)
		return bad(err, "has a user name and no password");
	return 0;
}

/* The part behind the last '@', what stands before it read as a login. */
static int cut_login(zk_str s, zk_str *rest, struct zk_redis_url *u, struct zk_error *err)
{
	size_t at = s.n;

	while (at > 0 && s.p[at - 1] != '@')
		at--;
	*rest = zk_str_from(s, at);
	return at ? read_login(zk_str_n(s.p, at - 1), u, err) : 0;
}

static int read_port(zk_str s, struct zk_redis_url *u, struct zk_error *err)
{
	uint64_t port = DEFAULT_PORT;

	if (s.n && (zk_parse_u64(s, &port, err) < 0 || port < 1 || port > 65535))
		return bad(err, "has a port that is no number from 1 to 65535");
	u->port = (int)port;
	return 0;
}

static bool is_host(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f || s.p[i] == '%' ||
		    s.p[i] == '/')
			return false;
	}
	return s.n > 0 && s.n < 256;
}

static int read_host(zk_str s, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str host, port;

	if (s.n && s.p[0] == '[') {
		port = zk_str_cut(zk_str_from(s, 1), ']', &host);
		if (!port.p || (port.n && port.p[0] != ':'))
			return bad(err, "has an address without its ']'");
		port = zk_str_from(port, 1);
	} else {
		port = zk_str_cut(s, ':', &host);
	}
	if (host.n == 0)
		host = ZK_STR("localhost");
	if (!is_host(host))
		return bad(err, "has no usable host");
	u->host = zk_strndup(host.p, host.n);
	return read_port(port, u, err);
}

static int read_tcp(zk_str s, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str authority, db = zk_str_cut(s, '/', &authority), host;

	if (cut_login(authority, &host, u, err) < 0 || read_host(host, u, err) < 0)
		return -(int)err->code;
	return db.n ? read_db(db, u, err) : 0;
}

/* PATH, or //[LOGIN@]/PATH. */
static int read_unix(zk_str s, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str path = s;

	if (zk_str_starts(s, ZK_STR("//")) &&
	    cut_login(zk_str_from(s, 2), &path, u, err) < 0)
		return -(int)err->code;
	u->path = path.n ? decode(path) : NULL;
	return u->path && u->path[0] ? 0 : bad(err, "names no socket");
}

static int read_url(zk_str text, struct zk_redis_url *u, struct zk_error *err)
{
	zk_str s, query = zk_str_cut(text, '?', &s);

	if (zk_str_starts_nocase(s, ZK_STR("rediss://"))) {
		u->tls = true;
		s = zk_str_from(s, 9);
	} else if (zk_str_starts_nocase(s, ZK_STR("redis://"))) {
		s = zk_str_from(s, 8);
	} else if (zk_str_starts_nocase(s, ZK_STR("unix:"))) {
		s = zk_str_from(s, 5);
		if (read_unix(s, u, err) < 0)
			return -(int)err->code;
		return read_query(query, u, err);
	} else {
		return bad(err, "has another scheme than redis, rediss and unix");
	}
	if (read_tcp(s, u, err) < 0)
		return -(int)err->code;
	return read_query(query, u, err);
}

int zk_redis_url_parse(zk_str text, struct zk_redis_url *ret, struct zk_error *err)
{
	struct zk_redis_url u = { 0 };

	if (text.n > ZK_REDIS_URL_MAX)
		return bad(err, "is too long");
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return bad(err, "has a control character");
	}
	if (read_url(text, &u, err) < 0) {
		zk_redis_url_done(&u);
		return -(int)err->code;
	}
	*ret = u;
	return 0;
}
