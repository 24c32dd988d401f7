/* One call to a Zeal server: addresses, credentials, the class of repeatability, pacing, the
 * breaker, and errors in people's words.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §1, §2, §11.
 *
 *	struct zk_buf path, body;                       made with their caps
 *
 *	zk_buf_lit(&path, "/templates");
 *	if (zk_zip_segment(&path, ns, err) < 0) …
 *	struct zk_zip_req rq = { .method = "GET", .route = "/templates/{ns}",
 *	                         .path = zk_buf_cstring(&path) };
 *	if (zk_zip_call(zip, &rq, &body, err) < 0) …    body: the answer, that of an error too
 */
#ifndef ZK_ZIP_API_H
#define ZK_ZIP_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/retry.h"

struct zk_buf;
struct zk_metrics;
struct zk_net;
struct zk_zip;
struct zk_zip_call;

/* §2.3. */
enum zk_zip_class {
	ZK_ZIP_R0, /* safe to repeat */
	ZK_ZIP_R1, /* a natural key: a second try is told apart by the server */
	/* Duplicates when repeated: repeated only when it is certain that nothing was done. What
	 * cannot be known fails with ZK_E_UNKNOWN_OUTCOME; the caller reads the state and
	 * decides. A 2xx whose body is broken is ZK_E_PROTOCOL and means the same. */
	ZK_ZIP_R2,
};

/* Kinds of server (§11), the values of --server-kind in this order. */
enum zk_zip_server {
	ZK_ZIP_AUTO,
	ZK_ZIP_IDEAL,
	ZK_ZIP_AS_BUILT,
	ZK_ZIP_PATH_BLIND,
	ZK_ZIP_OLDER,
};

/* "auto", "ideal", … */
const char *zk_zip_server_name(enum zk_zip_server kind);

struct zk_zip_conf {
	const char *base_url;
	const char *token, *api_key; /* NULL or "" = none; copied, wiped at the end */
	const char *as_user;         /* X-User-Id; NULL = "zip-integration" */
	const char *client_id;       /* X-Client-Id; NULL = none */
	enum zk_zip_server server;
	struct zk_retry_conf retry;
	double rate; /* requests per second, 0 = as fast as it goes */
	/* While the breaker is open: wait (long-running commands) or fail at once. */
	bool patient;
	bool compat;                /* the editor's own API may be used (§11) */
	struct zk_metrics *metrics; /* NULL = none */
	void *ctx;
	/* Before each wait for another attempt; NULL = none. */
	void (*on_retry)(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
	                 const struct zk_error *err);
	/* Once, when it shows that the server is path-blind: to say and to remember it. */
	void (*on_unfit)(void *ctx);
};

/* Everything is copied. 0, -ZK_E_URL, or -ZK_E_DATA for a credential that no header can
 * hold. */
int zk_zip_new(struct zk_net *net, const struct zk_zip_conf *conf, struct zk_zip **ret,
               struct zk_error *err) ZK_MUST_USE;
/* Calls that run are cancelled. NULL is fine. */
void zk_zip_free(struct zk_zip *z);
struct zk_net *zk_zip_net(const struct zk_zip *z);
struct zk_metrics *zk_zip_metrics(const struct zk_zip *z); /* NULL = none */
/* "http://localhost:3000": without a slash at the end. */
const char *zk_zip_base(const struct zk_zip *z);
/* "http://localhost:3000" with the port always there and without a path: names the server. */
const char *zk_zip_origin(const struct zk_zip *z);
bool zk_zip_compat(const struct zk_zip *z);
/* What is known of the server: that of the configuration, or what an answer showed. */
enum zk_zip_server zk_zip_server(const struct zk_zip *z);
void zk_zip_set_server(struct zk_zip *z, enum zk_zip_server kind);

/* The workflow that calls are about from now on, for their spans (§10); NULL = none. */
void zk_zip_about(struct zk_zip *z, const char *workflow);

/* Appends "/" and the segment percent-encoded. 0, or -ZK_E_DATA for one that no path can carry:
 * empty, ".", "..", with U+0000. `what` names it in the message ("template id"). */
int zk_zip_segment(struct zk_buf *path, const char *what, zk_str segment,
                   struct zk_error *err) ZK_MUST_USE;
/* Appends "?name=value" or "&name=value", encoded; nothing when value.p is NULL. */
void zk_zip_query(struct zk_buf *path, const char *name, zk_str value);

struct zk_zip_req {
	enum zk_zip_class class;
	const char *method; /* NULL = "GET" */
	/* The path below /api/zip with parameters as {names}: label of metrics and spans. */
	const char *route;
	const char *path;   /* encoded, with the query; NULL = route */
	zk_str body;        /* JSON; p NULL = none */
	bool body_borrowed; /* lives until the end of the call; else copied */
	bool editor;        /* below /api instead: the editor's own API (§11) */
	bool raw;           /* the answer need not be a JSON object */
	bool once;          /* no further attempts */
	/* Instead of collecting the body of a good answer: each piece as it comes; it may cancel.
	 * What was given is not repeated after a failure unless `restart` is there, which says
	 * that it is void. Their ctx is that of `done`. */
	void (*on_data)(void *ctx, zk_str piece);
	void (*restart)(void *ctx);
	int64_t timeout_ms; /* of each attempt; 0 = that of the net */
	size_t max_body;    /* 0 = 256 MiB */
	/* Of its span: the workflow that it is about, lives until zk_zip_start returned; NULL =
	 * that of zk_zip_about(). */
	const char *workflow;
};

/* The end of a call. Slices and `call` are valid during the callback. */
struct zk_zip_end {
	int status; /* 0 = no answer */
	zk_str body;
	bool sent;         /* a byte of it may have reached the server */
	unsigned attempts; /* made in all */
	bool cached;       /* a frozen copy: x-nextjs-cache: HIT [T 6] */
	int64_t total_us, connect_us, first_byte_us; /* of the last attempt */
	struct zk_zip_call *call;
};

/* Called exactly once, not from inside zk_zip_start(); `err` is NULL for a good answer (2xx). It
 * may start and cancel others. */
typedef void (*zk_zip_done_fn)(void *ctx, const struct zk_zip_end *end,
                               struct zk_error *err);

int zk_zip_start(struct zk_zip *z, const struct zk_zip_req *r, zk_zip_done_fn done,
                 void *ctx, struct zk_zip_call **ret, struct zk_error *err) ZK_MUST_USE;
void zk_zip_cancel(struct zk_zip_call *c);
/* Moves the body out, during done; what `ret` held before is freed. */
void zk_zip_take_body(struct zk_zip_call *c, struct zk_buf *ret);

/* The same for a one-shot: turns the loop until the answer is there; never from a callback. The
 * body, that of an error answer too, goes to `body` (may be NULL). `end` (may be NULL) gets the
 * rest, without slices. */
int zk_zip_call(struct zk_zip *z, const struct zk_zip_req *r, struct zk_buf *body,
                struct zk_zip_end *end, struct zk_error *err) ZK_MUST_USE;

/* Whether after this failure of a R2 call the server may have done it all the same. */
bool zk_zip_is_ambiguous(const struct zk_error *err);

#endif
