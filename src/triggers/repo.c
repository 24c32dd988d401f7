/* The store of the triggers server: chooses one by what --db names.
 * Layer: triggers. */
#include "triggers/repo.h"

#include <stdlib.h>
#include <string.h>

#include "rt/metrics.h"
#include "triggers/dburl.h"
#include "triggers/repo_pg.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

void zk_trig_claim_done(struct zk_trig_claim *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->rows[i].type);
		free(c->rows[i].payload);
	}
	free(c->rows);
	c->rows = NULL;
	c->n = 0;
}

void zk_trig_op_failed(struct zk_trig_op *op, const struct zk_error *err)
{
	size_t n = strnlen(err->msg, sizeof(op->reason) - 1);
	int code = -(int)err->code;

	op->code = code < 0 ? code : -ZK_E_BUG;
	memcpy(op->reason, err->msg, n);
	op->reason[n] = 0;
}

void zk_trig_set_flag(void *flag)
{
	*(bool *)flag = true;
}

/* ---- metrics ------------------------------------------------------------------------------ */

struct zk_histogram *zk_trig_metric_batch(struct zk_metrics *m)
{
	static const double sizes[] = { 1, 2, 5, 10, 20, 50, 100, 200, 512 };

	return zk_metrics_histogram(m, "zk_triggers_commit_batch_events",
	                            "Rows in one commit", sizes, ZK_ARRAY_LEN(sizes),
	                            NULL);
}

struct zk_histogram *zk_trig_metric_commit(struct zk_metrics *m)
{
	return zk_metrics_histogram(
	        m, "zk_triggers_commit_seconds", "Time of a transaction of the writer",
	        zk_buckets_seconds, ZK_ARRAY_LEN(zk_buckets_seconds), NULL);
}

struct zk_histogram *zk_trig_metric_latency(struct zk_metrics *m)
{
	return zk_metrics_histogram(m, "db_operation_latency_seconds",
	                            "From submission to result of an operation",
	                            zk_buckets_seconds, ZK_ARRAY_LEN(zk_buckets_seconds),
	                            NULL);
}

struct zk_counter *zk_trig_metric_op(struct zk_metrics *m, const char *operation)
{
	const char *labels[] = { "operation", operation, NULL };

	return zk_metrics_counter(m, "db_operations_total",
	                          "Operations given to the store", labels);
}

/* ---- opening ------------------------------------------------------------------------------ */

int zk_trig_repo_path(const char *db, struct zk_buf *path, struct zk_error *err)
{
	enum zk_trig_db kind;

	if (zk_trig_dburl_parse(zk_str_of(db), &kind, path, err) < 0)
		return -(int)err->code;
	if (kind == ZK_TRIG_DB_SQLITE)
		return 0;
	(void)zk_fail(err, ZK_E_CONFIG_VALUE,
	              "this needs a database file, not a PostgreSQL server");
	return zk_err_hint(err, "name a file: --db PATH or sqlite:///PATH");
}

int zk_trig_repo_open(struct zk_loop *loop, struct zk_metrics *metrics,
                      const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                      struct zk_error *err)
{
	struct zk_trig_repo_conf c = *conf;
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf where;
	enum zk_trig_db kind;

	/* A URL may hold a password. */
	zk_buf_init_secret(&where, ZK_TRIG_DBURL_MAX + 64);
	if (zk_trig_dburl_parse(zk_str_of(conf->db), &kind, &where, err) < 0)
		return -(int)err->code;
	c.db = zk_buf_cstring(&where);
	if (kind == ZK_TRIG_DB_POSTGRES)
		return zk_pgr_open(loop, metrics, &c, ret, err);
	return zk_lite_repo_open(loop, metrics, &c, ret, err);
}
