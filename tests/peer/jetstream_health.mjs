// specs/jetstream.md §16, §23.8, §23.16, §23.17: what /health and /ready say in each row of the table,
// with time that runs faster where a minute or an hour has to pass; silence; the names of the metrics.
// The rows of S3, a full disk and a killed process: jetstream_archive.mjs t14_down, jetstream_faults.mjs
// t16_disk_full and t05_killed_with_every_sink.  TAP.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import http from "node:http";
import https from "node:https";
import { WebSocketServer } from "ws";
import { count, equal, existsSync, fakeApi, fakeHost, folder, join, main, ok, post, readFileSync, Run, same, skip, storeDir, stored, until, writeFileSync, zk } from "./jetstream_lib.mjs";
import { freePort, redisBinary, startRedis } from "./jetstream_redis_lib.mjs";

const clock = process.env.TEST_BUILD && join(process.env.TEST_BUILD, "tests/peer/skewed_clock.so");
const hasten = rate => ({ env: { LD_PRELOAD: clock, MONO_RATE: String(rate), ASAN_OPTIONS: (process.env.ASAN_OPTIONS ?? "") + ":verify_asan_link_order=0" } });
// Where time is fast the server has little patience with us: a connection for each, and another try.
async function ask(url, tries = 20) {
  try {
    return await new Promise((res, rej) => http.get(url, { agent: false }, r => {
      let t = "";
      r.on("data", d => { t += d; });
      r.on("end", () => { try { res({ status: r.statusCode, body: JSON.parse(t) }); } catch (e) { rej(e); } });
      r.on("error", rej);
    }).on("error", rej));
  } catch (e) {
    if (!tries) throw e;
    return ask(url, tries - 1);
  }
}
let runs = 0;
async function start(args, opts) {
  const s = { dir: storeDir(), ready: join(folder, "ready" + runs), channel: join(folder, "status" + runs++) };
  s.run = new Run(["run", "--wire", "v1", "--collection", "*", "--store", s.dir, "--min-free", "0", "--linger", "5ms", "--listen", "127.0.0.1:0", "--ready-file", s.ready,
    "--status-fd", s.channel, ...args], opts);
  await until(() => existsSync(s.ready) || s.run.code !== undefined, "ready");
  s.url = "http://" + JSON.parse(readFileSync(s.ready)).api[0];
  s.look = async () => {
    const [h, r] = await Promise.all([ask(s.url + "/health"), ask(s.url + "/ready")]);
    return { status: h.body.status, health: h.status, ready: r.status, why: r.body.why, data: h.body.data };
  };
  s.until = (test, what) => until(async () => { const l = await s.look(); return test(l) && l; }, what, 60000);
  s.states = () => readFileSync(s.channel, "utf8").split("\n").filter(l => l.includes('"host"')).map(l => JSON.parse(l).state);
  return s;
}
const brief = l => [l.status, l.health, l.ready];
let sent = 0;
const send = (host, n, opts) => { for (const c of host.sockets) for (let i = 0; i < n; i++) c.send(post(sent++, { time_us: Date.now() * 1000 + sent % 1000, ...opts })); };

main({
  async t16_one_host() {
    const [a, b] = await Promise.all([0, 1].map(() => fakeHost(() => {})));
    const s = await start(["--hydrate", "none", "--host", a.url, "--host", b.url]);
    await until(() => a.sockets.size + b.sockets.size === 1, "a connection");
    const [first, other] = a.sockets.size ? [a, b] : [b, a];
    send(first, 50);
    await until(() => stored(s.dir).length === 50, "rows");
    first.close();
    await until(() => other.sockets.size === 1, "the other host");
    send(other, 50);
    await until(() => stored(s.dir).length === 100, "rows of the other");
    const l = await s.look();
    equal(brief(l), ["healthy", 200, 200], "16 one host down: healthy, ready", l);
    ok(!s.states().includes("backoff") && l.data.upstream.host === other.name, "16 the other one at once, without a pause", s.states());
    equal(await s.run.stop(), 0, "16 ends with 0");
    other.close();
  },

  async t16_all_hosts() {
    let up = true;
    const host = await fakeHost(() => {}, { refuse: () => up ? null : { status: 503, body: "starting" } });
    const s = await start(["--hydrate", "none", "--host", host.url, "--retry-base", "5s", "--retry-cap", "10s", "--connect-timeout", "1h"], hasten(40));
    await until(() => host.sockets.size, "a connection");
    send(host, 10);
    await until(() => stored(s.dir).length === 10, "rows");
    up = false;
    const left = performance.now();
    for (const c of host.sockets) c.terminate();
    let l = await s.until(x => x.ready === 503, "503");
    // A minute of its time is short: we may have slept through it.
    const late = (performance.now() - left) * 40 > 59e3;
    equal([l.status, l.health, l.why], [late ? l.status : "healthy", late ? l.health : 200, ["no host"]], "16 all hosts down: not ready, healthy for the first minute");
    l = await s.until(x => x.status === "unhealthy", "unhealthy");
    equal([l.health, l.ready], [503, 503], "16 after a minute unhealthy");
    equal(l.data.upstream.position.time_us, JSON.parse(stored(s.dir).at(-1)).time_us, "16 the position is kept");
    up = true;
    l = await s.until(x => x.status === "healthy" && x.ready === 200, "the way up");
    await until(() => host.sockets.size, "a connection");
    ok(new URL(host.requests.at(-1), "http://x").searchParams.has("cursor"), "16 back: from the position on", host.requests.at(-1));
    send(host, 10);
    await until(() => stored(s.dir).length === 20, "rows");
    equal(await s.run.stop(), 0, "16 ends with 0");
    host.close();
  },

  async t16_api() {
    const host = await fakeHost(() => {}), who = "did:plc:" + "c".repeat(24), before = sent;
    let fault = { hang: true };
    const profile = n => "did:plc:" + String(n).replace(/\d/g, d => "abcdefghij"[d]).padStart(24, "z");
    const api = await fakeApi({ profiles: { [who]: { did: who, handle: "w.test" } }, fault: () => fault });
    const s = await start(["--host", host.url, "--hydrate", "user", "--hydrate-deadline", "100ms", "--api-url", api.url, "--api-rps", "1000", "--api-timeout", "2m", "--connect-timeout", "1h", "--stale-after", "1d", "--retry-base", "5ms", "--retry-cap", "20ms"], hasten(40));
    await until(() => host.sockets.size, "a connection");
    equal(brief(await s.look()), ["healthy", 200, 200], "16 nothing is down");
    send(host, 1, { did: profile(1) });
    let l = await s.until(x => x.status === "degraded", "degraded");
    equal(brief(l), ["degraded", 200, 200], "16 API slow: degraded, ready");
    await until(async () => await count(s.dir) === 1, "the row");
    ok(true, "16 the event did not wait longer than its deadline");
    fault = { status: 503, body: {} };
    let n = 2;
    l = await s.until(x => { send(host, 5, { did: profile(n++) }); return x.data.breaker !== "closed"; }, "the breaker");
    equal(brief(l), ["degraded", 200, 200], "16 API down: degraded, ready");
    fault = null;
    // The half-open breaker needs somebody to ask for.
    l = await s.until(x => { send(host, 1, { did: profile(n++) }); return x.data.breaker === "closed"; }, "the way up");
    l = await s.until(x => x.status === "healthy", "healthy");
    equal(brief(l), ["healthy", 200, 200], "16 API back, and a minute later healthy");
    fault = { status: 429, headers: { "retry-after": "60" }, body: {} };
    l = await s.until(x => { send(host, 1, { did: profile(n++) }); return x.status === "degraded"; }, "degraded");
    equal(brief(l), ["degraded", 200, 200], "16 API 429: degraded, ready");
    equal(await s.run.stop(), 0, "16 ends with 0");
    equal(stored(s.dir).length, sent - before, "16 no event is lost");
    host.close();
    api.close();
  },

  async t16_login() {
    const host = await fakeHost(() => {}), who = "did:plc:" + "d".repeat(24), secret = join(folder, "password");
    writeFileSync(secret, "wrong-password", { mode: 0o600 });
    const api = await fakeApi({ profiles: { [who]: { did: who, handle: "w.test" } },
      fault: call => call.endsWith("createSession") ? { status: 401, body: { error: "AuthenticationRequired", message: "Invalid" } } : null });
    const s = await start(["--host", host.url, "--hydrate", "user", "--api-url", api.url, "--login-identifier", "a.test", "--login-password-file", secret, "--login-pds", api.url]);
    await until(() => host.sockets.size && api.calls.some(c => c.call.endsWith("createSession")), "a login");
    send(host, 1, { did: who });
    await until(() => stored(s.dir).length === 1, "a row");
    const l = await s.look();
    equal([...brief(l), l.data.session_count], ["degraded", 200, 200, 0], "16 login refused: degraded, ready");
    ok(api.calls.some(c => c.call.endsWith("getProfiles") && !c.auth), "16 the API is asked without a login", api.calls);
    equal(await s.run.stop(), 0, "16 ends with 0");
    ok(!s.run.err.includes("wrong-password"), "16 the password is in no message");
    host.close();
    api.close();
  },

  async t16_redis() {
    if (!redisBinary) return skip("16 Redis", "redis is not installed");
    const host = await fakeHost(() => {}), port = await freePort();
    const args = ["--host", host.url, "--hydrate", "none", "--sink", "redis", "--redis", `redis://127.0.0.1:${port}`];
    const s = await start(args), t = await start([...args, "--ready-requires", "redis"]);
    await until(() => host.sockets.size === 2, "connections");
    send(host, 5);
    let l = await s.until(x => x.status === "degraded" && x.data.followers[0].lag_records === 5, "degraded");
    equal(brief(l), ["degraded", 200, 200], "16 Redis down: degraded, ready");
    l = await t.until(x => x.ready === 503, "503");
    equal([l.status, l.health, l.why], ["degraded", 200, ["redis down"]], "16 not ready where ready_requires names it");
    const redis = await startRedis(port);
    l = await t.until(x => x.status === "healthy" && x.ready === 200, "the way up");
    ok(true, "16 back: healthy, ready");
    equal([await s.run.stop(), await t.run.stop()], [0, 0], "16 ends with 0");
    await redis.stop();
    host.close();
  },

  // A host that is open and answers pings, but has fallen silent: another one after stale_after.
  // Time is only so fast that our own pauses are not the 65 s after which a connection counts as dead.
  async t08_silent_host() {
    const all = await Promise.all([0, 1].map(() => fakeHost(c => { const t = setInterval(() => c.ping(), 20); c.on("close", () => clearInterval(t)); })));
    const s = await start(["--hydrate", "none", "-v", "--connect-timeout", "1h", ...all.flatMap(h => ["--host", h.url])], hasten(20));
    const asked = () => all.flatMap(h => h.requests), rows = () => count(s.dir);
    await until(() => all.some(h => h.sockets.size), "a connection");
    // Far more than one in each of its seconds, also from a machine that is busy.
    const began = performance.now(), feed = setInterval(() => { for (const h of all) send(h, 50); }, 10);
    await until(async () => performance.now() - began > 1300 && await rows() > 2000, "rows");
    clearInterval(feed);
    const before = asked().length, said = s.run.err.length;
    const silent = () => s.run.err.slice(said).match(/silent_ms=\d+/g)?.map(x => Number(x.slice(10))) ?? [];
    await until(() => asked().length > before && all.some(h => h.sockets.size) && silent().length, () => ["another host", s.run.err.slice(said), s.states()].join("\n"), 60000);
    ok(silent().every(ms => ms > 60000 && ms < 600000) && s.states().includes("stalled"), "8 a silent host is left after stale_after of 60 s", silent(), s.states());
    ok(all.every(h => h.requests.length) && asked().filter(r => !new URL(r, "http://x").searchParams.has("cursor")).length === 1, "8 for the other one, at the position", asked());
    const got = await rows();
    await until(async () => { for (const h of all) send(h, 1); return s.states().at(-1) !== "stalled" && await rows() > got; }, "rows of the other");
    equal(await s.run.stop(), 0, "8 ends with 0");
    for (const h of all) h.close();
  },

  // A private host that has nothing to say, but answers: an hour of it.
  async t08_idle_host() {
    const host = await fakeHost(c => { const t = setInterval(() => c.ping(), 10); c.on("close", () => clearInterval(t)); }), rate = 2400;
    const s = await start(["--hydrate", "none", "--host", host.url, "--connect-timeout", "1h"], hasten(rate));
    await until(() => s.states().at(-1) === "quiet", "quiet");
    const connections = host.requests.length, before = s.states().length;
    const from = performance.now();
    send(host, 3);
    await until(() => stored(s.dir).length === 3, "rows");
    await until(() => (performance.now() - from) * rate > 3700e3, "an hour", 60000);
    equal(s.states().at(-1), "quiet", "8 an idle host stays quiet for an hour");
    ok(host.requests.length === connections && !s.states().slice(before).some(x => x === "stalled" || x === "backoff" || x === "connecting"), "8 on one connection", host.requests, s.states());
    equal(await s.run.stop(), 0, "8 ends with 0");
    host.close();
  },

  // The sums of the summary are those that the host counts: everything that can become of an event.
  async t23_sums() {
    const b = "did:plc:" + "b".repeat(24), from = sent, count = { sent: 0, other: 0, again: 0, dead: 0 };
    const host = await fakeHost(() => {}), s = await start(["--hydrate", "none", "--host", host.url, "--match", 'text ~ "n "', "--exclude-did", b, "-v"]);
    await until(() => host.sockets.size, "a connection");
    const [c] = host.sockets, put = (line, kind) => { c.send(line); count.sent++; if (kind) count[kind]++; };
    for (let n = 0; n < 600; n++) {
      const line = post(sent++, n % 5 === 1 ? { text: "zzz" } : n % 5 === 2 ? { did: b } : {});
      put(line, n % 5 === 1 || n % 5 === 2 ? "other" : undefined);
      if (n % 5 === 3) put(line, "again");
      if (n % 5 === 4) put('{"did":"nobody"}', "dead");
    }
    const want = count.sent - count.other - count.again - count.dead;
    await until(() => stored(s.dir).length === want, want + " rows");
    const st = (await (await fetch(s.url + "/stats")).json()).data;
    equal([st.events_received, st.events_stored, st.events_filtered, st.events_duplicate, st.events_dead], [count.sent, want, count.other, count.again, count.dead], "23 /stats counts what the host sent");
    equal(await s.run.stop(), 0, "23 ends with 0");
    ok(s.run.err.includes(`\nread ${count.sent.toLocaleString("en")} = stored ${want} + rejected ${count.dead} + spooled 0 + skipped ${count.other + count.again}\n`) &&
      s.run.err.includes(`filtered ${count.other}, duplicate ${count.again}, waiting 0`), "23 and so does the summary", s.run.err, count, from);
    const last = JSON.parse(readFileSync(s.channel, "utf8").split("\n").filter(l => l.includes('"summary"')).at(-1));
    equal([last.read, last.acked, last.rejected, last.skipped], [count.sent, want, count.dead, count.other + count.again], "23 and the status channel");
    host.close();
  },

  // JET_MEMORY=10000000 with a release build (ZK=…): so many events with full caches, two hours of its time.
  async t22_memory() {
    const n = Number(process.env.JET_MEMORY || "0");
    if (!n) return skip("22 memory", "JET_MEMORY says of how many events");
    const did = k => "did:plc:" + String(k).padStart(24, "0").replace(/\d/g, d => "abcdefghij"[d]), uri = k => `at://${did(k)}/app.bsky.feed.post/p${k}`, filler = "x".repeat(500);
    const any = make => new Proxy({}, { get: (_, id) => make(id) });
    const api = await fakeApi({ profiles: any(id => ({ did: id, handle: "h.test", description: filler + filler })), posts: any(id => ({ uri: id, cid: "bafy", author: { did: did(1), handle: "h.test" }, record: { text: filler + filler } })) });
    const dir = storeDir(), ready = join(folder, "ready22");
    const r = new Run(["run", "--from", "-", "--collection", "*", "--hydrate", "user,parent", "--hydrate-deadline", "none", "--user-ttl", "30d", "--post-ttl", "30d", "--api-url", api.url, "--api-rps", "100000", "--store", dir,
      "--min-free", "0", "--compress", "none", "--rotate-bytes", "128MiB", "--max-bytes", "512MiB", "--when-full", "drop-oldest", "--listen", "127.0.0.1:0", "--ready-file", ready], { ...hasten(process.env.JET_MEMORY_RATE || "60"), stdin: "pipe" });
    r.p.stdin.on("error", () => {});
    await until(() => existsSync(ready), "ready");
    const rss = [], look = () => { const t = readFileSync(`/proc/${r.p.pid}/status`, "utf8"); rss.push({ at: wrote, rss: Number(/VmRSS:\s+(\d+)/.exec(t)[1]), peak: Number(/VmHWM:\s+(\d+)/.exec(t)[1]) }); };
    let wrote = 0;
    const began = performance.now(), timer = setInterval(() => { try { look(); } catch { /* it is gone */ } }, 500);
    while (wrote < n) {
      let text = "";
      for (const end = Math.min(n, wrote + 2000); wrote < end; wrote++) {
        const line = post(wrote, { did: did(wrote % 50000), text: "n " + wrote });
        text += line.replace('"createdAt"', `"reply":{"parent":{"uri":"${uri(wrote % 40000)}"},"root":{"uri":"${uri(wrote % 40000)}"}},"createdAt"`) + "\n";
      }
      if (!r.p.stdin.write(text)) await Promise.race([new Promise(d => r.p.stdin.once("drain", d)), r.exit]);
      if (r.code !== undefined) break;
    }
    r.p.stdin.end();
    await r.exit;
    clearInterval(timer);
    const half = rss.findIndex(x => x.at >= n / 2), peakOf = list => Math.max(...list.map(x => x.rss)), first = peakOf(rss.slice(Math.floor(half / 2), half)), second = peakOf(rss.slice(half)), peak = rss.at(-1).peak;
    console.log(`# ${n} events in ${((performance.now() - began) / 1000).toFixed(0)} s, ${api.calls.length} requests; KiB: peak ${peak}, second quarter ${first}, second half ${second}`);
    equal(r.code, 0, "22 ends with 0", r.err.slice(-500));
    ok(api.calls.length >= 90000 / 25, "22 the caches are full", api.calls.length);
    ok(peak <= 200 * 1024, "22 at most 200 MiB", peak);
    ok(second <= first * 1.05, "22 no growth between the first hour and the second", first, second);
    api.close();
  },

  // The host's certificate, and the requests that were made, in /status.
  async status_of_peers() {
    const dir = folder, cert = join(dir, "cert.pem"), key = join(dir, "key.pem");
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "40", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], { stdio: "ignore" });
    const h = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }), wss = new WebSocketServer({ server: h }), sockets = new Set();
    wss.on("connection", c => sockets.add(c));
    await new Promise(r => h.listen(0, "127.0.0.1", r));
    const api = await fakeApi({ fault: () => ({ status: 500, body: {} }) });
    const s = await start(["--host", `wss://127.0.0.1:${h.address().port}`, "--hydrate", "user", "--api-url", api.url, "--ca-file", cert, "--retry-base", "5ms"]);
    await until(() => sockets.size, "a connection");
    for (const c of sockets) c.send(post(sent++));
    await until(() => api.calls.length > 0 && stored(s.dir).length === 1, "a request", 60000);
    const d = (await (await fetch(s.url + "/status")).json()).data, days = (Date.parse(d.peers[0]?.certificate_until) - Date.now()) / 86400e3;
    ok(d.peers.length === 1 && days > 38 && days < 41, "10 when the certificate of the host ends", d.peers);
    const x = d.exchanges.at(-1);
    ok(x.method === "GET" && x.url.startsWith(api.url + "/xrpc/app.bsky.actor.getProfiles") && !x.url.includes("did:plc") && x.status === 500 && x.ms >= 0, "10 the last requests, without their queries", d.exchanges);
    equal(await s.run.stop(), 0, "10 ends with 0");
    for (const c of sockets) c.terminate();
    h.close();
    api.close();
  },

  // ux.md §9: one line on a terminal, plain ones elsewhere, a summary with the cursor.
  async status_line() {
    const host = await fakeHost(() => {}), who = "did:plc:" + "a".repeat(24), api = await fakeApi({ profiles: { [who]: { did: who, handle: "a.test" } } });
    const lines = async (columns, more = [], env = {}) => {
      const args = ["--wire", "v1", "--host", host.url, "--hydrate", "user", "--api-url", api.url, "--store", storeDir(), "--min-free", "0", "--listen", "off", ...more].map(a => `'${a}'`).join(" ");
      const p = spawn("script", ["-qfec", `stty cols ${columns} rows 24; exec ${zk} jetstream run ${args}`, "/dev/null"],
        { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder, TERM: "xterm", LANG: "C.UTF-8", LC_ALL: "C.UTF-8", ...env } });
      let out = "";
      p.stdout.on("data", d => { out += d; });
      const gone = new Promise(r => p.on("exit", r));
      const feed = setInterval(() => send(host, 3), 50);
      // Redrawn lines: the escapes aside, from one to the next.
      const text = () => out.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "\n").split(/[\r\n]+/);
      try {
        await until(() => text().some(l => /^live .*ev\/s .*[\u2581-\u2588#@].*/.test(l) && (columns < 100 || l.includes(host.name))), "a line", 60000);
      } finally {
        clearInterval(feed);
        p.stdin.write("\x03");
        await gone;
      }
      return { line: text().filter(l => /^live .*ev\/s/.test(l)).at(-1) ?? "", all: out };
    };
    const wide = await lines(160);
    ok(/^live {2}lag \d+\.\ds {2}[\d,.]+ ev\/s [\u2581-\u2588]+ {2}hydrated \d+\.\d% {2}cache \d+% {2}[\d.]+ [KMG]iB {2}127\.0\.0\.1:\d+/.test(wide.line), "9 the line of a terminal", wide.line);
    const narrow = await lines(44, [], { LANG: "C", LC_ALL: "C" });
    ok(narrow.line.length <= 44 && !narrow.line.includes("127.0.0.1") && narrow.line.startsWith("live  lag"), "9 on a narrow one figures vanish from the right", narrow.line);
    ok(/ev\/s [.:=+*#%@-]+( |$)/.test(narrow.line) && !/[^\x00-\x7f]/.test(narrow.line), "9 without UTF-8 in ASCII", narrow.line);
    host.close();
    const again = await fakeHost(() => {}), s = await start(["--hydrate", "none", "--host", again.url, "-v", "--progress", "plain"]);
    await until(() => again.sockets.size, "a connection");
    send(again, 7);
    await until(() => stored(s.dir).length === 7, "rows");
    equal(await s.run.stop(), 0, "9 ends with 0");
    ok(/^live, .*ev/m.test(s.run.err), "9 --progress plain: a line for each state", s.run.err);
    ok(/^read 7 = stored 7 \+ rejected 0 \+ spooled 0 \+ skipped 0$/m.test(s.run.err) && /^cursor \d{16} \(20.*Z\) of 127\.0\.0\.1:\d+ . gaps 0$/m.test(s.run.err), "9 the summary, with cursor and gaps", s.run.err);
    again.close();
    api.close();
  },

  // ux.md §10: with --admin the pages and the probes have a listener of their own.
  async t16_admin() {
    const host = await fakeHost(() => {}), s = await start(["--hydrate", "none", "--host", host.url, "--admin", "127.0.0.1:0"]);
    await until(() => host.sockets.size, "a connection");
    const admin = JSON.parse(readFileSync(s.ready)).admin, code = async u => (await fetch(u, { redirect: "manual" })).status;
    ok(/^127\.0\.0\.1:\d+$/.test(admin) && s.url !== "http://" + admin, "16 the ready file names the admin listener", admin);
    const paths = ["/healthz", "/readyz", "/status", "/metrics", "/ui", "/health"];
    equal(await Promise.all(paths.map(p => code("http://" + admin + p))), paths.map(() => 200), "16 it has probes, status, metrics and page");
    equal(await Promise.all(paths.map(p => code(s.url + p))), [404, 404, 404, 200, 404, 200], "16 the public one keeps what the upstream API defines");
    const page = await fetch("http://" + admin + "/", { headers: { accept: "text/html" } });
    ok(page.headers.get("content-type").startsWith("text/html"), "16 the page is there", [...page.headers]);
    for (const c of host.sockets) c.terminate();
    host.close();
    await until(async () => await code("http://" + admin + "/readyz") === 503, "not ready");
    equal(await code("http://" + admin + "/healthz"), 200, "16 no host: the process lives, and is not ready");
    const taken = new Run(["run", "--wire", "v1", "--host", host.url, "--store", storeDir(), "--min-free", "0", "--listen", "off", "--admin", admin]);
    equal(await taken.exit, 71, "16 an address that is taken: 71");
    equal(await s.run.stop(), 0, "16 ends with 0");
  },

  async t17_metrics() {
    const host = await fakeHost(() => {}), s = await start(["--hydrate", "cached", "--host", host.url]), c = await start(["--hydrate", "none", "--host", host.url, "--compat-metrics"]);
    await until(() => host.sockets.size === 2, "connections");
    send(host, 25);
    await until(() => stored(s.dir).length === 25 && stored(c.dir).length === 25, "rows");
    const m = await (await fetch(s.url + "/metrics")).text();
    const p = spawnSync("promtool", ["check", "metrics"], { input: m });
    if (p.error) skip("17 promtool check metrics", "promtool is not installed");
    else ok(p.status === 0 && !p.stdout.length && !p.stderr.length, "17 promtool check metrics", p.stdout.toString(), p.stderr.toString());
    for (const n of ["events_total{result=\"stored\"} 25", "received_bytes_total{form=\"wire\"}", "lookups_total{kind=\"profile\",result=\"miss\"}", "unresolved_total{reason=\"cached_only\"}", "latency_seconds_count 25",
      "hydration_seconds_count", "store_commit_seconds_count", "window_events", "store_bytes", "files{state=\"live\"} 1", "files{state=\"sealed\"} 0", "files{state=\"archived\"} 0", "ws_clients 0"])
      ok(m.includes("\nzk_jetstream_" + n), "17 zk_jetstream_" + n);
    const old = await (await fetch(c.url + "/metrics")).text(), sum = /^jetstream_turbo:batch_time_count (\d+)$/m.exec(old);
    ok(/^jetstream_turbo:posts_processed_total 25$/m.test(old) && Number(sum?.[1]) >= 1, "17 counter and histogram of the Python version", old.split("\n").filter(l => l.includes("turbo:")));
    equal([...old.matchAll(/^jetstream_turbo:batch_time_bucket\{le="([^"]+)"\}/mg)].map(x => Number(x[1].replace("+Inf", "Infinity"))), [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, Infinity], "17 with its buckets");
    ok(!m.includes("jetstream_turbo"), "17 not unless they are asked for");
    equal([await s.run.stop(), await c.run.stop()], [0, 0], "17 ends with 0");
    host.close();
  },
});
