/* Terminals: colour rules, width, text layout, writing to stdout.
 * Layer: cli. */
#ifndef ZK_CLI_TERM_H
#define ZK_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"

/* Whether text on `fd` gets colours: --color (enum zk_color_opt), then NO_COLOR, CLICOLOR_FORCE,
 * CLICOLOR, TERM, isatty (ux.md §3). */
bool zk_term_color(int color_opt, int fd);
/* Columns of help: those of the terminal or of COLUMNS, from 40 to 80. */
unsigned zk_term_help_width(void);

/* Appends `text` as words filled into lines of `width`, each after `indent` blanks; the first
 * line begins at column `at` (blanks up to `indent` are added when it is less). Line breaks in
 * `text` stay; an empty line separates paragraphs. Ends with a line break. ZK_FILL_TIE is a
 * blank at which no line is broken. */
#define ZK_FILL_TIE '\1'
void zk_fill(struct zk_buf *b, zk_str text, unsigned at, unsigned indent, unsigned width);

/* Writes everything to stdout. A reader that went away (EPIPE) ends it quietly with 0; other
 * failures are -ZK_E_OUTPUT. */
int zk_print(zk_str text, struct zk_error *err) ZK_MUST_USE;
/* The same through $PAGER when stdout is a terminal, PAGER is set and the text does not fit. */
int zk_print_paged(zk_str text, struct zk_error *err) ZK_MUST_USE;

#endif
