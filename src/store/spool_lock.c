/* Who may send: owners of records and locks of targets, both bytes of one lock file.
 * Layer: store.
 *
 * The locks are those of an open file description (fcntl F_OFD_*): the kernel ends them with the
 * process, however it ends, and two handles of one process are two parties. An owner holds the
 * byte of its number, the holder of a target's lock a byte that the hash of the target's text
 * names; the file has no content. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "store/spool_int.h"

#include "base/ban.h"

/* Owner numbers are below, targets from here on. */
#define TARGET_BYTES ((off_t)1 << 40)
#define RELEASE_STEP 5000

struct zk_spool_lock {
	int fd;
};

int zk_spool_lock_open(const char *path, int *ret_fd, struct zk_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

static bool lock_byte(int fd, off_t at, short type)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

/* ---- owners ---------------------------------------------------------------------------- */

bool zk_spool_owner_alive(const struct zk_spool *sp, int64_t owner)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1
	};

	if (owner == sp->owner)
		return true;
	/* When it cannot be known, better wait than send twice. */
	return fcntl(sp->lock_fd, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

/* The number is locked before anybody can see it: the row is committed afterwards. */
static int add_owner(struct zk_spool *sp, int64_t *ret, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_OWNER_ADD, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, (int64_t)getpid());
	zk_bind_i64(st, 2, zk_wall_us());
	int r = zk_stmt_run(st, err);

	if (r < 0)
		return r;
	*ret = zk_db_last_rowid(sp->db);
	if (!lock_byte(sp->lock_fd, *ret, F_WRLCK))
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot lock '%s'",
		                     sp->lock_path);
	return 0;
}

int zk_spool_own(struct zk_spool *sp, struct zk_error *err)
{
	int64_t owner = 0;

	if (sp->owner)
		return 0;
	int r = zk_spool_enter(sp, /* durable */ false, err);

	if (r < 0)
		return r;
	r = zk_spool_leave(sp, add_owner(sp, &owner, err), err);
	if (r == 0)
		sp->owner = owner;
	else if (owner)
		(void)lock_byte(sp->lock_fd, owner, F_UNLCK);
	return r;
}

static int delete_owner(struct zk_spool *sp, int64_t owner, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_OWNER_DEL, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, owner);
	return zk_stmt_run(st, err);
}

/* One step of giving up an owner's records; the last one removes the owner. 1 = there is more. */
static int release_step(struct zk_spool *sp, int64_t owner, struct zk_error *err)
{
	int r = zk_spool_enter(sp, /* durable */ false, err);

	if (r < 0)
		return r;
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_RELEASE_SLOT, err);
	bool more = false;

	r = st ? 0 : -(int)err->code;
	if (st) {
		zk_bind_i64(st, 1, owner);
		zk_bind_i64(st, 2, RELEASE_STEP);
		r = zk_stmt_run(st, err);
	}
	more = r == 0 && zk_db_changes(sp->db) == RELEASE_STEP;
	if (r == 0 && !more)
		r = delete_owner(sp, owner, err);
	r = zk_spool_leave(sp, r, err);
	return r < 0 ? r : more;
}

static int release(struct zk_spool *sp, int64_t owner, struct zk_error *err)
{
	int r;

	do
		r = release_step(sp, owner, err);
	while (r > 0);
	return r;
}

int zk_spool_disown(struct zk_spool *sp, struct zk_error *err)
{
	int r = release(sp, sp->owner, err);

	(void)lock_byte(sp->lock_fd, sp->owner, F_UNLCK);
	sp->owner = 0;
	return r;
}

/* The first owner above `after`; 0 = none. */
static int next_owner(struct zk_spool *sp, int64_t after, int64_t *ret,
                      struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_OWNERS, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, after);
	int r = zk_stmt_step(st, err);

	if (r < 0)
		return r;
	*ret = r > 0 ? zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return 0;
}

int zk_spool_reclaim(struct zk_spool *sp, struct zk_error *err)
{
	int64_t owner = 0;

	for (;;) {
		int r = next_owner(sp, owner, &owner, err);

		if (r < 0 || !owner)
			return r;
		if (zk_spool_owner_alive(sp, owner))
			continue;
		r = release(sp, owner, err);
		if (r < 0)
			return r;
	}
}

/* ---- locks of targets ------------------------------------------------------------------ */

static off_t byte_of(const struct zk_spool_target *t)
{
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_sha256 sha;
	uint64_t at = 0;

	zk_sha256_init(&sha);
	zk_sha256_put(&sha, t->kind.p, t->kind.n);
	zk_sha256_put(&sha, ":", 1);
	zk_sha256_put(&sha, t->dest.p, t->dest.n);
	zk_sha256_end(&sha, digest);
	for (size_t i = 0; i < 8; i++)
		at = at << 8 | digest[i];
	return TARGET_BYTES + (off_t)(at >> 2);
}

int zk_spool_lock(struct zk_spool *sp, const struct zk_spool_target *target,
                  struct zk_spool_lock **ret, struct zk_error *err)
{
	int fd = -1;
	int r = zk_spool_target_check(target, err);

	if (r == 0)
		r = zk_spool_lock_open(sp->lock_path, &fd, err);
	if (r < 0)
		return r;
	if (!lock_byte(fd, byte_of(target), F_WRLCK)) {
		r = errno == EAGAIN || errno == EACCES
		            ? zk_fail(err, ZK_E_STORE_LOCKED,
		                      "another process is sending what the spool holds "
		                      "for '%.*s:%.*s'",
		                      ZK_STR_ARG(target->kind), ZK_STR_ARG(target->dest))
		            : zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot lock '%s'",
		                            sp->lock_path);
		err->retryable = err->code == ZK_E_STORE_LOCKED;
	} else {
		r = zk_spool_reclaim(sp, err);
	}
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret = zk_new0(struct zk_spool_lock);
	(*ret)->fd = fd;
	return 0;
}

void zk_spool_unlock(struct zk_spool_lock *lock)
{
	if (!lock)
		return;
	(void)close(lock->fd);
	free(lock);
}
