// What the tests of `zk events` share: zk in the background.
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { ok, temp, waitFor, zk } from "../../lib/tap.mjs";

const children = new Set();
process.on("exit", () => children.forEach((c) => c.kill("SIGKILL")));

// .rows, .out, .err, .lines(n), .stop(), and .end, the exit status or the signal.
export function zkRun(args, { server, env = {}, input, program = zk, cwd } = {}) {
	const home = mkdtempSync(temp("home"));
	const p = spawn(program, args, { cwd, env: { ...Object.fromEntries(Object.entries(process.env)
		.filter(([k]) => !k.startsWith("ZK_") && !k.startsWith("TEST_"))), HOME: home, XDG_STATE_HOME: home + "/state",
		...(server ? { ZK_ZEAL_WS_URL: server.url } : {}), ZK_ZEAL_WS_RECONNECT_BASE: "50ms", ...env } });
	const z = { p, home, out: "", err: "" };
	children.add(p);
	p.stdout.setEncoding("utf8").on("data", (d) => (z.out += d));
	p.stderr.setEncoding("utf8").on("data", (d) => (z.err += d));
	p.stdin.on("error", () => {});
	if (input !== undefined) p.stdin.end(input);
	z.end = new Promise((done) => p.on("close", (code, signal) => {
		children.delete(p);
		done(signal ?? code);
	}));
	Object.defineProperty(z, "rows", { get: () => z.out.slice(0, z.out.lastIndexOf("\n") + 1).split("\n")
		.filter(Boolean).map((l) => JSON.parse(l)) });
	z.lines = (n, what) => waitFor(what ?? `${n} lines`, () => z.rows.length >= n);
	z.stop = () => {
		p.kill("SIGTERM");
		return z.end;
	};
	return z;
}

// The stand-in for the REST side of a server (zeal.mjs): .url, .call(method, path, body), .conf(object), .state(), .log(), .stop().
export async function zeal() {
	const p = spawn(process.execPath, [new URL("zeal.mjs", import.meta.url).pathname], { stdio: ["pipe", "pipe", "inherit"] });
	children.add(p);
	const { url } = await new Promise((done, no) => {
		let text = "";
		p.on("exit", () => no(new Error("zeal.mjs ended")));
		p.stdout.on("data", (d) => (text += d).includes("\n") && done(JSON.parse(text)));
	});
	const ask = async (method, path, body) => (await fetch(url + path, { method, body: body && JSON.stringify(body) })).json();
	return { url, call: (method, path, body) => ask(method, "/api/zip" + path, body), conf: (c) => ask("POST", "/__/conf", c),
		state: () => ask("GET", "/__/state"), log: () => ask("GET", "/__/log"),
		stop: () => new Promise((done) => p.removeAllListeners("exit").on("exit", done) && p.stdin.end()) };
}

export const tail = (server, wf, ...args) => zkRun(["events", "tail", "-w", wf, ...args], { server });
export const joined = (server, n = 1) => waitFor("zk to join", () => server.sent("auth").length >= n);
export const gone = async (z) => ok(await z.stop() === "SIGTERM", "TERM ends it", z.err);
export const finished = async (z, status, what) => ok(await z.end === status, what, `${await z.end} ${z.err} ${z.out}`);
