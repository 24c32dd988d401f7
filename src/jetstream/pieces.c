/* Pieces of a file, read and sieved in lanes, given in order.
 * Layer: jetstream. */
#include "jetstream/pieces.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/lane.h"
#include "rt/loop.h"

#include "base/ban.h"

#define PIECE_BYTES (256u << 10) /* with what is found in it, it fits a CPU's own cache */
#define LANES_MAX   8
#define AHEAD       3 /* pieces per lane: one that is given, one that is read, one that waits */

struct piece {
	struct zk_job job;
	struct zk_jet_pieces *owner;
	int64_t at; /* where it begins in the file */
	char *p;
	size_t n;
	int errnum; /* of a read that failed behind those bytes */
	bool ready;
	struct zk_jet_piece view;
	struct zk_jet_sieve sieve;
};

struct zk_jet_pieces {
	struct zk_jet_pieces_conf conf;
	char *name;
	struct zk_lane *lanes[LANES_MAX];
	size_t n_lanes;
	struct piece *ring; /* in the order of the file from `first` on */
	size_t n_ring, first;
	int64_t next_at;
	bool given, ended, closing;
};

/* ---- the lanes ---- */

static void read_piece(struct piece *p, int fd, size_t room)
{
	p->n = 0;
	p->errnum = 0;
	while (p->n < room) {
		ssize_t n = pread(fd, p->p + p->n, room - p->n, p->at + (int64_t)p->n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			p->errnum = errno;
		if (n <= 0)
			return;
		p->n += (size_t)n;
	}
}

static void cut_piece(struct piece *p)
{
	zk_str all = zk_str_n(p->p, p->n);
	const char *first = p->n ? memchr(p->p, '\n', p->n) : NULL;
	const char *last = first ? memrchr(p->p, '\n', p->n) : NULL;
	size_t head = first ? (size_t)(first - p->p) + 1 : p->n;
	size_t end = last ? (size_t)(last - p->p) + 1 : head;

	p->view.head = zk_str_n(all.p, head);
	p->view.body = zk_str_n(all.p + head, end - head);
	p->view.tail = zk_str_from(all, end);
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_jet_pieces *ps = ctx;

	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct piece *p = ZK_CONTAINER_OF(j, struct piece, job);

		read_piece(p, ps->conf.fd, ps->conf.piece_bytes);
		cut_piece(p);
		zk_jet_sieve_run(&p->sieve, p->view.body);
	}
}

/* ---- the loop ---- */

static void give(struct zk_jet_pieces *ps);

static void on_read(struct zk_job *j)
{
	struct piece *p = ZK_CONTAINER_OF(j, struct piece, job);

	p->ready = true;
	if (!p->owner->closing)
		give(p->owner);
}

/* To the lane that has least to do. */
static void order(struct zk_jet_pieces *ps, struct piece *p)
{
	struct zk_lane *best = ps->lanes[0];

	for (size_t i = 1; i < ps->n_lanes; i++)
		if (zk_lane_jobs(ps->lanes[i]) < zk_lane_jobs(best))
			best = ps->lanes[i];
	p->ready = false;
	p->at = ps->next_at;
	ps->next_at += (int64_t)ps->conf.piece_bytes;
	p->job = (struct zk_job){ .done = on_read };
	zk_lane_push_always(best, &p->job);
}

static void end(struct zk_jet_pieces *ps, int errnum)
{
	struct zk_error err = { 0 };

	ps->ended = true;
	if (errnum)
		(void)zk_fail_errno(&err, ZK_E_NO_INPUT, errnum, "cannot read '%s'",
		                    ps->name);
	ps->conf.on_end(ps->conf.ctx, errnum ? &err : NULL);
}

/* The one that was given is done with. A short one was the last, whatever the file has become. */
static void advance(struct zk_jet_pieces *ps)
{
	struct piece *p = &ps->ring[ps->first];

	ps->given = false;
	ps->first = (ps->first + 1) % ps->n_ring;
	if (p->n < ps->conf.piece_bytes)
		end(ps, p->errnum);
	else
		order(ps, p);
}

static void give(struct zk_jet_pieces *ps)
{
	while (!ps->given && !ps->ended && ps->ring[ps->first].ready) {
		ps->given = true;
		if (ps->conf.on_piece(ps->conf.ctx, &ps->ring[ps->first].view))
			advance(ps);
	}
}

void zk_jet_pieces_next(struct zk_jet_pieces *ps)
{
	if (!ps->given || ps->ended)
		return;
	advance(ps);
	give(ps);
}

static size_t count_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return (size_t)ZK_MIN(ZK_MAX(n, 1), LANES_MAX);
}

int zk_jet_pieces_new(struct zk_loop *loop, const struct zk_jet_pieces_conf *conf,
                      struct zk_jet_pieces **ret, struct zk_error *err)
{
	struct zk_jet_pieces *ps = zk_new0(struct zk_jet_pieces);
	struct zk_lane_conf lane = { .name = "jet-sieve", .ctx = ps, .run = run };
	size_t lanes = conf->lanes ? ZK_MIN(conf->lanes, LANES_MAX) : count_cpus();

	ps->conf = *conf;
	ps->name = zk_strdup(conf->path);
	if (!ps->conf.piece_bytes)
		ps->conf.piece_bytes = PIECE_BYTES;
	ps->n_ring = lanes * AHEAD;
	ps->ring = zk_alloc_array(ps->n_ring, sizeof(*ps->ring));
	for (size_t i = 0; i < ps->n_ring; i++) {
		struct piece *p = &ps->ring[i];

		*p = (struct piece){ .owner = ps };
		p->p = zk_alloc_pages(ps->conf.piece_bytes);
		zk_jet_sieve_init(&p->sieve, conf->sieve);
		p->view.found = &p->sieve;
	}
	for (; ps->n_lanes < lanes; ps->n_lanes++) {
		if (zk_lane_start(loop, &lane, &ps->lanes[ps->n_lanes], err) < 0) {
			zk_jet_pieces_free(ps);
			return -(int)err->code;
		}
	}
	for (size_t i = 0; i < ps->n_ring; i++)
		order(ps, &ps->ring[i]);
	*ret = ps;
	return 0;
}

void zk_jet_pieces_free(struct zk_jet_pieces *ps)
{
	if (!ps)
		return;
	ps->closing = true;
	for (size_t i = 0; i < ps->n_lanes; i++)
		zk_lane_stop(ps->lanes[i]);
	for (size_t i = 0; i < ps->n_ring; i++) {
		zk_jet_sieve_done(&ps->ring[i].sieve);
		free(ps->ring[i].p);
	}
	free(ps->ring);
	(void)close(ps->conf.fd); /* only read */
	free(ps->name);
	free(ps);
}
