/* The operators on a stream of events: filter, distinct, sample, debounce, skip, count, buffer.
 * Layer: cmd. Loop thread only. specs/zeal-zip.md §9. They stand in this order, whatever the order
 * of the options. */
#ifndef ZK_CMD_EVENTS_OPS_H
#define ZK_CMD_EVENTS_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "conf/opt.h"

struct zk_loop;
struct events_ops;

struct events_ops_opts {
	const char *filter, *distinct, *sample, *key;
	int64_t debounce_ms, every_ms;
	uint64_t skip, count, buffer;
};

/* Which events come out; `K` is the prefix of config keys: "events". */
#define EVENTS_PICK_ROWS(T, K)                                                        \
	{ .type = ZK_OPT_STR,                                                         \
	  .name = "filter",                                                           \
	  .conf = K ".filter",                                                        \
	  .meta = "EXPR",                                                             \
	  .off = offsetof(T, ops.filter),                                             \
	  .group = "Operators",                                                       \
	  .help = "only events for which this holds",                                 \
	  .text = "type=node.*, data.duration>100, with ! && || and parentheses." },  \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "distinct",                                                 \
		  .meta = "FIELD",                                                    \
		  .off = offsetof(T, ops.distinct),                                   \
		  .flags = ZK_OPT_NO_CONF,                                            \
		  .group = "Operators",                                               \
		  .help = "only the first event with each value of this",             \
		  .text = "The last 65,536 values are remembered. Events without it " \
		          "pass." },                                                  \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "sample",                                                   \
		  .meta = "N/M",                                                      \
		  .off = offsetof(T, ops.sample),                                     \
		  .flags = ZK_OPT_NO_CONF,                                            \
		  .group = "Operators",                                               \
		  .help = "only N of every M events, such as 1/100" },                \
	        { .type = ZK_OPT_UINT,                                                \
		  .name = "skip",                                                     \
		  .meta = "N",                                                        \
		  .max = INT64_MAX,                                                   \
		  .off = offsetof(T, ops.skip),                                       \
		  .flags = ZK_OPT_NO_CONF,                                            \
		  .group = "Operators",                                               \
		  .help = "pass over the first N events" },                           \
	        { .type = ZK_OPT_UINT,                                                \
		  .name = "count",                                                    \
		  .meta = "N",                                                        \
		  .max = INT64_MAX,                                                   \
		  .off = offsetof(T, ops.count),                                      \
		  .flags = ZK_OPT_NO_CONF,                                            \
		  .group = "Operators",                                               \
		  .help = "stop after so many events; 0 = never" },                   \
	{                                                                             \
		.type = ZK_OPT_UINT, .name = "buffer", .meta = "N", .max = 1000000,   \
		.off = offsetof(T, ops.buffer), .flags = ZK_OPT_NO_CONF,              \
		.group = "Operators", .help = "arrays of N events instead of events"  \
	}

/* And when: of events that come in their time. */
#define EVENTS_TIME_ROWS(T)                                                      \
	{ .type = ZK_OPT_DURATION,                                               \
	  .name = "debounce",                                                    \
	  .meta = "D",                                                           \
	  .min = 1,                                                              \
	  .max = 86400000,                                                       \
	  .off = offsetof(T, ops.debounce_ms),                                   \
	  .flags = ZK_OPT_NO_CONF,                                               \
	  .group = "Operators",                                                  \
	  .help = "only the last event before so long a silence",                \
	  .text = "With --key for each value of the key on its own." },          \
	{                                                                        \
		.type = ZK_OPT_DURATION, .name = "every", .meta = "D", .min = 1, \
		.max = 86400000, .off = offsetof(T, ops.every_ms),               \
		.flags = ZK_OPT_NO_CONF, .group = "Operators",                   \
		.help = "an array at the latest so long after its first event"   \
	}

struct events_ops_conf {
	const struct events_ops_opts *opts;
	struct zk_loop *loop;
	void *ctx;
	/* An event, or an array of `n` of them, borrowed, with the tags that they were pushed with. */
	void (*emit)(void *ctx, zk_str json, void *const *tags, size_t n);
	/* An event does not come out: an operator passed it over, or (`late`) it came after the last
	 * one of --count. May be NULL. */
	void (*drop)(void *ctx, void *tag, bool late);
	void (*enough)(void *ctx); /* --count is reached; once */
};

/* 0, or -ZK_E_USAGE. */
int events_ops_new(const struct events_ops_conf *conf, struct events_ops **ret,
                   struct zk_error *err) ZK_MUST_USE;
void events_ops_free(struct events_ops *o); /* NULL is fine */
/* One event, which the operators look at, and what comes out for it, which may be the same: JSON
 * that was checked, borrowed. `tag` is the owner's: it comes out by emit or drop once, unless
 * events_ops_free comes first. */
void events_ops_push(struct events_ops *o, zk_str json, zk_str shown, void *tag);
/* The end of the input: what waits comes out. */
void events_ops_flush(struct events_ops *o);

#endif
