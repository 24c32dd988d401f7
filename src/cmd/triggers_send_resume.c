/* `zk triggers send --resume`: what receipts prove.
 * Layer: cmd. ux.md §8. */
#include <string.h>

#include "cmd/triggers_send.h"
#include "codec/jscan.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_RECEIPT 65536

/* What a record is known by without a dedup_id. */
static void place_key(struct zk_buf *b, const char *file, uint64_t offset)
{
	zk_buf_printf(b, "%llu ", (unsigned long long)offset);
	zk_buf_cstr(b, file);
}

static void learn(struct send *s, zk_str line)
{
	struct zk_jwant want[] = {
		{ .name = ZK_STR_INIT("key") },    { .name = ZK_STR_INIT("result") },
		{ .name = ZK_STR_INIT("file") },   { .name = ZK_STR_INIT("offset") },
		{ .name = ZK_STR_INIT("source") },
	};
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf file ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored = { 0 };
	struct zk_jscan js;
	uint64_t offset;
	zk_str run;

	zk_buf_init(&b, MAX_RECEIPT);
	zk_buf_init(&file, MAX_RECEIPT);
	/* The last line may be cut off where the run before this one was killed. */
	if (zk_jscan(line, 8, want, ZK_ARRAY_LEN(want), &js) < 0 ||
	    js.top.type != ZK_J_OBJECT || want[1].val.type != ZK_J_STRING)
		return;
	if (want[4].val.type == ZK_J_STRING && zk_jstr_plain(want[4].val.raw, &run) &&
	    run.n == ZK_UUID_TEXT)
		memcpy(s->run, run.p, run.n);
	if (zk_jstr_eq(want[1].val.raw, ZK_STR("rejected")))
		return;
	if (want[0].val.type == ZK_J_STRING) {
		(void)zk_map_set(&s->proven, want[0].val.raw, s);
	} else if (want[2].val.type == ZK_J_STRING &&
	           zk_jnum_u64(want[3].val.raw, &offset) &&
	           zk_jstr_decode(want[2].val.raw, ZK_JLONE_REPLACE, &file, &ignored) ==
	                   0) {
		place_key(&b, zk_buf_cstring(&file), offset);
		(void)zk_map_set(&s->proven, zk_buf_str(&b), s);
	}
}

struct reading {
	struct send *s;
	struct zk_error err;
	bool over;
};

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct reading *r = ctx;

	(void)file;
	if (!line->too_long)
		learn(r->s, line->text);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct reading *r = ctx;

	if (err)
		r->err = *err;
	r->over = true;
}

int send_resume(struct send *s, struct zk_error *err)
{
	char *path = (char *)s->o->resume;
	struct reading r = { .s = s };
	struct zk_lines_conf conf = { .paths = &path,
		                      .n = 1,
		                      .max_line_bytes = MAX_RECEIPT,
		                      .ctx = &r,
		                      .on_line = on_line,
		                      .on_end = on_end };
	struct zk_lines *lines;

	if (zk_lines_open(s->ship.loop, &conf, &lines, err) < 0)
		return -(int)err->code;
	zk_loop_until(s->ship.loop, &r.over);
	zk_lines_close(lines);
	*err = r.err;
	return -(int)err->code;
}

bool send_is_proven(const struct send *s, const struct zk_trig_record *rec)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!s->proven.n)
		return false;
	if (rec->dedup.n)
		return zk_map_get(&s->proven, rec->dedup) != NULL;
	zk_buf_init(&b, MAX_RECEIPT);
	place_key(&b, rec->source, rec->offset);
	return zk_map_get(&s->proven, zk_buf_str(&b)) != NULL;
}
