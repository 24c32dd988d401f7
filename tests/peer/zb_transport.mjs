// The transport of gRPC streams (src/net/conn, h2, grpc) against HTTP/2 servers of Node and raw
// sockets: every byte arrives once and in order, and every way to end is understood
// (specs/zerobus.md §6, §23 "Transport").
//
// Steers build/tests/peer/grpc_client, which prints the hash of what it sent.
import { spawn, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

const driver = path.join(process.env.TEST_BUILD, 'tests/peer/grpc_client');
let count = 0;
let failed = 0;

function check(good, name, ...details) {
  count++;
  if (!good) failed++;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}`);
  if (!good) for (const d of details) console.log('# ' + JSON.stringify(d));
}

const equal = (got, want, name, ...more) => check(got === want, name, { got, want }, ...more);

function run(url, route, messages, bytes, ahead, { calls = 1, env = {} } = {}) {
  return new Promise((resolve) => {
    const clean = Object.fromEntries(Object.entries(process.env)
      .filter(([k]) => !/proxy$/i.test(k)));
    const p = spawn(driver, [url, route, messages, bytes, ahead, calls].map(String),
      { env: { ...clean, CA_FILE: ca ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    p.stdout.on('data', (d) => { out += d; });
    p.stderr.on('data', (d) => { err += d; });
    p.on('exit', (status) => {
      let json = {};
      try { json = JSON.parse(out); } catch { /* shown below */ }
      resolve({ status, err, ...json });
    });
  });
}

// ---- certificates -----------------------------------------------------------------------------

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'zbt'));
process.on('exit', () => fs.rmSync(dir, { recursive: true }));
let ca;

function makeCert(name) {
  const key = path.join(dir, name + '.key');
  const crt = path.join(dir, name + '.crt');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', crt, '-days', '2',
    '-subj', '/CN=' + name, '-addext', 'subjectAltName=DNS:' + name], { stdio: 'ignore' });
  return { key: fs.readFileSync(key), cert: fs.readFileSync(crt), crt };
}

// ---- servers ----------------------------------------------------------------------------------

const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});

const ack = Buffer.from([0, 0, 0, 0, 4, 0x12, 2, 8, 0]);

// A gRPC server that acknowledges each message. `how` says what it does otherwise.
function handle(stream, headers, how, seen) {
  const hash = createHash('sha256');
  const state = { bytes: 0, messages: 0, headers, hash: null };
  let head = Buffer.alloc(0);
  let left = 0;
  seen.push(state);
  stream.on('error', () => {});
  const take = (chunk) => {
    hash.update(chunk);
    state.bytes += chunk.length;
    for (let at = 0; at < chunk.length;) {
      if (!left) {
        const n = Math.min(5 - head.length, chunk.length - at);
        head = Buffer.concat([head, chunk.subarray(at, at + n)]);
        at += n;
        if (head.length < 5) return;
        left = head.readUInt32BE(1);
        head = Buffer.alloc(0);
      }
      const n = Math.min(left, chunk.length - at);
      left -= n;
      at += n;
      if (!left) {
        state.messages++;
        how.message?.(stream, state);
        if (how.acks !== false && !stream.destroyed) {
          if (how.bytewise) for (const b of ack) stream.write(Buffer.from([b]));
          else stream.write(ack);
        }
      }
    }
    how.data?.(stream, state);
  };
  if (how.open) {
    how.open(stream, state);
    if (stream.destroyed || stream.headersSent) return;
  }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' },
    { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(
    how.trailers ?? { 'grpc-status': '0', 'grpc-message': '' }));
  stream.on('end', () => {
    state.hash = hash.digest('hex');
    if (!stream.destroyed) stream.end();
  });
  if (how.slow) {
    // 4 KiB every 10 ms.
    const tick = setInterval(() => {
      const chunk = stream.read(4096) ?? stream.read();
      if (chunk) take(chunk);
      else if (stream.readableEnded || stream.destroyed) clearInterval(tick);
    }, 10);
  } else {
    stream.on('data', take);
  }
}

let lastSocket;

async function serve(how, settings, secure, fn) {
  const seen = [];
  const options = { settings, ...(secure ?? {}) };
  const server = secure ? http2.createSecureServer(options) : http2.createServer(options);
  const sessions = new Set();
  server.on('connection', (s) => { lastSocket = s; });
  server.on('session', (s) => {
    sessions.add(s);
    if (settings?.connectionWindow) s.setLocalWindowSize(settings.connectionWindow);
    s.on('error', () => {});
    s.on('close', () => sessions.delete(s));
  });
  server.on('stream', (stream, headers) => handle(stream, headers, how, seen));
  server.on('sessionError', () => {});
  const port = await listen(server);
  const url = secure ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  try {
    await fn(url, seen, sessions);
  } finally {
    for (const s of sessions) s.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function rawServer(onSocket, fn) {
  const server = net.createServer((s) => {
    s.on('error', () => {});
    onSocket(s);
  });
  const port = await listen(server);
  try {
    await fn(`http://127.0.0.1:${port}`, port);
  } finally {
    server.close();
  }
}

// ---- the same bytes come out ------------------------------------------------------------------

const good = makeCert('localhost');
const other = makeCert('other.example');
ca = good.crt;
const MB = 1 << 20;
const rounds = Number(process.env.TEST_ROUNDS ?? 2); // 200 for the long run

async function intact(name, how, settings, secure, messages, bytes, ahead, env) {
  await serve(how, settings, secure, async (url, seen) => {
    const r = await run(url, '/a.B/C', messages, bytes, ahead, { env });
    const s = seen[0] ?? {};
    check(r.status === 0 && r.code === 0 && r.acked === messages && r.sha256 === s.hash &&
      s.bytes === messages * (bytes + 5), name, r, { bytes: s.bytes, hash: s.hash });
  });
}

for (const secure of [undefined, { key: good.key, cert: good.cert }]) {
  const over = secure ? 'TLS' : 'plain';
  for (const window of [65535, MB, 16 * MB])
    for (const env of window === MB ? [{}] : [{}, { SNDBUF: '8192' }])
      await intact(`${over}: 10 MB messages, one at a time, window ${window}${env.SNDBUF
        ? ', SO_SNDBUF 8 KiB' : ''}`, {}, { initialWindowSize: window, connectionWindow: window },
      secure, rounds, env.SNDBUF && !process.env.TEST_ROUNDS ? 1e6 : 10e6, 1, env);
  await intact(`${over}: small messages, many in flight`, {}, {}, secure, 20000, 100, 1000);
  await intact(`${over}: a peer that reads 4 KiB every 10 ms`, { slow: true },
    { initialWindowSize: 65535 }, secure, 2, 200000, 1);
  await intact(`${over}: answers one byte at a time`, { bytewise: true }, {}, secure, 50, 1000, 5);
  await intact(`${over}: frames of 16 MiB are allowed`, {}, { maxFrameSize: 16777215 }, secure,
    rounds, 10e6, 2);
}

// ---- the head ---------------------------------------------------------------------------------

await serve({}, {}, undefined, async (url, seen) => {
  await run(url, '/databricks.zerobus.Zerobus/EphemeralStream', 1, 10, 1);
  const names = Object.keys(seen[0].headers).join(' ');
  equal(names, ':method :scheme :path :authority te content-type user-agent authorization x-test',
    'the head has exactly the fields of §5.2 in their order');
  equal(seen[0].headers.authorization, 'Bearer secret-token', 'the token is sent');
  equal(seen[0].headers[':authority'], new URL(url).host, 'the port stands in :authority');
});

// ---- ends -------------------------------------------------------------------------------------

const ends = [
  ['a status ends it', { message: (s) => s.end(), trailers: { 'grpc-status': '3',
    'grpc-message': 'caf%C3%A9 %0a' } }, { code: 3, from: 0, retryable: false,
    message: 'café \\n' }],
  ['a status in the head', { open: (s) => s.respond({ ':status': 200,
    'content-type': 'application/grpc', 'grpc-status': '14', 'grpc-message': 'later' },
  { endStream: true }) }, { code: 14, from: 0, retryable: true, message: 'later' }],
  ['a pushback', { open: (s) => s.respond({ ':status': 200, 'content-type': 'application/grpc',
    'grpc-status': '8', 'grpc-retry-pushback-ms': '1500' }, { endStream: true }) },
  { code: 8, pushback: 1500 }],
  ['no status', { open: (s) => s.respond({ ':status': 200, 'content-type': 'application/grpc' },
    { endStream: true }) }, { code: 2, from: 2 }],
  ['an unknown status', { message: (s) => s.end(), trailers: { 'grpc-status': '77' } },
    { code: 77, retryable: true }],
  ['no number', { message: (s) => s.end(), trailers: { 'grpc-status': 'x' } },
    { code: 2, retryable: true }],
];
for (const [status, code] of [[400, 13], [401, 16], [403, 7], [404, 12], [429, 14], [502, 14],
  [503, 14], [504, 14], [500, 2]])
  ends.push([`HTTP ${status} becomes ${code}`, { open: (s) => {
    s.respond({ ':status': status, 'content-type': 'text/html' });
    s.end('<html>proxy</html>');
  } }, { code, from: 1, http: status }]);
ends.push(['407 is the proxy', { open: (s) => s.respond({ ':status': 407 }, { endStream: true }) },
  { proxy_auth: true, retryable: false }]);
ends.push(['200 with HTML, never ended', { open: (s) => {
  s.respond({ ':status': 200, 'content-type': 'text/html' });
  s.write('<html>hello');
} }, { code: 2, from: 1, message: 'not a gRPC answer (HTTP 200): <html>hello' }]);
for (const [reset, code] of [[0, 13], [1, 13], [2, 13], [3, 13], [4, 13], [6, 13], [9, 13],
  [10, 13], [7, 14], [8, 1], [11, 8]])
  ends.push([`RST_STREAM ${reset} becomes ${code}`, { message: (s) => s.close(reset) },
    { code, from: 3, reset, unprocessed: reset === 7 }]);
for (const reset of [12, 13])
  ends.push([`RST_STREAM ${reset} is final`, { message: (s) => s.close(reset) },
    { from: 3, reset, retryable: false }]);
ends.push(['GOAWAY with a code', { message: (s) => s.session.goaway(2, s.id) },
  { code: 14, from: 4, reset: 2 }]);
ends.push(['GOAWAY 0 that has our stream ends nothing', { acks: true,
  message: (s, state) => state.messages === 2 && s.session.goaway(0, s.id) },
{ code: 0, goaways: 1, acked: 5 }]);
ends.push(['the connection is cut', { message: () => lastSocket.destroy() },
  { code: 14, from: 5, retryable: true }]);
ends.push(['a flag that is not 0', { open: (s) => {
  s.respond({ ':status': 200, 'content-type': 'application/grpc' });
  s.write(Buffer.from([1, 0, 0, 0, 0]));
} }, { from: 6, retryable: false }]);
ends.push(['a message that is too long', { open: (s) => {
  s.respond({ ':status': 200, 'content-type': 'application/grpc' });
  s.write(Buffer.from([0, 0, 1, 0, 1]));
} }, { from: 6, retryable: false }]);

for (const [name, how, want] of ends)
  await serve({ acks: false, ...how }, {}, undefined, async (url) => {
    const r = await run(url, '/a.B/C', 5, 100000, 5);
    for (const [k, v] of Object.entries(want))
      equal(r[k], v, `${name}: ${k}`, r);
  });

// Trailers while our half is blocked by a closed window: seen at once, not after an upload.
await serve({ acks: false, open: (s) => {
  s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '8' }));
  setTimeout(() => s.end(), 100);
} }, { initialWindowSize: 1000 }, undefined, async (url) => {
  const r = await run(url, '/a.B/C', 1, 5e6, 1);
  equal(r.code, 8, 'early trailers are seen while the upload is blocked', r);
  check(r.bytes <= 65535, 'and no more was taken than the window let through', r);
});

// ---- a window that stays closed ---------------------------------------------------------------

// The CPU of a process that waits for so long, less that of one that hardly waits.
const stall = Number(process.env.TEST_STALL_MS ?? 2000); // 10000 for the figure of §20
for (const secure of [undefined, { key: good.key, cert: good.cert }]) {
  const cpu = [];
  for (const ms of [50, stall])
    await serve({ acks: false, open: (s) => {
      s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }));
      setTimeout(() => s.end(), ms);
    } }, { initialWindowSize: 0 }, secure, async (url) => {
      const r = await run(url, '/a.B/C', 1, 1e6, 1);
      cpu.push(r.cpu_ms);
      equal(r.code, 0, `${secure ? 'TLS' : 'plain'}: a closed window is waited for, ${ms} ms`, r);
    });
  check(cpu[1] - cpu[0] < 50, `${stall} ms behind a closed window cost ${cpu[1] - cpu[0]} ms of CPU`,
    cpu);
}

// ---- what is no HTTP/2 ------------------------------------------------------------------------

const HTTP2 = 3020;
await rawServer((s) => s.end('HTTP/1.1 400 Bad Request\r\n\r\n'), async (url) => {
  const r = await run(url, '/a.B/C', 1, 10, 1);
  equal(r.error, HTTP2, 'a server of HTTP/1.1 is recognised', r);
  check(/HTTP\/1.1 400 Bad Request/.test(r.message), 'its words are shown', r);
});
await rawServer((s) => s.write('\x16\x03garbage and more garbage'), async (url) => {
  const r = await run(url, '/a.B/C', 1, 10, 1);
  check(r.error === HTTP2 || r.error === 3005, 'garbage is no HTTP/2', r);
});
await rawServer((s) => s.destroy(), async (url) => {
  const r = await run(url, '/a.B/C', 1, 10, 1);
  check(r.from === 5 && r.retryable, 'a connection that is closed at once may be tried again', r);
});
{
  const server = tls.createServer({ key: good.key, cert: good.cert }, (s) => s.on('error', () => {}));
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  const r = await run(`https://localhost:${port}`, '/a.B/C', 1, 10, 1);
  equal(r.error, HTTP2, 'TLS without ALPN h2 is refused', r);
  server.close();
}
await serve({}, {}, { key: other.key, cert: other.cert }, async (url) => {
  const r = await run(url, '/a.B/C', 1, 10, 1, { env: { CA_FILE: other.crt } });
  check(r.error === 3004 && !r.retryable, 'a certificate of another name is refused for good', r);
});
await serve({}, {}, { key: good.key, cert: good.cert }, async (url) => {
  const r = await run(url, '/a.B/C', 1, 10, 1, { env: { CA_FILE: other.crt } });
  check(r.error === 3004 && !r.retryable, 'so is one of an unknown authority', r);
});
{
  const r = await run('http://127.0.0.1:9', '/a.B/C', 1, 10, 1);
  check(r.from === 5 && r.retryable, 'a refused connection may be tried again', r);
}

// ---- signs of life ----------------------------------------------------------------------------

const frame = (type, stream, payload = Buffer.alloc(0)) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const SETTINGS = frame(4, 0);
const impatient = { QUIET_MS: '100', PING_MS: '200' };
{
  let got = Buffer.alloc(0);
  await rawServer((s) => {
    s.on('data', (d) => { got = Buffer.concat([got, d]); });
    s.write(SETTINGS);
  }, async (url) => {
    const r = await run(url, '/a.B/C', 1, 100, 1, { env: impatient });
    check(r.from === 5 && r.code === 14 && r.retryable && /PING/.test(r.message) &&
      got.includes(Buffer.from([0, 0, 8, 6, 0])), 'a PING that nobody answers: the connection is dead', r);
  });
}
await rawServer((s) => {
  s.write(SETTINGS);
  s.once('data', () => s.write(frame(7, 0, Buffer.alloc(8))));
}, async (url) => {
  const r = await run(url, '/a.B/C', 1, 100, 1);
  check(r.code === 14 && r.from === 4 && r.retryable && r.unprocessed,
    'GOAWAY 0 without our stream: lost, and certainly not processed', r);
});
{
  let pings = 0;
  await serve({ acks: false, open: (s) => {
    s.session.on('ping', () => {
      pings++;
      // A third one would come within 100 ms.
      if (pings === 2) setTimeout(() => s.end(), 1000);
    });
  } }, {}, undefined, async (url) => {
    const r = await run(url, '/a.B/C', 1, 100, 1, { env: { QUIET_MS: '100', PING_MS: '30000' } });
    check(r.code === 0 && pings === 2, 'two PINGs without DATA between them and no more', r, pings);
  });
  pings = 0;
  await serve({ open: (s) => {
    s.session.on('ping', () => { pings++; });
    s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }));
    setTimeout(() => s.end(), 500);
  } }, {}, undefined, async (url) => {
    const r = await run(url, '/a.B/C', 0, 100, 1, { env: impatient });
    check(r.code === 0 && pings === 0, 'none when nothing is waited for', r, pings);
  });
}

// ---- proxies ----------------------------------------------------------------------------------

async function proxy(auth, answer, fn) {
  const asked = [];
  const server = net.createServer((s) => {
    s.on('error', () => {});
    s.once('data', (d) => {
      const text = d.toString('latin1');
      asked.push(text);
      const [, host, port] = /^CONNECT (\S+):(\d+) /.exec(text) ?? [];
      if (answer || (auth && !text.includes('Basic ' + Buffer.from(auth).toString('base64')))) {
        s.end(answer ?? 'HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const up = net.connect(Number(port), host, () => {
        s.write('HTTP/1.1 200 OK\r\n\r\n');
        up.pipe(s);
        s.pipe(up);
      });
      up.on('error', () => s.destroy());
    });
  });
  const port = await listen(server);
  await fn(`127.0.0.1:${port}`, asked);
  server.close();
}

for (const secure of [undefined, { key: good.key, cert: good.cert }])
  await serve({}, {}, secure, async (url, seen) => {
    await proxy(undefined, undefined, async (at, asked) => {
      const r = await run(url, '/a.B/C', 3, 100000, 1, { env: { grpc_proxy: 'http://' + at } });
      check(r.code === 0 && r.sha256 === seen[0]?.hash && asked.length === 1,
        `${url.slice(0, 5)} goes through a proxy's tunnel`, r, asked);
    });
    await proxy('u:p', undefined, async (at) => {
      const r = await run(url, '/a.B/C', 1, 10, 1, { env: { GRPC_PROXY: `http://u:p@${at}` } });
      equal(r.code, 0, 'with user and password', r);
      const no = await run(url, '/a.B/C', 1, 10, 1, { env: { GRPC_PROXY: `http://${at}` } });
      check(no.error === 3010 && !no.retryable, '407 is final', no);
    });
    await proxy(undefined, 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', async (at) => {
      const r = await run(url, '/a.B/C', 1, 10, 1, { env: { all_proxy: `http://${at}` } });
      check(r.retryable, '503 of the proxy may be tried again', r);
    });
    const r = await run(url, '/a.B/C', 1, 10, 1,
      { env: { grpc_proxy: 'http://127.0.0.1:9', no_grpc_proxy: 'localhost, 127.0.0.1' } });
    equal(r.code, 0, 'exceptions are honoured', r);
  });

// ---- many calls -------------------------------------------------------------------------------

await serve({}, {}, undefined, async (url) => {
  const calls = Number(process.env.TEST_CALLS ?? 200); // 1000 for the long run
  const r = await run(url, '/a.B/C', 1, 100, 1, { calls });
  check(r.status === 0 && r.code === 0 && r.fds <= 1 && r.heap < 65536,
    `${calls} calls one after the other leave no descriptor and no memory`, r);
});

console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
