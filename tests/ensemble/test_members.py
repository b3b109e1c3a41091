"""Which checkpoints are members, and what is refused, with run folders made by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nnrun.ensemble import members as members_module
from nnrun.ensemble.members import apart, check_choice, find
from nnrun.errors import Interrupted, RunError, SpecError
from nnrun.prediction.member import Member, make_member, stored
from nnrun.record import checkpoint
from nnrun.record.names import ENSEMBLE
from nnrun.runner.averaged import check_average
from nnrun.runner.evaluation import load_intact


def find_in(root: Path, *texts: str, which: str = "last", top: int | None = None) -> list[Member]:
    return find(texts, root, which, top, pytest.fail)


def steps(members: list[Member]) -> list[int]:
    return sorted(member.step for member in members)


@pytest.mark.parametrize("text", ["last", "best", "all", "cycle", "5", "100,200"])
def test_choices_of_checkpoints(text: str):
    check_choice(text)


@pytest.mark.parametrize("text", ["", "first", "1,", ",1", "1 2", "-1", "1.5", "last,10", "١", "all\n"])
def test_what_is_no_choice_of_checkpoints(text: str):
    with pytest.raises(SpecError, match=r"--checkpoints: got .*; write last, best, all, cycle, or steps"):
        check_choice(text)


def test_one_run_gives_its_last_its_best_or_any_step(make_run, tmp_path):
    make_run("run", steps=(10, 20, 30), best=20)
    assert steps(find_in(tmp_path, "run")) == [30]
    assert steps(find_in(tmp_path, "run", which="best")) == [20]
    assert steps(find_in(tmp_path, "run", which="10,30")) == [10, 30]
    assert steps(find_in(tmp_path, "run", which="all")) == [10, 20, 30]
    assert steps(find_in(tmp_path, "run:10")) == [10]


def test_the_ends_of_cycles_that_have_been_reached(make_run, tmp_path):
    make_run("run", steps=(10, 20, 30), kept=(10, 30, 50))
    assert steps(find_in(tmp_path, "run", which="cycle")) == [10, 30]
    make_run("plain")
    with pytest.raises(
        RunError, match=r"plain: no ends of cycles are kept; train with checkpoint.keep=cycle_ends"
    ):
        find_in(tmp_path, "plain", which="cycle")


def test_members_are_ordered_by_their_content_not_by_their_names(make_run, tmp_path):
    for seed in range(5):
        make_run(f"run_{seed}", seed=seed)
    forwards = find_in(tmp_path, *(f"run_{seed}" for seed in range(5)))
    backwards = find_in(tmp_path, *(f"run_{seed}" for seed in reversed(range(5))))
    assert forwards == backwards
    assert [member.sha256 for member in forwards] == sorted(member.sha256 for member in forwards)


def test_a_group_stands_for_its_seeds(make_run, tmp_path):
    for seed in range(3):
        make_run(f"group/seed_{seed}", seed=seed)
    (tmp_path / "group" / "state.json").write_text('{"status": "done"}')
    members = find_in(tmp_path, "group")
    assert {member.folder.name for member in members} == {"seed_0", "seed_1", "seed_2"}
    assert {member.name for member in members} == {f"group/seed_{i}:20" for i in range(3)}


def test_a_group_without_one_of_its_seeds_is_refused_by_name(make_run, tmp_path):
    """The group's own spec says how many it had."""
    for seed in (4, 6):
        make_run(f"group/seed_{seed}", seed=seed)
    (tmp_path / "group" / "state.json").write_text('{"status": "done"}')
    (tmp_path / "group" / "resolved.yaml").write_text("train: {seed: 4, seeds: 3}\n")
    with pytest.raises(
        RunError, match=r"group/seed_5: this run of the group is missing; put it back, or name"
    ):
        find_in(tmp_path, "group")
    make_run("group/seed_5", seed=5)
    assert len(find_in(tmp_path, "group")) == 3


def test_a_finished_run_without_its_last_checkpoint_has_no_other_last_or_best(make_run, tmp_path):
    folder = make_run("run", steps=(10, 20, 30))
    shutil.rmtree(folder / "checkpoints" / "step_00000030")
    for which in ("last", "best"):
        with pytest.raises(RunError, match=r"run: its last checkpoint, of step 30, is missing; .*: 10, 20$"):
            find([str(folder)], tmp_path, which, None, pytest.fail)
    [member] = find([f"{folder}:20"], tmp_path, "best", None, pytest.fail)
    assert member.step == 20


def test_every_problem_is_reported_at_once(make_run, tmp_path):
    make_run("good", seed=1)
    make_run("lost", seed=2, status="diverged")
    make_run("empty", seed=3, steps=())
    with pytest.raises(RunError) as caught:
        find_in(tmp_path, "good", "lost", "nothing", "empty", "good")
    messages = str(caught.value).splitlines()
    assert len(messages) == 4
    assert "lost: diverged, so it cannot be a member; name the others" in messages[0]
    assert "nothing: no such run" in messages[1]
    assert "empty: has no checkpoint" in messages[2]
    assert "good: step 20: the same as" in messages[3] and messages[3].endswith("name it once")


def test_a_copy_of_a_run_is_the_same_member(make_run, tmp_path):
    """It is the content that counts, not the folder; the memory of the optimizer does not."""
    make_run("run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with pytest.raises(RunError, match="the same as"):
        find_in(tmp_path, "run", "copy")
    make_run("again", arrays={"opt_state/m": np.ones(3, np.float32)})
    with pytest.raises(RunError, match="the same as"):
        find_in(tmp_path, "run", "again")


def test_members_of_other_data_are_refused_with_both_digests(make_run, tmp_path):
    make_run("first", seed=1, data="a" * 64)
    make_run("second", seed=2, data="b" * 64)
    with pytest.raises(
        RunError, match=r"digests (a{12}… and b{12}…|b{12}… and a{12}…)\); members must share data"
    ):
        find_in(tmp_path, "first", "second")


def test_parameters_that_are_not_finite_are_refused(make_run):
    folder = make_run("run")
    content = load_intact(folder, "last")
    content.arrays["params/kernel"][0, 0] = np.nan
    with pytest.raises(RunError, match=r"run: step 20: params/kernel is not finite; name the others"):
        make_member(folder, content, None)
    content.arrays["params/kernel"][0, 0] = 0
    content.arrays["opt_state/m"][0] = np.inf  # which predicts nothing
    assert make_member(folder, content, None).step == 20


def test_a_run_that_still_trains_gives_what_it_has_with_a_warning(make_run, tmp_path):
    make_run("run", status="interrupted")
    warnings: list[str] = []
    [member] = find(["run"], tmp_path, "last", None, warnings.append)
    assert member.step == 20
    assert warnings == [f"{tmp_path}/run: is not finished (interrupted); its newest checkpoints are taken"]


def test_a_damaged_checkpoint_is_refused_and_none_takes_its_place(make_run, tmp_path):
    folder = make_run("run")
    file = checkpoint.step_folder(folder / "checkpoints", 20) / "arrays.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="SHA-256 differs") as caught:
        find_in(tmp_path, "run")
    assert "skipped" not in str(caught.value)


def test_a_member_of_an_ensemble_has_one_checkpoint_whatever_is_asked(make_run, tmp_path):
    make_run("whole/member_01", steps=(20,))
    (tmp_path / "whole" / ENSEMBLE).write_text("{}")
    assert steps(find_in(tmp_path, "whole/member_01", which="all")) == [20]
    assert steps(find_in(tmp_path, "whole/member_01", which="cycle")) == [20]
    with pytest.raises(RunError, match="has no checkpoint '10'"):
        find_in(tmp_path, "whole/member_01", which="10")


def test_a_signal_ends_the_search(make_run, tmp_path, monkeypatch):
    make_run("run")
    monkeypatch.setattr(members_module.signals, "pending", lambda: 15)
    with pytest.raises(Interrupted, match="nothing was written"):
        find_in(tmp_path, "run")


# Sweeps


@pytest.fixture
def sweep(make_run, tmp_path) -> Path:
    """Three trials, best first, of which the second failed."""
    for i in range(3):
        make_run(f"sweep/trials/sgd-{i:03d}", seed=i)
    folder = tmp_path / "sweep"
    statuses = ("done", "failed", "done")
    trials = [
        {"run": f"trials/sgd-{i:03d}", "status": status}
        for i, status in zip((2, 0, 1), statuses, strict=True)
    ]
    (folder / "leaderboard.json").write_text(json.dumps({"trials": trials}))
    (folder / "sweep.json").write_text("{}")
    return folder


def test_the_best_finished_trials_of_a_sweep(sweep, tmp_path):
    [best] = find_in(tmp_path, "sweep", top=1)
    assert best.folder.name == "sgd-002"
    assert best.name == "trials/sgd-002:20"
    assert {member.folder.name for member in find_in(tmp_path, "sweep", top=2)} == {"sgd-002", "sgd-001"}
    with pytest.raises(RunError, match=r"--top 3: the sweep has 2 finished trials; write fewer"):
        find_in(tmp_path, "sweep", top=3)


def test_a_sweep_needs_top_and_nothing_else_does(sweep, make_run, tmp_path):
    with pytest.raises(SpecError, match=r"a sweep; write --top 5 for its five best trials"):
        find_in(tmp_path, "sweep")
    make_run("run", seed=9)
    with pytest.raises(SpecError, match=r"--top: none of the members is a sweep"):
        find_in(tmp_path, "run", top=2)
    assert len(find_in(tmp_path, "run", "sweep", top=1)) == 2


def test_a_sweep_without_a_leaderboard_or_with_a_damaged_one(sweep, tmp_path):
    for content in ('{"trials": [{"run": "x"}]}', '{"trials": 3}', '{"trials": ["x"]}'):
        (sweep / "leaderboard.json").write_text(content)
        with pytest.raises(RunError, match=r"leaderboard.json: damaged; restore it"):
            find_in(tmp_path, "sweep", top=1)
    (sweep / "leaderboard.json").unlink()
    with pytest.raises(RunError, match=r"not finished; `nnrun sweep --resume .*sweep` continues it"):
        find_in(tmp_path, "sweep", top=1)


# Averages that a run kept


EMA = {
    "average/ema/sum/kernel": np.ones((2, 3), np.float32),
    "average/swa/sum/kernel": np.ones((2, 3), np.float32),
}


def test_an_average_is_another_member_than_the_trained_parameters(make_run, tmp_path):
    make_run("run", arrays=EMA)
    members = find_in(tmp_path, "run", "run:ema", "run:swa")
    assert [member.average for member in sorted(members, key=lambda m: m.average or "")] == [
        None,
        "ema",
        "swa",
    ]
    assert {member.name for member in members} == {"run:20", "run:20:ema", "run:20:swa"}
    assert len({member.sha256 for member in members}) == 3
    assert any(member.place == f"{tmp_path}/run: step 20, ema" for member in members)


def test_an_average_that_is_not_kept_is_refused_with_the_nearest(make_run, tmp_path):
    make_run("run", arrays=EMA)
    with pytest.raises(RunError, match=r"run: keeps no average 'em'; did you mean ema\?"):
        find_in(tmp_path, "run:em")
    make_run("plain")
    with pytest.raises(
        RunError, match=r"plain: keeps no average 'ema'; train with average: ema, or leave it out"
    ):
        find_in(tmp_path, "plain:ema")
    check_average(load_intact(tmp_path / "plain", "last"), None, "plain")  # nothing is asked for


def test_a_stored_average_is_loaded_from_where_it_is_kept(make_run, tmp_path):
    folder = make_run("run", arrays=EMA)
    content = load_intact(folder, "last")
    member = make_member(folder, content, "ema")
    changed = {**content.arrays, "params/kernel": np.full((2, 3), 7.0, np.float32)}
    kept = stored(member, content._replace(arrays=changed), tmp_path / "kept" / "01")
    assert kept.load().arrays["params/kernel"].tolist() == [[7.0] * 3] * 2
    assert member.load().arrays["params/kernel"].tolist() == content.arrays["params/kernel"].tolist()
    assert kept.name == member.name
    assert kept.content != member.content and len(kept.sha256) == 64
    changed["params/kernel"][0, 0] = np.inf
    with pytest.raises(RunError, match="not finite"):
        stored(member, content._replace(arrays=changed), tmp_path / "kept" / "02")


def test_snapshots_of_one_run_share_their_origin(make_run, tmp_path):
    make_run("run", seed=3)
    make_run("other", seed=3, spec_hash="another", arrays={"params/bias": np.zeros(3, np.float32)})
    a, b = find_in(tmp_path, "run", which="all")
    [c] = find_in(tmp_path, "other")
    assert a.origin == b.origin != c.origin


def test_twins_are_reported_for_each_further_one():
    member = Member(Path("a"), 1, "s", "content", "data", b"")
    problems = apart([member, member._replace(folder=Path("b")), member._replace(folder=Path("c"))])
    assert problems == [
        "b: step 1: the same as a: step 1; name it once",
        "c: step 1: the same as a: step 1; name it once",
    ]
    assert apart([member, member._replace(content="another")]) == []


def test_a_hostile_name_stays_on_one_line():
    member = Member(Path("runs/a\nb\x1b[31m" + "x" * 200), 1, "", "", "", b"", "em\na")
    assert member.name.isprintable() and len(member.name) <= 80
    assert member.place.isprintable()
