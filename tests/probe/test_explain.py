"""`nnrun explain`: numbers that follow from the spec by hand."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from nnrun.amounts import short_number
from nnrun.build.experiment import build
from nnrun.catalog import bind, bind_one, read
from nnrun.probe.explain import (
    Course,
    Explanation,
    OptimizerRule,
    _equations,
    _names,
    as_data,
    course_of,
    rules_of,
)
from nnrun.probe.layers import LayerRow, layer_rows
from nnrun.probe.objective import beginning
from nnrun.report.explained import LayerCost, grouped, layer_sheet, rule_lines
from nnrun.types import Experiment, Reactive

SPEC = """
data: {name: digits, batch_size: 100}
model: {name: mlp, hidden: [30], dropout: 0.2}
loss: cross_entropy
optimizer: {name: momentum, learning_rate: 0.2, weight_decay: 0.01}
schedule: {name: cosine, warmup: 10%}
train: {duration: 100 steps, seeds: 3}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "digits.yaml"
    path.write_text(SPEC)
    return path


def built(path: Path, *overrides: str) -> tuple[Any, Experiment]:
    checked = bind(read(path, overrides))
    return checked, build(checked)


def test_the_command(spec: Path, warm: Callable[..., Any], keeps_contract: Any) -> None:
    done = warm("explain", spec.name, "--json", folder=spec.parent)
    assert (done.code, done.err) == (0, "")
    keeps_contract("explain", done.json)
    meaning = done.json
    assert meaning["plan"]["steps"] == 100 and meaning["plan"]["steps_per_epoch"] == 13  # of 1258 examples
    assert meaning["parameters"] == 64 * 30 + 30 + 30 * 10 + 10
    assert meaning["state_bytes"] >= 2 * 4 * meaning["parameters"]  # float32: parameters and a velocity
    assert [row["path"] for row in meaning["layers"]] == [
        "flatten", "hidden_1", "activation_1", "dropout_1", "output",
    ]  # fmt: skip
    assert meaning["knobs"] == [
        "model.dropout", "optimizer.learning_rate", "optimizer.momentum", "optimizer.weight_decay",
    ]  # fmt: skip
    assert [path.name for path in spec.parent.iterdir()] == [spec.name]


def test_operations_are_those_of_the_products(spec: Path) -> None:
    """A dense layer: a product and a sum for each weight, a sum for each bias.

    A 3 × 3 convolution without padding: 9 products and sums for each pair of channels at each place, and the bias.
    """
    layers = "[{name: conv, filters: 5, padding: valid}, relu, flatten]"
    _, experiment = built(spec, f"model={{name: sequential, layers: {layers}}}")
    rows = {"/".join(row.path): row for row in layer_rows(experiment, beginning(experiment))}
    places = 6 * 6
    assert rows["layer_1"].shape == (6, 6, 5) and rows["layer_1"].parameters == 9 * 5 + 5
    assert rows["layer_1"].flops == pytest.approx(places * 5 * (2 * 9 + 1), rel=0.01)
    assert rows["output"].flops == pytest.approx(2 * places * 5 * 10 + 10, rel=0.01)
    assert all(row.seconds > 0 for row in rows.values())


def test_the_course_of_the_learning_rate(spec: Path) -> None:
    """Linear over ten of a hundred steps, then 0.2 (1 + cos(π t / 90)) / 2: its last step is t = 89."""
    checked, experiment = built(spec)
    course = course_of(checked.optimizer, "cosine", experiment)
    assert course is not None and course.peak == pytest.approx(0.2, rel=1e-3)
    assert course.peak_step in (9, 10)
    assert course.end == pytest.approx(0.1 * (1 + math.cos(math.pi * 89 / 90)), rel=1e-3)
    assert course.start < 0.2 / 9 and len(course.shares) == 60 and max(course.shares) == 1
    checked, experiment = built(
        spec, "optimizer=lbfgs", "schedule=constant", "data.batch_size=full", "model.dropout=0"
    )
    assert course_of(checked.optimizer, "constant", experiment) is None


def test_the_equations_are_those_of_the_catalogue_with_the_numbers_of_the_spec(spec: Path) -> None:
    checked, _ = built(spec, "optimizer={name: lookahead, inner: {name: adam, learning_rate: 0.004}}")
    outer, inner = rules_of(checked.optimizer)
    assert (outer.name, inner.name) == ("lookahead", "adam")
    assert [name for name, _, _ in outer.options] == ["every", "alpha"]
    assert inner.options[0][:2] == ("learning_rate", 0.004)
    assert len(inner.equations) == 1 and inner.equations[0].startswith("m ← β₁m + (1 − β₁)g")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(*rule_lines(*inner), sep="\n")
    text = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, text)) <= 80
    assert any(line.split() == ["learning_rate", "=", "0.004", "α", "≥", "0"] for line in text)
    equations = " ".join(
        line.strip() for line in text if (line.startswith("    ") and "←" in line) or "m̂ =" in line
    )
    assert "x ← x − α m̂ / (√v̂ + ε)" in equations and "v̂ = v / (1 − β₂ᵗ)" in equations


def test_the_blocks_of_a_deep_net_share_a_row() -> None:
    costs = [LayerCost((f"block_{i}", name), (8, 8, 4), 10, 100.0, 0.5) for i in range(9) for name in "abc"]
    rows = grouped([*costs, LayerCost(("output",), (10,), 7, 50.0, 1.5)])
    assert [row.path for row in rows] == [*((f"block_{i}",) for i in range(9)), ("output",)]
    assert rows[0] == LayerCost(("block_0",), (8, 8, 4), 30, 300.0, 1.5, 3)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(layer_sheet(costs[:2]))
    lines = console.export_text().splitlines()
    assert lines[1].split() == ["block_0/a", "8", "x", "8", "x", "4", "10", "100", "50%"]
    assert lines[-1].split() == ["all", "20", "200"]


def test_short_numbers_keep_three_digits() -> None:
    assert [short_number(n) for n in (0, 999, 1000, 123456, 2.76e6, 4.1e9, 5e13)] == [
        "0", "999", "1k", "123k", "2.76M", "4.1G", "50T",
    ]  # fmt: skip


def course(folder: Path, steps: int, factor: Any, rate: str = "0.2", **more: Any) -> Course | None:
    block = bind_one("optimizer", f"{{name: sgd, learning_rate: {rate}}}", folder)
    schedule = Reactive(lambda: (), lambda memory, step: factor(step.astype(float)), **more)
    experiment: Any = SimpleNamespace(
        plan=SimpleNamespace(steps=steps), schedule=lambda knobs: schedule,
        knobs={"optimizer": {"learning_rate": float(rate)} if float(rate) else {}},
    )  # fmt: skip
    return course_of(block, "mine", experiment)


def test_a_course_goes_from_the_first_step_to_the_last(tmp_path: Path) -> None:
    """A triangle with its peak of 0.8 at step 40 of 101, in 60 stretches of two steps or one."""
    made = course(tmp_path, 101, lambda t: 0.8 * jnp.minimum(1, t / 40) * jnp.minimum(1, (100 - t) / 60))
    assert made is not None
    assert (made.start, made.peak, made.peak_step, made.end) == pytest.approx((0, 0.16, 40, 0))
    factors = [min(t / 40, (100 - t) / 60, 1) for t in range(101)]
    stretches = np.array_split(factors, 60)
    assert made.shares == pytest.approx([stretch.max() for stretch in stretches], abs=1e-6)
    assert not made.reacts and made.name == "mine"


def test_a_long_course_is_looked_at_in_some_places_and_a_short_one_has_its_own_columns(
    tmp_path: Path,
) -> None:
    made = course(tmp_path, 1_000_001, lambda t: t / 1e6, react=lambda memory, value: memory)
    assert made is not None and (made.peak_step, made.peak) == (1_000_000, pytest.approx(0.2))
    assert len(made.shares) == 60 and made.shares[0] == pytest.approx(1 / 60, rel=0.02) and made.reacts
    made = course(tmp_path, 3, lambda t: 1 / (1 + t))
    assert made is not None and made.shares == pytest.approx([1, 1 / 2, 1 / 3])
    switched_off = course(tmp_path, 3, jnp.zeros_like)
    assert switched_off is not None and (switched_off.peak, switched_off.shares) == (
        pytest.approx(0),
        [0, 0, 0],
    )
    without_rate = course(tmp_path, 3, jnp.ones_like, rate="0")
    assert without_rate is not None and without_rate.peak == 0


def test_equations_stand_before_the_arguments() -> None:
    lines = [
        "", "v ← ρv + g", "    x ← x − αv", "with v at 0.", "learning_rate, momentum   α and ρ: x ← nothing",
        "y ← 0",
    ]  # fmt: skip
    assert list(_equations(lines, ["learning_rate"])) == ["v ← ρv + g", "x ← x − αv"]
    assert list(_equations(lines, ["momentum"])) == [
        "v ← ρv + g", "x ← x − αv", "learning_rate, momentum   α and ρ: x ← nothing", "y ← 0",
    ]  # fmt: skip
    assert list(_equations(["alpha ← 1", "  alpha  a number ← it"], ["alpha"])) == [
        "alpha ← 1",
        "alpha  a number ← it",
    ]


def test_knobs_are_named_as_overrides_name_them() -> None:
    knobs = {"model": {"layers": [{}, {"rate": 0.1}]}, "optimizer": {"inner": {"b1": 0.9}}, "loss": {}}
    assert list(_names(knobs)) == ["model.layers.1.rate", "optimizer.inner.b1"]


def test_what_every_optimizer_may_have_is_among_its_options_where_it_is_written(tmp_path: Path) -> None:
    [rule] = rules_of(
        bind_one("optimizer", "{name: sgd, learning_rate: 0.5, clip_norm: 2, weight_decay: 0}", tmp_path)
    )
    assert [(name, value) for name, value, _ in rule.options] == [("learning_rate", 0.5), ("clip_norm", 2.0)]
    assert all(text for _, _, text in rule.options)


def test_for_programs_paths_and_options_are_text(spec: Path) -> None:
    _, experiment = built(spec)
    layer = LayerRow(("block", "conv"), (8, 8, 4), 10, 99.0, 0.25)
    rule = OptimizerRule("sgd", "plain", ["x ← x"], [("learning_rate", 0.1, "α"), ("nested", None, "")])
    meaning = Explanation(
        experiment.plan, {"train": 9}, (64,), (), ("a note",), [layer], 10, [rule], None, ["a.b"], 4, 100, 300, 8.0,
        0.5, 3.0, 2, "on one device",
    )  # fmt: skip
    made = as_data(meaning)
    assert made["layers"] == [
        {"path": "block/conv", "shape": [8, 8, 4], "parameters": 10, "flops": 99.0, "seconds": 0.25}
    ]
    assert made["rules"][0]["options"] == {"learning_rate": "0.1", "nested": "None"}
    assert made["course"] is None and made["plan"]["steps"] == 100 and made["plan"]["seeds"] == [0, 1, 2]
    assert (made["seconds"], made["step_seconds"], made["compile_seconds"], made["folds"]) == (
        8.0,
        0.5,
        3.0,
        2,
    )
    assert (made["memory"], made["state_bytes"], made["width"]) == (300, 100, 4)
    course = Course("cosine", 0.0, 1.0, 3, 0.5, [0.1, 1.0], True)
    assert as_data(meaning._replace(course=course))["course"] == course._asdict()
