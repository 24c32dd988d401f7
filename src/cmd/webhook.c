/* `zk webhook register|list|update|pause|resume|delete|prune|test`.
 * Layer: cmd. specs/zeal-zip.md §8.1, §8.2. */
#include "cmd/webhook.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/webhook_reg.h"
#include "cmd/zeal.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/event_type.h"

#include "base/ban.h"

#define PATH_CAP 8192
#define BODY_CAP (1u << 20)
#define LIST_CAP (64u << 20)

const struct zk_cmd zk_cmd_webhook = {
	.path = "webhook",
	.section = "Workflows",
	.args = "",
	.help = "receive, forward, verify and sign webhooks",
	.about = "A webhook is an address that a Zeal server posts events to.",
};

void webhook_events(const struct zk_strlist *patterns, bool raw, struct zk_buf *b)
{
	struct zk_jwrite w;

	if (!raw || !patterns->n) {
		zk_zip_pattern_send((const char *const *)patterns->v, patterns->n, b);
		return;
	}
	zk_jwrite_init(&w, b);
	zk_jw_arr(&w);
	for (size_t i = 0; i < patterns->n; i++)
		zk_jw_cstr(&w, patterns->v[i]);
	zk_jw_arr_end(&w);
}

/* ---- requests ------------------------------------------------------------------------------ */

static int list_call(struct zeal *z, const char *ns, struct zk_buf *answer,
                     struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&path, PATH_CAP);
	zk_buf_lit(&path, "/webhooks");
	zk_zip_query(&path, "namespace", zk_str_of(ns));
	struct zk_zip_req rq = { .route = "/webhooks", .path = zk_buf_cstring(&path) };

	return zk_zip_call(z->zip, &rq, answer, NULL, err);
}

static int id_call(struct zeal *z, const char *method, zk_str id, zk_str body,
                   struct zk_buf *answer, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&path, PATH_CAP);
	zk_buf_lit(&path, "/webhooks");
	if (zk_zip_segment(&path, "webhook id", id, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .method = method,
		                 .route = "/webhooks/{id}",
		                 .path = zk_buf_cstring(&path),
		                 .body = body };

	return zk_zip_call(z->zip, &rq, answer, NULL, err);
}

/* "Name=value" lines as an object. */
static int put_headers(struct zk_jwrite *w, const struct zk_strlist *headers,
                       struct zk_error *err)
{
	zk_jw_key(w, "headers");
	zk_jw_obj(w);
	for (size_t i = 0; i < headers->n; i++) {
		zk_str name, value = zk_str_cut(zk_str_of(headers->v[i]), '=', &name);

		if (!name.n || !value.p)
			return zk_fail(err, ZK_E_USAGE,
			               "--header '%.*s' is no NAME=VALUE",
			               ZK_STR_ARG(name));
		zk_jw_key_str(w, name);
		zk_jw_str(w, value);
	}
	zk_jw_obj_end(w);
	return 0;
}

/* ---- register ------------------------------------------------------------------------------ */

struct register_opts {
	struct zeal_opts zeal;
	const char *ns;
	struct zk_strlist events, headers;
	bool raw_patterns, force;
};

#define NS_ROW(T)                                                                    \
	{                                                                            \
		.type = ZK_OPT_STR, .key = 'n', .name = "namespace",                 \
		.conf = "webhook.namespace", .meta = "NS", .def = "default",         \
		.off = offsetof(T, ns), .help = "namespace of the webhook",          \
		.text = "Servers deliver to webhooks of the namespace default only." \
	}
#define EVENT_ROWS(T)                                                        \
	{ .type = ZK_OPT_LIST,                                               \
	  .name = "events",                                                  \
	  .conf = "webhook.events",                                          \
	  .meta = "PATTERN",                                                 \
	  .off = offsetof(T, events),                                        \
	  .flags = ZK_OPT_F_COMMA,                                           \
	  .help = "types of events: node.*, workflow.created; repeatable" }, \
	        { .type = ZK_OPT_BOOL,                                       \
		  .name = "raw-patterns",                                    \
		  .conf = "webhook.raw_patterns",                            \
		  .off = offsetof(T, raw_patterns),                          \
		  .help = "tell the server the patterns as they are" },      \
	{                                                                    \
		.type = ZK_OPT_LIST, .name = "header", .meta = "NAME=VALUE", \
		.off = offsetof(T, headers), .flags = ZK_OPT_NO_CONF,        \
		.help = "a header that the server shall send; repeatable"    \
	}

static const struct zk_opt register_rows[] = {
	NS_ROW(struct register_opts),
	EVENT_ROWS(struct register_opts),
	{ .type = ZK_OPT_BOOL,
	  .name = "force",
	  .off = offsetof(struct register_opts, force),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "register although the address is registered already" },
	ZEAL_ROWS,
	ZK_OPT_END,
};

/* The webhook of this address in `answer`; true when there is one. */
static bool find_url(zk_str answer, const char *url, struct hook_list *ret)
{
	size_t pos = 0;

	while (hook_list_next(answer, &pos, ret))
		if (zk_jstr_eq(ret->url, zk_str_of(url)))
			return true;
	return false;
}

static int register_body(const struct register_opts *o, const char *url, struct zk_buf *b,
                         struct zk_error *err)
{
	struct zk_buf events ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init(&events, BODY_CAP);
	webhook_events(&o->events, o->raw_patterns, &events);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "namespace");
	zk_jw_cstr(&w, o->ns);
	zk_jw_key(&w, "url");
	zk_jw_cstr(&w, url);
	zk_jw_key(&w, "events");
	zk_jw_raw(&w, zk_buf_str(&events));
	if (o->headers.n && put_headers(&w, &o->headers, err) < 0)
		return -(int)err->code;
	zk_jw_obj_end(&w);
	return 0;
}

/* A registration whose answer was lost is found again by its address. */
static int do_register(struct zeal *z, const struct register_opts *o, const char *url,
                       struct zk_buf *answer, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_error found = { 0 };
	struct hook_list one;

	zk_buf_init(&body, BODY_CAP);
	if (register_body(o, url, &body, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .class = ZK_ZIP_R2,
		                 .method = "POST",
		                 .route = "/webhooks",
		                 .body = zk_buf_str(&body) };

	if (zk_zip_call(z->zip, &rq, answer, NULL, err) == 0)
		return 0;
	zk_buf_clear(answer);
	if (o->force || !zk_zip_is_ambiguous(err) ||
	    list_call(z, o->ns, answer, &found) < 0)
		return -(int)err->code;
	if (!find_url(zk_buf_str(answer), url, &one))
		return -(int)err->code;
	zk_buf_clear(&body);
	zk_buf_printf(&body, "{\"success\":true,\"webhookId\":\"%.*s\"}",
	              ZK_STR_ARG(one.id));
	zk_buf_clear(answer);
	zk_buf_add(answer, zk_buf_str(&body));
	return 0;
}

static int register_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	const struct register_opts *o = opts;
	struct zk_buf answer ZK_CLEANUP(zk_buf_done);
	struct hook_list one;
	struct zeal z;
	int r;

	(void)argc;
	zk_buf_init(&answer, LIST_CAP);
	if (zk_opt_check(&(struct zk_opt){ .type = ZK_OPT_URL, .name = "URL" },
	                 zk_str_of(argv[0]), err) < 0) {
		err->code = ZK_E_USAGE;
		return -(int)err->code;
	}
	r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0 && !o->force)
		r = list_call(&z, o->ns, &answer, err);
	if (r == 0 && !o->force && find_url(zk_buf_str(&answer), argv[0], &one)) {
		(void)zk_fail(err, ZK_E_CONFLICT, "'%s' is registered already as %.*s",
		              argv[0], ZK_STR_ARG(one.id));
		r = zk_err_hint(err, "change it: zk webhook update %.*s; or --force",
		                ZK_STR_ARG(one.id));
	}
	if (r == 0 && strcmp(o->ns, "default") != 0)
		zk_say("servers deliver to webhooks of the namespace 'default' only");
	zk_buf_clear(&answer);
	if (r == 0)
		r = do_register(&z, o, argv[0], &answer, err);
	if (r == 0)
		r = zeal_print(app, zk_buf_str(&answer), err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_webhook_register = {
	.path = "webhook register",
	.args = "URL",
	.min_args = 1,
	.max_args = 1,
	.help = "have the server post events to an address",
	.about =
	        "The patterns are about the type of an event (node.*); the server, which "
	        "matches something else, is told what it needs for them. It sends whole "
	        "batches, also with events that nobody asked for: filter them, as zk "
	        "webhook listen does.",
	.examples = "zk webhook register https://ops.example/hook --events 'execution.*'",
	.args_help = "URL    absolute address, http or https",
	.output = "webhookId, namespace, url, events",
	.exits = "0 · 69 registered already · 76 nobody knows · 77",
	.see = "zk webhook listen · zk webhook list",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = register_rows,
	.opts_size = sizeof(struct register_opts),
	.conf = "zeal",
	.run = register_run,
};

/* ---- list ---------------------------------------------------------------------------------- */

struct list_opts {
	struct zeal_opts zeal;
	const char *ns, *url;
};

static const struct zk_opt list_rows[] = { NS_ROW(struct list_opts), ZEAL_ROWS,
	                                   ZK_OPT_END };

static const struct zk_out_col list_cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "url" },
	{ .name = "events" },
	{ .name = "namespace", .flags = ZK_COL_EXTRA },
	{ .name = "registeredAt", .title = "registered" },
};

static const struct zk_out_shape list_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "webhooks",
	                                        .cols = list_cols,
	                                        .n_cols = ZK_ARRAY_LEN(list_cols),
	                                        .open = true };

/* Prints rows of `shape`: calls `fn` for each webhook of the namespace. */
static int each_hook(struct zk_app *app, const struct list_opts *o,
                     const struct zk_out_shape *shape,
                     int (*fn)(struct zeal *z, const struct list_opts *o,
                               const struct hook_list *one, struct zk_error *err),
                     struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done);
	struct zk_out *out = zk_app_out(app, err);
	struct hook_list one;
	struct zeal z;
	size_t pos = 0;
	int r;

	zk_buf_init(&answer, LIST_CAP);
	if (!out)
		return -(int)err->code;
	r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0)
		r = list_call(&z, o->ns, &answer, err);
	if (r == 0)
		r = zk_out_begin(out, shape, err);
	while (r == 0 && hook_list_next(zk_buf_str(&answer), &pos, &one))
		r = fn(&z, o, &one, err);
	if (r == 0)
		r = zk_out_end(out, err);
	zeal_close(&z);
	if (r < 0)
		return r;
	return app->output.exit_status && !zk_out_rows(out) ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int print_hook(struct zeal *z, const struct list_opts *o,
                      const struct hook_list *one, struct zk_error *err)
{
	(void)o;
	return zk_out_row(z->app->out, one->json, err);
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return each_hook(app, opts, &list_shape, print_hook, err);
}

const struct zk_cmd zk_cmd_webhook_list = {
	.path = "webhook list",
	.help = "list the webhooks of a namespace",
	.about =
	        "Whether one is paused the server does not say: isActive is always true.",
	.output = "id, url, events, registeredAt",
	.exits = "0 · 1 none with --exit-status · 77",
	.see = "zk webhook register · zk webhook prune",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = list_rows,
	.opts_size = sizeof(struct list_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- update, pause, resume ----------------------------------------------------------------- */

struct update_opts {
	struct zeal_opts zeal;
	const char *url;
	struct zk_strlist events, headers;
	bool raw_patterns;
};

static const struct zk_opt update_rows[] = {
	{ .type = ZK_OPT_URL,
	  .name = "url",
	  .meta = "URL",
	  .off = offsetof(struct update_opts, url),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "the new address" },
	EVENT_ROWS(struct update_opts),
	ZEAL_ROWS,
	ZK_OPT_END,
};

static int patch(struct zk_app *app, const struct zeal_opts *o, const char *id,
                 zk_str body, struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done);
	struct zeal z;
	int r = zeal_open(app, o, false, &z, err);

	zk_buf_init(&answer, BODY_CAP);
	if (r == 0)
		r = id_call(&z, "PATCH", zk_str_of(id), body, &answer, err);
	if (r < 0 && err->http_status == 500)
		(void)zk_err_why(err,
		                 "servers answer so for a webhook that is not there");
	if (r == 0)
		r = zeal_print(app, zk_buf_str(&answer), err);
	zeal_close(&z);
	return r;
}

static int update_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct update_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_buf events ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	(void)argc;
	zk_buf_init(&body, BODY_CAP);
	zk_buf_init(&events, BODY_CAP);
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	if (o->url) {
		zk_jw_key(&w, "url");
		zk_jw_cstr(&w, o->url);
	}
	if (o->events.n) {
		webhook_events(&o->events, o->raw_patterns, &events);
		zk_jw_key(&w, "events");
		zk_jw_raw(&w, zk_buf_str(&events));
	}
	if (o->headers.n && put_headers(&w, &o->headers, err) < 0)
		return -(int)err->code;
	zk_jw_obj_end(&w);
	if (body.n == 2)
		return zk_fail(err, ZK_E_USAGE,
		               "nothing to change: give --url, --events or --header");
	return patch(app, &o->zeal, argv[0], zk_buf_str(&body), err);
}

const struct zk_cmd zk_cmd_webhook_update = {
	.path = "webhook update",
	.args = "ID",
	.min_args = 1,
	.max_args = 1,
	.help = "change address, events or headers of a webhook",
	.exits = "0 · 69 no such webhook · 77",
	.see = "zk webhook list",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = update_rows,
	.opts_size = sizeof(struct update_opts),
	.conf = "zeal",
	.run = update_run,
};

struct id_opts {
	struct zeal_opts zeal;
};

static const struct zk_opt id_rows[] = { ZEAL_ROWS, ZK_OPT_END };

static int pause_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct id_opts *o = opts;

	(void)argc;
	return patch(app, &o->zeal, argv[0], ZK_STR("{\"isActive\":false}"), err);
}

static int resume_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct id_opts *o = opts;

	(void)argc;
	return patch(app, &o->zeal, argv[0], ZK_STR("{\"isActive\":true}"), err);
}

const struct zk_cmd zk_cmd_webhook_pause = {
	.path = "webhook pause",
	.args = "ID",
	.min_args = 1,
	.max_args = 1,
	.help = "have the server post nothing until it is resumed",
	.about = "What happens meanwhile is not sent later.",
	.exits = "0 · 69 no such webhook · 77",
	.see = "zk webhook resume",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = id_rows,
	.opts_size = sizeof(struct id_opts),
	.conf = "zeal",
	.run = pause_run,
};

const struct zk_cmd zk_cmd_webhook_resume = {
	.path = "webhook resume",
	.args = "ID",
	.min_args = 1,
	.max_args = 1,
	.help = "have the server post events again",
	.exits = "0 · 69 no such webhook · 77",
	.see = "zk webhook pause",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = id_rows,
	.opts_size = sizeof(struct id_opts),
	.conf = "zeal",
	.run = resume_run,
};

/* ---- delete, prune ------------------------------------------------------------------------- */

static const struct zk_out_col gone_cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "url" },
	{ .name = "status" },
};

static const struct zk_out_shape gone_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "webhooks to delete",
	                                        .cols = gone_cols,
	                                        .n_cols = ZK_ARRAY_LEN(gone_cols) };

static int delete_one(struct zeal *z, zk_str id, zk_str url, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };
	bool dry = z->app->common.dry_run;

	if (!dry && id_call(z, "DELETE", id, ZK_STR_NULL, NULL, err) < 0)
		return -(int)err->code;
	zk_row_init(&row);
	zk_row_str(&row, "id", id);
	if (url.n)
		zk_row_raw(&row, "url", url);
	else
		zk_row_null(&row, "url");
	zk_row_cstr(&row, "status", dry ? "would be deleted" : "deleted");
	return zk_out_row(z->app->out, zk_row_end(&row), err);
}

static int delete_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct id_opts *o = opts;
	struct zk_out *out = zk_app_out(app, err);
	struct zeal z;
	int r;

	if (!out)
		return -(int)err->code;
	r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0)
		r = zk_out_begin(out, &gone_shape, err);
	for (int i = 0; r == 0 && i < argc; i++)
		r = delete_one(&z, zk_str_of(argv[i]), ZK_STR_NULL, err);
	if (r == 0)
		r = zk_out_end(out, err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_webhook_delete = {
	.path = "webhook delete",
	.args = "ID...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "delete webhooks",
	.about = "A webhook that is not there counts as deleted.",
	.output = "id, status",
	.exits = "0 · 77",
	.see = "zk webhook prune",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = id_rows,
	.opts_size = sizeof(struct id_opts),
	.conf = "zeal",
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = delete_run,
};

static const struct zk_opt prune_rows[] = {
	NS_ROW(struct list_opts),
	{ .type = ZK_OPT_STR,
	  .name = "url",
	  .meta = "GLOB",
	  .off = offsetof(struct list_opts, url),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "only those whose address matches: 'http://127.0.0.1:*'" },
	ZEAL_ROWS,
	ZK_OPT_END,
};

static bool url_fits(zk_str raw, const char *glob)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored;

	zk_buf_init(&b, PATH_CAP);
	return !glob || (zk_jstr_decode(raw, ZK_JLONE_REPLACE, &b, &ignored) == 0 &&
	                 fnmatch(glob, zk_buf_cstring(&b), 0) == 0);
}

static int prune_hook(struct zeal *z, const struct list_opts *o,
                      const struct hook_list *one, struct zk_error *err)
{
	return url_fits(one->url, o->url) ? delete_one(z, one->id, one->url, err) : 0;
}

static int prune_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct list_opts *o = opts;

	(void)argc;
	(void)argv;
	if (!o->url && !app->common.yes && !app->common.dry_run) {
		(void)zk_fail(err, ZK_E_USAGE,
		              "this would delete every webhook of the namespace '%s'",
		              o->ns);
		return zk_err_hint(err, "name some with --url GLOB, or mean it: --yes");
	}
	return each_hook(app, o, &gone_shape, prune_hook, err);
}

const struct zk_cmd zk_cmd_webhook_prune = {
	.path = "webhook prune",
	.help = "delete the webhooks whose address matches",
	.examples = "zk webhook prune --url 'http://127.0.0.1:*' --dry-run",
	.output = "id, url, status",
	.exits = "0 · 64 · 77",
	.see = "zk webhook list",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = prune_rows,
	.opts_size = sizeof(struct list_opts),
	.conf = "zeal",
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = prune_run,
};

/* ---- test ---------------------------------------------------------------------------------- */

static int test_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct id_opts *o = opts;
	struct zk_buf answer ZK_CLEANUP(zk_buf_done);
	struct zk_jval ok = { 0 };
	struct zeal z;
	int r;

	(void)argc;
	zk_buf_init(&answer, BODY_CAP);
	r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0)
		r = id_call(&z, "POST", zk_str_of(argv[0]), ZK_STR_NULL, &answer, err);
	if (r == 0)
		r = zeal_print(app, zk_buf_str(&answer), err);
	zeal_close(&z);
	if (r < 0)
		return r;
	return zk_jscan_get(zk_buf_str(&answer), ZK_STR("success"), &ok) &&
	                       zk_str_eq(ok.raw, ZK_STR("true"))
	               ? ZK_EXIT_OK
	               : ZK_EXIT_NO;
}

const struct zk_cmd zk_cmd_webhook_test = {
	.path = "webhook test",
	.args = "ID",
	.min_args = 1,
	.max_args = 1,
	.help = "have the server send a test event now",
	.output = "success, statusCode, message or error",
	.exits = "0 it arrived · 1 it did not · 69 no such webhook · 77",
	.see = "zk webhook list",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = id_rows,
	.opts_size = sizeof(struct id_opts),
	.conf = "zeal",
	.run = test_run,
};
