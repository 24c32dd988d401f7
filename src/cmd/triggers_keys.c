/* `zk triggers keys generate|show|rotate`.
 * Layer: cmd. specs/triggers.md §14.1. */
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_client.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define MAX_ANSWER 65536

static const char *const tiers[] = { "free", "pro", "business", "enterprise", NULL };

struct generate_opts {
	struct trig_opts trig;
	const char *name;
	int tier;
	struct zk_secret admin_token;
	bool save;
};

static const struct zk_opt generate_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "name",
	  .meta = "NAME",
	  .off = offsetof(struct generate_opts, name),
	  .flags = ZK_OPT_REQUIRED | ZK_OPT_NO_CONF,
	  .help = "name of the organization" },
	{ .type = ZK_OPT_ENUM,
	  .name = "tier",
	  .meta = "TIER",
	  .def = "free",
	  .values = tiers,
	  .off = offsetof(struct generate_opts, tier),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "decides the rate limit" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "admin-token",
	  .off = offsetof(struct generate_opts, admin_token),
	  .help = "token of a server that asks for one" },
	{ .type = ZK_OPT_BOOL,
	  .name = "save",
	  .off = offsetof(struct generate_opts, save),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "keep the key for the profile instead of printing it" },
	ZK_OPT_END,
};

/* Prints the answer; with `save` the key goes to its file and is left out. */
static int print_key(struct zk_app *app, const char *url, zk_str answer, bool save,
                     struct zk_error *err)
{
	struct zk_buf rest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jiter it;
	struct zk_jval v;
	zk_str name, key = ZK_STR_NULL;

	if (!save)
		return trig_print(app, answer, err);
	zk_buf_init(&rest, MAX_ANSWER);
	zk_buf_char(&rest, '{');
	zk_jiter_init(&it, answer);
	while (zk_jiter_member(&it, &name, &v)) {
		if (zk_jstr_eq(name, ZK_STR("api_key"))) {
			(void)zk_jstr_plain(v.raw, &key);
			continue;
		}
		if (rest.n > 1)
			zk_buf_char(&rest, ',');
		zk_buf_add(&rest, name);
		zk_buf_char(&rest, ':');
		zk_buf_add(&rest, v.raw);
	}
	zk_buf_char(&rest, '}');
	if (!key.n)
		return zk_fail(err, ZK_E_PROTOCOL, "the server's answer holds no key");
	if (trig_key_save(app, url, key, err) == 0)
		return trig_print(app, zk_buf_str(&rest), err);
	/* It exists nowhere else: better shown than lost. */
	struct zk_error why = *err;

	(void)trig_print(app, answer, err);
	*err = why;
	return -(int)err->code;
}

static int call_for_key(struct trig_session *s, const struct zk_trig_request *r,
                        bool save, struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init_secret(&answer, MAX_ANSWER);
	if (zk_trig_call(&s->client, r, &answer, err) < 0)
		return -(int)err->code;
	return print_key(s->app, s->client.url.p, zk_buf_str(&answer), save, err);
}

static int generate_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	struct generate_opts *o = opts;
	struct trig_session s;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf token ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;

	(void)argc;
	(void)argv;
	zk_buf_init(&body, 8192);
	zk_buf_init_secret(&token, ZK_SECRET_MAX);
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "organization_name");
	zk_jw_cstr(&w, o->name);
	zk_jw_key(&w, "tier");
	zk_jw_cstr(&w, tiers[o->tier]);
	zk_jw_obj_end(&w);
	int r = trig_open(app, &o->trig, /* need_key */ false, &s, err);

	if (r == 0 && o->admin_token.kind != ZK_SECRET_NONE)
		r = zk_secret_load(&o->admin_token, &token, err);
	if (r == 0) {
		struct zk_trig_request rq = { .method = "POST",
			                      .path = "/api/keys/generate",
			                      .body = zk_buf_str(&body),
			                      .bearer = token.n ? zk_buf_cstring(&token)
			                                        : NULL,
			                      .no_key = true };

		r = call_for_key(&s, &rq, o->save, err);
	}
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_keys_generate = {
	.path = "triggers keys generate",
	.help = "make an organization and its API key",
	.about = "The key is shown once. With --save it is written to a file of the "
	         "profile (mode "
	         "0600) that all other commands read.",
	.examples =
	        "zk triggers keys generate --name dev --save\n"
	        "zk triggers keys generate --name acme --tier pro -o json --jq .api_key",
	.output = "the organization with its key",
	.exits = "0 made · 69 refused · 75 no answer · 77 admin token",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = generate_rows,
	.opts_size = sizeof(struct generate_opts),
	.conf = "triggers",
	.run = generate_run,
};

static const struct zk_opt show_rows[] = { TRIG_CLIENT_ROWS, ZK_OPT_END };

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct trig_session s;

	(void)argc;
	(void)argv;
	int r = trig_open(app, opts, /* need_key */ true, &s, err);

	if (r == 0)
		r = trig_show(
		        &s,
		        &(struct zk_trig_request){ .method = "GET", .path = "/api/keys" },
		        err);
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_keys_show = {
	.path = "triggers keys show",
	.help = "show the organization of the key",
	.examples = "zk triggers keys show",
	.output = "the organization; never the key",
	.exits = "0 · 75 no answer · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = show_rows,
	.opts_size = sizeof(struct trig_opts),
	.conf = "triggers",
	.flags = ZK_CMD_READER,
	.run = show_run,
};

struct rotate_opts {
	struct trig_opts trig;
	int64_t key_grace_ms;
	bool save;
};

static const struct zk_opt rotate_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_DURATION,
	  .name = "key-grace",
	  .meta = "D",
	  .def = "0",
	  .max = 86400000,
	  .off = offsetof(struct rotate_opts, key_grace_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how long the old key still works" },
	{ .type = ZK_OPT_BOOL,
	  .name = "save",
	  .off = offsetof(struct rotate_opts, save),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "keep the key for the profile instead of printing it" },
	ZK_OPT_END,
};

static int rotate_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct rotate_opts *o = opts;
	struct trig_session s;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	(void)argc;
	(void)argv;
	zk_buf_init(&body, 256);
	zk_buf_printf(&body, "{\"grace_seconds\":%lld}",
	              (long long)(o->key_grace_ms / 1000));
	int r = trig_open(app, &o->trig, /* need_key */ true, &s, err);

	if (r == 0)
		r = call_for_key(&s,
		                 &(struct zk_trig_request){ .method = "POST",
		                                            .path = "/api/keys/rotate",
		                                            .body = zk_buf_str(&body) },
		                 o->save, err);
	trig_close(&s);
	return r;
}

const struct zk_cmd zk_cmd_triggers_keys_rotate = {
	.path = "triggers keys rotate",
	.help = "replace the API key",
	.about = "Without --key-grace the old key stops at once. If the answer is lost, "
	         "the old key is "
	         "only good while its grace time runs.",
	.examples = "zk triggers keys rotate --save --key-grace 1h",
	.output = "the new key",
	.exits = "0 rotated · 76 outcome unknown · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = rotate_rows,
	.opts_size = sizeof(struct rotate_opts),
	.conf = "triggers",
	.run = rotate_run,
};
