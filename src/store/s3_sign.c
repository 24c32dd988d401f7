/* Signature Version 4 and the credentials it needs.
 * Layer: store. Pure; AWS, "Authenticating Requests (AWS Signature Version 4)". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define DATE_N     8
#define ID_MAX     256
#define SECRET_MAX 8192

/* ---- credentials ---- */

void zk_s3_cred_done(struct zk_s3_cred *c)
{
	zk_secret_free(c->id);
	zk_secret_free(c->secret);
	zk_secret_free(c->token);
	*c = (struct zk_s3_cred){ 0 };
}

static bool is_word(zk_str s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n && s.n <= max;
}

static int take(zk_str id, zk_str secret, zk_str token, struct zk_s3_cred *ret,
                struct zk_error *err)
{
	if (!is_word(id, ID_MAX) || !is_word(secret, SECRET_MAX) ||
	    (token.n && !is_word(token, SECRET_MAX)) || zk_str_find_char(id, '/') >= 0)
		return zk_fail(err, ZK_E_SECRET,
		               "the S3 credentials are not ID:SECRET, nor a credentials "
		               "file of AWS");
	ret->id = zk_strndup(id.p, id.n);
	ret->secret = zk_strndup(secret.p, secret.n);
	ret->token = token.n ? zk_strndup(token.p, token.n) : NULL;
	return 0;
}

static int parse_line(zk_str line, struct zk_s3_cred *ret, struct zk_error *err)
{
	zk_str id, secret, token = zk_str_cut(line, ':', &id);

	token = zk_str_cut(token, ':', &secret);
	return take(id, secret, token, ret, err);
}

static int parse_sections(zk_str text, zk_str profile, struct zk_s3_cred *ret,
                          struct zk_error *err)
{
	zk_str v[3] = { ZK_STR_NULL, ZK_STR_NULL, ZK_STR_NULL };
	static const zk_str names[] = { ZK_STR_INIT("aws_access_key_id"),
		                        ZK_STR_INIT("aws_secret_access_key"),
		                        ZK_STR_INIT("aws_session_token") };
	bool inside = false, found = false;

	while (text.n) {
		zk_str line, key, value;

		text = zk_str_cut(text, '\n', &line);
		line = zk_str_trim(line);
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[') {
			(void)zk_str_cut(zk_str_from(line, 1), ']', &key);
			inside = zk_str_eq(zk_str_trim(key), profile);
			found = found || inside;
			continue;
		}
		value = zk_str_trim(zk_str_cut(line, '=', &key));
		for (size_t i = 0; inside && i < ZK_ARRAY_LEN(names); i++)
			if (zk_str_eq_nocase(zk_str_trim(key), names[i]))
				v[i] = value;
	}
	if (!found)
		return zk_fail(err, ZK_E_SECRET,
		               "the S3 credentials have no section [%.*s]",
		               (int)ZK_MIN(profile.n, (size_t)64), profile.p);
	return take(v[0], v[1], v[2], ret, err);
}

int zk_s3_cred_parse(zk_str text, const char *profile, struct zk_s3_cred *ret,
                     struct zk_error *err)
{
	zk_str t = zk_str_trim(text);

	*ret = (struct zk_s3_cred){ 0 };
	if (zk_str_find_char(t, '[') < 0)
		return parse_line(t, ret, err);
	return parse_sections(t, zk_str_of(profile ? profile : "default"), ret, err);
}

/* ---- signing ---- */

void zk_s3_put_path(struct zk_buf *b, zk_str key)
{
	zk_str part;

	for (;;) {
		key = zk_str_cut(key, '/', &part);
		zk_buf_percent(b, part);
		if (!key.p)
			return;
		zk_buf_char(b, '/');
	}
}

void zk_s3_time(int64_t us, char ret[17])
{
	time_t t = us / 1000000;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	if (!strftime(ret, 17, "%Y%m%dT%H%M%SZ", &tm))
		ret[0] = '\0';
}

static void put_names(const struct zk_s3_sign *s, struct zk_buf *b)
{
	for (size_t i = 0; i < s->n_headers; i++) {
		if (i)
			zk_buf_char(b, ';');
		zk_buf_cstr(b, s->headers[i].name);
	}
}

/* The request in its canonical form, as the hexadecimal digest that is signed. */
static void put_request(const struct zk_s3_sign *s, struct zk_buf *b)
{
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_buf text;

	zk_buf_init(&text, 1u << 20);
	zk_buf_cstr(&text, s->method);
	zk_buf_char(&text, '\n');
	zk_buf_add(&text, s->path);
	zk_buf_char(&text, '\n');
	zk_buf_add(&text, s->query);
	zk_buf_char(&text, '\n');
	for (size_t i = 0; i < s->n_headers; i++) {
		zk_buf_cstr(&text, s->headers[i].name);
		zk_buf_char(&text, ':');
		zk_buf_add(&text, zk_str_trim(s->headers[i].value));
		zk_buf_char(&text, '\n');
	}
	zk_buf_char(&text, '\n');
	put_names(s, &text);
	zk_buf_char(&text, '\n');
	zk_buf_add(&text, s->payload);
	zk_sha256(zk_buf_str(&text), digest);
	zk_buf_done(&text);
	zk_hex_encode(zk_str_n((const char *)digest, sizeof(digest)), b);
}

static void hmac(const uint8_t *key, size_t n, zk_str text, uint8_t out[ZK_SHA256_SIZE])
{
	struct zk_hmac_key k;

	zk_hmac_key_init(&k, zk_str_n((const char *)key, n));
	zk_hmac_sha256(&k, text, out);
	zk_hmac_key_done(&k);
}

static void make_key(const struct zk_s3_sign *s, uint8_t key[ZK_SHA256_SIZE])
{
	const zk_str steps[] = { zk_str_of(s->region), ZK_STR("s3"),
		                 ZK_STR("aws4_request") };
	struct zk_buf secret;

	zk_buf_init_secret(&secret, SECRET_MAX + 8);
	zk_buf_lit(&secret, "AWS4");
	zk_buf_cstr(&secret, s->cred->secret);
	hmac((const uint8_t *)secret.p, secret.n, zk_str_n(s->time, DATE_N), key);
	zk_buf_done(&secret);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		uint8_t next[ZK_SHA256_SIZE];

		hmac(key, ZK_SHA256_SIZE, steps[i], next);
		memcpy(key, next, ZK_SHA256_SIZE);
		zk_wipe(next, sizeof(next));
	}
}

void zk_s3_sign(const struct zk_s3_sign *s, struct zk_buf *b)
{
	uint8_t key[ZK_SHA256_SIZE], digest[ZK_SHA256_SIZE];
	struct zk_buf text;

	zk_buf_init(&text, 4096);
	zk_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.*s/%s/s3/aws4_request\n", s->time,
	              DATE_N, s->time, s->region);
	put_request(s, &text);
	make_key(s, key);
	hmac(key, sizeof(key), zk_buf_str(&text), digest);
	zk_wipe(key, sizeof(key));
	zk_buf_done(&text);
	zk_buf_printf(b, "AWS4-HMAC-SHA256 Credential=%s/%.*s/%s/s3/aws4_request,",
	              s->cred->id, DATE_N, s->time, s->region);
	zk_buf_lit(b, "SignedHeaders=");
	put_names(s, b);
	zk_buf_lit(b, ",Signature=");
	zk_hex_encode(zk_str_n((const char *)digest, sizeof(digest)), b);
}
