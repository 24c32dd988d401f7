/* Text on a terminal: widths, cutting, scrubbing; what the terminal is.
 * Layer: rt. Any thread unless said. */
#ifndef ZK_RT_TEXT_H
#define ZK_RT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct zk_buf;

/* Columns that UTF-8 text takes (wcwidth); what is no text counts as one column per
 * byte. */
size_t zk_text_width(zk_str s);
/* How many bytes of the beginning of `s` fit into `columns`, never half a character. */
size_t zk_text_fit(zk_str s, size_t columns);
/* Appends `s` cut to `columns`, with an ellipsis when it was longer; returns the
 * columns used. */
size_t zk_text_put_cut(struct zk_buf *b, zk_str s, size_t columns, bool utf8);
/* Appends `s` with what could move the cursor, change colours or reverse the direction
 * of text replaced by escapes such as \n, \x1b, \u202e. With `lines`, line breaks and
 * tabs stay. */
void zk_text_scrub(struct zk_buf *b, zk_str s, bool lines);
void zk_text_blanks(struct zk_buf *b, size_t n);

/* Columns of the terminal at `fd`, else COLUMNS, else 80. */
size_t zk_term_columns(int fd);
/* True when the user's locale says UTF-8 (LC_ALL, LC_CTYPE, LANG). Main thread. */
bool zk_term_is_utf8(void);

#endif
