"""What does not fit together is refused in one line with its key and its remedy, before anything is created."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import build
from nnrun.build import checks
from nnrun.build.augment import check_augment, is_augmented
from nnrun.build.checks import check_durations, check_memory, check_parts, checked
from nnrun.build.optimizer import MisfitError, learning_rate, make_method
from nnrun.catalog import Spec, bound
from nnrun.duration import Clock
from nnrun.errors import MachineError, SpecError
from nnrun.types import Batch, Experiment, Objective

Iris = Callable[..., Spec]
CLOCK = Clock(32, 4, 40)


@pytest.mark.parametrize(
    ("overrides", "place", "words"),
    [
        (["optimizer=lbfgs"], "optimizer.name",
         "batches of 32 of 105 examples; write data.batch_size: full, or to watch it fail, optimizer.allow_noise"),
        (["optimizer=lbfgs", "data.batch_size=full", "model.dropout=0.5", "train.precision=bfloat16"], "optimizer.name",
         "the noise of mlp (dropout and the like) and the rounding to bfloat16; switch the noise off and write "
         "train.precision: float32, or"),
        (["optimizer=lbfgs", "data.batch_size=full", "schedule=cosine"], "schedule.name", "no learning rate that a"),
        (["optimizer=lbfgs", "data.batch_size=full", "schedule={name: constant, warmup: 1 epochs}"], "schedule.warmup",
         "no learning rate that a schedule could change; leave it out"),
        (["optimizer={name: lbfgs, weight_decay: 0.1}", "data.batch_size=full"], "optimizer.weight_decay",
         "lbfgs makes its own steps, which weight_decay cannot change; leave it out"),
        (["optimizer={name: lookahead, inner: lbfgs}"], "optimizer.inner.name", "so nothing can be wrapped around it"),
        (["optimizer={name: sam, weight_decay: 0.1, inner: {name: sgd, learning_rate: 0.1}}"], "optimizer.weight_decay",
         "sam makes its own steps, which weight_decay cannot change; write it inside inner"),
        (["loss=hinge", "optimizer=gauss_newton", "data.batch_size=full"], "optimizer.name",
         "needs a curved loss, and hinge is straight between its kinks; write loss: squared_hinge or cross_entropy"),
        (['optimizer.rates={"hiden_1/*": 0.5}'], "optimizer.rates", "no parameter fits 'hiden_1/*'; did you mean"),
        (["optimizer.decay_only=[hidden_1/*]"], "optimizer.decay_only", "nothing decays; add weight_decay: 0.01"),
        (["optimizer={name: sam, inner: {name: sgd, learning_rate: 0.1, rates: {x: 0.5}}}"], "optimizer.inner.rates",
         "no parameter fits 'x'"),
        (["model=lenet"], "model", "lenet on inputs of shape (4,): it takes images (h, w, c) only"),
        (["train.remat=blocks"], "train.remat", "mlp is not made of blocks, which residual nets and transformers are"),
        (["data.batch_size=1", "model.norm=batch"], "data.batch_size", "batch norm over one value has no variance"),
        (["train.accumulate=32", "model.norm=batch"], "train.accumulate", "batch norm over one value"),
        (["loss=squared_error"], "loss", "the targets of iris are labels; write loss: {name: cross_entropy}"),
        (["metrics=[accuracy, rmse]"], "metrics.1", "rmse judges numbers, and the targets of iris are classes"),
        (["loss=hinge", "metrics=[log_loss]"], "metrics.0", "log_loss needs probabilities, and the outputs of hinge"),
        (["metrics=[f1, accuracy, f1]"], "metrics.2", "f1 with these options comes twice; write it once"),
        (["train.early_stopping={patience: 2 epochs, metric: val/acuracy}"], "train.early_stopping.metric",
         "there is no metric 'val/acuracy'; did you mean val/accuracy?"),
        (["checkpoint.best=val/rmse"], "checkpoint.best", "there is no metric 'val/rmse'"),
        (["augment=[random_crop]"], "augment.0", "random_crop on inputs of shape (4,)"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(
    overrides: list[str], place: str, words: str, iris: Iris
) -> None:
    with pytest.raises(SpecError) as raised:
        build.build(iris(*overrides))
    (problem,) = raised.value.problems
    assert f": {place}: " in problem and words in problem and "\n" not in problem


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["schedule={name: step_decay, every: 10 epochs}"], ""),
        (["schedule={name: step_decay, every: 41 steps}"], "41 steps is 41 steps, and the run has 40; write a shorter"),
        (["schedule={name: step_decay, every: 8 epochs, warmup: 2 epochs}"], ""),
        (["schedule={name: step_decay, every: 33 steps, warmup: 20%}"], "and the run has 32 after the warm-up; write"),
        (["average=[{name: swa, start: 10 epochs, every: 1 epochs}]"], ""),
        (["schedule={name: cosine, warmup: 90%}", "average=[{name: swa, start: 9 epochs, every: 1 epochs}]"], ""),
        (["average=[ema, {name: swa, start: 11 epochs, every: 1 epochs}]"],
         "11 epochs is 44 steps, and the run has 40;"),
    ],
)  # fmt: skip
def test_nothing_begins_after_the_end(overrides: list[str], words: str, iris: Iris) -> None:
    """Of 40 steps in 10 epochs; an average counts from the first step, a schedule from the end of the warm-up."""
    spec = iris(*overrides)
    if not words:
        return check_durations(spec, CLOCK)
    with pytest.raises(SpecError) as raised:
        check_durations(spec, CLOCK)
    key = "average.1.start" if overrides[0].startswith("average") else "schedule.every"
    assert f": {key}: " in str(raised.value) and words in str(raised.value)
    return None


def test_errors_of_parts_have_the_place_of_their_block(iris: Iris) -> None:
    spec = iris()

    def fails(error: Exception) -> Callable[[], None]:
        def function() -> None:
            raise error

        return function

    assert checked(spec, ("model",), lambda: 3) == 3
    with pytest.raises(SpecError, match=r"model: too few$"):
        checked(spec, ("model",), fails(ValueError("too few\nand advice to programmers")))
    with pytest.raises(SpecError, match=r"optimizer.learning_rate: has no meaning"):
        checked(spec, ("model",), fails(MisfitError(("optimizer", "learning_rate"), "has no meaning")))
    with pytest.raises(KeyError):
        checked(spec, ("model",), fails(KeyError("a bug")))


@pytest.mark.parametrize(("seeds", "fits"), [((0,), 1), ((0, 1, 2), 3)])
def test_memory_is_data_and_three_states_a_seed(
    seeds: tuple[int, ...], fits: int, plain: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of 3 MiB, data of 150 rows of 4 inputs and a label."""
    experiment = plain._replace(plan=plain.plan._replace(seeds=seeds))
    like: Any = SimpleNamespace(_replace=lambda key: [jax.ShapeDtypeStruct((3 << 18,), np.dtype(np.float32))])
    parts = [getattr(plain.dataset, name) for name in ("train", "val", "test")]
    data = sum(part.x.nbytes + part.y.nbytes for part in parts)
    assert sum(len(part.y) for part in parts) == 150
    needed = data + 3 * fits * 3 * 2**20
    for free in (None, needed, needed + 1):
        monkeypatch.setattr(checks, "free_memory", lambda free=free: free)
        check_memory(experiment, like)
    monkeypatch.setattr(checks, "free_memory", lambda: needed - 1)
    with pytest.raises(MachineError, match=r"use a smaller model, fewer train.seeds or data.stream: true"):
        check_memory(experiment, like)


def test_a_batch_of_two_and_two_parts_of_three_are_enough(plain: Experiment, iris: Iris) -> None:
    """Only where every part is a single example is there no variance; 3 in 2 parts has one of two."""

    def refusing(*arguments: Any) -> Any:
        raise AssertionError("traced")

    for batch, accumulate, traced in ((2, 1, False), (3, 2, False), (1, 1, True), (2, 2, True), (3, 3, True)):
        plan = plain.plan._replace(batch_size=batch, accumulate=accumulate)
        experiment = plain._replace(plan=plan, model=refusing)
        if traced:
            with pytest.raises(AssertionError, match="traced"):
                check_parts(iris(), experiment)
        else:
            check_parts(iris(), experiment)


def blending(name: str, *augmentations: Any) -> Any:
    """A spec with augmentations of this name."""

    def fail(path: tuple[Any, ...], message: str) -> SpecError:
        return SpecError(f"{'.'.join(map(str, path))}: {message}")

    lists = {"augment": [(("augment", i), None) for i in range(len(augmentations))]}
    blocks = [SimpleNamespace(name=name)] * len(augmentations)
    return SimpleNamespace(augment=blocks, document=SimpleNamespace(lists=lists), fail=fail)


def doubled(key: jax.Array, batch: Batch) -> Batch:
    del key
    return batch._replace(x=2 * batch.x)


def as_it_is(key: jax.Array, batch: Batch) -> Batch:
    del key
    return batch


@pytest.mark.parametrize(
    "wrong",
    [
        lambda key, batch: batch.x,
        lambda key, batch: batch._replace(x=batch.x[:1]),
        lambda key, batch: batch._replace(x=batch.x.astype(jnp.float16)),
        lambda key, batch: batch._replace(y=batch.y.astype(jnp.float32)),
        lambda key, batch: batch._replace(weight=batch.weight[None]),
    ],
)
def test_an_augmentation_returns_the_batch_in_its_form(wrong: Any, plain: Experiment) -> None:
    experiment = plain._replace(augment=lambda knobs: [doubled, wrong])
    with pytest.raises(
        SpecError, match=r"augment\.1: mine on inputs of shape \(4,\) does not return the batch"
    ):
        check_augment(blending("mine", doubled, wrong), experiment)


def test_augmentations_that_fail_or_weigh_twice_are_refused(plain: Experiment) -> None:
    check_augment(blending("mine", doubled), plain._replace(augment=lambda knobs: [doubled]))

    def failing(key: jax.Array, batch: Batch) -> Batch:
        raise ValueError("it takes images\nsecond line")

    with pytest.raises(SpecError, match=r"^augment\.0: mine on inputs of shape \(4,\): it takes images$"):
        check_augment(blending("mine", failing), plain._replace(augment=lambda knobs: [failing]))

    def mixing(key: jax.Array, batch: Batch) -> Batch:
        return batch._replace(other=batch.y)

    weighted = plain._replace(
        augment=lambda knobs: [mixing], dataset=plain.dataset._replace(weights=np.ones(105))
    )
    check_augment(blending("mine", mixing), weighted._replace(dataset=plain.dataset))
    with pytest.raises(SpecError, match=r"blends examples, each of which data.weights counts by itself"):
        check_augment(blending("mine", mixing), weighted)


def test_an_augmentation_that_hands_the_batch_on_is_none(plain: Experiment) -> None:
    for augmentations, expected in (([], False), ([as_it_is], False), ([as_it_is, doubled], True)):
        assert is_augmented(plain._replace(augment=lambda knobs, a=augmentations: a)) is expected


@pytest.mark.parametrize(
    ("optimizer", "rate", "step"),
    [
        ("{name: sgd, learning_rate: 0.25}", 0.25, -0.25 * 0.5 * 2),
        ("{name: sgd, learning_rate: 0}", 0, 0.0),
        ("{name: sgd, learning_rate: 0.25, weight_decay: 0.5}", 0.25, -0.25 * 0.5 * (2 + 0.5)),
        ("{name: lookahead, every: 10, inner: {name: sgd, learning_rate: 0.25}}", 0.25, -0.25 * 0.5 * 2),
        ("{name: sam, radius: 0.5, inner: {name: sgd, learning_rate: 0.25}}", 0.25, -0.25 * 0.5 * 3),
    ],
)  # fmt: skip
def test_the_factor_of_the_schedule_reaches_the_rate_wherever_it_stands(
    optimizer: str, rate: float, step: float, iris: Iris
) -> None:
    """f(w) = w² at w = 1: the gradient is 2, the factor a half; decay pulls with weight_decay · w,
    and sam takes the gradient at w + radius."""
    block = iris(f"optimizer={optimizer}").optimizer
    knobs = bound.knobs(block)
    assert learning_rate(block, knobs) == pytest.approx(rate)
    method = make_method(block, knobs, jnp.asarray(0.5), CLOCK)

    def squared(params: Any) -> Any:
        return (params["w"] ** 2).sum(), {}

    def gradient(params: Any) -> Any:
        return jax.value_and_grad(squared, has_aux=True)(params)

    params = {"w": jnp.ones(1)}
    objective = Objective(squared, gradient, lambda p: p["w"], jnp.sum, lambda p: jnp.zeros(()))
    updated, _, _ = method.step(objective, params, method.init(objective, params))
    assert float(updated["w"][0]) - 1 == pytest.approx(step, abs=1e-6)


def test_a_method_without_a_rate_has_none(iris: Iris) -> None:
    block = iris("optimizer=lbfgs").optimizer
    assert learning_rate(block, bound.knobs(block)) is None
