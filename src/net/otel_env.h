/* What OTEL_* variables ask for (OpenTelemetry's specification of environment variables).
 * Layer: net, internal to net/otel. */
#ifndef ZK_NET_OTEL_ENV_H
#define ZK_NET_OTEL_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum zk_otel_sampler {
	ZK_OTEL_ALWAYS_ON,
	ZK_OTEL_ALWAYS_OFF,
	ZK_OTEL_RATIO,
};

struct zk_otel_env {
	char *url;         /* where spans are POSTed to; NULL = nowhere */
	char *metrics_url; /* the same for metrics */
	char **headers;    /* "Name: value", ended by NULL; secrets */
	size_t n_headers;
	bool off; /* OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER=none: no spans, not to a file either */
	bool gzip;
	int64_t timeout_ms;
	enum zk_otel_sampler sampler;
	bool parent_based; /* the parent's decision counts when there is one */
	double ratio;
	char **pairs; /* of the resource: alternating names and values */
	size_t n_pairs;
};

/* `endpoint` (NULL = none) is zk's own setting and beats the variables, also their headers: those
 * were made for another place. What cannot be understood is warned about and left out. */
void zk_otel_env_read(const char *endpoint, struct zk_otel_env *ret);
void zk_otel_env_done(struct zk_otel_env *e);

#endif
