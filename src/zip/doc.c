/* Reading documents that users write.
 * Layer: zip. */
#include "zip/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#include "base/ban.h"

#define BYTES_MAX ((size_t)64 << 20)
#define ARENA_MAX ((size_t)512 << 20)
#define KEYS_MAX  1000000u
#define FILES_MAX 100000u

/* ---- which files ---- */

static bool is_document(zk_str name)
{
	static const zk_str ends[] = { ZK_STR_INIT(".json"), ZK_STR_INIT(".ndjson"),
		                       ZK_STR_INIT(".jsonl"), ZK_STR_INIT(".yaml"),
		                       ZK_STR_INIT(".yml") };

	for (size_t i = 0; i < ZK_ARRAY_LEN(ends); i++)
		if (name.n > ends[i].n && zk_str_ends(name, ends[i]))
			return true;
	return false;
}

static void add_path(struct zk_zip_paths *p, const char *path)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 16;
		p->v = zk_realloc(p->v, p->room * sizeof(*p->v));
	}
	p->v[p->n++] = zk_strdup(path);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* One entry of a folder. */
static int on_entry(FTS *tree, FTSENT *e, struct zk_zip_paths *ret, struct zk_error *err)
{
	if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
		return zk_fail_errno(err, ZK_E_NO_INPUT, e->fts_errno, "cannot read '%s'",
		                     e->fts_path);
	if (e->fts_level > 0 && e->fts_name[0] == '.') {
		(void)fts_set(tree, e, FTS_SKIP);
		return 0;
	}
	if (e->fts_info != FTS_F || !is_document(zk_str_of(e->fts_name)))
		return 0;
	if (ret->n >= FILES_MAX)
		return zk_fail(err, ZK_E_LIMIT, "more than %u files", FILES_MAX);
	add_path(ret, e->fts_path);
	return 0;
}

static int walk(char *folder, struct zk_zip_paths *ret, struct zk_error *err)
{
	char *roots[] = { folder, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	size_t before = ret->n;
	FTSENT *e;
	int r = 0;

	if (!tree)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'",
		                     folder);
	while (r == 0) {
		e = fts_read(tree);
		if (!e)
			break;
		r = on_entry(tree, e, ret, err);
	}
	(void)fts_close(tree);
	if (r == 0 && ret->n == before)
		return zk_fail(err, ZK_E_NO_INPUT,
		               "the folder '%s' holds no JSON or YAML file", folder);
	return r;
}

int zk_zip_paths_find(char *const *args, size_t n, struct zk_zip_paths *ret,
                      struct zk_error *err)
{
	*ret = (struct zk_zip_paths){ 0 };
	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (strcmp(args[i], "-") == 0) {
			add_path(ret, "-");
			continue;
		}
		if (stat(args[i], &st) < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read '%s'", args[i]);
		if (!S_ISDIR(st.st_mode))
			add_path(ret, args[i]);
		else if (walk(args[i], ret, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

void zk_zip_paths_done(struct zk_zip_paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i]);
	free(p->v);
	*p = (struct zk_zip_paths){ 0 };
}

/* ---- JSON ---- */

struct level {
	struct zk_jiter it;
	struct zk_node *node, *last;
};

struct reader {
	struct zk_conf_file *f;
	const struct zk_doc_rules *rules;
	struct zk_node *last_root;
	unsigned nodes;
	/* The place reached: positions only move forwards. */
	const char *at;
	unsigned line, col;
	struct level stack[ZK_DOC_DEPTH_MAX];
	unsigned depth;
	struct zk_error *err;
};

static void move_to(struct reader *r, const char *p)
{
	for (; r->at < p; r->at++) {
		if (*r->at == '\n') {
			r->line++;
			r->col = 1;
		} else if (((unsigned char)*r->at & 0xc0) != 0x80) {
			r->col++;
		}
	}
}

static struct zk_spot here(struct reader *r, const char *p)
{
	move_to(r, p);
	return (struct zk_spot){
		.file = r->f, .line = r->line, .col = r->col, .span = 1
	};
}

/* The text of a JSON string: a slice of the file, or decoded in the arena. */
static int take_text(struct reader *r, zk_str raw, zk_str *ret)
{
	struct zk_buf b;
	char *copy = NULL;

	if (zk_jstr_plain(raw, ret))
		return 0;
	zk_buf_init(&b, BYTES_MAX);
	if (zk_jstr_decode(raw, ZK_JLONE_ERROR, &b, r->err) < 0) {
		zk_buf_done(&b);
		return zk_spot_add(r->err, ZK_E_JSON, here(r, raw.p), NULL);
	}
	copy = zk_arena_strndup(&r->f->arena, b.p, b.n);
	*ret = zk_str_n(copy, b.n);
	zk_buf_done(&b);
	if (!copy)
		return zk_fail(r->err, ZK_E_LIMIT, "the file '%s' is too large",
		               r->f->shown);
	return 0;
}

static void link_node(struct reader *r, struct zk_node *n)
{
	struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;

	if (!top) {
		if (r->last_root)
			r->last_root->next = n;
		else
			r->f->root = n;
		r->last_root = n;
		return;
	}
	if (top->last)
		top->last->next = n;
	else
		top->node->first = n;
	top->last = n;
	top->node->n++;
}

static int too_many(struct reader *r, const char *p)
{
	return zk_spot_fail(r->err, ZK_E_LIMIT, here(r, p), NULL,
	                    "the file holds too many values");
}

static int add_value(struct reader *r, const struct zk_jval *v, zk_str key)
{
	struct zk_node *n = NULL;

	if (++r->nodes <= r->rules->nodes_max)
		n = zk_arena_alloc(&r->f->arena, sizeof(*n));
	if (!n)
		return too_many(r, v->raw.p);
	if (key.p) {
		move_to(r, key.p);
		n->key_line = r->line;
		n->key_col = r->col;
		n->key_span = (unsigned)zk_utf8_len(key);
		if (take_text(r, key, &n->key) < 0)
			return -(int)r->err->code;
	}
	move_to(r, v->raw.p);
	n->line = r->line;
	n->col = r->col;
	n->size = n->height = 1;
	n->kind = v->type == ZK_J_OBJECT  ? ZK_NODE_MAP
	          : v->type == ZK_J_ARRAY ? ZK_NODE_LIST
	                                  : ZK_NODE_SCALAR;
	n->plain = v->type != ZK_J_STRING;
	n->text = v->raw;
	if (v->type == ZK_J_STRING && take_text(r, v->raw, &n->text) < 0)
		return -(int)r->err->code;
	link_node(r, n);
	if (n->kind == ZK_NODE_SCALAR)
		return 0;
	n->text = ZK_STR_NULL;
	struct level *l = &r->stack[r->depth++]; /* jscan saw to the depth */

	*l = (struct level){ .node = n };
	zk_jiter_init(&l->it, v->raw);
	return 0;
}

/* A value that jscan accepted, as a further root. */
static int build(struct reader *r, const struct zk_jval *top)
{
	const struct zk_node *was;

	if (add_value(r, top, ZK_STR_NULL) < 0)
		return -(int)r->err->code;
	while (r->depth) {
		struct level *l = &r->stack[r->depth - 1];
		zk_str key = ZK_STR_NULL;
		struct zk_jval v;
		bool map = l->node->kind == ZK_NODE_MAP;

		if (map ? zk_jiter_member(&l->it, &key, &v)
		        : zk_jiter_element(&l->it, &v)) {
			if (add_value(r, &v, key) < 0)
				return -(int)r->err->code;
			continue;
		}
		if (map)
			(void)zk_doc_mark_again(l->node, &was);
		l->node->closed = true;
		r->depth--;
	}
	return 0;
}

static int fail_json(struct reader *r, zk_str part, const struct zk_jscan *js)
{
	(void)zk_fail(r->err, js->code, "%s", js->what);
	return zk_spot_add(r->err, js->code, here(r, part.p + js->offset), NULL);
}

/* One complete JSON value in `part` of the file. */
static int read_value(struct reader *r, zk_str part)
{
	struct zk_jscan js;

	if (zk_jscan(part, ZK_DOC_DEPTH_MAX, NULL, 0, &js) < 0)
		return fail_json(r, part, &js);
	return build(r, &js.top);
}

static int read_lines(struct reader *r)
{
	zk_str rest = zk_str_n(r->f->text, r->f->n), line;

	while (rest.n) {
		rest = zk_str_cut(rest, '\n', &line);
		if (zk_str_trim(line).n && read_value(r, line) < 0)
			return -(int)r->err->code;
	}
	return 0;
}

/* Whether the first line alone is a whole value, and there are others. */
static bool looks_like_lines(zk_str text)
{
	zk_str first, rest = zk_str_cut(text, '\n', &first);
	struct zk_jscan js;

	return zk_str_trim(rest).n &&
	       zk_jscan(first, ZK_DOC_DEPTH_MAX, NULL, 0, &js) == 0;
}

enum language { JSON, LINES, YAML };

static enum language language_of(zk_str name, zk_str text)
{
	zk_str start = zk_str_trim(zk_jscan_skip_bom(text));

	if (zk_str_ends(name, ZK_STR(".ndjson")) || zk_str_ends(name, ZK_STR(".jsonl")))
		return LINES;
	if (zk_str_ends(name, ZK_STR(".yaml")) || zk_str_ends(name, ZK_STR(".yml")))
		return YAML;
	if (!zk_str_ends(name, ZK_STR(".json")) &&
	    (!start.n || (start.p[0] != '{' && start.p[0] != '[')))
		return YAML;
	return looks_like_lines(start) ? LINES : JSON;
}

static void file_cleanup(struct zk_conf_file **f)
{
	zk_conf_file_free(*f);
}

static int parse_json(const char *name, zk_str text, const struct zk_doc_rules *rules,
                      bool lines, struct zk_conf_file **ret, struct zk_error *err)
{
	ZK_CLEANUP(file_cleanup)
	struct zk_conf_file *f = zk_conf_file_new(name);

	if (zk_doc_set_text(f, text, rules, err) < 0)
		return -(int)err->code;
	struct reader r = {
		.f = f, .rules = rules, .at = f->text, .line = 1, .col = 1, .err = err
	};

	if ((lines ? read_lines(&r) : read_value(&r, zk_str_n(f->text, f->n))) < 0)
		return -(int)err->code;
	*ret = ZK_TAKE(f);
	return 0;
}

int zk_zip_doc_parse(const char *name, zk_str text, unsigned nodes_max,
                     struct zk_conf_file **ret, struct zk_error *err)
{
	struct zk_doc_rules rules = {
		.bytes_max = BYTES_MAX,
		.arena_max = ARENA_MAX,
		.depth_max = ZK_DOC_DEPTH_MAX,
		.nodes_max = nodes_max,
		.keys_max = KEYS_MAX,
		.documents = true,
		.aliases = true,
		.duplicates = true,
		.merge_note = "write the members out",
		.syntax = ZK_E_YAML,
		.key = ZK_E_YAML,
		.limit = ZK_E_LIMIT,
		.size = ZK_E_LIMIT,
	};
	enum language language = language_of(zk_str_of(name), text);

	if (language == YAML)
		return zk_doc_parse(name, text, &rules, ret, err);
	return parse_json(name, text, &rules, language == LINES, ret, err);
}

static int read_all(int fd, const char *name, struct zk_buf *b, struct zk_error *err)
{
	for (;;) {
		char *p = zk_buf_reserve(b, 65536);
		ssize_t n;

		if (!p)
			return zk_fail(err, ZK_E_LIMIT, "'%s' is larger than %zu MiB",
			               name, BYTES_MAX >> 20);
		n = read(fd, p, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read '%s'", name);
		if (n == 0)
			return 0;
		b->n += (size_t)n;
	}
}

int zk_zip_doc_read(const char *path, unsigned nodes_max, struct zk_conf_file **ret,
                    struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "stdin" : path;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'", path);
	zk_buf_init(&b, BYTES_MAX + 65536);
	r = read_all(fd, name, &b, err);
	if (!is_stdin)
		(void)close(fd);
	if (r < 0)
		return r;
	return zk_zip_doc_parse(name, zk_buf_str(&b), nodes_max, ret, err);
}
