"""Studies: the whole search is repeated with draws and seeds of its own, however the sweep is carried out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun import spec
from nnrun.errors import SpecError
from nnrun.sweep import cost
from nnrun.sweep.dry_run import dry_run_of
from nnrun.sweep.engine import Engine
from nnrun.sweep.file import SweepFile, read
from nnrun.sweep.planning import make_plan
from nnrun.sweep.studies import tests_of as count_tests
from nnrun.sweep.studies import too_few_studies
from nnrun.sweep.trials import arms, final_seeds, seeds_of

TWO = """
  over:
    optimizer:
      - {name: sgd, learning_rate: {log: [1e-3, 1]}}
      - {name: adam, learning_rate: {log: [1e-4, 1e-1]}}
  trials: 5
  final_seeds: 2
"""
TPE = "  search: {name: tpe, startup: 3, batch: 3}\n"
HALVING = "  search: {name: halving, eta: 2, first: 0.34}\n"
POPULATION = "  search: {name: population, intervals: 3, losers: 0.3}\n"
CROSSED = "  over: {optimizer: [sgd, adam, nadam], schedule: [constant, {name: cosine}]}\n"


@pytest.fixture
def file_of(write: Any) -> Callable[..., SweepFile]:
    return lambda sweep, *overrides: read(write(sweep), overrides)


def test_every_study_has_draws_and_seeds_of_its_own(file_of: Any) -> None:
    file = file_of(TWO + "  studies: 3\n  seeds: 2\n")
    all_arms = arms(file)
    assert all_arms[:2] == arms(file_of(TWO + "  seeds: 2\n"))  # the first study is the sweep without studies
    assert [arm.place for arm in all_arms] == [
        "sgd", "adam", "study-2/sgd", "study-2/adam", "study-3/sgd", "study-3/adam",
    ]  # fmt: skip
    assert [arm.label for arm in all_arms] == ["sgd", "adam"] * 3
    assert len({arm.seed for arm in all_arms}) == 6
    base = file.bases[0]
    seeds = [
        range(first, first + count)
        for study in (1, 2, 3)
        for first, count in (seeds_of(file, base, study), final_seeds(file, base, study))
    ]
    assert len({seed for part in seeds for seed in part}) == sum(map(len, seeds)) == 3 * (2 + 2)


def test_studies_of_several_bases_lie_below_their_base(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndata: digits\nmodel: mlp\noptimizer: adam\n")
    (tmp_path / "sweep.yaml").write_text(f"base: [a.yaml, b.yaml]\nsweep:{TWO}  studies: 2\n")
    places = [arm.place for arm in arms(read(tmp_path / "sweep.yaml"))]
    assert places[:4] == ["a/sgd", "a/adam", "b/sgd", "b/adam"]
    assert places[4:] == ["a/study-2/sgd", "a/study-2/adam", "b/study-2/sgd", "b/study-2/adam"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (TWO + "  search: grid\n  studies: 4\n", "sweep.studies: grid draws nothing, so every study would try"),
        (TWO.replace("final_seeds: 2", "final_seeds: 0") + "  studies: 4\n", "sweep.final_seeds is 0; leave one of"),
        ("  over: {optimizer: [sgd, adam]}\n  studies: 4\n", "nothing varies, so there is no search to repeat"),
        (TWO + "  studies: 0\n", "sweep.studies"),
        (TWO + TPE + "  until: decided\n", "trials of tpe depend on each other, .*write sweep.studies: 5, "),
    ],
)  # fmt: skip
def test_what_cannot_be_repeated(sweep: str, message: str, write: Any, engine: Engine) -> None:
    with pytest.raises(SpecError, match=message):
        make_plan(read(write(sweep)), engine)


@pytest.mark.parametrize(
    ("sweep", "tests", "studies", "least", "best_p"),
    [
        # C(2n, n) = 6, 20, 70, 252, 924 for n = 2 ... 6; the best p-value is 2 / C(2n, n), times the number of tests.
        (TWO, 1, 3, 4, "0.1"),
        (TWO, 1, 2, 4, "0.33"),
        (TWO + "  until: decided\n", 1, 4, 5, "0.11"),  # four looks
        ("  over: {optimizer: [sgd, adam, nadam, lion], model.dropout: {uniform: [0, 0.5]}}\n", 6, 4, 5, "0.17"),
        (CROSSED, 3 + 1 + 1, 4, 5, "0.14"),
    ],
)  # fmt: skip
def test_a_warning_says_how_many_studies_could_decide(
    sweep: str, tests: int, studies: int, least: int, best_p: str, file_of: Any
) -> None:
    file = file_of(sweep, f"sweep.studies={studies}")
    assert count_tests(file) == tests
    warning = too_few_studies(file)
    assert warning and f"with {studies} studies no verdict is possible" in warning
    assert f"can have is {best_p}, and it takes 0.05; write sweep.studies: {least} or more" in warning
    assert too_few_studies(file_of(sweep, f"sweep.studies={least}")) is None
    assert too_few_studies(file_of(sweep)) is None  # one study is no study


def searches(*quick: str) -> list[Any]:
    """All kinds, of which only those named are not slow."""
    kinds = {"random": "", "tpe": TPE, "halving": HALVING, "population": POPULATION}
    return [
        pytest.param(block, id=name, marks=[] if name in quick else [pytest.mark.slow])
        for name, block in kinds.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("search", searches("tpe"))
def test_the_first_study_is_the_sweep_without_studies(search: str, write: Any, run: Any) -> None:
    """Also where studies share programs; and every study tries other settings and has other seeds."""
    path = write(TWO + search)
    alone, twice = run(path), run(path, "sweep.studies=2")
    records = twice.lines("trials.jsonl")
    first = [record for record in records if "study" not in record]
    assert [(r["trial"], r["status"]) for r in first] == [
        (r["trial"], r["status"]) for r in alone.lines("trials.jsonl")
    ]
    for record, same in zip(first, alone.lines("trials.jsonl"), strict=True):
        assert record["settings"] == same["settings"]
        assert record["value"] == pytest.approx(same["value"], rel=1e-6)
    second = [record for record in records if record.get("study") == 2]
    assert len(second) == 10 and all(record["run"].startswith("trials/study-2/") for record in second)
    rates = [record["settings"]["optimizer.learning_rate"] for record in records]
    assert (
        len(set(rates)) == len(rates) or search == POPULATION
    )  # whose losers take settings at an end of the range
    finals = twice.lines("final.jsonl")
    assert [final["run"] for final in finals] == [
        "final/sgd", "final/adam", "final/study-2/sgd", "final/study-2/adam",
    ]  # fmt: skip
    assert [final["seeds"] for final in finals] == [[10_000, 10_001]] * 2 + [[30_000, 30_001]] * 2
    written = spec.read(twice.folder / second[0]["run"] / "resolved.yaml")
    assert written.sections["train"].seed == 20_000
    assert json.loads((twice.folder / "sweep.json").read_text())["studies"] == 2
    assert "studies" not in json.loads((alone.folder / "sweep.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("search", searches("tpe"))
def test_a_sweep_that_is_cut_ends_in_the_same_results(search: str, write: Any, run: Any) -> None:
    path = write(TWO + search + "  studies: 2\n")
    whole = run(path)
    batches = [event.batch.name for event in whole.event if event.phase == "done"]
    for last in batches[1 : -1 : max(1, len(batches) // 2)]:
        cut = run(
            path,
            stop=lambda event, last=last: bool(event) and event.phase == "done" and event.batch.name == last,
        )
        assert run(cut.folder).results() == whole.results()
        shutil.rmtree(cut.folder)


@pytest.mark.slow
@pytest.mark.parametrize("search", searches("halving"))
def test_studies_are_added_to_any_search(search: str, write: Any, run: Any) -> None:
    """A sweep that was given a second study later tried the same as one that had it from the beginning."""
    path = write(TWO + search)
    whole = run(path, "sweep.studies=2")
    grown = run(run(path).folder, "sweep.studies=2")
    for record, same in zip(grown.results(), whole.results(), strict=True):
        assert (record["run"], record["status"]) == (same["run"], same["status"])
        assert record["settings"] == same["settings"]
        for values in zip(record["metrics"].values(), same["metrics"].values(), strict=True):
            assert values[0] == pytest.approx(values[1], rel=1e-6)
    trained = {name for event in grown.event for name in event.batch.runs if name.startswith("trials/")}
    assert trained and all("study-2/" in name for name in trained)


@pytest.mark.slow
def test_a_dry_run_counts_all_studies(write: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_SECONDS", 0.01)
    once = dry_run_of(make_plan(read(write(TWO + HALVING)), engine), engine)
    often = dry_run_of(make_plan(read(write(TWO + HALVING + "  studies: 3\n")), engine), engine)
    assert [program.trials for program in often.programs] == [3 * program.trials for program in once.programs]
    assert [program.alternatives for program in often.programs] == [["sgd"], ["adam"]]
    assert often.note.endswith("all of it is for 3 studies together") and "studies" not in once.note
    assert len(often.trials) == 3 * len(once.trials)


DECIDED = """
base: base.yaml
sweep:
  search: {name: tpe, startup: 2, batch: 2}
  over: {optimizer: [{name: sgd, learning_rate: {log: [1e-5, 1e-4]}}, {name: adam, learning_rate: {log: [1e-3, 1e-1]}}]}
  trials: 3
  studies: 3
  until: decided
  rounds: 2
  final_seeds: 1
"""
SMALL = """
name: tiny
data: {name: digits, batch_size: 128, examples: 256}
model: {name: mlp, hidden: [8]}
train: {duration: 4 epochs}
"""


@pytest.mark.slow
def test_a_sweep_gets_studies_until_its_verdict_is_clear(tmp_path: Path, warm: Callable[..., Any]) -> None:
    """Three studies have no p-value below 2 · 0.1 with two looks; six have, 2 · 2 / 924."""
    (tmp_path / "base.yaml").write_text(SMALL)
    (tmp_path / "sweep.yaml").write_text(DECIDED)
    done = warm("sweep", "sweep.yaml", "--run-dir", "out", folder=tmp_path)
    assert done.code == 0, done.err
    assert "with 3 studies no verdict is possible" in done.err
    assert "round 1 of 2: the verdict is not clear; the next one has sweep.studies=6" in done.err
    assert "round 2 of 2: the verdict is clear" in done.err
    assert "adam is the best: " in done.out and "adam beats sgd by " in done.out and "6 studies" in done.out
    assert "over searches and seeds [" in done.out and "over other examples [" in done.out
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    [pair] = board["comparisons"]
    assert pair["studies"] == 6 and pair["decided"] and pair["adjusted"] == pytest.approx(2 * pair["p"])
    adam = board["alternatives"][0]
    assert [study["trial"].split("/")[0] for study in adam["studies"]][1:] == [
        f"study-{i}" for i in range(2, 7)
    ]
    assert adam["mean"] == pytest.approx(sum(study["mean"] for study in adam["studies"]) / 6)
    best = max(adam["studies"], key=lambda study: study["validation_again"])
    assert (adam["trial"], adam["settings"]) == (best["trial"], best["settings"])
    text = (tmp_path / "out" / "best.yaml").read_text()
    assert text.startswith(f"# The best of 6 studies over fresh seeds by val/accuracy: {best['trial']}.")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<h2>Studies" in page and "repeated in 6 studies" in page and "Welch" in page
    shown = warm("show", "out", folder=tmp_path)
    assert "adam beats sgd by " in shown.out
    compared = warm("compare", "out", folder=tmp_path)
    assert compared.code == 0 and "study-6/adam" in compared.out
    assert set(board["answer"]) <= set(compared.out.splitlines())  # not tests of runs that share no seeds
    assert "fewer than two seeds" not in compared.out


@pytest.mark.slow
@pytest.mark.parametrize("search", [TPE, HALVING, POPULATION], ids=["tpe", "halving", "population"])
def test_a_sweep_that_is_killed_ends_in_the_same_bytes(
    search: str, tmp_path: Path, begun: Callable[..., Any], warm: Callable[..., Any]
) -> None:
    (tmp_path / "base.yaml").write_text(SMALL)
    (tmp_path / "sweep.yaml").write_text(f"base: base.yaml\nsweep:{TWO}{search}  studies: 3\n")
    change = "train.duration=60 epochs"
    assert warm("sweep", "sweep.yaml", change, "--run-dir", "whole", "-q", folder=tmp_path).code == 0
    process = begun("sweep", "sweep.yaml", change, "--run-dir", "out", "-q", folder=tmp_path)
    kills = 0
    for wait in (3.0, 1.0, 2.0):
        time.sleep(wait)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        if not (tmp_path / "out" / "sweep.json").is_file():
            process = begun("sweep", "sweep.yaml", change, "--run-dir", "out", "-q", folder=tmp_path)
        else:
            process = begun("sweep", "--resume", "out", "-q", folder=tmp_path)
    process.wait()
    assert kills
    assert warm("sweep", "--resume", "out", "-q", folder=tmp_path).code == 0
    for name in ("trials.jsonl", "final.jsonl"):
        lines = [
            [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text.splitlines()]
            for text in ((tmp_path / place / name).read_text() for place in ("whole", "out"))
        ]
        assert lines[0] == lines[1]
