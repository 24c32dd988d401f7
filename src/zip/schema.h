/* Checks a document against a schema as the server does: every issue, in the order of the schema,
 * in the server's words.
 * Layer: zip. specs/zeal-zip.md §2.1, §4.1. */
#ifndef ZK_ZIP_SCHEMA_H
#define ZK_ZIP_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "codec/jscan.h"
#include "zip/finding.h"

enum zk_zip_form {
	ZK_ZIP_ANY,
	ZK_ZIP_STRING,
	ZK_ZIP_NUMBER,
	ZK_ZIP_BOOL,
	ZK_ZIP_ENUM,
	ZK_ZIP_PATTERN, /* a string that `matches` */
	ZK_ZIP_ARRAY,
	ZK_ZIP_OBJECT,
	ZK_ZIP_RECORD, /* an object with any names */
};

struct zk_zip_schema {
	enum zk_zip_form form;
	const char *const *values;         /* ENUM, ended by NULL */
	const struct zk_zip_field *fields; /* OBJECT, ended by a name of NULL */
	const struct zk_zip_schema *of;    /* ARRAY, RECORD */
	bool (*matches)(zk_str text);      /* PATTERN */
	const char *pattern;               /* PATTERN: for the message */
};

struct zk_zip_field {
	const char *name;
	const struct zk_zip_schema *schema;
	bool required;
};

/* A way from the root of a document: each step is the node itself, and an index when it is an
 * element. */
struct zk_zip_step {
	zk_str name;
	size_t index;
	bool is_index;
};

#define ZK_ZIP_STEPS 12

struct zk_zip_way {
	struct zk_zip_step v[ZK_ZIP_STEPS];
	size_t n;
};

/* The way as a JSON array (path) or as text (at: "ports[0].position"); the caller frees. */
char *zk_zip_way_json(const struct zk_zip_way *way);
char *zk_zip_way_text(const struct zk_zip_way *way);

struct zk_zip_check {
	const struct zk_conf_file *file;
	struct zk_zip_findings *found;
	zk_str item; /* what the findings are about, may be empty */
	struct zk_zip_way way;
};

/* A finding at the way of the check. */
struct zk_zip_finding *zk_zip_check_found(struct zk_zip_check *c, bool is_error,
                                          const char *rule);
void zk_zip_check_enter(struct zk_zip_check *c, zk_str name);
void zk_zip_check_enter_index(struct zk_zip_check *c, size_t index);
void zk_zip_check_leave(struct zk_zip_check *c);

/* Adds a finding "schema" for every issue. True when there was none. */
bool zk_zip_schema_check(struct zk_zip_check *c, const struct zk_zip_schema *s,
                         const struct zk_node *n);
/* Adds a finding `rule` (a warning) for every member that the schema does not know. */
void zk_zip_schema_unknown(struct zk_zip_check *c, const struct zk_zip_schema *s,
                           const struct zk_node *n, const char *rule);

#endif
