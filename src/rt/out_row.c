/* A row from values.
 * Layer: rt. */
#include "rt/out.h"

#include "base/ban.h"

/* An ended row, and a fresh one, begin with the next value. */
static void begin(struct zk_row *r)
{
	r->ended = false;
	zk_buf_clear(&r->buf);
	zk_jwrite_init(&r->w, &r->buf);
	zk_jw_obj(&r->w);
}

static struct zk_jwrite *value_of(struct zk_row *r, const char *name)
{
	if (r->ended)
		begin(r);
	zk_jw_key(&r->w, name);
	return &r->w;
}

void zk_row_init(struct zk_row *r)
{
	*r = (struct zk_row){ .ended = true };
	zk_buf_init(&r->buf, ZK_ROW_MAX);
}

void zk_row_done(struct zk_row *r)
{
	zk_buf_done(&r->buf);
}

void zk_row_str(struct zk_row *r, const char *name, zk_str v)
{
	zk_jw_str(value_of(r, name), v);
}

void zk_row_cstr(struct zk_row *r, const char *name, const char *v)
{
	zk_jw_cstr(value_of(r, name), v);
}

void zk_row_i64(struct zk_row *r, const char *name, int64_t v)
{
	zk_jw_i64(value_of(r, name), v);
}

void zk_row_u64(struct zk_row *r, const char *name, uint64_t v)
{
	zk_jw_u64(value_of(r, name), v);
}

void zk_row_double(struct zk_row *r, const char *name, double v)
{
	zk_jw_double(value_of(r, name), v);
}

void zk_row_bool(struct zk_row *r, const char *name, bool v)
{
	zk_jw_bool(value_of(r, name), v);
}

void zk_row_null(struct zk_row *r, const char *name)
{
	zk_jw_null(value_of(r, name));
}

void zk_row_time(struct zk_row *r, const char *name, int64_t wall_us)
{
	zk_jw_time(value_of(r, name), wall_us);
}

void zk_row_raw(struct zk_row *r, const char *name, zk_str json)
{
	zk_jw_raw(value_of(r, name), json);
}

zk_str zk_row_end(struct zk_row *r)
{
	if (r->ended)
		begin(r);
	zk_jw_obj_end(&r->w);
	r->ended = true;
	return zk_buf_str(&r->buf);
}
