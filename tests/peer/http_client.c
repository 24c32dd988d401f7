/* The HTTP client of src/net, steered by lines of JSON: http_client.py makes requests with it to
 * servers that misbehave on purpose. Not a test by itself.
 *
 * Commands on stdin, one per line:
 *	{"op":"net", …zk_net_conf…}            a new zk_net (the old one is freed as it stands)
 *	{"op":"start"|"send", "id":N, …}       see read_conf()
 *	{"op":"wait", "id":N, …}               zk_send_wait()
 *	{"op":"cancel"|"hurry"|"resume_up"|"resume_down", "id":N}
 *	{"op":"hurry_all"|"cancel_all"}, {"op":"end_all", "code":N}
 *	{"op":"maps"}, {"op":"metrics"}        whether libcurl is mapped; the metrics
 *	{"op":"idle"}                          turns the loop until nothing keeps it alive but stdin
 *	{"op":"quit"}                          frees everything as it stands
 * Events on stdout, one per line: {"ev":"done"|"head"|"data"|"retry"|…, "id":N, …}
 * Layer: tests. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/guard.h"
#include "net/http.h"
#include "net/net.h"
#include "net/send.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

#define MAX_IDS 4096

struct job {
	int id;
	struct zk_http *http;
	struct zk_send *send;
	char *body;
	/* upload: `pull_total` bytes, `pull_pause` after every so many */
	int64_t pull_total, pull_done, pull_pause, pull_gate;
	bool pull_abort;
	/* download: pauses after every so many bytes */
	int64_t data_pause, data_seen, data_gate;
	uint64_t data_sum;
	bool data_text;
	bool wake; /* what pauses resumes at once, before it has said that it pauses */
	int cancel_on; /* 1 = in on_head, 2 = in on_data, 3 = in pull, 4 = in on_retry */
	int start_on_head;
};

static struct zk_loop *loop;
static struct zk_net *net;
static struct zk_metrics *metrics;
static struct zk_poll *in_poll;
static struct zk_buf in;
static struct job *jobs[MAX_IDS];
static bool quitting;

static void emit(cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	printf("%s\n", text);
	(void)fflush(stdout);
	free(text);
	cJSON_Delete(o);
}

static cJSON *event(const char *name, int id)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "ev", name);
	cJSON_AddNumberToObject(o, "id", id);
	return o;
}

static void add_error(cJSON *o, const char *key, const struct zk_error *err)
{
	cJSON *e;

	if (!err)
		return;
	e = cJSON_AddObjectToObject(o, key);
	cJSON_AddNumberToObject(e, "code", err->code);
	cJSON_AddBoolToObject(e, "retryable", err->retryable);
	cJSON_AddNumberToObject(e, "http_status", err->http_status);
	cJSON_AddNumberToObject(e, "retry_after_ms", (double)err->retry_after_ms);
	cJSON_AddStringToObject(e, "msg", err->msg);
	cJSON_AddStringToObject(e, "where", err->where);
	cJSON_AddStringToObject(e, "why", err->why);
	cJSON_AddStringToObject(e, "hint", err->hint);
	cJSON_AddStringToObject(e, "remote_id", err->remote_id);
}

static void job_free(struct job *j)
{
	jobs[j->id] = NULL;
	free(j->body);
	free(j);
}

static void add_text(cJSON *o, const char *key, zk_str s)
{
	bool shown = s.n && zk_utf8_valid(s);
	char *text = zk_strndup(shown ? s.p : "", shown ? ZK_MIN(s.n, (size_t)4096) : 0);

	cJSON_AddStringToObject(o, key, text);
	free(text);
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct job *j = ctx;
	cJSON *o = event("done", j->id);

	cJSON_AddNumberToObject(o, "status", res->status);
	cJSON_AddNumberToObject(o, "bytes", (double)res->body.n);
	add_text(o, "body", res->body);
	cJSON_AddBoolToObject(o, "truncated", res->truncated);
	cJSON_AddBoolToObject(o, "sent", res->sent);
	cJSON_AddBoolToObject(o, "reused", res->reused);
	cJSON_AddStringToObject(o, "peer", res->peer);
	cJSON_AddNumberToObject(o, "peer_port", res->peer_port);
	cJSON_AddNumberToObject(o, "version", res->http_version);
	cJSON_AddNumberToObject(o, "connect_us", (double)res->connect_us);
	cJSON_AddNumberToObject(o, "first_byte_us", (double)res->first_byte_us);
	cJSON_AddNumberToObject(o, "total_us", (double)res->total_us);
	cJSON_AddNumberToObject(o, "data_seen", (double)j->data_seen);
	cJSON_AddNumberToObject(o, "data_sum", (double)j->data_sum);
	add_text(o, "x_test", zk_http_header(res->req, "x-test"));
	cJSON_AddBoolToObject(o, "has_x_test",
	                      zk_http_header(res->req, "X-Test").p != NULL);
	add_error(o, "err", err);
	add_error(o, "fault", res->fault);
	/* It has ended: this does nothing, and must do no harm. */
	if (j->http)
		zk_http_cancel(j->http);
	if (j->send)
		zk_send_cancel(j->send);
	job_free(j);
	emit(o);
}

static void start_small(const char *url, int id);

static void on_head(void *ctx, int status, struct zk_http *req)
{
	struct job *j = ctx;
	cJSON *o = event("head", j->id);

	cJSON_AddNumberToObject(o, "status", status);
	add_text(o, "x_test", zk_http_header(req, "X-TEST"));
	emit(o);
	if (j->start_on_head) {
		zk_str url = zk_http_header(req, "x-next");
		char *text = zk_strndup(url.p, url.n);

		start_small(text, j->start_on_head);
		free(text);
	}
	if (j->cancel_on == 1) {
		zk_http_cancel(req);
		emit(event("cancelled", j->id));
		job_free(j);
	}
}

static bool on_data(void *ctx, zk_str piece)
{
	struct job *j = ctx;

	if (j->cancel_on == 2) {
		zk_http_cancel(j->http);
		emit(event("cancelled", j->id));
		job_free(j);
		return true;
	}
	if (j->data_pause && j->data_seen >= j->data_gate) {
		cJSON *o = event("paused_down", j->id);

		cJSON_AddNumberToObject(o, "seen", (double)j->data_seen);
		emit(o);
		j->data_gate = j->data_seen + j->data_pause;
		if (j->wake)
			zk_http_resume_download(j->http);
		return false;
	}
	j->data_seen += (int64_t)piece.n;
	for (size_t i = 0; i < piece.n; i++)
		j->data_sum = (j->data_sum * 31 + (unsigned char)piece.p[i]) % 1000000007;
	if (j->data_text) {
		cJSON *o = event("data", j->id);

		add_text(o, "text", piece);
		emit(o);
	}
	return true;
}

/* Byte i of an upload is 'a' + i % 26. */
static ptrdiff_t pull(void *ctx, char *p, size_t room)
{
	struct job *j = ctx;
	size_t n = 0;

	if (j->cancel_on == 3) {
		zk_http_cancel(j->http);
		emit(event("cancelled", j->id));
		job_free(j);
		return -1;
	}
	if (j->pull_done < j->pull_total && j->pull_pause &&
	    j->pull_done >= j->pull_gate) {
		cJSON *o = event("paused_up", j->id);

		cJSON_AddNumberToObject(o, "done", (double)j->pull_done);
		emit(o);
		j->pull_gate = j->pull_done + j->pull_pause;
		if (j->wake)
			zk_http_resume_upload(j->http);
		return -1;
	}
	while (n < room && j->pull_done < j->pull_total &&
	       (!j->pull_pause || j->pull_done < j->pull_gate))
		p[n++] = (char)('a' + j->pull_done++ % 26);
	if (n == 0 && j->pull_abort)
		return -2;
	return (ptrdiff_t)n;
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	struct job *j = ctx;
	cJSON *o = event("retry", j->id);

	cJSON_AddNumberToObject(o, "retry", retry);
	cJSON_AddNumberToObject(o, "max", max);
	cJSON_AddNumberToObject(o, "wait_ms", (double)wait_ms);
	add_error(o, "err", err);
	emit(o);
	if (j->cancel_on == 4) {
		zk_send_cancel(j->send);
		emit(event("cancelled", j->id));
		job_free(j);
	}
}

static const char *text_of(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
}

static int64_t number_of(const cJSON *o, const char *key, int64_t otherwise)
{
	const cJSON *v = cJSON_GetObjectItem(o, key);

	return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : otherwise;
}

static bool is_true(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItem(o, key));
}

/* What a request borrows while it is being started; on the caller's stack. */
struct scratch {
	const char *headers[64];
	struct zk_guard guard;
	struct zk_cidr allow[8];
};

static void read_guard(const cJSON *o, struct scratch *s, struct zk_http_conf *c)
{
	const cJSON *g = cJSON_GetObjectItem(o, "guard"), *it;

	if (!g)
		return;
	s->guard.allow = s->allow;
	s->guard.allow_all = is_true(g, "all");
	cJSON_ArrayForEach(it, cJSON_GetObjectItem(g, "allow"))
	{
		struct zk_error err;

		if (zk_cidr_parse(zk_str_of(it->valuestring),
		                  &s->allow[s->guard.n_allow++], &err) < 0)
			abort();
	}
	c->guard = &s->guard;
}

static void read_conf(const cJSON *o, struct job *j, struct scratch *s,
                      struct zk_http_conf *c)
{
	const cJSON *it;
	size_t n = 0;

	*s = (struct scratch){ 0 };
	*c = (struct zk_http_conf){
		.method = text_of(o, "method"),
		.url = text_of(o, "url"),
		.bearer = text_of(o, "bearer"),
		.content_type = text_of(o, "content_type"),
		.resolve = text_of(o, "resolve"),
		.target = text_of(o, "target"),
		.body = zk_str_of(text_of(o, "body")),
		.length = number_of(o, "length", -1),
		.max_body = (size_t)number_of(o, "max_body", 0),
		.connect_timeout_ms = number_of(o, "connect_timeout_ms", 0),
		.timeout_ms = number_of(o, "timeout_ms", 0),
		.idle_timeout_ms = number_of(o, "idle_timeout_ms", 0),
		.flags = (unsigned)number_of(o, "flags", 0),
		.ctx = j,
	};
	if (number_of(o, "body_bytes", 0)) {
		size_t size = (size_t)number_of(o, "body_bytes", 0);

		j->body = zk_alloc(size);
		for (size_t i = 0; i < size; i++)
			j->body[i] = (char)('a' + i % 26);
		c->body = zk_str_n(j->body, size);
		c->body_borrowed = is_true(o, "body_borrowed");
	}
	cJSON_ArrayForEach(it, cJSON_GetObjectItem(o, "headers")) s->headers[n++] =
	        it->valuestring;
	c->headers = s->headers;
	read_guard(o, s, c);
	j->pull_total = number_of(o, "pull", -1);
	j->pull_pause = j->pull_gate = number_of(o, "pull_pause", 0);
	j->pull_abort = is_true(o, "pull_abort");
	j->data_pause = j->data_gate = number_of(o, "data_pause", 0);
	j->data_text = is_true(o, "data_text");
	j->wake = is_true(o, "wake");
	j->cancel_on = (int)number_of(o, "cancel_on", 0);
	j->start_on_head = (int)number_of(o, "start_on_head", 0);
	if (j->pull_total >= 0)
		c->pull = pull;
	if (is_true(o, "stream"))
		c->on_data = on_data;
	if (is_true(o, "head"))
		c->on_head = on_head;
}

static struct job *job_new(int id)
{
	struct job *j = zk_new0(struct job);

	if (id < 0 || id >= MAX_IDS || jobs[id])
		abort();
	j->id = id;
	jobs[id] = j;
	return j;
}

static void refused(struct job *j, const struct zk_error *err)
{
	cJSON *o = event("refused", j->id);

	add_error(o, "err", err);
	emit(o);
	job_free(j);
}

static void op_start(const cJSON *o)
{
	struct job *j = job_new((int)number_of(o, "id", 0));
	struct zk_error err = { 0 };
	struct zk_http_conf c;
	struct scratch s;

	read_conf(o, j, &s, &c);
	if (zk_http_start(net, &c, on_done, &j->http, &err) < 0)
		refused(j, &err);
	/* Nothing of these may be needed any more. */
	memset(&s, 0xa5, sizeof(s));
	memset(&c, 0xa5, sizeof(c));
}

static void start_small(const char *url, int id)
{
	struct job *j = job_new(id);
	struct zk_http_conf c = { .url = url, .ctx = j };
	struct zk_error err = { 0 };

	if (zk_http_start(net, &c, on_done, &j->http, &err) < 0)
		refused(j, &err);
}

static void read_send(const cJSON *o, struct job *j, struct scratch *s,
                      struct zk_send_conf *c)
{
	*c = (struct zk_send_conf){ .on_retry = on_retry };
	c->retry.max_retries = (uint64_t)number_of(o, "retries", 5);
	c->retry.base_ms = number_of(o, "base_ms", 20);
	c->retry.cap_ms = number_of(o, "cap_ms", 500);
	c->retry.max_time_ms = number_of(o, "max_time_ms", 0);
	read_conf(o, j, s, &c->http);
}

static void op_send(const cJSON *o)
{
	struct job *j = job_new((int)number_of(o, "id", 0));
	struct zk_error err = { 0 };
	struct zk_send_conf c;
	struct scratch s;

	read_send(o, j, &s, &c);
	if (zk_send_start(net, &c, on_done, &j->send, &err) < 0)
		refused(j, &err);
	memset(&s, 0xa5, sizeof(s));
	memset(&c, 0xa5, sizeof(c));
}

/* Called outside of the loop: see main(). */
static void op_wait(const cJSON *o)
{
	struct job *j = job_new((int)number_of(o, "id", 0));
	cJSON *ev = event("waited", j->id);
	struct zk_error err = { 0 };
	struct zk_send_conf c;
	struct zk_buf body;
	struct scratch s;
	int status = -1, r;

	zk_buf_init(&body, 0);
	read_send(o, j, &s, &c);
	r = zk_send_wait(net, &c, &status, &body, &err);
	cJSON_AddNumberToObject(ev, "r", r);
	cJSON_AddNumberToObject(ev, "status", status);
	add_text(ev, "body", zk_buf_str(&body));
	add_error(ev, "err", err.code ? &err : NULL);
	zk_buf_done(&body);
	job_free(j);
	emit(ev);
}

static void op_net(const cJSON *o)
{
	struct zk_net_conf c = {
		.connect_timeout_ms = number_of(o, "connect_timeout_ms", 0),
		.request_timeout_ms = number_of(o, "request_timeout_ms", 0),
		.proxy = text_of(o, "proxy"),
		.ca_file = text_of(o, "ca_file"),
		.client_cert = text_of(o, "client_cert"),
		.client_key = text_of(o, "client_key"),
		.tls_verify = !is_true(o, "insecure"),
		.max_connections = (unsigned)number_of(o, "max_connections", 0),
		.max_per_host = (unsigned)number_of(o, "max_per_host", 0),
		.user_agent = text_of(o, "user_agent"),
		.trace = text_of(o, "trace"),
		.trace_file = text_of(o, "trace_file"),
		.traceparent = text_of(o, "traceparent"),
	};

	zk_net_free(net);
	for (int i = 0; i < MAX_IDS; i++)
		if (jobs[i])
			job_free(jobs[i]);
	net = zk_net_new(loop, &c, metrics);
	if (text_of(o, "secret"))
		zk_redact_add(zk_str_of(text_of(o, "secret")));
}

static void op_maps(const cJSON *cmd)
{
	cJSON *o = event("maps", 0);
	char line[1024];
	bool mapped = false;
	FILE *f = fopen("/proc/self/maps", "re");

	(void)cmd;
	while (f && fgets(line, sizeof(line), f))
		mapped = mapped || strstr(line, "libcurl");
	if (f)
		(void)fclose(f);
	cJSON_AddBoolToObject(o, "libcurl", mapped);
	emit(o);
}

static void op_metrics(const cJSON *cmd)
{
	cJSON *o = event("metrics", 0);
	struct zk_buf b;

	(void)cmd;
	zk_buf_init(&b, 1 << 20);
	zk_metrics_format(metrics, &b);
	cJSON_AddStringToObject(o, "text", zk_buf_cstring(&b));
	zk_buf_done(&b);
	emit(o);
}

static void op_job(const char *op, struct job *j)
{
	if (!j)
		return;
	if (strcmp(op, "cancel") == 0) {
		if (j->http)
			zk_http_cancel(j->http);
		else
			zk_send_cancel(j->send);
		emit(event("cancelled", j->id));
		job_free(j);
	} else if (strcmp(op, "hurry") == 0) {
		zk_send_hurry(j->send);
	} else if (strcmp(op, "resume_up") == 0) {
		zk_http_resume_upload(j->http);
	} else if (strcmp(op, "resume_down") == 0) {
		zk_http_resume_download(j->http);
	}
}

/* Without stdin, and with idle connections only, nothing keeps the loop turning. */
static void op_idle(void)
{
	cJSON *o = event("idle", 0);
	int64_t start = zk_mono_ms();

	zk_poll_set(in_poll, 0);
	zk_loop_run(loop);
	zk_poll_set(in_poll, ZK_POLL_IN);
	cJSON_AddNumberToObject(o, "ms", (double)(zk_mono_ms() - start));
	emit(o);
}

static cJSON *waiting; /* what main() is to do, outside of the loop */

static void op_later(const cJSON *o)
{
	waiting = cJSON_Duplicate(o, 1);
}

static void op_hurry_all(const cJSON *o)
{
	(void)o;
	zk_send_hurry_all(net);
}

static void op_cancel_all(const cJSON *o)
{
	(void)o;
	zk_send_cancel_all(net);
	for (int i = 0; i < MAX_IDS; i++)
		if (jobs[i] && jobs[i]->send)
			job_free(jobs[i]);
}

static void op_end_all(const cJSON *o)
{
	zk_send_end_all(net, (enum zk_code)number_of(o, "code", ZK_E_INTERRUPTED));
}

static void op_quit(const cJSON *o)
{
	(void)o;
	quitting = true;
}

static void run(const cJSON *o)
{
	static const struct {
		const char *name;
		void (*fn)(const cJSON *o);
	} ops[] = {
		{ "net", op_net },         { "start", op_start },
		{ "send", op_send },       { "wait", op_later },
		{ "idle", op_later },      { "hurry_all", op_hurry_all },
		{ "end_all", op_end_all }, { "cancel_all", op_cancel_all },
		{ "maps", op_maps },       { "metrics", op_metrics },
		{ "quit", op_quit },
	};
	const char *op = text_of(o, "op");
	int64_t id = number_of(o, "id", 0);

	for (size_t i = 0; i < ZK_ARRAY_LEN(ops); i++)
		if (strcmp(op, ops[i].name) == 0) {
			ops[i].fn(o);
			return;
		}
	op_job(op, id >= 0 && id < MAX_IDS ? jobs[id] : NULL);
}

static void on_input(void *ctx, int events, int status)
{
	char text[65536];
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));
	zk_str line, rest;

	(void)ctx;
	(void)events;
	(void)status;
	if (n > 0)
		zk_buf_put(&in, text, (size_t)n);
	else if (n == 0)
		quitting = true;
	while (!waiting && zk_str_find_char(zk_buf_str(&in), '\n') >= 0) {
		rest = zk_str_cut(zk_buf_str(&in), '\n', &line);
		cJSON *o = cJSON_ParseWithLength(line.p, line.n);

		if (!o)
			abort();
		zk_buf_consume(&in, in.n - rest.n);
		run(o);
		cJSON_Delete(o);
	}
	if (quitting || waiting)
		zk_loop_quit(loop);
}

int main(void)
{
	struct zk_error err;

	zk_buf_init(&in, 1 << 26);
	loop = zk_loop_new(&err);
	if (!loop)
		return 1;
	metrics = zk_metrics_new();
	in_poll = zk_poll_new(loop, STDIN_FILENO, on_input, NULL, &err);
	if (!in_poll || fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
		return 1;
	zk_poll_set(in_poll, ZK_POLL_IN);
	while (!quitting) {
		zk_loop_run(loop);
		if (waiting) {
			cJSON *o = waiting;

			waiting = NULL; /* commands go on while it waits */
			if (strcmp(text_of(o, "op"), "idle") == 0)
				op_idle();
			else
				op_wait(o);
			cJSON_Delete(o);
			on_input(NULL, 0, 0); /* what came behind it */
		}
	}
	int64_t start = zk_mono_ms();

	zk_net_free(net);
	zk_poll_free(in_poll);
	zk_loop_free(loop);
	zk_metrics_free(metrics);
	for (int i = 0; i < MAX_IDS; i++)
		if (jobs[i])
			job_free(jobs[i]);
	zk_buf_done(&in);
	cJSON *o = event("bye", 0);

	cJSON_AddNumberToObject(o, "ms", (double)(zk_mono_ms() - start));
	emit(o);
	return 0;
}
