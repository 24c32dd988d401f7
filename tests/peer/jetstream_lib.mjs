// What the Jetstream tests share: TAP, the fixtures, a stand-in for the API, a stand-in for the
// hosts on `ws`, runs of zk, and a look into its store.
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

export const zk = process.env.ZK || "zk";
export const slow = Number(process.env.TEST_SLOW || "1");
// What is only waited for, and measures nothing, may take longer on a machine that is busy.
const patience = 3;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const folder = mkdtempSync(join(tmpdir(), "jet"));
let checks = 0, failed = 0;

export function ok(condition, name, ...detail) {
  checks++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${checks} - ${name}`);
  if (!condition)
    for (const d of detail) console.log("# " + (JSON.stringify(d) ?? "").slice(0, 2000));
  return condition;
}
export function skip(name, why) {
  checks++;
  console.log(`ok ${checks} - ${name} # SKIP ${why}`);
}
// As JSON values: the order of members does not count.
const sorted = v => Array.isArray(v) ? v.map(sorted)
  : v && typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map(k => [k, sorted(v[k])])) : v;
export const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
export const equal = (got, want, name, ...detail) => ok(same(got, want), name, { got, want }, ...detail);

export function fixtures() {
  const dir = join(root, "tests/data/jetstream");
  const read = n => readFileSync(join(dir, n), "utf8");
  const lines = n => read(n).split("\n").filter(l => l);
  return { dir, lines, json: n => JSON.parse(read(n)) };
}

export async function until(check, what, ms = 20000) {
  for (const end = Date.now() + ms * slow * patience; Date.now() < end;) {
    const v = await check();
    if (v) return v;
    await new Promise(r => setTimeout(r, 15));
  }
  throw new Error("waited for " + (typeof what === "function" ? what() : what));
}

const listen = s => new Promise(r => s.listen(0, "127.0.0.1", () => r(s.address().port)));

// The API: knows `profiles` and `posts` (objects by id). `fault(call, ids, n)` may give
// { status, headers, body, hang } instead of the answer. `calls` is what was asked.
export async function fakeApi({ profiles = {}, posts = {}, fault, reverse } = {}) {
  const api = { calls: [], fault, tokens: [] };
  const s = http.createServer((req, res) => {
    const u = new URL(req.url, "http://x");
    const call = u.pathname.replace("/xrpc/", "");
    let body = "";
    req.on("data", d => { body += d; });
    req.on("end", () => {
      const ids = u.searchParams.getAll(call.endsWith("getPosts") ? "uris" : "actors");
      api.calls.push({ call, ids, auth: req.headers.authorization, method: req.method, body, at: Date.now() });
      const f = api.fault && api.fault(call, ids, api.calls.length, req, body);
      if (f && f.hang) return;
      if (f) {
        res.writeHead(f.status, { "content-type": "application/json", ...f.headers });
        return res.end(typeof f.body === "string" ? f.body : JSON.stringify(f.body ?? {}));
      }
      const known = call.endsWith("getPosts") ? posts : profiles;
      const list = ids.filter(i => known[i]).map(i => known[i]);
      if (reverse) list.reverse();
      res.writeHead(200, { "content-type": "application/json" });
      res.end(JSON.stringify({ [call.endsWith("getPosts") ? "posts" : "profiles"]: list }));
    });
  });
  const port = await listen(s);
  api.url = `http://127.0.0.1:${port}`;
  api.close = () => { s.closeAllConnections(); s.close(); };
  return api;
}

// A host. `serve(socket, request, host)` is called for each connection.
export async function fakeHost(serve, { dictionary, refuse } = {}) {
  const host = { requests: [], sockets: new Set() };
  const h = http.createServer((req, res) => {
    if (req.url.includes("getZstdDictionary") && dictionary) {
      res.writeHead(200, { "content-type": "application/octet-stream" });
      return res.end(dictionary);
    }
    const r = refuse && refuse(req);
    res.writeHead(r ? r.status : 404, { "content-type": "text/plain", ...(r?.headers ?? {}) });
    res.end(r ? r.body : "no");
  });
  const s = new WebSocketServer({ noServer: true });
  h.on("upgrade", (req, sock, head) => {
    host.requests.push(req.url);
    const r = refuse && refuse(req);
    if (r) {
      sock.end(`HTTP/1.1 ${r.status} No\r\nContent-Type: text/plain\r\nContent-Length: ${r.body.length}\r\n` +
        Object.entries(r.headers ?? {}).map(([k, v]) => `${k}: ${v}\r\n`).join("") + "Connection: close\r\n\r\n" + r.body);
      return;
    }
    s.handleUpgrade(req, sock, head, c => {
      host.sockets.add(c);
      c.on("close", () => host.sockets.delete(c));
      c.on("error", () => {});
      serve(c, req, host);
    });
  });
  const port = await listen(h);
  host.name = `127.0.0.1:${port}`;
  host.url = `ws://${host.name}`;
  host.close = () => {
    for (const c of host.sockets) c.terminate();
    h.closeAllConnections();
    h.close();
  };
  return host;
}

// Events that were made up: the n-th post of an account, now; `more` replaces members.
const from = Date.now() * 1000;
export const post = (n, { did = "did:plc:" + "a".repeat(24), text = "n " + n, collection = "app.bsky.feed.post", ...more } = {}) =>
  JSON.stringify({ did, time_us: from + n, kind: "commit", commit: { rev: "r" + n, operation: "create", collection, rkey: "k" + n, cid: "bafyreia",
    record: { $type: collection, text, createdAt: "2026-01-01T00:00:00Z" } }, ...more });

const running = new Set();

export class Run {
  constructor(args, { env = {}, stdin = "ignore" } = {}) {
    this.out = "";
    this.err = "";
    this.p = spawn(zk, ["jetstream", ...args], {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder, ...env },
    });
    running.add(this);
    this.p.stdout.on("data", d => { this.out += d; });
    this.p.stderr.on("data", d => { this.err += d; });
    this.exit = new Promise(r => this.p.on("close", (code, sig) => { running.delete(this); this.code = sig || code; r(this.code); }));
  }
  lines() { return this.out.split("\n").filter(l => l); }
  async stop(sig = "SIGTERM") {
    this.p.kill(sig);
    return this.exit;
  }
}

export async function run(...args) {
  const opts = typeof args.at(-1) === "object" ? args.pop() : {};
  const r = new Run(args, opts);
  await r.exit;
  return r;
}

let stores = 0;
export const storeDir = () => join(folder, "store" + stores++);
export const base = ["--min-free", "0", "--listen", "off"];

// Rows of all files of a store, oldest first.
export function rows(dir, sql = "SELECT * FROM records ORDER BY id") {
  const out = [];
  for (const f of readdirSync(dir).filter(n => /^jetstream_.*\.db$/.test(n)).sort()) {
    const text = execFileSync("sqlite3", ["-json", "-readonly", join(dir, f), sql], { maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] }).toString();
    if (text.trim()) out.push(...JSON.parse(text));
  }
  return out;
}
export const stored = dir => rows(dir, "SELECT message FROM records ORDER BY id").map(r => r.message);
// How many there are, while our own hosts go on; before there is a store, none.
export async function count(dir) {
  if (!existsSync(dir)) return 0;
  const of = f => new Promise(r => execFile("sqlite3", ["-readonly", join(dir, f), "SELECT count(*) FROM records"], (e, out) => r(Number(out))));
  return (await Promise.all(readdirSync(dir).filter(n => /^jetstream_.*\.db$/.test(n)).map(of))).reduce((a, b) => a + b, 0);
}

export async function main(tests) {
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
    for (const r of running) r.p.kill("SIGKILL");
    if (!process.env.KEEP) rmSync(folder, { recursive: true, force: true });
  }
  console.log(`1..${checks}`);
  process.exit(failed ? 1 : 0);
}
export { writeFileSync, readFileSync, readdirSync, existsSync, join, execFileSync };
