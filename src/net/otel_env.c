/* What OTEL_* variables ask for.
 * Layer: net. */
#include "net/otel_env.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "codec/uri.h"

#define ZK_LOGGER "otel"
#include "base/log.h"

#include "base/ban.h"

#define MAX_VALUE  65536
#define MAX_PAIRS  128
#define TIMEOUT_MS 10000

/* Empty is unset, as OpenTelemetry has it too. */
static const char *get(const char *name)
{
	const char *s = getenv(name);

	return s && s[0] ? s : NULL;
}

/* Variables for traces alone beat those for all signals. */
static const char *get_signal(const char *last)
{
	char *name = zk_asprintf("OTEL_EXPORTER_OTLP_TRACES_%s", last);
	const char *s = get(name);

	free(name);
	if (s)
		return s;
	name = zk_asprintf("OTEL_EXPORTER_OTLP_%s", last);
	s = get(name);
	free(name);
	return s;
}

static void no_good(const char *what, const char *value)
{
	zk_warn("telemetry: a variable is not understood, ignored",
	        "variable=%s value=%s", what, value);
}

/* "a=b,c=d" with percent-encoded values: calls fn for each. */
static void each_pair(const char *text, const char *what,
                      void (*fn)(struct zk_otel_env *e, zk_str name, zk_str value),
                      struct zk_otel_env *e)
{
	zk_str rest = zk_str_of(text), item, name;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, MAX_VALUE);
	for (size_t n = 0; rest.n && n < MAX_PAIRS; n++) {
		rest = zk_str_cut(rest, ',', &item);
		zk_str value = zk_str_cut(item, '=', &name);

		name = zk_str_trim(name);
		if (!name.n && !value.p)
			continue;
		zk_buf_clear(&b);
		if (!name.n || !value.p || !zk_utf8_valid(name) ||
		    !zk_uri_decode(zk_str_trim(value), ZK_URI_PATH, &b)) {
			zk_warn("telemetry: a pair is not understood, left out",
			        "variable=%s", what);
			continue;
		}
		fn(e, name, zk_buf_str(&b));
	}
}

/* ---- where to --------------------------------------------------------------------------------- */

static void add_header(struct zk_otel_env *e, zk_str name, zk_str value)
{
	zk_redact_add(value);
	e->headers = zk_realloc(e->headers, (e->n_headers + 2) * sizeof(*e->headers));
	e->headers[e->n_headers++] =
	        zk_asprintf("%.*s: %.*s", ZK_STR_ARG(name), ZK_STR_ARG(value));
	e->headers[e->n_headers] = NULL;
}

static char *with_path(const char *base, const char *signal)
{
	size_t n = strlen(base);

	while (n && base[n - 1] == '/')
		n--;
	return zk_asprintf("%.*s/v1/%s", (int)ZK_MIN(n, (size_t)MAX_VALUE), base, signal);
}

/* True when nothing is to be sent. */
static bool protocol_is_off(void)
{
	const char *s = get_signal("PROTOCOL");

	if (!s || strcmp(s, "http/json") == 0)
		return false;
	/* Collectors take both encodings at the same address. */
	if (strcmp(s, "http/protobuf") == 0)
		return false;
	zk_warn("telemetry: only http/json is spoken, spans are not sent", "protocol=%s",
	        s);
	return true;
}

static void read_target(const char *endpoint, struct zk_otel_env *e)
{
	const char *own = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
	const char *base = get("OTEL_EXPORTER_OTLP_ENDPOINT");
	const char *metrics = get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
	const char *s = get_signal("HEADERS");

	if (endpoint) {
		e->url = with_path(endpoint, "traces");
		e->metrics_url = with_path(endpoint, "metrics");
		return;
	}
	if ((!own && !base && !metrics) || protocol_is_off())
		return;
	if (own || base)
		e->url = own ? zk_strdup(own) : with_path(base, "traces");
	if (metrics || base)
		e->metrics_url =
		        metrics ? zk_strdup(metrics) : with_path(base, "metrics");
	if (s)
		each_pair(s, "OTEL_EXPORTER_OTLP_HEADERS", add_header, e);
}

static void read_transfer(struct zk_otel_env *e)
{
	const char *timeout = get_signal("TIMEOUT"), *press = get_signal("COMPRESSION");
	struct zk_error ignored;
	uint64_t ms;

	e->timeout_ms = TIMEOUT_MS;
	if (timeout && (zk_parse_u64(zk_str_of(timeout), &ms, &ignored) < 0 || ms == 0 ||
	                ms > 3600000))
		no_good("OTEL_EXPORTER_OTLP_TIMEOUT", timeout);
	else if (timeout)
		e->timeout_ms = (int64_t)ms;
	if (!press || strcmp(press, "none") == 0)
		return;
	e->gzip = strcmp(press, "gzip") == 0;
	if (!e->gzip)
		no_good("OTEL_EXPORTER_OTLP_COMPRESSION", press);
}

/* ---- what ------------------------------------------------------------------------------------- */

static void read_sampler(struct zk_otel_env *e)
{
	static const struct {
		const char *name;
		enum zk_otel_sampler sampler;
		bool parent_based;
	} known[] = {
		{ "parentbased_always_on", ZK_OTEL_ALWAYS_ON, true },
		{ "parentbased_always_off", ZK_OTEL_ALWAYS_OFF, true },
		{ "parentbased_traceidratio", ZK_OTEL_RATIO, true },
		{ "always_on", ZK_OTEL_ALWAYS_ON, false },
		{ "always_off", ZK_OTEL_ALWAYS_OFF, false },
		{ "traceidratio", ZK_OTEL_RATIO, false },
	};
	const char *s = get("OTEL_TRACES_SAMPLER"), *arg = get("OTEL_TRACES_SAMPLER_ARG");
	struct zk_error ignored;
	size_t i = 0;

	while (s && i < ZK_ARRAY_LEN(known) && strcmp(s, known[i].name) != 0)
		i++;
	if (i == ZK_ARRAY_LEN(known)) {
		no_good("OTEL_TRACES_SAMPLER", s);
		i = 0;
	}
	e->sampler = known[i].sampler;
	e->parent_based = known[i].parent_based;
	e->ratio = 1;
	if (e->sampler == ZK_OTEL_RATIO && arg &&
	    (zk_parse_double(zk_str_of(arg), &e->ratio, &ignored) < 0 || e->ratio < 0 ||
	     e->ratio > 1)) {
		no_good("OTEL_TRACES_SAMPLER_ARG", arg);
		e->ratio = 1;
	}
}

static void set_pair(struct zk_otel_env *e, zk_str name, zk_str value)
{
	size_t i = 0;

	while (i < e->n_pairs && !zk_str_eq(zk_str_of(e->pairs[2 * i]), name))
		i++;
	if (i < e->n_pairs) {
		free(e->pairs[2 * i + 1]);
	} else {
		e->pairs = zk_realloc(e->pairs, 2 * (e->n_pairs + 1) * sizeof(*e->pairs));
		e->pairs[2 * i] = zk_strndup(name.p, name.n);
		e->n_pairs++;
	}
	e->pairs[2 * i + 1] = zk_strndup(value.n ? value.p : "", value.n);
}

static void read_resource(struct zk_otel_env *e)
{
	const char *attrs = get("OTEL_RESOURCE_ATTRIBUTES"),
	           *name = get("OTEL_SERVICE_NAME");

	set_pair(e, ZK_STR("service.name"), ZK_STR("zk"));
	set_pair(e, ZK_STR("service.version"), ZK_STR(ZK_VERSION));
	set_pair(e, ZK_STR("telemetry.sdk.name"), ZK_STR("zk"));
	set_pair(e, ZK_STR("telemetry.sdk.language"), ZK_STR("c"));
	set_pair(e, ZK_STR("telemetry.sdk.version"), ZK_STR(ZK_VERSION));
	if (attrs)
		each_pair(attrs, "OTEL_RESOURCE_ATTRIBUTES", set_pair, e);
	if (name && zk_utf8_valid(zk_str_of(name)))
		set_pair(e, ZK_STR("service.name"), zk_str_of(name));
}

static bool is_off(void)
{
	const char *disabled = get("OTEL_SDK_DISABLED"),
	           *to = get("OTEL_TRACES_EXPORTER");

	if (disabled && zk_str_eq_nocase(zk_str_of(disabled), ZK_STR("true")))
		return true;
	if (!to || strcmp(to, "otlp") == 0)
		return false;
	if (strcmp(to, "none") != 0)
		no_good("OTEL_TRACES_EXPORTER", to);
	return strcmp(to, "none") == 0;
}

static bool metrics_are_off(void)
{
	const char *to = get("OTEL_METRICS_EXPORTER");

	if (to && strcmp(to, "none") != 0 && strcmp(to, "otlp") != 0)
		no_good("OTEL_METRICS_EXPORTER", to);
	return to && strcmp(to, "none") == 0;
}

void zk_otel_env_read(const char *endpoint, struct zk_otel_env *ret)
{
	*ret = (struct zk_otel_env){ .off = is_off() };
	if (ret->off)
		return;
	read_target(endpoint, ret);
	if (metrics_are_off())
		free(ZK_TAKE(ret->metrics_url));
	read_transfer(ret);
	read_sampler(ret);
	read_resource(ret);
}

void zk_otel_env_done(struct zk_otel_env *e)
{
	free(e->url);
	free(e->metrics_url);
	for (size_t i = 0; i < e->n_headers; i++)
		zk_secret_free(e->headers[i]);
	free(e->headers);
	for (size_t i = 0; i < 2 * e->n_pairs; i++)
		free(e->pairs[i]);
	free(e->pairs);
}
