/* json: trees of zk's own small JSON documents (configuration, answers of APIs) with
 * typed getters whose errors name the path. Never for payloads or stream records:
 * codec/jscan.h. Layer: codec. A tree has one owner; nodes are borrowed from it.
 *
 * Numbers are doubles here: the integer getters refuse what a double cannot hold exactly.
 * Text with \u0000 or a lone surrogate escape is refused by zk_json_parse(). */
#ifndef ZK_CODEC_JSON_H
#define ZK_CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"

struct zk_json;
struct zk_buf;

#define ZK_JSON_DEPTH 64

/* Parses at most `max_bytes` (a BOM is skipped) nested at most ZK_JSON_DEPTH deep. 0, or
 * -ZK_E_JSON, -ZK_E_UTF8, -ZK_E_LIMIT. The caller frees the tree with zk_json_free(). */
int zk_json_parse(zk_str text, size_t max_bytes, struct zk_json **ret,
                  struct zk_error *err) ZK_MUST_USE;
/* Frees a tree by its root; NULL is fine. */
void zk_json_free(struct zk_json *root);
void zk_json_freep(struct zk_json **root); /* for ZK_CLEANUP */

/* ZK_J_NONE for NULL. */
enum zk_jtype zk_json_type(const struct zk_json *j);
/* The node at a path such as "workflow.nodes.0.id"; the last of duplicate names; "" is
 * `j` itself. NULL when it is not there. */
const struct zk_json *zk_json_at(const struct zk_json *j, const char *path);
/* Direct children of an array or object, in order. */
size_t zk_json_count(const struct zk_json *j);
const struct zk_json *zk_json_first(const struct zk_json *j);
const struct zk_json *zk_json_next(const struct zk_json *child);
zk_str zk_json_key(const struct zk_json *member); /* empty for an element */
#define ZK_JSON_EACH(it, j) \
	for (const struct zk_json *it = zk_json_first(j); it; it = zk_json_next(it))

/* Required values: 0, or -ZK_E_DATA with "'a.b' is missing" or "'a.b' must be a string,
 * not a number". Text is borrowed from the tree. */
int zk_json_get_str(const struct zk_json *j, const char *path, zk_str *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_get_i64(const struct zk_json *j, const char *path, int64_t *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_get_u64(const struct zk_json *j, const char *path, uint64_t *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_get_double(const struct zk_json *j, const char *path, double *ret,
                       struct zk_error *err) ZK_MUST_USE;
int zk_json_get_bool(const struct zk_json *j, const char *path, bool *ret,
                     struct zk_error *err) ZK_MUST_USE;
/* An array or object. */
int zk_json_get_node(const struct zk_json *j, const char *path, enum zk_jtype type,
                     const struct zk_json **ret, struct zk_error *err) ZK_MUST_USE;
/* The same, but what is absent or null leaves `*ret` as it is and is no error. */
int zk_json_opt_str(const struct zk_json *j, const char *path, zk_str *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_opt_i64(const struct zk_json *j, const char *path, int64_t *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_opt_u64(const struct zk_json *j, const char *path, uint64_t *ret,
                    struct zk_error *err) ZK_MUST_USE;
int zk_json_opt_bool(const struct zk_json *j, const char *path, bool *ret,
                     struct zk_error *err) ZK_MUST_USE;

/* Appends `j` as text: compact, or with two spaces of indentation per level. */
void zk_json_print(const struct zk_json *j, bool pretty, struct zk_buf *b);

#endif
