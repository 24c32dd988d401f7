/* Names into addresses: getaddrinfo() in detached threads.
 * Layer: net. */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_FOUND   16
#define MAX_THREADS 512 /* those of given up names count until the name service answers */
#define STACK_BYTES ((size_t)256 << 10)

struct zk_resolve {
	struct zk_loop *loop;
	zk_resolve_fn fn;
	void *ctx;
	char *host;
	char port[24];
	struct zk_addr found[MAX_FOUND];
	size_t n;
	const char *why;
	/* With a thread: it and the owner hold one each. `lock` guards `holders` and whether the
	 * owner still wants to hear of it. */
	pthread_mutex_t lock;
	unsigned holders;
	bool wanted;
};

/* ---- addresses ---- */

bool zk_addr_parse(zk_str text, int port, struct zk_addr *ret)
{
	char s[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(s) || memchr(text.p, '\0', text.n))
		return false;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	*ret = (struct zk_addr){ .n = sizeof(ret->to.v4) };
	if (inet_pton(AF_INET, s, &ret->to.v4.sin_addr) == 1) {
		ret->to.v4.sin_family = AF_INET;
		ret->to.v4.sin_port = htons((uint16_t)port);
		return true;
	}
	if (inet_pton(AF_INET6, s, &ret->to.v6.sin6_addr) != 1)
		return false;
	ret->n = sizeof(ret->to.v6);
	ret->to.v6.sin6_family = AF_INET6;
	ret->to.v6.sin6_port = htons((uint16_t)port);
	return true;
}

void zk_addr_text(const struct zk_addr *a, char ret[ZK_ADDR_TEXT])
{
	if (getnameinfo(&a->to.any, a->n, ret, ZK_ADDR_TEXT, NULL, 0, NI_NUMERICHOST))
		ret[0] = '\0';
}

int zk_addr_port(const struct zk_addr *a)
{
	return ntohs(a->to.any.sa_family == AF_INET ? a->to.v4.sin_port
	                                            : a->to.v6.sin6_port);
}

/* ---- the end ---- */

static void let_go(struct zk_resolve *r)
{
	bool last;

	(void)pthread_mutex_lock(&r->lock); /* fails only for misuse */
	last = --r->holders == 0;
	(void)pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	(void)pthread_mutex_destroy(&r->lock);
	free(r->host);
	free(r);
}

static void tell(void *ctx)
{
	struct zk_resolve *r = ctx;

	zk_loop_release(r->loop);
	r->wanted = false;
	r->fn(r->ctx, r->found, r->n, r->why);
	let_go(r);
}

void zk_resolve_cancel(struct zk_resolve *r)
{
	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->wanted = false;
	(void)pthread_mutex_unlock(&r->lock);
	zk_loop_forget(r->loop, tell, r);
	zk_loop_release(r->loop);
	let_go(r);
}

/* ---- asking ---- */

static unsigned n_threads; /* under `count_lock` */
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;

static bool count_thread(int by)
{
	bool room;

	(void)pthread_mutex_lock(&count_lock);
	room = by < 0 || n_threads < MAX_THREADS;
	if (room)
		n_threads += (unsigned)by;
	(void)pthread_mutex_unlock(&count_lock);
	return room;
}

static void collect(struct zk_resolve *r, const struct addrinfo *list)
{
	for (const struct addrinfo *a = list; a && r->n < MAX_FOUND; a = a->ai_next) {
		struct zk_addr *to = &r->found[r->n];

		if (a->ai_addrlen > sizeof(to->to))
			continue;
		memcpy(&to->to, a->ai_addr, a->ai_addrlen);
		to->n = a->ai_addrlen;
		r->n++;
	}
}

static void ask(struct zk_resolve *r)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		                               .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(r->host, r->port, &hints, &list);

	if (rc != 0) {
		r->why = gai_strerror(rc);
		return;
	}
	collect(r, list);
	freeaddrinfo(list);
}

static void *thread(void *ctx)
{
	struct zk_resolve *r = ctx;

	ask(r);
	(void)pthread_mutex_lock(&r->lock);
	if (r->wanted) /* so its loop is there */
		zk_loop_post(r->loop, tell, r);
	(void)pthread_mutex_unlock(&r->lock);
	let_go(r);
	(void)count_thread(-1);
	return NULL;
}

static bool start_thread(struct zk_resolve *r)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	bool ok;

	if (!count_thread(1))
		return false;
	(void)sigfillset(&all); /* signals are for the loop's thread */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r->holders++;
	ok = pthread_create(&id, &attr, thread, r) == 0;
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ok) {
		r->holders--;
		(void)count_thread(-1);
	}
	return ok;
}

/* What needs no name service. */
static bool is_known(struct zk_resolve *r, int port)
{
	zk_str host = zk_str_of(r->host);

	if (zk_addr_parse(host, port, &r->found[0])) {
		r->n = 1;
		return true;
	}
	if (!zk_str_eq_nocase(host, ZK_STR("localhost")) &&
	    !zk_str_ends(host, ZK_STR(".localhost")))
		return false;
	r->n = zk_addr_parse(ZK_STR("::1"), port, &r->found[0]) &&
	                       zk_addr_parse(ZK_STR("127.0.0.1"), port, &r->found[1])
	               ? 2
	               : 0;
	return true;
}

struct zk_resolve *zk_resolve_start(struct zk_loop *l, const char *host, int port,
                                    zk_resolve_fn fn, void *ctx)
{
	struct zk_resolve *r = zk_new0(struct zk_resolve);

	r->loop = l;
	r->fn = fn;
	r->ctx = ctx;
	r->host = zk_strdup(host);
	r->port[zk_format_u64((uint64_t)port, r->port)] = '\0';
	r->why = "the name has no address";
	r->holders = 1;
	r->wanted = true;
	(void)pthread_mutex_init(&r->lock, NULL);
	zk_loop_hold(l);
	if (is_known(r, port))
		zk_loop_defer(l, tell, r);
	else if (!start_thread(r)) {
		r->why = "no thread can be started for it";
		zk_loop_defer(l, tell, r);
	}
	return r;
}
