/* What api.c and judge.c share.
 * Layer: zip, private. */
#ifndef ZK_ZIP_PRIV_H
#define ZK_ZIP_PRIV_H

#include "base/list.h"
#include "net/send.h"
#include "zip/api.h"

struct zk_timer;

#define ZK_ZIP_HEADERS 6

struct zk_zip {
	struct zk_net *net;
	struct zk_zip_conf conf; /* its texts are ours */
	char *base, *origin;
	char *headers[ZK_ZIP_HEADERS]; /* ended by NULL */
	char *token;
	char *workflow; /* that calls are about, NULL = none */
	struct zk_list calls;
	struct zk_breaker breaker;
	enum zk_zip_server server;
	int64_t pace_until_ms; /* the server asks for a pause */
	int64_t next_ms;       /* --rate: the earliest start of the next call */
	double next_part;      /* and the fraction of a millisecond */
};

struct zk_zip_call {
	struct zk_list link;
	struct zk_zip *z;
	struct zk_zip_req req; /* its texts are ours */
	char *url, *route, *method, *body, *workflow;
	struct zk_send *send;
	struct zk_timer *timer; /* the wait before the start; NULL = none */
	zk_zip_done_fn done;
	void *ctx;
	unsigned attempts;
	struct zk_http *answer; /* during done */
	bool ended;
};

/* zk_send_conf.judge: what an answer means (fault.h), whether it may be repeated, what it says
 * about the server. ctx is the call. */
void zk_zip_judge(void *ctx, const struct zk_http_res *res, struct zk_error *err);

#endif
