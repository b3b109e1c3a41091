"""Properties of the whole step and loop, in double precision: what holds there holds for every net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.training import flat, programs, shards
from nnrun.training.order import positions
from nnrun.training.programs import Programs
from nnrun.training.step import initial_state, make_step
from nnrun.types import Batch, Experiment, State

Optimized = Callable[[], AbstractContextManager[None]]
STEPS = 15  # across the short batch at the end of the first epoch, step 13


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=["mlp", pytest.param("lenet", marks=pytest.mark.slow)])
def solo(
    request: pytest.FixtureRequest, experiment: Callable[..., Experiment], optimized: Optimized
) -> Programs:
    with optimized():
        return programs.compile_programs(experiment(request.param))


@pytest.fixture(scope="module", params=["mlp", pytest.param("lenet", marks=pytest.mark.slow)])
def trio(
    request: pytest.FixtureRequest, experiment: Callable[..., Experiment]
) -> tuple[Programs, list[Programs]]:
    """A population of three seeds, and each of the three alone."""
    specs = [["train.seed=5", "train.seeds=3"], *([f"train.seed={seed}"] for seed in (5, 6, 7))]
    group, *alone = [programs.compile_programs(experiment(request.param, *spec)) for spec in specs]
    return group, alone


def run(compiled: Programs, cuts: list[int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Trains up to each cut in turn: the arrays of the last state and the rows logged."""
    state, step, rows = compiled.initial(), 0, []
    for cut in cuts:
        state, log = compiled.advance(state, step, cut - step)
        rows.append(compiled.rows(log, cut - step))
        step = cut
    return flat.flatten(state), np.concatenate(rows, axis=1)


def batches(experiment: Experiment, count: int, trim: bool = False) -> Iterator[Batch]:
    """The batches of the first steps; trimmed, the short one has no padding."""
    train, plan = experiment.dataset.train, experiment.plan
    for rows in positions(plan.seeds[0], len(train.y), plan.batch_size, 0, count):
        real = rows >= 0
        picked = rows[real] if trim else np.maximum(rows, 0)
        weight = jnp.ones(len(picked)) if trim else jnp.asarray(real.astype(float))
        yield Batch(jnp.asarray(train.x[picked]), jnp.asarray(train.y[picked]), weight)


def by_hand(experiment: Experiment, step: Callable[..., Any], trim: bool = False) -> State:
    state = initial_state(
        experiment, jax.random.key(0), jax.tree.map(lambda k: jnp.asarray(k, float), experiment.knobs)
    )
    for batch in batches(experiment, STEPS, trim):
        state, _ = step(state, batch)
    return state


def assert_close(a: dict[str, np.ndarray], b: dict[str, np.ndarray], tolerance: float = 1e-9) -> None:
    assert a.keys() == b.keys()
    for name, array in a.items():
        np.testing.assert_allclose(array, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if a[name].tobytes() != b[name].tobytes()] == []


def test_where_chunks_begin_and_end_changes_no_bit(solo: Programs) -> None:
    whole, rows = run(solo, [STEPS])
    pieces, same_rows = run(solo, [1, 2, 9, STEPS])
    assert_same(whole, pieces)
    np.testing.assert_array_equal(rows, same_rows)


def test_the_compiled_loop_is_the_step_again_and_again(solo: Programs) -> None:
    whole, _ = run(solo, [STEPS])
    final = by_hand(solo.experiment, jax.jit(make_step(solo.experiment)))
    assert_close(whole, flat.flatten(final))


@pytest.mark.slow
def test_jit_is_eager(solo: Programs) -> None:
    step, batch = make_step(solo.experiment), next(batches(solo.experiment, 1))
    state = solo.initial()
    compiled, log = jax.jit(step)(state, batch)
    eager, same_log = step(state, batch)
    assert_close(flat.flatten(compiled), flat.flatten(eager))
    assert_close(log, same_log)


@pytest.mark.quick("mlp")
@pytest.mark.parametrize("net", ["mlp", "lenet"])
def test_a_short_batch_is_that_batch_without_padding(net: str, experiment: Callable[..., Experiment]) -> None:
    """Without dropout, whose masks are drawn for the padded shape."""
    quiet = experiment(net, "model.dropout=0")
    step = jax.jit(make_step(quiet))
    assert_close(*(flat.flatten(by_hand(quiet, step, trim)) for trim in (False, True)))


@pytest.mark.slow
def test_lanes_are_solo_runs(trio: tuple[Programs, list[Programs]]) -> None:
    group, alone = trio
    arrays, rows = run(group, [STEPS])
    for i, one in enumerate(alone):
        solo_arrays, solo_rows = run(one, [STEPS])
        assert_close(flat.lane(arrays, i), solo_arrays, 1e-8)
        np.testing.assert_allclose(rows[i], solo_rows[0], rtol=1e-8)


@pytest.mark.parametrize(("cache", "parts"), [(1 << 20, 2), (1, 3)])
def test_a_divided_population_is_the_whole(
    cache: int, parts: int, trio: tuple[Programs, list[Programs]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three lanes in two threads: the second part has one lane and a copy of it, or a thread has two parts."""
    monkeypatch.setattr(shards, "_CACHE", cache)
    monkeypatch.setattr(shards, "_LEAST_LANES", 1)
    whole, _ = trio
    divided = shards.compile_shards(whole.experiment, cores=2)
    assert isinstance(divided, shards.Shards)
    assert (len(divided.parts), len(set(map(id, divided.workers)))) == (parts, 2)
    state, log = divided.advance(divided.initial(), 0, 7)
    again, more = divided.advance(divided.pack(divided.unpack(state)), 7, STEPS - 7)
    rows = np.concatenate([divided.rows(log, 7), divided.rows(more, STEPS - 7)], axis=1)
    arrays, whole_rows = run(whole, [STEPS])
    np.testing.assert_allclose(rows, whole_rows, rtol=1e-8, atol=1e-12)
    for i, lane in enumerate(divided.unpack(again)):
        assert_close(lane, flat.lane(arrays, i), 1e-8)
    whole_state, _ = whole.advance(whole.initial(), 0, STEPS)
    for one, other in zip(divided.evaluate(again, "val"), whole.evaluate(whole_state, "val"), strict=True):
        assert one == pytest.approx(other, rel=1e-8)


@pytest.mark.parametrize(
    ("seeds", "sizes"), [(16, [8, 8]), (17, [5, 5, 5, 5]), (100, [25] * 4), (256, [32] * 8), (9, [5, 5])]
)
def test_every_core_takes_as_many_parts_as_the_others(
    seeds: int, sizes: list[int], solo: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where at most 8 lanes, or 35 of the state's size, are in a part."""
    monkeypatch.setattr(shards, "_LEAST_LANES", 8)
    state = shards.bytes_of(shards.one_like(solo.experiment))
    monkeypatch.setattr(shards, "_CACHE", (35 if seeds > 17 else 8) * state)
    monkeypatch.setattr(
        shards, "compile_programs", lambda share: SimpleNamespace(for_lanes=lambda part: part)
    )
    plan = solo.experiment.plan._replace(seeds=tuple(range(seeds)))
    divided = shards.compile_shards(solo.experiment._replace(plan=plan), cores=2)
    assert [len(part.plan.seeds) for part in divided.parts] == sizes  # type: ignore[attr-defined]


def test_a_permuted_population_gives_permuted_results(trio: tuple[Programs, list[Programs]]) -> None:
    group, _ = trio
    experiment = group.experiment
    turned = experiment._replace(plan=experiment.plan._replace(seeds=experiment.plan.seeds[::-1]))
    arrays, _ = run(group, [STEPS])
    turned_arrays, _ = run(group.for_lanes(turned), [STEPS])
    assert_close({name: a[::-1] for name, a in arrays.items()}, turned_arrays, 1e-8)


def test_different_seeds_differ(trio: tuple[Programs, list[Programs]]) -> None:
    arrays, rows = run(trio[0], [STEPS])
    kernels = [name for name in arrays if name.startswith("params/") and name.endswith("kernel")]
    for name in kernels:
        a, b, c = arrays[name]
        assert not np.array_equal(a, b) and not np.array_equal(b, c) and not np.array_equal(a, c)
    assert len(np.unique(rows[:, -1, 0])) == 3


def test_a_second_call_compiles_nothing(solo: Programs) -> None:
    run(solo, [2, 4])
    solo.evaluate(solo.initial(), "val")
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
    try:
        state = solo.initial()
        compiled.clear()
        state, _ = solo.advance(state, 0, 3)
        state, _ = solo.advance(state, 3, 5)
        solo.evaluate(state, "val")
        solo.evaluate(state, "test")
    finally:
        jax.monitoring.clear_event_listeners()
    assert [name for name in compiled if "compile" in name] == []


def test_evaluation_is_the_mean_over_the_whole_part(solo: Programs) -> None:
    """Against NumPy, for a part whose size is no multiple of the evaluation's batch."""
    experiment = solo.experiment
    state, _ = solo.advance(solo.initial(), 0, 10)
    [found] = solo.evaluate(state, "test")
    test, data = experiment.dataset.test, experiment.dataset
    model = experiment.model(experiment.knobs)
    x = (jnp.asarray(test.x).astype(float) - data.shift.astype(float)) / data.scale.astype(float)
    logits = np.asarray(model.apply(state.params, state.stats, x, None, None)[0])
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    assert found["test/loss"] == pytest.approx(-log_p[np.arange(len(test.y)), test.y].mean(), rel=1e-12)
    assert found["test/accuracy"] == (logits.argmax(1) == test.y).mean()


def test_every_epoch_visits_every_example_once() -> None:
    rows = positions(3, 103, 10, 0, 22)
    for epoch in (rows[:11], rows[11:]):
        seen = epoch[epoch >= 0]
        assert sorted(seen) == list(range(103))
        assert (epoch[-1] >= 0).sum() == 3
    assert not np.array_equal(rows[:11], rows[11:])
    assert not np.array_equal(rows, positions(4, 103, 10, 0, 22))


def test_order_depends_on_the_place_only() -> None:
    np.testing.assert_array_equal(positions(3, 103, 10, 0, 30)[7:25], positions(3, 103, 10, 7, 18))


def test_norms_are_those_of_the_step_where_a_line_ends(solo: Programs) -> None:
    """Against the gradient and the update by hand; between lines they are not computed."""
    experiment = solo.experiment
    names = solo.chunk.names
    state, log = solo.advance(solo.initial(), 0, 4)
    before = {name: a for name, a in flat.flatten(state).items() if name.startswith("params/")}
    state, last = solo.advance(state, 4, 1)  # log_every is 5
    after = flat.flatten(state)
    column = names.index("update/ratio")
    update = np.sqrt(sum(np.sum((after[name] - a) ** 2) for name, a in before.items()))
    size = np.sqrt(sum(np.sum(a**2) for a in before.values()))
    assert solo.rows(last, 1)[0, 0, column] == pytest.approx(update / size, rel=1e-9)
    assert (solo.rows(log, 4)[0, :, column] == 0).all()
    assert experiment.plan.log_every == 5
