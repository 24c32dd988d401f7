/* What the commands on graphs share.
 * Layer: cmd. specs/zeal-zip.md §5. */
#include "cmd/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/expr.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "zip/workflow.h"

#include "base/ban.h"

int graph_open(struct zk_app *app, const struct zeal_opts *o, const char *workflow,
               const char *graph, struct graph_cmd *c, struct zk_error *err)
{
	int r;

	*c = (struct graph_cmd){ .out = NULL };
	zk_row_init(&c->row);
	r = zeal_open(app, o, /* patient */ false, &c->z, err);
	zk_zip_graph_init(&c->g, c->z.zip, zk_str_of(workflow), zk_str_of(graph));
	if (r == 0) {
		zeal_recall_server(&c->z);
		zk_zip_about(c->z.zip, workflow);
	}
	c->dry_run = app->common.dry_run;
	c->g.verify = o->verify || c->dry_run;
	c->g.compat_writes = c->z.compat_writes;
	c->g.retry = (struct zk_retry_conf){ .max_retries = app->retry.retries,
		                             .base_ms = app->retry.base_ms,
		                             .cap_ms = app->retry.cap_ms,
		                             .max_time_ms = app->retry.max_time_ms };
	if (r == 0) {
		c->out = zk_app_out(app, err);
		r = c->out ? 0 : -(int)err->code;
	}
	return r;
}

void graph_close(struct graph_cmd *c)
{
	zk_zip_graph_done(&c->g);
	zk_row_done(&c->row);
	zeal_close(&c->z);
}

int graph_begin(struct graph_cmd *c, const struct zk_out_shape *shape,
                struct zk_error *err)
{
	if (c->g.verify && zk_zip_graph_read(&c->g, err) < 0)
		return -(int)err->code;
	if (zk_out_begin(c->out, shape, err) < 0)
		return -(int)err->code;
	c->begun = true;
	return 0;
}

const char *graph_word(const struct graph_cmd *c, const char *done)
{
	static char text[64];

	if (!c->dry_run)
		return done;
	(void)snprintf(text, sizeof(text), "would be %s", done);
	return text;
}

int graph_end(struct graph_cmd *c, int r, struct zk_error *err)
{
	struct zk_error late = { 0 };

	if (!c->begun || zk_out_end(c->out, &late) == 0 || r < 0)
		return r;
	*err = late;
	return -(int)late.code;
}

int graph_run(struct zk_app *app, struct graph_opts *o, const struct graph_verb *v,
              int argc, char **argv, struct zk_error *err)
{
	struct graph_cmd c;
	int r;

	o->zeal.verify |= v->reads;
	r = graph_open(app, &o->zeal, argv[0], o->graph, &c, err);
	c.opts = o;
	c.part = v->part;
	if (r == 0)
		r = graph_begin(&c, v->shape, err);
	if (r == 0)
		r = v->work(&c, argc - 1, argv + 1, err);
	r = graph_end(&c, r, err);
	graph_close(&c);
	if (r < 0)
		return r;
	return app->output.exit_status && !zk_out_rows(app->out) ? ZK_EXIT_NO
	                                                         : ZK_EXIT_OK;
}

const struct zk_node *graph_find(const struct zk_node *first, zk_str id)
{
	while (first && !zk_str_eq(zk_zip_text(first, "id"), id))
		first = first->next;
	return first;
}

int graph_must_exist(const struct graph_cmd *c, const struct graph_part *part,
                     const char *id, struct zk_error *err)
{
	if (!c->g.verify || graph_find(part->all(&c->g), zk_str_of(id)))
		return 0;
	return zk_fail(err, ZK_E_NOT_FOUND, "there is no %s '%s' in workflow '%.*s'",
	               part->noun, id, ZK_STR_ARG(c->g.workflow));
}

int graph_delete(struct graph_cmd *c, int n, char **ids, struct zk_error *err)
{
	const struct graph_part *part = c->part;

	for (int i = 0; i < n; i++)
		if (graph_must_exist(c, part, ids[i], err) < 0)
			return -(int)err->code;
	for (int i = 0; i < n; i++) {
		zk_str id = zk_str_of(ids[i]);

		if ((!c->dry_run && part->drop(&c->g, id, err) < 0) ||
		    graph_status(c, id, ZK_STR_NULL, "deleted", err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int graph_list(struct graph_cmd *c, const struct zk_node *first,
               void (*fill)(struct graph_cmd *c, const struct zk_node *n),
               const char *where, struct zk_error *err)
{
	struct zk_expr_conf conf = { .grammar = ZK_EXPR_EVENT, .what = "--where" };
	struct zk_expr *e = NULL;
	int r = 0;

	if (where && zk_expr_compile(zk_str_of(where), &conf, &e, err) < 0)
		return -(int)err->code;
	for (; first && r == 0; first = first->next) {
		fill(c, first);
		zk_str row = zk_row_end(&c->row);

		if (!e || zk_expr_match(e, row))
			r = zk_out_row(c->out, row, err);
	}
	zk_expr_free(e);
	return r;
}

int graph_status(struct graph_cmd *c, zk_str id, zk_str title, const char *done,
                 struct zk_error *err)
{
	if (id.n)
		zk_row_str(&c->row, "id", id);
	if (title.n)
		zk_row_str(&c->row, "title", title);
	zk_row_cstr(&c->row, "status", graph_word(c, done));
	return zk_out_row(c->out, zk_row_end(&c->row), err);
}

/* One pair into an object that is being written. */
static int put_pair(struct zk_jwrite *w, const char *pair, struct zk_error *err)
{
	zk_str name, value = zk_str_cut(zk_str_of(pair), '=', &name);
	struct zk_jscan js;

	if (!value.p || !name.n || (name.n == 1 && name.p[0] == ':'))
		return zk_fail(err, ZK_E_USAGE, "'%s' is neither KEY=TEXT nor KEY:=JSON",
		               pair);
	if (name.p[name.n - 1] != ':') {
		zk_jw_key_str(w, name);
		zk_jw_str(w, value);
		return 0;
	}
	name.n--;
	if (zk_jscan(value, 64, NULL, 0, &js) < 0)
		return zk_wrap((zk_jscan_fail(&js, err), err), "'%s'", pair);
	zk_jw_key_str(w, name);
	zk_jw_raw(w, js.top.raw);
	return 0;
}

int graph_values(char *const *pairs, size_t n, struct zk_buf *b, struct zk_error *err)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	for (size_t i = 0; i < n; i++)
		if (put_pair(&w, pairs[i], err) < 0)
			return -(int)err->code;
	zk_jw_obj_end(&w);
	return 0;
}

int graph_position(const char *text, double *x, double *y, struct zk_error *err)
{
	zk_str left, right = zk_str_cut(zk_str_of(text), ',', &left);

	if (!right.p || zk_parse_double(left, x, err) < 0 ||
	    zk_parse_double(right, y, err) < 0 || !isfinite(*x) || !isfinite(*y))
		return zk_fail(err, ZK_E_USAGE, "'%s' is no position, such as 80,120",
		               text);
	return 0;
}

/* ---- stdin ---- */

struct reading {
	int (*fn)(void *ctx, zk_str object, uint64_t line, struct zk_error *err);
	void *ctx;
	/* Lines are worked on outside of the callback: the work turns the loop itself. */
	struct zk_buf text;
	uint64_t number;
	bool ready, over;
	struct zk_lines *lines;
	struct zk_error err;
};

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct reading *r = ctx;

	(void)file;
	zk_buf_clear(&r->text);
	zk_buf_add(&r->text, line->text);
	r->number = line->number;
	if (line->too_long)
		(void)zk_fail(&r->err, ZK_E_LIMIT, "line %llu is longer than 16 MiB",
		              (unsigned long long)line->number);
	r->ready = true;
	zk_lines_pause(r->lines);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct reading *r = ctx;

	r->over = r->ready = true;
	zk_buf_clear(&r->text);
	if (err)
		r->err = *err;
}

static int on_text(struct reading *r, struct zk_error *err)
{
	struct zk_jscan js;

	if (zk_jscan(zk_buf_str(&r->text), 64, NULL, 0, &js) < 0) {
		(void)zk_jscan_fail(&js, err);
		return zk_wrap(err, "line %llu", (unsigned long long)r->number);
	}
	if (js.top.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_FORM, "line %llu is no object",
		               (unsigned long long)r->number);
	return r->fn(r->ctx, js.top.raw, r->number, err);
}

int graph_lines(struct zk_app *app,
                int (*fn)(void *ctx, zk_str object, uint64_t line, struct zk_error *err),
                void *ctx, struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);
	struct reading r = { .fn = fn, .ctx = ctx };
	struct zk_lines_conf conf = { .ctx = &r, .on_line = on_line, .on_end = on_end };
	int rc = 0;

	zk_buf_init(&r.text, (size_t)17 << 20);
	if (!loop || zk_lines_open(loop, &conf, &r.lines, err) < 0)
		return -(int)err->code;
	while (rc == 0) {
		zk_loop_until(loop, &r.ready);
		r.ready = false;
		if (r.err.code) {
			*err = r.err;
			rc = -(int)err->code;
		} else if (r.over) {
			break;
		} else {
			rc = on_text(&r, err);
			if (rc == 0)
				zk_lines_resume(r.lines);
		}
	}
	zk_lines_close(r.lines);
	zk_buf_done(&r.text);
	return rc;
}
