// specs/jetstream.md §15 to §17, §23: what follows the store (Redis from Debian, files, stdout),
// its HTTP side, query and cursor, and kill -9 at random moments.  TAP.
import { base, count, equal, execFileSync, existsSync, fakeApi, fakeHost, fixtures, folder, join, main, ok, post, readdirSync, readFileSync, rows, Run, run,
  same, skip, slow, storeDir, stored, until, writeFileSync } from "./jetstream_lib.mjs";
import { command, entries, freePort, redisBinary, startRedis } from "./jetstream_redis_lib.mjs";

const fx = fixtures();
const events = fx ? fx.lines("events.ndjson") : [];
const all = ["--collection", "*"];
const file = fx && join(fx.dir, "events.ndjson");

let redisPort = 0;
const messages = list => list.map(e => JSON.stringify(JSON.parse(e.fields.data).message));
const wanted = () => events.map(l => JSON.stringify(JSON.parse(l)));

const tests = {
  // Files are left until the very end, and are asked about when sinks and clients of /ws are gone.
  async t14_left_at_the_end() {
    for (const [what, ...more] of [["compressed"], ["with a sink", "--sink", "file:" + join(folder, "left.ndjson")], ["not kept", "--max-bytes", "2MiB", "--when-full", "drop-oldest", "--compress", "none"]]) {
      const dir = storeDir(), path = join(folder, "left.in");
      writeFileSync(path, Array.from({ length: 6000 }, (_, n) => post(n, { text: "x".repeat(700) + n }) + "\n").join(""));
      const r = await run("run", "--from", path, ...all, "--hydrate", "none", "--store", dir, "--rotate-bytes", "1MiB", "--min-free", "0", "--listen", "127.0.0.1:0", ...more);
      ok(r.code === 0 && !r.err.includes("could not be sealed"), "14 files that are left when all ends, " + what, r.code, r.err);
    }
  },

  async redis_plain() {
    if (!redisBinary) return skip("13 Redis", "redis is not installed");
    redisPort = await freePort();
    const s = await startRedis(redisPort), dir = storeDir();
    const url = ["--redis", `redis://127.0.0.1:${redisPort}/0`];
    const r = await run("run", "--from", file, ...all, "--hydrate", "none", "--store", dir, "--sink", "redis", ...url, ...base);
    ok(r.code === 0, "15.1 ends with 0", r.code, r.err);
    const got = await entries(redisPort);
    ok(same(messages(got), wanted()), "15.1 2,000 entries in order", got.length);
    const e = got[9], m = JSON.parse(e.fields.data);
    equal([e.fields.did, e.fields.at_uri, e.fields.time_us, e.fields.kind], [m.did, m.at_uri ?? "", String(m.time_us), m.message.kind],
      "15.1 fields before the data");
    for (const [form, keys] of [["python", ["data"]], ["rust", ["at_uri", "did", "hydrated_at", "message"]]]) {
      await run("run", "--from", file, ...all, "--limit", "20", "--hydrate", "none", "--store", storeDir(), "--sink", "redis", ...url,
        "--redis-stream", form, "--redis-fields", form, ...base);
      const list = await entries(redisPort, form);
      ok(list.length === 20 && same(Object.keys(list[0].fields).sort(), keys), `15.1 fields ${form}`, list[0]);
    }
    await run("run", "--from", file, ...all, "--hydrate", "none", "--store", storeDir(), "--sink", "redis", ...url,
      "--redis-stream", "short", "--redis-maxlen", "100", ...base);
    const short = await entries(redisPort, "short");
    ok(short.length >= 100 && short.length < 400, "15.1 trimmed to about its length", short.length);
    await run("run", "--from", file, ...all, "--limit", "900", "--hydrate", "none", "--store", storeDir(), "--sink", "redis", ...url,
      "--redis-stream", "one", "--redis-maxlen", "100", ...base);
    const one = await entries(redisPort, "one");
    ok(one.length >= 100 && one.length < 400, "15.1 so is what came in one batch", one.length);
    await s.stop();
  },

  async t13_redis_down() {
    if (!redisBinary) return skip("13 Redis", "redis is not installed");
    const port = await freePort(), dir = storeDir();
    let back = false;
    const host = await fakeHost(c => {
      let i = 0;   // the second half comes when Redis has come back
      const next = () => { for (let k = 0; k < 50 && i < (back ? events.length : 1000); k++) c.send(events[i++]); if (i < events.length) setTimeout(next, 80); };
      next();
    });
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--sink", "redis",
      "--redis", `redis://127.0.0.1:${port}`, "--linger", "5ms", "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", join(folder, "r13")]);
    await until(() => existsSync(join(folder, "r13")), "ready");
    const url = "http://" + JSON.parse(readFileSync(join(folder, "r13"))).api[0];
    await until(async () => (await (await fetch(url + "/stats")).json()).data.events_stored > 300, "some rows");
    const h = await until(async () => { const x = await (await fetch(url + "/health")).json(); return x.data.followers[0].state === "down" && x; }, "down");
    equal([h.status, h.data.redis_connected], ["degraded", false], "13 down at start: degraded, the store goes on", h.data.followers);
    ok(h.data.followers[0].lag_records > 300, "13 the lag is shown", h.data.followers);
    let s = await startRedis(port);
    await until(async () => (await entries(port)).length > 300, "entries");
    await s.stop();   // in the middle; it comes back empty
    s = await startRedis(port);
    back = true;
    await until(async () => (await (await fetch(url + "/stats")).json()).data.events_stored === 2000, "all rows");
    await until(async () => { const x = (await (await fetch(url + "/health")).json()).data.followers[0]; return x.state === "up" && x.lag_records === 0; }, "recovery");
    const last = messages(await entries(port)).at(-1);
    equal(last, wanted().at(-1), "13 after it came back everything arrives, in order");
    const got = messages(await entries(port)), all13 = wanted();
    const from = all13.indexOf(got[0]);
    ok(from >= 0 && same([...new Set(got)], all13.slice(from)), "13 none is missing from where it began anew", from, got.length);
    ok(await r.stop() === 0, "13 ends with 0", r.code, r.err);
    await s.stop();
    host.close();
  },

  // Files that a sink which is down still needs are left alone by the next start, packed ones are read.
  async t13_restarted_behind() {
    if (!redisBinary) return skip("13 Redis", "redis is not installed");
    const port = await freePort(), dir = storeDir(), part = events.length / 4;
    let most = part;
    const host = await fakeHost(c => { for (const l of events.slice(0, most)) c.send(l); }), args = ["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--linger", "5ms", ...base];
    const sink = ["--sink", "redis", "--redis", `redis://127.0.0.1:${port}`, "--redis-maxlen", "0"], ready = join(folder, "ready13b");
    const files = suffix => readdirSync(dir).filter(n => n.startsWith("jetstream_") && n.endsWith(suffix)).length;
    // One file is packed before the sink is there, one is left while it is down, then it is killed.
    let r = new Run([...args, "--since", "2025-01-01"]);
    await until(async () => await count(dir) === part, "the first rows");
    r.p.kill("SIGUSR2");
    await until(() => files(".db.zst") === 1 && files(".db") === 1, "a packed file");
    await r.stop();
    most = 2 * part;
    r = new Run([...args, ...sink]);
    await until(async () => await count(dir) === part, "more rows");
    r.p.kill("SIGUSR2");
    await until(() => files(".db") === 2, "a file more");
    await r.stop("SIGKILL");
    most = 4 * part;
    const s = await startRedis(port);
    r = new Run([...args, ...sink, "--ready-file", ready]);
    await until(async () => existsSync(ready) && await command(port, "XLEN", "hydrated_jetstream") >= events.length, "everything in Redis");
    equal(await r.stop(), 0, "13 ends with 0", r.err);
    ok(same(messages(await entries(port)), wanted()), "13 started again while it was behind: each record, in order");
    await s.stop();
    host.close();
  },

  async files_and_stdout() {
    const dir = storeDir(), out = join(folder, "sink.ndjson");
    const r = await run("run", "--from", file, ...all, "--hydrate", "none", "--store", dir, "--sink", "stdout", "--sink", "file:" + out, "--envelope", "raw", ...base);
    ok(r.code === 0 && same(r.lines(), events), "15.4 stdout gets every record", r.code, r.err, r.lines().length);
    ok(same(readFileSync(out, "utf8").split("\n").filter(l => l), events), "15.4 a file too");
    const again = await run("run", "--from", file, ...all, "--hydrate", "none", "--store", dir, "--sink", "stdout", "--envelope", "raw", ...base);
    equal(again.lines().length, 0, "15 a sink goes on where it was");
    const none = await run("run", "--from", file, ...all, "--no-store", "--hydrate", "none", "--envelope", "raw", "--listen", "off");
    ok(same(none.lines(), events), "2 without a store records go to stdout", none.code, none.err);
  },

  async t17_http() {
    const host = await fakeHost(c => { for (const l of events) c.send(l); });
    const dir = storeDir(), ready = join(folder, "ready17");
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--min-free", "0",
      "--listen", "127.0.0.1:0", "--ready-file", ready, "--compat-metrics"]);
    await until(() => existsSync(ready), "ready");
    const url = "http://" + JSON.parse(readFileSync(ready)).api[0];
    await until(async () => (await (await fetch(url + "/stats")).json()).data.events_stored === 2000, "all rows");
    equal(await (await fetch(url + "/")).text(), "jetstream-turbo API server", "17 /");
    for (const p of ["", "/api/v1"]) {
      const h = await fetch(url + p + "/health"), body = await h.json();
      ok(h.status === 200 && body.status === "healthy" && body.data.healthy && h.headers.get("cache-control") === "no-store", `17 ${p}/health`, body);
      for (const k of ["redis_connected", "sqlite_available", "session_count", "diagnostics", "upstream", "followers", "breaker"])
        ok(k in body.data, `17 ${p}/health has ${k}`);
      ok(body.data.diagnostics.process_memory.rss_bytes > 1e6 && body.data.diagnostics.sqlite_state.db_size_bytes > 0, "17 its numbers are real");
    }
    equal(await (await fetch(url + "/ready")).json(), { ready: true }, "17 /ready");
    const st = (await (await fetch(url + "/stats")).json()).data;
    equal(st.events_received, st.events_stored + st.events_filtered + st.events_duplicate + st.events_dead, "17 the sums of /stats");
    ok((await fetch(url + "/nothing")).status === 404 && (await fetch(url + "/stats", { method: "POST" })).status === 405, "17 404 and 405");
    const m = await (await fetch(url + "/metrics")).text();
    ok(/zk_jetstream_events_total\{result="stored"\} 2000/.test(m) && m.includes("jetstream_turbo_sqlite_db_size_bytes"), "17 /metrics");
    host.close();
    await until(async () => (await fetch(url + "/ready")).status === 503, "503 without a host");
    ok(true, "17 without any host /ready is 503");
    ok(await r.stop() === 0, "17 ends with 0", r.code, r.err);
  },

  async query_and_cursor() {
    const dir = storeDir();
    await run("run", "--from", file, ...all, "--hydrate", "none", "--store", dir, "--rotate-bytes", "1MiB", ...base);
    const one = JSON.parse(events[2]);
    let r = await run("query", "--store", dir, "--uri", `at://${one.did}/${one.commit.collection}/${one.commit.rkey}`, "-o", "ndjson");
    ok(r.code === 0 && same(JSON.parse(r.out).message, one), "14.6 by URI", r.code, r.err, r.out);
    r = await run("query", "--store", dir, "--did", one.did, "--all", "-o", "ndjson");
    equal(r.lines().length, events.filter(l => JSON.parse(l).did === one.did).length, "14.6 by account");
    r = await run("query", "--store", dir, "--match", "text ~ \"owl\"", "--oldest", "--limit", "3", "-o", "ndjson");
    const owls = events.filter(l => (JSON.parse(l).commit?.record?.text ?? "").toString().toLowerCase().includes("owl"));
    ok(same(r.lines().map(l => JSON.parse(l).message), owls.slice(0, 3).map(l => JSON.parse(l))), "14.6 by expression, oldest first", r.err);
    r = await run("query", "--store", dir, "--sql", "SELECT count(*) AS n, 'x' AS t FROM records", "--all", "-o", "ndjson");
    equal([r.lines().reduce((a, l) => a + JSON.parse(l).n, 0), JSON.parse(r.lines()[0]).t], [2000, "x"], "14.6 by SQL, file by file", r.err);
    r = await run("query", "--store", dir, "--sql", "DELETE FROM records");
    equal(r.code, 64, "14.6 SQL is SELECT only");
    const t = JSON.parse(events[1000]).time_us;
    r = await run("query", "--store", dir, "--since", String(t), "--all", "-o", "ndjson");
    equal(r.lines().length, events.filter(l => JSON.parse(l).time_us >= t).length, "14.6 since a time");

    r = await run("cursor", "convert", "2026-01-01T00:00Z", "-o", "ndjson");
    equal(JSON.parse(r.out).time_us, 1767225600000000, "2 cursor convert");
    r = await run("cursor", "convert", "1767225600000");
    ok(r.code === 64 && r.err.includes("milliseconds"), "8.2 milliseconds are refused", r.err);
    r = await run("cursor", "set", "--store", dir, "--to", "2026-01-01T00:00Z");
    equal(r.code, 0, "2 cursor set", r.err);
    r = await run("cursor", "show", "--store", dir, "-o", "ndjson");
    equal(r.lines().map(l => JSON.parse(l)).find(p => p.source === "host")?.time_us, 1767225600000000, "2 cursor show", r.out, r.err);
  },

  // A host that replays from the cursor, cuts connections at random, and is always at full speed.
  async t05_killed() {
    const rounds = Number(process.env.JET_KILLS || "3"), n = Number(process.env.JET_EVENTS || "6000");
    const many = [];
    for (let k = 0; many.length < n; k++)
      for (const l of events) {
        const e = JSON.parse(l);
        e.time_us += k * 3000000;
        delete e.cursor;
        if (e.commit) e.commit.rev += "k" + k;
        for (const x of ["identity", "account"]) if (e[x]) e[x].seq += k * 1000000;
        many.push(JSON.stringify(e));
      }
    many.length = n;
    const times = many.map(l => JSON.parse(l).time_us);
    const host = await fakeHost((c, req) => {
      const cursor = Number(new URL(req.url, "http://x").searchParams.get("cursor") ?? 0);
      let i = times.findIndex(t => t >= cursor);
      const cut = Math.random() < 0.3 ? i + Math.floor(Math.random() * 5000) : Infinity;
      const next = () => {
        if (c.readyState !== 1) return;
        for (let k = 0; k < 200 && i < many.length; k++) c.send(many[i++]);
        if (i > cut) return c.terminate();
        if (i < many.length) c.bufferedAmount > 1e6 ? setTimeout(next, 5) : setImmediate(next);
      };
      if (i >= 0) next();
    });
    const dir = storeDir(), port = redisBinary && await freePort(), redis = redisBinary && await startRedis(port);
    const args = ["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--since", "2025-01-01", "--store", dir, "--linger", "5ms", "--batch", "500",
      "--rotate-bytes", "8MiB", "--compress", "none", "--retry-base", "10ms", "--on-gap", "continue", ...base,
      ...(redis ? ["--sink", "redis", "--redis", `redis://127.0.0.1:${port}`, "--redis-maxlen", "0"] : [])];
    const count = () => { try { return rows(dir, "SELECT count(*) AS n FROM records").reduce((a, x) => a + x.n, 0); } catch { return 0; } };
    let first = true;
    for (let k = 0; k < rounds && count() < n; k++) {
      const before = count();
      const r = new Run(first ? args : args.filter((a, i) => a !== "--since" && args[i - 1] !== "--since"));
      await until(() => count() > before || r.code !== undefined, "progress", 30000);
      await new Promise(res => setTimeout(res, Math.random() * 300));
      await r.stop("SIGKILL");
      first = count() === 0;
    }
    // Before it is ready the signal would end it.
    const ready = join(folder, "ready05"), r = new Run([...(first ? args : args.filter((a, i) => a !== "--since" && args[i - 1] !== "--since")), "--ready-file", ready]);
    await until(() => existsSync(ready) && count() >= n, "everything", 90000);
    if (redis) await until(async () => new Set(messages(await entries(port))).size >= n, "everything in Redis", 60000);
    ok(await r.stop() === 0, "5 the last run ends with 0", r.code, r.err);
    const got = stored(dir), set = new Set(got);
    ok(many.every(m => set.has(m)), "5 killed at random moments: no event is missing", got.length);
    equal(got.length, n, "5 and none is stored twice");
    if (redis) {
      const inRedis = new Set(messages(await entries(port)));
      ok(many.every(m => inRedis.has(JSON.stringify(JSON.parse(m)))), "5 Redis has each at least once");
      await redis.stop();
    }
    host.close();
  },
};

await main(tests);
