/* The wire log of --trace.
 * Layer: net. */
#include "net/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/http.h"

#include "base/ban.h"

#define BODY_MAX 65536
#define TEXT_MAX (1U << 20) /* of one exchange that is held back, and of one line */

struct zk_trace {
	unsigned flags;
	int fd;
	bool own_fd;
};

struct body {
	struct zk_buf buf;
	uint64_t total;
	bool shown;
};

struct zk_exchange {
	struct zk_trace *trace;
	uint64_t id;
	char *method, *safe_url;
	struct zk_buf text; /* waits for the end when only failures are wanted */
	struct body out, in;
};

int zk_trace_parse(zk_str list, unsigned *ret, struct zk_error *err)
{
	static const struct {
		zk_str name;
		unsigned flag;
	} names[] = {
		{ ZK_STR_INIT("headers"), ZK_TRACE_HEADERS },
		{ ZK_STR_INIT("bodies"), ZK_TRACE_BODIES },
		{ ZK_STR_INIT("curl"), ZK_TRACE_CURL },
		{ ZK_STR_INIT("errors"), ZK_TRACE_ERRORS },
		{ ZK_STR_INIT("timing"), ZK_TRACE_TIMING },
	};
	unsigned flags = 0;

	while (list.n) {
		unsigned found = 0;
		zk_str word;

		list = zk_str_cut(list, ',', &word);
		word = zk_str_trim(word);
		for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
			if (zk_str_eq(word, names[i].name))
				found = names[i].flag;
		flags |= found;
		if (!found)
			return zk_fail(err, ZK_E_USAGE,
			               "'%.*s' is nothing to trace: headers, bodies, "
			               "curl, errors, "
			               "timing",
			               (int)ZK_MIN(word.n, (size_t)64),
			               word.n ? word.p : "");
	}
	if (!(flags & ~(unsigned)ZK_TRACE_ERRORS))
		flags |= ZK_TRACE_HEADERS;
	*ret = flags;
	return 0;
}

int zk_trace_new(const char *list, const char *file, struct zk_trace **ret,
                 struct zk_error *err)
{
	unsigned flags;
	int r = zk_trace_parse(zk_str_of(list), &flags, err), fd = STDERR_FILENO;

	if (r < 0)
		return r;
	if (file) {
		fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0)
			return zk_fail_errno(err, ZK_E_CREATE, errno,
			                     "cannot open the trace file '%s'", file);
	}
	*ret = zk_new0(struct zk_trace);
	**ret = (struct zk_trace){ .flags = flags, .fd = fd, .own_fd = file };
	return 0;
}

void zk_trace_free(struct zk_trace *t)
{
	if (!t)
		return;
	if (t->own_fd)
		(void)close(t->fd); /* nothing is buffered */
	free(t);
}

static void flush(struct zk_exchange *x)
{
	/* A log that cannot be written stops nothing. */
	ZK_IGNORE(zk_write_all(x->trace->fd, zk_buf_str(&x->text)) != 0);
	if (x->text.failed)
		ZK_IGNORE(zk_write_all(x->trace->fd, ZK_STR("(more was left out)\n")) !=
		          0);
	zk_buf_clear(&x->text);
}

/* `s` without known secrets, and with nothing that a terminal would obey. */
static void put_printable(struct zk_buf *b, zk_str s)
{
	static const char hex[] = "0123456789abcdef";
	struct zk_buf clean;
	size_t i = 0;

	zk_buf_init(&clean, TEXT_MAX);
	zk_redact_into(&clean, s);
	while (i < clean.n) {
		unsigned char c = (unsigned char)clean.p[i];
		size_t seq = zk_utf8_seq(clean.p + i, clean.n - i);
		bool c1 = seq == 2 && c == 0xc2 && (unsigned char)clean.p[i + 1] < 0xa0;

		if (seq && !c1 && ((c >= 0x20 && c != 0x7f) || c == '\t')) {
			zk_buf_put(b, clean.p + i, seq);
			i += seq;
			continue;
		}
		zk_buf_put(b, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
		i++;
	}
	zk_buf_done(&clean);
}

static void put_line(struct zk_exchange *x, char mark, zk_str masked)
{
	zk_buf_printf(&x->text, "#%llu %c ", (unsigned long long)x->id, mark);
	put_printable(&x->text, masked);
	zk_buf_char(&x->text, '\n');
	if (!(x->trace->flags & ZK_TRACE_ERRORS))
		flush(x);
}

static const char marks[] = {
	[ZK_TRACE_OUT] = '>', [ZK_TRACE_IN] = '<', [ZK_TRACE_NOTE] = '*'
};

/* Whether a body is text; one that was cut may end inside a character. */
static bool is_text(zk_str s, bool cut)
{
	for (size_t i = 0; i < (cut ? 4U : 1U) && i <= s.n; i++)
		if (zk_utf8_valid(zk_str_n(s.p, s.n - i)))
			return !s.n || !memchr(s.p, '\0', s.n);
	return false;
}

static void show_body(struct zk_exchange *x, enum zk_trace_dir dir)
{
	struct body *body = dir == ZK_TRACE_OUT ? &x->out : &x->in;
	zk_str all = zk_buf_str(&body->buf), rest;
	bool cut = body->total > all.n;
	struct zk_buf masked;

	if (body->shown || !body->total || !(x->trace->flags & ZK_TRACE_BODIES))
		return;
	body->shown = true;
	zk_buf_init(&masked, 2 * BODY_MAX);
	if (is_text(all, cut)) {
		zk_trace_mask_body(all, &masked);
		if (cut)
			zk_buf_printf(&masked, "\n(cut: %llu bytes)",
			              (unsigned long long)body->total);
	} else {
		zk_buf_printf(&masked, "(%llu bytes that are no text)",
		              (unsigned long long)body->total);
	}
	rest = zk_str_trim(zk_buf_str(&masked));
	while (rest.n) {
		zk_str line;

		rest = zk_str_cut(rest, '\n', &line);
		put_line(x, marks[dir], line);
	}
	zk_buf_done(&masked);
}

static void body_init(struct body *b)
{
	zk_buf_init_secret(&b->buf, BODY_MAX);
}

struct zk_exchange *zk_trace_begin(struct zk_trace *t, uint64_t id,
                                   const struct zk_http_conf *conf)
{
	struct zk_exchange *x = zk_new0(struct zk_exchange);
	struct zk_buf b;

	x->trace = t;
	x->id = id;
	x->method = zk_strdup(conf->method ? conf->method : "GET");
	zk_buf_init(&b, 1024);
	zk_http_safe_url(conf->url, &b);
	x->safe_url = zk_buf_take(&b);
	zk_buf_init(&x->text, TEXT_MAX);
	body_init(&x->out);
	body_init(&x->in);
	if (t->flags & ZK_TRACE_CURL) {
		/* Without the mark of other lines: it is there to be copied. */
		zk_trace_curl(conf, &x->text);
		zk_buf_char(&x->text, '\n');
		if (!(t->flags & ZK_TRACE_ERRORS))
			flush(x);
	}
	if (conf->body.n)
		zk_trace_body(x, ZK_TRACE_OUT, conf->body);
	return x;
}

bool zk_trace_wants_lines(const struct zk_exchange *x)
{
	return x->trace->flags & ZK_TRACE_HEADERS;
}

void zk_trace_lines(struct zk_exchange *x, enum zk_trace_dir dir, zk_str text)
{
	if (dir == ZK_TRACE_IN)
		show_body(x, ZK_TRACE_OUT);
	while (text.n) {
		struct zk_buf masked;
		zk_str line;

		text = zk_str_cut(text, '\n', &line);
		line = zk_str_trim(line);
		if (!line.n)
			continue;
		zk_buf_init(&masked, TEXT_MAX);
		if (dir == ZK_TRACE_NOTE)
			zk_buf_add(&masked, line);
		else
			zk_trace_mask_header(line, &masked);
		put_line(x, marks[dir], zk_buf_str(&masked));
		zk_buf_done(&masked);
	}
}

void zk_trace_body(struct zk_exchange *x, enum zk_trace_dir dir, zk_str piece)
{
	struct body *b = dir == ZK_TRACE_OUT ? &x->out : &x->in;

	b->total += piece.n;
	if (x->trace->flags & ZK_TRACE_BODIES)
		zk_buf_put(&b->buf, piece.p, ZK_MIN(piece.n, BODY_MAX - b->buf.n));
}

static void show_result(struct zk_exchange *x, const struct zk_http_res *res,
                        const struct zk_error *err)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	if (x->trace->flags & ZK_TRACE_TIMING) {
		zk_buf_printf(&b, "%s %s: ", x->method, x->safe_url);
		if (res->status)
			zk_buf_printf(&b, "%d", res->status);
		else
			zk_buf_lit(&b, "no answer");
		zk_buf_printf(
		        &b,
		        " in %.1f ms (connect %.1f ms, first byte %.1f ms), %llu bytes",
		        (double)res->total_us / 1e3, (double)res->connect_us / 1e3,
		        (double)res->first_byte_us / 1e3,
		        (unsigned long long)x->in.total);
		if (res->peer[0])
			zk_buf_printf(&b, ", %s port %d%s", res->peer, res->peer_port,
			              res->reused ? " (open already)" : "");
		put_line(x, '=', zk_buf_str(&b));
	}
	zk_buf_clear(&b);
	if (err) {
		zk_buf_printf(&b, "error[ZK%d]: %s%s%s", (int)err->code, err->msg,
		              err->why[0] ? ": " : "", err->why);
		put_line(x, '!', zk_buf_str(&b));
	}
	zk_buf_done(&b);
}

void zk_trace_end(struct zk_exchange *x, const struct zk_http_res *res,
                  const struct zk_error *err)
{
	bool wanted = err || (res && res->fault) || !(x->trace->flags & ZK_TRACE_ERRORS);

	show_body(x, ZK_TRACE_OUT);
	show_body(x, ZK_TRACE_IN);
	if (res)
		show_result(x, res, err);
	else
		put_line(x, '!', ZK_STR("cancelled"));
	if (wanted)
		flush(x);
	zk_buf_done(&x->text);
	zk_buf_done(&x->out.buf);
	zk_buf_done(&x->in.buf);
	free(x->method);
	free(x->safe_url);
	free(x);
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static bool needs_no_quotes(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		             (c >= 'A' && c <= 'Z');

		if (!alnum && (c == '\0' || !strchr("_./:=@%+,-", c)))
			return false;
	}
	return s.n > 0;
}

/* '…' cannot hold a control character that survives being copied, $'…' can. */
static void quote(struct zk_buf *b, zk_str s)
{
	bool ansi = false;

	if (needs_no_quotes(s)) {
		zk_buf_add(b, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		ansi = ansi || is_control((unsigned char)s.p[i]);
	zk_buf_cstr(b, ansi ? "$'" : "'");
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_control(c))
			zk_buf_printf(b, "\\x%02x", c);
		else if (ansi && (c == '\'' || c == '\\'))
			zk_buf_put(b, (char[]){ '\\', (char)c }, 2);
		else if (c == '\'')
			zk_buf_lit(b, "'\\''");
		else
			zk_buf_char(b, (char)c);
	}
	zk_buf_char(b, '\'');
}

/* ` OPTION 'MASKED'`: a secret is taken out before the quotes, which could split it. */
static void put_arg(struct zk_buf *b, const char *option, zk_str s,
                    void (*mask)(zk_str, struct zk_buf *))
{
	struct zk_buf masked, clean;

	zk_buf_init_secret(&masked, TEXT_MAX);
	zk_buf_init(&clean, TEXT_MAX);
	mask(s, &masked);
	zk_redact_into(&clean, zk_buf_str(&masked));
	zk_buf_char(b, ' ');
	if (option) {
		zk_buf_cstr(b, option);
		zk_buf_char(b, ' ');
	}
	quote(b, zk_buf_str(&clean));
	zk_buf_done(&masked);
	zk_buf_done(&clean);
}

static void put_method(const struct zk_http_conf *conf, struct zk_buf *b)
{
	const char *m = conf->method ? conf->method : "GET";
	bool body = conf->body.n || conf->pull;

	if (strcmp(m, "HEAD") == 0)
		zk_buf_lit(b, " -I");
	else if (strcmp(m, body ? "POST" : "GET") != 0)
		zk_buf_printf(b, " -X %s", m);
}

static bool has_content_type(const struct zk_http_conf *conf)
{
	for (const char *const *h = conf->headers; h && *h; h++)
		if (zk_str_starts_nocase(zk_str_of(*h), ZK_STR("Content-Type:")))
			return true;
	return false;
}

static void put_headers(const struct zk_http_conf *conf, struct zk_buf *b)
{
	for (const char *const *h = conf->headers; h && *h; h++)
		put_arg(b, "-H", zk_str_of(*h), zk_trace_mask_header);
	if (conf->bearer)
		zk_buf_lit(b, " -H 'Authorization: Bearer ***'");
	if (conf->content_type) {
		char *line = zk_asprintf("Content-Type: %s", conf->content_type);

		put_arg(b, "-H", zk_str_of(line), zk_trace_mask_header);
		free(line);
	} else if (conf->body.n && !has_content_type(conf)) {
		zk_buf_lit(b, " -H Content-Type:"); /* without that of a form */
	}
}

void zk_trace_curl(const struct zk_http_conf *conf, struct zk_buf *b)
{
	bool shown =
	        conf->body.n && conf->body.n <= BODY_MAX && is_text(conf->body, false);

	zk_buf_lit(b, "curl -sS");
	put_method(conf, b);
	if (conf->flags & ZK_HTTP_1_1)
		zk_buf_lit(b, " --http1.1");
	if (conf->flags & ZK_HTTP_DECODE)
		zk_buf_lit(b, " --compressed");
	put_headers(conf, b);
	if (shown)
		put_arg(b, "--data-binary", conf->body, zk_trace_mask_body);
	else if (conf->body.n || conf->pull)
		zk_buf_lit(b, " --data-binary @-");
	put_arg(b, NULL, zk_str_of(conf->url), zk_trace_mask_url);
	if (conf->body.n && !shown)
		zk_buf_printf(b, " # reads a body of %zu bytes from stdin", conf->body.n);
}
