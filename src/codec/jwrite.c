/* Writes JSON into a zk_buf.
 * Layer: codec. */
#include "codec/jwrite.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/ban.h"

void zk_jwrite_init(struct zk_jwrite *w, struct zk_buf *b)
{
	*w = (struct zk_jwrite){ .b = b };
}

static void before(struct zk_jwrite *w)
{
	if (w->comma)
		zk_buf_char(w->b, ',');
	w->comma = true;
}

static void open(struct zk_jwrite *w, char c)
{
	before(w);
	zk_buf_char(w->b, c);
	w->comma = false;
}

static void shut(struct zk_jwrite *w, char c)
{
	zk_buf_char(w->b, c);
	w->comma = true;
}

void zk_jw_obj(struct zk_jwrite *w)
{
	open(w, '{');
}

void zk_jw_obj_end(struct zk_jwrite *w)
{
	shut(w, '}');
}

void zk_jw_arr(struct zk_jwrite *w)
{
	open(w, '[');
}

void zk_jw_arr_end(struct zk_jwrite *w)
{
	shut(w, ']');
}

void zk_jw_key(struct zk_jwrite *w, const char *name)
{
	zk_jw_key_str(w, zk_str_of(name));
}

void zk_jw_key_str(struct zk_jwrite *w, zk_str name)
{
	before(w);
	zk_buf_json_str(w->b, name);
	zk_buf_char(w->b, ':');
	w->comma = false;
}

void zk_jw_str(struct zk_jwrite *w, zk_str s)
{
	before(w);
	zk_buf_json_str(w->b, s);
}

void zk_jw_cstr(struct zk_jwrite *w, const char *s)
{
	if (s)
		zk_jw_str(w, zk_str_of(s));
	else
		zk_jw_null(w);
}

void zk_jw_printf(struct zk_jwrite *w, const char *fmt, ...)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text;
	va_list ap;

	zk_buf_init(&text, w->b->cap);
	va_start(ap, fmt);
	zk_buf_vprintf(&text, fmt, ap);
	va_end(ap);
	w->b->failed |= text.failed;
	zk_jw_str(w, zk_buf_str(&text));
}

void zk_jw_i64(struct zk_jwrite *w, int64_t v)
{
	before(w);
	zk_buf_i64(w->b, v);
}

void zk_jw_u64(struct zk_jwrite *w, uint64_t v)
{
	before(w);
	zk_buf_u64(w->b, v);
}

void zk_jw_double(struct zk_jwrite *w, double v)
{
	char text[40];

	if (!isfinite(v)) {
		zk_jw_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	before(w);
	zk_buf_cstr(w->b, text);
}

void zk_jw_bool(struct zk_jwrite *w, bool v)
{
	before(w);
	if (v)
		zk_buf_lit(w->b, "true");
	else
		zk_buf_lit(w->b, "false");
}

void zk_jw_null(struct zk_jwrite *w)
{
	before(w);
	zk_buf_lit(w->b, "null");
}

void zk_jw_raw(struct zk_jwrite *w, zk_str json)
{
	before(w);
	zk_buf_add(w->b, json);
}

void zk_jw_time(struct zk_jwrite *w, int64_t wall_us)
{
	char text[ZK_RFC3339_MAX];

	zk_jw_str(w, zk_str_n(text, zk_format_rfc3339(wall_us, text)));
}
