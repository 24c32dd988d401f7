// An S3 server for tests: s3rver from npm keeps the objects; in front of it stands a gate that
// checks every signature (computed again by AWS' own code), the checksums of what is sent, and
// makes faults. s3rver itself takes any signature of version 4.
import { createHash, createHmac } from "node:crypto";
import http from "node:http";
import { SignatureV4 } from "@smithy/signature-v4";
import S3rver from "s3rver";
import { execFileSync, existsSync, fakeHost, fixtures, folder, join, ok, readFileSync, readdirSync, Run, until, writeFileSync } from "./jetstream_lib.mjs";

class Sha256 {
  constructor(secret) { this.h = secret ? createHmac("sha256", Buffer.from(secret)) : createHash("sha256"); }
  update(d) { this.h.update(d); }
  async digest() { return new Uint8Array(this.h.digest()); }
}

export const access = { id: "AKIDEXAMPLE", secret: "wJalr/XUtn+FEMI", region: "eu-test-1", bucket: "acme-firehose" };

const xml = (code, message) => `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;

// The signature that the request should carry; null when it carries none.
async function signature(req) {
  const auth = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
    .exec(req.headers.authorization ?? "");
  if (!auth) return null;
  const [, id, , region, names, given] = auth, u = new URL(req.url, "http://x");
  const date = (req.headers["x-amz-date"] ?? "").replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const signed = new Set(names.split(";"));
  const signer = new SignatureV4({ service: "s3", region, sha256: Sha256, uriEscapePath: false, applyChecksum: false,
    credentials: { accessKeyId: id, secretAccessKey: access.secret } });
  const out = await signer.sign({ method: req.method, protocol: "http:", hostname: u.hostname, path: req.url.split("?")[0],
    query: Object.fromEntries(u.searchParams), headers: Object.fromEntries([...signed].map(n => [n, req.headers[n] ?? ""])) },
  { signingDate: new Date(date), signableHeaders: signed });
  const want = /Signature=([0-9a-f]{64})/.exec(out.headers.authorization)[1];
  const all = ["host", ...Object.keys(req.headers).filter(h => h.startsWith("x-amz-") || h === "content-md5" || h === "content-type")];
  return { good: given === want && id === access.id && region === access.region && all.every(h => signed.has(h)), date };
}

// `fault(req, n, body)` may give { status, code, headers, cut, hang, raw } or { now: ms } (the server's clock).
export async function startS3(directory, { fault } = {}) {
  const s3 = { fault, requests: [], bad: [], uploads: new Map(), aborted: [], puts: new Map() };
  const store = new S3rver({ address: "127.0.0.1", port: 0, silent: true, directory, configureBuckets: [{ name: access.bucket, configs: [] }] });
  const { port } = await store.run();
  const sockets = new Set();

  function refuse(res, status, code, headers = {}) {
    res.writeHead(status, { "content-type": "application/xml", ...headers });
    res.end(xml(code, "a test"));
  }
  async function judge(req, body) {
    const s = await signature(req), sum = req.headers["x-amz-content-sha256"], md5 = req.headers["content-md5"];
    if (!s) return "MissingSecurityHeader";
    if (!s.good) return "SignatureDoesNotMatch";
    if (/^[0-9a-f]{64}$/.test(sum) ? sum !== createHash("sha256").update(body).digest("hex") : sum !== "UNSIGNED-PAYLOAD")
      return "XAmzContentSHA256Mismatch";
    if (md5 && md5 !== createHash("md5").update(body).digest("base64")) return "BadDigest";
    return null;
  }
  // What s3rver lacks: the list of uploads, aborting one, and knowing which are over.
  function own(req, u, res) {
    if (req.method === "DELETE" && u.searchParams.has("uploadId")) {
      s3.aborted.push(u.searchParams.get("uploadId"));
      s3.uploads.delete(u.searchParams.get("uploadId"));
      res.writeHead(204).end();
    } else if (req.method === "GET" && u.searchParams.has("uploads")) {
      res.writeHead(200, { "content-type": "application/xml" });
      res.end(`<ListMultipartUploadsResult>${[...s3.uploads].map(([id, key]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`).join("")}</ListMultipartUploadsResult>`);
    } else if (req.method === "POST" && u.searchParams.has("uploadId") && !s3.uploads.has(u.searchParams.get("uploadId"))) {
      refuse(res, 404, "NoSuchUpload"); // s3rver: 500
    } else {
      return false;
    }
    return true;
  }
  function pass(req, body, u, res) {
    const headers = { ...req.headers };
    delete headers.authorization;
    const up = http.request({ host: "127.0.0.1", port, method: req.method, path: req.url, headers, agent: false }, r => {
      const chunks = [];
      r.on("data", d => chunks.push(d));
      r.on("end", () => {
        const text = Buffer.concat(chunks), id = /<UploadId>(.*?)<\/UploadId>/.exec(text.toString("latin1"));
        const key = decodeURIComponent(u.pathname).replace(`/${access.bucket}/`, "");
        if (id && u.searchParams.has("uploads")) s3.uploads.set(id[1], key);
        if (req.method === "POST" && u.searchParams.has("uploadId")) s3.uploads.delete(u.searchParams.get("uploadId"));
        const whole = req.method === "PUT" ? !u.search : req.method === "POST" && u.searchParams.has("uploadId");
        if (whole && r.statusCode === 200) s3.puts.set(key, (s3.puts.get(key) ?? 0) + 1);
        if (s3.after && s3.after(req, u)) return res.socket.destroy();
        res.writeHead(r.statusCode, r.headers);
        res.end(text);
      });
    });
    up.on("error", () => res.destroy());
    up.end(body);
  }
  const gate = http.createServer((req, res) => {
    const chunks = [], u = new URL(req.url, "http://x");
    const f = s3.fault && s3.fault(req, s3.requests.length + 1, u);
    s3.requests.push(`${req.method} ${req.url}`);
    if (f?.cut) return req.once("data", () => req.socket.destroy()), req.once("end", () => req.socket.destroy());
    req.on("data", d => chunks.push(d));
    req.on("end", async () => {
      if (f?.hang) return;
      if (f?.raw) return req.socket.end(f.raw);
      if (f?.status) return refuse(res, f.status, f.code, f.headers);
      const body = Buffer.concat(chunks), wrong = await judge(req, body);
      if (wrong) {
        s3.bad.push(`${wrong}: ${req.method} ${req.url}`);
        return refuse(res, wrong === "BadDigest" ? 400 : 403, wrong);
      }
      if (!own(req, u, res)) pass(req, body, u, res);
    });
    req.on("error", () => {});
  });
  gate.on("connection", c => { sockets.add(c); c.on("close", () => sockets.delete(c)); });
  s3.listen = p => new Promise(r => gate.listen(p, "127.0.0.1", () => r(gate.address().port)));
  s3.port = await s3.listen(0);
  s3.url = `http://127.0.0.1:${s3.port}`;
  s3.down = () => new Promise(r => { gate.close(r); for (const c of sockets) c.destroy(); });
  s3.up = () => s3.listen(s3.port);
  const direct = (method, path) => new Promise((ok, no) => http.request({ host: "127.0.0.1", port, method, path, agent: false }, r => {
    const chunks = [];
    r.on("data", d => chunks.push(d));
    r.on("end", () => ok({ status: r.statusCode, headers: r.headers, body: Buffer.concat(chunks) }));
  }).on("error", no).end());
  s3.keys = async () => [...(await direct("GET", `/${access.bucket}?list-type=2&max-keys=1000`)).body.toString().matchAll(/<Key>(.*?)<\/Key>/g)].map(m => m[1]);
  s3.object = key => direct("GET", `/${access.bucket}/${key.split("/").map(encodeURIComponent).join("/")}`);
  s3.close = async () => { await s3.down().catch(() => {}); await store.close(); };
  return s3;
}

// ---- stores whose files go there ----

const fx = fixtures();
const events = fx ? fx.lines("events.ndjson") : [];
const all = ["--collection", "*"];

export const cred = join(folder, "credentials");
writeFileSync(cred, `[default]\naws_access_key_id = ${access.id}\naws_secret_access_key = ${access.secret}\n`, { mode: 0o600 });
export const bucket = s3 => ["--s3-endpoint", s3.url, "--s3-bucket", access.bucket, "--s3-region", access.region, "--s3-credentials-file", cred];
let places = 0;
export const place = () => join(folder, "bucket" + places++);

// The fixtures over and over, each event once.
export function many(n) {
  const out = [];
  for (let k = 0; out.length < n; k++)
    for (const l of events) {
      const e = JSON.parse(l);
      e.time_us += k * 3000000;
      delete e.cursor;
      if (e.commit) e.commit.rev += "k" + k;
      for (const x of ["identity", "account"]) if (e[x]) e[x].seq += k * 1000000;
      out.push(JSON.stringify(e));
    }
  out.length = n;
  return out;
}

// The messages of an object, whatever its form.
function unpack(key, body) {
  const path = join(folder, "object"), db = path + ".db";
  writeFileSync(path, body);
  if (key.endsWith(".zip")) writeFileSync(db, execFileSync("python3", ["-c",
    "import sys,zipfile;z=zipfile.ZipFile(sys.argv[1]);n=z.namelist();assert len(n)==1;sys.stdout.buffer.write(z.read(n[0]))", path], { maxBuffer: 1 << 28 }));
  else if (key.endsWith(".gz")) writeFileSync(db, execFileSync("gzip", ["-dc", path], { maxBuffer: 1 << 28 }));
  else if (key.endsWith(".zst")) writeFileSync(db, execFileSync(process.env.ZK || "zk", ["procwire", "call", "unzstd", "--raw", "@" + path, "--",
    process.env.ZK || "zk", "procwire", "worker", "--expose", "unzstd"], { maxBuffer: 1 << 28 }));
  else writeFileSync(db, body);
  const text = execFileSync("sqlite3", ["-json", "-readonly", db, "SELECT message FROM records ORDER BY id"], { maxBuffer: 1 << 28 }).toString();
  return text.trim() ? JSON.parse(text).map(r => r.message) : [];
}
export const byName = (a, b) => { const n = k => k.replace(/^.*\//, "").replace(/\.db.*/, "").replace(/^(jetstream_\d+_\d+)$/, "$1_1"), [x, y] = [n(a), n(b)];
  return x.length - y.length || (x < y ? -1 : 1); };

// The messages of each object, oldest first.
export async function* objects(s3) {
  for (const k of (await s3.keys()).sort(byName)) yield unpack(k, (await s3.object(k)).body);
}
export async function archived(s3) {
  const out = [];
  for await (const part of objects(s3)) out.push(...part);
  return out;
}
const files = dir => readdirSync(dir).filter(n => /^jetstream_\d.*\.db(\.(zst|zip|gz))?$/.test(n));
const live = dir => readFileSync(join(dir, "live"), "utf8").trim();
export const sealedOf = dir => files(dir).filter(n => n !== live(dir));
export const hostOf = lines => fakeHost(c => {
  let i = 0;
  const next = () => { for (let k = 0; k < 200 && i < lines.length; k++) c.send(lines[i++]); if (i < lines.length) setTimeout(next, 2); };
  next();
});
// A file that a kill left half made holds nothing.
const rowsOf = path => { try { return Number(execFileSync("sqlite3", ["-readonly", path, "SELECT count(*) FROM records"], { stdio: ["ignore", "pipe", "ignore"] })); } catch { return 0; } };
export const count = dir => existsSync(dir) ? readdirSync(dir).filter(n => /^jetstream_\d.*\.db$/.test(n)).reduce((a, n) => a + rowsOf(join(dir, n)), 0) : 0;
export const httpOf = async ready => { await until(() => existsSync(ready), "ready"); return "http://" + JSON.parse(readFileSync(ready)).api[0]; };
export const stats = async url => (await (await fetch(url + "/stats")).json()).data;
export const health = async url => (await (await fetch(url + "/health")).json()).data;
export const row = (rs, name) => rs.find(x => x.name === name);

// Runs until all of `lines` are stored and, after a last switch of files, archived.
export async function runAll(s3, lines, dir, ...more) {
  const host = await hostOf(lines), ready = join(folder, "ready" + Math.random());
  const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--sink", "s3", ...bucket(s3),
    "--linger", "5ms", "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready, ...more]);
  const url = await httpOf(ready);
  await until(async () => (await stats(url)).events_stored === lines.length, "all rows", 60000);
  r.p.kill("SIGUSR2");
  return { r, host, url, dir };
}
export async function finish({ r, host, url, dir }, name) {
  await until(async () => { const f = row((await health(url)).followers, "s3"); return f.state === "up" && f.lag_records === 0 && (await count(dir)) === 0 && sealedOf(dir).length === 0; },
    "everything archived", 60000).catch(async e => { console.log("# " + JSON.stringify((await health(url)).followers) + readdirSync(dir) + r.err.slice(-1500)); throw e; });
  host.close();
  ok(await r.stop() === 0, name + ": ends with 0", r.code, r.err);
}
