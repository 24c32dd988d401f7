/* What changes in the graphs of workflows, event by event.
 * Layer: cmd. */
#include "cmd/events_diff.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/events.h"
#include "zip/updates.h"
#include "zip/watch.h"

#include "base/ban.h"

struct events_diff {
	struct events_diff_conf conf;
	struct zk_zip_watch *watch;
	struct zk_zip_updates *updates; /* NULL: it may not be asked */
	int64_t began_ms;               /* wall */
};

static int64_t since_ms(void *ctx, size_t i)
{
	struct events_diff *d = ctx;
	int64_t seen = zk_zip_watch_seen_ms(d->watch,
	                                    zk_str_of(d->conf.events->conf.workflows[i]));

	if (!d->conf.is_deaf(d->conf.ctx, i))
		return -1;
	/* The server's own clock as soon as it showed it. */
	return seen ? seen : d->began_ms;
}

static void on_update(void *ctx, zk_str update)
{
	struct events_diff *d = ctx;

	(void)zk_zip_watch_update(d->watch, update, d->conf.on_event, d->conf.ctx);
}

static void on_answer(void *ctx)
{
	struct events_diff *d = ctx;

	d->conf.on_answer(d->conf.ctx);
}

static void on_failure(void *ctx, const struct zk_error *err)
{
	struct events_diff *d = ctx;

	d->conf.on_failure(d->conf.ctx, err);
}

struct events_diff *events_diff_new(const struct events_diff_conf *conf)
{
	struct events_diff *d = zk_new0(struct events_diff);
	struct zk_zip *zip = conf->events->zeal.zip;
	struct zk_zip_updates_conf updates = { .zip = zip,
		                               .workflows = conf->events->conf.workflows,
		                               .n_workflows =
		                                       conf->events->conf.n_workflows,
		                               .every_ms = conf->every_ms,
		                               .ctx = d,
		                               .since_ms = since_ms,
		                               .on_update = on_update,
		                               .on_answer = on_answer,
		                               .on_failure = on_failure };

	d->conf = *conf;
	d->watch = zk_zip_watch_new();
	d->began_ms = zk_wall_us() / 1000;
	if (zk_zip_compat(zip))
		d->updates = zk_zip_updates_new(&updates);
	return d;
}

void events_diff_free(struct events_diff *d)
{
	if (!d)
		return;
	zk_zip_updates_free(d->updates);
	zk_zip_watch_free(d->watch);
	free(d);
}

void events_diff_state(struct events_diff *d, zk_str state)
{
	ZK_IGNORE(zk_zip_watch_state(d->watch, state, d->conf.on_event, d->conf.ctx));
}

bool events_diff_ask(struct events_diff *d)
{
	if (d->updates)
		zk_zip_updates_wake(d->updates);
	return d->updates != NULL;
}
