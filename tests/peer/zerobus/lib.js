// A Zerobus service on @grpc/grpc-js with faults, its token endpoint, and a runner for zk. Part of
// the zb_*.mjs tests; not a test by itself.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const root = protobuf.loadSync(path.join(import.meta.dirname, 'service.proto'));
const Request = root.lookupType('databricks.zerobus.EphemeralStreamRequest');
const Response = root.lookupType('databricks.zerobus.EphemeralStreamResponse');

export const service = {
  EphemeralStream: {
    path: '/databricks.zerobus.Zerobus/EphemeralStream',
    requestStream: true,
    responseStream: true,
    requestSerialize: (m) => Buffer.from(Request.encode(m).finish()),
    requestDeserialize: (b) => Request.decode(b),
    responseSerialize: (m) => (Buffer.isBuffer(m) ? m : Buffer.from(Response.encode(m).finish())),
    responseDeserialize: (b) => Response.decode(b),
  },
};

export const created = (id) => Response.create({ createStreamResponse: { streamId: id } });
export const ack = (n) => Response.create(
  { ingestRecordResponse: { durabilityAckUpToOffset: n } });
export const closeSignal = (ms) => Response.create({ closeStreamSignal: ms === undefined ? {}
  : { duration: { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 } } });

const num = (v) => (typeof v === 'number' ? v : v.toNumber());

// `plan(stream)` is called for each stream and returns what it does:
//   refuse: [code, text]       status instead of create_stream_response
//   silent: true               no answer to create_stream
//   onCreate(call)             instead of the answer
//   onRequest(ctx)             before a request is stored; returns true when it dealt with it.
//                              ctx: {call, stream, offset, rows, ack(n), end(code, text), cut()}
//   ackEvery: n, ackDelay: ms, ackLimit: n     acknowledgements
//   keepUnacked: bool          rows of requests without an acknowledgement stay (default true)
export class Service {
  constructor(plan = () => ({})) {
    this.plan = plan;
    this.streams = [];   // what was seen of each
    this.rows = new Map(); // text or base64 of a row → how often it was stored
    this.violations = [];
    this.auth = null;    // a function of the token: code or undefined
    this.sockets = new Set();
  }

  async start(options = {}) {
    this.server = new grpc.Server({ 'grpc.max_receive_message_length': -1, ...options });
    this.server.addService(service, { EphemeralStream: (call) => this.stream(call) });
    const port = await new Promise((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(),
        (e, p) => (e ? reject(e) : resolve(p)));
    });
    this.url = `http://127.0.0.1:${port}`;
    return this;
  }

  stop() {
    this.server.forceShutdown();
  }

  violate(text) {
    if (this.violations.length < 20) this.violations.push(text);
  }

  store(rows) {
    for (const r of rows) this.rows.set(r, (this.rows.get(r) ?? 0) + 1);
  }

  stream(call) {
    const how = this.plan(this.streams.length) ?? {};
    const s = { index: this.streams.length, next: 0, rows: 0, acked: -1, requests: 0, table: null,
      token: call.metadata.get('authorization')[0], ended: false, pending: [] };
    this.streams.push(s);
    const end = (code, text) => {
      if (s.ended) return;
      s.ended = true;
      call.emit('error', { code, details: text });
    };
    // RST_STREAM, as after a lost connection.
    const cut = () => {
      s.ended = true;
      call.call?.stream?.close?.(2);
      call.emit('error', { code: 14, details: 'cut' });
    };
    const sendAck = (n) => {
      if (s.ended) return;
      s.acked = Math.max(s.acked, n);
      if (how.keepUnacked === false) {
        while (s.pending.length && s.pending[0].offset <= n) this.store(s.pending.shift().rows);
      }
      call.write(ack(n));
    };
    call.on('error', () => {});
    call.on('cancelled', () => { s.ended = true; });
    call.on('data', (m) => {
      if (s.ended) return;
      if (m.createStream) this.create(call, s, how, m.createStream, end);
      else this.ingest(call, s, how, m, { end, cut, sendAck });
    });
    call.on('end', () => {
      s.halfClosed = true;
      if (!s.ended) {
        s.ended = true;
        call.end();
      }
    });
  }

  create(call, s, how, m, end) {
    if (s.table) this.violate('create twice');
    s.table = m.tableName;
    s.type = m.recordType;
    s.descriptor = m.descriptorProto;
    if (call.metadata.get('x-databricks-zerobus-table-name')[0] !== m.tableName)
      this.violate('header and message name different tables');
    const refused = this.auth?.(s.token);
    if (refused) {
      end(refused, 'token');
      return;
    }
    if (how.onCreate) {
      how.onCreate(call, s, end);
      return;
    }
    if (how.refuse) end(...how.refuse);
    else if (!how.silent) call.write(created(`stream-${s.index}`));
  }

  ingest(call, s, how, m, { end, cut, sendAck }) {
    const single = m.ingestRecord;
    const batch = m.ingestRecordBatch;
    const offset = num((single ?? batch).offsetId);
    let rows;
    if (single)
      rows = [single.jsonRecord ?? Buffer.from(single.protoEncodedRecord).toString('base64')];
    else if (batch.jsonBatch) rows = batch.jsonBatch.records;
    else rows = batch.protoEncodedBatch.records.map((r) => Buffer.from(r).toString('base64'));
    if (!s.table) this.violate('ingest before create');
    if (offset !== s.next) this.violate(`offset ${offset} instead of ${s.next}`);
    if (!rows.length) this.violate('an empty batch');
    s.next = offset + 1;
    s.requests++;
    s.largest = Math.max(s.largest ?? 0, rows.length);
    const ctx = { call, stream: s, offset, rows, end: (c, t) => end(c, t), cut, ack: sendAck };
    if (how.onRequest?.(ctx)) return;
    s.rows += rows.length;
    if (how.keepUnacked === false) s.pending.push({ offset, rows });
    else this.store(rows);
    if (how.ackLimit !== undefined && offset > how.ackLimit) return;
    if ((offset + 1) % (how.ackEvery ?? 1) === 0) {
      if (how.ackDelay) setTimeout(() => sendAck(offset), how.ackDelay);
      else sendAck(offset);
    }
  }

  stored() {
    let sum = 0;
    for (const n of this.rows.values()) sum += n;
    return { distinct: this.rows.size, total: sum };
  }
}

// The token endpoint; `answer(n, form, headers)` gives [status, object or text, headers].
export class Tokens {
  constructor(answer) {
    this.asked = [];
    this.answer = answer ?? ((n) => [200, { access_token: `token-${n}`, expires_in: 3600 }]);
  }

  async start() {
    this.server = http.createServer((req, res) => {
      let body = '';
      req.on('data', (d) => { body += d; });
      req.on('end', () => {
        const form = Object.fromEntries(new URLSearchParams(body));
        this.asked.push({ path: req.url, form, authorization: req.headers.authorization });
        const [status, answer, headers] = this.answer(this.asked.length, form);
        res.writeHead(status, { 'content-type': 'application/json', ...headers });
        res.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
      });
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

// ---- zk ---------------------------------------------------------------------------------------

export const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'zbs'));
process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
let homes = 0;

export function write(name, text) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, text);
  return file;
}

// Starts zk; `done` resolves to {status, signal, out, err}.
export function start(args, { input, env = {}, home } = {}) {
  const state = home ?? path.join(dir, `home${homes++}`);
  fs.mkdirSync(state, { recursive: true });
  const p = spawn(process.env.ZK, args, { stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: state, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
      UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '', LSAN_OPTIONS: process.env.LSAN_OPTIONS ?? '',
      ...env } });
  let out = '';
  let err = '';
  p.stdout.on('data', (d) => { out += d; });
  p.stderr.on('data', (d) => { err += d; });
  p.stdin.on('error', () => {});
  if (input !== undefined) p.stdin.end(input);
  const done = new Promise((resolve) => {
    p.on('close', (status, signal) => resolve({ status, signal, out, err, home: state,
      ...sums(err) }));
  });
  return { p, done, home: state, err: () => err };
}

export function sums(err) {
  const m = /read ([\d,]+) = acked ([\d,]+) \+ rejected ([\d,]+) \+ spooled ([\d,]+) \+ skipped ([\d,]+)/
    .exec(err);
  if (!m) return {};
  const [read, acked, rejected, spooled, skipped] = m.slice(1).map((t) => Number(t.replaceAll(',', '')));
  return { read, acked, rejected, spooled, skipped };
}

export const run = (args, options) => start(args, options).done;

export const TABLE = 'main.default.air_quality';

// `zk zerobus send` without a token endpoint.
export const sendArgs = (svc, ...more) => ['zerobus', 'send', '-t', TABLE, '--endpoint', svc.url,
  '--auth', 'none', '-v', '--progress', 'none', '--retry-base', '10ms', '--retry-cap', '50ms',
  ...more];

export const lines = (n, from = 0) => Array.from({ length: n },
  (_, i) => `{"n":${from + i},"text":"row ${from + i}"}\n`).join('');

// ---- TAP --------------------------------------------------------------------------------------

let count = 0;
let failed = 0;

export function check(good, name, ...details) {
  count++;
  if (!good) failed++;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}`);
  if (!good) {
    for (const d of details)
      for (const l of (typeof d === 'string' ? d : JSON.stringify(d, null, 1)).split('\n'))
        console.log('# ' + l.slice(0, 400));
  }
  return good;
}

export const equal = (got, want, name, ...more) => check(Object.is(got, want), name,
  { got, want }, ...more);

export function finish() {
  console.log(`1..${count}`);
  process.exit(failed ? 1 : 0);
}
