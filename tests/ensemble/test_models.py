"""Which runs share a model, and what of a checkpoint a model needs; nothing is compiled."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.prediction.models import block_of, by_model, held_out, state_of
from nnrun.types import State

RESOLVED = """\
name: NAME
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [4]}
loss: {name: cross_entropy}
optimizer: {name: OPTIMIZER}
train: {precision: float32, seed: 1}
"""


def test_runs_share_a_model_where_data_model_loss_and_precision_agree(make_run):
    texts = [
        RESOLVED,
        RESOLVED.replace("hidden: [4]", "hidden: [5]"),
        RESOLVED.replace("NAME", "other").replace("OPTIMIZER", "adam").replace("seed: 1", "seed: 2"),
        RESOLVED.replace("float32", "float64"),
        RESOLVED.replace("cross_entropy", "squared_error"),
        RESOLVED.replace("digits", "mnist"),
        RESOLVED.replace("hidden: [4]", "hidden: [5]"),
    ]
    folders = [make_run(f"run_{i}", resolved=text) for i, text in enumerate(texts)]
    assert by_model(folders) == [[0, 2], [1, 6], [3], [4], [5]]


def test_runs_of_other_folders_may_have_other_modules(make_run):
    """`model: my_file:net` is the file in the folder of the spec."""
    folders = [make_run(f"run_{i}", resolved=RESOLVED) for i in range(3)]
    for folder, place in zip(folders, ("/a", "/b", "/a"), strict=True):
        (folder / "run.json").write_text(json.dumps({"spec_folder": place}))
    assert by_model(folders) == [[0, 2], [1]]


def test_a_block_with_its_options(make_run):
    assert block_of(make_run("run", resolved=RESOLVED), "model") == {"name": "mlp", "hidden": [4]}


@pytest.mark.parametrize(
    "text", ["3\n", "[a, b]\n", "data: {name: digits}\n", "{data: 1, model: 2, loss: 3}\n"]
)
def test_a_damaged_spec_is_refused(text: str, make_run):
    folder = make_run("run", resolved=text)
    with pytest.raises(RunError, match=r"resolved.yaml: damaged; restore it"):
        block_of(folder, "loss")


def test_an_empty_part_of_the_data_is_refused(make_model, tmp_path):
    y = np.zeros(3, np.int32)
    model = make_model({"test": y})
    assert held_out(model, "test", tmp_path).y is y
    with pytest.raises(SpecError, match=r"--split val: .* held nothing out for it; write --split test"):
        held_out(model, "val", tmp_path)


def test_the_task_in_words(make_model):
    y = np.zeros(3, np.int32)
    assert make_model({"test": y}).task == "classes a, b, c"
    assert make_model({"test": y.astype(np.float32)}, classes=()).task == "a regression"


# What a model needs of a checkpoint


def like() -> State:
    def leaf(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    knobs = {"model": {"rate": leaf()}, "loss": {}, "optimizer": {"learning_rate": leaf()}}
    key = jax.eval_shape(lambda: jax.random.key(0))
    return State(leaf(dtype="int32"), {"w": leaf(2)}, {"mean": leaf(2)}, leaf(9), leaf(9), {}, key, knobs)


def arrays() -> dict[str, np.ndarray]:
    return {
        "step": np.int32(7),
        "key": np.array([0, 1], np.uint32),
        "params/w": np.array([1.0, 2.0], np.float32),
        "stats/mean": np.array([3.0, 4.0], np.float32),
        "knobs/model/rate": np.float32(0.5),
        "knobs/optimizer/learning_rate": np.float32(0.1),
        "opt_state/m": np.zeros(3, np.float32),
        "average/ema/w": np.zeros(2, np.float32),
    }


def test_predictions_need_parameters_statistics_and_knobs_of_the_model(make_model):
    model = make_model({"test": np.zeros(3, np.int32)})._replace(like=like())
    state = state_of(model, arrays(), "run:7")
    assert np.asarray(state.params["w"]).tolist() == [1.0, 2.0]
    assert np.asarray(state.stats["mean"]).tolist() == [3.0, 4.0]
    assert float(state.knobs["model"]["rate"]) == 0.5
    assert state.opt_state is None and state.average is None
    assert int(state.step) == 7
    assert isinstance(state.params["w"], jnp.ndarray)


def test_a_checkpoint_of_another_model_is_refused_with_both_forms(make_model):
    model = make_model({"test": np.zeros(3, np.int32)})._replace(like=like())
    wrong = {**arrays(), "params/w": np.zeros(5, np.float32)}
    message = r"run:7: params/w is float32 \[5\] in the checkpoint and float32 \[2\] in the model"
    with pytest.raises(RunError, match=message):
        state_of(model, wrong, "run:7")
    lacking = {name: array for name, array in arrays().items() if name != "stats/mean"}
    with pytest.raises(RunError, match=r"stats/mean is absent in the checkpoint"):
        state_of(model, lacking, "run:7")
    larger = {**arrays(), "params/b": np.zeros(1, np.float32)}
    with pytest.raises(
        RunError, match=r"params/b is float32 \[1\] in the checkpoint and absent in the model"
    ):
        state_of(model, larger, "run:7")


def test_knobs_that_a_model_has_no_more_do_not_matter(make_model):
    model = make_model({"test": np.zeros(3, np.int32)})._replace(like=like())
    content = {**arrays(), "knobs/model/gone": np.float32(1)}
    assert float(state_of(model, content, "run:7").knobs["model"]["rate"]) == 0.5
