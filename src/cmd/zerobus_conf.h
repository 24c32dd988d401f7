/* What the commands of `zk zerobus` that connect share: endpoint, table, credentials.
 * Layer: cmd. */
#ifndef ZK_CMD_ZEROBUS_CONF_H
#define ZK_CMD_ZEROBUS_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "zerobus/names.h"

struct zk_auth;
struct zk_zb_sender_conf;

enum zb_auth { ZB_AUTH_AUTO, ZB_AUTH_OAUTH, ZB_AUTH_TOKEN, ZB_AUTH_NONE };
extern const char *const zb_auths[];

/* First member of every command's struct. */
struct zb_opts {
	const char *table, *endpoint, *workspace_url, *workspace_id, *client_id;
	struct zk_secret client_secret, token;
	int auth; /* enum zb_auth */
	bool insecure_http;
	const char *databricks_profile;
};

/* The rows that fill it. */
#define ZB_ROWS ZB_TABLE_ROW, ZB_LOGIN_ROWS
#define ZB_TABLE_ROW                                                     \
	{                                                                \
		.type = ZK_OPT_STR, .key = 't', .name = "table",         \
		.meta = "CATALOG.SCHEMA.TABLE", .conf = "zerobus.table", \
		.off = offsetof(struct zb_opts, table),                  \
		.help = "table that receives the rows"                   \
	}
#define ZB_LOGIN_ROWS                                                                 \
	{ .type = ZK_OPT_STR,                                                         \
	  .name = "endpoint",                                                         \
	  .meta = "URL",                                                              \
	  .conf = "zerobus.endpoint",                                                 \
	  .flags = ZK_OPT_ENDPOINT,                                                   \
	  .off = offsetof(struct zb_opts, endpoint),                                  \
	  .help = "Zerobus endpoint of the workspace" },                              \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "workspace-url",                                            \
		  .meta = "URL",                                                      \
		  .conf = "zerobus.workspace_url",                                    \
		  .off = offsetof(struct zb_opts, workspace_url),                     \
		  .help = "workspace that gives tokens and columns" },                \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "workspace-id",                                             \
		  .group = "Credentials",                                             \
		  .meta = "N",                                                        \
		  .conf = "zerobus.workspace_id",                                     \
		  .off = offsetof(struct zb_opts, workspace_id),                      \
		  .help = "when the endpoint does not begin with it" },               \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "client-id",                                                \
		  .group = "Credentials",                                             \
		  .meta = "ID",                                                       \
		  .conf = "zerobus.client_id",                                        \
		  .off = offsetof(struct zb_opts, client_id),                         \
		  .help = "OAuth client of a service principal" },                    \
	        { .type = ZK_OPT_SECRET_REF,                                          \
		  .name = "client-secret",                                            \
		  .group = "Credentials",                                             \
		  .conf = "zerobus.client_secret",                                    \
		  .off = offsetof(struct zb_opts, client_secret),                     \
		  .help = "its secret" },                                             \
	        { .type = ZK_OPT_SECRET_REF,                                          \
		  .name = "token",                                                    \
		  .group = "Credentials",                                             \
		  .conf = "zerobus.token",                                            \
		  .off = offsetof(struct zb_opts, token),                             \
		  .help = "a ready bearer token instead of OAuth" },                  \
	        { .type = ZK_OPT_ENUM,                                                \
		  .name = "auth",                                                     \
		  .group = "Credentials",                                             \
		  .values = zb_auths,                                                 \
		  .def = "auto",                                                      \
		  .conf = "zerobus.auth",                                             \
		  .off = offsetof(struct zb_opts, auth),                              \
		  .help = "where the token comes from; none: loopback only" },        \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "databricks-profile",                                       \
		  .group = "Credentials",                                             \
		  .meta = "NAME",                                                     \
		  .conf = "zerobus.databricks_profile",                               \
		  .off = offsetof(struct zb_opts, databricks_profile),                \
		  .help = "section of ~/.databrickscfg that has them" },              \
	{                                                                             \
		.type = ZK_OPT_BOOL, .name = "insecure-http", .group = "Credentials", \
		.conf = "zerobus.insecure_http", .flags = ZK_OPT_TRUST,               \
		.off = offsetof(struct zb_opts, insecure_http),                       \
		.help = "allow http:// to a host that is not loopback"                \
	}

/* What came of the options. */
struct zb_session {
	struct zk_app *app;
	const struct zb_opts *o; /* `mine` */
	struct zb_opts mine;     /* the command's, with what a profile adds */
	struct zk_buf table;     /* checked, without backquotes */
	struct zk_zb_endpoint endpoint;
	struct zk_zb_endpoint workspace; /* url NULL = none */
	char *profile_host, *profile_client, *secrets[2];
	size_t n_secrets;
	char *workspace_id;
	enum zb_auth auth;
	struct zk_rand rnd;
};

/* Checks everything that can be checked without a connection; all findings but the first are
 * left for the next run. zb_session_done in any case. */
int zb_session_init(struct zk_app *app, const struct zb_opts *o, struct zb_session *s,
                    struct zk_error *err) ZK_MUST_USE;
/* The same for commands that only read the table: no endpoint is needed. */
int zb_session_read(struct zk_app *app, const struct zb_opts *o, struct zb_session *s,
                    struct zk_error *err) ZK_MUST_USE;
void zb_session_done(struct zb_session *s);
/* Only the table's name, for commands that do not connect. A malformed one exits 64, one of the
 * configuration 78 (§3.3). */
int zb_table(struct zk_app *app, const struct zb_opts *o, struct zk_buf *ret,
             struct zk_error *err) ZK_MUST_USE;
/* Tokens for this table; `*ret` NULL when none are wanted. */
int zb_auth_new(struct zb_session *s, enum zk_zb_token_for what, void *ctx,
                void (*on_fetched)(void *ctx, bool good), struct zk_auth **ret,
                struct zk_error *err) ZK_MUST_USE;

/* What a sender for the session's table is made of: one stream, limits as the options of `zk zerobus
 * send` have them by default. The caller adds ctx and callbacks; everything is borrowed, for as long
 * as a sender made of it lives. Fails only where zk_app_net does. */
int zb_sender_conf(struct zb_session *s, struct zk_auth *auth,
                   struct zk_zb_sender_conf *ret, struct zk_error *err) ZK_MUST_USE;

/* zerobus_profile.c: what a section of ~/.databrickscfg adds to s->mine. */
int zb_profile_load(struct zb_session *s, struct zk_error *err) ZK_MUST_USE;
void zb_profile_done(struct zb_session *s);

struct zk_zb_schema;
struct zk_zb_schema_conf;
/* The schema of a file of --schema FILE: an Arrow file, a descriptor, a table's document. */
int zb_file_schema(const char *path, const struct zk_zb_schema_conf *conf,
                   struct zk_zb_schema **ret, struct zk_error *err) ZK_MUST_USE;
/* Appends the table's document as the workspace gives it (§10.4). Turns the loop. */
int zb_table_document(struct zb_session *s, struct zk_buf *ret,
                      struct zk_error *err) ZK_MUST_USE;
/* The schema of the table itself. */
int zb_table_schema(struct zb_session *s, const struct zk_zb_schema_conf *conf,
                    struct zk_zb_schema **ret, struct zk_error *err) ZK_MUST_USE;

#endif
