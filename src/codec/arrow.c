/* Arrow IPC: messages of a stream, blocks of a file.
 * Layer: codec. specs/zerobus.md §12.3, appendix B. */
#include "codec/arrow.h"

#include <stdlib.h>
#include <string.h>

#include "codec/arrow_int.h"
#include "codec/le.h"

#include "base/ban.h"

enum { MESSAGE_VERSION = 0, MESSAGE_KIND = 1, MESSAGE_HEADER = 2, MESSAGE_BODY = 3 };
enum {
	KIND_SCHEMA = 1,
	KIND_DICTIONARY = 2,
	KIND_BATCH = 3,
	KIND_TENSOR = 4,
	KIND_SPARSE = 5
};
enum {
	FOOTER_VERSION = 0,
	FOOTER_SCHEMA = 1,
	FOOTER_DICTIONARIES = 2,
	FOOTER_BATCHES = 3
};
#define VERSION_MIN 3 /* V4 */
#define VERSION_MAX 4 /* V5 */
#define MAGIC       "ARROW1"
#define MAGIC_N     6
/* A body is not believed to be this long before so much of it came. */
#define SCHEMA_FRONT 32u /* bytes of a Message table in front of a footer */
#define LEGACY_MAX   ((int32_t)16 << 20)
#define TRUST_BYTES  ((size_t)16 << 20)

enum state {
	AT_START,   /* nothing read: the magic of a file may come */
	AT_LENGTH,  /* between messages */
	AT_LENGTH2, /* behind the ffffffff */
	AT_META,
	AT_BODY,
	AT_REST, /* a file read from a pipe: behind the end marker */
};

struct block {
	int64_t at, body;
	int32_t meta;
};

struct zk_arrow {
	struct zk_arrow_conf conf;
	enum state state;
	bool is_file_in_pipe, any_schema, in_stream;
	struct zk_buf head; /* prefix and metadata */
	struct zk_buf body;
	size_t prefix, meta_n;
	uint64_t body_n, offset; /* offset: bytes taken */
	struct zk_arrow_owned_schema *schema;
	int version;
	struct zk_arrow_dicts dicts;
	struct zk_arrow_store store;
	struct zk_arrow_batch batch;
	uint64_t batches;
	/* A file. */
	bool opened;
	struct zk_buf footer;
	struct block *blocks;
	size_t n_blocks, n_dict_blocks, next_block;
};

struct zk_arrow *zk_arrow_new(const struct zk_arrow_conf *conf)
{
	struct zk_arrow *a = zk_new0(struct zk_arrow);

	a->conf = *conf;
	if (!a->conf.max_body || a->conf.max_body > SIZE_MAX / 4)
		a->conf.max_body = ZK_ARROW_BODY_MAX;
	zk_buf_init(&a->head, ZK_ARROW_META_MAX + 16);
	zk_buf_init(&a->body, (size_t)a->conf.max_body);
	zk_buf_init(&a->footer, ZK_ARROW_META_MAX);
	zk_buf_init(&a->store.plain, (size_t)a->conf.max_body);
	return a;
}

void zk_arrow_free(struct zk_arrow *a)
{
	if (!a)
		return;
	zk_arrow_dicts_done(&a->dicts);
	zk_arrow_store_done(&a->store);
	zk_arrow_schema_free(a->schema);
	zk_buf_done(&a->head);
	zk_buf_done(&a->body);
	zk_buf_done(&a->footer);
	free(a->blocks);
	free(a);
}

const struct zk_arrow_schema *zk_arrow_schema(const struct zk_arrow *a)
{
	return a->schema ? &a->schema->s : NULL;
}

const struct zk_arrow_batch *zk_arrow_batch(const struct zk_arrow *a)
{
	return &a->batch;
}

uint64_t zk_arrow_batches(const struct zk_arrow *a)
{
	return a->batches;
}

void zk_arrow_raw(const struct zk_arrow *a, zk_str *head, zk_str *body)
{
	*head = zk_buf_str(&a->head);
	*body = zk_buf_str(&a->body);
}

void zk_arrow_last_dict(const struct zk_arrow *a, int64_t *id, bool *is_delta)
{
	*id = a->dicts.last_id;
	*is_delta = a->dicts.last_delta;
}

/* ---- messages ---- */

static int cut(const struct zk_arrow *a, const char *where, struct zk_error *err)
{
	return zk_fail(err, ZK_E_ZB_CUT,
	               "the Arrow input is cut short %s, after %llu complete batches",
	               where, (unsigned long long)a->batches);
}

static int at_batch(const struct zk_arrow *a, struct zk_error *err)
{
	return zk_wrap(err, "batch %llu", (unsigned long long)a->batches);
}

static const struct zk_arrow_dict *find_dict(void *ctx, int64_t id)
{
	const struct zk_arrow_dict *d = zk_arrow_dict_find(ctx, id);

	return d && d->present ? d : NULL;
}

static int take_schema(struct zk_arrow *a, const struct zk_fb_table *t,
                       struct zk_error *err)
{
	struct zk_arrow_owned_schema *s;

	if (zk_arrow_schema_read(t, &s, err) < 0)
		return -(int)err->code;
	zk_arrow_dicts_done(&a->dicts);
	if (a->schema && zk_arrow_schema_same(&a->schema->s, &s->s)) {
		zk_arrow_schema_free(s);
	} else {
		zk_arrow_schema_free(a->schema);
		a->schema = s;
	}
	a->any_schema = a->in_stream = true;
	return zk_arrow_dicts_init(&a->dicts, &a->schema->s, err);
}

static int take_data(struct zk_arrow *a, unsigned kind, const struct zk_fb_table *t,
                     struct zk_error *err)
{
	struct zk_arrow_read rd = {
		.schema = &a->schema->s,
		.n_fields = a->schema->s.n_fields,
		.version = a->version,
		.max_body = a->conf.max_body,
		.body = zk_buf_str(&a->body),
		.store = &a->store,
		.dict = find_dict,
		.ctx = &a->dicts,
	};
	int64_t rows = 0;

	if (kind == KIND_DICTIONARY)
		return zk_arrow_dict_read(&a->dicts, &rd, t, err);
	if (zk_arrow_batch_read(&rd, t, &rows, err) < 0)
		return at_batch(a, err);
	a->batch.cols = (struct zk_arrow_cols){ .col = a->store.cols, .n = rd.n_fields };
	a->batch.n_rows = rows;
	a->batch.number = a->batches++;
	return 0;
}

/* The Message table of the metadata that was read. */
static int open_message(struct zk_arrow *a, struct zk_fb *fb, struct zk_fb_table *msg,
                        struct zk_error *err)
{
	int version;

	zk_fb_init(fb, zk_str_from(zk_buf_str(&a->head), a->prefix));
	zk_fb_root(fb, msg);
	version = zk_fb_i16(msg, MESSAGE_VERSION, 0);
	if (fb->bad)
		return zk_fail(err, ZK_E_ZB_ARROW,
		               "the metadata of a message is malformed: %s", fb->bad);
	if (version < VERSION_MIN || version > VERSION_MAX)
		return zk_fail(err, ZK_E_ZB_ARROW_FEATURE,
		               "the Arrow metadata has version V%d; V4 and V5 are read",
		               version + 1);
	a->version = version;
	return 0;
}

static int open_kind(struct zk_arrow *a, unsigned kind, struct zk_error *err)
{
	if (kind == KIND_TENSOR || kind == KIND_SPARSE)
		return zk_fail(err, ZK_E_ZB_ARROW_FEATURE,
		               "Arrow tensors are not supported");
	if (kind != KIND_SCHEMA && kind != KIND_DICTIONARY && kind != KIND_BATCH)
		return zk_fail(err, ZK_E_ZB_ARROW,
		               "an Arrow message of the unknown kind %u", kind);
	if (kind == KIND_SCHEMA || a->in_stream || a->conf.pread)
		return 0;
	(void)zk_fail(err, ZK_E_ZB_ARROW, "an Arrow batch comes before any schema");
	if (a->is_file_in_pipe)
		return zk_err_hint(
		        err, "this file has its schema at the end: give it as a FILE, "
		             "not through a pipe");
	return -(int)err->code;
}

/* Acts on the message in head and body. */
static int message(struct zk_arrow *a, enum zk_arrow_ev *ev, struct zk_error *err)
{
	struct zk_fb_table msg, header;
	struct zk_fb fb;
	unsigned kind;

	if (open_message(a, &fb, &msg, err) < 0)
		return -(int)err->code;
	kind = zk_fb_u8(&msg, MESSAGE_KIND, 0);
	zk_fb_sub(&msg, MESSAGE_HEADER, &header);
	if (!header.fb)
		return zk_fail(err, ZK_E_ZB_ARROW,
		               "the metadata of a message is malformed: %s",
		               fb.bad ? fb.bad : "it has no header");
	if (open_kind(a, kind, err) < 0)
		return -(int)err->code;
	*ev = kind == KIND_SCHEMA       ? ZK_ARROW_SCHEMA
	      : kind == KIND_DICTIONARY ? ZK_ARROW_DICTIONARY
	                                : ZK_ARROW_BATCH;
	return kind == KIND_SCHEMA ? take_schema(a, &header, err)
	                           : take_data(a, kind, &header, err);
}

/* ---- streams ---- */

/* Moves bytes from the chunk until the buffer holds `n`. */
static bool collect(struct zk_arrow *a, struct zk_buf *b, uint64_t n, zk_str *chunk)
{
	size_t take = (size_t)ZK_MIN(n - b->n, (uint64_t)chunk->n);

	zk_buf_put(b, chunk->p, take);
	*chunk = zk_str_from(*chunk, take);
	a->offset += take;
	return b->n == n;
}

/* Whether so many bytes may still come. */
static bool may_come(const struct zk_arrow *a, uint64_t n)
{
	return !a->conf.size || n <= a->conf.size - ZK_MIN(a->offset, a->conf.size);
}

static int not_arrow(struct zk_error *err)
{
	return zk_fail(err, ZK_E_ZB_NOT_ARROW, "the input is not Arrow IPC");
}

static int start_meta(struct zk_arrow *a, int32_t n, struct zk_error *err)
{
	bool known = a->any_schema || a->head.n > 4;

	if (n < 0 || (n > 0 && n < 8))
		return known ? zk_fail(err, ZK_E_ZB_ARROW,
		                       "the metadata of a message has the length %d", n)
		             : not_arrow(err);
	/* Text may look like the old framing, which has nothing but a length. */
	if (!known && (n % 4 || n > LEGACY_MAX))
		return not_arrow(err);
	if ((size_t)n > ZK_ARROW_META_MAX)
		return zk_fail(
		        err, ZK_E_ZB_ARROW_LIMIT,
		        "the metadata of a message has %d bytes, at most %zu are read", n,
		        ZK_ARROW_META_MAX);
	if (!may_come(a, (uint64_t)n))
		return cut(a, "in the metadata of a message", err);
	a->meta_n = (size_t)n;
	a->prefix = a->head.n;
	if (n == 0) {
		/* The end marker: another stream may follow. */
		a->in_stream = false;
		zk_buf_clear(&a->head);
		a->state = a->is_file_in_pipe ? AT_REST : AT_LENGTH;
		return 0;
	}
	a->state = AT_META;
	return 0;
}

static int start_body(struct zk_arrow *a, struct zk_error *err)
{
	struct zk_fb_table msg;
	struct zk_fb fb;
	int64_t n;

	if (open_message(a, &fb, &msg, err) < 0)
		return a->any_schema ? at_batch(a, err) : -(int)err->code;
	n = zk_fb_i64(&msg, MESSAGE_BODY, 0);
	if (n < 0) {
		(void)zk_fail(err, ZK_E_ZB_ARROW, "the body has the length %lld",
		              (long long)n);
		return at_batch(a, err);
	}
	if ((uint64_t)n > a->conf.max_body) {
		(void)zk_fail(err, ZK_E_ZB_ARROW_LIMIT,
		              "the body has %lld bytes, at most %llu are read "
		              "(--arrow-max-body)",
		              (long long)n, (unsigned long long)a->conf.max_body);
		return at_batch(a, err);
	}
	if (!may_come(a, (uint64_t)n))
		return cut(a, "in the body of a message", err);
	a->body_n = (uint64_t)n;
	zk_buf_clear(&a->body);
	if (n)
		(void)zk_buf_reserve(&a->body, ZK_MIN((size_t)n, TRUST_BYTES));
	a->state = AT_BODY;
	return 0;
}

static int step_length(struct zk_arrow *a, struct zk_error *err)
{
	uint32_t n = zk_le_u32(a->head.p + a->head.n - 4);

	if (a->state == AT_LENGTH && n == UINT32_MAX) {
		a->state = AT_LENGTH2;
		return 0;
	}
	return start_meta(a, (int32_t)n, err);
}

/* The first eight bytes may be those of a file. */
static bool step_start(struct zk_arrow *a, zk_str *chunk)
{
	size_t n = a->head.n < 4 ? 4 : 8;

	if (!collect(a, &a->head, n, chunk))
		return false;
	if (n == 4 && memcmp(a->head.p, MAGIC, 4) != 0) {
		a->state = AT_LENGTH;
	} else if (n == 8) {
		a->is_file_in_pipe = memcmp(a->head.p, MAGIC "\0", 8) == 0;
		a->state = AT_LENGTH;
		if (a->is_file_in_pipe)
			zk_buf_clear(&a->head);
	}
	return true;
}

/* How many bytes of the head the state wants. */
static size_t head_size(const struct zk_arrow *a)
{
	switch (a->state) {
	case AT_LENGTH:
		return 4;
	case AT_LENGTH2:
		return 8;
	case AT_META:
		return a->prefix + a->meta_n;
	case AT_START:
	case AT_BODY:
	case AT_REST:
		break;
	}
	return 0;
}

/* One step; *more when the chunk is used up. */
static int step(struct zk_arrow *a, zk_str *chunk, bool *more, bool *whole,
                struct zk_error *err)
{
	switch (a->state) {
	case AT_START:
		*more = !step_start(a, chunk);
		return 0;
	case AT_LENGTH:
	case AT_LENGTH2:
		*more = !collect(a, &a->head, head_size(a), chunk);
		return *more ? 0 : step_length(a, err);
	case AT_META:
		*more = !collect(a, &a->head, head_size(a), chunk);
		return *more ? 0 : start_body(a, err);
	case AT_BODY:
		*more = !collect(a, &a->body, a->body_n, chunk);
		*whole = !*more;
		return 0;
	case AT_REST:
		*chunk = zk_str_from(*chunk, chunk->n);
		*more = true;
		return 0;
	}
	return 0;
}

static int next_of_stream(struct zk_arrow *a, zk_str *chunk, enum zk_arrow_ev *ev,
                          struct zk_error *err)
{
	bool more = false, whole = false;

	if (a->state == AT_BODY && a->body.n == a->body_n && a->meta_n == 0) {
		/* The last message was handed out. */
		zk_buf_clear(&a->head);
		a->state = AT_LENGTH;
	}
	while (!whole) {
		if (step(a, chunk, &more, &whole, err) < 0)
			return -(int)err->code;
		if (more) {
			*ev = ZK_ARROW_MORE;
			return 0;
		}
	}
	a->meta_n = 0;
	return message(a, ev, err);
}

int zk_arrow_end(struct zk_arrow *a, struct zk_error *err)
{
	if (a->conf.pread || a->state == AT_REST)
		return 0;
	if (a->state == AT_BODY && a->meta_n)
		return cut(a, "in the body of a message", err);
	if (a->state == AT_META)
		return cut(a, "in the metadata of a message", err);
	if (a->state != AT_BODY && a->head.n)
		return a->any_schema || a->is_file_in_pipe
		               ? cut(a, "in the length of a message", err)
		               : not_arrow(err);
	if (!a->any_schema)
		return zk_fail(err, ZK_E_ZB_NOT_ARROW, "the Arrow input is empty");
	return 0;
}

/* ---- files ---- */

static int bad_footer(const char *what, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_ZB_ARROW, "the footer of the Arrow file is malformed: %s",
	              what);
	return zk_err_hint(err,
	                   "--from arrow-stream reads the messages from the beginning");
}

static int read_tail(struct zk_arrow *a, int32_t *footer_n, struct zk_error *err)
{
	uint64_t size = a->conf.size;
	char tail[10];

	if (size < MAGIC_N + 2 + 4 + MAGIC_N)
		return cut(a, "before its footer", err);
	if (a->conf.pread(a->conf.ctx, size - sizeof(tail), tail, sizeof(tail), err) < 0)
		return -(int)err->code;
	if (memcmp(tail + 4, MAGIC, MAGIC_N) != 0) {
		(void)zk_fail(err, ZK_E_ZB_CUT,
		              "the Arrow file has no footer: it was not closed, or is "
		              "cut short");
		return zk_err_hint(
		        err, "--from arrow-stream reads the messages that are there");
	}
	*footer_n = zk_le_i32(tail);
	if (*footer_n < 8 || (size_t)*footer_n > ZK_ARROW_META_MAX ||
	    (uint64_t)*footer_n > size - MAGIC_N - 2 - sizeof(tail))
		return bad_footer("its length is not possible", err);
	return 0;
}

static void add_blocks(struct zk_arrow *a, const struct zk_fb_vec *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		const uint8_t *p = zk_fb_at(v, i, 24);

		a->blocks[a->n_blocks++] = (struct block){ .at = zk_le_i64(p),
			                                   .meta = zk_le_i32(p + 8),
			                                   .body = zk_le_i64(p + 16) };
	}
}

/* The schema of a footer as the message that a stream begins with: offsets in a flatbuffer are
 * relative and point forward, so that a Message table is put in front of the footer as it is. */
static void head_of_footer(struct zk_arrow *a, uint32_t schema_at)
{
	static const uint8_t begin[SCHEMA_FRONT] = {
		16, 0, 0,  0,       /* root: the table at 16 */
		12, 0, 12, 0, 8, 0, /* its vtable: sizes; version */
		10, 0, 4,  0, 0, 0, /* header type, header, no body length */
		12, 0, 0,  0,       /* the table: the vtable stands 12 before */
	};
	size_t meta_n = (SCHEMA_FRONT + a->footer.n + 7) & ~(size_t)7;
	size_t pad = meta_n - SCHEMA_FRONT - a->footer.n;
	char *front;

	zk_buf_clear(&a->head);
	zk_buf_clear(&a->body);
	zk_buf_lit(&a->head, "\xff\xff\xff\xff\0\0\0\0");
	zk_buf_put(&a->head, (const char *)begin, sizeof(begin));
	zk_buf_add(&a->head, zk_buf_str(&a->footer));
	zk_buf_put(&a->head, "\0\0\0\0\0\0\0", pad);
	if (a->head.failed)
		return;
	zk_le_put32(a->head.p + 4, (uint32_t)meta_n);
	front = a->head.p + 8;
	zk_le_put32(front + 20, SCHEMA_FRONT + schema_at - 20);
	zk_le_put32(front + 24, (uint32_t)a->version | KIND_SCHEMA << 16);
}

static int read_footer(struct zk_arrow *a, struct zk_error *err)
{
	struct zk_fb_vec dictionaries, batches;
	struct zk_fb_table footer, schema;
	int32_t n = 0;
	struct zk_fb fb;
	char *p;

	if (read_tail(a, &n, err) < 0)
		return -(int)err->code;
	p = zk_buf_reserve(&a->footer, (size_t)n);
	if (!p)
		return zk_buf_check(&a->footer, err);
	if (a->conf.pread(a->conf.ctx, a->conf.size - 10 - (uint64_t)n, p, (size_t)n,
	                  err) < 0)
		return -(int)err->code;
	a->footer.n = (size_t)n;
	zk_fb_init(&fb, zk_buf_str(&a->footer));
	zk_fb_root(&fb, &footer);
	a->version = zk_fb_i16(&footer, FOOTER_VERSION, 0);
	zk_fb_sub(&footer, FOOTER_SCHEMA, &schema);
	zk_fb_vector(&footer, FOOTER_DICTIONARIES, 24, &dictionaries);
	zk_fb_vector(&footer, FOOTER_BATCHES, 24, &batches);
	if (fb.bad || !schema.fb)
		return bad_footer(fb.bad ? fb.bad : "it has no schema", err);
	if (a->version < VERSION_MIN || a->version > VERSION_MAX)
		return zk_fail(err, ZK_E_ZB_ARROW_FEATURE,
		               "the Arrow metadata has version V%d; V4 and V5 are read",
		               a->version + 1);
	a->blocks = zk_alloc_array((size_t)dictionaries.count + batches.count + 1,
	                           sizeof(*a->blocks));
	add_blocks(a, &dictionaries);
	a->n_dict_blocks = a->n_blocks;
	add_blocks(a, &batches);
	head_of_footer(a, schema.pos);
	return take_schema(a, &schema, err);
}

/* Exactly `n` bytes of the file into the empty buffer. */
static int read_into(struct zk_arrow *a, struct zk_buf *b, int64_t at, int64_t n,
                     struct zk_error *err)
{
	char *p;

	zk_buf_clear(b);
	if (!n)
		return 0;
	p = zk_buf_reserve(b, (size_t)n);
	if (!p)
		return zk_buf_check(b, err);
	if (a->conf.pread(a->conf.ctx, (uint64_t)at, p, (size_t)n, err) < 0)
		return -(int)err->code;
	b->n = (size_t)n;
	return 0;
}

static bool block_is_inside(const struct block *b, uint64_t size)
{
	return b->at >= 8 && b->meta >= 8 && b->body >= 0 && (uint64_t)b->at <= size &&
	       (uint64_t)b->meta <= size - (uint64_t)b->at &&
	       (uint64_t)b->body <= size - (uint64_t)b->at - (uint64_t)b->meta;
}

/* Reads the message of a block into head and body. */
static int read_block(struct zk_arrow *a, const struct block *b, struct zk_error *err)
{
	if (!block_is_inside(b, a->conf.size))
		return bad_footer("a block lies outside the file", err);
	if ((size_t)b->meta > ZK_ARROW_META_MAX || (uint64_t)b->body > a->conf.max_body)
		return zk_fail(
		        err, ZK_E_ZB_ARROW_LIMIT,
		        "a block of the file has %lld bytes, at most %llu are read "
		        "(--arrow-max-body)",
		        (long long)b->body, (unsigned long long)a->conf.max_body);
	if (read_into(a, &a->head, b->at, b->meta, err) < 0 ||
	    read_into(a, &a->body, b->at + b->meta, b->body, err) < 0)
		return -(int)err->code;
	a->prefix = zk_le_u32(a->head.p) == UINT32_MAX ? 8 : 4;
	return 0;
}

static int next_of_file(struct zk_arrow *a, enum zk_arrow_ev *ev, struct zk_error *err)
{
	bool is_dict = a->next_block < a->n_dict_blocks;

	if (!a->opened) {
		a->opened = true;
		*ev = ZK_ARROW_SCHEMA;
		return read_footer(a, err);
	}
	if (a->next_block == a->n_blocks) {
		*ev = ZK_ARROW_END;
		return 0;
	}
	if (read_block(a, &a->blocks[a->next_block++], err) < 0)
		return at_batch(a, err);
	if (message(a, ev, err) < 0)
		return -(int)err->code;
	if (*ev != (is_dict ? ZK_ARROW_DICTIONARY : ZK_ARROW_BATCH))
		return bad_footer("a block is not what the footer says", err);
	return 0;
}

int zk_arrow_next(struct zk_arrow *a, zk_str *chunk, enum zk_arrow_ev *ev,
                  struct zk_error *err)
{
	return a->conf.pread ? next_of_file(a, ev, err)
	                     : next_of_stream(a, chunk, ev, err);
}
