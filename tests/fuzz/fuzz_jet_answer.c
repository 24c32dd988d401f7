/* Objects of the API's answers in the envelopes: whatever an object holds, the record is JSON.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jetstream/cache.h"
#include "jetstream/filter.h"
#include "jetstream/item.h"
#include "jetstream/record.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char event[] =
        "{\"did\":\"did:x:y\",\"kind\":\"commit\",\"commit\":{\"operation\":\"create\","
        "\"collection\":\"app.bsky.feed.post\",\"rkey\":\"k\",\"record\":{\"facets\":[{"
        "\"index\":{\"byteStart\":1},\"features\":[{\"$type\":"
        "\"app.bsky.richtext.facet#mention\",\"did\":\"did:x:z\"}]}],\"reply\":{"
        "\"parent\":{"
        "\"uri\":\"at://did:x:y/app.bsky.feed.post/p\"}}}}}";

/* Each answer is taken for the object of every lookup. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct zk_jet_filter none;
	struct zk_jet_item_conf conf = { .wanted = 0x7f, .filter = &none };
	zk_str json = zk_str_n((const char *)data, n);
	struct zk_jscan js;
	struct zk_jet_decoder d;
	struct zk_jet_event e;
	struct zk_jet_item *i;
	struct zk_buf b;

	if (zk_jscan(json, 64, NULL, 0, &js) < 0 || js.top.type != ZK_J_OBJECT)
		return 0;
	zk_jet_decoder_init(&d, true);
	ZK_ASSERT(zk_jet_decode(&d, ZK_STR(event), &e) == ZK_JET_ALIVE);
	i = zk_jet_item_new(&e, e.raw, &conf);
	for (unsigned k = 0; k < i->n_lookups; k++)
		i->lookups[k].obj = zk_jet_obj_new(js.top.raw);
	zk_buf_init(&b, 16u << 20);
	for (int env = ZK_JET_ENV_ZK; env <= ZK_JET_ENV_RUST; env++) {
		zk_buf_clear(&b);
		zk_jet_put_metadata(i, (enum zk_jet_envelope)env, &b);
		ZK_ASSERT(b.failed || zk_jscan(zk_buf_str(&b), 128, NULL, 0, &js) == 0);
	}
	zk_buf_done(&b);
	zk_jet_item_free(i);
	zk_jet_decoder_done(&d);
	return 0;
}
