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
	ZK_OPT_NONE,	 /* end of a table */
	ZK_OPT_BOOL,	 /* bool; --name and --no-name */
	ZK_OPT_UINT,	 /* uint64_t in [min, max] */
	ZK_OPT_INT,	 /* int64_t in [min, max] */
	ZK_OPT_FLOAT,	 /* double */
	ZK_OPT_STR,	 /* const char * */
	ZK_OPT_PATH,	 /* const char *; ~/ expanded, relative to the file's folder in files */
	ZK_OPT_URL,	 /* const char *; checked to be http or https with a host */
	ZK_OPT_DURATION, /* int64_t milliseconds */
	ZK_OPT_SIZE,	 /* uint64_t bytes */
	ZK_OPT_ENUM,	 /* int: index into .values */
	ZK_OPT_LIST,	 /* struct zk_strlist; repeatable, and comma-separated with ZK_OPT_F_COMMA;
			    a YAML sequence in files */
	ZK_OPT_MAP,	 /* struct zk_strlist of "KEY=VALUE"; a YAML mapping in files */
	ZK_OPT_OPTARG,	 /* const char *: "" when given without =VALUE (--trace[=…]) */
};

enum zk_opt_flags {
	ZK_OPT_REQUIRED = 1 << 0,
	ZK_OPT_HIDDEN = 1 << 1,
	ZK_OPT_NO_CONF = 1 << 2,  /* command line only: no config key, no variable */
	ZK_OPT_SECRET = 1 << 3,	  /* value is masked wherever it is shown */
	ZK_OPT_F_COMMA = 1 << 4,
	ZK_OPT_ENDPOINT = 1 << 5, /* origin binding and the profile exception (ux.md §5) */
	ZK_OPT_RELOAD = 1 << 6,	  /* applied again on HUP */
};

struct zk_strlist {
	char **v; /* NUL-terminated strings owned by the option set */
	size_t n;
};

struct zk_opt {
	enum zk_opt_type type;
	char key;	  /* short letter or 0 */
	const char *name; /* kebab-case long name */
	const char *meta; /* "ADDR" */
	const char *def;  /* default as text, parsed by the same setter as user input; NULL = none */
	int64_t min;	  /* for UINT, INT (both 0 = no bounds) and DURATION/SIZE */
	int64_t max;
	size_t off;		   /* where the value lives in the command's struct */
	const char *const *values; /* ENUM: names, NULL-terminated */
	unsigned flags;
	const char *group;    /* heading in help; NULL = "Options" */
	const char *help;     /* one line, lower case, no full stop, no default */
	const char *text;     /* more for --help and man; may be NULL */
	const char *conf;     /* config key when it is not the derived one; "-" = none */
	const char *complete; /* value completer: "file" "dir" "profile" … or NULL */
	const char *since;    /* version; NULL = 0.1.0 */
};

#define ZK_OPT_END { .type = ZK_OPT_NONE }

/* Sets the value of `row` inside `base` (the command's struct) from text. LIST and MAP append.
 * Strings are copied into `pool` (freed with zk_optpool_done). 0, or -ZK_E_DATA with a message
 * that says what the option takes; the caller adds where the text came from. */
struct zk_optpool {
	void **v;
	size_t n, room;
};
int zk_opt_set(struct zk_optpool *pool, const struct zk_opt *row, void *base, zk_str text,
	       struct zk_error *err) ZK_MUST_USE;
/* Empties a LIST or MAP (a higher layer replaces the lower one's list as a whole). */
void zk_opt_reset(const struct zk_opt *row, void *base);
/* The value as text for `config show` and help; appended to `b`. */
struct zk_buf;
void zk_opt_format(const struct zk_opt *row, const void *base, struct zk_buf *b);
void zk_optpool_done(struct zk_optpool *pool);

/* --max-inflight of command "zerobus send" is "zerobus.send.max_inflight"; into `b`. `prefix` is
 * the command's config prefix ("triggers", "zerobus.send"); "" for global options. */
void zk_opt_conf_key(const struct zk_opt *row, const char *prefix, struct zk_buf *b);
/* "triggers.listen" is "ZK_TRIGGERS_LISTEN". */
void zk_opt_env_name(const struct zk_opt *row, const char *prefix, struct zk_buf *b);

#endif
