/* Debug files: rotation and retention (specs/zerobus.md §16, §23 numbers 22 and 26), and the INI
 * reader beside them.
 * Layer: tests. */
#include "zerobus/debug_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/ini.h"
#include "zerobus/debug.h"
#include "zerobus/request.h"

#include "base/ban.h"

static char dir[256];

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *one = zk_asprintf("%s/%s", path, e->d_name);

		if (e->d_name[0] != '.' && unlink(one) < 0)
			remove_dir(one);
		free(one);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(path);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/debug.XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	zk_clock_fake(1000000, 1738324800000000); /* 2025-01-31T12:00:00Z */
}

static void teardown(void)
{
	zk_clock_real();
	remove_dir(dir);
}

TestSuite(zb_debug, .init = setup, .fini = teardown);

static struct zk_zb_dfile *file(const char *base, const char *twin, uint64_t max,
                                uint64_t keep)
{
	return zk_zb_dfile_new(&(struct zk_zb_dfile_conf){ .dir = dir,
	                                                   .base = base,
	                                                   .ext = "binpb",
	                                                   .twin = twin,
	                                                   .max_bytes = max,
	                                                   .keep = keep });
}

static void put(struct zk_zb_dfile *f, const char *text)
{
	struct zk_error err = { 0 };
	bool other = false;

	if (zk_zb_dfile_is_full(f))
		cr_assert_eq(zk_zb_dfile_rotate(f, &err), 0, "%s", err.msg);
	if (!zk_zb_dfile_is_open(f))
		cr_assert_eq(zk_zb_dfile_open(f, ZK_STR("twin"), &other, &err), 0, "%s",
		             err.msg);
	cr_assert_not(other);
	cr_assert_eq(zk_zb_dfile_put(f, zk_str_of(text), &err), 0);
	cr_assert_eq(zk_zb_dfile_flush(f, &err), 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted, with blanks between. */
static const char *names_in(const char *path)
{
	static char text[4096];
	char *v[64];
	size_t n = 0;
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && n < ZK_ARRAY_LEN(v))
			v[n++] = zk_strdup(e->d_name);
	if (d)
		(void)closedir(d);
	qsort(v, n, sizeof(*v), by_name);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "", v[i]);
		free(v[i]);
	}
	return text;
}

static void touch(const char *name)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
	(void)close(fd);
	free(path);
}

Test(zb_debug, name_of_a_rotated_file)
{
	static const struct {
		const char *name;
		bool is;
	} cases[] = {
		{ "m.d.t-20250131T120000Z-001.binpb", true },
		{ "m.d.t-20250131T120000Z-1000.binpb", true },
		{ "m.d.t.binpb", false },
		{ "m.d.t-20250131T120000Z-01.binpb", false },
		{ "m.d.t-20250131T120000Z-001.pb", false },
		{ "m.d.t-20250131T120000Z-001-002.binpb", false },
		{ "m.d.t-20250131T120000-001.binpb", false },
		{ "m.d.t_2-20250131T120000Z-001.binpb", false },
		{ "m.d.t-77-20250131T120000Z-001.binpb", false },
		{ "m.d.u-20250131T120000Z-001.binpb", false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_zb_dfile_is_rotated(zk_str_of(cases[i].name),
		                                    ZK_STR("m.d.t"), ZK_STR("binpb")),
		             cases[i].is, "%s", cases[i].name);
}

Test(zb_debug, number_22_two_rotations_in_one_second)
{
	struct zk_zb_dfile *f = file("m.d.t", "pb", 5, 0);

	put(f, "12345");
	put(f, "67890");
	put(f, "abc");
	zk_zb_dfile_free(f);
	cr_expect_str_eq(names_in(dir),
	                 "m.d.t-20250131T120000Z-001.binpb m.d.t-20250131T120000Z-001.pb "
	                 "m.d.t-20250131T120000Z-002.binpb m.d.t-20250131T120000Z-002.pb "
	                 "m.d.t.binpb m.d.t.pb");
}

Test(zb_debug, number_22_retention_of_this_table_only)
{
	struct zk_zb_dfile *f = file("m.d.t", "pb", 1, 1);

	touch("m.d.t_2-20200101T000000Z-001.binpb");
	touch("m.d.t-9-20200101T000000Z-001.binpb");
	touch("m.d.t-20200101T000000Z-001.arrows");
	touch("m.d.t-20200101T000000Z-001.binpb");
	touch("m.d.t-20200101T000000Z-001.pb");
	put(f, "a");
	zk_clock_advance(1000000);
	put(f, "b");
	zk_clock_advance(1000000);
	put(f, "c");
	zk_zb_dfile_free(f);
	cr_expect_str_eq(names_in(dir),
	                 "m.d.t-20200101T000000Z-001.arrows "
	                 "m.d.t-20250131T120002Z-001.binpb "
	                 "m.d.t-20250131T120002Z-001.pb "
	                 "m.d.t-9-20200101T000000Z-001.binpb m.d.t.binpb m.d.t.pb "
	                 "m.d.t_2-20200101T000000Z-001.binpb");
}

Test(zb_debug, the_file_of_an_earlier_run_is_rotated_away)
{
	struct zk_zb_dfile *f;

	touch("m.d.t.binpb");
	f = file("m.d.t", NULL, 0, 10);
	put(f, "new");
	zk_zb_dfile_free(f);
	cr_expect_str_eq(names_in(dir), "m.d.t-20250131T120000Z-001.binpb m.d.t.binpb");
}

Test(zb_debug, a_file_of_another_process_is_left_alone)
{
	char *path = zk_asprintf("%s/m.d.t.binpb", dir), *mine;
	struct zk_zb_dfile *f = file("m.d.t", NULL, 0, 10);
	struct zk_error err = { 0 };
	bool other = false;
	int fd;

	touch("m.d.t.binpb");
	fd = open(path, O_WRONLY);
	cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	cr_assert_eq(zk_zb_dfile_open(f, ZK_STR_NULL, &other, &err), 0, "%s", err.msg);
	cr_expect(other);
	mine = zk_asprintf("%s/m.d.t-%ld.binpb", dir, (long)getpid());
	cr_expect_str_eq(zk_zb_dfile_path(f), mine);
	zk_zb_dfile_free(f);
	(void)close(fd);
	free(mine);
	free(path);
}

static struct zk_zb_request *request(struct zk_zb_kind *kind, const char *const *rows)
{
	struct zk_zb_request *r = zk_zb_request_new(kind, "test");

	for (uint64_t i = 0; rows[i]; i++)
		zk_zb_request_add(r, zk_str_of(rows[i]), i, i + 1);
	return r;
}

Test(zb_debug, number_26_tables_that_look_alike)
{
	static const char *const tables[] = { "a.b_c.d", "a_b.c.d" };
	static const char *const rows[] = { "{\"x\":1}", "{}", NULL };
	struct zk_zb_kind *kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	struct zk_zb_request *r = request(kind, rows);
	char *path = zk_asprintf("%s/deep/er", dir), *json;
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		struct zk_zb_debug_conf conf = {
			.dir = path, .table = tables[i], .message = "d", .proto = true
		};
		struct zk_zb_debug *d = zk_zb_debug_new(&conf);

		zk_zb_debug_request(d, r);
		zk_zb_debug_free(d);
	}
	json = zk_asprintf("%s/zerobus/json", path);
	cr_expect_str_eq(names_in(json), "a.b_c.d.ndjson a_b.c.d.ndjson");
	cr_expect_eq(stat(json, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
	zk_zb_request_free(r);
	zk_zb_kind_unref(kind);
	free(json);
	free(path);
}

Test(zb_debug, a_writer_that_fails_is_off_and_says_so)
{
	static const char *const rows[] = { "{}", NULL };
	struct zk_zb_kind *kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	struct zk_zb_request *r = request(kind, rows);
	struct zk_zb_debug_conf conf = {
		.dir = "/dev/null/x", .table = "a.b.c", .message = "c", .proto = true
	};
	struct zk_zb_debug *d = zk_zb_debug_new(&conf);
	struct zk_error err = { 0 };

	cr_expect_not(zk_zb_debug_failed(d, &err));
	zk_zb_debug_request(d, r);
	zk_zb_debug_request(d, r);
	cr_expect(zk_zb_debug_failed(d, &err));
	cr_expect_eq(err.code, ZK_E_ZB_DEBUG_FILE);
	zk_zb_debug_free(d);
	zk_zb_request_free(r);
	zk_zb_kind_unref(kind);
}

Test(zb_debug, ini)
{
	struct zk_ini i = { .rest = ZK_STR(
		                    "\xef\xbb\xbf; c\n[A]\nhost = https://x ; y\r\n"
		                    "#n\n\n [ B C ] \nk=\n") };
	struct zk_error err = { 0 };
	zk_str key, value;

	cr_assert_eq(zk_ini_next(&i, &key, &value, &err), 1);
	cr_expect(zk_str_eq(i.section, ZK_STR("A")) && zk_str_eq(key, ZK_STR("host")) &&
	          zk_str_eq(value, ZK_STR("https://x ; y")) && i.line == 3);
	cr_assert_eq(zk_ini_next(&i, &key, &value, &err), 1);
	cr_expect(zk_str_eq(i.section, ZK_STR("B C")) && value.n == 0);
	cr_expect_eq(zk_ini_next(&i, &key, &value, &err), 0);
	for (size_t k = 0; k < 3; k++) {
		static const char *const bad[] = { "[x\n", "secret\n", "=v\n" };

		i = (struct zk_ini){ .rest = zk_str_of(bad[k]) };
		cr_expect_eq(zk_ini_next(&i, &key, &value, &err), -ZK_E_DATA);
		cr_expect_null(strstr(err.msg, "secret"), "the line is not shown");
	}
}
