/* `zk webhook listen`.
 * Layer: cmd. specs/zeal-zip.md §8.4, §9. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "cmd/events_ops.h"
#include "cmd/webhook.h"
#include "cmd/webhook_reg.h"
#include "cmd/webhook_work.h"
#include "cmd/zeal.h"
#include "codec/expr.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "rt/stop.h"
#include "zip/hook_store.h"
#include "zip/hookd.h"
#include "zip/event_type.h"
#define ZK_LOGGER "webhook"
#include "base/log.h"

#include "base/ban.h"

#define PAGE 200

struct listen_opts {
	struct zeal_opts zeal;
	struct hook_work_opts work;
	struct events_ops_opts ops;
	const char *listen, *path, *public_url, *ns, *header_check, *store;
	struct zk_strlist events;
	struct zk_secret secret;
	bool raw_patterns, do_register, insecure;
	uint64_t queue;
	int64_t keep_ms;
};

struct listen {
	struct zk_app *app;
	const struct listen_opts *o;
	struct zeal zeal;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_zip_hookd *hookd;
	struct zk_zip_hook_store *store;
	struct hook_work *work;
	struct hook_reg *reg;
	struct zk_expr *filter;
	struct events_ops_opts ops_opts;
	struct events_ops *ops;
	struct zk_buf secret;
	char *check_name, *check_value;
	struct zk_error err; /* why it ended; code 0 = as asked */
	uint64_t lost;       /* accepted, not done, and in no store */
	unsigned draining;   /* parts that are not through yet */
	bool stopping, intake_over;
};

static void finish(struct listen *l, const struct zk_error *err)
{
	if (err && !l->err.code)
		l->err = *err;
	if (!l->stopping)
		zk_stop_begin(l->stop);
}

/* ---- events -------------------------------------------------------------------------------- */

/* What is worked on as one: an event, or an array of them (--buffer). */
struct unit {
	struct hook_item item;
	struct held *first;
};

/* What an event carries until it is done. */
struct held {
	struct unit alone;
	struct zk_zip_hook_event *ev;
	struct held *next; /* in the same array */
};

struct array {
	struct unit unit;
	char json[];
};

static bool is_wanted(void *ctx, zk_str type, zk_str json)
{
	struct listen *l = ctx;
	bool fits = l->o->events.n == 0;

	for (size_t i = 0; i < l->o->events.n && !fits; i++)
		fits = zk_zip_pattern_match(zk_str_of(l->o->events.v[i]), type);
	return fits && (!l->filter || zk_expr_match(l->filter, json));
}

static void on_delivery(void *ctx, zk_str body)
{
	struct listen *l = ctx;

	if (l->o->work.deliveries)
		hook_work_print(l->work, body);
}

static void on_event(void *ctx, struct zk_zip_hook_event *ev)
{
	struct listen *l = ctx;
	struct held *h = (struct held *)(void *)ev->user;

	h->ev = ev;
	h->alone.first = h;
	h->alone.item = (struct hook_item){ .json = ev->json,
		                            .id = ev->id,
		                            .type = ev->type,
		                            .workflow = ev->workflow,
		                            .node = ev->node,
		                            .session = ev->session,
		                            .seq = ev->seq };
	events_ops_push(l->ops, ev->json, ev->json, h);
}

static struct unit *array_of(zk_str json, void *const *tags, size_t n)
{
	struct array *a = zk_alloc(sizeof(*a) + json.n);
	struct held **last = &a->unit.first;

	memcpy(a->json, json.p, json.n);
	a->unit.item = (struct hook_item){ .json = zk_str_n(a->json, json.n) };
	for (size_t i = 0; i < n; i++) {
		*last = tags[i];
		last = &(*last)->next;
	}
	*last = NULL;
	return &a->unit;
}

static void on_emit(void *ctx, zk_str json, void *const *tags, size_t n)
{
	struct listen *l = ctx;
	struct held *h = tags[0];
	bool array = l->ops_opts.buffer || l->ops_opts.every_ms;
	struct unit *u = array ? array_of(json, tags, n) : &h->alone;

	/* The queue of the receiver is the bound; it answers 503 beyond. */
	(void)hook_work_push(l->work, &u->item);
}

static void on_enough(void *ctx)
{
	finish(ctx, NULL);
}

/* One that came after the last one of --count stays in the store for the next run. */
static void on_passed_over(void *ctx, void *tag, bool late)
{
	struct listen *l = ctx;
	struct held *h = tag;

	if (h->ev->seq && !late)
		zk_zip_hook_store_mark(l->store, h->ev->seq, ZK_ZIP_HOOK_DONE, 0,
		                       ZK_STR(""));
	zk_zip_hookd_finish(l->hookd, h->ev);
}

static void on_over(void *ctx, struct hook_item *item, enum hook_end end, const char *why)
{
	static const enum zk_zip_hook_state states[] = {
		[HOOK_DONE] = ZK_ZIP_HOOK_DONE, [HOOK_FAILED] = ZK_ZIP_HOOK_FAILED
	};
	struct listen *l = ctx;
	struct unit *u = ZK_CONTAINER_OF(item, struct unit, item);
	struct held *h = u->first, *next;
	bool array = u != &h->alone;

	for (; h; h = next) {
		next = h->next;
		if (end == HOOK_STOPPED)
			l->lost += !h->ev->seq;
		else if (h->ev->seq)
			zk_zip_hook_store_mark(l->store, h->ev->seq, states[end],
			                       item->attempts, zk_str_of(why));
		zk_zip_hookd_finish(l->hookd, h->ev);
	}
	if (array)
		free(u);
	if (hook_work_closed(l->work))
		finish(l, NULL);
}

static void on_idle(void *ctx);

static void on_fatal(void *ctx, const struct zk_error *err)
{
	finish(ctx, err);
}

/* What an earlier run accepted and did not finish. */
static int resume(struct listen *l, struct zk_error *err)
{
	struct zk_zip_hook_reader *r = NULL;
	struct zk_zip_hook_row row = { 0 };
	uint64_t n = 0;
	int got;

	if (!l->store)
		return 0;
	if (zk_zip_hook_reader_open(l->o->store, &r, err) < 0)
		return -(int)err->code;
	while ((got = zk_zip_hook_reader_next(r, row.seq, ZK_ZIP_HOOK_NEW, 0, &row,
	                                      err)) > 0) {
		zk_zip_hookd_again(l->hookd, row.seq, row.payload);
		n++;
	}
	zk_zip_hook_reader_close(r);
	if (n)
		zk_notice("events of an earlier run are done first", "count=%llu",
		          (unsigned long long)n);
	return got < 0 ? got : 0;
}

/* ---- start --------------------------------------------------------------------------------- */

static void announce(struct listen *l, const char *id)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;
	const char *addr;

	zk_buf_init(&b, 65536);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "webhook");
	zk_jw_arr(&w);
	for (size_t i = 0; (addr = zk_zip_hookd_address(l->hookd, i)) != NULL; i++)
		zk_jw_cstr(&w, addr);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "path");
	zk_jw_cstr(&w, l->o->path);
	zk_jw_key(&w, "webhook_id");
	zk_jw_cstr(&w, id);
	zk_status_ready(zk_app_status(l->app), l->loop, zk_buf_str(&b));
	zk_notice("ready", "address=%s path=%s webhook=%s",
	          zk_zip_hookd_address(l->hookd, 0), l->o->path, id ? id : "none");
}

static void on_registered(void *ctx, const char *id)
{
	announce(ctx, id);
}

static void on_lost(void *ctx, const struct zk_error *err)
{
	finish(ctx, err);
}

static char *own_url(struct listen *l, struct zk_error *err)
{
	const char *addr = zk_zip_hookd_address(l->hookd, 0);

	if (l->o->public_url)
		return zk_strdup(l->o->public_url);
	if (zk_str_starts(zk_str_of(addr), ZK_STR("unix:"))) {
		(void)zk_fail(err, ZK_E_USAGE, "a server cannot reach '%s'", addr);
		(void)zk_err_hint(err, "name the address it can reach: --public-url");
		return NULL;
	}
	return zk_asprintf("http://%s%s", addr, l->o->path);
}

static int start_registration(struct listen *l, struct zk_error *err)
{
	struct zk_buf events ZK_CLEANUP(zk_buf_done) = { .cap = 65536 };
	ZK_CLEANUP(zk_freep)
	char *url = own_url(l, err);

	if (!url)
		return -(int)err->code;
	if (strcmp(l->o->ns, "default") != 0)
		zk_warn("servers deliver to webhooks of the namespace 'default' only",
		        "namespace=%s", l->o->ns);
	webhook_events(&l->o->events, l->o->raw_patterns, &events);
	struct hook_reg_conf conf = {
		.zip = l->zeal.zip,
		.ns = l->o->ns,
		.url = url,
		.events = zk_buf_cstring(&events),
		.check_name = l->check_name,
		.check_value = l->check_value,
		.ctx = l,
		.on_ready = on_registered,
		.on_lost = on_lost,
	};

	l->reg = hook_reg_new(l->loop, &conf);
	return 0;
}

static char *random_hex(void)
{
	uint8_t bytes[16];
	struct zk_buf b;
	char *text;

	zk_rand_secret(bytes, sizeof(bytes));
	zk_buf_init_secret(&b, 64);
	zk_hex_encode(zk_str_n((char *)bytes, sizeof(bytes)), &b);
	zk_wipe(bytes, sizeof(bytes));
	text = zk_strndup(b.p, b.n);
	zk_buf_done(&b);
	return text;
}

static bool is_header_name(zk_str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return name.n > 0 && name.n <= 64;
}

static bool is_header_value(zk_str value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return false;
	return value.n > 0;
}

/* How a delivery shows that it comes from the server: a signature, a header that was agreed on
 * with the registration, or, when it must be so, not at all. */
static int choose_proof(struct listen *l, struct zk_error *err)
{
	const char *check = l->o->header_check;
	bool has_secret = l->o->secret.kind != ZK_SECRET_NONE;
	zk_str name, value;

	if (has_secret && zk_secret_load(&l->o->secret, &l->secret, err) < 0)
		return -(int)err->code;
	if (!check && (has_secret || l->o->insecure))
		return 0;
	if (!check && !l->o->do_register) {
		(void)zk_fail(err, ZK_E_USAGE,
		              "without a registration nothing tells deliveries from "
		              "forgeries");
		return zk_err_hint(
		        err,
		        "give --secret-file, --header-check NAME=VALUE, or --insecure");
	}
	value = zk_str_cut(zk_str_of(check ? check : "X-Zk-Secret"), '=', &name);
	if (!is_header_name(name) || (value.p && !is_header_value(value)))
		return zk_fail(
		        err, ZK_E_USAGE,
		        "--header-check '%.*s' is no NAME or NAME=VALUE of a header",
		        ZK_STR_ARG(name));
	if (!value.p && !l->o->do_register)
		return zk_fail(err, ZK_E_USAGE,
		               "--header-check without VALUE needs a registration, which "
		               "tells the server the value");
	l->check_name = zk_strndup(name.p, name.n);
	l->check_value = value.p ? zk_strndup(value.p, value.n) : random_hex();
	return 0;
}

static int compile_filter(struct listen *l, struct zk_error *err)
{
	struct zk_expr_conf conf = { .grammar = ZK_EXPR_EVENT, .what = "--filter" };

	return l->o->ops.filter ? zk_expr_compile(zk_str_of(l->o->ops.filter), &conf,
	                                          &l->filter, err)
	                        : 0;
}

/* --filter is not among them: what nobody wants is not stored in the first place. */
static int open_ops(struct listen *l, struct zk_error *err)
{
	struct events_ops_conf conf = { .opts = &l->ops_opts,
		                        .loop = l->loop,
		                        .ctx = l,
		                        .emit = on_emit,
		                        .drop = on_passed_over,
		                        .enough = on_enough };

	l->ops_opts = l->o->ops;
	l->ops_opts.filter = NULL;
	l->ops_opts.key = l->o->work.key;
	if (l->ops_opts.buffer > l->o->queue)
		return zk_fail(err, ZK_E_USAGE,
		               "--buffer %llu can never be full, because --queue %llu "
		               "takes no more events",
		               (unsigned long long)l->ops_opts.buffer,
		               (unsigned long long)l->o->queue);
	return events_ops_new(&conf, &l->ops, err);
}

static int open_work(struct listen *l, struct zk_error *err)
{
	struct hook_work_conf work = {
		.opts = &l->o->work,
		.high = l->o->queue,
		.secret = zk_buf_str(&l->secret),
		.ctx = l,
		.over = on_over,
		.on_idle = on_idle,
		.on_fatal = on_fatal,
	};

	if (l->o->store && zk_zip_hook_store_open(l->loop, l->o->store, l->o->keep_ms,
	                                          &l->store, err) < 0)
		return -(int)err->code;
	return hook_work_new(l->app, &work, &l->work, err);
}

static int open_server(struct listen *l, struct zk_error *err)
{
	struct zk_zip_hookd_conf conf = {
		.path = l->o->path,
		.secret = zk_buf_str(&l->secret),
		.check_name = l->check_name,
		.check_value = l->check_value,
		.queue = l->o->queue,
		.store = l->store,
		.user_bytes = sizeof(struct held),
		.ctx = l,
		.wanted = is_wanted,
		.on_delivery = on_delivery,
		.on_event = on_event,
	};

	if (zk_zip_hookd_new(l->loop, &conf, &l->hookd, err) < 0)
		return -(int)err->code;
	return zk_zip_hookd_listen(l->hookd, l->o->listen, err);
}

/* ---- stop ---------------------------------------------------------------------------------- */

static void part_through(void *ctx)
{
	struct listen *l = ctx;

	if (--l->draining == 0)
		zk_stop_drained(l->stop);
}

/* No more events can come in: what remains is what is being worked on. */
static void on_intake_over(void *ctx)
{
	struct listen *l = ctx;

	l->intake_over = true;
	events_ops_flush(l->ops);
	if (!hook_work_count(l->work))
		part_through(l);
}

static void on_idle(void *ctx)
{
	struct listen *l = ctx;

	if (l->intake_over)
		part_through(l);
}

static void on_drain(void *ctx)
{
	struct listen *l = ctx;

	l->stopping = true;
	zk_status_stopping(zk_app_status(l->app));
	l->draining = 1;
	if (l->reg) {
		l->draining++;
		hook_reg_end(l->reg, part_through, l);
	}
	hook_work_hurry(l->work);
	zk_zip_hookd_drain(l->hookd, on_intake_over, l);
}

static void on_flush(void *ctx, bool expired)
{
	struct listen *l = ctx;

	(void)expired;
	zk_stop_done(l->stop);
}

/* What was not begun ends as it would with the work: not done. */
static void stop_work(struct listen *l)
{
	l->stopping = true;
	if (l->ops && l->work)
		events_ops_flush(l->ops);
	hook_work_free(ZK_TAKE(l->work));
}

static void listen_done(struct listen *l)
{
	hook_reg_free(l->reg);
	stop_work(l);
	events_ops_free(l->ops);
	zk_zip_hook_store_close(l->store);
	zk_zip_hookd_free(l->hookd);
	zk_expr_free(l->filter);
	zk_buf_done(&l->secret);
	free(l->check_name);
	zk_secret_free(l->check_value);
	zeal_close(&l->zeal);
}

/* ---- the command --------------------------------------------------------------------------- */

static int start(struct listen *l, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = l, .drain = on_drain, .flush = on_flush };

	if (hook_work_check(&l->o->work, err) < 0)
		return -(int)err->code;
	if (l->o->path[0] != '/' || strchr(l->o->path, ':'))
		return zk_fail(err, ZK_E_USAGE, "--path '%s' does not begin with /",
		               l->o->path);
	if (compile_filter(l, err) < 0 || choose_proof(l, err) < 0)
		return -(int)err->code;
	l->loop = zk_app_loop(l->app, err);
	if (!l->loop)
		return -(int)err->code;
	l->stop = zk_app_stop(l->app, &stop, err);
	if (!l->stop || open_ops(l, err) < 0 || open_work(l, err) < 0 ||
	    open_server(l, err) < 0 || resume(l, err) < 0)
		return -(int)err->code;
	if (!l->o->do_register) {
		announce(l, NULL);
		return 0;
	}
	if (zeal_open(l->app, &l->o->zeal, /* patient */ true, &l->zeal, err) < 0)
		return -(int)err->code;
	return start_registration(l, err);
}

static void summary(struct listen *l)
{
	struct zk_zip_hookd_stats h;
	struct hook_work_stats w;

	zk_zip_hookd_get_stats(l->hookd, &h);
	hook_work_get_stats(l->work, &w);
	zk_notice("stopped",
	          "deliveries=%llu events=%llu done=%llu failed=%llu retried=%llu "
	          "duplicates=%llu unwanted=%llu refused=%llu busy=%llu",
	          (unsigned long long)h.deliveries, (unsigned long long)h.events,
	          (unsigned long long)w.done, (unsigned long long)w.failed,
	          (unsigned long long)w.retried, (unsigned long long)h.duplicates,
	          (unsigned long long)h.unwanted, (unsigned long long)h.refused,
	          (unsigned long long)h.busy);
}

/* The status when nothing went wrong on our side. */
static int outcome(struct listen *l, struct zk_error *err)
{
	struct hook_work_stats w;

	hook_work_get_stats(l->work, &w);
	stop_work(l);
	if (l->err.code) {
		*err = l->err;
		return -(int)err->code;
	}
	if (l->lost)
		return zk_fail(err, ZK_E_INTERRUPTED,
		               "%llu accepted events were not done; with --store they "
		               "would be done after the next start",
		               (unsigned long long)l->lost);
	return w.failed ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

static int listen_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct listen l = { .app = app, .o = opts };
	int r;

	(void)argc;
	(void)argv;
	zk_buf_init_secret(&l.secret, ZK_SECRET_MAX + 1);
	r = start(&l, err);
	if (r == 0) {
		zk_loop_run(l.loop);
		summary(&l);
		r = outcome(&l, err);
		if (r >= 0 && app->out && zk_out_end(app->out, err) < 0)
			r = -(int)err->code;
	}
	listen_done(&l);
	return r;
}

#define OFF(m) .off = offsetof(struct listen_opts, m)

static const struct zk_opt listen_rows[] = {
	{ .type = ZK_OPT_LIST,
	  .name = "events",
	  .conf = "webhook.events",
	  .meta = "PATTERN",
	  OFF(events),
	  .flags = ZK_OPT_F_COMMA,
	  .complete = "event",
	  .help = "types of events: node.*, workflow.created; repeatable",
	  .text = "Patterns are about the type alone; the server is told what it needs "
	          "for them, and what it sends too much is dropped here." },
	{ .type = ZK_OPT_STR,
	  .name = "listen",
	  .conf = "webhook.listen",
	  .meta = "ADDR",
	  .def = "127.0.0.1:3999",
	  OFF(listen),
	  .help = "address to listen on; port 0 = any" },
	{ .type = ZK_OPT_STR,
	  .name = "path",
	  .conf = "webhook.path",
	  .meta = "PATH",
	  .def = "/webhooks",
	  OFF(path),
	  .help = "path that deliveries are posted to" },
	{ .type = ZK_OPT_URL,
	  .name = "public-url",
	  .conf = "webhook.public_url",
	  .meta = "URL",
	  OFF(public_url),
	  .help = "address under which the server reaches this receiver" },
	{ .type = ZK_OPT_STR,
	  .key = 'n',
	  .name = "namespace",
	  .conf = "webhook.namespace",
	  .meta = "NS",
	  .def = "default",
	  OFF(ns),
	  .help = "namespace of the registration",
	  .text = "Servers deliver to webhooks of the namespace default only." },
	{ .type = ZK_OPT_BOOL,
	  .name = "raw-patterns",
	  .conf = "webhook.raw_patterns",
	  OFF(raw_patterns),
	  .help = "tell the server the patterns as they are" },
	{ .type = ZK_OPT_BOOL,
	  .name = "register",
	  .conf = "webhook.register",
	  .def = "true",
	  OFF(do_register),
	  .help = "register with the server while this runs" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "secret",
	  .conf = "webhook.secret",
	  OFF(secret),
	  .group = "Proof",
	  .help = "require deliveries to be signed with it",
	  .text = "Present servers do not sign; what --forward posts is signed too." },
	{ .type = ZK_OPT_STR,
	  .name = "header-check",
	  .conf = "webhook.header_check",
	  .meta = "NAME[=VALUE]",
	  OFF(header_check),
	  .group = "Proof",
	  .help = "have the server send this header, and require it",
	  .text = "Without VALUE a random one. Without this, --secret-file and "
	          "--insecure: X-Zk-Secret with a random value." },
	{ .type = ZK_OPT_BOOL,
	  .name = "insecure",
	  .conf = "webhook.insecure",
	  OFF(insecure),
	  .group = "Proof",
	  .help = "take deliveries from anybody" },
	EVENTS_PICK_ROWS(struct listen_opts, "webhook"),
	EVENTS_TIME_ROWS(struct listen_opts),
	HOOK_WORK_ROWS(struct listen_opts, "webhook"),
	HOOK_WORK_ORDERED_ROW(struct listen_opts, "webhook"),
	{ .type = ZK_OPT_PATH,
	  .name = "store",
	  .conf = "webhook.store",
	  .meta = "FILE",
	  OFF(store),
	  .flags = ZK_OPT_TRUST,
	  .group = "Work",
	  .complete = "file",
	  .help = "keep events in this database until they are done",
	  .text = "An event is answered when it is on disk, and is done after a crash "
	          "all "
	          "the same, at least once." },
	{ .type = ZK_OPT_DURATION,
	  .name = "keep",
	  .conf = "webhook.keep",
	  .meta = "D",
	  .def = "1d",
	  .min = 3600 * 1000,
	  .max = 3650LL * 86400 * 1000,
	  OFF(keep_ms),
	  .group = "Work",
	  .help = "how long events that are done stay in the database" },
	{ .type = ZK_OPT_UINT,
	  .name = "queue",
	  .conf = "webhook.queue",
	  .meta = "N",
	  .def = "1000",
	  .min = 1,
	  .max = 1000000,
	  OFF(queue),
	  .group = "Work",
	  .help = "open events at which the server is told to come again" },
	{ .type = ZK_OPT_BOOL,
	  .name = "deliveries",
	  .conf = "webhook.deliveries",
	  OFF(work.deliveries),
	  .help = "print whole deliveries instead of their events" },
	ZEAL_ROWS,
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_webhook_listen = {
	.path = "webhook listen",
	.help = "receive events here: print them, run a command, post them on",
	.about = "Registers a webhook with the server, receives its deliveries and "
	         "removes "
	         "the registration at the end. Deliveries without the proof that was "
	         "agreed "
	         "on are refused; events that come again are dropped. Without --exec and "
	         "--forward events are printed.",
	.examples = "zk webhook listen --events 'node.*' --fields type,nodeId\n"
	            "zk webhook listen --events 'workflow.*' --key workflowId --exec "
	            "./sync.sh\n"
	            "zk webhook listen --forward http://localhost:4000/hooks --store "
	            "hooks.db",
	.output = "the events, as the server sent them",
	.exits = "0 stopped · 3 some events were given up · 71 · 75 · 77",
	.see = "zk webhook replay · zk webhook register · man zk-webhook",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = listen_rows,
	.opts_size = sizeof(struct listen_opts),
	.conf = "zeal",
	.flags = ZK_CMD_SERVER,
	.run = listen_run,
};
