/* S3 client: the client itself and what answers say.
 * Layer: store. */
#include "store/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/xml.h"
#include "net/net.h"
#include "net/url.h"
#include "rt/loop.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define KEY_MAX    1024
#define BUCKET_MAX 255
#define REGION_MAX 64
#define SINGLE_MAX (UINT64_C(64) << 20)
#define PART_BYTES (UINT64_C(16) << 20)

/* ---- the client ---- */

static bool is_label(const char *s, size_t max, const char *more)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || strchr(more, c)))
			return false;
	}
	return n && n <= max;
}

static void lane_run(void *ctx, struct zk_job *batch, size_t n)
{
	(void)ctx;
	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct zk_s3_work *w = ZK_CONTAINER_OF(j, struct zk_s3_work, job);

		w->fn(w);
	}
}

/* "https", "host", 9000 → origin, Host header, path in front of the key. */
static void set_address(struct zk_s3 *s, const struct zk_url *u)
{
	const char *bucket = s->conf.bucket;
	bool v6 = strchr(u->host, ':') != NULL;
	bool usual = u->port == (s->tls ? 443 : 80);
	char *host = zk_asprintf("%s%s%s%s%s", s->conf.virtual_host ? bucket : "",
	                         s->conf.virtual_host ? "." : "", v6 ? "[" : "", u->host,
	                         v6 ? "]" : "");
	zk_str path = zk_str_of(u->path ? u->path : "");

	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	s->host = usual ? zk_strdup(host) : zk_asprintf("%s:%d", host, u->port);
	s->origin = zk_asprintf("%s://%s", u->scheme, s->host);
	s->base = s->conf.virtual_host ? zk_strndup(path.n ? path.p : "", path.n)
	                               : zk_asprintf("%.*s/%s", ZK_STR_ARG(path), bucket);
	free(host);
}

static int set_endpoint(struct zk_s3 *s, const char *endpoint, struct zk_error *err)
{
	char *aws = endpoint ? NULL
	                     : zk_asprintf("https://s3.%s.amazonaws.com", s->conf.region);
	struct zk_url u;
	int r = zk_url_parse(zk_str_of(endpoint ? endpoint : aws), &u, err);

	free(aws);
	if (r < 0)
		return zk_wrap(err, "the S3 endpoint");
	if (u.user || u.query) {
		zk_url_done(&u);
		return zk_fail(err, ZK_E_URL,
		               "the S3 endpoint has a user name or a query");
	}
	s->tls = strcmp(u.scheme, "https") == 0;
	set_address(s, &u);
	zk_url_done(&u);
	return 0;
}

static int check(const struct zk_s3_conf *c, struct zk_error *err)
{
	if (!c->bucket || !is_label(c->bucket, BUCKET_MAX, ".-_"))
		return zk_fail(err, ZK_E_CONFIG, "'%s' is no name of an S3 bucket",
		               c->bucket ? c->bucket : "");
	if (!c->region || !is_label(c->region, REGION_MAX, "-_"))
		return zk_fail(err, ZK_E_CONFIG, "'%s' is no name of an S3 region",
		               c->region ? c->region : "");
	return 0;
}

int zk_s3_new(struct zk_net *net, const struct zk_s3_conf *conf, struct zk_s3 **ret,
              struct zk_error *err)
{
	struct zk_lane_conf lane = { .name = "s3-read", .run = lane_run, .max_jobs = 64 };
	struct zk_s3 *s;
	uint64_t seed;
	int r = check(conf, err);

	if (r < 0)
		return r;
	s = zk_new0(struct zk_s3);
	s->net = net;
	s->loop = zk_net_loop(net);
	s->conf = *conf;
	s->conf.bucket = zk_strdup(conf->bucket);
	s->conf.region = zk_strdup(conf->region);
	s->conf.endpoint = NULL;
	s->conf.cred = &s->cred;
	if (!s->conf.single_max)
		s->conf.single_max = SINGLE_MAX;
	if (!s->conf.part_bytes)
		s->conf.part_bytes = PART_BYTES;
	s->cred.id = zk_strdup(conf->cred->id);
	s->cred.secret = zk_strdup(conf->cred->secret);
	s->cred.token = conf->cred->token ? zk_strdup(conf->cred->token) : NULL;
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&s->jitter, seed);
	zk_list_init(&s->reqs);
	zk_list_init(&s->puts);
	zk_list_init(&s->lists);
	r = set_endpoint(s, conf->endpoint, err);
	if (r == 0)
		r = zk_lane_start(s->loop, &lane, &s->lane, err);
	if (r < 0) {
		zk_s3_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void zk_s3_free(struct zk_s3 *s)
{
	if (!s)
		return;
	zk_s3_reqs_free(s);
	zk_s3_puts_free(s);
	zk_s3_lists_free(s);
	zk_lane_stop(s->lane);
	zk_s3_cred_done(&s->cred);
	free((char *)s->conf.bucket);
	free((char *)s->conf.region);
	free(s->origin);
	free(s->host);
	free(s->base);
	free(s);
}

static bool is_dots(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '.')
			return false;
	return true;
}

bool zk_s3_key_ok(zk_str key)
{
	zk_str rest = key, part;

	if (!key.n || key.n > KEY_MAX || !zk_utf8_valid(key))
		return false;
	for (size_t i = 0; i < key.n; i++)
		if ((unsigned char)key.p[i] < 0x20 || key.p[i] == 0x7f)
			return false;
	do {
		rest = zk_str_cut(rest, '/', &part);
		if (is_dots(part)) /* an empty one too */
			return false;
	} while (rest.p);
	return true;
}

/* ---- answers ---- */

bool zk_s3_error_parse(zk_str body, struct zk_buf *code, struct zk_buf *message)
{
	if (!zk_xml_get(body, ZK_STR("Error/Code"), code) || !code->n)
		return false;
	ZK_IGNORE(zk_xml_get(body, ZK_STR("Error/Message"), message)); /* it may lack */
	return true;
}

void zk_s3_object_of(const struct zk_http_res *res, struct zk_s3_object *o)
{
	zk_str length = zk_http_header(res->req, "Content-Length");
	zk_str etag = zk_http_header(res->req, "ETag");
	struct zk_error ignored;

	*o = (struct zk_s3_object){ .exists = res->status == 200 };
	if (length.n)
		ZK_IGNORE(zk_parse_u64(length, &o->bytes, &ignored) < 0); /* stays 0 */
	if (zk_str_starts(etag, ZK_STR("W/")))
		etag = zk_str_from(etag, 2);
	if (etag.n >= 2 && etag.p[0] == '"' && etag.p[etag.n - 1] == '"')
		etag = zk_str_n(etag.p + 1, etag.n - 2);
	o->etag = etag;
	o->sha256 = zk_http_header(res->req, "x-amz-meta-zk-sha256");
}

/* ---- questions that are one request ---- */

struct question {
	zk_s3_fn fn;
	void *ctx;
};

static void on_answer(void *ctx, const struct zk_http_res *res,
                      const struct zk_error *err)
{
	struct question *q = ctx;
	struct zk_s3_object o = { 0 };

	if (!err)
		zk_s3_object_of(res, &o);
	q->fn(q->ctx, err ? NULL : &o, err);
}

static void ask(struct zk_s3 *s, struct zk_s3_ask *a, zk_s3_fn fn, void *ctx)
{
	struct question *q = zk_new0(struct question);

	q->fn = fn;
	q->ctx = ctx;
	a->done = on_answer;
	a->ctx = q;
	a->owned = q;
	(void)zk_s3_ask(s, a); /* it ends by itself */
}

void zk_s3_head_bucket(struct zk_s3 *s, zk_s3_fn fn, void *ctx)
{
	struct zk_s3_ask a = { .method = "HEAD" };

	ask(s, &a, fn, ctx);
}

void zk_s3_head(struct zk_s3 *s, zk_str key, zk_s3_fn fn, void *ctx)
{
	struct zk_s3_ask a = { .method = "HEAD", .key = key, .quiet_404 = true };

	ask(s, &a, fn, ctx);
}

void zk_s3_get(struct zk_s3 *s, const struct zk_s3_get *get, zk_s3_fn fn, void *ctx)
{
	struct zk_s3_ask a = { .method = "GET",
		               .key = get->key,
		               .begin = get->begin,
		               .data = get->data,
		               .data_ctx = ctx };

	ask(s, &a, fn, ctx);
}
