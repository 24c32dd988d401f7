/* Private unix stream sockets.
 * Layer: net. */
#include "net/uds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rand.h"
#include "codec/digest.h"

#include "base/ban.h"

#define BACKLOG     16
#define RANDOM_SIZE 16

_Static_assert(ZK_UDS_PATH_MAX + 1 == sizeof(((struct sockaddr_un *)0)->sun_path),
               "the path of a socket");

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, path, strlen(path) + 1);
	return sa;
}

/* The path in `dir`; false when it is too long. */
static bool make_path(struct zk_uds *u, zk_str dir, const char *prefix)
{
	unsigned char key[RANDOM_SIZE];
	struct zk_buf hex;
	int n;

	while (dir.n > 1 && dir.p[dir.n - 1] == '/')
		dir.n--;
	zk_rand_secret(key, sizeof(key));
	zk_buf_init(&hex, 2 * sizeof(key));
	zk_hex_encode(zk_str_n((const char *)key, sizeof(key)), &hex);
	n = snprintf(u->path, sizeof(u->path), "%.*s/%s-%ld-%s.sock", ZK_STR_ARG(dir),
	             prefix, (long)getpid(), zk_buf_cstring(&hex));
	zk_buf_done(&hex);
	return n > 0 && (size_t)n < sizeof(u->path);
}

/* The mode of the socket is that of its file, less the umask. */
static int bind_private(int fd, const char *path)
{
	struct sockaddr_un sa = address_of(path);

	if (fchmod(fd, 0600) < 0)
		return -1;
	(void)unlink(path); /* a leftover of the same name; usually there is none */
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	return chmod(path, 0600);
}

/* NULL, or why `dir` cannot be used. */
static const char *listen_in(struct zk_uds *u, const char *dir, const char *prefix)
{
	if (dir[0] != '/')
		return "no absolute path";
	if (access(dir, W_OK | X_OK) < 0)
		return strerror(errno);
	if (!make_path(u, zk_str_of(dir), prefix))
		return "its path is too long";
	u->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->fd < 0)
		return strerror(errno);
	if (bind_private(u->fd, u->path) < 0 || listen(u->fd, BACKLOG) < 0) {
		const char *why = strerror(errno);

		zk_uds_close(u);
		return why;
	}
	return NULL;
}

int zk_uds_listen(struct zk_uds *u, const char *prefix, struct zk_error *err)
{
	const char *dirs[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
	struct zk_buf why ZK_CLEANUP(zk_buf_done) = { 0 };

	*u = (struct zk_uds){ .fd = -1 };
	zk_buf_init(&why, 400);
	for (size_t i = 0; i < ZK_ARRAY_LEN(dirs); i++) {
		const char *wrong;

		if (!dirs[i] || !dirs[i][0])
			continue;
		wrong = listen_in(u, dirs[i], prefix);
		if (!wrong)
			return 0;
		u->path[0] = '\0';
		zk_buf_printf(&why, "%s%.60s: %s", why.n ? "; " : "", dirs[i], wrong);
	}
	return zk_fail(err, ZK_E_PW_SOCKET, "no folder for the socket: %s",
	               zk_buf_cstring(&why));
}

static bool is_welcome(int fd, uid_t also)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0 ||
	       (also != (uid_t)-1 && peer.uid == also);
}

int zk_uds_accept(const struct zk_uds *u, uid_t uid)
{
	for (;;) {
		int fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return -1;
		if (is_welcome(fd, uid))
			return fd;
		(void)close(fd);
	}
}

void zk_uds_close(struct zk_uds *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
	if (u->path[0])
		(void)unlink(u->path);
	u->path[0] = '\0';
}

int zk_uds_connect(const char *path, struct zk_error *err)
{
	struct sockaddr_un sa;
	int fd;

	if (strlen(path) > ZK_UDS_PATH_MAX)
		return zk_fail(err, ZK_E_CONNECT, "the path of the socket is too long");
	sa = address_of(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot make a socket");
	/* A unix socket connects at once, or not at all when the backlog is full. */
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int e = errno;

		(void)close(fd);
		return zk_fail_errno(err, ZK_E_CONNECT, e, "cannot connect to '%s'",
		                     path);
	}
	return fd;
}
