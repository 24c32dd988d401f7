/* S3 client: objects of one bucket over net/http, signed with Signature Version 4, in parts where
 * they are large, repeated until it works or cannot.
 * Layer: store. Loop thread only; files are read in a lane. specs/jetstream.md §15.2.
 *
 * What is repeated: lost connections, 5xx, 429, 408, SlowDown, a damaged transfer, and, with the
 * clock of the server, a request that was too old or too new for it. */
#ifndef ZK_STORE_S3_H
#define ZK_STORE_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/retry.h"

struct zk_net;
struct zk_s3;

/* ---- credentials ---- */

/* Secrets; wiped by done. */
struct zk_s3_cred {
	char *id, *secret, *token; /* token NULL = none */
};

/* "ID:SECRET[:TOKEN]" on one line, or the sections of AWS' credentials file, of which `profile`
 * (NULL = "default") counts. -ZK_E_SECRET, whose message holds nothing of the text. Pure. */
int zk_s3_cred_parse(zk_str text, const char *profile, struct zk_s3_cred *ret,
                     struct zk_error *err) ZK_MUST_USE;
void zk_s3_cred_done(struct zk_s3_cred *c);

/* ---- the client ---- */

struct zk_s3_conf {
	const char *endpoint; /* http or https URL; NULL = AWS in `region` */
	const char *bucket, *region;
	bool virtual_host; /* BUCKET.HOST instead of HOST/BUCKET */
	const struct zk_s3_cred *cred;
	struct zk_retry_conf retry;
	uint64_t single_max, part_bytes; /* 0 = 64 MiB, 16 MiB */
	void *ctx;
	/* A request failed and is tried again after `wait_ms`. May be NULL. */
	void (*on_retry)(void *ctx, int64_t wait_ms, const struct zk_error *err);
};

/* Everything is copied. -ZK_E_URL, -ZK_E_CONFIG (bucket, region), -ZK_E_SYSTEM. */
int zk_s3_new(struct zk_net *net, const struct zk_s3_conf *conf, struct zk_s3 **ret,
              struct zk_error *err) ZK_MUST_USE;
/* Ends what runs without calling back. NULL is fine. */
void zk_s3_free(struct zk_s3 *s);
/* Waits for the next attempt end now. */
void zk_s3_hurry(struct zk_s3 *s);
/* Whether `key` can be one here: UTF-8 of at most 1,024 bytes, no control character, no empty
 * segment and none of dots only (proxies and clients resolve those). Pure. */
bool zk_s3_key_ok(zk_str key);

/* What is known of an object, from its headers; texts are borrowed during the callback. */
struct zk_s3_object {
	bool exists; /* false: there is none of this key */
	uint64_t bytes;
	zk_str etag;    /* without quotes */
	zk_str sha256;  /* x-amz-meta-zk-sha256, empty when it has none */
	bool was_there; /* put: nothing was sent, it was there already */
};

/* Each of the functions below calls it exactly once, never from inside themselves. It must not
 * free the client. */
typedef void (*zk_s3_fn)(void *ctx, const struct zk_s3_object *o,
                         const struct zk_error *err);

/* 0 without an object; -ZK_E_FORBIDDEN, -ZK_E_NOT_FOUND, … */
void zk_s3_head_bucket(struct zk_s3 *s, zk_s3_fn fn, void *ctx);
void zk_s3_head(struct zk_s3 *s, zk_str key, zk_s3_fn fn, void *ctx);

struct zk_s3_put {
	const char *path; /* a file that does not change */
	zk_str key;
	const char *content_type;
	/* x-amz-meta-zk-NAME beside zk-sha256: pairs of name and value, ended by NULL. */
	const char *const *meta;
	/* An object with this checksum (hexadecimal SHA-256; NULL = none) may be replaced. */
	const char *replaces;
};

/* Uploads a file. An object of this key with the same checksum is taken for it; with another one
 * it is -ZK_E_CONFLICT, and stays. On success the size, and the MD5 where the server tells it, were
 * compared; `sha256` of the answer is that of the file. Everything is copied. */
void zk_s3_put(struct zk_s3 *s, const struct zk_s3_put *put, zk_s3_fn fn, void *ctx);

/* Both get the ctx of fn. */
struct zk_s3_get {
	zk_str key;
	/* At the beginning of each attempt: forget what came. */
	void (*begin)(void *ctx);
	/* False ends it with -ZK_E_OUTPUT. */
	bool (*data)(void *ctx, zk_str piece);
};

void zk_s3_get(struct zk_s3 *s, const struct zk_s3_get *get, zk_s3_fn fn, void *ctx);

/* Keys that begin with `prefix`, in order of their bytes: `each` for every object, `key` borrowed.
 * `o` of fn is NULL. */
void zk_s3_list(struct zk_s3 *s, zk_str prefix,
                void (*each)(void *ctx, zk_str key, uint64_t bytes), zk_s3_fn fn,
                void *ctx);

/* ---- pure parts, for tests and fuzzing ---- */

/* The text of an error answer: Code and Message; false when it is none. */
bool zk_s3_error_parse(zk_str body, struct zk_buf *code, struct zk_buf *message);
/* A page of ListObjectsV2: each object; `*next` is to be given back for the next page, empty at
 * the end. -ZK_E_PROTOCOL. */
int zk_s3_page_parse(zk_str body, void (*each)(void *ctx, zk_str key, uint64_t bytes),
                     void *ctx, struct zk_buf *next, struct zk_error *err) ZK_MUST_USE;

#endif
