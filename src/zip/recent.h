/* The ids met lately: at most so many, for at most so long.
 * Layer: zip. One thread. specs/zeal-zip.md §8.3 [T 24]. */
#ifndef ZK_ZIP_RECENT_H
#define ZK_ZIP_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct zk_zip_recent;

/* `max` ids (0 = 65,536), each for `max_ms` (0 = one hour). */
struct zk_zip_recent *zk_zip_recent_new(size_t max, int64_t max_ms);
void zk_zip_recent_free(struct zk_zip_recent *s); /* NULL is fine */
/* True when `id` is new at `now_ms` (monotonic); it is remembered then. */
bool zk_zip_recent_add(struct zk_zip_recent *s, zk_str id, int64_t now_ms);

#endif
