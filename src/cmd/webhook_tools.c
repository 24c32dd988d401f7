/* `zk webhook verify|sign|send`.
 * Layer: cmd. specs/zeal-zip.md §8.3, §8.4. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "conf/secret.h"
#include "net/net.h"
#include "net/send.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "zip/delivery.h"

#include "base/ban.h"

struct sign_opts {
	struct zk_secret secret;
	const char *signature;
};

#define SECRET_ROW(T, more)                                                            \
	{                                                                              \
		.type = ZK_OPT_SECRET_REF, .name = "secret", .conf = "webhook.secret", \
		.off = offsetof(T, secret), .flags = (more),                           \
		.help = "the secret that deliveries are signed with"                   \
	}

static const struct zk_opt sign_rows[] = { SECRET_ROW(struct sign_opts, ZK_OPT_REQUIRED),
	                                   ZK_OPT_END };

static const struct zk_opt verify_rows[] = {
	SECRET_ROW(struct sign_opts, ZK_OPT_REQUIRED),
	{ .type = ZK_OPT_STR,
	  .name = "signature",
	  .meta = "sha256=HEX",
	  .off = offsetof(struct sign_opts, signature),
	  .flags = ZK_OPT_NO_CONF | ZK_OPT_REQUIRED,
	  .help = "what the header X-Zeal-Signature says" },
	ZK_OPT_END,
};

/* The key and the body, from FILE or stdin. */
static int load(struct zk_app *app, const struct zk_secret *secret, const char *path,
                struct zk_hmac_key *key, struct zk_buf *body, struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	struct zk_loop *loop = zk_app_loop(app, err);

	zk_buf_init_secret(&text, ZK_SECRET_MAX + 1);
	zk_buf_init(body, ZK_ZIP_DELIVERY_MAX);
	if (!loop || zk_secret_load(secret, &text, err) < 0 ||
	    zk_input_all(loop, path ? path : "-", body, err) < 0)
		return -(int)err->code;
	zk_hmac_key_init(key, zk_buf_str(&text));
	return 0;
}

static int sign_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct sign_opts *o = opts;
	struct zk_buf line ZK_CLEANUP(zk_buf_done);
	struct zk_hmac_key key = { 0 };
	struct zk_buf body;
	int r = load(app, &o->secret, argc ? argv[0] : NULL, &key, &body, err);

	zk_buf_init(&line, 256);
	if (r == 0) {
		zk_zip_signature(&key, zk_buf_str(&body), &line);
		zk_buf_char(&line, '\n');
		r = zk_print(zk_buf_str(&line), err);
	}
	zk_hmac_key_done(&key);
	zk_buf_done(&body);
	return r;
}

const struct zk_cmd zk_cmd_webhook_sign = {
	.path = "webhook sign",
	.args = "[FILE]",
	.max_args = 1,
	.help = "sign the body of a delivery",
	.examples = "zk webhook sign --secret-file whsec body.json",
	.args_help = "FILE    the body, byte for byte; without it, or with -: stdin",
	.output = "the value of the header X-Zeal-Signature",
	.exits = "0 · 66 · 78 no secret",
	.see = "zk webhook verify · zk webhook send",
	.opts = sign_rows,
	.opts_size = sizeof(struct sign_opts),
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = sign_run,
};

static int verify_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	const struct sign_opts *o = opts;
	struct zk_hmac_key key = { 0 };
	struct zk_buf body;
	int r = load(app, &o->secret, argc ? argv[0] : NULL, &key, &body, err);

	if (r == 0 &&
	    !zk_zip_signature_ok(&key, zk_str_of(o->signature), zk_buf_str(&body)))
		r = zk_fail(err, ZK_E_SIGNATURE,
		            "the body was not signed so with this secret");
	zk_hmac_key_done(&key);
	zk_buf_done(&body);
	return r;
}

const struct zk_cmd zk_cmd_webhook_verify = {
	.path = "webhook verify",
	.args = "[FILE]",
	.max_args = 1,
	.help = "check the signature of a delivery",
	.about = "The comparison takes the same time wherever the difference is.",
	.examples = "zk webhook verify --secret-file whsec --signature \"$sig\" < body",
	.args_help = "FILE    the body, byte for byte; without it, or with -: stdin",
	.output = "nothing; the exit status is the answer",
	.exits = "0 valid · 1 not valid · 66 · 78 no secret",
	.see = "zk webhook sign",
	.opts = verify_rows,
	.opts_size = sizeof(struct sign_opts),
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = verify_run,
};

/* ---- send ---------------------------------------------------------------------------------- */

struct send_opts {
	struct zk_secret secret;
	struct zk_strlist headers;
	const char *webhook_id;
	bool raw;
};

static const struct zk_opt send_rows[] = {
	SECRET_ROW(struct send_opts, 0),
	{ .type = ZK_OPT_LIST,
	  .name = "header",
	  .meta = "NAME=VALUE",
	  .off = offsetof(struct send_opts, headers),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "one more header; repeatable" },
	{ .type = ZK_OPT_STR,
	  .name = "webhook-id",
	  .meta = "ID",
	  .def = "00000000-0000-4000-8000-000000000000",
	  .off = offsetof(struct send_opts, webhook_id),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "what X-Zeal-Webhook-Id says" },
	{ .type = ZK_OPT_BOOL,
	  .name = "raw",
	  .off = offsetof(struct send_opts, raw),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "send the file even when it is no delivery" },
	ZK_OPT_END,
};

#define MAX_HEADERS 64

struct lines {
	const char *v[MAX_HEADERS + 5];
	struct zk_buf text[MAX_HEADERS + 5];
	size_t n;
};

static struct zk_buf *add_line(struct lines *l)
{
	struct zk_buf *b = &l->text[l->n];

	zk_buf_init_secret(b, 16384);
	l->n++;
	return b;
}

static int make_lines(const struct send_opts *o, zk_str secret, zk_str body, size_t count,
                      struct lines *l, struct zk_error *err)
{
	uint64_t rnd;

	zk_rand_secret(&rnd, sizeof(rnd));
	zk_buf_printf(add_line(l), "X-Zeal-Webhook-Id: %s", o->webhook_id);
	zk_buf_printf(add_line(l), "X-Zeal-Delivery-Id: del_%lld_%09llu",
	              (long long)(zk_wall_us() / 1000),
	              (unsigned long long)(rnd % 1000000000));
	zk_buf_printf(add_line(l), "X-Zeal-Event-Count: %zu", count);
	if (secret.n) {
		struct zk_buf *b = add_line(l);
		struct zk_hmac_key key;

		zk_hmac_key_init(&key, secret);
		zk_buf_lit(b, "X-Zeal-Signature: ");
		zk_zip_signature(&key, body, b);
		zk_hmac_key_done(&key);
	}
	if (o->headers.n > MAX_HEADERS)
		return zk_fail(err, ZK_E_USAGE, "more than %d headers", MAX_HEADERS);
	for (size_t i = 0; i < o->headers.n; i++) {
		zk_str name, value = zk_str_cut(zk_str_of(o->headers.v[i]), '=', &name);

		if (!name.n || !value.p)
			return zk_fail(err, ZK_E_USAGE,
			               "--header '%.*s' is no NAME=VALUE",
			               ZK_STR_ARG(name));
		zk_buf_printf(add_line(l), "%.*s: %.*s", ZK_STR_ARG(name),
		              ZK_STR_ARG(value));
	}
	for (size_t i = 0; i < l->n; i++)
		l->v[i] = zk_buf_cstring(&l->text[i]);
	l->v[l->n] = NULL;
	return 0;
}

/* How many events a delivery has. */
static int count_events(zk_str body, size_t *ret, struct zk_error *err)
{
	struct zk_zip_delivery d;
	struct zk_zip_event ev;

	*ret = 0;
	if (zk_zip_delivery_open(body, &d, err) < 0)
		return zk_err_hint(err, "send it all the same: --raw");
	while (zk_zip_delivery_next(&d, &ev))
		++*ret;
	return 0;
}

static int post(struct zk_app *app, const char *url, const struct lines *l, zk_str body,
                struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct zk_net *net = zk_app_net(app, err);
	struct zk_out *out = net ? zk_app_out(app, err) : NULL;
	struct zk_row row ZK_CLEANUP(zk_row_done);
	int64_t start = zk_mono_us();
	int status = 0;
	struct zk_send_conf conf = {
		.http = { .method = "POST",
		          .url = url,
		          .headers = l->v,
		          .body = body,
		          .content_type = "application/json",
		          /* Receivers tell events that come again by their ids. */
		          .flags = ZK_HTTP_IDEMPOTENT | ZK_HTTP_TRUNCATE },
		.retry = { .max_retries = app->retry.retries,
		           .base_ms = app->retry.base_ms,
		           .cap_ms = app->retry.cap_ms,
		           .max_time_ms = app->retry.max_time_ms },
	};

	zk_row_init(&row);
	if (!out || zk_send_wait(net, &conf, &status, NULL, err) < 0)
		return -(int)err->code;
	zk_row_i64(&row, "status", status);
	zk_row_i64(&row, "ms", (zk_mono_us() - start) / 1000);
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return ZK_EXIT_OK;
}

static int send_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct send_opts *o = opts;
	struct zk_buf secret ZK_CLEANUP(zk_buf_done);
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_loop *loop = zk_app_loop(app, err);
	struct lines l = { .n = 0 };
	size_t count = 0;
	int r = 0;

	zk_buf_init_secret(&secret, ZK_SECRET_MAX + 1);
	zk_buf_init(&body, ZK_ZIP_DELIVERY_MAX);
	if (!loop || zk_input_all(loop, argc > 1 ? argv[1] : "-", &body, err) < 0 ||
	    (!o->raw && count_events(zk_buf_str(&body), &count, err) < 0))
		return -(int)err->code;
	if (o->secret.kind != ZK_SECRET_NONE &&
	    zk_secret_load(&o->secret, &secret, err) < 0)
		return -(int)err->code;
	r = make_lines(o, zk_buf_str(&secret), zk_buf_str(&body), count, &l, err);
	if (r == 0)
		r = post(app, argv[0], &l, zk_buf_str(&body), err);
	for (size_t i = 0; i < l.n; i++)
		zk_buf_done(&l.text[i]);
	return r;
}

const struct zk_cmd zk_cmd_webhook_send = {
	.path = "webhook send",
	.args = "URL [FILE]",
	.min_args = 1,
	.max_args = 2,
	.help = "post a delivery, as the server would",
	.about = "For trying a receiver. The body goes out byte for byte.",
	.examples =
	        "zk webhook send http://localhost:3999/webhooks body.json --secret-file "
	        "whsec",
	.args_help = "URL     address of the receiver\n"
	             "FILE    the body; without it, or with -: stdin",
	.output = "status, ms",
	.exits = "0 taken · 65 no delivery · 69 refused · 75",
	.see = "zk webhook listen · zk webhook sign",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = send_rows,
	.opts_size = sizeof(struct send_opts),
	.complete_arg = "file",
	.run = send_run,
};
