/* Draws the progress bar as text: pure.
 * Layer: rt, private to progress.c. */
#ifndef ZK_RT_BAR_H
#define ZK_RT_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zk_buf;

#define ZK_BAR_NOTES  12
#define ZK_BAR_SPARKS 8

struct zk_bar_note {
	char *name, *value;
	bool bare; /* the value speaks for itself */
};

struct zk_bar {
	const char *title, *unit, *state, *wait; /* each may be NULL */
	const char *aside;                       /* behind the state; may be NULL */
	uint64_t done, total;                    /* total 0 = not known */
	double rate;                             /* per second */
	double sparks[ZK_BAR_SPARKS];            /* the last rates, oldest first */
	size_t n_sparks;
	struct zk_bar_note notes[ZK_BAR_NOTES];
	size_t n_notes;
	int64_t eta_s; /* below 0 = not known */
};

/* Appends one to three lines, none wider than `columns`, without the last line break.
 * What does not fit vanishes from the right. */
void zk_bar_draw(struct zk_buf *b, const struct zk_bar *bar, size_t columns, bool utf8);
/* The same facts in one line of any width, for logs: "61,904 of 100,000 rows (62%), …".
 */
void zk_bar_plain(struct zk_buf *b, const struct zk_bar *bar);

#endif
