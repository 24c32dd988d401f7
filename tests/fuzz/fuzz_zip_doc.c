/* Fuzz target: documents in each language, their JSON, and every lint over them. What is printed
 * as JSON reads back to the same value.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "zip/template.h"
#include "zip/workflow.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES 20000

static void reads_back(const struct zk_node *root)
{
	struct zk_conf_file *f = NULL;
	struct zk_error err;
	struct zk_buf b, again;

	zk_buf_init(&b, (size_t)64 << 20);
	zk_buf_init(&again, (size_t)64 << 20);
	zk_zip_json(root, &b);
	ZK_ASSERT(zk_zip_doc_parse("x.json", zk_buf_str(&b), 10000000, &f, &err) == 0);
	zk_zip_json(f->root, &again);
	ZK_ASSERT(zk_str_eq(zk_buf_str(&b), zk_buf_str(&again)));
	zk_conf_file_free(f);
	zk_buf_done(&b);
	zk_buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "x.json", "x.ndjson", "x.yaml", "stdin" };
	const char *name = size ? names[data[0] % 4] : "stdin";
	zk_str text = size ? zk_str_n((const char *)data + 1, size - 1) : ZK_STR_NULL;
	struct zk_zip_findings found = { 0 };
	struct zk_zip_workflow w;
	struct zk_conf_file *f = NULL;
	struct zk_error err;

	zk_zip_workflow_parse(name, text, NULL, &w, &found);
	zk_zip_workflow_done(&w);
	if (zk_zip_doc_parse(name, text, NODES, &f, &err) == 0) {
		for (const struct zk_node *root = f->root; root; root = root->next) {
			struct zk_zip_template t = { .file = f, .node = root };

			reads_back(root);
			zk_zip_template_lint(&t, NULL, &found);
		}
	}
	ZK_ASSERT(found.n <= ZK_ZIP_FINDINGS_MAX);
	zk_zip_findings_done(&found);
	zk_conf_file_free(f);
	return 0;
}
