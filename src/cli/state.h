/* What cli keeps in struct zk_app, and the loading of the configuration: for cli itself and for
 * the commands that are about the configuration.
 * Layer: cli. */
#ifndef ZK_CLI_STATE_H
#define ZK_CLI_STATE_H

#include <stdbool.h>

#include "cli/cmd.h"
#include "cli/parse.h"
#include "conf/conf.h"
#include "conf/opt.h"

/* All rows of all commands. */
struct zk_all_rows {
	struct zk_conf_table *tables;
	char (*prefixes)[64];
	size_t n;
};

struct zk_cli {
	struct zk_parse parse;
	struct zk_optpool pool; /* values of the start */
	/* Values of the last two reloads: whoever still holds a string of the one before the last
	 * one has had a whole reload of time. */
	struct zk_optpool reloads[2];
	unsigned n_reloads;
	struct zk_all_rows rows;  /* empty for NO_CONFIG commands */
	const char *profile;      /* loaded instead of that of the line; NULL = none */
	struct zk_conf *loading;  /* what foreign variables are given to */
	struct zk_timer *timeout; /* --timeout */
	bool timed_out;
	int exit_as;    /* the exit status of an error, when it is not that of its code */
	bool is_filled; /* the option structs hold their final values */
};

void zk_all_rows_make(const struct zk_cmd *const *cmds, struct zk_all_rows *ret);
void zk_all_rows_done(struct zk_all_rows *a);

/* Where configuration files are looked for. Strings are the caller's to free. */
struct zk_places {
	char *system_file, *user_file, *project_file; /* NULL = not looked for */
	bool is_named; /* user_file was named with -c or ZK_CONFIG */
};
int zk_places_find(const struct zk_app *app, struct zk_places *ret,
                   struct zk_error *err) ZK_MUST_USE;
void zk_places_done(struct zk_places *p);

/* Loads the files for the command line of this process, checks the variables, and gives the
 * options and foreign variables. `rows` must outlive the result. */
int zk_cli_load(struct zk_app *app, const struct zk_all_rows *rows, struct zk_conf **ret,
                struct zk_error *err) ZK_MUST_USE;
/* The same with another profile, as if it had been named with -p. */
int zk_cli_load_profile(struct zk_app *app, const struct zk_all_rows *rows,
                        const char *profile, struct zk_conf **ret,
                        struct zk_error *err) ZK_MUST_USE;
/* Loads, and writes what counts into the structs of the app and of the command. 0, or an error
 * that says where the wrong value came from. */
int zk_cli_fill(struct zk_app *app, struct zk_error *err) ZK_MUST_USE;
/* Opens the status channel when the command line asks for one, and tells it that the command
 * starts. 0 or -ZK_E_CREATE. */
int zk_app_status_start(struct zk_app *app, struct zk_error *err) ZK_MUST_USE;
/* Tells the status channel of the error (NULL = none) and the exit status. */
void zk_app_status_end(struct zk_app *app, const struct zk_error *err, int status);
/* Stops and frees what the getters of app_rt.c made; `ret_signal` = the signal that stopped the
 * command, 0 = none. Telemetry learns the exit status. */
void zk_app_rt_done(struct zk_app *app, int status, int *ret_signal);
/* Stops and frees what the getters made. Returns the exit status, made worse when something
 * failed at the very end (output not written). */
int zk_app_done(struct zk_app *app, int status, int *ret_signal);

/* Whether the user trusted this content of a project file; and remembering that. */
bool zk_trust_has(const char *path, zk_str text);
int zk_trust_add(const char *path, zk_str text, struct zk_error *err) ZK_MUST_USE;
int zk_trust_remove(const char *path, struct zk_error *err) ZK_MUST_USE;

/* A destructive command on a `protected` profile: --confirm, or the name typed at a terminal. 0
 * or -ZK_E_USAGE. */
int zk_confirm_profile(const struct zk_app *app, struct zk_error *err) ZK_MUST_USE;

#endif
