/* What the commands of `zk spool` share, and how other commands find the spool.
 * Layer: cmd. */
#ifndef ZK_CMD_SPOOL_CMD_H
#define ZK_CMD_SPOOL_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cmd.h"
#include "conf/opt.h"
#include "store/spool.h"

/* Fills dir, profile and create of `conf` for the active profile: in `dir`, or in
 * $XDG_STATE_HOME/zk/spool when that is NULL. The limits are left to the caller (app->spool).
 * `*ret_dir` owns conf->dir: the caller frees it after the open. */
int zk_spool_place(struct zk_app *app, const char *dir, bool create,
                   struct zk_spool_conf *conf, char **ret_dir,
                   struct zk_error *err) ZK_MUST_USE;

/* First member of every command's struct. */
struct spool_opts {
	const char *dir;
};

#define SPOOL_DIR_ROW                                                         \
	{                                                                     \
		.type = ZK_OPT_PATH, .name = "spool", .meta = "DIR",          \
		.off = offsetof(struct spool_opts, dir), .conf = "spool.dir", \
		.flags = ZK_OPT_TRUST, .complete = "dir",                     \
		.help = "folder of the spool (in the state directory)"        \
	}

/* Of commands that choose among the records. */
struct spool_state_opts {
	struct spool_opts spool;
	int state;
};

#define SPOOL_STATE_ROW                                                              \
	{                                                                            \
		.type = ZK_OPT_ENUM, .name = "state", .meta = "STATE", .def = "any", \
		.values = spool_states, .flags = ZK_OPT_NO_CONF,                     \
		.off = offsetof(struct spool_state_opts, state),                     \
		.help = "only records in this state"                                 \
	}

/* Opens the spool of the profile: 1; 0 = there is none yet, `*ret` is NULL then. */
int spool_open(struct zk_app *app, const char *dir, struct zk_spool **ret,
               struct zk_error *err) ZK_MUST_USE;

/* Opens the spool of a command that sends (--spool and its limits), making it; `own`: what is
 * appended is out of the reach of others (zk_spool_own). */
int spool_make(struct zk_app *app, bool own, struct zk_spool **ret,
               struct zk_error *err) ZK_MUST_USE;

/* Arguments "ID...|TARGET...": all are ids (digits) or all are globs over "KIND:DEST". */
struct spool_args {
	int64_t *ids;
	struct zk_spool_filter filter; /* points to ids and argv */
};
int spool_args_parse(int argc, char **argv, struct spool_args *ret,
                     struct zk_error *err) ZK_MUST_USE;
void spool_args_done(struct spool_args *a);

/* The names of --state; its index 0 is "any". */
extern const char *const spool_states[];
/* The states of a filter for an index of --state. */
unsigned spool_state_bits(int index);

#endif
