/* Incremental decoder of server-sent events.
 * Layer: net. WHATWG HTML §9.2.6. */
#include "net/sse.h"

#include "base/err.h"

#include "base/ban.h"

#define ID_MAX    1024 /* it travels back in a header */
#define EVENT_MAX 8192 /* 255 characters, percent-encoded, and some */

void zk_sse_init(struct zk_sse *s, size_t cap_bytes)
{
	*s = (struct zk_sse){ .retry_ms = -1 };
	zk_buf_init(&s->line, cap_bytes);
	zk_buf_init(&s->data, cap_bytes);
	zk_buf_init(&s->event, EVENT_MAX);
	zk_buf_init(&s->new_id, ID_MAX);
	zk_buf_init(&s->id, ID_MAX);
}

void zk_sse_done(struct zk_sse *s)
{
	zk_buf_done(&s->line);
	zk_buf_done(&s->data);
	zk_buf_done(&s->event);
	zk_buf_done(&s->new_id);
	zk_buf_done(&s->id);
}

static void reset_event(struct zk_sse *s)
{
	zk_buf_clear(&s->data);
	zk_buf_clear(&s->event);
	s->has_data = s->has_id = s->dispatched = false;
}

void zk_sse_restart(struct zk_sse *s)
{
	reset_event(s);
	zk_buf_clear(&s->line);
	s->bom = 0;
	s->after_cr = s->failed = false;
}

static void set(struct zk_buf *b, zk_str value)
{
	zk_buf_clear(b);
	zk_buf_add(b, value);
}

static void on_retry(struct zk_sse *s, zk_str value)
{
	struct zk_error ignored;
	int64_t ms;

	/* Digits only, anything else is ignored; so is a number that does not fit. */
	if (value.n && value.p[0] >= '0' && value.p[0] <= '9' &&
	    zk_parse_i64(value, &ms, &ignored) == 0)
		s->retry_ms = ms;
}

static void on_field(struct zk_sse *s, zk_str name, zk_str value)
{
	if (zk_str_eq(name, ZK_STR("data"))) {
		if (s->has_data)
			zk_buf_char(&s->data, '\n');
		zk_buf_add(&s->data, value);
		s->has_data = true;
	} else if (zk_str_eq(name, ZK_STR("event"))) {
		set(&s->event, value);
	} else if (zk_str_eq(name, ZK_STR("id"))) {
		if (zk_str_find_char(value, '\0') < 0) {
			set(&s->new_id, value);
			s->has_id = true;
		}
	} else if (zk_str_eq(name, ZK_STR("retry"))) {
		on_retry(s, value);
	}
}

/* One whole line without its end. True when it completes an event. */
static bool on_line(struct zk_sse *s, zk_str line)
{
	zk_str name, value;

	if (line.n == 0) {
		/* Not before: an event that breaks off must be asked for again. */
		if (s->has_id)
			set(&s->id, zk_buf_str(&s->new_id));
		if (!s->has_data)
			reset_event(s);
		return s->has_data;
	}
	if (line.p[0] == ':') {
		s->comments++;
		return false;
	}
	value = zk_str_cut(line, ':', &name);
	if (value.n && value.p[0] == ' ')
		value = zk_str_from(value, 1);
	on_field(s, name, value);
	return false;
}

/* Matches the byte order mark that may stand at the very start; returns how much of `in`
 * it took. A part of one that turns out to be something else goes into the line. */
static size_t skip_bom(struct zk_sse *s, zk_str in)
{
	static const char mark[] = "\xEF\xBB\xBF";
	size_t i = 0;

	while (i < in.n && s->bom < 3 && in.p[i] == mark[s->bom]) {
		s->bom++;
		i++;
	}
	if (i < in.n && s->bom < 3) {
		zk_buf_put(&s->line, mark, s->bom);
		s->bom = 3;
	}
	return i;
}

/* Takes one line or what there is of it; *whole says which. Returns the number of bytes.
 */
static size_t take_line(struct zk_sse *s, zk_str in, zk_str *line, bool *whole)
{
	size_t n = 0;

	while (n < in.n && in.p[n] != '\n' && in.p[n] != '\r')
		n++;
	*whole = n < in.n;
	*line = zk_str_n(in.p, n);
	if (!*whole || s->line.n) {
		zk_buf_add(&s->line, *line);
		*line = zk_buf_str(&s->line);
	} else if (n > s->line.cap) {
		s->line.failed = true; /* as it would be had it come in pieces */
	}
	if (!*whole)
		return n;
	s->after_cr = in.p[n] == '\r';
	return n + 1;
}

static bool is_over(struct zk_sse *s)
{
	s->failed = s->failed || s->line.failed || s->data.failed || s->event.failed ||
	            s->new_id.failed;
	return s->failed;
}

enum zk_sse_result zk_sse_next(struct zk_sse *s, zk_str in, size_t *used,
                               struct zk_sse_event *ret)
{
	size_t at = 0;

	if (s->dispatched)
		reset_event(s);
	if (s->bom < 3)
		at = skip_bom(s, in);
	while (at < in.n && !is_over(s)) {
		zk_str line;
		bool whole, complete;

		if (s->after_cr && in.p[at] == '\n')
			at++;
		s->after_cr = false;
		if (at == in.n)
			break;
		at += take_line(s, zk_str_from(in, at), &line, &whole);
		if (!whole || is_over(s))
			continue;
		complete = on_line(s, line);
		zk_buf_clear(&s->line);
		if (complete && !is_over(s)) {
			s->dispatched = true;
			*ret = (struct zk_sse_event){ zk_buf_str(&s->id),
				                      zk_buf_str(&s->event),
				                      zk_buf_str(&s->data) };
			*used = at;
			return ZK_SSE_EVENT;
		}
	}
	*used = at;
	return is_over(s) ? ZK_SSE_TOO_LONG : ZK_SSE_MORE;
}
