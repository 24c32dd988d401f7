/* `zk events visual`: states of nodes and connections, debounced.
 * Layer: cmd. specs/zeal-zip.md §7.4. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/events_send.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

#define UPDATE_MAX   ((size_t)16 << 20)
#define ELEMENTS_MAX 200 /* of one update */
#define DEPTH_MAX    32
#define KNOWN_MAX    100000 /* elements whose state is remembered */

/* Members of an element, in the order in which they are written. */
enum member { ID, ELEMENT_TYPE, STATE, PROGRESS, MESSAGE, HIGHLIGHT, COLOR, MEMBERS };

static const char *const names[MEMBERS] = { "id",      "elementType", "state", "progress",
	                                    "message", "highlight",   "color" };
static const char *const states[] = { "idle",    "pending", "running",
	                              "success", "error",   "warning" };

struct visual_opts {
	struct events_opts events;
	struct events_send_opts send;
	int64_t debounce_ms;
};

/* What waits for an element: the last value of each member, raw. */
struct element {
	struct element *next;
	char *value[MEMBERS];
};

struct visual {
	struct zk_app *app;
	const struct visual_opts *o;
	struct events_send *send;
	struct zk_lines *lines;
	struct zk_loop *loop;
	struct zk_timer *timer;
	struct zk_map known; /* "type id" -> the state that was sent last, raw */
	struct zk_map by_key;
	struct element *first, **last;
	size_t n;
	struct zk_buf body;
	bool full, over;
};

/* ---- flushing ------------------------------------------------------------------------------- */

static void free_element(struct element *e)
{
	for (int m = 0; m < MEMBERS; m++)
		free(e->value[m]);
	free(e);
}

static void put_element(struct zk_jwrite *w, const struct element *e)
{
	zk_jw_obj(w);
	for (int m = 0; m < MEMBERS; m++) {
		if (!e->value[m])
			continue;
		zk_jw_key(w, names[m]);
		zk_jw_raw(w, zk_str_of(e->value[m]));
	}
	zk_jw_obj_end(w);
}

static void flush(void *ctx)
{
	struct visual *v = ctx;
	struct events_message m = { .name = ZK_STR("visual.state.update"),
		                    .acked = v->o->events.transport !=
		                             ZK_ZIP_TRANSPORT_RAW };
	struct zk_jwrite w;
	struct element *e;

	zk_timer_stop(v->timer);
	if (!v->first)
		return;
	zk_buf_clear(&v->body);
	zk_jwrite_init(&w, &v->body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "visual.state.update");
	zk_jw_key(&w, "elements");
	zk_jw_arr(&w);
	while ((e = v->first) != NULL) {
		v->first = e->next;
		put_element(&w, e);
		free_element(e);
	}
	zk_jw_arr_end(&w);
	zk_jw_obj_end(&w);
	zk_map_done(&v->by_key);
	zk_map_init(&v->by_key);
	v->last = &v->first;
	v->n = 0;
	m.json = zk_buf_str(&v->body);
	if (!events_send_push(v->send, &m) && v->lines && !v->over) {
		v->full = true;
		zk_lines_pause(v->lines);
	}
}

/* ---- one element ---------------------------------------------------------------------------- */

static bool is_one_of(zk_str raw, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (zk_jstr_eq(raw, zk_str_of(list[i])))
			return true;
	return false;
}

static int check(const struct zk_jwant *want, struct zk_error *err)
{
	static const char *const kinds[] = { "node", "connection" };
	double progress;

	if (want[ID].val.type != ZK_J_STRING)
		return zk_fail(err, ZK_E_DATA, "an element needs an id");
	if (want[STATE].val.type != ZK_J_STRING ||
	    !is_one_of(want[STATE].val.raw, states, ZK_ARRAY_LEN(states))) {
		(void)zk_fail(err, ZK_E_DATA, "the state of an element is unknown");
		return zk_err_hint(err, "idle, pending, running, success, error or "
		                        "warning");
	}
	if (want[ELEMENT_TYPE].val.type != ZK_J_NONE &&
	    !is_one_of(want[ELEMENT_TYPE].val.raw, kinds, ZK_ARRAY_LEN(kinds)))
		return zk_fail(err, ZK_E_DATA,
		               "the elementType is neither node nor connection");
	if (want[PROGRESS].val.type != ZK_J_NONE &&
	    (!zk_jnum_double(want[PROGRESS].val.raw, &progress) || progress < 0 ||
	     progress > 100))
		return zk_fail(err, ZK_E_DATA, "the progress is no number from 0 to 100");
	return 0;
}

static struct element *element_of(struct visual *v, zk_str key)
{
	struct element *e = zk_map_get(&v->by_key, key);

	if (e)
		return e;
	e = zk_new0(struct element);
	*v->last = e;
	v->last = &e->next;
	v->n++;
	zk_map_set(&v->by_key, key, e);
	return e;
}

static void forget_states(struct visual *v)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(&v->known, &pos, &key, &value))
		free(value);
	zk_map_done(&v->known);
	zk_map_init(&v->known);
}

/* Whether its state is another one than before; the new one is kept. */
static bool changed(struct visual *v, zk_str key, zk_str state)
{
	char *old = zk_map_get(&v->known, key);

	if (old && zk_str_eq(zk_str_of(old), state))
		return false;
	free(old);
	/* Forgetting costs an update that was not needed at once. */
	if (!old && v->known.n >= KNOWN_MAX)
		forget_states(v);
	zk_map_set(&v->known, key, zk_strndup(state.p, state.n));
	return true;
}

static int add(struct visual *v, zk_str json, struct zk_error *err)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	struct zk_jwant want[MEMBERS];
	struct zk_jscan js;
	struct element *e;
	bool new_state;

	zk_buf_init(&key, json.n + 64);
	for (int m = 0; m < MEMBERS; m++)
		want[m] = (struct zk_jwant){ .name = zk_str_of(names[m]) };
	if (zk_jscan(json, DEPTH_MAX, want, MEMBERS, &js) < 0)
		return zk_jscan_fail(&js, err);
	if (js.top.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_DATA, "an element is a JSON object");
	if (check(want, err) < 0)
		return -(int)err->code;
	if (want[ELEMENT_TYPE].val.type == ZK_J_NONE)
		want[ELEMENT_TYPE].val.raw = ZK_STR("\"node\"");
	zk_buf_add(&key, want[ELEMENT_TYPE].val.raw);
	zk_buf_add(&key, want[ID].val.raw);
	new_state = changed(v, zk_buf_str(&key), want[STATE].val.raw);
	e = element_of(v, zk_buf_str(&key));
	for (int m = 0; m < MEMBERS; m++) {
		if (!want[m].val.raw.n)
			continue;
		free(e->value[m]);
		e->value[m] = zk_strndup(want[m].val.raw.p, want[m].val.raw.n);
	}
	if (new_state || v->n >= ELEMENTS_MAX)
		zk_loop_defer(v->loop, flush, v);
	else if (!zk_timer_is_active(v->timer))
		zk_timer_start(v->timer, v->o->debounce_ms, 0);
	return 0;
}

/* "n1=running:40" */
static int add_text(struct visual *v, const char *text, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;
	zk_str id, state, progress = zk_str_cut(zk_str_of(text), '=', &id);
	uint64_t n;

	zk_buf_init(&b, 65536);
	if (!progress.p || !id.n)
		return zk_fail(err, ZK_E_USAGE, "'%s' is not NODE=STATE[:PROGRESS]",
		               text);
	progress = zk_str_cut(progress, ':', &state);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "id");
	zk_jw_str(&w, id);
	zk_jw_key(&w, "state");
	zk_jw_str(&w, state);
	if (progress.p) {
		if (zk_parse_u64(progress, &n, err) < 0)
			return zk_fail(err, ZK_E_USAGE,
			               "'%s' is not NODE=STATE[:PROGRESS]", text);
		zk_jw_key(&w, "progress");
		zk_jw_u64(&w, n);
	}
	zk_jw_obj_end(&w);
	return add(v, zk_buf_str(&b), err);
}

/* ---- stdin ---------------------------------------------------------------------------------- */

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct visual *v = ctx;
	struct zk_error err = { 0 };

	(void)file;
	if (line->too_long)
		ZK_IGNORE(zk_fail(&err, ZK_E_LIMIT, "the line is too long") < 0);
	else if (add(v, line->text, &err) == 0)
		return;
	events_send_reject(v->send, line->number, &err);
	if (v->o->send.fail_fast) {
		zk_lines_pause(v->lines);
		events_send_fail(v->send, &err);
	}
}

static void end(struct visual *v)
{
	v->over = true;
	flush(v);
	events_send_end(v->send);
}

static void on_input_end(void *ctx, const struct zk_error *err)
{
	struct visual *v = ctx;

	if (err) {
		v->over = true;
		events_send_fail(v->send, err);
	} else {
		end(v);
	}
}

static void on_room(void *ctx)
{
	struct visual *v = ctx;

	if (!v->full || v->over)
		return;
	v->full = false;
	zk_lines_resume(v->lines);
}

static void on_stop(void *ctx)
{
	struct visual *v = ctx;

	if (v->lines && !v->over)
		zk_lines_finish(v->lines);
	else
		end(v);
}

static int feed(struct visual *v, int argc, char **argv, struct zk_error *err)
{
	struct zk_lines_conf conf = { .ctx = v,
		                      .on_line = on_line,
		                      .on_end = on_input_end };

	if (argc == 0 || strcmp(argv[0], "-") == 0)
		return zk_lines_open(v->loop, &conf, &v->lines, err);
	for (int i = 0; i < argc; i++)
		if (add_text(v, argv[i], err) < 0)
			return -(int)err->code;
	end(v);
	return 0;
}

static void visual_done(struct visual *v)
{
	struct element *e;

	zk_lines_close(v->lines);
	if (v->loop)
		zk_loop_forget(v->loop, flush, v);
	zk_timer_free(v->timer);
	events_send_free(v->send);
	while ((e = v->first) != NULL) {
		v->first = e->next;
		free_element(e);
	}
	forget_states(v);
	zk_map_done(&v->by_key);
	zk_buf_done(&v->body);
}

static int visual_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct visual_opts *o = opts;
	struct visual v = { .app = app, .o = o };
	struct events_send_conf conf = { .opts = &o->events,
		                         .window = o->send.window,
		                         .wait = o->send.wait || argc == 0 ||
		                                 strcmp(argv[0], "-") == 0,
		                         .unit = "updates",
		                         .ctx = &v,
		                         .on_room = on_room,
		                         .on_stop = on_stop };
	int r;

	v.last = &v.first;
	zk_map_init(&v.known);
	zk_map_init(&v.by_key);
	zk_buf_init(&v.body, UPDATE_MAX);
	r = events_send_new(app, &conf, &v.send, err);
	if (r == 0) {
		v.loop = zk_app_loop(app, err);
		v.timer = zk_timer_new(v.loop, flush, &v);
		r = feed(&v, argc, argv, err);
	}
	if (r == 0)
		r = events_send_run(v.send, err);
	visual_done(&v);
	return r;
}

#define OFF(m) .off = offsetof(struct visual_opts, m)

static const struct zk_opt visual_rows[] = {
	EVENTS_ROWS,
	{ .type = ZK_OPT_DURATION,
	  .name = "debounce",
	  .conf = "events.debounce",
	  .meta = "D",
	  .def = "50ms",
	  .min = 1,
	  .max = 60000,
	  OFF(debounce_ms),
	  .help = "send changes of one element together",
	  .text = "The last value of each member counts. A change of the state is sent "
	          "at "
	          "once, and so are 200 elements." },
	EVENTS_SEND_ROWS(struct visual_opts, "updates", "element"),
	ZEAL_ROWS,
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_events_visual = {
	.path = "events visual",
	.args = "[NODE=STATE[:PROGRESS]...|-]",
	.max_args = ZK_ANY,
	.help = "show states of nodes in the editor",
	.about =
	        "States are idle, pending, running, success, error and warning. Lines of "
	        "stdin are objects with id, state, and perhaps elementType, progress, "
	        "message, highlight, color.",
	.examples = "zk events visual -w wf_1 n1=running:40 n2=pending\n"
	            "./progress.sh | zk events visual -w wf_1 -",
	.output = "nothing",
	.exits = "0 sent · 3 some refused · 65 · 69 all refused · 75 · 76 outcome not "
	         "known",
	.see = "zk events emit · man zk-events",
	.groups = ZEAL_GROUPS,
	.opts = visual_rows,
	.opts_size = sizeof(struct visual_opts),
	.conf = "zeal",
	.run = visual_run,
};
