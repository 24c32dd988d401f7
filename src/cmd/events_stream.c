/* `zk events stream`: binary data of a node, sent from stdin or kept in files.
 * Layer: cmd. specs/zeal-zip.md §7.4, §7.6. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/events_save.h"
#include "cmd/events_send.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "zip/frame.h"
#include "zip/runtime_event.h"

#include "base/ban.h"

#define BODY_MAX 65536
/* The server counts in doubles. */
#define ID_BITS 53

struct stream_opts {
	struct events_opts events;
	const char *node, *port, *content_type, *save, *file;
	uint64_t id, size_hint, count;
	bool wait;
};

struct stream {
	const struct stream_opts *o;
	struct events_send *send;
	struct zk_input *in;
	struct zk_buf body, frame;
	uint64_t id, bytes;
	bool over;
};

/* ---- telling the server --------------------------------------------------------------------- */

static void begin_event(struct stream *s, struct zk_jwrite *w, const char *type)
{
	zk_buf_clear(&s->frame);
	zk_jwrite_init(w, &s->frame);
	zk_jw_obj(w);
	zk_jw_key(w, "type");
	zk_jw_cstr(w, type);
	zk_jw_key(w, "nodeId");
	zk_jw_cstr(w, s->o->node);
	zk_jw_key(w, "port");
	zk_jw_cstr(w, s->o->port);
	zk_jw_key(w, "streamId");
	zk_jw_u64(w, s->id);
}

static int end_event(struct stream *s, struct zk_jwrite *w, struct zk_error *err)
{
	struct events_message m = { .name = ZK_STR("runtime.event"),
		                    .acked = s->o->events.transport !=
		                             ZK_ZIP_TRANSPORT_RAW };

	zk_jw_obj_end(w);
	zk_buf_clear(&s->body);
	if (zk_zip_runtime_event(zk_buf_str(&s->frame),
	                         zk_str_of(s->o->events.workflows.v[0]), zk_wall_us(),
	                         &s->body, err) < 0)
		return -(int)err->code;
	m.json = zk_buf_str(&s->body);
	(void)events_send_push(s->send, &m);
	return 0;
}

static bool push_frame(struct stream *s, enum zk_zip_frame_type type, zk_str payload)
{
	struct zk_zip_frame f = { .type = type, .stream = s->id, .payload = payload };
	struct events_message m = { .name = ZK_STR("stream.frame"),
		                    .json = ZK_STR("{\"_placeholder\":true,\"num\":0}") };

	zk_buf_clear(&s->frame);
	zk_zip_frame_encode(&f, &s->frame);
	m.attachment = zk_buf_str(&s->frame);
	return events_send_push(s->send, &m);
}

static int open_stream(struct stream *s, struct zk_error *err)
{
	struct zk_jwrite w;
	struct zk_buf meta ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&meta, BODY_MAX);
	begin_event(s, &w, "stream.opened");
	zk_jw_key(&w, "contentType");
	zk_jw_cstr(&w, s->o->content_type);
	if (s->o->size_hint) {
		zk_jw_key(&w, "sizeHint");
		zk_jw_u64(&w, s->o->size_hint);
	}
	if (end_event(s, &w, err) < 0)
		return -(int)err->code;
	zk_jwrite_init(&w, &meta);
	zk_jw_obj(&w);
	zk_jw_key(&w, "nodeId");
	zk_jw_cstr(&w, s->o->node);
	zk_jw_key(&w, "port");
	zk_jw_cstr(&w, s->o->port);
	zk_jw_key(&w, "contentType");
	zk_jw_cstr(&w, s->o->content_type);
	zk_jw_obj_end(&w);
	(void)push_frame(s, ZK_ZIP_FRAME_BEGIN, zk_buf_str(&meta));
	return 0;
}

static int close_stream(struct stream *s, struct zk_error *err)
{
	struct zk_jwrite w;

	(void)push_frame(s, ZK_ZIP_FRAME_END, ZK_STR_NULL);
	begin_event(s, &w, "stream.closed");
	zk_jw_key(&w, "totalBytes");
	zk_jw_u64(&w, s->bytes);
	return end_event(s, &w, err);
}

/* The data ends before its end: the other side has to know. */
static int abort_stream(struct stream *s, const char *why, struct zk_error *err)
{
	struct zk_jwrite w;

	(void)push_frame(s, ZK_ZIP_FRAME_ERROR, zk_str_of(why));
	begin_event(s, &w, "stream.error");
	zk_jw_key(&w, "error");
	zk_jw_cstr(&w, why);
	return end_event(s, &w, err);
}

/* ---- the data ------------------------------------------------------------------------------- */

static void finish(struct stream *s, const char *why)
{
	struct zk_error err = { 0 };

	if (s->over)
		return;
	s->over = true;
	if ((why ? abort_stream(s, why, &err) : close_stream(s, &err)) < 0)
		events_send_fail(s->send, &err);
	else
		events_send_end(s->send);
}

static void on_data(void *ctx, zk_str chunk)
{
	struct stream *s = ctx;
	bool room = true;

	s->bytes += chunk.n;
	while (chunk.n) {
		zk_str piece = zk_str_n(chunk.p, ZK_MIN(chunk.n, ZK_ZIP_CHUNK_MAX));

		room = push_frame(s, ZK_ZIP_FRAME_DATA, piece);
		chunk = zk_str_from(chunk, piece.n);
	}
	if (!room)
		zk_input_pause(s->in);
}

static void on_input_end(void *ctx, const struct zk_error *err)
{
	finish(ctx, err ? err->msg : NULL);
}

static void on_room(void *ctx)
{
	struct stream *s = ctx;

	if (s->in && !s->over)
		zk_input_resume(s->in);
}

static void on_stop(void *ctx)
{
	struct stream *s = ctx;

	if (s->in && !s->over)
		zk_input_pause(s->in);
	finish(s, "the sender was stopped");
}

static uint64_t random_id(void)
{
	uint64_t id;

	zk_rand_secret(&id, sizeof(id));
	return (id >> (64 - ID_BITS)) | 1;
}

static int stream_send(struct zk_app *app, const struct stream_opts *o,
                       struct zk_error *err)
{
	struct stream s = { .o = o, .id = o->id ? o->id : random_id() };
	struct events_send_conf conf = { .opts = &o->events,
		                         .window = 256,
		                         .wait = true,
		                         .unit = "frames and events",
		                         .ctx = &s,
		                         .on_room = on_room,
		                         .on_stop = on_stop };
	struct zk_input_conf in = { .path = o->file ? o->file : "-",
		                    .chunk_bytes = ZK_ZIP_CHUNK_MAX,
		                    .ctx = &s,
		                    .on_data = on_data,
		                    .on_end = on_input_end };
	struct zk_loop *loop = zk_app_loop(app, err);
	int r;

	if (!loop)
		return -(int)err->code;
	if (!o->node || !o->port)
		return zk_fail(err, ZK_E_USAGE,
		               "which port of which node? --node N --port P");
	zk_buf_init(&s.body, BODY_MAX);
	zk_buf_init(&s.frame, ZK_ZIP_CHUNK_MAX + ZK_ZIP_FRAME_HEAD);
	r = events_send_new(app, &conf, &s.send, err);
	if (r == 0)
		r = open_stream(&s, err);
	if (r == 0)
		r = zk_input_open(loop, &in, &s.in, err);
	if (r == 0)
		r = events_send_run(s.send, err);
	zk_input_close(s.in);
	events_send_free(s.send);
	zk_buf_done(&s.body);
	zk_buf_done(&s.frame);
	return r;
}

static int stream_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct stream_opts *o = opts;
	struct events_save_opts save = {
		.events = &o->events, .dir = o->save, .count = o->count, .wait = o->wait
	};

	o->file = argc ? argv[0] : NULL;
	if (!o->save)
		return stream_send(app, o, err);
	if (argc || o->node || o->port)
		return zk_fail(err, ZK_E_USAGE,
		               "--save receives; a FILE, --node and --port are for "
		               "sending");
	return events_save_run(app, &save, err);
}

#define OFF(m) .off = offsetof(struct stream_opts, m)

static const struct zk_opt stream_rows[] = {
	EVENTS_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  OFF(node),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "id of the node whose data it is" },
	{ .type = ZK_OPT_STR,
	  .name = "port",
	  .meta = "P",
	  OFF(port),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "port of the node" },
	{ .type = ZK_OPT_STR,
	  .name = "content-type",
	  .meta = "TYPE",
	  .def = "application/octet-stream",
	  OFF(content_type),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "what the data is" },
	{ .type = ZK_OPT_UINT,
	  .name = "stream-id",
	  .meta = "N",
	  .max = (INT64_C(1) << ID_BITS) - 1,
	  OFF(id),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "number of the stream; 0 = a random one" },
	{ .type = ZK_OPT_SIZE,
	  .name = "size-hint",
	  .meta = "SIZE",
	  OFF(size_hint),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how much there will be" },
	{ .type = ZK_OPT_PATH,
	  .name = "save",
	  .meta = "DIR",
	  OFF(save),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "dir",
	  .help = "receive instead: each stream into a file there" },
	{ .type = ZK_OPT_UINT,
	  .name = "count",
	  .meta = "N",
	  .max = INT64_MAX,
	  OFF(count),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "with --save: stop after so many streams; 0 = never" },
	{ .type = ZK_OPT_BOOL,
	  .name = "wait",
	  OFF(wait),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "with --save: wait for a workflow that is not there yet" },
	ZEAL_ROWS,
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_events_stream = {
	.path = "events stream",
	.args = "[FILE|-]",
	.max_args = 1,
	.help = "send binary data of a node, or keep what others send",
	.about = "What stands on stdin, or in FILE, is sent in frames of up to 512 KiB "
	         "as it "
	         "comes. With --save the streams of the workflow are received: each ends "
	         "up as DIR/ID.bin, with what is known about it in DIR/ID.json; what is "
	         "not complete is called ID.part.",
	.examples = "zk events stream -w wf_1 --node n1 --port out --content-type "
	            "image/png < a.png\n"
	            "zk events stream -w wf_1 --save streams",
	.args_help = "FILE    what is sent; - is stdin",
	.output = "with --save, a row per stream: streamId, file, bytes, status",
	.exits = "0 · 3 some streams failed · 69 no such workflow · 73 · 75 · 76",
	.see = "zk events tail · man zk-events",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = stream_rows,
	.opts_size = sizeof(struct stream_opts),
	.conf = "zeal",
	.complete_arg = "file",
	.run = stream_run,
};
