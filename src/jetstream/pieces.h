/* A regular file, read in pieces by several lanes that sieve its events; the pieces come in order.
 * Layer: jetstream. Loop thread only. */
#ifndef ZK_JETSTREAM_PIECES_H
#define ZK_JETSTREAM_PIECES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "jetstream/sieve.h"

struct zk_loop;
struct zk_jet_pieces;

/* Head and tail are parts of lines that the pieces before and behind have the rest of: up to the
 * first line end, which is in it, and what is behind the last. What lies between was sieved. A
 * piece in which no line ends is all head. */
struct zk_jet_piece {
	zk_str head, body, tail;
	const struct zk_jet_sieve *found; /* in `body` */
};

struct zk_jet_pieces_conf {
	const char *path; /* for messages */
	int fd;           /* the pieces' own from now on; read from its beginning */
	const struct zk_jet_sieve_conf *sieve;
	unsigned lanes;     /* 0 = one per CPU that the process may use */
	size_t piece_bytes; /* 0 = 256 KiB */
	void *ctx;
	/* The next piece. True = done with it; otherwise it stays as it is until
	 * zk_jet_pieces_next(), and no other one comes before. */
	bool (*on_piece)(void *ctx, const struct zk_jet_piece *piece);
	/* Once: all were given (`err` NULL), or a read failed (-ZK_E_NO_INPUT). */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* 0, or -ZK_E_SYSTEM. The first piece comes in a later turn. */
int zk_jet_pieces_new(struct zk_loop *loop, const struct zk_jet_pieces_conf *conf,
                      struct zk_jet_pieces **ret, struct zk_error *err) ZK_MUST_USE;
void zk_jet_pieces_next(struct zk_jet_pieces *p);
/* Waits for what runs; not from a callback. NULL is fine. */
void zk_jet_pieces_free(struct zk_jet_pieces *p);

#endif
