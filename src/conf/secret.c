/* Secrets by reference: describing where one comes from, and loading it.
 * Layer: conf. */
#include "conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/run.h"

#include "base/ban.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZK_CLANG_ASAN 1
#endif
#endif

static void describe_inline(const char *text, struct zk_buf *b)
{
	static const unsigned classes[] = { 80, 60, 40, 20, 10 };
	size_t n = strlen(text);

	for (size_t i = 0; i < ZK_ARRAY_LEN(classes); i++) {
		if (n >= classes[i]) {
			zk_buf_printf(b, "(set, %u+ chars)", classes[i]);
			return;
		}
	}
	zk_buf_lit(b, "(set, short)");
}

void zk_secret_describe(const struct zk_secret *s, struct zk_buf *b)
{
	switch (s->kind) {
	case ZK_SECRET_NONE:
		break;
	case ZK_SECRET_FILE:
		zk_buf_printf(b, "file %s", s->text);
		break;
	case ZK_SECRET_FD:
		zk_buf_printf(b, "descriptor %s", s->text);
		break;
	case ZK_SECRET_ENV:
		zk_buf_printf(b, "$%s", s->text);
		break;
	case ZK_SECRET_COMMAND:
		zk_buf_lit(b, "command:");
		for (size_t i = 0; i < s->argc; i++)
			zk_buf_printf(b, " %s", s->argv[i]);
		break;
	case ZK_SECRET_CREDENTIAL:
		zk_buf_printf(b, "credential %s", s->text);
		break;
	case ZK_SECRET_INLINE:
		describe_inline(s->text, b);
		break;
	}
}

#define COMMAND_MS 10000

/* A crash must not write a secret to a disk. */
static void forbid_core_dumps(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(ZK_CLANG_ASAN)
	/* For handlers behind a pipe, which no limit reaches. The leak checker could not attach. */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int read_fd(int fd, const char *what, struct zk_buf *ret, struct zk_error *err)
{
	for (;;) {
		char *p = zk_buf_reserve(ret, 512);
		ssize_t n;

		if (!p)
			return zk_fail(err, ZK_E_SECRET, "%s holds more than %d bytes",
			               what, ZK_SECRET_MAX);
		n = read(fd, p, 512);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return zk_fail_errno(err, ZK_E_SECRET, errno, "cannot read %s",
			                     what);
		if (n == 0)
			return 0;
		ret->n += (size_t)n;
	}
}

/* `careful` = nobody but the owner may be able to read it. */
static int read_file(const char *path, bool careful, struct zk_buf *ret,
                     struct zk_error *err)
{
	char what[300];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_SECRET, errno, "cannot read the file '%s'",
		                     path);
	if (careful && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 0077)) {
		close(fd);
		(void)zk_fail(err, ZK_E_SECRET,
		              "others can read the secret in '%s' (mode %04o)", path,
		              (unsigned)(st.st_mode & 07777));
		return zk_err_hint(err, "chmod 600 '%s'", path);
	}
	(void)snprintf(what, sizeof(what), "the file '%s'", path);
	r = read_fd(fd, what, ret, err);
	close(fd);
	return r;
}

static int from_credential(const char *name, struct zk_buf *ret, struct zk_error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path;
	int r;

	if (strchr(name, '/') || name[0] == '.')
		return zk_fail(err, ZK_E_SECRET, "'%s' is no name of a credential", name);
	if (!dir || dir[0] != '/') {
		(void)zk_fail(err, ZK_E_SECRET,
		              "the credential '%s' needs CREDENTIALS_DIRECTORY to be set",
		              name);
		return zk_err_hint(err, "LoadCredential=%s:PATH in the unit of systemd",
		                   name);
	}
	path = zk_asprintf("%s/%s", dir, name);
	r = read_file(path, false, ret, err);
	free(path);
	return r;
}

static int from_fd(const char *text, struct zk_buf *ret, struct zk_error *err)
{
	uint64_t fd;
	struct zk_error ignored;

	if (zk_parse_u64(zk_str_of(text), &fd, &ignored) < 0 || fd > 65535)
		return zk_fail(err, ZK_E_SECRET, "'%s' is no number of a descriptor",
		               text);
	return read_fd((int)fd, "the descriptor", ret, err);
}

static int from_env(const char *name, struct zk_buf *ret, struct zk_error *err)
{
	const char *v = getenv(name);

	if (!v || !v[0])
		return zk_fail(err, ZK_E_SECRET, "the variable %s is not set", name);
	zk_buf_cstr(ret, v);
	return 0;
}

static bool is_credential_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return zk_str_starts(zk_str_of(slash ? slash + 1 : argv0),
	                     ZK_STR("zk-credential-"));
}

int zk_credential_run(char *const *argv, size_t argc, const char *verb, zk_str fields,
                      struct zk_buf *ret, struct zk_error *err)
{
	char **full = zk_alloc_array(argc + 2, sizeof(*full));
	struct zk_buf out;
	zk_str rest;
	int r;

	memcpy(full, argv, argc * sizeof(*full));
	full[argc] = (char *)verb;
	zk_buf_init_secret(&out, ZK_SECRET_MAX);
	r = zk_run(full, fields, COMMAND_MS, &out, err);
	rest = zk_buf_str(&out);
	while (r == 0 && rest.n) {
		zk_str line, key, value;

		rest = zk_str_cut(rest, '\n', &line);
		value = zk_str_cut(line, '=', &key);
		if (ret && zk_str_eq(key, ZK_STR("secret")))
			zk_buf_add(ret, value);
	}
	zk_buf_done(&out);
	free(full);
	return r;
}

static int from_command(const struct zk_secret *s, struct zk_buf *ret,
                        struct zk_error *err)
{
	struct zk_buf fields;
	int r;

	if (!is_credential_helper(s->argv[0]))
		return zk_run(s->argv, ZK_STR_NULL, COMMAND_MS, ret, err);
	zk_buf_init(&fields, 1000);
	zk_buf_printf(&fields, "name=%s\n\n", s->name ? s->name : "");
	r = zk_credential_run(s->argv, s->argc, "get", zk_buf_str(&fields), ret, err);
	zk_buf_done(&fields);
	return r;
}

static int read_source(const struct zk_secret *s, struct zk_buf *ret,
                       struct zk_error *err)
{
	switch (s->kind) {
	case ZK_SECRET_NONE:
		break;
	case ZK_SECRET_FILE:
		if (strcmp(s->text, "-") == 0)
			return read_fd(STDIN_FILENO, "stdin", ret, err);
		return read_file(s->text, true, ret, err);
	case ZK_SECRET_FD:
		return from_fd(s->text, ret, err);
	case ZK_SECRET_ENV:
		return from_env(s->text, ret, err);
	case ZK_SECRET_COMMAND:
		return from_command(s, ret, err);
	case ZK_SECRET_CREDENTIAL:
		return from_credential(s->text, ret, err);
	case ZK_SECRET_INLINE:
		zk_buf_cstr(ret, s->text);
		return 0;
	}
	return zk_fail(err, ZK_E_SECRET, "no secret is configured");
}

/* The first line, without its end. */
static void keep_first_line(struct zk_buf *b)
{
	zk_str line = ZK_STR_NULL;

	(void)zk_str_cut(zk_buf_str(b), '\n', &line);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (b->p)
		zk_wipe(b->p + line.n, b->n - line.n);
	b->n = line.n;
}

static int check(const struct zk_buf *b, bool lines, struct zk_error *err)
{
	if (b->failed)
		return zk_fail(err, ZK_E_SECRET, "it is longer than %d bytes",
		               ZK_SECRET_MAX);
	if (b->n == 0)
		return zk_fail(err, ZK_E_SECRET, "there is no text in it");
	for (size_t i = 0; i < b->n; i++) {
		char c = b->p[i];

		if (lines && c && strchr("\n\r\t", c))
			continue;
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return zk_fail(err, ZK_E_SECRET, "it holds control characters");
	}
	return 0;
}

static int load(const struct zk_secret *s, bool all, struct zk_buf *ret,
                struct zk_error *err)
{
	struct zk_buf from;
	int r;

	forbid_core_dumps();
	zk_buf_clear(ret);
	r = read_source(s, ret, err);
	if (r == 0 && !all) {
		keep_first_line(ret);
		zk_redact_add(zk_buf_str(ret));
	}
	if (r == 0)
		r = check(ret, all, err);
	if (r == 0)
		return 0;
	zk_buf_clear(ret);
	zk_buf_init(&from, 300);
	zk_secret_describe(s, &from);
	(void)zk_wrap(err, "cannot load the secret '%s'", s->name ? s->name : "");
	(void)zk_err_where(err, "%s", zk_buf_cstring(&from));
	zk_buf_done(&from);
	return -(int)err->code;
}

int zk_secret_load(const struct zk_secret *s, struct zk_buf *ret, struct zk_error *err)
{
	return load(s, /* all */ false, ret, err);
}

int zk_secret_load_all(const struct zk_secret *s, struct zk_buf *ret,
                       struct zk_error *err)
{
	return load(s, /* all */ true, ret, err);
}
