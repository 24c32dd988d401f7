/* The query of GET /api/inbox, cursors included: what is accepted is within its bounds, what is
 * refused says why (specs/triggers.md §5.7, §18.12). */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "triggers/api_query.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_trig_query q, again;
	zk_str raw = zk_str_n((const char *)data, size);
	bool ok = zk_trig_query_read(&q, raw);

	if (!ok) {
		ZK_ASSERT(q.error && q.message);
	} else {
		ZK_ASSERT(q.limit >= 1 && q.limit <= 1000);
		ZK_ASSERT(q.offset <= INT64_MAX);
		ZK_ASSERT(!(q.has_cursor && q.has_offset));
		ZK_ASSERT(!q.type.p || (q.type.n && zk_utf8_valid(q.type)));
		if (q.has_cursor) {
			char text[ZK_UUID_TEXT];
			zk_uuid back;

			zk_uuid_format(&q.cursor, text);
			ZK_ASSERT(zk_uuid_parse(zk_str_n(text, sizeof(text)), &back));
			ZK_ASSERT(memcmp(&back, &q.cursor, sizeof(back)) == 0);
		}
	}
	ZK_ASSERT(zk_trig_query_read(&again, raw) == ok);
	ZK_ASSERT(again.limit == q.limit && again.has_cursor == q.has_cursor);
	ZK_ASSERT(zk_str_eq(again.type, q.type));
	zk_trig_query_done(&q);
	zk_trig_query_done(&again);
	return 0;
}
