/* What the triggers API is about: organizations, keys, events, deliveries.
 * Layer: triggers. Plain data. specs/triggers.md §1, §11.2. Times are microseconds since 1970;
 * 0 means "none" where the column may be NULL. */
#ifndef ZK_TRIGGERS_MODEL_H
#define ZK_TRIGGERS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"
#include "base/str.h"

enum zk_trig_tier {
	ZK_TRIG_FREE,
	ZK_TRIG_PRO,
	ZK_TRIG_BUSINESS,
	ZK_TRIG_ENTERPRISE,
	ZK_TRIG_TIERS
};

enum zk_trig_status {
	ZK_TRIG_PENDING,
	ZK_TRIG_RETRYING,
	ZK_TRIG_DELIVERED,
	ZK_TRIG_FAILED
};

/* What `status=` of the inbox selects (§1.1). */
enum zk_trig_filter {
	ZK_TRIG_ANY,
	ZK_TRIG_ONLY_PENDING, /* pending and retrying */
	ZK_TRIG_ONLY_RETRYING,
	ZK_TRIG_ONLY_DELIVERED,
	ZK_TRIG_ONLY_ACKNOWLEDGED,
	ZK_TRIG_ONLY_FAILED,
};

#define ZK_TRIG_KEY_ID 16 /* hex digits */

struct zk_trig_org {
	zk_uuid id;
	char *name;
	enum zk_trig_tier tier;
	int64_t rate_limit; /* events per minute; -1 = that of the tier, 0 = unlimited */
	char *webhook_url;  /* NULL = none */
	bool webhook_enabled;
	char *webhook_disabled_reason; /* NULL = not disabled */
	bool webhook_ordered;
	int64_t secret_version; /* 0 = no signing secret was made yet */
	int64_t old_secret_expires_us;
	int64_t created_us, updated_us;
};

/* Copies deeply; frees the strings. */
void zk_trig_org_copy(struct zk_trig_org *to, const struct zk_trig_org *from);
void zk_trig_org_done(struct zk_trig_org *org);
/* True when fresh events of the organization are to be pushed: it has a webhook that is enabled
 * and was not disabled by a 410. */
bool zk_trig_org_pushes(const struct zk_trig_org *org);

/* The millisecond inside a version-7 id. */
int64_t zk_trig_id_ms(const zk_uuid *id);
/* `created_us` moved into the millisecond of the event's id, so that the order of ids is the order
 * of creation times and a range of times is a range of ids. Differs from `created_us` by the few
 * microseconds between the two readings of the clock, or more after the clock was set back. */
int64_t zk_trig_event_time(const zk_uuid *id, int64_t created_us);
/* The id of this millisecond with every other byte `fill`: below or above all real ones of it. */
zk_uuid zk_trig_id_at(int64_t ms, uint8_t fill);
/* The millisecond of a time as an id can hold it. */
int64_t zk_trig_id_clamp(int64_t us);
/* Ids strictly between `low` and `high` include those of all events created in
 * [since_us, until_us); 0 = open. Events of the first and last millisecond are to be looked at. */
void zk_trig_id_bounds(int64_t since_us, int64_t until_us, zk_uuid *low, zk_uuid *high);

struct zk_trig_key {
	char key_id[ZK_TRIG_KEY_ID + 1];
	zk_uuid org;
	char hash[160]; /* PHC string */
	uint8_t mac[32];
	bool has_mac;
	int64_t created_us, expires_us, last_used_us;
};

/* One inbox row as the store hands it out; slices are valid during the callback only. */
struct zk_trig_row {
	zk_uuid id, org;
	zk_str type, dedup_id, payload;
	enum zk_trig_status status;
	int64_t attempts;
	int response_status; /* 0 = none */
	zk_str last_error;
	int64_t created_us, updated_us, next_attempt_us, delivered_us, acknowledged_us;
};

struct zk_trig_attempt {
	int64_t attempt, started_us;
	double duration_ms;
	int response_status;
	zk_str error, response_body;
};

const char *zk_trig_tier_name(enum zk_trig_tier t);
/* False for anything but the four names. */
bool zk_trig_tier_parse(zk_str s, enum zk_trig_tier *ret);
const char *zk_trig_status_name(enum zk_trig_status s);
bool zk_trig_filter_parse(zk_str s, enum zk_trig_filter *ret);

#endif
