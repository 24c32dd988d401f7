/* Bearer tokens: OAuth2 client credentials and token files.
 * Layer: net. specs/zerobus.md §4. */
#include "net/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/json.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/loop.h"

#define ZK_LOGGER "auth"
#include "base/log.h"

#include "base/ban.h"

#define BODY_MAX   ((size_t)1 << 20)
#define TOKEN_MAX  ((size_t)32 << 10)
#define DEFAULT_MS 3600000
#define AHEAD_MS   300000 /* before the end, at most a fifth of the life */
#define LEAD_MS    10000  /* random, so that many processes do not come together */
#define EVERY_MS   60000  /* unannounced lifetimes are not refreshed more often */
#define SHOWN      300

struct waiter {
	struct zk_list link;
	zk_auth_fn fn;
	void *ctx;
};

struct zk_auth {
	struct zk_net *net;
	struct zk_loop *loop;
	struct zk_auth_conf conf; /* own copies */
	char *basic;              /* "Authorization: Basic …" */
	struct zk_buf token;      /* empty = none */
	struct zk_buf refused;    /* the one that was refused last */
	int64_t made_ms, expires_ms;
	struct zk_list waiters, told; /* told: those who are being answered */
	struct zk_http *http;         /* a fetch is under way */
	struct zk_timer *refresh;
	struct zk_retry retry;
	bool telling; /* answers are on their way */
};

static void start_fetch(struct zk_auth *a);
static void tell(void *ctx);

/* ---- reading an answer ---- */

static int no_token(struct zk_error *err, const char *why)
{
	return zk_fail(err, ZK_E_ZB_TOKEN_ANSWER,
	               "the token endpoint gave no usable token: %s", why);
}

static bool is_token(zk_str t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f)
			return false;
	return t.n > 0 && t.n <= TOKEN_MAX;
}

/* Seconds as a number or as text; what is neither is not said. */
static int64_t life_of(const struct zk_json *j)
{
	struct zk_error ignored;
	zk_str text;
	double v = 0;

	if (zk_json_get_double(j, "expires_in", &v, &ignored) < 0 &&
	    (zk_json_get_str(j, "expires_in", &text, &ignored) < 0 ||
	     zk_parse_double(text, &v, &ignored) < 0))
		return 0;
	return v > 0 && v < 1e9 ? (int64_t)(v * 1000) : 0;
}

int zk_auth_parse(zk_str body, struct zk_buf *token, int64_t *ret_life_ms,
                  struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	zk_str t = ZK_STR_NULL, type = ZK_STR("Bearer");
	struct zk_error ignored;

	if (zk_json_parse(body, BODY_MAX, &j, &ignored) < 0)
		return no_token(err, "the answer is not JSON");
	if (zk_json_get_str(j, "access_token", &t, &ignored) < 0)
		return no_token(err, "there is no access_token");
	if (!is_token(t))
		return no_token(err,
		                "the access_token is empty, too long, or no plain text");
	if (zk_json_opt_str(j, "token_type", &type, &ignored) < 0 ||
	    !zk_str_eq_nocase(type, ZK_STR("Bearer")))
		return no_token(err, "it is not a Bearer token");
	zk_buf_add(token, t);
	*ret_life_ms = life_of(j);
	return 0;
}

/* ---- the token at hand ---- */

static bool is_good(const struct zk_auth *a)
{
	return a->token.n && zk_mono_ms() < a->expires_ms;
}

/* Takes `a->token` as new; `life_ms` 0 = not said. */
static void accept_token(struct zk_auth *a, int64_t life_ms)
{
	int64_t life = life_ms ? life_ms : DEFAULT_MS, wait;

	zk_redact_add(zk_buf_str(&a->token));
	a->made_ms = zk_mono_ms();
	a->expires_ms = a->made_ms + life;
	if (!a->conf.url) {
		a->expires_ms = INT64_MAX;
		return;
	}
	wait = life - ZK_MIN((int64_t)AHEAD_MS, life / 5) -
	       (int64_t)zk_rand_below(a->conf.rnd,
	                              ZK_MIN(LEAD_MS, (uint64_t)life / 20) + 1);
	if (!life_ms)
		wait = ZK_MAX(wait, (int64_t)EVERY_MS);
	zk_retry_init(&a->retry, &a->conf.retry, a->made_ms);
	zk_timer_start(a->refresh, ZK_MAX(wait, (int64_t)1), 0);
}

static void answer(struct zk_auth *a, const struct zk_error *err)
{
	struct zk_list *e;

	/* Those who come while the others are told wait for the next round. */
	while ((e = zk_list_pop(&a->waiters)) != NULL)
		zk_list_push(&a->told, e);
	while ((e = zk_list_pop(&a->told)) != NULL) {
		struct waiter *w = ZK_LIST_ENTRY(e, struct waiter, link);

		if (w->fn)
			w->fn(w->ctx, err ? NULL : zk_buf_cstring(&a->token), err);
		free(w);
	}
}

/* ---- fetching ---- */

static void add_words(const struct zk_http_res *res, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str name = ZK_STR_NULL, text = ZK_STR_NULL;
	struct zk_error ignored;

	if (zk_json_parse(res->body, BODY_MAX, &j, &ignored) < 0)
		return;
	ZK_IGNORE(zk_json_opt_str(j, "error", &name, &ignored) < 0); /* stays empty */
	ZK_IGNORE(zk_json_opt_str(j, "error_description", &text, &ignored) < 0);
	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "%.*s%s%.*s", (int)ZK_MIN(name.n, (size_t)64),
	              name.n ? name.p : "", text.n ? ": " : "",
	              (int)ZK_MIN(text.n, (size_t)SHOWN), text.n ? text.p : "");
	if (b.n) {
		struct zk_buf safe ZK_CLEANUP(zk_buf_done) = { 0 };

		zk_buf_init(&safe, 8192);
		zk_redact_into(&safe, zk_buf_str(&b));
		(void)zk_err_why(err, "%s", zk_buf_cstring(&safe));
	}
}

static void refused_by(struct zk_auth *a, const struct zk_http_res *res,
                       const struct zk_error *cause, struct zk_error *err)
{
	struct zk_buf url ZK_CLEANUP(zk_buf_done) = { 0 };
	int s = res->status;

	zk_buf_init(&url, 4096);
	zk_http_safe_url(a->conf.url, &url);
	if (cause && cause->retryable) {
		*err = *cause;
		(void)zk_wrap(err, "cannot get a token");
		err->retryable = true;
	} else if (s == 400 || s == 401 || s == 403) {
		(void)zk_fail(err, ZK_E_ZB_TOKEN,
		              "the token endpoint refused the client (HTTP %d)", s);
		add_words(res, err);
	} else if (s >= 300 && s < 500) {
		(void)zk_fail(err, ZK_E_ZB_TOKEN_URL,
		              "there is no token endpoint at %s (HTTP %d)",
		              zk_buf_cstring(&url), s);
		(void)zk_err_hint(err, "check --workspace-url");
	} else if (cause) {
		*err = *cause;
		(void)zk_wrap(err, "cannot get a token");
	} else {
		(void)no_token(err, "an unexpected HTTP status");
	}
	(void)zk_err_where(err, "POST %s", zk_buf_cstring(&url));
}

/* A refresh ahead of time failed: the old token serves as long as it lives. */
static void refresh_failed(struct zk_auth *a, const struct zk_error *err)
{
	int64_t wait = zk_retry_next(&a->retry, zk_mono_ms(), 0, a->conf.rnd);

	zk_info("a token could not be refreshed", "error=%s", err->msg);
	if (wait < 0) { /* a new series */
		zk_retry_init(&a->retry, &a->conf.retry, zk_mono_ms());
		wait = a->conf.retry.cap_ms;
	}
	zk_timer_start(a->refresh, ZK_MAX(wait, (int64_t)1000), 0);
}

static void on_answer(void *ctx, const struct zk_http_res *res, struct zk_error *cause)
{
	struct zk_auth *a = ctx;
	struct zk_error err = { 0 };
	struct zk_buf token;
	int64_t life = 0;
	bool good;

	a->http = NULL;
	zk_buf_init_secret(&token, TOKEN_MAX + 1);
	if (cause || res->status != 200)
		refused_by(a, res, cause, &err);
	else if (zk_auth_parse(res->body, &token, &life, &err) < 0)
		(void)zk_err_where(&err, "POST %s", a->conf.url);
	good = !err.code;
	if (a->conf.on_fetched)
		a->conf.on_fetched(a->conf.ctx, good);
	if (good) {
		zk_buf_clear(&a->token);
		zk_buf_add(&a->token, zk_buf_str(&token));
		accept_token(a, life);
	}
	zk_buf_done(&token);
	if (zk_list_is_empty(&a->waiters) && !good && is_good(a))
		refresh_failed(a, &err);
	answer(a, good || is_good(a) ? NULL : &err);
}

static void fetch_oauth(struct zk_auth *a, struct zk_error *err)
{
	const char *const headers[] = { a->basic, "Accept: application/json", NULL };
	struct zk_http_conf conf = {
		.method = "POST",
		.url = a->conf.url,
		.headers = headers,
		.content_type = "application/x-www-form-urlencoded",
		.body = zk_str_of(a->conf.form),
		.ctx = a,
		.max_body = BODY_MAX,
		.flags = ZK_HTTP_IDEMPOTENT | ZK_HTTP_1_1,
	};

	ZK_IGNORE(zk_http_start(a->net, &conf, on_answer, &a->http, err) <
	          0); /* in `err` */
}

static void read_token_file(struct zk_auth *a, struct zk_error *err)
{
	int fd = open(a->conf.file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = zk_alloc0(TOKEN_MAX + 2);
	ssize_t n = fd < 0 ? -1 : read(fd, text, TOKEN_MAX + 1);
	zk_str line;

	if (n < 0) {
		(void)zk_fail_errno(err, ZK_E_SECRET, errno,
		                    "cannot read the token file '%s'", a->conf.file);
	} else {
		(void)zk_str_cut(zk_str_n(text, (size_t)n), '\n', &line);
		line = zk_str_trim(line);
		if (!is_token(line))
			(void)zk_fail(err, ZK_E_SECRET, "the file '%s' holds no token",
			              a->conf.file);
		else if (zk_str_eq(line, zk_buf_str(&a->refused)))
			(void)zk_fail(
			        err, ZK_E_ZB_TOKEN,
			        "the service refused the token of '%s', and the file "
			        "has no other one",
			        a->conf.file);
		else {
			zk_buf_clear(&a->token);
			zk_buf_add(&a->token, line);
			accept_token(a, 0);
		}
	}
	if (fd >= 0)
		(void)close(fd);
	zk_wipe(text, TOKEN_MAX + 2);
	free(text);
}

static void start_fetch(struct zk_auth *a)
{
	struct zk_error err = { 0 };

	if (a->http)
		return;
	if (a->conf.file)
		read_token_file(a, &err);
	else if (a->conf.url)
		fetch_oauth(a, &err);
	else
		(void)zk_fail(&err, ZK_E_ZB_TOKEN, "the service refused the token");
	if (err.code || a->conf.file)
		answer(a, err.code ? &err : NULL);
}

static void on_refresh(void *ctx)
{
	start_fetch(ctx);
}

static void tell(void *ctx)
{
	struct zk_auth *a = ctx;

	a->telling = false;
	if (is_good(a))
		answer(a, NULL);
	else if (!zk_list_is_empty(&a->waiters))
		start_fetch(a);
}

/* ---- the owner's side ---- */

void zk_auth_get(struct zk_auth *a, zk_auth_fn fn, void *ctx)
{
	struct waiter *w = zk_new0(struct waiter);

	w->fn = fn;
	w->ctx = ctx;
	zk_list_push(&a->waiters, &w->link);
	if (!a->telling && (!a->http || is_good(a))) {
		a->telling = true;
		zk_loop_defer(a->loop, tell, a);
	}
}

static void forget(struct zk_list *list, const void *ctx)
{
	ZK_LIST_EACH (it, list) {
		struct waiter *w = ZK_LIST_ENTRY(it, struct waiter, link);

		if (w->ctx == ctx)
			w->fn = NULL;
	}
}

void zk_auth_cancel(struct zk_auth *a, void *ctx)
{
	forget(&a->waiters, ctx);
	forget(&a->told, ctx);
}

void zk_auth_refused(struct zk_auth *a, const char *token)
{
	if (!token || !zk_str_eq(zk_str_of(token), zk_buf_str(&a->token)))
		return;
	zk_buf_clear(&a->refused);
	zk_buf_add(&a->refused, zk_buf_str(&a->token));
	zk_buf_clear(&a->token);
	zk_timer_stop(a->refresh);
}

int64_t zk_auth_age_ms(const struct zk_auth *a)
{
	return a->token.n ? zk_mono_ms() - a->made_ms : INT64_MAX;
}

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

static char *make_basic(const struct zk_auth_conf *conf)
{
	struct zk_buf pair ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init_secret(&pair, 65536);
	zk_buf_init_secret(&b, 131072);
	zk_buf_printf(&pair, "%s:%s", conf->client_id, conf->client_secret);
	zk_buf_lit(&b, "Authorization: Basic ");
	zk_buf_base64(&b, zk_buf_str(&pair), /* url */ false, /* pad */ true);
	zk_redact_add(zk_str_of(conf->client_secret));
	return zk_buf_take(&b);
}

int zk_auth_new(struct zk_net *net, const struct zk_auth_conf *conf, struct zk_auth **ret,
                struct zk_error *err)
{
	struct zk_auth *a;

	if (!conf->file && !conf->token &&
	    (!conf->url || !conf->client_id || !conf->client_secret))
		return zk_fail(err, ZK_E_BUG, "a token needs a client or a file");
	a = zk_new0(struct zk_auth);
	a->net = net;
	a->loop = zk_net_loop(net);
	a->conf = *conf;
	a->conf.url = copy(conf->url);
	a->conf.form = copy(conf->form ? conf->form : "");
	a->conf.file = copy(conf->file);
	a->conf.client_id = a->conf.client_secret = a->conf.token = NULL;
	if (conf->url)
		a->basic = make_basic(conf);
	zk_buf_init_secret(&a->token, TOKEN_MAX + 1);
	zk_buf_init_secret(&a->refused, TOKEN_MAX + 1);
	zk_list_init(&a->waiters);
	zk_list_init(&a->told);
	a->refresh = zk_timer_new(a->loop, on_refresh, a);
	zk_timer_weak(a->refresh, true);
	if (conf->token) {
		zk_buf_cstr(&a->token, conf->token);
		accept_token(a, 0);
	}
	*ret = a;
	return 0;
}

void zk_auth_free(struct zk_auth *a)
{
	struct zk_list *e;

	if (!a)
		return;
	if (a->http)
		zk_http_cancel(a->http);
	zk_loop_forget(a->loop, tell, a);
	while ((e = zk_list_pop(&a->waiters)) != NULL ||
	       (e = zk_list_pop(&a->told)) != NULL)
		free(ZK_LIST_ENTRY(e, struct waiter, link));
	zk_timer_free(a->refresh);
	zk_buf_done(&a->token);
	zk_buf_done(&a->refused);
	zk_secret_free(a->basic);
	free((void *)a->conf.url);
	free((void *)a->conf.form);
	free((void *)a->conf.file);
	free(a);
}
