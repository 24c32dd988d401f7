// A Jetstream host of the first wire that is never the limit: each connection gets the events of a
// file as text frames, made before, at full speed or at a rate. One line of stdin ends it.
//   node jetstream_host.mjs EVENTS.ndjson COUNT [EVENTS-PER-SECOND]     prints its port
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";

const [file, count, rate] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4] ?? 0)];

function frame(text) {
  const n = text.length, head = n < 126 ? Buffer.from([0x81, n])
    : n < 65536 ? Buffer.from([0x81, 126, n >> 8, n & 255]) : Buffer.alloc(10);
  if (n >= 65536) { head[0] = 0x81; head[1] = 127; head.writeBigUInt64BE(BigInt(n), 2); }
  return Buffer.concat([head, text]);
}

const frames = [];
const bytes = readFileSync(file);
for (let at = 0; frames.length < count && at < bytes.length;) {
  const end = bytes.indexOf(10, at);
  frames.push(frame(bytes.subarray(at, end)));
  at = end + 1;
}
// Pieces of 64 frames, so that few writes carry many events.
const pieces = [];
for (let i = 0; i < frames.length; i += 64) pieces.push(Buffer.concat(frames.slice(i, i + 64)));

function flood(sock) {
  let i = 0;
  const go = () => {
    while (i < pieces.length) if (!sock.write(pieces[i++])) return sock.once("drain", go);
    sock.write(Buffer.from([0x89, 0])); // a ping: nothing follows
  };
  go();
}

// As many as are due, each 2 ms.
function pace(sock) {
  const start = performance.now();
  let i = 0;
  const t = setInterval(() => {
    const due = Math.min(frames.length, Math.floor((performance.now() - start) * rate / 1000));
    if (i < due) sock.write(Buffer.concat(frames.slice(i, due)));
    i = Math.max(i, due);
    if (i === frames.length || sock.destroyed) clearInterval(t);
  }, 2);
}

const server = http.createServer((req, res) => { res.writeHead(404); res.end(); });
server.on("upgrade", (req, sock) => {
  const accept = createHash("sha1").update(req.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  sock.on("error", () => {});
  sock.resume(); // what a client says is not looked at
  sock.setNoDelay(true);
  sock.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  rate ? pace(sock) : flood(sock);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.once("data", () => process.exit(0)).on("end", () => process.exit(0));
