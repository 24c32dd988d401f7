/* The handler sql: prepared statements of the configuration on an SQLite file, in a lane.
 * Layer: procwire. specs/cli.md §Procwire. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "procwire/spec.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "store/sqlite.h"

#include "base/ban.h"

#define BUSY_MS 5000

struct sql {
	char *path, *query;
	bool write;
	size_t max_output;
	struct zk_lane *lane;
	struct zk_db *_Atomic db; /* the lane's; interrupted from the loop */
};

/* One call. `params` and `rows` travel to the lane and back. */
struct query {
	struct zk_job job;
	struct zk_pw_req *req; /* NULL = given up */
	struct sql *sql;
	struct zk_buf params; /* msgpack map */
	struct zk_buf rows;   /* msgpack values, one behind the other */
	uint32_t n_rows;
	zk_str left; /* rows of a stream that are still to be sent */
	int64_t changes;
	struct zk_error err;
	atomic_bool given_up;
};

/* ---- in the lane ---- */

static int open_db(struct sql *s, struct zk_error *err)
{
	struct zk_db_conf conf = {
		.path = s->path,
		.flags = s->write ? 0u : (unsigned)ZK_DB_READONLY | ZK_DB_QUERY_ONLY,
		.busy_ms = BUSY_MS
	};

	struct zk_db *db;

	if (atomic_load(&s->db))
		return 0;
	if (zk_db_open(&conf, &db, err) < 0)
		return -(int)err->code;
	atomic_store(&s->db, db);
	return 0;
}

static int bind_one(struct zk_stmt *st, int i, zk_str value, struct zk_error *err)
{
	struct zk_mpval v;

	if (!zk_mp_next(&value, &v))
		return zk_fail(err, ZK_E_DATA, "a parameter is cut off");
	switch (v.type) {
	case ZK_MP_NIL:
		zk_bind_null(st, i);
		break;
	case ZK_MP_BOOL:
		zk_bind_i64(st, i, v.b);
		break;
	case ZK_MP_UINT:
		if (v.u > INT64_MAX)
			return zk_fail(err, ZK_E_DATA,
			               "a number is too large for SQLite");
		zk_bind_i64(st, i, (int64_t)v.u);
		break;
	case ZK_MP_INT:
		zk_bind_i64(st, i, v.i);
		break;
	case ZK_MP_FLOAT:
		zk_bind_double(st, i, v.f);
		break;
	case ZK_MP_STR:
		zk_bind_text(st, i, v.s);
		break;
	case ZK_MP_BIN:
	case ZK_MP_EXT:
		zk_bind_blob(st, i, v.s);
		break;
	case ZK_MP_ARRAY:
	case ZK_MP_MAP:
		return zk_fail(err, ZK_E_DATA, "a parameter is a list or an object");
	}
	return 0;
}

static int bind_all(struct zk_stmt *st, zk_str params, struct zk_error *err)
{
	for (int i = 1; i <= zk_stmt_params(st); i++) {
		const char *name = zk_stmt_param(st, i);
		zk_str value;

		if (!name)
			return zk_fail(
			        err, ZK_E_PW_HANDLER,
			        "a parameter of the query has no name; write :name");
		if (!zk_mp_get(params, zk_str_of(name + 1), &value))
			return zk_fail(err, ZK_E_DATA, "the request lacks '%s'",
			               name + 1);
		if (bind_one(st, i, value, err) < 0)
			return zk_wrap(err, "'%s'", name + 1);
	}
	return 0;
}

static void put_row(struct zk_stmt *st, struct zk_buf *b)
{
	int n = zk_col_count(st);

	zk_mp_map(b, (uint32_t)n);
	for (int i = 0; i < n; i++) {
		zk_mp_text(b, zk_str_of(zk_col_name(st, i)));
		switch (zk_col_type(st, i)) {
		case ZK_COL_I64:
			zk_mp_i64(b, zk_col_i64(st, i));
			break;
		case ZK_COL_DOUBLE:
			zk_mp_double(b, zk_col_double(st, i));
			break;
		case ZK_COL_TEXT:
			zk_mp_text(b, zk_col_text(st, i));
			break;
		case ZK_COL_BLOB:
			zk_mp_bin(b, zk_col_blob(st, i));
			break;
		case ZK_COL_NULL:
			zk_mp_nil(b);
			break;
		}
	}
}

static int run_query(struct query *q, struct zk_stmt *st)
{
	int r = bind_all(st, zk_buf_str(&q->params), &q->err);

	while (r == 0 && !atomic_load(&q->given_up)) {
		int step = zk_stmt_step(st, &q->err);

		if (step <= 0)
			return step;
		put_row(st, &q->rows);
		q->n_rows++;
		r = zk_buf_check(&q->rows, &q->err);
	}
	zk_stmt_reset(st);
	return r < 0 ? zk_wrap(&q->err, "the rows") : 0;
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct sql *s = ctx;

	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct query *q = ZK_CONTAINER_OF(j, struct query, job);
		struct zk_stmt *st;

		if (atomic_load(&q->given_up) || open_db(s, &q->err) < 0 ||
		    zk_db_prepare(atomic_load(&s->db), s->query, &st, &q->err) < 0)
			continue;
		if (run_query(q, st) == 0)
			q->changes = zk_db_changes(atomic_load(&s->db));
		zk_stmt_free(st);
	}
}

static void lane_end(void *ctx)
{
	struct sql *s = ctx;

	zk_db_close(atomic_exchange(&s->db, NULL));
}

/* ---- back on the loop ---- */

static void query_free(struct query *q)
{
	zk_buf_done(&q->params);
	zk_buf_done(&q->rows);
	free(q);
}

static void over(struct query *q)
{
	struct zk_pw_req *req = q->req;

	query_free(q);
	zk_pw_done(req);
}

/* While rows are sent. */
static void on_cancel_sending(void *ctx)
{
	over(ctx);
}

static void send_rows(void *ctx)
{
	struct query *q = ctx;
	struct zk_error err = { 0 };

	while (q->left.n) {
		zk_str row;

		if (zk_pw_is_full(q->req)) {
			zk_pw_when_room(q->req, send_rows, q);
			return;
		}
		row = zk_mp_take(&q->left);
		if (!row.n || zk_pw_chunk(q->req, row, &err) < 0)
			break;
	}
	if (err.code || zk_pw_end(q->req, &err) < 0)
		(void)zk_pw_fail(q->req, &err);
	over(q);
}

static int send_result(struct query *q, struct zk_error *err)
{
	struct zk_buf b;

	zk_buf_init(&b, q->rows.n + 64);
	zk_mp_array(&b, q->n_rows);
	zk_buf_add(&b, zk_buf_str(&q->rows));
	return zk_pw_respond_buf(q->req, &b, err);
}

static int send_ack(struct query *q, struct zk_error *err)
{
	char text[32];
	struct zk_buf b = { .p = text, .room = sizeof(text), .cap = sizeof(text) };

	zk_mp_map(&b, 1);
	zk_mp_cstr(&b, "changes");
	zk_mp_i64(&b, q->changes);
	return zk_pw_ack(q->req, zk_buf_str(&b), err);
}

static void on_done(struct zk_job *job)
{
	struct query *q = ZK_CONTAINER_OF(job, struct query, job);
	enum zk_pw_kind kind;
	struct zk_error err = { 0 };

	if (!q->req) {
		query_free(q);
		return;
	}
	kind = zk_pw_method_of(q->req)->kind;
	if (q->err.code) {
		(void)zk_pw_fail(q->req, &q->err);
	} else if (kind == ZK_PW_STREAMED) {
		q->left = zk_buf_str(&q->rows);
		zk_pw_on_cancel(q->req, on_cancel_sending, q);
		send_rows(q);
		return;
	} else if ((kind == ZK_PW_ACKED ? send_ack(q, &err) : send_result(q, &err)) < 0) {
		(void)zk_pw_fail(q->req, &err);
	}
	over(q);
}

/* While it is in the lane: what comes back is thrown away. */
static void give_up(struct query *q)
{
	q->req = NULL;
	atomic_store(&q->given_up, true);
}

static void on_cancel(void *ctx)
{
	struct query *q = ctx;
	struct zk_pw_req *req = q->req;

	give_up(q);
	zk_pw_done(req);
}

static void sql_drop(struct zk_pw_req *req)
{
	struct query *q = zk_pw_data(req);

	if (q->left.p)
		query_free(q);
	else
		give_up(q);
}

static enum zk_pw_then sql_request(struct zk_pw_req *req, zk_str payload)
{
	struct query *q = zk_new0(struct query);

	q->req = req;
	q->sql = zk_pw_method_of(req)->conf;
	q->job.done = on_done;
	q->job.bytes = sizeof(*q) + payload.n;
	zk_buf_init(&q->params, payload.n + 1);
	zk_buf_add(&q->params, payload);
	zk_buf_init(&q->rows, q->sql->max_output);
	zk_pw_set_data(req, q);
	zk_pw_on_cancel(req, on_cancel, q);
	zk_lane_push_always(q->sql->lane, &q->job); /* bounded by what may run */
	return ZK_PW_THEN_KEEP;
}

static const struct zk_pw_handler sql = { .name = "sql",
	                                  .request = sql_request,
	                                  .drop = sql_drop };

static void sql_free(void *conf)
{
	struct sql *s = conf;
	struct zk_db *db = atomic_load(&s->db);

	/* Nobody waits any more: a long statement must not delay the end. */
	if (db)
		zk_db_interrupt(db);
	zk_lane_stop(s->lane);
	free(s->path);
	free(s->query);
	free(s);
}

static int sql_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                    const struct zk_pw_spec *spec, const char *rest, struct zk_error *err)
{
	struct sql *s = zk_new0(struct sql);
	struct zk_lane_conf lane = {
		.name = "pw-sql", .ctx = s, .run = run, .end = lane_end
	};

	m->conf = s;
	m->free_conf = sql_free;
	s->path = zk_strdup(rest);
	s->query = zk_strdup(spec->query ? spec->query : "");
	s->write = spec->write;
	s->max_output = spec->max_output ? spec->max_output : env->max_output;
	if (!rest[0] || !s->query[0])
		return zk_fail(err, ZK_E_PW_TABLE, "sql needs a file and a query");
	if (m->request == ZK_PW_RAW || m->response == ZK_PW_RAW)
		return zk_fail(err, ZK_E_PW_TABLE, "the codec of sql is msgpack");
	return zk_lane_start(env->loop, &lane, &s->lane, err);
}

const struct zk_pw_maker zk_pw_sql[] = {
	{ .name = "sql", .handler = &sql, .takes_rest = true, .make = sql_make },
	{ .name = NULL },
};
