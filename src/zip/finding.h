/* What a lint found: rule, place, words.
 * Layer: zip. specs/zeal-zip.md §4.5, §5.7. */
#ifndef ZK_ZIP_FINDING_H
#define ZK_ZIP_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/file.h"

struct zk_jwrite;

struct zk_zip_finding {
	bool is_error;
	char rule[24]; /* "T101", "W201"; "schema", "syntax", "limit" */
	/* Of a finding that the server would report in the same way; may be NULL. */
	const char *code; /* "invalid_type", … */
	char *expected, *received;
	char *path; /* JSON array of names and indexes, relative to the template */
	char *item; /* id or key of what it is about; may be NULL */
	struct zk_error err; /* words, place, excerpt */
};

/* At most so many are kept; more are only counted. */
#define ZK_ZIP_FINDINGS_MAX 10000

struct zk_zip_findings {
	struct zk_zip_finding *v;
	size_t n, room;
	size_t errors, warnings;
};

void zk_zip_findings_done(struct zk_zip_findings *f);
/* A new one at a place; borrowed until the next. Its words follow with zk_zip_found_say. */
struct zk_zip_finding *zk_zip_found(struct zk_zip_findings *f, bool is_error,
                                    const char *rule);
/* Words, place (file NULL = none), and a note behind the carets (may be NULL). */
void zk_zip_found_say(struct zk_zip_finding *x, struct zk_spot at, const char *note,
                      const char *fmt, ...) ZK_PRINTF(4, 5);
/* A file that could not be read at all. */
void zk_zip_found_unread(struct zk_zip_findings *f, const struct zk_error *err);
/* The members of a row: file, line, column, level, rule, code, path, expected, received, item,
 * message. */
void zk_zip_finding_row(const struct zk_zip_finding *x, struct zk_jwrite *w);

#endif
