/* The zerobus stage of `zk demo`: rows of a file into a table of the stand-in, which cuts the
 * stream in the middle.
 * Layer: cmd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/demo.h"
#include "rt/child.h"
#include "rt/progress.h"
#include "zerobus/fake.h"

#include "base/ban.h"

#define ROWS    5000
#define CUT_AT  "2113"
#define WAIT_MS 20000
#define TABLE   "main.default.air_quality"

struct tour_table {
	struct demo *d;
	struct zk_zb_fake *fake;
	struct zk_child *child;
	char *rows, *secret, *plan, *document;
	bool ended;
	int status;
	char said[512]; /* the end of what the child said */
};

/* ---- files ---- */

static int write_files(struct tour_table *t, struct zk_error *err)
{
	struct zk_buf rows ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&rows, (size_t)1 << 20);
	for (int i = 0; i < ROWS; i++)
		zk_buf_printf(
		        &rows,
		        "{\"device_name\":\"sensor-%d\",\"temp\":%d,\"humidity\":%d}\n",
		        i, i % 60 - 20, i % 100);
	t->rows = demo_write_file(t->d, "rows.ndjson", zk_buf_str(&rows), err);
	t->secret = demo_write_file(t->d, "client-secret", ZK_STR("not-a-secret\n"), err);
	/* What was not acknowledged is thrown away: it would count as lost. */
	t->plan = demo_write_file(t->d, "plan.json",
	                          ZK_STR("[{\"end_after\":" CUT_AT
	                                 ",\"cut\":\"tcp\",\"drops_unacked\":true},{}]"),
	                          err);
	t->document = demo_write_file(
	        t->d, "table.json",
	        ZK_STR("{\"columns\":[{\"name\":\"device_name\",\"type_text\":"
	               "\"string\"},"
	               "{\"name\":\"temp\",\"type_text\":\"int\"},"
	               "{\"name\":\"humidity\",\"type_text\":\"bigint\"}]}"),
	        err);
	if (!t->rows || !t->secret || !t->plan || !t->document)
		return -(int)err->code;
	return 0;
}

/* ---- the run ---- */

static void on_err(void *ctx, zk_str chunk)
{
	struct tour_table *t = ctx;
	size_t n = ZK_MIN(chunk.n, sizeof(t->said) - 1);

	(void)snprintf(t->said, sizeof(t->said), "%.*s", (int)n, chunk.p + chunk.n - n);
}

static void on_child_exit(void *ctx, const struct zk_child_result *res)
{
	struct tour_table *t = ctx;

	t->child = NULL;
	t->ended = true;
	t->status = res->status;
}

static bool has_ended(void *ctx)
{
	const struct tour_table *t = ctx;

	return t->ended;
}

static int send_rows(struct tour_table *t, struct zk_error *err)
{
	char endpoint[64], workspace[64];
	ZK_CLEANUP(zk_freep)
	char *spool = zk_asprintf("%s/zerobus-spool", t->d->dir);
	const char *argv[] = {
		t->d->self,
		"zerobus",
		"send",
		t->rows,
		"--no-config",
		"-t",
		TABLE,
		"--endpoint",
		endpoint,
		"--workspace-url",
		workspace,
		"--workspace-id",
		"1234567890123456",
		"--client-id",
		"demo",
		"--client-secret-file",
		t->secret,
		"--schema",
		"table",
		"--batch-rows",
		"1",
		"--spool",
		spool,
		"--retry-base",
		"10ms",
		"--progress",
		"none",
		NULL,
	};
	struct zk_child_conf conf = { .ctx = t,
		                      .argv = (char *const *)(uintptr_t)argv,
		                      .err = ZK_CHILD_STREAM,
		                      .on_err = on_err,
		                      .on_exit = on_child_exit };

	(void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d",
	               zk_zb_fake_grpc_port(t->fake));
	(void)snprintf(workspace, sizeof(workspace), "http://127.0.0.1:%d",
	               zk_zb_fake_http_port(t->fake));
	if (zk_child_start(t->d->loop, &conf, &t->child, err) < 0)
		return -(int)err->code;
	if (!demo_wait(t->d, has_ended, t, WAIT_MS))
		return zk_fail(err, ZK_E_SUMS, "the rows were not sent within %d s",
		               WAIT_MS / 1000);
	return t->status == 0
	               ? 0
	               : zk_fail(err, ZK_E_SUMS, "zk zerobus send ended with %d: %s",
	                         t->status, t->said);
}

static int work(struct tour_table *t, struct zk_zb_fake_stats *st, struct zk_error *err)
{
	struct zk_zb_fake_conf conf = { .addr = "127.0.0.1", .auth = true };

	if (write_files(t, err) < 0)
		return -(int)err->code;
	conf.plan = t->plan;
	conf.document = t->document;
	if (zk_zb_fake_start(t->d->loop, &conf, &t->fake, err) < 0 ||
	    send_rows(t, err) < 0)
		return -(int)err->code;
	zk_zb_fake_stats(t->fake, st);
	if (st->stored - st->doubled != ROWS || st->cuts != 1 || st->violations ||
	    st->doubled)
		return zk_fail(err, ZK_E_SUMS,
		               "%llu of %d rows are in the table, %llu twice, %llu cuts, "
		               "%llu rules broken",
		               (unsigned long long)(st->stored - st->doubled), ROWS,
		               (unsigned long long)st->doubled,
		               (unsigned long long)st->cuts,
		               (unsigned long long)st->violations);
	return 0;
}

static int run(struct demo *d, void **state, struct zk_buf *line, struct zk_jwrite *facts,
               struct zk_error *err)
{
	struct tour_table *t = zk_new0(struct tour_table);
	struct zk_zb_fake_stats st = { 0 };
	char rows[32], cut[32];

	t->d = d;
	*state = t;
	if (work(t, &st, err) < 0)
		return -(int)err->code;
	zk_buf_printf(line,
	              "%s rows, stream cut at row %s, resumed, %llu sent again, %llu "
	              "lost, %llu doubled",
	              zk_group_digits(st.stored, rows), zk_group_digits(st.cut_row, cut),
	              (unsigned long long)(st.rows - st.stored),
	              (unsigned long long)(ROWS - (st.stored - st.doubled)),
	              (unsigned long long)st.doubled);
	zk_jw_key(facts, "rows");
	zk_jw_u64(facts, st.stored);
	zk_jw_key(facts, "cut_at_row");
	zk_jw_u64(facts, st.cut_row);
	zk_jw_key(facts, "sent_again");
	zk_jw_u64(facts, st.rows - st.stored);
	zk_jw_key(facts, "doubled");
	zk_jw_u64(facts, st.doubled);
	zk_jw_key(facts, "tokens");
	zk_jw_u64(facts, st.tokens);
	return 0;
}

static void invite(struct demo *d, void *state)
{
	struct tour_table *t = state;

	(void)fprintf(
	        stderr,
	        "\nThe stand-in of Zerobus still takes rows:\n"
	        "  %s zerobus send %s -t " TABLE " --endpoint http://127.0.0.1:%d \\\n"
	        "    --workspace-url http://127.0.0.1:%d --workspace-id 1 "
	        "--client-id demo \\\n"
	        "    --client-secret-file %s\n"
	        "  curl http://127.0.0.1:%d/stats\n",
	        d->self, t->rows, zk_zb_fake_grpc_port(t->fake),
	        zk_zb_fake_http_port(t->fake), t->secret, zk_zb_fake_http_port(t->fake));
}

static void stop(struct demo *d, void *state)
{
	struct tour_table *t = state;

	(void)d;
	zk_child_free(t->child);
	zk_zb_fake_free(t->fake);
	free(t->rows);
	free(t->secret);
	free(t->plan);
	free(t->document);
	free(t);
}

const struct demo_stage zk_demo_zerobus = {
	.name = "zerobus",
	.command = "zk fake zerobus --plan PLAN   and   zk zerobus send rows.ndjson "
	           "-t " TABLE,
	.run = run,
	.invite = invite,
	.stop = stop,
};
