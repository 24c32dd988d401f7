/* A file that is rotated by size: the active one, those before it, how many are kept
 * (specs/zerobus.md §16.1, §16.3).
 * Layer: zerobus. One thread at a time; every call may block on the disk. */
#ifndef ZK_ZEROBUS_DEBUG_FILE_H
#define ZK_ZEROBUS_DEBUG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_zb_dfile;

struct zk_zb_dfile_conf {
	const char *dir; /* made with its parents, mode 0700, when the first byte comes */
	const char *base; /* the active file is BASE.EXT */
	const char *ext;  /* without a point */
	/* A file beside it, BASE.TWIN, which is rotated and removed together with it; NULL =
	 * none. */
	const char *twin;
	uint64_t max_bytes; /* rotate before a write when it has so many; 0 = never */
	uint64_t keep;      /* rotated files; 0 = all */
};

/* Nothing is touched yet. Texts are copied. */
struct zk_zb_dfile *zk_zb_dfile_new(const struct zk_zb_dfile_conf *conf);
/* Closes it; what was not flushed is lost. NULL is fine. */
void zk_zb_dfile_free(struct zk_zb_dfile *f);

bool zk_zb_dfile_is_open(const struct zk_zb_dfile *f);
/* It is open and has reached its size. */
bool zk_zb_dfile_is_full(const struct zk_zb_dfile *f);
/* Makes an empty active file, with `twin` beside it. An older one is rotated away first; one that
 * another process writes stays, and BASE-PID is taken instead (*other is set). 0 or
 * -ZK_E_ZB_DEBUG_FILE. */
int zk_zb_dfile_open(struct zk_zb_dfile *f, zk_str twin, bool *other,
                     struct zk_error *err) ZK_MUST_USE;
/* Appends; kept in memory up to 64 KiB. */
int zk_zb_dfile_put(struct zk_zb_dfile *f, zk_str bytes,
                    struct zk_error *err) ZK_MUST_USE;
/* Hands everything to the kernel. */
int zk_zb_dfile_flush(struct zk_zb_dfile *f, struct zk_error *err) ZK_MUST_USE;
/* Flushes, closes, renames to BASE-YYYYMMDDTHHMMSSZ-NNN.EXT, removes the oldest ones that are too
 * many. It is not open afterwards. */
int zk_zb_dfile_rotate(struct zk_zb_dfile *f, struct zk_error *err) ZK_MUST_USE;
/* "main.default.t.binpb" with its folder; for messages. */
const char *zk_zb_dfile_path(const struct zk_zb_dfile *f);

/* The text between base and extension is "-YYYYMMDDTHHMMSSZ-NNN". Pure. */
bool zk_zb_dfile_is_rotated(zk_str name, zk_str base, zk_str ext);

#endif
