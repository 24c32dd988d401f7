/* Inside of the stand-in.
 * Layer: zerobus, private to fake*.c. */
#ifndef ZK_ZEROBUS_FAKE_INT_H
#define ZK_ZEROBUS_FAKE_INT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "net/grpc.h"
#include "net/h2d.h"
#include "zerobus/fake.h"
#include "zerobus/rows.h"

struct zk_httpd;
struct zk_timer;

#define FAKE_VIOLATIONS 20
#define FAKE_TEXT       160
#define FAKE_LOG_BYTES  ((size_t)256 << 10)
#define FAKE_ENTRY      ((size_t)16 << 10) /* room for one entry of a log */

struct fake_table {
	char *name;
	int fd; /* of the rows; -1 = none */
	struct zk_buf lines;
	struct zk_map seen; /* hashes of rows */
};

struct fake_token {
	char *table;
	int64_t until_ms;
};

struct zk_zb_fake {
	struct zk_zb_fake_conf conf;
	struct zk_loop *loop;
	struct zk_h2d *grpc;
	struct zk_httpd *http;
	int http_port;
	struct zk_map tables; /* name → struct fake_table */
	struct zk_map tokens; /* token → struct fake_token */
	struct zk_zb_fake_plan plan;
	uint64_t asked;      /* requests for tokens */
	struct zk_list late; /* answers of the token endpoint that wait */
	/* Elements of JSON arrays for /stats, each with a comma behind it; the first ones. */
	struct zk_buf stream_log, token_log;
	struct zk_buf document; /* of every table */
	struct zk_buf row;      /* decoded */
	struct zk_rand rnd;
	struct zk_zb_fake_stats stats;
	char violations[FAKE_VIOLATIONS][FAKE_TEXT];
	size_t n_violations;
};

struct fake_conn {
	struct zk_zb_fake *f;
	struct zk_h2d_conn *c;
	struct zk_list streams;
	bool cut_reset;
};

/* A message whose rows are durable with its acknowledgement only. */
struct fake_pending {
	struct fake_pending *next;
	int64_t offset;
	size_t n;
	char bytes[];
};

struct fake_stream {
	struct zk_list link;
	struct zk_zb_fake *f;
	struct fake_conn *conn;
	int32_t id;
	uint64_t number;
	struct zk_zb_fault fault;
	struct zk_buf path, token, header_table, out;
	struct zk_grpc_split split;
	struct fake_table *table;
	enum zk_zb_record_type type;
	char why[FAKE_TEXT];         /* the descriptor is none */
	struct zk_zb_schema *schema; /* of its descriptor; NULL for JSON */
	bool created, ended;
	bool silent; /* ended without a word */
	int64_t next_offset, acked, due;
	int64_t status; /* that it ended with; -1 = none */
	uint64_t rows;
	struct zk_timer *timer, *head, *stall;
	struct fake_pending *first, **last;
};

/* fake.c */
void zk_zb_fake_violate(struct zk_zb_fake *f, const char *what);
void zk_zb_fake_flush(struct zk_zb_fake *f);
struct fake_stream *zk_zb_fake_stream_new(struct fake_conn *conn, int32_t id);
void zk_zb_fake_stream_free(struct fake_stream *s);
void zk_zb_fake_data(struct fake_stream *s, zk_str bytes);
void zk_zb_fake_end(struct fake_stream *s);

/* fake_token.c */
struct zk_httpd_req;
void zk_zb_fake_token(void *f, struct zk_httpd_req *req);
/* What is wrong with the token of a stream; NULL = nothing. */
const char *zk_zb_fake_judge_token(const struct fake_stream *s);
/* After the HTTP server is gone. */
void zk_zb_fake_tokens_done(struct zk_zb_fake *f);

/* fake_serve.c: to be deferred */
void zk_zb_fake_flush_conn(void *conn);
void zk_zb_fake_cut_conn(void *conn);

#endif
