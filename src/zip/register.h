/* Bringing templates to a server: register, update what is there already, leave alone what is the
 * same, remove what is no longer wanted.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §4.2, §4.3. */
#ifndef ZK_ZIP_REGISTER_H
#define ZK_ZIP_REGISTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zip/api.h"
#include "zip/template.h"

struct zk_zip_memory;

enum zk_zip_fate {
	ZK_ZIP_REGISTERED,
	ZK_ZIP_UPDATED,
	ZK_ZIP_UNCHANGED,
	ZK_ZIP_PRUNED,
	ZK_ZIP_FAILED,
};

/* "registered", … */
const char *zk_zip_fate_name(enum zk_zip_fate fate);

struct zk_zip_register {
	struct zk_zip *zip;
	struct zk_zip_memory *memory; /* NULL = remembers nothing */
	zk_str namespace, webhook_url;
	bool create_only, replace, prune, verify;
	bool dry_run; /* reads only; tells what would become of each */
	void *ctx;
	/* What became of each, in the order of the templates, pruned ones last. `why` is NULL
	 * unless it failed. 0, or a negative code to stop. */
	int (*on_fate)(void *ctx, zk_str id, enum zk_zip_fate fate,
	               const struct zk_error *why, struct zk_error *err);
	/* The server's list is empty right after a success [T 31]. */
	void (*on_no_store)(void *ctx);
	/* After zk_zip_register_run: */
	size_t fates[ZK_ZIP_FAILED + 1];
	bool conflicts; /* some failed because they exist (create_only) */
};

/* `t` are of one namespace and passed the lint. 0, or the failure that stopped it. What the server
 * found invalid all the same becomes findings at the places of the files. */
int zk_zip_register_run(struct zk_zip_register *r, const struct zk_zip_template *t,
                        size_t n, struct zk_zip_findings *found,
                        struct zk_error *err) ZK_MUST_USE;

/* GET of a namespace: body, and the raw array in it. */
int zk_zip_template_list(struct zk_zip *z, zk_str ns, struct zk_buf *body, zk_str *items,
                         struct zk_error *err) ZK_MUST_USE;
/* DELETE of one. */
int zk_zip_template_delete(struct zk_zip *z, zk_str ns, zk_str id,
                           struct zk_error *err) ZK_MUST_USE;

enum zk_zip_diff { ZK_ZIP_SAME, ZK_ZIP_DIFFERENT, ZK_ZIP_UNKNOWN };
/* Compares a template with its entry of the list (`item` NULL = not there: different). What the
 * list does not show is compared with what was registered last: unknown when nothing is known of
 * it. Appends the names of the members that differ, separated by commas. */
enum zk_zip_diff zk_zip_template_compare(const struct zk_zip_template *t,
                                         const struct zk_node *item, const char *digest,
                                         struct zk_buf *members);
const char *zk_zip_diff_name(enum zk_zip_diff diff);

#endif
