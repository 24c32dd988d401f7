/* From a line of input to an event that can be sent.
 * Layer: triggers. specs/triggers.md §5.5, §14.1. */
#include "triggers/draft.h"

#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "codec/jscan.h"

#include "base/ban.h"

#define MAX_NAME_CHARS 255
/* The server's limit is its own affair; this is what can be written on a stack. */
#define MAX_DEPTH ZK_JSCAN_DEPTH_MAX
/* "dedup_id":"…64 digits…", and the members of --type around it. */
#define ROOM (96 + 6 * (MAX_NAME_CHARS * 4))

static bool text_ok(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* C1 controls are C2 80 … C2 9F. */
		if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
			return false;
	}
	return s.n > 0 && zk_utf8_len(s) <= MAX_NAME_CHARS;
}

bool zk_trig_type_ok(zk_str type)
{
	return zk_utf8_valid(type) && text_ok(type);
}

static int fail_at(const struct zk_trig_draft_conf *conf, uint64_t number,
                   uint64_t offset, struct zk_error *err)
{
	return zk_err_where(err, "%s:%llu (byte %llu)",
	                    strcmp(conf->source, "-") == 0 ? "stdin" : conf->source,
	                    (unsigned long long)number, (unsigned long long)offset);
}

static int check_type(const struct zk_jval *v, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str type;

	zk_buf_init(&b, v->raw.n + 4);
	if (v->type == ZK_J_NONE)
		return zk_fail(err, ZK_E_DATA, "the event has no 'type'");
	if (v->type != ZK_J_STRING)
		return zk_fail(err, ZK_E_DATA, "'type' is a %s, not a string",
		               zk_jtype_name(v->type));
	if (!zk_jstr_plain(v->raw, &type)) {
		if (zk_jstr_decode(v->raw, ZK_JLONE_ERROR, &b, err) < 0)
			return zk_wrap(err, "'type'");
		type = zk_buf_str(&b);
	}
	if (!text_ok(type))
		return zk_fail(err, ZK_E_DATA,
		               "'type' must have 1 to 255 characters and no control "
		               "characters");
	return 0;
}

static int check_payload(const struct zk_jval *payload, const struct zk_jval *data,
                         struct zk_error *err)
{
	const struct zk_jval *v = payload->type == ZK_J_NONE ? data : payload;

	if (v->type == ZK_J_NONE)
		return zk_fail(err, ZK_E_DATA, "the event has no 'payload'");
	if (v->type == ZK_J_NULL)
		return zk_fail(err, ZK_E_DATA, "'payload' must not be null");
	return 0;
}

/* A dedup_id of null or "" means none (§5.5). */
static int check_dedup(const struct zk_jval *v, bool *ret_has, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, v->raw.n + 4);
	*ret_has = false;
	if (v->type == ZK_J_NONE || v->type == ZK_J_NULL)
		return 0;
	if (v->type != ZK_J_STRING)
		return zk_fail(err, ZK_E_DATA, "'dedup_id' is a %s, not a string",
		               zk_jtype_name(v->type));
	if (zk_jstr_decode(v->raw, ZK_JLONE_ERROR, &b, err) < 0)
		return zk_wrap(err, "'dedup_id'");
	if (zk_utf8_len(zk_buf_str(&b)) > MAX_NAME_CHARS)
		return zk_fail(err, ZK_E_DATA, "'dedup_id' has more than 255 characters");
	*ret_has = b.n > 0;
	return 0;
}

struct checked {
	zk_str text;  /* without white space around it */
	zk_str dedup; /* its dedup_id, raw; n == 0: none that counts */
};

static int check_line(zk_str line, const struct zk_trig_draft_conf *conf,
                      struct checked *ret, struct zk_error *err)
{
	struct zk_jwant want[] = {
		{ .name = ZK_STR_INIT("type") },
		{ .name = ZK_STR_INIT("payload") },
		{ .name = ZK_STR_INIT("data") },
		{ .name = ZK_STR_INIT("dedup_id") },
	};
	struct zk_jscan js;
	bool has_dedup;

	if (zk_jscan(line, MAX_DEPTH, want, ZK_ARRAY_LEN(want), &js) < 0)
		return zk_jscan_fail(&js, err);
	*ret = (struct checked){ .text = js.top.raw };
	if (conf->type)
		return js.top.type == ZK_J_NULL
		               ? zk_fail(err, ZK_E_DATA, "a payload must not be null")
		               : 0;
	if (js.top.type != ZK_J_OBJECT) {
		(void)zk_fail(err, ZK_E_DATA, "an event must be an object, this is a %s",
		              zk_jtype_name(js.top.type));
		return zk_err_hint(err, "for payloads alone: --type TYPE");
	}
	if (check_type(&want[0].val, err) < 0 ||
	    check_payload(&want[1].val, &want[2].val, err) < 0 ||
	    check_dedup(&want[3].val, &has_dedup, err) < 0)
		return -(int)err->code;
	if (has_dedup)
		ret->dedup = want[3].val.raw;
	return 0;
}

static void make_key(const struct zk_trig_draft_conf *conf, zk_str text, uint64_t offset,
                     struct zk_buf *b)
{
	struct zk_sha256 sha;
	uint8_t out[ZK_SHA256_SIZE];
	char at[32];
	size_t n = zk_format_u64(offset, at);

	at[n] = '\0';
	zk_sha256_init(&sha);
	zk_sha256_put(&sha, conf->salt.p ? conf->salt.p : "", conf->salt.n);
	zk_sha256_put(&sha, "", 1);
	zk_sha256_put(&sha, at, n + 1);
	if (conf->type)
		zk_sha256_put(&sha, conf->type, strlen(conf->type) + 1);
	zk_sha256_put(&sha, text.p, text.n);
	zk_sha256_end(&sha, out);
	zk_hex_encode(zk_str_n((char *)out, sizeof(out)), b);
}

struct places {
	size_t line, dedup; /* where they begin in the result; 0 = nowhere */
};

/* Puts the parts together. */
static void splice(const struct zk_trig_draft_conf *conf, const struct checked *c,
                   uint64_t offset, struct zk_buf *b, struct places *at)
{
	ZK_ASSERT(c->text.p && c->text.n); /* a line that was scanned */
	if (conf->type) {
		zk_buf_lit(b, "{\"type\":");
		zk_buf_json_str(b, zk_str_of(conf->type));
		zk_buf_lit(b, ",\"payload\":");
		at->line = b->n;
		zk_buf_add(b, c->text);
	} else {
		zk_buf_put(b, c->text.p, c->text.n - 1);
	}
	if (conf->make_key && !c->dedup.n) {
		/* Behind all others: of members with one name the last one counts, so that
		 * "dedup_id":null in front does no harm. */
		zk_buf_lit(b, ",\"dedup_id\":");
		at->dedup = b->n;
		zk_buf_char(b, '"');
		make_key(conf, c->text, offset, b);
		zk_buf_char(b, '"');
	}
	zk_buf_char(b, '}');
}

static struct zk_trig_record *make(const struct zk_trig_draft_conf *conf,
                                   const struct checked *c, uint64_t offset)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct places at = { 0 };

	zk_buf_init(&b, c->text.n + ROOM);
	splice(conf, c, offset, &b, &at);
	ZK_ASSERT(!b.failed);
	struct zk_trig_record *r = zk_trig_record_new(zk_buf_str(&b));

	r->raw_n = c->text.n;
	r->raw_at = at.line;
	if (at.dedup)
		r->dedup = zk_str_n(r->text + at.dedup, 2 * ZK_SHA256_SIZE + 2);
	else if (c->dedup.n)
		r->dedup = zk_str_n(r->text + (c->dedup.p - c->text.p), c->dedup.n);
	return r;
}

struct zk_trig_record *zk_trig_draft(const struct zk_trig_draft_conf *conf, zk_str line,
                                     uint64_t number, uint64_t offset,
                                     struct zk_error *err)
{
	struct checked c = { 0 };

	if (check_line(line, conf, &c, err) < 0) {
		(void)fail_at(conf, number, offset, err);
		return NULL;
	}
	struct zk_trig_record *r = make(conf, &c, offset);

	r->line = number;
	r->offset = offset;
	r->source = conf->source;
	return r;
}

void zk_trig_draft_line(const struct zk_trig_record *rec, struct zk_buf *b)
{
	if (!rec->raw_n) {
		zk_buf_put(b, rec->text, rec->n);
	} else if (rec->raw_at) {
		zk_buf_put(b, rec->text + rec->raw_at, rec->raw_n);
	} else {
		/* Its last byte, the brace, gave way to the dedup_id. */
		zk_buf_put(b, rec->text, rec->raw_n - 1);
		zk_buf_char(b, '}');
	}
}
