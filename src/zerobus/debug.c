/* Debug files.
 * Layer: zerobus. specs/zerobus.md §16. */
#include "zerobus/debug.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/pb.h"
#include "zerobus/debug_file.h"
#include "zerobus/request.h"
#include "zerobus/schema.h"

#define ZK_LOGGER "zerobus"
#include "base/log.h"

#include "base/ban.h"

enum kind { ARROW, PROTO, JSON, N_KINDS };

/* A dictionary message that a new file needs. */
struct dict {
	int64_t id;
	char *bytes;
	size_t n;
};

struct zk_zb_debug {
	pthread_mutex_t lock;
	struct zk_zb_dfile *file[N_KINDS]; /* NULL = off */
	char *message;
	struct zk_error failure; /* the first; code 0 = none */
	/* Arrow: what a new file begins with. */
	struct zk_buf schema;
	struct dict *dicts;
	size_t n_dicts, room_dicts;
	/* Protobuf: of the active file; NULL = none yet. */
	struct zk_zb_kind *row_kind;
	struct zk_buf set;
};

static struct zk_zb_dfile *new_file(const struct zk_zb_debug_conf *conf, enum kind kind)
{
	static const struct {
		const char *folder, *ext, *twin;
	} kinds[] = { [ARROW] = { "arrow", "arrows", NULL },
		      [PROTO] = { "proto", "binpb", "pb" },
		      [JSON] = { "json", "ndjson", NULL } };
	ZK_CLEANUP(zk_freep)
	char *dir = zk_asprintf("%s/zerobus/%s", conf->dir, kinds[kind].folder);

	return zk_zb_dfile_new(&(struct zk_zb_dfile_conf){ .dir = dir,
	                                                   .base = conf->table,
	                                                   .ext = kinds[kind].ext,
	                                                   .twin = kinds[kind].twin,
	                                                   .max_bytes = conf->max_file,
	                                                   .keep = conf->keep });
}

struct zk_zb_debug *zk_zb_debug_new(const struct zk_zb_debug_conf *conf)
{
	struct zk_zb_debug *d = zk_new0(struct zk_zb_debug);

	(void)pthread_mutex_init(&d->lock, NULL);
	d->message = zk_strdup(conf->message);
	zk_buf_init(&d->schema, SIZE_MAX / 2);
	zk_buf_init(&d->set, (size_t)64 << 20);
	if (conf->arrow)
		d->file[ARROW] = new_file(conf, ARROW);
	if (conf->proto) {
		d->file[PROTO] = new_file(conf, PROTO);
		d->file[JSON] = new_file(conf, JSON);
	}
	return d;
}

/* One warning; the writer is off from now on. */
static void turn_off(struct zk_zb_debug *d, enum kind kind, const struct zk_error *err)
{
	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a debug file is given up", err);
	if (!d->failure.code)
		d->failure = *err;
	zk_zb_dfile_free(ZK_TAKE(d->file[kind]));
}

/* ---- a file ---- */

static int open_file(struct zk_zb_debug *d, enum kind kind, zk_str twin,
                     struct zk_error *err)
{
	bool other;

	if (zk_zb_dfile_open(d->file[kind], twin, &other, err) < 0)
		return -(int)err->code;
	if (other)
		zk_warn("another process writes the debug file, mine has my number",
		        "file=%s", zk_zb_dfile_path(d->file[kind]));
	return 0;
}

/* Every reader of streams knows that nothing follows. */
static int end_arrow(struct zk_zb_debug *d, struct zk_error *err)
{
	static const char marker[8] = "\xff\xff\xff\xff";

	return zk_zb_dfile_put(d->file[ARROW], zk_str_n(marker, sizeof(marker)), err);
}

static int rotate(struct zk_zb_debug *d, enum kind kind, struct zk_error *err)
{
	if (!zk_zb_dfile_is_open(d->file[kind]))
		return 0;
	if (kind == ARROW && end_arrow(d, err) < 0)
		return -(int)err->code;
	return zk_zb_dfile_rotate(d->file[kind], err);
}

/* ---- Arrow ---- */

static void drop_dicts(struct zk_zb_debug *d)
{
	while (d->n_dicts)
		free(d->dicts[--d->n_dicts].bytes);
}

/* A dictionary that replaces another makes its messages unnecessary. */
static void keep_dict(struct zk_zb_debug *d, const struct zk_zb_part *part)
{
	size_t n = 0;
	struct dict *k;

	for (size_t i = 0; i < d->n_dicts; i++) {
		if (!part->is_delta && d->dicts[i].id == part->dict_id)
			free(d->dicts[i].bytes);
		else
			d->dicts[n++] = d->dicts[i];
	}
	d->n_dicts = n;
	if (n == d->room_dicts) {
		d->room_dicts = n ? 2 * n : 8;
		d->dicts = zk_realloc(d->dicts, d->room_dicts * sizeof(*d->dicts));
	}
	k = &d->dicts[d->n_dicts++];
	k->id = part->dict_id;
	k->n = part->head.n + part->body.n;
	k->bytes = zk_alloc(k->n + 1);
	memcpy(k->bytes, part->head.p, part->head.n);
	if (part->body.n)
		memcpy(k->bytes + part->head.n, part->body.p, part->body.n);
}

static int put_part(struct zk_zb_debug *d, const struct zk_zb_part *part,
                    struct zk_error *err)
{
	if (zk_zb_dfile_put(d->file[ARROW], part->head, err) < 0)
		return -(int)err->code;
	return zk_zb_dfile_put(d->file[ARROW], part->body, err);
}

static int take_schema(struct zk_zb_debug *d, const struct zk_zb_part *part,
                       struct zk_error *err)
{
	bool same = zk_str_eq(zk_buf_str(&d->schema), part->head);

	drop_dicts(d);
	if (same)
		return 0;
	zk_buf_clear(&d->schema);
	zk_buf_add(&d->schema, part->head);
	return rotate(d, ARROW, err);
}

static int begin_arrow(struct zk_zb_debug *d, struct zk_error *err)
{
	if (zk_zb_dfile_is_full(d->file[ARROW]) && rotate(d, ARROW, err) < 0)
		return -(int)err->code;
	if (zk_zb_dfile_is_open(d->file[ARROW]))
		return 0;
	if (open_file(d, ARROW, ZK_STR_NULL, err) < 0 ||
	    zk_zb_dfile_put(d->file[ARROW], zk_buf_str(&d->schema), err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < d->n_dicts; i++)
		if (zk_zb_dfile_put(d->file[ARROW],
		                    zk_str_n(d->dicts[i].bytes, d->dicts[i].n), err) < 0)
			return -(int)err->code;
	return 0;
}

static int write_part(struct zk_zb_debug *d, const struct zk_zb_part *part,
                      struct zk_error *err)
{
	switch (part->what) {
	case ZK_ZB_RAW_SCHEMA:
		return take_schema(d, part, err);
	case ZK_ZB_RAW_DICTIONARY:
		keep_dict(d, part);
		return zk_zb_dfile_is_open(d->file[ARROW]) ? put_part(d, part, err) : 0;
	case ZK_ZB_RAW_BATCH:
		break;
	}
	if (begin_arrow(d, err) < 0)
		return -(int)err->code;
	return put_part(d, part, err);
}

void zk_zb_debug_part(struct zk_zb_debug *d, const struct zk_zb_part *part)
{
	struct zk_error err = { 0 };

	(void)pthread_mutex_lock(&d->lock);
	if (d->file[ARROW] && write_part(d, part, &err) < 0)
		turn_off(d, ARROW, &err);
	(void)pthread_mutex_unlock(&d->lock);
}

/* ---- payloads ---- */

/* What reads the payloads of this kind. */
static int describe(struct zk_zb_debug *d, struct zk_zb_kind *kind, struct zk_error *err)
{
	struct zk_zb_schema_conf conf = { .message = d->message };
	ZK_CLEANUP(zk_zb_schema_freep)
	struct zk_zb_schema *s = NULL;

	if (zk_zb_schema_of_descriptor(kind->descriptor, &conf, &s, err) < 0)
		return -(int)err->code;
	zk_buf_clear(&d->set);
	zk_zb_schema_set(s, &d->set);
	if (zk_buf_check(&d->set, err) < 0 || rotate(d, PROTO, err) < 0)
		return -(int)err->code;
	zk_zb_kind_unref(d->row_kind);
	d->row_kind = zk_zb_kind_ref(kind);
	return 0;
}

/* A place to write payloads to. */
static int begin_rows(struct zk_zb_debug *d, enum kind kind, struct zk_error *err)
{
	if (zk_zb_dfile_is_full(d->file[kind]) && rotate(d, kind, err) < 0)
		return -(int)err->code;
	if (zk_zb_dfile_is_open(d->file[kind]))
		return 0;
	return open_file(d, kind, zk_buf_str(&d->set), err);
}

static int put_proto(struct zk_zb_debug *d, zk_str payload, struct zk_error *err)
{
	char n[ZK_PB_VARINT_MAX];
	size_t len = (size_t)(zk_pb_write_varint(n, payload.n) - n);

	if (zk_zb_dfile_put(d->file[PROTO], zk_str_n(n, len), err) < 0)
		return -(int)err->code;
	return zk_zb_dfile_put(d->file[PROTO], payload, err);
}

static int put_json(struct zk_zb_debug *d, zk_str payload, struct zk_error *err)
{
	if (zk_zb_dfile_put(d->file[JSON], payload, err) < 0)
		return -(int)err->code;
	return zk_zb_dfile_put(d->file[JSON], ZK_STR("\n"), err);
}

static int write_rows(struct zk_zb_debug *d, enum kind kind,
                      const struct zk_zb_request *r, struct zk_error *err)
{
	struct zk_zb_cursor c = { 0 };

	if (kind == PROTO && (!d->row_kind || !zk_zb_kind_same(d->row_kind, r->kind)) &&
	    describe(d, r->kind, err) < 0)
		return -(int)err->code;
	while (zk_zb_request_next(r, &c)) {
		if (begin_rows(d, kind, err) < 0 ||
		    (kind == PROTO ? put_proto(d, c.payload, err)
		                   : put_json(d, c.payload, err)) < 0)
			return -(int)err->code;
	}
	return 0;
}

void zk_zb_debug_request(struct zk_zb_debug *d, const struct zk_zb_request *r)
{
	enum kind kind = r->kind->type == ZK_ZB_PROTO ? PROTO : JSON;
	struct zk_error err = { 0 };

	(void)pthread_mutex_lock(&d->lock);
	if (d->file[kind] && write_rows(d, kind, r, &err) < 0)
		turn_off(d, kind, &err);
	(void)pthread_mutex_unlock(&d->lock);
}

/* ---- all ---- */

void zk_zb_debug_flush(struct zk_zb_debug *d)
{
	struct zk_error err = { 0 };

	(void)pthread_mutex_lock(&d->lock);
	for (enum kind k = ARROW; k < N_KINDS; k++)
		if (d->file[k] && zk_zb_dfile_flush(d->file[k], &err) < 0)
			turn_off(d, k, &err);
	(void)pthread_mutex_unlock(&d->lock);
}

void zk_zb_debug_end(struct zk_zb_debug *d)
{
	struct zk_error err = { 0 };

	(void)pthread_mutex_lock(&d->lock);
	if (d->file[ARROW] && zk_zb_dfile_is_open(d->file[ARROW]) &&
	    end_arrow(d, &err) < 0)
		turn_off(d, ARROW, &err);
	(void)pthread_mutex_unlock(&d->lock);
	zk_zb_debug_flush(d);
	(void)pthread_mutex_lock(&d->lock);
	for (enum kind k = ARROW; k < N_KINDS; k++)
		zk_zb_dfile_free(ZK_TAKE(d->file[k]));
	(void)pthread_mutex_unlock(&d->lock);
}

bool zk_zb_debug_failed(struct zk_zb_debug *d, struct zk_error *ret)
{
	bool failed;

	(void)pthread_mutex_lock(&d->lock);
	failed = d->failure.code != 0;
	if (failed)
		*ret = d->failure;
	(void)pthread_mutex_unlock(&d->lock);
	return failed;
}

void zk_zb_debug_free(struct zk_zb_debug *d)
{
	if (!d)
		return;
	zk_zb_debug_end(d);
	drop_dicts(d);
	free(d->dicts);
	zk_buf_done(&d->schema);
	zk_buf_done(&d->set);
	zk_zb_kind_unref(d->row_kind);
	free(d->message);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}
