/* Files that are rotated by size.
 * Layer: zerobus. specs/zerobus.md §16. */
#include "zerobus/debug_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include "base/ban.h"

#define BUFFER_BYTES ((size_t)64 << 10)
#define STAMP_BYTES  16 /* YYYYMMDDTHHMMSSZ */
#define TRIES        10000

struct zk_zb_dfile {
	char *dir, *base, *ext, *twin;
	char *own; /* base with -PID; NULL = the base itself */
	char *path;
	uint64_t max_bytes, keep;
	int fd; /* -1 = not open */
	uint64_t size;
	struct zk_buf buf;
};

/* ---- names ---- */

static const char *base_of(const struct zk_zb_dfile *f)
{
	return f->own ? f->own : f->base;
}

static bool is_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return n > 0;
}

/* "YYYYMMDDTHHMMSSZ-NNN" */
static bool is_stamp(zk_str s)
{
	return s.n >= STAMP_BYTES + 4 && s.n <= STAMP_BYTES + 6 && is_digits(s.p, 8) &&
	       s.p[8] == 'T' && is_digits(s.p + 9, 6) && s.p[15] == 'Z' &&
	       s.p[16] == '-' && is_digits(s.p + 17, s.n - 17);
}

bool zk_zb_dfile_is_rotated(zk_str name, zk_str base, zk_str ext)
{
	if (name.n < base.n + ext.n + 2 || !zk_str_starts(name, base) ||
	    !zk_str_ends(name, ext) || name.p[base.n] != '-' ||
	    name.p[name.n - ext.n - 1] != '.')
		return false;
	return is_stamp(zk_str_n(name.p + base.n + 1, name.n - base.n - ext.n - 2));
}

/* Without the separators of RFC 3339. */
static void format_stamp(int64_t us, char out[STAMP_BYTES + 1])
{
	char text[ZK_RFC3339_MAX];
	size_t n = 0;

	(void)zk_format_rfc3339(us, text);
	for (size_t i = 0; i < 19; i++)
		if (text[i] != '-' && text[i] != ':')
			out[n++] = text[i];
	out[n++] = 'Z';
	out[n] = '\0';
}

static int fail(const struct zk_zb_dfile *f, const char *what, struct zk_error *err)
{
	return zk_fail_errno(err, ZK_E_ZB_DEBUG_FILE, errno, "cannot %s '%s'", what,
	                     f->path);
}

/* ---- life ---- */

static void set_path(struct zk_zb_dfile *f)
{
	free(f->path);
	f->path = zk_asprintf("%s/%s.%s", f->dir, base_of(f), f->ext);
}

struct zk_zb_dfile *zk_zb_dfile_new(const struct zk_zb_dfile_conf *conf)
{
	struct zk_zb_dfile *f = zk_new0(struct zk_zb_dfile);

	f->dir = zk_strdup(conf->dir);
	f->base = zk_strdup(conf->base);
	f->ext = zk_strdup(conf->ext);
	f->twin = conf->twin ? zk_strdup(conf->twin) : NULL;
	f->max_bytes = conf->max_bytes;
	f->keep = conf->keep;
	f->fd = -1;
	zk_buf_init(&f->buf, 2 * BUFFER_BYTES);
	set_path(f);
	return f;
}

static void close_now(struct zk_zb_dfile *f)
{
	if (f->fd >= 0)
		(void)close(f->fd); /* the lock goes with it */
	f->fd = -1;
	f->size = 0;
	zk_buf_clear(&f->buf);
}

void zk_zb_dfile_free(struct zk_zb_dfile *f)
{
	if (!f)
		return;
	close_now(f);
	zk_buf_done(&f->buf);
	free(f->dir);
	free(f->base);
	free(f->ext);
	free(f->twin);
	free(f->own);
	free(f->path);
	free(f);
}

bool zk_zb_dfile_is_open(const struct zk_zb_dfile *f)
{
	return f->fd >= 0;
}

bool zk_zb_dfile_is_full(const struct zk_zb_dfile *f)
{
	return f->fd >= 0 && f->max_bytes && f->size >= f->max_bytes;
}

const char *zk_zb_dfile_path(const struct zk_zb_dfile *f)
{
	return f->path;
}

/* ---- rotation ---- */

/* Where `ext` of this file goes under the stamp. */
static char *rotated(const struct zk_zb_dfile *f, const char *ext, const char *stamp,
                     unsigned number)
{
	return zk_asprintf("%s/%s-%s-%03u.%s", f->dir, base_of(f), stamp, number, ext);
}

/* Renames the active file, and its twin, to the first name that is free. */
static int rename_away(struct zk_zb_dfile *f, struct zk_error *err)
{
	char stamp[STAMP_BYTES + 1];

	format_stamp(zk_wall_us(), stamp);
	for (unsigned i = 1; i < TRIES; i++) {
		ZK_CLEANUP(zk_freep)
		char *to = rotated(f, f->ext, stamp, i);

		if (renameat2(AT_FDCWD, f->path, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
			ZK_CLEANUP(zk_freep)
			char *from = NULL;
			ZK_CLEANUP(zk_freep)
			char *beside = NULL;

			if (!f->twin)
				return 0;
			from = zk_asprintf("%s/%s.%s", f->dir, base_of(f), f->twin);
			beside = rotated(f, f->twin, stamp, i);
			/* One that is missing is no reason to stop. */
			(void)renameat2(AT_FDCWD, from, AT_FDCWD, beside,
			                RENAME_NOREPLACE);
			return 0;
		}
		if (errno != EEXIST)
			return fail(f, "rotate", err);
	}
	errno = EEXIST;
	return fail(f, "rotate", err);
}

struct names {
	char **v;
	size_t n, room;
};

static void add_name(struct names *l, const char *name)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->v = zk_realloc(l->v, l->room * sizeof(*l->v));
	}
	l->v[l->n++] = zk_strdup(name);
}

/* The number behind the stamp may have more digits than three. */
static int by_age(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t m = strlen(x), n = strlen(y);
	int r = strcmp(x, y);

	if (m == n || strncmp(x, y, ZK_MIN(m, n) / 2) != 0)
		return r;
	return m < n ? -1 : 1;
}

static void remove_one(const struct zk_zb_dfile *f, const char *name)
{
	ZK_CLEANUP(zk_freep)
	char *path = zk_asprintf("%s/%s", f->dir, name);

	(void)unlink(path);
	if (f->twin) {
		ZK_CLEANUP(zk_freep)
		char *twin = zk_asprintf("%.*s%s", (int)(strlen(path) - strlen(f->ext)),
		                         path, f->twin);

		(void)unlink(twin);
	}
}

/* Removes the oldest rotated files beyond `keep`. */
static void retain(struct zk_zb_dfile *f)
{
	zk_str base = zk_str_of(base_of(f)), ext = zk_str_of(f->ext);
	struct names l = { 0 };
	struct dirent *e;
	DIR *d = f->keep ? opendir(f->dir) : NULL;

	while (d && (e = readdir(d)) != NULL)
		if (zk_zb_dfile_is_rotated(zk_str_of(e->d_name), base, ext))
			add_name(&l, e->d_name);
	if (d)
		(void)closedir(d);
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_age);
	for (size_t i = 0; i < l.n; i++) {
		if (l.n - i > f->keep)
			remove_one(f, l.v[i]);
		free(l.v[i]);
	}
	free(l.v);
}

int zk_zb_dfile_rotate(struct zk_zb_dfile *f, struct zk_error *err)
{
	int r = zk_zb_dfile_flush(f, err);

	close_now(f);
	if (r == 0)
		r = rename_away(f, err);
	if (r == 0)
		retain(f);
	return r;
}

/* ---- opening ---- */

static int make_dirs(struct zk_zb_dfile *f, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *path = zk_strdup(f->dir);

	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return zk_fail_errno(err, ZK_E_ZB_DEBUG_FILE, errno,
			                     "cannot make the folder '%s'", path);
		*p = c;
		if (!c)
			return 0;
	}
}

/* Opens and locks the active file: 1 = ours, 0 = another process has it, or -code. */
static int try_open(struct zk_zb_dfile *f, struct zk_error *err)
{
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (f->fd < 0)
		return fail(f, "open", err);
	if (flock(f->fd, LOCK_EX | LOCK_NB) == 0)
		return 1;
	(void)close(f->fd);
	f->fd = -1;
	return 0;
}

/* The active file, locked and empty. */
static int open_empty(struct zk_zb_dfile *f, struct zk_error *err)
{
	struct stat st;
	int r = try_open(f, err);

	if (r <= 0)
		return r;
	if (fstat(f->fd, &st) < 0)
		return fail(f, "look at", err);
	if (st.st_size == 0)
		return 1;
	/* Of an earlier run. */
	close_now(f);
	if (rename_away(f, err) < 0)
		return -(int)err->code;
	retain(f);
	return try_open(f, err);
}

static int write_twin(struct zk_zb_dfile *f, zk_str bytes, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *path = zk_asprintf("%s/%s.%s", f->dir, base_of(f), f->twin);
	int e = zk_file_put(path, O_TRUNC, 0600, bytes);

	if (!e)
		return 0;
	return zk_fail_errno(err, ZK_E_ZB_DEBUG_FILE, e, "cannot write '%s'", path);
}

int zk_zb_dfile_open(struct zk_zb_dfile *f, zk_str twin, bool *other,
                     struct zk_error *err)
{
	int r = make_dirs(f, err);

	*other = false;
	if (r == 0)
		r = open_empty(f, err);
	if (r == 0 && !f->own) {
		f->own = zk_asprintf("%s-%ld", f->base, (long)getpid());
		set_path(f);
		*other = true;
		r = open_empty(f, err);
	}
	if (r == 0) {
		errno = EWOULDBLOCK;
		r = fail(f, "lock", err);
	}
	if (r > 0)
		r = f->twin ? write_twin(f, twin, err) : 0;
	if (r < 0)
		close_now(f);
	return r;
}

/* ---- writing ---- */

static int write_all(struct zk_zb_dfile *f, zk_str s, struct zk_error *err)
{
	errno = zk_write_all(f->fd, s);
	return errno ? fail(f, "write", err) : 0;
}

int zk_zb_dfile_flush(struct zk_zb_dfile *f, struct zk_error *err)
{
	int r = 0;

	if (f->fd >= 0 && f->buf.n)
		r = write_all(f, zk_buf_str(&f->buf), err);
	zk_buf_clear(&f->buf);
	return r;
}

int zk_zb_dfile_put(struct zk_zb_dfile *f, zk_str bytes, struct zk_error *err)
{
	f->size += bytes.n;
	if (f->buf.n + bytes.n > BUFFER_BYTES && zk_zb_dfile_flush(f, err) < 0)
		return -(int)err->code;
	if (bytes.n >= BUFFER_BYTES)
		return write_all(f, bytes, err);
	zk_buf_add(&f->buf, bytes);
	return 0;
}
