/* Predicates over raw JSON: both grammars (specs/jetstream.md §10.2, specs/zeal-zip.md §9).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/ere.h"
#include "codec/expr.h"

#include "base/ban.h"

static const char event[] =
        "{\"did\":\"did:plc:a\",\"kind\":\"commit\",\"time_us\":1767225600001617,"
        "\"commit\":{"
        "\"operation\":\"create\",\"collection\":\"app.bsky.feed.post\",\"rkey\":\"3m\","
        "\"record\":{\"$type\":\"app.bsky.feed.post\",\"text\":\"The OWL said "
        "\\\"h\\u00fc\\\"\","
        "\"langs\":[\"en\",\"de\"],\"n\":5000000000000001,\"f\":1.5,\"yes\":true,\"no\":"
        "null,"
        "\"embed\":{\"record\":{\"record\":{\"uri\":\"at://"
        "x\"}}},\"list\":[{\"a\":1},{\"a\":2}]}}}";

static const struct zk_expr_alias aliases[] = {
	{ "text", "commit.record.text" },
	{ "langs", "commit.record.langs" },
	{ "did", "did" },
	{ "kind", "kind" },
	{ "op", "commit.operation" },
	{ "collection", "commit.collection" },
	{ "reply", "commit.record.reply" },
	{ "quote", "commit.record.embed.record.uri" },
	{ "quote", "commit.record.embed.record.record.uri" },
	{ "record", "commit.record" },
	{ NULL, NULL },
};

static const struct zk_expr_conf stream = { .grammar = ZK_EXPR_STREAM,
	                                    .aliases = aliases,
	                                    .only_aliases = true,
	                                    .what = "--match" };
static const struct zk_expr_conf events = { .grammar = ZK_EXPR_EVENT,
	                                    .what = "--filter" };

static const struct {
	const char *text;
	bool fits;
} stream_cases[] = {
	{ "text ~ \"owl\"", true },
	{ "text~\"owl\" && langs==\"en\"", true },
	{ "text ~ \"owl\" && langs == \"fr\"", false },
	{ "langs == 'de'", true },
	{ "langs != 'de'", false },
	{ "langs != 'fr'", true },
	{ "langs in ('fr', \"de\")", true },
	{ "langs in ('fr')", false },
	{ "text ~ 'h\xc3\xbc'", true },
	{ "text ~ \"h\\u00fc\"", true },
	{ "text =~ '^The O.L'", true },
	{ "text =~ '^owl'", false },
	{ "has reply", false },
	{ "!has reply", true },
	{ "has quote && quote == 'at://x'", true },
	{ "has record.no", false },
	{ "record.no == null", true },
	{ "record.n == 5000000000000001", true },
	{ "record.n == 5000000000000002", false },
	{ "record.n > 5000000000000000 && record.n < 5000000000000002", true },
	{ "record.f >= 1.5 && record.f <= 1.5", true },
	{ "record.yes == true", true },
	{ "record.yes == false", false },
	{ "record.yes != false", true },
	{ "record.missing != 'x'", false }, /* a missing path is false */
	{ "!(record.missing == 'x')", true },
	{ "record.text == 5", false }, /* another type */
	{ "record.text != 5", false },
	{ "record.list[1].a == 2", true },
	{ "record.list.0.a == 2", false },
	{ "record.$type == 'app.bsky.feed.post'", true },
	{ "op == 'delete' || op == 'create' && kind == 'commit'", true },
	{ "(op == 'delete' || op == 'create') && kind == 'x'", false },
	{ "op == 'delete' && kind == 'commit' || did == 'did:plc:a'", true },
	{ "!!(op == 'create')", true },
	{ "did < 'did:plc:b' && did > 'did'", true },
};

Test(expr, stream)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(stream_cases); i++) {
		struct zk_error err = { 0 };
		struct zk_expr *e = NULL;

		cr_assert_eq(zk_expr_compile(zk_str_of(stream_cases[i].text), &stream, &e,
		                             &err),
		             0, "%s: %s", stream_cases[i].text, err.msg);
		cr_expect_eq(zk_expr_match(e, zk_str_of(event)), stream_cases[i].fits,
		             "%s", stream_cases[i].text);
		zk_expr_free(e);
	}
}

static const struct {
	const char *text;
	bool fits;
} event_cases[] = {
	{ "kind=commit", true },
	{ "kind=comm*", true },
	{ "kind=\"comm*\"", false }, /* quoted: literal */
	{ "kind!=comm*", false },
	{ "commit.collection=app.bsky.*", true },
	{ "commit.record.n>100", true },
	{ "commit.record.f<=1.5", true },
	{ "commit.record.langs=en", true },
	{ "commit.record.langs[1]=de", true },
	{ "commit.record.text~OWL", true },
	{ "commit.record.text~'^owl'", false },
	{ "commit.record.yes=true", true },
	{ "commit.record.yes", true },
	{ "commit.record.no", false },
	{ "!commit.record.none", true },
	{ "kind=commit&&!(commit.operation=delete)||did=x", true },
	{ "time_us=1767225600001617", true },
	{ "time_us=1767225600001618", false },
};

Test(expr, event)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(event_cases); i++) {
		struct zk_error err = { 0 };
		struct zk_expr *e = NULL;

		cr_assert_eq(zk_expr_compile(zk_str_of(event_cases[i].text), &events, &e,
		                             &err),
		             0, "%s: %s", event_cases[i].text, err.msg);
		cr_expect_eq(zk_expr_match(e, zk_str_of(event)), event_cases[i].fits,
		             "%s", event_cases[i].text);
		zk_expr_free(e);
	}
}

static const struct {
	const char *text;
	unsigned col;
} bad[] = {
	{ "", 1 },
	{ "text", 5 },
	{ "text ~", 7 },
	{ "text == owl", 9 },
	{ "nope == 'x'", 1 },
	{ "(text ~ 'x'", 12 },
	{ "text ~ 'x", 8 },
	{ "text ~ 'x' && ", 15 },
	{ "text ~ 'x' y", 12 },
	{ "text =~ '('", 9 },
	{ "text in 'x'", 9 },
	{ "text ~ \"\\x\"", 8 },
	{ "record.[0] == 1", 8 },
	{ "record[a] == 1", 8 },
	{ "text in ('x' 'y')", 14 },
};

Test(expr, errors_point_at_the_column)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		struct zk_error err = { 0 };
		struct zk_expr *e = NULL;
		char want[32];

		(void)snprintf(want, sizeof(want), "at column %u", bad[i].col);
		cr_expect_eq(zk_expr_compile(zk_str_of(bad[i].text), &stream, &e, &err),
		             -ZK_E_USAGE, "%s", bad[i].text);
		cr_expect(strstr(err.msg, want), "%s: %s", bad[i].text, err.msg);
		cr_expect(e == NULL);
	}
}

Test(expr, limits)
{
	struct zk_error err = { 0 };
	struct zk_expr *e = NULL;
	char deep[300];

	memset(deep, '(', sizeof(deep));
	cr_expect_eq(zk_expr_compile(zk_str_n(deep, sizeof(deep)), &stream, &e, &err),
	             -ZK_E_USAGE);
	cr_expect(strstr(err.msg, "parentheses"), "%s", err.msg);
}

/* What regcomp() would write out until no memory is left. */
Test(expr, patterns_that_grow)
{
	static const struct {
		const char *text;
		bool fits;
	} v[] = {
		{ "^owl(s|let)?[0-9]{1,3}$", true },
		{ "a{900}", true },
		{ "[]+{(]+[^]]+[[:alpha:]+{]+", true },
		{ "\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+\\+", true },
		{ "(a|b)*(c?d*)*?", true },
		{ "a+++++++++++++++++++++++++++", false },
		{ "((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+", false },
		{ "(((a{99}){99}){99}){99}", false },
		{ "a{1,99999999999999999999}b{9999}", false },
		{ "((((((((((((((((((((((((((((((((((((((((", false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(v); i++) {
		char *text = zk_asprintf("text =~ \"%s\"", v[i].text);
		struct zk_expr *e = NULL;
		struct zk_error err = { 0 };

		cr_expect_eq(zk_ere_fits(zk_str_of(v[i].text)), v[i].fits, "%s",
		             v[i].text);
		if (!v[i].fits)
			cr_expect_lt(zk_expr_compile(zk_str_of(text), &stream, &e, &err),
			             0, "%s", text);
		zk_expr_free(e);
		free(text);
	}
}

static enum zk_expr_found known(const void *ctx, zk_str path, struct zk_jval *ret)
{
	(void)ctx;
	if (zk_str_eq(path, ZK_STR("kind"))) {
		ret->raw = ZK_STR("\"else\"");
		ret->type = ZK_J_STRING;
		return ZK_EXPR_THERE;
	}
	return zk_str_eq(path, ZK_STR("did")) ? ZK_EXPR_NOT_THERE : ZK_EXPR_UNKNOWN;
}

Test(expr, known_places)
{
	struct zk_error err = { 0 };
	struct zk_expr *e = NULL;

	cr_assert_eq(
	        zk_expr_compile(ZK_STR("kind == 'else' && !has did && op == 'create'"),
	                        &stream, &e, &err),
	        0);
	cr_expect(zk_expr_match_with(e, zk_str_of(event), known, NULL));
	zk_expr_free(e);
}
