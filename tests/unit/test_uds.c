/* net/uds: private whatever the umask, the first usable folder, nothing left behind.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/uds.h"

#include "base/ban.h"

static struct zk_uds listen_ok(void)
{
	struct zk_error err = { 0 };
	struct zk_uds u;

	cr_assert_eq(zk_uds_listen(&u, "t", &err), 0, "%s", err.msg);
	return u;
}

Test(uds, private_under_umask_0)
{
	struct zk_uds u;
	struct stat st;

	(void)umask(0);
	u = listen_ok();
	cr_assert_eq(stat(u.path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	zk_uds_close(&u);
}

Test(uds, usable_under_umask_0777)
{
	struct zk_error err;
	struct zk_uds u;
	int fd;

	(void)umask(0777);
	u = listen_ok();
	fd = zk_uds_connect(u.path, &err);
	cr_expect_geq(fd, 0);
	(void)close(fd);
	zk_uds_close(&u);
}

Test(uds, the_next_folder_when_one_cannot_be_used)
{
	static const char *const unusable[] = { "/nonexistent", "relative", "" };
	char longest[200] = "/tmp/", *tmp = getenv("TMPDIR");
	struct zk_uds u;

	cr_assert_not_null(tmp);
	for (size_t i = 0; i < ZK_ARRAY_LEN(unusable); i++) {
		(void)setenv("XDG_RUNTIME_DIR", unusable[i], 1);
		u = listen_ok();
		cr_expect_eq(strncmp(u.path, tmp, strlen(tmp)), 0, "%s", u.path);
		zk_uds_close(&u);
	}
	memset(longest + 5, 'x', 100);
	cr_assert_eq(mkdir(longest, 0700), 0);
	(void)setenv("XDG_RUNTIME_DIR", longest, 1);
	u = listen_ok();
	cr_expect_eq(strncmp(u.path, tmp, strlen(tmp)), 0, "%s", u.path);
	zk_uds_close(&u);
	(void)rmdir(longest);
}

Test(uds, connects_and_leaves_nothing)
{
	struct zk_uds u = listen_ok();
	char path[sizeof(u.path)];
	struct zk_error err;
	int client, server;

	memcpy(path, u.path, sizeof(path));
	cr_expect_eq(zk_uds_accept(&u, (uid_t)-1), -1, "nobody is there");
	client = zk_uds_connect(path, &err);
	cr_assert_geq(client, 0);
	server = zk_uds_accept(&u, (uid_t)-1);
	cr_expect_geq(server, 0);
	zk_uds_close(&u);
	zk_uds_close(&u);
	cr_expect_neq(access(path, F_OK), 0, "the file is gone");
	cr_expect_eq(zk_uds_connect(path, &err), -ZK_E_CONNECT);
	(void)close(client);
	(void)close(server);
}

Test(uds, names_differ)
{
	struct zk_uds a = listen_ok(), b = listen_ok();

	cr_expect_neq(strcmp(a.path, b.path), 0);
	zk_uds_close(&a);
	zk_uds_close(&b);
}
