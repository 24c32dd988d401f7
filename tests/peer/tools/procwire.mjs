// Workers of zk under the real parent, @procwire/core.
import { mkdirSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Module, ModuleManager } from "@procwire/core";
import { rawCodec, msgpackCodec } from "@procwire/codecs";
import { temp, zk } from "../../lib/tap.mjs";

export { rawCodec, msgpackCodec };
export const yaml = fileURLToPath(new URL("../worker.yaml", import.meta.url));

// Where sockets of the workers are.
export const runtime = temp("run");
mkdirSync(runtime, { mode: 0o700 });
export const sockets = () => readdirSync(runtime).filter(n => n.startsWith("procwire-"));

// The methods of worker.yaml as the parent declares them.
export function declareAll(m) {
  const cancellable = true;
  return m.method("echo", {})
    .method("raw", { codec: rawCodec })
    .method("sink", { codec: rawCodec, response: "ack" })
    .method("enqueue", { response: "ack" })
    .method("count", { response: "stream", cancellable })
    .method("source", { requestCodec: msgpackCodec, responseCodec: rawCodec, response: "stream", cancellable })
    .method("note", { response: "none" })
    .method("fail", {})
    .method("failstream", { response: "stream" })
    .method("failraw", { codec: rawCodec, response: "stream" })
    .method("slow", { cancellable })
    .method("emit", {})
    .method("penv", {})
    .method("cat", { codec: rawCodec, cancellable })
    .method("hold", { cancellable })
    .method("zk.stats", {})
    .method("zk.describe", {})
    .event("progress");
}

let serial = 0;

// A spawned module: { module, manager, child() }.
export async function start(args, declare, policy = {}, env = {}) {
  const module = new Module("zk" + ++serial)
    .executable(zk, ["procwire", "worker", ...args], { env: { XDG_RUNTIME_DIR: runtime, ...env } })
    .spawnPolicy({ maxRetries: 0, ...policy });
  declare(module);
  const manager = new ModuleManager();
  manager.register(module);
  await manager.spawn();
  return { module, manager, stop: () => manager.shutdown() };
}

export const startAll = (policy, env) => start(["--config", yaml], declareAll, policy, env);

export async function collect(iterable) {
  const all = [];
  for await (const x of iterable) all.push(x);
  return all;
}
