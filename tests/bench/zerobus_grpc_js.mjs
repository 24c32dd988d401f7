// The baseline of scripts/bench zerobus: the lines of a file as JSON records by @grpc/grpc-js, in
// batches of 1,000, at most 200 of them unacknowledged.
//   node zerobus_grpc_js.mjs http://HOST:PORT FILE
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';

const peer = path.join(import.meta.dirname, '../peer');
const require = createRequire(path.join(peer, 'package.json'));
const grpc = require('@grpc/grpc-js');
const root = require('protobufjs').loadSync(path.join(peer, 'zerobus/service.proto'));
const Request = root.lookupType('databricks.zerobus.EphemeralStreamRequest');
const Response = root.lookupType('databricks.zerobus.EphemeralStreamResponse');
const BATCH = 1000;
const WINDOW = 200;

const Client = grpc.makeGenericClientConstructor({ stream: {
  path: '/databricks.zerobus.Zerobus/EphemeralStream',
  requestStream: true,
  responseStream: true,
  requestSerialize: (m) => Buffer.from(Request.encode(m).finish()),
  requestDeserialize: (b) => Request.decode(b),
  responseSerialize: (m) => Buffer.from(Response.encode(m).finish()),
  responseDeserialize: (b) => Response.decode(b),
} }, 'Zerobus');

const [url, file] = process.argv.slice(2);
const metadata = new grpc.Metadata();
metadata.set('x-databricks-zerobus-table-name', 'main.default.t');
const call = new Client(new URL(url).host, grpc.credentials.createInsecure()).stream(metadata);
let acked = -1;
let sent = 0;
let wake = () => {};
const created = new Promise((resolve) => {
  call.on('data', (m) => {
    if (m.createStreamResponse) resolve();
    else acked = Number(m.ingestRecordResponse.durabilityAckUpToOffset);
    wake();
  });
});
call.on('error', (e) => {
  console.error(e.message);
  process.exit(1);
});
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => { wake = resolve; });
};

async function send(records) {
  await until(() => sent - acked <= WINDOW);
  const room = call.write({ ingestRecordBatch: { offsetId: sent, jsonBatch: { records } } });
  sent++;
  if (!room) await once(call, 'drain');
}

call.write({ createStream: { tableName: 'main.default.t', recordType: 2 } });
await created;
let rows = [];
for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
  rows.push(line);
  if (rows.length === BATCH) {
    await send(rows);
    rows = [];
  }
}
if (rows.length) await send(rows);
await until(() => acked >= sent - 1);
call.end();
process.exit(0);
