/* The bucket of a Jetstream store: its options, and the client that they make.
 * Layer: cmd. specs/jetstream.md §15.2, §18. */
#ifndef ZK_CMD_JETSTREAM_S3_H
#define ZK_CMD_JETSTREAM_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "store/s3.h"

struct jet_s3_opts {
	const char *endpoint, *bucket, *region, *prefix, *profile;
	struct zk_secret credentials;
	bool virtual_host;
	uint64_t single_max, part_bytes;
};

#define JET_G_S3 "S3"

/* Its rows for a struct `own` that has it as its member `s3`. */
#define JET_S3_ROWS(own)                                                               \
	{ .type = ZK_OPT_STR,                                                          \
	  .name = "s3-bucket",                                                         \
	  .meta = "NAME",                                                              \
	  .off = offsetof(own, s3.bucket),                                             \
	  .conf = "jetstream.s3.bucket",                                               \
	  .group = JET_G_S3,                                                           \
	  .help = "bucket of the archive" },                                           \
	        { .type = ZK_OPT_URL,                                                  \
		  .name = "s3-endpoint",                                               \
		  .meta = "URL",                                                       \
		  .off = offsetof(own, s3.endpoint),                                   \
		  .conf = "jetstream.s3.endpoint",                                     \
		  .flags = ZK_OPT_ENDPOINT,                                            \
		  .group = JET_G_S3,                                                   \
		  .help = "S3 server; without one AWS in --s3-region" },               \
	        { .type = ZK_OPT_STR,                                                  \
		  .name = "s3-region",                                                 \
		  .meta = "REGION",                                                    \
		  .def = "us-east-1",                                                  \
		  .off = offsetof(own, s3.region),                                     \
		  .conf = "jetstream.s3.region",                                       \
		  .group = JET_G_S3,                                                   \
		  .help = "region of the bucket" },                                    \
	        { .type = ZK_OPT_STR,                                                  \
		  .name = "s3-prefix",                                                 \
		  .meta = "TEXT",                                                      \
		  .def = "",                                                           \
		  .off = offsetof(own, s3.prefix),                                     \
		  .conf = "jetstream.s3.prefix",                                       \
		  .group = JET_G_S3,                                                   \
		  .help = "in front of file names: 'raw/%Y/%m/%d/'; {shard}",          \
		  .text = "The letters Y m d H M S j F G V after % stand for the "     \
		          "time of the file's first event, {shard} for the number of " \
		          "the shard." },                                              \
	        { .type = ZK_OPT_SECRET_REF,                                           \
		  .name = "s3-credentials",                                            \
		  .off = offsetof(own, s3.credentials),                                \
		  .conf = "jetstream.s3.credentials",                                  \
		  .flags = ZK_OPT_ENDPOINT,                                            \
		  .group = JET_G_S3,                                                   \
		  .help = "ID:SECRET[:TOKEN], or a credentials file of AWS" },         \
	        { .type = ZK_OPT_STR,                                                  \
		  .name = "s3-profile",                                                \
		  .meta = "NAME",                                                      \
		  .def = "default",                                                    \
		  .off = offsetof(own, s3.profile),                                    \
		  .conf = "jetstream.s3.profile",                                      \
		  .group = JET_G_S3,                                                   \
		  .help = "section of that file" },                                    \
	        { .type = ZK_OPT_SIZE,                                                 \
		  .name = "s3-single-max",                                             \
		  .meta = "SIZE",                                                      \
		  .def = "64MiB",                                                      \
		  .min = 1,                                                            \
		  .max = INT64_MAX,                                                    \
		  .off = offsetof(own, s3.single_max),                                 \
		  .conf = "jetstream.s3.single_max",                                   \
		  .flags = ZK_OPT_HIDDEN,                                              \
		  .group = JET_G_S3,                                                   \
		  .help = "larger files go over in parts" },                           \
	        { .type = ZK_OPT_SIZE,                                                 \
		  .name = "s3-part-size",                                              \
		  .meta = "SIZE",                                                      \
		  .def = "16MiB",                                                      \
		  .min = 65536,                                                        \
		  .max = INT64_C(5) << 30,                                             \
		  .off = offsetof(own, s3.part_bytes),                                 \
		  .conf = "jetstream.s3.part_size",                                    \
		  .flags = ZK_OPT_HIDDEN,                                              \
		  .group = JET_G_S3,                                                   \
		  .help = "size of a part" },                                          \
	{                                                                              \
		.type = ZK_OPT_BOOL, .name = "s3-virtual-host",                        \
		.off = offsetof(own, s3.virtual_host),                                 \
		.conf = "jetstream.s3.virtual_host", .group = JET_G_S3,                \
		.help = "address it as BUCKET.HOST instead of HOST/BUCKET"             \
	}

/* The configuration of the client: `cred` gets the secrets it points to. -ZK_E_USAGE without a
 * bucket, -ZK_E_SECRET. */
int jet_s3_conf(const struct jet_s3_opts *o, struct zk_s3_conf *ret,
                struct zk_s3_cred *cred, struct zk_error *err) ZK_MUST_USE;
/* The client of a one-shot command; the retries of the command line. */
int jet_s3_open(struct zk_app *app, const struct jet_s3_opts *o, struct zk_s3 **ret,
                struct zk_error *err) ZK_MUST_USE;

/* What a question is answered with, for commands that wait for it. */
struct jet_s3_wait {
	bool over;
	struct zk_error err; /* code 0 = none */
	bool exists, was_there;
	uint64_t bytes;
	char etag[200], sha256[80];
};
/* A zk_s3_fn; ctx is the struct. */
void jet_s3_on_done(void *wait, const struct zk_s3_object *o, const struct zk_error *err);

#endif
