/* Secrets: every source, its failures, and that the text never shows.
 * Layer: tests. */
#include "conf/secret.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/opt.h"
#include "conf/run.h"

#include "base/ban.h"

#define CANARY "canary-7f3a9b"

static char dir[] = "/tmp/zk-secret-XXXXXX";

static const char *file(const char *name, const char *text, mode_t mode)
{
	static char path[128];
	int fd;

	/* The name that was made may well hold an X. */
	if (strstr(dir, "XXXXXX") && !mkdtemp(dir))
		abort();
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    fchmod(fd, mode) < 0)
		abort();
	close(fd);
	return path;
}

static int load(struct zk_secret s, struct zk_buf *b, struct zk_error *err)
{
	s.name = "token";
	zk_buf_init_secret(b, ZK_SECRET_MAX);
	return zk_secret_load(&s, b, err);
}

static void expect(struct zk_secret s, const char *text)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	cr_assert_eq(load(s, &b, &err), 0, "%s", err.msg);
	cr_expect_str_eq(zk_buf_cstring(&b), text);
	zk_buf_done(&b);
}

static void refuse(struct zk_secret s, const char *msg)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	cr_assert_eq(load(s, &b, &err), -ZK_E_SECRET, "%s", msg);
	cr_expect(strstr(err.msg, msg) != NULL, "%s", err.msg);
	cr_expect(zk_str_starts(zk_str_of(err.msg),
	                        ZK_STR("cannot load the secret 'token'")),
	          "%s", err.msg);
	cr_expect_not(strstr(err.msg, CANARY), "%s", err.msg);
	cr_expect_not(strstr(err.where, CANARY), "%s", err.where);
	cr_expect_eq(b.n, 0);
	zk_buf_done(&b);
}

#define FILE_(p) ((struct zk_secret){ .kind = ZK_SECRET_FILE, .text = (p) })
#define COMMAND(...)                                                     \
	((struct zk_secret){ .kind = ZK_SECRET_COMMAND,                  \
	                     .argv = (char *[]){ __VA_ARGS__, NULL },    \
	                     .argc = sizeof((char *[]){ __VA_ARGS__ }) / \
	                             sizeof(char *) })

Test(secret, files)
{
	expect(FILE_(file("a", CANARY, 0600)), CANARY);
	expect(FILE_(file("a", CANARY "\n", 0600)), CANARY);
	expect(FILE_(file("a", CANARY "\r\nsecond line\n", 0400)), CANARY);
	refuse(FILE_(file("a", CANARY "\n", 0644)), "others can read the secret");
	refuse(FILE_(file("a", CANARY "\n", 0620)), "others can read the secret");
	refuse(FILE_(file("a", "", 0600)), "no text in it");
	refuse(FILE_(file("a", "\n" CANARY, 0600)), "no text in it");
	refuse(FILE_(file("a", CANARY "\x01", 0600)), "control characters");
	refuse(FILE_("/nonexistent"), "No such file");
	refuse(FILE_("/"), "cannot read");
}

Test(secret, a_long_file_is_refused)
{
	char *text = malloc(ZK_SECRET_MAX + 2);

	memset(text, 'x', ZK_SECRET_MAX + 1);
	text[ZK_SECRET_MAX + 1] = '\0';
	refuse(FILE_(file("a", text, 0600)), "more than 16384 bytes");
	free(text);
}

Test(secret, environment)
{
	setenv("MY_TOKEN", CANARY, 1);
	expect((struct zk_secret){ .kind = ZK_SECRET_ENV, .text = "MY_TOKEN" }, CANARY);
	refuse((struct zk_secret){ .kind = ZK_SECRET_ENV, .text = "NOT_THERE" },
	       "NOT_THERE is not set");
}

Test(secret, credentials)
{
	struct zk_secret s = { .kind = ZK_SECRET_CREDENTIAL, .text = "tok" };

	unsetenv("CREDENTIALS_DIRECTORY");
	refuse(s, "CREDENTIALS_DIRECTORY");
	(void)file("tok", CANARY "\n", 0440);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	expect(s, CANARY);
	s.text = "../tok";
	refuse(s, "no name of a credential");
	s.text = "missing";
	refuse(s, "No such file");
}

Test(secret, descriptors)
{
	int fds[2];
	char text[16];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], CANARY "\n", strlen(CANARY) + 1),
	             (ssize_t)strlen(CANARY) + 1);
	close(fds[1]);
	(void)snprintf(text, sizeof(text), "%d", fds[0]);
	expect((struct zk_secret){ .kind = ZK_SECRET_FD, .text = text }, CANARY);
	close(fds[0]);
	refuse((struct zk_secret){ .kind = ZK_SECRET_FD, .text = text },
	       "Bad file descriptor");
	refuse((struct zk_secret){ .kind = ZK_SECRET_FD, .text = "x" },
	       "no number of a descriptor");
}

Test(secret, commands)
{
	setenv("CANARY", CANARY, 1);
	expect(COMMAND("printf", CANARY "\nmore"), CANARY);
	expect(COMMAND("sh", "-c", "cat; echo " CANARY), CANARY);
	refuse(COMMAND("false"), "'false' failed with exit status 1");
	refuse(COMMAND("true"), "no text in it");
	refuse(COMMAND("/nonexistent/program"), "cannot run");
	refuse(COMMAND("sh", "-c", "echo $CANARY; exit 3"), "exit status 3");
	refuse(COMMAND("sh", "-c", "kill -TERM $$"), "signal 15");
	refuse(COMMAND("sh", "-c", "yes $CANARY"), "more than");
}

Test(secret, slow_programs_are_killed_with_their_children)
{
	char *argv[] = { "sh", "-c", "sleep 600 & echo $!; wait", NULL };
	struct zk_error err = { 0 };
	struct zk_buf out;
	uint64_t child;
	char path[64];

	zk_buf_init(&out, 1000);
	/* On a busy machine the shell may need longer to say which process it started. */
	for (int64_t limit = 300; limit < 20000 && out.n == 0; limit *= 2) {
		int64_t begin = zk_mono_ms();

		cr_assert_eq(zk_run(argv, ZK_STR_NULL, limit, &out, &err), -ZK_E_SECRET);
		cr_expect(strstr(err.msg, "did not end within") != NULL, "%s", err.msg);
		cr_expect_lt(zk_mono_ms() - begin, limit + 10000);
	}
	cr_assert_eq(zk_parse_u64(zk_str_trim(zk_buf_str(&out)), &child, &err), 0);
	(void)snprintf(path, sizeof(path), "/proc/%llu/status",
	               (unsigned long long)child);
	/* Gone, or a zombie that nobody has collected yet. */
	for (int64_t until = zk_mono_ms() + 5000; zk_mono_ms() < until;) {
		char text[256] = "";
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

		if (fd >= 0)
			close(fd);
		if (n <= 0 || strstr(text, "State:\tZ"))
			goto gone;
	}
	cr_expect(false, "the grandchild still runs");
gone:
	zk_buf_done(&out);
}

Test(secret, output_and_input_larger_than_a_pipe)
{
	char *argv[] = { "sh", "-c", "cat", NULL };
	struct zk_error err = { 0 };
	struct zk_buf in, out;

	zk_buf_init(&in, 1 << 20);
	zk_buf_init(&out, 1 << 20);
	for (int i = 0; i < 40000; i++)
		zk_buf_lit(&in, "0123456789");
	cr_assert_eq(zk_run(argv, zk_buf_str(&in), 20000, &out, &err), 0, "%s", err.msg);
	cr_expect_eq(out.n, in.n);
	zk_buf_done(&in);
	zk_buf_done(&out);
}

Test(secret, credential_helper)
{
	const char *path = file("zk-credential-demo",
	                        "#!/bin/sh\n[ \"$1\" = get ] || exit 4\nread -r line\n"
	                        "[ \"$line\" = name=token ] || exit 5\n"
	                        "echo other=x\necho secret=" CANARY "\n",
	                        0700);

	/* As in zk: the second program ends without reading what it is told. */
	(void)signal(SIGPIPE, SIG_IGN);
	expect(COMMAND((char *)path), CANARY);
	path = file("zk-credential-empty", "#!/bin/sh\necho other=x\n", 0700);
	refuse(COMMAND((char *)path), "no text in it");
}

Test(secret, nothing_configured)
{
	refuse((struct zk_secret){ .kind = ZK_SECRET_NONE }, "no secret is configured");
}

Test(secret, a_loaded_secret_is_redacted_and_dumps_are_off)
{
	struct rlimit lim;
	struct zk_error err = { 0 };
	struct zk_buf b, shown;

	cr_assert_eq(load(FILE_(file("a", CANARY, 0600)), &b, &err), 0);
	cr_expect(zk_redact_found(ZK_STR("text " CANARY " text")));
	zk_buf_init(&shown, 100);
	zk_redact_into(&shown, ZK_STR("a " CANARY " b"));
	cr_expect_str_eq(zk_buf_cstring(&shown), "a *** b");
	cr_assert_eq(getrlimit(RLIMIT_CORE, &lim), 0);
	cr_expect_eq(lim.rlim_cur, 0);
	zk_buf_done(&b);
	zk_buf_done(&shown);
}

Test(secret, descriptions_hold_no_secret)
{
	struct zk_buf b;
	struct zk_secret s = { .kind = ZK_SECRET_INLINE, .text = CANARY };

	zk_buf_init(&b, 200);
	zk_secret_describe(&s, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "(set, 10+ chars)");
	zk_buf_clear(&b);
	s.text = "abc";
	zk_secret_describe(&s, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "(set, short)");
	zk_buf_done(&b);
}
