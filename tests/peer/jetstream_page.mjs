// specs/jetstream.md §17: the status page of `zk jetstream run` in headless Chromium: keyboard only,
// no outside request, no console error, figures as /health and /stats have them; and the gauges of
// --compat-metrics.  TAP.
import http from "node:http";
import { chromium } from "playwright-core";
import { existsSync, fakeHost, folder, join, main, ok, post, readFileSync, Run, skip, storeDir, until } from "./jetstream_lib.mjs";
import { command, freePort, redisBinary, startRedis } from "./jetstream_redis_lib.mjs";

const STREAM = "<b>bold</b>", CANARY = "canary-of-a-password";
const compat = ["process_memory_rss_bytes", "process_memory_virtual_bytes", "process_memory_peak_window_seconds", "process_memory_samples_24h",
  "process_memory_latest_sample_age_seconds", "process_memory_rss_peak_24h_bytes", "process_memory_rss_peak_24h_unix_seconds",
  "process_memory_virtual_peak_24h_bytes", "process_memory_virtual_peak_24h_unix_seconds", "cache_user_entries", "cache_user_capacity",
  "cache_post_entries", "cache_post_capacity", "sqlite_available", "sqlite_db_size_bytes", "sqlite_wal_size_bytes", "not_redis_connected",
  "not_redis_stream_length", "not_redis_configured_max_length"];

let sent = 0;
function send(host, n) {
  const [socket] = host.sockets;
  for (let i = 0; i < n; i++) socket.send(post(sent++));
}
const json = async url => (await fetch(url)).json();
const text = (page, id) => page.textContent("#" + id);
const has = (page, id, want) => page.waitForFunction(([i, w]) => document.getElementById(i).textContent.includes(w), [id, want], { timeout: 60000 });
const number = t => Number(t.replaceAll(",", ""));

async function answers(url) {
  const plain = await fetch(url + "/"), html = await fetch(url + "/", { headers: { Accept: "text/html,*/*;q=0.8" } }), body = await html.text();
  ok(await plain.text() === "jetstream-turbo API server" && plain.headers.get("content-type").startsWith("text/plain") && plain.headers.get("vary") === "Accept",
    "/ is the text of the earlier versions");
  ok(body.includes("<title>zk jetstream") && html.headers.get("content-type") === "text/html; charset=utf-8" && html.headers.get("vary") === "Accept", "and the page for a browser");
  ok(Buffer.byteLength(body) <= 16384, "the page has at most 16 KiB", body.length);
  const csp = html.headers.get("content-security-policy");
  ok(csp.startsWith("default-src 'none'") && /script-src 'sha256-[^']+';/.test(csp) && !csp.includes("unsafe") && html.headers.get("x-frame-options") === "DENY", "a strict policy", csp);
  const head = await fetch(url + "/ui", { method: "HEAD" });
  ok(head.status === 200 && Math.abs(head.headers.get("content-length") - Buffer.byteLength(body)) < 100 && (await head.text()) === "", "HEAD of /ui");
  const fixed = b => b.replace(/<noscript>.*?<\/noscript>/s, "");
  ok(fixed(await (await fetch(url + "/ui")).text()) === fixed(body) && fixed(body) !== body, "/ui is the page too");
  const table = Object.fromEntries([.../<noscript>(.*?)<\/noscript>/s.exec(body)[1].matchAll(/<tr><th>(.*?)<\/th><td>(.*?)<\/td><\/tr>/g)].map(m => [m[1], m[2]]));
  ok(table.status === "healthy" && table.stored === "500" && table.state === "live" && table.redis?.startsWith("up, lag ") && Number(table["up, seconds"]) < 1000, "without scripts: a table of figures", table);
}

// Who may ask: an address, localhost, a name of --listen; not a name that somebody has point here.
async function named(url) {
  const { port } = new URL(url), ask = (host, path = "/stats") => new Promise((res, rej) => http.get({ host: "127.0.0.1", port, path, headers: { host } }, r => {
    let t = "";
    r.on("data", d => { t += d; });
    r.on("end", () => res([r.statusCode, t]));
  }).on("error", rej));
  const codes = async (...hosts) => (await Promise.all(hosts.map(h => ask(h)))).map(([c]) => c);
  ok((await codes(`127.0.0.1:${port}`, `localhost:${port}`, "LOCALHOST", `[::1]:${port}`, `a.localhost:${port}`)).every(c => c === 200), "an address or localhost in the Host header");
  ok((await codes("evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example", "1.2.3.4x")).every(c => c === 421), "any other name is refused");
  ok((await Promise.all(["/", "/ui", "/status", "/health", "/api/v1/ws", "/metrics"].map(p => ask("evil.example", p)))).every(([c, t]) => c === 421 && JSON.parse(t).error.includes("Host")), "on every path");
}

async function status(url) {
  const { status, data: s } = await (await fetch(url + "/status")).json(), text = JSON.stringify(s);
  ok(status === "healthy" && s.version && Date.parse(s.started_at) <= Date.now() && s.uptime_seconds >= 0 && s.history.step_seconds === 10 && Array.isArray(s.history.stored_per_second), "/status", s);
  const at = k => s.config.find(c => c.key === k);
  ok(at("jetstream.redis.maxlen")?.value === "777" && at("jetstream.redis.maxlen").origin.includes("--redis-maxlen"), "the configuration with its origins", s.config);
  ok(at("jetstream.api.login.password")?.value.startsWith("(set") && !text.includes(CANARY), "secrets are masked", at("jetstream.api.login.password"));
}

async function gauges(url) {
  const m = await (await fetch(url + "/metrics")).text(), d = (await json(url + "/health")).data.diagnostics;
  const value = n => m.match(new RegExp(`^jetstream_turbo_${n} (\\S+)$`, "m"))?.[1];
  ok(compat.every(n => value(n) !== undefined), "--compat-metrics: each gauge", compat.filter(n => value(n) === undefined));
  ok(value("not_redis_stream_length") === "NaN" && value("not_redis_configured_max_length") === "777" && value("not_redis_connected") === "1", "unknown is NaN, the rest is known");
  const now = Number(value("process_memory_rss_bytes")), most = Number(value("process_memory_rss_peak_24h_bytes")), m2 = d.process_memory;
  ok(most >= now && now > 1e6 && m2.peaks_24h.rss_peak_bytes >= m2.rss_bytes && Number(value("process_memory_peak_window_seconds")) === 86400 &&
    Math.abs(Number(value("process_memory_rss_peak_24h_unix_seconds")) - Date.now() / 1000) < 3600 && Number(value("process_memory_samples_24h")) >= 1, "peaks as in /health");
  ok(Number(value("cache_user_capacity")) === d.cache_state.user_capacity && Number(value("sqlite_db_size_bytes")) > 0, "caches and store as in /health");
}

async function tabTo(page, selector) {
  for (let i = 0; i < 20; i++) {
    if (await page.evaluate(s => document.activeElement.matches(s), selector)) return true;
    await page.keyboard.press("Tab");
  }
  return false;
}

async function shown(page, host, url) {
  await has(page, "status", "healthy");
  await has(page, "stored", "500");
  const h = (await json(url + "/health")).data;
  ok((await text(page, "upstream")).includes(host.name) && (await text(page, "upstream")).includes(h.upstream.wire), "host and wire", await text(page, "upstream"));
  ok((await page.locator("#caches tr").count()) === 2 && (await text(page, "caches")).includes(h.diagnostics.cache_state.user_capacity.toLocaleString("en")), "caches", await text(page, "caches"));
  const names = await page.locator("#sinks th").allTextContents();
  ok(h.followers.length === 2 && names.join() === h.followers.map(f => f.name).join(), "each follower", names);
  ok((await text(page, "store")).includes(STREAM) && (await page.locator("main b:text-is('bold')").count()) === 0, "markup in a name stays text");
  ok((await text(page, "process")).includes("MiB") && /up\d/.test(await text(page, "process")), "memory, and how long it is up", await text(page, "process"));
  ok((await page.locator("#config tr").filter({ hasText: "jetstream.redis.maxlen" }).allTextContents())[0]?.includes("777--redis-maxlen"), "the configuration", await text(page, "config"));
  await page.waitForFunction(() => document.querySelector("#hour polyline").getAttribute("points").includes(","), null, { timeout: 60000 });
  ok((await text(page, "hour-note")).startsWith("the last hour"), "the curve of an hour, from the server");
  await page.waitForFunction(() => /^[0-9]/.test(document.getElementById("rate").textContent));
  const rate = page.waitForFunction(() => parseFloat(document.getElementById("rate").textContent) > 0, null, { timeout: 60000 });
  send(host, 1000);
  await has(page, "stored", "1,500");
  await rate;
  await page.waitForFunction(() => new Set(document.querySelector("polyline").getAttribute("points").split(" ").map(p => p.split(",")[1])).size >= 2);
  ok(true, "new events come by themselves, with their rate and its curve");
}

async function away(page, host, redis, port) {
  await redis.stop();
  send(host, 100);
  await has(page, "status", "degraded");
  await has(page, "why", "down: redis");
  const row = page.locator("#sinks tr", { has: page.locator("th:text-is('redis')") });
  await until(async () => { const c = await row.locator("td").allTextContents(); return c[0] === "down" && number(c[1]) >= 100 && c[6] !== ""; }, "the row of Redis", 60000);
  ok(true, "a follower that is down: state, lag and error are shown");
  await until(async () => (await text(page, "errors")).includes("ZK"), "the error", 60000);
  const e = await page.locator("#errors tr").first().locator("td").allTextContents();
  ok(/^ZK\d{4}$/.test(e[0]) && e[1].includes("a sink is down") && e[2].length > 5, "the error with its code and what it means", e);
  const again = await startRedis(port);
  await has(page, "status", "healthy");
  await until(async () => { const c = await row.locator("td").allTextContents(); return c[0] === "up" && c[1] === "0" && c[3] === "now"; }, "Redis caught up", 60000);
  ok(await text(page, "why") === "" && (await command(port, "XLEN", STREAM)) > 0, "back: caught up, nothing is complained of");
  return again;
}

async function keys(page, host) {
  await page.evaluate(() => document.activeElement.blur());
  ok(await tabTo(page, "#pause"), "the button is reached with Tab");
  await page.keyboard.press("Enter");
  await has(page, "pause", "Go on");
  ok(await page.getAttribute("#pause", "aria-pressed") === "true", "Enter pauses");
  const asked = [];
  page.on("request", r => asked.push(r.url()));
  const before = number(await text(page, "stored"));
  send(host, 100);
  await page.evaluate(() => new Promise(r => setTimeout(r, 4500))); // longer than two readings
  ok(asked.length === 0 && number(await text(page, "stored")) === before, "nothing is read meanwhile", asked);
  await page.keyboard.press("r");
  await has(page, "stored", (before + 100).toLocaleString("en"));
  ok(asked.length === 3, "r reads once", asked);
  await page.keyboard.press("p");
  await has(page, "pause", "Pause");
  send(host, 100);
  await has(page, "stored", (before + 200).toLocaleString("en"));
  ok(true, "p goes on");
}

async function look(browser, url, host, run, redis, port) {
  const page = await (await browser.newContext({ viewport: { width: 1100, height: 900 } })).newPage();
  const outside = [], errors = [];
  page.on("request", r => { if (!r.url().startsWith(url) && !r.url().startsWith("data:")) outside.push(r.url()); });
  page.on("console", m => { if (m.type() === "error") errors.push(m.text()); });
  page.on("pageerror", e => errors.push(String(e)));
  await page.goto(url + "/", { waitUntil: "load" });
  await shown(page, host, url);
  const again = await away(page, host, redis, port);
  await keys(page, host);
  if (process.env.PAGE_SHOT) await page.screenshot({ path: process.env.PAGE_SHOT, fullPage: true });
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("button,table,svg")].filter(e => !e.textContent.trim() && !e.getAttribute("aria-label")).length);
  ok(unnamed === 0, "everything has a name");
  await page.goto(url + "/api/v1", { waitUntil: "load" });
  await has(page, "status", "healthy");
  ok(true, "the page below /api/v1");
  ok(outside.length === 0, "no outside request", outside);
  ok(errors.length === 0, "no console error", errors);
  ok(await run.stop() === 0, "ends with 0", run.code, run.err);
  await has(page, "status", "no answer");
  ok(await page.evaluate(() => document.getElementById("main").classList.contains("stale")), "a server that is gone is told, the last figures stay");
  await again.stop();
}

main({
  async page() {
    if (!redisBinary) return skip("the page", "redis is not installed");
    const host = await fakeHost((_, __, h) => { if (!sent) send(h, 500); });
    const port = await freePort(), redis = await startRedis(port), ready = join(folder, "ready");
    const run = new Run(["run", "--host", host.url, "--wire", "v1", "--hydrate", "cached", "--store", storeDir(), "--min-free", "0", "--compat-metrics",
      "--sink", "redis", "--redis", `redis://127.0.0.1:${port}/0`, "--redis-stream", STREAM, "--redis-maxlen", "777", "--sink", "file:" + join(folder, "out.ndjson"),
      "--listen", "127.0.0.1:0", "--ready-file", ready], { env: { ZK_JETSTREAM_API_LOGIN_PASSWORD: CANARY } });
    await until(() => existsSync(ready) || run.code !== undefined, "ready");
    const url = "http://" + JSON.parse(readFileSync(ready)).api[0];
    await until(async () => (await json(url + "/stats")).data.events_stored === 500, "the first events");
    await answers(url);
    await named(url);
    await status(url);
    await gauges(url);
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
    try {
      await look(browser, url, host, run, redis, port);
    } finally {
      await browser.close();
      host.close();
    }
  },
});
