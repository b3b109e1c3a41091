"""Trains what docs/sweeps.md and docs/ensembles.md show pictures of, and takes the pictures from its folder.

    python docs/make_results.py                     both
    python docs/make_results.py --only sweep        configs/sweep_mnist.yaml
    python docs/make_results.py --only ensemble     configs/ensemble_cifar10.yaml, averaged with --barrier

On two cores the sweep takes some six minutes, the ensemble a quarter of an hour.

MNIST is read from NNRUN_DATA_DIR, or downloaded where that is unset.  `--images` names a folder that holds
train/CLASS/ and test/CLASS/ of CIFAR-10 as images; `--runs` one that keeps the runs, of which those that are done are
not trained again.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import nnrun

__all__ = ["PICTURES", "main"]

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "pictures"
PICTURES = {  # section -> name below plots/ of the folder -> name in docs/pictures
    "sweep": {"leaderboard": "sweep_leaderboard", "best-of-k": "sweep_best_of_k"},
    "ensemble": {
        "curve": "ensemble_curve",
        "barrier": "ensemble_barrier",
        "reliability": "ensemble_reliability",
    },
}


def main() -> None:
    """Makes the sections that are wanted, one after another."""
    parser = argparse.ArgumentParser(
        description="Makes the pictures of docs/sweeps.md and docs/ensembles.md."
    )
    parser.add_argument("--only", choices=PICTURES, help="one section")
    parser.add_argument("--images", type=Path, help="CIFAR-10 as train/CLASS/ and test/CLASS/")
    parser.add_argument("--runs", type=Path, help="where runs are kept; by default they are thrown away")
    arguments = parser.parse_args()
    sections = [arguments.only] if arguments.only else list(PICTURES)
    if "ensemble" in sections and arguments.images is None:
        parser.error("--images: name the folder of the CIFAR-10 images, or write --only sweep")
    with tempfile.TemporaryDirectory() as thrown_away:
        runs = (arguments.runs or Path(thrown_away)).absolute()
        for name in sections:
            begin = time.perf_counter()
            folder = sweep(runs) if name == "sweep" else ensemble(runs, arguments.images.absolute())
            copy(folder, PICTURES[name])
            print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


def sweep(runs: Path) -> Path:
    """The folder of the sweep over optimizers on MNIST."""
    folder = runs / "sweep"
    spec = ROOT / "configs" / "sweep_mnist.yaml"
    return _once(
        folder,
        lambda: nnrun.sweep(resume=folder) if folder.exists() else nnrun.sweep(spec, run_dir=folder),
    )


def ensemble(runs: Path, images: Path) -> Path:
    """The folder of the ensemble of ten convnets."""
    members, folder = runs / "ten", runs / "ten-together"
    spec = ROOT / "configs" / "ensemble_cifar10.yaml"
    _once(members, lambda: nnrun.train(spec, [f"data.path={images}"], run_dir=members))
    return _once(folder, lambda: nnrun.ensemble([members], barrier=True, run_dir=folder))


def _once(folder: Path, make: Callable[[], object]) -> Path:
    """The folder, made where there is none that is done."""
    state = folder / "state.json"
    if not state.is_file() or '"done"' not in state.read_text(encoding="utf-8"):
        make()
    return folder


def copy(folder: Path, names: dict[str, str]) -> None:
    """Copies pictures as small as they are without loss a reader would see: 256 colours, as those of other pages."""
    for source, name in names.items():
        content = io.BytesIO()
        with Image.open(folder / "plots" / f"{source}.png") as picture:
            flat = Image.new("RGB", picture.size, "white")
            flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
            flat.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                content, "PNG", optimize=True
            )
        (PLACE / f"{name}.png").write_bytes(content.getvalue())


if __name__ == "__main__":
    main()
