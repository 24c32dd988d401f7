/* Methods and events of a worker: names, ids, kinds, codecs (specs/procwire.md §4, §18).
 * Layer: procwire. */
#ifndef ZK_PROCWIRE_TABLE_H
#define ZK_PROCWIRE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

enum zk_pw_kind { ZK_PW_RESULT, ZK_PW_STREAMED, ZK_PW_ACKED, ZK_PW_NONE };
enum zk_pw_codec { ZK_PW_MSGPACK, ZK_PW_RAW };

/* "result", "stream", "ack", "none"; "msgpack", "raw": each ends with NULL. */
extern const char *const zk_pw_kinds[];
extern const char *const zk_pw_codecs[];

struct zk_pw_handler; /* procwire/worker.h */

struct zk_pw_method {
	char *name;
	uint16_t id;
	enum zk_pw_kind kind;
	enum zk_pw_codec request, response;
	int64_t timeout_ms; /* announced; -1 = none announced, 0 = switched off */
	const struct zk_pw_handler *handler; /* NULL in the table of a parent */
	void *conf; /* of the handler; freed with the table by free_conf */
	void (*free_conf)(void *conf);
};

struct zk_pw_event {
	char *name;
	uint16_t id;
	enum zk_pw_codec codec;
};

struct zk_pw_table {
	struct zk_pw_method *methods;
	size_t n_methods, room_methods;
	struct zk_pw_event *events;
	size_t n_events, room_events;
	struct zk_map by_name; /* method name → index + 1 */
	struct zk_map ev_by_name;
	uint16_t *by_id; /* method id → index + 1, 0 = none; 65536 entries once used */
	uint16_t *ev_by_id;
	bool frozen;
};

void zk_pw_table_init(struct zk_pw_table *t);
void zk_pw_table_done(struct zk_pw_table *t);
/* Adds a copy; id 0 = the next one. 0, or -ZK_E_PW_TABLE: the name or id is taken, the id is
 * reserved, or the table is frozen. The name is any UTF-8 text. */
int zk_pw_table_method(struct zk_pw_table *t, const struct zk_pw_method *m,
                       struct zk_error *err) ZK_MUST_USE;
int zk_pw_table_event(struct zk_pw_table *t, const struct zk_pw_event *e,
                      struct zk_error *err) ZK_MUST_USE;
/* NULL when there is none. Pointers stay until something is added. */
struct zk_pw_method *zk_pw_table_find(const struct zk_pw_table *t, zk_str name);
struct zk_pw_event *zk_pw_table_find_event(const struct zk_pw_table *t, zk_str name);

static inline struct zk_pw_method *zk_pw_table_by_id(const struct zk_pw_table *t,
                                                     uint16_t id)
{
	uint16_t i = t->by_id ? t->by_id[id] : 0;

	return i ? &t->methods[i - 1] : NULL;
}

struct zk_pw_event *zk_pw_table_event_by_id(const struct zk_pw_table *t, uint16_t id);

#endif
