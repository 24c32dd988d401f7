/* The store of the triggers server: chooses one by what --db names.
 * Layer: triggers. */
#include "triggers/repo.h"

#include <stdlib.h>

#include "triggers/dburl.h"
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

int zk_trig_repo_path(const char *db, struct zk_buf *path, struct zk_error *err)
{
	enum zk_trig_db kind;

	if (zk_trig_dburl_parse(zk_str_of(db), &kind, path, err) < 0)
		return -(int)err->code;
	if (kind == ZK_TRIG_DB_SQLITE)
		return 0;
	(void)zk_fail(err, ZK_E_CONFIG_VALUE,
	              "PostgreSQL is not supported by this zk yet");
	return zk_err_hint(err, "use a database file: --db PATH or sqlite:///PATH");
}

int zk_trig_repo_open(struct zk_loop *loop, struct zk_metrics *metrics,
                      const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                      struct zk_error *err)
{
	struct zk_trig_repo_conf c = *conf;
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf path;

	zk_buf_init(&path, ZK_TRIG_DBURL_MAX + 64);
	if (zk_trig_repo_path(conf->db, &path, err) < 0)
		return -(int)err->code;
	c.db = zk_buf_cstring(&path);
	return zk_lite_repo_open(loop, metrics, &c, ret, err);
}
