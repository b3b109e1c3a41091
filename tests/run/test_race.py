"""`nnrun race` through the command line: the table, pictures that open, the plane of a run, mistakes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnrun.race import draw
from nnrun.race.trajectory import Trajectory
from nnrun.surface.beale import beale

SPEC = """
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [4], norm: batch}
penalty: {name: l2, strength: 1e-3}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 6 epochs, precision: float64}
checkpoint: {every: 1 epoch, keep: 9}
"""


@pytest.fixture(scope="module")
def folder(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    place = tmp_path_factory.mktemp("race")
    (place / "spec.yaml").write_text(SPEC)
    assert warm("train", "spec.yaml", "--run-dir", "runs/small", "-q", folder=place).code == 0
    return place


@pytest.fixture
def race(warm: Callable[..., Any], folder: Trajectory) -> Callable[..., Any]:
    return lambda *arguments: warm("race", *arguments, folder=folder)


def test_adam_and_newton_on_the_saddle(race: Callable[..., Any], keeps_contract: Callable[..., None]) -> None:
    """Newton's method goes to the saddle, where the value is 0."""
    done = race(
        "{name: adam, learning_rate: 0.1}", "newton", "--surface", "saddle", "--steps", "100", "--json"
    )
    assert (done.code, done.err) == (0, "")
    keeps_contract("race", done.json)
    adam, newton = done.json["optimizers"]
    assert adam["steps"] < 100
    assert adam["learning_rate"] == 0.1
    assert abs(adam["value"] + 1) < 0.01
    assert newton == {
        "optimizer": "newton",
        "learning_rate": None,
        "steps": None,
        "value": pytest.approx(0, abs=1e-6),
    }


def test_the_table_and_the_picture(race: Callable[..., Any], folder: Trajectory) -> None:
    done = race("{name: sgd, learning_rate: 0.01}", "--steps", "30", "-o", "race.png")
    assert done.code == 0
    assert re.search(r"learning_rate: 0\.01\}\s+0\.01\s+–\s+\d", done.out)
    assert done.out.splitlines()[-1] == "picture: race.png"
    with Image.open(folder / "race.png") as picture:
        assert picture.size == (1100, 525)


@pytest.mark.slow
def test_the_plane_through_the_start_and_two_checkpoints(
    race: Callable[..., Any], folder: Trajectory
) -> None:
    done = race(
        "{name: sgd, learning_rate: 0.1}", "--run", "small", "--steps", "20", "--json", "-o", "plane.html"
    )
    assert (done.code, done.err) == (0, "")
    assert done.json["surface"] == "small, steps 0, 21, 42"
    page = (folder / "plane.html").read_text()
    assert page.count("data:image/png;base64,") == 21
    assert "small, steps 0, 21, 42" in page
    chosen = race("lbfgs", "--run", "small", "--steps", "3", "--json", "--checkpoints", "7,14,21")
    assert chosen.json["surface"] == "small, steps 7, 14, 21"


def test_the_plane_passes_through_the_checkpoints(folder: Trajectory) -> None:
    """At the last one it is the training loss with stored statistics, and the penalty, by hand."""
    import jax
    import jax.numpy as jnp

    from nnrun.race import plane
    from nnrun.record import checkpoint
    from nnrun.runner import session
    from nnrun.training import flat, start
    from nnrun.training.step import normalise
    from nnrun.types import Batch

    run = folder / "runs" / "small"
    with session.precision("float64"):
        experiment = session.rebuild(run, print, ["train"]).experiment
        found = plane.plane(experiment, run, [7, 28, 42])
        np.testing.assert_allclose(found.points[[0, 2]], [[0, 0], [1, 0]])
        like = start.one_like(experiment)
        arrays = checkpoint.load(run / "checkpoints" / "step_00000042").arrays
        last = flat.unflatten({name: arrays[name] for name in flat.shapes(like)}, like)
        train = experiment.dataset.train
        x, y = normalise(
            experiment, Batch(jnp.asarray(train.x), jnp.asarray(train.y), jnp.ones(len(train.y)))
        )
        outputs, _ = experiment.model(last.knobs).apply(last.params, last.stats, x, None, None)
        loss = experiment.loss(last.knobs).value(outputs, y).mean() + experiment.penalty(last.knobs)(
            last.params
        )
        np.testing.assert_allclose(found.surface.value(jnp.array([1.0, 0.0])), loss, rtol=1e-9)
        middle = flat.unflatten(
            {n: checkpoint.load(run / "checkpoints" / "step_00000028").arrays[n] for n in flat.shapes(like)},
            like,
        )
        outputs, _ = experiment.model(last.knobs).apply(middle.params, last.stats, x, None, None)
        loss = experiment.loss(last.knobs).value(outputs, y).mean() + experiment.penalty(last.knobs)(
            middle.params
        )
        np.testing.assert_allclose(found.surface.value(jnp.asarray(found.points[1])), loss, rtol=1e-9)
        del jax


def test_a_gif_plays_and_ends_where_the_paths_end() -> None:
    t = np.linspace(0, 1, 40)
    points = np.stack([1 + 2 * t, 1.5 - t], 1)
    path = Trajectory("straight", 0.1, points, 20 * (1 - t) + 1e-3, None)
    content = draw.draw(beale(), [path], "a line", ".gif", grid=20)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.n_frames == 40
        assert picture.info["loop"] == 0
        first = np.asarray(picture.convert("RGB"), int)
        picture.seek(39)
        last = np.asarray(picture.convert("RGB"), int)
    blue = lambda a: (np.abs(a - [0, 114, 178]).sum(-1) < 30).sum()  # noqa: E731
    assert blue(last) > blue(first) + 300


MISTAKES = {
    "unknown surface": (["--surface", "bale"], ['there is no surface "bale"', "did you mean beale?"]),
    "unknown optimizer": (["adm"], ['there is no optimizer "adm"', "did you mean adam?"]),
    "wrong option": (["{name: adam, b1: 1}"], ["optimizer.b1: got 1; write a value in [0, 1)"]),
    "nothing to wrap": (["{name: lookahead, inner: lbfgs}"], ["nothing can be wrapped around it"]),
    "unknown format": (["-o", "race.jpg"], ["race.jpg: ", ".png, .gif, .html"]),
    "no such folder": (["-o", "absent/race.png"], ["absent/race.png: no such folder"]),
    "two surfaces": (["--run", "small", "--surface", "saddle"], ["leave --surface out"]),
    "steps of no run": (["--checkpoints", "1,2,3"], ["--checkpoints: of which run?"]),
    "no such checkpoints": (
        ["--run", "small", "--checkpoints", "1,2,3"],
        ["got 1,2,3", "0, 7, 14, 21, 28, 35, 42"],
    ),
    "no numbers": (["--run", "small", "--checkpoints", "a"], ["got 'a'; write three steps: 0,200,400"]),
    "a Hessian that is too large": (["{name: newton, max_parameters: 1}"], ["GiB", "use newton_cg or lbfgs"]),
    "a schedule": (["{name: adam, schedule: cosine}"], ["optimizer.schedule: unknown key"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_in_one_line(case: str, race: Callable[..., Any]) -> None:
    arguments, expected = MISTAKES[case]
    done = race(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    for part in expected:
        assert part in done.err


def test_a_run_with_one_checkpoint_races_over_a_direction_drawn_at_random(
    race: Callable[..., Any], warm: Any, folder: Trajectory
) -> None:
    few = ["checkpoint.every=20 steps", "train.duration=14 steps"]
    assert warm("train", "spec.yaml", *few, "--run-dir", "runs/few", "-q", folder=folder).code == 0
    done = race("{name: sgd, learning_rate: 0.1}", "--run", "few", "--steps", "3", "--json")
    assert done.json["surface"] == "few, steps 0, 14 and a direction drawn at random"
