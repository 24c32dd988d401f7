/* Printing the error a command ended with.
 * Layer: cli. */
#include "cli/report.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/term.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define REPORT_CAP 16384

/* `s` without known secrets, as a string of `tmp`. */
static const char *masked(struct zk_buf *tmp, const char *s)
{
	zk_buf_clear(tmp);
	zk_redact_into(tmp, zk_str_of(s));
	return zk_buf_cstring(tmp);
}

static void line(struct zk_buf *b, struct zk_buf *tmp, const char *name, const char *text)
{
	if (text[0])
		zk_buf_printf(b, "  %-6s %s\n", name, masked(tmp, text));
}

/* The excerpt, its caret line (the last one) coloured. */
static void excerpt(struct zk_buf *b, struct zk_buf *tmp, const struct zk_error *err,
                    bool color)
{
	zk_str rest = zk_str_of(masked(tmp, err->excerpt));

	while (rest.n) {
		zk_str one;
		bool carets;

		rest = zk_str_cut(rest, '\n', &one);
		carets = zk_str_starts(one, ZK_STR("      |"));
		zk_buf_printf(b, "%s%.*s%s\n", color && carets ? "\033[31m" : "",
		              ZK_STR_ARG(one), color && carets ? "\033[0m" : "");
	}
}

static bool is_bug(const struct zk_error *err)
{
	return zk_code_exit((int)err->code) == ZK_EXIT_BUG;
}

void zk_report_text(const struct zk_error *err, bool color, struct zk_buf *b)
{
	struct zk_buf tmp;

	zk_buf_init(&tmp, REPORT_CAP);
	zk_buf_printf(b, "zk: %serror[ZK%04d]%s: %s\n", color ? "\033[1;31m" : "",
	              (int)err->code, color ? "\033[0m" : "", masked(&tmp, err->msg));
	if (err->excerpt[0]) {
		if (err->where[0])
			zk_buf_printf(b, "  --> %s\n", masked(&tmp, err->where));
		excerpt(b, &tmp, err, color);
	} else {
		line(b, &tmp, "where:", err->where);
	}
	line(b, &tmp, "why:", err->why);
	line(b, &tmp, "fix:", err->hint);
	if (is_bug(err))
		zk_buf_lit(b, "  fix:   open an issue with the output of `zk version -o "
		              "json`\n");
	zk_buf_printf(b, "  more:  zk explain ZK%04d", (int)err->code);
	if (err->remote_id[0])
		zk_buf_printf(b, " · server trace id %s", masked(&tmp, err->remote_id));
	zk_buf_char(b, '\n');
	zk_buf_done(&tmp);
}

static void member(struct zk_jwrite *w, struct zk_buf *tmp, const char *name,
                   const char *text)
{
	if (!text[0])
		return;
	zk_jw_key(w, name);
	zk_jw_cstr(w, masked(tmp, text));
}

void zk_report_json(const struct zk_error *err, int exit_status, struct zk_buf *b)
{
	struct zk_buf tmp;
	struct zk_jwrite w;

	zk_buf_init(&tmp, REPORT_CAP);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "error");
	zk_jw_key(&w, "code");
	zk_jw_printf(&w, "ZK%04d", (int)err->code);
	zk_jw_key(&w, "exit");
	zk_jw_i64(&w, exit_status);
	zk_jw_key(&w, "retryable");
	zk_jw_bool(&w, err->retryable);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, masked(&tmp, err->msg));
	member(&w, &tmp, "where", err->where);
	member(&w, &tmp, "why", err->why);
	if (err->hint[0]) {
		zk_jw_key(&w, "fix");
		zk_jw_arr(&w);
		zk_jw_cstr(&w, masked(&tmp, err->hint));
		zk_jw_arr_end(&w);
	}
	if (err->http_status) {
		zk_jw_key(&w, "http_status");
		zk_jw_i64(&w, err->http_status);
	}
	if (err->retry_after_ms) {
		zk_jw_key(&w, "retry_after_ms");
		zk_jw_i64(&w, err->retry_after_ms);
	}
	member(&w, &tmp, "remote_id", err->remote_id);
	if (err->members[0])
		zk_buf_printf(b, ",%s", masked(&tmp, err->members));
	zk_jw_obj_end(&w);
	zk_buf_done(&tmp);
}

/* journald reads the priority from the start of each line. */
static void prefix_lines(struct zk_buf *to, zk_str text)
{
	while (text.n) {
		zk_str one;

		text = zk_str_cut(text, '\n', &one);
		zk_buf_printf(to, "<3>%.*s\n", ZK_STR_ARG(one));
	}
}

void zk_report(const struct zk_error *err, int exit_status, int color_opt)
{
	struct zk_buf b, lines;

	zk_buf_init(&b, REPORT_CAP);
	zk_buf_init(&lines, REPORT_CAP);
	zk_log_flush();
	switch (zk_log_format_get()) {
	case ZK_LOG_JSON:
		zk_report_json(err, exit_status, &b);
		zk_buf_char(&b, '\n');
		break;
	case ZK_LOG_LOGFMT:
		zk_log_error(ZK_LOG_ERROR, "zk", "command failed", err);
		zk_log_flush();
		break;
	case ZK_LOG_JOURNALD:
		zk_report_text(err, false, &lines);
		prefix_lines(&b, zk_buf_str(&lines));
		break;
	case ZK_LOG_AUTO:
	case ZK_LOG_TEXT:
		zk_report_text(err, zk_term_color(color_opt, STDERR_FILENO), &b);
		break;
	}
	/* Nothing can be done when stderr does not take it. */
	while (b.n && write(STDERR_FILENO, b.p, b.n) < 0 && errno == EINTR)
		continue;
	zk_buf_done(&lines);
	zk_buf_done(&b);
}
