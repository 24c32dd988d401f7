/* Methods as the user declares them, and the handlers they may name (specs/cli.md §Procwire).
 * Layer: procwire. */
#ifndef ZK_PROCWIRE_SPEC_H
#define ZK_PROCWIRE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/opt.h"
#include "procwire/worker.h"

struct zk_net;

enum zk_pw_out { /* what the answer of a command is made of */
	         ZK_PW_OUT_AUTO,
	         ZK_PW_OUT_RAW,
	         ZK_PW_OUT_TEXT,
	         ZK_PW_OUT_JSON,
	         ZK_PW_OUT_LINES,
	         ZK_PW_OUT_NDJSON,
	         ZK_PW_OUT_FULL,
};

/* One method; the members are those of zk_pw_spec_rows. */
struct zk_pw_spec {
	int kind; /* enum zk_pw_kind */
	int codec, request_codec,
	        response_codec; /* 0 = not given, else zk_pw_codec + 1 */
	const char *handler;    /* "exec:cat -n", "echo"; or "exec" … with argv */
	struct zk_strlist argv; /* instead of the text behind exec: and co: */
	int out;                /* enum zk_pw_out */
	const char *timeout;    /* "5s", "none"; NULL = not given */
	struct zk_strlist ok;   /* exit statuses that are no failure; none = 0 */
	struct zk_strlist env;  /* NAME=VALUE, for commands */
	const char *cwd;
	uint64_t max_output;       /* 0 = that of the worker */
	uint64_t copies;           /* co: processes; 0 = 1 */
	const char *query;         /* sql */
	bool write;                /* sql: may change the file */
	struct zk_strlist allow;   /* http: hosts; file.*: folders */
	struct zk_strlist headers; /* http: "Name: value" */
	const char *value;         /* fail, hmac: text, file of the key */
};

extern const struct zk_opt zk_pw_spec_rows[];

/* What the handlers get of the program. */
struct zk_pw_env {
	struct zk_loop *loop;
	struct zk_pw_worker *worker;
	void *ctx;
	struct zk_net *(*net)(void *ctx, struct zk_error *err); /* made on first use */
	uint64_t max_output;
	int64_t kill_grace_ms;
	/* zk's own verbs, ended by one without a name. */
	const struct zk_pw_verb *verbs;
};

/* A verb of zk as a method ("triggers.send"). */
struct zk_pw_verb {
	const char *name;
	const struct zk_pw_handler *handler;
	enum zk_pw_kind kind; /* when the user gives none */
	bool raw;             /* its answers may be raw: JSON texts */
	/* Sets m->conf and m->free_conf. */
	int (*make)(const struct zk_pw_env *env, struct zk_pw_method *m,
	            const struct zk_pw_spec *spec, struct zk_error *err);
};

/* Reads "NAME[,KEY=VALUE...]=HANDLER[:SPEC]" of the command line. `*name` and the texts of `spec`
 * belong to `pool`. 0, or -ZK_E_USAGE. */
int zk_pw_spec_parse(zk_str text, struct zk_optpool *pool, const char **name,
                     struct zk_pw_spec *spec, struct zk_error *err) ZK_MUST_USE;
/* Adds the method to the worker of `env`. `env` and the texts of `spec` must outlive it. 0, or
 * -ZK_E_PW_TABLE and others. */
int zk_pw_spec_add(const struct zk_pw_env *env, const char *name,
                   const struct zk_pw_spec *spec, struct zk_error *err) ZK_MUST_USE;
/* The methods that are always there, and the built-in ones of a comma separated list. */
int zk_pw_spec_builtins(const struct zk_pw_env *env, const struct zk_strlist *names,
                        struct zk_error *err) ZK_MUST_USE;

/* ---- for the files of the handlers ---- */

/* A kind of handler: by the word before the colon, or its whole name. */
struct zk_pw_maker {
	const char *name;
	const struct zk_pw_handler *handler;
	bool takes_rest; /* "exec:…" */
	/* What is natural for it when the user gives nothing. */
	enum zk_pw_kind kind;
	enum zk_pw_codec request, response;
	bool exposed; /* --expose may name it */
	/* May be NULL. Checks, and sets m->conf and m->free_conf; `rest` stands behind the
	 * colon. */
	int (*make)(const struct zk_pw_env *env, struct zk_pw_method *m,
	            const struct zk_pw_spec *spec, const char *rest,
	            struct zk_error *err);
};

extern const struct zk_pw_maker zk_pw_basic[];   /* h_basic.c; each ends with no name */
extern const struct zk_pw_maker zk_pw_bytes[];   /* h_bytes.c */
extern const struct zk_pw_maker zk_pw_command[]; /* h_command.c */
extern const struct zk_pw_maker zk_pw_co[];      /* h_co.c */
extern const struct zk_pw_maker zk_pw_files[];   /* h_files.c */
extern const struct zk_pw_maker zk_pw_http[];    /* h_http.c */
extern const struct zk_pw_maker zk_pw_sql[];     /* h_sql.c */

#endif
