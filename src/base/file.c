/* Whole writes.
 * Layer: base. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include "base/ban.h"

int zk_write_all(int fd, zk_str bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n > 0) {
			bytes = zk_str_from(bytes, (size_t)n);
		} else if (n == 0) {
			return ENOSPC;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			(void)poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

int zk_file_put(const char *path, int flags, mode_t mode, zk_str bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | flags, mode), e;

	if (fd < 0)
		return errno;
	e = zk_write_all(fd, bytes);
	if (close(fd) < 0 && !e)
		e = errno;
	return e;
}

int zk_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), e = 0;

	if (fd < 0)
		return errno;
	if (fsync(fd) < 0)
		e = errno;
	(void)close(fd); /* nothing was written through it */
	return e;
}

static int sync_dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash          ? zk_strdup(".")
	            : slash == path ? zk_strdup("/")
	                            : zk_asprintf("%.*s", (int)(slash - path), path);
	int e = zk_sync_dir(dir);

	free(dir);
	return e;
}

int zk_file_replace(const char *path, mode_t mode, zk_str bytes)
{
	char *tmp = zk_asprintf("%s.XXXXXX", path);
	int fd = mkostemp(tmp, O_CLOEXEC), e;

	e = fd < 0 ? errno : zk_write_all(fd, bytes);
	if (!e && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		e = errno;
	if (fd >= 0 && close(fd) < 0 && !e)
		e = errno;
	if (!e && rename(tmp, path) < 0)
		e = errno;
	if (e && fd >= 0)
		(void)unlink(tmp);
	free(tmp);
	/* From here on the new one is there; only a power cut could bring the old one back. */
	return e ? e : sync_dir_of(path);
}
