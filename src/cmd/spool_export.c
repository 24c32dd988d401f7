/* `zk spool export`.
 * Layer: cmd. */
#include "base/map.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "rt/out.h"
#include "store/spool_line.h"

#include "base/ban.h"

/* A body of the largest size as base64, and the rest of its line. */
#define LINE_MAX ((size_t)96 << 20)

static const struct zk_opt export_rows[] = {
	SPOOL_DIR_ROW,
	SPOOL_STATE_ROW,
	ZK_OPT_END,
};

struct export
{
	struct zk_spool *sp;
	struct zk_out *out;
	struct zk_buf line;
	struct zk_map seen; /* targets whose attachments are out */
	const struct zk_spool_target *target;
};

static int put_line(struct export *x, struct zk_error *err)
{
	int r = zk_buf_check(&x->line, err);

	return r < 0 ? r : zk_out_text(x->out, zk_buf_str(&x->line), err);
}

static int put_attachment(void *ctx, zk_str name, zk_str bytes, struct zk_error *err)
{
	struct export *x = ctx;

	zk_buf_clear(&x->line);
	zk_spool_put_attachment(&x->line, x->target, name, bytes);
	return put_line(x, err);
}

/* What the records of a target need stands before the first of them. */
static int put_attachments(struct export *x, const struct zk_spool_rec *rec,
                           struct zk_error *err)
{
	struct zk_spool_target t = { .kind = rec->kind, .dest = rec->dest };
	struct zk_buf text ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&text, 2 * ZK_SPOOL_TEXT_MAX);
	zk_buf_add(&text, t.kind);
	zk_buf_char(&text, ':');
	zk_buf_add(&text, t.dest);
	if (zk_map_set(&x->seen, zk_buf_str(&text), x))
		return 0;
	x->target = &t;
	int r = zk_spool_attachments(x->sp, &t, put_attachment, x, err);

	x->target = NULL;
	return r;
}

static int put_record(void *ctx, const struct zk_spool_rec *rec, struct zk_error *err)
{
	struct export *x = ctx;
	int r = put_attachments(x, rec, err);

	if (r < 0)
		return r;
	zk_buf_clear(&x->line);
	zk_spool_put_record(&x->line, rec);
	return put_line(x, err);
}

static int export_all(struct zk_app *app, struct zk_spool *sp,
                      const struct zk_spool_filter *f, struct zk_error *err)
{
	struct export x = { .sp = sp, .out = zk_app_out(app, err) };

	if (!x.out)
		return -(int)err->code;
	zk_buf_init(&x.line, LINE_MAX);
	zk_map_init(&x.seen);
	int r = zk_spool_each(sp, f, put_record, &x, err);

	zk_map_done(&x.seen);
	zk_buf_done(&x.line);
	return r < 0 ? r : zk_out_flush(x.out, err);
}

static int export_run(struct zk_app *app, void *opts, int argc, char **argv,
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
	if (r > 0)
		r = export_all(app, sp, &args.filter, err);
	spool_args_done(&args);
	return r;
}

const struct zk_cmd zk_cmd_spool_export = {
	.path = "spool export",
	.args = "[ID...|TARGET...]",
	.max_args = ZK_ANY,
	.help = "write records as NDJSON; they stay in the spool",
	.about = "A body that is JSON of one line stands in 'body' byte for byte, every "
	         "other one in "
	         "'body_base64'. What the records of a target share (a schema) comes "
	         "before the "
	         "first of them, in lines of type 'attachment'.",
	.examples = "zk spool export > waiting.ndjson\n"
	            "zk spool export --state failed 'triggers:*' > refused.ndjson",
	.args_help = "ID        number of a record\n"
	             "TARGET    all records of these targets; '*' stands for any text",
	.output = "one JSON object per line",
	.exits = "0 · 74 the file cannot be read",
	.see = "zk spool show · zk spool drop · man zk-spool",
	.opts = export_rows,
	.opts_size = sizeof(struct spool_state_opts),
	.flags = ZK_CMD_READER,
	.run = export_run,
};
