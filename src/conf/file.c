/* One YAML file as a tree of nodes: reading it, and libyaml's events.
 * Layer: conf. */
#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/buf.h"

#include "base/ban.h"

/* Duplicate keys are found by walking: keep the walk short. */
#define MEMBERS_MAX 4096u

/* A container that is being filled. */
struct level {
	struct zk_node *node, *last;
	zk_str key; /* MAP: the key whose value comes next; p == NULL = a key comes next */
	unsigned key_line, key_col;
};

struct build {
	struct zk_conf_file *f;
	struct level stack[ZK_CONF_DEPTH_MAX];
	unsigned depth;
	unsigned nodes, documents;
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
static int link_node(struct build *b, struct zk_node *n)
{
	struct level *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	if (!top) {
		b->f->root = n;
		return 0;
	}
	if (top->node->kind == ZK_NODE_MAP) {
		n->key = top->key;
		n->key_line = top->key_line;
		n->key_col = top->key_col;
		top->key = ZK_STR_NULL;
	}
	if (top->last)
		top->last->next = n;
	else
		top->node->first = n;
	top->last = n;
	top->node->n++;
	return 0;
}

static struct zk_node *new_node(struct build *b, enum zk_node_kind kind,
                                const yaml_event_t *e)
{
	struct zk_node *n = NULL;

	if (++b->nodes <= ZK_CONF_NODES_MAX)
		n = zk_arena_alloc(&b->f->arena, sizeof(*n));
	if (!n) {
		(void)zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                   "the file holds too many values");
		return NULL;
	}
	n->kind = kind;
	n->line = (unsigned)e->start_mark.line + 1;
	n->col = (unsigned)e->start_mark.column + 1;
	return n;
}

static bool key_comes(const struct build *b)
{
	const struct level *top = b->depth ? &b->stack[b->depth - 1] : NULL;

	return top && top->node->kind == ZK_NODE_MAP && !top->key.p;
}

static int take_key(struct build *b, const yaml_event_t *e)
{
	struct level *top = &b->stack[b->depth - 1];
	zk_str key = zk_str_n((const char *)e->data.scalar.value, e->data.scalar.length);
	char *copy;

	if (key.n == 0)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "a key is empty");
	if (zk_str_eq(key, ZK_STR("<<")) &&
	    e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e),
		                    "use 'extends' of a profile",
		                    "merge keys are not taken");
	ZK_NODE_EACH(member, top->node)
	{
		if (zk_str_eq(member->key, key))
			return zk_spot_fail(
			        b->err, ZK_E_CONFIG_KEY, spot_of(b, e), NULL,
			        "the key '%.*s' stands twice, first in line %u",
			        (int)ZK_MIN(key.n, (size_t)80), key.p, member->key_line);
	}
	if (top->node->n >= MEMBERS_MAX)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "a mapping has more than %u keys", MEMBERS_MAX);
	copy = zk_arena_strndup(&b->f->arena, key.p, key.n);
	if (!copy)
		return zk_fail(b->err, ZK_E_CONFIG, "the file '%s' is too large",
		               b->f->shown);
	top->key = zk_str_n(copy, key.n);
	top->key_line = (unsigned)e->start_mark.line + 1;
	top->key_col = (unsigned)e->start_mark.column + 1;
	return 0;
}

static int on_scalar(struct build *b, const yaml_event_t *e)
{
	struct zk_node *n;
	char *copy;

	if (e->data.scalar.anchor || e->data.scalar.tag)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
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
		return zk_fail(b->err, ZK_E_CONFIG, "the file '%s' is too large",
		               b->f->shown);
	n->text = zk_str_n(copy, e->data.scalar.length);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return link_node(b, n);
}

static int on_open(struct build *b, const yaml_event_t *e)
{
	bool map = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor =
	        map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
	const yaml_char_t *tag =
	        map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	struct zk_node *n;

	if (anchor || tag)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "%s are not taken", tag ? "tags" : "anchors");
	if (key_comes(b))
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "a key must be a text");
	if (b->depth == ZK_CONF_DEPTH_MAX)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "the nesting is deeper than %d levels",
		                    ZK_CONF_DEPTH_MAX);
	n = new_node(b, map ? ZK_NODE_MAP : ZK_NODE_LIST, e);
	if (!n)
		return -(int)b->err->code;
	if (link_node(b, n) < 0)
		return -(int)b->err->code;
	b->stack[b->depth++] = (struct level){ .node = n };
	return 0;
}

static int on_document(struct build *b, const yaml_event_t *e)
{
	if (++b->documents > 1)
		return zk_spot_fail(
		        b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		        "a file holds one document, here begins a second one");
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
	            e->data.document_start.tag_directives.end)
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "directives are not taken");
	return 0;
}

static int on_event(struct build *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX, spot_of(b, e), NULL,
		                    "aliases are not taken");
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_open(b, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
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
		return zk_spot_fail(b->err, ZK_E_CONFIG_SYNTAX,
		                    spot_of_offset(b, p->problem_offset), NULL,
		                    "the file is not valid text: %s", problem);
	if (p->error == YAML_MEMORY_ERROR)
		return zk_fail(b->err, ZK_E_CONFIG, "not enough memory for '%s'",
		               b->f->shown);
	(void)zk_spot_fail(
	        b->err, ZK_E_CONFIG_SYNTAX,
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
		return zk_fail(b->err, ZK_E_CONFIG, "not enough memory for '%s'",
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

/* `~` or nothing at all where the document should be. */
static bool is_nothing(const struct zk_node *n)
{
	return n->kind == ZK_NODE_SCALAR && n->plain &&
	       (n->text.n == 0 || zk_str_eq(n->text, ZK_STR("~")));
}

static int build(struct zk_conf_file *f, struct zk_error *err)
{
	struct build b = { .f = f, .err = err };
	int r;

	zk_arena_init(&f->arena, 8u << 20);
	r = run_parser(&b);
	if (r < 0)
		return r;
	if (f->root && is_nothing(f->root))
		f->root = NULL;
	if (f->root && f->root->kind != ZK_NODE_MAP)
		return zk_spot_fail(err, ZK_E_CONFIG_SYNTAX, zk_spot_value(f, f->root),
		                    NULL, "the file must be a mapping of keys to values");
	return 0;
}

static struct zk_conf_file *new_file(const char *path)
{
	struct zk_conf_file *f = zk_new0(struct zk_conf_file);

	f->path = zk_strdup(path);
	f->shown = zk_path_shown(path);
	return f;
}

void zk_conf_file_free(struct zk_conf_file *f)
{
	if (!f)
		return;
	/* It may hold an inline secret. */
	if (f->text)
		zk_wipe(f->text, f->n);
	free(f->text);
	zk_arena_done(&f->arena);
	free(f->path);
	free(f->shown);
	free(f);
}

static void file_cleanup(struct zk_conf_file **f)
{
	zk_conf_file_free(*f);
}

int zk_conf_file_parse(const char *path, zk_str text, struct zk_conf_file **ret,
                       struct zk_error *err)
{
	ZK_CLEANUP(file_cleanup)
	struct zk_conf_file *f = new_file(path);

	if (text.n > ZK_CONF_FILE_MAX)
		return zk_fail(err, ZK_E_CONFIG, "the file '%s' is larger than %u KiB",
		               f->shown, ZK_CONF_FILE_MAX / 1024);
	if (zk_str_starts(text, ZK_STR("\xef\xbb\xbf")))
		text = zk_str_from(text, 3);
	f->text = zk_strndup(text.n ? text.p : "", text.n);
	f->n = text.n;
	if (build(f, err) < 0)
		return -(int)err->code;
	*ret = ZK_TAKE(f);
	return 0;
}

/* Everything of `fd` up to one byte more than the limit. */
static int read_all(int fd, struct zk_buf *b)
{
	for (;;) {
		char *p = zk_buf_reserve(b, 4096);
		ssize_t n;

		if (!p)
			return 0;
		n = read(fd, p, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		b->n += (size_t)n;
	}
}

static int read_file(int fd, struct zk_conf_file *seen, struct zk_buf *b,
                     struct zk_error *err)
{
	struct stat st;
	int e;

	if (fstat(fd, &st) < 0)
		return zk_fail_errno(err, ZK_E_CONFIG, errno, "cannot read '%s'",
		                     seen->shown);
	if (S_ISDIR(st.st_mode))
		return zk_fail(err, ZK_E_CONFIG, "'%s' is a folder, not a file",
		               seen->shown);
	seen->mode = st.st_mode & 07777;
	seen->owner = st.st_uid;
	e = read_all(fd, b);
	if (e)
		return zk_fail_errno(err, ZK_E_CONFIG, e, "cannot read '%s'",
		                     seen->shown);
	if (b->failed || b->n > ZK_CONF_FILE_MAX)
		return zk_fail(err, ZK_E_CONFIG, "the file '%s' is larger than %u KiB",
		               seen->shown, ZK_CONF_FILE_MAX / 1024);
	return 0;
}

int zk_conf_file_open(const char *path, enum zk_conf_place place,
                      struct zk_conf_file **ret, struct zk_error *err)
{
	ZK_CLEANUP(file_cleanup)
	struct zk_conf_file *seen = new_file(path);
	struct zk_conf_file *f = NULL;
	struct zk_buf b;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CONFIG, errno, "cannot read '%s'",
		                     seen->shown);
	zk_buf_init_secret(&b, ZK_CONF_FILE_MAX + 8192);
	r = read_file(fd, seen, &b, err);
	close(fd);
	if (r == 0)
		r = zk_conf_file_parse(path, zk_buf_str(&b), &f, err);
	zk_buf_done(&b);
	if (r < 0 || !f)
		return r;
	f->place = place;
	f->mode = seen->mode;
	f->owner = seen->owner;
	*ret = f;
	return 0;
}
