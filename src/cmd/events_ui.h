/* The nodes of running workflows as a table on the terminal, kept up to date (`events tail --ui`).
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_EVENTS_UI_H
#define ZK_CMD_EVENTS_UI_H

#include <stdbool.h>

#include "base/str.h"

struct events_ui;
struct zk_loop;

/* Draws on stderr, which is a terminal, below the log. */
struct events_ui *events_ui_new(struct zk_loop *loop, bool color);
/* Takes the table away. NULL is fine. */
void events_ui_free(struct events_ui *ui);
/* One event: JSON that was checked. */
void events_ui_put(struct events_ui *ui, zk_str json);
/* The word of the state: "live", "reconnecting"; static. */
void events_ui_state(struct events_ui *ui, const char *word);

#endif
