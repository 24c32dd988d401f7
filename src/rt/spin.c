/* When to look again for a moment before going to sleep.
 * Layer: rt. */
#include "rt/spin.h"

#include "base/ban.h"

/* Two wake-ups, the peer's and the own, take up to some 200 µs on a virtual machine: a sleep of
 * that length may have been one for nothing. */
#define SHORT_US 250
/* What comes later than this would have been cheaper to sleep for. It is borne a few times: the
 * peer may only have been asleep itself. */
#define SOON_US  20
#define LATE_MAX 8
#define NEED_MIN 4
#define NEED_MAX 4096

static uint32_t need(const struct zk_spin *s)
{
	return s->need ? s->need : NEED_MIN;
}

bool zk_spin_pays(const struct zk_spin *s)
{
	return s->luck >= need(s);
}

static void miss(struct zk_spin *s)
{
	s->luck = 0;
	s->late = 0;
	s->need = need(s) < NEED_MAX ? need(s) * 2 : NEED_MAX;
}

void zk_spin_looked(struct zk_spin *s, int64_t took_us)
{
	if (took_us >= 0 && took_us <= SOON_US) {
		s->late = 0;
		s->need = need(s) / 2 > NEED_MIN ? need(s) / 2 : NEED_MIN;
		s->luck = s->need;
	} else if (took_us < 0 || ++s->late >= LATE_MAX) {
		miss(s);
	}
}

void zk_spin_sleep(struct zk_spin *s, int64_t now_us)
{
	s->slept_us = now_us;
}

void zk_spin_woken(struct zk_spin *s, int64_t now_us)
{
	if (!s->slept_us || now_us - s->slept_us > SHORT_US)
		s->luck = 0;
	else if (s->luck < NEED_MAX)
		s->luck++;
}
