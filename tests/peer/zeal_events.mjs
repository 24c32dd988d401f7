// `zk events` with the real socket.io from npm on the other side (specs/zeal-zip.md §7, §9, §14).
//
// The points of §14 on events: 1 codec vectors: tests/unit/test_sio.c, test_zip_live.c. 2 deaf
// websocket: "a deaf WebSocket". 3 pings: "heartbeats", with TEST_LONG=1 for two minutes. 4 restart:
// "the server restarts". 5 slow consumer: "a slow consumer". 6 the limit: "emit a stream". 7 two
// workflows: "tail". Those on webhooks are in zeal_webhook.py: 1 test_cases,
// 2 test_duplicates_and_deliveries, 3 test_busy, 4 test_life, 5 test_management and the vectors in
// tests/unit/test_zip_hook.c.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { WebSocketServer } from "ws";
import { equal, ok, run, temp, test, waitFor, zk } from "../lib/tap.mjs";
import { finished, gone, joined, tail, zeal, zkRun } from "./tools/events_lib.mjs";
import { start } from "./tools/zeal_socket.mjs";


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


test("a deaf WebSocket: long-polling within 6 s, and at once the next time", async () => {
	const s = await start({ deaf: true });
	const began = Date.now();
	const z = tail(s, "wf_1");
	await joined(s);
	const took = Date.now() - began;
	ok(took < 6000 * Number(process.env.TEST_SLOW || 1) + 2000, "within 6 s", `${took} ms`);
	equal(s.sent("connect").map((c) => c.transport), ["websocket", "polling"], "a WebSocket, then polling");
	s.event("wf_1", { i: 1 });
	await z.lines(1);
	await gone(z);
	s.clear();
	const again = zkRun(["events", "tail", "-w", "wf_1"], { server: s, env: { XDG_STATE_HOME: z.home + "/state" } });
	await joined(s);
	equal(s.sent("connect").map((c) => c.transport), ["polling"], "it is remembered");
	await gone(again);
	s.clear();
	const w = tail(s, "wf_1", "--transport", "websocket");
	await finished(w, 76, "without a way out it is an error");
	ok(w.err.includes("--transport polling"), "that says what to do", w.err);
	await s.stop();
});

test("a WebSocket that is refused", async () => {
	const s = await start({ refuse: true });
	const z = tail(s, "wf_1");
	await joined(s);
	s.event("wf_1", { i: 1 });
	await z.lines(1);
	equal(s.sent("connect").map((c) => c.transport), ["polling"], "polling is used");
	await gone(z);
	await s.stop();
});

test("a server that lets nobody in", async () => {
	const s = await start({ forbid: true });
	for (const [transport, status] of [["auto", 77], ["websocket", 69], ["polling", 77]])
		await finished(tail(s, "wf_1", "--transport", transport), status, `${transport}: nothing is tried again`);
	await s.stop();
});

for (const transport of ["websocket", "polling"]) {
	test(`heartbeats over ${transport}`, async () => {
		const long = process.env.TEST_LONG;
		const s = await start(long ? {} : { pingInterval: 300, pingTimeout: 1500 });
		const z = tail(s, "wf_1", "--transport", transport);
		await joined(s);
		await new Promise((done) => setTimeout(done, long ? 125000 : 4000));
		s.event("wf_1", { i: 1 });
		await z.lines(1);
		equal([s.sent("connect").length, s.sent("disconnect").length], [1, 0], "a dozen pings were answered");
		await gone(z);
		await s.stop();
	}, process.env.TEST_LONG ? 180000 : 60000);

	test(`the server restarts, over ${transport}`, async () => {
		let s = await start();
		const { port } = s;
		const z = tail(s, "wf_1", "--transport", transport, "--gaps");
		await joined(s);
		s.io.to("wf_1").emit("zip.event", { id: "evt_1", type: "node.executing" });
		await z.lines(1);
		await s.stop();
		s = await start({ port });
		await joined(s);
		s.io.to("wf_1").emit("zip.event", { id: "evt_1", type: "node.executing" });
		s.io.to("wf_1").emit("zip.event", { id: "evt_2", type: "node.completed" });
		await z.lines(3);
		equal(z.rows.map((r) => r.type), ["node.executing", "zk.gap", "node.completed"],
			"a gap is told, and nothing comes twice");
		const gap = z.rows[1];
		ok(gap.reconnects >= 1 && Date.parse(gap.from) <= Date.parse(gap.to), "from, to, reconnects", JSON.stringify(gap));
		await gone(z);
		await s.stop();
	});
}

test("a server that drops every connection", async () => {
	const s = await start();
	s.io.on("connection", (socket) => socket.on("auth", () => setTimeout(() => socket.conn.transport.socket.terminate(), 1)));
	const z = zkRun(["events", "tail", "-w", "wf_1", "--transport", "websocket"], { server: s,
		env: { ZK_ZEAL_WS_RECONNECT_BASE: "100ms" } });
	const began = Date.now();
	await joined(s, 7);
	// Up to 100, 200 … 3,200 ms, each by chance: less than this comes once in 6,000 runs.
	ok(Date.now() - began > 400, "the waits grow", `${Date.now() - began} ms`);
	await waitFor("gaps", () => z.err.includes("zk.gap"));
	equal(z.rows.length, 0, "nothing on stdout");
	await gone(z);
	await s.stop();
});

test("unknown workflows", async () => {
	const s = await start({ workflows: ["wf_1"] });
	const z = tail(s, "wf_2");
	await finished(z, 69, "an unknown one is final");
	ok(z.err.includes("wf_2"), "and named", z.err);
	const w = tail(s, "wf_2", "--wait");
	await joined(s, 2);
	s.known.add("wf_2");
	await waitFor("the room", () => s.io.sockets.adapter.rooms.has("wf_2"));
	s.event("wf_2", { i: 1 });
	await w.lines(1);
	ok(true, "--wait waits for it");
	await gone(w);
	equal(await zkRun(["events", "tail"], { server: s }).end, 64, "none at all is a wrong call");
	await s.stop();
});

test("malformed packets", async () => {
	const s = await start();
	const z = tail(s, "wf_1");
	await joined(s);
	const { transport } = Object.values(s.io.engine.clients)[0] ?? [...s.io.sockets.sockets.values()][0].conn;
	for (const bad of ["9", "", "42[]", "42{\"a\":1}", "42[\"x\"", "4", "450-[\"x\"]", "0{}", "b4", "42[\"x\",\"\u0001\"]"])
		transport.socket.send(bad);
	transport.socket.send(Buffer.from([1, 2, 3]));
	transport.socket.send('451-["stream.frame",{"_placeholder":true,"num":0}]');
	transport.socket.send('42["after",{"i":1}]');
	await z.lines(1);
	equal([z.rows, s.sent("disconnect").length], [[{ i: 1 }], 0], "are passed over, the connection stays");
	ok(z.err.includes("malformed"), "and told", z.err);
	await gone(z);
	await s.stop();
});

test("a slow consumer does not lose the connection, and its memory is bounded", async () => {
	const s = await start({ pingInterval: 1000, pingTimeout: 3000 });
	const z = tail(s, "wf_1", "--queue", "500");
	await joined(s);
	z.p.stdout.pause();
	const pad = "x".repeat(900);
	const total = 20000;
	for (let i = 0; i < total; i++) {
		s.event("wf_1", { i, pad });
		if (i % 100 === 0) await new Promise(setImmediate);
	}
	await new Promise((done) => setTimeout(done, 6000));
	equal([s.sent("connect").length, s.sent("disconnect").length], [1, 0], "pongs go out while nothing is read");
	z.p.stdout.resume();
	await waitFor("all events", () => z.out.split("\n").length > total, 30000);
	equal(z.rows.map((r) => r.i), [...Array(total).keys()], "nothing is lost");
	await gone(z);
	await s.stop();
});

for (const policy of ["drop-old", "drop-new"]) {
	test(`--overflow ${policy}`, async () => {
		const s = await start();
		const z = tail(s, "wf_1", "--queue", "100", "--overflow", policy);
		await joined(s);
		z.p.stdout.pause();
		const pad = "x".repeat(5000);
		for (let i = 0; i < 2000; i++) s.event("wf_1", { i, pad });
		s.event("wf_1", { i: "last" });
		await waitFor("a warning", () => z.err.includes("dropped"));
		await new Promise((done) => setTimeout(done, 300));
		z.p.stdout.resume();
		await waitFor("the rest", () => z.rows.length >= 100);
		await gone(z);
		const got = z.rows.map((r) => r.i);
		ok(got.length < 2001, "some are gone", String(got.length));
		equal(got.includes("last"), policy === "drop-old", `the newest one is ${policy === "drop-old" ? "kept" : "not"}`);
		ok(/\d+ events were dropped/.test(z.err), "counted and reported", z.err);
		await s.stop();
	});
}

test("nobody reads", async () => {
	const s = await start();
	const pad = "x".repeat(5000);
	const z = tail(s, "wf_1", "--queue", "100", "--overflow", "drop-new", "--grace", "300ms");
	await joined(s);
	z.p.stdout.pause();
	const gone = new Promise((done) => z.p.on("exit", (code, signal) => done(signal ?? code)));
	for (let i = 0; i < 2000; i++) s.event("wf_1", { i, pad });
	await waitFor("a full stdout", () => z.err.includes("dropped"));
	z.p.kill("SIGTERM");
	equal(await gone, "SIGTERM", "the first TERM ends it after --grace");
	ok(/nobody read the output: \d+ bytes/.test(z.err), "and what was not written is said", z.err);
	z.p.stdout.destroy();

	// --count: the grace time is over long before the reader reads.
	s.clear();
	const n = 1000, c = tail(s, "wf_1", "--count", String(n), "--grace", "100ms");
	await joined(s);
	c.p.stdout.pause();
	for (let i = 0; i < n; i++) s.event("wf_1", { i, pad });
	await waitFor("the end of --count", () => s.sent("disconnect").length);
	await new Promise((done) => setTimeout(done, 500));
	c.p.stdout.resume();
	await finished(c, 0, "a reader that takes its time");
	equal(c.rows.map((r) => r.i), [...Array(n).keys()], "gets all of --count");
	await s.stop();
});

test("nobody reads what a loop of its own prints", async () => {
	const rest = await zeal();
	const { workflowId } = await rest.call("POST", "/orchestrator/workflows", { name: "w" });
	const z = zkRun(["workflow", "watch", workflowId, "--every", "50ms"], { env: { ZK_ZEAL_BASE_URL: rest.url } });
	const looks = async () => (await rest.log()).filter((q) => q.url.includes("/state")).length;
	z.p.stdout.pause();
	await waitFor("the first look", looks);
	for (let i = 0; i < 10; i++)
		await rest.call("POST", "/orchestrator/nodes", { workflowId, templateId: "zk/a", position: { x: i, y: 0 },
			propertyValues: { pad: "x".repeat(30000) } });
	let seen = -1;
	await waitFor("zk to stand still", async () => {
		const before = seen;
		seen = await looks();
		await new Promise((done) => setTimeout(done, 500));
		return before === seen;
	});
	const end = new Promise((done) => z.p.on("exit", (code, signal) => done(signal ?? code)));
	z.p.kill("SIGTERM");
	const how = await end;
	ok(how === 143 || how === "SIGTERM", "the first TERM ends it", how);
	z.p.stdout.destroy();
	await rest.stop();
});

test("many sockets", async () => {
	const s = await start();
	const wfs = [...Array(100).keys()].map((i) => `wf_${i}`);
	const z = tail(s, wfs.join(","), "--sockets", "0");
	await joined(s, 100);
	equal(s.io.engine.clientsCount, 100, "one for each workflow");
	wfs.forEach((wf, i) => s.event(wf, { i }));
	await z.lines(100);
	equal(z.rows.map((r) => r.i).sort((a, b) => a - b), [...Array(100).keys()], "each event once");
	await gone(z);
	const few = tail(s, wfs.join(","), "--sockets", "3");
	await joined(s, 200);
	equal(s.io.engine.clientsCount, 3, "or spread over a few");
	await gone(few);
	await s.stop();
});

test("operators", async () => {
	const s = await start();
	const feed = async (args, expected, what) => {
		s.clear();
		const z = tail(s, "wf_1", ...args);
		await joined(s);
		for (let i = 0; i < 10; i++) s.event("wf_1", { type: i % 2 ? "node.failed" : "node.completed", i, m: i % 3, d: { ms: i * 50 } });
		s.emit("wf_1", "over", { id: "over", type: "over", i: -1 });
		await waitFor(what, () => z.rows.flat().some((r) => r.i === -1) || z.p.exitCode !== null);
		if (z.p.exitCode === null) z.p.kill("SIGTERM");
		await z.end;
		const got = z.rows.map((r) => (Array.isArray(r) ? r.map((x) => x.i) : r.i));
		equal(got.filter((x) => x !== -1), expected, what);
		return z;
	};
	const last = " || type=over";
	await feed(["--filter", "type=node.failed" + last], [1, 3, 5, 7, 9], "filter by type");
	await feed(["--filter", "(type=node.* && d.ms>=300)" + last], [6, 7, 8, 9], "filter by glob and number");
	await feed(["--distinct", "m"], [0, 1, 2], "distinct");
	await feed(["--sample", "1/3", "--count", "4"], [0, 3, 6, 9], "sample");
	await feed(["--skip", "3", "--count", "4"], [3, 4, 5, 6], "skip and count");
	await feed(["--buffer", "4", "--count", "10"], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], "buffer, the last one shorter");
	await feed(["--buffer", "1000", "--every", "200ms"], [[...Array(10).keys(), -1]], "buffer with a time");
	await feed(["--debounce", "200ms", "--key", "m"], [7, 8, 9], "debounce by key");
	const z = await feed(["--fields", "i,d.ms", "--count", "2"], [0, 1], "fields");
	equal(z.rows[1], { i: 1, "d.ms": 50 }, "are projected");
	await s.stop();
});

test("commands", async () => {
	const s = await start();
	const z = tail(s, "wf_1", "--exec", "cat; echo \"$ZK_EVENT_TYPE $ZK_EVENT_WORKFLOW $ZK_EVENT_NODE\"", "--count", "1");
	await joined(s);
	s.event("wf_1", { nodeId: "n1", i: 7 });
	await finished(z, 0, "a command per event");
	ok(z.out.includes('"i":7') && z.out.includes("node.completed wf_1 n1"), "with the event on stdin and its names", z.out);
	s.clear();
	const o = tail(s, "wf_1", "--exec", "read x; i=$(echo \"$x\" | sed 's/.*\"i\"://; s/[^0-9].*//'); sleep 0.$((9 - i)); echo $i",
		"--jobs", "10", "--ordered", "--count", "10");
	await joined(s);
	for (let i = 0; i < 10; i++) s.event("wf_1", { i });
	await finished(o, 0, "ten at once");
	equal(o.out.trim().split("\n").map(Number), [...Array(10).keys()], "--ordered keeps the order of what they print");
	s.clear();
	const f = tail(s, "wf_1", "--exec", "exit 3", "--count", "2", "--retries", "1", "--retry-base", "1ms");
	await joined(s);
	s.event("wf_1", {});
	s.event("wf_1", {});
	await finished(f, 3, "failures do not end the stream, and are told");
	s.clear();
	const q = tail(s, "wf_1", "--exec", "cat >/dev/null; sleep 0.1; echo done", "--jobs", "4", "--grace", "60s");
	await joined(s);
	for (let i = 0; i < 100; i++) s.event("wf_1", { i });
	await waitFor("the first ones", () => q.out.split("done").length > 8);
	equal(await q.stop(), "SIGTERM", "TERM with a hundred events queued");
	equal(q.out.split("\n").filter(Boolean).length, 100, "all of them are worked on");
	s.clear();
	const ff = tail(s, "wf_1", "--exec", "exit 3", "--retries", "0", "--fail-fast");
	await joined(s);
	s.event("wf_1", {});
	await finished(ff, 3, "--fail-fast stops at the first failure");
	await s.stop();
});

test("graph events out of snapshots", async () => {
	const s = await start();
	const graph = (nodes, connections = []) => s.graph("wf_1", [{ id: "main", nodes, connections, groups: [] }]);
	const z = tail(s, "wf_1", "--diff");
	const plain = tail(s, "wf_1");
	await joined(s, 2);
	await waitFor("both in the room", () => s.io.sockets.adapter.rooms.get("wf_1")?.size === 2);
	graph([{ id: "a", x: 1 }, { id: "b" }], [{ id: "c" }]);
	graph([{ id: "a", x: 2 }]);
	await z.lines(6);
	equal(z.rows.map((r) => `${r.type} ${r.nodeId ?? r.connectionId}`), ["node.added a", "node.added b",
		"connection.added c", "connection.deleted c", "node.deleted b", "node.updated a"], "--diff derives them");
	ok(z.rows.every((r) => r.source === "zk-diff" && r.workflowId === "wf_1" && /^evt_\d+_[0-9a-z]{9}$/.test(r.id)),
		"in the form of the others");
	await plain.lines(2);
	equal(plain.rows.map((r) => r.type), ["workflow.updated", "workflow.updated"], "otherwise the snapshots are printed");
	await gone(z);
	await gone(plain);
	await s.stop();
});

test("graph events without a socket", async () => {
	const rest = await zeal(), env = { ZK_ZEAL_BASE_URL: rest.url }, ready = temp("ready");
	const { workflowId } = await rest.call("POST", "/orchestrator/workflows", { name: "w" });
	const add = () => rest.call("POST", "/orchestrator/nodes", { workflowId, templateId: "zk/a", position: { x: 0, y: 0 } });
	const nodes = async () => (await rest.state()).workflows[0].graphs.main.nodes;
	const diff = ["events", "tail", "-w", workflowId, "--diff", "--diff-every", "50ms"];
	await rest.conf({ socketDown: true });
	const z = zkRun([...diff, "--ready-file", ready], { env });
	await waitFor("an answer of the editor's API", () => existsSync(ready));
	await add();
	const [{ id }] = await nodes();
	await rest.call("PATCH", `/orchestrator/nodes/${id}`, { workflowId, position: { x: 7, y: 0 } });
	await rest.call("DELETE", `/orchestrator/nodes/${id}?workflowId=${workflowId}`);
	await z.lines(3);
	equal(z.rows.map((r) => `${r.type} ${r.nodeId} ${r.source} ${r.data?.position.x}`),
		[`node.added ${id} zk-diff 0`, `node.updated ${id} zk-diff 7`, `node.deleted ${id} zk-diff undefined`],
		"changes come from the editor's API");
	ok(z.err.includes("there is no socket"), "which is said", z.err);
	await gone(z);
	await finished(zkRun([...diff, "--compat=off"], { env }), 75, "not with --compat=off");
	await rest.conf({ noUpdates: true });
	await finished(zkRun(diff, { env }), 75, "a server that has neither");
	await rest.conf({ noUpdates: false });

	const graph = (list) => [{ id: "main", nodes: list, connections: [], groups: [] }];
	let s = await start({ graphs: { [workflowId]: graph([{ id: "a" }]) } });
	const { port } = s;
	const back = zkRun(diff, { server: s, env });
	await joined(s);
	s.graph(workflowId, graph([{ id: "a" }, { id: "b" }]));
	await back.lines(1);
	await s.stop();
	await add();
	await back.lines(2, "the API to be asked while the socket is away");
	const known = [{ id: "a" }, { id: "b" }, ...(await nodes())];
	s = await start({ port, graphs: { [workflowId]: graph(known) } });
	await joined(s);
	await waitFor("the room", () => s.io.sockets.adapter.rooms.get(workflowId)?.size);
	s.graph(workflowId, graph([...known, { id: "d" }]));
	await back.lines(3);
	equal(back.rows.map((r) => `${r.type} ${r.nodeId}`), ["node.added b", `node.added ${known[2].id}`, "node.added d"],
		"a socket that goes and comes back: each change once");
	await gone(back);
	await s.stop();
	await rest.stop();
});

test("names and attachments", async () => {
	const s = await start();
	const z = tail(s, "wf_1", "--with-name", "--filter", "type=node.completed || a");
	await joined(s);
	s.event("wf_1", { i: 1 });
	s.emit("wf_1", "blob", { a: Buffer.from("hello") });
	await z.lines(2);
	equal([z.rows[0].event, z.rows[0].data.i], ["zip.event", 1], "--with-name");
	equal(z.rows[1], { event: "blob", data: { a: { base64: "aGVsbG8=" } } }, "binary attachments are shown in base64");
	await gone(z);
	await s.stop();
});

test("credentials", async () => {
	const s = await start();
	const z = zkRun(["events", "tail", "-w", "wf_1", "--trace=headers"], { server: s,
		env: { ZK_ZEAL_TOKEN: "s3cret-token-value" } });
	await joined(s);
	equal(s.sent("connect")[0].auth, { token: "s3cret-token-value" }, "with the connect packet");
	equal(s.sent("handshake")[0].headers.authorization, "Bearer s3cret-token-value", "and the handshake");
	await gone(z);
	ok(!z.err.includes("s3cret-token-value"), "never printed");
	await s.stop();
});

test("the reader goes away", async () => {
	const s = await start();
	const z = tail(s, "wf_1");
	await joined(s);
	z.p.stdout.destroy();
	for (let i = 0; i < 100; i++) {
		s.event("wf_1", { i });
		await new Promise((done) => setTimeout(done, 20));
		if (z.p.exitCode !== null) break;
	}
	await finished(z, 0, "ends quietly with 0");
	await s.stop();
});

const emit = (server, args, input, env) => zkRun(["events", ...args], { server, input, env });
const runtime = (s) => s.sent("runtime.event").map((e) => e.args[0]);

test("emit", async () => {
	const s = await start({ workflows: ["wf_1"] });
	const z = tail(s, "wf_1");
	await joined(s);
	const e = emit(s, ["emit", "-w", "wf_1", "node.completed", "--node", "n1", "--data", "duration:=17", "--data",
		"note=hi", "--wait"]);
	await finished(e, 0, "an event is sent and acknowledged");
	const [sent] = runtime(s);
	ok(/^\d{4}-.*Z$/.test(sent.timestamp), "with a time", sent.timestamp);
	delete sent.timestamp;
	equal(sent, { type: "node.completed", workflowId: "wf_1", nodeId: "n1", duration: 17, data: { duration: 17,
		note: "hi" } }, "members are where the server looks for them");
	await z.lines(1);
	equal([z.rows[0].type, z.rows[0].duration, z.rows[0].nodeId], ["node.completed", 17, "n1"], "tail sees it");
	await finished(emit(s, ["emit", "-w", "wf_1", "node.exploded"]), 65, "an unknown type is found here");
	equal(runtime(s).length, 1, "nothing was sent");
	await finished(emit(s, ["emit", "-w", "wf_2", "node.failed"]), 69, "an unknown workflow");
	const old = emit(s, ["emit", "-w", "wf_1", "node.execution.error", "--data", "error=no disk"]);
	await finished(old, 0, "old names are translated");
	await z.lines(2);
	equal([z.rows[1].type, z.rows[1].error], ["node.failed", { message: "no disk" }], "and errors");
	await gone(z);
	await s.stop();
});

test("emit a stream", async () => {
	const s = await start();
	const lines = [...Array(1000).keys()].map((i) => JSON.stringify({ type: "node.executing", nodeId: `n${i}`,
		timestamp: 1767225600000 + i, inputConnections: ["c"] }));
	const e = emit(s, ["emit", "-w", "wf_1", "-", "--window", "16"], lines.join("\n"));
	await finished(e, 0, "1,000 events");
	equal(runtime(s).map((x) => x.nodeId), [...Array(1000).keys()].map((i) => `n${i}`), "each once, in order");
	equal(runtime(s)[1], { type: "node.executing", workflowId: "wf_1", timestamp: "2026-01-01T00:00:00.001000Z",
		nodeId: "n1", inputConnections: ["c"], data: { inputConnections: ["c"] } }, "times become texts");
	s.clear();
	lines[3] = "{";
	lines[5] = '{"type":"nope"}';
	const b = emit(s, ["emit", "-w", "wf_1", "-"], lines.slice(0, 10).join("\n"));
	await finished(b, 3, "bad lines do not end the stream");
	equal([runtime(s).length, /line=4/.test(b.err), /line=6/.test(b.err)], [8, true, true], "and are named");
	await finished(emit(s, ["emit", "-w", "wf_1", "-", "--fail-fast"], lines.slice(0, 10).join("\n")), 65,
		"unless --fail-fast");
	const began = Date.now();
	await finished(emit(s, ["emit", "-w", "wf_1", "-", "--rate", "20/s"], lines.slice(10, 21).join("\n")), 0, "at a rate");
	ok(Date.now() - began >= 500, "takes its time", `${Date.now() - began}`);
	const big = JSON.stringify({ type: "node.completed", data: { pad: "x".repeat(1000000) } });
	const l = emit(s, ["emit", "-w", "wf_1", "-"], `${big}\n${lines[0]}\n`);
	await finished(l, 3, "more than 1,000,000 bytes are not sent");
	equal(s.sent("disconnect").filter((d) => d.reason !== "client namespace disconnect").length, 0,
		"and the connection stays");
	const fit = JSON.stringify({ type: "node.completed", data: { pad: "x".repeat(999000) } });
	await finished(emit(s, ["emit", "-w", "wf_1", "-"], fit), 0, "just below is fine");
	await s.stop();
});

test("emit without acknowledgements, and after a drop", async () => {
	const s = await start({ mute: true });
	const m = emit(s, ["emit", "-w", "wf_1", "node.executing", "--wait", "--request-timeout", "1s"]);
	await finished(m, 76, "no acknowledgement: the outcome is not known");
	s.conf.mute = false;
	s.clear();
	let dropped = false;
	s.io.on("connection", (socket) => socket.on("runtime.event", (e) => {
		if (e.nodeId !== "n50" || dropped) return;
		dropped = true;
		socket.conn.transport.socket.terminate();
	}));
	const lines = [...Array(100).keys()].map((i) => JSON.stringify({ type: "node.executing", nodeId: `n${i}` }));
	const e = emit(s, ["emit", "-w", "wf_1", "-", "--window", "4"], lines.join("\n"));
	await finished(e, 76, "a drop in the middle leaves some unknown");
	const got = runtime(s).map((x) => x.nodeId);
	equal(new Set(got).size, got.length, "nothing is sent twice");
	ok(got.includes("n99"), "the rest is sent over the next connection");
	await s.stop();
});

test("visual", async () => {
	const s = await start();
	const v = emit(s, ["visual", "-w", "wf_1", "n1=running:40", "n2=pending", "--wait"]);
	await finished(v, 0, "states of two nodes");
	equal(s.sent("visual.state.update").map((e) => e.args[0]), [{ type: "visual.state.update", elements: [
		{ id: "n1", elementType: "node", state: "running", progress: 40 },
		{ id: "n2", elementType: "node", state: "pending" }] }], "in one update");
	s.clear();
	const lines = [...Array(100).keys()].map((i) => JSON.stringify({ id: "n1", state: i < 99 ? "running" : "success",
		progress: i + 1 }));
	await finished(emit(s, ["visual", "-w", "wf_1", "-"], lines.join("\n")), 0, "a hundred changes");
	const updates = s.sent("visual.state.update").map((e) => e.args[0].elements);
	ok(updates.length < 10, "are debounced", String(updates.length));
	equal(updates.at(-1).at(-1), { id: "n1", elementType: "node", state: "success", progress: 100 }, "the last one counts");
	await finished(emit(s, ["visual", "-w", "wf_1", "n1=exploded"]), 65, "an unknown state");
	await s.stop();
});

for (const transport of ["websocket", "polling"]) {
	test(`binary streams over ${transport}`, async () => {
		const s = await start();
		const dir = temp(`streams-${transport}`);
		const z = zkRun(["events", "stream", "-w", "wf_1", "--save", dir, "--count", "2", "--transport", transport],
			{ server: s });
		await joined(s);
		const data = randomBytes(1500000);
		const e = emit(s, ["stream", "-w", "wf_1", "--node", "n1", "--port", "out", "--content-type", "image/png",
			"--stream-id", "42", "--transport", transport], data);
		await finished(e, 0, "1.5 MB are sent");
		equal(runtime(s).map((x) => [x.type, x.streamId, x.port, x.contentType ?? x.totalBytes]),
			[["stream.opened", 42, "out", "image/png"], ["stream.closed", 42, "out", 1500000]], "opened and closed");
		const frames = s.sent("stream.frame").map((x) => x.args[0]);
		ok(frames.every((b) => Buffer.isBuffer(b) && b.length <= 524288 + 9), "in frames of up to 512 KiB");
		equal([frames[0][0], frames.at(-1)[0], JSON.parse(frames[0].subarray(9)).contentType], [1, 3, "image/png"],
			"begin and end");
		const b = Buffer.alloc(9);
		b[0] = 1;
		b[1] = 7;
		const bad = Buffer.concat([Buffer.from([4, 7, 0, 0, 0, 0, 0, 0, 0]), Buffer.from("boom")]);
		s.emit("wf_1", "stream.frame", b);
		s.emit("wf_1", "stream.frame", Buffer.from([9]));
		s.emit("wf_1", "stream.frame", bad);
		await finished(z, 3, "one of two streams failed");
		equal(z.rows.map((r) => [r.streamId, r.status, r.bytes, r.error]), [[42, "complete", 1500000, undefined],
			[7, "failed", 0, "boom"]], "a row per stream");
		ok(readFileSync(`${dir}/42.bin`).equals(data), "the bytes are the same");
		equal(JSON.parse(readFileSync(`${dir}/42.json`)).nodeId, "n1", "what is known about it");
		await s.stop();
	});
}

// Servers that speak plain JSON messages.
test("the raw dialect", async () => {
	const got = [];
	const wss = new WebSocketServer({ port: 0, host: "127.0.0.1", path: "/ws/zip" });
	let peer;
	wss.on("connection", (ws) => {
		peer = ws;
		ws.on("message", (m, binary) => got.push(binary ? [...m] : JSON.parse(m)));
	});
	await new Promise((done) => wss.on("listening", done));
	const server = { url: `http://127.0.0.1:${wss.address().port}` };
	const z = zkRun(["events", "tail", "-w", "wf_1,wf_2", "--transport", "raw", "--ws-path", "/ws/zip"], { server,
		env: { ZK_ZEAL_TOKEN: "s3cret-token-value" } });
	await waitFor("the subscriptions", () => got.length >= 3);
	equal(got, [{ type: "auth", token: "s3cret-token-value" }, { type: "subscribe", workflowId: "wf_1" },
		{ type: "subscribe", workflowId: "wf_2" }], "auth and subscriptions");
	peer.send('{"type":"node.completed","id":"e1","big":9007199254740993}');
	peer.send("nonsense");
	peer.send('{"type":"ping","timestamp":1}');
	peer.send('{"type":"node.failed","id":"e2"}');
	await z.lines(2);
	equal(z.out.split("\n")[0], '{"type":"node.completed","id":"e1","big":9007199254740993}', "byte for byte");
	await waitFor("a pong", () => got.some((m) => m.type === "pong"));
	ok(true, "pings are answered");
	await gone(z);
	got.splice(0);
	const e = emit(server, ["emit", "-w", "wf_1", "node.executing", "--node", "n1", "--transport", "raw", "--ws-path",
		"/ws/zip"]);
	await finished(e, 0, "emit");
	ok(got.some((m) => m.type === "node.executing" && m.nodeId === "n1"), "sends the event as it is", JSON.stringify(got));
	wss.close();
	wss.clients.forEach((c) => c.terminate());
});

test("the table needs a terminal", async () => {
	const s = await start();
	await finished(tail(s, "wf_1", "--ui"), 64, "and says so");
	const z = zkRun(["-qec", `${zk} events tail -w wf_1 --ui`, "/dev/null"], { server: s, program: "script",
		env: { TERM: "xterm", LC_ALL: "C.UTF-8", COLUMNS: "100" } });
	await joined(s);
	s.event("wf_1", { nodeId: "n1", type: "node.executing" });
	s.event("wf_1", { nodeId: "n1", duration: 17 });
	s.event("wf_1", { nodeId: "n2", type: "node.failed", error: { message: "no \u001b[31m disk" } });
	s.emit("wf_1", "visual.state.update", { type: "visual.state.update", elements: [{ id: "n3", elementType: "node",
		state: "running", progress: 40 }] });
	await waitFor("the nodes", () => /n3.*running.*40%/.test(z.out) && /failed/.test(z.out));
	ok(/n1.*completed.* 17 /.test(z.out), "a line per node", z.out);
	ok(z.out.includes("no \\x1b[31m disk"), "what comes from outside cannot steer the terminal");
	z.p.kill("SIGTERM");
	await z.end;
	await s.stop();
});

await run();
