/* Samples of the memory of the process.
 * Layer: jetstream. */
#include "jetstream/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"

#include "base/ban.h"

bool zk_jet_memory_read(struct zk_jet_sample *ret)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	unsigned long long virt, rss;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	*ret = (struct zk_jet_sample){ 0 };
	if (fd >= 0)
		(void)close(fd); /* only read */
	if (n <= 0 || sscanf(text, "%llu %llu", &virt, &rss) != 2)
		return false;
	ret->at_s = zk_wall_us() / 1000000;
	ret->rss = rss * (uint64_t)sysconf(_SC_PAGESIZE);
	ret->virt = virt * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

void zk_jet_memory_step(struct zk_jet_memory *m)
{
	struct zk_jet_sample s;

	if (!zk_jet_memory_read(&s))
		return;
	m->v[m->at] = s;
	m->at = (m->at + 1) % ZK_JET_MEMORY_SAMPLES;
	m->n = ZK_MIN(m->n + 1, (size_t)ZK_JET_MEMORY_SAMPLES);
}

const struct zk_jet_sample *zk_jet_memory_latest(const struct zk_jet_memory *m)
{
	return &m->v[(m->at + ZK_JET_MEMORY_SAMPLES - 1) % ZK_JET_MEMORY_SAMPLES];
}

void zk_jet_memory_peaks(const struct zk_jet_memory *m, const struct zk_jet_sample *now,
                         struct zk_jet_sample *rss, struct zk_jet_sample *virt)
{
	*rss = *virt = *now;
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].rss > rss->rss)
			*rss = m->v[i];
		if (m->v[i].virt > virt->virt)
			*virt = m->v[i];
	}
}
