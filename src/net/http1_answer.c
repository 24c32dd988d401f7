/* Heads of HTTP/1.x answers; see http1.h for the contract.
 * Layer: net. */
#include "net/http1.h"
#include "net/http1_class.h"

#include "base/ban.h"

#define MAX_LINES  1000
#define MAX_DIGITS 18

enum zk_http1_result zk_http1_answer_find(zk_str in, size_t *seen, size_t *used)
{
	static const char start[] = "HTTP/1.";
	size_t known = ZK_MIN(in.n, sizeof(start) - 1), i = *seen;

	if (known && memcmp(in.p, start, known) != 0)
		return ZK_HTTP1_BAD;
	while (i < in.n) {
		const char *lf = memchr(in.p + i, '\n', in.n - i);
		size_t cr;

		if (!lf)
			break;
		i = (size_t)(lf - in.p);
		cr = i + 1 < in.n && lf[1] == '\r';
		if (i + 1 + cr >= in.n) {
			*seen = i; /* an empty line may follow */
			return ZK_HTTP1_MORE;
		}
		if (lf[1 + cr] == '\n') {
			*used = i + 2 + cr;
			return ZK_HTTP1_DONE;
		}
		i++;
	}
	*seen = in.n;
	return ZK_HTTP1_MORE;
}

static enum zk_http1_result bad(struct zk_http1_answer *a, const char *reason)
{
	a->reason = reason;
	return ZK_HTTP1_BAD;
}

/* RFC 9112 §5.2. */
static void unfold(char *p, size_t n)
{
	for (size_t i = 1; i + 1 < n; i++) {
		if (p[i] != '\n' || (p[i + 1] != ' ' && p[i + 1] != '\t'))
			continue;
		p[i] = ' ';
		if (p[i - 1] == '\r')
			p[i - 1] = ' ';
	}
}

/* "HTTP/1.1 200 OK", the words and the space before them may be missing. */
static enum zk_http1_result status_line(zk_str line, struct zk_http1_answer *a)
{
	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
	    !zk_http1_is_digit(line.p[7]) || line.p[8] != ' ' ||
	    (line.n > 12 && line.p[12] != ' '))
		return bad(a, "malformed status line");
	for (size_t i = 9; i < 12; i++) {
		if (!zk_http1_is_digit(line.p[i]))
			return bad(a, "malformed status line");
		a->status = a->status * 10 + (line.p[i] - '0');
	}
	a->minor = line.p[7] != '0';
	return a->status >= 100 ? ZK_HTTP1_DONE : bad(a, "malformed status");
}

/* What the header lines say about the message itself. */
struct facts {
	unsigned chunked;
	bool close, keep_alive;
};

static enum zk_http1_result connection_line(zk_str list, struct facts *f)
{
	zk_str item;

	while (list.n) {
		list = zk_str_cut(list, ',', &item);
		item = zk_str_trim(item);
		f->close = f->close || zk_str_eq_nocase(item, ZK_STR("close"));
		f->keep_alive =
		        f->keep_alive || zk_str_eq_nocase(item, ZK_STR("keep-alive"));
	}
	return ZK_HTTP1_DONE;
}

static enum zk_http1_result coding_line(zk_str list, struct facts *f,
                                        struct zk_http1_answer *a)
{
	zk_str item;

	while (list.n) {
		list = zk_str_cut(list, ',', &item);
		item = zk_str_trim(item);
		if (zk_str_eq_nocase(item, ZK_STR("chunked")))
			f->chunked++;
		else if (item.n && !zk_str_eq_nocase(item, ZK_STR("identity")))
			return bad(a, "unsupported Transfer-Encoding");
	}
	return f->chunked <= 1 ? ZK_HTTP1_DONE : bad(a, "chunked twice");
}

/* The same number once or more: "5", or "5, 5". */
static enum zk_http1_result length_line(zk_str list, struct zk_http1_answer *a)
{
	zk_str item;

	do {
		uint64_t v;

		list = zk_str_cut(list, ',', &item);
		item = zk_str_trim(item);
		if (item.n > MAX_DIGITS || !zk_str_u64(item, &v))
			return bad(a, "malformed Content-Length");
		if (a->has_length && a->length != v)
			return bad(a, "more than one Content-Length");
		a->has_length = true;
		a->length = v;
	} while (list.p);
	return ZK_HTTP1_DONE;
}

static enum zk_http1_result header_line(zk_str line, struct facts *f,
                                        struct zk_http1_answer *a)
{
	zk_str name, value = zk_str_cut(line, ':', &name);

	if (!value.p || !name.n)
		return bad(a, "malformed header line");
	/* White space in front of the colon is how one header is made to look like another. */
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ')
			return bad(a, "malformed header name");
	value = zk_str_trim(value);
	if (zk_str_eq_nocase(name, ZK_STR("content-length")))
		return length_line(value, a);
	if (zk_str_eq_nocase(name, ZK_STR("transfer-encoding")))
		return coding_line(value, f, a);
	if (zk_str_eq_nocase(name, ZK_STR("connection")))
		return connection_line(value, f);
	return ZK_HTTP1_DONE;
}

/* RFC 9112 §6.3, §9.3. */
static void settle(const struct facts *f, struct zk_http1_answer *a)
{
	a->keep_alive = !f->close && (a->minor || f->keep_alive);
	a->chunked = f->chunked;
	if (!a->chunked)
		return;
	/* A length beside it, or a coding in 1.0: the coding counts, and nothing comes after it. */
	if (a->has_length || !a->minor)
		a->keep_alive = false;
	a->has_length = false;
	a->length = 0;
}

enum zk_http1_result zk_http1_answer_read(char *p, size_t n, struct zk_http1_answer *ret)
{
	enum zk_http1_result r = ZK_HTTP1_DONE;
	struct facts f = { 0 };
	zk_str rest, line;
	unsigned lines = 0;

	*ret = (struct zk_http1_answer){ 0 };
	unfold(p, n);
	rest = zk_str_n(p, n);
	while (rest.n && r == ZK_HTTP1_DONE) {
		rest = zk_str_cut(rest, '\n', &line);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0)
			break;
		if (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n))
			return bad(ret, "control character in the head");
		if (lines > MAX_LINES)
			return bad(ret, "too many header lines");
		r = lines++ == 0 ? status_line(line, ret) : header_line(line, &f, ret);
	}
	settle(&f, ret);
	return r;
}
