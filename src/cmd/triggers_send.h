/* `zk triggers send`: what its parts share.
 * Layer: cmd, private to triggers_send*.c. */
#ifndef ZK_CMD_TRIGGERS_SEND_H
#define ZK_CMD_TRIGGERS_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "cmd/records.h"
#include "cmd/triggers_client.h"
#include "store/spool.h"
#include "triggers/draft.h"

struct zk_lines;
struct zk_loop;
struct zk_progress;
struct zk_stop;
struct zk_timer;

struct send_opts {
	struct trig_opts trig;
	const char *type, *idempotency, *resume;
	bool raw;
	int64_t linger_ms;
};

struct send {
	struct zk_app *app;
	const struct send_opts *o;
	struct trig_session s;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_progress *progress;
	char *const *paths; /* never empty: "-" alone is stdin */
	size_t n_paths;

	/* input */
	struct zk_lines *lines;
	struct zk_trig_draft_conf draft;
	struct zk_buf salt;
	const char *salt_of;        /* the source it was made for */
	char run[ZK_UUID_TEXT + 1]; /* the source that stdin counts as */
	bool checking;              /* this pass only checks */
	bool input_over, stopping, over;

	/* sending */
	struct zk_trig_sender *sender;
	bool sender_full, spool_full;
	bool down; /* the latest answer was none */

	/* spool */
	struct zk_spool *spool;
	struct zk_spool_target target;
	struct zk_list fresh;  /* --durable: to be stored before they are sent */
	struct zk_list unsent; /* to be stored because they could not be sent */
	int64_t *done_ids;     /* to be deleted */
	size_t n_done, room_done;
	struct zk_timer *again; /* the spool is full: another try */
	bool settling;

	/* files */
	struct zk_recfile receipts, rejects;
	struct zk_map proven; /* --resume: what needs not be sent */

	uint64_t read, sent, duplicates, rejected, spooled, skipped;
	int64_t start_ms;
	char first_reject[256];
	struct zk_error err; /* what ends it; code 0 = nothing */
	struct zk_error
	        lost; /* the gravest reason why something was not sent; code 0 = none */
};

/* ---- triggers_send.c ---- */

/* It cannot go on: no more input, what is under way is finished. */
void send_fail(struct send *s, const struct zk_error *err);
/* Something changed that may have been the last thing that was waited for. */
void send_check_over(struct send *s);
void send_pause(struct send *s);
/* The record will not be delivered: counts it, writes it to --rejects, frees it. `reason` is an
 * object of the server or text. */
void send_reject(struct send *s, struct zk_trig_record *rec, const char *code,
                 zk_str reason);

/* ---- triggers_send_spool.c ---- */

/* Opens the spool when it is not open. */
int send_spool_open(struct send *s, struct zk_error *err) ZK_MUST_USE;
/* At the end of this turn: stores fresh and unsent records, deletes delivered ones, writes the
 * files. */
void send_settle_soon(struct send *s);
/* The same now; what finds no room is rejected when `final`. */
void send_settle(struct send *s, bool final);
void send_spool_done_id(struct send *s, int64_t id);
void send_spool_close(struct send *s);

/* ---- triggers_send_files.c ---- */

int send_files_open(struct send *s, struct zk_error *err) ZK_MUST_USE;
int send_files_write(struct send *s, struct zk_error *err) ZK_MUST_USE;
void send_files_close(struct send *s);
void send_receipt(struct send *s, const struct zk_trig_record *rec, const char *result,
                  const struct zk_trig_answer *a);
/* A line in --rejects; `reason` as in send_reject. */
void send_reject_line(struct send *s, const struct zk_recline *line, const char *code,
                      zk_str reason);
bool send_is_proven(const struct send *s, const struct zk_trig_record *rec);

#endif
