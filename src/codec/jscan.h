/* jscan: zero-copy scanner over raw JSON text (RFC 8259, strict). Payloads and stream
 *records are only ever sliced and copied as bytes: no number is converted, no text
 *rewritten. Layer: codec. Pure functions, any thread; slices borrow the text given.
 *
 *	struct zk_jwant want[] = { { .name = ZK_STR_INIT("type") }, { .name =
 *ZK_STR_INIT("payload") } }; struct zk_jscan js;
 *
 *	if (zk_jscan(body, 64, want, ZK_ARRAY_LEN(want), &js) < 0)
 *		… js.code, js.offset, js.what …
 *	if (js.top.type != ZK_J_OBJECT) …
 *	if (want[0].val.type == ZK_J_STRING && zk_jstr_plain(want[0].val.raw, &type)) …
 */
#ifndef ZK_CODEC_JSCAN_H
#define ZK_CODEC_JSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

enum zk_jtype {
	ZK_J_NONE, /* not there */
	ZK_J_NULL,
	ZK_J_BOOL,
	ZK_J_NUMBER,
	ZK_J_STRING,
	ZK_J_ARRAY,
	ZK_J_OBJECT,
};

/* "null", "boolean", "number", "string", "array", "object"; "nothing" for ZK_J_NONE. */
const char *zk_jtype_name(enum zk_jtype type);

/* One value: its bytes from the first to the last, a string with its quotes. */
struct zk_jval {
	zk_str raw;
	enum zk_jtype type;
	/* Set by zk_jscan() only, false otherwise: white space between tokens inside (the
	 * value is compact already without it). */
	bool has_space;
};

/* A member to be found, of the top-level object or, with `in`, of an object that is the
 * value of another want; `name` is the decoded name. Many of them are found faster with a
 * plan (codec/jplan.h). */
struct zk_jwant {
	zk_str name;
	/* 0, or the parent's place in the array plus one; parents stand before their
	 * children, which are those of the parent's last occurrence. At most
	 * ZK_JSCAN_LEVELS deep. */
	unsigned in;
	struct zk_jval val; /* the last one, ZK_J_NONE when there is none */
	size_t count;       /* how often it was there */
};

struct zk_jscan {
	struct zk_jval top; /* the whole value without white space around it */
	size_t members;     /* direct members or elements of `top` */
	unsigned depth;     /* deepest nesting met */
	bool has_nul;       /* a string or name holds \u0000 */
	bool has_lone;      /* … holds an unpaired surrogate escape */
	bool has_escape;    /* … holds any escape; of a scan that did not fail */
	/* After a failure: */
	enum zk_code code; /* ZK_E_JSON, ZK_E_UTF8, or ZK_E_LIMIT for too deep */
	size_t offset;     /* first byte that is wrong; text.n when more was expected */
	const char *what;  /* such as "expected ':' after a name" */
};

#define ZK_JSCAN_DEPTH_MAX 1024
#define ZK_JSCAN_LEVELS    4

/* Checks that `text` is one complete JSON value (white space around it allowed, no BOM)
 * and, in the same pass, finds the members `want`. `[]` has depth
 * 1; deeper than `max_depth` (at most ZK_JSCAN_DEPTH_MAX) fails. `\u0000`, lone surrogate
 * escapes, `1e400` and duplicate names are valid. 0, or -res->code. */
int zk_jscan(zk_str text, unsigned max_depth, struct zk_jwant *want, size_t n_want,
             struct zk_jscan *res) ZK_MUST_USE;
/* Checks the value that begins `text` as a scan does, inside of `depth` containers, and says where it
 * ends; what is behind it is not looked at. False when it is none. */
bool zk_jscan_one(zk_str text, unsigned depth, unsigned max_depth,
                  struct zk_jval *ret) ZK_MUST_USE;
/* Turns a failed scan into an error: "invalid JSON at byte 17: expected …"; returns
 * -code. */
int zk_jscan_fail(const struct zk_jscan *res, struct zk_error *err);
/* `text` without a leading UTF-8 byte order mark. */
zk_str zk_jscan_skip_bom(zk_str text);

/* The functions below take text that zk_jscan() accepted (or a value of it). Other text
 * is safe but ends early: they then say "no more" or "not there". */

/* Walks the members of an object or the elements of an array. */
struct zk_jiter {
	const char *p, *end;
};

void zk_jiter_init(struct zk_jiter *it, zk_str container);
/* The next member; `key` is raw, with its quotes. False at the end. */
bool zk_jiter_member(struct zk_jiter *it, zk_str *key, struct zk_jval *val);
bool zk_jiter_element(struct zk_jiter *it, struct zk_jval *val);

/* The value at a path such as "commit.record.langs.0" (names of objects, indexes of
 * arrays; the last of duplicate names). An empty path is the value itself. False when it
 * is not there. */
bool zk_jscan_get(zk_str text, zk_str path, struct zk_jval *ret);
/* The value that begins `text`, white space before it skipped; false when there is none.
 */
bool zk_jscan_value(zk_str text, struct zk_jval *ret);
/* Appends `text` without white space between tokens; every other byte as it is. */
void zk_jscan_compact(zk_str text, struct zk_buf *b);

/* True when the raw string (with quotes) decodes to exactly `name`; a lone surrogate
 * escape equals nothing. */
bool zk_jstr_eq(zk_str raw, zk_str name);
/* The inside of a raw string that has no escapes; false when it has some. */
bool zk_jstr_plain(zk_str raw, zk_str *ret);

enum zk_jlone {
	ZK_JLONE_ERROR,   /* a lone surrogate escape fails */
	ZK_JLONE_REPLACE, /* it becomes U+FFFD */
};
/* Appends the decoded text of a raw string to `b` (whose cap the caller checks). 0, or
 * -ZK_E_DATA for a lone surrogate or a slice that is no string. */
int zk_jstr_decode(zk_str raw, enum zk_jlone lone, struct zk_buf *b,
                   struct zk_error *err) ZK_MUST_USE;

/* Exact integers: false for a fraction, an exponent, or a value out of range. */
bool zk_jnum_u64(zk_str raw, uint64_t *ret);
bool zk_jnum_i64(zk_str raw, int64_t *ret);
/* The nearest double; false when it would be infinite. */
bool zk_jnum_double(zk_str raw, double *ret);

#endif
