/* The handler co: a pool of long-lived filters that speak NDJSON; any language is a worker.
 * Layer: procwire. specs/cli.md §Procwire. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "codec/msgpack.h"
#include "codec/ndjson.h"
#include "procwire/command.h"
#include "rt/child.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define LINE_BYTES     (16u << 20)
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 10000
/* A process that lived so long was sound: its next start is not delayed. */
#define SOUND_MS 5000

struct pool;

/* One process of the pool. */
struct copy {
	struct pool *pool;
	struct zk_child *child; /* NULL = not running */
	struct zk_ndjson lines;
	struct zk_list jobs;
	size_t n_jobs;
	struct zk_timer *restart;
	int64_t started_ms, backoff_ms;
	bool paused;
};

struct pool {
	struct zk_pw_command *c;
	struct zk_loop *loop;
	struct zk_pw_worker *worker;
	struct copy *copies;
	size_t n;
	struct zk_list waiting; /* jobs while every copy waits for its restart */
	uint64_t last_id;
};

struct job {
	struct zk_list link;
	struct zk_pw_req *req;
	struct copy *copy; /* NULL = waiting */
	uint64_t id;
	struct zk_buf line; /* waiting: what is to be written */
};

/* ---- jobs ---- */

/* The memory goes at the end of the turn: a loop over the jobs may stand on it. */
static void job_free(struct job *j)
{
	zk_list_remove(&j->link);
	if (j->copy)
		j->copy->n_jobs--;
	zk_buf_done(&j->line);
	zk_loop_defer(zk_pw_worker_loop(zk_pw_worker_of(j->req)), free, j);
}

static void job_over(struct job *j)
{
	struct zk_pw_req *req = j->req;

	job_free(j);
	zk_pw_done(req);
}

static void on_room(void *ctx)
{
	struct copy *c = ctx;

	c->paused = false;
	if (c->child)
		zk_child_pause(c->child, STDOUT_FILENO, false);
}

static void on_cancel(void *ctx)
{
	struct job *j = ctx;
	struct copy *c = j->copy;
	char text[80];
	int n;

	if (c && c->child) {
		n = snprintf(text, sizeof(text), "{\"id\":%llu,\"abort\":true}\n",
		             (unsigned long long)j->id);
		(void)zk_child_write(c->child, zk_str_n(text, (size_t)n));
		/* It may have been the one that was to be told of room. */
		if (c->paused)
			on_room(c);
	}
	job_over(j);
}

static void co_drop(struct zk_pw_req *req)
{
	job_free(zk_pw_data(req));
}

/* ---- answers ---- */

static struct job *find_job(struct copy *c, uint64_t id)
{
	ZK_LIST_EACH (e, &c->jobs) {
		struct job *j = ZK_LIST_ENTRY(e, struct job, link);

		if (j->id == id)
			return j;
	}
	return NULL;
}

enum { W_ID, W_DATA, W_CHUNK, W_END, W_ERROR, W_EVENT, WANTED };

static int encode(const struct zk_jval *v, struct zk_buf *b, struct zk_error *err)
{
	if (v->type == ZK_J_NONE) {
		zk_mp_nil(b);
		return 0;
	}
	return zk_mp_from_json(v->raw, b, err);
}

static void send_error(struct job *j, const struct zk_jval *v)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, LINE_BYTES * 2);
	if (encode(v, &b, &err) < 0)
		(void)zk_pw_fail(j->req, &err);
	else
		(void)zk_pw_fail_raw(j->req, zk_buf_str(&b));
	zk_buf_done(&b);
	job_over(j);
}

static void send_data(struct job *j, const struct zk_jval *v, bool chunk)
{
	enum zk_pw_kind kind = zk_pw_method_of(j->req)->kind;
	struct zk_error err = { 0 };
	struct zk_buf b;
	int r;

	zk_buf_init(&b, LINE_BYTES * 2);
	r = encode(v, &b, &err);
	if (r == 0 && (chunk || kind == ZK_PW_STREAMED))
		r = zk_pw_chunk_buf(j->req, &b, &err);
	else if (r == 0 && kind == ZK_PW_ACKED)
		r = zk_pw_ack(j->req, zk_buf_str(&b), &err);
	else if (r == 0)
		r = zk_pw_respond_buf(j->req, &b, &err);
	/* `data` of a stream is its only chunk. */
	if (r == 0 && !chunk && kind == ZK_PW_STREAMED)
		r = zk_pw_end(j->req, &err);
	zk_buf_done(&b);
	if (r < 0)
		(void)zk_pw_fail(j->req, &err);
	if (r < 0 || !chunk)
		job_over(j);
}

static void emit_event(struct copy *c, const struct zk_jwant *want)
{
	struct zk_error err = { 0 };
	struct zk_buf b;
	zk_str name;

	zk_buf_init(&b, LINE_BYTES * 2);
	if (want[W_EVENT].val.type != ZK_J_STRING ||
	    !zk_jstr_plain(want[W_EVENT].val.raw, &name))
		(void)zk_fail(&err, ZK_E_DATA, "'event' is no name");
	else if (encode(&want[W_DATA].val, &b, &err) == 0 &&
	         zk_pw_emit(c->pool->worker, name, zk_buf_str(&b), &err) < 0)
		(void)zk_wrap(&err, "event");
	if (err.code)
		zk_warn("an event of a process was not sent", "why=%s", err.msg);
	zk_buf_done(&b);
}

static void take_line(struct copy *c, zk_str line)
{
	struct zk_jwant want[WANTED] = {
		[W_ID] = { .name = ZK_STR_INIT("id") },
		[W_DATA] = { .name = ZK_STR_INIT("data") },
		[W_CHUNK] = { .name = ZK_STR_INIT("chunk") },
		[W_END] = { .name = ZK_STR_INIT("end") },
		[W_ERROR] = { .name = ZK_STR_INIT("error") },
		[W_EVENT] = { .name = ZK_STR_INIT("event") },
	};
	struct zk_error err = { 0 };
	struct zk_jscan js;
	uint64_t id = 0;
	struct job *j;

	if (zk_jscan(line, ZK_MP_DEPTH, want, WANTED, &js) < 0 ||
	    js.top.type != ZK_J_OBJECT) {
		zk_warn("a process wrote a line that is no JSON object", "argv0=%s",
		        c->pool->c->words.v[0]);
		return;
	}
	if (want[W_EVENT].count) {
		emit_event(c, want);
		return;
	}
	if (!zk_jnum_u64(want[W_ID].val.raw, &id))
		return;
	j = find_job(c, id);
	if (!j)
		return; /* given up meanwhile */
	if (want[W_ERROR].count) {
		send_error(j, &want[W_ERROR].val);
	} else if (want[W_CHUNK].count) {
		send_data(j, &want[W_CHUNK].val, /* chunk */ true);
	} else if (want[W_END].count) {
		if (zk_pw_end(j->req, &err) < 0)
			(void)zk_pw_fail(j->req, &err);
		job_over(j);
	} else {
		send_data(j, &want[W_DATA].val, /* chunk */ false);
	}
}

static void on_out(void *ctx, zk_str chunk)
{
	struct copy *c = ctx;
	struct zk_ndjson_line line;

	while (zk_ndjson_next(&c->lines, &chunk, &line)) {
		if (!line.too_long) {
			take_line(c, line.text);
			continue;
		}
		/* Whose answer it was stands somewhere in it: all of them have to be told. */
		zk_warn("a process wrote a line that is too long, it is ended",
		        "argv0=%s bytes=%u", c->pool->c->words.v[0], LINE_BYTES);
		zk_child_kill(c->child);
	}
	if (c->paused || zk_list_is_empty(&c->jobs))
		return;
	struct job *j = ZK_LIST_ENTRY(c->jobs.next, struct job, link);

	if (zk_pw_is_full(j->req)) {
		c->paused = true;
		zk_child_pause(c->child, STDOUT_FILENO, true);
		zk_pw_when_room(j->req, on_room, c);
	}
}

/* ---- processes ---- */

static void pool_turn(struct pool *p);

static void on_restart(void *ctx)
{
	struct copy *c = ctx;

	pool_turn(c->pool);
}

static void on_ended(void *ctx, const struct zk_child_result *res)
{
	struct copy *c = ctx;
	struct zk_error err = { 0 };
	struct zk_list *e;

	c->child = NULL;
	c->paused = false;
	zk_ndjson_done(&c->lines);
	if (res->ms >= SOUND_MS)
		c->backoff_ms = 0;
	c->backoff_ms = c->backoff_ms ? ZK_MIN(c->backoff_ms * 2, BACKOFF_MAX_MS)
	                              : BACKOFF_MIN_MS;
	zk_warn("a process of a pool ended", "argv0=%s status=%d restart_ms=%lld",
	        c->pool->c->words.v[0], res->status, (long long)c->backoff_ms);
	(void)zk_fail(&err, ZK_E_PW_HANDLER, "the process '%s' ended with status %d",
	              c->pool->c->words.v[0], res->status);
	while ((e = zk_list_pop(&c->jobs)) != NULL) {
		struct job *j = ZK_LIST_ENTRY(e, struct job, link);

		(void)zk_pw_fail(j->req, &err);
		job_over(j);
	}
	zk_timer_start(c->restart, c->backoff_ms, 0);
}

static int start_copy(struct copy *c, struct zk_error *err)
{
	struct zk_pw_words env = { 0 };
	struct zk_child_conf conf = {
		.ctx = c,
		.argv = c->pool->c->words.v,
		.cwd = c->pool->c->cwd,
		.stream_input = true,
		.out = ZK_CHILD_STREAM,
		.err = ZK_CHILD_INHERIT,
		.grace_ms = c->pool->c->kill_grace_ms,
		.on_out = on_out,
		.on_exit = on_ended,
	};
	int r;

	zk_pw_command_env(c->pool->c, &env);
	conf.env = (const char *const *)env.v;
	zk_ndjson_init(&c->lines, LINE_BYTES);
	r = zk_child_start(c->pool->loop, &conf, &c->child, err);
	zk_pw_words_done(&env);
	c->started_ms = zk_loop_now_ms(c->pool->loop);
	return r;
}

/* The copy with the least to do; one more is started while all are busy. NULL: none runs, and
 * none may be started now. */
static struct copy *choose(struct pool *p, struct zk_error *err)
{
	struct copy *best = NULL, *idle = NULL;

	for (size_t i = 0; i < p->n; i++) {
		struct copy *c = &p->copies[i];

		if (c->child && (!best || c->n_jobs < best->n_jobs))
			best = c;
		if (!c->child && !idle && !zk_timer_is_active(c->restart))
			idle = c;
	}
	if ((best && best->n_jobs == 0) || !idle)
		return best;
	return start_copy(idle, err) == 0 ? idle : best;
}

static void give(struct copy *c, struct job *j)
{
	zk_list_remove(&j->link);
	zk_list_push(&c->jobs, &j->link);
	j->copy = c;
	c->n_jobs++;
	(void)zk_child_write(c->child, zk_buf_str(&j->line)); /* bounded by what runs */
	zk_buf_done(&j->line);
}

static void pool_turn(struct pool *p)
{
	struct zk_list *e;

	while ((e = zk_list_pop(&p->waiting)) != NULL) {
		struct job *j = ZK_LIST_ENTRY(e, struct job, link);
		struct zk_error err = { 0 };
		struct copy *c = choose(p, &err);

		if (c) {
			give(c, j);
		} else if (err.code) {
			(void)zk_pw_fail(j->req, &err);
			job_over(j);
		} else {
			zk_list_push_front(&p->waiting, e);
			return;
		}
	}
}

/* ---- requests ---- */

static int put_line(struct job *j, const struct zk_pw_method *m, zk_str payload,
                    struct zk_error *err)
{
	struct zk_jwrite w;

	zk_buf_init(&j->line, (size_t)LINE_BYTES * 4);
	zk_jwrite_init(&w, &j->line);
	zk_jw_obj(&w);
	zk_jw_key(&w, "id");
	zk_jw_u64(&w, j->id);
	zk_jw_key(&w, "method");
	zk_jw_cstr(&w, m->name);
	zk_jw_key(&w, "data");
	if (zk_mp_to_json(payload, &j->line, err) < 0)
		return -(int)err->code;
	zk_buf_lit(&j->line, "}\n");
	return zk_buf_check(&j->line, err);
}

static enum zk_pw_then co_request(struct zk_pw_req *req, zk_str payload)
{
	const struct zk_pw_method *m = zk_pw_method_of(req);
	struct pool *p = m->conf;
	struct job *j = zk_new0(struct job);
	struct zk_error err = { 0 };
	struct copy *c;

	j->req = req;
	j->id = ++p->last_id;
	zk_list_init(&j->link);
	zk_pw_set_data(req, j);
	zk_list_push(&p->waiting, &j->link);
	if (put_line(j, m, payload, &err) == 0) {
		c = choose(p, &err);
		if (c)
			give(c, j);
	}
	if (err.code) {
		job_free(j);
		return zk_pw_fail(req, &err);
	}
	zk_pw_on_cancel(req, on_cancel, j);
	return ZK_PW_THEN_KEEP;
}

static const struct zk_pw_handler co = { .name = "co",
	                                 .request = co_request,
	                                 .drop = co_drop };

static void pool_free(void *conf)
{
	struct pool *p = conf;

	for (size_t i = 0; i < p->n; i++) {
		zk_child_free(p->copies[i].child);
		zk_timer_free(p->copies[i].restart);
		zk_ndjson_done(&p->copies[i].lines);
	}
	free(p->copies);
	zk_pw_command_free(p->c);
	free(p);
}

static int co_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                   const struct zk_pw_spec *spec, const char *rest, struct zk_error *err)
{
	struct pool *p = zk_new0(struct pool);

	p->c = zk_pw_command_new(env, m, spec);
	m->conf = p;
	m->free_conf = pool_free;
	p->loop = env->loop;
	p->worker = env->worker;
	p->n = spec->copies ? spec->copies : 1;
	p->copies = zk_alloc_array(p->n, sizeof(*p->copies));
	zk_list_init(&p->waiting);
	for (size_t i = 0; i < p->n; i++) {
		p->copies[i].pool = p;
		zk_list_init(&p->copies[i].jobs);
		p->copies[i].restart = zk_timer_new(p->loop, on_restart, &p->copies[i]);
	}
	if (m->request == ZK_PW_RAW || m->response == ZK_PW_RAW)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "co speaks JSON: the codec is msgpack");
	if (zk_pw_command_words(p->c, spec, rest, err) < 0)
		return -(int)err->code;
	if (p->c->words.has_fields)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "co takes no {field}: data goes to stdin");
	return zk_pw_command_common(p->c, m, spec, err);
}

const struct zk_pw_maker zk_pw_co[] = {
	{ .name = "co", .handler = &co, .takes_rest = true, .make = co_make },
	{ .name = NULL },
};
