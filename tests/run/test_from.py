"""nnrun train SPEC --from RUN: a run that begins with the weights of another one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from nnrun.errors import RunError, SpecError
from nnrun.runner import session
from nnrun.runner.leaves import WeightsRequest
from nnrun.runner.warm_start import warm_start

# All examples at each step and nothing drawn: what a step does depends on the state alone.
SPEC = """
data: {name: iris, batch_size: full}
model: {name: mlp, hidden: [6, 5]}
optimizer: {name: adam, learning_rate: 0.05}
average: {name: ema, decay: 0.5}
train: {duration: 20 steps, evaluate_every: 5 steps}
checkpoint: {every: 5 steps, keep: 9}
"""
STILL = "optimizer.learning_rate=1e-30"  # the last digit of no weight changes
ONE = "train.duration=1 steps"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """runs/one, a run of 20 steps, and runs/three, of three seeds."""
    folder = tmp_path_factory.mktemp("from")
    (folder / "spec.yaml").write_text(SPEC)
    for name, *changes in (("one",), ("three", "train.seeds=3")):
        done = warm("train", "spec.yaml", "--run-dir", f"runs/{name}", "-q", *changes, folder=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def train(place: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    """train(name, *arguments): trains the spec into runs/name."""

    def run(name: str, *arguments: object) -> Any:
        return warm("train", "spec.yaml", "--run-dir", f"runs/{name}", *arguments, folder=place)

    return run


def arrays(folder: Path, step: int, kind: str = "params/") -> dict[str, np.ndarray]:
    stored = load_file(folder / f"checkpoints/step_{step:08d}/arrays.safetensors")
    return {name: array for name, array in stored.items() if name.startswith(kind)}


def assert_equal(actual: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert actual.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


def state_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())["weights_from"]


@pytest.mark.quick(2)
@pytest.mark.parametrize(("which", "step"), [(":5", 5), (":last", 20), (":best", None), ("", None)])
def test_the_weights_are_those_of_the_step(which: str, step: int | None, place, monkeypatch):
    monkeypatch.chdir(place)
    prepared = session.prepare(Path("spec.yaml"))
    (beginning,) = warm_start(f"one{which}", Path("runs"), prepared, WeightsRequest(), pytest.fail)
    step = step or json.loads((place / "runs/one/summary.json").read_text())["best"]["step"]
    assert_equal(beginning.arrays, arrays(place / "runs/one", step))
    assert beginning.origin["step"] == step


def test_with_its_memory_an_optimizer_continues_as_if_nothing_had_been(train, place):
    """Ten steps and then ten are twenty: the bias correction of Adam counts on.  Fresh moments lead elsewhere."""
    keep = "--optimizer-state", "keep"
    assert train("kept", "--from", "one:10", *keep, "train.duration=10 steps", "-q").code == 0
    assert train("afresh", "--from", "one:10", "train.duration=10 steps", "-q").code == 0
    kept, afresh = arrays(place / "runs/kept", 10), arrays(place / "runs/afresh", 10)
    for name, whole in arrays(place / "runs/one", 20).items():
        np.testing.assert_allclose(kept[name], whole, rtol=1e-4, atol=1e-6)
        assert np.abs(afresh[name] - whole).max() > 0.01


def test_the_first_step_of_a_fresh_adam_is_the_rate(train, place):
    """|update| = rate · |g| / (|g| + eps): with fresh moments the first step is as long as the rate."""
    assert train("first", "--from", "one:last", ONE, "optimizer.learning_rate=1e-3", "-q").code == 0
    before, after = arrays(place / "runs/one", 20), arrays(place / "runs/first", 1)
    steps = np.concatenate([(after[name] - before[name]).ravel() for name in before])
    np.testing.assert_allclose(np.abs(steps[steps != 0]), 1e-3, rtol=0.02)
    assert (steps != 0).mean() > 0.5  # others belong to units that are off for all examples


def test_a_running_average_begins_with_the_weights(train, place):
    """After one step that changes nothing, the average of what was seen is what the run began with."""
    assert train("averaged", "--from", "one:last", STILL, ONE, "-q").code == 0
    last = json.loads((place / "runs/averaged/summary.json").read_text())["metrics"]["last"]
    assert last["val/ema/loss"] == pytest.approx(last["val/loss"], rel=1e-5)


@pytest.mark.slow
def test_an_average_can_be_what_a_run_begins_with(train, place):
    done = train("of-ema", "--from", "one:last:ema", STILL, ONE, "-q")
    assert done.code == 0, done.err
    stored = load_file(place / "runs/one/checkpoints/step_00000020/arrays.safetensors")
    for name, array in arrays(place / "runs/of-ema", 1).items():
        total = stored[f"average/ema/sum/{name.removeprefix('params/')}"]
        np.testing.assert_allclose(array, total / stored["average/ema/weight"], rtol=1e-6)
    assert state_of(place / "runs/of-ema")["average"] == "ema"


def test_only_what_matches_is_taken(train, place):
    changes = "model.hidden=[6, 7]", STILL, ONE
    assert train("fresh", *changes, "-q").code == 0
    done = train("part", "--from", "one:last", "--from-only", "hidden_1", *changes, "-q")
    assert done.code == 0, done.err
    old, fresh, part = (
        arrays(place / "runs" / name, step) for name, step in (("one", 20), ("fresh", 1), ("part", 1))
    )
    first = {name for name in part if name.startswith("params/hidden_1/")}
    assert len(first) == 2
    assert_equal({n: part[n] for n in first}, {n: old[n] for n in first})
    for name in part.keys() - first:
        np.testing.assert_allclose(part[name], fresh[name], rtol=0, atol=1e-29)


def test_each_seed_of_a_group_begins_with_its_own(train, place):
    assert train("own", "--from", "three:last", "train.seeds=2", "train.seed=1", STILL, ONE, "-q").code == 0
    for seed in (1, 2):
        assert_equal(
            arrays(place / f"runs/own/seed_{seed}", 1), arrays(place / f"runs/three/seed_{seed}", 20)
        )
        assert state_of(place / f"runs/own/seed_{seed}")["run"] == str(place / f"runs/three/seed_{seed}")
    assert state_of(place / "runs/own")["run"] == str(place / "runs/three")
    assert state_of(place / "runs/own")["step"] is None


@pytest.mark.slow
def test_one_run_can_be_what_all_seeds_begin_with(train, place):
    assert train("all", "--from", "one:last", "train.seeds=2", STILL, ONE, "-q").code == 0
    for seed in (0, 1):
        assert_equal(arrays(place / f"runs/all/seed_{seed}", 1), arrays(place / "runs/one", 20))
    assert state_of(place / "runs/all") == state_of(place / "runs/all/seed_0")


@pytest.mark.quick(1)
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_with_them_again(
    seeds: int, train, place, warm
):
    """The other run may be gone by then: what was taken of it lies in the folder."""
    shutil.copytree(place / "runs/one", place / f"runs/gone-{seeds}")
    changes = f"train.seeds={seeds}", "train.duration=7 steps"
    assert train(f"whole-{seeds}", "--from", f"gone-{seeds}:last", *changes, "-q").code == 0
    whole, torn = place / f"runs/whole-{seeds}", place / f"runs/torn-{seeds}"
    shutil.copytree(whole, torn)
    shutil.rmtree(place / f"runs/gone-{seeds}")
    for folder in [torn, *torn.glob("seed_*")]:
        (folder / "state.json").write_text(json.dumps({"status": "created", "step": 0}))
        (folder / "summary.json").unlink()
        (folder / "metrics.jsonl").unlink(missing_ok=True)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    done = warm("resume", torn, "-q", folder=place)
    assert done.code == 0, done.err
    for folder in [whole] if seeds == 1 else whole.glob("seed_*"):
        other = torn / folder.relative_to(whole)
        assert_equal(arrays(other, 7, ""), arrays(folder, 7, ""))
        assert (other / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()
    shutil.rmtree(torn / ("seed_0/checkpoints" if seeds > 1 else "checkpoints"))
    shutil.rmtree(torn / ("seed_0/weights_from" if seeds > 1 else "weights_from"))
    for folder in [torn, *torn.glob("seed_*")]:
        (folder / "state.json").write_text(json.dumps({"status": "created", "step": 0}))
    done = warm("resume", torn, "-q", folder=place)
    assert done.code == 4
    assert "weights_from: missing; restore it, or train again with --from" in done.err


def test_a_source_of_the_same_task_is_no_warning(place, monkeypatch):
    monkeypatch.chdir(place)
    warnings: list[str] = []
    for change in ([], ["data.split_seed=1"]):
        prepared = session.prepare(Path("spec.yaml"), change)
        warm_start("one", Path("runs"), prepared, WeightsRequest(), warnings.append)
    assert warnings == [
        "--from runs/one: was trained on inputs standardised by its own training part; here they are by this one"
    ]


def test_the_seam_and_the_way_here_are_shown(train, place, warm):
    done = train("second", "--from", "one:last", ONE, "optimizer.learning_rate=0.002")
    assert done.code == 0, done.err
    seam = f"nnrun: weights from {place}/runs/one step 20: the rate was 0.05, it starts at 0.002"
    assert done.err.splitlines()[0] == seam
    assert train("third", "--from", "second:last", ONE, "-q").err == ""
    shown = warm("show", "third", folder=place).out.splitlines()
    assert [line for line in shown if line.startswith("weights")] == [
        f"weights  {place}/runs/second step 1",
        f"weights  {place}/runs/one step 20",
    ]
    about = warm("show", "third", "--json", folder=place).json["provenance"]["weights_from"]
    assert about["before"]["run"] == str(place / "runs/one")


@pytest.mark.slow
def test_runs_that_began_with_other_weights_are_other_settings(train, place, warm):
    for name, seed, *of in (
        ("a", 0, "--from", "one:5"),
        ("b", 1, "--from", "one:5"),
        ("c", 2, "--from", "one:10"),
    ):
        assert train(name, *of, f"train.seed={seed}", ONE, "-q").code == 0
    done = warm("compare", "a", "b", "c", "--json", folder=place)
    assert done.code == 0, done.err
    first, second = done.json["runs"]
    assert (first["seeds"], second["seeds"]) == ([0, 1], [2])
    assert first["settings"]["weights_from"].startswith(f"{place}/runs/one step 5 [")
    assert second["settings"]["weights_from"].startswith(f"{place}/runs/one step 10 [")


@pytest.mark.parametrize(
    ("text", "changes", "request_", "message"),
    [
        (
            "one:20", ["model.hidden=[6, 7]"], WeightsRequest(),
            "--from runs/one:20: params/hidden_2/bias is [5] in that run and [7] in the model; params/hidden_2/kernel "
            "is [6, 5] in that run and [6, 7] in the model; params/output/kernel is [5, 3] in that run and [7, 3] in "
            "the model; use its model, or take what fits: --from-only 'hidden_*'",
        ),
        ("one", ["model.hidden=[6]"], WeightsRequest(), "params/hidden_2/bias is in that run and not in the model"),
        (
            "one",
            ["model.hidden=[6, 5, 4]"],
            WeightsRequest(),
            "params/hidden_3/bias is in the model and not in that run",
        ),
        ("one", ["model.hidden=[6, 5, 4, 3]"], WeightsRequest(), "in the model and not in that run; and 1 more; use"),
        (
            "one", [], WeightsRequest(["hiden_1", "output"]),
            "--from-only 'hiden_1': matches nothing in the model; did you mean hidden_1?",
        ),
        (
            "one:last", ["optimizer={name: sgd, learning_rate: 1}"], WeightsRequest((), "keep"),
            "--from runs/one:20: opt_state/memory/m/hidden_1/bias is in that run and not in the model; ",
        ),
        ("one", [], WeightsRequest((), "kept"), "--optimizer-state: got 'kept'; write one of keep, fresh"),
        ("one:ema", [], WeightsRequest((), "keep"), "belongs to the trained parameters, not to ema; write fresh"),
        ("one", [], WeightsRequest(["output"], "keep"), "belongs to all weights; leave out --from-only"),
        ("one:swa", [], WeightsRequest(), "runs/one: keeps no average 'swa'; write one of: ema"),
        ("one:7", [], WeightsRequest(), "runs/one: has no checkpoint '7'; write last, best or a step: "),
        (
            "three", ["train.seed=2", "train.seeds=2"], WeightsRequest(),
            "has no seed 3; name one run for all, such as runs/three/seed_0",
        ),
        ("oen", [], WeightsRequest(), "oen: no such run here or in runs; did you mean "),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused(
    text: str, changes: list[str], request_: WeightsRequest, message: str, place, monkeypatch
):
    monkeypatch.chdir(place)
    prepared = session.prepare(Path("spec.yaml"), changes)
    with pytest.raises((SpecError, RunError), match=re.escape(message)) as raised:
        warm_start(text, Path("runs"), prepared, request_, pytest.fail)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["--from-only", "output"], ["--optimizer-state", "keep"], ["--optimizer-state", ""]]
)
def test_an_option_of_from_needs_it(arguments: list[str], train, place):
    done = train("refused", *arguments, "-q")
    assert done.code == 2
    assert "name it with --from RUN, or leave it out" in done.err
    assert not (place / "runs/refused").exists()


def test_nothing_is_made_where_something_cannot_be_taken(train, place):
    done = train("refused", "--from", "one", "model.hidden=[6, 7]", "-q")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert not (place / "runs/refused").exists()


@pytest.mark.slow
def test_an_average_of_predictions_has_no_weights(train, place, warm):
    assert warm("ensemble", "three", "-o", "runs/together", folder=place).code == 0
    done = train("refused", "--from", "together", "-q")
    assert done.code == 4
    assert (
        "averages the predictions of its members, so it has no weights of its own; name a member" in done.err
    )
    assert warm("ensemble", "three", "--average", "parameters", "-o", "runs/soup", folder=place).code == 0
    assert train("of-soup", "--from", "soup", STILL, ONE, "-q").code == 0
    assert_equal(arrays(place / "runs/of-soup", 1), arrays(place / "runs/soup", 20))


@pytest.mark.slow
def test_what_the_weights_were_not_trained_for_is_a_warning(train):
    done = train("wine", "--from", "one", "--from-only", "hidden_2", "data.name=wine", ONE, "-q")
    assert done.code == 0, done.err
    first, second = done.err.splitlines()
    assert "was trained for setosa, versicolor, virginica, this run is for class_0, class_1, class_2" in first
    assert "was trained on " in second


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (["model.activation=tanh"], "model.activation was relu, it is tanh"),
        (["model.dropout=0.2", "model.init=glorot_normal"], ""),
        (
            ["model.hidden=[6, 7]", "--from-only", "hidden_1", "model.activation=elu"],
            "model.activation was relu, it is elu",
        ),
        (["model.hidden=[6, 7]", "--from-only", "hidden_1"], ""),
        (
            ["optimizer.bias_correction=false", "--optimizer-state", "keep"],
            "optimizer.bias_correction was true, it is false",
        ),
        (["optimizer.learning_rate=0.1", "--optimizer-state", "keep"], ""),
    ],
)
def test_settings_that_change_what_weights_of_that_shape_mean_are_a_warning(
    arguments, warning, train, tmp_path
):
    done = train(tmp_path / "changed", "--from", "one", ONE, "-q", *arguments)
    assert done.code == 0, done.err
    line = f"nnrun: warning: --from runs/one: since those weights were trained, {warning}\n"
    assert done.err == (line if warning else "")


@pytest.mark.slow
def test_a_file_of_code_that_has_changed_is_a_warning(place, warm, tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC.replace("mlp, hidden: [6, 5]", "mine:net"))
    code = (
        "from nnrun.model.mlp import mlp\n"
        "def net(outputs: int):\n    return mlp(outputs, [4], activation='ACTIVATION')\n"
    )
    (tmp_path / "mine.py").write_text(code.replace("ACTIVATION", "relu"))
    assert warm("train", "spec.yaml", ONE, "--run-dir", "runs/one", "-q", folder=tmp_path).code == 0
    begin = "train", "spec.yaml", "--from", "one", ONE, "-q"
    done = warm(*begin, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    (tmp_path / "mine.py").write_text(code.replace("ACTIVATION", "tanh"))
    done = warm(*begin, folder=tmp_path)
    assert done.code == 0, done.err
    assert done.err.endswith(f"since those weights were trained, {tmp_path}/mine.py has changed\n")


@pytest.mark.slow
def test_weights_of_another_precision_are_rounded_aloud_and_widened_in_silence(train, place):
    assert train("double", "--from", "one:last", "train.precision=float64", STILL, ONE, "-q").err == ""
    wide, narrow = arrays(place / "runs/double", 1), arrays(place / "runs/one", 20)
    for name, array in narrow.items():
        assert wide[name].dtype == np.float64
        np.testing.assert_array_equal(wide[name].astype(np.float32), array)
    done = train("single", "--from", "double", ONE, "-q")
    assert "double:1: its weights are float64, rounded to float32 here" in done.err


def test_resume_with_changes_says_what_to_write(place, warm):
    done = warm("resume", "one", "train.duration=40 steps", folder=place)
    assert done.code == 2
    assert "nnrun train SPEC 'train.duration=40 steps' --from runs/one:last" in done.err


@pytest.mark.slow
def test_the_same_from_python(place, monkeypatch):
    import nnrun

    monkeypatch.chdir(place)
    result = nnrun.train("spec.yaml", [STILL, ONE], weights_from="one:last", only=["hidden_1"])
    np.testing.assert_array_equal(
        result.params["hidden_1"]["kernel"], arrays(place / "runs/one", 20)["params/hidden_1/kernel"]
    )
    assert state_of(result.run_dir)["only"] == ["hidden_1"]
    result = nnrun.train("spec.yaml", [STILL, ONE], weights_from="one:last", only="hidden_*")
    assert state_of(result.run_dir)["only"] == ["hidden_*"]  # a text is a pattern, not its letters
    for options in ({"only": ["hidden_1"]}, {"optimizer_state": "keep"}):
        with pytest.raises(SpecError, match="name it with weights_from"):
            nnrun.train("spec.yaml", **options)
