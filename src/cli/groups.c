/* The shared option groups (ux.md §3).
 * Layer: cli. */
#include "cli/groups.h"

#include <stdio.h>
#include <string.h>

#include "base/ban.h"

static const char *const colors[] = { "auto", "always", "never", NULL };
static const char *const progresses[] = { "auto", "bar", "plain", "none", NULL };
static const char *const levels[] = { "auto", "error", "warn", "notice",
	                              "info", "debug", NULL };
static const char *const log_formats[] = { "auto", "text",     "logfmt",
	                                   "json", "journald", NULL };
static const char *const outputs[] = { "auto", "table", "plain", "json", "ndjson",
	                               "yaml", "csv",   "tsv",   NULL };
static const char *const on_errors[] = { "stop", "skip", NULL };
static const char *const when_full[] = { "block", "drop-newest", "fail", NULL };

#define C(m) .off = offsetof(struct zk_common_opts, m)

static const struct zk_opt common_rows[] = {
	{ .type = ZK_OPT_STR,
	  .key = 'p',
	  .name = "profile",
	  .meta = "NAME",
	  C(profile),
	  .conf = "-",
	  .complete = "profile",
	  .help = "profile of the configuration to use" },
	{ .type = ZK_OPT_PATH,
	  .key = 'c',
	  .name = "config",
	  .meta = "FILE",
	  C(config),
	  .conf = "-",
	  .complete = "file",
	  .help = "read only this configuration file" },
	{ .type = ZK_OPT_BOOL,
	  .name = "no-config",
	  C(no_config),
	  .conf = "-",
	  .help = "read no configuration file at all" },
	{ .type = ZK_OPT_BOOL,
	  .key = 'q',
	  .name = "quiet",
	  C(quiet),
	  .help = "hide progress and information, never warnings or errors" },
	{ .type = ZK_OPT_COUNT,
	  .key = 'v',
	  .name = "verbose",
	  C(verbose),
	  .help = "show more; -v is log level debug" },
	{ .type = ZK_OPT_ENUM,
	  .name = "log-level",
	  .meta = "LEVEL",
	  .def = "auto",
	  .values = levels,
	  C(log_level),
	  .conf = "log.level",
	  .flags = ZK_OPT_RELOAD,
	  .help = "least severe messages that are logged",
	  .text = "auto is info for servers and notice for everything else." },
	{ .type = ZK_OPT_ENUM,
	  .name = "log-format",
	  .meta = "FORMAT",
	  .def = "auto",
	  .values = log_formats,
	  C(log_format),
	  .conf = "log.format",
	  .help = "form of log lines and errors on stderr",
	  .text = "auto is journald under systemd and text everywhere else. In json "
	          "every line of "
	          "stderr is one JSON object, errors included." },
	{ .type = ZK_OPT_PATH,
	  .name = "log-file",
	  .meta = "FILE",
	  C(log_file),
	  .conf = "log.file",
	  .flags = ZK_OPT_TRUST,
	  .complete = "file",
	  .help = "append the log to FILE" },
	{ .type = ZK_OPT_ENUM,
	  .name = "color",
	  .meta = "WHEN",
	  .def = "auto",
	  .values = colors,
	  C(color),
	  .help = "colours and bold text",
	  .text = "Wins over NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM." },
	{ .type = ZK_OPT_ENUM,
	  .name = "progress",
	  .meta = "KIND",
	  .def = "auto",
	  .values = progresses,
	  C(progress),
	  .help = "progress display on stderr" },
	{ .type = ZK_OPT_OPTARG,
	  .name = "trace",
	  .meta = "WHAT",
	  C(trace),
	  .conf = "-",
	  .help = "log the wire: headers,bodies,curl,errors,timing" },
	{ .type = ZK_OPT_PATH,
	  .name = "trace-file",
	  .meta = "FILE",
	  C(trace_file),
	  .conf = "-",
	  .complete = "file",
	  .help = "write the wire log to FILE" },
	{ .type = ZK_OPT_DURATION,
	  .name = "timeout",
	  .meta = "D",
	  C(timeout_ms),
	  .help = "time for the whole command (no limit)" },
	{ .type = ZK_OPT_DURATION,
	  .name = "grace",
	  .meta = "D",
	  .def = "10s",
	  C(grace_ms),
	  .help = "time to drain after a stop signal or end of input" },
	{ .type = ZK_OPT_BOOL,
	  .name = "dry-run",
	  C(dry_run),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "validate and show what would be done, change nothing" },
	{ .type = ZK_OPT_BOOL,
	  .key = 'y',
	  .name = "yes",
	  C(yes),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "answer questions with yes" },
	{ .type = ZK_OPT_STR,
	  .name = "confirm",
	  .meta = "PROFILE",
	  C(confirm),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "profile",
	  .help = "allow a destructive command on this protected profile" },
	{ .type = ZK_OPT_BOOL,
	  .name = "no-input",
	  C(no_input),
	  .conf = "-",
	  .help = "never ask; implied without a terminal" },
	{ .type = ZK_OPT_STR,
	  .name = "status-fd",
	  .meta = "N|FILE",
	  C(status_fd),
	  .conf = "-",
	  .complete = "file",
	  .help = "write machine-readable status lines there" },
	{ .type = ZK_OPT_PATH,
	  .name = "ready-file",
	  .meta = "FILE",
	  C(ready_file),
	  .conf = "-",
	  .complete = "file",
	  .help = "write FILE when ready, remove it at exit" },
	{ .type = ZK_OPT_BOOL,
	  .key = 'h',
	  .name = "help",
	  C(help),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "-h: one screen of help, --help: all of it" },
	{ .type = ZK_OPT_BOOL,
	  .key = 'V',
	  .name = "version",
	  C(version),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "print the version" },
	ZK_OPT_END,
};

#define O(m) .off = offsetof(struct zk_output_opts, m)

static const struct zk_opt output_rows[] = {
	{ .type = ZK_OPT_ENUM,
	  .key = 'o',
	  .name = "output",
	  .meta = "FORMAT",
	  .def = "auto",
	  .values = outputs,
	  O(output),
	  .help = "form of the result on stdout",
	  .text = "auto is a table on a terminal and ndjson everywhere else." },
	{ .type = ZK_OPT_STR,
	  .name = "fields",
	  .meta = "A,B.C",
	  O(fields),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "fields",
	  .help = "only these fields" },
	{ .type = ZK_OPT_STR,
	  .name = "jq",
	  .meta = "EXPR",
	  O(jq),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "filter with a jq program; strings are printed raw" },
	{ .type = ZK_OPT_STR,
	  .name = "format",
	  .meta = "TEMPLATE",
	  O(format),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "one line per row, such as '{id}\\t{status}'" },
	{ .type = ZK_OPT_BOOL,
	  .name = "list-fields",
	  O(list_fields),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "name the fields of the result" },
	{ .type = ZK_OPT_UINT,
	  .name = "limit",
	  .meta = "N",
	  .min = 1,
	  .max = INT64_MAX,
	  O(limit),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "at most N rows" },
	{ .type = ZK_OPT_BOOL,
	  .name = "all",
	  O(all),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "all rows, page after page" },
	{ .type = ZK_OPT_STR,
	  .name = "cursor",
	  .meta = "C",
	  O(cursor),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "go on where an earlier page ended" },
	{ .type = ZK_OPT_BOOL,
	  .name = "exit-status",
	  O(exit_status),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "exit 1 when the result is empty" },
	ZK_OPT_END,
};

#define H(m) .off = offsetof(struct zk_http_opts, m)

static const struct zk_opt http_rows[] = {
	{ .type = ZK_OPT_DURATION,
	  .name = "connect-timeout",
	  .def = "10s",
	  .min = 1,
	  .max = 3600000,
	  H(connect_timeout_ms),
	  .help = "time to connect" },
	{ .type = ZK_OPT_DURATION,
	  .name = "request-timeout",
	  .def = "30s",
	  .min = 1,
	  .max = 86400000,
	  H(request_timeout_ms),
	  .help = "time for one request" },
	{ .type = ZK_OPT_STR,
	  .name = "proxy",
	  .meta = "URL",
	  H(proxy),
	  .flags = ZK_OPT_TRUST,
	  .help = "proxy; '' for none in spite of *_proxy variables" },
	{ .type = ZK_OPT_PATH,
	  .name = "ca-file",
	  .meta = "FILE",
	  H(ca_file),
	  .flags = ZK_OPT_TRUST,
	  .complete = "file",
	  .help = "certificates to trust (PEM)" },
	{ .type = ZK_OPT_PATH,
	  .name = "client-cert",
	  .meta = "FILE",
	  H(client_cert),
	  .flags = ZK_OPT_TRUST,
	  .complete = "file",
	  .help = "certificate of this client (PEM)" },
	{ .type = ZK_OPT_PATH,
	  .name = "client-key",
	  .meta = "FILE",
	  H(client_key),
	  .flags = ZK_OPT_TRUST,
	  .complete = "file",
	  .help = "private key of --client-cert" },
	{ .type = ZK_OPT_BOOL,
	  .name = "tls-verify",
	  .def = "true",
	  H(tls_verify),
	  .flags = ZK_OPT_TRUST,
	  .help = "check the certificate of the server" },
	{ .type = ZK_OPT_URL,
	  .name = "otel-endpoint",
	  .meta = "URL",
	  H(otel_endpoint),
	  .conf = "otel.endpoint",
	  .flags = ZK_OPT_TRUST,
	  .help = "send spans of requests to this collector",
	  .text = "OTLP over HTTP with JSON; /v1/traces is added. Without it the "
	          "OTEL_* variables decide: see zk help environment." },
	{ .type = ZK_OPT_PATH,
	  .name = "otlp-file",
	  .meta = "FILE",
	  H(otlp_file),
	  .conf = "otel.file",
	  .flags = ZK_OPT_TRUST,
	  .complete = "file",
	  .help = "append spans of requests to FILE (OTLP JSON)" },
	ZK_OPT_END,
};

#define R(m) .off = offsetof(struct zk_retry_opts, m)

static const struct zk_opt retry_rows[] = {
	{ .type = ZK_OPT_UINT,
	  .name = "retries",
	  .def = "5",
	  .max = 1000000,
	  R(retries),
	  .conf = "retries.max",
	  .help = "how often a failed request is repeated; 0 = never" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retry-base",
	  .def = "250ms",
	  .min = 1,
	  .max = 3600000,
	  R(base_ms),
	  .conf = "retries.base",
	  .help = "first wait, doubled each time, with jitter" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retry-cap",
	  .def = "30s",
	  .min = 1,
	  .max = 86400000,
	  R(cap_ms),
	  .conf = "retries.cap",
	  .help = "longest wait" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retry-max-time",
	  .def = "5m",
	  R(max_time_ms),
	  .conf = "retries.max_time",
	  .help = "give up after so long; 0 = never" },
	ZK_OPT_END,
};

#define S(m) .off = offsetof(struct zk_spool_opts, m)

static const struct zk_opt spool_rows[] = {
	{ .type = ZK_OPT_PATH,
	  .name = "spool",
	  .meta = "DIR",
	  S(spool),
	  .conf = "spool.dir",
	  .flags = ZK_OPT_TRUST,
	  .complete = "dir",
	  .help = "folder of the spool (in the state directory)" },
	{ .type = ZK_OPT_BOOL,
	  .name = "no-spool",
	  .def = "false",
	  S(enabled),
	  .flags = ZK_OPT_F_INVERT,
	  .conf = "-",
	  .help = "keep nothing for later; what cannot be sent is an error" },
	{ .type = ZK_OPT_BOOL,
	  .name = "durable",
	  S(durable),
	  .conf = "spool.durable",
	  .help = "write each record to the spool before it is sent" },
	{ .type = ZK_OPT_SIZE,
	  .name = "spool-max-bytes",
	  .def = "1GiB",
	  .min = 65536,
	  .max = INT64_MAX,
	  S(max_bytes),
	  .conf = "spool.max_bytes",
	  .help = "size limit of the spool" },
	{ .type = ZK_OPT_ENUM,
	  .name = "spool-when-full",
	  .meta = "WHAT",
	  .def = "block",
	  .values = when_full,
	  S(when_full),
	  .conf = "spool.when_full",
	  .help = "what a full spool does to the next record" },
	{ .type = ZK_OPT_ENUM,
	  .name = "on-error",
	  .meta = "MODE",
	  .def = "stop",
	  .values = on_errors,
	  S(on_error),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "bad records: stop before anything is sent, or skip" },
	{ .type = ZK_OPT_PATH,
	  .name = "rejects",
	  .meta = "FILE",
	  S(rejects),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "write rejected records there, each with its reason" },
	{ .type = ZK_OPT_PATH,
	  .name = "receipts",
	  .meta = "FILE",
	  S(receipts),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "write one line per delivered record there" },
	ZK_OPT_END,
};

#define V(m) .off = offsetof(struct zk_serve_opts, m)

static const struct zk_opt serve_rows[] = {
	{ .type = ZK_OPT_PATH,
	  .name = "tls-cert",
	  .meta = "FILE",
	  V(tls_cert),
	  .complete = "file",
	  .help = "serve HTTPS with this certificate (PEM)" },
	{ .type = ZK_OPT_PATH,
	  .name = "tls-key",
	  .meta = "FILE",
	  V(tls_key),
	  .complete = "file",
	  .help = "private key of --tls-cert" },
	{ .type = ZK_OPT_LIST,
	  .name = "trusted-proxy",
	  .meta = "CIDR",
	  V(trusted_proxies),
	  .flags = ZK_OPT_F_COMMA,
	  .help = "believe X-Forwarded-For of these" },
	{ .type = ZK_OPT_STR,
	  .name = "admin",
	  .meta = "ADDR",
	  V(admin),
	  .help = "listen here for /healthz /readyz /status /metrics" },
	ZK_OPT_END,
};

const struct zk_group zk_groups[ZK_GROUPS] = {
	{ 0, "Common", common_rows, offsetof(struct zk_app, common) },
	{ ZK_OPTS_OUTPUT, "Output", output_rows, offsetof(struct zk_app, output) },
	{ ZK_OPTS_HTTP, "HTTP", http_rows, offsetof(struct zk_app, http) },
	{ ZK_OPTS_RETRY, "Retry", retry_rows, offsetof(struct zk_app, retry) },
	{ ZK_OPTS_SPOOL, "Spool", spool_rows, offsetof(struct zk_app, spool) },
	{ ZK_OPTS_SERVE, "Server", serve_rows, offsetof(struct zk_app, serve) },
};

void zk_cmd_prefix(const struct zk_cmd *cmd, char out[64])
{
	int n = snprintf(out, 64, "%s", cmd->conf ? cmd->conf : cmd->path);

	ZK_ASSERT(n >= 0 && n < 64);
	for (char *p = out; !cmd->conf && *p; p++)
		if (*p == ' ')
			*p = '.';
}

size_t zk_cmd_rows(const struct zk_cmd *cmd, struct zk_rows out[ZK_ROWS_MAX])
{
	size_t n = 0;
	char prefix[64] = "";

	if (cmd)
		zk_cmd_prefix(cmd, prefix);
	if (cmd && cmd->opts) {
		out[n] = (struct zk_rows){ .rows = cmd->opts };
		memcpy(out[n++].prefix, prefix, sizeof(prefix));
	}
	for (size_t i = 0; i < ZK_GROUPS; i++) {
		const struct zk_group *g = &zk_groups[i];

		if (cmd && g->bit && !(cmd->groups & g->bit))
			continue;
		out[n] = (struct zk_rows){ .rows = g->rows, .group = g };
		if (g->bit == ZK_OPTS_SERVE)
			memcpy(out[n].prefix, prefix, sizeof(prefix));
		n++;
	}
	return n;
}

bool zk_rows_hidden(const struct zk_rows *t, size_t i, const struct zk_opt *row)
{
	for (size_t k = 0; k < i; k++)
		for (const struct zk_opt *r = t[k].rows; r->type != ZK_OPT_NONE; r++)
			if (strcmp(r->name, row->name) == 0)
				return true;
	return false;
}

const struct zk_opt *zk_rows_find(const struct zk_rows *t, size_t n, zk_str name,
                                  size_t *ret_i)
{
	for (size_t i = 0; i < n; i++) {
		for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++) {
			if (!zk_str_eq(zk_str_of(r->name), name))
				continue;
			if (ret_i)
				*ret_i = i;
			return r;
		}
	}
	return NULL;
}
