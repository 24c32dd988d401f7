/* Where the value of one row comes from.
 * Layer: conf. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/layers.h"
#include "conf/origin.h"
#include "conf/rules.h"

#include "base/ban.h"

/* The candidates of one row while they are collected. */
struct list {
	struct zk_value *v;
	size_t n;
};

static void add(struct list *l, struct zk_value v)
{
	if (l->n < ZK_VALUES_MAX)
		l->v[l->n++] = v;
}

static bool has_key(const struct zk_opt *row)
{
	return !(row->flags & ZK_OPT_NO_CONF) &&
	       !(row->conf && strcmp(row->conf, "-") == 0);
}

/* The values of one mapping; a key of the group before that of the verb, so the verb's counts. */
static void from_layer(struct list *l, const struct zk_conf *c, unsigned layer,
                       const struct zk_opt *row, const char *prefix)
{
	const struct zk_layer *y = &c->layers[layer];
	struct zk_schema_keys k = { 0 };
	struct zk_buf key;

	zk_buf_init(&key, 400);
	while (zk_schema_next_key(row, prefix, &k, &key)) {
		const struct zk_node *n = zk_node_at(y->map, zk_buf_str(&key));

		if (n)
			add(l, (struct zk_value){ .from = ZK_FROM_FILE,
			                          .file = y->file,
			                          .node = n,
			                          .member = k.member,
			                          .profile = y->profile,
			                          .layer = layer });
	}
	zk_buf_done(&key);
}

/* getenv that knows empty as unset, and gives the environment's own string of the name too. */
static const char *variable(const char *name, const char **ret_name)
{
	extern char **environ;
	size_t n = strlen(name);

	for (char **e = environ; e && *e; e++) {
		if (strncmp(*e, name, n) != 0 || (*e)[n] != '=' || !(*e)[n + 1])
			continue;
		*ret_name = *e;
		return *e + n + 1;
	}
	return NULL;
}

static void from_env(struct list *l, const struct zk_opt *row, const char *prefix)
{
	size_t pos = 0;
	struct zk_buf name;
	char part[64];

	if (row->flags & ZK_OPT_NO_CONF)
		return;
	zk_buf_init(&name, 200);
	while (zk_schema_next_prefix(row, prefix, &pos, part)) {
		struct zk_value v = { .from = ZK_FROM_ENV };

		zk_buf_clear(&name);
		zk_opt_env_name(row, part, &name);
		v.text = variable(zk_buf_cstring(&name), &v.variable);
		if (v.text)
			add(l, v);
		if (row->type != ZK_OPT_SECRET_REF)
			continue;
		zk_buf_lit(&name, "_FILE");
		v.is_twin = true;
		v.text = variable(zk_buf_cstring(&name), &v.variable);
		if (v.text)
			add(l, v);
	}
	zk_buf_done(&name);
}

static void from_gifts(struct list *l, const struct zk_conf *c, const struct zk_opt *row,
                       bool foreign)
{
	const struct zk_gift *last = NULL;

	for (size_t i = 0; i < c->n_gifts; i++)
		if (c->gifts[i].row == row && c->gifts[i].is_foreign == foreign)
			last = &c->gifts[i];
	if (last)
		add(l,
		    (struct zk_value){ .from = foreign ? ZK_FROM_FOREIGN : ZK_FROM_OPTION,
		                       .variable = foreign ? last->shown : NULL,
		                       .text = last->text });
}

size_t zk_conf_values(const struct zk_conf *c, const struct zk_opt *row,
                      const char *prefix, struct zk_value out[ZK_VALUES_MAX])
{
	struct list l = { .v = out };

	if (row->def)
		add(&l, (struct zk_value){ .from = ZK_FROM_DEFAULT, .text = row->def });
	for (unsigned i = 0; has_key(row) && i < c->n_layers; i++)
		from_layer(&l, c, i, row, prefix);
	from_gifts(&l, c, row, true);
	from_env(&l, row, prefix);
	from_gifts(&l, c, row, false);
	if (row->flags & ZK_OPT_ENDPOINT)
		zk_conf_endpoint_rules(c, row, prefix, out, l.n);
	return l.n;
}

const struct zk_value *zk_conf_winner(const struct zk_value *v, size_t n)
{
	while (n-- > 0)
		if (!v[n].lost)
			return &v[n];
	return NULL;
}

void zk_value_origin(const struct zk_value *v, const struct zk_opt *row, struct zk_buf *b)
{
	zk_str name = ZK_STR_NULL;

	if (v->variable)
		(void)zk_str_cut(zk_str_of(v->variable), '=', &name);
	switch (v->from) {
	case ZK_FROM_DEFAULT:
		zk_buf_lit(b, "default");
		break;
	case ZK_FROM_FILE:
		zk_buf_printf(b, "%s:%u:%u", v->file->shown, v->node->line, v->node->col);
		break;
	case ZK_FROM_FOREIGN:
	case ZK_FROM_ENV:
		zk_buf_printf(b, "$%.*s", ZK_STR_ARG(name));
		break;
	case ZK_FROM_OPTION:
		zk_buf_printf(b, "--%s", row->name);
		break;
	}
}
