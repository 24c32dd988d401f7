/* Records from inputs to a server: what the commands that send records share. Lines are read and
 * checked, the family's sender delivers them, the spool keeps what could not be delivered; with
 * receipts, rejects, sums, progress and signals (ux.md §8).
 * Layer: cmd. Loop thread; writing files and the spool blocks.
 *
 *	ship_init(&s, app, &ops, ctx);
 *	ship_inputs(&s, argc, argv);
 *	ship_check_options(…), ship_open(…), ship_check_files(…)   or ship_dry_run(…)
 *	make the sender
 *	ship_run(…)                      until all is settled
 *	status = ship_result(…), ship_summary(…)
 *	free the sender
 *	ship_done(&s)
 */
#ifndef ZK_CMD_SHIP_H
#define ZK_CMD_SHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cmd/records.h"
#include "store/spool.h"

struct zk_lines;
struct zk_stop;
struct zk_timer;

/* Longest line of an input (ux.md §6). */
#define SHIP_LINE_MAX ((size_t)16 << 20)
/* What ship_ops.put may append for one record. */
#define SHIP_PUT_TEXT 256

/* What a family gives. A record is known by the zk_list in it; whoever takes one frees it. */
struct ship_ops {
	/* A line: takes it, or says what is wrong with it. In a pass that only checks
	 * (ship.checking) it is looked at and no more. */
	int (*line)(void *ctx, const struct zk_recline *line, struct zk_error *err);
	/* The pass over the inputs begins anew; may be NULL. */
	void (*rewind)(void *ctx);

	/* The sender: nothing waits for a batch to fill any more; everything is unsent with
	 * `err` now; whether something is under way. */
	void (*flush)(void *ctx);
	void (*abort)(void *ctx, const struct zk_error *err);
	bool (*is_busy)(void *ctx);

	/* The record as the spool keeps it. Key and meta point into the record, or into what
	 * was appended to `text`: at most SHIP_PUT_TEXT bytes, which do not move. */
	void (*put)(void *ctx, struct zk_list *rec, struct zk_buf *text,
	            struct zk_spool_put *ret);
	/* To the sender: a record of `fresh` that is in the spool now (`spool_id`; 0 = it is
	 * somebody else's there), or one of `unsent` that found no room (0). */
	void (*send)(void *ctx, struct zk_list *rec, int64_t spool_id);
	/* The spool keeps it, for a later flush. */
	void (*kept)(void *ctx, struct zk_list *rec, int64_t spool_id);
	/* It cannot be kept: ship_refuse(), and free it. */
	void (*reject)(void *ctx, struct zk_list *rec, const char *code, zk_str reason);
	/* Once per turn, after spool and files have what happened and before delivered
	 * records leave the spool; may be NULL. */
	void (*settled)(void *ctx);
};

struct ship {
	struct zk_app *app;
	const struct ship_ops *ops;
	void *ctx;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_progress *progress;

	/* input */
	char *const *paths; /* never empty: "-" alone is stdin */
	size_t n_paths;
	/* Reads all inputs in some other way than by lines, calling ship_line(); NULL. */
	int (*read_all)(void *ctx, struct zk_error *err);
	struct zk_lines *lines;
	const char *
	        kind; /* a word for the reason of a line that is being refused, or NULL */
	bool checking; /* this pass only checks */
	bool input_over, stopping, over;

	/* sending */
	bool sender_full, spool_full;
	bool down; /* the latest answer was none */

	/* spool: `target` is set by the family before the first record */
	struct zk_spool *spool;
	struct zk_spool_target target;
	struct zk_list fresh;  /* --durable: to be stored before they are sent */
	struct zk_list unsent; /* to be stored because they could not be sent */
	int64_t *done_ids;     /* to be deleted */
	size_t n_done, room_done;
	struct zk_timer *again; /* the spool is full: another try */
	bool settling, final;

	struct zk_recfile receipts, rejects;
	bool keep_rejects; /* those of an earlier run */

	uint64_t read, acked, rejected, spooled, skipped;
	int64_t start_ms;
	char first_reject[256];
	struct zk_error err; /* what ends it; code 0 = nothing */
	struct zk_error
	        lost; /* the gravest reason why something was not sent; code 0 = none */
};

/* Nothing fails; ship_done in any case. */
void ship_init(struct ship *s, struct zk_app *app, const struct ship_ops *ops, void *ctx);
/* After the sender was freed. */
void ship_done(struct ship *s);
/* FILE..., or stdin. */
void ship_inputs(struct ship *s, int argc, char **argv);

/* Whether the options of the spool go together. */
int ship_check_options(const struct ship *s, struct zk_error *err) ZK_MUST_USE;
/* The loop and the clock. */
int ship_open(struct ship *s, struct zk_error *err) ZK_MUST_USE;
/* Bad lines of files are found before anything is sent; a pipe cannot be read twice. */
int ship_check_files(struct ship *s, struct zk_error *err) ZK_MUST_USE;
/* Reads, checks, says what would go to `dest`: an exit status, or a negative code. */
int ship_dry_run(struct ship *s, const char *dest, struct zk_error *err);
/* Opens --receipts and --rejects, reads, turns the loop until all is settled. 0, or why it could not begin; failures on the way are in
 * ship.err and ship.lost. */
int ship_run(struct ship *s, const char *title, struct zk_error *err) ZK_MUST_USE;
/* The end: an exit status, or a negative code with `err` filled; the sums are checked. */
int ship_result(struct ship *s, struct zk_error *err);
/* `r` and `err` as ship_result gave them; `acked_word` as zk_sums has it, `text` and `more` as
 * zk_summary has them. The first reject is appended to `more`. */
struct ship_words {
	const char *title, *text, *more, *acked_word;
};
void ship_summary(struct ship *s, int r, const struct zk_error *err,
                  const struct ship_words *w);

/* ---- for the family's callbacks ---- */

/* One line (of read_all). */
void ship_line(struct ship *s, const struct zk_recline *line, bool too_long);
/* It cannot go on: no more input, what is under way is finished. */
void ship_fail(struct ship *s, const struct zk_error *err);
/* Something changed that may have been the last thing that was waited for. */
void ship_check_over(struct ship *s);
/* Reads on, unless the sender or the spool is full. */
void ship_read_on(struct ship *s);
/* Callbacks for a sender; `ctx` is the ship, or a struct that begins with it. It has enough (true),
 * or wants more; it has nothing left; and before another attempt, for people and the status
 * channel. */
void ship_on_pause(void *ctx, bool pause);
void ship_on_idle(void *ctx);
void ship_on_wait(void *ctx, unsigned attempt, unsigned max, int64_t wait_ms,
                  const struct zk_error *err);
/* An answer came: what is down is up again. */
void ship_answered(struct ship *s);
/* The server could not be reached: what that means for the result, and for people. */
void ship_lost(struct ship *s, const struct zk_error *err);
/* The record was not sent: to the spool, where it may be already (`spool_id`); without a spool it
 * is rejected. ship_lost() was called before. */
void ship_unsent(struct ship *s, struct zk_list *rec, int64_t spool_id);
/* The line will not be delivered: counts it, writes it to --rejects. `reason` is a JSON object of
 * a server, or text. Without a rejects file a record of the spool stays there, as failed. */
void ship_refuse(struct ship *s, const struct zk_recline *line, int64_t spool_id,
                 const char *code, zk_str reason);
/* It is delivered: the spool may forget it; 0 = it is not there. */
void ship_forget(struct ship *s, int64_t spool_id);

/* A line of --receipts. */
struct ship_receipt {
	const char *file; /* "-" = stdin */
	uint64_t line, offset;
	const char *source; /* what stands for stdin in keys; NULL = nothing does */
	zk_str key;         /* JSON; empty = none */
	const char *result;
	zk_str remote_id;  /* text; empty = none */
	unsigned attempts; /* requests that it was part of */
	int64_t since_ms; /* when it came, on the clock of the loop; 0 = it was not sent */
};
static inline bool ship_has_receipts(const struct ship *s)
{
	return s->receipts.fd >= 0;
}
void ship_receipt(struct ship *s, const struct ship_receipt *r);

/* ---- the spool (ship_spool.c) ---- */

/* Opens it when it is not open. */
int ship_spool_open(struct ship *s, struct zk_error *err) ZK_MUST_USE;
/* At the end of this turn: stores unsent and fresh records, writes the files, deletes what was
 * delivered. */
void ship_settle_soon(struct ship *s);
/* The same now. `final`: nothing is sent any more, what finds no room is rejected. */
void ship_settle(struct ship *s, bool final);
void ship_spool_done(struct ship *s);

#endif
