/* A client of one table.
 * Layer: cmd. */
#include "cmd/zerobus_client.h"

#include <string.h>

#include "cmd/spool_senders.h"
#include "net/auth.h"
#include "zerobus/schema.h"

#include "base/ban.h"

static const struct zk_opt rows[] = { ZB_ROWS, ZK_OPT_END };

int zb_client_load(struct zb_client *c, struct zk_app *app, struct zk_error *err)
{
	return zk_spool_options(app, rows, "zerobus", &c->pool, &c->o, err);
}

int zb_client_open(struct zb_client *c, struct zk_app *app, struct zk_error *err)
{
	if (zb_session_init(app, &c->o, &c->s, err) < 0 ||
	    zb_auth_new(&c->s, ZK_ZB_TO_WRITE, NULL, NULL, &c->auth, err) < 0)
		return -(int)err->code;
	return zb_sender_conf(&c->s, c->auth, &c->conf, err);
}

int zb_client_learn(struct zb_client *c, const char *message, bool drop_unknown,
                    struct zk_error *err)
{
	struct zk_zb_schema_conf schema = {
		.message =
		        message ? message : strrchr(zk_buf_cstring(&c->s.table), '.') + 1
	};
	struct zk_zb_plan_conf plan = { .drop_unknown = drop_unknown };

	if (zb_table_schema(&c->s, &schema, &c->schema, err) < 0)
		return -(int)err->code;
	plan.schema = c->schema;
	if (zk_zb_plan_new(&plan, &c->plan, err) < 0)
		return -(int)err->code;
	c->kind = zk_zb_kind_new(ZK_ZB_PROTO, c->schema->descriptor);
	return 0;
}

void zb_client_close(struct zb_client *c, const char *why)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_INTERRUPTED, "%s", why);
	if (c->sender)
		zk_zb_sender_abort(c->sender, &err);
	zk_zb_sender_free(c->sender);
	zk_zb_plan_free(c->plan);
	zk_zb_kind_unref(c->kind);
	zk_zb_schema_free(c->schema);
	zk_auth_free(c->auth);
	zb_session_done(&c->s);
	zk_optpool_done(&c->pool);
}
