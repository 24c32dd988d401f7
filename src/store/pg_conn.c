/* A PostgreSQL connection that waits: connecting, checking, one statement at a time.
 * Layer: store; owns libpq with pg.c and pg_value.c. Any thread. */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/pg.def"

#include "base/ban.h"

#define CONNECT_MS 5000
#define QUERY_MS   30000
#define OLDEST     130000 /* PostgreSQL 13 */

struct zk_pq zk_pq;

static const struct zk_dl_sym syms[] = {
#define ROW(s) { #s, offsetof(struct zk_pq, s) },
	ZK_PQ_SYMS(ROW)
#undef ROW
};

ZK_DL_NOTE("pg", "PostgreSQL client", "suggested", "libpq.so.5");

static struct zk_dl lib = ZK_DL_INIT("libpq.so.5", "libpq5", &zk_pq, syms);

int zk_pq_open(struct zk_error *err)
{
	return zk_dl_open(&lib, err);
}

const char *zk_pq_name(size_t stmt, char out[ZK_PQ_NAME_MAX])
{
	(void)snprintf(out, ZK_PQ_NAME_MAX, "z%u", (unsigned)stmt & 0xffffu);
	return out;
}

/* ---- errors ------------------------------------------------------------------------------- */

/* By the class of the SQLSTATE, or the whole of it where the class is too wide. */
static const struct {
	const char *prefix;
	enum zk_code code;
	bool retryable;
} states[] = {
	{ "08", ZK_E_CONNECT, true },       { "28", ZK_E_AUTH, false },
	{ "3D", ZK_E_CONFIG_VALUE, false }, { "3F", ZK_E_CONFIG_VALUE, false },
	{ "40", ZK_E_CONFLICT, true },      { "42501", ZK_E_FORBIDDEN, false },
	{ "22", ZK_E_DATA, false },         { "23", ZK_E_DATA, false },
	{ "54", ZK_E_DATA, false },         { "53100", ZK_E_STORE_FULL, true },
	{ "53300", ZK_E_CONNECT, true },    { "57P0", ZK_E_CONNECT, true },
	{ "57014", ZK_E_TIMEOUT, true },    { "25006", ZK_E_CONNECT, true },
};

/* What a failure to connect is about; libpq has only a text for it. */
static enum zk_code code_of_text(const char *text)
{
	if (strstr(text, "SSL") || strstr(text, "certificate"))
		return ZK_E_TLS;
	if (strstr(text, "no password supplied") ||
	    strstr(text, "authentication failed") || strstr(text, "no pg_hba.conf entry"))
		return ZK_E_AUTH;
	if (strstr(text, "does not exist"))
		return ZK_E_CONFIG_VALUE;
	return ZK_E_CONNECT;
}

static const char *hint_of(enum zk_code code)
{
	switch ((int)code) {
	case ZK_E_TLS:
		return "see sslmode and sslrootcert of the database URL, and the "
		       "server's 'ssl'";
	case ZK_E_AUTH:
		return "give the password in PGPASSFILE (mode 0600) or in DATABASE_URL, "
		       "and look at the server's pg_hba.conf";
	case ZK_E_CONFIG_VALUE:
		return "create the database first, or correct its name in the URL";
	default:
		return NULL;
	}
}

/* The first line without "ERROR:  " and what else libpq puts in front. */
static zk_str first_line(const char *text)
{
	static const char *const words[] = { "ERROR:  ", "FATAL:  ", "PANIC:  ",
		                             "connection to server " };
	zk_str line;

	(void)zk_str_cut(zk_str_of(text), '\n', &line);
	for (size_t i = 0; i < ZK_ARRAY_LEN(words); i++) {
		if (zk_str_starts(line, zk_str_of(words[i])))
			line = zk_str_from(line, strlen(words[i]));
	}
	return line;
}

int zk_pq_fail(PGconn *pg, const PGresult *res, struct zk_error *err)
{
	const char *state = NULL, *text, *hint;
	enum zk_code code = ZK_E_STORE;
	bool retryable = false;

	if (res)
		state = (zk_pq.PQresultErrorField)(res, PG_DIAG_SQLSTATE);
	text = res && state ? (zk_pq.PQresultErrorMessage)(res)
	                    : (zk_pq.PQerrorMessage)(pg);
	for (size_t i = 0; state && i < ZK_ARRAY_LEN(states); i++) {
		if (strncmp(state, states[i].prefix, strlen(states[i].prefix)) == 0) {
			code = states[i].code;
			retryable = states[i].retryable;
		}
	}
	if (!state) {
		code = code_of_text(text);
		retryable = code == ZK_E_CONNECT;
	}
	zk_str line = first_line(text);

	(void)zk_fail(err, code, "PostgreSQL: %.*s", (int)ZK_MIN(line.n, (size_t)300),
	              line.n ? line.p : "the connection is closed");
	err->retryable = retryable;
	if (state)
		(void)snprintf(err->remote_id, sizeof(err->remote_id), "%.5s", state);
	hint = hint_of(code);
	if (hint)
		(void)zk_err_hint(err, "%s", hint);
	return -(int)code;
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* Waits for the socket; false when `until_ms` (INT64_MAX = never) has come. */
static bool wait_socket(PGconn *pg, short events, int64_t until_ms)
{
	for (;;) {
		struct pollfd p = { .fd = (zk_pq.PQsocket)(pg), .events = events };
		int64_t left = until_ms == INT64_MAX ? -1 : until_ms - zk_mono_ms();
		int n;

		if (until_ms != INT64_MAX && left <= 0)
			return false;
		n = poll(&p, 1, (int)ZK_MIN(left, (int64_t)60000));
		if (n > 0 || (n < 0 && errno != EINTR))
			return true; /* libpq finds out what is wrong */
	}
}

static int late(struct zk_error *err, const char *what)
{
	(void)zk_fail(err, ZK_E_CONNECT, "PostgreSQL: %s", what);
	err->retryable = true;
	return -(int)err->code;
}

static int wait_connected(PGconn *pg, int64_t until_ms, struct zk_error *err)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (next != PGRES_POLLING_OK) {
		if (next == PGRES_POLLING_FAILED)
			return zk_pq_fail(pg, NULL, err);
		if (!wait_socket(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		                 until_ms))
			return late(err, "no connection within the time given");
		next = (zk_pq.PQconnectPoll)(pg);
	}
	return 0;
}

int zk_pq_wait(PGconn *pg, int64_t until_ms, struct zk_error *err)
{
	for (;;) {
		int left = (zk_pq.PQflush)(pg);

		if (left < 0)
			return zk_pq_fail(pg, NULL, err);
		if (left == 0 && !(zk_pq.PQisBusy)(pg))
			return 0;
		if (!wait_socket(pg, left ? POLLIN | POLLOUT : POLLIN, until_ms))
			return late(err, "no answer within the time given");
		if (!(zk_pq.PQconsumeInput)(pg))
			return zk_pq_fail(pg, NULL, err);
	}
}

/* Reads the results of what was sent; keeps the last one, or the first error. */
static int take_results(struct zk_pg_conn *c, struct zk_pg_res **ret,
                        struct zk_error *err)
{
	int64_t until = c->query_ms < 0 ? INT64_MAX : zk_mono_ms() + c->query_ms;
	PGresult *kept = NULL, *r;
	int code = 0;

	for (;;) {
		if (zk_pq_wait(c->pg, until, code ? &(struct zk_error){ 0 } : err) < 0) {
			(zk_pq.PQclear)(kept);
			return code ? code : -(int)err->code;
		}
		r = (zk_pq.PQgetResult)(c->pg);
		if (!r)
			break;
		ExecStatusType s = (zk_pq.PQresultStatus)(r);

		if (code == 0 && s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK &&
		    s != PGRES_EMPTY_QUERY)
			code = zk_pq_fail(c->pg, r, err);
		(zk_pq.PQclear)(kept);
		kept = r;
	}
	if (code == 0 && ret)
		*ret = (struct zk_pg_res *)kept;
	else
		(zk_pq.PQclear)(kept);
	return code;
}

/* ---- statements --------------------------------------------------------------------------- */

int zk_pg_exec(struct zk_pg_conn *c, const char *sql, struct zk_error *err)
{
	if (!(zk_pq.PQsendQuery)(c->pg, sql))
		return zk_pq_fail(c->pg, NULL, err);
	return take_results(c, NULL, err);
}

int zk_pg_query(struct zk_pg_conn *c, const char *sql, const struct zk_pg_params *params,
                struct zk_pg_res **ret, struct zk_error *err)
{
	const char *values[ZK_PG_MAX_PARAMS];
	int lengths[ZK_PG_MAX_PARAMS], formats[ZK_PG_MAX_PARAMS];
	int n = zk_pq_values(params, values, lengths, formats);

	if (!(zk_pq.PQsendQueryParams)(c->pg, sql, n, NULL, values, lengths, formats,
	                               /* binary */ 1))
		return zk_pq_fail(c->pg, NULL, err);
	return take_results(c, ret, err);
}

/* Reads up to the end of the pipeline; the first error counts. */
static int take_pipeline(struct zk_pg_conn *c, struct zk_error *err)
{
	int64_t until = c->query_ms < 0 ? INT64_MAX : zk_mono_ms() + c->query_ms;
	struct zk_error lost = { 0 };
	int code = 0;

	for (;;) {
		if (zk_pq_wait(c->pg, until, &lost) < 0) {
			if (code == 0)
				*err = lost;
			return -(int)err->code;
		}
		PGresult *r = (zk_pq.PQgetResult)(c->pg);
		ExecStatusType s = r ? (zk_pq.PQresultStatus)(r) : PGRES_COMMAND_OK;

		if (code == 0 && s != PGRES_COMMAND_OK && s != PGRES_PIPELINE_SYNC)
			code = zk_pq_fail(c->pg, r, err);
		(zk_pq.PQclear)(r);
		if (s == PGRES_PIPELINE_SYNC)
			return code;
	}
}

/* All in one go: one way there and back, however many they are. */
static int prepare_all(struct zk_pg_conn *c, const struct zk_pg_conf *conf,
                       struct zk_error *err)
{
	char name[ZK_PQ_NAME_MAX];

	if (conf->n_stmts == 0)
		return 0;
	if (!(zk_pq.PQenterPipelineMode)(c->pg))
		return zk_pq_fail(c->pg, NULL, err);
	for (size_t i = 0; i < conf->n_stmts; i++) {
		if (!(zk_pq.PQsendPrepare)(c->pg, zk_pq_name(i, name), conf->stmts[i], 0,
		                           NULL))
			return zk_pq_fail(c->pg, NULL, err);
	}
	if (!(zk_pq.PQpipelineSync)(c->pg))
		return zk_pq_fail(c->pg, NULL, err);
	return take_pipeline(c, err);
}

/* ---- open and close ------------------------------------------------------------------------ */

static void quiet(void *ctx, const char *text)
{
	(void)ctx;
	(void)text; /* libpq would print notices on stderr */
}

/* libpq's own messages about a malformed URL quote parts of it, perhaps of the password. */
static int check_url(const char *url, struct zk_error *err)
{
	char *text = NULL;
	PQconninfoOption *o = (zk_pq.PQconninfoParse)(url, &text);

	(zk_pq.PQfreemem)(text);
	if (!o) {
		(void)zk_fail(err, ZK_E_CONFIG_VALUE,
		              "the PostgreSQL URL cannot be understood");
		return zk_err_hint(err, "postgresql://USER@HOST:PORT/DATABASE; special "
		                        "characters of passwords as %%XX");
	}
	(zk_pq.PQconninfoFree)(o);
	return 0;
}

static PGconn *begin(const struct zk_pg_conf *conf)
{
	const char *const names[] = { "fallback_application_name",
		                      "keepalives_idle",
		                      "keepalives_interval",
		                      "keepalives_count",
		                      "tcp_user_timeout",
		                      "client_encoding",
		                      "dbname",
		                      NULL };
	const char *const values[] = { conf->app ? conf->app : "zk",
		                       "20",
		                       "5",
		                       "3",
		                       "15000",
		                       "UTF8",
		                       conf->url,
		                       NULL };

	return (zk_pq.PQconnectStartParams)(names, values, /* expand dbname */ 1);
}

static int check_server(PGconn *pg, struct zk_error *err)
{
	const char *encoding = (zk_pq.PQparameterStatus)(pg, "server_encoding");
	int version = (zk_pq.PQserverVersion)(pg);

	if (version < OLDEST) {
		(void)zk_fail(err, ZK_E_CONFIG_VALUE, "PostgreSQL %d is too old",
		              version / 10000);
		return zk_err_hint(err, "version 13 or later is needed");
	}
	if (!encoding || strcmp(encoding, "UTF8") != 0) {
		(void)zk_fail(err, ZK_E_CONFIG_VALUE,
		              "the database has the encoding %s, not UTF8",
		              encoding ? encoding : "?");
		return zk_err_hint(err, "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE "
		                        "template0");
	}
	return 0;
}

int zk_pg_open(const struct zk_pg_conf *conf, struct zk_pg_conn **ret,
               struct zk_error *err)
{
	int64_t until = zk_mono_ms() + (conf->connect_ms ? conf->connect_ms : CONNECT_MS);
	ZK_CLEANUP(zk_pg_closep)
	struct zk_pg_conn *c = NULL;

	if (zk_pq_open(err) < 0 || check_url(conf->url, err) < 0)
		return -(int)err->code;
	c = zk_new0(struct zk_pg_conn);
	c->query_ms = conf->query_ms ? conf->query_ms : QUERY_MS;
	c->pg = begin(conf);
	ZK_ASSERT(c->pg); /* out of memory */
	if ((zk_pq.PQstatus)(c->pg) == CONNECTION_BAD)
		return zk_pq_fail(c->pg, NULL, err);
	(void)(zk_pq.PQsetNoticeProcessor)(c->pg, quiet, NULL);
	if (wait_connected(c->pg, until, err) < 0)
		return -(int)err->code;
	if ((zk_pq.PQsetnonblocking)(c->pg, 1) != 0)
		return zk_pq_fail(c->pg, NULL, err);
	if (check_server(c->pg, err) < 0 ||
	    (conf->setup && zk_pg_exec(c, conf->setup, err) < 0) ||
	    prepare_all(c, conf, err) < 0)
		return -(int)err->code;
	*ret = ZK_TAKE(c);
	return 0;
}

void zk_pg_close(struct zk_pg_conn *c)
{
	if (!c)
		return;
	(zk_pq.PQfinish)(c->pg);
	free(c);
}

void zk_pg_closep(struct zk_pg_conn **c)
{
	zk_pg_close(*c);
}

static const char *value_of(const PQconninfoOption *list, const char *name,
                            const char *other)
{
	for (const PQconninfoOption *o = list; o->keyword; o++) {
		if (strcmp(o->keyword, name) == 0 && o->val && o->val[0])
			return o->val;
	}
	return other;
}

void zk_pg_describe(const char *url, struct zk_buf *b)
{
	struct zk_error ignored = { 0 };
	PQconninfoOption *o;
	char *text = NULL;

	if (zk_pq_open(&ignored) < 0)
		return;
	o = (zk_pq.PQconninfoParse)(url, &text);
	(zk_pq.PQfreemem)(text);
	if (!o)
		return;
	zk_buf_printf(b, "PostgreSQL at %s port %s, database %s",
	              value_of(o, "host", "the local socket"),
	              value_of(o, "port", "5432"),
	              value_of(o, "dbname", "of the user's name"));
	(zk_pq.PQconninfoFree)(o);
}
