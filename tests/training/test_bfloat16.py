"""Runs in mixed precision: what is stored, that they are exact in themselves, and that they reach what float32 does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.runner import session
from nnrun.training import flat, programs
from nnrun.training.programs import Programs
from nnrun.types import Experiment

PRECISION = "train.precision=bfloat16"

QUICK = "optimizer={name: adam, learning_rate: 2e-2}"
STEPS = 15  # across the short batch at the end of the first epoch, step 13


def run(compiled: Programs, *cuts: int) -> dict[str, np.ndarray]:
    """The arrays of the state after training up to each cut in turn; between them it is on the host."""
    state, step = compiled.initial(), 0
    for cut in cuts:
        state, _ = compiled.advance(state, step, cut - step)
        state, step = compiled.pack(compiled.unpack(state)), cut
    return flat.flatten(state)


@pytest.fixture(scope="module", params=["mlp", pytest.param("lenet", marks=pytest.mark.slow)])
def compiled(request: pytest.FixtureRequest, experiment: Callable[..., Experiment]) -> Programs:
    average = "average={name: ema, decay: 0.9}"
    return programs.compile_programs(experiment(request.param, PRECISION, average, "train.seed=6"))


@pytest.mark.slow
def test_what_is_stored_is_float32(compiled: Programs) -> None:
    floats = {name: a.dtype.name for name, a in run(compiled, 2).items() if a.dtype.kind not in "iu"}
    assert len(floats) > 20
    assert set(floats.values()) == {"float32"}


def test_a_run_in_pieces_has_the_bits_of_the_run_in_one(compiled: Programs) -> None:
    whole, pieces = run(compiled, STEPS), run(compiled, 1, 9, STEPS)
    assert [name for name in whole if whole[name].tobytes() != pieces[name].tobytes()] == []


def test_updates_far_below_the_8_bits_of_a_weight_add_up(experiment: Callable[..., Experiment]) -> None:
    """Weights change by less than a bfloat16 can hold beside them, step by step, and move in the end."""
    small = programs.compile_programs(
        experiment("mlp", PRECISION, "optimizer={name: adam, learning_rate: 1e-6}")
    )
    start, end = run(small, 0), run(small, 12)
    moved = end["params/hidden_1/kernel"] - start["params/hidden_1/kernel"]
    assert 8e-6 < np.quantile(np.abs(moved), 0.9) < 13e-6


@pytest.mark.slow
def test_a_lane_is_the_run_of_its_seed_but_for_rounding(experiment: Callable[..., Experiment]) -> None:
    plain = "model={name: mlp, hidden: [8], dropout: 0.3}"
    group = programs.compile_programs(experiment("mlp", PRECISION, plain, "train.seed=5", "train.seeds=2"))
    alone = programs.compile_programs(experiment("mlp", PRECISION, plain, "train.seed=6"))
    lane, solo = run(group, 5), run(alone, 5)
    for name, array in solo.items():
        if name.startswith("params"):
            np.testing.assert_allclose(lane[name][1], array, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    "net",
    [
        "{name: mlp, hidden: [32], norm: batch}",
        pytest.param("{name: resnet, depth: 8}", marks=pytest.mark.slow),
    ],
)
def test_it_learns_what_float32_learns(experiment: Callable[..., Experiment], net: str) -> None:
    accuracies = {}
    for precision in ("float32", "bfloat16"):
        built = programs.compile_programs(
            experiment(
                "mlp", f"train.precision={precision}", f"model={net}", QUICK, "train.duration=5 epochs"
            )
        )
        state = built.initial()
        for first in range(0, 5 * 13, 13):
            state, _ = built.advance(state, first, 13)
        accuracies[precision] = built.evaluate(state, "test")[0]["test/accuracy"]
    assert accuracies["bfloat16"] > 0.9
    assert abs(accuracies["bfloat16"] - accuracies["float32"]) < 0.03


def test_penalties_are_those_of_the_float32_parameters(experiment: Callable[..., Experiment]) -> None:
    built = experiment("mlp", PRECISION, "penalty={name: l2, strength: 1.0}")
    knobs = jax.tree.map(jnp.float32, built.knobs)
    kernel = jnp.full((3, 4), 1 + 2.0**-12)
    found = built.penalty(knobs)({"hidden_1": {"kernel": kernel}})
    np.testing.assert_allclose(found, float((np.asarray(kernel, np.float64) ** 2).sum()) / 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["lbfgs", "newton", "gauss_newton", "newton_cg"])
def test_methods_that_compare_gradients_refuse_it(experiment: Callable[..., Experiment], name: str) -> None:
    plain = ("data.batch_size=full", "model={name: mlp, hidden: [4]}", "schedule=constant")
    with pytest.raises(SpecError, match=r"the rounding to bfloat16; write train\.precision: float32"):
        experiment("mlp", PRECISION, *plain, f"optimizer={name}")


@pytest.mark.parametrize(
    ("column", "standardize"),
    [
        (lambda row: 1990 + row % 32, "none"),  # five of which bfloat16 has
        (lambda row: 3e7 if row % 40 == 0 else row % 50, "feature"),
    ],
)
def test_a_table_whose_values_become_one_is_refused(
    tmp_path: Path, column: Callable[[int], float], standardize: str
) -> None:
    rows = [f"{row % 7 / 7},{column(row)},{'ab'[row % 2]}" for row in range(300)]
    (tmp_path / "table.csv").write_text("\n".join(["z,year,kind", *rows]))
    (tmp_path / "spec.yaml").write_text(
        f"data: {{name: csv, path: table.csv, target: kind, standardize: {standardize}, batch_size: 50}}\n"
        "model: {name: mlp, hidden: [4]}\noptimizer: {name: adam, learning_rate: 0.1}\n"
    )
    with pytest.raises(SpecError, match=r"values of input year it leaves .* write float32"):
        session.prepare(tmp_path / "spec.yaml", ["train.duration=1 step", PRECISION])
    session.prepare(tmp_path / "spec.yaml", ["train.duration=1 step"])
