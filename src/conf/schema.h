/* The keys that configuration files may hold, and the variables that may be set: all rows of all
 * commands (ux.md §4, §5).
 * Layer: conf. */
#ifndef ZK_CONF_SCHEMA_H
#define ZK_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/file.h"
#include "conf/opt.h"

/* One table of rows and what their keys begin with; "" = global options. */
struct zk_conf_table {
	const struct zk_opt *rows;
	const char *prefix;
};

struct zk_schema {
	const struct zk_conf_table *tables;
	size_t n;
};

/* The prefixes under which a row may be found, the widest first: "zerobus", "zerobus.send" for
 * "zerobus.send"; one only for a row with a key of its own. Start with *pos = 0; false at the
 * end. */
bool zk_schema_next_prefix(const struct zk_opt *row, const char *prefix, size_t *pos,
                           char out[64]);

/* The five forms of a secret in a file. */
enum zk_secret_member {
	ZK_MEMBER_NONE, /* no SECRET_REF, or its inline form `token` */
	ZK_MEMBER_FILE,
	ZK_MEMBER_ENV,
	ZK_MEMBER_COMMAND,
	ZK_MEMBER_CREDENTIAL,
};
/* "", "_file", "_env", "_command", "_credential". */
const char *zk_schema_suffix(enum zk_secret_member member);

/* The keys of a row in one mapping: under each of its prefixes, a secret in each of its forms (`key`
 * and `member` of that one). Start with { 0 }; false at the end. */
struct zk_schema_keys {
	size_t pos;
	bool any;
	enum zk_secret_member member;
	char part[64];
};
bool zk_schema_next_key(const struct zk_opt *row, const char *prefix,
                        struct zk_schema_keys *k, struct zk_buf *key);

/* A key of the schema. */
struct zk_hit {
	const struct zk_opt *row;
	const char *prefix;
	enum zk_secret_member member;
};

/* Finds the row of a whole key ("triggers.listen", "zeal.token_file"). A key of a group serves
 * the rows of its verbs ("zerobus.max_inflight" for prefix "zerobus.send"). */
bool zk_schema_find(const struct zk_schema *s, zk_str key, struct zk_hit *ret);
/* True when the value of the key is itself a secret. */
bool zk_hit_is_secret(const struct zk_hit *hit);
/* True when some key begins with "KEY.". */
bool zk_schema_has_below(const struct zk_schema *s, zk_str key);
/* The member of a row's group that `key` names, or -1 when it names another row. */
int zk_schema_match(const struct zk_opt *row, const char *prefix, zk_str key);

/* Checks every key and value of a mapping (a profile, `defaults`) against the schema; values that
 * hold ${…} are checked when they are used. `skip` lists keys that are the caller's, ended by
 * NULL. 0, or -ZK_E_CONFIG_KEY or -ZK_E_CONFIG_VALUE with line and column. */
int zk_schema_check(const struct zk_schema *s, const struct zk_conf_file *f,
                    const struct zk_node *map, const char *const *skip,
                    struct zk_error *err) ZK_MUST_USE;
/* Calls fn for every known key of a mapping that zk_schema_check accepted, in order; stops at the
 * first negative result and returns it. */
typedef int (*zk_key_fn)(void *ctx, const struct zk_hit *hit, const struct zk_node *value,
                         zk_str key, struct zk_error *err);
int zk_schema_each(const struct zk_schema *s, const struct zk_node *map, zk_key_fn fn,
                   void *ctx, struct zk_error *err) ZK_MUST_USE;
/* Checks one value of a file with `expand` = also what ${…} gives. */
int zk_schema_check_value(const struct zk_hit *hit, const struct zk_conf_file *f,
                          const struct zk_node *value, bool expand,
                          struct zk_error *err) ZK_MUST_USE;

/* Completes the failure of a zk_opt_set on a text at `at`: key, place, the hint as a note. */
int zk_schema_bad_value(const struct zk_hit *hit, const struct zk_conf_file *f,
                        const struct zk_node *at, struct zk_error *err);

/* The texts that a value of a file stands for, one zk_opt_set each, in order: calls fn for each
 * with paths made absolute. Stops at the first negative result. */
typedef int (*zk_text_fn)(void *ctx, const struct zk_node *at, zk_str text,
                          struct zk_error *err);
int zk_schema_texts(const struct zk_hit *hit, const struct zk_conf_file *f,
                    const struct zk_node *value, zk_text_fn fn, void *ctx,
                    struct zk_error *err) ZK_MUST_USE;

/* Every ZK_* variable is that of a row, of its _FILE twin, or one zk sets for its children. 0, or
 * -ZK_E_CONFIG_ENV with a suggestion. */
int zk_schema_check_env(const struct zk_schema *s, struct zk_error *err) ZK_MUST_USE;

#endif
