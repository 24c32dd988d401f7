/* logline: turns one message into the text of one line, in four formats (ux.md §7).
 * Layer: base, private to the log. Any thread. */
#ifndef ZK_BASE_LOGLINE_H
#define ZK_BASE_LOGLINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/log.h"

#define ZK_LOGLINE_MAX (64u << 10)

/* Appends the fields given by `fmt` ("org=%s attempt=%u"): a field is a key, '=' and text with
 * any conversions up to the next space of the format; its value is quoted as the format needs.
 * Values are redacted, by key and by content, scrubbed, and cut after some kilobytes. */
void zk_logline_fields(struct zk_buf *b, enum zk_log_format format, const char *fmt,
                       va_list ap) ZK_PRINTF(3, 0);

struct zk_logline {
	enum zk_log_format format; /* not AUTO */
	bool color;
	int64_t wall_us;
	enum zk_log_level level;
	const char *logger;
	zk_str msg;
	zk_str fields; /* made by zk_logline_fields() for the same format */
};

/* Appends the line with its LF. */
void zk_logline_put(struct zk_buf *b, const struct zk_logline *l);

/* The lower-case name of a level. */
const char *zk_log_level_name(enum zk_log_level level);

#endif
