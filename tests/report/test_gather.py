"""Runs that differ in nothing but the seed are one setting, and what looks alike but is not stays apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnrun.report.entry import Entry
from nnrun.report.gather import gather
from nnrun.report.side_by_side import side_by_side
from nnrun.statistics.metric import SHARE

ADAM = {"optimizer.name": "adam", "optimizer.learning_rate": 0.1}
SGD = {"optimizer.name": "sgd", "optimizer.learning_rate": 0.1}


def run(name: str, seed: int, value: float, settings: dict[str, Any], **changes: Any) -> Entry:
    plain = Entry(
        name=name,
        runs=(Path(f"runs/{name}"),),
        status="done",
        settings={"name": name, "train.seed": seed, **settings},
        metrics={"test/accuracy": {seed: value}},
        seeds=(seed,),
        written=frozenset(),
        rising=frozenset({"accuracy"}),
        bounds={"accuracy": SHARE},
        judged="val/accuracy",
        data=("digest", 0, None),
        code=(("nnrun", "0.1.0"),),
    )
    return plain._replace(**changes)


def test_loose_runs_are_seeds_of_their_setting_and_are_tested_in_pairs() -> None:
    """In any order, in any folders; six differences of one sign have p = 2/64."""
    runs = [
        run(f"{name}-{seed}", seed, base + seed / 1000, settings)
        for seed in range(6)
        for name, base, settings in (("fast", 0.9, ADAM), ("plain", 0.8, SGD))
    ]
    settings, notes = gather(runs[::-1])
    assert [(entry.name, sorted(entry.seeds), len(entry.runs)) for entry in settings] == [
        ("plain", [0, 1, 2, 3, 4, 5], 6),
        ("fast", [0, 1, 2, 3, 4, 5], 6),
    ]
    assert settings[1].metrics == {"test/accuracy": {seed: 0.9 + seed / 1000 for seed in range(6)}}
    [pair] = side_by_side(settings).comparisons
    assert (pair.seeds, pair.p) == (6, 2 / 64)
    assert pair.difference == pytest.approx(-0.1)
    assert [note.partition(": ")[0] for note in notes] == ["plain", "fast"]


def test_a_group_and_runs_beside_it() -> None:
    """A group of seeds 0 to 2 and one run with seed 3 are four seeds."""
    group = run("five", 0, 0.9, ADAM, seeds=(0, 1, 2), metrics={"test/accuracy": {0: 0.9, 1: 0.8, 2: 0.7}})
    [entry], [note] = gather([group, run("late", 3, 0.6, ADAM)])
    assert entry.seeds == (0, 1, 2, 3)
    assert entry.metrics["test/accuracy"] == {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6}
    assert note == "five +1: 2 runs that differ in nothing but the seed: five, late"


def test_a_seed_counts_once() -> None:
    settings, notes = gather([run("a-0", 0, 0.9, ADAM), run("a-1", 1, 0.8, ADAM), run("again", 0, 0.9, ADAM)])
    assert [(entry.name, entry.seeds) for entry in settings] == [("a", (0, 1)), ("again", (0,))]
    assert notes[-1] == (
        "a and again have the same settings and a seed in common, with the same values: "
        "a second run of a seed is not counted as a further seed"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": ("other digest", 0, None)}, "but other data: they are not gathered"),
        ({"code": (("model.py", "1f"), ("nnrun", "0.1.0"))}, "but model.py differs: they are not gathered"),
        (
            {"code": (("model.py", "1f"), ("nnrun", "0.2"))},
            "but model.py, nnrun differ: they are not gathered",
        ),
    ],
)
def test_other_data_and_other_code_stay_apart(changes: dict[str, Any], reason: str) -> None:
    settings, notes = gather([run("a-0", 0, 0.9, ADAM), run("b-1", 1, 0.8, ADAM, **changes)])
    assert [entry.name for entry in settings] == ["a-0", "b-1"]
    assert notes == [f"a-0 and b-1 have the same settings, {reason}"]


def test_names_tell_settings_apart() -> None:
    """By the beginning that names share, by the setting behind it where two share one, else by the first name."""
    runs = [run(f"iris-{i}", i % 2, 0.9, ADAM if i < 2 else SGD) for i in range(4)]
    assert [entry.name for entry in gather(runs)[0]] == ["iris (adam)", "iris (sgd)"]
    neither = [
        run(
            f"iris-{i}", i % 2, 0.9, {"optimizer.name": "adam" if i < 4 else "sgd", "model.depth": i // 2 % 2}
        )
        for i in range(8)
    ]
    assert [entry.name for entry in gather(neither)[0]] == [
        "iris-0 +1",
        "iris-2 +1",
        "iris-4 +1",
        "iris-6 +1",
    ]
    unlike = [run("x", 0, 0.9, ADAM), run("y", 1, 0.9, ADAM), run("z", 1, 0.9, SGD)]
    assert [entry.name for entry in gather(unlike)[0]] == ["x +1", "z"]


def test_a_run_that_is_not_done_is_said() -> None:
    """Its seed is one of the setting's, without a value."""
    [entry], _ = gather([run("a-0", 0, 0.9, ADAM), run("a-1", 1, 0.0, ADAM, status="crashed", metrics={})])
    assert entry.status == "done, crashed"
    assert entry.seeds == (0, 1)
    assert entry.metrics == {"test/accuracy": {0: 0.9}}


def test_what_makes_no_difference_keeps_nothing_apart() -> None:
    [entry], _ = gather(
        [
            run("a-0", 0, 0.9, {**ADAM, "checkpoint.keep": 1}),
            run("a-1", 1, 0.9, {**ADAM, "checkpoint.keep": 2}),
        ]
    )
    assert entry.seeds == (0, 1)


def test_one_setting_has_nothing_to_compare_with() -> None:
    settings, _ = gather([run("a-0", 0, 0.9, ADAM), run("a-1", 1, 0.8, ADAM)])
    assert side_by_side(settings).sentences == [
        "all of these runs are one setting; there is no other to compare it with"
    ]
