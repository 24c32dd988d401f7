/* The loaded configuration as conf.c makes it and value.c reads it.
 * Layer: conf, private. */
#ifndef ZK_CONF_LAYERS_H
#define ZK_CONF_LAYERS_H

#include "conf/conf.h"

#define ZK_PLACES        3
#define ZK_PROFILE_CHAIN 16
#define ZK_LAYERS_MAX    (ZK_PLACES * (ZK_PROFILE_CHAIN + 1))

/* One mapping of keys: `defaults` or a profile of one file. */
struct zk_layer {
	const struct zk_conf_file *file;
	const struct zk_node *map;
	const char *profile; /* NULL = defaults */
};

struct zk_gift {
	const struct zk_opt *row;
	const char *text, *shown;
	bool is_foreign;
};

struct zk_conf {
	struct zk_conf_in in;
	struct zk_conf_file *files[ZK_PLACES];
	/* The active profile and what it extends, the root first. */
	char *chain[ZK_PROFILE_CHAIN];
	size_t n_chain;
	enum zk_profile_by profile_by;
	struct zk_layer layers[ZK_LAYERS_MAX]; /* lowest first */
	size_t n_layers;
	struct zk_gift *gifts;
	size_t n_gifts, gifts_room;
	char **names; /* all profiles */
	size_t n_names;
};

/* The profiles mapping of a file, or NULL. */
const struct zk_node *zk_conf_profiles_of(const struct zk_conf_file *f);
/* Refuses what an untrusted project file may not hold. */
int zk_conf_check_trust(const struct zk_conf *c, struct zk_error *err) ZK_MUST_USE;
bool zk_conf_project_is_trusted(const struct zk_conf *c);
/* The section of a row's key: "zeal" of "zeal.base_url", "jetstream.s3" of
 * "jetstream.s3.endpoint"; into `out`. */
void zk_conf_section(const struct zk_opt *row, const char *prefix, struct zk_buf *out);

#endif
