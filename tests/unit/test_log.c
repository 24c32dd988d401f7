/* The log: formats, quoting, redaction, folding.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/recent.h"

#undef ZK_LOGGER
#define ZK_LOGGER "unit"
#include "base/log.h"

#include "base/ban.h"

/* 2025-11-10T12:00:00.123456Z */
#define WALL_US INT64_C(1762776000123456)

static char path[256];

static void start(enum zk_log_format format, enum zk_log_level level)
{
	const char *tmp = getenv("TMPDIR");
	struct zk_log_conf conf = { .level = level, .format = format, .file = path };
	struct zk_error err;

	(void)snprintf(path, sizeof(path), "%s/log.%d", tmp ? tmp : "/tmp",
	               (int)getpid());
	(void)unlink(path);
	zk_clock_fake(1000000, WALL_US);
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
}

/* What the log holds; the file is empty afterwards. */
static const char *take(void)
{
	static char text[1 << 18];
	FILE *f = fopen(path, "re");
	size_t n;

	cr_assert_not_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	cr_assert_eq(truncate(path, 0), 0);
	return text;
}

static void stop(void)
{
	zk_log_stop();
	(void)unlink(path);
}

Test(log, text)
{
	start(ZK_LOG_TEXT, ZK_LOG_DEBUG);
	zk_warn("stream closed by server", "attempt=%d host=%s", 2, "a b");
	cr_assert_str_eq(take(), "12:00:00.123 WARN  unit  stream closed by server "
	                         "attempt=2 host=\"a b\"\n");
	zk_logerr("x");
	zk_notice("y");
	zk_info("z");
	zk_debug("d");
	cr_assert_str_eq(take(),
	                 "12:00:00.123 ERROR unit  x\n12:00:00.123 NOTICE unit  y\n"
	                 "12:00:00.123 INFO  unit  z\n12:00:00.123 DEBUG unit  d\n");
	stop();
}

Test(log, color_is_for_text_only)
{
	struct zk_log_conf conf = { .level = ZK_LOG_DEBUG,
		                    .format = ZK_LOG_TEXT,
		                    .color = true };
	struct zk_error err;

	start(ZK_LOG_TEXT, ZK_LOG_DEBUG);
	conf.file = path;
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	zk_logerr("x");
	zk_info("y");
	cr_assert_str_eq(take(), "12:00:00.123 \033[31mERROR\033[0m unit  "
	                         "x\n12:00:00.123 INFO  unit  y\n");
	conf.format = ZK_LOG_JSON;
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	zk_logerr("x");
	cr_assert_null(strchr(take(), '\033'));
	stop();
}

Test(log, logfmt)
{
	start(ZK_LOG_LOGFMT, ZK_LOG_NOTICE);
	zk_notice("delivery failed", "org=%s attempt=%u", "acme", 3u);
	cr_assert_str_eq(take(),
	                 "ts=2025-11-10T12:00:00.123456Z level=notice logger=unit "
	                 "msg=\"delivery failed\" org=acme attempt=3\n");
	zk_notice("one", "a=%s b=%s c=%s d=%s", "", "x=y", "say \"hi\"\\",
	          "line\nbreak\tand\x01");
	cr_assert_str_eq(
	        take(),
	        "ts=2025-11-10T12:00:00.123456Z level=notice logger=unit msg=one a=\"\" "
	        "b=\"x=y\" c=\"say \\\"hi\\\"\\\\\" d=\"line\\nbreak\\tand\\u0001\"\n");
	stop();
}

Test(log, json_has_its_members_in_order)
{
	start(ZK_LOG_JSON, ZK_LOG_NOTICE);
	zk_warn("m", "s=%s i=%d u=%" PRIu64 " f=%.2f x=%x ms=%dms", "a\"b", -5,
	        UINT64_MAX, 1.5, 255u, 7);
	cr_assert_str_eq(
	        take(),
	        "{\"ts\":\"2025-11-10T12:00:00.123456Z\",\"level\":\"warn\",\"logger\":"
	        "\"unit\",\"msg\":\"m\",\"s\":\"a\\\"b\",\"i\":-5,\"u\":"
	        "18446744073709551615,"
	        "\"f\":1.50,\"x\":\"ff\",\"ms\":\"7ms\"}\n");
	zk_warn("n", "msg=%s ts=%d level=%d logger=%d nan=%f inf=%f id=%08d", "v", 1, 2,
	        3, NAN, (double)INFINITY, 42);
	cr_assert_str_eq(
	        take(),
	        "{\"ts\":\"2025-11-10T12:00:00.123456Z\",\"level\":\"warn\",\"logger\":"
	        "\"unit\",\"msg\":\"n\",\"msg_\":\"v\",\"ts_\":1,\"level_\":2,\"logger_"
	        "\":3,"
	        "\"nan\":\"nan\",\"inf\":\"inf\",\"id\":\"00000042\"}\n");
	stop();
}

Test(log, journald)
{
	start(ZK_LOG_JOURNALD, ZK_LOG_DEBUG);
	zk_logerr("a");
	zk_warn("b", "k=%d", 1);
	zk_debug("c");
	cr_assert_str_eq(take(), "<3>unit: a\n<4>unit: b k=1\n<7>unit: c\n");
	stop();
}

Test(log, every_conversion)
{
	static const char bytes[3] = { 'a', 'b', 'c' };
	const char *volatile none = NULL;

	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	zk_warn("c", "a=%d b=%i c=%u d=%ld e=%lu f=%lld g=%llu", -1, 2, 3u, -4L, 5UL,
	        -6LL, 7ULL);
	cr_assert_str_eq(take(), "<4>unit: c a=-1 b=2 c=3 d=-4 e=5 f=-6 g=7\n");
	zk_warn("c", "a=%zu b=%zd c=%jd d=%td e=%x f=%lX g=%#llx h=%o", (size_t)1,
	        (ssize_t)-2, (intmax_t)-3, (ptrdiff_t)4, 0xabu, 0xCDUL, 0xefULL, 8u);
	cr_assert_str_eq(take(), "<4>unit: c a=1 b=-2 c=-3 d=4 e=ab f=CD g=ef h=10\n");
	zk_warn("c", "a=%.*s b=%.2s c=%c d=%f e=%.1f f=%e g=%g h=%hd i=%hhu", 3, bytes,
	        "xyz", '!', 1.25, 2.25, 1e10, 0.1, (short)-9, (unsigned char)200);
	cr_assert_str_eq(take(), "<4>unit: c a=abc b=xy c=! d=1.250000 e=2.2 "
	                         "f=1.000000e+10 g=0.1 h=-9 i=200\n");
	zk_warn("c", "a=%" PRIi64 " b=%" PRIu32 " c=%5d d=%-5dx e=%05d f=%*d g=%Lf h=%s",
	        INT64_MIN, UINT32_MAX, 1, 2, 3, 4, 5, 6.5L, none);
	cr_assert_str_eq(
	        take(),
	        "<4>unit: c a=-9223372036854775808 b=4294967295 c=1 d=2x e=00003 f=5 "
	        "g=6.500000 h=(null)\n");
	errno = ENOENT;
	zk_warn("c", "addr=%s:%d pct=%d%% p=%p", "::1", 80, 50, NULL);
	cr_assert_eq(errno, ENOENT);
	cr_assert_str_eq(take(), "<4>unit: c "
	                         "addr=::1:80 pct=50% p=(nil)\n");
	zk_warn("c", "no equals %d here=%d", 1, 2);
	cr_assert_str_eq(take(), "<4>unit: c detail=no detail=equals detail=1 here=2\n");
	stop();
}

Test(log, controls_never_reach_a_terminal)
{
	start(ZK_LOG_TEXT, ZK_LOG_NOTICE);
	/* ESC, DEL, C1 CSI, right-to-left override, line separator, bad bytes, overlong NUL */
	zk_warn("m\033[2J\r\n<0>", "v=%s",
	        "\033]0;x\007 \x7f \xC2\x9B \xE2\x80\xAE \xE2\x80\xA8 \xFF \xC0\x80 é");
	cr_assert_str_eq(
	        take(),
	        "12:00:00.123 WARN  unit  m\\u001b[2J\\r\\n<0> v=\"\\u001b]0;x\\u0007 "
	        "\\u007f "
	        "\\u009b \\u202e \\u2028 \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD é\"\n");
	stop();
}

Test(log, long_values_are_cut)
{
	char *big = zk_alloc(100001);
	const char *line;

	memset(big, 'a', 100000);
	memcpy(big + 4095, "é", 2); /* the cut falls into it */
	big[100000] = '\0';
	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	zk_warn("m", "v=%s", big);
	line = take();
	cr_assert_eq(strlen(line), strlen("<4>unit: m v=") + 4095 + 4);
	cr_assert_str_eq(line + strlen(line) - 6, "aa...\n");
	/* Many long values that all need escapes: the line survives without its fields. */
	memset(big, 1, 100000);
	zk_warn("n", "a=%s b=%s c=%s", big, big, big);
	cr_assert_str_eq(take(), "<4>unit: n\n");
	stop();
	free(big);
}

Test(log, levels)
{
	enum zk_log_level level = ZK_LOG_ERROR;

	start(ZK_LOG_JOURNALD, ZK_LOG_WARN);
	zk_notice("no");
	zk_warn("yes");
	cr_assert_str_eq(take(), "<4>unit: yes\n");
	zk_log_level_set(ZK_LOG_INFO);
	cr_assert_eq(zk_log_level_get(), ZK_LOG_INFO);
	cr_assert(zk_log_enabled(ZK_LOG_INFO));
	cr_assert_not(zk_log_enabled(ZK_LOG_DEBUG));
	cr_assert(zk_log_level_parse(ZK_STR("debug"), &level));
	cr_assert_eq(level, ZK_LOG_DEBUG);
	cr_assert_not(zk_log_level_parse(ZK_STR("Debug"), &level));
	cr_assert_not(zk_log_level_parse(ZK_STR(""), &level));
	cr_assert_eq(zk_log_format_get(), ZK_LOG_JOURNALD);
	stop();
}

Test(log, repeats_are_folded)
{
	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	for (int i = 0; i < 121; i++) {
		zk_warn("full", "org=%s", "acme");
		zk_warn("other", "n=%d", i % 2);
	}
	cr_assert_str_eq(
	        take(),
	        "<4>unit: full org=acme\n<4>unit: other n=0\n<4>unit: other n=1\n");
	zk_clock_advance(9999999);
	zk_warn("between");
	cr_assert_str_eq(take(), "<4>unit: between\n");
	zk_clock_advance(1);
	zk_warn("full", "org=%s", "acme");
	cr_assert_str_eq(take(), "<4>unit: full: repeated 120 times in 10 s org=acme\n"
	                         "<4>unit: other: repeated 60 times in 10 s n=0\n"
	                         "<4>unit: other: repeated 59 times in 10 s n=1\n"
	                         "<4>unit: full org=acme\n");
	zk_warn("full", "org=%s", "acme");
	zk_clock_advance(2500000);
	zk_log_flush();
	cr_assert_str_eq(take(), "<4>unit: full: repeated 1 time in 2.5 s org=acme\n");
	zk_warn("full", "org=%s", "acme"); /* counts afresh after a flush */
	cr_assert_str_eq(take(), "<4>unit: full org=acme\n");
	stop();
}

Test(log, folding_remembers_a_bounded_number)
{
	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	zk_warn("first");
	zk_warn("first");
	for (int i = 0; i < 16; i++) {
		zk_clock_advance(1);
		zk_warn("other", "i=%d", i);
	}
	/* The first one had to make room and said its sum then. */
	cr_assert_not_null(strstr(take(), "<4>unit: first: repeated 1 time in 0.0 s\n"));
	zk_warn("first");
	cr_assert_str_eq(take(), "<4>unit: first\n");
	stop();
}

Test(log, secrets_by_name)
{
	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	zk_warn("m",
	        "token=%s api_key=%s Authorization=%s key_id=%s secret_version=%d "
	        "x-api-key=%s monkey=%s",
	        "t0psecret", "k", "Bearer x", "shown", 3, "y", "shown");
	cr_assert_str_eq(
	        take(), "<4>unit: m token=*** api_key=*** Authorization=*** key_id=shown "
	                "secret_version=3 x-api-key=*** monkey=shown\n");
	stop();
}

static void redacts(const char *in, const char *want)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_redact_into(&b, zk_str_of(in));
	cr_assert_str_eq(zk_buf_cstring(&b), want, "'%s' gave '%s'", in,
	                 zk_buf_cstring(&b));
	cr_assert_eq(zk_redact_found(zk_str_of(in)), strcmp(in, want) != 0, "'%s'", in);
}

Test(redact, by_value)
{
	redacts("nothing is known", "nothing is known");
	zk_redact_add(ZK_STR("p/ss w\"rd?"));
	zk_redact_add(ZK_STR("p/ss w\"rd?")); /* twice is once */
	zk_redact_add(ZK_STR("short"));       /* too short to count */
	redacts("a p/ss w\"rd? b", "a *** b");
	redacts("p/ss w\"rd?p/ss w\"rd?", "******");
	redacts("url?x=p%2Fss%20w%22rd%3F&y", "url?x=***&y");
	redacts("{\"v\":\"p/ss w\\\"rd?\"}", "{\"v\":\"***\"}");
	redacts("cC9zcyB3InJkPw==", "***");                 /* base64 */
	redacts("Basic dXNlcjpwL3NzIHcicmQ/", "Basic ***"); /* user:p/ss w"rd? */
	redacts("Basic dTpwL3NzIHcicmQ_ x", "Basic *** x"); /* url alphabet */
	redacts("short", "short");
	redacts("p/ss w\"rd", "p/ss w\"rd");
	redacts("", "");
}

Test(redact, overlapping)
{
	zk_redact_add(ZK_STR("abcdefgh"));
	zk_redact_add(ZK_STR("efghijkl"));
	zk_redact_add(ZK_STR("abcdef"));
	redacts("xxabcdefghijklyy", "xx***yy");
	redacts("xxabcdefyy", "xx***yy");
}

Test(redact, many)
{
	char text[32];

	for (int i = 0; i < 300; i++) {
		(void)snprintf(text, sizeof(text), "!secret-%d!", i);
		zk_redact_add(zk_str_of(text));
	}
	redacts("!secret-299!", "***");
	redacts("!secret-100!", "***");
	redacts("!secret-3!", "!secret-3!"); /* made room for the newer ones */
}

Test(redact, in_the_log)
{
	char tail[9000];

	start(ZK_LOG_JSON, ZK_LOG_NOTICE);
	zk_redact_add(ZK_STR("hunter2\"hunter2"));
	zk_warn("the hunter2\"hunter2 message", "url=%s",
	        "http://x/?k=hunter2%22hunter2");
	cr_assert_not_null(strstr(
	        take(), "\"msg\":\"the *** message\",\"url\":\"http://x/?k=***\"}"));
	/* A secret that lies across the place where values are cut. */
	memset(tail, ' ', sizeof(tail));
	memcpy(tail + 4090, "hunter2\"hunter2", 15);
	tail[4200] = '\0';
	zk_warn("m", "v=%s", tail);
	cr_assert_null(strstr(take(), "hunter"));
	stop();
}

Test(log, errors)
{
	struct zk_error err;

	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	(void)zk_fail(&err, ZK_E_HTTP, "no luck");
	zk_log_error(ZK_LOG_WARN, "net", "request failed", &err);
	cr_assert_str_eq(take(),
	                 "<4>net: request failed code=ZK3001 error=\"no luck\"\n");
	(void)zk_err_where(&err, "POST http://x/");
	zk_log_error(ZK_LOG_WARN, "net", "request failed", &err);
	cr_assert_str_eq(take(), "<4>net: request failed code=ZK3001 error=\"no luck\" "
	                         "where=\"POST http://x/\"\n");
	zk_log_error(ZK_LOG_DEBUG, "net", "quiet", &err);
	cr_assert_str_eq(take(), "");
	stop();
}

Test(log, last_errors)
{
	struct zk_recent_error v[ZK_RECENT_ERRORS];
	struct zk_error err = { 0 };

	start(ZK_LOG_TEXT, ZK_LOG_WARN);
	zk_redact_add(ZK_STR("a-secret-of-mine"));
	cr_expect_eq(zk_recent_errors(v), 0u);
	for (int i = 0; i < ZK_RECENT_ERRORS + 5; i++) {
		ZK_IGNORE(zk_fail(&err, ZK_E_CONNECT, "a-secret-of-mine %d", i) < 0);
		zk_log_error(ZK_LOG_WARN, "here", "it failed", &err);
		zk_log_error(ZK_LOG_INFO, "here", "it does not matter", &err);
	}
	cr_assert_eq(zk_recent_errors(v), (size_t)ZK_RECENT_ERRORS);
	cr_expect_str_eq(v[0].error, "*** 24");
	cr_expect_str_eq(v[ZK_RECENT_ERRORS - 1].error, "*** 5");
	cr_expect_str_eq(v[0].msg, "it failed");
	cr_expect_str_eq(v[0].logger, "here");
	cr_expect_eq(v[0].code, (int)ZK_E_CONNECT);
	stop();
}

Test(log, file_cannot_be_opened)
{
	struct zk_log_conf conf = { .file = "/nonexistent/dir/log" };
	struct zk_error err;

	cr_assert_eq(zk_log_setup(&conf, &err), -ZK_E_CREATE);
	cr_assert_not_null(strstr(err.msg, "'/nonexistent/dir/log': No such file"));
}

Test(log, file_is_private_and_appended_to)
{
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE, .format = ZK_LOG_JOURNALD };
	struct zk_error err;
	struct stat st;

	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	zk_warn("a");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	conf.file = path;
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	zk_warn("b");
	cr_assert_str_eq(take(), "<4>unit: a\n<4>unit: b\n");
	stop();
}

Test(log, auto_is_journald_only_for_its_own_stream)
{
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE };
	char text[64];
	struct zk_error err;
	struct stat st;

	cr_assert_eq(fstat(2, &st), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
	               (unsigned long long)st.st_ino);
	cr_assert_eq(setenv("JOURNAL_STREAM", text, 1), 0);
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	cr_assert_eq(zk_log_format_get(), ZK_LOG_JOURNALD);
	cr_assert_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	cr_assert_eq(zk_log_format_get(), ZK_LOG_TEXT);
	cr_assert_eq(setenv("JOURNAL_STREAM", "x", 1), 0);
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	cr_assert_eq(zk_log_format_get(), ZK_LOG_TEXT);
}

Test(log, threaded_lines_keep_their_order)
{
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE,
		                    .format = ZK_LOG_JOURNALD,
		                    .threaded = true };
	struct zk_error err;
	const char *text;
	char want[64];

	start(ZK_LOG_JOURNALD, ZK_LOG_NOTICE);
	conf.file = path;
	cr_assert_eq(zk_log_setup(&conf, &err), 0);
	for (int i = 0; i < 1000; i++)
		zk_warn("m", "i=%d", i);
	zk_log_flush();
	text = take();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(want, sizeof(want), "<4>unit: m i=%d\n", i);
		cr_assert_eq(strncmp(text, want, strlen(want)), 0, "line %d", i);
		text += strlen(want);
	}
	cr_assert_str_eq(text, "");
	stop();
}
