/* What is done with each received event: printed, given to a command, or posted on; retried, and
 * set aside when it cannot be done. Shared by `webhook listen`, `webhook replay` and `events tail`.
 * Layer: cmd. specs/zeal-zip.md §8.4. */
#ifndef ZK_CMD_WEBHOOK_WORK_H
#define ZK_CMD_WEBHOOK_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "codec/digest.h"
#include "rt/work.h"

struct zk_child;
struct zk_http;
struct hook_work;

/* The options. */
struct hook_work_opts {
	const char *exec, *forward, *key, *dead_letter;
	uint64_t jobs;
	int64_t exec_timeout_ms;
	bool deliveries; /* what is printed is the delivery, by hook_work_print */
	bool ordered;    /* what commands print comes in the order of the events */
};

/* `K` is the prefix of their config keys: "webhook". */
#define HOOK_WORK_ROWS(T, K)                                                          \
	{ .type = ZK_OPT_STR,                                                         \
	  .name = "exec",                                                             \
	  .conf = K ".exec",                                                          \
	  .meta = "COMMAND",                                                          \
	  .off = offsetof(T, work.exec),                                              \
	  .flags = ZK_OPT_TRUST,                                                      \
	  .group = "Work",                                                            \
	  .help = "run this for each event, with the event on stdin" },               \
	        { .type = ZK_OPT_URL,                                                 \
		  .name = "forward",                                                  \
		  .conf = K ".forward",                                               \
		  .meta = "URL",                                                      \
		  .off = offsetof(T, work.forward),                                   \
		  .group = "Work",                                                    \
		  .help = "post each event there instead" },                          \
	        { .type = ZK_OPT_UINT,                                                \
		  .name = "jobs",                                                     \
		  .conf = K ".jobs",                                                  \
		  .meta = "N",                                                        \
		  .def = "1",                                                         \
		  .min = 1,                                                           \
		  .max = 1024,                                                        \
		  .off = offsetof(T, work.jobs),                                      \
		  .group = "Work",                                                    \
		  .help = "commands or posts at once" },                              \
	        { .type = ZK_OPT_STR,                                                 \
		  .name = "key",                                                      \
		  .conf = K ".key",                                                   \
		  .meta = "FIELD",                                                    \
		  .off = offsetof(T, work.key),                                       \
		  .group = "Work",                                                    \
		  .help = "events with the same value here one after the other",      \
		  .text = "A path such as workflowId or data.id. Without it any two " \
		          "events "                                                   \
		          "may run at once." },                                       \
	        { .type = ZK_OPT_DURATION,                                            \
		  .name = "exec-timeout",                                             \
		  .conf = K ".exec_timeout",                                          \
		  .meta = "D",                                                        \
		  .def = "5m",                                                        \
		  .min = 100,                                                         \
		  .max = 7LL * 86400 * 1000,                                          \
		  .off = offsetof(T, work.exec_timeout_ms),                           \
		  .group = "Work",                                                    \
		  .help = "a command that takes longer is stopped and counts as "     \
		          "failed" },                                                 \
	{                                                                             \
		.type = ZK_OPT_PATH, .name = "dead-letter", .conf = K ".dead_letter", \
		.meta = "FILE", .off = offsetof(T, work.dead_letter),                 \
		.flags = ZK_OPT_TRUST, .complete = "file", .group = "Work",           \
		.help = "append events that were given up, with the reason"           \
	}

/* Where events come one after the other. */
#define HOOK_WORK_ORDERED_ROW(T, K)                                             \
	{                                                                       \
		.type = ZK_OPT_BOOL, .name = "ordered", .conf = K ".ordered",   \
		.off = offsetof(T, work.ordered), .group = "Work",              \
		.help = "what commands print comes in the order of the events", \
	}

/* One event; embedded in, or beside, its owner's record. Texts are borrowed. */
struct hook_item {
	struct zk_task task;
	zk_str json, id, type, workflow, node, session;
	int64_t seq;
	unsigned attempts;
	struct hook_work *work;
	struct zk_child *child;
	struct zk_http *http;
	/* With opts.ordered: its place among the others, what its command printed, how it ended. */
	struct zk_list order;
	struct zk_buf output;
	int end; /* enum hook_end, or -1 */
	char *why;
};

enum hook_end { HOOK_DONE, HOOK_FAILED, HOOK_STOPPED };

/* An item with copies of an event, for those who do not keep the event themselves; `id` (n == 0:
 * that of the event) names it. */
struct hook_item *hook_item_new(zk_str json, zk_str id);
void hook_item_free(struct hook_item *item);

struct hook_work_conf {
	const struct hook_work_opts *opts;
	size_t high;
	zk_str secret; /* signs what is forwarded; n == 0 = not */
	void *ctx;
	void (*over)(void *ctx, struct hook_item *item, enum hook_end end,
	             const char *why);
	void (*on_room)(void *ctx); /* as zk_work_conf */
	void (*on_idle)(void *ctx);
	void (*on_fatal)(void *ctx, const struct zk_error *err); /* stdout failed */
};

struct hook_work_stats {
	uint64_t done, failed, retried;
};

/* Options that contradict each other: 0, or -ZK_E_USAGE. */
int hook_work_check(const struct hook_work_opts *o, struct zk_error *err) ZK_MUST_USE;
int hook_work_new(struct zk_app *app, const struct hook_work_conf *conf,
                  struct hook_work **ret, struct zk_error *err) ZK_MUST_USE;
/* Items that are not over end with HOOK_STOPPED. NULL is fine. */
void hook_work_free(struct hook_work *w);
/* Takes the item until `over`. False = pause until on_room. */
bool hook_work_push(struct hook_work *w, struct hook_item *item);
/* Prints a row of its own (with opts.deliveries). */
void hook_work_print(struct hook_work *w, zk_str json);
size_t hook_work_count(const struct hook_work *w);
void hook_work_hurry(struct hook_work *w);
/* The reader of stdout is gone. */
bool hook_work_closed(const struct hook_work *w);
void hook_work_get_stats(const struct hook_work *w, struct hook_work_stats *ret);

#endif
