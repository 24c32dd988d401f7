// `zk procwire worker` under the real parent: every kind of answer, events, aborts, crashes,
// authentication (specs/procwire.md).  TAP.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { equal, ok, rejected, run, test, waitFor, within } from "../lib/tap.mjs";
import { collect, sockets, start, startAll, rawCodec, msgpackCodec } from "./tools/procwire.mjs";


const sleep = ms => new Promise(r => setTimeout(r, ms));

test("results", async () => {
  const { module: m, stop } = await startAll();
  const values = [null, true, false, 0, 1, -1, 127, 128, 255, 256, 65535, 65536, 4294967295,
    4294967296, -32, -33, -128, -129, -32768, -32769, -2147483649, 2 ** 53 - 1, 1.5, -0.1, "", "zażółć",
    "x".repeat(70000), [], {}, [1, [2, [3]]], { a: { b: [null, "c"] } }];
  for (const v of values) equal(await m.send("echo", v), v, "echo " + JSON.stringify(v).slice(0, 30));
  equal(await m.send("echo", undefined), null, "undefined comes back as null");
  const date = new Date(1700000000123);
  equal((await m.send("echo", { date })).date, date, "a Date survives");
  for (const n of [0, 1, 2, 3, 4, 17, 300, 70000]) {
    const b = randomBytes(n);
    const back = await m.send("echo", { b });
    ok(Buffer.isBuffer(back.b) && back.b.equals(b), `a Buffer of ${n} bytes survives inside a value`);
    ok((await m.send("raw", b)).equals(b), `raw, ${n} bytes`);
  }
  const all = await Promise.all(Array.from({ length: 2000 }, (_, i) => m.send("echo", i)));
  ok(all.every((v, i) => v === i), "2,000 calls in flight");
  const big = randomBytes(10 << 20);
  ok((await m.send("raw", big)).equals(big), "10 MiB raw");
  ok((await m.send("echo", big)).equals(big), "10 MiB msgpack");
  ok((await m.send("cat", big)).equals(big), "10 MiB through cat");
  equal((await m.send("cat", Buffer.alloc(0))).length, 0, "nothing through cat");
  await stop();
  equal(sockets(), [], "no socket is left");
});

test("acks, none", async () => {
  const { module: m, stop } = await startAll();
  equal((await m.send("sink", Buffer.from("abc"))).length, 0, "a raw ack is empty");
  equal((await m.send("sink", Buffer.alloc(5 << 20))).length, 0, "5 MiB into a sink");
  equal(await m.send("enqueue", { a: 1 }), null, "an ack without data is null");
  equal(await m.send("note", "hi"), undefined, "none returns at once");
  await m.send("echo", 1);
  await stop();
});

test("streams", async () => {
  const { module: m, stop } = await startAll();
  equal(await collect(m.stream("count", { n: 5 })), [0, 1, 2, 3, 4], "five chunks");
  equal(await collect(m.stream("count", { n: 0 })), [], "an empty stream");
  equal((await collect(m.stream("count", { n: 50000 }))).length, 50000, "50,000 chunks");
  const parts = await collect(m.stream("source", { n: 100, size: 65536 }));
  equal(parts.reduce((n, b) => n + b.length, 0), 6553600, "raw chunks");
  let seen = 0;
  for await (const x of m.stream("count", { n: 100000 })) if (++seen === 10) break;
  equal(await m.send("echo", "on"), "on", "a consumer that leaves early disturbs nobody");
  const two = await Promise.all([collect(m.stream("count", { n: 300, ms: 1 })),
    collect(m.stream("count", { n: 3000 }))]);
  equal(two.map(a => a.length), [300, 3000], "two streams at a time");
  await stop();
});

test("errors", async () => {
  const { module: m, stop } = await startAll();
  let e = await rejected(m.send("fail", null), "fail rejects");
  ok(/boom/.test(e.message), "with its text", e.message);
  equal(e.data.code, "ZK7014", "and a code");
  e = await rejected(collect(m.stream("failstream", null)), "a failing stream rejects");
  ok(/boom/.test(e.message), "with its text", e.message);
  e = await rejected(collect(m.stream("failraw", Buffer.alloc(0))), "a failing raw stream rejects");
  ok(/boom/.test(e.message), "with its text", e.message);
  equal(await m.send("echo", 1), 1, "the worker goes on");
  await stop();
});

test("events", async () => {
  const { module: m, stop } = await startAll();
  const got = [];
  m.onEvent("progress", d => got.push(d.i));
  equal(await m.send("emit", { n: 500 }), 500, "emit answers");
  await waitFor("500 events", () => got.length === 500);
  equal(got, Array.from({ length: 500 }, (_, i) => i), "in order");
  await stop();
});

test("aborts", async () => {
  const { module: m, stop } = await startAll();
  let c = new AbortController();
  const slow = m.send("slow", { ms: 20000 }, { signal: c.signal });
  setTimeout(() => c.abort(), 50);
  await rejected(slow, "an aborted call rejects");
  await waitFor("the worker to know", async () => (await m.send("zk.stats")).aborted === 1);
  equal((await m.send("zk.stats")).running, 0, "nothing runs any more");
  c = new AbortController();
  let n = 0;
  try {
    for await (const x of m.stream("count", { n: 1e9 }, { signal: c.signal })) if (++n === 1000) c.abort();
  } catch { /* AbortError */ }
  await waitFor("the stream to end", async () => (await m.send("zk.stats")).running === 0);
  ok(n >= 1000, "an endless stream ends by an abort");
  c = new AbortController();
  const held = m.send("hold", { tag: "tag-abort" }, { signal: c.signal });
  await waitFor("the command", () => commands("tag-abort").length === 1);
  c.abort();
  await rejected(held, "an aborted command rejects");
  await waitFor("the command to end", () => commands("tag-abort").length === 0);
  equal(await m.send("slow", { ms: 10 }), "late", "what is not aborted answers");
  await stop();
});

// Processes whose command line holds the tag.
function commands(tag) {
  return readdirSync("/proc").filter(p => /^\d+$/.test(p)).filter(p => {
    try {
      return readFileSync(`/proc/${p}/cmdline`, "latin1").split("\0").includes(tag);
    } catch {
      return false;
    }
  });
}

test("a slow reader", async () => {
  const { module: m, stop } = await startAll();
  let n = 0;
  const slow = (async () => {
    for await (const b of m.stream("source", { n: 300, size: 65536 })) {
      if (n++ % 50 === 0) await sleep(20);
    }
  })();
  await slow;
  equal(n, 300, "every chunk arrives");
  await stop();
});

test("authentication", async () => {
  const { module: m, stop } = await startAll({ auth: true }, { MARK: "of the module" });
  equal(await m.send("echo", "secret"), "secret", "with a token");
  equal(await m.send("penv", { name: "PROCWIRE_TOKEN" }), null, "no command sees the token");
  equal(await m.send("penv", { name: "MARK" }), "of the module", "but other variables");
  await stop();
});

test("heartbeat", async () => {
  const { module: m, stop } = await startAll({ heartbeat: { intervalMs: 50, timeoutMs: 2000 } });
  const big = Buffer.alloc(50 << 20);
  for (let i = 0; i < 3; i++) await m.send("raw", big);
  ok((await m.send("zk.stats")).pings > 0, "pings are answered under load");
  await stop();
});

test("restart after a crash", async () => {
  const { module: m, manager, stop } = await startAll({ restartOnCrash: true });
  m.on?.("error", () => {});
  manager.on?.("module:error", () => {});
  const before = (await m.send("zk.describe")) && (await pid(m));
  process.kill(before, "SIGKILL");
  await rejected(m.send("slow", { ms: 20000 }), "calls in flight reject");
  const again = await waitFor("the new process", async () => {
    try {
      return await within(500, pid(m), "call");
    } catch {
      return 0;
    }
  });
  ok(again !== before, "a new process serves");
  await stop();
  equal(sockets().filter(s => !s.includes(`-${before}-`)), [], "only the killed one left its socket, if at all");
});

// The worker's own pid, from a command: its parent.
async function pid(m) {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  await m.send("echo", 1);
  return Number(children.filter(Boolean).at(-1));
}

test("a start that fails is seen at once", async () => {
  for (const args of [["--no-such-option"], ["--handle", "x=nothing"], ["--config", "/nonexistent"]]) {
    const begin = Date.now();
    const e = await rejected(start(args, m => m.method("x", {})), "wrong: " + args.join(" "));
    ok(Date.now() - begin < 8000, "well before the time-out");
    ok(/error: /.test(e.message), "with the reason", e.message);
  }
  await rejected(start(["--expose", "echo"], m => m.method("other", {})), "a method that is not there");
  await rejected(start(["--expose", "echo"], m => m.method("echo", { response: "stream" })), "another kind");
});

test("bad requests", async () => {
  const { module: m, stop } = await start(["--expose", "echo"],
    m => m.method("echo", { requestCodec: rawCodec, responseCodec: msgpackCodec }));
  for (const bytes of [[], [0xc1], [0x91], [0xa2, 0xff, 0xfe], [0xc0, 0xc0]])
    await rejected(m.send("echo", Buffer.from(bytes)), "undecodable msgpack " + Buffer.from(bytes).toString("hex"));
  equal(await m.send("echo", Buffer.from([0xa1, 0x61])), "a", "the connection stays");
  await stop();
});

test("1 MiB hash by a command", async () => {
  const { module: m, stop } = await start(["--handle", "sum,codec=raw=exec:sha256sum"],
    m => m.method("sum", { codec: rawCodec }));
  const b = randomBytes(1 << 20);
  equal((await m.send("sum", b)).toString().slice(0, 64), createHash("sha256").update(b).digest("hex"),
    "sha256sum");
  await stop();
});

await run();
