/* Whole blocks of LZ4 frames and ZSTD.
 * Layer: codec. */
#include "codec/press_block.h"

#include <lz4frame.h>
#include <zstd.h>

#include "base/dl.h"

#include "base/ban.h"

#define LZ4_SYMS(X)                        \
	X(LZ4F_createDecompressionContext) \
	X(LZ4F_freeDecompressionContext)   \
	X(LZ4F_decompress) X(LZ4F_isError) X(LZ4F_getErrorName)
static struct {
	LZ4_SYMS(ZK_DL_FIELD)
} lz;
#define LZ_ROW(s) ZK_DL_ROW_OF(lz, s)
static const struct zk_dl_sym lz_syms[] = { LZ4_SYMS(LZ_ROW) };
ZK_DL_NOTE("lz4", "LZ4 compressed Arrow input", "suggested", "liblz4.so.1");
static struct zk_dl lz_lib = ZK_DL_INIT("liblz4.so.1", "liblz4-1", &lz, lz_syms);

#define ZSTD_SYMS(X)                \
	X(ZSTD_decompress)          \
	X(ZSTD_getFrameContentSize) \
	X(ZSTD_findFrameCompressedSize) X(ZSTD_isError) X(ZSTD_getErrorName)
static struct {
	ZSTD_SYMS(ZK_DL_FIELD)
} zs;
#define ZS_ROW(s) ZK_DL_ROW_OF(zs, s)
static const struct zk_dl_sym zs_syms[] = { ZSTD_SYMS(ZS_ROW) };
static struct zk_dl zs_lib = ZK_DL_INIT("libzstd.so.1", "libzstd1", &zs, zs_syms);

/* Some writers put the compressed length where the expanded one belongs. */
static int wrong_length(const char *name, size_t in, size_t n, bool more,
                        unsigned long long got, struct zk_error *err)
{
	if (in == n)
		return zk_fail(
		        err, ZK_E_DATA,
		        "the %s frame holds more than the %zu bytes stated, which is "
		        "its own compressed length: the writer confused the two",
		        name, n);
	return zk_fail(err, ZK_E_DATA, "the %s frame holds %s%llu bytes, not %zu", name,
	               more ? "more than " : "", got, n);
}

static int expand_zstd(zk_str in, char *out, size_t n, struct zk_error *err)
{
	unsigned long long content;
	size_t frame, got;

	if (zk_dl_open(&zs_lib, err) < 0)
		return -(int)err->code;
	content = zs.ZSTD_getFrameContentSize(in.p, in.n);
	if (content == ZSTD_CONTENTSIZE_ERROR)
		return zk_fail(err, ZK_E_DATA, "not a ZSTD frame");
	if (content != ZSTD_CONTENTSIZE_UNKNOWN && content != n)
		return wrong_length("ZSTD", in.n, n, false, content, err);
	frame = zs.ZSTD_findFrameCompressedSize(in.p, in.n);
	if (zs.ZSTD_isError(frame))
		return zk_fail(err, ZK_E_DATA, "the ZSTD frame is broken: %s",
		               zs.ZSTD_getErrorName(frame));
	got = zs.ZSTD_decompress(out, n, in.p, frame);
	if (zs.ZSTD_isError(got))
		return in.n == n ? wrong_length("ZSTD", in.n, n, true, n, err)
		                 : zk_fail(err, ZK_E_DATA,
		                           "the ZSTD frame does not expand to %zu bytes: "
		                           "%s",
		                           n, zs.ZSTD_getErrorName(got));
	return got == n ? 0 : wrong_length("ZSTD", in.n, n, false, got, err);
}

static int run_lz4(LZ4F_dctx *ctx, zk_str in, char *out, size_t n, struct zk_error *err)
{
	size_t made = 0, used = 0, hint = 1;

	while (used < in.n && hint) {
		size_t room = n - made, take = in.n - used;

		hint = lz.LZ4F_decompress(ctx, out + made, &room, in.p + used, &take,
		                          NULL);
		if (lz.LZ4F_isError(hint))
			return zk_fail(err, ZK_E_DATA, "the LZ4 frame is broken: %s",
			               lz.LZ4F_getErrorName(hint));
		made += room;
		used += take;
		if (room == 0 && take == 0)
			return wrong_length("LZ4", in.n, n, true, n, err);
	}
	if (hint)
		return made == n ? wrong_length("LZ4", in.n, n, true, n, err)
		                 : zk_fail(err, ZK_E_DATA, "the LZ4 frame is cut short");
	return made == n ? 0 : wrong_length("LZ4", in.n, n, false, made, err);
}

static int expand_lz4(zk_str in, char *out, size_t n, struct zk_error *err)
{
	LZ4F_dctx *ctx = NULL;
	int r;

	if (zk_dl_open(&lz_lib, err) < 0)
		return -(int)err->code;
	if (lz.LZ4F_isError(lz.LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return zk_fail(err, ZK_E_SYSTEM, "cannot make an LZ4 decompressor");
	r = run_lz4(ctx, in, out, n, err);
	(void)lz.LZ4F_freeDecompressionContext(ctx); /* says how far it was */
	return r;
}

int zk_block_expand(enum zk_block kind, zk_str in, char *out, size_t n,
                    struct zk_error *err)
{
	return kind == ZK_BLOCK_LZ4 ? expand_lz4(in, out, n, err)
	                            : expand_zstd(in, out, n, err);
}
