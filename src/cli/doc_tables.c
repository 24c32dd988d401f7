/* Generated documentation: exit codes, errors, variables, keys.
 * Layer: cli. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/doc.h"
#include "cli/md.h"
#include "cli/state.h"

#include "base/ban.h"

static const struct {
	int status;
	const char *name, *meaning, *caller;
} exits[] = {
	{ 0, "OK", "done; servers: clean stop", "go on" },
	{ ZK_EXIT_NO, "NO",
	  "the answer is negative: a check failed, a signature is invalid, a difference "
	  "was found, "
	  "nothing matched with --exit-status",
	  "branch" },
	{ ZK_EXIT_PARTIAL, "PARTIAL", "some records rejected, all others delivered",
	  "look at the rejects" },
	{ ZK_EXIT_USAGE, "USAGE", "the command line is wrong", "fix the call" },
	{ ZK_EXIT_DATA, "DATA", "the input is invalid, nothing was sent",
	  "fix the input" },
	{ ZK_EXIT_NOINPUT, "NOINPUT", "the input is missing or unreadable",
	  "fix the path" },
	{ ZK_EXIT_REFUSED, "REFUSED", "the peer refused for a lasting reason",
	  "do not retry" },
	{ ZK_EXIT_BUG, "BUG", "internal error, or the sums do not match", "report" },
	{ ZK_EXIT_OSERR, "OSERR", "the system lacks a resource", "fix the machine" },
	{ ZK_EXIT_CANTCREAT, "CANTCREAT",
	  "output cannot be created, or another process holds the store",
	  "fix the machine" },
	{ ZK_EXIT_IOERR, "IOERR", "the disk or the output failed", "fix the machine" },
	{ ZK_EXIT_TEMPFAIL, "TEMPFAIL",
	  "retries, --grace or --timeout used up; the rest is spooled",
	  "run again later" },
	{ ZK_EXIT_PROTOCOL, "PROTOCOL",
	  "the peer spoke nonsense, or the outcome cannot be known",
	  "check versions, look before repeating" },
	{ ZK_EXIT_NOPERM, "NOPERM", "authentication or permission", "fix credentials" },
	{ ZK_EXIT_CONFIG, "CONFIG", "the configuration is invalid",
	  "fix the configuration" },
};

void zk_doc_exit_codes(struct zk_buf *b)
{
	zk_buf_lit(b, "| exit | name | meaning | caller should |\n|---|---|---|---|\n");
	for (size_t i = 0; i < ZK_ARRAY_LEN(exits); i++)
		zk_buf_printf(b, "| %d | %s | %s | %s |\n", exits[i].status,
		              exits[i].name, exits[i].meaning, exits[i].caller);
	zk_buf_lit(b, "| 128+n | signal n | an interrupted command that drained or "
	              "spooled first | |\n");
}

void zk_doc_errors(struct zk_buf *b)
{
	size_t n;
	const struct zk_code_info *codes = zk_codes(&n);

	for (size_t i = 0; i < n; i++) {
		zk_buf_printf(b, "**ZK%04d** (exit %d)\n: ", (int)codes[i].code,
		              (int)codes[i].exit);
		zk_md_escape(zk_str_of(codes[i].title), b);
		zk_buf_lit(b, ". ");
		zk_md_escape(zk_str_of(codes[i].text), b);
		zk_buf_lit(b, "\n\n");
	}
}

/* A row with what its key and its variable are. */
struct item {
	char *key, *env;
	const struct zk_opt *row;
	const char *prefix;
};

struct items {
	struct item *v;
	size_t n;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static int by_env(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->env, ((const struct item *)b)->env);
}

static char *name_of(const struct zk_opt *row, const char *prefix,
                     void (*name)(const struct zk_opt *, const char *, struct zk_buf *))
{
	struct zk_buf b;
	char *text;

	zk_buf_init(&b, 300);
	name(row, prefix, &b);
	text = zk_buf_take(&b);
	zk_buf_done(&b);
	return text;
}

static void items_make(struct items *it, struct zk_all_rows *all)
{
	size_t room = 0;

	for (size_t i = 0; i < all->n; i++)
		for (const struct zk_opt *r = all->tables[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			room++;
	*it = (struct items){ .v = zk_alloc_array(room, sizeof(*it->v)) };
	for (size_t i = 0; i < all->n; i++) {
		const char *prefix = all->tables[i].prefix;

		for (const struct zk_opt *r = all->tables[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			if (!(r->flags & ZK_OPT_HIDDEN))
				it->v[it->n++] = (struct item){
					name_of(r, prefix, zk_opt_conf_key),
					name_of(r, prefix, zk_opt_env_name), r, prefix
				};
	}
}

static void items_done(struct items *it)
{
	for (size_t i = 0; i < it->n; i++) {
		free(it->v[i].key);
		free(it->v[i].env);
	}
	free(it->v);
}

void zk_doc_environment(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	struct zk_all_rows all;
	struct items it;

	zk_all_rows_make(cmds, &all);
	items_make(&it, &all);
	qsort(it.v, it.n, sizeof(*it.v), by_env);
	for (size_t i = 0; i < it.n; i++) {
		const struct item *x = &it.v[i];

		if (!x->env[0] || (i > 0 && strcmp(x->env, x[-1].env) == 0))
			continue;
		zk_buf_printf(b, "`%s`", x->env);
		if (x->row->type == ZK_OPT_SECRET_REF)
			zk_buf_printf(b, ", `%s_FILE`", x->env);
		zk_buf_lit(b, "\n: ");
		zk_md_escape(zk_str_of(x->row->help), b);
		zk_buf_printf(b, " (`--%s%s`)\n\n", x->row->name,
		              x->row->type == ZK_OPT_SECRET_REF ? "-file" : "");
	}
	items_done(&it);
	zk_all_rows_done(&all);
}

void zk_doc_environment_table(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	struct zk_all_rows all;
	struct items it;

	zk_all_rows_make(cmds, &all);
	items_make(&it, &all);
	qsort(it.v, it.n, sizeof(*it.v), by_env);
	zk_buf_lit(b, "| variable | option | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < it.n; i++) {
		const struct item *x = &it.v[i];
		bool secret = x->row->type == ZK_OPT_SECRET_REF;

		if (!x->env[0] || (i > 0 && strcmp(x->env, x[-1].env) == 0))
			continue;
		zk_buf_printf(b, "| `%s` | `--%s%s` | ", x->env, x->row->name,
		              secret ? "-file" : "");
		zk_md_escape(zk_str_of(x->row->help), b);
		zk_buf_lit(b, " |\n");
	}
	items_done(&it);
	zk_all_rows_done(&all);
}

static const char *type_name(const struct zk_opt *row)
{
	switch (row->type) {
	case ZK_OPT_BOOL:
		return "true or false";
	case ZK_OPT_UINT:
	case ZK_OPT_INT:
	case ZK_OPT_COUNT:
		return "whole number";
	case ZK_OPT_FLOAT:
		return "number";
	case ZK_OPT_DURATION:
		return "duration";
	case ZK_OPT_SIZE:
		return "size";
	case ZK_OPT_URL:
		return "URL";
	case ZK_OPT_PATH:
		return "path";
	case ZK_OPT_LIST:
		return "list";
	case ZK_OPT_MAP:
		return "mapping";
	case ZK_OPT_TABLE:
		return "mapping of mappings";
	case ZK_OPT_SECRET_REF:
		return "secret";
	case ZK_OPT_NONE:
	case ZK_OPT_STR:
	case ZK_OPT_ENUM:
	case ZK_OPT_OPTARG:
		break;
	}
	return "text";
}

static void key_text(const struct zk_opt *row, struct zk_buf *b)
{
	zk_md_escape(zk_str_of(row->help), b);
	zk_buf_lit(b, " (");
	if (row->type == ZK_OPT_ENUM)
		for (size_t i = 0; row->values[i]; i++)
			zk_buf_printf(b, "%s`%s`", i ? ", " : "", row->values[i]);
	else
		zk_buf_cstr(b, type_name(row));
	if (row->def)
		zk_buf_printf(b, "; default `%s`", row->def);
	zk_buf_lit(b, ")\n\n");
}

void zk_doc_config_keys(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	struct zk_all_rows all;
	struct items it;

	zk_all_rows_make(cmds, &all);
	items_make(&it, &all);
	qsort(it.v, it.n, sizeof(*it.v), by_key);
	for (size_t i = 0; i < it.n; i++) {
		const struct item *x = &it.v[i];

		if (!x->key[0] || (i > 0 && strcmp(x->key, x[-1].key) == 0))
			continue;
		if (x->row->type == ZK_OPT_SECRET_REF)
			zk_buf_printf(b,
			              "`%s_file`, `%s_env`, `%s_command`, "
			              "`%s_credential`, `%s`",
			              x->key, x->key, x->key, x->key, x->key);
		else
			zk_buf_printf(b, "`%s`", x->key);
		zk_buf_lit(b, "\n: ");
		key_text(x->row, b);
	}
	items_done(&it);
	zk_all_rows_done(&all);
}
