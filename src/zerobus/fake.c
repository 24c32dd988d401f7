/* The stand-in: streams.
 * Layer: zerobus. specs/zerobus.md §19. */
#include "zerobus/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "net/grpc.h"
#include "rt/loop.h"
#include "zerobus/fake_int.h"
#include "zerobus/decode.h"
#include "zerobus/proto.h"
#include "zerobus/schema.h"

#define ZK_LOGGER "fake"
#include "base/log.h"

#include "base/ban.h"

#define MESSAGE_MAX ((size_t)64 << 20)
#define OUT_MAX     ((size_t)1 << 20)
#define FILE_BYTES  ((size_t)256 << 10)
#define LATE_MS     20

/* ---- violations and rows ---- */

void zk_zb_fake_violate(struct zk_zb_fake *f, const char *what)
{
	f->stats.violations++;
	if (f->n_violations < FAKE_VIOLATIONS)
		(void)snprintf(f->violations[f->n_violations++], FAKE_TEXT, "%s", what);
	zk_warn("the client broke a rule", "rule=%s", what);
}

static void flush_table(struct fake_table *t)
{
	int e = t->fd >= 0 ? zk_write_all(t->fd, zk_buf_str(&t->lines)) : 0;

	if (e) {
		zk_logerr("cannot write rows", "table=%s error=%s", t->name, strerror(e));
		(void)close(t->fd);
		t->fd = -1;
	}
	zk_buf_clear(&t->lines);
}

void zk_zb_fake_flush(struct zk_zb_fake *f)
{
	void *value;
	zk_str key;
	size_t pos = 0;

	while (zk_map_next(&f->tables, &pos, &key, &value))
		flush_table(value);
}

static struct fake_table *table_of(struct zk_zb_fake *f, zk_str name)
{
	struct fake_table *t = zk_map_get(&f->tables, name);

	if (t)
		return t;
	t = zk_new0(struct fake_table);
	t->name = zk_strndup(name.p, name.n);
	t->fd = -1;
	zk_buf_init(&t->lines, SIZE_MAX / 2);
	if (f->conf.out) {
		ZK_CLEANUP(zk_freep)
		char *path = zk_asprintf("%s/%s.ndjson", f->conf.out, t->name);

		t->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (t->fd < 0)
			zk_logerr("cannot write rows", "file=%s error=%s", path,
			          strerror(errno));
	}
	(void)zk_map_set(&f->tables, name, t);
	return t;
}

/* A row is known by the hash of its bytes: enough to count what came twice. */
static void store_row(struct fake_stream *s, zk_str row)
{
	struct zk_zb_fake *f = s->f;
	struct fake_table *t = s->table;
	struct zk_error err;
	char key[8];
	uint64_t h = zk_hash(row);

	memcpy(key, &h, sizeof(key));
	if (zk_map_set(&t->seen, zk_str_n(key, sizeof(key)), t))
		f->stats.doubled++;
	f->stats.stored++;
	if (t->fd < 0)
		return;
	if (!s->schema)
		zk_buf_add(&t->lines, row);
	else if (zk_zb_decode_row(s->schema, row, /* strict */ true, &t->lines, &err) < 0)
		zk_zb_fake_violate(f, err.msg); /* it was looked at when it came */
	zk_buf_char(&t->lines, '\n');
	if (t->lines.n >= FILE_BYTES)
		flush_table(t);
}

static void store(struct fake_stream *s, zk_str message)
{
	struct zk_zb_ask a;
	struct zk_error err;
	size_t at = 0;
	zk_str row;

	if (zk_zb_ask_parse(message, &a, &err) < 0)
		return; /* it was parsed before */
	while (zk_zb_ask_next(&a, &at, &row, &err) > 0)
		store_row(s, row);
}

/* ---- answers ---- */

static void wake(struct fake_stream *s)
{
	zk_h2_resume(zk_h2d_h2(s->conn->c), s->id);
	zk_loop_defer(s->f->loop, zk_zb_fake_flush_conn, s->conn);
}

static void end_with(struct fake_stream *s, int code, const char *text)
{
	char number[8];
	struct zk_h2_header v[] = { { ZK_STR("grpc-status"), ZK_STR_NULL, false },
		                    { ZK_STR("grpc-message"), zk_str_of(text), false } };

	if (s->ended)
		return;
	s->ended = true;
	s->status = code;
	(void)snprintf(number, sizeof(number), "%d", code);
	v[0].value = zk_str_of(number);
	zk_h2_trailers(zk_h2d_h2(s->conn->c), s->id, v, text[0] ? 2 : 1);
	wake(s);
}

static void do_cut(struct fake_stream *s)
{
	s->f->stats.cuts++;
	s->f->stats.cut_row = s->rows;
	switch (s->fault.cut) {
	case ZK_ZB_CUT_STATUS:
		end_with(s, s->fault.code, s->fault.text);
		break;
	case ZK_ZB_CUT_RESET:
		s->ended = true;
		zk_h2_reset(zk_h2d_h2(s->conn->c), s->id, (uint32_t)s->fault.h2_code);
		wake(s);
		break;
	case ZK_ZB_CUT_GOAWAY:
		s->ended = true;
		zk_h2_goaway(zk_h2d_h2(s->conn->c), (uint32_t)s->fault.h2_code);
		wake(s);
		break;
	case ZK_ZB_CUT_TCP:
	case ZK_ZB_CUT_FIN:
		s->ended = true;
		s->conn->cut_reset = s->fault.cut == ZK_ZB_CUT_TCP;
		zk_loop_defer(s->f->loop, zk_zb_fake_cut_conn, s->conn);
		break;
	case ZK_ZB_CUT_SILENCE:
		s->ended = s->silent = true;
		break;
	}
}

/* Rows that were waiting for this acknowledgement are durable now. */
static void keep_until(struct fake_stream *s, int64_t offset)
{
	while (s->first && s->first->offset <= offset) {
		struct fake_pending *p = s->first;

		s->first = p->next;
		store(s, zk_str_n(p->bytes, p->n));
		free(p);
	}
	if (!s->first)
		s->last = &s->first;
}

static void send_ack(struct fake_stream *s, int64_t offset)
{
	static const char blank_ack[] = { 0, 0, 0, 0, 2, 0x12, 0 }; /* §21 */

	if (s->ended || offset <= s->acked)
		return;
	s->acked = offset;
	keep_until(s, offset);
	if (s->fault.blank_ack) {
		zk_buf_put(&s->out, blank_ack, sizeof(blank_ack));
		s->fault.blank_ack = false;
	} else if (s->fault.bad_ack != INT64_MIN) {
		zk_zb_put_ack(&s->out, s->fault.bad_ack);
		s->fault.bad_ack = INT64_MIN;
	} else {
		zk_zb_put_ack(&s->out, offset);
	}
	wake(s);
}

static void on_ack_timer(void *ctx)
{
	struct fake_stream *s = ctx;

	send_ack(s, s->due);
}

static void ack(struct fake_stream *s, int64_t offset)
{
	bool due = (uint64_t)(offset + 1) % s->fault.ack_every == 0;

	if (offset > s->fault.ack_limit)
		return;
	if (due && !s->fault.ack_delay_ms) {
		send_ack(s, offset);
		return;
	}
	/* What is not due by its number is acknowledged a little later all the same. */
	s->due = offset;
	if (!zk_timer_is_active(s->timer))
		zk_timer_start(s->timer, ZK_MAX(s->fault.ack_delay_ms, (int64_t)LATE_MS),
		               0);
}

/* ---- requests ---- */

/* The descriptor must be one, with every type_name resolved; NULL = it is. */
static const char *read_descriptor(struct fake_stream *s, const struct zk_zb_ask *a)
{
	struct zk_zb_schema_conf conf = { .message = "row" };
	struct zk_error err = { 0 };

	if (a->record_type != ZK_ZB_PROTO || s->f->conf.fast ||
	    zk_zb_schema_of_descriptor(a->descriptor, &conf, &s->schema, &err) == 0)
		return NULL;
	(void)snprintf(s->why, sizeof(s->why), "the descriptor is none: %.120s", err.msg);
	return s->why;
}

static void on_stall_over(void *ctx)
{
	struct fake_stream *s = ctx;

	zk_h2d_pause(s->conn->c, false);
}

static void answer_create(struct fake_stream *s)
{
	static const char empty[] = { 0, 0, 0, 0, 0 };
	static const char garbage[] = {
		0, 0, 0, 0, 3, (char)0xff, (char)0xff, (char)0xff
	};
	char id[64];

	(void)snprintf(id, sizeof(id), "fake-%" PRIu64, s->number);
	if (s->fault.empty)
		zk_buf_put(&s->out, empty, sizeof(empty));
	else if (s->fault.garbage)
		zk_buf_put(&s->out, garbage, sizeof(garbage));
	else
		zk_zb_put_created(&s->out, zk_str_of(id));
	wake(s);
}

static void on_create(struct fake_stream *s, const struct zk_zb_ask *a)
{
	struct zk_zb_fake *f = s->f;
	const char *wrong = NULL;

	if (s->created)
		wrong = "create_stream came twice";
	else if (!zk_str_eq(a->table, zk_buf_str(&s->header_table)))
		wrong = "header and message name different tables";
	else if (a->record_type != ZK_ZB_PROTO && a->record_type != ZK_ZB_JSON)
		wrong = "record_type is neither PROTO nor JSON";
	else if ((a->record_type == ZK_ZB_PROTO) != a->has_descriptor)
		wrong = "a descriptor belongs to PROTO streams, and to no others";
	else
		wrong = read_descriptor(s, a);
	if (wrong) {
		zk_zb_fake_violate(f, wrong);
		end_with(s, ZK_GRPC_INVALID_ARGUMENT, wrong);
		return;
	}
	s->created = true;
	s->type = (enum zk_zb_record_type)a->record_type;
	s->table = table_of(f, a->table);
	if (s->fault.refuse) {
		end_with(s, s->fault.code, s->fault.text);
		return;
	}
	if (s->fault.silent)
		return;
	if (s->fault.stall_ms) {
		zk_h2d_pause(s->conn->c, true);
		s->stall = zk_timer_new(f->loop, on_stall_over, s);
		zk_timer_start(s->stall, s->fault.stall_ms, 0);
	}
	answer_create(s);
}

static bool row_is_good(struct fake_stream *s, zk_str row)
{
	struct zk_error err = { 0 };
	struct zk_jscan js;

	if (s->type == ZK_ZB_JSON &&
	    (zk_jscan(row, 64, NULL, 0, &js) < 0 || js.top.type != ZK_J_OBJECT))
		zk_zb_fake_violate(s->f, "a JSON record is no object");
	zk_buf_clear(&s->f->row);
	if (s->schema &&
	    zk_zb_decode_row(s->schema, row, /* strict */ true, &s->f->row, &err) < 0)
		zk_zb_fake_violate(s->f, err.msg);
	return !s->fault.poison[0] || zk_str_find(row, zk_str_of(s->fault.poison)) < 0;
}

/* Counts and checks the rows; their number, or -1: the request is refused. */
static int64_t look_at_rows(struct fake_stream *s, const struct zk_zb_ask *a)
{
	struct zk_error err;
	size_t at = 0;
	int64_t n = 0;
	zk_str row;
	int r;

	while ((r = zk_zb_ask_next(a, &at, &row, &err)) > 0) {
		n++;
		if (!s->f->conf.fast && !row_is_good(s, row))
			return -1;
	}
	if (r < 0 || n == 0)
		zk_zb_fake_violate(s->f,
		                   r < 0 ? "a batch is malformed" : "a batch is empty");
	return n;
}

static void keep(struct fake_stream *s, zk_str message, int64_t offset)
{
	struct fake_pending *p;

	if (s->f->conf.fast)
		return;
	if (!s->fault.drops_unacked) {
		store(s, message);
		return;
	}
	p = zk_alloc(sizeof(*p) + message.n);
	p->next = NULL;
	p->offset = offset;
	p->n = message.n;
	memcpy(p->bytes, message.p, message.n);
	*s->last = p;
	s->last = &p->next;
}

/* What the plan does after so many rows; true when the stream is over. */
static bool after_rows(struct fake_stream *s)
{
	if (s->fault.end_after && s->rows >= s->fault.end_after) {
		do_cut(s);
		return true;
	}
	if (s->fault.close_after && s->rows >= s->fault.close_after) {
		s->fault.close_after = 0;
		s->f->stats.signals++;
		zk_zb_put_close(&s->out, s->fault.close_ms);
		wake(s);
		if (s->fault.breaks_word)
			end_with(s, ZK_GRPC_UNAVAILABLE, "closed before the time");
	}
	return s->ended;
}

static void on_ingest(struct fake_stream *s, const struct zk_zb_ask *a, zk_str message)
{
	struct zk_zb_fake *f = s->f;
	int64_t n;

	if (!s->created || !a->has_offset || a->offset != s->next_offset ||
	    a->type != s->type) {
		zk_zb_fake_violate(f, !s->created ? "rows before create_stream"
		                      : a->type != s->type
		                              ? "rows of the wrong kind"
		                              : "offsets must be 0, 1, 2, …");
		end_with(s, ZK_GRPC_INVALID_ARGUMENT, "the protocol was broken");
		return;
	}
	s->next_offset++;
	f->stats.requests++;
	n = look_at_rows(s, a);
	if (n < 0) {
		end_with(s, ZK_GRPC_INVALID_ARGUMENT, "a row does not fit the table");
		return;
	}
	s->rows += (uint64_t)n;
	f->stats.rows += (uint64_t)n;
	keep(s, message, a->offset);
	if (!after_rows(s))
		ack(s, a->offset);
}

static void on_message(struct fake_stream *s, zk_str message)
{
	struct zk_zb_ask a;
	struct zk_error err;

	if (zk_zb_ask_parse(message, &a, &err) < 0) {
		zk_zb_fake_violate(s->f, "a message is no protobuf");
		end_with(s, ZK_GRPC_INVALID_ARGUMENT, err.msg);
		return;
	}
	if (a.what == ZK_ZB_ASKS_CREATE)
		on_create(s, &a);
	else if (a.what == ZK_ZB_ASKS_INGEST)
		on_ingest(s, &a, message);
	else
		zk_zb_fake_violate(s->f, "a message of no kind");
}

void zk_zb_fake_data(struct fake_stream *s, zk_str bytes)
{
	struct zk_error err;
	zk_str msg;
	int r;

	s->f->stats.bytes += bytes.n;
	if (s->ended)
		return;
	while (!s->ended &&
	       (r = zk_grpc_split_next(&s->split, &bytes, &msg, &err)) != 0) {
		if (r < 0) {
			zk_zb_fake_violate(s->f, err.msg);
			end_with(s, ZK_GRPC_INTERNAL, err.msg);
			return;
		}
		on_message(s, msg);
	}
}

void zk_zb_fake_end(struct fake_stream *s)
{
	if (s->ended)
		return;
	if (!zk_grpc_split_is_whole(&s->split))
		zk_zb_fake_violate(s->f, "a message is torn at END_STREAM");
	send_ack(s, ZK_MIN(s->next_offset - 1, s->fault.ack_limit));
	end_with(s, ZK_GRPC_OK, "");
}

/* ---- streams ---- */

static void chaos(struct zk_rand *rnd, struct zk_zb_fault *f)
{
	*f = zk_zb_no_fault;
	f->code = 14;
	f->drops_unacked = zk_rand_below(rnd, 2);
	switch (zk_rand_below(rnd, 8)) {
	case 0:
		f->refuse = true;
		break;
	case 1:
	case 2:
	case 3:
		f->end_after = 1 + zk_rand_below(rnd, 60000);
		f->cut = (enum zk_zb_cut)zk_rand_below(rnd, 5);
		break;
	case 4:
		f->close_after = 1 + zk_rand_below(rnd, 60000);
		f->close_ms = (int64_t)zk_rand_below(rnd, 1000);
		break;
	case 5:
		f->ack_limit = (int64_t)zk_rand_below(rnd, 20);
		f->end_after = 30000 + zk_rand_below(rnd, 30000);
		break;
	case 6:
		f->ack_delay_ms = 1 + (int64_t)zk_rand_below(rnd, 20);
		f->ack_every = 1 + zk_rand_below(rnd, 5);
		f->end_after = 1 + zk_rand_below(rnd, 200000);
		break;
	default:
		f->end_after = 100000;
		f->cut = ZK_ZB_CUT_TCP;
		break;
	}
}

static void choose_fault(struct zk_zb_fake *f, struct fake_stream *s)
{
	s->fault = zk_zb_no_fault;
	if (f->conf.chaos)
		chaos(&f->rnd, &s->fault);
	else if (s->number < f->plan.n_streams)
		s->fault = f->plan.streams[s->number];
}

struct fake_stream *zk_zb_fake_stream_new(struct fake_conn *conn, int32_t id)
{
	struct fake_stream *s = zk_new0(struct fake_stream);

	s->f = conn->f;
	s->conn = conn;
	s->id = id;
	s->number = conn->f->stats.streams++;
	s->acked = s->status = -1;
	s->last = &s->first;
	s->timer = zk_timer_new(conn->f->loop, on_ack_timer, s);
	zk_buf_init(&s->out, OUT_MAX);
	zk_buf_init(&s->header_table, 1024);
	zk_buf_init(&s->token, 65536);
	zk_buf_init(&s->path, 1024);
	zk_grpc_split_init(&s->split, MESSAGE_MAX);
	choose_fault(conn->f, s);
	zk_list_push(&conn->streams, &s->link);
	return s;
}

/* What became of it, for /stats. */
static void note_stream(const struct fake_stream *s)
{
	struct zk_buf *log = &s->f->stream_log;
	struct zk_jwrite w;

	if (log->n + FAKE_ENTRY > FAKE_LOG_BYTES)
		return;
	zk_jwrite_init(&w, log);
	zk_jw_obj(&w);
	zk_jw_key(&w, "stream");
	zk_jw_u64(&w, s->number);
	zk_jw_key(&w, "table");
	zk_jw_str(&w, zk_buf_str(&s->header_table));
	zk_jw_key(&w, "record_type");
	zk_jw_cstr(&w, s->type == ZK_ZB_PROTO  ? "PROTO"
	               : s->type == ZK_ZB_JSON ? "JSON"
	                                       : "");
	zk_jw_key(&w, "requests");
	zk_jw_i64(&w, s->next_offset);
	zk_jw_key(&w, "rows");
	zk_jw_u64(&w, s->rows);
	zk_jw_key(&w, "acked_up_to");
	zk_jw_i64(&w, s->acked);
	zk_jw_key(&w, "status");
	if (s->status >= 0)
		zk_jw_i64(&w, s->status);
	else
		zk_jw_null(&w);
	zk_jw_obj_end(&w);
	zk_buf_char(log, ',');
}

void zk_zb_fake_stream_free(struct fake_stream *s)
{
	note_stream(s);
	zk_list_remove(&s->link);
	while (s->first) {
		struct fake_pending *p = s->first;

		s->first = p->next;
		s->f->stats.thrown++;
		free(p);
	}
	zk_timer_free(s->timer);
	zk_timer_free(s->head);
	if (s->stall)
		zk_h2d_pause(s->conn->c, false);
	zk_timer_free(s->stall);
	zk_zb_schema_free(s->schema);
	zk_buf_done(&s->out);
	zk_buf_done(&s->header_table);
	zk_buf_done(&s->token);
	zk_buf_done(&s->path);
	zk_grpc_split_done(&s->split);
	free(s);
}
