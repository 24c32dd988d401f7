// specs/triggers.md §14.2: the built-in page in headless Chromium: keyboard only, no outside
// request, no console error.  TAP.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, existsSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const zk = process.env.ZK || "zk";
const folder = mkdtempSync(join(tmpdir(), "page"));
let count = 0, failed = 0;

function ok(condition, name, detail) {
  count++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${count} - ${name}`);
  if (!condition && detail !== undefined) console.log(`# ${String(detail).replace(/\n/g, "\n# ")}`);
}

async function waitFor(what, check, ms = 15000) {
  for (const end = Date.now() + ms; Date.now() < end;) {
    const value = await check();
    if (value) return value;
    await new Promise(r => setTimeout(r, 20));
  }
  throw new Error("waited for " + what);
}

async function serve() {
  const ready = join(folder, "ready");
  const child = spawn(zk, ["triggers", "serve", "--listen", "127.0.0.1:0", "--db", join(folder, "t.db"),
    "--allow-private-webhooks", "--ready-file", ready], { stdio: "inherit", env: { ...process.env, HOME: folder } });
  await waitFor("the server", () => existsSync(ready) || child.exitCode !== null);
  const { api } = JSON.parse(readFileSync(ready, "utf8"));
  return { child, url: "http://" + [].concat(api)[0] };
}

async function post(url, path, body, key) {
  const r = await fetch(url + path, {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...(key ? { "X-API-Key": key } : {}) },
  });
  return r.json();
}

async function tabTo(page, selector) {
  for (let i = 0; i < 60; i++) {
    if (await page.evaluate(s => document.activeElement && document.activeElement.matches(s), selector)) return true;
    await page.keyboard.press("Tab");
  }
  return false;
}

async function main() {
  const sink = createServer((req, res) => { req.resume(); req.on("end", () => res.end("thanks")); });
  await new Promise(r => sink.listen(0, "127.0.0.1", r));
  const { child, url } = await serve();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    await run(browser, url, sink.address().port);
  } finally {
    await browser.close();
    sink.close();
    child.kill("SIGTERM");
    await waitFor("the server's end", () => child.exitCode !== null);
    ok(child.exitCode === 0, "the server ends with 0");
  }
}

async function run(browser, url, sinkPort) {
  const org = await post(url, "/api/keys/generate", { organization_name: "Page Org", tier: "pro" });
  const key = org.api_key;
  await post(url, "/api/webhook/config", { webhook_url: `http://127.0.0.1:${sinkPort}/` }, key);
  await post(url, "/api/events", { type: "first", payload: { big: "x" } }, key);
  const page = await (await browser.newContext({ viewport: { width: 1100, height: 900 } })).newPage();
  const outside = [], errors = [];
  page.on("request", r => { if (!r.url().startsWith(url) && !r.url().startsWith("data:")) outside.push(r.url()); });
  page.on("console", m => { if (m.type() === "error") errors.push(m.text()); });
  page.on("pageerror", e => errors.push(String(e)));
  await page.goto(url + "/", { waitUntil: "load" });

  ok(await tabTo(page, "#key"), "the key field is reached with Tab");
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#rows tr");
  ok((await page.textContent("#org")).includes("Page Org"), "the organization is shown");
  ok((await page.inputValue("#key")) === "", "the key is not left in the field");

  const exact = await fetch(url + "/api/events", {
    method: "POST", headers: { "X-API-Key": key, "Content-Type": "application/json" },
    body: '{"type":"live.one","payload":{"n":12345678901234567890,"s":"<b>bold</b>"}}',
  });
  const id = (await exact.json()).id;
  await page.waitForFunction(i => document.querySelector("#rows tr")?.dataset.id === i, id);
  ok(true, "a new event comes by itself");

  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.getElementById("detail").hidden);
  const payload = await page.textContent("#payload");
  ok(payload.includes("12345678901234567890"), "a large number is shown as sent", payload);
  ok(payload.includes("<b>bold</b>"), "markup in a payload stays text");
  ok((await page.textContent("#facts")).includes(id), "the event's facts");
  await waitFor("the attempt", async () => { await page.keyboard.press("Escape"); await page.keyboard.press("Enter"); return (await page.textContent("#attempts")).includes("200"); });
  ok(true, "attempts are listed");
  await page.keyboard.press("r");
  await page.waitForFunction(() => document.getElementById("done").textContent === "planned again");
  ok(true, "r replays");
  await page.keyboard.press("a");
  await page.waitForFunction(() => document.getElementById("done").textContent === "acknowledged");
  ok((await page.textContent("#facts")).includes("acknowledged"), "a acknowledges");

  await page.keyboard.press("Escape");
  ok(await tabTo(page, "#b-test"), "the test button is reached with Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("test").textContent.includes("HTTP 200"));
  ok(true, "a test call from the page");
  ok(await tabTo(page, "#status"), "the filter is reached with Tab");
  await page.keyboard.press("a"); // acknowledged
  await tabTo(page, "#f-filter button");
  await page.keyboard.press("Enter");
  await page.waitForFunction(i => [...document.querySelectorAll("#rows tr")].every(r => r.dataset.id === i), id);
  ok(true, "the filter works");
  await page.waitForFunction(() => document.getElementById("health").textContent.includes("healthy"));
  await page.waitForFunction(() => Number(document.getElementById("c-accepted").textContent) >= 2);
  ok(true, "live counters");
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("input,select,button")]
    .filter(e => !(e.labels && e.labels.length) && !e.textContent.trim()).length);
  ok(unnamed === 0, "every control has a name");
  if (process.env.PAGE_SHOT) await page.screenshot({ path: process.env.PAGE_SHOT, fullPage: true });
  ok(outside.length === 0, "no outside request", outside.join("\n"));
  ok(errors.length === 0, "no console error", errors.join("\n"));
}

try {
  await main();
} catch (e) {
  ok(false, "no exception", e.stack);
  console.error(e.stack);
}
rmSync(folder, { recursive: true, force: true });
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
