/* Texts inside URLs.
 * Layer: codec. */
#include "codec/uri.h"

#include "base/buf.h"

#include "codec/digest.h"

#include "base/ban.h"

bool zk_uri_decode(zk_str text, enum zk_uri_part part, struct zk_buf *b)
{
	size_t was = b->n;
	bool ok = text.n <= b->cap - b->n;

	for (size_t i = 0; ok && i < text.n; i++) {
		char c = text.p[i];
		uint8_t byte = 0;

		if (c == '%') {
			ok = text.n - i > 2 &&
			     zk_hex_decode(zk_str_n(text.p + i + 1, 2), &byte, 1) &&
			     byte != 0;
			c = (char)byte;
			i += 2;
		} else if (c == '+' && part == ZK_URI_QUERY) {
			c = ' ';
		}
		ok = ok && c != '\0';
		zk_buf_char(b, c);
	}
	ok = ok && (b->n == was || zk_utf8_valid(zk_str_n(b->p + was, b->n - was)));
	if (!ok)
		b->n = was;
	return ok;
}

bool zk_uri_query_next(zk_str *query, zk_str *name, zk_str *value, bool *has_value)
{
	while (query->n) {
		zk_str pair;

		*query = zk_str_cut(*query, '&', &pair);
		if (!pair.n)
			continue;
		*value = zk_str_cut(pair, '=', name);
		if (has_value)
			*has_value = value->p != NULL;
		return true;
	}
	return false;
}

bool zk_uri_query_find(zk_str query, zk_str name, zk_str *value)
{
	zk_str raw, v;
	bool found = false;

	while (!found && zk_uri_query_next(&query, &raw, &v, NULL)) {
		struct zk_buf b;

		zk_buf_init(&b, raw.n);
		found = zk_uri_decode(raw, ZK_URI_QUERY, &b) &&
		        zk_str_eq(zk_buf_str(&b), name);
		zk_buf_done(&b);
	}
	if (found)
		*value = v;
	return found;
}

bool zk_uri_path_next(zk_str *path, zk_str *segment)
{
	zk_str rest;
	ptrdiff_t at;

	if (!path->n || path->p[0] != '/')
		return false;
	rest = zk_str_from(*path, 1);
	at = zk_str_find_char(rest, '/');
	*segment = at < 0 ? rest : zk_str_n(rest.p, (size_t)at);
	*path = zk_str_from(rest, segment->n);
	return true;
}

void zk_uri_split(zk_str target, zk_str *path, zk_str *query)
{
	*query = zk_str_cut(target, '?', path);
}
