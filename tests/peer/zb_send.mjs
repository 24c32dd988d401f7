// `zk zerobus send` against a service on @grpc/grpc-js that fails in every way that
// specs/zerobus.md names. The numbers are those of its section 23.
import fs from 'node:fs';
import path from 'node:path';
import * as z from './zerobus/lib.js';
import { check, equal } from './zerobus/lib.js';

async function withService(plan, fn) {
  const svc = await new z.Service(plan).start();
  try {
    await fn(svc);
  } finally {
    svc.stop();
  }
}

// Everything was stored at least once, and what the summary says adds up.
function delivered(name, r, svc, n, { status = 0, rejected = 0 } = {}) {
  const s = svc.stored();
  check(r.status === status && r.read === n && r.acked === n - rejected &&
    r.rejected === rejected && s.distinct === n - rejected && !svc.violations.length,
  name, { status: r.status, sums: z.sums(r.err), stored: s }, svc.violations, r.err);
  return s;
}

// ---- 8, 11: small inputs ----------------------------------------------------------------------

await withService(undefined, async (svc) => {
  const r = await z.run(z.sendArgs(svc), { input: '' });
  check(r.status === 0 && r.read === 0 && svc.streams.length === 0,
    '8: an input without rows: no connection, exit 0', r, svc.streams);
  const three = await z.run(z.sendArgs(svc), { input: z.lines(3) });
  delivered('11: the tail arrives: three rows and the end', three, svc, 3);
  check(svc.streams[0].halfClosed, 'the stream ends with END_STREAM', svc.streams);
  equal(svc.streams[0].type, 2, 'NDJSON goes as JSON records');
});

await withService(undefined, async (svc) => {
  const fixture = (name) => path.join(import.meta.dirname, '../data/arrow', name);
  const none = await z.run(z.sendArgs(svc, fixture('schema_only.arrows')));
  check(none.status === 0 && none.read === 0 && svc.streams.length === 0,
    '8: an Arrow file without rows: no connection', none);
  const some = await z.run(z.sendArgs(svc, fixture('empty_batches.arrows'), '--batch-rows', '1'));
  check(some.status === 0 && some.read > 0 && svc.streams[0].requests === some.read,
    '8: a batch without rows makes no request', some, svc.streams);
  const empty = await z.run(z.sendArgs(svc, fixture('bad/empty.arrows'), '--from', 'arrow'));
  check(empty.status === 65 && /ZK4150/.test(empty.err), '8: no byte where Arrow is expected', empty);
});

// ---- names ------------------------------------------------------------------------------------

await withService(undefined, async (svc) => {
  const args = ['zerobus', 'send', '--endpoint', svc.url, '--auth', 'none'];
  const option = await z.run([...args, '-t', 'main.air'], { input: z.lines(1) });
  check(option.status === 64 && /ZK4001/.test(option.err) && /lacks the table/.test(option.err),
    'a table name of the command line: ZK4001, exit 64, and which part is wrong', option);
  const config = await z.run(args, { input: z.lines(1), env: { ZK_ZEROBUS_TABLE: 'main.default.a-b' } });
  check(config.status === 78 && /ZK4001/.test(config.err) && /the table 'a-b'/.test(config.err),
    'one of the configuration: exit 78', config);
  equal(svc.streams.length, 0, 'it goes nowhere before that');
});

await withService(undefined, async (svc) => {
  const text = '{"n":9007199254740993}\n  {"a" : [1, 2]}  \n';
  const r = await z.run(z.sendArgs(svc), { input: text });
  delivered('28: numbers pass unchanged', r, svc, 2);
  check(svc.rows.has('{"n":9007199254740993}') && svc.rows.has('{"a" : [1, 2]}'),
    'the bytes of a row are sent as they stand', [...svc.rows.keys()]);
});

await withService(undefined, async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '1'), { input: z.lines(50) });
  delivered('single-record messages', r, svc, 50);
  equal(svc.streams[0].requests, 50, 'one message for each row');
});

// ---- 9, 10: replay ----------------------------------------------------------------------------

await withService((i) => (i === 0 ? { ackEvery: 1, keepUnacked: false,
  onRequest: (c) => c.offset === 7 && (c.end(14, 'later'), true) } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '10'), { input: z.lines(500) });
  const s = delivered('9, 10: rows in flight when the stream ends are sent again', r, svc, 500);
  equal(s.total, 500, 'and no acknowledged one is');
});

await withService((i) => (i === 0 ? { ackLimit: 3,
  onRequest: (c) => c.offset === 20 && (c.cut(), true) } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '10'), { input: z.lines(500) });
  const s = delivered('lost acknowledgements: everything is there', r, svc, 500);
  check(s.total > 500 && s.total <= 500 + 200, 'duplicates only among the unacknowledged', s);
  check(/resent [1-9]/.test(r.err), 'the summary says how many were sent again', r.err);
});

// ---- 12: close signals ------------------------------------------------------------------------

await withService((i) => (i < 6 ? {
  onRequest: (c) => {
    if (c.offset === 5) c.call.write(z.closeSignal(2000));
    return false;
  } } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '10', '--max-inflight', '4'),
    { input: z.lines(2000) });
  const s = delivered('12: close signals: rows keep flowing', r, svc, 2000);
  equal(s.total, 2000, 'nothing is sent twice');
  check(svc.streams.length > 3 && !/attempt/.test(r.err), 'no failure is shown', r.err);
});

await withService((i) => (i === 0 ? { ackLimit: 2,
  onRequest: (c) => {
    if (c.offset === 5) {
      c.call.write(z.closeSignal(100));
      setTimeout(() => c.end(14, 'closed'), 150);
    }
    return false;
  } } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '10'), { input: z.lines(500) });
  delivered('a service that closes without acknowledging', r, svc, 500);
});

// ---- 13: bad acknowledgements -----------------------------------------------------------------

for (const [name, value] of [['above what was sent', 1000], ['2^63-1', '9223372036854775807'],
  ['below -1', -2], ['without a number', undefined]])
  await withService(() => ({ acks: false, ackLimit: -1,
    onRequest: (c) => {
      if (c.offset === 0) {
        c.call.write(value === undefined ? Buffer.from([0x12, 0])
          : z.ack(typeof value === 'string' ? (0x7fffffffffffffffn).toString() : value));
      }
      return false;
    } }), async (svc) => {
    const r = await z.run(z.sendArgs(svc), { input: z.lines(2500) });
    check(r.status === 76 && r.acked === 0 && r.spooled > 0 && r.read === r.spooled,
      `13: an acknowledgement ${name}: exit 76, nothing freed, all spooled`, r.status, r.err);
    equal(svc.streams.length, 1, 'and not tried again');
  });

await withService(() => ({ ackLimit: -1, onRequest: (c) => {
  c.call.write(z.ack(-1));
  c.call.write(z.ack(c.offset));
  c.call.write(z.ack(c.offset));
  c.call.write(z.ack(Math.max(0, c.offset - 1)));
  return false;
} }), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--batch-rows', '10'), { input: z.lines(500) });
  delivered('-1, repeated and older acknowledgements are ignored', r, svc, 500);
});

// ---- 14: budget -------------------------------------------------------------------------------

await withService(() => ({ onRequest: (c) => (c.end(13, 'always'), true) }), async (svc) => {
  const r = await z.run(z.sendArgs(svc), { input: z.lines(10) });
  check(r.status === 75 && r.spooled === 10 && /ZK4060/.test(r.err),
    '14: a service that accepts and then fails: exit 75', r.status, r.err);
  equal(svc.streams.length, 6, 'after 1 + 5 attempts');
  const list = await z.run(['spool', 'list', '-o', 'json'], { home: r.home });
  check(/zerobus:127\.0\.0\.1\/main\.default\.air_quality/.test(list.out), 'the rows wait in the spool',
    list);
});

await withService(() => ({ silent: true }), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--create-timeout', '100ms', '--retries', '2'),
    { input: z.lines(1) });
  check(r.status === 75 && /create_stream/.test(r.err) && svc.streams.length === 3,
    'no answer to create_stream: ZK4040, retried', r.status, r.err);
});

await withService(() => ({ ackLimit: -1 }), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--ack-timeout', '200ms', '--retries', '1'),
    { input: z.lines(1) });
  check(r.status === 75 && /acknowledged/.test(r.err) && svc.streams.length === 2,
    'nothing is acknowledged: ZK4041, retried', r.status, r.err);
  const f = await z.run(z.sendArgs(svc, '--flush-timeout', '300ms'), { input: z.lines(1) });
  check(f.status === 75 && /ZK4042/.test(f.err), 'the last acknowledgement never comes: ZK4042',
    f.status, f.err);
});

await withService(() => ({ onCreate: (call) => call.write(z.ack(0)) }), async (svc) => {
  const r = await z.run(z.sendArgs(svc), { input: z.lines(1) });
  check(r.status === 76 && /ZK4050/.test(r.err), 'an acknowledgement before the answer: exit 76',
    r.status, r.err);
});

// ---- classes of status ------------------------------------------------------------------------

for (const [code, status, zk] of [[3, 69, 'ZK4030'], [5, 69, 'ZK4031'], [12, 69, 'ZK4033'],
  [7, 77, 'ZK4032'], [16, 77, 'ZK4010']])
  await withService(() => ({ refuse: [code, 'no'] }), async (svc) => {
    const r = await z.run(z.sendArgs(svc), { input: z.lines(2) });
    check(r.status === status && r.err.includes(zk) && r.spooled === 2,
      `status ${code} while it is created: ${zk}, exit ${status}, rows spooled`, r.status, r.err);
    if (code === 7) check(/GRANT/.test(r.err), 'with the grants that are missing', r.err);
  });
for (const code of [0, 1, 2, 4, 6, 8, 9, 10, 13, 14, 15])
  await withService((i) => (i < 1 ? { refuse: [code, 'later'],
    onCreate: code === 0 ? (call) => call.end() : undefined } : {}), async (svc) => {
    const r = await z.run(z.sendArgs(svc), { input: z.lines(2) });
    delivered(`status ${code} while it is created is tried again`, r, svc, 2);
  });

// ---- 15, 16, 17: tokens -----------------------------------------------------------------------

async function withTokens(answer, plan, auth, fn) {
  const tokens = await new z.Tokens(answer).start();
  await withService(plan, async (svc) => {
    svc.auth = auth;
    const secret = z.write('secret', 's3cr:et\n');
    fs.chmodSync(secret, 0o600);
    await fn(svc, tokens, (...more) => ['zerobus', 'send', '-t', z.TABLE, '--endpoint', svc.url,
      '--workspace-url', tokens.url + '/', '--workspace-id', '1234567890123456', '--client-id',
      'client-1', '--client-secret-file', secret, '-v', '--progress', 'none', '--retry-base',
      '10ms', '--retry-cap', '50ms', '--schema', 'input', ...more]);
  });
  tokens.stop();
}

await withTokens(undefined, undefined, undefined, async (svc, tokens, args) => {
  const r = await z.run(args(), { input: z.lines(2) });
  delivered('a token by OAuth', r, svc, 2);
  const t = tokens.asked[0];
  equal(t.path, '/oidc/v1/token', 'the path of the token endpoint');
  equal(t.authorization, 'Basic Y2xpZW50LTE6czNjcjpldA==', 'the client of §21');
  equal(t.form.grant_type, 'client_credentials', 'grant_type');
  equal(t.form.scope, 'all-apis', 'scope');
  equal(t.form.resource, 'api://databricks/workspaces/1234567890123456/zerobusDirectWriteApi',
    'resource');
  equal(t.form.authorization_details, '[{"type":"unity_catalog_privileges","privileges":["USE CATALOG"],"object_type":"CATALOG","object_full_path":"main"},{"type":"unity_catalog_privileges","privileges":["USE SCHEMA"],"object_type":"SCHEMA","object_full_path":"main.default"},{"type":"unity_catalog_privileges","privileges":["SELECT","MODIFY"],"object_type":"TABLE","object_full_path":"main.default.air_quality"}]',
    'authorization_details of §21');
  equal(svc.streams[0].token, 'Bearer token-1', 'the stream carries it');
  check(!r.err.includes('s3cr:et') && !r.err.includes('token-1'), 'neither secret is shown', r.err);
  const none = await z.run(args(), { input: '' });
  check(none.status === 0 && tokens.asked.length === 1, 'no rows, no token', none);
});

for (const [name, answer] of [
  ['quoted expires_in', (n) => [200, { access_token: `t${n}`, expires_in: '3600' }]],
  ['no expires_in', (n) => [200, { access_token: `t${n}` }]],
  ['429, then good', (n) => (n === 1 ? [429, {}, { 'retry-after': '0' }]
    : [200, { access_token: 't', expires_in: 60 }])],
  ['503, then good', (n) => (n === 1 ? [503, 'no'] : [200, { access_token: 't' }])]])
  await withTokens(answer, undefined, undefined, async (svc, tokens, args) => {
    const r = await z.run(args(), { input: z.lines(2) });
    delivered(`15: ${name}`, r, svc, 2);
  });
for (const [name, answer, status, zk] of [
  ['401', () => [401, { error: 'invalid_client', error_description: 'who are you' }], 77, 'ZK4010'],
  ['404', () => [404, 'x'], 78, 'ZK4011'],
  ['a redirect', () => [302, '', { location: '/x' }], 78, 'ZK4011'],
  ['no token', () => [200, { nothing: 1 }], 76, 'ZK4012'],
  ['another type', () => [200, { access_token: 'x', token_type: 'mac' }], 76, 'ZK4012'],
  ['HTML', () => [200, '<html>'], 76, 'ZK4012']])
  await withTokens(answer, undefined, undefined, async (svc, tokens, args) => {
    const r = await z.run(args(), { input: z.lines(2) });
    check(r.status === status && r.err.includes(zk), `token endpoint: ${name}: ${zk}`, r.status,
      r.err);
    if (name === '401') check(/who are you/.test(r.err), 'its words are shown', r.err);
    equal(svc.streams.length, 0, 'and no stream was opened');
  });

await withTokens(undefined, undefined, (t) => (t === 'Bearer token-1' ? 16 : undefined),
  async (svc, tokens, args) => {
    const r = await z.run(args(), { input: z.lines(2) });
    delivered('17: UNAUTHENTICATED once: a fresh token', r, svc, 2);
    equal(tokens.asked.length, 2, 'two tokens were fetched');
  });
await withTokens(undefined, undefined, () => 16, async (svc, tokens, args) => {
  const r = await z.run(args(), { input: z.lines(2) });
  check(r.status === 77 && tokens.asked.length === 2 && svc.streams.length === 2,
    '17: twice: exit 77', r.status, r.err, tokens.asked.length);
});
const rotating = (i) => (i < 100 ? { onRequest: (c) => {
  if (c.offset === 1) c.call.write(z.closeSignal(1000));
  return false;
} } : {});
await withTokens(undefined, rotating, undefined, async (svc, tokens, args) => {
  const r = await z.run(args('--batch-rows', '10', '--max-inflight', '4'), { input: z.lines(8200) });
  delivered('16: 100 reopens', r, svc, 8200);
  check(svc.streams.length > 100 && tokens.asked.length === 1, '16: one token serves them all',
    svc.streams.length, tokens.asked.length);
});
{
  // A token that has opened 25 streams is one that has expired meanwhile.
  const uses = new Map();
  const spent = (token) => {
    uses.set(token, (uses.get(token) ?? 0) + 1);
    return uses.get(token) > 25 ? 16 : undefined;
  };
  await withTokens(undefined, rotating, spent, async (svc, tokens, args) => {
    const r = await z.run(args('--batch-rows', '10', '--max-inflight', '4'),
      { input: z.lines(8200) });
    delivered('16: a token that expires during 100 reopens', r, svc, 8200);
    const over = [...uses.values()].filter((n) => n > 25).length;
    check(over >= 3 && tokens.asked.length === 1 + over && [...uses.values()].every((n) => n <= 26),
      '16: one fetch for each expiry, and no storm', [...uses], tokens.asked.length);
  });
}
await withService(undefined, async (svc) => {
  const file = z.write('token', 'file-token\n');
  fs.chmodSync(file, 0o600);
  svc.auth = (t) => (t === 'Bearer file-token' ? undefined : 16);
  const args = ['zerobus', 'send', '-t', z.TABLE, '--endpoint', svc.url, '--token-file', file, '-v',
    '--progress', 'none'];
  delivered('a token from a file', await z.run(args, { input: z.lines(2) }), svc, 2);
  fs.writeFileSync(file, 'other\n');
  const r = await z.run(args, { input: z.lines(2) });
  check(r.status === 77 && /ZK4010/.test(r.err), 'an unchanged file is final at once', r.status,
    r.err);
});

// ---- 18, 19, 20, 27: bad rows -----------------------------------------------------------------

const poison = (bad) => () => ({ onRequest: (c) => c.rows.some((t) => bad.test(t)) &&
  (c.end(3, 'a row does not fit'), true) });

await withService(poison(/"n":7777,/), async (svc) => {
  const rejects = path.join(z.dir, 'r18');
  const r = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects', rejects),
    { input: z.lines(10000) });
  delivered('18: one bad row in 10,000', r, svc, 10000, { status: 3, rejected: 1 });
  const rows = fs.readFileSync(rejects, 'utf8').trim().split('\n').map((t) => JSON.parse(t));
  check(rows[0].type === 'header' && rows[0].table === z.TABLE && rows[1].row === 7777 &&
    rows[1].line === 7778 && rows[1].code === 'ZK4120' && rows[1].source === 'stdin' &&
    JSON.parse(rows[1].json).n === 7777 && rows.length === 2, '18: with its row number', rows);
  equal(fs.statSync(rejects).mode & 0o777, 0o600, 'the rejects file is private');
});
await withService(poison(/"n"/), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects',
    path.join(z.dir, 'r19')), { input: z.lines(100) });
  check(r.status === 69 && r.rejected === 8 && r.spooled === 92 && /ZK4070/.test(r.err),
    '19: every row is bad: stops after 8, the others are in the spool', r.status, r.err);
});
await withService(poison(/"n":50,/), async (svc) => {
  const r = await z.run(z.sendArgs(svc), { input: z.lines(100) });
  check(r.status === 69 && r.rejected === 1 && r.acked + r.spooled === 99,
    '--on-error stop: the first refused row ends the run', r.status, r.err);
  const no = await z.run(z.sendArgs(svc, '--no-isolate', '--rejects', path.join(z.dir, 'rs')),
    { input: z.lines(100) });
  check(no.status === 69 && no.rejected === 100, '--no-isolate: all are suspect', no.status, no.err);
  const rows = fs.readFileSync(path.join(z.dir, 'rs'), 'utf8').trim().split('\n');
  check(rows.length === 101 && JSON.parse(rows[1]).suspect === true, 'and marked so');
});
await withService(undefined, async (svc) => {
  const big = `{"x":"${'a'.repeat(11 << 20)}"}\n`;
  const r = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects', path.join(z.dir, 'r20')),
    { input: z.lines(5) + big + z.lines(5, 5) });
  delivered('20: a row of 11 MB among small ones is rejected alone', r, svc, 11,
    { status: 3, rejected: 1 });
  check(/ZK4110/.test(r.err), '20: as too large', r.err);
  const before = svc.streams.length;
  const file = z.write('big.ndjson', z.lines(5) + big + z.lines(5, 5));
  const stop = await z.run(z.sendArgs(svc, file));
  check(stop.status === 65 && /ZK4110/.test(stop.err) && svc.streams.length === before,
    '20: in a file it is found before anything is sent', stop.status, stop.err);
});
await withService(undefined, async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--on-error', 'skip', '--rejects', path.join(z.dir, 'r27')),
    { input: Buffer.concat([Buffer.from(z.lines(2)), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a,
      0x31, 0x7d, 10]), Buffer.from('[1]\n{"a":\n'), Buffer.from(z.lines(2, 2))]) });
  delivered('27: broken UTF-8 and JSON in single rows', r, svc, 7, { status: 3, rejected: 3 });
  const file = z.write('bad.ndjson', z.lines(3) + 'nonsense\n');
  const before = svc.streams.length;
  const stop = await z.run(z.sendArgs(svc, file));
  check(stop.status === 65 && svc.streams.length === before,
    'a bad row of a file is found before anything is sent', stop.status, stop.err);
  const missing = await z.run(z.sendArgs(svc, file, '/nonexistent'));
  equal(missing.status, 66, 'a missing file is exit 66', missing.err);
});

// ---- 21: sizes --------------------------------------------------------------------------------

await withService(undefined, async (svc) => {
  const text = Array.from({ length: 250 }, (_, i) => `{"i":${i},"x":"${'b'.repeat(100000)}"}\n`).join('');
  const r = await z.run(z.sendArgs(svc, '--batch-bytes', '10MiB', '--batch-rows', '100000'),
    { input: text });
  delivered('21: 25 MB are split into messages', r, svc, 250);
  check(svc.streams[0].requests >= 3, '21: of at most 10 MiB', svc.streams);
});

// ---- several streams --------------------------------------------------------------------------

await withService((i) => (i % 3 === 1 ? { onRequest: (c) => c.offset === 2 &&
  (c.cut(), true) } : {}), async (svc) => {
  const r = await z.run(z.sendArgs(svc, '--streams', '4', '--batch-rows', '50'),
    { input: z.lines(20000) });
  delivered('four streams, some of which are cut', r, svc, 20000);
});

// ---- receipts, resume, durable ----------------------------------------------------------------

await withService((i) => (i === 0 ? { ackLimit: 4,
  onRequest: (c) => c.offset === 9 && (c.end(5, 'gone'), true) } : {}), async (svc) => {
  const file = z.write('resume.ndjson', z.lines(1000));
  const receipts = path.join(z.dir, 'receipts');
  const r = await z.run(z.sendArgs(svc, file, '--batch-rows', '10', '--receipts', receipts,
    '--no-spool'));
  check(r.status === 69 && r.acked === 50, 'a run that ends in the middle', r.status, r.err);
  const again = await z.run(z.sendArgs(svc, file, '--batch-rows', '10', '--resume', receipts,
    '--receipts', receipts));
  check(again.status === 0 && again.skipped === 50 && again.acked === 950,
    '--resume skips what the receipts prove', again.status, again.err);
  const s = svc.stored();
  equal(s.distinct, 1000, 'every row is there');
});

// ---- stop -------------------------------------------------------------------------------------

await withService(() => ({ ackDelay: 30 }), async (svc) => {
  const run = z.start(z.sendArgs(svc, '--batch-rows', '1'));
  run.p.stdin.write(z.lines(20));
  while (svc.stored().distinct < 1) await new Promise((resolve) => { setTimeout(resolve, 5); });
  run.p.kill('SIGTERM');
  const r = await run.done;
  const s = svc.stored();
  check(r.signal === 'SIGTERM' && s.distinct === r.read && r.acked === r.read,
    'TERM drains what was read, then ends by the signal', r, s);
});
await withService(() => ({ refuse: [14, 'down'] }), async (svc) => {
  const run = z.start(['zerobus', 'send', '-t', z.TABLE, '--endpoint', svc.url, '--auth', 'none',
    '-v', '--progress', 'none', '--retry-base', '30s', '--grace', '300ms', '--retries', '50']);
  run.p.stdin.write(z.lines(20));
  while (!/attempt/.test(run.err())) await new Promise((resolve) => { setTimeout(resolve, 5); });
  run.p.kill('SIGTERM');
  const r = await run.done;
  check(r.read === 20 && r.spooled === 20, 'TERM in BACKOFF: the rows go to the spool', r);
});
await withService(() => ({ ackLimit: -1 }), async (svc) => {
  const dir = path.join(z.dir, 'grace');
  for (const more of [[], ['--debug-dir', dir, '--debug-proto']]) {
    const before = svc.streams.length;
    const run = z.start(z.sendArgs(svc, '--batch-rows', '10', '--max-message', '1KiB',
      '--max-inflight-bytes', '4KiB', '--grace', '300ms', ...more));
    run.p.stdin.write(z.lines(500)); // one read takes them all
    while (!svc.streams[before]?.requests) await new Promise((resolve) => { setTimeout(resolve, 5); });
    run.p.kill('SIGTERM');
    const r = await run.done;
    check(r.read === 500 && r.spooled === 500,
      'TERM and no acknowledgement: what was read and found no room goes to the spool, too', r);
  }
});

z.finish();
