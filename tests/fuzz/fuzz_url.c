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

static void show(const char *text)
{
	struct zk_buf safe, masked;

	zk_buf_init(&safe, 8192);
	zk_buf_init(&masked, 1 << 20);
	zk_http_safe_url(text, &safe);
	ZK_ASSERT(!safe.failed && zk_utf8_valid(zk_buf_str(&safe)));
	ZK_ASSERT(!memchr(zk_buf_cstring(&safe), '?', safe.n) ||
	          zk_str_find(zk_buf_str(&safe), ZK_STR("?token=")) < 0);
	zk_trace_mask_url(zk_str_of(text), &masked);
	zk_trace_mask_header(zk_str_of(text), &masked);
	zk_trace_mask_body(zk_str_of(text), &masked);
	zk_buf_done(&safe);
	zk_buf_done(&masked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str in = zk_str_n((const char *)data, size);
	char *text = zk_strndup(size ? in.p : "", size);
	struct zk_error err = { 0 };
	struct zk_url u;
	int r = zk_url_parse(in, &u, &err);

	ZK_ASSERT(r == 0 || r == -ZK_E_URL);
	if (r == 0) {
		check(&u);
		zk_url_done(&u);
	}
	show(text);
	free(text);
	return 0;
}
