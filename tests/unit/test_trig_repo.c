/* Operations of the store: events, duplicates, keys, acknowledgement, outcomes, replay, webhooks
 * (specs/triggers.md §1.1, §5, §6, §11.1). Layer: tests. */
#include <criterion/criterion.h>
#include <sys/stat.h>

#include "trigrepo.h"

#include "base/ban.h"

static struct rig g;
static zk_uuid org;
static struct rig_one one;

static void start(void)
{
	rig_start(&g);
	org = rig_org(&g, NULL);
}

static void stop(void)
{
	rig_done(&g);
}

TestSuite(trig_repo, .init = start, .fini = stop);

static bool same(const zk_uuid *a, const zk_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- events ---- */

Test(trig_repo, an_event_comes_back_as_it_was_sent)
{
	zk_uuid id = rig_add(
	        &g, &org,
	        &(struct rig_event){ .type = "a.b",
	                             .dedup = "d-1",
	                             .payload = "{\"n\":12345678901234567890,"
	                                        "\"x\":1.10,\"x\":\"\\u0000\"}" });

	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_str_eq(one.row.type, "a.b");
	cr_expect_str_eq(one.row.dedup, "d-1");
	cr_expect_str_eq(one.row.payload,
	                 "{\"n\":12345678901234567890,\"x\":1.10,\"x\":\"\\u0000\"}");
	cr_expect_eq(one.row.row.status, ZK_TRIG_PENDING);
	cr_expect_eq(one.row.row.attempts, 0);
	cr_expect_eq(one.row.row.next_attempt_us, 0, "no plan without a webhook");
	cr_expect_eq(one.row.row.updated_us, one.row.row.created_us);
	cr_expect_eq(one.row.row.response_status, 0);
	cr_expect_eq(one.n_attempts, 0u);
}

Test(trig_repo, due_and_delivered_events)
{
	zk_uuid due = rig_add(&g, &org, &(struct rig_event){ .due = true });
	zk_uuid off = rig_add(&g, &org, &(struct rig_event){ .delivered = true });

	cr_assert(rig_get(&g, &org, &due, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_PENDING);
	cr_expect_eq(one.row.row.next_attempt_us, one.row.row.created_us);
	cr_assert(rig_get(&g, &org, &off, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_DELIVERED);
	cr_expect_eq(one.row.row.response_status, 200);
	cr_expect_eq(one.row.row.delivered_us, one.row.row.created_us);
	cr_expect_eq(one.row.row.acknowledged_us, 0);
}

Test(trig_repo, a_duplicate_names_the_first_event)
{
	struct zk_trig_ingest first, second;

	rig_fill(&first, &org, &(struct rig_event){ .dedup = "x" });
	cr_assert(rig_ingest(&g, &first));
	cr_expect_not(first.duplicate);
	rig_fill(&second, &org, &(struct rig_event){ .dedup = "x", .payload = "2" });
	cr_assert(rig_ingest(&g, &second));
	cr_expect_eq(second.op.code, 0);
	cr_assert(second.duplicate);
	cr_expect(same(&second.first_id, &first.id));
	cr_expect_eq(second.first_created_us, first.created_us);
	cr_expect_not(rig_get(&g, &org, &second.id, &one), "nothing was stored");
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 1u);
}

Test(trig_repo, dedup_ids_of_two_organizations_do_not_meet)
{
	zk_uuid other = rig_org(&g, NULL);

	(void)rig_add(&g, &org, &(struct rig_event){ .dedup = "x" });
	(void)rig_add(&g, &other, &(struct rig_event){ .dedup = "x" });
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 1u);
	cr_expect_eq(rig_count(&g, &other, ZK_TRIG_ANY), 1u);
}

Test(trig_repo, a_dedup_id_is_free_again_after_its_window)
{
	struct zk_trig_ingest in;
	int64_t t = zk_wall_us() - 10 * DAY_US;

	(void)rig_add(&g, &org, &(struct rig_event){ .dedup = "x", .at_us = t });
	rig_fill(&in, &org,
	         &(struct rig_event){ .dedup = "x", .at_us = t + DAY_US - 1000 });
	cr_assert(rig_ingest(&g, &in));
	cr_expect(in.duplicate, "inside the window");
	zk_uuid later = rig_add(&g, &org,
	                        &(struct rig_event){ .dedup = "x", .at_us = t + DAY_US });

	rig_fill(&in, &org,
	         &(struct rig_event){ .dedup = "x", .at_us = t + DAY_US + 5000 });
	cr_assert(rig_ingest(&g, &in));
	cr_expect(in.duplicate);
	cr_expect(same(&in.first_id, &later), "the new holder of the id");
}

Test(trig_repo, a_batch_is_stored_together_and_the_first_of_equals_wins)
{
	struct zk_trig_ingest in[4];

	rig_fill(&in[0], &org, &(struct rig_event){ .dedup = "a" });
	rig_fill(&in[1], &org, &(struct rig_event){ .dedup = "b" });
	rig_fill(&in[2], &org, &(struct rig_event){ .dedup = "a" });
	rig_fill(&in[3], &org, &(struct rig_event){ .dedup = NULL });
	for (size_t i = 0; i < 3; i++)
		in[i].next = &in[i + 1];
	cr_assert(rig_ingest(&g, &in[0]));
	cr_expect_not(in[0].duplicate);
	cr_expect_not(in[1].duplicate);
	cr_expect(in[2].duplicate);
	cr_expect(same(&in[2].first_id, &in[0].id));
	cr_expect_eq(in[2].first_created_us, in[0].created_us);
	cr_expect_not(in[3].duplicate);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 3u);
}

/* Every fourth event of the long batch has no dedup_id; the others have one of nine. */
static bool has_dedup(unsigned i)
{
	return i % 4 != 3;
}

/* The event of the batch that took the dedup_id of number `i` before it. */
static const struct zk_trig_ingest *taker(const struct zk_trig_ingest *in, unsigned i)
{
	for (unsigned k = i % 9; has_dedup(i) && k < i; k += 9) {
		if (has_dedup(k))
			return &in[k];
	}
	return NULL;
}

/* Long enough to fill statements of every number of rows (repo_sqlite_ingest.c), with duplicates of
 * a stored event ("d0") and of others of the batch. */
Test(trig_repo, each_event_of_a_long_batch_gets_its_own_verdict)
{
	enum { N = 27 };
	struct zk_trig_ingest in[N];
	char dedup[N][8];
	zk_uuid stored = rig_add(&g, &org, &(struct rig_event){ .dedup = "d0" });
	size_t fresh = 0;

	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(dedup[i], sizeof(dedup[i]), "d%u", i % 9);
		rig_fill(&in[i], &org,
		         &(struct rig_event){ .dedup = has_dedup(i) ? dedup[i] : NULL,
		                              .type = i % 2 ? "odd" : "even" });
		in[i].next = i + 1 < N ? &in[i + 1] : NULL;
		in[i].due = i % 5 == 0;
		in[i].delivered = i % 7 == 6;
	}
	cr_assert(rig_ingest(&g, &in[0]));
	cr_assert_eq(in[0].op.code, 0);
	for (unsigned i = 0; i < N; i++) {
		const struct zk_trig_ingest *first = taker(in, i);
		bool old = has_dedup(i) && i % 9 == 0;

		cr_expect_eq(in[i].duplicate, old || first, "event %u", i);
		cr_expect_neq(rig_get(&g, &org, &in[i].id, &one), in[i].duplicate,
		              "event %u", i);
		if (old)
			cr_expect(same(&in[i].first_id, &stored), "event %u", i);
		else if (first)
			cr_expect(same(&in[i].first_id, &first->id) &&
			                  in[i].first_created_us == first->created_us,
			          "event %u", i);
		fresh += !in[i].duplicate;
	}
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), fresh + 1);
}

Test(trig_repo, created_at_is_kept_inside_the_millisecond_of_the_id)
{
	struct zk_trig_ingest in;

	rig_fill(&in, &org, &(struct rig_event){ 0 });
	in.created_us += 3600 * (int64_t)1000000;
	cr_assert(rig_ingest(&g, &in));
	cr_expect_eq(in.created_us / 1000, zk_trig_id_ms(&in.id));
	cr_assert(rig_get(&g, &org, &in.id, &one));
	cr_expect_eq(one.row.row.created_us, in.created_us);
}

Test(trig_repo, the_queue_is_bounded_by_events_and_bytes)
{
	enum { N = 40 };
	struct zk_trig_ingest in[N];
	bool flags[N] = { 0 };
	unsigned taken = 0;

	rig_close(&g);
	g.conf.queue_events = 10;
	cr_assert_eq(rig_open(&g), 0);
	for (size_t i = 0; i < N; i++) {
		rig_fill(&in[i], &org, &(struct rig_event){ 0 });
		in[i].op.done = rig_set_flag;
		in[i].op.ctx = &flags[i];
		taken += g.repo->ops->ingest(g.repo, &in[i]);
	}
	cr_expect_eq(taken, 10u);
	cr_expect_eq(g.repo->ops->health(g.repo)->queue_events, 10u);
	for (size_t i = 0; i < 10; i++)
		zk_loop_until(g.loop, &flags[i]);
	cr_expect_eq(g.repo->ops->health(g.repo)->queue_events, 0u);
	cr_expect_eq(g.repo->ops->health(g.repo)->queue_bytes, 0u);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 10u);

	rig_close(&g);
	g.conf.queue_bytes = 1000;
	cr_assert_eq(rig_open(&g), 0);
	rig_fill(&in[0], &org, &(struct rig_event){ 0 });
	static char big[2000];

	memset(big, '1', sizeof(big));
	in[0].payload = zk_str_n(big, sizeof(big));
	cr_expect_not(rig_ingest(&g, &in[0]));
}

/* ---- acknowledgement ---- */

Test(trig_repo, acknowledging_is_idempotent_with_the_first_time)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });
	int64_t t = zk_wall_us();
	struct zk_trig_ack_one a = rig_ack(&g, &org, &id, t);

	cr_expect_eq(a.result, ZK_TRIG_ACK_NEW);
	cr_expect_eq(a.acknowledged_us, t);
	a = rig_ack(&g, &org, &id, t + 1000);
	cr_expect_eq(a.result, ZK_TRIG_ACK_AGAIN);
	cr_expect_eq(a.acknowledged_us, t);
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_DELIVERED);
	cr_expect_eq(one.row.row.acknowledged_us, t);
	cr_expect_eq(one.row.row.next_attempt_us, 0);
	cr_expect_eq(one.row.row.updated_us, t);
}

Test(trig_repo, acknowledging_what_the_webhook_delivered)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });
	int64_t t = zk_wall_us();

	cr_assert(rig_outcome(&g, &org, &id, 1, ZK_TRIG_DELIVERED, 0));
	struct zk_trig_ack_one a = rig_ack(&g, &org, &id, t);

	cr_expect_eq(a.result, ZK_TRIG_ACK_AGAIN);
	cr_expect_eq(a.acknowledged_us, t);
	cr_expect_eq(rig_ack(&g, &org, &id, t + 5).acknowledged_us, t);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_ACKNOWLEDGED), 1u);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_DELIVERED), 1u);
}

Test(trig_repo, unknown_and_foreign_events_look_alike)
{
	zk_uuid other = rig_org(&g, NULL), unknown = zk_uuid_v7();
	zk_uuid id = rig_add(&g, &other, &(struct rig_event){ .due = true });
	struct zk_trig_replay rp = {
		.org = org, .one = true, .id = id, .now_us = zk_wall_us()
	};

	cr_expect_eq(rig_ack(&g, &org, &id, 5).result, ZK_TRIG_ACK_UNKNOWN);
	cr_expect_eq(rig_ack(&g, &org, &unknown, 5).result, ZK_TRIG_ACK_UNKNOWN);
	cr_expect_not(rig_get(&g, &org, &id, &one));
	cr_expect_not(rig_get(&g, &org, &unknown, &one));
	cr_expect_not(rig_outcome(&g, &org, &id, 1, ZK_TRIG_FAILED, 0));
	RIG_RUN(&g, &rp, replay);
	cr_expect_eq(rp.scheduled, 0u);
	cr_assert(rig_get(&g, &other, &id, &one), "the owner still sees it untouched");
	cr_expect_eq(one.row.row.status, ZK_TRIG_PENDING);
	cr_expect_eq(one.n_attempts, 0u);
}

Test(trig_repo, a_long_acknowledgement_goes_in_steps)
{
	enum { N = 1200 };
	static struct zk_trig_ack_one ids[N];
	struct zk_trig_ack op = { .org = org, .now_us = 77, .ids = ids, .n = N };

	for (size_t i = 0; i < N; i++)
		ids[i].id = i % 3 ? rig_add(&g, &org, &(struct rig_event){ 0 })
		                  : zk_uuid_v7();
	RIG_RUN(&g, &op, ack);
	cr_assert_eq(op.op.code, 0);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(ids[i].result, i % 3 ? ZK_TRIG_ACK_NEW : ZK_TRIG_ACK_UNKNOWN,
		             "%zu", i);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_ACKNOWLEDGED), N - N / 3);
}

/* ---- outcomes ---- */

Test(trig_repo, outcomes_move_the_row_and_write_history)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });
	int64_t next = zk_wall_us() + 5000000;

	cr_expect(rig_outcome(&g, &org, &id, 1, ZK_TRIG_RETRYING, next));
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_RETRYING);
	cr_expect_eq(one.row.row.attempts, 1);
	cr_expect_eq(one.row.row.next_attempt_us, next);
	cr_expect_eq(one.row.row.response_status, 500);
	cr_expect_str_eq(one.row.error, "HTTP 500");
	cr_expect(rig_outcome(&g, &org, &id, 2, ZK_TRIG_DELIVERED, 0));
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_DELIVERED);
	cr_expect_eq(one.row.row.attempts, 2);
	cr_expect_eq(one.row.row.next_attempt_us, 0);
	cr_expect_neq(one.row.row.delivered_us, 0);
	cr_expect_str_eq(one.row.error, "");
	cr_assert_eq(one.n_attempts, 2u);
	cr_expect_eq(one.attempts[0].attempt, 1);
	cr_expect_eq(one.attempts[0].response_status, 500);
	cr_expect_str_eq(one.errors[0], "HTTP 500");
	cr_expect_eq(one.attempts[1].attempt, 2);
	cr_expect_eq(one.attempts[1].response_status, 200);
	cr_expect_str_eq(one.errors[1], "");
	cr_expect_str_eq(one.bodies[1], "body");
	cr_expect_float_eq(one.attempts[1].duration_ms, 1.5, 1e-9);
}

Test(trig_repo, an_acknowledgement_during_the_attempt_wins)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });

	(void)rig_ack(&g, &org, &id, 99);
	cr_expect_not(rig_outcome(&g, &org, &id, 1, ZK_TRIG_RETRYING, 12345));
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_DELIVERED);
	cr_expect_eq(one.row.row.acknowledged_us, 99);
	cr_expect_eq(one.row.row.next_attempt_us, 0);
	cr_expect_eq(one.n_attempts, 1u, "the attempt was made all the same");
}

Test(trig_repo, history_shows_the_latest_twenty)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });

	for (int i = 1; i <= 25; i++)
		cr_assert(rig_outcome(&g, &org, &id, i, ZK_TRIG_RETRYING, 1));
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_assert_eq(one.n_attempts, 20u);
	cr_expect_eq(one.attempts[0].attempt, 6);
	cr_expect_eq(one.attempts[19].attempt, 25);
}

/* ---- replay ---- */

Test(trig_repo, replay_of_one_event_keeps_its_history)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });
	struct zk_trig_replay rp = { .org = org, .one = true, .id = id, .now_us = 4711 };

	cr_assert(rig_outcome(&g, &org, &id, 1, ZK_TRIG_FAILED, 0));
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_FAILED), 1u);
	RIG_RUN(&g, &rp, replay);
	cr_expect_eq(rp.scheduled, 1u);
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_PENDING);
	cr_expect_eq(one.row.row.attempts, 0);
	cr_expect_eq(one.row.row.next_attempt_us, 4711);
	cr_expect_eq(one.row.row.response_status, 0);
	cr_assert(rig_outcome(&g, &org, &id, 1, ZK_TRIG_DELIVERED, 0));
	cr_assert(rig_get(&g, &org, &id, &one));
	cr_assert_eq(one.n_attempts, 2u);
	cr_expect_eq(one.attempts[1].attempt, 2, "history counts on");
	cr_expect_eq(one.row.row.attempts, 1);
}

Test(trig_repo, replay_by_filter_type_and_limit)
{
	enum { N = 1300 };
	struct zk_trig_replay rp = { .org = org,
		                     .filter = ZK_TRIG_ONLY_FAILED,
		                     .type = ZK_STR("user.*"),
		                     .now_us = 1,
		                     .limit = 700 };

	for (int i = 0; i < N; i++) {
		zk_uuid id =
		        rig_add(&g, &org,
		                &(struct rig_event){ .due = true,
		                                     .type = i % 10 ? "user.x" : "z" });

		cr_assert(rig_outcome(&g, &org, &id, 1, ZK_TRIG_FAILED, 0));
	}
	RIG_RUN(&g, &rp, replay);
	cr_expect_eq(rp.scheduled, 700u);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_FAILED), N - 700u);
	rp.limit = 10000;
	RIG_RUN(&g, &rp, replay);
	cr_expect_eq(rp.scheduled, N - N / 10 - 700u);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_FAILED), N / 10);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ONLY_PENDING), N - N / 10);
}

/* ---- keys and organizations ---- */

static int find_key(const char *key_id, struct zk_trig_find_key *f)
{
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->key_id, sizeof(f->key_id), "%s", key_id);
	RIG_RUN(&g, f, find_key);
	return f->op.code;
}

Test(trig_repo, keys_are_found_with_their_organization)
{
	char id[ZK_TRIG_KEY_ID + 1];
	zk_uuid o = rig_org_tier(&g, "http://h/", ZK_TRIG_BUSINESS, id);
	struct zk_trig_find_key f;

	cr_assert_eq(find_key(id, &f), 0, "%s", f.op.reason);
	cr_expect(same(&f.org.id, &o));
	cr_expect(same(&f.key.org, &o));
	cr_expect_str_eq(f.key.key_id, id);
	cr_expect_str_eq(f.key.hash, "$argon2id$test");
	cr_expect_not(f.key.has_mac);
	cr_expect_eq(f.key.expires_us, 0);
	cr_expect_str_eq(f.org.name, "Org");
	cr_expect_str_eq(f.org.webhook_url, "http://h/");
	cr_expect_eq(f.org.tier, ZK_TRIG_BUSINESS);
	cr_expect_eq(f.org.rate_limit, -1);
	zk_trig_org_done(&f.org);
	cr_expect_eq(find_key("0000000000000000", &f), -ZK_E_NOT_FOUND);
	zk_trig_org_done(&f.org);
}

Test(trig_repo, key_updates)
{
	char id[ZK_TRIG_KEY_ID + 1];
	struct zk_trig_key_update u = { .set_mac = true,
		                        .set_used = true,
		                        .used_us = 5000 };
	struct zk_trig_find_key f;

	(void)rig_org_tier(&g, NULL, ZK_TRIG_FREE, id);
	memcpy(u.key_id, id, sizeof(id));
	memset(u.mac, 7, sizeof(u.mac));
	RIG_RUN(&g, &u, key_update);
	cr_assert_eq(u.op.code, 0);
	u = (struct zk_trig_key_update){
		.set_hash = true, .set_used = true, .used_us = 4000, .hash = "new"
	};
	memcpy(u.key_id, id, sizeof(id));
	RIG_RUN(&g, &u, key_update);
	cr_assert_eq(find_key(id, &f), 0);
	cr_expect(f.key.has_mac);
	cr_expect_eq(f.key.mac[31], 7);
	cr_expect_str_eq(f.key.hash, "new");
	cr_expect_eq(f.key.last_used_us, 5000, "never goes back");
	zk_trig_org_done(&f.org);
	memcpy(u.key_id, "ffffffffffffffff", sizeof(id));
	RIG_RUN(&g, &u, key_update);
	cr_expect_eq(u.op.code, -ZK_E_NOT_FOUND);
	cr_expect(g.repo->ops->health(g.repo)->writable, "not found is no store failure");
}

static unsigned changed;
static void on_changed(void *ctx, const zk_uuid *o)
{
	cr_expect(same(o, ctx));
	changed++;
}

static struct zk_trig_rotate rotation(const zk_uuid *o, const char *key_id,
                                      int64_t end_us)
{
	struct zk_trig_rotate r = { .key = { .org = *o, .created_us = 1 },
		                    .old_expires_us = end_us };

	(void)snprintf(r.key.key_id, sizeof(r.key.key_id), "%s", key_id);
	(void)snprintf(r.key.hash, sizeof(r.key.hash), "h");
	return r;
}

Test(trig_repo, rotation_ends_all_older_keys_but_lengthens_none)
{
	char id[ZK_TRIG_KEY_ID + 1];
	zk_uuid o = rig_org_tier(&g, NULL, ZK_TRIG_FREE, id);
	struct zk_trig_rotate r = rotation(&o, "aaaaaaaaaaaaaaaa", 1000);
	struct zk_trig_find_key f;

	changed = 0;
	g.repo->on_org_changed = on_changed;
	g.repo->ctx = &o;
	RIG_RUN(&g, &r, rotate);
	cr_assert_eq(r.op.code, 0);
	cr_expect_eq(changed, 1u);
	r = rotation(&o, "bbbbbbbbbbbbbbbb", 5000);
	RIG_RUN(&g, &r, rotate);
	cr_assert_eq(find_key(id, &f), 0);
	cr_expect_eq(f.key.expires_us, 1000);
	zk_trig_org_done(&f.org);
	cr_assert_eq(find_key("aaaaaaaaaaaaaaaa", &f), 0);
	cr_expect_eq(f.key.expires_us, 5000);
	zk_trig_org_done(&f.org);
	cr_assert_eq(find_key("bbbbbbbbbbbbbbbb", &f), 0);
	cr_expect_eq(f.key.expires_us, 0);
	zk_trig_org_done(&f.org);
	zk_uuid nobody = zk_uuid_v7();

	r = rotation(&nobody, "cccccccccccccccc", 0);
	RIG_RUN(&g, &r, rotate);
	cr_expect_eq(r.op.code, -ZK_E_NOT_FOUND);
	r = rotation(&o, "aaaaaaaaaaaaaaaa", 0);
	RIG_RUN(&g, &r, rotate);
	cr_expect_eq(r.op.code, -ZK_E_CONFLICT, "a key id is never taken twice");
	cr_assert_eq(find_key("bbbbbbbbbbbbbbbb", &f), 0);
	cr_expect_eq(f.key.expires_us, 0, "the refused rotation ended nothing");
	zk_trig_org_done(&f.org);
}

/* ---- webhooks ---- */

static struct zk_trig_webhook webhook(unsigned set, const char *url)
{
	return (struct zk_trig_webhook){
		.org = org, .set = set, .url = url, .now_us = 100
	};
}

Test(trig_repo, first_configuration_makes_a_secret)
{
	struct zk_trig_webhook w = webhook(ZK_TRIG_SET_URL, "http://a/");

	RIG_RUN(&g, &w, webhook);
	cr_assert_eq(w.op.code, 0);
	cr_expect(w.first);
	cr_expect_eq(w.result.secret_version, 1);
	cr_expect_eq(w.result.old_secret_expires_us, 0);
	cr_expect_str_eq(w.result.webhook_url, "http://a/");
	cr_expect_eq(w.result.updated_us, 100);
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_URL, "http://b/");
	RIG_RUN(&g, &w, webhook);
	cr_expect_not(w.first);
	cr_expect_eq(w.result.secret_version, 1);
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_SECRET, NULL);
	w.old_secret_expires_us = 555;
	RIG_RUN(&g, &w, webhook);
	cr_expect_eq(w.result.secret_version, 2);
	cr_expect_eq(w.result.old_secret_expires_us, 555);
	cr_expect_str_eq(w.result.webhook_url, "http://b/", "other members stay");
	zk_trig_org_done(&w.result);
}

Test(trig_repo, flags_reason_and_removal)
{
	struct zk_trig_webhook w = webhook(
	        ZK_TRIG_SET_URL | ZK_TRIG_SET_ENABLED | ZK_TRIG_SET_ORDERED, "http://a/");

	w.enabled = w.ordered = true;
	RIG_RUN(&g, &w, webhook);
	cr_expect(w.result.webhook_ordered);
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_REASON | ZK_TRIG_SET_UNPLAN, NULL);
	w.reason = "gone";
	RIG_RUN(&g, &w, webhook);
	cr_expect_str_eq(w.result.webhook_disabled_reason, "gone");
	cr_expect_str_eq(w.result.webhook_url, "http://a/");
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_URL, "http://c/");
	RIG_RUN(&g, &w, webhook);
	cr_expect_null(w.result.webhook_disabled_reason, "a new URL clears it");
	cr_expect(w.result.webhook_ordered);
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_URL | ZK_TRIG_SET_UNPLAN, NULL);
	RIG_RUN(&g, &w, webhook);
	cr_expect_null(w.result.webhook_url);
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_URL, "http://a/");
	w.org = zk_uuid_v7();
	RIG_RUN(&g, &w, webhook);
	cr_expect_eq(w.op.code, -ZK_E_NOT_FOUND);
	zk_trig_org_done(&w.result);
}

Test(trig_repo, backlog_and_unplan_move_every_row_in_steps)
{
	enum { N = 1203 };
	struct zk_trig_webhook w =
	        webhook(ZK_TRIG_SET_URL | ZK_TRIG_SET_BACKLOG, "http://a/");
	zk_uuid retry = rig_add(&g, &org, &(struct rig_event){ .due = true });

	cr_assert(rig_outcome(&g, &org, &retry, 1, ZK_TRIG_RETRYING, 5));
	for (int i = 0; i < N; i++)
		(void)rig_add(&g, &org, &(struct rig_event){ 0 });
	RIG_RUN(&g, &w, webhook);
	cr_assert_eq(w.op.code, 0);
	cr_expect_eq(w.planned, (uint64_t)N, "the retrying row has its plan");
	zk_trig_org_done(&w.result);
	w = webhook(ZK_TRIG_SET_URL | ZK_TRIG_SET_UNPLAN, NULL);
	RIG_RUN(&g, &w, webhook);
	zk_trig_org_done(&w.result);
	cr_assert(rig_get(&g, &org, &retry, &one));
	cr_expect_eq(one.row.row.status, ZK_TRIG_RETRYING);
	cr_expect_eq(one.row.row.next_attempt_us, 0);
	w = webhook(ZK_TRIG_SET_URL | ZK_TRIG_SET_BACKLOG, "http://a/");
	RIG_RUN(&g, &w, webhook);
	cr_expect_eq(w.planned, N + 1u, "and gets a new one");
	zk_trig_org_done(&w.result);
	cr_assert(rig_get(&g, &org, &retry, &one));
	cr_expect_eq(one.row.row.next_attempt_us, 100);
}

/* ---- news and counts ---- */

static struct {
	unsigned calls, due;
} news;

static void on_events(void *ctx, const zk_uuid *o, bool due)
{
	(void)ctx;
	(void)o;
	news.calls++;
	news.due += due;
}

Test(trig_repo, news_come_once_per_batch_and_organization)
{
	zk_uuid other = rig_org(&g, NULL);
	struct zk_trig_ingest in[10];

	memset(&news, 0, sizeof(news));
	g.repo->on_events = on_events;
	for (size_t i = 0; i < 10; i++) {
		rig_fill(&in[i], i % 2 ? &other : &org,
		         &(struct rig_event){ .due = i == 9 });
		in[i].next = i < 9 ? &in[i + 1] : NULL;
	}
	cr_assert(rig_ingest(&g, &in[0]));
	(void)rig_count(&g, &org, ZK_TRIG_ANY); /* a turn of the loop */
	cr_expect_eq(news.calls, 2u);
	cr_expect_eq(news.due, 1u);
}

Test(trig_repo, count_of_pending_rows)
{
	struct zk_trig_count c = { .org = org };
	zk_uuid a = rig_add(&g, &org, &(struct rig_event){ 0 });
	zk_uuid b = rig_add(&g, &org, &(struct rig_event){ .due = true });

	(void)rig_add(&g, &org, &(struct rig_event){ .delivered = true });
	cr_assert(rig_outcome(&g, &org, &b, 1, ZK_TRIG_RETRYING, 1));
	RIG_RUN(&g, &c, count);
	cr_expect_eq(c.pending, 2u);
	(void)rig_ack(&g, &org, &a, 1);
	RIG_RUN(&g, &c, count);
	cr_expect_eq(c.pending, 1u);
}
