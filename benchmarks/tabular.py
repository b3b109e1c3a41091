"""The configs of small tables against scikit-learn's linear models, trained and tested on the same rows.

    python benchmarks/tabular.py [breast_cancer wine diabetes]

Prints the mean over five splits (`data.split_seed`), nnrun's also over five seeds a split.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnrun
from nnrun.runner import session
from nnrun.types import Dataset

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SPLITS = range(5)
RIVALS = {
    True: [LogisticRegression(max_iter=5000)],
    False: [LinearRegression(), RidgeCV(np.logspace(-2, 3, 20))],
}


def baselines(data: Dataset) -> dict[str, float]:
    """Test scores of scikit-learn's linear models, which also get what nnrun holds out."""
    x = np.concatenate([data.train.x, data.val.x])
    y = np.concatenate([data.train.y, data.val.y])
    models = RIVALS[bool(data.classes)]
    return {
        type(model).__name__: make_pipeline(StandardScaler(), model).fit(x, y).score(*data.test)
        for model in models
    }


def main() -> None:
    """Prints one line for each config."""
    for name in sys.argv[1:] or ["breast_cancer", "wine", "diabetes"]:
        ours: list[float] = []
        theirs: list[dict[str, float]] = []
        for split in SPLITS:
            chosen = f"data.split_seed={split}"
            data = session.prepare(CONFIGS / f"{name}.yaml", [chosen]).experiment.dataset
            theirs.append(baselines(data))
            with tempfile.TemporaryDirectory() as folder:
                found = nnrun.train(CONFIGS / f"{name}.yaml", [chosen, "train.seeds=5"], runs_root=folder)
            ours.append(found.summary["mean"]["best"]["test/accuracy" if data.classes else "test/r2"])
        means = {rival: statistics.fmean(one[rival] for one in theirs) for rival in theirs[0]}
        rivals = "  ".join(f"{rival} {value:.4f}" for rival, value in means.items())
        print(f"{name}: nnrun {statistics.fmean(ours):.4f}  {rivals}", flush=True)


if __name__ == "__main__":
    main()
