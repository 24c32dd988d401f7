/* `zk completion bash|zsh|fish`.
 * Layer: cmd. */
#include "cli/emit.h"
#include "cli/term.h"
#include "cmd/cmds.h"

#include "base/ban.h"

static int completion_run(struct zk_app *app, void *opts, int argc, char **argv,
                          struct zk_error *err)
{
	zk_str script = zk_completion_script(zk_str_of(argv[0]));

	(void)app;
	(void)opts;
	(void)argc;
	if (!script.n)
		return zk_fail(err, ZK_E_USAGE, "'%.60s' is not one of bash, zsh, fish",
		               argv[0]);
	return zk_print(script, err);
}

const struct zk_cmd zk_cmd_completion = {
	.path = "completion",
	.section = "Set up",
	.args = "bash|zsh|fish",
	.min_args = 1,
	.max_args = 1,
	.help = "print a completion script for a shell",
	.about = "Packages install completions by themselves. Without a package, load "
	         "the script "
	         "when the shell starts.",
	.examples = "echo 'eval \"$(zk completion bash)\"' >> ~/.bashrc\n"
	            "zk completion zsh > ~/.zfunc/_zk\n"
	            "zk completion fish > ~/.config/fish/completions/zk.fish",
	.exits = "0 · 64 unknown shell",
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.complete_arg = "shell",
	.run = completion_run,
};
