"""best.yaml trains where it lies, whatever it names."""

from __future__ import annotations

from pathlib import Path

from nnrun import catalog, spec
from nnrun.runner import session
from nnrun.sweep.best import write_best

SPEC = """
name: own
data: {name: csv, path: table.csv, target: y, batch_size: 8}
model: {name: "nets.wide:wide", units: 3}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 2 steps}
"""
NET = """
from sizes import size
from nnrun.layer.dense import dense

def wide(units: int, outputs: int):
    return dense(size(outputs))
"""


def test_paths_and_the_users_own_modules(tmp_path: Path) -> None:
    base, root = tmp_path / "base", tmp_path / "sweep"
    base.mkdir()
    root.mkdir()
    (base / "spec.yaml").write_text(SPEC)
    (base / "nets").mkdir()
    (base / "nets" / "wide.py").write_text(NET)
    (base / "sizes.py").write_text("def size(outputs):\n    return outputs\n")
    rows = "\n".join(f"{i},{-i},{'ab'[i % 2]}" for i in range(40))
    (base / "table.csv").write_text(f"u,v,y\n{rows}\n")
    write_best(root, catalog.bind(spec.read(base / "spec.yaml")), "The best of 3 trials.")
    assert (root / "best.yaml").read_text().startswith("# The best of 3 trials.\n#   nnrun train best.yaml\n")
    for file in ("nets/wide.py", "sizes.py"):
        assert (root / file).read_bytes() == (base / file).read_bytes()
        (base / file).unlink()
    prepared = session.prepare(root / "best.yaml")
    assert prepared.spec.data.options["path"] == str(base / "table.csv")
    assert prepared.spec.model.options == {"units": 3}
    assert catalog.imported_files(prepared.spec) == [root / "nets/wide.py", root / "sizes.py"]
