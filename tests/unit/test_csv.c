/* Records of comma-separated values in every chunking.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/csv.h"

#include "base/ban.h"

/* Cells as text: quoted ones in brackets, records on lines of their own, with their line. */
static const struct {
	const char *in, *out;
} cases[] = {
	{ "", "" },
	{ "a,b\n", "1:a|b\n" },
	{ "a,b", "1:a|b\n" },
	{ "a,b\r\n1,2\r\n", "1:a|b\n2:1|2\n" },
	{ "a\r1\r", "1:a\n2:1\n" },
	{ "\n\na\n\n\nb\n", "3:a\n6:b\n" },
	{ "\xef\xbb\xbf"
	  "a,b\n",
	  "1:a|b\n" },
	{ "\xef\xbb"
	  "a\n",
	  "1:\xef\xbb"
	  "a\n" },
	{ "\xef\xbb", "1:\xef\xbb\n" },
	{ ",\n", "1:|\n" },
	{ ",,x\n", "1:||x\n" },
	{ "\"\",\n", "1:[]|\n" },
	{ "\"a,b\",\"c\"\"d\"\n", "1:[a,b]|[c\"d]\n" },
	{ "\"x\ny\",2\nz\n", "1:[x\ny]|2\n3:z\n" },
	{ "\"x\r\ny\",2\r\nz\r\n", "1:[x\r\ny]|2\n3:z\n" },
	{ "\"a\"b,c\nd,e\n", "1:!text behind a closing quote\n2:d|e\n" },
	{ "a\"b,c\nd,e\n",
	  "1:!a quote inside a cell that does not begin with one\n2:d|e\n" },
	{ "\"a\n\nb", "1:!a quoted cell is not closed\n" },
	{ "a,b,c,d,e\nf\n", "1:!the record has too many cells\n2:f\n" },
	{ "0123456789012345678901234567890123456789x\nf\n",
	  "1:!the record is too long\n2:f\n" },
	{ "a b , c\t\n", "1:a b | c\t\n" },
};

static void put_record(const struct zk_csv_record *r, struct zk_buf *out)
{
	zk_buf_printf(out, "%u:", (unsigned)r->line);
	if (r->bad) {
		zk_buf_printf(out, "!%s\n", r->bad);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct zk_csv_cell *c = &r->cells[i];

		zk_buf_printf(out, "%s%s%.*s%s", i ? "|" : "", c->quoted ? "[" : "",
		              ZK_STR_ARG(c->text), c->quoted ? "]" : "");
	}
	zk_buf_char(out, '\n');
}

static void check(size_t i, size_t step)
{
	zk_str rest = zk_str_of(cases[i].in);
	struct zk_csv_record rec;
	struct zk_buf out;
	struct zk_csv c;

	zk_buf_init(&out, 4096);
	zk_csv_init(&c, ',', 40, 4);
	while (rest.n) {
		size_t n = ZK_MIN(step, rest.n);
		char *copy = zk_strndup(rest.p, n);
		zk_str chunk = zk_str_n(copy, n);

		while (zk_csv_next(&c, &chunk, &rec))
			put_record(&rec, &out);
		cr_expect_eq(chunk.n, 0u);
		free(copy);
		rest = zk_str_from(rest, n);
	}
	if (zk_csv_last(&c, &rec))
		put_record(&rec, &out);
	cr_expect_not(zk_csv_last(&c, &rec));
	cr_expect_str_eq(zk_buf_cstring(&out), cases[i].out, "case %zu, step %zu", i,
	                 step);
	zk_buf_done(&out);
	zk_csv_done(&c);
}

Test(csv, every_chunking)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		for (size_t step = 1; step < 60; step++)
			check(i, step);
}

Test(csv, other_delimiters)
{
	struct zk_csv_record rec;
	struct zk_csv c;
	zk_str chunk = ZK_STR("a;b,c\n");

	zk_csv_init(&c, ';', 100, 10);
	cr_assert(zk_csv_next(&c, &chunk, &rec));
	cr_expect_eq(rec.n, 2u);
	cr_expect(zk_str_eq(rec.cells[1].text, ZK_STR("b,c")));
	zk_csv_done(&c);
}
