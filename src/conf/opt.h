/* One row per option: the source of parsing, help, config keys, environment names, man pages,
 * completions and the README table (ux.md §1).
 * Layer: conf. Rows are static const; values are written into the command's own struct. */
#ifndef ZK_CONF_OPT_H
#define ZK_CONF_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum zk_opt_type {
	ZK_OPT_NONE,  /* end of a table */
	ZK_OPT_BOOL,  /* bool; --name and --no-name */
	ZK_OPT_UINT,  /* uint64_t in [min, max] */
	ZK_OPT_INT,   /* int64_t in [min, max] */
	ZK_OPT_FLOAT, /* double */
	ZK_OPT_STR,   /* const char * */
	ZK_OPT_PATH, /* const char *; ~/ expanded, relative to the file's folder in files */
	ZK_OPT_URL,      /* const char *; checked to be http or https with a host */
	ZK_OPT_DURATION, /* int64_t milliseconds */
	ZK_OPT_SIZE,     /* uint64_t bytes */
	ZK_OPT_ENUM,     /* int: index into .values */
	ZK_OPT_LIST, /* struct zk_strlist; repeatable, and comma-separated with ZK_OPT_F_COMMA;
			    a YAML sequence in files */
	ZK_OPT_MAP, /* struct zk_strlist of "KEY=VALUE"; a YAML mapping in files */
	/* struct zk_opttable: a YAML mapping from names of the user's to mappings with the keys of
	 * `sub`. Its text is "NAME\nKEY=VALUE", one for each value. */
	ZK_OPT_TABLE,
	ZK_OPT_OPTARG, /* const char *: "" when given without =VALUE (--trace[=…]) */
	ZK_OPT_COUNT, /* int: how often it was given (-vv); a number in files and variables */
	/* struct zk_secret (conf/secret.h): where a secret comes from. One row `NAME` makes the
	 * options --NAME-file F|- and --NAME-fd N, the config keys NAME (inline), NAME_file,
	 * NAME_env, NAME_command, NAME_credential, and the variables …_NAME and …_NAME_FILE
	 * (ux.md §5). There is no option that takes the secret itself. */
	ZK_OPT_SECRET_REF,
};

enum zk_opt_flags {
	ZK_OPT_REQUIRED = 1 << 0,
	ZK_OPT_HIDDEN = 1 << 1,
	ZK_OPT_NO_CONF = 1 << 2, /* command line only: no config key, no variable */
	ZK_OPT_SECRET = 1 << 3,  /* value is masked wherever it is shown */
	ZK_OPT_F_COMMA = 1 << 4,
	ZK_OPT_ENDPOINT =
	        1 << 5,         /* origin binding and the profile exception (ux.md §5) */
	ZK_OPT_RELOAD = 1 << 6, /* applied again on HUP */
	ZK_OPT_TRUST =
	        1 << 7, /* a project file may set it only when trusted (ux.md §5) */
	ZK_OPT_F_INVERT = 1 << 8, /* BOOL: the struct holds the opposite ("no-spool") */
};

struct zk_strlist {
	char **v; /* NUL-terminated strings owned by the option set */
	size_t n;
};

/* One record for each name, in the order of the file. */
struct zk_optrec {
	const char *name;
	void *value; /* a struct of `sub_size` bytes that the rows of `sub` write into */
};

struct zk_opttable {
	struct zk_optrec *v;
	size_t n;
};

struct zk_opt {
	enum zk_opt_type type;
	char key;         /* short letter or 0 */
	const char *name; /* kebab-case long name */
	const char *meta; /* "ADDR" */
	const char *
	        def; /* default as text, parsed by the same setter as user input; NULL = none */
	int64_t min; /* for UINT, INT, DURATION (ms), SIZE (bytes); both 0 = no bounds */
	int64_t max;
	size_t off;                /* where the value lives in the command's struct */
	const char *const *values; /* ENUM: names, NULL-terminated */
	const struct zk_opt *sub;  /* TABLE: the keys of a record */
	size_t sub_size;
	unsigned flags;
	const char *group; /* heading in help; NULL = "Options" */
	const char *help;  /* one line, lower case, no full stop, no default */
	const char *text;  /* more for --help and man; may be NULL */
	const char
	        *conf; /* whole config key when it is not the derived one; "-" = none */
	const char *complete; /* value completer: "file" "dir" "profile" … or NULL */
	const char *since;    /* version; NULL = 0.1.0 */
};

#define ZK_OPT_END                  \
	{                           \
		.type = ZK_OPT_NONE \
	}

/* Memory of option values: lives as long as the structs that point into it. */
struct zk_optpool {
	struct zk_optblock *blocks;
};
/* A NUL-terminated copy of `s` owned by the pool. */
char *zk_optpool_str(struct zk_optpool *pool, zk_str s);
void *zk_optpool_alloc(struct zk_optpool *pool, size_t n);
/* Wipes and frees everything. */
void zk_optpool_done(struct zk_optpool *pool);

/* Sets the value of `row` inside `base` (the command's struct) from text. LIST and MAP append,
 * COUNT takes a number. The text of a SECRET_REF is "SCHEME:REST" (conf/secret.h). Strings are
 * copied into `pool`. 0, or -ZK_E_DATA with a message that says what the option takes and, for
 * an ENUM, a hint; the caller adds where the text came from. Nothing is written on failure. */
int zk_opt_set(struct zk_optpool *pool, const struct zk_opt *row, void *base, zk_str text,
               struct zk_error *err) ZK_MUST_USE;
/* The same without a place for the value: says whether the text would be accepted. */
int zk_opt_check(const struct zk_opt *row, zk_str text, struct zk_error *err) ZK_MUST_USE;
/* The row of `sub` whose name is `key`, with '_' or '-' between words; NULL when there is none. */
const struct zk_opt *zk_opt_find(const struct zk_opt *rows, zk_str key);
/* Empties a LIST, MAP, TABLE or SECRET_REF (a higher layer replaces the lower one's as a whole). */
void zk_opt_reset(const struct zk_opt *row, void *base);
/* Makes a value what it is in zeroed memory. */
void zk_opt_clear(const struct zk_opt *row, void *base);
/* Copies a value between two structs of the table; strings stay shared. */
void zk_opt_copy(const struct zk_opt *row, void *to, const void *from);
/* The value as text for `config show` and help; appended to `b`. Never a secret. */
struct zk_buf;
void zk_opt_format(const struct zk_opt *row, const void *base, struct zk_buf *b);

/* --max-inflight of command "zerobus send" is "zerobus.send.max_inflight"; into `b`. `prefix` is
 * the command's config prefix ("triggers", "zerobus.send"); "" for global options. Nothing is
 * appended for a row without a key. */
void zk_opt_conf_key(const struct zk_opt *row, const char *prefix, struct zk_buf *b);
/* "triggers.listen" is "ZK_TRIGGERS_LISTEN"; a global option gives its own name
 * (--retry-base, key retries.base: ZK_RETRY_BASE). */
void zk_opt_env_name(const struct zk_opt *row, const char *prefix, struct zk_buf *b);
/* The name of the long option that sets a BOOL to false: "no-x" for "x", "x" for "no-x". False
 * for other types. */
bool zk_opt_inverse(const struct zk_opt *row, char *out, size_t room);
/* What the option takes, for help and completion: "ADDR", "D", "auto|always|never"; NULL for
 * BOOL and COUNT. */
const char *zk_opt_meta(const struct zk_opt *row);

#endif
