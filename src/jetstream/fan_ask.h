/* What a client of /ws asks for: its query, and its later messages.
 * Layer: jetstream. Pure. specs/jetstream.md §3.1, §3.2, §15.4. */
#ifndef ZK_JETSTREAM_FAN_ASK_H
#define ZK_JETSTREAM_FAN_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "jetstream/filter.h"

struct zk_jet_ask {
	struct zk_jet_filter filter;
	bool filtered;    /* it lets less than everything pass */
	int64_t since_us; /* 0 = from now on */
};

/* Reads a query (without '?'). 0, or -ZK_E_USAGE; zk_jet_ask_done is needed after 0 only. */
int zk_jet_ask_read(struct zk_jet_ask *a, zk_str query, struct zk_error *err) ZK_MUST_USE;
/* A text from the client. 0 also for one of another type; -ZK_E_JSON (or -ZK_E_UTF8, -ZK_E_LIMIT,
 * -ZK_E_DATA) for what is no options_update, -ZK_E_USAGE for options that cannot be: nothing
 * changed then. */
int zk_jet_ask_update(struct zk_jet_ask *a, zk_str message,
                      struct zk_error *err) ZK_MUST_USE;
void zk_jet_ask_done(struct zk_jet_ask *a);

#endif
