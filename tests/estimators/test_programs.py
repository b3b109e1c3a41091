"""Programs that fits share, names of classes in a spec, and the file with the examples."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun import catalog
from nnrun.catalog import Spec
from nnrun.errors import SpecError
from nnrun.sklearn import _programs
from nnrun.sklearn._data import Given
from nnrun.sklearn._fitting import _archived, _refuse_names
from nnrun.sklearn._programs import _kept, _takes_of_the_data, room_for

SPEC = """
name: mine
data: {name: iris}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, learning_rate: 0.25}
train: {duration: 10 epochs}
"""


@pytest.fixture(scope="module")
def spec_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Spec]:
    path = tmp_path_factory.mktemp("spec") / "mine.yaml"
    path.write_text(SPEC)
    return lambda *overrides: catalog.bind(catalog.read(path, overrides))


def test_a_program_has_room_for_its_data_and_little_more() -> None:
    """At most an eighth more, or 63 rows; cross-validation's folds of n, n − 1, ... share one nearly always."""
    for n in [*range(1, 3000), 10_000, 65_536, 65_537, 1_000_003]:
        room = room_for(n)
        assert n <= room <= max(n + 63, n * 9 / 8), n
    assert [room_for(n) for n in (1, 64, 65, 512, 1000, 1024, 1025)] == [64, 64, 128, 512, 1024, 1024, 1152]
    shared = sum(room_for(n) == room_for(n - 1) for n in range(1001, 2001))
    assert shared >= 985


def test_what_was_not_used_for_the_longest_time_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "_MOST", 3)
    held: OrderedDict[str, tuple[str, int]] = OrderedDict()
    made: list[str] = []

    def get(key: str) -> str:
        return _kept(held, key, lambda: made.append(key) or key.upper())

    assert [get(key) for key in "abcab"] == [*"ABCAB"] and made == [*"abc"]
    assert get("d") == "D" and list(held) == [*"abd"]  # c was used before a and b
    get("a"), get("c")
    assert list(held) == [*"dac"] and made == [*"abcdc"]


def test_programs_hold_no_more_than_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "_BYTES", 10)
    held: OrderedDict[str, tuple[str, int]] = OrderedDict()
    for key, size in (("a", 4), ("b", 6), ("c", 5)):
        assert _kept(held, key, lambda key=key: key, size) == key
    assert list(held) == ["c"]  # with b it would be 11
    assert _kept(held, "large", lambda: "large", 11) == "large" and not held


def test_what_is_a_constant_of_the_data_is_not_shared(spec_of: Callable[..., Spec]) -> None:
    assert not _takes_of_the_data(spec_of())
    assert _takes_of_the_data(spec_of("loss={name: cross_entropy, class_weight: balanced}"))
    whitened = (
        "model={name: sequential, layers: [{name: whiten, kernel: 2}, flatten, {name: dense, units: 3}]}"
    )
    assert _takes_of_the_data(spec_of(whitened))
    assert not _takes_of_the_data(spec_of("model={name: sequential, layers: [{name: dense, units: 3}]}"))


def given(*labels: str) -> Given:
    return Given(np.zeros((4, 2)), np.array([0, 1, 0, 1], np.int32), None, len(labels), labels)


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("loss={name: cross_entropy, class_weight: {1: 2.0, 2: 1.0}}", "loss.class_weight"),
        ("metrics=[accuracy, {name: f1, label: 1}]", "metrics.1.label"),
    ],
)
def test_names_of_classes_mean_the_labels_that_fit_got(
    override: str, place: str, spec_of: Callable[..., Spec]
) -> None:
    """Of labels 1 and 2 the run has classes 0 and 1, so its class 1 is the label 2."""
    with pytest.raises(
        SpecError, match=rf"^{place}: names classes, .* \(0 is 1, 1 is 2\); call `fit` with the labels 0"
    ):
        _refuse_names(spec_of(override), given("1", "2"))
    _refuse_names(spec_of(override), given("0", "1"))
    _refuse_names(
        spec_of("loss={name: cross_entropy, class_weight: balanced}", "metrics=[f1]"), given("1", "2")
    )


def test_runs_on_the_same_examples_share_a_file(tmp_path: Path) -> None:
    first = _archived(given("0", "1"), tmp_path / "runs")
    before = first.stat().st_mtime_ns
    assert _archived(given("0", "1"), tmp_path / "runs") == first and first.stat().st_mtime_ns == before
    changed = given("0", "1")._replace(weights=np.ones(4))
    other = _archived(changed, tmp_path / "runs")
    assert other != first and first.is_absolute()
    with np.load(other, allow_pickle=False) as archive:
        contents: Any = {name: archive[name] for name in archive.files}
    assert set(contents) == {"x", "y", "w"} and contents["y"].tolist() == [0, 1, 0, 1]
    assert len(list((tmp_path / "runs").iterdir())) == 2
