/* Bearer tokens of self-hosted Zeal servers.
 * Layer: zip. specs/zeal-zip.md §1.4. */
#include "zip/token.h"

#include "base/buf.h"
#include "base/rand.h"
#include "codec/b64.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define TOKEN_MAX     65536
#define SESSION_BYTES 16

static void put_text(struct zk_jwrite *w, const char *name, const char *text)
{
	if (!text || !text[0])
		return;
	zk_jw_key(w, name);
	zk_jw_cstr(w, text);
}

static void put_list(struct zk_jwrite *w, const char *name, char *const *v, size_t n)
{
	if (!n)
		return;
	zk_jw_key(w, name);
	zk_jw_arr(w);
	for (size_t i = 0; i < n; i++)
		zk_jw_cstr(w, v[i]);
	zk_jw_arr_end(w);
}

static void put_session(struct zk_jwrite *w, const char *given)
{
	struct zk_buf hex;
	uint8_t bytes[SESSION_BYTES];

	zk_jw_key(w, "session_id");
	if (given) {
		zk_jw_cstr(w, given);
		return;
	}
	zk_rand_secret(bytes, sizeof(bytes));
	zk_buf_init(&hex, 64);
	zk_hex_encode(zk_str_n((const char *)bytes, sizeof(bytes)), &hex);
	zk_jw_str(w, zk_buf_str(&hex));
	zk_buf_done(&hex);
}

static void sign(zk_str part, zk_str secret, uint8_t out[ZK_SHA256_SIZE])
{
	struct zk_hmac_key key;

	zk_hmac_key_init(&key, secret);
	zk_hmac_sha256(&key, part, out);
	zk_hmac_key_done(&key);
}

void zk_zip_token_mint(const struct zk_zip_claims *c, zk_str secret, struct zk_buf *b)
{
	struct zk_buf payload;
	struct zk_jwrite w;
	uint8_t mac[ZK_SHA256_SIZE];
	size_t from = b->n;

	zk_buf_init_secret(&payload, TOKEN_MAX);
	zk_jwrite_init(&w, &payload);
	zk_jw_obj(&w);
	zk_jw_key(&w, "sub");
	zk_jw_str(&w, c->sub);
	zk_jw_key(&w, "iat");
	zk_jw_i64(&w, c->iat);
	put_text(&w, "type", c->type);
	put_text(&w, "tenant_id", c->tenant);
	put_text(&w, "organization_id", c->organization);
	put_list(&w, "roles", c->roles, c->n_roles);
	put_list(&w, "permissions", c->perms, c->n_perms);
	if (c->exp) {
		zk_jw_key(&w, "exp");
		zk_jw_i64(&w, c->exp);
	}
	put_session(&w, c->session);
	zk_jw_obj_end(&w);
	zk_b64_encode(zk_buf_str(&payload), ZK_B64_URL, b);
	zk_buf_done(&payload);
	sign(zk_str_from(zk_buf_str(b), from), secret, mac);
	zk_buf_char(b, '.');
	zk_b64_encode(zk_str_n((const char *)mac, sizeof(mac)), ZK_B64_URL, b);
}

const char *zk_zip_token_words(enum zk_zip_token result)
{
	static const char *const words[] = { "valid", "Invalid token signature",
		                             "Token has expired", "Token not yet valid",
		                             "not a token of this form" };

	return words[result];
}

/* Exactly two parts. */
static bool split(zk_str token, zk_str *payload, zk_str *mac)
{
	*mac = zk_str_cut(token, '.', payload);
	return mac->n && payload->n && zk_str_find_char(*mac, '.') < 0;
}

static bool number_at(zk_str json, zk_str name, double *ret)
{
	struct zk_jval v;

	return zk_jscan_get(json, name, &v) && v.type == ZK_J_NUMBER &&
	       zk_jnum_double(v.raw, ret);
}

static enum zk_zip_token check_times(zk_str payload, int64_t now_s)
{
	struct zk_buf json;
	struct zk_jscan js;
	enum zk_zip_token r = ZK_ZIP_TOKEN_VALID;
	double at;

	zk_buf_init_secret(&json, TOKEN_MAX);
	if (!zk_b64_decode(payload, ZK_B64_URL, &json) ||
	    zk_jscan(zk_buf_str(&json), 64, NULL, 0, &js) < 0 ||
	    js.top.type != ZK_J_OBJECT)
		r = ZK_ZIP_TOKEN_FOREIGN;
	else if (number_at(js.top.raw, ZK_STR("exp"), &at) && at < (double)now_s)
		r = ZK_ZIP_TOKEN_EXPIRED;
	else if (number_at(js.top.raw, ZK_STR("nbf"), &at) && at > (double)now_s)
		r = ZK_ZIP_TOKEN_EARLY;
	zk_buf_done(&json);
	return r;
}

enum zk_zip_token zk_zip_token_verify(zk_str token, zk_str secret, int64_t now_s)
{
	zk_str payload, text;
	struct zk_buf mac;
	uint8_t want[ZK_SHA256_SIZE];
	bool same;

	if (!split(token, &payload, &text))
		return ZK_ZIP_TOKEN_FOREIGN;
	sign(payload, secret, want);
	zk_buf_init_secret(&mac, 1024);
	same = zk_b64_decode(text, ZK_B64_URL, &mac) && mac.n == sizeof(want) &&
	       zk_equal_ct(mac.p, want, sizeof(want));
	zk_buf_done(&mac);
	return same ? check_times(payload, now_s) : ZK_ZIP_TOKEN_FORGED;
}

bool zk_zip_token_payload(zk_str token, struct zk_buf *b)
{
	zk_str first, second, rest = zk_str_cut(token, '.', &first);
	struct zk_jscan js;
	size_t from = b->n;

	/* A JWT has a header in front. */
	if (zk_str_find_char(rest, '.') >= 0) {
		(void)zk_str_cut(rest, '.', &second);
		first = second;
	} else if (!rest.n) {
		return false;
	}
	return zk_b64_decode(first, ZK_B64_URL, b) &&
	       zk_jscan(zk_str_from(zk_buf_str(b), from), 64, NULL, 0, &js) == 0 &&
	       js.top.type == ZK_J_OBJECT;
}
