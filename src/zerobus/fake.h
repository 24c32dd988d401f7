/* A stand-in of the Zerobus service: strict about the client, and as unreliable as it is told to be
 * (specs/zerobus.md §19). Loopback.
 * Layer: zerobus. Loop thread only. */
#ifndef ZK_ZEROBUS_FAKE_H
#define ZK_ZEROBUS_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_loop;
struct zk_zb_fake;

/* How a stream ends of itself. */
enum zk_zb_cut {
	ZK_ZB_CUT_STATUS,
	ZK_ZB_CUT_RESET,
	ZK_ZB_CUT_GOAWAY,
	ZK_ZB_CUT_TCP,
	ZK_ZB_CUT_FIN,
	ZK_ZB_CUT_SILENCE /* nothing comes any more */
};

/* What one stream does. */
struct zk_zb_fault {
	bool refuse; /* with code and text, instead of an answer to create_stream */
	bool silent; /* no answer to create_stream */
	int code;
	char text[120];
	int http_status; /* instead of gRPC; 0 = none */
	uint64_t ack_every;
	int64_t ack_delay_ms;
	int64_t ack_limit; /* the highest offset that is acknowledged; -1 = none, INT64_MAX */
	int64_t bad_ack;     /* sent once instead of the first; INT64_MIN = none */
	bool blank_ack;      /* one without a number, once */
	bool empty, garbage; /* instead of the answer to create_stream */
	int64_t head_ms;     /* the head of the answer comes so late */
	int64_t stall_ms;    /* nothing is read for so long, once the stream is created */
	bool bytewise;       /* each byte of an answer in a frame of its own */
	uint64_t end_after;  /* rows; 0 = never */
	enum zk_zb_cut cut;
	int64_t h2_code;      /* of a reset or GOAWAY */
	uint64_t close_after; /* rows; 0 = never: close signal */
	int64_t close_ms;     /* -1 = without a duration */
	bool breaks_word;     /* ends at once after the signal */
	bool drops_unacked;   /* rows without an acknowledgement are thrown away */
	char poison
	        [120]; /* a row that holds this text is answered with INVALID_ARGUMENT */
};

struct zk_zb_fake_conf {
	const char *addr;
	int grpc_port, http_port;
	const char *out;  /* folder for rows, one NDJSON file per table; NULL = none */
	const char *plan; /* file; NULL = none */
	uint64_t chaos;   /* seed; 0 = none */
	bool fast;        /* counts rows, looks at nothing */
	bool auth;        /* tokens are demanded */
	int64_t token_ms; /* their life */
	uint32_t window;  /* of HTTP/2; 0 = 1 MiB */
	/* PEM files; made when neither is there. NULL = gRPC without TLS. */
	const char *tls_cert, *tls_key;
	const char *document; /* file: the columns of every table; NULL = none has some */
};

int zk_zb_fake_start(struct zk_loop *l, const struct zk_zb_fake_conf *conf,
                     struct zk_zb_fake **ret, struct zk_error *err) ZK_MUST_USE;
void zk_zb_fake_free(struct zk_zb_fake *f); /* NULL is fine */
int zk_zb_fake_grpc_port(const struct zk_zb_fake *f);
int zk_zb_fake_http_port(const struct zk_zb_fake *f);

struct zk_zb_fake_stats {
	uint64_t streams, requests, rows, stored, doubled, thrown, bytes;
	uint64_t violations, tokens, cuts, signals;
	uint64_t cut_row; /* of the stream that was cut last */
};
void zk_zb_fake_stats(const struct zk_zb_fake *f, struct zk_zb_fake_stats *ret);
/* The answer of GET /stats. */
void zk_zb_fake_report(const struct zk_zb_fake *f, struct zk_buf *b);

/* ---- inside ---- */

/* What the token endpoint does with one request. */
struct zk_zb_token_fault {
	int status;       /* instead of 200; 0 = none */
	char body[512];   /* instead of the token; empty = none */
	int64_t delay_ms; /* before the answer */
	int64_t life_ms;  /* of the token; -1 = as --token-life says */
	bool quoted;      /* expires_in as a text */
	bool no_expiry;   /* no expires_in */
};

struct zk_zb_fake_plan {
	struct zk_zb_fault *streams;
	size_t n_streams;
	struct zk_zb_token_fault *tokens;
	size_t n_tokens;
};

/* Reads a plan: an array of faults of streams, or an object with such an array and one of faults of
 * token requests, {"streams": […], "tokens": […]}. Those that come after them have none. */
int zk_zb_plan_parse(zk_str json, struct zk_zb_fake_plan *ret,
                     struct zk_error *err) ZK_MUST_USE;
void zk_zb_plan_done(struct zk_zb_fake_plan *p);
extern const struct zk_zb_fault zk_zb_no_fault;

#endif
