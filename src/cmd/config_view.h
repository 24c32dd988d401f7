/* The values of a configuration as rows, with where they come from: for `zk config show` and
 * `zk profile show`.
 * Layer: cmd. */
#ifndef ZK_CMD_CONFIG_VIEW_H
#define ZK_CMD_CONFIG_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "cli/state.h"
#include "conf/conf.h"

struct zk_out;

struct config_view {
	const struct zk_all_rows *rows;
	const struct zk_conf *conf;
	struct zk_out *out; /* rows go there, or: */
	void (*row)(void *ctx, zk_str json);
	void *ctx;
	char *const *keys; /* only these and what is below them; n_keys == 0: all */
	size_t n_keys;
	bool defaults; /* also keys that nothing sets */
	bool losers;   /* also values that do not count, with the reason */
	bool profiles; /* only what profiles of the files set */
	bool options;  /* also what the command line sets */
};

/* Writes one row a value: key, value, origin, profile, counts, note. Secrets are never read: their
 * value says only whether one is configured. 0, or the error of a value that is wrong, or that of
 * the output. `ret_n` = rows written. */
int config_view_rows(const struct config_view *v, size_t *ret_n,
                     struct zk_error *err) ZK_MUST_USE;

#endif
