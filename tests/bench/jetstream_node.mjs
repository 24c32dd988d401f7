// The baselines of `scripts/bench jetstream`: consumers in Node.
//   node jetstream_node.mjs ws|skyware URL COUNT     prints seconds and CPU seconds of COUNT events
// `ws` parses each message with JSON.parse and looks at did, kind and text; `skyware` is
// @skyware/jetstream with a listener for commits.
import { createRequire } from "node:module";

const [kind, url, n] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const load = createRequire(new URL("../peer/package.json", import.meta.url));
let seen = 0, start = 0, before;

function one(e) {
  if (!seen) {
    start = performance.now();
    before = process.cpuUsage();
  }
  if (typeof e.did !== "string") throw new Error("no event");
  if (++seen < n) return;
  const { user, system } = process.cpuUsage(before);
  console.log(((performance.now() - start) / 1000).toFixed(4), ((user + system) / 1e6).toFixed(4));
  process.exit(0);
}

const WebSocket = load("ws");
if (kind === "ws") {
  const c = new WebSocket(url + "/subscribe");
  c.on("message", m => one(JSON.parse(m)));
} else {
  const { Jetstream } = await import(load.resolve("@skyware/jetstream"));
  const j = new Jetstream({ endpoint: url + "/subscribe", ws: WebSocket });
  for (const k of ["commit", "identity", "account"]) j.on(k, one);
  j.start();
}
