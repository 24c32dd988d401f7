/* Standard Webhooks 1.0 signatures and the server secret (specs/triggers.md §9).
 * Layer: triggers. Pure but for zk_trig_secret_load. Any thread. */
#ifndef ZK_TRIGGERS_SIGN_H
#define ZK_TRIGGERS_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"

#define ZK_TRIG_SECRET 32

/* The server secret: the bytes of `given` (at least 16), or the file `server.secret` beside the
 * database, made with mode 0600 on first use. Secret buffer; the caller wipes it. */
int zk_trig_secret_load(zk_str given, const char *db_path, struct zk_buf *ret,
                        struct zk_error *err) ZK_MUST_USE;
/* HMAC-SHA-256(server secret, label || rest). */
void zk_trig_secret_derive(zk_str server, const char *label, zk_str rest,
                           uint8_t out[32]);
/* The signing secret of one organization and version: 32 bytes. */
void zk_trig_secret_of(zk_str server, const zk_uuid *org, int64_t version,
                       uint8_t out[32]);
/* "whsec_" + base64. */
void zk_trig_secret_text(const uint8_t secret[32], struct zk_buf *b);
/* Accepts "whsec_…" or bare base64, 16 to 64 bytes. */
int zk_trig_secret_parse(zk_str text, struct zk_buf *ret,
                         struct zk_error *err) ZK_MUST_USE;

/* Appends "v1,<base64>" over id.timestamp.body. */
void zk_trig_sign(zk_str secret, zk_str id, int64_t timestamp_s, zk_str body,
                  struct zk_buf *b);
/* A webhook as it arrived: the three headers and the raw body. */
struct zk_trig_signed {
	zk_str id, timestamp, signatures, body;
};
/* Any of the space-separated signatures may match; constant time. -ZK_E_SIGNATURE with the
 * reason (no match, too old, from the future, malformed). */
int zk_trig_verify(zk_str secret, const struct zk_trig_signed *msg, int64_t now_s,
                   int64_t tolerance_s, struct zk_error *err) ZK_MUST_USE;

#endif
