"""What is asked of an ensemble, and the warnings on the way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.ensemble import make as make_module
from nnrun.ensemble.make import HOW, EnsembleRequest, check_request, make
from nnrun.errors import RunError, SpecError
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.quantile import quantile
from nnrun.loss.squared_error import squared_error
from nnrun.prediction.member import Member


@pytest.mark.parametrize("how", HOW)
def test_every_average_may_be_asked_for(how: str, tmp_path):
    check_request(EnsembleRequest(how, "all", 3, "val", True), tmp_path / "new")
    check_request(EnsembleRequest(how), None)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            EnsembleRequest("mean"),
            r"--average: got 'mean'; write one of probabilities, logits, vote, weighted, ",
        ),
        (EnsembleRequest("x\n" * 100), r"--average: got 'x\\\\nx"),
        (EnsembleRequest(split="dev"), r"--split: got 'dev'; write one of train, val, test"),
        (EnsembleRequest(checkpoints="newest"), r"--checkpoints: got 'newest'"),
    ],
)
def test_what_is_wrong_is_reported_before_anything_is_read(request_: EnsembleRequest, message: str):
    with pytest.raises(SpecError, match=message):
        check_request(request_, None)
    with pytest.raises(SpecError, match=message):
        make([], request_, Path("nowhere"), None, pytest.fail, pytest.fail)


def test_the_target_is_new_or_empty(tmp_path):
    check_request(EnsembleRequest(), tmp_path)  # pytest's own, empty
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path, tmp_path / "file", tmp_path / "dangling"):
        with pytest.raises(RunError, match=r"already exists; choose another folder"):
            check_request(EnsembleRequest(), target)


def test_a_line_has_two_ends(make_run, tmp_path):
    make_run("run")
    with pytest.raises(SpecError, match=r"--barrier: a line has two ends; name two members"):
        make(
            ["run"],
            EnsembleRequest(checkpoints="last", barrier=True),
            tmp_path,
            None,
            pytest.fail,
            pytest.fail,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_parameters_of_other_structures_are_refused_before_anything_is_written(make_run, tmp_path):
    make_run("narrow", seed=1)
    make_run("wide", seed=2, arrays={"params/kernel": np.ones((2, 5), np.float32)})
    with pytest.raises(
        RunError, match=r"params/kernel is float32 \[2, [35]\], in .* it is float32 \[2, [35]\]"
    ):
        make(["narrow", "wide"], EnsembleRequest("greedy", "last"), tmp_path, None, pytest.fail, pytest.fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["narrow", "wide"]


def members_with(monkeypatch: pytest.MonkeyPatch, losses: list[Any]) -> list[Member]:
    folders = [Path(f"run_{i}") for i in range(len(losses))]
    monkeypatch.setattr(make_module, "block_of", lambda folder, kind: losses[folders.index(folder)])
    return [Member(folder, 5, "", "", "", b"") for folder in folders]


def test_one_warning_for_members_of_other_losses(monkeypatch):
    warnings: list[str] = []
    smooth = {"name": "cross_entropy", "label_smoothing": 0.1}
    members = members_with(
        monkeypatch, [{"name": "cross_entropy"}, {"name": "cross_entropy"}, smooth, smooth]
    )
    make_module._warn_of_losses(members, warnings.append)
    assert warnings == [
        f"run_2:5: its loss is {smooth}, that of run_0:5 is {{'name': 'cross_entropy'}}; "
        "every metric here is by the latter"
    ]
    make_module._warn_of_losses(members[:2], pytest.fail)


def test_weights_that_are_fitted_by_another_loss_are_a_warning(monkeypatch):
    """Least squares weigh by the distance to the mean, which is not what a quantile of 0.9 is near to."""
    warnings: list[str] = []
    members = members_with(monkeypatch, [{"name": "quantile", "q": 0.9}])
    make_module._warn_of_weights(members, quantile(q=0.9), warnings.append)
    assert len(warnings) == 1
    assert "of numbers: the squared error), not quantile; " in warnings[0]
    for loss in (cross_entropy(), squared_error()):
        make_module._warn_of_weights(members, loss, pytest.fail)


def averager_with(losses: list[float], origins: list[bytes]) -> Any:
    """Stands in for what measures the line between two members."""
    line = [{"loss": loss} for loss in losses]
    height = losses[1] - (losses[0] + losses[2]) / 2
    members = [Member(Path(f"run_{i}"), 5, "", "", "", origin) for i, origin in enumerate(origins)]
    barrier = {"between": ["run_0:5", "run_1:5"], "line": line, "height": height}
    return SimpleNamespace(members=members, line=lambda part, points: barrier)


def caution(losses: list[float], origins: list[bytes], together: float = 0.3, barrier: bool = False) -> str:
    """That on the average of two members with the mean loss 0.375."""
    result: Any = {"ensemble": {"loss": together}, "mean": {"loss": 0.375}}
    request = EnsembleRequest("parameters", barrier=barrier)
    return make_module._basins(averager_with(losses, origins), request, result)


def test_independent_runs_in_different_basins_have_a_caution_with_the_losses():
    assert caution([0.25, 12345.6, 0.5], [b"a", b"b"]) == (
        "--average parameters: these are independent runs, each in a minimum of its own, and between the minima the "
        "loss is higher: test/loss is 0.25 at run_0:5, 0.5 at run_1:5 and 12346 half-way (--barrier shows the line). "
        "--average probabilities averages what they predict; parameters can be averaged of runs that began with the "
        "weights of one (nnrun train --from)"
    )
    assert "--barrier shows" not in caution([0.25, 2.0, 0.5], [b"a", b"b"], barrier=True)


def test_no_caution_without_a_barrier_and_of_snapshots_only_where_their_average_is_worse():
    assert caution([0.25, 0.3, 0.5], [b"a", b"b"]) == ""
    assert caution([0.25, 2.0, 0.5], [b"a", b"a"]) == ""
    assert "these are snapshots of one run" in caution([0.25, 2.0, 0.5], [b"a", b"a"], together=1.9)
