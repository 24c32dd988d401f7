#!/usr/bin/env python3
"""A worker in ten lines of any language, behind zk:

    zk procwire worker --handle 'upper=co:python3 examples/filter.py'
"""
import json
import sys

for line in sys.stdin:
    call = json.loads(line)
    if "abort" not in call:
        print(json.dumps({"id": call["id"], "data": str(call["data"]).upper()}), flush=True)
