/* `zk triggers send`: what its parts share.
 * Layer: cmd, private to triggers_send*.c. */
#ifndef ZK_CMD_TRIGGERS_SEND_H
#define ZK_CMD_TRIGGERS_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/rand.h"
#include "cmd/ship.h"
#include "cmd/triggers_client.h"
#include "triggers/draft.h"

struct send_opts {
	struct trig_opts trig;
	const char *type, *idempotency, *resume;
	bool raw;
	int64_t linger_ms;
};

struct send {
	struct ship ship;
	struct zk_app *app;
	const struct send_opts *o;
	struct trig_session s;

	/* input */
	struct zk_trig_draft_conf draft;
	struct zk_buf salt;
	const char *salt_of;        /* the source it was made for */
	char run[ZK_UUID_TEXT + 1]; /* the source that stdin counts as */

	struct zk_trig_sender *sender;
	uint64_t duplicates;  /* among those acknowledged */
	struct zk_map proven; /* --resume: what needs not be sent */
};

/* ---- triggers_send_resume.c ---- */

/* Reads the receipts of --resume. */
int send_resume(struct send *s, struct zk_error *err) ZK_MUST_USE;
bool send_is_proven(const struct send *s, const struct zk_trig_record *rec);

#endif
