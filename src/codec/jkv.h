/* jkv: members of JSON objects in one call each, their name and their value (codec/jwrite.h).
 * Layer: codec. One owner. */
#ifndef ZK_CODEC_JKV_H
#define ZK_CODEC_JKV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/jwrite.h"

#define ZK_JW_MEMBER(kind, type)                                                  \
	static inline void zk_jw_kv_##kind(struct zk_jwrite *w, const char *name, \
	                                   type value)                            \
	{                                                                         \
		zk_jw_key(w, name);                                               \
		zk_jw_##kind(w, value);                                           \
	}
ZK_JW_MEMBER(str, zk_str)
ZK_JW_MEMBER(cstr, const char *)
ZK_JW_MEMBER(i64, int64_t)
ZK_JW_MEMBER(u64, uint64_t)
ZK_JW_MEMBER(double, double)
ZK_JW_MEMBER(bool, bool)
ZK_JW_MEMBER(time, int64_t)
#undef ZK_JW_MEMBER

static inline void zk_jw_kv_null(struct zk_jwrite *w, const char *name)
{
	zk_jw_key(w, name);
	zk_jw_null(w);
}

static inline void zk_jw_kv_obj(struct zk_jwrite *w, const char *name)
{
	zk_jw_key(w, name);
	zk_jw_obj(w);
}

static inline void zk_jw_kv_arr(struct zk_jwrite *w, const char *name)
{
	zk_jw_key(w, name);
	zk_jw_arr(w);
}

#endif
