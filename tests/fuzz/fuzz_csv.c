/* Fuzz target: records of CSV are the same for every chunking.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "codec/csv.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const struct zk_csv_record *r, struct zk_buf *out)
{
	zk_buf_printf(out, "%llu %zu %s\n", (unsigned long long)r->line, r->n,
	              r->bad ? r->bad : "");
	for (size_t i = 0; i < r->n && !r->bad; i++) {
		zk_buf_printf(out, "%zu%c", r->cells[i].text.n,
		              r->cells[i].quoted ? '"' : ' ');
		zk_buf_add(out, r->cells[i].text);
	}
}

static void feed(zk_str in, size_t step, struct zk_buf *out)
{
	struct zk_csv_record rec;
	struct zk_csv c;

	zk_csv_init(&c, ',', 200, 20);
	while (in.n) {
		zk_str chunk = zk_str_n(in.p, ZK_MIN(step, in.n));

		in = zk_str_from(in, chunk.n);
		while (zk_csv_next(&c, &chunk, &rec))
			put(&rec, out);
		ZK_ASSERT(chunk.n == 0);
	}
	if (zk_csv_last(&c, &rec))
		put(&rec, out);
	zk_csv_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 7 };
	zk_str in = zk_str_n((const char *)data, size);
	struct zk_buf whole, part;

	zk_buf_init(&whole, (size_t)64 << 20);
	zk_buf_init(&part, (size_t)64 << 20);
	feed(in, SIZE_MAX, &whole);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		zk_buf_clear(&part);
		feed(in, steps[i], &part);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	}
	zk_buf_done(&whole);
	zk_buf_done(&part);
	return 0;
}
