/* Words with {field} in them, and what a request puts there.
 * Layer: procwire. Pure. */
#ifndef ZK_PROCWIRE_TEMPLATE_H
#define ZK_PROCWIRE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

struct zk_pw_words {
	char **v;
	size_t n;
	bool has_fields;
};

/* Splits a command line into words: blanks separate, '…', "…" and \ quote, nothing else is
 * special. 0, or -ZK_E_PW_TABLE. */
int zk_pw_words_split(zk_str text, struct zk_pw_words *ret,
                      struct zk_error *err) ZK_MUST_USE;
void zk_pw_words_add(struct zk_pw_words *w, const char *word);
void zk_pw_words_done(struct zk_pw_words *w);

/* True when `word` holds a {field}. */
bool zk_pw_template_has_field(const char *word);
enum zk_pw_quote { ZK_PW_QUOTE_NONE, ZK_PW_QUOTE_URL };
/* Appends `word` with each {field} replaced by the member of the msgpack map `request`; {{ is
 * a brace. 0, or -ZK_E_DATA: the request lacks it, or it has no form as a text without NUL. */
int zk_pw_template_fill(const char *word, zk_str request, enum zk_pw_quote quote,
                        struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;
/* A msgpack value as a text: strings and numbers as they are, true, false, nothing for nil, JSON
 * for containers. */
int zk_pw_template_text(zk_str value, struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;

#endif
