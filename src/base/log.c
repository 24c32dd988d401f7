/* The log, first form: text lines to one descriptor. The formats, folding and the writer
 * thread follow. Layer: base. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"

#include "base/ban.h"

static enum zk_log_level level_now = ZK_LOG_NOTICE;

int zk_log_setup(const struct zk_log_conf *conf, struct zk_error *err)
{
	(void)err;
	level_now = conf->level;
	return 0;
}

void zk_log_flush(void)
{
}

void zk_log_stop(void)
{
}

bool zk_log_enabled(enum zk_log_level level)
{
	return level <= level_now;
}

enum zk_log_level zk_log_level_get(void)
{
	return level_now;
}

enum zk_log_format zk_log_format_get(void)
{
	return ZK_LOG_TEXT;
}

void zk_log_level_set(enum zk_log_level level)
{
	level_now = level;
}

bool zk_log_level_parse(zk_str s, enum zk_log_level *ret)
{
	static const zk_str names[] = { ZK_STR_INIT("error"), ZK_STR_INIT("warn"),
		                        ZK_STR_INIT("notice"), ZK_STR_INIT("info"),
		                        ZK_STR_INIT("debug") };

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		if (zk_str_eq(s, names[i])) {
			*ret = (enum zk_log_level)i;
			return true;
		}
	}
	return false;
}

void zk_log_write(enum zk_log_level level, const char *logger, const char *msg,
                  const char *fmt, ...)
{
	static const char *const names[] = { "ERROR", "WARN", "NOTICE", "INFO", "DEBUG" };
	char line[1024], fields[768];
	va_list ap;
	int n;

	va_start(ap, fmt);
	(void)vsnprintf(fields, sizeof(fields), fmt, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "%-6s %s  %s%s%s", names[level], logger, msg,
	             fields[0] ? " " : "", fields);
	for (int i = 0; i < n && i < (int)sizeof(line) - 1; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	(void)dprintf(STDERR_FILENO, "%s\n", line);
}

void zk_log_error(enum zk_log_level level, const char *logger, const char *msg,
                  const struct zk_error *err)
{
	if (zk_log_enabled(level))
		zk_log_write(level, logger, msg, "code=ZK%04d error=%s where=%s",
		             (int)err->code, err->msg, err->where);
}

void zk_redact_add(zk_str secret)
{
	(void)secret;
}

void zk_redact_into(struct zk_buf *b, zk_str s)
{
	zk_buf_add(b, s);
}

bool zk_redact_found(zk_str s)
{
	(void)s;
	return false;
}
