"""The catalogue: folders as registry, signatures as schemas, code of one's own, no jax before its time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nnrun
from nnrun import catalog, spec
from nnrun.catalog import bound
from nnrun.errors import SpecError
from nnrun.spec import docstring, models, schema

FOLDER = Path(catalog.__file__).parents[1]
VALID = """\
data: {name: digits}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam}
train: {duration: 1 epoch}
"""


def write(folder: Path, text: str = VALID, **modules: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text("from __future__ import annotations\n" + source)
    file = folder / "spec.yaml"
    file.write_text(text)
    return file


def bind(file: Path, *overrides: str) -> catalog.Spec:
    return catalog.bind(spec.read(file, overrides))


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_names_are_the_files_of_the_folder(kind):
    files = [path.stem for path in (FOLDER / kind).iterdir() if path.suffix == ".py"]
    assert list(catalog.names(kind)) == sorted(name for name in files if name[0] != "_")
    assert catalog.names(kind) != ()


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in catalog.KINDS for n in catalog.names(k)])
def test_the_source_text_says_what_the_function_is(kind, name):
    function = catalog.find(kind, name)
    supplied = catalog.SUPPLIED.get(kind, frozenset())
    model = models.options_model(function, supplied)
    assert catalog.parameters(kind, name) == list(models.keys(model))
    assert catalog.summary(kind, name) == (function.__doc__ or "").partition("\n")[0] != ""
    hints = bound.hints(function)
    nested = {key: bound.entry_kind(hints[key]) for key in catalog.parameters(kind, name)}
    assert catalog.entries(kind, name) == {key: inner for key, inner in nested.items() if inner}
    if kind in spec.COMMON:  # an option may stand for a common key if it has the same type
        common = spec.COMMON[kind].model_fields
        for key in set(common) & set(models.keys(model)):
            assert (models.keys(model)[key].annotation, key) == (common[key].annotation, key)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in catalog.KINDS for n in catalog.names(k)])
def test_every_option_is_described(kind, name):
    known = catalog.parameters(kind, name)
    doc = catalog.find(kind, name).__doc__
    assert sorted(docstring.arguments(doc, known)) == sorted(known)


def test_a_block_is_bound_to_its_function(tmp_path):
    checked = bind(write(tmp_path), "optimizer.learning_rate=1", "schedule={name: cosine, warmup: 5%}")
    assert checked.optimizer.function is catalog.find("optimizer", "adam")
    assert checked.optimizer.options == {
        "learning_rate": 1.0, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "bias_correction": True,
    }  # fmt: skip
    clips = ["clip_value", "clip_array", "clip_norm", "clip_adaptive"]
    off = dict.fromkeys([*clips, "decay_only", "rates", "max_norm"])
    assert checked.optimizer.common == {**off, "weight_decay": 0.0}
    assert str(checked.schedule.common["warmup"]) == "5%"
    assert checked.model.options["hidden"] == [16]
    assert catalog.user_files(checked) == []


def test_layers_are_bound_one_by_one(tmp_path):
    file = write(
        tmp_path, VALID.replace("mlp, hidden: [16]", "sequential, layers: [flatten, {name: dense, units: 4}]")
    )
    flatten, dense = bind(file).model.options["layers"]
    assert (flatten.name, dense.name) == ("flatten", "dense")
    assert dense.options["units"] == 4
    assert dense.function is catalog.find("layer", "dense")


def test_all_wrong_names_are_told_at_once_then_all_wrong_values(tmp_path):
    file = write(
        tmp_path, VALID.replace("mlp, hidden: [16]", "sequential, layers: [flaten, {name: dense, units: x}]")
    )
    with pytest.raises(SpecError) as caught:
        bind(file, "optimizer.lr=1", "train.seed=x")
    assert [line.split(": ")[1] for line in caught.value.problems] == [
        "train.seed",
        "optimizer.lr",
        "model.layers.0.name",
    ]
    with pytest.raises(SpecError) as caught:
        bind(file, "optimizer.b1=1", "optimizer.b2=x", "model.layers.0=relu")
    assert [line.split(": ")[1] for line in caught.value.problems] == [
        "optimizer.b1",
        "optimizer.b2",
        "model.layers.1.units",
    ]


def test_paths_are_relative_to_the_spec(tmp_path):
    file = write(tmp_path, VALID.replace("digits", "csv, path: sub/a.csv, target: y2"))
    checked = bind(file)
    assert checked.data.options["path"] == str(tmp_path / "sub/a.csv")
    assert checked.data.options["test_path"] is None
    assert bind(file, "data.path=/abs/a.csv").data.options["path"] == "/abs/a.csv"


def test_a_late_mistake_has_its_place(tmp_path):
    checked = bind(write(tmp_path))
    assert str(checked.fail(("data", "batch_size"), "too large; write 3")) == (
        f"{tmp_path}/spec.yaml:1:1: data.batch_size: too large; write 3"
    )


MINE = """
from nnrun import options

def net(outputs: int, width: options.Count = 3, path: options.FilePath | None = None):
    \"\"\"A model.\"\"\"
    return ("net", outputs, width, path)

def optimizer(learning_rate: options.Rate, copy: bool = False, model_config: int = 1):
    return ("optimizer", learning_rate)

def layer(rate: options.Fraction):
    return ("layer", rate)

def stack(outputs: int, one: options.Entry("layer"), more: list[options.Entry("layer")] = []):
    return (one, more)
"""


def test_code_of_ones_own_is_found_beside_the_spec(tmp_path):
    file = write(tmp_path, mine=MINE)
    checked = bind(
        file,
        "model={name: 'mine:net', width: 5, path: x}",
        "optimizer={name: 'mine:optimizer', learning_rate: 1, copy: true}",
    )
    assert checked.model.options == {"width": 5, "path": str(tmp_path / "x")}
    assert checked.model.function(10, **checked.model.options) == ("net", 10, 5, str(tmp_path / "x"))
    assert checked.optimizer.options == {"learning_rate": 1.0, "copy": True, "model_config": 1}
    assert checked.optimizer.common["weight_decay"] == 0.0
    assert catalog.user_files(checked) == [tmp_path / "mine.py"]
    assert bind(file, "model=mine:net").model.options == {"width": 3, "path": None}


def test_layers_of_ones_own_stand_among_the_others(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/inner.py").write_text("def layer(units: int): ...\n")
    text = VALID.replace(
        "mlp, hidden: [16]",
        "sequential, layers: [flatten, {name: 'mine:layer', rate: 0.5}, {name: 'pkg.inner:layer', units: 2}]",
    )
    checked = bind(write(tmp_path, text, mine=MINE))
    layers = checked.model.options["layers"]
    assert [one.options for one in layers] == [{}, {"rate": 0.5}, {"units": 2}]
    assert catalog.user_files(checked) == [tmp_path / "mine.py", tmp_path / "pkg/inner.py"]
    with pytest.raises(SpecError, match=r"model\.layers\.1\.rate: got 2; write a value in \[0, 1\)"):
        bind(tmp_path / "spec.yaml", "model.layers.1.rate=2")


def test_blocks_inside_code_of_ones_own_are_checked(tmp_path):
    file = write(
        tmp_path,
        VALID.replace("mlp, hidden: [16]", "'mine:stack', one: relu, more: [{name: dense, units: 2}]"),
        mine=MINE,
    )
    checked = bind(file)
    assert checked.model.options["one"].name == "relu"
    assert [one.name for one in checked.model.options["more"]] == ["dense"]
    with pytest.raises(SpecError, match=r"model\.one: got \[\"relu\"\]; write a block {name: \.\.\.}"):
        bind(file, "model.one=[relu]")
    with pytest.raises(SpecError, match=r"model\.more\.0\.unit: unknown key; did you mean units\?"):
        bind(file, "model.more=[{name: dense, unit: 2}]")
    with pytest.raises(SpecError, match=r"model\.one\.name: there is no layer \"relo\""):
        bind(file, "model.one=relo")


def test_two_folders_may_have_modules_of_one_name(tmp_path):
    """The spec's own module, and what that imports from its folder."""
    source = "import helper\nfrom pkg import tool\n\ndef net(outputs: int): return (helper.WHO, tool.WHO)\n"
    files = []
    for who in ("a", "b"):
        text = VALID.replace("{name: mlp, hidden: [16]}", "mine:net")
        files.append(write(tmp_path / who, text, mine=source, helper=f"WHO = {who!r}\n"))
        (tmp_path / who / "pkg").mkdir()
        (tmp_path / who / "pkg/__init__.py").write_text("")
        (tmp_path / who / "pkg/tool.py").write_text(f"WHO = {who + who!r}\n")
    path = list(sys.path)
    functions = [bind(file).model.function for file in files]
    assert [function(3) for function in functions] == [("a", "aa"), ("b", "bb")]
    assert bind(files[0]).model.function is functions[0]
    assert sys.path == path


def test_a_package_of_ones_own_can_hold_the_function(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("from .nets import net\n")
    (tmp_path / "pkg/nets.py").write_text("def net(outputs: int, width: int = 4): ...\n")
    checked = bind(write(tmp_path), "model=pkg:net")
    assert checked.model.options == {"width": 4}
    assert catalog.user_files(checked) == [tmp_path / "pkg/__init__.py"]


def test_functions_of_installed_packages_can_be_named(tmp_path):
    checked = bind(write(tmp_path), "optimizer={name: 'nnrun.optimizer.sgd:sgd', learning_rate: 2}")
    assert checked.optimizer.function is catalog.find("optimizer", "sgd")
    assert catalog.user_files(checked) == []


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("Adam", ["adam", "sgd"], "did you mean adam?"),
        ("batch-size", ["batch_size"], "did you mean batch_size?"),
        ("zzz", ["b", "a"], "write one of: a, b"),
        ("x" * 10**6, ["a"], "write one of: a"),
        ("x", [], "remove it"),
    ],
)
def test_the_nearest_name_is_suggested(name, known, expected):
    assert schema.nearest(name, known) == expected


def test_argument_lines_of_a_docstring():
    doc = """First line of it.

    a      one
           and on
    b, c   two
    other  no argument
           of this
    Text that continues.
      indented   text
    """
    assert docstring.arguments(doc, ["a", "b", "c", "d"]) == {"a": "one and on", "b": "two", "c": "two"}
    assert docstring.arguments(None, ["a"]) == {}


def _modules_after(code: str, folder: Path) -> list[str]:
    """The modules that a fresh Python has loaded after running `code` in `folder`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    source = str(Path(nnrun.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


LIST = """
from nnrun import catalog
assert all(catalog.summary(kind, name) for kind in catalog.KINDS for name in catalog.names(kind))
"""
READ = """
from pathlib import Path
from nnrun import catalog, spec
from nnrun.errors import SpecError
text = Path("spec.yaml").read_text()
for old, new in {changes!r}:
    assert old in text
    Path("bad.yaml").write_text(text.replace(old, new))
    try: catalog.bind(spec.read(Path("bad.yaml"), []))
    except SpecError: pass
    else: raise AssertionError(new)
"""
CHANGES = [
    ("{", "{{"), ("data", "dat"), ("duration", "durtion"), ("1 epoch", "1 epok"), ("adam", "adamm"),
    ("hidden", "hiden"), ("mlp, hidden: [16]", "sequential, layers: [flaten]"),
    ("mlp, hidden: [16]", "sequential, layers: [{name: dense, unit: 3}]"),
]  # fmt: skip


@pytest.mark.parametrize("code", [LIST, READ.format(changes=CHANGES)], ids=["list", "mistakes"])
def test_names_and_mistakes_in_them_need_no_jax(tmp_path, code):
    write(tmp_path)
    loaded = _modules_after(code, tmp_path)
    assert "nnrun.catalog" in loaded
    assert not {"jax", "numpy", "optax", "sklearn"} & set(loaded)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exact_match", "loss: binary_cross_entropy always"),
        ("loss", "every loss always"),
        ("deviance", "loss: poisson always"),
    ],
)
def test_what_losses_report_by_themselves_is_no_metric_to_ask_for(name, message, tmp_path):
    with pytest.raises(SpecError, match=f"{name} is no metric to ask for: .*{message}"):
        bind(write(tmp_path / "spec"), f"metrics=[{name}]")
