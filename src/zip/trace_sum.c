/* The sums of what was pushed into a session.
 * Layer: zip. specs/zeal-zip.md §6.5, §6.8. */
#include "zip/trace_sum.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define MAX_FILE ((size_t)64 << 20)

struct node {
	bool failed;
};

void zk_zip_sum_init(struct zk_zip_sum *s)
{
	memset(s, 0, sizeof(*s));
	zk_map_init(&s->nodes);
}

void zk_zip_sum_done(struct zk_zip_sum *s)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(&s->nodes, &pos, &key, &value))
		free(value);
	zk_map_done(&s->nodes);
}

static struct zk_zip_sum_recent *recent_of(struct zk_zip_sum *s, zk_str name)
{
	unsigned mix = (unsigned)name.n * 5;

	if (name.n > 2)
		mix += (unsigned char)name.p[1] + 3u * (unsigned char)name.p[name.n / 2] +
		       7u * (unsigned char)name.p[name.n - 2];
	return &s->recent[mix % ZK_ZIP_SUM_RECENT];
}

static struct node *node_of(struct zk_zip_sum *s, zk_str name)
{
	struct zk_zip_sum_recent *recent = recent_of(s, name);
	struct node *n;

	if (recent->node && zk_str_eq(zk_str_n(recent->name, recent->n), name))
		return recent->node;
	n = zk_map_get(&s->nodes, name);
	if (n && name.n <= sizeof(recent->name)) {
		memcpy(recent->name, name.p, name.n);
		recent->n = name.n;
		recent->node = n;
	}
	if (n || s->nodes.n >= ZK_ZIP_SUM_NODES)
		return n;
	n = zk_new0(struct node);
	(void)zk_map_set(&s->nodes, name, n);
	return n;
}

static void add(struct zk_zip_sum *s, zk_str node, bool failed, double bytes)
{
	struct node *n = node_of(s, node);

	if (n)
		n->failed |= failed;
	else
		s->more++;
	s->bytes += bytes;
}

static void add_time(struct zk_zip_sum *s, int64_t ms)
{
	if (!s->first_ms || ms < s->first_ms)
		s->first_ms = ms;
	s->last_ms = ZK_MAX(s->last_ms, ms);
}

void zk_zip_sum_add(struct zk_zip_sum *s, const struct zk_zip_event *e)
{
	add_time(s, e->timestamp_ms);
	add(s, e->node, e->is_error, e->size);
}

uint64_t zk_zip_sum_failed(const struct zk_zip_sum *s)
{
	uint64_t n = 0;
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(&s->nodes, &pos, &key, &value))
		n += ((struct node *)value)->failed;
	return n;
}

void zk_zip_sum_format(const struct zk_zip_sum *s, int64_t now_ms, struct zk_buf *b)
{
	uint64_t failed = zk_zip_sum_failed(s);
	int64_t ms = s->start_ms ? now_ms - s->start_ms : s->last_ms - s->first_ms;
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "totalNodes");
	zk_jw_u64(&w, s->nodes.n);
	zk_jw_key(&w, "successfulNodes");
	zk_jw_u64(&w, s->nodes.n - failed);
	zk_jw_key(&w, "failedNodes");
	zk_jw_u64(&w, failed);
	zk_jw_key(&w, "totalDuration");
	zk_jw_i64(&w, ZK_MAX(ms, (int64_t)0));
	zk_jw_key(&w, "totalDataProcessed");
	zk_jw_double(&w, isfinite(s->bytes) ? s->bytes : 0);
	zk_jw_obj_end(&w);
}

/* ---- the file --------------------------------------------------------------------------------- */

static void format(const struct zk_zip_sum *s, struct zk_buf *b)
{
	struct zk_jwrite w;
	size_t pos = 0;
	zk_str key;
	void *value;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "start");
	zk_jw_i64(&w, s->start_ms);
	zk_jw_key(&w, "workflow");
	zk_jw_cstr(&w, s->workflow);
	zk_jw_key(&w, "bytes");
	zk_jw_double(&w, isfinite(s->bytes) ? s->bytes : 0);
	zk_jw_key(&w, "first");
	zk_jw_i64(&w, s->first_ms);
	zk_jw_key(&w, "last");
	zk_jw_i64(&w, s->last_ms);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
	while (zk_map_next(&s->nodes, &pos, &key, &value)) {
		zk_buf_lit(b, "{\"node\":");
		zk_buf_add(b, key);
		zk_buf_cstr(b, ((struct node *)value)->failed ? ",\"failed\":true}\n"
		                                              : "}\n");
	}
}

int zk_zip_sum_save(const struct zk_zip_sum *s, const char *path, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	zk_buf_init(&b, MAX_FILE);
	format(s, &b);
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot write '%s'", path);
	/* One write: lines of commands that end at the same time do not mix. */
	do
		n = write(fd, b.p, b.n);
	while (n < 0 && errno == EINTR);
	int e = errno;

	(void)close(fd);
	if (n == (ssize_t)b.n)
		return 0;
	return zk_fail_errno(err, ZK_E_OUTPUT, n < 0 ? e : ENOSPC, "cannot write '%s'",
	                     path);
}

static int64_t number(zk_str line, const char *name)
{
	struct zk_jval v;
	int64_t n;

	return zk_jscan_get(line, zk_str_of(name), &v) && v.type == ZK_J_NUMBER &&
	                       zk_jnum_i64(v.raw, &n)
	               ? n
	               : 0;
}

static void parse_head(struct zk_zip_sum *s, zk_str line)
{
	int64_t start = number(line, "start"), first = number(line, "first"),
	        last = number(line, "last");
	struct zk_jval v;
	double bytes;
	zk_str text;

	if (start && !s->start_ms)
		s->start_ms = start;
	if (first)
		add_time(s, first);
	if (last)
		add_time(s, last);
	if (zk_jscan_get(line, ZK_STR("bytes"), &v) && v.type == ZK_J_NUMBER &&
	    zk_jnum_double(v.raw, &bytes))
		s->bytes += bytes;
	if (!s->workflow[0] && zk_jscan_get(line, ZK_STR("workflow"), &v) &&
	    zk_jstr_plain(v.raw, &text))
		(void)snprintf(s->workflow, sizeof(s->workflow), "%.*s",
		               ZK_STR_ARG(text));
}

void zk_zip_sum_parse(struct zk_zip_sum *s, zk_str text)
{
	while (text.n) {
		struct zk_jscan js;
		struct zk_jval v;
		zk_str line;

		text = zk_str_cut(text, '\n', &line);
		if (zk_jscan(line, 8, NULL, 0, &js) < 0 || js.top.type != ZK_J_OBJECT)
			continue;
		if (!zk_jscan_get(line, ZK_STR("node"), &v))
			parse_head(s, line);
		else if (v.type == ZK_J_STRING)
			add(s, v.raw, zk_str_ends(line, ZK_STR("\"failed\":true}")), 0);
	}
}

void zk_zip_sum_load(struct zk_zip_sum *s, const char *path)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	zk_buf_init(&b, MAX_FILE);
	while (fd >= 0) {
		char *p = zk_buf_reserve(&b, 65536);
		ssize_t n = p ? read(fd, p, 65536) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		b.n += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	zk_zip_sum_parse(s, zk_buf_str(&b));
}
