/* Documents that users write: JSON, NDJSON and YAML files, folders of them, stdin, as trees of
 * nodes with positions (conf/file.h).
 * Layer: zip. specs/zeal-zip.md §4.5, §5.6, §5.7. */
#ifndef ZK_ZIP_DOC_H
#define ZK_ZIP_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"
#include "conf/file.h"

struct zk_buf;

/* Paths of files, in the order of the arguments. */
struct zk_zip_paths {
	char **v;
	size_t n, room;
};

/* Writes the arguments out: "-" and files as they are, folders as their files *.json *.ndjson
 * *.jsonl *.yaml *.yml, sorted, with those of folders below. 0, or -ZK_E_NO_INPUT. The caller
 * frees with zk_zip_paths_done in any case. */
int zk_zip_paths_find(char *const *args, size_t n, struct zk_zip_paths *ret,
                      struct zk_error *err) ZK_MUST_USE;
void zk_zip_paths_done(struct zk_zip_paths *p);

/* Reads one file or "-" (at most 64 MiB): the roots of the documents that it holds are
 * (*ret)->root and what follows it. Depth at most 64; values at most `nodes_max`, aliases written
 * out. 0; -ZK_E_NO_INPUT; -ZK_E_JSON, -ZK_E_YAML, -ZK_E_UTF8 or -ZK_E_LIMIT with line, column and
 * excerpt. The caller frees with zk_conf_file_free. Blocks. */
int zk_zip_doc_read(const char *path, unsigned nodes_max, struct zk_conf_file **ret,
                    struct zk_error *err) ZK_MUST_USE;
/* The same from a text; the end of `name` says what it holds (.json .ndjson .jsonl .yaml .yml),
 * otherwise its beginning does. */
int zk_zip_doc_parse(const char *name, zk_str text, unsigned nodes_max,
                     struct zk_conf_file **ret, struct zk_error *err) ZK_MUST_USE;

/* ---- values ---- */

/* What a node is in JSON, by the core schema of YAML 1.2: only a scalar without quotes can be a
 * number, boolean or null. ZK_J_NONE for NULL. */
enum zk_jtype zk_zip_type(const struct zk_node *n);
/* The member that counts: the last of its name; NULL when it is not there. */
const struct zk_node *zk_zip_get(const struct zk_node *map, const char *name);
/* The same, only when it is a text, a number, …; otherwise NULL. */
const struct zk_node *zk_zip_get_as(const struct zk_node *map, const char *name,
                                    enum zk_jtype type);
/* False for what is no number; infinities come out as such. */
bool zk_zip_number(const struct zk_node *n, double *ret);
/* A whole number that a double cannot hold exactly. */
bool zk_zip_is_inexact(const struct zk_node *n);
/* Appends the value as compact JSON; numbers of JSON byte by byte. What no JSON can hold (.inf,
 * .nan) becomes null. */
void zk_zip_json(const struct zk_node *n, struct zk_buf *b);
/* The same value: members in any order, numbers by value. */
bool zk_zip_same(const struct zk_node *a, const struct zk_node *b);

#endif
