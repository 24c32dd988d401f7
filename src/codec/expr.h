/* expr: small predicates over raw JSON ("text ~ 'owl' && langs == 'en'"), compiled once and
 * evaluated on the bytes of one record after the other.
 * Layer: codec. A compiled expression is constant: any thread may match with it.
 *
 * Two grammars share one compiler (specs/jetstream.md §10.2, specs/zeal-zip.md §9). Both have
 * `!`, `&&`, `||`, parentheses, paths with `.name` and `[n]`, strings in ' or " quotes, numbers,
 * true, false and null. A value that is an array satisfies a comparison when one of its elements
 * does. A path that leads nowhere, or to a value of another type than the comparison wants,
 * makes the comparison false, whatever its operator.
 *
 *	ZK_EXPR_STREAM  == != < <= > >=   ~ contains, ASCII case folded   =~ extended regular
 *	                expression        PATH in ("a", "b")   has PATH
 *	ZK_EXPR_EVENT   = (also ==) != < <= > >=   ~ extended regular expression   PATH alone:
 *	                it is there. Bare words are texts; with * and ? in them = and != match
 *	                as a glob does.
 *
 * "There" means: present and not null. */
#ifndef ZK_CODEC_EXPR_H
#define ZK_CODEC_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"

enum zk_expr_grammar { ZK_EXPR_STREAM, ZK_EXPR_EVENT };

/* A short name for the head of a path: "text" for "commit.record.text". Rows of the same name are
 * tried in order; the first that leads somewhere counts. */
struct zk_expr_alias {
	const char *name;
	const char *path;
};

struct zk_expr_conf {
	enum zk_expr_grammar grammar;
	const struct zk_expr_alias
	        *aliases;  /* ends with a NULL name; NULL = none; borrowed
	                                        for the call */
	bool only_aliases; /* other names are errors */
	const char *what;  /* of error messages: "--match" */
};

struct zk_expr;

#define ZK_EXPR_TEXT_MAX 16384

/* 0, or -ZK_E_USAGE that points at the column. */
int zk_expr_compile(zk_str text, const struct zk_expr_conf *conf, struct zk_expr **ret,
                    struct zk_error *err) ZK_MUST_USE;
void zk_expr_free(struct zk_expr *e); /* NULL is fine */
/* Whether `json`, which zk_jscan() accepted, satisfies it. */
bool zk_expr_match(const struct zk_expr *e, zk_str json);

/* The same where the caller knows the places of some values already: `find` gives the value at a
 * full path (after aliases), or says that it does not know this path. */
enum zk_expr_found { ZK_EXPR_UNKNOWN, ZK_EXPR_NOT_THERE, ZK_EXPR_THERE };
typedef enum zk_expr_found (*zk_expr_find_fn)(const void *ctx, zk_str path,
                                              struct zk_jval *ret);
bool zk_expr_match_with(const struct zk_expr *e, zk_str json, zk_expr_find_fn find,
                        const void *ctx);

#endif
