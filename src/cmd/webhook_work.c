/* What is done with each received event.
 * Layer: cmd. */
#include "cmd/webhook_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/child.h"
#include "rt/out.h"
#include "zip/delivery.h"
#define ZK_LOGGER "webhook"
#include "base/log.h"

#include "base/ban.h"

#define ENV_MAX     8192
#define FORWARD_MS  30000
#define LETTER_ROOM 4096
#define OUTPUT_MAX  ((size_t)16 << 20) /* of a command, with --ordered */

struct hook_work {
	struct zk_app *app;
	struct hook_work_conf conf;
	struct zk_loop *loop;
	struct zk_net *net; /* with --forward */
	struct zk_out *out; /* when events are printed */
	struct zk_work *work;
	struct zk_hmac_key key;
	struct hook_item *held; /* printed as soon as stdout has room */
	struct zk_list order;   /* with opts.ordered: items in the order they came */
	struct hook_work_stats stats;
	int letters; /* descriptor of the dead letters, -1 = none */
};

static struct hook_item *item_of(struct zk_task *t)
{
	return ZK_CONTAINER_OF(t, struct hook_item, task);
}

/* ---- printing ------------------------------------------------------------------------------ */

static void print_item(struct hook_work *w, struct hook_item *item)
{
	struct zk_error err = { 0 };

	if (!w->conf.opts->deliveries && zk_out_row(w->out, item->json, &err) < 0) {
		w->conf.on_fatal(w->conf.ctx, &err);
		zk_work_end(&item->task, &err);
		return;
	}
	zk_work_end(&item->task, NULL);
}

static void start_print(struct hook_work *w, struct hook_item *item)
{
	if (zk_out_is_full(w->out))
		w->held = item;
	else
		print_item(w, item);
}

static void on_out_room(void *ctx)
{
	struct hook_work *w = ctx;
	struct hook_item *item = w->held;

	w->held = NULL;
	if (item)
		print_item(w, item);
}

void hook_work_print(struct hook_work *w, zk_str json)
{
	struct zk_error err = { 0 };

	if (w->out && zk_out_row(w->out, json, &err) < 0)
		w->conf.on_fatal(w->conf.ctx, &err);
}

bool hook_work_closed(const struct hook_work *w)
{
	return w->out && zk_out_closed(w->out);
}

/* ---- the end of an item --------------------------------------------------------------------- */

static void pass_on(struct hook_work *w, struct hook_item *item)
{
	struct zk_error err = { 0 };
	char *why = ZK_TAKE(item->why);

	zk_list_remove(&item->order);
	if (item->output.n && zk_out_text(w->out, zk_buf_str(&item->output), &err) < 0)
		w->conf.on_fatal(w->conf.ctx, &err);
	zk_buf_done(&item->output);
	w->conf.over(w->conf.ctx, item, (enum hook_end)item->end, why);
	free(why);
}

/* The owner gets it back, with --ordered when all that came before it are over. */
static void end_item(struct hook_work *w, struct hook_item *item, enum hook_end end,
                     const char *why)
{
	if (!w->conf.opts->ordered) {
		w->conf.over(w->conf.ctx, item, end, why);
		return;
	}
	item->end = (int)end;
	item->why = zk_strdup(why);
	while (!zk_list_is_empty(&w->order)) {
		struct hook_item *first =
		        ZK_LIST_ENTRY(w->order.next, struct hook_item, order);

		if (first->end < 0)
			break;
		pass_on(w, first);
	}
}

struct hook_copy {
	struct hook_item item;
	struct zk_buf texts[5];
	char json[];
};

struct hook_item *hook_item_new(zk_str json, zk_str id)
{
	struct hook_copy *c = zk_alloc0(sizeof(*c) + json.n);
	struct hook_item *item = &c->item;
	struct zk_zip_event ev = { 0 };

	memcpy(c->json, json.p, json.n);
	item->json = zk_str_n(c->json, json.n);
	(void)!zk_zip_event_read(item->json, &ev);
	for (size_t i = 0; i < ZK_ARRAY_LEN(c->texts); i++)
		zk_buf_init(&c->texts[i], 65536);
	zk_buf_add(&c->texts[0], id);
	item->id =
	        id.n ? zk_buf_str(&c->texts[0]) : zk_zip_event_text(&ev.id, &c->texts[0]);
	item->type = zk_zip_event_text(&ev.type, &c->texts[1]);
	item->workflow = zk_zip_event_text(&ev.workflow, &c->texts[2]);
	item->node = zk_zip_event_text(&ev.node, &c->texts[3]);
	item->session = zk_zip_event_text(&ev.session, &c->texts[4]);
	return item;
}

void hook_item_free(struct hook_item *item)
{
	struct hook_copy *c = ZK_CONTAINER_OF(item, struct hook_copy, item);

	for (size_t i = 0; i < ZK_ARRAY_LEN(c->texts); i++)
		zk_buf_done(&c->texts[i]);
	free(c);
}

/* ---- a command ----------------------------------------------------------------------------- */

static void on_command_end(void *ctx, const struct zk_child_result *res)
{
	struct hook_item *item = ctx;
	struct zk_error err = { 0 };

	item->child = NULL;
	zk_buf_clear(&item->output); /* that of an earlier attempt */
	zk_buf_add(&item->output, res->out);
	zk_work_end(&item->task, zk_work_child_error(res, &err));
}

/* "NAME=text", or "NAME" (removed) for what no variable can hold. */
static char *variable(const char *name, zk_str text)
{
	if (!text.n || text.n > ENV_MAX || memchr(text.p, '\0', text.n))
		return zk_strdup(name);
	return zk_asprintf("%s=%.*s", name, ZK_STR_ARG(text));
}

static void start_command(struct hook_work *w, struct hook_item *item)
{
	struct zk_error err = { 0 };
	char *env[] = {
		variable("ZK_EVENT_ID", item->id),
		variable("ZK_EVENT_TYPE", item->type),
		variable("ZK_EVENT_WORKFLOW", item->workflow),
		variable("ZK_EVENT_NODE", item->node),
		variable("ZK_EVENT_SESSION", item->session),
		zk_asprintf("ZK_EVENT_ATTEMPT=%u", item->attempts),
		NULL,
	};
	struct zk_child_conf conf = {
		.ctx = item,
		.shell = w->conf.opts->exec,
		.env = (const char *const *)env,
		.input = item->json,
		.out = w->conf.opts->ordered ? ZK_CHILD_COLLECT : ZK_CHILD_INHERIT,
		.out_cap = OUTPUT_MAX,
		.err = ZK_CHILD_INHERIT,
		.timeout_ms = w->conf.opts->exec_timeout_ms,
		.on_exit = on_command_end,
	};
	int r = zk_child_start(w->loop, &conf, &item->child, &err);

	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	if (r < 0) {
		err.retryable = true;
		zk_work_end(&item->task, &err);
	}
}

/* ---- posting on ---------------------------------------------------------------------------- */

/* What the other side refused for good is not sent again. */
static bool may_repeat(const struct zk_error *err)
{
	int s = err->http_status;

	return s < 400 || s >= 500 || s == 408 || s == 425 || s == 429;
}

static void on_forwarded(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct hook_item *item = ctx;

	(void)res;
	item->http = NULL;
	if (err)
		err->retryable = may_repeat(err);
	zk_work_end(&item->task, err);
}

/* A header line, or "" for a value that no header can hold. */
static void header(struct zk_buf *b, const char *name, zk_str value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return;
	if (value.n && value.n <= 512)
		zk_buf_printf(b, "%s: %.*s", name, ZK_STR_ARG(value));
}

static void start_forward(struct hook_work *w, struct hook_item *item)
{
	struct zk_error err = { 0 };
	struct zk_buf lines[3];
	const char *headers[4];
	size_t n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(lines); i++)
		zk_buf_init(&lines[i], 1024);
	header(&lines[0], "X-Zeal-Event", item->type);
	header(&lines[1], "X-Zeal-Event-Id", item->id);
	if (w->conf.secret.n) {
		zk_buf_lit(&lines[2], "X-Zeal-Signature: ");
		zk_zip_signature(&w->key, item->json, &lines[2]);
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(lines); i++)
		if (lines[i].n)
			headers[n++] = zk_buf_cstring(&lines[i]);
	headers[n] = NULL;

	struct zk_http_conf conf = {
		.method = "POST",
		.url = w->conf.opts->forward,
		.headers = headers,
		.body = item->json,
		.body_borrowed = true,
		.content_type = "application/json",
		.ctx = item,
		.max_body = 65536,
		.timeout_ms = FORWARD_MS,
		.flags = ZK_HTTP_TRUNCATE,
	};
	int r = zk_http_start(w->net, &conf, on_forwarded, &item->http, &err);

	for (size_t i = 0; i < ZK_ARRAY_LEN(lines); i++)
		zk_buf_done(&lines[i]);
	if (r < 0)
		zk_work_end(&item->task, &err);
}

/* ---- dead letters -------------------------------------------------------------------------- */

static void letter(struct hook_work *w, const struct hook_item *item, const char *why)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite j;

	zk_buf_init(&b, item->json.n + LETTER_ROOM);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	zk_jw_key(&j, "failed_at");
	zk_jw_time(&j, zk_wall_us());
	zk_jw_key(&j, "attempts");
	zk_jw_u64(&j, item->attempts);
	zk_jw_key(&j, "error");
	zk_jw_cstr(&j, why);
	zk_jw_key(&j, "event");
	zk_jw_raw(&j, item->json);
	zk_jw_obj_end(&j);
	zk_buf_char(&b, '\n');
	errno = zk_write_all(w->letters, zk_buf_str(&b));
	if (b.failed || errno || fdatasync(w->letters) < 0) {
		struct zk_error err = { 0 };

		(void)zk_fail_errno(&err, ZK_E_OUTPUT, errno,
		                    "cannot write to the dead letters '%s'",
		                    w->conf.opts->dead_letter);
		w->conf.on_fatal(w->conf.ctx, &err);
	}
}

/* ---- the stage ----------------------------------------------------------------------------- */

static void on_start(void *ctx, struct zk_task *t)
{
	struct hook_work *w = ctx;
	struct hook_item *item = item_of(t);

	item->attempts++;
	if (w->conf.opts->exec)
		start_command(w, item);
	else if (w->conf.opts->forward)
		start_forward(w, item);
	else
		start_print(w, item);
}

static void on_cancel(void *ctx, struct zk_task *t)
{
	struct hook_work *w = ctx;
	struct hook_item *item = item_of(t);

	if (item->child)
		zk_child_free(ZK_TAKE(item->child));
	if (item->http)
		zk_http_cancel(ZK_TAKE(item->http));
	if (w->held == item)
		w->held = NULL;
}

static void on_over(void *ctx, struct zk_task *t, const struct zk_error *err)
{
	struct hook_work *w = ctx;
	struct hook_item *item = item_of(t);

	if (err && err->code == ZK_E_INTERRUPTED) {
		end_item(w, item, HOOK_STOPPED, err->msg);
		return;
	}
	if (!err) {
		w->stats.done++;
		end_item(w, item, HOOK_DONE, "");
		return;
	}
	w->stats.failed++;
	zk_logerr("an event was given up", "type=%.*s id=%.*s attempts=%u reason=%s",
	          ZK_STR_ARG(item->type), ZK_STR_ARG(item->id), item->attempts, err->msg);
	if (w->letters >= 0)
		letter(w, item, err->msg);
	end_item(w, item, HOOK_FAILED, err->msg);
}

static void on_retry(void *ctx, struct zk_task *t, int64_t wait_ms)
{
	struct hook_work *w = ctx;
	struct hook_item *item = item_of(t);

	w->stats.retried++;
	zk_warn("an event is tried again", "type=%.*s id=%.*s wait_ms=%lld reason=%s",
	        ZK_STR_ARG(item->type), ZK_STR_ARG(item->id), (long long)wait_ms,
	        t->err.msg);
}

static void on_work_room(void *ctx)
{
	struct hook_work *w = ctx;

	if (w->conf.on_room)
		w->conf.on_room(w->conf.ctx);
}

static void on_work_idle(void *ctx)
{
	struct hook_work *w = ctx;

	if (w->conf.on_idle)
		w->conf.on_idle(w->conf.ctx);
}

static int open_out(struct hook_work *w, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .noun = "events",
		                                   .open = true };

	if ((w->conf.opts->exec && !w->conf.opts->ordered) || w->conf.opts->forward)
		return 0;
	w->out = zk_app_out_on_loop(w->app, on_out_room, w, err);
	return w->out ? zk_out_begin(w->out, &shape, err) : -(int)err->code;
}

static int open_letters(struct hook_work *w, struct zk_error *err)
{
	const char *path = w->conf.opts->dead_letter;

	if (!path)
		return 0;
	w->letters = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return w->letters < 0 ? zk_fail_errno(err, ZK_E_CREATE, errno,
	                                      "cannot open the dead letters '%s'", path)
	                      : 0;
}

int hook_work_check(const struct hook_work_opts *o, struct zk_error *err)
{
	if (o->exec && o->forward)
		return zk_fail(err, ZK_E_USAGE,
		               "--exec and --forward exclude each other");
	if (o->ordered && !o->exec)
		return zk_fail(err, ZK_E_USAGE, "--ordered belongs to --exec");
	return 0;
}

int hook_work_new(struct zk_app *app, const struct hook_work_conf *conf,
                  struct hook_work **ret, struct zk_error *err)
{
	struct hook_work *w = zk_new0(struct hook_work);
	struct zk_work_conf work = {
		.ctx = w,
		.jobs = (unsigned)conf->opts->jobs,
		.high = conf->high,
		.retry = { .max_retries = app->retry.retries,
		           .base_ms = app->retry.base_ms,
		           .cap_ms = app->retry.cap_ms,
		           .max_time_ms = app->retry.max_time_ms },
		.start = on_start,
		.cancel = on_cancel,
		.over = on_over,
		.on_retry = on_retry,
		.on_room = on_work_room,
		.on_idle = on_work_idle,
	};

	*w = (struct hook_work){ .app = app, .conf = *conf, .letters = -1 };
	zk_list_init(&w->order);
	w->loop = zk_app_loop(app, err);
	w->net = w->loop && conf->opts->forward ? zk_app_net(app, err) : NULL;
	if (!w->loop || (conf->opts->forward && !w->net) || open_out(w, err) < 0 ||
	    open_letters(w, err) < 0) {
		hook_work_free(w);
		return -(int)err->code;
	}
	if (conf->secret.n)
		zk_hmac_key_init(&w->key, conf->secret);
	w->work = zk_work_new(w->loop, &work);
	*ret = w;
	return 0;
}

void hook_work_free(struct hook_work *w)
{
	if (!w)
		return;
	zk_work_free(w->work);
	zk_hmac_key_done(&w->key);
	if (w->letters >= 0)
		close(w->letters);
	free(w);
}

bool hook_work_push(struct hook_work *w, struct hook_item *item)
{
	struct zk_jval v = { 0 };

	item->work = w;
	item->end = -1;
	zk_list_init(&item->order);
	zk_buf_init(&item->output, OUTPUT_MAX);
	if (w->conf.opts->ordered)
		zk_list_push(&w->order, &item->order);
	if (w->conf.opts->key)
		(void)!zk_jscan_get(item->json, zk_str_of(w->conf.opts->key), &v);
	return zk_work_push(w->work, &item->task, v.raw);
}

size_t hook_work_count(const struct hook_work *w)
{
	return zk_work_count(w->work);
}

void hook_work_hurry(struct hook_work *w)
{
	zk_work_hurry(w->work);
}

void hook_work_get_stats(const struct hook_work *w, struct hook_work_stats *ret)
{
	*ret = w->stats;
}
