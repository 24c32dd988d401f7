/* What a stream is opened with: record type and descriptor.
 * Layer: zerobus. specs/zerobus.md §5.4, §10.3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "zerobus/rows.h"

#include "base/ban.h"

struct zk_zb_kind *zk_zb_kind_new(enum zk_zb_record_type type, zk_str descriptor)
{
	struct zk_zb_kind *k = zk_alloc0(sizeof(*k) + descriptor.n);
	char *bytes = (char *)(k + 1);
	uint8_t sum[ZK_SHA256_SIZE];

	k->refs = 1;
	k->type = type;
	if (descriptor.n)
		memcpy(bytes, descriptor.p, descriptor.n);
	k->descriptor = zk_str_n(bytes, descriptor.n);
	if (type == ZK_ZB_PROTO) {
		zk_sha256(descriptor, sum);
		(void)snprintf(k->fingerprint, sizeof(k->fingerprint), "%02x%02x%02x%02x",
		               sum[0], sum[1], sum[2], sum[3]);
	} else {
		memcpy(k->fingerprint, "json", 5);
	}
	return k;
}

struct zk_zb_kind *zk_zb_kind_ref(struct zk_zb_kind *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void zk_zb_kind_unref(struct zk_zb_kind *k)
{
	if (k && __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(k);
}

bool zk_zb_kind_same(const struct zk_zb_kind *a, const struct zk_zb_kind *b)
{
	return a == b || (a->type == b->type && zk_str_eq(a->descriptor, b->descriptor));
}
