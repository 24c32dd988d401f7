/* Dead letters.
 * Layer: jetstream. */
#include "jetstream/dead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define ROTATE_BYTES (100u << 20)
#define BYTES_MAX    (48u << 20)

struct zk_jet_dead_file {
	char *path;
	int fd;
	uint64_t size;
	bool dirty;
};

struct zk_jet_dead_file *zk_jet_dead_new(const char *dir)
{
	struct zk_jet_dead_file *d = zk_new0(struct zk_jet_dead_file);

	d->path = zk_asprintf("%s/dead.ndjson", dir);
	d->fd = -1;
	return d;
}

void zk_jet_dead_free(struct zk_jet_dead_file *d)
{
	struct zk_error ignored;

	if (!d)
		return;
	ZK_IGNORE(zk_jet_dead_sync(d, &ignored) <
	          0); /* the position has not passed them */
	if (d->fd >= 0)
		(void)close(d->fd);
	free(d->path);
	free(d);
}

static int fail(const struct zk_jet_dead_file *d, struct zk_error *err)
{
	int e = errno;

	return zk_fail_errno(err,
	                     e == ENOSPC || e == EDQUOT ? ZK_E_STORE_FULL : ZK_E_STORE, e,
	                     "cannot write '%s'", d->path);
}

static int open_it(struct zk_jet_dead_file *d, struct zk_error *err)
{
	struct stat st;

	if (d->fd >= 0 && d->size >= ROTATE_BYTES) {
		char *old = zk_asprintf("%s.1", d->path);
		int r = zk_jet_dead_sync(d, err);

		if (r == 0 && rename(d->path, old) < 0)
			r = fail(d, err);
		free(old);
		if (r < 0)
			return r;
		(void)close(d->fd); /* synced */
		d->fd = -1;
	}
	if (d->fd >= 0)
		return 0;
	d->fd = open(d->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (d->fd < 0 || fstat(d->fd, &st) < 0)
		return fail(d, err);
	d->size = (uint64_t)st.st_size;
	return 0;
}

int zk_jet_dead_put(struct zk_jet_dead_file *d, const struct zk_jet_dead_letter *l,
                    struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init(&b, BYTES_MAX);
	if (open_it(d, err) < 0)
		return -(int)err->code;
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "at");
	zk_jw_time(&w, zk_wall_us());
	zk_jw_key(&w, "reason");
	zk_jw_cstr(&w, zk_jet_dead_name(l->why));
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, l->source);
	zk_jw_key(&w, "cursor");
	if (l->cursor)
		zk_jw_u64(&w, l->cursor);
	else
		zk_jw_null(&w);
	zk_buf_lit(&b, ",\"bytes_base64\":\"");
	zk_buf_base64(&b, l->bytes, /* url */ false, /* pad */ true);
	zk_buf_lit(&b, "\"}\n");
	if (zk_buf_check(&b, err) < 0)
		return -(int)err->code;
	errno = zk_write_all(d->fd, zk_buf_str(&b));
	if (errno)
		return fail(d, err);
	d->size += b.n;
	d->dirty = true;
	return 0;
}

int zk_jet_dead_sync(struct zk_jet_dead_file *d, struct zk_error *err)
{
	if (d->dirty && fdatasync(d->fd) < 0)
		return fail(d, err);
	d->dirty = false;
	return 0;
}
