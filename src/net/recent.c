/* The last requests.
 * Layer: net. */
#include "net/recent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/recent.h"
#include "net/http_priv.h"

#include "base/ban.h"

struct zk_net_recent {
	struct zk_net_exchange v[ZK_NET_RECENT];
	unsigned n, next;
};

void zk_net_recent_note(struct zk_net *net, const char *method, const char *url,
                        int status, int64_t micros, const struct zk_error *err)
{
	struct zk_net_recent *r = net->recent;
	struct zk_net_exchange *x;

	if (!r)
		net->recent = r = zk_new0(struct zk_net_recent);
	x = &r->v[r->next];
	*x = (struct zk_net_exchange){ .at_us = zk_wall_us(),
		                       .micros = micros,
		                       .status = status };
	/* Once a request: what is cheap. In a safe URL nothing is to be hidden. */
	(void)snprintf(x->url, sizeof(x->url), "%s", url ? url : "");
	(void)snprintf(x->method, sizeof(x->method), "%s", method);
	if (err)
		zk_recent_text(x->error, sizeof(x->error), zk_str_of(err->msg));
	r->next = (r->next + 1) % ZK_NET_RECENT;
	r->n = ZK_MIN(r->n + 1, (unsigned)ZK_NET_RECENT);
}

void zk_net_recent_each(const struct zk_net *net,
                        void (*fn)(void *ctx, const struct zk_net_exchange *x), void *ctx)
{
	const struct zk_net_recent *r = net->recent;

	for (unsigned i = 1; r && i <= r->n; i++)
		fn(ctx, &r->v[(r->next + ZK_NET_RECENT - i) % ZK_NET_RECENT]);
}

void zk_net_recent_free(struct zk_net_recent *r)
{
	free(r);
}
