// What `zk zerobus` writes to and reads from files: debug files (specs/zerobus.md §16, numbers 22 to
// 26 of §23), rejects and spools that are replayed (§14.5), tables and profiles, full disks; the
// stand-in over TLS; and telemetry (§17).
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { tableFromIPC, RecordBatchReader } from 'apache-arrow';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import * as z from './zerobus/lib.js';
import { check, equal } from './zerobus/lib.js';

const arrow = path.join(import.meta.dirname, '../data/arrow');
const fixture = (name) => path.join(arrow, name);
const read = (...parts) => fs.readFileSync(path.join(...parts));
const jsonLines = (text) => text.toString().split('\n').filter(Boolean).map((t) => JSON.parse(t));

async function withService(plan, fn) {
  const svc = await new z.Service(plan).start();
  try {
    await fn(svc);
  } finally {
    svc.stop();
  }
}

// The payloads of a .binpb, each behind its length.
function payloads(bytes) {
  const reader = protobuf.Reader.create(bytes);
  const list = [];
  while (reader.pos < reader.len) list.push(Buffer.from(reader.bytes()));
  return list;
}

function messageOf(pb, name) {
  const root = protobuf.Root.fromDescriptor(descriptor.FileDescriptorSet.decode(pb));
  root.resolveAll();
  return root.lookupType(name);
}

// ---- 23, 24: what the files hold --------------------------------------------------------------

await withService((i) => (i < 2 ? { ackLimit: 1,
  onRequest: (c) => c.offset === 3 && (c.cut(), true) } : {}), async (svc) => {
  const dir = path.join(z.dir, 'd23');
  const r = await z.run(z.sendArgs(svc, fixture('big.arrows'), '--batch-rows', '100',
    '--debug-dir', dir, '--debug-arrow', '--debug-proto'));
  check(r.status === 0 && r.acked === 10000 && svc.streams.length >= 3, 'rows with debug files', r);
  const rows = payloads(read(dir, 'zerobus/proto', `${z.TABLE}.binpb`));
  equal(rows.length, 10000, '23: each row stands there once although the stream was cut twice');
  const Row = messageOf(read(dir, 'zerobus/proto', `${z.TABLE}.pb`), 'air_quality');
  const original = tableFromIPC(read(fixture('big.arrows')));
  const got = rows.map((b) => Row.toObject(Row.decode(b), { longs: String }));
  check(got.every((o, i) => o.id === String(original.get(i).id) && o.user === original.get(i).user),
    '23: and its .pb decodes it', got[0], String(original.get(0)));
  const distinct = new Set(rows.map((b) => b.toString('base64')));
  check([...svc.rows.keys()].every((k) => distinct.has(k)), '23: they are the bytes that were sent');
  const table = tableFromIPC(read(dir, 'zerobus/arrow', `${z.TABLE}.arrows`));
  check(table.numRows === 10000 && table.schema.toString() === original.schema.toString(),
    '24: the Arrow file opens with another reader', table.numRows);
  equal(fs.statSync(path.join(dir, 'zerobus')).mode & 0o777, 0o700, 'the folder is private');
  equal(fs.statSync(path.join(dir, 'zerobus/proto', `${z.TABLE}.pb`)).mode & 0o777, 0o600,
    'and so are the files');
});

for (const name of ['dictionary.arrow', 'dictionary_delta.arrows', 'dictionary_replace.arrows',
  'multi_batch.arrow', 'multi_batch_std.arrow', 'big.arrows']) {
  const dir = path.join(z.dir, `d-${name}`);
  const r = await z.run(['zerobus', 'send', '--dry-run', '-t', z.TABLE, fixture(name),
    '--debug-dir', dir, '--debug-arrow', '--debug-max-file', '1KiB', '--debug-keep', '0']);
  const files = fs.readdirSync(path.join(dir, 'zerobus/arrow')).sort();
  const rows = files.flatMap((f) => tableFromIPC(read(dir, 'zerobus/arrow', f)).toArray()
    .map((x) => JSON.stringify(x, (k, v) => (typeof v === 'bigint' ? String(v) : v))));
  const want = tableFromIPC(read(fixture(name))).toArray()
    .map((x) => JSON.stringify(x, (k, v) => (typeof v === 'bigint' ? String(v) : v)));
  // The active file has no stamp and sorts behind those that have one.
  check(r.status === 0 && rows.length === want.length && rows.every((t, i) => t === want[i]),
    `24: ${name}, rotated: each file stands for itself`, r, files, rows[0], want[0]);
}

await withService(() => ({ ackLimit: -1 }), async (svc) => {
  const dir = path.join(z.dir, 'd24');
  const run = z.start(z.sendArgs(svc, '-', '--from', 'arrow', '--debug-dir', dir, '--debug-arrow',
    '--debug-proto', '--debug-flush', '100ms'));
  const bytes = read(fixture('multi_batch.arrow').replace('.arrow', '_std.arrow'));
  const stream = execFileSync('node', ['-e', `
    import('apache-arrow').then(({ tableFromIPC, tableToIPC }) =>
      process.stdout.write(tableToIPC(tableFromIPC(require('fs').readFileSync(0)), 'stream')))`],
  { input: bytes, cwd: import.meta.dirname });
  run.p.stdin.write(stream.subarray(0, stream.length - 8));
  const file = path.join(dir, 'zerobus/arrow', `${z.TABLE}.arrows`);
  const size = () => (fs.existsSync(file) ? fs.statSync(file).size : 0);
  while (size() < stream.length - 8) await new Promise((resolve) => { setTimeout(resolve, 20); });
  run.p.kill('SIGKILL');
  await run.done;
  let rows = 0;
  for (const batch of RecordBatchReader.from(read(file))) rows += batch.numRows;
  equal(rows, tableFromIPC(bytes).numRows, '24: after kill -9 every complete batch is there, idle flush');
});

await withService(undefined, async (svc) => {
  const dir = path.join(z.dir, 'dj');
  const r = await z.run(z.sendArgs(svc, '--debug-dir', dir, '--debug-proto', '--debug-arrow'),
    { input: z.lines(10) });
  equal(read(dir, 'zerobus/json', `${z.TABLE}.ndjson`).toString(), z.lines(10),
    'JSON streams: the payloads as NDJSON', r);
  check(!fs.existsSync(path.join(dir, 'zerobus/arrow')) && /stdin is no Arrow input/.test(r.err),
    'and no Arrow file, with one note', r);
  await z.run(z.sendArgs(svc, '--debug-dir', dir, '--debug-proto'), { input: z.lines(1) });
  const names = fs.readdirSync(path.join(dir, 'zerobus/json')).sort();
  check(names.length === 2 && /^main\.default\.air_quality-\d{8}T\d{6}Z-001\.ndjson$/.test(names[0]),
    'the file of an earlier run is rotated away', names);
  const none = await z.run(z.sendArgs(svc, '--debug-proto'), { input: z.lines(1) });
  equal(none.status, 78, 'no folder: exit 78', none.err);
  const flush = await z.run(z.sendArgs(svc, '--debug-dir', dir, '--debug-flush', '1ms'),
    { input: z.lines(1) });
  check(flush.status !== 0, 'a flush interval below 100 ms is refused', flush.err);
});

// ---- 25: another schema -----------------------------------------------------------------------

await withService(undefined, async (svc) => {
  const dir = path.join(z.dir, 'd25');
  const r = await z.run(z.sendArgs(svc, fixture('multi_batch.arrow'), fixture('dictionary.arrow'),
    '--debug-dir', dir, '--debug-proto', '--debug-arrow'));
  check(r.status === 0 && svc.streams.length === 2 &&
    !Buffer.from(svc.streams[0].descriptor).equals(Buffer.from(svc.streams[1].descriptor)),
  '25: two files with different schemas: two streams, two descriptors', r, svc.streams.length);
  equal(fs.readdirSync(path.join(dir, 'zerobus/proto')).length, 4, '25: and two pairs of files');
  equal(fs.readdirSync(path.join(dir, 'zerobus/arrow')).length, 2, '25: and two Arrow files');
});

// Both are small enough to be kept when they are checked, but lines are read again instead.
await withService(undefined, async (svc) => {
  const r = await z.run(z.sendArgs(svc, z.write('kinds.ndjson', z.lines(10)),
    fixture('multi_batch.arrow')));
  const n = 10 + tableFromIPC(read(fixture('multi_batch.arrow'))).numRows;
  check(r.status === 0 && r.read === n && r.acked === n && svc.streams.length === 2,
    'files of two kinds: the rows of both', r);
});

// ---- full disks -------------------------------------------------------------------------------

await withService(undefined, async (svc) => {
  const dir = path.join(z.dir, 'dfull');
  fs.mkdirSync(path.join(dir, 'zerobus/json'), { recursive: true });
  fs.symlinkSync('/dev/full', path.join(dir, 'zerobus/json', `${z.TABLE}.ndjson`));
  const r = await z.run(z.sendArgs(svc, '--debug-dir', dir, '--debug-proto'), { input: z.lines(10) });
  check(r.status === 0 && r.acked === 10 && /ZK4160/.test(r.err) && /No space/.test(r.err),
    'a full disk for debug files: a warning, everything is delivered', r);
  const rej = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects', '/dev/full'),
    { input: z.lines(3) + 'nonsense\n' + z.lines(3, 3) });
  check(rej.status === 74 && rej.read === rej.acked + rej.rejected + rej.spooled + rej.skipped,
    'for rejects: exit 74, the sums match', rej);
  const rec = await z.run(z.sendArgs(svc, '--receipts', '/dev/full'), { input: z.lines(3) });
  check(rec.status === 74 && rec.read === 3, 'for receipts: exit 74', rec);
});
await withService(() => ({ refuse: [5, 'gone'] }), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--spool', '/dev/null/spool'), { input: z.lines(3) });
  const file = /goes to (\S+)/.exec(r.err)?.[1];
  check(r.status !== 0 && file && jsonLines(read(file)).filter((o) => o.type === 'row').length === 3,
    'no spool: what was not sent goes to a file in the state folder', r);
});

// ---- replay -----------------------------------------------------------------------------------

const poison = (bad) => () => ({ onRequest: (c) => c.rows.some((t) => bad.test(t)) &&
  (c.end(3, 'a row does not fit'), true) });

const bad = path.join(z.dir, 'bad.ndjson');
await withService(poison(/"n":[37],/), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects', bad),
    { input: z.lines(5) + '{"n":\n' + z.lines(5, 5) });
  check(r.status === 3 && r.rejected === 3, 'three rows are rejected', r);
});
const replay = (svc, ...more) => ['zerobus', 'replay', '--endpoint', svc.url, '--auth', 'none', '-v',
  '--progress', 'none', '--retry-base', '10ms', ...more];
await withService(undefined, async (svc) => {
  const only = await z.run(replay(svc, bad, '--only-code', 'ZK4120'));
  check(only.status === 0 && only.read === 2 && svc.rows.has('{"n":3,"text":"row 3"}') &&
    svc.streams[0].table === z.TABLE, 'replay --only-code: the payloads as they were, table of the file',
  only, [...svc.rows.keys()]);
  const same = await z.run(replay(svc, bad, '--on-error', 'skip', '--rejects', bad));
  equal(same.status, 64, 'the rejects file must be another one', same.err);
  const again = path.join(z.dir, 'again.ndjson');
  const all = await z.run(replay(svc, bad, '--on-error', 'skip', '--rejects', again));
  check(all.status === 3 && all.read === 3 && all.acked === 2 && all.rejected === 1 &&
    jsonLines(read(again)).at(-1).code === 'ZK4117', 'what is still wrong is rejected again', all);
  const before = read(bad).toString();
  const stop = await z.run(replay(svc, bad));
  check(stop.status === 65 && read(bad).toString() === before, '--on-error stop: nothing is sent',
    stop);
  const mended = z.write('mended.ndjson', before.replace(/"text":"\{\\"n\\":"/,
    '"values":{"n":99}'));
  const good = await z.run(replay(svc, mended, '-t', 'main.default.other'));
  check(good.status === 0 && good.acked === 3 && svc.rows.has('{"n":99}') &&
    svc.streams.at(-1).table === 'main.default.other', 'mended values go, to the table of -t', good,
  mended);
  const mixed = z.write('mixed.ndjson', read(mended) + read(mended).toString().replaceAll(z.TABLE, 'main.default.b'));
  const two = await z.run(replay(svc, mixed));
  check(two.status === 65 && /one table at a time/.test(two.err), 'rows of two tables need -t', two);
  const dry = await z.run(['zerobus', 'replay', '--dry-run', mended]);
  check(dry.status === 0 && /3 rows/.test(dry.err), 'replay --dry-run', dry);
});

// Values of Arrow rows are converted anew by the descriptor of the file; payloads of protobuf too.
await withService(undefined, async (svc) => {
  const rejects = path.join(z.dir, 'arrow-bad.ndjson');
  const r = await z.run(z.sendArgs(svc, fixture('row_errors.arrows'), '--on-error', 'skip',
    '--rejects', rejects));
  const rows = jsonLines(read(rejects));
  check(r.status === 3 && rows.length > 1 && rows[0].record_type === 'PROTO', 'rejected Arrow rows', r);
  const again = await z.run(replay(svc, rejects, '--on-error', 'skip', '--rejects',
    path.join(z.dir, 'arrow-again.ndjson')));
  check(again.read === rows.length - 1 && again.read === again.acked + again.rejected,
    'are converted again', again);
});
let home;
await withService((i) => (i === 0 ? { refuse: [5, 'gone'] } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, fixture('multi_batch.arrow')));
  home = r.home;
  check(r.status === 69 && r.spooled === 4, 'rows in the spool', r);
  const out = await z.run(['spool', 'export'], { home });
  const file = z.write('spool.ndjson', out.out);
  const back = await z.run(replay(svc, file));
  check(back.status === 0 && back.acked === 4 && svc.stored().total === 4 &&
    Buffer.from(svc.streams.at(-1).descriptor).length > 10, 'an exported spool is replayed', back);
});

// ---- tables and profiles ----------------------------------------------------------------------

const columns = [{ name: 'device_name', type_text: 'string', position: 0, nullable: false },
  { name: 'at', type_text: 'timestamp', position: 1, comment: 'when' },
  { name: 'where', type_text: 'geography', position: 2 }];
let asked = [];
const workspace = http.createServer((req, res) => {
  let body = '';
  req.on('data', (d) => { body += d; });
  req.on('end', () => {
    asked.push({ url: req.url, auth: req.headers.authorization, body });
    res.setHeader('content-type', 'application/json');
    if (req.url === '/oidc/v1/token') res.end(JSON.stringify({ access_token: 'tok', expires_in: 60 }));
    else if (req.url.endsWith('.t')) res.end(JSON.stringify({ columns }));
    else if (req.url.endsWith('.good')) res.end(JSON.stringify({ columns: columns.slice(0, 2) }));
    else { res.statusCode = 404; res.end('{}'); }
  });
});
await new Promise((resolve) => { workspace.listen(0, '127.0.0.1', resolve); });
const wsUrl = `http://127.0.0.1:${workspace.address().port}`;
const secret = z.write('client-secret', 's3cr:et-value\n');
fs.chmodSync(secret, 0o600);
const login = ['--workspace-url', wsUrl, '--client-id', 'client-1', '--client-secret-file', secret];

{
  const r = await z.run(['zerobus', 'table', '-t', 'main.default.t', '-o', 'json', ...login]);
  const rows = r.status === 0 ? JSON.parse(r.out) : [];
  const list = Array.isArray(rows) ? rows : rows.columns ?? [];
  check(r.status === 0 && list.length === 3 && list[0].label === 'required' &&
    list[1].field_type === 'int64' && list[1].remark === 'when' && /GEOGRAPHY|geography/.test(
    list[2].remark) && list[2].number === null, 'zerobus table', r);
  const form = new URLSearchParams(asked[0].body);
  check(!form.has('resource') && /"privileges":\["SELECT"\]/.test(form.get('authorization_details')),
    'with a token that may only read', asked[0]);
  equal(asked[1].url, '/api/2.1/unity-catalog/tables/main.default.t', 'the path of the table');
  const no = await z.run(['zerobus', 'table', '-t', 'main.default.t', '--exit-status', ...login]);
  equal(no.status, 1, 'zerobus table --exit-status: a column cannot be written', no.err);
  const missing = await z.run(['zerobus', 'table', '-t', 'main.default.x', ...login]);
  check(missing.status === 69 && /ZK4031/.test(missing.err), 'no such table: ZK4031', missing);
  const proto = await z.run(['zerobus', 'schema', '-t', 'main.default.good', ...login]);
  check(proto.status === 0 && /message good \{/.test(proto.out) &&
    /required string device_name = 1/.test(proto.out), 'zerobus schema -t: of the workspace', proto);
  const ddl = await z.run(['zerobus', 'schema', fixture('multi_batch.arrow'), '-t', 'a.b.c', '-o',
    'ddl']);
  check(ddl.status === 0 && /`a`\.`b`\.`c`/.test(ddl.out), 'with a FILE it is a name only', ddl);
}

{
  const cfg = z.write('databrickscfg', `[DEFAULT]\nhost = https://elsewhere.example\n\n[STAGE]\n` +
    `host = ${wsUrl}/\nclient_id = from-profile\nclient_secret = ${'x'.repeat(300)}\n`);
  const env = { DATABRICKS_CONFIG_FILE: cfg };
  asked = [];
  const r = await z.run(['zerobus', 'table', '-t', 'main.default.t', '--databricks-profile', 'STAGE'],
    { env });
  check(r.status === 0 && asked[0]?.auth === 'Basic ' +
    Buffer.from(`from-profile:${'x'.repeat(300)}`).toString('base64'),
  '--databricks-profile: the pair goes to its host', r, asked);
  const byEnv = await z.run(['zerobus', 'table', '-t', 'main.default.t'],
    { env: { ...env, DATABRICKS_CONFIG_PROFILE: 'STAGE' } });
  equal(byEnv.status, 0, 'DATABRICKS_CONFIG_PROFILE', byEnv.err);
  asked = [];
  const other = await z.run(['zerobus', 'table', '-t', 'main.default.t', '--databricks-profile',
    'DEFAULT', '--workspace-url', wsUrl], { env });
  check(other.status === 78 && /ZK1207/.test(other.err) && asked.length === 0,
    'to another host: ZK1207', other);
  const none = await z.run(['zerobus', 'table', '-t', 'main.default.t', '--databricks-profile', 'NO'],
    { env });
  equal(none.status, 78, 'a section that is missing: exit 78', none.err);
  const both = await z.run(['zerobus', 'table', '-t', 'main.default.t', '--databricks-profile',
    'STAGE', ...login], { env });
  equal(both.status, 78, 'two sources of credentials: exit 78', both.err);
}
// --schema auto: the table's columns when the workspace gives them, else those of the input.
await withService(undefined, async (svc) => {
  const to = (table, ...more) => ['zerobus', 'send', '-t', table, '--endpoint', svc.url,
    '--workspace-id', '1', '-v', '--progress', 'none', ...login, ...more];
  const r = await z.run(to('main.default.good'),
    { input: '{"device_name":"a","at":"2025-01-31T12:00:00Z"}\n' });
  check(r.status === 0 && svc.streams[0].type === 1 && svc.rows.size === 1,
    '--schema auto: NDJSON becomes protobuf by the table', r, svc.streams[0]);
  const wrong = await z.run(to('main.default.good'), { input: '{"device_nam":"a"}\n' });
  check(wrong.status === 65 && /ZK4102/.test(wrong.err) && svc.rows.size === 1,
    'and a wrong name is found before a row is sent', wrong);
  const none = await z.run(to('main.default.x', '-vv'), { input: '{"a":1}\n' });
  check(none.status === 0 && svc.streams.at(-1).type === 2 && /types are those of the input/.test(
    none.err), 'no such table: JSON records, and a line that says why', none);
  asked = [];
  const empty = await z.run(to('main.default.good'), { input: '' });
  check(empty.status === 0 && asked.length === 0, 'no rows: nobody is asked', empty, asked);
  const csv = await z.run(to('main.default.good', '--from', 'csv'),
    { input: 'device_name,at\nb,2025-01-31T12:00:00Z\n' });
  check(csv.status === 0 && csv.acked === 1, 'CSV takes the types of the table', csv);
});
workspace.close();

// ---- the stand-in over TLS --------------------------------------------------------------------

{
  const out = path.join(z.dir, 'fake');
  const cert = path.join(z.dir, 'cert.pem');
  fs.mkdirSync(out);
  const fake = z.start(['fake', 'zerobus', '--tls-cert', cert, '--tls-key', path.join(z.dir, 'key.pem'),
    '--out', out, '--ready-file', path.join(z.dir, 'ready.json')]);
  while (!fs.existsSync(path.join(z.dir, 'ready.json')))
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  const ready = JSON.parse(read(z.dir, 'ready.json'));
  const args = ['zerobus', 'send', '-t', z.TABLE, '--endpoint', ready.grpc, '--auth', 'none', '-v',
    '--progress', 'none', '--retry-base', '10ms'];
  const untrusted = await z.run([...args, fixture('multi_batch.arrow')]);
  check(untrusted.status === 76 && /ZK4023/.test(untrusted.err) && untrusted.spooled === 4,
    'a certificate that nobody knows: ZK4023, rows in the spool', untrusted);
  const r = await z.run([...args, '--ca-file', cert, fixture('multi_batch.arrow')]);
  check(/^https:/.test(ready.grpc) && r.status === 0 && r.acked === 4, 'the stand-in over TLS', r);
  const stats = await (await fetch(`${ready.http}/stats`)).json();
  check(stats.violations === 0 && stats.stored === 4, 'it decoded every row', stats);
  const rows = jsonLines(read(out, `${z.TABLE}.ndjson`));
  const want = jsonLines(read(fixture('multi_batch.ndjson')));
  check(rows.length === 4 && rows.every((o, i) => o.name === (want[i].name ?? undefined)),
    'and wrote them as NDJSON', rows, want);
  equal(fs.statSync(path.join(z.dir, 'key.pem')).mode & 0o777, 0o600, 'the key is private');
  fake.p.kill('SIGTERM');
  const end = await fake.done;
  check(/0 rules broken/.test(end.err), 'it says what it saw', end);
}

// ---- its faults -------------------------------------------------------------------------------

async function withFake(plan, more, fn) {
  const ready = path.join(z.dir, `ready${Math.random()}.json`);
  const fake = z.start(['fake', 'zerobus', '--plan', z.write('plan.json', JSON.stringify(plan)),
    '--ready-file', ready, ...more]);
  while (!fs.existsSync(ready)) await new Promise((resolve) => { setTimeout(resolve, 10); });
  const at = JSON.parse(read(ready));
  const args = ['zerobus', 'send', '-t', z.TABLE, '--endpoint', at.grpc, '-v', '--progress', 'none',
    '--retry-base', '10ms', '--retry-cap', '50ms', '--schema', 'input'];
  await fn(args, async () => (await fetch(`${at.http}/stats`)).json(), at);
  fake.p.kill('SIGTERM');
  await fake.done;
}

const tcpFault = { end_after: 1, cut: 'tcp' };
for (const [name, plan, status, streams, ...more] of [
  ['an answer of garbage', [{ garbage: true }], 76, 1],
  ['an empty answer', [{ empty: true }, {}], 0, 2, '--create-timeout', '200ms'],
  ['an acknowledgement without a number', [{ blank_ack: true }], 76, 1],
  ['late heads, answers in single bytes', [{ head_ms: 100, bytewise: true }], 0, 1],
  ['nothing is read for a while', [{ stall_ms: 200 }], 0, 1],
  ['silence', [{ end_after: 1, cut: 'silence' }, {}], 0, 2, '--ack-timeout', '200ms'],
  ['a reset that asks for calm', [{ end_after: 1, cut: 'reset', h2_code: 11 }, {}], 0, 2],
  ['a lost connection, then no fault', [tcpFault], 0, 2]])
  await withFake(plan, [], async (args, stats) => {
    const r = await z.run([...args, '--auth', 'none', ...more], { input: z.lines(3) });
    const s = await stats();
    check(r.status === status && (status !== 0 || (r.acked === 3 && s.stored >= 3)) &&
      s.streams === streams && s.violations === 0, `the stand-in: ${name}`, r, s);
    const log = s.stream_log.at(-1);
    check(s.stream_log.length === streams && log.table === z.TABLE && log.record_type === 'JSON' &&
      (status !== 0 || (log.rows === 3 && log.requests === 1 && log.acked_up_to === 0 &&
      log.status === 0)), `the stand-in: ${name}: the log of its streams`, s);
  });
await withFake({ tokens: [{ status: 503, body: '{"error":"busy"}' }, { quoted: true, life_ms: 1000,
  delay_ms: 50 }] }, ['--auth'], async (args, stats, at) => {
  const login = ['--workspace-url', at.http, '--workspace-id', '1', '--client-id', 'c',
    '--client-secret-file', secret];
  const r = await z.run([...args, ...login], { input: z.lines(3) });
  const s = await stats();
  check(r.status === 0 && r.acked === 3 && s.tokens >= 1 && s.token_requests.length >= 2 &&
    s.token_requests[0].grant_type === 'client_credentials' &&
    JSON.parse(s.token_requests[0].authorization_details).length === 3,
  'the stand-in: faults of its token endpoint, forms decoded', r, s);
});
for (const bad of ['{', '[]', '[1]', '[{"nothing":1}]', '{"streams":[]}', '{"tokens":[{"status":7}]}',
  '[{"cut":"paper"}]', '[{"h2_code":-1}]']) {
  const r = await z.run(['fake', 'zerobus', '--plan', z.write('bad-plan.json', bad)]);
  equal(r.status, 65, `the stand-in refuses the plan ${bad}`, r.err);
}

// ---- telemetry --------------------------------------------------------------------------------

{
  const got = { '/v1/traces': [], '/v1/metrics': [] };
  const collector = http.createServer((req, res) => {
    let body = '';
    req.on('data', (d) => { body += d; });
    req.on('end', () => {
      got[req.url]?.push(JSON.parse(body));
      res.setHeader('content-type', 'application/json');
      res.end('{}');
    });
  });
  await new Promise((resolve) => { collector.listen(0, '127.0.0.1', resolve); });
  await withService((i) => ({ ackLimit: i === 0 ? 3 : undefined,
    onRequest: (c) => (i === 0 && c.offset === 9 && (c.end(14, 'later'), true)) ||
      (c.rows.includes('{"refused":1}') && (c.end(3, 'no'), true)) }), async (svc) => {
    const run = (...more) => z.run(z.sendArgs(svc, '--batch-rows', '10', '--otel-endpoint',
      `http://127.0.0.1:${collector.address().port}`, ...more), { input: z.lines(1000) });
    const r = await run('--trace-sample', '10');
    const spans = got['/v1/traces'].flatMap((t) => t.resourceSpans[0].scopeSpans[0].spans);
    const named = (name) => spans.filter((s) => s.name === name);
    const attrs = (s) => Object.fromEntries(s.attributes.map((a) => [a.key, Object.values(a.value)[0]]));
    const root = named('zk zerobus send');
    const streams = named('zerobus.stream');
    const batches = named('zerobus.send_batch');
    check(r.status === 0 && root.length === 1 && streams.length === 2 && batches.length >= 10 &&
      batches.length <= 12, 'a span for the run, each stream, one request in ten', r,
    spans.map((s) => s.name));
    check(streams.every((s) => s.parentSpanId === root[0].spanId) &&
      batches.every((s) => streams.some((t) => t.spanId === s.parentSpanId)), 'one below the other');
    const b = attrs(batches[0]);
    check(b.table_name === z.TABLE && b['zerobus.rows'] === '10' && /^stream-/.test(
      b['zerobus.stream_id']) && b['rpc.grpc.status_code'] === '0' && Number(b['zerobus.bytes']) > 0,
    'with table, rows, bytes, stream and status', b);
    check(streams.some((s) => s.status?.code === 2 && attrs(s)['rpc.grpc.status_code'] === '14'),
      'a stream that failed says so', streams);
    const metrics = got['/v1/metrics'].at(-1)?.resourceMetrics[0].scopeMetrics[0].metrics ?? [];
    const metric = (name) => metrics.find((m) => m.name === name);
    const rows = metric('zerobus.rows')?.sum.dataPoints.find((p) =>
      p.attributes[0].value.stringValue === 'acked');
    check(rows?.asInt === '1000' && metric('zerobus.batch.latency_ms')?.unit === 'ms' &&
      Number(metric('zerobus.batch.size_bytes')?.histogram.dataPoints[0].count) === 100 &&
      metric('zerobus.reconnects')?.sum.dataPoints[0].attributes[0].value.stringValue ===
        'UNAVAILABLE' && metric('zerobus.ack.lag_ms')?.gauge &&
      metric('zerobus.inflight.bytes') && metric('zerobus.inflight.requests') &&
      metric('zerobus.retries') && metric('zerobus.token.refreshes') &&
      metric('zerobus.batch.success'), 'every metric of §17', metrics);
    check(!JSON.stringify(got).includes('row 1'), 'no payload leaves that way');
    got['/v1/metrics'] = [];
    const bad = await z.run(z.sendArgs(svc, '--batch-rows', '10', '--otel-endpoint',
      `http://127.0.0.1:${collector.address().port}`, '--on-error', 'skip', '--rejects',
      path.join(z.dir, 'metrics-bad')), { input: z.lines(20) + '{"refused":1}\n' });
    const points = got['/v1/metrics'].at(-1)?.resourceMetrics[0].scopeMetrics[0].metrics
      .find((m) => m.name === 'zerobus.batch.latency_ms').histogram.dataPoints ?? [];
    const count = (good) => Number(points.find((p) => p.attributes[0].key === 'success' &&
      p.attributes[0].value.boolValue === good)?.count);
    check(bad.status === 3 && count(true) >= 2 && count(false) === 1,
      'latency of what was acknowledged and of what was refused', bad, points);
  });
  collector.closeAllConnections();
  collector.close();
  await withService(undefined, async (svc) => {
    const r = await z.run(z.sendArgs(svc, '--otel-endpoint', 'http://127.0.0.1:9'),
      { input: z.lines(10) });
    check(r.status === 0 && r.acked === 10 && /telemetry/.test(r.err),
      'a dead collector: one warning, everything is delivered', r);
  });
}

z.finish();
