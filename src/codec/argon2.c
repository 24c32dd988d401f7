/* Argon2id password hashes over libargon2.
 * Layer: codec. */
#include "codec/argon2.h"

#include <argon2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/mem.h"
#include "base/rand.h"

#include "codec/b64.h"
#include "codec/digest.h"

#include "base/ban.h"

#define ARGON2_SYMS(X) X(argon2id_ctx) X(argon2_error_message)
static struct {
	ARGON2_SYMS(ZK_DL_FIELD)
} ar;
#define ROW(s) ZK_DL_ROW_OF(ar, s)
static const struct zk_dl_sym syms[] = { ARGON2_SYMS(ROW) };
ZK_DL_NOTE("argon2", "hashes of API keys", "recommended", "libargon2.so.1");
static struct zk_dl lib = ZK_DL_INIT("libargon2.so.1", "libargon2-1", &ar, syms);

#define SECRET_MAX 4096
#define SALT_MIN   8
#define SALT_MAX   64
#define SALT_NEW   16
#define HASH_MIN   16
#define HASH_MAX   64
#define HASH_NEW   32
#define PHC_MAX    512

#define M_MAX (256u << 10)
#define T_MAX 10u
#define P_MAX 4u

struct zk_argon2 {
	uint8_t *mem;
	size_t size;
};

/* The library's callbacks get no context. */
static _Thread_local struct zk_argon2 *current;

struct zk_argon2 *zk_argon2_new(void)
{
	return zk_new0(struct zk_argon2);
}

static void unmap(struct zk_argon2 *a)
{
	if (a->mem)
		(void)munmap(a->mem, a->size); /* cannot fail for a mapping of ours */
	a->mem = NULL;
	a->size = 0;
}

void zk_argon2_free(struct zk_argon2 *a)
{
	if (!a)
		return;
	unmap(a);
	free(a);
}

void zk_argon2_idle(struct zk_argon2 *a)
{
	if (a->mem)
		(void)madvise(a->mem, a->size, MADV_DONTNEED); /* a hint */
}

static int take_block(uint8_t **memory, size_t n)
{
	struct zk_argon2 *a = current;
	void *mem;

	*memory = NULL;
	if (n > a->size) {
		unmap(a);
		mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		           -1, 0);
		if (mem == MAP_FAILED)
			return ARGON2_MEMORY_ALLOCATION_ERROR;
		(void)madvise(mem, n, MADV_DONTDUMP); /* a hint */
		a->mem = mem;
		a->size = n;
	}
	*memory = a->mem;
	return ARGON2_OK;
}

/* The block stays with its owner; the library has wiped it. */
static void give_block(uint8_t *memory, size_t n)
{
	(void)memory;
	(void)n;
}

struct phc {
	struct zk_argon2_params params;
	uint8_t salt[SALT_MAX], hash[HASH_MAX];
	size_t salt_n, hash_n;
};

static bool params_are_valid(struct zk_argon2_params p)
{
	return p.t >= 1 && p.t <= T_MAX && p.p >= 1 && p.p <= P_MAX &&
	       p.m_kib >= 8 * p.p && p.m_kib <= M_MAX;
}

/* Fills phc->hash from the rest. */
static int compute(struct zk_argon2 *a, struct phc *phc, zk_str secret,
                   struct zk_error *err)
{
	argon2_context ctx = {
		.out = phc->hash,
		.outlen = (uint32_t)phc->hash_n,
		.pwd = (uint8_t *)(uintptr_t)
		               secret.p, /* not written: no flag asks for it */
		.pwdlen = (uint32_t)secret.n,
		.salt = phc->salt,
		.saltlen = (uint32_t)phc->salt_n,
		.t_cost = phc->params.t,
		.m_cost = phc->params.m_kib,
		.lanes = phc->params.p,
		.threads = 1,
		.version = ARGON2_VERSION_13,
		.allocate_cbk = take_block,
		.free_cbk = give_block,
		.flags = ARGON2_DEFAULT_FLAGS,
	};
	int r;

	if (secret.n > SECRET_MAX)
		return zk_fail(err, ZK_E_DATA,
		               "the secret to hash has more than %d bytes", SECRET_MAX);
	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	current = a;
	r = ar.argon2id_ctx(&ctx);
	current = NULL;
	if (r != ARGON2_OK)
		return zk_fail(err, ZK_E_SYSTEM, "cannot compute an argon2id hash: %s",
		               ar.argon2_error_message(r));
	return 0;
}

/* "NAME=NUMBER" as a whole. */
static bool take_param(zk_str text, zk_str name, uint32_t *ret)
{
	struct zk_error err;
	uint64_t v;

	if (!zk_str_starts(text, name) ||
	    zk_parse_u64(zk_str_from(text, name.n), &v, &err) < 0 || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* "m=…,t=…,p=…" */
static bool take_params(zk_str text, struct zk_argon2_params *ret)
{
	zk_str m, t, p = zk_str_cut(text, ',', &m);

	p = zk_str_cut(p, ',', &t);
	return take_param(m, ZK_STR("m="), &ret->m_kib) &&
	       take_param(t, ZK_STR("t="), &ret->t) &&
	       take_param(p, ZK_STR("p="), &ret->p) && params_are_valid(*ret);
}

static bool take_bytes(zk_str text, uint8_t *out, size_t max, size_t *n)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b;

	zk_buf_init(&b, max);
	if (!zk_b64_decode(text, ZK_B64_RAW, &b))
		return false;
	if (b.n)
		memcpy(out, b.p, b.n);
	*n = b.n;
	return true;
}

/* "$argon2id$v=19$m=…,t=…,p=…$salt$hash" */
static bool parse_phc(zk_str text, struct phc *ret)
{
	zk_str part[6], rest = text;

	if (text.n > PHC_MAX)
		return false;
	for (size_t i = 0; i < ZK_ARRAY_LEN(part); i++) {
		if (i > 0 && !rest.p)
			return false;
		rest = zk_str_cut(rest, '$', &part[i]);
	}
	if (rest.p || part[0].n || !zk_str_eq(part[1], ZK_STR("argon2id")) ||
	    !zk_str_eq(part[2], ZK_STR("v=19")))
		return false;
	return take_params(part[3], &ret->params) &&
	       take_bytes(part[4], ret->salt, SALT_MAX, &ret->salt_n) &&
	       ret->salt_n >= SALT_MIN &&
	       take_bytes(part[5], ret->hash, HASH_MAX, &ret->hash_n) &&
	       ret->hash_n >= HASH_MIN;
}

int zk_argon2_hash(struct zk_argon2 *a, struct zk_argon2_params params, zk_str secret,
                   struct zk_buf *phc, struct zk_error *err)
{
	char salt[SALT_NEW];

	zk_rand_secret(salt, sizeof(salt));
	return zk_argon2_hash_salted(a, params, secret, zk_str_n(salt, sizeof(salt)), phc,
	                             err);
}

int zk_argon2_hash_salted(struct zk_argon2 *a, struct zk_argon2_params params,
                          zk_str secret, zk_str salt, struct zk_buf *phc,
                          struct zk_error *err)
{
	struct phc h = { .params = params, .salt_n = salt.n, .hash_n = HASH_NEW };
	int r;

	if (!params_are_valid(params) || salt.n < SALT_MIN || salt.n > SALT_MAX)
		return zk_fail(err, ZK_E_DATA, "argon2id parameters are out of range");
	memcpy(h.salt, salt.p, salt.n);
	r = compute(a, &h, secret, err);
	if (r < 0)
		return r;
	zk_buf_printf(phc, "$argon2id$v=19$m=%u,t=%u,p=%u$", params.m_kib, params.t,
	              params.p);
	zk_b64_encode(salt, ZK_B64_RAW, phc);
	zk_buf_char(phc, '$');
	zk_b64_encode(zk_str_n((const char *)h.hash, h.hash_n), ZK_B64_RAW, phc);
	return zk_buf_check(phc, err);
}

int zk_argon2_verify(struct zk_argon2 *a, zk_str phc, zk_str secret, bool *ret,
                     struct zk_error *err)
{
	struct phc stored, h;
	int r;

	if (!parse_phc(phc, &stored))
		return zk_fail(err, ZK_E_DATA,
		               "the stored text is no argon2id hash that zk accepts");
	h = stored;
	r = compute(a, &h, secret, err);
	if (r < 0)
		return r;
	*ret = zk_equal_ct(h.hash, stored.hash, stored.hash_n);
	return 0;
}
