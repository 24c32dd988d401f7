/* What people see on stderr while a command works: a bar, plain lines, the summary
 * (ux.md §3, §8, §9).
 * Layer: rt. Loop thread only. Log lines appear above the bar. */
#ifndef ZK_RT_PROGRESS_H
#define ZK_RT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_jwrite;
struct zk_loop;
struct zk_progress;
struct zk_status;

/* The values of --progress. */
enum zk_progress_mode {
	ZK_PROGRESS_AUTO,
	ZK_PROGRESS_BAR,
	ZK_PROGRESS_PLAIN,
	ZK_PROGRESS_NONE
};

struct zk_progress_conf {
	int mode;            /* enum zk_progress_mode */
	bool quiet, verbose; /* -q, -v */
	bool color;
	const char *title; /* "main.default.air_quality" */
	const char *unit;  /* "rows" */
	struct zk_status
	        *status; /* gets `progress` lines, at most one a second; NULL = none */
	/* Further members of these lines; may be NULL. */
	void (*more)(void *ctx, struct zk_jwrite *w);
	void *ctx;
};

struct zk_progress *zk_progress_new(struct zk_loop *loop,
                                    const struct zk_progress_conf *conf);
/* Removes the bar. NULL is fine. */
void zk_progress_free(struct zk_progress *p);

/* Never draws at once: at most ten times a second (plain: every 30 s, and when the state
 * changes). `total` 0 = not known. */
void zk_progress_set(struct zk_progress *p, uint64_t done, uint64_t total);
/* A further figure: "acked", "59,856"; figures vanish from the right when the terminal is
 * narrow. The same name replaces; a NULL value removes. */
void zk_progress_note(struct zk_progress *p, const char *name, const char *value);
/* The same for a figure that speaks for itself: it is shown without its name. */
void zk_progress_fact(struct zk_progress *p, const char *name, const char *value);
/* The word of the state: "connecting", "live", "draining"; NULL = none. */
void zk_progress_state(struct zk_progress *p, const char *state);
/* What stands beside it, and changes without a change of the state: "lag 0.4s"; NULL = none. */
void zk_progress_aside(struct zk_progress *p, const char *text);
/* Something is waited for (ux.md §0 rule 7): "stream closed by server, attempt 2 of 5 in
 * 1.6 s", shown until the next progress; NULL = over. */
void zk_progress_wait(struct zk_progress *p, const char *text);

/* A line for people on stderr (above the bar when there is one), redacted. With
 * --log-format json it is a log line at level notice. */
void zk_say(const char *fmt, ...) ZK_PRINTF(1, 2);

/* ---- the end ---- */

/* What became of the records: read = acked + rejected + spooled + skipped (ux.md §8). */
struct zk_sums {
	uint64_t read, acked, rejected, spooled, skipped;
	const char *acked_word; /* NULL = "acked" */
};

/* 0, or -ZK_E_SUMS when they do not match. */
int zk_sums_check(const struct zk_sums *s, struct zk_error *err) ZK_MUST_USE;

struct zk_summary {
	const char *title; /* may be NULL */
	const char *text;  /* "99,998 rows in 8.2 s"; may be NULL */
	const char *more;  /* a last line, may be NULL */
	struct zk_sums sums;
	int exit; /* of the command; the others' sake: it is shown when not 0 */
};

/* Prints the summary when somebody looks (stderr is a terminal, CI is set, -v, or the
 * exit status is not 0; never with -q and status 0) and writes the `summary` line of
 * the status channel in any case. */
void zk_progress_summary(struct zk_progress *p, const struct zk_summary *s);

/* "61,904" into `out`; returns it. */
const char *zk_group_digits(uint64_t v, char out[32]);

#endif
