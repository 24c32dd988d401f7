/* Predicates: the first line is the expression (both grammars), the rest the record.
 * Layer: tests. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/expr.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct zk_expr_alias aliases[] = { { "text", "commit.record.text" },
		                                        { "quote", "a.b" },
		                                        { "quote", "a.c" },
		                                        { NULL, NULL } };
	zk_str all = zk_str_n((const char *)data, n), text;
	zk_str json = zk_str_cut(all, '\n', &text);

	for (int g = ZK_EXPR_STREAM; g <= ZK_EXPR_EVENT; g++) {
		struct zk_expr_conf conf = { .grammar = (enum zk_expr_grammar)g,
			                     .aliases = aliases,
			                     .what = "x" };
		struct zk_error err = { 0 };
		struct zk_jscan js;
		struct zk_expr *e;

		if (zk_expr_compile(text, &conf, &e, &err) < 0)
			continue;
		if (zk_jscan(json, 256, NULL, 0, &js) == 0)
			(void)zk_expr_match(e, js.top.raw);
		zk_expr_free(e);
	}
	return 0;
}
