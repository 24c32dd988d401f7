/* Logins at the API.
 * Layer: jetstream. */
#include "jetstream/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/b64.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/loop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define SESSIONS_MAX  10
#define EARLY_S       600
#define ASIDE_MS      300000
#define LOGIN_MS      60000 /* at most one login in so long */
#define TIMEOUT_MS    10000
#define ANSWER_MAX    (1u << 20)
#define DEFAULT_PDS   "https://bsky.social"
#define DEFAULT_GRAZE "https://api.graze.social"

struct waiter {
	struct zk_list link;
	void (*fn)(void *ctx, bool ok);
	void *ctx;
};

struct zk_jet_session {
	struct zk_jet_sessions *all;
	char *access, *refresh, *pds, *handle;
	int64_t expires_s; /* of the access token, 0 = not known */
	int64_t aside_ms;  /* not used before */
	struct zk_list waiters;
	struct zk_http *http; /* a refresh or login is running */
	struct zk_timer *later;
	bool logging_in;
};

struct zk_jet_sessions {
	struct zk_net *net;
	char *pds, *identifier, *password, *graze_url, *graze_secret;
	struct zk_jet_session v[SESSIONS_MAX];
	size_t n, next;
	int64_t login_ms;     /* of the last login; 0 = none yet */
	struct zk_http *http; /* the credential service is asked */
	void (*started)(void *ctx, const struct zk_error *err);
	void *started_ctx;
};

static void log_in(struct zk_jet_session *s);
static void on_start_login(void *ctx, bool ok);

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

/* ---- texts ---- */

bool zk_jet_session_parse(zk_str text, struct zk_jet_session_text *ret)
{
	zk_str parts[6];
	size_t n = 0;

	while (n < ZK_ARRAY_LEN(parts)) {
		ptrdiff_t at = zk_str_find(text, ZK_STR(":::"));

		if (at < 0) {
			parts[n++] = text;
			break;
		}
		parts[n++] = zk_str_n(text.p, (size_t)at);
		text = zk_str_from(text, (size_t)at + 3);
	}
	if ((n != 4 && n != 5) || !parts[0].n ||
	    !zk_str_starts(parts[1], ZK_STR("did:")) || !parts[2].n || !parts[3].n)
		return false;
	*ret = (struct zk_jet_session_text){ parts[0], parts[1], parts[2], parts[3],
		                             n == 5 && parts[4].n ? parts[4]
		                                                  : ZK_STR(DEFAULT_PDS) };
	return true;
}

int64_t zk_jet_token_expiry(zk_str jwt)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	zk_str head, body, rest = zk_str_cut(jwt, '.', &head);
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("exp") } };
	struct zk_jscan js;
	int64_t v = 0;

	zk_buf_init_secret(&b, 65536);
	(void)zk_str_cut(rest, '.', &body);
	if (!rest.p || !zk_b64_decode(body, ZK_B64_URL, &b) ||
	    zk_jscan(zk_buf_str(&b), 16, want, 1, &js) < 0 ||
	    !zk_jnum_i64(want[0].val.raw, &v))
		return 0;
	return v;
}

static char *member(zk_str body, const char *path)
{
	struct zk_buf b;
	struct zk_jval v;
	struct zk_error ignored;

	if (!zk_jscan_get(body, zk_str_of(path), &v) || v.type != ZK_J_STRING)
		return NULL;
	zk_buf_init_secret(&b, 65536);
	if (zk_jstr_decode(v.raw, ZK_JLONE_ERROR, &b, &ignored) < 0 || b.failed) {
		zk_buf_done(&b);
		return NULL;
	}
	return zk_buf_take(&b);
}

/* ---- the list ---- */

struct zk_jet_sessions *zk_jet_sessions_new(struct zk_net *net,
                                            const struct zk_jet_sessions_conf *conf)
{
	struct zk_jet_sessions *s = zk_new0(struct zk_jet_sessions);

	s->net = net;
	s->pds = zk_strdup(conf->pds ? conf->pds : DEFAULT_PDS);
	s->identifier = copy(conf->identifier);
	s->password = copy(conf->password);
	s->graze_url = zk_strdup(conf->graze_url ? conf->graze_url : DEFAULT_GRAZE);
	s->graze_secret = copy(conf->graze_secret);
	if (conf->password)
		zk_redact_add(zk_str_of(conf->password));
	if (conf->graze_secret)
		zk_redact_add(zk_str_of(conf->graze_secret));
	return s;
}

static void done_session(struct zk_jet_session *s)
{
	if (s->http)
		zk_http_cancel(s->http);
	zk_timer_free(s->later);
	ZK_LIST_EACH (it, &s->waiters)
		free(ZK_LIST_ENTRY(it, struct waiter, link));
	zk_secret_free(s->access);
	zk_secret_free(s->refresh);
	free(s->pds);
	free(s->handle);
}

void zk_jet_sessions_free(struct zk_jet_sessions *s)
{
	if (!s)
		return;
	if (s->http)
		zk_http_cancel(s->http);
	for (size_t i = 0; i < s->n; i++)
		done_session(&s->v[i]);
	free(s->pds);
	free(s->identifier);
	zk_secret_free(s->password);
	free(s->graze_url);
	zk_secret_free(s->graze_secret);
	free(s);
}

static struct zk_jet_session *add(struct zk_jet_sessions *all)
{
	struct zk_jet_session *s = &all->v[all->n++];

	*s = (struct zk_jet_session){ .all = all };
	zk_list_init(&s->waiters);
	return s;
}

/* Takes the texts. */
static void set_tokens(struct zk_jet_session *s, char *access, char *refresh)
{
	zk_secret_free(s->access);
	zk_secret_free(s->refresh);
	s->access = access;
	s->refresh = refresh;
	zk_redact_add(zk_str_of(access));
	if (refresh)
		zk_redact_add(zk_str_of(refresh));
	s->expires_s = zk_jet_token_expiry(zk_str_of(access));
	s->aside_ms = 0;
}

size_t zk_jet_sessions_count(const struct zk_jet_sessions *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->v[i].access != NULL;
	return n;
}

const char *zk_jet_session_token(const struct zk_jet_session *s)
{
	return s->access;
}

const char *zk_jet_session_base(const struct zk_jet_session *s, const char *fallback)
{
	return s->pds ? s->pds : fallback;
}

static void on_early(void *ctx, bool ok)
{
	struct zk_jet_session *s = ctx;

	if (!ok)
		zk_warn("a session could not be refreshed, set aside for 5 minutes",
		        "handle=%s", s->handle ? s->handle : "");
}

struct zk_jet_session *zk_jet_sessions_next(struct zk_jet_sessions *all)
{
	int64_t now = zk_mono_ms();

	for (size_t i = 0; i < all->n; i++) {
		struct zk_jet_session *s = &all->v[all->next];

		all->next = (all->next + 1) % all->n;
		if (!s->access || now < s->aside_ms)
			continue;
		/* In time, while the old token still works. */
		if (s->expires_s && s->expires_s - zk_wall_us() / 1000000 < EARLY_S &&
		    zk_list_is_empty(&s->waiters))
			zk_jet_sessions_renew(all, s, on_early, s);
		return s;
	}
	return NULL;
}

/* ---- refreshing ---- */

static void tell(struct zk_jet_session *s, bool ok)
{
	struct zk_list *e;

	s->http = NULL;
	if (!ok)
		s->aside_ms = zk_mono_ms() + ASIDE_MS;
	while ((e = zk_list_pop(&s->waiters)) != NULL) {
		struct waiter *w = ZK_LIST_ENTRY(e, struct waiter, link);
		void (*fn)(void *ctx, bool) = w->fn;
		void *ctx = w->ctx;

		free(w);
		fn(ctx, ok);
	}
}

static void on_tokens(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_jet_session *s = ctx;
	struct zk_jscan js;
	char *access = NULL, *refresh = NULL;

	s->http = NULL;
	if (!err && res->status == 200 && zk_jscan(res->body, 64, NULL, 0, &js) == 0) {
		access = member(js.top.raw, "accessJwt");
		refresh = member(js.top.raw, "refreshJwt");
	}
	if (access) {
		set_tokens(s, access, refresh);
		tell(s, true);
		return;
	}
	zk_secret_free(refresh);
	zk_warn(s->logging_in ? "the login failed" : "the session could not be refreshed",
	        "status=%d", err ? err->http_status : res->status);
	/* A refresh token that is not taken any more: log in again. */
	if (!s->logging_in && !err && s->all->password &&
	    (res->status == 400 || res->status == 401)) {
		log_in(s);
		return;
	}
	tell(s, false);
}

static int post(struct zk_jet_session *s, const char *base, const char *method,
                const char *bearer, zk_str body, struct zk_error *err)
{
	char *url = zk_asprintf("%s/xrpc/com.atproto.server.%s", base, method);
	struct zk_http_conf conf = {
		.method = "POST",
		.url = url,
		.bearer = bearer,
		.body = body,
		.content_type = body.n ? "application/json" : NULL,
		.ctx = s,
		.max_body = ANSWER_MAX,
		.timeout_ms = TIMEOUT_MS,
		.target = method,
		.flags = ZK_HTTP_ANY_STATUS,
	};
	int r = zk_http_start(s->all->net, &conf, on_tokens, &s->http, err);

	free(url);
	return r;
}

static void on_login_time(void *ctx)
{
	log_in(ctx);
}

/* Never more than one a minute: the server allows 30 in five minutes, 300 a day. */
static void log_in(struct zk_jet_session *s)
{
	struct zk_jet_sessions *all = s->all;
	int64_t now = zk_mono_ms();
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;
	struct zk_error err = { 0 };

	zk_buf_init_secret(&b, 65536);
	if (all->login_ms && now - all->login_ms < LOGIN_MS) {
		if (!s->later)
			s->later = zk_timer_new(zk_net_loop(all->net), on_login_time, s);
		zk_timer_weak(s->later, true);
		zk_timer_start(s->later, LOGIN_MS - (now - all->login_ms), 0);
		return;
	}
	all->login_ms = now;
	s->logging_in = true;
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "identifier");
	zk_jw_cstr(&w, all->identifier);
	zk_jw_key(&w, "password");
	zk_jw_cstr(&w, all->password);
	zk_jw_obj_end(&w);
	if (post(s, all->pds, "createSession", NULL, zk_buf_str(&b), &err) < 0) {
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "cannot log in", &err);
		tell(s, false);
	}
}

void zk_jet_sessions_renew(struct zk_jet_sessions *all, struct zk_jet_session *s,
                           void (*fn)(void *ctx, bool ok), void *ctx)
{
	struct waiter *w = zk_new0(struct waiter);
	bool running = !zk_list_is_empty(&s->waiters);
	struct zk_error err = { 0 };

	w->fn = fn;
	w->ctx = ctx;
	zk_list_init(&w->link);
	zk_list_push(&s->waiters, &w->link);
	if (running)
		return;
	s->logging_in = false;
	if (!s->refresh) {
		log_in(s);
	} else if (post(s, s->pds ? s->pds : all->pds, "refreshSession", s->refresh,
	                ZK_STR_NULL, &err) < 0) {
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "cannot refresh the session", &err);
		tell(s, false);
	}
}

/* ---- starting ---- */

static void started(struct zk_jet_sessions *s, const struct zk_error *err)
{
	if (s->started)
		s->started(s->started_ctx, err);
	s->started = NULL;
}

static void on_start_login(void *ctx, bool ok)
{
	struct zk_jet_session *s = ctx;
	struct zk_error err = { 0 };

	if (ok) {
		started(s->all, NULL);
		return;
	}
	(void)zk_fail(&err, ZK_E_AUTH, "the login of '%s' is refused",
	              s->all->identifier);
	started(s->all, &err);
}

/* The strings in random order: at most ten are used. */
static void shuffle(zk_str *v, size_t n)
{
	struct zk_rand r;
	uint64_t seed;

	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&r, seed);
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)zk_rand_below(&r, i);
		zk_str t = v[i - 1];

		v[i - 1] = v[k];
		v[k] = t;
	}
}

static void add_string(struct zk_jet_sessions *all, const char *text)
{
	struct zk_jet_session_text t;
	struct zk_jet_session *s;

	if (!zk_jet_session_parse(zk_str_of(text), &t)) {
		zk_warn("a session string is malformed, skipped");
		return;
	}
	s = add(all);
	s->handle = zk_strndup(t.handle.p, t.handle.n);
	s->pds = zk_strndup(t.pds.p, t.pds.n);
	set_tokens(s, zk_strndup(t.access.p, t.access.n),
	           zk_strndup(t.refresh.p, t.refresh.n));
}

static void on_strings(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_jet_sessions *all = ctx;
	zk_str list[1000];
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v;
	struct zk_error why = { 0 };
	size_t n = 0;

	all->http = NULL;
	if (!err && res->status == 200 && zk_jscan(res->body, 64, NULL, 0, &js) == 0 &&
	    js.top.type == ZK_J_ARRAY) {
		zk_jiter_init(&it, js.top.raw);
		while (n < ZK_ARRAY_LEN(list) && zk_jiter_element(&it, &v))
			list[n++] = v.raw;
	}
	shuffle(list, n);
	for (size_t i = 0; i < n && all->n < SESSIONS_MAX; i++) {
		char *text = member(list[i], "session_string");

		if (text)
			add_string(all, text);
		zk_secret_free(text);
	}
	if (all->n) {
		started(all, NULL);
		return;
	}
	(void)zk_fail(&why,
	              !err && (res->status == 401 || res->status == 403) ? ZK_E_AUTH
	                                                                 : ZK_E_PROTOCOL,
	              "the credential service gave no session (HTTP %d)",
	              err ? err->http_status : res->status);
	started(all, &why);
}

static void ask_graze(struct zk_jet_sessions *s)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };
	struct zk_http_conf conf = { .ctx = s,
		                     .max_body = ANSWER_MAX,
		                     .timeout_ms = TIMEOUT_MS,
		                     .flags = ZK_HTTP_ANY_STATUS };

	zk_buf_init_secret(&b, 65536);
	zk_buf_printf(&b, "%s/app/api/v1/turbo-tokens/credentials?credential_secret=",
	              s->graze_url);
	zk_buf_percent(&b, zk_str_of(s->graze_secret));
	conf.url = zk_buf_cstring(&b);
	if (zk_http_start(s->net, &conf, on_strings, &s->http, &err) < 0)
		started(s, &err);
}

void zk_jet_sessions_start(struct zk_jet_sessions *s,
                           void (*fn)(void *ctx, const struct zk_error *err), void *ctx)
{
	s->started = fn;
	s->started_ctx = ctx;
	if (s->graze_secret) {
		ask_graze(s);
	} else {
		struct zk_jet_session *one = add(s);

		one->handle = copy(s->identifier);
		one->pds = copy(s->pds);
		zk_jet_sessions_renew(s, one, on_start_login, one);
	}
}
