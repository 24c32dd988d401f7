/* The nodes of running workflows as a table.
 * Layer: cmd. */
#include "cmd/events_ui.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "cmd/events_line.h"
#include "codec/jscan.h"
#include "rt/loop.h"
#include "rt/text.h"

#include "base/ban.h"

#define DRAW_MS    100  /* ux.md §9: at most ten times a second */
#define NODES_MAX  1000 /* the one that is oldest goes */
#define TEXT_MAX   256
#define TABLE_MAX  (256u << 10)
#define ROWS_SPARE 3 /* lines of the terminal that are not nodes */

struct node {
	struct zk_list entry; /* the last one that changed stands first */
	char *key;
	size_t key_n;
	char *workflow, *id, *state, *note;
	const char *mood;
	uint64_t events;
	int64_t ms;   /* of its last run, -1 = not known */
	int progress; /* -1 = not known */
	int64_t at_ms;
};

struct events_ui {
	struct zk_loop *loop;
	struct zk_timer *timer;
	struct zk_map by_key;
	struct zk_list nodes;
	size_t n;
	uint64_t events, executions, failed;
	const char *word;
	bool color, utf8;
	struct zk_buf table, room;
};

/* ---- drawing -------------------------------------------------------------------------------- */

static size_t rows_of_terminal(void)
{
	struct winsize w;

	if (ioctl(2, TIOCGWINSZ, &w) < 0 || w.ws_row < 8)
		return 8;
	return w.ws_row;
}

static void put_cell(struct events_ui *ui, const char *text, size_t width)
{
	size_t used = zk_text_put_cut(&ui->table, zk_str_of(text), width, ui->utf8);

	zk_text_blanks(&ui->table, width - ZK_MIN(used, width) + 2);
}

static void put_node(struct events_ui *ui, const struct node *n, size_t columns)
{
	char number[32] = "";
	size_t left = columns > 75 ? columns - 75 : 0;

	zk_buf_char(&ui->table, '\n');
	put_cell(ui, n->workflow, 14);
	put_cell(ui, n->id, 20);
	if (ui->color)
		zk_buf_cstr(&ui->table, events_line_color(n->mood));
	put_cell(ui, n->state, 12);
	if (ui->color)
		zk_buf_lit(&ui->table, "\x1b[0m");
	if (n->progress >= 0)
		number[zk_format_u64((uint64_t)n->progress, number)] = '%';
	put_cell(ui, number, 4);
	memset(number, 0, sizeof(number));
	if (n->ms >= 0)
		(void)zk_format_u64((uint64_t)n->ms, number);
	put_cell(ui, number, 7);
	memset(number, 0, sizeof(number));
	(void)zk_format_u64(n->events, number);
	put_cell(ui, number, 5);
	if (left > 8)
		(void)zk_text_put_cut(&ui->table, zk_str_of(n->note), left, ui->utf8);
}

static void draw(void *ctx)
{
	struct events_ui *ui = ctx;
	size_t columns = zk_term_columns(2), room = rows_of_terminal() - ROWS_SPARE,
	       shown = 0;

	zk_buf_clear(&ui->table);
	zk_buf_printf(&ui->table, "%s  %llu events  %zu nodes  %llu failed", ui->word,
	              (unsigned long long)ui->events, ui->n,
	              (unsigned long long)ui->failed);
	zk_buf_char(&ui->table, '\n');
	put_cell(ui, "WORKFLOW", 14);
	put_cell(ui, "NODE", 20);
	put_cell(ui, "STATE", 12);
	put_cell(ui, "", 4);
	put_cell(ui, "MS", 7);
	put_cell(ui, "N", 5);
	ZK_LIST_EACH (it, &ui->nodes) {
		if (++shown > room)
			break;
		put_node(ui, ZK_LIST_ENTRY(it, struct node, entry), columns);
	}
	zk_log_bar(zk_buf_str(&ui->table));
}

static void changed(struct events_ui *ui)
{
	if (!zk_timer_is_active(ui->timer))
		zk_timer_start(ui->timer, DRAW_MS, 0);
}

/* ---- what is known --------------------------------------------------------------------------- */

static void free_node(struct events_ui *ui, struct node *n)
{
	zk_list_remove(&n->entry);
	zk_map_del(&ui->by_key, zk_str_n(n->key, n->key_n));
	ui->n--;
	free(n->key);
	free(n->workflow);
	free(n->id);
	free(n->state);
	free(n->note);
	free(n);
}

/* The text of a member as people see it; a value that is no text as it is. NULL when it is not
 * there; the caller frees it. */
static char *text_of(struct events_ui *ui, zk_str json, const char *path)
{
	struct zk_buf clean;
	struct zk_error ignored;
	struct zk_jval v;
	zk_str s;

	if (!zk_jscan_get(json, zk_str_of(path), &v) || v.type == ZK_J_NULL)
		return NULL;
	s = v.raw;
	if (v.type == ZK_J_STRING) {
		zk_buf_clear(&ui->room);
		if (zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &ui->room, &ignored) < 0)
			return NULL;
		s = zk_buf_str(&ui->room);
	}
	zk_buf_init(&clean, TEXT_MAX * 16);
	zk_text_scrub(&clean, zk_str_n(s.p, ZK_MIN(s.n, (size_t)TEXT_MAX)), false);
	return zk_buf_take(&clean);
}

static void set(char **to, char *text)
{
	if (!text)
		return;
	free(*to);
	*to = text;
}

static struct node *node_of(struct events_ui *ui, zk_str workflow, zk_str id)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	struct node *n;

	zk_buf_init(&key, TEXT_MAX * 64);
	zk_buf_add(&key, workflow);
	zk_buf_char(&key, '\n');
	zk_buf_add(&key, id);
	n = zk_map_get(&ui->by_key, zk_buf_str(&key));
	if (n) {
		zk_list_remove(&n->entry);
		zk_list_push_front(&ui->nodes, &n->entry);
		return n;
	}
	if (ui->n == NODES_MAX)
		free_node(ui, ZK_LIST_ENTRY(ui->nodes.prev, struct node, entry));
	n = zk_new0(struct node);
	n->key = zk_strndup(key.p, key.n);
	n->key_n = key.n;
	n->workflow = zk_strndup(workflow.n ? workflow.p : "", workflow.n);
	n->id = zk_strndup(id.p, id.n);
	n->state = zk_strdup("");
	n->note = zk_strdup("");
	n->mood = "";
	n->ms = n->progress = -1;
	zk_map_set(&ui->by_key, zk_buf_str(&key), n);
	zk_list_push_front(&ui->nodes, &n->entry);
	ui->n++;
	return n;
}

/* "executing" of "node.executing". */
static void put_node_event(struct events_ui *ui, zk_str json, const char *type)
{
	ZK_CLEANUP(zk_freep)
	char *workflow = text_of(ui, json, "workflowId");
	ZK_CLEANUP(zk_freep)
	char *id = text_of(ui, json, "nodeId");
	ZK_CLEANUP(zk_freep)
	char *ms = text_of(ui, json, "duration");
	struct zk_error ignored;
	struct node *n;
	uint64_t v;

	if (!id || !id[0])
		return;
	n = node_of(ui, zk_str_of(workflow), zk_str_of(id));
	n->events++;
	n->mood = events_line_mood(zk_str_of(type));
	if (zk_str_starts(zk_str_of(type), ZK_STR("node.")))
		set(&n->state, zk_strdup(type + strlen("node.")));
	if (ms && zk_parse_u64(zk_str_of(ms), &v, &ignored) == 0)
		n->ms = (int64_t)ZK_MIN(v, (uint64_t)INT64_MAX);
	ui->failed += strcmp(n->mood, "failed") == 0;
	set(&n->note, zk_strdup(""));
	set(&n->note, text_of(ui, json, "error.message"));
}

static void put_visual(struct events_ui *ui, zk_str json)
{
	struct zk_jval list, e, v;
	struct zk_jiter it;
	int64_t progress;

	if (!zk_jscan_get(json, ZK_STR("elements"), &list) || list.type != ZK_J_ARRAY)
		return;
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &e)) {
		ZK_CLEANUP(zk_freep)
		char *id = text_of(ui, e.raw, "id");
		struct node *n;

		if (e.type != ZK_J_OBJECT || !id || !id[0])
			continue;
		n = node_of(ui, ZK_STR(""), zk_str_of(id));
		n->events++;
		set(&n->state, text_of(ui, e.raw, "state"));
		set(&n->note, text_of(ui, e.raw, "message"));
		n->mood = strcmp(n->state, "success") == 0   ? "ok"
		          : strcmp(n->state, "error") == 0   ? "failed"
		          : strcmp(n->state, "running") == 0 ? "running"
		                                             : "";
		if (zk_jscan_get(e.raw, ZK_STR("progress"), &v) &&
		    zk_jnum_i64(v.raw, &progress) && progress >= 0 && progress <= 100)
			n->progress = (int)progress;
	}
}

void events_ui_put(struct events_ui *ui, zk_str json)
{
	ZK_CLEANUP(zk_freep)
	char *type = text_of(ui, json, "type");

	ui->events++;
	if (type && strcmp(type, "visual.state.update") == 0)
		put_visual(ui, json);
	else if (type)
		put_node_event(ui, json, type);
	changed(ui);
}

void events_ui_state(struct events_ui *ui, const char *word)
{
	ui->word = word;
	changed(ui);
}

struct events_ui *events_ui_new(struct zk_loop *loop, bool color)
{
	struct events_ui *ui = zk_new0(struct events_ui);

	ui->loop = loop;
	ui->color = color;
	ui->utf8 = zk_term_is_utf8();
	ui->word = "connecting";
	ui->timer = zk_timer_new(loop, draw, ui);
	zk_map_init(&ui->by_key);
	zk_list_init(&ui->nodes);
	zk_buf_init(&ui->table, TABLE_MAX);
	zk_buf_init(&ui->room, 65536);
	draw(ui);
	return ui;
}

void events_ui_free(struct events_ui *ui)
{
	if (!ui)
		return;
	/* The last state stays on the screen, above what follows. */
	draw(ui);
	zk_log_bar(ZK_STR_NULL);
	zk_log_say(ZK_LOG_NOTICE, zk_buf_str(&ui->table));
	while (!zk_list_is_empty(&ui->nodes))
		free_node(ui, ZK_LIST_ENTRY(ui->nodes.next, struct node, entry));
	zk_timer_free(ui->timer);
	zk_map_done(&ui->by_key);
	zk_buf_done(&ui->table);
	zk_buf_done(&ui->room);
	free(ui);
}
