/* --report github|junit=FILE.
 * Layer: cli. */
#include "cli/cireport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/term.h"

#include "base/ban.h"

#define REPORT_CAP (4u << 20)

struct item {
	char *name, *file;
	struct zk_error err; /* code NONE = fine */
};

struct zk_cireport {
	char *suite, *junit; /* junit NULL = github */
	struct item *v;
	size_t n;
};

int zk_cireport_new(const char *kind, const char *suite, struct zk_cireport **ret,
                    struct zk_error *err)
{
	bool junit = strncmp(kind, "junit=", 6) == 0 && kind[6];

	if (!junit && strcmp(kind, "github") != 0) {
		(void)zk_fail(err, ZK_E_USAGE,
		              "--report: '%.80s' is not github or junit=FILE", kind);
		return zk_err_hint(err, "--report github, or --report junit=report.xml");
	}
	*ret = zk_new0(struct zk_cireport);
	(*ret)->suite = zk_strdup(suite);
	if (junit)
		(*ret)->junit = zk_strdup(kind + 6);
	return 0;
}

void zk_cireport_add(struct zk_cireport *r, const char *name, const char *file,
                     const struct zk_error *err)
{
	struct item *i;

	r->v = zk_realloc(r->v, (r->n + 1) * sizeof(*r->v));
	i = &r->v[r->n++];
	*i = (struct item){ .name = zk_strdup(name),
		            .file = file ? zk_strdup(file) : NULL };
	if (err)
		i->err = *err;
}

/* The last two numbers of "file:line:col"; 0 when there are none. */
static void position(const char *where, uint64_t *line, uint64_t *col)
{
	const char *c = strrchr(where, ':'), *l = NULL;
	struct zk_error ignored;

	*line = *col = 0;
	for (const char *p = where; c && p < c; p++)
		if (*p == ':')
			l = p;
	if (!l || zk_parse_u64(zk_str_of(c + 1), col, &ignored) < 0 ||
	    zk_parse_u64(zk_str_n(l + 1, (size_t)(c - l) - 1), line, &ignored) < 0)
		*line = *col = 0;
}

/* Commands of the runner are one line; these bytes would end or change them. */
static void github_text(struct zk_buf *b, const char *s, bool property)
{
	struct zk_buf masked;

	zk_buf_init(&masked, 8192);
	zk_redact_into(&masked, zk_str_of(s));
	for (size_t i = 0; i < masked.n; i++) {
		char c = masked.p[i];

		if (c == '%' || c == '\r' || c == '\n' ||
		    (property && (c == ':' || c == ',')))
			zk_buf_printf(b, "%%%02X", (unsigned)(unsigned char)c);
		else
			zk_buf_char(b, c);
	}
	zk_buf_done(&masked);
}

static void annotation(struct zk_buf *b, const struct item *i)
{
	uint64_t line, col;

	position(i->err.where, &line, &col);
	zk_buf_lit(b, "::error ");
	if (i->file) {
		zk_buf_lit(b, "file=");
		github_text(b, i->file, true);
		zk_buf_char(b, ',');
	}
	if (line)
		zk_buf_printf(b, "line=%llu,col=%llu,", (unsigned long long)line,
		              (unsigned long long)col);
	zk_buf_printf(b, "title=ZK%04d::", (int)i->err.code);
	github_text(b, i->err.msg, false);
	if (i->err.hint[0]) {
		zk_buf_lit(b, "; fix: ");
		github_text(b, i->err.hint, false);
	}
	zk_buf_char(b, '\n');
}

static void xml_text(struct zk_buf *b, const char *s)
{
	struct zk_buf masked;

	zk_buf_init(&masked, 8192);
	zk_redact_into(&masked, zk_str_of(s));
	for (size_t i = 0; i < masked.n; i++) {
		unsigned char c = (unsigned char)masked.p[i];

		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			zk_buf_printf(b, "&#%u;", c);
		else if (c >= 0x20 || c == '\n' || c == '\t')
			zk_buf_char(b, (char)c);
	}
	zk_buf_done(&masked);
}

static size_t failures(const struct zk_cireport *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i].err.code != ZK_E_NONE;
	return n;
}

static void testcase(struct zk_buf *b, const char *suite, const struct item *i)
{
	zk_buf_lit(b, "  <testcase classname=\"");
	xml_text(b, suite);
	zk_buf_lit(b, "\" name=\"");
	xml_text(b, i->name);
	if (i->err.code == ZK_E_NONE) {
		zk_buf_lit(b, "\"/>\n");
		return;
	}
	zk_buf_printf(b, "\">\n    <failure type=\"ZK%04d\" message=\"",
	              (int)i->err.code);
	xml_text(b, i->err.msg);
	zk_buf_lit(b, "\">");
	xml_text(b, i->err.where);
	zk_buf_char(b, '\n');
	xml_text(b, i->err.excerpt);
	zk_buf_lit(b, "</failure>\n  </testcase>\n");
}

static int write_file(const char *path, int flags, zk_str text, struct zk_error *err)
{
	int e = zk_file_put(path, flags, 0644, text);

	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path) : 0;
}

static void junit(const struct zk_cireport *r, struct zk_buf *b)
{
	zk_buf_lit(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"");
	xml_text(b, r->suite);
	zk_buf_printf(b, "\" tests=\"%zu\" failures=\"%zu\">\n", r->n, failures(r));
	for (size_t i = 0; i < r->n; i++)
		testcase(b, r->suite, &r->v[i]);
	zk_buf_lit(b, "</testsuite>\n");
}

/* A row of the summary's Markdown table. */
static void summary_row(struct zk_buf *b, const struct item *i)
{
	struct zk_buf text;

	zk_buf_init(&text, 8192);
	zk_redact_into(&text, zk_str_of(i->err.code ? i->err.msg : "ok"));
	for (size_t k = 0; k < text.n; k++)
		if (text.p[k] == '|' || text.p[k] == '\n')
			text.p[k] = ' ';
	zk_buf_printf(b, "| %s | %s | %.*s |\n", i->name,
	              i->err.code ? "failed" : "passed", ZK_STR_ARG(zk_buf_str(&text)));
	zk_buf_done(&text);
}

static int github(const struct zk_cireport *r, struct zk_buf *b, struct zk_error *err)
{
	const char *path = getenv("GITHUB_STEP_SUMMARY");

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].err.code != ZK_E_NONE)
			annotation(b, &r->v[i]);
	if (zk_print(zk_buf_str(b), err) < 0)
		return -(int)err->code;
	if (!path || !path[0])
		return 0;
	zk_buf_clear(b);
	zk_buf_printf(b, "### %s\n\n| what | result | |\n|---|---|---|\n", r->suite);
	for (size_t i = 0; i < r->n; i++)
		summary_row(b, &r->v[i]);
	zk_buf_char(b, '\n');
	return write_file(path, O_APPEND, zk_buf_str(b), err);
}

int zk_cireport_end(struct zk_cireport *r, struct zk_error *err)
{
	struct zk_buf b;
	int rc;

	zk_buf_init(&b, REPORT_CAP);
	if (r->junit) {
		junit(r, &b);
		rc = write_file(r->junit, O_TRUNC, zk_buf_str(&b), err);
	} else {
		rc = github(r, &b, err);
	}
	zk_buf_done(&b);
	return rc;
}

void zk_cireport_free(struct zk_cireport *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].name);
		free(r->v[i].file);
	}
	free(r->v);
	free(r->suite);
	free(r->junit);
	free(r);
}
