/* Signatures of webhooks and the secrets they are made with.
 * Layer: triggers. */
#include "triggers/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/b64.h"
#include "codec/digest.h"

#include "base/ban.h"

#define MIN_SECRET  16u
#define MAX_SECRET  4096u /* of the file */
#define MIN_SIGNING 16u
#define MAX_SIGNING 64u
#define MAX_SIGS    32u /* signatures looked at in one header */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* ---- the server secret ---- */

/* "server.secret" in the folder of the database. */
static char *secret_path(const char *db_path)
{
	const char *slash = strrchr(db_path, '/');
	int n = slash ? (int)(slash - db_path) + 1 : 0;

	return zk_asprintf("%.*sserver.secret", n, db_path);
}

/* A full temporary file that is linked to its name: whoever sees the name sees all of it, and of
 * two processes that make one at the same time both read the same afterwards. */
static int make_file(const char *path, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *temp = zk_asprintf("%s.XXXXXX", path);
	ZK_CLEANUP(close_fd)
	int fd = -1;
	struct zk_buf text;
	uint8_t raw[ZK_TRIG_SECRET];
	int saved;

	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot create '%s'", path);
	zk_rand_secret(raw, sizeof(raw));
	zk_buf_init_secret(&text, /* cap */ 128);
	zk_hex_encode(zk_str_n((const char *)raw, sizeof(raw)), &text);
	zk_buf_char(&text, '\n');
	zk_wipe(raw, sizeof(raw));
	saved = zk_write_all(fd, zk_buf_str(&text));
	if (!saved && fsync(fd) < 0)
		saved = errno;
	zk_buf_done(&text);
	if (!saved && link(temp, path) < 0 && errno != EEXIST)
		saved = errno;
	(void)unlink(temp);
	if (saved)
		return zk_fail_errno(err, ZK_E_CREATE, saved, "cannot create '%s'", path);
	return 0;
}

/* 1 = read, 0 = there is no such file. */
static int read_file(const char *path, struct zk_buf *ret, struct zk_error *err)
{
	ZK_CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t r;
	char *to;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return zk_fail_errno(err, ZK_E_SECRET, errno, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return zk_fail(err, ZK_E_SECRET, "'%s' is not a regular file", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		(void)zk_fail(err, ZK_E_SECRET, "'%s' is readable by others", path);
		return zk_err_hint(err, "chmod 600 %s", path);
	}
	if (st.st_size > (off_t)MAX_SECRET)
		return zk_fail(err, ZK_E_SECRET, "'%s' is larger than %u bytes", path,
		               MAX_SECRET);
	to = zk_buf_reserve(ret, MAX_SECRET);
	if (!to)
		return zk_buf_check(ret, err);
	do {
		r = read(fd, to, MAX_SECRET);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return zk_fail_errno(err, ZK_E_SECRET, errno, "cannot read '%s'", path);
	ret->n += (size_t)r;
	return 1;
}

static int check_length(size_t n, const char *what, struct zk_error *err)
{
	if (n >= MIN_SECRET)
		return 0;
	return zk_fail(err, ZK_E_SECRET, "%s has %zu bytes, at least %u are needed", what,
	               n, MIN_SECRET);
}

int zk_trig_secret_load(zk_str given, const char *db_path, struct zk_buf *ret,
                        struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *path = NULL;
	int r;

	if (given.p) {
		r = check_length(given.n, "the server secret", err);
		if (r < 0)
			return r;
		zk_buf_add(ret, given);
		return zk_buf_check(ret, err);
	}
	path = secret_path(db_path);
	r = read_file(path, ret, err);
	if (r == 0) {
		r = make_file(path, err);
		if (r < 0)
			return r;
		r = read_file(path, ret, err);
	}
	if (r < 0)
		return r;
	if (r == 0)
		return zk_fail(err, ZK_E_SECRET, "'%s' went away", path);
	while (ret->n > 0 && (ret->p[ret->n - 1] == '\n' || ret->p[ret->n - 1] == '\r'))
		ret->n--;
	return check_length(ret->n, path, err);
}

void zk_trig_secret_derive(zk_str server, const char *label, zk_str rest, uint8_t out[32])
{
	struct zk_hmac_key key;
	struct zk_hmac h;

	zk_hmac_key_init(&key, server);
	zk_hmac_init(&h, &key);
	zk_hmac_put(&h, label, strlen(label));
	zk_hmac_put(&h, rest.p, rest.n);
	zk_hmac_end(&h, out);
	zk_hmac_key_done(&key);
}

void zk_trig_secret_of(zk_str server, const zk_uuid *org, int64_t version,
                       uint8_t out[32])
{
	char rest[16 + 20];
	size_t n = 16;

	/* The version in decimal, so that the derivation can be repeated with any tool. */
	memcpy(rest, org->b, 16);
	n += zk_format_u64(version > 0 ? (uint64_t)version : 0, rest + n);
	zk_trig_secret_derive(server, "zk-webhook-v1", zk_str_n(rest, n), out);
}

void zk_trig_secret_text(const uint8_t secret[32], struct zk_buf *b)
{
	zk_buf_lit(b, "whsec_");
	zk_b64_encode(zk_str_n((const char *)secret, ZK_TRIG_SECRET), ZK_B64_STD, b);
}

int zk_trig_secret_parse(zk_str text, struct zk_buf *ret, struct zk_error *err)
{
	size_t before = ret->n;

	text = zk_str_trim(text);
	if (zk_str_starts(text, ZK_STR("whsec_")))
		text = zk_str_from(text, 6);
	/* Never more than the longest secret is decoded. */
	if (text.n > (MAX_SIGNING + 2) / 3 * 4 || !zk_b64_decode(text, ZK_B64_STD, ret))
		return zk_fail(err, ZK_E_SECRET,
		               "the signing secret is not base64 of %u to %u bytes",
		               MIN_SIGNING, MAX_SIGNING);
	if (ret->n - before >= MIN_SIGNING && ret->n - before <= MAX_SIGNING)
		return 0;
	ret->n = before;
	return zk_fail(err, ZK_E_SECRET,
	               "the signing secret does not have %u to %u bytes", MIN_SIGNING,
	               MAX_SIGNING);
}

/* ---- signatures ---- */

static void mac_of(zk_str secret, zk_str id, zk_str timestamp, zk_str body,
                   uint8_t out[ZK_SHA256_SIZE])
{
	struct zk_hmac_key key;
	struct zk_hmac h;

	zk_hmac_key_init(&key, secret);
	zk_hmac_init(&h, &key);
	zk_hmac_put(&h, id.p, id.n);
	zk_hmac_put(&h, ".", 1);
	zk_hmac_put(&h, timestamp.p, timestamp.n);
	zk_hmac_put(&h, ".", 1);
	zk_hmac_put(&h, body.p, body.n);
	zk_hmac_end(&h, out);
	zk_hmac_key_done(&key);
}

void zk_trig_sign(zk_str secret, zk_str id, int64_t timestamp_s, zk_str body,
                  struct zk_buf *b)
{
	uint8_t mac[ZK_SHA256_SIZE];
	char digits[20];
	size_t n = zk_format_u64(timestamp_s > 0 ? (uint64_t)timestamp_s : 0, digits);

	mac_of(secret, id, zk_str_n(digits, n), body, mac);
	zk_buf_lit(b, "v1,");
	zk_b64_encode(zk_str_n((const char *)mac, sizeof(mac)), ZK_B64_STD, b);
}

/* Whether one "v1,<base64>" of the list is `mac`. Every one is compared, whatever came before. */
static bool any_matches(zk_str list, const uint8_t mac[ZK_SHA256_SIZE], bool *known)
{
	bool found = false;

	*known = false;
	for (unsigned i = 0; i < MAX_SIGS && list.n > 0; i++) {
		char room[ZK_SHA256_SIZE + 4];
		struct zk_buf raw = { .p = room,
			              .room = sizeof(room),
			              .cap = sizeof(room) };
		zk_str one;

		list = zk_str_cut(list, ' ', &one);
		if (!zk_str_starts(one, ZK_STR("v1,")))
			continue;
		one = zk_str_from(one, 3);
		if (one.n > 44 || !zk_b64_decode(one, ZK_B64_STD, &raw) ||
		    raw.n != ZK_SHA256_SIZE)
			continue;
		*known = true;
		found |= zk_equal_ct(room, mac, ZK_SHA256_SIZE);
	}
	return found;
}

static int check_time(zk_str timestamp, int64_t now_s, int64_t tolerance_s,
                      struct zk_error *err)
{
	struct zk_error ignored;
	uint64_t at;
	int64_t age;

	if (timestamp.n > 12 || zk_parse_u64(timestamp, &at, &ignored) < 0)
		return zk_fail(err, ZK_E_SIGNATURE,
		               "webhook-timestamp is not a number of seconds");
	age = now_s - (int64_t)at;
	if (age > tolerance_s)
		return zk_fail(err, ZK_E_SIGNATURE,
		               "the webhook is %lld seconds old, %lld are allowed",
		               (long long)age, (long long)tolerance_s);
	if (-age > tolerance_s)
		return zk_fail(err, ZK_E_SIGNATURE,
		               "the webhook is from %lld seconds in the future, %lld are "
		               "allowed",
		               (long long)-age, (long long)tolerance_s);
	return 0;
}

int zk_trig_verify(zk_str secret, const struct zk_trig_signed *msg, int64_t now_s,
                   int64_t tolerance_s, struct zk_error *err)
{
	uint8_t mac[ZK_SHA256_SIZE];
	bool known, same;
	int r;

	if (msg->id.n == 0)
		return zk_fail(err, ZK_E_SIGNATURE, "webhook-id is missing");
	r = check_time(msg->timestamp, now_s, tolerance_s, err);
	if (r < 0)
		return r;
	mac_of(secret, msg->id, msg->timestamp, msg->body, mac);
	same = any_matches(msg->signatures, mac, &known);
	zk_wipe(mac, sizeof(mac));
	if (same)
		return 0;
	if (!known)
		return zk_fail(err, ZK_E_SIGNATURE,
		               "webhook-signature has no signature of kind v1");
	return zk_fail(err, ZK_E_SIGNATURE, "the signature does not match");
}
