// What `zk procwire worker` can put behind a method: commands, scripts, filters, HTTP, SQLite, zk's
// own verbs, the C API; and the examples.  TAP.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { equal, ok, rejected, run, temp, test, waitFor, zk } from "../lib/tap.mjs";
import { collect, msgpackCodec, rawCodec, start } from "./tools/procwire.mjs";

const example = name => fileURLToPath(new URL("../../examples/" + name, import.meta.url));
const built = name => `${process.env.TEST_BUILD}/${name}`;
const handles = (...h) => h.flatMap(x => ["--handle", x]);
const rawIn = { requestCodec: rawCodec, responseCodec: msgpackCodec };

test("exec", async () => {
  const { module: m, stop } = await start([...handles(
    "greet=exec:echo 'hello {name}' '{n}'", "upper,codec=raw=exec:tr a-z A-Z", "bad=exec:sh -c 'echo oops >&2; exit 3'",
    "grep,ok=0,ok=1,out=lines=exec:grep {word}", "full,out=full=exec:sh -c 'echo out; echo err >&2; exit 4'",
    "none=exec:/nonexistent/program", "json,out=json=exec:echo '{{\"a\": [1, 2.5]}'",
    "stdin=exec:cat", "lines,kind=stream=exec:seq {n}", "wide,kind=stream=exec:head -c 17000000 /dev/zero", "nd,kind=stream,out=ndjson=exec:cat",
    "bytes,kind=stream,response-codec=raw=exec:head -c {n} /dev/zero", "many,max-output=1KiB=exec:yes",
    "hurry,timeout=50ms=exec:sleep 30")],
  d => ["greet", "bad", "grep", "full", "none", "json", "stdin", "many", "hurry"].reduce((x, n) => x.method(n, {}), d)
    .method("upper", { codec: rawCodec }).method("lines", { response: "stream" }).method("wide", { response: "stream" }).method("nd", { response: "stream" })
    .method("bytes", { requestCodec: msgpackCodec, responseCodec: rawCodec, response: "stream" }));
  equal(await m.send("greet", { name: "a b; rm $HOME", n: 7 }), "hello a b; rm $HOME 7", "a field stays one word");
  equal((await m.send("upper", Buffer.from("abc"))).toString(), "ABC", "raw in, raw out");
  let e = await rejected(m.send("bad", null), "a failing command rejects");
  equal([e.message, e.data.code, e.data.exit], ["oops", "EXIT", 3], "with the last line of stderr and the status");
  equal(await m.send("grep", { word: "b", stdin: "abc\nxyz\nb" }), ["abc", "b"], "lines, stdin from the request");
  equal(await m.send("grep", { word: "q", stdin: "abc" }), [], "a status that is ok");
  equal(await m.send("full", null), { exit: 4, signal: 0, stdout: "out\n", stderr: "err\n" }, "the full outcome");
  e = await rejected(m.send("none", null), "a program that is not there rejects");
  equal(await m.send("json", null), { a: [1, 2.5] }, "JSON becomes a value");
  equal(await m.send("stdin", { a: 1 }), '{"a":1}', "the JSON of the request is stdin");
  equal(await collect(m.stream("lines", { n: 3 })), ["1", "2", "3"], "lines as chunks");
  e = await rejected(collect(m.stream("wide", null)), "a line of 17 MB");
  ok(/longer than \d+ bytes/.test(e.message), "is not cut in silence", e.message);
  equal(await collect(m.stream("nd", { stdin: '1\n{"a":2}\n\n' })), [1, { a: 2 }], "records as chunks");
  equal((await collect(m.stream("bytes", { n: 3000000 }))).reduce((n, b) => n + b.length, 0), 3000000, "bytes as chunks");
  e = await rejected(m.send("many", null), "endless output rejects");
  equal(e.data.code, "LIMIT", "at its limit");
  e = await rejected(m.send("hurry", null), "a slow command rejects");
  ok(/longer than 50 ms|Timeout/.test(e.message), "after the time-out that was announced", e.message);
  e = await rejected(m.send("greet", { name: "x" }), "a missing field rejects");
  ok(/lacks 'n'/.test(e.message), "and is named", e.message);
  await rejected(m.send("greet", { name: "a\0b", n: 1 }), "a NUL byte rejects");
  await stop();
});

test("sh, events, ack", async () => {
  const { module: m, stop } = await start(["--event", "progress", ...handles(
    "count=sh:for i in 1 2 3; do echo '{\"event\":\"progress\",\"data\":'$i'}' >&$ZK_EVENT_FD; done; echo \"$ZK_ARG_word\"",
    "job,kind=ack=sh:cat; exit 5")],
  d => d.method("count", {}).method("job", { response: "ack" }).event("progress").event("job.done"));
  const got = [], done = [];
  m.onEvent("progress", x => got.push(x));
  m.onEvent("job.done", x => done.push(x));
  equal(await m.send("count", { word: "$(id) `id`" }), "$(id) `id`", "nothing of a request is run");
  await waitFor("events", () => got.length === 3);
  equal(got, [1, 2, 3], "events of a command");
  equal(await m.send("job", { stdin: "in" }), null, "acknowledged at the start");
  await waitFor("the outcome", () => done.length === 1);
  equal([done[0].stdout, done[0].exit], ["in", 5], "the outcome is an event");
  await stop();
});

test("co", async () => {
  const filter = temp("filter.py");
  writeFileSync(filter, `
import json, os, sys
for line in sys.stdin:
    m = json.loads(line)
    i, d = m["id"], m.get("data")
    if m.get("abort"): continue
    if d == "die": os._exit(7)
    if d == "fail": print(json.dumps({"id": i, "error": {"message": "no", "code": "NO"}}))
    elif m["method"] == "spell":
        for c in d: print(json.dumps({"id": i, "chunk": c}))
        print(json.dumps({"id": i, "end": True}))
    elif d == "hang": pass
    elif d == "flood": print(json.dumps({"id": i, "data": "x" * (17 << 20)}))
    else: print(json.dumps({"id": i, "data": [os.getpid(), d]}))
    sys.stdout.flush()
`);
  const { module: m, stop } = await start(handles(`call,copies=2=co:python3 ${filter}`,
    `spell,kind=stream=co:python3 ${filter}`),
  d => d.method("call", { cancellable: true }).method("spell", { response: "stream" }));
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => m.send("call", i)));
  equal(all.map(a => a[1]), Array.from({ length: 200 }, (_, i) => i), "answers find their calls");
  ok(new Set(all.map(a => a[0])).size <= 2, "by at most two processes");
  equal(await collect(m.stream("spell", "abc")), ["a", "b", "c"], "chunks and an end");
  const e = await rejected(m.send("call", "fail"), "an error rejects");
  equal([e.message, e.data.code], ["no", "NO"], "as the process said it");
  const c = new AbortController();
  const hung = m.send("call", "hang", { signal: c.signal });
  c.abort();
  await rejected(hung, "an abort");
  await rejected(m.send("call", "die"), "a process that ends rejects");
  await rejected(m.send("call", "flood"), "a line that is too long rejects");
  equal((await m.send("call", "again"))[1], "again", "and is replaced");
  await stop();
  const { module: n, stop: end } = await start(handles(`upper=co:python3 ${example("filter.py")}`),
    d => d.method("upper", {}));
  equal(await n.send("upper", "abc"), "ABC", "examples/filter.py");
  await end();
});

test("http", async () => {
  const seen = [];
  const server = createServer((q, r) => {
    let body = "";
    q.on("data", x => body += x).on("end", () => {
      seen.push([q.method, q.url, body, q.headers["x-k"]]);
      if (q.url.startsWith("/no")) r.statusCode = 418;
      if (q.url === "/big") return r.end(Buffer.alloc(3000000, "z"));
      r.end(q.url.startsWith("/json") ? '{"a":[1]}' : "text of " + q.url);
    });
  });
  await new Promise(f => server.listen(0, "127.0.0.1", f));
  const at = `http://127.0.0.1:${server.address().port}`;
  const { module: m, stop } = await start(handles(`get=http:GET ${at}/{path}`, `json,out=json=http:GET ${at}/json`,
    `post,headers=X-K: v=http:POST ${at}/in`, `big,kind=stream,response-codec=raw=http:GET ${at}/big`,
    "any,allow=example.invalid=http:GET http://{host}/"),
  d => d.method("get", {}).method("json", {}).method("post", {}).method("any", {})
    .method("big", { requestCodec: msgpackCodec, responseCodec: rawCodec, response: "stream" }));
  equal(await m.send("get", { path: "a b/../?x" }), "text of /a%20b%2F..%2F%3Fx", "a field is percent-encoded");
  equal(await m.send("json", null), { a: [1] }, "JSON");
  await m.send("post", { k: 1 });
  equal(seen.at(-1), ["POST", "/in", '{"k":1}', "v"], "the request is the body");
  equal((await collect(m.stream("big", null))).reduce((n, b) => n + b.length, 0), 3000000, "a streamed answer");
  const e = await rejected(m.send("get", { path: "no" }), "a status of 418 rejects");
  equal([e.data.code, e.data.status], ["HTTP", 418], "with the status");
  await rejected(m.send("any", { host: at.slice(7) }), "a host that is not allowed");
  await stop();
  server.close();
});

test("sql", async () => {
  const db = temp("t.db"), yaml = temp("sql.yaml");
  execFileSync("sqlite3", [db, "create table t(id integer primary key, name text, b blob); insert into t values(1,'a',x'00ff'),(2,'b',null)"]);
  writeFileSync(yaml, `version: 1
default_profile: t
profiles:
  t:
    procwire:
      methods:
        find: { handler: "sql:${db}", query: "select * from t where id >= :min order by id" }
        rows: { handler: "sql:${db}", query: "select id from t", kind: stream }
        put: { handler: "sql:${db}", query: "insert into t(name) values(:name)", kind: ack, write: true }
        sneak: { handler: "sql:${db}", query: "delete from t" }
        wrong: { handler: "sql:${db}", query: "select * from nothing" }
`, { mode: 0o600 });
  const { module: m, stop } = await start(["--config", yaml], d => d.method("find", {}).method("sneak", {})
    .method("wrong", {}).method("rows", { response: "stream" }).method("put", { response: "ack" }));
  const rows = await m.send("find", { min: 1 });
  equal(rows.map(r => [r.id, r.name]), [[1, "a"], [2, "b"]], "rows");
  ok(Buffer.from([0, 255]).equals(rows[0].b) && rows[1].b === null, "blobs and nulls");
  equal(await collect(m.stream("rows", null)), [{ id: 1 }, { id: 2 }], "rows as chunks");
  equal(await m.send("put", { name: "'); drop table t; --" }), { changes: 1 }, "a parameter is never SQL");
  equal((await m.send("find", { min: 3 }))[0].name, "'); drop table t; --", "but a value");
  await rejected(m.send("sneak", null), "read-only by default");
  await rejected(m.send("wrong", null), "a query that is wrong");
  await rejected(m.send("find", {}), "a missing parameter");
  await stop();
});

test("built-in", async () => {
  const key = temp("key");
  writeFileSync(key, "secret\n", { mode: 0o600 });
  const { module: m, stop } = await start(["--expose", "hash,gzip,gunzip,zstd,unzstd,base64,uuid,info,json.query,sleep",
    ...handles(`sign=hmac:${key}`)],
  d => d.method("hash", rawIn).method("base64", rawIn).method("sign", rawIn).method("gzip", { codec: rawCodec })
    .method("gunzip", { codec: rawCodec }).method("zstd", { codec: rawCodec }).method("unzstd", { codec: rawCodec }).method("uuid", {}).method("info", {}).method("json.query", {}).method("zk.ping", {}));
  const b = Buffer.alloc(3000000, "abc");
  equal(await m.send("hash", b), createHash("sha256").update(b).digest("hex"), "hash");
  equal(await m.send("sign", b), createHmac("sha256", "secret").update(b).digest("hex"), "hmac");
  equal(await m.send("base64", b), b.toString("base64"), "base64");
  ok(gunzipSync(await m.send("gzip", b)).equals(b), "gzip");
  ok((await m.send("gunzip", gzipSync(b))).equals(b), "gunzip");
  await rejected(m.send("gunzip", b), "what is no gzip");
  const packed = await m.send("zstd", b);
  equal(packed.readUInt32LE(0), 0xFD2FB528, "zstd makes a frame of RFC 8878");
  ok((await m.send("unzstd", packed)).equals(b), "and unzstd gives the bytes back");
  ok((await m.send("unzstd", await m.send("zstd", Buffer.alloc(1 << 20)))).equals(Buffer.alloc(1 << 20)), "also of a megabyte");
  ok(/^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(await m.send("uuid", null)), "uuid");
  equal((await m.send("info", null)).program, "zk", "info");
  equal(await m.send("json.query", { json: '{"a":[{"b":9007199254740993}]}', path: "a.0.b" }), 9007199254740992, "json.query");
  equal(await m.send("zk.ping", null), "pong", "zk.ping");
  await stop();
});

test("files", async () => {
  const dir = temp("files"), log = dir + "/log";
  mkdirSync(dir);
  writeFileSync(log, "one\n");
  writeFileSync(temp("outside"), "secret");
  symlinkSync(temp("outside"), dir + "/link");
  const { module: m, stop } = await start(["--expose", `file.read:${dir},file.tail:${dir},dir.watch:${dir}`],
    d => d.method("file.read", { requestCodec: msgpackCodec, responseCodec: rawCodec })
      .method("file.tail", { response: "stream", cancellable: true }).method("dir.watch", { response: "stream", cancellable: true }));
  equal((await m.send("file.read", "log")).toString(), "one\n", "file.read");
  for (const path of [temp("outside"), "../outside", "link", "/etc/passwd", "nothing", "", "."])
    await rejected(m.send("file.read", path), "not " + path.replace(temp(""), ""));
  const c = new AbortController(), got = [], seen = [];
  const follow = (name, path, into) => (async () => {
    try {
      for await (const x of m.stream(name, path, { signal: c.signal })) into.push(x);
    } catch { /* AbortError */ }
  })();
  const both = [follow("file.tail", "log", got), follow("dir.watch", ".", seen)];
  await waitFor("a line", () => { appendFileSync(log, "two\n"); return got.includes("two"); });
  ok(!got.includes("one"), "file.tail begins at the end");
  await waitFor("a change", () => { writeFileSync(dir + "/new", "x"); return seen.some(e => e.name === "new"); });
  c.abort();
  await Promise.all(both);
  await stop();
});

test("zk:webhook.verify", async () => {
  const secret = temp("whsec"), body = Buffer.from('{"type":"a.b","n":1}\xff', "latin1");
  writeFileSync(secret, "it-is-a-secret", { mode: 0o600 });
  const good = "sha256=" + createHmac("sha256", "it-is-a-secret").update(body).digest("hex");
  const { module: m, stop } = await start(["--webhook-secret-file", secret,
    ...handles("verify=zk:webhook.verify")], d => d.method("verify", {}));
  equal(await m.send("verify", { body, signature: good }), true, "a signature by the secret");
  equal(await m.send("verify", { body: Buffer.concat([body, body]), signature: good }), false, "of another body");
  equal(await m.send("verify", { body, signature: good.slice(0, -1) }), false, "a cut one");
  ok(/body, signature/.test((await rejected(m.send("verify", { body }), "no signature")).message), "says what it takes");
  await stop();
});

test("zk:trace.push", async () => {
  const state = temp("state"), one = { nodeId: "n1", timestamp: 1735689600000, eventType: "input", portId: "p",
    data: { size: 1, type: "text" } };
  const { module: m, stop } = await start(["--zeal-url", "http://127.0.0.1:9", "--spool", state,
    ...handles("push,kind=ack=zk:trace.push")], d => d.method("push", { response: "ack" }));
  equal(await m.send("push", { session: "s1", event: one }), { spooled: 1 }, "one event");
  equal(await m.send("push", { session: "s1", events: [one, one, one] }), { spooled: 3 }, "a list");
  let e = await rejected(m.send("push", { session: "s1", events: [one, { nodeId: 7 }] }), "a bad one among them");
  ok(/event 1/.test(e.message), "is named", e.message);
  e = await rejected(m.send("push", { event: one }), "no session");
  ok(/session/.test(e.message), "is what lacks", e.message);
  const list = spawnSync(zk, ["spool", "show", "-o", "ndjson", "--spool", state], { encoding: "utf8" });
  const rows = list.stdout.trim().split("\n").map(x => JSON.parse(x));
  equal(rows.length, 4, "four are on disk, none of the refused call", list.stderr);
  ok(rows.every(r => JSON.stringify(r).includes("api/zip/traces/s1")), "for the session");
  await stop();
});

test("zk:triggers.send", async () => {
  const got = [];
  const server = createServer((q, r) => {
    let body = "";
    q.on("data", x => body += x).on("end", () => {
      got.push([q.url, JSON.parse(body), JSON.stringify(q.headers)]);
      r.statusCode = 202;
      r.setHeader("content-type", "application/json");
      r.end('{"id":"e1","status":"accepted"}');
    });
  });
  await new Promise(f => server.listen(0, "127.0.0.1", f));
  const key = temp("api-key");
  writeFileSync(key, "sk_test_0123456789abcdef", { mode: 0o600 });
  const { module: m, stop } = await start(["--triggers-url", `http://127.0.0.1:${server.address().port}`,
    "--triggers-key-file", key, ...handles("send=zk:triggers.send")], d => d.method("send", {}));
  equal((await m.send("send", { event_type: "a.b", payload: { x: 1 } })).id, "e1", "an event is sent");
  equal(got[0].slice(0, 2), ["/api/events", { event_type: "a.b", payload: { x: 1 } }], "as it is");
  ok(/sk_test_/.test(got[0][2]), "with the key");
  await stop();
  server.close();
});

test("the C API", async () => {
  const { Module, ModuleManager } = await import("@procwire/core");
  const m = new Module("c").executable(built("examples/worker"), []).method("greet", {})
    .method("squares", { response: "stream", cancellable: true }).method("enqueue", { response: "ack" }).event("progress");
  const manager = new ModuleManager();
  manager.register(m);
  await manager.spawn();
  ok(/^hello, Ada \(greet, request \d+\)$/.test(await m.send("greet", { name: "Ada" })), "respond, method, request id");
  await rejected(m.send("greet", {}), "error");
  equal(await collect(m.stream("squares", { n: 4 })), [0, 1, 4, 9], "chunk, end");
  equal(await m.send("enqueue", null), null, "ack");
  const c = new AbortController();
  let n = 0;
  try {
    for await (const x of m.stream("squares", { n: 1e9 }, { signal: c.signal })) if (++n === 3) c.abort();
  } catch { /* AbortError */ }
  equal(n, 3, "cancellation");
  await manager.shutdown();
});

test("examples/thumbnail.mjs", async () => {
  const image = execFileSync("convert", ["-size", "800x600", "gradient:red-blue", "png:-"]);
  const text = readFileSync(example("thumbnail.mjs"), "utf8");
  ok(text.split("\n").filter(l => l && !l.startsWith("//")).length <= 13, "about ten lines");
  const p = spawnSync("node", ["--input-type=module", "-e", text], { input: image, maxBuffer: 1 << 26,
    env: { ...process.env, ZK: zk }, cwd: fileURLToPath(new URL(".", import.meta.url)) });
  equal(p.status, 0, "it runs", String(p.stderr));
  const size = execFileSync("identify", ["-format", "%m %wx%h", "-"], { input: p.stdout });
  equal(size.toString(), "PNG 64x48", "and makes a small image");
});

test("bindings and checks", async () => {
  const zkRun = (...a) => spawnSync(zk, ["procwire", "worker", ...a], { encoding: "utf8" });
  const args = ["--expose", "echo", ...handles("thumb,codec=raw=exec:cat")];
  const file = temp("bindings.mjs");
  const text = zkRun(...args, "--print-types", "mjs").stdout;
  writeFileSync(file, text.replace(/from "(@procwire\/\w+)"/g, (_, p) => `from "${import.meta.resolve(p)}"`));
  const { declare } = await import(file);
  const { ModuleManager } = await import("@procwire/core");
  const m = declare("x", zk, ["procwire", "worker", ...args]), manager = new ModuleManager();
  manager.register(m);
  await manager.spawn();
  equal([await m.send("echo", 1), (await m.send("thumb", Buffer.from("b"))).toString()], [1, "b"], "--print-types mjs");
  await manager.shutdown();
  ok(/"thumb": \{ request: Buffer; response: Buffer; kind: "result" \}/.test(zkRun(...args, "--print-types", "ts").stdout),
    "--print-types ts");
  equal(zkRun(...args, "--check").status, 0, "--check of what is right");
  equal(zkRun("--handle", "x,kind=stream,out=full=exec:cat", "--check").status, 78, "--check of what is wrong");
  equal(JSON.parse(zkRun(...args, "--print-init").stdout).params.schema.methods.thumb, { id: 1, response: "result" }, "--print-init");
});

await run();
