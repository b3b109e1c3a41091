"""Where runs continue: alone from their newest good checkpoint, together from one common step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.record import checkpoint
from nnrun.record.pack import ARRAYS
from nnrun.runner.restore import newest

RunAt = Callable[..., Path]
FORMS: Any = {"params/w": ((3,), "float32")}


def damage(folder: Path, step: int) -> None:
    (checkpoint.step_folder(folder / "checkpoints", step) / ARRAYS).write_bytes(b"damaged")


def reached(folders: list[Path], warnings: list[str] | None = None, **options: Any) -> list[int | None]:
    warn = (warnings if warnings is not None else []).append
    restored = newest(folders, FORMS, warn, **options)
    return [item.checkpoint.step if item.checkpoint else None for item in restored]


def test_a_single_run_continues_from_its_newest_good_checkpoint(run_at: RunAt) -> None:
    folder, warnings = run_at("a", steps=(4, 8, 12)), list[str]()
    (restored,) = newest([folder], FORMS, warnings.append)
    assert restored.checkpoint is not None and restored.ended is None and warnings == []
    np.testing.assert_array_equal(restored.checkpoint.state["params/w"], [12, 12, 12])
    damage(folder, 12)
    assert reached([folder], warnings) == [8]
    assert len(warnings) == 1 and "skipped this checkpoint" in warnings[0] and "12" in warnings[0]
    assert reached([run_at("b")]) == [None]


def test_a_single_run_that_is_done_has_its_checkpoint_all_the_same(run_at: RunAt) -> None:
    (restored,) = newest([run_at("a", "done", steps=(4, 8))], FORMS, print)
    assert restored.ended is None and restored.checkpoint is not None and restored.checkpoint.step == 8


def test_seeds_continue_from_the_newest_step_that_all_have(run_at: RunAt) -> None:
    folders = [run_at("a", steps=(4, 8, 12)), run_at("b", steps=(4, 8)), run_at("c", steps=(8, 16))]
    assert reached(folders) == [8, 8, 8]
    assert reached([*folders, run_at("d")]) == [None] * 4  # killed before the first checkpoint of one
    with pytest.raises(RunError, match="no good checkpoint of one common step"):
        reached([*folders, run_at("e", steps=(12,))])


def test_a_damaged_checkpoint_of_one_seed_takes_all_back(run_at: RunAt) -> None:
    folders, warnings = [run_at(name, steps=(4, 8, 12)) for name in "abc"], list[str]()
    damage(folders[1], 12)
    assert reached(folders, warnings) == [8, 8, 8]
    assert (
        len(warnings) == 1 and "going back to the checkpoint before" in warnings[0] and "/b/" in warnings[0]
    )
    for folder in folders:
        damage(folder, 8), damage(folder, 4)
    with pytest.raises(RunError, match="its runs have no good checkpoint"):
        reached(folders)


def test_a_seed_that_has_ended_holds_nobody_back(run_at: RunAt) -> None:
    folders = [run_at("a", steps=(4, 8)), run_at("b", "diverged", steps=(4,)), run_at("c", steps=(4, 8))]
    going, diverged, _ = newest(folders, FORMS, print)
    assert reached(folders) == [8, 4, 8]
    assert going.ended is None and diverged.ended == {"status": "diverged", "step": 4}
    everyone = [run_at(name, "done", steps=(4, 8)) for name in ("d", "e")]
    assert reached(everyone) == [8, 8]
    assert reached([run_at("f", "done"), run_at("g", steps=(4,))]) == [None, 4]


@pytest.mark.parametrize(
    ("until", "steps", "waiting"),
    [
        (8, [4, 12], {"status": "interrupted", "step": 12}),
        (12, [4, 12], {"status": "interrupted", "step": 12}),
        (13, [4, 4], None),
        (None, [4, 4], None),
    ],
)
def test_a_lane_that_is_far_enough_waits_for_the_others(
    until: int | None, steps: list[int], waiting: dict[str, object] | None, run_at: RunAt
) -> None:
    restored = newest([run_at("a", steps=(4,)), run_at("b", steps=(4, 8, 12))], FORMS, print, until=until)
    assert [item.checkpoint.step if item.checkpoint else None for item in restored] == steps
    assert [item.ended for item in restored] == [None, waiting]


def test_a_lane_whose_newest_checkpoint_is_damaged_does_not_wait(run_at: RunAt) -> None:
    folders, warnings = [run_at("a", steps=(4, 8)), run_at("b", steps=(4, 8, 12))], list[str]()
    damage(folders[1], 12)
    restored = newest(folders, FORMS, warnings.append, until=12)
    assert [item.ended for item in restored] == [None, None]
    assert [item.checkpoint and item.checkpoint.step for item in restored] == [8, 8]
    assert any("skipped" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("forms", "words"),
    [
        ({"params/w": ((4,), "float32")}, r"params/w is float32 \[3\] in the checkpoint and float32 \[4\]"),
        ({"params/w": ((3,), "float64")}, r"float32 \[3\] in the checkpoint and float64 \[3\]"),
        ({"params/v": ((3,), "float32")}, "params/v is absent in the checkpoint"),
        ({}, "and absent in the model"),
    ],
)
def test_the_checkpoint_of_another_model_is_refused_with_its_place(
    forms: Any, words: str, run_at: RunAt
) -> None:
    with pytest.raises(RunError, match=words) as raised:
        newest([run_at("a", steps=(4, 8))], forms, print)
    assert str(checkpoint.step_folder(Path("a") / "checkpoints", 8)) in str(raised.value)
