/* What the commands of `zk trace` share.
 * Layer: cmd. specs/zeal-zip.md §6. */
#include "cmd/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "codec/digest.h"
#include "codec/uri.h"

#define ZK_LOGGER "trace"
#include "base/log.h"

#include "base/ban.h"

#define DEST_MIDDLE "/api/zip/traces/"

bool trace_is_local(const char *session)
{
	return strncmp(session, TRACE_LOCAL, sizeof(TRACE_LOCAL) - 1) == 0;
}

int trace_session(const struct trace_opts *o, const char **ret, struct zk_error *err)
{
	const char *env = getenv("ZK_TRACE_SESSION");

	*ret = o->session && o->session[0] ? o->session : env;
	if (*ret && (*ret)[0])
		return 1;
	if (o->optional)
		return 0;
	(void)zk_fail(err, ZK_E_USAGE, "there is no trace session");
	return zk_err_hint(err, "name one with --session, or begin one: "
	                        "eval \"$(zk trace start -w WF --export-env)\"");
}

const char *trace_node(const char *given, const char *other)
{
	const char *env = getenv("ZK_TRACE_NODE");

	if (given && given[0])
		return given;
	return env && env[0] ? env : other;
}

char *trace_sum_path(struct zk_app *app, const char *session, bool make,
                     struct zk_error *err)
{
	struct zk_buf name ZK_CLEANUP(zk_buf_done) = { 0 };
	ZK_CLEANUP(zk_freep)
	char *state = zk_app_state_dir(app, make, err);

	if (!state)
		return NULL;
	ZK_CLEANUP(zk_freep)
	char *dir = zk_asprintf("%s/trace", state);

	if (make && mkdir(dir, 0700) < 0 && errno != EEXIST) {
		(void)zk_fail_errno(err, ZK_E_CREATE, errno,
		                    "cannot make the folder '%s'", dir);
		return NULL;
	}
	zk_buf_init(&name, 1024);
	zk_buf_percent(&name, zk_str_of(session));
	if (name.failed || name.n > 200) {
		(void)zk_fail(err, ZK_E_DATA, "the session id is too long");
		return NULL;
	}
	return zk_asprintf("%s/%s.sum", dir, zk_buf_cstring(&name));
}

void trace_sum_save(struct zk_app *app, const char *session, const struct zk_zip_sum *s)
{
	struct zk_error err = { 0 };
	ZK_CLEANUP(zk_freep)
	char *path = trace_sum_path(app, session, /* make */ true, &err);

	if (!path || zk_zip_sum_save(s, path, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "the sums of the session are not kept", &err);
}

void trace_make_mark(char out[TRACE_MARK_TEXT + 1])
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	uint8_t id[TRACE_MARK_TEXT / 2];

	zk_rand_secret(id, sizeof(id));
	zk_buf_init(&b, TRACE_MARK_TEXT + 1);
	zk_hex_encode(zk_str_n((const char *)id, sizeof(id)), &b);
	(void)snprintf(out, TRACE_MARK_TEXT + 1, "%s", zk_buf_cstring(&b));
}

char *trace_make_id(const char *prefix)
{
	zk_uuid u = zk_uuid_v7();
	char text[ZK_UUID_TEXT + 1] = { 0 };

	zk_uuid_format(&u, text);
	return zk_asprintf("%s%s", prefix, text);
}

/* ---- the spool -------------------------------------------------------------------------------- */

const char *trace_op_name(enum trace_op op)
{
	static const char *const names[] = { "event", "start", "complete" };

	return names[op];
}

void trace_dest(const char *base, const char *session, struct zk_buf *b)
{
	zk_buf_cstr(b, base);
	zk_buf_lit(b, DEST_MIDDLE);
	zk_buf_percent(b, zk_str_of(session));
}

bool trace_dest_parse(zk_str dest, char **base, char **session)
{
	ptrdiff_t at = zk_str_find(dest, ZK_STR(DEST_MIDDLE));
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str rest;

	if (at <= 0)
		return false;
	rest = zk_str_from(dest, (size_t)at + sizeof(DEST_MIDDLE) - 1);
	zk_buf_init(&b, ZK_SPOOL_TEXT_MAX);
	if (!rest.n || !zk_uri_decode(rest, ZK_URI_PATH, &b) || !b.n)
		return false;
	*base = zk_strndup(dest.p, (size_t)at);
	*session = zk_buf_take(&b);
	return true;
}

char *trace_spool_dir(struct zk_app *app, struct zk_error *err)
{
	struct zk_spool_conf conf = { 0 };
	char *dir = NULL;

	if (zk_spool_place(app, app->spool.spool, /* create */ true, &conf, &dir, err) <
	    0)
		return NULL;
	if (mkdir(conf.dir, 0700) == 0 || errno == EEXIST)
		return dir ? dir : zk_strdup(conf.dir);
	(void)zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make the folder '%s'",
	                    conf.dir);
	free(dir);
	return NULL;
}

int trace_spool_op(const struct zeal *z, struct zk_spool *sp, const char *session,
                   enum trace_op op, zk_str body, struct zk_error *err)
{
	struct zk_buf dest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_spool *own ZK_CLEANUP(zk_spool_closep)
	= NULL;
	ZK_CLEANUP(zk_freep)
	char *meta = zk_asprintf("{\"op\":\"%s\"}", trace_op_name(op));
	struct zk_spool_put put = { .meta = zk_str_of(meta), .body = body };

	if (!sp) {
		if (spool_make(z->app, /* own */ false, &own, err) < 0)
			return -(int)err->code;
		sp = own;
	}
	zk_buf_init(&dest, ZK_SPOOL_TEXT_MAX);
	trace_dest(zk_zip_base(z->zip), session, &dest);
	struct zk_spool_target target = { .kind = ZK_STR("trace"),
		                          .dest = zk_buf_str(&dest) };

	if (zk_spool_append(sp, &target, &put, 1, err) < 0)
		return -(int)err->code;
	return put.result == ZK_SPOOL_DROPPED
	               ? zk_fail(err, ZK_E_SPOOL_FULL, "the spool is full")
	               : 0;
}

void trace_event_put(zk_str mark, uint64_t seq, uint64_t line, struct zk_buf *text,
                     struct zk_spool_put *ret)
{
	size_t at = text->n;

	zk_buf_printf(text, "{\"op\":\"event\",\"s\":\"%.*s\",\"n\":%llu",
	              ZK_STR_ARG(mark), (unsigned long long)seq);
	if (line)
		zk_buf_printf(text, ",\"line\":%llu", (unsigned long long)line);
	zk_buf_char(text, '}');
	ret->meta = zk_str_n(text->p + at, text->n - at);
	at = text->n;
	trace_event_key(mark, seq, text);
	ret->key = zk_str_n(text->p + at, text->n - at);
}

void trace_event_key(zk_str mark, uint64_t seq, struct zk_buf *b)
{
	zk_buf_add(b, mark);
	zk_buf_char(b, '.');
	zk_buf_u64(b, seq);
}

const struct zk_cmd zk_cmd_trace = {
	.path = "trace",
	.help = "push execution traces, look at sessions",
	.section = "Workflows",
	.see = "man zk-trace",
};
