/* `zk trace replay`: the events of a session in time.
 * Layer: cmd. specs/zeal-zip.md §6.7. */
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/trace.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "zip/trace_detail.h"
#include "zip/trace_session.h"

#include "base/ban.h"

#define MAX_EVENT ((size_t)256 << 20)

struct replay_opts {
	struct zeal_opts zeal;
	double speed;
	bool to_events;
};

struct replay {
	const struct replay_opts *o;
	struct zk_loop *loop;
	struct zk_out *out;
	struct zk_row row;
	struct zk_buf workflow; /* its id, raw */
	/* The events, one after the other, each behind its length: the server would not wait as
	 * long as they take, and nobody knows how many there are. */
	FILE *events;
	struct zk_buf event; /* the one that is played */
	bool due;
};

static int64_t number(zk_str event, const char *path)
{
	struct zk_jval v;
	double d;

	return zk_jscan_get(event, zk_str_of(path), &v) && v.type == ZK_J_NUMBER &&
	                       zk_jnum_double(v.raw, &d) && d >= 0 && d < 0x1p53
	               ? (int64_t)d
	               : 0;
}

static int collect(void *ctx, zk_str event, struct zk_error *err)
{
	struct replay *p = ctx;

	if (fwrite(&event.n, sizeof(event.n), 1, p->events) == 1 &&
	    fwrite(event.p, 1, event.n, p->events) == event.n)
		return 0;
	return zk_fail_errno(err, ZK_E_OUTPUT, errno, "cannot keep the events");
}

/* The next event into p->event: 1, 0 at the end. */
static int next(struct replay *p, struct zk_error *err)
{
	size_t n;
	char *room;

	if (fread(&n, sizeof(n), 1, p->events) != 1)
		return ferror(p->events) ? zk_fail_errno(err, ZK_E_OUTPUT, errno,
		                                         "cannot read the events again")
		                         : 0;
	zk_buf_clear(&p->event);
	room = zk_buf_reserve(&p->event, n);
	if (!room)
		return zk_buf_check(&p->event, err);
	if (fread(room, 1, n, p->events) != n)
		return zk_fail_errno(err, ZK_E_OUTPUT, errno,
		                     "cannot read the events again");
	p->event.n = n;
	return 1;
}

/* ---- --to-events ------------------------------------------------------------------------------ */

static const char *type_of(zk_str event)
{
	static const struct {
		const char *kind, *type;
	} types[] = {
		{ "input", "node.executing" },
		{ "output", "node.completed" },
		{ "error", "node.failed" },
		{ "log", "node.warning" },
	};
	struct zk_jval v;

	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++)
		if (zk_jscan_get(event, ZK_STR("eventType"), &v) &&
		    zk_jstr_eq(v.raw, zk_str_of(types[i].kind)))
			return types[i].type;
	return "node.warning";
}

/* What `zk events emit -` reads: the time is that of the emission. */
static zk_str runtime_event(struct replay *p, zk_str event)
{
	struct zk_row *r = &p->row;
	struct zk_jval v;

	zk_row_cstr(r, "type", type_of(event));
	zk_row_raw(r, "workflowId", zk_buf_str(&p->workflow));
	zk_row_time(r, "timestamp", zk_wall_us());
	if (zk_jscan_get(event, ZK_STR("nodeId"), &v))
		zk_row_raw(r, "nodeId", v.raw);
	if (zk_jscan_get(event, ZK_STR("data"), &v) && v.type == ZK_J_OBJECT) {
		struct zk_buf data ZK_CLEANUP(zk_buf_done) = { 0 };

		zk_buf_init(&data, v.raw.n + 64);
		zk_buf_printf(&data, "{\"outputSize\":%lld,\"trace\":",
		              (long long)number(event, "data.size"));
		zk_buf_add(&data, v.raw);
		zk_buf_char(&data, '}');
		zk_row_raw(r, "data", zk_buf_str(&data));
	}
	return zk_row_end(r);
}

/* The workflow stands in the detail only. */
static int learn_workflow(struct replay *p, struct zk_zip *zip, const char *session,
                          struct zk_error *err)
{
	struct zk_zip_detail d;
	struct zk_jval v;

	zk_zip_detail_init(&d);
	int r = zk_zip_session_read(zip, session, /* replay */ false, &d, err);

	if (r == 0 && (!zk_jscan_get(zk_buf_str(&d.head), ZK_STR("workflowId"), &v) ||
	               v.type != ZK_J_STRING))
		r = zk_fail(err, ZK_E_PROTOCOL, "the execution names no workflow");
	if (r == 0)
		zk_buf_add(&p->workflow, v.raw);
	zk_zip_detail_done(&d);
	return r;
}

/* ---- in time ---------------------------------------------------------------------------------- */

static void on_due(void *ctx)
{
	struct replay *p = ctx;

	p->due = true;
}

static void wait_for(struct replay *p, struct zk_timer *t, int64_t begin_ms,
                     int64_t at_ms)
{
	int64_t due;

	if (p->o->speed <= 0)
		return;
	due = begin_ms + (int64_t)((double)at_ms / p->o->speed);
	if (due <= zk_mono_ms())
		return;
	p->due = false;
	zk_timer_start(t, due - zk_mono_ms(), 0);
	zk_loop_until(p->loop, &p->due);
}

static int play(struct replay *p, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .noun = "events",
		                                   .open = true };
	struct zk_timer *t = zk_timer_new(p->loop, on_due, p);
	int64_t begin = zk_mono_ms();
	int r = zk_out_begin(p->out, &shape, err);

	while (r == 0 && !zk_out_closed(p->out)) {
		zk_str event;

		r = next(p, err);
		if (r <= 0)
			break;
		event = zk_buf_str(&p->event);
		wait_for(p, t, begin, number(event, "relativeTime"));
		r = zk_out_row(p->out, p->o->to_events ? runtime_event(p, event) : event,
		               err);
		if (r == 0)
			r = zk_out_flush(p->out, err);
	}
	zk_timer_free(t);
	return r == 0 ? zk_out_end(p->out, err) : r;
}

static int replay(struct replay *p, struct zk_zip *zip, const char *session,
                  struct zk_error *err)
{
	struct zk_zip_detail d;
	int r;

	p->events = tmpfile();
	if (!p->events)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot make a file for the events");
	if (p->o->to_events && learn_workflow(p, zip, session, err) < 0)
		return -(int)err->code;
	zk_zip_detail_init(&d);
	d.ctx = p;
	d.on_event = collect;
	r = zk_zip_session_read(zip, session, /* replay */ true, &d, err);
	zk_zip_detail_done(&d);
	if (r == 0 && fseek(p->events, 0, SEEK_SET) < 0)
		r = zk_fail_errno(err, ZK_E_OUTPUT, errno, "cannot keep the events");
	return r == 0 ? play(p, err) : r;
}

static int replay_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct replay p = { .o = opts };
	struct zeal z = { 0 };

	(void)argc;
	zk_row_init(&p.row);
	zk_buf_init(&p.workflow, 65536);
	zk_buf_init(&p.event, MAX_EVENT);
	p.out = zk_app_out(app, err);
	int r = p.out ? zeal_open(app, &p.o->zeal, /* patient */ false, &z, err)
	              : -(int)err->code;

	if (r == 0) {
		p.loop = app->loop;
		r = replay(&p, z.zip, argv[0], err);
	}
	zeal_close(&z);
	zk_row_done(&p.row);
	zk_buf_done(&p.workflow);
	zk_buf_done(&p.event);
	if (p.events)
		(void)fclose(p.events); /* nobody needs it any more */
	return r;
}

static const struct zk_opt replay_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_FLOAT,
	  .name = "speed",
	  .meta = "X",
	  .def = "1",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, speed),
	  .help = "so many times as fast; 0 = without pauses" },
	{ .type = ZK_OPT_BOOL,
	  .name = "to-events",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct replay_opts, to_events),
	  .help = "as runtime events, for zk events emit" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_replay = {
	.path = "trace replay",
	.args = "SESSION",
	.min_args = 1,
	.max_args = 1,
	.help = "print the events of a session in their time",
	.examples = "zk trace replay fts_9f3c8e --speed 10\n"
	            "zk trace replay fts_9f3c8e --to-events --speed 0",
	.output = "one row per event, as time goes by",
	.exits = "0 · 69 not there, or no longer readable · 75 · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_OUTPUT,
	.opts = replay_rows,
	.opts_size = sizeof(struct replay_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = replay_run,
};
