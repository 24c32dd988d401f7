/* The last requests that this process made, for status pages: no payloads, no queries, no secrets.
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_RECENT_H
#define ZK_NET_RECENT_H

#include <stdint.h>

struct zk_error;
struct zk_net;
struct zk_net_recent;

#define ZK_NET_RECENT 20

struct zk_net_exchange {
	int64_t at_us; /* wall, of its end */
	int64_t micros;
	int status; /* 0 = no answer */
	char method[8], url[120],
	        error[160]; /* cut where they are longer; error "" = none */
};

/* fn for each, the newest first. */
void zk_net_recent_each(const struct zk_net *net,
                        void (*fn)(void *ctx, const struct zk_net_exchange *x),
                        void *ctx);

/* For net/http.c and net/net.c; `url` in its safe form. */
void zk_net_recent_note(struct zk_net *net, const char *method, const char *url,
                        int status, int64_t micros, const struct zk_error *err);
void zk_net_recent_free(struct zk_net_recent *r); /* NULL is fine */

#endif
