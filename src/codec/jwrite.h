/* jwrite: writes JSON into a zk_buf, compact, with the commas in the right places.
 * Layer: codec. One owner. Limits and failures are those of the buffer (zk_buf_check).
 *
 *	struct zk_jwrite w;
 *
 *	zk_jwrite_init(&w, &buf);
 *	zk_jw_obj(&w);
 *	zk_jw_key(&w, "id");	zk_jw_str(&w, id);
 *	zk_jw_key(&w, "tags");	zk_jw_arr(&w);	zk_jw_i64(&w, 1);	zk_jw_arr_end(&w);
 *	zk_jw_obj_end(&w);
 */
#ifndef ZK_CODEC_JWRITE_H
#define ZK_CODEC_JWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

struct zk_jwrite {
	struct zk_buf *b;
	bool comma; /* the next value needs one in front */
};

void zk_jwrite_init(struct zk_jwrite *w, struct zk_buf *b);

void zk_jw_obj(struct zk_jwrite *w);
void zk_jw_obj_end(struct zk_jwrite *w);
void zk_jw_arr(struct zk_jwrite *w);
void zk_jw_arr_end(struct zk_jwrite *w);
/* The name of the member whose value comes next. */
void zk_jw_key(struct zk_jwrite *w, const char *name);
void zk_jw_key_str(struct zk_jwrite *w, zk_str name);
/* Values. Bytes that are not UTF-8 become U+FFFD. */
void zk_jw_str(struct zk_jwrite *w, zk_str s);
void zk_jw_cstr(struct zk_jwrite *w, const char *s); /* NULL is null */
void zk_jw_printf(struct zk_jwrite *w, const char *fmt, ...) ZK_PRINTF(2, 3);
void zk_jw_i64(struct zk_jwrite *w, int64_t v);
void zk_jw_u64(struct zk_jwrite *w, uint64_t v);
/* The shortest text that reads back as `v`; NaN and the infinities are null. */
void zk_jw_double(struct zk_jwrite *w, double v);
void zk_jw_bool(struct zk_jwrite *w, bool v);
void zk_jw_null(struct zk_jwrite *w);
/* Text that is valid JSON already. */
void zk_jw_raw(struct zk_jwrite *w, zk_str json);
/* RFC 3339 with microseconds. */
void zk_jw_time(struct zk_jwrite *w, int64_t wall_us);

#endif
