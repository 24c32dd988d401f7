/* What an answer of a Zeal server means: its error bodies in all their forms, the kinds of
 * failure, the hints when to come back.
 * Layer: zip. Pure. specs/zeal-zip.md §1.3, §2.1, §2.4. */
#ifndef ZK_ZIP_FAULT_H
#define ZK_ZIP_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"

struct zk_buf;

/* §2.1; the names of `kind` in the JSON form of an error. */
enum zk_zip_kind {
	ZK_ZIP_OK,
	ZK_ZIP_VALIDATION,
	ZK_ZIP_AUTH,
	ZK_ZIP_NOT_FOUND,
	ZK_ZIP_NO_ENDPOINT,
	ZK_ZIP_METHOD,
	ZK_ZIP_TOO_LARGE,
	ZK_ZIP_RATE_LIMIT,
	ZK_ZIP_SERVER,
	ZK_ZIP_NETWORK,
	ZK_ZIP_TIMEOUT,
	ZK_ZIP_AMBIGUOUS,
	ZK_ZIP_PROTOCOL,
	ZK_ZIP_UNFIT,
	ZK_ZIP_REFUSED, /* any other status of 4xx */
};

/* "validation", "not-found", … "" for ZK_ZIP_OK. */
const char *zk_zip_kind_name(enum zk_zip_kind kind);
/* The code of zk_error for a kind. */
enum zk_code zk_zip_kind_code(enum zk_zip_kind kind);

struct zk_zip_answer {
	int status;
	zk_str body;
	zk_str content_type, retry_after, rate_reset,
	        rate_left; /* headers; may be empty */
	bool has_param;    /* the route has a parameter in its path [T 3] */
	bool raw;          /* a body of 2xx need not be JSON */
	int64_t wall_us;
};

/* Slices borrow the body. */
struct zk_zip_fault {
	enum zk_zip_kind kind; /* ZK_ZIP_OK: a good answer */
	zk_str code;     /* as the server has it, or NO_SUCH_ENDPOINT, METHOD_NOT_ALLOWED,
	                  * INTERNAL_ERROR, UNHEALTHY, UNKNOWN */
	zk_str message;  /* raw JSON string, with its quotes; may be empty */
	zk_str details;  /* raw JSON value; may be empty */
	zk_str trace_id; /* plain text; may be empty */
	const char *what; /* of an answer that is no JSON: what is wrong with it */
	int64_t wait_ms;  /* the longest of the three hints, 0 = none */
};

/* Reads an answer of any status. */
void zk_zip_fault_read(const struct zk_zip_answer *a, struct zk_zip_fault *ret);
/* When the server lets requests in again, from X-RateLimit-Remaining: 0 and -Reset (epoch
 * milliseconds); milliseconds from now, 0 = now. */
int64_t zk_zip_pace_ms(const struct zk_zip_answer *a);

/* One issue of the schema check (§2.1). Slices borrow the details. */
struct zk_zip_issue {
	zk_str path; /* raw JSON array of names and indexes */
	zk_str code, message, expected, received; /* plain; may be empty */
};
/* Walks the issues of `details` (raw; nothing comes out of what is no array). */
void zk_zip_issues_init(struct zk_jiter *it, zk_str details);
bool zk_zip_issues_next(struct zk_jiter *it, struct zk_zip_issue *ret);
/* "ports[0].position"; "" for the root; appended. The first `skip` steps are left out. */
void zk_zip_issue_path(zk_str path, size_t skip, struct zk_buf *b);
/* The step `i` of a path: true and its number when it is an index. */
bool zk_zip_issue_index(zk_str path, size_t i, uint64_t *ret);

#endif
