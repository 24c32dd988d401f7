/* What is known of a run of `zk trace push` from a file: enough to go on after kill -9
 * (specs/zeal-zip.md §6.6). A small file beside the spool, held by a lock while the run goes on.
 * Layer: zip. Loop thread; calls block on the disk. */
#ifndef ZK_ZIP_TRACE_RUN_H
#define ZK_ZIP_TRACE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_zip_run;

struct zk_zip_run_head {
	const char *base;     /* of the server */
	const char *session;  /* "" = not opened yet */
	const char *workflow; /* "" = the session was given */
	const char *mark;     /* 32 characters */
	const char *source;   /* the file, absolute */
	const char *options;  /* that change what becomes of a line (--map, --strict) */
	bool completes;       /* the session is closed at the end */
};

/* Makes the file in the folder `dir`. 0, or -ZK_E_CREATE. */
int zk_zip_run_new(const char *dir, const struct zk_zip_run_head *head,
                   struct zk_zip_run **ret, struct zk_error *err) ZK_MUST_USE;
/* All events below `seq` are stored by the server or the spool, or are rejected. One small
 * write. */
int zk_zip_run_save(struct zk_zip_run *r, uint64_t seq, struct zk_error *err) ZK_MUST_USE;
/* The end: nothing is left to do. */
void zk_zip_run_drop(struct zk_zip_run *r);
/* Leaves the file for a later --resume. NULL is fine. */
void zk_zip_run_close(struct zk_zip_run *r);

const struct zk_zip_run_head *zk_zip_run_head(const struct zk_zip_run *r);
uint64_t zk_zip_run_seq(const struct zk_zip_run *r);

/* Opens one that nobody holds: of the server `base`, and of the file `source` unless that is
 * NULL; the oldest first. False = there is none. */
bool zk_zip_run_find(const char *dir, const char *base, const char *source,
                     struct zk_zip_run **ret) ZK_MUST_USE;

/* Reads what such a file holds: pure, for the tests. The slices of `ret` borrow `text`; their
 * texts are JSON strings' insides without escapes undone. False when it is none. */
struct zk_zip_run_text {
	uint64_t seq;
	zk_str json;
};
bool zk_zip_run_parse(zk_str text, struct zk_zip_run_text *ret);

#endif
