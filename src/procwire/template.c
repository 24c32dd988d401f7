/* Words with {field} in them.
 * Layer: procwire. */
#include "procwire/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/msgpack.h"

#include "base/ban.h"

#define WORD_MAX (1u << 20)

void zk_pw_words_add(struct zk_pw_words *w, const char *word)
{
	w->v = zk_realloc(w->v, (w->n + 2) * sizeof(*w->v));
	w->v[w->n++] = zk_strdup(word);
	w->v[w->n] = NULL;
	w->has_fields = w->has_fields || zk_pw_template_has_field(word);
}

void zk_pw_words_done(struct zk_pw_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct zk_pw_words){ 0 };
}

/* One character of a quoted or plain run; the state is the open quote or 0. */
static void take_char(zk_str text, size_t *i, char *quote, struct zk_buf *b)
{
	char c = text.p[*i];

	if (*quote && c == *quote) {
		*quote = 0;
	} else if (!*quote && (c == '\'' || c == '"')) {
		*quote = c;
	} else if (c == '\\' && *quote != '\'' && *i + 1 < text.n) {
		zk_buf_char(b, text.p[++*i]);
	} else {
		zk_buf_char(b, c);
	}
}

int zk_pw_words_split(zk_str text, struct zk_pw_words *ret, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	char quote = 0;
	bool open = false; /* a word is begun */

	zk_buf_init(&b, WORD_MAX);
	for (size_t i = 0; i <= text.n; i++) {
		bool blank = i == text.n || text.p[i] == ' ' || text.p[i] == '\t' ||
		             text.p[i] == '\n';

		if (i < text.n && (quote || !blank)) {
			open = true;
			take_char(text, &i, &quote, &b);
		} else if (open && !quote) {
			zk_pw_words_add(ret, zk_buf_cstring(&b));
			zk_buf_clear(&b);
			open = false;
		}
	}
	if (quote)
		return zk_fail(err, ZK_E_PW_TABLE, "a quote is not closed in '%.*s'",
		               (int)ZK_MIN(text.n, (size_t)80), text.p);
	return 0;
}

/* The field at `p`, which points at '{': its name, and where it ends. */
static const char *field_at(const char *p, zk_str *name)
{
	const char *end = p + 1;

	while (*end && *end != '}' && *end != '{' && *end != ' ')
		end++;
	if (*end != '}' || end == p + 1)
		return NULL;
	*name = zk_str_n(p + 1, (size_t)(end - p - 1));
	return end + 1;
}

bool zk_pw_template_has_field(const char *word)
{
	zk_str name;

	for (const char *p = word; *p; p++) {
		if (p[0] == '{' && p[1] == '{')
			p++;
		else if (p[0] == '{' && field_at(p, &name))
			return true;
	}
	return false;
}

int zk_pw_template_text(zk_str value, struct zk_buf *b, struct zk_error *err)
{
	zk_str in = value;
	struct zk_mpval v;

	if (!zk_mp_next(&in, &v))
		return zk_fail(err, ZK_E_DATA, "the value is cut off");
	if (v.type == ZK_MP_NIL)
		return 0;
	if (v.type != ZK_MP_STR)
		return zk_mp_to_json(value, b, err);
	if (v.s.n && memchr(v.s.p, '\0', v.s.n))
		return zk_fail(err, ZK_E_DATA, "the text holds a NUL byte");
	zk_buf_add(b, v.s);
	return zk_buf_check(b, err);
}

static int put_field(zk_str name, zk_str request, enum zk_pw_quote quote,
                     struct zk_buf *b, struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str value;

	if (!zk_mp_get(request, name, &value))
		return zk_fail(err, ZK_E_DATA, "the request lacks '%.*s'",
		               ZK_STR_ARG(name));
	zk_buf_init(&text, WORD_MAX);
	if (zk_pw_template_text(value, &text, err) < 0)
		return zk_wrap(err, "'%.*s'", ZK_STR_ARG(name));
	if (quote == ZK_PW_QUOTE_URL)
		zk_buf_percent(b, zk_buf_str(&text));
	else
		zk_buf_add(b, zk_buf_str(&text));
	return 0;
}

int zk_pw_template_fill(const char *word, zk_str request, enum zk_pw_quote quote,
                        struct zk_buf *b, struct zk_error *err)
{
	const char *p = word;

	while (*p) {
		const char *end = NULL;
		zk_str name;

		if (p[0] == '{' && p[1] == '{') {
			zk_buf_char(b, '{');
			p += 2;
			continue;
		}
		if (p[0] == '{')
			end = field_at(p, &name);
		if (!end) {
			zk_buf_char(b, *p++);
			continue;
		}
		if (put_field(name, request, quote, b, err) < 0)
			return -(int)err->code;
		p = end;
	}
	return zk_buf_check(b, err);
}
