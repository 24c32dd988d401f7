/* DATABASE_URL and --db.
 * Layer: triggers. */
#include "triggers/dburl.h"

#include <stdbool.h>

#include "codec/uri.h"

#include "base/ban.h"

/* "SCHEME:" at the start, as RFC 3986 spells schemes. A path such as "./a:b" has none. */
static bool cut_scheme(zk_str text, zk_str *scheme, zk_str *rest)
{
	size_t i = 0;

	for (; i < text.n; i++) {
		char c = text.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';

		if (!letter && !(i > 0 && other))
			break;
	}
	if (i == 0 || i >= text.n || text.p[i] != ':')
		return false;
	*scheme = zk_str_n(text.p, i);
	*rest = zk_str_from(text, i + 1);
	return true;
}

/* Scheme without "+driver". */
static bool is_scheme(zk_str scheme, const char *const *names)
{
	zk_str base;

	(void)zk_str_cut(scheme, '+', &base);
	for (; *names; names++) {
		if (zk_str_eq_nocase(base, zk_str_of(*names)))
			return true;
	}
	return false;
}

static int sqlite_path(zk_str rest, struct zk_buf *b, struct zk_error *err)
{
	zk_str path;

	(void)zk_str_cut(rest, '?', &path);
	if (zk_str_starts(path, ZK_STR("//")))
		path = zk_str_from(path, 2);
	while (zk_str_starts(path, ZK_STR("//")))
		path = zk_str_from(path, 1);
	if (path.n == 0)
		return zk_fail(err, ZK_E_CONFIG_VALUE, "the database URL names no file");
	if (zk_str_eq(path, ZK_STR(":memory:")) || zk_str_eq(path, ZK_STR("/:memory:"))) {
		(void)zk_fail(err, ZK_E_CONFIG_VALUE,
		              "a database in memory cannot keep what was accepted");
		return zk_err_hint(err, "name a file, or use --dev for a temporary one");
	}
	if (!zk_uri_decode(path, ZK_URI_PATH, b))
		return zk_fail(
		        err, ZK_E_CONFIG_VALUE,
		        "the path in the database URL is not percent-encoded text");
	return 0;
}

int zk_trig_dburl_parse(zk_str text, enum zk_trig_db *kind, struct zk_buf *b,
                        struct zk_error *err)
{
	static const char *const sqlite[] = { "sqlite", "sqlite3", NULL };
	static const char *const pg[] = { "postgres", "postgresql", "ecto", NULL };
	zk_str scheme, rest;

	if (text.n == 0)
		return zk_fail(err, ZK_E_CONFIG_VALUE, "the database path is empty");
	if (text.n > ZK_TRIG_DBURL_MAX)
		return zk_fail(err, ZK_E_CONFIG_VALUE,
		               "the database path is longer than %d bytes",
		               ZK_TRIG_DBURL_MAX);
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return zk_fail(err, ZK_E_CONFIG_VALUE,
			               "the database path has a control character");
	}
	if (zk_str_eq(text, ZK_STR(":memory:")))
		return sqlite_path(text, b, err);
	if (!cut_scheme(text, &scheme, &rest)) {
		*kind = ZK_TRIG_DB_SQLITE;
		zk_buf_add(b, text);
		return zk_buf_check(b, err);
	}
	if (is_scheme(scheme, sqlite)) {
		*kind = ZK_TRIG_DB_SQLITE;
		return sqlite_path(rest, b, err);
	}
	if (is_scheme(scheme, pg) && zk_str_starts(rest, ZK_STR("//"))) {
		*kind = ZK_TRIG_DB_POSTGRES;
		zk_buf_lit(b, "postgresql:");
		zk_buf_add(b, rest);
		return zk_buf_check(b, err);
	}
	(void)zk_fail(err, ZK_E_CONFIG_VALUE, "'%.*s' is no database scheme",
	              (int)ZK_MIN(scheme.n, 64), scheme.p);
	return zk_err_hint(err, "use a path, sqlite:///PATH or postgresql://HOST/NAME");
}
