/* Lines of several inputs, one after the other.
 * Layer: rt. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_LINE_BYTES (16u << 20)

static char *const only_stdin[] = { (char *)"-" };

struct zk_lines {
	struct zk_lines_conf conf;
	struct zk_loop *loop;
	size_t at; /* index of the path that is read */
	struct zk_input *in;
	struct zk_ndjson split;
	zk_str rest; /* of the chunk, which stays valid while the input is paused */
	bool eof, last_given;
	bool paused, closed, ended;
};

static int open_at(struct zk_lines *l, struct zk_error *err);

static void lines_free(void *ctx)
{
	struct zk_lines *l = ctx;

	zk_ndjson_done(&l->split);
	free(l);
}

static void end(struct zk_lines *l, const struct zk_error *err)
{
	l->ended = true;
	zk_input_close(ZK_TAKE(l->in));
	l->conf.on_end(l->conf.ctx, err);
}

/* The current input is used up: on with the next one. */
static void next_input(struct zk_lines *l)
{
	struct zk_error err = { 0 };

	zk_input_close(ZK_TAKE(l->in));
	if (++l->at == l->conf.n)
		end(l, NULL);
	else if (open_at(l, &err) < 0)
		end(l, &err);
}

/* The next line of what is there; false when there is none. */
static bool next_line(struct zk_lines *l, struct zk_ndjson_line *line)
{
	if (zk_ndjson_next(&l->split, &l->rest, line))
		return true;
	if (!l->eof || l->last_given)
		return false;
	l->last_given = true;
	return zk_ndjson_last(&l->split, line);
}

static void pump(void *ctx)
{
	struct zk_lines *l = ctx;
	struct zk_ndjson_line line;

	while (!l->paused && !l->closed && next_line(l, &line))
		l->conf.on_line(l->conf.ctx, l->conf.paths[l->at], &line);
	if (l->paused || l->closed || l->ended)
		return;
	if (l->eof)
		next_input(l);
	else
		zk_input_resume(l->in);
}

static void on_data(void *ctx, zk_str chunk)
{
	struct zk_lines *l = ctx;

	l->rest = chunk;
	pump(l);
}

static void on_input_end(void *ctx, const struct zk_error *err)
{
	struct zk_lines *l = ctx;

	if (err) {
		end(l, err);
		return;
	}
	l->eof = true;
	pump(l);
}

static int open_at(struct zk_lines *l, struct zk_error *err)
{
	struct zk_input_conf conf = {
		.path = l->conf.paths[l->at],
		.ctx = l,
		.on_data = on_data,
		.on_end = on_input_end,
	};

	zk_ndjson_done(&l->split);
	zk_ndjson_init(&l->split, l->conf.max_line_bytes);
	l->rest = ZK_STR_NULL;
	l->eof = l->last_given = false;
	return zk_input_open(l->loop, &conf, &l->in, err);
}

void zk_lines_pause(struct zk_lines *l)
{
	if (l->paused)
		return;
	l->paused = true;
	if (l->in)
		zk_input_pause(l->in);
}

void zk_lines_resume(struct zk_lines *l)
{
	if (!l->paused)
		return;
	l->paused = false;
	zk_loop_defer(l->loop, pump, l);
}

void zk_lines_finish(struct zk_lines *l)
{
	struct zk_ndjson_line line;

	if (l->closed || l->ended)
		return;
	/* The chunk stays valid as long as the input is paused. */
	if (l->in)
		zk_input_pause(l->in);
	l->paused = false;
	zk_loop_forget(l->loop, pump, l);
	while (!l->closed && next_line(l, &line))
		l->conf.on_line(l->conf.ctx, l->conf.paths[l->at], &line);
	if (!l->closed)
		end(l, NULL);
}

void zk_lines_close(struct zk_lines *l)
{
	if (!l || l->closed)
		return;
	l->closed = true;
	zk_loop_forget(l->loop, pump, l);
	zk_input_close(ZK_TAKE(l->in));
	zk_loop_defer(l->loop, lines_free, l);
}

int zk_lines_open(struct zk_loop *loop, const struct zk_lines_conf *conf,
                  struct zk_lines **ret, struct zk_error *err)
{
	struct zk_lines *l = zk_new0(struct zk_lines);

	l->conf = *conf;
	l->loop = loop;
	if (!l->conf.n) {
		l->conf.paths = only_stdin;
		l->conf.n = 1;
	}
	if (!l->conf.max_line_bytes)
		l->conf.max_line_bytes = MAX_LINE_BYTES;
	if (open_at(l, err) < 0) {
		lines_free(l);
		return -(int)err->code;
	}
	*ret = l;
	return 0;
}
