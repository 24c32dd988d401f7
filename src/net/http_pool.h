/* Connections of the plain engine of the HTTP client, kept for the next request to the same host.
 * Layer: net, internal to the HTTP client (http_plain.c, http_pool.c). */
#ifndef ZK_NET_HTTP_POOL_H
#define ZK_NET_HTTP_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "net/resolve.h"

struct zk_dial;
struct zk_dial_report;
struct zk_net;
struct zk_plain;
struct zk_poll;

#define ZK_HTTP_ROOM 65536

struct zk_http_pool {
	struct zk_net *net;
	struct zk_list idle;    /* the one that was used last comes first */
	struct zk_list busy;    /* with a request, connected or not */
	struct zk_list closed;  /* freed at the end of this turn */
	struct zk_list waiting; /* zk_plain.waiting: for a connection that may be */
	unsigned n;             /* idle and busy */
	char *room; /* ZK_HTTP_ROOM bytes: what is being read, by whoever reads */
};

struct zk_http_conn {
	struct zk_list link;
	struct zk_http_pool *pool;
	char *host;
	int port;
	struct zk_dial *dial; /* while it is being made */
	int fd;               /* -1 until it is */
	struct zk_poll *poll;
	int events;
	struct zk_addr peer;
	char peer_text[ZK_ADDR_TEXT];
	struct zk_plain *x;    /* its request, NULL = idle */
	int64_t idle_since_ms; /* monotonic */
	bool used;             /* it had a request before this one */
};

struct zk_http_pool *zk_http_pool_new(struct zk_net *n);
/* A connection for x->conn, which is connected already when it is an idle one, otherwise
 * zk_plain_on_connected comes. False when there may be no more: x waits, and is started again. */
bool zk_http_pool_give(struct zk_http_pool *p, struct zk_plain *x);
/* The request is over. */
void zk_http_pool_put(struct zk_http_conn *c, bool keep);
/* There may be room: the first of those that wait and can use it is started again. */
void zk_http_pool_wake(struct zk_http_pool *p);
/* Events it is watched for, ZK_POLL_*. */
void zk_http_conn_watch(struct zk_http_conn *c, int events);

/* http_plain.c. `report` tells whether it is connected. */
void zk_plain_on_connected(struct zk_plain *x, const struct zk_dial_report *report);
void zk_plain_on_events(struct zk_plain *x, int events);

#endif
