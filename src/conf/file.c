/* One YAML file as a tree of nodes: reading it.
 * Layer: conf. */
#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#include "base/ban.h"

static const struct zk_doc_rules config_rules = {
	.bytes_max = ZK_CONF_FILE_MAX,
	.arena_max = 8u << 20,
	.depth_max = ZK_CONF_DEPTH_MAX,
	.nodes_max = ZK_CONF_NODES_MAX,
	.keys_max = 4096,
	.merge_note = "use 'extends' of a profile",
	.syntax = ZK_E_CONFIG_SYNTAX,
	.key = ZK_E_CONFIG_KEY,
	.limit = ZK_E_CONFIG_SYNTAX,
	.size = ZK_E_CONFIG,
};

/* `~` or nothing at all where the document should be. */
static bool is_nothing(const struct zk_node *n)
{
	return n->kind == ZK_NODE_SCALAR && n->plain &&
	       (n->text.n == 0 || zk_str_eq(n->text, ZK_STR("~")));
}

struct zk_conf_file *zk_conf_file_new(const char *path)
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

int zk_doc_set_text(struct zk_conf_file *f, zk_str text, const struct zk_doc_rules *rules,
                    struct zk_error *err)
{
	if (text.n > rules->bytes_max)
		return zk_fail(err, rules->size, "the file '%s' is larger than %zu KiB",
		               f->shown, rules->bytes_max / 1024);
	if (zk_str_starts(text, ZK_STR("\xef\xbb\xbf")))
		text = zk_str_from(text, 3);
	f->text = zk_strndup(text.n ? text.p : "", text.n);
	f->n = text.n;
	zk_arena_init(&f->arena, rules->arena_max);
	return 0;
}

int zk_doc_parse(const char *path, zk_str text, const struct zk_doc_rules *rules,
                 struct zk_conf_file **ret, struct zk_error *err)
{
	ZK_CLEANUP(file_cleanup)
	struct zk_conf_file *f = zk_conf_file_new(path);

	if (zk_doc_set_text(f, text, rules, err) < 0 || zk_doc_build(f, rules, err) < 0)
		return -(int)err->code;
	if (f->root && !rules->documents && is_nothing(f->root))
		f->root = NULL;
	*ret = ZK_TAKE(f);
	return 0;
}

int zk_conf_file_parse(const char *path, zk_str text, struct zk_conf_file **ret,
                       struct zk_error *err)
{
	ZK_CLEANUP(file_cleanup)
	struct zk_conf_file *f = NULL;

	if (zk_doc_parse(path, text, &config_rules, &f, err) < 0)
		return -(int)err->code;
	ZK_ASSERT(f);
	if (f->root && f->root->kind != ZK_NODE_MAP)
		return zk_spot_fail(err, ZK_E_CONFIG_SYNTAX, zk_spot_value(f, f->root),
		                    NULL, "the file must be a mapping of keys to values");
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
	struct zk_conf_file *seen = zk_conf_file_new(path);
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
