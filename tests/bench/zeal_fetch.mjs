// The baseline of `scripts/bench zeal`: plain fetch, one event per request, the same bodies.
//   node zeal_fetch.mjs URL N      prints the CPU seconds that the N requests took
import { readFileSync } from "node:fs";

const [url, n] = process.argv.slice(2);
const lines = readFileSync(0, "utf8").trim().split("\n");
const before = process.cpuUsage();
for (let i = 0; i < Number(n); i++) {
	const r = await fetch(`${url}/api/zip/traces/fts_bench/events`, { method: "POST",
		headers: { "content-type": "application/json" },
		body: `{"events":[${lines[i % lines.length]}]}` });
	if ((await r.json()).eventsProcessed !== 1) throw new Error("not one event");
}
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1e6);
