"""Options that are records: both spellings, overrides, knobs, equality, messages, schema, listing."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nnrun import build, catalog
from nnrun.catalog import bound, listing
from nnrun.catalog.json_schema import json_schema
from nnrun.errors import SpecError
from nnrun.spec import docstring, yaml12
from nnrun.spec.record import record_of

SPEC = """\
data: {name: digits}
model: MODEL
optimizer: {name: adam}
train: {duration: 1 epoch}
"""
MOST_OPTIONS = 12
MINE = """
from typing import Literal, NamedTuple

from nnrun import options


class Noise(NamedTuple):
    \"\"\"Noise.

    deviation   of the normal distribution
    copy        how often
    \"\"\"

    deviation: options.Rate
    copy: options.Count = 2


class Stretch(NamedTuple):
    factors: list[float]
    kind: Literal["a", "b"] = "a"


def layer(noise: Noise | None = None, stretch: Stretch = Stretch([1.0, 2.0])):
    return ("layer", noise, stretch)

"""


def write(folder: Path, model: str, **modules: str) -> Path:
    for name, source in modules.items():
        (folder / f"{name}.py").write_text("from __future__ import annotations\n" + source)
    file = folder / "spec.yaml"
    file.write_text(SPEC.replace("MODEL", model))
    return file


def bind(folder: Path, model: str, *overrides: str) -> catalog.Spec:
    return catalog.bind(catalog.read(write(folder, model), overrides))


def wrong(folder: Path, model: str, *overrides: str) -> list[str]:
    """What is wrong, each problem without its place."""
    with pytest.raises(SpecError) as caught:
        bind(folder, model, *overrides)
    places = "|".join([r"\S+spec\.yaml:\d+:\d+", *(re.escape(f"argument {text}") for text in overrides)])
    return [re.sub(f"^(?:{places}): ", "", line) for line in caught.value.problems]


@pytest.mark.parametrize("written", ["0.5", "{rate: 0.5}", "{rate: 0.5, mask: batch, samples: 1000}"])
def test_every_spelling_of_a_record_is_the_same_setting(tmp_path, written):
    short, other = (
        bind(tmp_path, f"{{name: mlp, hidden: [4], dropconnect: {text}}}") for text in ("0.5", written)
    )
    assert short.model == other.model
    assert short.model.options["dropconnect"]._asdict() == {
        "rate": 0.5, "mask": "batch", "inference": "mean", "samples": 1000,
    }  # fmt: skip
    assert build.structure_of(short) == build.structure_of(other)
    assert bound.plain(short.model) == bound.plain(other.model)
    assert bound.knobs(other.model) == {"dropconnect": {"rate": 0.5}}


def test_a_resolved_spec_says_the_same_when_it_is_read_again(tmp_path):
    checked = bind(
        tmp_path, "{name: vgg, norm: {name: group, groups: 4}, pooling: fractional, dropconnect: 0.2}"
    )
    again = bind(
        tmp_path, yaml12.dump(bound.plain(checked.model)).strip().replace("\n", "\n  ").join(["\n  ", ""])
    )
    assert again.model == checked.model


def test_two_rates_are_lanes_of_one_program_and_a_rate_of_zero_is_none_of_them(tmp_path):
    low, high, off, other = (
        build.structure_of(bind(tmp_path, f"{{name: mlp, hidden: [4], dropconnect: {text}}}"))
        for text in ("0.1", "{rate: 0.7}", "0", "{rate: 0.1, mask: example}")
    )
    assert low == high
    assert off != low != other


def test_a_call_gets_records_with_the_knobs_in_them(tmp_path):
    checked = bind(tmp_path, "{name: mlp, hidden: [4], dropconnect: {rate: 0.1, mask: example}}")
    given: list[Any] = []
    block = checked.model._replace(
        kind="", function=lambda hidden, dropconnect, **_: given.append(dropconnect)
    )
    bound.invoke(block, {"dropconnect": {"rate": 0.9}}, None)  # type: ignore[arg-type]
    bound.invoke(block, {}, None)  # type: ignore[arg-type]
    assert [record[:2] for record in given] == [(0.9, "example"), (0.1, "example")]


@pytest.mark.parametrize(
    ("model", "overrides", "expected"),
    [
        ("dropconnect: 0.5", ["model.dropconnect.mask=example"], (0.5, "example")),
        ("dropconnect: 0.5", ["model.dropconnect.rate=0.3"], (0.3, "batch")),
        ("dropconnect: {rate: 0.5, mask: example}", ["model.dropconnect.rate=0.3"], (0.3, "example")),
        ("dropconnect: {rate: 0.5, mask: example}", ["model.dropconnect=0.3"], (0.3, "batch")),
        ("dropout: 0.5", ["model.dropconnect=0.2", "model.dropconnect.mask=example"], (0.2, "example")),
        ("dropout: 0.5", ["model.dropconnect.rate=0.2", "model.dropconnect.mask=example"], (0.2, "example")),
    ],
)
def test_an_override_sets_a_field_beside_the_short_form(tmp_path, model, overrides, expected):
    checked = bind(tmp_path, f"{{name: mlp, hidden: [4], {model}}}", *overrides)
    assert checked.model.options["dropconnect"][:2] == expected


@pytest.mark.parametrize(
    ("model", "override", "says"),
    [
        ("{name: mlp, hidden: [4]}", "model.dropconnect.mask=example",
         "model.dropconnect.rate: missing; add `rate: ...` (probability of dropping a weight, in [0, 1))"),
        ("{name: mlp, hidden: [4], dropout: 0.5}", "model.dropout.rate=0.3",
         "model.dropout: is 0.5, with no keys inside; write a shorter key"),
        ("{name: mlp, hidden: [4], dropconnect: 1.5}", "model.dropconnect.mask=example",
         "model.dropconnect.rate: got 1.5; write a value in [0, 1)"),
        ("{name: nonesuch, dropconnect: 0.5}", "model.dropconnect.mask=example",
         "model.dropconnect: is 0.5, with no keys inside; write a shorter key"),
        ("{name: mlp, hidden: [4]}", "train.seed.x=3", 'train.seed: got {"x": 3}; write a whole number'),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_is_refused(tmp_path, model, override, says):
    assert says in wrong(tmp_path, model, override)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("dropconnect: 1.5", ["model.dropconnect: got 1.5; write a value in [0, 1)"]),
        ("dropconnect: {rate: 1.5}", ["model.dropconnect.rate: got 1.5; write a value in [0, 1)"]),
        ("dropconnect: {rate: 0.5, msk: example}",
         ["model.dropconnect.msk: unknown key; did you mean mask?"]),
        ("dropconnect: {rate: '0.5', mask: 3, samples: 0}", [
            'model.dropconnect.rate: got "0.5"; write a number without quotes',
            "model.dropconnect.mask: got 3; write 'batch' or 'example'",
            "model.dropconnect.samples: got 0; write a value ≥ 1",
        ]),
        ("dropconnect: [0.5]", ["model.dropconnect: got [0.5]; write a number or "
         "{rate: ..., mask: ..., inference: ..., samples: ...}"]),
        ("dropconnect: null", ["model.dropconnect: got null; write a number or "
         "{rate: ..., mask: ..., inference: ..., samples: ...}"]),
        ("dropconnect: {}",
         ["model.dropconnect.rate: missing; add `rate: ...` (probability of dropping a weight, in [0, 1))"]),
        ("dropout: {rate: 0.5}", ['model.dropout: got {"rate": 0.5}; write a number']),
        ("norm: batchh", ["model.norm: got \"batchh\"; write 'batch', 'group', 'layer' or 'none'"]),
        ("norm: 3",
         ["model.norm: got 3; write 'batch', 'group', 'layer' or 'none' or {name: ..., groups: ...}"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record_is_told_with_its_place(tmp_path, options, says):
    assert wrong(tmp_path, f"{{name: mlp, hidden: [4], {options}}}") == says


@pytest.mark.parametrize(
    ("name", "option", "meant"),
    [
        ("mlp", "dropconnect_mask: example", "dropconnect: {rate: ..., mask: example}"),
        ("mlp", "dropconnect_rate: 0.3", "dropconnect: 0.3"),
        ("mlp", "dropconnect_samples: 10", "dropconnect: {rate: ..., samples: 10}"),
        ("mlp", "batch_norm: true", "norm: batch"),
        ("mlp", "batch_norm: false", "norm: batch, group, layer or none"),
        ("resnet", "groups: 4", "norm: {name: ..., groups: 4}"),
        ("resnet", "p_last: 0.8", "survival: 0.8"),
        ("resnet", "depth_rule: uniform", "survival: {p_last: ..., rule: uniform}"),
        ("vgg", "test_poolings: 3", "pooling: {name: ..., test_poolings: 3}"),
        ("vgg", "overlapping: false", "pooling: {name: ..., overlapping: false}"),
        ("fmp_net", "ratio: 1.26", "pooling: 1.26"),
        ("fmp_net", "sequence: random", "pooling: {ratio: ..., sequence: random}"),
        ("resnet", "depth_mask: example",
         "dropconnect: {rate: ..., mask: example} or survival: {p_last: ..., mask: example}"),
    ],
)  # fmt: skip
def test_a_key_that_means_a_field_is_led_to_its_record(tmp_path, name, option, meant):
    key = option.partition(":")[0]
    hidden = "hidden: [4], " if name == "mlp" else ""
    says = wrong(tmp_path, f"{{name: {name}, {hidden}{option}}}")
    assert says == [f"model.{key}: unknown key; did you mean {meant}?"]


def test_a_misspelt_key_is_still_led_to_its_option(tmp_path):
    assert wrong(tmp_path, "{name: mlp, hidden: [4], dropconect: 0.5}") == [
        "model.dropconect: unknown key; did you mean dropconnect?"
    ]


def test_records_of_ones_own(tmp_path):
    write(tmp_path, "", mine=MINE)
    model = "{name: sequential, layers: [flatten, {name: 'mine:layer', noise: 0.5}]}"
    widened = ["model.layers.1.noise.copy=3", "model.layers.1.stretch={factors: [1, 3], kind: b}"]
    layer = bind(tmp_path, model, *widened).model.options["layers"][1]
    assert layer.options["noise"] == (0.5, 3)
    assert layer.options["stretch"] == ([1.0, 3.0], "b")
    assert bound.knobs(layer) == {"noise": {"deviation": 0.5}}
    assert bind(tmp_path, "{name: sequential, layers: ['mine:layer']}").model.options["layers"][0].options == {
        "noise": None, "stretch": ([1.0, 2.0], "a"),
    }  # fmt: skip
    assert wrong(tmp_path, model, "model.layers.1.noise={deviation: -1}") == [
        "model.layers.1.noise.deviation: got -1; write a value ≥ 0.0"
    ]
    assert wrong(tmp_path, model, "model.layers.1.noise_copy=3") == [
        "model.layers.1.noise_copy: unknown key; did you mean noise: {deviation: ..., copy: 3}?"
    ]


def test_a_record_whose_short_form_is_a_list_keeps_the_numbers_of_its_entries(tmp_path):
    write(tmp_path, "", mine=MINE)
    model = "{name: sequential, layers: [{name: 'mine:layer', stretch: [1, 2]}]}"
    entry = bind(tmp_path, model, "model.layers.0.stretch.1=5").model.options["layers"][0]
    field = bind(tmp_path, model, "model.layers.0.stretch.kind=b").model.options["layers"][0]
    assert entry.options["stretch"] == ([1.0, 5.0], "a")
    assert field.options["stretch"] == ([1.0, 2.0], "b")


def test_a_record_of_ones_own_that_needs_more_than_values_is_refused(tmp_path):
    for number, hint in enumerate(("options.Steps", "options.FilePath", "options.Entry('layer')", "Inner")):
        source = (
            "from typing import NamedTuple\nfrom nnrun import options\n"
            "class Inner(NamedTuple):\n    x: int\n"
            f"class Outer(NamedTuple):\n    part: {hint}\n"
            "def net(outputs: int, outer: Outer): ...\n"
        )
        name = f"mine_{number}"
        write(tmp_path, "", **{name: source})
        [says] = wrong(tmp_path, f"{{name: '{name}:net', outer: 3}}")
        assert "Outer.part: a record holds numbers, text and lists of them" in says


@pytest.fixture(scope="module")
def accepts():
    validator = jsonschema.Draft202012Validator(json_schema())
    spec_data = {"data": "digits", "optimizer": "adam", "train": {"duration": "1 epoch"}}
    return lambda model: not list(validator.iter_errors(spec_data | {"model": model}))


@pytest.mark.parametrize(
    ("option", "value", "is_right"),
    [
        ("dropconnect", 0.5, True), ("dropconnect", {"rate": 0.5}, True), ("norm", "group", True),
        ("dropconnect", {"rate": 0.5, "mask": "example", "samples": 3}, True),
        ("norm", {"name": "group", "groups": 2}, True), ("dropconnect", 1, False), ("dropconnect", None, False),
        ("dropconnect", [0.5], False), ("dropconnect", {"mask": "example"}, False),
        ("dropconnect", {"rate": 2}, False), ("dropconnect", {"rate": 0.5, "x": 1}, False), ("norm", "x", False),
    ],
)  # fmt: skip
def test_the_json_schema_agrees(accepts, tmp_path, option, value, is_right):
    assert accepts({"name": "mlp", "hidden": [4], option: value}) == is_right
    model = json.dumps({"name": "mlp", "hidden": [4], option: value})
    if is_right:
        bind(tmp_path, model)
    else:
        wrong(tmp_path, model)


ENTRIES = [(kind, name) for kind in catalog.KINDS for name in catalog.names(kind)]
RECORDS = [
    (kind, name, option.name)
    for kind, name in ENTRIES
    for option in listing.options(kind, name)
    if option.fields
]


def test_the_source_text_knows_the_records():
    assert ("model", "mlp", "dropconnect") in RECORDS
    for kind, name in ENTRIES:
        hints = bound.hints(catalog.find(kind, name))
        known = {key: record_of(hint) for key, hint in hints.items() if key in catalog.parameters(kind, name)}
        forms = listing.forms(kind, name)
        assert {key: record._fields for key, record in known.items() if record} == {
            key: form.fields for key, form in forms.items()
        }


@pytest.mark.parametrize(("kind", "name", "option"), RECORDS)
def test_a_listing_shows_the_fields_of_a_record_on_80_columns(kind, name, option):
    function = catalog.find(kind, name)
    record: Any = record_of(bound.hints(function)[option])
    default = inspect.signature(function).parameters[option].default
    about = docstring.arguments(record.__doc__, record._fields)
    lines = catalog.details(kind, name).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"  {option}: "))
    rows = lines[start : next(i for i, line in enumerate(lines) if not line)]
    assert all(len(line) <= 80 for line in rows)
    assert "; or as a record:" in rows[0]
    assert listing.in_yaml(default[0]) in rows[0]
    text = " ".join(" ".join(rows).split())
    for field in record._fields:
        assert f" {field}: " in text
        assert " ".join(about[field].split()) in text
    for field, value in record._field_defaults.items():
        assert f" = {listing.in_yaml(value)} {about[field].split()[0]}" in text


def test_a_listing_shows_types_ranges_and_defaults_in_words():
    rows = {line.split(":")[0].strip(): line.strip() for line in catalog.details("model", "vgg").splitlines()}
    assert rows["depth"] == "depth: 11, 13, 16 or 19 = 11"
    assert rows["hidden"] == "hidden: [whole number ≥ 1, ...] = [512]"
    assert rows["dropconnect"] == "dropconnect: number in [0, 1) = 0; or as a record:"
    assert rows["norm"] == "norm: batch, group, layer or none = batch; or as a record:"
    assert rows["rate"] == "rate: number in [0, 1)"
    assert rows["samples"] == "samples: whole number ≥ 1 = 1000"
    assert "every: duration" in catalog.details("average", "swa")
    assert "path: path" in catalog.details("data", "csv")
    assert "layers: [a layer, ...]" in catalog.details("model", "sequential")


def test_an_entry_as_data():
    vgg: Any = catalog.as_data("model", "vgg")
    assert list(vgg["options"]) == catalog.parameters("model", "vgg")
    assert vgg["options"]["dropconnect"]["default"] == 0.0
    assert vgg["options"]["dropconnect"]["fields"]["mask"] == {
        "type": "batch or example",
        "default": "batch",
        "about": "batch: one mask for all examples of a step; example: one for each",
    }
    assert "default" not in vgg["options"]["dropconnect"]["fields"]["rate"]


@pytest.mark.parametrize("name", catalog.names("model"))
def test_no_model_has_more_options_than_one_can_look_over(name):
    assert len(catalog.parameters("model", name)) <= MOST_OPTIONS
