"""A run trained a second time, and several processes that are to train one: what differs, in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import DataError, MachineError, RunError, SpecError
from nnrun.record import checkpoint, metrics, run
from nnrun.runner.again import begin_again, compare, refuse_unfinished
from nnrun.runner.other_settings import _differences
from nnrun.runner.together import _flat, differences

RunAt = Callable[..., Path]


def log(folder: Path, *records: dict[str, float]) -> None:
    (folder / "metrics.jsonl").write_bytes(b"".join(map(metrics.line, records)))


def logged(step: int, loss: float, **more: float) -> dict[str, float]:
    return {"step": step, "train/loss": loss, **more}


@pytest.fixture
def pair(run_at: RunAt) -> tuple[Path, Path]:
    """Two runs with the same two lines and the same two checkpoints."""
    folders = [run_at(name, "done", steps=(4, 8)) for name in ("first", "second")]
    for folder in folders:
        log(folder, logged(4, 2.0, rate=0.1), logged(8, 1.0, rate=0.1))
    return folders[0], folders[1]


def test_the_same_bits_differ_in_nothing(pair: tuple[Path, Path]) -> None:
    found = compare(*pair)
    assert (found.runs, found.lines, found.arrays, found.differences) == (1, 2, 2, [])


def test_the_first_line_that_differs_is_named_and_the_largest_difference(pair: tuple[Path, Path]) -> None:
    """Against the largest value of each metric: 0.5 of 2 for the loss, 0.04 of 0.1 for the rate."""
    log(pair[1], logged(4, 2.0, rate=0.1), logged(8, 1.5, rate=0.14))
    assert compare(*pair).differences == [
        "step 8: train/loss was 1.0, is 1.5",
        "the largest difference of a metric is 0.4 of its largest value, in rate",
    ]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([logged(4, 2.0, rate=0.1)], ["it has logged 1 line, the first time 2"]),
        ([logged(4, 2.0), logged(8, 1.0, rate=0.1)], ["step 4: rate was 0.1, is nothing"]),
        ([logged(4, 2.0, rate=0.1, new=3.0), logged(8, 1.0, rate=0.1)], ["step 4: new was nothing, is 3.0"]),
        (
            [logged(4, float("nan"), rate=0.1), logged(8, 1.0, rate=0.1)],
            ["step 4: train/loss was 2.0, is nan"],
        ),
    ],
)
def test_lines_that_are_missing_and_numbers_that_are(
    records: list[dict[str, float]], expected: list[str], pair: tuple[Path, Path]
) -> None:
    log(pair[1], *records)
    found = compare(*pair).differences
    assert found[:1] == expected
    assert not any("nan" in line or "inf" in line for line in found[1:])  # which would say nothing


def test_only_the_first_line_that_differs_is_named(pair: tuple[Path, Path]) -> None:
    log(pair[1], logged(4, 2.5, rate=0.1), logged(8, 1.5, rate=0.1))
    found = compare(*pair).differences
    assert found[0] == "step 4: train/loss was 2.0, is 2.5" and len(found) == 2
    log(pair[1], logged(4, 2.5, rate=0.1))  # columns of two lengths are not compared number by number
    assert compare(*pair).differences == [found[0], "it has logged 1 line, the first time 2"]


def test_nan_is_the_same_as_nan(pair: tuple[Path, Path]) -> None:
    for folder in pair:
        log(folder, logged(4, float("nan")), logged(8, float("inf")))
    assert compare(*pair).differences == []


def replace(folder: Path, step: int, **arrays: Any) -> None:
    place = folder / "checkpoints"
    old = checkpoint.load(checkpoint.step_folder(place, step))
    shutil.rmtree(checkpoint.step_folder(place, step))
    checkpoint.save(place, step, {**old.arrays, **arrays}, old.progress, 0)


def test_arrays_of_the_last_checkpoint_are_compared_by_their_bits(pair: tuple[Path, Path]) -> None:
    first, second = pair
    replace(second, 4, **{"params/w": np.zeros(3, np.float32)})  # which nobody compares
    assert compare(*pair).differences == []
    replace(second, 8, **{"params/w": np.array([8, 8, 10], np.float32)})
    (line,) = compare(*pair).differences
    assert (
        line
        == "1 of 2 arrays of the checkpoint of step 8 differ, by at most 0.25 of their largest value: params/w"
    )
    for folder, sign in ((first, 0.0), (second, -0.0)):
        replace(folder, 8, **{"params/w": np.full(3, sign, np.float32)})
    assert "by at most 0 of" in compare(*pair).differences[0]  # -0 has other bits
    many = {f"params/{name}": np.ones(1, np.float32) for name in "abcd"}
    replace(first, 8, **many)
    replace(second, 8, **{name: 2 * array for name, array in many.items()})
    (line,) = compare(*pair).differences
    assert line.endswith(": params/a, params/b, params/c, ...") and line.startswith("5 of 6 arrays")


def test_a_run_that_ended_elsewhere_is_not_compared_further(pair: tuple[Path, Path]) -> None:
    shutil.rmtree(checkpoint.step_folder(pair[1] / "checkpoints", 8))
    assert compare(*pair).differences == ["it ended at step 4, the first time at step 8"]
    shutil.rmtree(pair[1] / "checkpoints")
    assert compare(*pair).differences == ["it ended at step 0, the first time at step 8"]


def test_a_group_begins_again_with_what_it_began_with(run_at: RunAt, tmp_path: Path) -> None:
    group = run_at("g", "done", spec="train: {seed: 0, seeds: 2}\n")
    for seed in range(2):
        folder = run_at(f"g/seed_{seed}", "done", steps=(4,), spec="train: {seed: 0, seeds: 1}\n")
        (folder / "run.json").write_text(f'{{"seed": {seed}}}')
        log(folder, logged(4, 1.0))
    (group / "summary.json").write_text("{}")
    target = tmp_path / "again"
    target.mkdir()
    begin_again(group, target)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == sorted(
        ["resolved.yaml", "state.json"]
        + [f"seed_{seed}/{name}" for seed in range(2) for name in ("resolved.yaml", "run.json", "state.json")]
    )
    assert {run.read_state(folder)["status"] for folder in (target, *run.members(target))} == {"created"}
    assert (target / "seed_1" / "run.json").read_text() == '{"seed": 1}'
    for seed in range(2):
        log(run_at(f"again/seed_{seed}", "done", steps=(4,)), logged(4, 1.0 + seed))
    found = compare(group, target)
    assert (found.runs, found.lines, found.arrays) == (2, 2, 4)
    assert found.differences[0] == "seed_1: step 4: train/loss was 1.0, is 2.0"
    assert not any(line.startswith("seed_0") for line in found.differences)


def test_only_a_result_can_be_reproduced(run_at: RunAt) -> None:
    folder = run_at("a", "interrupted")
    with pytest.raises(
        RunError, match=r"is interrupted, so there is no result to reproduce; nnrun resume .*/a"
    ):
        refuse_unfinished(folder)
    run.write_state(folder, "done")
    with pytest.raises(RunError, match="is done, so there is no result"):
        refuse_unfinished(folder)  # its summary is missing
    (folder / "summary.json").write_text("{}")
    refuse_unfinished(folder)
    (folder / "ensemble.json").write_text("{}")
    with pytest.raises(RunError, match="is an ensemble; reproduce its members"):
        refuse_unfinished(folder)


SAME: Any = {
    "versions": {"jax": "0.7", "numpy": "2.1"}, "spec": {"train.seed": 0, "data.path": "/a/x.csv"},
    "code": {"model.py": "12"}, "data": "ab", "devices": [2, "cpu"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            {"versions": {"jax": "0.8", "numpy": "2.1"}},
            RunError,
            "has jax 0.8, process 0 has 0.7; install the same",
        ),
        ({"versions": {"jax": "0.7"}}, RunError, "has numpy absent, process 0 has 2.1"),
        ({"spec": {"train.seed": 1, "data.path": "/a/x.csv"}}, SpecError, "train.seed is 1, on process 0 0"),
        ({"spec": {"train.seed": 0, "data.path": "/b/y.csv"}}, SpecError, "data.path is /b/y.csv"),
        ({"spec": {"train.seed": 0, "data.path": "a/x.csv"}}, SpecError, "data.path is a/x.csv"),
        ({"code": {"model.py": "13"}}, SpecError, "has other code in model.py than process 0"),
        ({"data": "ac"}, DataError, "their digests differ"),
        ({"devices": [4, "cpu"]}, MachineError, r"has 4 devices \(cpu\), process 0 has 2 \(cpu\)"),
        ({"devices": [2, "H200"]}, MachineError, r"has 2 devices \(H200\), process 0 has 2 \(cpu\)"),
    ],
)
def test_processes_that_mean_another_run_say_what_differs(
    change: Any, kind: type[Exception], words: str
) -> None:
    (problem,) = differences(SAME, {**SAME, **change})
    with pytest.raises(kind, match=words):
        raise problem


def test_processes_that_mean_the_same_run_differ_in_nothing() -> None:
    assert list(differences(SAME, SAME)) == []
    elsewhere = {**SAME, "spec": {"train.seed": 0, "data.path": "/home/b/x.csv"}}
    assert list(differences(SAME, elsewhere)) == []  # the file of that name in a folder of its own
    problems = list(differences(SAME, {**SAME, "data": "", "devices": [1, "cpu"], "code": {}}))
    assert [type(problem) for problem in problems] == [SpecError, DataError, MachineError]


def test_every_value_of_a_spec_has_its_dotted_key() -> None:
    spec = {"name": "a", "model": {"layers": [{"name": "dense", "units": 3}, {"name": "tanh"}]}, "empty": {}}
    assert dict(_flat(spec)) == {
        "name": "a", "model.layers.1.name": "dense", "model.layers.1.units": 3, "model.layers.2.name": "tanh",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"name": "mlp", "hidden": [8], "dropout": 0.1}, {"name": "mlp", "hidden": [8], "dropout": 0.5}, []),
        ({"name": "vit", "heads": 4}, {"name": "vit", "heads": 2}, [("model.heads", 4, 2)]),
        ({"name": "vit", "heads": 4}, {"name": "mlp", "heads": 2}, [("model.name", "vit", "mlp")]),
        ({"name": "vit", "init": "he"}, {"name": "vit", "init": "glorot"}, []),
        ({"name": "a", "norm": {"name": "group", "groups": 4}}, {"name": "a", "norm": {"name": "group", "groups": 8}},
         [("model.norm.groups", 4, 8)]),
        ({"name": "a", "hidden": [8, 4]}, {"name": "a", "hidden": [8, 6]}, [("model.hidden.1", 4, 6)]),
        ({"name": "a", "hidden": [8, 4]}, {"name": "a", "hidden": [8]}, []),  # shapes say so
        ({"name": "a", "dropout": 0.1}, {"name": "a", "dropout": None}, []),  # rates belong to no weight
        ({"name": "a", "dropout": None}, {"name": "a", "dropout": 0.1}, []),
        ({"name": "a", "bias": True}, {"name": "a"}, [("model.bias", True, None)]),
    ],
)  # fmt: skip
def test_settings_that_give_weights_another_meaning(
    old: Any, new: Any, expected: list[tuple[str, Any, Any]]
) -> None:
    assert list(_differences("model", old, new)) == expected
