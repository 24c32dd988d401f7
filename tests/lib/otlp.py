"""A strict reader of OTLP traces in JSON (ExportTraceServiceRequest of opentelemetry-proto 1.x):
what a collector takes, and nothing else. An unknown name, a number where a string belongs, an id
that is not hexadecimal of the right length: each is an error that names its place.

    spans = otlp.decode(body)            # list of Span, each with .resource and .scope
"""

import dataclasses
import json
import re


class Bad(Exception):
    pass


@dataclasses.dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: int
    end: int
    attrs: dict
    status: int
    message: str
    state: str
    resource: dict
    scope: dict
    events: list


def _object(v, where, allowed, required=()):
    if not isinstance(v, dict):
        raise Bad(f"{where}: no object")
    for k in v:
        if k not in allowed:
            raise Bad(f"{where}: unknown member {k!r}")
    for k in required:
        if k not in v:
            raise Bad(f"{where}: {k!r} is missing")
    return v


def _list(v, where):
    if not isinstance(v, list):
        raise Bad(f"{where}: no array")
    return v


def _text(v, where):
    if not isinstance(v, str):
        raise Bad(f"{where}: no string")
    return v


def _hex(v, where, n):
    if not re.fullmatch("[0-9a-f]{%d}" % (2 * n), _text(v, where)) or set(v) == {"0"}:
        raise Bad(f"{where}: {v!r} is no id of {n} bytes")
    return v


def _u64(v, where):
    if not re.fullmatch("0|[1-9][0-9]{0,19}", _text(v, where)) or int(v) >= 1 << 64:
        raise Bad(f"{where}: {v!r} is no 64-bit number in a string")
    return int(v)


def _value(v, where):
    kinds = ("stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue")
    _object(v, where, kinds)
    if len(v) != 1:
        raise Bad(f"{where}: not exactly one value")
    kind, x = next(iter(v.items()))
    if kind == "stringValue":
        return _text(x, where)
    if kind == "boolValue" and isinstance(x, bool):
        return x
    if kind == "intValue" and isinstance(x, str) and re.fullmatch("-?(0|[1-9][0-9]{0,18})", x):
        return int(x)
    if kind == "doubleValue" and isinstance(x, (int, float)) and not isinstance(x, bool):
        return float(x)
    raise Bad(f"{where}: {kind} does not hold {x!r}")


def _attrs(v, where):
    out = {}
    for i, pair in enumerate(_list(v, where)):
        at = f"{where}[{i}]"
        _object(pair, at, ("key", "value"), ("key", "value"))
        key = _text(pair["key"], at)
        if not key or key in out:
            raise Bad(f"{at}: {key!r} is empty or there twice")
        out[key] = _value(pair["value"], at)
    return out


def _event(v, where):
    _object(v, where, ("timeUnixNano", "name", "attributes", "droppedAttributesCount"), ("name",))
    return {"name": _text(v["name"], where), "time": _u64(v.get("timeUnixNano", "0"), where),
            "attrs": _attrs(v.get("attributes", []), where + ".attributes")}


def _span(v, where, resource, scope):
    _object(v, where,
            ("traceId", "spanId", "traceState", "parentSpanId", "flags", "name", "kind",
             "startTimeUnixNano", "endTimeUnixNano", "attributes", "droppedAttributesCount",
             "events", "droppedEventsCount", "links", "droppedLinksCount", "status"),
            ("traceId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano"))
    kind = v.get("kind", 0)
    if not isinstance(kind, int) or isinstance(kind, bool) or not 1 <= kind <= 5:
        raise Bad(f"{where}: kind {kind!r}")
    status = _object(v.get("status", {}), where + ".status", ("code", "message"))
    code = status.get("code", 0)
    if code not in (0, 1, 2) or isinstance(code, bool):
        raise Bad(f"{where}: status {code!r}")
    s = Span(_hex(v["traceId"], where + ".traceId", 16), _hex(v["spanId"], where + ".spanId", 8),
             _hex(v["parentSpanId"], where + ".parentSpanId", 8) if v.get("parentSpanId") else "",
             _text(v["name"], where + ".name"), kind,
             _u64(v["startTimeUnixNano"], where), _u64(v["endTimeUnixNano"], where),
             _attrs(v.get("attributes", []), where + ".attributes"), code,
             _text(status.get("message", ""), where), _text(v.get("traceState", ""), where),
             resource, scope,
             [_event(e, f"{where}.events[{i}]") for i, e in enumerate(v.get("events", []))])
    if not s.name or s.end < s.start or not s.start:
        raise Bad(f"{where}: no name, or it ends before it begins")
    return s


def _pairs(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise Bad("a name is there twice")
    return out


def decode(body):
    spans = []
    top = json.loads(body, object_pairs_hook=_pairs)
    _object(top, "request", ("resourceSpans",), ("resourceSpans",))
    for i, rs in enumerate(_list(top["resourceSpans"], "resourceSpans")):
        at = f"resourceSpans[{i}]"
        _object(rs, at, ("resource", "scopeSpans", "schemaUrl"), ("scopeSpans",))
        res = _object(rs.get("resource", {}), at + ".resource",
                      ("attributes", "droppedAttributesCount"))
        resource = _attrs(res.get("attributes", []), at + ".resource.attributes")
        for j, ss in enumerate(_list(rs["scopeSpans"], at + ".scopeSpans")):
            here = f"{at}.scopeSpans[{j}]"
            _object(ss, here, ("scope", "spans", "schemaUrl"), ("spans",))
            scope = _object(ss.get("scope", {}), here + ".scope",
                            ("name", "version", "attributes", "droppedAttributesCount"))
            for k, v in enumerate(_list(ss["spans"], here + ".spans")):
                spans.append(_span(v, f"{here}.spans[{k}]", resource, scope))
    return spans
