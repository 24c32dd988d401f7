/* Tables, endpoints, workspaces.
 * Layer: zerobus. specs/zerobus.md §3, §4.1. */
#include "zerobus/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "net/url.h"

#include "base/ban.h"

#define PART_MAX 255

static bool is_part_char(char c, bool is_table)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || (c == '-' && !is_table);
}

static bool is_part(zk_str part, bool is_table)
{
	for (size_t i = 0; i < part.n; i++)
		if (!is_part_char(part.p[i], is_table))
			return false;
	return part.n > 0 && part.n <= PART_MAX;
}

int zk_zb_table_parse(zk_str text, struct zk_buf *ret, struct zk_error *err)
{
	static const char *const names[] = { "catalog", "schema", "table" };
	zk_str rest = text, part;

	for (int i = 0; i < 3; i++) {
		if (i > 0 && !rest.p)
			return zk_fail(err, ZK_E_ZB_TABLE,
			               "the name '%.*s' lacks the %s: a table is "
			               "catalog.schema.table",
			               ZK_STR_ARG(text), names[i]);
		if (i < 2)
			rest = zk_str_cut(rest, '.', &part);
		else
			part = rest;
		if (part.n >= 2 && part.p[0] == '`' && part.p[part.n - 1] == '`')
			part = zk_str_n(part.p + 1, part.n - 2);
		if (!is_part(part, i == 2))
			return zk_fail(
			        err, ZK_E_ZB_TABLE,
			        "the %s '%.*s' of the table '%.*s' is not allowed: "
			        "letters, digits, '_'%s, at most 255",
			        names[i], ZK_STR_ARG(part), ZK_STR_ARG(text),
			        i < 2 ? ", '-'" : "");
		if (i)
			zk_buf_char(ret, '.');
		zk_buf_add(ret, part);
	}
	return 0;
}

bool zk_zb_is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       zk_str_starts(zk_str_of(host), ZK_STR("127."));
}

static int bad_endpoint(struct zk_error *err, const char *text, const char *why)
{
	return zk_fail(err, ZK_E_ZB_ENDPOINT, "the endpoint '%s' cannot be used: %s",
	               text, why);
}

int zk_zb_endpoint_parse(const char *text, bool insecure, struct zk_zb_endpoint *ret,
                         struct zk_error *err)
{
	bool has_scheme = strstr(text, "://") != NULL;
	ZK_CLEANUP(zk_freep)
	char *full = zk_asprintf("%s%s", has_scheme ? "" : "https://", text);
	struct zk_url u = { 0 };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	const char *why = NULL;
	struct zk_error cause;

	if (zk_url_parse(zk_str_of(full), &u, &cause) < 0)
		return bad_endpoint(err, text, cause.msg);
	if (u.user)
		why = "it holds a user name";
	else if (u.query || strchr(full, '?') || strchr(full, '#') ||
	         (u.path && u.path[0] && strcmp(u.path, "/") != 0))
		why = "it has a path, a query or a fragment";
	else if (strcmp(u.scheme, "http") == 0 && !insecure && !zk_zb_is_loopback(u.host))
		why = "without TLS the token would travel in clear text "
		      "(--insecure-http)";
	if (why) {
		zk_url_done(&u);
		return bad_endpoint(err, text, why);
	}
	zk_buf_init(&b, 4096);
	zk_url_origin(&u, &b);
	ret->url = zk_buf_take(&b);
	ret->host = zk_strdup(u.host);
	ret->tls = strcmp(u.scheme, "https") == 0;
	zk_url_done(&u);
	return 0;
}

void zk_zb_endpoint_done(struct zk_zb_endpoint *e)
{
	free(e->url);
	free(e->host);
	*e = (struct zk_zb_endpoint){ 0 };
}

zk_str zk_zb_workspace_of(const char *host)
{
	size_t n = strspn(host, "0123456789");

	return n && zk_str_starts(zk_str_of(host + n), ZK_STR(".zerobus."))
	               ? zk_str_n(host, n)
	               : ZK_STR_NULL;
}

/* ---- the token request ---- */

static void put_privilege(struct zk_jwrite *w, const char *const *privileges,
                          const char *type, zk_str path)
{
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "unity_catalog_privileges");
	zk_jw_key(w, "privileges");
	zk_jw_arr(w);
	for (; *privileges; privileges++)
		zk_jw_cstr(w, *privileges);
	zk_jw_arr_end(w);
	zk_jw_key(w, "object_type");
	zk_jw_cstr(w, type);
	zk_jw_key(w, "object_full_path");
	zk_jw_str(w, path);
	zk_jw_obj_end(w);
}

static void put_details(struct zk_buf *b, zk_str table, enum zk_zb_token_for what)
{
	static const char *const use_catalog[] = { "USE CATALOG", NULL };
	static const char *const use_schema[] = { "USE SCHEMA", NULL };
	static const char *const write[] = { "SELECT", "MODIFY", NULL };
	static const char *const read[] = { "SELECT", NULL };
	struct zk_jwrite w;
	zk_str catalog, schema, rest = zk_str_cut(table, '.', &catalog);

	(void)zk_str_cut(rest, '.', &schema);
	schema = zk_str_n(table.p, catalog.n + 1 + schema.n);
	zk_jwrite_init(&w, b);
	zk_jw_arr(&w);
	put_privilege(&w, use_catalog, "CATALOG", catalog);
	put_privilege(&w, use_schema, "SCHEMA", schema);
	put_privilege(&w, what == ZK_ZB_TO_WRITE ? write : read, "TABLE", table);
	zk_jw_arr_end(&w);
}

void zk_zb_token_form(zk_str table, zk_str workspace_id, enum zk_zb_token_for what,
                      struct zk_buf *ret)
{
	struct zk_buf details ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf resource ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&details, 65536);
	zk_buf_init(&resource, 4096);
	put_details(&details, table, what);
	zk_buf_lit(ret, "grant_type=client_credentials&scope=all-apis");
	if (what == ZK_ZB_TO_WRITE) {
		zk_buf_printf(&resource,
		              "api://databricks/workspaces/%.*s/zerobusDirectWriteApi",
		              ZK_STR_ARG(workspace_id));
		zk_buf_lit(ret, "&resource=");
		zk_buf_percent(ret, zk_buf_str(&resource));
	}
	zk_buf_lit(ret, "&authorization_details=");
	zk_buf_percent(ret, zk_buf_str(&details));
}
