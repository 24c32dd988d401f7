/* RESP: commands are written here, hiredis takes answers apart.
 * Layer: store; owns libhiredis, of which only the reader is used: its connections know neither
 * TLS nor a bound, and resolve names on the thread that calls. */
#include <hiredis/read.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/mem.h"
#include "store/redis_int.h"

#include "base/ban.h"

#define MAX_ITEMS 1048576 /* members of one array */
#define POINTER   sizeof(struct zk_redis_reply *)

/* clang-format off */
#define SYMS(X) \
	X(redisReaderCreateWithFunctions) X(redisReaderFree) X(redisReaderFeed) \
	X(redisReaderGetReply)
/* clang-format on */

static struct {
	SYMS(ZK_DL_FIELD)
} hi;
#define ROW(s) ZK_DL_ROW_OF(hi, s)
static const struct zk_dl_sym syms[] = { SYMS(ROW) };
ZK_DL_NOTE("redis", "Redis client", "suggested", "libhiredis.so.0.14");
static struct zk_dl lib = ZK_DL_INIT("libhiredis.so.0.14", "libhiredis0.14", &hi, syms);

struct zk_resp {
	redisReader *reader;
	size_t max_bytes;
	size_t used; /* of the answer that is being built */
	bool over;   /* it would have passed max_bytes */
};

void zk_resp_put(struct zk_buf *b, const zk_str *args, size_t n)
{
	zk_buf_char(b, '*');
	zk_buf_u64(b, n);
	zk_buf_lit(b, "\r\n");
	for (size_t i = 0; i < n; i++) {
		zk_buf_char(b, '$');
		zk_buf_u64(b, args[i].n);
		zk_buf_lit(b, "\r\n");
		zk_buf_add(b, args[i]);
		zk_buf_lit(b, "\r\n");
	}
}

/* ---- what the reader builds ----------------------------------------------------------- */

void zk_redis_reply_free(struct zk_redis_reply *r)
{
	if (!r)
		return;
	/* As deep as the reader goes: seven arrays. */
	for (size_t i = 0; i < r->n; i++)
		zk_redis_reply_free(r->items[i]);
	free(r->items);
	free(r);
}

static enum zk_redis_type type_of(int type)
{
	switch (type) {
	case REDIS_REPLY_STRING:
		return ZK_REDIS_STRING;
	case REDIS_REPLY_STATUS:
		return ZK_REDIS_STATUS;
	case REDIS_REPLY_ERROR:
		return ZK_REDIS_ERROR;
	case REDIS_REPLY_INTEGER:
		return ZK_REDIS_INTEGER;
	case REDIS_REPLY_ARRAY:
		return ZK_REDIS_ARRAY;
	default:
		return ZK_REDIS_NIL;
	}
}

/* A value with room for a text of `text` bytes behind it, hung into its array. NULL when the
 * answer grows too large, which makes the reader stop. */
static struct zk_redis_reply *make(const redisReadTask *task, size_t text)
{
	struct zk_resp *p = task->privdata;
	struct zk_redis_reply *r;
	size_t cost = sizeof(*r) + POINTER + text + 1;

	if (cost > p->max_bytes - p->used) {
		p->over = true;
		return NULL;
	}
	if (task->parent) {
		struct zk_redis_reply *up = task->parent->obj;

		if (task->idx < 0 || (size_t)task->idx >= up->n)
			return NULL;
	}
	p->used += cost;
	r = zk_alloc0(sizeof(*r) + text + 1);
	r->type = type_of(task->type);
	if (task->parent)
		((struct zk_redis_reply *)task->parent->obj)->items[task->idx] = r;
	return r;
}

static void *on_string(const redisReadTask *task, char *text, size_t n)
{
	struct zk_redis_reply *r = make(task, n);

	if (!r)
		return NULL;
	char *to = (char *)(r + 1);

	memcpy(to, text, n);
	r->str = zk_str_n(to, n);
	return r;
}

static void *on_array(const redisReadTask *task, int n)
{
	struct zk_resp *p = task->privdata;
	struct zk_redis_reply *r;

	if (n < 0 || n > MAX_ITEMS || (size_t)n > (p->max_bytes - p->used) / POINTER) {
		p->over = true;
		return NULL;
	}
	r = make(task, 0);
	if (!r)
		return NULL;
	r->items = zk_alloc_array((size_t)n + 1, POINTER);
	r->n = (size_t)n;
	return r;
}

static void *on_integer(const redisReadTask *task, long long v)
{
	struct zk_redis_reply *r = make(task, 0);

	if (r)
		r->integer = v;
	return r;
}

static void *on_nil(const redisReadTask *task)
{
	struct zk_redis_reply *r = make(task, 0);

	if (r)
		r->type = ZK_REDIS_NIL; /* the task says which kind of nothing */
	return r;
}

static void on_free(void *obj)
{
	zk_redis_reply_free(obj);
}

static redisReplyObjectFunctions functions = { on_string, on_array, on_integer, on_nil,
	                                       on_free };

/* ---- the reader ----------------------------------------------------------------------- */

int zk_resp_new(size_t max_bytes, struct zk_resp **ret, struct zk_error *err)
{
	struct zk_resp *p;

	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	p = zk_new0(struct zk_resp);
	p->max_bytes = max_bytes;
	p->reader = (hi.redisReaderCreateWithFunctions)(&functions);
	ZK_ASSERT(p->reader); /* out of memory */
	p->reader->privdata = p;
	*ret = p;
	return 0;
}

void zk_resp_free(struct zk_resp *p)
{
	if (!p)
		return;
	(hi.redisReaderFree)(p->reader);
	free(p);
}

static int broken(struct zk_resp *p, struct zk_error *err)
{
	if (p->over)
		return zk_fail(err, ZK_E_LIMIT, "an answer is larger than %zu bytes",
		               p->max_bytes);
	(void)zk_fail(err, ZK_E_PROTOCOL, "the answer is no RESP (%s)",
	              p->reader->errstr);
	return zk_err_hint(err, "is this the port of a Redis server, without TLS?");
}

int zk_resp_feed(struct zk_resp *p, zk_str bytes, struct zk_error *err)
{
	if (p->reader->len - p->reader->pos + bytes.n > p->max_bytes + 65536)
		p->over = true;
	if (p->over || (hi.redisReaderFeed)(p->reader, bytes.p, bytes.n) != REDIS_OK)
		return broken(p, err);
	return 0;
}

int zk_resp_next(struct zk_resp *p, struct zk_redis_reply **ret, struct zk_error *err)
{
	void *reply = NULL;

	if (p->over || (hi.redisReaderGetReply)(p->reader, &reply) != REDIS_OK)
		return broken(p, err);
	if (!reply)
		return 0;
	p->used = 0;
	*ret = reply;
	return 1;
}
