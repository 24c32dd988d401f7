/* The detail of an execution, taken apart as it comes.
 * Layer: zip. specs/zeal-zip.md §6.7. */
#include "zip/trace_detail.h"

#include "codec/jscan.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define MAX_HEAD  ((size_t)16 << 20)
#define MAX_EVENT (2 * ZK_ZIP_EVENT_MAX)
#define MAX_DEPTH 300

void zk_zip_detail_init(struct zk_zip_detail *d)
{
	*d = (struct zk_zip_detail){ 0 };
	zk_buf_init(&d->head, MAX_HEAD);
	zk_buf_init(&d->part, MAX_EVENT);
}

void zk_zip_detail_done(struct zk_zip_detail *d)
{
	zk_buf_done(&d->head);
	zk_buf_done(&d->part);
}

static int broken(struct zk_error *err)
{
	return zk_fail(err, ZK_E_PROTOCOL, "the detail of the execution cannot be read");
}

static int hand_out(struct zk_zip_detail *d, zk_str event, struct zk_error *err)
{
	struct zk_jscan js;

	if (zk_jscan(event, MAX_DEPTH, NULL, 0, &js) < 0)
		return broken(err);
	d->events++;
	return d->on_event ? d->on_event(d->ctx, event, err) : 0;
}

/* The byte behind the string that begins or goes on at `p`, or NULL when the chunk ends before. */
static const char *pass_string(struct zk_zip_detail *d, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (d->escaped) {
			d->escaped = false;
		} else if (*p == '\\') {
			d->escaped = true;
		} else if (*p == '"') {
			d->in_string = false;
			return p + 1;
		}
	}
	return NULL;
}

/* Inside an event: to its end, or to that of the chunk. */
static const char *pass_event(struct zk_zip_detail *d, const char *p, const char *end)
{
	while (p < end) {
		if (d->in_string) {
			p = pass_string(d, p, end);
			if (!p)
				return end;
			continue;
		}
		if (*p == '"') {
			d->in_string = true;
		} else if (*p == '{' || *p == '[') {
			d->depth++;
		} else if (*p == '}' || *p == ']') {
			d->depth--;
			if (d->depth == 2)
				return p + 1;
		}
		p++;
	}
	return end;
}

/* Takes from an event what the chunk has of it. */
static int take_event(struct zk_zip_detail *d, zk_str *chunk, struct zk_error *err)
{
	const char *p = pass_event(d, chunk->p, chunk->p + chunk->n);
	zk_str piece = zk_str_n(chunk->p, (size_t)(p - chunk->p));
	bool over = d->depth == 2 && !d->in_string;
	int r = 0;

	*chunk = zk_str_from(*chunk, piece.n);
	if (!over || d->part.n) {
		zk_buf_add(&d->part, piece);
		if (zk_buf_check(&d->part, err) < 0)
			return zk_wrap(err, "an event of the execution");
		piece = zk_buf_str(&d->part);
	}
	if (over) {
		d->in_event = false;
		r = hand_out(d, piece, err);
		zk_buf_clear(&d->part);
	}
	return r;
}

/* A byte between the events. */
static int between(struct zk_zip_detail *d, char c, struct zk_error *err)
{
	if (c == ']') {
		d->depth--;
		d->in_events = false;
		zk_buf_char(&d->head, c);
	} else if (c != ',' && c != ' ' && c != '\n' && c != '\r' && c != '\t') {
		return broken(err);
	}
	return 0;
}

/* A string of the rest; names of the top object are looked at. */
static void in_string(struct zk_zip_detail *d, char c)
{
	zk_buf_char(&d->head, c);
	if (d->is_name)
		zk_buf_char(&d->part, c);
	if (d->escaped) {
		d->escaped = false;
	} else if (c == '\\') {
		d->escaped = true;
	} else if (c == '"') {
		d->in_string = false;
		if (d->is_name)
			d->name_is_events =
			        zk_jstr_eq(zk_buf_str(&d->part), ZK_STR("events"));
		d->is_name = false;
		zk_buf_clear(&d->part);
	}
}

/* A byte of the rest, outside of strings. */
static int outside(struct zk_zip_detail *d, char c, struct zk_error *err)
{
	zk_buf_char(&d->head, c);
	if (c == '"') {
		d->in_string = true;
		d->is_name = d->depth == 1;
		if (d->is_name)
			zk_buf_char(&d->part, c);
	} else if (c == '{' || c == '[') {
		d->in_events = c == '[' && d->depth == 1 && d->name_is_events;
		d->depth++;
	} else if (c == '}' || c == ']') {
		if (!d->depth)
			return broken(err);
		d->depth--;
	} else if (c == ',' && d->depth == 1) {
		d->name_is_events = false;
	}
	return d->depth > MAX_DEPTH ? broken(err) : 0;
}

int zk_zip_detail_put(struct zk_zip_detail *d, zk_str chunk, struct zk_error *err)
{
	while (chunk.n) {
		int r = 0;

		if (d->in_events && chunk.p[0] == '{')
			d->in_event = true;
		if (d->in_event) {
			r = take_event(d, &chunk, err);
		} else {
			char c = chunk.p[0];

			chunk = zk_str_from(chunk, 1);
			if (d->in_events)
				r = between(d, c, err);
			else if (d->in_string)
				in_string(d, c);
			else
				r = outside(d, c, err);
		}
		if (r < 0)
			return r;
		if (d->head.failed)
			return zk_fail(err, ZK_E_LIMIT,
			               "the detail of the execution is too large");
	}
	return 0;
}

int zk_zip_detail_end(struct zk_zip_detail *d, struct zk_error *err)
{
	struct zk_jscan js;

	if (d->depth || d->in_string ||
	    zk_jscan(zk_buf_str(&d->head), MAX_DEPTH, NULL, 0, &js) < 0 ||
	    js.top.type != ZK_J_OBJECT)
		return broken(err);
	return 0;
}
