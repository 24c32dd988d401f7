/* The jetstream stage of `zk demo`: a small sample of the stream, enriched from a stand-in of the
 * API, into a store.
 * Layer: cmd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/demo.h"
#include "codec/uri.h"
#include "jetstream/store.h"
#include "net/httpd.h"
#include "rt/child.h"
#include "store/sqlite.h"

#include "base/ban.h"

#define POSTS     2000
#define ACCOUNTS  40
#define REPLY     4 /* every so manieth post is a reply */
#define MENTION   10
#define START_US  INT64_C(1767225600000000)
#define WAIT_MS   20000
#define ANSWER    (1u << 20)
#define JSON_HEAD "Content-Type: application/json\r\n"

struct tour_stream {
	struct demo *d;
	struct zk_httpd *api;
	struct zk_child *child;
	char *sample, *store;
	unsigned requests, ids;
	bool ended;
	int status;
	int64_t ms;
	/* What the store holds. */
	int64_t rows, full, hits, misses, mentions;
};

/* ---- the sample ---- */

static void put_uri(struct zk_buf *b, unsigned post)
{
	zk_buf_printf(b, "at://did:web:a%u.demo.test/app.bsky.feed.post/p%04u",
	              post % ACCOUNTS, post);
}

static void put_post(struct zk_buf *b, unsigned i)
{
	zk_buf_printf(b,
	              "{\"did\":\"did:web:a%u.demo.test\",\"time_us\":%lld,\"kind\":"
	              "\"commit\",\"commit\":{\"rev\":\"r%04u\",\"operation\":\"create\","
	              "\"collection\":\"app.bsky.feed.post\",\"rkey\":\"p%04u\","
	              "\"record\":{\"$type\":\"app.bsky.feed.post\",\"text\":\"post %u\"",
	              i % ACCOUNTS, (long long)(START_US + (int64_t)i * 1000), i, i, i);
	if (i % REPLY == REPLY - 1) {
		zk_buf_lit(b, ",\"reply\":{\"parent\":{\"uri\":\"");
		put_uri(b, i % 20);
		zk_buf_lit(b, "\"},\"root\":{\"uri\":\"");
		put_uri(b, i % 20);
		zk_buf_lit(b, "\"}}");
	}
	if (i % MENTION == 0)
		zk_buf_printf(b,
		              ",\"facets\":[{\"index\":{\"byteStart\":0,\"byteEnd\":4},"
		              "\"features\":[{\"$type\":"
		              "\"app.bsky.richtext.facet#mention\","
		              "\"did\":\"did:web:a%u.demo.test\"}]}]",
		              (i + 1) % ACCOUNTS);
	zk_buf_lit(b, "}}}\n");
}

static int write_sample(struct tour_stream *t, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, (size_t)4 << 20);
	for (unsigned i = 0; i < POSTS; i++)
		put_post(&b, i);
	t->sample = demo_write_file(t->d, "sample.ndjson", zk_buf_str(&b), err);
	t->store = zk_asprintf("%s/jetstream", t->d->dir);
	return t->sample ? 0 : -(int)err->code;
}

/* ---- the stand-in of the API ---- */

static void put_object(struct zk_buf *b, zk_str id, bool post)
{
	zk_buf_cstr(b, post ? "{\"uri\":" : "{\"did\":");
	zk_buf_json_str(b, id);
	zk_buf_cstr(b, post ? ",\"record\":{\"text\":\"there\"},\"likeCount\":1}"
	                    : ",\"handle\":\"someone.demo.test\",\"followersCount\":7}");
}

static enum zk_httpd_next on_request(void *ctx, struct zk_httpd_req *req)
{
	struct tour_stream *t = ctx;
	bool post = zk_str_ends(zk_httpd_path(req), ZK_STR("getPosts")), any = false;
	zk_str query = zk_httpd_query(req), name, value;
	struct zk_buf b ZK_CLEANUP(zk_buf_done), id ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, ANSWER);
	zk_buf_init(&id, 4096);
	zk_buf_cstr(&b, post ? "{\"posts\":[" : "{\"profiles\":[");
	while (zk_uri_query_next(&query, &name, &value, NULL)) {
		zk_buf_clear(&id);
		if (!zk_uri_decode(value, ZK_URI_QUERY, &id))
			continue;
		if (any)
			zk_buf_char(&b, ',');
		any = true;
		put_object(&b, zk_buf_str(&id), post);
		t->ids++;
	}
	zk_buf_lit(&b, "]}");
	t->requests++;
	zk_httpd_reply(req, 200, ZK_STR(JSON_HEAD), zk_buf_str(&b));
	return ZK_HTTPD_DONE;
}

static const struct zk_route routes[] = {
	{ .method = "GET",
	  .pattern = "/xrpc/app.bsky.actor.getProfiles",
	  .on_head = on_request },
	{ .method = "GET",
	  .pattern = "/xrpc/app.bsky.feed.getPosts",
	  .on_head = on_request },
};

static int start_api(struct tour_stream *t, struct zk_error *err)
{
	struct zk_httpd_conf conf;

	zk_httpd_conf_init(&conf);
	conf.ctx = t;
	conf.routes = routes;
	conf.n_routes = ZK_ARRAY_LEN(routes);
	if (zk_httpd_new(t->d->loop, &conf, &t->api, err) < 0)
		return -(int)err->code;
	return zk_httpd_listen(t->api, ZK_STR("127.0.0.1:0"), err);
}

/* ---- the run ---- */

static void on_child_exit(void *ctx, const struct zk_child_result *res)
{
	struct tour_stream *t = ctx;

	t->child = NULL;
	t->ended = true;
	t->status = res->status;
	t->ms = res->ms;
}

static bool has_ended(void *ctx)
{
	return ((const struct tour_stream *)ctx)->ended;
}

static int enrich(struct tour_stream *t, struct zk_error *err)
{
	char api[64];
	const char *argv[] = {
		t->d->self,    "jetstream", "run",
		"--no-config", "--from",    t->sample,
		"--pace",      "1x",        "--store",
		t->store,      "--api-url", api,
		"--api-rps",   "1000",      "--min-free",
		"0",           "--listen",  "off",
		"--log-level", "error",     "--hydrate-deadline",
		"none",        NULL,
	};
	struct zk_child_conf conf = { .ctx = t,
		                      .argv = (char *const *)(uintptr_t)argv,
		                      .err = ZK_CHILD_INHERIT,
		                      .on_exit = on_child_exit };

	(void)snprintf(api, sizeof(api), "http://%s", zk_httpd_address(t->api, 0));
	if (zk_child_start(t->d->loop, &conf, &t->child, err) < 0)
		return -(int)err->code;
	if (!demo_wait(t->d, has_ended, t, WAIT_MS))
		return zk_fail(err, ZK_E_SUMS, "the sample was not read within %d s",
		               WAIT_MS / 1000);
	return t->status == 0 ? 0
	                      : zk_fail(err, ZK_E_SUMS, "zk jetstream run ended with %d",
	                                t->status);
}

static int count(struct tour_stream *t, struct zk_error *err)
{
	char name[ZK_JET_NAME_MAX];
	struct zk_db *db = NULL;
	struct zk_stmt *st;
	char *path;
	int r;

	if (zk_jet_live_read(t->store, name) < 0)
		return zk_fail(err, ZK_E_SUMS, "there is no store");
	path = zk_asprintf("%s/%s", t->store, name);
	r = zk_jet_file_open(path, &db, err);
	free(path);
	if (r == 0)
		r = zk_db_prepare(db,
		                  "SELECT count(DISTINCT at_uri), sum(hydration=2),"
		                  " sum(cache_hits), sum(cache_misses),"
		                  " sum(message_metadata LIKE '%\"mentions\":{\"did:%')"
		                  " FROM records",
		                  &st, err);
	if (r == 0 && (r = zk_stmt_step(st, err)) == 1) {
		t->rows = zk_col_i64(st, 0);
		t->full = zk_col_i64(st, 1);
		t->hits = zk_col_i64(st, 2);
		t->misses = zk_col_i64(st, 3);
		t->mentions = zk_col_i64(st, 4);
	}
	zk_db_close(db);
	return r < 0 ? r : 0;
}

static int work(struct tour_stream *t, struct zk_error *err)
{
	if (write_sample(t, err) < 0 || start_api(t, err) < 0 || enrich(t, err) < 0 ||
	    count(t, err) < 0)
		return -(int)err->code;
	/* Every account once, every post that is replied to once, whoever asks for them. */
	if (t->rows != POSTS || t->full != POSTS || t->mentions != POSTS / MENTION ||
	    t->ids != ACCOUNTS + 20 / REPLY)
		return zk_fail(
		        err, ZK_E_SUMS,
		        "%lld of %d posts are stored, %lld are complete, %lld mention "
		        "somebody, %u ids were asked for",
		        (long long)t->rows, POSTS, (long long)t->full,
		        (long long)t->mentions, t->ids);
	return 0;
}

static int run(struct demo *d, void **state, struct zk_buf *line, struct zk_jwrite *facts,
               struct zk_error *err)
{
	struct tour_stream *t = zk_new0(struct tour_stream);
	double cached;

	t->d = d;
	*state = t;
	if (work(t, err) < 0)
		return -(int)err->code;
	cached = 100.0 * (double)t->hits / (double)ZK_MAX(t->hits + t->misses, 1);
	zk_buf_printf(line,
	              "%lld posts enriched into SQLite, %.0f%% from cache, %u ids in %u "
	              "requests",
	              (long long)t->rows, cached, t->ids, t->requests);
	zk_jw_key(facts, "posts");
	zk_jw_i64(facts, t->rows);
	zk_jw_key(facts, "enriched");
	zk_jw_i64(facts, t->full);
	zk_jw_key(facts, "cached_percent");
	zk_jw_double(facts, cached);
	zk_jw_key(facts, "ids");
	zk_jw_u64(facts, t->ids);
	zk_jw_key(facts, "requests");
	zk_jw_u64(facts, t->requests);
	return 0;
}

static void invite(struct demo *d, void *state)
{
	struct tour_stream *t = state;

	(void)fprintf(stderr,
	              "\nThe stored posts; any SQLite program reads them too:\n"
	              "  %s jetstream query --store %s --limit 3 -o json\n",
	              d->self, t->store);
}

static void stop(struct demo *d, void *state)
{
	struct tour_stream *t = state;

	(void)d;
	zk_child_free(t->child);
	zk_httpd_free(t->api);
	free(t->sample);
	free(t->store);
	free(t);
}

const struct demo_stage zk_demo_jetstream = {
	.name = "jetstream",
	.command = "zk jetstream run --from sample.ndjson --pace 1x",
	.run = run,
	.invite = invite,
	.stop = stop,
};
