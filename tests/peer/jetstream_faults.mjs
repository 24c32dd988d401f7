// What can go wrong around a Jetstream store, and a whole day: kill -9 at any moment with every sink,
// a full disk, a damaged file, a clock that jumps; specs/jetstream.md §14, §16, §23.  TAP.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { archived, bucket, byName, count, health, hostOf, httpOf, many, objects, place, row, sealedOf, startS3, stats } from "./s3_lib.mjs";
import { base, equal, execFileSync, existsSync, fakeHost, fixtures, folder, join, main, ok, readFileSync, readdirSync, rows, Run, run,
  same, skip, storeDir, stored, until, writeFileSync } from "./jetstream_lib.mjs";
import { command, freePort, pages, redisBinary, startRedis } from "./jetstream_redis_lib.mjs";

const fx = fixtures();
const all = ["--collection", "*"];
const clock = process.env.TEST_BUILD && join(process.env.TEST_BUILD, "tests/peer/skewed_clock.so");
const withClock = env => ({ env: { LD_PRELOAD: clock, ASAN_OPTIONS: (process.env.ASAN_OPTIONS ?? "") + ":verify_asan_link_order=0", ...env } });
const files = dir => readdirSync(dir).filter(n => /^jetstream_\d.*\.db(\.(zst|zip|gz))?$/.test(n)).sort(byName);
const plain = ["--linger", "5ms", "--hydrate", "none", ...all];
const liveRows = dir => { try { return Number(execFileSync("sqlite3", ["-readonly", join(dir, readFileSync(join(dir, "live"), "utf8").trim()), "SELECT count(*) FROM records"], { stdio: ["ignore", "pipe", "ignore"] })); } catch { return -1; } };
const maybe = dir => { try { return stored(dir); } catch { return []; } };
// Sums of the last summary: what came is what is stored, filtered, doubled or dead (§23.23).
const summary = r => { const m = /([\d,]+) events in .*filtered (\d+), duplicate (\d+), waiting (\d+)/.exec(r.err); return m && m.slice(1).map(x => Number(x.replaceAll(",", ""))); };

// Replays from the cursor at full speed, and cuts now and then.
function replaying(lines, cuts) {
  const times = lines.map(l => JSON.parse(l).time_us);
  return fakeHost((c, req) => {
    const cursor = Number(new URL(req.url, "http://x").searchParams.get("cursor") ?? 0);
    let i = times.findIndex(t => t >= cursor);
    const cut = cuts && Math.random() < 0.3 ? i + Math.floor(Math.random() * 5000) : Infinity;
    const next = () => {
      if (c.readyState !== 1) return;
      for (let k = 0; k < 200 && i < lines.length; k++) c.send(lines[i++]);
      if (i > cut) return c.terminate();
      if (i < lines.length) c.bufferedAmount > 1e6 ? setTimeout(next, 5) : setImmediate(next);
    };
    if (i >= 0) next();
  });
}

// Paced: event i is that of the fixtures, made one of its own; its time tells i again.
function paced(rate) {
  const step = Math.floor(1e6 / rate), from = Date.now() * 1000, list = fx.lines("events.ndjson").map(l => JSON.parse(l));
  const p = { on: true, sent: 0, at: us => (us - from) / step };
  p.event = i => {
    const { cursor, ...e } = list[i % list.length];
    e.time_us = from + i * step;
    if (e.commit) e.commit = { ...e.commit, rev: "r" + i };
    for (const x of ["identity", "account"]) if (e[x]) e[x] = { ...e[x], seq: i };
    return JSON.stringify(e);
  };
  p.start = async () => {
    p.host = await fakeHost((c, req) => {
      const cursor = new URL(req.url, "http://x").searchParams.get("cursor");
      let i = cursor ? Math.max(0, Math.ceil(p.at(Number(cursor)))) : p.sent;
      const t = setInterval(() => {
        const due = p.on ? Math.floor(p.at(Date.now() * 1000)) : p.sent;
        // A host that was kept from sending has more to send, not all of it at once.
        for (let k = 0; k < rate && i < due && c.bufferedAmount < 1e6; k++) c.send(p.event(i++));
        p.sent = Math.max(p.sent, i);
      }, 20);
      c.on("close", () => clearInterval(t));
    });
  };
  return p;
}

const rssOf = pid => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
const pause = ms => new Promise(r => setTimeout(r, ms));

const tests = {
  // MUST SHOW 2: JET_KILLS=50 JET_EVENTS=200000 for the long round.
  async t05_killed_with_every_sink() {
    const kills = Number(process.env.JET_KILLS || "3"), n = Number(process.env.JET_EVENTS || "8000"), lines = many(n);
    const host = await replaying(lines, true), dir = storeDir(), s3 = await startS3(place()), port = redisBinary && await freePort(), redis = redisBinary && await startRedis(port);
    const args = ["run", "--host", host.url, "--wire", "v1", ...plain, "--store", dir, "--batch", "500", "--rotate-bytes", n > 20000 ? "8MiB" : "4MiB", "--s3-keep-local", "--keep-plain",
      "--sink", "s3", ...bucket(s3), "--retry-base", "10ms", "--retry-cap", "100ms", ...base,
      ...(redis ? ["--sink", "redis", "--redis", `redis://127.0.0.1:${port}`, "--redis-maxlen", "0"] : [])];
    const go = (...more) => new Run([...args, ...(count(dir) === 0 ? ["--since", "2025-01-01"] : []), ...more]);
    let done = 0, whole = 0;
    // When everything is in, the next round begins anew in another folder of the same bucket.
    for (; done < kills; done++) {
      const before = count(dir);
      const r = go();
      if (before < n) await until(() => count(dir) > before || r.code !== undefined, "progress", 60000);
      await new Promise(res => setTimeout(res, Math.random() * (n > 20000 ? 150 : 400)));
      await r.stop("SIGKILL");
      if (before >= n) whole++;
    }
    // Before it is ready the signal would end it.
    const ready = join(folder, "ready05"), r = go("--ready-file", ready);
    await until(() => existsSync(ready), "the last run", 60000);
    await until(() => count(dir) >= n, "everything", 120000);
    r.p.kill("SIGUSR2");
    await until(() => liveRows(dir) === 0 || r.code !== undefined, () => `the switch ${liveRows(dir)} ${r.code} ${r.err}`, 60000);
    const sealed = () => files(dir).filter(f => f.endsWith(".db") && f !== readFileSync(join(dir, "live"), "utf8").trim()).map(f => f + ".zst");
    await until(async () => { const k = new Set(await s3.keys()); return sealed().every(f => k.has(f)); }, "everything in the bucket", 120000);
    if (redis) await until(async () => await command(port, "XLEN", "hydrated_jetstream") >= n, "everything in Redis", 120000);
    ok(await r.stop() === 0, "5 the last run ends with 0", r.code, r.err);
    console.log(`# killed ${done} times, ${whole} of them after everything was stored`);
    const got = stored(dir), set = new Set(got);
    ok(got.length === n && lines.every(l => set.has(l)), "5 SQLite has each event exactly once", got.length, n);
    equal(rows(dir, "SELECT from_us, reason FROM zk_gap WHERE from_us > 1760000000000000"), [], "5 no gap was found, but the one before the first event");
    const inBucket = new Set(await archived(s3));
    ok(lines.every(l => inBucket.has(l)), "5 S3 has each event at least once", inBucket.size);
    if (redis) {
      const inRedis = new Set();
      for await (const page of pages(port)) for (const e of page) inRedis.add(JSON.stringify(JSON.parse(e.fields.data).message));
      ok(lines.every(l => inRedis.has(JSON.stringify(JSON.parse(l)))), "5 Redis has each event at least once", inRedis.size);
      await redis.stop();
    }
    host.close();
    await s3.close();
  },

  // The host sends the last two seconds again (§8.2), and they are no longer in the live file (§8.4).
  async t05_killed_after_a_switch() {
    const lines = many(600), half = 300;
    for (const [what, keep] of [["plain", ["--compress", "none"]], ["packed", []]]) {
      let most = half;
      const host = await fakeHost((c, req) => {
        const cursor = Number(new URL(req.url, "http://x").searchParams.get("cursor") ?? 0);
        for (const l of lines.slice(0, most)) if (JSON.parse(l).time_us >= cursor) c.send(l);
      });
      const dir = storeDir(), args = ["run", "--host", host.url, "--wire", "v1", ...plain, "--store", dir, ...keep, ...base];
      const live = () => readFileSync(join(dir, "live"), "utf8").trim();
      let ready = join(folder, "ready05a"), r = new Run([...args, "--since", "2025-01-01", "--ready-file", ready]);
      await until(() => existsSync(ready) && liveRows(dir) === half, "the first half");
      const first = live();
      r.p.kill("SIGUSR2");
      await until(() => live() !== first && existsSync(join(dir, first)) === (what === "plain"), "the switch");
      await r.stop("SIGKILL");
      rmSync(ready);
      most = lines.length;
      r = new Run(args);
      await until(() => liveRows(dir) >= lines.length - half, "the second half");
      ok(await r.stop() === 0, `5 killed after a switch (${what}): ends with 0`, r.code, r.err);
      ok(Number(new URL(host.requests.at(-1), "http://x").searchParams.get("cursor")) < JSON.parse(lines[half - 1]).time_us,
        `5 killed after a switch (${what}): stored events come again`, host.requests);
      const q = await run("query", "--store", dir, "--all", "--oldest", "--envelope", "raw", "-o", "ndjson");
      ok(same(q.lines(), lines), `5 killed after a switch (${what}): each event exactly once`, q.lines().length, q.err);
      host.close();
    }
  },

  // MUST SHOW 3, with a release build: Redis and S3 are away for JET_OUTAGE seconds while JET_OUTAGE_RATE events come in each of them (§16).
  async outage() {
    const secs = Number(process.env.JET_OUTAGE || "0"), rate = Number(process.env.JET_OUTAGE_RATE || "2000");
    if (!secs || !redisBinary) return skip("3 a long outage", "JET_OUTAGE says of how many seconds");
    const port = await freePort(), aof = join(folder, "aof"), up = () => startRedis(port, "--dir", aof, "--appendonly", "yes");
    mkdirSync(aof);
    const src = paced(rate), s3 = await startS3(place()), dir = storeDir(), ready = join(folder, "ready-out"), channel = join(folder, "status-out");
    let redis = await up();
    await src.start();
    const r = new Run(["run", "--host", src.host.url, "--wire", "v1", "--hydrate", "none", ...all, "--store", dir, "--rotate-bytes", "8MiB", "--envelope", "raw", "--sink", "redis", "--redis", `redis://127.0.0.1:${port}`,
      "--redis-maxlen", "0", "--sink", "s3", ...bucket(s3), "--retry-base", "100ms", "--retry-cap", "500ms", "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready, "--status-fd", channel]);
    const url = await httpOf(ready), samples = [];
    await until(() => readFileSync(channel, "utf8").includes('"followers"'), "a line of the status channel");
    const told = () => JSON.parse(readFileSync(channel, "utf8").trimEnd().split("\n").filter(l => l.includes('"followers"')).at(-1));
    const look = async phase => {
      const h = await (await fetch(url + "/health")).json(), s = await stats(url), lag = (d, name) => row(d.followers, name).lag_records;
      samples.push({ phase, rss: rssOf(r.p.pid), sent: src.sent, status: h.status, ready: (await fetch(url + "/ready")).status, stored: s.events_stored, received: s.events_received, followers: h.data.followers,
        redis: [lag(h.data, "redis"), lag(s, "redis"), lag(told(), "redis")], s3: [lag(h.data, "s3"), lag(s, "s3"), lag(told(), "s3")] });
      return samples.at(-1);
    };
    // Each second, whatever becomes of the peers.
    const watch = async (phase, over) => { for (const from = Date.now(); !await over(Date.now() - from, await look(phase)) && r.code === undefined;) await pause(1000); };
    await watch("before", (ms, l) => l.stored > 20 * rate);
    r.p.kill("SIGUSR2");
    await watch("before", async (ms, l) => (await s3.keys()).length > 0 && l.redis[0] < rate * 2);
    const first = samples.length;
    await redis.stop("SIGTERM");
    await s3.down();
    await watch("away", ms => ms > secs * 1000);
    const away = samples.slice(first), end = away.at(-1), n0 = samples[first - 1].stored;
    redis = await up();
    await s3.up();
    await watch("back", (ms, l) => ms > 1800e3 || (l.redis[0] < rate * 5 && l.followers.every(f => f.state !== "down") && l.s3[0] < rate * 120 && ms > 30000));
    src.on = false;
    await until(async () => (await stats(url)).events_stored === src.sent, "all rows", 60000);
    r.p.kill("SIGUSR2");
    await watch("back", async (ms, l) => ms > 1800e3 || (l.redis[0] === 0 && l.s3[0] === 0 && await liveRows(dir) === 0 && sealedOf(dir).length === 0));
    ok(await r.stop() === 0, "3 ends with 0", r.code, r.err.slice(-1000));
    src.host.close();

    const n = src.sent, most = list => Math.max(...list.map(x => x.rss)), tenth = Math.max(5, Math.floor(away.length / 10)), begin = most(away.slice(0, tenth)), rest = most(away.slice(tenth)), peak = most(samples);
    console.log(`# away for ${secs} s, ${n} events, ${end.stored - n0} of them meanwhile; RSS in KiB: before ${most(samples.slice(0, first))}, first tenth ${begin}, the rest ${rest}, back ${most(samples.filter(x => x.phase === "back"))}; ` +
      `${samples.length} samples; lag at the end: redis ${end.redis}, s3 ${end.s3}`);
    // A machine that is busy keeps the host from sending; what it sent is stored but for what is on the way.
    ok(end.stored - n0 > secs * 100 && end.sent - end.stored < rate * 10, "3 the store goes on meanwhile", end.sent, end.stored, n0);
    ok(rest - begin <= 8 << 10, "3 the memory does not grow while they are away", begin, rest);
    ok(peak <= 100 << 10, "3 nor beyond measure when they come back", peak);
    const late = away.slice(Math.min(away.length - 1, 15));
    ok(late.every(x => x.status === "degraded" && x.ready === 200 && x.followers.every(f => f.state === "down" && f.error)), "3 degraded and ready, each of them is down, with the reason", late.find(x => x.status !== "degraded" || x.followers.some(f => f.state !== "down")));
    // What Redis lacks is what was stored since, S3 what is in files that were left.
    ok(away.every(x => Math.abs(x.redis[0] - x.redis[1]) <= rate * 3 && Math.abs(x.redis[0] - x.redis[2]) <= rate * 5), "3 the lag of Redis: /health, /stats and the status channel agree", away.at(-1).redis);
    ok(end.redis.every(l => l > (end.stored - n0) * 0.95) && end.s3.every(l => l > (end.stored - n0) * 0.95 - 20e3), "3 and say how much it is, of S3 too", end.redis, end.s3, end.stored - n0);
    ok(late.every((x, i) => !i || (x.redis[0] >= late[i - 1].redis[0] && x.s3[0] >= late[i - 1].s3[0])), "3 it only rises", late.map(x => [x.redis[0], x.s3[0]]));

    let bad = 0, rows = 0;
    const inRedis = new Uint8Array(n), inBucket = new Uint8Array(n);
    for await (const page of pages(port)) for (const e of page) { const i = src.at(Number(e.fields.time_us)); inRedis[i]++; bad += e.fields.data !== src.event(i); rows++; }
    ok(inRedis.every(x => x > 0) && bad === 0, "3 Redis has each event, byte for byte", inRedis.filter(x => !x).length, bad);
    equal(rows, n, "3 and each once: they were away, nobody died");
    for await (const part of objects(s3)) for (const m of part) { const i = src.at(JSON.parse(m).time_us); inBucket[i]++; bad += m !== src.event(i); }
    ok(inBucket.every(x => x === 1) && bad === 0, "3 S3 has each event once, byte for byte", inBucket.filter(x => x !== 1).length, bad);
    equal(s3.bad, [], "3 every signature and checksum is right");
    const list = (await run("archive", "list", "--store", dir, "-o", "ndjson")).lines().map(l => JSON.parse(l));
    equal(list.reduce((a, f) => a + (f.rows ?? 0), 0), n, "3 SQLite had each once: the rows of all files");
    await redis.stop();
    await s3.close();
  },

  // MUST SHOW 6: with TEST_ALL (or JET_DAY_HOURS=24) a whole day, at a thousand times its speed.
  async day() {
    if (!clock || !existsSync(clock)) return skip("a day", "no other clock");
    const hours = Number(process.env.JET_DAY_HOURS || (process.env.TEST_ALL ? "24" : "4")), rate = 1000, origin = Date.UTC(2026, 0, 1) / 1000;
    const from = Math.floor(Date.now() / 1000), now = () => origin * 1000 + (Date.now() - from * 1000) * rate;
    const events = fx.lines("events.ndjson").map(l => JSON.parse(l)), sent = [];
    const begin = now(), end = begin + hours * 3600000;
    const host = await fakeHost(c => {
      const tick = setInterval(() => {
        if (now() > end || c.readyState !== 1) return clearInterval(tick);
        for (let k = 0; k < 60; k++) {
          const i = sent.length, e = structuredClone(events[i % events.length]);
          delete e.cursor;
          e.time_us = Math.floor(now()) * 1000 + k;
          if (e.commit) e.commit.rev += "r" + i;
          for (const x of ["identity", "account"]) if (e[x]) e[x].seq = i;
          sent.push(JSON.stringify(e));
          c.send(sent[i]);
        }
      }, 100);
    });
    const dir = storeDir(), s3 = await startS3(place()), ready = join(folder, "ready-day");
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...plain, "--store", dir, "--rotate", "1h", "--retention", "2h", "-v", "--sink", "s3", ...bucket(s3),
      "--s3-prefix", "day/%Y/%m/%d/%H/", "--s3-keep-local", "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready],
    withClock({ SKEW_FROM: String(from), SKEW_TO: String(origin), SKEW_RATE: String(rate) }));
    const url = await httpOf(ready);
    let most = 0;
    while (now() < end + 600000) {
      most = Math.max(most, sealedOf(dir).length);
      await new Promise(x => setTimeout(x, 250));
    }
    await until(async () => (await stats(url)).events_stored === sent.length, "all rows", 60000);
    r.p.kill("SIGUSR2");
    await until(async () => { const f = row((await health(url)).followers, "s3"); return liveRows(dir) === 0 && f.file === files(dir).at(-2)?.replace(/\.zst$/, ""); }, "everything archived", 60000);
    const keys = (await s3.keys()).sort(byName), got = await archived(s3);
    ok(same(got, sent), `day: ${hours} h, ${sent.length} events: the bucket has each once, in order`, got.length, sent.length);
    ok(keys.length >= hours && keys.length <= hours + 2, "day: a file an hour", keys);
    let sum = 0;
    for (const k of keys) {
      const h = (await s3.object(k)).headers, first = Number(h["x-amz-meta-zk-first-us"]), last = Number(h["x-amz-meta-zk-last-us"]);
      const d = new Date(first / 1000).toISOString();
      ok(k.startsWith(`day/${d.slice(0, 4)}/${d.slice(5, 7)}/${d.slice(8, 10)}/${d.slice(11, 13)}/jetstream_`), "day: the key has the hour of the first event", k, d);
      // By as much as it was behind when the last file ended: two seconds of ours.
      ok(last - first <= 3600e6 + 2e6 * rate, "day: no file is longer than an hour", k, (last - first) / 1e6);
      sum += Number(h["x-amz-meta-zk-rows"]);
    }
    equal(sum, sent.length, "day: the counts of the metadata add up");
    // Retention is looked after every 10 s, which are 2.8 h here; then two hours are left.
    ok(most <= 8, "day: old files leave the disk", most);
    await until(() => sealedOf(dir).length <= 6, "retention", 30000);
    ok(r.err.includes("an old file was removed") || hours < 6, "day: by retention");
    equal(rows(dir, "SELECT count(*) AS n FROM zk_gap").reduce((a, x) => a + x.n, 0), 0, "day: no gap");
    const list = (await run("archive", "list", "--store", dir, "-o", "ndjson")).lines().map(l => JSON.parse(l));
    equal(list.filter(f => f.state === "archived").length, keys.length, "day: archive list knows all of them, also those that left");
    host.close();
    ok(await r.stop() === 0, "day: ends with 0", r.code, r.err);
    equal(summary(r)?.[0], sent.length, "23 the summary counts what was sent", r.err.slice(-400));
    await s3.close();
  },

  async t16_disk_full() {
    const lines = many(12000);
    for (const [how, min] of [["no space at all", "0"], ["less than --min-free", "8MiB"]]) {
      const disk = join(folder, "disk" + min), dir = join(disk, "store"), filler = join(disk, "filler");
      mkdirSync(disk);
      if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", disk]).status !== 0) return skip("16 a full disk", "mounting is not allowed");
      const host = await hostOf(lines), ready = join(folder, "ready16" + min);
      let r;
      try {
        writeFileSync(filler, Buffer.alloc(min === "0" ? 22 << 20 : 20 << 20));
        r = new Run(["run", "--host", host.url, "--wire", "v1", ...plain, "-v", "--store", dir, "--min-free", min, "--listen", "127.0.0.1:0", "--ready-file", ready]);
        const url = await httpOf(ready);
        await until(async () => (await fetch(url + "/ready")).status === 503, "503", 60000);
        const why = await (await fetch(url + "/ready")).json(), h = await (await fetch(url + "/health")).json();
        ok(JSON.stringify(why).includes("disk full") && h.status === "unhealthy", `16 ${how}: said`, why, h.status);
        const n = (await stats(url)).events_stored;
        ok(n < lines.length, `16 ${how}: it stopped in the middle`, n);
        rmSync(filler);
        await until(async () => (await stats(url)).events_stored === lines.length, "the rest", 60000);
        equal((await fetch(url + "/ready")).status, 200, `16 ${how}: goes on by itself`);
        ok(await r.stop() === 0, `16 ${how}: ends with 0`, r.code, r.err);
        ok(same(stored(dir), lines), `16 ${how}: every event once, in order`);
        equal(summary(r)?.[0], lines.length, `23 16 ${how}: the summary counts what was sent`, r.err.slice(-400));
      } finally {
        if (r && r.code === undefined) await r.stop("SIGKILL");
        host.close();
        spawnSync("umount", [disk]);
      }
    }
  },

  async corrupt() {
    const lines = many(9000), dir = storeDir(), s3 = await startS3(place());
    const host = await replaying(lines, false);
    const args = ["run", "--host", host.url, "--wire", "v1", ...plain, "--store", dir, "--rotate-bytes", "3MiB", "--sink", "s3", ...bucket(s3), ...base];
    // A third of it, sealed files among it; then the head of the live file is lost.
    let r = new Run([...args, "--since", "2025-01-01", "--limit", "5000"]);
    await r.exit;
    equal(r.code, 0, "14.5 the first part", r.err);
    const broken = readFileSync(join(dir, "live"), "utf8").trim(), path = join(dir, broken);
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    bytes.fill(0x5a, 0, 4096);
    writeFileSync(path, bytes);
    r = new Run(args);
    await until(() => r.err.includes("set aside"), "the warning", 30000);
    await until(() => maybe(dir).includes(lines.at(-1)), "the rest", 60000);
    r.p.kill("SIGUSR2");
    await until(async () => new Set([...await archived(s3)]).size === lines.length, "everything in the bucket", 60000);
    ok(await r.stop() === 0, "14.5 goes on with a new file: ends with 0", r.code, r.err);
    ok(existsSync(path + ".corrupt"), "14.5 the damaged file is kept aside", readdirSync(dir));
    ok(same([...new Set(await archived(s3))], lines), "14.5 from where the newest good file ended: nothing is missing");
    host.close();
    await s3.close();
  },

  // An hour back and a day forth: files keep their order, sinks follow, nothing is lost.
  async clock_jump() {
    if (!clock || !existsSync(clock)) return skip("a clock that jumps", "no other clock");
    for (const jump of ["-3600", "86400"]) {
      const lines = many(6000), dir = storeDir(), out = join(folder, "jump" + jump);
      const host = await fakeHost(c => { let i = 0; const next = () => { for (let k = 0; k < 60 && i < lines.length; k++) c.send(lines[i++]); if (i < lines.length) setTimeout(next, 40); }; next(); });
      const ready = join(folder, "ready-jump" + jump);
      const r = new Run(["run", "--host", host.url, "--wire", "v1", ...plain, "--store", dir, "--rotate-bytes", "1MiB", "--compress", "none", "--sink", "file:" + out, "--envelope", "raw",
        "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready], withClock({ SKEW_S: jump, SKEW_AT: String(Math.floor(Date.now() / 1000) + 3) }));
      const url = await httpOf(ready);
      await until(async () => (await stats(url)).events_stored === lines.length, "all rows", 60000);
      await until(async () => (await health(url)).followers[0].lag_records === 0, "the sink", 30000);
      host.close();
      ok(await r.stop() === 0, `clock ${jump} s: ends with 0`, r.code, r.err);
      ok(files(dir).length >= 4, `clock ${jump} s: several files`, files(dir));
      const inOrder = files(dir).flatMap(f => JSON.parse(execFileSync("sqlite3", ["-json", "-readonly", join(dir, f), "SELECT message FROM records ORDER BY id"], { maxBuffer: 1 << 28 }).toString().trim() || "[]").map(x => x.message));
      ok(same(inOrder, lines), `clock ${jump} s: each event once, and the order of names is the order of time`, files(dir));
      ok(same(readFileSync(out, "utf8").trim().split("\n"), lines), `clock ${jump} s: the sink got all of them, in order`);
    }
  },
};

await main(tests);
