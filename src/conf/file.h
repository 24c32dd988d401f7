/* One YAML file as a tree of nodes with positions (ux.md §5).
 * Layer: conf. The only user of libyaml.
 *
 * Plain YAML only: one document, at most 16 levels, 256 KiB and 20,000 nodes; no tags, anchors,
 * aliases or merge keys, no key twice in one mapping. */
#ifndef ZK_CONF_FILE_H
#define ZK_CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define ZK_CONF_FILE_MAX  (256u * 1024)
#define ZK_CONF_DEPTH_MAX 16
#define ZK_CONF_NODES_MAX 20000u

enum zk_node_kind { ZK_NODE_SCALAR, ZK_NODE_LIST, ZK_NODE_MAP };

struct zk_node {
	enum zk_node_kind kind;
	unsigned line, col; /* 1-based; columns count characters */
	zk_str text;        /* SCALAR */
	bool plain;         /* SCALAR without quotes */
	/* As a member of a MAP: */
	zk_str key;
	unsigned key_line, key_col;
	struct zk_node *next;  /* the next member or element */
	struct zk_node *first; /* MAP, LIST */
	size_t n;
};

enum zk_conf_place { ZK_PLACE_SYSTEM, ZK_PLACE_USER, ZK_PLACE_PROJECT };

struct zk_conf_file {
	enum zk_conf_place place;
	char *path;  /* as it is opened */
	char *shown; /* with ~/ for $HOME */
	char *text;
	size_t n;
	mode_t mode;
	uid_t owner;
	struct zk_arena arena;
	struct zk_node *root; /* a MAP; NULL when the file holds nothing */
};

/* Reads and parses `path`. 0; -ZK_E_CONFIG when it cannot be read, is no regular file or is too
 * large; -ZK_E_CONFIG_SYNTAX or -ZK_E_CONFIG_KEY with line and column when its text is wrong. The
 * caller frees it with zk_conf_file_free. */
int zk_conf_file_open(const char *path, enum zk_conf_place place,
                      struct zk_conf_file **ret, struct zk_error *err) ZK_MUST_USE;
/* The same from text in memory (copied); `path` is for messages. */
int zk_conf_file_parse(const char *path, zk_str text, struct zk_conf_file **ret,
                       struct zk_error *err) ZK_MUST_USE;
void zk_conf_file_free(struct zk_conf_file *f); /* NULL is fine */

/* The member `key` of a MAP, or NULL (also when `map` is NULL or no MAP). */
const struct zk_node *zk_node_get(const struct zk_node *map, zk_str key);
/* The value of a whole key ("retries.max") below `map`, or NULL. */
const struct zk_node *zk_node_at(const struct zk_node *map, zk_str key);
#define ZK_NODE_EACH(it, container) \
	for (const struct zk_node *it = (container)->first; it; it = it->next)
/* "a text", "a list", "a mapping". */
const char *zk_node_kind_name(enum zk_node_kind kind);

/* A place in a file that an error points at. */
struct zk_spot {
	const struct zk_conf_file *file;
	unsigned line, col, span; /* 1-based; span in characters */
};
struct zk_spot zk_spot_key(const struct zk_conf_file *f, const struct zk_node *member);
struct zk_spot zk_spot_value(const struct zk_conf_file *f, const struct zk_node *node);
/* Fills `err` with where and excerpt (values of keys that look secret are masked); `note` stands
 * behind the carets, may be NULL. Returns -code. */
int zk_spot_fail(struct zk_error *err, enum zk_code code, struct zk_spot at,
                 const char *note, const char *fmt, ...) ZK_PRINTF(5, 6);

/* Gives a failure that happened below a code, and the place it comes from; message and hint stay.
 * Returns -code. */
int zk_spot_add(struct zk_error *err, enum zk_code code, struct zk_spot at,
                const char *note);

/* `path` with ~/ in place of $HOME; the caller frees it. */
char *zk_path_shown(const char *path);

#endif
