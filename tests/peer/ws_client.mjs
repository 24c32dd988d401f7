// The WebSocket client (src/net/ws) against `ws` from npm and against servers that misbehave on
// purpose; steers build/tests/peer/ws_client.  TAP.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import zlib from "node:zlib";
import { WebSocketServer } from "ws";

const driver = join(process.env.TEST_BUILD || "build", "tests/peer/ws_client");
const slow = Number(process.env.TEST_SLOW || "1");
const folder = mkdtempSync(join(tmpdir(), "ws"));
let count = 0, failed = 0;

function ok(condition, name, ...detail) {
  count++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${count} - ${name}`);
  if (!condition)
    for (const d of detail) console.log(`# ${JSON.stringify(d)}`);
}
const equal = (got, want, name, ...detail) =>
  ok(JSON.stringify(got) === JSON.stringify(want), name, { got, want }, ...detail);

class Client {
  constructor(conf, env = {}) {
    this.events = [];
    this.waiters = [];
    this.p = spawn(driver, [JSON.stringify(conf)],
      { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    let rest = "";
    this.p.stdout.on("data", d => {
      const lines = (rest + d).split("\n");
      rest = lines.pop();
      for (const l of lines) this.events.push(JSON.parse(l));
      for (const w of [...this.waiters]) w();
    });
    this.exit = new Promise(r => this.p.on("exit", (code, sig) => r(sig || code)));
  }
  say(...lines) { for (const l of lines) this.p.stdin.write(l + "\n"); }
  // The next event `ev` that was not waited for yet.
  wait(ev, ms = 15000 * slow) {
    return new Promise((res, rej) => {
      const look = () => {
        const i = this.events.findIndex(e => e.ev === ev);
        if (i < 0) return;
        this.waiters.splice(this.waiters.indexOf(look), 1);
        clearTimeout(timer);
        res(this.events.splice(i, 1)[0]);
      };
      const timer = setTimeout(() => rej(new Error(`no "${ev}"; there is ${JSON.stringify(this.events)}`)), ms);
      this.waiters.push(look);
      look();
    });
  }
  async quit(name) {
    this.p.stdin.end("quit\n");
    const code = await this.exit;
    if (code !== 0 || process.env.V) ok(code === 0, `${name}: the driver ends with 0`, code);
  }
}

async function until(check, ms = 5000 * slow) {
  for (const end = Date.now() + ms; Date.now() < end && !check();)
    await new Promise(r => setTimeout(r, 10));
}

const listen = s => new Promise(r => s.listen(0, "127.0.0.1", () => r(s.address().port)));

function serve(onConnection, options = {}) {
  return new Promise(r => {
    const s = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
    s.on("connection", onConnection);
    s.on("listening", () => r({ s, url: `ws://127.0.0.1:${s.address().port}` }));
  });
}

// A server of raw bytes: `script(socket, head)` runs after the request head came.
async function raw(script) {
  const s = net.createServer(c => {
    let head = "";
    c.on("error", () => {});
    c.on("data", d => {
      if (head === null) return;
      head += d.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const h = head;
      head = null;
      script(c, h);
    });
  });
  return { s, url: `ws://127.0.0.1:${await listen(s)}` };
}

function accept(head, key) {
  key ??= createHash("sha1").update(/Sec-WebSocket-Key: (\S+)/i.exec(head)[1] +
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${key}\r\n\r\n`;
}

function frame(op, payload, { fin = true, rsv = 0, mask = false } = {}) {
  payload = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | rsv << 4 | op];
  const n = payload.length;
  if (n < 126) head.push(n);
  else if (n < 65536) head.push(126, n >> 8, n & 255);
  else head.push(127, 0, 0, 0, 0, n >>> 24, n >> 16 & 255, n >> 8 & 255, n & 255);
  if (mask) head[1] |= 0x80, head.push(0, 0, 0, 0);
  return Buffer.concat([Buffer.from(head), payload]);
}

// Writes byte after byte, each in a packet of its own.
function drip(c, bytes) {
  c.setNoDelay(true);
  return new Promise(done => {
    let i = 0;
    const next = () => {
      if (i === bytes.length || c.destroyed) return done();
      c.write(bytes.subarray(i, ++i), () => setImmediate(next));
    };
    next();
  });
}

const tests = {
  async echo() {
    let request, closed;
    const { s, url } = await serve((c, req) => {
      request = req;
      c.on("message", (m, b) => c.send(m, { binary: b }));
      c.on("close", (code, reason) => { closed = { code, reason: reason.toString() }; });
    }, { handleProtocols: () => "xrpc.v1.json" });
    const c = new Client({ url: url + "/a%20b?x=1&y=%3A", protocol: "xrpc.v1.json", headers: ["X-A: b", "Authorization: Bearer t"] });
    const open = await c.wait("open");
    equal(open.protocol, "xrpc.v1.json", "the subprotocol of the answer is reported");
    equal(request.url, "/a%20b?x=1&y=%3A", "path and query arrive as given");
    equal([request.headers["x-a"], request.headers.authorization], ["b", "Bearer t"], "headers arrive");
    ok(/^zk\//.test(request.headers["user-agent"] || ""), "the user agent is ours", request.headers);
    ok(!request.headers["sec-websocket-extensions"], "no extension is offered", request.headers);
    c.say("send grüße", "bytes 200000", "send ");
    let m = await c.wait("message");
    equal([m.text, m.binary], ["grüße", false], "a text message comes back as text");
    m = await c.wait("message");
    equal([m.n, m.binary], [200000, true], "a large binary message comes back whole");
    m = await c.wait("message");
    equal(m.n, 0, "so does an empty one");
    c.say("close 1000");
    const end = await c.wait("end");
    equal([end.opened, end.close, end.err.code], [true, 1000, 0], "a close of ours is no failure", end);
    await until(() => closed);
    equal(closed, { code: 1000, reason: "bye" }, "the server got code and reason");
    await c.quit("echo");
    s.close();
  },

  async fragments() {
    const big = Buffer.alloc(70000, "z");
    const { s, url } = await raw(async (c, head) => {
      await drip(c, Buffer.concat([Buffer.from(accept(head)),
        frame(1, "ab", { fin: false }), frame(9, "p1"), frame(0, "", { fin: false }), frame(0, "cd"),
        frame(2, [1, 2, 3]), frame(1, "x".repeat(200))]));
      c.write(Buffer.concat([frame(1, big.subarray(0, 30000), { fin: false }), frame(0, big.subarray(30000)),
        frame(1, [0xff, 0xfe]), frame(1, "last")]));
    });
    const c = new Client({ url });
    await c.wait("open");
    const got = [];
    for (let i = 0; i < 6; i++) got.push(await c.wait("message"));
    equal(got.map(m => m.n), [4, 3, 200, 70000, 2, 4], "fragments, all lengths, byte by byte");
    equal(got[0].text, "abcd", "a ping and an empty fragment in between do not matter");
    equal(got[3].crc, zlib.crc32 ? zlib.crc32(big) : got[3].crc, "the large one is whole");
    equal([got[4].utf8, got[5].text], [false, "last"], "bad UTF-8 is handed over and ends nothing");
    await c.quit("fragments");
    s.close();
  },

  async limit() {
    let code;
    const { s, url } = await serve(c => {
      c.send("small");
      c.send("y".repeat(5000));
      c.on("close", k => { code = k; });
    });
    const c = new Client({ url, max_message: 1000 });
    equal((await c.wait("message")).n, 5, "a message within the limit");
    const big = await c.wait("too_big");
    ok(big.n > 0 && big.n <= 4096, "the head of one beyond it", big);
    const end = await c.wait("end");
    equal([end.close, end.err.code, end.err.retryable], [1009, 2002, true], "closes with 1009");
    await until(() => code);
    equal(code, 1009, "which the server sees");
    await c.quit("limit");
    s.close();
  },

  async pings() {
    const pongs = [];
    const { s, url } = await serve(c => {
      c.on("pong", p => { pongs.push(p.toString()); c.send("got " + p); });
      c.ping("one");
    });
    const c = new Client({ url });
    equal((await c.wait("message")).text, "got one", "a ping is answered with its payload");
    c.say("silence");
    ok((await c.wait("silence")).ms < 10000 * slow, "the silence is short");
    await c.quit("pings");
    s.close();

    // Its own ping, and the end when nothing answers; then one that is answered.
    let seen = 0;
    const mute = await serve(c => { c.on("ping", () => seen++); }, { autoPong: false });
    const d = new Client({ url: mute.url, ping_after_ms: 200, pong_within_ms: 400 });
    const end = await d.wait("end");
    equal([end.opened, end.close, end.err.retryable], [true, 1006, true], "a silent peer ends the connection");
    equal(seen, 1, "after one ping");
    await d.quit("mute");
    mute.s.close();
  },

  async close_codes() {
    for (const [code, retryable] of [[1001, true], [1008, false], [1011, true], [1000, false]]) {
      let echo;
      const { s, url } = await serve(c => { c.close(code, "why " + code); c.on("close", k => { echo = k; }); });
      const c = new Client({ url });
      const end = await c.wait("end");
      equal([end.by_peer, end.close, end.reason, end.err.retryable], [true, code, "why " + code, retryable],
        `close ${code} of the peer`, end);
      await until(() => echo);
      equal(echo, code, "is echoed");
      await c.quit("close");
      s.close();
    }
    const { s, url } = await serve(c => { c.send("m"); setImmediate(() => c.terminate()); });
    const c = new Client({ url });
    const end = await c.wait("end");
    equal([end.opened, end.close, end.by_peer, end.err.retryable], [true, 1006, false, true], "a cut is 1006", end);
    await c.quit("cut");
    s.close();
  },

  async flow() {
    const n = 800, size = 100000;
    const { s, url } = await serve(c => {
      for (let i = 0; i < n; i++) c.send("f".repeat(size));
      s.peer = c;
    });
    const c = new Client({ url });
    await c.wait("open");
    c.say("pause");
    let last = -1;
    for (;;) {   // until nothing moves any more
      await new Promise(r => setTimeout(r, 300));
      if (s.peer && s.peer.bufferedAmount === last) break;
      last = s.peer ? s.peer.bufferedAmount : -1;
    }
    const before = c.events.filter(e => e.ev === "message").length;
    ok(last > 5e6, "a paused reader holds the server back", { last });
    ok(before < n / 2, "little was delivered meanwhile", { before });
    c.say("resume");
    for (let i = 0; i < n; i++) {
      const m = await c.wait("message");
      if (m.n !== size) { ok(false, "all messages are whole", m); break; }
    }
    ok(true, "everything comes after the resume");
    await c.quit("flow");
    s.close();
  },

  async refused() {
    const answers = {
      "/400": [400, { "Content-Type": "text/plain" }, "invalid cursor\n"],
      "/503": [503, { "Retry-After": "7" }, "starting"],
      "/429": [429, { "Retry-After": "3" }, "slow down"],
      "/401": [401, {}, "{\"error\":\"AuthRequired\"}"],
      "/200": [200, {}, "hello"],
    };
    const s = http.createServer();
    const reply = (req, res) => {
      const [status, headers, body] = answers[req.url];
      res.writeHead(status, { ...headers, Connection: "close" });
      res.end(body);
    };
    s.on("request", reply);
    s.on("upgrade", (req, sock) => {
      const res = new http.ServerResponse(req);
      res.assignSocket(sock);
      reply(req, res);
    });
    const port = await listen(s);
    const want = {
      "/400": [400, 3001, false, 0, "invalid cursor"],
      "/503": [503, 3002, true, 7000, ""],
      "/429": [429, 3002, true, 3000, ""],
      "/401": [401, 3010, false, 0, "{\"error\":\"AuthRequired\"}"],
      "/200": [200, 3005, false, 0, ""],
    };
    for (const path of Object.keys(want)) {
      const c = new Client({ url: `ws://127.0.0.1:${port}${path}` });
      const e = await c.wait("end");
      equal([e.status, e.err.code, e.err.retryable, e.err.retry_after_ms, e.body], want[path], `HTTP ${path.slice(1)}`, e);
      await c.quit("refused");
    }
    s.close();

    const c = new Client({ url: `ws://127.0.0.1:${port}/` });
    const e = await c.wait("end");
    equal([e.opened, e.status, e.err.code, e.err.retryable], [false, 0, 3003, true], "nobody listens", e);
    await c.quit("closed");

    const mute = net.createServer(() => {});
    const d = new Client({ url: `ws://127.0.0.1:${await listen(mute)}/`, connect_ms: 300 });
    const f = await d.wait("end");
    equal([f.err.code, f.err.retryable], [3003, true], "no handshake within the time", f);
    await d.quit("mute");
    mute.close();

    const bad = new Client({ url: "ws://no-such-name.invalid/" });
    const g = await bad.wait("end");
    equal(g.err.code, 3003, "a name that does not resolve", g);
    await bad.quit("name");
    for (const url of ["http:/x", "ftp://127.0.0.1/", "ws://127.0.0.1/#f", "ws://127.0.0.1/?a b"]) {
      const x = new Client({ url });
      equal((await x.wait("error")).code, 2006, `refuses ${url}`);
      await x.quit("url");
    }
  },

  async handshakes() {
    let wrong = await raw((c, head) => c.write(accept(head, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=") + "x"));
    let c = new Client({ url: wrong.url });
    let e = await c.wait("end");
    equal([e.opened, e.err.code], [false, 3005], "a wrong accept key is refused", e);
    await c.quit("key");
    wrong.s.close();

    wrong = await raw((c2, head) => c2.write(accept(head).replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: other\r\n\r\n")));
    c = new Client({ url: wrong.url, protocol: "xrpc.v1.json" });
    e = await c.wait("end");
    equal(e.opened, false, "a subprotocol that was not offered is refused", e);
    await c.quit("protocol");
    wrong.s.close();

    for (const part of [0, 10, 40]) {
      const cut = await raw((c2, head) => { c2.end(accept(head).slice(0, part)); });
      c = new Client({ url: cut.url });
      e = await c.wait("end");
      ok(!e.opened && e.err.retryable, `cut after ${part} bytes of the answer`, e);
      await c.quit("cut");
      cut.s.close();
    }

    const { s, url } = await serve(w => w.send("there"));
    let hops = 0;
    const redirect = await raw((c2, head) => {
      hops++;
      redirect.head = head;
      c2.end(`HTTP/1.1 302 Found\r\nLocation: ${url.replace("ws:", "http:")}/x\r\nContent-Length: 0\r\n\r\n`);
    });
    c = new Client({ url: redirect.url });
    equal((await c.wait("message")).text, "there", "a redirect is followed");
    await c.quit("redirect");
    redirect.s.close();
    s.close();
    const endless = await raw(c2 => c2.end(`HTTP/1.1 302 Found\r\nLocation: ${endless.url.replace("ws:", "http:")}/x\r\nContent-Length: 0\r\n\r\n`));
    c = new Client({ url: endless.url });
    e = await c.wait("end");
    equal(e.opened, false, "but not for ever", e);
    await c.quit("endless");
    endless.s.close();
  },

  async nonsense() {
    const cases = {
      "a reserved opcode": frame(3, "x"),
      "a control frame that is too long": frame(9, "x".repeat(126)),
      "a ping in fragments": frame(9, "x", { fin: false }),
      "reserved bits": frame(1, "x", { rsv: 4 }),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const { s, url } = await raw((c, head) => { c.write(accept(head)); c.write(frame(1, "fine")); c.write(bytes); });
      const c = new Client({ url });
      equal((await c.wait("message")).text, "fine", `before ${name}`);
      const e = await c.wait("end");
      ok(e.opened && e.err.retryable, `${name} ends the connection`, e);
      await c.quit(name);
      s.close();
    }
    for (const n of [1, 3, 60]) {
      const { s, url } = await raw((c, head) => { c.write(accept(head)); c.end(frame(1, "x".repeat(100)).subarray(0, n)); });
      const c = new Client({ url });
      const e = await c.wait("end");
      equal([e.opened, e.close], [true, 1006], `cut after ${n} bytes of a frame`);
      await c.quit("half");
      s.close();
    }
  },

  async tls() {
    const key = join(folder, "key.pem"), cert = join(folder, "cert.pem");
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      { stdio: "ignore" });
    const h = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) });
    h.on("tlsClientError", () => {});
    const s = new WebSocketServer({ server: h });
    s.on("connection", c => c.send("secret"));
    const port = await listen(h);
    let c = new Client({ url: `wss://localhost:${port}/`, ca_file: cert });
    equal((await c.wait("message")).text, "secret", "wss with a known certificate");
    await c.quit("tls");
    c = new Client({ url: `wss://localhost:${port}/` });
    let e = await c.wait("end");
    equal([e.opened, e.err.code, e.err.retryable], [false, 3004, false], "an unknown certificate is refused", e);
    await c.quit("unknown");
    c = new Client({ url: `wss://127.0.0.1:${port}/`, ca_file: cert });
    e = await c.wait("end");
    equal([e.opened, e.err.code], [false, 3004], "so is one of another name", e);
    await c.quit("name");
    c = new Client({ url: `wss://127.0.0.1:${port}/`, tls_verify: false });
    equal((await c.wait("message")).text, "secret", "unless it is told not to look");
    await c.quit("unverified");

    let via = 0;
    const proxy = http.createServer();
    proxy.on("connect", (req, sock) => {
      via++;
      const [host, p] = req.url.split(":");
      const up = net.connect(p, host, () => { sock.write("HTTP/1.1 200 OK\r\n\r\n"); up.pipe(sock); sock.pipe(up); });
      up.on("error", () => sock.destroy());
      sock.on("error", () => up.destroy());
    });
    const pport = await listen(proxy);
    c = new Client({ url: `wss://localhost:${port}/`, ca_file: cert, proxy: `http://127.0.0.1:${pport}` });
    equal((await c.wait("message")).text, "secret", "wss through a proxy");
    equal(via, 1, "which was used");
    await c.quit("proxy");
    c = new Client({ url: `wss://localhost:${port}/`, ca_file: cert }, { https_proxy: `http://127.0.0.1:${pport}` });
    equal((await c.wait("message")).text, "secret", "the proxy of the environment");
    equal(via, 2, "is used too");
    await c.quit("env proxy");
    c = new Client({ url: `wss://localhost:${port}/`, ca_file: cert },
      { https_proxy: `http://127.0.0.1:${pport}`, no_proxy: "other.test,localhost" });
    await c.wait("message");
    equal(via, 2, "but not for the names of no_proxy");
    await c.quit("no proxy");
    s.close();
    h.close();
    proxy.closeAllConnections();
    proxy.close();
  },

  async abort() {
    const { s, url } = await serve(c => { c.on("message", () => { c.send("1"); c.send("2"); c.send("3"); }); });
    let c = new Client({ url });
    await c.wait("open");
    c.say("abort_on_message", "send go");
    await c.wait("aborted");
    await c.quit("abort in a callback");
    ok(!c.events.some(e => e.ev === "end"), "nothing is called after an abort", c.events);
    const mute = net.createServer(() => {});
    c = new Client({ url: `ws://127.0.0.1:${await listen(mute)}/` });
    c.say("abort");
    await c.wait("aborted");
    await c.quit("abort while connecting");
    ok(true, "an abort while connecting leaves nothing behind");
    c = new Client({ url });
    await c.wait("open");
    await c.quit("quit while open");
    s.close();
    mute.close();
  },
};

try {
  for (const [name, test] of Object.entries(tests)) {
    if (process.argv[2] && process.argv[2] !== name) continue;
    try {
      await test();
    } catch (e) {
      ok(false, name, e.stack);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
