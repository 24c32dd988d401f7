/* The command table and the context every command gets.
 * Layer: cli. Loop thread only. */
#ifndef ZK_CLI_CMD_H
#define ZK_CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "conf/opt.h"
#include "rt/progress.h"

struct zk_app;
struct zk_cli;
struct zk_conf;
struct zk_loop;
struct zk_metrics;
struct zk_net;
struct zk_otel;
struct zk_out;
struct zk_status;
struct zk_stop;

enum zk_cmd_flags {
	ZK_CMD_HIDDEN = 1 << 0,
	ZK_CMD_NO_CONFIG =
	        1 << 1, /* runs with a broken configuration (help, version, explain) */
	ZK_CMD_READS_INPUT =
	        1 << 2, /* takes FILE... or "-"; a terminal as stdin prints -h, exit 64 */
	ZK_CMD_SERVER =
	        1 << 3, /* long-running: notice-level log, ready contract, HUP reload */
	ZK_CMD_DESTRUCTIVE = 1 << 4, /* asks on a `protected` profile (ux.md §5) */
	ZK_CMD_OWN_STDOUT = 1 << 5,  /* stdout is a protocol (procwire worker) */
	ZK_CMD_STOP_AT_ARG =
	        1 << 6, /* options end at the first positional argument (trace exec) */
	ZK_CMD_READER =
	        1 << 7, /* closed stdout ends it quietly with 0 (list tail query show) */
};

/* Groups of shared options; each fills its struct inside zk_app. COMMON is always there. Their
 * keys and variables are global, those of SERVE belong to the command ("triggers.tls_cert"). */
enum zk_opt_groups {
	ZK_OPTS_OUTPUT =
	        1 << 0, /* --output --fields --jq --format --limit --all --cursor */
	ZK_OPTS_HTTP =
	        1
	        << 1, /* --connect-timeout --request-timeout, proxy, TLS client options */
	ZK_OPTS_RETRY = 1 << 2, /* --retries --retry-base --retry-cap --retry-max-time */
	ZK_OPTS_SPOOL =
	        1 << 3, /* --spool --no-spool --durable --receipts --rejects --on-error */
	ZK_OPTS_SERVE = 1 << 4, /* --grace --admin … of servers; TLS server options */
};

struct zk_cmd {
	const char *path;       /* "zerobus send"; a group row has no run */
	const char *args;       /* "[FILE...]" */
	int min_args, max_args; /* ZK_ANY = no upper bound */
	const char *help;       /* one line, lower case, no full stop */
	const char *about;      /* paragraphs for --help and man, may be NULL */
	const char *examples;   /* lines, each without leading blanks */
	const char *args_help;  /* "FILE    YAML, JSON …" lines or NULL */
	const char *output;     /* what stdout holds, or NULL */
	const char *exits; /* exit statuses used: "0 all sent · 3 some rejected · 75" */
	const char *see;   /* "man zk-triggers · zk schema event" */
	const char *
	        section; /* of `zk --help`: "Workflows" "Data" "Operate" "Set up"; groups only */
	unsigned groups; /* enum zk_opt_groups */
	const struct zk_opt *opts;
	size_t opts_size; /* of the struct the rows write into */
	const char
	        *conf; /* config prefix when it is not the path with dots ("triggers") */
	unsigned flags;
	const char *complete_arg; /* completer of positional arguments or NULL */
	/* Values from foreign variables (DATABASE_URL, PORT, …), lowest of the environment: calls
	 * `set(app, option name, value, variable name)` for each. May be NULL. */
	int (*env)(struct zk_app *app,
	           int (*set)(struct zk_app *, const char *opt, const char *value,
	                      const char *var, struct zk_error *),
	           struct zk_error *err);
	/* Called at the end when the command failed, after the error was reported; may be NULL. For
	 * a peer that must hear of a failure before `run` too. */
	void (*failed)(const struct zk_app *app, const struct zk_error *err);
	/* Runs the command. `opts` is the filled struct (zeroed memory plus values). Returns an
	 * exit status ≥ 0, or a negative code with `err` filled, which main prints. */
	int (*run)(struct zk_app *app, void *opts, int argc, char **argv,
	           struct zk_error *err);
};

#define ZK_ANY 0x7fffffff

/* Indexes of --log-level; auto = info for servers, notice otherwise, debug with -v, warn with -q. */
enum zk_loglevel_opt {
	ZK_LOGOPT_AUTO,
	ZK_LOGOPT_ERROR,
	ZK_LOGOPT_WARN,
	ZK_LOGOPT_NOTICE,
	ZK_LOGOPT_INFO,
	ZK_LOGOPT_DEBUG
};
enum zk_color_opt { ZK_COLOR_AUTO, ZK_COLOR_ALWAYS, ZK_COLOR_NEVER };

struct zk_common_opts {
	const char *profile;
	const char *config;
	bool no_config;
	int color;    /* index: auto always never */
	int progress; /* enum zk_progress_mode, rt/progress.h */
	bool quiet;
	int verbose; /* count of -v */
	int log_level, log_format;
	const char *log_file;
	const char *trace; /* NULL = off, "" = headers, else the list */
	const char *trace_file;
	int64_t timeout_ms; /* 0 = none */
	int64_t grace_ms;
	bool dry_run;
	bool yes, no_input;
	const char *confirm;
	const char *status_fd; /* number or file */
	const char *ready_file;
	bool help, version; /* -h and -V; parse.c acts on them */
};

struct zk_output_opts {
	int output; /* enum zk_out_format, rt/out.h */
	const char *fields, *jq, *format;
	bool list_fields;
	uint64_t limit;
	bool all;
	const char *cursor;
	bool exit_status;
};

struct zk_http_opts {
	int64_t connect_timeout_ms, request_timeout_ms;
	const char *proxy; /* NULL = environment */
	const char *ca_file;
	const char *client_cert, *client_key;
	bool tls_verify; /* default true */
	const char *otel_endpoint, *otlp_file;
};

struct zk_retry_opts {
	uint64_t retries;
	int64_t base_ms, cap_ms, max_time_ms;
};

struct zk_spool_opts {
	const char *spool; /* directory, default under the state directory */
	bool enabled;      /* --no-spool turns it off */
	bool durable;
	const char *receipts, *rejects;
	int on_error; /* stop skip */
	uint64_t max_bytes;
	int when_full; /* block drop-newest fail */
};

struct zk_serve_opts {
	const char *tls_cert, *tls_key;
	struct zk_strlist trusted_proxies;
	const char *admin;
};

struct zk_app {
	const struct zk_cmd *const *cmds; /* the whole table, ends with NULL */
	const struct zk_cmd *cmd;         /* the one that runs */
	struct zk_common_opts common;
	struct zk_output_opts output;
	struct zk_http_opts http;
	struct zk_retry_opts retry;
	struct zk_spool_opts spool;
	struct zk_serve_opts serve;
	struct zk_conf *conf; /* values with origins, profiles, secrets (conf/conf.h) */
	/* Made on first use by the getters below. */
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_otel *otel; /* the net's, NULL = none */
	struct zk_metrics *metrics;
	struct zk_out *out;
	struct zk_stop *stop;
	struct zk_status *status;
	void *opts; /* the command's struct, kept for reload */
	/* The process ends by this signal, as the command that it ran did (trace exec); 0 =
	 * none. */
	int end_signal;
	/* How many of the positional arguments stood before "--"; -1 without one. */
	int args_before_dashes;
	struct zk_cli *cli; /* cli's own state */
};

/* Each makes its object on the first call and returns the same one later; they live until the
 * process ends its main function. NULL with `err` filled on failure. */
struct zk_loop *zk_app_loop(struct zk_app *app, struct zk_error *err);
struct zk_net *zk_app_net(struct zk_app *app, struct zk_error *err);
struct zk_out *zk_app_out(struct zk_app *app, struct zk_error *err);
/* The same object, whose rows are written by a thread: for commands that follow something. fn(ctx)
 * after zk_out_is_full said so. */
struct zk_out *zk_app_out_on_loop(struct zk_app *app, void (*fn)(void *ctx), void *ctx,
                                  struct zk_error *err);
struct zk_metrics *zk_app_metrics(struct zk_app *app);
/* The shutdown phases with the callbacks of `conf` (grace_ms 0 = --grace); a one-shot that was
 * stopped by a signal ends by it. --timeout begins the stop. Called once. */
struct zk_stop_conf;
struct zk_stop *zk_app_stop(struct zk_app *app, const struct zk_stop_conf *conf,
                            struct zk_error *err);
/* Never NULL; without --status-fd and --ready-file only the service manager is told. */
struct zk_status *zk_app_status(struct zk_app *app);

/* Parses the configuration again and writes the rows marked ZK_OPT_RELOAD of the running
 * command into `opts`. On failure nothing changed and `err` says why. */
int zk_app_reload(struct zk_app *app, void *opts, struct zk_error *err) ZK_MUST_USE;

/* Directories of ux.md §5, made with mode 0700 when `make` is set; the caller frees. NULL with
 * `err` filled when neither XDG_* nor HOME is set or it cannot be made. */
char *zk_app_state_dir(struct zk_app *app, bool make, struct zk_error *err);
char *zk_app_data_dir(struct zk_app *app, bool make, struct zk_error *err);
char *zk_app_config_dir(struct zk_app *app, bool make, struct zk_error *err);

/* Name of the active profile ("default" when none is chosen). */
const char *zk_app_profile(const struct zk_app *app);

#endif
