/* Sources of bytes for the row readers.
 * Layer: zerobus. specs/zerobus.md §12. */
#include "zerobus/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"

#include "base/ban.h"

/* ------------------------------------------------------------------ descriptors */

enum { RUN, DRAIN, STOP };

struct fd_source {
	struct zk_zb_source s;
	struct zk_zb_fd_source_conf conf;
	char *name;
	int fd, wake;
	bool own;
	atomic_int state;
};

static int failed(const struct fd_source *f, int errnum, struct zk_error *err)
{
	return zk_fail_errno(err, ZK_E_NO_INPUT, errnum, "cannot read '%s'", f->s.name);
}

/* Waits until there is something to read or a stop; > 0, or a negative code. */
static int wait_for_input(struct fd_source *f, struct zk_error *err)
{
	struct pollfd p[] = { { .fd = f->fd, .events = POLLIN },
		              { .fd = f->wake, .events = POLLIN } };
	int64_t ms = 0;
	int n;

	do {
		/* What is there already is no reason to look at the clock. */
		n = poll(p, 2, (int)ms);
		if (n == 0)
			ms = f->conf.on_wait ? f->conf.on_wait(f->conf.ctx) : -1;
		if (ms > 60000)
			ms = 60000;
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? failed(f, errno, err) : n;
}

/* While draining only what is there already is taken. */
static bool has_waiting(const struct fd_source *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

static ptrdiff_t fd_read(struct zk_zb_source *s, void *p, size_t n, struct zk_error *err)
{
	struct fd_source *f = ZK_CONTAINER_OF(s, struct fd_source, s);

	for (;;) {
		int state = atomic_load(&f->state);

		if (state == STOP || (state == DRAIN && (s->seekable || !has_waiting(f))))
			return 0;
		if (state == RUN && !s->seekable) {
			int r = wait_for_input(f, err);

			if (r < 0)
				return r;
			if (atomic_load(&f->state) != RUN)
				continue;
		}
		ssize_t got = read(f->fd, p, n);
		if (got >= 0) {
			s->taken += (uint64_t)got;
			return got;
		}
		if (errno != EINTR && errno != EAGAIN)
			return failed(f, errno, err);
	}
}

static int fd_pread(struct zk_zb_source *s, uint64_t at, void *p, size_t n,
                    struct zk_error *err)
{
	struct fd_source *f = ZK_CONTAINER_OF(s, struct fd_source, s);

	while (n) {
		ssize_t got = pread(f->fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failed(f, errno, err);
		if (got == 0)
			return zk_fail(err, ZK_E_NO_INPUT,
			               "cannot read '%s': it became shorter", f->s.name);
		p = (char *)p + got;
		s->taken += (uint64_t)got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static uint64_t stamp_of(const struct stat *st)
{
	const int64_t parts[] = { (int64_t)st->st_dev,  (int64_t)st->st_ino,
		                  (int64_t)st->st_size, st->st_mtim.tv_sec,
		                  st->st_mtim.tv_nsec,  st->st_ctim.tv_sec,
		                  st->st_ctim.tv_nsec };

	return zk_hash(zk_str_n((const char *)parts, sizeof(parts))) | 1;
}

static int open_path(struct fd_source *f, const char *path, struct zk_error *err)
{
	struct stat st;

	if (strcmp(path, "-") != 0) {
		f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		f->own = true;
	} else {
		f->fd = STDIN_FILENO;
	}
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return failed(f, errno, err);
	if (S_ISDIR(st.st_mode))
		return failed(f, EISDIR, err);
	/* A file of /proc says that it is empty: it is read like a pipe. */
	f->s.seekable =
	        S_ISREG(st.st_mode) && st.st_size > 0 && lseek(f->fd, 0, SEEK_CUR) == 0;
	f->s.size = f->s.seekable ? (uint64_t)st.st_size : 0;
	if (f->s.seekable)
		f->s.stamp = stamp_of(&st);
	return 0;
}

int zk_zb_fd_source_open(const struct zk_zb_fd_source_conf *conf,
                         struct zk_zb_source **ret, struct zk_error *err)
{
	struct fd_source *f = zk_new0(struct fd_source);
	int r;

	f->conf = *conf;
	f->name = zk_strdup(strcmp(conf->path, "-") == 0 ? "stdin" : conf->path);
	f->s.name = f->name;
	f->s.read = fd_read;
	f->fd = -1;
	f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&f->state, RUN);
	r = f->wake < 0 ? zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot make an event")
	                : open_path(f, conf->path, err);
	if (r < 0) {
		zk_zb_fd_source_close(&f->s);
		return r;
	}
	if (f->s.seekable)
		f->s.pread = fd_pread;
	*ret = &f->s;
	return 0;
}

void zk_zb_fd_source_stop(struct zk_zb_source *s, bool drain)
{
	struct fd_source *f = ZK_CONTAINER_OF(s, struct fd_source, s);
	uint64_t one = 1;
	int state = drain ? DRAIN : STOP;

	if (atomic_load(&f->state) < state)
		atomic_store(&f->state, state);
	/* It can only fail because it is set already. */
	ZK_IGNORE(write(f->wake, &one, sizeof(one)) < 0);
}

void zk_zb_fd_source_close(struct zk_zb_source *s)
{
	if (!s)
		return;
	struct fd_source *f = ZK_CONTAINER_OF(s, struct fd_source, s);

	if (f->own && f->fd >= 0)
		(void)close(f->fd);
	if (f->wake >= 0)
		(void)close(f->wake);
	free(f->name);
	free(f);
}

/* ------------------------------------------------------------------ memory */

struct memory_source {
	struct zk_zb_source s;
	char *name;
	zk_str bytes;
	size_t at, chunk;
};

static ptrdiff_t memory_read(struct zk_zb_source *s, void *p, size_t n,
                             struct zk_error *err)
{
	struct memory_source *m = ZK_CONTAINER_OF(s, struct memory_source, s);

	(void)err;
	n = ZK_MIN(n, m->bytes.n - m->at);
	n = m->chunk ? ZK_MIN(n, m->chunk) : n;
	if (n)
		memcpy(p, m->bytes.p + m->at, n);
	m->at += n;
	s->taken += n;
	return (ptrdiff_t)n;
}

static int memory_pread(struct zk_zb_source *s, uint64_t at, void *p, size_t n,
                        struct zk_error *err)
{
	struct memory_source *m = ZK_CONTAINER_OF(s, struct memory_source, s);

	if (at > m->bytes.n || n > m->bytes.n - at)
		return zk_fail(err, ZK_E_NO_INPUT, "cannot read '%s': it is too short",
		               s->name);
	if (n)
		memcpy(p, m->bytes.p + at, n);
	return 0;
}

struct zk_zb_source *zk_zb_memory_source(const char *name, zk_str bytes, size_t chunk)
{
	struct memory_source *m = zk_new0(struct memory_source);

	m->name = zk_strdup(name);
	m->s = (struct zk_zb_source){ .name = m->name,
		                      .seekable = true,
		                      .size = bytes.n,
		                      .read = memory_read,
		                      .pread = memory_pread };
	m->bytes = bytes;
	m->chunk = chunk;
	return &m->s;
}

void zk_zb_memory_source_free(struct zk_zb_source *s)
{
	if (!s)
		return;
	struct memory_source *m = ZK_CONTAINER_OF(s, struct memory_source, s);

	free(m->name);
	free(m);
}
