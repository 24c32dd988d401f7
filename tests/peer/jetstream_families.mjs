// specs/jetstream.md §15.3: zk's own families as sinks: `zk triggers serve`, and a Zerobus service
// on @grpc/grpc-js with a table of its own columns.  TAP.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import http from "node:http";
import { base, equal, existsSync, fixtures, folder, join, main, ok, readFileSync, Run, run, same, storeDir, stored, until, zk } from "./jetstream_lib.mjs";
import * as zb from "./zerobus/lib.js";

const fx = fixtures();
const events = fx ? fx.lines("events.ndjson").slice(0, 400) : [];
const file = fx && join(fx.dir, "events.ndjson");
const part = ["--from", file, "--collection", "*", "--hydrate", "none", "--limit", "400", ...base];

async function triggers(port = 0, db = join(folder, "trig.db")) {
  const ready = join(folder, "trig.ready" + Math.random());
  const p = spawn(zk, ["triggers", "serve", "--listen", `127.0.0.1:${port}`, "--db", db, "--ready-file", ready, "--rate-limit", "enterprise=0", "--grace", "1s"],
    { stdio: "ignore", env: { ...process.env, HOME: folder, XDG_STATE_HOME: folder, XDG_CONFIG_HOME: folder } });
  await until(() => existsSync(ready) && readFileSync(ready).length, "the trigger server");
  const url = "http://" + JSON.parse(readFileSync(ready)).api[0];
  return { url, port: new URL(url).port, stop: () => new Promise(r => { p.on("exit", r); p.kill("SIGKILL"); }) };
}

async function inbox(url, key) {
  const all = [];
  for (let cursor = ""; ;) {
    const r = await (await fetch(`${url}/api/inbox?limit=100${cursor}`, { headers: { "X-API-Key": key } })).json();
    all.push(...r.events);
    if (!r.next_cursor || !r.events.length) return all;
    cursor = "&cursor=" + encodeURIComponent(r.next_cursor);
  }
}

const tests = {
  async sink_triggers() {
    let t = await triggers();
    const made = await (await fetch(t.url + "/api/keys/generate", { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ organization_name: "Jet", tier: "enterprise" }) })).json();
    const env = { ZK_TRIGGERS_KEY: made.api_key }, dir = storeDir();
    // The server is not there at first: the store goes on, the sink waits.
    await t.stop();
    const r = new Run(["run", ...part, "--store", dir, "--sink", `triggers:${t.url}`, "--retry-base", "20ms", "--retries", "1", "--grace", "60s"],
      { env: { ...env, ZK_TRIGGERS_URL: t.url } });
    await until(() => { try { return stored(dir).length === 400; } catch { return false; } }, "the rows");
    t = await triggers(t.port);
    equal(await r.exit, 0, "15.3 triggers: ends with 0 when the server is back", r.err);
    const got = await inbox(t.url, made.api_key);
    equal(got.length, 400, "15.3 each record is one event", got[0]);
    const first = got.find(e => same(e.payload.message, JSON.parse(events[2])));
    const e = JSON.parse(events[2]), c = e.commit;
    ok(first?.type === "app.bsky.feed.post" && first.payload.at_uri === `at://${e.did}/${c.collection}/${c.rkey}`, "15.3 type and payload", first);
    equal(first?.dedup_id, createHash("sha256").update([e.did, e.kind, c.rev, c.operation, c.collection, c.rkey].join("\n")).digest("hex"),
      "15.3 dedup_id is the hash of the key");
    ok(got.some(x => x.type === "identity" || x.type === "account"), "15.3 other kinds have the kind as type");
    // A store of its own: everything is sent again, and nothing is there twice.
    const again = await run("run", ...part, "--store", storeDir(), "--sink", `triggers:${t.url}`, { env: { ...env, ZK_TRIGGERS_URL: t.url } });
    equal([again.code, (await inbox(t.url, made.api_key)).length], [0, 400], "15.3 what is sent twice is there once", again.err);
    // A configured key goes to no other server.
    const other = await run("run", ...part, "--store", storeDir(), "--sink", "triggers:http://127.0.0.1:9", { env: { ...env, ZK_TRIGGERS_URL: t.url } });
    ok(other.code !== 0 && !other.err.includes(made.api_key), "15.3 the key is bound to its server", other.code, other.err);
    await t.stop();
  },

  async sink_zerobus() {
    const columns = ["at_uri STRING", "did STRING", "time_us BIGINT", "kind STRING", "message STRING", "hydration STRING", "processed_at TIMESTAMP"]
      .map((c, i) => ({ name: c.split(" ")[0], type_text: c.split(" ")[1].toLowerCase(), type_name: c.split(" ")[1] === "BIGINT" ? "LONG" : c.split(" ")[1], position: i, nullable: true }));
    const catalog = http.createServer((req, res) => {
      res.setHeader("content-type", "application/json");
      if (req.url.includes("/token")) return res.end(JSON.stringify({ access_token: "tok", token_type: "Bearer", expires_in: 3600 }));
      res.end(JSON.stringify({ name: "posts", catalog_name: "main", schema_name: "social", full_name: "main.social.posts", table_type: "MANAGED", data_source_format: "DELTA", columns }));
    });
    const port = await new Promise(r => catalog.listen(0, "127.0.0.1", () => r(catalog.address().port)));
    // The first stream is cut in the middle, and acknowledgements are lost.
    const svc = await new zb.Service(i => i === 0 ? { ackLimit: 0, onRequest: c => c.offset === 1 && (c.cut(), true) } : {}).start();
    const env = { ZK_ZEROBUS_ENDPOINT: svc.url, ZK_ZEROBUS_WORKSPACE_URL: `http://127.0.0.1:${port}`, ZK_ZEROBUS_TOKEN: "tok" };
    const dir = storeDir();
    const r = await run("run", ...part, "--store", dir, "--batch", "100", "--sink", "zerobus:main.social.posts", "--retry-base", "20ms", "--grace", "60s", { env });
    equal(r.code, 0, "15.3 zerobus: ends with 0", r.err);
    const rows = [...svc.rows.keys()].map(b => Buffer.from(b, "base64").toString());
    ok(events.every(e => rows.some(x => x.includes(e))), "15.3 every message is in the table, byte for byte", rows.length, svc.violations);
    ok(svc.streams.every(s => s.type === 1 && s.table === "main.social.posts"), "15.3 as rows of the table's own columns", svc.streams[0]);
    ok(!rows.some(x => x.includes("hydrated_metadata")), "15.3 columns that the table has not are left out");
    const again = await run("run", ...part, "--store", dir, "--sink", "zerobus:main.social.posts", { env });
    ok(again.code === 0 && svc.rows.size === rows.length + 400, "15.3 the next run goes on behind what is acknowledged", again.err, svc.rows.size);
    svc.stop();
    catalog.closeAllConnections();
    catalog.close();
  },
};

await main(tests);
