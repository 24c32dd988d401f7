/* Documents for people: indented JSON, and YAML from JSON. Both walk the bytes; no
 * value is converted.
 * Layer: rt. */
#include <string.h>

#include "rt/out_impl.h"
#include "rt/text.h"

#include "base/ban.h"

/* ---- indented JSON ---- */

static void new_line(struct zk_buf *b, unsigned depth)
{
	zk_buf_char(b, '\n');
	zk_text_blanks(b, (size_t)depth * 2);
}

/* Behind the string that begins at `at`. */
static size_t string_end(zk_str s, size_t at)
{
	for (at++; at < s.n && s.p[at] != '"'; at++)
		if (s.p[at] == '\\')
			at++;
	return ZK_MIN(at + 1, s.n);
}

static size_t skip_space(zk_str s, size_t at)
{
	while (at < s.n && memchr(" \t\r\n", s.p[at], 4))
		at++;
	return at;
}

/* The bracket at `at`; an empty pair stays together. Returns what comes next. */
static size_t put_open(struct zk_buf *b, zk_str s, size_t at, unsigned *depth)
{
	size_t next = skip_space(s, at + 1);

	zk_buf_char(b, s.p[at]);
	if (next < s.n && (s.p[next] == '}' || s.p[next] == ']')) {
		zk_buf_char(b, s.p[next]);
		return next + 1;
	}
	new_line(b, ++*depth);
	return at + 1;
}

void zk_out_pretty(struct zk_buf *b, zk_str s, unsigned depth)
{
	for (size_t at = skip_space(s, 0); at < s.n; at = skip_space(s, at)) {
		size_t end = at + 1;

		switch (s.p[at]) {
		case '"':
			end = string_end(s, at);
			zk_buf_put(b, s.p + at, end - at);
			break;
		case '{':
		case '[':
			end = put_open(b, s, at, &depth);
			break;
		case '}':
		case ']':
			new_line(b, depth ? --depth : 0);
			zk_buf_char(b, s.p[at]);
			break;
		case ',':
			zk_buf_char(b, ',');
			new_line(b, depth);
			break;
		case ':':
			zk_buf_lit(b, ": ");
			break;
		default:
			zk_buf_char(b, s.p[at]);
			break;
		}
		at = end;
	}
}

/* ---- YAML ---- */

/* Deeper values are written in the flow style, which is JSON. */
#define YAML_DEPTH 32

struct level {
	struct zk_jiter it;
	bool is_object;
	unsigned indent;
	bool first_inline; /* the first member stands behind "- " */
};

/* True for a plain scalar that every YAML reader takes for text. */
static bool is_plain_text(zk_str s)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no", "on",
		                             "off",  "y",     "n",    "inf", "nan" };

	if (!s.n || s.n > 200 || !((s.p[0] | 0x20) >= 'a' && (s.p[0] | 0x20) <= 'z'))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
		            "89_-./",
		            s.p[i], 66))
			return false;
	for (size_t i = 0; i < ZK_ARRAY_LEN(words); i++)
		if (zk_str_eq_nocase(s, zk_str_of(words[i])))
			return false;
	return true;
}

void zk_out_yaml_text(struct zk_buf *b, zk_str text)
{
	/* The escapes of a JSON string are those of a double-quoted scalar. */
	if (is_plain_text(text))
		zk_buf_add(b, text);
	else
		zk_buf_json_str(b, text);
}

static void put_string(struct zk_buf *b, zk_str raw)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { .cap = raw.n + 16 };

	/* Decoded and encoded anew: a pair of \u escapes is two characters for YAML. */
	zk_out_value_text((struct zk_jval){ .raw = raw, .type = ZK_J_STRING }, &text);
	zk_out_yaml_text(b, zk_buf_str(&text));
}

static bool is_empty(struct zk_jval val)
{
	return skip_space(val.raw, 1) + 1 >= val.raw.n;
}

/* What stands in one line: scalars, empty and very deep containers. */
static void put_scalar(struct zk_buf *b, struct zk_jval val)
{
	if (val.type == ZK_J_STRING)
		put_string(b, val.raw);
	else
		zk_jscan_compact(val.raw, b);
}

static bool is_nested(struct zk_jval val, unsigned depth)
{
	return (val.type == ZK_J_OBJECT || val.type == ZK_J_ARRAY) && !is_empty(val) &&
	       depth + 1 < YAML_DEPTH;
}

static struct level level_of(struct zk_jval val, unsigned indent, bool first_inline)
{
	struct level l = { .is_object = val.type == ZK_J_OBJECT,
		           .indent = indent,
		           .first_inline = first_inline };

	zk_jiter_init(&l.it, val.raw);
	return l;
}

/* The key or dash of the next value of `l`; false at its end. */
static bool put_lead(struct zk_buf *b, struct level *l, struct zk_jval *val)
{
	zk_str key = ZK_STR_NULL;

	if (l->is_object ? !zk_jiter_member(&l->it, &key, val)
	                 : !zk_jiter_element(&l->it, val))
		return false;
	if (!l->first_inline)
		zk_text_blanks(b, l->indent);
	l->first_inline = false;
	if (l->is_object) {
		put_string(b, key);
		zk_buf_char(b, ':');
	} else {
		zk_buf_char(b, '-');
	}
	return true;
}

/* A container that is not empty; its first line begins at the current column. */
static void put_container(struct zk_buf *b, struct zk_jval val, unsigned indent)
{
	struct level levels[YAML_DEPTH];
	unsigned depth = 0;

	levels[0] = level_of(val, indent, true);
	for (;;) {
		struct level *l = &levels[depth];

		if (!put_lead(b, l, &val)) {
			if (depth-- == 0)
				return;
			continue;
		}
		if (!is_nested(val, depth)) {
			zk_buf_char(b, ' ');
			put_scalar(b, val);
			zk_buf_char(b, '\n');
			continue;
		}
		zk_buf_char(b, l->is_object ? '\n' : ' ');
		levels[++depth] = level_of(val, l->indent + 2, !l->is_object);
	}
}

static void put_value(struct zk_buf *b, zk_str json, unsigned indent)
{
	struct zk_jval val;

	if (!zk_jscan_value(json, &val))
		return;
	if (is_nested(val, 0)) {
		put_container(b, val, indent);
		return;
	}
	put_scalar(b, val);
	zk_buf_char(b, '\n');
}

void zk_out_yaml_item(struct zk_buf *b, zk_str json)
{
	zk_buf_lit(b, "- ");
	put_value(b, json, 2);
}

void zk_out_yaml_object(struct zk_buf *b, zk_str json)
{
	put_value(b, json, 0);
}
