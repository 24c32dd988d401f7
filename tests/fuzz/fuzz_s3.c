/* What an S3 server sends: error texts, pages of a list, any XML; and credentials files.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/xml.h"
#include "store/s3.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_key(void *ctx, zk_str key, uint64_t bytes)
{
	size_t *sum = ctx;

	*sum += key.n + (size_t)(bytes & 1);
}

/* Every event moves on, and what is opened is closed. */
static void walk(zk_str doc)
{
	struct zk_xml x;
	size_t depth = 0, left = doc.n + 1;
	struct zk_buf b;

	zk_buf_init(&b, 1u << 16);
	zk_xml_init(&x, doc);
	for (;;) {
		switch (zk_xml_next(&x)) {
		case ZK_XML_OPEN:
			depth++;
			break;
		case ZK_XML_CLOSE:
			ZK_ASSERT(depth > 0);
			depth--;
			break;
		case ZK_XML_TEXT:
			zk_buf_clear(&b);
			if (zk_xml_text(&x, &b))
				ZK_ASSERT(zk_utf8_valid(zk_buf_str(&b)));
			break;
		case ZK_XML_END:
			ZK_ASSERT(depth == 0);
			ZK_FALLTHROUGH;
		case ZK_XML_BAD:
			zk_buf_done(&b);
			return;
		}
		ZK_ASSERT(depth == x.depth && x.rest.n <= left);
		left = x.rest.n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	zk_str text = zk_str_n((const char *)data, n);
	struct zk_buf a, b;
	struct zk_s3_cred cred;
	struct zk_error err;
	size_t sum = 0;

	walk(text);
	zk_buf_init(&a, 4096);
	zk_buf_init(&b, 4096);
	(void)zk_s3_error_parse(text, &a, &b);
	ZK_IGNORE(zk_s3_page_parse(text, on_key, &sum, &a, &err) < 0);
	ZK_IGNORE(zk_s3_cred_parse(text, NULL, &cred, &err) < 0);
	zk_s3_cred_done(&cred);
	zk_buf_done(&a);
	zk_buf_done(&b);
	return 0;
}
