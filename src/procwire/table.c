/* Methods and events of a worker.
 * Layer: procwire. */
#include "procwire/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "procwire/wire.h"

#include "base/ban.h"

#define IDS 65536u

const char *const zk_pw_kinds[] = { "result", "stream", "ack", "none", NULL };
const char *const zk_pw_codecs[] = { "msgpack", "raw", NULL };

void zk_pw_table_init(struct zk_pw_table *t)
{
	*t = (struct zk_pw_table){ 0 };
	zk_map_init(&t->by_name);
	zk_map_init(&t->ev_by_name);
}

void zk_pw_table_done(struct zk_pw_table *t)
{
	for (size_t i = 0; i < t->n_methods; i++) {
		struct zk_pw_method *m = &t->methods[i];

		if (m->conf && m->free_conf)
			m->free_conf(m->conf);
		free(m->name);
	}
	for (size_t i = 0; i < t->n_events; i++)
		free(t->events[i].name);
	free(t->methods);
	free(t->events);
	free(t->by_id);
	free(t->ev_by_id);
	zk_map_done(&t->by_name);
	zk_map_done(&t->ev_by_name);
	*t = (struct zk_pw_table){ 0 };
}

/* The id to use, or 0 with `err` filled. Pages of the array that are never touched cost no
 * memory. */
static uint16_t choose_id(uint16_t **by_id, uint16_t want, zk_str name,
                          struct zk_error *err)
{
	if (!*by_id)
		*by_id = zk_alloc_array(IDS, sizeof(**by_id));
	if (want > ZK_PW_ID_MAX) {
		(void)zk_fail(err, ZK_E_PW_TABLE, "'%.*s': the id %u is reserved",
		              ZK_STR_ARG(name), want);
		return 0;
	}
	if (want && (*by_id)[want]) {
		(void)zk_fail(err, ZK_E_PW_TABLE, "'%.*s': the id %u is taken",
		              ZK_STR_ARG(name), want);
		return 0;
	}
	for (unsigned id = 1; !want && id <= ZK_PW_ID_MAX; id++)
		if (!(*by_id)[id])
			return (uint16_t)id;
	if (!want)
		(void)zk_fail(err, ZK_E_PW_TABLE, "there are too many names");
	return want;
}

static int check_name(const struct zk_pw_table *t, const struct zk_map *names,
                      zk_str name, struct zk_error *err)
{
	if (t->frozen)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "'%.*s' cannot be added: the worker is started",
		               ZK_STR_ARG(name));
	if (!zk_utf8_valid(name))
		return zk_fail(err, ZK_E_PW_TABLE, "a name is not valid UTF-8");
	if (zk_map_get(names, name))
		return zk_fail(err, ZK_E_PW_TABLE, "'%.*s' is there twice",
		               ZK_STR_ARG(name));
	return 0;
}

/* Indexes are kept as pointers that are never followed. */
static void *as_pointer(size_t n)
{
	return (void *)(uintptr_t)n;
}

int zk_pw_table_method(struct zk_pw_table *t, const struct zk_pw_method *m,
                       struct zk_error *err)
{
	zk_str name = zk_str_of(m->name);
	uint16_t id;

	if (check_name(t, &t->by_name, name, err) < 0)
		return -(int)err->code;
	id = choose_id(&t->by_id, m->id, name, err);
	if (!id)
		return -(int)err->code;
	if (t->n_methods == t->room_methods) {
		t->room_methods = t->room_methods ? t->room_methods * 2 : 16;
		t->methods = zk_realloc(t->methods, t->room_methods * sizeof(*m));
	}
	t->methods[t->n_methods] = *m;
	t->methods[t->n_methods].name = zk_strdup(m->name);
	t->methods[t->n_methods].id = id;
	t->n_methods++;
	t->by_id[id] = (uint16_t)t->n_methods;
	(void)zk_map_set(&t->by_name, name, as_pointer(t->n_methods));
	return 0;
}

int zk_pw_table_event(struct zk_pw_table *t, const struct zk_pw_event *e,
                      struct zk_error *err)
{
	zk_str name = zk_str_of(e->name);
	uint16_t id;

	if (check_name(t, &t->ev_by_name, name, err) < 0)
		return -(int)err->code;
	id = choose_id(&t->ev_by_id, e->id, name, err);
	if (!id)
		return -(int)err->code;
	if (t->n_events == t->room_events) {
		t->room_events = t->room_events ? t->room_events * 2 : 8;
		t->events = zk_realloc(t->events, t->room_events * sizeof(*e));
	}
	t->events[t->n_events] = *e;
	t->events[t->n_events].name = zk_strdup(e->name);
	t->events[t->n_events].id = id;
	t->n_events++;
	t->ev_by_id[id] = (uint16_t)t->n_events;
	(void)zk_map_set(&t->ev_by_name, name, as_pointer(t->n_events));
	return 0;
}

struct zk_pw_method *zk_pw_table_find(const struct zk_pw_table *t, zk_str name)
{
	uintptr_t i = (uintptr_t)zk_map_get(&t->by_name, name);

	return i ? &t->methods[i - 1] : NULL;
}

struct zk_pw_event *zk_pw_table_find_event(const struct zk_pw_table *t, zk_str name)
{
	uintptr_t i = (uintptr_t)zk_map_get(&t->ev_by_name, name);

	return i ? &t->events[i - 1] : NULL;
}

struct zk_pw_event *zk_pw_table_event_by_id(const struct zk_pw_table *t, uint16_t id)
{
	uint16_t i = t->ev_by_id ? t->ev_by_id[id] : 0;

	return i ? &t->events[i - 1] : NULL;
}
