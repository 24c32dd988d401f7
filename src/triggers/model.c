/* Names of tiers, statuses and filters; copies of organizations; times inside event ids.
 * Layer: triggers. */
#include "triggers/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"

#include "base/ban.h"

static const char *const tiers[ZK_TRIG_TIERS] = { "free", "pro", "business",
	                                          "enterprise" };

static const struct {
	zk_str name;
	enum zk_trig_filter filter;
} filters[] = {
	{ ZK_STR_INIT("pending"), ZK_TRIG_ONLY_PENDING },
	{ ZK_STR_INIT("retrying"), ZK_TRIG_ONLY_RETRYING },
	{ ZK_STR_INIT("delivered"), ZK_TRIG_ONLY_DELIVERED },
	{ ZK_STR_INIT("acknowledged"), ZK_TRIG_ONLY_ACKNOWLEDGED },
	{ ZK_STR_INIT("failed"), ZK_TRIG_ONLY_FAILED },
	{ ZK_STR_INIT("dead_letter"), ZK_TRIG_ONLY_FAILED },
};

#define LAST_MS (((int64_t)1 << 48) - 1)

zk_uuid zk_trig_id_at(int64_t ms, uint8_t fill)
{
	zk_uuid id;

	memset(id.b, fill, sizeof(id.b));
	for (unsigned i = 0; i < 6; i++)
		id.b[i] = (uint8_t)((uint64_t)ms >> (40 - 8 * i));
	return id;
}

int64_t zk_trig_id_clamp(int64_t us)
{
	return ZK_MIN(ZK_MAX(us / 1000, 0), LAST_MS);
}

void zk_trig_id_bounds(int64_t since_us, int64_t until_us, zk_uuid *low, zk_uuid *high)
{
	int64_t since = zk_trig_id_clamp(since_us), until = zk_trig_id_clamp(until_us);

	*low = since > 0 ? zk_trig_id_at(since - 1, 0xff) : zk_trig_id_at(0, 0);
	*high = until_us && until < LAST_MS ? zk_trig_id_at(until + 1, 0)
	                                    : zk_trig_id_at(LAST_MS, 0xff);
}

const char *zk_trig_tier_name(enum zk_trig_tier t)
{
	return (unsigned)t < ZK_TRIG_TIERS ? tiers[t] : "free";
}

bool zk_trig_tier_parse(zk_str s, enum zk_trig_tier *ret)
{
	for (size_t i = 0; i < ZK_TRIG_TIERS; i++) {
		if (zk_str_eq(s, zk_str_of(tiers[i]))) {
			*ret = (enum zk_trig_tier)i;
			return true;
		}
	}
	return false;
}

const char *zk_trig_status_name(enum zk_trig_status s)
{
	switch (s) {
	case ZK_TRIG_PENDING:
		return "pending";
	case ZK_TRIG_RETRYING:
		return "retrying";
	case ZK_TRIG_DELIVERED:
		return "delivered";
	case ZK_TRIG_FAILED:
		return "failed";
	}
	return "pending";
}

bool zk_trig_filter_parse(zk_str s, enum zk_trig_filter *ret)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(filters); i++) {
		if (zk_str_eq(s, filters[i].name)) {
			*ret = filters[i].filter;
			return true;
		}
	}
	return false;
}

static char *dup_or_null(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

void zk_trig_org_copy(struct zk_trig_org *to, const struct zk_trig_org *from)
{
	*to = *from;
	to->name = dup_or_null(from->name);
	to->webhook_url = dup_or_null(from->webhook_url);
	to->webhook_disabled_reason = dup_or_null(from->webhook_disabled_reason);
}

void zk_trig_org_done(struct zk_trig_org *org)
{
	free(org->name);
	free(org->webhook_url);
	free(org->webhook_disabled_reason);
	org->name = NULL;
	org->webhook_url = NULL;
	org->webhook_disabled_reason = NULL;
}

bool zk_trig_org_pushes(const struct zk_trig_org *org)
{
	return org->webhook_url && org->webhook_enabled && !org->webhook_disabled_reason;
}

int64_t zk_trig_id_ms(const zk_uuid *id)
{
	int64_t ms = 0;

	for (unsigned i = 0; i < 6; i++)
		ms = ms << 8 | id->b[i];
	return ms;
}

int64_t zk_trig_event_time(const zk_uuid *id, int64_t created_us)
{
	int64_t ms = zk_trig_id_ms(id);

	if (created_us < ms * 1000)
		return ms * 1000;
	return ZK_MIN(created_us, ms * 1000 + 999);
}
