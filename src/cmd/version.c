/* `zk version`.
 * Layer: cmd. */
#include "base/version.h"
#include "cli/term.h"
#include "cmd/cmds.h"

#include "base/ban.h"

static int version_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	struct zk_buf b;
	int r;

	(void)app;
	(void)opts;
	(void)argc;
	(void)argv;
	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "zk %s (%s)\n", ZK_VERSION, zk_commit);
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

const struct zk_cmd zk_cmd_version = {
	.path = "version",
	.section = "Set up",
	.help = "print the version and what it was built with",
	.see = "zk help · man zk",
	.exits = "0",
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.run = version_run,
};
