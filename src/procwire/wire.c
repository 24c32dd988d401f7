/* Frames of procwire.
 * Layer: procwire. */
#include "procwire/wire.h"

#include "base/ban.h"

const char *zk_pw_header_wrong(struct zk_pw_header h, uint32_t max_payload)
{
	if (h.method == 0)
		return "method id 0";
	if (h.flags & ZK_PW_RESERVED)
		return "reserved flags are set";
	if (h.length > max_payload)
		return "the payload is longer than the limit";
	return NULL;
}

void zk_pw_decoder_init(struct zk_pw_decoder *d, uint32_t max_payload)
{
	*d = (struct zk_pw_decoder){ .max_payload = max_payload };
}

static enum zk_pw_found take_piece(struct zk_pw_decoder *d, zk_str *in)
{
	size_t n = ZK_MIN(in->n, (size_t)d->left);

	if (!n)
		return ZK_PW_MORE;
	d->bytes = zk_str_n(in->p, n);
	*in = zk_str_from(*in, n);
	d->left -= (uint32_t)n;
	return d->left ? ZK_PW_PIECE : ZK_PW_LAST;
}

/* The 11 bytes of a header that is split over several inputs. */
static const char *gather(struct zk_pw_decoder *d, zk_str *in)
{
	size_t n = ZK_MIN(in->n, ZK_PW_HEADER - d->n_head);

	if (n)
		memcpy(d->head + d->n_head, in->p, n);
	d->n_head += n;
	*in = zk_str_from(*in, n);
	if (d->n_head < ZK_PW_HEADER)
		return NULL;
	d->n_head = 0;
	return d->head;
}

enum zk_pw_found zk_pw_decode(struct zk_pw_decoder *d, zk_str *in)
{
	const char *head;

	if (d->wrong)
		return ZK_PW_WRONG;
	if (d->left)
		return take_piece(d, in);
	if (ZK_LIKELY(d->n_head == 0 && in->n >= ZK_PW_HEADER)) {
		head = in->p;
		*in = zk_str_n(in->p + ZK_PW_HEADER, in->n - ZK_PW_HEADER);
	} else {
		head = gather(d, in);
		if (!head)
			return ZK_PW_MORE;
	}
	d->header = zk_pw_header_get(head);
	d->why = zk_pw_header_wrong(d->header, d->max_payload);
	if (ZK_UNLIKELY(d->why)) {
		d->wrong = true;
		return ZK_PW_WRONG;
	}
	if (ZK_LIKELY(in->n >= d->header.length)) {
		d->bytes = zk_str_n(in->p, d->header.length);
		*in = zk_str_n(in->p + d->header.length, in->n - d->header.length);
		return ZK_PW_FRAME;
	}
	d->left = d->header.length;
	return ZK_PW_BEGIN;
}
