"""Counts the tests in meson-logs/testlog.json files.

usage: count.py FILE...

Prints the failed ones to stderr and "PASSED FAILED SKIPPED" to stdout. A test program that
speaks TAP counts by its lines; any other one counts as one. A program that failed although no
line of it did (it crashed, leaked, or its plan and its lines differ) counts as one failure more.
"""

import json
import re
import sys

RESULT = re.compile(r"^(not )?ok\b(.*)$", re.M)
PLAN = re.compile(r"^1\.\.(\d+)", re.M)


def count(entry):
    """(passed, failed, skipped, reasons) of one entry of the log."""
    stdout = entry.get("stdout") or ""
    result = entry["result"]
    lines = RESULT.findall(stdout)
    plan = PLAN.search(stdout)
    if not lines and not (plan and int(plan[1]) == 0):
        passed = result in ("OK", "EXPECTEDFAIL")
        skipped = result == "SKIP"
        if passed or skipped:
            return int(passed), 0, int(skipped), []
        return 0, 1, 0, [result.lower()]

    passed = failed = skipped = 0
    reasons = []
    for not_ok, rest in lines:
        if re.search(r"# SKIP\b", rest, re.I):
            skipped += 1
        elif not_ok:
            failed += 1
            reasons.append(re.sub(r"^\s*\d*\s*-?\s*", "", rest))
        else:
            passed += 1
    if not lines:
        skipped = 1
    if plan is None or (lines and int(plan[1]) != len(lines)):
        failed += 1
        reasons.append(f"{plan[1] if plan else 'no'} tests planned, {len(lines)} ran")
    elif result not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        failed += 1
        reasons.append(f"{result.lower()}, exit status {entry.get('returncode')}")
    return passed, failed, skipped, reasons


def main():
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for text in log:
                entry = json.loads(text)
                *numbers, reasons = count(entry)
                total = [a + b for a, b in zip(total, numbers)]
                for reason in reasons:
                    print(f"failed: {entry['name']}: {reason}", file=sys.stderr)
    print(*total)


if __name__ == "__main__":
    main()
