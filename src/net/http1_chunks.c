/* Strict decoder of chunked bodies (RFC 9112 §7.1).
 * Layer: net. */
#include "net/http1.h"
#include "net/http1_class.h"

#include "base/ban.h"

#define MAX_DIGITS     8
#define MAX_LINE_BYTES 8192

enum chunk_state {
	SIZE,      /* hexadecimal digits */
	EXTENSION, /* behind ';' */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER, /* first byte of a trailer line, or the last CR */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	END,
};

void zk_http1_chunks_init(struct zk_http1_chunks *c)
{
	*c = (struct zk_http1_chunks){ .state = SIZE };
}

static unsigned hex_value(char ch)
{
	if (zk_http1_is_digit(ch))
		return (unsigned)(ch - '0');
	return (unsigned)((ch | 0x20) - 'a' + 10);
}

static enum zk_http1_result go(struct zk_http1_chunks *c, enum chunk_state next)
{
	c->state = (uint8_t)next;
	return ZK_HTTP1_MORE;
}

static enum zk_http1_result expect(struct zk_http1_chunks *c, char ch, char want,
                                   enum chunk_state next)
{
	return ch == want ? go(c, next) : ZK_HTTP1_BAD;
}

/* RFC 9112 §7.1; no white space, which would be a matter of opinion between two readers. */
static enum zk_http1_result size_byte(struct zk_http1_chunks *c, char ch)
{
	if (zk_http1_is_hex(ch)) {
		if (++c->digits > MAX_DIGITS)
			return ZK_HTTP1_BAD;
		c->left = c->left << 4 | hex_value(ch);
		return ZK_HTTP1_MORE;
	}
	if (c->digits == 0)
		return ZK_HTTP1_BAD;
	return ch == ';' ? go(c, EXTENSION) : expect(c, ch, '\r', SIZE_LF);
}

/* A byte of a line that is checked and thrown away; a CR ends it. */
static enum zk_http1_result text_byte(struct zk_http1_chunks *c, uint32_t *count, char ch,
                                      enum chunk_state at_cr)
{
	if (ch == '\r')
		return go(c, at_cr);
	if (zk_http1_is(ch, ZK_HTTP1_CTL))
		return ZK_HTTP1_BAD;
	return ++*count > MAX_LINE_BYTES ? ZK_HTTP1_TOO_LONG : ZK_HTTP1_MORE;
}

static enum zk_http1_result name_byte(struct zk_http1_chunks *c, char ch)
{
	if (++c->trailer > MAX_LINE_BYTES)
		return ZK_HTTP1_TOO_LONG;
	if (ch == ':' && c->state == TRAILER_NAME)
		return go(c, TRAILER_VALUE);
	return zk_http1_is(ch, ZK_HTTP1_TOKEN) ? go(c, TRAILER_NAME) : ZK_HTTP1_BAD;
}

static enum zk_http1_result size_line_end(struct zk_http1_chunks *c, char ch)
{
	c->digits = 0;
	return expect(c, ch, '\n', c->left ? DATA : TRAILER);
}

static enum zk_http1_result chunk_byte(struct zk_http1_chunks *c, char ch)
{
	switch ((enum chunk_state)c->state) {
	case SIZE:
		return size_byte(c, ch);
	case EXTENSION:
		return text_byte(c, &c->line, ch, SIZE_LF);
	case SIZE_LF:
		return size_line_end(c, ch);
	case DATA_CR:
		return expect(c, ch, '\r', DATA_LF);
	case DATA_LF:
		return expect(c, ch, '\n', SIZE);
	case TRAILER:
		return ch == '\r' ? go(c, END_LF) : name_byte(c, ch);
	case TRAILER_NAME:
		return name_byte(c, ch);
	case TRAILER_VALUE:
		return text_byte(c, &c->trailer, ch, TRAILER_LF);
	case TRAILER_LF:
		return expect(c, ch, '\n', TRAILER);
	case END_LF:
		c->state = END;
		return ch == '\n' ? ZK_HTTP1_DONE : ZK_HTTP1_BAD;
	case DATA:
	case END:
		break;
	}
	return ZK_HTTP1_BAD;
}

enum zk_http1_result zk_http1_chunks_next(struct zk_http1_chunks *c, zk_str in,
                                          zk_str *data, size_t *used)
{
	size_t i = 0;

	*data = ZK_STR_NULL;
	for (; i < in.n; i++) {
		if (c->state == DATA) {
			*data = zk_str_n(in.p + i, ZK_MIN(in.n - i, c->left));
			c->left -= data->n;
			*used = i + data->n;
			return c->left ? ZK_HTTP1_MORE : go(c, DATA_CR);
		}
		enum zk_http1_result r = chunk_byte(c, in.p[i]);
		if (r != ZK_HTTP1_MORE) {
			*used = i + 1;
			return r;
		}
	}
	*used = i;
	return ZK_HTTP1_MORE;
}
