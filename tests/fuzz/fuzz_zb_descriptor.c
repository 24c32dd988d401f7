/* Fuzz target: descriptors of any kind are read without touching anything outside; what is accepted
 * can be written again, in every form, and read again.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "zerobus/schema.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_all(const struct zk_zb_schema *s)
{
	struct zk_buf b;

	zk_buf_init(&b, (size_t)4 << 20);
	zk_zb_schema_proto(s, &b);
	zk_zb_schema_set(s, &b);
	zk_zb_schema_ddl(s, ZK_STR("t"), &b);
	zk_zb_schema_json(s, &b);
	zk_zb_schema_arrow(s, &b);
	zk_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_zb_schema_conf conf = { .message = "row", .all_optional = size % 2 };
	struct zk_zb_schema *s = NULL, *again = NULL;
	struct zk_error err = { 0 };

	if (zk_zb_schema_of_file(zk_str_n((const char *)data, size), &conf, &s, &err) <
	    0) {
		ZK_ASSERT(err.msg[0]);
		return 0;
	}
	print_all(s);
	/* The descriptor that is sent is one itself. */
	ZK_ASSERT(zk_zb_schema_of_descriptor(s->descriptor, &conf, &again, &err) == 0);
	ZK_ASSERT(again->n_messages == s->n_messages && again->n_fields == s->n_fields);
	zk_zb_schema_free(again);
	zk_zb_schema_free(s);
	return 0;
}
