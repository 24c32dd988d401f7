/* `zk spool show`.
 * Layer: cmd. */
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "codec/jwrite.h"
#include "rt/out.h"
#include "store/spool_line.h"

#include "base/ban.h"

static const struct zk_opt show_rows[] = {
	SPOOL_DIR_ROW,
	SPOOL_STATE_ROW,
	ZK_OPT_END,
};

static const struct zk_out_col show_cols[] = {
	{ .name = "id", .flags = ZK_COL_RIGHT | ZK_COL_WHOLE },
	{ .name = "target" },
	{ .name = "state" },
	{ .name = "attempts", .flags = ZK_COL_RIGHT },
	{ .name = "created" },
	{ .name = "key", .flags = ZK_COL_EXTRA },
	{ .name = "meta", .flags = ZK_COL_EXTRA },
	{ .name = "last_error" },
	{ .name = "body" },
	{ .name = "body_base64", .flags = ZK_COL_EXTRA },
};

static const struct zk_out_shape many = { .kind = ZK_OUT_LIST,
	                                  .noun = "spooled records",
	                                  .cols = show_cols,
	                                  .n_cols = ZK_ARRAY_LEN(show_cols) };
static const struct zk_out_shape one = { .kind = ZK_OUT_ONE,
	                                 .cols = show_cols,
	                                 .n_cols = ZK_ARRAY_LEN(show_cols) };

struct show {
	struct zk_out *out;
	struct zk_buf line;
};

static int put(void *ctx, const struct zk_spool_rec *rec, struct zk_error *err)
{
	struct show *s = ctx;

	struct zk_jwrite w;

	zk_buf_clear(&s->line);
	zk_jwrite_init(&w, &s->line);
	zk_jw_obj(&w);
	zk_spool_put_members(&w, rec);
	zk_jw_obj_end(&w);
	int r = zk_buf_check(&s->line, err);

	return r < 0 ? r : zk_out_row(s->out, zk_buf_str(&s->line), err);
}

static int fail_missing(const struct zk_spool_filter *f, uint64_t shown,
                        struct zk_error *err)
{
	if (f->n_ids == 1)
		return zk_fail(err, ZK_E_NO_INPUT, "record %lld is not in the spool",
		               (long long)f->ids[0]);
	return zk_fail(err, ZK_E_NO_INPUT, "%llu of %zu records are not in the spool",
	               (unsigned long long)(f->n_ids - shown), f->n_ids);
}

static int show_all(struct zk_app *app, struct zk_spool *sp, struct zk_spool_filter *f,
                    struct zk_error *err)
{
	const struct zk_output_opts *o = &app->output;
	struct show s = { .out = zk_app_out(app, err) };
	int r;

	if (!s.out || zk_out_begin(s.out, f->n_ids == 1 ? &one : &many, err) < 0)
		return -(int)err->code;
	f->limit = o->limit;
	zk_buf_init(&s.line, ZK_ROW_MAX * 2);
	r = sp ? zk_spool_each(sp, f, put, &s, err) : 0;
	zk_buf_done(&s.line);
	if (r < 0)
		return r;
	uint64_t shown = zk_out_rows(s.out);

	/* Who names ids wants to know which are gone; who lists does not. */
	if (f->n_ids && shown < f->n_ids && !f->states && !f->limit)
		return fail_missing(f, shown, err);
	r = zk_out_end(s.out, err);
	if (r < 0)
		return r;
	return o->exit_status && !shown ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct spool_state_opts *o = opts;
	ZK_CLEANUP(zk_spool_closep)
	struct zk_spool *sp = NULL;
	struct spool_args args;
	int r = spool_args_parse(argc, argv, &args, err);

	if (r < 0)
		return r;
	args.filter.states = spool_state_bits(o->state);
	r = spool_open(app, o->spool.dir, &sp, err);
	if (r >= 0)
		r = show_all(app, sp, &args.filter, err);
	spool_args_done(&args);
	return r;
}

const struct zk_cmd zk_cmd_spool_show = {
	.path = "spool show",
	.args = "[ID...|TARGET...]",
	.max_args = ZK_ANY,
	.help = "print records with their bodies and the last error",
	.about = "Bodies may hold what the sent data hold: handle the output with the "
	         "same care.",
	.examples = "zk spool show 7\n"
	            "zk spool show --state failed\n"
	            "zk spool show 'triggers:*' --limit 5 --jq .body",
	.args_help = "ID        number of a record\n"
	             "TARGET    all records of these targets; '*' stands for any text",
	.output = "one record per row: id, target, state, attempts, created, key, meta, "
	          "last_error, "
	          "and body (JSON) or body_base64",
	.exits = "0 · 1 empty with --exit-status · 66 no such record",
	.see = "zk spool list · zk spool export · man zk-spool",
	.groups = ZK_OPTS_OUTPUT,
	.opts = show_rows,
	.opts_size = sizeof(struct spool_state_opts),
	.flags = ZK_CMD_READER,
	.run = show_run,
};
