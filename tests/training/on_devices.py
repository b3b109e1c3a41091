"""Trains specs on one and on several simulated devices and prints what differs, as JSON: see test_mesh.

python on_devices.py FOLDER NAME=DEVICES... float32/NAME=DEVICES...
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nnrun import catalog
from nnrun.runner import session
from nnrun.training.programs import Programs, compile_programs
from nnrun.types import Batch

TRAIN = "train: {duration: 6 steps, precision: float64, log_every: 2 steps}\n"
BATCHES = "data: {name: digits, batch_size: 48, examples: 300}\n"
SPECS = {
    "mlp": "model: {name: mlp, hidden: [32], dropout: 0.3, norm: batch}\naugment: [mixup]\n"
    "optimizer: {name: nesterov, learning_rate: 0.1, clip_norm: 1}\naverage: {name: ema, decay: 0.9}\nmetrics: [f1]\n",
    "convolutions": "model: {name: convnet, filters: [4], convs: 1, hidden: [8]}\n"
    "optimizer: {name: momentum, learning_rate: 0.05}\n",
    "lbfgs": "model: {name: mlp, hidden: [8]}\noptimizer: lbfgs\n",
    "resnet": "model: {name: resnet, depth: 8, width: 4, survival: 0.8}\naverage: {name: ema, decay: 0.9}\n"
    "optimizer: {name: momentum, learning_rate: 0.05}\naugment: [{name: translate, pixels: 1}]\n",
    "parts": "model: {name: mlp, hidden: [64], dropout: 0.3}\n"
    "optimizer: {name: adam, learning_rate: 1e-3}\naverage: {name: ema, decay: 0.9}\n",
    "transformer": "model: {name: vit, patch: 2, width: 32, blocks: 1, dropout: 0.1}\n"
    "optimizer: {name: adam, learning_rate: 1e-3}\naverage: {name: ema, decay: 0.9}\n",
    "large": "model: {name: vit, patch: 2, width: 64, blocks: 2, dropout: 0.1}\n"
    "optimizer: {name: adam, learning_rate: 1e-3}\naverage: {name: ema, decay: 0.9}\n",
    "muon": "model: {name: mlp, hidden: [64], norm: batch}\noptimizer: {name: muon, learning_rate: 0.01}\n",
    "newton_cg": "model: {name: mlp, hidden: [64]}\noptimizer: {name: newton_cg, allow_noise: true}\n",
    "sam": "model: {name: mlp, hidden: [8], norm: batch}\n"
    "optimizer: {name: sam, inner: {name: sgd, learning_rate: 0.1}}\n",
    "weighted": "model: {name: mlp, hidden: [64], norm: batch}\nloss: squared_error\nmetrics: [r2, mae]\n"
    "optimizer: {name: adam, learning_rate: 1e-2}\n",
    "labels": "model: {name: mlp, hidden: [64]}\nloss: binary_cross_entropy\nmetrics: [f1]\n"
    "optimizer: {name: adam, learning_rate: 1e-2}\n",
    "user": "model: {name: 'net:noisy_net'}\noptimizer: {name: nesterov, learning_rate: 0.05}\n"
    "augment: ['net:darker']\npenalty: {name: l2, strength: 1e-3}\n",
    "remat": "model: {name: residual_mlp, width: 64, blocks: 2, inner: 64, dropout: 0.2, survival: 0.7}\n"
    "optimizer: {name: nesterov, learning_rate: 0.05}\n",
}
TABLE = "data: {name: csv, path: rows.csv, batch_size: 48, %s}\n"
DATA = {
    "lbfgs": BATCHES.replace("48", "full").replace("300", "297"),
    "weighted": TABLE % "target: y, weights: w, exclude: [a, b]",
    "labels": TABLE % "target: [a, b], exclude: [y, w]",
}
USER = """
import jax
from nnrun.layer import serial
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.types import Augmentation, Layer


def noisy(deviation: float = 0.1) -> Layer:
    def init(key, x_shape):
        return {}, {}, x_shape

    def apply(params, stats, x, key, weight):
        return x if key is None else x + deviation * jax.random.normal(key, x.shape, x.dtype), stats

    return Layer(init, apply)


def noisy_net(outputs: int) -> Layer:
    return serial([("flatten", flatten()), ("first", dense(64)), ("noisy", noisy()), ("last", dense(outputs))])


def darker(most: float = 0.2) -> Augmentation:
    def augment(key, batch):
        scale = 1 - most * jax.random.uniform(key, (len(batch.x),) + (1,) * (batch.x.ndim - 1), batch.x.dtype)
        return batch._replace(x=scale * batch.x)

    return augment
"""

IN_PARTS = ("parts", "transformer", "large", "muon", "newton_cg", "user", "remat")


def prepared(folder: Path, name: str, devices: int, precision: str = "float64") -> Any:
    (folder / "spec.yaml").write_text(TRAIN + DATA.get(name, BATCHES) + SPECS[name])
    (folder / "net.py").write_text(USER)
    write_table(folder / "rows.csv")
    sharing = [f"train.devices={devices}"] if devices > 1 else []
    in_parts = ["train.fsdp=true"] if devices > 1 and name in IN_PARTS else []
    blocks = ["train.remat=blocks"] if devices > 1 and name == "remat" else []
    overrides = [*sharing, *in_parts, *blocks, f"train.precision={precision}"]
    return session.prepare(folder / "spec.yaml", overrides).experiment


def write_table(file: Path) -> None:
    """Rows of eight numbers, with a target, two labels, and what each row weighs."""
    chance = np.random.default_rng(0)
    x = chance.normal(size=(400, 8))
    about = [x.sum(axis=1), x[:, 0] > 0, x[:, 1] > x[:, 2], chance.uniform(0, 3, len(x)).round(3)]
    lines = [
        f"{','.join(f'x{i}' for i in range(8))},y,a,b,w",
        *(",".join(f"{v:.6g}" for v in row) for row in np.column_stack([x, *about])),
    ]
    file.write_text("\n".join(lines) + "\n")


def trained(programs: Programs, arrays: Mapping[str, np.ndarray] | None, first: int, last: int) -> Any:
    """The arrays after these steps, what they logged, and the metrics at their end."""
    state = programs.initial() if arrays is None else programs.pack([{**arrays}])
    state, log = programs.advance(state, first, last - first)
    metrics = {**programs.evaluate(state, "val")[0], **programs.evaluate(state, "test")[0]}
    return programs.unpack(state)[0], programs.rows(log, last - first), metrics


def distance(one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray]) -> float:
    """The largest difference of arrays, against the largest value of each."""
    floats = [name for name, array in one.items() if array.dtype.kind == "f"]
    return max(
        float(np.abs(one[name] - two[name]).max() / max(np.abs(one[name]).max(), 1e-3)) for name in floats
    )


def leaves_of(programs: Programs) -> list[jax.Array]:
    """The arrays of a state after a step, where the loop keeps them."""
    state, _ = programs.advance(programs.initial(), 0, 1)
    return jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def bytes_held(programs: Programs) -> tuple[list[int], int]:
    """Bytes of the state that each device holds, and those of all of it."""
    leaves = leaves_of(programs)
    held = dict.fromkeys(leaves[0].sharding.device_set, 0)
    for leaf in leaves:
        for shard in leaf.addressable_shards:
            held[shard.device] += shard.data.nbytes
    return list(held.values()), sum(leaf.nbytes for leaf in leaves)


def bytes_exchanged(program: Any) -> dict[str, int]:
    """Bytes that devices send each other, by operation, in the program of one of them."""
    sizes: dict[str, int] = {}
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
    for shapes, operation in re.findall(rf"= (\([^)]*\)|\S+) ({kinds})(?:-start)?\(", program.as_text()):
        for kind, dimensions in re.findall(r"([a-z]+\d+)\[([\d,]*)\]", shapes):
            count = int(np.prod([int(size) for size in dimensions.split(",") if size] or [1]))
            sizes[operation] = sizes.get(operation, 0) + int(kind.strip("fsup")) // 8 * count
    return sizes


def compared(folder: Path, name: str, devices: int) -> dict[str, Any]:
    with session.precision("float64"):
        alone = compile_programs(prepared(folder, name, 1))
        several = compile_programs(prepared(folder, name, devices))
        one, two = trained(alone, None, 0, 6), trained(several, None, 0, 6)
        halfway = trained(several, None, 0, 3)[0]
        moved = trained(alone, halfway, 3, 6)[0]
        parameters = sum(array.nbytes for path, array in one[0].items() if path.startswith("params/"))
        held, whole = bytes_held(several)
        memory = several.chunk.compiled.memory_analysis()  # type: ignore[attr-defined]
        flops = [programs.chunk.compiled.cost_analysis()["flops"] for programs in (alone, several)]  # type: ignore[attr-defined]
        return {
            "devices": len(several.initial().step.sharding.device_set),
            "arrays": distance(one[0], two[0]),
            "moved": distance(one[0], moved),
            "log": float(np.abs(one[1] - two[1]).max()),
            "metrics": max(abs(one[2][metric] - two[2][metric]) for metric in one[2]),
            "sent": {
                operation: size / parameters
                for operation, size in bytes_exchanged(several.chunk.compiled).items()
            },
            "flops": flops[1] / flops[0],
            "held": max(held) / whole,
            "held_by_each": held,
            "leaves": [(leaf.shape, leaf.nbytes) for leaf in leaves_of(several)],
            "beside_the_state": (memory.argument_size_in_bytes - max(held)) / whole,
            "gathered": several.chunk.compiled.as_text().count(" all-gather"),  # type: ignore[attr-defined]
        }


def compared_in_float32(folder: Path, name: str, devices: int) -> dict[str, Any]:
    """The largest difference of a loss, of a step or of an evaluation, in parts of it."""
    losses = []
    for count in (1, devices):
        with session.precision("float32"):
            programs = compile_programs(prepared(folder, name, count, "float32"))
            arrays, rows, metrics = trained(programs, None, 0, 6)
        kinds = {array.dtype.name for array in arrays.values() if array.dtype.kind == "f"}
        assert kinds == {"float32"}, kinds
        logged = [rows[..., i].ravel() for i, column in enumerate(programs.names) if column.endswith("loss")]
        measured = [value for metric, value in metrics.items() if metric.endswith("loss")]
        losses.append(np.concatenate([*logged, measured]))
    alone, several = losses
    return {"losses": len(alone), "relative": float(np.abs(several / alone - 1).max())}


def sent_by_augmentations() -> dict[str, list[str]]:
    """Which exchanges each augmentation of the catalogue makes of a batch of images that eight devices share."""
    place = NamedSharding(Mesh(np.array(jax.devices()), ("batch",)), PartitionSpec("batch"))
    arrays = jnp.zeros((16, 8, 8, 1)), jnp.zeros(16, jnp.int32), jnp.ones(16), jnp.zeros(16, jnp.int32)
    exchanges = {}
    for name in catalog.names("augment"):
        augment = catalog.find("augment", name)()

        def images(key: Any, x: Any, y: Any, weight: Any, turn: Any, augment: Any = augment) -> Any:
            return augment(key, Batch(x, y, weight, turn=turn)).x

        jitted = jax.jit(images, in_shardings=(None, *[place] * 4), out_shardings=place)
        exchanges[name] = list(bytes_exchanged(jitted.lower(jax.random.key(0), *arrays).compile()))
    return exchanges


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    place, *asked = sys.argv[1:]
    results: dict[str, Any] = {"augmentations": sent_by_augmentations()}
    for argument in asked:
        spec, _, count = argument.partition("=")
        kind, _, name = spec.rpartition("/")
        compare = compared_in_float32 if kind == "float32" else compared
        results[spec] = compare(Path(place), name, int(count))
    print(json.dumps(results))
