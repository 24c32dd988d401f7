/* Fresh events per organization.
 * Layer: triggers. */
#include "triggers/news.h"

#include <string.h>

#include "rt/loop.h"
#include "triggers/repo.h"

#include "base/ban.h"

void zk_trig_news_init(struct zk_trig_news *n, struct zk_loop *l,
                       struct zk_trig_repo *repo)
{
	memset(n, 0, sizeof(*n));
	n->loop = l;
	n->repo = repo;
}

static void tell(void *ctx)
{
	struct zk_trig_news *n = ctx;
	size_t count = n->n;

	n->planned = false;
	n->n = 0;
	for (size_t i = 0; i < count && n->repo->on_events; i++) {
		zk_uuid org = n->v[i].org;

		n->repo->on_events(n->repo->ctx, &org, n->v[i].due);
	}
}

void zk_trig_news_note(struct zk_trig_news *n, const zk_uuid *org, bool due)
{
	for (size_t i = n->n; i-- > 0;) {
		if (memcmp(&n->v[i].org, org, sizeof(*org)) == 0) {
			n->v[i].due |= due;
			return;
		}
	}
	if (n->n == ZK_TRIG_MAX_NEWS)
		tell(n);
	n->v[n->n].org = *org;
	n->v[n->n++].due = due;
	if (!n->planned) {
		n->planned = true;
		zk_loop_defer(n->loop, tell, n);
	}
}
