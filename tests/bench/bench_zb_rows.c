/* Conversion alone: Arrow to protobuf, ten scalar columns with text that is checked to be UTF-8,
 * one thread, everything in memory (specs/zerobus.md §20, goal 7).
 *	bench_zb_rows FILE.arrows [ROUNDS] [json]
 * FILE comes from zb_rows.py. Prints rows and payload bytes per second of CPU.
 * Layer: tests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "zerobus/rows.h"
#include "zerobus/source.h"

#include "base/ban.h"

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int convert(zk_str bytes, enum zk_zb_record_type type, uint64_t *rows,
                   uint64_t *payload)
{
	struct zk_zb_rows_conf conf = { .message = "row", .record_type = type };
	struct zk_error err = { 0 };
	struct zk_zb_rows *r;
	struct zk_zb_row row;
	int got = -1;

	conf.source = zk_zb_memory_source("bench", bytes, 0);
	if (zk_zb_rows_open(&conf, &r, &err) == 0) {
		while ((got = zk_zb_rows_next(r, &row, &err)) > ZK_ZB_END) {
			*rows += got == ZK_ZB_ROW;
			*payload += row.payload.n;
		}
		zk_zb_rows_close(r);
	}
	zk_zb_memory_source_free(conf.source);
	if (got < 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	return got;
}

int main(int argc, char **argv)
{
	bool json = argc > 3 && strcmp(argv[3], "json") == 0;
	uint64_t rows = 0, payload = 0;
	unsigned rounds = 5;
	char piece[65536];
	struct zk_buf b;
	size_t n;
	FILE *f = argc > 1 ? fopen(argv[1], "re") : NULL;

	if (!f || (argc > 2 && sscanf(argv[2], "%u", &rounds) != 1))
		return 64;
	zk_buf_init(&b, (size_t)2 << 30);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		zk_buf_put(&b, piece, n);
	(void)fclose(f);
	double from = cpu_s();

	for (unsigned i = 0; i < rounds; i++)
		if (convert(zk_buf_str(&b), json ? ZK_ZB_JSON : ZK_ZB_PROTO, &rows,
		            &payload) < 0)
			return 1;
	double took = cpu_s() - from;

	printf("%" PRIu64
	       " rows, %.1f bytes each: %.2f million rows/s, %.0f MB/s of payload, "
	       "%.0f MB/s of input, per CPU second\n",
	       rows, (double)payload / (double)rows, (double)rows / took / 1e6,
	       (double)payload / took / 1e6, (double)b.n * rounds / took / 1e6);
	zk_buf_done(&b);
	return 0;
}
