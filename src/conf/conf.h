/* Configuration: files, profiles, precedence, origins (ux.md §5).
 * Layer: conf. Loop thread only.
 *
 *	defaults of the table < `defaults:` of the files < the profile and what it extends
 *	< foreign variables < ZK_* < options
 *
 * where the files are system < user < project, and a profile named with -p beats variables for
 * endpoints and their credentials, as one unit. */
#ifndef ZK_CONF_CONF_H
#define ZK_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "conf/file.h"
#include "conf/opt.h"
#include "conf/schema.h"

struct zk_conf;

enum zk_profile_by {
	ZK_PROFILE_BY_NONE,
	ZK_PROFILE_BY_FILE,
	ZK_PROFILE_BY_ENV,
	ZK_PROFILE_BY_OPTION
};

struct zk_conf_in {
	struct zk_schema schema; /* the tables must outlive the conf; `prefix` too */
	/* Paths; NULL = do not look. A file that is not there is skipped, except the user's when
	 * `user_must_exist` (it was named with -c). */
	const char *system_path, *user_path, *project_path;
	bool user_must_exist;
	const char *
	        profile; /* named by -p or ZK_PROFILE; NULL = default_profile of the files */
	enum zk_profile_by profile_by;
	/* Whether this content of a project file was trusted by the user. NULL = never. */
	bool (*trusted)(void *ctx, const char *path, zk_str text);
	void *ctx;
};

/* Loads and checks the files, all of them and all of each: syntax, keys, types. 0 or a
 * ZK_E_CONFIG*, ZK_E_PROFILE or ZK_E_UNTRUSTED error. The caller frees with zk_conf_free. */
int zk_conf_load(const struct zk_conf_in *in, struct zk_conf **ret,
                 struct zk_error *err) ZK_MUST_USE;
void zk_conf_free(struct zk_conf *c); /* NULL is fine */

/* The active profile, NULL when none is. */
const char *zk_conf_profile(const struct zk_conf *c);
/* `protected: true` in the active profile or what it extends. */
bool zk_conf_is_protected(const struct zk_conf *c);
/* The file of a place, NULL when there is none. */
const struct zk_conf_file *zk_conf_file_at(const struct zk_conf *c,
                                           enum zk_conf_place place);
/* Walks the profiles: the i-th name (of all files, each once, in order), or NULL. */
const char *zk_conf_profile_name(const struct zk_conf *c, size_t i);
/* Where a profile is defined: calls fn for each file that has it. */
void zk_conf_profile_files(const struct zk_conf *c, const char *name,
                           void (*fn)(void *ctx, const struct zk_conf_file *f,
                                      const struct zk_node *at),
                           void *ctx);

/* Values from outside the files; texts and names must outlive the conf. */
void zk_conf_give(struct zk_conf *c, const struct zk_opt *row, const char *text,
                  const char *shown);
void zk_conf_foreign(struct zk_conf *c, const struct zk_opt *row, const char *text,
                     const char *variable);

enum zk_value_from {
	ZK_FROM_DEFAULT,
	ZK_FROM_FILE,
	ZK_FROM_FOREIGN, /* variable of another program's name (DATABASE_URL) */
	ZK_FROM_ENV,
	ZK_FROM_OPTION,
};

/* One place that gives a row a value. Of several the last one without `lost` counts. */
struct zk_value {
	enum zk_value_from from;
	const struct zk_conf_file *file; /* FILE */
	const struct zk_node *node;      /* FILE */
	enum zk_secret_member member;    /* FILE */
	const char *profile;             /* FILE: NULL = defaults */
	unsigned layer;                  /* FILE: rank among the layers */
	const char *variable;            /* FOREIGN, ENV */
	const char *text;                /* all but FILE; OPTION: that of the last one */
	bool is_twin;                    /* ENV: …_FILE, `text` is a path */
	const char *lost; /* why it does not count although it could; or NULL */
};

#define ZK_VALUES_MAX 64

/* All places that give `row` a value, lowest first. Returns how many. */
size_t zk_conf_values(const struct zk_conf *c, const struct zk_opt *row,
                      const char *prefix, struct zk_value out[ZK_VALUES_MAX]);
/* The one that counts, or NULL. */
const struct zk_value *zk_conf_winner(const struct zk_value *v, size_t n);
/* "~/.config/zk/config.yaml:31:12", "$ZK_RETRIES", "--retries", "default"; appended. */
void zk_value_origin(const struct zk_value *v, const struct zk_opt *row,
                     struct zk_buf *b);

/* Sets one row inside `base` from what counts. 0, or an error that says where the value came
 * from; ZK_E_USAGE for a REQUIRED row that has none. */
int zk_conf_set(const struct zk_conf *c, const struct zk_opt *row, const char *prefix,
                void *base, struct zk_optpool *pool, struct zk_error *err) ZK_MUST_USE;
/* Origin binding: that the credentials of this table go only where they were configured for. 0 or
 * -ZK_E_ORIGIN. Call it with the tables of the command, after all values are given. */
int zk_conf_check_origins(const struct zk_conf *c, const struct zk_conf_table *t,
                          struct zk_error *err) ZK_MUST_USE;
/* Checks the value of every variable that counts, whichever command it is for. */
int zk_conf_check_variables(const struct zk_conf *c, struct zk_error *err) ZK_MUST_USE;
/* Checks every value of every profile with ${…} expanded (for `zk config validate`). */
int zk_conf_check_expanded(const struct zk_conf *c, struct zk_error *err) ZK_MUST_USE;

#endif
