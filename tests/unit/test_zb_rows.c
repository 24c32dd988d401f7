/* Sources, kinds of streams, and NDJSON rows that are passed on as they stand
 * (specs/zerobus.md §11.3, §12.2).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "zerobus/rows.h"
#include "zerobus/source.h"

#include "base/ban.h"

/* Everything that a reader gives, one word each. */
static void run(zk_str in, size_t chunk, struct zk_buf *out)
{
	struct zk_zb_source *src = zk_zb_memory_source("in", in, chunk);
	struct zk_zb_rows_conf conf = { .source = src,
		                        .format = ZK_ZB_FROM_NDJSON,
		                        .message = "t" };
	struct zk_error err = { 0 };
	struct zk_zb_rows *rows;
	struct zk_zb_row row;
	int got;

	cr_assert_eq(zk_zb_rows_open(&conf, &rows, &err), 0, "%s", err.msg);
	while ((got = zk_zb_rows_next(rows, &row, &err)) > ZK_ZB_END)
		switch ((enum zk_zb_got)got) {
		case ZK_ZB_SCHEMA:
			zk_buf_printf(out, "schema %s|", row.kind->fingerprint);
			break;
		case ZK_ZB_ROW:
			zk_buf_printf(out, "%llu:%llu:%.*s|", (unsigned long long)row.row,
			              (unsigned long long)row.line,
			              ZK_STR_ARG(row.payload));
			break;
		case ZK_ZB_BAD_ROW:
			zk_buf_printf(
			        out, "%llu:%llu!%d %s|", (unsigned long long)row.row,
			        (unsigned long long)row.line, (int)err.code, err.where);
			break;
		case ZK_ZB_END:
			break;
		}
	cr_assert_eq(got, ZK_ZB_END);
	zk_zb_rows_close(rows);
	zk_zb_memory_source_free(src);
}

Test(zb_rows, json_lines_are_passed_on_unchanged_whatever_the_chunks)
{
	static const zk_str in =
	        ZK_STR_INIT("\xef\xbb\xbf{\"n\": 9007199254740993}\n\n  {\"a\":[]} \r\n"
	                    "[1]\n{\"x\":\"\xff\"}\n{\"y\"\n{}");
	static const char want[] =
	        "schema json|0:1:{\"n\": 9007199254740993}|1:3:{\"a\":[]}|2:4!4117 in:4|"
	        "3:5!4113 in:5|4:6!4117 in:6|5:7:{}|";

	for (size_t chunk = 0; chunk <= in.n; chunk++) {
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		run(in, chunk, &b);
		cr_assert_str_eq(zk_buf_cstring(&b), want, "chunk %zu", chunk);
		zk_buf_done(&b);
	}
}

Test(zb_rows, an_empty_input_has_no_rows)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	run(ZK_STR_NULL, 0, &b);
	cr_assert_str_eq(zk_buf_cstring(&b), "schema json|");
	zk_buf_done(&b);
}

Test(zb_kind, the_fingerprint_identifies_the_descriptor)
{
	struct zk_zb_kind *a = zk_zb_kind_new(ZK_ZB_PROTO, ZK_STR("abc"));
	struct zk_zb_kind *b = zk_zb_kind_new(ZK_ZB_PROTO, ZK_STR("abc"));
	struct zk_zb_kind *c = zk_zb_kind_new(ZK_ZB_PROTO, ZK_STR("abd"));

	cr_expect_str_eq(a->fingerprint, "ba7816bf");
	cr_expect(zk_zb_kind_same(a, b));
	cr_expect_not(zk_zb_kind_same(a, c));
	zk_zb_kind_unref(zk_zb_kind_ref(a));
	zk_zb_kind_unref(a);
	zk_zb_kind_unref(b);
	zk_zb_kind_unref(c);
}

/* ---- descriptors ---- */

struct waiter {
	struct zk_zb_source *src;
	unsigned waits;
};

static int64_t on_wait(void *ctx)
{
	struct waiter *w = ctx;

	/* The first answer asks to be called again at once; then the stop comes. */
	if (++w->waits == 2)
		zk_zb_fd_source_stop(w->src, /* drain */ true);
	return w->waits == 1 ? 1 : -1;
}

Test(zb_source, a_stop_ends_a_read_that_waits_but_what_is_there_is_given)
{
	struct zk_error err = { 0 };
	struct waiter w = { 0 };
	char path[32], b[8];
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	struct zk_zb_fd_source_conf conf = { .path = path,
		                             .ctx = &w,
		                             .on_wait = on_wait };
	cr_assert_eq(zk_zb_fd_source_open(&conf, &w.src, &err), 0, "%s", err.msg);
	cr_assert_not(w.src->seekable);
	cr_assert_eq(write(fds[1], "ab", 2), 2);
	cr_expect_eq(w.src->read(w.src, b, sizeof(b), &err), 2);
	cr_expect_eq(w.waits, 0u, "nothing had to be waited for");
	cr_expect_eq(w.src->read(w.src, b, sizeof(b), &err), 0);
	cr_expect_eq(w.waits, 2u);
	cr_assert_eq(write(fds[1], "cd", 2), 2);
	cr_expect_eq(w.src->read(w.src, b, sizeof(b), &err), 2, "drained");
	cr_expect_eq(w.src->read(w.src, b, sizeof(b), &err), 0);
	zk_zb_fd_source_stop(w.src, /* drain */ false);
	cr_assert_eq(write(fds[1], "ef", 2), 2);
	cr_expect_eq(w.src->read(w.src, b, sizeof(b), &err), 0, "stopped for good");
	zk_zb_fd_source_close(w.src);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

Test(zb_source, folders_and_missing_files_are_refused)
{
	struct zk_zb_fd_source_conf conf = { .path = "/" };
	struct zk_zb_source *src;
	struct zk_error err = { 0 };

	cr_expect_eq(zk_zb_fd_source_open(&conf, &src, &err), -ZK_E_NO_INPUT);
	conf.path = "/nonexistent/x";
	cr_expect_eq(zk_zb_fd_source_open(&conf, &src, &err), -ZK_E_NO_INPUT);
}
