/* Fuzz target: rejects files and exported spools, which people edit: every line is a row, a bad row
 * that says why, or ends the file with an error that names its place.
 * Layer: tests. */
#include <stdint.h>

#include "base/mem.h"
#include "codec/ini.h"
#include "zerobus/rows.h"
#include "zerobus/source.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ini(zk_str text)
{
	struct zk_ini i = { .rest = text };
	struct zk_error err = { 0 };
	zk_str key, value;
	int r;

	while ((r = zk_ini_next(&i, &key, &value, &err)) > 0)
		ZK_ASSERT(key.n && key.n + value.n <= text.n);
	ZK_ASSERT(r == 0 || err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_zb_rows_conf conf = { .format = ZK_ZB_FROM_REPLAY,
		                        .message = "row",
		                        .coerce = size % 2,
		                        .only_code = size % 7 ? NULL : "ZK4120" };
	struct zk_error err = { 0 };
	struct zk_zb_rows *rows;
	struct zk_zb_row row;
	unsigned n = 0;
	int got;

	read_ini(zk_str_n((const char *)data, size));
	conf.source = zk_zb_memory_source("f", zk_str_n((const char *)data, size), 7);
	ZK_ASSERT(zk_zb_rows_open(&conf, &rows, &err) == 0);
	while ((got = zk_zb_rows_next(rows, &row, &err)) > ZK_ZB_END && n++ < 10000) {
		ZK_ASSERT(row.kind);
		if (got == ZK_ZB_BAD_ROW)
			ZK_ASSERT(err.msg[0] && err.where[0]);
	}
	if (got < 0)
		ZK_ASSERT(err.msg[0] && err.where[0]);
	zk_zb_rows_close(rows);
	zk_zb_memory_source_free(conf.source);
	return 0;
}
