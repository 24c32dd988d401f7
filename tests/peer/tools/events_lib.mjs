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

export const tail = (server, wf, ...args) => zkRun(["events", "tail", "-w", wf, ...args], { server });
export const joined = (server, n = 1) => waitFor("zk to join", () => server.sent("auth").length >= n);
export const gone = async (z) => ok(await z.stop() === "SIGTERM", "TERM ends it", z.err);
export const finished = async (z, status, what) => ok(await z.end === status, what, `${await z.end} ${z.err} ${z.out}`);
