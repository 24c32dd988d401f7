/* From the .env file of a server to a profile of zk.
 * Layer: cmd. */
#include "cmd/envfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/state.h"

#include "base/ban.h"

#define ENV_FILE_MAX (256u * 1024)
#define ENV_VARS_MAX 1000u

struct var {
	char *name, *value;
	unsigned line;
	bool used, secret;
};

/* A key that the profile gets. */
struct item {
	char *key;
	const struct zk_opt *row;
	struct zk_buf text; /* elements of lists and maps are separated by '\n' */
};

struct convert {
	struct zk_app
	        app; /* what the commands' callbacks get; found again by ZK_CONTAINER_OF */
	struct zk_all_rows rows;
	struct var *vars;
	size_t n_vars;
	struct item *items;
	size_t n_items;
	bool only_looking; /* on_foreign just notes that it was called */
	bool was_called;
};

/* ---- reading ---- */

static bool is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static bool is_name(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_name_char(s.p[i], i == 0))
			return false;
	return s.n > 0 && s.n <= 128;
}

static bool is_tail(zk_str s)
{
	s = zk_str_trim(s);
	return s.n == 0 || s.p[0] == '#';
}

/* '#' begins a comment at the start and behind white space. */
static bool is_comment(zk_str s, size_t i)
{
	return s.p[i] == '#' && (i == 0 || s.p[i - 1] == ' ' || s.p[i - 1] == '\t');
}

/* A backslash that takes its meaning from the next character, in double quotes. */
static bool is_escape(zk_str s, size_t i)
{
	return s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] &&
	       strchr("\"\\$`", s.p[i + 1]);
}

/* The value behind '='; false when a quote is not closed. */
static bool value_of(zk_str s, struct zk_buf *b)
{
	char quote = s.n && (s.p[0] == '"' || s.p[0] == '\'') ? s.p[0] : '\0';
	size_t i = quote ? 1 : 0;

	for (; i < s.n; i++) {
		if (quote && s.p[i] == quote)
			return is_tail(zk_str_from(s, i + 1));
		if (!quote && is_comment(s, i))
			break;
		if (quote == '"' && is_escape(s, i))
			i++;
		zk_buf_char(b, s.p[i]);
	}
	if (!quote)
		b->n = zk_str_trim(zk_buf_str(b)).n;
	return !quote;
}

static void add_var(struct convert *c, zk_str name, zk_str value, unsigned line)
{
	c->vars = zk_realloc(c->vars, (c->n_vars + 1) * sizeof(*c->vars));
	c->vars[c->n_vars++] =
	        (struct var){ .name = zk_strndup(name.p, name.n),
		              .value = zk_strndup(value.n ? value.p : "", value.n),
		              .line = line };
}

static int parse_line(struct convert *c, zk_str text, unsigned line, struct zk_error *err)
{
	zk_str name, rest = zk_str_trim(text);
	struct zk_buf value;
	int r = 0;

	if (rest.n == 0 || rest.p[0] == '#')
		return 0;
	if (zk_str_starts(rest, ZK_STR("export ")))
		rest = zk_str_trim(zk_str_from(rest, 7));
	rest = zk_str_cut(rest, '=', &name);
	if (!rest.p || !is_name(name))
		return zk_fail(err, ZK_E_DATA, "line %u is not of the form NAME=VALUE",
		               line);
	zk_buf_init_secret(&value, ENV_FILE_MAX);
	if (!value_of(rest, &value) || memchr(value.n ? value.p : "", '\0', value.n))
		r = zk_fail(err, ZK_E_DATA, "line %u: the value of %.*s is malformed",
		            line, ZK_STR_ARG(name));
	else if (c->n_vars >= ENV_VARS_MAX)
		r = zk_fail(err, ZK_E_LIMIT, "the file holds more than %u variables",
		            ENV_VARS_MAX);
	else if (value.n)
		add_var(c, name, zk_buf_str(&value), line);
	zk_buf_done(&value);
	return r;
}

static int parse(struct convert *c, zk_str text, struct zk_error *err)
{
	for (unsigned line = 1; text.n; line++) {
		zk_str one;

		text = zk_str_cut(text, '\n', &one);
		if (parse_line(c, one, line, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int read_file(const char *path, struct zk_buf *b, struct zk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 1;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'", path);
	while (n > 0 && !b->failed) {
		char *p = zk_buf_reserve(b, 4096);

		n = p ? read(fd, p, 4096) : 0;
		if (n > 0)
			b->n += (size_t)n;
	}
	if (n < 0)
		(void)zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'", path);
	close(fd);
	if (n < 0)
		return -ZK_E_NO_INPUT;
	return zk_buf_check(b, err) < 0 ? zk_wrap(err, "%s", path) : 0;
}

/* ---- what is known ---- */

static struct var *var_of(struct convert *c, const char *name)
{
	for (size_t i = c->n_vars; i-- > 0;)
		if (strcmp(c->vars[i].name, name) == 0)
			return &c->vars[i];
	return NULL;
}

static struct item *item_of(struct convert *c, const char *key, const struct zk_opt *row)
{
	struct item *it;

	for (size_t i = 0; i < c->n_items; i++)
		if (strcmp(c->items[i].key, key) == 0)
			return &c->items[i];
	c->items = zk_realloc(c->items, (c->n_items + 1) * sizeof(*c->items));
	it = &c->items[c->n_items++];
	*it = (struct item){ .key = zk_strdup(key), .row = row };
	zk_buf_init(&it->text, ENV_FILE_MAX);
	return it;
}

static int take(struct convert *c, const struct zk_opt *row, const char *prefix,
                const char *value, struct var *v, struct zk_error *err)
{
	bool list = row->type == ZK_OPT_LIST || row->type == ZK_OPT_MAP;
	struct zk_buf key;
	struct item *it;

	v->used = true;
	v->secret = row->type == ZK_OPT_SECRET_REF || (row->flags & ZK_OPT_SECRET);
	if (v->secret)
		return 0;
	if (zk_opt_check(row, zk_str_of(value), err) < 0)
		return zk_wrap(err, "line %u: %s", v->line, v->name);
	zk_buf_init(&key, 300);
	zk_opt_conf_key(row, prefix, &key);
	if (key.n) {
		it = item_of(c, zk_buf_cstring(&key), row);
		if (!list)
			zk_buf_clear(&it->text);
		else if (it->text.n)
			zk_buf_char(&it->text, '\n');
		zk_buf_cstr(&it->text, value);
	} else {
		v->used = false;
	}
	zk_buf_done(&key);
	return 0;
}

/* What a command's callback gives. */
static int on_foreign(struct zk_app *app, const char *opt, const char *value,
                      const char *variable, struct zk_error *err)
{
	struct convert *c = ZK_CONTAINER_OF(app, struct convert, app);
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(app->cmd, t), i = 0;
	const struct zk_opt *row = zk_rows_find(t, n, zk_str_of(opt), &i);
	struct var *v = var_of(c, variable);

	c->was_called = true;
	if (!row || !v || c->only_looking)
		return 0;
	return take(c, row, t[i].prefix, value, v, err);
}

static int ask_commands(struct convert *c, const struct zk_cmd *const *cmds,
                        struct zk_error *err)
{
	int r = 0;

	for (; *cmds && r == 0; cmds++) {
		c->app.cmd = *cmds;
		if ((*cmds)->env)
			r = (*cmds)->env(&c->app, on_foreign, err);
	}
	return r;
}

static bool has_name(const struct zk_opt *row, const char *prefix, const char *name)
{
	size_t pos = 0;
	struct zk_buf b;
	char part[64];
	bool same = false;

	if (row->flags & ZK_OPT_NO_CONF)
		return false;
	zk_buf_init(&b, 300);
	while (!same && zk_schema_next_prefix(row, prefix, &pos, part)) {
		zk_buf_clear(&b);
		zk_opt_env_name(row, part, &b);
		same = strcmp(zk_buf_cstring(&b), name) == 0;
	}
	zk_buf_done(&b);
	return same;
}

static int own_variable(struct convert *c, struct var *v, struct zk_error *err)
{
	for (size_t i = 0; i < c->rows.n; i++) {
		const struct zk_conf_table *t = &c->rows.tables[i];

		for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++)
			if (has_name(r, t->prefix, v->name))
				return take(c, r, t->prefix, v->value, v, err);
	}
	return 0;
}

/* A variable that counts only together with another one is known too. */
static void look_for_known(struct convert *c, const struct zk_cmd *const *cmds)
{
	struct zk_error ignored;

	c->only_looking = true;
	for (size_t i = 0; i < c->n_vars; i++) {
		struct var *v = &c->vars[i];

		if (v->used || strncmp(v->name, "ZK_", 3) == 0)
			continue;
		(void)clearenv();
		(void)setenv(v->name, v->value, 1);
		c->was_called = false;
		/* A value that is no use alone is not what is asked here. */
		if (ask_commands(c, cmds, &ignored) < 0 || c->was_called)
			v->used = true;
	}
}

/* The commands look into the environment of the process: it becomes that of the file. */
static int ask_all(struct convert *c, const struct zk_cmd *const *cmds,
                   struct zk_error *err)
{
	char *home = getenv("HOME") ? zk_strdup(getenv("HOME")) : NULL;
	int r = 0;

	(void)clearenv();
	if (home)
		(void)setenv("HOME", home, 1);
	free(home);
	for (size_t i = 0; i < c->n_vars && r == 0; i++) {
		if (strncmp(c->vars[i].name, "ZK_", 3) == 0)
			r = own_variable(c, &c->vars[i], err);
		else if (strcmp(c->vars[i].name, "HOME") != 0)
			(void)setenv(c->vars[i].name, c->vars[i].value, 1);
	}
	if (r == 0)
		r = ask_commands(c, cmds, err);
	if (r == 0)
		look_for_known(c, cmds);
	return r;
}

/* ---- writing ---- */

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

/* A text that YAML and ${…} leave as it is, quoted when it must be. */
static void scalar(struct zk_buf *b, zk_str s)
{
	bool plain = s.n > 0 && s.p[0] != '-' && s.p[s.n - 1] != ':';
	struct zk_buf escaped;

	for (size_t i = 0; i < s.n && plain; i++)
		plain = is_name_char(s.p[i], false) || strchr("./:@%+-", s.p[i]);
	if (plain) {
		zk_buf_add(b, s);
		return;
	}
	zk_buf_init(&escaped, ENV_FILE_MAX * 2);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] == '{')
			zk_buf_char(&escaped, '$');
		zk_buf_char(&escaped, s.p[i]);
	}
	zk_buf_json_str(b, zk_buf_str(&escaped));
	zk_buf_done(&escaped);
}

static void value(struct zk_buf *b, const struct item *it)
{
	bool map = it->row->type == ZK_OPT_MAP, list = it->row->type == ZK_OPT_LIST;
	zk_str rest = zk_buf_str(&it->text);
	bool first = true;

	if (!map && !list) {
		scalar(b, rest);
		return;
	}
	zk_buf_cstr(b, map ? "{ " : "[");
	while (rest.n) {
		zk_str one, key;

		rest = zk_str_cut(rest, '\n', &one);
		if (!first)
			zk_buf_lit(b, ", ");
		first = false;
		if (map) {
			one = zk_str_cut(one, '=', &key);
			scalar(b, key);
			zk_buf_lit(b, ": ");
		}
		scalar(b, one);
	}
	zk_buf_cstr(b, map ? " }" : "]");
}

static void indent(struct zk_buf *b, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		zk_buf_lit(b, "  ");
}

/* The items as nested mappings; `before` is the key of the previous one. */
static void write_item(struct zk_buf *b, const struct item *it, const char *before)
{
	zk_str key = zk_str_of(it->key), old = zk_str_of(before);
	size_t depth = 2;
	bool same = true;

	for (;;) {
		zk_str part, old_part;
		zk_str rest = zk_str_cut(key, '.', &part);

		old = zk_str_cut(old, '.', &old_part);
		if (!rest.p) {
			indent(b, depth);
			zk_buf_printf(b, "%.*s: ", ZK_STR_ARG(part));
			value(b, it);
			zk_buf_char(b, '\n');
			return;
		}
		same = same && zk_str_eq(part, old_part);
		if (!same) {
			indent(b, depth);
			zk_buf_printf(b, "%.*s:\n", ZK_STR_ARG(part));
		}
		key = rest;
		depth++;
	}
}

static void write_config(struct convert *c, struct zk_buf *b)
{
	const char *before = "";

	zk_buf_lit(b, "# Made by zk config init of the variables of another program.\n"
	              "version: 1\ndefault_profile: default\n\nprofiles:\n  default:\n");
	if (c->n_items)
		qsort(c->items, c->n_items, sizeof(*c->items), by_key);
	for (size_t i = 0; i < c->n_items; i++) {
		write_item(b, &c->items[i], before);
		before = c->items[i].key;
	}
	for (size_t i = 0; i < c->n_vars; i++) {
		const struct var *v = &c->vars[i];

		if (v->secret)
			zk_buf_printf(b, "    # %s is a secret: see zk help secrets\n",
			              v->name);
		else if (!v->used)
			zk_buf_printf(b, "    # %s is not known to zk\n", v->name);
	}
}

static void convert_done(struct convert *c)
{
	for (size_t i = 0; i < c->n_vars; i++) {
		free(c->vars[i].name);
		zk_secret_free(c->vars[i].value);
	}
	for (size_t i = 0; i < c->n_items; i++) {
		free(c->items[i].key);
		zk_buf_done(&c->items[i].text);
	}
	free(c->vars);
	free(c->items);
	zk_all_rows_done(&c->rows);
}

int zk_envfile_convert(struct zk_app *app, const char *path, struct zk_buf *b,
                       struct zk_error *err)
{
	struct convert c = { .app = { .cmds = app->cmds, .cli = app->cli } };
	struct zk_buf text;
	int r;

	zk_buf_init_secret(&text, ENV_FILE_MAX);
	zk_all_rows_make(app->cmds, &c.rows);
	r = read_file(path, &text, err);
	if (r == 0)
		r = parse(&c, zk_buf_str(&text), err);
	if (r == 0)
		r = ask_all(&c, app->cmds, err);
	if (r == 0)
		write_config(&c, b);
	else
		(void)zk_err_where(err, "%s", path);
	convert_done(&c);
	zk_buf_done(&text);
	return r;
}

zk_str zk_sample_config(void)
{
	return ZK_STR(
	        "# Configuration of zk. Everything has a default: keep what differs.\n"
	        "# Explained in: zk help config        Check it with: zk config "
	        "validate\n"
	        "version: 1\n"
	        "\n"
	        "# The profile to use when -p and ZK_PROFILE name none.\n"
	        "default_profile: local\n"
	        "\n"
	        "# Below every profile.\n"
	        "defaults:\n"
	        "  # retries: { max: 5, base: 250ms, cap: 30s, max_time: 5m }\n"
	        "  # log: { level: info, format: auto }\n"
	        "\n"
	        "profiles:\n"
	        "  local:\n"
	        "    # triggers:\n"
	        "    #   listen: localhost:8080\n"
	        "    #   max_payload: 256KiB\n"
	        "\n"
	        "  # prod:\n"
	        "  #   extends: local\n"
	        "  #   protected: true\n"
	        "  #   triggers:\n"
	        "  #     url: https://triggers.example\n"
	        "  #     key_file: ~/.config/zk/secrets/triggers_key\n");
}
