/* gRPC: message framing, names of codes.
 * Layer: net. specs/zerobus.md §5.3, §9.1. Pure. */
#include <string.h>

#include "net/grpc.h"

#include "base/ban.h"

static const struct {
	const char *name;
	bool retryable;
} codes[] = {
	[ZK_GRPC_OK] = { "OK", true },
	[ZK_GRPC_CANCELLED] = { "CANCELLED", true },
	[ZK_GRPC_UNKNOWN] = { "UNKNOWN", true },
	[ZK_GRPC_INVALID_ARGUMENT] = { "INVALID_ARGUMENT", false },
	[ZK_GRPC_DEADLINE_EXCEEDED] = { "DEADLINE_EXCEEDED", true },
	[ZK_GRPC_NOT_FOUND] = { "NOT_FOUND", false },
	[ZK_GRPC_ALREADY_EXISTS] = { "ALREADY_EXISTS", true },
	[ZK_GRPC_PERMISSION_DENIED] = { "PERMISSION_DENIED", false },
	[ZK_GRPC_RESOURCE_EXHAUSTED] = { "RESOURCE_EXHAUSTED", true },
	[ZK_GRPC_FAILED_PRECONDITION] = { "FAILED_PRECONDITION", true },
	[ZK_GRPC_ABORTED] = { "ABORTED", true },
	[ZK_GRPC_OUT_OF_RANGE] = { "OUT_OF_RANGE", false },
	[ZK_GRPC_UNIMPLEMENTED] = { "UNIMPLEMENTED", false },
	[ZK_GRPC_INTERNAL] = { "INTERNAL", true },
	[ZK_GRPC_UNAVAILABLE] = { "UNAVAILABLE", true },
	[ZK_GRPC_DATA_LOSS] = { "DATA_LOSS", true },
	[ZK_GRPC_UNAUTHENTICATED] = { "UNAUTHENTICATED", false },
};

static bool is_known(int code)
{
	return code >= 0 && (size_t)code < ZK_ARRAY_LEN(codes);
}

const char *zk_grpc_code_name(int code)
{
	return is_known(code) ? codes[code].name : "UNKNOWN";
}

bool zk_grpc_code_is_retryable(int code)
{
	return !is_known(code) || codes[code].retryable;
}

void zk_grpc_put_head(char to[ZK_GRPC_HEAD], uint32_t n)
{
	to[0] = 0;
	to[1] = (char)(n >> 24);
	to[2] = (char)(n >> 16);
	to[3] = (char)(n >> 8);
	to[4] = (char)n;
}

void zk_grpc_split_init(struct zk_grpc_split *s, size_t max_message)
{
	memset(s, 0, sizeof(*s));
	s->max_message = max_message;
	zk_buf_init(&s->body, max_message);
}

void zk_grpc_split_done(struct zk_grpc_split *s)
{
	zk_buf_done(&s->body);
}

bool zk_grpc_split_is_whole(const struct zk_grpc_split *s)
{
	return s->n_head == 0 || s->handed;
}

/* 1 when the head is complete and good. */
static int read_head(struct zk_grpc_split *s, zk_str *chunk, struct zk_error *err)
{
	size_t n = ZK_MIN(ZK_GRPC_HEAD - s->n_head, chunk->n);

	if (n)
		memcpy(s->head + s->n_head, chunk->p, n);
	s->n_head += n;
	*chunk = zk_str_from(*chunk, n);
	if (s->n_head && s->head[0] != 0)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "a gRPC message has the flag %u instead of 0", s->head[0]);
	if (s->n_head < ZK_GRPC_HEAD)
		return 0;
	s->want = (size_t)s->head[1] << 24 | (size_t)s->head[2] << 16 |
	          (size_t)s->head[3] << 8 | s->head[4];
	if (s->want > s->max_message)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "a gRPC message of %zu bytes is longer than %zu", s->want,
		               s->max_message);
	return 1;
}

int zk_grpc_split_next(struct zk_grpc_split *s, zk_str *chunk, zk_str *ret,
                       struct zk_error *err)
{
	size_t n;

	if (s->handed) {
		zk_buf_clear(&s->body);
		s->n_head = 0;
		s->handed = false;
	}
	if (s->n_head < ZK_GRPC_HEAD) {
		int r = read_head(s, chunk, err);

		if (r <= 0)
			return r;
	}
	n = ZK_MIN(s->want - s->body.n, chunk->n);
	if (s->body.n == 0 && n == s->want) { /* whole in this chunk */
		*ret = zk_str_n(chunk->p, n);
	} else {
		zk_buf_put(&s->body, chunk->p, n);
		*ret = zk_buf_str(&s->body);
	}
	*chunk = zk_str_from(*chunk, n);
	if (ret->n < s->want)
		return 0;
	s->handed = true;
	return 1;
}
