// The lines of the manual on pipelines (man/prose/zk-events.md), each executed as it stands.
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { equal, note, ok, run, temp, test, zk } from "../lib/tap.mjs";
import { joined, zkRun } from "./tools/events_lib.mjs";
import { start } from "./tools/zeal_socket.mjs";

const prose = readFileSync(new URL("../../man/prose/zk-events.md", import.meta.url), "utf8");
const block = prose.split("## Streams as pipelines")[1].split("```")[1];
const lines = block.split("\n").filter((l) => l && !l.startsWith("#"));
const dir = temp("manual");
mkdirSync(dir);
symlinkSync(zk, `${dir}/zk`);
const script = (name, text) => {
	writeFileSync(`${dir}/${name}`, `#!/bin/sh\n${text}\n`);
	chmodSync(`${dir}/${name}`, 0o700);
};
script("flaky.sh", 'cat >/dev/null; echo "$ZK_EVENT_ATTEMPT"; [ "$ZK_EVENT_ATTEMPT" = 3 ]');
script("work.sh", 'cat >/dev/null; echo "$ZK_EVENT_NODE"');

// Ten events: nodes n0 n1 n2 in turn, every other one failed.
const feed = (s) => [...Array(10).keys()].forEach((i) => s.event("wf_1", { i, nodeId: `n${i % 3}`,
	type: i % 2 ? "node.failed" : "node.completed" }));
const numbers = (z) => z.rows.map((r) => (Array.isArray(r) ? r.map((e) => e.i) : r.i));
const plain = (z) => z.out.trim().split("\n");
const sorted = (z) => plain(z).sort();
const all = [...Array(10).keys()];
const expected = [
	[numbers, [1, 3]],
	[(z) => z.rows, [{ type: "node.completed", nodeId: "n0" }, { type: "node.failed", nodeId: "n1" }]],
	[plain, ["node.completed n0", "node.failed n1"]],
	[plain, ["n0", "n1"]],
	[numbers, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]],
	[numbers, [all]],
	[numbers, [all]],
	[plain, ["1", "2", "3"]],
	[sorted, ["n0", "n0", "n1", "n2"]],
	[plain, ["n0", "n1", "n2", "n0"]],
	[sorted, ["n0", "n0", "n1", "n2"]],
	[numbers, [2, 3, 4]],
	[numbers, [0, 1, 2]],
	[numbers, [7, 8, 9]],
	[numbers, [0, 3, 6]],
];

test("there is a line for each operator", async () => {
	equal(lines.length, expected.length + 1, "as many as are checked below");
	for (const word of ["--filter", "--fields", "--buffer", "--every", "--retries", "--jobs", "--ordered", "--count",
		"--skip", "--distinct", "--debounce", "--sample"])
		ok(lines.some((l) => l.includes(word)), word);
});

const shell = (s, line) => zkRun(["-euo", "pipefail", "-c", line], { server: s, program: "bash",
	env: { WF: "wf_1", OTHER: "wf_2", PATH: `${dir}:${process.env.PATH}` }, cwd: dir });

lines.slice(0, -1).forEach((line, i) => test(line, async () => {
	const s = await start();
	const z = shell(s, line);
	await joined(s);
	feed(s);
	const status = await z.end;
	note(line);
	equal(status, 0, "ends with 0");
	equal(expected[i][0](z), expected[i][1], "prints what it says") || note(z.out + z.err);
	await s.stop();
}));

test(lines.at(-1), async () => {
	const s = await start();
	const z = shell(s, lines.at(-1));
	await joined(s, 2);
	feed(s);
	equal(await z.end, 0, "ends with 0");
	const sent = s.sent("runtime.event").map((e) => e.args[0]);
	equal(sent.map((e) => [e.type, e.nodeId]), [["node.failed", "n1"]], "the event went on") || note(z.err);
	await s.stop();
});

await run();
