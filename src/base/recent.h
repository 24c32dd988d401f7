/* The last errors and warnings with a code that were logged, for status pages.
 * Layer: base. Any thread. */
#ifndef ZK_BASE_RECENT_H
#define ZK_BASE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ZK_RECENT_ERRORS 20

struct zk_recent_error {
	int64_t at_us; /* wall */
	int code;
	char logger[16], msg[100], error[240]; /* redacted; cut where they are longer */
};

/* Copies them, the newest first; how many. */
size_t zk_recent_errors(struct zk_recent_error out[ZK_RECENT_ERRORS]);
/* `text` without the secrets that are known, cut to `room` with its NUL, not inside of a character. */
void zk_recent_text(char *to, size_t room, zk_str text);

#endif
