// specs/jetstream.md §15.4, §17: the clients of /ws, with `ws` from npm: every record as it is stored,
// filters, clients that are too slow, cursors, the end.  TAP.
import { unlinkSync } from "node:fs";
import WebSocket from "ws";
import { equal, existsSync, fakeHost, folder, join, main, ok, post, readFileSync, readdirSync, rows, Run, same, storeDir, until } from "./jetstream_lib.mjs";

let ready = 0;
async function start(dir, ...more) {
  const s = { dir, n: 0 };
  s.host = await fakeHost(() => {});
  s.ready = join(folder, "ready" + ready++);
  s.run = new Run(["run", "--host", s.host.url, "--wire", "v1", "--collection", "*", "--hydrate", "none", "--min-free", "0", ...(dir ? ["--store", dir] : ["--no-store"]),
    "--listen", "127.0.0.1:0", "--ready-file", s.ready, ...more]);
  await until(() => existsSync(s.ready) && s.host.sockets.size, "ready");
  s.address = JSON.parse(readFileSync(s.ready)).api[0];
  s.send = (n, opts) => { for (const [c] of [[...s.host.sockets]]) for (let i = 0; i < n; i++) c.send(post(s.n++, typeof opts === "function" ? opts(i) : opts)); };
  s.stored = n => until(async () => (await (await fetch(`http://${s.address}/stats`)).json()).data.events_stored >= n, n + " stored", 60000);
  s.metric = async line => Number((await (await fetch(`http://${s.address}/metrics`)).text()).split("\n").find(l => l.startsWith(line))?.slice(line.length));
  s.stop = async name => { equal(await s.run.stop(), 0, name); s.host.close(); };
  return s;
}
async function join_(s, query = "", path = "/ws") {
  const c = new WebSocket(`ws://${s.address}${path}${query}`);
  c.got = [];
  c.on("message", d => c.got.push(JSON.parse(d)));
  c.closed = new Promise(r => c.on("close", (code, reason) => r([code, reason.toString()])));
  await new Promise((res, rej) => { c.on("open", res); c.on("error", rej); });
  c.have = n => until(() => c.got.length >= n && c.got, `${n} records, there are ${c.got.length}`, 60000);
  return c;
}
const refusal = (s, query) => new Promise(r => {
  const c = new WebSocket(`ws://${s.address}/ws${query}`);
  c.on("error", () => {});
  c.on("unexpected-response", (_, res) => { let t = ""; res.on("data", d => { t += d; }); res.on("end", () => r([res.statusCode, t])); });
  c.on("open", () => { c.terminate(); r([101, ""]); });
});
const numbers = c => c.got.map(r => Number(r.message.commit.rev.slice(1)));
const range = (a, b) => Array.from({ length: b - a }, (_, i) => a + i);

main({
  async live() {
    const s = await start(storeDir());
    s.send(3);
    await s.stored(3);
    const c = await join_(s), d = await join_(s, "", "/api/v1/ws");
    s.send(500);
    await c.have(500);
    await d.have(500);
    const kept = rows(s.dir, "SELECT * FROM records ORDER BY id").slice(3);
    ok(same(c.got.map(r => r.message), kept.map(k => JSON.parse(k.message))) && same(numbers(c), range(3, 503)), "each record from now on, in order");
    ok(c.got.every((r, i) => r.at_uri === kept[i].at_uri && r.hydration === "none" && "hydrated_metadata" in r && r.processed_at === kept[i].created_at),
      "with its envelope", c.got[0]);
    ok(same(d.got, c.got), "the same for everybody, below /api/v1 too");
    equal(await s.metric("zk_jetstream_ws_clients "), 2, "/metrics counts the clients");
    equal(await s.metric('zk_jetstream_ws_records_total{result="sent"} '), 1000, "and what they got");
    d.close(1000);
    await d.closed;
    await until(async () => await s.metric("zk_jetstream_ws_clients ") === 1, "one client");
    const none = await fetch(`http://${s.address}/ws`);
    ok(none.status === 426 && none.headers.get("upgrade") === "websocket" && (await none.json()).error.includes("WebSocket"), "a request that is none gets 426");
    s.send(200);
    await until(() => c.got.length > 500, "more");
    equal(await s.run.stop(), 0, "the run ends with 0");
    equal(await c.closed, [1001, ""], "and says goodbye");
    ok(c.got.length === rows(s.dir, "SELECT id FROM records").length - 3, "after all that was stored", c.got.length);
    s.host.close();
  },
  async filters() {
    const s = await start(storeDir());
    const like = "app.bsky.feed.like", b = "did:plc:" + "b".repeat(24);
    const kinds = [{}, { collection: like }, { did: b }, { text: "an owl" }, { kind: "identity", identity: { did: b, seq: 1, time: "2026-01-01T00:00:00Z" }, commit: undefined }];
    const wanted = { "": 5, "?collection=app.bsky.feed.like": 2, "?wantedCollections=app.bsky.graph.*": 1, "?collections=app.bsky.feed.*&kinds=commit": 4, ["?did=" + b]: 1,
      ["?wantedDids=" + encodeURIComponent(b) + "&kind=commit"]: 1, "?kind=identity": 1, "?match=text~%22owl%22": 1, "?op=delete": 1, "?op=delete&kind=commit": 0 };
    const clients = await Promise.all(Object.keys(wanted).map(q => join_(s, q)));
    const live = await join_(s, "?kind=commit");
    live.send(JSON.stringify({ type: "options_update", payload: { wantedCollections: [like] } }));
    live.send(JSON.stringify({ type: "something else" }));
    live.send(""); // refused below, so that the update was read
    equal((await live.closed)[0], 1007, "a text that is no JSON is refused");
    const updated = await join_(s, "?kind=commit");
    updated.send(JSON.stringify({ type: "options_update", payload: { wantedCollections: [like], wantedDids: null } }));
    await new Promise(r => { updated.once("pong", r); updated.ping(); });
    s.send(100, i => kinds[i % 5]);
    await clients[0].have(100);
    await until(() => updated.got.length >= 20, "the updated one");
    await Promise.all(clients.map(c => new Promise(r => { c.once("pong", r); c.ping(); })));
    equal(clients.map(c => c.got.length / 20), Object.values(wanted), "each gets what its query names", Object.keys(wanted));
    ok(updated.got.length === 20 && updated.got.every(r => r.message.commit.collection === like), "options_update while it is open");
    for (const [q, why] of [["?unknown=x", "unknown"], ["?collection=nope", "nope"], ["?did=x", "DID"], ["?did=@/etc/passwd", "DID"], ["?kind=x", "x"], ["?match=((", "match"], ["?cursor=12", "cursor"],
      ["?cursor=x", "cursor"], ["?match=%ff", "read"]]) {
      const [status, text] = await refusal(s, q);
      ok(status === 400 && JSON.parse(text).error.includes(why) && !text.includes("root:"), `400 for ${q}`, status, text);
    }
    const bad = await join_(s);
    bad.send(JSON.stringify({ type: "options_update", payload: { wantedDids: ["@/etc/passwd"] } }));
    const [code, reason] = await bad.closed;
    ok(code === 1008 && reason.includes("DID"), "1008 for options that cannot be", code, reason);
    const binary = await join_(s);
    binary.send(Buffer.from([1]));
    equal((await binary.closed)[0], 1003, "1003 for a binary message");
    await s.stop("the run ends with 0");
  },
  async slow() {
    const s = await start(storeDir());
    const slow = await join_(s), quick = await join_(s, "?collection=app.bsky.feed.post"), text = "x".repeat(20000);
    slow.pause();
    // Each round is less than what a client may be behind.
    for (let k = 0; k < 12; k++) {
      s.send(250, { text });
      await quick.have((k + 1) * 250);
    }
    ok(same(numbers(quick), range(0, 3000)), "one that reads gets all");
    await until(async () => await s.metric('zk_jetstream_ws_records_total{result="dropped"} ') > 0, "drops");
    slow.resume();
    s.send(1);
    await until(() => slow.got.at(-1)?.message?.commit.rev === "r3000", "the last one", 60000);
    const at = slow.got.findIndex(r => r.type === "lagged"), lost = slow.got.filter(r => r.type === "lagged").reduce((n, r) => n + r.dropped, 0);
    slow.got = slow.got.filter(r => r.type !== "lagged");
    ok(at > 0 && lost > 0 && slow.got.length + lost === 3001, "one that does not loses the oldest and is told how many", at, lost, slow.got.length);
    const got = numbers(slow);
    ok(same(got.slice(0, at), range(0, at)) && got[at] === at + lost, "just where they are missing", got[at], at + lost);
    equal(await s.metric('zk_jetstream_ws_records_total{result="dropped"} '), lost, "/metrics counts them");
    await s.stop("the run ends with 0");
  },
  async cursor() {
    const s = await start(storeDir(), "--compress", "none");
    const files = n => until(() => readdirSync(s.dir).filter(f => /^jetstream_.*\.db$/.test(f)).length === n, n + " files", 60000);
    for (let k = 0; k < 3; k++) {
      s.send(1200);
      await s.stored(1200 * (k + 1));
      if (k === 2) break;
      s.run.p.kill("SIGUSR2");
      await files(k + 2);
    }
    const since = JSON.parse(post(700)).time_us;
    const c = await join_(s, "?cursor=" + since), all = await join_(s, "?cursor=1000000000000000&kind=commit");
    const stuck = await join_(s, "?cursor=1000000000000000");
    stuck.pause();
    s.send(1200, { text: "y".repeat(9000) });
    await c.have(4100);
    ok(same(numbers(c), range(700, 4800)), "from a moment on, over several files, and on with what comes");
    await all.have(4800);
    ok(same(numbers(all), range(0, 4800)), "from the beginning");
    s.send(2000, { text: "y".repeat(9000) });
    await c.have(6100);
    stuck.resume();
    await stuck.have(6800);
    ok(same(numbers(stuck), range(0, 6800)), "one that was slow loses nothing");
    const future = await join_(s, "?cursor=" + (since + 3600e6));
    await until(() => { s.send(1); return future.got.length; }, "a record");
    ok(numbers(future)[0] >= 6800, "a moment to come is from now on", numbers(future));
    for (const x of [c, all, stuck, future]) x.terminate();
    await until(async () => await s.metric("zk_jetstream_ws_clients ") === 0, "nobody is left of these");
    const eight = await Promise.all(range(0, 8).map(() => join_(s, "?cursor=" + since)));
    equal((await refusal(s, "?cursor=" + since))[0], 503, "not more than eight at once");
    for (const x of eight) x.terminate();
    await until(async () => await s.metric("zk_jetstream_ws_clients ") === 0, "nobody is left");
    await s.stop("the run ends with 0");
  },
  async packed() {
    const s = await start(storeDir());
    s.send(100);
    await s.stored(100);
    s.run.p.kill("SIGUSR2");
    await until(() => readdirSync(s.dir).some(f => f.endsWith(".db.zst")), "a packed file");
    await until(() => readdirSync(s.dir).filter(f => /^jetstream_.*\.db$/.test(f)).length === 1, "its plain form is gone");
    s.send(50);
    await s.stored(150);
    const c = await join_(s, "?cursor=1000000000000000"), d = await join_(s, "?cursor=" + JSON.parse(post(60)).time_us);
    await c.have(150);
    await d.have(90);
    ok(same(numbers(c), range(0, 150)) && same(numbers(d), range(60, 150)), "packed files are read too");
    for (const x of [c, d]) x.terminate();
    // Taken away behind its back, as an archive or a limit would.
    unlinkSync(join(s.dir, readdirSync(s.dir).find(f => f.endsWith(".db.zst"))));
    const e = await join_(s, "?cursor=1000000000000000");
    await e.have(51);
    ok(same(e.got.shift(), { type: "lagged", dropped: null }) && same(numbers(e), range(100, 150)), "what is gone is told, the rest comes");
    ok(!readdirSync(s.dir).some(f => f.startsWith("zk-unpacked")), "no copy is left");
    await s.stop("the run ends with 0");
  },
  async nothing_to_read() {
    const s = await start(null);
    const [status, text] = await refusal(s, "");
    ok(status === 503 && JSON.parse(text).error.includes("store"), "503 without a store", status, text);
    await s.stop("the run ends with 0");
  },
});
