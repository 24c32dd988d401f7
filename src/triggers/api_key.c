/* Keys: generate, show, rotate (specs/triggers.md §5.1–5.3, §3.4).
 * Layer: triggers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "triggers/api_input.h"

#include "base/ban.h"

#define MAX_NAME 255

/* One organization or key being made; outlives the request's body. */
struct making {
	struct zk_trig_server *s;
	struct zk_trig_call *c; /* NULL for zk_trig_server_make_org */
	union {
		struct zk_trig_create create;
		struct zk_trig_rotate rotate;
	} op;
	struct zk_trig_org org;
	char text[ZK_TRIG_KEY_TEXT];
	int64_t now_us;
	void (*done)(void *ctx, const char *key, const char *org_id);
	void *ctx;
};

static void making_free(struct making *m)
{
	zk_wipe(m->text, sizeof(m->text));
	zk_trig_org_done(&m->org);
	free(m);
}

static void put_member(struct zk_buf *b, const char *name, zk_str value)
{
	zk_buf_printf(b, ",\"%s\":", name);
	zk_buf_json_str(b, value);
}

static void fail_hashing(struct zk_trig_call *c)
{
	zk_trig_fail(c,
	             &(struct zk_trig_problem){
	                     .status = 503,
	                     .code = "system_capacity_exceeded",
	                     .error = "System capacity exceeded, please try again later",
	                     .members = ZK_STR(",\"retry_after_seconds\":1"),
	                     .extra = ZK_STR("Retry-After: 1\r\n") },
	             "too many keys are being made");
}

/* ---- generate ------------------------------------------------------------------------- */

static void reply_created(struct making *m)
{
	struct zk_trig_call *c = m->c;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init_secret(&b, 16384);
	zk_buf_lit(&b, "{\"api_key\":");
	zk_buf_json_str(&b, zk_str_of(m->text));
	zk_buf_lit(&b, ",\"organization_id\":");
	zk_trig_uuid_json(&b, &m->org.id);
	put_member(&b, "organization_name", zk_str_of(m->org.name));
	put_member(&b, "tier", zk_str_of(zk_trig_tier_name(m->org.tier)));
	zk_buf_lit(&b, ",\"rate_limit_per_minute\":");
	zk_buf_u64(&b, zk_trig_limit_of(m->s, &m->org));
	zk_buf_lit(&b, ",\"created_at\":");
	zk_trig_time_json(&b, m->org.created_us);
	put_member(&b, "key_id", zk_str_of(m->op.create.key.key_id));
	zk_buf_lit(
	        &b,
	        ",\"message\":\"Save this API key securely - it won't be shown again\","
	        "\"warning\":\"Store this API key securely. It will not be shown "
	        "again.\"}");
	zk_trig_reply(c, 201, ZK_STR_NULL, zk_buf_str(&b));
}

static void on_created(struct zk_trig_op *op)
{
	struct making *m = op->ctx;
	char id[ZK_UUID_TEXT + 1];

	zk_uuid_format(&m->org.id, id);
	id[ZK_UUID_TEXT] = 0;
	if (m->c && op->code < 0)
		zk_trig_fail_store(m->c, op);
	else if (m->c)
		reply_created(m);
	else
		m->done(m->ctx, op->code < 0 ? NULL : m->text, id);
	making_free(m);
}

static void on_key_made(void *ctx, struct zk_trig_key_made *made)
{
	struct making *m = ctx;

	if (made->code < 0) {
		if (m->c)
			fail_hashing(m->c);
		else
			m->done(m->ctx, NULL, NULL);
		making_free(m);
		return;
	}
	memcpy(m->text, made->text, sizeof(m->text));
	m->op.create = (struct zk_trig_create){ .op = { .done = on_created, .ctx = m },
		                                .org = m->org,
		                                .key = made->row };
	m->s->repo->ops->create(m->s->repo, &m->op.create);
}

static struct making *making_new(struct zk_trig_server *s, zk_str name,
                                 enum zk_trig_tier tier)
{
	struct making *m = zk_new0(struct making);

	m->s = s;
	m->now_us = zk_wall_us();
	m->org.id = zk_uuid_v7();
	m->org.name = zk_strndup(name.p, name.n);
	m->org.tier = tier;
	m->org.rate_limit = -1;
	m->org.webhook_enabled = true;
	m->org.created_us = m->org.updated_us = m->now_us;
	return m;
}

void zk_trig_server_make_org(struct zk_trig_server *s, const char *name,
                             enum zk_trig_tier tier,
                             void (*done)(void *ctx, const char *key, const char *org_id),
                             void *ctx)
{
	struct making *m = making_new(s, zk_str_of(name), tier);

	m->done = done;
	m->ctx = ctx;
	if (!zk_trig_keys_make(s->keys, &m->org.id, on_key_made, m)) {
		done(ctx, NULL, NULL);
		making_free(m);
	}
}

/* The admin token, when one is set (§3.4); answers 401. */
static bool is_admin(struct zk_trig_call *c)
{
	zk_str want = c->s->conf.admin_token;
	zk_str auth = zk_httpd_header(c->req, ZK_STR("Authorization"));
	uint8_t a[32], b[32];

	if (!want.n)
		return true;
	if (auth.n > 7 && zk_str_starts_nocase(auth, ZK_STR("Bearer "))) {
		/* Digests have one length, so the comparison tells nothing about the token's. */
		zk_sha256(zk_str_trim(zk_str_from(auth, 7)), a);
		zk_sha256(want, b);
		if (zk_equal_ct(a, b, sizeof(a)))
			return true;
	}
	zk_trig_fail(
	        c,
	        &(struct zk_trig_problem){
	                .status = 401,
	                .code = "unauthorized",
	                .error = "Invalid API key",
	                .extra = ZK_STR("WWW-Authenticate: ApiKey\r\n") },
	        "making keys needs the admin token as 'Authorization: Bearer TOKEN'");
	return false;
}

static bool keygen_take(struct zk_trig_call *c)
{
	uint8_t ip[16];
	char members[160], extra[48];

	zk_trig_client(c, ip);
	struct zk_trig_verdict v = zk_trig_limit_take(
	        c->s->keygen_limit, ip, c->s->conf.keygen_per_minute, 1, zk_mono_ms());

	if (v.ok)
		return true;
	long long wait_s = (long long)ZK_MAX((v.reset_ms + 999) / 1000, 1);
	int n = snprintf(members, sizeof(members),
	                 ",\"limit\":%llu,\"remaining\":0,\"window\":\"1 minute\","
	                 "\"retry_after\":%lld",
	                 (unsigned long long)v.limit, wait_s);
	int e = snprintf(extra, sizeof(extra), "Retry-After: %lld\r\n", wait_s);

	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 429,
	                                        .code = "rate_limit_exceeded",
	                                        .error = "Rate limit exceeded",
	                                        .members = zk_str_n(members, (size_t)n),
	                                        .extra = zk_str_n(extra, (size_t)e) },
	             "too many organizations were made from this address in a minute");
	return false;
}

/* The name and tier of the request; false when 422 was answered. */
static bool read_generate(struct zk_trig_call *c, struct zk_buf *text, zk_str *name,
                          enum zk_trig_tier *tier)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("organization_name") },
		                   { .name = ZK_STR_INIT("org_name") },
		                   { .name = ZK_STR_INIT("tier") } };
	struct zk_trig_invalid bad = { 0 };
	zk_str t;

	if (!zk_trig_body_object(c, false, want, ZK_ARRAY_LEN(want)))
		return false;
	const struct zk_jval *n =
	        want[0].val.type != ZK_J_NONE ? &want[0].val : &want[1].val;

	if (n->type == ZK_J_NONE)
		zk_trig_invalid_add(&bad, "organization_name", "is required");
	else if (n->type != ZK_J_STRING || !zk_trig_text_of(n->raw, text, name) ||
	         !zk_trig_text_ok(*name, MAX_NAME))
		zk_trig_invalid_add(&bad, "organization_name",
		                    "must be text of 1 to 255 characters without control "
		                    "characters");
	*tier = ZK_TRIG_FREE;
	if (want[2].val.type != ZK_J_NONE &&
	    (want[2].val.type != ZK_J_STRING || !zk_jstr_plain(want[2].val.raw, &t) ||
	     !zk_trig_tier_parse(t, tier)))
		zk_trig_invalid_add(&bad, "tier",
		                    "must be free, pro, business or enterprise");
	if (!bad.n)
		return true;
	zk_trig_invalid_reply(c, &bad);
	return false;
}

void zk_trig_api_key_generate(struct zk_trig_call *c)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str name = ZK_STR_NULL;
	enum zk_trig_tier tier;

	if (!is_admin(c) || !keygen_take(c) || !read_generate(c, &text, &name, &tier))
		return;
	struct making *m = making_new(c->s, name, tier);

	m->c = c;
	if (!zk_trig_keys_make(c->s->keys, &m->org.id, on_key_made, m)) {
		fail_hashing(c);
		making_free(m);
	}
}

/* ---- show ----------------------------------------------------------------------------- */

void zk_trig_api_key_info(struct zk_trig_call *c)
{
	const struct zk_trig_org *org = &c->caller->org;
	struct zk_buf *b = &c->s->body;

	zk_buf_clear(b);
	zk_buf_lit(b, "{\"organization_id\":");
	zk_trig_uuid_json(b, &org->id);
	put_member(b, "organization_name", zk_str_of(org->name));
	put_member(b, "tier", zk_str_of(zk_trig_tier_name(org->tier)));
	zk_buf_lit(b, ",\"rate_limit_per_minute\":");
	zk_buf_u64(b, zk_trig_limit_of(c->s, org));
	zk_buf_lit(b, ",\"webhook_url\":");
	if (org->webhook_url)
		zk_buf_json_str(b, zk_str_of(org->webhook_url));
	else
		zk_buf_lit(b, "null");
	zk_buf_lit(b, ",\"created_at\":");
	zk_trig_time_json(b, org->created_us);
	zk_buf_lit(b, ",\"updated_at\":");
	zk_trig_time_json(b, org->updated_us);
	put_member(b, "key_id", zk_str_of(c->caller->key_id));
	zk_buf_lit(b, ",\"note\":\"API key is not displayed for security reasons. Use "
	              "/api/keys/rotate to generate a new one.\"}");
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
}

/* ---- rotate --------------------------------------------------------------------------- */

static void on_rotated(struct zk_trig_op *op)
{
	struct making *m = op->ctx;
	struct zk_trig_call *c = m->c;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	if (op->code < 0) {
		zk_trig_fail_store(c, op);
		making_free(m);
		return;
	}
	/* The old key fails from this moment on (§3.3). */
	zk_trig_org_changed(c->s, &m->org.id, false);
	zk_buf_init_secret(&b, 16384);
	zk_buf_lit(&b, "{\"api_key\":");
	zk_buf_json_str(&b, zk_str_of(m->text));
	zk_buf_lit(&b, ",\"organization_id\":");
	zk_trig_uuid_json(&b, &m->org.id);
	put_member(&b, "organization_name", zk_str_of(m->org.name));
	put_member(&b, "key_id", zk_str_of(m->op.rotate.key.key_id));
	zk_buf_lit(&b, ",\"rotated_at\":");
	zk_trig_time_json(&b, m->now_us);
	zk_buf_lit(&b, ",\"old_key_expires_at\":");
	zk_trig_time_json(&b, m->op.rotate.old_expires_us);
	zk_buf_lit(
	        &b,
	        ",\"message\":\"API key rotated successfully - update your applications "
	        "immediately\",\"warning\":\"");
	if (m->op.rotate.old_expires_us <= m->now_us)
		zk_buf_lit(&b, "Your old API key has been invalidated. ");
	else
		zk_buf_lit(&b, "Your old API key stops working at old_key_expires_at. ");
	zk_buf_lit(&b, "Update your applications with this new key.\"}");
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&b));
	making_free(m);
}

static void on_new_key(void *ctx, struct zk_trig_key_made *made)
{
	struct making *m = ctx;

	if (made->code < 0) {
		fail_hashing(m->c);
		making_free(m);
		return;
	}
	int64_t grace_us = m->op.rotate.old_expires_us; /* parked here by the request */

	memcpy(m->text, made->text, sizeof(m->text));
	m->now_us = zk_wall_us();
	m->op.rotate = (struct zk_trig_rotate){ .op = { .done = on_rotated, .ctx = m },
		                                .key = made->row,
		                                .old_expires_us = m->now_us + grace_us };
	m->s->repo->ops->rotate(m->s->repo, &m->op.rotate);
}

void zk_trig_api_key_rotate(struct zk_trig_call *c)
{
	int64_t grace_us;

	if (!zk_trig_read_grace(c, /* default, seconds */ 0, &grace_us))
		return;
	struct making *m = zk_new0(struct making);

	m->s = c->s;
	m->c = c;
	zk_trig_org_copy(&m->org, &c->caller->org);
	m->op.rotate.old_expires_us = grace_us;
	if (!zk_trig_keys_make(c->s->keys, &m->org.id, on_new_key, m)) {
		fail_hashing(c);
		making_free(m);
	}
}
