/* Bearer tokens of self-hosted Zeal servers: two parts, signed with a shared secret.
 * Layer: zip. Pure but for the random session id. specs/zeal-zip.md §1.4. */
#ifndef ZK_ZIP_TOKEN_H
#define ZK_ZIP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

struct zk_zip_claims {
	zk_str sub;       /* required */
	int64_t iat, exp; /* seconds since 1970; exp 0 = never */
	const char *type, *tenant, *organization,
	        *session; /* NULL = none; session: random */
	char *const *perms;
	size_t n_perms;
	char *const *roles;
	size_t n_roles;
};

/* Appends the token. */
void zk_zip_token_mint(const struct zk_zip_claims *c, zk_str secret, struct zk_buf *b);

enum zk_zip_token {
	ZK_ZIP_TOKEN_VALID,
	ZK_ZIP_TOKEN_FORGED, /* not signed with this secret */
	ZK_ZIP_TOKEN_EXPIRED,
	ZK_ZIP_TOKEN_EARLY,   /* nbf is not over yet */
	ZK_ZIP_TOKEN_FOREIGN, /* not of this form: one part, or a JWT */
};

/* "valid", "Invalid token signature", … */
const char *zk_zip_token_words(enum zk_zip_token result);
/* Checks in this order: form, signature, expiry, start. */
enum zk_zip_token zk_zip_token_verify(zk_str token, zk_str secret, int64_t now_s);
/* Appends the payload (JSON) of a token of this form, or of a JWT, without checking it. False when
 * there is none. */
bool zk_zip_token_payload(zk_str token, struct zk_buf *b) ZK_MUST_USE;

#endif
