/* What changed in the graphs of a workflow.
 * Layer: zip. */
#include "zip/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jwrite.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define EVENT_MAX   ((size_t)128 << 20)
#define ID_MAX      65536
#define TIME_MAX_MS (INT64_C(1) << 52)

enum kind { NODES, CONNECTIONS, GROUPS, KINDS };

static const struct {
	const char *list;
	const char *id; /* the member of events that names it */
	const char *added, *updated, *deleted;
} kinds[KINDS] = {
	[NODES] = { "nodes", "nodeId", "node.added", "node.updated", "node.deleted" },
	/* Connections do not change: their ends are what they are. */
	[CONNECTIONS] = { "connections", "connectionId", "connection.added",
	                  "connection.added", "connection.deleted" },
	[GROUPS] = { "groups", "groupId", "group.created", "group.updated",
	             "group.deleted" },
};

/* An element of a graph as it was last. */
struct element {
	uint64_t hash;
	unsigned round; /* of the snapshot that had it last */
};

struct graph {
	struct zk_map elements[KINDS]; /* id -> struct element */
	unsigned round;
};

struct workflow {
	struct zk_map graphs; /* id -> struct graph */
	uint64_t hash;        /* of the last snapshot as a whole; 0 = changed since */
	unsigned round;       /* of snapshots, 0 = there was none */
	int64_t seen_ms;
};

struct zk_zip_watch {
	struct zk_map workflows;
	struct zk_rand rnd;
};

/* What goes on in one call. */
struct compare {
	struct zk_zip_watch *w;
	zk_str workflow, graph_id; /* decoded */
	struct graph *graph;
	unsigned round;
	bool first;    /* the graph was not there before */
	int64_t at_us; /* when it happened */
	zk_zip_watch_fn fn;
	void *ctx;
	struct zk_buf event;
};

static void free_map(struct zk_map *m)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(m, &pos, &key, &value))
		free(value);
	zk_map_done(m);
}

static void free_graph(struct graph *g)
{
	for (int k = 0; k < KINDS; k++)
		free_map(&g->elements[k]);
	free(g);
}

struct zk_zip_watch *zk_zip_watch_new(void)
{
	struct zk_zip_watch *w = zk_new0(struct zk_zip_watch);
	uint64_t seed;

	zk_map_init(&w->workflows);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&w->rnd, seed);
	return w;
}

void zk_zip_watch_free(struct zk_zip_watch *w)
{
	size_t pos = 0, inner;
	zk_str key;
	void *value, *graph;

	if (!w)
		return;
	while (zk_map_next(&w->workflows, &pos, &key, &value)) {
		struct workflow *f = value;

		inner = 0;
		while (zk_map_next(&f->graphs, &inner, &key, &graph))
			free_graph(graph);
		zk_map_done(&f->graphs);
		free(f);
	}
	zk_map_done(&w->workflows);
	free(w);
}

/* ---- events ---- */

static void put_id(struct compare *c, struct zk_jwrite *w)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char tail[10] = { 0 };

	for (size_t i = 0; i + 1 < sizeof(tail); i++)
		tail[i] = digits[zk_rand_below(&c->w->rnd, sizeof(digits) - 1)];
	zk_jw_printf(w, "evt_%lld_%s", (long long)(zk_wall_us() / 1000), tail);
}

static void tell(struct compare *c, enum kind k, const char *type, zk_str id, zk_str data)
{
	struct zk_jwrite w;

	if (!c->fn || c->first)
		return;
	zk_buf_clear(&c->event);
	zk_jwrite_init(&w, &c->event);
	zk_jw_obj(&w);
	zk_jw_key(&w, "id");
	put_id(c, &w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, type);
	zk_jw_key(&w, "timestamp");
	zk_jw_time(&w, c->at_us);
	zk_jw_key(&w, "workflowId");
	zk_jw_str(&w, c->workflow);
	zk_jw_key(&w, "graphId");
	zk_jw_str(&w, c->graph_id);
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, "zk-diff");
	zk_jw_key(&w, kinds[k].id);
	zk_jw_str(&w, id);
	if (data.n) {
		zk_jw_key(&w, "data");
		zk_jw_raw(&w, data);
	}
	zk_jw_obj_end(&w);
	if (!c->event.failed)
		c->fn(c->ctx, zk_buf_str(&c->event));
}

/* ---- comparing ---- */

/* The decoded text of a member; false when it is no text. */
static bool text_of(zk_str json, const char *name, struct zk_buf *room, zk_str *ret)
{
	struct zk_error ignored;
	struct zk_jval v;

	if (!zk_jscan_get(json, zk_str_of(name), &v) || v.type != ZK_J_STRING)
		return false;
	if (zk_jstr_plain(v.raw, ret))
		return true;
	zk_buf_clear(room);
	if (zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, room, &ignored) < 0 || room->failed)
		return false;
	*ret = zk_buf_str(room);
	return true;
}

/* The `timestamp` in milliseconds: a number of them, or RFC 3339; 0 when it is neither. */
static int64_t time_of(zk_str json)
{
	struct zk_jval v;
	int64_t ms = 0;

	if (!zk_jscan_get(json, ZK_STR("timestamp"), &v) ||
	    !(v.type == ZK_J_NUMBER ? zk_jnum_i64(v.raw, &ms)
	                            : zk_zip_time_ms(v.raw, &ms)))
		return 0;
	return ZK_MIN(ZK_MAX(ms, (int64_t)0), TIME_MAX_MS);
}

static void see(struct compare *c, enum kind k, zk_str id, zk_str json)
{
	struct element *e = zk_map_get(&c->graph->elements[k], id);
	uint64_t hash = zk_hash(json);

	if (!e) {
		e = zk_new0(struct element);
		zk_map_set(&c->graph->elements[k], id, e);
		tell(c, k, kinds[k].added, id, json);
	} else if (e->hash != hash) {
		if (k == CONNECTIONS)
			tell(c, k, kinds[k].deleted, id, ZK_STR_NULL);
		tell(c, k, kinds[k].updated, id, json);
	}
	e->hash = hash;
	e->round = c->round;
}

/* Walks the list of a kind, which is an array, or an object with the ids as names. */
static void each(struct compare *c, enum kind k, zk_str graph,
                 void (*fn)(struct compare *c, enum kind k, zk_str id, zk_str json))
{
	struct zk_buf room ZK_CLEANUP(zk_buf_done);
	struct zk_jiter it;
	struct zk_jval list, v;
	zk_str id, key;
	bool object;

	zk_buf_init(&room, ID_MAX);
	if (!zk_jscan_get(graph, zk_str_of(kinds[k].list), &list) ||
	    (list.type != ZK_J_ARRAY && list.type != ZK_J_OBJECT))
		return;
	object = list.type == ZK_J_OBJECT;
	zk_jiter_init(&it, list.raw);
	while (object ? zk_jiter_member(&it, &key, &v) : zk_jiter_element(&it, &v))
		if (v.type == ZK_J_OBJECT && text_of(v.raw, "id", &room, &id) && id.n)
			fn(c, k, id, v.raw);
}

/* Marks what is still there, so that what went is known before anything is told. */
static void touch(struct compare *c, enum kind k, zk_str id, zk_str json)
{
	struct element *e = zk_map_get(&c->graph->elements[k], id);

	(void)json;
	if (e)
		e->round = c->round;
}

static void remove_gone(struct compare *c, enum kind k)
{
	struct zk_map *m = &c->graph->elements[k];
	size_t pos = 0;
	zk_str id;
	void *value;

	while (zk_map_next(m, &pos, &id, &value)) {
		struct element *e = value;

		if (e->round == c->round)
			continue;
		tell(c, k, kinds[k].deleted, id, ZK_STR_NULL);
		zk_map_del(m, id);
		free(e);
	}
}

static void compare_graph(struct compare *c, zk_str graph)
{
	for (int k = 0; k < KINDS; k++)
		each(c, (enum kind)k, graph, touch);
	remove_gone(c, CONNECTIONS);
	remove_gone(c, GROUPS);
	remove_gone(c, NODES);
	for (int k = 0; k < KINDS; k++)
		each(c, (enum kind)k, graph, see);
}

/* A graph that went takes all that was in it with it. */
static void remove_graphs(struct compare *c, struct workflow *f)
{
	size_t pos = 0;
	zk_str id;
	void *value;

	while (zk_map_next(&f->graphs, &pos, &id, &value)) {
		c->graph = value;
		if (c->graph->round == c->round)
			continue;
		c->graph_id = id;
		c->first = false;
		compare_graph(c, ZK_STR("{}"));
		zk_map_del(&f->graphs, id);
		free_graph(c->graph);
	}
}

static struct graph *graph_of(struct workflow *f, zk_str id)
{
	struct graph *g = zk_map_get(&f->graphs, id);

	if (g)
		return g;
	g = zk_new0(struct graph);
	for (int k = 0; k < KINDS; k++)
		zk_map_init(&g->elements[k]);
	zk_map_set(&f->graphs, id, g);
	return g;
}

static struct workflow *workflow_of(struct zk_zip_watch *w, zk_str id)
{
	struct workflow *f = zk_map_get(&w->workflows, id);

	if (f)
		return f;
	f = zk_new0(struct workflow);
	zk_map_init(&f->graphs);
	zk_map_set(&w->workflows, id, f);
	return f;
}

static void compare_graphs(struct compare *c, struct workflow *f, zk_str graphs)
{
	struct zk_buf room ZK_CLEANUP(zk_buf_done);
	struct zk_jiter it;
	struct zk_jval v;
	bool first = !f->round;

	zk_buf_init(&room, ID_MAX);
	c->round = ++f->round;
	zk_jiter_init(&it, graphs);
	while (zk_jiter_element(&it, &v)) {
		if (v.type != ZK_J_OBJECT || !text_of(v.raw, "id", &room, &c->graph_id))
			continue;
		c->graph = graph_of(f, c->graph_id);
		c->graph->round = c->round;
		c->first = first;
		compare_graph(c, v.raw);
	}
	remove_graphs(c, f);
}

enum zk_zip_seen zk_zip_watch_state(struct zk_zip_watch *w, zk_str state,
                                    zk_zip_watch_fn fn, void *ctx)
{
	struct zk_buf room ZK_CLEANUP(zk_buf_done);
	struct compare c = { .w = w, .fn = fn, .ctx = ctx, .at_us = zk_wall_us() };
	struct zk_jval graphs, data;
	struct workflow *f;
	uint64_t hash;
	bool first;

	zk_buf_init(&room, ID_MAX);
	if (!text_of(state, "workflowId", &room, &c.workflow) ||
	    !zk_jscan_get(state, ZK_STR("data"), &data) ||
	    !zk_jscan_get(data.raw, ZK_STR("graphs"), &graphs) ||
	    graphs.type != ZK_J_ARRAY)
		return ZK_ZIP_SEEN_NOT;
	f = workflow_of(w, c.workflow);
	f->seen_ms = ZK_MAX(f->seen_ms, time_of(state));
	hash = zk_hash(graphs.raw);
	first = !f->round;
	if (!first && f->hash == hash)
		return ZK_ZIP_SEEN_SAME;
	f->hash = hash;
	zk_buf_init(&c.event, EVENT_MAX);
	compare_graphs(&c, f, graphs.raw);
	zk_buf_done(&c.event);
	return first ? ZK_ZIP_SEEN_FIRST : ZK_ZIP_SEEN_CHANGED;
}

/* ---- changes, one by one ---- */

enum change { ADDED, UPDATED, REMOVED };

static bool parse_update(zk_str type, enum kind *kind, enum change *change)
{
	static const struct {
		zk_str type;
		enum kind kind;
		enum change change;
	} rows[] = {
		{ ZK_STR_INIT("node-added"), NODES, ADDED },
		{ ZK_STR_INIT("node-updated"), NODES, UPDATED },
		{ ZK_STR_INIT("node-removed"), NODES, REMOVED },
		{ ZK_STR_INIT("connection-added"), CONNECTIONS, ADDED },
		{ ZK_STR_INIT("connection-removed"), CONNECTIONS, REMOVED },
		{ ZK_STR_INIT("group-created"), GROUPS, ADDED },
		{ ZK_STR_INIT("group-updated"), GROUPS, UPDATED },
		{ ZK_STR_INIT("group-removed"), GROUPS, REMOVED },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		if (!zk_str_eq(rows[i].type, type))
			continue;
		*kind = rows[i].kind;
		*change = rows[i].change;
		return true;
	}
	return false;
}

/* The id of what changed: `id`, or nodeId and so on where only that is said. */
static bool id_of(zk_str data, enum kind k, struct zk_buf *room, zk_str *ret)
{
	return (text_of(data, "id", room, ret) ||
	        text_of(data, kinds[k].id, room, ret)) &&
	       ret->n;
}

static void take_away(struct compare *c, enum kind k, zk_str id, bool known_all)
{
	struct element *e = zk_map_get(&c->graph->elements[k], id);

	/* After a snapshot what is not there was told to be gone. */
	if (!e && known_all)
		return;
	tell(c, k, kinds[k].deleted, id, ZK_STR_NULL);
	zk_map_del(&c->graph->elements[k], id);
	free(e);
}

static void put(struct compare *c, enum kind k, const char *type, zk_str id, zk_str data)
{
	struct element *e = zk_map_get(&c->graph->elements[k], id);
	uint64_t hash = zk_hash(data);

	if (e && e->hash == hash)
		return;
	if (!e) {
		e = zk_new0(struct element);
		zk_map_set(&c->graph->elements[k], id, e);
	}
	e->hash = hash;
	tell(c, k, type, id, data);
}

bool zk_zip_watch_update(struct zk_zip_watch *w, zk_str update, zk_zip_watch_fn fn,
                         void *ctx)
{
	struct zk_buf rooms[3];
	struct compare c = { .w = w, .fn = fn, .ctx = ctx };
	int64_t ms = time_of(update);
	zk_str type = ZK_STR_NULL, id;
	enum change change = UPDATED;
	struct zk_jval v, data;
	struct workflow *f;
	enum kind k = NODES;
	bool ok;

	for (size_t i = 0; i < ZK_ARRAY_LEN(rooms); i++)
		zk_buf_init(&rooms[i], ID_MAX);
	ok = zk_jscan_get(update, ZK_STR("type"), &v) && zk_jstr_plain(v.raw, &type) &&
	     parse_update(type, &k, &change) &&
	     text_of(update, "workflowId", &rooms[0], &c.workflow) &&
	     zk_jscan_get(update, ZK_STR("data"), &data) && data.type == ZK_J_OBJECT &&
	     id_of(data.raw, k, &rooms[1], &id);
	if (ok) {
		if (!text_of(update, "graphId", &rooms[2], &c.graph_id))
			c.graph_id = ZK_STR("main");
		c.at_us = ms ? ms * 1000 : zk_wall_us();
		zk_buf_init(&c.event, EVENT_MAX);
		f = workflow_of(w, c.workflow);
		f->seen_ms = ZK_MAX(f->seen_ms, ms);
		f->hash = 0;
		c.graph = graph_of(f, c.graph_id);
		if (change == REMOVED)
			take_away(&c, k, id, f->round != 0);
		else
			put(&c, k, change == ADDED ? kinds[k].added : kinds[k].updated,
			    id, data.raw);
		zk_buf_done(&c.event);
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(rooms); i++)
		zk_buf_done(&rooms[i]);
	return ok;
}

int64_t zk_zip_watch_seen_ms(const struct zk_zip_watch *w, zk_str workflow)
{
	const struct workflow *f = zk_map_get(&w->workflows, workflow);

	return f ? f->seen_ms : 0;
}
