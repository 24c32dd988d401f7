/* The metrics text of a server read into figures.
 * Layer: triggers. specs/triggers.md §12.4. */
#include "triggers/figures.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "base/ban.h"

/* Where a sample goes; with a label that must be there. Sums over all that match. */
static const struct {
	zk_str name, label;
	size_t off;
} samples[] = {
#define S(n, l, m)                                               \
	{                                                        \
		.name = ZK_STR_INIT(n), .label = ZK_STR_INIT(l), \
		.off = offsetof(struct zk_trig_figures, m)       \
	}
	S("zk_triggers_http_requests_total", "", requests),
	S("zk_triggers_http_requests_total", "status=\"5", server_errors),
	S("events_ingested_total", "", accepted),
	S("zk_triggers_duplicates_total", "", duplicates),
	S("webhook_deliveries_total", "status=\"delivered\"", delivered),
	S("webhook_deliveries_total", "", attempts),
	S("zk_triggers_dead_letter_total", "", dead_letters),
	S("event_queue_size", "", queue),
	S("zk_triggers_deliveries_due", "", due),
	S("zk_triggers_delivery_oldest_due_seconds", "", oldest_due_s),
	S("zk_triggers_deliveries_in_flight", "", in_flight),
	S("zk_triggers_circuit_open", "", circuits_open),
	S("zk_triggers_connections", "", connections),
	S("zk_triggers_wal_bytes", "", wal_bytes),
	S("zk_triggers_db_bytes", "", db_bytes),
#undef S
};

/* Routes whose time says nothing about the service: those that watch it, and the stream. */
static const zk_str watchers[] = {
	ZK_STR_INIT("route=\"/metrics\""),
	ZK_STR_INIT("route=\"/api/health/detailed\""),
	ZK_STR_INIT("route=\"/api/inbox/stream\""),
};

static bool is_watcher(zk_str labels)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(watchers); i++)
		if (zk_str_find(labels, watchers[i]) >= 0)
			return true;
	return false;
}

static void add_bucket(struct zk_trig_figures *f, double bound, double count)
{
	unsigned i = 0;

	while (i < f->n_buckets && f->bound[i] < bound)
		i++;
	if (i == f->n_buckets || f->bound[i] > bound) {
		if (f->n_buckets == ZK_TRIG_BUCKETS)
			return;
		for (unsigned k = f->n_buckets++; k > i; k--) {
			f->bound[k] = f->bound[k - 1];
			f->count[k] = f->count[k - 1];
		}
		f->bound[i] = bound;
		f->count[i] = 0;
	}
	f->count[i] += count;
}

static void read_bucket(struct zk_trig_figures *f, zk_str labels, double count)
{
	ptrdiff_t at = zk_str_find(labels, ZK_STR("le=\""));
	struct zk_error ignored;
	double bound = INFINITY;
	zk_str text;

	if (at < 0 || is_watcher(labels))
		return;
	(void)zk_str_cut(zk_str_from(labels, (size_t)at + 4), '"', &text);
	if (!zk_str_eq(text, ZK_STR("+Inf")) &&
	    zk_parse_double(text, &bound, &ignored) < 0)
		return;
	add_bucket(f, bound, count);
}

static void read_line(struct zk_trig_figures *f, zk_str line)
{
	zk_str name, labels = ZK_STR_NULL, value = line;
	struct zk_error ignored;
	double v;

	/* No label of these has a brace or a blank in its value. */
	if (zk_str_find_char(line, '{') >= 0) {
		value = zk_str_cut(line, '{', &name);
		value = zk_str_cut(value, '}', &labels);
	} else {
		value = zk_str_cut(line, ' ', &name);
	}
	(void)zk_str_cut(zk_str_trim(value), ' ', &value);
	if (!value.n || zk_parse_double(value, &v, &ignored) < 0 || !isfinite(v))
		return;
	for (size_t i = 0; i < ZK_ARRAY_LEN(samples); i++)
		if (zk_str_eq(samples[i].name, name) &&
		    zk_str_find(labels, samples[i].label) >= 0)
			*(double *)(void *)((char *)f + samples[i].off) += v;
	if (zk_str_eq(name, ZK_STR("zk_triggers_http_request_seconds_bucket")))
		read_bucket(f, labels, v);
}

void zk_trig_figures_read(zk_str text, struct zk_trig_figures *ret)
{
	memset(ret, 0, sizeof(*ret));
	while (text.n) {
		zk_str line;

		text = zk_str_cut(text, '\n', &line);
		if (line.n && line.p[0] != '#')
			read_line(ret, line);
	}
}

/* How many came between the readings up to bucket `i`. */
static double came(const struct zk_trig_figures *now, const struct zk_trig_figures *old,
                   unsigned i)
{
	double before = 0;

	for (unsigned k = 0; old && k < old->n_buckets; k++)
		if (old->bound[k] == now->bound[i])
			before = old->count[k];
	/* A server that was restarted counts from 0. */
	return now->count[i] < before ? now->count[i] : now->count[i] - before;
}

double zk_trig_figures_quantile(const struct zk_trig_figures *now,
                                const struct zk_trig_figures *old, double q)
{
	double below = 0, from = 0, all;

	if (!now->n_buckets)
		return -1;
	all = came(now, old, now->n_buckets - 1);
	if (all <= 0)
		return -1;
	for (unsigned i = 0; i < now->n_buckets; i++) {
		double n = came(now, old, i);

		if (n >= q * all) {
			if (isinf(now->bound[i]) || n <= below)
				return from;
			return from +
			       (now->bound[i] - from) * (q * all - below) / (n - below);
		}
		below = n;
		from = now->bound[i];
	}
	return from;
}
