/* An inbox row as JSON (specs/triggers.md §5.7).
 * Layer: triggers. Pure; runs on the store's reading thread. */
#include "triggers/api.h"

#include "base/ban.h"

void zk_trig_time_json(struct zk_buf *b, int64_t us)
{
	char at[ZK_RFC3339_MAX];

	if (!us) {
		zk_buf_lit(b, "null");
		return;
	}
	zk_buf_char(b, '"');
	zk_buf_put(b, at, zk_format_rfc3339(us, at));
	zk_buf_char(b, '"');
}

void zk_trig_uuid_json(struct zk_buf *b, const zk_uuid *id)
{
	char text[ZK_UUID_TEXT];

	zk_uuid_format(id, text);
	zk_buf_char(b, '"');
	zk_buf_put(b, text, sizeof(text));
	zk_buf_char(b, '"');
}

static void text_or_null(struct zk_buf *b, zk_str s)
{
	if (s.p)
		zk_buf_json_str(b, s);
	else
		zk_buf_lit(b, "null");
}

void zk_trig_row_json(struct zk_buf *b, const struct zk_trig_row *row)
{
	const char *status = zk_trig_status_name(row->status);

	zk_buf_lit(b, "{\"id\":");
	zk_trig_uuid_json(b, &row->id);
	zk_buf_lit(b, ",\"type\":");
	zk_buf_json_str(b, row->type);
	zk_buf_lit(b, ",\"event_type\":");
	zk_buf_json_str(b, row->type);
	zk_buf_lit(b, ",\"payload\":");
	zk_buf_add(b, row->payload);
	zk_buf_lit(b, ",\"dedup_id\":");
	text_or_null(b, row->dedup_id);
	zk_buf_lit(b, ",\"status\":\"");
	zk_buf_cstr(b, status);
	zk_buf_lit(b, "\",\"delivery_status\":\"");
	zk_buf_cstr(b, status);
	zk_buf_lit(b, "\",\"attempts\":");
	zk_buf_i64(b, row->attempts);
	zk_buf_lit(b, ",\"response_status\":");
	if (row->response_status)
		zk_buf_i64(b, row->response_status);
	else
		zk_buf_lit(b, "null");
	zk_buf_lit(b, ",\"last_error\":");
	text_or_null(b, row->last_error);
	zk_buf_lit(b, ",\"created_at\":");
	zk_trig_time_json(b, row->created_us);
	zk_buf_lit(b, ",\"updated_at\":");
	zk_trig_time_json(b, row->updated_us);
	zk_buf_lit(b, ",\"next_attempt_at\":");
	zk_trig_time_json(b, row->next_attempt_us);
	zk_buf_lit(b, ",\"delivered_at\":");
	zk_trig_time_json(b, row->delivered_us);
	zk_buf_lit(b, ",\"acknowledged_at\":");
	zk_trig_time_json(b, row->acknowledged_us);
	zk_buf_char(b, '}');
}
