"""What a sweep file means, and what is refused with its place before anything is created."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnrun import build
from nnrun.catalog import bound
from nnrun.errors import Interrupted, MachineError, RunError, SpecError
from nnrun.record import run as run_record
from nnrun.spec import yaml12
from nnrun.sweep import folder as files
from nnrun.sweep import lifecycle
from nnrun.sweep.engine import Engine
from nnrun.sweep.file import SweepFile, read
from nnrun.sweep.folder import Ledger, read_back, write_failure
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.planning import make_plan
from nnrun.sweep.progress import ProgressCounter
from nnrun.sweep.trials import arms, check, seeds_of, trial_at, trial_spec, values_at

RATE = "  over: {optimizer.learning_rate: {log: [1e-3, 1]}}\n"
TWO = "  over: {optimizer: [{name: sgd, learning_rate: {log: [1e-3, 1]}}, adam]}\n"


@pytest.fixture
def planned(write: Any, engine: Engine) -> Any:
    """planned(sweep, *overrides): the plan of this sweep."""

    def make(sweep: str, *overrides: str) -> SweepPlan:
        return make_plan(read(write(sweep), overrides), engine)

    return make


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ("{loss.label_smoothing: {uniform: [0.0, 0.3]}}", "loss.label_smoothing changes what it is"),
        ("{loss: [cross_entropy, {name: focal, gamma: 1}]}", "their losses differ"),
        ("{loss: [{name: focal, gamma: [1, 2]}]}", "loss.gamma changes what it is"),
        ("{optimizer.learning_rate: [0.1, 0.2]}", None),
        ("{data.examples: [256, 300]}", None),  # of classes the loss has no unit
    ],
)
def test_trials_are_not_judged_by_losses_that_differ(over, why, planned):
    sweep = f"  over: {over}\n  search: grid\n  seeds: 1\n  final_seeds: 0\n"
    assert planned(sweep).metric.name == "val/accuracy"
    if why is None:
        assert planned(sweep + "  metric: val/loss\n").metric.name == "val/loss"
        return
    with pytest.raises(SpecError, match=f"judged by val/loss, and {why}; write sweep.metric: val/accuracy"):
        planned(sweep + "  metric: val/loss\n")


def test_a_plan_with_its_defaults(planned):
    plan = planned(TWO + "  final_seeds: 3\n")
    assert [arm.alternative.label for arm in plan.arms] == ["sgd", "adam"]
    assert plan.budgets == [20, 1]  # of adam nothing varies
    assert (plan.metric.name, plan.metric.rising, plan.search_name) == ("val/accuracy", True, "random")
    about = plan.about()
    assert json.loads(json.dumps(about)) == about
    assert (about["trials"], about["seeds"], about["final_seeds"], about["goal"]) == (20, 1, 3, "max")
    assert about["alternatives"][0]["dimensions"] == [
        {"path": "optimizer.learning_rate", "kind": "log", "low": 1e-3, "high": 1}
    ]
    assert about["bases"] == ["tiny"]  # the name in the base, not that of its file


@pytest.mark.parametrize(
    "blocks",
    [
        "[adam, sgd, adam]",
        "[sgd, adam, {name: adam, b1: 0.9}]",
        "[{name: adam}, sgd, {name: adam, eps: 1e-8}]",
    ],
)
def test_an_alternative_is_not_compared_with_itself(blocks: str, planned):
    with pytest.raises(
        SpecError, match=r"sweep.over.optimizer.2: adam-2 is the same as adam; write each once"
    ):
        planned(f"  over: {{optimizer: {blocks}}}\n")


def test_blocks_of_one_name_with_other_ranges_are_alternatives(planned):
    blocks = "[{name: adam, b1: [0.8, 0.9]}, {name: adam, b1: [0.8, 0.95]}, {name: adam, b1: 0.8}]"
    assert len(planned(f"  over: {{optimizer: {blocks}}}\n").arms) == 3


def test_every_kind_of_dimension_is_written_down(planned):
    plan = planned(
        "  over:\n    optimizer.b1: {uniform: [0.5, 0.9]}\n    model.dropout: {normal: [0.2, 0.05]}\n"
        "    data.batch_size: {choice: [64, 128]}\n"
    )
    [alternative] = plan.about()["alternatives"]
    assert alternative["label"] == "trial"
    assert alternative["dimensions"] == [
        {"path": "optimizer.b1", "kind": "uniform", "low": 0.5, "high": 0.9},
        {"path": "model.dropout", "kind": "normal", "mean": 0.2, "sd": 0.05},
        {"path": "data.batch_size", "kind": "choice", "values": [64, 128]},
    ]


@pytest.mark.parametrize(
    ("extra", "trials"),
    [("", 4), ("  trials: 3\n", 3), ("  trials: 10\n", 4)],
)
def test_a_grid_has_no_more_trials_than_points(extra: str, trials: int, planned):
    choice = "  over: {data.batch_size: {choice: [32, 64]}, optimizer.b1: {choice: [0.8, 0.9]}}\n"
    assert planned(choice + "  search: grid\n" + extra).budgets == [trials]


def test_the_metric_that_judges_may_be_written(planned):
    plan = planned(RATE + "  metric: val/loss\n  goal: min\n")
    assert (plan.metric.name, plan.metric.rising) == ("val/loss", False)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (RATE + "  metric: val/loss\n  goal: max\n", r"sweep.goal: got max, but of val/loss less is better"),
        (RATE + "  metric: val/f1\n", r"sweep.yaml:4:3: checkpoint.best: there is no metric 'val/f1'; write one of"),
        (RATE + "  search: hill\n", r"sweep.search"),
        (RATE + "  search: {name: halving, eta: 1}\n", r"sweep.search.eta"),
        (RATE + "  search: {name: halving, depth: 1}\n", r"depth"),
        ("  over: {optimizer.rate: {log: [1e-3, 1]}}\n", r"optimizer.rate"),
        ("  over: {optimizer.learning_rate: {log: [-1, 1]}}\n", r"sweep.over.optimizer.learning_rate"),
        ("  over: {optimizer.learning_rate: {uniform: [-1, 1]}}\n", r"learning_rate"),
        ("  over: {model.dropout: {uniform: [0.5, 1.5]}}\n", r"model.dropout"),
        (RATE + "  trials: 0\n", r"sweep.trials"),
        (RATE + "  seeds: 2000\n", r"sweep.seeds"),
        (RATE + "  target: soon\n", r"sweep.target"),
        (RATE + "  color: red\n", r"sweep.color: unknown"),
        (
            "  over: {data.batch_size: {choice: [32, 64]}}\n  search: population\n",
            r"population changes settings during a run, and data.batch_size cannot change there; write another",
        ),
        (RATE + "  search: population\n  trials: 4\n", r"of 4 trials the share of losers is less than one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported_with_its_place(sweep: str, message: str, planned):
    with pytest.raises(SpecError, match=message) as caught:
        planned(sweep)
    assert all("\n" not in str(problem) for problem in caught.value.problems)


def test_rungs_need_evaluations_on_the_way(planned):
    with pytest.raises(SpecError, match=r"halving compares trials on the way, but they are evaluated only"):
        planned(RATE + "  search: halving\n", "train.evaluate_every=6 epochs")


def test_a_population_decides_who_continues(planned):
    with pytest.raises(SpecError, match=r"population decides itself who .*; leave train.early_stopping out"):
        planned(RATE + "  search: population\n", "train.early_stopping={patience: 2 epochs}")


def test_nothing_to_judge_by(planned):
    with pytest.raises(
        SpecError, match=r"sweep.metric: nothing is held out to judge by; write data.validation: 0.1"
    ):
        planned(RATE, "data.validation=0")


def test_problems_of_all_alternatives_are_reported_once(write):
    over = "  over: {optimizer: [{name: sgd, learning_rate: -1}, {name: adam, learning_rate: -1, b1: 2}]}\n"
    with pytest.raises(SpecError) as caught:
        check(read(write(over)))
    problems = list(map(str, caught.value.problems))
    assert len(problems) == len(set(problems)) == 3
    assert any("b1" in problem for problem in problems)


def test_the_spec_of_a_trial(write):
    file: SweepFile = read(write(TWO + "  seeds: 2\n"))
    plan_arm = trial_at_of(file)
    checked = trial_spec(file, plan_arm, {"optimizer.learning_rate": 0.5}, (7, 2), "digits/sgd-003")
    assert (checked.optimizer.name, checked.optimizer.options["learning_rate"]) == ("sgd", 0.5)
    assert (checked.train.seed, checked.train.seeds) == (7, 2)
    assert checked.name == "digits-sgd-003"
    assert seeds_of(file, plan_arm.base) == (0, 2)


def trial_at_of(file: SweepFile) -> Any:
    from nnrun.sweep.trials import arms

    [sgd, _] = arms(file)
    assert trial_at(sgd, 3, (0.5,)).name == "sgd-003"
    return sgd


# The folder of a sweep


@pytest.fixture
def begun(write: Any, engine: Engine, tmp_path: Path) -> Path:
    _, folder = lifecycle.begin(write(RATE + "  trials: 3\n"), [], engine, tmp_path / "sweep", tmp_path)
    return folder


def test_the_folder_holds_what_was_asked(begun, written):
    assert sorted(path.name for path in begun.iterdir()) == [
        "bases", "batches", "final", "state.json", "sweep.json", "sweep.yaml", "trials",
    ]  # fmt: skip
    file = read_back(begun, [])
    assert file.sweep.trials == 3
    assert file.bases[0].path.parent == written  # so that relative paths keep their meaning
    assert read_back(begun, ["sweep.trials=5"]).sweep.trials == 5


def test_a_folder_that_is_taken_is_refused(begun, write, engine, tmp_path):
    with pytest.raises(
        RunError,
        match=r"sweep: already exists; it holds a sweep: `nnrun sweep --resume .*sweep` continues it",
    ):
        lifecycle.begin(write(RATE), [], engine, tmp_path / "sweep", tmp_path)


def test_a_mistake_creates_nothing(write, engine, tmp_path):
    with pytest.raises(SpecError):
        lifecycle.begin(
            write("  over: {model.dropout: {uniform: [0, 2]}}\n"), [], engine, tmp_path / "sweep", tmp_path
        )
    assert not (tmp_path / "sweep").exists()


def test_a_full_disk_leaves_no_folder_behind(write, engine, tmp_path, monkeypatch):
    def full(*arguments: Any) -> None:
        raise MachineError("disk full")

    monkeypatch.setattr(files, "rewrite", full)
    with pytest.raises(MachineError, match="disk full"):
        lifecycle.begin(write(RATE), [], engine, tmp_path / "sweep", tmp_path)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    "override", ["optimizer.learning_rate=0.1", "sweep.seeds=3", "sweep.search=grid", "x"]
)
def test_only_the_budget_of_a_sweep_may_change(override: str, begun, engine):
    with pytest.raises(
        SpecError, match=r"takes sweep.trials, sweep.studies, sweep.final_seeds, sweep.target; start another"
    ):
        lifecycle.continue_sweep(begun, [override], engine)


def test_a_sweep_that_ranks_its_trials_together_cannot_grow(write, engine, tmp_path):
    sweep = RATE + "  search: halving\n  trials: 9\n"
    _, folder = lifecycle.begin(write(sweep), [], engine, tmp_path / "sweep", tmp_path)
    with pytest.raises(
        SpecError, match=r"sweep.trials: halving ranks all trials together; start another sweep"
    ):
        lifecycle.continue_sweep(folder, ["sweep.trials=27"], engine)
    lifecycle.continue_sweep(folder, ["sweep.final_seeds=3"], engine)
    assert json.loads((folder / "sweep.json").read_text())["final_seeds"] == 3


def test_a_larger_budget_is_written_down(begun, engine):
    plan = lifecycle.continue_sweep(begun, ["sweep.trials=7"], engine)
    assert plan.budgets == [7]
    assert read_back(begun, []).sweep.trials == 7
    assert json.loads((begun / "sweep.json").read_text())["trials"] == 7


def test_what_is_no_sweep_or_of_a_newer_one(begun, tmp_path):
    with pytest.raises(RunError, match=r"not the folder of a sweep; name one that `nnrun sweep` made"):
        read_back(tmp_path, [])
    about = json.loads((begun / "sweep.json").read_text())
    (begun / "sweep.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(RunError, match=r"format 99, this nnrun reads 2; use the nnrun that wrote it"):
        read_back(begun, [])


def test_an_interruption_names_the_command_that_continues(begun, engine, monkeypatch):
    plan = lifecycle.continue_sweep(begun, [], engine)

    class Loop:
        def __init__(self, *arguments: Any) -> None:
            pass

        def run(self) -> Any:
            raise Interrupted(15, "")
            yield

    monkeypatch.setattr(lifecycle, "SweepLoop", Loop)
    with pytest.raises(Interrupted, match=rf"interrupted; `nnrun sweep --resume {begun}`"):
        list(lifecycle.sweep(plan, begun, engine, SimpleNamespace()))
    assert run_record.read_state(begun)["status"] == "interrupted"


def test_an_error_is_written_into_the_state(begun, engine, monkeypatch):
    plan = lifecycle.continue_sweep(begun, [], engine)

    class Loop:
        def __init__(self, *arguments: Any) -> None:
            pass

        def run(self) -> Any:
            raise MachineError("disk full")
            yield

    monkeypatch.setattr(lifecycle, "SweepLoop", Loop)
    with pytest.raises(MachineError):
        list(lifecycle.sweep(plan, begun, engine, SimpleNamespace()))
    assert run_record.read_state(begun) == {"status": "failed", "reason": "disk full"}


def test_a_ledger_is_written_anew(tmp_path):
    (tmp_path / "trials.jsonl").write_text("old\n")
    ledger = Ledger(tmp_path / "trials.jsonl")
    ledger.add({"trial": "a"})
    ledger.add({"trial": "b"})
    ledger.close()
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"trial": "a"}, {"trial": "b"}]
    ledger.arrange([{"trial": "b"}, {"trial": "a"}])
    assert (tmp_path / "trials.jsonl").read_text() == '{"trial": "b"}\n{"trial": "a"}\n'


def test_a_trial_that_could_not_begin_leaves_its_reason(tmp_path):
    folder = tmp_path / "trials" / "a"
    write_failure(folder, "name: a\n", "model.hidden: wrong")
    write_failure(folder, "name: b\n", "again")
    assert (folder / "spec.yaml").read_text() == "name: b\n"
    assert run_record.read_state(folder) == {"status": "failed", "reason": "again"}


# What is shown on the way


def counter_of(planned: Any, trials: int, records: list[dict[str, Any]]) -> Any:
    """The board of a sweep of `trials` trials of 6 steps each, with these records."""
    plan = planned(RATE + f"  trials: {trials}\n  final_seeds: 2\n")
    [arm] = plan.arms
    by_name = {trial.name: trial for trial in (trial_at(arm, i, (0.5,)) for i in range(trials))}
    loop: Any = SimpleNamespace(
        sweep_plan=plan, trials=by_name, records={record["trial"]: record for record in records}
    )
    return ProgressCounter(loop), plan.plans[0].steps


def record_of(number: int, status: str, value: float | None, steps: int) -> dict[str, Any]:
    return {
        "trial": f"trial-{number:03d}",
        "status": status,
        "value": value,
        "values": [value],
        "steps": steps,
    }


def event_of(runs: list[str], step: int, phase: str = "training", name: str = "round-00") -> Any:
    return SimpleNamespace(batch=SimpleNamespace(name=name, runs=runs), step=step, phase=phase)


def test_the_share_of_the_work(planned):
    """Three trials and a comparison of two seeds are five runs' worth of steps; an early end is a whole trial."""
    counter, steps = counter_of(planned, 3, [record_of(0, "done", 0.5, 6)])
    assert steps == 6
    progress = counter.progress(None)
    assert (progress.phase, progress.share) == ("starting", pytest.approx(6 / 30))
    progress = counter.progress(event_of(["trials/trial-001", "trials/trial-002"], 3))
    assert (progress.phase, progress.share) == ("training", pytest.approx((6 + 3 + 3) / 30))
    progress = counter.progress(event_of(["final/trial"], 3, name="final-00"))
    assert (progress.phase, progress.share) == ("comparing", pytest.approx((6 + 3 + 3 + 2 * 3) / 30))


def test_a_trial_that_ended_early_is_no_work_that_is_left(planned):
    counter, _ = counter_of(planned, 2, [record_of(0, "diverged", None, 2)])
    assert counter.progress(None).share == pytest.approx(2 / (2 + 6 + 12))


def test_the_best_trial_and_what_was_lost(planned):
    records = [
        record_of(0, "done", 0.5, 6), record_of(1, "done", 0.75, 6), record_of(2, "stopped", 0.9, 3),
        record_of(3, "diverged", None, 1), record_of(4, "failed", None, 0), record_of(5, "diverged", None, 1),
    ]  # fmt: skip
    counter, _ = counter_of(planned, 8, records)
    [row] = counter.progress(event_of([], 0, "done")).rows
    assert (row.label, row.done, row.trials) == ("trial", 6, 8)
    assert row.best == "75.00%"
    assert row.lost == "1 stopped, 2 diverged, 1 failed"


DROPPED = (
    "data: {name: digits, examples: 256}\nmodel: {name: mlp, hidden: [8], dropconnect: 0.3}\noptimizer: adam\n"
    "train: {duration: 1 epoch}\n"
)


@pytest.mark.parametrize(
    ("over", "mask"),
    [
        ("model.dropconnect: {uniform: [0.1, 0.5]}", "batch"),
        ("model.dropconnect.rate: {uniform: [0.1, 0.5]}", "batch"),
        ("model.dropconnect: {rate: {uniform: [0.1, 0.5]}, mask: example}", "example"),
        ("model.dropconnect.rate: {uniform: [0.1, 0.5]}, model.dropconnect.mask: [example]", "example"),
    ],
)
def test_the_rate_of_a_record_is_searched_by_either_spelling(over: str, mask: str, write):
    """Trials share a program: the rate is a knob."""
    file = read(write(f"  over: {{{over}}}\n", DROPPED))
    check(file)
    [arm] = arms(file)
    specs = [trial_spec(file, arm, values_at(arm, (u,)), (0, 1), "trial") for u in (0.25, 0.75)]
    assert [one.model.options["dropconnect"][:2] for one in specs] == [(0.2, mask), (0.4, mask)]
    assert [bound.knobs(one.model) for one in specs] == [
        {"dropconnect": {"rate": rate}} for rate in (0.2, 0.4)
    ]
    assert build.structure_of(specs[0]) == build.structure_of(specs[1])
    again = yaml12.parse(specs[0].document.text, "spec.yaml").value
    assert again["model"]["dropconnect"] in (0.2, {"rate": 0.2}, {"rate": 0.2, "mask": mask})


def test_a_field_is_searched_beside_the_short_form_of_the_base(write):
    file = read(write("  over: {model.dropconnect.mask: [batch, example]}\n", DROPPED))
    [arm] = arms(file)
    specs = [trial_spec(file, arm, values_at(arm, (u,)), (0, 1), "trial") for u in (0.25, 0.75)]
    assert [one.model.options["dropconnect"][:2] for one in specs] == [(0.3, "batch"), (0.3, "example")]


def test_an_override_of_a_field_stands_in_the_base_of_a_sweep(write):
    [base] = read(write(RATE, DROPPED), ["model.dropconnect.mask=example"]).bases
    assert base.value["model"]["dropconnect"] == {"rate": 0.3, "mask": "example"}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (
            "model.dropconnect: [0.5, 0.1, {rate: 0.5}]",
            'model.dropconnect: 0.5 and {"rate": 0.5} are the same',
        ),
        ("model.norm: [none, {name: none}]", 'model.norm: "none" and {"name": "none"} are the same'),
        ("schedule.warmup: [1 epoch, 1 epochs]", 'schedule.warmup: "1 epoch" and "1 epochs" are the same'),
    ],
)
def test_two_spellings_of_a_value_are_no_choice(choice: str, says: str, write):
    with pytest.raises(SpecError) as caught:
        check(read(write(f"  over: {{{choice}}}\n", DROPPED)))
    [problem] = caught.value.problems
    assert f"sweep.over.{says} setting; write it once" in problem
