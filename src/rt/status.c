/* Status channel, ready file, service manager, inherited sockets.
 * Layer: rt. The service manager's protocol is one datagram of KEY=VALUE lines
 * (sd_notify(3)). */
#include "rt/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#define ZK_LOGGER "status"
#include "base/log.h"

#include "base/ban.h"

#define MAX_LINE       65536
#define STALL_MS       1000
#define FIRST_FD       3
#define MAX_LISTEN_FDS 64

struct zk_status {
	int fd; /* -1 = none */
	char *ready_file;
	bool file_written, told_ready;
	struct zk_timer *watchdog;
};

/* ---- service manager
 * ---------------------------------------------------------------------- */

static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = '\0'; /* an abstract address */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sa,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		zk_debug("the service manager cannot be told", "errno=%d", errno);
	(void)close(fd);
}

static void on_watchdog(void *ctx)
{
	(void)ctx;
	notify("WATCHDOG=1");
}

/* Pings at half the time asked for; a loop that hangs misses them. */
static void start_watchdog(struct zk_status *s, struct zk_loop *loop)
{
	struct zk_error err = { 0 };
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, owner;

	if (s->watchdog || !loop || !usec ||
	    zk_parse_u64(zk_str_of(usec), &us, &err) < 0 || !us)
		return;
	if (pid && (zk_parse_u64(zk_str_of(pid), &owner, &err) < 0 ||
	            owner != (uint64_t)getpid()))
		return;
	int64_t ms = (int64_t)ZK_MAX(us / 2000, (uint64_t)1);

	s->watchdog = zk_timer_new(loop, on_watchdog, s);
	zk_timer_start(s->watchdog, ms, ms);
	zk_timer_weak(s->watchdog, true);
}

void zk_status_text(struct zk_status *s, const char *text)
{
	char line[512];

	(void)s;
	(void)snprintf(line, sizeof(line), "STATUS=%.400s", text);
	notify(line);
}

void zk_status_reloading(struct zk_status *s)
{
	char line[96];

	(void)s;
	(void)snprintf(line, sizeof(line), "RELOADING=1\nMONOTONIC_USEC=%lld",
	               (long long)zk_mono_us());
	notify(line);
}

/* ---- channel
 * ------------------------------------------------------------------------------ */

/* Writes in pieces that a pipe takes whole; a parent that does not read is waited for, but not
 * for long: it would stop the loop. */
static bool write_all(int fd, zk_str s)
{
	while (s.n) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int ready = poll(&p, 1, STALL_MS);
		ssize_t n = ready > 0 ? write(fd, s.p, ZK_MIN(s.n, (size_t)PIPE_BUF)) : 0;

		if (ready == 0) {
			errno = ETIMEDOUT;
			return false;
		}
		if ((ready < 0 || n < 0) && errno != EINTR && errno != EAGAIN)
			return false;
		s = zk_str_from(s, (size_t)ZK_MAX(n, 0));
	}
	return true;
}

static void put_line(struct zk_buf *b, const char *type, zk_str members)
{
	char at[ZK_RFC3339_MAX];

	zk_buf_lit(b, "{\"type\":");
	zk_buf_json_str(b, zk_str_of(type));
	zk_buf_lit(b, ",\"ts\":\"");
	zk_buf_put(b, at, zk_format_rfc3339(zk_wall_us(), at));
	zk_buf_char(b, '"');
	if (members.n) {
		zk_buf_char(b, ',');
		zk_buf_add(b, members);
	}
	zk_buf_lit(b, "}\n");
}

void zk_status_event(struct zk_status *s, const char *type, zk_str members)
{
	struct zk_buf line ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf clean ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!s || s->fd < 0)
		return;
	zk_buf_init(&line, MAX_LINE);
	zk_buf_init(&clean, MAX_LINE);
	put_line(&line, type, members);
	zk_redact_into(&clean, zk_buf_str(&line));
	if (line.failed || clean.failed || write_all(s->fd, zk_buf_str(&clean)))
		return;
	zk_warn("the status channel is broken, nothing more is written to it", "errno=%d",
	        errno);
	(void)close(s->fd);
	s->fd = -1;
}

int zk_status_new(const struct zk_status_conf *conf, struct zk_status **ret,
                  struct zk_error *err)
{
	struct zk_status *s = zk_new0(struct zk_status);
	struct zk_error not_a_number = { 0 };
	uint64_t n;

	s->fd = -1;
	if (conf->channel &&
	    zk_parse_u64(zk_str_of(conf->channel), &n, &not_a_number) == 0) {
		/* A private copy, so that closing it later takes nothing from the
		 * parent's side. */
		s->fd = n <= INT32_MAX ? fcntl((int)n, F_DUPFD_CLOEXEC, FIRST_FD) : -1;
	} else if (conf->channel) {
		s->fd = open(conf->channel,
		             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	}
	if (conf->channel && s->fd < 0) {
		int e = errno;

		free(s);
		return zk_fail_errno(err, ZK_E_CREATE, e,
		                     "cannot write to --status-fd '%s'", conf->channel);
	}
	if (conf->ready_file)
		s->ready_file = zk_strdup(conf->ready_file);
	*ret = s;
	return 0;
}

/* ---- ready file
 * --------------------------------------------------------------------------- */

/* Written beside and renamed, so that nobody sees half of it. */
static void write_ready_file(struct zk_status *s, zk_str members)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	ZK_CLEANUP(zk_freep)
	char *part = zk_asprintf("%s.%ld", s->ready_file, (long)getpid());
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0;

	zk_buf_init(&b, MAX_LINE);
	zk_buf_printf(&b, "{\"pid\":%ld,\"version\":\"%s\"%s", (long)getpid(), ZK_VERSION,
	              members.n ? "," : "");
	zk_buf_add(&b, members);
	zk_buf_lit(&b, "}\n");
	if (ok) {
		ok = !b.failed && write_all(fd, zk_buf_str(&b));
		ok = close(fd) == 0 && ok;
	}
	if (ok && rename(part, s->ready_file) == 0) {
		s->file_written = true;
		return;
	}
	zk_warn("the ready file cannot be written, going on without it",
	        "file=%s errno=%d", s->ready_file, errno);
	(void)unlink(part);
}

static void remove_ready_file(struct zk_status *s)
{
	if (s->file_written)
		(void)unlink(s->ready_file);
	s->file_written = false;
}

void zk_status_ready(struct zk_status *s, struct zk_loop *loop, zk_str members)
{
	if (!s->told_ready) {
		zk_status_event(s, "ready", members);
		if (s->ready_file)
			write_ready_file(s, members);
		start_watchdog(s, loop);
	}
	s->told_ready = true;
	notify("READY=1");
}

void zk_status_stopping(struct zk_status *s)
{
	remove_ready_file(s);
	if (s->told_ready)
		notify("STOPPING=1");
	s->told_ready = false;
}

void zk_status_free(struct zk_status *s)
{
	if (!s)
		return;
	zk_status_stopping(s);
	zk_timer_free(s->watchdog);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->ready_file);
	free(s);
}

/* ---- inherited sockets
 * -------------------------------------------------------------------- */

static bool env_number(const char *name, uint64_t *ret)
{
	const char *text = getenv(name);
	struct zk_error err = { 0 };

	return text && zk_parse_u64(zk_str_of(text), ret, &err) == 0;
}

size_t zk_listen_fds(const char *name, int *fds, size_t room)
{
	uint64_t n = 0, pid = 0;
	zk_str names = zk_str_of(getenv("LISTEN_FDNAMES"));
	size_t found = 0;

	if (!env_number("LISTEN_FDS", &n) || !env_number("LISTEN_PID", &pid) ||
	    pid != (uint64_t)getpid() || n > MAX_LISTEN_FDS)
		return 0;
	for (uint64_t i = 0; i < n && found < room; i++) {
		int fd = FIRST_FD + (int)i;
		zk_str mine;

		names = zk_str_cut(names, ':', &mine);
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			continue;
		if (!name || zk_str_eq(mine, zk_str_of(name)))
			fds[found++] = fd;
	}
	return found;
}
