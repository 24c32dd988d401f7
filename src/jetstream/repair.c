/* Repairing rows.
 * Layer: jetstream. */
#include "jetstream/repair.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "jetstream/filter.h"
#include "jetstream/item.h"

#include "base/ban.h"

#define PASSING  "('deadline','api_error','api_down','budget')"
#define TEXT_MAX (64u << 20)

#define WANT_POSTS                                                \
	(ZK_JET_WANT(ZK_JET_USER) | ZK_JET_WANT(ZK_JET_MENTION) | \
	 ZK_JET_WANT(ZK_JET_PARENT) | ZK_JET_WANT(ZK_JET_ROOT) |  \
	 ZK_JET_WANT(ZK_JET_QUOTE))
#define WANT_SUBJECT (ZK_JET_WANT(ZK_JET_SUBJECT_POST) | ZK_JET_WANT(ZK_JET_SUBJECT_USER))

int zk_jet_repair_count(struct zk_db *db, uint64_t *ret, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db,
	                  "SELECT count(DISTINCT record_id) FROM zk_unresolved WHERE "
	                  "reason IN " PASSING,
	                  &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	if (r == 1)
		*ret = (uint64_t)zk_col_i64(st, 0);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

/* ---- reading ---- */

struct loader {
	struct zk_db *db;
	struct zk_jet_hydrator *h;
	struct zk_stmt *row, *reasons;
	struct zk_jet_decoder decoder;
	struct zk_jet_mends *to;
};

/* The object that the row has for a lookup; false when it has none. */
static bool find_object(zk_str metadata, const struct zk_jet_lookup *l, struct zk_jval *v)
{
	static const char *const names[ZK_JET_ROLES] = {
		[ZK_JET_USER] = "user",
		[ZK_JET_MENTION] = "mentions",
		[ZK_JET_PARENT] = "parent_post",
		[ZK_JET_ROOT] = "reply_post",
		[ZK_JET_QUOTE] = "quote_post",
		[ZK_JET_SUBJECT_POST] = "subject_post",
		[ZK_JET_SUBJECT_USER] = "subject_user",
	};
	struct zk_jiter it;
	zk_str key;

	if (!zk_jscan_get(metadata, zk_str_of(names[l->role]), v) ||
	    v->type != ZK_J_OBJECT)
		return false;
	if (l->role != ZK_JET_MENTION)
		return true;
	zk_jiter_init(&it, v->raw);
	while (zk_jiter_member(&it, &key, v))
		if (zk_jstr_eq(key, l->id))
			return v->type == ZK_J_OBJECT;
	return false;
}

/* The reason of an id in the file; RESOLVED when it has none. */
static enum zk_jet_reason reason_of(struct loader *ld, int64_t id, zk_str what)
{
	enum zk_jet_reason found = ZK_JET_RESOLVED;
	struct zk_error ignored;

	zk_bind_i64(ld->reasons, 1, id);
	zk_bind_text(ld->reasons, 2, what);
	if (zk_stmt_step(ld->reasons, &ignored) == 1) {
		found = zk_jet_reason_parse(zk_col_text(ld->reasons, 0));
		zk_stmt_reset(ld->reasons);
	}
	return found == ZK_JET_REASONS ? ZK_JET_RESOLVED : found;
}

/* What is known is given to the caches; what is lacking for good keeps its reason; what was not
 * wanted then is not wanted now. */
static void prepare(struct loader *ld, struct zk_jet_mend *m, zk_str metadata)
{
	for (unsigned k = 0; k < m->item->n_lookups; k++) {
		struct zk_jet_lookup *l = &m->item->lookups[k];
		enum zk_jet_reason why = reason_of(ld, m->id, l->id);
		struct zk_jval v;

		if (zk_jet_reason_passes(why)) {
			l->peek = false;
			l->reason = ZK_JET_RESOLVED;
		} else if (why != ZK_JET_RESOLVED) {
			l->reason = why;
		} else if (m->envelope == ZK_JET_ENV_ZK) {
			l->peek = true;
			if (find_object(metadata, l, &v))
				zk_jet_hydrate_warm(ld->h, l->post, l->id, v.raw, 0);
		}
	}
}

static enum zk_jet_envelope envelope_of(zk_str metadata)
{
	struct zk_jval v;

	if (!metadata.n)
		return ZK_JET_ENV_RAW;
	return zk_jscan_get(metadata, ZK_STR("parent_post"), &v) ? ZK_JET_ENV_ZK
	                                                         : ZK_JET_ENV_RUST;
}

static int load_row(struct loader *ld, int64_t id, struct zk_error *err)
{
	static struct zk_jet_filter none;
	struct zk_jet_item_conf conf = { .wanted = WANT_POSTS, .filter = &none };
	struct zk_jet_mend *m;
	struct zk_jet_event e;
	struct zk_jval v;
	zk_str metadata;
	int r;

	zk_bind_i64(ld->row, 1, id);
	r = zk_stmt_step(ld->row, err);
	if (r < 0)
		return r;
	metadata = r == 1 ? zk_col_text(ld->row, 1) : ZK_STR_NULL;
	if (r == 0 || envelope_of(metadata) == ZK_JET_ENV_RAW ||
	    zk_jet_decode(&ld->decoder, zk_col_text(ld->row, 0), &e) != ZK_JET_ALIVE) {
		ld->to->passed_over++;
		zk_stmt_reset(ld->row);
		return 0;
	}
	if (zk_jscan_get(metadata, ZK_STR("subject_post"), &v) ||
	    zk_jscan_get(metadata, ZK_STR("subject_user"), &v))
		conf.wanted |= WANT_SUBJECT;
	m = zk_new0(struct zk_jet_mend);
	m->id = id;
	m->envelope = envelope_of(metadata);
	m->item = zk_jet_item_new(&e, e.raw, &conf);
	prepare(ld, m, metadata);
	/* At once: what the caches have now is what this row had. */
	zk_jet_hydrate(ld->h, m->item);
	zk_stmt_reset(ld->row);
	m->next = ld->to->list;
	ld->to->list = m;
	ld->to->n++;
	return 0;
}

static int load_rows(struct loader *ld, int64_t after, size_t max, struct zk_error *err)
{
	struct zk_stmt *ids;
	int r;

	if (zk_db_prepare(ld->db,
	                  "SELECT DISTINCT record_id FROM zk_unresolved WHERE "
	                  "record_id > ? AND reason IN " PASSING
	                  " ORDER BY record_id LIMIT ?",
	                  &ids, err) < 0)
		return -(int)err->code;
	zk_bind_i64(ids, 1, after);
	zk_bind_i64(ids, 2, (int64_t)max);
	while ((r = zk_stmt_step(ids, err)) == 1) {
		ld->to->last = zk_col_i64(ids, 0);
		r = load_row(ld, ld->to->last, err);
		if (r < 0)
			break;
	}
	zk_stmt_free(ids);
	return r;
}

int zk_jet_repair_load(struct zk_db *db, struct zk_jet_hydrator *h, int64_t after,
                       size_t max, struct zk_jet_mends *ret, struct zk_error *err)
{
	struct loader ld = { .db = db, .h = h, .to = ret };
	int r;

	*ret = (struct zk_jet_mends){ 0 };
	zk_jet_decoder_init(&ld.decoder, /* records */ true);
	r = zk_db_prepare(db, "SELECT message, message_metadata FROM records WHERE id=?",
	                  &ld.row, err);
	if (r == 0)
		r = zk_db_prepare(
		        db, "SELECT reason FROM zk_unresolved WHERE record_id=? AND id=?",
		        &ld.reasons, err);
	if (r == 0)
		r = load_rows(&ld, after, max, err);
	zk_stmt_free(ld.row);
	zk_stmt_free(ld.reasons);
	zk_jet_decoder_done(&ld.decoder);
	if (r < 0)
		zk_jet_mends_free(ret);
	return r;
}

void zk_jet_mends_free(struct zk_jet_mends *m)
{
	while (m->list) {
		struct zk_jet_mend *next = m->list->next;

		zk_jet_item_free(m->list->item);
		free(m->list);
		m->list = next;
	}
	m->n = 0;
}

/* ---- writing ---- */

struct writer {
	struct zk_stmt *row, *drop, *put;
	struct zk_buf text;
};

static int put_reasons(struct writer *w, const struct zk_jet_mend *m, bool *passing,
                       struct zk_error *err)
{
	zk_bind_i64(w->drop, 1, m->id);
	if (zk_stmt_run(w->drop, err) < 0)
		return -(int)err->code;
	for (unsigned k = 0; k < m->item->n_lookups; k++) {
		const struct zk_jet_lookup *l = &m->item->lookups[k];

		if (l->reason == ZK_JET_RESOLVED || l->peek)
			continue;
		*passing = *passing || zk_jet_reason_passes(l->reason);
		zk_bind_i64(w->put, 1, m->id);
		zk_bind_text(w->put, 2, l->id);
		zk_bind_text(w->put, 3, zk_str_of(zk_jet_reason_name(l->reason)));
		if (zk_stmt_run(w->put, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int store_row(struct writer *w, const struct zk_jet_mend *m, zk_str now,
                     struct zk_jet_repaired *sum, struct zk_error *err)
{
	bool passing = false;

	zk_buf_clear(&w->text);
	zk_jet_put_metadata(m->item, m->envelope, &w->text);
	if (zk_buf_check(&w->text, err) < 0)
		return -(int)err->code;
	zk_bind_text(w->row, 1, zk_buf_str(&w->text));
	zk_bind_i64(w->row, 2, m->item->hydration);
	zk_bind_text(w->row, 3, now);
	zk_bind_i64(w->row, 4, m->item->calls);
	zk_bind_i64(w->row, 5, m->id);
	if (zk_stmt_run(w->row, err) < 0 || put_reasons(w, m, &passing, err) < 0)
		return -(int)err->code;
	if (m->item->hydration == ZK_JET_FULL)
		sum->full++;
	else
		sum->partial++;
	sum->passing += passing;
	return 0;
}

static int prepare_writer(struct writer *w, struct zk_db *db, struct zk_error *err)
{
	const struct {
		const char *sql;
		struct zk_stmt **st;
	} rows[] = {
		{ "UPDATE records SET message_metadata=?, hydration=?, hydrated_at=?,"
		  " api_calls_count=api_calls_count+? WHERE id=?",
		  &w->row },
		{ "DELETE FROM zk_unresolved WHERE record_id=?", &w->drop },
		{ "INSERT INTO zk_unresolved VALUES(?,?,?)", &w->put },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (zk_db_prepare(db, rows[i].sql, rows[i].st, err) < 0)
			return -(int)err->code;
	return 0;
}

int zk_jet_repair_store(struct zk_db *db, const struct zk_jet_mends *m,
                        struct zk_jet_repaired *sum, struct zk_error *err)
{
	char text[ZK_RFC3339_MAX];
	zk_str now = zk_str_n(text, zk_format_rfc3339(zk_wall_us(), text));
	struct writer w = { 0 };
	int r;

	zk_buf_init(&w.text, TEXT_MAX);
	r = prepare_writer(&w, db, err);
	if (r == 0)
		r = zk_db_exec(db, "BEGIN IMMEDIATE", err);
	for (const struct zk_jet_mend *i = m->list; i && r == 0; i = i->next)
		r = store_row(&w, i, now, sum, err);
	if (r == 0)
		r = zk_db_exec(db, "COMMIT", err);
	if (r < 0)
		zk_db_rollback(db);
	zk_stmt_free(w.row);
	zk_stmt_free(w.drop);
	zk_stmt_free(w.put);
	zk_buf_done(&w.text);
	return r;
}
