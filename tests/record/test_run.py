"""Run folders: claimed once, found by what the user types, their state always whole."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime

import pytest

from nnrun.errors import MachineError, RunError, SpecError
from nnrun.record import run

NOW = datetime(2026, 1, 2, 3, 4, 5)


def make(path, status="done"):
    path.mkdir(parents=True)
    run.write_state(path, status)
    return path


def test_claim_names_the_folder_by_name_and_time(tmp_path):
    root = tmp_path / "deep" / "runs"
    assert run.claim(root, "digits", NOW) == root / "digits-20260102-030405"
    assert run.claim(root, "digits", NOW) == root / "digits-20260102-030405-2"
    assert run.claim(root, "digits", NOW) == root / "digits-20260102-030405-3"
    long = run.claim(root, "x" * 64, NOW)
    assert run.check_id(long.name, "here") == long.name


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 65, "é", "a\n", "\x1b[31m"])
def test_names_that_cannot_be_folders_are_refused(name, tmp_path):
    with pytest.raises(SpecError, match="cannot name a run") as caught:
        run.claim(tmp_path / "runs", name, NOW)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "runs").exists()


def test_processes_that_claim_at_once_get_a_folder_each(tmp_path):
    script = (
        "import sys; from datetime import datetime; from pathlib import Path; from nnrun.record import run\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(20): print(run.claim(Path(sys.argv[1]), 'a', datetime(2026, 1, 1)).name)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "runs")]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(5)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    names = [name for child in children for name in child.communicate()[0].split()]
    assert len(names) == len(set(names)) == 100
    assert sorted(names) == sorted(path.name for path in (tmp_path / "runs").iterdir())


def test_claim_at_takes_a_new_or_empty_folder_only(tmp_path):
    assert run.claim_at(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    run.claim_at(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "file").touch()
    for path in (tmp_path / "a" / "b", tmp_path / "a" / "b" / "file"):
        with pytest.raises(RunError, match="already exists"):
            run.claim_at(path)
    with pytest.raises(MachineError):
        run.claim_at(tmp_path / "a" / "b" / "file" / "c")


def test_state_is_what_was_written_last(tmp_path):
    with pytest.raises(RunError, match=r"state\.json: this file is missing"):
        run.read_state(tmp_path)
    assert not run.is_run(tmp_path)
    for status in run.STATUSES:
        run.write_state(tmp_path, status, step=3)
        assert run.read_state(tmp_path) == {"status": status, "step": 3}
    assert run.is_run(tmp_path)
    with pytest.raises(ValueError, match="not a status"):
        run.write_state(tmp_path, "crashed")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"status": "odd"}', '{"status": []}', "[" * 99_999])
def test_a_damaged_state_is_told(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(RunError, match=r"state\.json: damaged"):
        run.status(tmp_path)


def test_running_with_a_free_lock_is_crashed(tmp_path):
    for status in run.STATUSES:
        run.write_state(tmp_path, status)
        assert run.status(tmp_path) == ("crashed" if status == "running" else status)
        with run.lock(tmp_path):
            assert run.status(tmp_path) == status


def test_a_run_that_ends_while_it_is_looked_at_is_not_crashed(tmp_path, monkeypatch):
    run.write_state(tmp_path, "running")

    def ends(path):
        run.write_state(path, "done")
        return False

    monkeypatch.setattr(run, "is_locked", ends)
    assert run.status(tmp_path) == "done"


def test_find_gives_the_topmost_runs_and_members_those_inside(tmp_path):
    root = tmp_path / "runs"
    group = make(root / "group")
    seeds = [make(group / f"seed_{seed}") for seed in (0, 1, 2, 10)]
    single, deep = make(root / "single"), make(root / "more" / "deep")
    for name in (".hidden", "single/checkpoints"):
        make(root / name / "x")
    (root / "notes").mkdir()
    (root / "file").touch()
    (root / "more" / "up").symlink_to(root)
    assert run.find(root) == [group, deep, single]
    assert run.members(group) == seeds
    assert run.members(single) == []
    assert run.find(tmp_path / "absent") == []


def test_resolve_understands_what_users_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    one, two = make(root / "digits-20260101-000000"), make(root / "digits-20260102-000000")
    seed = make(two / "seed_0")
    exact, longer = make(root / "moons"), make(root / "moons-2")
    (tmp_path / "src").mkdir()
    assert run.resolve(str(one), root) == one
    assert run.resolve("runs/moons").resolve() == exact
    assert run.resolve("digits-20260101-000000", root) == one
    assert run.resolve("digits-20260102", root) == two
    assert run.resolve("digits-20260102-000000/seed_0", root) == seed
    assert run.resolve("moons", root) == exact  # the whole name goes before a beginning
    assert run.resolve("moons-", root) == longer
    for text, message in [
        ("digits", "2 runs begin so .digits-20260101-000000, digits-20260102-000000"),
        ("monos", "no such run .* did you mean 'moons'"),
        ("zzz", "no such run .* nnrun ls"),
        ("", "empty"),
        ("src", "not a run folder"),
        ("x" * 5000, "no such run"),
        ("a\x1b[31m\n", "no such run"),
    ]:
        with pytest.raises(RunError, match=message) as caught:
            run.resolve(text, root)
        assert str(caught.value).isprintable()
