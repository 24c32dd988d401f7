// Redis from Debian for the Jetstream tests: started on a free port, asked over its own protocol.
import { spawn } from "node:child_process";
import net from "node:net";
import { existsSync, folder, until } from "./jetstream_lib.mjs";

// Debian's redis-server is a link to redis-check-rdb; redis-tools has the latter.
export const redisBinary = ["/usr/bin/redis-server", "/usr/bin/redis-check-rdb"].find(existsSync);

export async function freePort() {
  const s = net.createServer();
  await new Promise(r => s.listen(0, "127.0.0.1", r));
  const { port } = s.address();
  await new Promise(r => s.close(r));
  return port;
}

export async function startRedis(port, ...more) {
  const p = spawn(redisBinary, ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
    "--dir", folder, ...more], { argv0: "redis-server", stdio: "ignore" });
  await until(() => new Promise(r => {
    const c = net.connect(port, "127.0.0.1", () => { c.destroy(); r(true); });
    c.on("error", () => r(false));
  }), "redis");
  return { p, stop: (sig = "SIGKILL") => new Promise(r => { p.on("exit", r); p.kill(sig); }) };
}

// One command; the answer as strings, numbers and lists.
export function command(port, ...args) {
  const c = net.connect(port, "127.0.0.1");
  return new Promise((res, rej) => {
    let all = Buffer.alloc(0);
    c.on("error", rej);
    c.on("close", () => rej(new Error("redis closed")));
    c.on("data", d => {
      all = Buffer.concat([all, d]);
      const got = parse(all, 0);
      if (!got) return;
      res(got.v);
      c.destroy();
    });
    c.write(`*${args.length}\r\n` + args.map(a => `$${Buffer.byteLength(String(a))}\r\n${a}\r\n`).join(""));
  });
}

function parse(b, at) {
  const eol = b.indexOf("\r\n", at);
  if (eol < 0) return null;
  const head = b.toString("latin1", at + 1, eol), kind = String.fromCharCode(b[at]);
  if (kind === "$" && +head >= 0) {
    const n = +head, from = eol + 2;
    return from + n + 2 > b.length ? null : { v: b.toString("utf8", from, from + n), next: from + n + 2 };
  }
  if (kind === "*" && +head >= 0) {
    const v = [];
    let pos = eol + 2;
    for (let i = 0; i < +head; i++) {
      const x = parse(b, pos);
      if (!x) return null;
      v.push(x.v);
      pos = x.next;
    }
    return { v, next: pos };
  }
  return { v: kind === ":" ? +head : kind === "$" || kind === "*" ? null : head, next: eol + 2 };
}

const entry = ([id, f]) => ({ id, fields: Object.fromEntries(f.flatMap((x, i) => i % 2 ? [] : [[x, f[i + 1]]])) });
// XRANGE of the whole stream: a list of { id, fields }.
export async function entries(port, stream = "hydrated_jetstream") {
  return (await command(port, "XRANGE", stream, "-", "+") ?? []).map(entry);
}
// The same a page at a time.
export async function* pages(port, stream = "hydrated_jetstream") {
  for (let from = "-"; ;) {
    const page = (await command(port, "XRANGE", stream, from, "+", "COUNT", "2000")).map(entry);
    if (!page.length) return;
    yield page;
    from = "(" + page.at(-1).id;
  }
}
