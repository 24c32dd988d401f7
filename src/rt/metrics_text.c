/* The Prometheus text form (0.0.4), zk_build_info and process_*.
 * Layer: rt. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/version.h"
#include "rt/metrics_impl.h"

#include "base/ban.h"

/* ---- values as text ---- */

/* The shortest text that reads back as `v`. */
static void put_double(struct zk_buf *b, double v)
{
	char text[32];

	if (isnan(v)) {
		zk_buf_lit(b, "NaN");
		return;
	}
	if (isinf(v)) {
		zk_buf_cstr(b, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (fabs(v) < 1e15 && v == floor(v)) {
		zk_buf_i64(b, (int64_t)v);
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	zk_buf_cstr(b, text);
}

static void put_help(struct zk_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			zk_buf_lit(b, "\\\\");
		else if (*s == '\n')
			zk_buf_lit(b, "\\n");
		else
			zk_buf_char(b, *s);
	}
}

static void put_head(struct zk_buf *b, const char *name, const char *help,
                     const char *type)
{
	zk_buf_printf(b, "# HELP %s ", name);
	put_help(b, help);
	zk_buf_printf(b, "\n# TYPE %s %s\n", name, type);
}

/* `name_suffix{labels,more} `: what stands before the value. */
static void put_name(struct zk_buf *b, const struct zk_family *f, const char *suffix,
                     const char *labels)
{
	zk_buf_cstr(b, f->name);
	zk_buf_cstr(b, suffix);
	if (*labels)
		zk_buf_printf(b, "{%s}", labels);
	zk_buf_char(b, ' ');
}

static void put_histogram(struct zk_buf *b, const struct zk_family *f,
                          const struct zk_series *s)
{
	const struct zk_histogram *h = s->value.histogram;
	uint64_t sum = 0;

	for (size_t i = 0; i <= h->n; i++) {
		sum += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
		zk_buf_printf(b, "%s_bucket{%s%sle=\"", f->name, s->labels,
		              *s->labels ? "," : "");
		put_double(b, i < h->n ? h->bounds[i] : (double)INFINITY);
		zk_buf_printf(b, "\"} %llu\n", (unsigned long long)sum);
	}
	put_name(b, f, "_sum", s->labels);
	put_double(b, zk_metric_double(&h->sum_bits));
	zk_buf_char(b, '\n');
	/* Not a second look at the buckets: it must equal the last one above. */
	put_name(b, f, "_count", s->labels);
	zk_buf_u64(b, sum);
	zk_buf_char(b, '\n');
}

static void put_series(struct zk_buf *b, const struct zk_family *f,
                       const struct zk_series *s)
{
	switch (f->type) {
	case ZK_METRIC_COUNTER:
		put_name(b, f, "", s->labels);
		zk_buf_u64(b, zk_counter_get(s->value.counter));
		zk_buf_char(b, '\n');
		break;
	case ZK_METRIC_GAUGE:
		put_name(b, f, "", s->labels);
		put_double(b, zk_gauge_get(s->value.gauge));
		zk_buf_char(b, '\n');
		break;
	case ZK_METRIC_HISTOGRAM:
		put_histogram(b, f, s);
		break;
	}
}

/* ---- this process ---- */

/* The fields of /proc/self/stat behind the command's name (which may hold anything):
 * the first is number 3 of proc(5). False when it cannot be read. */
static bool read_stat(char *text, size_t room, zk_str *ret)
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room);
	zk_str s = { text, n > 0 ? (size_t)n : 0 };

	if (fd >= 0)
		(void)close(fd);
	for (size_t i = s.n; i > 0; i--) {
		if (s.p[i - 1] != ')')
			continue;
		*ret = zk_str_trim(zk_str_from(s, i));
		return true;
	}
	return false;
}

/* Field `number` of proc(5), 0 when it is not there. */
static uint64_t stat_field(zk_str s, unsigned number)
{
	struct zk_error err;
	zk_str head = ZK_STR_NULL;
	uint64_t v = 0;

	for (unsigned i = 3; i <= number; i++)
		s = zk_str_cut(s, ' ', &head);
	if (zk_parse_u64(head, &v, &err) < 0)
		return 0;
	return v;
}

double zk_metric_process_start(void)
{
	struct timespec boot;
	char text[1024];
	zk_str s;
	long hz = sysconf(_SC_CLK_TCK);

	/* Not from /proc/stat: a service may see its own processes only. */
	if (hz <= 0 || !read_stat(text, sizeof(text), &s) ||
	    clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
		return 0;
	return (double)zk_wall_us() / 1e6 -
	       ((double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
	        (double)stat_field(s, 22) / (double)hz);
}

static uint64_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static void put_value(struct zk_buf *b, const char *name, const char *help,
                      const char *type, double v)
{
	put_head(b, name, help, type);
	zk_buf_printf(b, "%s ", name);
	put_double(b, v);
	zk_buf_char(b, '\n');
}

static void put_process(struct zk_buf *b, double start_s)
{
	char text[1024];
	zk_str s = ZK_STR_NULL;
	struct rlimit lim;

	put_value(b, "process_cpu_seconds_total", "User and system CPU time used.",
	          "counter", (double)zk_cpu_ns() / 1e9);
	put_value(b, "process_open_fds", "Open file descriptors.", "gauge",
	          (double)count_fds());
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
		put_value(b, "process_max_fds", "Open file descriptors allowed.", "gauge",
		          (double)lim.rlim_cur);
	if (read_stat(text, sizeof(text), &s)) {
		put_value(b, "process_virtual_memory_bytes", "Virtual memory size.",
		          "gauge", (double)stat_field(s, 23));
		put_value(b, "process_resident_memory_bytes", "Resident memory size.",
		          "gauge",
		          (double)stat_field(s, 24) * (double)sysconf(_SC_PAGESIZE));
	}
	put_value(b, "process_start_time_seconds", "Start of the process, Unix time.",
	          "gauge", start_s);
}

void zk_metrics_format(struct zk_metrics *m, struct zk_buf *b)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	for (size_t i = 0; i < m->n_collect; i++)
		m->collect[i].fn(m->collect[i].ctx);
	for (size_t i = 0; i < m->n; i++) {
		const struct zk_family *f = m->families[i];

		put_head(b, f->name, f->help, types[f->type]);
		for (size_t k = 0; k < f->n; k++)
			put_series(b, f, &f->series[k]);
	}
	put_head(b, "zk_build_info", "Version and commit of this build, always 1.",
	         "gauge");
	zk_buf_printf(b, "zk_build_info{version=\"%s\",commit=\"%s\"} 1\n", ZK_VERSION,
	              zk_commit);
	put_process(b, m->start_s);
}
