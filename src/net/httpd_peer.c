/* Who is on the other side of a connection, and how many connections it has.
 * Layer: net. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/httpd_int.h"

#include "base/ban.h"

static bool is_loopback(const uint8_t ip[16])
{
	static const uint8_t v6[16] = { [15] = 1 };
	static const uint8_t v4[13] = { [10] = 0xff, 0xff, 127 };

	return memcmp(ip, v6, sizeof(v6)) == 0 || memcmp(ip, v4, sizeof(v4)) == 0;
}

bool zk_httpd_peer_address(struct zk_httpd_conn *c)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(ss);

	if (getpeername(zk_httpd_conn_fd(c), (struct sockaddr *)&ss, &n) < 0)
		return false;
	if (ss.ss_family == AF_INET6) {
		memcpy(c->ip, &((struct sockaddr_in6 *)(void *)&ss)->sin6_addr, 16);
	} else if (ss.ss_family == AF_INET) {
		memset(c->ip + 10, 0xff, 2);
		memcpy(c->ip + 12, &((struct sockaddr_in *)(void *)&ss)->sin_addr, 4);
	} else {
		return false;
	}
	c->has_ip = true;
	c->loopback = is_loopback(c->ip);
	return true;
}

bool zk_httpd_peer_join(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;
	zk_str key = zk_str_n((const char *)c->ip, sizeof(c->ip));

	if (c->loopback || !s->conf.max_connections_per_client)
		return true;

	struct zk_httpd_peer *p = zk_map_get(&s->peers, key);
	if (!p) {
		p = zk_new0(struct zk_httpd_peer);
		memcpy(p->ip, c->ip, sizeof(p->ip));
		(void)zk_map_set(&s->peers, key, p);
	}
	if (p->n >= s->conf.max_connections_per_client)
		return false;
	p->n++;
	c->peer = p;
	return true;
}

void zk_httpd_peer_leave(struct zk_httpd_conn *c)
{
	struct zk_httpd_peer *p = ZK_TAKE(c->peer);

	if (!p || --p->n > 0)
		return;
	(void)zk_map_del(&c->s->peers, zk_str_n((const char *)p->ip, sizeof(p->ip)));
	free(p);
}

const char *zk_httpd_client(const struct zk_httpd_req *r)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	struct zk_httpd_conn *c = r->conn;

	if (!c->has_ip || c->ip_text[0])
		return c->ip_text;
	if (memcmp(c->ip, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, c->ip + 12, c->ip_text, sizeof(c->ip_text));
	else
		(void)inet_ntop(AF_INET6, c->ip, c->ip_text, sizeof(c->ip_text));
	return c->ip_text;
}
