/* Waiting between two looks at something.
 * Layer: cmd. */
#include "cmd/pause.h"

#include "rt/loop.h"
#include "rt/stop.h"

#include "base/ban.h"

static void on_pause(void *ctx)
{
	struct pause *p = ctx;

	p->over = true;
}

static void on_drain(void *ctx)
{
	struct pause *p = ctx;

	p->over = p->stop = true;
	zk_stop_drained(p->app->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct pause *p = ctx;

	(void)expired;
	zk_stop_done(p->app->stop);
}

int pause_open(struct zk_app *app, struct pause *p, struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);
	struct zk_stop_conf conf = { .ctx = p, .drain = on_drain, .flush = on_flush };

	*p = (struct pause){ .app = app };
	if (!loop || !zk_app_stop(app, &conf, err))
		return -(int)err->code;
	p->timer = zk_timer_new(loop, on_pause, p);
	return 0;
}

void pause_close(struct pause *p)
{
	zk_timer_free(p->timer);
	p->timer = NULL;
}

void pause_for(struct pause *p, int64_t ms)
{
	if (p->stop)
		return;
	p->over = false;
	zk_timer_start(p->timer, ms, 0);
	zk_loop_until(p->app->loop, &p->over);
}
