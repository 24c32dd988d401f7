// The socket server of a Zeal server, for tests: the real socket.io from npm with the events of
// specs/zeal-zip.md §7 on it. As a module:
//
//   const s = await start({ port, pingInterval, pingTimeout, workflows: ["wf_1"], graphs: { wf_1: [...] }, deaf, refuse })
//   s.url, s.log (what clients sent), s.emit(wf, name, ...args), s.graph(wf, graphs), s.stop()
//
// deaf: frames of 32 bytes and more on WebSockets are not heard [T 17]; refuse: WebSockets are
// answered with 403 as long as this is true; forbid: everything is. As a program it prints {"ws_url"} and ends with its
// stdin; lines there are ["NAME", ARGS...] for s.
import http from "node:http";
import readline from "node:readline";
import { Server } from "socket.io";

const TYPES = ["node.executing", "node.completed", "node.failed", "node.warning", "execution.started",
	"execution.completed", "execution.failed", "connection.state", "workflow.published",
	"workflow.unpublished", "stream.opened", "stream.closed", "stream.error"];
// What is taken from `data`, and, for streams, from the root.
const TAKEN = {
	"node.executing": ["inputConnections"], "node.completed": ["outputConnections", "duration", "outputSize"],
	"node.failed": ["outputConnections", "error"], "execution.started": ["sessionId", "workflowName"],
	"execution.completed": ["sessionId", "duration", "nodesExecuted", "summary"],
	"execution.failed": ["sessionId", "duration", "error"],
};
const ROOT = { "stream.opened": ["port", "streamId", "contentType", "sizeHint"],
	"stream.closed": ["port", "streamId", "totalBytes"], "stream.error": ["port", "streamId", "error"] };
const STATES = ["idle", "pending", "running", "success", "error", "warning"];
const FRAMES = ["", "begin", "data", "end", "error"];
const rand = () => Math.random().toString(36).slice(2, 11).padEnd(9, "0");
const id = () => `evt_${Date.now()}_${rand()}`;

const issue = (path, message) => ({ code: "VALIDATION_ERROR", message: "Invalid event",
	details: [{ code: "invalid_type", path, message }] });

function checkRuntime(e) {
	if (!e || typeof e !== "object") return issue([], "expected object");
	if (!TYPES.includes(e.type)) return issue(["type"], "invalid enum value");
	if (typeof e.workflowId !== "string") return issue(["workflowId"], "expected string");
	if (typeof e.timestamp !== "string" || Number.isNaN(Date.parse(e.timestamp)))
		return issue(["timestamp"], "expected an ISO string");
	if (e.error !== undefined && typeof e.error !== "string") return issue(["error"], "expected string");
	return null;
}

function typed(e) {
	const out = { id: id(), type: e.type, timestamp: new Date().toISOString(), workflowId: e.workflowId,
		graphId: e.graphId ?? "main" };
	if (e.nodeId !== undefined) out.nodeId = e.nodeId;
	for (const k of TAKEN[e.type] ?? []) if (e.data?.[k] !== undefined) out[k] = e.data[k];
	for (const k of ROOT[e.type] ?? []) if (e[k] !== undefined) out[k] = e[k];
	if (e.metadata !== undefined) out.metadata = e.metadata;
	return out;
}

export async function start(opt = {}) {
	const conf = { deaf: false, refuse: false, silent: false, mute: false, ...opt };
	const log = [], graphs = new Map(Object.entries(opt.graphs ?? {})), known = opt.workflows ? new Set(opt.workflows) : null;
	const server = http.createServer((req, res) => {
		res.writeHead(404, { "content-type": "text/html" });
		res.end("<!DOCTYPE html><html><body>404</body></html>");
	});
	const io = new Server(server, { path: "/zip/events/", pingInterval: opt.pingInterval ?? 25000,
		pingTimeout: opt.pingTimeout ?? 20000, maxHttpBufferSize: 1000000, transports: ["polling", "websocket"],
		allowRequest: (req, done) => {
			log.push({ name: "handshake", url: req.url, headers: req.headers });
			const no = conf.forbid || (conf.refuse && req.url.includes("transport=websocket"));
			done(no ? "no" : null, !no);
		} });
	io.engine.on("connection", (raw) => {
		const ws = raw.transport.name === "websocket" && raw.transport.socket;
		if (!ws || !conf.deaf) return;
		const emit = ws.emit;
		let gone = false;
		ws.emit = function hear(name, data, ...rest) {
			if (name === "message" && (gone ||= data.length >= 32)) return true;
			return emit.call(this, name, data, ...rest);
		};
	});
	const state = (wf) => ({ id: "0", timestamp: new Date().toISOString(), type: "workflow.updated", workflowId: wf,
		graphId: "main", data: { version: 1, graphs: graphs.get(wf) ?? [{ id: "main", name: "Main", isMain: true,
			namespace: "main", nodes: [], connections: [], groups: [] }], metadata: null },
		metadata: { namespace: "default" } });

	io.on("connection", (socket) => {
		let joined = null;
		log.push({ name: "connect", auth: socket.handshake.auth, transport: socket.conn.transport.name });
		socket.conn.on("upgrade", (t) => log.push({ name: "upgrade", transport: t.name }));
		socket.onAny((name, ...args) => log.push({ name, args }));
		socket.on("disconnect", (reason) => log.push({ name: "disconnect", reason }));
		socket.on("auth", (m) => {
			if (conf.silent) return;
			if (m?.type !== "auth" || typeof m.workflowId !== "string") {
				socket.emit("error", { code: "AUTH_ERROR", message: "Invalid auth", details: [{ path: ["workflowId"] }] });
				return;
			}
			if (known && !known.has(m.workflowId)) {
				socket.emit("error", { code: "WORKFLOW_NOT_FOUND", message: `Workflow ${m.workflowId} not found` });
				return;
			}
			joined = m.workflowId;
			socket.join(m.workflowId);
			socket.emit("workflow.state", state(m.workflowId));
			socket.emit("auth.success", { workflowId: m.workflowId, message: "Successfully authenticated",
				timestamp: Date.now() });
		});
		const own = (name, fn) => socket.on(name, (m, ...more) => {
			if (!joined) socket.emit("error", { code: "NOT_AUTHENTICATED", message: "Not authenticated" });
			else if (!conf.mute) fn(m, ...more);
		});
		own("runtime.event", (e) => {
			const bad = checkRuntime(e);
			if (bad) return socket.emit("error", bad);
			if (TAKEN[e.type] || ROOT[e.type]) io.to(e.workflowId).emit("zip.event", typed(e));
			return socket.emit("event.acknowledged", { type: e.type, timestamp: Date.now() });
		});
		own("visual.state.update", (u) => {
			const bad = u?.type !== "visual.state.update" || !Array.isArray(u.elements)
				|| u.elements.some((x) => !STATES.includes(x.state));
			if (bad) return socket.emit("error", issue(["elements"], "invalid"));
			io.to(joined).emit("visual.state.update", u);
			return socket.emit("update.acknowledged", { type: u.type, timestamp: Date.now() });
		});
		own("stream.frame", (b) => {
			io.to(joined).emit("stream.frame", b);
			const parsed = { streamId: Number(b.readBigUInt64LE(1)), type: FRAMES[b[0]], payloadSize: b.length - 9 };
			io.to(joined).emit("stream.frame.parsed", parsed);
		});
	});
	await new Promise((done) => server.listen(opt.port ?? 0, "127.0.0.1", done));
	const port = server.address().port;
	return { io, conf, log, port, url: `http://127.0.0.1:${port}`, known, id,
		sent: (name) => log.filter((e) => e.name === name),
		clear: () => log.splice(0),
		emit: (wf, name, ...args) => io.to(wf).emit(name, ...args),
		event: (wf, more) => io.to(wf).emit("zip.event", { id: id(), type: "node.completed",
			timestamp: new Date().toISOString(), workflowId: wf, graphId: "main", ...more }),
		graph(wf, g) {
			graphs.set(wf, g);
			io.to(wf).emit("workflow.state", state(wf));
		},
		drop: () => io.engine.clients && Object.values(io.engine.clients).forEach((c) => {
			(c.transport.socket?._socket ?? c.request.socket).destroy();
		}),
		stop: () => new Promise((done) => {
			io.close(done);
			server.closeAllConnections();
		}) };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
	const s = await start(JSON.parse(process.argv[2] ?? "{}"));
	process.stdout.write(JSON.stringify({ ws_url: s.url }) + "\n");
	const lines = readline.createInterface({ input: process.stdin });
	lines.on("line", (text) => {
		const [name, ...args] = JSON.parse(text);
		if (name === "conf") Object.assign(s.conf, args[0]);
		else if (name === "know") s.known.add(args[0]);
		else s[name](...args);
	});
	lines.on("close", () => process.exit(0));
}
