/* `zk zerobus schema`.
 * Layer: cmd. specs/zerobus.md §10, §15. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "cmd/zerobus_conf.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

enum form { FORM_PROTO, FORM_DESCRIPTOR, FORM_SET, FORM_ARROW, FORM_DDL, FORM_JSON };

struct schema_opts {
	struct zb_opts zb;
	int form;
	const char *message;
	bool all_optional;
	int time_as;
	bool force;
};

static const char *const forms[] = { "proto", "descriptor",  "set", "arrow-json",
	                             "ddl",   "json-schema", NULL };
static const char *const times[] = { "error", "string", "micros", NULL };

static const struct zk_opt schema_rows[] = {
	{ .type = ZK_OPT_ENUM,
	  .key = 'o',
	  .name = "output",
	  .meta = "FORM",
	  .def = "proto",
	  .values = forms,
	  .off = offsetof(struct schema_opts, form),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "in which form the schema is printed" },
	{ .type = ZK_OPT_STR,
	  .key = 't',
	  .name = "table",
	  .meta = "CATALOG.SCHEMA.TABLE",
	  .off = offsetof(struct schema_opts, zb.table),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "without FILE the schema is this table's; else a name only" },
	ZB_LOGIN_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "message",
	  .meta = "NAME",
	  .off = offsetof(struct schema_opts, message),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "name of the message; of a descriptor with several, which one" },
	{ .type = ZK_OPT_BOOL,
	  .name = "all-optional",
	  .off = offsetof(struct schema_opts, all_optional),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "every column optional, whatever the schema says" },
	{ .type = ZK_OPT_ENUM,
	  .name = "time-as",
	  .meta = "FORM",
	  .def = "error",
	  .values = times,
	  .off = offsetof(struct schema_opts, time_as),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how times of day, durations and intervals are written" },
	{ .type = ZK_OPT_BOOL,
	  .name = "force",
	  .off = offsetof(struct schema_opts, force),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "print binary forms to a terminal too" },
	ZK_OPT_END,
};

static void on_note(void *ctx, const char *text)
{
	(void)ctx;
	zk_notice("schema", "%s", text);
}

/* The last part of a table's name, or the name of a file without folder and extension. */
static zk_str last_part(zk_str name, bool is_path)
{
	zk_str part;

	while (zk_str_find_char(name, is_path ? '/' : '.') >= 0)
		name = zk_str_cut(name, is_path ? '/' : '.', &part);
	if (is_path)
		(void)zk_str_cut(name, '.', &name);
	return name;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_';
}

/* What the message is called without --message; the caller frees. */
static char *message_name(const struct schema_opts *o, const char *path)
{
	zk_str name = o->message    ? zk_str_of(o->message)
	              : o->zb.table ? last_part(zk_str_of(o->zb.table), false)
	                            : last_part(zk_str_of(path), true);
	struct zk_buf b;

	zk_buf_init(&b, 300);
	for (size_t i = 0; i < name.n && b.n < 255; i++) {
		char c = name.p[i];

		if (is_name_char(c) || c == '-')
			zk_buf_char(&b, c == '-' ? '_' : c);
	}
	if (!b.n)
		zk_buf_lit(&b, "row");
	return zk_buf_take(&b);
}

/* `main`.`default`.`t` */
static void quote_table(const char *table, const char *message, struct zk_buf *b)
{
	zk_str rest = zk_str_of(table ? table : message), part;

	do {
		if (b->n)
			zk_buf_char(b, '.');
		rest = zk_str_cut(rest, '.', &part);
		if (part.n > 1 && part.p[0] == '`')
			part = zk_str_n(part.p + 1, part.n - 2);
		zk_buf_printf(b, "`%.*s`", ZK_STR_ARG(part));
	} while (rest.p);
}

static void put_form(const struct schema_opts *o, const struct zk_zb_schema *s,
                     const char *message, struct zk_buf *out)
{
	struct zk_buf table;

	switch ((enum form)o->form) {
	case FORM_PROTO:
		zk_zb_schema_proto(s, out);
		break;
	case FORM_DESCRIPTOR:
		zk_buf_add(out, s->descriptor);
		break;
	case FORM_SET:
		zk_zb_schema_set(s, out);
		break;
	case FORM_ARROW:
		zk_zb_schema_arrow(s, out);
		break;
	case FORM_DDL:
		zk_buf_init(&table, 2048);
		quote_table(o->zb.table, message, &table);
		zk_zb_schema_ddl(s, zk_buf_str(&table), out);
		zk_buf_done(&table);
		break;
	case FORM_JSON:
		zk_zb_schema_json(s, out);
		break;
	}
}

static int of_input(const char *path, const struct zk_zb_schema_conf *conf,
                    struct zk_zb_schema **ret, struct zk_error *err)
{
	struct zk_zb_fd_source_conf in = { .path = path };
	struct zk_zb_source *source;
	int r = zk_zb_fd_source_open(&in, &source, err);

	if (r < 0)
		return r;
	r = zk_zb_schema_of_source(source, conf, ret, err);
	zk_zb_fd_source_close(source);
	return r;
}

static int of_table(struct zk_app *app, const struct zb_opts *o,
                    const struct zk_zb_schema_conf *conf, struct zk_zb_schema **ret,
                    struct zk_error *err)
{
	struct zb_session s;
	int r = zb_session_read(app, o, &s, err);

	if (r == 0)
		r = zb_table_schema(&s, conf, ret, err);
	zb_session_done(&s);
	return r;
}

static int schema_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct schema_opts *o = opts;
	const char *path = argc > 0 ? argv[0] : "-";
	ZK_CLEANUP(zk_zb_schema_freep)
	struct zk_zb_schema *s = NULL;
	bool binary = o->form == FORM_DESCRIPTOR || o->form == FORM_SET;
	char *message = message_name(o, path);
	struct zk_zb_schema_conf conf = { .message = message,
		                          .all_optional = o->all_optional,
		                          .time_as = (enum zk_zb_time_as)o->time_as,
		                          .on_note = on_note };
	struct zk_buf out;
	int r = 0;

	zk_buf_init(&out, (size_t)256 << 20);
	if (binary && !o->force && isatty(STDOUT_FILENO))
		r = zk_fail(err, ZK_E_USAGE,
		            "this form is binary: send it to a file, or give --force");
	if (r == 0 && argc == 0 && !o->zb.table && isatty(STDIN_FILENO))
		r = zk_fail(err, ZK_E_USAGE, "neither FILE nor -t TABLE is given");
	if (r == 0)
		r = argc == 0 && o->zb.table ? of_table(app, &o->zb, &conf, &s, err)
		                             : of_input(path, &conf, &s, err);
	if (r == 0) {
		put_form(o, s, message, &out);
		r = zk_buf_check(&out, err);
	}
	if (r == 0)
		r = zk_print(zk_buf_str(&out), err);
	zk_buf_done(&out);
	free(message);
	return r;
}

const struct zk_cmd zk_cmd_zerobus_schema = {
	.path = "zerobus schema",
	.args = "[FILE]",
	.max_args = 1,
	.help = "print the schema of a file or table as protobuf, SQL or JSON",
	.about = "FILE is an Arrow file or stream, a serialized descriptor (as protoc -o "
	         "writes), or the document of a table as the Unity Catalog gives it; its "
	         "bytes "
	         "say which. Names, field numbers and labels are those that `zk zerobus "
	         "send` "
	         "uses, so the message can be compiled for readers of the same bytes.",
	.examples = "zk zerobus schema part-0.arrows > row.proto\n"
	            "zk zerobus schema part-0.arrows -o ddl -t main.default.air_quality\n"
	            "zk zerobus schema -t main.default.air_quality -o ddl\n"
	            "zk zerobus schema table.json -o set > row.pb",
	.args_help = "FILE    Arrow, descriptor or table document; without it, or with "
	             "-: stdin",
	.output =
	        "proto: proto2 text that protoc accepts; descriptor: a DescriptorProto; "
	        "set: a "
	        "FileDescriptorSet; ddl: CREATE TABLE; json-schema: of the rows as JSON; "
	        "arrow-json: the fields as Arrow's JSON form has them",
	.exits = "0 · 64 · 65 a column cannot be written · 66",
	.see = "zk zerobus send · zk zerobus decode · man zk-zerobus",
	.opts = schema_rows,
	.opts_size = sizeof(struct schema_opts),
	.groups = ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.flags = ZK_CMD_READER,
	.complete_arg = "file",
	.run = schema_run,
};
