/* `zk zerobus send --resume`: rows that a receipts file proves acknowledged.
 * Layer: cmd. specs/zerobus.md §1, §14.4; ux.md §8. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/zerobus_send.h"
#include "codec/jscan.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

/* Rows of one source, as ranges in ascending order. */
struct ranges {
	struct range {
		uint64_t from, to; /* to: one behind the last */
	} * v;
	size_t n, room;
	bool sorted;
};

struct load {
	struct zb_send *s;
	struct zk_error err;
	bool over;
};

static void add_row(struct ranges *r, uint64_t row)
{
	struct range *last = r->n ? &r->v[r->n - 1] : NULL;

	if (last && row == last->to) {
		last->to++;
		return;
	}
	if (last && row >= last->from && row < last->to)
		return;
	if (last && row < last->from)
		r->sorted = false;
	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 16;
		r->v = zk_realloc(r->v, r->room * sizeof(*r->v));
	}
	ZK_ASSERT(r->v);
	r->v[r->n++] = (struct range){ row, row + 1 };
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void sort(struct ranges *r)
{
	size_t n = 0;

	if (r->n && !r->sorted)
		qsort(r->v, r->n, sizeof(*r->v), by_start);
	for (size_t i = 0; i < r->n; i++) {
		if (n && r->v[i].from <= r->v[n - 1].to)
			r->v[n - 1].to = ZK_MAX(r->v[n - 1].to, r->v[i].to);
		else
			r->v[n++] = r->v[i];
	}
	r->n = n;
}

/* Lines of a run that was killed in the middle may be cut: they prove nothing. */
static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct load *l = ctx;
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("source") },
		                   { .name = ZK_STR_INIT("row") },
		                   { .name = ZK_STR_INIT("result") } };
	struct zk_buf name ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored;
	struct zk_jscan js;
	struct ranges *r;
	uint64_t row;

	(void)file;
	zk_buf_init(&name, 65536);
	if (line->too_long ||
	    zk_jscan(line->text, 8, want, ZK_ARRAY_LEN(want), &js) < 0 ||
	    want[0].val.type != ZK_J_STRING || want[2].val.type != ZK_J_STRING ||
	    !zk_jnum_u64(want[1].val.raw, &row) ||
	    !zk_jstr_eq(want[2].val.raw, ZK_STR("acked")) ||
	    zk_jstr_decode(want[0].val.raw, ZK_JLONE_ERROR, &name, &ignored) < 0)
		return;
	r = zk_map_get(&l->s->proven, zk_buf_str(&name));
	if (!r) {
		r = zk_new0(struct ranges);
		r->sorted = true;
		(void)zk_map_set(&l->s->proven, zk_buf_str(&name), r);
	}
	add_row(r, row);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct load *l = ctx;

	if (err)
		l->err = *err;
	l->over = true;
}

int zb_resume_load(struct zb_send *s, struct zk_error *err)
{
	char *path = (char *)s->o->resume;
	struct load l = { .s = s };
	struct zk_lines_conf conf = {
		.paths = &path, .n = 1, .ctx = &l, .on_line = on_line, .on_end = on_end
	};
	struct zk_lines *lines;
	void *value;
	zk_str key;
	size_t pos = 0;

	if (!path)
		return 0;
	if (zk_lines_open(s->loop, &conf, &lines, err) < 0)
		return -(int)err->code;
	zk_loop_until(s->loop, &l.over);
	zk_lines_close(lines);
	while (zk_map_next(&s->proven, &pos, &key, &value))
		sort(value);
	if (!l.err.code)
		return 0;
	*err = l.err;
	return -(int)err->code;
}

bool zb_is_proven(const void *ctx, const char *source, uint64_t row)
{
	const struct zb_send *s = ctx;
	const struct ranges *r = zk_map_get(&s->proven, zk_str_of(source));
	size_t low = 0, high = r ? r->n : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (row < r->v[mid].from)
			high = mid;
		else if (row >= r->v[mid].to)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

void zb_resume_done(struct zb_send *s)
{
	size_t pos = 0;
	void *value;
	zk_str key;

	while (zk_map_next(&s->proven, &pos, &key, &value)) {
		struct ranges *r = value;

		free(r->v);
		free(r);
	}
	zk_map_done(&s->proven);
}
