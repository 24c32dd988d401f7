// zk's own verbs as methods of `zk procwire worker`, called by the real @procwire/core: templates of
// a Zeal server, its events over the real socket.io, the Bluesky stream over the real ws, rows for
// a service on @grpc/grpc-js.  specs/cli.md §Procwire.  TAP.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { equal, ok, rejected, run, test, waitFor } from "../lib/tap.mjs";
import { fakeHost, fixtures } from "./jetstream_lib.mjs";
import { collect, rawCodec, msgpackCodec, start } from "./tools/procwire.mjs";
import * as socket from "./tools/zeal_socket.mjs";
import * as zerobus from "./zerobus/lib.js";

const handles = (...h) => h.flatMap(x => ["--handle", x]);
const here = name => fileURLToPath(new URL(name, import.meta.url));

async function zealServer() {
  const p = spawn(process.execPath, [here("tools/zeal.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await new Promise(r => createInterface(p.stdout).once("line", (...a) => r(a)));
  return { url: JSON.parse(line).url, stop: () => new Promise(r => { p.on("exit", r); p.stdin.end(); }) };
}

test("zk:template.*", async () => {
  const server = await zealServer();
  const one = JSON.parse(readFileSync(here("../data/zeal/templates/valid/http-request.json")));
  const { module: m, stop } = await start(["--zeal-url", server.url, ...handles("list=zk:template.list",
    "get=zk:template.get", "register=zk:template.register", "remove=zk:template.delete")],
  d => ["list", "get", "register", "remove"].reduce((x, n) => x.method(n, {}), d));
  equal(await m.send("list", { namespace: "acme" }), [], "nothing is there at first");
  const done = await m.send("register", { namespace: "acme", templates: [one, { ...one, id: "second" }] });
  ok(JSON.stringify(done).includes("second"), "two are registered", done);
  equal((await m.send("list", { namespace: "acme" })).map(t => t.id).sort(), [one.id, "second"].sort(), "and listed");
  equal((await m.send("get", { namespace: "acme", id: "second" })).title, one.title, "one of them is shown");
  let e = await rejected(m.send("get", { namespace: "acme", id: "third" }), "one that is not there");
  ok(/third/.test(e.message), "is named", e.message);
  e = await rejected(m.send("register", { namespace: "acme", templates: [{ id: 7 }] }), "a bad one");
  ok(e.message.length > 10, "the server says why", e.message);
  await m.send("remove", { namespace: "acme", id: "second" });
  equal((await m.send("list", { namespace: "acme" })).map(t => t.id), [one.id], "one was deleted");
  e = await rejected(m.send("list", {}), "no namespace");
  ok(/namespace/.test(e.message), "is what lacks", e.message);
  await stop();
  await server.stop();
});

test("zk:events.tail", async () => {
  const s = await socket.start();
  const { module: m, stop } = await start(handles("tail=zk:events.tail", "bytes,response-codec=raw=zk:events.tail"),
    d => d.method("tail", { response: "stream", cancellable: true })
      .method("bytes", { requestCodec: msgpackCodec, responseCodec: rawCodec, response: "stream", cancellable: true }),
    {}, { ZK_ZEAL_WS_URL: s.url, ZK_ZEAL_WS_RECONNECT_BASE: "20ms" });
  const joined = n => waitFor("zk to join", () => s.sent("auth").length >= n);
  const got = [], c = new AbortController();
  const over = (async () => { for await (const e of m.stream("tail", { workflows: ["wf_1", "wf_2"] }, { signal: c.signal })) got.push(e); })().catch(e => e);
  await joined(2);
  s.io.to("wf_1").emit("zip.event", { id: "e1", type: "node.completed", workflowId: "wf_1", n: 1.5 });
  s.event("wf_2", { nodeId: "n2" });
  await waitFor("both", () => got.length === 2);
  equal([got[0].id, got[0].n, got[1].nodeId], ["e1", 1.5, "n2"], "events of both workflows");
  s.io.disconnectSockets(true);
  await joined(4);
  await waitFor("the gap", () => got.length >= 3);
  equal([got[2].type, got[2].from instanceof Date], ["zk.gap", true], "what was missed is said");
  s.event("wf_1", { nodeId: "n3" });
  await waitFor("the fourth", () => got.length === 4);
  const gone = s.sent("disconnect").length;
  c.abort();
  await over;
  await waitFor("the goodbye", () => s.sent("disconnect").length > gone);
  ok(true, "abort ends the socket");
  const raw = m.stream("bytes", { workflow: "wf_1" })[Symbol.asyncIterator]();
  const first = raw.next();
  await joined(5);
  s.event("wf_1", { nodeId: "n4" });
  equal(JSON.parse((await first).value.toString()).nodeId, "n4", "raw: the JSON as it came");
  const gap = raw.next();
  s.io.disconnectSockets(true);
  equal(JSON.parse((await gap).value.toString()).type, "zk.gap", "and what was missed");
  const e = await rejected(collect(m.stream("tail", { workflows: [] })), "no workflow");
  ok(/workflow/.test(e.message), "is what lacks", e.message);
  await stop();
  await s.stop();
});

test("zk:jetstream.stream", async () => {
  const lines = fixtures().lines("events.ndjson"), events = lines.map(l => JSON.parse(l));
  const host = await fakeHost(c => { for (const l of lines) c.send(l); });
  const { module: m, stop } = await start(handles("sky=zk:jetstream.stream", "bytes,response-codec=raw=zk:jetstream.stream"),
    d => d.method("sky", { response: "stream", cancellable: true })
      .method("bytes", { requestCodec: msgpackCodec, responseCodec: rawCodec, response: "stream", cancellable: true }),
    {}, { ZK_JETSTREAM_HOSTS: host.url, ZK_JETSTREAM_WIRE: "v1" });
  const posts = events.filter(e => e.commit?.collection === "app.bsky.feed.post");
  const some = await collect(m.stream("sky", { kinds: "commit", limit: 20, since: "2025-01-01" }));
  equal(some, posts.slice(0, 20), "posts, as the configuration has it, up to the limit");
  const likes = events.filter(e => e.commit?.collection === "app.bsky.feed.like" && e.commit.operation === "create");
  equal(await collect(m.stream("sky", { collections: ["app.bsky.feed.like"], kinds: ["commit"], ops: ["create"], limit: likes.length, since: "2025-01-01" })),
    likes, "what a call asks for");
  const raw = await collect(m.stream("bytes", { collections: "*", limit: 500, since: "2025-01-01" }));
  equal(raw.map(b => b.toString()), lines.slice(0, 500), "raw: byte for byte");
  const c = new AbortController(), got = [];
  const over = (async () => { for await (const e of m.stream("sky", { collections: "*", since: "2025-01-01" }, { signal: c.signal })) got.push(e); })().catch(e => e);
  await waitFor("all of them", () => got.length === lines.length);
  c.abort();
  await over;
  await waitFor("the connection to close", () => host.sockets.size === 0);
  ok(true, "abort ends the connection");
  let e = await rejected(collect(m.stream("sky", { match: "text ~~ 1" })), "a bad expression");
  ok(e.message.length > 5, "is refused", e.message);
  e = await rejected(collect(m.stream("sky", { dids: ["@/etc/passwd"] })), "a file of the machine");
  ok(/file/.test(e.message), "is not read for a caller", e.message);
  await stop();
  host.close();
});

test("zk:zerobus.append", async () => {
  const svc = await new zerobus.Service().start();
  const { module: m, stop } = await start(handles("append,kind=ack=zk:zerobus.append", `other,value=main.default.other=zk:zerobus.append`),
    d => d.method("append", { response: "ack" }).method("other", {}),
    {}, { ZK_ZEROBUS_ENDPOINT: svc.url, ZK_ZEROBUS_AUTH: "none", ZK_ZEROBUS_TABLE: zerobus.TABLE, ZK_RETRY_BASE: "10ms" });
  equal(await m.send("append", { row: { n: 1, text: "é" } }), { durable: 1 }, "one row");
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => m.send("append", { rows: [{ n: 2 * i + 10 }, { n: 2 * i + 11 }] })));
  ok(all.every(a => a.durable === 2), "rows of many callers");
  equal(svc.streams.length, 1, "in one stream");
  equal([...svc.rows.keys()].map(r => JSON.parse(r).n).sort((a, b) => a - b), [1, ...Array.from({ length: 400 }, (_, i) => i + 10)], "each is there");
  equal(await m.send("other", { row: { n: 5 } }), { durable: 1 }, "a method with a table of its own");
  const e = await rejected(m.send("append", { rows: [{ n: 900 }, 7] }), "a row that is no map");
  ok(/row 1/.test(e.message), "is named", e.message);
  ok(![...svc.rows.keys()].some(r => r.includes("900")), "and none of its call is sent");
  await stop();
  svc.stop();
});

await run();
