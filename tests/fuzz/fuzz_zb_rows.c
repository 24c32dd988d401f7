/* Fuzz target: rows of any input (Arrow, CSV, NDJSON) under a schema of all types: a row is either
 * a payload that its own descriptor decodes, or an error that says something.
 * The first byte chooses format, record type and options.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "codec/jscan.h"
#include "zerobus/decode.h"
#include "zerobus/rows.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char table[] =
        "{\"columns\":[{\"name\":\"id\",\"type_text\":\"bigint\"},"
        "{\"name\":\"b\",\"type_text\":\"boolean\"},{\"name\":\"i\",\"type_text\":"
        "\"int\"},"
        "{\"name\":\"f\",\"type_text\":\"float\"},{\"name\":\"d\",\"type_text\":"
        "\"double\"},"
        "{\"name\":\"m\",\"type_text\":\"decimal(10,2)\"},"
        "{\"name\":\"name\",\"type_text\":\"string\"},"
        "{\"name\":\"v\",\"type_text\":\"varchar(4)\"},"
        "{\"name\":\"y\",\"type_text\":\"binary\"},{\"name\":\"day\",\"type_text\":"
        "\"date\"},"
        "{\"name\":\"ts\",\"type_text\":\"timestamp\"},"
        "{\"name\":\"n\",\"type_text\":\"timestamp_ntz\"},"
        "{\"name\":\"x\",\"type_text\":\"variant\"},"
        "{\"name\":\"tags\",\"type_text\":\"array<string>\"},"
        "{\"name\":\"s\",\"type_text\":\"struct<a:int,l:array<struct<c:int>>>\"},"
        "{\"name\":\"attrs\",\"type_text\":\"map<string,int>\"},"
        "{\"name\":\"ms\",\"type_text\":\"map<int,struct<q:string>>\"}]}";

static void check_row(const struct zk_zb_schema *schema, const struct zk_zb_row *row)
{
	struct zk_buf b;
	struct zk_error err;
	struct zk_jscan js;

	zk_buf_init(&b, (size_t)256 << 20);
	if (row->kind->type == ZK_ZB_JSON) {
		ZK_ASSERT(zk_jscan(row->payload, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0);
		ZK_ASSERT(js.top.type == ZK_J_OBJECT);
	} else if (schema) {
		ZK_ASSERT(zk_zb_decode_row(schema, row->payload, true, &b, &err) == 0);
	} else {
		ZK_ASSERT(zk_zb_decode_row(NULL, row->payload, false, &b, &err) == 0);
	}
	zk_buf_done(&b);
}

static void run(struct zk_zb_rows_conf *conf)
{
	struct zk_error err = { 0 };
	struct zk_zb_rows *rows;
	struct zk_zb_row row;
	unsigned n = 0;
	int got;

	if (zk_zb_rows_open(conf, &rows, &err) < 0)
		return;
	while ((got = zk_zb_rows_next(rows, &row, &err)) > ZK_ZB_END && n++ < 20000) {
		if (got == ZK_ZB_ROW)
			check_row(conf->schema, &row);
		else if (got == ZK_ZB_BAD_ROW)
			ZK_ASSERT(err.msg[0] && err.where[0]);
	}
	zk_zb_rows_close(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum zk_zb_format formats[] = { ZK_ZB_FROM_AUTO, ZK_ZB_FROM_NDJSON,
		                                     ZK_ZB_FROM_CSV, ZK_ZB_FROM_ARROW };
	struct zk_zb_schema_conf sc = { .message = "row" };
	struct zk_zb_schema *schema = NULL;
	struct zk_zb_rows_conf conf = { .message = "row", .arrow_max_body = 1 << 20 };
	struct zk_error err;

	if (size < 1)
		return 0;
	conf.format = formats[data[0] & 3];
	conf.record_type = data[0] & 4 ? ZK_ZB_JSON : ZK_ZB_RECORD_AUTO;
	conf.coerce = data[0] & 8;
	conf.drop_unknown = data[0] & 16;
	conf.null_elements = data[0] & 32 ? ZK_ZB_NULL_DROP : ZK_ZB_NULL_REJECT;
	conf.time_as = data[0] & 32 ? ZK_ZB_TIME_STRING : ZK_ZB_TIME_MICROS;
	if (!(data[0] & 64)) {
		ZK_ASSERT(zk_zb_schema_of_table(zk_str_of(table), &sc, &schema, &err) ==
		          0);
		conf.schema = schema;
	}
	conf.source = zk_zb_memory_source("f", zk_str_n((const char *)data + 1, size - 1),
	                                  data[0] & 128 ? 7 : 0);
	run(&conf);
	zk_zb_memory_source_free(conf.source);
	zk_zb_schema_free(schema);
	return 0;
}
