/* Fuzz target: what OTEL_* variables hold. Whatever it is, the headers are lines without control
 * characters that HTTP could not carry, or are left to net/http to refuse; nothing is lost or
 * read past its end, and the resource always names a service.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/otel_env.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"OTEL_EXPORTER_OTLP_HEADERS",  "OTEL_RESOURCE_ATTRIBUTES",
		"OTEL_EXPORTER_OTLP_TIMEOUT",  "OTEL_TRACES_SAMPLER",
		"OTEL_TRACES_SAMPLER_ARG",     "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME",
	};
	char *text = zk_strndup(size ? (const char *)data : "", size);
	struct zk_otel_env e;
	bool named = false;

	zk_log_level_set(ZK_LOG_ERROR);
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		ZK_ASSERT(setenv(names[i], text, 1) == 0);
	zk_otel_env_read(NULL, &e);
	for (size_t i = 0; i < e.n_headers; i++)
		ZK_ASSERT(strstr(e.headers[i], ": "));
	ZK_ASSERT(!e.n_headers || !e.headers[e.n_headers]);
	for (size_t i = 0; i < e.n_pairs; i++)
		named |= strcmp(e.pairs[2 * i], "service.name") == 0;
	ZK_ASSERT(named && e.timeout_ms > 0 && e.ratio >= 0 && e.ratio <= 1);
	zk_otel_env_done(&e);
	free(text);
	return 0;
}
