/* Events of both wires: decoding, the shape of the first wire, lookups, the record.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jetstream/event.h"
#include "jetstream/filter.h"
#include "jetstream/item.h"
#include "jetstream/record.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void one(zk_str frame)
{
	static struct zk_jet_filter none;
	struct zk_jet_item_conf conf = { .wanted = 0x7f, .filter = &none };
	struct zk_jet_decoder d;
	struct zk_jet_event e;
	struct zk_buf text, record;

	zk_jet_decoder_init(&d, true);
	zk_buf_init(&text, 1u << 20);
	zk_buf_init(&record, 1u << 20);
	if (zk_jet_decode(&d, frame, &e) == ZK_JET_ALIVE) {
		struct zk_jet_item *i = zk_jet_item_new(&e, e.raw, &conf);

		for (int env = ZK_JET_ENV_ZK; env <= ZK_JET_ENV_RAW; env++) {
			struct zk_jet_row row;
			struct zk_jscan js;

			zk_buf_clear(&text);
			zk_buf_clear(&record);
			zk_jet_row_of(i, (enum zk_jet_envelope)env, ZK_STR("h"), &text,
			              &row);
			zk_jet_put_record(&row, (enum zk_jet_envelope)env, &record);
			ZK_ASSERT(record.failed || text.failed ||
			          zk_jscan(zk_buf_str(&record), 300, NULL, 0, &js) == 0);
		}
		zk_buf_clear(&text);
		zk_jet_key(&e, &text);
		zk_jet_item_free(i);
	}
	zk_buf_done(&text);
	zk_buf_done(&record);
	zk_jet_decoder_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	zk_str frame = zk_str_n((const char *)data, n);
	struct zk_jet_v2 v;

	one(frame);
	zk_jet_v2_init(&v);
	if (zk_jet_v2_read(&v, frame) == ZK_JET_FRAME_EVENT)
		one(zk_buf_str(&v.event));
	zk_jet_v2_done(&v);
	return 0;
}
