/* What a lint found.
 * Layer: zip. */
#include "zip/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jwrite.h"

#include "base/ban.h"

static void finding_done(struct zk_zip_finding *x)
{
	free(x->expected);
	free(x->received);
	free(x->path);
	free(x->item);
}

void zk_zip_findings_done(struct zk_zip_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		finding_done(&f->v[i]);
	free(f->v);
	*f = (struct zk_zip_findings){ 0 };
}

struct zk_zip_finding *zk_zip_found(struct zk_zip_findings *f, bool is_error,
                                    const char *rule)
{
	struct zk_zip_finding *x;

	if (is_error)
		f->errors++;
	else
		f->warnings++;
	if (f->n == ZK_ZIP_FINDINGS_MAX)
		finding_done(&f->v[--f->n]);
	if (f->n == f->room) {
		f->room = f->room ? f->room * 2 : 16;
		f->v = zk_realloc(f->v, f->room * sizeof(*f->v));
	}
	x = &f->v[f->n++];
	*x = (struct zk_zip_finding){ .is_error = is_error };
	(void)snprintf(x->rule, sizeof(x->rule), "%s", rule);
	return x;
}

void zk_zip_found_say(struct zk_zip_finding *x, struct zk_spot at, const char *note,
                      const char *fmt, ...)
{
	char msg[sizeof(x->err.msg)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	(void)zk_fail(&x->err, ZK_E_FORM, "%s", msg);
	if (at.file)
		(void)zk_spot_add(&x->err, ZK_E_FORM, at, note);
}

void zk_zip_found_unread(struct zk_zip_findings *f, const struct zk_error *err)
{
	const char *rule = err->code == ZK_E_JSON    ? "json_syntax"
	                   : err->code == ZK_E_YAML  ? "yaml_syntax"
	                   : err->code == ZK_E_LIMIT ? "limit"
	                   : err->code == ZK_E_UTF8  ? "utf8"
	                                             : "unreadable";

	zk_zip_found(f, true, rule)->err = *err;
}

static void put(struct zk_jwrite *w, const char *name, const char *text)
{
	if (!text)
		return;
	zk_jw_key(w, name);
	zk_jw_cstr(w, text);
}

/* Cuts the ":N" off the end of *text. */
static int64_t take_number(zk_str *text)
{
	struct zk_error ignored;
	int64_t v = 0;
	size_t i = text->n;

	while (i > 0 && text->p[i - 1] != ':')
		i--;
	if (i < 2 || zk_parse_i64(zk_str_from(*text, i), &v, &ignored) < 0)
		return 0;
	text->n = i - 1;
	return v;
}

void zk_zip_finding_row(const struct zk_zip_finding *x, struct zk_jwrite *w)
{
	zk_str where = zk_str_of(x->err.where);
	int64_t column = take_number(&where), line = take_number(&where);

	zk_jw_key(w, "file");
	zk_jw_str(w, where);
	zk_jw_key(w, "line");
	zk_jw_i64(w, line);
	zk_jw_key(w, "column");
	zk_jw_i64(w, column);
	put(w, "level", x->is_error ? "error" : "warning");
	put(w, "rule", x->rule);
	put(w, "code", x->code);
	put(w, "item", x->item);
	if (x->path) {
		zk_jw_key(w, "path");
		zk_jw_raw(w, zk_str_of(x->path));
	}
	put(w, "expected", x->expected);
	put(w, "received", x->received);
	put(w, "message", x->err.msg);
	put(w, "excerpt", x->err.excerpt[0] ? x->err.excerpt : NULL);
}
