/* Listening sockets of the HTTP server: addresses, unix sockets, inherited descriptors.
 * Layer: net. specs/triggers.md §12.3. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "net/httpd_int.h"
#include "rt/loop.h"
#include "rt/status.h"

#include "base/ban.h"

#define BACKLOG   1024
#define GIVEN_MAX 16 /* sockets of the service manager */
/* Tries to find a port that is free on 127.0.0.1 and on ::1. */
#define PORT_TRIES 32

struct listener {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct zk_httpd *s;
	struct zk_list node;
	struct sockaddr_storage addr;
	socklen_t addr_n;
	char *text; /* "127.0.0.1:8080" */
	char *path; /* of a unix socket made here, removed at the end */
	dev_t dev;
	ino_t ino;
};

static struct listener *listener_of(struct zk_list *e)
{
	return ZK_LIST_ENTRY(e, struct listener, node);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* ------------------------------------------------------------------ registration */

static int port_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
	if (a->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
	return 0;
}

static void set_port(struct sockaddr_storage *a, int port)
{
	if (a->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)a)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)(void *)a)->sin6_port = htons((uint16_t)port);
}

static const void *ip_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)a)->sin_addr;
	return &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
}

static char *address_text(const struct sockaddr_storage *a, socklen_t n)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (a->ss_family == AF_UNIX) {
		const struct sockaddr_un *un =
		        (const struct sockaddr_un *)(const void *)a;
		size_t room = n > offsetof(struct sockaddr_un, sun_path)
		                      ? n - offsetof(struct sockaddr_un, sun_path)
		                      : 0;

		if (room &&
		    un->sun_path[0] == '\0') /* the abstract name space of Linux */
			return zk_asprintf("unix:@%.*s", (int)room - 1, un->sun_path + 1);
		return zk_asprintf("unix:%.*s", (int)room, un->sun_path);
	}
	(void)inet_ntop(a->ss_family, ip_of(a), ip, sizeof(ip));
	return zk_asprintf(a->ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip,
	                   port_of(a));
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	struct zk_httpd *s = l->s;

	free(l->text);
	free(l->path);
	free(l);
	s->n_handles--;
	zk_httpd_check_end(s);
}

static void on_connection(uv_stream_t *st, int status)
{
	struct listener *l = st->data;

	/* Out of descriptors: libuv has closed the connection and goes on. */
	if (status == 0)
		zk_httpd_conn_accept(l->s, st, l->addr.ss_family == AF_UNIX);
}

/* Makes a listener of a bound socket, which it takes over. */
static int adopt(struct zk_httpd *s, int fd, struct listener **ret, struct zk_error *err)
{
	struct listener *l = zk_new0(struct listener);
	uv_loop_t *loop = zk_loop_uv(s->loop);
	int r;

	l->s = s;
	l->addr_n = sizeof(l->addr);
	if (getsockname(fd, (struct sockaddr *)&l->addr, &l->addr_n) < 0) {
		free(l);
		return zk_fail_errno(err, ZK_E_ADDRESS, errno, "cannot use descriptor %d",
		                     fd);
	}
	if (l->addr.ss_family == AF_UNIX) {
		(void)uv_pipe_init(loop, &l->uv.pipe, 0);
		r = uv_pipe_open(&l->uv.pipe, fd);
	} else {
		(void)uv_tcp_init(loop, &l->uv.tcp);
		r = uv_tcp_open(&l->uv.tcp, fd);
	}
	l->uv.handle.data = l;
	l->text = address_text(&l->addr, l->addr_n);
	s->n_handles++;
	if (r == 0)
		r = uv_listen(&l->uv.stream, BACKLOG, on_connection);
	if (r < 0) {
		(void)zk_fail_errno(err, ZK_E_ADDRESS, -r, "cannot listen on %s",
		                    l->text);
		uv_close(&l->uv.handle, on_listener_closed);
		return -ZK_E_ADDRESS;
	}
	zk_list_push(&s->listeners, &l->node);
	*ret = l;
	return 0;
}

/* Removes the socket file, unless another server has put its own there. */
static void unlink_own(const struct listener *l)
{
	struct stat st;

	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		(void)unlink(l->path);
}

void zk_httpd_listeners_empty(struct zk_httpd *s)
{
	ZK_LIST_EACH (e, &s->listeners) {
		struct listener *l = listener_of(e);
		uv_os_fd_t fd = -1;

		/* A crowd that keeps coming shall not keep us. */
		for (unsigned i = 0; i < BACKLOG && uv_fileno(&l->uv.handle, &fd) == 0;
		     i++) {
			int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

			if (got < 0)
				break;
			zk_httpd_conn_adopt(s, got, l->addr.ss_family == AF_UNIX);
		}
	}
}

void zk_httpd_listeners_close(struct zk_httpd *s)
{
	for (struct zk_list *e = zk_list_pop(&s->listeners); e;
	     e = zk_list_pop(&s->listeners)) {
		struct listener *l = listener_of(e);

		unlink_own(l);
		uv_close(&l->uv.handle, on_listener_closed);
	}
}

/* ------------------------------------------------------------------ TCP */

/* Accepted sockets inherit these. */
static void set_options(int fd)
{
	static const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* A listening socket at `a`; its errno as a negative number on failure. `only` = this family. */
static int bind_tcp(const struct sockaddr_storage *a, bool only)
{
	static const int on = 1;
	int v6only = only;
	socklen_t n = a->ss_family == AF_INET ? sizeof(struct sockaddr_in)
	                                      : sizeof(struct sockaddr_in6);
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	set_options(fd);
	if (bind(fd, (const struct sockaddr *)a, n) < 0 || listen(fd, BACKLOG) < 0) {
		int e = errno;

		(void)close(fd);
		return -e;
	}
	return fd;
}

static int cannot_listen(const struct sockaddr_storage *a, int e, struct zk_error *err)
{
	char *text = address_text(a, sizeof(*a));

	(void)zk_fail_errno(err, ZK_E_ADDRESS, e, "cannot listen on %s", text);
	free(text);
	if (e == EADDRINUSE)
		return zk_err_hint(
		        err, "stop what listens there, or choose another port; port 0 "
		             "takes any free one");
	if (e == EACCES)
		return zk_err_hint(err, "ports below 1024 need a privilege");
	return -ZK_E_ADDRESS;
}

static int listen_one(struct zk_httpd *s, const struct sockaddr_storage *a, bool only,
                      struct zk_error *err)
{
	struct listener *l;
	int fd = bind_tcp(a, only);

	return fd < 0 ? cannot_listen(a, -fd, err) : adopt(s, fd, &l, err);
}

static struct sockaddr_storage v4_address(uint32_t ip, int port)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };

	((struct sockaddr_in *)(void *)&ss)->sin_addr.s_addr = htonl(ip);
	set_port(&ss, port);
	return ss;
}

static struct sockaddr_storage v6_address(const struct in6_addr *ip, int port)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET6 };

	((struct sockaddr_in6 *)(void *)&ss)->sin6_addr = *ip;
	set_port(&ss, port);
	return ss;
}

/* The machine has no such family or address. */
static bool is_absent(int e)
{
	return e == EAFNOSUPPORT || e == EADDRNOTAVAIL || e == EPROTONOSUPPORT;
}

static int bound_port(int fd)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(ss);

	return getsockname(fd, (struct sockaddr *)&ss, &n) < 0 ? 0 : port_of(&ss);
}

/* Both loopback addresses with one port, as far as the machine has them. Results: descriptors,
 * or negative errno values. */
static void bind_localhost(int port, int *v4, int *v6)
{
	struct sockaddr_storage a4 = v4_address(INADDR_LOOPBACK, port);
	struct sockaddr_storage a6 = v6_address(&in6addr_loopback, port);

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		*v4 = bind_tcp(&a4, true);
		if (*v4 >= 0)
			set_port(&a6, bound_port(*v4));
		*v6 = bind_tcp(&a6, true);
		if (port != 0 || *v4 < 0 || *v6 != -EADDRINUSE)
			return;
		if (i + 1 < PORT_TRIES)
			(void)close(*v4);
	}
}

static int listen_localhost(struct zk_httpd *s, int port, struct zk_error *err)
{
	struct sockaddr_storage a4 = v4_address(INADDR_LOOPBACK, port);
	struct sockaddr_storage a6 = v6_address(&in6addr_loopback, port);
	struct listener *l;
	int v4, v6;
	int r = 0;

	bind_localhost(port, &v4, &v6);
	if (v4 < 0 && (!is_absent(-v4) || v6 < 0))
		r = cannot_listen(&a4, -v4, err);
	else if (v6 < 0 && !is_absent(-v6))
		r = cannot_listen(&a6, -v6, err);
	if (r < 0) {
		close_fd(&v4);
		close_fd(&v6);
		return r;
	}
	if (v4 >= 0)
		r = adopt(s, v4, &l, err);
	if (v6 >= 0 && r == 0)
		r = adopt(s, v6, &l, err);
	else if (v6 >= 0)
		close_fd(&v6);
	return r;
}

/* All addresses: one socket for both families, or IPv4 where there is no IPv6. */
static int listen_any(struct zk_httpd *s, int port, struct zk_error *err)
{
	struct sockaddr_storage a6 = v6_address(&in6addr_any, port);
	struct sockaddr_storage a4 = v4_address(INADDR_ANY, port);
	struct listener *l;
	int fd = bind_tcp(&a6, false);

	if (fd >= 0)
		return adopt(s, fd, &l, err);
	return is_absent(-fd) ? listen_one(s, &a4, true, err)
	                      : cannot_listen(&a6, -fd, err);
}

static int listen_host(struct zk_httpd *s, zk_str host, int port, struct zk_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list = NULL;
	char *name = zk_strndup(host.p, host.n);
	int r = getaddrinfo(name, NULL, &hints, &list);

	if (r != 0)
		r = zk_fail(err, ZK_E_ADDRESS, "cannot listen on '%s': %s", name,
		            gai_strerror(r));
	for (struct addrinfo *ai = list; ai && r == 0; ai = ai->ai_next) {
		struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };

		memcpy(&ss, ai->ai_addr, ZK_MIN((size_t)ai->ai_addrlen, sizeof(ss)));
		set_port(&ss, port);
		r = listen_one(s, &ss, true, err);
	}
	if (list)
		freeaddrinfo(list);
	free(name);
	return r;
}

/* ------------------------------------------------------------------ unix sockets */

/* 0 = nothing there, or nobody listens and it was removed. */
static int clear_stale(const struct sockaddr_un *un, struct zk_error *err)
{
	struct stat st;

	if (lstat(un->sun_path, &st) < 0)
		return 0; /* bind() says what is wrong with the rest of the path */
	if (!S_ISSOCK(st.st_mode))
		return zk_fail(err, ZK_E_ADDRESS,
		               "cannot listen on 'unix:%s': there is a file that "
		               "is no socket",
		               un->sun_path);

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_ADDRESS, errno,
		                     "cannot make a unix socket");
	int r = connect(fd, (const struct sockaddr *)un, sizeof(*un));
	int e = errno;
	(void)close(fd);
	if (r == 0 || e != ECONNREFUSED)
		return zk_fail_errno(err, ZK_E_ADDRESS, EADDRINUSE,
		                     "cannot listen on 'unix:%s'", un->sun_path);
	if (unlink(un->sun_path) < 0 && errno != ENOENT)
		return zk_fail_errno(err, ZK_E_ADDRESS, errno,
		                     "cannot remove the stale socket '%s'", un->sun_path);
	return 0;
}

/* Bound with mode 0600 before anybody can connect; -errno on failure. */
static int bind_unix(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ||
	    chmod(un->sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0) {
		int e = errno;

		(void)close(fd);
		return -e;
	}
	return fd;
}

static int listen_unix(struct zk_httpd *s, zk_str path, struct zk_error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct listener *l = NULL;
	struct stat st;

	if (path.n == 0 || path.n >= sizeof(un.sun_path) || memchr(path.p, '\0', path.n))
		return zk_fail(err, ZK_E_ADDRESS,
		               "the path of a unix socket has 1 to %zu bytes",
		               sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path.p, path.n);

	int r = clear_stale(&un, err);
	if (r < 0)
		return r;
	int fd = bind_unix(&un);
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_ADDRESS, -fd, "cannot listen on 'unix:%s'",
		                     un.sun_path);
	r = adopt(s, fd, &l, err);
	if (l && lstat(un.sun_path, &st) == 0) {
		l->path = zk_strndup(path.p, path.n);
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return r;
}

/* ------------------------------------------------------------------ public */

/* HOST:PORT, [V6]:PORT or :PORT. */
static int parse_address(zk_str addr, zk_str *host, int *port, struct zk_error *err)
{
	uint64_t number;
	size_t colon = addr.n;

	while (colon > 0 && addr.p[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return zk_fail(err, ZK_E_ADDRESS, "the address '%.*s' has no port",
		               ZK_STR_ARG(addr));
	*host = zk_str_n(addr.p, colon - 1);
	if (zk_parse_u64(zk_str_from(addr, colon), &number, err) < 0 || number > 65535)
		return zk_fail(err, ZK_E_ADDRESS,
		               "the address '%.*s' has no port between 0 and 65535",
		               ZK_STR_ARG(addr));
	*port = (int)number;
	if (host->n >= 2 && host->p[0] == '[' && host->p[host->n - 1] == ']')
		*host = zk_str_n(host->p + 1, host->n - 2);
	else if (zk_str_find_char(*host, ':') >= 0)
		return zk_fail(err, ZK_E_ADDRESS,
		               "the address '%.*s' needs brackets: [V6]:PORT",
		               ZK_STR_ARG(addr));
	if (host->n && memchr(host->p, '\0', host->n))
		return zk_fail(err, ZK_E_ADDRESS, "the address holds a NUL");
	return 0;
}

int zk_httpd_listen(struct zk_httpd *s, zk_str addr, struct zk_error *err)
{
	zk_str host = ZK_STR_NULL;
	int port = 0;

	if (zk_str_starts(addr, ZK_STR("unix:")))
		return listen_unix(s, zk_str_from(addr, 5), err);

	int r = parse_address(addr, &host, &port, err);
	if (r < 0)
		return r;
	if (host.n == 0 || zk_str_eq(host, ZK_STR("*")))
		return listen_any(s, port, err);
	if (zk_str_eq_nocase(host, ZK_STR("localhost")))
		return listen_localhost(s, port, err);
	return listen_host(s, host, port, err);
}

int zk_httpd_listen_fd(struct zk_httpd *s, int fd, struct zk_error *err)
{
	struct listener *l;
	int type = 0, listening = 0;
	socklen_t n = sizeof(type), m = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0)
		return zk_fail_errno(err, ZK_E_ADDRESS, errno,
		                     "cannot use the inherited descriptor %d", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &m) < 0 || !listening ||
	    type != SOCK_STREAM)
		return zk_fail(
		        err, ZK_E_ADDRESS,
		        "the inherited descriptor %d is no listening stream socket", fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	set_options(fd); /* fails for unix sockets, which need none */
	return adopt(s, fd, &l, err);
}

static size_t find_given(const char *name, int *fds, size_t room)
{
	size_t n = zk_listen_fds(name, fds, room);

	if (n || strcmp(name, "api") != 0 || zk_listen_fds("admin", fds, room))
		return n;
	return zk_listen_fds(/* name */ NULL, fds, room);
}

int zk_httpd_listen_at(struct zk_httpd *s, const char *name, const char *const *addrs,
                       size_t n, struct zk_error *err)
{
	int fds[GIVEN_MAX], r = 0;
	size_t given = find_given(name, fds, ZK_ARRAY_LEN(fds));

	for (size_t i = 0; i < given && r == 0; i++)
		r = zk_httpd_listen_fd(s, fds[i], err);
	for (size_t i = 0; i < n && !given && r == 0; i++)
		r = zk_httpd_listen(s, zk_str_of(addrs[i]), err);
	return r;
}

const char *zk_httpd_address(const struct zk_httpd *s, size_t i)
{
	ZK_LIST_EACH (e, &s->listeners) {
		if (i-- == 0)
			return listener_of(e)->text;
	}
	return NULL;
}

/* ------------------------------------------------------------------ is it us? */

/* True when the address belongs to this machine: then it can be bound. */
static bool is_local(struct sockaddr_storage a)
{
	socklen_t n = a.ss_family == AF_INET ? sizeof(struct sockaddr_in)
	                                     : sizeof(struct sockaddr_in6);
	int fd = socket(a.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	set_port(&a, 0);
	bool ok = bind(fd, (const struct sockaddr *)&a, n) == 0;
	(void)close(fd);
	return ok;
}

/* "0.0.0.0" and "::" connect to the loopback address; ::ffff:a.b.c.d is a.b.c.d. */
static bool target_address(const char *ip, int port, struct sockaddr_storage *ret)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, ip, &v4) != 1) {
		if (inet_pton(AF_INET6, ip, &v6) != 1)
			return false;
		if (!IN6_IS_ADDR_V4MAPPED(&v6)) {
			*ret = v6_address(IN6_IS_ADDR_UNSPECIFIED(&v6) ? &in6addr_loopback
			                                               : &v6,
			                  port);
			return true;
		}
		memcpy(&v4, v6.s6_addr + 12, 4);
	}
	uint32_t host = ntohl(v4.s_addr);
	*ret = v4_address(host == INADDR_ANY ? INADDR_LOOPBACK : host, port);
	return true;
}

static bool is_any(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ((const struct in_addr *)ip_of(a))->s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)ip_of(a));
}

static bool same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return a->ss_family == b->ss_family &&
	       memcmp(ip_of(a), ip_of(b), a->ss_family == AF_INET ? 4 : 16) == 0;
}

bool zk_httpd_is_self(const struct zk_httpd *s, const char *ip, int port)
{
	struct sockaddr_storage to;

	if (!target_address(ip, port, &to))
		return false;
	ZK_LIST_EACH (e, &s->listeners) {
		const struct sockaddr_storage *a = &listener_of(e)->addr;

		if (a->ss_family == AF_UNIX || port_of(a) != port)
			continue;
		if (same_ip(a, &to))
			return true;
		/* "::" takes IPv4 too, unless told otherwise: better once too often. */
		if (is_any(a) && (a->ss_family == AF_INET6 || to.ss_family == AF_INET) &&
		    is_local(to))
			return true;
	}
	return false;
}
