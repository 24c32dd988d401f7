/* `zk zerobus send`: its metrics, for Prometheus and for OpenTelemetry (specs/zerobus.md §17).
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_ZEROBUS_SEND_METRICS_H
#define ZK_CMD_ZEROBUS_SEND_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zb_counts;
struct zk_counter;
struct zk_gauge;
struct zk_histogram;
struct zk_metrics;
struct zk_otel;
struct zk_zb_request;
struct zk_zb_sender_stat;

#define ZB_REASONS 32

struct zb_reason {
	const char *name; /* a literal */
	struct zk_counter *reconnects, *retries;
};

struct zb_metrics {
	struct zk_metrics *registry;            /* owns what follows */
	struct zk_counter *rows[4];             /* acked, rejected, spooled, skipped */
	struct zk_counter *tokens[2];           /* ok, failed */
	struct zk_histogram *size, *latency[2]; /* latency: without success, with */
	struct zk_gauge *inflight_bytes, *inflight_requests, *lag;
	struct zb_reason reasons[ZB_REASONS];
	size_t n_reasons;
	uint64_t settled[2]; /* requests: without success, with */
	uint64_t start_ns;
};

void zb_metrics_init(struct zb_metrics *x, struct zk_metrics *m);
/* A request has its outcome: acknowledged, or refused, or given up. */
void zb_metrics_settled(struct zb_metrics *x, const struct zk_zb_request *r, bool good);
/* `reason` is a literal: the name of a status, close_signal, goaway, ack_timeout, connect. */
void zb_metrics_reopened(struct zb_metrics *x, const char *reason, bool is_retry);
void zb_metrics_token(struct zb_metrics *x, bool good);
/* Takes what is counted elsewhere. */
void zb_metrics_look(struct zb_metrics *x, const struct zb_counts *n,
                     const struct zk_zb_sender_stat *st);
/* Hands the state of all to the exporter; nothing when none is wanted. */
void zb_metrics_export(const struct zb_metrics *x, struct zk_otel *otel);

#endif
