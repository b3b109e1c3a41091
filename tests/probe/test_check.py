"""`nnrun check`: each check against values derived independently, planted faults, and the command."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from nnrun.layer._compose import serial, stateless
from nnrun.layer._watched import watching
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout
from nnrun.layer.relu import relu
from nnrun.layer.residual import residual
from nnrun.probe import check, examples, first_steps, leaks, relation
from nnrun.probe.capacity import twenty
from nnrun.probe.first_steps import FirstSteps, check_rate
from nnrun.probe.gradients import check_gradients, leaf_errors
from nnrun.probe.objective import beginning
from nnrun.probe.units import idle_units
from nnrun.report.findings import findings_table, verdict_line
from nnrun.runner import session


def generator() -> ModuleType:
    """The module beside this one: tests are no package."""
    place = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
    assert place and place.loader
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    return module


FAULTS: dict[str, tuple[str, ...]] = generator().FAULTS
planted: Callable[[Path, int, str | None], Path] = generator().planted


def verdicts(path: Path, *overrides: str) -> dict[str, check.Finding]:
    made = check.findings(session.prepare(path, overrides), path.parent)
    return {finding.check: finding for finding in made}


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("check") / "iris.yaml"
    path.write_text(
        "data: {name: iris, batch_size: 32}\nmodel: {name: mlp, hidden: [16]}\nloss: cross_entropy\n"
        "optimizer: {name: sgd, learning_rate: 0.05}\ntrain: {duration: 20 epochs}\n"
    )
    return path


def test_the_command_on_a_spec_with_a_fault(
    tmp_path: Path, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> None:
    """All checks in order; exit 5, as one fails; nothing is left behind."""
    path = planted(tmp_path / "spec", 13, "unnormalised input")
    before = sorted(tmp_path.rglob("*"))
    done = warm("check", path, "--json", folder=tmp_path)
    assert (done.code, done.err, done.json["verdict"]) == (5, "", "fail")
    keeps_contract("check", done.json)
    made = {entry["check"]: entry for entry in done.json["checks"]}
    assert tuple(made) == check.CHECKS
    assert made["input scale"]["verdict"] == "fail"
    assert "leave data.standardize at its default" in made["input scale"]["remedy"]
    assert [place for place in sorted(tmp_path.rglob("*")) if "__pycache__" not in place.parts] == before


def test_a_healthy_spec_passes_every_check(iris: Path) -> None:
    made = verdicts(iris)
    assert {name for name, finding in made.items() if finding.verdict != "pass"} == {"categories"}, made
    assert made["categories"].verdict == "skip"  # iris has no names
    assert made["initial loss"].numbers["constant"] == pytest.approx(math.log(3), rel=1e-6)
    assert made["batches"].numbers["last_batch"] == 105 % 32  # of 150 examples, 30 are tested, 15 validate
    console = Console(width=80, file=io.StringIO())
    console.print(findings_table(list(made.values())), verdict_line(list(made.values())))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert (
        text.splitlines()[0].startswith("pass  classes") and text.splitlines()[-1] == "18 passed, 1 not made"
    )
    assert max(map(len, text.splitlines())) <= 80


def test_a_wrong_gradient_is_found_by_the_parameters_before_it(tmp_path: Path) -> None:
    """Of the layer of the user's own, behind hidden_1: what lies behind it is right."""
    path = planted(tmp_path / "spec", 11, "broken gradient")
    with session.precision("float64"):
        experiment = session.prepare(path, ["train.precision=float64"]).experiment
        errors = leaf_errors(experiment, beginning(experiment))
        finding = check_gradients(experiment)
    off = {leaf.name for leaf in errors if leaf.error > 1e-2}
    assert off == {"hidden_1/bias", "hidden_1/kernel"}
    assert all(leaf.error < 1e-6 for leaf in errors if leaf.name not in off)
    assert finding.verdict == "fail" and "2 of 6 arrays are off" in finding.evidence


@pytest.mark.slow
def test_a_hundred_specs(tmp_path: Path) -> None:
    """Half with a planted fault, ten faults in turn: at least 95% are found, at most 2% of the others are alarms."""
    names, missed, alarms = list(FAULTS), [], []
    for seed in range(100):
        fault = names[seed // 2 % len(names)] if seed % 2 else None
        made = verdicts(planted(tmp_path / str(seed), seed, fault))
        bad = {name for name, finding in made.items() if finding.verdict in ("warn", "fail")}
        if fault and not bad & set(FAULTS[fault]):
            missed.append((seed, fault))
        if not fault and bad:
            alarms.append((seed, bad))
    print(f"missed {missed}, false alarms {alarms}")  # `pytest -s` shows it
    assert len(missed) <= 0.05 * 50 and len(alarms) <= 0.02 * 50, (missed, alarms)


def test_the_faults_of_data_alone(tmp_path: Path) -> None:
    """Without the model: what each fault of the data makes of the checks that should see it."""
    for seed, fault in enumerate(
        ["labels shuffled", "test examples in training", "constant feature", "missing class"], start=300
    ):
        path = planted(tmp_path / str(seed), seed, fault)
        experiment = session.prepare(path).experiment
        made = {finding.check: finding for finding in check.of_data(experiment)}
        bad = {name for name, finding in made.items() if finding.verdict in ("warn", "fail")}
        assert bad == set(FAULTS[fault]), (fault, bad)


def test_a_feature_that_gives_the_target_away(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 3)).astype(np.float32), rng.integers(0, 3, 400)
    x[:, 1] = 10 - 2 * y + 0.01 * rng.normal(size=400)
    np.savez(tmp_path / "leak.npz", x=x, y=y)
    path = tmp_path / "spec.yaml"
    path.write_text(
        "data: {name: npz, path: leak.npz}\nmodel: {name: mlp, hidden: [8]}\nloss: cross_entropy\n"
        "optimizer: {name: sgd, learning_rate: 0.05}\ntrain: {duration: 2 epochs}\n"
    )
    made = {finding.check: finding for finding in check.of_data(session.prepare(path).experiment)}
    assert made["leaks"].verdict == "warn" and made["leaks"].evidence.startswith("input 1 alone gives away")
    # sorted by that feature, each label is one block: two changes between three classes
    assert made["leaks"].numbers["closest"] == pytest.approx(2 / (400 - 80 - 40 - 1), rel=0.01)


def test_kappa_is_scikit_learns_and_its_p_value_is_uniform_without_a_relation() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    agreement = relation.agreement(a, b, classifies=True)
    assert agreement.size == pytest.approx(cohen_kappa_score(a, b))
    chances = [relation.agreement(rng.permutation(a), b, True).chance for _ in range(800)]
    assert stats.kstest(chances, "uniform").pvalue > 1e-4


def test_watching_names_layers_as_their_parameters_and_changes_nothing() -> None:
    model = serial(
        [("first", dense(4)), ("block", residual([dense(4), relu()])), ("output", dense(2))]
    )  # fmt: skip
    params, stats_, _ = model.init(jax.random.key(0), (3,))
    x = jnp.ones((5, 3))
    with watching() as seen:
        y, _ = model.apply(params, stats_, x, None, None)
    assert (y == model.apply(params, stats_, x, None, None)[0]).all()
    inner = {"/".join(passage.path): passage for passage in seen if not passage.composed}
    assert list(inner) == ["first", "block/branch/layer_1", "block/branch/layer_2", "output"]
    assert inner["block/branch/layer_1"].params["kernel"] is params["block"]["branch"]["layer_1"]["kernel"]
    np.testing.assert_array_equal(
        inner["block/branch/layer_2"].y, np.maximum(inner["block/branch/layer_2"].x, 0)
    )
    np.testing.assert_array_equal(inner["output"].y, y)


def test_all_faults_of_the_classes_are_named_at_once() -> None:
    labels = {"train": [0] * 20 + [1] * 3 + [2] * 20, "val": [0, 1], "test": [0, 2]}
    parts = {part: SimpleNamespace(y=np.array(y, np.int32)) for part, y in labels.items()}
    fitted = SimpleNamespace(label_classes=(), targets=())
    dataset: Any = SimpleNamespace(classes=("0", "1", "2", "4", "5"), fitted=fitted, **parts)
    made = examples.check_classes(dataset)
    assert made.verdict == "fail"
    assert made.evidence == (
        "no training example of 4, 5; no example of 2 in the val part; no example of 1 in the test part; "
        "fewer than 5 test examples of 0, 2; "
        "classes are numbers, and 3 is missing; fewer than 10 training examples of 1; "
        "5 classes of 0 to 20 training examples"
    )


def test_a_check_that_raises_does_not_end_the_others(iris: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dataset: object, sample: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(leaks, "check_leaks", broken)
    made = list(check.of_data(session.prepare(iris, []).experiment))
    assert [finding.check for finding in made] == list(check.CHECKS[:8])
    assert made[6].verdict == "fail"
    assert made[6].evidence == "the check itself failed: ZeroDivisionError: division by zero"


def test_units_that_never_open() -> None:
    """Three of four relus are closed for all examples; two of four tanhs are at their ends for all of them."""
    x = jnp.asarray(np.random.default_rng(2).uniform(0.1, 1, (50, 4))) * jnp.asarray([[-1.0, 1, -1, -1]])
    wide = x * jnp.asarray([[30.0, 1, 1, 60]])
    wide = wide.at[:, 0].add(-5.0).at[:, 3].add(-5.0)
    model = serial([("relu", relu()), ("tanh", stateless(jnp.tanh))])
    for given, place, share in ((x, "relu", 3 / 4), (wide, "tanh", 0.0)):
        with watching() as seen:
            model.apply({}, {}, given, None, None)
        assert dict(idle_units(seen))[place] == share
    with watching() as seen:
        kept = serial([("tanh", stateless(jnp.tanh)), ("drop", dropout(0.5)), ("half", dropout(0.5, "test"))])
        kept.apply({}, {}, wide, None, None)
    assert dict(idle_units(seen)) == {"tanh": 2 / 4}  # of what is a line without noise, none can be dead
    with watching() as seen:
        serial([("constant", stateless(jnp.zeros_like))]).apply({}, {}, wide, None, None)
    assert dict(idle_units(seen)) == {"constant": 1.0}


@pytest.mark.parametrize(
    ("ends", "ratio", "verdict"),
    [
        ([0.3, 0.6, 0.9], 1e-3, "pass"),
        ([0.8, 0.3, 0.6], 1e-3, "warn"),  # it gains 0.2 of 0.7
        ([0.95, 0.3, 0.6], 1e-3, "fail"),
        ([math.nan, 0.3, 0.6], 1e-3, "fail"),
        ([2.0, 0.99, 1.0], 1e-3, "fail"),  # nothing learns, and this one is worse than nothing
        ([0.99, 1.0, 1.0], 1e-8, "warn"),  # it hardly moves
    ],
)
def test_the_verdict_on_a_rate(ends: list[float], ratio: float, verdict: str) -> None:
    losses = np.array([[1.0] * 20 + [end] * 10 for end in ends])
    steps = FirstSteps([0.1, 0.01, 0.001], losses, np.full((3, 30), ratio), state=None)  # type: ignore[arg-type]
    assert check_rate(steps).verdict == verdict


def test_the_peak_of_a_schedule(iris: Path) -> None:
    """Linear warm-up over a tenth of 80 steps, then a cosine: the highest rate is where both meet."""
    prepared = session.prepare(iris, ["schedule={name: cosine, warmup: 10%}"])
    step, factor = first_steps.peak(prepared.experiment)
    assert step in (7, 8) and factor == pytest.approx(1.0, abs=0.01)


def test_twenty_examples_are_different_and_of_all_classes(iris: Path) -> None:
    experiment = session.prepare(iris).experiment
    rows = twenty(experiment)
    train = experiment.dataset.train
    assert len(np.unique(train.x[rows], axis=0)) == len(rows) == 20
    assert sorted(np.bincount(train.y[rows])) == [6, 7, 7]


def test_the_specs_that_are_drawn_are_what_they_say(tmp_path: Path) -> None:
    """A fault is planted where it is said to be: shuffled labels have the frequencies of the others."""
    healthy, shuffled = (
        planted(tmp_path / str(fault), 3, fault).parent / "data.npz" for fault in (None, "labels shuffled")
    )
    with np.load(healthy) as first, np.load(shuffled) as second:
        np.testing.assert_array_equal(first["x_train"], second["x_train"])
        assert (first["y_train"] != second["y_train"]).any()
        np.testing.assert_array_equal(np.sort(first["y_train"]), np.sort(second["y_train"]))
    assert json.loads((tmp_path / "None" / "spec.yaml").read_text())["name"] == "drawn"


def of_table(folder: Path, text: str, *overrides: str) -> dict[str, check.Finding]:
    """The findings on the data of a table with the target y."""
    (folder / "t.csv").write_text(text)
    (folder / "t.yaml").write_text(
        "data: {name: csv, path: t.csv, target: y}\nmodel: {name: mlp, hidden: [4]}\n"
        "optimizer: {name: sgd, learning_rate: 0.1}\ntrain: {duration: 2 epochs}\n"
    )
    experiment = session.prepare(folder / "t.yaml", overrides).experiment
    return {finding.check: finding for finding in check.of_data(experiment)}


def test_a_rare_class_is_no_leak_and_a_part_with_two_of_it_says_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    y = x[:, 0] > np.quantile(x[:, 0], 0.995)
    noisy = x[:, 0] + 0.3 * rng.normal(size=3000)
    rows = [
        f"{a:.4f},{b:.4f},{'yes' if label else 'no'}" for a, b, label in zip(noisy, x[:, 1], y, strict=True)
    ]
    found = of_table(tmp_path, "a,b,y\n" + "\n".join(rows) + "\n")
    assert found["leaks"].verdict == "pass" and found["inputs and targets"].verdict in ("pass", "skip")
    rows = [f"{x[i, 0]:.4f},{x[i, 1]:.4f},{'yes' if y[i] else 'no'}" for i in range(3000)]
    found = of_table(tmp_path, "a,b,y\n" + "\n".join(rows) + "\n")
    assert found["leaks"].verdict == "warn" and found["leaks"].evidence.startswith("a alone"), (
        "which decides it"
    )


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_repeat_by_chance_are_no_fault(seed: int, tmp_path: Path) -> None:
    """Eleven random bits: 600 of 2048 possible rows, a quarter of which is there more than once."""
    bits = np.random.default_rng(seed).integers(0, 2, size=(600, 11))
    rows = [",".join(map(str, row)) + f",{row.sum() + 0.5}" for row in bits]
    head = ",".join(f"b{i}" for i in range(11)) + ",y\n"
    found = of_table(tmp_path, head + "\n".join(rows) + "\n", "loss=squared_error")
    assert found["duplicates"].verdict == "pass"


def test_a_constant_that_is_excluded_is_not_named_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},7,{'yes' if a > 0 else 'no'}" for a in rng.normal(size=100)]
    found = of_table(tmp_path, "a,c,y\n" + "\n".join(rows) + "\n", "data.exclude=[c]")
    assert found["constant features"].verdict == "pass"


@pytest.mark.slow
def test_a_spec_of_two_targets_has_all_its_checks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    rows = [f"{a:.4f},{b:.4f},{a + 0.1 * b:.4f},{1000 * b * b:.4f}" for a, b in x]
    (tmp_path / "t.csv").write_text("a,b,y,z\n" + "\n".join(rows) + "\n")
    (tmp_path / "t.yaml").write_text(
        "data: {name: csv, path: t.csv, target: [y, z]}\nmodel: {name: mlp, hidden: [16]}\nloss: squared_error\n"
        "optimizer: {name: adam, learning_rate: 0.01}\ntrain: {duration: 10 epochs}\n"
    )
    found = verdicts(tmp_path / "t.yaml")
    assert tuple(found) == check.CHECKS and not [name for name in found if found[name].verdict == "fail"]
