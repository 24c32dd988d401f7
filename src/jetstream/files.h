/* The files of a store: names, order, the one that is live.
 * Layer: jetstream. Any thread; blocks. specs/jetstream.md §14.1. */
#ifndef ZK_JETSTREAM_FILES_H
#define ZK_JETSTREAM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Forms of a store file that was left. */
enum zk_jet_compress { ZK_JET_ZSTD, ZK_JET_ZIP, ZK_JET_GZIP, ZK_JET_PLAIN };
/* What stands behind the name, by form; "" is the plain one. */
extern const char *const zk_jet_suffixes[ZK_JET_PLAIN + 1];
/* Removes a file in all of its forms, with its log; none of them has to be there. */
void zk_jet_files_remove(const char *dir, const char *name);

#define ZK_JET_NAME_MAX 64

struct zk_jet_file {
	char name[ZK_JET_NAME_MAX]; /* "jetstream_20260101_000000.db", without a suffix */
	int64_t created_s;          /* of the name, seconds since 1970 */
	unsigned nth;               /* 1, or that of _2, _3 … */
	bool plain;                 /* NAME is there */
	char packed[8]; /* "", ".zst", ".zip", ".gz": NAME + this is there too */
	uint64_t bytes; /* of all forms together */
	bool live;
};

struct zk_jet_files {
	struct zk_jet_file *v; /* oldest first */
	size_t n;
};

/* Lists the store `dir`. 0, or -ZK_E_NO_INPUT. */
int zk_jet_files_list(const char *dir, struct zk_jet_files *ret,
                      struct zk_error *err) ZK_MUST_USE;
void zk_jet_files_done(struct zk_jet_files *f);
/* The file behind `name` in order (the first when `name` is empty); NULL = none. */
const struct zk_jet_file *zk_jet_files_after(const struct zk_jet_files *f,
                                             const char *name);
const struct zk_jet_file *zk_jet_files_find(const struct zk_jet_files *f,
                                            const char *name);
/* A name that is not taken, and later than those of all files and of the live one: sinks follow
 * that order, also when the clock goes back. */
void zk_jet_files_fresh(const struct zk_jet_files *f, const char *dir, int64_t now_s,
                        char ret[ZK_JET_NAME_MAX]);
/* "jetstream_….db.zst" into the name without a suffix and the suffix (".zst", ".zip", ".gz" or "");
 * false when it is no name of a file. */
bool zk_jet_name_split(zk_str text, char name[ZK_JET_NAME_MAX], char suffix[8]);
/* Below 0, 0, above 0: the order of two names. */
int zk_jet_name_cmp(const char *a, const char *b);
/* DIR/live, written whole or not at all. */
int zk_jet_live_read(const char *dir, char ret[ZK_JET_NAME_MAX]);
int zk_jet_live_write(const char *dir, const char *name,
                      struct zk_error *err) ZK_MUST_USE;

#endif
