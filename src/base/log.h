/* The log: levels, four formats (ux.md §7), folding of repeats, redaction, scrubbing.
 * Layer: base. The only mutable global state of the program. Any thread.
 *
 * A message is a fixed text; variable parts are logfmt fields given by a printf format, such as
 * zk_warn("delivery failed", "org=%s attempt=%u", …). Values are quoted and scrubbed by the
 * writer: in the format every value is one `key=%…` token; a %s value may hold anything. */
#ifndef ZK_BASE_LOG_H
#define ZK_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum zk_log_level {
	ZK_LOG_ERROR,
	ZK_LOG_WARN,
	ZK_LOG_NOTICE,
	ZK_LOG_INFO,
	ZK_LOG_DEBUG,
};

enum zk_log_format {
	ZK_LOG_AUTO, /* journald when JOURNAL_STREAM is fd 2, else text */
	ZK_LOG_TEXT,
	ZK_LOG_LOGFMT,
	ZK_LOG_JSON,
	ZK_LOG_JOURNALD,
};

struct zk_log_conf {
	enum zk_log_level level;
	enum zk_log_format format;
	const char *file; /* NULL = fd 2; appended, mode 0600 */
	bool color;       /* text format only */
	/* Lines go through a bounded memory queue to a writer thread, so that no caller waits for
	 * a terminal; when it is full lines are dropped and counted ("dropped 12 lines"). */
	bool threaded;
};

/* Before the first call the log writes text at level notice to fd 2. 0, or -ZK_E_CREATE when
 * the file cannot be opened. Called from the main thread only. */
int zk_log_setup(const struct zk_log_conf *conf, struct zk_error *err) ZK_MUST_USE;
/* Writes what waits, folds included, and stops the writer thread. */
void zk_log_flush(void);
void zk_log_stop(void);
bool zk_log_enabled(enum zk_log_level level);
enum zk_log_level zk_log_level_get(void);
enum zk_log_format zk_log_format_get(void); /* resolved, never AUTO */
void zk_log_level_set(enum zk_log_level level);
/* False when `s` names no level (error warn notice info debug). */
bool zk_log_level_parse(zk_str s, enum zk_log_level *ret);

/* `logger` is the module's short name ("triggers"); each .c defines ZK_LOGGER before use. */
void zk_log_write(enum zk_log_level level, const char *logger, const char *msg,
                  const char *fmt, ...) ZK_PRINTF(4, 5);

#ifndef ZK_LOGGER
#define ZK_LOGGER "zk"
#endif

/* zk_warn("message") or zk_warn("message", "key=%s …", …), at most 24 arguments. */
#define zk_debug(...)  ZK_LOG_AT(ZK_LOG_DEBUG, __VA_ARGS__)
#define zk_info(...)   ZK_LOG_AT(ZK_LOG_INFO, __VA_ARGS__)
#define zk_notice(...) ZK_LOG_AT(ZK_LOG_NOTICE, __VA_ARGS__)
#define zk_warn(...)   ZK_LOG_AT(ZK_LOG_WARN, __VA_ARGS__)
#define zk_logerr(...) ZK_LOG_AT(ZK_LOG_ERROR, __VA_ARGS__)

/* ISO C17 has no optional variadic arguments: the form is picked by their number. */
#define ZK_LOG_M_ ZK_LOG_MANY_
#define ZK_LOG_AT(level, ...)                                                            \
	ZK_LOG_PICK_(__VA_ARGS__, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, \
	             ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_,   \
	             ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_,   \
	             ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_, ZK_LOG_M_,   \
	             ZK_LOG_ONE_, 0)                                                     \
	(level, __VA_ARGS__)
#define ZK_LOG_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, \
                     w, x, name, ...)                                                  \
	name
#define ZK_LOG_ONE_(level, msg) ZK_LOG_MANY_(level, msg, " ")
#define ZK_LOG_MANY_(level, msg, ...)                                         \
	do {                                                                  \
		if (zk_log_enabled(level))                                    \
			zk_log_write((level), ZK_LOGGER, (msg), __VA_ARGS__); \
	} while (0)

/* A line for people (a note, a summary) on fd 2, wherever the log goes, between its lines and
 * in the format of the log: plain in text, a line of `level` in the others. The caller has
 * redacted it; it is never folded. Any thread. */
void zk_log_say(enum zk_log_level level, zk_str text);
/* Keeps `text`, one or more lines without the last line break, below all that is written to
 * fd 2, which is a terminal; replaces the text before, empty removes it. Any thread. */
void zk_log_bar(zk_str text);

/* Logs `err` with code, message and where at `level`. */
void zk_log_error(enum zk_log_level level, const char *logger, const char *msg,
                  const struct zk_error *err);

/* Redaction: from now on this value (and its base64 and percent-encoded forms) never appears in
 * a log line, a trace or an error; values shorter than 6 bytes are ignored. The bytes are
 * copied into locked memory where possible and wiped at exit. Any thread. */
void zk_redact_add(zk_str secret);
/* Replaces every known secret in `s` by "***" in place of the bytes; for writers other than the
 * log (errors, wire trace, status). Appends to `b`. */
struct zk_buf;
void zk_redact_into(struct zk_buf *b, zk_str s);
/* True when `s` contains a known secret. */
bool zk_redact_found(zk_str s);

#endif
