// A socket server that says what a Zeal server says, as fast as it can: for scripts/bench. Prints
// its port; ends with its stdin.
//
//   node events_flood.mjs [PING_MS]
//
// Workflows named flood-N get N events of about 230 bytes, as many as fit; rate-N gets N events a
// second; others get nothing but pings. {"stats": true} on stdin prints {"pongs", "sockets"}.
import http from "node:http";
import { createRequire } from "node:module";
import readline from "node:readline";

const { WebSocketServer } = createRequire(new URL("../peer/package.json", import.meta.url))("ws");
const pingMs = Number(process.argv[2] ?? 25000);
const BATCH = 500, DIGITS = 12;
const stats = { pongs: 0, sockets: 0 };

// One frame; the id has a fixed place and is counted up.
function frame() {
	const text = `42["zip.event",{"id":"evt_${"0".repeat(DIGITS)}_abcdefghi","type":"node.completed",`
		+ '"timestamp":"2026-01-01T00:00:00.001Z","workflowId":"wf_7c1d2e","graphId":"main","nodeId":"node_42",'
		+ '"outputConnections":["conn_1","conn_2"],"duration":17,"outputSize":2048}]';
	const body = Buffer.from(text);
	const head = Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
	return { bytes: Buffer.concat([head, body]), at: 4 + text.indexOf("evt_") + 4 };
}

function flood(socket, total) {
	const one = frame();
	let sent = 0;
	const buffers = [0, 1].map(() => Buffer.concat(Array(BATCH).fill(one.bytes)));
	const next = (b) => {
		const n = Math.min(BATCH, total - sent);
		if (n <= 0) return;
		for (let i = 0; i < n; i++) {
			let v = ++sent;
			for (let k = one.at + i * one.bytes.length + DIGITS - 1; v; k--) {
				b[k] = 48 + v % 10;
				v = (v - v % 10) / 10;
			}
		}
		socket.write(n === BATCH ? b : b.subarray(0, n * one.bytes.length), () => next(b));
	};
	buffers.forEach(next);
}

function trickle(ws, rate) {
	const one = frame();
	let n = 0;
	const timer = setInterval(() => {
		for (let i = 0; i < rate / 100; i++) {
			one.bytes.write(String(++n).padStart(DIGITS, "0"), one.at);
			ws._socket.write(Buffer.from(one.bytes));
		}
	}, 10);
	ws.on("close", () => clearInterval(timer));
}

const server = http.createServer((req, res) => res.writeHead(404).end());
const wss = new WebSocketServer({ server, perMessageDeflate: false });
wss.on("connection", (ws) => {
	stats.sockets++;
	ws.send(`0${JSON.stringify({ sid: Math.random().toString(36).slice(2), upgrades: [], pingInterval: pingMs,
		pingTimeout: 20000, maxPayload: 1000000 })}`);
	const pings = setInterval(() => ws.send("2"), pingMs);
	ws.on("close", () => {
		stats.sockets--;
		clearInterval(pings);
	});
	ws.on("error", () => {});
	ws.on("message", (m) => {
		const text = m.toString();
		if (text === "3") stats.pongs++;
		if (text.startsWith("40")) ws.send('40{"sid":"s"}');
		if (!text.startsWith('42["auth"')) return;
		const wf = JSON.parse(text.slice(2))[1].workflowId;
		ws.send(`42["auth.success",{"workflowId":"${wf}","message":"ok","timestamp":1}]`);
		const [what, n] = wf.split("-");
		if (what === "flood") setImmediate(() => flood(ws._socket, Number(n)));
		if (what === "rate") trickle(ws, Number(n));
	});
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", () => process.stdout.write(JSON.stringify(stats) + "\n"));
lines.on("close", () => process.exit(0));
