/* YAML texts as trees of nodes with positions: configuration files (ux.md §5) and the documents
 * that commands read.
 * Layer: conf; libyaml is in yaml.c.
 *
 * A configuration file is plain YAML: one document, at most 16 levels, 256 KiB and 20,000 nodes;
 * no tags, anchors, aliases or merge keys, no key twice in one mapping. Documents have rules of
 * their own (struct zk_doc_rules); none takes tags and merge keys. */
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
	bool again;         /* member of a MAP: one of this name stands before it */
	bool closed;        /* MAP, LIST: complete */
	/* As a member of a MAP: */
	zk_str key;
	unsigned key_line, key_col, key_span; /* span in characters, quotes included */
	struct zk_node *next;                 /* the next member or element */
	struct zk_node *first;                /* MAP, LIST */
	size_t n;
	unsigned size,
	        height; /* nodes and levels, itself included, aliases written out */
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
	/* A MAP; NULL when the file holds nothing. Of several documents the first one, the others
	 * follow it. */
	struct zk_node *root;
};

#define ZK_DOC_DEPTH_MAX 64

/* What a text may hold, and the codes of failures. */
struct zk_doc_rules {
	size_t bytes_max, arena_max;
	unsigned depth_max; /* at most ZK_DOC_DEPTH_MAX */
	unsigned nodes_max; /* aliases written out: a bomb fails before it grows */
	unsigned keys_max;  /* of one mapping */
	bool documents;     /* several in one text */
	bool aliases;
	bool duplicates; /* a key may stand twice: the later member is marked `again` */
	const char *merge_note; /* what to use instead of merge keys; may be NULL */
	enum zk_code syntax, key, limit, size;
};

/* Parses `text` (copied); `path` is for messages. The caller frees with zk_conf_file_free. */
int zk_doc_parse(const char *path, zk_str text, const struct zk_doc_rules *rules,
                 struct zk_conf_file **ret, struct zk_error *err) ZK_MUST_USE;
/* For parsers of other languages that make the same trees: an empty file; its text, without a
 * BOM, and its arena; marks members that stand `again` and returns the first of them or NULL,
 * *was = the one before it. */
struct zk_conf_file *zk_conf_file_new(const char *path);
int zk_doc_set_text(struct zk_conf_file *f, zk_str text, const struct zk_doc_rules *rules,
                    struct zk_error *err) ZK_MUST_USE;
struct zk_node *zk_doc_mark_again(struct zk_node *map, const struct zk_node **was);
/* yaml.c: fills f->root from f->text. */
int zk_doc_build(struct zk_conf_file *f, const struct zk_doc_rules *rules,
                 struct zk_error *err) ZK_MUST_USE;

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
