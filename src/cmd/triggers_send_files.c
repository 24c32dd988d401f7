/* `zk triggers send`: receipts, rejects, and what receipts prove.
 * Layer: cmd. ux.md §8. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/triggers_send.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "codec/ndjson.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_RECEIPT 65536

/* ---- --resume ----------------------------------------------------------------------------- */

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

static int read_receipts(struct send *s, struct zk_error *err)
{
	struct zk_ndjson split;
	struct zk_ndjson_line line;
	char block[65536];
	int r = 0, fd = open(s->o->resume, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'",
		                     s->o->resume);
	zk_ndjson_init(&split, MAX_RECEIPT);
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'",
			                  s->o->resume);
		if (n <= 0)
			break;
		zk_str chunk = zk_str_n(block, (size_t)n);

		while (zk_ndjson_next(&split, &chunk, &line))
			if (!line.too_long)
				learn(s, line.text);
	}
	zk_ndjson_done(&split);
	(void)close(fd);
	return r;
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

/* ---- lines -------------------------------------------------------------------------------- */

void send_receipt(struct send *s, const struct zk_trig_record *rec, const char *result,
                  const struct zk_trig_answer *a)
{
	struct zk_jwrite w;
	struct zk_buf *b = &s->receipts.b;

	if (s->receipts.fd < 0)
		return;
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "line");
	zk_jw_u64(&w, rec->line);
	zk_jw_key(&w, "offset");
	zk_jw_u64(&w, rec->offset);
	zk_jw_key(&w, "file");
	zk_jw_cstr(&w, rec->source);
	if (strcmp(rec->source, "-") == 0) {
		zk_jw_key(&w, "source");
		zk_jw_cstr(&w, s->run);
	}
	zk_jw_key(&w, "key");
	zk_jw_raw(&w, rec->dedup.n ? rec->dedup : ZK_STR("null"));
	zk_jw_key(&w, "result");
	zk_jw_cstr(&w, result);
	zk_jw_key(&w, "remote_id");
	if (a && a->id.n)
		zk_jw_str(&w, a->id);
	else
		zk_jw_null(&w);
	zk_jw_key(&w, "attempts");
	zk_jw_u64(&w, a ? a->attempts : 0);
	zk_jw_key(&w, "ms");
	zk_jw_i64(&w, rec->start_ms ? zk_loop_now_ms(s->loop) - rec->start_ms : 0);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
	send_settle_soon(s);
}

void send_reject_line(struct send *s, const struct zk_recline *line, const char *code,
                      zk_str reason)
{
	zk_recfile_reject(&s->rejects, line, code, reason);
	send_settle_soon(s);
}

/* ---- all of them -------------------------------------------------------------------------- */

int send_files_open(struct send *s, struct zk_error *err)
{
	s->receipts.fd = s->rejects.fd = -1;
	zk_buf_init(&s->receipts.b, 0);
	zk_buf_init(&s->rejects.b, 0);
	if (s->o->resume && read_receipts(s, err) < 0)
		return -(int)err->code;
	/* Receipts are proofs: those of earlier runs stay. */
	if (zk_recfile_open(&s->receipts, s->app->spool.receipts, O_APPEND, err) < 0 ||
	    zk_recfile_open(&s->rejects, s->app->spool.rejects, O_TRUNC, err) < 0)
		return -(int)err->code;
	return 0;
}

int send_files_write(struct send *s, struct zk_error *err)
{
	if (s->receipts.b.n && zk_recfile_write(&s->receipts, err) < 0)
		return -(int)err->code;
	if (s->rejects.b.n && zk_recfile_write(&s->rejects, err) < 0)
		return -(int)err->code;
	return 0;
}

void send_files_close(struct send *s)
{
	zk_recfile_close(&s->receipts);
	zk_recfile_close(&s->rejects);
	zk_map_done(&s->proven);
}
