"""Lines of trials.jsonl and final.jsonl from run folders, trials and their seeds, and packing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from nnrun.errors import MachineError
from nnrun.preprocessing import Part, Preprocessing
from nnrun.record import preprocessing
from nnrun.space import Dimension
from nnrun.sweep import packing, records, width
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.file import BaseSpec, SweepBlock, SweepFile
from nnrun.sweep.over import Alternative
from nnrun.sweep.packing import pack
from nnrun.sweep.records import (
    final_record,
    has_ended,
    mean_value,
    needs_no_training,
    trial_record,
    trial_value,
)
from nnrun.sweep.trials import Arm, arms, final_seeds, seeds_of, trial_at, values_at
from nnrun.sweep.width import width_of

SPACE = (
    Dimension("optimizer.learning_rate", "log", 1e-4, 1.0),
    Dimension("model.hidden", "choice", values=([4], [8])),
)


def base_of(label: str = "digits", **train: Any) -> BaseSpec:
    return BaseSpec(label, Path(f"{label}.yaml"), {"train": train} if train else {}, {})


def file_of(bases: list[BaseSpec], labels: tuple[str, ...] = ("sgd", "adam"), **sweep: Any) -> SweepFile:
    alternatives = [Alternative(label, {"optimizer.name": label}, SPACE, {}) for label in labels]
    return SweepFile("s", bases, SweepBlock(over={"x": 1}, **sweep), alternatives, {}, "", {}, [])


def arm() -> Arm:
    return arms(file_of([base_of()]))[0]


def test_every_alternative_on_every_base():
    one_base = arms(file_of([base_of()]))
    assert [(a.alternative.label, a.folder) for a in one_base] == [("sgd", ""), ("adam", "")]
    two = arms(file_of([base_of("digits"), base_of("mnist")]))
    assert [(a.base.label, a.alternative.label, a.folder) for a in two] == [
        ("digits", "sgd", "digits/"),
        ("digits", "adam", "digits/"),
        ("mnist", "sgd", "mnist/"),
        ("mnist", "adam", "mnist/"),
    ]


def test_a_trial_is_a_point_with_a_name():
    trial = trial_at(arm()._replace(folder="digits/"), 7, (0.5, 0.9))
    assert (trial.name, trial.run, trial.number) == ("digits/sgd-007", "trials/digits/sgd-007", 7)
    assert trial.settings == {"optimizer.learning_rate": pytest.approx(0.01), "model.hidden": [8]}
    assert values_at(arm(), (0.0, 0.0)) == {"optimizer.learning_rate": 1e-4, "model.hidden": [4]}
    with pytest.raises(ValueError, match="zip"):
        values_at(arm(), (0.5,))


def test_seeds_of_trials():
    assert seeds_of(file_of([base_of()]), base_of()) == (0, 1)
    assert seeds_of(file_of([base_of()]), base_of(seed=5, seeds=3)) == (5, 3)
    assert seeds_of(file_of([base_of()], seeds=2), base_of(seed=5, seeds=3)) == (5, 2)
    assert seeds_of(file_of([base_of()]), BaseSpec("x", Path("x"), {"train": "3 epochs"}, {})) == (0, 1)


@pytest.mark.parametrize(
    ("alternatives", "seeds", "fresh"), [(1, 1, 1), (2, 1, 6), (3, 1, 7), (5, 1, 9), (2, 12, 12)]
)
def test_fresh_seeds_are_enough_to_tell_all_pairs_apart(alternatives: int, seeds: int, fresh: int):
    """A sign-flip test of n seeds has p ≥ 2 / 2ⁿ, and Holm multiplies by the number of pairs: that must be below 5%."""
    pairs = alternatives * (alternatives - 1) // 2
    file = file_of([base_of()], tuple(f"a{i}" for i in range(alternatives)), seeds=seeds)
    first, count = final_seeds(file, base_of())
    assert (first, count) == (10_000, fresh)
    assert not pairs or 2 / 2**count * pairs <= 0.05


def test_fresh_seeds_that_are_written_are_taken():
    assert final_seeds(file_of([base_of()], final_seeds=0), base_of(seed=3)) == (10_003, 0)
    assert final_seeds(file_of([base_of()], final_seeds=4), base_of()) == (10_000, 4)


# What became of a run


@pytest.fixture
def run_in(tmp_path: Path) -> Callable[..., Path]:
    def make(place: str, status: str = "done", summary: Any = None, **state: Any) -> Path:
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"status": status, **state}))
        if summary is not None:
            (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return make


def seed_summary(value: float | None, status: str = "done", steps: int = 30, **best: Any) -> dict[str, Any]:
    chosen = None if value is None else {"metric": "val/loss", "value": value, "step": steps}
    return {"status": status, "steps": steps, "best": chosen, "metrics": {"best": best}}


def test_a_trial_of_one_seed(run_in, tmp_path):
    measured = {"val/accuracy": 0.25, "test/accuracy": 0.5, "train/loss": 2.0}
    run_in("trials/sgd-000", summary={**seed_summary(0.25), "metrics": {"best": measured}})
    parts = {"train": Part(3, "a", "b"), "val": Part(1, "c", "d" * 64), "test": Part(1, "e", "f" * 64)}
    fitted = Preprocessing((), (), (2,), "float32", np.zeros(()), np.ones(()), 0.0, 1.0, parts)
    preprocessing.write(tmp_path / "trials/sgd-000", fitted)
    record = trial_record(tmp_path, trial_at(arm(), 0, (0.5, 0.0)), False, 1.23456)
    assert record == {
        "trial": "sgd-000", "base": "digits", "alternative": "sgd", "number": 0, "run": "trials/sgd-000",
        "settings": {"optimizer.learning_rate": pytest.approx(0.01), "model.hidden": [4]}, "status": "done",
        "value": 0.25, "values": [0.25], "steps": 30, "risen": 0, "seconds": 1.235, "reason": None,
        "metrics": {"test/accuracy": [0.5], "val/accuracy": [0.25]}, "judged_on": f"{'d' * 16} {'f' * 16}",
    }  # fmt: skip


def test_a_trial_with_a_seed_that_diverged_has_no_value(run_in, tmp_path):
    runs = [{"run": "seed_0", **seed_summary(0.25)}, {"run": "seed_1", **seed_summary(0.5, "diverged", 7)}]
    run_in("trials/sgd-000", "diverged", {"runs": runs}, reason="loss became infinite")
    record = trial_record(tmp_path, trial_at(arm(), 0, (0.5, 0.0)), False, 0.0)
    assert (record["value"], record["values"]) == (None, [0.25, None])
    assert (record["status"], record["reason"], record["steps"]) == ("diverged", "loss became infinite", 30)
    assert trial_value(record) is None


def test_a_trial_of_a_later_study_says_so_and_counts_seeds_that_rose(run_in, tmp_path):
    runs = [
        {"run": "seed_0", **seed_summary(0.25), "rise": {"step": 10}}, {"run": "seed_1", **seed_summary(0.5)},
        {"run": "seed_2", **seed_summary(0.5), "rise": {"step": 20}},
    ]  # fmt: skip
    run_in("trials/study-2/sgd-000", summary={"runs": runs})
    trial = trial_at(arm()._replace(study=2), 0, (0.5, 0.0))
    record = trial_record(tmp_path, trial, False, 0.0)
    assert (record["study"], record["risen"]) == (2, 2)  # type: ignore[typeddict-item]
    final = final_record(tmp_path, trial, "trials/study-2/sgd-000", 0.0)
    assert (final["study"], final["risen"]) == (2, 2)  # type: ignore[typeddict-item]
    assert "study" not in trial_record(tmp_path, trial._replace(arm=arm()), False, 0.0)


def test_a_trial_that_nothing_judges_has_failed(run_in, tmp_path):
    """Its metric was NaN at every evaluation: it did not diverge, and a sweep of such trials has no answer."""
    undefined = {"val/mine": "it was never a finite number; so no step is the best"}
    run_in("trials/sgd-000", summary={**seed_summary(None), "undefined": undefined})
    record = trial_record(tmp_path, trial_at(arm(), 0, (0.5, 0.0)), False, 0.0)
    assert (record["status"], record["reason"]) == ("failed", "val/mine: it was never a finite number")
    assert (record["value"], trial_value(record)) == (None, None)


def test_a_trial_that_lost_at_a_rung_keeps_its_value_and_may_not_be_chosen(run_in, tmp_path):
    run_in("trials/sgd-000", summary=seed_summary(0.25))
    record = trial_record(
        tmp_path, trial_at(arm(), 0, (0.5, 0.0)), True, 0.0, {"optimizer.learning_rate": 0.5}
    )
    assert (record["status"], record["reason"], record["value"]) == ("stopped", "lost at a rung", 0.25)
    assert record["settings"] == {"optimizer.learning_rate": 0.5}  # what it ended with
    assert trial_value(record) is None
    assert trial_value({**record, "status": "done"}) == 0.25


def test_a_trial_that_failed_has_a_reason_and_no_runs(run_in, tmp_path):
    run_in("trials/sgd-000", "failed", reason="model.hidden: wrong")
    record = trial_record(tmp_path, trial_at(arm(), 0, (0.5, 0.0)), True, 0.0)
    assert (record["status"], record["reason"]) == ("failed", "model.hidden: wrong")
    assert (record["value"], record["values"], record["steps"]) == (None, [], 0)


def test_a_final_run_has_a_value_for_each_fresh_seed(run_in, tmp_path):
    runs = [
        {
            "run": "final/sgd/seed_10000",
            **seed_summary(0.3, **{"test/loss": 0.25, "val/loss": 0.5, "train/loss": 0.1}),
        },
        {"run": "final/sgd/seed_10001", **seed_summary(None, "diverged", **{"test/loss": 9.0})},
        {"run": "final/sgd/seed_10002", **seed_summary(0.3, **{"test/loss": "nan", "val/loss": 0.75})},
    ]
    run_in("final/sgd", summary={"runs": runs})
    record = final_record(tmp_path, trial_at(arm(), 3, (0.5, 0.0)), "final/sgd", 2.0)
    assert record["seeds"] == [10000, 10001, 10002]
    assert record["metrics"] == {"test/loss": [0.25, None, None], "val/loss": [0.5, None, 0.75]}
    assert (record["trial"], record["run"], record["status"]) == ("sgd-003", "final/sgd", "done")


@pytest.mark.parametrize(
    ("values", "mean"),
    [([], None), ([None], None), ([0.5], 0.5), ([0.5, None], None), ([1.0, 2.0], 1.5), ([0.0], 0.0)],
)
def test_the_value_of_a_trial_is_the_mean_of_all_its_seeds(values: list[float | None], mean: float | None):
    assert mean_value(values) == mean


@pytest.mark.parametrize(
    ("status", "summary", "spec", "ended", "final"),
    [
        ("done", True, True, True, True), ("diverged", True, True, True, True), ("done", False, True, False, False),
        ("interrupted", False, True, False, False), ("failed", False, True, False, True),
        ("failed", False, False, True, True), ("created", False, True, False, False),
    ],
)  # fmt: skip
def test_whether_a_run_is_over(status: str, summary: bool, spec: bool, ended: bool, final: bool, run_in):
    """A run that failed while it trained may be tried again by a resumed sweep, one that could not begin may not."""
    folder = run_in("run", status, {} if summary else None)
    if spec:
        (folder / "resolved.yaml").write_text("")
    assert has_ended(folder) == ended
    assert needs_no_training(folder) == final


def test_what_does_not_exist_has_not_ended(tmp_path):
    assert not has_ended(tmp_path / "missing")


def test_the_time_of_a_run_is_summed_over_its_batches(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "seconds_of", lambda root, batch, place: float(len(batch.runs)))
    batches = [RunBatch("a", ["x"], 1), RunBatch("b", ["x", "y"], 2)]
    assert records.share_of_seconds(tmp_path, batches, "x") == 3.0


# Which runs share a program


class Engine:
    """Structures and seeds by the first letter of a run's name: a1 and a2 share one."""

    def __init__(self, seeds: int = 1) -> None:
        self.seeds = seeds

    def structure(self, folder: Path) -> str:
        return folder.name[0]

    def spec(self, folder: Path) -> Any:
        return SimpleNamespace(train=SimpleNamespace(precision="float32"))

    def experiment(self, checked: Any) -> Any:
        return SimpleNamespace(plan=SimpleNamespace(precision="float32", seeds=tuple(range(self.seeds))))


def packed(runs: list[str], engine: Engine | None = None, most: int = 4, **options: Any) -> list[RunBatch]:
    return pack("round", runs, engine or Engine(), Path("root"), most, **options)  # type: ignore[arg-type]


def test_runs_of_one_structure_share_programs_of_one_size():
    batches = packed([f"a{i}" for i in range(9)])
    assert [len(batch.runs) for batch in batches] == [3, 3, 3]  # not 4, 4, 1
    assert [batch.lanes for batch in batches] == [3, 3, 3]
    assert [batch.name for batch in batches] == ["round-00", "round-01", "round-02"]
    assert [name for batch in batches for name in batch.runs] == [f"a{i}" for i in range(9)]
    assert [len(batch.runs) for batch in packed([f"a{i}" for i in range(5)])] == [3, 2]


def test_structures_are_kept_apart_in_the_order_of_their_first_runs():
    batches = packed(["b1", "a1", "b2", "a2"])
    assert [batch.runs for batch in batches] == [["b1", "b2"], ["a1", "a2"]]


def test_seeds_are_lanes():
    batches = packed([f"a{i}" for i in range(4)], Engine(seeds=2))
    assert [(len(batch.runs), batch.lanes) for batch in batches] == [(2, 4), (2, 4)]
    [alone, _] = packed(["a1", "a2"], Engine(seeds=9))  # more than fit: one run a program all the same
    assert (alone.runs, alone.lanes) == (["a1"], 9)


def test_runs_that_stop_at_other_steps_are_kept_apart():
    batches = packed(["a1", "a2", "a3"], untils={"a1": 10, "a2": None, "a3": 10}, final=True)
    assert [(batch.runs, batch.until, batch.final) for batch in batches] == [
        (["a1", "a3"], 10, True),
        (["a2"], None, True),
    ]


@pytest.mark.parametrize(("lanes", "used"), [(3, 3), (4, 4), (6, 6), (7, 3), (2, 3)])
def test_a_compiled_program_is_used_again_unless_it_is_far_too_large(lanes: int, used: int):
    [batch] = packed(["a1", "a2", "a3"], known={"a1": lanes})
    assert batch.lanes == used


def test_without_a_width_the_size_of_the_net_decides(monkeypatch):
    monkeypatch.setattr(packing, "width_of", lambda experiment: 2)
    monkeypatch.setattr(packing, "precision", lambda name: contextlib.nullcontext())
    assert [len(batch.runs) for batch in packed(["a1", "a2", "a3"], most=None)] == [2, 1]  # type: ignore[arg-type]


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """wide(shapes, cores, most): the width for parameters of these shapes where `most` lanes fit the memory."""

    def make(shapes: list[tuple[int, ...]], cores: int, most: int = 10**9, platform: str = "cpu") -> int:
        params = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
        like = SimpleNamespace(params=params)
        like._replace = lambda key: params
        monkeypatch.setattr(width, "one_like", lambda experiment: like)
        monkeypatch.setattr(width.machine, "cores", lambda: list(range(cores)))
        monkeypatch.setattr(width.jax, "default_backend", lambda: platform)

        def check(experiment: Any, like: Any) -> None:
            if len(experiment.plan.seeds) > most:
                raise MachineError("memory")

        monkeypatch.setattr(width, "check_memory", check)

        class Plan(SimpleNamespace):
            def _replace(self, **changes: Any) -> Any:
                return type(self)(**{**vars(self), **changes})

        return width_of(Plan(plan=Plan(seeds=(0,))))  # type: ignore[arg-type]

    return make


def test_small_nets_get_many_lanes_and_large_or_convolutional_ones_few(wide):
    assert wide([(4, 4)], cores=2) == 2 * 64
    assert wide([(1024, 1024)], cores=2) == 2 * 4  # 4 MiB of 16
    assert wide([(8192, 8192)], cores=2) == 2
    assert wide([(3, 3, 1, 8)], cores=4) == 4  # convolutions: a lane for each core
    assert wide([(4, 4)], cores=2, platform="gpu") == 512


@pytest.mark.parametrize(("most", "lanes"), [(200, 128), (100, 64), (3, 2), (1, 1), (0, 1)])
def test_lanes_that_do_not_fit_the_memory_are_halved(most: int, lanes: int, wide):
    assert wide([(4, 4)], cores=2, most=most) == lanes
