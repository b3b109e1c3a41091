"""The same from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import nnrun
from nnrun.errors import DivergedError, RunError, SpecError

SPEC = """
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 4 epochs, log_every: 3 steps, evaluate_every: 2 epochs}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    (folder / "spec.yaml").write_text(SPEC)
    rate = "learning_rate: {log: [1e-3, 1e-1]}"
    (folder / "sweep.yaml").write_text(
        "base: spec.yaml\nsweep:\n  trials: 1\n  final_seeds: 2\n"
        f"  over: {{optimizer: [{{name: adam, {rate}}}, {{name: sgd, {rate}}}]}}\n"
    )
    return folder


@pytest.fixture(scope="module")
def solo(place: Path) -> nnrun.Result:
    return nnrun.train(str(place / "spec.yaml"), ["train.seed=1"], runs_root=place / "runs")


@pytest.fixture(scope="module")
def group(place: Path) -> nnrun.Result:
    return nnrun.train(place / "spec.yaml", ["train.seeds=2"], run_dir=place / "group")


def test_a_result(solo: nnrun.Result, place: Path) -> None:
    assert solo.run_dir.parent == place / "runs"
    assert solo.run_dir.name.startswith("spec-")
    assert solo.status == "done"
    assert solo.summary == json.loads((solo.run_dir / "summary.json").read_text())
    assert solo.runs == []
    assert jax.tree.map(np.shape, solo.params) == {
        "hidden_1": {"kernel": (4, 8), "bias": (8,)},
        "output": {"kernel": (8, 3), "bias": (3,)},
    }


def test_metrics_are_arrays_by_name(solo: nnrun.Result) -> None:
    steps, values = solo.metrics["train/loss"]
    total = solo.summary["steps"]
    per_epoch = total // 4
    logged = {*range(3, total + 1, 3), 2 * per_epoch, total}
    assert steps.tolist() == sorted(logged)
    assert values.shape == steps.shape
    assert values.dtype == np.float64
    assert values[-1] == solo.summary["metrics"]["last"]["train/loss"]
    assert solo.metrics["val/accuracy"][0].tolist() == [2 * per_epoch, total]


def test_the_parameters_are_those_that_were_tested(solo: nnrun.Result, place: Path) -> None:
    """The test loss, computed anew from the arrays with numpy."""
    from nnrun.runner import session

    data = session.prepare(place / "spec.yaml").experiment.dataset
    x = (data.test.x - data.shift) / data.scale
    hidden = np.maximum(0, x @ solo.params["hidden_1"]["kernel"] + solo.params["hidden_1"]["bias"])
    z = hidden @ solo.params["output"]["kernel"] + solo.params["output"]["bias"]
    loss = np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), data.test.y]
    assert loss.mean() == pytest.approx(solo.summary["metrics"]["last"]["test/loss"], rel=1e-5)


def test_a_group(group: nnrun.Result) -> None:
    assert group.status == "done"
    assert (group.metrics, group.params) == ({}, {})
    assert [one.run_dir.name for one in group.runs] == ["seed_0", "seed_1"]
    assert [one.status for one in group.runs] == ["done", "done"]
    first, second = (one.params["output"]["kernel"] for one in group.runs)
    assert np.abs(first - second).max() > 0.01
    assert set(group.summary["mean"]["last"]) >= {"test/loss", "test/accuracy"}


def test_evaluate(solo: nnrun.Result, group: nnrun.Result) -> None:
    last = solo.summary["metrics"]["last"]
    found = nnrun.evaluate(solo.run_dir, "val", "last")
    assert found["metrics"] == pytest.approx(
        {name: last[name] for name in ("val/loss", "val/accuracy")}, rel=1e-6
    )
    assert nnrun.evaluate(solo.run_dir, checkpoint=found["step"])["split"] == "test"
    assert len(nnrun.evaluate(group.run_dir)["runs"]) == 2


def test_resuming_what_is_done(solo: nnrun.Result) -> None:
    again = nnrun.resume(str(solo.run_dir))
    assert again.summary == solo.summary
    assert all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (again.params, solo.params)), strict=True)
    )


def test_errors_are_those_of_nnrun(place: Path, solo: nnrun.Result) -> None:
    with pytest.raises(SpecError, match=r"train\.seed: got -1"):
        nnrun.train(place / "spec.yaml", ["train.seed=-1"])
    with pytest.raises(RunError, match="already exists"):
        nnrun.train(place / "spec.yaml", run_dir=solo.run_dir)
    with pytest.raises(RunError, match="no such run"):
        nnrun.resume(place / "absent")
    with pytest.raises(RunError, match="has no checkpoint 'x'"):
        nnrun.evaluate(solo.run_dir, checkpoint="x")


def test_divergence_raises_and_leaves_a_run(place: Path) -> None:
    rate = ["optimizer={name: sgd, learning_rate: 1e30}"]
    with pytest.raises(DivergedError, match="at step 2"):
        nnrun.train(place / "spec.yaml", rate, run_dir=place / "diverged")
    assert json.loads((place / "diverged/summary.json").read_text())["status"] == "diverged"


def test_what_is_public() -> None:
    """`__all__` is what a user may count on, and importing it costs nothing."""
    program = """if True:
        import sys
        import nnrun
        slow = {"jax", "numpy", "optax", "pydantic", "typer", "rich"}
        assert not slow & set(sys.modules)
        public = {name for name in vars(nnrun) if not name.startswith("_")}
        assert public <= {
            "annotations", "Any", "ModuleType", "TYPE_CHECKING", "PackageNotFoundError", "import_module", "sys",
            "version",
        }, public
        assert set(dir(nnrun)) == {*nnrun.__all__, "errors", "sklearn"}
        assert nnrun.errors.NnrunError
        for name in nnrun.__all__:
            assert getattr(nnrun, name) is not None, name
        from nnrun import api
        assert set(api.__all__) | {"__version__"} == set(nnrun.__all__)
        assert all(getattr(nnrun, name) is getattr(api, name) for name in api.__all__)
        assert nnrun.__version__[0].isdigit()
        try:
            nnrun.absent
        except AttributeError as error:
            assert "absent" in str(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_optimizer_chains_with_optax() -> None:
    """Clipping in front, a schedule behind: Adam's first step is the rate's size, whatever the gradient's."""
    from nnrun.optimizer.adam import adam

    transform = optax.chain(optax.clip_by_global_norm(1.0), adam(1e-3), optax.scale(0.5))
    params: dict[str, Any] = {"w": jnp.array([3.0, -4.0]), "b": jnp.zeros(())}
    gradient = jax.tree.map(lambda p: p + 1.0, params)
    state = transform.init(params)
    update, _ = transform.update(gradient, state, params)
    assert optax.apply_updates(params, update)["w"] == pytest.approx([3.0 - 5e-4, -4.0 + 5e-4], abs=1e-7)


def test_predictions_are_those_of_the_command(solo: nnrun.Result, place: Path, warm: Any) -> None:
    x = np.linspace(0, 6, 20).reshape(5, 4)
    np.savez(place / "x.npz", x=x)
    done = warm("predict", solo.run_dir, "x.npz", "-o", "p.npz", "-q", "--force", folder=place)
    assert done.code == 0, done.err
    expected = np.load(place / "p.npz")
    for inputs in (x, str(place / "x.npz")):
        predictions = nnrun.predict(solo.run_dir, inputs)
        np.testing.assert_array_equal(predictions.probabilities, expected["probabilities"])
        assert predictions.values.tolist() == expected["classes"][expected["labels"]].tolist()
    assert str(predictions).splitlines()[0].split() == [
        "label",
        *(f"p({name})" for name in predictions.classes),
    ]
    tested = nnrun.predict(solo.run_dir, split="test", checkpoint="last")
    accuracy = (tested.values == tested.targets).mean()
    assert accuracy == pytest.approx(solo.summary["metrics"]["last"]["test/accuracy"])
    with pytest.raises(SpecError, match="one of them"):
        nnrun.predict(solo.run_dir)


def test_results_print_as_the_commands_end(solo: nnrun.Result, group: nnrun.Result) -> None:
    last = solo.summary["metrics"]["best"]["test/accuracy"]
    assert f"test/accuracy {100 * last:.2f}%" in str(solo) and f"run folder: {solo.run_dir}" in str(solo)
    assert "mean ± 95% interval of 2 seeds" in str(group)
    assert "test/accuracy" in str(nnrun.evaluate(group.run_dir))


def test_an_ensemble_and_a_comparison(group: nnrun.Result, place: Path) -> None:
    whole = nnrun.ensemble([group.run_dir], run_dir=place / "whole")
    assert len(whole.account["members"]) == 2 and "ensemble of 2, probabilities" in str(whole)
    measured = nnrun.evaluate(whole.run_dir)["metrics"]["test/accuracy"]
    assert measured == pytest.approx(whole.account["ensemble"]["accuracy"])
    slow = nnrun.train(
        place / "spec.yaml", ["train.seeds=2", "optimizer.learning_rate=1e-5"], run_dir=place / "slow"
    )
    comparison = nnrun.compare([group.run_dir, slow.run_dir])
    assert "group has the best test/" in comparison.answer[0] and comparison.answer[0] in str(comparison)
    assert comparison.data["answer"] == comparison.answer
    with pytest.raises(SpecError, match="got one run"):
        nnrun.compare(group.run_dir)


@pytest.mark.slow
def test_a_sweep(place: Path) -> None:
    result = nnrun.sweep(place / "sweep.yaml", run_dir=place / "sweep")
    assert result.answer == json.loads((place / "sweep/leaderboard.json").read_text())["answer"]
    assert result.answer[0] in " ".join(str(result).split())
    assert result.best == place / "sweep/best.yaml" and result.best.is_file()
    assert isinstance(nnrun.sweep, type(nnrun.train))  # though nnrun has a room of that name
    again = nnrun.sweep(resume=result.run_dir)
    assert again.leaderboard == result.leaderboard
    with pytest.raises(SpecError, match="one of them"):
        nnrun.sweep()


def test_tables_of_pandas(solo: nnrun.Result, group: nnrun.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataFrame takes columns by name: here a stand-in for it, where pandas is not installed."""
    import types

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(nnrun.errors.MachineError, match="pip install pandas"):
        solo.to_pandas()
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=dict))
    table: Any = solo.to_pandas()
    steps, values = solo.metrics["val/accuracy"]
    assert table["val/accuracy"][np.isin(table["step"], steps)].tolist() == values.tolist()
    assert np.isnan(table["val/accuracy"]).sum() == len(table["step"]) - len(steps)
    assert {len(column) for column in table.values()} == {len(table["step"])}
    both: Any = group.to_pandas()
    assert set(both["run"]) == {"seed_0", "seed_1"} and len(both["run"]) == 2 * len(table["step"])
    measured: Any = nnrun.evaluate(group.run_dir).to_pandas()
    assert [str(name).rsplit("/")[-1] for name in measured["run"]] == ["seed_0", "seed_1", "mean"]
    assert len(nnrun.predict(solo.run_dir, split="test").to_pandas()["target"]) == 30


def test_a_run_without_a_test_part(place: Path) -> None:
    result = nnrun.train(place / "spec.yaml", ["data.test=0", "data.validation=0"], run_dir=place / "all")
    assert result.summary["steps"] == 4 * 10  # 150 examples in batches of 16
    assert "train/accuracy" in str(result) and "test/" not in str(result)
    with pytest.raises(SpecError, match="held nothing out for it; write --split train"):
        nnrun.evaluate(result.run_dir)
    with pytest.raises(SpecError, match="compares them on the test part"):
        nnrun.sweep(place / "sweep.yaml", ["data.test=0"], run_dir=place / "untested")


@pytest.mark.parametrize("ask", [partial(nnrun.predict, keep="id"), partial(nnrun.evaluate, metrics="rmse")])
def test_one_text_in_place_of_a_list_is_refused(ask: Callable[..., object], tmp_path: Path) -> None:
    """Not taken for the list of its letters."""
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(SpecError, match=r"^(keep|metrics): got '(id|rmse)'; write a list: \['(id|rmse)'\]$"):
        ask(tmp_path)
