/* From the output of a command to the payload of an answer.
 * Layer: procwire. */
#include "procwire/answer.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/msgpack.h"
#include "codec/ndjson.h"

#include "base/ban.h"

#define LINE_MAX_BYTES (16u << 20)

enum zk_pw_out zk_pw_out_of(int out, const struct zk_pw_method *m)
{
	if (out != ZK_PW_OUT_AUTO)
		return (enum zk_pw_out)out;
	if (m->response == ZK_PW_RAW)
		return ZK_PW_OUT_RAW;
	return m->kind == ZK_PW_STREAMED ? ZK_PW_OUT_LINES : ZK_PW_OUT_TEXT;
}

int zk_pw_out_check(enum zk_pw_out out, const struct zk_pw_method *m,
                    struct zk_error *err)
{
	bool list = out == ZK_PW_OUT_LINES || out == ZK_PW_OUT_NDJSON;

	if (out == ZK_PW_OUT_FULL &&
	    (m->kind == ZK_PW_STREAMED || m->response == ZK_PW_RAW))
		return zk_fail(err, ZK_E_PW_TABLE,
		               "out=full needs a result and the codec msgpack");
	if (list && m->kind != ZK_PW_STREAMED && m->response == ZK_PW_RAW)
		return zk_fail(
		        err, ZK_E_PW_TABLE,
		        "a list of records needs the codec msgpack, or kind=stream");
	return 0;
}

/* `$(…)` of a shell drops it too: nobody wants it in a value. */
static zk_str without_lf(zk_str text)
{
	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	return text;
}

static int put_list(enum zk_pw_out out, const struct zk_pw_method *m, zk_str text,
                    struct zk_buf *b, struct zk_error *err)
{
	struct zk_buf items ZK_CLEANUP(zk_buf_done) = { 0 };
	uint32_t n = 0;
	zk_str line;

	zk_buf_init(&items, b->cap);
	while (text.n) {
		text = zk_str_cut(text, '\n', &line);
		if (out == ZK_PW_OUT_NDJSON && !zk_str_trim(line).n)
			continue;
		if (zk_pw_out_record(out, m, line, &items, err) < 0)
			return zk_wrap(err, "line %u", n + 1);
		n++;
	}
	zk_mp_array(b, n);
	zk_buf_add(b, zk_buf_str(&items));
	return 0;
}

static void put_full(zk_str text, const struct zk_pw_exit *how, struct zk_buf *b)
{
	zk_mp_map(b, 4);
	zk_mp_cstr(b, "exit");
	zk_mp_i64(b, how->status);
	zk_mp_cstr(b, "signal");
	zk_mp_i64(b, how->signal);
	zk_mp_cstr(b, "stdout");
	if (zk_utf8_valid(text))
		zk_mp_str(b, text);
	else
		zk_mp_bin(b, text);
	zk_mp_cstr(b, "stderr");
	zk_mp_text(b, how->err);
}

int zk_pw_out_record(enum zk_pw_out out, const struct zk_pw_method *m, zk_str text,
                     struct zk_buf *b, struct zk_error *err)
{
	if (m->response == ZK_PW_RAW) {
		zk_buf_add(b, text);
		return 0;
	}
	switch (out) {
	case ZK_PW_OUT_JSON:
	case ZK_PW_OUT_NDJSON:
		if (zk_mp_from_json(text, b, err) < 0)
			return zk_wrap(err, "the output is no JSON");
		break;
	case ZK_PW_OUT_TEXT:
	case ZK_PW_OUT_LINES:
		zk_mp_text(b, text);
		break;
	case ZK_PW_OUT_AUTO:
	case ZK_PW_OUT_RAW:
	case ZK_PW_OUT_FULL:
		zk_mp_bin(b, text);
		break;
	}
	return 0;
}

int zk_pw_out_line(const struct zk_ndjson_line *line, struct zk_error *err)
{
	return line->too_long ? zk_fail(err, ZK_E_LIMIT,
	                                "a line of the output is longer than %zu bytes",
	                                line->text.n)
	                      : 0;
}

int zk_pw_out_whole(enum zk_pw_out out, const struct zk_pw_method *m, zk_str text,
                    const struct zk_pw_exit *how, struct zk_buf *b, struct zk_error *err)
{
	if (m->response == ZK_PW_RAW || out == ZK_PW_OUT_RAW || out == ZK_PW_OUT_JSON)
		return zk_pw_out_record(out, m, text, b, err);
	if (out == ZK_PW_OUT_FULL) {
		put_full(text, how, b);
		return 0;
	}
	if (out == ZK_PW_OUT_LINES || out == ZK_PW_OUT_NDJSON)
		return put_list(out, m, text, b, err);
	return zk_pw_out_record(out, m, without_lf(text), b, err);
}

static zk_str last_line(zk_str text)
{
	size_t at;

	text = zk_str_trim(text);
	at = text.n;
	while (at && text.p[at - 1] != '\n')
		at--;
	text = zk_str_from(text, at);
	return zk_str_n(text.p, ZK_MIN(text.n, (size_t)400));
}

void zk_pw_out_failure(const struct zk_pw_exit *how, const char *code,
                       const char *message, struct zk_buf *b)
{
	zk_str line = last_line(how->err);
	char text[80];

	if (how->signal)
		(void)snprintf(text, sizeof(text), "the command was ended by signal %d",
		               how->signal);
	else
		(void)snprintf(text, sizeof(text), "the command ended with status %d",
		               how->status);
	zk_mp_map(b, 5);
	zk_mp_cstr(b, "message");
	if (message)
		zk_mp_cstr(b, message);
	else
		zk_mp_text(b, line.n ? line : zk_str_of(text));
	zk_mp_cstr(b, "code");
	zk_mp_cstr(b, code);
	zk_mp_cstr(b, "exit");
	zk_mp_i64(b, how->status);
	zk_mp_cstr(b, "signal");
	zk_mp_i64(b, how->signal);
	zk_mp_cstr(b, "stderr");
	zk_mp_text(b, how->err);
}
