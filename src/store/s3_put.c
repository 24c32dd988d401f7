/* Uploading a file: checksums, what is there already, one request or parts, the check afterwards.
 * Layer: store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/xml.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define AT_A_TIME  4
#define PARTS_MAX  10000
#define CHUNK      (256u << 10)
#define UPLOAD_MAX 2048
#define ETAG_MAX   200

struct part {
	uint64_t at, n;
	uint8_t md5[ZK_MD5_SIZE];
	char sha[ZK_S3_HEX]; /* "" over TLS */
	char *etag;
};

struct put {
	struct zk_list link;
	struct zk_s3 *s;
	struct zk_s3_work work; /* the checksums */
	zk_s3_fn fn;
	void *ctx;
	char *path, *key, *type, *replaces, **meta;
	size_t n_meta;
	/* The lane's until the checksums are there: */
	int fd;
	uint64_t bytes;
	struct part *parts;
	size_t n_parts;
	char sha[ZK_S3_HEX];
	struct zk_error err;
	/* The loop's: */
	size_t next, running, done;
	char *upload; /* UploadId */
	struct zk_s3_req *reqs[AT_A_TIME];
	bool busy; /* the lane is at work */
	bool freed;
};

/* Which request of a put, for its callback. */
struct step {
	struct put *p;
	struct part *part;
	size_t slot;
};

static void put_free(struct put *p);

/* ---- the end ---- */

struct closing {
	struct zk_s3_work work;
	int fd;
};

static void close_it(struct zk_s3_work *w)
{
	struct closing *c = ZK_CONTAINER_OF(w, struct closing, work);

	(void)close(c->fd); /* only read */
}

static void on_closed(struct zk_job *job)
{
	free(ZK_CONTAINER_OF(job, struct closing, work.job));
}

/* Behind everything that still reads from it. */
static void close_later(struct zk_s3 *s, int fd)
{
	struct closing *c = zk_new0(struct closing);

	c->fd = fd;
	c->work = (struct zk_s3_work){ .job = { .done = on_closed }, .fn = close_it };
	zk_lane_push_always(s->lane, &c->work.job);
}

static void put_free(struct put *p)
{
	zk_list_remove(&p->link);
	for (size_t i = 0; i < AT_A_TIME; i++)
		if (p->reqs[i])
			zk_s3_req_cancel(ZK_TAKE(p->reqs[i]));
	p->freed = true;
	if (p->busy)
		return;
	if (p->fd >= 0)
		close_later(p->s, p->fd);
	for (size_t i = 0; i < p->n_parts; i++)
		free(p->parts[i].etag);
	for (size_t i = 0; i < p->n_meta; i++)
		free(p->meta[i]);
	free(p->meta);
	free(p->parts);
	free(p->upload);
	free(p->path);
	free(p->key);
	free(p->type);
	free(p->replaces);
	free(p);
}

void zk_s3_puts_free(struct zk_s3 *s)
{
	ZK_LIST_EACH (it, &s->puts)
		put_free(ZK_LIST_ENTRY(it, struct put, link));
}

static void fail(struct put *p, const struct zk_error *err)
{
	p->fn(p->ctx, NULL, err);
	put_free(p);
}

static void succeed(struct put *p, bool was_there, zk_str etag)
{
	struct zk_s3_object o = { .exists = true,
		                  .bytes = p->bytes,
		                  .etag = etag,
		                  .sha256 = zk_str_of(p->sha),
		                  .was_there = was_there };

	p->fn(p->ctx, &o, NULL);
	put_free(p);
}

static void nothing(void *ctx, const struct zk_http_res *res, const struct zk_error *err)
{
	(void)ctx;
	(void)res;
	(void)err; /* the server throws it away some day */
}

static void abort_upload(struct zk_s3 *s, const char *key, const char *upload)
{
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	struct zk_s3_ask a = { .method = "DELETE",
		               .key = zk_str_of(key),
		               .once = true,
		               .quiet_404 = true,
		               .done = nothing };

	zk_buf_init(&query, 3 * UPLOAD_MAX + 16);
	zk_buf_lit(&query, "uploadId=");
	zk_buf_percent(&query, zk_str_of(upload));
	a.query = zk_buf_cstring(&query);
	(void)zk_s3_ask(s, &a); /* ends by itself */
}

static void give_up(struct put *p, const struct zk_error *err)
{
	if (p->upload)
		abort_upload(p->s, p->key, p->upload);
	fail(p, err);
}

/* ---- checksums: the lane ---- */

static void hex(const uint8_t *bytes, size_t n, char *to, size_t room)
{
	struct zk_buf b;

	zk_buf_init(&b, room);
	zk_hex_encode(zk_str_n((const char *)bytes, n), &b);
	(void)snprintf(to, room, "%s", zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static void cut(struct put *p)
{
	uint64_t n = p->bytes;

	if (p->bytes > p->s->conf.single_max) {
		n = p->s->conf.part_bytes;
		while (p->bytes / n >= PARTS_MAX)
			n *= 2;
	}
	p->n_parts = p->bytes ? (size_t)((p->bytes + n - 1) / n) : 1;
	p->parts = zk_alloc_array(p->n_parts, sizeof(*p->parts));
	for (size_t i = 0; i < p->n_parts; i++) {
		p->parts[i].at = i * n;
		p->parts[i].n = ZK_MIN(n, p->bytes - i * n);
	}
}

static int sum_part(struct put *p, struct part *t, struct zk_sha256 *whole, char *chunk,
                    struct zk_error *err)
{
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_sha256 sha;
	struct zk_md5 md5;
	uint64_t left = t->n;

	zk_sha256_init(&sha);
	zk_md5_init(&md5);
	while (left) {
		ssize_t n = pread(p->fd, chunk, ZK_MIN(left, (uint64_t)CHUNK),
		                  (off_t)(t->at + t->n - left));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, n < 0 ? errno : EIO,
			                     "cannot read '%s'", p->path);
		zk_sha256_put(whole, chunk, (size_t)n);
		zk_md5_put(&md5, chunk, (size_t)n);
		if (!p->s->tls)
			zk_sha256_put(&sha, chunk, (size_t)n);
		left -= (uint64_t)n;
	}
	zk_md5_end(&md5, t->md5);
	zk_sha256_end(&sha, digest);
	if (!p->s->tls)
		hex(digest, sizeof(digest), t->sha, sizeof(t->sha));
	return 0;
}

static void sum(struct zk_s3_work *w)
{
	struct put *p = ZK_CONTAINER_OF(w, struct put, work);
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_sha256 whole;
	struct stat st;
	char *chunk;

	p->fd = open(p->path, O_RDONLY | O_CLOEXEC);
	if (p->fd < 0 || fstat(p->fd, &st) < 0) {
		(void)zk_fail_errno(&p->err, ZK_E_NO_INPUT, errno, "cannot read '%s'",
		                    p->path);
		return;
	}
	p->bytes = (uint64_t)st.st_size;
	cut(p);
	chunk = zk_alloc(CHUNK);
	zk_sha256_init(&whole);
	for (size_t i = 0; i < p->n_parts && !p->err.code; i++)
		ZK_IGNORE(sum_part(p, &p->parts[i], &whole, chunk, &p->err) < 0);
	zk_sha256_end(&whole, digest);
	hex(digest, sizeof(digest), p->sha, sizeof(p->sha));
	free(chunk);
}

/* ---- the check afterwards ---- */

static void on_checked(void *ctx, const struct zk_http_res *res,
                       const struct zk_error *err)
{
	struct put *p = ctx;
	struct zk_s3_object o;
	struct zk_error bad = { 0 };

	p->reqs[0] = NULL;
	if (err) {
		fail(p, err);
		return;
	}
	zk_s3_object_of(res, &o);
	if (!o.exists || o.bytes != p->bytes) {
		(void)zk_fail(&bad, ZK_E_TRANSFER,
		              "'%s' was uploaded with %llu bytes, the bucket has %llu",
		              p->key, (unsigned long long)p->bytes,
		              (unsigned long long)o.bytes);
		bad.retryable = true;
		fail(p, &bad);
		return;
	}
	succeed(p, /* was_there */ false, o.etag);
}

static void check_size(struct put *p)
{
	struct zk_s3_ask a = { .method = "HEAD",
		               .key = zk_str_of(p->key),
		               .quiet_404 = true,
		               .done = on_checked,
		               .ctx = p };

	p->reqs[0] = zk_s3_ask(p->s, &a);
}

/* ---- the headers of an object ---- */

struct headers {
	char *v[ZK_S3_HEADERS];
	size_t n;
};

static void add_md5(struct headers *h, const struct part *t)
{
	struct zk_buf b;

	zk_buf_init(&b, 64);
	zk_buf_base64(&b, zk_str_n((const char *)t->md5, ZK_MD5_SIZE), /* url */ false,
	              /* pad */ true);
	h->v[h->n++] = zk_asprintf("content-md5: %s", zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static void add_object(struct headers *h, const struct put *p)
{
	h->v[h->n++] = zk_asprintf("content-type: %s", p->type);
	h->v[h->n++] = zk_asprintf("x-amz-meta-zk-sha256: %s", p->sha);
	for (size_t i = 0; i + 1 < p->n_meta && h->n + 1 < ZK_S3_HEADERS - 6; i += 2)
		h->v[h->n++] =
		        zk_asprintf("x-amz-meta-zk-%s: %s", p->meta[i], p->meta[i + 1]);
}

static void headers_done(struct headers *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i]);
}

static void give_body(struct put *p, struct part *t, struct zk_s3_ask *a)
{
	a->slice = zk_s3_slice_new(p->s, p->fd, t->at, t->n);
	a->payload = t->sha[0] ? t->sha : NULL;
}

/* ---- one request ---- */

static void on_single(void *ctx, const struct zk_http_res *res,
                      const struct zk_error *err)
{
	struct put *p = ctx;
	struct zk_s3_object o;
	char md5[2 * ZK_MD5_SIZE + 1];

	p->reqs[0] = NULL;
	if (err) {
		fail(p, err);
		return;
	}
	zk_s3_object_of(res, &o);
	hex(p->parts[0].md5, ZK_MD5_SIZE, md5, sizeof(md5));
	/* An encrypted object has another ETag. */
	if (zk_str_eq_nocase(o.etag, zk_str_of(md5)))
		succeed(p, /* was_there */ false, o.etag);
	else
		check_size(p);
}

static void send_single(struct put *p)
{
	struct headers h = { 0 };
	struct zk_s3_ask a = {
		.method = "PUT", .key = zk_str_of(p->key), .done = on_single, .ctx = p
	};

	add_md5(&h, &p->parts[0]);
	add_object(&h, p);
	a.headers = (const char *const *)h.v;
	give_body(p, &p->parts[0], &a);
	p->reqs[0] = zk_s3_ask(p->s, &a);
	headers_done(&h);
}

/* ---- parts ---- */

static void send_parts(struct put *p);

static void on_complete(void *ctx, const struct zk_http_res *res,
                        const struct zk_error *err)
{
	struct put *p = ctx;

	(void)res;
	p->reqs[0] = NULL;
	/* It may have been completed by a request whose answer was lost. */
	if (!err || err->code == ZK_E_NOT_FOUND)
		check_size(p);
	else
		give_up(p, err);
}

static void complete(struct put *p)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done), query ZK_CLEANUP(zk_buf_done);
	struct zk_s3_ask a = { .method = "POST",
		               .key = zk_str_of(p->key),
		               .slow = true,
		               .done = on_complete,
		               .ctx = p };

	zk_buf_init(&body, 8u << 20);
	zk_buf_init(&query, 3 * UPLOAD_MAX + 16);
	zk_buf_lit(&body, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < p->n_parts; i++)
		zk_buf_printf(&body,
		              "<Part><PartNumber>%zu</PartNumber>"
		              "<ETag>&quot;%s&quot;</ETag></Part>",
		              i + 1, p->parts[i].etag);
	zk_buf_lit(&body, "</CompleteMultipartUpload>");
	zk_buf_lit(&query, "uploadId=");
	zk_buf_percent(&query, zk_str_of(p->upload));
	a.body = zk_buf_str(&body);
	a.query = zk_buf_cstring(&query);
	p->reqs[0] = zk_s3_ask(p->s, &a);
}

/* ETags go into XML and are the server's: only what they can be. */
static bool is_etag(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f ||
		    strchr("<>&\"'", s.p[i]))
			return false;
	return s.n && s.n <= ETAG_MAX;
}

static void on_part(void *ctx, const struct zk_http_res *res, const struct zk_error *err)
{
	struct step *step = ctx;
	struct put *p = step->p;
	struct zk_s3_object o;
	struct zk_error bad = { 0 };

	p->reqs[step->slot] = NULL;
	p->running--;
	if (err) {
		give_up(p, err);
		return;
	}
	zk_s3_object_of(res, &o);
	if (!is_etag(o.etag)) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL, "S3 gave no ETag for part %zu of '%s'",
		              (size_t)(step->part - p->parts) + 1, p->key);
		give_up(p, &bad);
		return;
	}
	step->part->etag = zk_strndup(o.etag.p, o.etag.n);
	p->done++;
	if (p->done == p->n_parts)
		complete(p);
	else
		send_parts(p);
}

static void send_part(struct put *p, size_t slot)
{
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	struct step *step = zk_new(struct step);
	struct part *t = &p->parts[p->next++];
	struct headers h = { 0 };
	struct zk_s3_ask a = { .method = "PUT",
		               .key = zk_str_of(p->key),
		               .done = on_part,
		               .ctx = step,
		               .owned = step };

	*step = (struct step){ .p = p, .part = t, .slot = slot };
	zk_buf_init(&query, 3 * UPLOAD_MAX + 64);
	zk_buf_printf(&query, "partNumber=%zu&uploadId=", (size_t)(t - p->parts) + 1);
	zk_buf_percent(&query, zk_str_of(p->upload));
	a.query = zk_buf_cstring(&query);
	add_md5(&h, t);
	a.headers = (const char *const *)h.v;
	give_body(p, t, &a);
	p->running++;
	p->reqs[slot] = zk_s3_ask(p->s, &a);
	headers_done(&h);
}

static void send_parts(struct put *p)
{
	for (size_t i = 0; i < AT_A_TIME && p->next < p->n_parts; i++)
		if (!p->reqs[i])
			send_part(p, i);
}

static void on_begun(void *ctx, const struct zk_http_res *res, const struct zk_error *err)
{
	struct put *p = ctx;
	struct zk_buf id ZK_CLEANUP(zk_buf_done);
	struct zk_error bad = { 0 };

	zk_buf_init(&id, UPLOAD_MAX);
	p->reqs[0] = NULL;
	if (err) {
		fail(p, err);
		return;
	}
	if (!zk_xml_get(res->body, ZK_STR("InitiateMultipartUploadResult/UploadId"),
	                &id) ||
	    !id.n) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL, "S3 gave no UploadId for '%s'",
		              p->key);
		fail(p, &bad);
		return;
	}
	p->upload = zk_buf_take(&id);
	send_parts(p);
}

static void begin_parts(struct put *p)
{
	struct headers h = { 0 };
	struct zk_s3_ask a = { .method = "POST",
		               .key = zk_str_of(p->key),
		               .query = "uploads=",
		               .done = on_begun,
		               .ctx = p };

	add_object(&h, p);
	a.headers = (const char *const *)h.v;
	p->reqs[0] = zk_s3_ask(p->s, &a);
	headers_done(&h);
}

/* Parts of an earlier attempt that was killed cost money for ever: they are thrown away. */
static void throw_away(struct put *p, zk_str body)
{
	struct zk_xml x;
	struct zk_buf key ZK_CLEANUP(zk_buf_done), id ZK_CLEANUP(zk_buf_done);
	enum zk_xml_event e;

	zk_buf_init(&key, 4096);
	zk_buf_init(&id, UPLOAD_MAX);
	zk_xml_init(&x, body);
	while ((e = zk_xml_next(&x)) != ZK_XML_END && e != ZK_XML_BAD) {
		if (e == ZK_XML_OPEN && x.depth == 2) {
			zk_buf_clear(&key);
			zk_buf_clear(&id);
		} else if (e == ZK_XML_OPEN && x.depth == 3) {
			if (zk_str_eq(x.name, ZK_STR("Key")))
				ZK_IGNORE(
				        zk_xml_inner(&x, &key)); /* then it is not ours */
			else if (zk_str_eq(x.name, ZK_STR("UploadId")))
				ZK_IGNORE(zk_xml_inner(&x, &id));
		} else if (e == ZK_XML_CLOSE && x.depth == 1 && id.n &&
		           zk_str_eq(zk_buf_str(&key), zk_str_of(p->key))) {
			abort_upload(p->s, p->key, zk_buf_cstring(&id));
		}
	}
}

static void on_uploads(void *ctx, const struct zk_http_res *res,
                       const struct zk_error *err)
{
	struct put *p = ctx;

	p->reqs[0] = NULL;
	if (!err)
		throw_away(p, res->body);
	begin_parts(
	        p); /* who does not list them has none of ours, or cleans up by rule */
}

static void look_for_uploads(struct put *p)
{
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	struct zk_s3_ask a = {
		.method = "GET", .once = true, .done = on_uploads, .ctx = p
	};

	zk_buf_init(&query, 4096);
	zk_buf_lit(&query, "prefix=");
	zk_buf_percent(&query, zk_str_of(p->key));
	zk_buf_lit(&query, "&uploads=");
	a.query = zk_buf_cstring(&query);
	p->reqs[0] = zk_s3_ask(p->s, &a);
}

/* ---- the beginning ---- */

static void on_there(void *ctx, const struct zk_http_res *res, const struct zk_error *err)
{
	struct put *p = ctx;
	struct zk_s3_object o;
	struct zk_error bad = { 0 };

	p->reqs[0] = NULL;
	if (err) {
		fail(p, err);
		return;
	}
	zk_s3_object_of(res, &o);
	if (o.exists && zk_str_eq_nocase(o.sha256, zk_str_of(p->sha)) &&
	    o.bytes == p->bytes) {
		succeed(p, /* was_there */ true, o.etag);
	} else if (o.exists &&
	           !(p->replaces && zk_str_eq_nocase(o.sha256, zk_str_of(p->replaces)))) {
		(void)zk_fail(&bad, ZK_E_CONFLICT,
		              "the bucket has another object of the key '%s'", p->key);
		(void)zk_err_hint(&bad, "give each store a prefix of its own");
		fail(p, &bad);
	} else if (p->n_parts > 1) {
		look_for_uploads(p);
	} else {
		send_single(p);
	}
}

static void on_summed(struct zk_job *job)
{
	struct put *p = ZK_CONTAINER_OF(job, struct put, work.job);
	struct zk_s3_ask a = { .method = "HEAD", .quiet_404 = true };

	p->busy = false;
	if (p->freed) {
		put_free(p);
		return;
	}
	if (p->err.code) {
		struct zk_error err = p->err;

		fail(p, &err);
		return;
	}
	a.key = zk_str_of(p->key);
	a.done = on_there;
	a.ctx = p;
	p->reqs[0] = zk_s3_ask(p->s, &a);
}

void zk_s3_put(struct zk_s3 *s, const struct zk_s3_put *put, zk_s3_fn fn, void *ctx)
{
	struct put *p = zk_new0(struct put);

	p->s = s;
	p->fn = fn;
	p->ctx = ctx;
	p->fd = -1;
	p->path = zk_strdup(put->path);
	p->key = zk_strndup(put->key.p, put->key.n);
	p->type = zk_strdup(put->content_type ? put->content_type
	                                      : "application/octet-stream");
	p->replaces = put->replaces ? zk_strdup(put->replaces) : NULL;
	while (put->meta && put->meta[p->n_meta])
		p->n_meta++;
	p->meta = zk_alloc_array(p->n_meta + 1, sizeof(char *));
	for (size_t i = 0; put->meta && i < p->n_meta; i++)
		p->meta[i] = zk_strdup(put->meta[i]);
	zk_list_init(&p->link);
	zk_list_push(&s->puts, &p->link);
	p->busy = true;
	p->work = (struct zk_s3_work){ .job = { .done = on_summed }, .fn = sum };
	zk_lane_push_always(s->lane, &p->work.job);
}
