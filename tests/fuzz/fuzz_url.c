/* Fuzz target: URLs. What parses parses again to the same, and neither messages nor the wire log
 * show the credentials of a URL.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/trace.h"
#include "net/url.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct zk_url *u)
{
	struct zk_buf origin;
	struct zk_error err;
	struct zk_url again;

	ZK_ASSERT(u->scheme && u->host && u->host[0] && u->path && u->text);
	ZK_ASSERT(strcmp(u->scheme, "http") == 0 || strcmp(u->scheme, "https") == 0);
	ZK_ASSERT(u->port > 0 && u->port < 65536);
	ZK_ASSERT(!strchr(u->text, '#'));
	zk_buf_init(&origin, 8192);
	zk_url_origin(u, &origin);
	ZK_ASSERT(!origin.failed);
	zk_buf_done(&origin);
	/* It may have grown past the limit, by escapes. */
	if (zk_url_parse(zk_str_of(u->text), &again, &err) < 0)
		return;
	ZK_ASSERT(zk_url_same_origin(u, &again) && strcmp(u->path, again.path) == 0);
	ZK_ASSERT(!u->user == !again.user);
	zk_url_done(&again);
}

/* A text as messages show it: the same with and without what must not be seen. */
static void show(const char *text)
{
	struct zk_buf safe, bare, masked;
	char *cut = zk_strdup(text);

	cut[strcspn(cut, "?#")] = '\0';
	zk_buf_init(&safe, 8192);
	zk_buf_init(&bare, 8192);
	zk_buf_init(&masked, 1 << 20);
	zk_http_safe_url(text, &safe);
	zk_http_safe_url(cut, &bare);
	ZK_ASSERT(!safe.failed && zk_utf8_valid(zk_buf_str(&safe)));
	ZK_ASSERT(zk_str_eq(zk_buf_str(&safe), zk_buf_str(&bare)));
	zk_trace_mask_url(zk_str_of(text), &masked);
	zk_trace_mask_header(zk_str_of(text), &masked);
	zk_trace_mask_body(zk_str_of(text), &masked);
	zk_buf_done(&safe);
	zk_buf_done(&bare);
	zk_buf_done(&masked);
	free(cut);
}

/* No user name is left in front of the host. */
static void show_parsed(const struct zk_url *u)
{
	struct zk_buf safe, masked;
	zk_str authority;

	zk_buf_init(&safe, 8192);
	zk_buf_init(&masked, 8192);
	zk_http_safe_url(u->text, &safe);
	(void)zk_str_cut(zk_str_from(zk_buf_str(&safe), strlen(u->scheme) + 3), '/',
	                 &authority);
	ZK_ASSERT(zk_str_find_char(authority, '@') < 0);
	zk_trace_mask_url(zk_str_of(u->text), &masked);
	(void)zk_str_cut(zk_str_from(zk_buf_str(&masked), strlen(u->scheme) + 3), '/',
	                 &authority);
	ZK_ASSERT(!u->user == (zk_str_find_char(authority, '@') < 0));
	ZK_ASSERT(!u->user || zk_str_starts(authority, ZK_STR("***@")));
	zk_buf_done(&safe);
	zk_buf_done(&masked);
}

/* A plain URL is what the parser would make of it. */
static void check_plain(zk_str in)
{
	struct zk_url plain, all;
	struct zk_error err;

	if (in.n > 2048 || !zk_url_plain(in, &plain))
		return;
	ZK_ASSERT(zk_url_parse_all(in, &all, &err) == 0);
	ZK_ASSERT(zk_url_same_origin(&plain, &all) && strcmp(plain.path, all.path) == 0);
	ZK_ASSERT(strcmp(plain.text, all.text) == 0 && !all.user);
	ZK_ASSERT(!plain.query == !all.query &&
	          (!all.query || strcmp(plain.query, all.query) == 0));
	zk_url_done(&plain);
	zk_url_done(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str in = zk_str_n((const char *)data, size);
	char *text = zk_strndup(size ? in.p : "", size);
	struct zk_error err = { 0 };
	struct zk_url u;
	int r = zk_url_parse(in, &u, &err);

	ZK_ASSERT(r == 0 || r == -ZK_E_URL);
	check_plain(in);
	if (r == 0) {
		check(&u);
		show_parsed(&u);
		zk_url_done(&u);
	}
	show(text);
	free(text);
	return 0;
}
