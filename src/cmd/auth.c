/* `zk auth token mint|verify|show`: tokens of self-hosted Zeal servers, offline.
 * Layer: cmd. specs/zeal-zip.md §1.4. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/cmds.h"
#include "conf/secret.h"
#include "rt/out.h"
#include "zip/token.h"

#include "base/ban.h"

#define TOKEN_MAX 65536

const struct zk_cmd zk_cmd_auth = {
	.path = "auth",
	.section = "Set up",
	.help = "tokens for Zeal servers",
	.see = "man zk-auth",
};

const struct zk_cmd zk_cmd_auth_token = {
	.path = "auth token",
	.help = "mint, verify and show tokens of self-hosted servers",
	.see = "man zk-auth",
};

struct token_opts {
	struct zk_secret secret, token;
	const char *sub, *tenant, *organization, *issued_at, *session;
	int type;
	struct zk_strlist perms, roles;
	int64_t ttl_ms;
};

static const char *const types[] = { "user", "service", "api_key", NULL };

#define SECRET_ROW                                            \
	{                                                     \
		.type = ZK_OPT_SECRET_REF, .name = "secret",  \
		.off = offsetof(struct token_opts, secret),   \
		.help = "secret that the server signs with; " \
		        "otherwise $ZEAL_SECRET_KEY",         \
	}
#define TOKEN_ROW                                                             \
	{                                                                     \
		.type = ZK_OPT_SECRET_REF, .name = "token",                   \
		.off = offsetof(struct token_opts, token),                    \
		.help = "the token; otherwise that of the profile, or stdin", \
	}

static const struct zk_opt mint_rows[] = {
	SECRET_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "sub",
	  .meta = "ID",
	  .flags = ZK_OPT_NO_CONF | ZK_OPT_REQUIRED,
	  .off = offsetof(struct token_opts, sub),
	  .help = "whom it stands for" },
	{ .type = ZK_OPT_ENUM,
	  .name = "type",
	  .meta = "TYPE",
	  .def = "service",
	  .values = types,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, type),
	  .help = "what the subject is" },
	{ .type = ZK_OPT_STR,
	  .name = "tenant",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, tenant),
	  .help = "tenant" },
	{ .type = ZK_OPT_STR,
	  .name = "organization",
	  .meta = "O",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, organization),
	  .help = "organization" },
	{ .type = ZK_OPT_LIST,
	  .name = "perm",
	  .meta = "P",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, perms),
	  .help = "permission, such as traces:write; repeatable" },
	{ .type = ZK_OPT_LIST,
	  .name = "role",
	  .meta = "R",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, roles),
	  .help = "role; repeatable" },
	{ .type = ZK_OPT_DURATION,
	  .name = "ttl",
	  .meta = "D",
	  .def = "1h",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, ttl_ms),
	  .help = "how long it is good; 0 = for ever" },
	{ .type = ZK_OPT_STR,
	  .name = "issued-at",
	  .meta = "TIME",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, issued_at),
	  .help = "instead of now, for tokens that can be made again" },
	{ .type = ZK_OPT_STR,
	  .name = "session-id",
	  .meta = "HEX",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct token_opts, session),
	  .help = "instead of a random one" },
	ZK_OPT_END,
};
static const struct zk_opt verify_rows[] = { SECRET_ROW, TOKEN_ROW, ZK_OPT_END };
static const struct zk_opt show_rows[] = { TOKEN_ROW, ZK_OPT_END };

/* The secret, or the variable that the server itself reads. */
static int load_secret(const struct token_opts *o, struct zk_buf *b, struct zk_error *err)
{
	const struct zk_secret fallback = { .kind = ZK_SECRET_ENV,
		                            .text = "ZEAL_SECRET_KEY",
		                            .name = "secret" };
	const char *given = getenv("ZEAL_SECRET_KEY");

	if (o->secret.kind != ZK_SECRET_NONE)
		return zk_secret_load(&o->secret, b, err);
	if (given && given[0])
		return zk_secret_load(&fallback, b, err);
	(void)zk_fail(err, ZK_E_SECRET, "there is no secret to sign with");
	return zk_err_hint(err, "use --secret-file, ZK_ZEAL_SECRET or ZEAL_SECRET_KEY");
}

static int load_token(const struct token_opts *o, struct zk_buf *b, struct zk_error *err)
{
	const struct zk_secret in = { .kind = ZK_SECRET_FILE,
		                      .text = "-",
		                      .name = "token" };

	if (o->token.kind != ZK_SECRET_NONE)
		return zk_secret_load(&o->token, b, err);
	if (isatty(STDIN_FILENO))
		return zk_fail(
		        err, ZK_E_USAGE,
		        "give the token on stdin, with --token-file or in the profile");
	return zk_secret_load(&in, b, err);
}

static int put_line(struct zk_app *app, zk_str text, struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);

	if (!out || zk_out_text(out, text, err) < 0 ||
	    zk_out_text(out, ZK_STR("\n"), err) < 0)
		return -(int)err->code;
	return zk_out_flush(out, err);
}

static int mint_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct token_opts *o = opts;
	struct zk_buf secret ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf token ZK_CLEANUP(zk_buf_done) = { 0 };
	int64_t at_us = zk_wall_us();

	(void)argc;
	(void)argv;
	zk_buf_init_secret(&secret, ZK_SECRET_MAX);
	zk_buf_init_secret(&token, TOKEN_MAX);
	if (o->issued_at && zk_parse_rfc3339(zk_str_of(o->issued_at), &at_us, err) < 0)
		return zk_wrap(err, "--issued-at");
	if (load_secret(o, &secret, err) < 0)
		return -(int)err->code;
	struct zk_zip_claims c = {
		.sub = zk_str_of(o->sub),
		.iat = at_us / 1000000,
		.type = types[o->type],
		.tenant = o->tenant,
		.organization = o->organization,
		.session = o->session,
		.perms = o->perms.v,
		.n_perms = o->perms.n,
		.roles = o->roles.v,
		.n_roles = o->roles.n,
	};

	if (o->ttl_ms)
		c.exp = c.iat + o->ttl_ms / 1000;
	zk_zip_token_mint(&c, zk_buf_str(&secret), &token);
	if (zk_buf_check(&token, err) < 0)
		return -(int)err->code;
	return put_line(app, zk_buf_str(&token), err);
}

const struct zk_cmd zk_cmd_auth_token_mint = {
	.path = "auth token mint",
	.help = "make a token that the server accepts",
	.about = "Works offline: a server that was given a shared secret accepts what is "
	         "signed "
	         "with it.",
	.examples = "zk auth token mint --sub svc-loader --perm traces:write --ttl 8h > "
	            "token",
	.output = "the token",
	.exits = "0 · 78 no secret",
	.see = "man zk-auth · zk help secrets",
	.opts = mint_rows,
	.opts_size = sizeof(struct token_opts),
	.conf = "zeal",
	.run = mint_run,
};

static int verify_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct token_opts *o = opts;
	struct zk_buf secret ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf token ZK_CLEANUP(zk_buf_done) = { 0 };
	enum zk_zip_token result;

	(void)argc;
	(void)argv;
	zk_buf_init_secret(&secret, ZK_SECRET_MAX);
	zk_buf_init_secret(&token, TOKEN_MAX);
	if (load_secret(o, &secret, err) < 0 || load_token(o, &token, err) < 0)
		return -(int)err->code;
	result = zk_zip_token_verify(zk_buf_str(&token), zk_buf_str(&secret),
	                             zk_wall_us() / 1000000);
	if (result == ZK_ZIP_TOKEN_FOREIGN)
		return zk_fail(
		        err, ZK_E_DATA,
		        "the token is not of this form: only its server can judge it");
	if (put_line(app, zk_str_of(zk_zip_token_words(result)), err) < 0)
		return -(int)err->code;
	return result == ZK_ZIP_TOKEN_VALID ? ZK_EXIT_OK : ZK_EXIT_NO;
}

const struct zk_cmd zk_cmd_auth_token_verify = {
	.path = "auth token verify",
	.help = "check signature and times of a token",
	.examples = "zk auth token verify --secret-file secret < token",
	.output = "valid, or why not",
	.exits = "0 valid · 1 not · 65 no token of this form · 78 no secret",
	.see = "man zk-auth · zk help secrets",
	.opts = verify_rows,
	.opts_size = sizeof(struct token_opts),
	.conf = "zeal",
	.run = verify_run,
};

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct token_opts *o = opts;
	struct zk_buf token ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf payload ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_out *out = zk_app_out(app, err);

	(void)argc;
	(void)argv;
	zk_buf_init_secret(&token, TOKEN_MAX);
	zk_buf_init(&payload, TOKEN_MAX);
	if (!out || load_token(o, &token, err) < 0)
		return -(int)err->code;
	if (!zk_zip_token_payload(zk_buf_str(&token), &payload))
		return zk_fail(err, ZK_E_DATA, "the token is opaque: it shows nothing");
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_buf_str(&payload), err) < 0)
		return -(int)err->code;
	return zk_out_end(out, err);
}

const struct zk_cmd zk_cmd_auth_token_show = {
	.path = "auth token show",
	.help = "show what a token says, without checking it",
	.about = "The token itself and its signature are not printed.",
	.examples = "zk auth token show < token",
	.output = "the payload",
	.exits = "0 · 65 the token is opaque",
	.see = "man zk-auth · zk help secrets",
	.groups = ZK_OPTS_OUTPUT,
	.opts = show_rows,
	.opts_size = sizeof(struct token_opts),
	.conf = "zeal",
	.run = show_run,
};
