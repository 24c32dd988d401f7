/* Works through followed events one after the other: prints, runs a command, forwards,
 * acknowledges. Shared by `triggers inbox --follow` and `triggers listen`.
 * Layer: cmd. */
#ifndef ZK_CMD_TRIGGERS_WORK_H
#define ZK_CMD_TRIGGERS_WORK_H

#include <stdbool.h>

#include "base/err.h"
#include "cmd/triggers_client.h"
#include "rt/out.h"

struct trig_work_conf {
	const char *query, *after; /* as zk_trig_follow_conf */
	bool print;                /* each event as a row on stdout */
	const char *exec;          /* shell command per event; NULL = none */
	const char *forward;       /* URL; NULL = none */
	zk_str secret;             /* signs what is forwarded */
	bool ack;    /* acknowledge what was printed, or what command or URL took */
	bool report; /* one line per event on stderr */
	int64_t exec_timeout_ms; /* 0 = none */
};

/* What a table shows of an event. */
#define TRIG_EVENT_COLS 6
extern const struct zk_out_col trig_event_cols[TRIG_EVENT_COLS];

/* Until a signal or a lasting failure. Returns an exit status or a negative code. */
int trig_work(struct trig_session *s, const struct trig_work_conf *conf,
              struct zk_error *err);

#endif
