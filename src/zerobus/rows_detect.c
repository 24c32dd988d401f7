/* What format an input has, from its first bytes and its name.
 * Layer: zerobus. specs/zerobus.md §12.1. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/le.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define PEEK_BYTES ((size_t)64 << 10)
/* Bytes that tell an Arrow stream of the old framing from text. */
#define ENOUGH     ((size_t)8)
#define LEGACY_MAX ((uint32_t)16 << 20)

struct peek {
	struct zk_zb_source s;
	struct zk_zb_source *inner;
	char *buf;
	size_t n, at; /* read ahead, given out */
	bool ended;
};

static struct peek *peek_of(struct zk_zb_source *s)
{
	return ZK_CONTAINER_OF(s, struct peek, s);
}

static ptrdiff_t peek_read(struct zk_zb_source *s, void *p, size_t n,
                           struct zk_error *err)
{
	struct peek *k = peek_of(s);
	size_t have = ZK_MIN(n, k->n - k->at);

	if (!have)
		return k->ended ? 0 : k->inner->read(k->inner, p, n, err);
	memcpy(p, k->buf + k->at, have);
	k->at += have;
	return (ptrdiff_t)have;
}

static int peek_pread(struct zk_zb_source *s, uint64_t at, void *p, size_t n,
                      struct zk_error *err)
{
	struct peek *k = peek_of(s);

	return k->inner->pread(k->inner, at, p, n, err);
}

struct zk_zb_source *zk_zb_peek_new(struct zk_zb_source *inner)
{
	struct peek *k = zk_new0(struct peek);

	k->inner = inner;
	k->s = *inner;
	k->s.read = peek_read;
	if (inner->pread)
		k->s.pread = peek_pread;
	k->buf = zk_alloc(PEEK_BYTES);
	return &k->s;
}

void zk_zb_peek_free(struct zk_zb_source *s)
{
	if (!s)
		return;
	free(peek_of(s)->buf);
	free(peek_of(s));
}

/* More bytes; false at the end or when it looked at enough. *r is negative after a failure. */
static bool look(struct peek *k, int *r, struct zk_error *err)
{
	ptrdiff_t n;

	if (k->ended || k->n == PEEK_BYTES)
		return false;
	n = k->inner->read(k->inner, k->buf + k->n, PEEK_BYTES - k->n, err);
	if (n < 0)
		*r = (int)n;
	k->ended = n == 0;
	if (n > 0)
		k->n += (size_t)n;
	return n > 0;
}

static bool is_legacy(const struct peek *k)
{
	uint32_t n, root;

	if (k->n < ENOUGH)
		return false;
	n = zk_le_u32(k->buf);
	root = zk_le_u32(k->buf + 4);
	return n >= 8 && n % 4 == 0 && n <= LEGACY_MAX && root >= 4 && root < n &&
	       root % 4 == 0;
}

/* The first byte behind a BOM and white space, or -1. */
static int first_char(const struct peek *k)
{
	size_t i = k->n >= 3 && memcmp(k->buf, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < k->n && (k->buf[i] == ' ' || k->buf[i] == '\t' || k->buf[i] == '\r' ||
	                    k->buf[i] == '\n'))
		i++;
	return i < k->n ? (unsigned char)k->buf[i] : -1;
}

static bool has_extension(const char *name, const char *ext)
{
	return zk_str_ends(zk_str_of(name), zk_str_of(ext));
}

static bool named_csv(const char *name)
{
	return has_extension(name, ".csv") || has_extension(name, ".tsv");
}

static bool named_arrow(const char *name)
{
	return has_extension(name, ".arrow") || has_extension(name, ".arrows") ||
	       has_extension(name, ".feather") || has_extension(name, ".ipc");
}

static int unknown(const struct peek *k, struct zk_error *err)
{
	static const struct {
		zk_str magic;
		const char *what, *hint;
	} known[] = {
		{ ZK_STR_INIT("\x1f\x8b"), "gzip",
		  "unpack it: zcat FILE | zk zerobus send" },
		{ ZK_STR_INIT("\x28\xb5\x2f\xfd"), "zstd",
		  "unpack it: zstd -dc FILE | zk zerobus send" },
		{ ZK_STR_INIT("PAR1"), "a Parquet file",
		  "convert it to Arrow IPC first; zk reads no Parquet" },
		{ ZK_STR_INIT("PK\x03\x04"), "a ZIP archive", "unpack it first" },
		{ ZK_STR_INIT("FEA1"), "a Feather V1 file",
		  "write it as Feather V2 (Arrow IPC)" },
		{ ZK_STR_INIT("Obj\x01"), "an Avro file",
		  "convert it to Arrow IPC or NDJSON" },
	};
	zk_str head = zk_str_n(k->buf, k->n);
	int c = first_char(k);

	for (size_t i = 0; i < ZK_ARRAY_LEN(known); i++) {
		if (!zk_str_starts(head, known[i].magic))
			continue;
		(void)zk_fail(err, ZK_E_ZB_NOT_ARROW, "%s: this looks like %s", k->s.name,
		              known[i].what);
		return zk_err_hint(err, "%s", known[i].hint);
	}
	if (c == '[') {
		(void)zk_fail(err, ZK_E_ZB_NOT_ARROW, "%s: this looks like a JSON array",
		              k->s.name);
		return zk_err_hint(err,
		                   "one object per line is wanted: jq -c '.[]' FILE");
	}
	if (zk_utf8_valid(zk_str_n(k->buf, ZK_MIN(k->n, (size_t)16))) ||
	    (c >= ' ' && c < 0x7f)) {
		(void)zk_fail(err, ZK_E_ZB_NOT_ARROW,
		              "%s: this looks like text, not like rows", k->s.name);
		return zk_err_hint(err, "--from csv reads it as CSV with a header row");
	}
	(void)zk_fail(err, ZK_E_ZB_NOT_ARROW,
	              "%s: the first bytes are of no format zk reads", k->s.name);
	return zk_err_hint(err,
	                   "NDJSON, CSV and Arrow IPC are read; --from names the format");
}

bool zk_zb_peek_starts(struct zk_zb_source *s, zk_str with, struct zk_error *err)
{
	struct peek *k = peek_of(s);
	int r = 0;

	while (k->n < with.n && look(k, &r, err))
		;
	return zk_str_starts(zk_str_n(k->buf, k->n), with);
}

/* What can be said now; AUTO: more bytes are needed. */
static enum zk_zb_format judge(const struct peek *k, bool whole)
{
	zk_str head = zk_str_n(k->buf, k->n);
	int c = first_char(k);

	if (k->n && k->buf[0] == '{')
		return ZK_ZB_FROM_NDJSON;
	if (k->n < ENOUGH && !whole)
		return ZK_ZB_FROM_AUTO;
	if (zk_str_starts(head, ZK_STR("ARROW1\0\0")) ||
	    zk_str_starts(head, ZK_STR("\xff\xff\xff\xff")) || is_legacy(k))
		return ZK_ZB_FROM_ARROW;
	if (c == '{')
		return ZK_ZB_FROM_NDJSON;
	if (named_csv(k->s.name))
		return ZK_ZB_FROM_CSV;
	return c < 0 && whole ? ZK_ZB_FROM_NDJSON : ZK_ZB_FROM_AUTO;
}

int zk_zb_peek_format(struct zk_zb_source *s, enum zk_zb_format *ret,
                      struct zk_error *err)
{
	struct peek *k = peek_of(s);
	int r = 0;

	while ((*ret = judge(k, false)) == ZK_ZB_FROM_AUTO &&
	       (k->n < ENOUGH || first_char(k) < 0) && look(k, &r, err))
		;
	if (r < 0)
		return r;
	if (k->n == 0) {
		if (named_arrow(k->s.name))
			return zk_fail(err, ZK_E_ZB_NOT_ARROW, "%s: the file is empty",
			               k->s.name);
		*ret = named_csv(k->s.name) ? ZK_ZB_FROM_CSV : ZK_ZB_FROM_AUTO;
		return 0;
	}
	if (*ret == ZK_ZB_FROM_AUTO)
		*ret = judge(k, true);
	return *ret == ZK_ZB_FROM_AUTO ? unknown(k, err) : 0;
}
