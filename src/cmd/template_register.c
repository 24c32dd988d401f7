/* `zk template register`.
 * Layer: cmd. specs/zeal-zip.md §4.2, §4.3. */
#include <string.h>

#include "cmd/cmds.h"
#include "cmd/lint.h"
#include "cmd/template.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/register.h"

#include "base/ban.h"

struct register_opts {
	struct zeal_opts zeal;
	const char *namespace, *webhook_url, *report;
	bool replace, create_only, prune;
};

static const struct zk_opt rows[] = {
	ZEAL_ROWS,
	NAMESPACE_ROW(struct register_opts, namespace),
	{ .type = ZK_OPT_URL,
	  .name = "webhook-url",
	  .meta = "URL",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct register_opts, webhook_url),
	  .help = "note this address in the templates; it makes no webhook" },
	{ .type = ZK_OPT_BOOL,
	  .name = "replace",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct register_opts, replace),
	  .help = "delete what exists first, then register" },
	{ .type = ZK_OPT_BOOL,
	  .name = "create-only",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct register_opts, create_only),
	  .help = "fail for what exists already" },
	{ .type = ZK_OPT_BOOL,
	  .name = "prune",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct register_opts, prune),
	  .help = "delete templates of the namespace that no FILE holds" },
	{ .type = ZK_OPT_STR,
	  .name = "report",
	  .meta = "KIND",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct register_opts, report),
	  .help = "report what the lint found: github, junit=FILE" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "globalId", .flags = ZK_COL_WHOLE },
	{ .name = "status" },
	{ .name = "error" },
};

struct job {
	struct zk_out *out;
	struct zk_row row;
	zk_str namespace;
};

static int on_fate(void *ctx, zk_str id, enum zk_zip_fate fate,
                   const struct zk_error *why, struct zk_error *err)
{
	struct job *j = ctx;
	struct zk_buf global;

	zk_buf_init(&global, 1u << 20);
	zk_buf_printf(&global, "%.*s/%.*s", ZK_STR_ARG(j->namespace), ZK_STR_ARG(id));
	zk_row_str(&j->row, "id", id);
	zk_row_str(&j->row, "globalId", zk_buf_str(&global));
	zk_row_cstr(&j->row, "status", zk_zip_fate_name(fate));
	if (why)
		zk_row_cstr(&j->row, "error", why->why[0] ? why->why : why->msg);
	zk_buf_done(&global);
	return zk_out_row(j->out, zk_row_end(&j->row), err);
}

static void on_no_store(void *ctx)
{
	(void)ctx;
	zk_say("the server took the templates, but lists none: its template store is "
	       "off");
}

/* One owner for all: that of -n, or the one that the files agree on. */
static int find_namespace(const char *given, const struct zk_zip_templates *t,
                          zk_str *ret, struct zk_error *err)
{
	zk_str ns = zk_str_of(given);

	for (size_t i = 0; i < t->n; i++) {
		zk_str own = t->v[i].namespace;

		if (own.n && ns.n && !zk_str_eq(own, ns))
			return zk_fail(err, ZK_E_USAGE,
			               "%s is of the namespace '%.*s', not of '%.*s'",
			               t->v[i].file->shown, ZK_STR_ARG(own),
			               ZK_STR_ARG(ns));
		if (own.n)
			ns = own;
	}
	*ret = ns;
	return ns.n ? 0 : template_namespace(NULL, ret, err);
}

static int end(struct zk_app *app, const struct zk_zip_register *r, struct zk_error *err)
{
	static const struct zk_error none;
	size_t bad = r->fates[ZK_ZIP_FAILED];
	size_t good = r->fates[ZK_ZIP_REGISTERED] + r->fates[ZK_ZIP_UPDATED] +
	              r->fates[ZK_ZIP_UNCHANGED];

	*err = none;
	if (app->common.verbose || bad)
		zk_say("%s%zu registered, %zu updated, %zu unchanged, %zu pruned, %zu "
		       "failed",
		       r->dry_run ? "would be: " : "", r->fates[ZK_ZIP_REGISTERED],
		       r->fates[ZK_ZIP_UPDATED], r->fates[ZK_ZIP_UNCHANGED],
		       r->fates[ZK_ZIP_PRUNED], bad);
	if (!bad)
		return ZK_EXIT_OK;
	return r->conflicts || !good ? ZK_EXIT_REFUSED : ZK_EXIT_PARTIAL;
}

static int send(struct zk_app *app, const struct register_opts *o, zk_str ns,
                const struct zk_zip_templates *t, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "templates",
		                                   .list = "templates",
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols) };
	struct job job = { .out = zk_app_out(app, err), .namespace = ns };
	struct zk_zip_findings found = { 0 };
	struct zeal z;
	struct zk_zip_register r = {
		.namespace = ns,
		.webhook_url = zk_str_of(o->webhook_url),
		.create_only = o->create_only,
		.replace = o->replace,
		.prune = o->prune,
		.verify = o->zeal.verify,
		.dry_run = app->common.dry_run,
		.ctx = &job,
		.on_fate = on_fate,
		.on_no_store = on_no_store,
	};
	int rc = zeal_open(app, &o->zeal, /* patient */ false, &z, err);

	zk_row_init(&job.row);
	if (rc == 0 && (!job.out || zk_out_begin(job.out, &shape, err) < 0))
		rc = -(int)err->code;
	if (rc == 0) {
		r.zip = z.zip;
		r.memory = zeal_memory(&z);
		rc = zk_zip_register_run(&r, t->v, t->n, &found, err);
		/* The rows that came before a failure are true all the same. */
		struct zk_error late = { 0 };

		if (zk_out_end(job.out, &late) < 0 && rc == 0) {
			*err = late;
			rc = -(int)late.code;
		}
		if (rc < 0 && found.errors)
			rc = lint_refuse(&found, "template", err);
	}
	zk_row_done(&job.row);
	zeal_close(&z);
	zk_zip_findings_done(&found);
	return rc < 0 ? rc : end(app, &r, err);
}

static int register_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	struct register_opts *o = opts;
	struct zk_zip_templates t = { 0 };
	struct zk_zip_findings f = { 0 };
	zk_str ns;
	int r;

	if (o->replace && o->create_only)
		return zk_fail(err, ZK_E_USAGE,
		               "--replace and --create-only exclude each "
		               "other");
	r = zk_zip_templates_read(argv, (size_t)argc, &t, &f, err);
	if (r == 0) {
		zk_zip_templates_lint(&t, NULL, &f);
		if (f.errors && o->report)
			r = lint_show(app, &f, "templates", t.n, o->report, err);
		else
			r = lint_refuse(&f, "template", err);
	}
	if (r == 0)
		r = find_namespace(o->namespace, &t, &ns, err);
	if (r == 0)
		r = send(app, o, ns, &t, err);
	zk_zip_templates_done(&t);
	zk_zip_findings_done(&f);
	return r;
}

const struct zk_cmd zk_cmd_template_register = {
	.path = "template register",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "bring node templates to the server: new ones and changed ones",
	.about = "Checks all of them first (zk template lint); with an error nothing is "
	         "sent. "
	         "Those that exist are updated as a whole, those that are the same are "
	         "left "
	         "alone. It may be repeated at any time.",
	.examples = "zk template register -n acme nodes/\n"
	            "zk template register -n acme nodes/ --prune --dry-run\n"
	            "./gen.sh | zk template register -n acme - -o json --jq "
	            "'.templates[].globalId'",
	.args_help = "FILE    JSON, NDJSON or YAML file, folder, or \"-\"",
	.output = "one row per template: id, globalId, status, error; status is "
	          "registered, "
	          "updated, unchanged, pruned or failed",
	.exits = "0 all there · 3 some refused · 65 invalid, nothing sent · 69 · 75 · 77",
	.see = "man zk-template · zk schema template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct register_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT | ZK_CMD_DESTRUCTIVE,
	.complete_arg = "file",
	.run = register_run,
};
