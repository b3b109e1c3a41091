"""What a sweep would do, shown without training."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from nnrun.runner import session
from nnrun.space import Dimension, Search
from nnrun.sweep import dry_run as module
from nnrun.sweep import fresh as fresh_module
from nnrun.sweep.cost import ProgramCost, Seconds, Work, work_of
from nnrun.sweep.dry_run import DryRun, as_json, dry_run_of, tables
from nnrun.sweep.file import BaseSpec
from nnrun.sweep.fresh import FinalRuns, fresh_sentence
from nnrun.sweep.over import Alternative
from nnrun.sweep.trials import Arm, Trial, trial_at

FRESH = [FinalRuns("sgd", 10_000, 6), FinalRuns("adam", 10_000, 6)]
SPACE = (Dimension("optimizer.learning_rate", "log", 1e-4, 1.0),)


def arm_of(label: str) -> Arm:
    return Arm(BaseSpec("digits", Path("b.yaml"), {}, {}), Alternative(label, {}, SPACE, {}), "")


def trials_of(count: int) -> list[Trial]:
    return [trial_at(arm_of("sgd"), i, (i / count,)) for i in range(count)]


def program(label: str = "sgd", trials: int = 4, seconds: float = 90.0) -> ProgramCost:
    return ProgramCost([label], trials, 4, 100, 1.25, seconds, 5 << 20)


def text_of(dry_run: DryRun) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(*tables(dry_run), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_a_person_reads():
    text = text_of(DryRun(trials_of(4), [program(), program("adam", 1, 30.0)], FRESH, 61.0, "a note"))
    lines = [line.split() for line in text.splitlines()]
    assert ["sgd-002", "optimizer.learning_rate=0.01"] in lines
    assert ["sgd", "4", "4", "100", "1.2", "s", "1:30", "5", "MB"] in lines
    assert "about 2:00 for the trials and 1:01 for the final comparison" in text
    assert "then the best trial of each of 2 searches is trained with 6 fresh seeds: 12 runs\n" in text
    assert text.rstrip().endswith("a note")


@pytest.mark.parametrize(
    ("fresh", "sentence"),
    [
        ([FinalRuns("sgd", 10_000, 1)], "then the best trial is trained with 1 fresh seed: 1 run"),
        ([FinalRuns("sgd", 10_000, 5)], "then the best trial is trained with 5 fresh seeds: 5 runs"),
        (
            [FinalRuns("digits/sgd", 10_000, 600), FinalRuns("wine/sgd", 10_000, 800)],
            "then the best trial of each of 2 searches is trained with 600 to 800 fresh seeds: 1,400 runs",
        ),
        ([FinalRuns("sgd", 10_000, 0)], "no fresh seeds follow (sweep.final_seeds: 0): nothing is compared"),
    ],
)
def test_the_fresh_seeds_that_follow_are_counted(fresh: list[FinalRuns], sentence: str) -> None:
    assert fresh_sentence(fresh) == sentence
    text = text_of(DryRun(trials_of(1), [program()], fresh, 61.0, ""))
    assert sentence in text
    assert ("final comparison" in text) == any(entry.seeds for entry in fresh)


def test_settings_are_shown_as_yaml_writes_them():
    """Each can be read back, and written into a spec."""
    settings = {
        "dropconnect": {"rate": 0.123456, "mask": "example"},
        "hidden": [64, 64],
        "momentum": None,
        "k": True,
    }
    [trial] = trials_of(1)
    text = text_of(DryRun([trial._replace(settings=settings)], [program()], FRESH, 0.0, ""))
    assert "dropconnect={rate: 0.1235, mask: example}  hidden=[64, 64]  momentum=null  k=true" in text


def test_many_trials_are_cut_short():
    text = text_of(DryRun(trials_of(33), [program()], FRESH, 0.0, ""))
    assert "sgd-029" in text and "sgd-030" not in text
    assert "... and 3 more trials" in text
    assert "more trials" not in text_of(DryRun(trials_of(30), [program()], FRESH, 0.0, ""))


def test_what_a_program_reads():
    content = as_json(DryRun(trials_of(2), [program(), program("adam", 1, 30.0)], FRESH, 61.0, ""))
    assert json.loads(json.dumps(content)) == content
    assert (content["seconds"], content["final_seconds"]) == (181.0, 61.0)
    assert content["fresh"][1] == {"place": "adam", "first_seed": 10_000, "seeds": 6}
    assert [trial["trial"] for trial in content["trials"]] == ["sgd-000", "sgd-001"]
    assert content["programs"][1]["alternatives"] == ["adam"]


@pytest.fixture
def dry_run_of_two_arms(monkeypatch: pytest.MonkeyPatch) -> Any:
    """dry_run_of_two_arms(search, budgets): that of a sweep of two arms, whose programs cost what the test says."""

    def make(
        search: Search, budgets: tuple[int, int] = (4, 2), seeds: int = 2, fresh: int = 6, looks: int = 1
    ) -> DryRun:
        arms = [arm_of("sgd"), arm_of("adam")]
        file = SimpleNamespace(sweep=SimpleNamespace(seed=3, width=None, studies=1), looks=looks)
        plans = [SimpleNamespace(steps=100), SimpleNamespace(steps=100)]
        plan: Any = SimpleNamespace(
            file=file, arms=arms, budgets=budgets, plans=plans, search=search, search_name="rule"
        )
        monkeypatch.setattr(module, "trial_spec", lambda file, arm, *rest: arm.alternative.label)
        monkeypatch.setattr(module, "structure_of", lambda checked: checked)
        for part in (module, fresh_module):
            monkeypatch.setattr(part, "seeds_of", lambda file, base, study=1: (0, seeds))
        monkeypatch.setattr(fresh_module, "final_seeds", lambda file, base, study: (10_000, fresh))
        monkeypatch.setattr(
            module,
            "_program",
            lambda plan, members, engine, known: program(members[0][1], len(members), 10.0 * len(members)),
        )
        return dry_run_of(plan, SimpleNamespace())  # type: ignore[arg-type]

    return make


def even(space: Any, seed: int, first: int, count: int, seen: Any) -> list[tuple[float]]:
    return [((first + i) / 10,) for i in range(count)]


def test_every_trial_is_drawn_and_structures_are_grouped(dry_run_of_two_arms):
    result = dry_run_of_two_arms(Search(even))
    assert [trial.name for trial in result.trials] == [
        "sgd-000", "sgd-001", "sgd-002", "sgd-003", "adam-000", "adam-001",
    ]  # fmt: skip
    assert [(cost.alternatives, cost.trials) for cost in result.programs] == [(["sgd"], 4), (["adam"], 2)]
    assert result.note == ""


def test_the_final_comparison_costs_a_run_for_each_fresh_seed(dry_run_of_two_arms):
    """A program compiles for 1.25 s and has 4 lanes.

    The trials of sgd, 4 of 2 seeds, train for 38.75 s, those of adam, 2 of 2 seeds, for 18.75 s; 6 runs of either
    take 6/8 and 6/4 of that, in a program that is compiled, since the one of the search has too few lanes.
    """
    result = dry_run_of_two_arms(Search(even))
    assert result.final_seconds == pytest.approx(38.75 * 6 / 8 + 1.25 + 18.75 * 6 / 4 + 1.25)
    assert result.fresh == FRESH
    # Of 2 to 4 runs the 4 lanes are not far too many; of one they are.
    for fresh, compiled in ((4, 0), (3, 0), (2, 0), (1, 2)):
        seconds = dry_run_of_two_arms(Search(even), fresh=fresh).final_seconds
        assert seconds == pytest.approx(38.75 * fresh / 8 + 18.75 * fresh / 4 + 1.25 * compiled)
    nothing = dry_run_of_two_arms(Search(even), fresh=0)
    assert nothing.final_seconds == 0 and [entry.seeds for entry in nothing.fresh] == [0, 0]


def test_a_sweep_that_grows_says_that_this_is_its_first_round(dry_run_of_two_arms):
    result = dry_run_of_two_arms(Search(even, batch=3), looks=4)
    assert result.note.startswith("rule chooses most of its trials from what it sees; these are the first; ")
    assert result.note.endswith(
        "; this is the first round of at most 4, which follow until the verdict is clear"
    )


def test_a_search_that_learns_says_that_these_are_its_first_trials(dry_run_of_two_arms):
    asked: list[tuple[int, int]] = []

    def ask(space: Any, seed: int, first: int, count: int, seen: Any) -> list[tuple[float]]:
        asked.append((first, count))
        return even(space, seed, first, count, seen)

    result = dry_run_of_two_arms(Search(ask, batch=3))
    assert asked == [(0, 3), (3, 1), (0, 2)]
    assert result.note.startswith("rule chooses most of its trials from what it sees")


def test_a_search_that_stops_trials_takes_a_fraction_of_the_time(dry_run_of_two_arms):
    assert dry_run_of_two_arms(Search(even, rungs=(0.5,), keep=0.5)).note.startswith(
        "rule stops trials on the way"
    )
    population = Search(even, rungs=(0.5,), keep=0.5, explore=lambda space, point, draws: point)
    assert dry_run_of_two_arms(population).note == ""


def test_lanes_and_batches_of_a_program(monkeypatch):
    """Five trials of two seeds where six lanes fit: three a program, two programs one after the other."""
    experiment = SimpleNamespace(plan=SimpleNamespace(precision="float32", seeds=(0, 1), steps=50))
    seen: list[int] = []
    monkeypatch.setattr(module, "width_of", lambda experiment: 6)
    monkeypatch.setattr(module, "together", lambda experiments: seen.append(len(experiments)) or experiment)
    measured = SimpleNamespace(compile_seconds=2.0, step_seconds=0.125)
    monkeypatch.setattr(module, "compile_and_time", lambda population: measured)
    monkeypatch.setattr(module, "memory_of", lambda population, lanes: 1000 * lanes)
    spec = SimpleNamespace(model=SimpleNamespace(name="mlp"))
    sweep = SimpleNamespace(width=None)
    plan: Any = SimpleNamespace(file=SimpleNamespace(sweep=sweep), search=Search(even))
    engine: Any = SimpleNamespace(experiment=lambda checked: experiment)
    cost = module._program(plan, [(trial, spec) for trial in trials_of(5)], engine)
    assert seen == [3]
    assert (cost.alternatives, cost.trials, cost.lanes, cost.steps, cost.memory) == (["sgd"], 5, 6, 50, 6000)
    assert cost.compile_seconds == 2.0
    assert cost.seconds == pytest.approx(2.0 + 0.125 * 50 * 2)
    # Where a round ranks its trials, another study has a program after it: one of three trials, one of two.
    plan.search = Search(even, rungs=(0.5,), keep=0.5)
    trials = [trial._replace(arm=trial.arm._replace(study=1 + (trial.number > 2))) for trial in trials_of(5)]
    cost = module._program(plan, [(trial, spec) for trial in trials], engine)
    assert cost.seconds == pytest.approx(2.0 + 0.125 * 50 * 2)
    monkeypatch.setattr(module, "width_of", lambda experiment: 12)
    cost = module._program(plan, [(trial, spec) for trial in trials], engine)
    assert cost.seconds == pytest.approx(2.0 + 0.125 * 50 * 2)  # all five would fit one program


def test_programs_of_one_kind_of_model_are_estimated_from_the_first(monkeypatch):
    """Twice the work of a lane and three times the lanes: six times the seconds; half as many lines to compile."""
    timed: list[str] = []
    measured = SimpleNamespace(compile_seconds=4.0, step_seconds=0.01)
    monkeypatch.setattr(module, "compile_and_time", lambda population: timed.append(population) or measured)
    works = {"a": Work(7e5, 3e5, 400), "b": Work(1e6, 1e6, 200), "c": Work(5e6, 0, 100)}
    monkeypatch.setattr(module, "work_of", works.__getitem__)
    known: dict = {}
    assert module._cost("a", 2, "mlp", known) == (Seconds(4.0, 0.01), True)
    cost, is_measured = module._cost("b", 6, "mlp", known)
    assert not is_measured and cost == pytest.approx((2.0, 0.06))
    assert module._cost("c", 1, "lenet", known)[1] and module._cost("b", 1, "mlp", None)[1]
    assert timed == ["a", "c", "b"]
    text = text_of(DryRun([], [program(), program("adam")._replace(measured=False)], FRESH, 0.0, ""))
    assert "~1.2 s" in text and "--measure times each" in text
    assert "--measure" not in text_of(DryRun([], [program()], FRESH, 0.0, ""))


def test_the_work_of_a_step_is_that_of_its_products(tmp_path):
    """Of n examples, 64 inputs, h units and 10 outputs: x W₁ and its kernel's gradient, a W₂ and its two gradients."""
    (tmp_path / "spec.yaml").write_text(
        "data: {name: digits, batch_size: 100}\nmodel: {name: mlp, hidden: [8]}\n"
        "optimizer: {name: sgd, learning_rate: 0.1}\ntrain: {duration: 2 epochs}\n"
    )
    works = [
        work_of(session.prepare(tmp_path / "spec.yaml", [f"model.hidden=[{width}]"]).experiment)
        for width in (2000, 4000)
    ]
    products = 2 * 100 * 2000 * (2 * 64 + 3 * 10)
    assert works[1].operations - works[0].operations == pytest.approx(
        products, rel=0.05
    )  # and what is elementwise
    assert (
        works[0].transfer > 4 * 3 * 2000 * 74
    )  # the parameters are read, their gradients are, and they are written


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_number_is_cut(width: int) -> None:
    programs = [program("an alternative with a long name", 12345, 45000.0)._replace(memory=123456 << 20)]
    file = io.StringIO()
    Console(file=file, width=width).print(*tables(DryRun(trials_of(2), programs, FRESH, 0.0, "")), sep="\n")
    lines = file.getvalue().splitlines()
    for number in ("12345", "1.2 s", "12:30:00", "123456 MB", "optimizer.learning_rate=0.01"):
        assert any(number in line for line in lines), number
