/* The baseline of `scripts/bench triggers`: a bare libmicrohttpd server, one epoll thread, that
 * reads a request's body, stores nothing and answers 202 with a small JSON body at once. Prints
 * its port and serves until its stdin ends.
 * Layer: tests. */
#include <inttypes.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ban.h"

static atomic_uint_fast64_t count;

/* Answers with a body of its own, as long as the one of zk. */
static enum MHD_Result accept_event(struct MHD_Connection *c)
{
	char body[256];
	uint64_t n = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
	int len = snprintf(body, sizeof(body),
	                   "{\"id\":\"0199f3c1-0000-7000-8000-%012" PRIx64 "\","
	                   "\"event_id\":\"0199f3c1-0000-7000-8000-%012" PRIx64 "\","
	                   "\"type\":\"bench.event\",\"status\":\"accepted\","
	                   "\"message\":\"Event queued for processing\","
	                   "\"created_at\":\"2025-11-10T12:00:00.123456Z\"}",
	                   n, n);
	struct MHD_Response *r =
	        MHD_create_response_from_buffer((size_t)len, body, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok = MHD_NO;

	if (r &&
	    MHD_add_response_header(r, "Content-Type", "application/json") == MHD_YES)
		ok = MHD_queue_response(c, MHD_HTTP_ACCEPTED, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *data, size_t *size, void **state)
{
	static int begun;

	(void)cls, (void)url, (void)method, (void)version, (void)data;
	if (!*state) {
		*state = &begun;
		return MHD_YES;
	}
	if (*size > 0) {
		*size = 0;
		return MHD_YES;
	}
	return accept_event(c);
}

int main(void)
{
	struct MHD_Daemon *d = MHD_start_daemon(
	        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, on_request,
	        NULL, MHD_OPTION_CONNECTION_LIMIT, 2048u, MHD_OPTION_CONNECTION_TIMEOUT,
	        60u, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
	        d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	char byte;

	if (!info) {
		fprintf(stderr, "bare_mhd: cannot start\n");
		return 1;
	}
	printf("%u\n", (unsigned)info->port);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	MHD_stop_daemon(d);
	return 0;
}
