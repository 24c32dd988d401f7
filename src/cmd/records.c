/* Receipts and rejects.
 * Layer: cmd. ux.md §8. */
#include "cmd/records.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define MAX_BLOCK ((size_t)256 << 20)

int zk_recfile_open(struct zk_recfile *f, const char *path, int flags,
                    struct zk_error *err)
{
	zk_buf_init(&f->b, MAX_BLOCK);
	f->path = path;
	if (!path)
		return 0;
	f->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	if (f->fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot write '%s'", path);
	return 0;
}

int zk_recfile_write(struct zk_recfile *f, struct zk_error *err)
{
	int e = zk_write_all(f->fd, zk_buf_str(&f->b));

	if (e)
		return zk_fail_errno(err, ZK_E_OUTPUT, e, "cannot write '%s'", f->path);
	zk_buf_clear(&f->b);
	return 0;
}

void zk_recfile_close(struct zk_recfile *f)
{
	if (f->fd >= 0)
		(void)close(f->fd); /* written and checked before */
	f->fd = -1;
	zk_buf_done(&f->b);
}

void zk_recfile_reject(struct zk_recfile *f, const struct zk_recline *line,
                       const char *code, zk_str reason)
{
	struct zk_jwrite w;
	struct zk_buf *b = &f->b;
	struct zk_jscan js;

	if (f->fd < 0)
		return;
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "line");
	zk_jw_u64(&w, line->number);
	zk_jw_key(&w, "offset");
	zk_jw_u64(&w, line->offset);
	zk_jw_key(&w, "file");
	zk_jw_cstr(&w, line->file);
	zk_jw_key(&w, "code");
	zk_jw_cstr(&w, code);
	zk_jw_key(&w, "reason");
	if (zk_str_starts(reason, ZK_STR("{")) && zk_jscan(reason, 64, NULL, 0, &js) == 0)
		zk_jscan_compact(js.top.raw, b), w.comma = true;
	else
		zk_jw_str(&w, reason);
	zk_jw_key(&w, "text");
	zk_jw_str(&w, line->text);
	if (!zk_utf8_valid(line->text)) {
		zk_jw_key(&w, "text_base64");
		zk_jw_raw(&w, ZK_STR("\""));
		zk_buf_base64(b, line->text, /* url */ false, /* pad */ true);
		zk_buf_char(b, '"');
	}
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}
