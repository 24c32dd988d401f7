/* Plans of the stand-in.
 * Layer: zerobus. specs/zerobus.md §19. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/json.h"
#include "net/h2.h"
#include "zerobus/fake.h"

#include "base/ban.h"

#define PLAN_MAX ((size_t)1 << 20)

const struct zk_zb_fault zk_zb_no_fault = { .ack_every = 1,
	                                    .ack_limit = INT64_MAX,
	                                    .bad_ack = INT64_MIN,
	                                    .h2_code = ZK_H2_INTERNAL_ERROR };

static int get_text(const struct zk_json *j, const char *name, char *to, size_t room,
                    struct zk_error *err)
{
	zk_str s = ZK_STR_NULL;

	if (zk_json_opt_str(j, name, &s, err) < 0)
		return -(int)err->code;
	(void)snprintf(to, room, "%.*s", (int)ZK_MIN(s.n, room - 1), s.n ? s.p : "");
	return 0;
}

static int get_cut(const struct zk_json *j, struct zk_zb_fault *f, struct zk_error *err)
{
	static const char *const names[] = { "status", "reset", "goaway",
		                             "tcp",    "fin",   "silence" };
	zk_str s = ZK_STR("status");

	if (zk_json_opt_str(j, "cut", &s, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		if (zk_str_eq(s, zk_str_of(names[i]))) {
			f->cut = (enum zk_zb_cut)i;
			return 0;
		}
	return zk_fail(err, ZK_E_DATA,
	               "'cut' is status, reset, goaway, tcp, fin or silence");
}

static int check_names(const struct zk_json *j, const char *const *known,
                       struct zk_error *err)
{
	ZK_JSON_EACH(m, j)
	{
		bool found = false;

		for (size_t i = 0; known[i]; i++)
			found |= zk_str_eq(zk_json_key(m), zk_str_of(known[i]));
		if (!found)
			return zk_fail(err, ZK_E_DATA, "a plan has no member '%.*s'",
			               ZK_STR_ARG(zk_json_key(m)));
	}
	return 0;
}

static int read_numbers(const struct zk_json *j, struct zk_zb_fault *f,
                        struct zk_error *err)
{
	int64_t code = f->code, http = 0, every = 1, end = 0, close = 0;
	const struct {
		const char *name;
		int64_t *to;
		int64_t min, max;
	} numbers[] = {
		{ "code", &code, 0, 1000 },
		{ "http_status", &http, 0, 999 },
		{ "ack_every", &every, 1, INT64_MAX },
		{ "ack_delay_ms", &f->ack_delay_ms, 0, INT64_MAX },
		{ "ack_limit", &f->ack_limit, -1, INT64_MAX },
		{ "bad_ack", &f->bad_ack, INT64_MIN, INT64_MAX },
		{ "end_after", &end, 0, INT64_MAX },
		{ "close_after", &close, 0, INT64_MAX },
		{ "close_ms", &f->close_ms, -1, INT64_MAX },
		{ "head_ms", &f->head_ms, 0, INT64_MAX },
		{ "stall_ms", &f->stall_ms, 0, INT64_MAX },
		{ "h2_code", &f->h2_code, 0, UINT32_MAX },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(numbers); i++) {
		if (zk_json_opt_i64(j, numbers[i].name, numbers[i].to, err) < 0)
			return -(int)err->code;
		if (*numbers[i].to < numbers[i].min || *numbers[i].to > numbers[i].max)
			return zk_fail(err, ZK_E_DATA,
			               "the number '%s' of the plan is out of range",
			               numbers[i].name);
	}
	f->code = (int)code;
	f->http_status = (int)http;
	f->ack_every = (uint64_t)every;
	f->end_after = (uint64_t)end;
	f->close_after = (uint64_t)close;
	return 0;
}

static int read_fault(const struct zk_json *j, struct zk_zb_fault *f,
                      struct zk_error *err)
{
	static const char *const known[] = {
		"refuse",    "silent",      "code",     "text",      "http_status",
		"ack_every", "ack_limit",   "bad_ack",  "end_after", "ack_delay_ms",
		"cut",       "close_after", "close_ms", "poison",    "breaks_word",
		"blank_ack", "empty",       "garbage",  "head_ms",   "drops_unacked",
		"stall_ms",  "bytewise",    "h2_code",  NULL,
	};

	*f = zk_zb_no_fault;
	f->code = 14;
	if (zk_json_type(j) != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_DATA, "a plan is an array of objects");
	if (check_names(j, known, err) < 0 || read_numbers(j, f, err) < 0 ||
	    get_cut(j, f, err) < 0 ||
	    zk_json_opt_bool(j, "refuse", &f->refuse, err) < 0 ||
	    zk_json_opt_bool(j, "silent", &f->silent, err) < 0 ||
	    zk_json_opt_bool(j, "breaks_word", &f->breaks_word, err) < 0 ||
	    zk_json_opt_bool(j, "drops_unacked", &f->drops_unacked, err) < 0 ||
	    zk_json_opt_bool(j, "blank_ack", &f->blank_ack, err) < 0 ||
	    zk_json_opt_bool(j, "empty", &f->empty, err) < 0 ||
	    zk_json_opt_bool(j, "garbage", &f->garbage, err) < 0 ||
	    zk_json_opt_bool(j, "bytewise", &f->bytewise, err) < 0 ||
	    get_text(j, "text", f->text, sizeof(f->text), err) < 0)
		return -(int)err->code;
	return get_text(j, "poison", f->poison, sizeof(f->poison), err);
}

static int read_token(const struct zk_json *j, struct zk_zb_token_fault *f,
                      struct zk_error *err)
{
	static const char *const known[] = { "status", "body",   "delay_ms", "life_ms",
		                             "quoted", "expiry", NULL };
	int64_t status = 0;
	bool expiry = true;

	*f = (struct zk_zb_token_fault){ .life_ms = -1 };
	if (zk_json_type(j) != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_DATA, "a plan of tokens is an array of objects");
	if (check_names(j, known, err) < 0 ||
	    zk_json_opt_i64(j, "status", &status, err) < 0 ||
	    zk_json_opt_i64(j, "delay_ms", &f->delay_ms, err) < 0 ||
	    zk_json_opt_i64(j, "life_ms", &f->life_ms, err) < 0 ||
	    zk_json_opt_bool(j, "quoted", &f->quoted, err) < 0 ||
	    zk_json_opt_bool(j, "expiry", &expiry, err) < 0 ||
	    get_text(j, "body", f->body, sizeof(f->body), err) < 0)
		return -(int)err->code;
	if (status && (status < 200 || status > 599))
		return zk_fail(err, ZK_E_DATA, "a number of the plan is out of range");
	f->status = (int)status;
	f->no_expiry = !expiry;
	return 0;
}

static int read_streams(const struct zk_json *j, struct zk_zb_fake_plan *p,
                        struct zk_error *err)
{
	if (zk_json_type(j) != ZK_J_ARRAY || zk_json_count(j) == 0)
		return zk_fail(err, ZK_E_DATA, "a plan is an array of objects");
	p->streams = zk_alloc_array(zk_json_count(j), sizeof(*p->streams));
	ZK_JSON_EACH(one, j)
	{
		if (read_fault(one, &p->streams[p->n_streams], err) < 0)
			return zk_wrap(err, "stream %zu of the plan", p->n_streams);
		p->n_streams++;
	}
	return 0;
}

static int read_tokens(const struct zk_json *j, struct zk_zb_fake_plan *p,
                       struct zk_error *err)
{
	if (zk_json_type(j) != ZK_J_ARRAY || zk_json_count(j) == 0)
		return zk_fail(err, ZK_E_DATA, "a plan of tokens is an array of objects");
	p->tokens = zk_alloc_array(zk_json_count(j), sizeof(*p->tokens));
	ZK_JSON_EACH(one, j)
	{
		if (read_token(one, &p->tokens[p->n_tokens], err) < 0)
			return zk_wrap(err, "token %zu of the plan", p->n_tokens);
		p->n_tokens++;
	}
	return 0;
}

static int read_both(const struct zk_json *j, struct zk_zb_fake_plan *p,
                     struct zk_error *err)
{
	static const char *const known[] = { "streams", "tokens", NULL };

	if (check_names(j, known, err) < 0)
		return -(int)err->code;
	ZK_JSON_EACH(m, j)
	{
		int r = zk_str_eq(zk_json_key(m), ZK_STR("tokens"))
		                ? read_tokens(m, p, err)
		                : read_streams(m, p, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int zk_zb_plan_parse(zk_str json, struct zk_zb_fake_plan *ret, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	struct zk_zb_fake_plan p = { 0 };
	int r;

	if (zk_json_parse(json, PLAN_MAX, &j, err) < 0)
		return -(int)err->code;
	r = zk_json_type(j) == ZK_J_OBJECT ? read_both(j, &p, err)
	                                   : read_streams(j, &p, err);
	if (r < 0)
		zk_zb_plan_done(&p);
	else
		*ret = p;
	return r;
}

void zk_zb_plan_done(struct zk_zb_fake_plan *p)
{
	free(p->streams);
	free(p->tokens);
	*p = (struct zk_zb_fake_plan){ 0 };
}
