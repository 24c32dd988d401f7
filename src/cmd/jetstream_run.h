/* `zk jetstream run`: its options and the parts that run together.
 * Layer: cmd, private to jetstream_run*.c. */
#ifndef ZK_CMD_JETSTREAM_RUN_H
#define ZK_CMD_JETSTREAM_RUN_H

#include "cmd/jetstream_opts.h"
#include "cmd/jetstream_s3.h"
#include "jetstream/archive.h"
#include "jetstream/fan.h"
#include "jetstream/mender.h"
#include "jetstream/sink_redis.h"
#include "jetstream/web.h"

struct run_opts {
	struct jet_opts jet;
	const char *store;
	bool no_store;
	struct zk_strlist sinks, listen, required;
	const char *admin;
	uint64_t batch;
	int64_t linger_ms;
	int durability, compress, when_full, repair;
	bool live_indexes, keep_plain, compat_metrics;
	int64_t rotate_ms, retention_ms;
	uint64_t rotate_bytes, max_bytes, min_free, limit;
	/* Redis */
	const char *redis_url, *redis_stream;
	const char *redis_group, *redis_consumer;
	uint64_t redis_maxlen, redis_partitions;
	int redis_fields, redis_id;
	struct jet_s3_opts s3;
	bool s3_keep_local;
};

extern const struct zk_opt zk_jetstream_run_rows[];

/* A follower and what is behind it; `free` frees both. */
struct jet_sink {
	struct zk_jet_follower *follower;
	void (*free)(void *ctx);
	void *ctx;
};

struct run {
	struct zk_app *app;
	struct run_opts *o;
	struct jet_input in;
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_stop *stop;
	struct zk_status *status;
	struct zk_out *out; /* of --no-store */
	char *dir;
	struct zk_jet_store *store;
	struct zk_jet_dead_file *dead;
	struct zk_jet_hydrator *hydrator;
	struct zk_jet_sessions *sessions;
	struct zk_jet_pipe *pipe;
	struct zk_jet_source *source;
	struct zk_jet_mender *mender; /* NULL without --repair auto */
	struct zk_timer *keep;        /* retention, once in a while */
	struct zk_progress *progress;
	struct {
		struct zk_timer *tick;
		double lag; /* a while ago */
		int64_t trend_ms;
		bool falling, rising;
	} show;
	struct jet_sink sinks[ZK_JET_FOLLOWERS_MAX];
	size_t n_sinks, n_fds, draining_sinks;
	int fds[ZK_JET_FOLLOWERS_MAX]; /* of file sinks */
	void (*drained)(struct run *r);
	struct zk_jet_redis *redis;
	struct zk_jet_archive *archive;
	struct zk_jet_fan *fan; /* NULL without a store */
	struct zk_jet_web *web;
	struct zk_buf config; /* what the page shows of it: JSON rows */
	struct zk_error err;
	int64_t start_us;
	bool started, over, draining, gap_stop, blocked;
};

/* jetstream_run_source.c */
bool jet_run_from_redis(const struct run *r);
int jet_run_source(struct run *r, struct zk_error *err) ZK_MUST_USE;
/* jetstream_run_sinks.c */
int jet_run_sinks(struct run *r, struct zk_error *err) ZK_MUST_USE;
void jet_run_sinks_done(struct run *r);
/* zk's own families as sinks; `name` as --sink has it, `where` what is behind the colon. */
int jet_run_triggers(struct run *r, const char *name, const char *where,
                     struct jet_sink *ret, struct zk_error *err) ZK_MUST_USE;
int jet_run_zerobus(struct run *r, const char *name, const char *where,
                    struct jet_sink *ret, struct zk_error *err) ZK_MUST_USE;
/* `n` rows more are in the store. */
void jet_run_kick(struct run *r, size_t n);
/* Whether every sink that reads the store has passed the file: it may be packed. */
bool jet_run_passed(void *run, const char *file);
/* Whether the archive has it too: it may be removed. */
bool jet_run_may_go(void *run, const char *file);
/* fn when all of them have caught up. */
void jet_run_drain_sinks(struct run *r, void (*fn)(struct run *r));
/* Reads it again, after the start or a reload. */
void jet_run_config(struct run *r);
int jet_run_web(struct run *r, struct zk_error *err) ZK_MUST_USE;
/* What the sinks have and what they lack, as of now. */
void jet_run_view_sinks(struct run *r, struct zk_jet_view *v);
/* jetstream_show.c: what people see. The line is there from `run` on; `done` before the loop ends. */
void jet_show_start(struct run *r);
void jet_show_run(struct run *r);
/* Brings it up to date; the state is told at once where there is no line. */
void jet_show_look(struct run *r);
int jet_show_summary(struct run *r, int status, struct zk_error *err) ZK_MUST_USE;
void jet_show_done(struct run *r);

#endif
