/* Control lines of procwire.
 * Layer: procwire. */
#include "procwire/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "procwire/table.h"

#include "base/ban.h"

#define DEPTH 16

enum zk_pw_control zk_pw_control_parse(zk_str line, zk_str *params)
{
	static const struct {
		zk_str name;
		enum zk_pw_control kind;
	} kinds[] = {
		{ ZK_STR_INIT("$ping"), ZK_PW_C_PING },
		{ ZK_STR_INIT("$shutdown"), ZK_PW_C_SHUTDOWN },
		{ ZK_STR_INIT("$init"), ZK_PW_C_INIT },
		{ ZK_STR_INIT("$pong"), ZK_PW_C_PONG },
		{ ZK_STR_INIT("$error"), ZK_PW_C_ERROR },
	};
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("method") },
		                   { .name = ZK_STR_INIT("params") } };
	struct zk_jscan js;

	*params = ZK_STR_NULL;
	if (!line.n || line.p[0] != '{' || zk_jscan(line, DEPTH, want, 2, &js) < 0)
		return ZK_PW_C_OTHER;
	if (want[0].val.type != ZK_J_STRING)
		return ZK_PW_C_OTHER;
	*params = want[1].val.raw;
	for (size_t i = 0; i < ZK_ARRAY_LEN(kinds); i++)
		if (zk_jstr_eq(want[0].val.raw, kinds[i].name))
			return kinds[i].kind;
	return ZK_PW_C_OTHER;
}

/* ---- lines ---- */

void zk_pw_lines_init(struct zk_pw_lines *l, size_t max_line)
{
	*l = (struct zk_pw_lines){ .max_line = max_line };
	zk_buf_init(&l->part, max_line);
}

void zk_pw_lines_done(struct zk_pw_lines *l)
{
	zk_buf_done(&l->part);
}

static zk_str without_cr(zk_str line)
{
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

bool zk_pw_lines_next(struct zk_pw_lines *l, zk_str *in, zk_str *ret)
{
	if (l->handed)
		zk_buf_done(&l->part);
	l->handed = false;
	while (in->n) {
		const char *lf = memchr(in->p, '\n', in->n);
		zk_str one = zk_str_n(in->p, lf ? (size_t)(lf - in->p) : in->n);

		*in = zk_str_from(*in, one.n + (lf ? 1 : 0));
		if (l->part.n + one.n > l->max_line) {
			l->skip = true;
			zk_buf_done(&l->part);
		}
		if (!lf && !l->skip)
			zk_buf_add(&l->part, one);
		if (!lf)
			return false;
		if (l->skip) {
			l->skip = false;
			continue;
		}
		if (!l->part.n) {
			*ret = without_cr(one);
			return true;
		}
		zk_buf_add(&l->part, one);
		*ret = without_cr(zk_buf_str(&l->part));
		l->handed = true;
		return true;
	}
	return false;
}

/* ---- writing ---- */

static void begin(struct zk_jwrite *w, struct zk_buf *b, const char *method)
{
	zk_jwrite_init(w, b);
	zk_jw_obj(w);
	zk_jw_key(w, "jsonrpc");
	zk_jw_cstr(w, "2.0");
	zk_jw_key(w, "method");
	zk_jw_cstr(w, method);
}

static void end(struct zk_jwrite *w)
{
	zk_jw_obj_end(w);
	zk_buf_char(w->b, '\n');
}

void zk_pw_control_simple(struct zk_buf *b, const char *method)
{
	struct zk_jwrite w;

	begin(&w, b, method);
	end(&w);
}

void zk_pw_control_shutdown(struct zk_buf *b)
{
	struct zk_jwrite w;

	begin(&w, b, "$shutdown");
	zk_jw_key(&w, "params");
	zk_jw_obj(&w);
	zk_jw_obj_end(&w);
	end(&w);
}

void zk_pw_control_error(struct zk_buf *b, const char *message)
{
	struct zk_jwrite w;

	begin(&w, b, "$error");
	zk_jw_key(&w, "params");
	zk_jw_obj(&w);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, message);
	zk_jw_obj_end(&w);
	end(&w);
}

static void put_methods(struct zk_jwrite *w, const struct zk_pw_table *t)
{
	zk_jw_key(w, "methods");
	zk_jw_obj(w);
	for (size_t i = 0; i < t->n_methods; i++) {
		const struct zk_pw_method *m = &t->methods[i];

		zk_jw_key(w, m->name);
		zk_jw_obj(w);
		zk_jw_key(w, "id");
		zk_jw_u64(w, m->id);
		zk_jw_key(w, "response");
		zk_jw_cstr(w, zk_pw_kinds[m->kind]);
		if (m->timeout_ms >= 0) {
			zk_jw_key(w, "timeout");
			zk_jw_i64(w, m->timeout_ms);
		}
		zk_jw_obj_end(w);
	}
	zk_jw_obj_end(w);
}

static void put_events(struct zk_jwrite *w, const struct zk_pw_table *t)
{
	zk_jw_key(w, "events");
	zk_jw_obj(w);
	for (size_t i = 0; i < t->n_events; i++) {
		zk_jw_key(w, t->events[i].name);
		zk_jw_obj(w);
		zk_jw_key(w, "id");
		zk_jw_u64(w, t->events[i].id);
		zk_jw_obj_end(w);
	}
	zk_jw_obj_end(w);
}

void zk_pw_control_init(struct zk_buf *b, const char *pipe, const struct zk_pw_table *t)
{
	struct zk_jwrite w;

	begin(&w, b, "$init");
	zk_jw_key(&w, "params");
	zk_jw_obj(&w);
	zk_jw_key(&w, "pipe");
	zk_jw_cstr(&w, pipe);
	zk_jw_key(&w, "schema");
	zk_jw_obj(&w);
	put_methods(&w, t);
	put_events(&w, t);
	zk_jw_obj_end(&w);
	zk_jw_key(&w, "version");
	zk_jw_cstr(&w, "1.0.0");
	zk_jw_obj_end(&w);
	end(&w);
}

/* ---- the parent's side ---- */

static int wrong_init(struct zk_error *err, const char *what)
{
	return zk_fail(err, ZK_E_PW_INIT, "invalid $init: %s", what);
}

/* The same for a failure of the table. */
static int as_wrong_init(struct zk_error *err)
{
	if (err->code == ZK_E_PW_INIT)
		return -ZK_E_PW_INIT;
	err->code = ZK_E_PW_INIT;
	return zk_wrap(err, "invalid $init");
}

static bool get_id(zk_str obj, uint16_t *ret)
{
	struct zk_jval v;
	uint64_t id;

	if (!zk_jscan_get(obj, ZK_STR("id"), &v) || v.type != ZK_J_NUMBER ||
	    !zk_jnum_u64(v.raw, &id) || id == 0 || id > 0xffff)
		return false;
	*ret = (uint16_t)id;
	return true;
}

static bool get_kind(zk_str obj, enum zk_pw_kind *ret)
{
	struct zk_jval v;

	if (!zk_jscan_get(obj, ZK_STR("response"), &v) || v.type != ZK_J_STRING)
		return false;
	for (size_t i = 0; zk_pw_kinds[i]; i++)
		if (zk_jstr_eq(v.raw, zk_str_of(zk_pw_kinds[i]))) {
			*ret = (enum zk_pw_kind)i;
			return true;
		}
	return false;
}

/* The decoded name; the caller frees. NULL for a name with NUL. */
static char *get_name(zk_str raw)
{
	struct zk_error ignored;
	struct zk_buf b;

	zk_buf_init(&b, raw.n + 16);
	if (zk_jstr_decode(raw, ZK_JLONE_REPLACE, &b, &ignored) < 0 ||
	    (b.n && memchr(b.p, '\0', b.n))) {
		zk_buf_done(&b);
		return NULL;
	}
	return zk_buf_take(&b);
}

static int read_method(struct zk_pw_table *t, zk_str key, const struct zk_jval *val,
                       struct zk_error *err)
{
	struct zk_pw_method m = { .timeout_ms = -1 };
	struct zk_jval v;
	uint64_t ms;
	int r;

	if (val->type != ZK_J_OBJECT || !get_id(val->raw, &m.id) ||
	    !get_kind(val->raw, &m.kind))
		return wrong_init(err, "a method lacks its id or response");
	if (zk_jscan_get(val->raw, ZK_STR("timeout"), &v) && v.type == ZK_J_NUMBER &&
	    zk_jnum_u64(v.raw, &ms) && ms < INT64_MAX)
		m.timeout_ms = (int64_t)ms;
	m.name = get_name(key);
	r = m.name ? zk_pw_table_method(t, &m, err)
	           : wrong_init(err, "a method has no usable name");
	free(m.name);
	return r < 0 ? as_wrong_init(err) : 0;
}

static int read_event(struct zk_pw_table *t, zk_str key, const struct zk_jval *val,
                      struct zk_error *err)
{
	struct zk_pw_event e = { 0 };
	int r;

	if (val->type != ZK_J_OBJECT || !get_id(val->raw, &e.id))
		return wrong_init(err, "an event lacks its id");
	e.name = get_name(key);
	r = e.name ? zk_pw_table_event(t, &e, err)
	           : wrong_init(err, "an event has no usable name");
	free(e.name);
	return r < 0 ? as_wrong_init(err) : 0;
}

static int read_all(struct zk_pw_table *t, zk_str obj,
                    int (*one)(struct zk_pw_table *, zk_str, const struct zk_jval *,
                               struct zk_error *),
                    struct zk_error *err)
{
	struct zk_jiter it;
	struct zk_jval val;
	zk_str key;

	zk_jiter_init(&it, obj);
	while (zk_jiter_member(&it, &key, &val))
		if (one(t, key, &val, err) < 0)
			return -(int)err->code;
	return 0;
}

int zk_pw_control_read_init(zk_str params, struct zk_buf *pipe, struct zk_pw_table *table,
                            struct zk_error *err)
{
	struct zk_jval path, methods, events;

	if (!zk_jscan_get(params, ZK_STR("pipe"), &path) || path.type != ZK_J_STRING)
		return wrong_init(err, "there is no 'pipe'");
	if (zk_jstr_decode(path.raw, ZK_JLONE_REPLACE, pipe, err) < 0 ||
	    zk_buf_check(pipe, err) < 0 || !pipe->n || memchr(pipe->p, '\0', pipe->n))
		return wrong_init(err, "'pipe' is no path");
	if (!zk_jscan_get(params, ZK_STR("schema.methods"), &methods) ||
	    methods.type != ZK_J_OBJECT)
		return wrong_init(err, "there is no 'schema.methods'");
	if (!zk_jscan_get(params, ZK_STR("schema.events"), &events) ||
	    events.type != ZK_J_OBJECT)
		return wrong_init(err, "there is no 'schema.events'");
	if (read_all(table, methods.raw, read_method, err) < 0)
		return -(int)err->code;
	return read_all(table, events.raw, read_event, err);
}
