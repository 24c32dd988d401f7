// A stand-in for a Zeal server, written from the protocol on Fastify and zod, for tests.
//
//   node zeal.mjs [--profile as-built|ideal|path-blind|older] [--token T] [--port N]
//                 [--frozen] [--db-down] [--no-template-store] [--keep-alive MS]
//
// prints {"url", "ws_url"} and ends with its stdin. Beside the server's own endpoints, for the test:
//   GET  /__/state    everything that is stored
//   GET  /__/open     how many connections of clients are open, but those of the test
//   GET  /__/log      every request: {method, url, headers, body}     DELETE: forget them
//   POST /__/conf     change {dbDown, frozen, token, …}
//   POST /__/reset    as it was at the start
//   POST /__/faults   [{"on": "POST /orchestrator/nodes", "at": [2, 5] | "every": n | "times": n,
//                      "do": FAULT, …}]; "on" is the method and the path below /api/zip, `*` for
//                      any text; "at" counts the matching requests from 1
//
// FAULTs before anything is done:  status (status, headers, body, type), reset, hang
// after the request took effect:   status-after, reset-after, reset-in-answer, truncate (a good
//                                  head, half of the body, a clean end), garbage (200, no JSON)
// no failure at all:               drip (the answer byte by byte), slow (ms)
import fastify from "fastify";
import http from "node:http";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { Fail, newStore, routes } from "./zeal_routes.mjs";

const { values: args } = parseArgs({ options: {
	profile: { type: "string", default: "as-built" }, token: { type: "string" },
	port: { type: "string", default: "0" }, frozen: { type: "boolean" }, "db-down": { type: "boolean" },
	"no-template-store": { type: "boolean" }, "keep-alive": { type: "string", default: "5000" },
} });
const first = { profile: args.profile, token: args.token, frozen: args.frozen, dbDown: args["db-down"],
	noTemplateStore: args["no-template-store"] };
const conf = { ...first };
const store = newStore();
const log = [];
let faults = [];

const app = fastify({ keepAliveTimeout: Number(args["keep-alive"]), bodyLimit: 64 << 20,
	forceCloseConnections: true, routerOptions: undefined, maxParamLength: 4096 });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (req, body, done) => done(null, body));

const own = (req) => req.url.startsWith("/__/");
const matches = (pattern, text) => new RegExp("^" + pattern.split("*")
	.map((s) => s.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*") + "$").test(text);

function pick(req) {
	const name = `${req.method} ${req.url.split("?")[0].replace(/^\/api\/zip/, "")}`;
	for (const f of faults) {
		if (!matches(f.on, name)) continue;
		f.seen = (f.seen ?? 0) + 1;
		const hit = f.at ? f.at.includes(f.seen) : f.every ? f.seen % f.every === 0
			: f.seen <= (f.times ?? Infinity);
		if (hit) return f;
	}
	return null;
}

const clients = new Set();
app.addHook("onRequest", async (req, reply) => {
	const path = req.url.split("?")[0], socket = req.raw.socket;
	if (own(req)) return;
	if (!clients.has(socket)) {
		clients.add(socket);
		socket.once("close", () => clients.delete(socket));
	}
	if (path.includes("//") || (path.length > 1 && path.endsWith("/"))) {
		const clean = path.replace(/\/+/g, "/").replace(/\/$/, "");
		return reply.code(308).header("location", clean + req.url.slice(path.length)).send();
	}
});
app.addHook("preHandler", async (req, reply) => {
	if (own(req)) return;
	log.push({ method: req.method, url: req.url, headers: req.headers,
		body: req.body ? req.body.toString("utf8") : "", at: Date.now() });
	const f = (req.fault = pick(req));
	if (f?.do === "status") {
		reply.code(f.status).headers(f.headers ?? {}).type(f.type ?? "application/json");
		return reply.send(f.body ?? "");
	}
	if (f?.do === "reset") {
		req.raw.socket.resetAndDestroy();
		return reply.hijack();
	}
	if (f?.do === "hang") return reply.hijack();
	const open = req.method === "GET" && /\/(health|categories)$/.test(req.url);
	const has = req.headers.authorization?.replace(/^Bearer /, "") ?? req.headers["x-api-key"];
	if (conf.token && !open && has !== conf.token)
		throw new Fail(401, has ? "INVALID_TOKEN" : "AUTH_REQUIRED", "Authentication required");
});
app.addHook("onSend", async (req, reply, payload) => {
	const f = req.fault;
	if (!f || f.do === "status") return payload;
	if (f.do === "slow") await new Promise((done) => setTimeout(done, f.ms));
	if (f.do === "status-after") {
		reply.code(f.status ?? 500).headers(f.headers ?? {}).type(f.type ?? "application/json");
		return f.body ?? '{"error":{"code":"INTERNAL_ERROR","message":"failed after the effect"}}';
	}
	if (f.do === "garbage") return f.body ?? "<p>not what you expect</p>";
	if (f.do === "reset-after") {
		req.raw.socket.resetAndDestroy();
		return payload;
	}
	const text = String(payload ?? "");
	if (f.do === "truncate") return text.slice(0, text.length / 2);
	if (f.do === "drip") return Readable.from([...Buffer.from(text)].map((c) => Buffer.from([c])));
	if (f.do === "reset-in-answer") {
		const socket = req.raw.socket;
		return Readable.from((async function* half() {
			yield Buffer.from(text.slice(0, text.length / 2));
			await new Promise((done) => setTimeout(done, 20));
			socket.resetAndDestroy();
		})());
	}
	return payload;
});
app.setErrorHandler((e, req, reply) => {
	if (!(e instanceof Fail)) {
		if (!e.statusCode || e.statusCode >= 500) process.stderr.write(`zeal.mjs: ${e.stack}\n`);
		return reply.code(e.statusCode ?? 500)
			.send({ error: { code: "INTERNAL_ERROR", message: e.message } });
	}
	const error = { code: e.code, message: e.message };
	if (e.details !== undefined) error.details = e.details;
	if (e.status >= 500 || e.status === 401) error.traceId = `trace_${Date.now()}`;
	return reply.code(e.status).send({ error });
});
app.setNotFoundHandler((req, reply) => {
	const others = ["GET", "POST", "PUT", "PATCH", "DELETE"]
		.some((m) => m !== req.method && app.findRoute({ url: req.url.split("?")[0], method: m }));
	if (others) return reply.code(405).send();
	return reply.code(404).type("text/html; charset=utf-8")
		.send("<!DOCTYPE html><html><body>404</body></html>");
});

routes(app, conf, store);
const plain = (v) => JSON.parse(JSON.stringify(v, (k, x) => (x instanceof Map ? [...x.values()] : x)));
app.get("/__/state", () => plain(store));
app.get("/__/open", () => ({ connections: clients.size }));
app.get("/__/log", () => log);
app.delete("/__/log", () => ({ dropped: log.splice(0).length }));
app.post("/__/faults", (req) => ({ set: (faults = JSON.parse(req.body.toString())).length }));
app.post("/__/reset", () => {
	for (const name of Object.keys(conf)) delete conf[name];
	Object.assign(conf, first);
	Object.assign(store, newStore());
	faults = [];
	log.length = 0;
	sockets.clear();
	for (const socket of clients) socket.destroy();
	return { reset: true };
});
app.post("/__/conf", (req) => Object.assign(conf, JSON.parse(req.body.toString())));

// The socket server, as far as a health probe goes: Engine.IO 4 over long-polling.
const sockets = new Map();
const engine = http.createServer((req, res) => {
	const url = new URL(req.url, "http://x"), sid = url.searchParams.get("sid");
	const send = (text, status = 200) => {
		res.writeHead(status, { "content-type": "text/plain;charset=UTF-8" });
		res.end(text);
	};
	if (conf.socketDown || url.pathname !== "/zip/events/" || url.searchParams.get("EIO") !== "4"
		|| url.searchParams.get("transport") !== "polling")
		return send('{"code":0,"message":"Transport unknown"}', 400);
	if (!sid) {
		const fresh = Math.random().toString(36).slice(2);
		sockets.set(fresh, []);
		return send("0" + JSON.stringify({ sid: fresh, upgrades: ["websocket"], pingInterval: 25000,
			pingTimeout: 20000, maxPayload: 1000000 }));
	}
	if (!sockets.has(sid)) return send('{"code":1,"message":"Session ID unknown"}', 400);
	if (req.method === "POST") {
		let text = "";
		req.on("data", (d) => (text += d));
		return req.on("end", () => {
			if (text.startsWith("40")) sockets.get(sid).push(`40{"sid":"${sid}x"}`);
			if (text === "1") sockets.delete(sid);
			send("ok");
		});
	}
	const waiting = sockets.get(sid).splice(0);
	send(waiting.length ? waiting.join("\x1e") : "6");
});
await new Promise((done) => engine.listen(0, "127.0.0.1", done));
first.wsPort = conf.wsPort = engine.address().port;
await app.listen({ host: "127.0.0.1", port: Number(args.port) });
process.stdout.write(JSON.stringify({ url: `http://127.0.0.1:${app.server.address().port}`,
	ws_url: `http://127.0.0.1:${conf.wsPort}` }) + "\n");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
