/* Terminals: colour rules, width, text layout, writing to stdout.
 * Layer: cli. */
#include "cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#include "base/ban.h"

extern char **environ;

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && v[0];
}

bool zk_term_color(int color_opt, int fd)
{
	const char *term = getenv("TERM"), *clicolor = getenv("CLICOLOR");
	const char *force = getenv("CLICOLOR_FORCE");

	if (color_opt != ZK_COLOR_AUTO)
		return color_opt == ZK_COLOR_ALWAYS;
	if (is_set("NO_COLOR"))
		return false;
	if (force && force[0] && strcmp(force, "0") != 0)
		return true;
	if (clicolor && strcmp(clicolor, "0") == 0)
		return false;
	if (!term || !term[0] || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fd) == 1;
}

unsigned zk_term_help_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;
	struct zk_error ignored;
	uint64_t n = 80;

	if (columns && columns[0] && zk_parse_u64(zk_str_of(columns), &n, &ignored) < 0)
		n = 80;
	else if ((!columns || !columns[0]) &&
	         ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		n = ws.ws_col;
	return n < 40 ? 40 : n > 80 ? 80 : (unsigned)n;
}

static void blanks(struct zk_buf *b, unsigned n)
{
	while (n--)
		zk_buf_char(b, ' ');
}

static zk_str take_word(zk_str *rest)
{
	size_t i = 0;
	zk_str word;

	while (i < rest->n && rest->p[i] != ' ')
		i++;
	word = zk_str_n(rest->p, i);
	while (i < rest->n && rest->p[i] == ' ')
		i++;
	*rest = zk_str_from(*rest, i);
	return word;
}

/* As much of a word as fits into `room` columns when it can be parted behind a comma; else all. */
static zk_str take_part(zk_str *word, unsigned room)
{
	zk_str part = *word;
	size_t n = 0;

	if (zk_utf8_len(part) > room)
		for (size_t i = 0; i < part.n && i < room; i++)
			if (part.p[i] == ',')
				n = i + 1;
	if (n)
		part.n = n;
	*word = zk_str_from(*word, part.n);
	return part;
}

/* Returns the column behind the word. */
static unsigned put_word(struct zk_buf *b, zk_str word, unsigned at, unsigned indent,
                         unsigned width)
{
	for (;;) {
		zk_str part = take_part(&word, width > at ? width - at : 0);

		for (size_t i = 0; i < part.n; i++)
			zk_buf_char(b, part.p[i] == ZK_FILL_TIE ? ' ' : part.p[i]);
		at += (unsigned)zk_utf8_len(part);
		if (!word.n)
			return at;
		zk_buf_char(b, '\n');
		blanks(b, indent);
		at = indent;
	}
}

static void fill_line(struct zk_buf *b, zk_str line, unsigned at, unsigned indent,
                      unsigned width)
{
	bool fresh = true;

	while (line.n) {
		zk_str word = take_word(&line);
		unsigned len = (unsigned)zk_utf8_len(word);

		if (fresh && at < indent) {
			blanks(b, indent - at);
			at = indent;
		} else if (!fresh && at + 1 + len > width) {
			zk_buf_char(b, '\n');
			blanks(b, indent);
			at = indent;
		} else if (!fresh) {
			zk_buf_char(b, ' ');
			at++;
		}
		at = put_word(b, word, at, indent, width);
		fresh = false;
	}
	zk_buf_char(b, '\n');
}

void zk_fill(struct zk_buf *b, zk_str text, unsigned at, unsigned indent, unsigned width)
{
	do {
		zk_str line, rest = zk_str_cut(text, '\n', &line);

		fill_line(b, zk_str_trim(line), at, indent, width);
		at = 0;
		text = rest;
	} while (text.n);
}

int zk_print(zk_str text, struct zk_error *err)
{
	int e = zk_write_all(STDOUT_FILENO, text);

	if (e && e != EPIPE)
		return zk_fail_errno(err, ZK_E_OUTPUT, e, "cannot write to stdout");
	return 0;
}

static bool fits_screen(zk_str text)
{
	struct winsize ws;
	unsigned lines = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_row == 0)
		return true;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	return lines < ws.ws_row;
}

/* Starts the pager with our text as stdin; returns the write end, or -1. */
static int start_pager(pid_t *pid)
{
	const char *argv[] = { "sh", "-c", getenv("PAGER"), NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t pipe_only;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&fa, fds[0], STDIN_FILENO);
	posix_spawnattr_setsigdefault(&attr, &pipe_only);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(pid, "/bin/sh", &fa, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[0]);
	if (r == 0)
		return fds[1];
	close(fds[1]);
	return -1;
}

int zk_print_paged(zk_str text, struct zk_error *err)
{
	pid_t pid;
	int fd = -1, status;

	if (is_set("PAGER") && isatty(STDOUT_FILENO) == 1 && !fits_screen(text))
		fd = start_pager(&pid);
	if (fd < 0)
		return zk_print(text, err);
	/* Whoever leaves the pager early has seen enough: EPIPE is no failure. */
	ZK_IGNORE(zk_write_all(fd, text) != 0);
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	/* A pager that could not run must not swallow the text. */
	if (WIFEXITED(status) && WEXITSTATUS(status) >= 126)
		return zk_print(text, err);
	return 0;
}
