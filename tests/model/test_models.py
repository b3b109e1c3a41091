"""Architectures against what they are on paper: counts, names, order of layers, and messages for misuse."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from nnrun.layer._residual import StochasticDepth
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout
from nnrun.layer.flatten import flatten
from nnrun.layer.max_pool import max_pool
from nnrun.layer.tanh import tanh
from nnrun.model._conv import Pooling
from nnrun.model._weights import BATCH_NORM, NO_NORM, DropConnect, Norm
from nnrun.model.convnet import convnet
from nnrun.model.fmp_net import BY_ROOT_2, fmp_net, sides
from nnrun.model.lenet import lenet
from nnrun.model.linear import linear
from nnrun.model.mlp import mlp
from nnrun.model.residual_mlp import residual_mlp
from nnrun.model.resnet import resnet
from nnrun.model.sequential import sequential
from nnrun.model.vgg import vgg
from nnrun.model.vit import vit
from nnrun.model.wide_resnet import wide_resnet

KEY = jax.random.key(0)
HALF = DropConnect(0.5)
GAUSSIAN = DropConnect(0.5, inference="gaussian")
IMAGE = (28, 28, 1)


def shapes(model, x_shape=IMAGE):
    """{path: shape} of the parameters."""
    params = jax.eval_shape(lambda: model.init(KEY, x_shape)[0])
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves}


def count(model, x_shape=IMAGE):
    return sum(int(np.prod(shape)) for shape in shapes(model, x_shape).values())


@pytest.mark.parametrize(("model", "x_shape", "parameters"), [
    (linear(10), IMAGE, 784 * 10 + 10),
    (linear(1), (10,), 11),
    (mlp(10, [512, 512]), IMAGE, 669_706),
    (mlp(10, [512, 512], dropout=0.5, input_dropout=0.2), IMAGE, 669_706),
    # no bias in the hidden layers, a scale and a bias of batch norm instead
    (mlp(10, [512, 512], norm=BATCH_NORM), IMAGE, 669_706 + 2 * 512),
    # 5·5·6 + 6, 5·5·6·16 + 16, 7·7·16·120 + 120, 120·84 + 84, 84·10 + 10
    (lenet(10), IMAGE, 156 + 2_416 + 94_200 + 10_164 + 850),
    (lenet(10, norm=BATCH_NORM), IMAGE, 107_786 + 6 + 16 + 120 + 84),
    # sides 32 -> 16 -> 8, three channels
    (lenet(10, filters=[4, 8], kernel=3, hidden=[10]), (32, 32, 3), 112 + 296 + 5_130 + 110),
    (sequential(3, [flatten(), dense(4), tanh()]), (2, 3, 1), 6 * 4 + 4 + 4 * 3 + 3),
])  # fmt: skip
def test_number_of_parameters(model, x_shape, parameters):
    assert count(model, x_shape) == parameters


def test_names_of_parameters():
    assert shapes(mlp(10, [30, 20])) == {
        "hidden_1/kernel": (784, 30), "hidden_1/bias": (30,),
        "hidden_2/kernel": (30, 20), "hidden_2/bias": (20,),
        "output/kernel": (20, 10), "output/bias": (10,),
    }  # fmt: skip
    assert shapes(lenet(10, filters=[2], hidden=[5], norm=BATCH_NORM)) == {
        "conv_1/kernel": (5, 5, 1, 2), "conv_norm_1/scale": (2,), "conv_norm_1/bias": (2,),
        "dense/hidden_1/kernel": (392, 5), "dense/norm_1/scale": (5,), "dense/norm_1/bias": (5,),
        "dense/output/kernel": (5, 10), "dense/output/bias": (10,),
    }  # fmt: skip
    assert shapes(sequential(2, [flatten(), dense(3)]), (4,)) == {
        "layer_2/kernel": (4, 3), "layer_2/bias": (3,), "output/kernel": (3, 2), "output/bias": (2,),
    }  # fmt: skip


def test_statistics_have_the_names_of_their_layers():
    stats = jax.eval_shape(lambda: mlp(10, [3, 4], norm=BATCH_NORM).init(KEY, (5,))[1])
    assert jax.tree.map(jnp.shape, stats) == {
        "norm_1": {"mean": (3,), "var": (3,)},
        "norm_2": {"mean": (4,), "var": (4,)},
    }
    assert jax.eval_shape(lambda: mlp(10, [3]).init(KEY, (5,))[1]) == {}


def test_mlp_on_paper():
    model = mlp(2, [3], activation="tanh")
    rng = np.random.default_rng(1)
    shape_of = jax.eval_shape(lambda: model.init(KEY, (2, 2, 1))[0])
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shape_of)
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 1)).astype(np.float32)
    hidden = np.tanh(x.reshape(4, 4) @ params["hidden_1"]["kernel"] + params["hidden_1"]["bias"])
    wanted = hidden @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(model.apply(params, {}, jnp.asarray(x), None, None)[0], wanted, rtol=1e-5)


def test_linear_starts_at_zero():
    params, _, _ = linear(3).init(KEY, (4,))
    assert not any(leaf.any() for leaf in jax.tree.leaves(params))


def test_layers_draw_weights_and_noise_of_their_own():
    model = mlp(8, [8, 8], dropout=0.5)
    params = jax.jit(lambda: model.init(KEY, (8,))[0])()
    kernels = [np.ravel(params[name]["kernel"]) for name in ("hidden_1", "hidden_2", "output")]
    assert np.abs(np.corrcoef(kernels)[np.triu_indices(3, 1)]).max() < 0.6  # 64 weights: 5 deviations
    wide = sequential(1, [dropout(0.5), dropout(0.5)])
    identity = {"output": {"kernel": jnp.eye(600), "bias": jnp.zeros(600)}}
    both = jax.jit(lambda: wide.apply(identity, {}, jnp.ones((1, 600)), KEY, None)[0])()
    assert 0.2 < np.mean(np.asarray(both) != 0) < 0.3  # a quarter; a half if they shared their noise


def test_a_layer_added_behind_does_not_change_the_weights_before():
    short, long = mlp(10, [6]), mlp(10, [6, 5])
    first, second = jax.jit(
        lambda: [model.init(KEY, (4,))[0]["hidden_1"]["kernel"] for model in (short, long)]
    )()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("model", "x_shape", "says"), [
    (sequential(2, [dense(3)]), IMAGE, "dense needs a vector per example, got shape (28, 28, 1)"),
    (sequential(2, [conv(3)]), IMAGE, "dense needs a vector per example, got shape (28, 28, 3)"),
    (sequential(2, [flatten(), conv(3)]), IMAGE, "conv needs images (h, w, c), got shape (784,)"),
    (sequential(2, [flatten(), max_pool()]), IMAGE, "max_pool needs images (h, w, c), got shape (784,)"),
    *[
        (net(10), (30,), "it takes images (h, w, c) only; write model: {name: mlp, hidden: [128]}")
        for net in (lenet, convnet, vgg, resnet, wide_resnet, fmp_net, vit)
    ],
    (
        lenet(10, filters=[1] * 5), IMAGE,
        "max_pool of size 2 does not fit into images of shape (1, 1, 1); pool less often before it",
    ),
    (vit(10, patch=5), (32, 32, 3), "images of shape (32, 32, 3) cannot be cut into patches of 5 × 5; write patch: 4"),
    (vit(10, width=30, heads=4), (32, 32, 3), "width 30 cannot be divided among 4 heads; write a multiple of 4"),
    (
        fmp_net(10, blocks=5), (32, 32, 3),
        "5 blocks take images up to 25 × 25, got (32, 32, 3); write blocks: 6, or a larger ratio",
    ),
    (convnet(10, norm=Norm("group", 5)), IMAGE, "groups: 5 does not divide 32 channels; write 4"),
])  # fmt: skip
def test_misuse_is_told_in_one_line(model, x_shape, says):
    with pytest.raises(ValueError) as caught:
        model.init(KEY, x_shape)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


CIFAR = (32, 32, 3)


@pytest.mark.parametrize(
    ("depth", "papers"),
    [
        (20, 0.27),
        *(pytest.param(*size, marks=pytest.mark.slow) for size in [(32, 0.46), (44, 0.66), (110, 1.7)]),
        pytest.param(56, 0.85, marks=pytest.mark.slow),
    ],
)
def test_resnets_have_the_papers_sizes(depth, papers):
    """He et al. 2016, table 6, in millions."""
    for preactivation in (False, True):
        found = count(resnet(10, depth, preactivation=preactivation), CIFAR) / 1e6
        assert round(found, 2 if papers < 1 else 1) == papers


def test_resnet_20_by_hand():
    """Convolutions 3·3·in·out without bias, two numbers of batch norm for each channel, one dense layer."""
    convs = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert count(resnet(10), CIFAR) == convs + norms + 64 * 10 + 10
    assert count(resnet(10, shortcut="project"), CIFAR) == count(resnet(10), CIFAR) + 16 * 32 + 32 * 64


def test_resnet_without_norms_has_biases_instead():
    """One number for each channel of a convolution where batch norm has two; other norms have as many as it has."""
    one_each = 7 * 16 + 6 * 32 + 6 * 64
    assert count(resnet(10, norm=NO_NORM), CIFAR) == count(resnet(10), CIFAR) - one_each
    for norm in ("group", "layer"):
        assert shapes(resnet(10, norm=Norm(norm)), CIFAR) == shapes(resnet(10), CIFAR)
        assert jax.eval_shape(lambda norm=norm: resnet(10, 8, norm=Norm(norm)).init(KEY, CIFAR)[1]) == {}
    assert shapes(convnet(10, norm=Norm("group")), CIFAR) == shapes(convnet(10), CIFAR)


def test_a_group_norm_is_that_of_torch_inside_a_net(torch_says):
    """conv → group norm → relu → 2 × 2 max pooling → dense, with the same numbers in torch."""
    model = convnet(3, [4], 1, 3, [], norm=Norm("group", 2))
    rng = np.random.default_rng(3)
    shape_of = jax.eval_shape(lambda: model.init(KEY, (6, 6, 2))[0])
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shape_of)
    x = rng.normal(size=(2, 6, 6, 2)).astype(np.float32)

    def theirs(torch):
        stage, tensor = params["stage_1"], torch.from_numpy
        kernel = tensor(stage["conv_1"]["kernel"].transpose(3, 2, 0, 1).copy())
        y = torch.nn.functional.conv2d(tensor(x.transpose(0, 3, 1, 2).copy()), kernel, padding=1)
        norm = tensor(stage["norm_1"]["scale"]), tensor(stage["norm_1"]["bias"])
        y = torch.nn.functional.max_pool2d(torch.relu(torch.nn.functional.group_norm(y, 2, *norm)), 2)
        y = y.permute(0, 2, 3, 1).reshape(2, -1).numpy()
        return y @ params["output"]["kernel"] + params["output"]["bias"]

    torch_says(theirs, model.apply(params, {}, jnp.asarray(x), None, None)[0], 1e-4)


def test_fractional_pooling_halves_as_max_pooling_does():
    for side in (8, 14, 28, 32, 36):
        plain = shapes(convnet(10, [4], 1, 3, [5]), (side, side, 1))
        for sequence, overlapping in itertools.product(("random", "pseudorandom"), (True, False)):
            pooling = Pooling("fractional", sequence, overlapping)
            assert shapes(convnet(10, [4], 1, 3, [5], pooling=pooling), (side, side, 1)) == plain


WIDE = [
    (40, 1, 0.6),
    (40, 2, 2.2),
    (40, 4, 8.9),
    (16, 8, 11.0),
    (22, 8, 17.2),
    (28, 10, 36.5),
    (28, 12, 52.5),
]


@pytest.mark.quick(3)
@pytest.mark.parametrize(("depth", "widen", "papers"), WIDE)
def test_wide_resnets_have_the_papers_sizes(depth, widen, papers):
    """Zagoruyko & Komodakis 2016, table 4."""
    assert round(count(wide_resnet(10, depth, widen), CIFAR) / 1e6, 1) == papers


@pytest.mark.parametrize(("depth", "papers"), [(11, 133), (13, 133), (16, 138), (19, 144)])
def test_vgg_nets_have_the_papers_sizes(depth, papers):
    """Simonyan & Zisserman 2015, table 2."""
    found = count(vgg(1000, depth, hidden=[4096, 4096], norm=NO_NORM), (224, 224, 3))
    assert round(found / 1e6) == papers


def test_vgg_16_by_hand():
    sides = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convs = sum(9 * a * b + b for a, b in itertools.pairwise(sides))
    dense_layers = 7 * 7 * 512 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    found = count(vgg(1000, 16, hidden=[4096, 4096], norm=NO_NORM), (224, 224, 3))
    assert found == convs + dense_layers == 138_357_544


@pytest.mark.parametrize(
    ("width", "heads", "known"), [(192, 3, 5_717_416), (384, 6, 22_050_664), (768, 12, 86_567_656)]
)
def test_vision_transformers_have_the_known_sizes(width, heads, known):
    """Ti/16, S/16 and B/16 in other libraries, less the bias of each block's keys, which has no effect."""
    assert count(vit(1000, 16, width, 12, heads), (224, 224, 3)) == known - 12 * width


def test_the_sizes_of_fractional_nets_are_the_papers():
    """Graham 2014: (nC2 - FMP√2)_6 takes 36 × 36, (nC2 - FMP∛2)_12 takes 94 × 94; each pooling shrinks by the ratio."""
    for blocks, ratio, side in ((6, 2**0.5, 36), (12, 2 ** (1 / 3), 94)):
        found = sides(blocks, ratio)
        assert found[0][0] == side
        assert found[-1][2] == 2
        for (_, before, after), (following, _, _) in zip(found, [*found[1:], (2, 0, 0)], strict=True):
            assert abs(before / after - ratio) <= 0.5 / after + 1e-9
            assert after == following
    # 2·2·c_in·c_out + c_out for blocks 1 to 7 with 32 l channels, a 1 × 1 convolution with 256, the outputs
    widths = [1, *(32 * block for block in range(1, 8))]
    convs = sum(4 * a * b + b for a, b in itertools.pairwise(widths))
    assert count(fmp_net(10), (28, 28, 1)) == convs + 224 * 256 + 256 + 2570


@pytest.mark.parametrize("make", [
    pytest.param(lambda draws: fmp_net(4, 3, 3, BY_ROOT_2._replace(test_poolings=draws)), marks=pytest.mark.slow),
    lambda draws: convnet(4, [3], 1, 3, [5], norm=NO_NORM, pooling=Pooling("fractional", test_poolings=draws)),
])  # fmt: skip
def test_averaging_poolings_averages_probabilities(make):
    """Twelve draws: the mean of the softmax of twelve nets, each with fixed regions of its own."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 9, 9, 1)), jnp.float32)
    net = {draws: make(draws) for draws in (1, 2, 12)}
    params, stats, _ = net[1].init(KEY, (9, 9, 1))
    p = {draws: np.exp(jax.jit(model.apply)(params, stats, x, None, None)[0]) for draws, model in net.items()}
    p[1] /= p[1].sum(1, keepdims=True)
    for draws in (2, 12):
        np.testing.assert_allclose(p[draws].sum(1), 1, rtol=1e-5)
    second = 2 * p[2] - p[1]
    np.testing.assert_allclose(second.sum(1), 1, rtol=1e-4)
    assert (second > 0).all()
    assert np.abs(second - p[1]).max() > 1e-4
    assert np.abs(p[12] - p[2]).max() > 1e-4


def test_depth_and_shapes_that_do_not_fit_are_refused():
    for build, message in (
        (lambda: resnet(10, 21), r"depth 21 is not 6n \+ 2; write 20"),
        (lambda: wide_resnet(10, 20), r"depth 20 is not 6n \+ 4; write 22"),
        (
            lambda: convnet(10, pooling=Pooling("max", test_poolings=3)),
            "are fractional pooling's; write pooling: {name: frac",
        ),
        (
            lambda: vgg(10, pooling=Pooling("max", overlapping=False)),
            "are fractional pooling's; write pooling: {name: frac",
        ),
        (lambda: convnet(10, hidden=[], dropconnect=HALF), "nothing to drop"),
        (lambda: convnet(10, hidden=[8], norm=Norm("group")), "8 groups of 8 units leave 0 of each"),
        (lambda: fmp_net(10, 32, 6, norm=Norm("group", 256)), "256 groups of 256 units leave 0 of each"),
        (lambda: residual_mlp(10, 8, norm=Norm("group")), "8 groups of 8 units leave 0 of each"),
        (
            lambda: resnet(10, norm=Norm("batch", 4)),
            "groups are group norm's; write norm: group, or norm: batch alone",
        ),
        (
            lambda: vit(10, dropconnect=DropConnect(0.0, inference="gaussian")),
            "write dropconnect: {rate: 0.5",
        ),
        (lambda: fmp_net(10, norm=BATCH_NORM, dropconnect=GAUSSIAN), "a norm there is"),
        (lambda: mlp(10, [5], norm=BATCH_NORM, dropconnect=GAUSSIAN), "inference: mean, or norm: none"),
    ):
        with pytest.raises(ValueError, match=message):
            build()


def test_every_block_has_the_survival_of_the_linear_rule():
    """What the outputs without noise are made of: each branch is scaled by its own probability."""
    plain, deep = (residual_mlp(3, 4, 3, 5, norm=NO_NORM, survival=StochasticDepth(p)) for p in (None, 0.4))
    params, stats, _ = plain.init(KEY, (6,))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6)), jnp.float32)
    scaled = {name: dict(tree) for name, tree in params.items()}
    for block, chance in ((1, 0.8), (2, 0.6), (3, 0.4)):
        branch = params[f"block_{block}"]["branch"]
        last = jax.tree.map(lambda a, chance=chance: a * chance, branch["dense_2"])
        scaled[f"block_{block}"] = {"branch": {**branch, "dense_2": last}}
    wanted = plain.apply(scaled, stats, x, None, None)[0]
    np.testing.assert_allclose(deep.apply(params, stats, x, None, None)[0], wanted, rtol=1e-4, atol=1e-5)


def test_skipped_layers_have_the_same_names_in_every_form():
    """A checkpoint of a net with stochastic depth or DropConnect is one of the plain net."""
    assert shapes(resnet(10, 8)) == shapes(resnet(10, 8, survival=StochasticDepth(0.5), dropout=0.3))
    assert shapes(mlp(10, [5])) == shapes(mlp(10, [5], dropconnect=HALF, dropout=0.2))
    for net in (
        convnet,
        vgg,
        lambda outputs, **o: resnet(outputs, 8, **o),
        wide_resnet,
        fmp_net,
        residual_mlp,
        vit,
    ):
        assert shapes(net(10)) == shapes(net(10, dropconnect=HALF))


def test_gaussian_inference_of_a_residual_block_by_hand():
    """E relu(u) = μ Φ(μ/σ) + σ φ(μ/σ) for u ~ N(μ, σ²), inside x + dense(relu(u))."""
    rate = 0.25  # of 65536 a whole number, so the exact rate
    drop = DropConnect(rate, inference="gaussian", samples=4000)
    model = residual_mlp(3, 4, 1, 6, norm=NO_NORM, dropconnect=drop)
    rng = np.random.default_rng(5)
    shape_of = jax.eval_shape(lambda: model.init(KEY, (5,))[0])
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shape_of)
    x = rng.normal(size=(2, 5)).astype(np.float32)

    def dense_of(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    block = params["block_1"]["branch"]
    h = dense_of(params["input"], x)
    mean = dense_of(block["dense_1"], h)
    deviation = np.sqrt(rate / (1 - rate) * dense_of({k: v**2 for k, v in block["dense_1"].items()}, h**2))
    bent = mean * scipy.stats.norm.cdf(mean / deviation) + deviation * scipy.stats.norm.pdf(mean / deviation)
    wanted = dense_of(params["output"], np.maximum(h + dense_of(block["dense_2"], bent), 0))
    found = model.apply(params, {}, jnp.asarray(x), None, None)[0]
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3)


def test_a_fractional_net_of_one_block_drops_behind_it():
    """Biases start at 0, so where nearly everything is dropped nothing is put out; without noise all is there."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 1)), jnp.float32)
    plain, dropped = fmp_net(3, 2, 1), fmp_net(3, 2, 1, dropout_last=0.99999)
    params, stats, _ = plain.init(KEY, (4, 4, 1))

    def outputs(key):
        return [net.apply(params, stats, x, key, None)[0] for net in (plain, dropped)]

    full, none = outputs(KEY)
    assert np.abs(full).max() > 0
    np.testing.assert_array_equal(none, 0)
    np.testing.assert_array_equal(*outputs(None))


def test_a_vision_transformer_with_swiglu_has_as_many_weights():
    """3 · (8w/3) · w in place of 2 · 4w · w, and 16w/3 + w biases in place of 5w."""
    plain, gated = vit(10, 2, 24, 3, 2), vit(10, 2, 24, 3, 2, feed_forward="swiglu")
    assert count(gated, (4, 4, 3)) - count(plain, (4, 4, 3)) == 3 * (16 * 24 // 3 + 24 - 5 * 24)
    with pytest.raises(
        ValueError, match="dropconnect is for dense layers, and feed_forward: swiglu has none"
    ):
        vit(10, feed_forward="swiglu", dropconnect=DropConnect(0.5))
