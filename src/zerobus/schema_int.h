/* What the makers of schemas share: columns as a tree, before names and numbers are given.
 * Layer: zerobus, internal. */
#ifndef ZK_ZEROBUS_SCHEMA_INT_H
#define ZK_ZEROBUS_SCHEMA_INT_H

#include "base/buf.h"
#include "zerobus/schema.h"

/* A column, a member of a struct, or the key or value of a map (its two children). */
struct zk_zb_node {
	struct zk_zb_field field; /* without number, label and message */
	uint32_t child, last_child, next;
};

struct zk_zb_tree {
	struct zk_zb_node *nodes;
	uint32_t n, room;
	uint32_t first, last; /* the columns */
	struct zk_arena arena;
};

#define ZK_ZB_NODES_MAX 200000u

void zk_zb_tree_init(struct zk_zb_tree *t);
void zk_zb_tree_done(struct zk_zb_tree *t);
/* Adds a node under `parent` (ZK_ZB_NONE: a column); its index, or ZK_ZB_NONE when there are too
 * many. Pointers to nodes do not stay. */
uint32_t zk_zb_tree_add(struct zk_zb_tree *t, uint32_t parent,
                        const struct zk_zb_field *field);

/* Columns that break a rule, listed in one error. */
struct zk_zb_blame {
	struct zk_buf text;
	size_t n, shown;
};

void zk_zb_blame_init(struct zk_zb_blame *b);
void zk_zb_blame_add(struct zk_zb_blame *b, const char *fmt, ...) ZK_PRINTF(2, 3);
/* 0 when nothing was added, else -code: "3 columns …: 'a' x, 'b' y, 'c' z". Frees. */
int zk_zb_blame_end(struct zk_zb_blame *b, enum zk_code code, const char *what,
                    const char *hint, struct zk_error *err);

/* Checks the tree (§10.2), gives names and numbers (§10.3), writes the descriptor. */
int zk_zb_schema_build(const struct zk_zb_tree *t, enum zk_zb_origin origin,
                       const struct zk_zb_schema_conf *conf, struct zk_zb_schema **ret,
                       struct zk_error *err) ZK_MUST_USE;

/* ---- schema.c ---- */

struct zk_zb_schema *zk_zb_schema_new(enum zk_zb_origin origin);
/* Both give an index; pointers into the arrays do not stay. */
uint32_t zk_zb_schema_add_message(struct zk_zb_schema *s);
uint32_t zk_zb_schema_add_field(struct zk_zb_schema *s);
/* Makes `child` the last nested message of `parent` and gives it its full name. */
void zk_zb_schema_nest(struct zk_zb_schema *s, uint32_t parent, uint32_t child);
zk_str zk_zb_schema_copy(struct zk_zb_schema *s, zk_str text);
/* Sets descriptor and fingerprint. */
void zk_zb_schema_seal(struct zk_zb_schema *s);
uint8_t zk_zb_pb_type(enum zk_zb_type type);

/* ---- schema_type.c ---- */

/* Reads a type_text (§10.4) and adds `column` with that type, its members below it. 0, or -1 with
 * a reason (static): "" for text that is no type at all. The tree may be left half grown. */
int zk_zb_type_parse(struct zk_zb_tree *t, zk_str text, const struct zk_zb_field *column,
                     const char **why) ZK_MUST_USE;

#endif
