/* Part of a file as the body of a request: read ahead in a lane, two blocks at a time.
 * Layer: store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/lane.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define BLOCK (256u << 10)

struct block {
	struct zk_s3_work work;
	struct zk_s3_slice *slice;
	/* The lane's while `busy`: */
	int fd;
	uint64_t at;
	size_t want, got;
	/* The loop's: */
	size_t n, taken;
	unsigned epoch; /* of the slice when it was asked for */
	bool busy;
	char bytes[BLOCK];
};

struct zk_s3_slice {
	struct zk_lane *lane;
	int fd;
	uint64_t at, n, asked; /* asked: bytes for which a read was begun */
	unsigned epoch, head;  /* the block that is read from */
	bool freed, failed, waiting;
	bool restarting; /* until the blocks of an attempt before are back */
	struct block *v[2];
	void (*wake)(void *ctx);
	void *ctx;
};

static void on_read(struct zk_job *job);

/* The lane. */
static void read_block(struct zk_s3_work *w)
{
	struct block *b = ZK_CONTAINER_OF(w, struct block, work);

	b->got = 0;
	while (b->got < b->want) {
		ssize_t n = pread(b->fd, b->bytes + b->got, b->want - b->got,
		                  (off_t)(b->at + b->got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		b->got += (size_t)n;
	}
}

static void ask(struct zk_s3_slice *sl, struct block *b)
{
	if (b->busy || sl->freed || sl->asked == sl->n)
		return;
	b->at = sl->at + sl->asked;
	b->want = (size_t)ZK_MIN(sl->n - sl->asked, (uint64_t)BLOCK);
	b->n = b->taken = 0;
	b->epoch = sl->epoch;
	b->busy = true;
	sl->asked += b->want;
	b->work = (struct zk_s3_work){ .job = { .bytes = b->want, .done = on_read },
		                       .fn = read_block };
	zk_lane_push_always(sl->lane, &b->work.job);
}

struct zk_s3_slice *zk_s3_slice_new(struct zk_s3 *s, int fd, uint64_t at, uint64_t n)
{
	struct zk_s3_slice *sl = zk_new0(struct zk_s3_slice);

	sl->lane = s->lane;
	sl->fd = fd;
	sl->at = at;
	sl->n = n;
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v); i++) {
		sl->v[i] = zk_new0(struct block);
		sl->v[i]->slice = sl;
		sl->v[i]->fd = fd;
	}
	return sl;
}

static bool is_reading(const struct zk_s3_slice *sl)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v); i++)
		if (sl->v[i]->busy)
			return true;
	return false;
}

static void free_when_idle(struct zk_s3_slice *sl)
{
	if (is_reading(sl))
		return;
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v); i++)
		free(sl->v[i]);
	free(sl);
}

void zk_s3_slice_free(struct zk_s3_slice *sl)
{
	if (!sl)
		return;
	sl->freed = true;
	free_when_idle(sl);
}

void zk_s3_slice_rewind(struct zk_s3_slice *sl)
{
	sl->epoch++;
	sl->asked = 0;
	sl->head = 0;
	sl->failed = sl->waiting = false;
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v); i++)
		sl->v[i]->n = sl->v[i]->taken = 0;
	sl->restarting = is_reading(sl);
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v) && !sl->restarting; i++)
		ask(sl, sl->v[i]);
}

uint64_t zk_s3_slice_size(const struct zk_s3_slice *sl)
{
	return sl->n;
}

void zk_s3_slice_on_bytes(struct zk_s3_slice *sl, void (*wake)(void *ctx), void *ctx)
{
	sl->wake = wake;
	sl->ctx = ctx;
}

ptrdiff_t zk_s3_slice_pull(struct zk_s3_slice *sl, char *p, size_t room)
{
	struct block *b = sl->v[sl->head];
	size_t n = ZK_MIN(room, b->n - b->taken);

	if (sl->failed)
		return -2;
	if (sl->restarting) {
		sl->waiting = true;
		return -1;
	}
	if (!n) {
		/* The whole slice was given out, or its next block is on its way. */
		if (!b->busy && sl->asked == sl->n)
			return 0;
		ask(sl, b);
		sl->waiting = true;
		return -1;
	}
	memcpy(p, b->bytes + b->taken, n);
	b->taken += n;
	if (b->taken == b->n) {
		b->n = b->taken = 0;
		ask(sl, b);
		sl->head ^= 1;
	}
	return (ptrdiff_t)n;
}

/* Blocks of an attempt before are thrown away; the last of them lets this one begin. */
static void take_stale(struct zk_s3_slice *sl)
{
	if (is_reading(sl))
		return;
	sl->restarting = false;
	for (size_t i = 0; i < ZK_ARRAY_LEN(sl->v); i++)
		ask(sl, sl->v[i]);
}

static void on_read(struct zk_job *job)
{
	struct block *b = ZK_CONTAINER_OF(job, struct block, work.job);
	struct zk_s3_slice *sl = b->slice;

	b->busy = false;
	if (sl->freed) {
		free_when_idle(sl);
		return;
	}
	if (b->epoch != sl->epoch) {
		take_stale(sl);
		return;
	}
	b->n = b->got;
	if (b->n != b->want)
		sl->failed = true;
	if (sl->waiting && (sl->failed || sl->v[sl->head]->n)) {
		sl->waiting = false;
		sl->wake(sl->ctx);
	}
}
