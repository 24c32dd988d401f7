/* DATABASE_URL and --db (specs/triggers.md §11.4, §13).
 * Layer: tests. */
#include "triggers/dburl.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/ban.h"

enum { NO = -1, LITE = ZK_TRIG_DB_SQLITE, PG = ZK_TRIG_DB_POSTGRES };

static const struct {
	zk_str in;
	int kind;
	const char *out;
} cases[] = {
	{ ZK_STR_INIT("triggers.db"), LITE, "triggers.db" },
	{ ZK_STR_INIT("/var/lib/zk/a b%20.db"), LITE, "/var/lib/zk/a b%20.db" },
	{ ZK_STR_INIT("./a:b"), LITE, "./a:b" },
	{ ZK_STR_INIT("/x?y#z"), LITE, "/x?y#z" },
	{ ZK_STR_INIT("sqlite:///var/lib/t.db"), LITE, "/var/lib/t.db" },
	{ ZK_STR_INIT("sqlite:////var/lib/t.db"), LITE, "/var/lib/t.db" },
	{ ZK_STR_INIT("sqlite://t.db"), LITE, "t.db" },
	{ ZK_STR_INIT("sqlite:t.db"), LITE, "t.db" },
	{ ZK_STR_INIT("SQLite:t.db"), LITE, "t.db" },
	{ ZK_STR_INIT("sqlite3:t.db"), LITE, "t.db" },
	{ ZK_STR_INIT("sqlite+aiosqlite:///./t.db"), LITE, "/./t.db" },
	{ ZK_STR_INIT("sqlite:///a%20b.db?mode=rwc&x=%zz"), LITE, "/a b.db" },
	{ ZK_STR_INIT("postgres://u:p@h:5432/d?sslmode=require"), PG,
	  "postgresql://u:p@h:5432/d?sslmode=require" },
	{ ZK_STR_INIT("postgresql://h/d"), PG, "postgresql://h/d" },
	{ ZK_STR_INIT("postgresql+asyncpg://h/d"), PG, "postgresql://h/d" },
	{ ZK_STR_INIT("ecto://u:p%40@h/d"), PG, "postgresql://u:p%40@h/d" },
	{ ZK_STR_INIT(""), NO, "empty" },
	{ ZK_STR_INIT(":memory:"), NO, "memory" },
	{ ZK_STR_INIT("sqlite::memory:"), NO, "memory" },
	{ ZK_STR_INIT("sqlite://:memory:"), NO, "memory" },
	{ ZK_STR_INIT("sqlite:///:memory:"), NO, "memory" },
	{ ZK_STR_INIT("sqlite:"), NO, "no file" },
	{ ZK_STR_INIT("sqlite://"), NO, "no file" },
	{ ZK_STR_INIT("sqlite:?mode=rw"), NO, "no file" },
	{ ZK_STR_INIT("sqlite:///a%00b"), NO, "percent" },
	{ ZK_STR_INIT("sqlite:///a%zz"), NO, "percent" },
	{ ZK_STR_INIT("sqlite:///a%ff"), NO, "percent" },
	{ ZK_STR_INIT("a\nb"), NO, "control" },
	{ ZK_STR_INIT("a\0b"), NO, "control" },
	{ ZK_STR_INIT("mysql://u:secret@h/d"), NO, "'mysql'" },
	{ ZK_STR_INIT("postgres:h/d"), NO, "'postgres'" },
	{ ZK_STR_INIT("file:x.db"), NO, "'file'" },
};

Test(trig_dburl, table)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		enum zk_trig_db kind = (enum zk_trig_db)77;
		struct zk_error err = { 0 };
		struct zk_buf b;
		int r;

		zk_buf_init(&b, ZK_TRIG_DBURL_MAX + 64);
		r = zk_trig_dburl_parse(cases[i].in, &kind, &b, &err);
		if (cases[i].kind == NO) {
			cr_expect_eq(r, -ZK_E_CONFIG_VALUE, "case %zu", i);
			cr_expect(strstr(err.msg, cases[i].out), "case %zu: %s", i,
			          err.msg);
			cr_expect_not(strstr(err.msg, "secret"), "case %zu", i);
		} else {
			cr_expect_eq(r, 0, "case %zu: %s", i, err.msg);
			cr_expect_eq((int)kind, cases[i].kind, "case %zu", i);
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].out, "case %zu", i);
		}
		zk_buf_done(&b);
	}
}

Test(trig_dburl, the_longest)
{
	static char text[ZK_TRIG_DBURL_MAX + 1];
	struct zk_error err = { 0 };
	enum zk_trig_db kind;
	struct zk_buf b;

	memset(text, 'a', sizeof(text));
	zk_buf_init(&b, ZK_TRIG_DBURL_MAX + 64);
	cr_expect_eq(
	        zk_trig_dburl_parse(zk_str_n(text, ZK_TRIG_DBURL_MAX), &kind, &b, &err),
	        0);
	cr_expect_eq(b.n, (size_t)ZK_TRIG_DBURL_MAX);
	zk_buf_clear(&b);
	memcpy(text, "ecto://", 7);
	cr_expect_eq(
	        zk_trig_dburl_parse(zk_str_n(text, ZK_TRIG_DBURL_MAX), &kind, &b, &err),
	        0);
	cr_expect_eq(zk_trig_dburl_parse(zk_str_n(text, sizeof(text)), &kind, &b, &err),
	             -ZK_E_CONFIG_VALUE);
	zk_buf_done(&b);
}
