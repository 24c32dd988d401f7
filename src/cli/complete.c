/* Completion: candidates that only the program knows.
 * Layer: cli. */
#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/doc.h"
#include "cli/help.h"
#include "cli/parse.h"
#include "cli/schemas.h"
#include "cli/state.h"

#include "base/ban.h"

const char *zk_complete_kind(const struct zk_opt *row)
{
	if (row->complete)
		return row->complete;
	return row->type == ZK_OPT_PATH || row->type == ZK_OPT_SECRET_REF ? "file" : NULL;
}

static void put(struct zk_buf *b, const char *value, const char *text)
{
	zk_buf_printf(b, "%s\t%s\n", value, text);
}

/* A broken configuration has no profiles to offer. */
static void profiles(struct zk_app *app, struct zk_buf *b)
{
	struct zk_places places;
	struct zk_all_rows rows;
	struct zk_conf *c = NULL;
	struct zk_error ignored;

	if (zk_places_find(app, &places, &ignored) < 0)
		return;
	zk_all_rows_make(app->cmds, &rows);
	if (zk_conf_load(&(struct zk_conf_in){ .schema = { rows.tables, rows.n },
	                                       .system_path = places.system_file,
	                                       .user_path = places.user_file },
	                 &c, &ignored) == 0) {
		for (size_t i = 0; zk_conf_profile_name(c, i); i++)
			put(b, zk_conf_profile_name(c, i), "profile");
		zk_conf_free(c);
	}
	zk_all_rows_done(&rows);
	zk_places_done(&places);
}

static void codes(struct zk_app *app, struct zk_buf *b)
{
	size_t n;
	const struct zk_code_info *info = zk_codes(&n);

	(void)app;
	for (size_t i = 0; i < n; i++)
		zk_buf_printf(b, "ZK%04d\t%s\n", (int)info[i].code, info[i].title);
}

static void commands(struct zk_app *app, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	size_t pos = 0;

	for (c = zk_help_next_below(app->cmds, "", &pos); c;
	     c = zk_help_next_below(app->cmds, "", &pos))
		put(b, c->path, c->help);
}

static void topics(struct zk_app *app, struct zk_buf *b)
{
	for (const struct zk_topic *t = zk_topics; t->name; t++)
		put(b, t->name, t->help);
	commands(app, b);
}

static void schema_names(struct zk_app *app, struct zk_buf *b)
{
	(void)app;
	put(b, "config", "configuration files");
	for (const struct zk_schema_text *s = zk_schemas; s->name; s++)
		zk_buf_printf(b, "%s\t%.*s\n", s->name, ZK_STR_ARG(s->title));
}

static void shells(struct zk_app *app, struct zk_buf *b)
{
	(void)app;
	put(b, "bash", "GNU Bash");
	put(b, "zsh", "Z shell");
	put(b, "fish", "fish");
}

bool zk_complete_values(struct zk_app *app, zk_str kind, struct zk_buf *b)
{
	static const struct {
		const char *kind;
		void (*put)(struct zk_app *, struct zk_buf *);
	} kinds[] = {
		{ "profile", profiles }, { "code", codes },   { "command", commands },
		{ "topic", topics },     { "shell", shells }, { "schema", schema_names },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(kinds); i++) {
		if (!zk_str_eq(kind, zk_str_of(kinds[i].kind)))
			continue;
		kinds[i].put(app, b);
		return true;
	}
	return false;
}

/* ---- a whole line ---- */

struct line {
	struct zk_app *app;
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n;
	const struct zk_cmd *cmd; /* the longest command on the line */
	struct zk_buf *b;
};

/* The row that an option word names, its value behind '=' left out. */
static const struct zk_opt *row_of(const struct line *l, const char *word)
{
	zk_str name;

	(void)zk_str_cut(zk_str_of(word), '=', &name);
	for (size_t i = 0; i < l->n; i++) {
		for (const struct zk_opt *r = l->t[i].rows; r->type != ZK_OPT_NONE; r++) {
			zk_str rest = zk_str_from(name, 2);

			if (name.n == 2 && name.p[1] == r->key)
				return r;
			if (!zk_str_starts(name, ZK_STR("--")) ||
			    !zk_str_starts(rest, zk_str_of(r->name)))
				continue;
			rest = zk_str_from(rest, strlen(r->name));
			if (rest.n == 0 || (r->type == ZK_OPT_SECRET_REF &&
			                    zk_str_eq(rest, ZK_STR("-file"))))
				return r;
		}
	}
	return NULL;
}

static bool takes_value(const struct zk_opt *row)
{
	return row && row->type != ZK_OPT_BOOL && row->type != ZK_OPT_COUNT &&
	       row->type != ZK_OPT_OPTARG;
}

static void offer_kind(const struct line *l, const char *kind)
{
	if (strcmp(kind, "file") == 0 || strcmp(kind, "dir") == 0)
		zk_buf_printf(l->b, ":%s\n", kind);
	else
		(void)zk_complete_values(l->app, zk_str_of(kind), l->b);
}

static void offer_value(const struct line *l, const struct zk_opt *row,
                        const char *before)
{
	const char *kind = zk_complete_kind(row);

	for (size_t i = 0; row->type == ZK_OPT_ENUM && row->values[i]; i++)
		zk_buf_printf(l->b, "%s%s\t\n", before, row->values[i]);
	if (row->type != ZK_OPT_ENUM && kind && !before[0])
		offer_kind(l, kind);
}

static void offer_options(const struct line *l)
{
	char inverse[64];

	for (size_t i = 0; i < l->n; i++) {
		for (const struct zk_opt *r = l->t[i].rows; r->type != ZK_OPT_NONE; r++) {
			if ((r->flags & ZK_OPT_HIDDEN) || zk_rows_hidden(l->t, i, r))
				continue;
			zk_buf_printf(l->b, "--%s%s\t%s\n", r->name,
			              r->type == ZK_OPT_SECRET_REF ? "-file" : "",
			              r->help);
			if (r->type == ZK_OPT_SECRET_REF)
				zk_buf_printf(l->b, "--%s-fd\t%s\n", r->name, r->help);
			if (r->key != 'h' && r->key != 'V' &&
			    zk_opt_inverse(r, inverse, sizeof(inverse)) &&
			    !zk_rows_find(l->t, l->n, zk_str_of(inverse), NULL))
				zk_buf_printf(l->b, "--%s\tnot: %s\n", inverse, r->help);
		}
	}
}

static void offer_words(const struct line *l)
{
	const char *path = l->cmd ? l->cmd->path : "";
	const struct zk_cmd *c = NULL;
	size_t pos = 0, skip = path[0] ? strlen(path) + 1 : 0;

	for (c = zk_help_next_below(l->app->cmds, path, &pos); c;
	     c = zk_help_next_below(l->app->cmds, path, &pos))
		put(l->b, c->path + skip, c->help);
	if (l->cmd && l->cmd->run && l->cmd->max_args > 0)
		offer_kind(l, l->cmd->complete_arg ? l->cmd->complete_arg : "file");
}

/* Finds the command of the words; true when the last of them waits for its value. */
static bool walk(struct line *l, int n, char **words)
{
	char path[64] = "";
	bool waits = false;

	for (int i = 0; i < n; i++) {
		char longer[64];
		const struct zk_cmd *c;

		if (waits) {
			waits = false;
			continue;
		}
		if (words[i][0] == '-') {
			waits = !strchr(words[i], '=') &&
			        takes_value(row_of(l, words[i]));
			continue;
		}
		if (snprintf(longer, sizeof(longer), "%s%s%s", path, path[0] ? " " : "",
		             words[i]) >= (int)sizeof(longer))
			continue;
		c = zk_cmd_find(l->app->cmds, zk_str_of(longer));
		if (!c)
			continue;
		memcpy(path, longer, sizeof(path));
		l->cmd = c;
		l->n = zk_cmd_rows(c->run ? c : NULL, l->t);
	}
	return waits;
}

void zk_complete_line(struct zk_app *app, int n, char **words, struct zk_buf *b)
{
	struct line l = { .app = app, .b = b };
	const char *last = n > 0 ? words[n - 1] : "";
	const struct zk_opt *row;
	char before[64];
	size_t eq;

	l.n = zk_cmd_rows(NULL, l.t);
	if (walk(&l, n - 1, words)) {
		row = row_of(&l, words[n - 2]);
		if (row)
			offer_value(&l, row, "");
		return;
	}
	eq = strcspn(last, "=");
	if (last[0] == '-' && last[eq] == '=' && eq + 2 < sizeof(before)) {
		row = row_of(&l, last);
		memcpy(before, last, eq + 1);
		before[eq + 1] = '\0';
		if (row)
			offer_value(&l, row, before);
	} else if (last[0] == '-') {
		offer_options(&l);
	} else {
		offer_words(&l);
	}
}
