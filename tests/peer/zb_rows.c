/* Converts an input to rows: payloads to stdout, each with its length as varint in front (JSON
 * records: a line each), what was rejected to stderr as "ROW CODE COLUMN MESSAGE".
 *	zb_rows FILE proto|json error|string|micros [SCHEMA]
 * Layer: tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/pb.h"
#include "zerobus/rows.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

static void put(const struct zk_zb_row *row)
{
	char prefix[ZK_PB_VARINT_MAX];
	char *end = zk_pb_write_varint(prefix, row->payload.n);

	if (row->kind->type == ZK_ZB_PROTO)
		(void)fwrite(prefix, 1, (size_t)(end - prefix), stdout);
	if (row->payload.n)
		(void)fwrite(row->payload.p, 1, row->payload.n, stdout);
	if (row->kind->type == ZK_ZB_JSON)
		(void)putchar('\n');
}

static int run(struct zk_zb_rows_conf *conf, struct zk_error *err)
{
	struct zk_zb_rows *rows;
	struct zk_zb_row row;
	int got;

	if (zk_zb_rows_open(conf, &rows, err) < 0)
		return -1;
	while ((got = zk_zb_rows_next(rows, &row, err)) > ZK_ZB_END) {
		if (got == ZK_ZB_ROW)
			put(&row);
		else if (got == ZK_ZB_BAD_ROW)
			(void)fprintf(stderr, "%llu %d %.*s %s\n",
			              (unsigned long long)row.row, (int)err->code,
			              ZK_STR_ARG(row.column), err->msg);
	}
	zk_zb_rows_close(rows);
	return got;
}

int main(int argc, char **argv)
{
	struct zk_zb_fd_source_conf in = { .path = argc > 1 ? argv[1] : "-" };
	struct zk_zb_schema_conf sc = { .message = "row" };
	struct zk_zb_rows_conf conf = { .message = "row" };
	struct zk_zb_schema *schema = NULL;
	struct zk_zb_source *s;
	struct zk_error err = { 0 };
	int r = 0;

	if (argc < 4)
		return 64;
	conf.record_type = strcmp(argv[2], "json") == 0 ? ZK_ZB_JSON : ZK_ZB_PROTO;
	conf.time_as = strcmp(argv[3], "string") == 0   ? ZK_ZB_TIME_STRING
	               : strcmp(argv[3], "micros") == 0 ? ZK_ZB_TIME_MICROS
	                                                : ZK_ZB_TIME_ERROR;
	if (argc > 4) {
		struct zk_zb_fd_source_conf file = { .path = argv[4] };

		r = zk_zb_fd_source_open(&file, &s, &err);
		if (r == 0) {
			r = zk_zb_schema_of_source(s, &sc, &schema, &err);
			zk_zb_fd_source_close(s);
		}
		conf.schema = schema;
	}
	if (r == 0)
		r = zk_zb_fd_source_open(&in, &s, &err);
	if (r == 0) {
		conf.source = s;
		r = run(&conf, &err);
		zk_zb_fd_source_close(s);
	}
	zk_zb_schema_free(schema);
	if (r < 0)
		(void)fprintf(stderr, "ZK%d %s\n", (int)err.code, err.msg);
	return r < 0;
}
