/* Reading without sending: to find bad rows before anything is sent, and for dry runs.
 * Layer: zerobus. specs/zerobus.md §12. */
#include <string.h>

#include "base/mem.h"
#include "zerobus/builder.h"
#include "zerobus/feed_int.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"
#include "zerobus/source.h"

#include "base/ban.h"

struct check {
	const struct zk_zb_feed_conf *conf;
	bool (*on_bad)(void *ctx, const struct zk_zb_bad *bad);
	struct zk_zb_check *ret;
	struct zk_zb_builder b;
	struct zk_zb_request *spare;
	bool enough;
	struct zk_zb_held
	        *held; /* NULL = nothing is kept for the feed, or nothing any more */
	size_t held_bytes;
	size_t hint; /* bytes of the latest request */
};

/* A check before sending: the feed comes behind it. Otherwise this is all there is. */
static bool is_before(const struct check *c)
{
	return c->conf->stamps != NULL;
}

/* The feed reads it all again. Nobody will see the requests then: only bad rows are looked for. */
static void hold_nothing(struct check *c)
{
	if (c->held)
		zk_zb_held_drop(c->held);
	c->held = NULL;
	c->b.discard = is_before(c);
}

/* Kept for the feed, unless it is more than may be in memory; then nothing is. */
static void hold(struct check *c, struct zk_zb_note *n)
{
	c->held_bytes += n->item.bytes;
	if (c->held && c->held_bytes <= c->conf->max_bytes) {
		zk_zb_held_push(c->held, n);
		return;
	}
	zk_zb_note_free(n);
	hold_nothing(c);
}

/* ---- the builder's hooks ---- */

static struct zk_zb_request *want(void *ctx, struct zk_zb_kind *kind, const char *source)
{
	struct check *c = ctx;
	struct zk_zb_request *r = ZK_TAKE(c->spare);

	if (r)
		zk_zb_request_reuse(r, kind, source);
	else
		r = zk_zb_request_new(kind, source);
	zk_zb_request_reserve(r, c->hint);
	return r;
}

static void on_request(void *ctx, struct zk_zb_request *r)
{
	struct check *c = ctx;
	char head[ZK_ZB_HEAD_MAX];
	size_t n = zk_zb_request_head(r, (int64_t)c->ret->requests, head) +
	           zk_zb_request_body(r).n;

	c->ret->rows += r->rows;
	c->ret->requests++;
	c->ret->bytes += n;
	c->ret->largest = ZK_MAX(c->ret->largest, n);
	c->hint = r->n + r->n / 64;
	if (c->held) {
		hold(c, zk_zb_note_request(r));
		return;
	}
	if (ZK_ZB_HOOKS && c->conf->on_built && !is_before(c))
		c->conf->on_built(c->conf->ctx, r);
	zk_zb_request_free(c->spare);
	c->spare = r;
}

static void bad_row(void *ctx, const struct zk_zb_bad *bad)
{
	struct check *c = ctx;

	c->ret->bad++;
	if (!c->on_bad(c->conf->ctx, bad))
		c->enough = true;
	hold_nothing(c);
}

static void on_skipped(void *ctx, uint64_t rows)
{
	struct check *c = ctx;

	c->ret->skipped += rows;
	if (c->held)
		hold(c, zk_zb_note_skipped(rows));
}

static void on_kind(void *ctx, struct zk_zb_kind *kind)
{
	struct check *c = ctx;

	if (c->held)
		hold(c, zk_zb_note_kind(kind));
}

/* ---- the reader's ---- */

static void on_part(void *ctx, const struct zk_zb_part *part)
{
	struct check *c = ctx;

	if (c->held)
		hold(c, zk_zb_note_part(part));
	else if (!is_before(c))
		c->conf->on_part(c->conf->ctx, part);
}

static void on_text(void *ctx, const char *text)
{
	struct check *c = ctx;

	if (c->held)
		hold(c, zk_zb_note_text(text));
	else if (!is_before(c))
		c->conf->on_note(c->conf->ctx, text);
}

static int read_rows(struct check *c, struct zk_zb_source *src, const char *path,
                     struct zk_error *err)
{
	struct zk_zb_rows_conf conf = c->conf->rows;
	struct zk_zb_rows *rows = NULL;
	struct zk_zb_row row = { 0 };
	int got;

	conf.source = src;
	conf.ctx = c;
	conf.on_raw = ZK_ZB_HOOKS && c->conf->on_part ? on_part : NULL;
	conf.on_note = on_text;
	got = zk_zb_rows_open(&conf, &rows, err);
	if (got < 0)
		return got;
	/* The stamp says that they need not be looked at twice. */
	if (rows->verbatim)
		hold_nothing(c);
	/* Not the source's own name: held requests outlive it. */
	zk_zb_builder_source(&c->b, path);
	while (!c->enough && (got = zk_zb_rows_next(rows, &row, err)) > ZK_ZB_END)
		zk_zb_builder_row(&c->b, (enum zk_zb_got)got, &row, err);
	zk_zb_builder_flush(&c->b);
	zk_zb_rows_close(rows);
	return got < 0 ? got : 0;
}

static int read_input(struct check *c, size_t i, struct zk_error *err)
{
	const char *path = c->conf->paths[i];
	struct zk_zb_fd_source_conf conf = { .path = path };
	struct zk_zb_source *src;
	int r = zk_zb_fd_source_open(&conf, &src, err);

	if (r < 0)
		return r;
	if (c->conf->stamps)
		c->conf->stamps[i] = src->stamp;
	r = read_rows(c, src, strcmp(path, "-") == 0 ? "stdin" : path, err);
	zk_zb_fd_source_close(src);
	return r;
}

int zk_zb_feed_check(const struct zk_zb_feed_conf *conf,
                     bool (*on_bad)(void *ctx, const struct zk_zb_bad *bad),
                     struct zk_zb_check *ret, struct zk_error *err)
{
	struct zk_zb_builder_conf bc = zk_zb_builder_conf_of(conf);
	struct check c = { .conf = conf, .on_bad = on_bad, .ret = ret };
	int r = 0;

	*ret = (struct zk_zb_check){ 0 };
	bc.linger_ms = INT32_MAX;
	bc.ctx = &c;
	bc.want = want;
	bc.on_request = on_request;
	bc.on_bad = bad_row;
	bc.on_skipped = on_skipped;
	bc.on_kind = on_kind;
	zk_zb_builder_init(&c.b, &bc);
	c.held = conf->held;
	if (!c.held)
		hold_nothing(&c);
	for (size_t i = 0; i < conf->n_paths && r == 0 && !c.enough; i++)
		r = read_input(&c, i, err);
	zk_zb_builder_done(&c.b);
	zk_zb_request_free(c.spare);
	return r;
}
