// The server's side of WebSockets (src/net/wsd) against `ws` from npm and against clients that
// misbehave on purpose; steers build/tests/peer/ws_server.  TAP.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";

const driver = join(process.env.TEST_BUILD || "build", "tests/peer/ws_server");
const slow = Number(process.env.TEST_SLOW || "1");
let count = 0, failed = 0;

function ok(condition, name, ...detail) {
  count++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${count} - ${name}`);
  if (!condition) for (const d of detail) console.log(`# ${JSON.stringify(d)}`);
}
const equal = (got, want, name) => ok(JSON.stringify(got) === JSON.stringify(want), name, { got, want });

function within(promise, what, ms = 20000) {
  let t;
  return Promise.race([promise, new Promise((_, rej) => { t = setTimeout(() => rej(new Error("waited for " + what)), ms * slow); })])
    .finally(() => clearTimeout(t));
}

async function serve(listen = "127.0.0.1:0", maxMessage = 0, pingAfter = 0, pongWithin = 0) {
  const s = { out: "", p: spawn(driver, [listen, maxMessage, pingAfter, pongWithin].map(String), { stdio: ["ignore", "pipe", "inherit"] }) };
  const waiters = new Set();
  s.p.stdout.on("data", d => { s.out += d; for (const w of [...waiters]) w(); });
  s.exit = new Promise(r => s.p.on("exit", (code, sig) => r(sig || code)));
  s.until = text => within(new Promise(r => {
    const look = () => { if (s.out.includes(text)) { waiters.delete(look); r(); } };
    waiters.add(look);
    look();
  }), `"${text.trim()}"`);
  await s.until("\n");
  s.address = s.out.split("\n")[0];
  s.port = Number(s.address.split(":").at(-1));
  s.quit = async name => { s.p.kill("SIGTERM"); equal(await within(s.exit, "the end"), 0, name); };
  return s;
}

const open = (s, opts) => within(new Promise((res, rej) => {
  const c = new WebSocket(`ws://${s.address}/ws`, opts);
  c.got = [];
  c.waiters = new Set();
  c.on("message", (d, binary) => { c.got.push(binary ? d : d.toString()); for (const w of [...c.waiters]) w(); });
  c.closed = new Promise(r => c.on("close", (code, reason) => r([code, reason.toString()])));
  c.on("error", rej);
  c.on("open", () => res(c));
}), "an open connection");
const messages = (c, n) => within(new Promise(r => {
  const look = () => { if (c.got.length >= n) { c.waiters.delete(look); r(c.got); } };
  c.waiters.add(look);
  look();
}), `${n} messages`);

// ---- a client of our own, byte by byte ----

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const hello = (...more) => ["GET /ws HTTP/1.1", "Host: a.example", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${KEY}`, ...more].join("\r\n") + "\r\n\r\n";
function frame(op, data = "", { fin = true, mask = Buffer.from([1, 2, 3, 4]), length } = {}) {
  const p = Buffer.from(data), n = length ?? p.length;
  const head = n < 126 ? Buffer.from([0, n]) : n < 65536 ? Buffer.from([0, 126, n >> 8, n & 255]) : Buffer.alloc(10);
  if (n >= 65536) { head[1] = 127; head.writeBigUInt64BE(BigInt(n), 2); }
  head[0] = (fin ? 0x80 : 0) | op;
  if (!mask) return Buffer.concat([head, p]);
  head[1] |= 0x80;
  return Buffer.concat([head, mask, p.map((b, i) => b ^ mask[i & 3])]);
}
function connect(s) {
  const c = net.connect(s.unix ?? { port: s.port, host: "127.0.0.1", allowHalfOpen: true });
  c.all = Buffer.alloc(0);
  c.on("error", () => {});
  c.ended = new Promise(r => { c.on("end", () => r("end")); c.on("close", () => r("close")); });
  const waiters = new Set();
  c.on("data", d => { c.all = Buffer.concat([c.all, d]); for (const w of [...waiters]) w(); });
  c.have = test => within(new Promise(r => {
    const look = () => { const v = test(c.all); if (v) { waiters.delete(look); r(v); } };
    waiters.add(look);
    look();
    c.ended.then(() => { waiters.delete(look); r(test(c.all)); });
  }), "bytes");
  c.head = async () => { const at = await c.have(b => b.indexOf("\r\n\r\n") + 1); const t = c.all.subarray(0, at - 1).toString(); c.all = c.all.subarray(at + 3); return t; };
  // Frames of the server until it says goodbye: [op, text] each, a close as [8, code, reason].
  c.frames = async (n = Infinity) => {
    const out = [];
    const take = b => {
      while (out.length < n && b.length >= 2) {
        let len = b[1] & 127, from = 2;
        if (b[1] & 128) return out.push(["masked"]);
        if (len === 126) { if (b.length < 4) return 0; len = b.readUInt16BE(2); from = 4; }
        if (b.length < from + len) return 0;
        const p = b.subarray(from, from + len), op = b[0] & 15;
        out.push(op === 8 ? [8, p.length ? p.readUInt16BE(0) : 0, p.subarray(2).toString()] : [op, p.toString()]);
        c.all = b = b.subarray(from + len);
        if (op === 8) return 1;
      }
      return out.length >= n;
    };
    await c.have(take);
    return out;
  };
  return c;
}
async function raw(s, ...bytes) {
  const c = connect(s);
  c.write(hello());
  const head = await c.head();
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
  for (const b of bytes) c.write(b);
  return c;
}
const goodbye = async (s, name, code, ...bytes) => {
  const c = await raw(s, ...bytes), got = await c.frames();
  equal(got.at(-1)?.slice(0, 2), [8, code], name);
  c.end();
  await within(c.ended, name + ": the end");
};

// ---- tests ----

async function peer() {
  const s = await serve();
  const c = await open(s);
  const sizes = [0, 1, 125, 126, 127, 4096, 65535];
  for (const n of sizes) c.send("u".repeat(n));
  equal((await messages(c, sizes.length)).map(m => m.length), sizes, "ws: texts of every size come back");
  c.got.length = 0;
  c.send(Buffer.from([0, 255, 1]));
  equal([...(await messages(c, 1))[0]], [0, 255, 1], "a binary message");
  c.got.length = 0;
  c.send("eins ", { fin: false });
  c.ping("in between");
  c.send("zwei \u2603", { fin: true });
  equal(await messages(c, 1), ["eins zwei \u2603"], "one in pieces, with a ping in between");
  const pong = new Promise(r => c.once("pong", d => r(d.toString())));
  c.ping("hallo");
  equal(await within(pong, "pong"), "hallo", "a ping is answered with its text");
  c.close(4321, "tsch\u00fcs");
  equal(await within(c.closed, "close"), [4321, ""], "a close is echoed");
  const d = await open(s, { perMessageDeflate: true });
  equal(d.extensions, "", "no compression is agreed");
  d.send("!close 1001 weg");
  equal(await within(d.closed, "close"), [1001, "weg"], "the server says goodbye");
  const e = await open(s);
  e.send("!cut");
  equal((await within(e.closed, "cut"))[0], 1006, "or cuts");
  const f = await open(s);
  f.send("!burst 300 30000");
  const all = await messages(f, 300);
  ok(all.length === 300 && all.every(m => m.length === 30000), "9 MB, more than may wait");
  f.terminate();
  await s.until("end 3\n");
  ok(true, "a client that is gone is noticed");
  const many = await Promise.all(Array.from({ length: 20 }, () => open(s)));
  for (const [i, m] of many.entries()) m.send("" + i);
  equal((await Promise.all(many.map(m => messages(m, 1)))).flat(), many.map((_, i) => "" + i), "twenty at once");
  for (const m of many) m.terminate();
  await s.quit("the server ends with 0");
}

async function handshake() {
  const s = await serve();
  const status = async text => { const c = connect(s); c.write(text); const h = await c.head(); c.destroy(); return Number(h.split(" ")[1]); };
  const c = connect(s);
  c.write(hello() + "x");
  const head = await c.head();
  ok(/^HTTP\/1.1 101 /.test(head) && /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/.test(head), "the answer of RFC 6455 §1.3", head);
  c.destroy();
  const same = ["Origin: http://a.example", "Origin: https://A.EXAMPLE"];
  equal(await Promise.all(same.map(o => status(hello(o)))), [101, 101], "a page of the same host");
  equal(await status(hello("Origin: http://evil.example")), 403, "a page of another origin is refused");
  equal(await status(hello("Origin: null")), 403, "and one without an origin");
  const without = name => hello().split("\r\n").filter(l => !l.startsWith(name)).join("\r\n");
  equal(await Promise.all(["Upgrade", "Connection", "Sec-WebSocket-Version"].map(n => status(without(n)))), [426, 426, 426], "426 when it is not asked for, or not in this version");
  equal(await status(hello().replace("Version: 13", "Version: 8")), 426, "nor in another");
  equal(await status(without("Sec-WebSocket-Key")), 400, "400 without a key");
  equal(await Promise.all(["", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZSE=", "!".repeat(24)].map(k => status(hello().replace(KEY, k)))),
    [400, 400, 400, 400, 400], "or with one that is none");
  equal(await status(hello().replace("GET", "POST")), 400, "400 for a POST");
  equal(await status(hello().replace("HTTP/1.1", "HTTP/1.0")), 426, "426 for HTTP/1.0");
  equal(await status(hello("Content-Length: 2") + "ab"), 400, "400 with a body");
  const early = connect(s);
  early.write(Buffer.concat([Buffer.from(hello()), frame(1, "early"), frame(1, "bird")]));
  await early.head();
  equal(await early.frames(2), [[1, "early"], [1, "bird"]], "what came with the request is not lost");
  early.destroy();
  const slowly = connect(s);
  for (const b of Buffer.concat([Buffer.from(hello()), frame(1, "drip")])) { slowly.write(Buffer.from([b])); await new Promise(r => setImmediate(r)); }
  await slowly.head();
  equal(await slowly.frames(1), [[1, "drip"]], "byte by byte");
  slowly.destroy();
  await s.quit("the server ends with 0");
}

async function hostile() {
  const s = await serve("127.0.0.1:0", 1000);
  await goodbye(s, "1002 for a frame that is not masked", 1002, frame(1, "x", { mask: null }));
  await goodbye(s, "1002 for reserved bits", 1002, Buffer.from([0xc1, 0x80, 1, 2, 3, 4]));
  await goodbye(s, "1002 for an unknown kind", 1002, frame(3, "x"));
  await goodbye(s, "1002 for an unknown control frame", 1002, frame(11, "x"));
  await goodbye(s, "1002 for a control frame in pieces", 1002, frame(9, "x", { fin: false }));
  await goodbye(s, "1002 for a control frame that is too long", 1002, frame(9, "x".repeat(126)));
  await goodbye(s, "1002 for a continuation of nothing", 1002, frame(0, "x"));
  await goodbye(s, "1002 for a message within a message", 1002, frame(1, "x", { fin: false }), frame(1, "y"));
  await goodbye(s, "1002 for a length of 64 bits", 1002, Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
  await goodbye(s, "1002 for a close of one byte", 1002, frame(8, "x"));
  await goodbye(s, "1002 for a code that is never sent", 1002, frame(8, Buffer.from([0x03, 0xed])));
  await goodbye(s, "1002 for a reason that is not UTF-8", 1002, frame(8, Buffer.from([0x03, 0xe8, 0xff])));
  await goodbye(s, "1007 for a text that is not UTF-8", 1007, frame(1, Buffer.from([0xc3])));
  await goodbye(s, "1007 when pieces are not", 1007, frame(1, Buffer.from([0xe2, 0x98]), { fin: false }), frame(0, "x"));
  await goodbye(s, "1009 for a message that is too large", 1009, frame(1, "x".repeat(1001)));
  await goodbye(s, "1009 for one in pieces", 1009, ...Array.from({ length: 30 }, (_, i) => frame(i ? 0 : 2, "x".repeat(50), { fin: false })));
  await goodbye(s, "1009 without waiting for 2 GiB", 1009, frame(2, "x".repeat(3000), { length: 2 ** 31 }));
  const c = await raw(s, frame(1, "h\u00e4", { fin: false }), frame(0, "", { fin: false }), frame(0, "lb"));
  equal(await c.frames(1), [[1, "h\u00e4lb"]], "an empty piece in the middle is nothing");
  c.write(Buffer.concat(Array.from({ length: 20000 }, (_, i) => frame(9, "" + i))));
  c.write(frame(1, "after"));
  const got = [];
  for (const want of [1, 10]) while (!got.some(f => f[0] === want && (want === 1 || f[1] === "19999"))) got.push(...await c.frames(1));
  ok(got.length < 20000, "of 20,000 pings the last one is answered, not each", got.length);
  c.write(frame(8, ""));
  equal((await c.frames()).at(-1), [8, 0, ""], "a close without a code is echoed so");
  await within(c.ended, "the end");
  const cut = await raw(s, frame(1, "never", { length: 900 }));
  cut.destroy();
  const half = await raw(s, Buffer.from([0x81]));
  half.end();
  await within(half.ended, "the end");
  ok(true, "half a frame, half a head, and gone");
  const deaf = await raw(s, frame(1, "!close 1000"));
  deaf.pause();
  await s.until("end 20\n");
  ok(true, "one that does not answer a goodbye is cut after a second");
  deaf.destroy();
  await s.quit("the server ends with 0");
}

async function silence() {
  const s = await serve("127.0.0.1:0", 0, 500, 1500);
  const c = await raw(s);
  equal(await c.frames(1), [[9, ""]], "a silent client gets a ping");
  c.write(frame(10));
  equal(await c.frames(1), [[9, ""]], "its pong keeps it for another while");
  equal(await within(c.ended, "the end") !== undefined, true, "without one it is cut");
  const d = await open(s);
  await new Promise(r => { let n = 0; d.on("ping", () => { if (++n === 2) r(); }); });
  d.send("still here");
  equal(await messages(d, 1), ["still here"], "ws answers pings and stays");
  d.terminate();
  const stuck = await raw(s, frame(1, "!burst 100000 60000"));
  stuck.pause();
  await s.until("end 2\n");
  ok(true, "one that takes nothing is cut as well");
  stuck.destroy();
  await s.quit("the server ends with 0");
}

async function unix() {
  const folder = mkdtempSync(join(tmpdir(), "wsd")), s = await serve("unix:" + join(folder, "s"));
  s.unix = { path: join(folder, "s") };
  const c = await raw(s, frame(1, "local"));
  equal(await c.frames(1), [[1, "local"]], "over a unix socket");
  c.destroy();
  await s.quit("the server ends with 0");
  rmSync(folder, { recursive: true, force: true });
}

for (const [name, test] of Object.entries({ peer, handshake, hostile, silence, unix })) {
  if (process.argv[2] && process.argv[2] !== name) continue;
  try {
    await test();
  } catch (e) {
    ok(false, name, e.stack);
  }
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
