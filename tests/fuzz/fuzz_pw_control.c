/* Fuzz target: control lines are the same for every chunking; $init of a hostile worker is
 * refused or gives a sound table.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "procwire/control.h"
#include "procwire/table.h"
#include "procwire/wire.h"

#include "base/ban.h"

#define LINE 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_init(zk_str params)
{
	struct zk_error err = { 0 };
	struct zk_pw_table t;
	struct zk_buf pipe;

	zk_pw_table_init(&t);
	zk_buf_init(&pipe, 4096);
	if (zk_pw_control_read_init(params, &pipe, &t, &err) == 0) {
		for (size_t i = 0; i < t.n_methods; i++) {
			const struct zk_pw_method *m = &t.methods[i];

			ZK_ASSERT(m->id >= 1 && m->id <= ZK_PW_ID_MAX);
			ZK_ASSERT(zk_pw_table_by_id(&t, m->id) == m);
			ZK_ASSERT(zk_pw_table_find(&t, zk_str_of(m->name)) == m);
		}
	}
	zk_pw_table_done(&t);
	zk_buf_done(&pipe);
}

static void split(zk_str in, size_t step, struct zk_buf *out)
{
	struct zk_pw_lines l;

	zk_buf_clear(out);
	zk_pw_lines_init(&l, LINE);
	for (size_t at = 0; at < in.n; at += step) {
		size_t n = ZK_MIN(step, in.n - at);
		char *copy = zk_alloc(n);
		zk_str piece = zk_str_n(copy, n), line, params;

		memcpy(copy, in.p + at, n);
		while (zk_pw_lines_next(&l, &piece, &line)) {
			enum zk_pw_control k = zk_pw_control_parse(line, &params);

			ZK_ASSERT(line.n <= LINE && zk_str_find_char(line, '\n') < 0);
			zk_buf_printf(out, "%d %zu;", k, line.n);
			if (step == in.n && k == ZK_PW_C_INIT)
				read_init(params);
		}
		ZK_ASSERT(piece.n == 0);
		free(copy);
	}
	zk_pw_lines_done(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 5, 64 };
	zk_str in = zk_str_n((const char *)data, size), params;
	struct zk_buf whole, part;

	if (!size)
		return 0;
	zk_buf_init(&whole, SIZE_MAX);
	zk_buf_init(&part, SIZE_MAX);
	split(in, size, &whole);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		split(in, steps[i], &part);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	}
	/* The whole input as one line, as long as it is. */
	if (zk_pw_control_parse(in, &params) == ZK_PW_C_INIT)
		read_init(params);
	zk_buf_done(&whole);
	zk_buf_done(&part);
	return 0;
}
