/* `zk triggers ack`.
 * Layer: cmd. specs/triggers.md §14.1, §5.9. */
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/triggers_client.h"
#include "codec/jscan.h"
#include "rt/input.h"
#include "rt/loop.h"

#include "base/ban.h"

#define BATCH    1000
#define MAX_BODY (BATCH * (ZK_UUID_TEXT + 4) + 64)

struct ack_run {
	struct trig_session s;
	struct zk_buf body; /* {"event_ids":[…  of the batch being filled */
	size_t n;
	uint64_t acknowledged, failed;
	struct zk_buf ids; /* of stdin, one per line */
	bool input_over;
	bool checking; /* first all of them, so that a bad one stops everything */
	struct zk_error err;
};

static int send_batch(struct ack_run *a, struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jval v;
	uint64_t n = 0;

	if (!a->n)
		return 0;
	zk_buf_init(&answer, 65536);
	zk_buf_lit(&a->body, "]}");
	struct zk_trig_request rq = { .method = "POST",
		                      .path = "/api/inbox/ack",
		                      .body = zk_buf_str(&a->body),
		                      .repeatable = true };

	if (zk_trig_call(&a->s.client, &rq, &answer, err) < 0)
		return -(int)err->code;
	if (zk_jscan_get(zk_buf_str(&answer), ZK_STR("acknowledged"), &v) &&
	    zk_jnum_u64(v.raw, &n))
		a->acknowledged += n;
	a->failed += a->n - ZK_MIN((size_t)n, a->n);
	a->n = 0;
	zk_buf_clear(&a->body);
	return 0;
}

static int add(struct ack_run *a, zk_str id, struct zk_error *err)
{
	zk_uuid parsed;

	if (!zk_uuid_parse(id, &parsed))
		return zk_fail(err, ZK_E_DATA, "'%.*s' is no event id",
		               (int)ZK_MIN(id.n, (size_t)80), id.p ? id.p : "");
	if (a->checking)
		return 0;
	zk_buf_cstr(&a->body, a->n++ ? ",\"" : "{\"event_ids\":[\"");
	zk_buf_add(&a->body, id);
	zk_buf_char(&a->body, '"');
	return a->n == BATCH ? send_batch(a, err) : 0;
}

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct ack_run *a = ctx;

	(void)file;
	zk_buf_add(&a->ids, zk_str_trim(line->text));
	zk_buf_char(&a->ids, '\n');
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct ack_run *a = ctx;

	if (err)
		a->err = *err;
	a->input_over = true;
}

static int read_stdin(struct ack_run *a, struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(a->s.app, err);
	struct zk_lines_conf conf = {
		.max_line_bytes = 256, .ctx = a, .on_line = on_line, .on_end = on_end
	};
	struct zk_lines *lines;

	if (!loop || zk_lines_open(loop, &conf, &lines, err) < 0)
		return -(int)err->code;
	zk_loop_until(loop, &a->input_over);
	zk_lines_close(lines);
	if (a->err.code) {
		*err = a->err;
		return -(int)err->code;
	}
	return zk_buf_check(&a->ids, err);
}

static int add_all(struct ack_run *a, int argc, char **argv, struct zk_error *err)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-") != 0) {
			if (add(a, zk_str_of(argv[i]), err) < 0)
				return -(int)err->code;
			continue;
		}
		if (!a->input_over && read_stdin(a, err) < 0)
			return -(int)err->code;
		for (zk_str rest = zk_buf_str(&a->ids); rest.n;) {
			zk_str id;

			rest = zk_str_cut(rest, '\n', &id);
			if (id.n && add(a, id, err) < 0)
				return -(int)err->code;
		}
	}
	return 0;
}

static int all(struct ack_run *a, int argc, char **argv, struct zk_error *err)
{
	a->checking = true;
	if (add_all(a, argc, argv, err) < 0)
		return -(int)err->code;
	a->checking = false;
	return add_all(a, argc, argv, err) < 0 ? -(int)err->code : send_batch(a, err);
}

static int ack_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	struct ack_run a = { 0 };
	char text[96];
	struct zk_buf row ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&row, sizeof(text));
	zk_buf_init(&a.body, MAX_BODY);
	zk_buf_init(&a.ids, (size_t)1 << 30);
	int r = trig_open(app, opts, /* need_key */ true, &a.s, err);

	if (r == 0)
		r = all(&a, argc, argv, err);
	if (r == 0) {
		zk_buf_printf(&row, "{\"acknowledged\":%llu,\"failed\":%llu}",
		              (unsigned long long)a.acknowledged,
		              (unsigned long long)a.failed);
		r = trig_print(app, zk_buf_str(&row), err);
	}
	trig_close(&a.s);
	zk_buf_done(&a.body);
	zk_buf_done(&a.ids);
	return r == 0 && a.failed ? ZK_EXIT_PARTIAL : r;
}

static const struct zk_opt ack_rows[] = { TRIG_CLIENT_ROWS, ZK_OPT_END };

const struct zk_cmd zk_cmd_triggers_ack = {
	.path = "triggers ack",
	.args = "ID...|-",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "acknowledge events",
	.about = "'-' reads ids from stdin, one per line. An id that was acknowledged "
	         "before, or that is "
	         "unknown, counts as failed.",
	.examples = "zk triggers ack 0199f3c1-5a7e-7a10-8f3e-0f8d8f1f2a3b\n"
	            "zk triggers inbox --format '{id}' | zk triggers ack -",
	.output = "how many were acknowledged",
	.exits = "0 all · 3 some failed · 65 not an id · 77 key refused",
	.see = "man zk-triggers",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = ack_rows,
	.opts_size = sizeof(struct trig_opts),
	.conf = "triggers",
	.run = ack_run,
};
