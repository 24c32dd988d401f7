/* The rejects file.
 * Layer: zerobus. specs/zerobus.md §14.3. */
#include "zerobus/rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define SYNC_MS 5000

struct zk_zb_rejects {
	int fd;
	char *path, *table;
	struct zk_zb_kind *kind; /* of the latest header */
	int64_t synced_ms;
	struct zk_buf line;
};

int zk_zb_rejects_open(const char *path, const char *table, struct zk_zb_rejects **ret,
                       struct zk_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	struct zk_zb_rejects *r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot write rejects to '%s'", path);
	r = zk_new0(struct zk_zb_rejects);
	r->fd = fd;
	r->path = zk_strdup(path);
	r->table = zk_strdup(table);
	r->synced_ms = zk_mono_ms();
	zk_buf_init(&r->line, (size_t)256 << 20);
	*ret = r;
	return 0;
}

int zk_zb_rejects_close(struct zk_zb_rejects *r, struct zk_error *err)
{
	int res = 0;

	if (!r)
		return 0;
	/* A pipe cannot be synchronised. */
	if (fdatasync(r->fd) < 0 && errno != EINVAL && errno != EROFS)
		res = zk_fail_errno(err, ZK_E_OUTPUT, errno,
		                    "cannot write rejects to '%s'", r->path);
	if (close(r->fd) < 0 && res == 0)
		res = zk_fail_errno(err, ZK_E_OUTPUT, errno,
		                    "cannot write rejects to '%s'", r->path);
	zk_zb_kind_unref(r->kind);
	zk_buf_done(&r->line);
	free(r->path);
	free(r->table);
	free(r);
	return res;
}

static int write_line(struct zk_zb_rejects *r, struct zk_error *err)
{
	int e;

	zk_buf_char(&r->line, '\n');
	if (zk_buf_check(&r->line, err) < 0)
		return -(int)err->code;
	e = zk_write_all(r->fd, zk_buf_str(&r->line));
	if (e)
		return zk_fail_errno(err, ZK_E_OUTPUT, e, "cannot write rejects to '%s'",
		                     r->path);
	if (zk_mono_ms() - r->synced_ms >= SYNC_MS) {
		r->synced_ms = zk_mono_ms();
		ZK_IGNORE(fdatasync(r->fd) < 0); /* the close says when it failed */
	}
	return 0;
}

static void put_base64(struct zk_buf *b, zk_str bytes)
{
	zk_buf_char(b, '"');
	zk_buf_base64(b, bytes, /* url */ false, /* pad */ true);
	zk_buf_char(b, '"');
}

static int put_header(struct zk_zb_rejects *r, const struct zk_zb_kind *kind,
                      struct zk_error *err)
{
	struct zk_jwrite w;

	zk_buf_clear(&r->line);
	zk_jwrite_init(&w, &r->line);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "header");
	zk_jw_key(&w, "version");
	zk_jw_i64(&w, 1);
	zk_jw_key(&w, "table");
	zk_jw_cstr(&w, r->table);
	zk_jw_key(&w, "record_type");
	zk_jw_cstr(&w, kind->type == ZK_ZB_PROTO ? "PROTO" : "JSON");
	if (kind->type == ZK_ZB_PROTO) {
		zk_jw_key(&w, "descriptor");
		put_base64(&r->line, kind->descriptor);
		w.comma = true;
	}
	zk_jw_key(&w, "fingerprint");
	zk_jw_cstr(&w, kind->fingerprint);
	zk_jw_key(&w, "created");
	zk_jw_time(&w, zk_wall_us());
	zk_jw_obj_end(&w);
	return write_line(r, err);
}

/* The row itself: `proto`, `json` or `values`. */
static void put_content(struct zk_buf *b, struct zk_jwrite *w,
                        const struct zk_zb_reject *v)
{
	if (v->payload.p && v->kind->type == ZK_ZB_PROTO) {
		zk_jw_key(w, "proto");
		put_base64(b, v->payload);
		w->comma = true;
	} else if (v->payload.p) {
		zk_jw_key(w, "json");
		zk_jw_str(w, v->payload);
	} else if (!v->is_text) {
		zk_jw_key(w, "values");
		zk_jw_raw(w, v->values.n ? v->values : ZK_STR("{}"));
	} else if (zk_utf8_valid(v->values)) {
		zk_jw_key(w, "text");
		zk_jw_str(w, v->values);
	} else {
		zk_jw_key(w, "text_base64");
		put_base64(b, v->values);
		w->comma = true;
	}
	if (v->base64.n) {
		zk_jw_key(w, "base64");
		zk_jw_raw(w, v->base64);
	}
}

int zk_zb_rejects_put(struct zk_zb_rejects *r, const struct zk_zb_reject *v,
                      struct zk_error *err)
{
	struct zk_jwrite w;

	if (!r->kind || !zk_zb_kind_same(r->kind, v->kind)) {
		if (put_header(r, v->kind, err) < 0)
			return -(int)err->code;
		zk_zb_kind_unref(r->kind);
		r->kind = zk_zb_kind_ref((struct zk_zb_kind *)v->kind);
	}
	zk_buf_clear(&r->line);
	zk_jwrite_init(&w, &r->line);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "row");
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, v->source);
	zk_jw_key(&w, "row");
	zk_jw_u64(&w, v->row);
	if (v->line) {
		zk_jw_key(&w, "line");
		zk_jw_u64(&w, v->line);
	}
	zk_jw_key(&w, "code");
	zk_jw_printf(&w, "ZK%04d", (int)v->err->code);
	if (v->column.n) {
		zk_jw_key(&w, "column");
		zk_jw_str(&w, v->column);
	}
	zk_jw_key(&w, "error");
	zk_jw_cstr(&w, v->err->msg);
	zk_jw_key(&w, "attempts");
	zk_jw_u64(&w, v->attempts);
	put_content(&r->line, &w, v);
	if (v->suspect) {
		zk_jw_key(&w, "suspect");
		zk_jw_bool(&w, true);
	}
	zk_jw_obj_end(&w);
	return write_line(r, err);
}
