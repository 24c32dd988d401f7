/* Inside of the S3 client: one signed request, repeated; files as bodies.
 * Layer: store, private to s3*.c. */
#ifndef ZK_STORE_S3_INT_H
#define ZK_STORE_S3_INT_H

#include "base/list.h"
#include "base/rand.h"
#include "codec/digest.h"
#include "codec/md5.h"
#include "net/http.h"
#include "rt/lane.h"
#include "store/s3.h"

struct zk_s3_slice;

#define ZK_S3_HEX (2 * ZK_SHA256_SIZE + 1)

struct zk_s3 {
	struct zk_net *net;
	struct zk_loop *loop;
	struct zk_s3_conf conf; /* own copies */
	struct zk_s3_cred cred;
	char *origin; /* "https://host:port" with the bucket's name where that belongs */
	char *host;   /* the Host header */
	char *base;   /* path in front of the key: "/bucket" or "" */
	bool tls;
	int64_t skew_us; /* the server's clock minus ours, once it complained */
	struct zk_lane *lane;
	struct zk_rand jitter;
	struct zk_list reqs, puts, lists;
};

/* What the lane does: `fn` there, job.done on the loop. */
struct zk_s3_work {
	struct zk_job job;
	void (*fn)(struct zk_s3_work *w);
};

/* ---- signing (s3_sign.c, pure) ---- */

struct zk_s3_header {
	const char *name; /* lower case */
	zk_str value;
};

struct zk_s3_sign {
	const char *method, *region;
	zk_str path, query; /* as they are sent, encoded; the query's names in order */
	const struct zk_s3_header *headers; /* in order of their names */
	size_t n_headers;
	zk_str payload; /* hexadecimal SHA-256, or UNSIGNED-PAYLOAD */
	const struct zk_s3_cred *cred;
	char time[17]; /* "20130524T000000Z" */
};

void zk_s3_time(int64_t us, char ret[17]);
/* The value of the Authorization header, appended. */
void zk_s3_sign(const struct zk_s3_sign *s, struct zk_buf *b);
/* Every byte but A-Z a-z 0-9 - . _ ~ / as %XX. */
void zk_s3_put_path(struct zk_buf *b, zk_str key);

/* ---- one request (s3_req.c) ---- */

#define ZK_S3_HEADERS 16

struct zk_s3_ask {
	const char *method;
	zk_str key;        /* empty = the bucket */
	const char *query; /* encoded, names in order; NULL = none; copied */
	zk_str body;       /* copied */
	/* Instead of body: part of a file; the request owns it from now on. */
	struct zk_s3_slice *slice;
	const char *payload; /* SHA-256 of the slice; NULL = it is not signed */
	/* More headers, "name: value" in lower case, in order, ended by NULL; copied. */
	const char *const *headers;
	void (*begin)(void *data_ctx);
	bool (*data)(void *data_ctx, zk_str piece);
	void *data_ctx;
	bool slow;      /* the server may work on it for minutes */
	bool once;      /* not repeated */
	bool quiet_404; /* 404 is an answer */
	/* `res` is NULL when there was no answer. */
	void (*done)(void *ctx, const struct zk_http_res *res,
	             const struct zk_error *err);
	void *ctx;
	void *owned; /* freed with the request */
};

struct zk_s3_req;
struct zk_s3_req *zk_s3_ask(struct zk_s3 *s, const struct zk_s3_ask *ask);
void zk_s3_req_cancel(struct zk_s3_req *r);
void zk_s3_reqs_free(struct zk_s3 *s);
/* What the headers of an answer say of an object. */
void zk_s3_object_of(const struct zk_http_res *res, struct zk_s3_object *o);

/* ---- part of a file as a body (s3_slice.c) ---- */

struct zk_s3_slice *zk_s3_slice_new(struct zk_s3 *s, int fd, uint64_t at, uint64_t n);
/* Its reader may still be at work: it frees itself then. NULL is fine. The descriptor stays the
 * owner's, who keeps it until zk_s3_lane_idle. */
void zk_s3_slice_free(struct zk_s3_slice *sl);
void zk_s3_slice_rewind(struct zk_s3_slice *sl);
uint64_t zk_s3_slice_size(const struct zk_s3_slice *sl);
/* As zk_http_conf.pull; `wake` is called when there are bytes again after it said to wait. */
ptrdiff_t zk_s3_slice_pull(struct zk_s3_slice *sl, char *p, size_t room);
void zk_s3_slice_on_bytes(struct zk_s3_slice *sl, void (*wake)(void *ctx), void *ctx);

/* ---- other operations ---- */

void zk_s3_puts_free(struct zk_s3 *s);
void zk_s3_lists_free(struct zk_s3 *s);

#endif
