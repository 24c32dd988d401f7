/* A layer under SQLite that writes the frames of a commit in one piece.
 * Layer: store.
 *
 * SQLite appends to the write-ahead log with two calls per page, 24 bytes of header and the page.
 * A small commit touches some ten pages, so most of what it costs beside the flush is system
 * calls. Here the pieces gather in a buffer that goes out when the log is flushed, read, cut or
 * measured, when the next piece does not follow the last one, and with the last page of a commit.
 *
 * A frame's header says whether it is the last of its commit (the size of the database stands
 * there), and SQLite tells other connections of new frames only after that one was written: nobody
 * can miss bytes that are still in the buffer, and a write that fails fails inside the commit.
 * What was written before is not gathered when it is written again (SQLite mends the checksums of
 * frames that left the cache early): no page follows there that would push it out. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

#include "base/ban.h"

/* Below the 128 KiB at which SQLite's own unix layer would cut a write. */
#define GATHER_BYTES (112u << 10)
#define FRAME_HEAD   24

struct gather {
	sqlite3_file base; /* must be first */
	sqlite3_file *real;
	char *p;
	size_t n;
	sqlite3_int64 at;   /* where p[0] belongs */
	sqlite3_int64 high; /* behind what was written since the log began */
	bool last;          /* the page that comes next ends a commit */
};

static sqlite3_vfs *below;
static sqlite3_vfs vfs;
static sqlite3_io_methods methods;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct gather *of(sqlite3_file *f)
{
	return (struct gather *)f;
}

static const sqlite3_io_methods *real_methods(sqlite3_file *f)
{
	return of(f)->real->pMethods;
}

static int write_out(sqlite3_file *f)
{
	struct gather *g = of(f);
	size_t n = g->n;

	g->n = 0;
	return n ? g->real->pMethods->xWrite(g->real, g->p, (int)n, g->at) : SQLITE_OK;
}

/* Whether these bytes end a commit, with what was said before. */
static bool is_last(struct gather *g, const unsigned char *p, int n)
{
	bool last = g->last;

	/* Pages are never so small. */
	g->last = n == FRAME_HEAD && (p[4] | p[5] | p[6] | p[7]);
	return last;
}

static int on_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct gather *g = of(f);
	bool again, last = is_last(g, p, n);
	int rc = SQLITE_OK;

	if (at == 0)
		g->high = 0; /* the log begins anew */
	again = at < g->high;
	g->high = ZK_MAX(g->high, at + n);
	if (g->n && (again || at != g->at + (sqlite3_int64)g->n ||
	             g->n + (size_t)n > GATHER_BYTES))
		rc = write_out(f);
	if (rc != SQLITE_OK)
		return rc;
	if (again || (size_t)n > GATHER_BYTES)
		return g->real->pMethods->xWrite(g->real, p, n, at);
	if (!g->n)
		g->at = at;
	memcpy(g->p + g->n, p, (size_t)n);
	g->n += (size_t)n;
	return last ? write_out(f) : SQLITE_OK;
}

static int on_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? real_methods(f)->xRead(of(f)->real, p, n, at) : rc;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? real_methods(f)->xTruncate(of(f)->real, size) : rc;
}

static int on_sync(sqlite3_file *f, int flags)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? real_methods(f)->xSync(of(f)->real, flags) : rc;
}

static int on_file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	int rc = write_out(f);

	return rc == SQLITE_OK ? real_methods(f)->xFileSize(of(f)->real, ret) : rc;
}

static int on_close(sqlite3_file *f)
{
	struct gather *g = of(f);
	int rc = write_out(f), rc2 = real_methods(f)->xClose(g->real);

	free(g->p);
	g->p = NULL;
	return rc == SQLITE_OK ? rc2 : rc;
}

static int on_lock(sqlite3_file *f, int level)
{
	return real_methods(f)->xLock(of(f)->real, level);
}

static int on_unlock(sqlite3_file *f, int level)
{
	return real_methods(f)->xUnlock(of(f)->real, level);
}

static int on_check_lock(sqlite3_file *f, int *ret)
{
	return real_methods(f)->xCheckReservedLock(of(f)->real, ret);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
	return real_methods(f)->xFileControl(of(f)->real, op, arg);
}

static int on_sector(sqlite3_file *f)
{
	return real_methods(f)->xSectorSize(of(f)->real);
}

static int on_characteristics(sqlite3_file *f)
{
	return real_methods(f)->xDeviceCharacteristics(of(f)->real);
}

/* Only the log is wrapped; every other file is opened as ever. */
static int on_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags,
                   int *out)
{
	struct gather *g = of(f);
	int rc;

	(void)v;
	if (!(flags & SQLITE_OPEN_WAL))
		return below->xOpen(below, name, f, flags, out);
	memset(g, 0, sizeof(*g));
	g->real = (sqlite3_file *)(void *)(g + 1);
	rc = below->xOpen(below, name, g->real, flags, out);
	if (rc != SQLITE_OK)
		return rc;
	g->p = zk_alloc(GATHER_BYTES);
	g->base.pMethods = &methods;
	return SQLITE_OK;
}

static void make_vfs(void)
{
	below = sqlite3_vfs_find(NULL);
	if (!below)
		return;
	methods = (sqlite3_io_methods){
		.iVersion = 1,
		.xClose = on_close,
		.xRead = on_read,
		.xWrite = on_write,
		.xTruncate = on_truncate,
		.xSync = on_sync,
		.xFileSize = on_file_size,
		.xLock = on_lock,
		.xUnlock = on_unlock,
		.xCheckReservedLock = on_check_lock,
		.xFileControl = on_control,
		.xSectorSize = on_sector,
		.xDeviceCharacteristics = on_characteristics,
	};
	vfs = *below;
	vfs.zName = "zk-gather";
	vfs.pNext = NULL;
	vfs.szOsFile = below->szOsFile + (int)sizeof(struct gather);
	vfs.xOpen = on_open;
	if (sqlite3_vfs_register(&vfs, /* default */ 0) != SQLITE_OK)
		vfs.zName = NULL;
}

const char *zk_db_gather_vfs(void)
{
	(void)pthread_once(&once, make_vfs);
	return vfs.zName;
}
