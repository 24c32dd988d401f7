/* The status channel, the ready file, the service manager, inherited sockets.
 * Layer: tests. */
#include "rt/status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

static char dir[80], path[120];

static void setup(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &sa, NULL);
	(void)snprintf(dir, sizeof(dir), "%s/status.XXXXXX",
	               getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

static void teardown(void)
{
	(void)unlink(path);
	cr_expect_eq(rmdir(dir), 0, "nothing is left in the folder");
}

TestSuite(status, .init = setup, .fini = teardown);

static const char *content(const char *file)
{
	static char text[4096];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[ZK_MAX(n, 0)] = '\0';
	if (fd >= 0)
		(void)close(fd);
	return text;
}

static struct zk_status *open_status(const char *channel, const char *ready_file)
{
	struct zk_status_conf conf = { .channel = channel, .ready_file = ready_file };
	struct zk_status *s = NULL;
	struct zk_error err;

	cr_assert_eq(zk_status_new(&conf, &s, &err), 0, "%s", err.msg);
	return s;
}

/* ---- the channel ---- */

Test(status, lines_on_a_file)
{
	struct zk_status *s;
	struct stat st;

	zk_clock_fake(0, INT64_C(1762776000123456));
	s = open_status(path, NULL);
	zk_status_event(s, "start", ZK_STR("\"command\":\"x\""));
	zk_status_event(s, "exit", ZK_STR_NULL);
	zk_status_free(s);
	zk_clock_real();
	cr_expect_str_eq(content(path),
	                 "{\"type\":\"start\",\"ts\":\"2025-11-10T12:00:00.123456Z\","
	                 "\"command\":\"x\"}\n"
	                 "{\"type\":\"exit\",\"ts\":\"2025-11-10T12:00:00.123456Z\"}\n");
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	/* Another run appends. */
	s = open_status(path, NULL);
	zk_status_event(s, "start", ZK_STR_NULL);
	zk_status_free(s);
	cr_expect(strstr(content(path), "\"exit\"") < strrchr(content(path), '{'));
}

Test(status, lines_on_a_descriptor_hide_secrets)
{
	struct zk_status *s;
	char number[12], text[200] = "";
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	(void)snprintf(number, sizeof(number), "%d", fd[1]);
	s = open_status(number, NULL);
	zk_redact_add(ZK_STR("s3cr3t-value"));
	zk_status_event(s, "error", ZK_STR("\"message\":\"s3cr3t-value\""));
	zk_status_free(s);
	cr_expect_eq(fcntl(fd[1], F_GETFD), FD_CLOEXEC, "it is still the caller's");
	cr_expect_gt(read(fd[0], text, sizeof(text) - 1), 0);
	cr_expect(strstr(text, "\"message\":\"***\"}\n") != NULL, "%s", text);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

Test(status, what_cannot_be_written_to)
{
	struct zk_status_conf conf = { .channel = "999" };
	struct zk_status *s;
	struct zk_error err;

	cr_expect_eq(zk_status_new(&conf, &s, &err), -ZK_E_CREATE);
	conf.channel = "99999999999";
	cr_expect_eq(zk_status_new(&conf, &s, &err), -ZK_E_CREATE);
	conf.channel = "/nonexistent/status";
	cr_expect_eq(zk_status_new(&conf, &s, &err), -ZK_E_CREATE);
	cr_expect_str_eq(
	        err.msg,
	        "cannot write to --status-fd '/nonexistent/status': No such file "
	        "or directory");
}

/* A parent that closed its end does not stop the command. */
Test(status, a_broken_channel_is_given_up)
{
	struct zk_status *s;
	char number[12];
	int fd[2];

	zk_log_level_set(ZK_LOG_ERROR);
	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	(void)snprintf(number, sizeof(number), "%d", fd[1]);
	s = open_status(number, NULL);
	(void)close(fd[0]);
	(void)close(fd[1]);
	zk_status_event(s, "progress", ZK_STR_NULL);
	zk_status_event(s, "progress", ZK_STR_NULL);
	zk_status_free(s);
	zk_status_free(NULL);
}

/* A parent that does not read must not stop the loop for ever. */
Test(status, a_full_channel_is_given_up, .timeout = 20)
{
	struct zk_status *s;
	char number[12], *big = zk_alloc(30002);
	int64_t start;
	int fd[2];

	zk_log_level_set(ZK_LOG_ERROR);
	memset(big, 'x', 30001);
	memcpy(big, "\"m\":\"", 5);
	big[30000] = '"';
	big[30001] = '\0';
	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	(void)snprintf(number, sizeof(number), "%d", fd[1]);
	s = open_status(number, NULL);
	start = zk_mono_ms();
	for (unsigned i = 0; i < 10; i++)
		zk_status_event(s, "progress", zk_str_of(big));
	cr_expect_lt(zk_mono_ms() - start, 5000);
	zk_status_free(s);
	(void)close(fd[0]);
	(void)close(fd[1]);
	free(big);
}

/* ---- the ready file ---- */

Test(status, ready_file)
{
	struct zk_status *s = open_status(NULL, path);
	char want[200];
	struct stat st;

	cr_expect_eq(access(path, F_OK), -1);
	zk_status_ready(s, NULL, ZK_STR("\"addresses\":[\"http://127.0.0.1:8080\"]"));
	(void)snprintf(want, sizeof(want),
	               "{\"pid\":%ld,\"version\":\"" ZK_VERSION
	               "\",\"addresses\":[\"http://127.0.0.1:8080\"]}\n",
	               (long)getpid());
	cr_expect_str_eq(content(path), want);
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	zk_status_ready(s, NULL, ZK_STR_NULL);
	cr_expect_str_eq(content(path), want, "a reload does not write it again");
	zk_status_free(s);
	cr_expect_eq(access(path, F_OK), -1, "it is removed");
}

Test(status, the_ready_file_of_another_is_left_alone)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct zk_status *s = open_status(NULL, path);

	cr_assert_eq(write(fd, "old", 3), 3);
	(void)close(fd);
	zk_status_free(s);
	cr_expect_str_eq(content(path), "old", "we never were ready");
}

Test(status, ready_is_written_once)
{
	struct zk_status *s = open_status(path, NULL);
	const char *text;

	zk_status_ready(s, NULL, ZK_STR("\"api\":1"));
	zk_status_ready(s, NULL, ZK_STR_NULL);
	zk_status_free(s);
	text = content(path);
	cr_expect(strstr(text, "\"type\":\"ready\"") != NULL);
	cr_expect_eq(strchr(text, '\n') - text + 1, (ptrdiff_t)strlen(text), "%s", text);
}

/* ---- the service manager ---- */

static int manager(const char *address)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = strlen(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, address, n);
	if (address[0] == '@')
		sa.sun_path[0] = '\0';
	cr_assert(fd >= 0 &&
	          bind(fd, (struct sockaddr *)&sa,
	               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0);
	cr_assert_eq(setenv("NOTIFY_SOCKET", address, 1), 0);
	return fd;
}

static const char *told(int fd)
{
	static char text[600];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[ZK_MAX(n, 0)] = '\0';
	return text;
}

static void whole_life(int fd)
{
	struct zk_status *s = open_status(NULL, NULL);
	int64_t before = zk_mono_us();
	const char *text;

	cr_expect_str_eq(told(fd), "");
	zk_status_ready(s, NULL, ZK_STR_NULL);
	cr_expect_str_eq(told(fd), "READY=1");
	zk_status_text(s, "12 events");
	cr_expect_str_eq(told(fd), "STATUS=12 events");
	zk_status_reloading(s);
	text = told(fd);
	cr_expect(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0, "%s", text);
	cr_expect_geq((int64_t)strtod(text + 27, NULL), before);
	zk_status_ready(s, NULL, ZK_STR_NULL);
	cr_expect_str_eq(told(fd), "READY=1");
	zk_status_stopping(s);
	cr_expect_str_eq(told(fd), "STOPPING=1");
	zk_status_free(s);
	cr_expect_str_eq(told(fd), "", "once");
	(void)close(fd);
}

Test(status, service_manager_by_path)
{
	whole_life(manager(path));
}

Test(status, service_manager_by_abstract_address)
{
	char address[60];

	(void)snprintf(address, sizeof(address), "@zk-test-%ld", (long)getpid());
	whole_life(manager(address));
}

Test(status, wrong_addresses_are_ignored)
{
	static const char *const wrong[] = { "", "@", "/", "relative", "vsock:2:1" };
	char longer[300];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[299] = '\0';
	for (size_t i = 0; i <= ZK_ARRAY_LEN(wrong); i++) {
		struct zk_status *s = open_status(NULL, NULL);

		(void)setenv("NOTIFY_SOCKET", i < ZK_ARRAY_LEN(wrong) ? wrong[i] : longer,
		             1);
		zk_status_ready(s, NULL, ZK_STR_NULL);
		zk_status_free(s);
	}
}

static void quit(void *ctx)
{
	zk_loop_quit(ctx);
}

/* Turns for `ms` and counts the watchdog's pings. */
static unsigned pings(struct zk_loop *loop, int fd, int64_t ms)
{
	struct zk_timer *t = zk_timer_new(loop, quit, loop);
	unsigned n = 0;
	const char *text;

	zk_timer_start(t, ms, 0);
	zk_loop_run(loop);
	zk_timer_free(t);
	while (*(text = told(fd)))
		n += strcmp(text, "WATCHDOG=1") == 0;
	return n;
}

Test(status, watchdog)
{
	int fd = manager(path);
	struct zk_error err;
	struct zk_loop *loop = zk_loop_new(&err);
	struct zk_status *s = open_status(NULL, NULL);
	unsigned n;

	(void)setenv("WATCHDOG_USEC", "100000", 1);
	cr_expect_eq(pings(loop, fd, 120), 0, "not before it is ready");
	zk_status_ready(s, loop, ZK_STR_NULL);
	cr_expect_str_eq(told(fd), "READY=1");
	n = pings(loop, fd, 520);
	cr_expect(n >= 7 && n <= 11, "every 50 ms: %u", n);
	zk_status_free(s);
	cr_expect_str_eq(told(fd), "STOPPING=1");
	/* The watchdog of somebody else. */
	(void)setenv("WATCHDOG_PID", "1", 1);
	s = open_status(NULL, NULL);
	zk_status_ready(s, loop, ZK_STR_NULL);
	(void)told(fd);
	cr_expect_eq(pings(loop, fd, 200), 0);
	zk_status_free(s);
	zk_loop_free(loop);
	(void)close(fd);
}

/* ---- inherited sockets ---- */

static void give_fds(const char *fds, const char *names, bool ours)
{
	char pid[20];

	(void)snprintf(pid, sizeof(pid), "%ld", ours ? (long)getpid() : 1L);
	(void)setenv("LISTEN_FDS", fds, 1);
	(void)setenv("LISTEN_PID", pid, 1);
	if (names)
		(void)setenv("LISTEN_FDNAMES", names, 1);
	else
		(void)unsetenv("LISTEN_FDNAMES");
}

/* In a process of its own, whose descriptors 3 to 5 we may replace: what zk_listen_fds finds for
 * each row, as digits. */
static const struct {
	const char *fds, *names;
	bool ours;
	const char *name;
	size_t room;
	const char *want;
} listen_cases[] = {
	{ "3", "api:admin:api", true, "api", 4, "35" },
	{ "3", "api:admin:api", true, "admin", 4, "4" },
	{ "3", "api:admin:api", true, NULL, 4, "345" },
	{ "3", "api:admin:api", true, NULL, 2, "34" },
	{ "3", "api:admin:api", true, "other", 4, "" },
	{ "3", NULL, true, NULL, 4, "345" },
	{ "3", NULL, true, "api", 4, "" },
	{ "3", NULL, false, NULL, 4, "" },
	{ "many", NULL, true, NULL, 4, "" },
	{ "100000", NULL, true, NULL, 4, "" },
};

/* 0, or the number of the row that is wrong. */
static int check_fds(void)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(listen_cases); i++) {
		int fds[4];
		char got[5] = "";
		size_t n;

		give_fds(listen_cases[i].fds, listen_cases[i].names,
		         listen_cases[i].ours);
		n = zk_listen_fds(listen_cases[i].name, fds, listen_cases[i].room);
		for (size_t k = 0; k < n; k++)
			got[k] = (char)('0' + fds[k]);
		if (strcmp(got, listen_cases[i].want) != 0)
			return (int)i + 1;
	}
	return fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC ? 0
	                                                                          : 90;
}

static int with_fds(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 3; fd <= 5; fd++)
		if (fd != null && dup2(null, fd) != fd)
			return 91;
	return check_fds();
}

Test(status, inherited_sockets)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(with_fds());
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "row %d",
	          WEXITSTATUS(status));
}
