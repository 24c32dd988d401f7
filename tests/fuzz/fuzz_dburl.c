/* DATABASE_URL: accepted texts give a path or URL without control characters, of the kind they
 * say. Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "triggers/dburl.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);
	struct zk_error err = { 0 };
	enum zk_trig_db kind;
	struct zk_buf b;
	int r;

	zk_buf_init(&b, ZK_TRIG_DBURL_MAX + 64);
	r = zk_trig_dburl_parse(text, &kind, &b, &err);
	if (r < 0) {
		ZK_ASSERT(r == -ZK_E_CONFIG_VALUE && err.code == ZK_E_CONFIG_VALUE &&
		          err.msg[0]);
	} else {
		ZK_ASSERT(b.n > 0 && !b.failed && !memchr(b.p, 0, b.n));
		ZK_ASSERT(kind == ZK_TRIG_DB_SQLITE ||
		          zk_str_starts(zk_buf_str(&b), ZK_STR("postgresql://")));
	}
	zk_buf_done(&b);
	return 0;
}
