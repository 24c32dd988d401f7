/* `zk demo`: a tour on stand-ins of this machine; every number comes from the run.
 * Layer: cmd. ux.md §11. */
#include "cmd/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/stop.h"

#include "base/ban.h"

#define TICK_MS 5

static const struct demo_stage *const stages[] = { &zk_demo_zerobus, &zk_demo_triggers,
	                                           &zk_demo_jetstream,
	                                           &zk_demo_procwire };

struct demo_opts {
	const char *only;
	bool keep, json;
};

static const struct zk_opt demo_rows[] = {
	{ .type = ZK_OPT_STR,
	  .name = "only",
	  .meta = "STAGE",
	  .off = offsetof(struct demo_opts, only),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "just this stage" },
	{ .type = ZK_OPT_BOOL,
	  .name = "keep",
	  .off = offsetof(struct demo_opts, keep),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "stay up afterwards and say what to try" },
	{ .type = ZK_OPT_BOOL,
	  .name = "json",
	  .off = offsetof(struct demo_opts, json),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "print the facts as one JSON document" },
	ZK_OPT_END,
};

/* ---- waiting ------------------------------------------------------------------------------ */

struct waiting {
	struct zk_timer *timer;
	bool (*cond)(void *ctx);
	void *ctx;
	int64_t until_ms;
	bool over;
};

static void on_tick(void *ctx)
{
	struct waiting *w = ctx;

	w->over = w->cond(w->ctx) || zk_mono_ms() >= w->until_ms;
}

bool demo_wait(struct demo *d, bool (*cond)(void *ctx), void *ctx, int64_t ms)
{
	struct waiting w = { .cond = cond, .ctx = ctx, .until_ms = zk_mono_ms() + ms };

	w.timer = zk_timer_new(d->loop, on_tick, &w);
	zk_timer_start(w.timer, 0, TICK_MS);
	zk_loop_until(d->loop, &w.over);
	zk_timer_free(w.timer);
	return cond(ctx);
}

/* ---- the folder --------------------------------------------------------------------------- */

static int make_dir(struct demo *d, struct zk_error *err)
{
	const char *tmp = getenv("TMPDIR");
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot find this program");
	self[n] = '\0';
	d->self = zk_strdup(self);
	d->dir = zk_asprintf("%s/zk-demo.XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	if (!mkdtemp(d->dir)) {
		int e = errno;

		free(ZK_TAKE(d->dir));
		return zk_fail_errno(err, ZK_E_CREATE, e,
		                     "cannot make a temporary folder");
	}
	return 0;
}

char *demo_write_file(struct demo *d, const char *name, zk_str text, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", d->dir, name);
	int e = zk_file_put(path, O_EXCL, 0600, text);

	if (!e)
		return path;
	(void)zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path);
	free(path);
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(struct demo *d)
{
	if (d->dir)
		(void)nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(d->dir);
	free(d->self);
}

/* ---- the tour ----------------------------------------------------------------------------- */

struct tour {
	struct demo d;
	const struct demo_opts *o;
	void *state[ZK_ARRAY_LEN(stages)];
	struct zk_buf text; /* the JSON document */
	struct zk_jwrite facts;
	struct zk_stop *stop;
	int64_t start_us;
};

static int run_stage(struct tour *t, size_t i, struct zk_error *err)
{
	const struct demo_stage *s = stages[i];
	struct zk_buf line ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&line, 4096);
	zk_jw_key(&t->facts, s->name);
	zk_jw_obj(&t->facts);
	int r = s->run(&t->d, &t->state[i], &line, &t->facts, err);

	zk_jw_key(&t->facts, "ok");
	zk_jw_bool(&t->facts, r == 0);
	zk_jw_obj_end(&t->facts);
	if (r < 0)
		return zk_wrap(err, "stage %s", s->name);
	if (!t->o->json)
		(void)printf(" %zu %-10s %s\n   %-10s repeat it with: %s\n", i + 1,
		             s->name, zk_buf_cstring(&line), "", s->command);
	return fflush(stdout) == 0 ? 0 : zk_fail_errno(err, ZK_E_OUTPUT, errno, "stdout");
}

static int run_stages(struct tour *t, struct zk_error *err)
{
	bool found = false;

	for (size_t i = 0; i < ZK_ARRAY_LEN(stages); i++) {
		if (t->o->only && strcmp(t->o->only, stages[i]->name) != 0)
			continue;
		found = true;
		if (run_stage(t, i, err) < 0)
			return -(int)err->code;
	}
	return found ? 0 : zk_fail(err, ZK_E_USAGE, "there is no stage '%s'", t->o->only);
}

static void stop_stages(struct tour *t)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(stages); i++) {
		if (t->state[i])
			stages[i]->stop(&t->d, ZK_TAKE(t->state[i]));
	}
}

static void on_drain(void *ctx)
{
	struct tour *t = ctx;

	zk_stop_drained(t->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct tour *t = ctx;

	(void)expired;
	zk_stop_done(t->stop);
}

/* --keep: everything stays up until a signal comes. */
static int stay(struct tour *t, struct zk_error *err)
{
	struct zk_stop_conf conf = { .ctx = t, .drain = on_drain, .flush = on_flush };

	for (size_t i = 0; i < ZK_ARRAY_LEN(stages); i++) {
		if (t->state[i])
			stages[i]->invite(&t->d, t->state[i]);
	}
	(void)fprintf(stderr, "Ctrl-C ends it and removes everything.\n");
	t->stop = zk_app_stop(t->d.app, &conf, err);
	if (!t->stop)
		return -(int)err->code;
	zk_loop_run(t->d.loop);
	return 0;
}

static int tour_run(struct tour *t, struct zk_error *err)
{
	double seconds;

	if (make_dir(&t->d, err) < 0)
		return -(int)err->code;
	t->d.loop = zk_app_loop(t->d.app, err);
	t->d.net = t->d.loop ? zk_app_net(t->d.app, err) : NULL;
	if (!t->d.net || run_stages(t, err) < 0)
		return -(int)err->code;
	seconds = (double)(zk_mono_us() - t->start_us) / 1e6;
	if (t->o->keep && stay(t, err) < 0)
		return -(int)err->code;
	if (!t->o->json) {
		(void)printf("all sums match · %.1f s · everything removed\n", seconds);
		if (!t->o->keep)
			(void)printf("next: zk demo --keep (stay up, open the page)   zk "
			             "config "
			             "init   zk help quickstart\n");
	}
	return 0;
}

static int demo_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct tour t = { .d = { .app = app }, .o = opts, .start_us = zk_mono_us() };
	struct demo_opts *o = opts;

	(void)argc;
	(void)argv;
	t.d.keep = o->keep;
	zk_buf_init(&t.text, 1 << 20);
	zk_jwrite_init(&t.facts, &t.text);
	zk_jw_obj(&t.facts);
	int r = tour_run(&t, err);

	stop_stages(&t);
	remove_dir(&t.d);
	zk_jw_key(&t.facts, "seconds");
	zk_jw_double(&t.facts, (double)(zk_mono_us() - t.start_us) / 1e6);
	zk_jw_obj_end(&t.facts);
	zk_buf_char(&t.text, '\n');
	if (o->json && zk_print(zk_buf_str(&t.text), err) < 0)
		r = -(int)err->code;
	zk_buf_done(&t.text);
	return r;
}

const struct zk_cmd zk_cmd_demo = {
	.path = "demo",
	.section = "Operate",
	.help = "see the whole product work in 30 s, without an account",
	.about = "Starts the real servers on free ports of this machine with a database "
	         "in a temporary "
	         "folder, works with them and counts. Nothing leaves the machine, "
	         "nothing stays.",
	.examples = "zk demo\n"
	            "zk demo --keep\n"
	            "zk demo --only triggers --json",
	.output = "one line per stage, or one JSON document",
	.exits = "0 all sums match · 70 they do not · 71 · 75",
	.see = "zk help quickstart",
	.opts = demo_rows,
	.opts_size = sizeof(struct demo_opts),
	.flags = ZK_CMD_NO_CONFIG,
	.run = demo_run,
};
