/* Showing what a lint found.
 * Layer: cmd. */
#include "cmd/lint.h"

#include <string.h>

#include "base/buf.h"
#include "cli/cireport.h"
#include "codec/jwrite.h"
#include "rt/out.h"
#include "rt/progress.h"

#include "base/ban.h"

#define SHOWN_MAX 20

static const struct zk_out_col cols[] = {
	{ .name = "file" },
	{ .name = "line", .flags = ZK_COL_RIGHT },
	{ .name = "column", .flags = ZK_COL_RIGHT },
	{ .name = "level" },
	{ .name = "rule" },
	{ .name = "item" },
	{ .name = "message" },
	{ .name = "code", .flags = ZK_COL_EXTRA },
	{ .name = "path", .flags = ZK_COL_EXTRA },
	{ .name = "expected", .flags = ZK_COL_EXTRA },
	{ .name = "received", .flags = ZK_COL_EXTRA },
	{ .name = "excerpt", .flags = ZK_COL_EXTRA },
};

/* "nodes/a.yaml:14:13: error[T101]: words" and the excerpt. */
static void put_text(const struct zk_zip_finding *x, struct zk_buf *b)
{
	zk_buf_printf(b, "%s: %s[%s]: %s\n", x->err.where[0] ? x->err.where : "input",
	              x->is_error ? "error" : "warning", x->rule, x->err.msg);
	if (x->err.excerpt[0])
		zk_buf_printf(b, "%s%s", x->err.excerpt,
		              x->err.excerpt[strlen(x->err.excerpt) - 1] == '\n' ? ""
		                                                                 : "\n");
}

static int put_rows(struct zk_out *out, const struct zk_zip_findings *f,
                    struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	bool people = zk_out_format(out) == ZK_OUT_TABLE;

	zk_buf_init(&b, 1u << 20);
	for (size_t i = 0; i < f->n; i++) {
		struct zk_jwrite w;

		zk_buf_clear(&b);
		if (people) {
			put_text(&f->v[i], &b);
			if (zk_out_text(out, zk_buf_str(&b), err) < 0)
				return -(int)err->code;
			continue;
		}
		zk_jwrite_init(&w, &b);
		zk_jw_obj(&w);
		zk_zip_finding_row(&f->v[i], &w);
		zk_jw_obj_end(&w);
		if (zk_out_row(out, zk_buf_str(&b), err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int write_report(struct zk_app *app, const struct zk_zip_findings *f,
                        const char *kind, struct zk_error *err)
{
	struct zk_cireport *rep = NULL;
	struct zk_buf name ZK_CLEANUP(zk_buf_done) = { 0 };
	int r = zk_cireport_new(kind, app->cmd->path, &rep, err);

	if (r < 0)
		return r;
	zk_buf_init(&name, 4096);
	for (size_t i = 0; i < f->n; i++) {
		const struct zk_zip_finding *x = &f->v[i];
		zk_str file = zk_str_of(x->err.where);
		ptrdiff_t colon = zk_str_find_char(file, ':');

		if (!x->is_error)
			continue;
		if (colon >= 0)
			file.n = (size_t)colon;
		zk_buf_clear(&name);
		zk_buf_add(&name, file);
		zk_cireport_add(rep, zk_buf_cstring(&name), zk_buf_cstring(&name),
		                &x->err);
	}
	if (!f->errors)
		zk_cireport_add(rep, app->cmd->path, NULL, NULL);
	r = zk_cireport_end(rep, err);
	zk_cireport_free(rep);
	return r;
}

int lint_show(struct zk_app *app, const struct zk_zip_findings *f, const char *noun,
              size_t checked, const char *report, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols) };
	struct zk_out *out = zk_app_out(app, err);

	if (!out || zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	/* Annotations stand on stdout themselves. */
	bool github = report && strcmp(report, "github") == 0;

	if (!github && put_rows(out, f, err) < 0)
		return -(int)err->code;
	if (zk_out_end(out, err) < 0 || (report && write_report(app, f, report, err) < 0))
		return -(int)err->code;
	if (!app->common.quiet && (f->errors || f->warnings || app->common.verbose))
		zk_say("%zu errors and %zu warnings in %zu %s", f->errors, f->warnings,
		       checked, noun);
	return f->errors ? ZK_EXIT_DATA : ZK_EXIT_OK;
}

int lint_refuse(const struct zk_zip_findings *f, const char *noun, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	const struct zk_zip_finding *first = NULL;
	size_t shown = 0;

	zk_buf_init(&b, 1u << 20);
	for (size_t i = 0; i < f->n; i++) {
		if (!f->v[i].is_error)
			continue;
		if (!first) {
			first = &f->v[i];
			continue;
		}
		if (++shown < SHOWN_MAX)
			put_text(&f->v[i], &b);
	}
	if (b.n)
		zk_say("%.*s", (int)(b.n - 1), b.p);
	if (!first)
		return 0;
	*err = first->err;
	(void)zk_err_hint(err,
	                  "%zu errors in all, nothing was sent; see them: zk %s lint",
	                  f->errors, noun);
	return -(int)err->code;
}
