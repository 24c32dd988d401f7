/* The ceiling of `scripts/bench jetstream`: a loop over libwebsockets that counts messages.
 * Layer: tests.
 *
 * usage: bare_ws PORT COUNT      prints seconds and CPU seconds from the first to the last */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libwebsockets.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

static uint64_t want, seen, bytes;
static int64_t start_us, start_cpu;

static int on_event(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
                    size_t n)
{
	(void)user;
	(void)in;
	if (why == LWS_CALLBACK_CLIENT_CONNECTION_ERROR) {
		(void)fprintf(stderr, "cannot connect\n");
		exit(1);
	}
	if (why != LWS_CALLBACK_CLIENT_RECEIVE)
		return 0;
	if (!start_us) {
		start_us = zk_mono_us();
		start_cpu = zk_cpu_ns();
	}
	bytes += n;
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) ||
	    ++seen < want)
		return 0;
	printf("%.4f %.4f\n", (double)(zk_mono_us() - start_us) / 1e6,
	       (double)(zk_cpu_ns() - start_cpu) / 1e9);
	exit(0);
}

int main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "bare", .callback = on_event }, { .name = NULL }
	};
	struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN,
		                                  .protocols = protocols };
	struct zk_error err;
	uint64_t port;

	if (argc != 3 || zk_parse_u64(zk_str_of(argv[1]), &port, &err) < 0 ||
	    zk_parse_u64(zk_str_of(argv[2]), &want, &err) < 0)
		return 2;
	lws_set_log_level(0, NULL);
	struct lws_context *ctx = lws_create_context(&info);
	struct lws_client_connect_info to = { .context = ctx,
		                              .address = "127.0.0.1",
		                              .port = (int)port,
		                              .path = "/subscribe",
		                              .host = "127.0.0.1",
		                              .origin = "127.0.0.1" };

	if (!ctx || !lws_client_connect_via_info(&to))
		return 1;
	while (lws_service(ctx, 0) >= 0)
		;
	return 1;
}
