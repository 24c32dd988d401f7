"""Spans of our own requests against a collector that reads strictly: OTEL_* variables, the trace
context of the environment, collectors that are down, slow, busy or refuse."""

import gzip
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import otlp  # noqa: E402
import zkt  # noqa: E402
from zkt import Answer, Responder  # noqa: E402

KEY = "zk_live_" + "k" * 40
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORGANIZATION = b'{"id":"o","name":"n","plan":"free","rate_limit_per_minute":100}'


def call(server, env, *args, **kw):
    """One command with one request."""
    full = {"ZK_TRIGGERS_KEY": KEY, "ZK_TRIGGERS_URL": server.url, "no_proxy": "*"}
    full.update(env)
    return zkt.zk("triggers", "keys", "show", *args, env=full, **kw)


def answers(*script):
    return Responder(list(script), default=Answer(body=ORGANIZATION, headers=[
        ("Content-Type", "application/json")]))


def spans_of(collector):
    out = []
    for r in collector.requests:
        zkt.equal(r.path, "/v1/traces", "spans go to /v1/traces")
        zkt.equal(r.header("content-type"), "application/json", "as JSON")
        zkt.ok(r.header("traceparent") is None, "telemetry is no part of the trace")
        body = gzip.decompress(r.body) if r.header("content-encoding") == "gzip" else r.body
        out += otlp.decode(body)
    return out


def test_nothing_without_being_asked():
    with answers() as api, Responder() as collector:
        r = call(api, {})
        zkt.equal(r.status, 0, "the command")
        zkt.equal(api.requests[0].header("traceparent"), None, "no trace context is invented")
        call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true"})
        call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_EXPORTER": "none"})
        zkt.equal(len(collector.requests), 0, "OTEL_SDK_DISABLED and exporter none send nothing")


def test_spans():
    with answers() as api, Responder() as collector:
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/",
                       "OTEL_SERVICE_NAME": "nightly",
                       "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=a%20b,host.name=h,bad"})
        zkt.equal(r.status, 0, "the command", r.err)
        spans = spans_of(collector)
        zkt.equal(sorted(s.name for s in spans), ["GET", "zk triggers keys show"],
                  "one span for the request, one for the command")
        request = next(s for s in spans if s.kind == 3)
        command = next(s for s in spans if s.kind == 1)
        zkt.equal((request.trace_id, request.parent_id), (command.trace_id, command.span_id),
                  "the request belongs to the command")
        zkt.equal(command.parent_id, "", "which has no parent here")
        zkt.equal(api.requests[0].header("traceparent"),
                  f"00-{request.trace_id}-{request.span_id}-01",
                  "the server learns the request's span")
        a = request.attrs
        zkt.equal((a["http.request.method"], a["http.response.status_code"], a["server.address"],
                   a["url.path"], a["url.scheme"], a["network.protocol.version"]),
                  ("GET", 200, "127.0.0.1", "/api/keys", "http", "1.1"), "attributes")
        zkt.equal(a["server.port"], int(api.url.rsplit(":", 1)[1]), "and the port")
        zkt.equal(command.attrs["process.exit.code"], 0, "the command's exit status")
        res = request.resource
        zkt.equal((res["service.name"], res["deployment.environment"], res["host.name"]),
                  ("nightly", "a b", "h"), "the resource")
        zkt.matches("a pair is not understood", r.err, "a bad pair is named")
        zkt.ok(command.start <= request.start and request.end <= command.end, "times nest")


def test_environment_context():
    with answers() as api, Responder() as collector:
        call(api, {"TRACEPARENT": PARENT, "TRACESTATE": "a=1,b=2"})
        q = api.requests[-1]
        zkt.equal((q.header("traceparent"), q.header("tracestate")), (PARENT, "a=1,b=2"),
                  "without a collector the context is passed on as it is")
        call(api, {"TRACEPARENT": PARENT + "x"})
        zkt.equal(api.requests[-1].header("traceparent"), None, "a malformed one is not")
        call(api, {"TRACEPARENT": PARENT, "TRACESTATE": "a=1",
                   "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/v1/traces"})
        spans = spans_of(collector)
        command = next(s for s in spans if s.kind == 1)
        zkt.equal({s.trace_id for s in spans}, {PARENT[3:35]}, "the trace is joined")
        zkt.equal(command.parent_id, PARENT[36:52], "under the caller's span")
        zkt.equal(command.state, "a=1", "with its state")
        call(api, {"TRACEPARENT": PARENT[:-2] + "00",
                   "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/v1/traces"})
        zkt.equal(len(spans_of(collector)), len(spans), "a trace nobody records is not recorded")
        zkt.matches(f"^00-{PARENT[3:35]}-.*-00$", api.requests[-1].header("traceparent"),
                    "and the server is told so")
        call(api, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0",
                   "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        zkt.equal(len(spans_of(collector)), len(spans), "nor with a ratio of 0")


def test_failures_and_retries():
    with answers(503, 503) as api, Responder() as collector:
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, "--retry-base", "1ms")
        zkt.equal(r.status, 0, "the third try succeeds", r.err)
        tries = sorted((s for s in spans_of(collector) if s.kind == 3), key=lambda s: s.start)
        zkt.equal([s.attrs.get("http.request.resend_count", 0) for s in tries], [0, 1, 2],
                  "one span per try, numbered")
        zkt.equal([(s.status, s.attrs.get("error.type")) for s in tries],
                  [(2, "503"), (2, "503"), (0, None)], "failed ones say so")
    with answers(401) as api, Responder() as collector:
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        zkt.equal(r.status, 77, "a refused key")
        command = next(s for s in spans_of(collector) if s.kind == 1)
        zkt.equal((command.attrs["process.exit.code"], command.status), (77, 2),
                  "the command's span failed with it")


def test_bad_collectors():
    with answers() as api:
        began = time.monotonic()
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
        zkt.equal(r.status, 0, "a collector that is down fails nothing")
        zkt.equal(r.err.count("spans cannot be delivered"), 1, "and is told of once", r.err)
        with Responder(default=["hang"]) as collector:
            r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
            zkt.equal(r.status, 0, "one that hangs fails nothing either")
            zkt.ok(time.monotonic() - began < 8 * zkt.SLOW, "nor does the command wait for it")
        with Responder([503], default=200) as collector:
            r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
            zkt.equal((r.status, len(collector.requests)), (0, 2), "a busy one is asked again")
        partial = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}'
        with Responder(default=Answer(body=partial)) as collector:
            r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
            zkt.matches("rejected some", r.err, "a partial success is told of")
        for text in ("not a url", "ftp://x", "http://"):
            r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": text})
            zkt.equal((r.status, r.err.count("spans cannot be delivered")), (0, 1),
                      f"{text!r} as an endpoint", r.err)


def test_settings():
    with answers() as api, Responder() as collector:
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                       "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cr3t%2Fvalue, x-team = a",
                       "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, "--trace=headers,bodies")
        q = collector.requests[0]
        zkt.equal((q.header("api-key"), q.header("x-team")), ("s3cr3t/value", "a"), "headers")
        zkt.equal(q.header("content-encoding"), "gzip", "compressed")
        zkt.equal(len(spans_of(collector)), 2, "and complete")
        zkt.ok("s3cr3t" not in r.err and "v1/traces" not in r.err,
               "the wire log does not show telemetry")
        r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                       "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        zkt.equal((r.status, r.err.count("only http/json"), len(collector.requests)), (0, 1, 1),
                  "grpc: one warning, off")
        call(api, {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=other-place"},
             "--otel-endpoint", collector.url)
        zkt.equal(collector.requests[-1].header("api-key"), None,
                  "credentials of the variables stay with their address")
        for bad in ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, {"OTEL_TRACES_SAMPLER": "x"},
                    {"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_COMPRESSION": "br"}):
            r = call(api, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **bad})
            zkt.equal((r.status, r.err.count("not understood")), (0, 1), f"{bad}", r.err)


def test_file():
    path = zkt.tmp() + "/spans.jsonl"
    with answers() as api:
        for _ in range(2):
            zkt.equal(call(api, {}, "--otlp-file", path).status, 0, "spans to a file")
        lines = pathlib.Path(path).read_text().splitlines()
        zkt.equal([len(otlp.decode(line)) for line in lines], [2, 2], "one object per run")
        zkt.equal(pathlib.Path(path).stat().st_mode & 0o777, 0o600, "for its owner only")
        r = call(api, {}, "--otlp-file", "/dev/full")
        zkt.equal(r.status, 0, "a full disk fails nothing", r.err)


zkt.main()
