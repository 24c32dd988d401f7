/* Inside of expr: the program that the parser makes and the machine runs.
 * Layer: codec, private to expr*.c. */
#ifndef ZK_CODEC_EXPR_INT_H
#define ZK_CODEC_EXPR_INT_H

#include <regex.h>
#include <stdint.h>

#include "base/mem.h"
#include "codec/expr.h"

enum zk_expr_op {
	ZK_EXPR_TEST,     /* the flag becomes what the test says */
	ZK_EXPR_NOT,      /* the flag is turned */
	ZK_EXPR_IF_FALSE, /* jump when the flag is not set */
	ZK_EXPR_IF_TRUE,  /* jump when it is */
};

enum zk_expr_cmp {
	ZK_EXPR_HAS,
	ZK_EXPR_EQ,
	ZK_EXPR_NE,
	ZK_EXPR_LT,
	ZK_EXPR_LE,
	ZK_EXPR_GT,
	ZK_EXPR_GE,
	ZK_EXPR_CONTAINS,
	ZK_EXPR_REGEX,
	ZK_EXPR_GLOB,
	ZK_EXPR_NOT_GLOB,
	ZK_EXPR_IN,
};

/* What a value is compared with. A bare word of ZK_EXPR_EVENT may mean a number, a constant or a
 * text, whatever the value is. */
struct zk_expr_lit {
	zk_str text; /* decoded, in the arena */
	bool may_be_text;
	bool is_number;
	bool is_int; /* `i` is exact */
	int64_t i;
	double d;
	enum zk_jtype constant; /* ZK_J_BOOL, ZK_J_NULL or ZK_J_NONE */
};

struct zk_expr_test {
	enum zk_expr_cmp cmp;
	const zk_str *paths; /* tried in order */
	size_t n_paths;
	const struct zk_expr_lit *right; /* of IN more than one */
	size_t n_right;
	regex_t *re;
};

struct zk_expr_ins {
	enum zk_expr_op op;
	uint32_t to;                     /* of a jump */
	const struct zk_expr_test *test; /* of TEST */
};

struct zk_expr {
	struct zk_arena arena;
	struct zk_expr_ins *code;
	size_t n, room;
	regex_t **res; /* to be freed */
	size_t n_res;
};

#endif
