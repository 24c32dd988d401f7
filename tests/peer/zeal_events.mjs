// `zk events` with the real socket.io from npm on the other side (specs/zeal-zip.md §7, §9, §14).
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { equal, ok, run, temp, test, waitFor, zk } from "../lib/tap.mjs";
import { start } from "./tools/zeal_socket.mjs";

const children = new Set();
process.on("exit", () => children.forEach((c) => c.kill("SIGKILL")));

// zk in the background: .rows, .err, .lines(n), .stop() and .end, the exit status.
function zkRun(args, { server, env = {}, input } = {}) {
	const home = mkdtempSync(temp("home"));
	const p = spawn(zk, args, { env: { ...Object.fromEntries(Object.entries(process.env)
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
	Object.defineProperty(z, "rows", { get: () => z.out.split("\n").filter(Boolean).map((l) => JSON.parse(l)) });
	z.lines = (n, what) => waitFor(what ?? `${n} lines`, () => z.rows.length >= n);
	z.stop = () => {
		p.kill("SIGTERM");
		return z.end;
	};
	return z;
}

const tail = (server, wf, ...args) => zkRun(["events", "tail", "-w", wf, ...args], { server });
const joined = (server, n = 1) => waitFor("zk to join", () => server.sent("auth").length >= n);

test("tail", async () => {
	const s = await start();
	const z = tail(s, "wf_1,wf_2");
	await joined(s, 2);
	const odd = '{"id":"e1","type":"node.completed","big":9007199254740993,"t":"\\u00e9 é","o":{"z":1,"a":[1, 2]}}';
	s.io.to("wf_1").emit("zip.event", JSON.parse(odd.replace("9007199254740993", "1")));
	s.event("wf_2", { nodeId: "n2" });
	s.emit("wf_1", "something.new", { a: 1 }, 2);
	s.emit("wf_1", "visual.state.update", { type: "visual.state.update", elements: [] });
	s.emit("wf_1", "control.event", { id: "c", type: "control.execution.start" });
	await z.lines(5);
	equal(z.rows.map((r) => r.type ?? "?"), ["node.completed", "node.completed", "?", "visual.state.update",
		"control.execution.start"], "events of both workflows and unknown ones, in order");
	equal(z.rows[0].t, "é é", "text");
	equal(s.sent("auth").map((e) => e.args[0]), [{ type: "auth", workflowId: "wf_1" }, { type: "auth",
		workflowId: "wf_2" }], "one socket joins both");
	equal(s.sent("connect").length, 1, "one socket");
	equal(s.sent("connect")[0].transport, "websocket", "a WebSocket");
	equal(await z.stop(), "SIGTERM", "TERM ends it as a one-shot is ended", z.err);
	await waitFor("disconnect", () => s.sent("disconnect").length);
	equal(s.sent("disconnect")[0].reason, "client namespace disconnect", "with a goodbye");
	await s.stop();
});

for (const transport of ["polling", "upgrade"]) {
	test(`tail over ${transport}`, async () => {
		const s = await start();
		const z = tail(s, "wf_1", "--transport", transport);
		await joined(s);
		for (let i = 0; i < 50; i++) s.event("wf_1", { i });
		await z.lines(50);
		if (transport === "upgrade") {
			await waitFor("the upgrade", () => s.sent("upgrade").length);
			ok(true, "it upgrades");
		}
		for (let i = 50; i < 100; i++) s.event("wf_1", { i });
		await z.lines(100);
		equal(z.rows.map((r) => r.i), [...Array(100).keys()], "every event once, in order");
		equal(s.sent("connect")[0].transport, "polling", "it began with polling");
		const end = await z.stop();
		ok(end === "SIGTERM", "TERM ends it", end + z.err);
		await waitFor("disconnect", () => s.sent("disconnect").length);
		ok(true, "the session is closed");
		await s.stop();
	});
}

await run();
