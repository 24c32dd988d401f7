/* What the wire log leaves out: credentials in heads, URLs and bodies.
 * Layer: net. Pure. */
#include "base/buf.h"
#include "net/trace.h"

#include "base/ban.h"

#define MASK "***"

/* Whether something of this name holds a credential. */
static bool is_secret_name(zk_str name)
{
	static const zk_str parts[] = {
		ZK_STR_INIT("authorization"), ZK_STR_INIT("cookie"),
		ZK_STR_INIT("token"),         ZK_STR_INIT("secret"),
		ZK_STR_INIT("password"),      ZK_STR_INIT("passwd"),
		ZK_STR_INIT("api-key"),       ZK_STR_INIT("api_key"),
		ZK_STR_INIT("apikey"),        ZK_STR_INIT("credential"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(parts); i++)
		for (size_t at = 0; at + parts[i].n <= name.n; at++)
			if (zk_str_starts_nocase(zk_str_from(name, at), parts[i]))
				return true;
	return false;
}

/* In a URL a signature is as good as a password. */
static bool is_secret_parameter(zk_str name)
{
	return is_secret_name(name) || zk_str_eq_nocase(name, ZK_STR("key")) ||
	       zk_str_eq_nocase(name, ZK_STR("sig")) ||
	       (name.n >= 9 &&
	        zk_str_eq_nocase(zk_str_from(name, name.n - 9), ZK_STR("signature")));
}

static size_t until(zk_str s, size_t at, const char *stops)
{
	while (at < s.n && s.p[at] && !strchr(stops, s.p[at]))
		at++;
	return at;
}

/* "a=b&token=c": masks values; `at` is where the first name begins. */
static void mask_parameters(zk_str s, size_t at, struct zk_buf *b)
{
	while (at < s.n) {
		size_t name = at, end = until(s, at, "=&# \r\n");

		zk_buf_put(b, s.p + name, end - name);
		at = end;
		if (at < s.n && s.p[at] == '=') {
			size_t value = at + 1, stop = until(s, value, "&# \r\n");

			zk_buf_char(b, '=');
			if (is_secret_parameter(zk_str_n(s.p + name, end - name)))
				zk_buf_lit(b, MASK);
			else
				zk_buf_put(b, s.p + value, stop - value);
			at = stop;
		}
		if (at < s.n)
			zk_buf_char(b, s.p[at++]);
	}
}

void zk_trace_mask_url(zk_str url, struct zk_buf *b)
{
	ptrdiff_t slashes = zk_str_find(url, ZK_STR("://")), query;
	size_t from = slashes < 0 ? 0 : (size_t)slashes + 3;
	size_t end = until(url, from, "/?#"), at = end;

	/* Who logs in, when this is a URL and not only a target. */
	while (slashes >= 0 && at > from && url.p[at - 1] != '@')
		at--;
	if (slashes >= 0 && at > from) {
		zk_buf_put(b, url.p, from);
		zk_buf_lit(b, MASK "@");
		url = zk_str_from(url, at);
	}
	query = zk_str_find_char(url, '?');
	if (query < 0) {
		zk_buf_add(b, url);
		return;
	}
	zk_buf_put(b, url.p, (size_t)query + 1);
	mask_parameters(url, (size_t)query + 1, b);
}

void zk_trace_mask_header(zk_str line, struct zk_buf *b)
{
	zk_str name, value, scheme;

	value = zk_str_cut(line, ':', &name);
	/* A request line: its target may have parameters. */
	if (!value.p || zk_str_find_char(name, ' ') >= 0) {
		zk_trace_mask_url(line, b);
		return;
	}
	if (!is_secret_name(name)) {
		zk_buf_add(b, line);
		return;
	}
	zk_buf_add(b, name);
	zk_buf_lit(b, ": ");
	/* "Bearer" is worth knowing, and no secret. */
	if (zk_str_cut(zk_str_trim(value), ' ', &scheme).n &&
	    zk_str_ends(name, ZK_STR("uthorization")) && scheme.n <= 10) {
		zk_buf_add(b, scheme);
		zk_buf_char(b, ' ');
	}
	zk_buf_lit(b, MASK);
}

/* The end of the JSON string that begins behind the quote at `at`: its closing quote, or the end
 * of a text that was cut. */
static size_t string_end(zk_str s, size_t at)
{
	while (at < s.n && s.p[at] != '"')
		at += s.p[at] == '\\' ? 2 : 1;
	return ZK_MIN(at, s.n);
}

static size_t skip_blanks(zk_str s, size_t at)
{
	while (at < s.n &&
	       (s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\r' || s.p[at] == '\n'))
		at++;
	return at;
}

static void mask_json(zk_str s, struct zk_buf *b)
{
	size_t at = 0, copied = 0;

	while (at < s.n) {
		zk_str name;
		size_t end, value;

		if (s.p[at++] != '"')
			continue;
		end = string_end(s, at);
		name = zk_str_n(s.p + at, end - at);
		value = skip_blanks(s, end + 1);
		at = end + 1;
		if (value >= s.n || s.p[value] != ':')
			continue;
		value = skip_blanks(s, value + 1);
		if (value >= s.n || s.p[value] != '"' || !is_secret_name(name))
			continue;
		zk_buf_put(b, s.p + copied, value + 1 - copied);
		zk_buf_lit(b, MASK);
		copied = string_end(s, value + 1);
		at = copied + 1;
	}
	if (copied < s.n)
		zk_buf_put(b, s.p + copied, s.n - copied);
}

void zk_trace_mask_body(zk_str body, struct zk_buf *b)
{
	/* A form has no quotes; everything else is looked at as if it were, or held, JSON. */
	if (zk_str_find_char(body, '=') >= 0 && zk_str_find_char(body, '"') < 0)
		mask_parameters(body, 0, b);
	else
		mask_json(body, b);
}
