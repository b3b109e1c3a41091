"""What every model keeps to, as it is and with each of its switches on.  Fed by the folder."""

from __future__ import annotations

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.spec import record

pytestmark = pytest.mark.usefixtures("float64")

NAMES = catalog.names("model")
SHAPES = [(12, 10, 1), (7,)]
SMALL: dict[
    str, dict[str, Any]
] = {  # where a model of the default size takes long; else the defaults are tested
    "mlp": {"hidden": [8, 6]},  # even, for two groups
    "convnet": {"filters": [4, 6], "convs": 1, "hidden": [6]},
    "vgg": {"width": 4, "hidden": [16]},
    "resnet": {"depth": 8, "width": 4},
    "wide_resnet": {"depth": 10, "widen": 1},
    "fmp_net": {"filters": 2, "blocks": 4},
    "residual_mlp": {"width": 6, "blocks": 2, "inner": 16},
    "vit": {"patch": 2, "width": 8, "blocks": 2, "heads": 2},
}
ALIKE = (
    "vgg",
    "wide_resnet",
    "fmp_net",
)  # built of the same parts as convnet and resnet, and slow to compile
OUTPUTS = 4
KEY = jax.random.key(1)
RATE = 0.3
FORMS: list[dict[str, Any]] = [  # of norms, poolings and DropConnect; of each what the model has
    {
        "norm": {"name": "group", "groups": 2},
        "pooling": {"name": "fractional", "test_poolings": 3},
        "dropconnect": {"rate": RATE, "mask": "example"},
    },
    {
        "norm": "layer",
        "pooling": {"name": "fractional", "sequence": "random", "overlapping": False, "test_poolings": 2},
    },
    {"norm": "batch"},
    {"pooling": {"ratio": 1.4, "sequence": "random", "overlapping": False, "test_poolings": 2}},
    {"norm": "none", "dropconnect": {"rate": RATE, "inference": "gaussian", "samples": 5}},
]


def floats(name: str) -> list[str]:
    """The float options and the records of which a float is the short form, such as dropout and dropconnect."""
    function = catalog.find("model", name)
    hints = bound.hints(function)
    return [
        option
        for option in inspect.signature(function).parameters
        if bound._is_knob(short(hints[option]), RATE)
    ]


def short(hint: Any) -> Any:
    """The type of an option, or of a record's first field."""
    kind = record.record_of(hint)
    return hint if kind is None else next(iter(record.types_of(kind).values()))


def takes(hint: Any, value: Any) -> bool:
    """Whether an option takes a value: of a record, whether it has these fields."""
    kind = record.record_of(hint)
    return kind is not None and (not isinstance(value, dict) or set(value) <= set(kind._fields))


def forms(name: str) -> list[dict[str, Any]]:
    """Those of FORMS that this model has."""
    hints = bound.hints(catalog.find("model", name))
    found = [
        {option: value for option, value in form.items() if takes(hints.get(option), value)} for form in FORMS
    ]
    return [form for i, form in enumerate(found) if form and form not in found[:i]]


def switches(name: str) -> list[dict[str, Any]]:
    """The defaults; every bool turned; the floats set, those that skip whole blocks apart from the others; forms."""
    options = inspect.signature(catalog.find("model", name)).parameters
    turned = [{option: not one.default} for option, one in options.items() if isinstance(one.default, bool)]
    rates = dict.fromkeys(floats(name), RATE)
    survival = {option: rates.pop(option) for option in ("survival",) if option in rates}
    return [{}, *turned, *([rates] if rates else []), *([survival] if survival else []), *forms(name)]


def case(name: str, *options: dict[str, Any], slow: bool):
    """A model, with options or without, as a case of a test, `slow` or not."""
    marks = [pytest.mark.slow] if slow else []
    texts = [str(value) for on in options for value in on.values()]
    return pytest.param(name, *options, id="-".join([name, *texts]), marks=marks)


@pytest.fixture
def build(make):
    """build(name, **options): the model, small."""
    return lambda name, **options: make("model", name, outputs=OUTPUTS, **{**SMALL.get(name, {}), **options})


def inputs(model) -> list[jax.Array]:
    """Three examples of each of SHAPES that the model accepts."""
    found = []
    for shape in SHAPES:
        try:
            jax.eval_shape(lambda shape=shape: model.init(KEY, shape)[:2])
        except ValueError:
            continue
        found.append(jnp.asarray(np.random.default_rng(0).normal(size=(3, *shape))))
    assert found, f"the model accepts none of the shapes {SHAPES}"
    return found


def start(model, x) -> tuple[Any, Any]:
    """params and stats of the shapes that init gives, drawn by numpy: no program to compile."""
    params, stats = jax.eval_shape(lambda: model.init(KEY, x.shape[1:])[:2])
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda a: jnp.asarray(0.5 * rng.normal(size=a.shape), a.dtype), params)
    return params, jax.tree.map(lambda a: jnp.asarray(rng.random(a.shape) + 0.5, a.dtype), stats)


def test_init_says_the_shape_that_apply_gives(build):
    for name in NAMES:
        model = build(name)
        for x in inputs(model):
            said = []
            params, stats = jax.eval_shape(lambda x=x, m=model, s=said: _noted(m.init(KEY, x.shape[1:]), s))
            y, _ = jax.eval_shape(model.apply, params, stats, x, KEY, None)
            assert said == [(OUTPUTS,)]
            assert y.shape == (3, OUTPUTS)


def _noted(result: tuple, said: list) -> tuple:
    """The arrays of init's result; its shape, which is no array, goes to `said`."""
    said.append(result[2])
    return result[:2]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        case(name, on, slow=(name in (*ALIKE, "resnet", "vit") and i > 0) or "random" in str(on))
        for name in NAMES
        for i, on in enumerate(switches(name))
    ],
)
def test_every_parameter_is_trained(build, name, options):
    """Shapes are right, and no gradient vanishes, as that of a bias before batch norm would."""
    model = build(name, **options)
    for x in inputs(model)[-1 if options else 0 :]:  # switches on vectors alone, where they are accepted
        params, stats = start(model, x)

        def total(params, x=x, stats=stats):
            y, new = model.apply(params, stats, x, KEY, jnp.ones(3))
            return jnp.sin(y + jnp.arange(OUTPUTS, dtype=y.dtype)[None]).sum(), (y, new)

        (_, (y, new)), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
        assert (y.shape, y.dtype) == ((3, OUTPUTS), "float64")
        assert jax.tree.structure(new) == jax.tree.structure(stats)
        for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
            assert np.isfinite(gradient).all()
            skipped = "survival" in options and "branch" in jax.tree_util.keystr(path)
            assert skipped or np.abs(gradient).max() > 1e-9, jax.tree_util.keystr(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        case(name, on, slow=name in (*ALIKE, "resnet", "vit") and i > 0)
        for name in NAMES
        for i, on in enumerate([dict.fromkeys(floats(name), RATE), *forms(name)])
    ],
)
def test_an_evaluation_has_no_noise_and_examples_do_not_see_each_other(build, name, options):
    model = build(name, **options)
    x = inputs(model)[0]

    params, stats = start(model, x)
    apply = jax.jit(model.apply)
    y, among_others = (apply(params, stats, part, None, None)[0] for part in (x, x.at[1:].multiply(-3.0)))
    np.testing.assert_allclose(among_others[0], y[0], rtol=1e-12, atol=1e-12)
    assert np.abs(among_others[1:] - y[1:]).min() > 1e-6


@pytest.mark.parametrize(
    "name", [case(name, slow=name not in ("mlp", "convnet")) for name in NAMES if floats(name)]
)
def test_traced_rates_are_the_static_ones(build, name):
    rates, plain = dict.fromkeys(floats(name), RATE), build(name)
    x = inputs(plain)[-1]  # vectors where they are accepted: small programs
    params, stats = start(plain, x)

    def run(rates):
        return build(name, **rates).apply(params, stats, x, KEY, jnp.ones(3))[0]

    np.testing.assert_allclose(jax.jit(run)(rates), jax.jit(lambda: run(rates))(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        case(n, slow=n not in ("mlp", "convnet"))
        for n in NAMES
        if "dropconnect" in catalog.parameters("model", n)
    ],
)
def test_a_mask_of_dropconnect_serves_the_batch_or_an_example(build, name):
    """Two equal examples have equal outputs under one mask, and different ones under their own."""
    nets = {mask: build(name, dropconnect={"rate": RATE, "mask": mask}) for mask in ("batch", "example")}
    x = inputs(nets["batch"])[-1][:1].repeat(2, 0)
    params, stats = start(nets["batch"], x)
    found = jax.jit(lambda: {mask: net.apply(params, stats, x, KEY, None)[0] for mask, net in nets.items()})()
    np.testing.assert_allclose(found["batch"][0], found["batch"][1], rtol=1e-12)
    assert np.abs(found["example"][0] - found["example"][1]).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("model", name).__doc__
    assert 0 < len(catalog.summary("model", name)) <= 90
    missing = [opt for opt in catalog.parameters("model", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
