"""The conformance suites on the device, for as long as there is time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter

from gpu_check import ROOT, Check, say

SUITES = ("layer", "optimizer", "loss", "penalty", "augment", "average", "model")
SMALL_SUITES = ("penalty", "average")
_RESULT = re.compile(
    r"(PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b.*?(tests/\S+.*)|^(tests/\S+.*?) (PASSED|FAILED|ERROR|SKIPPED)"
)
_LAST = 6.0  # seconds that pytest gets to sum up


def tests(check: Check) -> None:
    """Section: tests of layers, optimizers, losses, penalties, augmentations, averages and models on the device."""
    cores = os.cpu_count() or 1
    folders = [f"tests/{name}" for name in (SMALL_SUITES if check.small else SUITES)]
    command = [
        sys.executable, "-m", "pytest", "-v", "--tb=short", "-n", str(8 if cores >= 8 else 0), "-p", "no:cacheprovider",
        *folders,
    ]  # fmt: skip
    counts: Counter[str] = Counter()
    rest: list[str] = []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    timers = [
        threading.Timer(max(1.0, check.left - _LAST), process.send_signal, [signal.SIGINT]),
        threading.Timer(max(2.0, check.left - 1), process.kill),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        match = _RESULT.search(line)
        result, test = (match[1] or match[4], match[2] or match[3]) if match else ("", "")
        if result and not rest and check.left > _LAST:  # what is interrupted counts as an error
            counts[result] += 1
            if result in ("FAILED", "ERROR"):
                check.conclude(f"    {result} {test.strip()}")
        elif rest or (line.startswith("===") and ("FAILURES" in line or "ERRORS" in line)):
            rest.append(line)
    process.wait()
    for timer in timers:
        timer.cancel()
    for line in rest[:120]:
        say(f"    {line.rstrip()[:160]}")
    check.note("counts", counts)
    check.note("output", "".join(rest)[-20_000:])
    ended = "" if process.returncode in (0, 1) else f" (stopped: exit code {process.returncode})"
    check.conclude(
        f"tests: {', '.join(f'{n} {what.lower()}' for what, n in counts.items()) or 'none ran'}{ended}"
    )
