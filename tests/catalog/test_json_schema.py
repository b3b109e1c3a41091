"""The JSON Schema is a schema, covers the catalogue, and agrees with what `catalog.bind` says."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nnrun import catalog, spec
from nnrun.catalog import listing
from nnrun.catalog.json_schema import json_schema
from nnrun.errors import SpecError
from nnrun.spec import yaml12

VALID: dict[str, Any] = {
    "data": {"name": "digits", "batch_size": 64},
    "model": {"name": "sequential", "layers": ["flatten", {"name": "dense", "units": 8}, "relu"]},
    "optimizer": {"name": "adam", "learning_rate": 1e-3},
    "schedule": {"name": "cosine", "warmup": "5%"},
    "train": {"duration": "2 epochs", "early_stopping": {"patience": "1 epoch"}},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.fixture(scope="module")
def accepts(schema):
    validator = jsonschema.Draft202012Validator(schema)
    return lambda value: not list(validator.iter_errors(value))


def changed(path: str, value: Any) -> dict[str, Any]:
    """VALID with one value set, or removed where it is ..."""
    spec_data = copy.deepcopy(VALID)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    inner: Any = spec_data
    for part in parents:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return spec_data


def test_it_is_a_schema_of_plain_json(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


def test_every_reference_leads_somewhere(schema):
    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return {ref for item in value for ref in references(item)}
        if isinstance(value, dict):
            own = {value["$ref"]} if "$ref" in value else set()
            return own | {ref for item in value.values() for ref in references(item)}
        return set()

    found = references(schema)
    assert "#/$defs/layer" in found
    assert found <= {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("kind", listing.SPEC_KINDS)
def test_every_entry_is_an_alternative_of_its_kind(schema, kind):
    blocks = {
        block["properties"]["name"]["const"]: block
        for block in schema["$defs"][kind]["anyOf"]
        if "const" in block.get("properties", {}).get("name", {})
    }
    assert sorted(blocks) == list(listing.names(kind))
    common = set(spec.COMMON[kind].model_fields) if kind in spec.COMMON else set()
    for name, block in blocks.items():
        assert set(block["properties"]) == {"name", *listing.parameters(kind, name), *common}
        assert block["description"] == listing.summary(kind, name) != ""


def test_descriptions_come_from_the_docstrings(schema):
    (mlp,) = [one for one in schema["$defs"]["model"]["anyOf"] if one.get("title") == "mlp"]
    assert mlp["properties"]["hidden"]["description"].startswith("units of the hidden layers")
    assert schema["properties"]["train"]["properties"]["duration"]["description"].startswith(
        "length of the run"
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optimizer", "adam"), ("optimizer/clip_norm", None), ("optimizer/clip_norm", 1), ("train/seed", 3),
        ("data/batch_size", "full"), ("schedule", ...), ("checkpoint", None),
        ("checkpoint", {"every": "5 minutes"}),
        ("model/layers/1/units", 3), ("name", "run_1.x"), ("loss", "squared_error"),
        ("train/early_stopping", None),
        ("loss", {"label_smoothing": 0.1}), ("schedule", {"warmup": "5%"}),
        ("schedule/warmup", 0), ("train/duration", "1e6 examples"), ("model/layers", ["relu"]),
    ],
)  # fmt: skip
def test_what_is_right_is_accepted_by_both(path, value, accepts, tmp_path):
    data = changed(path, value)
    assert accepts(data)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml12.dump(data))
    catalog.bind(spec.read(file))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optimiser", {}), ("optimizer/lr", 1e-3), ("optimizer/learning_rate", "1e-3"), ("model", ...),
        ("optimizer/learning_rate", -1), ("optimizer/learning_rate", True), ("optimizer", "adamm"),
        ("train", ...),
        ("model/layers/1/unit", 3), ("model/layers/1/units", ...), ("model/layers/0", "flaten"),
        ("model", "mlp"),
        ("model/layers/0", {"name": "relu", "batch_size": 3}), ("model/layers", []), ("model/outputs", 3),
        ("train/duration", 30), ("train/duration", "30"), ("train/duration", "30 weeks"), ("train/seed", 1.5),
        ("train/seeds", 0), ("train/early_stopping/patience", "x"), ("name", ".x"), ("name", "a/b"),
        ("data", None),
        ("optimizer/name", "../x:y"), ("data/batch_size", 0), ("data/batch_size", "all"),
        ("model/layers/1", 3),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_both(path, value, accepts, tmp_path):
    data = changed(path, value)
    assert not accepts(data)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml12.dump(data))
    with pytest.raises(SpecError):
        catalog.bind(spec.read(file))


def test_code_of_ones_own_has_free_options(accepts):
    assert accepts(changed("model", {"name": "my.module:my_model", "anything": [1, {"x": None}]}))
    assert accepts(changed("model", "my_module:my_model"))
    assert accepts(changed("model/layers/0", {"name": "mine:layer", "width": 3}))
    assert not accepts(changed("model", {"name": "my_module"}))


def test_inner_blocks_have_no_common_keys(schema, accepts):
    """The common keys of a kind belong to the top-level block alone."""
    assert accepts(changed("optimizer/weight_decay", 0.1))
    assert "weight_decay" not in json.dumps(schema["$defs"]["layer"])


def _specs() -> list[Path]:
    configs = Path(__file__).resolve().parents[2] / "configs"
    return [
        Path(str(files("nnrun").joinpath("starter.yaml"))),
        *sorted(path for path in configs.glob("*.yaml") if "\nsweep:" not in path.read_text()),
    ]


@pytest.mark.parametrize("file", _specs(), ids=lambda file: file.name)
def test_the_specs_that_come_with_nnrun_are_accepted(file, accepts):
    assert accepts(yaml12.parse(file.read_bytes(), file.name).value)
    catalog.bind(spec.read(file))
