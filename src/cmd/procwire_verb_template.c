/* zk:template.list, .get, .register, .delete: the node templates of a Zeal server.
 * Layer: cmd. specs/cli.md §Procwire, specs/zeal-zip.md §4.
 *
 * list {namespace} and get {namespace, id} answer what the server has, register {namespace,
 * templates: […]} and delete {namespace, id} what it said. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/procwire_verbs.h"
#include "cmd/spool_senders.h"
#include "cmd/zeal.h"
#include "codec/jscan.h"
#include "codec/msgpack.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)64 << 20)
#define TEXT_MAX 262144

static const struct zk_opt rows[] = { ZEAL_ROWS, ZK_OPT_END };

enum what { LIST, GET, REGISTER, DELETE };

struct verb {
	enum what what;
	struct zeal_opts opts;
	struct zk_optpool pool;
	struct zeal zeal;
};

struct call {
	struct zk_pw_req *req;
	struct zk_zip_call *zip;
	struct zk_buf path, body, id;
};

static void call_free(struct call *c)
{
	zk_buf_done(&c->path);
	zk_buf_done(&c->body);
	zk_buf_done(&c->id);
	free(c);
}

/* ---- the answer ---- */

/* The part of the server's answer that was asked for. */
static int pick(const struct call *c, enum what what, zk_str body, zk_str *ret,
                struct zk_error *err)
{
	struct zk_jval list, item, id;
	struct zk_jiter it;

	*ret = body;
	if (what != LIST && what != GET)
		return 0;
	if (!zk_jscan_get(body, ZK_STR("templates"), &list) || list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no templates");
	*ret = list.raw;
	if (what == LIST)
		return 0;
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &item)) {
		*ret = item.raw;
		if (zk_jscan_get(item.raw, ZK_STR("id"), &id) && id.type == ZK_J_STRING &&
		    zk_jstr_eq(id.raw, zk_buf_str(&c->id)))
			return 0;
	}
	return zk_fail(err, ZK_E_NOT_FOUND, "there is no template '%.*s'",
	               ZK_STR_ARG(zk_buf_str(&c->id)));
}

static int answer(struct call *c, zk_str body, struct zk_error *err)
{
	const struct verb *v = zk_pw_method_of(c->req)->conf;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	zk_str part;

	zk_buf_init(&b, BODY_MAX * 2);
	if (pick(c, v->what, body, &part, err) < 0)
		return -(int)err->code;
	if (zk_mp_from_json(part, &b, err) < 0)
		return zk_wrap(err, "the answer of the server");
	return procwire_answer(c->req, zk_buf_str(&b), err);
}

static void on_done(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct call *c = ctx;
	struct zk_pw_req *req = c->req;
	struct zk_error own = { 0 };

	if (err)
		(void)zk_pw_fail(req, err);
	else if (answer(c, end->body, &own) < 0)
		(void)zk_pw_fail(req, &own);
	call_free(c);
	zk_pw_done(req);
}

/* ---- the call ---- */

/* The members of the request into path and body. */
static int read_call(struct call *c, enum what what, zk_str payload, struct zk_error *err)
{
	zk_str ns, id = ZK_STR_NULL;

	if (!zk_mp_get_str(payload, ZK_STR("namespace"), &ns))
		return zk_fail(err, ZK_E_DATA, "the namespace is missing");
	if ((what == GET || what == DELETE) && !zk_mp_get_str(payload, ZK_STR("id"), &id))
		return zk_fail(err, ZK_E_DATA, "the id of the template is missing");
	zk_buf_add(&c->id, id);
	zk_buf_lit(&c->path, "/templates");
	if (what == REGISTER) {
		zk_str unused;

		zk_buf_lit(&c->path, "/register");
		if (!zk_mp_get(payload, ZK_STR("templates"), &unused))
			return zk_fail(err, ZK_E_DATA, "the templates are missing");
		return zk_mp_to_json(payload, &c->body, err);
	}
	if (zk_zip_segment(&c->path, "namespace", ns, err) < 0 ||
	    (what == DELETE && zk_zip_segment(&c->path, "template id", id, err) < 0))
		return -(int)err->code;
	return 0;
}

static int begin(struct call *c, zk_str payload, struct zk_error *err)
{
	struct verb *v = zk_pw_method_of(c->req)->conf;
	static const struct {
		const char *method, *route;
		enum zk_zip_class class;
	} by[] = {
		[LIST] = { "GET", "/templates/{ns}", ZK_ZIP_R0 },
		[GET] = { "GET", "/templates/{ns}", ZK_ZIP_R0 },
		[REGISTER] = { "POST", "/templates/register", ZK_ZIP_R1 },
		[DELETE] = { "DELETE", "/templates/{ns}/{id}", ZK_ZIP_R0 },
	};
	struct zk_zip_req rq = { .method = by[v->what].method,
		                 .route = by[v->what].route,
		                 .class = by[v->what].class };

	if (read_call(c, v->what, payload, err) < 0)
		return -(int)err->code;
	rq.path = zk_buf_cstring(&c->path);
	if (v->what == REGISTER)
		rq.body = zk_buf_str(&c->body);
	return zk_zip_start(v->zeal.zip, &rq, on_done, c, &c->zip, err);
}

static void drop(struct zk_pw_req *req)
{
	struct call *c = zk_pw_data(req);

	zk_zip_cancel(c->zip);
	call_free(c);
}

static void on_cancel(void *ctx)
{
	struct zk_pw_req *req = ((struct call *)ctx)->req;

	drop(req);
	zk_pw_done(req);
}

static enum zk_pw_then request(struct zk_pw_req *req, zk_str payload)
{
	struct call *c = zk_new0(struct call);
	struct zk_error err = { 0 };

	c->req = req;
	zk_buf_init(&c->path, TEXT_MAX);
	zk_buf_init(&c->body, BODY_MAX);
	zk_buf_init(&c->id, TEXT_MAX);
	if (begin(c, payload, &err) < 0) {
		call_free(c);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, c);
	zk_pw_on_cancel(req, on_cancel, c);
	return ZK_PW_THEN_KEEP;
}

const struct zk_pw_handler procwire_template = { .name = "zk:template",
	                                         .request = request,
	                                         .drop = drop };

/* ---- the method ---- */

static void verb_free(void *conf)
{
	struct verb *v = conf;

	zeal_close(&v->zeal);
	zk_optpool_done(&v->pool);
	free(v);
}

static int make(const struct zk_pw_env *env, struct zk_pw_method *m, enum what what,
                struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	const struct procwire_remotes *remotes;
	struct zk_app *app = procwire_app(env, &remotes);

	v->what = what;
	m->conf = v;
	m->free_conf = verb_free;
	if (m->kind == ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "the verbs of templates are no streams");
	if (zk_spool_options(app, rows, "zeal", &v->pool, &v->opts, err) < 0)
		return -(int)err->code;
	v->opts.base_url = remotes->zeal_url;
	return zeal_open(app, &v->opts, /* patient */ true, &v->zeal, err);
}

#define MAKE(name, what)                                             \
	int procwire_template_##name##_make(                         \
	        const struct zk_pw_env *env, struct zk_pw_method *m, \
	        const struct zk_pw_spec *spec, struct zk_error *err) \
	{                                                            \
		(void)spec;                                          \
		return make(env, m, what, err);                      \
	}

MAKE(list, LIST)
MAKE(get, GET)
MAKE(register, REGISTER)
MAKE(delete, DELETE)
