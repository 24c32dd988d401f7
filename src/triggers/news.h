/* Which organizations have fresh events: told once per turn of the loop and organization.
 * Layer: triggers, private to the stores. Loop thread. */
#ifndef ZK_TRIGGERS_NEWS_H
#define ZK_TRIGGERS_NEWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rand.h"

struct zk_loop;
struct zk_trig_repo;

#define ZK_TRIG_MAX_NEWS 64

struct zk_trig_news {
	struct zk_loop *loop;
	struct zk_trig_repo *repo;
	struct {
		zk_uuid org;
		bool due;
	} v[ZK_TRIG_MAX_NEWS];
	size_t n;
	bool planned;
};

void zk_trig_news_init(struct zk_trig_news *n, struct zk_loop *l,
                       struct zk_trig_repo *repo);
/* Remembers that `org` has fresh events; repo->on_events hears of it at the end of the turn. */
void zk_trig_news_note(struct zk_trig_news *n, const zk_uuid *org, bool due);

#endif
