/* POST /api/events/batch (specs/triggers.md §5.6).
 * Layer: triggers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "triggers/api_input.h"

#include "base/ban.h"

/* What became of one element before the store saw it. */
struct element {
	enum zk_trig_input_result result;
	struct zk_trig_input *input; /* NULL unless OK */
	struct zk_buf errors;        /* INVALID: array elements */
	size_t offset, size;
	const char *what;
};

struct batch {
	struct zk_trig_call *c;
	struct element *e;
	size_t n;
	struct zk_trig_ingest *first, *last;
};

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		zk_trig_input_free(b->e[i].input);
		zk_buf_done(&b->e[i].errors);
	}
	free(b->e);
	free(b);
}

static bool batch_add(struct batch *b, zk_str text)
{
	if (b->n == ZK_TRIG_MAX_BATCH)
		return false;
	struct element *e = &b->e[b->n++];
	struct zk_trig_input *in = zk_trig_input_new();
	struct zk_trig_invalid bad = { 0 };

	e->result = zk_trig_input_read(in, b->c, text, ZK_STR_NULL, &bad);
	if (e->result == ZK_TRIG_INPUT_OK) {
		e->input = in;
		return true;
	}
	e->errors = bad.json;
	e->offset = in->offset;
	e->what = in->what;
	e->size = in->size;
	zk_trig_input_free(in);
	return true;
}

/* False when it has answered. */
static bool split_array(struct batch *b, zk_str body)
{
	struct zk_jscan js;

	if (zk_jscan(body, (unsigned)b->c->s->conf.max_depth + 2, NULL, 0, &js) < 0) {
		zk_trig_fail_json(b->c, js.offset,
		                  body.n ? js.what : "the body is empty");
		return false;
	}
	if (js.top.type != ZK_J_ARRAY) {
		struct zk_trig_invalid bad = { 0 };

		zk_trig_invalid_add(&bad, "", "the body must be a JSON array of events");
		zk_trig_invalid_reply(b->c, &bad);
		return false;
	}
	struct zk_jiter it;
	struct zk_jval v;

	zk_jiter_init(&it, js.top.raw);
	while (zk_jiter_element(&it, &v)) {
		if (!batch_add(b, v.raw))
			break;
	}
	return true;
}

static void split_lines(struct batch *b, zk_str body)
{
	while (body.n) {
		zk_str line;

		body = zk_str_cut(body, '\n', &line);
		line = zk_str_trim(line);
		if (line.n && !batch_add(b, line))
			break;
	}
}

static void put_result(struct zk_buf *out, const struct element *e)
{
	const struct zk_trig_ingest *in = e->input ? &e->input->in : NULL;

	switch (e->result) {
	case ZK_TRIG_INPUT_OK:
		if (in->duplicate) {
			zk_buf_lit(out,
			           "\"status\":409,\"code\":\"duplicate_event\",\"id\":");
			zk_trig_uuid_json(out, &in->first_id);
		} else {
			zk_buf_lit(out, "\"status\":202,\"id\":");
			zk_trig_uuid_json(out, &in->id);
		}
		return;
	case ZK_TRIG_INPUT_JSON:
		zk_buf_printf(out,
		              "\"status\":400,\"code\":\"invalid_json\",\"position\":%zu,"
		              "\"message\":",
		              e->offset);
		zk_buf_json_str(out, zk_str_of(e->what));
		return;
	case ZK_TRIG_INPUT_INVALID:
		zk_buf_lit(out,
		           "\"status\":422,\"code\":\"validation_error\",\"errors\":[");
		zk_buf_add(out, zk_buf_str(&e->errors));
		zk_buf_char(out, ']');
		return;
	case ZK_TRIG_INPUT_LARGE:
		zk_buf_printf(
		        out, "\"status\":413,\"code\":\"payload_too_large\",\"size\":%zu",
		        e->size);
		return;
	}
}

static void batch_reply(struct batch *b)
{
	struct zk_trig_call *c = b->c;
	struct zk_buf out ZK_CLEANUP(zk_buf_done);
	size_t accepted = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct element *e = &b->e[i];

		if (e->result != ZK_TRIG_INPUT_OK)
			continue;
		if (e->input->in.duplicate)
			zk_trig_metric_duplicate(c->s);
		else
			accepted++;
	}
	zk_buf_init(&out, 1024 * 1024);
	zk_buf_printf(&out, "{\"accepted\":%zu,\"rejected\":%zu,\"results\":[", accepted,
	              b->n - accepted);
	for (size_t i = 0; i < b->n; i++) {
		zk_buf_printf(&out, "%s{\"index\":%zu,", i ? "," : "", i);
		put_result(&out, &b->e[i]);
		zk_buf_char(&out, '}');
	}
	zk_buf_lit(&out, "]}");
	if (accepted)
		zk_trig_metric_accepted(c->s, accepted,
		                        zk_mono_us() - zk_httpd_start_us(c->req));
	zk_trig_reply(c, accepted == b->n ? 202 : 207, ZK_STR_NULL, zk_buf_str(&out));
}

static void on_stored(struct zk_trig_op *op)
{
	struct batch *b = op->ctx;

	if (op->code < 0)
		zk_trig_fail_store(b->c, op);
	else
		batch_reply(b);
	batch_free(b);
}

/* Joins the elements that are good; false = none is. */
static bool batch_link(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct zk_trig_input *in = b->e[i].input;

		if (!in)
			continue;
		zk_trig_input_prepare(in, b->c);
		if (b->last)
			b->last->next = &in->in;
		else
			b->first = &in->in;
		b->last = &in->in;
	}
	return b->first != NULL;
}

static bool is_ndjson(const struct zk_trig_call *c)
{
	zk_str type = zk_httpd_header(c->req, ZK_STR("Content-Type"));

	return zk_str_starts_nocase(zk_str_trim(type), ZK_STR("application/x-ndjson"));
}

/* True when the batch was split and counted; false when it is answered. */
static bool batch_read(struct batch *b)
{
	struct zk_trig_call *c = b->c;
	zk_str body = zk_jscan_skip_bom(zk_httpd_body(c->req));
	bool lines = is_ndjson(c);
	struct zk_trig_invalid bad = { 0 };

	if (!lines && !split_array(b, body))
		return false;
	if (lines)
		split_lines(b, body);
	if (b->n == 0) {
		zk_trig_invalid_add(&bad, "", "the batch holds no event");
		zk_trig_invalid_reply(c, &bad);
		return false;
	}
	return true;
}

/* More elements than allowed are noticed before anything is counted or stored. */
static bool is_too_many(const struct batch *b, zk_str body, bool lines)
{
	size_t n = 0;

	if (b->n < ZK_TRIG_MAX_BATCH)
		return false;
	if (lines) {
		while (body.n) {
			zk_str line;

			body = zk_str_cut(body, '\n', &line);
			n += zk_str_trim(line).n > 0;
		}
		return n > ZK_TRIG_MAX_BATCH;
	}
	struct zk_jscan js;

	return zk_jscan(body, (unsigned)b->c->s->conf.max_depth + 2, NULL, 0, &js) == 0 &&
	       js.members > ZK_TRIG_MAX_BATCH;
}

/* Counted, or answered with 429. */
static void batch_go(struct zk_trig_call *c, bool taken)
{
	struct batch *b = c->op;

	if (!taken) {
		batch_free(b);
		return;
	}
	if (!batch_link(b)) {
		batch_reply(b);
		batch_free(b);
		return;
	}
	b->first->op.done = on_stored;
	b->first->op.ctx = b;
	if (c->s->repo->ops->ingest(c->s->repo, b->first))
		return;
	zk_trig_fail_busy(c);
	batch_free(b);
}

void zk_trig_api_event_batch(struct zk_trig_call *c)
{
	struct batch *b = zk_new0(struct batch);
	struct zk_trig_invalid bad = { 0 };

	b->c = c;
	b->e = zk_alloc_array(ZK_TRIG_MAX_BATCH, sizeof(*b->e));
	if (!batch_read(b)) {
		batch_free(b);
		return;
	}
	if (is_too_many(b, zk_jscan_skip_bom(zk_httpd_body(c->req)), is_ndjson(c))) {
		zk_trig_invalid_add(&bad, "", "the batch holds more than 500 events");
		zk_trig_invalid_reply(c, &bad);
		batch_free(b);
		return;
	}
	c->op = b;
	switch (zk_trig_take(c, b->n, batch_go)) {
	case ZK_TRIG_TAKE_LATER:
		break;
	case ZK_TRIG_TAKEN:
		batch_go(c, true);
		break;
	case ZK_TRIG_NO_ROOM:
		batch_go(c, false);
		break;
	}
}
