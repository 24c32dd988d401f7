/* Names, copies and times of the triggers model (specs/triggers.md §1, §1.1, §5.1).
 * Layer: tests. */
#include "triggers/model.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/ban.h"

Test(trig_model, tiers_are_the_four_names)
{
	static const char *const names[] = { "free", "pro", "business", "enterprise" };
	enum zk_trig_tier t;

	for (size_t i = 0; i < ZK_TRIG_TIERS; i++) {
		cr_assert(zk_trig_tier_parse(zk_str_of(names[i]), &t));
		cr_expect_eq((size_t)t, i);
		cr_expect_str_eq(zk_trig_tier_name((enum zk_trig_tier)i), names[i]);
	}
	t = ZK_TRIG_PRO;
	cr_expect_not(zk_trig_tier_parse(ZK_STR("gold"), &t));
	cr_expect_not(zk_trig_tier_parse(ZK_STR("Free"), &t));
	cr_expect_not(zk_trig_tier_parse(ZK_STR("fre"), &t));
	cr_expect_not(zk_trig_tier_parse(ZK_STR(""), &t));
	cr_expect_eq(t, ZK_TRIG_PRO, "untouched on failure");
}

Test(trig_model, filters)
{
	static const struct {
		const char *name;
		enum zk_trig_filter f;
	} cases[] = {
		{ "pending", ZK_TRIG_ONLY_PENDING },
		{ "retrying", ZK_TRIG_ONLY_RETRYING },
		{ "delivered", ZK_TRIG_ONLY_DELIVERED },
		{ "acknowledged", ZK_TRIG_ONLY_ACKNOWLEDGED },
		{ "failed", ZK_TRIG_ONLY_FAILED },
		{ "dead_letter", ZK_TRIG_ONLY_FAILED },
	};
	enum zk_trig_filter f;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		cr_assert(zk_trig_filter_parse(zk_str_of(cases[i].name), &f), "%s",
		          cases[i].name);
		cr_expect_eq(f, cases[i].f, "%s", cases[i].name);
	}
	cr_expect_not(zk_trig_filter_parse(ZK_STR("any"), &f));
	cr_expect_not(zk_trig_filter_parse(ZK_STR("Pending"), &f));
	cr_expect_not(zk_trig_filter_parse(ZK_STR_NULL, &f));
}

Test(trig_model, status_names)
{
	cr_expect_str_eq(zk_trig_status_name(ZK_TRIG_PENDING), "pending");
	cr_expect_str_eq(zk_trig_status_name(ZK_TRIG_RETRYING), "retrying");
	cr_expect_str_eq(zk_trig_status_name(ZK_TRIG_DELIVERED), "delivered");
	cr_expect_str_eq(zk_trig_status_name(ZK_TRIG_FAILED), "failed");
}

Test(trig_model, a_copy_owns_its_strings)
{
	char name[] = "Org", url[] = "http://x/";
	struct zk_trig_org from = { .id = zk_uuid_v7(),
		                    .name = name,
		                    .webhook_url = url },
	                   to;

	zk_trig_org_copy(&to, &from);
	name[0] = 'X';
	url[0] = 'X';
	cr_expect_str_eq(to.name, "Org");
	cr_expect_str_eq(to.webhook_url, "http://x/");
	cr_expect_null(to.webhook_disabled_reason);
	zk_trig_org_done(&to);
	cr_expect_null(to.name);
	zk_trig_org_done(&to);
}

Test(trig_model, pushes_only_with_an_enabled_webhook)
{
	struct zk_trig_org o = { .webhook_enabled = true };

	cr_expect_not(zk_trig_org_pushes(&o));
	o.webhook_url = (char[]){ "http://x/" };
	cr_expect(zk_trig_org_pushes(&o));
	o.webhook_disabled_reason = (char[]){ "gone" };
	cr_expect_not(zk_trig_org_pushes(&o));
	o.webhook_disabled_reason = NULL;
	o.webhook_enabled = false;
	cr_expect_not(zk_trig_org_pushes(&o));
}

Test(trig_model, event_time_stays_in_the_millisecond_of_the_id)
{
	zk_uuid id;

	cr_assert(zk_uuid_parse(ZK_STR("0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b"), &id));
	int64_t ms = zk_trig_id_ms(&id);

	cr_expect_eq(ms, 0x0199f3c05a7e);
	cr_expect_eq(zk_trig_event_time(&id, ms * 1000), ms * 1000);
	cr_expect_eq(zk_trig_event_time(&id, ms * 1000 + 999), ms * 1000 + 999);
	cr_expect_eq(zk_trig_event_time(&id, ms * 1000 + 1000), ms * 1000 + 999);
	cr_expect_eq(zk_trig_event_time(&id, ms * 1000 - 1), ms * 1000);
	cr_expect_eq(zk_trig_event_time(&id, 0), ms * 1000);
}
