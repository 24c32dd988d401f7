/* Random numbers and UUIDs.
 * Layer: base. */
#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/clock.h"

#include "base/ban.h"

/* ---- xoshiro256** ---- */

static uint64_t rotl(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

void zk_rand_seed(struct zk_rand *r, uint64_t seed)
{
	/* splitmix64 spreads the seed, so that the state is never all zero. */
	for (size_t i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15u);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		r->s[i] = z ^ (z >> 31);
	}
}

uint64_t zk_rand_u64(struct zk_rand *r)
{
	uint64_t *s = r->s;
	uint64_t out = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint64_t zk_rand_below(struct zk_rand *r, uint64_t n)
{
	uint64_t reject, x;

	if (n < 2)
		return 0;
	reject = (0 - n) %
	         n; /* 2^64 mod n: values below it would make small results likelier */
	do {
		x = zk_rand_u64(r);
	} while (x < reject);
	return x % n;
}

double zk_rand_unit(struct zk_rand *r)
{
	return (double)(zk_rand_u64(r) >> 11) * 0x1.0p-53;
}

void zk_rand_secret(void *p, size_t n)
{
	char *to = p;

	while (n > 0) {
		ssize_t r = getrandom(to, n, 0);

		ZK_ASSERT(r > 0 || errno == EINTR);
		if (r > 0) {
			to += r;
			n -= (size_t)r;
		}
	}
}

/* ---- UUID ---- */

/* Guards everything below; the pool saves a system call per identifier. */
static pthread_mutex_t uuid_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t uuid_once = PTHREAD_ONCE_INIT;
static struct {
	uint64_t last_ms;
	uint64_t b; /* the 62 random-b bits of the last identifier */
	unsigned a; /* its 12 random-a bits */
	size_t left;
	unsigned char pool[4096];
} uuid;

static void lock_uuid(void)
{
	(void)pthread_mutex_lock(&uuid_lock); /* fails only for misuse */
}

static void unlock_uuid(void)
{
	(void)pthread_mutex_unlock(&uuid_lock);
}

/* A forked child must not hand out the identifiers of its parent. */
static void in_child(void)
{
	uuid.left = 0;
	uuid.last_ms = 0;
	unlock_uuid();
}

static void uuid_start(void)
{
	(void)pthread_atfork(lock_uuid, unlock_uuid, in_child);
}

static void pool_take(void *p, size_t n)
{
	if (uuid.left < n) {
		zk_rand_secret(uuid.pool, sizeof(uuid.pool));
		uuid.left = sizeof(uuid.pool);
	}
	uuid.left -= n;
	memcpy(p, uuid.pool + uuid.left, n);
}

static uint64_t pool_u64(void)
{
	uint64_t x;

	pool_take(&x, sizeof(x));
	return x;
}

#define A_MAX 0xfffu
#define B_MAX ((UINT64_C(1) << 62) - 1)

static void uuid_new_ms(uint64_t ms)
{
	uuid.last_ms = ms;
	uuid.a = (unsigned)pool_u64() & (A_MAX >> 1); /* room to count up */
	uuid.b = pool_u64() & B_MAX;
}

/* The next (a, b) after the last one in the same millisecond. */
static void uuid_step(void)
{
	uint64_t step;

	if (uuid.a < A_MAX) {
		uuid.a++;
		/* The last value of `a` leaves room below B_MAX for the steps that
		 * follow. */
		uuid.b = pool_u64() & (uuid.a == A_MAX ? B_MAX >> 1 : B_MAX);
		return;
	}
	step = 1 + (pool_u64() & 0xffffffffu);
	if (uuid.b <= B_MAX - step)
		uuid.b += step;
	else
		uuid_new_ms(uuid.last_ms + 1);
}

zk_uuid zk_uuid_v7(void)
{
	int64_t now = zk_wall_us() / 1000;
	uint64_t ms = now > 0 ? (uint64_t)now : 0;
	uint64_t b;
	unsigned a;
	zk_uuid u;

	(void)pthread_once(&uuid_once, uuid_start);
	lock_uuid();
	if (ms > uuid.last_ms)
		uuid_new_ms(ms);
	else
		uuid_step(); /* same millisecond, or the clock was set back */
	ms = uuid.last_ms;
	a = uuid.a;
	b = uuid.b;
	unlock_uuid();

	for (unsigned i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	u.b[6] = (uint8_t)(0x70 | a >> 8);
	u.b[7] = (uint8_t)a;
	for (unsigned i = 0; i < 8; i++)
		u.b[8 + i] = (uint8_t)(b >> (56 - 8 * i));
	u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3f));
	return u;
}

zk_uuid zk_uuid_v4(void)
{
	zk_uuid u;

	zk_rand_secret(u.b, sizeof(u.b));
	u.b[6] = (uint8_t)(0x40 | (u.b[6] & 0x0f));
	u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3f));
	return u;
}

void zk_uuid_format(const zk_uuid *u, char out[ZK_UUID_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		out[at++] = hex[u->b[i] >> 4];
		out[at++] = hex[u->b[i] & 15];
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool zk_uuid_parse(zk_str s, zk_uuid *ret)
{
	size_t at = 0;
	zk_uuid u;

	if (s.n != ZK_UUID_TEXT)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && s.p[at++] != '-')
			return false;
		high = hex_value(s.p[at++]);
		low = hex_value(s.p[at++]);
		if (high < 0 || low < 0)
			return false;
		u.b[i] = (uint8_t)(high << 4 | low);
	}
	*ret = u;
	return true;
}
