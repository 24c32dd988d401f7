/* A file that is looked at ahead, in pieces and lanes, gives what it gives line by line.
 * Layer: tests. */
#include "jetstream/pieces.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "jetstream/pipe.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

static char path[96];
static struct zk_loop *loop;
static struct zk_metrics *metrics;

static void setup(void)
{
	struct zk_error err;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/jet_pieces.XXXXXX",
	               getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	(void)close(fd);
	loop = zk_loop_new(&err);
	metrics = zk_metrics_new();
}

static void teardown(void)
{
	zk_loop_free(loop);
	zk_metrics_free(metrics);
	cr_expect_eq(unlink(path), 0);
}

TestSuite(jet_pieces, .init = setup, .fini = teardown);

static void write_file(zk_str text)
{
	FILE *f = fopen(path, "we");

	cr_assert_not_null(f);
	if (text.n)
		cr_assert_eq(fwrite(text.p, 1, text.n, f), text.n);
	cr_assert_eq(fclose(f), 0);
}

/* How a file is read, and what came of it. */
struct reading {
	bool ahead;
	unsigned lanes;
	size_t piece_bytes;
	uint64_t limit, skip;
	struct zk_jet_pos until;
	unsigned
	        full_at; /* each so many events there is no room for a while; 0 = never */

	struct zk_jet_pipe *pipe;
	struct zk_jet_source *source;
	struct zk_timer *room;
	struct zk_buf out;
	unsigned emitted;
	struct zk_jet_figures fig;
	struct zk_jet_stored_place place;
	bool over;
	int code;
};

static bool on_emit(void *ctx, zk_str record)
{
	struct reading *r = ctx;

	zk_buf_add(&r->out, record);
	zk_buf_char(&r->out, '\n');
	if (!r->full_at || ++r->emitted % r->full_at)
		return true;
	zk_timer_start(r->room, 1, 0);
	return false;
}

static void on_room(void *ctx)
{
	struct reading *r = ctx;

	zk_jet_pipe_room(r->pipe);
}

static void on_enough(void *ctx)
{
	((struct reading *)ctx)->over = true;
}

static void on_ended(void *ctx, const struct zk_error *err)
{
	struct reading *r = ctx;

	r->over = true;
	r->code = err ? (int)err->code : 0;
}

static void read_with(struct reading *r, const struct zk_jet_filter *filter)
{
	struct zk_jet_pipe_conf pipe = { .loop = loop,
		                         .metrics = metrics,
		                         .filter = filter,
		                         .envelope = ZK_JET_ENV_RAW,
		                         .fixed_filter = r->ahead,
		                         .limit = r->limit,
		                         .until = r->until,
		                         .ctx = r,
		                         .emit = on_emit,
		                         .enough = on_enough,
		                         .ended = on_ended };
	struct zk_jet_file_source_conf conf = { .path = path,
		                                .skip = r->skip,
		                                .lanes = r->lanes,
		                                .piece_bytes = r->piece_bytes };
	struct zk_jet_source_hooks hooks;
	struct zk_error err;

	zk_buf_init(&r->out, 256u << 20);
	r->room = zk_timer_new(loop, on_room, r);
	r->pipe = zk_jet_pipe_new(&pipe);
	hooks = zk_jet_pipe_hooks(r->pipe);
	cr_assert_eq(zk_jet_file_source_new(loop, &conf, &hooks, &r->source, &err), 0,
	             "%s", err.msg);
	zk_jet_pipe_attach(r->pipe, r->source);
	zk_loop_until(loop, &r->over);
	zk_jet_pipe_figures(r->pipe, &r->fig);
	r->source->ops->place(r->source, NULL, &r->place);
	zk_jet_source_free(r->source);
	zk_jet_pipe_free(r->pipe);
	zk_timer_free(r->room);
}

/* Reads the file both ways and compares. */
static void compare(struct reading ahead, const struct zk_jet_filter *filter,
                    const char *what)
{
	struct reading plain = ahead;

	ahead.ahead = true;
	read_with(&plain, filter);
	read_with(&ahead, filter);
	cr_expect(zk_str_eq(zk_buf_str(&plain.out), zk_buf_str(&ahead.out)),
	          "%s: the events, %zu and %zu bytes", what, plain.out.n, ahead.out.n);
	cr_expect_eq(plain.fig.received, ahead.fig.received, "%s: received %llu %llu",
	             what, (unsigned long long)plain.fig.received,
	             (unsigned long long)ahead.fig.received);
	cr_expect_eq(plain.fig.stored, ahead.fig.stored, "%s: stored", what);
	cr_expect_eq(plain.fig.filtered, ahead.fig.filtered, "%s: filtered", what);
	cr_expect_eq(plain.fig.dead, ahead.fig.dead, "%s: dead", what);
	cr_expect_eq(plain.fig.bytes, ahead.fig.bytes, "%s: bytes %llu %llu", what,
	             (unsigned long long)plain.fig.bytes,
	             (unsigned long long)ahead.fig.bytes);
	cr_expect_eq(plain.place.place.seq, ahead.place.place.seq, "%s: position", what);
	cr_expect_eq(plain.place.place.time_us, ahead.place.place.time_us,
	             "%s: time %lld %lld", what, (long long)plain.place.place.time_us,
	             (long long)ahead.place.place.time_us);
	cr_expect_eq(plain.code, ahead.code, "%s: end", what);
	zk_buf_done(&plain.out);
	zk_buf_done(&ahead.out);
}

static struct zk_jet_filter creates_only(void)
{
	char *ops[] = { (char *)"create" };
	struct zk_jet_filter_conf conf = { .ops = ops, .n_ops = 1 };
	struct zk_jet_filter f;
	struct zk_error err;

	cr_assert_eq(zk_jet_filter_init(&f, &conf, &err), 0);
	return f;
}

/* A line of some kind: sound ones that pass or do not, escaped, dead in several ways, none. */
static void put_line(struct zk_buf *b, struct zk_rand *rnd, unsigned i)
{
	static const char *const kinds[] = { "create", "update", "delete",
		                             "cre\\u0061te" };
	const char *op = kinds[zk_rand_u64(rnd) % ZK_ARRAY_LEN(kinds)];

	switch (zk_rand_u64(rnd) % 24) {
	case 0:
		zk_buf_lit(b, " \t ");
		break;
	case 1:
		zk_buf_lit(b, "{\"did\":\"did:x:y\",");
		break;
	case 2:
		zk_buf_lit(b, "{\"did\":\"\xff\"}");
		break;
	case 3:
		zk_buf_lit(b, "{\"error\":\"E\",\"message\":\"m\"}");
		break;
	case 4:
		zk_buf_lit(b, "\xEF\xBB\xBF{\"did\":\"did:x:y\",\"kind\":\"identity\"}");
		break;
	case 5:
		zk_buf_printf(b, "{\"did\":\"did:x:y\",\"time_us\":%u.5}", i);
		break;
	case 6:
		zk_buf_printf(b, "{\"did\":\"did:x:y\",\"cursor\":%u,\"text\":\"", i);
		for (unsigned k = 0; k < 300; k++)
			zk_buf_lit(b, "0123456789");
		zk_buf_lit(b, "\"}");
		break;
	default:
		zk_buf_printf(
		        b,
		        " {\"did\":\"did:plc:%u\",\"time_us\":%u,\"kind\":\"commit\","
		        "\"commit\":{\"operation\":\"%s\",\"collection\":\"a.b.c\","
		        "\"rkey\":\"%u\"}} ",
		        i, 1000000 + i, op, i);
	}
	zk_buf_cstr(b, zk_rand_u64(rnd) % 8 ? "\n" : "\r\n");
}

static void make_file(struct zk_buf *b, uint64_t seed, unsigned lines)
{
	struct zk_rand rnd;

	zk_rand_seed(&rnd, seed);
	zk_buf_clear(b);
	if (seed % 2)
		zk_buf_lit(b, "\xEF\xBB\xBF");
	for (unsigned i = 0; i < lines; i++)
		put_line(b, &rnd, i);
	if (seed % 3 == 0)
		b->n -= 1; /* the last line does not end */
}

Test(jet_pieces, same_events_whatever_the_pieces)
{
	static const size_t sizes[] = { 16, 100, 1000, 5000, 65536 };
	struct zk_jet_filter f = creates_only();
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	char what[80];

	zk_buf_init(&b, 64u << 20);
	for (unsigned i = 0; i < ZK_ARRAY_LEN(sizes); i++) {
		struct reading r = { .lanes = 1 + i % 3, .piece_bytes = sizes[i] };

		make_file(&b, i, 600);
		write_file(zk_buf_str(&b));
		(void)snprintf(what, sizeof(what), "pieces of %zu", sizes[i]);
		compare(r, &f, what);
		r.full_at = 7;
		(void)snprintf(what, sizeof(what), "pieces of %zu, pauses", sizes[i]);
		compare(r, &f, what);
	}
	zk_jet_filter_done(&f);
}

Test(jet_pieces, same_end)
{
	static const uint64_t limits[] = { 1, 2, 50, 51, 52, 100000 };
	struct zk_jet_filter f = creates_only();
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 64u << 20);
	make_file(&b, 5, 600);
	write_file(zk_buf_str(&b));
	for (unsigned i = 0; i < ZK_ARRAY_LEN(limits); i++) {
		struct reading r = { .lanes = 2,
			             .piece_bytes = 3000,
			             .limit = limits[i] };

		compare(r, &f, "limit");
		r.limit = 0;
		r.skip = limits[i];
		compare(r, &f, "skip");
		r.skip = 0;
		r.until.kind = ZK_JET_POS_TIME;
		r.until.time_us = 1000000 + (int64_t)limits[i];
		compare(r, &f, "until");
	}
	zk_jet_filter_done(&f);
}

Test(jet_pieces, sizes_at_the_seam)
{
	static const char line[] = "{\"did\":\"did:x:y\",\"kind\":\"commit\",\"commit\":"
	                           "{\"operation\":\"create\"}}\n";
	struct zk_jet_filter f = creates_only();
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct reading r = { .lanes = 2 };

	zk_buf_init(&b, 1u << 20);
	write_file(ZK_STR_NULL);
	compare(r, &f, "empty");
	write_file(ZK_STR("\n\n"));
	compare(r, &f, "blank");
	for (unsigned i = 0; i < 12; i++)
		zk_buf_lit(&b, line);
	write_file(zk_buf_str(&b));
	/* Whole lines, one byte less, one more, the whole file and one more. */
	for (unsigned i = 0; i < 6; i++) {
		r.piece_bytes = (i < 3 ? 4 : 12) * (sizeof(line) - 1) + i % 3 - 1;
		compare(r, &f, "seam");
	}
	zk_jet_filter_done(&f);
}

Test(jet_pieces, a_match_is_seen_to_ahead)
{
	struct zk_jet_filter_conf conf = { .match = "rkey =~ \"^[0-9]*7$\"" };
	struct zk_jet_filter f;
	struct zk_error err;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct reading r = { .lanes = 3, .piece_bytes = 2000 };

	cr_assert_eq(zk_jet_filter_init(&f, &conf, &err), 0, "%s", err.msg);
	zk_buf_init(&b, 64u << 20);
	make_file(&b, 11, 2000);
	write_file(zk_buf_str(&b));
	compare(r, &f, "match");
	zk_jet_filter_done(&f);
}
