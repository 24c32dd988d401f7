/* Project files that the user has read and trusts, by the hash of their content.
 * Layer: cli. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/state.h"
#include "codec/digest.h"

#include "base/ban.h"

#define LIST_MAX (1u << 20)

/* "HEX  /absolute/path" as one line of the list. */
static void line_of(const char *path, zk_str text, struct zk_buf *b)
{
	uint8_t hash[ZK_SHA256_SIZE];
	char real[PATH_MAX];

	zk_sha256(text, hash);
	zk_hex_encode(zk_str_n((const char *)hash, sizeof(hash)), b);
	zk_buf_printf(b, "  %s\n", realpath(path, real) ? real : path);
}

static char *list_path(bool make, struct zk_error *err)
{
	char *dir = zk_app_state_dir(NULL, make, err), *path;

	if (!dir)
		return NULL;
	path = zk_asprintf("%s/trusted", dir);
	free(dir);
	return path;
}

/* The whole list; nothing when there is none. */
static int read_list(const char *path, struct zk_buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	while (n > 0) {
		char *p = zk_buf_reserve(b, 4096);

		n = p ? read(fd, p, 4096) : 0;
		if (n > 0)
			b->n += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	close(fd);
	return n < 0 ? EIO : 0;
}

static bool holds(zk_str list, zk_str line)
{
	while (list.n) {
		zk_str one;

		list = zk_str_cut(list, '\n', &one);
		if (one.n + 1 == line.n && zk_str_starts(line, one))
			return true;
	}
	return false;
}

bool zk_trust_has(const char *path, zk_str text)
{
	struct zk_error ignored;
	struct zk_buf list, line;
	char *file = list_path(false, &ignored);
	bool found = false;

	if (!file)
		return false;
	zk_buf_init(&list, LIST_MAX);
	zk_buf_init(&line, PATH_MAX + 100);
	line_of(path, text, &line);
	if (read_list(file, &list) == 0 && !line.failed)
		found = holds(zk_buf_str(&list), zk_buf_str(&line));
	zk_buf_done(&list);
	zk_buf_done(&line);
	free(file);
	return found;
}

static int write_list(const char *path, zk_str text, struct zk_error *err)
{
	int e = zk_file_replace(path, 0600, text);

	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path) : 0;
}

/* The list without the lines of `path`, and with `line` (may be empty) behind. */
static int change(const char *path, zk_str line, struct zk_error *err)
{
	char *file = list_path(true, err), real[PATH_MAX];
	struct zk_buf old, fresh;
	zk_str rest, own = zk_str_of(realpath(path, real) ? real : path);
	int e, r;

	if (!file)
		return -(int)err->code;
	zk_buf_init(&old, LIST_MAX);
	zk_buf_init(&fresh, LIST_MAX);
	e = read_list(file, &old);
	rest = zk_buf_str(&old);
	while (rest.n) {
		zk_str one;

		rest = zk_str_cut(rest, '\n', &one);
		if (one.n > 66 && !zk_str_eq(zk_str_from(one, 66), own))
			zk_buf_printf(&fresh, "%.*s\n", ZK_STR_ARG(one));
	}
	zk_buf_add(&fresh, line);
	if (e)
		r = zk_fail_errno(err, ZK_E_CONFIG, e, "cannot read '%s'", file);
	else
		r = zk_buf_check(&fresh, err) < 0
		            ? -(int)err->code
		            : write_list(file, zk_buf_str(&fresh), err);
	zk_buf_done(&old);
	zk_buf_done(&fresh);
	free(file);
	return r;
}

int zk_trust_add(const char *path, zk_str text, struct zk_error *err)
{
	struct zk_buf line;
	int r;

	zk_buf_init(&line, PATH_MAX + 100);
	line_of(path, text, &line);
	r = change(path, zk_buf_str(&line), err);
	zk_buf_done(&line);
	return r;
}

int zk_trust_remove(const char *path, struct zk_error *err)
{
	return change(path, ZK_STR_NULL, err);
}
