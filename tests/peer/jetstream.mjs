// specs/jetstream.md §23: the tests that must exist, by number, against a stand-in of the hosts on
// `ws` from npm and a stand-in of the API.  TAP.
import zlib from "node:zlib";
import { base, count, equal, existsSync, fakeApi, fakeHost, fixtures, join, main, ok, readFileSync, readdirSync, rows, Run, run,
  same, skip, slow, storeDir, stored, until, writeFileSync, folder } from "./jetstream_lib.mjs";

const fx = fixtures();
const events = fx ? fx.lines("events.ndjson") : [];
const all = ["--collection", "*"];
const file = fx && join(fx.dir, "events.ndjson");

// Sends lines and then stays open.
const sends = (lines, opts = {}) => c => { for (const l of lines) c.send(l, { binary: !!opts.binary }); };

const tests = {
  async t01_every_way() {
    const plain = async (name, args) => {
      const dir = storeDir();
      const r = await run("run", ...args, ...all, "--hydrate", "none", "--store", dir, ...base);
      ok(r.code === 0 && same(stored(dir), events), `1 ${name}: 2,000 events, byte for byte`, r.code, r.err);
      return dir;
    };
    await plain("file", ["--from", file]);
    const zst = join(folder, "e.zst"), gz = join(folder, "e.gz");
    writeFileSync(gz, zlib.gzipSync(readFileSync(file)));
    const db = await plain("gzip", ["--from", gz]);
    const name = readdirSync(db).find(n => /^jetstream_.*\.db$/.test(n));
    await plain("store file", ["--from", join(db, name)]);
    try {
      (await import("node:child_process")).execFileSync("zstd", ["-q", file, "-o", zst]);
      await plain("zstd file", ["--from", zst]);
    } catch { skip("1 zstd file", "no zstd program"); }

    const v1 = await fakeHost(sends(events));
    await plain("first wire", ["--host", v1.url, "--wire", "v1", "--limit", "2000"]);
    ok(v1.requests[0].startsWith("/subscribe"), "1 the path of the first wire", v1.requests);
    v1.close();

    const v2 = await fakeHost(sends(fx.lines("events_v2.ndjson").filter(l => !l.includes("Events#sync"))));
    const dir = storeDir();
    const r = await run("run", "--host", v2.url, "--wire", "v2", "--zstd", "off", "--limit", "2000", ...all, "--hydrate", "none",
      "--store", dir, ...base);
    const want = events.map((l, i) => ({ ...JSON.parse(l), cursor: 5000001 + i }));
    const got = stored(dir).map(l => JSON.parse(l));
    ok(r.code === 0 && same(got, want), "1 second wire: equal after §4", r.code, r.err, got.length,
      got.find((g, i) => !same(g, want[i])), want.find((w, i) => !same(got[i], w)));
    ok(v2.requests[0].startsWith("/xrpc/network.bsky.jetstream.subscribeEvents"), "1 the path of the second wire", v2.requests);
    v2.close();
  },

  async t01_zstd() {
    const z = fx.json("zstd_frames.json");
    for (const wire of ["v1", "v2"]) {
      const d = z[wire], frames = d.frames.map(f => Buffer.from(f.frame_base64, "base64"));
      const host = await fakeHost(c => { for (const f of frames) c.send(f); },
        { dictionary: wire === "v2" ? readFileSync(join(fx.dir, d.dictionary)) : undefined });
      const dir = storeDir();
      const lines = wire === "v1" ? events : fx.lines("events_v2.ndjson");
      const wanted = d.frames.map(f => lines[f.line - 1]).filter(l => !/Events#(info|sync)/.test(l));
      const args = wire === "v1" ? ["--zstd-dictionary", join(fx.dir, d.dictionary)] : [];
      const r = await run("run", "--host", host.url, "--wire", wire, ...args, "--limit", String(wanted.length), ...all,
        "--hydrate", "none", "--store", dir, ...base);
      const got = stored(dir);
      ok(r.code === 0 && got.length === wanted.length, `1 ${wire} zstd: all frames`, r.code, r.err, got.length, wanted.length);
      if (wire === "v1") equal(got, wanted, "1 v1 zstd: byte for byte");
      ok(/compress=true|zstdDictionary=20260811/.test(host.requests[0]), `1 ${wire} zstd: is asked for`, host.requests);
      host.close();
    }
  },

  async t02_enriched() {
    const expected = fx.lines("expected_enriched.ndjson").map(l => JSON.parse(l));
    for (const warm of [false, true]) {
      const api = await fakeApi({ profiles: fx.json("profiles.json"), posts: fx.json("posts.json"), reverse: true });
      const dir = storeDir();
      const args = ["run", "--from", file, ...all, "--store", dir, ...base, "--api-url", api.url, "--api-rps", "1000",
        "--hydrate-deadline", "none", "--post-ttl", "1h"];
      let r = await run(...args);
      ok(r.code === 0, "2 a run ends with 0", r.code, r.err);
      if (warm) {
        const n = api.calls.length;
        r = await run(...args, "--since", "seq:0");
        // Everything is in the caches, but what the stream itself declared outdated.
        ok(r.code === 0, "2 so does a second one", r.code, r.err);
        ok(api.calls.length - n <= n, "2 which asks for less", n, api.calls.length);
      }
      const got = rows(dir).slice(warm ? 2000 : 0);
      const list = warm ? [] : got;
      for (const e of warm ? [] : expected) {
        const row = list[e.line - 1], want = structuredClone(e.enriched);
        const rec = {
          at_uri: row.at_uri, did: row.did, time_us: row.time_us, message: JSON.parse(row.message),
          hydrated_metadata: JSON.parse(row.message_metadata), hydration: ["none", "partial", "full"][row.hydration],
        };
        const un = rows(dir, `SELECT id, reason FROM zk_unresolved WHERE record_id = ${row.id}`);
        const uniq = [...new Map(un.map(u => [u.id, u])).values()];
        if (uniq.length) rec.unresolved = uniq;
        const c = want.message.commit;
        if (!(c && ["create", "update"].includes(c.operation))) want.hydrated_metadata.user = rec.hydrated_metadata.user = null;
        ok(same(rec, want), `2 line ${e.line}: ${e.covers.join(", ")}`, { got: rec, want });
      }
      if (!warm) {
        const asked = { profiles: new Map(), posts: new Map() };
        for (const c of api.calls) {
          if (c.ids.length > 25 || new Set(c.ids).size !== c.ids.length) ok(false, "4 a batch holds 25 ids, each once", c);
          for (const i of c.ids) {
            const m = c.call.endsWith("getPosts") ? asked.posts : asked.profiles;
            m.set(i, (m.get(i) ?? 0) + 1);
          }
        }
        const min = fx.json("expected_lookups.json");
        ok(api.calls.length <= 2 * (min.min_getProfiles_calls + min.min_getPosts_calls),
          "4 calls are at most twice the smallest number", api.calls.length);
        // Once more for each event that says that what is known is not true any more (§11.3): whether it comes
        // before or after the answer is a matter of time.
        const outdated = new Map(), note = id => outdated.set(id, (outdated.get(id) ?? 0) + 1);
        for (const { did, kind, commit: c } of events.map(l => JSON.parse(l))) {
          if (kind !== "commit" || c.collection === "app.bsky.actor.profile") note(did);
          else if (c.collection === "app.bsky.feed.post" && c.operation !== "create") note(`at://${did}/${c.collection}/${c.rkey}`);
        }
        const gone = new Set(events.map(l => JSON.parse(l)).filter(e => e.kind === "account" && !e.account.active).map(e => e.did));
        const twice = [...asked.profiles, ...asked.posts].filter(([id, n]) => n > 1 + (outdated.get(id) ?? 0) && !gone.has(id.split("/")[2]));
        equal(twice, [], "4 no id is asked for twice");
        equal([asked.profiles.size, asked.posts.size], [min.unique_dids, min.unique_post_uris], "4 every id is asked for");
      }
      api.close();
    }
  },

  async t03_edge_cases() {
    const cases = fx.json("edge_cases.json").filter(c => c.expect !== "control");
    const dir = storeDir();
    const frames = cases.map(c => Buffer.from(c.frame_base64, "base64"));
    // Text frames whose bytes are not always UTF-8: written raw.
    const host = await fakeHost(c => {
      for (const f of frames) {
        const n = f.length;
        const head = n < 126 ? Buffer.from([0x81, n]) : n < 65536 ? Buffer.from([0x81, 126, n >> 8, n & 255])
          : Buffer.from([0x81, 127, 0, 0, 0, 0, n >>> 24, n >> 16 & 255, n >> 8 & 255, n & 255]);
        c._socket.write(Buffer.concat([head, f]));
      }
      c.send(events[0]);
    });
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, ...base]);
    const accepted = cases.filter(c => c.expect === "accept");
    await until(async () => await count(dir) >= accepted.length + 1, "the rows");
    ok(await r.stop() === 0, "3 ends with 0", r.code, r.err);
    const got = rows(dir);
    equal(got.length, accepted.length + 1, "3 what is to be kept is kept, the connection too");
    accepted.forEach((c, i) => {
      const text = Buffer.from(c.frame_base64, "base64").toString().trim();
      let good = got[i].message === text;
      if (c.at_uri) good &&= got[i].at_uri === c.at_uri;
      if (c.did) good &&= got[i].did === c.did;
      if (c.time_us) good &&= got[i].time_us === c.time_us;
      if (c.name === "time-missing") good &&= got[i].time_us === null;
      ok(good, `3 ${c.name}`, got[i]);
    });
    const dead = readFileSync(join(dir, "dead.ndjson"), "utf8").trim().split("\n").map(l => JSON.parse(l));
    const want = cases.filter(c => c.expect === "dead");
    equal(dead.map(d => d.bytes_base64), want.map(c => c.frame_base64), "3 the others are dead letters, byte for byte");
    const reasons = Object.fromEntries(want.map((c, i) => [c.name, dead[i].reason]));
    equal([reasons["too-deep"], reasons["no-did"], reasons["time-string"], reasons["bad-utf8"], reasons.truncated],
      ["too_deep", "no_did", "bad_member", "utf8", "json"], "3 with their reasons", reasons);
    host.close();
  },

  async t06_cuts() {
    let n = 0;
    const dir = storeDir();
    const host = await fakeHost(c => {
      n++;
      const from = (n - 1) * 10;
      for (const l of events.slice(from, from + 10)) c.send(l);
      const how = [() => c.terminate(), () => c.close(1001), () => c.close(1011), () => c.close(1008), () => c._socket.end(Buffer.from([0x81])),
        () => c._socket.end(Buffer.from([0x81, 0x7e, 1])), () => c._socket.write(Buffer.from([0x83, 0]))][n - 1];
      // What was not read when a connection is reset is lost.
      if (how) until(async () => await count(dir) >= from + 10, "rows before a cut").then(how, () => {});
    });
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, "--retry-base", "10ms",
      "--retry-cap", "50ms", ...base]);
    await until(() => n >= 8, "eight connections");
    await until(async () => await count(dir) >= 80, "80 rows");
    ok(await r.stop() === 0, "6 ends with 0", r.code, r.err);
    equal(stored(dir), events.slice(0, 80), "6 after every cut it goes on, nothing lost, nothing twice");
    ok(host.requests.slice(1).every(u => /cursor=\d+/.test(u)), "6 with the cursor", host.requests);
    equal(new URL(host.requests[1], "http://x").searchParams.get("cursor"), String(JSON.parse(events[9]).cursor),
      "6 that of the last event, since this host gives numbers");
    host.close();
  },

  async t06_refusals() {
    let busy = 3;
    const host = await fakeHost(sends(events.slice(0, 5)), { refuse: () => busy-- > 0 ? { status: 503, body: "starting" } : null });
    let r = await run("tail", "--host", host.url, "--wire", "v1", ...all, "--limit", "5", "--retry-base", "10ms");
    equal(r.lines(), events.slice(0, 5), "6 503 three times, then it works");
    host.close();
    const bad = await fakeHost(() => {}, { refuse: () => ({ status: 400, body: "invalid wantedCollections" }) });
    r = await run("tail", "--host", bad.url, "--wire", "v1", "--retry-base", "10ms");
    ok(r.code === 69 && r.err.includes("invalid wantedCollections"), "6 400 is lasting: exit 69, with its text", r.code, r.err);
    bad.close();
  },

  async t07_two_hosts() {
    const lines = events.slice(200, 260);
    const shift = l => { const e = JSON.parse(l); return JSON.stringify({ ...e, time_us: e.time_us + 1500000 }); };
    const b = await fakeHost(sends(lines.map(shift)));
    const a = await fakeHost(sends(lines.slice(0, 40))), dir = storeDir();
    const r = new Run(["run", "--host", a.url, "--host", b.url, "--wire", "v1", ...all, "--hydrate", "none", "--store", dir, ...base]);
    await until(async () => await count(dir) >= 40, "40 rows");
    a.close();
    await until(async () => await count(dir) >= 60, "60 rows");
    ok(await r.stop() === 0, "7 ends with 0", r.code, r.err);
    const key = m => { const e = JSON.parse(m); return JSON.stringify([e.did, e.kind, e.commit?.rev, e.commit?.operation, e.commit?.collection, e.commit?.rkey, e.identity?.seq, e.account?.seq]); };
    equal(stored(dir).map(key), lines.map(key), "7 switched over: none lost, none twice");
    const cursor = Number(new URL(b.requests[0], "http://x").searchParams.get("cursor"));
    equal(cursor, JSON.parse(lines[39]).time_us - 15000000, "7 the other host is asked from 15 s before");
    b.close();
  },

  async t09_duplicates() {
    const dir = storeDir(), path = join(folder, "dup.ndjson");
    const twin = JSON.parse(events[2]);
    const other = JSON.stringify({ ...twin, commit: { ...twin.commit, rkey: "another", rev: "another" } });
    const mixed = [...events.slice(0, 50).reverse(), ...events.slice(0, 50), other];
    writeFileSync(path, mixed.join("\n") + "\n");
    const r = await run("run", "--from", path, ...all, "--hydrate", "none", "--store", dir, ...base, "-v");
    const got = stored(dir);
    equal([got.length, new Set(got).size], [51, 51], "9 reordered and doubled input is stored once", r.err);
    ok(got.includes(other), "9 equal times of different events: both");
    ok(r.err.includes("duplicate 50"), "9 duplicates are counted", r.err);
  },

  async t10_old_cursor() {
    const dir = storeDir();
    const old = JSON.stringify({ ...JSON.parse(events[300]), time_us: JSON.parse(events[300]).time_us });
    const host = await fakeHost(sends([old]));
    const since = new Date(JSON.parse(old).time_us / 1000 - 3600000).toISOString();
    const r = new Run(["run", "--host", host.url, "--wire", "v1", ...all, "--hydrate", "none", "--since", since, "--store", dir, ...base]);
    await until(() => { try { return rows(dir, "SELECT count(*) AS n FROM zk_gap")[0].n; } catch { return false; } }, "a gap");
    await r.stop();
    const gaps = rows(dir, "SELECT * FROM zk_gap");
    equal(gaps.map(g => [g.reason, g.to_us]), [["clamped", JSON.parse(old).time_us]], "10 the first wire's clamp is one gap", gaps, r.err);
    equal(gaps[0].from_us, Date.parse(since) * 1000, "10 from what was asked for");
    host.close();

    const dir2 = storeDir(), floor = 1767225600500000;
    const v2 = await fakeHost(sends(fx.lines("events_v2.ndjson").slice(0, 1)), {
      refuse: q => q.url.includes("subscribe") && !q.url.includes("cursor=" + floor)
        ? { status: 400, body: JSON.stringify({ error: "CursorTooOld", message: `oldest is ${floor}` }) } : null,
    });
    const q = new Run(["run", "--host", v2.url, "--wire", "v2", "--zstd", "off", ...all, "--hydrate", "none", "--since", since, "--store", dir2, ...base]);
    await until(() => count(dir2), "a row");
    await q.stop();
    const gap2 = rows(dir2, "SELECT reason, to_us FROM zk_gap");
    equal(gap2, [{ reason: "too_old", to_us: floor }], "10 CursorTooOld is one gap, up to its floor", q.err);
    ok(v2.requests.at(-1).includes("cursor=" + floor), "10 and goes on there", v2.requests);
    v2.close();
  },

  async t11_api_faults() {
    const profiles = fx.json("profiles.json"), posts = fx.json("posts.json");
    const args = (api, dir, ...more) => ["run", "--from", file, ...all, "--store", dir, ...base, "--api-url", api.url,
      "--api-rps", "1000", "--hydrate-deadline", "none", ...more];
    const reasons = dir => Object.fromEntries(rows(dir, "SELECT reason, count(DISTINCT id) AS n FROM zk_unresolved GROUP BY reason").map(r => [r.reason, r.n]));

    let dir = storeDir(), api = await fakeApi({ profiles, posts, fault: (c, i, n) => n % 3 === 1 ? { status: 429, headers: { "retry-after": "0" }, body: {} } : null });
    let r = await run(...args(api, dir, "--api-rps", "100000"), { env: {} });
    equal([r.code, stored(dir).length], [0, 2000], "11 429: no event lost", r.err);
    ok(Object.keys(reasons(dir)).every(k => k === "not_found"), "11 429: everything is found in the end", reasons(dir));
    api.close();

    const poison = Object.keys(posts)[0] && JSON.parse(events.find(l => l.includes('"reply":{')) ?? "{}").commit.record.reply.root.uri;
    dir = storeDir();
    api = await fakeApi({ profiles, posts, fault: (c, ids) => ids.includes(poison) ? { status: 500, body: {} } : null });
    r = await run(...args(api, dir));
    equal([r.code, stored(dir).length], [0, 2000], "11 500 poison: no event lost", r.err);
    equal(reasons(dir).poisoned, 1, "11 500 poison: one id is to blame", reasons(dir));
    api.close();

    dir = storeDir();
    api = await fakeApi({ profiles, posts, fault: (c, i, n) => n % 4 === 0 ? { status: 502, headers: { "content-type": "text/html" }, body: "<html>" } : n % 4 === 1 ? { status: 200, body: "garbage" } : null });
    r = await run(...args(api, dir));
    equal([r.code, stored(dir).length], [0, 2000], "11 502 and garbage: no event lost", r.err);
    api.close();

    dir = storeDir();
    api = await fakeApi({ profiles, posts, fault: () => ({ status: 503, body: {} }) });
    r = await run(...args(api, dir));
    equal([r.code, stored(dir).length], [0, 2000], "11 always 503: no event lost", r.err);
    const down = reasons(dir);
    ok(down.api_down > 0 && !down.not_found, "11 the breaker opens: api_down", down);
    api.close();

    dir = storeDir();
    api = await fakeApi({ profiles, posts, fault: () => ({ hang: true }) });
    r = await run(...args(api, dir), "--hydrate-deadline", "300ms");
    equal([r.code, stored(dir).length], [0, 2000], "11 a hanging API: no event lost", r.err);
    const late = reasons(dir);
    ok(late.deadline > 0, "11 the deadline lets them go", late);
    api.close();
  },

  async t12_sessions() {
    const profiles = fx.json("profiles.json"), posts = fx.json("posts.json");
    const jwt = exp => ["x", Buffer.from(JSON.stringify({ exp })).toString("base64url"), "y"].join(".");
    const far = Math.floor(Date.now() / 1000) + 7200;
    let expired = true;
    const api = await fakeApi({ profiles, posts, fault: (call, ids, n, req, body) => {
      if (call.endsWith("createSession"))
        return { status: 200, body: { accessJwt: jwt(far), refreshJwt: "refresh-1", did: "did:plc:x", handle: "h" } };
      if (call.endsWith("refreshSession")) {
        expired = false;
        return { status: 200, body: { accessJwt: jwt(far + 1), refreshJwt: "refresh-2", did: "did:plc:x", handle: "h" } };
      }
      return expired ? { status: 400, body: { error: "ExpiredToken", message: "x" } } : null;
    } });
    const pw = join(folder, "pw"), dir = storeDir();
    writeFileSync(pw, "app-pass-word\n", { mode: 0o600 });
    const r = await run("run", "--from", file, ...all, "--store", dir, ...base, "--api-url", api.url, "--login-pds", api.url,
      "--login-identifier", "h", "--login-password-file", pw, "--api-rps", "1000", "--hydrate-deadline", "none", "--pace", "3x");
    equal([r.code, stored(dir).length], [0, 2000], "12 ends with 0", r.code, r.err);
    const refresh = api.calls.filter(c => c.call.endsWith("refreshSession"));
    ok(refresh.length >= 1, "12 an expired token is refreshed", api.calls.slice(0, 5));
    equal(refresh.map(c => [c.method, c.auth, c.body]), refresh.map(() => ["POST", "Bearer refresh-1", ""]),
      "12 by POST, with the refresh token as bearer and an empty body");
    const logins = api.calls.filter(c => c.call.endsWith("createSession"));
    equal(logins.length, 1, "12 one login");
    ok(!r.err.includes("app-pass-word") && !r.err.includes("refresh-1"), "12 no secret in the log");
    api.close();
  },

  async t18_shards() {
    const parts = [];
    for (let i = 0; i < 4; i++) {
      const r = await run("tail", "--from", file, ...all, "--shard", `${i}/4`);
      parts.push(r.lines());
    }
    equal(parts.flat().length, 2000, "18 the parts together are everything");
    equal(new Set(parts.flat()).size, new Set(events).size, "18 and have nothing in common");
    const dids = parts.map(p => new Set(p.map(l => JSON.parse(l).did)));
    ok(dids.every((d, i) => [...d].every(x => dids.every((e, j) => i === j || !e.has(x)))), "18 an account is in one part");
    const r = await run("tail", "--from", file, ...all, "--shard", "2/4", "--did", "did:plc:tc4na5ad267o3td2rjb4jdgm");
    ok(r.lines().length > 0, "18 the vector of the specification");
    const dir = storeDir();
    const go = n => run("run", "--from", file, ...all, "--hydrate", "none", "--shard", n, "--store", dir, ...base);
    ok((await go("1/4")).code === 0 && existsSync(join(dir, "shard-1-of-4")), "18 a shard has a folder of its own");
  },

  async t20_excluded() {
    const profiles = fx.json("profiles.json"), posts = fx.json("posts.json");
    const did = JSON.parse(events.find(l => l.includes("facet#mention"))).commit.record.facets
      .flatMap(f => f.features).find(f => f.did).did;
    const api = await fakeApi({ profiles, posts }), dir = storeDir();
    const r = await run("run", "--from", file, ...all, "--exclude-did", did, "--store", dir, ...base, "--api-url", api.url,
      "--api-rps", "1000", "--hydrate-deadline", "none");
    ok(r.code === 0 && rows(dir).length > 1500, "20 ends with 0", r.code, r.err);
    equal(rows(dir, `SELECT count(*) AS n FROM records WHERE did = '${did}'`)[0].n, 0, "20 no event of the account");
    ok(rows(dir, "SELECT message_metadata AS m FROM records").every(x => !x.m.includes(`"did":"${did}"`)), "20 nor anything about it");
    ok(!api.calls.some(c => c.ids.some(i => i.includes(did))), "20 it is never asked for");
    api.close();
  },

  async t21_reload() {
    const host = await fakeHost((c, q, h) => { h.got = []; c.on("message", m => { h.got.push(m.toString()); c.send(events[1]); }); c.send(events[0]); });
    const conf = join(folder, "c.yaml"), dir = storeDir();
    const write = c => writeFileSync(conf, `version: 1\nprofiles:\n  p:\n    jetstream:\n      collections: [${c}]\n`, { mode: 0o600 });
    write("app.bsky.feed.post");
    const r = new Run(["run", "-c", conf, "-p", "p", "--host", host.url, "--wire", "v1", "--hydrate", "none", "--store", dir, ...base]);
    await until(() => host.sockets.size === 1 && r.err.includes("connected"), "a connection");
    write("app.bsky.feed.like");
    r.p.kill("SIGHUP");
    await until(() => host.got?.length, "an update");
    const u = JSON.parse(host.got[0]);
    equal([u.type, u.payload.wantedCollections], ["options_update", ["app.bsky.feed.like"]], "21 new collections go by an update");
    equal(host.requests.length, 1, "21 without a new connection");
    await r.stop();
    host.close();
  },

  async t15_rotation() {
    const dir = storeDir();
    const many = [];
    for (let k = 0; k < 10; k++)
      for (const l of events) many.push(l.replace(/"rev":"([^"]+)"/, (m, x) => `"rev":"${x}${k}"`).replace(/"seq":(\d+)/, (m, x) => `"seq":${+x + k * 1000000}`));
    const path = join(folder, "many.ndjson");
    writeFileSync(path, many.join("\n") + "\n");
    const r = await run("run", "--from", path, ...all, "--hydrate", "none", "--store", dir, "--rotate-bytes", "4MiB", "--compress", "none", ...base);
    ok(r.code === 0, "15 ends with 0", r.code, r.err);
    const got = stored(dir);
    ok(got.length === many.length && got.every((m, i) => m === many[i]), "15 no row lost or doubled at the seams", got.length);
    const files = readdirSync(dir).filter(n => /\.db$/.test(n) && n.startsWith("jetstream_")).sort();
    ok(files.length >= 3, "15 several files", files);
    const live = readFileSync(join(dir, "live"), "utf8").trim();
    const { execFileSync } = await import("node:child_process");
    const sealed = files.filter(f => f !== live);
    const sql = (f, q) => execFileSync("sqlite3", ["-readonly", join(dir, f), q]).toString().trim();
    ok(sealed.every(f => sql(f, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'idx_records_%'") === "4"), "15 sealed files have four indexes");
    ok(sealed.every(f => sql(f, "PRAGMA journal_mode") === "delete" && !existsSync(join(dir, f + "-wal"))), "15 and no log");
    ok(sealed.every(f => sql(f, "PRAGMA integrity_check") === "ok"), "15 and are sound");
    ok(sealed.every(f => sql(f, "SELECT value FROM zk_meta WHERE key='rows'") === sql(f, "SELECT count(*) FROM records")), "15 and know their rows");
  },
};

await main(tests);
