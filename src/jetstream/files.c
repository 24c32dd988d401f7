/* The files of a store.
 * Layer: jetstream. */
#include "jetstream/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/ban.h"

#define PREFIX "jetstream_"

static bool digits(zk_str s, size_t n, unsigned *ret)
{
	struct zk_error ignored;
	uint64_t v;

	if (s.n < n || zk_parse_u64(zk_str_n(s.p, n), &v, &ignored) < 0)
		return false;
	*ret = (unsigned)v;
	return true;
}

/* "jetstream_YYYYmmdd_HHMMSS[_N].db[SUFFIX]". */
static bool parse_name(const char *text, struct zk_jet_file *f, const char **suffix)
{
	zk_str s = zk_str_of(text);
	unsigned d[6];
	static const size_t at[] = { 0, 4, 6, 9, 11, 13 }, len[] = { 4, 2, 2, 2, 2, 2 };
	struct tm tm = { 0 };
	const char *db;

	memset(f, 0, sizeof(*f));
	if (!zk_str_starts(s, ZK_STR(PREFIX)))
		return false;
	s = zk_str_from(s, sizeof(PREFIX) - 1);
	for (size_t i = 0; i < ZK_ARRAY_LEN(d); i++)
		if (!digits(zk_str_from(s, at[i]), len[i], &d[i]))
			return false;
	if (s.p[8] != '_')
		return false;
	tm.tm_year = (int)d[0] - 1900;
	tm.tm_mon = (int)d[1] - 1;
	tm.tm_mday = (int)d[2];
	tm.tm_hour = (int)d[3];
	tm.tm_min = (int)d[4];
	tm.tm_sec = (int)d[5];
	f->created_s = timegm(&tm);
	f->nth = 1;
	s = zk_str_from(s, 15);
	db = strstr(s.p, ".db");
	if (!db)
		return false;
	if (s.p[0] == '_' && !digits(zk_str_from(s, 1), (size_t)(db - s.p) - 1, &f->nth))
		return false;
	if (s.p[0] != '_' && s.p != db)
		return false;
	*suffix = db + 3;
	if ((size_t)(db + 3 - text) >= sizeof(f->name))
		return false;
	memcpy(f->name, text, (size_t)(db + 3 - text));
	return true;
}

static int cmp(const void *a, const void *b)
{
	const struct zk_jet_file *x = a, *y = b;

	if (x->created_s != y->created_s)
		return x->created_s < y->created_s ? -1 : 1;
	return (x->nth > y->nth) - (x->nth < y->nth);
}

int zk_jet_name_cmp(const char *a, const char *b)
{
	struct zk_jet_file x, y;
	const char *suffix;

	if (!parse_name(a, &x, &suffix) || !parse_name(b, &y, &suffix))
		return strcmp(a, b);
	return cmp(&x, &y);
}

static struct zk_jet_file *slot(struct zk_jet_files *f, const struct zk_jet_file *like,
                                size_t *room)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, like->name) == 0)
			return &f->v[i];
	if (f->n == *room) {
		*room = *room ? *room * 2 : 32;
		f->v = zk_realloc(f->v, *room * sizeof(*f->v));
	}
	f->v[f->n] = *like;
	return &f->v[f->n++];
}

const char *const zk_jet_suffixes[] = { [ZK_JET_ZSTD] = ".zst",
	                                [ZK_JET_ZIP] = ".zip",
	                                [ZK_JET_GZIP] = ".gz",
	                                [ZK_JET_PLAIN] = "" };

static bool is_packed(const char *suffix)
{
	for (size_t i = 0; i < ZK_JET_PLAIN; i++)
		if (strcmp(suffix, zk_jet_suffixes[i]) == 0)
			return true;
	return false;
}

static void remove_form(const char *dir, const char *name, const char *suffix)
{
	char *path = zk_asprintf("%s/%s%s", dir, name, suffix);

	(void)unlink(path); /* most are not there; otherwise it is tried again */
	free(path);
}

void zk_jet_files_remove(const char *dir, const char *name)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(zk_jet_suffixes); i++)
		remove_form(dir, name, zk_jet_suffixes[i]);
	remove_form(dir, name, "-wal");
	remove_form(dir, name, "-shm");
}

bool zk_jet_name_split(zk_str text, char name[ZK_JET_NAME_MAX], char suffix[8])
{
	char whole[ZK_JET_NAME_MAX + 8];
	struct zk_jet_file f;
	const char *tail;

	if (text.n >= sizeof(whole) || zk_str_find_char(text, '\0') >= 0)
		return false;
	(void)snprintf(whole, sizeof(whole), "%.*s", ZK_STR_ARG(text));
	if (!parse_name(whole, &f, &tail) || (tail[0] && !is_packed(tail)))
		return false;
	memcpy(name, f.name, ZK_JET_NAME_MAX);
	memset(suffix, 0, 8);
	memcpy(suffix, tail, strlen(tail));
	return true;
}

int zk_jet_files_list(const char *dir, struct zk_jet_files *ret, struct zk_error *err)
{
	DIR *d = opendir(dir);
	size_t room = 0;
	char live[ZK_JET_NAME_MAX] = "";
	struct dirent *e;

	*ret = (struct zk_jet_files){ 0 };
	if (!d)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
		                     "cannot read the store '%s'", dir);
	(void)zk_jet_live_read(dir, live);
	while ((e = readdir(d)) != NULL) {
		struct zk_jet_file like, *f;
		const char *suffix;
		struct stat st;

		if (!parse_name(e->d_name, &like, &suffix) ||
		    (suffix[0] && !is_packed(suffix)))
			continue;
		f = slot(ret, &like, &room);
		if (suffix[0])
			memcpy(f->packed, suffix, strlen(suffix) + 1);
		else
			f->plain = true;
		f->live = strcmp(f->name, live) == 0;
		if (fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			f->bytes += (uint64_t)st.st_size;
	}
	(void)closedir(d); /* only read */
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), cmp);
	return 0;
}

void zk_jet_files_done(struct zk_jet_files *f)
{
	free(f->v);
	*f = (struct zk_jet_files){ 0 };
}

const struct zk_jet_file *zk_jet_files_after(const struct zk_jet_files *f,
                                             const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (!name[0] || zk_jet_name_cmp(f->v[i].name, name) > 0)
			return &f->v[i];
	return NULL;
}

const struct zk_jet_file *zk_jet_files_find(const struct zk_jet_files *f,
                                            const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	return NULL;
}

/* A later name than `name`: of the same second when the clock went back since. */
static void move_behind(const char *name, int64_t *created_s, unsigned *nth)
{
	struct zk_jet_file f;
	const char *suffix;

	if (!parse_name(name, &f, &suffix) || f.created_s < *created_s ||
	    (f.created_s == *created_s && f.nth < *nth))
		return;
	*created_s = f.created_s;
	*nth = f.nth + 1;
}

void zk_jet_files_fresh(const struct zk_jet_files *f, const char *dir, int64_t now_s,
                        char ret[ZK_JET_NAME_MAX])
{
	char stamp[32], live[ZK_JET_NAME_MAX];
	unsigned nth = 1;
	struct tm tm;
	time_t t;

	if (zk_jet_live_read(dir, live) == 0)
		move_behind(live, &now_s, &nth);
	for (size_t i = 0; i < f->n; i++)
		move_behind(f->v[i].name, &now_s, &nth);
	t = now_s;
	(void)gmtime_r(&t, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%d_%H%M%S", &tm);
	if (nth == 1)
		(void)snprintf(ret, ZK_JET_NAME_MAX, PREFIX "%s.db", stamp);
	else
		(void)snprintf(ret, ZK_JET_NAME_MAX, PREFIX "%s_%u.db", stamp, nth);
}

int zk_jet_live_read(const char *dir, char ret[ZK_JET_NAME_MAX])
{
	char *path = zk_asprintf("%s/live", dir);
	FILE *f = fopen(path, "re");
	struct zk_jet_file parsed;
	const char *suffix;
	char line[ZK_JET_NAME_MAX] = "";

	free(path);
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	(void)fclose(f); /* only read */
	line[strcspn(line, "\n")] = '\0';
	if (!parse_name(line, &parsed, &suffix) || suffix[0])
		return -1;
	memcpy(ret, line, sizeof(line));
	return 0;
}

int zk_jet_live_write(const char *dir, const char *name, struct zk_error *err)
{
	char *path = zk_asprintf("%s/live", dir), *line = zk_asprintf("%s\n", name);
	int e = zk_file_replace(path, 0600, zk_str_of(line)), r = 0;

	if (e)
		r = zk_fail_errno(err, e == ENOSPC ? ZK_E_STORE_FULL : ZK_E_STORE, e,
		                  "cannot write '%s'", path);
	free(path);
	free(line);
	return r;
}
