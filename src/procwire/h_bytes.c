/* Built-in handlers over bytes: digests, compression, base64, a query into JSON.
 * Layer: procwire. specs/cli.md §Procwire.
 *
 * A request is raw bytes, or a msgpack text or buffer; what could take long runs in a lane. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/b64.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "codec/msgpack.h"
#include "codec/pack.h"
#include "codec/press.h"
#include "conf/secret.h"
#include "procwire/spec.h"
#include "rt/lane.h"

#include "base/ban.h"

#define GZIP_LEVEL 6
#define KEY_MAX    4096u

/* The bytes of a request. */
static int bytes_of(const struct zk_pw_method *m, zk_str payload, zk_str *ret,
                    struct zk_error *err)
{
	*ret = payload;
	if (m->request == ZK_PW_RAW || zk_mp_bytes(payload, ret))
		return 0;
	return zk_fail(err, ZK_E_DATA, "the request is no Buffer and no string");
}

static enum zk_pw_then answer_bytes(struct zk_pw_req *req, struct zk_buf *bytes,
                                    bool text)
{
	const struct zk_pw_method *m = zk_pw_method_of(req);
	struct zk_error err = { 0 };
	struct zk_buf b;

	if (m->response == ZK_PW_RAW) {
		b = *bytes;
		*bytes = (struct zk_buf){ 0 };
	} else {
		zk_buf_init(&b, bytes->n + 16);
		if (text)
			zk_mp_text(&b, zk_buf_str(bytes));
		else
			zk_mp_bin(&b, zk_buf_str(bytes));
	}
	if (zk_pw_respond_buf(req, &b, &err) < 0)
		(void)zk_pw_fail(req, &err);
	return ZK_PW_THEN_DONE;
}

/* ---- hash, hmac: as the bytes come ---- */

struct hashing {
	struct zk_sha256 sha;
	struct zk_hmac hmac;
	const struct zk_hmac_key *key; /* NULL = a plain digest */
};

static void hash_init(struct hashing *h, const struct zk_hmac_key *key)
{
	h->key = key;
	if (key)
		zk_hmac_init(&h->hmac, key);
	else
		zk_sha256_init(&h->sha);
}

static void hash_put(struct hashing *h, zk_str bytes)
{
	if (h->key)
		zk_hmac_put(&h->hmac, bytes.p, bytes.n);
	else
		zk_sha256_put(&h->sha, bytes.p, bytes.n);
}

/* Hexadecimal text, or 32 bytes with the codec raw. */
static void hash_answer(struct zk_pw_req *req, struct hashing *h)
{
	uint8_t out[ZK_SHA256_SIZE];
	struct zk_buf b;
	zk_str digest = zk_str_n((const char *)out, sizeof(out));

	if (h->key)
		zk_hmac_end(&h->hmac, out);
	else
		zk_sha256_end(&h->sha, out);
	zk_buf_init(&b, 2 * sizeof(out));
	if (zk_pw_method_of(req)->response == ZK_PW_RAW)
		zk_buf_add(&b, digest);
	else
		zk_hex_encode(digest, &b);
	(void)answer_bytes(req, &b, /* text */ true);
	zk_buf_done(&b);
}

static enum zk_pw_then hash_request(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };
	struct hashing h;
	zk_str bytes;

	if (bytes_of(zk_pw_method_of(req), payload, &bytes, &err) < 0)
		return zk_pw_fail(req, &err);
	hash_init(&h, zk_pw_method_of(req)->conf);
	hash_put(&h, bytes);
	hash_answer(req, &h);
	return ZK_PW_THEN_DONE;
}

static void hash_cancel(void *ctx)
{
	struct zk_pw_req *req = ctx;

	free(zk_pw_data(req));
	zk_pw_done(req);
}

static enum zk_pw_then hash_begin(struct zk_pw_req *req, uint32_t length)
{
	struct hashing *h = zk_new0(struct hashing);

	(void)length;
	hash_init(h, zk_pw_method_of(req)->conf);
	zk_pw_set_data(req, h);
	zk_pw_on_cancel(req, hash_cancel, req);
	return ZK_PW_THEN_KEEP;
}

static void hash_piece(struct zk_pw_req *req, zk_str bytes, bool last)
{
	struct hashing *h = zk_pw_data(req);

	hash_put(h, bytes);
	if (!last)
		return;
	hash_answer(req, h);
	free(h);
	zk_pw_done(req);
}

static void hash_drop(struct zk_pw_req *req)
{
	free(zk_pw_data(req));
}

static const struct zk_pw_handler hash = { .name = "hash",
	                                   .request = hash_request,
	                                   .begin = hash_begin,
	                                   .piece = hash_piece,
	                                   .drop = hash_drop };

static void key_free(void *conf)
{
	zk_hmac_key_done(conf);
	free(conf);
}

/* hmac:FILE: the key is what the file holds, without its last line break. */
static int hmac_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                     const struct zk_pw_spec *spec, const char *rest,
                     struct zk_error *err)
{
	struct zk_secret secret = { .kind = ZK_SECRET_FILE,
		                    .name = "hmac",
		                    .text = rest };
	struct zk_hmac_key *key;
	struct zk_buf b;

	(void)env;
	(void)spec;
	if (!rest[0])
		return zk_fail(err, ZK_E_PW_TABLE, "hmac needs the file of its key");
	zk_buf_init_secret(&b, KEY_MAX);
	if (zk_secret_load(&secret, &b, err) == 0) {
		key = zk_new0(struct zk_hmac_key);
		zk_hmac_key_init(key, zk_buf_str(&b));
		m->conf = key;
		m->free_conf = key_free;
	}
	zk_buf_done(&b);
	return err->code ? -(int)err->code : 0;
}

/* ---- what may take long: in a lane ---- */

typedef int (*zk_pw_work_fn)(zk_str in, struct zk_buf *out, struct zk_error *err);

struct work {
	struct zk_lane *lane;
	zk_pw_work_fn fn;
	size_t max_output;
	bool text;
};

struct piece_of_work {
	struct zk_job job;
	struct zk_pw_req *req; /* NULL = given up */
	struct work *w;
	struct zk_buf in, out;
	struct zk_error err;
};

static void work_run(void *ctx, struct zk_job *batch, size_t n)
{
	(void)ctx;
	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct piece_of_work *p = ZK_CONTAINER_OF(j, struct piece_of_work, job);

		if (p->w->fn(zk_buf_str(&p->in), &p->out, &p->err) == 0)
			ZK_IGNORE(zk_buf_check(&p->out, &p->err)); /* err has it */
	}
}

static void work_free(struct piece_of_work *p)
{
	zk_buf_done(&p->in);
	zk_buf_done(&p->out);
	free(p);
}

static void work_done(struct zk_job *job)
{
	struct piece_of_work *p = ZK_CONTAINER_OF(job, struct piece_of_work, job);
	struct zk_pw_req *req = p->req;

	if (req && p->err.code)
		(void)zk_pw_fail(req, &p->err);
	else if (req)
		(void)answer_bytes(req, &p->out, p->w->text);
	work_free(p);
	if (req)
		zk_pw_done(req);
}

static void work_drop(struct zk_pw_req *req)
{
	struct piece_of_work *p = zk_pw_data(req);

	p->req = NULL;
}

static void work_cancel(void *ctx)
{
	struct piece_of_work *p = ctx;
	struct zk_pw_req *req = ZK_TAKE(p->req);

	zk_pw_done(req);
}

static enum zk_pw_then work_request(struct zk_pw_req *req, zk_str payload)
{
	struct work *w = zk_pw_method_of(req)->conf;
	struct zk_error err = { 0 };
	struct piece_of_work *p;
	zk_str bytes;

	if (bytes_of(zk_pw_method_of(req), payload, &bytes, &err) < 0)
		return zk_pw_fail(req, &err);
	p = zk_new0(struct piece_of_work);
	p->req = req;
	p->w = w;
	p->job.done = work_done;
	p->job.bytes = sizeof(*p) + bytes.n;
	zk_buf_init(&p->in, bytes.n + 1);
	zk_buf_add(&p->in, bytes);
	zk_buf_init(&p->out, w->max_output);
	zk_pw_set_data(req, p);
	zk_pw_on_cancel(req, work_cancel, p);
	zk_lane_push_always(w->lane, &p->job); /* bounded by what may run */
	return ZK_PW_THEN_KEEP;
}

static const struct zk_pw_handler work = { .name = "bytes",
	                                   .request = work_request,
	                                   .drop = work_drop };

static void work_conf_free(void *conf)
{
	struct work *w = conf;

	zk_lane_stop(w->lane);
	free(w);
}

static int work_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                     const struct zk_pw_spec *spec, zk_pw_work_fn fn,
                     struct zk_error *err)
{
	struct zk_lane_conf lane = { .name = "pw-bytes", .run = work_run };
	struct work *w = zk_new0(struct work);

	m->conf = w;
	m->free_conf = work_conf_free;
	w->fn = fn;
	w->max_output = spec->max_output ? spec->max_output : env->max_output;
	return zk_lane_start(env->loop, &lane, &w->lane, err);
}

static int unpress(enum zk_press kind, zk_str in, struct zk_buf *out,
                   struct zk_error *err)
{
	struct zk_unpress *u;
	int r = zk_unpress_new(kind, NULL, out->cap, &u, err);

	if (r < 0)
		return r;
	r = zk_unpress_all(u, in, out, err);
	zk_unpress_free(u);
	return r;
}

static int do_gzip(zk_str in, struct zk_buf *out, struct zk_error *err)
{
	return zk_press_gzip(in, GZIP_LEVEL, out, err);
}

static int do_gunzip(zk_str in, struct zk_buf *out, struct zk_error *err)
{
	return unpress(ZK_PRESS_GZIP, in, out, err);
}

static int do_zstd(zk_str in, struct zk_buf *out, struct zk_error *err)
{
	struct zk_pack *p;
	int r = zk_pack_new(ZK_PACK_ZSTD, /* level */ 0, &p, err);

	if (r < 0)
		return r;
	r = zk_pack_put(p, in, /* last */ true, out, err);
	zk_pack_free(p);
	return r;
}

static int do_unzstd(zk_str in, struct zk_buf *out, struct zk_error *err)
{
	return unpress(ZK_PRESS_ZSTD, in, out, err);
}

static int do_base64(zk_str in, struct zk_buf *out, struct zk_error *err)
{
	zk_b64_encode(in, ZK_B64_STD, out);
	return zk_buf_check(out, err);
}

#define WORK_MAKE(name, fn, is_text)                                         \
	static int name(const struct zk_pw_env *env, struct zk_pw_method *m, \
	                const struct zk_pw_spec *spec, const char *rest,     \
	                struct zk_error *err)                                \
	{                                                                    \
		(void)rest;                                                  \
		if (work_make(env, m, spec, (fn), err) < 0)                  \
			return -(int)err->code;                              \
		((struct work *)m->conf)->text = (is_text);                  \
		return 0;                                                    \
	}

WORK_MAKE(gzip_make, do_gzip, false)
WORK_MAKE(gunzip_make, do_gunzip, false)
WORK_MAKE(zstd_make, do_zstd, false)
WORK_MAKE(unzstd_make, do_unzstd, false)
WORK_MAKE(base64_make, do_base64, true)

/* ---- json.query: {json, path} ---- */

static enum zk_pw_then query_request(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };
	struct zk_jscan js;
	struct zk_jval v;
	struct zk_buf b;
	zk_str raw, text, path;
	enum zk_pw_then then = ZK_PW_THEN_DONE;

	if (!zk_mp_get(payload, ZK_STR("json"), &raw) || !zk_mp_bytes(raw, &text) ||
	    !zk_mp_get_str(payload, ZK_STR("path"), &path))
		return zk_pw_fail_text(req,
		                       "the request is {json: TEXT, path: \"a.b.0\"}");
	if (zk_jscan(text, ZK_MP_DEPTH, NULL, 0, &js) < 0) {
		(void)zk_jscan_fail(&js, &err);
		return zk_pw_fail(req, &err);
	}
	zk_buf_init(&b, text.n * 9 + 64);
	if (!zk_jscan_get(text, path, &v))
		zk_mp_nil(&b);
	else if (zk_mp_from_json(v.raw, &b, &err) < 0)
		then = zk_pw_fail(req, &err);
	if (!err.code && zk_pw_respond_buf(req, &b, &err) < 0)
		then = zk_pw_fail(req, &err);
	zk_buf_done(&b);
	return then;
}

static const struct zk_pw_handler query = { .name = "json.query",
	                                    .request = query_request };

const struct zk_pw_maker zk_pw_bytes[] = {
	{ .name = "hash", .handler = &hash, .request = ZK_PW_RAW, .exposed = true },
	{ .name = "hmac",
	  .handler = &hash,
	  .takes_rest = true,
	  .request = ZK_PW_RAW,
	  .make = hmac_make },
	{ .name = "gzip",
	  .handler = &work,
	  .request = ZK_PW_RAW,
	  .response = ZK_PW_RAW,
	  .exposed = true,
	  .make = gzip_make },
	{ .name = "gunzip",
	  .handler = &work,
	  .request = ZK_PW_RAW,
	  .response = ZK_PW_RAW,
	  .exposed = true,
	  .make = gunzip_make },
	{ .name = "zstd",
	  .handler = &work,
	  .request = ZK_PW_RAW,
	  .response = ZK_PW_RAW,
	  .exposed = true,
	  .make = zstd_make },
	{ .name = "unzstd",
	  .handler = &work,
	  .request = ZK_PW_RAW,
	  .response = ZK_PW_RAW,
	  .exposed = true,
	  .make = unzstd_make },
	{ .name = "base64",
	  .handler = &work,
	  .request = ZK_PW_RAW,
	  .exposed = true,
	  .make = base64_make },
	{ .name = "json.query", .handler = &query, .exposed = true },
	{ .name = NULL },
};
