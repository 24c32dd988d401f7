/* zk:zerobus.append: rows of many callers in one stream, acknowledged when they are durable.
 * Layer: cmd. specs/cli.md §Procwire, specs/zerobus.md §7.
 *
 * A call is {row} or {rows: […]}, for the table of the configuration, or that of the method:
 * NAME,value=CATALOG.SCHEMA.TABLE=zk:zerobus.append. Either all rows of a call are good, or none is
 * sent. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "cmd/procwire_verbs.h"
#include "cmd/zerobus_client.h"
#include "codec/msgpack.h"
#include "procwire/spec.h"
#include "rt/loop.h"
#include "zerobus/request.h"

#define ZK_LOGGER "zerobus"
#include "base/log.h"

#include "base/ban.h"

#define ROWS_MAX      10000
#define ROW_MAX       ((size_t)10 << 20) /* §20: what the service takes */
#define CALL_MAX      ((size_t)64 << 20)
#define REQUEST_BYTES ((size_t)1 << 20)

struct verb {
	struct zk_loop *loop;
	struct zb_client c;
	struct zk_zb_request *open; /* rows of this turn of the loop */
	struct zk_buf json;
	struct zk_list calls; /* with rows under way, in the order of their rows */
	uint64_t next;        /* number of the next row, over all calls */
};

/* The rows from `first` on, `n` of them. */
struct call {
	struct zk_list link;
	struct zk_pw_req *req; /* NULL: given up; the rows go their way all the same */
	uint64_t first;
	uint32_t n, left;
	struct zk_error err; /* why one of them is not durable; code 0 = all are so far */
};

/* ---- outcomes ---- */

/* All its rows have an outcome. */
static void finish(struct call *c)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_pw_req *req = ZK_TAKE(c->req);

	if (!req)
		return;
	zk_buf_init(&b, 64);
	if (!c->err.code) {
		zk_mp_map(&b, 1);
		zk_mp_cstr(&b, "durable");
		zk_mp_u64(&b, c->n);
		ZK_IGNORE(procwire_answer(req, zk_buf_str(&b), &c->err) < 0);
	}
	if (c->err.code)
		(void)zk_pw_fail(req, &c->err);
	zk_pw_done(req);
}

/* One row has an outcome; rows come in about the order of the calls. */
static void settle_row(struct verb *v, uint64_t row, const struct zk_error *why)
{
	ZK_LIST_EACH (it, &v->calls) {
		struct call *c = ZK_CONTAINER_OF(it, struct call, link);

		if (row < c->first || row - c->first >= c->n)
			continue;
		if (why && !c->err.code)
			c->err = *why;
		if (--c->left == 0)
			finish(c);
		return;
	}
}

/* Calls leave in order, when those before them have. */
static void reap(struct verb *v)
{
	while (!zk_list_is_empty(&v->calls) &&
	       !ZK_CONTAINER_OF(v->calls.next, struct call, link)->left)
		free(ZK_CONTAINER_OF(zk_list_pop(&v->calls), struct call, link));
}

static void settle(struct verb *v, struct zk_zb_request *r, const struct zk_error *why)
{
	struct zk_zb_cursor at = { 0 };

	while (zk_zb_request_next(r, &at))
		settle_row(v, at.place.row, why);
	zk_zb_request_free(r);
	reap(v);
}

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	(void)stream;
	settle(ctx, r, NULL);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *why,
                        bool suspect)
{
	(void)suspect;
	settle(ctx, r, why);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *why)
{
	settle(ctx, r, why);
}

static void on_retry(void *ctx, size_t stream, const struct zk_zb_retrying *r)
{
	(void)ctx;
	(void)stream;
	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the stream broke, trying again", r->err);
}

/* ---- a call ---- */

static void push_open(void *ctx)
{
	struct verb *v = ctx;

	if (v->open)
		zk_zb_sender_push(v->c.sender, ZK_TAKE(v->open));
}

/* The encoded row, behind its length, goes behind those before it. */
static int encode(struct verb *v, zk_str value, struct zk_buf *ret, struct zk_error *err)
{
	zk_str payload;
	uint32_t n;

	zk_buf_clear(&v->json);
	if (zk_mp_to_json(value, &v->json, err) < 0)
		return -(int)err->code;
	payload = zk_buf_str(&v->json);
	if (payload.p[0] != '{')
		return zk_fail(err, ZK_E_DATA, "a row is a map");
	if (v->c.plan && !zk_zb_plan_line(v->c.plan, payload, &payload))
		return zk_zb_plan_fail(v->c.plan, err);
	if (payload.n > ROW_MAX)
		return zk_fail(err, ZK_E_ZB_ROW_SIZE, "the row is larger than 10 MiB");
	n = (uint32_t)payload.n;
	zk_buf_add(ret, zk_str_n((const char *)&n, sizeof(n)));
	zk_buf_add(ret, payload);
	return zk_buf_check(ret, err);
}

static int encode_all(struct verb *v, zk_str payload, struct zk_buf *ret, uint32_t *n,
                      struct zk_error *err)
{
	struct zk_mpval head = { 0 };
	zk_str list;

	*n = 1;
	if (zk_mp_get(payload, ZK_STR("row"), &list))
		return encode(v, list, ret, err);
	if (!zk_mp_get(payload, ZK_STR("rows"), &list) || !zk_mp_next(&list, &head) ||
	    head.type != ZK_MP_ARRAY || !head.n || head.n > ROWS_MAX)
		return zk_fail(err, ZK_E_DATA,
		               "zerobus.append takes {row} or {rows: [...]}, at most %d",
		               ROWS_MAX);
	*n = head.n;
	for (uint32_t i = 0; i < head.n; i++)
		if (encode(v, zk_mp_take(&list), ret, err) < 0)
			return zk_wrap(err, "row %u", i);
	return 0;
}

static void add_rows(struct verb *v, zk_str encoded)
{
	uint32_t n;

	while (encoded.n) {
		memcpy(&n, encoded.p, sizeof(n));
		if (v->open && v->open->n + n > REQUEST_BYTES)
			push_open(v);
		if (!v->open) {
			v->open = zk_zb_request_new(v->c.kind, "procwire");
			zk_loop_defer(v->loop, push_open, v);
		}
		zk_zb_request_add(v->open, zk_str_n(encoded.p + sizeof(n), n), v->next++,
		                  0);
		encoded = zk_str_from(encoded, sizeof(n) + n);
	}
}

static void drop(struct zk_pw_req *req)
{
	struct call *c = zk_pw_data(req);

	c->req = NULL;
}

static void on_cancel(void *ctx)
{
	struct call *c = ctx;
	struct zk_pw_req *req = ZK_TAKE(c->req);

	zk_pw_done(req);
}

static enum zk_pw_then request(struct zk_pw_req *req, zk_str payload)
{
	struct verb *v = zk_pw_method_of(req)->conf;
	struct zk_buf encoded ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };
	struct call *c;
	uint32_t n;

	zk_buf_init(&encoded, CALL_MAX);
	if (encode_all(v, payload, &encoded, &n, &err) < 0)
		return zk_pw_fail(req, &err);
	zk_zb_sender_renew(&v->c.sender, &v->c.conf);
	c = zk_new0(struct call);
	c->req = req;
	c->first = v->next;
	c->n = c->left = n;
	zk_list_push(&v->calls, &c->link);
	zk_pw_set_data(req, c);
	zk_pw_on_cancel(req, on_cancel, c);
	add_rows(v, zk_buf_str(&encoded));
	return ZK_PW_THEN_KEEP;
}

const struct zk_pw_handler procwire_zerobus_append = { .name = "zk:zerobus.append",
	                                               .request = request,
	                                               .drop = drop };

/* ---- the method ---- */

static void verb_free(void *conf)
{
	struct verb *v = conf;
	struct zk_error err = { 0 };

	zk_loop_forget(v->loop, push_open, v);
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "the worker ends");
	if (v->open)
		settle(v, ZK_TAKE(v->open), &err);
	zb_client_close(&v->c, err.msg);
	zk_buf_done(&v->json);
	free(v);
}

/* As for `zk zerobus send`: types are those of the table where it can be asked for them. */
static int learn_types(struct zb_client *c, struct zk_error *err)
{
	if (c->s.auth == ZB_AUTH_OAUTH && c->s.workspace.url)
		return zb_client_learn(c, NULL, /* drop_unknown */ false, err);
	c->kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	return 0;
}

int procwire_zerobus_append_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                 const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	const struct procwire_remotes *remotes;
	struct zk_app *app = procwire_app(env, &remotes);

	v->loop = env->loop;
	zk_list_init(&v->calls);
	zk_buf_init(&v->json, ZK_ZB_ROW_MAX);
	m->conf = v;
	m->free_conf = verb_free;
	if (m->kind == ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE, "zerobus.append is no stream");
	if (zb_client_load(&v->c, app, err) < 0)
		return -(int)err->code;
	if (spec->value)
		v->c.o.table = spec->value;
	if (zb_client_open(&v->c, app, err) < 0)
		return zk_wrap(err, "zk:zerobus.append");
	v->c.conf.ctx = v;
	v->c.conf.on_acked = on_acked;
	v->c.conf.on_rejected = on_rejected;
	v->c.conf.on_unsent = on_unsent;
	v->c.conf.on_retry = on_retry;
	return learn_types(&v->c, err);
}
