"""Checks of the data of `nnrun check`: labels that contradict each other, names, leaks, and checks that fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.probe import check, examples, first_steps, start
from nnrun.probe.finding import Finding
from nnrun.probe.leaks import _spread_within, _strangers
from nnrun.probe.shared import NotMadeError, Shared
from nnrun.runner import session


def of_table(
    folder: Path, rows: list[str], data: str = "", loss: str = "cross_entropy"
) -> dict[str, Finding]:
    """The findings on the data of a table with the target y."""
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    (folder / "t.yaml").write_text(
        f"data: {{name: csv, path: t.csv, target: y{data}}}\nmodel: {{name: mlp, hidden: [4]}}\n"
        f"loss: {loss}\noptimizer: {{name: sgd, learning_rate: 0.1}}\ntrain: {{duration: 2 epochs}}\n"
    )
    experiment = session.prepare(folder / "t.yaml").experiment
    return {finding.check: finding for finding in check.of_data(experiment)}


def test_one_input_under_two_labels(tmp_path: Path) -> None:
    """Three rows of one input, two of them no, and two of another: of 200 rows two must be wrong."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[7] = x[3] = x[150]
    x[60] = x[90]
    labels = ["yes" if a > 0 else "no" for a, _ in x]
    labels[3], labels[7], labels[150], labels[60], labels[90] = "no", "yes", "no", "yes", "no"
    found = of_table(
        tmp_path, ["a,b,y", *(f"{a:.6f},{b:.6f},{y}" for (a, b), y in zip(x, labels, strict=True))]
    )
    made = found["conflicting labels"]
    assert made.verdict == "warn" and made.evidence.startswith(
        "2 inputs with more than one label, such as row "
    )
    assert made.numbers == {"inputs": 2, "examples": 5, "best_accuracy": 0.99}


def test_inputs_that_chance_repeats_are_no_conflict(tmp_path: Path) -> None:
    """Six bits have 64 values, so 400 rows repeat them, with both labels."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (400, 6))
    rows = [",".join(map(str, row)) + f",{'yes' if row[0] ^ (rng.random() < 0.2) else 'no'}" for row in bits]
    made = of_table(tmp_path, [",".join("abcdef") + ",y", *rows])["conflicting labels"]
    assert made.verdict == "pass" and made.evidence.endswith("inputs take few values, so that chance does it")


def test_copies_that_all_parts_have_alike(tmp_path: Path) -> None:
    """One row in twenty is a copy of another one, anywhere; where rows are six bits, chance makes as many."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3))
    x[rng.choice(1000, 50, replace=False)] = x[rng.choice(1000, 50)]
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{a + b:.4f}" for a, b, c in x]
    made = of_table(tmp_path, ["a,b,c,y", *rows], loss="squared_error")["duplicates"]
    assert made.verdict == "warn" and "do not repeat by chance" in made.evidence
    assert "remove them, or keep copies together" in made.remedy
    bits = rng.integers(0, 2, (1000, 6))
    rows = [",".join(map(str, row)) + f",{row[0] + rng.normal():.3f}" for row in bits]
    made = of_table(tmp_path, [",".join("abcdef") + ",y", *rows], loss="squared_error")["duplicates"]
    assert made.verdict == "pass" and made.numbers["val_in_train"] == 100


@pytest.mark.parametrize("unknown", ["refuse", "zeros"])
def test_names_that_only_a_later_part_has(tmp_path: Path, unknown: str) -> None:
    """The parts follow one another in time, and the last twelve rows have a name of their own."""
    rng = np.random.default_rng(0)
    names = [*rng.choice(["red", "blue"], 188), *["violet"] * 12]
    a = rng.normal(size=200)
    rows = [f"{i},{names[i]},{a[i]:.4f},{'yes' if a[i] > 0 else 'no'}" for i in range(200)]
    made = of_table(
        tmp_path, ["t,colour,a,y", *rows], f", categorical: [colour], time: t, unknown: {unknown}"
    )
    shown = "'violet'" if unknown == "refuse" else "(unknown)"
    assert made["categories"].verdict == "warn"
    assert made["categories"].evidence == f"names that training lacks: colour {shown} (12 of test)"


def test_names_that_give_the_target_away(tmp_path: Path) -> None:
    """Sorted by name, labels change four times; among the others of its name, each label is the only one."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    codes = {True: ["k1", "k3", "k5"], False: ["k2", "k4"]}
    rows = [f"{rng.choice(codes[bool(b > 0)])},{b + rng.normal():.4f},{'yes' if b > 0 else 'no'}" for b in a]
    made = of_table(tmp_path, ["code,a,y", *rows], ", categorical: [code]")["leaks"]
    assert made.verdict == "warn" and made.evidence.startswith("code alone gives away the target")
    names = rng.choice(["k1", "k5", "k3"], 300)
    rows = [f"{name},{b:.4f},{10 * int(name[1])}" for name, b in zip(names, a, strict=True)]
    made = of_table(tmp_path, ["code,a,y", *rows], ", categorical: [code]", "squared_error")["leaks"]
    assert made.verdict == "warn" and made.evidence.startswith("code alone")


def test_what_a_value_says_of_another_example() -> None:
    """By hand: of 0 0 0 1 under one name the last is a stranger, of 1 1 none; of a single one nothing is known."""
    names = np.array([0.0] * 4 + [1.0] * 5 + [2.0])
    labels = np.array([0, 0, 0, 1] + [1] * 5 + [0])
    assert _strangers(labels, names) == 1.0  # ten examples of three names are too few to be names
    assert _strangers(np.tile(labels, 2), np.tile(names, 2)) == pytest.approx(2 / 20)
    y = np.array([1.0, 3.0, 10.0, 14.0] * 5)
    feature = np.array([0.0, 0.0, 1.0, 1.0] * 5)
    within = (10 * 10 / 9 * 1 + 10 * 10 / 9 * 4) / (20 * y.var())
    assert _spread_within(y, feature[:, None]) == pytest.approx([within])


def test_few_test_examples_of_a_class() -> None:
    labels = {"train": [0] * 20 + [1] * 20, "val": [0, 1], "test": [0] * 9 + [1] * 4}
    parts = {part: SimpleNamespace(y=np.array(y, np.int32)) for part, y in labels.items()}
    dataset: Any = SimpleNamespace(
        classes=("a", "b"), fitted=SimpleNamespace(label_classes=(), targets=()), **parts
    )
    made = examples.check_classes(dataset)
    assert made.verdict == "warn" and made.evidence.startswith("fewer than 5 test examples of b; ")


def test_a_value_that_cannot_be_made_is_asked_for_once() -> None:
    calls: list[int] = []

    def make() -> int:
        calls.append(1)
        raise ZeroDivisionError

    shared = Shared(make)
    with pytest.raises(ZeroDivisionError):
        shared()
    with pytest.raises(NotMadeError):
        shared()
    assert len(calls) == 1


def test_checks_of_the_model_that_raise_end_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the loss and of the first steps fail, what looks at the same steps is not made, the rest is."""

    def broken(*_: object) -> None:
        raise FloatingPointError("first line\nadvice to programmers")

    monkeypatch.setattr(start, "check_start", broken)
    monkeypatch.setattr(first_steps, "first_steps", broken)
    path = tmp_path / "iris.yaml"
    path.write_text(
        "data: {name: iris, batch_size: 32}\nmodel: {name: mlp, hidden: [16]}\nloss: cross_entropy\n"
        "optimizer: {name: sgd, learning_rate: 0.05}\ntrain: {duration: 20 epochs}\n"
    )
    made = {finding.check: finding for finding in check.findings(session.prepare(path), tmp_path)}
    assert tuple(made) == check.CHECKS
    assert {name: finding.verdict for name, finding in made.items() if finding.verdict != "pass"} == {
        "categories": "skip", "initial loss": "fail", "learning rate": "fail", "dead units": "skip",
    }  # fmt: skip
    assert made["initial loss"].evidence == "the check itself failed: FloatingPointError: first line"
    assert made["initial loss"].remedy.startswith("a fault of nnrun, please report it")


def test_a_state_that_the_memory_cannot_hold_is_a_finding(tmp_path: Path) -> None:
    """10¹² weights: nothing is allocated, the checks of the data are made, those of the model are not."""
    path = tmp_path / "iris.yaml"
    path.write_text(
        "data: iris\nmodel: {name: mlp, hidden: [1000000, 1000000]}\nloss: cross_entropy\n"
        "optimizer: {name: sgd, learning_rate: 0.05}\ntrain: {duration: 5 epochs}\n"
    )
    shown: list[str] = []

    class Counting:
        def __init__(self, what: str, total: int | None) -> None:
            shown.append(f"{what} {total}")

        def __enter__(self) -> Any:
            return lambda: None

        def __exit__(self, *_: object) -> None: ...

    made = {finding.check: finding for finding in check.check(path, [], tmp_path, Counting)}
    assert tuple(made) == check.CHECKS and shown == [f"checking {len(check.CHECKS)}"]
    assert (
        made["memory"].verdict == "fail" and "the run needs about 111" in made["memory"].remedy
    )  # 3 × 4e12 / 2³⁰
    assert made["leaks"].verdict == "pass" and made["gradients"].verdict == "skip"
