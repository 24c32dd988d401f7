/* Errors as values: the caller owns a zk_error, functions fill it and return a negative code.
 * Layer: base. The codes, exit statuses and `zk explain` texts stand in src/errors.def. */
#ifndef ZK_BASE_ERR_H
#define ZK_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* Exit statuses of the process (ux.md §7). */
enum zk_exit {
	ZK_EXIT_OK = 0,
	ZK_EXIT_NO = 1,
	ZK_EXIT_PARTIAL = 3,
	ZK_EXIT_USAGE = 64,
	ZK_EXIT_DATA = 65,
	ZK_EXIT_NOINPUT = 66,
	ZK_EXIT_REFUSED = 69,
	ZK_EXIT_BUG = 70,
	ZK_EXIT_OSERR = 71,
	ZK_EXIT_CANTCREAT = 73,
	ZK_EXIT_IOERR = 74,
	ZK_EXIT_TEMPFAIL = 75,
	ZK_EXIT_PROTOCOL = 76,
	ZK_EXIT_NOPERM = 77,
	ZK_EXIT_CONFIG = 78,
};

/* ZK_E_NAME = the number in ZKnnnn. Functions return -ZK_E_NAME. */
enum zk_code {
	ZK_E_NONE = 0,
#define ZK_ERROR(name, number, status, title, text) ZK_E_##name = (number),
#include "errors.def"
#undef ZK_ERROR
};

struct zk_error {
	enum zk_code code;
	bool retryable;         /* decided where the cause is known, nowhere else */
	int sys_errno;          /* 0 = none */
	int http_status;        /* 0 = none */
	int64_t retry_after_ms; /* 0 = none */
	char msg[512];
	char where[256]; /* "file:line:col" or "POST https://host/path" */
	char why[256];
	char hint[256];    /* printed as `fix:`; empty when we do not know */
	char excerpt[512]; /* lines to print under `-->`, may be empty */
	char remote_id[80];
	/* More members of the JSON form (ux.md §7), raw JSON without braces; may be empty. */
	char members[1024];
};

struct zk_code_info {
	enum zk_code code;
	enum zk_exit exit;
	const char *title; /* one line */
	const char *text;  /* what it means and what to do: a few sentences */
};

/* All codes in ascending order; *n is their number. */
const struct zk_code_info *zk_codes(size_t *n);
/* The row of `code`, or NULL. */
const struct zk_code_info *zk_code_find(int code);
/* The exit status of `code` (ux.md §7); ZK_EXIT_BUG for an unknown code. */
enum zk_exit zk_code_exit(int code);
/* Of two exit statuses the one that wins when both happened:
 * 70, 78, 77, 74, 76, 69, 75, 3, then the rest. */
int zk_exit_worse(int a, int b);

/* Fills `err` afresh and returns -code. */
int zk_fail(struct zk_error *err, enum zk_code code, const char *fmt, ...)
        ZK_PRINTF(3, 4);
/* The same with ": strerror(errnum)" behind the message and sys_errno set. */
int zk_fail_errno(struct zk_error *err, enum zk_code code, int errnum, const char *fmt,
                  ...) ZK_PRINTF(4, 5);
/* Puts "TEXT: " in front of the message, keeps everything else; returns -err->code. */
int zk_wrap(struct zk_error *err, const char *fmt, ...) ZK_PRINTF(2, 3);
/* Set one of the other lines; truncation is silent. All return -err->code. */
int zk_err_where(struct zk_error *err, const char *fmt, ...) ZK_PRINTF(2, 3);
int zk_err_why(struct zk_error *err, const char *fmt, ...) ZK_PRINTF(2, 3);
int zk_err_hint(struct zk_error *err, const char *fmt, ...) ZK_PRINTF(2, 3);
/* The further members of the JSON form; text that does not fit is left out as a whole. */
int zk_err_members(struct zk_error *err, zk_str members);
/* A place in a text, 1-based; columns count characters. */
struct zk_err_spot {
	const char *file;
	unsigned line, col;
	unsigned span; /* columns to underline */
};

/* where = "file:line:col" and an excerpt of `line_text`, the text of that line, with carets under
 * the span, followed by `note` (may be NULL), as ux.md §7 draws it. */
int zk_err_at(struct zk_error *err, const struct zk_err_spot *spot, zk_str line_text,
              const char *note);

#endif
