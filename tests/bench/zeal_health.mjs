// The baseline of zeal_calls.py: the same requests by Node's fetch.   node zeal_health.mjs URL N
const [url, n] = [process.argv[2], Number(process.argv[3])];
const run = async (times) => {
	for (let i = 0; i < times; i++) {
		const r = await fetch(url + "/api/zip/health", { headers: { accept: "application/json" } });
		await r.json();
	}
};
await run(1000);
const cpu = process.cpuUsage(), at = process.hrtime.bigint();
await run(n);
const used = process.cpuUsage(cpu), wall = Number(process.hrtime.bigint() - at) / 1e9;
console.log(JSON.stringify({ rate: n / wall, per_cpu_s: n / ((used.user + used.system) / 1e6) }));
