/* The protobuf wire format.
 * Layer: codec. */
#include "codec/pb.h"

#include "base/buf.h"

#include "base/ban.h"

const char *zk_pb_type_name(unsigned type)
{
	static const char *const names[] = {
		"?",        "double",   "float",   "int64",  "uint64",
		"int32",    "fixed64",  "fixed32", "bool",   "string",
		"group",    "message",  "bytes",   "uint32", "enum",
		"sfixed32", "sfixed64", "sint32",  "sint64",
	};

	return type < ZK_ARRAY_LEN(names) ? names[type] : names[0];
}

int zk_pb_type_wire(unsigned type)
{
	static const signed char wires[] = { -1, 1, 5, 0, 0, 0, 1, 5, 0, 2,
		                             -1, 2, 2, 0, 0, 5, 1, 0, 0 };

	return type < ZK_ARRAY_LEN(wires) ? wires[type] : -1;
}

/* ---- writing ---- */

void zk_pb_put_varint(struct zk_buf *b, uint64_t v)
{
	char text[ZK_PB_VARINT_MAX];

	zk_buf_put(b, text, (size_t)(zk_pb_write_varint(text, v) - text));
}

void zk_pb_put_int(struct zk_buf *b, uint32_t number, int64_t v)
{
	zk_pb_put_varint(b, zk_pb_tag(number, ZK_PB_VARINT));
	zk_pb_put_varint(b, (uint64_t)v);
}

void zk_pb_put_bytes(struct zk_buf *b, uint32_t number, zk_str bytes)
{
	zk_pb_put_varint(b, zk_pb_tag(number, ZK_PB_LEN));
	zk_pb_put_varint(b, bytes.n);
	zk_buf_add(b, bytes);
}

/* One byte is left for the length; most messages need no more, the others are moved. */
size_t zk_pb_put_open(struct zk_buf *b, uint32_t number)
{
	zk_pb_put_varint(b, zk_pb_tag(number, ZK_PB_LEN));
	zk_buf_char(b, 0);
	return b->n;
}

void zk_pb_put_close(struct zk_buf *b, size_t mark)
{
	size_t n = b->n - mark, extra = zk_pb_varint_size(n) - 1;

	if (b->failed)
		return;
	if (extra) {
		if (!zk_buf_reserve(b, extra))
			return;
		memmove(b->p + mark + extra, b->p + mark, n);
		b->n += extra;
	}
	(void)zk_pb_write_varint(b->p + mark - 1, n); /* where it ends is known */
}

/* ---- reading ---- */

void zk_pb_in_init(struct zk_pb_in *in, zk_str bytes)
{
	in->p = bytes.p;
	in->end = bytes.n ? bytes.p + bytes.n : bytes.p;
	in->what = NULL;
}

int zk_pb_take_varint(zk_str *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s->n; i++) {
		unsigned char c = (unsigned char)s->p[i];

		if (i == 9 && c > 1)
			return -1;
		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (c < 0x80) {
			*s = zk_str_from(*s, i + 1);
			*ret = v;
			return 1;
		}
		if (i == 9)
			return -1;
	}
	return 0;
}

static int bad(struct zk_pb_in *in, const char *what)
{
	in->what = what;
	return -1;
}

static int take_fixed(struct zk_pb_in *in, zk_str *rest, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (rest->n < n)
		return bad(in, "a field is cut short");
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)rest->p[i] << (8 * i);
	*rest = zk_str_from(*rest, n);
	*ret = v;
	return 1;
}

static int take_bytes(struct zk_pb_in *in, zk_str *rest, zk_str *ret)
{
	uint64_t n;
	int r = zk_pb_take_varint(rest, &n);

	if (r <= 0 || n > rest->n)
		return bad(in, r < 0 ? "a length is longer than 64 bits"
		                     : "a field is cut short");
	*ret = zk_str_n(rest->p, (size_t)n);
	*rest = zk_str_from(*rest, (size_t)n);
	return 1;
}

static int take_value(struct zk_pb_in *in, zk_str *rest, struct zk_pb_item *it)
{
	int r;

	switch ((unsigned)it->wire) {
	case ZK_PB_VARINT:
		r = zk_pb_take_varint(rest, &it->v);
		return r > 0 ? r
		             : bad(in, r < 0 ? "a number is longer than 64 bits"
		                             : "a field is cut short");
	case ZK_PB_I64:
		return take_fixed(in, rest, 8, &it->v);
	case ZK_PB_I32:
		return take_fixed(in, rest, 4, &it->v);
	case ZK_PB_LEN:
		return take_bytes(in, rest, &it->bytes);
	case 3:
	case 4:
		return bad(in, "groups are not supported");
	}
	return bad(in, "there is no such wire type");
}

int zk_pb_next(struct zk_pb_in *in, struct zk_pb_item *ret)
{
	zk_str rest = { in->p, (size_t)(in->end - in->p) };
	struct zk_pb_item it = { 0 };
	uint64_t tag;
	int r;

	if (!rest.n)
		return 0;
	r = zk_pb_take_varint(&rest, &tag);
	if (r <= 0)
		return bad(in, r < 0 ? "a tag is longer than 64 bits"
		                     : "a field is cut short");
	if (tag >> 3 == 0 || tag >> 3 > ZK_PB_NUMBER_MAX)
		return bad(in, "a field number is out of range");
	it.number = (uint32_t)(tag >> 3);
	it.wire = (enum zk_pb_wire)(tag & 7);
	r = take_value(in, &rest, &it);
	if (r < 0)
		return r;
	in->p = rest.p;
	*ret = it;
	return 1;
}
