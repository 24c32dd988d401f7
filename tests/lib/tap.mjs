// TAP for test programs in Node: checks, deadlines, a folder that is removed at the end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const zk = process.env.ZK || "zk";
const slow = Number(process.env.TEST_SLOW || 1);
// What is only waited for, and measures nothing, may take longer on a machine that is busy.
const patience = 3;
const folder = mkdtempSync(join(tmpdir(), "t"));
const tests = [];
let count = 0, failed = 0;

export const note = text => console.log("# " + String(text).replace(/\n/g, "\n# "));

export function ok(condition, name, detail) {
  count++;
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} ${count} - ${name}`);
  if (!condition && detail !== undefined) note(detail);
  return Boolean(condition);
}

const show = v => JSON.stringify(v, (_, x) => typeof x === "bigint" ? String(x) : x);
export const equal = (got, expected, name) =>
  ok(Object.is(got, expected) || show(got) === show(expected), name,
    `got      ${show(got)}\nexpected ${show(expected)}`);

// What the promise rejects with; a failed check when it does not.
export async function rejected(promise, name) {
  try {
    const value = await promise;
    ok(false, name, "resolved with " + show(value));
  } catch (e) {
    ok(true, name);
    return e;
  }
}

export async function waitFor(what, check, ms = 15000) {
  for (const end = Date.now() + ms * slow * patience; Date.now() < end;) {
    const value = await check();
    if (value) return value;
    await new Promise(r => setTimeout(r, 10));
  }
  throw new Error("waited for " + what);
}

// Rejects when the promise takes longer.
export function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`${what} took longer than ${ms * slow} ms`)), ms * slow);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const temp = name => join(folder, name);
export const test = (name, fn, ms = 60000) => tests.push([name, fn, ms]);

// Runs the tests in their order (those whose names hold an argument, if any) and exits.
export async function run() {
  const wanted = process.argv.slice(2);
  for (const [name, fn, ms] of tests) {
    if (wanted.length && !wanted.some(w => name.includes(w))) continue;
    const before = count;
    try {
      await within(ms, Promise.resolve(fn()), name);
      if (count === before) ok(false, name, "the test checked nothing");
    } catch (e) {
      ok(false, name, e.stack);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(`1..${count}`);
  process.exit(failed || !count ? 1 : 0);
}
