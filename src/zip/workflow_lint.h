/* Rules about the connections of a workflow: W201 to W203, W211 to W213.
 * Layer: zip. specs/zeal-zip.md §5.7. */
#ifndef ZK_ZIP_WORKFLOW_LINT_H
#define ZK_ZIP_WORKFLOW_LINT_H

#include "zip/template.h"
#include "zip/workflow.h"

/* `templates` may be NULL. */
void zk_zip_workflow_lint(const struct zk_zip_workflow *w,
                          const struct zk_zip_templates *templates,
                          struct zk_zip_findings *found);

#endif
