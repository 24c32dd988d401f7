/* Workflows in files (zk: workflow/1): reading and checking them.
 * Layer: zip. specs/zeal-zip.md §5.6, §5.7. */
#ifndef ZK_ZIP_WORKFLOW_H
#define ZK_ZIP_WORKFLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "zip/doc.h"
#include "zip/finding.h"

struct zk_buf;
struct zk_zip_templates;

struct zk_zip_wnode {
	zk_str key, template;
	const struct zk_node *at;
	const struct zk_node *properties; /* an object, or NULL */
	bool has_position;
	double x, y; /* of the automatic grid without one */
};

struct zk_zip_wend {
	zk_str node, port; /* node: its key */
};

struct zk_zip_wconn {
	struct zk_zip_wend from, to;
	const struct zk_node *at;
};

struct zk_zip_wgroup {
	zk_str key, title, color, description; /* color, description: empty = not given */
	zk_str *nodes;
	size_t n;
	const struct zk_node *at;
};

struct zk_zip_workflow {
	struct zk_conf_file *file;
	zk_str name, description, graph; /* graph: "main" when not given */
	struct zk_zip_wnode *nodes;
	size_t n_nodes;
	struct zk_zip_wconn *conns;
	size_t n_conns;
	struct zk_zip_wgroup *groups;
	size_t n_groups;
	struct zk_map by_key; /* key to its zk_zip_wnode */
};

/* Reads and checks a file or "-". `templates` (may be NULL) are those that W211 to W213 look at,
 * by their ids with and without their namespace. What is wrong is in `found`; with errors there
 * `ret` is only good for zk_zip_workflow_done, which the caller calls in any case. 0, or
 * -ZK_E_NO_INPUT. */
int zk_zip_workflow_read(const char *path, const struct zk_zip_templates *templates,
                         struct zk_zip_workflow *ret, struct zk_zip_findings *found,
                         struct zk_error *err) ZK_MUST_USE;
/* The same from a text. */
void zk_zip_workflow_parse(const char *name, zk_str text,
                           const struct zk_zip_templates *templates,
                           struct zk_zip_workflow *ret, struct zk_zip_findings *found);
void zk_zip_workflow_done(struct zk_zip_workflow *w);

/* "a.out": a node and a port. False when there is not exactly one dot, or a blank. */
bool zk_zip_end_parse(zk_str text, struct zk_zip_wend *ret);
/* Appends "a.out -> b.in". */
void zk_zip_conn_text(const struct zk_zip_wend *from, const struct zk_zip_wend *to,
                      struct zk_buf *b);

#endif
