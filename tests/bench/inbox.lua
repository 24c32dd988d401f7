-- wrk script: reads pages of 100 events of the inbox. Argument after `--`: API-KEY.
-- Prints one line: requests p50_ms p95_ms p99_ms max_ms errors per_second
function init(args)
  headers = { ["X-API-Key"] = args[1] }
end

function request()
  return wrk.format("GET", "/api/inbox?limit=100", headers)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("%d %.3f %.3f %.3f %.3f %d %.1f\n", summary.requests,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000,
    e.connect + e.read + e.write + e.status + e.timeout,
    summary.requests / (summary.duration / 1e6)))
end
