/* `zk explain CODE`.
 * Layer: cmd. */
#include <string.h>

#include "cli/term.h"
#include "cmd/cmds.h"

#include "base/ban.h"

/* "ZK1103", "zk1103" or "1103"; 0 when it is none of them. */
static int code_of(zk_str s)
{
	struct zk_error ignored;
	uint64_t v = 0;

	if (zk_str_starts_nocase(s, ZK_STR("ZK")))
		s = zk_str_from(s, 2);
	if (s.n != 4 || zk_parse_u64(s, &v, &ignored) < 0)
		return 0;
	return (int)v;
}

static int explain_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	const struct zk_code_info *info = zk_code_find(code_of(zk_str_of(argv[0])));
	struct zk_buf b;
	int r;

	(void)app;
	(void)opts;
	(void)argc;
	if (!info) {
		(void)zk_fail(err, ZK_E_USAGE, "there is no error code '%.60s'", argv[0]);
		return zk_err_hint(err, "all codes: zk help errors");
	}
	zk_buf_init(&b, 8192);
	zk_buf_printf(&b, "ZK%04d  %s  (exit %d)\n\n", (int)info->code, info->title,
	              (int)info->exit);
	zk_fill(&b, zk_str_of(info->text), 0, 0, zk_term_help_width());
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

const struct zk_cmd zk_cmd_explain = {
	.path = "explain",
	.section = "Set up",
	.args = "CODE",
	.min_args = 1,
	.max_args = 1,
	.help = "say what an error code means and what to do",
	.examples = "zk explain ZK1103",
	.exits = "0 · 64 no such code",
	.see = "zk help errors",
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.complete_arg = "code",
	.run = explain_run,
};
