/* --jq: libjq, opened on first use (style.md §1.1). It owns that library.
 * Layer: rt. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jq.h>
#include <jv.h>

#include "base/dl.h"
#include "base/mem.h"
#include "rt/out_impl.h"
#include "rt/progress.h"

#include "base/ban.h"

#define JQ_SYMS(X)                \
	X(jq_init)                \
	X(jq_teardown)            \
	X(jq_compile)             \
	X(jq_set_error_cb)        \
	X(jq_start)               \
	X(jq_next)                \
	X(jq_halted)              \
	X(jv_parse_sized)         \
	X(jv_get_kind)            \
	X(jv_string_value)        \
	X(jv_string_length_bytes) \
	X(jv_dump_string)         \
	X(jv_copy) X(jv_free) X(jv_invalid_has_msg) X(jv_invalid_get_msg)

static struct {
	JQ_SYMS(ZK_DL_FIELD)
} q;

#define ROW(s) ZK_DL_ROW_OF(q, s)
static const struct zk_dl_sym syms[] = { JQ_SYMS(ROW) };
ZK_DL_NOTE("jq", "filter of --jq", "suggested", "libjq.so.1");
static struct zk_dl lib = ZK_DL_INIT("libjq.so.1", "libjq1", &q, syms);

struct zk_out_jq {
	jq_state *state;
	char message[300]; /* the first complaint of the compiler */
	bool told_big;
};

static void on_message(void *ctx, jv msg)
{
	struct zk_out_jq *j = ctx;

	if (!j->message[0] && q.jv_get_kind(msg) == JV_KIND_STRING) {
		const char *text = q.jv_string_value(msg);
		size_t n = ZK_MIN(strcspn(text, "\n"), sizeof(j->message) - 1);

		/* "jq: error: syntax error, …" */
		memcpy(j->message, text, n);
		j->message[n] = '\0';
	}
	q.jv_free(msg);
}

/* Without what jq puts in front of each message. */
static const char *message_of(const struct zk_out_jq *j)
{
	static const char *const heads[] = { "jq: error: ", "error: " };
	const char *m = j->message[0] ? j->message : "unknown reason";

	for (size_t i = 0; i < ZK_ARRAY_LEN(heads); i++)
		if (strncmp(m, heads[i], strlen(heads[i])) == 0)
			m += strlen(heads[i]);
	return m;
}

int zk_out_jq_new(const char *program, struct zk_out_jq **ret, struct zk_error *err)
{
	struct zk_out_jq *j;

	if (zk_dl_open(&lib, err) < 0)
		return zk_wrap(err, "--jq");
	j = zk_new0(struct zk_out_jq);
	j->state = q.jq_init();
	ZK_ASSERT(j->state);
	q.jq_set_error_cb(j->state, on_message, j);
	if (!q.jq_compile(j->state, program)) {
		(void)zk_fail(err, ZK_E_USAGE, "--jq '%s': %s", program, message_of(j));
		zk_out_jq_free(j);
		return -(int)err->code;
	}
	*ret = j;
	return 0;
}

void zk_out_jq_free(struct zk_out_jq *j)
{
	if (!j)
		return;
	q.jq_teardown(&j->state);
	free(j);
}

/* ---- numbers that a double cannot hold ---- */

static bool is_big(zk_str digits)
{
	static const char limit[] = "9007199254740992"; /* 2^53 */
	size_t n = sizeof(limit) - 1;

	return digits.n > n || (digits.n == n && memcmp(digits.p, limit, n) > 0);
}

/* Behind the string or number that begins at `i`; `*digits` are those of an integer. */
static size_t skip_token(zk_str json, size_t i, zk_str *digits)
{
	size_t from = i;

	*digits = ZK_STR_NULL;
	if (json.p[i] == '"') {
		for (i++; i < json.n && json.p[i] != '"'; i++)
			i += json.p[i] == '\\';
		return i + 1;
	}
	while (i < json.n && json.p[i] >= '0' && json.p[i] <= '9')
		i++;
	if (i == from)
		return i + 1;
	*digits = zk_str_n(json.p + from, i - from);
	if (i == json.n || !memchr(".eE", json.p[i], 3))
		return i;
	*digits = ZK_STR_NULL; /* exact was never promised */
	while (i < json.n && memchr("0123456789.eE+-", json.p[i], 15))
		i++;
	return i;
}

/* True when an integer above 2^53 stands outside of the strings of `json`. */
static bool has_big(zk_str json)
{
	zk_str digits;

	for (size_t i = 0; i < json.n;) {
		i = skip_token(json, i, &digits);
		if (is_big(digits))
			return true;
	}
	return false;
}

static void warn_big(struct zk_out_jq *j, zk_str json)
{
	if (j->told_big || !has_big(json))
		return;
	j->told_big = true;
	zk_say("warning: --jq makes integers above 2^53 inexact; --fields keeps them");
}

/* ---- running ---- */

/* Takes `v`. */
static int give(struct zk_out *o, jv v, zk_out_jq_fn on_result, struct zk_error *err)
{
	bool is_string = q.jv_get_kind(v) == JV_KIND_STRING;
	jv text = is_string ? v : q.jv_dump_string(v, 0);
	zk_str s = { q.jv_string_value(text),
		     (size_t)q.jv_string_length_bytes(q.jv_copy(text)) };
	int r = on_result(o, s, is_string, err);

	q.jv_free(text);
	return r;
}

/* The program ended with an invalid value: its message, if it is an error. Takes `v`. */
static int ended(struct zk_out *o, jv v, struct zk_error *err)
{
	int r = 0;

	if (q.jq_halted(o->jq->state)) {
		o->halted = true; /* nothing more is wanted */
	} else if (q.jv_invalid_has_msg(q.jv_copy(v))) {
		jv msg = q.jv_invalid_get_msg(q.jv_copy(v));

		if (q.jv_get_kind(msg) != JV_KIND_STRING)
			msg = q.jv_dump_string(msg, 0);
		r = zk_fail(err, ZK_E_DATA, "--jq: %s", q.jv_string_value(msg));
		q.jv_free(msg);
	}
	q.jv_free(v);
	return r;
}

int zk_out_jq_run(struct zk_out *o, zk_str json, zk_out_jq_fn on_result,
                  struct zk_error *err)
{
	jv v;

	if (json.n > INT_MAX)
		return zk_fail(err, ZK_E_LIMIT, "--jq: the document is too large");
	warn_big(o->jq, json);
	v = q.jv_parse_sized(json.p, (int)json.n);
	if (q.jv_get_kind(v) == JV_KIND_INVALID)
		return ended(o, v, err);
	q.jq_start(o->jq->state, v, 0);
	for (;;) {
		int r;

		v = q.jq_next(o->jq->state);
		if (q.jv_get_kind(v) == JV_KIND_INVALID)
			return ended(o, v, err);
		r = give(o, v, on_result, err);
		if (r < 0)
			return r;
	}
}
