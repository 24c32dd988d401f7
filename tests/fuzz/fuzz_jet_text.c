/* Small texts from outside: positions, session strings, tokens, dictionaries, AT-URIs.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/attr.h"
#include "jetstream/dictionary.h"
#include "jetstream/filter.h"
#include "jetstream/item.h"
#include "jetstream/position.h"
#include "jetstream/session.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	zk_str s = zk_str_n((const char *)data, n);
	struct zk_jet_session_text t;
	struct zk_jet_pos p, again;
	struct zk_error err;
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	if (zk_jet_pos_parse(s, INT64_C(1767225600000000), &p, &err) == 0) {
		zk_jet_pos_format(&p, &b);
		ZK_ASSERT(zk_jet_pos_parse(zk_buf_str(&b), 0, &again, &err) == 0);
	}
	zk_buf_done(&b);
	(void)zk_jet_session_parse(s, &t);
	(void)zk_jet_token_expiry(s);
	(void)zk_jet_dictionary_id(s);
	(void)zk_jet_uri_kind(s);
	(void)zk_jet_nsid_ok(s);
	return 0;
}
