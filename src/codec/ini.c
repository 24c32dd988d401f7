/* Sections with KEY = VALUE lines.
 * Layer: codec. */
#include "codec/ini.h"

#include "base/ban.h"

static int malformed(const struct zk_ini *i, struct zk_error *err)
{
	/* The line may hold a secret. */
	return zk_fail(err, ZK_E_DATA, "line %u is neither [SECTION] nor KEY = VALUE",
	               i->line);
}

int zk_ini_next(struct zk_ini *i, zk_str *key, zk_str *value, struct zk_error *err)
{
	if (i->line == 0 && zk_str_starts(i->rest, ZK_STR("\xef\xbb\xbf")))
		i->rest = zk_str_from(i->rest, 3);
	while (i->rest.n) {
		zk_str line;

		i->rest = zk_str_cut(i->rest, '\n', &line);
		i->line++;
		line = zk_str_trim(line);
		if (!line.n || line.p[0] == ';' || line.p[0] == '#')
			continue;
		if (line.p[0] == '[') {
			if (line.p[line.n - 1] != ']')
				return malformed(i, err);
			i->section = zk_str_trim(zk_str_n(line.p + 1, line.n - 2));
			continue;
		}
		if (zk_str_find_char(line, '=') < 1)
			return malformed(i, err);
		*value = zk_str_trim(zk_str_cut(line, '=', key));
		*key = zk_str_trim(*key);
		return 1;
	}
	return 0;
}
