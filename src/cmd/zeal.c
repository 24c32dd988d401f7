/* What the commands for Zeal share.
 * Layer: cmd. specs/zeal-zip.md §1, §11. */
#include "cmd/zeal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cmd/metrics.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/memory.h"
#include "zip/probe.h"

#include "base/ban.h"

#define KNOWN_MS (10 * 60 * 1000)

const char *const zeal_servers[] = { "auto",       "ideal", "as-built",
	                             "path-blind", "older", NULL };

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	(void)ctx;
	zk_say("%s; attempt %u of %u in %.1f s", err->msg, retry + 1, max + 1,
	       (double)wait_ms / 1000);
}

static void say_unfit(void)
{
	zk_say("this build of the server loses the parameters of its paths "
	       "(server-unfit); see: zk explain ZK3017");
}

static void on_unfit(void *ctx)
{
	struct zeal *z = ctx;

	say_unfit();
	zeal_remember_server(z);
}

int zeal_parse_rate(const char *text, double *ret, struct zk_error *err)
{
	zk_str number, unit;
	double per = 1;

	if (!text)
		return 0;
	unit = zk_str_cut(zk_str_of(text), '/', &number);
	if (zk_str_eq(unit, ZK_STR("m")))
		per = 60;
	else if (zk_str_eq(unit, ZK_STR("h")))
		per = 3600;
	else if (unit.n && !zk_str_eq(unit, ZK_STR("s")))
		return zk_fail(err, ZK_E_USAGE,
		               "--rate '%s': the unit is s, m or h, such as 10/s", text);
	if (zk_parse_double(number, ret, err) < 0 || !(*ret > 0) || *ret > 1e6)
		return zk_fail(err, ZK_E_USAGE,
		               "--rate '%s' is no rate, such as 10/s or 600/m", text);
	*ret /= per;
	return 0;
}

/* Reads, or writes too, through the editor's API. */
static int parse_compat(const char *text, bool *reads, bool *writes, struct zk_error *err)
{
	*reads = !text || strcmp(text, "off") != 0;
	*writes = text && (!text[0] || strcmp(text, "all") == 0);
	if (!text || !text[0] || !*reads || *writes || strcmp(text, "reads") == 0)
		return 0;
	return zk_fail(err, ZK_E_USAGE, "--compat takes all, reads or off, not '%s'",
	               text);
}

static int load(const struct zk_secret *s, struct zk_buf *b, struct zk_error *err)
{
	return s->kind == ZK_SECRET_NONE ? 0 : zk_secret_load(s, b, err);
}

int zeal_open(struct zk_app *app, const struct zeal_opts *o, bool patient, struct zeal *z,
              struct zk_error *err)
{
	struct zk_buf token ZK_CLEANUP(zk_buf_done);
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	struct zk_zip_conf conf = {
		.base_url = o->base_url,
		.as_user = o->as_user,
		.client_id = o->client_id,
		.server = (enum zk_zip_server)o->server_kind,
		.retry = { .max_retries = app->retry.retries,
		           .base_ms = app->retry.base_ms,
		           .cap_ms = app->retry.cap_ms,
		           .max_time_ms = app->retry.max_time_ms },
		.patient = patient,
		.ctx = z,
		.on_retry = on_retry,
		.on_unfit = on_unfit,
	};
	struct zk_net *net;

	*z = (struct zeal){ .app = app, .opts = o };
	zk_buf_init_secret(&token, ZK_SECRET_MAX + 1);
	zk_buf_init_secret(&key, ZK_SECRET_MAX + 1);
	if (zeal_parse_rate(o->rate, &conf.rate, err) < 0 ||
	    parse_compat(o->compat, &conf.compat, &z->compat_writes, err) < 0 ||
	    load(&o->token, &token, err) < 0 || load(&o->api_key, &key, err) < 0)
		return -(int)err->code;
	conf.token = zk_buf_cstring(&token);
	conf.api_key = zk_buf_cstring(&key);
	net = zk_app_net(app, err);
	if (!net)
		return -(int)err->code;
	conf.metrics = zk_app_metrics(app);
	if (metrics_out_open(app, o->metrics_file, o->metrics_listen, &z->metrics, err) <
	    0)
		return -(int)err->code;
	return zk_zip_new(net, &conf, &z->zip, err);
}

void zeal_close(struct zeal *z)
{
	zk_zip_free(z->zip);
	zk_zip_memory_close(z->memory);
	metrics_out_close(z->metrics);
	z->zip = NULL;
	z->memory = NULL;
	z->metrics = NULL;
}

/* The caller frees; NULL with `err`. */
static char *memory_path(struct zeal *z, bool make, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *dir = zk_app_state_dir(z->app, make, err);

	return dir ? zk_asprintf("%s/zeal.db", dir) : NULL;
}

struct zk_zip_memory *zeal_memory(struct zeal *z)
{
	struct zk_error err = { 0 };

	if (z->memory)
		return z->memory;
	ZK_CLEANUP(zk_freep)
	char *path = memory_path(z, /* make */ true, &err);

	if (path && zk_zip_memory_open(path, &z->memory, &err) == 0)
		return z->memory;
	zk_log_error(ZK_LOG_WARN, "zeal", "nothing is remembered between runs", &err);
	return NULL;
}

void zeal_remember_server(struct zeal *z)
{
	struct zk_zip_memory *m = zeal_memory(z);
	struct zk_error err = { 0 };

	if (m && zk_zip_memory_put(
	                 m, zk_zip_origin(z->zip), ZK_ZIP_MEM_SERVER, ZK_STR_NULL,
	                 zk_str_of(zk_zip_server_name(zk_zip_server(z->zip))), &err) < 0)
		zk_log_error(ZK_LOG_WARN, "zeal", "cannot remember the kind of server",
		             &err);
}

void zeal_recall_server(struct zeal *z)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored = { 0 };
	ZK_CLEANUP(zk_freep)
	char *path = memory_path(z, /* make */ false, &ignored);
	struct zk_zip_memory *m;
	bool found = false;

	zk_buf_init(&b, 64);
	/* Where nothing was ever kept no file is made to find that out. */
	if (zk_zip_server(z->zip) != ZK_ZIP_AUTO || !path || access(path, F_OK) < 0)
		return;
	m = zeal_memory(z);
	if (!m || zk_zip_memory_get(m,
	                            &(struct zk_zip_memory_key){ zk_zip_origin(z->zip),
	                                                         ZK_ZIP_MEM_SERVER,
	                                                         ZK_STR_NULL },
	                            KNOWN_MS, &b, &found, &ignored) < 0)
		return;
	for (int i = ZK_ZIP_IDEAL; found && zeal_servers[i]; i++)
		if (zk_str_eq(zk_buf_str(&b), zk_str_of(zeal_servers[i])))
			zk_zip_set_server(z->zip, (enum zk_zip_server)i);
	if (zk_zip_server(z->zip) == ZK_ZIP_PATH_BLIND)
		say_unfit();
}

int zeal_print(struct zk_app *app, zk_str object, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct zk_out *out = zk_app_out(app, err);

	if (!out || zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, object, err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return ZK_EXIT_OK;
}
