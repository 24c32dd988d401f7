// specs/jetstream.md §19, §23.19: one reader puts raw events into Redis, workers of a consumer group
// store them; one of them is killed.  TAP.
import { base, equal, fixtures, join, main, ok, readdirSync, readFileSync, Run, run, same, skip, storeDir, stored, until } from "./jetstream_lib.mjs";
import { command, entries, freePort, redisBinary, startRedis } from "./jetstream_redis_lib.mjs";

const fx = fixtures();
const events = fx ? fx.lines("events.ndjson") : [];
const file = fx && join(fx.dir, "events.ndjson");
const all = ["--collection", "*", "--hydrate", "none"];

const tests = {
  async t19_group() {
    if (!redisBinary) return skip("19 consumer group", "redis is not installed");
    const port = await freePort(), s = await startRedis(port), url = ["--redis", `redis://127.0.0.1:${port}`];
    let r = await run("run", "--from", file, ...all, "--store", storeDir(), "--envelope", "raw", "--sink", "redis", ...url,
      "--redis-stream", "raw", ...base);
    ok(r.code === 0, "19 the reader fills the stream", r.code, r.err);
    ok(same((await entries(port, "raw")).map(e => e.fields.data), events), "19 with the events, byte for byte");

    const worker = (dir, name) => new Run(["run", "--from", "redis:raw", "--group", "turbo", "--consumer", name, ...all, "--store", dir,
      ...url, "--batch", "50", "--linger", "5ms", "--compress", "none", ...base]);
    // A consumer that took entries and died long ago: they are claimed.
    await command(port, "XGROUP", "CREATE", "raw", "turbo", "0");
    const lost = (await command(port, "XREADGROUP", "GROUP", "turbo", "gone", "COUNT", "40", "STREAMS", "raw", ">"))[0][1].map(e => e[0]);
    await command(port, "XCLAIM", "raw", "turbo", "gone", "0", ...lost, "IDLE", "70000");
    // And an entry that was delivered too often: a dead letter.
    await command(port, "XCLAIM", "raw", "turbo", "gone", "0", lost[7], "IDLE", "70000", "RETRYCOUNT", "6");

    const [a, b] = [storeDir(), storeDir()];
    const first = worker(a, "a"), second = worker(b, "b");
    const count = d => { try { return stored(d).length; } catch { return 0; } };
    await until(() => count(a) > 0 || count(b) > 0, "rows");
    await first.stop("SIGKILL");
    const again = worker(a, "a"); // the same name: its own pending entries come first
    await until(async () => {
      const [g] = await command(port, "XINFO", "GROUPS", "raw"), at = name => g[g.indexOf(name) + 1];
      return at("pending") === 0 && at("lag") === 0;
    }, "all acknowledged", 90000);
    ok(true, "19 every entry is acknowledged");
    // Before it is ready the signal would end it.
    await until(() => again.err.includes("started") && second.err.includes("started"), "both workers");
    ok(await again.stop() === 0 && await second.stop() === 0, "19 the workers end with 0", again.code, second.code, again.err, second.err);
    const got = [...stored(a), ...stored(b)], set = new Set(got);
    const dead = readdirSync(a).concat(readdirSync(b)).includes("dead.ndjson") &&
      [a, b].flatMap(d => { try { return readFileSync(join(d, "dead.ndjson"), "utf8").trim().split("\n"); } catch { return []; } }).map(l => JSON.parse(l));
    // Once, or again by another worker when the first was killed before it acknowledged.
    equal([new Set(dead.map(d => d.bytes_base64)).size, dead[0]?.reason], [1, "envelope"], "19 an entry delivered more than 5 times is a dead letter", dead);
    const buried = dead && Buffer.from(dead[0].bytes_base64, "base64").toString();
    ok(events.every(e => set.has(e) || e === buried), "19 none is lost", set.size);
    await s.stop();
  },

  async partitions_and_trimming() {
    if (!redisBinary) return skip("19 partitions", "redis is not installed");
    const port = await freePort(), s = await startRedis(port), url = ["--redis", `redis://127.0.0.1:${port}`];
    let r = await run("run", "--from", file, ...all, "--store", storeDir(), "--envelope", "raw", "--sink", "redis", ...url,
      "--redis-stream", "p", "--redis-partitions", "3", ...base);
    const parts = [];
    for (const i of [0, 1, 2]) parts.push((await entries(port, "p." + i)).map(e => e.fields.data));
    ok(r.code === 0 && same(parts.flat().sort(), [...events].sort()), "19 partitions hold everything once", parts.map(p => p.length), r.err);
    const home = new Map(parts.flatMap((p, i) => p.map(e => [JSON.parse(e).did, i])));
    ok(parts.every((p, i) => p.every(e => home.get(JSON.parse(e).did) === i)), "19 all events of an account are in one");

    // A group has read 500 of 2,000 entries and acknowledged 300: nothing that it needs may go.
    await command(port, "XGROUP", "CREATE", "t", "g", "0", "MKSTREAM");
    r = await run("run", "--from", file, ...all, "--store", storeDir(), "--envelope", "raw", "--sink", "redis", ...url,
      "--redis-stream", "t", "--redis-maxlen", "100", ...base);
    equal(await command(port, "XLEN", "t"), 2000, "19 a stream with a group is not cut by its length", r.err);
    const ids = (await command(port, "XREADGROUP", "GROUP", "g", "c", "COUNT", "500", "STREAMS", "t", ">"))[0][1].map(e => e[0]);
    await command(port, "XACK", "t", "g", ...ids.slice(0, 300));
    // One more batch makes the sink look at the groups again.
    await run("run", "--from", file, ...all, "--store", storeDir(), "--envelope", "raw", "--sink", "redis", ...url, "--redis-stream", "t",
      "--redis-maxlen", "100", "--limit", "5", ...base);
    const left = (await entries(port, "t")).map(e => e.id);
    ok(left.length < 2005 && left.includes(ids[300]) && left.indexOf(ids[300]) < 200, "19 what a group is done with goes, no more", left.length);
    await s.stop();
  },

  async t19_redis_away() {
    if (!redisBinary) return skip("19 Redis away", "redis is not installed");
    const port = await freePort(), url = ["--redis", `redis://127.0.0.1:${port}`], dir = storeDir();
    const w = new Run(["run", "--from", "redis:raw", "--group", "turbo", ...all, "--store", dir, ...url, "--linger", "5ms", ...base]);
    let s = await startRedis(port);
    const fill = (n, m) => events.slice(n, m).reduce((p, e) => p.then(() => command(port, "XADD", "raw", "*", "data", e)), Promise.resolve());
    await fill(0, 30);
    await until(() => { try { return stored(dir).length === 30; } catch { return false; } }, "the first rows");
    await s.stop();
    s = await startRedis(port); // empty: stream and group are gone
    await fill(30, 60);
    await until(() => stored(dir).length === 60, "rows after it came back empty", 60000);
    ok(same(stored(dir), events.slice(0, 60)), "19 Redis that comes back empty is read on, in order");
    ok(await w.stop() === 0, "19 ends with 0", w.code, w.err);
    const bad = await run("run", "--from", "redis:raw", ...all, "--store", storeDir(), ...url, ...base);
    equal(bad.code, 64, "19 --group is needed", bad.err);
    await command(port, "SET", "text", "x");
    const wrong = await run("run", "--from", "redis:text", "--group", "g", ...all, "--store", storeDir(), ...url, ...base);
    ok(wrong.code === 69 && wrong.err.includes("WRONGTYPE"), "19 a key that is no stream ends it", wrong.code, wrong.err);
    await s.stop();
  },
};

await main(tests);
