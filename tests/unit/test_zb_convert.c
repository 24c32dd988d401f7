/* Rows of Arrow, NDJSON and CSV as protobuf and JSON records: the golden vectors, every fixture,
 * errors of rows (specs/zerobus.md §11, §21, §23).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "zerobus/rows.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

static void load(const char *name, struct zk_buf *b)
{
	char path[512], piece[4096];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/tests/data/arrow/%s", getenv("TEST_SRC"),
	               name);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s", path);
	zk_buf_init(b, 1 << 20);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		zk_buf_put(b, piece, n);
	(void)fclose(f);
}

/* What a reader gave, as text: "kind FINGERPRINT", "hex…" or the JSON of a row, "!code column
 * values" of a bad one, "error code". */
static void run(const char *name, zk_str bytes, struct zk_zb_rows_conf *conf,
                struct zk_buf *out)
{
	struct zk_zb_rows *rows = NULL;
	struct zk_zb_row row;
	struct zk_error err = { 0 };
	int got;

	conf->source = zk_zb_memory_source(name, bytes, 7);
	if (!conf->message)
		conf->message = "t";
	if (zk_zb_rows_open(conf, &rows, &err) < 0) {
		zk_buf_printf(out, "error %d %s\n", (int)err.code, err.msg);
		zk_zb_memory_source_free(conf->source);
		return;
	}
	while ((got = zk_zb_rows_next(rows, &row, &err)) > 0) {
		if (got == ZK_ZB_SCHEMA) {
			zk_buf_lit(out, "schema\n");
		} else if (got == ZK_ZB_BAD_ROW) {
			zk_buf_printf(out, "!%d %.*s | %s | %.*s%s%.*s\n", (int)err.code,
			              ZK_STR_ARG(row.column), err.msg,
			              ZK_STR_ARG(row.values), row.base64.n ? " " : "",
			              ZK_STR_ARG(row.base64));
		} else if (row.kind->type == ZK_ZB_PROTO) {
			zk_hex_encode(row.payload, out);
			zk_buf_char(out, '\n');
		} else {
			zk_buf_printf(out, "%.*s\n", ZK_STR_ARG(row.payload));
		}
	}
	if (got < 0)
		zk_buf_printf(out, "error %d %s\n", (int)err.code, err.msg);
	zk_zb_rows_close(rows);
	zk_zb_memory_source_free(conf->source);
}

static void expect(const char *name, zk_str bytes, struct zk_zb_rows_conf *conf,
                   const char *expected)
{
	struct zk_buf out;

	zk_buf_init(&out, 1 << 20);
	run(name, bytes, conf, &out);
	cr_expect_str_eq(zk_buf_cstring(&out), expected, "%s:\n got %s want %s", name,
	                 zk_buf_cstring(&out), expected);
	zk_buf_done(&out);
}

/* A schema from a table's document. */
static struct zk_zb_schema *table(const char *columns)
{
	char *json = zk_asprintf("{\"columns\":[%s]}", columns);
	struct zk_zb_schema_conf conf = { .message = "t" };
	struct zk_zb_schema *s = NULL;
	struct zk_error err;

	cr_assert_eq(zk_zb_schema_of_table(zk_str_of(json), &conf, &s, &err), 0, "%s",
	             err.msg);
	free(json);
	return s;
}

#define AIR                                                    \
	"{\"name\":\"device_name\",\"type_text\":\"string\"}," \
	"{\"name\":\"temp\",\"type_text\":\"int\"},"           \
	"{\"name\":\"humidity\",\"type_text\":\"bigint\"}"

Test(zb_convert, golden_rows_of_air)
{
	struct zk_zb_schema *s = table(AIR);
	struct zk_zb_rows_conf conf = { .schema = s };

	expect("a.ndjson",
	       ZK_STR("{\"device_name\":\"sensor-1\",\"temp\":-5,\"humidity\":300}\n"
	              "{\"humidity\":null,\"temp\":0,\"device_name\":\"\"}\n{}\n"),
	       &conf,
	       "schema\n0a0873656e736f722d3110fbffffffffffffffff0118ac02\n0a001000\n\n");
	expect("a.csv",
	       ZK_STR("temp,device_name,humidity\n-5,sensor-1,300\n0,\"\",\n,,\n"), &conf,
	       "schema\n0a0873656e736f722d3110fbffffffffffffffff0118ac02\n0a001000\n\n");
	zk_zb_schema_free(s);
}

#define TRIP                                                                            \
	"{\"name\":\"id\",\"type_text\":\"bigint\",\"nullable\":false},"                \
	"{\"name\":\"at\",\"type_text\":\"timestamp\"},"                                \
	"{\"name\":\"fare\",\"type_text\":\"decimal(10,2)\"},"                          \
	"{\"name\":\"from\",\"type_text\":\"struct<lat:double,geo:struct<cell:binary>>" \
	"\"},"                                                                          \
	"{\"name\":\"tags\",\"type_text\":\"array<string>\"},"                          \
	"{\"name\":\"extra\",\"type_text\":\"map<string,int>\"}"

Test(zb_convert, golden_rows_of_trip)
{
	struct zk_zb_schema *s = table(TRIP);
	struct zk_zb_rows_conf conf = { .schema = s };

	expect("trip.ndjson",
	       ZK_STR("{\"id\":7,\"at\":1704067200123456,\"fare\":\"12.50\",\"from\":{"
	              "\"lat\":1.5,"
	              "\"geo\":{\"cell\":\"AP8=\"}},\"tags\":[\"a\",\"\"],\"extra\":{"
	              "\"k\":-1}}\n"
	              "{\"id\":0}\n"),
	       &conf,
	       "schema\n080710c0848c81f1ba83031a0531322e3530220f09000000000000f83f12040a0"
	       "200ff"
	       "2a01612a00320e0a016b10ffffffffffffffffff01\n0800\n");
	zk_zb_schema_free(s);
}

Test(zb_convert, the_row_fixture)
{
	struct zk_buf bytes, rows, expected;
	struct zk_zb_rows_conf conf = { .message = "zerobus_rows" };

	load("zerobus_rows.arrows", &bytes);
	load("zerobus_rows.proto-rows.hex", &rows);
	zk_buf_init(&expected, 1 << 16);
	zk_buf_printf(&expected, "schema\n%s", zk_buf_cstring(&rows));
	expect("zerobus_rows.arrows", zk_buf_str(&bytes), &conf,
	       zk_buf_cstring(&expected));
	zk_buf_done(&expected);
	zk_buf_done(&bytes);
	zk_buf_done(&rows);
}

#define BAD_ROWS                                                                         \
	"!4112 ts | column 'ts': 9223372036855 (timestamp(s, UTC)) into TIMESTAMP: out " \
	"of range in microseconds | {\"id\":1,\"ts\":\"9223372036855 s\",\"u\":1,"       \
	"\"tags\":[],\"attrs\":{},\"name\":\"n1\",\"f\":1}\n"                            \
	"!4112 u | column 'u': 9223372036854775808 (uint64) into BIGINT: above "         \
	"9223372036854775807 | {\"id\":2,\"ts\":3000000,\"u\":9223372036854775808,"      \
	"\"tags\":[],\"attrs\":{},\"name\":\"n2\",\"f\":2}\n"                            \
	"!4114 tags | column 'tags': null (utf8) into ARRAY<STRING>: lists and maps "    \
	"cannot hold null | {\"id\":3,\"ts\":4000000,\"u\":3,\"tags\":[\"x\",null],"     \
	"\"attrs\":{},\"name\":\"n3\",\"f\":3}\n"                                        \
	"!4114 attrs | column 'attrs.value': null (int32) into INT: lists and maps "     \
	"cannot hold null | {\"id\":4,\"ts\":5000000,\"u\":4,\"tags\":[],"               \
	"\"attrs\":{\"p\":1,\"q\":null},\"name\":\"n4\",\"f\":4}\n"                      \
	"!4111 name | column 'name': null (utf8) into STRING: the column does not take " \
	"null | {\"id\":5,\"ts\":6000000,\"u\":5,\"tags\":[],\"attrs\":{},\"f\":5}\n"

Test(zb_convert, rows_that_fail)
{
	struct zk_zb_rows_conf conf = { 0 };
	struct zk_buf bytes;

	load("row_errors.arrows", &bytes);
	expect("row_errors.arrows", zk_buf_str(&bytes), &conf,
	       "schema\n080010c0843d18002201612a050a016b100132026e30390000000000000000"
	       "\n" BAD_ROWS "08061080adaf8080808080800118ffffffffffffffff7f22017922017a2"
	       "a040a0010003202"
	       "6e36390000000000001840\n"
	       "08071080a4e803180732026e3739000000000000f87f\n");
	conf.record_type = ZK_ZB_JSON;
	expect("row_errors.arrows", zk_buf_str(&bytes), &conf,
	       "schema\n{\"id\":0,\"ts\":1000000,\"u\":0,\"tags\":[\"a\"],\"attrs\":{"
	       "\"k\":1},"
	       "\"name\":\"n0\",\"f\":0}\n" BAD_ROWS
	       "{\"id\":6,\"ts\":-9223372036854000000,\"u\":9223372036854775807,\"tags\":"
	       "[\"y\",\"z\"],\"attrs\":{\"\":0},\"name\":\"n6\",\"f\":6}\n"
	       "!4115 f | column 'f': NaN (float64) into DOUBLE: it has no JSON form | "
	       "{\"id\":7,\"ts\":8000000,\"u\":7,\"tags\":[],\"attrs\":{},\"name\":"
	       "\"n7\","
	       "\"f\":\"NaN\"}\n");
	zk_buf_done(&bytes);
}

/* One bad text in a batch: that row only; its bytes stay as base64. */
Test(zb_convert, text_that_is_not_utf8)
{
	static const char *const files[] = { "bad/utf8_invalid.arrows",
		                             "bad/utf8_surrogate.arrows" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(files); i++) {
		struct zk_zb_rows_conf conf = { 0 };
		struct zk_buf bytes, out;

		load(files[i], &bytes);
		zk_buf_init(&out, 1 << 16);
		run(files[i], zk_buf_str(&bytes), &conf, &out);
		cr_expect(zk_str_find(zk_buf_str(&out), ZK_STR("!4113 name |")) > 0, "%s",
		          zk_buf_cstring(&out));
		cr_expect(zk_str_find(zk_buf_str(&out), ZK_STR("[\"name\"]")) > 0, "%s",
		          zk_buf_cstring(&out));
		zk_buf_done(&out);
		zk_buf_done(&bytes);
	}
}

Test(zb_convert, dictionary_indexes_outside)
{
	static const struct {
		const char *file;
		size_t bad;
	} cases[] = { { "bad/dict_index_high.arrows", 2 },
		      { "bad/dict_index_negative.arrows", 1 } };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_zb_rows_conf conf = { 0 };
		struct zk_buf bytes, out;
		zk_str rest, line;

		load(cases[i].file, &bytes);
		zk_buf_init(&out, 1 << 16);
		run(cases[i].file, zk_buf_str(&bytes), &conf, &out);
		rest = zk_str_cut(zk_buf_str(&out), '\n', &line);
		for (size_t row = 0; row < 3; row++) {
			rest = zk_str_cut(rest, '\n', &line);
			cr_expect_eq(zk_str_starts(line, ZK_STR("!4116")),
			             row == cases[i].bad, "%s row %zu: %.*s",
			             cases[i].file, row, ZK_STR_ARG(line));
		}
		cr_expect_eq(rest.n, 0u);
		zk_buf_done(&out);
		zk_buf_done(&bytes);
	}
}

static const struct {
	const char *type, *value; /* JSON */
	bool coerce;
	const char *want; /* protobuf in hex, or the beginning of the error */
} values[] = {
	{ "boolean", "true", false, "0801" },
	{ "boolean", "1", false, "!4118" },
	{ "boolean", "\"T\"", true, "0801" },
	{ "boolean", "\"yes\"", true, "!4118" },
	{ "tinyint", "-128", false, "0880ffffffffffffffff01" },
	{ "tinyint", "128", false, "!4112" },
	{ "smallint", "32768", false, "!4112" },
	{ "int", "2147483647", false, "08ffffffff07" },
	{ "int", "2147483648", false, "!4112" },
	{ "int", "1.0", false, "!4118" },
	{ "int", "1e3", false, "!4118" },
	{ "int", "\"5\"", false, "!4118" },
	{ "int", "\"5\"", true, "0805" },
	{ "bigint", "9007199254740993", false,
	  "08818080808080801"
	  "0" },
	{ "bigint", "9223372036854775807", false, "08ffffffffffffffff7f" },
	{ "bigint", "-9223372036854775808", false, "0880808080808080808001" },
	{ "bigint", "9223372036854775808", false, "!4112" },
	{ "bigint", "99999999999999999999999", false, "!4112" },
	{ "float", "1.5", false, "0d0000c03f" },
	{ "float", "\"NaN\"", false, "0d0000c07f" },
	{ "float", "1e39", false, "!4112" },
	{ "double", "\"-Infinity\"", false, "09000000000000f0ff" },
	{ "double", "0.1", false, "099a9999999999b93f" },
	{ "double", "\"0.1\"", false, "!4118" },
	{ "double", "\"0.1\"", true, "099a9999999999b93f" },
	{ "decimal(5,2)", "\"123.45\"", false, "0a063132332e3435" },
	{ "decimal(5,2)", "123.450", false, "0a063132332e3435" },
	{ "decimal(5,2)", "123.456", false, "!4112" },
	{ "decimal(5,2)", "1234", false, "!4112" },
	{ "decimal(5,2)", "\"1e2\"", false, "!4118" },
	{ "decimal(38,0)", "99999999999999999999999999999999999999", false,
	  "0a2639393939393939393939393939393939393939393939393939393939393939393939393939"
	  "39" },
	{ "string", "\"\\u00e9\\n\"", false, "0a03c3a90a" },
	{ "string", "5", false, "!4118" },
	{ "string", "5.50", true, "0a04352e3530" },
	{ "string", "\"\\ud800\"", false, "!4113" },
	{ "varchar(2)", "\"\xc3\xa9\xc3\xa9\"", false, "0a04c3a9c3a9" },
	{ "varchar(2)", "\"abc\"", false, "!4118" },
	{ "binary", "\"AP8=\"", false, "0a0200ff" },
	{ "binary", "\"AP8\"", false, "0a0200ff" },
	{ "binary", "\"_-8\"", false, "0a02ffef" },
	{ "binary", "\"A\"", false, "!4118" },
	{ "date", "\"1969-12-31\"", false, "08ffffffffffffffffff01" },
	{ "date", "\"2024-02-30\"", false, "!4118" },
	{ "date", "19723", false, "088b9a01" },
	{ "timestamp", "\"2024-01-01T01:00:00.1234567+01:00\"", false,
	  "08c0848c81f1ba8303" },
	{ "timestamp", "\"2024-01-01T00:00:00\"", false, "!4118" },
	{ "timestamp", "\"2024-01-01 00:00:00\"", true, "0880c08481f1ba8303" },
	{ "timestamp_ntz", "\"2024-01-01T00:00:00\"", false, "0880c08481f1ba8303" },
	{ "timestamp_ntz", "\"2024-01-01T00:00:00Z\"", false, "!4118" },
	{ "variant", "{\"a\": [1]}", false, "0a0a7b2261223a205b315d7d" },
	{ "array<int>", "[1,2]", false, "08010802" },
	{ "array<int>", "[]", false, "" },
	{ "array<int>", "[1,null]", false, "!4114" },
	{ "array<int>", "5", false, "!4118" },
	{ "map<int,string>", "{\"5\":\"x\"}", false,
	  "0a0508051201"
	  "78" },
	{ "map<int,string>", "{\"x\":\"x\"}", false, "!4118" },
	{ "map<string,string>", "{\"x\":null}", false, "!4114" },
	{ "struct<a:int,b:array<struct<c:int>>>", "{\"a\":1,\"b\":[{\"c\":2},{}]}", false,
	  "0a0808011202080212"
	  "00" },
	{ "struct<a:int>", "{}", false, "0a00" },
	{ "struct<a:int>", "{\"z\":1}", false, "!4102" },
	{ "struct<a:int>", "{\"a\":1,\"a\":2}", false, "!4117" },
	{ "int", "null", false, "" },
};

Test(zb_convert, values_of_json)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(values); i++) {
		char *column = zk_asprintf("{\"name\":\"c\",\"type_text\":\"%s\"}",
		                           values[i].type);
		char *line = zk_asprintf("{\"c\":%s}\n", values[i].value);
		struct zk_zb_schema *s = table(column);
		struct zk_zb_rows_conf conf = { .schema = s, .coerce = values[i].coerce };
		struct zk_buf out;
		zk_str row;

		zk_buf_init(&out, 1 << 16);
		run("v.ndjson", zk_str_of(line), &conf, &out);
		row = zk_str_from(zk_buf_str(&out), strlen("schema\n"));
		(void)zk_str_cut(row, '\n', &row);
		if (values[i].want[0] == '!')
			row.n = ZK_MIN(row.n, strlen(values[i].want));
		cr_expect(zk_str_eq(row, zk_str_of(values[i].want)), "%s %s: %s want %s",
		          values[i].type, values[i].value, zk_buf_cstring(&out),
		          values[i].want);
		zk_buf_done(&out);
		zk_zb_schema_free(s);
		free(column);
		free(line);
	}
}

/* The user's bytes stay as they are; with --coerce only what has to change does. */
Test(zb_convert, json_records_with_a_schema)
{
	struct zk_zb_schema *s = table(AIR);
	struct zk_zb_rows_conf conf = { .schema = s, .record_type = ZK_ZB_JSON };

	expect("a.ndjson",
	       ZK_STR(" { \"temp\" : 5.0e0 } \n{ \"humidity\" : 9007199254740993 }\n"),
	       &conf,
	       "schema\n!4118 temp | column 'temp': '5.0e0' into INT: not a whole number "
	       "| "
	       " { \"temp\" : 5.0e0 } \n{ \"humidity\" : 9007199254740993 }\n");
	conf.coerce = true;
	expect("a.ndjson",
	       ZK_STR("{\"device_name\": 7 ,\"temp\":\"-5\", \"humidity\": 1}\n{ "
	              "\"temp\" : 1}\n"),
	       &conf,
	       "schema\n{\"device_name\": \"7\" ,\"temp\":-5, \"humidity\": 1}\n{ "
	       "\"temp\" : 1}\n");
	zk_zb_schema_free(s);
}

Test(zb_convert, nulls_inside_lists_may_be_left_out)
{
	struct zk_zb_rows_conf conf = { .null_elements = ZK_ZB_NULL_DROP };
	struct zk_buf bytes, out;

	load("row_errors.arrows", &bytes);
	zk_buf_init(&out, 1 << 16);
	run("row_errors.arrows", zk_buf_str(&bytes), &conf, &out);
	cr_expect(zk_str_find(zk_buf_str(&out), ZK_STR("!4114")) < 0, "%s",
	          zk_buf_cstring(&out));
	zk_buf_clear(&out);
	conf.record_type = ZK_ZB_JSON;
	run("row_errors.arrows", zk_buf_str(&bytes), &conf, &out);
	cr_expect(zk_str_find(zk_buf_str(&out), ZK_STR("\"tags\":[\"x\"]")) > 0);
	cr_expect(zk_str_find(zk_buf_str(&out), ZK_STR("\"attrs\":{\"p\":1}")) > 0);
	zk_buf_done(&out);
	zk_buf_done(&bytes);
}

Test(zb_convert, csv_errors)
{
	struct zk_zb_schema *s = table(AIR);
	struct zk_zb_rows_conf conf = { .schema = s };

	expect("a.csv",
	       ZK_STR("device_name,temp\na,1,2\nb,x\n\"c\"d,1\n\xff,1\n\"NULL\",NULL\n"),
	       &conf,
	       "schema\n"
	       "!4118  | the record has 3 cells, the header 2 | "
	       "{\"device_name\":\"a\",\"temp\":\"1\"}\n"
	       "!4118 temp | column 'temp': 'x' into INT: not a whole number | "
	       "{\"device_name\":\"b\",\"temp\":\"x\"}\n"
	       "!4118  | text behind a closing quote | {}\n"
	       "!4113 device_name | column 'device_name': not valid UTF-8 | "
	       "{\"device_name\":\"/w==\",\"temp\":\"1\"} [\"device_name\"]\n"
	       "!4118 temp | column 'temp': 'NULL' into INT: not a whole number | "
	       "{\"device_name\":\"NULL\",\"temp\":\"NULL\"}\n");
	conf.csv_null = "NULL";
	expect("a.csv", ZK_STR("device_name,temp\n\"NULL\",NULL\n"), &conf,
	       "schema\n0a044e554c4c\n");
	expect("a.csv", ZK_STR("device_name,other\n1,2\n"), &conf,
	       "error 4102 a.csv: columns that the table does not have: 'other'\n");
	expect("a.csv", ZK_STR("temp,TEMP\n1,2\n"), &conf,
	       "error 4105 a.csv: the header row has 'TEMP' twice\n");
	expect("a.csv", ZK_STR(""), &conf, "");
	conf.record_type = ZK_ZB_JSON;
	expect("a.csv", ZK_STR("temp,device_name\n-5,\"a\"\"b\"\n"), &conf,
	       "schema\n{\"device_name\":\"a\\\"b\",\"temp\":-5}\n");
	zk_zb_schema_free(s);
}

Test(zb_convert, formats_are_told_apart)
{
	struct zk_zb_rows_conf conf = { 0 };
	struct zk_buf bytes, out;

	expect("-", ZK_STR(""), &conf, "schema\n");
	expect("-", ZK_STR("\xef\xbb\xbf \n{\"a\":1}"), &conf, "schema\n{\"a\":1}\n");
	expect("x.arrows", ZK_STR(""), &conf, "error 4150 x.arrows: the file is empty\n");
	expect("-", ZK_STR("[{\"a\":1}]"), &conf,
	       "error 4150 -: this looks like a JSON array\n");
	expect("-", ZK_STR("PAR1\x15\x04\x15\x10"), &conf,
	       "error 4150 -: this looks like a Parquet file\n");
	expect("-", ZK_STR("\x1f\x8b\x08\0\0\0\0\0"), &conf,
	       "error 4150 -: this looks like gzip\n");
	expect("-", ZK_STR("a,b\n1,2\n"), &conf,
	       "error 4150 -: this looks like text, not like rows\n");
	load("legacy.arrows", &bytes);
	zk_buf_init(&out, 1 << 16);
	run("-", zk_buf_str(&bytes), &conf, &out);
	cr_expect(zk_str_starts(zk_buf_str(&out), ZK_STR("schema\n08011203")), "%s",
	          zk_buf_cstring(&out));
	zk_buf_done(&out);
	zk_buf_done(&bytes);
}
