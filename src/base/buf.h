/* zk_buf: growable bytes with a hard cap chosen by the owner.
 * Layer: base. One owner, one thread at a time.
 *
 * Appending past the cap sets a sticky failure and appends nothing; the writer checks once at
 * the end with zk_buf_check(). */
#ifndef ZK_BASE_BUF_H
#define ZK_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf {
	char *p;     /* NULL until the first byte */
	size_t n;    /* bytes in use */
	size_t room; /* bytes allocated */
	size_t cap;  /* never more than this */
	bool failed; /* an append did not fit */
	bool secret; /* wiped before memory goes back */
};

void zk_buf_init(struct zk_buf *b, size_t cap_bytes);
/* The same for secrets: memory is wiped whenever it is given back. */
void zk_buf_init_secret(struct zk_buf *b, size_t cap_bytes);
/* Frees the bytes; the buffer can be used again with the same cap. For ZK_CLEANUP too. */
void zk_buf_done(struct zk_buf *b);
/* Empties it and clears the failure, keeps the memory. */
void zk_buf_clear(struct zk_buf *b);
/* 0, or -ZK_E_LIMIT with "…larger than N bytes" when an append did not fit. */
int zk_buf_check(const struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;

/* Makes sure `n` more bytes fit and returns where to write them, or NULL (failure set). After
 * writing, the caller adds what it wrote to b->n. */
char *zk_buf_reserve(struct zk_buf *b, size_t n);
void zk_buf_put_slow(struct zk_buf *b, const char *p, size_t n);

static inline void zk_buf_put(struct zk_buf *b, const char *p, size_t n)
{
	if (ZK_LIKELY(n <= b->room - b->n && b->p)) {
		if (n)
			memcpy(b->p + b->n, p, n);
		b->n += n;
		return;
	}
	zk_buf_put_slow(b, p, n);
}

static inline void zk_buf_add(struct zk_buf *b, zk_str s)
{
	zk_buf_put(b, s.p, s.n);
}

static inline void zk_buf_char(struct zk_buf *b, char c)
{
	zk_buf_put(b, &c, 1);
}

#define zk_buf_lit(b, lit) zk_buf_put((b), (lit), sizeof(lit) - 1)

void zk_buf_cstr(struct zk_buf *b, const char *s);
void zk_buf_u64(struct zk_buf *b, uint64_t v);
void zk_buf_i64(struct zk_buf *b, int64_t v);
void zk_buf_printf(struct zk_buf *b, const char *fmt, ...) ZK_PRINTF(2, 3);
void zk_buf_vprintf(struct zk_buf *b, const char *fmt, va_list ap) ZK_PRINTF(2, 0);
/* `s` as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void zk_buf_json_str(struct zk_buf *b, zk_str s);
/* Base64 (RFC 4648) with + and /, or - and _ when `url`; padded with = when `pad`. */
void zk_buf_base64(struct zk_buf *b, zk_str bytes, bool url, bool pad);
/* Everything outside [A-Za-z0-9-._~] as %XX. */
void zk_buf_percent(struct zk_buf *b, zk_str s);
/* Drops `n` bytes from the front. */
void zk_buf_consume(struct zk_buf *b, size_t n);

static inline zk_str zk_buf_str(const struct zk_buf *b)
{
	return (zk_str){ b->p, b->n };
}

/* The bytes as a NUL-terminated string the buffer still owns ("" when empty or failed). */
const char *zk_buf_cstring(struct zk_buf *b);
/* Moves the bytes out as a NUL-terminated string that the caller frees; the buffer is empty
 * afterwards. */
char *zk_buf_take(struct zk_buf *b);

#endif
