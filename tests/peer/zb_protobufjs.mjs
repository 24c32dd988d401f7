// specs/zerobus.md §11, §23: rows that zk converts, decoded by protobufjs with the descriptor that
// `zk zerobus schema` prints, are those of the fixtures; all codecs, both record types.  TAP.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor/index.js";

const zk = process.env.ZK;
const data = join(process.env.TEST_SRC, "tests/data/arrow");
const drivers = join(process.env.TEST_BUILD, "tests/peer");
let count = 0, failed = 0;

function ok(condition, name, ...details) {
  count++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${count} - ${name}`);
  if (!condition) for (const d of details) console.log(`# ${String(d).replace(/\n/g, "\n# ")}`);
}

function run(program, ...args) {
  const done = spawnSync(program, args, { maxBuffer: 1 << 28 });
  return { status: done.status, out: done.stdout, err: done.stderr.toString() };
}

// JSON whose whole numbers keep all their digits: they come as BigInt.
function parse(line) {
  const marked = line.replace(/("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)/g,
    (all, text, number) => text ?? (/^-?\d+$/.test(number) ? `"#${number}"` : number));
  return JSON.parse(marked, (key, v) =>
    typeof v === "string" && /^#-?\d+$/.test(v) ? BigInt(v.slice(1)) : v);
}

const lines = file => readFileSync(join(data, file), "utf8").split("\n").filter(Boolean).map(parse);

// The types of the columns: "a int64, b list<utf8>".
function columns(file) {
  const text = run(join(drivers, "arrow_rows"), join(data, file)).err.match(/^schema: (.*)$/m)[1];
  const out = {};
  let depth = 0, from = 0;
  for (let i = 0; i <= text.length; i++) {
    if ("<(".includes(text[i])) depth++;
    if (">)".includes(text[i])) depth--;
    if (i === text.length || (text[i] === "," && depth === 0)) {
      const [name, ...type] = text.slice(from, i).trim().split(" ");
      out[name] = type.join(" ");
      from = i + 1;
    }
  }
  return out;
}

const floorDiv = (v, by) => (v - ((v % by) + by) % by) / by;

// The value that has to be sent (maps as protobufjs sees them without map fields: entries) for a value of the fixture (specs/zerobus.md §11.1).
function sent(v, type) {
  if (v === null) return undefined;
  if (type === "date64") return floorDiv(v, 86400000n);
  if (/^(timestamp|time32|time64|duration)\(s/.test(type)) return v * 1000000n;
  if (/^(timestamp|time32|time64|duration)\(ms/.test(type)) return v * 1000n;
  if (/^(timestamp|time32|time64|duration)\(ns/.test(type)) return floorDiv(v, 1000n);
  return plain(v);
}

// Members that are null are absent, inside structs too; lists are themselves.
function plain(v) {
  if (Array.isArray(v)) return v.map(plain);
  if (v === null || typeof v !== "object") return v;
  return Object.fromEntries(Object.entries(v).filter(([, x]) => x !== null)
    .map(([k, x]) => [k, plain(x)]));
}

function same(a, b) {
  if (a === undefined || b === undefined) {
    const other = a ?? b;
    return other === undefined || (Array.isArray(other) && !other.length) ||
      (typeof other === "object" && !Object.keys(other).length);
  }
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length &&
      a.every((x, i) => same(x, b[i]));
  if (typeof a === "object" && typeof b === "object")
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].every(k => same(a[k], b[k]));
  if (typeof a === "bigint" || typeof b === "bigint") {
    if (typeof a === "string" || typeof b === "string") return a.toString() === b.toString();
    return typeof a === typeof b ? a === b : Number(a) === Number(b);
  }
  if (typeof a === "number" && typeof b === "string") return String(a) === b;
  if (typeof a === "string" && typeof b === "number") return a === String(b);
  return Object.is(a, b) || (typeof a === "number" && a === b && a !== 0);
}

function messageType(file, timeAs) {
  const r = run(zk, "zerobus", "schema", join(data, file), "-o", "set", "--message", "row",
    "--time-as", timeAs);
  if (r.status !== 0) throw new Error(r.err);
  const root = protobuf.Root.fromDescriptor(descriptor.FileDescriptorSet.decode(r.out));
  return root.lookupType("row");
}

function decodeAll(type, bytes) {
  const reader = protobuf.Reader.create(bytes), rows = [];
  while (reader.pos < reader.len) {
    const m = type.decodeDelimited(reader);
    rows.push(type.toObject(m, { longs: String, bytes: String, json: true }));
  }
  return rows;
}

const names = {
  "primitives.arrow": "primitives.ndjson", "dictionary.arrow": "dictionary.ndjson",
  "multi_batch_std.arrow": "multi_batch.ndjson", "compressed_lz4.arrows": "compressed_zstd.ndjson",
  "compressed_zstd.arrow": "compressed_zstd.ndjson",
};
// No table can hold these: the schema is refused.
const refused = { "unions.arrows": 4101, "nested.arrows": 4101, "bad_names.arrows": 4103,
  "dup_names.arrows": 4105, "wide2001.arrows": 4104 };
// Rows that cannot be sent, and why.
const rejected = {
  "primitives.arrows": { 1: 4112, 4: 4112 }, "primitives.arrow": { 1: 4112, 4: 4112 },
  "dictionary_nested.arrows": { 3: 4114 },
  "row_errors.arrows": { 1: 4112, 2: 4112, 3: 4114, 4: 4114, 5: 4111 },
};

function bad(err) {
  const rows = {};
  for (const line of err.split("\n").filter(Boolean)) {
    const [row, code] = line.split(" ");
    rows[row] = Number(code);
  }
  return rows;
}

function check(file, timeAs) {
  const r = run(join(drivers, "zb_rows"), join(data, file), "proto", timeAs);
  if (refused[file]) {
    ok(r.status === 1 && r.err.includes(`ZK${refused[file]}`), `${file} is refused as a whole`,
      r.err);
    return;
  }
  const types = columns(file), wrong = rejected[file] ?? {};
  const expected = file === "big.arrows"
    ? Array.from({ length: 10000 }, (_, k) => ({ id: BigInt(k),
      user: "user-" + ((BigInt(k) * 2654435761n) % (1n << 32n)).toString(16),
      at: 1700000000000000n + BigInt(k) * 1000003n, v: k % 1000 / 4, ok: k % 3 === 0 }))
    : lines(names[file] ?? file.replace(/\.arrows?$/, ".ndjson"));
  ok(JSON.stringify(bad(r.err)) === JSON.stringify(wrong),
    `${file}: the rows that cannot be sent are named`, r.err);
  let rows;
  try {
    rows = decodeAll(messageType(file, timeAs), r.out);
  } catch (e) {
    ok(false, `${file}: protobufjs decodes what was made`, e.stack);
    return;
  }
  const want = expected.filter((_, i) => !(i in wrong));
  const differs = want.findIndex((w, i) => !rows[i] ||
    !Object.keys(types).every(c => {
      const text = timeAs === "string" && /^(time|duration|interval)(32|64)?\(/.test(types[c]);
      return text || same(sent(w[c] ?? null, types[c]), rows[i][c]);
    }));
  ok(rows.length === want.length && differs < 0,
    `${file}: ${want.length} rows, decoded by protobufjs, are those of the fixture`,
    `row ${differs}`, JSON.stringify(want[differs], (k, v) => typeof v === "bigint" ? `${v}` : v),
    JSON.stringify(rows[differs]));
}

for (const file of readdirSync(data).filter(f => /\.arrows?$/.test(f)).sort())
  check(file, file === "temporal.arrows" ? "string" : "error");

// JSON records.
{
  const r = run(join(drivers, "zb_rows"), join(data, "zerobus_rows.arrows"), "json", "error");
  const rows = r.out.toString().split("\n").filter(Boolean).map(parse);
  const want = lines("zerobus_rows.json-records.ndjson");
  ok(rows.length === want.length && want.every((w, i) => same(w, rows[i]) &&
    Object.keys(w).join() === Object.keys(rows[i]).join()),
    "JSON records are those of the fixture, members in their order", r.out, r.err);
  // The same rows as NDJSON with the schema of the Arrow stream make the same bytes.
  const again = run(join(drivers, "zb_rows"), join(data, "zerobus_rows.json-records.ndjson"),
    "proto", "error", join(data, "zerobus_rows.arrows"));
  ok(again.out.equals(run(join(drivers, "zb_rows"), join(data, "zerobus_rows.arrows"), "proto",
    "error").out), "NDJSON with the same schema gives the same payloads", again.err);
}

// protoc accepts the text that zk prints, and its descriptor is ours apart from json_name.
const tables = {
  nested: [["a", "struct<b:array<struct<c:map<int,struct<d:binary>>>>>"], ["URL", "struct<x:int>"]],
  collisions: [["extra", "map<string,int>"], ["extra_entry", "struct<a:int>"],
    ["extra_value", "int"], ["v", "map<bigint,struct<q:string>>"], ["v_value", "struct<z:int>"]],
  keywords: [["message", "int"], ["optional", "string"], ["package", "array<double>"],
    ["syntax", "boolean"], ["map", "map<boolean,float>"]],
};

function strip(d) {
  return JSON.stringify(d, (key, v) => key === "jsonName" ? undefined : v);
}

function protoc(name, input) {
  const folder = mkdtempSync(join(tmpdir(), "protoc"));
  try {
    const text = spawnSync(zk, ["zerobus", "schema", "-", "--message", "row"], { input });
    writeFileSync(join(folder, "row.proto"), text.stdout);
    const done = spawnSync("protoc", [`-I${folder}`, "-o", join(folder, "row.pb"), "row.proto"]);
    if (done.status !== 0) {
      ok(false, `protoc accepts ${name}`, done.stderr, text.stdout, text.stderr);
      return;
    }
    const theirs = descriptor.FileDescriptorSet.decode(readFileSync(join(folder, "row.pb")));
    const ours = spawnSync(zk, ["zerobus", "schema", "-", "--message", "row", "-o", "descriptor"],
      { input });
    const a = descriptor.DescriptorProto.toObject(theirs.file[0].messageType[0]);
    const b = descriptor.DescriptorProto.toObject(descriptor.DescriptorProto.decode(ours.stdout));
    ok(strip(a) === strip(b), `the descriptor that protoc makes of ${name} is ours`, strip(a),
      strip(b));
    // What protoc wrote is a schema for zk as well.
    const back = run(zk, "zerobus", "schema", join(folder, "row.pb"));
    ok(back.out.equals(text.stdout), `zk reads what protoc wrote of ${name}`, back.out, back.err);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const file of ["zerobus_rows.arrows", "compressed_zstd.arrows", "row_errors.arrows",
  "strings.arrows"])
  protoc(file, readFileSync(join(data, file)));
for (const [name, columns] of Object.entries(tables))
  protoc(name, JSON.stringify({ columns: columns.map(([name, type_text]) => ({ name, type_text })) }));
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
