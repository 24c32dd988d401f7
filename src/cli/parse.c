/* argv → command, option texts, positional arguments.
 * Layer: cli. */
#include "cli/parse.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/suggest.h"

#include "base/ban.h"

/* What one entry of getopt's table stands for. */
enum variant { PLAIN, INVERSE, SECRET_FILE, SECRET_FD };

struct entry {
	const struct zk_opt *row;
	const struct zk_group *group;
	enum variant variant;
	char name[48];
};

/* The options that may come next; rebuilt when the command is known. */
struct table {
	struct zk_rows rows[ZK_ROWS_MAX];
	size_t n_rows;
	struct entry *entries;
	struct option *longs;
	size_t n, room;
	char shorts[128];
};

/* getopt's `val` of entry i; single letters are below. */
#define VAL_BASE 256

bool zk_cmd_is_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 && path[n] == ' ';
}

const struct zk_cmd *zk_cmd_find(const struct zk_cmd *const *cmds, zk_str path)
{
	for (; *cmds; cmds++)
		if (zk_str_eq(zk_str_of((*cmds)->path), path))
			return *cmds;
	return NULL;
}

static void table_done(struct table *t)
{
	free(t->entries);
	free(t->longs);
	*t = (struct table){ 0 };
}

static void add_entry(struct table *t, const struct zk_opt *row,
                      const struct zk_group *group, enum variant variant)
{
	static const char *const suffixes[] = { "", "", "-file", "-fd" };
	struct entry *e = &t->entries[t->n];

	ZK_ASSERT(t->n < t->room);
	*e = (struct entry){ .row = row, .group = group, .variant = variant };
	if (variant == INVERSE) {
		if (!zk_opt_inverse(row, e->name, sizeof(e->name)) ||
		    zk_rows_find(t->rows, t->n_rows, zk_str_of(e->name), NULL))
			return;
	} else {
		int n = snprintf(e->name, sizeof(e->name), "%s%s", row->name,
		                 suffixes[variant]);

		ZK_ASSERT(n > 0 && (size_t)n < sizeof(e->name));
	}

	struct option *o = &t->longs[t->n];
	int has_arg = required_argument;

	if (row->type == ZK_OPT_BOOL || row->type == ZK_OPT_COUNT)
		has_arg = no_argument;
	if (row->type == ZK_OPT_OPTARG)
		has_arg = optional_argument;
	*o = (struct option){ e->name, has_arg, NULL, VAL_BASE + (int)t->n };
	t->n++;
}

static void add_row(struct table *t, const struct zk_opt *row,
                    const struct zk_group *group)
{
	size_t len = strlen(t->shorts);

	if (row->type == ZK_OPT_SECRET_REF) {
		add_entry(t, row, group, SECRET_FILE);
		add_entry(t, row, group, SECRET_FD);
		return;
	}
	add_entry(t, row, group, PLAIN);
	/* Nothing to undo in -h and -V. */
	if (row->type == ZK_OPT_BOOL && row->key != 'h' && row->key != 'V')
		add_entry(t, row, group, INVERSE);
	if (row->key && !strchr(t->shorts, row->key)) {
		ZK_ASSERT(len + 3 < sizeof(t->shorts));
		t->shorts[len++] = row->key;
		if (row->type != ZK_OPT_BOOL && row->type != ZK_OPT_COUNT)
			t->shorts[len++] = ':';
		t->shorts[len] = '\0';
	}
}

static void table_make(struct table *t, const struct zk_cmd *cmd)
{
	table_done(t);
	t->n_rows = zk_cmd_rows(cmd, t->rows);
	for (size_t i = 0; i < t->n_rows; i++)
		for (const struct zk_opt *r = t->rows[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			t->room += 2;
	t->entries = zk_alloc_array(t->room + 1, sizeof(*t->entries));
	t->longs = zk_alloc_array(t->room + 1, sizeof(*t->longs));
	/* '-': positional arguments come in order, as code 1, whatever POSIXLY_CORRECT says. */
	memcpy(t->shorts, "-:", 3);
	for (size_t i = 0; i < t->n_rows; i++)
		for (const struct zk_opt *r = t->rows[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			if (!zk_rows_hidden(t->rows, i, r))
				add_row(t, r, t->rows[i].group);
	t->longs[t->n] = (struct option){ 0 };
}

/* The entry of a letter. */
static const struct entry *entry_of_key(const struct table *t, int key)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->entries[i].row->key == key && t->entries[i].variant == PLAIN)
			return &t->entries[i];
	return NULL;
}

static void add_given(struct zk_parse *p, const struct entry *e, const char *text,
                      const char *shown)
{
	struct zk_given *g;

	if (p->n_given == p->given_room) {
		p->given_room = p->given_room ? p->given_room * 2 : 16;
		p->given = zk_realloc(p->given, p->given_room * sizeof(*p->given));
	}
	g = &p->given[p->n_given++];
	*g = (struct zk_given){
		.row = e->row, .group = e->group, .text = text, .shown = shown
	};
	if (e->row->type == ZK_OPT_BOOL)
		g->text = e->variant == INVERSE ? "false" : "true";
	else if (!text)
		g->text = "";
	if (e->variant == SECRET_FILE)
		g->scheme = "file:";
	if (e->variant == SECRET_FD)
		g->scheme = "fd:";
}

/* State of one run over argv. */
struct run {
	struct zk_parse *p;
	struct table t;
	char **argv;
	int argc;
	char path[64]; /* words of the command so far */
	bool is_full;  /* no command continues `path` */
};

/* True when `word` continues the path; it is taken then. */
static bool take_word(struct run *r, const char *word)
{
	char longer[64];
	int n = snprintf(longer, sizeof(longer), "%s%s%s", r->path, r->path[0] ? " " : "",
	                 word);
	bool exact = false, more = false;

	if (n < 0 || (size_t)n >= sizeof(longer) || word[0] == '\0')
		return false;
	for (const struct zk_cmd *const *c = r->p->cmds; *c; c++) {
		if (strcmp((*c)->path, longer) == 0) {
			r->p->cmd = *c;
			exact = true;
		} else if (zk_cmd_is_below((*c)->path, longer)) {
			more = true;
		}
	}
	if (!exact && !more)
		return false;
	memcpy(r->path, longer, (size_t)n + 1);
	r->is_full = !more;
	if (exact && r->p->cmd->run)
		table_make(&r->t, r->p->cmd);
	return true;
}

/* A positional argument: a word of the command or an argument of it. 1 = stop scanning. */
static int on_word(struct run *r, char *word, struct zk_error *err)
{
	struct zk_parse *p = r->p;

	if (!r->is_full && p->n_args == 0 && take_word(r, word))
		return 0;
	if (!p->cmd || !p->cmd->run)
		return zk_suggest_command(p->cmds, r->path, zk_str_of(word), err);
	if (p->cmd->flags & ZK_CMD_STOP_AT_ARG) {
		optind--;
		return 1;
	}
	p->args[p->n_args++] = word;
	return 0;
}

/* The argv element that a long option stood in. */
static const char *typed_long(const struct run *r)
{
	bool separate = optarg && optarg == r->argv[optind - 1];

	return r->argv[optind - (separate ? 2 : 1)];
}

static int on_long(struct run *r, int index, struct zk_error *err)
{
	const struct entry *e = &r->t.entries[index];
	const char *typed = typed_long(r);
	zk_str name;

	/* getopt takes unique prefixes; we do not. */
	(void)zk_str_cut(zk_str_of(typed + 2), '=', &name);
	if (!zk_str_eq(name, zk_str_of(e->name)))
		return zk_suggest_option(r->t.rows, r->t.n_rows, r->p->cmd,
		                         zk_str_of(typed), err);
	if (e->row->key == 'h')
		r->p->help_long = true;
	else if (e->row->key == 'V')
		r->p->version = true;
	else
		add_given(r->p, e, optarg, typed);
	return 0;
}

static int on_short(struct run *r, int key, struct zk_error *err)
{
	const struct entry *e = entry_of_key(&r->t, key);

	if (!e)
		return zk_fail(err, ZK_E_BUG, "option letter '%c' has no row", key);
	if (key == 'h')
		r->p->help_short = true;
	else if (key == 'V')
		r->p->version = true;
	else
		add_given(r->p, e, optarg, e->row->name);
	return 0;
}

/* '?' of getopt: unknown, ambiguous, or a value where none belongs. */
static int on_unknown(struct run *r, struct zk_error *err)
{
	const char *typed = r->argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };
	zk_str name;

	if (optopt >= VAL_BASE) {
		(void)zk_str_cut(zk_str_of(typed), '=', &name);
		return zk_fail(err, ZK_E_USAGE, "option '%.*s' takes no value",
		               ZK_STR_ARG(name));
	}
	if (optopt)
		return zk_suggest_option(r->t.rows, r->t.n_rows, r->p->cmd,
		                         zk_str_of(letter), err);
	return zk_suggest_option(r->t.rows, r->t.n_rows, r->p->cmd, zk_str_of(typed),
	                         err);
}

static int on_missing(struct run *r, struct zk_error *err)
{
	const struct entry *e = optopt >= VAL_BASE ? &r->t.entries[optopt - VAL_BASE]
	                                           : entry_of_key(&r->t, optopt);
	const char *typed = r->argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	/* An abbreviated name is the first thing that is wrong with it. */
	if (e && optopt >= VAL_BASE && strcmp(typed + 2, e->name) != 0)
		return zk_suggest_option(r->t.rows, r->t.n_rows, r->p->cmd,
		                         zk_str_of(typed), err);
	(void)zk_fail(err, ZK_E_USAGE, "option '%s' needs a value",
	              optopt >= VAL_BASE ? typed : letter);
	return e && zk_opt_meta(e->row) ? zk_err_hint(err, "--%s %s: %s", e->name,
	                                              zk_opt_meta(e->row), e->row->help)
	                                : -(int)err->code;
}

/* 0 = go on, 1 = the rest is positional, 2 = end, or negative. */
static int next(struct run *r, struct zk_error *err)
{
	int index = -1;
	int c = getopt_long(r->argc, r->argv, r->t.shorts, r->t.longs, &index);

	switch (c) {
	case -1:
		return 2;
	case 1:
		return on_word(r, optarg, err);
	case '?':
		return on_unknown(r, err);
	case ':':
		return on_missing(r, err);
	default:
		return index >= 0 ? on_long(r, index, err) : on_short(r, c, err);
	}
}

/* What follows "--", or the first argument of a STOP_AT_ARG command. */
static int take_rest(struct run *r, struct zk_error *err)
{
	struct zk_parse *p = r->p;

	if (optind > 1 && optind <= r->argc && strcmp(r->argv[optind - 1], "--") == 0)
		p->args_before_dashes = p->n_args;
	if (optind < r->argc && (!p->cmd || !p->cmd->run))
		return zk_suggest_command(p->cmds, r->path, zk_str_of(r->argv[optind]),
		                          err);
	while (optind < r->argc)
		p->args[p->n_args++] = r->argv[optind++];
	return 0;
}

/* Options given before the command: it may have a row of its own of that name, or not take
 * the group at all. */
static int check_groups(const struct run *r, struct zk_error *err)
{
	const struct zk_parse *p = r->p;

	for (size_t i = 0; i < p->n_given && p->cmd && p->cmd->run; i++) {
		struct zk_given *g = &p->given[i];
		size_t table = 0;
		const struct zk_opt *row = zk_rows_find(r->t.rows, r->t.n_rows,
		                                        zk_str_of(g->row->name), &table);

		if (row) {
			g->row = row;
			g->group = r->t.rows[table].group;
		} else {
			return zk_fail(err, ZK_E_USAGE, "'zk %s' takes no option --%s",
			               p->cmd->path, g->row->name);
		}
	}
	return 0;
}

/* After an error: whether help or version was asked for further on. The words of the command
 * that were not read yet are looked up too, so that `zk --oops triggers serve -h` finds it. */
static bool asked_anyway(struct run *r)
{
	struct zk_parse *p = r->p;

	for (int i = 1; i < r->argc && strcmp(r->argv[i], "--") != 0; i++) {
		const char *a = r->argv[i];

		if (i >= optind && a[0] != '-' && !r->is_full && p->n_args == 0)
			(void)take_word(r, a);
		p->help_short |= strcmp(a, "-h") == 0;
		p->help_long |= strcmp(a, "--help") == 0;
		p->version |= strcmp(a, "-V") == 0 || strcmp(a, "--version") == 0;
	}
	return p->help_short || p->help_long || p->version;
}

int zk_parse_argv(struct zk_parse *p, int argc, char **argv, struct zk_error *err)
{
	struct run r = { .p = p, .argv = argv, .argc = argc };
	int step = 0, result = 0;

	p->args = zk_alloc_array((size_t)argc + 1, sizeof(*p->args));
	p->args_before_dashes = -1;
	table_make(&r.t, NULL);
	optind = 0;
	opterr = 0;
	while (step == 0)
		step = next(&r, err);
	result = step < 0 ? step : take_rest(&r, err);
	if (result == 0)
		result = check_groups(&r, err);
	if (result < 0 && err->code != ZK_E_NO_COMMAND && asked_anyway(&r))
		result = 0;
	table_done(&r.t);
	return result;
}

int zk_parse_check_args(const struct zk_parse *p, struct zk_error *err)
{
	const struct zk_cmd *c = p->cmd;

	if (p->n_args < c->min_args)
		(void)zk_fail(err, ZK_E_USAGE, "an argument is missing");
	else if (p->n_args > c->max_args)
		(void)zk_fail(err, ZK_E_USAGE, "the argument '%.60s' is one too many",
		              p->args[c->max_args]);
	else
		return 0;
	return zk_err_hint(err, "usage: zk %s%s%s", c->path,
	                   c->args && c->args[0] ? " " : "", c->args ? c->args : "");
}

void zk_parse_done(struct zk_parse *p)
{
	free(p->given);
	free(p->args);
	*p = (struct zk_parse){ 0 };
}
