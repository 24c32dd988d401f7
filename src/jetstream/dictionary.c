/* The zstd dictionaries.
 * Layer: jetstream. */
#include "jetstream/dictionary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/press.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

unsigned zk_jet_dictionary_id(zk_str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (s.n < 8 || !zk_str_starts(s, ZK_STR("\x37\xa4\x30\xec")))
		return 0;
	return (unsigned)p[4] | (unsigned)p[5] << 8 | (unsigned)p[6] << 16 |
	       (unsigned)p[7] << 24;
}

int zk_jet_dictionary_load(const char *path, struct zk_zdict **ret, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	FILE *f = fopen(path, "re");
	size_t n = 0;

	zk_buf_init(&b, ZK_JET_DICTIONARY_MAX);
	if (!f)
		return zk_fail_errno(err, ZK_E_CONFIG, errno,
		                     "cannot read the dictionary '%s'", path);
	while (!b.failed && zk_buf_reserve(&b, 65536) &&
	       (n = fread(b.p + b.n, 1, 65536, f)) > 0)
		b.n += n;
	(void)fclose(f); /* only read */
	if (b.failed || !zk_jet_dictionary_id(zk_buf_str(&b)))
		return zk_fail(err, ZK_E_CONFIG, "'%s' is no zstd dictionary", path);
	return zk_zdict_new(zk_buf_str(&b), ret, err);
}

void zk_jet_dictionary_keep(const char *dir, zk_str bytes)
{
	char *path;

	if (!dir || (mkdir(dir, 0700) < 0 && errno != EEXIST))
		return;
	path = zk_asprintf("%s/jetstream-%u.zdict", dir, zk_jet_dictionary_id(bytes));
	if (zk_file_replace(path, 0600, bytes) != 0)
		zk_info("a dictionary could not be kept", "path=%s", path);
	free(path);
}
