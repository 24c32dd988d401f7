/* Fuzz target: the line splitter gives the same lines for every chunking, each of them a piece of
 * the input at the place it names. The first byte is the limit of a line.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/ndjson.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	zk_str in;
	size_t max;
	uint64_t number; /* of the last line */
	struct zk_buf *out;
};

static void line_holds(struct run *run, const struct zk_ndjson_line *line)
{
	zk_str text = line->text;

	ZK_ASSERT(text.n <= run->max && (!line->too_long || text.n == run->max));
	ZK_ASSERT(line->offset <= run->in.n && text.n <= run->in.n - line->offset);
	ZK_ASSERT(zk_str_eq(text, zk_str_n(run->in.p + line->offset, text.n)));
	ZK_ASSERT(zk_str_find_char(text, '\n') < 0);
	ZK_ASSERT(line->too_long || zk_str_trim(text).n > 0);
	ZK_ASSERT(line->number > run->number);
	run->number = line->number;
	zk_buf_printf(run->out, "%llu %llu %zu %d;", (unsigned long long)line->number,
	              (unsigned long long)line->offset, text.n, line->too_long);
}

static void split(struct run *run, size_t step)
{
	struct zk_ndjson_line line;
	struct zk_ndjson s;

	run->number = 0;
	zk_buf_clear(run->out);
	zk_ndjson_init(&s, run->max);
	for (size_t at = 0; at < run->in.n; at += step) {
		size_t n = ZK_MIN(step, run->in.n - at);
		char *copy = zk_alloc(n); /* a slice that outlives it is seen */
		zk_str piece = zk_str_n(copy, n);

		memcpy(copy, run->in.p + at, n);
		while (zk_ndjson_next(&s, &piece, &line))
			line_holds(run, &line);
		ZK_ASSERT(piece.n == 0 && s.part.n <= run->max + 8);
		free(copy);
	}
	if (zk_ndjson_last(&s, &line))
		line_holds(run, &line);
	zk_ndjson_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 3, 5, 16, 61 };
	struct zk_buf whole, part;
	struct run run;

	if (size < 1)
		return 0;
	zk_buf_init(&whole, SIZE_MAX);
	zk_buf_init(&part, SIZE_MAX);
	run = (struct run){ .in = zk_str_n((const char *)data + 1, size - 1),
		            .max = data[0] };
	run.out = &whole;
	split(&run, size);
	run.out = &part;
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		split(&run, steps[i]);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	}
	zk_buf_done(&whole);
	zk_buf_done(&part);
	return 0;
}
