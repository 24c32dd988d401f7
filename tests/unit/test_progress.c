/* The bar as text, the bar on a terminal below the log, plain lines, the summary.
 * Layer: tests. */
#include "rt/progress.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/bar.h"
#include "rt/loop.h"
#include "rt/status.h"

#include "base/ban.h"

/* ---- the text ---- */

static struct zk_bar example(void)
{
	return (struct zk_bar){
		.title = "main.default.air_quality",
		.unit = "rows",
		.done = 61904,
		.total = 100000,
		.rate = 12480,
		.sparks = { 3, 5, 6, 8, 8, 7, 8, 8 },
		.n_sparks = 8,
		.notes = { { (char *)"acked", (char *)"59,856" },
		           { (char *)"in flight", (char *)"2,048" } },
		.n_notes = 2,
		.eta_s = 3,
	};
}

static void expect_bar(const struct zk_bar *bar, size_t columns, bool utf8,
                       const char *want)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b = { .cap = 10000 };

	zk_bar_draw(&b, bar, columns, utf8);
	cr_expect(strcmp(zk_buf_cstring(&b), want) == 0, "%zu columns:\n%s\nwanted\n%s",
	          columns, zk_buf_cstring(&b), want);
}

Test(bar, of_a_known_total)
{
	struct zk_bar bar = example();

	expect_bar(&bar, 100, false,
	           "main.default.air_quality  ########################----------------   "
	           "61%   "
	           "61,904 / 100,000\n"
	           "12,480 rows/s =*#@@%@@  acked 59,856  in flight 2,048  eta 3s");
	bar.wait = "stream closed by server, attempt 2 of 5 in 1.6 s";
	expect_bar(&bar, 60, false,
	           "main.default.air_quality   61%   61,904 / 100,000\n"
	           "12,480 rows/s =*#@@%@@  acked 59,856  in flight 2,048\n"
	           "! stream closed by server, attempt 2 of 5 in 1.6 s");
	expect_bar(&bar, 40, false,
	           "main.default.a~   61%   61,904 / 100,000\n"
	           "12,480 rows/s =*#@@%@@  acked 59,856\n"
	           "! stream closed by server, attempt 2 of~");
}

Test(bar, in_utf8)
{
	struct zk_bar bar = example();

	bar.title = NULL;
	bar.done = 47000;
	bar.n_notes = 0;
	expect_bar(
	        &bar, 41, true,
	        "\xE2\x94\x81\xE2\x94\x81\xE2\x94\x81\xE2\x94\x81\xE2\x94\x81\xE2\x94\x81"
	        "\xE2\x94\x81"
	        "\xE2\x95\xB8\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80"
	        "\xE2\x94\x80"
	        "\xE2\x94\x80\xE2\x94\x80   47%   47,000 / 100,000\n"
	        "12,480 rows/s "
	        "\xE2\x96\x83\xE2\x96\x85\xE2\x96\x86\xE2\x96\x88\xE2\x96\x88\xE2\x96\x87"
	        "\xE2\x96\x88\xE2\x96\x88  eta 3s");
}

Test(bar, of_a_stream)
{
	struct zk_bar bar = { .state = "live",
		              .unit = "ev",
		              .done = 5,
		              .rate = 3412,
		              .sparks = { 1 },
		              .n_sparks = 1,
		              .notes = { { (char *)"lag", (char *)"0.4s" } },
		              .n_notes = 1,
		              .eta_s = -1 };

	expect_bar(&bar, 80, false, "live  3,412 ev/s @  lag 0.4s");
	expect_bar(&bar, 20, false, "live  3,412 ev/s @");
	expect_bar(&bar, 3, false, "li~");
	bar.rate = 0.25;
	bar.sparks[0] = 0;
	expect_bar(&bar, 80, false, "live  0.2 ev/s  lag 0.4s");
	bar.aside = "lag 0.4s";
	bar.notes[0] = (struct zk_bar_note){ (char *)"store", (char *)"1.2 GiB", true };
	expect_bar(&bar, 80, false, "live  lag 0.4s  0.2 ev/s  1.2 GiB");
	expect_bar(&bar, 13, false, "live");
}

/* No line is ever wider than the terminal. */
Test(bar, keeps_to_the_width)
{
	struct zk_bar bar = example();

	bar.state = "reconnecting 2/5";
	bar.wait = "waiting for \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E";
	for (size_t columns = 1; columns < 140; columns++) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf b = { .cap = 10000 };
		zk_str rest, line;

		zk_bar_draw(&b, &bar, columns, true);
		for (rest = zk_buf_str(&b); rest.p;) {
			rest = zk_str_cut(rest, '\n', &line);
			cr_expect(columns < 3 || zk_utf8_len(line) <= columns,
			          "%zu: %.*s", columns, ZK_STR_ARG(line));
		}
	}
}

Test(bar, plain)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b = { .cap = 1000 };
	struct zk_bar bar = example();

	bar.eta_s = 3725;
	zk_bar_plain(&b, &bar);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "main.default.air_quality: 61,904 of 100,000 rows (61%), 12,480 rows/s, "
	        "acked 59,856, in flight 2,048, eta 1h 2m");
}

Test(bar, digits)
{
	char out[32];

	cr_expect_str_eq(zk_group_digits(0, out), "0");
	cr_expect_str_eq(zk_group_digits(999, out), "999");
	cr_expect_str_eq(zk_group_digits(1000, out), "1,000");
	cr_expect_str_eq(zk_group_digits(UINT64_MAX, out), "18,446,744,073,709,551,615");
}

/* ---- on a terminal ---- */

static int master = -1, real_stderr;
static struct zk_buf screen;
static struct zk_loop *loop;

static void take_stderr(int fd)
{
	struct zk_error err;

	real_stderr = dup(STDERR_FILENO);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	loop = zk_loop_new(&err);
	zk_buf_init(&screen, 1 << 20);
	(void)unsetenv("CI");
}

static void start_terminal(void)
{
	struct winsize ws = { .ws_col = 60, .ws_row = 24 };
	int slave;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert(slave >= 0 && ioctl(slave, TIOCSWINSZ, &ws) == 0);
	(void)setenv("TERM", "xterm", 1);
	(void)setenv("LC_ALL", "C", 1);
	take_stderr(slave);
	(void)close(slave);
}

static void start_file(void)
{
	int fd = open(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", O_TMPFILE | O_RDWR,
	              0600);

	cr_assert_geq(fd, 0);
	take_stderr(fd);
	(void)close(fd);
}

static void stop(void)
{
	zk_log_stop();
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	if (master >= 0)
		(void)close(master);
	zk_loop_free(loop);
	zk_buf_done(&screen);
}

TestSuite(progress, .init = start_terminal, .fini = stop);
TestSuite(lines, .init = start_file, .fini = stop);

static const char *seen(void)
{
	char text[4096];
	ssize_t n;

	zk_log_flush();
	if (master < 0) {
		n = pread(STDERR_FILENO, text, sizeof(text), 0);
		zk_buf_clear(&screen);
		zk_buf_put(&screen, text, (size_t)ZK_MAX(n, 0));
	} else {
		while ((n = read(master, text, sizeof(text))) > 0)
			zk_buf_put(&screen, text, (size_t)n);
	}
	return zk_buf_cstring(&screen);
}

/* What a terminal shows after the text: lines, joined by '|'. Knows what the bar uses. */
static char *rendered(const char *s)
{
	static char shown[4096];
	char lines[50][200];
	size_t row = 0, col = 0, at = 0, rows = 1;

	memset(lines, 0, sizeof(lines));
	for (; *s; s++) {
		if (*s == '\r') {
			col = 0;
		} else if (*s == '\n') {
			row++;
			rows = ZK_MAX(rows, row + 1);
		} else if (strncmp(s, "\033[K", 3) == 0) {
			memset(lines[row] + col, 0, sizeof(lines[row]) - col);
			s += 2;
		} else if (strncmp(s, "\033[A", 3) == 0) {
			row--;
			s += 2;
		} else {
			lines[row][col++] = *s;
		}
	}
	while (rows > 1 && !lines[rows - 1][0])
		rows--;
	for (size_t i = 0; i < rows; i++)
		at += (size_t)snprintf(shown + at, sizeof(shown) - at, "%s%s",
		                       i ? "|" : "", lines[i]);
	return shown;
}

static void end(void *ctx)
{
	(void)ctx;
	zk_loop_quit(loop);
}

static void turn_for(int64_t ms)
{
	struct zk_timer *t = zk_timer_new(loop, end, NULL);

	zk_timer_start(t, ms, 0);
	zk_loop_run(loop);
	zk_timer_free(t);
}

static struct zk_progress *begin(int mode)
{
	struct zk_progress_conf conf = { .mode = mode, .title = "job", .unit = "rows" };

	return zk_progress_new(loop, &conf);
}

Test(progress, log_lines_appear_above_the_bar)
{
	struct zk_progress *p = begin(ZK_PROGRESS_AUTO);

	zk_progress_set(p, 1, 4);
	cr_expect_str_eq(seen(), "", "nothing is drawn at once");
	turn_for(150);
	cr_expect_str_eq(rendered(seen()),
	                 "job  ##########------------------------------   25%   1 / 4");
	zk_say("a note");
	zk_progress_set(p, 2, 4);
	zk_progress_wait(p, "server went away, attempt 1 of 5 in 2 s");
	turn_for(150);
	cr_expect_str_eq(
	        rendered(seen()),
	        "a note|job  ####################--------------------   50%   2 / 4|"
	        "! server went away, attempt 1 of 5 in 2 s");
	zk_log_write(ZK_LOG_ERROR, "test", "it failed", "n=%d", 3);
	cr_expect(strstr(rendered(seen()), "it failed") != NULL);
	zk_progress_set(p, 3, 4);
	turn_for(150);
	cr_expect(strstr(rendered(seen()), "n=3|job  ###") != NULL, "%s",
	          rendered(seen()));
	cr_expect(strstr(rendered(seen()), "went away") == NULL,
	          "progress ends the wait");
	zk_progress_free(p);
	cr_expect(strstr(rendered(seen()), "job  ###") == NULL, "the bar is gone");
	cr_expect(strncmp(rendered(seen()), "a note|", 7) == 0, "the lines stay");
}

Test(progress, the_log_of_a_thread_too)
{
	struct zk_log_conf conf = { .level = ZK_LOG_INFO,
		                    .format = ZK_LOG_TEXT,
		                    .threaded = true };
	struct zk_progress *p;
	struct zk_error err;

	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	p = begin(ZK_PROGRESS_BAR);
	for (uint64_t i = 1; i <= 5; i++) {
		zk_progress_set(p, i, 10);
		zk_log_write(ZK_LOG_INFO, "t", "line", "i=%u", (unsigned)i);
		turn_for(110);
	}
	const char *shown = rendered(seen());

	cr_expect(strstr(shown, "i=1|") && strstr(shown, "i=5|job  ####"), "%s", shown);
	zk_progress_free(p);
	cr_expect(strstr(rendered(seen()), "job") == NULL);
}

Test(progress, at_most_ten_drawings_a_second)
{
	struct zk_progress *p = begin(ZK_PROGRESS_AUTO);
	unsigned drawn = 0;

	for (unsigned i = 0; i < 50; i++) {
		zk_progress_set(p, i, 50);
		turn_for(10);
	}
	for (const char *s = seen(); (s = strstr(s, "job")) != NULL; s++)
		drawn++;
	cr_expect(drawn >= 2 && drawn <= 7, "%u in about half a second", drawn);
	zk_progress_free(p);
}

Test(progress, secrets_are_not_drawn)
{
	struct zk_progress *p = begin(ZK_PROGRESS_AUTO);

	zk_redact_add(ZK_STR("hunter2hunter2"));
	zk_progress_wait(p, "waiting for hunter2hunter2");
	zk_say("said hunter2hunter2 \033[31m");
	turn_for(150);
	cr_expect(strstr(seen(), "hunter2") == NULL);
	cr_expect(strstr(seen(), "said *** \\x1b[31m") != NULL, "%s", seen());
	zk_progress_free(p);
}

Test(progress, notes_and_state)
{
	struct zk_progress *p = begin(ZK_PROGRESS_AUTO);

	zk_progress_note(p, "acked", "1");
	zk_progress_note(p, "lost", "2");
	zk_progress_note(p, "acked", "3");
	zk_progress_note(p, "lost", NULL);
	zk_progress_note(p, "never", NULL);
	zk_progress_fact(p, "host", "a.example");
	zk_progress_aside(p, "lag 1s");
	zk_progress_aside(p, "lag 2s");
	zk_progress_state(p, "live");
	turn_for(150);
	cr_expect_str_eq(rendered(seen()), "job  live  lag 2s  acked 3  a.example");
	zk_progress_free(p);
}

/* ---- not on a terminal ---- */

Test(lines, none_by_default)
{
	struct zk_progress *p = begin(ZK_PROGRESS_AUTO);

	zk_progress_set(p, 1, 4);
	zk_progress_wait(p, "server went away");
	turn_for(150);
	zk_progress_free(p);
	cr_expect_str_eq(seen(), "");
}

Test(lines, plain_where_ci_is_set)
{
	struct zk_progress *p;

	(void)setenv("CI", "true", 1);
	p = begin(ZK_PROGRESS_AUTO);
	zk_progress_set(p, 1, 4);
	zk_progress_state(p, "live");
	zk_progress_state(p, "live");
	zk_progress_wait(p, "server went away, attempt 1 of 5 in 2 s");
	turn_for(150);
	zk_progress_free(p);
	cr_expect_str_eq(seen(), "job: live, 1 of 4 rows (25%)\n"
	                         "job: server went away, attempt 1 of 5 in 2 s\n");
}

Test(lines, a_bar_that_was_asked_for_is_plain_without_a_terminal)
{
	struct zk_progress *p = begin(ZK_PROGRESS_BAR);

	zk_progress_state(p, "live");
	zk_progress_free(p);
	cr_expect_str_eq(seen(), "job: live, 0 rows\n");
}

static struct zk_sums good_sums(void)
{
	return (struct zk_sums){ .read = 100000, .acked = 99998, .rejected = 2 };
}

Test(lines, summary)
{
	static const struct {
		bool quiet, verbose, ci;
		int exit;
		const char *want;
	} cases[] = {
		{ false, false, false, 0, "" }, /* cron */
		{ false, true, false, 0,
		  "job: done\nread 100,000 = acked 99,998 + rejected 2 + spooled 0 + "
		  "skipped 0\n" },
		{ false, false, true, 0,
		  "job: done\nread 100,000 = acked 99,998 + rejected 2 + spooled 0 + "
		  "skipped 0\n" },
		{ true, true, true, 0, "" },
		{ true, false, false, 3,
		  "job: done\nread 100,000 = acked 99,998 + rejected 2 + spooled 0 + "
		  "skipped 0"
		  "   (exit 3)\n" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_progress_conf conf = { .quiet = cases[i].quiet,
			                         .verbose = cases[i].verbose };
		struct zk_summary s = { .title = "job",
			                .text = "done",
			                .sums = good_sums(),
			                .exit = cases[i].exit };
		struct zk_progress *p;

		if (cases[i].ci)
			(void)setenv("CI", "1", 1);
		else
			(void)unsetenv("CI");
		p = zk_progress_new(loop, &conf);
		zk_progress_summary(p, &s);
		zk_progress_free(p);
		cr_expect_str_eq(seen(), cases[i].want, "case %zu: %s", i, seen());
		(void)ftruncate(STDERR_FILENO, 0);
		(void)lseek(STDERR_FILENO, 0, SEEK_SET);
	}
}

Test(lines, summary_with_a_last_line_and_another_word)
{
	struct zk_progress_conf conf = { .verbose = true };
	struct zk_summary s = {
		.sums = { .read = 3, .acked = 3, .acked_word = "accepted" },
		.more = "session completed",
		.exit = 75
	};
	struct zk_progress *p = zk_progress_new(loop, &conf);

	zk_progress_summary(p, &s);
	zk_progress_free(p);
	cr_expect_str_eq(seen(),
	                 "read 3 = accepted 3 + rejected 0 + spooled 0 + skipped 0\n"
	                 "session completed   (exit 75)\n");
}

Test(lines, json_logs_stay_json)
{
	struct zk_log_conf conf = { .level = ZK_LOG_ERROR, .format = ZK_LOG_JSON };
	struct zk_error err;

	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	zk_say("no \"things\"");
	cr_expect(strncmp(seen(), "{\"ts\":\"", 7) == 0, "%s", seen());
	cr_expect(strstr(seen(), "\"level\":\"notice\"") &&
	                  strstr(seen(), "\"msg\":\"no \\\"things\\\"\""),
	          "%s", seen());
}

Test(lines, status_channel)
{
	struct zk_status_conf sconf = { 0 };
	struct zk_progress_conf conf = { .unit = "rows" };
	struct zk_summary s = { .text = "done", .sums = good_sums(), .exit = 3 };
	char path[] = "/tmp/zk-status.XXXXXX", text[2000];
	int fd = mkstemp(path);
	struct zk_progress *p;
	struct zk_error err;
	ssize_t n;

	sconf.channel = path;
	cr_assert_eq(zk_status_new(&sconf, &conf.status, &err), 0);
	p = zk_progress_new(loop, &conf);
	zk_progress_set(p, 500, 1000);
	zk_progress_state(p, "live");
	turn_for(1200);
	zk_progress_summary(p, &s);
	zk_progress_free(p);
	zk_status_free(conf.status);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[ZK_MAX(n, 0)] = '\0';
	cr_expect(strstr(text, "{\"type\":\"progress\",\"ts\":\"") != NULL, "%s", text);
	cr_expect(strstr(text,
	                 "\"state\":\"live\",\"done\":500,\"total\":1000,\"rate\":") !=
	          NULL);
	cr_expect(strstr(text,
	                 "\"read\":100000,\"acked\":99998,\"rejected\":2,\"spooled\":0,"
	                 "\"skipped\":0,\"text\":\"done\",\"exit\":3}\n") != NULL,
	          "%s", text);
	(void)unlink(path);
	(void)close(fd);
}

Test(sums, are_checked)
{
	struct zk_sums s = good_sums();
	struct zk_error err;

	cr_expect_eq(zk_sums_check(&s, &err), 0);
	s.skipped = 1;
	cr_expect_eq(zk_sums_check(&s, &err), -ZK_E_SUMS);
	s = (struct zk_sums){ .read = 0, .acked = UINT64_MAX, .spooled = 1 };
	cr_expect_eq(zk_sums_check(&s, &err), -ZK_E_SUMS, "no wrapping around");
}
