/* `zk schema NAME`: JSON Schemas of what zk reads and writes.
 * Layer: cmd. */
#include <string.h>

#include "cli/emit.h"
#include "cli/schemas.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "conf/near.h"

#include "base/ban.h"

static int list(struct zk_error *err)
{
	struct zk_buf b;
	int r;

	zk_buf_init(&b, 8192);
	zk_buf_printf(&b, "%-16s %s\n", "config", "configuration files");
	for (const struct zk_schema_text *s = zk_schemas; s->name; s++)
		zk_buf_printf(&b, "%-16s %.*s\n", s->name, ZK_STR_ARG(s->title));
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

static int print_config(struct zk_app *app, struct zk_error *err)
{
	struct zk_buf b;
	int r;

	zk_buf_init(&b, 4u << 20);
	zk_emit_config_schema(app->cmds, &b);
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

static int schema_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct zk_near near = { .want = zk_str_of(argc > 0 ? argv[0] : "") };

	(void)opts;
	if (argc == 0)
		return list(err);
	if (strcmp(argv[0], "config") == 0)
		return print_config(app, err);
	zk_near_add(&near, "config");
	for (const struct zk_schema_text *s = zk_schemas; s->name; s++) {
		if (strcmp(s->name, argv[0]) == 0)
			return zk_print(s->text, err);
		zk_near_add(&near, s->name);
	}
	(void)zk_fail(err, ZK_E_USAGE, "there is no schema '%.60s'", argv[0]);
	if (near.best)
		return zk_err_hint(err, "did you mean '%s'?", near.best);
	return zk_err_hint(err, "all of them: zk schema");
}

const struct zk_cmd zk_cmd_schema = {
	.path = "schema",
	.section = "Set up",
	.args = "[NAME]",
	.max_args = 1,
	.help = "print a JSON Schema of what zk reads or writes",
	.about = "Without NAME: which schemas there are. Editors that know the YAML "
	         "language server "
	         "take the one of configuration files.",
	.examples = "zk schema config > zk-config.schema.json",
	.output = "one JSON document",
	.exits = "0 · 64 no such schema",
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.complete_arg = "schema",
	.run = schema_run,
};
