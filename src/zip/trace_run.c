/* What is known of a run of `zk trace push` from a file.
 * Layer: zip. specs/zeal-zip.md §6.6. */
#include "zip/trace_run.h"

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
#include "base/file.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

/* "zk-trace-run 1 00000000000000000042\n", then one line of JSON. */
#define MAGIC    "zk-trace-run 1 "
#define DIGITS   20
#define MAX_FILE 65536
#define PREFIX   "trace-"
#define SUFFIX   ".run"

struct zk_zip_run {
	int fd;
	char *path;
	struct zk_zip_run_head head;
	char *texts[6];
	uint64_t seq;
};

static void run_free(struct zk_zip_run *r)
{
	if (r->fd >= 0)
		(void)close(r->fd); /* the lock goes with it */
	free(r->path);
	for (size_t i = 0; i < ZK_ARRAY_LEN(r->texts); i++)
		free(r->texts[i]);
	free(r);
}

static void set_head(struct zk_zip_run *r, char *const texts[6], bool completes)
{
	memcpy(r->texts, texts, sizeof(r->texts));
	r->head = (struct zk_zip_run_head){ .base = texts[0],
		                            .session = texts[1],
		                            .workflow = texts[2],
		                            .mark = texts[3],
		                            .source = texts[4],
		                            .options = texts[5],
		                            .completes = completes };
}

static void format(const struct zk_zip_run_head *h, uint64_t seq, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_buf_printf(b, MAGIC "%020llu\n", (unsigned long long)seq);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "base");
	zk_jw_cstr(&w, h->base);
	zk_jw_key(&w, "session");
	zk_jw_cstr(&w, h->session);
	zk_jw_key(&w, "workflow");
	zk_jw_cstr(&w, h->workflow);
	zk_jw_key(&w, "mark");
	zk_jw_cstr(&w, h->mark);
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, h->source);
	zk_jw_key(&w, "options");
	zk_jw_cstr(&w, h->options);
	zk_jw_key(&w, "completes");
	zk_jw_bool(&w, h->completes);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}

int zk_zip_run_new(const char *dir, const struct zk_zip_run_head *head,
                   struct zk_zip_run **ret, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_run *r = zk_new0(struct zk_zip_run);
	ZK_CLEANUP(zk_freep)
	char *part = zk_asprintf("%s/." PREFIX "%s", dir, head->mark);

	zk_buf_init(&b, MAX_FILE);
	format(head, 0, &b);
	r->path = zk_asprintf("%s/" PREFIX "%s" SUFFIX, dir, head->mark);
	char *texts[6] = { zk_strdup(head->base),     zk_strdup(head->session),
		           zk_strdup(head->workflow), zk_strdup(head->mark),
		           zk_strdup(head->source),   zk_strdup(head->options) };

	set_head(r, texts, head->completes);
	r->fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* Locked before it has its name: nobody finds it without an owner. */
	if (b.failed || r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) < 0 ||
	    (errno = zk_write_all(r->fd, zk_buf_str(&b))) != 0 ||
	    rename(part, r->path) < 0) {
		(void)zk_fail_errno(err, ZK_E_CREATE, b.failed ? ENAMETOOLONG : errno,
		                    "cannot write '%s'", r->path);
		(void)unlink(part);
		run_free(r);
		return -(int)err->code;
	}
	*ret = r;
	return 0;
}

int zk_zip_run_save(struct zk_zip_run *r, uint64_t seq, struct zk_error *err)
{
	char text[DIGITS + 1];

	if (seq <= r->seq)
		return 0;
	(void)snprintf(text, sizeof(text), "%020llu", (unsigned long long)seq);
	/* Within one block: a process that is killed has written all of it or nothing. */
	if (pwrite(r->fd, text, DIGITS, sizeof(MAGIC) - 1) != DIGITS)
		return zk_fail_errno(err, ZK_E_OUTPUT, errno, "cannot write '%s'",
		                     r->path);
	r->seq = seq;
	return 0;
}

void zk_zip_run_drop(struct zk_zip_run *r)
{
	(void)unlink(r->path); /* what stays of it says that all is done */
	run_free(r);
}

void zk_zip_run_close(struct zk_zip_run *r)
{
	if (r)
		run_free(r);
}

const struct zk_zip_run_head *zk_zip_run_head(const struct zk_zip_run *r)
{
	return &r->head;
}

uint64_t zk_zip_run_seq(const struct zk_zip_run *r)
{
	return r->seq;
}

/* ---- finding ---------------------------------------------------------------------------------- */

bool zk_zip_run_parse(zk_str text, struct zk_zip_run_text *ret)
{
	zk_str magic = ZK_STR(MAGIC), line, rest;
	struct zk_error ignored;
	struct zk_jscan js;
	uint64_t seq;

	rest = zk_str_cut(text, '\n', &line);
	if (!zk_str_starts(line, magic) || line.n != magic.n + DIGITS)
		return false;
	if (zk_parse_u64(zk_str_from(line, magic.n), &seq, &ignored) < 0)
		return false;
	if (zk_jscan(rest, 8, NULL, 0, &js) < 0 || js.top.type != ZK_J_OBJECT)
		return false;
	*ret = (struct zk_zip_run_text){ .seq = seq, .json = js.top.raw };
	return true;
}

static char *member(zk_str json, const char *name)
{
	struct zk_error ignored;
	struct zk_jval v;
	struct zk_buf b;

	if (!zk_jscan_get(json, zk_str_of(name), &v) || v.type != ZK_J_STRING)
		return NULL;
	zk_buf_init(&b, MAX_FILE);
	if (zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &b, &ignored) < 0) {
		zk_buf_done(&b);
		return NULL;
	}
	return b.n ? zk_buf_take(&b) : zk_strdup("");
}

/* Reads and locks one; NULL when it is held, or is none. */
static struct zk_zip_run *open_run(const char *path)
{
	static const char *const names[6] = { "base", "session", "workflow",
		                              "mark", "source",  "options" };
	struct zk_zip_run *r = zk_new0(struct zk_zip_run);
	struct zk_zip_run_text t;
	char text[MAX_FILE], *texts[6];
	struct zk_jval v;
	bool whole = true;

	r->path = zk_strdup(path);
	r->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) < 0
	                    ? -1
	                    : pread(r->fd, text, sizeof(text), 0);

	if (n <= 0 || access(path, F_OK) < 0 ||
	    !zk_zip_run_parse(zk_str_n(text, (size_t)n), &t)) {
		run_free(r);
		return NULL;
	}
	for (size_t i = 0; i < 6; i++) {
		texts[i] = member(t.json, names[i]);
		whole = whole && texts[i];
	}
	set_head(r, texts,
	         zk_jscan_get(t.json, ZK_STR("completes"), &v) &&
	                 zk_str_eq(v.raw, ZK_STR("true")));
	r->seq = t.seq;
	if (whole)
		return r;
	run_free(r);
	return NULL;
}

static bool fits(const struct zk_zip_run *r, const char *base, const char *source)
{
	return strcmp(r->head.base, base) == 0 &&
	       (!source || strcmp(r->head.source, source) == 0);
}

/* Oldest first: by time of change, then by name. */
struct found {
	char *path;
	struct timespec at;
};

static int by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
	if (x->at.tv_nsec != y->at.tv_nsec)
		return x->at.tv_nsec < y->at.tv_nsec ? -1 : 1;
	return strcmp(x->path, y->path);
}

static size_t list(const char *dir, struct found **ret)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	*ret = NULL;
	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		zk_str name = zk_str_of(e->d_name);
		struct stat st;

		if (!zk_str_starts(name, ZK_STR(PREFIX)) ||
		    !zk_str_ends(name, ZK_STR(SUFFIX)))
			continue;
		*ret = zk_realloc(*ret, (n + 1) * sizeof(**ret));
		(*ret)[n].path = zk_asprintf("%s/%s", dir, e->d_name);
		if (stat((*ret)[n].path, &st) < 0) {
			free((*ret)[n].path);
			continue;
		}
		(*ret)[n++].at = st.st_mtim;
	}
	if (d)
		(void)closedir(d);
	if (n)
		qsort(*ret, n, sizeof(**ret), by_age);
	return n;
}

bool zk_zip_run_find(const char *dir, const char *base, const char *source,
                     struct zk_zip_run **ret)
{
	struct found *v;
	size_t n = list(dir, &v);
	struct zk_zip_run *run = NULL;

	for (size_t i = 0; i < n; i++) {
		struct zk_zip_run *r = run ? NULL : open_run(v[i].path);

		free(v[i].path);
		if (r && fits(r, base, source))
			run = r;
		else
			zk_zip_run_close(r);
	}
	free(v);
	if (run)
		*ret = run;
	return run != NULL;
}
