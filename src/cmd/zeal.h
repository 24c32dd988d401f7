/* What the commands for Zeal share: the options of a server, the session with it.
 * Layer: cmd. specs/zeal-zip.md §1, §11. */
#ifndef ZK_CMD_ZEAL_H
#define ZK_CMD_ZEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "zip/api.h"

struct metrics_out;
struct zk_zip_memory;

/* First member of the struct of every command of the family; .conf of the command is "zeal". */
struct zeal_opts {
	const char *base_url, *as_user, *client_id, *rate, *compat;
	const char *metrics_file, *metrics_listen;
	struct zk_secret token, api_key;
	int server_kind; /* enum zk_zip_server */
	bool verify;
};

extern const char *const zeal_servers[];

/* The rows that fill it. */
#define ZEAL_ROWS                                                                        \
	{ .type = ZK_OPT_URL,                                                            \
	  .name = "base-url",                                                            \
	  .meta = "URL",                                                                 \
	  .def = "http://localhost:3000",                                                \
	  .off = offsetof(struct zeal_opts, base_url),                                   \
	  .flags = ZK_OPT_ENDPOINT,                                                      \
	  .group = "Server",                                                             \
	  .help = "address of the Zeal server" },                                        \
	        { .type = ZK_OPT_SECRET_REF,                                             \
		  .name = "token",                                                       \
		  .off = offsetof(struct zeal_opts, token),                              \
		  .group = "Server",                                                     \
		  .help = "token that is sent with every request" },                     \
	        { .type = ZK_OPT_SECRET_REF,                                             \
		  .name = "api-key",                                                     \
		  .off = offsetof(struct zeal_opts, api_key),                            \
		  .group = "Server",                                                     \
		  .help = "API key, for servers that want one instead of a token" },     \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "as-user",                                                     \
		  .meta = "USER",                                                        \
		  .def = "zip-integration",                                              \
		  .off = offsetof(struct zeal_opts, as_user),                            \
		  .group = "Server",                                                     \
		  .help = "whose workflows are meant, where the server does not know" }, \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "client-id",                                                   \
		  .meta = "ID",                                                          \
		  .off = offsetof(struct zeal_opts, client_id),                          \
		  .group = "Server",                                                     \
		  .help = "name of this client in the server's rate limits" },           \
	        { .type = ZK_OPT_ENUM,                                                   \
		  .name = "server-kind",                                                 \
		  .meta = "KIND",                                                        \
		  .def = "auto",                                                         \
		  .values = zeal_servers,                                                \
		  .off = offsetof(struct zeal_opts, server_kind),                        \
		  .group = "Server",                                                     \
		  .help = "what is known about the server's build",                      \
		  .text = "auto finds out and remembers it for ten minutes; see: zk "    \
		          "health "                                                      \
		          "--server-kind-detect" },                                      \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "rate",                                                        \
		  .meta = "N/s",                                                         \
		  .off = offsetof(struct zeal_opts, rate),                               \
		  .group = "Server",                                                     \
		  .help = "at most so many requests; N/m and N/h too" },                 \
	        { .type = ZK_OPT_BOOL,                                                   \
		  .name = "verify",                                                      \
		  .def = "true",                                                         \
		  .off = offsetof(struct zeal_opts, verify),                             \
		  .group = "Server",                                                     \
		  .help = "read back what was written, and look before it is written" }, \
	        { .type = ZK_OPT_PATH,                                                   \
		  .name = "metrics-file",                                                \
		  .meta = "FILE",                                                        \
		  .off = offsetof(struct zeal_opts, metrics_file),                       \
		  .group = "Server",                                                     \
		  .complete = "file",                                                    \
		  .help = "write metrics for a Prometheus textfile collector here" },    \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "metrics-listen",                                              \
		  .meta = "ADDR",                                                        \
		  .off = offsetof(struct zeal_opts, metrics_listen),                     \
		  .group = "Server",                                                     \
		  .help = "answer GET /metrics at this address while it runs" },         \
	{                                                                                \
		.type = ZK_OPT_OPTARG, .name = "compat", .meta = "WHAT",                 \
		.off = offsetof(struct zeal_opts, compat), .group = "Server",            \
		.help = "use the editor's own API on broken servers: all, reads, off",   \
		.text = "Without it only for reading. Some builds lose the "             \
		        "parameters of their paths; their editor still works."           \
	}

#define ZEAL_GROUPS (ZK_OPTS_HTTP | ZK_OPTS_RETRY)

struct zeal {
	struct zk_app *app;
	const struct zeal_opts *opts;
	struct zk_zip *zip;
	struct zk_zip_memory *memory; /* NULL until zeal_memory */
	struct metrics_out *metrics;  /* NULL = nobody asked for them */
	bool compat_writes;
};

/* Loads the credential and prepares the client. `patient` = waits while the server is down
 * instead of failing (long-running commands). zeal_close in any case. */
int zeal_open(struct zk_app *app, const struct zeal_opts *o, bool patient, struct zeal *z,
              struct zk_error *err) ZK_MUST_USE;
void zeal_close(struct zeal *z);
/* The local memory, opened on first use. NULL, after a warning, when it cannot be opened: it
 * holds nothing that could not be found out again. */
struct zk_zip_memory *zeal_memory(struct zeal *z);
/* Keeps the kind of the server, which its answers showed, and finds again, unless --server-kind says
 * it, what the last ten minutes showed. */
void zeal_remember_server(struct zeal *z);
void zeal_recall_server(struct zeal *z);
/* "10/s", "600/m", "1000/h", "10" as a number per second; NULL leaves `*ret`. */
int zeal_parse_rate(const char *text, double *ret, struct zk_error *err) ZK_MUST_USE;
/* Prints one object as the result. */
int zeal_print(struct zk_app *app, zk_str object, struct zk_error *err);

#endif
