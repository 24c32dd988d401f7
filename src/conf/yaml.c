/* libyaml's events to a tree of nodes with positions.
 * Layer: conf. The only user of libyaml. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/map.h"
#include "conf/file.h"

#include "base/ban.h"

/* Up to so many keys are compared one by one. */
#define WALK_MAX 16u

/* A container that is being filled. */
struct level {
	struct zk_node *node, *last;
	zk_str key; /* MAP: the key whose value comes next; p == NULL = a key comes next */
	unsigned key_line, key_col, key_span;
};

struct build {
	struct zk_conf_file *f;
	const struct zk_doc_rules *rules;
	struct level stack[ZK_DOC_DEPTH_MAX];
	unsigned depth;
	unsigned nodes, documents;
	struct zk_map anchors; /* name to finished node */
	struct zk_node *last_root;
	struct zk_error *err;
};

static struct zk_spot spot_at(const struct build *b, const yaml_mark_t *m, unsigned span)
{
	return (struct zk_spot){ .file = b->f,
		                 .line = (unsigned)m->line + 1,
		                 .col = (unsigned)m->column + 1,
		                 .span = span };
}

static struct zk_spot spot_of(const struct build *b, const yaml_event_t *e)
{
	size_t span = 1;

	if (e->start_mark.line == e->end_mark.line &&
	    e->end_mark.column > e->start_mark.column)
		span = e->end_mark.column - e->start_mark.column;
	return spot_at(b, &e->start_mark, (unsigned)span);
}

/* Links a finished or opened node into the container on top of the stack. */
static void link_node(struct build *b, struct zk_node *n)
{
	struct level *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	if (!top) {
		if (b->last_root)
			b->last_root->next = n;
		else
			b->f->root = n;
		b->last_root = n;
		return;
	}
	if (top->node->kind == ZK_NODE_MAP) {
		n->key = top->key;
		n->key_line = top->key_line;
		n->key_col = top->key_col;
		n->key_span = top->key_span;
		top->key = ZK_STR_NULL;
	}
	if (top->last)
		top->last->next = n;
	else
		top->node->first = n;
	top->last = n;
	top->node->n++;
}

static int too_many(struct build *b, struct zk_spot at)
{
	return zk_spot_fail(b->err, b->rules->limit, at, NULL,
	                    "the file holds too many values");
}

static int too_large(struct build *b)
{
	return zk_fail(b->err, b->rules->size, "the file '%s' is too large", b->f->shown);
}

static struct zk_node *new_node(struct build *b, enum zk_node_kind kind,
                                const yaml_event_t *e)
{
	struct zk_node *n = NULL;

	if (++b->nodes <= b->rules->nodes_max)
		n = zk_arena_alloc(&b->f->arena, sizeof(*n));
	if (!n) {
		(void)too_many(b, spot_of(b, e));
		return NULL;
	}
	n->kind = kind;
	n->line = (unsigned)e->start_mark.line + 1;
	n->col = (unsigned)e->start_mark.column + 1;
	n->size = 1;
	n->height = 1;
	return n;
}

static bool key_comes(const struct build *b)
{
	const struct level *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	return top && top->node->kind == ZK_NODE_MAP && !top->key.p;
}

static struct zk_node *mark_by_walking(struct zk_node *map,
                                       const struct zk_node **ret_was)
{
	struct zk_node *first = NULL;

	for (struct zk_node *m = map->first; m; m = m->next) {
		const struct zk_node *was = map->first;

		while (was != m && !zk_str_eq(was->key, m->key))
			was = was->next;
		m->again = was != m;
		if (m->again && !first) {
			first = m;
			*ret_was = was;
		}
	}
	return first;
}

static struct zk_node *mark_by_hash(struct zk_node *map, const struct zk_node **ret_was)
{
	struct zk_node *first = NULL;
	struct zk_map seen;

	zk_map_init(&seen);
	for (struct zk_node *m = map->first; m; m = m->next) {
		const struct zk_node *was = zk_map_get(&seen, m->key);

		m->again = was;
		if (!was)
			(void)zk_map_set(&seen, m->key, m);
		if (was && !first) {
			first = m;
			*ret_was = was;
		}
	}
	zk_map_done(&seen);
	return first;
}

struct zk_node *zk_doc_mark_again(struct zk_node *map, const struct zk_node **was)
{
	return map->n <= WALK_MAX ? mark_by_walking(map, was) : mark_by_hash(map, was);
}

/* A key of the mapping that stands twice, unless the rules let that pass. */
static int check_again(struct build *b, struct zk_node *map)
{
	const struct zk_node *was;
	const struct zk_node *again = zk_doc_mark_again(map, &was);

	if (!again || b->rules->duplicates)
		return 0;
	return zk_spot_fail(b->err, b->rules->key, zk_spot_key(b->f, again), NULL,
	                    "the key '%.*s' stands twice, first in line %u",
	                    (int)ZK_MIN(again->key.n, (size_t)80), again->key.p,
	                    was->key_line);
}

static int take_key(struct build *b, const yaml_event_t *e)
{
	struct level *top = &b->stack[b->depth - 1];
	zk_str key = zk_str_n((const char *)e->data.scalar.value, e->data.scalar.length);
	char *copy;

	if (key.n == 0 && !b->rules->duplicates)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "a key is empty");
	if (zk_str_eq(key, ZK_STR("<<")) &&
	    e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e),
		                    b->rules->merge_note, "merge keys are not taken");
	if (top->node->n >= b->rules->keys_max && check_again(b, top->node) == 0)
		return zk_spot_fail(b->err, b->rules->limit, spot_of(b, e), NULL,
		                    "a mapping has more than %u keys",
		                    b->rules->keys_max);
	if (top->node->n >= b->rules->keys_max)
		return -(int)b->err->code;
	copy = zk_arena_strndup(&b->f->arena, key.p, key.n);
	if (!copy)
		return too_large(b);
	top->key = zk_str_n(copy, key.n);
	top->key_line = (unsigned)e->start_mark.line + 1;
	top->key_col = (unsigned)e->start_mark.column + 1;
	top->key_span = spot_of(b, e).span;
	return 0;
}

/* Remembers a finished node under its anchor. */
static int name_node(struct build *b, const yaml_char_t *anchor, struct zk_node *n)
{
	if (anchor)
		(void)zk_map_set(&b->anchors, zk_str_of((const char *)anchor), n);
	return 0;
}

static int on_scalar(struct build *b, const yaml_event_t *e)
{
	const yaml_char_t *anchor = e->data.scalar.anchor;
	struct zk_node *n;
	char *copy;

	if ((anchor && !b->rules->aliases) || e->data.scalar.tag)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "%s are not taken",
		                    e->data.scalar.tag ? "tags" : "anchors");
	if (key_comes(b))
		return take_key(b, e);
	n = new_node(b, ZK_NODE_SCALAR, e);
	if (!n)
		return -(int)b->err->code;
	copy = zk_arena_strndup(&b->f->arena, (const char *)e->data.scalar.value,
	                        e->data.scalar.length);
	if (!copy)
		return too_large(b);
	n->text = zk_str_n(copy, e->data.scalar.length);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	link_node(b, n);
	return name_node(b, anchor, n);
}

static int on_open(struct build *b, const yaml_event_t *e)
{
	bool map = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor =
	        map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	const yaml_char_t *tag =
	        map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	struct zk_node *n;

	if ((anchor && !b->rules->aliases) || tag)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "%s are not taken", tag ? "tags" : "anchors");
	if (key_comes(b))
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "a key must be a text");
	if (b->depth == b->rules->depth_max)
		return zk_spot_fail(b->err, b->rules->limit, spot_of(b, e), NULL,
		                    "the nesting is deeper than %u levels",
		                    b->rules->depth_max);
	n = new_node(b, map ? ZK_NODE_MAP : ZK_NODE_LIST, e);
	if (!n)
		return -(int)b->err->code;
	link_node(b, n);
	b->stack[b->depth++] = (struct level){ .node = n };
	return name_node(b, anchor, n);
}

/* Sums that aliases need, and keys that stand twice. */
static int on_close(struct build *b)
{
	struct zk_node *n = b->stack[--b->depth].node;

	for (const struct zk_node *m = n->first; m; m = m->next) {
		n->size += m->size;
		n->height = ZK_MAX(n->height, m->height + 1);
	}
	n->closed = true;
	return n->kind == ZK_NODE_MAP ? check_again(b, n) : 0;
}

/* The same children under another head; what they would weigh is counted. */
static int on_alias(struct build *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct zk_node *n, *target;

	if (!b->rules->aliases)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "aliases are not taken");
	target = zk_map_get(&b->anchors, zk_str_of(name));
	if (!target)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "there is no anchor '%.60s'", name);
	if (key_comes(b))
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "an alias cannot be a key");
	if (target->kind != ZK_NODE_SCALAR && !target->closed)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "the alias '%.60s' stands inside of what it means",
		                    name);
	if (target->size > b->rules->nodes_max - b->nodes)
		return too_many(b, spot_of(b, e));
	if (b->depth + target->height > b->rules->depth_max)
		return zk_spot_fail(b->err, b->rules->limit, spot_of(b, e), NULL,
		                    "the nesting is deeper than %u levels",
		                    b->rules->depth_max);
	n = new_node(b, target->kind, e);
	if (!n)
		return -(int)b->err->code;
	b->nodes += target->size - 1;
	n->text = target->text;
	n->plain = target->plain;
	n->first = target->first;
	n->n = target->n;
	n->size = target->size;
	n->height = target->height;
	n->closed = true;
	link_node(b, n);
	return 0;
}

static int on_document(struct build *b, const yaml_event_t *e)
{
	zk_map_done(&b->anchors);
	zk_map_init(&b->anchors);
	if (++b->documents > 1 && !b->rules->documents)
		return zk_spot_fail(
		        b->err, b->rules->syntax, spot_of(b, e), NULL,
		        "a file holds one document, here begins a second one");
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
	            e->data.document_start.tag_directives.end)
		return zk_spot_fail(b->err, b->rules->syntax, spot_of(b, e), NULL,
		                    "directives are not taken");
	return 0;
}

static int on_event(struct build *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return on_alias(b, e);
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_open(b, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(b);
	case YAML_DOCUMENT_START_EVENT:
		return on_document(b, e);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/* A reader error carries only an offset in bytes. */
static struct zk_spot spot_of_offset(const struct build *b, size_t offset)
{
	struct zk_spot s = { .file = b->f, .line = 1, .col = 1, .span = 1 };

	for (size_t i = 0; i < offset && i < b->f->n; i++) {
		if (b->f->text[i] == '\n') {
			s.line++;
			s.col = 1;
		} else if (((unsigned char)b->f->text[i] & 0xc0) != 0x80) {
			s.col++;
		}
	}
	return s;
}

static char byte_at(const struct build *b, const yaml_mark_t *m)
{
	return m->index < b->f->n ? b->f->text[m->index] : '\0';
}

static int syntax_error(struct build *b, const yaml_parser_t *p)
{
	const char *problem = p->problem ? p->problem : "it cannot be parsed";
	/* What was opened and not closed is named where it began, because libyaml notices lines
	 * later; a block has no end of its own. */
	bool has_context = p->context && p->context_mark.line < p->problem_mark.line &&
	                   !strstr(p->context, "block");
	bool tab = byte_at(b, &p->problem_mark) == '\t';

	if (p->error == YAML_READER_ERROR)
		return zk_spot_fail(b->err, b->rules->syntax,
		                    spot_of_offset(b, p->problem_offset), NULL,
		                    "the file is not valid text: %s", problem);
	if (p->error == YAML_MEMORY_ERROR)
		return zk_fail(b->err, ZK_E_SYSTEM, "not enough memory for '%s'",
		               b->f->shown);
	(void)zk_spot_fail(
	        b->err, b->rules->syntax,
	        spot_at(b, has_context ? &p->context_mark : &p->problem_mark, 1), NULL,
	        "%s%s%s", p->context ? p->context : "", p->context ? ": " : "", problem);
	if (tab)
		return zk_err_hint(b->err,
		                   "YAML is indented with blanks, never with tabs");
	return -(int)b->err->code;
}

static int run_parser(struct build *b)
{
	yaml_parser_t parser;
	bool ended = false;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return zk_fail(b->err, ZK_E_SYSTEM, "not enough memory for '%s'",
		               b->f->shown);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b->f->text, b->f->n);
	while (r == 0 && !ended) {
		yaml_event_t e;

		if (!yaml_parser_parse(&parser, &e)) {
			r = syntax_error(b, &parser);
			break;
		}
		ended = e.type == YAML_STREAM_END_EVENT;
		r = on_event(b, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return r;
}

int zk_doc_build(struct zk_conf_file *f, const struct zk_doc_rules *rules,
                 struct zk_error *err)
{
	struct build b = { .f = f, .rules = rules, .err = err };
	int r;

	ZK_ASSERT(rules->depth_max <= ZK_DOC_DEPTH_MAX);
	zk_map_init(&b.anchors);
	r = run_parser(&b);
	zk_map_done(&b.anchors);
	return r;
}
