/* Where `zk jetstream run` reads.
 * Layer: cmd. specs/jetstream.md §2, §19. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/jetstream_run.h"

#include "base/ban.h"

#define HOST_MAX 256

static zk_str redis_stream(const struct run *r)
{
	zk_str from = zk_str_of(r->o->jet.from);

	return zk_str_starts(from, ZK_STR("redis:")) ? zk_str_from(from, 6) : ZK_STR_NULL;
}

bool jet_run_from_redis(const struct run *r)
{
	return redis_stream(r).p != NULL;
}

/* The same after each start: what a crash left pending is its own. */
static char *consumer_name(const struct run *r)
{
	char host[HOST_MAX] = "";

	if (r->o->redis_consumer)
		return zk_strdup(r->o->redis_consumer);
	ZK_IGNORE(gethostname(host, sizeof(host) - 1) < 0); /* the folder is enough */
	return zk_asprintf("%s:%s", host, r->dir ? r->dir : "");
}

static int open_redis(struct run *r, const struct zk_jet_source_hooks *hooks,
                      struct zk_error *err)
{
	struct zk_jet_redis_source_conf conf = { .url = r->o->redis_url,
		                                 .stream = redis_stream(r).p,
		                                 .group = r->o->redis_group };
	char *consumer;
	int x;

	if (!conf.stream || !conf.stream[0] || !conf.group || !conf.group[0])
		return zk_fail(err, ZK_E_USAGE,
		               "--from redis:STREAM needs a stream and --group NAME");
	if (!r->store)
		return zk_fail(err, ZK_E_USAGE,
		               "--from redis:STREAM acknowledges what is stored: it does "
		               "not go with --no-store");
	consumer = consumer_name(r);
	conf.consumer = consumer;
	x = zk_jet_redis_source_new(r->loop, &conf, hooks, &r->source, err);
	free(consumer);
	return x;
}

int jet_run_source(struct run *r, struct zk_error *err)
{
	struct zk_jet_source_hooks hooks = zk_jet_pipe_hooks(r->pipe);
	struct zk_jet_place place = { 0 };
	char *source;
	int x;

	if (jet_run_from_redis(r)) {
		x = open_redis(r, &hooks, err);
	} else {
		source = r->o->jet.from ? zk_jet_file_label(r->o->jet.from)
		                        : zk_strdup("host");
		if (r->store)
			(void)zk_jet_store_place(r->store, source, &place);
		free(source);
		r->source = jet_source(r->app, &r->o->jet, &r->in, &place, &hooks, err);
		x = r->source ? 0 : -(int)err->code;
	}
	if (x == 0)
		zk_jet_pipe_attach(r->pipe, r->source);
	return x;
}
