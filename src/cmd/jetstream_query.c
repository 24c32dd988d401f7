/* `zk jetstream query`.
 * Layer: cmd. specs/jetstream.md §14.6. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/jetstream_s3.h"
#include "cmd/jetstream_store.h"
#include "codec/expr.h"
#include "codec/jwrite.h"
#include "jetstream/filter.h"
#include "jetstream/position.h"
#include "jetstream/record.h"
#include "rt/out.h"
#include "store/sqlite.h"

#include "base/ban.h"

#define ROWS 50

struct query_opts {
	struct jet_store_opts store;
	struct jet_s3_opts s3;
	bool with_s3;
	const char *since, *until, *did, *uri, *match, *sql;
	bool oldest;
	int envelope;
};

static const struct zk_opt rows[] = {
	JET_STORE_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "since",
	  .meta = "POS",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, since),
	  .help = "not older than a time, -2h, or time_us" },
	{ .type = ZK_OPT_STR,
	  .name = "until",
	  .meta = "POS",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, until),
	  .help = "older than that" },
	{ .type = ZK_OPT_STR,
	  .name = "did",
	  .meta = "DID",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, did),
	  .help = "of this account" },
	{ .type = ZK_OPT_STR,
	  .name = "uri",
	  .meta = "AT-URI",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, uri),
	  .help = "of this record" },
	{ .type = ZK_OPT_STR,
	  .name = "match",
	  .meta = "EXPR",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, match),
	  .help = "events that satisfy it, as in tail" },
	{ .type = ZK_OPT_STR,
	  .name = "sql",
	  .meta = "SELECT",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, sql),
	  .help = "run this in each file instead; its columns are the members" },
	{ .type = ZK_OPT_BOOL,
	  .name = "oldest",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, oldest),
	  .help = "the oldest first" },
	{ .type = ZK_OPT_BOOL,
	  .name = "s3",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct query_opts, with_s3),
	  .group = JET_G_S3,
	  .help = "also files that only the bucket has" },
	JET_S3_ROWS(struct query_opts),
	{ .type = ZK_OPT_ENUM,
	  .name = "envelope",
	  .meta = "FORM",
	  .def = "zk",
	  .values = zk_jet_envelope_names,
	  .off = offsetof(struct query_opts, envelope),
	  .help = "of the records" },
	ZK_OPT_END,
};

struct query {
	struct zk_app *app;
	const struct query_opts *o;
	struct zk_out *out;
	struct zk_expr *match;
	struct zk_jet_pos since, until;
	uint64_t left;
	bool cut;
};

/* ---- one file ---- */

static void put_condition(struct zk_buf *b, bool *first, const char *text)
{
	zk_buf_cstr(b, *first ? " WHERE " : " AND ");
	*first = false;
	zk_buf_cstr(b, text);
}

static int prepare(struct query *q, struct zk_db *db, struct zk_stmt **st,
                   struct zk_error *err)
{
	struct zk_buf sql ZK_CLEANUP(zk_buf_done);
	bool first = true;
	int n = 0;

	zk_buf_init(&sql, 4096);
	zk_buf_cstr(&sql, "SELECT " ZK_JET_ROW_COLUMNS " FROM records");
	if (q->o->did)
		put_condition(&sql, &first, "did = ?");
	if (q->o->uri)
		put_condition(&sql, &first, "at_uri = ?");
	if (q->since.kind == ZK_JET_POS_TIME)
		put_condition(&sql, &first, "time_us >= ?");
	if (q->until.kind == ZK_JET_POS_TIME)
		put_condition(&sql, &first, "time_us < ?");
	zk_buf_cstr(&sql, q->o->oldest ? " ORDER BY id" : " ORDER BY id DESC");
	if (zk_db_prepare(db, zk_buf_cstring(&sql), st, err) < 0)
		return -(int)err->code;
	if (q->o->did)
		zk_bind_text(*st, ++n, zk_str_of(q->o->did));
	if (q->o->uri)
		zk_bind_text(*st, ++n, zk_str_of(q->o->uri));
	if (q->since.kind == ZK_JET_POS_TIME)
		zk_bind_i64(*st, ++n, q->since.time_us);
	if (q->until.kind == ZK_JET_POS_TIME)
		zk_bind_i64(*st, ++n, q->until.time_us);
	return 0;
}

/* False when enough was printed. */
static bool has_room(struct query *q)
{
	if (q->left)
		return !zk_out_closed(q->out);
	q->cut = true;
	return false;
}

static int put_records(struct query *q, struct zk_db *db, struct zk_error *err)
{
	struct zk_buf record ZK_CLEANUP(zk_buf_done);
	struct zk_stmt *st;
	int r;

	zk_buf_init(&record, 64u << 20);
	if (prepare(q, db, &st, err) < 0)
		return -(int)err->code;
	while ((r = zk_stmt_step(st, err)) == 1) {
		struct zk_jet_row row;

		zk_jet_row_read(st, &row);
		if (q->match && !zk_expr_match(q->match, row.message))
			continue;
		if (!has_room(q))
			return 0;
		q->left--;
		zk_buf_clear(&record);
		zk_jet_put_record(&row, (enum zk_jet_envelope)q->o->envelope, &record);
		if (zk_out_row(q->out, zk_buf_str(&record), err) < 0)
			return -(int)err->code;
	}
	return r;
}

static void put_value(struct zk_jwrite *w, struct zk_stmt *st, int i)
{
	switch (zk_col_type(st, i)) {
	case ZK_COL_NULL:
		zk_jw_null(w);
		return;
	case ZK_COL_I64:
		zk_jw_i64(w, zk_col_i64(st, i));
		return;
	case ZK_COL_DOUBLE:
		zk_jw_double(w, zk_col_double(st, i));
		return;
	case ZK_COL_TEXT:
	case ZK_COL_BLOB:
		zk_jw_str(w, zk_col_text(st, i));
	}
}

static int put_sql(struct query *q, struct zk_db *db, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_stmt *st;
	int r;

	zk_buf_init(&b, 64u << 20);
	if (zk_db_prepare(db, q->o->sql, &st, err) < 0)
		return zk_wrap(err, "--sql");
	while ((r = zk_stmt_step(st, err)) == 1 && has_room(q)) {
		struct zk_jwrite w;

		q->left--;
		zk_buf_clear(&b);
		zk_jwrite_init(&w, &b);
		zk_jw_obj(&w);
		for (int i = 0; i < zk_col_count(st); i++) {
			zk_jw_key(&w, zk_col_name(st, i));
			put_value(&w, st, i);
		}
		zk_jw_obj_end(&w);
		if (zk_out_row(q->out, zk_buf_str(&b), err) < 0)
			return -(int)err->code;
	}
	return r < 0 ? r : 0;
}

/* Whether a sealed file may hold something of the range; live ones always may. */
static bool is_in_range(const struct query *q, struct zk_db *db)
{
	struct zk_stmt *st;
	struct zk_error ignored;
	bool in = true;

	if (zk_db_prepare(db,
	                  "SELECT (SELECT value FROM zk_meta WHERE key='first_us'),"
	                  "(SELECT value FROM zk_meta WHERE key='last_us')",
	                  &st, &ignored) < 0)
		return true;
	if (zk_stmt_step(st, &ignored) == 1 && !zk_col_is_null(st, 0)) {
		if (q->since.kind == ZK_JET_POS_TIME &&
		    zk_col_i64(st, 1) < q->since.time_us)
			in = false;
		if (q->until.kind == ZK_JET_POS_TIME &&
		    zk_col_i64(st, 0) >= q->until.time_us)
			in = false;
	}
	zk_stmt_free(st);
	return in;
}

static int one_file(void *ctx, struct zk_db *db, struct zk_error *err)
{
	struct query *q = ctx;
	int r = 0;

	if (is_in_range(q, db))
		r = q->o->sql ? put_sql(q, db, err) : put_records(q, db, err);
	return r < 0 ? r : q->cut || zk_out_closed(q->out);
}

/* What the ledger knows of a sealed file: nothing of the range is in it. */
static bool is_outside(void *ctx, const struct zk_jet_sealed *f)
{
	const struct query *q = ctx;

	return f->has_times &&
	       ((q->since.kind == ZK_JET_POS_TIME && f->last_us < q->since.time_us) ||
	        (q->until.kind == ZK_JET_POS_TIME && f->first_us >= q->until.time_us));
}

/* ---- all ---- */

static bool is_select(const char *sql)
{
	zk_str s = zk_str_trim(zk_str_of(sql));

	return zk_str_starts_nocase(s, ZK_STR("select")) ||
	       zk_str_starts_nocase(s, ZK_STR("with"));
}

static int setup(struct query *q, struct zk_error *err)
{
	const struct query_opts *o = q->o;
	int64_t now = zk_wall_us();

	if (o->since && zk_jet_pos_parse(zk_str_of(o->since), now, &q->since, err) < 0)
		return zk_wrap(err, "--since");
	if (o->until && zk_jet_pos_parse(zk_str_of(o->until), now, &q->until, err) < 0)
		return zk_wrap(err, "--until");
	if (o->sql && !is_select(o->sql))
		return zk_fail(err, ZK_E_USAGE, "--sql takes a SELECT");
	if (o->match &&
	    zk_expr_compile(zk_str_of(o->match), &zk_jet_match_conf, &q->match, err) < 0)
		return -(int)err->code;
	q->left = q->app->output.limit ? q->app->output.limit
	          : q->app->output.all ? UINT64_MAX
	                               : ROWS;
	return 0;
}

static int search(struct query *q, struct zk_error *err)
{
	struct jet_store_walk w = { .o = &q->o->store,
		                    .oldest = q->o->oldest,
		                    .prefix = q->o->s3.prefix,
		                    .ctx = q,
		                    .skip = is_outside,
		                    .fn = one_file };
	int r = q->o->with_s3 ? jet_s3_open(q->app, &q->o->s3, &w.s3, err) : 0;

	if (r == 0)
		r = jet_store_each(q->app, &w, err);
	zk_s3_free(w.s3);
	return r;
}

static int query_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	static const struct zk_out_col cols[] = {
		{ .name = "time_us", .flags = ZK_COL_RIGHT },
		{ .name = "at_uri", .flags = ZK_COL_WHOLE },
		{ .name = "did", .flags = ZK_COL_EXTRA },
		{ .name = "message.commit.record.text", .title = "text" }
	};
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "records",
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols),
		                                   .open = true };
	static const struct zk_out_shape plain = { .kind = ZK_OUT_LIST, .open = true };
	struct query q = { .app = app, .o = opts };
	uint64_t shown = 0;
	int r;

	(void)argc;
	(void)argv;
	q.out = zk_app_out(app, err);
	if (!q.out || zk_out_begin(q.out, q.o->sql ? &plain : &shape, err) < 0)
		return -(int)err->code;
	r = setup(&q, err);
	if (r == 0)
		r = search(&q, err);
	zk_expr_free(q.match);
	if (r < 0)
		return r;
	shown = zk_out_rows(q.out);
	if (q.cut)
		zk_out_cut(q.out, shown, -1);
	if (zk_out_end(q.out, err) < 0)
		return -(int)err->code;
	return app->output.exit_status && !shown ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_jetstream_query = {
	.path = "jetstream query",
	.help = "search stored events",
	.about = "Reads the live file and the sealed ones, compressed or not, the newest "
	         "events "
	         "first. The store may be in use.",
	.examples = "zk jetstream query --since -2h --did did:plc:... --fields at_uri\n"
	            "zk jetstream query --match 'has reply' --limit 10\n"
	            "zk jetstream query --sql 'SELECT kind, count(*) AS n FROM records "
	            "GROUP BY "
	            "1'",
	.output = "one enriched record per row",
	.exits = "0 · 1 nothing with --exit-status · 64 usage · 66 no store · 69, 75, 77 "
	         "the bucket",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = rows,
	.opts_size = sizeof(struct query_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_READER,
	.run = query_run,
};
