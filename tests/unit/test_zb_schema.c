/* Schemas: golden descriptors, names and numbers, rules that are checked, the grammar of
 * type_text, descriptors that come from elsewhere (specs/zerobus.md §10, §21, §23).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/pb.h"
#include "zerobus/schema.h"

#include "base/ban.h"

static int table(const char *columns, const char *message, struct zk_zb_schema **ret,
                 struct zk_error *err)
{
	char *json = zk_asprintf("{\"columns\":[%s]}", columns);
	struct zk_zb_schema_conf conf = { .message = message };
	int r = zk_zb_schema_of_table(zk_str_of(json), &conf, ret, err);

	free(json);
	return r;
}

static struct zk_zb_schema *good(const char *columns, const char *message)
{
	struct zk_zb_schema *s = NULL;
	struct zk_error err;

	cr_assert_eq(table(columns, message, &s, &err), 0, "%s", err.msg);
	return s;
}

static void expect_descriptor(const struct zk_zb_schema *s, const char *hex)
{
	struct zk_buf b;

	zk_buf_init(&b, 1 << 16);
	zk_hex_encode(s->descriptor, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), hex);
	zk_buf_done(&b);
}

#define AIR                                                                          \
	"0a0341697212130a0b6465766963655f6e616d65180120012809120c0a0474656d70180220" \
	"01280512100a0868756d6964697479180320012803"

Test(zb_schema, golden_air)
{
	struct zk_zb_schema *s =
	        good("{\"name\":\"device_name\",\"type_text\":\"STRING\"},"
	             "{\"name\":\"temp\",\"type_text\":\"int\"},"
	             "{\"name\":\"humidity\",\"type_text\":\"Long\"}",
	             "Air");

	expect_descriptor(s, AIR);
	cr_expect_eq(strlen(s->fingerprint), 8u);
	zk_zb_schema_free(s);
}

#define TRIP                                                                             \
	"0a0474726970120a0a026964180120022803120a0a026174180220012803120c0a046661726518" \
	"032001280912180a0466726f6d18042001280b320a2e747269702e46726f6d120c0a0474616773" \
	"180520032809121f0a05657874726118062003280b32102e747269702e4578747261456e747279" \
	"1a450a0446726f6d120b0a036c6174180120012801121b0a0367656f18022001280b320e2e7472" \
	"69702e46726f6d2e47656f1a130a0347656f120c0a0463656c6c18012001280c1a2c0a0a457874" \
	"7261456e747279120b0a036b6579180120012809120d0a0576616c75651802200128053a023801"

static const char trip[] =
        "{\"name\":\"extra\",\"type_text\":\"map<string,int>\",\"position\":5},"
        "{\"name\":\"id\",\"type_text\":\"bigint\",\"nullable\":false,\"position\":0},"
        "{\"name\":\"at\",\"type_text\":\"timestamp\",\"position\":1},"
        "{\"name\":\"fare\",\"type_text\":\"decimal(10,2)\",\"position\":2},"
        "{\"name\":\"from\",\"type_text\":\"struct<lat: double, geo: struct<cell: "
        "binary>>\","
        "\"position\":3},{\"name\":\"tags\",\"type_text\":\"array<string>\",\"position\":"
        "4}";

Test(zb_schema, golden_trip_in_the_order_of_positions)
{
	struct zk_zb_schema *s = good(trip, "trip");

	expect_descriptor(s, TRIP);
	cr_expect_eq(s->descriptor.n, 234u);
	zk_zb_schema_free(s);
}

/* What was made is read again, and stays the same bytes. */
Test(zb_schema, descriptors_come_back)
{
	struct zk_zb_schema *s = good(trip, "trip"), *again = NULL, *set = NULL;
	struct zk_zb_schema_conf conf = { .message = "other" };
	struct zk_error err;
	struct zk_buf b;

	cr_assert_eq(zk_zb_schema_of_descriptor(s->descriptor, &conf, &again, &err), 0,
	             "%s", err.msg);
	expect_descriptor(again, TRIP);
	cr_expect_str_eq(again->fingerprint, s->fingerprint);
	zk_buf_init(&b, 1 << 16);
	zk_zb_schema_set(s, &b);
	cr_assert_eq(zk_zb_schema_of_file(zk_buf_str(&b), &conf, &set, &err), 0, "%s",
	             err.msg);
	expect_descriptor(set, TRIP);
	zk_buf_done(&b);
	zk_zb_schema_free(set);
	zk_zb_schema_free(again);
	zk_zb_schema_free(s);
}

Test(zb_schema, names_that_collide)
{
	struct zk_zb_schema *s =
	        good("{\"name\":\"extra_entry\",\"type_text\":\"struct<a:int>\"},"
	             "{\"name\":\"extra\",\"type_text\":\"map<string,struct<b:int>>\"},"
	             "{\"name\":\"extra__value\",\"type_text\":\"struct<c:int>\"},"
	             "{\"name\":\"URL\",\"type_text\":\"struct<d:int>\"},"
	             "{\"name\":\"geo_point\",\"type_text\":\"array<struct<e:int>>\"}",
	             "9lives");
	static const char *const names[] = { "_9lives",    "ExtraEntry_2", "ExtraValue",
		                             "ExtraEntry", "ExtraValue_2", "URL_2",
		                             "GeoPoint" };

	cr_assert_eq(s->n_messages, ZK_ARRAY_LEN(names));
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		cr_expect(zk_str_eq(s->messages[i].name, zk_str_of(names[i])),
		          "%zu: %.*s", i, ZK_STR_ARG(s->messages[i].name));
	cr_expect(s->messages[3].is_entry);
	zk_zb_schema_free(s);
}

Test(zb_schema, type_names_are_whole_at_depth_three)
{
	struct zk_zb_schema *s = good("{\"name\":\"a\",\"type_text\":\"struct<b:struct<c:"
	                              "array<struct<d:int>>>>\"}",
	                              "t");

	cr_assert_eq(s->n_messages, 4u);
	cr_expect(zk_str_eq(s->messages[3].full, ZK_STR(".t.A.B.C")));
	cr_expect(zk_str_find(s->descriptor, ZK_STR(".t.A.B.C")) > 0);
	zk_zb_schema_free(s);
}

static char *columns(unsigned n)
{
	struct zk_buf b;

	zk_buf_init(&b, (size_t)4 << 20);
	for (unsigned i = 0; i < n; i++)
		zk_buf_printf(&b, "%s{\"name\":\"c%u\",\"type_text\":\"int\"}",
		              i ? "," : "", i);
	return zk_buf_take(&b);
}

Test(zb_schema, two_thousand_columns_and_no_more)
{
	struct zk_zb_schema *s = NULL;
	struct zk_error err;
	char *c = columns(2000);

	cr_expect_eq(table(c, "t", &s, &err), 0, "%s", err.msg);
	zk_zb_schema_free(s);
	free(c);
	c = columns(2001);
	cr_expect_eq(table(c, "t", &s, &err), -ZK_E_ZB_COLUMNS);
	free(c);
	cr_expect_eq(table("", "t", &s, &err), -ZK_E_ZB_COLUMNS);
}

Test(zb_schema, reserved_numbers_are_passed_over)
{
	struct zk_zb_schema *s;
	struct zk_buf b;

	zk_buf_init(&b, (size_t)4 << 20);
	zk_buf_lit(&b, "{\"name\":\"s\",\"type_text\":\"struct<");
	for (unsigned i = 1; i <= 19001; i++)
		zk_buf_printf(&b, "%sm%u:int", i > 1 ? "," : "", i);
	zk_buf_lit(&b, ">\"}");
	s = good(zk_buf_cstring(&b), "t");
	const struct zk_zb_message *m = &s->messages[1];

	cr_assert_eq(m->n_fields, 19001u);
	cr_expect_eq(s->fields[m->first_field + 18998].number, 18999u);
	cr_expect_eq(s->fields[m->first_field + 18999].number, 20000u);
	cr_expect_eq(s->fields[m->first_field + 19000].number, 20001u);
	zk_zb_schema_free(s);
	zk_buf_done(&b);
}

static const struct {
	const char *text; /* as in JSON */
	const char *want; /* the type as it is printed; NULL = refused */
} types[] = {
	{ "int", "INT" },
	{ " Integer ", "INT" },
	{ "BYTE", "TINYINT" },
	{ "short", "SMALLINT" },
	{ "real", "FLOAT" },
	{ "decimal", "DECIMAL(10,0)" },
	{ "DECIMAL ( 12 )", "DECIMAL(12,0)" },
	{ "decimal(38,38)", "DECIMAL(38,38)" },
	{ "decimal(39,0)", NULL },
	{ "decimal(5,6)", NULL },
	{ "decimal(", NULL },
	{ "varchar(10)", "VARCHAR(10)" },
	{ "varchar", NULL },
	{ "char(0)", NULL },
	{ "timestamp_ntz", "TIMESTAMP_NTZ" },
	{ "variant", "VARIANT" },
	{ "array<int>", "ARRAY<INT>" },
	{ "array < array<int> >", NULL },
	{ "array<map<string,int>>", NULL },
	{ "map<string,array<int>>", NULL },
	{ "map<string,map<string,int>>", NULL },
	{ "map<double,int>", NULL },
	{ "map<struct<a:int>,int>", NULL },
	{ "map<int,struct<a:array<string>>>", "MAP<INT, STRUCT<a: ARRAY<STRING>>>" },
	{ "struct<a:int,b:struct<c:map<string,int>>>",
	  "STRUCT<a: INT, b: STRUCT<c: MAP<STRING, INT>>>" },
	{ "STRUCT<`a`: INT NOT NULL COMMENT 'it''s a \\\\'quote\\\\'', b INT>",
	  "STRUCT<a: INT, b: INT>" },
	{ "struct<>", NULL },
	{ "struct<a>", NULL },
	{ "struct<a:int", NULL },
	{ "struct<a:int>>", NULL },
	{ "struct<a:int,>", NULL },
	{ "int int", NULL },
	{ "", NULL },
	{ "interval day", NULL },
	{ "void", NULL },
	{ "geography", NULL },
	{ "array<", NULL },
	{ "array<int", NULL },
	{ "map<string>", NULL },
};

Test(zb_schema, the_grammar_of_type_text)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++) {
		char *col = zk_asprintf("{\"name\":\"c\",\"type_text\":\"%s\"}",
		                        types[i].text);
		struct zk_zb_schema *s = NULL;
		struct zk_error err;
		int r = table(col, "t", &s, &err);

		if (!types[i].want) {
			cr_expect_eq(r, -ZK_E_ZB_TYPE, "%s", types[i].text);
		} else {
			struct zk_buf b;

			cr_assert_eq(r, 0, "%s: %s", types[i].text, err.msg);
			zk_buf_init(&b, 4096);
			zk_zb_type_text(s, &s->fields[0], &b);
			cr_expect_str_eq(zk_buf_cstring(&b), types[i].want);
			zk_buf_done(&b);
			zk_zb_schema_free(s);
		}
		free(col);
	}
}

Test(zb_schema, depth_is_bounded)
{
	struct zk_zb_schema *s = NULL;
	struct zk_error err;
	struct zk_buf b;

	for (unsigned depth = 90; depth <= 5000; depth += 4910) {
		zk_buf_init(&b, (size_t)4 << 20);
		zk_buf_lit(&b, "{\"name\":\"c\",\"type_text\":\"");
		for (unsigned i = 0; i < depth; i++)
			zk_buf_lit(&b, "struct<a:");
		zk_buf_lit(&b, "int");
		for (unsigned i = 0; i < depth; i++)
			zk_buf_char(&b, '>');
		zk_buf_lit(&b, "\"}");
		cr_expect_eq(table(zk_buf_cstring(&b), "t", &s, &err),
		             depth == 90 ? 0 : -ZK_E_ZB_TYPE, "%u: %s", depth, err.msg);
		if (depth == 90)
			zk_zb_schema_free(s);
		zk_buf_done(&b);
	}
}

Test(zb_schema, names_are_checked_on_every_level)
{
	struct zk_zb_schema *s = NULL;
	struct zk_error err;

	cr_expect_eq(table("{\"name\":\"a b\",\"type_text\":\"int\"},"
	                   "{\"name\":\"s\",\"type_text\":\"struct<`x y`:int,z:int>\"},"
	                   "{\"name\":\"9\",\"type_text\":\"int\"}",
	                   "t", &s, &err),
	             -ZK_E_ZB_COLUMN_NAME);
	cr_expect_str_eq(err.msg, "column names not allowed: 'a b', 'x y', '9'");
	cr_expect_eq(table("{\"name\":\"s\",\"type_text\":\"struct<x:int,X:int>\"}", "t",
	                   &s, &err),
	             -ZK_E_ZB_COLUMN_TWICE);
}

/* Message M { M m = 1; } would never end. */
Test(zb_schema, messages_that_hold_themselves)
{
	struct zk_zb_schema_conf conf = { .message = "M" };
	struct zk_zb_schema *s = NULL;
	struct zk_error err;
	struct zk_buf b;
	size_t mark;

	zk_buf_init(&b, 4096);
	zk_pb_put_bytes(&b, 1, ZK_STR("M"));
	mark = zk_pb_put_open(&b, 2);
	zk_pb_put_bytes(&b, 1, ZK_STR("m"));
	zk_pb_put_int(&b, 3, 1);
	zk_pb_put_int(&b, 4, 1);
	zk_pb_put_int(&b, 5, ZK_PB_MESSAGE);
	zk_pb_put_bytes(&b, 6, ZK_STR(".M"));
	zk_pb_put_close(&b, mark);
	cr_expect_eq(zk_zb_schema_of_descriptor(zk_buf_str(&b), &conf, &s, &err),
	             -ZK_E_ZB_TYPE, "%s", err.msg);
	zk_buf_done(&b);
}

Test(zb_schema, documents_that_are_none)
{
	static const char *const bad[] = { "{}", "{\"columns\":{}}",
		                           "{\"columns\":[{\"name\":\"a\"}]}",
		                           "{\"columns\":[1]}", "{" };
	struct zk_zb_schema_conf conf = { .message = "t" };
	struct zk_zb_schema *s = NULL;
	struct zk_error err;

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect(zk_zb_schema_of_table(zk_str_of(bad[i]), &conf, &s, &err) < 0,
		          "%s", bad[i]);
	cr_expect_eq(zk_zb_schema_of_file(ZK_STR("hello, world"), &conf, &s, &err),
	             -ZK_E_DATA);
	cr_expect_eq(zk_zb_schema_of_file(ZK_STR(""), &conf, &s, &err), -ZK_E_DATA);
}
