/* From argv to the exit status.
 * Layer: cli. */
#include "cli/main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "cli/help.h"
#include "cli/report.h"
#include "cli/state.h"
#include "cli/term.h"

#include "base/ban.h"

#define HELP_CAP (1u << 20)

/* A descriptor that the caller closed must not become that of the next file we open. What takes
 * its place fails on use: stdin cannot be read, stdout cannot be written. */
static void fill_std_fds(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", modes[fd]) != fd)
			abort();
	}
}

static void ignore_sigpipe(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGPIPE, &sa, NULL);
}

/* The value of --NAME in argv, without any checking. */
static const char *peek_option(int argc, char **argv, const char *name)
{
	size_t n = strlen(name);
	const char *found = NULL;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, name, n) != 0)
			continue;
		if (argv[i][2 + n] == '=')
			found = argv[i] + 3 + n;
		else if (argv[i][2 + n] == '\0' && i + 1 < argc)
			found = argv[i + 1];
	}
	return found;
}

/* Help and errors may come before the options are final; their colour is the one asked for. */
static void peek_color(struct zk_app *app, int argc, char **argv)
{
	const char *color = peek_option(argc, argv, "color");

	if (color && strcmp(color, "always") == 0)
		app->common.color = ZK_COLOR_ALWAYS;
	if (color && strcmp(color, "never") == 0)
		app->common.color = ZK_COLOR_NEVER;
}

/* The same for the form of an error. */
static void setup_early(int argc, char **argv)
{
	static const char *const formats[] = { "auto", "text", "logfmt", "json",
		                               "journald" };
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE };
	const char *format = peek_option(argc, argv, "log-format");
	struct zk_error ignored;

	if (!format)
		format = getenv("ZK_LOG_FORMAT");
	for (size_t i = 0; format && i < ZK_ARRAY_LEN(formats); i++)
		if (strcmp(format, formats[i]) == 0)
			conf.format = (enum zk_log_format)i;
	/* Without a file there is nothing that could fail. */
	if (zk_log_setup(&conf, &ignored) < 0)
		return;
}

static enum zk_log_level level_of(const struct zk_app *app)
{
	const struct zk_common_opts *c = &app->common;

	if (c->log_level != ZK_LOGOPT_AUTO)
		return (enum zk_log_level)(c->log_level - ZK_LOGOPT_ERROR);
	if (c->verbose)
		return ZK_LOG_DEBUG;
	if (c->quiet)
		return ZK_LOG_WARN;
	return (app->cmd->flags & ZK_CMD_SERVER) ? ZK_LOG_INFO : ZK_LOG_NOTICE;
}

static int setup_log(const struct zk_app *app, struct zk_error *err)
{
	const struct zk_common_opts *c = &app->common;
	struct zk_log_conf conf = {
		.level = level_of(app),
		.format = (enum zk_log_format)c->log_format,
		.file = c->log_file,
		.color = !c->log_file && zk_term_color(c->color, STDERR_FILENO),
		.threaded = app->cmd->flags & ZK_CMD_SERVER,
	};

	return zk_log_setup(&conf, err);
}

/* Prints the help of `cmd` (NULL = zk) to stdout, or to stderr when nobody asked for it. */
static int show_help(struct zk_app *app, const struct zk_cmd *cmd, bool full,
                     bool to_stderr, struct zk_error *err)
{
	int fd = to_stderr ? STDERR_FILENO : STDOUT_FILENO, r = 0;
	struct zk_help h = { .cmds = app->cmds,
		             .full = full,
		             .width = zk_term_help_width(),
		             .color = zk_term_color(app->common.color, fd) };
	struct zk_buf b;

	zk_buf_init(&b, HELP_CAP);
	zk_help_page(&h, cmd, &b);
	if (to_stderr)
		(void)!write(fd, b.p, b.n); /* the exit status says it as well */
	else if (full)
		r = zk_print_paged(zk_buf_str(&b), err);
	else
		r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

static int run_command(struct zk_app *app, struct zk_error *err)
{
	const struct zk_parse *p = &app->cli->parse;
	int r = zk_parse_check_args(p, err);

	if (r < 0)
		return r;
	/* Whoever waits at a silent terminal did not know that input is wanted. */
	if ((app->cmd->flags & ZK_CMD_READS_INPUT) && p->n_args == 0 &&
	    isatty(STDIN_FILENO) == 1) {
		(void)show_help(app, app->cmd, false, true, err);
		return ZK_EXIT_USAGE;
	}
	r = zk_cli_fill(app, err);
	if (r == 0)
		r = setup_log(app, err);
	if (r == 0)
		r = zk_confirm_profile(app, err);
	if (r == 0)
		r = zk_app_status_start(app, err);
	if (r < 0)
		return r;
	return app->cmd->run(app, app->opts, p->n_args, p->args, err);
}

static int run(struct zk_app *app, int argc, char **argv, struct zk_error *err)
{
	struct zk_parse *p = &app->cli->parse;
	int r = zk_parse_argv(p, argc, argv, err);

	app->cmd = p->cmd;
	app->args_before_dashes = p->args_before_dashes;
	if (r < 0)
		return r;
	if (p->version)
		return zk_print(ZK_STR("zk " ZK_VERSION "\n"), err);
	if (p->help_short || p->help_long)
		return show_help(app, p->cmd, p->help_long, false, err);
	if (!p->cmd || !p->cmd->run) {
		(void)show_help(app, p->cmd, false, true, err);
		return ZK_EXIT_USAGE;
	}
	return run_command(app, err);
}

void zk_app_exit_as(struct zk_app *app, int exit_status)
{
	app->cli->exit_as = exit_status;
}

/* A reader whose reader went away has done its work (ux.md §6). */
static bool is_quiet_end(const struct zk_app *app, const struct zk_error *err)
{
	return app->cmd && (app->cmd->flags & ZK_CMD_READER) &&
	       err->code == ZK_E_OUTPUT && err->sys_errno == EPIPE;
}

/* The error on stderr and on the status channel; the exit status of the process. */
static int conclude(struct zk_app *app, int r, struct zk_error *err)
{
	int status = r;

	if (r < 0 && is_quiet_end(app, err))
		status = r = 0;
	if (r < 0)
		status = app->cli->exit_as ? app->cli->exit_as
		                           : (int)zk_code_exit((int)err->code);
	if (r >= 0 && app->cli->timed_out && !(app->cmd->flags & ZK_CMD_SERVER)) {
		status = zk_exit_worse(status, ZK_EXIT_TEMPFAIL);
		r = zk_fail(err, ZK_E_TIMEOUT,
		            "the command did not end within --timeout");
	}
	if (r < 0)
		zk_report(err, status, app->common.color);
	if (r < 0 && app->cmd && app->cmd->failed)
		app->cmd->failed(app, err);
	zk_app_status_end(app, r < 0 ? err : NULL, status);
	return status;
}

/* The caller of an interrupted one-shot sees the signal, so that a loop of it stops too. */
static void die_by(int sig)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&sa.sa_mask);
	(void)sigaction(sig, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(sig);
}

int zk_main(int argc, char **argv, const struct zk_cmd *const *cmds)
{
	struct zk_cli cli = { .parse.cmds = cmds };
	struct zk_app app = { .cmds = cmds, .cli = &cli };
	struct zk_error err = { 0 };
	int r, sig = 0;

	fill_std_fds();
	ignore_sigpipe();
	peek_color(&app, argc, argv);
	r = run(&app, argc, argv, &err);
	if (r < 0 && !cli.is_filled)
		setup_early(argc, argv);
	r = conclude(&app, r, &err);
	r = zk_app_done(&app, r, &sig);
	zk_log_stop();
	if (sig && !(app.cmd->flags & ZK_CMD_SERVER))
		die_by(sig);
	if (app.end_signal)
		die_by(app.end_signal);
	return r;
}
