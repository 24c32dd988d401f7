/* The small Markdown that help topics, man pages and generated pages are written in: one source,
 * shown as text or as roff.
 * Layer: cli. Only for texts of ours: nothing here defends against hostile input.
 *
 *	# title, ## section, ### subsection
 *	a paragraph of several lines, with `code`, **bold** and *emphasis*
 *	- a bullet, continued on lines indented by two blanks
 *	term
 *	: what it means, continued the same way
 *	```  … lines as they are …  ```
 *	| a table | of two or more columns |
 *	|---------|------------------------|
 *	| x       | y                      |
 *
 * A backslash takes the meaning away from the character behind it. */
#ifndef ZK_CLI_MD_H
#define ZK_CLI_MD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

enum zk_md_kind {
	ZK_MD_HEAD, /* level 1 to 3 */
	ZK_MD_PARA,
	ZK_MD_ITEM,
	ZK_MD_DEF,  /* term and text */
	ZK_MD_CODE, /* text: lines as they are */
	ZK_MD_ROW,  /* text: the line of a table; level 1 = its head */
};

struct zk_md_block {
	enum zk_md_kind kind;
	unsigned level;
	bool last;         /* ROW: the last one of its table */
	char *term, *text; /* inline Markdown, lines joined; owned by the document */
};

struct zk_md {
	struct zk_md_block *v;
	size_t n, room;
};

void zk_md_parse(struct zk_md *md, zk_str text);
void zk_md_done(struct zk_md *md);

/* As text of at most `width` columns; headings bold when `color`. */
void zk_md_text(const struct zk_md *md, unsigned width, bool color, struct zk_buf *b);
/* As man(7) macros below the .TH line; the level-1 heading is left out. */
void zk_md_roff(const struct zk_md *md, struct zk_buf *b);

#define ZK_MD_CELLS 8
/* Widths in columns of the cells of a table, narrowed so that all fit into `width` with gaps of
 * two; `rows` is its first block. Returns how many columns it has. */
size_t zk_md_measure(const struct zk_md_block *rows, unsigned width,
                     unsigned widths[ZK_MD_CELLS]);
/* Cells of a ROW, trimmed, backslashes still in place; returns how many. */
size_t zk_md_cells(const char *row, zk_str *cells, size_t room);

/* Inline Markdown as pieces: calls put(ctx, text, style) with style ' ' plain, '`' code,
 * '*' emphasis, 'b' bold; backslashes are resolved. */
void zk_md_inline(zk_str text, void (*put)(void *ctx, zk_str text, char style),
                  void *ctx);
/* Appends `text` so that it comes out of zk_md_inline as it is, in tables too. */
void zk_md_escape(zk_str text, struct zk_buf *b);

#endif
