/* Keys of archived files.
 * Layer: jetstream. Pure. specs/jetstream.md §15.2. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "jetstream/archive.h"

#include "base/ban.h"

#define LETTERS "YmdHMSjFGV"
#define SHARD   "{shard}"

static int check_letters(const char *prefix, struct zk_error *err)
{
	for (const char *p = prefix; *p; p++) {
		if (*p != '%')
			continue;
		if (!p[1] || !strchr(LETTERS, p[1]))
			return zk_fail(err, ZK_E_CONFIG,
			               "the prefix '%s' has another letter after %% than "
			               "one of " LETTERS,
			               prefix);
		p++;
	}
	return 0;
}

/* One letter; the formats are literals, so that the compiler checks them. */
static size_t format(char letter, const struct tm *tm, char *to, size_t n)
{
	switch (letter) {
	case 'Y':
		return strftime(to, n, "%Y", tm);
	case 'm':
		return strftime(to, n, "%m", tm);
	case 'd':
		return strftime(to, n, "%d", tm);
	case 'H':
		return strftime(to, n, "%H", tm);
	case 'M':
		return strftime(to, n, "%M", tm);
	case 'S':
		return strftime(to, n, "%S", tm);
	case 'j':
		return strftime(to, n, "%j", tm);
	case 'F':
		return strftime(to, n, "%F", tm);
	case 'G':
		return strftime(to, n, "%G", tm);
	case 'V':
		return strftime(to, n, "%V", tm);
	}
	return 0;
}

static void put_piece(zk_str s, const struct tm *tm, struct zk_buf *b)
{
	char text[32];

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%' || i + 1 == s.n)
			zk_buf_char(b, s.p[i]);
		else
			zk_buf_put(b, text, format(s.p[++i], tm, text, sizeof(text)));
	}
}

int zk_jet_archive_key(const char *prefix, const char *shard, int64_t first_us,
                       const char *file, struct zk_buf *b, struct zk_error *err)
{
	time_t t = first_us / 1000000;
	zk_str index = ZK_STR("0");
	size_t at = b->n;
	struct tm tm;
	const char *p = prefix ? prefix : "", *mark;

	if (check_letters(p, err) < 0)
		return -(int)err->code;
	if (shard)
		(void)zk_str_cut(zk_str_of(shard), '/', &index);
	(void)gmtime_r(&t, &tm);
	while ((mark = strstr(p, SHARD)) != NULL) {
		put_piece(zk_str_n(p, (size_t)(mark - p)), &tm, b);
		zk_buf_add(b, index);
		p = mark + sizeof(SHARD) - 1;
	}
	put_piece(zk_str_of(p), &tm, b);
	zk_buf_cstr(b, file);
	if (b->failed || !zk_s3_key_ok(zk_str_n(b->p + at, b->n - at)))
		return zk_fail(err, ZK_E_CONFIG,
		               "the prefix '%s' gives keys that S3 or proxies refuse",
		               prefix);
	return 0;
}

zk_str zk_jet_archive_stem(const char *prefix)
{
	const char *p = prefix ? prefix : "", *mark = strstr(p, SHARD);
	size_t n = strcspn(p, "%");

	return zk_str_n(p, mark ? ZK_MIN(n, (size_t)(mark - p)) : n);
}

const char *zk_jet_archive_type(const char *file)
{
	static const struct {
		zk_str suffix;
		const char *type;
	} rows[] = {
		{ ZK_STR_INIT(".zst"), "application/zstd" },
		{ ZK_STR_INIT(".zip"), "application/zip" },
		{ ZK_STR_INIT(".gz"), "application/gzip" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (zk_str_ends(zk_str_of(file), rows[i].suffix))
			return rows[i].type;
	return "application/vnd.sqlite3";
}

void zk_jet_archive_meta(const struct zk_jet_sealed *f, struct zk_jet_archive_meta *m)
{
	static const char *const names[] = { "rows", "first-us", "last-us" };
	const int64_t values[] = { f->rows, f->first_us, f->last_us };
	size_t n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		if (i && !f->has_times)
			break;
		(void)snprintf(m->texts[i], sizeof(m->texts[i]), "%lld",
		               (long long)values[i]);
		m->v[n++] = names[i];
		m->v[n++] = m->texts[i];
	}
	m->v[n] = NULL;
}
