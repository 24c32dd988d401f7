/* Sealing and packing of store files.
 * Layer: jetstream; any thread, blocks. specs/jetstream.md §14.4. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/pack.h"
#include "codec/press.h"
#include "jetstream/store_int.h"

#include "base/ban.h"

#define CHUNK    (1u << 20)
#define IN_STEP  4096
#define OUT_MAX  (64u << 20)
#define FILE_MAX (SIZE_MAX / 2)
#define ZIP_MAX  UINT32_MAX

/* ---- sealing ---- */

static int is_sealed(struct zk_db *db, bool *ret, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "SELECT 1 FROM zk_meta WHERE key='sealed'", &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	*ret = r == 1;
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

/* Meta data from the rows themselves, with the indexes in place. */
static int finish(struct zk_db *db, struct zk_error *err)
{
	char now[ZK_RFC3339_MAX + 1];
	struct zk_stmt *st;
	int r;

	r = zk_db_exec(
	        db,
	        "BEGIN;"
	        "CREATE INDEX IF NOT EXISTS idx_records_at_uri ON records(at_uri);"
	        "CREATE INDEX IF NOT EXISTS idx_records_did ON records(did);"
	        "CREATE INDEX IF NOT EXISTS idx_records_time_us ON records(time_us);"
	        "CREATE INDEX IF NOT EXISTS idx_records_created_at ON "
	        "records(created_at);"
	        "INSERT OR REPLACE INTO zk_meta SELECT 'rows', count(*) FROM records;"
	        "INSERT OR REPLACE INTO zk_meta SELECT 'first_us', min(time_us) FROM "
	        "records "
	        "WHERE time_us > 0;"
	        "INSERT OR REPLACE INTO zk_meta SELECT 'last_us', max(time_us) FROM "
	        "records;",
	        err);
	if (r < 0)
		return r;
	r = zk_db_prepare(db, "INSERT OR REPLACE INTO zk_meta VALUES('sealed',?)", &st,
	                  err);
	if (r == 0) {
		zk_bind_text(st, 1, zk_str_n(now, zk_format_rfc3339(zk_wall_us(), now)));
		r = zk_stmt_run(st, err);
		zk_stmt_free(st);
	}
	if (r == 0)
		r = zk_db_exec(db, "COMMIT", err);
	if (r < 0)
		zk_db_rollback(db);
	return r;
}

/* Made for a switch that a crash cut off, before it became the live file: nothing is in it. */
static int is_empty(struct zk_db *db, bool *ret, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db,
	                  "SELECT count(*) FROM sqlite_master WHERE name IN "
	                  "('records','zk_meta')",
	                  &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	*ret = r == 1 && zk_col_i64(st, 0) < 2;
	zk_stmt_free(st);
	if (r < 0 || *ret)
		return r < 0 ? r : 0;
	if (zk_db_prepare(db, "SELECT 1 FROM records LIMIT 1", &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	*ret = r == 0;
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static void remove_all(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(suffixes); i++) {
		char *p = zk_asprintf("%s%s", path, suffixes[i]);

		(void)unlink(p); /* some are not there */
		free(p);
	}
}

static int sync_file(const char *path, struct zk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd) < 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot sync '%s'", path);
	if (fd >= 0)
		(void)close(fd); /* only read */
	return r;
}

int zk_jet_seal(const char *dir, const char *name, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	struct zk_db_conf conf = { .path = path, .busy_ms = 5000, .cache_kib = 16384 };
	struct zk_db *db = NULL;
	bool sealed = false, busy = false, empty = false;
	int pages, moved, r;

	r = zk_db_open(&conf, &db, err);
	if (r == 0)
		r = is_empty(db, &empty, err);
	if (r == 0 && empty) {
		zk_db_close(db);
		remove_all(path);
		free(path);
		return 1;
	}
	if (r == 0)
		r = is_sealed(db, &sealed, err);
	if (r == 0 && !sealed)
		r = finish(db, err);
	if (r == 0)
		r = zk_db_checkpoint(db, ZK_CHECKPOINT_TRUNCATE, &pages, &moved, &busy,
		                     err);
	if (r == 0 && busy)
		r = zk_fail(err, ZK_E_STORE_LOCKED, "somebody reads '%s'", path);
	if (r == 0)
		r = zk_db_exec(db, "PRAGMA journal_mode=DELETE", err);
	zk_db_close(db);
	if (r == 0)
		r = sync_file(path, err);
	if (r == 0 && zk_sync_dir(dir) != 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot sync '%s'", dir);
	free(path);
	return r;
}

/* ---- packing ---- */

struct copy {
	int in, out;
	struct zk_buf buf;
	uint64_t read, written;
	uint32_t crc;
};

static int flush(struct copy *c, struct zk_error *err)
{
	int e = zk_write_all(c->out, zk_buf_str(&c->buf));

	if (e)
		return zk_fail_errno(
		        err, e == ENOSPC || e == EDQUOT ? ZK_E_STORE_FULL : ZK_E_STORE, e,
		        "cannot write a packed file");
	c->written += c->buf.n;
	zk_buf_clear(&c->buf);
	return 0;
}

static int pack_all(struct copy *c, struct zk_pack *p, struct zk_error *err)
{
	char *chunk = zk_alloc(CHUNK);
	ssize_t n;
	int r = 0;

	do {
		n = read(c->in, chunk, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = zk_fail_errno(err, ZK_E_STORE, errno,
			                  "cannot read a sealed file");
			break;
		}
		c->read += (size_t)n;
		c->crc = zk_crc32(c->crc, zk_str_n(chunk, (size_t)n));
		r = zk_pack_put(p, zk_str_n(chunk, (size_t)n), n == 0, &c->buf, err);
		if (r == 0)
			r = flush(c, err);
	} while (r == 0 && n != 0);
	free(chunk);
	return r;
}

static void put16(struct zk_buf *b, unsigned v)
{
	zk_buf_char(b, (char)(v & 255));
	zk_buf_char(b, (char)(v >> 8 & 255));
}

static void put32(struct zk_buf *b, uint64_t v)
{
	put16(b, v & 0xffff);
	put16(b, v >> 16 & 0xffff);
}

/* The fields that the head of a ZIP member and its entry in the directory share. */
static void put_zip_fields(struct zk_buf *b, const struct copy *c, uint64_t packed,
                           const char *name)
{
	put16(b, 20); /* version needed */
	put16(b, 0);
	put16(b, 8); /* deflate */
	put16(b, 0); /* 1980-01-01: the name tells the time */
	put16(b, 0x21);
	put32(b, c->crc);
	put32(b, packed);
	put32(b, c->read);
	put16(b, (unsigned)strlen(name));
	put16(b, 0);
}

static size_t zip_head(struct zk_buf *b, const struct copy *c, uint64_t packed,
                       const char *name)
{
	put32(b, 0x04034b50);
	put_zip_fields(b, c, packed, name);
	zk_buf_cstr(b, name);
	return b->n;
}

/* The directory behind the member, then the head again, now with its numbers. */
static int zip_end(struct copy *c, uint64_t head, const char *name, struct zk_error *err)
{
	uint64_t packed = c->written - head, at = c->written;
	struct zk_buf *b = &c->buf;
	size_t dir;

	if (c->read > ZIP_MAX || c->written > ZIP_MAX - 1024)
		return zk_fail(err, ZK_E_LIMIT,
		               "the file is too large for a ZIP without ZIP64");
	put32(b, 0x02014b50);
	put16(b, 20);
	put_zip_fields(b, c, packed, name);
	put16(b, 0);
	put16(b, 0);
	put16(b, 0);
	put32(b, 0);
	put32(b, 0);
	zk_buf_cstr(b, name);
	dir = b->n;
	put32(b, 0x06054b50);
	put32(b, 0);
	put16(b, 1);
	put16(b, 1);
	put32(b, dir);
	put32(b, at);
	put16(b, 0);
	if (flush(c, err) < 0)
		return -(int)err->code;
	(void)zip_head(b, c, packed, name);
	if (pwrite(c->out, b->p, b->n, 0) != (ssize_t)b->n)
		return zk_fail_errno(err, ZK_E_STORE, errno,
		                     "cannot write a packed file");
	return 0;
}

static int pack_into(struct copy *c, enum zk_jet_compress how, const char *name,
                     struct zk_error *err)
{
	static const enum zk_pack_kind kinds[] = { [ZK_JET_ZSTD] = ZK_PACK_ZSTD,
		                                   [ZK_JET_ZIP] = ZK_PACK_RAW_DEFLATE,
		                                   [ZK_JET_GZIP] = ZK_PACK_GZIP };
	struct zk_pack *p = NULL;
	uint64_t head = 0;
	int r = zk_pack_new(kinds[how], how == ZK_JET_ZSTD ? 3 : 0, &p, err);

	if (r == 0 && how == ZK_JET_ZIP) {
		head = zip_head(&c->buf, c, 0, name);
		r = flush(c, err);
	}
	if (r == 0)
		r = pack_all(c, p, err);
	if (r == 0 && how == ZK_JET_ZIP)
		r = zip_end(c, head, name, err);
	if (r == 0 && fsync(c->out) < 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot sync a packed file");
	zk_pack_free(p);
	return r;
}

int zk_jet_pack(const char *dir, const char *name, enum zk_jet_compress how, bool keep,
                struct zk_error *err)
{
	char *plain = zk_asprintf("%s/%s", dir, name);
	char *to = zk_asprintf("%s/%s%s", dir, name, zk_jet_suffixes[how]);
	char *tmp = zk_asprintf("%s.tmp", to);
	struct copy c = { .in = open(plain, O_RDONLY | O_CLOEXEC),
		          .out = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		                      0600) };
	int r;

	zk_buf_init(&c.buf, OUT_MAX);
	if (c.in < 0 || c.out < 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot pack '%s'", plain);
	else
		r = pack_into(&c, how, name, err);
	if (r == 0 && (rename(tmp, to) < 0 || zk_sync_dir(dir) != 0))
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot rename '%s'", tmp);
	if (r == 0 && !keep && unlink(plain) < 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot remove '%s'", plain);
	if (r < 0)
		(void)unlink(tmp); /* there may be none */
	if (c.in >= 0)
		(void)close(c.in); /* only read */
	if (c.out >= 0)
		(void)close(c.out); /* synced, or reported */
	zk_buf_done(&c.buf);
	free(plain);
	free(to);
	free(tmp);
	return r;
}

/* ---- unpacking ---- */

/* Skips the head of a ZIP with one member; its packed size, or 0. */
static uint64_t skip_zip(int fd)
{
	unsigned char h[30];
	uint64_t packed;

	if (pread(fd, h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    memcmp(h, "PK\3\4", 4) != 0 || h[8] != 8)
		return 0;
	packed = (uint64_t)h[18] | (uint64_t)h[19] << 8 | (uint64_t)h[20] << 16 |
	         (uint64_t)h[21] << 24;
	if (lseek(fd, 30 + (h[26] | h[27] << 8) + (h[28] | h[29] << 8), SEEK_SET) < 0)
		return 0;
	return packed;
}

static int unpack_all(struct copy *c, struct zk_unpress *u, uint64_t left,
                      struct zk_error *err)
{
	char chunk[IN_STEP];

	while (left) {
		ssize_t n = read(c->in, chunk, ZK_MIN(left, (uint64_t)sizeof(chunk)));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read a packed file");
		if (n == 0)
			break;
		left -= (size_t)n;
		if (zk_unpress_put(u, zk_str_n(chunk, (size_t)n), &c->buf, err) < 0 ||
		    flush(c, err) < 0)
			return -(int)err->code;
	}
	return zk_unpress_end(u, err);
}

int zk_jet_unpack(const char *path, const char *to, struct zk_error *err)
{
	zk_str s = zk_str_of(path);
	enum zk_press kind = zk_str_ends(s, ZK_STR(".zst"))  ? ZK_PRESS_ZSTD
	                     : zk_str_ends(s, ZK_STR(".gz")) ? ZK_PRESS_GZIP
	                                                     : ZK_PRESS_DEFLATE;
	struct copy c = { .in = open(path, O_RDONLY | O_CLOEXEC),
		          .out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		                      0600) };
	struct zk_unpress *u = NULL;
	uint64_t left = UINT64_MAX;
	int r = 0;

	zk_buf_init(&c.buf, OUT_MAX);
	if (c.in < 0 || c.out < 0)
		r = zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot unpack '%s'", path);
	if (r == 0 && kind == ZK_PRESS_DEFLATE && (left = skip_zip(c.in)) == 0)
		r = zk_fail(err, ZK_E_DATA, "'%s' is no ZIP file of this program", path);
	if (r == 0)
		r = zk_unpress_new(kind, NULL, FILE_MAX, &u, err);
	if (r == 0)
		r = unpack_all(&c, u, left, err);
	zk_unpress_free(u);
	if (c.in >= 0)
		(void)close(c.in); /* only read */
	if (c.out >= 0)
		(void)close(c.out); /* a temporary file */
	zk_buf_done(&c.buf);
	return r;
}
