"""What the documents show is run, and what there is to document is documented."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from nnrun import catalog, cli, spec
from nnrun.probe.check import CHECKS
from nnrun.sweep import file as sweep_file

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
TOUR, TUTORIAL = ((ROOT / "docs" / f"{page}.md").read_text() for page in ("tour", "tutorial"))
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
TABLES = COMMANDS.partition("\n## ")[0]
COMMAND_GROUP: Any = typer.main.get_command(cli.app)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def installs(block: str) -> bool:
    return "pip install" in block


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout as the README's reader has it, but that runs are short."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


def shorten(folder: Path) -> None:
    """Two epochs and one layer for the specs of a folder, two optimizers for a sweep."""
    for path in [*folder.glob("*.yaml"), *folder.glob("configs/*.yaml")]:
        text = re.sub(r"duration: \d+ epochs", "duration: 2 epochs", path.read_text())
        text = re.sub(r"hidden: \[\d+,.*?\]", "hidden: [32]", text)
        path.write_text(re.sub(r"\n +- \{name: (momentum|nesterov|adagrad|rmsprop),.*", "", text))


def commands_of(*pages: str) -> list[str]:
    """The commands of pages in their order, each once."""
    shown = [block for page in pages for block in blocks(page, "sh") if not installs(block)]
    lines = [line for block in shown for line in block.splitlines() if line]
    assert len(lines) >= 3
    return list(dict.fromkeys(lines))


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def with_newest_run(line: str, folder: Path) -> str:
    """The line with the newest of the reader's runs for RUN."""
    newest = max((folder / "runs").glob("digits-*"), default=None) if (folder / "runs").exists() else None
    return line.replace("RUN", newest.name) if newest else line


def run_shortened(lines: list[str], folder: Path, warm: Callable[..., Any], **settings: str) -> None:
    """The commands in their order, for two epochs.  settings: of the environment."""
    for line in lines:
        shorten(folder)
        line = re.sub(r"train.seeds=\d", "train.seeds=2", line).replace("sweep.trials=8", "sweep.trials=4")
        line = line.replace("lr-find", "lr-find --rates 5 --seeds 1")
        command, _, file = with_newest_run(line, folder).partition(" > ")
        program, *words = shlex.split(command)
        assert program == "nnrun"
        done = warm(*words, folder=folder, **settings)
        assert done.code == 0, f"{line}\n{done.err}"
        if file:
            (folder / file).write_text(done.out)


def test_every_command_of_the_readme_runs(folder: Path, warm: Callable[..., Any]) -> None:
    """With those of the tutorial; `test_the_readme_word_for_word` is the whole."""
    lines = commands_of(TUTORIAL, README)
    assert set(commands_of(README)) <= set(commands_of(TUTORIAL, TOUR))
    run_shortened(lines, folder, warm)


@pytest.mark.slow
def test_every_command_of_the_tour_runs(folder: Path, warm: Callable[..., Any]) -> None:
    run_shortened(commands_of(TUTORIAL, TOUR), folder, warm)


@pytest.mark.slow
def test_the_commands_of_the_reports_run(folder: Path, warm: Callable[..., Any]) -> None:
    lines = commands_of(page("reports"))
    run_shortened(["nnrun train configs/digits.yaml", *lines], folder, warm)
    [run] = (folder / "runs").iterdir()
    report, picture = (run / "report.html").read_text(), (folder / "rate.svg").read_text()
    assert "<h2>Examples" in report and "<h2>Examples" in (folder / "test.html").read_text()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG") and "<svg" in picture


@pytest.mark.slow
def test_the_commands_of_the_trackers_run(folder: Path, nnrun: Callable[..., Any]) -> None:
    """With a local store in place of the server, and files in place of the service."""
    for package in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(package)
    lines = [
        line.replace("http://localhost:5000", f"sqlite:///{folder}/runs.db")
        for line in commands_of(page("trackers"))
    ]
    assert any("sqlite" in line for line in lines)
    run_shortened(lines, folder, partial(nnrun, seconds=200), PYTHONWARNINGS="default", WANDB_MODE="offline")
    [run] = (folder / "runs").iterdir()
    sent = json.loads((run / "tracking.json").read_text())["trackers"]
    assert len(sent) == 3 and all(entry["ended"] and entry["problem"] is None for entry in sent.values()), (
        sent
    )


@pytest.mark.slow
def test_the_commands_of_the_gpu_run(folder: Path, warm: Callable[..., Any], mnist_folder: Path) -> None:
    """On the devices that are here, of which there may be one; those that set how much of a GPU is taken need one."""
    lines = [line for block in blocks(page("gpu"), "sh") for line in block.splitlines()]
    [line] = [line for line in lines if not line.startswith("XLA_")]
    run_shortened([f"{line} data.examples=2000"], folder, warm, NNRUN_DATA_DIR=str(mnist_folder.parent))
    [run] = (folder / "runs").iterdir()
    assert json.loads((run / "state.json").read_text())["status"] == "done"


@pytest.mark.slow
def test_the_commands_of_the_cross_validation_run(folder: Path, warm: Callable[..., Any]) -> None:
    shorten(folder)
    text = (ROOT / "docs" / "cross_validation.md").read_text(encoding="utf-8")
    (block,) = blocks(text, "sh")
    for line in block.replace("folds=5 data.validation=0.2", "folds=2 data.validation=0.5").splitlines():
        done = warm(*shlex.split(line)[1:], folder=folder)
        assert done.code == 0, f"{line}\n{done.err}"
    assert len((folder / "out_of_fold.csv").read_text().splitlines()) == 1 + 142  # 178 without a fifth


def test_the_commands_before_a_run_are_those_of_the_tour() -> None:
    """Which are run; and the page names every check."""
    text = (ROOT / "docs" / "before_a_run.md").read_text(encoding="utf-8")
    shown = [line for block in blocks(text, "sh") for line in block.splitlines()]
    assert len(shown) == 4 and set(shown) <= set(commands_of(TOUR))
    for name in CHECKS:
        assert re.search(rf"^\| .*\b{name}\b.* \| ", text, re.MULTILINE), name


@pytest.mark.slow
def test_the_readme_word_for_word(folder: Path) -> None:
    """With the tutorial and the tour, by a shell, with a `nnrun` on the path."""
    script = folder / "bin" / "nnrun"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nnrun "$@"\n')
    script.chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("JAX_", "XLA_"))},
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "c"),
    }
    for line in commands_of(TUTORIAL, TOUR):
        done = subprocess.run(
            with_newest_run(line, folder),
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.slow
def test_the_commands_of_a_model_in_use_run(folder: Path, warm: Callable[..., Any]) -> None:
    """On ten of the rows that diabetes.yaml trains on, as a file."""
    from sklearn.datasets import load_diabetes

    shorten(folder)
    data = load_diabetes(scaled=False)
    rows = [[*data.feature_names, "target"], *np.column_stack([data.data, data.target])[:10].tolist()]
    table = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "new.csv").write_text(table)
    [block] = blocks((ROOT / "docs" / "a_model_in_use.md").read_text(), "sh")
    for line in block.splitlines():
        command, _, file = line.partition(" < ")
        done = warm(*shlex.split(command)[1:], folder=folder, stdin=folder / file if file else os.devnull)
        assert done.code == 0, f"{line}\n{done.err}"


@pytest.mark.slow
def test_the_python_of_a_model_in_use_runs(folder: Path) -> None:
    """Both examples, in one process."""
    code = "\n".join(blocks((ROOT / "docs" / "a_model_in_use.md").read_text(), "python"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    first, second, last = done.stdout.splitlines()
    assert re.fullmatch(r"Predictor\(runs/wine-\S+, step \d+: inputs \(13,\) -> 3 classes\)", first)
    assert second.endswith("[1. 1.]") and last == "(1, 13)"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_python_of_from_python_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All examples, in this process; specs train for two epochs."""
    shorten(folder)
    monkeypatch.chdir(folder)
    code = "\n".join(blocks((ROOT / "docs" / "from_python.md").read_text(), "python"))
    code = code.replace("trials: 4", "trials: 1").replace("cv=3", "cv=2").replace("epochs=20", "epochs=5")
    exec(compile(code, "from_python.md", "exec"), {"__name__": "from_python"})
    shown = capsys.readouterr().out
    assert "mean of 3 members" in shown
    *_, answer, accuracy, best = shown.splitlines()
    assert "ahead on validation data" in answer or "beats" in answer
    assert float(accuracy) > 0.8  # 0.63 are benign
    assert best in ("{'learning_rate': 0.003}", "{'learning_rate': 0.03}")


def test_the_python_of_the_tour_runs(folder: Path) -> None:
    [code] = blocks(TOUR, "python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"runs/wine\S* 0\.9\d+|runs/wine\S* 1\.0", done.stdout)


def test_the_spec_of_the_tour_is_the_config() -> None:
    [shown] = blocks(TOUR, "yaml")
    config = (ROOT / "configs" / "digits.yaml").read_text()
    assert shown == "".join(line for line in config.splitlines(True) if not line.startswith("#"))


def test_the_users_own_code_of_the_docs_trains(tmp_path: Path, warm: Callable[..., Any]) -> None:
    text = (ROOT / "docs" / "your_own_code.md").read_text()
    code = blocks(text, "python")[0]
    whole, numbers, model = blocks(text, "yaml")
    (tmp_path / "my_parts.py").write_text(code)
    (tmp_path / "my_spec.yaml").write_text(whole)
    (tmp_path / "my_layers.yaml").write_text(re.sub(r"model: .*\n", model, whole))
    (tmp_path / "my_numbers.yaml").write_text(numbers)
    for file in ("my_spec.yaml", "my_layers.yaml", "my_numbers.yaml"):
        assert file == "my_layers.yaml" or f"`{file}`" in text
        done = warm("train", file, "--quiet", folder=tmp_path)
        assert done.code == 0, done.err
    assert "test/worst_tenth" in done.out and "test/mae" in done.out


@pytest.mark.quick("2-nnx")
@pytest.mark.parametrize(("number", "library"), [(1, "linen"), (2, "nnx"), (3, "equinox")])
def test_a_module_of_another_library_of_the_docs_trains(
    number: int, library: str, tmp_path: Path, warm: Callable[..., Any]
) -> None:
    pytest.importorskip("equinox" if library == "equinox" else "flax")
    text = (ROOT / "docs" / "your_own_code.md").read_text()
    (tmp_path / f"my_{library}.py").write_text(blocks(text, "python")[number])
    assert f"`my_{library}.py`" in text
    whole = blocks(text, "yaml")[0]
    own = re.sub(r"model: .*\n", f'model: {{name: "my_{library}:net", dropout: 0.3}}\n', whole)
    own = re.sub(r"(augment|optimizer|metrics): .*\n", "", own) + "optimizer: adam\n"
    (tmp_path / f"my_{library}.yaml").write_text(own)
    done = warm("train", f"my_{library}.yaml", "--quiet", folder=tmp_path)
    assert done.code == 0, done.err


def test_every_config_has_its_command_and_is_valid() -> None:
    configs = sorted((ROOT / "configs").glob("*.yaml"))
    assert configs
    for path in configs:
        is_sweep = "\nsweep:" in path.read_text()
        header = path.read_text().partition("\nname:")[0]
        assert f"nnrun {'sweep' if is_sweep else 'train'} configs/{path.name}" in header
        if is_sweep:
            assert sweep_file.read(path).alternatives
        else:
            catalog.check_names(spec.read(path))
        assert "Measured" in header


def test_the_tables_of_the_commands_are_what_they_say_of_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python docs/make_commands.py` writes them."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    assert importlib.import_module("make_commands").written(COMMANDS) == COMMANDS


def test_every_command_and_option_is_documented() -> None:
    for name, command in COMMAND_GROUP.commands.items():
        assert f"| `nnrun {name}" in TABLES
        for parameter in command.params:
            spellings = [text for text in parameter.opts if text.startswith("-")] or [parameter.metavar]
            assert all(re.search(rf"`{spelling}[ `]", TABLES) for spelling in spellings), (name, spellings)
    for parameter in COMMAND_GROUP.params:
        assert any(f"`{option}" in COMMANDS or f"{option}`" in COMMANDS for option in parameter.opts), (
            parameter.name
        )


def test_every_key_is_documented() -> None:
    keys = [f"{s}.{key}" for s, model in spec.SECTIONS.items() for key in model.model_fields]
    keys += [f"{kind}.{key}" for kind, model in spec.COMMON.items() for key in model.model_fields]
    keys = [key for key in keys if key != "train.early_stopping"]
    keys += [f"train.early_stopping.{key}" for key in spec.EarlyStoppingSection.model_fields]
    assert [key for key in keys if f"| `{key}` |" not in COMMANDS] == []


def test_documents_point_to_what_exists() -> None:
    """Those of the top level; `mkdocs build --strict` looks at the links of docs/."""
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert target.startswith("http") or (ROOT / target).exists(), f"{document.name}: {target}"


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_the_install_commands_of_the_readme(index: int, tmp_path: Path) -> None:
    """In a fresh checkout and a fresh environment; the second one passes the tests there."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "nnrun")], check=True)
    commands = [block for block in blocks(README, "sh") if installs(block)]
    prepare = "" if index == 0 else "python3 -m venv .venv && "
    done = subprocess.run(
        prepare + commands[index], shell=True, cwd=tmp_path / "nnrun", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def table_of_the_docs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What docs/your_own_table.md has its reader write: the table and four specs; and its text."""
    folder, text = tmp_path_factory.mktemp("table"), (ROOT / "docs" / "your_own_table.md").read_text()
    [code] = blocks(text, "python")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=100)
    for name, content in zip(("churn", "customers", "people", "films"), blocks(text, "yaml"), strict=True):
        assert f"`{name}.yaml`" in text
        (folder / f"{name}.yaml").write_text(content.replace("40 epochs", "2 epochs"))
    return folder, text


def test_a_raw_table_is_answered_as_the_docs_show(
    table_of_the_docs: tuple[Path, str], warm: Callable[..., Any]
) -> None:
    folder, text = table_of_the_docs
    refusal, columns = blocks(text, "text")
    done = warm("train", "churn.yaml", "--dry-run", folder=folder)
    assert done.code == 3
    assert done.err.replace(f"nnrun: {folder}/", "") == refusal
    for line in blocks(text, "sh")[0].splitlines():
        program, *words = shlex.split(line)
        assert program == "nnrun"
        done = warm(*words, folder=folder)
        assert done.code == 0, f"{line}\n{done.err}"
        if words[0] == "train":
            shown = done.out if "--dry-run" in words else done.err.replace("nnrun: ", "")
            assert columns in shown
    assert (folder / "predictions.csv").read_text().startswith("customer_id,label,p(no),p(yes)\nC00000,")


def test_several_targets_are_trained_as_the_docs_show(
    table_of_the_docs: tuple[Path, str], warm: Callable[..., Any]
) -> None:
    folder, _ = table_of_the_docs
    rows = [f"{i % 7},{170 + i % 7},{70 + i % 5}" for i in range(200)]
    (folder / "people.csv").write_text("\n".join(["age,height,weight", *rows]))
    done = warm("train", "people.yaml", "--run-dir", "people", folder=folder)
    assert done.code == 0, done.err
    assert "target     number     height, weight (2): a number" in done.err
    done = warm("predict", "people", "people.csv", "-o", "-", folder=folder)
    assert done.out.startswith("prediction(height),prediction(weight)\n")


def test_several_labels_are_trained_as_the_docs_show(
    table_of_the_docs: tuple[Path, str], warm: Callable[..., Any]
) -> None:
    folder, _ = table_of_the_docs
    rows = [f"{i % 7},{int(i % 7 > 2)},{i // 3 % 2},{i // 2 % 2}" for i in range(200)]
    (folder / "films.csv").write_text("\n".join(["length,comedy,crime,award", *rows]))
    done = warm("train", "films.yaml", "--run-dir", "films", folder=folder)
    assert done.code == 0, done.err
    assert "target     category   comedy, crime, award (3): a label, 0 or 1" in done.err
    assert "test/exact_match" in done.out and "test/f1_1" in done.out


@pytest.fixture(scope="module")
def images_of_the_docs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What docs/your_own_images.md has its reader write: images, weights and two specs; and its text."""
    folder, text = tmp_path_factory.mktemp("images"), (ROOT / "docs" / "your_own_images.md").read_text()
    [code] = blocks(text, "python")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=100)
    for name, content in zip(("plain", "pictures"), blocks(text, "yaml"), strict=True):
        assert f"`{name}.yaml`" in text
        quick = content.replace("4 epochs", "1 epoch").replace("name: convnet", "name: linear")
        (folder / f"{name}.yaml").write_text(quick)
    return folder, text


def test_a_raw_folder_of_images_is_answered_as_the_docs_show(
    images_of_the_docs: tuple[Path, str], warm: Callable[..., Any]
) -> None:
    folder, text = images_of_the_docs
    cache = {"XDG_CACHE_HOME": str(folder / "cache")}
    refusal, notes = blocks(text, "text")
    done = warm("train", "plain.yaml", "--dry-run", folder=folder, **cache)
    assert done.code == 3
    assert f"nnrun: {refusal}" in done.err.replace(f"{folder}/", "")
    for line in blocks(text, "sh")[0].splitlines():
        done = warm(*shlex.split(line)[1:], folder=folder, **cache)
        assert done.code == 0, f"{line}\n{done.err}"
        if " train " in line:
            assert notes in (done.out if "--dry-run" in line else done.err.replace("nnrun: ", ""))
    assert len((folder / "predictions.csv").read_text().splitlines()) == 1 + 128
    assert "left out by data.exclude: 2 files" in done.err
