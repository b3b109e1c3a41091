"""Checks of the model before and after its first steps, on functions and layers whose answers are known by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from nnrun import catalog
from nnrun.layer._compose import stateless
from nnrun.layer._watched import Passage
from nnrun.probe import capacity, first_steps, start
from nnrun.probe.capacity import check_capacity, twenty
from nnrun.probe.first_steps import FirstSteps, check_rate
from nnrun.probe.gradients import LeafError, _leaf_error, _shifted, check_gradients
from nnrun.probe.objective import beginning, compiled_quickly, constant_loss, objective_on, ready
from nnrun.probe.start import check_activations, check_start, make_look
from nnrun.probe.units import check_units, idle_units
from nnrun.runner import session
from nnrun.training.programs import compile_programs
from nnrun.types import Batch, Experiment, State


def built(
    folder: Path, loss: str, y: np.ndarray, rest: str = "", model: str = "{name: mlp, hidden: [6]}"
) -> Experiment:
    x = np.random.default_rng(0).normal(size=(len(y), 3)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=y)
    (folder / "spec.yaml").write_text(
        f"data: {{name: npz, path: data.npz, batch_size: 16}}\nmodel: {model}\nloss: {loss}\n"
        f"optimizer: {{name: sgd, learning_rate: 0.1}}\ntrain: {{duration: 20 steps}}\n{rest}"
    )
    return session.prepare(folder / "spec.yaml").experiment


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Three classes at random of three numbers, 80 examples."""
    y = np.random.default_rng(1).integers(0, 3, 80)
    return built(tmp_path_factory.mktemp("classes"), "cross_entropy", y)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return built(
        tmp_path_factory.mktemp("numbers"), "squared_error", np.random.default_rng(1).normal(5, 2, 80)
    )


# --- the objective -------------------------------------------------------------------------------------------------


def test_the_objective_is_the_mean_loss_without_penalties(tmp_path: Path) -> None:
    """Cross-entropy of the outputs of the net, by hand; with zero scores it is ln 3."""
    rest = "penalty: {name: l2, strength: 10}\n"
    experiment = built(tmp_path, "cross_entropy", np.arange(80) % 3, rest)
    batch = ready(experiment, np.arange(9))
    state = beginning(experiment)
    objective = objective_on(experiment, state.stats, batch)
    train, data = experiment.dataset.train, experiment.dataset
    np.testing.assert_allclose(batch.x, (train.x[:9] - data.shift) / data.scale, rtol=1e-6)
    scores = np.asarray(objective.outputs_of(state.params), np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = -np.log(chances[np.arange(9), train.y[:9]]).mean()
    assert float(objective.whole(state.params)[0]) == pytest.approx(expected, rel=1e-5)
    assert constant_loss(experiment, objective, batch) == pytest.approx(math.log(3), rel=1e-6)


def test_the_loss_of_a_constant_is_that_of_the_mean(tmp_path: Path) -> None:
    """Of counts the rate 1 in units of the mean: 1 − y log 1 = 1; of several numbers, halved squares of all."""
    experiment = built(tmp_path, "poisson", np.random.default_rng(0).poisson(3.0, 60).astype(float))
    batch = ready(experiment, np.arange(30))
    objective = objective_on(experiment, {}, batch)
    assert constant_loss(experiment, objective, batch) == pytest.approx(1)
    experiment = built(tmp_path, "squared_error", np.random.default_rng(0).normal(size=(60, 2)))
    batch = ready(experiment, np.arange(30))
    expected = experiment.loss(experiment.knobs).value(jnp.zeros((30, 2)), batch.y).mean()
    made = constant_loss(experiment, objective_on(experiment, {}, batch), batch)
    assert made == pytest.approx(float(expected))


def test_the_beginning_is_that_of_the_first_seed(classifier: Experiment) -> None:
    plan = classifier.plan._replace(seeds=(4, 5))
    first, again = (
        beginning(classifier._replace(plan=plan._replace(seeds=seeds))) for seeds in ((4, 5), (4,))
    )
    for a, b in zip(jax.tree.leaves(first.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(a, b)
    kernel = jax.tree.leaves(beginning(classifier).params)[1]  # of seed 0
    assert (np.asarray(kernel) != np.asarray(jax.tree.leaves(first.params)[1])).all()


def test_programs_compile_quickly_inside_only() -> None:
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        with pytest.raises(ZeroDivisionError), compiled_quickly():
            assert jax.config.values["jax_disable_most_optimizations"] is True
            raise ZeroDivisionError
        assert jax.config.values["jax_disable_most_optimizations"] is False
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


# --- before the first step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "verdict"), [(-0.9, "pass"), (1.4, "pass"), (1.6, "warn"), (4.9, "warn"), (5.1, "fail")]
)
def test_the_first_loss_beside_that_of_a_constant(
    above: float, verdict: str, classifier: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In units of ln 3."""
    nothing = math.log(3)
    loss = nothing * (1 + above)
    monkeypatch.setattr(start, "objective_on", lambda *_: SimpleNamespace(whole=lambda params: (params, ())))
    monkeypatch.setattr(start, "constant_loss", lambda *_: nothing)
    made = check_start(classifier, _state(jnp.float32(loss)), None)  # type: ignore[arg-type]
    assert made.verdict == verdict and "(ln 3)" in made.evidence
    assert (made.remedy != "") is (verdict != "pass")
    assert made.numbers == pytest.approx({"loss": loss, "constant": nothing})


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_first_loss_that_is_not_finite(
    loss: float, regression: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "objective_on", lambda *_: SimpleNamespace(whole=lambda params: (params, ())))
    monkeypatch.setattr(start, "constant_loss", lambda *_: 1.0)
    made = check_start(regression, _state(jnp.float32(loss)), None)  # type: ignore[arg-type]
    assert made.verdict == "fail" and made.evidence == f"the loss is {loss} before the first step"


def test_a_small_constant_loss_is_no_scale(regression: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a loss that may be 0 or negative, half a unit is the scale."""
    monkeypatch.setattr(start, "objective_on", lambda *_: SimpleNamespace(whole=lambda params: (params, ())))
    monkeypatch.setattr(start, "constant_loss", lambda *_: -0.1)
    for loss, verdict in ((0.6, "pass"), (0.7, "warn"), (2.5, "fail")):
        made = check_start(regression, _state(jnp.float32(loss)), None)  # type: ignore[arg-type]
        assert made.verdict == verdict and "(of predicting the mean)" in made.evidence


def _state(params: Any) -> State:
    return State(*[None] * 8)._replace(params=params, stats={})  # type: ignore[arg-type]


def passage(name: str, size: float, shape: tuple[int, ...] = (20, 3)) -> Passage:
    """Of numbers whose root mean square is `size`."""
    y = np.random.default_rng(0).normal(size=shape)
    y *= size / np.sqrt(np.mean(y**2))
    return Passage((name,), None, {}, {}, y, jnp.asarray(y, jnp.float32), False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "bad"),
    [
        ([2.0, 1.0], ""),
        ([0.021, 99.0, 2.0], ""),
        ([0.019, 2.0, 2.0], "layer 0"),
        ([2.0, 101.0, 2.0], "layer 1"),
        ([0.01, 200.0, 2.0], "layer 0, layer 1"),
        ([2.0, 0.0], ""),  # an output layer may begin at 0
        ([0.001], "layer 0"),  # unless there is no other
        ([math.nan, 1.0], "layer 0"),
    ],
)
def test_what_goes_through_the_layers_keeps_its_size(sizes: list[float], bad: str) -> None:
    """Beside inputs of root mean square 2: from a hundredth of them to fifty times as large."""
    batch = Batch(jnp.full((20, 3), -2.0), None, None)  # type: ignore[arg-type]
    made = check_activations(batch, [passage(f"layer {i}", size) for i, size in enumerate(sizes)])
    assert made.verdict == ("fail" if bad else "pass")
    assert made.evidence.endswith(f"; beyond 0.01 to 50: {bad}" if bad else "of the inputs'")
    if not math.isnan(sizes[0]):
        inner = sizes[:-1] or sizes
        assert made.numbers == pytest.approx({"smallest": min(inner) / 2, "largest": max(inner) / 2})


def test_a_model_that_hides_its_layers() -> None:
    assert check_activations(Batch(jnp.ones((2, 2)), None, None), []).verdict == "skip"  # type: ignore[arg-type]


def test_a_look_shows_the_arrays_of_the_state_that_is_given(classifier: Experiment) -> None:
    batch, state = ready(classifier, np.arange(5)), beginning(classifier)
    look = make_look(classifier, batch)
    for factor in (1.0, 2.0):
        params = jax.tree.map(lambda a, factor=factor: factor * a, state.params)
        seen = {entry.path[-1]: entry for entry in look(state._replace(params=params))}
        hidden = seen["hidden_1"]
        kernel, bias = (np.asarray(params["hidden_1"][name]) for name in ("kernel", "bias"))
        by_hand = np.asarray(batch.x) @ kernel + bias
        np.testing.assert_allclose(hidden.y, by_hand, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(hidden.params["kernel"], params["hidden_1"]["kernel"])


# --- gradients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "error"), [(1.0, 0.0), (0.5, 0.5), (1.5, 1 / 3), (-1.0, 2.0), (0.0, 1.0)])
def test_the_error_of_a_gradient_that_is_off_by_a_factor(factor: float, error: float) -> None:
    """Of f(a) = Σ a³: relative to the larger of both derivatives."""
    a = np.random.default_rng(0).normal(size=(3, 2))
    made = _leaf_error("w", a, factor * 3 * a**2, lambda moved: float((moved**3).sum()), 1e-8)
    assert made.error == pytest.approx(error, abs=1e-5)
    assert made.derivative == pytest.approx(factor * made.difference, rel=1e-4)


def test_where_nothing_depends_on_a_parameter_rounding_is_no_error() -> None:
    a = np.ones(4)
    rng = np.random.default_rng(0)
    made = _leaf_error("w", a, np.zeros(4), lambda moved: 3 + 1e-15 * rng.normal(), 3e-8)
    assert made.error < 1e-2
    assert _leaf_error("w", a, np.full(4, 1e-3), lambda moved: 3.0, 3e-8).error == 1


def test_a_kink_between_two_differences_is_passed_over() -> None:
    """|a − c| with the kink 3e-6 away: between a ± 1e-5 d it looks like half a slope, between a ± 1e-7 d it is not."""
    rng = np.random.default_rng(1)
    direction = rng.standard_normal(())  # as of a leaf with a name of one letter
    a = np.array(1.0)
    kink = 1.0 + 3e-6 * abs(direction)
    made = _leaf_error("w", a, np.array(-1.0), lambda moved: abs(float(moved) - kink), 1e-8)
    assert made.error < 1e-4


def test_parameters_that_begin_at_0_are_moved_away() -> None:
    moved = _shifted({"b": np.zeros(400), "k": np.full(400, 2.0)})
    assert np.std(moved["b"]) == pytest.approx(0.05 * 0.1, rel=0.1)
    assert np.std(moved["k"] - 2) == pytest.approx(0.05 * 2, rel=0.1)
    assert (moved["b"] != 0).all()


@pytest.mark.parametrize(
    ("errors", "verdict", "words"),
    [
        ([1e-6, 9e-5], "pass", "at most 9.0e-05 over 2 arrays of parameters (p1)"),
        ([1e-3, 1e-6], "warn", "at most 1.0e-03 over 2 arrays of parameters (p0)"),
        ([0.9, 0.011, 1e-6], "fail", "2 of 3 arrays are off: p0, p1; p1 3, by finite differences 4"),
        ([math.nan, 1e-6], "fail", "1 of 2 arrays are off: p0; p0 3, by finite differences 4"),
        ([math.inf, 1e-6], "fail", "1 of 2 arrays are off"),
    ],
)
def test_the_verdict_on_gradients(
    errors: list[float], verdict: str, words: str, classifier: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [LeafError(f"p{i}", error, 3.0, 4.0) for i, error in enumerate(errors)]
    monkeypatch.setattr("nnrun.probe.gradients.leaf_errors", lambda *_: made)
    finding = check_gradients(classifier, _state({}))
    assert finding.verdict == verdict and words in finding.evidence
    assert finding.numbers["parameters"] == len(errors)


# --- twenty examples -----------------------------------------------------------------------------------------------


def test_the_score_of_twenty_examples_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
    batch = Batch(None, jnp.asarray(labels), None)  # type: ignore[arg-type]
    score = capacity._score(outputs, batch, True)
    assert score == pytest.approx(accuracy_score(labels, outputs.argmax(1)))
    y = rng.normal(size=20)
    close = y + 0.3 * rng.normal(size=20)
    made = capacity._score(close[:, None], batch._replace(y=jnp.asarray(y, jnp.float32)), False)
    assert made == pytest.approx(r2_score(y, close), rel=1e-5)
    several = rng.normal(size=(20, 2))
    wrong = several + 0.2
    made = capacity._score(wrong, batch._replace(y=jnp.asarray(several, jnp.float32)), False)
    assert made == pytest.approx(r2_score(several, wrong, multioutput="variance_weighted"), rel=1e-4)
    assert capacity._score(np.full((20, 1), np.nan), batch, False) == -math.inf
    present = (rng.random((20, 3)) < 0.5).astype(np.float32)
    odds = np.where(present > 0, 0.1, -0.1)
    odds[0] *= -1
    assert capacity._score(odds, batch._replace(y=jnp.asarray(present)), True) == pytest.approx(19 / 20)


@pytest.mark.parametrize(
    ("best", "classifies", "verdict"),
    [
        (0.84, True, "fail"), (0.86, True, "warn"), (0.59, False, "fail"), (0.61, False, "warn"),
        (-math.inf, False, "fail"),
    ],
)  # fmt: skip
def test_the_verdict_on_what_was_not_learned(best: float, classifies: bool, verdict: str) -> None:
    made = capacity._found(best, classifies, 20, 600, 1234)
    assert made.verdict == verdict and "1,234 parameters" in made.evidence
    assert made.numbers["score"] == (best if math.isfinite(best) else None)


def test_twenty_examples_are_learned_by_heart(classifier: Experiment) -> None:
    """Of random labels, too: 6 hidden units have 45 parameters."""
    made = check_capacity(classifier, beginning(classifier))
    assert made.verdict == "pass" and made.numbers["score"] > 0.99
    assert made.numbers["steps"] % 25 == 0


def test_a_slow_machine_cannot_say(classifier: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 13))  # seconds between two looks
    monkeypatch.setattr(capacity, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    made = check_capacity(classifier, beginning(classifier))
    assert made.verdict == "skip" and made.evidence.endswith("more took too long here to say")
    assert made.numbers == {"score": None, "steps": 25}


def test_twenty_examples_with_copies_and_a_rare_class() -> None:
    """Each class as often as may be: the rare one has three, the others nine and eight; no input is there twice."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    x[30:] = x[:30]  # with the same label
    y = np.r_[np.full(3, 2), np.arange(27) % 2]
    train = SimpleNamespace(x=x, y=np.r_[y, y])
    rows = twenty(SimpleNamespace(dataset=SimpleNamespace(train=train, classes=("a", "b", "c"))))  # type: ignore[arg-type]
    assert len(np.unique(x[rows], axis=0)) == len(rows) == 20
    assert sorted(np.bincount(train.y[rows]).tolist()) == [3, 8, 9]
    assert (np.diff(rows) > 0).all()


# --- the first steps -----------------------------------------------------------------------------------------------


def steps_of(curves: list[list[float]], ratio: float = 1e-3, rates: list[float] | None = None) -> FirstSteps:
    losses = np.array(curves)
    chosen = [0.1, 0.01, 0.001][: len(curves)] if rates is None else rates
    return FirstSteps(chosen, losses, np.full(losses.shape, ratio), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "best", "verdict"),
    [
        (0.79, 0.0, "warn"), (0.81, 0.0, "fail"), (0.49, 0.0, "pass"), (0.51, 0.0, "warn"),
        (0.99, 0.91, "pass"),  # less than a tenth is too little to compare
        (0.99, 0.89, "fail"),
        (1.49, 0.95, "pass"), (1.51, 0.95, "fail"),  # half as much again is worse than nothing
    ],
)  # fmt: skip
def test_the_lines_between_verdicts_on_a_rate(end: float, best: float, verdict: str) -> None:
    """From a loss of 1: what the rate of the spec gains beside a smaller one."""
    curves = [[1.0] * 8 + [end] * 2, [1.0] * 8 + [best] * 2, [1.0] * 10]
    assert check_rate(steps_of(curves)).verdict == verdict


def test_the_end_is_the_mean_of_the_last_fifth() -> None:
    curve = [1.0] * 16 + [0.1, 0.2, 0.3, 0.4]
    made = check_rate(steps_of([curve, curve]))
    assert made.numbers == pytest.approx({
        "steps": 20, "start": 1.0, "ratio": 1e-3, "loss_at_0.1": 0.25, "loss_at_0.01": 0.25,
    })  # fmt: skip
    assert "the loss goes from 1 to 0.25 in 20 steps at the highest rate, 0.1 (0.25 at 0.01)" in made.evidence


def test_few_steps_say_nothing_unless_they_end_badly() -> None:
    assert check_rate(steps_of([[1.0] * 9])).verdict == "skip"
    assert check_rate(steps_of([[1.0] * 10])).verdict == "pass"
    assert check_rate(steps_of([[1.0, math.inf, 0.5]])).verdict == "fail"


def test_parameters_that_hardly_move() -> None:
    for ratio, verdict in ((9e-7, "warn"), (1.1e-6, "pass"), (math.nan, "pass")):
        made = check_rate(steps_of([[1.0] * 10], ratio, [math.nan]))
        assert made.verdict == verdict
        assert made.numbers["ratio"] == (None if math.isnan(ratio) else ratio)


def test_a_loss_that_is_not_a_number_from_the_beginning() -> None:
    """Said as a finding, not as a warning of NumPy."""
    made = check_rate(steps_of([[math.nan] * 20, [math.nan] * 20]))
    assert made.verdict == "fail"
    assert made.evidence.startswith("the loss goes from no finite number to no finite number in 20 steps")


@pytest.mark.parametrize(
    ("highest", "places"),
    [(100, [0, 5, 50, 95, 100, 100]), (0, [0] * 6), (7, [0, 0, 3, 6, 7, 7])],
)
def test_the_way_to_the_peak(highest: int, places: list[int]) -> None:
    """A schedule whose peak lies at step 100 is walked through in twenty steps and stays there."""
    assert [first_steps._place(step, highest) for step in (0, 1, 10, 19, 20, 99)] == places


def test_a_state_at_another_place_has_noise_of_its_own(regression: Experiment) -> None:
    state = beginning(regression)
    first, second = (first_steps._placed(state, 7, turn) for turn in (0, 1))
    assert (int(first.step), first.step.dtype, int(second.step)) == (7, state.step.dtype, 7)
    keys = [tuple(jax.random.key_data(one.key).tolist()) for one in (state, first, second)]
    assert len(set(keys)) == 3 and first.params is state.params


def of_sgd(rate: float) -> Any:
    block = catalog.bind_one("optimizer", f"{{name: sgd, learning_rate: {rate}}}", Path())
    return SimpleNamespace(optimizer=block)


def test_the_first_steps_are_those_of_a_run(regression: Experiment) -> None:
    """At a constant rate without noise, those of the run itself; at a tenth of the rate, those of that run."""
    plan = regression.plan._replace(log_every=1)
    compiled = compile_programs(regression._replace(plan=plan))
    rate = float(regression.knobs["optimizer"]["learning_rate"])
    made = first_steps.first_steps(of_sgd(rate), compiled.experiment, compiled, compiled.initial(), 1e-3)
    assert made.rates == pytest.approx([rate, rate / 10, rate / 100])
    for i in (0, 1):
        knobs = {
            **regression.knobs,
            "optimizer": {**regression.knobs["optimizer"], "learning_rate": made.rates[i]},
        }
        alone = compiled.for_lanes(compiled.experiment._replace(lane_knobs=(knobs,)))
        state, log = alone.advance(alone.initial(), 0, 10)
        rows = alone.rows(log, 10)[0]
        columns = [compiled.names.index(name) for name in ("train/loss", "update/ratio")]
        steps = np.stack([made.losses[i, :10], made.ratios[i, :10]], axis=1)
        np.testing.assert_allclose(steps, rows[:, columns], rtol=1e-5)
    assert jax.tree.structure(made.state.params) == jax.tree.structure(state.params)


@pytest.mark.parametrize(
    ("seconds", "known", "rates", "steps"),
    [
        (0.05, 0.05, 3, 40), (0.5, 0.5, 3, 10), (2.0, 1.0, 3, 6), (31.0, 1.0, 3, 1), (2.0, 2.0, 1, 10),
        (3.0, 3.0, 1, 10), (4.0, 4.0, 1, 1),
    ],
    ids=["all", "ten", "slower than it was", "much slower", "one rate", "one rate until the end", "one step"],
)  # fmt: skip  # seconds: of one step at one rate; known: of that from before
def test_as_many_first_steps_as_there_is_time_for(
    seconds: float,
    known: float,
    rates: int,
    steps: int,
    regression: Experiment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After ten seconds ten steps are enough, after thirty any number; three rates from one beginning."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)

    class Compiled:
        names = ("other", "train/loss")
        experiment = regression._replace(plan=regression.plan._replace(steps=40))

        def advance(self, state: State, first: int, count: int) -> tuple[State, list[float]]:
            clock.now += seconds
            rate = float(state.knobs["optimizer"]["learning_rate"])
            assert (count, int(state.step)) == (1, min(first * 5 // 20, 5))
            moved = jax.tree.map(lambda a: a * (1 + rate), state.params)
            return state._replace(params=moved), [math.nan, rate + first]

        def rows(self, log: list[float], count: int) -> np.ndarray:
            return np.array([[log]])

    monkeypatch.setattr(first_steps, "time", clock)
    monkeypatch.setattr(first_steps, "peak", lambda experiment: (5, 0.5))
    state = beginning(regression)
    plan = regression.plan._replace(steps=40)
    long = regression._replace(plan=plan)
    made = first_steps.first_steps(of_sgd(0.1), long, Compiled(), state, known)  # type: ignore[arg-type]
    assert made.rates == pytest.approx(
        [0.05, 0.005, 0.0005][:rates]
    )  # half of them is the highest that there is
    tried = np.array([[0.1], [0.01], [0.001]])[:rates]
    np.testing.assert_allclose(made.losses, tried + np.arange(steps), rtol=1e-6)
    np.testing.assert_allclose(made.ratios, np.repeat(tried, steps, axis=1), rtol=1e-3)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b * 1.1**steps, rtol=1e-4), made.state.params, state.params
    )  # that of the rate of the spec


# --- dead units ----------------------------------------------------------------------------------------------------


def layer_passage(function: Callable[[jax.Array], jax.Array], x: np.ndarray) -> Passage:
    layer = stateless(function)
    given = jnp.asarray(x, jnp.float32)
    return Passage(("act",), layer, {}, {}, given, function(given), False)


def test_a_unit_is_idle_where_hardly_any_example_moves_it() -> None:
    """Of 200 examples one or three open a relu: at 99.5% it is closed for nearly all, at 98.5% it is not."""
    x = -np.ones((200, 3))
    x[:1, 0] = x[:3, 1] = 1.0
    assert dict(idle_units([layer_passage(jax.nn.relu, x)])) == {"act": pytest.approx(2 / 3)}
    flat = np.full((50, 2), 6.0)
    flat[:, 1] = 2.0
    assert dict(idle_units([layer_passage(jax.nn.sigmoid, flat)])) == {
        "act": 0.5
    }  # slope 0.0025 of 0.25; 0.1
    images = -np.ones((10, 4, 4, 2))
    images[..., 1] = 1.0
    assert dict(idle_units([layer_passage(jax.nn.relu, images)])) == {"act": 0.5}


def test_layers_with_parameters_or_another_shape_are_no_activations() -> None:
    made = layer_passage(jax.nn.relu, -np.ones((5, 3)))
    assert dict(idle_units([made._replace(params={"a": jnp.ones(3)})])) == {}
    assert dict(idle_units([made._replace(y=made.y[:, :2])])) == {}
    assert dict(idle_units([layer_passage(lambda x: 2 * x, np.ones((5, 3)))])) == {}  # a line cannot be dead


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "pass"), (0.6, "warn"), (0.9, "warn"), (1.0, "fail")])
def test_the_verdict_on_idle_units(share: float, verdict: str, classifier: Experiment) -> None:
    x = np.ones((20, 10))
    x[:, : round(10 * share)] = -1
    state = beginning(classifier)
    batch = ready(classifier, np.arange(40))
    made = check_units(classifier, state, state, batch, [layer_passage(jax.nn.relu, x)])
    assert made.verdict == verdict and made.numbers["most_idle_units"] == pytest.approx(share)
    assert made.numbers["parameters_without_gradient"] == 0


def test_parameters_without_a_gradient_before_and_after(classifier: Experiment) -> None:
    """With all weights and biases at 0 the hidden layer has none; a state that has recovered is no fault."""
    batch, healthy = ready(classifier, np.arange(40)), beginning(classifier)
    dead = healthy._replace(params=jax.tree.map(jnp.zeros_like, healthy.params))
    made = check_units(classifier, dead, dead, batch, [])
    assert made.verdict == "fail" and "hidden_1/kernel" in made.evidence
    assert check_units(classifier, dead, healthy, batch, []).verdict == "pass"
    assert check_units(classifier, healthy, dead, batch, []).verdict == "pass"
