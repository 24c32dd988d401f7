/* Node templates in files: collecting them, and the lint that gives the server's own verdicts.
 * Layer: zip. specs/zeal-zip.md §4.1, §4.5. */
#ifndef ZK_ZIP_TEMPLATE_H
#define ZK_ZIP_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zip/doc.h"
#include "zip/finding.h"
#include "zip/schema.h"

struct zk_buf;
struct zk_map;

struct zk_zip_template {
	const struct zk_conf_file *file;
	const struct zk_node *node;
	zk_str id;        /* empty when it has none */
	zk_str namespace; /* of its request object; empty = none */
	zk_str webhook;   /* likewise */
};

struct zk_zip_templates {
	struct zk_conf_file **files;
	size_t n_files;
	struct zk_zip_template *v;
	size_t n, room;
};

/* Reads every file of `args` (zk_zip_paths_find). What cannot be read is a finding, and the others
 * are read all the same. 0, or -ZK_E_NO_INPUT for an argument that is not there. The caller frees
 * with zk_zip_templates_done in any case. */
int zk_zip_templates_read(char *const *args, size_t n, struct zk_zip_templates *ret,
                          struct zk_zip_findings *found,
                          struct zk_error *err) ZK_MUST_USE;
void zk_zip_templates_done(struct zk_zip_templates *t);

/* Checks one: issues of the server's schema, and the rules T101 to T117. `categories` (may be
 * NULL) are the names the server knows. */
void zk_zip_template_lint(const struct zk_zip_template *t,
                          const struct zk_map *categories, struct zk_zip_findings *found);
/* All of them, and T118: an id that stands twice in a namespace. */
void zk_zip_templates_lint(const struct zk_zip_templates *t,
                           const struct zk_map *categories,
                           struct zk_zip_findings *found);

extern const struct zk_zip_schema zk_zip_template_schema;

/* Whether a text is a regular expression of ECMAScript; *why says what is wrong. Pure. */
bool zk_zip_pattern_ok(zk_str pattern, const char **why);
/* Lower-case kebab: ^[a-z][a-z0-9-]*$. */
bool zk_zip_is_slug(zk_str s);

/* The object that register sends: the template without nulls and unknown members. */
void zk_zip_template_body(const struct zk_zip_template *t, struct zk_buf *b);
/* The object that PUT needs (§4.3): whole, without id, with the derived inputs and outputs. */
void zk_zip_template_put_body(const struct zk_zip_template *t, struct zk_buf *b);
/* Hexadecimal SHA-256 of the registered object in canonical form; 64 digits, appended. */
void zk_zip_template_digest(const struct zk_zip_template *t, struct zk_buf *b);

#endif
