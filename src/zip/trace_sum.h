/* What `zk trace complete` says of a session: the sums of what was pushed, kept in a small local
 * file from command to command (specs/zeal-zip.md §6.5, §6.8).
 * Layer: zip. Loop thread; files block. */
#ifndef ZK_ZIP_TRACE_SUM_H
#define ZK_ZIP_TRACE_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

struct zk_buf;
struct zk_zip_event;

#define ZK_ZIP_SUM_NODES  100000 /* more are not told apart */
#define ZK_ZIP_SUM_RECENT 16

struct zk_zip_sum {
	struct zk_map nodes; /* raw name to its state */
	/* Those that came lately: most runs have a few nodes, which take turns. */
	struct zk_zip_sum_recent {
		char name[56];
		size_t n;
		void *node;
	} recent[ZK_ZIP_SUM_RECENT];
	uint64_t more; /* events of nodes beyond the limit */
	double bytes;
	int64_t start_ms;          /* of the session, 0 = unknown */
	int64_t first_ms, last_ms; /* times of events */
	char workflow[256];
};

void zk_zip_sum_init(struct zk_zip_sum *s);
void zk_zip_sum_done(struct zk_zip_sum *s);
void zk_zip_sum_add(struct zk_zip_sum *s, const struct zk_zip_event *e);
uint64_t zk_zip_sum_failed(const struct zk_zip_sum *s);
/* The object "summary" of the request that completes the session. */
void zk_zip_sum_format(const struct zk_zip_sum *s, int64_t now_ms, struct zk_buf *b);

/* Appends what was added to the file, in one write. 0 or -ZK_E_CREATE. */
int zk_zip_sum_save(const struct zk_zip_sum *s, const char *path,
                    struct zk_error *err) ZK_MUST_USE;
/* Adds what files of such writes hold; a missing file is an empty one, what cannot be read in it
 * is left out. */
void zk_zip_sum_load(struct zk_zip_sum *s, const char *path);
/* Adds the lines of such a file. */
void zk_zip_sum_parse(struct zk_zip_sum *s, zk_str text);

#endif
