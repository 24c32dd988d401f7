/* A request that the plain engine of the HTTP client carries.
 * Layer: net, internal to the HTTP client (http_plain.c, http_pool.c). */
#ifndef ZK_NET_HTTP_PLAIN_H
#define ZK_NET_HTTP_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/http1.h"
#include "net/url.h"

struct zk_http;
struct zk_http_conn;

struct zk_plain {
	struct zk_http *req;
	struct zk_url_parts url; /* of req->url */
	struct zk_list waiting;  /* for a connection */
	struct zk_http_conn *conn;
	bool fresh; /* only with a new connection: an old one was dead */
	int64_t connect_us;
	int sys_errno;

	/* From here on: of this attempt, on one connection. */
	bool reused;
	bool over;  /* the end is on its way to zk_http_end() */
	bool spent; /* nothing may follow on the connection */
	bool clean; /* it ended well, and another request may follow */

	/* The request. */
	struct zk_buf out; /* its head, then pieces of the source with their framing */
	size_t out_at;     /* sent of it */
	size_t body_at;    /* sent of conf.body */
	uint64_t written;  /* of everything */
	uint64_t pulled;   /* bytes of the source */
	bool source_ended; /* `out` is the last of it */
	bool sent;         /* all of it */
	bool mute;         /* nothing more is sent: nobody wants it */
	int send_errno;    /* why not */

	/* The answer. */
	bool heard;     /* a byte of it */
	size_t seen;    /* of its head: looked through */
	size_t interim; /* bytes of heads of 1xx */
	bool head_done, body_done;
	struct zk_http1_answer answer;
	uint64_t left; /* of its length */
	struct zk_http1_chunks chunks;
	struct zk_buf rest; /* read, and not taken yet */
};

#endif
