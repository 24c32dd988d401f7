/* Whether a text is a regular expression of ECMAScript (specs/zeal-zip.md §4.5, T108). The verdicts
 * are those of new RegExp(text) in V8. Layer: tests. */
#include "zip/template.h"

#include <criterion/criterion.h>

#include "base/ban.h"

Test(zip_pattern, verdicts)
{
	static const struct {
		zk_str text;
		bool ok;
	} cases[] = {
		{ ZK_STR_INIT(""), true },
		{ ZK_STR_INIT("^.$"), true },
		{ ZK_STR_INIT("^[a-z][a-z0-9-]*$"), true },
		{ ZK_STR_INIT("(a|b)+?c{2,3}?"), true },
		{ ZK_STR_INIT("(?:x)(?=y)(?!z)(?<=p)(?<!q)(?<name>r)"), true },
		{ ZK_STR_INIT("\\d{3}\\.\\(\\)"), true },
		{ ZK_STR_INIT("a{"), true },
		{ ZK_STR_INIT("a{,3}"), true },
		{ ZK_STR_INIT("{"), true },
		{ ZK_STR_INIT("]"), true },
		{ ZK_STR_INIT("[]]"), true },
		{ ZK_STR_INIT("[\\]]"), true },
		{ ZK_STR_INIT("[a-]"), true },
		{ ZK_STR_INIT("[\\w-a]"), true },
		{ ZK_STR_INIT("(["), false },
		{ ZK_STR_INIT("("), false },
		{ ZK_STR_INIT(")"), false },
		{ ZK_STR_INIT("[z-a]"), false },
		{ ZK_STR_INIT("*a"), false },
		{ ZK_STR_INIT("a**"), false },
		{ ZK_STR_INIT("+"), false },
		{ ZK_STR_INIT("(?a)"), false },
		{ ZK_STR_INIT("(?<n"), false },
		{ ZK_STR_INIT("a{3,2}"), false },
		{ ZK_STR_INIT("{2}"), false },
		{ ZK_STR_INIT("\\"), false },
		{ ZK_STR_INIT("[a"), false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		const char *why;

		cr_expect_eq(zk_zip_pattern_ok(cases[i].text, &why), cases[i].ok,
		             "'%.*s'", ZK_STR_ARG(cases[i].text));
		cr_expect_eq(why == NULL, cases[i].ok);
	}
}
