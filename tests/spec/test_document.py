"""A spec file with overrides: what is read, where it was written, and only a SpecError ever comes out."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnrun import catalog, spec
from nnrun.duration import Duration
from nnrun.errors import SpecError
from nnrun.spec import override, yaml12
from nnrun.spec.problem import Place, Problems

VALID = """\
data: {name: digits, batch_size: 64}
model:
  name: sequential
  layers: [flatten, {name: dense, units: 8}, relu]
optimizer: adam
train: {duration: 2 epochs}
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text: str | bytes, name: str = "my spec!.yaml") -> Path:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return to_file


def test_a_document_is_plain_data_with_defaults(write):
    file = write(VALID)
    document = spec.read(file)
    assert not list(document.problems)
    assert document.name == "my-spec-"
    assert document.folder == file.parent
    assert document.text == VALID
    assert document.blocks["optimizer"] == {"name": "adam"}
    assert document.blocks["loss"] == {"name": "cross_entropy"}
    assert document.blocks["schedule"] == {"name": "constant"}
    assert document.places[("model", "layers", 1, "units")] == Place(str(file), 4, 35)
    train = document.sections["train"]
    assert (train.duration, train.seed, train.seeds) == (Duration(2, "epochs"), 0, 1)
    assert train.log_every == Duration(50, "steps")
    assert document.sections["checkpoint"].every.seconds == 30


@pytest.mark.parametrize(
    ("stem", "name"),
    [("a", "a"), (".hidden", "hidden"), ("é b", "--b"), ("x" * 60, "x" * 40), ("...", "run")],
)
def test_a_run_is_named_after_its_file(write, stem, name):
    assert spec.read(write(VALID, f"{stem}.yaml")).name == name


def test_a_folder_without_a_path_is_the_current_one(write, monkeypatch):
    file = write(VALID, "x.yaml")
    monkeypatch.chdir(file.parent)
    assert spec.read(Path("x.yaml")).folder == file.parent


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("optimizer.learning_rate=3e-4", ("optimizer",), {"name": "adam", "learning_rate": 3e-4}),
        ("optimizer=sgd", ("optimizer",), {"name": "sgd"}),
        ("optimizer={name: sgd, learning_rate: 1}", ("optimizer",), {"name": "sgd", "learning_rate": 1}),
        ("loss.label_smoothing=0.1", ("loss",), {"name": "cross_entropy", "label_smoothing": 0.1}),
        ("schedule.warmup=5%", ("schedule",), {"name": "constant", "warmup": "5%"}),
        ("data.batch_size=full", ("data",), {"name": "digits", "batch_size": "full"}),
        ("model.layers.1.units=16", ("model", "layers", 1), {"name": "dense", "units": 16}),
        ("model.layers.0=gelu", ("model", "layers", 0), "gelu"),
        ("model.layers.2.rate=0.5", ("model", "layers", 2), {"name": "relu", "rate": 0.5}),
        ("model.layers=[tanh]", ("model", "layers"), ["tanh"]),
        ("model.path=a=b c", ("model", "path"), "a=b c"),
        ("model.text='3'", ("model", "text"), "3"),
        ("model.none=", ("model", "none"), None),
        ("model.deep.er=[1, {a: 2}]", ("model", "deep"), {"er": [1, {"a": 2}]}),
    ],
)
def test_an_override_sets_one_value(write, argument, path, value):
    document = spec.read(write(VALID + "loss:\n"), [argument])
    found: Any = document.blocks
    for key in path:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=a #b"], "name: YAML takes"),
        (["data.examples=100 # of them"], "data.examples: YAML takes"),
        (["optimizer.learning_rate=#"], "optimizer.learning_rate: YAML takes"),
        (["train.seed=4", "train={duration: 1 epochs}"], "replaces all of train, also train.seed"),
        (["train.seed=4", "train.seed=5"], "train.seed was given before"),
    ],
)
def test_nothing_of_an_argument_is_lost(write, arguments, message):
    problems = spec.read(write(VALID), arguments).problems
    assert [message in str(problem) for problem in problems] == [True]


def test_every_argument_that_is_wrong_is_named(write):
    """They set no value of the file, so none of them is an echo of another one."""
    arguments = ["learning_rate", "train.seed=4", "b.=1", "train.seed=5", "train.seeds=2", "train.seeds=3"]
    with pytest.raises(SpecError) as caught:
        catalog.bind(spec.read(write(VALID), arguments))
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "argument train.seed=5", "argument train.seeds=3", "argument learning_rate", "argument b.=1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["name='a #b'"], ["name=a#b"], ["train={duration: 1 epochs}", "train.seed=4"]]
)
def test_what_loses_nothing_is_taken(write, arguments):
    document = spec.read(write(VALID), arguments)
    assert not [problem for problem in document.problems if "YAML takes" in str(problem)]
    assert document.sections["train"].seed == (4 if len(arguments) == 2 else 0)


def test_overrides_reach_the_sections_and_the_name(write):
    arguments = [
        "train.early_stopping.patience=3 epochs",
        "checkpoint.keep=5",
        "name=b",
        "train.seed=8",
    ]
    document = spec.read(write(VALID + "checkpoint:\n"), arguments)
    assert not list(document.problems)
    assert document.name == "b"
    assert document.sections["train"].seed == 8
    assert document.sections["train"].early_stopping.patience == Duration(3, "epochs")
    assert document.sections["checkpoint"].keep == 5


def test_a_mistake_is_placed_where_it_was_written(write):
    """A block that an argument replaces leaves no places of the file behind."""
    file = write(VALID.replace("adam", "{name: adam, b1: 0.5}"))
    with pytest.raises(
        SpecError, match=r"^argument optimizer=\{name: sgd, b1: 0\.5\}: optimizer\.b1: unknown key"
    ):
        catalog.bind(spec.read(file, ["optimizer={name: sgd, b1: 0.5}"]))
    with pytest.raises(SpecError, match=r":5:25: optimizer\.b1: unknown key; write one of: clip_adaptive, "):
        catalog.bind(spec.read(file, ["optimizer.name=sgd"]))


def test_a_file_that_is_not_there_has_a_neighbour(write):
    file = write(VALID, "digits.yaml")
    with pytest.raises(SpecError, match=r"digit\.yaml: no such file; did you mean .*digits\.yaml\?"):
        spec.read(file.with_name("digit.yaml"))


@pytest.mark.parametrize("name", ["a\x00b.yaml", "x" * 5000, "no/such/folder.yaml", "file.yaml/inner.yaml"])
def test_impossible_paths_are_refused_in_one_line(write, name):
    folder = write(VALID, "file.yaml").parent
    with pytest.raises(SpecError) as caught:
        spec.read(folder / name)
    assert str(caught.value).isprintable()
    assert "; " in str(caught.value)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_an_endless_file_is_refused():
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        catalog.bind(spec.read(Path("/dev/zero")))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(write):
    file = write(VALID)
    file.chmod(0)
    with pytest.raises(SpecError, match="permission denied; check the path"):
        spec.read(file)


def test_a_refusal_has_at_most_six_lines_in_the_order_of_the_file():
    problems = Problems({(f"k{line}",): Place("f", line, 1) for line in range(1, 10)})
    problems.raise_if_any()  # there are none
    for line in (9, 3, 5, 1, 7, 8):
        problems.add((f"k{line}",), "wrong; mend it")
    assert str(problems.refusal()).split("\n") == [
        f"f:{n}:1: k{n}: wrong; mend it" for n in (1, 3, 5, 7, 8, 9)
    ]
    problems.add(("k2",), "wrong; mend it")
    with pytest.raises(SpecError) as caught:
        problems.raise_if_any()
    assert str(caught.value).split("\n") == [
        *(f"f:{n}:1: k{n}: wrong; mend it" for n in (1, 2, 3, 5, 7)),
        "... and 2 more",
    ]


def test_one_mistake_is_told_once(write):
    """What could not be read is not also of the wrong type, and does not also lack keys."""
    text = VALID.replace("{duration: 2 epochs}", ".nan") + "checkpoint: {keep: 010}\n"
    with pytest.raises(SpecError) as caught:
        catalog.bind(spec.read(write(text)))
    assert [line.split(": ")[1] for line in caught.value.problems] == ["train", "checkpoint.keep"]


KEYS = st.sampled_from(
    [
        "name",
        "data",
        "model",
        "layers",
        "optimizer",
        "train",
        "seed",
        "duration",
        "units",
        "early_stopping",
        "x.y",
    ]
) | st.text(max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["digits", "adam", "mlp", "sequential", "5%", "3 epochs", "full", "a:b", "os:path", "on"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _survives(file: Path, text: str | bytes, overrides: tuple[str, ...] = ()) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        catalog.bind(spec.read(file, overrides))
    except SpecError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= 6
        assert all(line.isprintable() and len(line) < 700 for line in lines)


@FUZZ
@given(st.binary(max_size=80))
def test_any_bytes_are_a_spec_or_refused(tmp_path, data):
    _survives(tmp_path / "s.yaml", data)


@FUZZ
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_tree_is_a_spec_or_refused(tmp_path, value):
    _survives(tmp_path / "s.yaml", yaml12.dump(value))


@FUZZ
@given(st.data())
def test_any_change_of_a_spec_is_a_spec_or_refused(tmp_path, data):
    """Some characters replaced, removed, doubled or put in."""
    text = VALID
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 6)))
        text = text[:begin] + data.draw(st.text(max_size=4) | st.just(text[begin:end] * 2)) + text[end:]
    _survives(tmp_path / "s.yaml", text)


@FUZZ
@given(
    st.sampled_from(
        ["model.layers", "model.layers.1.units", "train", "optimizer", "data.batch_size", "name", "loss"]
    ),
    VALUES,
)
def test_any_value_in_its_place_is_a_spec_or_refused(tmp_path, key, value):
    _survives(tmp_path / "s.yaml", VALID, (f"{key}={yaml12.dump([value])[2:].rstrip()}",))


@FUZZ
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_argument_is_an_override_or_refused(tmp_path, key, value):
    _survives(tmp_path / "s.yaml", VALID, (f"{key}={value}", key, f"train.{key}={value}"))


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("data.path=[z].csv", """'data.path="[z].csv"'"""),
        ("data.path={a}.csv", """'data.path="{a}.csv"'"""),
        ("data.path=*.csv", """'data.path="*.csv"'"""),
        ("data.path='a'b.csv", shlex.quote("""data.path="'a'b.csv\"""")),
    ],
)
def test_an_argument_that_is_no_yaml_shows_how_to_quote_it(argument, quoted):
    value: dict[str, Any] = {"data": {"name": "csv"}}
    problems = Problems({})
    override.apply(value, argument, problems, ["data"])
    [problem] = problems
    assert problem.message.endswith(f"; for text, put it in quotes: {quoted}")
    [again] = shlex.split(quoted)
    override.apply(value, again, fresh := Problems({}), ["data"])
    assert not fresh
    assert value["data"]["path"] == argument.partition("=")[2]


def test_a_name_with_a_colon_is_shown_in_quotes(tmp_path):
    (tmp_path / "spec.yaml").write_text(VALID)
    changes = ["data={name: csv, target: y}", "data.path=x: y.csv"]
    with pytest.raises(SpecError, match=r"data\.path: got .*; write text in quotes: 'x: y\.csv'"):
        catalog.bind(catalog.read(tmp_path / "spec.yaml", changes))


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("houses.csv", "data: {name: csv, path: houses.csv, target: COLUMN}"),
        ("a b.tsv", "data: {name: csv, path: 'a b.tsv', target: COLUMN, delimiter: \"\\t\"}"),
        ("x.parquet", "data: {name: parquet, path: x.parquet, target: COLUMN}"),
        ("x.npz", "data: {name: npz, path: x.npz}"),
    ],
)
def test_data_in_place_of_a_spec_are_told_where_they_belong(
    name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"PAR1\xff,1\n")
    with pytest.raises(SpecError, match="not a spec; `nnrun init my_spec") as caught:
        spec.read(Path(name))
    assert example in str(caught.value)
    with pytest.raises(SpecError, match="no such file"):
        spec.read(Path("other.csv"))
