/* What threads share in base and codec: UUIDs, the hash key, lazy libraries, the choice
 * of the SHA-256 code.
 * Layer: tests. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dl.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/argon2.h"
#include "codec/digest.h"
#include "base/buf.h"
#include "tap.h"

#include "base/ban.h"

#define THREADS 4
#define UUIDS   50000

static pthread_barrier_t gate;

static void run(void *(*fn)(void *), void *results[THREADS])
{
	pthread_t threads[THREADS];

	if (pthread_barrier_init(&gate, NULL, THREADS) != 0)
		abort();
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, fn, NULL) != 0)
			abort();
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], &results[i]);
	pthread_barrier_destroy(&gate);
}

static void *make_uuids(void *ctx)
{
	zk_uuid *u = zk_alloc_array(UUIDS, sizeof(*u));

	(void)ctx;
	pthread_barrier_wait(&gate);
	for (size_t i = 0; i < UUIDS; i++)
		u[i] = zk_uuid_v7();
	return u;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(zk_uuid));
}

static void test_uuids(void)
{
	zk_uuid *all = zk_alloc_array((size_t)THREADS * UUIDS, sizeof(*all));
	void *parts[THREADS];
	bool rising = true, unique = true;

	run(make_uuids, parts);
	for (size_t t = 0; t < THREADS; t++) {
		zk_uuid *u = parts[t];

		for (size_t i = 1; i < UUIDS; i++)
			rising &= compare(&u[i - 1], &u[i]) < 0;
		memcpy(all + t * UUIDS, u, UUIDS * sizeof(*u));
		free(u);
	}
	qsort(all, (size_t)THREADS * UUIDS, sizeof(*all), compare);
	for (size_t i = 1; i < (size_t)THREADS * UUIDS; i++)
		unique &= compare(&all[i - 1], &all[i]) != 0;
	free(all);
	tap_ok(rising, "identifiers rise within each thread");
	tap_ok(unique, "no identifier twice");
}

#define SYMS(X) X(cos) X(hypot)
double cos(double);
double hypot(double, double);
static struct {
	SYMS(ZK_DL_FIELD)
} m;
#define ROW(s) ZK_DL_ROW_OF(m, s)
static const struct zk_dl_sym syms[] = { SYMS(ROW) };
static struct zk_dl lib = ZK_DL_INIT("libm.so.6", "libc6", &m, syms);

static void *open_lib(void *ctx)
{
	struct zk_error err;

	(void)ctx;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 1000; i++)
		if (zk_dl_open(&lib, &err) < 0 || (m.hypot)(3, 4) != 5)
			return &lib;
	return NULL;
}

static void test_dl(void)
{
	void *failed[THREADS];
	bool ok = true;

	run(open_lib, failed);
	for (size_t i = 0; i < THREADS; i++)
		ok &= !failed[i];
	tap_ok(ok, "a library is opened once for all threads");
}

static void *hash(void *ctx)
{
	static const uint8_t abc[4] = { 0xba, 0x78, 0x16, 0xbf };
	uint8_t out[ZK_SHA256_SIZE];
	uint64_t h;

	(void)ctx;
	pthread_barrier_wait(&gate);
	h = zk_hash(ZK_STR("abc"));
	for (int i = 0; i < 1000; i++) {
		zk_sha256(ZK_STR("abc"), out);
		if (memcmp(out, abc, sizeof(abc)) != 0 || zk_hash(ZK_STR("abc")) != h)
			return &lib;
	}
	return NULL;
}

static void test_hashes(void)
{
	void *failed[THREADS];
	bool ok = true;

	run(hash, failed);
	for (size_t i = 0; i < THREADS; i++)
		ok &= !failed[i];
	tap_ok(ok, "hashes are the same in every thread");
}

/* Each lane has its own memory; libargon2's callbacks must find the right one. */
static void *hash_password(void *ctx)
{
	struct zk_argon2 *a = zk_argon2_new();
	struct zk_argon2_params p = { .m_kib = 64, .t = 1, .p = 1 };
	struct zk_error err;
	struct zk_buf b;
	void *ret = NULL;
	bool same = false;

	(void)ctx;
	zk_buf_init(&b, 200);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 20; i++) {
		zk_buf_clear(&b);
		if (zk_argon2_hash(a, p, ZK_STR("secret"), &b, &err) < 0 ||
		    zk_argon2_verify(a, zk_buf_str(&b), ZK_STR("secret"), &same, &err) <
		            0 ||
		    !same)
			ret = &lib;
		if (i % 5 == 0)
			zk_argon2_idle(a);
	}
	zk_buf_done(&b);
	zk_argon2_free(a);
	return ret;
}

static void test_argon2(void)
{
	void *failed[THREADS];
	bool ok = true;

	run(hash_password, failed);
	for (size_t i = 0; i < THREADS; i++)
		ok &= !failed[i];
	tap_ok(ok, "passwords are hashed in several lanes at once");
}

int main(void)
{
	test_uuids();
	test_dl();
	test_hashes();
	test_argon2();
	return tap_done();
}
