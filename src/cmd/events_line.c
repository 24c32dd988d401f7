/* Events as short lines for people.
 * Layer: cmd. */
#include "cmd/events_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "rt/out.h"
#include "rt/text.h"

#include "base/ban.h"

#define LINE_MAX_BYTES 65536
#define TYPE_WIDTH     20
#define VALUE_MAX      60 /* columns of a value */

struct events_line {
	struct zk_out *out;
	bool color, utf8;
	struct zk_buf line, room;
};

struct events_line *events_line_new(struct zk_out *out, bool color)
{
	struct events_line *l = zk_new0(struct events_line);

	l->out = out;
	l->color = color;
	l->utf8 = zk_term_is_utf8();
	zk_buf_init(&l->line, LINE_MAX_BYTES);
	zk_buf_init(&l->room, LINE_MAX_BYTES);
	return l;
}

void events_line_free(struct events_line *l)
{
	if (!l)
		return;
	zk_buf_done(&l->line);
	zk_buf_done(&l->room);
	free(l);
}

const char *events_line_mood(zk_str type)
{
	static const struct {
		zk_str end;
		const char *mood;
	} rows[] = {
		{ ZK_STR_INIT(".completed"), "ok" },
		{ ZK_STR_INIT(".failed"), "failed" },
		{ ZK_STR_INIT(".error"), "failed" },
		{ ZK_STR_INIT(".executing"), "running" },
		{ ZK_STR_INIT(".started"), "running" },
		{ ZK_STR_INIT(".warning"), "warning" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (zk_str_ends(type, rows[i].end))
			return rows[i].mood;
	return "";
}

const char *events_line_color(const char *mood)
{
	static const char *const rows[][2] = { { "ok", "\x1b[32m" },
		                               { "failed", "\x1b[31m" },
		                               { "running", "\x1b[36m" },
		                               { "warning", "\x1b[33m" } };

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (strcmp(mood, rows[i][0]) == 0)
			return rows[i][1];
	return "";
}

/* The text of a member; a value that is no text as it is. Empty when it is not there. */
static zk_str value(struct events_line *l, zk_str json, const char *path)
{
	struct zk_error ignored;
	struct zk_jval v;

	if (!zk_jscan_get(json, zk_str_of(path), &v) || v.type == ZK_J_NULL)
		return ZK_STR("");
	if (v.type != ZK_J_STRING)
		return v.raw;
	zk_buf_clear(&l->room);
	if (zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &l->room, &ignored) < 0)
		return ZK_STR("");
	return zk_buf_str(&l->room);
}

/* Scrubbed and cut; the columns it took. */
static size_t put(struct events_line *l, zk_str text, size_t max)
{
	struct zk_buf clean ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&clean, LINE_MAX_BYTES);
	zk_text_scrub(&clean, zk_str_n(text.p, ZK_MIN(text.n, (size_t)1024)), false);
	return zk_text_put_cut(&l->line, zk_buf_str(&clean), max, l->utf8);
}

static void put_member(struct events_line *l, zk_str json, const char *name,
                       const char *path)
{
	zk_str v = value(l, json, path);

	if (!v.n)
		return;
	zk_buf_printf(&l->line, "  %s%s%s", name, name[0] ? "=" : "", "");
	put(l, v, VALUE_MAX);
}

/* "2026-01-01T12:03:04.127Z" as "12:03:04.127". */
static void put_time(struct events_line *l, zk_str json)
{
	zk_str time = value(l, json, "timestamp");

	if (time.n >= 23 && time.p[10] == 'T')
		time = zk_str_n(time.p + 11, 12);
	zk_text_blanks(&l->line, 12 - ZK_MIN(put(l, time, 12), (size_t)12));
	zk_buf_char(&l->line, ' ');
}

/* Types of no mood are bold: a line begins with its type. */
static void put_color(struct events_line *l, zk_str type)
{
	const char *color = events_line_color(events_line_mood(type));

	zk_buf_cstr(&l->line, color[0] ? color : "\x1b[1m");
}

int events_line_put(struct events_line *l, zk_str json, struct zk_error *err)
{
	zk_str type;
	size_t width;

	zk_buf_clear(&l->line);
	put_time(l, json);
	type = value(l, json, "type");
	if (l->color)
		put_color(l, type);
	width = put(l, type.n ? type : ZK_STR("-"), 40);
	if (l->color)
		zk_buf_lit(&l->line, "\x1b[0m");
	zk_text_blanks(&l->line, TYPE_WIDTH - ZK_MIN(width, (size_t)TYPE_WIDTH));
	put_member(l, json, "", "workflowId");
	put_member(l, json, "", "nodeId");
	put_member(l, json, "session", "sessionId");
	put_member(l, json, "state", "state");
	put_member(l, json, "ms", "duration");
	put_member(l, json, "", "error.message");
	zk_buf_char(&l->line, '\n');
	return zk_out_text(l->out, zk_buf_str(&l->line), err);
}
