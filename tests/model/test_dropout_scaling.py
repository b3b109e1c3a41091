"""The lecture's form of dropout in every model: the weights behind the dropped units times the keep probability."""

from __future__ import annotations

from fnmatch import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog

pytestmark = pytest.mark.usefixtures("float64")

RATE, KEEP = 0.25, 0.75  # of 65536 whole numbers, so the rate is met exactly
IMAGE = (12, 12, 1)
CASES = {  # options; which parameters what is dropped meets, and by what they have to be multiplied
    "mlp": (
        {"hidden": [5, 4], "dropout": RATE, "input_dropout": RATE},
        {"hidden_?/kernel": KEEP, "output/kernel": KEEP},
    ),
    "lenet": (
        {"filters": [2], "hidden": [5], "dropout": RATE},
        {"dense/output/kernel": KEEP},
    ),
    "convnet": (
        {
            "filters": [3, 4],
            "convs": 1,
            "hidden": [5],
            "dropout": RATE,
            "channel_dropout": 0.5,
            "input_dropout": RATE,
        },
        {
            "stage_1/conv_1/kernel": KEEP,
            "stage_2/conv_1/kernel": 0.5,
            "hidden_1/kernel": 0.5,
            "output/kernel": KEEP,
        },
    ),
    "vgg": (
        {"width": 2, "hidden": [5], "dropout": RATE, "input_dropout": RATE},
        {"stage_1/conv_1/kernel": KEEP, "output/kernel": KEEP},
    ),
    "resnet": ({"depth": 8, "width": 2, "dropout": RATE}, {"block_*/sum/branch/conv_2/kernel": KEEP}),
    "wide_resnet": ({"depth": 10, "widen": 1, "dropout": RATE}, {"block_*/sum/branch/conv_2/kernel": KEEP}),
    # From 0 behind the first block to the rate behind the last.
    "fmp_net": (
        {"filters": 2, "blocks": 3, "dropout_last": 0.5},
        {"conv_3/kernel": KEEP, "conv_4/kernel": 0.5},
    ),
    "residual_mlp": (
        {"width": 4, "blocks": 2, "inner": 5, "dropout": RATE, "input_dropout": RATE},
        {"input/kernel": KEEP, "block_?/branch/dense_2/kernel": KEEP},
    ),
    # Behind the sum of patch and position, and at the end of both halves of a block.
    "vit": (
        {"width": 4, "blocks": 1, "heads": 2, "dropout": RATE},
        {
            **{"patches/*": KEEP, "class/*": KEEP, "positions/*": KEEP},
            **{"*/attention/out/*": KEEP, "*/dense_2/*": KEEP},
        },
    ),
}


def path_of(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def test_every_model_with_dropout_has_both_forms():
    dropping = {
        name for name in catalog.names("model") if "dropout_scaling" in catalog.parameters("model", name)
    }
    rates = ("dropout", "dropout_last")
    assert dropping == set(CASES)
    assert dropping == {
        name for name in catalog.names("model") if {*rates} & set(catalog.parameters("model", name))
    }


@pytest.mark.quick("mlp", "convnet", "resnet")
@pytest.mark.parametrize("name", CASES)
def test_scaling_at_test_time_multiplies_the_weights_behind(make, name):
    options, factors = CASES[name]
    x_shape = (8, 8, 1) if name == "fmp_net" else IMAGE
    rates = {option for option in options if "drop" in option}
    plain = make("model", name, outputs=3, **{k: v for k, v in options.items() if k not in rates})
    inverted, original = (
        make("model", name, outputs=3, **options, dropout_scaling=scaling) for scaling in ("training", "test")
    )
    rng = np.random.default_rng(3)
    shapes = jax.eval_shape(lambda: plain.init(jax.random.key(0), x_shape)[:2])
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), shapes[0])
    stats = jax.tree.map(lambda a: jnp.asarray(rng.random(a.shape) + 0.5, a.dtype), shapes[1])
    x = jnp.asarray(rng.normal(size=(2, *x_shape)))
    used = set()

    def scaled(path, a):
        found = [pattern for pattern in factors if fnmatch(path_of(path), pattern)]
        used.update(found)
        return a * factors[found[0]] if found else a

    smaller = jax.tree_util.tree_map_with_path(scaled, params)
    assert used == set(factors)

    def outputs():
        return [
            net.apply(tree, stats, x, None, None)[0]
            for net, tree in ((plain, params), (inverted, params), (plain, smaller), (original, params))
        ]

    whole, same, wanted, found = jax.jit(outputs)()
    np.testing.assert_array_equal(same, whole)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
    assert np.abs(found - whole).max() > 1e-8  # little in vit, whose norms divide a common factor out
