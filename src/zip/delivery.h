/* What a Zeal server posts to a webhook: its body in all its forms, and its signature.
 * Layer: zip. Pure. specs/zeal-zip.md §8.3, §8.4; vectors: fixtures webhooks/cases.json. */
#ifndef ZK_ZIP_DELIVERY_H
#define ZK_ZIP_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/digest.h"
#include "codec/jscan.h"

struct zk_buf;

#define ZK_ZIP_DELIVERY_MAX ((size_t)16 << 20)

/* One event; all slices are of the body. Texts are raw JSON strings with their quotes. */
struct zk_zip_event {
	zk_str json;
	struct zk_jval id, type, workflow, node, session;
};

struct zk_zip_delivery {
	struct zk_jiter it;
	zk_str single;  /* the whole body when it is one event itself */
	size_t skipped; /* elements that are no event */
};

/* Begins to read a body. 0; -ZK_E_DATA for what is no delivery: no JSON, or neither an array
 * `events` nor an event with a type. */
int zk_zip_delivery_open(zk_str body, struct zk_zip_delivery *d,
                         struct zk_error *err) ZK_MUST_USE;
/* The next event; false at the end. Elements without a type are passed over and counted. */
bool zk_zip_delivery_next(struct zk_zip_delivery *d, struct zk_zip_event *ev);
/* Reads the fields of one event that zk_jscan accepted; false when it has no type. */
bool zk_zip_event_read(zk_str json, struct zk_zip_event *ev);
/* The text of a raw string: a slice of it when it has no escapes, else decoded into `room`, which
 * is cleared first. Empty when it is no string, or longer than `room` can hold. */
zk_str zk_zip_event_text(const struct zk_jval *v, struct zk_buf *room);

/* "sha256=" and the digest in lower-case hexadecimal; appended. */
void zk_zip_signature(const struct zk_hmac_key *key, zk_str body, struct zk_buf *b);
/* In constant time; false for every other form. */
bool zk_zip_signature_ok(const struct zk_hmac_key *key, zk_str header, zk_str body);

#endif
