"""Measures `zk triggers serve --db postgres://…` at 50 connections against pgbench, which inserts
rows of the same shape in batches of 20 over one connection into the same PostgreSQL (with fsync).
The two take turns; what is printed are medians. scripts/bench runs it.

usage: postgres.py BENCH-BUILD-DIR [--seconds N] [--rounds N]
"""

import argparse
import os
import re
import statistics
import subprocess
import sys

import triggers  # first: it says where the libraries are

import services  # noqa: E402
import zkt  # noqa: E402

BATCH = 20
SQL = f"""
WITH i AS (SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp())*1000)::bigint),12,'0') ||
  '70008' || substr(md5(random()::text),1,15))::uuid AS id FROM generate_series(1,{BATCH})),
d AS (INSERT INTO deduplication_cache SELECT '0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b', id::text, id,
  now() + interval '1 day' FROM i ON CONFLICT DO NOTHING RETURNING event_id),
e AS (INSERT INTO events SELECT id, '0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b', 'bench.event',
  id::text, json_build_object('data', repeat('x', 189)), now() FROM i)
INSERT INTO event_deliveries(event_id, organization_id, status, updated_at)
  SELECT id, '0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b', 'pending', now() FROM i;
"""


def schema(pg, name):
    subprocess.run([pg.env["PGBIN"] + "/psql", pg.db_url, "-qc", f"CREATE SCHEMA {name}"],
                   check=True)
    return f"{pg.db_url}?options=-csearch_path%3D{name}"


def pgbench(pg, url, script, seconds):
    """Rows per second."""
    out = subprocess.run([pg.env["PGBIN"] + "/pgbench", "-n", "-c1", "-j1", "-M", "prepared",
                          f"-T{seconds}", "-f", script, url], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return float(re.search(r"tps = ([\d.]+)", out)[1]) * BATCH


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    zkt.ZK = os.path.join(args.build, "zk")
    secret = zkt.write(zkt.tmp() + "/secret", "the server secret of a benchmark\n")
    pg = services.start("pg", fast=False)
    try:
        floor = schema(pg, "floor")
        made = zkt.zk("triggers", "migrate", "--db", floor)
        zkt.need(made.status == 0, f"{made!r}")
        script = zkt.write(zkt.tmp() + "/batch.sql", " ".join(SQL.split()))
        with triggers.serve(schema(pg, "bench"), "--webhook-secret-file", secret) as server:
            key = triggers.make_key(server)
            rows, loads = [], []
            for i in range(args.rounds):
                rows.append(pgbench(pg, floor, script, args.seconds))
                loads.append(triggers.wrk("events.lua", server, 50, args.seconds,
                                          [key, f"r{i}"]))
            ratios = sorted(own.per_second / its for own, its in zip(loads, rows))
            zk = triggers.Load.median(loads)
            print(f"PostgreSQL, events/s, 50 connections: {zk.per_second:.0f}, "
                  f"{statistics.median(ratios):.3f} of the {statistics.median(rows):.0f} rows/s "
                  f"of pgbench in batches of {BATCH} ({ratios[0]:.3f} to {ratios[-1]:.3f} in "
                  f"{args.rounds} rounds)")
            print(f"    zk        {zk}")
            print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    except zkt.Failure as e:
        sys.exit(f"postgres.py: {e}")
    finally:
        zkt.clean_up()
        pg.stop()


if __name__ == "__main__":
    main()
