"""nnrun's whole training loop against torch on convolutional nets, on this machine's CPU.

    pip install -e ".[bench]"
    NNRUN_DATA_DIR=... python benchmarks/convolutions.py [--rounds 5] [--rows conv32-conv64,resnet20] [--json FILE]

Timed as in train_mlp.py: interleaved in one process, without compilation, as the median of the ratios of pairs;
more than 1 means that nnrun is faster.  Both sides train in float32 with momentum on the same examples, log
the loss and accuracy of every 50 steps, evaluate the validation part after every epoch and the test part at the
end, and have the memory settings of nnrun's command line; nnrun also writes its metrics file, its checkpoints and
its summary.

The rivals are torch eager, as most people write it, and torch in its best configuration here: images in
either order of memory, eager or compiled, one thread or two, whichever is fastest in a first pass.

Real images where $NNRUN_DATA_DIR has them (mnist; cifar10/train/CLASS/*.jpg), random ones of the same shape
elsewhere: the time is the same.

Run it on idle cores, or pinned to one (taskset -c 0): where other work shares the cores, torch's threads wait
for each other, and the ratios flatter nnrun.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from rows import Row, prepare_process, write
from torch import nn
from train_mlp import time_nnrun

from nnrun.runner import session


class Work(NamedTuple):
    """One row of the table."""

    shape: tuple[int, int, int]
    examples: int
    epochs: int
    model: str
    net: Callable[[], nn.Module]
    eager_target: float
    best_target: float


BATCH = 128


class Block(nn.Module):
    """Two 3 × 3 convolutions around which the input goes, padded with zeros where the shape changes."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.stride, self.more = (1, 0) if channels == width else (2, width - channels)
        self.branch = nn.Sequential(
            nn.Conv2d(channels, width, 3, self.stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        beside = x
        if self.more:
            beside = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return torch.relu(beside + self.branch(x))


def resnet20() -> nn.Module:
    """ResNet-20 of He et al. 2016, section 4.2."""
    widths = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Block(widths[i], widths[i + 1]) for i in range(9)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def conv32_conv64() -> nn.Module:
    """Two convolutions, a pool and a dense layer."""
    first, second = nn.Conv2d(1, 32, 3, 1, 1), nn.Conv2d(32, 64, 3, 1, 1)
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 14 * 14, 10)
    )


WORKS = {
    "conv32-conv64": Work(
        (28, 28, 1),
        12000,
        1,
        "{name: sequential, layers: [{name: conv, filters: 32}, {name: relu}, {name: conv, filters: 64}, "
        "{name: relu}, {name: max_pool}, {name: flatten}, {name: dense, units: 10}]}",
        conv32_conv64,
        1.2,
        1.2,
    ),
    "resnet20": Work((32, 32, 3), 4000, 1, "{name: resnet, depth: 20}", resnet20, 1.2, 1.0),
}


def images(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, h, w, c) uint8 and labels: real ones where they can be found."""
    root = Path(os.environ.get("NNRUN_DATA_DIR", "."))
    each = work.examples // 10
    found = [sorted(folder.glob("*.jpg"))[:each] for folder in sorted(root.glob("cifar10/train/*/"))]
    labels = np.repeat(np.arange(10), each).astype(np.int32)
    if work.shape == (32, 32, 3) and len(found) == 10 and all(len(paths) == each for paths in found):
        return np.stack(
            [np.asarray(Image.open(path).convert("RGB")) for paths in found for path in paths]
        ), labels
    if work.shape == (28, 28, 1) and (folder := root / "mnist").is_dir():

        def read(name: str, offset: int) -> np.ndarray:
            return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)

        x = read("train-images-idx3-ubyte.gz", 16)[: work.examples * 784]
        return x.reshape(-1, *work.shape), read("train-labels-idx1-ubyte.gz", 8)[: work.examples].astype(
            np.int32
        )
    return np.random.default_rng(0).integers(0, 256, (work.examples, *work.shape), np.uint8), labels


def prepare(work: Work, folder: Path) -> session.Prepared:
    """The work as an nnrun experiment."""
    x, y = images(work)
    np.savez(folder / "images.npz", x=x, y=y)
    spec = folder / "work.yaml"
    spec.write_text(
        f"data: {{name: npz, path: images.npz, standardize: image, batch_size: {BATCH}}}\n"
        f"model: {work.model}\n"
        "optimizer: {name: momentum, learning_rate: 0.01}\n"
        f"train: {{duration: {work.epochs} epochs}}\n"
    )
    return session.prepare(spec)


class Torch:
    """The same work in torch."""

    def __init__(
        self, prepared: session.Prepared, work: Work, threads: int, last: bool, compiled: bool
    ) -> None:
        self.work, self.threads, self.last, self.compiled = work, threads, last, compiled
        data = prepared.experiment.dataset

        def part(examples: object) -> tuple[torch.Tensor, torch.Tensor]:
            x, y = examples  # type: ignore[misc]
            scaled = ((np.asarray(x).astype(np.float32) - data.shift) / data.scale).transpose(0, 3, 1, 2)
            return self._placed(torch.from_numpy(np.ascontiguousarray(scaled, np.float32))), torch.from_numpy(
                np.asarray(y).astype(np.int64)
            )

        self.train, self.val, self.test = part(data.train), part(data.val), part(data.test)
        torch.set_num_threads(threads)
        net = work.net()
        self.net = net.to(memory_format=torch.channels_last) if last else net  # type: ignore[call-overload]
        self.forward = torch.compile(self.net, dynamic=False) if compiled else self.net
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9, fused=True)
        self._epoch(2)

    def __str__(self) -> str:
        order = "channels last" if self.last else "channels first"
        return f"{'compiled' if self.compiled else 'eager'}, {order}, threads: {self.threads}"

    def _placed(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last) if self.last else x

    def __call__(self, epochs: int | None = None) -> float:
        """Seconds for the epochs of the work."""
        torch.set_num_threads(self.threads)
        began = time.perf_counter()
        for _ in range(epochs or self.work.epochs):
            self._epoch()
            self._evaluate(self.val)
        self._evaluate(self.test)
        return time.perf_counter() - began

    def _epoch(self, limit: int = 0) -> None:
        self.net.train()
        x, y = self.train
        order = torch.randperm(len(x))
        starts = range(0, len(x), BATCH)
        losses, hits = [], []
        for first in [*starts[:limit], starts[-1]] if limit else starts:  # the short batch compiles apart
            rows = order[first : first + BATCH]
            outputs = self.forward(self._placed(x[rows]))
            loss = nn.functional.cross_entropy(outputs, y[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            hits.append((outputs.argmax(1) == y[rows]).float().mean())
            if len(losses) == 50:
                torch.stack(losses).mean().item(), torch.stack(hits).mean().item()
                losses, hits = [], []

    @torch.no_grad()
    def _evaluate(self, examples: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.net.eval()
        outputs = torch.cat([self.net(part) for part in examples[0].split(512)])
        nn.functional.cross_entropy(outputs, examples[1]).item()
        (outputs.argmax(1) == examples[1]).float().mean().item()


def rivals(prepared: session.Prepared, work: Work, compiled: bool) -> tuple[Torch, Torch]:
    """Torch eager as most people write it, and the fastest configuration."""
    cores = len(os.sched_getaffinity(0))
    made = [
        Torch(prepared, work, threads, last, compile_it)
        for compile_it in (False, *([True] if compiled else []))
        for last in (False, True)
        for threads in sorted({1, cores})
    ]
    seconds = {rival: min(rival(1), rival(1)) for rival in made}
    for rival, spent in seconds.items():
        print(f"    torch {rival}: {spent:.2f} s an epoch", flush=True)
    eager = [rival for rival in made if not (rival.last or rival.compiled)]
    return min(eager, key=seconds.__getitem__), min(made, key=seconds.__getitem__)


def compare(prepared: session.Prepared, work: Work, compiled: bool, rounds: int, folder: Path) -> list[float]:
    """Median of torch's time by nnrun's over interleaved rounds, for each of the two rivals."""
    others = rivals(prepared, work, compiled)
    ours = partial(time_nnrun, prepared, folder)
    ours()
    times = [(ours(), *(other() for other in others)) for _ in range(rounds)]
    ms = [statistics.median(column) * 1e3 for column in zip(*times, strict=True)]
    print(f"    nnrun {ms[0]:.0f} ms, eager {ms[1]:.0f} ms, best ({others[1]}) {ms[2]:.0f} ms")
    return [statistics.median(row[i] / row[0] for row in times) for i in (1, 2)]


def rows(chosen: list[str], compiled: bool, rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    for name in chosen:
        work = WORKS[name]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            found = compare(prepare(work, folder), work, compiled, rounds, folder)
        for ratio, target, rival in zip(
            found, (work.eager_target, work.best_target), ("eager", "best"), strict=True
        ):
            yield Row(f"{name}, batch {BATCH}: torch {rival}", ratio, f"≥ {target}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="conv32-conv64,resnet20")
    parser.add_argument(
        "--no-compile", action="store_true", help="leave out torch.compile, which takes minutes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    prepare_process()
    write(rows(arguments.rows.split(","), not arguments.no_compile, arguments.rounds), arguments.json)


if __name__ == "__main__":
    main()
