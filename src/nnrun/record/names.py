"""What the files of run folders are called, where no module that alone reads and writes one has its name.

Rooms that may not import each other read the same files, so their names lie below all of them.
"""

from __future__ import annotations

__all__ = [
    "ACCOUNT", "ALL", "BEST", "CRASH", "ENSEMBLE", "EXAMPLES", "FINALS", "LEADERBOARD", "LEADERBOARD_CSV", "METRICS",
    "PROVENANCE", "REPORT", "RESOLVED", "ROUNDS", "SPEC", "SUMMARY", "SWEEP", "SWEEP_FILE", "TIMING", "TRACKING",
    "TRACKING_LOCK", "TRIALS",
]  # fmt: skip

# of a run or a group of seeds or folds
SPEC = "spec.yaml"  # as it was written
RESOLVED = "resolved.yaml"  # with every default
PROVENANCE = "run.json"
METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
SUMMARY = "summary.json"
CRASH = "crash.log"
REPORT = "report.html"  # of a sweep and an ensemble, too
TRACKING = "tracking.json"
TRACKING_LOCK = "tracking.lock"

# of an ensemble
ENSEMBLE = "ensemble.json"  # what it is made of
ACCOUNT = "account.json"  # what it gained

# of a sweep
SWEEP_FILE = "sweep.yaml"  # what was asked for
SWEEP = "sweep.json"  # what that means
TRIALS = "trials.jsonl"
FINALS = "final.jsonl"
ROUNDS = "rounds.jsonl"
EXAMPLES = "examples.json"
BEST = "best.yaml"
LEADERBOARD = "leaderboard.json"
LEADERBOARD_CSV = "leaderboard.csv"

ALL = frozenset({
    SPEC, RESOLVED, PROVENANCE, METRICS, TIMING, SUMMARY, CRASH, REPORT, TRACKING, TRACKING_LOCK, ENSEMBLE, ACCOUNT,
    SWEEP_FILE, SWEEP, TRIALS, FINALS, ROUNDS, EXAMPLES, BEST, LEADERBOARD, LEADERBOARD_CSV,
})  # fmt: skip
