/* gzip, deflate and zstd with a cap on what comes out.
 * Layer: codec. */
#include "codec/press.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/mem.h"

#include "base/ban.h"

#define ZSTD_SYMS(X)                \
	X(ZSTD_createDCtx)          \
	X(ZSTD_freeDCtx)            \
	X(ZSTD_DCtx_reset)          \
	X(ZSTD_DCtx_setParameter)   \
	X(ZSTD_DCtx_refDDict)       \
	X(ZSTD_decompressStream)    \
	X(ZSTD_getFrameContentSize) \
	X(ZSTD_isError)             \
	X(ZSTD_getErrorName)        \
	X(ZSTD_createDDict) X(ZSTD_freeDDict) X(ZSTD_getDictID_fromDDict)
static struct {
	ZSTD_SYMS(ZK_DL_FIELD)
} zs;
#define ROW(s) ZK_DL_ROW_OF(zs, s)
static const struct zk_dl_sym syms[] = { ZSTD_SYMS(ROW) };
ZK_DL_NOTE("zstd", "zstd compressed input", "recommended", "libzstd.so.1");
static struct zk_dl lib = ZK_DL_INIT("libzstd.so.1", "libzstd1", &zs, syms);

/* Output is made in steps of this size; zstd windows are refused beyond 8 MiB (RFC 8878 §3.1.1.1.2
 * asks for no more). */
#define STEP       (16u << 10)
#define WINDOW_LOG 23
/* Sizes of a frame's head (RFC 8878 §3.1.1). */
#define HEAD_MIN 6
#define HEAD_MAX 18

struct zk_zdict {
	ZSTD_DDict *d;
};

struct zk_unpress {
	enum zk_press kind;
	size_t cap, made; /* what this stream may expand to, and has */
	bool whole;       /* the last of them ended a member or frame */
	bool broken;
	/* The first bytes are looked at before anything is fed: two of a zlib stream, the head
	 * of each zstd frame. */
	char head[HEAD_MAX];
	size_t head_n;
	z_stream z;
	bool z_ready;
	ZSTD_DCtx *d;
	bool in_frame;
	unsigned long long frame_size, frame_made; /* what it says it holds, and did */
};

bool zk_press_parse(zk_str name, enum zk_press *ret)
{
	static const struct {
		zk_str name;
		enum zk_press kind;
	} names[] = {
		{ ZK_STR_INIT("gzip"), ZK_PRESS_GZIP },
		{ ZK_STR_INIT("x-gzip"), ZK_PRESS_GZIP },
		{ ZK_STR_INIT("deflate"), ZK_PRESS_DEFLATE },
		{ ZK_STR_INIT("zstd"), ZK_PRESS_ZSTD },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		if (zk_str_eq_nocase(name, names[i].name)) {
			*ret = names[i].kind;
			return true;
		}
	}
	return false;
}

/* ---- dictionaries ---- */

int zk_zdict_new(zk_str bytes, struct zk_zdict **ret, struct zk_error *err)
{
	struct zk_zdict *d;

	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	d = zk_new0(struct zk_zdict);
	d->d = bytes.n ? zs.ZSTD_createDDict(bytes.p, bytes.n) : NULL;
	if (!d->d) {
		zk_zdict_free(d);
		return zk_fail(err, ZK_E_DATA,
		               "the zstd dictionary of %zu bytes is not valid", bytes.n);
	}
	*ret = d;
	return 0;
}

void zk_zdict_free(struct zk_zdict *d)
{
	if (!d)
		return;
	if (d->d)
		(void)zs.ZSTD_freeDDict(d->d); /* always 0 */
	free(d);
}

unsigned zk_zdict_id(const struct zk_zdict *d)
{
	return zs.ZSTD_getDictID_fromDDict(d->d);
}

/* ---- decompression ---- */

static int open_zstd(struct zk_unpress *u, const struct zk_zdict *dict,
                     struct zk_error *err)
{
	size_t r;

	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	u->d = zs.ZSTD_createDCtx();
	if (!u->d)
		return zk_fail(err, ZK_E_SYSTEM, "cannot make a zstd decompressor");
	r = zs.ZSTD_DCtx_setParameter(u->d, ZSTD_d_windowLogMax, WINDOW_LOG);
	if (!zs.ZSTD_isError(r) && dict)
		r = zs.ZSTD_DCtx_refDDict(u->d, dict->d);
	if (zs.ZSTD_isError(r))
		return zk_fail(err, ZK_E_SYSTEM, "cannot set up a zstd decompressor: %s",
		               zs.ZSTD_getErrorName(r));
	return 0;
}

int zk_unpress_new(enum zk_press kind, const struct zk_zdict *dict, size_t cap_bytes,
                   struct zk_unpress **ret, struct zk_error *err)
{
	struct zk_unpress *u = zk_new0(struct zk_unpress);
	int r = 0;

	u->kind = kind;
	u->cap = cap_bytes;
	if (kind == ZK_PRESS_ZSTD)
		r = open_zstd(u, dict, err);
	if (r < 0) {
		zk_unpress_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

void zk_unpress_free(struct zk_unpress *u)
{
	if (!u)
		return;
	if (u->z_ready)
		(void)inflateEnd(&u->z); /* fails only for misuse */
	if (u->d)
		(void)zs.ZSTD_freeDCtx(u->d); /* always 0 */
	free(u);
}

void zk_unpress_reset(struct zk_unpress *u)
{
	u->made = u->head_n = 0;
	u->whole = u->broken = u->in_frame = false;
	if (u->kind == ZK_PRESS_ZSTD)
		(void)zs.ZSTD_DCtx_reset(u->d, ZSTD_reset_session_only); /* cannot fail */
}

static int damaged(struct zk_unpress *u, const char *why, struct zk_error *err)
{
	static const char *const names[] = { "gzip", "deflate", "zstd" };

	u->broken = true;
	return zk_fail(err, ZK_E_DATA, "the %s data is damaged: %s", names[u->kind], why);
}

static int too_large(struct zk_unpress *u, struct zk_error *err)
{
	u->broken = true;
	return zk_fail(err, ZK_E_LIMIT,
	               "the compressed data expands to more than %zu bytes", u->cap);
}

/* Room for a piece of output in `out`; a byte of `spare` when nothing more may come, so that it
 * shows whether something does. */
struct room {
	char *p;
	size_t n;
	char spare;
};

static void make_room(const struct zk_unpress *u, struct zk_buf *out, size_t wish,
                      struct room *room)
{
	size_t left = ZK_MIN(u->cap - u->made, out->cap - out->n);

	room->n = ZK_MIN(left, wish);
	room->p = room->n ? zk_buf_reserve(out, room->n) : &room->spare;
}

/* Counts `n` bytes that were written to `room`; false when they are too many. */
static bool keep(struct zk_unpress *u, struct zk_buf *out, const struct room *room,
                 size_t n)
{
	if (n > room->n)
		return false;
	out->n += n;
	u->made += n;
	return true;
}

/* Starts zlib for the first two bytes of the stream. */
static int open_zlib(struct zk_unpress *u, struct zk_error *err)
{
	unsigned char a = (unsigned char)u->head[0], b = (unsigned char)u->head[1];
	bool zlib = (a & 15) == 8 && (a << 8 | b) % 31 == 0;
	int bits = u->kind == ZK_PRESS_GZIP ? MAX_WBITS + 16
	           : zlib                   ? MAX_WBITS
	                                    : -MAX_WBITS;
	int r = u->z_ready ? inflateReset2(&u->z, bits) : inflateInit2(&u->z, bits);

	if (r != Z_OK)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set up zlib");
	u->z_ready = true;
	return 0;
}

/* Another gzip member may follow one that ended; nothing may follow deflate. */
static int zlib_goes_on(struct zk_unpress *u, struct zk_error *err)
{
	if (u->kind != ZK_PRESS_GZIP)
		return damaged(u, "text behind its end", err);
	if (inflateReset(&u->z) != Z_OK)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set up zlib");
	u->whole = false;
	return 0;
}

static int put_zlib(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                    struct zk_error *err)
{
	size_t before = SIZE_MAX;

	u->z.next_in = (Bytef *)(uintptr_t)in.p; /* not written */
	u->z.avail_in = (uInt)in.n;
	/* Until the input is used up and no output is held back. */
	while (u->z.avail_in || before == 0) {
		struct room room;
		int r;

		if (u->whole && (r = zlib_goes_on(u, err)) < 0)
			return r;
		make_room(u, out, STEP, &room);
		u->z.next_out = (Bytef *)room.p;
		u->z.avail_out = (uInt)ZK_MAX(room.n, (size_t)1);
		before = u->z.avail_out;
		r = inflate(&u->z, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return damaged(u, u->z.msg ? u->z.msg : "unknown reason", err);
		if (!keep(u, out, &room, before - u->z.avail_out))
			return too_large(u, err);
		u->whole = r == Z_STREAM_END;
		before = u->whole ? 1 : u->z.avail_out;
	}
	return 0;
}

/* Collects the first two bytes, then feeds them and the rest. */
static int begin_zlib(struct zk_unpress *u, zk_str *in, struct zk_buf *out,
                      struct zk_error *err)
{
	int r;

	while (u->head_n < 2 && in->n) {
		u->head[u->head_n++] = in->p[0];
		*in = zk_str_from(*in, 1);
	}
	if (u->head_n < 2)
		return 0;
	r = open_zlib(u, err);
	return r < 0 ? r : put_zlib(u, zk_str_n(u->head, 2), out, err);
}

static int put_any_zlib(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                        struct zk_error *err)
{
	int r = 0;

	if (u->head_n < 2)
		r = begin_zlib(u, &in, out, err);
	while (r == 0 && in.n) {
		size_t n = ZK_MIN(in.n, (size_t)INT_MAX);

		r = put_zlib(u, zk_str_n(in.p, n), out, err);
		in = zk_str_from(in, n);
	}
	return r;
}

/* Only frames of RFC 8878: libzstd may know older formats, whose decoders nobody looks at. */
static bool is_frame(const char *p)
{
	uint32_t magic = (uint32_t)(unsigned char)p[3] << 24 |
	                 (uint32_t)(unsigned char)p[2] << 16 |
	                 (uint32_t)(unsigned char)p[1] << 8 | (unsigned char)p[0];

	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* Whether the head of a frame is complete, and what it says the frame holds. */
static bool read_head(struct zk_unpress *u, zk_str head)
{
	if (head.n < HEAD_MIN)
		return false;
	u->frame_size = zs.ZSTD_getFrameContentSize(head.p, head.n);
	return u->frame_size != ZSTD_CONTENTSIZE_ERROR;
}

/* Feeds from the front of `in` until it is used up or the frame ends. */
static int put_frame(struct zk_unpress *u, zk_str *in, struct zk_buf *out,
                     struct zk_error *err)
{
	bool full = false;

	while (u->in_frame && (in->n || full)) {
		bool known = u->frame_made == 0 && u->frame_size > STEP &&
		             u->frame_size < u->cap;
		ZSTD_inBuffer from = { in->p, in->n, 0 };
		ZSTD_outBuffer to = { 0 };
		struct room room;
		size_t r;

		make_room(u, out, known ? (size_t)u->frame_size : STEP, &room);
		to.dst = room.p;
		to.size = ZK_MAX(room.n, (size_t)1);
		r = zs.ZSTD_decompressStream(u->d, &to, &from);
		if (zs.ZSTD_isError(r))
			return damaged(u, zs.ZSTD_getErrorName(r), err);
		if (!keep(u, out, &room, to.pos))
			return too_large(u, err);
		*in = zk_str_from(*in, from.pos);
		u->frame_made += to.pos;
		u->in_frame = r != 0;
		full = to.pos == to.size;
	}
	u->whole = !u->in_frame;
	/* The library itself looks at this in most cases only. */
	if (u->whole && u->frame_size != ZSTD_CONTENTSIZE_UNKNOWN &&
	    u->frame_size != u->frame_made)
		return damaged(u, "a frame does not hold what it says", err);
	return 0;
}

/* Looks at the head of a frame, whose bytes may come one by one, before anything is fed. */
static int begin_frame(struct zk_unpress *u, zk_str *in, struct zk_buf *out,
                       struct zk_error *err)
{
	bool apart = u->head_n > 0 || !read_head(u, *in);
	zk_str head = *in;

	u->whole = false;
	while (apart && u->head_n < HEAD_MAX && in->n) {
		u->head[u->head_n++] = in->p[0];
		*in = zk_str_from(*in, 1);
		head = zk_str_n(u->head, u->head_n);
		if (read_head(u, head))
			break;
	}
	if (head.n >= 4 && !is_frame(head.p))
		return damaged(u, "not a zstd frame", err);
	if (u->head_n == HEAD_MAX && !read_head(u, head))
		return damaged(u, "the head of a frame is not valid", err);
	if (apart && !read_head(u, head))
		return 0; /* more is needed */
	u->in_frame = true;
	u->frame_made = 0;
	u->head_n = 0;
	return apart ? put_frame(u, &head, out, err) : 0;
}

static int put_zstd(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                    struct zk_error *err)
{
	int r = 0;

	while (r == 0 && in.n) {
		if (!u->in_frame)
			r = begin_frame(u, &in, out, err);
		if (r == 0 && u->in_frame)
			r = put_frame(u, &in, out, err);
	}
	return r;
}

int zk_unpress_put(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                   struct zk_error *err)
{
	ZK_ASSERT(!u->broken);
	return u->kind == ZK_PRESS_ZSTD ? put_zstd(u, in, out, err)
	                                : put_any_zlib(u, in, out, err);
}

int zk_unpress_end(struct zk_unpress *u, struct zk_error *err)
{
	if (u->broken || !u->whole)
		return damaged(u, "it ends too early", err);
	return 0;
}

int zk_unpress_all(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                   struct zk_error *err)
{
	int r;

	zk_unpress_reset(u);
	r = zk_unpress_put(u, in, out, err);
	return r < 0 ? r : zk_unpress_end(u, err);
}

/* ---- compression ---- */

int zk_press_gzip(zk_str in, int level, struct zk_buf *out, struct zk_error *err)
{
	z_stream z = { 0 };
	int r;

	ZK_ASSERT(level >= 1 && level <= 9);
	if (deflateInit2(&z, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set up zlib");
	do {
		size_t take = ZK_MIN(in.n, (size_t)INT_MAX);
		char step[STEP];

		z.next_in = (Bytef *)(uintptr_t)in.p; /* not written */
		z.avail_in = (uInt)take;
		z.next_out = (Bytef *)step;
		z.avail_out = sizeof(step);
		r = deflate(&z, take == in.n ? Z_FINISH : Z_NO_FLUSH);
		in = zk_str_from(in, take - z.avail_in);
		zk_buf_put(out, step, sizeof(step) - z.avail_out);
	} while (r != Z_STREAM_END && !out->failed);
	(void)deflateEnd(&z); /* says so when it was not finished */
	return zk_buf_check(out, err);
}
