-- wrk script: POSTs events, each with a dedup_id of its own and a payload of 200 bytes.
-- Arguments after `--`: API-KEY ("" for the baseline) and RUN, a text that makes the ids of this
-- run unique. Environment: BENCH_DELAY_MS, pause of a connection between its requests.
-- Prints one line: requests p50_ms p95_ms p99_ms max_ms errors per_second
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  key, run, n = args[1], args[2], 0
  fill = string.rep("x", 200 - #'{"data":""}')
  pause = tonumber(os.getenv("BENCH_DELAY_MS") or "0")
  headers = { ["Content-Type"] = "application/json" }
  if key ~= "" then headers["X-API-Key"] = key end
end

function request()
  n = n + 1
  return wrk.format("POST", "/api/events", headers, string.format(
    '{"type":"bench.event","dedup_id":"%s-%d-%d","payload":{"data":"%s"}}', run, number, n, fill))
end

if tonumber(os.getenv("BENCH_DELAY_MS") or "0") > 0 then
  function delay() return pause end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("%d %.3f %.3f %.3f %.3f %d %.1f\n", summary.requests,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000,
    e.connect + e.read + e.write + e.status + e.timeout,
    summary.requests / (summary.duration / 1e6)))
end
