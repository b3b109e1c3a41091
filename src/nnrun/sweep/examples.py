"""How the metrics of the chosen settings vary over other examples: examples.json in the folders of the last runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nnrun import signals
from nnrun.errors import Interrupted, RunError
from nnrun.record import run
from nnrun.record.names import EXAMPLES
from nnrun.report.sweep.examples import FORMAT
from nnrun.runner import group
from nnrun.runner.by_example import DRAWS, metrics_of_resamples
from nnrun.runner.session import precision
from nnrun.storage import fsio
from nnrun.sweep.engine import Engine

__all__ = ["write_examples"]


def write_examples(root: Path, places: Iterable[str], engine: Engine) -> None:
    """Writes it for each run or group of seeds that lacks it; without its checkpoints there is none, and a warning.

    Where a seed diverged there is none either: differences are not compared over examples then.
    Raises Interrupted, MachineError.
    """
    for place in places:
        folder = root / place
        if (folder / EXAMPLES).is_file():
            continue
        if signals.pending():
            raise Interrupted(signals.pending(), "")
        runs = group.members(folder) or [folder]
        if any(run.status(path) != "done" for path in runs):
            continue
        experiment = engine.experiment(engine.spec(folder), folder)
        try:
            with precision(experiment.plan.precision):
                part, metrics = metrics_of_resamples(experiment, runs, engine.warn)
        except RunError as error:
            engine.warn(f"{error}; nothing is known of other test examples")
            continue
        content = {"format": FORMAT, "part": part, "draws": DRAWS, "metrics": metrics}
        fsio.write_json(folder / EXAMPLES, content)
