"""nnrun export: a folder that predicts without nnrun, with the run's own predictions."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn import datasets

import nnrun
from nnrun.errors import RunError, SpecError
from nnrun.export import folder as exporting
from nnrun.export.probes import example_of, probes
from nnrun.preprocessing import Date, FittedColumn, Preprocessing

ADAM = "optimizer: {name: adam, learning_rate: 1e-2}\n"
SHORT = "train: {duration: 3 epochs}\n"
MLP = (
    "{name: mlp, hidden: [16, 12], activation: gelu, norm: {name: group, groups: 2}, dropout: 0.3, "
    "dropout_scaling: test}"
)
SPECS = {
    "images": "data: digits\nmodel: {name: lenet, filters: [2, 3], kernel: 3, hidden: [5], norm: batch}\n"
    + SHORT,
    "group": f"data: iris\nmodel: {MLP}\n" + SHORT,
    "batch": "data: iris\nmodel: {name: mlp, hidden: [6], norm: batch, activation: mish}\n" + SHORT,
    "numbers": "data: diabetes\nmodel: {name: mlp, hidden: [6], norm: layer}\nloss: squared_error\n" + SHORT,
    "scores": "data: iris\nmodel: linear\nloss: hinge\n" + SHORT,
    "table": (
        "data: {name: csv, path: table.csv, target: kind, categorical: [colour]}\nmodel: linear\n"
        "train: {duration: 3 epochs, precision: float64}\n"
    ),
}
COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Specs, and a table of years, whose differences float32 does not keep, and colours."""
    folder = tmp_path_factory.mktemp("export")
    random = np.random.default_rng(3)
    with (folder / "table.csv").open("w", newline="") as file:
        rows = [
            (2e6 + random.random(), COLOURS[random.integers(3)], "ab"[random.integers(2)]) for _ in range(200)
        ]
        csv.writer(file).writerows([("year", "colour", "kind"), *rows])
    for name, text in SPECS.items():
        (folder / f"{name}.yaml").write_text(text + ADAM)
    return folder


@pytest.fixture
def loaded(monkeypatch) -> Callable[[Path, str], Any]:
    """loaded(folder, name): the model that the module `name` of an exported folder makes."""

    def load(folder: Path, name: str) -> Any:
        for module in ("inputs", name):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)
        return importlib.import_module(name).Model()

    return load


@pytest.mark.quick("table", "images")
@pytest.mark.parametrize("name", SPECS)
def test_it_predicts_what_the_run_predicts(name: str, place, loaded):
    run = nnrun.train(place / f"{name}.yaml", run_dir=place / "runs" / name).run_dir
    predictor, target = nnrun.load(run), place / f"{name}-out"
    exported = exporting.export(predictor, target)
    assert exported.difference < 4e-6  # NumPy's float64 against float32
    x = probes(predictor.fitted, 300)
    expected = predictor.scores(x) if predictor.classes else predictor.predict(x)
    size = np.abs(expected).max() if name in ("numbers", "scores") else 1
    model = loaded(target, "model")
    np.testing.assert_allclose(model.outputs(x) / size, expected / size, rtol=0, atol=1e-6)
    first = {key: cells[:1] for key, cells in x.items()} if isinstance(x, dict) else x[:1]
    np.testing.assert_allclose(model.outputs(first) / size, expected[:1] / size, rtol=0, atol=1e-6)
    if predictor.classes:
        assert (model.predict(x) == predictor.predict(x)).all()
        assert tuple(model.classes) == predictor.classes
    assert (target / "numpy_model.py").exists() == (name != "images")
    if name != "images":
        reference = loaded(target, "numpy_model")
        np.testing.assert_allclose(reference.outputs(x) / size, expected / size, rtol=0, atol=4e-6)
    stored = load_file(target / "weights.safetensors")
    arrays = [array for path, array in sorted(stored.items()) if path.startswith("params/")]
    for array, leaf in zip(arrays, jax.tree.leaves(predictor.params), strict=True):
        np.testing.assert_array_equal(array, leaf)
    about = json.loads((target / "model.json").read_text())
    output = {"numbers": "numbers", "scores": "scores"}.get(name, "probabilities")
    assert (about["output"], about["format"]) == (output, 1)


@pytest.mark.slow
def test_numbers_far_from_zero_keep_their_digits(place, loaded):
    """Around a million, float32 knows sixteenths: a tenth of what these targets differ by."""
    random = np.random.default_rng(5)
    x = random.normal(size=(200, 3))
    np.savez(place / "far.npz", x=x, y=1e6 + 0.6 * x[:, 0] + 0.1 * random.normal(size=200))
    (place / "far.yaml").write_text(
        f"data: {{name: npz, path: far.npz}}\nmodel: {{name: mlp, hidden: [6]}}\nloss: squared_error\n{SHORT}{ADAM}"
    )
    predictor = nnrun.load(nnrun.train(place / "far.yaml", run_dir=place / "runs/far").run_dir)
    exported = exporting.export(predictor, place / "far-out")
    assert exported.difference < 1e-6
    expected = predictor.predict(x)
    for name in ("model", "numpy_model"):
        outputs = loaded(place / "far-out", name).outputs(x)
        np.testing.assert_allclose(outputs - 1e6, expected - 1e6, rtol=0, atol=1e-6)


def test_an_ensemble_is_one_function(place, warm, loaded, keeps_contract):
    nnrun.train(place / "batch.yaml", ["train.seeds=3"], run_dir=place / "runs/three")
    x = datasets.load_iris().data
    for how in ("logits", "vote"):
        done = warm("ensemble", "three", "--average", how, "-o", f"runs/{how}", "-q", folder=place)
        assert done.code == 0, done.err
        done = warm("export", how, "-o", f"{how}-out", "--json", folder=place)
        assert done.code == 0, done.err
        keeps_contract("export", done.json)
        assert done.json["difference"] < 1e-6
        assert done.json["why_not"] == "numpy_model.py is for a single model, this is an ensemble"
        expected = nnrun.load(place / "runs" / how).predict_proba(x)
        np.testing.assert_allclose(
            loaded(place / f"{how}-out", "model").predict_proba(x), expected, atol=1e-6
        )
    stored = load_file(place / "vote-out" / "weights.safetensors")
    assert {name.partition("/")[0] for name in stored} == {"member_01", "member_02", "member_03"}


def test_what_it_does_not_take_is_an_error_with_the_reason(place, loaded):
    run = nnrun.train(place / "table.yaml", run_dir=place / "runs/refusing").run_dir
    exporting.export(nnrun.load(run), place / "refusing-out")
    model = loaded(place / "refusing-out", "model")
    for content, message in [
        ({"year": [2e6], "colour": ["pink"]}, "column 'colour': 'pink' is none of "),
        ({"year": [2e6]}, "there is no column 'colour'; there are year"),
        (np.zeros((1, 4)), "some features are not plain numbers; give columns by name"),
        ({"year": [np.nan], "colour": ["red"]}, "column 'year': the input at index 0 is missing; fill it in"),
        (
            {"year": [2e6, 1e308], "colour": ["red"] * 2},
            "the input at index 1 is so large that the model gives NaN",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            model.outputs(content)


@pytest.mark.parametrize("name", ["table", "images"])
def test_the_line_that_says_how_to_use_it_can_be_typed_as_it_is(name: str, place, warm):
    """In a shell and a fresh Python; it predicts what the run predicts for the same input."""
    run = nnrun.train(place / f"{name}.yaml", run_dir=place / "runs" / f"typed {name}").run_dir
    done = warm("export", f"typed {name}", "-o", f"typed {name} out", folder=place)
    assert done.code == 0, done.err
    *_, takes, use = done.out.splitlines()
    change, program = use.removeprefix("use it: ").split(", then Python: ")
    typed = subprocess.run(
        f"{change} && {shlex.quote(sys.executable)} -",
        shell=True, cwd=place, input=program, capture_output=True, text=True, check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    predictor = nnrun.load(run)
    if name == "table":
        assert takes == "takes columns by name, such as the row in example.json: year, colour"
        x = json.loads((place / f"typed {name} out" / "example.json").read_text())
        assert list(x) == ["year", "colour"] and x["colour"] == ["blue"]  # the first name
        assert 2e6 <= x["year"][0] <= 2e6 + 1  # the mean, in four digits
    else:
        assert takes == "takes arrays (n, 8, 8, 1) of whole numbers from 0 to 255, such as zeros"
        x = np.zeros((1, 8, 8, 1))
    assert typed.stdout.strip() == f"['{predictor.predict(x)[0]}']"


def test_the_example_of_a_table_has_a_cell_of_every_sort_of_column():
    columns = (
        FittedColumn("a"),
        FittedColumn("b", ("", "x", "y"), fill=""),
        FittedColumn("c", date=Date(("days", "month"), "2024-02-01", "%d.%m.%Y")),
        FittedColumn("d", date=Date(("days",), "2024-02-03")),
        FittedColumn("e"),
    )
    width = sum(column.width for column in columns)
    shift = np.arange(width) + 0.123456
    fitted = Preprocessing((), columns, (width,), "float64", shift, np.ones(width), 0.0, 1.0, {})
    assert example_of(fitted) == {
        "a": [0.1235], "b": ["x"], "c": ["01.02.2024"], "d": ["2024-02-03"], "e": [8.123]
    }  # fmt: skip


def installed(folder: Path, *packages: str) -> Path:
    """A folder with these packages and what they require, as a fresh environment has them, and nothing else."""
    names, todo = set(), list(packages)
    while todo:
        name = re.split(r"[^\w-]", todo.pop())[0]
        if name not in names:
            names.add(name)
            required = metadata.requires(name) or ()
            todo += [line for line in required if "extra ==" not in line]
            files = metadata.files(name) or ()
            for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
                (folder / top).symlink_to(Path(str(files[0].locate())).parents[len(files[0].parts) - 1] / top)
    return folder


def test_jax_alone_is_needed_or_numpy_alone(place, warm, tmp_path):
    """In an environment that has nothing else, from another folder, a thousand inputs and one."""
    assert warm("train", "batch.yaml", "--run-dir", "runs/alone", "-q", folder=place).code == 0
    done = warm("export", "alone", "-o", "alone-out", folder=place)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].startswith("exported: alone-out (")
    assert "without NumPy code" not in done.out
    x = np.random.default_rng(0).normal([5.8, 3, 3.8, 1.2], [0.8, 0.4, 1.8, 0.8], (1000, 4))
    np.save(tmp_path / "x.npy", x)
    expected = nnrun.load(place / "runs/alone").predict_proba(x)
    code = (
        "import sys; import numpy as np; sys.path.insert(0, sys.argv[1]); from {0} import Model\n"
        "x, model = np.load(sys.argv[2]), Model()\n"
        "np.savez(sys.argv[3], all=model.outputs(x), one=model.outputs(x[:1]))\n"
        "print(*{{module.split('.')[0] for module in sys.modules}})"
    )
    for package, module, absent in (("jax", "model", {"nnrun"}), ("numpy", "numpy_model", {"nnrun", "jax"})):
        (tmp_path / package).mkdir()
        site = installed(tmp_path / package, package)
        assert not (site / "flatbuffers").exists()
        arguments = [str(place / "alone-out"), str(tmp_path / "x.npy"), str(tmp_path / f"{package}.npz")]
        done = subprocess.run(
            [sys.executable, "-S", "-c", code.format(module), *arguments],
            cwd="/", env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not absent & set(done.stdout.split())
        with np.load(tmp_path / f"{package}.npz") as outputs:
            np.testing.assert_allclose(outputs["all"], expected, rtol=0, atol=1e-6)
            np.testing.assert_allclose(outputs["one"], expected[:1], rtol=0, atol=1e-6)


def test_a_model_that_differs_is_not_written(place, monkeypatch):
    run = nnrun.train(place / "group.yaml", run_dir=place / "runs/wrong").run_dir
    predictor = nnrun.load(run)
    scores = predictor.scores
    monkeypatch.setattr(predictor, "scores", lambda x: scores(x) + 1e-3)
    with pytest.raises(
        RunError, match=r"differs from the run by 1\.0e-03 on 1000 random inputs; nothing was written"
    ):
        exporting.export(predictor, place / "wrong-out")
    assert not (place / "wrong-out").exists()
    (place / "full").mkdir()
    (place / "full" / "note").write_text("")
    with pytest.raises(SpecError, match="already exists; write another name"):
        exporting.export(predictor, place / "full")
    with pytest.raises(SpecError, match="no such folder; make it first"):
        exporting.check_target(place / "no" / "such")


class TestCells:
    """Inputs of an exported model, against what nnrun's own reader makes of the same cells."""

    @pytest.fixture
    def prepare(self) -> Callable[..., Any]:
        file = Path(nnrun.__file__).parent / "export" / "files" / "inputs.py"
        place = importlib.util.spec_from_file_location("exported_inputs", file)
        assert place is not None
        assert place.loader is not None
        module = importlib.util.module_from_spec(place)
        place.loader.exec_module(module)

        def prepared(column: FittedColumn, cells: list[object]) -> np.ndarray:
            about = {"columns": [column.as_dict()], "shape": [column.width], "dtype": "float64"}
            return module.prepare({column.name: cells}, {**about, "precision": "float64", "offset": 0.0})

        return prepared

    NAMES = FittedColumn("a", ("1", "2"), rare=("8", "9"), unknown="other")
    DATES = FittedColumn("a", date=Date(("days",), "2024-01-01"))

    @pytest.mark.parametrize(
        ("column", "cell", "message"),
        [
            (FittedColumn("a"), "1_0", "'1_0' is not a number"),
            (FittedColumn("a"), "1,5", "'1,5' is not a number"),
            (FittedColumn("a"), True, "True is not a number"),
            (DATES, "20240131", "'20240131' is not a date as ISO 8601"),
            (DATES, "31.01.2024", "'31.01.2024' is not a date as ISO 8601"),
            (NAMES, "?", "column 'a': the input at index 0 is missing"),
            (FittedColumn("a", ("1", "2"), rare=("8",)), "7", "'7' is none of 1, 2, 8"),
        ],
    )
    def test_what_the_run_refuses_is_refused(self, column, cell, message, prepare):
        with pytest.raises(ValueError, match=message):
            prepare(column, [cell])

    def test_unknown_names_are_reported(self, prepare):
        with pytest.warns(
            UserWarning, match="column 'a': unknown names in cells: 2, the first '1.0'; .* rare ones"
        ):
            assert prepare(self.NAMES, [1.0, "2", "9", "new"]).tolist() == [
                [0, 0, 1],
                [0, 1, 0],
                [0, 0, 1],
                [0, 0, 1],
            ]
        with pytest.warns(UserWarning, match=r"the first 'x'; they count as zeros"):
            assert prepare(FittedColumn("a", ("1", "2"), unknown="zeros"), ["x", "1"]).tolist() == [
                [0, 0],
                [1, 0],
            ]

    def test_dates_are_days_since_the_first(self, prepare):
        assert prepare(self.DATES, ["2024-01-03 12:00"]).tolist() == [[2.5]]
