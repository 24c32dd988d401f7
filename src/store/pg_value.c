/* Parameters and results of PostgreSQL in binary.
 * Layer: store. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/pg.def"

#include "base/ban.h"

#define EPOCH_US ((int64_t)946684800 * 1000000) /* 2000-01-01, PostgreSQL's zero */

/* ---- parameters --------------------------------------------------------------------------- */

void zk_pg_params_init(struct zk_pg_params *p)
{
	memset(p, 0, sizeof(*p));
	/* The owner bounds what it puts; the server takes at most 1 GiB. */
	zk_buf_init(&p->buf, (size_t)1 << 30);
}

void zk_pg_params_clear(struct zk_pg_params *p)
{
	zk_buf_clear(&p->buf);
	p->n = p->elements = 0;
}

void zk_pg_params_done(struct zk_pg_params *p)
{
	zk_buf_done(&p->buf);
	p->n = p->elements = 0;
}

static void put_be32(struct zk_buf *b, uint32_t v)
{
	unsigned char c[4] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16),
		               (unsigned char)(v >> 8), (unsigned char)v };

	zk_buf_put(b, (const char *)c, sizeof(c));
}

/* A value of `n` bytes, -1 = NULL: an element of the open array, or a parameter. */
static void put(struct zk_pg_params *p, const void *v, int n)
{
	if (p->elements) {
		p->elements--;
		put_be32(&p->buf, (uint32_t)n);
		if (n > 0)
			zk_buf_put(&p->buf, v, (size_t)n);
		p->len[p->n - 1] = (int)(p->buf.n - p->off[p->n - 1]);
		return;
	}
	ZK_ASSERT(p->n < ZK_PG_MAX_PARAMS);
	p->off[p->n] = p->buf.n;
	p->len[p->n++] = n;
	if (n > 0)
		zk_buf_put(&p->buf, v, (size_t)n);
}

void zk_pg_array(struct zk_pg_params *p, enum zk_pg_type type, size_t n)
{
	ZK_ASSERT(!p->elements && p->n < ZK_PG_MAX_PARAMS);
	p->off[p->n] = p->buf.n;
	put_be32(&p->buf, n > 0); /* dimensions */
	put_be32(&p->buf, 1);     /* may hold NULL */
	put_be32(&p->buf, type);
	if (n) {
		put_be32(&p->buf, (uint32_t)n);
		put_be32(&p->buf, 1); /* first index */
	}
	p->len[p->n] = (int)(p->buf.n - p->off[p->n]);
	p->n++;
	p->elements = n;
}

void zk_pg_put_null(struct zk_pg_params *p)
{
	put(p, NULL, -1);
}

void zk_pg_put_bytes(struct zk_pg_params *p, zk_str s)
{
	if (s.p)
		put(p, s.p, (int)s.n);
	else
		put(p, NULL, -1);
}

void zk_pg_put_uuid(struct zk_pg_params *p, const zk_uuid *id)
{
	put(p, id->b, sizeof(id->b));
}

void zk_pg_put_bool(struct zk_pg_params *p, bool v)
{
	put(p, v ? "\1" : "\0", 1);
}

static void put_int(struct zk_pg_params *p, uint64_t v, int bytes)
{
	unsigned char c[8];

	for (int i = bytes; i-- > 0; v >>= 8)
		c[i] = (unsigned char)v;
	put(p, c, bytes);
}

void zk_pg_put_i16(struct zk_pg_params *p, int v)
{
	put_int(p, (uint64_t)(int64_t)v, 2);
}

void zk_pg_put_i32(struct zk_pg_params *p, int v)
{
	put_int(p, (uint64_t)(int64_t)v, 4);
}

void zk_pg_put_i64(struct zk_pg_params *p, int64_t v)
{
	put_int(p, (uint64_t)v, 8);
}

void zk_pg_put_double(struct zk_pg_params *p, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put_int(p, bits, 8);
}

void zk_pg_put_time(struct zk_pg_params *p, int64_t us)
{
	if (!us)
		zk_pg_put_null(p);
	else
		zk_pg_put_i64(p, us == INT64_MAX ? us : us - EPOCH_US);
}

int zk_pq_values(const struct zk_pg_params *p, const char **values, int *lengths,
                 int *formats)
{
	if (!p)
		return 0;
	ZK_ASSERT(!p->elements && !p->buf.failed);
	for (size_t i = 0; i < p->n; i++) {
		values[i] = p->len[i] < 0 ? NULL : p->buf.p ? p->buf.p + p->off[i] : "";
		lengths[i] = ZK_MAX(p->len[i], 0);
		formats[i] = 1;
	}
	return (int)p->n;
}

/* ---- results ------------------------------------------------------------------------------ */

size_t zk_pg_rows(const struct zk_pg_res *r)
{
	return (size_t)(zk_pq.PQntuples)(zk_pq_res(r));
}

uint64_t zk_pg_touched(const struct zk_pg_res *r)
{
	const char *text = (zk_pq.PQcmdTuples)(zk_pq_res(r));
	struct zk_error ignored = { 0 };
	uint64_t n = 0;

	return zk_parse_u64(zk_str_of(text), &n, &ignored) < 0 ? 0 : n;
}

bool zk_pg_is_null(const struct zk_pg_res *r, size_t row, int col)
{
	return (zk_pq.PQgetisnull)(zk_pq_res(r), (int)row, col) != 0;
}

zk_str zk_pg_str(const struct zk_pg_res *r, size_t row, int col)
{
	if (zk_pg_is_null(r, row, col))
		return ZK_STR_NULL;
	return zk_str_n((zk_pq.PQgetvalue)(zk_pq_res(r), (int)row, col),
	                (size_t)(zk_pq.PQgetlength)(zk_pq_res(r), (int)row, col));
}

zk_uuid zk_pg_uuid(const struct zk_pg_res *r, size_t row, int col)
{
	zk_str v = zk_pg_str(r, row, col);
	zk_uuid id = { { 0 } };

	if (v.n == sizeof(id.b))
		memcpy(id.b, v.p, sizeof(id.b));
	return id;
}

int64_t zk_pg_i64(const struct zk_pg_res *r, size_t row, int col)
{
	zk_str v = zk_pg_str(r, row, col);
	uint64_t n = 0;

	if (v.n == 0 || v.n > 8)
		return 0;
	if (v.n > 1 && (unsigned char)v.p[0] & 0x80)
		n = UINT64_MAX; /* the sign goes on in front */
	for (size_t i = 0; i < v.n; i++)
		n = n << 8 | (unsigned char)v.p[i];
	return (int64_t)n;
}

double zk_pg_double(const struct zk_pg_res *r, size_t row, int col)
{
	uint64_t bits = (uint64_t)zk_pg_i64(r, row, col);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

int64_t zk_pg_time(const struct zk_pg_res *r, size_t row, int col)
{
	int64_t v = zk_pg_i64(r, row, col), us;

	if (zk_pg_is_null(r, row, col))
		return 0;
	if (v == INT64_MAX || __builtin_add_overflow(v, EPOCH_US, &us))
		return INT64_MAX;
	return us;
}

char *zk_pg_dup(const struct zk_pg_res *r, size_t row, int col)
{
	zk_str v = zk_pg_str(r, row, col);

	return v.p ? zk_strndup(v.p, v.n) : NULL;
}

void zk_pg_res_free(struct zk_pg_res *r)
{
	if (r)
		(zk_pq.PQclear)(zk_pq_res(r));
}
