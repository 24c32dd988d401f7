/* Redaction: the secrets this process knows, in the forms in which they could show up.
 * Layer: base. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include "base/ban.h"

/* Shorter values would blank out half of every line. */
#define SECRET_MIN 6
#define SECRET_MAX 65536
/* More than this many: the oldest makes room (tokens that were renewed long ago). */
#define SECRETS 256
#define FORMS   9

struct form {
	size_t off, n; /* in `mem` */
	bool base64;   /* a part of a longer word: what is around it goes too */
};

struct secret {
	char *mem; /* locked; all forms one after the other, the first is the secret itself */
	size_t size;
	struct form forms[FORMS];
	size_t n_forms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret secrets[SECRETS];
static size_t n_secrets, next_slot;
static bool at_exit;

static void drop(struct secret *s)
{
	if (!s->mem)
		return;
	zk_wipe(s->mem, s->size);
	(void)munmap(s->mem, s->size); /* cannot fail for a mapping of ours */
	*s = (struct secret){ 0 };
}

static void forget_all(void)
{
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_secrets; i++)
		drop(&secrets[i]);
	n_secrets = next_slot = 0;
	(void)pthread_mutex_unlock(&lock);
}

static void add_form(struct secret *s, struct zk_buf *all, size_t from, bool base64)
{
	zk_str text = zk_str_n(all->p + from, all->n - from);

	for (size_t i = 0; i < s->n_forms; i++)
		if (zk_str_eq(text, zk_str_n(all->p + s->forms[i].off, s->forms[i].n)))
			return;
	if (text.n >= SECRET_MIN)
		s->forms[s->n_forms++] = (struct form){ from, text.n, base64 };
}

/* The part of the base64 text that `secret` decides when `before` bytes (0 to 2) stand in its
 * group in front of it: "user:secret" is found as well. */
static void add_base64(struct secret *s, struct zk_buf *all, zk_str secret, size_t before,
                       bool url)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf bytes, text;
	size_t skip = (before * 8 + 5) / 6, end = (before + secret.n) * 8 / 6,
	       from = all->n;

	zk_buf_init_secret(&bytes, SECRET_MAX + 2);
	zk_buf_init_secret(&text, 2 * SECRET_MAX);
	zk_buf_put(&bytes, "\0\0", before);
	zk_buf_add(&bytes, secret);
	zk_buf_base64(&text, zk_buf_str(&bytes), url, /* pad */ false);
	zk_buf_put(all, text.p + skip, end - skip);
	add_form(s, all, from, true);
}

static void make_forms(struct secret *s, struct zk_buf *all, zk_str secret)
{
	size_t from;

	zk_buf_add(all, secret);
	add_form(s, all, 0, false);
	from = all->n;
	zk_buf_percent(all, secret);
	add_form(s, all, from, false);
	/* As a value inside JSON text, without the quotes. */
	from = all->n;
	zk_buf_json_str(all, secret);
	all->n--;
	add_form(s, all, from + 1, false);
	for (size_t before = 0; before < 3; before++) {
		add_base64(s, all, secret, before, false);
		add_base64(s, all, secret, before, true);
	}
}

/* Moves the forms into memory that is neither swapped nor dumped, where the system lets us. */
static void move_in(struct secret *s, const struct zk_buf *all)
{
	void *mem = mmap(NULL, all->n, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ZK_ASSERT(mem != MAP_FAILED);
	(void)mlock(mem, all->n); /* a limit of the user may forbid it */
	(void)madvise(mem, all->n, MADV_DONTDUMP);
	memcpy(mem, all->p, all->n);
	s->mem = mem;
	s->size = all->n;
}

static bool is_known(zk_str secret)
{
	for (size_t i = 0; i < n_secrets; i++)
		if (zk_str_eq(secret, zk_str_n(secrets[i].mem, secrets[i].forms[0].n)))
			return true;
	return false;
}

void zk_redact_add(zk_str secret)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf all = { 0 };
	struct secret *s;

	if (secret.n < SECRET_MIN || secret.n > SECRET_MAX)
		return;
	zk_buf_init_secret(&all, 24 * SECRET_MAX);
	(void)pthread_mutex_lock(&lock); /* fails only for misuse */
	if (!is_known(secret)) {
		s = &secrets[next_slot];
		drop(s);
		make_forms(s, &all, secret);
		move_in(s, &all);
		next_slot = (next_slot + 1) % SECRETS;
		n_secrets = ZK_MAX(n_secrets, next_slot ? next_slot : (size_t)SECRETS);
		if (!at_exit)
			at_exit = atexit(forget_all) == 0;
	}
	(void)pthread_mutex_unlock(&lock);
}

static bool is_base64(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' || c == '_' ||
	       c == '=';
}

struct match {
	size_t from, to;
};

static struct match widen(zk_str s, struct match m, size_t floor)
{
	while (m.from > floor && is_base64(s.p[m.from - 1]))
		m.from--;
	while (m.to < s.n && is_base64(s.p[m.to]))
		m.to++;
	return m;
}

/* The first match at or after `at`, the longest of those; from == s.n when there is none. */
static struct match find(zk_str s, size_t at)
{
	struct match best = { s.n, s.n };

	for (size_t i = 0; i < n_secrets; i++) {
		for (size_t f = 0; f < secrets[i].n_forms; f++) {
			const struct form *form = &secrets[i].forms[f];
			zk_str text = zk_str_n(secrets[i].mem + form->off, form->n);
			ptrdiff_t pos = zk_str_find(zk_str_from(s, at), text);
			struct match m;

			if (pos < 0)
				continue;
			m = (struct match){ at + (size_t)pos, at + (size_t)pos + text.n };
			if (form->base64)
				m = widen(s, m, at);
			if (m.from < best.from || (m.from == best.from && m.to > best.to))
				best = m;
		}
	}
	return best;
}

void zk_redact_into(struct zk_buf *b, zk_str s)
{
	size_t at = 0;

	(void)pthread_mutex_lock(&lock);
	while (at < s.n) {
		struct match m = find(s, at), more;

		zk_buf_put(b, s.p + at, m.from - at);
		if (m.from == s.n)
			break;
		/* Another secret may begin inside this one and end behind it. */
		for (more = find(s, m.from + 1); more.from < m.to && more.to > m.to;
		     more = find(s, m.from + 1)) {
			m.from = more.from;
			m.to = more.to;
		}
		zk_buf_lit(b, "***");
		at = m.to;
	}
	(void)pthread_mutex_unlock(&lock);
}

bool zk_redact_found(zk_str s)
{
	bool found;

	(void)pthread_mutex_lock(&lock);
	found = find(s, 0).from < s.n;
	(void)pthread_mutex_unlock(&lock);
	return found;
}
