/* "Did you mean" for commands and options.
 * Layer: cli. */
#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/doc.h"
#include "cli/parse.h"
#include "conf/near.h"

#include "base/ban.h"

/* The word of `path` that follows `done`; n == 0 when there is none. */
static zk_str next_word(const char *path, const char *done)
{
	zk_str rest = zk_str_of(path), word;

	if (done[0]) {
		if (!zk_cmd_is_below(path, done))
			return ZK_STR_NULL;
		rest = zk_str_from(rest, strlen(done) + 1);
	}
	(void)zk_str_cut(rest, ' ', &word);
	return word;
}

/* A verb typed without its group: `zk serve`. The only command that ends in `word`, or NULL. */
static const struct zk_cmd *only_with_verb(const struct zk_cmd *const *cmds, zk_str word)
{
	const struct zk_cmd *found = NULL;

	for (; *cmds; cmds++) {
		const char *last = strrchr((*cmds)->path, ' ');

		if (!last || !zk_str_eq(zk_str_of(last + 1), word) ||
		    ((*cmds)->flags & ZK_CMD_HIDDEN))
			continue;
		if (found)
			return NULL;
		found = *cmds;
	}
	return found;
}

int zk_suggest_command(const struct zk_cmd *const *cmds, const char *done, zk_str word,
                       struct zk_error *err)
{
	struct zk_near near = { .want = word };
	const struct zk_cmd *verb = done[0] ? NULL : only_with_verb(cmds, word);
	char words[64][32];
	size_t n = 0;

	(void)zk_fail(err, ZK_E_NO_COMMAND, "there is no command 'zk %s%s%.*s'", done,
	              done[0] ? " " : "", (int)ZK_MIN(word.n, (size_t)60), word.p);
	for (const struct zk_cmd *const *c = cmds; *c && n < ZK_ARRAY_LEN(words); c++) {
		zk_str w = next_word((*c)->path, done);

		if (w.n == 0 || w.n >= sizeof(words[0]) || ((*c)->flags & ZK_CMD_HIDDEN))
			continue;
		memcpy(words[n], w.p, w.n);
		words[n][w.n] = '\0';
		if (n && strcmp(words[n], words[n - 1]) == 0)
			continue;
		zk_near_add(&near, words[n++]);
	}
	if (verb)
		return zk_err_hint(err, "did you mean 'zk %s'?", verb->path);
	if (near.best)
		return zk_err_hint(err, "did you mean 'zk %s%s%s'?", done,
		                   done[0] ? " " : "", near.best);
	return zk_err_hint(err, "see: zk help%s%s", done[0] ? " " : "", done);
}

int zk_suggest_topic(const struct zk_cmd *const *cmds, zk_str word, struct zk_error *err)
{
	struct zk_near near = { .want = word };

	(void)zk_fail(err, ZK_E_NO_COMMAND, "there is no command or topic '%.*s'",
	              (int)ZK_MIN(word.n, (size_t)60), word.p);
	for (const struct zk_topic *t = zk_topics; t->name; t++)
		zk_near_add(&near, t->name);
	for (; *cmds; cmds++)
		if (!((*cmds)->flags & ZK_CMD_HIDDEN))
			zk_near_add(&near, (*cmds)->path);
	if (near.best)
		return zk_err_hint(err, "did you mean 'zk help %s'?", near.best);
	return zk_err_hint(err, "see: zk help");
}

struct offer {
	struct zk_near near;
	char names[512][48];
	size_t n;
};

static void offer(struct offer *o, const char *name, const char *suffix)
{
	if (o->n == ZK_ARRAY_LEN(o->names))
		return;

	int len = snprintf(o->names[o->n], sizeof(o->names[0]), "%s%s", name, suffix);

	if (len > 0 && (size_t)len < sizeof(o->names[0]))
		zk_near_add(&o->near, o->names[o->n++]);
}

static void offer_row(struct offer *o, const struct zk_opt *row)
{
	char inverse[48];

	if (row->flags & ZK_OPT_HIDDEN)
		return;
	if (row->type == ZK_OPT_SECRET_REF) {
		offer(o, row->name, "-file");
		offer(o, row->name, "-fd");
		return;
	}
	offer(o, row->name, "");
	if (zk_opt_inverse(row, inverse, sizeof(inverse)))
		offer(o, inverse, "");
}

/* An abbreviation of exactly one name is what was meant, however far it is. */
static const char *only_with_prefix(const struct offer *o, zk_str typed)
{
	const char *found = NULL;

	for (size_t i = 0; i < o->n && typed.n >= 2; i++) {
		if (!zk_str_starts(zk_str_of(o->names[i]), typed))
			continue;
		if (found)
			return NULL;
		found = o->names[i];
	}
	return found;
}

int zk_suggest_option(const struct zk_rows *t, size_t n, const struct zk_cmd *cmd,
                      zk_str typed, struct zk_error *err)
{
	static struct offer o; /* 24 KiB; only ever used once, on the way out */
	zk_str name;
	const char *best;

	(void)zk_str_cut(typed, '=', &name);
	(void)zk_fail(err, ZK_E_USAGE, "unknown option '%.*s'",
	              (int)ZK_MIN(name.n, (size_t)60), name.p);
	o.n = 0;
	o.near = (struct zk_near){ .want = zk_str_from(name, 2) };
	if (zk_str_starts(name, ZK_STR("--"))) {
		for (size_t i = 0; i < n; i++)
			for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE;
			     r++)
				offer_row(&o, r);
		best = only_with_prefix(&o, o.near.want);
		if (best)
			return zk_err_hint(
			        err, "did you mean '--%s'? options are not abbreviated",
			        best);
		if (o.near.best)
			return zk_err_hint(err, "did you mean '--%s'?", o.near.best);
	}
	if (!cmd)
		return zk_err_hint(
		        err, "see: zk help options; options of a command stand after "
		             "its name");
	return zk_err_hint(err, "see: zk %s --help", cmd->path);
}
