/* The stand-in: its token endpoint, and what it thinks of tokens.
 * Layer: zerobus. specs/zerobus.md §4.1, §19. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/jwrite.h"
#include "codec/uri.h"
#include "net/httpd.h"
#include "rt/loop.h"
#include "zerobus/fake_int.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)65536)

/* An answer that waits. */
struct late {
	struct zk_list link;
	struct zk_httpd_req *req;
	struct zk_timer *timer;
	int status;
	struct zk_buf body;
};

static const struct zk_zb_token_fault no_fault = { .life_ms = -1 };

static void reply(struct zk_httpd_req *req, int status, const struct zk_buf *body)
{
	zk_httpd_reply(req, status, ZK_STR("Content-Type: application/json\r\n"),
	               zk_buf_str(body));
}

static void answer_late(struct late *l)
{
	reply(l->req, l->status, &l->body);
	zk_list_remove(&l->link);
	zk_timer_free(l->timer);
	zk_buf_done(&l->body);
	free(l);
}

static void on_late(void *ctx)
{
	answer_late(ctx);
}

/* The table that the authorization details name. */
static char *table_of_form(zk_str form)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	zk_str raw = ZK_STR_NULL, path;
	struct zk_error err;

	zk_buf_init(&text, BODY_MAX);
	if (!zk_uri_query_find(form, ZK_STR("authorization_details"), &raw) ||
	    !zk_uri_decode(raw, ZK_URI_QUERY, &text) ||
	    zk_json_parse(zk_buf_str(&text), BODY_MAX, &j, &err) < 0 ||
	    zk_json_get_str(j, "2.object_full_path", &path, &err) < 0)
		return NULL;
	return zk_strndup(path.p, path.n);
}

/* The form as an object, for /stats. */
static void note_request(struct zk_zb_fake *f, zk_str form)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	zk_str rest = form, value, name;

	if (f->token_log.n + FAKE_ENTRY > FAKE_LOG_BYTES || form.n > FAKE_ENTRY / 8)
		return;
	zk_buf_init(&text, BODY_MAX);
	zk_jwrite_init(&w, &f->token_log);
	zk_jw_obj(&w);
	while (zk_uri_query_next(&rest, &name, &value, NULL)) {
		zk_buf_clear(&text);
		zk_jw_key_str(&w, name);
		if (zk_uri_decode(value, ZK_URI_QUERY, &text))
			zk_jw_str(&w, zk_buf_str(&text));
		else
			zk_jw_null(&w);
	}
	zk_jw_obj_end(&w);
	zk_buf_char(&f->token_log, ',');
}

static void put_token(struct zk_zb_fake *f, const struct zk_zb_token_fault *fault,
                      char *table, struct zk_buf *b)
{
	struct fake_token *t = zk_new0(struct fake_token);
	int64_t life = fault->life_ms >= 0 ? fault->life_ms : f->conf.token_ms;
	const char *quote = fault->quoted ? "\"" : "";
	char token[40];

	t->table = table;
	t->until_ms = zk_mono_ms() + life;
	(void)snprintf(token, sizeof(token), "fake-token-%" PRIu64, ++f->stats.tokens);
	(void)zk_map_set(&f->tokens, zk_str_of(token), t);
	zk_buf_printf(b, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\"", token);
	if (!fault->no_expiry)
		zk_buf_printf(b, ",\"expires_in\":%s%.3f%s", quote, (double)life / 1000,
		              quote);
	zk_buf_char(b, '}');
}

void zk_zb_fake_token(void *ctx, struct zk_httpd_req *req)
{
	struct zk_zb_fake *f = ctx;
	const struct zk_zb_token_fault *fault = &no_fault;
	char *table = table_of_form(zk_httpd_body(req));
	struct late *l = zk_new0(struct late);

	if (f->asked < f->plan.n_tokens)
		fault = &f->plan.tokens[f->asked];
	f->asked++;
	note_request(f, zk_httpd_body(req));
	zk_list_push(&f->late, &l->link);
	zk_buf_init(&l->body, BODY_MAX);
	l->req = req;
	l->status = fault->status ? fault->status : 200;
	if (!table) {
		zk_zb_fake_violate(f, "a token request without authorization_details");
		zk_buf_lit(&l->body, "{\"error\":\"invalid_request\"}");
		l->status = 400;
	} else if (fault->body[0] || fault->status) {
		zk_buf_cstr(&l->body, fault->body);
	} else {
		put_token(f, fault, ZK_TAKE(table), &l->body);
	}
	free(table);
	if (!fault->delay_ms) {
		answer_late(l);
		return;
	}
	l->timer = zk_timer_new(f->loop, on_late, l);
	zk_timer_start(l->timer, fault->delay_ms, 0);
}

const char *zk_zb_fake_judge_token(const struct fake_stream *s)
{
	static const zk_str bearer = ZK_STR_INIT("Bearer ");
	zk_str text = zk_buf_str(&s->token);
	const struct fake_token *t;

	if (!s->f->conf.auth)
		return NULL;
	if (!zk_str_starts(text, bearer))
		return "there is no bearer token";
	t = zk_map_get(&s->f->tokens, zk_str_from(text, bearer.n));
	if (!t)
		return "the token is not known";
	if (zk_mono_ms() >= t->until_ms)
		return "the token has expired";
	if (!zk_str_eq(zk_str_of(t->table), zk_buf_str(&s->header_table)))
		return "the token is for another table";
	return NULL;
}

void zk_zb_fake_tokens_done(struct zk_zb_fake *f)
{
	void *value;
	zk_str key;
	size_t pos = 0;

	/* Answered all the same: that is what releases a request. */
	ZK_LIST_EACH (it, &f->late)
		answer_late(ZK_LIST_ENTRY(it, struct late, link));
	while (zk_map_next(&f->tokens, &pos, &key, &value)) {
		struct fake_token *t = value;

		free(t->table);
		free(t);
	}
	zk_map_done(&f->tokens);
}
