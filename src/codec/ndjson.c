/* Splits a byte stream into lines.
 * Layer: codec. */
#include "codec/ndjson.h"

#include "base/mem.h"

#include "base/ban.h"

/* A kept part may hold a line and, counted towards neither, a CR and a BOM; one byte more
 * shows that it was cut. */
#define SPARE 5

void zk_ndjson_init(struct zk_ndjson *s, size_t max_line_bytes)
{
	size_t max = ZK_MIN(max_line_bytes, (size_t)PTRDIFF_MAX - SPARE - 1);

	*s = (struct zk_ndjson){ .max_line = max };
	zk_buf_init(&s->part, max + SPARE);
}

void zk_ndjson_done(struct zk_ndjson *s)
{
	zk_buf_done(&s->part);
}

/* Keeps what fits; the rest of a line that is too long need not be remembered. */
static void keep(struct zk_ndjson *s, zk_str piece)
{
	size_t room = s->part.cap - s->part.n;

	zk_buf_put(&s->part, piece.p, ZK_MIN(piece.n, room));
}

static bool is_blank(zk_str line)
{
	if (line.n && (unsigned char)line.p[0] > ' ')
		return false;
	return zk_str_trim(line).n == 0;
}

/* Makes a line of its bytes without the LF; false when it is to be skipped. `n` is the
 * length it has in the stream, which `text` may not hold whole. */
static bool make_line(struct zk_ndjson *s, zk_str text, struct zk_ndjson_line *ret)
{
	static const zk_str bom = ZK_STR_INIT("\xEF\xBB\xBF");
	uint64_t offset = s->start;
	bool cut = text.n == s->part.cap;

	if (offset == 0 && zk_str_starts(text, bom)) {
		text = zk_str_from(text, bom.n);
		offset = bom.n;
	}
	if (!cut && text.n && text.p[text.n - 1] == '\r')
		text.n--;
	if (text.n <= s->max_line && is_blank(text))
		return false;
	*ret = (struct zk_ndjson_line){ .text = text,
		                        .number = s->number,
		                        .offset = offset,
		                        .too_long = text.n > s->max_line };
	ret->text.n = ZK_MIN(text.n, s->max_line);
	return true;
}

static void forget(struct zk_ndjson *s)
{
	if (s->handed)
		zk_buf_clear(&s->part);
	s->handed = false;
}

bool zk_ndjson_next(struct zk_ndjson *s, zk_str *chunk, struct zk_ndjson_line *ret)
{
	forget(s);
	while (chunk->n) {
		ptrdiff_t at = zk_str_find_char(*chunk, '\n');
		zk_str piece = *chunk;
		bool found;

		if (at < 0) {
			keep(s, piece);
			s->offset += piece.n;
			*chunk = zk_str_from(*chunk, piece.n);
			return false;
		}
		piece.n = (size_t)at;
		*chunk = zk_str_from(*chunk, piece.n + 1);
		s->offset += piece.n + 1;
		s->number++;
		if (s->part.n) {
			keep(s, piece);
			piece = zk_buf_str(&s->part);
			s->handed = true;
		}
		/* One rule for whole and for kept lines: see make_line(). */
		piece.n = ZK_MIN(piece.n, s->part.cap);
		found = make_line(s, piece, ret);
		s->start = s->offset;
		if (found)
			return true;
		forget(s);
	}
	return false;
}

bool zk_ndjson_last(struct zk_ndjson *s, struct zk_ndjson_line *ret)
{
	bool found;

	forget(s);
	if (!s->part.n)
		return false;
	s->number++;
	s->handed = true;
	found = make_line(s, zk_buf_str(&s->part), ret);
	s->start = s->offset;
	return found;
}
