/* Streams into gzip, zstd and raw deflate.
 * Layer: codec. */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/mem.h"
#include "codec/pack.h"

#include "base/ban.h"

#define ZSTD_SYMS(X)              \
	X(ZSTD_createCCtx)        \
	X(ZSTD_freeCCtx)          \
	X(ZSTD_CCtx_setParameter) \
	X(ZSTD_compressStream2)   \
	X(ZSTD_isError)           \
	X(ZSTD_getErrorName)
static struct {
	ZSTD_SYMS(ZK_DL_FIELD)
} zs;
#define ROW(s) ZK_DL_ROW_OF(zs, s)
static const struct zk_dl_sym syms[] = { ZSTD_SYMS(ROW) };
static struct zk_dl lib = ZK_DL_INIT("libzstd.so.1", "libzstd1", &zs, syms);

#define STEP (64u << 10)

struct zk_pack {
	enum zk_pack_kind kind;
	z_stream z;
	bool z_ready;
	ZSTD_CCtx *c;
};

static int open_zstd(struct zk_pack *p, int level, struct zk_error *err)
{
	size_t r = 0;

	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	p->c = zs.ZSTD_createCCtx();
	if (p->c && level)
		r = zs.ZSTD_CCtx_setParameter(p->c, ZSTD_c_compressionLevel, level);
	if (p->c && !zs.ZSTD_isError(r))
		r = zs.ZSTD_CCtx_setParameter(p->c, ZSTD_c_checksumFlag, 1);
	if (!p->c || zs.ZSTD_isError(r))
		return zk_fail(err, ZK_E_SYSTEM, "cannot make a zstd compressor");
	return 0;
}

static int open_zlib(struct zk_pack *p, int level, struct zk_error *err)
{
	int bits = p->kind == ZK_PACK_GZIP ? MAX_WBITS + 16 : -MAX_WBITS;

	if (deflateInit2(&p->z, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits,
	                 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set up zlib");
	p->z_ready = true;
	return 0;
}

int zk_pack_new(enum zk_pack_kind kind, int level, struct zk_pack **ret,
                struct zk_error *err)
{
	struct zk_pack *p = zk_new0(struct zk_pack);
	int r;

	p->kind = kind;
	r = kind == ZK_PACK_ZSTD ? open_zstd(p, level, err) : open_zlib(p, level, err);
	if (r < 0) {
		zk_pack_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void zk_pack_free(struct zk_pack *p)
{
	if (!p)
		return;
	if (p->z_ready)
		(void)deflateEnd(&p->z); /* says so when it was not finished */
	if (p->c)
		(void)zs.ZSTD_freeCCtx(p->c); /* always 0 */
	free(p);
}

static int put_zstd(struct zk_pack *p, zk_str in, bool last, struct zk_buf *out,
                    struct zk_error *err)
{
	ZSTD_inBuffer from = { in.p, in.n, 0 };
	size_t left;

	do {
		char *room = zk_buf_reserve(out, STEP);
		ZSTD_outBuffer to = { room, STEP, 0 };

		if (!room)
			return zk_buf_check(out, err);
		left = zs.ZSTD_compressStream2(p->c, &to, &from,
		                               last ? ZSTD_e_end : ZSTD_e_continue);
		if (zs.ZSTD_isError(left))
			return zk_fail(err, ZK_E_SYSTEM, "zstd failed: %s",
			               zs.ZSTD_getErrorName(left));
		out->n += to.pos;
	} while (last ? left != 0 : from.pos < from.size);
	return 0;
}

static int put_zlib(struct zk_pack *p, zk_str in, bool last, struct zk_buf *out,
                    struct zk_error *err)
{
	int r;

	ZK_ASSERT(in.n <= UINT_MAX);
	p->z.next_in = (Bytef *)(uintptr_t)in.p; /* not written */
	p->z.avail_in = (uInt)in.n;
	do {
		char *room = zk_buf_reserve(out, STEP);

		if (!room)
			return zk_buf_check(out, err);
		p->z.next_out = (Bytef *)room;
		p->z.avail_out = STEP;
		r = deflate(&p->z, last ? Z_FINISH : Z_NO_FLUSH);
		out->n += STEP - p->z.avail_out;
	} while (last ? r != Z_STREAM_END : p->z.avail_in || !p->z.avail_out);
	return 0;
}

int zk_pack_put(struct zk_pack *p, zk_str in, bool last, struct zk_buf *out,
                struct zk_error *err)
{
	return p->kind == ZK_PACK_ZSTD ? put_zstd(p, in, last, out, err)
	                               : put_zlib(p, in, last, out, err);
}
