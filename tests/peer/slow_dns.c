/* A name service that does not answer: preloaded, it takes half a minute for each name and then
 * fails.
 * Layer: tests. */
#include <netdb.h>
#include <unistd.h>

#include "base/ban.h"

__attribute__((visibility("default"))) int getaddrinfo(const char *name,
                                                       const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret)
{
	(void)name;
	(void)service;
	(void)hints;
	(void)ret;
	(void)sleep(30);
	return EAI_AGAIN;
}
