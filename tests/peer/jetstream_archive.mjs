// specs/jetstream.md §15.2, §23.14 and around: the archive in an S3 bucket. TAP.
import { createHash } from "node:crypto";
import { access, archived, bucket, byName, count, cred, finish, health, hostOf, httpOf, many, place, runAll, row, sealedOf, startS3, stats } from "./s3_lib.mjs";
import { base, equal, execFileSync, existsSync, fakeApi, fakeHost, fixtures, folder, join, main, ok, post, readFileSync, readdirSync, rows, Run, run,
  same, storeDir, stored, until, writeFileSync } from "./jetstream_lib.mjs";

const all = ["--collection", "*"];

const fx = fixtures();

const tests = {
  async archive_forms() {
    const lines = many(4000);
    for (const [how, suffix, type] of [["zstd", ".db.zst", "application/zstd"], ["zip", ".db.zip", "application/zip"],
      ["gzip", ".db.gz", "application/gzip"], ["none", ".db", "application/vnd.sqlite3"]]) {
      const where = place(), s3 = await startS3(where), dir = storeDir();
      const x = await runAll(s3, lines, dir, "--compress", how, "--rotate-bytes", "3MiB", "--s3-prefix", "raw=x/%Y/%m/%d/");
      await finish(x, "15.2 " + how);
      const keys = (await s3.keys()).sort(byName);
      ok(keys.length >= 2 && keys.every(k => k.startsWith("raw=x/2026/01/01/jetstream_") && k.endsWith(suffix)), `15.2 ${how}: prefix of the first event's day, name, suffix`, keys);
      equal(s3.bad, [], `14 ${how}: every signature and checksum is right`);
      ok(same(await archived(s3), lines), `14 ${how}: the bucket holds each event once, in order`);
      let sum = 0, from = 0;
      for (const k of keys) {
        const o = await s3.object(k), m = n => o.headers["x-amz-meta-zk-" + n];
        const part = lines.slice(from, from + Number(m("rows"))).map(l => JSON.parse(l).time_us);
        from += part.length;
        sum += Number(m("rows"));
        ok(o.headers["content-type"] === type && m("sha256") === createHash("sha256").update(o.body).digest("hex"), `15.2 ${how}: type and checksum of ${k}`, o.headers);
        equal([Number(m("first-us")), Number(m("last-us"))], [Math.min(...part), Math.max(...part)], `15.2 ${how}: times of ${k}`);
      }
      equal(sum, lines.length, `15.2 ${how}: the rows of the metadata are all rows`);
      equal([...s3.puts.values()], keys.map(() => 1), `14 ${how}: each object was written once`);
      equal(sealedOf(dir), [], `14 ${how}: local files leave`);
      if (how !== "zstd") { await s3.close(); continue; }

      let r = await run("archive", "list", "--store", dir, "-o", "ndjson");
      const list = r.lines().map(l => JSON.parse(l));
      equal([list.filter(f => f.state === "archived").map(f => f.key), list.at(-1).state], [keys, "live"], "2 archive list", r.err);
      equal(list.reduce((a, f) => a + (f.rows ?? 0), 0), lines.length, "2 with the rows");
      for (const full of [[], ["--full"]]) {
        r = await run("archive", "verify", "--store", dir, ...bucket(s3), ...full, "-o", "ndjson");
        ok(r.code === 0 && r.lines().length === keys.length && r.lines().every(l => JSON.parse(l).ok), `2 archive verify ${full}`, r.code, r.err, r.out);
      }
      const raw = ["--all", "--oldest", "--envelope", "raw", "-o", "ndjson"], there = ["--s3", ...bucket(s3), "--s3-prefix", "raw=x/%Y/%m/%d/"];
      r = await run("query", "--store", dir, ...raw);
      equal(r.lines().length, 0, "14.6 query: nothing is here any more", r.err);
      r = await run("query", "--store", dir, ...raw, ...there);
      ok(r.code === 0 && same(r.lines(), lines), "14.6 query --s3: all of it is there", r.code, r.err, r.lines().length);
      r = await run("query", "--store", storeDir(), ...raw, ...there);
      ok(r.code === 0 && same(r.lines(), lines), "14.6 query --s3 on a machine without the store", r.code, r.err, r.lines().length);
      const before = s3.requests.length, t = JSON.parse(lines.at(-1)).time_us;
      r = await run("query", "--store", dir, ...raw, ...there, "--since", String(t));
      equal(r.lines(), lines.filter(l => JSON.parse(l).time_us >= t), "14.6 query --s3 --since", r.err);
      ok(s3.requests.slice(before).filter(q => /^GET .*jetstream_/.test(q)).length < keys.length, "14.6 fetches only what can hold it", s3.requests.slice(before));
      // Damaged in the bucket, behind everybody's back.
      const victim = join(where, access.bucket, keys[0] + "._S3rver_object");
      const bytes = readFileSync(victim);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(victim, bytes);
      r = await run("archive", "verify", "--store", dir, ...bucket(s3), "--full", "-o", "ndjson");
      ok(r.code === 1 && JSON.parse(r.lines()[0]).problem === "the checksum differs", "2 archive verify --full sees a flipped bit: 1", r.code, r.out, r.err);
      await s3.close();
    }
  },

  async t14_faults() {
    const lines = many(6000), dir = storeDir();
    let busy = 5, cuts = 2;
    const s3 = await startS3(place(), { fault: (req, n, u) => {
      if (req.method !== "PUT" || !u.pathname.includes("jetstream_")) return null;
      if (busy > 0) { busy--; return { status: 503, code: "SlowDown" }; }
      if (cuts > 0) { cuts--; return { cut: true }; }
      return null;
    } });
    const x = await runAll(s3, lines, dir, "--rotate-bytes", "3MiB", "--retry-base", "5ms", "--retry-cap", "5ms");
    await finish(x, "14 faults");
    equal([busy, cuts], [0, 0], "14 503 SlowDown five times, the connection cut twice");
    ok(same(await archived(s3), lines), "14 and everything is there");
    ok([...s3.puts.values()].every(n => n === 1), "14 each once", [...s3.puts]);
    await s3.close();
  },

  async t14_refused() {
    const s3 = await startS3(place());
    const one = fx && join(fx.dir, "events.ndjson");
    const go = (...more) => run("run", "--from", one, ...all, "--hydrate", "none", "--store", storeDir(), "--sink", "s3", ...base, ...more);
    const wrong = join(folder, "wrong");
    writeFileSync(wrong, `${access.id}:wrong-secret-key\n`, { mode: 0o600 });
    const b = bucket(s3);
    const slow = ["--host", "ws://127.0.0.1:1", "--wire", "v1"];
    const run2 = (...more) => run("run", ...slow, ...all, "--hydrate", "none", "--store", storeDir(), "--sink", "s3", ...base, ...more);
    let r = await run2(...b.slice(0, -1), wrong);
    ok(r.code === 77 && r.err.includes("403"), "15.2 a bucket that refuses the key: 77", r.code, r.err);
    ok(!r.err.includes("wrong-secret-key"), "14 the secret is not in the log");
    r = await run2(...b.map(a => a === access.bucket ? "no-such-bucket" : a));
    equal(r.code, 69, "15.2 a bucket that is not there: 69", r.err);
    r = await go("--s3-endpoint", s3.url, "--s3-credentials-file", cred);
    equal(r.code, 64, "15.2 no bucket: 64", r.err);
    r = await go(...b.slice(0, -2));
    equal(r.code, 78, "15.2 no credentials: 78", r.err);
    r = await go(...b, "--s3-prefix", "../");
    equal(r.code, 78, "15.2 a prefix that proxies would resolve: 78", r.err);
    await s3.close();

    // One file is refused, the others go on.
    const lines = many(6000), dir = storeDir();
    let victim;
    const s4 = await startS3(place(), { fault: (req, n, u) => {
      if (req.method !== "PUT" || !u.pathname.includes("jetstream_")) return null;
      victim ??= u.pathname;
      return u.pathname === victim ? { status: 403, code: "AccessDenied" } : null;
    } });
    const x = await runAll(s4, lines, dir, "--rotate-bytes", "3MiB");
    await until(async () => (await s4.keys()).length >= 1 && sealedOf(dir).length === 1 && (await count(dir)) === 0 && row((await health(x.url)).followers, "s3").lag_records === 0, "the others", 60000);
    ok(x.r.err.includes("AccessDenied"), "14 403 for one file: said", x.r.err);
    x.host.close();
    ok(await x.r.stop() === 0, "14 403 for one file: ends with 0", x.r.code, x.r.err);
    r = await run("archive", "list", "--store", dir, "-o", "ndjson");
    equal(r.lines().map(l => JSON.parse(l)).filter(f => f.state === "set aside").length, 1, "14 it is set aside", r.out);
    s4.fault = null;
    r = await run("archive", "push", "--store", dir, ...bucket(s4), "-o", "ndjson");
    ok(r.code === 0 && r.lines().length === 1 && JSON.parse(r.out).archived, "2 archive push takes it up again", r.code, r.out, r.err);
    ok(same(await archived(s4), lines), "14 then everything is there");
    equal(sealedOf(dir), [], "14 and nothing is left here");
    await s4.close();
  },

  // In parts, some of which fail, with one of an earlier attempt to be thrown away.
  async multipart() {
    const lines = many(6000), dir = storeDir();
    let bad = 3, late = 1;
    const s3 = await startS3(place(), { fault: (req, n, u) => {
      if (req.method === "PUT" && u.searchParams.has("partNumber") && bad > 0) { bad--; return bad % 2 ? { status: 500, code: "InternalError" } : { cut: true }; }
      return null;
    } });
    s3.uploads.set("orphan", "other");
    // The answer to the first completion is lost: S3 has the object, and forgot the upload.
    s3.after = (req, u) => req.method === "POST" && u.searchParams.has("uploadId") && late-- > 0;
    const x = await runAll(s3, lines, dir, "--compress", "none", "--rotate-bytes", "3MiB", "--s3-single-max", "1MiB", "--s3-part-size", "256KiB",
      "--retry-base", "5ms", "--retry-cap", "5ms");
    await finish(x, "15.2 multipart");
    equal(s3.bad, [], "15.2 multipart: every signature and checksum is right");
    ok(s3.requests.filter(q => q.includes("partNumber=5&")).length >= 2, "15.2 multipart: there were parts", s3.requests.slice(0, 20));
    ok(same(await archived(s3), lines), "15.2 multipart: each event once");
    equal([...s3.uploads.keys()], ["orphan"], "15.2 multipart: no upload is left, others' stay");
    // Killed in the middle of parts: the next attempt throws the old upload away.
    const dir2 = storeDir(), s4 = await startS3(place());
    let hang = true, seen;
    const parts = new Promise(r => { seen = r; });
    s4.fault = (req, n, u) => { if (!hang || u.searchParams.get("partNumber") !== "6") return null; seen(); return { hang: true }; };
    const y = await runAll(s4, lines, dir2, "--compress", "none", "--rotate-bytes", "3MiB", "--s3-single-max", "1MiB", "--s3-part-size", "256KiB");
    await parts;
    await y.r.stop("SIGKILL");
    y.host.close();
    hang = false;
    equal(s4.uploads.size, 1, "15.2 multipart: killed, an upload is open");
    const r = await run("archive", "push", "--store", dir2, ...bucket(s4), "--compress", "none", "--s3-single-max", "1MiB", "--s3-part-size", "256KiB");
    ok(r.code === 0 && s4.uploads.size === 0 && s4.aborted.length === 1, "15.2 multipart: it is thrown away", r.code, r.err, [...s4.uploads], s4.aborted);
    ok(same([...await archived(s4), ...stored(dir2)], lines), "15.2 multipart: and everything is there once");
    await s3.close();
    await s4.close();
  },

  // What answers nonsense for a while is not the fault of a file: it is tried again, none is left out.
  async t14_nonsense() {
    const lines = many(4000), dir = storeDir();
    let left = 1;
    const s3 = await startS3(place(), { fault: (req, n, u) => req.method === "PUT" && u.pathname.includes("jetstream_") && left-- > 0 ? { raw: "\0\0 this is no HTTP\r\n\r\n" } : null });
    const x = await runAll(s3, lines, dir, "--rotate-bytes", "3MiB", "--retry-base", "5ms", "--retry-cap", "5ms");
    await finish(x, "14 nonsense");
    ok(left < 0 && same(await archived(s3), lines), "14 nonsense once: everything is there in the end", left);
    ok(!x.r.err.includes("cannot be archived"), "14 no file was set aside", x.r.err.slice(-500));
    await s3.close();
  },

  // The bucket is away for a while: nothing is lost, the lag is shown, the store goes on.
  async t14_down() {
    const lines = many(8000), dir = storeDir(), s3 = await startS3(place());
    await s3.down();
    const host = await hostOf(lines), ready = join(folder, "ready-down");
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--sink", "s3", ...bucket(s3), "--rotate-bytes", "3MiB",
      "--linger", "5ms", "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready, "--retry-base", "20ms", "--retry-cap", "20ms"]);
    const url = await httpOf(ready);
    await until(async () => (await stats(url)).events_stored === lines.length, "all rows", 60000);
    r.p.kill("SIGUSR2");
    const h = await until(async () => { const x = await (await fetch(url + "/health")).json(), y = row(x.data.followers, "s3"); return y.state === "down" && y.lag_records === lines.length && x; }, "the lag", 60000);
    const f = row(h.data.followers, "s3");
    equal([h.status, (await fetch(url + "/ready")).status], ["degraded", 200], "14 down at the start: degraded, ready, the store goes on, the lag is shown", f);
    ok(/connect|refused/i.test(f.error ?? ""), "14 with the reason", f);
    await s3.up();
    await until(async () => row((await health(url)).followers, "s3").state !== "down", "the way up", 60000);
    await finish({ r, host, url, dir }, "14 down and back");
    ok(same(await archived(s3), lines), "14 down and back: each event once");
    await s3.close();
  },

  // --repair auto: what came too late for the events is looked up again before the file is sealed.
  async repair_auto() {
    const who = n => "did:plc:" + "bcdefghijklm"[n].repeat(24), profiles = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [who(n), { did: who(n), handle: `h${n}.test` }]));
    const api = await fakeApi({ profiles }), host = await fakeHost(() => {}), dir = storeDir(), ready = join(folder, "ready-auto");
    const r = new Run(["run", "--host", host.url, "--wire", "v1", "--hydrate", "user", "--hydrate-deadline", "1ms", "--api-linger", "2s", "--api-url", api.url, "--api-rps", "100", "--repair", "auto",
      "--compress", "none", "--linger", "5ms", "--store", dir, "--min-free", "0", "--listen", "127.0.0.1:0", "--ready-file", ready]);
    const url = await httpOf(ready);
    await until(() => host.sockets.size, "a connection");
    const send = (from, to) => { for (const c of host.sockets) for (let n = from; n < to; n++) c.send(post(n, { did: who(n) })); };
    send(0, 10);
    await until(async () => (await stats(url)).events_stored === 10, "ten rows");
    equal(rows(dir, "SELECT DISTINCT reason FROM zk_unresolved").map(x => x.reason), ["deadline"], "11.5 the API was too late for them");
    r.p.kill("SIGUSR2");
    send(10, 12);
    await until(() => sealedOf(dir).length === 1 && /archived|repaired before sealing/.test(r.err), "the repair", 60000);
    ok(/full=10 partial=0/.test(r.err), "11.5 --repair auto: it is said", r.err.slice(-500));
    equal(await r.stop(), 0, "11.5 ends with 0", r.err.slice(-500));
    const sealed = rows(dir).slice(0, 10);
    ok(sealed.every((x, n) => x.hydration === 2 && JSON.parse(x.message_metadata).user.handle === `h${n}.test`) && rows(dir, "SELECT 1 AS n FROM zk_unresolved").length <= 2,
      "11.5 they are complete in the sealed file", sealed[0]);
    equal(rows(dir, "SELECT 1 AS n FROM zk_meta WHERE key = 'sealed'").length, 1, "11.5 which is sealed");
    host.close();
    api.close();
  },

  // What the API did not give when it was down is there after `repair`, as if it had been up; files
  // that are packed, and those that the bucket has, included.
  async repair() {
    const file = join(fx.dir, "events.ndjson"), profiles = fx.json("profiles.json"), posts = fx.json("posts.json");
    const go = (dir, api, ...more) => run("run", "--from", file, ...all, "--store", dir, ...base, "--api-url", api.url, "--api-rps", "1000",
      "--hydrate-deadline", "none", "--rotate-bytes", "1MiB", ...more);
    const good = await fakeApi({ profiles, posts }), dir = storeDir(), want = storeDir();
    await go(want, good, "--compress", "none");
    let n = 0;
    const bad = await fakeApi({ profiles, posts, fault: () => n++ >= 2 ? { status: 503, body: {} } : null });
    await go(dir, bad, "--keep-plain");
    const s3 = await startS3(place()), push = ["archive", "push", "--store", dir, ...bucket(s3), "--s3-keep-local", "-o", "ndjson"];
    let r = await run(...push);
    equal(r.code, 0, "11.5 the files with holes are archived", r.err);
    const before = JSON.stringify(rows(dir));

    const api = ["--api-url", bad.url, "--api-rps", "1000"];
    r = await run("repair", "--store", dir, "--dry-run", "-o", "ndjson", ...api);
    const holes = r.lines().map(l => JSON.parse(l)).reduce((a, f) => a + f.rows, 0);
    ok(r.code === 0 && holes > 200, "11.5 repair --dry-run counts", r.code, r.out, r.err);
    r = await run("repair", "--store", dir, ...api);
    equal(r.code, 75, "11.5 while the API fails: 75", r.err, r.out);
    const same_meta = JSON.parse(before), now = rows(dir);
    ok(now.every((x, i) => x.message === same_meta[i].message && x.created_at === same_meta[i].created_at), "11.5 and no event is touched");

    // Only the packed forms now; the live file stays as it is.
    const plain = sealedOf(dir).filter(f => f.endsWith(".db") && existsSync(join(dir, f + ".zst")));
    ok(plain.length >= 1, "11.5 there are packed files", readdirSync(dir));
    r = await run("repair", "--store", dir, "--api-url", good.url, "--api-rps", "1000", "-o", "ndjson");
    ok(r.code === 0 && r.lines().map(l => JSON.parse(l)).reduce((a, f) => a + f.again, 0) === 0, "11.5 with the API back: 0", r.code, r.out, r.err);
    const pick = d => { const un = new Map(); let at = 0;
      return rows(d).map(x => [x.message, x.hydration, x.operation && x.operation !== "delete" ? JSON.parse(x.message_metadata) : null]); };
    const a = pick(dir), b = pick(want);
    const off = a.findIndex((x, i) => !same(x, b[i]));
    ok(a.length === 2000 && off < 0, "11.5 every row is as if the API had never been down", off, a[off], b[off]);
    const reasons = d => rows(d, "SELECT DISTINCT reason FROM zk_unresolved ORDER BY 1").map(x => x.reason);
    equal([...new Set(reasons(dir))], [...new Set(reasons(want))], "11.5 and lacks what it would lack anyway");
    ok(plain.every(f => execFileSync("sqlite3", ["-readonly", join(dir, f), "PRAGMA journal_mode"]).toString().trim() === "delete"), "11.5 sealed files are sealed again");

    r = await run(...push);
    ok(r.code === 0 && r.lines().length === plain.length, "11.5 repaired files are archived again", r.code, r.out, r.err);
    r = await run("archive", "verify", "--store", dir, ...bucket(s3), "--full");
    equal(r.code, 0, "11.5 and the bucket has them", r.out, r.err);

    const dir2 = storeDir();
    n = 0;
    await go(dir2, bad);
    const forms = sealedOf(dir2).sort();
    r = await run("repair", "--store", dir2, "--api-url", good.url, "--api-rps", "1000", "-o", "ndjson");
    ok(r.code === 0 && r.lines().some(l => forms.includes(JSON.parse(l).file + ".zst")), "11.5 files that are packed only", r.code, r.out, r.err, forms);
    equal(sealedOf(dir2).sort(), forms, "11.5 are packed again");
    r = await run("query", "--store", dir2, "--sql", "SELECT count(*) AS n FROM zk_unresolved WHERE reason <> 'not_found'", "--all", "-o", "ndjson");
    ok(r.lines().length >= 2 && r.lines().every(l => JSON.parse(l).n === 0), "11.5 and complete", r.out, r.err);
    for (const x of [good, bad]) x.close();
    await s3.close();
  },

  // Killed while a file goes over, once before and once after the bucket has it.
  async t14_killed() {
    for (const late of [false, true]) {
      const lines = many(6000), dir = storeDir();
      let hang = true, seen;
      const put = new Promise(r => { seen = r; });
      const s3 = await startS3(place(), { fault: (req, n, u) => {
        if (late || !hang || req.method !== "PUT" || !u.pathname.includes("jetstream_")) return null;
        seen();
        return { hang: true };
      } });
      // The answer to the upload never arrives; then the process dies.
      s3.after = (req, u) => { if (!late || !hang || req.method !== "PUT" || !u.pathname.includes("jetstream_")) return false; seen(); return true; };
      const x = await runAll(s3, lines, dir, "--rotate-bytes", "3MiB");
      await put;
      await x.r.stop("SIGKILL");
      x.host.close();
      hang = false;
      const left = sealedOf(dir).length;
      ok(left > 0, `14 killed ${late ? "after" : "during"} an upload: the file is still here`);
      const r = await run("archive", "push", "--store", dir, ...bucket(s3), "-o", "ndjson");
      ok(r.code === 0, "14 push after the kill", r.code, r.err);
      if (late) ok(r.lines().some(l => JSON.parse(l).was_there), "14 what the bucket had already is recognised", r.out);
      equal(sealedOf(dir), [], "14 nothing is left");
      const got = await archived(s3), rest = stored(dir);
      ok(same([...got, ...rest], lines), `14 killed ${late ? "after" : "during"} an upload: each event once`, got.length, rest.length);
      equal([...s3.puts.values()].filter(n => n !== 1), [], "14 no object was written twice");
      await s3.close();
    }
  },
};

await main(tests);
