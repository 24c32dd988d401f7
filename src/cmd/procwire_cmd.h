/* What the procwire commands share.
 * Layer: cmd. */
#ifndef ZK_CMD_PROCWIRE_CMD_H
#define ZK_CMD_PROCWIRE_CMD_H

#include "cli/cmd.h"
#include "procwire/spec.h"

/* When a procwire parent started us: tells it the reason with a $error line and stays until it has
 * had time to read it (specs/procwire.md §2). Else nothing. */
void zk_procwire_failed(const struct zk_app *app, const struct zk_error *err);

struct zk_buf;
struct zk_pw_table;

/* Appends a module of TypeScript (`ts`) or JavaScript that declares the methods and events of the
 * table with @procwire/core. */
void zk_procwire_types(const struct zk_pw_table *t, bool ts, struct zk_buf *b);

/* zk's own verbs as methods ("zk:triggers.send"). */
extern const struct zk_pw_verb zk_procwire_verbs[];

/* How many of the arguments stand before "--"; behind it is the command of a worker. 0, or
 * -ZK_E_USAGE when there is none. */
int zk_procwire_split(struct zk_app *app, int argc, int *n_before, struct zk_error *err);

#endif
