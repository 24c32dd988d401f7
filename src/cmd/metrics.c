/* The metrics of a client command: a file, a listener.
 * Layer: cmd. specs/zeal-zip.md §10. */
#include "cmd/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cmd.h"
#include "cmd/records.h"
#include "net/httpd.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "rt/progress.h"

#define ZK_LOGGER "metrics"
#include "base/log.h"

#include "base/ban.h"

#define MAX_TEXT ((size_t)16 << 20)
#define EVERY_MS 15000

struct metrics_out {
	struct zk_metrics *metrics;
	char *file, *part; /* NULL = none */
	struct zk_timer *timer;
	struct zk_httpd *httpd;
};

/* Whoever reads the file never sees a half of it. */
static int write_file(struct metrics_out *m, struct zk_error *err)
{
	struct zk_recfile f = { .fd = -1 };
	int r = zk_recfile_open(&f, m->part, O_TRUNC, err);

	if (r == 0) {
		zk_metrics_format(m->metrics, &f.b);
		r = zk_recfile_write(&f, err);
	}
	/* A collector runs as somebody else; there is nothing secret in it. */
	if (r == 0 && (fchmod(f.fd, 0644) < 0 || rename(m->part, m->file) < 0))
		r = zk_fail_errno(err, ZK_E_OUTPUT, errno, "cannot write '%s'", m->file);
	zk_recfile_close(&f);
	return r;
}

static void on_timer(void *ctx)
{
	struct zk_error err = { 0 };

	if (write_file(ctx, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the metrics are not written", &err);
}

static enum zk_httpd_next on_get(void *ctx, struct zk_httpd_req *req)
{
	struct metrics_out *m = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, MAX_TEXT);
	zk_metrics_format(m->metrics, &b);
	zk_httpd_reply(req, 200, ZK_STR("Content-Type: text/plain; version=0.0.4\r\n"),
	               zk_buf_str(&b));
	return ZK_HTTPD_DONE;
}

static int listen_at(struct metrics_out *m, struct zk_loop *loop, const char *addr,
                     struct zk_error *err)
{
	static const struct zk_route routes[] = {
		{ .method = "GET", .pattern = "/metrics", .on_head = on_get }
	};
	struct zk_httpd_conf conf;

	zk_httpd_conf_init(&conf);
	conf.ctx = m;
	conf.routes = routes;
	conf.n_routes = ZK_ARRAY_LEN(routes);
	if (zk_httpd_new(loop, &conf, &m->httpd, err) < 0 ||
	    zk_httpd_listen_at(m->httpd, "admin", &addr, 1, err) < 0)
		return -(int)err->code;
	zk_say("metrics at http://%s/metrics", zk_httpd_address(m->httpd, 0));
	return 0;
}

int metrics_out_open(struct zk_app *app, const char *file, const char *listen,
                     struct metrics_out **ret, struct zk_error *err)
{
	struct zk_loop *loop = file || listen ? zk_app_loop(app, err) : NULL;
	struct metrics_out *m;
	int r = 0;

	*ret = NULL;
	if (!loop)
		return file || listen ? -(int)err->code : 0;
	m = zk_new0(struct metrics_out);
	m->metrics = zk_app_metrics(app);
	if (file) {
		m->file = zk_strdup(file);
		m->part = zk_asprintf("%s.part", file);
		m->timer = zk_timer_new(loop, on_timer, m);
		zk_timer_weak(m->timer, true);
		zk_timer_start(m->timer, EVERY_MS, EVERY_MS);
		r = write_file(m, err);
	}
	if (r == 0 && listen)
		r = listen_at(m, loop, listen, err);
	if (r < 0) {
		free(ZK_TAKE(m->file));
		metrics_out_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void metrics_out_close(struct metrics_out *m)
{
	if (!m)
		return;
	if (m->file)
		on_timer(m);
	zk_timer_free(m->timer);
	zk_httpd_free(m->httpd);
	free(m->file);
	free(m->part);
	free(m);
}
