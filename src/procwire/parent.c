/* The parent's side.
 * Layer: procwire. specs/procwire.md §21. */
#include "procwire/parent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "net/uds.h"
#include "procwire/conn.h"
#include "procwire/control.h"
#include "rt/child.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define STOP_MS     5000
#define TOKEN_SIZE  32
#define CALLS_FIRST 256u
#define TX_HIGH     (4u << 20)
#define TX_LOW      (1u << 20)

struct zk_pw_call {
	struct zk_pw_parent *p;
	struct zk_pw_call *next; /* of the same bucket, or spare */
	const struct zk_pw_method *m;
	uint32_t id;
	struct zk_pw_call_conf conf;
};

struct zk_pw_parent {
	struct zk_pw_parent_conf conf;
	struct zk_child *child;
	struct zk_pw_conn *conn;
	struct zk_pw_lines lines;
	struct zk_pw_table table;
	struct zk_timer *timer; /* of $init, then of the stop */
	char token[2 * TOKEN_SIZE + 1];
	bool introduced, stopping;
	struct zk_error error;
	struct zk_pw_call **calls;
	size_t n_calls, room_calls;
	uint32_t last_id;
	struct zk_pw_call *spare;
	struct zk_pw_call *piecer; /* its answer comes in pieces */
	bool skip_pieces;
};

/* ---- calls ---- */

static struct zk_pw_call **bucket(const struct zk_pw_parent *p, uint32_t id)
{
	return &p->calls[id & (p->room_calls - 1)];
}

static struct zk_pw_call *find_call(const struct zk_pw_parent *p, uint32_t id)
{
	struct zk_pw_call *c = p->n_calls ? *bucket(p, id) : NULL;

	while (c && c->id != id)
		c = c->next;
	return c;
}

static void grow_calls(struct zk_pw_parent *p)
{
	struct zk_pw_call **old = p->calls;
	size_t n = p->room_calls;

	p->room_calls = n ? n * 2 : CALLS_FIRST;
	p->calls = zk_alloc_array(p->room_calls, sizeof(struct zk_pw_call *));
	for (size_t i = 0; i < n; i++) {
		while (old[i]) {
			struct zk_pw_call *c = old[i];

			old[i] = c->next;
			c->next = *bucket(p, c->id);
			*bucket(p, c->id) = c;
		}
	}
	free(old);
}

static void forget_call(struct zk_pw_call *c)
{
	struct zk_pw_parent *p = c->p;
	struct zk_pw_call **link = bucket(p, c->id);

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	p->n_calls--;
	if (p->piecer == c) {
		p->piecer = NULL;
		p->skip_pieces = true;
	}
	c->next = p->spare;
	p->spare = c;
}

/* Ids start at 1, wrap, skip 0 and those in use. */
static uint32_t next_id(struct zk_pw_parent *p)
{
	do
		p->last_id++;
	while (p->last_id == 0 || find_call(p, p->last_id));
	return p->last_id;
}

static void end_call(struct zk_pw_call *c, zk_str error, const struct zk_error *err)
{
	struct zk_pw_call_conf conf = c->conf;

	forget_call(c);
	conf.on_done(conf.ctx, error, err);
}

static void end_all(struct zk_pw_parent *p, const struct zk_error *err)
{
	for (size_t i = 0; i < p->room_calls; i++)
		while (p->calls[i])
			end_call(p->calls[i], ZK_STR_NULL, err);
}

struct zk_pw_call *zk_pw_parent_call(struct zk_pw_parent *p, const struct zk_pw_method *m,
                                     zk_str payload, const struct zk_pw_call_conf *conf,
                                     struct zk_error *err)
{
	struct zk_pw_call *c;

	if (!p->conn) {
		(void)zk_fail(err, ZK_E_PW_GONE, "the worker is not connected");
		return NULL;
	}
	if (p->n_calls >= p->room_calls)
		grow_calls(p);
	c = p->spare;
	if (c)
		p->spare = c->next;
	else
		c = zk_new(struct zk_pw_call);
	*c = (struct zk_pw_call){ .p = p, .m = m, .id = next_id(p), .conf = *conf };
	c->next = *bucket(p, c->id);
	*bucket(p, c->id) = c;
	p->n_calls++;
	if (conf->borrowed)
		zk_pw_conn_send_borrowed(p->conn, m->id, ZK_PW_F_REQUEST,
		                         m->kind == ZK_PW_NONE ? 0 : c->id, payload);
	else
		zk_pw_conn_send(p->conn, m->id, ZK_PW_F_REQUEST,
		                m->kind == ZK_PW_NONE ? 0 : c->id, payload);
	return c;
}

void zk_pw_call_abort(struct zk_pw_call *c)
{
	struct zk_pw_parent *p = c->p;

	if (p->conn && c->m->kind != ZK_PW_NONE)
		zk_pw_conn_send(p->conn, ZK_PW_ID_ABORT, 0, c->id, ZK_STR_NULL);
	forget_call(c);
}

/* ---- frames ---- */

/* What a frame means for a method of the kind: data, the end, an error, or nothing. */
enum meaning { M_NOTHING, M_DATA, M_LAST, M_END, M_ERROR };

static enum meaning meaning_of(enum zk_pw_kind kind, uint8_t flags)
{
	if (!(flags & ZK_PW_RESPONSE))
		return M_NOTHING;
	flags |= ZK_PW_TO_PARENT; /* some workers leave it out */
	switch (kind) {
	case ZK_PW_RESULT:
		return flags == ZK_PW_F_RESULT ? M_LAST
		       : flags == ZK_PW_F_FAIL ? M_ERROR
		                               : M_NOTHING;
	case ZK_PW_ACKED:
		if (flags == ZK_PW_F_ACK || flags == ZK_PW_F_RESULT)
			return M_LAST;
		return flags & ZK_PW_ERROR && !(flags & ZK_PW_STREAM) ? M_ERROR
		                                                      : M_NOTHING;
	case ZK_PW_STREAMED:
		return flags == ZK_PW_F_CHUNK         ? M_DATA
		       : flags == ZK_PW_F_END         ? M_END
		       : flags == ZK_PW_F_STREAM_FAIL ? M_ERROR
		       : flags == ZK_PW_F_FAIL        ? M_ERROR
		                                      : M_NOTHING;
	case ZK_PW_NONE:
		break;
	}
	return M_NOTHING;
}

static void on_frame(void *ctx, const struct zk_pw_header *h, zk_str payload)
{
	struct zk_pw_parent *p = ctx;
	const struct zk_pw_event *e;
	struct zk_pw_call *c;
	enum meaning m;

	if (h->flags == ZK_PW_F_EVENT && h->request == 0) {
		e = zk_pw_table_event_by_id(&p->table, h->method);
		if (e && p->conf.on_event)
			p->conf.on_event(p->conf.ctx, e, payload);
		return;
	}
	c = find_call(p, h->request);
	m = c ? meaning_of(c->m->kind, h->flags) : M_NOTHING;
	if (m == M_NOTHING)
		return;
	if (m == M_ERROR) {
		end_call(c, payload, NULL);
		return;
	}
	if ((m == M_DATA || m == M_LAST) && c->conf.on_data)
		c->conf.on_data(c->conf.ctx, payload);
	/* It may have been given up meanwhile. */
	if (m != M_DATA && find_call(p, h->request) == c)
		end_call(c, ZK_STR_NULL, NULL);
}

static bool on_begin(void *ctx, const struct zk_pw_header *h)
{
	struct zk_pw_parent *p = ctx;
	struct zk_pw_call *c = find_call(p, h->request);
	enum meaning m = c ? meaning_of(c->m->kind, h->flags) : M_NOTHING;

	p->piecer = NULL;
	p->skip_pieces = h->flags != ZK_PW_F_EVENT && m == M_NOTHING;
	if (p->skip_pieces)
		return true;
	if (!c || !c->conf.on_piece || (m != M_DATA && m != M_LAST))
		return false;
	p->piecer = c;
	return true;
}

static void on_piece(void *ctx, zk_str piece, bool last)
{
	struct zk_pw_parent *p = ctx;
	struct zk_pw_call *c = p->piecer;

	if (!c)
		return;
	c->conf.on_piece(c->conf.ctx, piece, last);
	if (last && p->piecer == c && c->m->kind != ZK_PW_STREAMED)
		end_call(c, ZK_STR_NULL, NULL);
	if (last)
		p->piecer = NULL;
}

static void on_room(void *ctx)
{
	struct zk_pw_parent *p = ctx;

	if (p->conf.on_room)
		p->conf.on_room(p->conf.ctx);
}

/* ---- the end ---- */

static void fail_parent(struct zk_pw_parent *p, const struct zk_error *err)
{
	if (!p->error.code && err)
		p->error = *err;
	zk_pw_conn_free(ZK_TAKE(p->conn));
	if (p->child)
		zk_child_kill(p->child);
	end_all(p, &p->error);
}

static void on_close(void *ctx, const struct zk_error *err)
{
	struct zk_pw_parent *p = ctx;
	struct zk_error gone = { 0 };

	if (!err) {
		(void)zk_fail(&gone, ZK_E_PW_GONE, "the worker closed the connection");
		err = &gone;
	}
	fail_parent(p, err);
}

static void on_child_end(void *ctx, const struct zk_child_result *res)
{
	struct zk_pw_parent *p = ctx;
	bool expected = p->stopping;

	p->child = NULL;
	zk_timer_stop(p->timer);
	zk_pw_conn_free(ZK_TAKE(p->conn));
	if (!expected && !p->error.code)
		(void)zk_fail(&p->error, p->introduced ? ZK_E_PW_GONE : ZK_E_PW_START,
		              "the worker ended by itself (status %d)", res->status);
	end_all(p, &p->error);
	p->conf.on_end(p->conf.ctx, res->status, p->error.code ? &p->error : NULL);
}

static void on_time(void *ctx)
{
	struct zk_pw_parent *p = ctx;
	struct zk_error err = { 0 };

	if (p->stopping) {
		(void)zk_fail(&p->error, ZK_E_PW_GONE,
		              "the worker did not end within %d ms", STOP_MS);
		zk_child_signal(p->child, SIGKILL);
		return;
	}
	(void)zk_fail(&err, ZK_E_PW_START, "the worker printed no $init within %lld ms",
	              (long long)p->conf.init_ms);
	fail_parent(p, &err);
}

void zk_pw_parent_stop(struct zk_pw_parent *p)
{
	struct zk_buf b;

	if (p->stopping || !p->child)
		return;
	p->stopping = true;
	zk_buf_init(&b, 256);
	zk_pw_control_shutdown(&b);
	(void)zk_child_write(p->child, zk_buf_str(&b));
	zk_buf_done(&b);
	zk_pw_conn_free(ZK_TAKE(p->conn));
	zk_timer_start(p->timer, STOP_MS, 0);
}

/* ---- control ---- */

static void authenticate(struct zk_pw_parent *p)
{
	if (p->conf.auth)
		zk_pw_conn_send(p->conn, ZK_PW_ID_AUTH, 0, 0, zk_str_of(p->token));
}

static int connect_worker(struct zk_pw_parent *p, zk_str params, struct zk_error *err)
{
	struct zk_pw_conn_conf conf = {
		.ctx = p,
		.max_payload = p->conf.max_payload,
		.high_bytes = TX_HIGH,
		.low_bytes = TX_LOW,
		.on_frame = on_frame,
		.on_begin = on_begin,
		.on_piece = on_piece,
		.on_room = on_room,
		.on_close = on_close,
	};
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	int fd;

	zk_buf_init(&path, 4096);
	if (zk_pw_control_read_init(params, &path, &p->table, err) < 0)
		return -(int)err->code;
	fd = zk_uds_connect(zk_buf_cstring(&path), err);
	if (fd < 0 || zk_pw_conn_new(p->conf.loop, fd, &conf, &p->conn, err) < 0)
		return -(int)err->code;
	authenticate(p);
	zk_pw_conn_start(p->conn);
	return 0;
}

static void on_init(struct zk_pw_parent *p, zk_str params)
{
	struct zk_error err = { 0 };

	if (p->introduced || p->error.code)
		return;
	zk_timer_stop(p->timer);
	p->introduced = true;
	if (connect_worker(p, params, &err) < 0)
		fail_parent(p, &err);
	else
		p->conf.on_ready(p->conf.ctx);
}

static void on_error_line(struct zk_pw_parent *p, zk_str params)
{
	struct zk_error err = { 0 }, ignored;
	struct zk_jval v;
	struct zk_buf text;

	if (p->introduced)
		return;
	zk_buf_init(&text, 4096);
	if (zk_jscan_get(params, ZK_STR("message"), &v) && v.type == ZK_J_STRING &&
	    zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &text, &ignored) == 0)
		(void)zk_fail(&err, ZK_E_PW_START, "the worker says: %s",
		              zk_buf_cstring(&text));
	else
		(void)zk_fail(&err, ZK_E_PW_START, "the worker reported an error");
	zk_buf_done(&text);
	fail_parent(p, &err);
}

static void on_out(void *ctx, zk_str chunk)
{
	struct zk_pw_parent *p = ctx;
	zk_str line, params;

	while (zk_pw_lines_next(&p->lines, &chunk, &line)) {
		switch (zk_pw_control_parse(line, &params)) {
		case ZK_PW_C_INIT:
			on_init(p, params);
			break;
		case ZK_PW_C_ERROR:
			on_error_line(p, params);
			break;
		case ZK_PW_C_PONG:
			if (p->conf.on_pong)
				p->conf.on_pong(p->conf.ctx);
			break;
		case ZK_PW_C_PING:
		case ZK_PW_C_SHUTDOWN:
		case ZK_PW_C_OTHER:
			break;
		}
	}
}

void zk_pw_parent_ping(struct zk_pw_parent *p)
{
	struct zk_buf b;

	zk_buf_init(&b, 256);
	zk_pw_control_simple(&b, "$ping");
	if (p->child)
		(void)zk_child_write(p->child, zk_buf_str(&b));
	zk_buf_done(&b);
}

/* ---- start ---- */

static void make_token(struct zk_pw_parent *p)
{
	unsigned char key[TOKEN_SIZE];
	struct zk_buf hex;

	zk_rand_secret(key, sizeof(key));
	zk_buf_init_secret(&hex, sizeof(p->token));
	zk_hex_encode(zk_str_n((const char *)key, sizeof(key)), &hex);
	memcpy(p->token, zk_buf_cstring(&hex), sizeof(p->token));
	zk_buf_done(&hex);
	zk_redact_add(zk_str_of(p->token));
}

static int start_child(struct zk_pw_parent *p, struct zk_error *err)
{
	char *name = zk_asprintf("PROCWIRE_MODULE_NAME=%s", p->conf.name);
	char token[sizeof(p->token) + 20] = "PROCWIRE_TOKEN";
	const char *env[] = { name, token, NULL };
	struct zk_child_conf conf = {
		.ctx = p,
		.argv = p->conf.argv,
		.env = env,
		.stream_input = true,
		.out = ZK_CHILD_STREAM,
		.err = ZK_CHILD_INHERIT,
		.on_out = on_out,
		.on_exit = on_child_end,
	};
	int r;

	if (p->conf.auth)
		(void)snprintf(token, sizeof(token), "PROCWIRE_TOKEN=%s", p->token);
	r = zk_child_start(p->conf.loop, &conf, &p->child, err);
	zk_wipe(token, sizeof(token));
	free(name);
	return r;
}

int zk_pw_parent_start(const struct zk_pw_parent_conf *conf, struct zk_pw_parent **ret,
                       struct zk_error *err)
{
	struct zk_pw_parent *p = zk_new0(struct zk_pw_parent);

	p->conf = *conf;
	zk_pw_lines_init(&p->lines, ZK_PW_INIT_MAX);
	zk_pw_table_init(&p->table);
	if (conf->auth)
		make_token(p);
	p->timer = zk_timer_new(conf->loop, on_time, p);
	if (start_child(p, err) < 0) {
		zk_pw_parent_free(p);
		return -(int)err->code;
	}
	zk_timer_start(p->timer, conf->init_ms, 0);
	*ret = p;
	return 0;
}

void zk_pw_parent_free(struct zk_pw_parent *p)
{
	if (!p)
		return;
	zk_pw_conn_free(p->conn);
	zk_child_free(p->child);
	zk_timer_free(p->timer);
	zk_pw_lines_done(&p->lines);
	zk_pw_table_done(&p->table);
	for (size_t i = 0; i < p->room_calls; i++) {
		while (p->calls[i]) {
			struct zk_pw_call *c = p->calls[i];

			p->calls[i] = c->next;
			free(c);
		}
	}
	free(p->calls);
	while (p->spare) {
		struct zk_pw_call *c = p->spare;

		p->spare = c->next;
		free(c);
	}
	zk_wipe(p->token, sizeof(p->token));
	free(p);
}

const struct zk_pw_table *zk_pw_parent_table(const struct zk_pw_parent *p)
{
	return &p->table;
}

int zk_pw_parent_pid(const struct zk_pw_parent *p)
{
	return p->child ? zk_child_pid(p->child) : 0;
}
