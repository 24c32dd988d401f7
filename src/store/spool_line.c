/* The lines of `zk spool export`.
 * Layer: store. */
#include "store/spool_line.h"

#include <string.h>

#include "codec/b64.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define DEPTH_MAX 512

/* True when `s` can stand inside a line of JSON and be cut out of it again byte for byte. */
static bool is_json_line(zk_str s)
{
	struct zk_jscan js;

	if (s.n == 0 || memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n))
		return false;
	return zk_jscan(s, DEPTH_MAX, NULL, 0, &js) == 0 && js.top.raw.n == s.n;
}

void zk_spool_put_body(struct zk_jwrite *w, zk_str body)
{
	if (is_json_line(body)) {
		zk_jw_key(w, "body");
		zk_jw_raw(w, body);
		return;
	}
	zk_jw_key(w, "body_base64");
	zk_jw_raw(w, ZK_STR("\""));
	zk_b64_encode(body, ZK_B64_STD, w->b);
	zk_buf_char(w->b, '"');
}

static void put_target(struct zk_jwrite *w, zk_str kind, zk_str dest)
{
	zk_jw_key(w, "target");
	zk_jw_printf(w, "%.*s:%.*s", ZK_STR_ARG(kind), ZK_STR_ARG(dest));
}

static void put_text(struct zk_jwrite *w, const char *name, zk_str v)
{
	if (!v.n)
		return;
	zk_jw_key(w, name);
	zk_jw_str(w, v);
}

/* It was valid when it was appended; the file may have been changed since. */
static void put_meta(struct zk_jwrite *w, zk_str meta)
{
	struct zk_jscan js;

	if (!meta.n)
		return;
	zk_jw_key(w, "meta");
	if (zk_jscan(meta, DEPTH_MAX, NULL, 0, &js) < 0) {
		zk_jw_str(w, meta);
		return;
	}
	zk_jw_raw(w, ZK_STR(""));
	zk_jscan_compact(js.top.raw, w->b);
}

void zk_spool_put_members(struct zk_jwrite *w, const struct zk_spool_rec *rec)
{
	zk_jw_key(w, "id");
	zk_jw_i64(w, rec->id);
	put_target(w, rec->kind, rec->dest);
	put_text(w, "key", rec->key);
	zk_jw_key(w, "created");
	zk_jw_time(w, rec->created_us);
	zk_jw_key(w, "attempts");
	zk_jw_i64(w, rec->attempts);
	put_text(w, "state", zk_str_of(zk_spool_state_name(rec->state)));
	put_text(w, "last_error", rec->last_error);
	put_meta(w, rec->meta);
	zk_spool_put_body(w, rec->body);
}

void zk_spool_put_record(struct zk_buf *b, const struct zk_spool_rec *rec)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "record");
	zk_spool_put_members(&w, rec);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}

void zk_spool_put_attachment(struct zk_buf *b, const struct zk_spool_target *target,
                             zk_str name, zk_str bytes)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "attachment");
	put_target(&w, target->kind, target->dest);
	put_text(&w, "name", name);
	zk_spool_put_body(&w, bytes);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}
